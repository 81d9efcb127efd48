// SPDX-License-Identifier: MIT
/*
 * The speed of the device alone: no environment, no replay memory. The inputs are random numbers of the size that
 * observations and rewards have; nothing in the arithmetic depends on the values.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ddpg/edge.h"
#include "device/device.h"
#include "qat/policy.h"

#define SETTLING_STEPS 3	 /* training steps before the ranges are taken */
#define ACTIONS_BETWEEN_LOOKS 16 /* acting is so fast that looking at the clock would show */

struct bench_state {
	struct fixar_device *device;
	struct device_agent *agent;
	struct step_config config;
	struct step_batch batch;
	int32_t *observation, *action, *reward, *next_observation, *answer;
	uint8_t *terminal;
};

/* Uniform in [-1, 1] times `size`, fraction FX_ACTIVATION. */
static void fill(int32_t *values, size_t n, double size, uint64_t purpose)
{
	struct fixar_rng rng = { .seed = 1, .index = purpose, .purpose = 7 };

	for (size_t i = 0; i < n; i++)
		values[i] = (int32_t)(fixar_rng_uniform(&rng, -size, size) * EDGE_ONE);
}

static int make_inputs(struct bench_state *state, uint32_t size)
{
	size_t observations = (size_t)size * state->config.observation_dim;
	size_t actions = (size_t)size * state->config.action_dim;

	state->observation = calloc(observations, sizeof(int32_t));
	state->next_observation = calloc(observations, sizeof(int32_t));
	state->action = calloc(actions, sizeof(int32_t));
	state->answer = calloc(actions, sizeof(int32_t));
	state->reward = calloc(size, sizeof(int32_t));
	state->terminal = calloc(size, 1);
	if (!state->observation || !state->next_observation || !state->action || !state->answer || !state->reward ||
	    !state->terminal)
		return -ENOMEM;
	fill(state->observation, observations, 2, 0);
	fill(state->next_observation, observations, 2, 1);
	fill(state->action, actions, 1, 2);
	fill(state->reward, size, 1, 3);
	state->batch = (struct step_batch){
		.size = size,
		.observation = state->observation,
		.action = state->action,
		.reward = state->reward,
		.next_observation = state->next_observation,
		.terminal = state->terminal,
	};
	return 0;
}

static int make_config(struct step_config *config, const struct bench_shape *shape, uint32_t batch)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct edge_complaint complaint;

	*config = (struct step_config){
		.observation_dim = shape->observation_dim,
		.action_dim = shape->action_dim,
		.hidden_count = shape->hidden_count,
		.batch_max = batch,
	};
	memcpy(config->hidden, shape->hidden, sizeof(config->hidden));
	return edge_hyperparameters(&options, &config->hyper, &complaint);
}

/* What the training loop does at the end of the quantization delay. */
static int switch_precision(struct bench_state *state, enum fixar_precision precision)
{
	const struct device_ops *ops = state->agent->ops;
	const struct step_mode observing = { .observe = 1 }, quantized = { .quantized = 1 };
	const struct qat_progress progress = { .environment_steps = SETTLING_STEPS, .training_steps = SETTLING_STEPS };
	struct qat_shape shape = { .layers = { state->config.hidden_count + 1, state->config.hidden_count + 1 } };
	struct step_range *ranges = calloc(qat_entries(&shape), sizeof(*ranges));
	struct step_quantizer *quantizers = calloc(qat_entries(&shape), sizeof(*quantizers));
	struct device_statistics statistics;
	struct qat_policy *policy = NULL;
	int error = ranges && quantizers ? ops->set_mode(state->agent, &observing) : -ENOMEM;

	for (unsigned i = 0; !error && i < SETTLING_STEPS; i++)
		error = ops->train(state->agent, &state->batch, &statistics);
	if (!error)
		error = qat_delay_create(&shape, precision, 0, 1, NULL, 0, NULL, &policy);
	if (!error)
		error = ops->read_ranges(state->agent, ranges);
	if (!error)
		error = ops->read_quantizers(state->agent, quantizers);
	if (!error && policy->ops->decide(policy, &progress, ranges, quantizers) != QAT_SWITCH)
		error = -EIO;
	if (!error)
		error = ops->write_quantizers(state->agent, quantizers);
	if (!error)
		error = ops->set_mode(state->agent, &quantized);
	qat_policy_destroy(policy);
	free(quantizers);
	free(ranges);
	return error;
}

int bench_case_open(struct bench_case *bench, const struct bench_shape *shape, const char *engine)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	const struct step_mode full = { .quantized = 0 };
	struct bench_state *state = calloc(1, sizeof(*state));
	uint32_t size = bench->batch ? bench->batch : 1;
	int error;

	bench->state = state;
	if (!state)
		return -ENOMEM;
	options.engine = engine;
	options.threads = bench->threads;
	options.precision = bench->precision;
	options.log = cli_log;
	error = make_config(&state->config, shape, size);
	if (!error)
		error = make_inputs(state, size);
	if (!error)
		error = fixar_device_open("cpu", &options, &state->device);
	if (!error)
		error = state->device->ops->agent_create(state->device, &state->config, &state->agent);
	if (!error)
		error = bench->precision >= FIXAR_QAT16 ? switch_precision(state, bench->precision)
							: state->agent->ops->set_mode(state->agent, &full);
	return error;
}

void bench_case_close(struct bench_case *bench)
{
	struct bench_state *state = bench->state;

	if (!state)
		return;
	if (state->agent)
		state->agent->ops->agent_destroy(state->agent);
	if (state->device)
		fixar_device_close(state->device);
	free(state->observation);
	free(state->next_observation);
	free(state->action);
	free(state->answer);
	free(state->reward);
	free(state->terminal);
	free(state);
	bench->state = NULL;
}

const char *bench_case_device(const struct bench_case *bench)
{
	return fixar_device_description(bench->state->device);
}

int bench_case_run(struct bench_case *bench, double seconds, double *rate, double *processor_rate)
{
	struct bench_state *state = bench->state;
	const struct device_ops *ops = state->agent->ops;
	const double start = cli_now(), processor_start = bench_processor_time();
	uint64_t done = 0;
	double passed;
	int error = 0;

	do {
		if (bench->batch) {
			struct device_statistics statistics;

			error = ops->train(state->agent, &state->batch, &statistics);
			done++;
		} else {
			for (unsigned i = 0; !error && i < ACTIONS_BETWEEN_LOOKS; i++)
				error = ops->act(state->agent, 1, state->observation, state->answer, 0);
			done += ACTIONS_BETWEEN_LOOKS;
		}
		passed = cli_now() - start;
	} while (!error && passed < seconds && !cli_interrupted());
	*rate = (double)done / passed;
	*processor_rate = (double)done / (bench_processor_time() - processor_start);
	return error;
}
