/* SPDX-License-Identifier: MIT */
/* Initial weights, Adam and soft update of a whole network (lib/ARITHMETIC.md sections 7, 8, 11). */
#include "nn/network.h"

#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/parallel.h"

#define ELEMENT_GRAIN 2048

/* 0.003 with fraction FX_WEIGHT: the bound of the last layer's initial weights. */
#define LAST_LAYER_BOUND 201327

void nn_adam_step_size(const struct nn_adam *adam, uint64_t powers[2], struct pe_adam *constants)
{
	const uint64_t one = UINT64_C(1) << 62;
	uint64_t numerator, denominator, correction;
	unsigned __int128 rate;
	unsigned bits;

	powers[0] = (uint64_t)((unsigned __int128)powers[0] * adam->beta1 >> 31);
	powers[1] = (uint64_t)((unsigned __int128)powers[1] * ((UINT64_C(1) << 32) - adam->one_minus_beta2) >> 32);
	numerator = fx_square_root(one - powers[1]);
	denominator = (one - powers[0]) >> 31;
	correction = (numerator << 31) / denominator;
	rate = (unsigned __int128)adam->rate_mantissa * correction;
	bits = rate >> 64 ? 64 + fx_bits((uint64_t)(rate >> 64)) : fx_bits((uint64_t)rate);
	constants->beta1 = adam->beta1;
	constants->one_minus_beta2 = adam->one_minus_beta2;
	constants->step_mantissa = (uint32_t)(rate >> (bits - 31));
	constants->step_shift = adam->rate_exponent + 31 - (bits - 31) + (FX_RATIO - FX_WEIGHT);
}

struct update_work {
	const struct nn_context *context;
	struct nn_parameter *parameter;
	const struct pe_adam *constants;	/* Adam, or */
	int32_t *target;			/* soft update */
	uint32_t tau;
	struct pe_adam_counts counts;
};

static void update_part(void *user, unsigned part, unsigned parts)
{
	struct update_work *work = user;
	const struct nn_parameter *parameter = work->parameter;
	const struct pe_engine *engine = work->context->engine;
	struct pe_adam_counts counts = { 0, 0, 0 };
	size_t from, to;

	nn_share(parameter->count, ELEMENT_GRAIN, part, parts, &from, &to);
	if (from >= to)
		return;
	if (work->target) {
		engine->soft_update(to - from, parameter->value + from, work->target + from, work->tau);
		return;
	}
	engine->adam(to - from, parameter->gradient + from, parameter->moment1 + from, parameter->moment2_root + from,
		     parameter->value + from, work->constants, &counts);
	__atomic_fetch_add(&work->counts.moment, counts.moment, __ATOMIC_RELAXED);
	__atomic_fetch_add(&work->counts.ratio, counts.ratio, __ATOMIC_RELAXED);
	__atomic_fetch_add(&work->counts.weight, counts.weight, __ATOMIC_RELAXED);
}

static void adam_parameter(const struct nn_context *context, struct nn_parameter *parameter, const struct pe_adam *constants)
{
	struct update_work work = { .context = context, .parameter = parameter, .constants = constants };

	pe_pool_share(context->pool, parameter->count * 6, update_part, &work);
	context->saturation[STEP_SATURATION_MOMENT] += work.counts.moment;
	context->saturation[STEP_SATURATION_RATIO] += work.counts.ratio;
	context->saturation[STEP_SATURATION_WEIGHT] += work.counts.weight;
}

void nn_adam_update(const struct nn_context *context, struct nn_network *network, const struct pe_adam *constants)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		adam_parameter(context, &network->layer[l].weight, constants);
		adam_parameter(context, &network->layer[l].bias, constants);
	}
	network->codes_valid = 0;
}

static void soft_update_parameter(const struct nn_context *context, const struct nn_parameter *parameter,
				  struct nn_parameter *target, uint32_t tau)
{
	struct nn_parameter source = *parameter;
	struct update_work work = { .context = context, .parameter = &source, .target = target->value, .tau = tau };

	pe_pool_share(context->pool, parameter->count / 2, update_part, &work);
}

void nn_soft_update(const struct nn_context *context, const struct nn_network *network, struct nn_network *target, uint32_t tau)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		soft_update_parameter(context, &network->layer[l].weight, &target->layer[l].weight, tau);
		soft_update_parameter(context, &network->layer[l].bias, &target->layer[l].bias, tau);
	}
	target->codes_valid = 0;
}

static void initialize_parameter(struct nn_parameter *parameter, uint64_t seed, uint64_t number, int64_t bound)
{
	for (size_t i = 0; i < parameter->count; i++)
		parameter->value[i] = (int32_t)fx_round_half_up(
			(int32_t)fx_random_word(seed, FX_RANDOM_WEIGHTS, number, (uint32_t)i) * bound, 31);
	if (parameter->moment1)
		memset(parameter->moment1, 0, parameter->count * sizeof(*parameter->moment1));
	if (parameter->moment2_root)
		memset(parameter->moment2_root, 0, parameter->count * sizeof(*parameter->moment2_root));
}

void nn_initialize(struct nn_network *network, uint64_t seed, unsigned number)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		struct nn_layer *layer = &network->layer[l];
		const int64_t bound = l + 1 == network->layers ? LAST_LAYER_BOUND :
								 (int64_t)fx_square_root((UINT64_C(1) << 2 * FX_WEIGHT) / layer->inputs);

		initialize_parameter(&layer->weight, seed, 65536 * (uint64_t)number + 2 * l, bound);
		initialize_parameter(&layer->bias, seed, 65536 * (uint64_t)number + 2 * l + 1, bound);
	}
	network->codes_valid = 0;
}
