// SPDX-License-Identifier: MIT
/*
 * A plug-in for env_test.c, built in three ways:
 *   PLUGIN_good   one environment "counter", whose observation counts the steps, and one that pretends to be
 * "pendulum"; PLUGIN_abi    the same, of another ABI; PLUGIN_empty  a shared library without the symbol.
 */
#include <errno.h>
#include <stdlib.h>

#include <fixar/env.h>

#ifdef PLUGIN_empty
int fixar_env_plugin_is_not_here(void);

int fixar_env_plugin_is_not_here(void)
{
	return 0;
}
#else

#ifdef PLUGIN_abi
#define ABI (FIXAR_ENV_ABI + 1)
#else
#define ABI FIXAR_ENV_ABI
#endif

static int counter_create(void *user, void **instance)
{
	(void)user;
	*instance = calloc(1, sizeof(double));
	return *instance ? 0 : -ENOMEM;
}

static void counter_destroy(void *instance)
{
	free(instance);
}

static int counter_reset(void *instance, struct fixar_rng *rng, double *observation)
{
	(void)rng;
	observation[0] = *(double *)instance = 0;
	return 0;
}

static int counter_step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	observation[0] = *(double *)instance += 1;
	*reward = action[0];
	*terminated = 0;
	return 0;
}

static const double low[] = { -1 }, high[] = { 1 };

static const struct fixar_env_spec counter_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "counter",
	.description = "counts its steps",
	.observation_dim = 1,
	.action_dim = 1,
	.action_low = low,
	.action_high = high,
};

static const struct fixar_env_spec impostor_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "pendulum",
	.description = "not the built-in one",
	.observation_dim = 1,
	.action_dim = 1,
	.action_low = low,
	.action_high = high,
};

static const struct fixar_env_ops counter_ops = {
	.size = sizeof(struct fixar_env_ops),
	.create = counter_create,
	.destroy = counter_destroy,
	.reset = counter_reset,
	.step = counter_step,
};

static const struct fixar_env environments[] = {
	{ .spec = &counter_spec, .ops = &counter_ops },
	{ .spec = &impostor_spec, .ops = &counter_ops },
};

extern const struct fixar_env_plugin fixar_env_plugin;

const struct fixar_env_plugin fixar_env_plugin = { .abi = ABI, .count = 2, .environments = environments };
#endif
