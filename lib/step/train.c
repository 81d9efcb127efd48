/* SPDX-License-Identifier: MIT */
/* TRAIN: one DDPG step on a batch, in the order of lib/ARITHMETIC.md section 6. */
#include "step/agent.h"

#include <errno.h>
#include <string.h>

#include "fx/fixed.h"

/* Puts (observation, action) side by side as the critic's input and runs it; Q values are left in the pass's output. */
static void critic_forward(struct step_agent *agent, struct nn_network *network, uint32_t batch, const int32_t *observation,
			   const int32_t *action)
{
	const size_t observation_dim = agent->config.observation_dim, action_dim = agent->config.action_dim;
	struct nn_pass *pass = &agent->pass[STEP_CRITIC];
	int32_t *row = pass->input[0];

	for (uint32_t b = 0; b < batch; b++, row += observation_dim + action_dim) {
		memcpy(row, observation + b * observation_dim, observation_dim * sizeof(int32_t));
		memcpy(row + observation_dim, action + b * action_dim, action_dim * sizeof(int32_t));
	}
	nn_forward(&agent->context, network, batch, pass, 1);
}

static void adam(struct step_agent *agent, enum step_network which)
{
	const struct step_hyperparameters *hyper = &agent->config.hyper;
	const struct nn_adam settings = { hyper->beta1, hyper->one_minus_beta2, hyper->rate_mantissa[which], hyper->rate_exponent[which] };
	struct nn_network *network = &agent->network[which];
	struct pe_adam constants;

	if (agent->sink)
		for (uint32_t l = 0; l < network->layers; l++)
			agent->sink(agent->sink_user, which, l, network->layer[l].weight.gradient, network->layer[l].bias.gradient);
	nn_adam_step_size(&settings, agent->adam_powers + 2 * which, &constants);
	nn_adam_update(&agent->context, network, &constants);
}

/* Steps 1 and 2: targets y. */
static void targets(struct step_agent *agent, const struct step_batch *batch)
{
	const int64_t discount = agent->config.hyper.discount;
	const int32_t *q;

	step_policy(agent, &agent->target[STEP_ACTOR], batch->size, batch->next_observation, 1);
	critic_forward(agent, &agent->target[STEP_CRITIC], batch->size, batch->next_observation, agent->action);
	q = agent->pass[STEP_CRITIC].output;
	for (uint32_t b = 0; b < batch->size; b++) {
		int64_t y = batch->reward[b];

		if (!batch->terminal[b])
			y += fx_round_half_up(discount * q[b], 31);
		agent->target_value[b] = fx_saturate32(y, &agent->command[STEP_SATURATION_TARGET_VALUE]);
	}
}

/* Steps 3 and 4. */
static void train_critic(struct step_agent *agent, const struct step_batch *batch, struct step_statistics *statistics)
{
	struct nn_network *critic = &agent->network[STEP_CRITIC];
	const unsigned scale = (unsigned)(FX_GRADIENT - FX_ACTIVATION + agent->config.hyper.gradient_scale[STEP_CRITIC]);
	const int32_t *q = agent->pass[STEP_CRITIC].output;

	critic_forward(agent, critic, batch->size, batch->observation, batch->action);
	for (uint32_t b = 0; b < batch->size; b++) {
		const int64_t delta = fx_saturate32((int64_t)q[b] - agent->target_value[b],
						    &agent->command[STEP_SATURATION_TARGET_VALUE]);

		statistics->loss_sum += (uint64_t)(delta * delta) >> (2 * FX_ACTIVATION - FX_LOSS);
		agent->gradient[0][b] = fx_saturate32(fx_shift_left(delta, scale), &agent->command[STEP_SATURATION_GRADIENT]);
	}
	nn_backward(&agent->context, critic, batch->size, &agent->pass[STEP_CRITIC], agent->gradient, 1, NULL, 0, 0);
	adam(agent, STEP_CRITIC);
}

/* Steps 5 and 6. */
static void train_actor(struct step_agent *agent, const struct step_batch *batch, struct step_statistics *statistics)
{
	struct nn_network *actor = &agent->network[STEP_ACTOR], *critic = &agent->network[STEP_CRITIC];
	const size_t actions = (size_t)batch->size * agent->config.action_dim;
	const int32_t *output = agent->pass[STEP_ACTOR].output;		/* before tanh */
	const int32_t seed = -(INT32_C(1) << (FX_GRADIENT + agent->config.hyper.gradient_scale[STEP_ACTOR]));

	step_policy(agent, actor, batch->size, batch->observation, 1);
	critic_forward(agent, critic, batch->size, batch->observation, agent->action);
	for (uint32_t b = 0; b < batch->size; b++) {
		statistics->q_sum += agent->pass[STEP_CRITIC].output[b];
		agent->gradient[0][b] = seed;
	}
	nn_backward(&agent->context, critic, batch->size, &agent->pass[STEP_CRITIC], agent->gradient, 0, agent->action_gradient,
		    agent->config.observation_dim, agent->config.action_dim);
	for (size_t i = 0; i < actions; i++) {
		agent->gradient[0][i] = fx_saturate32(fx_round_half_up((int64_t)agent->action_gradient[i] * fx_tanh_slope(output[i]), FX_SLOPE),
						      &agent->command[STEP_SATURATION_GRADIENT]);
	}
	nn_backward(&agent->context, actor, batch->size, &agent->pass[STEP_ACTOR], agent->gradient, 1, NULL, 0, 0);
	adam(agent, STEP_ACTOR);
}

int step_train(struct step_agent *agent, const struct step_batch *batch, struct step_statistics *statistics)
{
	if (batch->size < 1 || batch->size > agent->config.batch_max)
		return -EINVAL;
	memset(statistics, 0, sizeof(*statistics));
	memset(agent->command, 0, sizeof(agent->command));
	agent->context.observe = agent->mode.observe != 0;

	targets(agent, batch);
	train_critic(agent, batch, statistics);
	train_actor(agent, batch, statistics);
	for (int n = 0; n < STEP_NETWORKS; n++)
		nn_soft_update(&agent->context, &agent->network[n], &agent->target[n], agent->config.hyper.tau);

	for (int i = 0; i < STEP_SATURATIONS; i++) {
		statistics->saturation[i] = agent->command[i];
		agent->saturation[i] += agent->command[i];
	}
	++*agent->training_steps;
	return 0;
}
