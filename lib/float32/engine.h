/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the float32 twin, once for each instruction set. f32_scalar is plain C and always there.
 *
 * Two engines give slightly different values (one of them fuses multiplication and addition). Within one engine the
 * bits of an element depend neither on how the work is split nor on what else is computed in the same call: each sum
 * has one accumulator and runs over k in increasing order.
 */
#ifndef FIXAR_LIB_FLOAT32_ENGINE_H
#define FIXAR_LIB_FLOAT32_ENGINE_H

#include <stddef.h>

#define F32_PANEL 16	/* columns of B that are packed together */
#define F32_TILE_ROWS 6 /* rows of C that a register tile has; a split at a multiple of it wastes nothing */

/* Gradients and moments below these are 0: see f32_engine.adam. */
#define F32_TINY_GRADIENT 1e-15f
#define F32_TINY_MOMENT 1e-30f

#define F32_ADAM_EPSILON 1e-8f

/*
 * C[m][n] = bias[n] + sum over k of A[m][k] * B[k][n], with element (m, k) of A at a[m * a_row + k * a_column],
 * likewise B, and (m, n) of C at c[m * c_row + n]. One of b_row and b_column is 1. Then, where asked for, ReLU, or 0
 * wherever `gate` (of the layer below: its outputs) is not above 0.
 */
struct f32_product {
	size_t rows, columns, depth;
	const float *a;
	size_t a_row, a_column;
	const float *b;
	size_t b_row, b_column;
	const float *bias; /* NULL: none */
	int relu;
	const float *gate; /* NULL: none */
	size_t gate_row;
	float *c;
	size_t c_row;
};

/* One step's constants of Adam. */
struct f32_adam {
	float beta1, one_minus_beta1;
	float beta2, one_minus_beta2;
	float step;	  /* learning rate / (1 - beta1^t) */
	float root_scale; /* 1 / sqrt(1 - beta2^t) */
};

struct f32_engine {
	const char *name;
	int (*available)(void);

	/*
	 * A block of a product. `column_from` is a multiple of F32_PANEL. `scratch` holds f32_scratch_bytes(depth)
	 * bytes, aligned to 64.
	 */
	void (*product)(const struct f32_product *product, size_t row_from, size_t row_to, size_t column_from,
			size_t column_to, float *scratch);

	/* output[n] = bias[n] + sum of weight[n][k] * input[k]: one sample, where packing would not pay. */
	void (*dense)(size_t outputs, size_t inputs, const float *weight, const float *bias, const float *input,
		      int relu, float *output);

	/* sums[n] = sum over rows m of a[m * a_row + n], for n in [from, to). */
	void (*column_sums)(size_t rows, const float *a, size_t a_row, size_t from, size_t to, float *sums);

	/*
	 * n is a multiple of F32_PANEL. The moments of units that get no gradient any more would decay into denormals,
	 * which are a hundred times slower to compute with, so moments below F32_TINY_MOMENT become 0. Gradients whose
	 * square would already be denormal are taken for 0. Both are far below epsilon's effect. The processor's own
	 * flush mode is not used: it belongs to the caller.
	 */
	void (*adam)(size_t n, const float *gradient, float *moment1, float *moment2, float *weight,
		     const struct f32_adam *constants);

	/* target += tau * (weight - target); n is a multiple of F32_PANEL. */
	void (*soft_update)(size_t n, const float *weight, float *target, float tau);
};

extern const struct f32_engine f32_scalar;
#if defined(__x86_64__)
extern const struct f32_engine f32_avx2;
#endif

static inline size_t f32_scratch_bytes(size_t depth)
{
	return depth * F32_PANEL * sizeof(float);
}

/*
 * *engine = that of the name, or the best one for NULL or "auto". -EINVAL: no such name; -ENOTSUP: not on this processor.
 */
int f32_engine_find(const char *name, const struct f32_engine **engine);

#endif /* FIXAR_LIB_FLOAT32_ENGINE_H */
