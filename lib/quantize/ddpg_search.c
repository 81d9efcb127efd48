// SPDX-License-Identifier: MIT
/*
 * The search by DDPG in the manner of HAQ (Wang et al., CVPR 2019): a continuous action for each decision is rounded to
 * a width, and when all are made widths are lowered one by one, from the last decision to the first and again, until the
 * limit is met. The agent is the library's own, and the walk an environment of callbacks like any user's.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <fixar/fixar.h>

#include "quantize/search.h"
#include "quantize/walk.h"

#define FIRST_EPISODES 16 /* with random actions */
#define MOST_PROPOSALS 20 /* for each evaluation of the budget */

struct ddpg_walk {
	struct quantize_search *search;
	struct walk walk;
	double observation[WALK_OBSERVATIONS];
	unsigned index[2 * COST_MAX_LAYERS];
};

static int create(void *user, void **instance)
{
	struct ddpg_walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	walk->search = user;
	*instance = walk;
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

static int reset(void *instance, struct fixar_rng *rng, double *observation)
{
	struct ddpg_walk *walk = instance;

	(void)rng; /* every walk starts in the same place */
	walk_start(&walk->walk, walk->search->problem);
	walk_observe(&walk->walk, observation);
	return 0;
}

/* As HAQ's environment does when all decisions are made. */
static void lower(struct ddpg_walk *walk)
{
	const struct quantize_problem *problem = walk->search->problem;

	while (1) {
		for (unsigned d = quantize_decisions(problem); d-- > 0;) {
			if (quantize_cost(problem, walk->walk.widths) <= problem->limit)
				return;
			if (walk->index[d])
				*quantize_decision(walk->walk.widths, d) = problem->width[--walk->index[d]];
		}
	}
}

static int step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	struct ddpg_walk *walk = instance;
	struct quantize_search *search = walk->search;
	const double widths = search->problem->width_count;
	/* The same share of the range for every width, the outermost included. */
	const unsigned index = (unsigned)fmin(widths - 1, floor((action[0] + 1) / 2 * widths));
	double quality;
	int error;

	walk->index[walk->walk.decision] = index;
	walk_choose(&walk->walk, index);
	*reward = 0;
	*terminated = walk_done(&walk->walk);
	if (*terminated) {
		search->proposals++;
		if (walk_spent(&walk->walk) > 1) {
			search->over_limit++;
			lower(walk);
		}
		error = quantize_evaluate(search, walk->walk.widths, &quality);
		if (error)
			return error;
		*reward = quantize_score(search->problem, quantize_cost(search->problem, walk->walk.widths), quality);
	}
	walk_observe(&walk->walk, observation);
	return search->proposals > MOST_PROPOSALS * search->budget ? -EDQUOT : 0;
}

static const struct fixar_env_ops ops = {
	.size = sizeof(ops),
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.step = step,
};

int quantize_search_ddpg(struct quantize_search *search)
{
	const double low = -1, high = 1;
	const unsigned decisions = quantize_decisions(search->problem);
	const struct fixar_env_spec spec = {
		.size = sizeof(spec),
		.name = "widths",
		.description = "widths of a network, one after another",
		.observation_dim = WALK_OBSERVATIONS,
		.action_dim = 1,
		.action_low = &low,
		.action_high = &high,
		.reward_threshold = NAN,
	};
	const struct fixar_env env = { &spec, &ops, search };
	const struct fixar_device_options device_options = { .size = sizeof(device_options),
							     .threads = 1,
							     .precision = FIXAR_FIXED32 };
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_device *device;
	struct fixar_agent *agent;
	int error;

	options.seed = search->seed;
	options.hidden[0] = 64;
	options.hidden[1] = 48;
	options.warm_up_steps = FIRST_EPISODES * decisions;
	options.replay_capacity = 100000;
	options.discount = 0.999;
	options.noise_sigma = 0.3;
	options.tau = 0.02; /* a search is short: of 0.005, 0.02 the better one */
	error = fixar_device_open("cpu", &device_options, &device);
	if (error)
		return error;
	error = fixar_agent_create(device, &env, &options, &agent);
	if (!error) {
		/* step() ends it, when the budget is used up. */
		error = fixar_agent_train(agent, UINT64_MAX, NULL, NULL);
		fixar_agent_destroy(agent);
	}
	fixar_device_close(device);
	return error == -EDQUOT ? 0 : error;
}
