// SPDX-License-Identifier: MIT
/* The core's registers: driver/HARDWARE.md sections 4 to 6. */
#include <string.h>

#include "card.h"

#define BUILD 0x20261123u
#define CLOCK_KHZ(core) ((core)->agent.array.clock_khz)
#define WINDOW_MASK ((uint64_t)FIXAR_WINDOW_GRANULE - 1)

static uint32_t low(uint64_t value)
{
	return (uint32_t)value;
}

static uint32_t high(uint64_t value)
{
	return (uint32_t)(value >> 32);
}

/* ---- State ---- */

bool core_busy(const struct core *core)
{
	return core->running || (core->submitted != core->completed && !core->halted);
}

bool core_idle(const struct core *core)
{
	return !core_busy(core) && !core->halted && !core->resetting;
}

static bool memory_ready(struct card *card)
{
	return card_now() >= card->core.time_of_memory && !faults_strike(card, FAULT_MEMORY_NOT_READY, FAULT_ANYWHERE);
}

void core_note_busy(struct core *core)
{
	const bool busy = core_busy(core);

	if (busy && !core->busy_since) {
		core->busy_since = card_now();
	} else if (!busy && core->busy_since) {
		core->busy_ns += card_now() - core->busy_since;
		core->busy_since = 0;
	}
}

void core_interrupt(struct card *card, uint32_t bits)
{
	struct core *core = &card->core;

	core->interrupt_status |= bits;
	xdma_user_line(card, CORE_USER_IRQ, core->interrupt_status & core->interrupt_enable);
}

void core_refuse(struct card *card, uint32_t offset)
{
	struct core *core = &card->core;

	if (!core->access_error)
		core->access_error = FIXAR_CORE_ACCESS_ERROR_VALID | (offset & FIXAR_CORE_ACCESS_ERROR_OFFSET);
	core_interrupt(card, FIXAR_CORE_INT_ACCESS);
}

/* ---- Identity ---- */

static uint32_t injected(struct card *card, enum fault_id id, uint32_t value)
{
	const struct fault *fault = faults_strike(card, id, FAULT_ANYWHERE);

	return fault ? fault->value : value;
}

static uint32_t identity(struct card *card, uint32_t offset)
{
	const struct card_options *options = &card->options;
	const struct pe_array *array = &card->core.agent.array;

	switch (offset) {
	case FIXAR_ID_MAGIC:
		return injected(card, FAULT_IDENTITY_MAGIC, FIXAR_ID_MAGIC_VALUE);
	case FIXAR_ID_VERSION:
		return injected(card, FAULT_IDENTITY_VERSION, FIXAR_ID_VERSION_VALUE);
	case FIXAR_ID_CAPS:
		return (options->windows ? FIXAR_ID_CAPS_WINDOWS : 0) | FIXAR_ID_CAPS_CMS |
		       (options->ecc ? FIXAR_ID_CAPS_ECC : 0);
	case FIXAR_ID_OPCODES:
		return FIXAR_OPCODE_ALL;
	case FIXAR_ID_MEMORY_SIZE_LO:
		return low(options->memory_size);
	case FIXAR_ID_MEMORY_SIZE_HI:
		return high(options->memory_size);
	case FIXAR_ID_MEMORY_BASE_LO:
		return low(options->memory_base);
	case FIXAR_ID_MEMORY_BASE_HI:
		return high(options->memory_base);
	case FIXAR_ID_CLOCK_KHZ:
		return array->clock_khz;
	case FIXAR_ID_FIFO_DEPTH:
		return CORE_FIFO_DEPTH;
	case FIXAR_ID_USER_IRQ:
		return CORE_USER_IRQ;
	case FIXAR_ID_ARENA_SCHEMA:
		return injected(card, FAULT_IDENTITY_SCHEMA, STEP_SCHEMA);
	case FIXAR_ID_MAX_WIDTH:
		return STEP_MAX_WIDTH;
	case FIXAR_ID_MAX_HIDDEN:
		return STEP_MAX_HIDDEN;
	case FIXAR_ID_MAX_BATCH:
		return STEP_MAX_BATCH;
	case FIXAR_ID_BUILD:
		return BUILD;
	case FIXAR_ID_ARRAY_CORES:
		return array->cores;
	case FIXAR_ID_ARRAY_ROWS:
		return array->rows;
	case FIXAR_ID_ARRAY_COLUMNS:
		return array->columns;
	case FIXAR_ID_ARRAY_HALF_LANES:
		return array->half_lanes;
	case FIXAR_ID_ARRAY_OUTPUT_LATENCY:
		return array->output_latency;
	case FIXAR_ID_ARRAY_FUNCTION_LATENCY:
		return array->function_latency;
	case FIXAR_ID_ARRAY_UPDATE_LANES:
		return array->update_lanes;
	case FIXAR_ID_ARRAY_UPDATE_LATENCY:
		return array->update_latency;
	case FIXAR_ID_ARRAY_HBM_BYTES:
		return array->hbm_bytes_per_cycle;
	case FIXAR_ID_WEIGHT_MEMORY:
		return low(array->weight_bytes);
	case FIXAR_ID_GRADIENT_MEMORY:
		return low(array->gradient_bytes);
	case FIXAR_ID_ACTIVATION_MEMORY:
		return low(array->activation_bytes);
	default:
		return 0;
	}
}

/* ---- Reading ---- */

static uint32_t status(struct card *card)
{
	const struct core *core = &card->core;

	return (core_busy(core) ? FIXAR_CORE_STATUS_BUSY : 0) | (core->halted ? FIXAR_CORE_STATUS_HALTED : 0) |
	       (core->resetting ? FIXAR_CORE_STATUS_RESETTING : 0) |
	       (memory_ready(card) ? FIXAR_CORE_STATUS_MEMORY_READY : 0) |
	       (core->resident ? FIXAR_CORE_STATUS_RESIDENT : 0) | (core->cattrip ? FIXAR_CORE_STATUS_CATTRIP : 0);
}

static uint32_t completed(struct card *card)
{
	const struct fault *fault = faults_lasting(card, FAULT_CORE_COMPLETED, FAULT_ANYWHERE);

	return (card->core.completed + (fault ? fault->value : 0)) & FIXAR_CORE_SEQ;
}

static uint32_t queue_read(struct card *card, uint32_t offset)
{
	const struct core *core = &card->core;

	switch (offset) {
	case FIXAR_CORE_STATUS:
		return status(card);
	case FIXAR_CORE_INT_STATUS:
		return core->interrupt_status;
	case FIXAR_CORE_INT_ENABLE:
		return core->interrupt_enable;
	case FIXAR_CORE_SUBMITTED_SEQ:
		return core->submitted;
	case FIXAR_CORE_COMPLETED_SEQ:
		return completed(card);
	case FIXAR_CORE_PROGRESS:
		return core->progress & FIXAR_CORE_SEQ;
	case FIXAR_CORE_ERROR_INFO:
		return core->error_info;
	case FIXAR_CORE_ERROR_SEQ:
		return core->error_seq;
	case FIXAR_CORE_ERROR_OFFSET_LO:
		return low(core->error_offset);
	case FIXAR_CORE_ERROR_OFFSET_HI:
		return high(core->error_offset);
	case FIXAR_CORE_ACCESS_ERROR:
		return core->access_error;
	case FIXAR_CORE_SCRATCH:
		return core->scratch;
	case FIXAR_CORE_MEM_EPOCH:
		return core->mem_epoch;
	case FIXAR_CORE_MEM_COOKIE:
		return core->mem_cookie;
	case FIXAR_WINDOW_BASE_LO:
		return low(core->window_base);
	case FIXAR_WINDOW_BASE_HI:
		return high(core->window_base);
	case FIXAR_WINDOW_LIMIT_LO:
		return low(core->window_limit);
	case FIXAR_WINDOW_LIMIT_HI:
		return high(core->window_limit);
	default:
		return 0;
	}
}

uint64_t *core_counter(struct core *core, uint32_t offset)
{
	return &core->counter[(offset - FIXAR_COUNTER_TIMESTAMP) / 8];
}

static uint64_t cycles(const struct core *core, uint64_t nanoseconds)
{
	return (uint64_t)((unsigned __int128)nanoseconds * CLOCK_KHZ(core) / 1000000);
}

static uint64_t counter_value(struct core *core, uint32_t offset)
{
	uint64_t busy = core->busy_ns;

	switch (offset & ~7u) {
	case FIXAR_COUNTER_TIMESTAMP:
		return cycles(core, card_now() - core->time_of_reset);
	case FIXAR_COUNTER_BUSY_CYCLES:
		if (core->busy_since)
			busy += card_now() - core->busy_since;
		return cycles(core, busy);
	default:
		return *core_counter(core, offset);
	}
}

static bool is_mode(uint32_t offset)
{
	/* Between the noise and the training, two words are unassigned. */
	return offset >= CORE_MODE_BASE && offset < FIXAR_MODE_END &&
	       (offset <= FIXAR_MODE_NOISE_THETA || offset >= FIXAR_MODE_DISCOUNT);
}

uint32_t core_read(struct card *card, uint32_t offset)
{
	struct core *core = &card->core;
	const uint32_t slot = (offset - FIXAR_SLOT_BASE) / FIXAR_SLOT_BYTES;
	const uint32_t record = (offset - FIXAR_RESULT_BASE) / FIXAR_RESULT_BYTES;

	if (offset < FIXAR_CORE_STATUS)
		return identity(card, offset);
	if (offset < CORE_MODE_BASE)
		return queue_read(card, offset);
	if (is_mode(offset))
		return core->mode[(offset - CORE_MODE_BASE) / 4];
	if (offset >= FIXAR_COUNTER_TIMESTAMP && offset < FIXAR_COUNTER_END) {
		const uint64_t value = counter_value(core, offset);

		return offset & FIXAR_COUNTER_HI ? high(value) : low(value);
	}
	if (offset >= FIXAR_RESULT_BASE && record < CORE_FIFO_DEPTH)
		return core->result[record][offset % FIXAR_RESULT_BYTES / 4];
	if (offset >= FIXAR_SLOT_BASE && slot < CORE_FIFO_DEPTH)
		return core->slot[slot][offset % FIXAR_SLOT_BYTES / 4];
	return 0;
}

/* ---- Writing ---- */

static void doubtful_refusal(struct card *card, const char *what, uint32_t offset)
{
	strict_note(card, "%s, at %#x of BAR0: refused", what, offset);
	core_refuse(card, offset);
}

static uint32_t queued(const struct core *core)
{
	return (core->submitted - core->completed) & FIXAR_CORE_SEQ;
}

static void doorbell(struct card *card, uint32_t value)
{
	struct core *core = &card->core;
	const uint32_t next = (core->submitted + 1) & FIXAR_CORE_SEQ;

	value &= FIXAR_CORE_SEQ;
	/* The one refusal that a careful driver can meet: it did not know yet. */
	if (core->halted) {
		core_refuse(card, FIXAR_CORE_DOORBELL);
	} else if (core->resetting) {
		doubtful_refusal(card, "a doorbell during a soft reset", FIXAR_CORE_DOORBELL);
	} else if (value != next) {
		doubtful_refusal(card, "a doorbell that is not the next number", FIXAR_CORE_DOORBELL);
	} else if (queued(core) >= CORE_FIFO_DEPTH) {
		doubtful_refusal(card, "a doorbell for a full queue", FIXAR_CORE_DOORBELL);
	} else if (!memory_ready(card)) {
		doubtful_refusal(card, "a doorbell before card memory is ready", FIXAR_CORE_DOORBELL);
	} else {
		core->submitted = value;
		core_note_busy(core);
		if (faults_strike(card, FAULT_CORE_COMPLETED, FAULT_ANYWHERE))
			core_interrupt(card, FIXAR_CORE_INT_COMPLETED);
		core_wake(card);
	}
}

static void resume(struct card *card)
{
	struct core *core = &card->core;

	if (!core->halted || core_busy(core) || (core->error_info & FIXAR_CORE_ERROR_INFO_FATAL)) {
		doubtful_refusal(card, "RESUME where it is not accepted", FIXAR_CORE_CONTROL);
		return;
	}
	core->submitted = core->completed;
	core->error_info = core->error_seq = 0;
	core->error_offset = 0;
	core->resident = core->halted = false;
	card->record.resumes++;
	record_event(card, "resume");
	faults_rung(card, FAULT_RUNG_RESUME, FAULT_ANYWHERE);
}

static void control(struct card *card, uint32_t value)
{
	struct core *core = &card->core;

	if (value & FIXAR_CORE_CONTROL_SOFT_RESET) {
		if (core->resetting)
			return;
		core->resetting = true;
		card->record.soft_resets++;
		record_event(card, "soft reset");
		faults_rung(card, FAULT_RUNG_SOFT_RESET, FAULT_ANYWHERE);
		core_abort(card);
	} else if (value & FIXAR_CORE_CONTROL_RESUME) {
		resume(card);
	}
}

static void set_half(uint64_t *place, bool upper, uint32_t value)
{
	const uint64_t mask = upper ? UINT64_C(0xffffffff) << 32 : UINT64_C(0xffffffff);

	*place = (*place & ~mask) | ((uint64_t)value << (upper ? 32 : 0) & mask);
}

static void window(struct card *card, uint32_t offset, uint32_t value)
{
	struct core *core = &card->core;
	uint64_t *place = offset < FIXAR_WINDOW_LIMIT_LO ? &core->window_base : &core->window_limit;

	if (!core_idle(core)) {
		doubtful_refusal(card, "a window is written while the core is not idle", offset);
		return;
	}
	set_half(place, offset & 4, value);
	*place &= ~WINDOW_MASK;
	core->resident = false;
}

static void queue_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct core *core = &card->core;

	switch (offset) {
	case FIXAR_CORE_CONTROL:
		control(card, value);
		return;
	case FIXAR_CORE_INT_STATUS:
		core->interrupt_status &= ~value;
		if (value & FIXAR_CORE_INT_ACCESS)
			core->access_error = 0;
		core_interrupt(card, 0);
		return;
	case FIXAR_CORE_INT_ENABLE:
		core->interrupt_enable = value & FIXAR_CORE_INT_ALL;
		core_interrupt(card, 0);
		return;
	case FIXAR_CORE_DOORBELL:
		doorbell(card, value);
		return;
	case FIXAR_CORE_SCRATCH:
		core->scratch = value;
		return;
	case FIXAR_CORE_MEM_COOKIE:
		core->mem_cookie = value;
		return;
	case FIXAR_WINDOW_BASE_LO:
	case FIXAR_WINDOW_BASE_HI:
	case FIXAR_WINDOW_LIMIT_LO:
	case FIXAR_WINDOW_LIMIT_HI:
		window(card, offset, value);
		return;
	default:
		strict_note(card, "a write to %#x of BAR0, where no register takes one", offset);
	}
}

static void slot_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct core *core = &card->core;
	const uint32_t slot = (offset - FIXAR_SLOT_BASE) / FIXAR_SLOT_BYTES;

	/* Of the commands that are not completed the first lies behind the last that is. */
	if (slot < CORE_FIFO_DEPTH && (slot - core->completed - 1) % CORE_FIFO_DEPTH < queued(core))
		doubtful_refusal(card, "the slot of a command that is queued or runs is written", offset);
	else if (slot < CORE_FIFO_DEPTH)
		core->slot[slot][offset % FIXAR_SLOT_BYTES / 4] = value;
}

void core_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct core *core = &card->core;

	if (core->resetting && offset != FIXAR_CORE_CONTROL) {
		strict_note(card, "a write to %#x of BAR0 during a soft reset", offset);
		/* Of the others the contract says that they may be lost. */
		if (offset == FIXAR_CORE_DOORBELL || is_mode(offset) ||
		    (offset >= FIXAR_WINDOW_BASE_LO && offset <= FIXAR_WINDOW_LIMIT_HI))
			core_refuse(card, offset);
		return;
	}
	if (is_mode(offset)) {
		if (core_idle(core))
			core->mode[(offset - CORE_MODE_BASE) / 4] = value;
		else
			doubtful_refusal(card, "a mode is written while the core is not idle", offset);
	} else if (offset >= FIXAR_CORE_STATUS && offset < CORE_MODE_BASE) {
		queue_write(card, offset, value);
	} else if (offset >= FIXAR_SLOT_BASE && offset < FIXAR_SLOT_END) {
		slot_write(card, offset, value);
	} else {
		strict_note(card, "a write to %#x of BAR0, where no register takes one", offset);
	}
}

bool core_force(struct card *card, uint32_t offset, uint32_t value)
{
	struct core *core = &card->core;

	if (offset % 4)
		return false;
	if (is_mode(offset)) {
		core->mode[(offset - CORE_MODE_BASE) / 4] = value;
		return true;
	}
	switch (offset) {
	case FIXAR_CORE_INT_STATUS:
		core->interrupt_status = value & FIXAR_CORE_INT_ALL;
		core_interrupt(card, 0);
		return true;
	case FIXAR_CORE_INT_ENABLE:
		core->interrupt_enable = value & FIXAR_CORE_INT_ALL;
		core_interrupt(card, 0);
		return true;
	case FIXAR_CORE_SCRATCH:
		core->scratch = value;
		return true;
	case FIXAR_CORE_MEM_EPOCH:
		core->mem_epoch = value & FIXAR_CORE_SEQ;
		return true;
	case FIXAR_CORE_MEM_COOKIE:
		core->mem_cookie = value;
		return true;
	case FIXAR_WINDOW_BASE_LO:
	case FIXAR_WINDOW_BASE_HI:
		set_half(&core->window_base, offset & 4, value);
		core_memory_changed(card);
		return true;
	case FIXAR_WINDOW_LIMIT_LO:
	case FIXAR_WINDOW_LIMIT_HI:
		set_half(&core->window_limit, offset & 4, value);
		core_memory_changed(card);
		return true;
	default:
		return false;
	}
}
