/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers (lib/ARITHMETIC.md, section "Random numbers"): Philox4x32-10 of Salmon, Moraes, Dror and
 * Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 *
 * A stream is named by (seed, purpose, index). Word w of it is out[w % 4] of the block whose counter is
 * { index low, index high, purpose, w / 4 } and whose key is { seed low, seed high }.
 */
#ifndef FIXAR_LIB_FX_RANDOM_H
#define FIXAR_LIB_FX_RANDOM_H

#include <stdint.h>

#include "fx/fixed.h"

/* What a stream is for. The numbers are part of the contract: never renumber. */
enum fx_random_purpose {
	FX_RANDOM_WEIGHTS = 1,		/* index: tensor number */
	FX_RANDOM_ENV_RESET = 2,	/* index: training episode */
	FX_RANDOM_WARM_UP = 3,		/* index: environment step */
	FX_RANDOM_NOISE = 4,		/* index: number of noisy actions taken before */
	FX_RANDOM_REPLAY = 5,		/* index: training step */
	FX_RANDOM_EVALUATION = 6,	/* index: evaluation episode */
	FX_RANDOM_TEST = 7,		/* tests and benchmarks */
};

struct fx_random_block {
	uint32_t word[4];
};

static inline struct fx_random_block fx_random_philox(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block)
{
	uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = purpose, c3 = block;
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

	for (int round = 0; round < 10; round++) {
		const uint64_t p0 = (uint64_t)c0 * 0xD2511F53u;
		const uint64_t p1 = (uint64_t)c2 * 0xCD9E8D57u;
		const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;

		c0 = n0;
		c1 = (uint32_t)p1;
		c2 = n2;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return (struct fx_random_block){ { c0, c1, c2, c3 } };
}

static inline uint32_t fx_random_word(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t word)
{
	return fx_random_philox(seed, purpose, index, word / 4).word[word % 4];
}

/* A draw below n from one word. */
static inline uint32_t fx_random_below(uint32_t word, uint32_t n)
{
	return (uint32_t)((uint64_t)word * n >> 32);
}

/* A normal number, fraction FX_ACTIVATION: a block has eight uniforms of 16 bits, whose sum is scaled to variance 1. */
static inline int64_t fx_random_normal(struct fx_random_block block)
{
	int64_t sum = 0;

	for (int i = 0; i < 4; i++)
		sum += 2 * (int64_t)(block.word[i] & 0xffff) + 2 * (int64_t)(block.word[i] >> 16) - 2 * 65535;
	return fx_round_half_up(sum * 2568476, 38 - FX_ACTIVATION);
}

/*
 * Adds exploration noise (lib/ARITHMETIC.md section 10) to an action of `components`. `count` is the number of noisy actions
 * taken before; `state` is the Ornstein-Uhlenbeck state, NULL for Gaussian noise. sigma and theta have fraction FX_NOISE.
 */
void fx_random_noise(uint64_t seed, uint64_t count, uint32_t components, int32_t sigma, int32_t theta, int32_t *state,
		     int32_t *action);

#endif /* FIXAR_LIB_FX_RANDOM_H */
