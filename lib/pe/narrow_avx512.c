/* SPDX-License-Identifier: MIT */
/* 16-bit products on AVX-512 without VNNI. */
#include <immintrin.h>

static inline __m512i dot(__m512i sum, __m512i a, __m512i b)
{
	return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

#include "pe/narrow_avx512.h"

const struct pe_form_ops pe_form_avx512 = FORMS_OPS;
