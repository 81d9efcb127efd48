/* SPDX-License-Identifier: MIT */
/*
 * TRAIN: one DDPG step on a batch, in the order of lib/ARITHMETIC.md section 6.
 *
 * All workers go through the step together. Each takes its samples through forward and backward passes without waiting for others, then its
 * rows of the weights through gradients, Adam and soft update; barriers lie between samples and rows.
 */
#include "step/agent.h"

#include <errno.h>
#include <string.h>

#include "fx/fixed.h"

struct training {
	struct step_agent *agent;
	const struct step_batch *batch;
	struct step_statistics *statistics;
	struct pe_adam constants[STEP_NETWORKS];
};

/* Puts (observation, action) side by side as the critic's input and runs it; Q values are left in the pass's output. */
static void critic_forward(struct step_agent *agent, struct nn_worker *worker, const struct nn_network *network, const int32_t *observation,
			   const int32_t *action)
{
	const size_t observation_dim = agent->config.observation_dim, action_dim = agent->config.action_dim;
	struct nn_pass *pass = &agent->pass[STEP_CRITIC];
	int32_t *row = pass->input[0] + worker->from * (observation_dim + action_dim);

	for (size_t b = worker->from; b < worker->to; b++, row += observation_dim + action_dim) {
		memcpy(row, observation + b * observation_dim, observation_dim * sizeof(int32_t));
		memcpy(row + observation_dim, action + b * action_dim, action_dim * sizeof(int32_t));
	}
	nn_forward(worker, network, pass, 1);
}

static struct nn_maxima maxima_of(struct step_agent *agent, enum step_backward kind)
{
	const size_t first = (size_t)kind * (agent->config.hidden_count + 1);

	return (struct nn_maxima){ agent->gradient_maxima + first, agent->seen_maxima + first };
}

static int32_t *last_gradient(struct step_agent *agent, enum step_network which)
{
	return agent->pass[which].gradient[agent->config.hidden_count];
}

/* Steps 1 and 2: targets y. */
static void targets(struct step_agent *agent, struct nn_worker *worker, const struct step_batch *batch)
{
	const int64_t discount = agent->config.hyper.discount;
	const int32_t *q = agent->pass[STEP_CRITIC].output;

	step_policy(agent, worker, &agent->target[STEP_ACTOR], batch->next_observation, 1);
	critic_forward(agent, worker, &agent->target[STEP_CRITIC], batch->next_observation, agent->action);
	for (size_t b = worker->from; b < worker->to; b++) {
		int64_t y = batch->reward[b];

		if (!batch->terminal[b])
			y += fx_round_half_up(discount * q[b], 31);
		agent->target_value[b] = fx_saturate32(y, &worker->saturation[STEP_SATURATION_TARGET_VALUE]);
	}
}

/* Step 3, and the samples' part of step 4. */
static void critic_samples(struct step_agent *agent, struct nn_worker *worker, const struct step_batch *batch,
			   struct step_statistics *statistics)
{
	const struct nn_network *critic = &agent->network[STEP_CRITIC];
	const unsigned scale = (unsigned)(FX_GRADIENT - FX_ACTIVATION + agent->config.hyper.gradient_scale[STEP_CRITIC]);
	const struct nn_maxima maxima = maxima_of(agent, STEP_BACKWARD_CRITIC);
	const int32_t *q = agent->pass[STEP_CRITIC].output;
	int32_t *gradient = last_gradient(agent, STEP_CRITIC);
	uint64_t loss = 0;

	critic_forward(agent, worker, critic, batch->observation, batch->action);
	for (size_t b = worker->from; b < worker->to; b++) {
		const int64_t delta = fx_saturate32((int64_t)q[b] - agent->target_value[b],
						    &worker->saturation[STEP_SATURATION_TARGET_VALUE]);

		loss += (uint64_t)(delta * delta) >> (2 * FX_ACTIVATION - FX_LOSS);
		gradient[b] = fx_saturate32(fx_shift_left(delta, scale), &worker->saturation[STEP_SATURATION_GRADIENT]);
	}
	__atomic_fetch_add(&statistics->loss_sum, loss, __ATOMIC_RELAXED);
	nn_backward(worker, critic, &agent->pass[STEP_CRITIC], &maxima, 1, NULL);
}

/* Step 5 but for the actor's forward pass, and the samples' part of step 6. */
static void actor_samples(struct step_agent *agent, struct nn_worker *worker, const struct step_batch *batch,
			  struct step_statistics *statistics)
{
	const struct nn_network *actor = &agent->network[STEP_ACTOR], *critic = &agent->network[STEP_CRITIC];
	const size_t action_dim = agent->config.action_dim;
	const int32_t seed = -(INT32_C(1) << (FX_GRADIENT + agent->config.hyper.gradient_scale[STEP_ACTOR]));
	const struct nn_maxima action_maxima = maxima_of(agent, STEP_BACKWARD_ACTION), maxima = maxima_of(agent, STEP_BACKWARD_ACTOR);
	const int32_t *output = agent->pass[STEP_ACTOR].output;		/* before tanh */
	int32_t *gradient = last_gradient(agent, STEP_CRITIC);
	int64_t q_sum = 0;

	critic_forward(agent, worker, critic, batch->observation, agent->action);
	for (size_t b = worker->from; b < worker->to; b++) {
		q_sum += agent->pass[STEP_CRITIC].output[b];
		gradient[b] = seed;
	}
	__atomic_fetch_add(&statistics->q_sum, q_sum, __ATOMIC_RELAXED);
	nn_backward(worker, critic, &agent->pass[STEP_CRITIC], &action_maxima, 0, agent->action_gradient);
	gradient = last_gradient(agent, STEP_ACTOR);
	for (size_t i = worker->from * action_dim; i < worker->to * action_dim; i++)
		gradient[i] = fx_saturate32(fx_round_half_up((int64_t)agent->action_gradient[i] * fx_tanh_slope(output[i]), FX_SLOPE),
					    &worker->saturation[STEP_SATURATION_GRADIENT]);
	nn_backward(worker, actor, &agent->pass[STEP_ACTOR], &maxima, 1, NULL);
}

static void hand_out_gradients(void *user, const struct nn_network *network)
{
	const struct step_agent *agent = user;
	const enum step_network which = network == &agent->network[STEP_ACTOR] ? STEP_ACTOR : STEP_CRITIC;

	for (uint32_t l = 0; l < network->layers; l++)
		agent->sink(agent->sink_user, which, l, network->layer[l].weight.gradient, network->layer[l].bias.gradient);
}

/*
 * dW, Adam and soft update of the worker's rows. The section has both soft updates at the step's end; the critic's target is not used
 * between, so its update may come as soon as the critic's.
 */
static void update_network(struct training *training, struct nn_worker *worker, enum step_network which)
{
	struct step_agent *agent = training->agent;
	const struct nn_update update = {
		.adam = &training->constants[which],
		.target = &agent->target[which],
		.tau = agent->config.hyper.tau,
		.sink = agent->sink ? hand_out_gradients : NULL,
		.sink_user = agent,
	};

	nn_update(worker, &agent->network[which], &agent->pass[which], &update);
}

static void train_part(void *user, struct nn_worker *worker)
{
	struct training *training = user;
	struct step_agent *agent = training->agent;
	const struct step_batch *batch = training->batch;
	struct nn_network *critic = &agent->network[STEP_CRITIC], *actor = &agent->network[STEP_ACTOR];
	struct nn_network *const all[] = { actor, critic, &agent->target[STEP_ACTOR], &agent->target[STEP_CRITIC] };
	struct nn_network *const updated[] = { critic };

	/* Valid already but in the first step after a change from outside. */
	nn_form_weights(worker, all, 4);
	targets(agent, worker, batch);
	critic_samples(agent, worker, batch, training->statistics);
	/* The actor's opinion does not depend on the critic's update: the section's order is one of several. */
	step_policy(agent, worker, actor, batch->observation, 1);
	nn_barrier(worker);
	update_network(training, worker, STEP_CRITIC);
	if (worker->part == 0)
		critic->codes_valid = 0;
	nn_barrier(worker);
	nn_form_weights(worker, updated, 1);
	actor_samples(agent, worker, batch, training->statistics);
	nn_barrier(worker);
	update_network(training, worker, STEP_ACTOR);
	if (worker->part == 0)
		all[0]->codes_valid = all[2]->codes_valid = all[3]->codes_valid = 0;
	nn_barrier(worker);
	nn_form_weights(worker, all, 4);
}

static void follow_maxima(struct step_agent *agent)
{
	const size_t count = STEP_BACKWARDS * ((size_t)agent->config.hidden_count + 1);

	for (size_t i = 0; i < count; i++)
		agent->gradient_maxima[i] = step_next_maximum(agent->gradient_maxima[i], agent->seen_maxima[i]);
}

static void begin(struct training *training)
{
	struct step_agent *agent = training->agent;
	const struct step_hyperparameters *hyper = &agent->config.hyper;

	memset(training->statistics, 0, sizeof(*training->statistics));
	memset(agent->seen_maxima, 0, STEP_BACKWARDS * ((size_t)agent->config.hidden_count + 1) * sizeof(uint32_t));
	agent->context.observe = agent->mode.observe != 0;
	for (int n = 0; n < STEP_NETWORKS; n++) {
		const struct nn_adam settings = { hyper->beta1, hyper->one_minus_beta2, hyper->rate_mantissa[n], hyper->rate_exponent[n] };

		nn_adam_step_size(&settings, agent->adam_powers + 2 * n, &training->constants[n]);
		nn_backward_begin(&agent->pass[n], agent->network[n].layers);
	}
}

int step_train(struct step_agent *agent, const struct step_batch *batch, struct step_statistics *statistics)
{
	struct training training = { .agent = agent, .batch = batch, .statistics = statistics };
	size_t weights = 0;

	if (batch->size < 1 || batch->size > agent->config.batch_max)
		return -EINVAL;
	begin(&training);
	for (int n = 0; n < STEP_NETWORKS; n++)
		for (uint32_t l = 0; l < agent->network[n].layers; l++)
			weights += agent->network[n].layer[l].weight.count;
	/* Five products with each weight and sample, at some 50 a nanosecond, and updates. */
	step_run(agent, batch->size, weights * batch->size / 10 + weights, train_part, &training);
	follow_maxima(agent);

	for (int i = 0; i < STEP_SATURATIONS; i++) {
		statistics->saturation[i] = agent->command[i];
		agent->saturation[i] += agent->command[i];
	}
	++*agent->training_steps;
	return 0;
}
