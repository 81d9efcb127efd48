// SPDX-License-Identifier: MIT
/* The public face of an agent: making it, training it, asking it. */
#include "agent/agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device/options.h"
#include "qat/schedule.h"

void fixar_agent_destroy(struct fixar_agent *agent)
{
	if (!agent)
		return;
	ddpg_destroy(agent->ddpg);
	if (agent->state)
		agent->state->ops->agent_destroy(agent->state);
	if (agent->owns_device)
		fixar_device_close(agent->device);
	free(agent->bits);
	free(agent);
}

static int take_device(struct fixar_agent *agent, struct fixar_device *device)
{
	const struct fixar_device_options options = {
		.size = sizeof(options),
		.precision = agent->options.precision,
		.log = agent->log.write,
		.log_user = agent->log.user,
	};
	const int is_float32 = agent->options.precision == FIXAR_FLOAT32;
	int error;

	if (!device) {
		error = fixar_device_open("auto", &options, &agent->device);
		agent->owns_device = !error;
		return error;
	}
	agent->device = device;
	if (!device->is_float32 != !is_float32) {
		log_line(&agent->log, FIXAR_LOG_ERROR,
			 "precision: %s cannot run on the device \"%s\", which was opened for %s",
			 fixar_precision_name(agent->options.precision), device->description,
			 device->is_float32 ? "float32" : "fixed point");
		return -EINVAL;
	}
	return 0;
}

static int copy_bits(struct fixar_agent *agent)
{
	const size_t count = agent->options.bits_count;

	if (!count)
		return 0;
	agent->bits = reallocarray(NULL, count, sizeof(*agent->bits));
	if (!agent->bits)
		return -ENOMEM;
	memcpy(agent->bits, agent->options.bits, count * sizeof(*agent->bits));
	agent->options.bits = agent->bits;
	return 0;
}

static int make_loop(struct fixar_agent *agent)
{
	const struct fixar_agent_options *options = &agent->options;
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
	struct qat_policy *policy = NULL;
	struct qat_shape shape;
	int error;

	for (int network = 0; network < STEP_NETWORKS; network++)
		shape.layers[network] = step_layers(&agent->config, (enum step_network)network, inputs, outputs);
	if (options->precision >= FIXAR_QAT16) {
		error = qat_schedule_create(&shape, options, &agent->log, &policy);
		if (error)
			return error;
	}
	return ddpg_create(&agent->env, options, agent->state, &shape, policy, &agent->log, &agent->ddpg);
}

int fixar_agent_create(struct fixar_device *device, const struct fixar_env *env,
		       const struct fixar_agent_options *options, struct fixar_agent **created)
{
	struct fixar_agent *agent;
	int error;

	if (!created)
		return -EINVAL;
	*created = NULL;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	error = agent_options_take(options, &agent->options);
	if (error)
		goto failed;
	agent->log = (struct log_sink){ agent->options.log, agent->options.log_user };
	error = agent_check_env(env, &agent->log);
	if (error)
		goto failed;
	agent->env = *env;
	error = agent_options_resolve(&agent->options, env->spec, &agent->config);
	if (!error)
		error = copy_bits(agent);
	if (!error)
		error = take_device(agent, device);
	if (!error)
		error = agent->device->ops->agent_create(agent->device, &agent->config, &agent->state);
	if (!error)
		error = make_loop(agent);
	if (!error)
		error = agent_cycles_start(agent);
	if (error)
		goto failed;
	*created = agent;
	return 0;

failed:
	fixar_agent_destroy(agent);
	return error;
}

const struct fixar_agent_options *fixar_agent_options(const struct fixar_agent *agent)
{
	return &agent->options;
}

const struct fixar_device *fixar_agent_device(const struct fixar_agent *agent)
{
	return agent->device;
}

int fixar_agent_train(struct fixar_agent *agent, uint64_t steps, fixar_progress_fn progress, void *user)
{
	struct fixar_progress now;
	int result = 0;

	if (agent->for_acting_only) {
		log_line(&agent->log, FIXAR_LOG_ERROR,
			 "this agent was loaded without `resume`: it has no replay memory to train from");
		return -EPERM;
	}
	while (!result && agent->ddpg->record.environment_steps < steps) {
		const uint64_t trained = agent->ddpg->record.training_steps;

		result = ddpg_step(agent->ddpg, &now);
		if (!result)
			agent_cycles_count(agent, agent->ddpg->record.training_steps - trained, now.switched);
		if (!result && progress)
			result = progress(user, &now);
	}
	return result;
}

int fixar_agent_act(struct fixar_agent *agent, const double *observation, double *action)
{
	uint32_t component = 0;
	int error = ddpg_policy_action(agent->ddpg, observation, action, &component);

	if (error == -EDOM)
		log_line(&agent->log, FIXAR_LOG_ERROR, "component %u of the observation to act on is %g", component,
			 observation[component]);
	return error;
}

int agent_read_state(struct fixar_agent *agent, const struct step_tensor **tensors, size_t *count,
		     unsigned char **state)
{
	size_t bytes;
	int error = agent->state->ops->state_layout(agent->state, tensors, count, &bytes);

	if (error)
		return error;
	/* Larger than nothing, so that NULL means out of memory. */
	*state = malloc(bytes + 1);
	if (!*state)
		return -ENOMEM;
	error = agent->state->ops->state_read(agent->state, *state);
	if (error)
		free(*state);
	return error;
}

/* Whether a tensor is weights or biases of actor or critic: not of targets, not a moment. */
static int is_weight(const struct step_tensor *tensor)
{
	const char *dot = strrchr(tensor->name, '.');

	return (!strncmp(tensor->name, "actor.", 6) || !strncmp(tensor->name, "critic.", 7)) && dot &&
	       (!strcmp(dot, ".weight") || !strcmp(dot, ".bias"));
}

static double largest_of(const struct step_tensor *tensor, const unsigned char *bytes)
{
	double largest = 0;

	for (size_t i = 0; i < tensor->bytes; i += 4) {
		double value;

		if (tensor->dtype == STEP_F32) {
			float single;

			memcpy(&single, bytes + i, sizeof(single));
			value = (double)single;
		} else {
			int32_t fixed;

			memcpy(&fixed, bytes + i, sizeof(fixed));
			value = (double)fixed * 0x1p-26;
		}
		if (fabs(value) > largest)
			largest = fabs(value);
	}
	return largest;
}

/* What the device's state says: the largest weight, and saturations, which exploring actions count too. */
static int scan_state(struct fixar_agent *agent, struct fixar_agent_status *status)
{
	const struct step_tensor *tensors;
	unsigned char *state;
	size_t count;
	int error = agent_read_state(agent, &tensors, &count, &state);

	if (error)
		return error;
	for (size_t t = 0; t < count; t++) {
		const unsigned char *bytes = state + tensors[t].offset;

		if (is_weight(&tensors[t]))
			status->largest_weight = fmax(status->largest_weight, largest_of(&tensors[t], bytes));
		else if (!strcmp(tensors[t].name, "saturation") &&
			 tensors[t].bytes == STEP_SATURATIONS * sizeof(status->saturation[0]))
			memcpy(status->saturation, bytes, tensors[t].bytes);
	}
	free(state);
	return 0;
}

int fixar_agent_status(struct fixar_agent *agent, struct fixar_agent_status *status)
{
	const struct ddpg_record *record = &agent->ddpg->record;
	struct fixar_agent_status known = {
		.size = sizeof(known),
		.environment_steps = record->environment_steps,
		.training_steps = record->training_steps,
		.episodes = record->episodes,
		.quantized = record->switches > 0,
		.last_return = record_last_return(record),
		.mean_return = record_mean_return(record),
		.last_episode_steps = record->last_episode_steps,
		.critic_loss = record_critic_loss(record),
		.mean_q = record_mean_q(record),
		.array_cycles = record->array_cycles == RECORD_CYCLES_UNKNOWN ? 0 : record->array_cycles,
		.switches = record->switches,
	};
	int error = scan_state(agent, &known);

	if (error)
		return error;
	known.saturation[STEP_SATURATIONS] = record->input_saturations;
	return options_answer(status, status->size, &known, sizeof(known));
}
