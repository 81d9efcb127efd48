/* SPDX-License-Identifier: GPL-2.0-only */
/* How long calls take, by kind: an emulated processor makes few, and this says on what it spends its time. */
#ifndef FUZZ_TIMES_H
#define FUZZ_TIMES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "fixar_lib.h"

struct call_time {
	uint64_t count;
	uint64_t failed;
	uint64_t ns;
};

static const struct {
	unsigned long request;
	const char *name;
} call_kinds[] = {
	{ DRM_IOCTL_FIXAR_QUERY, "QUERY" },
	{ DRM_IOCTL_FIXAR_BO_CREATE, "BO_CREATE" },
	{ DRM_IOCTL_FIXAR_BO_PREP, "BO_PREP" },
	{ DRM_IOCTL_FIXAR_BO_FINI, "BO_FINI" },
	{ DRM_IOCTL_FIXAR_CTX_CREATE, "CTX_CREATE" },
	{ DRM_IOCTL_FIXAR_CTX_DESTROY, "CTX_DESTROY" },
	{ DRM_IOCTL_FIXAR_CTX_SET_MODE, "CTX_SET_MODE" },
	{ DRM_IOCTL_FIXAR_CTX_GET_MODE, "CTX_GET_MODE" },
	{ DRM_IOCTL_FIXAR_CTX_QUERY, "CTX_QUERY" },
	{ DRM_IOCTL_FIXAR_SUBMIT, "SUBMIT" },
	{ DRM_IOCTL_GEM_CLOSE, "GEM_CLOSE" },
	{ DRM_IOCTL_SYNCOBJ_CREATE, "SYNCOBJ_CREATE" },
	{ DRM_IOCTL_SYNCOBJ_DESTROY, "SYNCOBJ_DESTROY" },
	{ DRM_IOCTL_SYNCOBJ_WAIT, "SYNCOBJ_WAIT" },
	{ DRM_IOCTL_PRIME_HANDLE_TO_FD, "PRIME_HANDLE_TO_FD" },
	{ DRM_IOCTL_PRIME_FD_TO_HANDLE, "PRIME_FD_TO_HANDLE" },
};

#define CALL_KINDS (sizeof(call_kinds) / sizeof(call_kinds[0]) + 1) /* the last one: no ioctl of these */

static inline void call_time_add(struct call_time *times, unsigned long request, int error, int64_t ns)
{
	struct call_time *time;
	size_t i;

	for (i = 0; i < CALL_KINDS - 1 && call_kinds[i].request != request; i++)
		;
	time = &times[i];
	__atomic_add_fetch(&time->count, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&time->failed, error != 0, __ATOMIC_RELAXED);
	__atomic_add_fetch(&time->ns, (uint64_t)ns, __ATOMIC_RELAXED);
}

static inline void call_times_print(const struct call_time *times)
{
	size_t i;

	for (i = 0; i < CALL_KINDS; i++) {
		const struct call_time *time = &times[i];

		if (time->count)
			printf("# %-20s %8llu calls, %8llu failed, %8.1f us each, %7.1f s in all\n",
			       i < CALL_KINDS - 1 ? call_kinds[i].name : "(none of these)", (unsigned long long)time->count,
			       (unsigned long long)time->failed, (double)time->ns / 1e3 / (double)time->count, (double)time->ns / 1e9);
	}
}

#endif /* FUZZ_TIMES_H */
