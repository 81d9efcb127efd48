/* SPDX-License-Identifier: MIT */
/* Fixed-point functions that are too long to inline. lib/ARITHMETIC.md sections 1 and 4. */
#include "fx/fixed.h"

uint32_t fx_square_root(uint64_t x)
{
	uint64_t root = 0, bit = UINT64_C(1) << 62;

	/* Digit by digit: `root` holds the result's digits found so far, shifted to where the next one is tried. */
	while (bit > x)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return (uint32_t)root;
}

/* ln(2)^n / n!, fraction 32: the series of 2^-f. */
static const uint64_t exp2_coefficient[10] = {
	UINT64_C(4294967296), 2977044472, 1031764991, 238388332, 41309550, 5726720, 661577, 65510, 5676, 437,
};

#define ONE (UINT64_C(1) << 32)

/* exp(-2 |x|), fraction 32; 0 below 2^-32. */
static uint64_t exp_of_minus_twice(int32_t x)
{
	const uint64_t magnitude = x < 0 ? -(uint64_t)x : (uint64_t)x;
	const uint64_t t = 2 * magnitude * 1549082005u;		/* 2 |x| log2(e) */
	const uint64_t octaves = t >> (30 + FX_ACTIVATION);
	const uint64_t f = (t >> (FX_ACTIVATION - 2)) & (ONE - 1);	/* fraction 32 */
	uint64_t p = exp2_coefficient[9];

	if (octaves >= 32)
		return 0;
	for (int n = 8; n >= 0; n--)
		p = exp2_coefficient[n] - ((p * f) >> 32);
	return p >> octaves;
}

int32_t fx_tanh(int32_t x)
{
	const uint64_t e = exp_of_minus_twice(x);
	/* (1 - e) / (1 + e), rounded half up. */
	const uint64_t result = (((ONE - e) << (FX_ACTIVATION + 1)) + (ONE + e)) / (2 * (ONE + e));

	return x < 0 ? -(int32_t)result : (int32_t)result;
}

int32_t fx_tanh_slope(int32_t x)
{
	const uint64_t e = exp_of_minus_twice(x);
	/* e / (1 + e), fraction 31, rounded half up; twice the numerator and the denominator would not fit. */
	const uint64_t h = ((e << 31) + (ONE + e) / 2) / (ONE + e);

	return (int32_t)((h * ((UINT64_C(1) << 31) - h)) >> (60 - FX_SLOPE));	/* 4 h (1 - h) */
}
