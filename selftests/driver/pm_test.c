// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep: an arena in card memory keeps the machine awake; without one the card goes to sleep and comes back, and what was
 * open and mapped works on.
 *
 * With the kernel's own test mode, which suspends all devices, waits, and resumes them. Needs root and CONFIG_PM_DEBUG.
 */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE (1u << 20)
#define TRACING "/sys/kernel/tracing/"
#define STATES TRACING "events/fixar/fixar_state/enable"

FIXTURE(pm)
{
	int fd;
};

FIXTURE_SETUP(pm)
{
	FIXAR_OPEN(self->fd);
	if (access("/sys/power/pm_test", W_OK) || access(STATES, W_OK))
		SKIP(return, "needs root, CONFIG_PM_DEBUG and tracing");
}

FIXTURE_TEARDOWN(pm)
{
	close(self->fd);
}

/* All devices go to sleep and come back. Return: 0, or what the kernel says. */
static int sleep_and_wake(void)
{
	int ret = fixar_write_file("/sys/power/pm_test", "devices");

	if (ret)
		return ret;
	/* Seconds between; not to be set everywhere. */
	fixar_write_file("/sys/module/suspend/parameters/pm_test_delay", "1");
	ret = fixar_write_file("/sys/power/state", "freeze");
	fixar_write_file("/sys/power/pm_test", "none");
	return ret;
}

/* An arena goes with the end of its last job, for which nobody who destroys it waits. */
static bool no_arena_is_left(int fd)
{
	struct drm_fixar_query_memory memory;
	int tries;

	for (tries = 0; tries < 600; tries++) {
		if (fixar_query(fd, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)))
			return false;
		if (!memory.contexts)
			return true;
		usleep(100000);
	}
	return false;
}

/* How often `what` occurs in the trace. */
static int traced(const char *what)
{
	FILE *trace = fopen(TRACING "trace", "r");
	char line[512];
	int count = 0;

	while (trace && fgets(line, sizeof(line), trace))
		count += strstr(line, what) != NULL;
	if (trace)
		fclose(trace);
	return count;
}

static int up_and_down(int fd, uint32_t ctx, struct fixar_buffer *buffer, uint64_t seed)
{
	uint32_t crc;
	int ret;

	fixar_fill(buffer->map, PIECE, seed);
	crc = fixar_crc(buffer->map, PIECE);
	fixar_buffer_fini(fd, buffer->handle, DRM_FIXAR_BO_WRITE);
	ret = fixar_copy_wait(fd, ctx, DRM_FIXAR_QUEUE_H2C, buffer->handle, 0, 0, PIECE);
	if (ret)
		return ret;
	fixar_buffer_prep(fd, buffer->handle, DRM_FIXAR_BO_WRITE, INT64_MAX);
	memset(buffer->map, 0, PIECE);
	fixar_buffer_fini(fd, buffer->handle, DRM_FIXAR_BO_WRITE);
	ret = fixar_copy_wait(fd, ctx, DRM_FIXAR_QUEUE_C2H, buffer->handle, 0, 0, PIECE);
	if (!ret)
		ret = fixar_buffer_prep(fd, buffer->handle, DRM_FIXAR_BO_READ, INT64_MAX);
	if (!ret && fixar_crc(buffer->map, PIECE) != crc)
		ret = -EILSEQ;
	return ret ? ret : fixar_nops_wait(fd, ctx, 20);
}

FIXAR_TEST(pm, an_arena_keeps_the_machine_awake)
{
	struct drm_fixar_ctx_query query;
	struct fixar_buffer buffer;
	uint32_t ctx;

	ASSERT_EQ(fixar_buffer_create(self->fd, PIECE, &buffer), 0);
	ASSERT_EQ(fixar_context_create(self->fd, PIECE, &ctx), 0);
	ASSERT_EQ(up_and_down(self->fd, ctx, &buffer, 1), 0);
	EXPECT_EQ(sleep_and_wake(), -EBUSY);
	/* The other devices were on their way. */
	EXPECT_EQ(up_and_down(self->fd, ctx, &buffer, 2), 0);
	ASSERT_EQ(fixar_context_query(self->fd, ctx, &query), 0);
	EXPECT_EQ(query.state, DRM_FIXAR_CTX_OK);
}

FIXAR_TEST(pm, the_card_sleeps_and_comes_back)
{
	struct drm_fixar_query_counters before, after;
	struct fixar_buffer buffer;
	int round, trace;
	uint32_t ctx;

	/* A buffer stays mapped for the card all the time. */
	ASSERT_EQ(fixar_buffer_create(self->fd, PIECE, &buffer), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &before, sizeof(before)), 0);
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(fixar_context_create(self->fd, PIECE, &ctx), 0);
		ASSERT_EQ(up_and_down(self->fd, ctx, &buffer, 3 + round), 0);
		ASSERT_EQ(fixar_context_destroy(self->fd, ctx), 0);
		ASSERT_TRUE(no_arena_is_left(self->fd));
		trace = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC); /* which empties it */
		ASSERT_GE(trace, 0);
		close(trace);
		ASSERT_EQ(fixar_write_file(STATES, "1"), 0);
		EXPECT_EQ(sleep_and_wake(), 0);
		fixar_write_file(STATES, "0");
		/* Numbers of enum fixar_state. There may be more cards than this one. */
		EXPECT_GE(traced("from=1 to=3"), 1);
		EXPECT_EQ(traced("from=3 to=1"), traced("from=1 to=3"));
	}
	ASSERT_EQ(fixar_context_create(self->fd, PIECE, &ctx), 0);
	EXPECT_EQ(up_and_down(self->fd, ctx, &buffer, 9), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &after, sizeof(after)), 0);
	EXPECT_EQ(after.device_resets, before.device_resets);
	EXPECT_EQ(after.lost_interrupts, before.lost_interrupts);
}

TEST_HARNESS_MAIN
