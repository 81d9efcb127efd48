/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of each kind, with good arguments: what failure_test lets fail. */
#ifndef FAILURE_CALLS_H
#define FAILURE_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixar_lib.h"

#define ARENA 65536u
#define BYTES 40000u

/* What one round of a call has, all of it new. */
struct round {
	int fd;
	uint32_t ctx;
	struct fixar_buffer buffer;
	struct fixar_gate gate;
	uint32_t imported; /* the gate's buffer */
	uint32_t in, out, timeline;
	uint64_t point;
};

/* ---- The calls: with arguments that are good again when they are made once more ---- */

static int plain(struct round *r, unsigned long request, void *argument)
{
	int ret = ioctl(r->fd, request, argument);

	return ret < 0 ? -errno : ret;
}

static int with_context(struct round *r)
{
	return fixar_context_create(r->fd, ARENA, &r->ctx);
}

static int with_buffer(struct round *r)
{
	return fixar_buffer_create(r->fd, BYTES, &r->buffer);
}

static int with_mapped_buffer(struct round *r)
{
	int ret = with_buffer(r);

	if (!ret)
		ret = with_context(r);
	return ret ? ret : fixar_copy_wait(r->fd, r->ctx, DRM_FIXAR_QUEUE_H2C, r->buffer.handle, 0, 0, BYTES);
}

static int with_gate(struct round *r)
{
	return fixar_gate_create(BYTES, true, &r->gate);
}

/* All that a submission can name. The buffer is not mapped for the card, and others know of it. */
static int with_all(struct round *r)
{
	int ret = with_buffer(r), file;

	if (!ret)
		ret = with_context(r);
	if (!ret)
		ret = fixar_sync_create(r->fd, &r->out);
	if (!ret)
		ret = fixar_sync_create(r->fd, &r->timeline);
	if (!ret)
		ret = with_gate(r);
	if (!ret)
		ret = fixar_gate_sync(r->fd, &r->gate, &r->in);
	if (!ret)
		ret = fixar_import(r->fd, r->gate.dmabuf, &r->imported);
	if (ret)
		return ret;
	file = fixar_export(r->fd, r->buffer.handle);
	if (file < 0)
		return file;
	close(file);
	return 0;
}

static int open_file(struct round *r)
{
	int fd = open(fixar_node_name(), O_RDWR | O_CLOEXEC);

	(void)r;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int query(struct round *r)
{
	static const uint32_t sizes[] = { sizeof(struct drm_fixar_query_device), sizeof(struct drm_fixar_query_queue),
					  sizeof(struct drm_fixar_query_memory), sizeof(struct drm_fixar_query_counters),
					  sizeof(struct drm_fixar_mode) };
	uint64_t data[64];
	uint32_t type;
	int ret = 0;

	for (type = 0; type < sizeof(sizes) / sizeof(sizes[0]) && !ret; type++) {
		struct drm_fixar_query args = { .type = type, .size = sizes[type], .data = (uintptr_t)data };

		if (type == DRM_FIXAR_QUERY_QUEUE)
			args.index = DRM_FIXAR_QUERY_QUEUE_INDEX(0, DRM_FIXAR_CHANNEL_ALL);
		ret = plain(r, DRM_IOCTL_FIXAR_QUERY, &args);
	}
	return ret;
}

static int create_buffer(struct round *r)
{
	struct drm_fixar_bo_create args = { .size = BYTES };

	return plain(r, DRM_IOCTL_FIXAR_BO_CREATE, &args);
}

static int map_buffer(struct round *r)
{
	void *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)r->buffer.offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, BYTES);
	return 0;
}

static int prepare_buffer(struct round *r)
{
	struct drm_fixar_bo_prep args = { .handle = r->buffer.handle, .flags = DRM_FIXAR_BO_WRITE };

	return plain(r, DRM_IOCTL_FIXAR_BO_PREP, &args);
}

static int give_buffer_back(struct round *r)
{
	struct drm_fixar_bo_fini args = { .handle = r->buffer.handle, .flags = DRM_FIXAR_BO_WRITE };

	return plain(r, DRM_IOCTL_FIXAR_BO_FINI, &args);
}

static int export_buffer(struct round *r)
{
	struct drm_prime_handle args = { .handle = r->buffer.handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	int ret = plain(r, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	if (!ret)
		close(args.fd);
	return ret;
}

static int import_buffer(struct round *r)
{
	struct drm_prime_handle args = { .fd = r->gate.dmabuf };
	int ret = plain(r, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	struct drm_gem_close close = { .handle = args.handle };

	/* Once more is an import once more. */
	return ret ? ret : plain(r, DRM_IOCTL_GEM_CLOSE, &close);
}

static int create_context(struct round *r)
{
	struct drm_fixar_ctx_create args = { .size = ARENA };

	return plain(r, DRM_IOCTL_FIXAR_CTX_CREATE, &args);
}

/* Where there is another one: the card has no room. */
static int create_too_large_context(struct round *r)
{
	struct drm_fixar_query_memory memory;
	struct drm_fixar_query question = { .type = DRM_FIXAR_QUERY_MEMORY, .size = sizeof(memory), .data = (uintptr_t)&memory };
	int ret = plain(r, DRM_IOCTL_FIXAR_QUERY, &question);
	struct drm_fixar_ctx_create args = { .size = memory.total };

	return ret ? ret : plain(r, DRM_IOCTL_FIXAR_CTX_CREATE, &args);
}

static int destroy_context(struct round *r)
{
	struct drm_fixar_ctx_destroy args = { .handle = r->ctx };
	int ret = plain(r, DRM_IOCTL_FIXAR_CTX_DESTROY, &args);

	if (!ret)
		r->ctx = 0;
	return ret;
}

static int mode_of_context(struct round *r)
{
	struct drm_fixar_ctx_mode args = { .handle = r->ctx };
	int ret = plain(r, DRM_IOCTL_FIXAR_CTX_GET_MODE, &args);

	return ret ? ret : plain(r, DRM_IOCTL_FIXAR_CTX_SET_MODE, &args);
}

static int query_context(struct round *r)
{
	struct drm_fixar_ctx_query args = { .handle = r->ctx };

	return plain(r, DRM_IOCTL_FIXAR_CTX_QUERY, &args);
}

/* To the card, a command, and back, each after the one before; the first waits for fences of another driver. */
static int submit(struct round *r)
{
	struct drm_fixar_copy to[2] = { { .bo = r->buffer.handle, .size = BYTES / 2 },
					{ .bo = r->imported, .arena_offset = BYTES / 2, .size = BYTES / 2 } };
	struct drm_fixar_copy from = { .bo = r->buffer.handle, .size = BYTES };
	struct drm_fixar_operation nops[2] = { { .type = DRM_FIXAR_OP_NOP }, { .type = DRM_FIXAR_OP_NOP } };
	struct drm_fixar_sync in = { .handle = r->in }, out = { .handle = r->out };
	struct drm_fixar_sync point = { .handle = r->timeline, .flags = DRM_FIXAR_SYNC_TIMELINE, .timeline_value = r->point + 1 };
	struct drm_fixar_job jobs[] = {
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(to, 2), .in_syncs = ARRAY_OF(&in, 1) },
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(nops, 2), .depends = 1,
		  .out_syncs = ARRAY_OF(&point, 1) },
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_C2H, .operations = ARRAY_OF(&from, 1), .depends = 2,
		  .out_syncs = ARRAY_OF(&out, 1) },
	};
	struct drm_fixar_submit args = { .jobs = ARRAY_OF(jobs, 3) };
	int ret = plain(r, DRM_IOCTL_FIXAR_SUBMIT, &args);

	if (!ret)
		r->point++;
	return ret;
}

/* ---- What must hold ---- */

/* All or nothing: as many jobs as the submissions that succeeded have, no fence where none was put, and all come to their end. */
static const char *judge_submissions(struct round *r)
{
	struct drm_fixar_ctx_query now;

	if (fixar_context_query(r->fd, r->ctx, &now))
		return "the context cannot be asked";
	if (now.state != DRM_FIXAR_CTX_OK || now.jobs_submitted != 3 * r->point + 1)
		return "the context is not as after the submissions that succeeded";
	fixar_gate_signal(&r->gate);
	if (fixar_sync_wait(r->fd, r->out, FIXAR_PATIENCE) || fixar_sync_wait_point(r->fd, r->timeline, r->point, FIXAR_PATIENCE))
		return "the jobs do not end";
	return NULL;
}

static const struct kind {
	const char *name;
	int (*before)(struct round *r);
	int (*call)(struct round *r);
	const char *(*judge)(struct round *r); /* what is wrong after a call that failed and one that succeeded */
	bool once; /* what succeeded cannot be done once more */
	int also; /* an error that the kernel says in place of ENOMEM, or that the call says by itself */
	bool refused; /* the latter */
} kinds[] = {
	{ "open", .call = open_file },
	{ "QUERY", .call = query },
	/* The memory behind a buffer is a file of the kernel's, for which an inode that could not be had is no space. */
	{ "BO_CREATE", .call = create_buffer, .also = -ENOSPC },
	{ "mmap", .before = with_buffer, .call = map_buffer },
	{ "BO_PREP", .before = with_mapped_buffer, .call = prepare_buffer },
	{ "BO_FINI", .before = with_mapped_buffer, .call = give_buffer_back },
	{ "PRIME_HANDLE_TO_FD", .before = with_buffer, .call = export_buffer },
	{ "PRIME_FD_TO_HANDLE", .before = with_gate, .call = import_buffer },
	{ "CTX_CREATE", .call = create_context },
	{ "CTX_CREATE-full", .before = with_context, .call = create_too_large_context, .also = -ENOSPC, .refused = true },
	{ "CTX_DESTROY", .before = with_context, .call = destroy_context, .once = true },
	{ "CTX_MODE", .before = with_context, .call = mode_of_context },
	{ "CTX_QUERY", .before = with_context, .call = query_context },
	{ "SUBMIT", .before = with_all, .call = submit, .judge = judge_submissions },
};

#endif /* FAILURE_CALLS_H */
