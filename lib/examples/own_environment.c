/* SPDX-License-Identifier: MIT */
/*
 * An environment of your own: a point on a line that must come to 0. The agent sees where the point is and says how far
 * to move it; the reward is the distance, counted as a cost.
 *
 *	cc own_environment.c -o own_environment $(pkg-config --cflags --libs libfixar)
 *
 * or in the source tree, after `make`:
 *
 *	cc -Iinclude lib/examples/own_environment.c -o own_environment -Lbuild -lfixar -Wl,-rpath,build
 */
#include <fixar/fixar.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int create(void *user, void **point)
{
	(void)user;
	*point = calloc(1, sizeof(double));
	return *point ? 0 : -ENOMEM;
}

static int reset(void *point, struct fixar_rng *rng, double *observation)
{
	*(double *)point = fixar_rng_uniform(rng, -1.0, 1.0);
	*observation = *(double *)point;
	return 0;
}

static int step(void *point, const double *action, double *observation, double *reward, int *terminated)
{
	*(double *)point += *action;
	*observation = *(double *)point;
	*reward = -fabs(*observation);
	*terminated = fabs(*observation) > 2.0;
	return 0;
}

int main(void)
{
	const double low[] = { -0.25 }, high[] = { 0.25 };
	const struct fixar_env_spec spec = {
		.size = sizeof(spec),
		.name = "point",
		.description = "a point on a line",
		.observation_dim = 1,
		.action_dim = 1,
		.action_low = low,
		.action_high = high,
		.max_episode_steps = 50,
	};
	const struct fixar_env_ops ops = {
		.size = sizeof(ops),
		.create = create,
		.destroy = free,
		.reset = reset,
		.step = step,
	};
	const struct fixar_env env = { .spec = &spec, .ops = &ops };
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_evaluation result = { .size = sizeof(result) };
	struct fixar_agent *agent;
	int error;

	options.hidden[0] = options.hidden[1] = 64;
	error = fixar_agent_create(NULL, &env, &options, &agent);
	if (!error)
		error = fixar_agent_train(agent, 5000, NULL, NULL);
	if (!error)
		error = fixar_agent_evaluate(agent, 20, 1, NULL, &result);
	if (!error)
		printf("mean return of 20 episodes: %.2f (doing nothing: about -25)\n", result.mean_return);
	else
		fprintf(stderr, "own_environment: %s\n", fixar_strerror(error));
	fixar_agent_destroy(agent);
	return error != 0;
}
