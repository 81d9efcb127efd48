/* SPDX-License-Identifier: MIT */
/* TRAIN: one DDPG step on a batch, in the order of lib/ARITHMETIC.md section 6. */
#include "float32/agent.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "float32/values.h"

static void put(const int32_t *from, size_t batch, size_t width, float *to, size_t stride)
{
	for (size_t b = 0; b < batch; b++)
		for (size_t i = 0; i < width; i++)
			to[b * stride + i] = f32_of_fixed(from[b * width + i], FX_ACTIVATION);
}

/* The actor's or its target's actions, left as the actor's output. */
static void policy(struct f32_agent *agent, const float *parameters, size_t batch, const int32_t *observation)
{
	struct f32_network *actor = &agent->network[STEP_ACTOR];
	const size_t width = agent->config.action_dim, stride = f32_stride(width);
	float *action = actor->value[actor->layers];

	put(observation, batch, agent->config.observation_dim, actor->value[0],
	    f32_stride(agent->config.observation_dim));
	f32_forward(&agent->context, actor, parameters, batch);
	for (size_t b = 0; b < batch; b++)
		for (size_t j = 0; j < width; j++)
			action[b * stride + j] = tanhf(action[b * stride + j]);
}

/* Q values of the observations with `action`, or where that is NULL with the actor's output; returns where they are. */
static const float *critic_forward(struct f32_agent *agent, const float *parameters, size_t batch,
				   const int32_t *observation, const int32_t *action)
{
	const struct f32_network *actor = &agent->network[STEP_ACTOR];
	struct f32_network *critic = &agent->network[STEP_CRITIC];
	const size_t observation_dim = agent->config.observation_dim, action_dim = agent->config.action_dim;
	const size_t stride = f32_stride(observation_dim + action_dim);
	float *action_part = critic->value[0] + observation_dim;

	put(observation, batch, observation_dim, critic->value[0], stride);
	if (action)
		put(action, batch, action_dim, action_part, stride);
	else
		for (size_t b = 0; b < batch; b++)
			memcpy(action_part + b * stride, actor->value[actor->layers] + b * f32_stride(action_dim),
			       action_dim * sizeof(float));
	f32_forward(&agent->context, critic, parameters, batch);
	return critic->value[critic->layers];
}

static void adam(struct f32_agent *agent, enum step_network which)
{
	const struct step_hyperparameters *hyper = &agent->config.hyper;
	const double beta1 = hyper->beta1 * 0x1p-31, one_minus_beta2 = hyper->one_minus_beta2 * 0x1p-32;
	const double rate = ldexp(hyper->rate_mantissa[which], -(int)hyper->rate_exponent[which]);
	const double t = (double)(*agent->training_steps + 1);
	const struct f32_adam constants = {
		.beta1 = (float)beta1,
		.one_minus_beta1 = (float)(1 - beta1),
		.beta2 = (float)(1 - one_minus_beta2),
		.one_minus_beta2 = (float)one_minus_beta2,
		.step = (float)(rate / (1 - pow(beta1, t))),
		.root_scale = (float)(1 / sqrt(1 - pow(1 - one_minus_beta2, t))),
	};

	f32_adam_update(&agent->context, &agent->network[which], &constants);
}

/* Steps 1 and 2: targets y. */
static void targets(struct f32_agent *agent, const struct step_batch *batch)
{
	const float *q;

	policy(agent, agent->network[STEP_ACTOR].target, batch->size, batch->next_observation);
	q = critic_forward(agent, agent->network[STEP_CRITIC].target, batch->size, batch->next_observation, NULL);
	for (uint32_t b = 0; b < batch->size; b++) {
		agent->target[b] = f32_of_fixed(batch->reward[b], FX_ACTIVATION);
		if (!batch->terminal[b])
			agent->target[b] += agent->discount * q[b * f32_stride(1)];
	}
}

/* Steps 3 and 4. */
static void train_critic(struct f32_agent *agent, const struct step_batch *batch, struct device_statistics *statistics)
{
	struct f32_network *critic = &agent->network[STEP_CRITIC];
	const float *q = critic_forward(agent, critic->weight, batch->size, batch->observation, batch->action);
	double loss = 0;

	for (uint32_t b = 0; b < batch->size; b++) {
		const float delta = q[b * f32_stride(1)] - agent->target[b];

		loss += (double)delta * delta;
		agent->dy[0][b * f32_stride(1)] = delta / (float)batch->size;
	}
	statistics->critic_loss = loss / batch->size;
	f32_backward(&agent->context, critic, batch->size, agent->dy, 1, NULL, 0, 0);
	adam(agent, STEP_CRITIC);
}

/* Steps 5 and 6. */
static void train_actor(struct f32_agent *agent, const struct step_batch *batch, struct device_statistics *statistics)
{
	struct f32_network *actor = &agent->network[STEP_ACTOR], *critic = &agent->network[STEP_CRITIC];
	const size_t width = agent->config.action_dim, stride = f32_stride(width);
	const float *q, *action = actor->value[actor->layers];
	double sum = 0;

	policy(agent, actor->weight, batch->size, batch->observation);
	q = critic_forward(agent, critic->weight, batch->size, batch->observation, NULL);
	for (uint32_t b = 0; b < batch->size; b++) {
		sum += (double)q[b * f32_stride(1)];
		agent->dy[0][b * f32_stride(1)] = -1 / (float)batch->size;
	}
	statistics->mean_q = sum / batch->size;
	f32_backward(&agent->context, critic, batch->size, agent->dy, 0, agent->action_gradient,
		     agent->config.observation_dim, width);
	for (size_t b = 0; b < batch->size; b++) {
		for (size_t j = 0; j < width; j++) {
			const size_t i = b * stride + j;

			agent->dy[0][i] = agent->action_gradient[i] * (1 - action[i] * action[i]);
		}
	}
	f32_backward(&agent->context, actor, batch->size, agent->dy, 1, NULL, 0, 0);
	adam(agent, STEP_ACTOR);
}

int f32_train(struct f32_agent *agent, const struct step_batch *batch, struct device_statistics *statistics)
{
	if (batch->size < 1 || batch->size > agent->config.batch_max)
		return -EINVAL;
	memset(statistics, 0, sizeof(*statistics));
	targets(agent, batch);
	train_critic(agent, batch, statistics);
	train_actor(agent, batch, statistics);
	for (unsigned which = 0; which < STEP_NETWORKS; which++)
		f32_soft_update(&agent->context, &agent->network[which], agent->tau);
	++*agent->training_steps;
	return 0;
}
