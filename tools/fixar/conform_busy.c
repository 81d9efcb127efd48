// SPDX-License-Identifier: MIT
/* fixar conform --raw: accesses while the core is not idle, and a soft reset in the middle of a TRAIN. */
#include <stdio.h>
#include <stdlib.h>

#include "conform_arena.h"

/* ---- While the core is not idle ---- */

static int expect_not_taken(struct arena *arena, uint32_t offset)
{
	struct raw *raw = arena->raw;
	const uint32_t before = raw_get(raw, offset);

	raw_set(raw, offset, before ^ 0x1000);
	return raw_expect_register(raw, offset, before) && raw_expect_refused(raw, offset);
}

static int expect_all_refused(struct arena *arena)
{
	static const uint32_t offsets[] = { FIXAR_MODE_PRECISION, FIXAR_MODE_TAU,	FIXAR_MODE_GRADIENT_SCALE,
					    FIXAR_WINDOW_BASE_LO, FIXAR_WINDOW_BASE_HI, FIXAR_WINDOW_LIMIT_LO,
					    FIXAR_WINDOW_LIMIT_HI };
	int good = 1;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]) && good; i++)
		good = expect_not_taken(arena, offsets[i]);
	return good;
}

/* A whole queue of long trainings. What is said of it must be quick: a card may take a millisecond for each. */
static void fill_queue(struct arena *arena)
{
	const struct raw_slot slot = arena_command(arena, FIXAR_OPCODE_TRAIN, arena->config.batch_max);
	struct raw *raw = arena->raw;

	for (uint32_t i = 1; i <= raw->depth; i++)
		raw_fill(raw, raw->sequence + i, slot);
	for (uint32_t i = 0; i < raw->depth; i++)
		raw_set(raw, FIXAR_CORE_DOORBELL, ++raw->sequence & FIXAR_CORE_SEQ);
	raw->sequence &= FIXAR_CORE_SEQ;
}

/* 1: as it should be, 0: not, -1: the commands were over before that was known. */
static int refusals_while_busy(struct arena *arena)
{
	struct raw *raw = arena->raw;
	const uint32_t slot = FIXAR_SLOT_BASE + raw->sequence % raw->depth * FIXAR_SLOT_BYTES;
	int good;

	/* The slot of the queue's last command. */
	good = expect_not_taken(arena, slot) && expect_all_refused(arena);
	if (good) {
		raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
		good = raw_expect_refused(raw, FIXAR_CORE_CONTROL);
	}
	/* The last one has not even begun: all of this was within the queue's time. */
	return raw_get(raw, FIXAR_CORE_COMPLETED_SEQ) == raw->sequence ? -1 : good;
}

static int doorbell_while_full(struct arena *arena)
{
	struct raw *raw = arena->raw;

	raw_set(raw, FIXAR_CORE_DOORBELL, (raw->sequence + 1) & FIXAR_CORE_SEQ);
	if (raw_get(raw, FIXAR_CORE_COMPLETED_SEQ) != ((raw->sequence - raw->depth) & FIXAR_CORE_SEQ))
		return -1;
	return raw_expect_refused(raw, FIXAR_CORE_DOORBELL);
}

#define TRIES 20

static void test_busy(struct arena *arena)
{
	struct raw *raw = arena->raw;
	unsigned char *undisturbed = malloc(arena->end);
	int good = undisturbed && arena_restore(arena), result = -1;

	fill_queue(arena);
	good = good && raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_BUSY, 0) &&
	       arena_read(arena, 0, undisturbed, arena->end);
	for (int i = 0; i < TRIES && good && result < 0; i++) {
		/* Of a try that came too late, writes were taken. */
		good = arena_restore(arena);
		fill_queue(arena);
		result = refusals_while_busy(arena);
		good = good && raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_BUSY, 0);
		raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ALL);
	}
	if (result < 0 && good)
		snprintf(raw->detail, sizeof(raw->detail), "the core is never busy for as long as some accesses take");
	raw_report(raw, good && result > 0,
		   "busy: modes, windows, RESUME and the slots of queued commands are refused");
	good = good && arena_expect(arena, "TRAIN", 0, undisturbed, arena->end);
	raw_report(raw, good, "busy: the commands that ran meanwhile did what they do undisturbed");
	free(undisturbed);

	result = -1;
	for (int i = 0; i < TRIES && result < 0; i++) {
		arena_restore(arena);
		fill_queue(arena);
		result = doorbell_while_full(arena);
		raw_soft_reset(raw);
	}
	if (result < 0)
		snprintf(raw->detail, sizeof(raw->detail), "the first command is over before the queue is full");
	raw_report(raw, result > 0, "busy: a doorbell for a full queue is refused");
}

static void test_halted(struct arena *arena)
{
	struct raw *raw = arena->raw;
	int good = arena_restore(arena);

	raw_set(raw, FIXAR_MODE_TAU, 0);
	raw_ring(raw, arena_command(arena, FIXAR_OPCODE_TRAIN, 1), false);
	good = good && raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_HALTED, FIXAR_CORE_STATUS_HALTED) &&
	       expect_all_refused(arena);
	raw_report(raw, good, "halted: modes and windows are refused");
	raw_soft_reset(raw);
}

/* A soft reset that cuts a TRAIN: nothing but the state may have changed, and the next agent is not affected. */
static void test_cut(struct arena *arena, const struct arena_batch *batch)
{
	struct raw *raw = arena->raw;
	const uint32_t count = batch->step.size;
	const uint32_t before = raw_get(raw, FIXAR_COUNTER_SAMPLES);
	struct step_statistics unused;
	int good = arena_restore(arena);

	fill_queue(arena);
	raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_SOFT_RESET);
	good = good && raw_soft_reset(raw) &&
	       raw_expect(raw, "whether all trainings were done before it",
			  raw_get(raw, FIXAR_COUNTER_SAMPLES) - before == raw->depth * count, 0) &&
	       raw_expect_register(raw, FIXAR_CORE_COMPLETED_SEQ, 0) &&
	       raw_expect_register(raw, FIXAR_CORE_INT_STATUS, 0) && raw_expect_register(raw, FIXAR_CORE_ERROR_INFO, 0);
	raw_report(raw, good, "soft reset in a TRAIN: the queue is empty, and that is no error");
	good = good && arena_expect(arena, "the header", 0, arena->image, sizeof(struct fixar_arena_header)) &&
	       arena_expect(arena, "the batch", arena->input, batch->bytes, batch->size);
	raw_report(raw, good, "soft reset in a TRAIN: header and batch are as they were");
	good = good && arena_restore(arena) && raw_run(raw, arena_command(arena, FIXAR_OPCODE_TRAIN, count)) &&
	       !step_train(arena->twin, &batch->step, &unused) &&
	       arena_expect(arena, "TRAIN", 0, arena->image, arena->end);
	raw_report(raw, good, "soft reset in a TRAIN: the next one is this processor's again");
}

void arena_test_busy(struct arena *arena)
{
	struct arena_batch batch;

	if (!arena_batch_create(arena, arena->config.batch_max, &batch)) {
		raw_report(arena->raw, 0, "busy: a large batch is written");
	} else {
		test_busy(arena);
		test_halted(arena);
		test_cut(arena, &batch);
	}
	free(batch.bytes);
}
