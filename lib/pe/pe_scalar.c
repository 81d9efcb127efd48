/* SPDX-License-Identifier: MIT */
/*
 * The scalar engine: lib/ARITHMETIC.md, as plainly as C can say it. It is the judge of all others.
 */
#include "fx/fixed.h"
#include "pe/engine.h"

static int scalar_available(void)
{
	return 1;
}

static uint64_t scalar_product(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from,
			       size_t column_to, void *scratch)
{
	uint64_t saturations = 0;

	(void)scratch;
	for (size_t m = row_from; m < row_to; m++) {
		for (size_t n = column_from; n < column_to; n++) {
			uint64_t sum = 0;

			for (size_t k = 0; k < p->depth; k++)
				sum += (uint64_t)((int64_t)p->a[m * p->a_row + k * p->a_column] * p->b[k * p->b_row + n * p->b_column]);
			sum <<= p->up;
			if (p->bias)
				sum += (uint64_t)(int64_t)p->bias[n] << p->bias_up;
			p->c[m * p->c_row + n] = fx_saturate32(fx_round_half_up((int64_t)sum, p->down), &saturations);
		}
	}
	return saturations;
}

static uint64_t scalar_quantize(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high, int32_t *codes)
{
	uint64_t clamps = 0;

	for (size_t i = 0; i < n; i++)
		codes[i] = fx_clamp(fx_round_half_up(values[i], shift), low, high, &clamps);
	return clamps;
}

static void scalar_range(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum)
{
	int32_t low = *minimum, high = *maximum;

	for (size_t i = 0; i < n; i++) {
		low = values[i] < low ? values[i] : low;
		high = values[i] > high ? values[i] : high;
	}
	*minimum = low;
	*maximum = high;
}

static uint64_t scalar_operand(struct pe_operand *operand, size_t n, int32_t *values)
{
	uint64_t clamps = 0;

	for (size_t i = 0; i < n; i++) {
		if ((operand->mask && operand->mask[i] <= 0) || (operand->rectify && values[i] < 0))
			values[i] = 0;
	}
	scalar_range(n, values, &operand->minimum, &operand->maximum);
	if (operand->quantize)
		clamps = scalar_quantize(n, values, operand->shift, operand->low, operand->high, values);
	return clamps;
}

static void scalar_adam(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
			const struct pe_adam *constants, struct pe_adam_counts *counts)
{
	const int64_t beta1 = constants->beta1, one_minus_beta1 = (INT64_C(1) << 31) - beta1;
	const uint64_t c2 = constants->one_minus_beta2;

	for (size_t i = 0; i < n; i++) {
		const int64_t g = gradient[i];
		const int64_t m = fx_round_toward_zero(moment1[i] * beta1 + g * one_minus_beta1, 31);
		const uint64_t old = fx_moment2(moment2[i]);
		const uint64_t g2 = (uint64_t)(g * g);
		/* floor(old * c2 / 2^32) and floor(g2 * c2 / 2^30), exact, from 32-bit halves. */
		const uint64_t decay = (old >> 32) * c2 + (((old & UINT32_MAX) * c2) >> 32);
		const uint64_t gain = (((g2 >> 32) * c2) << 2) + (((g2 & UINT32_MAX) * c2) >> 30);
		uint64_t v = old - decay + gain;
		unsigned z;
		uint32_t x, y;
		int32_t ratio;

		if (v < constants->least_moment2)
			v = constants->least_moment2;
		z = fx_even_zeros(v);
		x = (uint32_t)((v << z) >> 32);
		y = fx_reciprocal_square_root(x);
		ratio = fx_saturate32(fx_round_half_up(m * y, 33 - z / 2), &counts->ratio);
		moment1[i] = (int32_t)m;
		moment2[i] = fx_moment2_code(v, z);
		weight[i] = fx_saturate32(weight[i] - fx_round_half_up((int64_t)ratio * constants->step_mantissa, constants->step_shift),
					  &counts->weight);
	}
}

static void scalar_soft_update(size_t n, const int32_t *weight, int32_t *target, uint32_t tau)
{
	for (size_t i = 0; i < n; i++) {
		const int64_t difference = (int64_t)weight[i] - target[i];

		target[i] = (int32_t)(target[i] + fx_round_half_up(difference * (int64_t)tau, 31));
	}
}

const struct pe_engine pe_scalar = {
	.name = "scalar",
	.available = scalar_available,
	.product = scalar_product,
	.quantize = scalar_quantize,
	.operand = scalar_operand,
	.adam = scalar_adam,
	.soft_update = scalar_soft_update,
	.range = scalar_range,
};
