/* SPDX-License-Identifier: MIT */
/* Initial weights, Adam and soft update of a whole network (lib/ARITHMETIC.md sections 7, 8, 11). */
#include "nn/network.h"

#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/parallel.h"

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

/* The worker's part of a parameter: `width` elements for each of a layer's outputs. */
static size_t own_elements(const struct nn_worker *worker, uint32_t outputs, size_t width, size_t *from)
{
	size_t to;

	nn_share(outputs, PE_PANEL_COLUMNS, worker->part, worker->parts, from, &to);
	*from *= width;
	return to * width - *from;
}

static void adam_parameter(struct nn_worker *worker, const struct nn_parameter *parameter, uint32_t outputs, const struct pe_adam *constants)
{
	struct pe_adam_counts counts = { 0, 0, 0 };
	size_t from, count = own_elements(worker, outputs, parameter->count / outputs, &from);

	worker->context->engine->adam(count, parameter->gradient + from, parameter->moment1 + from, parameter->moment2_root + from,
				      parameter->value + from, constants, &counts);
	worker->saturation[STEP_SATURATION_MOMENT] += counts.moment;
	worker->saturation[STEP_SATURATION_RATIO] += counts.ratio;
	worker->saturation[STEP_SATURATION_WEIGHT] += counts.weight;
}

void nn_adam_update(struct nn_worker *worker, struct nn_network *network, const struct pe_adam *constants)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct nn_layer *layer = &network->layer[l];

		adam_parameter(worker, &layer->weight, layer->outputs, constants);
		adam_parameter(worker, &layer->bias, layer->outputs, constants);
	}
}

void nn_soft_update(struct nn_worker *worker, const struct nn_network *network, struct nn_network *target, uint32_t tau)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct nn_layer *layer = &network->layer[l], *follower = &target->layer[l];
		size_t from, count = own_elements(worker, layer->outputs, layer->inputs, &from);

		worker->context->engine->soft_update(count, layer->weight.value + from, follower->weight.value + from, tau);
		count = own_elements(worker, layer->outputs, 1, &from);
		worker->context->engine->soft_update(count, layer->bias.value + from, follower->bias.value + from, tau);
	}
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
