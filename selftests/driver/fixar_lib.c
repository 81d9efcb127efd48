// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "fixar_lib.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

/* Headers of 6.1 have it, those of older systems have not. */
#ifndef DMA_BUF_IOCTL_EXPORT_SYNC_FILE
struct dma_buf_export_sync_file {
	__u32 flags;
	__s32 fd;
};

#define DMA_BUF_IOCTL_EXPORT_SYNC_FILE _IOWR(DMA_BUF_BASE, 2, struct dma_buf_export_sync_file)
#endif

/* The interface of vgem, whose header comes with no package of Debian's. */
struct vgem_attach {
	__u32 handle;
	__u32 flags; /* 1: as a writer */
	__u32 fence;
	__u32 pad;
};

struct vgem_signal {
	__u32 fence;
	__u32 flags;
};

#define VGEM_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_attach)
#define VGEM_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_signal)

/* ---- The node ---- */

static char node_name[64];

static bool is_driver(int fd, const char *driver)
{
	char name[16] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, driver);
}

int fixar_open_nth(unsigned int nth)
{
	static const char *const patterns[] = { "/dev/accel/accel%u", "/dev/dri/renderD%u" };
	static const unsigned int first[] = { 0, 128 };
	unsigned int kind, n;
	char path[sizeof(node_name)];
	int fd;

	for (kind = 0; kind < 2; kind++) {
		for (n = first[kind]; n < first[kind] + 64; n++) {
			snprintf(path, sizeof(path), patterns[kind], n);
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (is_driver(fd, "fixar") && !nth--) {
				strcpy(node_name, path);
				return fd;
			}
			close(fd);
		}
	}
	return -ENOENT;
}

int fixar_open_node(void)
{
	const char *chosen = getenv("FIXAR_DEVICE");
	int fd;

	if (!chosen)
		return fixar_open_nth(0);
	fd = open(chosen, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!is_driver(fd, "fixar")) {
		close(fd);
		return -ENOENT;
	}
	snprintf(node_name, sizeof(node_name), "%s", chosen);
	return fd;
}

const char *fixar_node_name(void)
{
	return node_name;
}

int fixar_pci_address(int fd, char address[32])
{
	char link[64], target[PATH_MAX];
	struct stat status;
	const char *name;
	ssize_t length;

	if (fstat(fd, &status))
		return -errno;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/device", major(status.st_rdev), minor(status.st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	name = strrchr(target, '/');
	snprintf(address, 32, "%.31s", name ? name + 1 : target);
	return 0;
}

/* ---- Numbers ---- */

bool fixar_full(void)
{
	const char *full = getenv("FIXAR_TEST_FULL");

	return full && !strcmp(full, "1");
}

uint64_t fixar_seed(void)
{
	const char *seed = getenv("FIXAR_TEST_SEED");
	uint64_t value = seed ? strtoull(seed, NULL, 0) : 1;

	return value ? value : 1;
}

uint64_t fixar_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

int64_t fixar_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * FIXAR_SECOND + now.tv_nsec;
}

uint32_t fixar_crc(const void *data, size_t bytes)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t crc = ~0u;
	unsigned int i, bit;

	if (!table[1]) {
		for (i = 0; i < 256; i++) {
			crc = i;
			for (bit = 0; bit < 8; bit++)
				crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
			table[i] = crc;
		}
		crc = ~0u;
	}
	while (bytes--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

void fixar_fill(void *data, size_t bytes, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
	uint8_t *p = data;
	uint64_t word;

	while (bytes >= sizeof(word)) {
		word = fixar_random(&state);
		memcpy(p, &word, sizeof(word));
		p += sizeof(word);
		bytes -= sizeof(word);
	}
	word = fixar_random(&state);
	memcpy(p, &word, bytes);
}

/* ---- Calls ---- */

int fixar_ioctl(int fd, unsigned long request, void *argument)
{
	int ret;

	do {
		ret = ioctl(fd, request, argument);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int fixar_query(int fd, uint32_t type, uint32_t index, void *data, uint32_t size)
{
	struct drm_fixar_query query = { .type = type, .index = index, .size = size, .data = (uintptr_t)data };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_QUERY, &query);
}

int fixar_buffer_create(int fd, uint64_t size, struct fixar_buffer *buffer)
{
	struct drm_fixar_bo_create create = { .size = size };
	int ret = fixar_ioctl(fd, DRM_IOCTL_FIXAR_BO_CREATE, &create);

	memset(buffer, 0, sizeof(*buffer));
	if (ret)
		return ret;
	buffer->handle = create.handle;
	buffer->size = create.size;
	buffer->offset = create.mmap_offset;
	buffer->map = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)create.mmap_offset);
	if (buffer->map == MAP_FAILED) {
		ret = -errno;
		buffer->map = NULL;
		fixar_buffer_destroy(fd, buffer);
	}
	return ret;
}

void fixar_buffer_destroy(int fd, struct fixar_buffer *buffer)
{
	if (buffer->map)
		munmap(buffer->map, buffer->size);
	if (buffer->handle)
		fixar_close_handle(fd, buffer->handle);
	memset(buffer, 0, sizeof(*buffer));
}

int fixar_buffer_prep(int fd, uint32_t handle, uint32_t flags, int64_t timeout_ns)
{
	struct drm_fixar_bo_prep prep = { .handle = handle, .flags = flags, .timeout_ns = timeout_ns };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_BO_PREP, &prep);
}

int fixar_buffer_fini(int fd, uint32_t handle, uint32_t flags)
{
	struct drm_fixar_bo_fini fini = { .handle = handle, .flags = flags };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_BO_FINI, &fini);
}

int fixar_context_create(int fd, uint64_t size, uint32_t *handle)
{
	struct drm_fixar_ctx_create create = { .size = size };
	int ret = fixar_ioctl(fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create);

	*handle = ret ? 0 : create.handle;
	return ret;
}

int fixar_context_destroy(int fd, uint32_t handle)
{
	struct drm_fixar_ctx_destroy destroy = { .handle = handle };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_CTX_DESTROY, &destroy);
}

int fixar_context_query(int fd, uint32_t handle, struct drm_fixar_ctx_query *query)
{
	memset(query, 0, sizeof(*query));
	query->handle = handle;
	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_CTX_QUERY, query);
}

int fixar_mode_get(int fd, uint32_t handle, struct drm_fixar_mode *mode)
{
	struct drm_fixar_ctx_mode args = { .handle = handle };
	int ret = fixar_ioctl(fd, DRM_IOCTL_FIXAR_CTX_GET_MODE, &args);

	*mode = args.mode;
	return ret;
}

int fixar_mode_set(int fd, uint32_t handle, const struct drm_fixar_mode *mode)
{
	struct drm_fixar_ctx_mode args = { .handle = handle, .mode = *mode };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_CTX_SET_MODE, &args);
}

/* ---- Jobs ---- */

int fixar_submit(int fd, const struct drm_fixar_job *jobs, uint32_t count)
{
	struct drm_fixar_submit submit = { .jobs = ARRAY_OF(jobs, count) };

	return fixar_ioctl(fd, DRM_IOCTL_FIXAR_SUBMIT, &submit);
}

static int submit_one(int fd, uint32_t ctx, uint32_t queue, struct drm_fixar_array operations, uint32_t out)
{
	struct drm_fixar_sync sync = { .handle = out };
	struct drm_fixar_job job = { .ctx = ctx, .queue = queue, .operations = operations };

	if (out)
		job.out_syncs = ARRAY_OF(&sync, 1);
	return fixar_submit(fd, &job, 1);
}

int fixar_copy(int fd, uint32_t ctx, uint32_t queue, const struct drm_fixar_copy *copies, uint32_t count, uint32_t out)
{
	return submit_one(fd, ctx, queue, ARRAY_OF(copies, count), out);
}

int fixar_run(int fd, uint32_t ctx, const struct drm_fixar_operation *operations, uint32_t count, uint32_t out)
{
	return submit_one(fd, ctx, DRM_FIXAR_QUEUE_CORE, ARRAY_OF(operations, count), out);
}

static int submit_wait(int fd, uint32_t ctx, uint32_t queue, struct drm_fixar_array operations)
{
	uint32_t sync;
	int ret = fixar_sync_create(fd, &sync);

	if (ret)
		return ret;
	ret = submit_one(fd, ctx, queue, operations, sync);
	if (!ret)
		ret = fixar_sync_wait(fd, sync, FIXAR_PATIENCE);
	fixar_sync_destroy(fd, sync);
	return ret;
}

int fixar_copy_wait(int fd, uint32_t ctx, uint32_t queue, uint32_t bo, uint64_t bo_offset, uint64_t arena_offset,
		    uint64_t size)
{
	struct drm_fixar_copy copy = { .bo = bo, .bo_offset = bo_offset, .arena_offset = arena_offset, .size = size };

	return submit_wait(fd, ctx, queue, ARRAY_OF(&copy, 1));
}

int fixar_nops_wait(int fd, uint32_t ctx, uint32_t count)
{
	struct drm_fixar_operation operations[64] = {};
	uint32_t i;

	for (i = 0; i < count; i++)
		operations[i].type = DRM_FIXAR_OP_NOP;
	return submit_wait(fd, ctx, DRM_FIXAR_QUEUE_CORE, ARRAY_OF(operations, count));
}

/* ---- Synchronization objects ---- */

int fixar_sync_create(int fd, uint32_t *handle)
{
	struct drm_syncobj_create create = {};
	int ret = fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create);

	*handle = ret ? 0 : create.handle;
	return ret;
}

void fixar_sync_destroy(int fd, uint32_t handle)
{
	struct drm_syncobj_destroy destroy = { .handle = handle };

	fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
}

int fixar_sync_wait(int fd, uint32_t handle, int64_t patience_ns)
{
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&handle, .timeout_nsec = fixar_now() + patience_ns, .count_handles = 1,
	};

	return fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_WAIT, &wait);
}

int fixar_sync_wait_point(int fd, uint32_t handle, uint64_t point, int64_t patience_ns)
{
	struct drm_syncobj_timeline_wait wait = {
		.handles = (uintptr_t)&handle, .points = (uintptr_t)&point,
		.timeout_nsec = fixar_now() + patience_ns, .count_handles = 1,
	};

	return fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait);
}

static int sync_array(int fd, unsigned long request, uint32_t handle)
{
	struct drm_syncobj_array array = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	return fixar_ioctl(fd, request, &array);
}

int fixar_sync_reset(int fd, uint32_t handle)
{
	return sync_array(fd, DRM_IOCTL_SYNCOBJ_RESET, handle);
}

int fixar_sync_signal(int fd, uint32_t handle)
{
	return sync_array(fd, DRM_IOCTL_SYNCOBJ_SIGNAL, handle);
}

int fixar_sync_to_file(int fd, uint32_t handle)
{
	struct drm_syncobj_handle args = {
		.handle = handle, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE, .fd = -1,
	};
	int ret = fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int fixar_sync_from_file(int fd, uint32_t handle, int file)
{
	struct drm_syncobj_handle args = {
		.handle = handle, .flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, .fd = file,
	};

	return fixar_ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args);
}

int fixar_sync_file_status(int file)
{
	struct sync_file_info info = {};

	if (ioctl(file, SYNC_IOC_FILE_INFO, &info))
		return -errno;
	return info.status;
}

/* ---- Gates ---- */

static int open_vgem(void)
{
	char path[32];
	int fd, n;

	for (n = 0; n < 64; n++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_driver(fd, "vgem"))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

int fixar_gate_create(uint64_t size, bool write, struct fixar_gate *gate)
{
	struct drm_mode_create_dumb dumb = { .width = (uint32_t)((size + 4095) / 4096) * 1024, .height = 1, .bpp = 32 };
	struct vgem_attach attach = { .flags = write };
	int ret;

	memset(gate, 0, sizeof(*gate));
	gate->dmabuf = -1;
	gate->vgem = open_vgem();
	if (gate->vgem < 0)
		return gate->vgem;
	ret = fixar_ioctl(gate->vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb);
	if (ret)
		goto error;
	gate->handle = dumb.handle;
	gate->size = dumb.size;
	gate->dmabuf = fixar_export(gate->vgem, gate->handle);
	if (gate->dmabuf < 0) {
		ret = gate->dmabuf;
		goto error;
	}
	attach.handle = gate->handle;
	ret = fixar_ioctl(gate->vgem, VGEM_ATTACH, &attach);
	if (ret)
		goto error;
	gate->fence = attach.fence;
	return 0;

error:
	fixar_gate_destroy(gate);
	return ret;
}

int fixar_gate_signal(struct fixar_gate *gate)
{
	struct vgem_signal args = { .fence = gate->fence };

	return fixar_ioctl(gate->vgem, VGEM_SIGNAL, &args);
}

void fixar_gate_destroy(struct fixar_gate *gate)
{
	if (gate->fence)
		fixar_gate_signal(gate);
	if (gate->dmabuf >= 0)
		close(gate->dmabuf);
	if (gate->vgem >= 0)
		close(gate->vgem);
	gate->fence = 0;
	gate->dmabuf = -1;
	gate->vgem = -1;
}

int fixar_gate_sync(int fd, struct fixar_gate *gate, uint32_t *handle)
{
	struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	int ret;

	if (ioctl(gate->dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export))
		return -errno;
	ret = fixar_sync_create(fd, handle);
	if (!ret)
		ret = fixar_sync_from_file(fd, *handle, export.fd);
	close(export.fd);
	return ret;
}

void *fixar_gate_map(struct fixar_gate *gate)
{
	void *map = mmap(NULL, gate->size, PROT_READ | PROT_WRITE, MAP_SHARED, gate->dmabuf, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* ---- Handles ---- */

int fixar_export(int fd, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	int ret = fixar_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int fixar_import(int fd, int dmabuf, uint32_t *handle)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int ret = fixar_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*handle = ret ? 0 : args.handle;
	return ret;
}

int fixar_close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return fixar_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

/* ---- Files ---- */

int fixar_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int ret = 0;

	if (fd < 0)
		return -errno;
	written = write(fd, text, strlen(text));
	if (written < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int fixar_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	if (length < 0)
		length = -errno;
	else
		text[length] = 0;
	close(fd);
	return length < 0 ? (int)length : 0;
}
