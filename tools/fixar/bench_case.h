/* SPDX-License-Identifier: MIT */
/* One thing whose speed is measured: an agent of one precision on a device with some threads, trained or asked. */
#ifndef FIXAR_TOOLS_BENCH_CASE_H
#define FIXAR_TOOLS_BENCH_CASE_H

#include "cli.h"

struct bench_shape {
	uint32_t observation_dim, action_dim;
	uint32_t hidden_count;
	uint32_t hidden[FIXAR_MAX_HIDDEN];
};

struct bench_case {
	enum fixar_precision precision; /* qat16: after its switch */
	uint32_t batch;			/* of training steps; 0: acting on one observation */
	uint32_t threads;
	struct bench_state *state;
	double *rates;		 /* one for each round, per second of wall time */
	double *processor_rates; /* per second of processor time */
};

/* Opens the device and makes the agent; for qat16 trains a few steps, and switches. 0 or -errno. */
int bench_case_open(struct bench_case *bench, const struct bench_shape *shape, const char *engine);
void bench_case_close(struct bench_case *bench);
const char *bench_case_device(const struct bench_case *bench);

/* Works for so many seconds (and at least once): how often per second of both clocks. 0 or -errno. */
int bench_case_run(struct bench_case *bench, double seconds, double *rate, double *processor_rate);

#endif /* FIXAR_TOOLS_BENCH_CASE_H */
