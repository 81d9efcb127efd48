// SPDX-License-Identifier: GPL-2.0-only
/* Jobs: arguments, all or nothing, dependencies, synchronization objects, channels, limits. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

FIXTURE(job)
{
	int fd;
	uint32_t ctx;
	struct fixar_buffer buffer;
	struct drm_fixar_query_device device;
};

FIXTURE_SETUP(job)
{
	FIXAR_OPEN(self->fd);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, &self->device, sizeof(self->device)), 0);
	ASSERT_EQ(fixar_context_create(self->fd, 1 << 20, &self->ctx), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, 1 << 20, &self->buffer), 0);
}

FIXTURE_TEARDOWN(job)
{
	close(self->fd);
}

static uint64_t submitted(int fd, uint32_t ctx)
{
	struct drm_fixar_ctx_query query;

	fixar_context_query(fd, ctx, &query);
	return query.jobs_submitted;
}

FIXAR_TEST(job, operations_run)
{
	uint32_t count;

	for (count = 1; count <= self->device.max_operations; count++)
		ASSERT_EQ(fixar_nops_wait(self->fd, self->ctx, count), 0);
}

FIXAR_TEST(job, wrong_jobs_are_refused)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP }, op;
	struct drm_fixar_copy good = { .bo = self->buffer.handle, .size = 64 }, copy;
	const struct drm_fixar_job core = { .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1) };
	struct drm_fixar_job job;
	struct drm_fixar_submit submit = {};
	const uint64_t before = submitted(self->fd, self->ctx);

#define REFUSED(error) EXPECT_EQ(fixar_submit(self->fd, &job, 1), error)
#define JOB(field, value, error) do { job = core; job.field = value; REFUSED(error); } while (0)
	JOB(ctx, 0, -ENOENT);
	JOB(ctx, 4711, -ENOENT);
	JOB(queue, 3, -EINVAL);
	JOB(flags, 2, -EINVAL);
	JOB(flags, DRM_FIXAR_JOB_CHANNEL, -EINVAL); /* never for the core */
	JOB(channel, 1, -EINVAL);
	JOB(depends, 1, -EINVAL); /* itself */
	JOB(depends, 1ULL << 63, -EINVAL);
	JOB(operations.count, 0, -EINVAL);
	JOB(operations.count, self->device.max_operations + 1, -E2BIG);
	JOB(operations.stride, 0, -EINVAL);
	JOB(operations.stride, sizeof(nop) - 8, -EINVAL);
	JOB(operations.stride, sizeof(nop) + 4, -EINVAL);
	JOB(operations.stride, 1 << 20, -E2BIG);
	JOB(operations.array, 0, -EFAULT);
	JOB(operations.array, (uintptr_t)&nop + 4, -EINVAL);
	JOB(operations.array, UINT64_MAX - 7, -EFAULT);
	JOB(in_syncs.stride, 16, -EINVAL); /* of no element */
	JOB(in_syncs.count, 17, -EINVAL);

#define OP(field, value, error)                                                  \
	do {                                                                     \
		op = nop;                                                        \
		op.field = value;                                                \
		job = core;                                                      \
		job.operations.array = (uintptr_t)&op;                           \
		REFUSED(error);                                                  \
	} while (0)
	OP(type, 0, -EINVAL);
	OP(type, 6, -EINVAL);
	OP(type, UINT32_MAX, -EINVAL);
	OP(flags, DRM_FIXAR_OP_EXPLORE, -EINVAL);
	OP(count, 1, -EINVAL);
	OP(pad, 1, -EINVAL);
	OP(input, 64, -EINVAL);
	OP(output, 64, -EINVAL);
	OP(statistics, 64, -EINVAL);
	const struct drm_fixar_operation act = { .type = DRM_FIXAR_OP_ACT, .count = 1, .input = 8192, .output = 16384 };
	const struct drm_fixar_operation train = { .type = DRM_FIXAR_OP_TRAIN, .count = 1, .input = 8192 };

#define ACT(from, field, value, error)                                           \
	do {                                                                     \
		op = from;                                                       \
		op.field = value;                                                \
		job = core;                                                      \
		job.operations.array = (uintptr_t)&op;                           \
		REFUSED(error);                                                  \
	} while (0)
	ACT(act, flags, 4, -EINVAL);
	ACT(act, count, 0, -EINVAL);
	ACT(act, count, self->device.max_batch + 1, -EINVAL);
	ACT(act, input, 0, -EINVAL);
	ACT(act, input, 8192 + 32, -EINVAL);
	ACT(act, input, 1 << 20, -ERANGE);
	ACT(act, output, 0, -EINVAL);
	ACT(act, output, 16384 + 1, -EINVAL);
	ACT(act, output, 1ULL << 40, -ERANGE);
	ACT(act, statistics, 63, -EINVAL);
	ACT(act, statistics, UINT64_MAX - 63, -ERANGE);
	ACT(train, output, 16384, -EINVAL);
	ACT(train, flags, DRM_FIXAR_OP_EXPLORE, -EINVAL);
	ACT(train, count, 0, -EINVAL);

#define COPY(field, value, error)                                                \
	do {                                                                     \
		copy = good;                                                     \
		copy.field = value;                                              \
		job = core;                                                      \
		job.queue = DRM_FIXAR_QUEUE_H2C;                                 \
		job.operations = ARRAY_OF(&copy, 1);                             \
		REFUSED(error);                                                  \
	} while (0)
	COPY(bo, 0, -ENOENT);
	COPY(bo, 4711, -ENOENT);
	COPY(flags, 1, -EINVAL);
	COPY(size, 0, -EINVAL);
	COPY(size, (1 << 20) + 1, -ERANGE);
	COPY(size, UINT64_MAX, -ERANGE);
	COPY(bo_offset, (1 << 20) - 63, -ERANGE);
	COPY(bo_offset, UINT64_MAX - 63, -ERANGE);
	COPY(arena_offset, (1 << 20) - 63, -ERANGE);
	COPY(arena_offset, UINT64_MAX - 10, -ERANGE);
	job = core;
	job.queue = DRM_FIXAR_QUEUE_C2H;
	job.operations = ARRAY_OF(&good, 1);
	job.flags = DRM_FIXAR_JOB_CHANNEL;
	job.channel = self->device.c2h_channels;
	REFUSED(-EINVAL);

	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -EINVAL);
	job = core;
	submit.jobs = ARRAY_OF(&job, DRM_FIXAR_MAX_JOBS + 1);
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -EINVAL);
	submit.jobs = ARRAY_OF(&job, 1);
	submit.flags = 1;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -EINVAL);
	submit.flags = 0;
	submit.pad = 1;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -EINVAL);
	submit.pad = 0;
	submit.jobs.stride -= 8;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -EINVAL);

	/* None of them was counted, and all works as before. */
	EXPECT_EQ(submitted(self->fd, self->ctx), before);
	EXPECT_EQ(fixar_nops_wait(self->fd, self->ctx, 1), 0);
}

/* Elements may be longer than the driver knows, if the rest is 0. */
FIXAR_TEST(job, elements_may_grow)
{
	struct {
		struct drm_fixar_operation operation;
		uint64_t more;
	} long_operations[2] = { { { .type = DRM_FIXAR_OP_NOP }, 0 }, { { .type = DRM_FIXAR_OP_NOP }, 0 } };
	struct {
		struct drm_fixar_job job;
		uint64_t more[3];
	} long_job = {};

	long_job.job = (struct drm_fixar_job){ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE,
					       .operations = ARRAY_OF(long_operations, 2) };
	struct drm_fixar_submit submit = { .jobs = ARRAY_OF(&long_job, 1) };

	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), 0);
	long_operations[1].more = 1;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -E2BIG);
	long_operations[1].more = 0;
	long_job.more[2] = 1;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_SUBMIT, &submit), -E2BIG);
}

/* One wrong job of many: none runs, no out-fence is attached, and no synchronization object is touched. */
FIXAR_TEST(job, all_or_nothing)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync out = {};
	struct drm_fixar_job jobs[DRM_FIXAR_MAX_JOBS] = {};
	struct drm_fixar_ctx_query query;
	uint32_t i;
	int round;

	ASSERT_EQ(fixar_sync_create(self->fd, &out.handle), 0);
	for (i = 0; i < DRM_FIXAR_MAX_JOBS; i++)
		jobs[i] = (struct drm_fixar_job){ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE,
						  .operations = ARRAY_OF(&nop, 1), .out_syncs = ARRAY_OF(&out, 1) };
	const uint64_t before = submitted(self->fd, self->ctx);

	for (round = 0; round < 50; round++) {
		jobs[DRM_FIXAR_MAX_JOBS - 1].queue = 9;
		ASSERT_EQ(fixar_submit(self->fd, jobs, DRM_FIXAR_MAX_JOBS), -EINVAL);
	}
	EXPECT_EQ(submitted(self->fd, self->ctx), before);
	/* No fence was attached, so there is nothing to wait for. */
	EXPECT_EQ(fixar_sync_wait(self->fd, out.handle, FIXAR_SECOND / 10), -EINVAL);
	jobs[DRM_FIXAR_MAX_JOBS - 1].queue = DRM_FIXAR_QUEUE_CORE;
	ASSERT_EQ(fixar_submit(self->fd, jobs, DRM_FIXAR_MAX_JOBS), 0);
	ASSERT_EQ(fixar_sync_wait(self->fd, out.handle, FIXAR_PATIENCE), 0);
	ASSERT_EQ(fixar_context_query(self->fd, self->ctx, &query), 0);
	EXPECT_EQ(query.jobs_submitted, before + DRM_FIXAR_MAX_JOBS);
	EXPECT_EQ(query.jobs_finished, query.jobs_submitted);
}

/* Upload, run and download are one call. The download sees what the upload brought. */
FIXAR_TEST(job, jobs_depend_on_earlier_ones)
{
	struct drm_fixar_copy up = { .bo = self->buffer.handle, .bo_offset = 100, .arena_offset = 8000, .size = 5000 };
	struct drm_fixar_copy down = { .bo = self->buffer.handle, .bo_offset = 500001, .arena_offset = 8000, .size = 5000 };
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync out = {};
	struct drm_fixar_job jobs[3] = {
		{ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(&up, 1) },
		{ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1), .depends = 1 },
		{ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_C2H, .operations = ARRAY_OF(&down, 1), .depends = 2,
		  .out_syncs = ARRAY_OF(&out, 1) },
	};
	int round;

	ASSERT_EQ(fixar_sync_create(self->fd, &out.handle), 0);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->buffer.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		fixar_fill(self->buffer.map, self->buffer.size, 100 + round);
		ASSERT_EQ(fixar_buffer_fini(self->fd, self->buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		ASSERT_EQ(fixar_submit(self->fd, jobs, 3), 0);
		ASSERT_EQ(fixar_sync_wait(self->fd, out.handle, FIXAR_PATIENCE), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->buffer.handle, DRM_FIXAR_BO_READ, 0), 0);
		ASSERT_EQ(memcmp(self->buffer.map + 100, self->buffer.map + 500001, 5000), 0);
	}
}

FIXAR_TEST(job, timelines_and_binary_fences)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync in = { .flags = DRM_FIXAR_SYNC_TIMELINE };
	struct drm_fixar_sync outs[2] = { { .flags = DRM_FIXAR_SYNC_TIMELINE }, {} };
	struct drm_fixar_job job = { .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1),
				     .out_syncs = ARRAY_OF(outs, 2) };
	uint32_t i;

	ASSERT_EQ(fixar_sync_create(self->fd, &outs[0].handle), 0);
	ASSERT_EQ(fixar_sync_create(self->fd, &outs[1].handle), 0);
	in.handle = outs[0].handle;
	for (i = 1; i <= 10; i++) {
		outs[0].timeline_value = i;
		ASSERT_EQ(fixar_submit(self->fd, &job, 1), 0);
		in.timeline_value = i;
		job.in_syncs = ARRAY_OF(&in, 1);
	}
	EXPECT_EQ(fixar_sync_wait_point(self->fd, outs[0].handle, 10, FIXAR_PATIENCE), 0);
	EXPECT_EQ(fixar_sync_wait(self->fd, outs[1].handle, 0), 0);
	/* A point that nobody has promised. */
	in.timeline_value = 11;
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EINVAL);
	/* A point for a binary object, a timeline without one, an unknown flag, no object. */
	in.timeline_value = 1;
	in.flags = 0;
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EINVAL);
	in = (struct drm_fixar_sync){ .handle = outs[0].handle, .flags = DRM_FIXAR_SYNC_TIMELINE };
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EINVAL);
	in = (struct drm_fixar_sync){ .handle = outs[1].handle, .flags = 2 };
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EINVAL);
	in = (struct drm_fixar_sync){ .handle = 9999 };
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -ENOENT);
	job.in_syncs.count = 0;
	job.in_syncs.stride = 0;
	outs[1].handle = 9999;
	outs[0].timeline_value = 11;
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -ENOENT);
	/* A binary object that has no fence yet. */
	ASSERT_EQ(fixar_sync_create(self->fd, &outs[1].handle), 0);
	in = (struct drm_fixar_sync){ .handle = outs[1].handle };
	job.in_syncs = ARRAY_OF(&in, 1);
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EINVAL);
}

/* Jobs of a queue run in their order, whatever channel they are on; and wait for their in-fences. */
FIXAR_TEST(job, order_of_a_queue_across_channels)
{
	struct drm_fixar_copy copies[2] = {
		{ .bo = self->buffer.handle, .bo_offset = 0, .size = 256 << 10 },
		{ .bo = self->buffer.handle, .bo_offset = 256 << 10, .size = 1 },
	};
	struct drm_fixar_job jobs[2] = {
		{ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_H2C, .flags = DRM_FIXAR_JOB_CHANNEL,
		  .operations = ARRAY_OF(&copies[0], 1) },
		{ .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_H2C, .flags = DRM_FIXAR_JOB_CHANNEL,
		  .operations = ARRAY_OF(&copies[1], 1) },
	};
	int round;

	if (self->device.h2c_channels < 2)
		SKIP(return, "the card has one channel");
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->buffer.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		memset(self->buffer.map, 1, 256 << 10);
		self->buffer.map[256 << 10] = 2;
		ASSERT_EQ(fixar_buffer_fini(self->fd, self->buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		/* The short copy on the other channel would win the race for the last byte. */
		copies[1].arena_offset = (256 << 10) - 1;
		jobs[0].channel = round & 1;
		jobs[1].channel = !(round & 1);
		ASSERT_EQ(fixar_submit(self->fd, &jobs[0], 1), 0);
		ASSERT_EQ(fixar_submit(self->fd, &jobs[1], 1), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->buffer.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, self->ctx, DRM_FIXAR_QUEUE_C2H, self->buffer.handle, 300 << 10, 0, 256 << 10), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->buffer.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
		ASSERT_EQ(self->buffer.map[(300 << 10) + (256 << 10) - 2], 1);
		ASSERT_EQ(self->buffer.map[(300 << 10) + (256 << 10) - 1], 2);
	}
}

FIXAR_TEST(job, waits_end_with_the_context)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync in = {}, out = {};
	struct drm_fixar_job job = { .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1),
				     .in_syncs = ARRAY_OF(&in, 1), .out_syncs = ARRAY_OF(&out, 1) };
	struct fixar_gate gate;
	int file;

	if (fixar_gate_create(4096, true, &gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	ASSERT_EQ(fixar_gate_sync(self->fd, &gate, &in.handle), 0);
	ASSERT_EQ(fixar_sync_create(self->fd, &out.handle), 0);
	ASSERT_EQ(fixar_submit(self->fd, &job, 1), 0);
	file = fixar_sync_to_file(self->fd, out.handle);
	ASSERT_GE(file, 0);
	EXPECT_EQ(fixar_sync_wait(self->fd, out.handle, FIXAR_SECOND / 10), -ETIME);
	EXPECT_EQ(fixar_sync_file_status(file), 0);
	ASSERT_EQ(fixar_context_destroy(self->fd, self->ctx), 0);
	EXPECT_EQ(fixar_sync_wait(self->fd, out.handle, FIXAR_PATIENCE), 0);
	EXPECT_EQ(fixar_sync_file_status(file), -ECANCELED);
	close(file);
	fixar_gate_destroy(&gate);
}

FIXAR_TEST(job, a_context_has_so_many_unfinished_jobs_and_no_more)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync in = {};
	struct drm_fixar_job job = { .ctx = self->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1) };
	struct fixar_gate gate;
	uint32_t i, other;
	int ret = 0;

	if (fixar_gate_create(4096, true, &gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	/* The zeros of the arena are a job, too. */
	ASSERT_EQ(fixar_nops_wait(self->fd, self->ctx, 1), 0);
	ASSERT_EQ(fixar_gate_sync(self->fd, &gate, &in.handle), 0);
	job.in_syncs = ARRAY_OF(&in, 1);
	for (i = 0; i < self->device.max_pending && !ret; i++)
		ret = fixar_submit(self->fd, &job, 1);
	EXPECT_EQ(ret, 0);
	EXPECT_EQ(fixar_submit(self->fd, &job, 1), -EBUSY);
	/* Nobody else is disturbed. */
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &other), 0);
	EXPECT_EQ(fixar_nops_wait(self->fd, other, 5), 0);
	ASSERT_EQ(fixar_gate_signal(&gate), 0);
	/* The order of the queue: this one is behind all of them. */
	do {
		ret = fixar_nops_wait(self->fd, self->ctx, 1);
	} while (ret == -EBUSY);
	EXPECT_EQ(ret, 0);
	fixar_gate_destroy(&gate);
}

TEST_HARNESS_MAIN
