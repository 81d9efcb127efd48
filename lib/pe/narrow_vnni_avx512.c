/* SPDX-License-Identifier: MIT */
/* 16-bit products on AVX-512 with VNNI: one instruction multiplies and adds. */
#include <immintrin.h>

static inline __m512i dot(__m512i sum, __m512i a, __m512i b)
{
	/* Not _mm512_dpwssd_epi32(): GCC 12 copies every sum to another register and back. */
	__asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
	return sum;
}

#include "pe/amx.h"
#include "pe/narrow_avx512.h"

const struct pe_form_ops pe_form_vnni = FORMS_OPS;
/* Its products of 32 bits have other panels. */
const struct pe_form_ops pe_form_amx = FORMS_OPS_WITH(pe_amx_wide_panels);
