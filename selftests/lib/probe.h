/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the training loop and of agents: an environment whose every observation says where it is from, a
 * device that computes nothing and writes down what it is told, and a log that can be searched.
 */
#ifndef FIXAR_SELFTESTS_LIB_PROBE_H
#define FIXAR_SELFTESTS_LIB_PROBE_H

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fixar/fixar.h>

#include "device/device.h"

/* ---- Log ---- */

struct probe_log {
	char text[16384];
	size_t used;
};

static inline void probe_log_write(void *user, enum fixar_log_level level, const char *message)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	struct probe_log *log = user;
	const int written =
		snprintf(log->text + log->used, sizeof(log->text) - log->used, "%s: %s\n", names[level], message);

	if (written > 0 && log->used + (size_t)written < sizeof(log->text))
		log->used += (size_t)written;
}

static inline void probe_log_clear(struct probe_log *log)
{
	log->used = 0;
	log->text[0] = '\0';
}

/* ---- Environment ---- */

/*
 * Step t of the episode with reset index e observes { position, (e + t / 256) / 16 }; the reward of the step is the
 * second component that it leads to. The action moves the position by its tenth.
 */
#define PROBE_CLOCK(episode, step) (((double)(episode) + (double)(step) / 256) / 16)

struct probe_env {
	struct fixar_env env;
	struct fixar_env_spec spec;
	struct fixar_env_ops ops;
	double low, high;
	uint32_t terminate_after; /* the step of an episode that is terminal; 0: none */
	uint64_t bad_step;	  /* the number of the step() call, from 1, that answers with bad_value; 0: none */
	int bad_component;	  /* of the observation; -1: the reward; -2: the call fails with -EIO */
	double bad_value;
	int bad_reset; /* reset() answers with bad_value in component 1 */
	uint64_t steps, resets, created, destroyed;
	uint32_t last_purpose;
	double last_action;
	double size_of_start; /* start positions lie within +- this */
};

struct probe_instance {
	struct probe_env *probe;
	double position;
	uint64_t episode, step;
};

static inline int probe_create(void *user, void **instance)
{
	struct probe_instance *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->probe = user;
	made->probe->created++;
	*instance = made;
	return 0;
}

static inline void probe_destroy(void *instance)
{
	((struct probe_instance *)instance)->probe->destroyed++;
	free(instance);
}

static inline int probe_reset(void *instance, struct fixar_rng *rng, double *observation)
{
	struct probe_instance *at = instance;

	at->probe->resets++;
	at->probe->last_purpose = rng->purpose;
	at->episode = rng->index;
	at->step = 0;
	at->position = fixar_rng_uniform(rng, -at->probe->size_of_start, at->probe->size_of_start);
	observation[0] = at->position;
	observation[1] = at->probe->bad_reset ? at->probe->bad_value : PROBE_CLOCK(at->episode, 0);
	return 0;
}

static inline int probe_step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	struct probe_instance *at = instance;
	struct probe_env *probe = at->probe;

	at->step++;
	at->position += action[0] / 10;
	probe->last_action = action[0];
	observation[0] = at->position;
	observation[1] = *reward = PROBE_CLOCK(at->episode, at->step);
	*terminated = at->step == probe->terminate_after;
	if (++probe->steps == probe->bad_step) {
		if (probe->bad_component == -2)
			return -EIO;
		if (probe->bad_component == -1)
			*reward = probe->bad_value;
		else
			observation[probe->bad_component] = probe->bad_value;
	}
	return 0;
}

static inline size_t probe_state_size(void *instance)
{
	(void)instance;
	return 24;
}

static inline int probe_save(void *instance, void *state)
{
	const struct probe_instance *at = instance;

	memcpy(state, &at->position, 24);
	return 0;
}

static inline int probe_restore(void *instance, const void *state)
{
	struct probe_instance *at = instance;

	memcpy(&at->position, state, 24);
	return 0;
}

/* Fills *probe; it must stay where it is. */
static inline void probe_env_init(struct probe_env *probe, uint32_t max_episode_steps, int can_be_saved)
{
	*probe = (struct probe_env){ .low = -2, .high = 4, .size_of_start = 1 };
	probe->spec = (struct fixar_env_spec){
		.size = sizeof(probe->spec),
		.name = "probe",
		.description = "says where every observation is from",
		.observation_dim = 2,
		.action_dim = 1,
		.action_low = &probe->low,
		.action_high = &probe->high,
		.max_episode_steps = max_episode_steps,
		.reward_threshold = NAN,
	};
	probe->ops = (struct fixar_env_ops){
		.size = sizeof(probe->ops),
		.create = probe_create,
		.destroy = probe_destroy,
		.reset = probe_reset,
		.step = probe_step,
	};
	if (can_be_saved) {
		probe->ops.state_size = probe_state_size;
		probe->ops.save = probe_save;
		probe->ops.restore = probe_restore;
	}
	probe->env = (struct fixar_env){ &probe->spec, &probe->ops, probe };
}

/* ---- Device ---- */

#define SPY_ENTRIES (2 * STEP_MAX_LAYERS * STEP_CLASSES)
#define SPY_ACTS 4096

struct spy_device {
	struct fixar_device base;
	struct step_config config;
	char calls[1024]; /* a letter for each call but act and train */
	struct step_mode mode;
	uint32_t act_flags[SPY_ACTS];
	int32_t act_observation[SPY_ACTS]; /* the second component */
	size_t acts;
	int32_t action; /* what every act answers */
	uint64_t trainings;
	uint64_t observed_trainings, quantized_trainings;
	void (*on_train)(void *user, const struct step_batch *batch);
	void *user;
	double critic_loss;		       /* what every training step answers */
	uint64_t saturation[STEP_SATURATIONS]; /* training step: as many as the counter's number */
	struct step_range ranges[SPY_ENTRIES];
	struct step_quantizer quantizers[SPY_ENTRIES];
	size_t entries;
};

static inline struct spy_device *spy_of(struct device_agent *agent)
{
	return (struct spy_device *)agent->device;
}

static inline void spy_note(struct device_agent *agent, char call)
{
	char *calls = spy_of(agent)->calls;
	const size_t length = strlen(calls);

	if (length + 1 < sizeof(spy_of(agent)->calls))
		calls[length] = call;
}

static inline int spy_agent_create(struct fixar_device *device, const struct step_config *config,
				   struct device_agent **agent)
{
	struct spy_device *spy = (struct spy_device *)device;

	spy->config = *config;
	spy->entries = 2 * (config->hidden_count + 1) * STEP_CLASSES;
	*agent = calloc(1, sizeof(**agent));
	if (!*agent)
		return -ENOMEM;
	(*agent)->device = device;
	(*agent)->ops = device->ops;
	return 0;
}

static inline void spy_agent_destroy(struct device_agent *agent)
{
	free(agent);
}

static inline int spy_set_mode(struct device_agent *agent, const struct step_mode *mode)
{
	spy_note(agent, 'm');
	spy_of(agent)->mode = *mode;
	return 0;
}

static inline int spy_act(struct device_agent *agent, uint32_t n, const int32_t *observation, int32_t *action,
			  uint32_t flags)
{
	struct spy_device *spy = spy_of(agent);

	if (n != 1 || spy->acts == SPY_ACTS)
		return -EINVAL;
	spy->act_flags[spy->acts] = flags;
	spy->act_observation[spy->acts++] = observation[1];
	*action = spy->action;
	return 0;
}

static inline int spy_train(struct device_agent *agent, const struct step_batch *batch,
			    struct device_statistics *statistics)
{
	struct spy_device *spy = spy_of(agent);

	if (spy->on_train)
		spy->on_train(spy->user, batch);
	spy->trainings++;
	spy->observed_trainings += spy->mode.observe;
	spy->quantized_trainings += spy->mode.quantized;
	*statistics = (struct device_statistics){ .critic_loss = spy->critic_loss, .mean_q = (double)spy->trainings };
	for (int i = 0; i < STEP_SATURATIONS; i++)
		spy->saturation[i] += (uint64_t)i;
	return 0;
}

static inline int spy_read_ranges(struct device_agent *agent, struct step_range *ranges)
{
	spy_note(agent, 'r');
	memcpy(ranges, spy_of(agent)->ranges, spy_of(agent)->entries * sizeof(*ranges));
	return 0;
}

static inline int spy_read_quantizers(struct device_agent *agent, struct step_quantizer *quantizers)
{
	spy_note(agent, 'q');
	memcpy(quantizers, spy_of(agent)->quantizers, spy_of(agent)->entries * sizeof(*quantizers));
	return 0;
}

static inline int spy_write_quantizers(struct device_agent *agent, const struct step_quantizer *quantizers)
{
	spy_note(agent, 'w');
	memcpy(spy_of(agent)->quantizers, quantizers, spy_of(agent)->entries * sizeof(*quantizers));
	return 0;
}

static inline int spy_state_layout(struct device_agent *agent, const struct step_tensor **tensors, size_t *count,
				   size_t *bytes)
{
	static const struct step_tensor saturation = {
		.name = "saturation",
		.dtype = STEP_U64,
		.dim_count = 1,
		.dim = { STEP_SATURATIONS },
		.bytes = STEP_SATURATIONS * sizeof(uint64_t),
	};

	(void)agent;
	*tensors = &saturation;
	*count = 1;
	*bytes = saturation.bytes;
	return 0;
}

static inline int spy_state_read(struct device_agent *agent, void *state)
{
	memcpy(state, spy_of(agent)->saturation, sizeof(spy_of(agent)->saturation));
	return 0;
}

static inline int spy_state_write(struct device_agent *agent, const void *state)
{
	(void)agent;
	(void)state;
	return 0;
}

static inline void spy_close(struct fixar_device *device)
{
	(void)device;
}

static const struct device_ops spy_ops = {
	.agent_create = spy_agent_create,
	.agent_destroy = spy_agent_destroy,
	.set_mode = spy_set_mode,
	.act = spy_act,
	.train = spy_train,
	.read_ranges = spy_read_ranges,
	.read_quantizers = spy_read_quantizers,
	.write_quantizers = spy_write_quantizers,
	.state_layout = spy_state_layout,
	.state_read = spy_state_read,
	.state_write = spy_state_write,
	.close = spy_close,
};

static inline void spy_init(struct spy_device *spy)
{
	memset(spy, 0, sizeof(*spy));
	spy->base.ops = &spy_ops;
	snprintf(spy->base.description, sizeof(spy->base.description), "spy");
}

#endif /* FIXAR_SELFTESTS_LIB_PROBE_H */
