/* SPDX-License-Identifier: MIT */
/* What is behind the public handle of an agent. */
#ifndef FIXAR_LIB_AGENT_AGENT_H
#define FIXAR_LIB_AGENT_AGENT_H

#include <fixar/fixar.h>

#include "ddpg/ddpg.h"
#include "device/device.h"
#include "device/log.h"

/* The longest name of an environment, so that fixar_checkpoint_info can hold it. */
#define AGENT_ENV_NAME_MAX (sizeof(((struct fixar_checkpoint_info *)0)->environment) - 1)

struct fixar_agent {
	struct fixar_agent_options options; /* checked, with nothing left to default */
	struct fixar_layer_bits *bits;	    /* options.bits, owned */
	struct log_sink log;
	struct fixar_env env;
	struct fixar_device *device;
	int owns_device;
	int for_acting_only; /* loaded without its replay memory */
	struct step_config config;
	struct device_agent *state; /* of the device */
	struct ddpg *ddpg;
	uint64_t act_cycles, train_cycles; /* of one observation and of one batch, with the operands of now; 0: not known */
};

/* lib/agent/options.c */

/* Whether an environment can be used at all: 0 or -EINVAL. */
int agent_check_env(const struct fixar_env *env, const struct log_sink *log);

/* Copies the user's options (NULL: all defaults), which may be of another age. 0, -EINVAL (no size) or -E2BIG. */
int agent_options_take(const struct fixar_agent_options *given, struct fixar_agent_options *options);

/*
 * Fills in what depends on the environment or on other options, checks everything, and makes the device's configuration
 * of it. 0, or -EINVAL: the log says which option, its value, and what was expected.
 */
int agent_options_resolve(struct fixar_agent_options *options, const struct fixar_env_spec *spec,
			  struct step_config *config);

/* lib/agent/agent.c */

/* Reads the state of the device's agent into a new block, for the caller to free: 0 or a negative errno value. */
int agent_read_state(struct fixar_agent *agent, const struct step_tensor **tensors, size_t *count,
		     unsigned char **state);

/* lib/agent/cycles.c: what the run would cost on the modelled card. */

/* With the operands that the device has: for a new agent, and when a checkpoint was read. 0 or a negative errno value. */
int agent_cycles_start(struct fixar_agent *agent);
/* One environment step with so many training steps; `switched`: the operands are others from here on. */
void agent_cycles_count(struct fixar_agent *agent, uint64_t training_steps, int switched);

#endif /* FIXAR_LIB_AGENT_AGENT_H */
