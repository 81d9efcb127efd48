/* SPDX-License-Identifier: GPL-2.0-only */
/* What shows whether an attack has done harm: bytes of others, and what the kernel says. */
#ifndef FUZZ_JUDGES_H
#define FUZZ_JUDGES_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixar_lib.h"

#define CANARY (256u << 10)

/* ---- The victims ---- */

struct victim {
	int fd;
	uint32_t ctx;
	uint8_t *expected; /* the bytes of both canaries, where no driver knows of them */
	struct fixar_buffer canary; /* the same bytes as the arena's */
	struct fixar_buffer check;
};

static inline int victim_begin(struct victim *v, uint64_t seed)
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
	v->expected = malloc(CANARY);
	if (!v->expected)
		return -ENOMEM;
	fixar_fill(v->expected, CANARY, seed);
	memcpy(v->canary.map, v->expected, CANARY);
	fixar_buffer_fini(v->fd, v->canary.handle, DRM_FIXAR_BO_WRITE);
	return fixar_copy_wait(v->fd, v->ctx, DRM_FIXAR_QUEUE_H2C, v->canary.handle, 0, 0, CANARY);
}

/* Return: 0, an error, or 1: bytes of the buffer; 2: of the arena; 3: the context's state. */
static inline int victim_look(struct victim *v)
{
	struct drm_fixar_ctx_query query;
	int ret;

	if (memcmp(v->canary.map, v->expected, CANARY))
		return 1;
	/* A copy that did nothing would leave what the look before has found. */
	memset(v->check.map, 0, CANARY);
	fixar_buffer_fini(v->fd, v->check.handle, DRM_FIXAR_BO_WRITE);
	ret = fixar_copy_wait(v->fd, v->ctx, DRM_FIXAR_QUEUE_C2H, v->check.handle, 0, 0, CANARY);
	if (!ret)
		ret = fixar_buffer_prep(v->fd, v->check.handle, DRM_FIXAR_BO_READ, fixar_now() + FIXAR_PATIENCE);
	if (ret)
		return ret;
	if (memcmp(v->check.map, v->expected, CANARY))
		return 2;
	ret = fixar_nops_wait(v->fd, v->ctx, 1);
	if (!ret)
		ret = fixar_context_query(v->fd, v->ctx, &query);
	if (!ret && query.state != DRM_FIXAR_CTX_OK)
		ret = 3;
	return ret;
}

/* ---- The kernel's log ---- */

/* What is said of a slow machine, and not of the driver. */
static const char *const slowness[] = { "hogged CPU", "hrtimer: interrupt took", "clocksource", "perf: interrupt took",
					"rcu_", "sched: " };

/* Lines at warning level and above since `log` was opened. They are printed. */
static inline unsigned int warnings(int log)
{
	char record[8192], *text;
	unsigned int found = 0, i;
	ssize_t length;

	for (;;) {
		length = read(log, record, sizeof(record) - 1);
		if (length < 0 && errno == EPIPE) /* some were overwritten: there were many */
			continue;
		if (length <= 0)
			return found;
		record[length] = 0;
		text = strchr(record, ';');
		if (!text || (strtoul(record, NULL, 10) & 7) > 4)
			continue;
		for (i = 0; i < sizeof(slowness) / sizeof(slowness[0]) && !strstr(text, slowness[i]); i++)
			;
		if (i < sizeof(slowness) / sizeof(slowness[0]))
			continue;
		printf("# log: %.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
		found++;
	}
}

#endif /* FUZZ_JUDGES_H */
