// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: creation, mapping, the CPU's turn (PREP, FINI), handles and their ends. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <sys/mman.h>

FIXTURE(bo)
{
	int fd;
};

FIXTURE_SETUP(bo)
{
	FIXAR_OPEN(self->fd);
}

FIXTURE_TEARDOWN(bo)
{
	close(self->fd);
}

FIXAR_TEST(bo, sizes_are_rounded_and_checked)
{
	struct drm_fixar_bo_create create = { .size = 1 };

	ASSERT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), 0);
	EXPECT_EQ(create.size, getpagesize());
	EXPECT_NE(create.handle, 0);
	create = (struct drm_fixar_bo_create){};
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_bo_create){ .size = UINT64_MAX };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_bo_create){ .size = UINT64_MAX - 4095 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_bo_create){ .size = 1ULL << 42 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), -ENOMEM);
	create = (struct drm_fixar_bo_create){ .size = 4096, .flags = 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_BO_CREATE, &create), -EINVAL);
}

FIXAR_TEST(bo, memory_is_zero_and_keeps_what_is_written)
{
	struct fixar_buffer buffer;
	uint8_t *second;
	size_t i;

	ASSERT_EQ(fixar_buffer_create(self->fd, 1 << 20, &buffer), 0);
	for (i = 0; i < buffer.size; i++)
		ASSERT_EQ(buffer.map[i], 0);
	fixar_fill(buffer.map, buffer.size, 3);
	second = mmap(NULL, buffer.size, PROT_READ, MAP_SHARED, self->fd, (off_t)buffer.offset);
	ASSERT_NE(second, MAP_FAILED);
	EXPECT_EQ(memcmp(second, buffer.map, buffer.size), 0);
	munmap(second, buffer.size);
}

FIXAR_TEST(bo, a_mapping_outlives_its_handle)
{
	struct fixar_buffer buffer;

	ASSERT_EQ(fixar_buffer_create(self->fd, 65536, &buffer), 0);
	fixar_fill(buffer.map, buffer.size, 4);
	const uint32_t crc = fixar_crc(buffer.map, buffer.size);

	ASSERT_EQ(fixar_close_handle(self->fd, buffer.handle), 0);
	EXPECT_EQ(fixar_crc(buffer.map, buffer.size), crc);
	EXPECT_EQ(fixar_close_handle(self->fd, buffer.handle), -EINVAL);
	/* Without a handle there is nothing to map. */
	EXPECT_EQ(mmap(NULL, buffer.size, PROT_READ, MAP_SHARED, self->fd, (off_t)buffer.offset), MAP_FAILED);
	munmap(buffer.map, buffer.size);
}

FIXAR_TEST(bo, mappings_of_others_are_refused)
{
	struct fixar_buffer buffer;
	int other;

	ASSERT_EQ(fixar_buffer_create(self->fd, 65536, &buffer), 0);
	other = fixar_open_node();
	ASSERT_GE(other, 0);
	EXPECT_EQ(mmap(NULL, buffer.size, PROT_READ, MAP_SHARED, other, (off_t)buffer.offset), MAP_FAILED);
	EXPECT_EQ(fixar_buffer_fini(other, buffer.handle, DRM_FIXAR_BO_WRITE), -ENOENT);
	/* Nor more than there is. */
	EXPECT_EQ(mmap(NULL, 2 * buffer.size, PROT_READ, MAP_SHARED, self->fd, (off_t)buffer.offset), MAP_FAILED);
	EXPECT_EQ(mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0), MAP_FAILED);
	close(other);
}

FIXAR_TEST(bo, prep_and_fini_check_their_arguments)
{
	struct fixar_buffer buffer;

	ASSERT_EQ(fixar_buffer_create(self->fd, 4096, &buffer), 0);
	EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, 0, 0), -EINVAL);
	EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, 4, 0), -EINVAL);
	EXPECT_EQ(fixar_buffer_prep(self->fd, 77, DRM_FIXAR_BO_READ, 0), -ENOENT);
	EXPECT_EQ(fixar_buffer_fini(self->fd, buffer.handle, 0), -EINVAL);
	EXPECT_EQ(fixar_buffer_fini(self->fd, buffer.handle, 8), -EINVAL);
	EXPECT_EQ(fixar_buffer_fini(self->fd, 0, DRM_FIXAR_BO_WRITE), -ENOENT);
	EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_READ, 0), 0);
	EXPECT_EQ(fixar_buffer_fini(self->fd, buffer.handle, DRM_FIXAR_BO_READ), 0);
}

/* A copy that waits for a fence holds the buffer: the CPU may read what it reads, and has to wait otherwise. */
FIXAR_TEST(bo, prep_waits_for_jobs)
{
	struct drm_fixar_copy copy = { .size = 4096 };
	struct drm_fixar_sync in = {};
	struct drm_fixar_job job = { .operations = ARRAY_OF(&copy, 1), .in_syncs = ARRAY_OF(&in, 1) };
	struct fixar_buffer buffer;
	struct fixar_gate gate;
	uint32_t ctx, queue;

	ASSERT_EQ(fixar_buffer_create(self->fd, 4096, &buffer), 0);
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	copy.bo = buffer.handle;
	job.ctx = ctx;
	for (queue = DRM_FIXAR_QUEUE_H2C; queue <= DRM_FIXAR_QUEUE_C2H; queue++) {
		if (fixar_gate_create(4096, true, &gate) == -ENOENT)
			SKIP(return, "the module vgem is not loaded");
		ASSERT_EQ(fixar_gate_sync(self->fd, &gate, &in.handle), 0);
		job.queue = queue;
		ASSERT_EQ(fixar_submit(self->fd, &job, 1), 0);
		EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_READ, 0),
			  queue == DRM_FIXAR_QUEUE_C2H ? -EBUSY : 0);
		EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE, 0), -EBUSY);
		EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE, fixar_now() + FIXAR_SECOND / 10),
			  -ETIMEDOUT);
		ASSERT_EQ(fixar_gate_signal(&gate), 0);
		EXPECT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE, fixar_now() + FIXAR_PATIENCE), 0);
		fixar_sync_destroy(self->fd, in.handle);
		fixar_gate_destroy(&gate);
	}
}

TEST_HARNESS_MAIN
