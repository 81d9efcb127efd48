// SPDX-License-Identifier: MIT
/* fixar conform --raw: checks 5 to 12 of driver/HARDWARE.md section 12, and accesses that card memory does not answer.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "conform_arena.h"
#include "pe/array.h"
#include "step/cycles.h"

#define FIELD(name) offsetof(struct fixar_arena_header, name)

static void failure(struct arena *arena, const char *name, struct raw_slot slot, uint32_t code, uint64_t offset)
{
	raw_expect_failure(arena->raw, name, slot, (struct raw_failure){ .code = code, .offset = offset });
}

static uint64_t tensor(const struct arena *arena, const char *name)
{
	for (size_t i = 0; i < arena->tensor_count; i++)
		if (!strcmp(arena->tensors[i].name, name))
			return FIXAR_ARENA_STATE + arena->tensors[i].offset;
	return 0;
}

/* One word of the arena is wrong; afterwards it is right again. */
static void wrong_word(struct arena *arena, const char *name, uint64_t place, uint32_t value, uint32_t code,
		       uint64_t offset)
{
	uint32_t before;

	memcpy(&before, arena->image + place, sizeof(before));
	if (!arena_write(arena, place, &value, sizeof(value))) {
		raw_report(arena->raw, 0, name);
		return;
	}
	failure(arena, name, arena_command(arena, FIXAR_OPCODE_RELOAD, 0), code, offset);
	arena_write(arena, place, &before, sizeof(before));
}

/* ---- 5 to 8: loading ---- */

static void test_header(struct arena *arena)
{
	const struct raw *raw = arena->raw;
	const struct {
		const char *name;
		uint32_t place, value, offset;
	} wrong[] = {
		{ "HEADER: magic", FIELD(magic), 0x58414746, FIELD(magic) },
		{ "HEADER: schema", FIELD(schema), FIXAR_ARENA_SCHEMA + 1, FIELD(schema) },
		{ "HEADER: header_bytes", FIELD(header_bytes), 260, FIELD(header_bytes) },
		{ "HEADER: state_offset", FIELD(state_offset), 8192, FIELD(state_offset) },
		{ "HEADER: state_bytes", FIELD(state_bytes), (uint32_t)arena->state_bytes + 64, FIELD(state_bytes) },
		{ "HEADER: the upper half of state_bytes", FIELD(state_bytes) + 4, 1, FIELD(state_bytes) },
		{ "HEADER: no observations", FIELD(observation_dim), 0, FIELD(observation_dim) },
		{ "HEADER: observations beyond MAX_WIDTH", FIELD(observation_dim), raw_get(raw, FIXAR_ID_MAX_WIDTH) + 1,
		  FIELD(observation_dim) },
		{ "HEADER: no actions", FIELD(action_dim), 0, FIELD(action_dim) },
		{ "HEADER: actions beyond MAX_WIDTH", FIELD(action_dim), raw_get(raw, FIXAR_ID_MAX_WIDTH) + 1,
		  FIELD(action_dim) },
		{ "HEADER: no batch", FIELD(batch_max), 0, FIELD(batch_max) },
		{ "HEADER: a batch beyond MAX_BATCH", FIELD(batch_max), raw_get(raw, FIXAR_ID_MAX_BATCH) + 1,
		  FIELD(batch_max) },
		{ "HEADER: no hidden layer", FIELD(hidden_count), 0, FIELD(hidden_count) },
		{ "HEADER: more hidden layers than MAX_HIDDEN", FIELD(hidden_count),
		  raw_get(raw, FIXAR_ID_MAX_HIDDEN) + 1, FIELD(hidden_count) },
		{ "HEADER: a hidden layer of no width", FIELD(hidden) + 4, 0, FIELD(hidden) + 4 },
		{ "HEADER: a hidden layer beyond MAX_WIDTH", FIELD(hidden) + 4, raw_get(raw, FIXAR_ID_MAX_WIDTH) + 1,
		  FIELD(hidden) + 4 },
		{ "HEADER: a width behind the last hidden layer", FIELD(hidden) + 8, 1, FIELD(hidden) + 8 },
		{ "HEADER: a reserved word", FIELD(reserved) + 80, 1, FIELD(reserved) },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		wrong_word(arena, wrong[i].name, wrong[i].place, wrong[i].value, FIXAR_ERROR_HEADER, wrong[i].offset);
}

static void test_tables(struct arena *arena)
{
	const uint64_t powers = tensor(arena, "adam_powers"), first = tensor(arena, "quantizers");
	/* [layer][activation, weight, gradient][width, fraction, is_signed] */
	const uint64_t activation = first + 36, weight = first + 12, gradient = first + 24;

	wrong_word(arena, "TABLE: a power of Adam above 2^62", powers + 12, 0x40000001, FIXAR_ERROR_TABLE, powers + 8);
	wrong_word(arena, "TABLE: a width of 1", weight, 1, FIXAR_ERROR_TABLE, weight);
	wrong_word(arena, "TABLE: a width of 33", gradient, 33, FIXAR_ERROR_TABLE, gradient);
	wrong_word(arena, "TABLE: an activation's fraction of 21", activation + 4, 21, FIXAR_ERROR_TABLE,
		   activation + 4);
	wrong_word(arena, "TABLE: a fraction of -17", weight + 4, 0xffffffef, FIXAR_ERROR_TABLE, weight + 4);
	wrong_word(arena, "TABLE: a signed activation behind a ReLU", activation + 8, 1, FIXAR_ERROR_TABLE,
		   activation + 8);
	wrong_word(arena, "TABLE: a weight without a sign", weight + 8, 0, FIXAR_ERROR_TABLE, weight + 8);
}

/* ---- 9 and 10 ---- */

/* A network of two layers of that width is more than the core's memories hold: its header. False: they hold any. */
static bool too_large(const struct arena *arena, struct fixar_arena_header *header)
{
	const struct raw *raw = arena->raw;
	const struct pe_array array = {
		.cores = raw_get(raw, FIXAR_ID_ARRAY_CORES),
		.rows = raw_get(raw, FIXAR_ID_ARRAY_ROWS),
		.columns = raw_get(raw, FIXAR_ID_ARRAY_COLUMNS),
		.half_lanes = raw_get(raw, FIXAR_ID_ARRAY_HALF_LANES),
		.clock_khz = raw_get(raw, FIXAR_ID_CLOCK_KHZ),
		.output_latency = raw_get(raw, FIXAR_ID_ARRAY_OUTPUT_LATENCY),
		.function_latency = raw_get(raw, FIXAR_ID_ARRAY_FUNCTION_LATENCY),
		.update_lanes = raw_get(raw, FIXAR_ID_ARRAY_UPDATE_LANES),
		.update_latency = raw_get(raw, FIXAR_ID_ARRAY_UPDATE_LATENCY),
		.hbm_bytes_per_cycle = raw_get(raw, FIXAR_ID_ARRAY_HBM_BYTES),
		.weight_bytes = raw_get(raw, FIXAR_ID_WEIGHT_MEMORY),
		.gradient_bytes = raw_get(raw, FIXAR_ID_GRADIENT_MEMORY),
		.activation_bytes = raw_get(raw, FIXAR_ID_ACTIVATION_MEMORY),
	};
	const struct step_mode mode = { 0 };
	struct step_config config = arena->config;

	memcpy(header, arena->image, sizeof(*header));
	for (uint32_t width = 128; width <= raw_get(raw, FIXAR_ID_MAX_WIDTH); width *= 2) {
		const struct step_workload workload = { &array, &config, &mode, NULL, 1 };
		struct step_footprint footprint;
		size_t bytes;

		config.hidden[0] = config.hidden[1] = width;
		if (!step_card_footprint(&workload, &footprint, NULL, 0))
			continue;
		step_layout(&config, NULL, 0, &bytes);
		header->state_bytes = bytes;
		header->hidden[0] = header->hidden[1] = width;
		return true;
	}
	return false;
}

static void test_batch_and_capacity(struct arena *arena)
{
	struct fixar_arena_header header;

	failure(arena, "BATCH: TRAIN with more samples than batch_max",
		arena_command(arena, FIXAR_OPCODE_TRAIN, arena->config.batch_max + 1), FIXAR_ERROR_BATCH,
		FIELD(batch_max));
	failure(arena, "BATCH: ACT with more observations than batch_max",
		arena_command(arena, FIXAR_OPCODE_ACT, 0xffffffff), FIXAR_ERROR_BATCH, FIELD(batch_max));
	if (!too_large(arena, &header)) {
		conform_skip(arena->raw->conform, "CAPACITY", "the card holds every network of two hidden layers");
		return;
	}
	/* Its tables are those that are there: they depend on the number of layers alone. */
	if (!arena_write(arena, 0, &header, sizeof(header))) {
		raw_report(arena->raw, 0, "CAPACITY");
		return;
	}
	arena_window(arena, arena->base, arena->memory_size - ARENA_PLACE);
	failure(arena, "CAPACITY: a network that the core's memories cannot hold",
		arena_command(arena, FIXAR_OPCODE_RELOAD, 0), FIXAR_ERROR_CAPACITY, 0);
	arena_restore(arena);
}

/* ---- 11: OFFSET ---- */

static struct raw_slot moved(struct raw_slot slot, enum arena_field field, uint64_t offset)
{
	arena_place(&slot, field, offset);
	return slot;
}

static void test_offsets(struct arena *arena)
{
	const struct raw_slot act = arena_command(arena, FIXAR_OPCODE_ACT, 16);
	const struct raw_slot train = arena_command(arena, FIXAR_OPCODE_TRAIN, 64);
	const struct raw_slot reload = arena_command(arena, FIXAR_OPCODE_RELOAD, 0);
	const uint64_t in_state = arena->input - 64, input = arena->input, output = arena->output;
	const uint32_t code = FIXAR_ERROR_OFFSET;

	failure(arena, "OFFSET: input in the header", moved(train, ARENA_INPUT, 64), code, 64);
	failure(arena, "OFFSET: input at the end of the state", moved(train, ARENA_INPUT, in_state), code, in_state);
	failure(arena, "OFFSET: output in the state", moved(act, ARENA_OUTPUT, in_state), code, in_state);
	failure(arena, "OFFSET: statistics in the state", moved(reload, ARENA_STATISTICS, in_state), code, in_state);
	failure(arena, "OFFSET: output at input", moved(act, ARENA_OUTPUT, input), code, input);
	/* 16 observations are 192 bytes. Of two that meet it is the one that begins at the higher offset. */
	failure(arena, "OFFSET: output in input", moved(act, ARENA_OUTPUT, input + 128), code, input + 128);
	failure(arena, "OFFSET: input reaches into output, which lies behind",
		moved(moved(act, ARENA_INPUT, output - 128), ARENA_OUTPUT, output), code, output);
	failure(arena, "OFFSET: statistics reach into input, which lies behind",
		moved(moved(train, ARENA_INPUT, input + 64), ARENA_STATISTICS, input), code, input + 64);
	failure(arena, "OFFSET: statistics at output", moved(act, ARENA_STATISTICS, output), code, output);
	failure(arena, "OFFSET: a range in the state before two that meet",
		moved(moved(act, ARENA_OUTPUT, input), ARENA_STATISTICS, in_state), code, in_state);
	failure(arena, "OFFSET: output meets input before statistics do",
		moved(moved(act, ARENA_OUTPUT, input + 64), ARENA_STATISTICS, input), code, input + 64);
	raw_report(arena->raw, raw_run(arena->raw, moved(act, ARENA_OUTPUT, input + 192)),
		   "OFFSET: ranges that touch do not meet");
	arena_restore(arena);
}

/* ---- 5, 7 and 12: WINDOW ---- */

static void test_windows(struct arena *arena)
{
	struct raw *raw = arena->raw;
	const uint64_t limit = arena->limit, state_limit = (arena->end + 4095) & ~UINT64_C(4095);
	const struct raw_slot act = arena_command(arena, FIXAR_OPCODE_ACT, 16);
	const struct raw_slot reload = arena_command(arena, FIXAR_OPCODE_RELOAD, 0);
	struct raw_slot longer = arena_command(arena, FIXAR_OPCODE_ACT, 17), quiet = reload;
	struct fixar_batch_layout batch;
	uint64_t place;

	arena_place(&quiet, ARENA_STATISTICS, 0);
	arena_window(arena, arena->base, 4096);
	failure(arena, "WINDOW: nothing of the state is within the limit", reload, FIXAR_ERROR_WINDOW, 4096);
	arena_window(arena, arena->base, state_limit - 4096);
	failure(arena, "WINDOW: the end of the state is beyond the limit", reload, FIXAR_ERROR_WINDOW, 4096);
	arena_window(arena, arena->base, state_limit);
	raw_report(raw, raw_run(raw, quiet), "WINDOW: a state within the limit is loaded");
	arena_window(arena, arena->base, limit);

	failure(arena, "WINDOW: statistics at the limit", moved(reload, ARENA_STATISTICS, limit), FIXAR_ERROR_WINDOW,
		limit);
	failure(arena, "WINDOW: statistics across the limit", moved(reload, ARENA_STATISTICS, limit - 64),
		FIXAR_ERROR_WINDOW, limit - 64);
	raw_report(raw, raw_run(raw, moved(reload, ARENA_STATISTICS, limit - 128)),
		   "WINDOW: statistics up to the limit are written");
	failure(arena, "WINDOW: an offset beyond 2^64 with its bytes", moved(act, ARENA_OUTPUT, UINT64_MAX - 63),
		FIXAR_ERROR_WINDOW, UINT64_MAX - 63);
	failure(arena, "WINDOW: actions 4 bytes beyond the limit", moved(longer, ARENA_OUTPUT, limit - 64),
		FIXAR_ERROR_WINDOW, limit - 64);
	raw_report(raw, raw_run(raw, moved(act, ARENA_OUTPUT, limit - 64)),
		   "WINDOW: actions up to the limit are written");
	/* Flags of 64 samples are 64 bytes, those of 65 one more. */
	fixar_batch_layout(65, 3, 1, &batch);
	place = limit - 64 - batch.terminal;
	failure(arena, "WINDOW: a batch one byte beyond the limit",
		moved(moved(arena_command(arena, FIXAR_OPCODE_TRAIN, 65), ARENA_INPUT, place), ARENA_STATISTICS,
		      arena->input),
		FIXAR_ERROR_WINDOW, place);
	fixar_batch_layout(64, 3, 1, &batch);
	place = limit - 64 - batch.terminal;
	raw_report(raw,
		   raw_run(raw, moved(moved(arena_command(arena, FIXAR_OPCODE_TRAIN, 64), ARENA_INPUT, place),
				      ARENA_STATISTICS, arena->input)),
		   "WINDOW: a batch up to the limit is read");
	arena_restore(arena);
}

/* ---- Several at once ---- */

static void test_order(struct arena *arena)
{
	struct raw *raw = arena->raw;
	struct raw_slot slot = arena_command(arena, FIXAR_OPCODE_TRAIN, arena->config.batch_max + 1);
	const uint64_t powers = tensor(arena, "adam_powers");
	struct fixar_arena_header large;
	const uint32_t bad_schema = FIXAR_ARENA_SCHEMA + 1, good_schema = FIXAR_ARENA_SCHEMA, bad_power = 0x7fffffff;
	const bool has_large = too_large(arena, &large);

	/* Everything is wrong; then one thing after the other is put right. */
	slot.word[0] = 0x1f;
	slot.word[3] = 1;
	arena_place(&slot, ARENA_INPUT, 64);
	arena_place(&slot, ARENA_STATISTICS, arena->limit);
	raw_set(raw, FIXAR_MODE_TAU, 0);
	arena_window(arena, arena->base, 0);
	arena_write(arena, 0, &large, sizeof(large));
	arena_write(arena, FIELD(schema), &bad_schema, sizeof(bad_schema));
	arena_write(arena, powers + 4, &bad_power, sizeof(bad_power));
	raw_expect_failure(raw, "order: SEQUENCE before all others", slot,
			   (struct raw_failure){ .code = FIXAR_ERROR_SEQUENCE, .offset = 4, .wrong_sequence = true });
	failure(arena, "order: then OPCODE", slot, FIXAR_ERROR_OPCODE, 0);
	slot.word[0] = FIXAR_OPCODE_TRAIN;
	failure(arena, "order: then COMMAND", slot, FIXAR_ERROR_COMMAND, 12);
	slot.word[3] = 0;
	failure(arena, "order: then MODE", slot, FIXAR_ERROR_MODE, FIXAR_MODE_TAU);
	raw_set(raw, FIXAR_MODE_TAU, (uint32_t)arena->config.hyper.tau);
	failure(arena, "order: then WINDOW of the header", slot, FIXAR_ERROR_WINDOW, 0);
	arena_window(arena, arena->base, 4096);
	failure(arena, "order: then HEADER", slot, FIXAR_ERROR_HEADER, FIELD(schema));
	arena_write(arena, FIELD(schema), &good_schema, sizeof(good_schema));
	failure(arena, "order: then WINDOW of the state", slot, FIXAR_ERROR_WINDOW, FIXAR_ARENA_STATE);
	arena_window(arena, arena->base, arena->memory_size - ARENA_PLACE);
	failure(arena, "order: then TABLE", slot, FIXAR_ERROR_TABLE, powers);
	arena_write(arena, powers, arena->image + powers, 8);
	failure(arena, "order: then BATCH", slot, FIXAR_ERROR_BATCH, FIELD(batch_max));
	slot.word[2] = 64;
	if (has_large)
		failure(arena, "order: then CAPACITY", slot, FIXAR_ERROR_CAPACITY, 0);
	arena_write(arena, 0, arena->image, sizeof(large));
	arena_window(arena, arena->base, arena->limit);
	failure(arena, "order: then OFFSET", slot, FIXAR_ERROR_OFFSET, 64);
	arena_place(&slot, ARENA_INPUT, arena->input);
	failure(arena, "order: then WINDOW of a range", slot, FIXAR_ERROR_WINDOW, arena->limit);
	raw_report(raw, arena_expect(arena, "the arena", 0, arena->image, arena->end),
		   "failures of the numbered checks have changed nothing");
}

/* ---- Where there is no memory ---- */

/* The window lies at the end of card memory, and its limit beyond. */
static void test_end_of_memory(struct arena *arena)
{
	const uint64_t usual = arena->base, room = (arena->output + 4096 + 4095) & ~UINT64_C(4095);
	const struct raw_slot act = arena_command(arena, FIXAR_OPCODE_ACT, 16);

	arena->base = arena->memory_base + arena->memory_size - room;
	if (!arena_restore(arena)) {
		raw_report(arena->raw, 0, "READ and WRITE: where there is no memory");
	} else {
		arena_window(arena, arena->base, 2 * room);
		failure(arena, "READ: observations where there is no memory", moved(act, ARENA_INPUT, room),
			FIXAR_ERROR_READ, room);
		raw_expect_failure(
			arena->raw, "WRITE: the first store goes where there is no memory",
			moved(arena_command(arena, FIXAR_OPCODE_RELOAD, 0), ARENA_STATISTICS, room + 64),
			(struct raw_failure){ .code = FIXAR_ERROR_WRITE, .offset = room + 64, .started = true });
		raw_expect_failure(arena->raw, "WRITE: actions where there is no memory",
				   moved(moved(act, ARENA_OUTPUT, room), ARENA_STATISTICS, 0),
				   (struct raw_failure){ .code = FIXAR_ERROR_WRITE, .offset = room, .started = true });
	}
	arena->base = usual;
	arena_restore(arena);
}

void arena_test_checks(struct arena *arena)
{
	arena_restore(arena);
	test_header(arena);
	test_tables(arena);
	test_batch_and_capacity(arena);
	test_offsets(arena);
	test_windows(arena);
	arena_restore(arena);
	test_order(arena);
	test_end_of_memory(arena);
}
