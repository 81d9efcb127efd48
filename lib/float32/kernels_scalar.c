/* SPDX-License-Identifier: MIT */
/* Kernels of the float32 twin in plain C. */
#include "float32/engine.h"

#include <math.h>
#include <string.h>

static int scalar_available(void)
{
	return 1;
}

/* panel[k][j] = B[k][column + j], 0 beyond the last column. */
static void scalar_pack(const struct f32_product *product, size_t column, size_t width, float *panel)
{
	memset(panel, 0, f32_scratch_bytes(product->depth));
	for (size_t k = 0; k < product->depth; k++)
		for (size_t j = 0; j < width; j++)
			panel[k * F32_PANEL + j] = product->b[k * product->b_row + (column + j) * product->b_column];
}

static void scalar_product(const struct f32_product *product, size_t row_from, size_t row_to, size_t column_from,
			   size_t column_to, float *scratch)
{
	for (size_t column = column_from; column < column_to; column += F32_PANEL) {
		const size_t width = column_to - column < F32_PANEL ? column_to - column : F32_PANEL;

		scalar_pack(product, column, width, scratch);
		for (size_t m = row_from; m < row_to; m++) {
			const float *a = product->a + m * product->a_row;
			float *c = product->c + m * product->c_row + column;
			float sum[F32_PANEL] = { 0 };

			if (product->bias)
				memcpy(sum, product->bias + column, width * sizeof(*sum));
			for (size_t k = 0; k < product->depth; k++) {
				const float factor = a[k * product->a_column];

				for (size_t j = 0; j < F32_PANEL; j++)
					sum[j] += factor * scratch[k * F32_PANEL + j];
			}
			for (size_t j = 0; j < width; j++) {
				if (product->relu && !(sum[j] > 0))
					sum[j] = 0;
				if (product->gate && !(product->gate[m * product->gate_row + column + j] > 0))
					sum[j] = 0;
				c[j] = sum[j];
			}
		}
	}
}

static void scalar_dense(size_t outputs, size_t inputs, const float *weight, const float *bias, const float *input,
			 int relu, float *output)
{
	for (size_t n = 0; n < outputs; n++) {
		float sum = bias[n];

		for (size_t k = 0; k < inputs; k++)
			sum += weight[n * inputs + k] * input[k];
		output[n] = relu && !(sum > 0) ? 0 : sum;
	}
}

static void scalar_column_sums(size_t rows, const float *a, size_t a_row, size_t from, size_t to, float *sums)
{
	for (size_t n = from; n < to; n++)
		sums[n] = 0;
	for (size_t m = 0; m < rows; m++)
		for (size_t n = from; n < to; n++)
			sums[n] += a[m * a_row + n];
}

static float scalar_flush(float value, float tiny)
{
	return fabsf(value) < tiny ? 0 : value;
}

static void scalar_adam(size_t n, const float *gradient, float *moment1, float *moment2, float *weight,
			const struct f32_adam *constants)
{
	for (size_t i = 0; i < n; i++) {
		const float g = scalar_flush(gradient[i], F32_TINY_GRADIENT);
		const float m =
			scalar_flush(constants->beta1 * moment1[i] + constants->one_minus_beta1 * g, F32_TINY_MOMENT);
		const float v = scalar_flush(constants->beta2 * moment2[i] + constants->one_minus_beta2 * (g * g),
					     F32_TINY_MOMENT);

		moment1[i] = m;
		moment2[i] = v;
		weight[i] -= constants->step * m / (sqrtf(v) * constants->root_scale + F32_ADAM_EPSILON);
	}
}

static void scalar_soft_update(size_t n, const float *weight, float *target, float tau)
{
	for (size_t i = 0; i < n; i++)
		target[i] += tau * (weight[i] - target[i]);
}

const struct f32_engine f32_scalar = {
	.name = "scalar",
	.available = scalar_available,
	.product = scalar_product,
	.dense = scalar_dense,
	.column_sums = scalar_column_sums,
	.adam = scalar_adam,
	.soft_update = scalar_soft_update,
};
