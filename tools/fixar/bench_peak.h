/* SPDX-License-Identifier: MIT */
/* What a processor's multipliers can do at most: loops of nothing but multiplications and additions in registers. */
#ifndef FIXAR_TOOLS_BENCH_PEAK_H
#define FIXAR_TOOLS_BENCH_PEAK_H

#include <stddef.h>

#include "pe/engine.h"

enum bench_peak_kind {
	PEAK_WIDE,   /* 32 x 32 bits, sums of 64 */
	PEAK_NARROW, /* 16 x 16 bits, sums of 32 */
	PEAK_FLOAT,  /* float32 */
	PEAK_VECTOR, /* 32 x 32 bits once more, in vectors, where an engine's own are not */
	PEAK_KINDS
};

/* Products of bytes that one of 32 x 32 bits is counted as, where bytes are what is multiplied. */
#define BENCH_BYTE_PRODUCTS 16

struct bench_peak {
	const char *engine;	  /* whose instructions these are */
	const char *instructions; /* "vpmuldq, vpaddq" */
	double macs;		  /* multiply-accumulates of an iteration */
	void (*run)(size_t iterations); /* of an engine that is available */
};

/* The loop for an engine's products, or NULL where none was written for it. */
const struct bench_peak *bench_peak(const char *engine, enum bench_peak_kind kind);

/*
 * How many products of bytes the engine takes for each of 32 x 32 bits of this product, on average: fewer than
 * BENCH_BYTE_PRODUCTS where operands have leading bytes that it leaves out. 0: it multiplies no bytes.
 */
double bench_byte_products(const struct pe_engine *engine, const struct pe_product *product, void *scratch);

#endif /* FIXAR_TOOLS_BENCH_PEAK_H */
