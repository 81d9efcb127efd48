// SPDX-License-Identifier: GPL-2.0-only
/* QUERY: sizes that grow, values in their ranges, arguments that are refused; ioctls that do not exist. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

FIXTURE(query)
{
	int fd;
};

FIXTURE_SETUP(query)
{
	FIXAR_OPEN(self->fd);
}

FIXTURE_TEARDOWN(query)
{
	close(self->fd);
}

FIXAR_TEST(query, the_device_is_what_the_contract_allows)
{
	struct drm_fixar_query_device device;

	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, &device, sizeof(device)), 0);
	EXPECT_EQ(device.hw_version >> 16, 1);
	EXPECT_EQ(device.operations & 1ULL << DRM_FIXAR_OP_TRAIN, 1ULL << DRM_FIXAR_OP_TRAIN);
	EXPECT_GE(device.memory_bytes, 1ULL << 20);
	EXPECT_EQ(device.memory_bytes % device.arena_granule, 0);
	EXPECT_EQ(device.arena_granule, 65536);
	EXPECT_EQ(device.operation_align, 64);
	EXPECT_NE(device.clock_khz, 0);
	EXPECT_EQ(device.arena_schema, 3);
	EXPECT_GE(device.max_width, 1);
	EXPECT_LE(device.max_width, 16384);
	EXPECT_GE(device.max_hidden, 1);
	EXPECT_LE(device.max_hidden, 31);
	EXPECT_GE(device.max_batch, 1);
	EXPECT_LE(device.max_batch, 65536);
	EXPECT_GE(device.fifo_depth, 2);
	EXPECT_LE(device.fifo_depth, 256);
	EXPECT_EQ(device.fifo_depth & (device.fifo_depth - 1), 0);
	EXPECT_GE(device.h2c_channels, 1);
	EXPECT_LE(device.h2c_channels, 4);
	EXPECT_GE(device.c2h_channels, 1);
	EXPECT_LE(device.c2h_channels, 4);
	EXPECT_EQ(device.max_jobs, DRM_FIXAR_MAX_JOBS);
	EXPECT_GE(device.max_operations, 64);
	EXPECT_GE(device.max_syncs, 16);
	EXPECT_GE(device.max_pending, 256);
	EXPECT_GE(device.max_contexts, 64);
	EXPECT_EQ(device.state, DRM_FIXAR_DEVICE_OK);
	if (device.irq_mode == DRM_FIXAR_IRQ_MSI) {
		EXPECT_EQ(device.irq_vectors, 1);
	} else {
		EXPECT_EQ(device.irq_mode, DRM_FIXAR_IRQ_MSIX);
	}
	EXPECT_GE(device.irq_vectors, 1);
	EXPECT_EQ(device.pad, 0);
}

FIXAR_TEST(query, sizes_are_negotiated)
{
	struct drm_fixar_query query = { .type = DRM_FIXAR_QUERY_MEMORY };
	struct drm_fixar_query_memory whole;
	uint8_t bytes[sizeof(whole) + 16];
	size_t i;

	/* Without data: the size alone. */
	ASSERT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, &query), 0);
	EXPECT_EQ(query.size, sizeof(whole));
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &whole, sizeof(whole)), 0);

	/* An older program's. */
	memset(bytes, 0xee, sizeof(bytes));
	query = (struct drm_fixar_query){ .type = DRM_FIXAR_QUERY_MEMORY, .size = 8, .data = (uintptr_t)bytes };
	ASSERT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, &query), 0);
	EXPECT_EQ(query.size, sizeof(whole));
	EXPECT_EQ(memcmp(bytes, &whole.total, 8), 0);
	for (i = 8; i < sizeof(bytes); i++)
		ASSERT_EQ(bytes[i], 0xee);

	/* A newer program's: the tail is 0. */
	query.size = sizeof(whole) + 8;
	ASSERT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, &query), 0);
	EXPECT_EQ(query.size, sizeof(whole));
	EXPECT_EQ(memcmp(bytes, &whole, sizeof(whole)), 0);
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(bytes[sizeof(whole) + i], 0);
		ASSERT_EQ(bytes[sizeof(whole) + 8 + i], 0xee);
	}
}

FIXAR_TEST(query, wrong_arguments_are_refused)
{
	struct drm_fixar_query_device device;
	struct drm_fixar_query query = { .type = 99 };
	uint32_t queue;
	void *wall;

	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, &query), -EINVAL);
	query = (struct drm_fixar_query){ .type = DRM_FIXAR_QUERY_DEVICE, .pad = 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, &query), -EINVAL);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 1, &device, sizeof(device)), -EINVAL);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MODE, 1, &device, sizeof(device)), -EINVAL);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, (char *)&device + 4, 8), -EINVAL);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, (void *)8, sizeof(device)), -EFAULT);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_QUEUE, 3, &device, sizeof(device)), -EINVAL);
	for (queue = 0; queue < 3; queue++)
		EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_QUEUE, DRM_FIXAR_QUERY_QUEUE_INDEX(queue, 4), &device,
				      sizeof(device)), -EINVAL);

	/* The tail beyond the driver's struct is written, too, so it has to be there. */
	wall = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(wall, MAP_FAILED);
	ASSERT_EQ(munmap((char *)wall + 4096, 4096), 0);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, (char *)wall + 4096 - sizeof(device),
			      sizeof(device)), 0);
	EXPECT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, (char *)wall + 4096 - sizeof(device),
			      sizeof(device) + 8), -EFAULT);
}

FIXAR_TEST(query, queues_count)
{
	struct drm_fixar_query_device device;
	struct drm_fixar_query_queue before, after, channel, sum = {};
	struct fixar_buffer buffer;
	uint32_t ctx, i;

	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, &device, sizeof(device)), 0);
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, 4096, &buffer), 0);
	ASSERT_EQ(fixar_nops_wait(self->fd, ctx, 1), 0);
	const uint32_t all = DRM_FIXAR_QUERY_QUEUE_INDEX(DRM_FIXAR_QUEUE_C2H, DRM_FIXAR_CHANNEL_ALL);

	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_QUEUE, all, &before, sizeof(before)), 0);
	EXPECT_EQ(before.queue, DRM_FIXAR_QUEUE_C2H);
	EXPECT_EQ(before.channels, device.c2h_channels);
	ASSERT_EQ(fixar_copy_wait(self->fd, ctx, DRM_FIXAR_QUEUE_C2H, buffer.handle, 0, 0, 1000), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_QUEUE, all, &after, sizeof(after)), 0);
	EXPECT_EQ(after.jobs, before.jobs + 1);
	EXPECT_EQ(after.operations, before.operations + 1);
	EXPECT_EQ(after.bytes, before.bytes + 1000);
	EXPECT_EQ(after.errors, before.errors);
	EXPECT_GT(after.busy_ns, before.busy_ns);
	for (i = 0; i < device.c2h_channels; i++) {
		ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_QUEUE,
				      DRM_FIXAR_QUERY_QUEUE_INDEX(DRM_FIXAR_QUEUE_C2H, i), &channel, sizeof(channel)), 0);
		sum.jobs += channel.jobs;
		sum.bytes += channel.bytes;
	}
	EXPECT_EQ(sum.jobs, after.jobs);
	EXPECT_EQ(sum.bytes, after.bytes);
}

FIXAR_TEST(query, memory_and_counters_follow_what_is_done)
{
	struct drm_fixar_query_memory before, during, after;
	struct drm_fixar_query_counters first, second;
	uint32_t ctx;

	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &before, sizeof(before)), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &first, sizeof(first)), 0);
	ASSERT_EQ(fixar_context_create(self->fd, 3 * 65536 - 100, &ctx), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &during, sizeof(during)), 0);
	EXPECT_EQ(during.total, before.total);
	EXPECT_EQ(during.free, before.free - 3 * 65536);
	EXPECT_LE(during.largest, during.free);
	EXPECT_EQ(during.contexts, before.contexts + 1);
	ASSERT_EQ(fixar_nops_wait(self->fd, ctx, 7), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_COUNTERS, 0, &second, sizeof(second)), 0);
	EXPECT_GT(second.timestamp, first.timestamp);
	EXPECT_EQ(second.commands, first.commands + 7);
	EXPECT_EQ(second.samples, first.samples);
	EXPECT_EQ(second.lost_interrupts, first.lost_interrupts);

	/* The arena goes with its last job, soon. */
	ASSERT_EQ(fixar_context_destroy(self->fd, ctx), 0);
	const int64_t end = fixar_now() + FIXAR_PATIENCE;

	do {
		ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &after, sizeof(after)), 0);
	} while (after.contexts != before.contexts && fixar_now() < end);
	EXPECT_EQ(after.free, before.free);
}

FIXAR_TEST(query, live_mode_registers_are_the_running_contexts)
{
	struct drm_fixar_mode mode, live;
	uint32_t ctx;

	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(fixar_mode_get(self->fd, ctx, &mode), 0);
	mode.noise = DRM_FIXAR_NOISE_OU;
	mode.noise_sigma = 12345;
	mode.gradient_scale[1] = -2;
	ASSERT_EQ(fixar_mode_set(self->fd, ctx, &mode), 0);
	ASSERT_EQ(fixar_nops_wait(self->fd, ctx, 1), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MODE, 0, &live, sizeof(live)), 0);
	EXPECT_EQ(memcmp(&live, &mode, sizeof(mode)), 0);
}

FIXAR_TEST(query, ioctls_that_do_not_exist_are_refused)
{
	char argument[256] = {};
	unsigned int number;

	for (number = DRM_FIXAR_SUBMIT + 1; number < 0x60; number++)
		EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOWR(DRM_COMMAND_BASE + number, struct drm_fixar_query), argument), -EINVAL);
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_QUERY, (void *)16), -EFAULT);
}

TEST_HARNESS_MAIN
