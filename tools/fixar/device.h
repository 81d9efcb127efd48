/* SPDX-License-Identifier: MIT */
/* The options that say on what to compute; train, eval and bench have them. They never change a bit of any result. */
#ifndef FIXAR_TOOLS_DEVICE_H
#define FIXAR_TOOLS_DEVICE_H

#include "cli.h"

struct device_choice {
	const char *device; /* NULL: "auto" */
	const char *engine; /* NULL: the best */
	uint32_t threads;   /* 0: one per processor */
};

enum {
	DEVICE_KEY_DEVICE = 0x2000,
	DEVICE_KEY_ENGINE,
	DEVICE_KEY_THREADS,
};

#define DEVICE_OPTIONS                                                                                                \
	{ "device",                                                                                                   \
	  DEVICE_KEY_DEVICE,                                                                                          \
	  "WHERE",                                                                                                    \
	  0,                                                                                                          \
	  "Where to compute: auto (a card if there is one, else the CPU), cpu, a node like /dev/accel/accel0 or a "   \
	  "PCI address; default auto",                                                                                \
	  3 },                                                                                                        \
		{ "engine",                                                                                           \
		  DEVICE_KEY_ENGINE,                                                                                  \
		  "NAME",                                                                                             \
		  0,                                                                                                  \
		  "CPU kernels: auto, scalar, avx2, avx512, amx or neon; the bits are the same",                           \
		  3 },                                                                                                \
	{                                                                                                             \
		"threads", DEVICE_KEY_THREADS, "N", 0, "Threads; default one per processor; the bits are the same", 3 \
	}

/* The name of an engine, known and not necessarily available; leaves the program with CLI_USAGE if it is none. */
const char *device_engine(const struct argp_state *state, const char *text);
/* Says why an engine that is known cannot be had. */
void device_engine_error(const char *name);
/* Takes an option of DEVICE_OPTIONS; 0, or ARGP_ERR_UNKNOWN. */
error_t device_option(struct device_choice *choice, int key, char *text, struct argp_state *state);
/* fixar_device_open() with its log on standard error. CLI_OK, CLI_USAGE (no such engine) or CLI_FAILED, after a
 * message. */
int device_open(const struct device_choice *choice, enum fixar_precision precision, struct fixar_device **device);

#endif /* FIXAR_TOOLS_DEVICE_H */
