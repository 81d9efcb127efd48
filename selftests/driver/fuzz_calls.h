/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread that makes random calls: its numbers, what it has, and the one function that calls. */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "fixar_kcov.h"
#include "fixar_lib.h"
#include "fuzz_failures.h"
#include "fuzz_times.h"

#define HANDLES 8
#define ERRORS 134 /* numbers of errors */

/* Shared by the processes. */
struct counts {
	uint64_t calls;
	uint64_t succeeded;
	uint64_t jobs; /* in submissions that were accepted */
	uint64_t contexts; /* that were created: each is a job of the driver's own, which writes zeros */
	uint64_t refused[ERRORS]; /* submissions, by error */
	uint64_t failures; /* of allocations and copies, on purpose */
	uint64_t unexpected; /* errors that no ioctl may return */
	int64_t example;
	struct call_time times[CALL_KINDS];
};

static struct counts *counts;

struct fuzzer {
	int fd;
	uint64_t state;
	uint64_t calls; /* to make, and made */
	uint64_t made;
	bool careful; /* for a while: no slips, so that long submissions get through */
	uint32_t buffers[HANDLES];
	uint64_t buffer_bytes[HANDLES];
	uint32_t contexts[HANDLES];
	uint32_t syncs[HANDLES];
};

static inline uint64_t below(struct fuzzer *f, uint64_t limit)
{
	return fixar_random(&f->state) % limit;
}

static inline bool chance(struct fuzzer *f, unsigned int percent)
{
	return below(f, 100) < percent;
}

/* A number as attackers like them. */
static inline uint64_t odd(struct fuzzer *f)
{
	static const uint64_t values[] = { 0, 1, 7, 63, 64, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
					   0x100000000, 1ULL << 40, 1ULL << 63, UINT64_MAX - 63, UINT64_MAX };

	return chance(f, 50) ? values[below(f, sizeof(values) / sizeof(values[0]))]
			     : fixar_random(&f->state) >> below(f, 64);
}

/* A mistake: so often of a hundred times, unless the thread is careful. */
static inline bool slip(struct fuzzer *f, unsigned int percent)
{
	return !f->careful && chance(f, percent);
}

/* One of our handles' places; not all are taken. */
static inline uint32_t place(struct fuzzer *f, const uint32_t *handles)
{
	uint32_t slot = (uint32_t)below(f, HANDLES), tries;

	for (tries = 0; f->careful && !handles[slot] && tries < HANDLES; tries++)
		slot = (slot + 1) % HANDLES;
	return slot;
}

/* Mostly a handle of ours, sometimes none. */
static inline uint32_t pick(struct fuzzer *f, const uint32_t *handles)
{
	return slip(f, 5) ? (uint32_t)odd(f) : handles[place(f, handles)];
}

static inline int call(struct fuzzer *f, unsigned long request, void *argument)
{
	const bool failing = failures_here() && chance(f, 3);
	int ret, error;
	int64_t began;

	if (failing)
		failure_set(1 + (unsigned int)below(f, chance(f, 70) ? 6 : 60));
	began = fixar_now();
	ret = ioctl(f->fd, request, argument);
	error = ret < 0 ? errno : 0;
	call_time_add(counts->times, request, error, fixar_now() - began);
	if (failing && failure_happened())
		__atomic_add_fetch(&counts->failures, 1, __ATOMIC_RELAXED);

	kcov_take();
	f->made++;
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
	errno = error;
	return ret;
}

#endif /* FUZZ_CALLS_H */
