/* SPDX-License-Identifier: MIT */
/*
 * The AVX2 engine: the same bits as pe_scalar.c, four 64-bit lanes at a time.
 *
 * A product is computed in tiles of up to 4 rows x 8 columns. Eight columns of B are packed so that row k is one vector of
 * eight int32; vpmuldq multiplies the even ones, and after a shift the odd ones, so a row of a tile lives in two accumulators
 * of four int64: columns 0, 2, 4, 6 and 1, 3, 5, 7.
 */
#include <immintrin.h>
#include <string.h>

#include "fx/fixed.h"
#include "pe/engine.h"
#include "pe/operand.h"

#define PANEL 8
#define TILE_ROWS 4

static int avx2_available(void)
{
	return __builtin_cpu_supports("avx2");
}

/* ---- 64-bit lanes ---- */

/* Arithmetic right shift of int64 lanes: AVX2 has only the logical one. */
static inline __m256i shift_right(__m256i x, __m128i shift)
{
	const __m256i bias = _mm256_set1_epi64x(INT64_MIN);

	return _mm256_sub_epi64(_mm256_srl_epi64(_mm256_xor_si256(x, bias), shift), _mm256_srl_epi64(bias, shift));
}

static inline __m256i shift_right_each(__m256i x, __m256i shift)
{
	const __m256i bias = _mm256_set1_epi64x(INT64_MIN);

	return _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(x, bias), shift), _mm256_srlv_epi64(bias, shift));
}

/* Limits int64 lanes to the int32 range; lanes that were limited are set in *limited. */
static inline __m256i saturate32(__m256i x, __m256i *limited)
{
	const __m256i high = _mm256_set1_epi64x(INT32_MAX), low = _mm256_set1_epi64x(INT32_MIN);
	const __m256i above = _mm256_cmpgt_epi64(x, high), below = _mm256_cmpgt_epi64(low, x);

	*limited = _mm256_or_si256(above, below);
	x = _mm256_blendv_epi8(x, high, above);
	return _mm256_blendv_epi8(x, low, below);
}

static inline unsigned lanes(__m256i mask)
{
	return (unsigned)__builtin_popcount((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(mask)));
}

/* The low halves of two vectors of int64 lanes, even and odd elements, side by side as eight int32. */
static inline __m256i interleave(__m256i even, __m256i odd)
{
	return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

/* ---- Products ---- */

/* Packs columns [column, column + width) of B, rows 0 to depth - 1; columns beyond `width` become 0. */
static void pack_panel(const struct pe_product *p, size_t column, size_t width, int32_t *panel)
{
	const size_t depth = p->depth;
	size_t k = 0;

	if (p->b_column == 1) {
		for (; k < depth && width == PANEL; k++)
			_mm256_storeu_si256((__m256i *)(void *)(panel + k * PANEL),
					    _mm256_loadu_si256((const __m256i *)(const void *)(p->b + k * p->b_row + column)));
	} else if (p->b_row == 1 && width == PANEL) {
		/* Eight rows of eight, transposed. */
		for (; k + 8 <= depth; k += 8) {
			__m256i r[8], t[8];

			for (int i = 0; i < 8; i++)
				r[i] = _mm256_loadu_si256(
					(const __m256i *)(const void *)(p->b + k + (column + (size_t)i) * p->b_column));
			for (int i = 0; i < 8; i += 2) {
				t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
				t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
			}
			for (int i = 0; i < 8; i += 4) {
				r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
				r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
				r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
				r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
			}
			for (int i = 0; i < 4; i++) {
				_mm256_storeu_si256((__m256i *)(void *)(panel + (k + (size_t)i) * PANEL),
						    _mm256_permute2x128_si256(r[i], r[i + 4], 0x20));
				_mm256_storeu_si256((__m256i *)(void *)(panel + (k + 4 + (size_t)i) * PANEL),
						    _mm256_permute2x128_si256(r[i], r[i + 4], 0x31));
			}
		}
	}
	for (; k < depth; k++)
		for (size_t n = 0; n < PANEL; n++)
			panel[k * PANEL + n] = n < width ? p->b[k * p->b_row + (column + n) * p->b_column] : 0;
}

/* Shift, bias, rounding, saturation of one row of a tile. */
static inline unsigned finish_row(const struct pe_product *p, size_t row, size_t column, size_t width, __m256i even, __m256i odd,
				  __m256i bias_even, __m256i bias_odd)
{
	const __m128i up = _mm_cvtsi32_si128((int)p->up), down = _mm_cvtsi32_si128((int)p->down);
	const __m256i half = _mm256_set1_epi64x(p->down ? (int64_t)(UINT64_C(1) << (p->down - 1)) : 0);
	int32_t *c = p->c + row * p->c_row + column;
	__m256i limited_even, limited_odd, result;

	even = _mm256_add_epi64(_mm256_add_epi64(_mm256_sll_epi64(even, up), bias_even), half);
	odd = _mm256_add_epi64(_mm256_add_epi64(_mm256_sll_epi64(odd, up), bias_odd), half);
	even = saturate32(shift_right(even, down), &limited_even);
	odd = saturate32(shift_right(odd, down), &limited_odd);
	result = interleave(even, odd);
	if (width == PANEL)
		_mm256_storeu_si256((__m256i *)(void *)c, result);
	else
		/* Columns beyond the edge are sums of zeros without bias: they never saturate. */
		memcpy(c, &result, width * sizeof(int32_t));
	return lanes(limited_even) + lanes(limited_odd);
}

static void load_bias(const struct pe_product *p, size_t column, size_t width, __m256i *even, __m256i *odd)
{
	const __m128i up = _mm_cvtsi32_si128((int)p->bias_up);
	int32_t bias[PANEL] = { 0 };
	__m256i v;

	if (p->bias)
		memcpy(bias, p->bias + column, width * sizeof(int32_t));
	v = _mm256_loadu_si256((const __m256i *)(const void *)bias);
	/* The product with 1 sign-extends the even elements. */
	*even = _mm256_sll_epi64(_mm256_mul_epi32(v, _mm256_set1_epi64x(1)), up);
	*odd = _mm256_sll_epi64(_mm256_mul_epi32(_mm256_srli_epi64(v, 32), _mm256_set1_epi64x(1)), up);
}

/*
 * `rows` is a constant where this is inlined, so that the accumulators stay in registers.
 */
static inline __attribute__((always_inline)) unsigned tile(const struct pe_product *p, size_t row, int rows, size_t column,
							    size_t width, const int32_t *panel, size_t panel_row, __m256i bias_even, __m256i bias_odd)
{
	const int32_t *a = p->a + row * p->a_row;
	const size_t a_row = p->a_row, a_column = p->a_column;
	__m256i even[TILE_ROWS], odd[TILE_ROWS];
	unsigned saturations = 0;

	for (int i = 0; i < rows; i++)
		even[i] = odd[i] = _mm256_setzero_si256();
	for (size_t k = 0; k < p->depth; k++) {
		const __m256i b_even = _mm256_load_si256((const __m256i *)(const void *)(panel + k * panel_row));
		const __m256i b_odd = _mm256_srli_epi64(b_even, 32);

		for (int i = 0; i < rows; i++) {
			const __m256i x = _mm256_set1_epi32(a[(size_t)i * a_row + k * a_column]);

			even[i] = _mm256_add_epi64(even[i], _mm256_mul_epi32(x, b_even));
			odd[i] = _mm256_add_epi64(odd[i], _mm256_mul_epi32(x, b_odd));
		}
	}
	for (int i = 0; i < rows; i++)
		saturations += finish_row(p, row + (size_t)i, column, width, even[i], odd[i], bias_even, bias_odd);
	return saturations;
}

/* A single row with B read along k: dot products, nothing packed. */
static uint64_t dot_products(const struct pe_product *p, size_t row, size_t column_from, size_t column_to)
{
	const int32_t *a = p->a + row * p->a_row;
	uint64_t saturations = 0;

	for (size_t n = column_from; n < column_to; n++) {
		const int32_t *b = p->b + n * p->b_column;
		__m256i even = _mm256_setzero_si256(), odd = even;
		uint64_t part[4], sum = 0;
		size_t k = 0;

		for (; k + 8 <= p->depth; k += 8) {
			const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + k));
			const __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + k));

			even = _mm256_add_epi64(even, _mm256_mul_epi32(x, y));
			odd = _mm256_add_epi64(odd, _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32)));
		}
		_mm256_storeu_si256((__m256i *)(void *)part, _mm256_add_epi64(even, odd));
		sum = part[0] + part[1] + part[2] + part[3];
		for (; k < p->depth; k++)
			sum += (uint64_t)((int64_t)a[k] * b[k]);
		sum <<= p->up;
		if (p->bias)
			sum += (uint64_t)(int64_t)p->bias[n] << p->bias_up;
		p->c[row * p->c_row + n] = fx_saturate32(fx_round_half_up((int64_t)sum, p->down), &saturations);
	}
	return saturations;
}

static uint64_t avx2_product(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from, size_t column_to,
			     void *scratch)
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
		__m256i bias_even, bias_odd;
		size_t m = row_from;

		if (p->panels)
			panel = p->panels + n / PE_PANEL_COLUMNS * PE_PANEL_COLUMNS * p->depth + n % PE_PANEL_COLUMNS;
		else
			pack_panel(p, n, width, scratch);
		load_bias(p, n, width, &bias_even, &bias_odd);
		for (; m + TILE_ROWS <= row_to; m += TILE_ROWS)
			saturations += tile(p, m, TILE_ROWS, n, width, panel, panel_row, bias_even, bias_odd);
		for (; m < row_to; m++)
			saturations += tile(p, m, 1, n, width, panel, panel_row, bias_even, bias_odd);
	}
	return saturations;
}

/* ---- Element-wise passes ---- */

static uint64_t avx2_quantize(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high, int32_t *codes)
{
	const __m256i lowest = _mm256_set1_epi32(low), highest = _mm256_set1_epi32(high);
	const __m128i count = _mm_cvtsi32_si128((int)shift);
	/* rhu(v, s) = (v >> s) + bit s - 1 of v: no intermediate leaves 32 bits unless s is 0. */
	const __m128i below = _mm_cvtsi32_si128(shift ? (int)shift - 1 : 0);
	const __m256i one = shift ? _mm256_set1_epi32(1) : _mm256_setzero_si256();
	uint64_t clamps = 0;
	size_t i = 0;

	/* Above 32 the rounding bit is a copy of the sign, which the logical shift does not give. */
	for (; shift <= 32 && i + 8 <= n; i += 8) {
		const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
		const __m256i round = _mm256_and_si256(_mm256_srl_epi32(v, below), one);
		const __m256i code = _mm256_add_epi32(_mm256_sra_epi32(v, count), round);
		const __m256i limited = _mm256_min_epi32(_mm256_max_epi32(code, lowest), highest);
		const __m256i same = _mm256_cmpeq_epi32(code, limited);

		clamps += 8 - (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same)));
		_mm256_storeu_si256((__m256i *)(void *)(codes + i), limited);
	}
	return clamps + pe_scalar.quantize(n - i, values + i, shift, low, high, codes + i);
}

/* Sign-extends four int32. */
static inline __m256i load_i32(const int32_t *p)
{
	return _mm256_cvtepi32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* The low halves of four int64 lanes. */
static inline void store_i32(int32_t *p, __m256i x)
{
	const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);

	_mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(x, order)));
}

/* Even number of leading zeros of nonzero uint64 lanes, and the lanes shifted left by it. */
static inline __m256i normalize(__m256i *v)
{
	__m256i zeros = _mm256_setzero_si256();

	for (int shift = 32; shift >= 2; shift /= 2) {
		/* Are the upper `shift` bits all 0? */
		const __m256i empty = _mm256_cmpeq_epi64(_mm256_srli_epi64(*v, 64 - shift), _mm256_setzero_si256());
		const __m256i by = _mm256_and_si256(empty, _mm256_set1_epi64x(shift));

		*v = _mm256_sllv_epi64(*v, by);
		zeros = _mm256_add_epi64(zeros, by);
	}
	return zeros;
}

/* fx_reciprocal_square_root() in each lane. */
static inline __m256i reciprocal_square_root(__m256i x)
{
	__m256i y = _mm256_sub_epi64(_mm256_set1_epi64x(1672337461),
				     _mm256_srli_epi64(_mm256_mul_epu32(_mm256_set1_epi64x(654567240), x), 32));

	y = _mm256_sub_epi64(_mm256_set1_epi64x(1586696317), _mm256_srli_epi64(_mm256_mul_epu32(y, x), 32));
	y = _mm256_slli_epi64(_mm256_sub_epi64(_mm256_set1_epi64x(835471589), _mm256_srli_epi64(_mm256_mul_epu32(y, x), 32)), 2);
	for (int i = 0; i < 2; i++) {
		const __m256i t = _mm256_srli_epi64(_mm256_mul_epu32(y, y), 31);
		const __m256i h = _mm256_sub_epi64(_mm256_set1_epi64x(INT64_C(3) << 29), _mm256_srli_epi64(_mm256_mul_epu32(x, t), 32));

		y = _mm256_srli_epi64(_mm256_mul_epu32(y, h), 30);
	}
	return y;
}

static void avx2_adam(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
		      const struct pe_adam *constants, struct pe_adam_counts *counts)
{
	const __m256i beta1 = _mm256_set1_epi64x(constants->beta1);
	const __m256i one_minus_beta1 = _mm256_set1_epi64x((INT64_C(1) << 31) - constants->beta1);
	const __m256i c2 = _mm256_set1_epi64x(constants->one_minus_beta2);
	const __m256i mantissa = _mm256_set1_epi64x(constants->step_mantissa);
	const __m128i step_shift = _mm_cvtsi32_si128((int)constants->step_shift);
	const __m256i step_half = _mm256_set1_epi64x((long long)(UINT64_C(1) << (constants->step_shift - 1)));
	const __m256i least = _mm256_set1_epi64x(constants->least_moment2), minus_one = _mm256_set1_epi64x(-1);
	const __m256i one = _mm256_set1_epi64x(1), zero = _mm256_setzero_si256(), shift_bits = _mm256_set1_epi64x(FX_MOMENT2_SHIFT);
	size_t i = 0;

	/* beta1 = 0 makes 1 - beta1 = 2^31, which does not fit a signed multiplier. */
	for (; constants->beta1 && i + 4 <= n; i += 4) {
		const __m256i g = load_i32(gradient + i);
		const __m256i code = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(moment2 + i)));
		const __m256i old = _mm256_srlv_epi64(_mm256_slli_epi64(_mm256_andnot_si256(shift_bits, code), 32),
						      _mm256_slli_epi64(_mm256_and_si256(shift_bits, code), 1));
		const __m256i g2 = _mm256_mul_epi32(g, g);
		const __m256i decay = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(old, 32), c2),
						       _mm256_srli_epi64(_mm256_mul_epu32(old, c2), 32));
		const __m256i gain = _mm256_add_epi64(_mm256_slli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(g2, 32), c2), 2),
						      _mm256_srli_epi64(_mm256_mul_epu32(g2, c2), 30));
		__m256i m = _mm256_add_epi64(_mm256_mul_epi32(load_i32(moment1 + i), beta1), _mm256_mul_epi32(g, one_minus_beta1));
		__m256i v = _mm256_add_epi64(_mm256_sub_epi64(old, decay), gain);
		__m256i half_zeros, x, y, ratio, w, limited, shift;

		/* Toward zero: a negative sum gets 2^31 - 1 before the shift, whose low 32 bits are all that is used. */
		m = _mm256_add_epi64(m, _mm256_and_si256(_mm256_cmpgt_epi64(zero, m), _mm256_set1_epi64x(INT32_MAX)));
		m = _mm256_srli_epi64(m, 31);

		/* max(V0, v), unsigned: a v that looks negative is above 2^63. */
		v = _mm256_blendv_epi8(v, least, _mm256_and_si256(_mm256_cmpgt_epi64(least, v), _mm256_cmpgt_epi64(v, minus_one)));
		half_zeros = _mm256_srli_epi64(normalize(&v), 1);
		x = _mm256_srli_epi64(v, 32);
		y = reciprocal_square_root(x);

		shift = _mm256_sub_epi64(_mm256_set1_epi64x(33), half_zeros);
		ratio = _mm256_add_epi64(_mm256_mul_epi32(m, y), _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one)));
		ratio = saturate32(shift_right_each(ratio, shift), &limited);
		counts->ratio += lanes(limited);

		w = shift_right(_mm256_add_epi64(_mm256_mul_epi32(ratio, mantissa), step_half), step_shift);
		w = saturate32(_mm256_sub_epi64(load_i32(weight + i), w), &limited);
		counts->weight += lanes(limited);

		store_i32(moment1 + i, m);
		store_i32((int32_t *)(void *)(moment2 + i), _mm256_or_si256(_mm256_andnot_si256(shift_bits, x), half_zeros));
		store_i32(weight + i, w);
	}
	pe_scalar.adam(n - i, gradient + i, moment1 + i, moment2 + i, weight + i, constants, counts);
}

static void avx2_soft_update(size_t n, const int32_t *weight, int32_t *target, uint32_t tau)
{
	const __m256i factor = _mm256_set1_epi64x(tau), half = _mm256_set1_epi64x(INT64_C(1) << 30);
	size_t i = 0;

	/* tau = 2^31 does not fit a signed multiplier: then the target becomes the weight. */
	for (; tau <= INT32_MAX && i + 4 <= n; i += 4) {
		const __m256i t = load_i32(target + i);
		__m256i d = _mm256_sub_epi64(_mm256_mul_epi32(load_i32(weight + i), factor), _mm256_mul_epi32(t, factor));

		/* Only the low 32 bits of the sum are used, so a logical shift will do. */
		d = _mm256_srli_epi64(_mm256_add_epi64(d, half), 31);
		store_i32(target + i, _mm256_add_epi64(t, d));
	}
	pe_scalar.soft_update(n - i, weight + i, target + i, tau);
}

static void avx2_range(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum)
{
	__m256i low = _mm256_set1_epi32(*minimum), high = _mm256_set1_epi32(*maximum);
	int32_t part[2][8];
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));

		low = _mm256_min_epi32(low, v);
		high = _mm256_max_epi32(high, v);
	}
	/* Without a full vector the lanes hold the range as it was, which may be the empty one: its ends are no values. */
	if (i) {
		_mm256_storeu_si256((__m256i *)(void *)part[0], low);
		_mm256_storeu_si256((__m256i *)(void *)part[1], high);
		pe_scalar.range(8, part[0], minimum, maximum);
		pe_scalar.range(8, part[1], minimum, maximum);
	}
	pe_scalar.range(n - i, values + i, minimum, maximum);
}

const struct pe_engine pe_avx2 = {
	.name = "avx2",
	.available = avx2_available,
	.product = avx2_product,
	.quantize = avx2_quantize,
	.operand = operand_pass,
	.adam = avx2_adam,
	.soft_update = avx2_soft_update,
	.range = avx2_range,
	.form = &pe_form_avx2,
};
