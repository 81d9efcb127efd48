/* SPDX-License-Identifier: MIT */
/*
 * The AVX-512 engine: the same bits as pe_scalar.c, eight 64-bit lanes at a time.
 *
 * A product is computed as in pe_avx2.c, in tiles of up to 8 rows x 16 columns: 16 columns of B are packed so that row
 * k is one vector of 16 int32, whose even and odd elements go through vpmuldq into two accumulators of eight int64 for
 * each row.
 */
#include <immintrin.h>

#include "fx/fixed.h"
#include "pe/amx.h"
#include "pe/engine.h"
#include "pe/operand.h"

#define PANEL 16
#define TILE_ROWS 8

_Static_assert(PANEL <= PE_PANEL_COLUMNS, "a panel must fit the scratch memory");

static int avx512_available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512bw");
}

/* ---- 64-bit lanes ---- */

/* Limits int64 lanes to the int32 range and counts those that were limited. */
static inline __m512i saturate32(__m512i x, uint64_t *count)
{
	const __m512i limited =
		_mm512_max_epi64(_mm512_min_epi64(x, _mm512_set1_epi64(INT32_MAX)), _mm512_set1_epi64(INT32_MIN));

	*count += (unsigned)__builtin_popcount(_mm512_cmpneq_epi64_mask(x, limited));
	return limited;
}

static inline __m512i load_i32(const int32_t *p)
{
	return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* The low halves of eight int64 lanes. */
static inline void store_i32(void *p, __m512i x)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtepi64_epi32(x));
}

/* ---- Products ---- */

/* Eight rows of eight int32, transposed: to[k * PANEL + i] = from[i * stride + k]. */
static inline void transpose_8x8(const int32_t *from, size_t stride, int32_t *to)
{
	__m256i r[8], t[8];

	for (int i = 0; i < 8; i++)
		r[i] = _mm256_loadu_si256((const __m256i *)(const void *)(from + (size_t)i * stride));
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
		_mm256_storeu_si256((__m256i *)(void *)(to + i * PANEL),
				    _mm256_permute2x128_si256(r[i], r[i + 4], 0x20));
		_mm256_storeu_si256((__m256i *)(void *)(to + (i + 4) * PANEL),
				    _mm256_permute2x128_si256(r[i], r[i + 4], 0x31));
	}
}

/* Packs columns [column, column + width) of B, rows 0 to depth - 1; columns beyond `width` become 0. */
static void pack_panel(const struct pe_product *p, size_t column, size_t width, int32_t *panel)
{
	const size_t depth = p->depth;
	size_t k = 0;

	if (p->b_column == 1) {
		const __mmask16 columns = (__mmask16)((1u << width) - 1);

		for (; k < depth; k++)
			_mm512_storeu_si512(panel + k * PANEL,
					    _mm512_maskz_loadu_epi32(columns, p->b + k * p->b_row + column));
	} else if (p->b_row == 1 && width == PANEL) {
		for (; k + 8 <= depth; k += 8) {
			transpose_8x8(p->b + k + column * p->b_column, p->b_column, panel + k * PANEL);
			transpose_8x8(p->b + k + (column + 8) * p->b_column, p->b_column, panel + k * PANEL + 8);
		}
	}
	for (; k < depth; k++)
		for (size_t n = 0; n < PANEL; n++)
			panel[k * PANEL + n] = n < width ? p->b[k * p->b_row + (column + n) * p->b_column] : 0;
}

/* Shift, bias, rounding, saturation of one row of a tile. Columns beyond the edge are sums of zeros without bias: they
 * never saturate. */
static inline void finish_row(const struct pe_product *p, size_t row, size_t column, size_t width, __m512i even,
			      __m512i odd, __m512i bias_even, __m512i bias_odd, uint64_t *saturations)
{
	const __m128i up = _mm_cvtsi32_si128((int)p->up), down = _mm_cvtsi32_si128((int)p->down);
	const __m512i half = _mm512_set1_epi64(p->down ? (long long)(UINT64_C(1) << (p->down - 1)) : 0);

	even = _mm512_add_epi64(_mm512_add_epi64(_mm512_sll_epi64(even, up), bias_even), half);
	odd = _mm512_add_epi64(_mm512_add_epi64(_mm512_sll_epi64(odd, up), bias_odd), half);
	even = saturate32(_mm512_sra_epi64(even, down), saturations);
	odd = saturate32(_mm512_sra_epi64(odd, down), saturations);
	_mm512_mask_storeu_epi32(p->c + row * p->c_row + column, (__mmask16)((1u << width) - 1),
				 _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
}

static void load_bias(const struct pe_product *p, size_t column, size_t width, __m512i *even, __m512i *odd)
{
	const __m128i up = _mm_cvtsi32_si128((int)p->bias_up);
	const __m512i one = _mm512_set1_epi64(1);
	const __m512i bias = p->bias ? _mm512_maskz_loadu_epi32((__mmask16)((1u << width) - 1), p->bias + column)
				     : _mm512_setzero_si512();

	/* The product with 1 sign-extends the even elements. */
	*even = _mm512_sll_epi64(_mm512_mul_epi32(bias, one), up);
	*odd = _mm512_sll_epi64(_mm512_mul_epi32(_mm512_srli_epi64(bias, 32), one), up);
}

/* `rows` is a constant where this is inlined, so that the accumulators stay in registers. */
static inline __attribute__((always_inline)) void tile(const struct pe_product *p, size_t row, int rows, size_t column,
						       size_t width, const int32_t *panel, __m512i bias_even,
						       __m512i bias_odd, uint64_t *saturations)
{
	const int32_t *a = p->a + row * p->a_row;
	const size_t a_row = p->a_row, a_column = p->a_column;
	__m512i even[TILE_ROWS], odd[TILE_ROWS];

	for (int i = 0; i < rows; i++)
		even[i] = odd[i] = _mm512_setzero_si512();
	for (size_t k = 0; k < p->depth; k++) {
		const __m512i b_even = _mm512_load_si512(panel + k * PANEL);
		const __m512i b_odd = _mm512_srli_epi64(b_even, 32);

		for (int i = 0; i < rows; i++) {
			const __m512i x = _mm512_set1_epi32(a[(size_t)i * a_row + k * a_column]);

			even[i] = _mm512_add_epi64(even[i], _mm512_mul_epi32(x, b_even));
			odd[i] = _mm512_add_epi64(odd[i], _mm512_mul_epi32(x, b_odd));
		}
	}
	for (int i = 0; i < rows; i++)
		finish_row(p, row + (size_t)i, column, width, even[i], odd[i], bias_even, bias_odd, saturations);
}

/* The sum of eight lanes modulo 2^64. _mm512_reduce_add_epi64() adds the last two as signed numbers, which must not
 * wrap. */
static inline uint64_t add_lanes(__m512i x)
{
	const __m256i four = _mm256_add_epi64(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
	const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));

	return (uint64_t)_mm_extract_epi64(two, 0) + (uint64_t)_mm_extract_epi64(two, 1);
}

/* A single row with B read along k: dot products, nothing packed. */
static uint64_t dot_products(const struct pe_product *p, size_t row, size_t column_from, size_t column_to)
{
	const int32_t *a = p->a + row * p->a_row;
	uint64_t saturations = 0;

	for (size_t n = column_from; n < column_to; n++) {
		const int32_t *b = p->b + n * p->b_column;
		__m512i even = _mm512_setzero_si512(), odd = even;
		uint64_t sum;

		for (size_t k = 0; k < p->depth; k += 16) {
			const size_t left = p->depth - k;
			const __mmask16 mask = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xffff);
			const __m512i x = _mm512_maskz_loadu_epi32(mask, a + k),
				      y = _mm512_maskz_loadu_epi32(mask, b + k);

			even = _mm512_add_epi64(even, _mm512_mul_epi32(x, y));
			odd = _mm512_add_epi64(odd,
					       _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(y, 32)));
		}
		sum = add_lanes(_mm512_add_epi64(even, odd)) << p->up;
		if (p->bias)
			sum += (uint64_t)(int64_t)p->bias[n] << p->bias_up;
		p->c[row * p->c_row + n] = fx_saturate32(fx_round_half_up((int64_t)sum, p->down), &saturations);
	}
	return saturations;
}

static uint64_t avx512_product(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from,
			       size_t column_to, void *scratch)
{
	const int32_t *panel = scratch;
	uint64_t saturations = 0;

	if (row_to - row_from < 3 && p->b_row == 1 && p->a_column == 1) {
		for (size_t m = row_from; m < row_to; m++)
			saturations += dot_products(p, m, column_from, column_to);
		return saturations;
	}
	for (size_t n = column_from; n < column_to; n += PANEL) {
		const size_t width = column_to - n < PANEL ? column_to - n : PANEL;
		__m512i bias_even, bias_odd;
		size_t m = row_from;

		if (p->panels)
			panel = p->panels + n * p->depth;
		else
			pack_panel(p, n, width, scratch);
		load_bias(p, n, width, &bias_even, &bias_odd);
		for (; m + TILE_ROWS <= row_to; m += TILE_ROWS)
			tile(p, m, TILE_ROWS, n, width, panel, bias_even, bias_odd, &saturations);
		for (; m + 2 <= row_to; m += 2)
			tile(p, m, 2, n, width, panel, bias_even, bias_odd, &saturations);
		if (m < row_to)
			tile(p, m, 1, n, width, panel, bias_even, bias_odd, &saturations);
	}
	return saturations;
}

/* ---- Element-wise passes ---- */

static uint64_t avx512_quantize(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high,
				int32_t *codes)
{
	const __m512i lowest = _mm512_set1_epi32(low), highest = _mm512_set1_epi32(high);
	const __m128i count = _mm_cvtsi32_si128((int)shift);
	/* rhu(v, s) = (v >> s) + bit s - 1 of v: no intermediate leaves 32 bits unless s is 0. Beyond 32 that bit is
	 * the sign. */
	const __m128i below = _mm_cvtsi32_si128(shift ? (int)shift - 1 : 0);
	const __m512i one = shift ? _mm512_set1_epi32(1) : _mm512_setzero_si512();
	uint64_t clamps = 0;

	if (shift > 32)
		return pe_scalar.quantize(n, values, shift, low, high, codes);
	for (size_t i = 0; i < n; i += 16) {
		const __mmask16 mask = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
		const __m512i v = _mm512_maskz_loadu_epi32(mask, values + i);
		const __m512i round = _mm512_and_si512(_mm512_srl_epi32(v, below), one);
		const __m512i code = _mm512_add_epi32(_mm512_sra_epi32(v, count), round);
		const __m512i limited = _mm512_min_epi32(_mm512_max_epi32(code, lowest), highest);

		clamps += (unsigned)__builtin_popcount(_mm512_mask_cmpneq_epi32_mask(mask, code, limited));
		_mm512_mask_storeu_epi32(codes + i, mask, limited);
	}
	return clamps;
}

/*
 * Adam takes four vectors side by side, stage by stage: an element's chain of products is a hundred cycles long, and the processor does
 * not look far enough ahead to find the next element's by itself.
 */
#define GROUP 4
#define EACH for (int j = 0; j < group; j++)

/* fx_reciprocal_square_root() in each lane. */
static inline __attribute__((always_inline)) void reciprocal_square_roots(int group, const __m512i x[GROUP], __m512i y[GROUP])
{
	EACH y[j] = _mm512_sub_epi64(_mm512_set1_epi64(1672337461),
				     _mm512_srli_epi64(_mm512_mul_epu32(_mm512_set1_epi64(654567240), x[j]), 32));
	EACH y[j] = _mm512_sub_epi64(_mm512_set1_epi64(1586696317), _mm512_srli_epi64(_mm512_mul_epu32(y[j], x[j]), 32));
	EACH y[j] = _mm512_slli_epi64(
		_mm512_sub_epi64(_mm512_set1_epi64(835471589), _mm512_srli_epi64(_mm512_mul_epu32(y[j], x[j]), 32)), 2);
	for (int i = 0; i < 2; i++) {
		__m512i h[GROUP];

		EACH h[j] = _mm512_srli_epi64(_mm512_mul_epu32(y[j], y[j]), 31);
		EACH h[j] = _mm512_sub_epi64(_mm512_set1_epi64(INT64_C(3) << 29), _mm512_srli_epi64(_mm512_mul_epu32(x[j], h[j]), 32));
		EACH y[j] = _mm512_srli_epi64(_mm512_mul_epu32(y[j], h[j]), 30);
	}
}

/* rhu(x, shift) with a shift of its own, 1 to 63, for each lane. */
static inline __m512i round_half_up_each(__m512i x, __m512i shift)
{
	const __m512i one = _mm512_set1_epi64(1);

	return _mm512_srav_epi64(_mm512_add_epi64(x, _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one))), shift);
}

struct adam_lanes {
	__m512i beta1, one_minus_beta1, c2, least_moment2, mantissa, step_half;
	__m128i step_shift;
	uint64_t ratio, weight;
};

static inline __attribute__((always_inline)) void adam_group(int group, const int32_t *gradient, int32_t *moment1, uint32_t *moment2,
							     int32_t *weight, struct adam_lanes *lanes)
{
	const __m512i shift_bits = _mm512_set1_epi64(FX_MOMENT2_SHIFT);
	__m512i g[GROUP], v[GROUP], half_zeros[GROUP], x[GROUP], y[GROUP], m[GROUP], w[GROUP];

	EACH g[j] = load_i32(gradient + 8 * j);
	EACH {
		const __m512i code = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)(moment2 + 8 * j)));
		const __m512i old = _mm512_srlv_epi64(_mm512_slli_epi64(_mm512_andnot_si512(shift_bits, code), 32),
						      _mm512_slli_epi64(_mm512_and_si512(shift_bits, code), 1));
		const __m512i g2 = _mm512_mul_epi32(g[j], g[j]);
		const __m512i decay = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(old, 32), lanes->c2),
						       _mm512_srli_epi64(_mm512_mul_epu32(old, lanes->c2), 32));
		const __m512i gain =
			_mm512_add_epi64(_mm512_slli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(g2, 32), lanes->c2), 2),
					 _mm512_srli_epi64(_mm512_mul_epu32(g2, lanes->c2), 30));

		v[j] = _mm512_max_epu64(_mm512_add_epi64(_mm512_sub_epi64(old, decay), gain), lanes->least_moment2);
	}
	EACH half_zeros[j] = _mm512_srli_epi64(_mm512_lzcnt_epi64(v[j]), 1);
	EACH x[j] = _mm512_srli_epi64(_mm512_sllv_epi64(v[j], _mm512_slli_epi64(half_zeros[j], 1)), 32);
	reciprocal_square_roots(group, x, y);
	EACH {
		m[j] = _mm512_add_epi64(_mm512_mul_epi32(load_i32(moment1 + 8 * j), lanes->beta1),
					_mm512_mul_epi32(g[j], lanes->one_minus_beta1));
		/* Toward zero: a negative sum gets 2^31 - 1 before the shift. */
		m[j] = _mm512_add_epi64(m[j], _mm512_and_si512(_mm512_srai_epi64(m[j], 63), _mm512_set1_epi64(INT32_MAX)));
		m[j] = _mm512_srai_epi64(m[j], 31);
		store_i32(moment1 + 8 * j, m[j]);
	}
	EACH store_i32(moment2 + 8 * j, _mm512_or_si512(_mm512_andnot_si512(shift_bits, x[j]), half_zeros[j]));
	EACH w[j] = round_half_up_each(_mm512_mul_epi32(m[j], y[j]), _mm512_sub_epi64(_mm512_set1_epi64(33), half_zeros[j]));
	EACH w[j] = saturate32(w[j], &lanes->ratio);
	EACH w[j] = _mm512_sra_epi64(_mm512_add_epi64(_mm512_mul_epi32(w[j], lanes->mantissa), lanes->step_half), lanes->step_shift);
	EACH w[j] = saturate32(_mm512_sub_epi64(load_i32(weight + 8 * j), w[j]), &lanes->weight);
	EACH store_i32(weight + 8 * j, w[j]);
}

static void avx512_adam(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
			const struct pe_adam *constants, struct pe_adam_counts *counts)
{
	const int64_t beta1 = constants->beta1;
	struct adam_lanes lanes = {
		.beta1 = _mm512_set1_epi64(beta1),
		.one_minus_beta1 = _mm512_set1_epi64((INT64_C(1) << 31) - beta1),
		.c2 = _mm512_set1_epi64(constants->one_minus_beta2),
		.least_moment2 = _mm512_set1_epi64(constants->least_moment2),
		.mantissa = _mm512_set1_epi64(constants->step_mantissa),
		.step_half = _mm512_set1_epi64(1LL << (constants->step_shift - 1)),
		.step_shift = _mm_cvtsi32_si128((int)constants->step_shift),
	};
	size_t i = 0;

	/* 1 - beta1 is 2^31 for beta1 = 0, which a signed 32-bit multiplier does not take: leave that to the scalar engine. */
	for (; beta1 && i + 8 * GROUP <= n; i += 8 * GROUP)
		adam_group(GROUP, gradient + i, moment1 + i, moment2 + i, weight + i, &lanes);
	for (; beta1 && i + 8 <= n; i += 8)
		adam_group(1, gradient + i, moment1 + i, moment2 + i, weight + i, &lanes);
	counts->ratio += lanes.ratio;
	counts->weight += lanes.weight;
	pe_scalar.adam(n - i, gradient + i, moment1 + i, moment2 + i, weight + i, constants, counts);
}

static void avx512_soft_update(size_t n, const int32_t *weight, int32_t *target, uint32_t tau)
{
	const __m512i factor = _mm512_set1_epi64(tau), half = _mm512_set1_epi64(INT64_C(1) << 30);
	size_t i = 0;

	/* tau = 2^31 does not fit a signed multiplier: then the target becomes the weight. */
	for (; tau <= INT32_MAX && i + 8 <= n; i += 8) {
		const __m512i t = load_i32(target + i);
		const __m512i d =
			_mm512_sub_epi64(_mm512_mul_epi32(load_i32(weight + i), factor), _mm512_mul_epi32(t, factor));

		store_i32(target + i, _mm512_add_epi64(t, _mm512_srai_epi64(_mm512_add_epi64(d, half), 31)));
	}
	pe_scalar.soft_update(n - i, weight + i, target + i, tau);
}

static void avx512_range(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum)
{
	__m512i low = _mm512_set1_epi32(*minimum), high = _mm512_set1_epi32(*maximum);
	size_t i = 0;

	for (; i + 16 <= n; i += 16) {
		const __m512i v = _mm512_loadu_si512(values + i);

		low = _mm512_min_epi32(low, v);
		high = _mm512_max_epi32(high, v);
	}
	*minimum = _mm512_reduce_min_epi32(low);
	*maximum = _mm512_reduce_max_epi32(high);
	pe_scalar.range(n - i, values + i, minimum, maximum);
}

const struct pe_engine pe_avx512 = {
	.name = "avx512",
	.available = avx512_available,
	.product = avx512_product,
	.quantize = avx512_quantize,
	.operand = operand_pass,
	.adam = avx512_adam,
	.soft_update = avx512_soft_update,
	.range = avx512_range,
	.form = &pe_form_avx512,
};

static int vnni_available(void)
{
	return avx512_available() && __builtin_cpu_supports("avx512vnni");
}

const struct pe_engine pe_avx512_vnni = {
	.name = "avx512",
	.available = vnni_available,
	.product = avx512_product,
	.quantize = avx512_quantize,
	.operand = operand_pass,
	.adam = avx512_adam,
	.soft_update = avx512_soft_update,
	.range = avx512_range,
	.form = &pe_form_vnni,
};

static int vnni_and_amx_available(void)
{
	return vnni_available() && pe_amx_available();
}

const struct pe_engine pe_amx = {
	.name = "amx",
	.available = vnni_and_amx_available,
	.product = pe_amx_product,
	.quantize = avx512_quantize,
	.operand = operand_pass,
	.adam = avx512_adam,
	.soft_update = avx512_soft_update,
	.range = avx512_range,
	.form = &pe_form_amx,
};
