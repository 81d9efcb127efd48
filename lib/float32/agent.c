/* SPDX-License-Identifier: MIT */
/* Making an agent of the float32 twin on an arena, and ACT. */
#include "float32/agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "float32/layout.h"
#include "float32/values.h"
#include "fx/fixed.h"
#include "fx/random.h"

/* 0.003 with fraction FX_WEIGHT: the bound of the last layer's initial weights (lib/ARITHMETIC.md section 11). */
#define LAST_LAYER_BOUND 201327

/* ---- Making ---- */

/* The next piece of scratch memory; with `memory` NULL only its size counts. */
static float *take(float *memory, size_t *used, size_t count)
{
	float *place = memory ? memory + *used : NULL;

	*used += f32_round_up(count);
	return place;
}

/* Places all scratch memory and returns its size in floats; with `memory` NULL it only measures. */
static size_t place_scratch(struct f32_agent *agent, float *memory)
{
	const size_t batch = agent->config.batch_max;
	size_t used = 0, widest = 0, depth = batch;

	for (unsigned which = 0; which < STEP_NETWORKS; which++) {
		struct f32_network *network = &agent->network[which];

		network->gradient = take(memory, &used, network->size);
		for (uint32_t l = 0; l <= network->layers; l++) {
			const size_t width = l ? network->layer[l - 1].outputs : network->layer[0].inputs;

			network->value[l] = take(memory, &used, batch * f32_stride(width));
			if (width > widest)
				widest = width;
		}
	}
	for (int i = 0; i < 2; i++)
		agent->dy[i] = take(memory, &used, batch * f32_stride(widest));
	agent->action_gradient = take(memory, &used, batch * f32_stride(agent->config.action_dim));
	agent->target = take(memory, &used, batch);
	if (widest > depth)
		depth = widest;
	for (unsigned t = 0; t < pe_pool_threads(agent->context.pool); t++) {
		float *scratch = take(memory, &used, f32_scratch_bytes(depth) / sizeof(float));

		if (memory)
			agent->context.scratch[t] = scratch;
	}
	return used;
}

static void place_arena(struct f32_agent *agent, unsigned char *arena)
{
	struct f32_places places;

	f32_find_places(&agent->config, &places);
	memset(arena, 0, places.bytes);
	for (unsigned which = 0; which < STEP_NETWORKS; which++) {
		struct f32_network *network = &agent->network[which];

		network->weight = (void *)(arena + places.array[which][F32_WEIGHT]);
		network->target = (void *)(arena + places.array[which][F32_TARGET]);
		network->moment1 = (void *)(arena + places.array[which][F32_MOMENT1]);
		network->moment2 = (void *)(arena + places.array[which][F32_MOMENT2]);
	}
	agent->training_steps = (void *)(arena + places.training_steps);
	agent->noise_count = (void *)(arena + places.noise_count);
	agent->noise_state = (void *)(arena + places.noise_state);
}

static void initialize_tensor(float *values, size_t count, uint64_t seed, uint64_t number, int64_t bound)
{
	struct fx_random_block block = { { 0 } };

	for (size_t i = 0; i < count; i++) {
		if (i % 4 == 0)
			block = fx_random_philox(seed, FX_RANDOM_WEIGHTS, number, (uint32_t)(i / 4));
		values[i] = f32_of_fixed((int32_t)fx_round_half_up((int32_t)block.word[i % 4] * bound, 31), FX_WEIGHT);
	}
}

/* The fixed-point contract's initial weights. */
static void initialize(struct f32_agent *agent)
{
	for (unsigned which = 0; which < STEP_NETWORKS; which++) {
		struct f32_network *network = &agent->network[which];

		for (uint32_t l = 0; l < network->layers; l++) {
			const struct f32_layer *layer = &network->layer[l];
			const uint64_t number = 65536 * (uint64_t)which + 2 * l;
			const int64_t bound = l + 1 == network->layers
						      ? LAST_LAYER_BOUND
						      : fx_square_root((UINT64_C(1) << 2 * FX_WEIGHT) / layer->inputs);

			initialize_tensor(network->weight + layer->weight, layer->outputs * layer->inputs,
					  agent->config.seed, number, bound);
			initialize_tensor(network->weight + layer->bias, layer->outputs, agent->config.seed, number + 1,
					  bound);
		}
		memcpy(network->target, network->weight, network->size * sizeof(float));
	}
}

int f32_agent_create(const struct step_config *config, void *arena, const struct f32_engine *engine,
		     struct pe_pool *pool, struct f32_agent **out)
{
	struct f32_agent *agent;
	size_t bytes;

	if (step_config_check(config, NULL, 0) || (uintptr_t)arena % STEP_ALIGNMENT)
		return -EINVAL;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->config = *config;
	agent->discount = (float)(config->hyper.discount * 0x1p-31);
	agent->tau = (float)(config->hyper.tau * 0x1p-31);
	agent->context.engine = engine;
	agent->context.pool = pool;
	agent->context.scratch = calloc(pe_pool_threads(pool), sizeof(*agent->context.scratch));
	for (unsigned which = 0; which < STEP_NETWORKS; which++)
		f32_network_shape(config, which, &agent->network[which]);
	bytes = place_scratch(agent, NULL) * sizeof(float);
	agent->memory = aligned_alloc(STEP_ALIGNMENT, bytes);
	if (!agent->context.scratch || !agent->memory) {
		f32_agent_destroy(agent);
		return -ENOMEM;
	}
	/* Gradients of the gaps between tensors stay 0, and with them the gaps. */
	memset(agent->memory, 0, bytes);
	place_scratch(agent, agent->memory);
	place_arena(agent, arena);
	initialize(agent);
	*out = agent;
	return 0;
}

void f32_agent_destroy(struct f32_agent *agent)
{
	if (!agent)
		return;
	free(agent->context.scratch);
	free(agent->memory);
	free(agent);
}

/* ---- ACT ---- */

/* The same integers as the fixed-point devices add, so that runs of both explore alike. */
static void add_noise(struct f32_agent *agent, int32_t *action)
{
	const struct step_mode *mode = &agent->mode;

	fx_random_noise(agent->config.seed, *agent->noise_count, agent->config.action_dim, mode->noise_sigma, mode->noise_theta,
			mode->noise == STEP_NOISE_OU ? agent->noise_state : NULL, action);
	++*agent->noise_count;
}

static void policy(struct f32_agent *agent, const int32_t *observation, int32_t *action)
{
	struct f32_network *actor = &agent->network[STEP_ACTOR];

	for (uint32_t i = 0; i < agent->config.observation_dim; i++)
		actor->value[0][i] = f32_of_fixed(observation[i], FX_ACTIVATION);
	for (uint32_t l = 0; l < actor->layers; l++) {
		const struct f32_layer *layer = &actor->layer[l];

		agent->context.engine->dense(layer->outputs, layer->inputs, actor->weight + layer->weight,
					     actor->weight + layer->bias, actor->value[l], l + 1 < actor->layers,
					     actor->value[l + 1]);
	}
	for (uint32_t j = 0; j < agent->config.action_dim; j++)
		action[j] = f32_to_activation(tanhf(actor->value[actor->layers][j]));
}

int f32_act(struct f32_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags)
{
	if (n < 1 || n > agent->config.batch_max)
		return -EINVAL;
	if (flags & STEP_ACT_RESET_NOISE)
		memset(agent->noise_state, 0, agent->config.action_dim * sizeof(int32_t));
	/* One by one, so that an action does not depend on how many were asked for. */
	for (uint32_t i = 0; i < n;
	     i++, observation += agent->config.observation_dim, action += agent->config.action_dim) {
		policy(agent, observation, action);
		if (flags & STEP_ACT_EXPLORE && agent->mode.noise != STEP_NOISE_NONE)
			add_noise(agent, action);
	}
	return 0;
}
