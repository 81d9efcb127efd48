// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile client: random ioctls from several threads of two processes, a part of them well-formed. Two victims keep
 * canaries in arenas and buffers of their own and compare them throughout.
 *
 *	ioctl_fuzz [COUNT [SEED]]
 *
 * Prints KTAP: that the victims' bytes are intact, that at least a fifth of the calls was well-formed, how many jobs
 * reached the card, that the kernel found nothing worth a warning. The seed is printed; with the same one each thread
 * makes the same calls.
 *
 * Where the kernel can let allocations and copies from user memory fail on request, it does in some of the calls.
 */
#define _GNU_SOURCE
#include "fixar_lib.h"
#include "fuzz_calls.h"
#include "fuzz_judges.h"

#include <errno.h>
#include <fcntl.h>
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
/* ---- Well-formed calls, here and there with a wrong field ---- */

static void make_buffer(struct fuzzer *f)
{
	/* Mostly small: the kernel zeroes them. */
	struct drm_fixar_bo_create create = { .size = 1 + below(f, chance(f, 3) ? 512 << 10 : 16 << 10) };
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

static void renew_context(struct fuzzer *f, uint32_t slot)
{
	struct drm_fixar_ctx_create create = { .size = 1 + below(f, chance(f, 3) ? 1 << 20 : 65536), .flags = chance(f, 5) };

	if (f->contexts[slot]) {
		struct drm_fixar_ctx_destroy destroy = { .handle = f->contexts[slot], .pad = chance(f, 5) };

		if (!call(f, DRM_IOCTL_FIXAR_CTX_DESTROY, &destroy))
			f->contexts[slot] = 0;
	}
	/* Not all of the card: the victims need theirs, and zeros take time. */
	if (chance(f, 5))
		create.size = odd(f) | 1ULL << 40;
	if (!call(f, DRM_IOCTL_FIXAR_CTX_CREATE, &create)) {
		f->contexts[slot] = create.handle;
		__atomic_add_fetch(&counts->contexts, 1, __ATOMIC_RELAXED);
	}
}

static void make_context(struct fuzzer *f)
{
	renew_context(f, (uint32_t)below(f, HANDLES));
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
	/* Seldom those that read registers: an emulated card takes its time. */
	struct drm_fixar_query device = { .type = (uint32_t)below(f, chance(f, 10) ? 6 : 3),
					  .index = chance(f, 20) ? (uint32_t)(chance(f, 50) ? below(f, 0x300) : odd(f)) : 0,
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
	o->type = (f->careful ? !chance(f, 1) : chance(f, 85)) ? DRM_FIXAR_OP_NOP : 1 + (uint32_t)below(f, slip(f, 20) ? 7 : 5);
	if (o->type == DRM_FIXAR_OP_ACT || o->type == DRM_FIXAR_OP_TRAIN) {
		o->count = (uint32_t)(slip(f, 20) ? odd(f) : 1 + below(f, 64));
		o->input = slip(f, 20) ? odd(f) : 64 * (1 + below(f, 512));
		o->output = o->type == DRM_FIXAR_OP_ACT ? 64 * (1 + below(f, 512)) : 0;
	}
	if (o->type != DRM_FIXAR_OP_NOP && chance(f, 50))
		o->statistics = 64 * (1 + below(f, 512));
	if (slip(f, 3))
		((uint32_t *)o)[below(f, sizeof(*o) / 4)] = (uint32_t)odd(f);
}

static void a_copy(struct fuzzer *f, struct drm_fixar_copy *c)
{
	uint32_t slot = place(f, f->buffers);

	memset(c, 0, sizeof(*c));
	c->bo = f->buffers[slot];
	c->size = 1 + below(f, chance(f, 10) ? 20000 : 1000);
	c->bo_offset = below(f, f->buffer_bytes[slot] ? f->buffer_bytes[slot] : 1);
	if (f->careful && c->size > f->buffer_bytes[slot])
		c->size = f->buffer_bytes[slot];
	if (f->buffer_bytes[slot] >= c->size)
		c->bo_offset %= f->buffer_bytes[slot] - c->size + 1;
	c->arena_offset = below(f, 45000);
	if (slip(f, 3))
		((uint64_t *)c)[below(f, sizeof(*c) / 8)] = odd(f);
}

static void a_sync(struct fuzzer *f, struct drm_fixar_sync *s)
{
	s->handle = pick(f, f->syncs);
	if (chance(f, 20)) {
		s->flags = DRM_FIXAR_SYNC_TIMELINE;
		s->timeline_value = f->careful + below(f, 8);
	}
	if (slip(f, 3))
		((uint32_t *)s)[below(f, sizeof(*s) / 4)] = (uint32_t)odd(f);
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

	f->careful = chance(f, 80);
	for (i = 0; i < count; i++) {
		n = 1 + (uint32_t)below(f, chance(f, 25) ? PIECES : 2);
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
			jobs[i].channel = (uint32_t)below(f, f->careful ? 2 : 3);
			if (f->careful && jobs[i].queue == DRM_FIXAR_QUEUE_CORE)
				jobs[i].flags = jobs[i].channel = 0;
		}
		/* One without a fence is refused. */
		if (chance(f, f->careful ? 5 : 20)) {
			a_sync(f, &syncs[i][0]);
			jobs[i].in_syncs = ARRAY_OF(&syncs[i][0], 1);
		}
		if (chance(f, 40)) {
			a_sync(f, &syncs[i][1]);
			jobs[i].out_syncs = ARRAY_OF(&syncs[i][1], 1);
		}
		if (slip(f, 2))
			((uint64_t *)&jobs[i])[below(f, sizeof(jobs[i]) / 8)] = odd(f);
	}
	if (slip(f, 2))
		((uint64_t *)&args)[below(f, sizeof(args) / 8)] = odd(f);
	f->careful = false;
	if (!call(f, DRM_IOCTL_FIXAR_SUBMIT, &args)) {
		__atomic_add_fetch(&counts->jobs, count, __ATOMIC_RELAXED);
		return;
	}
	if (errno < ERRORS)
		__atomic_add_fetch(&counts->refused[errno], 1, __ATOMIC_RELAXED);
	if ((errno == EIO || errno == ENOENT) && chance(f, 70)) {
		/* An operation before it was refused: nothing more is to be had from one of the contexts. */
		for (i = 0; i < HANDLES; i++) {
			struct drm_fixar_ctx_query query = { .handle = f->contexts[i] };

			if (call(f, DRM_IOCTL_FIXAR_CTX_QUERY, &query) || query.state != DRM_FIXAR_CTX_OK)
				renew_context(f, i);
		}
	}
}

/* A buffer that others know of, for a while: its fences count then. */
static void share(struct fuzzer *f)
{
	struct drm_prime_handle prime = { .handle = pick(f, f->buffers), .flags = DRM_CLOEXEC | DRM_RDWR };
	int file;

	if (call(f, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return;
	file = prime.fd;
	submit(f);
	prime.handle = 0;
	call(f, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);
	close(file);
}

/* A buffer of another driver, with a fence of it that is signalled after jobs wait for it. */
static void import(struct fuzzer *f)
{
	const uint32_t slot = (uint32_t)below(f, HANDLES);
	struct drm_prime_handle prime = {};
	struct fixar_gate gate;

	if (fixar_gate_create(4096 * (1 + below(f, 16)), chance(f, 50), &gate))
		return;
	prime.fd = gate.dmabuf;
	if (!call(f, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime)) {
		struct drm_gem_close close = { .handle = f->buffers[slot] };

		call(f, DRM_IOCTL_GEM_CLOSE, &close);
		f->buffers[slot] = prime.handle;
		f->buffer_bytes[slot] = gate.size;
		submit(f);
	}
	fixar_gate_signal(&gate);
	fixar_gate_destroy(&gate);
}

/* A file that is closed with all it has. */
static void another_file(struct fuzzer *f)
{
	struct fuzzer other = { .fd = fixar_open_node(), .state = fixar_random(&f->state) | 1 };
	uint32_t i;

	if (other.fd < 0)
		return;
	for (i = 0; i < 3; i++)
		make_buffer(&other);
	renew_context(&other, 0);
	for (i = 0; i < 4; i++)
		submit(&other);
	close(other.fd);
	f->made += other.made;
	kcov_take();
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
	if (!call(f, _IOC(below(f, 4), DRM_IOCTL_BASE, number, below(f, 256)),
		  chance(f, 95) ? (void *)bytes : (void *)(uintptr_t)odd(f)) &&
	    number == DRM_COMMAND_BASE + DRM_FIXAR_CTX_CREATE)
		__atomic_add_fetch(&counts->contexts, 1, __ATOMIC_RELAXED);
}

/*
 * What there is of each in a thousand. A submission costs as much as a dozen other calls where the kernel is watched, and the
 * card's end of it comes on top: so many that a tenth as many jobs as calls reach the card.
 */
static const struct {
	void (*act)(struct fuzzer *f);
	unsigned int share;
} acts[] = { { make_buffer, 35 }, { make_context, 15 }, { make_sync, 60 }, { mode, 160 },	{ ask, 240 },	{ prepare, 150 },
	     { await, 70 },	  { share, 10 },	{ import, 4 },	   { another_file, 3 }, { submit, 73 }, { garbage, 180 } };

static void *fuzz(void *argument)
{
	struct fuzzer *f = argument;
	unsigned int i, at;

	kcov_thread();
	failures_thread();
	for (i = 0; i < HANDLES; i++) {
		make_buffer(f);
		make_context(f);
		make_sync(f);
	}
	while (f->made < f->calls) {
		for (i = 0, at = (unsigned int)below(f, 1000); at >= acts[i].share; i++)
			at -= acts[i].share;
		acts[i].act(f);
	}
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
		fuzzers[i].calls = (calls + PROCESSES * THREADS - 1) / (PROCESSES * THREADS);
		fuzzers[i].state = seed * 1000003 + process * 101 + i + 1;
		if (pthread_create(&threads[i], NULL, fuzz, &fuzzers[i]))
			return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static int results, failures;

static void result(bool good, const char *text)
{
	results++;
	failures += !good;
	printf("%sok %d %s\n", good ? "" : "not ", results, text);
	fflush(stdout);
}

/* Into the kernel's log, which is read also where a test's output is kept back or its machine has died: once in a minute. */
static void tell_progress(int64_t began, uint64_t looks)
{
	static int64_t told;
	const int64_t now = fixar_now();
	char text[160];

	if (now - (told ? told : began) < 60 * FIXAR_SECOND)
		return;
	told = now;
	snprintf(text, sizeof(text), "<6>fixar-test: ioctl_fuzz: %llu calls, %llu jobs accepted, %llu looks in %lld s\n",
		 (unsigned long long)counts->calls, (unsigned long long)counts->jobs, (unsigned long long)looks,
		 (long long)((now - began) / FIXAR_SECOND));
	fixar_write_file("/dev/kmsg", text);
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
	int fd, log, status, ret = 0;
	const int64_t began = fixar_now();
	bool ended = true;
	double seconds;
	uint32_t queue;
	char text[160];
	pid_t pid;

	printf("TAP version 13\n");
	fd = fixar_open_node();
	if (fd < 0) {
		printf("1..0 # SKIP no node of the driver fixar: %d\n", fd);
		return 4;
	}
	printf("1..6\n# seed %llu, %llu calls\n", (unsigned long long)seed, (unsigned long long)calls);
	fflush(stdout);
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log >= 0)
		lseek(log, 0, SEEK_END);
	kcov_begin();
	failures_begin();
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
		/* The processors are the attackers'. */
		usleep(100000);
		tell_progress(began, looks);
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
	/* Neither the victims' (two for each look) nor the driver's. */
	reached -= before.jobs + counts->contexts + 2 * 2 * (looks + 1);

	snprintf(text, sizeof(text), "the victims' bytes are intact (%llu looks; %d)", (unsigned long long)looks, ret);
	result(!ret, text);
	result(ended, "the attackers came to their end");
	snprintf(text, sizeof(text), "at least a fifth of the calls is well-formed: %llu of %llu succeeded",
		 (unsigned long long)counts->succeeded, (unsigned long long)counts->calls);
	result(counts->succeeded * 5 >= counts->calls, text);
	snprintf(text, sizeof(text), "jobs reach the card: %llu accepted, %llu finished", (unsigned long long)counts->jobs,
		 (unsigned long long)reached);
	result(reached * 20 >= calls, text);
	for (i = 0; i < ERRORS; i++) {
		if (counts->refused[i])
			printf("# %llu submissions refused: %s\n", (unsigned long long)counts->refused[i], strerror((int)i));
	}
	snprintf(text, sizeof(text), "only documented errors (%llu others, such as %lld)",
		 (unsigned long long)counts->unexpected, (long long)counts->example);
	result(!counts->unexpected, text);
	result(log >= 0 && !warnings(log), "the kernel's log has no line at warning level or above");
	if (failure_injection.possible)
		printf("# %llu failures on purpose\n", (unsigned long long)counts->failures);
	seconds = (double)(fixar_now() - began) / 1e9;
	printf("# %.0f s, %.0f calls a second\n", seconds, (double)counts->calls / seconds);
	call_times_print(counts->times);
	kcov_print();
	return failures ? 1 : 0;
}
