/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the float32 twin for AVX2 with FMA.
 *
 * A product packs 16 columns of B at a time and runs register tiles of 6 rows over them: 12 accumulators, two vectors
 * of B and one broadcast element of A are 15 of the 16 registers, and 12 chains keep two units of latency 4 or 5 busy.
 */
#if defined(__x86_64__)

#include "float32/engine.h"

#include <immintrin.h>
#include <string.h>

#define LANES 8

static int avx2_available(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* All ones in the first `count` lanes. */
static inline __m256i lane_mask(size_t count)
{
	static const int ones[2 * LANES] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	return _mm256_loadu_si256((const __m256i *)(ones + LANES - (count < LANES ? count : LANES)));
}

/* ---- Packing ---- */

static void pack_rows(const float *b, size_t b_row, size_t depth, size_t width, float *panel)
{
	const __m256i low = lane_mask(width), high = lane_mask(width > LANES ? width - LANES : 0);

	if (width == F32_PANEL) {
		for (size_t k = 0; k < depth; k++, b += b_row, panel += F32_PANEL) {
			_mm256_store_ps(panel, _mm256_loadu_ps(b));
			_mm256_store_ps(panel + LANES, _mm256_loadu_ps(b + LANES));
		}
		return;
	}
	for (size_t k = 0; k < depth; k++, b += b_row, panel += F32_PANEL) {
		_mm256_store_ps(panel, _mm256_maskload_ps(b, low));
		_mm256_store_ps(panel + LANES, _mm256_maskload_ps(b + LANES, high));
	}
}

/* Eight rows of eight at `source` to eight columns at `target`, F32_PANEL apart. */
static inline void transpose(const float *source, size_t row, float *target)
{
	__m256 r[LANES], s[LANES];

	for (int i = 0; i < LANES; i++)
		r[i] = _mm256_loadu_ps(source + (size_t)i * row);
	for (int i = 0; i < LANES; i += 2) {
		s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
	for (int i = 0; i < LANES; i += 4) {
		r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
		r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
		r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
		r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
	}
	for (int i = 0; i < 4; i++) {
		_mm256_store_ps(target + i * F32_PANEL, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
		_mm256_store_ps(target + (i + 4) * F32_PANEL, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
	}
}

static void pack_columns(const float *b, size_t b_column, size_t depth, size_t width, float *panel)
{
	const size_t blocks = depth / LANES * LANES;

	if (width < F32_PANEL)
		memset(panel, 0, f32_scratch_bytes(depth));
	for (size_t j = 0; j < width; j += LANES) {
		const size_t lanes = width - j < LANES ? width - j : LANES;
		const size_t fast = lanes == LANES ? blocks : 0;

		for (size_t k = 0; k < fast; k += LANES)
			transpose(b + j * b_column + k, b_column, panel + k * F32_PANEL + j);
		for (size_t i = j; i < j + lanes; i++)
			for (size_t k = fast; k < depth; k++)
				panel[k * F32_PANEL + i] = b[i * b_column + k];
	}
}

/* ---- Products ---- */

/* `height` is a constant wherever this is inlined, so that the accumulators are registers. */
static inline __attribute__((always_inline)) void tile(const struct f32_product *product, const int height, size_t row,
						       size_t column, size_t width, const float *panel)
{
	const float *a = product->a + row * product->a_row;
	const size_t a_row = product->a_row, a_column = product->a_column, depth = product->depth;
	const __m256i low = lane_mask(width), high = lane_mask(width > LANES ? width - LANES : 0);
	__m256 first = _mm256_setzero_ps(), second = _mm256_setzero_ps();
	__m256 sum[F32_TILE_ROWS][2];

	if (product->bias) {
		first = _mm256_maskload_ps(product->bias + column, low);
		second = _mm256_maskload_ps(product->bias + column + LANES, high);
	}
#pragma GCC unroll 6
	for (int i = 0; i < height; i++) {
		sum[i][0] = first;
		sum[i][1] = second;
	}
	for (size_t k = 0; k < depth; k++, a += a_column, panel += F32_PANEL) {
		const __m256 b0 = _mm256_load_ps(panel), b1 = _mm256_load_ps(panel + LANES);

#pragma GCC unroll 6
		for (int i = 0; i < height; i++) {
			const __m256 factor = _mm256_broadcast_ss(a + (size_t)i * a_row);

			sum[i][0] = _mm256_fmadd_ps(factor, b0, sum[i][0]);
			sum[i][1] = _mm256_fmadd_ps(factor, b1, sum[i][1]);
		}
	}
#pragma GCC unroll 6
	for (int i = 0; i < height; i++) {
		float *c = product->c + (row + (size_t)i) * product->c_row + column;
		__m256 c0 = sum[i][0], c1 = sum[i][1];

		if (product->relu) {
			/* In this order a NaN becomes 0, as in the scalar engine. */
			c0 = _mm256_max_ps(c0, _mm256_setzero_ps());
			c1 = _mm256_max_ps(c1, _mm256_setzero_ps());
		}
		if (product->gate) {
			const float *gate = product->gate + (row + (size_t)i) * product->gate_row + column;
			const __m256 g0 = _mm256_maskload_ps(gate, low);
			const __m256 g1 = _mm256_maskload_ps(gate + LANES, high);

			c0 = _mm256_and_ps(c0, _mm256_cmp_ps(g0, _mm256_setzero_ps(), _CMP_GT_OQ));
			c1 = _mm256_and_ps(c1, _mm256_cmp_ps(g1, _mm256_setzero_ps(), _CMP_GT_OQ));
		}
		if (width >= F32_PANEL) {
			_mm256_storeu_ps(c, c0);
			_mm256_storeu_ps(c + LANES, c1);
		} else {
			_mm256_maskstore_ps(c, low, c0);
			_mm256_maskstore_ps(c + LANES, high, c1);
		}
	}
}

static void avx2_product(const struct f32_product *product, size_t row_from, size_t row_to, size_t column_from,
			 size_t column_to, float *scratch)
{
	for (size_t column = column_from; column < column_to; column += F32_PANEL) {
		const size_t width = column_to - column < F32_PANEL ? column_to - column : F32_PANEL;
		size_t row = row_from;

		if (product->b_column == 1)
			pack_rows(product->b + column, product->b_row, product->depth, width, scratch);
		else
			pack_columns(product->b + column * product->b_column, product->b_column, product->depth, width,
				     scratch);
		for (; row + F32_TILE_ROWS <= row_to; row += F32_TILE_ROWS)
			tile(product, F32_TILE_ROWS, row, column, width, scratch);
		switch (row_to - row) {
		case 5:
			tile(product, 5, row, column, width, scratch);
			break;
		case 4:
			tile(product, 4, row, column, width, scratch);
			break;
		case 3:
			tile(product, 3, row, column, width, scratch);
			break;
		case 2:
			tile(product, 2, row, column, width, scratch);
			break;
		case 1:
			tile(product, 1, row, column, width, scratch);
			break;
		default:
			break;
		}
	}
}

/* Lanes 0 to 7 added in one fixed order. */
static inline float lane_sum(__m256 value)
{
	__m128 sum = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));

	sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
	sum = _mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1));
	return _mm_cvtss_f32(sum);
}

static inline __attribute__((always_inline)) void dense_rows(const int count, size_t inputs, const float *weight,
							     const float *bias, const float *input, int relu,
							     float *output)
{
	const size_t whole = inputs / LANES * LANES;
	const __m256i mask = lane_mask(inputs - whole);
	__m256 sum[4];

#pragma GCC unroll 4
	for (int i = 0; i < count; i++)
		sum[i] = _mm256_setzero_ps();
	for (size_t k = 0; k < whole; k += LANES) {
		const __m256 x = _mm256_loadu_ps(input + k);

#pragma GCC unroll 4
		for (int i = 0; i < count; i++)
			sum[i] = _mm256_fmadd_ps(_mm256_loadu_ps(weight + (size_t)i * inputs + k), x, sum[i]);
	}
	if (whole < inputs) {
		const __m256 x = _mm256_maskload_ps(input + whole, mask);

#pragma GCC unroll 4
		for (int i = 0; i < count; i++)
			sum[i] = _mm256_fmadd_ps(_mm256_maskload_ps(weight + (size_t)i * inputs + whole, mask), x,
						 sum[i]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < count; i++) {
		const float value = bias[i] + lane_sum(sum[i]);

		output[i] = relu && !(value > 0) ? 0 : value;
	}
}

static void avx2_dense(size_t outputs, size_t inputs, const float *weight, const float *bias, const float *input,
		       int relu, float *output)
{
	size_t n = 0;

	for (; n + 4 <= outputs; n += 4)
		dense_rows(4, inputs, weight + n * inputs, bias + n, input, relu, output + n);
	for (; n < outputs; n++)
		dense_rows(1, inputs, weight + n * inputs, bias + n, input, relu, output + n);
}

static void avx2_column_sums(size_t rows, const float *a, size_t a_row, size_t from, size_t to, float *sums)
{
	for (size_t n = from; n < to; n += LANES) {
		const __m256i mask = lane_mask(to - n);
		__m256 sum = _mm256_setzero_ps();

		for (size_t m = 0; m < rows; m++)
			sum = _mm256_add_ps(sum, _mm256_maskload_ps(a + m * a_row + n, mask));
		_mm256_maskstore_ps(sums + n, mask, sum);
	}
}

/* ---- Element-wise ---- */

static inline __m256 flush(__m256 value, __m256 tiny)
{
	const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), value);

	/* Unordered comparison: a NaN stays one. */
	return _mm256_and_ps(value, _mm256_cmp_ps(magnitude, tiny, _CMP_NLT_UQ));
}

static void avx2_adam(size_t n, const float *gradient, float *moment1, float *moment2, float *weight,
		      const struct f32_adam *constants)
{
	const __m256 tiny_gradient = _mm256_set1_ps(F32_TINY_GRADIENT), tiny_moment = _mm256_set1_ps(F32_TINY_MOMENT);
	const __m256 beta1 = _mm256_set1_ps(constants->beta1), beta2 = _mm256_set1_ps(constants->beta2);
	const __m256 one_minus_beta1 = _mm256_set1_ps(constants->one_minus_beta1);
	const __m256 one_minus_beta2 = _mm256_set1_ps(constants->one_minus_beta2);
	const __m256 step = _mm256_set1_ps(constants->step), root_scale = _mm256_set1_ps(constants->root_scale);
	const __m256 epsilon = _mm256_set1_ps(F32_ADAM_EPSILON);

	for (size_t i = 0; i < n; i += LANES) {
		const __m256 g = flush(_mm256_loadu_ps(gradient + i), tiny_gradient);
		__m256 m = _mm256_mul_ps(one_minus_beta1, g);
		__m256 v = _mm256_mul_ps(one_minus_beta2, _mm256_mul_ps(g, g));
		__m256 denominator;

		m = flush(_mm256_fmadd_ps(beta1, _mm256_loadu_ps(moment1 + i), m), tiny_moment);
		v = flush(_mm256_fmadd_ps(beta2, _mm256_loadu_ps(moment2 + i), v), tiny_moment);
		_mm256_storeu_ps(moment1 + i, m);
		_mm256_storeu_ps(moment2 + i, v);
		denominator = _mm256_fmadd_ps(_mm256_sqrt_ps(v), root_scale, epsilon);
		_mm256_storeu_ps(weight + i, _mm256_sub_ps(_mm256_loadu_ps(weight + i),
							   _mm256_div_ps(_mm256_mul_ps(step, m), denominator)));
	}
}

static void avx2_soft_update(size_t n, const float *weight, float *target, float tau)
{
	const __m256 factor = _mm256_set1_ps(tau);

	for (size_t i = 0; i < n; i += LANES) {
		const __m256 t = _mm256_loadu_ps(target + i);

		_mm256_storeu_ps(target + i, _mm256_fmadd_ps(factor, _mm256_sub_ps(_mm256_loadu_ps(weight + i), t), t));
	}
}

const struct f32_engine f32_avx2 = {
	.name = "avx2",
	.available = avx2_available,
	.product = avx2_product,
	.dense = avx2_dense,
	.column_sums = avx2_column_sums,
	.adam = avx2_adam,
	.soft_update = avx2_soft_update,
};

#endif /* __x86_64__ */
