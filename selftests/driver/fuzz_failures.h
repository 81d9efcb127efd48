/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations, and copies from and to user memory, that fail on request: the kernel's fault injection, which a debug kernel
 * has. Elsewhere nothing fails.
 */
#ifndef FUZZ_FAILURES_H
#define FUZZ_FAILURES_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixar_lib.h"

static struct failure {
	bool possible;
} failure_injection;

/* /proc/thread-self/fail-nth */
static __thread int failure_file = -1;

/* Once. Silently, because each failure comes with a trace otherwise, and also of allocations that could wait for memory. */
static inline void failures_begin(void)
{
	static const char *const settings[][2] = {
		{ "failslab/verbose", "0" },	    { "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/verbose", "0" }, { "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_usercopy/verbose", "0" },   { "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
	};
	char path[128];
	unsigned int i;

	failure_injection.possible = true;
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		if (fixar_write_file(path, settings[i][1]))
			failure_injection.possible = false;
	}
}

/* In each thread. */
static inline void failures_thread(void)
{
	if (failure_injection.possible)
		failure_file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

static inline bool failures_here(void)
{
	return failure_file >= 0;
}

/* The nth thing from now on, counted from 1, that can fail in this thread will; 0: nothing. */
static inline void failure_set(unsigned int nth)
{
	char text[16];
	int tries;

	snprintf(text, sizeof(text), "%u", nth);
	/* The copy that is to fail may be this one's; then nothing more fails, and the next try succeeds. */
	for (tries = 0; tries < 3; tries++) {
		if (pwrite(failure_file, text, strlen(text), 0) > 0)
			return;
	}
	failure_file = -1;
}

/* Whether it did. Nothing fails afterwards. */
static inline bool failure_happened(void)
{
	char text[16] = "";
	ssize_t length = pread(failure_file, text, sizeof(text) - 1, 0);

	failure_set(0);
	return length > 0 && !strtoul(text, NULL, 0);
}

#endif /* FUZZ_FAILURES_H */
