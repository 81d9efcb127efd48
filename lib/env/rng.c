// SPDX-License-Identifier: MIT
/*
 * The random numbers of an environment, drawn from a Philox stream (lib/ARITHMETIC.md, section "Random numbers").
 *
 * `next` counts the words of the stream that were used up, so that a stream is resumed by setting it.
 *
 *   fixar_rng_u32      takes one word.
 *   fixar_rng_uniform  takes two words, a then b: u = floor((a * 2^32 + b) / 2^11) is one of 2^53 equally spaced
 * numbers, and the answer is low + (high - low) * (u / 2^53), rounded after each operation. fixar_rng_normal   takes
 * one whole block: if `next` is not a multiple of 4, the rest of the block is skipped first. The four words are eight
 * 16-bit halves h; S = sum of (2 * h - 65535). Each term has mean 0 and variance (65536^2 - 1) / 3, so S / sqrt(8 *
 * (65536^2 - 1) / 3) has mean 0 and variance 1. It is a sum of eight uniforms and never leaves +-4.9: nearly normal,
 * and the same bits on every machine, which a logarithm from the C library would not be.
 */
#include <fixar/env.h>

#include "exact.h"
#include "fx/random.h"

ENV_PUBLIC uint32_t fixar_rng_u32(struct fixar_rng *rng)
{
	return fx_random_word(rng->seed, rng->purpose, rng->index, rng->next++);
}

ENV_PUBLIC double fixar_rng_uniform(struct fixar_rng *rng, double low, double high)
{
	const uint64_t upper = fixar_rng_u32(rng);
	const uint64_t lower = fixar_rng_u32(rng);
	const double unit = (double)((upper << 32 | lower) >> 11) * 0x1p-53;
	const double value = low + (high - low) * unit;

	/* The sum may be rounded up to the bound, which is not part of the interval. */
	return value < high ? value : low;
}

ENV_PUBLIC double fixar_rng_normal(struct fixar_rng *rng)
{
	struct fx_random_block block;
	int32_t sum = 0;

	rng->next = (rng->next + 3) & ~UINT32_C(3);
	block = fx_random_philox(rng->seed, rng->purpose, rng->index, rng->next / 4);
	rng->next += 4;

	for (int i = 0; i < 4; i++) {
		sum += 2 * (int32_t)(block.word[i] & 0xffff) - 65535;
		sum += 2 * (int32_t)(block.word[i] >> 16) - 65535;
	}
	return (double)sum / 107019.8398429001574629509793456727; /* sqrt(8 * (65536^2 - 1) / 3) */
}
