// SPDX-License-Identifier: MIT
#include "ddpg/ddpg.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ddpg/edge.h"
#include "fx/fixed.h"
#include "fx/random.h"

/* Buffers of one step; nothing in them outlives it. */
struct ddpg_scratch {
	double *observation, *action; /* as the environment sees them */
	float *next_observation;
	int32_t *act_observation, *act_action; /* as the device sees them */
	uint64_t *slots;
	struct replay_batch stored;
	int32_t *batch_observation, *batch_reward, *batch_next_observation;
	struct step_range *ranges;
	struct step_quantizer *quantizers;
};

static void scratch_destroy(struct ddpg_scratch *scratch)
{
	if (!scratch)
		return;
	free(scratch->observation);
	free(scratch->action);
	free(scratch->next_observation);
	free(scratch->act_observation);
	free(scratch->act_action);
	free(scratch->slots);
	free(scratch->stored.observation);
	free(scratch->stored.action);
	free(scratch->stored.reward);
	free(scratch->stored.next_observation);
	free(scratch->stored.terminal);
	free(scratch->batch_observation);
	free(scratch->batch_reward);
	free(scratch->batch_next_observation);
	free(scratch->ranges);
	free(scratch->quantizers);
	free(scratch);
}

static struct ddpg_scratch *scratch_create(size_t observation_dim, size_t action_dim, size_t batch, size_t entries)
{
	struct ddpg_scratch *scratch = calloc(1, sizeof(*scratch));

	if (!scratch)
		return NULL;
	scratch->observation = calloc(observation_dim, sizeof(double));
	scratch->action = calloc(action_dim, sizeof(double));
	scratch->next_observation = calloc(observation_dim, sizeof(float));
	scratch->act_observation = calloc(observation_dim, sizeof(int32_t));
	scratch->act_action = calloc(action_dim, sizeof(int32_t));
	scratch->slots = calloc(batch, sizeof(uint64_t));
	scratch->stored.observation = calloc(batch * observation_dim, sizeof(float));
	scratch->stored.action = calloc(batch * action_dim, sizeof(int32_t));
	scratch->stored.reward = calloc(batch, sizeof(float));
	scratch->stored.next_observation = calloc(batch * observation_dim, sizeof(float));
	scratch->stored.terminal = calloc(batch, sizeof(uint8_t));
	scratch->batch_observation = calloc(batch * observation_dim, sizeof(int32_t));
	scratch->batch_reward = calloc(batch, sizeof(int32_t));
	scratch->batch_next_observation = calloc(batch * observation_dim, sizeof(int32_t));
	scratch->ranges = calloc(entries, sizeof(*scratch->ranges));
	scratch->quantizers = calloc(entries, sizeof(*scratch->quantizers));
	if (scratch->observation && scratch->action && scratch->next_observation && scratch->act_observation &&
	    scratch->act_action && scratch->slots && scratch->stored.observation && scratch->stored.action &&
	    scratch->stored.reward && scratch->stored.next_observation && scratch->stored.terminal &&
	    scratch->batch_observation && scratch->batch_reward && scratch->batch_next_observation && scratch->ranges &&
	    scratch->quantizers)
		return scratch;
	scratch_destroy(scratch);
	return NULL;
}

void ddpg_destroy(struct ddpg *ddpg)
{
	if (!ddpg)
		return;
	if (ddpg->instance)
		ddpg->env.ops->destroy(ddpg->instance);
	replay_destroy(ddpg->replay);
	normalizer_destroy(ddpg->normalizer);
	qat_policy_destroy(ddpg->policy);
	free(ddpg->observation);
	scratch_destroy(ddpg->scratch);
	free(ddpg);
}

int ddpg_create(const struct fixar_env *env, const struct fixar_agent_options *options, struct device_agent *device,
		const struct qat_shape *shape, struct qat_policy *policy, const struct log_sink *log,
		struct ddpg **created)
{
	const struct fixar_env_spec *spec = env->spec;
	const struct replay_config replay_config = {
		.observation_dim = spec->observation_dim,
		.action_dim = spec->action_dim,
		.capacity = options->replay_capacity,
	};
	struct ddpg *ddpg = calloc(1, sizeof(*ddpg));
	int error;

	if (!ddpg) {
		qat_policy_destroy(policy);
		return -ENOMEM;
	}
	ddpg->env = *env;
	ddpg->options = options;
	ddpg->log = *log;
	ddpg->device = device;
	ddpg->shape = *shape;
	ddpg->policy = policy;
	ddpg->record.observing = policy != NULL;

	error = -ENOMEM;
	ddpg->observation = calloc(spec->observation_dim, sizeof(float));
	ddpg->scratch = scratch_create(spec->observation_dim, spec->action_dim, options->batch, qat_entries(shape));
	if (!ddpg->observation || !ddpg->scratch)
		goto failed;
	if (options->normalize_observations) {
		error = normalizer_create(spec->observation_dim, &ddpg->normalizer);
		if (error)
			goto failed;
	}
	error = replay_create(&replay_config, &ddpg->replay);
	if (error)
		goto failed;
	error = env->ops->create(env->user, &ddpg->instance);
	if (error) {
		ddpg->instance = NULL;
		log_line(log, FIXAR_LOG_ERROR, "environment %s: create() failed: %s", spec->name, log_errno(error));
		goto failed;
	}
	error = ddpg_set_mode(ddpg);
	if (error)
		goto failed;
	*created = ddpg;
	return 0;

failed:
	ddpg_destroy(ddpg);
	return error;
}

int ddpg_set_mode(struct ddpg *ddpg)
{
	const struct fixar_agent_options *options = ddpg->options;

	ddpg->mode = (struct step_mode){
		.quantized = ddpg->record.switches > 0,
		.observe = ddpg->record.observing,
		.parallelism = STEP_PARALLELISM_AUTO,
		.noise = options->noise == FIXAR_NOISE_OU ? STEP_NOISE_OU : STEP_NOISE_GAUSSIAN,
		.noise_sigma = (int32_t)edge_fraction(options->noise_sigma, FX_NOISE),
		.noise_theta = (int32_t)edge_fraction(options->noise_theta, FX_NOISE),
	};
	return ddpg->device->ops->set_mode(ddpg->device, &ddpg->mode);
}

/* The environment's observation, rounded to single precision; refuses what is not finite. */
static int take_observation(struct ddpg *ddpg, const double *values, float *observation)
{
	for (uint32_t i = 0; i < ddpg->env.spec->observation_dim; i++) {
		const int error = edge_single(values[i], &observation[i]);

		if (error) {
			log_line(&ddpg->log, FIXAR_LOG_ERROR,
				 "environment %s, step %llu: component %u of the observation is %g",
				 ddpg->env.spec->name, (unsigned long long)ddpg->record.environment_steps, i,
				 values[i]);
			return error;
		}
	}
	if (ddpg->normalizer)
		normalizer_add(ddpg->normalizer, observation);
	return 0;
}

static void to_fixed(const struct ddpg *ddpg, size_t rows, const float *observation, int32_t *fixed,
		     uint64_t *saturated)
{
	const uint32_t dim = ddpg->env.spec->observation_dim;

	for (size_t row = 0; row < rows; row++) {
		for (uint32_t i = 0; i < dim; i++) {
			double x = (double)observation[row * dim + i];

			if (ddpg->normalizer)
				x = normalizer_apply(ddpg->normalizer, i, x);
			fixed[row * dim + i] = edge_fixed(x, saturated);
		}
	}
}

static void to_environment(const struct ddpg *ddpg, const int32_t *fixed, double *action)
{
	const struct fixar_env_spec *spec = ddpg->env.spec;

	for (uint32_t j = 0; j < spec->action_dim; j++)
		action[j] = edge_action(fixed[j], spec->action_low[j], spec->action_high[j]);
}

static void phase(const struct ddpg *ddpg, enum ddpg_phase next)
{
	if (ddpg->on_phase)
		ddpg->on_phase(ddpg->phase_user, next);
}

static int start_episode(struct ddpg *ddpg)
{
	struct ddpg_record *record = &ddpg->record;
	struct fixar_rng rng = {
		.seed = ddpg->options->seed,
		.index = record->episodes_started,
		.purpose = FX_RANDOM_ENV_RESET,
	};
	int error;

	phase(ddpg, DDPG_ENVIRONMENT);
	error = ddpg->env.ops->reset(ddpg->instance, &rng, ddpg->scratch->observation);
	if (error) {
		log_line(&ddpg->log, FIXAR_LOG_ERROR, "environment %s, step %llu: reset() failed: %s",
			 ddpg->env.spec->name, (unsigned long long)record->environment_steps, log_errno(error));
		return error;
	}
	/* Before the check: a start state that is not finite must not be drawn again for ever. */
	record->episodes_started++;
	error = take_observation(ddpg, ddpg->scratch->observation, ddpg->observation);
	if (error)
		return error;
	record->episode_active = 1;
	record->noise_reset = 1;
	record->episode_steps = 0;
	record->episode_return = 0;
	return 0;
}

/* A random action during the warm-up, a noisy one of the network after it; fraction 20. */
static int choose_action(struct ddpg *ddpg, int32_t *action)
{
	struct ddpg_record *record = &ddpg->record;
	struct ddpg_scratch *scratch = ddpg->scratch;
	uint32_t flags = STEP_ACT_EXPLORE;
	int error;

	if (record->environment_steps < ddpg->options->warm_up_steps) {
		for (uint32_t j = 0; j < ddpg->env.spec->action_dim; j++)
			action[j] = edge_warm_up(ddpg->options->seed, record->environment_steps, j);
		return 0;
	}
	to_fixed(ddpg, 1, ddpg->observation, scratch->act_observation, &record->input_saturations);
	if (record->noise_reset)
		flags |= STEP_ACT_RESET_NOISE;
	error = ddpg->device->ops->act(ddpg->device, 1, scratch->act_observation, action, flags);
	if (!error)
		record->noise_reset = 0;
	return error;
}

/* Acts and keeps the transition. *terminated and *reward are the environment's. */
static int interact(struct ddpg *ddpg, double *reward, int *terminated)
{
	struct ddpg_scratch *scratch = ddpg->scratch;
	const struct fixar_env_spec *spec = ddpg->env.spec;
	const unsigned long long step = ddpg->record.environment_steps;
	float scaled_reward;
	int error;

	phase(ddpg, DDPG_ACT);
	error = choose_action(ddpg, scratch->act_action);
	if (error)
		return error;
	to_environment(ddpg, scratch->act_action, scratch->action);
	*terminated = 0;
	phase(ddpg, DDPG_ENVIRONMENT);
	error = ddpg->env.ops->step(ddpg->instance, scratch->action, scratch->observation, reward, terminated);
	if (error) {
		log_line(&ddpg->log, FIXAR_LOG_ERROR, "environment %s, step %llu: step() failed: %s", spec->name, step,
			 log_errno(error));
		return error;
	}
	phase(ddpg, DDPG_STORE);
	error = edge_single(ldexp(*reward, ddpg->options->reward_scale_log2), &scaled_reward);
	if (error) {
		log_line(&ddpg->log, FIXAR_LOG_ERROR, "environment %s, step %llu: the reward is %g", spec->name, step,
			 *reward);
		return error;
	}
	error = take_observation(ddpg, scratch->observation, scratch->next_observation);
	if (error)
		return error;
	return replay_append(ddpg->replay, ddpg->observation, scratch->act_action, scaled_reward,
			     scratch->next_observation, *terminated != 0);
}

static int train_once(struct ddpg *ddpg, struct fixar_progress *progress)
{
	struct ddpg_record *record = &ddpg->record;
	struct ddpg_scratch *scratch = ddpg->scratch;
	const uint64_t count = replay_count(ddpg->replay);
	const uint32_t batch = ddpg->options->batch;
	uint64_t *input = &record->input_saturations;
	struct device_statistics statistics;
	int error;

	phase(ddpg, DDPG_SAMPLE);
	for (uint32_t b = 0; b < batch; b += 4) {
		const struct fx_random_block block =
			fx_random_philox(ddpg->options->seed, FX_RANDOM_REPLAY, record->training_steps, b / 4);

		for (uint32_t i = b; i < batch && i < b + 4; i++)
			scratch->slots[i] = fx_random_below(block.word[i % 4], (uint32_t)count);
	}
	replay_gather(ddpg->replay, batch, scratch->slots, &scratch->stored);
	to_fixed(ddpg, batch, scratch->stored.observation, scratch->batch_observation, input);
	to_fixed(ddpg, batch, scratch->stored.next_observation, scratch->batch_next_observation, input);
	for (uint32_t b = 0; b < batch; b++)
		scratch->batch_reward[b] = edge_fixed((double)scratch->stored.reward[b], input);

	phase(ddpg, DDPG_TRAIN);
	error = ddpg->device->ops->train(ddpg->device,
					 &(struct step_batch){
						 .size = batch,
						 .observation = scratch->batch_observation,
						 .action = scratch->stored.action,
						 .reward = scratch->batch_reward,
						 .next_observation = scratch->batch_next_observation,
						 .terminal = scratch->stored.terminal,
					 },
					 &statistics);
	phase(ddpg, DDPG_OTHER);
	if (error)
		return error;
	record_training(record, statistics.critic_loss, statistics.mean_q);
	progress->critic_loss = statistics.critic_loss;
	progress->mean_q = statistics.mean_q;
	if (!isfinite(statistics.critic_loss) || !isfinite(statistics.mean_q)) {
		log_line(&ddpg->log, FIXAR_LOG_ERROR,
			 "training step %llu: the critic's loss is %g, its mean Q %g: diverged",
			 (unsigned long long)record->training_steps, statistics.critic_loss, statistics.mean_q);
		return -EDOM;
	}
	return 0;
}

static void log_quantizers(const struct ddpg *ddpg)
{
	static const char *const network_name[STEP_NETWORKS] = { "actor", "critic" };

	for (uint32_t network = 0; network < STEP_NETWORKS; network++) {
		for (uint32_t layer = 0; layer < ddpg->shape.layers[network]; layer++) {
			const size_t entry = qat_entry(&ddpg->shape, network, layer, STEP_ACTIVATION);
			const struct step_quantizer *table = &ddpg->scratch->quantizers[entry];

			log_line(&ddpg->log, FIXAR_LOG_DEBUG,
				 "%s layer %u: activation %d bits, fraction %d; weight %d, %d; gradient %d, %d",
				 network_name[network], layer, table[STEP_ACTIVATION].width,
				 table[STEP_ACTIVATION].fraction, table[STEP_WEIGHT].width, table[STEP_WEIGHT].fraction,
				 table[STEP_GRADIENT].width, table[STEP_GRADIENT].fraction);
		}
	}
}

/* Ranges, policy, quantizers, mode: in this order, so that the device never computes with a table to come. */
static int consult_policy(struct ddpg *ddpg, struct fixar_progress *progress)
{
	struct ddpg_record *record = &ddpg->record;
	const struct device_ops *ops = ddpg->device->ops;
	const struct qat_progress state = {
		.environment_steps = record->environment_steps,
		.training_steps = record->training_steps,
		.switches = record->switches,
		.critic_loss = progress->critic_loss,
		.mean_q = progress->mean_q,
		.gradient_diversity = ddpg_gradient_diversity,
		.user = ddpg,
	};
	enum qat_decision decision;
	int error;

	if (!ddpg->policy->ops->due(ddpg->policy, &state))
		return 0;
	error = ops->read_ranges(ddpg->device, ddpg->scratch->ranges);
	if (!error)
		error = ops->read_quantizers(ddpg->device, ddpg->scratch->quantizers);
	if (error)
		return error;
	decision = ddpg->policy->ops->decide(ddpg->policy, &state, ddpg->scratch->ranges, ddpg->scratch->quantizers);
	if (decision == QAT_NOTHING)
		return 0;
	error = ops->write_quantizers(ddpg->device, ddpg->scratch->quantizers);
	if (error) {
		log_line(&ddpg->log, FIXAR_LOG_ERROR, "the device refuses the quantizers of policy \"%s\": %s",
			 ddpg->policy->ops->name, log_errno(error));
		return error;
	}
	record->switches++;
	record->observing = decision == QAT_SWITCH_AND_OBSERVE;
	error = ddpg_set_mode(ddpg);
	if (error)
		return error;
	progress->switched = 1;
	log_line(&ddpg->log, FIXAR_LOG_INFO,
		 "environment step %llu: operands are quantized from here on (policy \"%s\")",
		 (unsigned long long)record->environment_steps, ddpg->policy->ops->name);
	log_quantizers(ddpg);
	return 0;
}

const struct step_quantizer *ddpg_quantizers(const struct ddpg *ddpg)
{
	return ddpg->scratch->quantizers;
}

static int learn(struct ddpg *ddpg, struct fixar_progress *progress)
{
	const struct fixar_agent_options *options = ddpg->options;
	int error = 0;

	/* The step that was just taken was one of the warm-up. */
	if (ddpg->record.environment_steps <= options->warm_up_steps || replay_count(ddpg->replay) < options->batch)
		return 0;
	for (uint32_t i = 0; i < options->updates_per_step && !error; i++)
		error = train_once(ddpg, progress);
	return error;
}

int ddpg_step(struct ddpg *ddpg, struct fixar_progress *progress)
{
	struct ddpg_record *record = &ddpg->record;
	const uint32_t limit = ddpg->env.spec->max_episode_steps;
	double reward = 0;
	int terminated = 0, error = 0;

	*progress = (struct fixar_progress){ .size = sizeof(*progress), .critic_loss = NAN, .mean_q = NAN };
	if (!record->episode_active)
		error = start_episode(ddpg);
	if (!error)
		error = interact(ddpg, &reward, &terminated);
	phase(ddpg, DDPG_OTHER);
	if (error)
		goto failed;
	memcpy(ddpg->observation, ddpg->scratch->next_observation,
	       ddpg->env.spec->observation_dim * sizeof(*ddpg->observation));
	record->environment_steps++;
	record->episode_steps++;
	record->episode_return += reward;

	error = learn(ddpg, progress);
	if (!error && ddpg->policy)
		error = consult_policy(ddpg, progress);
	if (error)
		goto failed;

	progress->environment_steps = record->environment_steps;
	progress->training_steps = record->training_steps;
	/* The limit cuts the episode off without being an end of the task: the transition is stored as not terminal. */
	if (terminated || (limit && record->episode_steps >= limit)) {
		progress->episode_end = 1;
		progress->episode_return = record->episode_return;
		progress->episode_steps = record->episode_steps;
		record_episode(record);
	}
	return 0;

failed:
	record->episode_active = 0;
	return error;
}

int ddpg_policy_action(struct ddpg *ddpg, const double *observation, double *action, uint32_t *component)
{
	struct ddpg_scratch *scratch = ddpg->scratch;
	uint64_t saturated = 0;
	int error;

	for (uint32_t i = 0; i < ddpg->env.spec->observation_dim; i++) {
		*component = i;
		error = edge_single(observation[i], &scratch->next_observation[i]);
		if (error)
			return error;
	}
	to_fixed(ddpg, 1, scratch->next_observation, scratch->act_observation, &saturated);
	error = ddpg->device->ops->act(ddpg->device, 1, scratch->act_observation, scratch->act_action, 0);
	if (!error)
		to_environment(ddpg, scratch->act_action, action);
	return error;
}
