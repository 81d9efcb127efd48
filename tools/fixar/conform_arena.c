// SPDX-License-Identifier: MIT
/*
 * fixar conform --raw, with an arena in card memory: commands that work, checks 5 to 12 of driver/HARDWARE.md section
 * 12 with code and offset, windows to the byte, writes while the core is not idle, and a soft reset in the middle of a
 * TRAIN. Results are compared with those of lib/step on this processor.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform_arena.h"
#include "pe/array.h"
#include "pe/engine.h"
#include "step/cycles.h"

/* ---- Modes ---- */

static void set_modes(struct raw *raw, const struct step_hyperparameters *hyper)
{
	static const uint32_t zero[] = { FIXAR_MODE_PRECISION, FIXAR_MODE_QUANTIZATION, FIXAR_MODE_PARALLELISM,
					 FIXAR_MODE_NOISE,     FIXAR_MODE_NOISE_SIGMA,	FIXAR_MODE_NOISE_THETA };

	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		raw_set(raw, zero[i], 0);
	raw_set(raw, FIXAR_MODE_DISCOUNT, (uint32_t)hyper->discount);
	raw_set(raw, FIXAR_MODE_TAU, hyper->tau);
	raw_set(raw, FIXAR_MODE_BETA1, hyper->beta1);
	raw_set(raw, FIXAR_MODE_ONE_MINUS_BETA2, hyper->one_minus_beta2);
	for (uint32_t n = 0; n < STEP_NETWORKS; n++) {
		raw_set(raw, FIXAR_MODE_RATE_MANTISSA + n * FIXAR_MODE_NETWORK_STRIDE, hyper->rate_mantissa[n]);
		raw_set(raw, FIXAR_MODE_RATE_EXPONENT + n * FIXAR_MODE_NETWORK_STRIDE, hyper->rate_exponent[n]);
		raw_set(raw, FIXAR_MODE_GRADIENT_SCALE + n * FIXAR_MODE_NETWORK_STRIDE,
			(uint32_t)hyper->gradient_scale[n]);
	}
}

/* The usual ones (discount 0.99, tau 0.005, Adam with 0.9 and 0.999, rates of 0.001). */
static const struct step_hyperparameters usual = {
	.discount = 2126008812,
	.tau = 10737418,
	.beta1 = 1932735283,
	.one_minus_beta2 = 4294967,
	.rate_mantissa = { 1099511628, 1099511628 },
	.rate_exponent = { 40, 40 },
	.gradient_scale = { 2, 0 },
};

/* ---- The arena, here and there ---- */

void arena_window(struct arena *arena, uint64_t base, uint64_t limit)
{
	struct raw *raw = arena->raw;

	raw_set(raw, FIXAR_WINDOW_BASE_LO, (uint32_t)base);
	raw_set(raw, FIXAR_WINDOW_BASE_HI, (uint32_t)(base >> 32));
	raw_set(raw, FIXAR_WINDOW_LIMIT_LO, (uint32_t)limit);
	raw_set(raw, FIXAR_WINDOW_LIMIT_HI, (uint32_t)(limit >> 32));
}

int arena_write(struct arena *arena, uint64_t offset, const void *bytes, uint64_t count)
{
	return raw_memory_write(arena->raw, &arena->memory, arena->base + offset, bytes, count);
}

int arena_read(struct arena *arena, uint64_t offset, void *bytes, uint64_t count)
{
	return raw_memory_read(arena->raw, &arena->memory, arena->base + offset, bytes, count);
}

/* What lies at an offset is what is expected there. */
int arena_expect(struct arena *arena, const char *what, uint64_t offset, const void *expected, uint64_t count)
{
	unsigned char *found = malloc(count);
	int good = found && arena_read(arena, offset, found, count);

	for (uint64_t i = 0; good && i < count; i++) {
		const unsigned char wanted = ((const unsigned char *)expected)[i];

		if (found[i] == wanted)
			continue;
		snprintf(arena->raw->detail, sizeof(arena->raw->detail),
			 "%s: byte %#llx of the arena is %#x, expected %#x", what, (unsigned long long)(offset + i),
			 found[i], wanted);
		good = 0;
	}
	free(found);
	return good;
}

static void fill(unsigned char *bytes, uint64_t count, uint32_t seed)
{
	for (uint64_t i = 0; i < count; i++) {
		seed = seed * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(seed >> 24);
	}
}

/* Values between -2 and 2 in fraction 20. */
static void fill_values(int32_t *values, size_t count, uint32_t seed)
{
	for (size_t i = 0; i < count; i++) {
		seed = seed * 1664525 + 1013904223;
		values[i] = (int32_t)seed >> 10;
	}
}

int arena_batch_create(struct arena *arena, uint32_t count, struct arena_batch *batch)
{
	struct fixar_batch_layout layout;

	fixar_batch_layout(count, arena->config.observation_dim, arena->config.action_dim, &layout);
	batch->size = layout.terminal + count;
	batch->bytes = calloc(1, layout.bytes);
	if (!batch->bytes)
		return 0;
	fill_values((int32_t *)(void *)batch->bytes, layout.terminal / sizeof(int32_t), count);
	for (uint32_t i = 0; i < count; i++)
		batch->bytes[layout.terminal + i] = i % 7 == 0;
	batch->step = (struct step_batch){
		.size = count,
		.observation = (const int32_t *)(const void *)(batch->bytes + layout.observation),
		.action = (const int32_t *)(const void *)(batch->bytes + layout.action),
		.reward = (const int32_t *)(const void *)(batch->bytes + layout.reward),
		.next_observation = (const int32_t *)(const void *)(batch->bytes + layout.next_observation),
		.terminal = batch->bytes + layout.terminal,
	};
	return arena_restore(arena) && arena_write(arena, arena->input, batch->bytes, batch->size);
}

/* Header and state as they are here, and the usual window and modes. */
int arena_restore(struct arena *arena)
{
	set_modes(arena->raw, &usual);
	arena_window(arena, arena->base, arena->limit);
	return arena_write(arena, 0, arena->image, arena->end);
}

struct raw_slot arena_command(const struct arena *arena, uint32_t opcode, uint32_t count)
{
	struct raw_slot slot = { { [0] = opcode, [2] = count } };

	if (opcode == FIXAR_OPCODE_ACT || opcode == FIXAR_OPCODE_TRAIN)
		arena_place(&slot, ARENA_INPUT, arena->input);
	if (opcode == FIXAR_OPCODE_ACT)
		arena_place(&slot, ARENA_OUTPUT, arena->output);
	if (opcode != FIXAR_OPCODE_NOP)
		arena_place(&slot, ARENA_STATISTICS, arena->statistics);
	return slot;
}

void arena_place(struct raw_slot *slot, enum arena_field field, uint64_t offset)
{
	slot->word[field] = (uint32_t)offset;
	slot->word[field + 1] = (uint32_t)(offset >> 32);
}

/* ---- Commands that work ---- */

static int expect_statistics(struct arena *arena, const struct step_statistics *expected, uint64_t steps)
{
	struct fixar_statistics found;
	struct raw *raw = arena->raw;
	const uint32_t record = FIXAR_RESULT_BASE + raw->sequence % raw->depth * FIXAR_RESULT_BYTES;
	int good = arena_read(arena, arena->statistics, &found, sizeof(found)) &&
		   raw_expect(raw, "loss_sum", found.loss_sum, expected->loss_sum) &&
		   raw_expect(raw, "q_sum", found.q_sum, (uint64_t)expected->q_sum) &&
		   raw_expect(raw, "training_steps", found.training_steps, steps) &&
		   raw_expect(raw, "reserved", found.reserved, 0) &&
		   raw_expect(raw, "the record's macs",
			      raw_get(raw, record + 16) | (uint64_t)raw_get(raw, record + 20) << 32, found.macs);

	for (unsigned i = 0; i < FIXAR_ARENA_SATURATIONS && good; i++)
		good = raw_expect(raw, "a saturation", found.saturation[i], expected->saturation[i]);
	return good;
}

static uint64_t counter(const struct raw *raw, uint32_t offset)
{
	return raw_get(raw, offset) | (uint64_t)raw_get(raw, offset + FIXAR_COUNTER_HI) << 32;
}

static void test_good(struct arena *arena)
{
	const uint32_t count = 64, rows = 16;
	struct raw *raw = arena->raw;
	struct step_statistics statistics = { 0 }, none = { 0 };
	struct raw_slot slot = arena_command(arena, FIXAR_OPCODE_RELOAD, 0);
	const uint64_t samples = counter(raw, FIXAR_COUNTER_SAMPLES), actions = counter(raw, FIXAR_COUNTER_ACTIONS);
	const uint64_t macs = counter(raw, FIXAR_COUNTER_MACS), written = counter(raw, FIXAR_COUNTER_WRITE_BYTES);
	const uint32_t progress = raw_get(raw, FIXAR_CORE_PROGRESS);
	struct arena_batch batch;
	int32_t expected[16];
	int good = arena_batch_create(arena, count, &batch);

	good = good && raw_run(raw, slot) && expect_statistics(arena, &none, 0) &&
	       raw_expect(raw, "STATUS.RESIDENT", raw_get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_RESIDENT,
			  FIXAR_CORE_STATUS_RESIDENT);
	raw_report(raw, good, "RELOAD: the arena is loaded, and RESIDENT says so");

	good = good && raw_run(raw, arena_command(arena, FIXAR_OPCODE_ACT, rows)) &&
	       !step_act(arena->twin, rows, batch.step.observation, expected, 0) &&
	       arena_expect(arena, "ACT", arena->output, expected, sizeof(expected)) &&
	       expect_statistics(arena, &none, 0);
	raw_report(raw, good, "ACT: the actions are this processor's");

	for (uint64_t step = 1; step <= 3 && good; step++)
		good = raw_run(raw, arena_command(arena, FIXAR_OPCODE_TRAIN, count)) &&
		       !step_train(arena->twin, &batch.step, &statistics) &&
		       expect_statistics(arena, &statistics, step) &&
		       arena_expect(arena, "TRAIN", 0, arena->image, arena->end);
	raw_report(raw, good, "TRAIN: state and statistics are this processor's, three times");

	if (good) {
		struct step_range ranges[2 * 3 * STEP_CLASSES];

		step_read_ranges(arena->twin, ranges);
		good = raw_run(raw, arena_command(arena, FIXAR_OPCODE_READ_RANGES, 0)) &&
		       arena_expect(arena, "READ_RANGES", 0, arena->image, arena->end);
	}
	raw_report(raw, good, "READ_RANGES: the ranges of the weights are this processor's");

	good = good && raw_expect(raw, "SAMPLES", counter(raw, FIXAR_COUNTER_SAMPLES) - samples, 3 * count) &&
	       raw_expect(raw, "ACTIONS", counter(raw, FIXAR_COUNTER_ACTIONS) - actions, rows) &&
	       raw_expect(raw, "MACS has moved", counter(raw, FIXAR_COUNTER_MACS) != macs, 1) &&
	       raw_expect(raw, "WRITE_BYTES has moved", counter(raw, FIXAR_COUNTER_WRITE_BYTES) > written, 1);
	raw_report(raw, good, "counters: SAMPLES, ACTIONS, MACS and WRITE_BYTES count");
	if (good) {
		const uint32_t now = raw_get(raw, FIXAR_CORE_PROGRESS);

		good = raw_expect(raw, "PROGRESS has moved", now != progress, 1);
		usleep(200000);
		good = good && raw_expect(raw, "PROGRESS of an idle core", raw_get(raw, FIXAR_CORE_PROGRESS), now);
	}
	raw_report(raw, good, "PROGRESS: moves with commands, and stands still without");
	raw_set(raw, FIXAR_WINDOW_BASE_LO, (uint32_t)arena->base);
	raw_report(raw,
		   good && raw_expect(raw, "STATUS.RESIDENT",
				      raw_get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_RESIDENT, 0),
		   "windows: a write of the same value clears RESIDENT");
	free(batch.bytes);
}

/* ---- Life ---- */

static int prepare(struct arena *arena, char reason[256])
{
	struct raw *raw = arena->raw;
	const uint64_t size = raw_get(raw, FIXAR_ID_MEMORY_SIZE_LO) | (uint64_t)raw_get(raw, FIXAR_ID_MEMORY_SIZE_HI)
									      << 32;
	const uint64_t base = raw_get(raw, FIXAR_ID_MEMORY_BASE_LO) | (uint64_t)raw_get(raw, FIXAR_ID_MEMORY_BASE_HI)
									      << 32;
	struct fixar_batch_layout batch;
	size_t bytes;

	arena->config = (struct step_config){
		.observation_dim = 3,
		.action_dim = 1,
		.hidden_count = 2,
		.hidden = { 64, 64 },
		.batch_max = 2048,
		.seed = 7,
		.hyper = usual,
	};
	if (raw_get(raw, FIXAR_ID_MAX_WIDTH) < 64 || raw_get(raw, FIXAR_ID_MAX_HIDDEN) < 2 ||
	    raw_get(raw, FIXAR_ID_MAX_BATCH) < arena->config.batch_max ||
	    raw_get(raw, FIXAR_ID_ARENA_SCHEMA) != FIXAR_ARENA_SCHEMA) {
		snprintf(reason, 256, "they need networks of 64-64, batches of %u and arenas of schema %u",
			 arena->config.batch_max, FIXAR_ARENA_SCHEMA);
		return 0;
	}
	arena->tensor_count = step_layout(&arena->config, arena->tensors, ARENA_TENSORS, &bytes);
	fixar_batch_layout(arena->config.batch_max, arena->config.observation_dim, arena->config.action_dim, &batch);
	arena->state_bytes = bytes;
	arena->end = FIXAR_ARENA_STATE + bytes;
	arena->input = fixar_arena_align(arena->end);
	arena->output = arena->input + fixar_arena_align(batch.bytes);
	arena->statistics = arena->output + 4096;
	arena->limit = (arena->statistics + 2 * 4096) & ~UINT64_C(4095);
	arena->memory_base = base;
	arena->memory_size = size;
	arena->base = base + ARENA_PLACE;
	if (size < ARENA_PLACE + 2 * arena->limit) {
		snprintf(reason, 256, "card memory has only %llu bytes", (unsigned long long)size);
		return 0;
	}
	return 1;
}

static int create(struct arena *arena)
{
	struct fixar_arena_header header = {
		.magic = FIXAR_ARENA_MAGIC,
		.schema = FIXAR_ARENA_SCHEMA,
		.header_bytes = sizeof(header),
		.state_offset = FIXAR_ARENA_STATE,
		.state_bytes = arena->state_bytes,
		.seed = arena->config.seed,
		.observation_dim = arena->config.observation_dim,
		.action_dim = arena->config.action_dim,
		.batch_max = arena->config.batch_max,
		.hidden_count = arena->config.hidden_count,
	};

	memcpy(header.hidden, arena->config.hidden, arena->config.hidden_count * sizeof(header.hidden[0]));
	arena->image = aligned_alloc(4096, (arena->end + 4095) & ~UINT64_C(4095));
	arena->guard = malloc(2 * ARENA_GUARD);
	if (!arena->image || !arena->guard)
		return 0;
	memset(arena->image, 0, FIXAR_ARENA_STATE);
	memcpy(arena->image, &header, sizeof(header));
	fill(arena->guard, 2 * ARENA_GUARD, 99);
	return !step_agent_create(&arena->config, arena->image + FIXAR_ARENA_STATE, pe_engine_find(NULL), NULL,
				  &arena->twin);
}

/* What lies before the window and behind it. ECC memory is written before it is read, and whole. */
static int write_guards(struct arena *arena)
{
	unsigned char *zeros = calloc(1, arena->limit);
	const int good =
		zeros && arena_write(arena, 0, zeros, arena->limit) &&
		raw_memory_write(arena->raw, &arena->memory, arena->base - ARENA_GUARD, arena->guard, ARENA_GUARD) &&
		arena_write(arena, arena->limit, arena->guard + ARENA_GUARD, ARENA_GUARD);

	free(zeros);
	return good;
}

int arena_expect_guards(struct arena *arena)
{
	return arena_expect(arena, "before the window", 0 - (uint64_t)ARENA_GUARD, arena->guard, ARENA_GUARD) &&
	       arena_expect(arena, "behind the window", arena->limit, arena->guard + ARENA_GUARD, ARENA_GUARD);
}

void raw_test_arena(struct raw *raw, const struct card_place *place)
{
	static const char what[] =
		"commands on an arena, checks 6 to 12, window limits, refusals while busy, soft reset "
		"within a command";
	struct arena arena = { .raw = raw };
	char reason[256] = "";
	int good;

	if (!prepare(&arena, reason) || raw_memory_open(raw, &arena.memory, place, reason)) {
		conform_skip(raw->conform, what, reason);
		return;
	}
	good = create(&arena) && write_guards(&arena) && arena_restore(&arena) &&
	       arena_expect(&arena, "a copy", 0, arena.image, arena.end) && arena_expect_guards(&arena);
	raw_report(raw, good, "memory: what is copied to the card comes back, and no byte beside it has changed");
	if (good) {
		test_good(&arena);
		arena_test_checks(&arena);
		arena_test_busy(&arena);
		raw_report(raw, arena_expect_guards(&arena),
			   "windows: whatever was done, no byte beside the window has changed");
	}
	raw_memory_close(raw, &arena.memory);
	step_agent_destroy(arena.twin);
	free(arena.image);
	free(arena.guard);
}
