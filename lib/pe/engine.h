/* SPDX-License-Identifier: MIT */
/*
 * Engines: the array's products and element-wise passes, once for each instruction set. pe_scalar.c is the readable reference
 * and the judge; every other engine gives the same bits (lib/ARITHMETIC.md), whatever the shape and however the work is split.
 */
#ifndef FIXAR_LIB_PE_ENGINE_H
#define FIXAR_LIB_PE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * One of the three products of a layer, C[m][n] = requantized sum over k of A[m][k] * B[k][n]:
 *
 *	forward	A = input codes [batch][inputs],	B = weight codes [outputs][inputs] read transposed, bias by column
 *	dX	A = dY codes [batch][outputs],		B = weight codes [outputs][inputs]
 *	dW	A = dY codes [batch][outputs] read transposed, B = input codes [batch][inputs]
 *
 * A element (m, k) is a[m * a_row + k * a_column]; B element (k, n) is b[k * b_row + n * b_column]; C element (m, n) is
 * c[m * c_row + n].
 * The sum is exact modulo 2^64. Then, all modulo 2^64 (lib/ARITHMETIC.md, requantize and section 3):
 *
 *	T = sum * 2^up + bias[n] * 2^bias_up;	C = sat32(rhu(T, down))
 */
struct pe_product {
	size_t rows, columns, depth;	/* of C: m, n; and k */
	const int32_t *a;
	size_t a_row, a_column;
	const int32_t *b;
	size_t b_row, b_column;
	const int32_t *bias;		/* NULL: none */
	unsigned up, bias_up, down;
	int32_t *c;
	size_t c_row;
};

/* One step's constants of Adam (lib/ARITHMETIC.md section 7). */
struct pe_adam {
	uint32_t beta1;			/* B1, fraction 31 */
	uint32_t one_minus_beta2;	/* C2, fraction 32 */
	uint32_t step_mantissa;		/* A, 31 bits */
	unsigned step_shift;		/* k, 1 to 62 */
};

struct pe_adam_counts {
	uint64_t moment, ratio, weight;	/* saturations */
};

struct pe_engine {
	const char *name;
	int (*available)(void);

	/*
	 * Rows [row_from, row_to) and columns [column_from, column_to) of a product; returns the number of saturations.
	 * `scratch` holds pe_scratch_bytes(depth) bytes, aligned to 64.
	 */
	uint64_t (*product)(const struct pe_product *product, size_t row_from, size_t row_to, size_t column_from,
			    size_t column_to, void *scratch);

	/* codes[i] = clamp(rhu(values[i], shift), low, high); returns the number of clamps. */
	uint64_t (*quantize)(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high, int32_t *codes);

	void (*adam)(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2_root, int32_t *weight,
		     const struct pe_adam *constants, struct pe_adam_counts *counts);

	/* target += rhu(weight * tau - target * tau, 31) */
	void (*soft_update)(size_t n, const int32_t *weight, int32_t *target, uint32_t tau);

	/* Widens [*minimum, *maximum] to take in all values. */
	void (*range)(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum);
};

extern const struct pe_engine pe_scalar;
#if defined(__x86_64__)
extern const struct pe_engine pe_avx2;
extern const struct pe_engine pe_avx512;
#endif
#if defined(__aarch64__)
extern const struct pe_engine pe_neon;
#endif

/* The most columns that one packed panel of B holds in any engine; work is split at multiples of it. */
#define PE_PANEL_COLUMNS 16

static inline size_t pe_scratch_bytes(size_t depth)
{
	return (depth * PE_PANEL_COLUMNS * sizeof(int32_t) + 63) & ~(size_t)63;
}

/* The engine of that name, or the best available one for NULL or "auto"; NULL if there is none of that name or it is not available. */
const struct pe_engine *pe_engine_find(const char *name);
/* Whether the name is known at all, available or not. */
int pe_engine_known(const char *name);

#endif /* FIXAR_LIB_PE_ENGINE_H */
