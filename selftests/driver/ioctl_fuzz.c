// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile client: random ioctls from several threads of two processes, a part of them well-formed. Two victims keep
 * canaries in arenas and buffers of their own and compare them throughout.
 *
 *	ioctl_fuzz [COUNT [SEED]]
 *
 * Prints KTAP: that the victims' bytes are intact, that at least a fifth of the calls was well-formed, how many jobs
 * reached the card. The seed is printed; with the same one each thread makes the same calls.
 */
#define _GNU_SOURCE
#include "fixar_lib.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 2
#define THREADS 3
#define HANDLES 8
#define CANARY (256u << 10)

/* Shared by the processes. */
struct counts {
	uint64_t calls;
	uint64_t succeeded;
	uint64_t jobs; /* in submissions that were accepted */
	uint64_t unexpected; /* errors that no ioctl may return */
	int64_t example;
};

static struct counts *counts;

struct fuzzer {
	int fd;
	uint64_t state;
	uint64_t calls;
	uint32_t buffers[HANDLES];
	uint64_t buffer_bytes[HANDLES];
	uint32_t contexts[HANDLES];
	uint32_t syncs[HANDLES];
};

static uint64_t below(struct fuzzer *f, uint64_t limit)
{
	return fixar_random(&f->state) % limit;
}

static bool chance(struct fuzzer *f, unsigned int percent)
{
	return below(f, 100) < percent;
}

/* A number as attackers like them. */
static uint64_t odd(struct fuzzer *f)
{
	static const uint64_t values[] = { 0, 1, 7, 63, 64, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
					   0x100000000, 1ULL << 40, 1ULL << 63, UINT64_MAX - 63, UINT64_MAX };

	return chance(f, 50) ? values[below(f, sizeof(values) / sizeof(values[0]))]
			     : fixar_random(&f->state) >> below(f, 64);
}

/* Mostly a handle of ours, sometimes none. */
static uint32_t pick(struct fuzzer *f, const uint32_t *handles)
{
	return chance(f, 95) ? handles[below(f, HANDLES)] : (uint32_t)odd(f);
}

static int call(struct fuzzer *f, unsigned long request, void *argument)
{
	int ret = ioctl(f->fd, request, argument);
	int error = ret < 0 ? errno : 0;

	__atomic_add_fetch(&counts->calls, 1, __ATOMIC_RELAXED);
	switch (error) {
	case 0:
		__atomic_add_fetch(&counts->succeeded, 1, __ATOMIC_RELAXED);
		break;
	case EINVAL: case EFAULT: case ENOENT: case ENOMEM: case ENOSPC: case EBUSY: case ERANGE: case E2BIG: case EIO:
	case ESTALE: case ETIME: case ETIMEDOUT: case EINTR: case EOPNOTSUPP: case EACCES: case EBADF: case ENODEV:
		break;
	default:
		counts->example = error;
		__atomic_add_fetch(&counts->unexpected, 1, __ATOMIC_RELAXED);
	}
	return ret;
}

/* ---- Well-formed calls, here and there with a wrong field ---- */

static void make_buffer(struct fuzzer *f)
{
	struct drm_fixar_bo_create create = { .size = 1 + below(f, 512 << 10) };
	uint32_t slot = (uint32_t)below(f, HANDLES);

	if (chance(f, 10))
		create.size = odd(f);
	/* What can be had, but is not worth having: the machine's memory is not the driver's to defend. */
	if (create.size > 1 << 20 && create.size < 1ULL << 40)
		create.size &= 0xfffff;
	if (call(f, DRM_IOCTL_FIXAR_BO_CREATE, &create))
		return;
	if (f->buffers[slot]) {
		struct drm_gem_close close = { .handle = f->buffers[slot] };

		call(f, DRM_IOCTL_GEM_CLOSE, &close);
	}
	f->buffers[slot] = create.handle;
	f->buffer_bytes[slot] = create.size;
}

static void make_context(struct fuzzer *f)
{
	struct drm_fixar_ctx_create create = { .size = 1 + below(f, 1 << 20), .flags = chance(f, 5) };
	uint32_t slot = (uint32_t)below(f, HANDLES);

	if (f->contexts[slot]) {
		struct drm_fixar_ctx_destroy destroy = { .handle = f->contexts[slot], .pad = chance(f, 5) };

		if (!call(f, DRM_IOCTL_FIXAR_CTX_DESTROY, &destroy))
			f->contexts[slot] = 0;
	}
	/* Not all of the card: the victims need theirs, and zeros take time. */
	if (chance(f, 5))
		create.size = odd(f) | 1ULL << 40;
	if (!call(f, DRM_IOCTL_FIXAR_CTX_CREATE, &create))
		f->contexts[slot] = create.handle;
}

static void make_sync(struct fuzzer *f)
{
	struct drm_syncobj_create create = { .flags = chance(f, 70) ? DRM_SYNCOBJ_CREATE_SIGNALED : 0 };
	uint32_t slot = (uint32_t)below(f, HANDLES);

	if (f->syncs[slot]) {
		struct drm_syncobj_destroy destroy = { .handle = f->syncs[slot] };

		call(f, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
	}
	f->syncs[slot] = 0;
	if (!call(f, DRM_IOCTL_SYNCOBJ_CREATE, &create))
		f->syncs[slot] = create.handle;
}

static void mode(struct fuzzer *f)
{
	struct drm_fixar_ctx_mode mode = { .handle = pick(f, f->contexts) };

	if (call(f, DRM_IOCTL_FIXAR_CTX_GET_MODE, &mode))
		return;
	((uint32_t *)&mode.mode)[below(f, sizeof(mode.mode) / 4)] = (uint32_t)(chance(f, 50) ? below(f, 3) : odd(f));
	call(f, DRM_IOCTL_FIXAR_CTX_SET_MODE, &mode);
}

static void ask(struct fuzzer *f)
{
	struct drm_fixar_ctx_query query = { .handle = pick(f, f->contexts), .pad = chance(f, 5) };
	uint64_t data[64];
	struct drm_fixar_query device = { .type = (uint32_t)below(f, 6), .index = chance(f, 20) ? (uint32_t)odd(f) : 0,
					  .size = (uint32_t)(chance(f, 90) ? below(f, sizeof(data)) : odd(f) % sizeof(data)),
					  .data = chance(f, 90) ? (uintptr_t)data : odd(f) };

	if (chance(f, 50))
		call(f, DRM_IOCTL_FIXAR_CTX_QUERY, &query);
	else
		call(f, DRM_IOCTL_FIXAR_QUERY, &device);
}

static void prepare(struct fuzzer *f)
{
	struct drm_fixar_bo_prep prep = { .handle = pick(f, f->buffers), .flags = (uint32_t)below(f, 5),
					  .timeout_ns = chance(f, 50) ? 0 : fixar_now() + 1000000 };
	struct drm_fixar_bo_fini fini = { .handle = prep.handle, .flags = (uint32_t)below(f, 5) };

	call(f, DRM_IOCTL_FIXAR_BO_PREP, &prep);
	call(f, DRM_IOCTL_FIXAR_BO_FINI, &fini);
}

static void await(struct fuzzer *f)
{
	uint32_t handle = pick(f, f->syncs);
	struct drm_syncobj_wait wait = { .handles = (uintptr_t)&handle, .timeout_nsec = fixar_now() + 1000000,
					 .count_handles = 1 };

	call(f, DRM_IOCTL_SYNCOBJ_WAIT, &wait);
}

static void an_operation(struct fuzzer *f, struct drm_fixar_operation *o)
{
	memset(o, 0, sizeof(*o));
	/* Mostly NOP: the others fault a context that has no agent. */
	o->type = chance(f, 85) ? DRM_FIXAR_OP_NOP : (uint32_t)below(f, 7);
	if (o->type == DRM_FIXAR_OP_ACT || o->type == DRM_FIXAR_OP_TRAIN) {
		o->count = (uint32_t)(chance(f, 80) ? 1 + below(f, 64) : odd(f));
		o->input = chance(f, 80) ? 64 * (1 + below(f, 512)) : odd(f);
		o->output = o->type == DRM_FIXAR_OP_ACT ? 64 * (1 + below(f, 512)) : 0;
	}
	if (o->type != DRM_FIXAR_OP_NOP && chance(f, 50))
		o->statistics = 64 * (1 + below(f, 512));
	if (chance(f, 3))
		((uint32_t *)o)[below(f, sizeof(*o) / 4)] = (uint32_t)odd(f);
}

static void a_copy(struct fuzzer *f, struct drm_fixar_copy *c)
{
	uint32_t slot = (uint32_t)below(f, HANDLES);

	memset(c, 0, sizeof(*c));
	c->bo = f->buffers[slot];
	c->size = 1 + below(f, 20000);
	c->bo_offset = below(f, f->buffer_bytes[slot] ? f->buffer_bytes[slot] : 1);
	if (f->buffer_bytes[slot] > c->size)
		c->bo_offset %= f->buffer_bytes[slot] - c->size;
	c->arena_offset = below(f, 45000);
	if (chance(f, 3))
		((uint64_t *)c)[below(f, sizeof(*c) / 8)] = odd(f);
}

static void submit(struct fuzzer *f)
{
	enum { JOBS = 4, PIECES = 8 };
	union {
		struct drm_fixar_operation operations[PIECES];
		struct drm_fixar_copy copies[PIECES];
	} pieces[JOBS];
	struct drm_fixar_sync syncs[JOBS][2] = {};
	struct drm_fixar_job jobs[JOBS] = {};
	uint32_t count = 1 + (uint32_t)below(f, JOBS), i, j, n;
	struct drm_fixar_submit args = { .jobs = ARRAY_OF(jobs, count) };

	for (i = 0; i < count; i++) {
		n = 1 + (uint32_t)below(f, PIECES);
		jobs[i].ctx = pick(f, f->contexts);
		jobs[i].queue = (uint32_t)below(f, 3);
		if (jobs[i].queue == DRM_FIXAR_QUEUE_CORE) {
			for (j = 0; j < n; j++)
				an_operation(f, &pieces[i].operations[j]);
			jobs[i].operations = ARRAY_OF(pieces[i].operations, n);
		} else {
			for (j = 0; j < n; j++)
				a_copy(f, &pieces[i].copies[j]);
			jobs[i].operations = ARRAY_OF(pieces[i].copies, n);
		}
		jobs[i].depends = i ? below(f, 1ULL << i) : 0;
		if (chance(f, 20)) {
			jobs[i].flags = DRM_FIXAR_JOB_CHANNEL;
			jobs[i].channel = (uint32_t)below(f, 3);
		}
		if (chance(f, 20)) {
			syncs[i][0].handle = pick(f, f->syncs);
			jobs[i].in_syncs = ARRAY_OF(&syncs[i][0], 1);
		}
		if (chance(f, 40)) {
			syncs[i][1].handle = pick(f, f->syncs);
			jobs[i].out_syncs = ARRAY_OF(&syncs[i][1], 1);
		}
		if (chance(f, 2))
			((uint64_t *)&jobs[i])[below(f, sizeof(jobs[i]) / 8)] = odd(f);
	}
	if (chance(f, 2))
		((uint64_t *)&args)[below(f, sizeof(args) / 8)] = odd(f);
	if (!call(f, DRM_IOCTL_FIXAR_SUBMIT, &args))
		__atomic_add_fetch(&counts->jobs, count, __ATOMIC_RELAXED);
}

/* Any ioctl of the driver with any bytes and any size. */
static void garbage(struct fuzzer *f)
{
	uint64_t bytes[64];
	unsigned int number = DRM_COMMAND_BASE + (unsigned int)below(f, 12);
	uint32_t i;

	for (i = 0; i < 64; i++)
		bytes[i] = chance(f, 40) ? 0 : odd(f);
	if (chance(f, 50))
		bytes[0] = pick(f, chance(f, 50) ? f->contexts : f->buffers);
	/* A buffer or a context of gigabytes is no attack that this looks for. */
	if (number == DRM_COMMAND_BASE + DRM_FIXAR_BO_CREATE || number == DRM_COMMAND_BASE + DRM_FIXAR_CTX_CREATE)
		bytes[0] &= 0xfffff;
	call(f, _IOC(below(f, 4), DRM_IOCTL_BASE, number, below(f, 256)), chance(f, 95) ? (void *)bytes : (void *)(uintptr_t)odd(f));
}

static void *fuzz(void *argument)
{
	static void (*const acts[])(struct fuzzer *) = { make_buffer, make_context, make_sync, mode, ask, prepare, await,
							 submit, submit, submit, submit, garbage, garbage };
	struct fuzzer *f = argument;
	uint64_t i;

	for (i = 0; i < HANDLES; i++) {
		make_buffer(f);
		make_context(f);
		make_sync(f);
	}
	for (i = 0; i < f->calls; i++)
		acts[below(f, sizeof(acts) / sizeof(acts[0]))](f);
	return NULL;
}

static int attack(uint64_t seed, uint64_t calls, unsigned int process)
{
	struct fuzzer fuzzers[THREADS] = {};
	pthread_t threads[THREADS];
	unsigned int i;
	int fd = -1;

	for (i = 0; i < THREADS; i++) {
		/* Two threads share a file, and with it handles and locks. */
		if (i != 1)
			fd = fixar_open_node();
		if (fd < 0)
			return 1;
		fuzzers[i].fd = fd;
		fuzzers[i].calls = calls / PROCESSES / THREADS;
		fuzzers[i].state = seed * 1000003 + process * 101 + i + 1;
		if (pthread_create(&threads[i], NULL, fuzz, &fuzzers[i]))
			return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* ---- The victims ---- */

struct victim {
	int fd;
	uint32_t ctx;
	struct fixar_buffer canary; /* the same bytes as the arena's */
	struct fixar_buffer check;
	uint32_t crc;
};

static int victim_begin(struct victim *v, uint64_t seed)
{
	int ret;

	v->fd = fixar_open_node();
	if (v->fd < 0)
		return v->fd;
	ret = fixar_context_create(v->fd, CANARY, &v->ctx);
	if (!ret)
		ret = fixar_buffer_create(v->fd, CANARY, &v->canary);
	if (!ret)
		ret = fixar_buffer_create(v->fd, CANARY, &v->check);
	if (ret)
		return ret;
	fixar_fill(v->canary.map, CANARY, seed);
	v->crc = fixar_crc(v->canary.map, CANARY);
	fixar_buffer_fini(v->fd, v->canary.handle, DRM_FIXAR_BO_WRITE);
	return fixar_copy_wait(v->fd, v->ctx, DRM_FIXAR_QUEUE_H2C, v->canary.handle, 0, 0, CANARY);
}

/* Return: 0, an error, or 1: bytes of the buffer; 2: of the arena; 3: the context's state. */
static int victim_look(struct victim *v)
{
	struct drm_fixar_ctx_query query;
	int ret;

	if (fixar_crc(v->canary.map, CANARY) != v->crc)
		return 1;
	ret = fixar_copy_wait(v->fd, v->ctx, DRM_FIXAR_QUEUE_C2H, v->check.handle, 0, 0, CANARY);
	if (!ret)
		ret = fixar_buffer_prep(v->fd, v->check.handle, DRM_FIXAR_BO_READ, fixar_now() + FIXAR_PATIENCE);
	if (ret)
		return ret;
	if (fixar_crc(v->check.map, CANARY) != v->crc)
		return 2;
	ret = fixar_nops_wait(v->fd, v->ctx, 1);
	if (!ret)
		ret = fixar_context_query(v->fd, v->ctx, &query);
	if (!ret && query.state != DRM_FIXAR_CTX_OK)
		ret = 3;
	return ret;
}

static int results, failures;

static void result(bool good, const char *text)
{
	results++;
	failures += !good;
	printf("%sok %d %s\n", good ? "" : "not ", results, text);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 0) : fixar_full() ? 1000000 : 20000;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : fixar_seed();
	struct drm_fixar_query_queue before = {}, after = {};
	struct victim victims[2] = {};
	pid_t children[PROCESSES];
	unsigned int i, left = PROCESSES;
	uint64_t looks = 0, reached = 0;
	int fd, status, ret = 0;
	bool ended = true;
	uint32_t queue;
	char text[160];
	pid_t pid;

	printf("TAP version 13\n");
	fd = fixar_open_node();
	if (fd < 0) {
		printf("1..0 # SKIP no node of the driver fixar: %d\n", fd);
		return 4;
	}
	printf("1..5\n# seed %llu, %llu calls\n", (unsigned long long)seed, (unsigned long long)calls);
	fflush(stdout);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 1;
	for (i = 0; i < 2 && !ret; i++)
		ret = victim_begin(&victims[i], seed + i);
	for (queue = 0; queue < 3 && !ret; queue++) {
		ret = fixar_query(fd, DRM_FIXAR_QUERY_QUEUE, DRM_FIXAR_QUERY_QUEUE_INDEX(queue, DRM_FIXAR_CHANNEL_ALL), &after,
				  sizeof(after));
		before.jobs += after.jobs;
	}
	for (i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (!children[i])
			_exit(attack(seed, calls, i));
	}
	while (left) {
		for (i = 0; i < 2 && !ret; i++)
			ret = victim_look(&victims[i]);
		looks++;
		while (left && (pid = waitpid(-1, &status, left && !ret ? WNOHANG : 0)) > 0) {
			ended = ended && WIFEXITED(status) && !WEXITSTATUS(status);
			left--;
		}
	}
	for (i = 0; i < 2 && !ret; i++)
		ret = victim_look(&victims[i]);
	for (queue = 0; queue < 3; queue++) {
		fixar_query(fd, DRM_FIXAR_QUERY_QUEUE, DRM_FIXAR_QUERY_QUEUE_INDEX(queue, DRM_FIXAR_CHANNEL_ALL), &after,
			    sizeof(after));
		reached += after.jobs;
	}
	reached -= before.jobs;

	snprintf(text, sizeof(text), "the victims' bytes are intact (%llu looks; %d)", (unsigned long long)looks, ret);
	result(!ret, text);
	result(ended, "the attackers came to their end");
	snprintf(text, sizeof(text), "at least a fifth of the calls is well-formed: %llu of %llu succeeded",
		 (unsigned long long)counts->succeeded, (unsigned long long)counts->calls);
	result(counts->succeeded * 5 >= counts->calls, text);
	snprintf(text, sizeof(text), "jobs reach the card: %llu accepted, %llu finished", (unsigned long long)counts->jobs,
		 (unsigned long long)reached);
	result(reached * 20 >= calls, text);
	snprintf(text, sizeof(text), "only documented errors (%llu others, such as %lld)",
		 (unsigned long long)counts->unexpected, (long long)counts->example);
	result(!counts->unexpected, text);
	return failures ? 1 : 0;
}
