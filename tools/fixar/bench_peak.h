/* SPDX-License-Identifier: MIT */
/* What a processor's multipliers can do at most: loops of nothing but multiplications and additions in registers. */
#ifndef FIXAR_TOOLS_BENCH_PEAK_H
#define FIXAR_TOOLS_BENCH_PEAK_H

#include <stddef.h>

enum bench_peak_kind {
	PEAK_WIDE,   /* 32 x 32 bits, sums of 64 */
	PEAK_NARROW, /* 16 x 16 bits, sums of 32 */
	PEAK_FLOAT,  /* float32 */
	PEAK_KINDS
};

struct bench_peak {
	const char *engine;	  /* whose instructions these are */
	const char *instructions; /* "vpmuldq, vpaddq" */
	double macs;		  /* multiply-accumulates of an iteration */
	void (*run)(size_t iterations);
};

/* The loop for an engine's products, or NULL where none was written for it. */
const struct bench_peak *bench_peak(const char *engine, enum bench_peak_kind kind);

#endif /* FIXAR_TOOLS_BENCH_PEAK_H */
