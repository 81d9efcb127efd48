/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of fixar.ko share: the node, buffers, contexts, jobs, synchronization objects. Calls return 0 or a
 * negative errno, as the driver said it; none prints.
 *
 * FIXAR_DEVICE names the node (without it the first one that the driver "fixar" has). FIXAR_TEST_FULL=1 asks for the
 * full number of cases, FIXAR_TEST_SEED for other random ones.
 */
#ifndef FIXAR_LIB_H
#define FIXAR_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drm/fixar_accel.h>

#define FIXAR_SECOND 1000000000LL
/* Virtual machines are slow: what takes so long has failed. */
#define FIXAR_PATIENCE (60 * FIXAR_SECOND)

#define ARRAY_OF(array, n) \
	((struct drm_fixar_array){ sizeof((array)[0]), (n), (uintptr_t)(array) })

struct fixar_buffer {
	uint32_t handle;
	uint64_t size;
	uint64_t offset; /* for mmap() */
	uint8_t *map;
};

/* Nodes of the driver, in the order of their numbers. Return: a descriptor, or -ENOENT if there are no more. */
int fixar_open_nth(unsigned int nth);
int fixar_open_node(void);
/* The name of the node that fixar_open_node() opens; empty if there is none. */
const char *fixar_node_name(void);
/* The PCI address of an open node. */
int fixar_pci_address(int fd, char address[32]);

bool fixar_full(void);
uint64_t fixar_seed(void);
/* xorshift: the same numbers everywhere. `state` is not 0. */
uint64_t fixar_random(uint64_t *state);
int64_t fixar_now(void);
uint32_t fixar_crc(const void *data, size_t bytes);
void fixar_fill(void *data, size_t bytes, uint64_t seed);

/* ioctl(), repeated after signals as drmIoctl() does. */
int fixar_ioctl(int fd, unsigned long request, void *argument);

int fixar_query(int fd, uint32_t type, uint32_t index, void *data, uint32_t size);

int fixar_buffer_create(int fd, uint64_t size, struct fixar_buffer *buffer); /* and map it */
void fixar_buffer_destroy(int fd, struct fixar_buffer *buffer);
int fixar_buffer_prep(int fd, uint32_t handle, uint32_t flags, int64_t timeout_ns);
int fixar_buffer_fini(int fd, uint32_t handle, uint32_t flags);

int fixar_context_create(int fd, uint64_t size, uint32_t *handle);
int fixar_context_destroy(int fd, uint32_t handle);
int fixar_context_query(int fd, uint32_t handle, struct drm_fixar_ctx_query *query);
int fixar_mode_get(int fd, uint32_t handle, struct drm_fixar_mode *mode);
int fixar_mode_set(int fd, uint32_t handle, const struct drm_fixar_mode *mode);

int fixar_submit(int fd, const struct drm_fixar_job *jobs, uint32_t count);
/* One job; `out` is a binary synchronization object or 0. */
int fixar_copy(int fd, uint32_t ctx, uint32_t queue, const struct drm_fixar_copy *copies, uint32_t count, uint32_t out);
int fixar_run(int fd, uint32_t ctx, const struct drm_fixar_operation *operations, uint32_t count, uint32_t out);
/* A copy of one piece, waited for. `queue` says where to. */
int fixar_copy_wait(int fd, uint32_t ctx, uint32_t queue, uint32_t bo, uint64_t bo_offset, uint64_t arena_offset,
		    uint64_t size);
/* NOP operations, waited for. */
int fixar_nops_wait(int fd, uint32_t ctx, uint32_t count);

int fixar_sync_create(int fd, uint32_t *handle);
void fixar_sync_destroy(int fd, uint32_t handle);
int fixar_sync_wait(int fd, uint32_t handle, int64_t patience_ns);
int fixar_sync_wait_point(int fd, uint32_t handle, uint64_t point, int64_t patience_ns);
int fixar_sync_reset(int fd, uint32_t handle);
int fixar_sync_signal(int fd, uint32_t handle);
int fixar_sync_to_file(int fd, uint32_t handle); /* a sync_file's descriptor */
int fixar_sync_from_file(int fd, uint32_t handle, int file);
/* Of a sync_file: 1 signalled, 0 not yet, negative: signalled with this error. */
int fixar_sync_file_status(int file);

/*
 * A fence that the test signals: of the kernel's test driver vgem, on a buffer of it. It signals by itself after ten
 * seconds.
 */
struct fixar_gate {
	int vgem;
	uint32_t handle; /* a buffer of vgem */
	uint64_t size;
	uint32_t fence;
	int dmabuf; /* the same buffer */
};

int fixar_gate_create(uint64_t size, bool write, struct fixar_gate *gate); /* -ENOENT: no vgem */
void fixar_gate_destroy(struct fixar_gate *gate);
int fixar_gate_signal(struct fixar_gate *gate);
int fixar_gate_sync(int fd, struct fixar_gate *gate, uint32_t *handle); /* as a synchronization object */
void *fixar_gate_map(struct fixar_gate *gate);

int fixar_export(int fd, uint32_t handle); /* a dma-buf's descriptor */
int fixar_import(int fd, int dmabuf, uint32_t *handle);
int fixar_close_handle(int fd, uint32_t handle);

/* Writes a text to a file of sysfs or the like. */
int fixar_write_file(const char *path, const char *text);
int fixar_read_file(const char *path, char *text, size_t size);

#endif /* FIXAR_LIB_H */
