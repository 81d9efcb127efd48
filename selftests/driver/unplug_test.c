// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver goes while programs use the card: unbinding with an open descriptor, a mapping, a job that runs and one that
 * waits; removal of the module while somebody keeps a sync_file and a dma-buf's memory.
 *
 * Needs root. FIXAR_MODULE names fixar.ko for the test that removes and loads it. FIXAR_TEST_FULL=1: 200 cycles.
 */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/sync_file.h>

#define BYTES (4u << 20)

FIXTURE(unplug)
{
	char address[32];
};

FIXTURE_SETUP(unplug)
{
	int fd;

	if (geteuid())
		SKIP(return, "only root can unbind a driver");
	FIXAR_OPEN(fd);
	ASSERT_EQ(fixar_pci_address(fd, self->address), 0);
	close(fd);
}

FIXTURE_TEARDOWN(unplug)
{
}

/* A new node needs a moment. Return: the node of the card at an address. */
static int open_address(const char *address)
{
	const int64_t end = fixar_now() + FIXAR_PATIENCE;
	char found[32];
	unsigned int nth;
	int fd;

	do {
		for (nth = 0; (fd = fixar_open_nth(nth)) >= 0; nth++) {
			if (!fixar_pci_address(fd, found) && !strcmp(found, address))
				return fd;
			close(fd);
		}
		usleep(20000);
	} while (fixar_now() < end);
	return -ETIMEDOUT;
}

/* What a program has when its card goes. */
struct user {
	int fd;
	uint32_t ctx;
	struct fixar_buffer buffer;
	struct fixar_gate gate;
	int waiting; /* sync_files of jobs */
	int running;
	uint32_t crc;
};

static int begin(const char *address, struct user *user)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_copy copy = { .size = BYTES };
	struct drm_fixar_sync in = {}, outs[2] = {};
	struct drm_fixar_job jobs[2] = {
		{ .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1), .in_syncs = ARRAY_OF(&in, 1),
		  .out_syncs = ARRAY_OF(&outs[0], 1) },
		{ .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(&copy, 1), .out_syncs = ARRAY_OF(&outs[1], 1) },
	};
	int ret;

	memset(user, 0, sizeof(*user));
	user->fd = open_address(address);
	if (user->fd < 0)
		return user->fd;
	ret = fixar_context_create(user->fd, BYTES, &user->ctx);
	if (!ret)
		ret = fixar_buffer_create(user->fd, BYTES, &user->buffer);
	if (!ret)
		ret = fixar_sync_create(user->fd, &outs[0].handle);
	if (!ret)
		ret = fixar_sync_create(user->fd, &outs[1].handle);
	if (!ret)
		ret = fixar_gate_create(4096, true, &user->gate);
	if (!ret)
		ret = fixar_gate_sync(user->fd, &user->gate, &in.handle);
	if (ret)
		return ret;
	fixar_fill(user->buffer.map, BYTES, 31);
	user->crc = fixar_crc(user->buffer.map, BYTES);
	jobs[0].ctx = user->ctx;
	jobs[1].ctx = user->ctx;
	copy.bo = user->buffer.handle;
	ret = fixar_submit(user->fd, jobs, 2);
	if (ret)
		return ret;
	user->waiting = fixar_sync_to_file(user->fd, outs[0].handle);
	user->running = fixar_sync_to_file(user->fd, outs[1].handle);
	return user->waiting < 0 || user->running < 0 ? -EIO : 0;
}

static int drive(const char *verb, const char *address)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/fixar/%s", verb);
	return fixar_write_file(path, address);
}

FIXAR_TEST(unplug, unbind_under_load)
{
	const int cycles = fixar_full() ? 200 : 10;
	struct drm_fixar_query_device device;
	struct user user;
	uint32_t handle;
	int cycle;

	for (cycle = 0; cycle < cycles; cycle++) {
		const int ret = begin(self->address, &user);

		if (ret == -ENOENT)
			SKIP(return, "the module vgem is not loaded");
		ASSERT_EQ(ret, 0);
		ASSERT_EQ(drive("unbind", self->address), 0);
		/* The fences have ended, the copy with or without success. */
		EXPECT_EQ(fixar_sync_file_status(user.waiting), -ENODEV);
		EXPECT_NE(fixar_sync_file_status(user.running), 0);
		/* The node answers, the mapping stays. */
		EXPECT_EQ(fixar_query(user.fd, DRM_FIXAR_QUERY_DEVICE, 0, &device, sizeof(device)), -ENODEV);
		EXPECT_EQ(fixar_context_create(user.fd, 65536, &handle), -ENODEV);
		EXPECT_EQ(fixar_nops_wait(user.fd, user.ctx, 1), -ENODEV);
		EXPECT_EQ(fixar_crc(user.buffer.map, BYTES), user.crc);
		memset(user.buffer.map, 1, BYTES);
		if (cycle & 1) {
			/* Bound again while the old file is open. */
			ASSERT_EQ(drive("bind", self->address), 0);
			close(user.fd);
		} else {
			close(user.fd);
			ASSERT_EQ(drive("bind", self->address), 0);
		}
		EXPECT_EQ(user.buffer.map[BYTES - 1], 1);
		munmap(user.buffer.map, BYTES);
		EXPECT_EQ(fixar_sync_file_status(user.waiting), -ENODEV);
		close(user.waiting);
		close(user.running);
		fixar_gate_destroy(&user.gate);
		const int fd = open_address(self->address);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(fixar_context_create(fd, 65536, &handle), 0);
		ASSERT_EQ(fixar_nops_wait(fd, handle, 3), 0);
		close(fd);
	}
}

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0);
	if (ret)
		ret = -errno;
	close(fd);
	return (int)ret;
}

FIXAR_TEST(unplug, a_sync_file_outlives_the_module)
{
	const char *module = getenv("FIXAR_MODULE");
	struct sync_merge_data merge = { .name = "merged" };
	const int64_t end = fixar_now() + FIXAR_PATIENCE;
	struct pollfd pollfd = { .events = POLLIN };
	struct user user;
	int fd, ret;

	if (!module)
		SKIP(return, "FIXAR_MODULE does not name fixar.ko");
	ret = begin(self->address, &user);
	if (ret == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
	ASSERT_EQ(ret, 0);
	/* Open files hold the module; the jobs end with the file. */
	munmap(user.buffer.map, BYTES);
	close(user.fd);
	do {
		ret = (int)syscall(SYS_delete_module, "fixar", O_NONBLOCK);
	} while (ret && (errno == EAGAIN || errno == EBUSY) && fixar_now() < end && !usleep(10000));
	ASSERT_EQ(ret, 0);

	/* Cancelled by the file's end, or by the card's, whichever was first. */
	ret = fixar_sync_file_status(user.waiting);
	EXPECT_TRUE(ret == -ECANCELED || ret == -ENODEV);
	pollfd.fd = user.waiting;
	EXPECT_EQ(poll(&pollfd, 1, 0), 1);
	merge.fd2 = user.running;
	EXPECT_EQ(ioctl(user.waiting, SYNC_IOC_MERGE, &merge), 0);
	close(merge.fence);
	close(user.waiting);

	ASSERT_EQ(load(module), 0);
	fd = open_address(self->address);
	ASSERT_GE(fd, 0);
	EXPECT_NE(fixar_sync_file_status(user.running), 0);
	close(user.running);
	fixar_gate_destroy(&user.gate);
	close(fd);
}

TEST_HARNESS_MAIN
