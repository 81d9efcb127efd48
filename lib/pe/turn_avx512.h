/* SPDX-License-Identifier: MIT */
/* Blocks of 16 x 16, turned: to[i][j] = codes[j * code_row + i] for i below `rows` and j below `depth`, and 0 outside. */
#ifndef FIXAR_LIB_PE_TURN_AVX512_H
#define FIXAR_LIB_PE_TURN_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

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

#endif /* FIXAR_LIB_PE_TURN_AVX512_H */
