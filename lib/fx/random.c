/* SPDX-License-Identifier: MIT */
/* Exploration noise (lib/ARITHMETIC.md section 10). The float32 twin adds these very integers too, so that both explore alike. */
#include "fx/random.h"

#include "fx/fixed.h"

void fx_random_noise(uint64_t seed, uint64_t count, uint32_t components, int32_t sigma, int32_t theta, int32_t *state,
		     int32_t *action)
{
	/* Limiting an action to its bounds is what the task asks for, not a loss: it is not counted. */
	uint64_t uncounted = 0;

	for (uint32_t j = 0; j < components; j++) {
		const int64_t normal = fx_random_normal(fx_random_philox(seed, FX_RANDOM_NOISE, count, j));
		int64_t noise = fx_round_half_up(sigma * normal, FX_NOISE);

		if (state) {
			noise += state[j] - fx_round_half_up((int64_t)theta * state[j], FX_NOISE);
			state[j] = fx_saturate32(noise, &uncounted);
			noise = state[j];
		}
		action[j] = fx_clamp(action[j] + noise, -FX_ONE, FX_ONE, &uncounted);
	}
}
