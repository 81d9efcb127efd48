// SPDX-License-Identifier: MIT
#include "quantize/cell_noise.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "fx/fixed.h"
#include "nn/operands.h"

#define BLOCK 256
#define FULL_WIDTH 32

void cell_noise_apply(const struct cell_noise *noise, unsigned network, uint32_t layer, uint32_t width, int fraction,
		      size_t first, size_t count, int32_t *codes)
{
	const uint64_t stream = (uint64_t)network << 32 | layer;

	for (size_t from = 0; from < count; from += BLOCK) {
		const size_t n = count - from < BLOCK ? count - from : BLOCK;
		double noisy[BLOCK];

		reram_disturb(&noise->cells, width, first + from, n, codes + from, noise->seed, stream, noisy);
		for (size_t i = 0; i < n; i++)
			codes[from + i] =
				(int32_t)lrint(fmin(fmax(ldexp(noisy[i], FX_WEIGHT - fraction), INT32_MIN), INT32_MAX));
	}
}

/* ---- An actor that acts ---- */

static int32_t *tensor_of(const struct step_tensor *tensors, size_t count, unsigned char *state, uint32_t layer,
			  size_t *elements)
{
	char name[48];

	snprintf(name, sizeof(name), "actor.%u.weight", layer);
	for (size_t t = 0; t < count; t++) {
		if (strcmp(tensors[t].name, name))
			continue;
		*elements = tensors[t].bytes / sizeof(int32_t);
		return (int32_t *)(void *)(state + tensors[t].offset);
	}
	return NULL;
}

static uint32_t largest_magnitude(const int32_t *weight, size_t count)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < count; i++) {
		const uint32_t magnitude = weight[i] < 0 ? -(uint32_t)weight[i] : (uint32_t)weight[i];

		largest = magnitude > largest ? magnitude : largest;
	}
	return largest;
}

/* Masters to codes to what cells hold; the quantizer is then that of masters, which go in whole. */
static void disturb_layer(const struct cell_noise *noise, uint32_t layer, struct step_quantizer *quantizer,
			  size_t count, int32_t *weight)
{
	const int32_t high = (int32_t)((INT64_C(1) << (quantizer->width - 1)) - 1);
	int fraction = FX_WEIGHT;
	uint64_t ignored = 0;

	if (quantizer->width < FULL_WIDTH)
		fraction = nn_operand_fraction(quantizer, STEP_WEIGHT, largest_magnitude(weight, count));
	for (size_t i = 0; i < count; i++)
		weight[i] = fx_clamp(fx_round_half_up(weight[i], (unsigned)(FX_WEIGHT - fraction)), -high - 1, high,
				     &ignored);
	cell_noise_apply(noise, STEP_ACTOR, layer, (uint32_t)quantizer->width, fraction, 0, count, weight);
	*quantizer = (struct step_quantizer){ FULL_WIDTH, FX_WEIGHT, 1 };
}

int cell_noise_disturb_actor(const struct cell_noise *noise, struct fixar_agent *agent)
{
	const struct device_ops *ops = agent->state->ops;
	const struct qat_shape *shape = &agent->ddpg->shape;
	struct step_quantizer *quantizers = calloc(qat_entries(shape), sizeof(*quantizers));
	const struct step_tensor *tensors;
	unsigned char *state = NULL;
	size_t count, weights = 0;
	int error = quantizers ? agent_read_state(agent, &tensors, &count, &state) : -ENOMEM;

	if (!error)
		error = ops->read_quantizers(agent->state, quantizers);
	for (uint32_t l = 0; !error && l < shape->layers[STEP_ACTOR]; l++) {
		struct step_quantizer full = { FULL_WIDTH, FX_WEIGHT, 1 };
		int32_t *weight = tensor_of(tensors, count, state, l, &weights);

		/* Before a switch the table says nothing: masters are computed with. */
		disturb_layer(noise, l,
			      agent->ddpg->mode.quantized ? &quantizers[qat_entry(shape, STEP_ACTOR, l, STEP_WEIGHT)]
							  : &full,
			      weights, weight);
	}
	if (!error)
		error = ops->state_write(agent->state, state);
	if (!error)
		error = ops->write_quantizers(agent->state, quantizers);
	free(state);
	free(quantizers);
	return error;
}

/* ---- An agent that trains ---- */

static void hold(void *user, const struct nn_held *held)
{
	cell_noise_apply(user, held->network, held->layer, (uint32_t)held->width, held->fraction, held->first,
			 held->count, held->codes);
}

int cell_noise_attach(struct cell_noise *noise, struct fixar_agent *agent, int critic)
{
	const struct device_ops *ops = agent->state->ops;

	noise->store = (struct nn_store){ hold, noise };
	if (!ops->set_weight_store)
		return -EOPNOTSUPP;
	return ops->set_weight_store(agent->state, critic ? STEP_CRITIC : STEP_ACTOR, &noise->store);
}
