/* SPDX-License-Identifier: MIT */
/*
 * The NEON engine for 64-bit ARM: the same bits as pe_scalar.c, two 64-bit lanes at a time.
 *
 * A product is computed in tiles of up to 4 rows x 8 columns: smlal multiplies two int32 and adds the exact products to
 * two int64, so a row of a tile lives in four accumulators, columns in their order. The rounding shifts (srshl, urshl)
 * form the sum with the rounding constant in more than 64 bits, and the saturating moves (sqxtn, uqxtn) limit: where
 * the scalar engine's sum of 64 bits cannot wrap, they are the same. In a product it can, so there the constant is
 * added apart.
 */
#include <arm_neon.h>
#include <string.h>

#include "fx/fixed.h"
#include "pe/engine.h"
#include "pe/operand.h"

#define PANEL 8
#define TILE_ROWS 4

/* Part of the 64-bit ARM architecture. */
static int neon_available(void)
{
	return 1;
}

/* How many lanes differ. */
static inline unsigned differing(int64x2_t a, int64x2_t b)
{
	return (unsigned)(2 + vaddvq_s64(vreinterpretq_s64_u64(vceqq_s64(a, b))));
}

/* Limits int64 lanes to the int32 range and counts those that it changed. */
static inline int32x2_t saturate32(int64x2_t x, uint64_t *count)
{
	const int32x2_t limited = vqmovn_s64(x);

	*count += differing(vmovl_s32(limited), x);
	return limited;
}

/* Modulo 2^64. GCC's vaddq_s64() adds as C does, where a signed sum must not wrap. */
static inline int64x2_t add_wrapping(int64x2_t a, int64x2_t b)
{
	return vreinterpretq_s64_u64(vaddq_u64(vreinterpretq_u64_s64(a), vreinterpretq_u64_s64(b)));
}

/* ---- Products ---- */

/* Packs columns [column, column + width) of B, rows 0 to depth - 1; columns beyond `width` become 0. */
static void pack_panel(const struct pe_product *p, size_t column, size_t width, int32_t *panel)
{
	const size_t depth = p->depth;
	size_t k = 0;

	if (p->b_column == 1) {
		for (; k < depth && width == PANEL; k++) {
			const int32_t *row = p->b + k * p->b_row + column;

			vst1q_s32(panel + k * PANEL, vld1q_s32(row));
			vst1q_s32(panel + k * PANEL + 4, vld1q_s32(row + 4));
		}
	} else if (p->b_row == 1 && width == PANEL) {
		/* Four rows of four, transposed; twice, for the panel's halves. */
		for (; k + 4 <= depth; k += 4) {
			for (size_t half = 0; half < PANEL; half += 4) {
				const int32_t *b = p->b + k + (column + half) * p->b_column;
				int32_t *to = panel + k * PANEL + half;
				const int32x4_t r0 = vld1q_s32(b), r1 = vld1q_s32(b + p->b_column);
				const int32x4_t r2 = vld1q_s32(b + 2 * p->b_column),
						r3 = vld1q_s32(b + 3 * p->b_column);
				const int64x2_t even01 = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1));
				const int64x2_t odd01 = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1));
				const int64x2_t even23 = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
				const int64x2_t odd23 = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));

				vst1q_s32(to, vreinterpretq_s32_s64(vtrn1q_s64(even01, even23)));
				vst1q_s32(to + PANEL, vreinterpretq_s32_s64(vtrn1q_s64(odd01, odd23)));
				vst1q_s32(to + 2 * PANEL, vreinterpretq_s32_s64(vtrn2q_s64(even01, even23)));
				vst1q_s32(to + 3 * PANEL, vreinterpretq_s32_s64(vtrn2q_s64(odd01, odd23)));
			}
		}
	}
	for (; k < depth; k++)
		for (size_t n = 0; n < PANEL; n++)
			panel[k * PANEL + n] = n < width ? p->b[k * p->b_row + (column + n) * p->b_column] : 0;
}

/* What a panel's columns get besides their sums: bias and rounding constant, modulo 2^64. */
static void load_offset(const struct pe_product *p, size_t column, size_t width, int64x2_t offset[4])
{
	const int64x2_t half = vdupq_n_s64(p->down ? (int64_t)(UINT64_C(1) << (p->down - 1)) : 0);
	int32_t bias[PANEL] = { 0 };

	if (p->bias)
		memcpy(bias, p->bias + column, width * sizeof(int32_t));
	for (int i = 0; i < 4; i++)
		offset[i] = add_wrapping(vshlq_s64(vmovl_s32(vld1_s32(bias + 2 * i)), vdupq_n_s64(p->bias_up)), half);
}

/* Shift, bias, rounding, saturation of one row of a tile. */
static inline void finish_row(const struct pe_product *p, size_t row, size_t column, size_t width,
			      const int64x2_t sum[4], const int64x2_t offset[4], uint64_t *saturations)
{
	const int64x2_t up = vdupq_n_s64(p->up), down = vdupq_n_s64(-(int64_t)p->down);
	int32_t *c = p->c + row * p->c_row + column;
	int32_t result[PANEL];

	/* Columns beyond the edge are sums of zeros without bias: they never saturate. */
	for (int i = 0; i < 4; i++)
		vst1_s32(result + 2 * i,
			 saturate32(vshlq_s64(add_wrapping(vshlq_s64(sum[i], up), offset[i]), down), saturations));
	memcpy(c, result, width * sizeof(int32_t));
}

/* `rows` is a constant where this is inlined, so that the accumulators stay in registers. */
static inline __attribute__((always_inline)) void tile(const struct pe_product *p, size_t row, int rows, size_t column,
						       size_t width, const int32_t *panel, size_t panel_row, const int64x2_t offset[4],
						       uint64_t *saturations)
{
	const int32_t *a = p->a + row * p->a_row;
	const size_t a_row = p->a_row, a_column = p->a_column;
	int64x2_t sum[TILE_ROWS][4];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			sum[i][j] = vdupq_n_s64(0);
	for (size_t k = 0; k < p->depth; k++) {
		const int32x4_t b0 = vld1q_s32(panel + k * panel_row), b1 = vld1q_s32(panel + k * panel_row + 4);

		for (int i = 0; i < rows; i++) {
			const int32x4_t x = vdupq_n_s32(a[(size_t)i * a_row + k * a_column]);

			sum[i][0] = vmlal_s32(sum[i][0], vget_low_s32(x), vget_low_s32(b0));
			sum[i][1] = vmlal_high_s32(sum[i][1], x, b0);
			sum[i][2] = vmlal_s32(sum[i][2], vget_low_s32(x), vget_low_s32(b1));
			sum[i][3] = vmlal_high_s32(sum[i][3], x, b1);
		}
	}
	for (int i = 0; i < rows; i++)
		finish_row(p, row + (size_t)i, column, width, sum[i], offset, saturations);
}

/* A single row with B read along k: dot products, nothing packed. */
static uint64_t dot_products(const struct pe_product *p, size_t row, size_t column_from, size_t column_to)
{
	const int32_t *a = p->a + row * p->a_row;
	uint64_t saturations = 0;

	for (size_t n = column_from; n < column_to; n++) {
		const int32_t *b = p->b + n * p->b_column;
		int64x2_t low = vdupq_n_s64(0), high = low;
		uint64_t sum;
		size_t k = 0;

		for (; k + 4 <= p->depth; k += 4) {
			const int32x4_t x = vld1q_s32(a + k), y = vld1q_s32(b + k);

			low = vmlal_s32(low, vget_low_s32(x), vget_low_s32(y));
			high = vmlal_high_s32(high, x, y);
		}
		sum = vaddvq_u64(vreinterpretq_u64_s64(add_wrapping(low, high)));
		for (; k < p->depth; k++)
			sum += (uint64_t)((int64_t)a[k] * b[k]);
		sum <<= p->up;
		if (p->bias)
			sum += (uint64_t)(int64_t)p->bias[n] << p->bias_up;
		p->c[row * p->c_row + n] = fx_saturate32(fx_round_half_up((int64_t)sum, p->down), &saturations);
	}
	return saturations;
}

static uint64_t neon_product(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from,
			     size_t column_to, void *scratch)
{
	const int32_t *panel = scratch;
	/* Packed panels have twice the columns of this engine's. */
	const size_t panel_row = p->panels ? PE_PANEL_COLUMNS : PANEL;
	uint64_t saturations = 0;

	if (row_to - row_from < 3 && p->b_row == 1 && p->a_column == 1) {
		for (size_t m = row_from; m < row_to; m++)
			saturations += dot_products(p, m, column_from, column_to);
		return saturations;
	}
	for (size_t n = column_from; n < column_to; n += PANEL) {
		const size_t width = column_to - n < PANEL ? column_to - n : PANEL;
		int64x2_t offset[4];
		size_t m = row_from;

		if (p->panels)
			panel = p->panels + n / PE_PANEL_COLUMNS * PE_PANEL_COLUMNS * p->depth + n % PE_PANEL_COLUMNS;
		else
			pack_panel(p, n, width, scratch);
		load_offset(p, n, width, offset);
		for (; m + TILE_ROWS <= row_to; m += TILE_ROWS)
			tile(p, m, TILE_ROWS, n, width, panel, panel_row, offset, &saturations);
		for (; m < row_to; m++)
			tile(p, m, 1, n, width, panel, panel_row, offset, &saturations);
	}
	return saturations;
}

/* ---- Element-wise passes ---- */

static uint64_t neon_quantize(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high,
			      int32_t *codes)
{
	const int32x4_t lowest = vdupq_n_s32(low), highest = vdupq_n_s32(high);
	/* A rounding shift by 32 and more gives 0, as it should. */
	const int32x4_t right = vdupq_n_s32(-(int32_t)shift);
	uint64_t clamps = 0;
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		const int32x4_t code = vrshlq_s32(vld1q_s32(values + i), right);
		const int32x4_t limited = vminq_s32(vmaxq_s32(code, lowest), highest);

		clamps += (unsigned)(4 + vaddvq_s32(vreinterpretq_s32_u32(vceqq_s32(code, limited))));
		vst1q_s32(codes + i, limited);
	}
	return clamps + pe_scalar.quantize(n - i, values + i, shift, low, high, codes + i);
}

/* The upper 32 bits of the products. */
static inline uint32x2_t multiply_high(uint32x2_t a, uint32x2_t b)
{
	return vshrn_n_u64(vmull_u32(a, b), 32);
}

/* fx_reciprocal_square_root() in each lane: nothing in it leaves 32 bits but the products. */
static inline uint32x2_t reciprocal_square_root(uint32x2_t x)
{
	uint32x2_t y = vsub_u32(vdup_n_u32(1672337461), multiply_high(vdup_n_u32(654567240), x));

	y = vsub_u32(vdup_n_u32(1586696317), multiply_high(y, x));
	y = vshl_n_u32(vsub_u32(vdup_n_u32(835471589), multiply_high(y, x)), 2);
	for (int i = 0; i < 2; i++) {
		const uint32x2_t t = vshrn_n_u64(vmull_u32(y, y), 31);
		const uint32x2_t h = vsub_u32(vdup_n_u32(UINT32_C(3) << 29), multiply_high(x, t));

		y = vshrn_n_u64(vmull_u32(y, h), 30);
	}
	return y;
}

/* Number of leading zeros of nonzero uint64 lanes. */
static inline uint32x2_t leading_zeros(uint64x2_t v)
{
	const uint32x2_t high = vshrn_n_u64(v, 32), low = vmovn_u64(v);

	return vadd_u32(vclz_u32(high), vand_u32(vceqz_u32(high), vclz_u32(low)));
}

/* v of lib/ARITHMETIC.md section 7 from the old code and the gradient. */
static inline uint64x2_t second_moment(uint32x2_t code, int32x2_t g, uint32x2_t c2, uint64x2_t least)
{
	const uint32x2_t shift_bits = vdup_n_u32(FX_MOMENT2_SHIFT);
	const int64x2_t shift = vreinterpretq_s64_u64(vshll_n_u32(vand_u32(code, shift_bits), 1));
	const uint64x2_t old = vshlq_u64(vshlq_n_u64(vmovl_u32(vbic_u32(code, shift_bits)), 32), vnegq_s64(shift));
	const uint64x2_t g2 = vreinterpretq_u64_s64(vmull_s32(g, g));
	const uint64x2_t decay =
		vaddq_u64(vmull_u32(vshrn_n_u64(old, 32), c2), vshrq_n_u64(vmull_u32(vmovn_u64(old), c2), 32));
	const uint64x2_t gain = vaddq_u64(vshlq_n_u64(vmull_u32(vshrn_n_u64(g2, 32), c2), 2),
					  vshrq_n_u64(vmull_u32(vmovn_u64(g2), c2), 30));
	const uint64x2_t v = vaddq_u64(vsubq_u64(old, decay), gain);

	return vbslq_u64(vcltq_u64(v, least), least, v);
}

static void neon_adam(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
		      const struct pe_adam *constants, struct pe_adam_counts *counts)
{
	const int32x2_t beta1 = vdup_n_s32((int32_t)constants->beta1);
	const int32x2_t one_minus_beta1 = vdup_n_s32((int32_t)((UINT32_C(1) << 31) - constants->beta1));
	const uint32x2_t c2 = vdup_n_u32(constants->one_minus_beta2);
	const uint64x2_t least = vdupq_n_u64(constants->least_moment2);
	const int32x2_t mantissa = vdup_n_s32((int32_t)constants->step_mantissa);
	const int64x2_t step_shift = vdupq_n_s64(-(int64_t)constants->step_shift);
	size_t i = 0;

	/* beta1 = 0 makes 1 - beta1 = 2^31, which does not fit a signed multiplier. */
	for (; constants->beta1 && i + 2 <= n; i += 2) {
		const int32x2_t g = vld1_s32(gradient + i);
		const int64x2_t mean = vmlal_s32(vmull_s32(vld1_s32(moment1 + i), beta1), g, one_minus_beta1);
		const uint64x2_t v = second_moment(vld1_u32(moment2 + i), g, c2, least);
		const uint32x2_t zeros = vand_u32(leading_zeros(v), vdup_n_u32(~1u));
		const uint32x2_t x = vshrn_n_u64(vshlq_u64(v, vreinterpretq_s64_u64(vmovl_u32(zeros))), 32);
		const uint32x2_t y = reciprocal_square_root(x);
		const int64x2_t half_zeros = vreinterpretq_s64_u64(vmovl_u32(vshr_n_u32(zeros, 1)));
		int64x2_t quotient, step;
		int32x2_t m, ratio;

		/* Toward zero: a negative sum gets 2^31 - 1 before the shift. */
		m = vshrn_n_s64(vaddq_s64(mean, vandq_s64(vshrq_n_s64(mean, 63), vdupq_n_s64(INT32_MAX))), 31);

		vst1_u32(moment2 + i, vorr_u32(vbic_u32(x, vdup_n_u32(FX_MOMENT2_SHIFT)), vshr_n_u32(zeros, 1)));

		quotient = vrshlq_s64(vmull_s32(m, vreinterpret_s32_u32(y)), vsubq_s64(half_zeros, vdupq_n_s64(33)));
		ratio = saturate32(quotient, &counts->ratio);

		step = vrshlq_s64(vmull_s32(ratio, mantissa), step_shift);
		vst1_s32(weight + i, saturate32(vsubq_s64(vmovl_s32(vld1_s32(weight + i)), step), &counts->weight));
		vst1_s32(moment1 + i, m);
	}
	pe_scalar.adam(n - i, gradient + i, moment1 + i, moment2 + i, weight + i, constants, counts);
}

static void neon_soft_update(size_t n, const int32_t *weight, int32_t *target, uint32_t tau)
{
	const int32x2_t factor = vdup_n_s32((int32_t)(tau & INT32_MAX));
	size_t i = 0;

	/* tau = 2^31 does not fit a signed multiplier: then the target becomes the weight. */
	for (; tau <= INT32_MAX && i + 2 <= n; i += 2) {
		const int32x2_t t = vld1_s32(target + i);
		const int64x2_t d = vmlsl_s32(vmull_s32(vld1_s32(weight + i), factor), t, factor);

		/* Of the difference only the low 32 bits are used: modulo 2^32 the sum is in range. */
		vst1_u32((uint32_t *)(void *)(target + i),
			 vadd_u32(vreinterpret_u32_s32(t), vreinterpret_u32_s32(vrshrn_n_s64(d, 31))));
	}
	pe_scalar.soft_update(n - i, weight + i, target + i, tau);
}

static void neon_range(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum)
{
	int32x4_t low = vdupq_n_s32(*minimum), high = vdupq_n_s32(*maximum);
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		const int32x4_t v = vld1q_s32(values + i);

		low = vminq_s32(low, v);
		high = vmaxq_s32(high, v);
	}
	*minimum = vminvq_s32(low);
	*maximum = vmaxvq_s32(high);
	pe_scalar.range(n - i, values + i, minimum, maximum);
}

const struct pe_engine pe_neon = {
	.name = "neon",
	.available = neon_available,
	.product = neon_product,
	.quantize = neon_quantize,
	.operand = operand_pass,
	.adam = neon_adam,
	.soft_update = neon_soft_update,
	.range = neon_range,
	.form = &pe_form_neon,
};
