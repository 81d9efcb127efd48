/* SPDX-License-Identifier: MIT */
/*
 * Floating point that gives the same bits on every machine.
 *
 * IEEE 754 fixes the result of + - * / and of comparisons, so code made of these alone cannot differ, provided that
 * every operation is rounded to double on its own. The three ways in which a compiler breaks that are refused here; the
 * fourth, contraction to fused multiply-add, is switched off by the Makefile (-ffp-contract=off) and can't be seen from
 * within.
 */
#ifndef FIXAR_LIB_ENV_EXACT_H
#define FIXAR_LIB_ENV_EXACT_H

#include <float.h>

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "doubles are evaluated in a wider format (x87): build with -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math lets the compiler change results"
#endif
#if DBL_MANT_DIG != 53
#error "double is not IEEE 754 binary64"
#endif

/* Visible outside of libfixar.so, whose files are compiled with hidden symbols. */
#define ENV_PUBLIC __attribute__((visibility("default")))

#endif /* FIXAR_LIB_ENV_EXACT_H */
