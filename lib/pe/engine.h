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
 * Where `panels` is not NULL it holds B as this engine's pe_form_ops.wide_panels made it, and column_from is a multiple of
 * that; b is still B.
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
	const int32_t *panels;
	const int32_t *bias;		/* NULL: none */
	unsigned up, bias_up, down;
	int32_t *c;
	size_t c_row;
};

/*
 * A tensor whose codes are split into 16-bit pieces: code = piece 0 + piece 1 * 2^shift, both signed, or piece 0 alone. Pieces go through
 * 16-bit multipliers, whose sums of 32 bits have to be exact. What proves it (Cauchy and Schwarz): a vector's norm is the sum of the
 * squares of its elements, each in units of PE_NORM_UNIT rounded away from zero, and a sum of products is at most
 * PE_NORM_UNIT^2 * sqrt(norm * norm). Norms are kept for blocks of the depth, so that where a whole sum is not proved, sums of some
 * blocks are.
 */
#define PE_NORM_UNIT 64
#define PE_NORM_BLOCKS 16
/* Longer vectors have norms that might not fit 32 bits. */
#define PE_NORM_LENGTH 8192

/* By piece and block: the largest norm of all vectors there. */
struct pe_norms {
	uint32_t of[2][PE_NORM_BLOCKS];
};

/* Elements of a block: a multiple of 16; the last block may be shorter. */
static inline size_t pe_norm_block(size_t depth)
{
	return ((depth + PE_NORM_BLOCKS - 1) / PE_NORM_BLOCKS + 15) & ~(size_t)15;
}

struct pe_split {
	unsigned pieces;		/* 1 or 2 */
	unsigned shift;			/* 1 to 15 with 2 pieces */
};

/*
 * The product of struct pe_product from pieces; at most one of A and B has two. A is a matrix of rows: piece s of row m is
 * a[(m * pieces + s) * a_row]. B is in panels of PE_PANEL_COLUMNS columns: piece s of panel n is
 * b[(n * pieces + s) * pe_panel_size(depth)], and in it element (k, column) is [(k / 2) * 32 + column * 2 + k % 2]. What lies behind the
 * depth is 0, in both, up to an even depth; so are columns behind the last.
 */
struct pe_narrow {
	size_t rows, columns, depth;
	const int16_t *a;
	size_t a_row;
	struct pe_split a_split;
	const int16_t *b;
	struct pe_split b_split;
	size_t chunk;			/* this many products of pieces have a sum of at most 2^31 - 2^23: even, or at least the depth */
	const int32_t *bias;
	unsigned up, bias_up, down;
	int32_t *c;
	size_t c_row;
};

/* The most columns that one packed panel of B holds in any engine; work is split at multiples of it. */
#define PE_PANEL_COLUMNS 16

static inline size_t pe_panel_size(size_t depth)
{
	return (depth + 1) / 2 * 32;
}

/* The depth rounded up to 64, and a vector more. */
static inline size_t pe_wide_panel_size(size_t depth)
{
	return (((depth + 63) & ~(size_t)63) + 1) * PE_PANEL_COLUMNS;
}

/* Forms of tensors: pieces and panels of int32 codes. `norms` are raised to those of the vectors that are multiplied. */
struct pe_form_ops {
	/* A of rows [0, rows), codes[row * code_row + k], k below depth. */
	void (*rows)(const struct pe_split *split, size_t rows, size_t depth, const int32_t *codes, size_t code_row, int16_t *to,
		     size_t to_row, struct pe_norms *norms);
	/* A of rows [0, rows), whose element (row, k) is codes[k * code_row + row]. */
	void (*turned_rows)(const struct pe_split *split, size_t rows, size_t depth, const int32_t *codes, size_t code_row, int16_t *to,
			    size_t to_row, struct pe_norms *norms);
	/*
	 * Pairs [pair_from, pair_to) of B, element (k, column) = codes[k * code_row + column], all columns. `depth` is that of B. Norms are of
	 * these pairs alone.
	 */
	void (*panels)(const struct pe_split *split, size_t columns, size_t depth, size_t pair_from, size_t pair_to, const int32_t *codes,
		       size_t code_row, int16_t *to, struct pe_norms *norms);
	/* Columns [column_from, column_to) of B, element (k, column) = codes[column * code_row + k]; column_from is a multiple of the panel's. */
	void (*turned_panels)(const struct pe_split *split, size_t column_from, size_t column_to, size_t depth, const int32_t *codes,
			      size_t code_row, int16_t *to, struct pe_norms *norms);
	/*
	 * The same for pe_engine.product, in whatever form it is that this engine's takes; a panel has pe_wide_panel_size(depth) elements of
	 * room. Most engines: element (k, column) of panel n is to[(n * depth + k) * PE_PANEL_COLUMNS + column].
	 */
	void (*wide_panels)(size_t column_from, size_t column_to, size_t depth, const int32_t *codes, size_t code_row, int32_t *to);
	/* As pe_engine.product; column_from is a multiple of PE_PANEL_COLUMNS. */
	uint64_t (*product)(const struct pe_narrow *product, size_t row_from, size_t row_to, size_t column_from, size_t column_to);
};

/* One pass over a tensor of master values, in place: ReLU or its mask, range, codes. */
struct pe_operand {
	const int32_t *mask;		/* values become 0 where this is not positive; NULL: none */
	int rectify;			/* negative values become 0; not with a mask */
	int quantize;			/* codes = clamp(rhu(value, shift), low, high) */
	unsigned shift;
	int32_t low, high;
	int32_t minimum, maximum;	/* are widened to take in all values, as they are before they become codes */
};

/* One step's constants of Adam (lib/ARITHMETIC.md section 7). */
struct pe_adam {
	uint32_t beta1;			/* B1, fraction 31 */
	uint32_t one_minus_beta2;	/* C2, fraction 32 */
	uint32_t step_mantissa;		/* A, 31 bits */
	unsigned step_shift;		/* k, 1 to 62 */
	uint32_t least_moment2;		/* V0, the least v: 1 to 2^12, grows with Adam's bias correction */
};

struct pe_adam_counts {
	uint64_t ratio, weight;		/* saturations */
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

	/* Returns the number of clamps. */
	uint64_t (*operand)(struct pe_operand *operand, size_t n, int32_t *values);

	/* moment2: codes (fx_moment2()). */
	void (*adam)(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
		     const struct pe_adam *constants, struct pe_adam_counts *counts);

	/* target += rhu(weight * tau - target * tau, 31) */
	void (*soft_update)(size_t n, const int32_t *weight, int32_t *target, uint32_t tau);

	/* 16-bit multipliers and packed tensors; NULL: this engine has none. */
	const struct pe_form_ops *form;

	/* Widens [*minimum, *maximum] to take in all values. */
	void (*range)(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum);
};

extern const struct pe_engine pe_scalar;
#if defined(__x86_64__)
extern const struct pe_engine pe_avx2;
extern const struct pe_engine pe_avx512, pe_avx512_vnni; /* one name: pe_engine_find() gives the best that the processor has */
extern const struct pe_engine pe_amx;
extern const struct pe_form_ops pe_form_avx2, pe_form_avx512, pe_form_vnni, pe_form_amx;
#endif
#if defined(__aarch64__)
extern const struct pe_engine pe_neon;
extern const struct pe_form_ops pe_form_neon;
#endif

/* The most rows of A that are packed at a time, multiples of 16: fewer where rows are long. */
#define PE_STRIP_ROWS 128

static inline size_t pe_strip_rows(size_t depth)
{
	const size_t rows = depth ? (PE_STRIP_ROWS << 10) / depth & ~(size_t)15 : PE_STRIP_ROWS;

	return rows > PE_STRIP_ROWS ? PE_STRIP_ROWS : rows ? rows : 16;
}

/* A panel of B and a strip of A, whose depth is rounded up to 64. */
static inline size_t pe_scratch_bytes(size_t depth)
{
	return ((depth + 63) & ~(size_t)63) * (PE_PANEL_COLUMNS + pe_strip_rows(depth)) * sizeof(int32_t);
}

/* The engine of that name, or the best available one for NULL or "auto"; NULL if there is none of that name or it is not available. */
const struct pe_engine *pe_engine_find(const char *name);
/* Why pe_engine_find() does not give it: the error number with which the kernel refuses what the processor has; 0: the processor has it not. */
int pe_engine_refusal(const char *name);
/* Whether the name is known at all, available or not. */
int pe_engine_known(const char *name);

#endif /* FIXAR_LIB_PE_ENGINE_H */
