// SPDX-License-Identifier: GPL-2.0-only
/* A job that fails costs its own context, which says why, and nobody else anything. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

/* Of the card's contract: FIXAR_ERROR_HEADER and others. */
#define ERROR_WINDOW 10
#define ERROR_HEADER 5

FIXTURE(fault)
{
	int fd;
	uint32_t bad;
	uint32_t good;
};

FIXTURE_SETUP(fault)
{
	FIXAR_OPEN(self->fd);
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &self->bad), 0);
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &self->good), 0);
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
}

/* An arena of zeros has no header: the second operation of the job is refused, at offset 0. */
FIXAR_TEST(fault, a_refused_operation_is_reported)
{
	struct drm_fixar_operation operations[3] = {
		{ .type = DRM_FIXAR_OP_NOP },
		{ .type = DRM_FIXAR_OP_TRAIN, .count = 1, .input = 8192 },
		{ .type = DRM_FIXAR_OP_NOP },
	};
	struct drm_fixar_ctx_query query;
	struct drm_fixar_mode mode;
	uint32_t sync, again;
	int file;

	ASSERT_EQ(fixar_sync_create(self->fd, &sync), 0);
	ASSERT_EQ(fixar_run(self->fd, self->bad, operations, 3, sync), 0);
	file = fixar_sync_to_file(self->fd, sync);
	/* The wait says nothing of it; the context and the fence do. */
	EXPECT_EQ(fixar_sync_wait(self->fd, sync, FIXAR_PATIENCE), 0);
	EXPECT_EQ(fixar_sync_file_status(file), -EIO);
	close(file);
	ASSERT_EQ(fixar_context_query(self->fd, self->bad, &query), 0);
	EXPECT_EQ(query.state, DRM_FIXAR_CTX_FAULTED);
	EXPECT_EQ(query.fault, DRM_FIXAR_FAULT_CORE);
	EXPECT_EQ(query.core_error, ERROR_HEADER);
	EXPECT_EQ(query.dma_status, 0);
	EXPECT_EQ(query.fault_queue, DRM_FIXAR_QUEUE_CORE);
	EXPECT_EQ(query.fault_operation, 1);
	EXPECT_EQ(query.fault_offset, 0);
	EXPECT_EQ(query.fault_job, query.jobs_submitted);

	/* Nothing more is taken, but questions are answered. */
	EXPECT_EQ(fixar_nops_wait(self->fd, self->bad, 1), -EIO);
	EXPECT_EQ(fixar_mode_get(self->fd, self->bad, &mode), 0);
	EXPECT_EQ(fixar_mode_set(self->fd, self->bad, &mode), 0);
	/* The neighbour does not notice. */
	EXPECT_EQ(fixar_nops_wait(self->fd, self->good, 64), 0);
	ASSERT_EQ(fixar_context_query(self->fd, self->good, &query), 0);
	EXPECT_EQ(query.state, DRM_FIXAR_CTX_OK);
	EXPECT_EQ(fixar_context_destroy(self->fd, self->bad), 0);
	EXPECT_EQ(fixar_context_create(self->fd, 65536, &again), 0);
	EXPECT_EQ(fixar_nops_wait(self->fd, again, 1), 0);
}

/* Jobs that are queued behind it end without running; those that depend on it are cancelled. */
FIXAR_TEST(fault, later_jobs_end_with_errors)
{
	struct drm_fixar_operation bad = { .type = DRM_FIXAR_OP_READ_RANGES };
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync outs[3] = {};
	struct drm_fixar_job jobs[3] = {
		{ .ctx = self->bad, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&bad, 1),
		  .out_syncs = ARRAY_OF(&outs[0], 1) },
		{ .ctx = self->bad, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1),
		  .out_syncs = ARRAY_OF(&outs[1], 1) },
		{ .ctx = self->good, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1), .depends = 1,
		  .out_syncs = ARRAY_OF(&outs[2], 1) },
	};
	struct drm_fixar_ctx_query query;
	const int expected[3] = { -EIO, -EIO, -ECANCELED };
	int i, file;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(fixar_sync_create(self->fd, &outs[i].handle), 0);
	ASSERT_EQ(fixar_submit(self->fd, jobs, 3), 0);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(fixar_sync_wait(self->fd, outs[i].handle, FIXAR_PATIENCE), 0);
		file = fixar_sync_to_file(self->fd, outs[i].handle);
		EXPECT_EQ(fixar_sync_file_status(file), expected[i]);
		close(file);
	}
	ASSERT_EQ(fixar_context_query(self->fd, self->good, &query), 0);
	EXPECT_EQ(query.state, DRM_FIXAR_CTX_OK);
	EXPECT_EQ(fixar_nops_wait(self->fd, self->good, 1), 0);
}

/* Many faults in turn with work of a neighbour between them: nothing is lost, nothing resets. */
FIXAR_TEST(fault, faults_in_a_row)
{
	/* More than the queue holds: doorbells are under way when the core halts, and are refused. */
	struct drm_fixar_operation bad[64] = {};
	struct drm_fixar_query_counters before, after;
	struct drm_fixar_ctx_query query;
	uint32_t ctx, sync;
	int round;

	for (round = 0; round < 64; round++)
		bad[round].type = round == 3 ? DRM_FIXAR_OP_RELOAD : DRM_FIXAR_OP_NOP;
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &before, sizeof(before)), 0);
	for (round = 0; round < 30; round++) {
		ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
		ASSERT_EQ(fixar_sync_create(self->fd, &sync), 0);
		ASSERT_EQ(fixar_run(self->fd, ctx, bad, 64, sync), 0);
		ASSERT_EQ(fixar_nops_wait(self->fd, self->good, 3), 0);
		ASSERT_EQ(fixar_sync_wait(self->fd, sync, FIXAR_PATIENCE), 0);
		ASSERT_EQ(fixar_context_query(self->fd, ctx, &query), 0);
		ASSERT_EQ(query.state, DRM_FIXAR_CTX_FAULTED);
		ASSERT_EQ(query.core_error, ERROR_HEADER);
		ASSERT_EQ(query.fault_operation, 3);
		ASSERT_EQ(fixar_context_destroy(self->fd, ctx), 0);
		fixar_sync_destroy(self->fd, sync);
	}
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &after, sizeof(after)), 0);
	EXPECT_EQ(after.core_resets, before.core_resets);
	EXPECT_EQ(after.device_resets, before.device_resets);
	EXPECT_EQ(after.lost_interrupts, before.lost_interrupts);
}

TEST_HARNESS_MAIN
