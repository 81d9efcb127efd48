// SPDX-License-Identifier: MIT
#include "ddpg/edge.h"

#include <errno.h>
#include <math.h>

#include "fx/fixed.h"
#include "fx/random.h"

int edge_single(double x, float *single)
{
	*single = (float)x;
	return isfinite(*single) ? 0 : -EDOM;
}

int32_t edge_fixed(double x, uint64_t *saturated)
{
	const double rounded = floor(x * EDGE_ONE + 0.5);

	if (rounded > INT32_MAX) {
		++*saturated;
		return INT32_MAX;
	}
	if (rounded < INT32_MIN) {
		++*saturated;
		return INT32_MIN;
	}
	return (int32_t)rounded;
}

double edge_action(int32_t action, double low, double high)
{
	const double middle = (low + high) / 2, half = (high - low) / 2;
	const double value = middle + half * ((double)action / EDGE_ONE);

	return value < low ? low : value > high ? high : value;
}

int32_t edge_warm_up(uint64_t seed, uint64_t environment_step, uint32_t component)
{
	const int32_t word = (int32_t)fx_random_word(seed, FX_RANDOM_WARM_UP, environment_step, component);

	return (int32_t)fx_round_half_up(word, 31 - EDGE_FRACTION);
}

uint64_t edge_fraction(double x, int fraction)
{
	return (uint64_t)llround(ldexp(x, fraction));
}

/* A learning rate as mantissa / 2^exponent with 31 significant bits. */
static int learning_rate(double rate, uint32_t *mantissa, uint32_t *exponent)
{
	uint64_t rounded;
	int power;

	if (!(rate > 0) || !isfinite(rate))
		return -EINVAL;
	rounded = edge_fraction(frexp(rate, &power), 31);
	if (rounded == UINT64_C(1) << 31) {
		rounded >>= 1;
		power++;
	}
	if (31 - power < 31 || 31 - power > 50)
		return -EINVAL;
	*mantissa = (uint32_t)rounded;
	*exponent = (uint32_t)(31 - power);
	return 0;
}

int edge_hyperparameters(const struct fixar_agent_options *options, struct step_hyperparameters *hyper,
			 struct edge_complaint *complaint)
{
	uint64_t discount, tau, one_minus_beta2;

	*complaint = (struct edge_complaint){ "discount", "0 to below 1", options->discount };
	if (!(options->discount >= 0 && options->discount < 1))
		return -EINVAL;
	discount = edge_fraction(options->discount, 31);
	hyper->discount = discount > INT32_MAX ? INT32_MAX : (int32_t)discount;

	*complaint = (struct edge_complaint){ "tau", "2^-31 to 1", options->tau };
	if (!(options->tau > 0 && options->tau <= 1))
		return -EINVAL;
	tau = edge_fraction(options->tau, 31);
	if (!tau)
		return -EINVAL;
	hyper->tau = (uint32_t)tau;

	*complaint = (struct edge_complaint){ "beta1", "0 to 1 - 2^-20", options->beta1 };
	if (!(options->beta1 >= 0 && options->beta1 <= 1 - 0x1p-20))
		return -EINVAL;
	hyper->beta1 = (uint32_t)edge_fraction(options->beta1, 31);

	*complaint = (struct edge_complaint){ "beta2", "above 0.5, up to 1 - 2^-20", options->beta2 };
	if (!(options->beta2 > 0.5 && options->beta2 < 1))
		return -EINVAL;
	one_minus_beta2 = edge_fraction(1 - options->beta2, 32);
	if (one_minus_beta2 < UINT64_C(1) << 12 || one_minus_beta2 >= UINT64_C(1) << 31)
		return -EINVAL;
	hyper->one_minus_beta2 = (uint32_t)one_minus_beta2;

	*complaint = (struct edge_complaint){ "actor_rate", "2^-20 to below 1", options->actor_rate };
	if (learning_rate(options->actor_rate, &hyper->rate_mantissa[STEP_ACTOR], &hyper->rate_exponent[STEP_ACTOR]))
		return -EINVAL;
	*complaint = (struct edge_complaint){ "critic_rate", "2^-20 to below 1", options->critic_rate };
	if (learning_rate(options->critic_rate, &hyper->rate_mantissa[STEP_CRITIC], &hyper->rate_exponent[STEP_CRITIC]))
		return -EINVAL;

	*complaint =
		(struct edge_complaint){ "actor_gradient_scale_log2", "-2 to 6", options->actor_gradient_scale_log2 };
	if (options->actor_gradient_scale_log2 < -2 || options->actor_gradient_scale_log2 > 6)
		return -EINVAL;
	hyper->gradient_scale[STEP_ACTOR] = options->actor_gradient_scale_log2;
	*complaint =
		(struct edge_complaint){ "critic_gradient_scale_log2", "-2 to 6", options->critic_gradient_scale_log2 };
	if (options->critic_gradient_scale_log2 < -2 || options->critic_gradient_scale_log2 > 6)
		return -EINVAL;
	hyper->gradient_scale[STEP_CRITIC] = options->critic_gradient_scale_log2;
	return 0;
}
