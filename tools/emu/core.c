// SPDX-License-Identifier: MIT
/* The core's thread: takes commands from the queue one after the other, completes or fails them, ends soft resets. */
#include "core.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "card.h"

#define SOFT_RESET_NS 200000		   /* draining */
#define MEMORY_READY_NS UINT64_C(20000000) /* calibration */
#define SLOW_NS 20000000		   /* between two steps of PROGRESS of a slow command */
#define UNDEFINED 0xa5a5a5a5u		   /* slots after power-on */

void core_create(struct card *card)
{
	pthread_cond_init(&card->core.wake, NULL);
	core_agent_create(&card->core.agent);
}

void core_destroy(struct card *card)
{
	core_agent_destroy(&card->core.agent);
	pthread_cond_destroy(&card->core.wake);
}

void core_wake(struct card *card)
{
	pthread_cond_broadcast(&card->core.wake);
}

void core_abort(struct card *card)
{
	card->core.abort = true;
	core_wake(card);
}

/* ---- Resets ---- */

void core_reset(struct card *card, enum core_reset reset)
{
	struct core *core = &card->core;

	core->epoch++;
	core->abort = true;
	core->halted = core->resetting = core->resident = false;
	core->interrupt_status = core->interrupt_enable = 0;
	core->submitted = core->completed = card->options.first_sequence & FIXAR_CORE_SEQ;
	core->error_info = core->error_seq = core->access_error = 0;
	core->error_offset = 0;
	core->window_base = core->window_limit = 0;
	core->progress = 0;
	memset(core->mode, 0, sizeof(core->mode));
	core_note_busy(core);
	if (reset != CORE_RESET_SOFT) {
		core->scratch = 0;
		memset(core->counter, 0, sizeof(core->counter));
		core->time_of_reset = card_now();
		core->busy_ns = 0;
		if (core->busy_since)
			core->busy_since = core->time_of_reset;
		memset(core->result, 0, sizeof(core->result));
	}
	if (reset == CORE_RESET_POWER) {
		core->mem_epoch = 1;
		core->mem_cookie = 0;
		core->cattrip = false;
		core->time_of_memory = card_now() + MEMORY_READY_NS;
		for (unsigned slot = 0; slot < CORE_FIFO_DEPTH; slot++)
			for (unsigned word = 0; word < CORE_SLOT_WORDS; word++)
				core->slot[slot][word] = UNDEFINED;
	}
	core_interrupt(card, 0);
}

void core_memory_lost(struct card *card, bool silent)
{
	struct core *core = &card->core;

	core->mem_epoch = (core->mem_epoch + 1) & FIXAR_CORE_SEQ;
	core_memory_changed(card);
	if (!silent)
		core_interrupt(card, FIXAR_CORE_INT_MEMORY_LOST);
}

void core_memory_changed(struct card *card)
{
	card->core.changes++;
	card->core.resident = false;
}

void core_ecc_error(struct card *card)
{
	++*core_counter(&card->core, FIXAR_COUNTER_ECC_UNCORRECTED);
}

/* ---- The end of a command ---- */

static void write_result(struct core *core, const struct core_command *command, uint32_t info)
{
	uint32_t *record = core->result[command->seq % CORE_FIFO_DEPTH];
	const uint64_t wide[] = { command->cycles, command->macs, command->offset };

	record[0] = command->seq;
	record[1] = info;
	for (int i = 0; i < 3; i++) {
		record[2 + 2 * i] = (uint32_t)wide[i];
		record[3 + 2 * i] = (uint32_t)(wide[i] >> 32);
	}
}

static void count(struct core *core, const struct core_command *command)
{
	*core_counter(core, FIXAR_COUNTER_READ_BYTES) += command->read_bytes;
	*core_counter(core, FIXAR_COUNTER_WRITE_BYTES) += command->write_bytes;
	if (command->code == FIXAR_ERROR_ECC)
		++*core_counter(core, FIXAR_COUNTER_ECC_UNCORRECTED);
}

static void complete(struct card *card, const struct core_command *command)
{
	struct core *core = &card->core;
	const uint32_t opcode = command->slot.control & FIXAR_COMMAND_OPCODE;

	*core_counter(core, FIXAR_COUNTER_ARRAY_CYCLES) += command->array_cycles;
	*core_counter(core, FIXAR_COUNTER_COMMANDS) += 1;
	*core_counter(core, FIXAR_COUNTER_MACS) += command->macs;
	if (opcode == FIXAR_OPCODE_TRAIN)
		*core_counter(core, FIXAR_COUNTER_SAMPLES) += command->slot.count;
	if (opcode == FIXAR_OPCODE_ACT)
		*core_counter(core, FIXAR_COUNTER_ACTIONS) += command->slot.count;
	card->record.commands[opcode]++;
	if (opcode == FIXAR_OPCODE_TRAIN)
		card->record.training_steps++;
	core->resident = command->resident;
	core->completed = command->seq;
	if (command->slot.control & FIXAR_COMMAND_INTERRUPT)
		core_interrupt(card, FIXAR_CORE_INT_COMPLETED);
}

static void halt(struct card *card, const struct core_command *command, uint32_t info, bool silent)
{
	struct core *core = &card->core;

	card->record.command_errors++;
	record_event(card, "command %u fails: code %u, offset %#llx", command->seq, command->code,
		     (unsigned long long)command->offset);
	core->error_info = info;
	core->error_seq = command->seq;
	core->error_offset = command->offset;
	core->resident = false;
	core->halted = true;
	if (!silent)
		core_interrupt(card, FIXAR_CORE_INT_ERROR);
}

static void finish(struct card *card, struct core_command *command, bool silent)
{
	struct core *core = &card->core;
	const uint32_t opcode = command->slot.control & FIXAR_COMMAND_OPCODE;
	const uint32_t info = command->code ? command->code | opcode << 8 |
						      (command->started ? FIXAR_CORE_ERROR_INFO_STARTED : 0) |
						      (command->fatal ? FIXAR_CORE_ERROR_INFO_FATAL : 0)
					    : opcode << 8;

	count(core, command);
	write_result(core, command, info);
	if (faults_strike(card, FAULT_CORE_RESULT, FAULT_ANYWHERE)) {
		core->result[command->seq % CORE_FIFO_DEPTH][0] ^= 1;
		core->result[command->seq % CORE_FIFO_DEPTH][2] += 1;
	}
	if (command->code)
		halt(card, command, info, silent);
	else
		complete(card, command);
	core_note_busy(core);
}

/* ---- Faults ---- */

static void nap(long nanoseconds)
{
	const struct timespec time = { 0, nanoseconds };

	nanosleep(&time, NULL);
}

static void fail_by_fault(struct core_command *command, const struct fault *fault, uint32_t code)
{
	command->code = code;
	command->offset = fault->offset;
	command->started = fault->started;
	command->fatal = fault->fatal;
}

/* A command that does not end, until a reset or the end of the fault. False: by a reset. */
static bool hang(struct card *card, uint64_t epoch)
{
	struct core *core = &card->core;

	if (faults_strike(card, FAULT_CORE_STALL, FAULT_ANYWHERE))
		while (!card->quit && core->epoch == epoch && !core->resetting &&
		       faults_lasting(card, FAULT_CORE_STALL, FAULT_ANYWHERE))
			card_wait(card, &core->wake);
	if (faults_strike(card, FAULT_CORE_SLOW, FAULT_ANYWHERE)) {
		while (!card->quit && core->epoch == epoch && !core->resetting &&
		       faults_lasting(card, FAULT_CORE_SLOW, FAULT_ANYWHERE)) {
			pthread_mutex_unlock(&card->lock);
			nap(SLOW_NS);
			pthread_mutex_lock(&card->lock);
			core->progress++;
		}
	}
	return !card->quit && core->epoch == epoch && !core->resetting;
}

/* Faults of the card as a whole, at the start of a command. */
static void events(struct card *card)
{
	const struct fault *fault = faults_strike(card, FAULT_MEMORY_EPOCH, FAULT_ANYWHERE);

	if (fault)
		card_lose_memory(card, false);
	if (faults_strike(card, FAULT_MEMORY_EPOCH_SILENT, FAULT_ANYWHERE))
		card_lose_memory(card, true);
	if (faults_strike(card, FAULT_CATTRIP, FAULT_ANYWHERE) && !card->core.cattrip) {
		card->core.cattrip = true;
		core_interrupt(card, FIXAR_CORE_INT_CATTRIP);
	}
	if (faults_strike(card, FAULT_ECC_CORRECTED, FAULT_ANYWHERE)) {
		++*core_counter(&card->core, FIXAR_COUNTER_ECC_CORRECTED);
		core_interrupt(card, FIXAR_CORE_INT_ECC_CORRECTED);
	}
	fault = faults_strike(card, FAULT_ECC_UNCORRECTED, FAULT_ANYWHERE);
	if (fault && fault->offset < card->memory.size)
		card_memory_spoil(&card->memory, card->memory.base + fault->offset);
}

/* A failure by fault, before the command has done anything. *silent: without an interrupt. */
static void fail_early(struct card *card, struct core_command *command, bool *silent)
{
	const struct fault *fault;

	for (int id = FAULT_CORE_SEQUENCE; !command->code && id <= FAULT_CORE_INTERNAL; id++) {
		fault = faults_strike(card, (enum fault_id)id, FAULT_ANYWHERE);
		if (fault)
			fail_by_fault(command, fault, (uint32_t)(id - FAULT_CORE_SEQUENCE) + FIXAR_ERROR_SEQUENCE);
	}
	fault = command->code ? NULL : faults_strike(card, FAULT_CORE_HALT_SILENT, FAULT_ANYWHERE);
	if (fault) {
		fail_by_fault(command, fault, fault->value & FIXAR_CORE_ERROR_INFO_CODE);
		*silent = true;
	}
}

/* ---- The thread ---- */

static void take_command(const struct core *core, struct core_command *command)
{
	memset(command, 0, sizeof(*command));
	command->seq = (core->completed + 1) & FIXAR_CORE_SEQ;
	memcpy(&command->slot, core->slot[command->seq % CORE_FIFO_DEPTH], sizeof(command->slot));
	memcpy(command->mode, core->mode, sizeof(command->mode));
	command->window_base = core->window_base;
	command->window_limit = core->window_limit;
	command->resident = core->resident;
	command->changes = core->changes;
}

/* The last stretch of a wait is spent looking at the clock: sleep ends some tens of microseconds late. */
#define LAST_NS 100000

/*
 * A command of so many cycles ends no earlier than the modelled card's would, had it begun at `start`: waits for that, without the lock. A
 * reset ends the wait. The result is for the counts, with the lock.
 */
static struct core_timing take_time(struct card *card, const struct core_command *command, uint64_t start)
{
	const double khz = card->core.agent.array.clock_khz;
	const uint64_t model = (uint64_t)((double)command->cycles * 1e6 / khz * card->options.timing), end = start + model;
	uint64_t now = card_now();
	const struct core_timing result = { 1, now > end, model, now > end ? now - end : 0 };

	for (; now < end && !card->core.abort; now = card_now())
		if (end - now > LAST_NS)
			nap(end - now - LAST_NS < 10000000 ? (long)(end - now - LAST_NS) : 10000000);
	return result;
}

static void run_command(struct card *card)
{
	struct core *core = &card->core;
	const uint64_t epoch = core->epoch;
	struct core_timing timed = { 0 };
	struct core_command command;
	bool silent = false;

	core->running = true;
	core->abort = false;
	events(card);
	if (!hang(card, epoch) || card->gone)
		goto out;
	take_command(core, &command);
	fail_early(card, &command, &silent);
	if (!command.code) {
		const uint64_t start = card_now();

		pthread_mutex_unlock(&card->lock);
		core_execute(card, &command);
		if (card->options.timing > 0 && !command.code)
			timed = take_time(card, &command, start);
		pthread_mutex_lock(&card->lock);
	}
	core->timing.commands += timed.commands;
	core->timing.late += timed.late;
	core->timing.model_ns += timed.model_ns;
	core->timing.late_ns += timed.late_ns;
	/* Memory was changed under it. */
	if (core->changes != command.changes)
		command.resident = false;
	if (core->epoch == epoch && !core->resetting && !card->gone && !card->quit)
		finish(card, &command, silent);
out:
	core->running = false;
	core_note_busy(core);
}

static void end_reset(struct card *card)
{
	struct core *core = &card->core;
	const uint64_t epoch = core->epoch;

	if (faults_strike(card, FAULT_CORE_RESET_STUCK, FAULT_ANYWHERE)) {
		while (!card->quit && core->epoch == epoch &&
		       faults_lasting(card, FAULT_CORE_RESET_STUCK, FAULT_ANYWHERE))
			card_wait(card, &core->wake);
	}
	pthread_mutex_unlock(&card->lock);
	nap(SOFT_RESET_NS);
	pthread_mutex_lock(&card->lock);
	/* A bus reset meanwhile has done all of it. */
	if (core->epoch == epoch && core->resetting && !card->quit)
		core_reset(card, CORE_RESET_SOFT);
}

static void *work(void *argument)
{
	struct card *card = argument;
	struct core *core = &card->core;

	pthread_mutex_lock(&card->lock);
	while (!card->quit) {
		if (card->gone)
			card_wait(card, &core->wake);
		else if (core->resetting)
			end_reset(card);
		else if (!core->halted && core->submitted != core->completed)
			run_command(card);
		else
			card_wait(card, &core->wake);
	}
	pthread_mutex_unlock(&card->lock);
	return NULL;
}

int core_start(struct card *card)
{
	const int error = pthread_create(&card->core.thread, NULL, work, card);

	card->core.has_thread = !error;
	return -error;
}

void core_join(struct card *card)
{
	if (card->core.has_thread)
		pthread_join(card->core.thread, NULL);
}
