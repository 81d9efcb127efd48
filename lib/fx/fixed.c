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

int32_t fx_tanh(int32_t x)
{
	const uint64_t one = UINT64_C(1) << 32;
	const uint64_t magnitude = x < 0 ? -(uint64_t)x : (uint64_t)x;
	const uint64_t t = 2 * magnitude * 1549082005u;		/* 2 |x| log2(e), fraction 48 */
	const uint64_t octaves = t >> 48;
	uint64_t result;

	if (octaves >= 32) {
		result = FX_ONE;
	} else {
		const uint64_t f = (t >> 16) & (one - 1);
		uint64_t p = exp2_coefficient[9];
		uint64_t e;

		for (int n = 8; n >= 0; n--)
			p = exp2_coefficient[n] - ((p * f) >> 32);
		e = p >> octaves;				/* exp(-2 |x|), fraction 32 */
		/* (1 - e) / (1 + e), rounded half up. */
		result = (((one - e) << (FX_ACTIVATION + 1)) + (one + e)) / (2 * (one + e));
	}
	return x < 0 ? -(int32_t)result : (int32_t)result;
}
