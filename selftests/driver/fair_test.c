// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fairness: 64 contexts are open, 8 processes submit as fast as they can. Bytes and commands of the process with most
 * are at most twice those of the one with least. FIXAR_TEST_FULL=1: for 30 s.
 */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define PROCESSES 8
#define CONTEXTS 8 /* of each */
#define DEPTH 4	   /* submissions under way of each */
#define PIECE 65536
#define NOPS 16

struct result {
	int error;
	uint64_t bytes;
	uint64_t commands;
};

FIXTURE(fair)
{
	int fd;
};

FIXTURE_SETUP(fair)
{
	FIXAR_OPEN(self->fd);
}

FIXTURE_TEARDOWN(fair)
{
	close(self->fd);
}

static int work(int start, int64_t seconds, struct result *result)
{
	struct drm_fixar_operation nops[NOPS] = {};
	struct drm_fixar_copy copy = { .size = PIECE };
	struct drm_fixar_sync outs[DEPTH] = {};
	uint32_t contexts[CONTEXTS], i, turn;
	struct fixar_buffer buffer;
	int fd = fixar_open_node();
	int64_t end;
	char byte;
	int ret;

	if (fd < 0)
		return fd;
	for (i = 0; i < CONTEXTS; i++) {
		ret = fixar_context_create(fd, 1 << 20, &contexts[i]);
		if (!ret)
			ret = fixar_nops_wait(fd, contexts[i], 1);
		if (ret)
			return ret;
	}
	for (i = 0; i < NOPS; i++)
		nops[i].type = DRM_FIXAR_OP_NOP;
	for (i = 0; i < DEPTH; i++) {
		ret = fixar_sync_create(fd, &outs[i].handle);
		if (ret)
			return ret;
	}
	ret = fixar_buffer_create(fd, PIECE, &buffer);
	if (ret)
		return ret;
	copy.bo = buffer.handle;
	/* All begin together: when the parent closes the other end. */
	if (read(start, &byte, 1))
		return -EIO;
	end = fixar_now() + seconds * FIXAR_SECOND;
	for (turn = 0; fixar_now() < end; turn++) {
		struct drm_fixar_job jobs[2] = {
			{ .ctx = contexts[turn % CONTEXTS], .queue = turn & 1 ? DRM_FIXAR_QUEUE_H2C : DRM_FIXAR_QUEUE_C2H,
			  .operations = ARRAY_OF(&copy, 1) },
			{ .ctx = contexts[turn % CONTEXTS], .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(nops, NOPS),
			  .depends = 1, .out_syncs = ARRAY_OF(&outs[turn % DEPTH], 1) },
		};

		if (turn >= DEPTH) {
			ret = fixar_sync_wait(fd, outs[turn % DEPTH].handle, FIXAR_PATIENCE);
			if (ret)
				return ret;
			result->bytes += PIECE;
			result->commands += NOPS;
		}
		ret = fixar_submit(fd, jobs, 2);
		if (ret)
			return ret;
	}
	return 0;
}

FIXAR_TEST(fair, within_a_factor_of_two)
{
	const int64_t seconds = fixar_full() ? 30 : 6;
	struct result result, least = { .bytes = UINT64_MAX, .commands = UINT64_MAX }, most = {};
	int start[2], results[2], i;
	pid_t children[PROCESSES];

	ASSERT_EQ(pipe(start), 0);
	ASSERT_EQ(pipe(results), 0);
	for (i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		ASSERT_GE(children[i], 0);
		if (!children[i]) {
			close(start[1]);
			memset(&result, 0, sizeof(result));
			result.error = work(start[0], seconds, &result);
			_exit(write(results[1], &result, sizeof(result)) != sizeof(result));
		}
	}
	/* Until all are ready: their contexts are open. */
	for (i = 0; i < 600; i++) {
		struct drm_fixar_query_memory memory;

		ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)), 0);
		if (memory.contexts >= PROCESSES * CONTEXTS)
			break;
		usleep(100000);
	}
	ASSERT_LT(i, 600);
	sleep(1);
	close(start[1]);
	for (i = 0; i < PROCESSES; i++) {
		ASSERT_EQ(read(results[0], &result, sizeof(result)), sizeof(result));
		ASSERT_EQ(result.error, 0);
		TH_LOG("%llu bytes, %llu commands", (unsigned long long)result.bytes, (unsigned long long)result.commands);
		if (result.bytes < least.bytes)
			least = result;
		if (result.bytes > most.bytes)
			most = result;
	}
	for (i = 0; i < PROCESSES; i++)
		waitpid(children[i], NULL, 0);
	EXPECT_GT(least.bytes, 0);
	EXPECT_LE(most.bytes, 2 * least.bytes);
	EXPECT_LE(most.commands, 2 * least.commands);
}

TEST_HARNESS_MAIN
