/* SPDX-License-Identifier: MIT */
/*
 * fixar bench: what its files share. Whatever is measured, all cases are measured in turns, several times round, after
 * a round that warms up; a case's answer is the median of its rounds, with the slowest and the fastest.
 *
 * There are two clocks. Wall time is what a user waits. Processor time is what the process was given: on a machine that
 * other programs use too it says more about the code.
 */
#ifndef FIXAR_TOOLS_BENCH_H
#define FIXAR_TOOLS_BENCH_H

#include "bench_case.h"

#define BENCH_MAX_LIST 16

struct bench_arguments {
	enum fixar_precision precisions[BENCH_MAX_LIST];
	uint64_t batches[BENCH_MAX_LIST], threads[BENCH_MAX_LIST];
	size_t precision_count, batch_count, thread_count;
	struct bench_shape shape;
	const char *engine, *environment, *device, *out;
	unsigned rounds;
	double seconds;
	bool training, acting; /* which of the two bench_steps() measures */
	bool json;
};

/* Seconds of all threads of this process. */
double bench_processor_time(void);

/* The smallest, the median and the largest of some values, which are sorted. */
struct bench_spread {
	double low, median, high;
};
struct bench_spread bench_spread(double *values, unsigned count);
json_t *bench_spread_json(const struct bench_spread *spread);
/* "12.3 to 14.5", with more digits for small values. The buffer has CLI_TEXT bytes and is the answer. */
const char *bench_spread_text(const struct bench_spread *spread, char *buffer);

/* Draws "round 2 of 5, case 3 of 16" where somebody looks. */
void bench_progress(const struct bench_arguments *arguments, unsigned round, size_t index, size_t count);
void bench_progress_end(void);

/* What every answer begins with. */
json_t *bench_json_head(const struct bench_arguments *arguments, const char *device);

/* The things to measure; each prints its answer and returns an exit code. */
int bench_steps(const struct bench_arguments *arguments);
int bench_kernels(const struct bench_arguments *arguments);
int bench_platform(const struct bench_arguments *arguments);
int bench_scaling(const struct bench_arguments *arguments);

/* Bytes that the operations of a training step read and write, each operand and result counted once for each operation.
 */
double bench_step_bytes(const struct bench_shape *shape, enum fixar_precision precision, uint32_t batch);

#endif /* FIXAR_TOOLS_BENCH_H */
