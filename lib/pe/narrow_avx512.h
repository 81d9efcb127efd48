/* SPDX-License-Identifier: MIT */
/*
 * The inner loops of 16-bit products on AVX-512, for narrow_avx512.c and narrow_vnni_avx512.c, which define dot(): 16 sums of 32 bits, each
 * plus two products.
 */
#ifndef FIXAR_LIB_PE_NARROW_AVX512_H
#define FIXAR_LIB_PE_NARROW_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NARROW_ROWS 8

static inline __m512i pair_of(const int16_t *a)
{
	int32_t pair;

	memcpy(&pair, a, sizeof(pair));
	return _mm512_set1_epi32(pair);
}

/* `rows` and `panels` are constants where this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void tile_dots(const int16_t *a, size_t a_row, int rows, const int16_t *b0, const int16_t *b1,
							    int panels, size_t pairs, int32_t (*sums)[NARROW_ROWS][16])
{
	__m512i sum[NARROW_ROWS][2];

	for (int i = 0; i < rows; i++)
		sum[i][0] = sum[i][1] = _mm512_setzero_si512();
	for (size_t pair = 0; pair < pairs; pair++) {
		const __m512i x0 = _mm512_load_si512(b0 + 32 * pair);
		const __m512i x1 = panels == 2 ? _mm512_load_si512(b1 + 32 * pair) : x0;

		for (int i = 0; i < rows; i++) {
			const __m512i y = pair_of(a + (size_t)i * a_row + 2 * pair);

			sum[i][0] = dot(sum[i][0], y, x0);
			if (panels == 2)
				sum[i][1] = dot(sum[i][1], y, x1);
		}
	}
	for (int i = 0; i < rows; i++) {
		_mm512_storeu_si512(sums[0][i], sum[i][0]);
		if (panels == 2)
			_mm512_storeu_si512(sums[1][i], sum[i][1]);
	}
}

/* One row: sums of its own for every fourth pair, so that no product waits for the one before. */
static inline __attribute__((always_inline)) void row_dots(const int16_t *a, const int16_t *b0, const int16_t *b1, int panels, size_t pairs,
							   int32_t (*sums)[NARROW_ROWS][16])
{
	__m512i sum[4][2];
	size_t pair = 0;

	for (int i = 0; i < 4; i++)
		sum[i][0] = sum[i][1] = _mm512_setzero_si512();
	for (; pair + 4 <= pairs; pair += 4) {
		for (size_t i = 0; i < 4; i++) {
			const __m512i y = pair_of(a + 2 * (pair + i));

			sum[i][0] = dot(sum[i][0], y, _mm512_load_si512(b0 + 32 * (pair + i)));
			if (panels == 2)
				sum[i][1] = dot(sum[i][1], y, _mm512_load_si512(b1 + 32 * (pair + i)));
		}
	}
	for (; pair < pairs; pair++) {
		const __m512i y = pair_of(a + 2 * pair);

		sum[0][0] = dot(sum[0][0], y, _mm512_load_si512(b0 + 32 * pair));
		if (panels == 2)
			sum[0][1] = dot(sum[0][1], y, _mm512_load_si512(b1 + 32 * pair));
	}
	for (int j = 0; j < panels; j++)
		_mm512_storeu_si512(sums[j][0], _mm512_add_epi32(_mm512_add_epi32(sum[0][j], sum[1][j]),
								 _mm512_add_epi32(sum[2][j], sum[3][j])));
}

static inline __attribute__((always_inline)) void rows_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0,
							    const int16_t *b1, int panels, size_t pairs, int32_t (*sums)[NARROW_ROWS][16])
{
	if (rows == 8) {
		tile_dots(a, a_row, 8, b0, b1, panels, pairs, sums);
		return;
	}
	if (rows & 4) {
		tile_dots(a, a_row, 4, b0, b1, panels, pairs, sums);
		a += 4 * a_row;
		sums = (int32_t(*)[NARROW_ROWS][16]) & sums[0][4];
	}
	if (rows & 2) {
		tile_dots(a, a_row, 2, b0, b1, panels, pairs, sums);
		a += 2 * a_row;
		sums = (int32_t(*)[NARROW_ROWS][16]) & sums[0][2];
	}
	if (rows & 1)
		row_dots(a, b0, b1, panels, pairs, sums);
}

static void narrow_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0, const int16_t *b1, size_t pairs,
			int32_t (*sums)[NARROW_ROWS][16])
{
	if (b1)
		rows_dots(a, a_row, rows, b0, b1, 2, pairs, sums);
	else
		rows_dots(a, a_row, rows, b0, b1, 1, pairs, sums);
}

/* ---- Turning ---- */

#define FORMS_HAS_TURN

static inline void turn_block(size_t rows, size_t depth, const int32_t *codes, size_t code_row, int32_t to[16][16])
{
	const __mmask16 mask = (__mmask16)((1u << rows) - 1);
	__m512i r[16], t[16];

	for (size_t k = 0; k < 16; k++)
		r[k] = k < depth ? _mm512_maskz_loadu_epi32(mask, codes + k * code_row) : _mm512_setzero_si512();
	for (int k = 0; k < 16; k += 2) {
		t[k] = _mm512_unpacklo_epi32(r[k], r[k + 1]);
		t[k + 1] = _mm512_unpackhi_epi32(r[k], r[k + 1]);
	}
	for (int k = 0; k < 16; k += 4) {
		r[k] = _mm512_unpacklo_epi64(t[k], t[k + 2]);
		r[k + 1] = _mm512_unpackhi_epi64(t[k], t[k + 2]);
		r[k + 2] = _mm512_unpacklo_epi64(t[k + 1], t[k + 3]);
		r[k + 3] = _mm512_unpackhi_epi64(t[k + 1], t[k + 3]);
	}
	/* r[4 q + i] has, in its lanes of 128 bits l, elements 4 l + i of rows 4 q to 4 q + 3. */
	for (int i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
		t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
		t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
		t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
	}
	for (int i = 0; i < 4; i++) {
		_mm512_store_si512(to[i], _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88));
		_mm512_store_si512(to[8 + i], _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd));
		_mm512_store_si512(to[4 + i], _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88));
		_mm512_store_si512(to[12 + i], _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd));
	}
}

/* ---- Results ---- */

#define FORMS_HAS_FINISH

static inline __m512i finish_lanes(__m512i sum, unsigned up, unsigned down, const int64_t *offset, unsigned *saturations)
{
	const __m512i t = _mm512_sra_epi64(_mm512_add_epi64(_mm512_sll_epi64(sum, _mm_cvtsi32_si128((int)up)), _mm512_load_si512(offset)),
					   _mm_cvtsi32_si128((int)down));
	const __m512i limited = _mm512_max_epi64(_mm512_min_epi64(t, _mm512_set1_epi64(INT32_MAX)), _mm512_set1_epi64(INT32_MIN));

	*saturations += (unsigned)__builtin_popcount(_mm512_cmpneq_epi64_mask(t, limited));
	return limited;
}

/* Shift, bias, rounding, saturation of 16 sums: low + high * 2^shift. Returns the number of saturations. */
static inline unsigned finish_vectors(__m512i low0, __m512i low1, __m512i high0, __m512i high1, unsigned shift, unsigned up, unsigned down,
				      const int64_t *offset, size_t width, int32_t *to)
{
	const __m128i places = _mm_cvtsi32_si128((int)shift);
	unsigned saturations = 0;
	__m256i r0, r1;

	low0 = _mm512_add_epi64(low0, _mm512_sll_epi64(high0, places));
	low1 = _mm512_add_epi64(low1, _mm512_sll_epi64(high1, places));
	r0 = _mm512_cvtepi64_epi32(finish_lanes(low0, up, down, offset, &saturations));
	r1 = _mm512_cvtepi64_epi32(finish_lanes(low1, up, down, offset + 8, &saturations));
	/* Columns beyond the edge are sums of zeros without bias: they never saturate. */
	_mm512_mask_storeu_epi32(to, (__mmask16)((1u << width) - 1), _mm512_inserti64x4(_mm512_castsi256_si512(r0), r1, 1));
	return saturations;
}

static inline unsigned finish(const int64_t *low, const int64_t *high, unsigned shift, unsigned up, unsigned down, const int64_t *offset,
			      size_t width, int32_t *to)
{
	const __m512i zero = _mm512_setzero_si512();

	return finish_vectors(_mm512_load_si512(low), _mm512_load_si512(low + 8), high ? _mm512_load_si512(high) : zero,
			      high ? _mm512_load_si512(high + 8) : zero, shift, up, down, offset, width, to);
}

static inline __m512i widen(const int32_t *p)
{
	return _mm512_cvtepi32_epi64(_mm256_load_si256((const __m256i *)(const void *)p));
}

static inline unsigned finish_narrow(const int32_t *low, const int32_t *high, unsigned shift, unsigned up, unsigned down,
				     const int64_t *offset, size_t width, int32_t *to)
{
	const __m512i zero = _mm512_setzero_si512();

	return finish_vectors(widen(low), widen(low + 8), high ? widen(high) : zero, high ? widen(high + 8) : zero, shift, up, down, offset,
			      width, to);
}

#include "pe/forms.h"

#endif /* FIXAR_LIB_PE_NARROW_AVX512_H */
