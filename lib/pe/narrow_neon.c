/* SPDX-License-Identifier: MIT */
/* 16-bit products on NEON: smlal takes four columns; the two elements of a pair are taken apart as they are loaded. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define NARROW_ROWS 4

/* `rows` is a constant where this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void tile_dots(const int16_t *a, size_t a_row, int rows, const int16_t *b, size_t pairs,
							    int32_t (*sums)[16])
{
	int32x4_t sum[NARROW_ROWS][4];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			sum[i][j] = vdupq_n_s32(0);
	for (size_t pair = 0; pair < pairs; pair++) {
		const int16x8x2_t x0 = vld2q_s16(b + 32 * pair), x1 = vld2q_s16(b + 32 * pair + 16);

		for (int i = 0; i < rows; i++) {
			for (int k = 0; k < 2; k++) {
				const int16x8_t y = vdupq_n_s16(a[(size_t)i * a_row + 2 * pair + (size_t)k]);

				sum[i][0] = vmlal_s16(sum[i][0], vget_low_s16(y), vget_low_s16(x0.val[k]));
				sum[i][1] = vmlal_high_s16(sum[i][1], y, x0.val[k]);
				sum[i][2] = vmlal_s16(sum[i][2], vget_low_s16(y), vget_low_s16(x1.val[k]));
				sum[i][3] = vmlal_high_s16(sum[i][3], y, x1.val[k]);
			}
		}
	}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			vst1q_s32(sums[i] + 4 * j, sum[i][j]);
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
		for (; row < rows; row++)
			tile_dots(a + row * a_row, a_row, 1, b, pairs, sums[j] + row);
	}
}

#include "pe/forms.h"

const struct pe_form_ops pe_form_neon = FORMS_OPS;
