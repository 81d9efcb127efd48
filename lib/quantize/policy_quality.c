// SPDX-License-Identifier: MIT
#include "quantize/policy_quality.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

#define TEST_EPISODES 5		   /* times those of an evaluation */
#define TEST_SEED UINT64_C(1000000) /* beyond the seed of the searches' start states */

struct policy_quality {
	struct policy_quality_options options;
	struct fixar_env env;
	struct fixar_agent *agent;
	struct cost_network network;
	struct cell_noise noise;
	unsigned char *state; /* of an actor's device, as it was loaded: where noise starts from. NULL without noise */
};

static void describe(struct policy_quality *quality)
{
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];

	const enum step_network network = quality->options.critic ? STEP_CRITIC : STEP_ACTOR;

	quality->network.layers = step_layers(&quality->agent->config, network, inputs, outputs);
	for (uint32_t l = 0; l < quality->network.layers; l++) {
		struct cost_layer *layer = &quality->network.layer[l];

		snprintf(layer->name, sizeof(layer->name), "%s.%u", quality->options.critic ? "critic" : "actor", l);
		layer->inputs = inputs[l];
		layer->outputs = outputs[l];
		layer->positions = 1;
	}
}

static int prepare_noise(struct policy_quality *quality)
{
	const struct policy_quality_options *options = &quality->options;
	const struct log_sink log = { options->log, options->log_user };
	const struct step_tensor *tensors;
	size_t count;

	quality->noise = *options->noise;
	/* Said before a search, not after it. */
	if ((options->critic || options->fine_tunes) && !quality->agent->state->ops->set_weight_store) {
		log_line(&log, FIXAR_LOG_ERROR,
			 "networks that train with cells that vary or have few levels are modelled on the CPU alone, not on %s",
			 quality->agent->device->description);
		return -EOPNOTSUPP;
	}
	return agent_read_state(quality->agent, &tensors, &count, &quality->state);
}

int policy_quality_open(const struct policy_quality_options *options, struct policy_quality **created)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };
	const struct log_sink log = { options->log, options->log_user };
	struct policy_quality *quality = calloc(1, sizeof(*quality));
	char message[512] = "";
	int error;

	*created = NULL;
	if (!quality)
		return -ENOMEM;
	quality->options = *options;
	error = fixar_checkpoint_info(options->directory, &info, options->log, options->log_user);
	if (!error) {
		error = fixar_env_find(info.environment, &quality->env, message, sizeof(message));
		if (error)
			log_line(&log, FIXAR_LOG_ERROR, "%s", message);
	}
	if (!error && info.precision < FIXAR_QAT16) {
		log_line(&log, FIXAR_LOG_ERROR,
			 "%s was trained in %s; only training in qat16 or qat16x16 observes the ranges that narrower operands need "
			 "(with a delay beyond its end it is training in full precision)",
			 options->directory, fixar_precision_name(info.precision));
		error = -EINVAL;
	}
	if (!error)
		error = fixar_agent_load(options->device, &quality->env, options->directory, 0, options->log,
					 options->log_user, &quality->agent);
	if (!error && options->noise)
		error = prepare_noise(quality);
	if (error) {
		policy_quality_close(quality);
		return error;
	}
	describe(quality);
	*created = quality;
	return 0;
}

void policy_quality_close(struct policy_quality *quality)
{
	if (!quality)
		return;
	fixar_agent_destroy(quality->agent);
	free(quality->state);
	free(quality);
}

const struct cost_network *policy_quality_network(const struct policy_quality *quality)
{
	return &quality->network;
}

void policy_quality_bits(const struct policy_quality *quality, const struct cost_widths *widths,
			 struct fixar_layer_bits *bits)
{
	for (uint32_t l = 0; l < quality->network.layers; l++)
		bits[l] = (struct fixar_layer_bits){
			.network = quality->options.critic != 0,
			.layer = l,
			.activation = widths[l].activation,
			.weight = widths[l].weight,
		};
}

static int evaluate(struct policy_quality *quality, struct fixar_agent *agent, double *mean_return)
{
	struct fixar_evaluation result = { .size = sizeof(result) };
	int error = fixar_agent_evaluate(agent, quality->options.episodes, quality->options.seed, NULL, &result);

	*mean_return = result.mean_return;
	return error;
}

int policy_quality_evaluate(void *user, const struct cost_widths *widths, double *mean_return)
{
	struct policy_quality *quality = user;
	struct fixar_layer_bits bits[COST_MAX_LAYERS];
	int error = 0;

	if (quality->options.critic)
		return policy_quality_fine_tune(quality, widths, quality->options.tune_steps, mean_return);
	/* Weights' fractions come from the weights: the clean ones. */
	if (quality->state)
		error = quality->agent->state->ops->state_write(quality->agent->state, quality->state);
	policy_quality_bits(quality, widths, bits);
	if (!error)
		error = fixar_agent_set_bits(quality->agent, bits, quality->network.layers);
	if (!error && quality->state)
		error = cell_noise_disturb_actor(&quality->noise, quality->agent);
	return error ? error : evaluate(quality, quality->agent, mean_return);
}

/* ---- Fine-tuning ---- */

int policy_quality_fine_tune(struct policy_quality *quality, const struct cost_widths *widths, uint64_t steps,
			     double *mean_return)
{
	const struct policy_quality_options *options = &quality->options;
	struct fixar_layer_bits bits[COST_MAX_LAYERS];
	struct fixar_agent *agent;
	int error = fixar_agent_load(options->device, &quality->env, options->directory, 1, options->log,
				     options->log_user, &agent);

	if (error)
		return error;
	policy_quality_bits(quality, widths, bits);
	/* Widths of an agent that trains are a matter of its options for everybody else; this one is never saved. */
	agent->for_acting_only = 1;
	error = fixar_agent_set_bits(agent, bits, quality->network.layers);
	agent->for_acting_only = 0;
	/* A precision schedule would go on to its next stage. */
	qat_policy_destroy(agent->ddpg->policy);
	agent->ddpg->policy = NULL;
	if (!error && options->noise)
		error = cell_noise_attach(&quality->noise, agent, options->critic);
	if (!error)
		error = fixar_agent_train(agent, agent->ddpg->record.environment_steps + steps, NULL, NULL);
	if (!error)
		error = evaluate(quality, agent, mean_return);
	fixar_agent_destroy(agent);
	return error;
}

int policy_quality_test(struct policy_quality *quality, const struct cost_widths *widths, uint64_t steps,
			double *mean_return)
{
	struct policy_quality_options *options = &quality->options;
	const struct policy_quality_options searched = *options;
	int error;

	options->episodes *= TEST_EPISODES;
	options->seed += TEST_SEED;
	error = steps ? policy_quality_fine_tune(quality, widths, steps, mean_return) :
			policy_quality_evaluate(quality, widths, mean_return);
	*options = searched;
	return error;
}
