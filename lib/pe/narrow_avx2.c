/* SPDX-License-Identifier: MIT */
/* 16-bit products on AVX2: vpmaddwd and an addition. A panel is two vectors. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NARROW_ROWS 4

static inline __m256i pair_of(const int16_t *a)
{
	int32_t pair;

	memcpy(&pair, a, sizeof(pair));
	return _mm256_set1_epi32(pair);
}

static inline __m256i load(const int16_t *b)
{
	return _mm256_load_si256((const __m256i *)(const void *)b);
}

/* `rows` is a constant where this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void tile_dots(const int16_t *a, size_t a_row, int rows, const int16_t *b, size_t pairs,
							    int32_t (*sums)[16])
{
	__m256i sum[NARROW_ROWS][2];

	for (int i = 0; i < rows; i++)
		sum[i][0] = sum[i][1] = _mm256_setzero_si256();
	for (size_t pair = 0; pair < pairs; pair++) {
		const __m256i x0 = load(b + 32 * pair), x1 = load(b + 32 * pair + 16);

		for (int i = 0; i < rows; i++) {
			const __m256i y = pair_of(a + (size_t)i * a_row + 2 * pair);

			sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(y, x0));
			sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(y, x1));
		}
	}
	for (int i = 0; i < rows; i++) {
		_mm256_storeu_si256((__m256i *)(void *)sums[i], sum[i][0]);
		_mm256_storeu_si256((__m256i *)(void *)(sums[i] + 8), sum[i][1]);
	}
}

static void narrow_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0, const int16_t *b1, size_t pairs,
			int32_t (*sums)[NARROW_ROWS][16])
{
	for (int j = 0; j < (b1 ? 2 : 1); j++) {
		const int16_t *b = j ? b1 : b0;
		unsigned row = 0;

		if (rows == NARROW_ROWS) {
			tile_dots(a, a_row, NARROW_ROWS, b, pairs, sums[j]);
			continue;
		}
		for (; row + 2 <= rows; row += 2)
			tile_dots(a + row * a_row, a_row, 2, b, pairs, sums[j] + row);
		if (row < rows)
			tile_dots(a + row * a_row, a_row, 1, b, pairs, sums[j] + row);
	}
}

#include "pe/forms.h"

const struct pe_form_ops pe_form_avx2 = FORMS_OPS;
