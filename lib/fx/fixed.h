/* SPDX-License-Identifier: MIT */
/*
 * Fixed-point scalars: formats, rounding and saturation, each defined once (lib/ARITHMETIC.md sections 1 and 2).
 *
 * Sums are exact modulo 2^64. They are formed in unsigned arithmetic, where wrapping is defined, and read as signed. Right
 * shifts of negative numbers are arithmetic with every compiler that we support; the assertion below says so once.
 */
#ifndef FIXAR_LIB_FX_FIXED_H
#define FIXAR_LIB_FX_FIXED_H

#include <stdint.h>

_Static_assert((INT64_C(-3) >> 1) == -2, "right shift of a negative number must be arithmetic");

/* Fractions of the tensor classes. */
#define FX_ACTIVATION 20
#define FX_GRADIENT 24
#define FX_WEIGHT 26
#define FX_WEIGHT_GRADIENT 28
#define FX_MOMENT2 58			/* of v, which is kept as a code: fx_moment2() */
#define FX_LOSS 22				/* of the statistic of the critic's loss */
#define FX_NOISE 22				/* of the noise's parameters sigma and theta */
#define FX_RATIO 28				/* of m / sqrt(v), within Adam */
#define FX_SLOPE 30				/* of the derivative of tanh */

#define FX_ONE (INT32_C(1) << FX_ACTIVATION)	/* 1.0 as an activation: the largest action */

/* floor((x + 2^(shift-1)) / 2^shift), the addition modulo 2^64; x for shift 0. 0 <= shift <= 63. */
static inline int64_t fx_round_half_up(int64_t x, unsigned shift)
{
	if (shift == 0)
		return x;
	return (int64_t)((uint64_t)x + (UINT64_C(1) << (shift - 1))) >> shift;
}

/* The sign of x times floor(abs(x) / 2^shift); x is not INT64_MIN. */
static inline int64_t fx_round_toward_zero(int64_t x, unsigned shift)
{
	return x < 0 ? -(-x >> shift) : x >> shift;
}

static inline int32_t fx_saturate32(int64_t x, uint64_t *count)
{
	if (x > INT32_MAX) {
		++*count;
		return INT32_MAX;
	}
	if (x < INT32_MIN) {
		++*count;
		return INT32_MIN;
	}
	return (int32_t)x;
}

static inline int64_t fx_shift_left(int64_t x, unsigned shift)
{
	return (int64_t)((uint64_t)x << shift);
}

/* A 64-bit sum with fraction `from` as a 32-bit value with fraction `to`. The fractions differ by at most 63. */
static inline int32_t fx_requantize(int64_t sum, int from, int to, uint64_t *count)
{
	if (from < to)
		return fx_saturate32(fx_shift_left(sum, (unsigned)(to - from)), count);
	return fx_saturate32(fx_round_half_up(sum, (unsigned)(from - to)), count);
}

static inline int32_t fx_clamp(int64_t x, int32_t low, int32_t high, uint64_t *count)
{
	if (x < low) {
		++*count;
		return low;
	}
	if (x > high) {
		++*count;
		return high;
	}
	return (int32_t)x;
}

/* The smallest n with x < 2^n. */
static inline unsigned fx_bits(uint64_t x)
{
	return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

/* Leading zeros of x > 0, rounded down to an even number. */
static inline unsigned fx_even_zeros(uint64_t x)
{
	return (64 - fx_bits(x)) & ~1u;
}

/* The largest r with r * r <= x. */
uint32_t fx_square_root(uint64_t x);

/*
 * 1 / sqrt(x / 2^32) with fraction 30, for 2^30 <= x < 2^32: a cubic and two Newton steps. The result is below 2^31.
 */
static inline uint32_t fx_reciprocal_square_root(uint32_t x)
{
	uint64_t y = 1672337461u - ((UINT64_C(654567240) * x) >> 32);

	y = 1586696317u - ((y * x) >> 32);
	y = (835471589u - ((y * x) >> 32)) * 4;
	for (int i = 0; i < 2; i++) {
		const uint64_t t = (y * y) >> 31;
		const uint64_t h = (UINT64_C(3) << 29) - ((x * t) >> 32);

		y = (y * h) >> 30;
	}
	return (uint32_t)y;
}

/*
 * Second moments are 64-bit numbers kept in 32 bits (section 2): the upper 27 bits are a number M, the lower 5 a shift h, and the
 * value is floor(M * 2^37 / 4^h). Every 32-bit number is a code.
 */
#define FX_MOMENT2_SHIFT UINT32_C(31)		/* the bits of h */

static inline uint64_t fx_moment2(uint32_t code)
{
	return (uint64_t)(code & ~FX_MOMENT2_SHIFT) << 32 >> 2 * (code & FX_MOMENT2_SHIFT);
}

/* The code of v > 0, whose even number of leading zeros is `zeros`: loses less than 2^-25 of v. */
static inline uint32_t fx_moment2_code(uint64_t v, unsigned zeros)
{
	return ((uint32_t)(v << zeros >> 32) & ~FX_MOMENT2_SHIFT) | zeros / 2;
}

/* tanh; argument and result have fraction FX_ACTIVATION. */
int32_t fx_tanh(int32_t x);

/* The derivative of tanh at x (fraction FX_ACTIVATION), fraction FX_SLOPE: 0 to 1. Not from tanh(x), whose distance from 1 has few bits left. */
int32_t fx_tanh_slope(int32_t x);

#endif /* FIXAR_LIB_FX_FIXED_H */
