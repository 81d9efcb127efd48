// SPDX-License-Identifier: MIT
/*
 * What a channel does between a start and its end: fetch blocks of descriptors, move their bytes, count, report.
 *
 * The thread holds the card's lock but for fetching, moving and writing back. When it takes it again it looks whether
 * the map's epoch is still that of its run: if not, a reset has ended the run, and it leaves all registers alone.
 */
#include <errno.h>
#include <string.h>

#include "card.h"

#define BEAT 64 /* bytes of the AXI width */

struct run {
	struct xdma_channel *channel;
	struct card *card;
	const char *name;
	uint64_t epoch;
	uint32_t error; /* status bits that a write-back reports */
};

/* What becomes of a run after a descriptor. */
enum outcome {
	GO_ON,
	ENDED,	  /* registers say why */
	ABANDONED /* by a reset */
};

static bool abandoned(const struct run *run)
{
	return run->card->quit || run->card->dma.epoch != run->epoch;
}

static bool run_is_on(const struct run *run)
{
	return run->channel->control & FIXAR_XDMA_CONTROL_RUN;
}

/* ---- Starting and stopping ---- */

void xdma_engine_run(struct xdma_channel *channel)
{
	struct card *card = channel->card;

	if (channel->status & FIXAR_XDMA_STATUS_BUSY) {
		strict_note(card, "%s: a start while the channel is busy", xdma_channel_name(channel->index));
		return;
	}
	/* At once, so that no read sees a channel that has not begun. */
	channel->status = FIXAR_XDMA_STATUS_BUSY;
	channel->completed = 0;
	channel->work = true;
	xdma_performance_begin(channel);
	xdma_interrupts_evaluate(card);
	pthread_cond_signal(&channel->wake);
}

void xdma_engine_stop(struct xdma_channel *channel)
{
	struct card *card = channel->card;

	/* Of a run that has ended this is only the way to the next start. */
	if (channel->status & FIXAR_XDMA_STATUS_BUSY) {
		card->record.channel_stops++;
		record_event(card, "channel stop %s", xdma_channel_name(channel->index));
		faults_rung(card, FAULT_RUNG_CHANNEL_STOP, (int)channel->index);
	}
	channel->credits = 0;
	pthread_cond_broadcast(&channel->wake);
}

static enum outcome end(const struct run *run, uint32_t status)
{
	struct xdma_channel *channel = run->channel;
	const struct fault *fault = faults_strike(run->card, FAULT_COUNT_CORRUPT, (int)channel->index);

	if (fault)
		channel->completed += fault->value;
	channel->status |= status & channel->control;
	channel->status &= ~FIXAR_XDMA_STATUS_BUSY;
	xdma_performance_end(channel);
	xdma_interrupts_evaluate(run->card);
	return ENDED;
}

/* Poll mode: the count to host memory. Lets go of the lock. */
static enum outcome write_back(struct run *run)
{
	struct xdma_channel *channel = run->channel;
	const uint64_t address = (uint64_t)channel->write_back_hi << 32 | channel->write_back_lo;
	const uint32_t word =
		(channel->completed & FIXAR_XDMA_WRITE_BACK_COUNT) | (run->error ? FIXAR_XDMA_WRITE_BACK_ERROR : 0);
	int error;

	if (!(channel->control & FIXAR_XDMA_CONTROL_WRITE_BACK))
		return GO_ON;
	pthread_mutex_unlock(&run->card->lock);
	error = dma_map_write_word(&run->card->dma, run->epoch, address, word);
	pthread_mutex_lock(&run->card->lock);
	if (abandoned(run))
		return ABANDONED;
	if (error)
		strict_note(run->card, "%s: the write-back to %#llx is not possible: %s", run->name,
			    (unsigned long long)address, strerror(-error));
	return GO_ON;
}

/*
 * An error of a descriptor. It ends the run if its enable is on, or if there is nothing to go on with; with the enable
 * off it is not logged either.
 */
static enum outcome failed(struct run *run, uint32_t status, bool can_go_on)
{
	if (can_go_on && !(run->channel->control & status))
		return GO_ON;
	run->error |= status;
	if (write_back(run) == ABANDONED)
		return ABANDONED;
	return end(run, status);
}

static enum outcome stopped(const struct run *run)
{
	return end(run, FIXAR_XDMA_STATUS_IDLE_STOPPED);
}

/* ---- Faults ---- */

static const struct {
	enum fault_id id;
	uint32_t status;
	bool h2c, c2h;
} status_faults[] = {
	{ FAULT_ALIGN_MISMATCH, FIXAR_XDMA_STATUS_ALIGN_MISMATCH, true, true },
	{ FAULT_DESCRIPTOR_MAGIC, FIXAR_XDMA_STATUS_MAGIC_STOPPED, true, true },
	{ FAULT_INVALID_LENGTH, FIXAR_XDMA_STATUS_INVALID_LENGTH, true, true },
	{ FAULT_READ_UNSUPPORTED, FIXAR_XDMA_STATUS_READ_UNSUPPORTED, true, false },
	{ FAULT_READ_ABORT, FIXAR_XDMA_STATUS_READ_ABORT, true, false },
	{ FAULT_READ_PARITY, FIXAR_XDMA_STATUS_READ_PARITY, true, false },
	{ FAULT_READ_POISONED, FIXAR_XDMA_STATUS_READ_POISONED, true, false },
	{ FAULT_READ_UNEXPECTED, FIXAR_XDMA_STATUS_READ_UNEXPECTED, true, false },
	{ FAULT_READ_DECODE, FIXAR_XDMA_STATUS_READ_AXI_DECODE, false, true },
	{ FAULT_READ_SLAVE, FIXAR_XDMA_STATUS_READ_AXI_SLAVE, false, true },
	{ FAULT_WRITE_DECODE, FIXAR_XDMA_STATUS_WRITE_AXI_DECODE, true, false },
	{ FAULT_WRITE_SLAVE, FIXAR_XDMA_STATUS_WRITE_AXI_SLAVE, true, false },
	{ FAULT_DESCRIPTOR_UNSUPPORTED, FIXAR_XDMA_STATUS_DESC_UNSUPPORTED, true, true },
	{ FAULT_DESCRIPTOR_ABORT, FIXAR_XDMA_STATUS_DESC_ABORT, true, true },
	{ FAULT_DESCRIPTOR_PARITY, FIXAR_XDMA_STATUS_DESC_PARITY, true, true },
	{ FAULT_DESCRIPTOR_POISONED, FIXAR_XDMA_STATUS_DESC_POISONED, true, true },
	{ FAULT_DESCRIPTOR_UNEXPECTED, FIXAR_XDMA_STATUS_DESC_UNEXPECTED, true, true },
};

static uint32_t status_fault(const struct run *run)
{
	const struct xdma_channel *channel = run->channel;

	for (size_t i = 0; i < sizeof(status_faults) / sizeof(status_faults[0]); i++)
		if ((channel->from_card ? status_faults[i].c2h : status_faults[i].h2c) &&
		    faults_strike(run->card, status_faults[i].id, (int)channel->index))
			return status_faults[i].status;
	return 0;
}

/* Faults that keep the channel busy: waits until they end. */
static enum outcome stand_still(struct run *run)
{
	struct xdma_channel *channel = run->channel;
	const int where = (int)channel->index;

	if (faults_strike(run->card, FAULT_CHANNEL_STUCK, where)) {
		while (!abandoned(run) && faults_lasting(run->card, FAULT_CHANNEL_STUCK, where))
			card_wait(run->card, &channel->wake);
		if (abandoned(run))
			return ABANDONED;
	}
	if (faults_strike(run->card, FAULT_CHANNEL_STALL, where)) {
		while (!abandoned(run) && run_is_on(run) && faults_lasting(run->card, FAULT_CHANNEL_STALL, where))
			card_wait(run->card, &channel->wake);
		if (abandoned(run))
			return ABANDONED;
	}
	return run_is_on(run) ? GO_ON : stopped(run);
}

/* ---- Moving a descriptor's bytes ---- */

struct transfer {
	uint64_t host, card;
	uint32_t bytes;
	bool fixed; /* the card's address does not count up */
	int error;  /* of host memory */
};

static int move_beats(struct card *card, uint64_t epoch, bool from_card, struct transfer *transfer,
		      unsigned char *memory)
{
	const uint32_t step = transfer->fixed ? BEAT : transfer->bytes;
	int error = 0;

	for (uint32_t done = 0; !error && done < transfer->bytes; done += step) {
		const uint32_t count = transfer->bytes - done < step ? transfer->bytes - done : step;

		if (from_card)
			error = dma_map_write(&card->dma, epoch, transfer->host + done, memory, count, NULL);
		else
			error = dma_map_read(&card->dma, epoch, transfer->host + done, memory, count, NULL);
	}
	return error;
}

static uint32_t decode_error(const struct xdma_channel *channel)
{
	return channel->from_card ? FIXAR_XDMA_STATUS_READ_AXI_DECODE : FIXAR_XDMA_STATUS_WRITE_AXI_DECODE;
}

/* Without the lock. Returns status bits. */
static uint32_t move_bytes(const struct run *run, struct transfer *transfer)
{
	struct card *card = run->card;
	const bool from_card = run->channel->from_card;
	const uint64_t span = transfer->fixed && transfer->bytes > BEAT ? BEAT : transfer->bytes;
	unsigned char *memory = card_memory_at(&card->memory, transfer->card, span);
	uint64_t where;

	if (!memory)
		return decode_error(run->channel);
	if (from_card && !card_memory_readable(&card->memory, transfer->card, span, &where))
		return FIXAR_XDMA_STATUS_READ_AXI_SLAVE;
	transfer->error = move_beats(card, run->epoch, from_card, transfer, memory);
	if (!from_card)
		card_memory_wrote(&card->memory, transfer->card, span);
	/* Writes to the host are posted: XDMA never hears of one that got lost. */
	return transfer->error && !from_card ? FIXAR_XDMA_STATUS_READ_UNSUPPORTED : 0;
}

static void note_host_error(const struct run *run, const struct transfer *transfer)
{
	const unsigned long long address = transfer->host;

	if (transfer->error == -EPERM)
		strict_note(run->card, "%s: DMA while bus mastering is off", run->name);
	else if (transfer->error)
		strict_note(run->card, "%s: DMA of %u bytes at %#llx, of which not all are mapped%s", run->name,
			    transfer->bytes, address, transfer->error == -EACCES ? " for this direction" : "");
}

static void doubts(const struct run *run, const struct fixar_xdma_descriptor *descriptor,
		   const struct transfer *transfer)
{
	const uint32_t unknown = ~(FIXAR_XDMA_DESC_MAGIC_MASK | FIXAR_XDMA_DESC_ADJACENT | FIXAR_XDMA_DESC_EOP |
				   FIXAR_XDMA_DESC_COMPLETED | FIXAR_XDMA_DESC_STOP);

	if (!transfer->bytes)
		strict_note(run->card, "%s: a descriptor of 0 bytes", run->name);
	if (descriptor->length & ~FIXAR_XDMA_DESC_LENGTH)
		strict_note(run->card, "%s: reserved bits of a descriptor's length are set", run->name);
	if (descriptor->control & (unknown | FIXAR_XDMA_DESC_EOP))
		strict_note(run->card, "%s: control bits %#x of a descriptor have no meaning here", run->name,
			    descriptor->control & (unknown | FIXAR_XDMA_DESC_EOP));
	if (transfer->fixed)
		strict_note(run->card, "%s: the card's address does not count up", run->name);
}

static enum outcome do_transfer(struct run *run, const struct fixar_xdma_descriptor *descriptor, uint64_t at)
{
	struct xdma_channel *channel = run->channel;
	struct card *card = run->card;
	const uint64_t source = (uint64_t)descriptor->source_hi << 32 | descriptor->source_lo;
	const uint64_t destination = (uint64_t)descriptor->destination_hi << 32 | descriptor->destination_lo;
	struct transfer transfer = {
		.host = channel->from_card ? destination : source,
		.card = channel->from_card ? source : destination,
		.bytes = descriptor->length & FIXAR_XDMA_DESC_LENGTH,
		.fixed = channel->control & FIXAR_XDMA_CONTROL_NON_INC,
	};
	const struct record_descriptor record = {
		card_now(),
		at,
		transfer.host,
		transfer.card,
		(uint64_t)descriptor->next_hi << 32 | descriptor->next_lo,
		descriptor->control,
		transfer.bytes,
		(uint8_t)channel->index,
	};
	uint32_t status;

	record_descriptor(card, &record);
	doubts(run, descriptor, &transfer);
	if (faults_strike(card, FAULT_REMOVAL_TRANSFER, (int)channel->index)) {
		card_remove(card);
		return ABANDONED;
	}
	status = status_fault(run);
	if (status)
		return failed(run, status, false);

	pthread_mutex_unlock(&card->lock);
	status = move_bytes(run, &transfer);
	pthread_mutex_lock(&card->lock);
	if (abandoned(run))
		return ABANDONED;
	note_host_error(run, &transfer);
	if (status == decode_error(channel))
		strict_note(card, "%s: %u bytes at %#llx, of which not all are card memory", run->name, transfer.bytes,
			    (unsigned long long)transfer.card);
	if (status == FIXAR_XDMA_STATUS_READ_AXI_SLAVE && channel->from_card)
		core_ecc_error(card);
	if (!status) {
		card->record.bytes[channel->index] += transfer.bytes;
		xdma_performance_count(channel, transfer.bytes);
	}
	return status ? failed(run, status, true) : GO_ON;
}

/* ---- Descriptors ---- */

/* One descriptor, from its magic to what it says about the end. */
static enum outcome do_descriptor(struct run *run, const struct fixar_xdma_descriptor *descriptor, uint64_t at)
{
	struct xdma_channel *channel = run->channel;
	enum outcome outcome;

	if ((descriptor->control & FIXAR_XDMA_DESC_MAGIC_MASK) != FIXAR_XDMA_DESC_MAGIC) {
		strict_note(run->card, "%s: a descriptor's magic is wrong (control word %#x)", run->name,
			    descriptor->control);
		return failed(run, FIXAR_XDMA_STATUS_MAGIC_STOPPED, false);
	}
	outcome = stand_still(run);
	if (outcome == GO_ON)
		outcome = do_transfer(run, descriptor, at);
	if (outcome != GO_ON)
		return outcome;

	channel->completed++;
	run->card->record.descriptors_done[channel->index]++;
	if (descriptor->control & FIXAR_XDMA_DESC_COMPLETED) {
		channel->status |= FIXAR_XDMA_STATUS_DESC_COMPLETED & channel->control;
		if (write_back(run) == ABANDONED)
			return ABANDONED;
		if (!(descriptor->control & FIXAR_XDMA_DESC_STOP))
			xdma_interrupts_evaluate(run->card);
	}
	if (descriptor->control & FIXAR_XDMA_DESC_STOP)
		return end(run, FIXAR_XDMA_STATUS_DESC_STOPPED);
	return run_is_on(run) ? GO_ON : stopped(run);
}

static uint32_t adjacent(const struct fixar_xdma_descriptor *descriptor)
{
	return (descriptor->control & FIXAR_XDMA_DESC_ADJACENT) >> 8;
}

/*
 * Within a block the engine goes by the order in memory. PG195 wants links all the same; mainline's driver leaves them
 * out altogether, and hardware takes both. Links that are there and wrong are doubtful.
 */
static void check_links(const struct run *run, const struct fixar_xdma_descriptor *block, uint32_t count, uint64_t at)
{
	bool linked = false;

	for (uint32_t i = 0; i + 1 < count; i++)
		linked |= adjacent(&block[i]) != 0;
	for (uint32_t i = 0; linked && i + 1 < count; i++) {
		const uint64_t next = (uint64_t)block[i].next_hi << 32 | block[i].next_lo;

		if (adjacent(&block[i]) != count - 2 - i || next != at + (i + 1) * sizeof(*block))
			strict_note(run->card, "%s: a link inside of a block disagrees with the block", run->name);
	}
}

/* The engine's flow control: descriptor fetch halted, or no credits in credit mode. */
static enum outcome wait_for_credit(struct run *run, bool take)
{
	struct xdma_channel *channel = run->channel;
	const bool credits = take && xdma_credit_mode(channel);

	while (!abandoned(run) && run_is_on(run) && (xdma_fetch_halted(channel) || (credits && !channel->credits)))
		card_wait(run->card, &channel->wake);
	if (abandoned(run))
		return ABANDONED;
	if (!run_is_on(run))
		return stopped(run);
	if (credits && channel->credits)
		channel->credits--;
	return GO_ON;
}

/* Reads `count` descriptors. What lies beyond a 4 KiB boundary is not what the driver wrote: it stays 0. */
static enum outcome fetch(struct run *run, uint64_t at, uint32_t count, struct fixar_xdma_descriptor *block)
{
	const uint32_t room = (uint32_t)((FIXAR_XDMA_DESC_BOUNDARY - at % FIXAR_XDMA_DESC_BOUNDARY) / sizeof(*block));
	int error;

	memset(block, 0, count * sizeof(*block));
	if (at % FIXAR_XDMA_DESC_ALIGN)
		strict_note(run->card, "%s: a descriptor at %#llx, which is not aligned", run->name,
			    (unsigned long long)at);
	if (count > room) {
		strict_note(run->card, "%s: a block of %u descriptors at %#llx crosses 4 KiB", run->name, count,
			    (unsigned long long)at);
		count = room;
	}
	pthread_mutex_unlock(&run->card->lock);
	error = dma_map_read(&run->card->dma, run->epoch, at, block, count * sizeof(*block), NULL);
	pthread_mutex_lock(&run->card->lock);
	if (abandoned(run))
		return ABANDONED;
	if (!error)
		return GO_ON;
	if (error == -EPERM)
		strict_note(run->card, "%s: DMA while bus mastering is off", run->name);
	else
		strict_note(run->card, "%s: descriptors at %#llx are not mapped", run->name, (unsigned long long)at);
	return failed(run, FIXAR_XDMA_STATUS_DESC_UNSUPPORTED, false);
}

static void walk(struct xdma_channel *channel)
{
	struct run run = {
		.channel = channel,
		.card = channel->card,
		.name = xdma_channel_name(channel->index),
		.epoch = channel->card->dma.epoch,
	};
	struct fixar_xdma_descriptor block[FIXAR_XDMA_DESC_BLOCK_MAX];
	uint64_t at = (uint64_t)channel->first_hi << 32 | channel->first_lo;
	uint32_t count = channel->adjacent + 1;
	enum outcome outcome = run_is_on(&run) ? GO_ON : stopped(&run);

	while (outcome == GO_ON) {
		outcome = wait_for_credit(&run, false);
		if (outcome == GO_ON)
			outcome = fetch(&run, at, count, block);
		if (outcome != GO_ON)
			break;
		check_links(&run, block, count, at);
		for (uint32_t i = 0; outcome == GO_ON && i < count; i++) {
			outcome = wait_for_credit(&run, true);
			if (outcome == GO_ON)
				outcome = do_descriptor(&run, &block[i], at + i * sizeof(block[0]));
		}
		at = (uint64_t)block[count - 1].next_hi << 32 | block[count - 1].next_lo;
		count = adjacent(&block[count - 1]) + 1;
	}
}

void *xdma_engine(void *argument)
{
	struct xdma_channel *channel = argument;
	struct card *card = channel->card;

	pthread_mutex_lock(&card->lock);
	while (!card->quit) {
		if (channel->work && !card->gone) {
			channel->work = false;
			walk(channel);
		} else {
			card_wait(card, &channel->wake);
		}
	}
	pthread_mutex_unlock(&card->lock);
	return NULL;
}
