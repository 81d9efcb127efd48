/* SPDX-License-Identifier: MIT */
/* Initial weights, Adam and soft update of a whole network (lib/ARITHMETIC.md sections 7, 8, 11). */
#include "nn/network.h"

#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/operands.h"
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
	/* 2^12 * (1 - beta2^t): Adam's epsilon, with the bias that v has. */
	constants->least_moment2 = (uint32_t)((one - powers[1]) >> 50);
	if (!constants->least_moment2)
		constants->least_moment2 = 1;
	constants->step_mantissa = (uint32_t)(rate >> (bits - 31));
	constants->step_shift = adam->rate_exponent + 31 - (bits - 31) + (FX_RATIO - FX_WEIGHT);
}

/* Rows [from, to) of a parameter with `width` elements in a row. */
static void update_rows(struct nn_worker *worker, const struct nn_parameter *parameter, const struct nn_parameter *target, size_t width,
			size_t from, size_t to, const struct nn_update *update)
{
	const struct pe_engine *engine = worker->context->engine;
	const size_t first = from * width, count = (to - from) * width;
	struct pe_adam_counts counts = { 0, 0 };

	engine->adam(count, parameter->gradient + first, parameter->moment1 + first, parameter->moment2 + first, parameter->value + first,
		     update->adam, &counts);
	engine->soft_update(count, parameter->value + first, target->value + first, update->tau);
	worker->saturation[STEP_SATURATION_RATIO] += counts.ratio;
	worker->saturation[STEP_SATURATION_WEIGHT] += counts.weight;
}

/*
 * Rows at a time: their gradients are used while they are in the cache. Products that pack the samples anew in each call want all rows at
 * once.
 */
#define ROWS_AT_A_TIME 32

static size_t rows_at_a_time(const struct nn_worker *worker, const struct nn_layer *layer, size_t rows)
{
	const struct nn_context *context = worker->context;

	return context->engine->form && nn_is_narrow(context, layer, STEP_ACTIVATION) ? ROWS_AT_A_TIME : rows;
}

enum part { GRADIENTS = 1, WEIGHTS = 2 };

/* Gradients, weights or both of the worker's rows. */
static void walk(struct nn_worker *worker, struct nn_network *network, const struct nn_pass *pass, const struct nn_update *update,
		 unsigned parts)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct nn_layer *layer = &network->layer[l], *target = &update->target->layer[l];
		size_t from, to, step;

		nn_share(layer->outputs, PE_PANEL_COLUMNS, worker->part, worker->parts, &from, &to);
		step = rows_at_a_time(worker, layer, to - from);
		for (; from < to; from += step) {
			const size_t end = to - from < step ? to : from + step;

			if (parts & GRADIENTS)
				nn_weight_gradient_rows(worker, network, pass, l, from, end);
			if (parts & WEIGHTS) {
				update_rows(worker, &layer->weight, &target->weight, layer->inputs, from, end, update);
				update_rows(worker, &layer->bias, &target->bias, 1, from, end, update);
			}
		}
	}
}

void nn_update(struct nn_worker *worker, struct nn_network *network, const struct nn_pass *pass, const struct nn_update *update)
{
	if (!update->sink) {
		walk(worker, network, pass, update, GRADIENTS | WEIGHTS);
		return;
	}
	walk(worker, network, pass, update, GRADIENTS);
	nn_barrier(worker);
	if (worker->part == 0)
		update->sink(update->sink_user, network);
	nn_barrier(worker);
	walk(worker, network, pass, update, WEIGHTS);
}

static void initialize_parameter(struct nn_parameter *parameter, uint64_t seed, uint64_t number, int64_t bound)
{
	for (size_t i = 0; i < parameter->count; i++)
		parameter->value[i] = (int32_t)fx_round_half_up(
			(int32_t)fx_random_word(seed, FX_RANDOM_WEIGHTS, number, (uint32_t)i) * bound, 31);
	if (parameter->moment1)
		memset(parameter->moment1, 0, parameter->count * sizeof(*parameter->moment1));
	if (parameter->moment2)
		memset(parameter->moment2, 0, parameter->count * sizeof(*parameter->moment2));
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
