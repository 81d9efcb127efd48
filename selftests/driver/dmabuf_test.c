// SPDX-License-Identifier: GPL-2.0-only
/* dma-buf: memory of vgem and of udmabuf as source and target of copies, fences of others, our own exports. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#define BYTES (1u << 20)

FIXTURE(dmabuf)
{
	int fd;
	uint32_t ctx;
	struct fixar_buffer own;
};

FIXTURE_SETUP(dmabuf)
{
	FIXAR_OPEN(self->fd);
	ASSERT_EQ(fixar_context_create(self->fd, BYTES, &self->ctx), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, BYTES, &self->own), 0);
}

FIXTURE_TEARDOWN(dmabuf)
{
	close(self->fd);
}

static void cpu_begins(int dmabuf)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

static void cpu_ends(int dmabuf)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW };

	ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

/* Foreign memory to the card and back into other places of it: the card reads and writes it itself. */
static int there_and_back(int fd, uint32_t ctx, int dmabuf, uint8_t *map)
{
	uint32_t handle, i;
	int ret = fixar_import(fd, dmabuf, &handle);

	if (ret)
		return ret;
	cpu_begins(dmabuf);
	fixar_fill(map, BYTES, 21);
	cpu_ends(dmabuf);
	ret = fixar_copy_wait(fd, ctx, DRM_FIXAR_QUEUE_H2C, handle, 4096 + 5, 77, BYTES / 2 - 8192);
	if (!ret)
		ret = fixar_copy_wait(fd, ctx, DRM_FIXAR_QUEUE_C2H, handle, BYTES / 2 + 3, 77, BYTES / 2 - 8192);
	if (!ret)
		ret = fixar_buffer_prep(fd, handle, DRM_FIXAR_BO_READ, fixar_now() + FIXAR_PATIENCE);
	cpu_begins(dmabuf);
	for (i = 0; !ret && i < BYTES / 2 - 8192; i++) {
		if (map[4096 + 5 + i] != map[BYTES / 2 + 3 + i])
			ret = 1;
	}
	cpu_ends(dmabuf);
	fixar_close_handle(fd, handle);
	return ret;
}

FIXAR_TEST(dmabuf, memory_of_vgem)
{
	struct fixar_gate gate;
	uint8_t *map;

	if (fixar_gate_create(BYTES, true, &gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	ASSERT_EQ(fixar_gate_signal(&gate), 0);
	map = fixar_gate_map(&gate);
	ASSERT_NE(map, NULL);
	EXPECT_EQ(there_and_back(self->fd, self->ctx, gate.dmabuf, map), 0);
	fixar_gate_destroy(&gate);
}

/* Where the kernel bounces, an import would need copies that nobody makes: it is refused. FIXAR_MEMORY says so (vm_test). */
FIXAR_TEST(dmabuf, bounced_memory_is_refused)
{
	const char *memory = getenv("FIXAR_MEMORY");
	const bool bounced = memory && !strcmp(memory, "bounce");
	struct fixar_gate gate;
	uint32_t handle = 0;

	if (fixar_gate_create(BYTES, true, &gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	ASSERT_EQ(fixar_gate_signal(&gate), 0);
	EXPECT_EQ(fixar_import(self->fd, gate.dmabuf, &handle), bounced ? -EOPNOTSUPP : 0);
	fixar_gate_destroy(&gate);
}

FIXAR_TEST(dmabuf, memory_of_udmabuf)
{
	struct udmabuf_create create = { .size = BYTES };
	int device, dmabuf, round;
	uint8_t *map;

	device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (device < 0)
		SKIP(return, "this kernel has no udmabuf");
	create.memfd = memfd_create("fixar", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	ASSERT_GE((int)create.memfd, 0);
	ASSERT_EQ(ftruncate(create.memfd, BYTES), 0);
	ASSERT_EQ(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, create.memfd, 0);
	ASSERT_NE(map, MAP_FAILED);
	dmabuf = ioctl(device, UDMABUF_CREATE, &create);
	ASSERT_GE(dmabuf, 0);
	for (round = 0; round < 3; round++)
		EXPECT_EQ(there_and_back(self->fd, self->ctx, dmabuf, map), 0);
	close(dmabuf);
	close(device);
}

/* A job waits for others' fences: for those that write, before it reads; for all, before it writes. */
FIXAR_TEST(dmabuf, fences_of_others_are_waited_for)
{
	static const struct {
		bool write; /* what the foreign fence does */
		uint32_t queue;
		bool waits;
	} cases[] = {
		{ true, DRM_FIXAR_QUEUE_H2C, true },
		{ true, DRM_FIXAR_QUEUE_C2H, true },
		{ false, DRM_FIXAR_QUEUE_H2C, false },
		{ false, DRM_FIXAR_QUEUE_C2H, true },
	};
	struct drm_fixar_copy copy = { .size = 4096 };
	struct fixar_gate gate;
	uint32_t sync;
	size_t i;

	ASSERT_EQ(fixar_sync_create(self->fd, &sync), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (fixar_gate_create(BYTES, cases[i].write, &gate) == -ENOENT)
			SKIP(return, "the module vgem is not loaded");
		ASSERT_EQ(fixar_import(self->fd, gate.dmabuf, &copy.bo), 0);
		ASSERT_EQ(fixar_copy(self->fd, self->ctx, cases[i].queue, &copy, 1, sync), 0);
		EXPECT_EQ(fixar_sync_wait(self->fd, sync, cases[i].waits ? FIXAR_SECOND : 5 * FIXAR_SECOND),
			  cases[i].waits ? -ETIME : 0);
		ASSERT_EQ(fixar_gate_signal(&gate), 0);
		EXPECT_EQ(fixar_sync_wait(self->fd, sync, FIXAR_PATIENCE), 0);
		fixar_close_handle(self->fd, copy.bo);
		fixar_gate_destroy(&gate);
	}
}

/* Others see our fences: poll() on the dma-buf waits for the card. */
FIXAR_TEST(dmabuf, our_fences_are_seen)
{
	struct drm_fixar_copy copy = { .bo = self->own.handle, .size = 4096 };
	struct drm_fixar_sync in = {};
	struct drm_fixar_job job = { .ctx = self->ctx, .operations = ARRAY_OF(&copy, 1), .in_syncs = ARRAY_OF(&in, 1) };
	struct fixar_gate gate;
	struct pollfd pollfd;

	for (job.queue = DRM_FIXAR_QUEUE_H2C; job.queue <= DRM_FIXAR_QUEUE_C2H; job.queue++) {
		if (fixar_gate_create(4096, true, &gate) == -ENOENT)
			SKIP(return, "the module vgem is not loaded");
		ASSERT_EQ(fixar_gate_sync(self->fd, &gate, &in.handle), 0);
		ASSERT_EQ(fixar_submit(self->fd, &job, 1), 0);
		pollfd.fd = fixar_export(self->fd, self->own.handle);
		ASSERT_GE(pollfd.fd, 0);
		/* Who wants to write waits for all, who wants to read for writers. */
		pollfd.events = POLLOUT;
		EXPECT_EQ(poll(&pollfd, 1, 100), 0);
		pollfd.events = POLLIN;
		EXPECT_EQ(poll(&pollfd, 1, 100), job.queue == DRM_FIXAR_QUEUE_H2C);
		ASSERT_EQ(fixar_gate_signal(&gate), 0);
		pollfd.events = POLLOUT;
		EXPECT_EQ(poll(&pollfd, 1, 60000), 1);
		close(pollfd.fd);
		fixar_sync_destroy(self->fd, in.handle);
		fixar_gate_destroy(&gate);
	}
}

/* Importing one's own export gives the same object; in another file it is the same memory. */
FIXAR_TEST(dmabuf, our_own_exports)
{
	uint32_t same, foreign, ctx;
	uint8_t *map;
	int dmabuf, other;

	dmabuf = fixar_export(self->fd, self->own.handle);
	ASSERT_GE(dmabuf, 0);
	ASSERT_EQ(fixar_import(self->fd, dmabuf, &same), 0);
	EXPECT_EQ(same, self->own.handle);
	other = fixar_open_node();
	ASSERT_GE(other, 0);
	ASSERT_EQ(fixar_import(other, dmabuf, &foreign), 0);
	ASSERT_EQ(fixar_context_create(other, BYTES, &ctx), 0);
	fixar_fill(self->own.map, BYTES, 6);
	ASSERT_EQ(fixar_buffer_fini(self->fd, self->own.handle, DRM_FIXAR_BO_WRITE), 0);
	ASSERT_EQ(fixar_copy_wait(other, ctx, DRM_FIXAR_QUEUE_H2C, foreign, 0, 0, BYTES), 0);
	/* The memory outlives the file that made it. */
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(map, MAP_FAILED);
	const uint32_t crc = fixar_crc(map, BYTES);

	fixar_buffer_destroy(self->fd, &self->own);
	cpu_begins(dmabuf);
	memset(map, 0, BYTES);
	cpu_ends(dmabuf);
	ASSERT_EQ(fixar_copy_wait(other, ctx, DRM_FIXAR_QUEUE_C2H, foreign, 0, 0, BYTES), 0);
	EXPECT_EQ(fixar_crc(map, BYTES), crc);
	munmap(map, BYTES);
	close(dmabuf);
	close(other);
}

FIXAR_TEST(dmabuf, what_is_no_dma_buf_is_refused)
{
	struct drm_fixar_copy copy = { .size = BYTES + 4096 };
	struct fixar_gate gate;
	uint32_t handle;
	int pipes[2];

	ASSERT_EQ(pipe(pipes), 0);
	EXPECT_EQ(fixar_import(self->fd, pipes[0], &handle), -EINVAL);
	EXPECT_EQ(fixar_import(self->fd, -1, &handle), -EBADF);
	EXPECT_EQ(fixar_export(self->fd, 4711), -ENOENT);
	if (fixar_gate_create(BYTES, true, &gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	ASSERT_EQ(fixar_gate_signal(&gate), 0);
	ASSERT_EQ(fixar_import(self->fd, gate.dmabuf, &copy.bo), 0);
	EXPECT_EQ(fixar_copy(self->fd, self->ctx, DRM_FIXAR_QUEUE_H2C, &copy, 1, 0), -ERANGE);
	fixar_gate_destroy(&gate);
}

TEST_HARNESS_MAIN
