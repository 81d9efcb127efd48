/* SPDX-License-Identifier: MIT */
/*
 * Operands of the engine "amx", cut into bytes (amx_cut.h). This costs as much as a good part of the products
 * themselves: elements are read once, and whether they need a fourth digit is found on the way.
 */
#include <immintrin.h>

#include "pe/amx_cut.h"
#include "pe/engine.h"
#include "pe/turn_avx512.h"

/*
 * 16 x 4 elements, which are cut into 64 bytes for each digit, at to[digit * AMX_TILE]; bytes 4 n to 4 n + 3 are those
 * of x[0][n] to x[3][n]. In which order the depth's elements lie does not matter to the sum, if only it is that of both
 * operands: byte 4 n + i of a row of A, and row n, byte i of a column of B, are element 16 i + n of the block.
 */
static inline void cut(const __m512i x[4], uint8_t *to)
{
	const __mmask64 odd = 0xaaaaaaaaaaaaaaaa;
	const __mmask32 upper = 0xaaaaaaaa;
	const __m512i even01 = _mm512_mask_blend_epi8(odd, x[0], _mm512_slli_epi32(x[1], 8));
	const __m512i even23 = _mm512_mask_blend_epi8(odd, x[2], _mm512_slli_epi32(x[3], 8));
	const __m512i odd01 = _mm512_mask_blend_epi8(odd, _mm512_srli_epi32(x[0], 8), x[1]);
	const __m512i odd23 = _mm512_mask_blend_epi8(odd, _mm512_srli_epi32(x[2], 8), x[3]);

	_mm512_store_si512(to, _mm512_mask_blend_epi16(upper, even01, _mm512_slli_epi32(even23, 16)));
	_mm512_store_si512(to + AMX_TILE, _mm512_mask_blend_epi16(upper, odd01, _mm512_slli_epi32(odd23, 16)));
	_mm512_store_si512(to + 2 * AMX_TILE, _mm512_mask_blend_epi16(upper, _mm512_srli_epi32(even01, 16), even23));
	_mm512_store_si512(to + 3 * AMX_TILE, _mm512_mask_blend_epi16(upper, _mm512_srli_epi32(odd01, 16), odd23));
}

/* The bits in which elements differ from their sign, gathered. */
static inline __m512i gather_bits(__m512i bits, const __m512i x[4])
{
	for (int i = 0; i < 4; i++)
		bits = _mm512_or_si512(bits, _mm512_xor_si512(x[i], _mm512_srai_epi32(x[i], 31)));
	return bits;
}

/* How many digits they need: 3, or else 4. */
static inline unsigned digits_of(__m512i bits)
{
	return _mm512_test_epi32_mask(bits, _mm512_set1_epi32(-(1 << 23))) ? 4 : 3;
}

/* The first `count` of from[0], from[stride], ... */
static inline __m512i load_stride(const int32_t *from, size_t stride, size_t count)
{
	const __m512i step = _mm512_set1_epi64((long long)stride);
	const __m512i index = _mm512_mullo_epi64(step, _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
	const __mmask16 mask = (__mmask16)((1u << count) - 1);
	const __m256i zero = _mm256_setzero_si256();
	const __m256i low = _mm512_mask_i64gather_epi32(zero, (__mmask8)mask, index, from, 4);
	const __m256i high = _mm512_mask_i64gather_epi32(zero, (__mmask8)(mask >> 8), index,
							 mask >> 8 ? from + 8 * stride : from, 4);

	return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static inline __m512i load_some(const int32_t *from, size_t stride, size_t count)
{
	if (stride == 1)
		return _mm512_maskz_loadu_epi32((__mmask16)((1u << count) - 1), from);
	return load_stride(from, stride, count);
}

unsigned pe_amx_cut_rows(const struct pe_product *p, size_t row, size_t height, uint8_t *to)
{
	__m512i bits = _mm512_setzero_si512();

	for (size_t k = 0; k < p->depth; k += AMX_BLOCK, to += AMX_DIGITS * AMX_TILE) {
		const size_t length = amx_at_most(p->depth - k, AMX_BLOCK);

		for (size_t m = 0; m < AMX_ROWS; m++) {
			const int32_t *a = p->a + (row + m) * p->a_row + k * p->a_column;
			__m512i x[4];

			for (size_t i = 0; i < 4; i++)
				x[i] = m < height && 16 * i < length ? load_some(a + 16 * i * p->a_column, p->a_column,
										 amx_at_most(length - 16 * i, 16))
								     : _mm512_setzero_si512();
			bits = gather_bits(bits, x);
			cut(x, to + m * AMX_BLOCK);
		}
	}
	return digits_of(bits);
}

unsigned pe_amx_cut_columns(const struct pe_product *p, size_t column, size_t width, uint8_t *to)
{
	const int32_t *b = p->b + column * p->b_column;
	__m512i bits = _mm512_setzero_si512();

	for (size_t k = 0; k < p->depth; k += AMX_BLOCK, to += AMX_DIGITS * AMX_TILE) {
		const size_t length = amx_at_most(p->depth - k, AMX_BLOCK);

		for (size_t n = 0; n < AMX_BLOCK / 4; n++) {
			__m512i x[4];

			for (size_t i = 0; i < 4; i++)
				x[i] = 16 * i + n < length
					       ? load_some(b + (k + 16 * i + n) * p->b_row, p->b_column, width)
					       : _mm512_setzero_si512();
			bits = gather_bits(bits, x);
			cut(x, to + n * AMX_BLOCK);
		}
	}
	return digits_of(bits);
}

unsigned pe_amx_cut_turned_columns(const int32_t *b, size_t b_column, size_t width, size_t depth, uint8_t *to)
{
	__m512i bits = _mm512_setzero_si512();

	for (size_t k = 0; k < depth; k += AMX_BLOCK, to += AMX_DIGITS * AMX_TILE) {
		int32_t turned[4][16][16] __attribute__((aligned(64)));

		for (size_t i = 0; i < 4; i++) {
			const size_t left = k + 16 * i < depth ? amx_at_most(depth - k - 16 * i, 16) : 0;

			turn_block(left, left ? width : 0, b + k + 16 * i, b_column, turned[i]);
		}
		for (size_t n = 0; n < AMX_BLOCK / 4; n++) {
			__m512i x[4];

			for (size_t i = 0; i < 4; i++)
				x[i] = _mm512_load_si512(turned[i][n]);
			bits = gather_bits(bits, x);
			cut(x, to + n * AMX_BLOCK);
		}
	}
	return digits_of(bits);
}
