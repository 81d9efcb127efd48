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

#include "pe/turn_avx512.h"

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

/*
 * The same where sums of `step` pairs fit 32 bits, but not those of all: what is above the lower 12 bits is gathered in `high`. Twelve bits
 * more or less do not matter to a chunk's sum, which nn_chunk() kept that far from the limit.
 */
static inline __attribute__((always_inline)) void tile_chunks(const int16_t *a, size_t a_row, int rows, const int16_t *b0, const int16_t *b1,
							      int panels, size_t pairs, size_t step, int32_t (*low)[NARROW_ROWS][16],
							      int32_t (*high)[NARROW_ROWS][16])
{
	const __m512i rest = _mm512_set1_epi32((1 << 12) - 1);
	__m512i sum[NARROW_ROWS][2];
	size_t pair = 0;

	for (int i = 0; i < rows; i++) {
		sum[i][0] = sum[i][1] = _mm512_setzero_si512();
		for (int j = 0; j < panels; j++)
			_mm512_store_si512(high[j][i], sum[i][j]);
	}
	for (;;) {
		const size_t end = pairs - pair < step ? pairs : pair + step;

		for (; pair < end; pair++) {
			const __m512i x0 = _mm512_load_si512(b0 + 32 * pair);
			const __m512i x1 = panels == 2 ? _mm512_load_si512(b1 + 32 * pair) : x0;

			for (int i = 0; i < rows; i++) {
				const __m512i y = pair_of(a + (size_t)i * a_row + 2 * pair);

				sum[i][0] = dot(sum[i][0], y, x0);
				if (panels == 2)
					sum[i][1] = dot(sum[i][1], y, x1);
			}
		}
		if (pair == pairs)
			break;
		for (int i = 0; i < rows; i++) {
			for (int j = 0; j < panels; j++) {
				const __m512i above = _mm512_srai_epi32(sum[i][j], 12);

				_mm512_store_si512(high[j][i], _mm512_add_epi32(_mm512_load_si512(high[j][i]), above));
				sum[i][j] = _mm512_and_si512(sum[i][j], rest);
			}
		}
	}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < panels; j++)
			_mm512_store_si512(low[j][i], sum[i][j]);
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

#define FORMS_HAS_CHUNKS

struct tile_sums;
static void chunked_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0, const int16_t *b1, size_t pairs, size_t step,
			 struct tile_sums *sums);

/* turn_avx512.h */
#define FORMS_HAS_TURN

/* ---- Results ---- */

#define FORMS_HAS_FINISH

/* Eight sums: shift, bias and rounding constant, shift, limits. */
static inline __m256i finish_lanes(__m512i sum, unsigned up, unsigned down, const int64_t *offset, __mmask8 *limited)
{
	const __m512i t = _mm512_sra_epi64(_mm512_add_epi64(_mm512_sll_epi64(sum, _mm_cvtsi32_si128((int)up)), _mm512_load_si512(offset)),
					   _mm_cvtsi32_si128((int)down));
	const __m256i result = _mm512_cvtsepi64_epi32(t);

	*limited = _mm512_cmpneq_epi64_mask(t, _mm512_cvtepi32_epi64(result));
	return result;
}

/* 16 sums. Returns the number of saturations. */
static inline unsigned finish_vectors(__m512i low, __m512i high, unsigned up, unsigned down, const int64_t *offset, size_t width, int32_t *to)
{
	__mmask8 limited[2];
	const __m256i r0 = finish_lanes(low, up, down, offset, &limited[0]);
	const __m256i r1 = finish_lanes(high, up, down, offset + 8, &limited[1]);

	/* Columns beyond the edge are sums of zeros without bias: they never saturate. */
	_mm512_mask_storeu_epi32(to, (__mmask16)((1u << width) - 1), _mm512_inserti64x4(_mm512_castsi256_si512(r0), r1, 1));
	if (__builtin_expect(limited[0] | limited[1], 0))
		return (unsigned)__builtin_popcount((unsigned)limited[0] << 8 | limited[1]);
	return 0;
}

static inline __m512i with_high(__m512i low, __m512i high, unsigned shift)
{
	return _mm512_add_epi64(low, _mm512_sll_epi64(high, _mm_cvtsi32_si128((int)shift)));
}

/* low + high * 2^shift, or low alone. */
static inline unsigned finish(const int64_t *low, const int64_t *high, unsigned shift, unsigned up, unsigned down, const int64_t *offset,
			      size_t width, int32_t *to)
{
	__m512i sum0 = _mm512_load_si512(low), sum1 = _mm512_load_si512(low + 8);

	if (high) {
		sum0 = with_high(sum0, _mm512_load_si512(high), shift);
		sum1 = with_high(sum1, _mm512_load_si512(high + 8), shift);
	}
	return finish_vectors(sum0, sum1, up, down, offset, width, to);
}

static inline __m512i widen(const int32_t *p)
{
	return _mm512_cvtepi32_epi64(_mm256_load_si256((const __m256i *)(const void *)p));
}

/* rhu((low >> shift) + high, down), or rhu(low, down): rhu(v, s) = (v >> s) + bit s - 1 of v. */
static inline void finish_simple(const int32_t *low, const int32_t *high, unsigned shift, unsigned down, size_t width, int32_t *to)
{
	__m512i v = _mm512_load_si512(low), round;

	if (high)
		v = _mm512_add_epi32(_mm512_sra_epi32(v, _mm_cvtsi32_si128((int)shift)), _mm512_load_si512(high));
	round = _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128((int)down - 1)), _mm512_set1_epi32(1));
	v = _mm512_add_epi32(_mm512_sra_epi32(v, _mm_cvtsi32_si128((int)down)), round);
	_mm512_mask_storeu_epi32(to, (__mmask16)((1u << width) - 1), v);
}

static inline unsigned finish_narrow(const int32_t *low, const int32_t *high, unsigned shift, unsigned up, unsigned down,
				     const int64_t *offset, size_t width, int32_t *to)
{
	__m512i sum0, sum1;

	sum0 = widen(low);
	sum1 = widen(low + 8);
	if (high) {
		sum0 = with_high(sum0, widen(high), shift);
		sum1 = with_high(sum1, widen(high + 8), shift);
	}
	return finish_vectors(sum0, sum1, up, down, offset, width, to);
}

#include "pe/forms.h"

_Static_assert(CARRY_BITS == 12, "as in tile_chunks()");

/* Rows one by one where a tile is not full: rare, and short. */
static void chunked_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0, const int16_t *b1, size_t pairs, size_t step,
			 struct tile_sums *sums)
{
	if (rows == 8 && b1)
		tile_chunks(a, a_row, 8, b0, b1, 2, pairs, step, sums->low, sums->high);
	else if (rows == 8)
		tile_chunks(a, a_row, 8, b0, b1, 1, pairs, step, sums->low, sums->high);
	else
		for (unsigned i = 0; i < rows; i++) {
			int32_t(*low)[NARROW_ROWS][16] = (int32_t(*)[NARROW_ROWS][16]) & sums->low[0][i];
			int32_t(*high)[NARROW_ROWS][16] = (int32_t(*)[NARROW_ROWS][16]) & sums->high[0][i];

			if (b1)
				tile_chunks(a + i * a_row, a_row, 1, b0, b1, 2, pairs, step, low, high);
			else
				tile_chunks(a + i * a_row, a_row, 1, b0, b1, 1, pairs, step, low, high);
		}
}

#endif /* FIXAR_LIB_PE_NARROW_AVX512_H */
