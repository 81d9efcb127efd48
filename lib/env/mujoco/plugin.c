// SPDX-License-Identifier: MIT
/* The plug-in env-mujoco.so: what libfixar looks for in it. */
#include "simulation.h"

/* create() takes its task from `user`, and never writes to it. */
#define TASK(name)                                                                                       \
	{                                                                                                \
		.spec = &mujoco_##name##_spec, .ops = &mujoco_ops, .user = (void *)&mujoco_##name##_task \
	}

static const struct fixar_env environments[] = {
	TASK(halfcheetah),
	TASK(hopper),
	TASK(swimmer),
};

extern const struct fixar_env_plugin fixar_env_plugin;

__attribute__((visibility("default"))) const struct fixar_env_plugin fixar_env_plugin = {
	.abi = FIXAR_ENV_ABI,
	.count = sizeof(environments) / sizeof(environments[0]),
	.environments = environments,
};
