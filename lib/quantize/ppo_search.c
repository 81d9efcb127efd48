// SPDX-License-Identifier: MIT
/*
 * The search by PPO with discrete widths (in the manner of Wei et al. 2022). The limit is part of the reward; nothing
 * lowers widths afterwards. lib/quantize/QUANTIZE.md explains the reward.
 */
#include <errno.h>
#include <math.h>

#include "ppo/ppo.h"
#include "quantize/search.h"
#include "quantize/walk.h"

#define EPISODES 6	     /* of an update: with a few hundred evaluations in all, updates are precious */
#define LEAST_ENTROPY 0.1    /* of the first weight of the entropy, when the budget is used up */
#define QUIET_UPDATES 12     /* without a new point: the policy has settled, and another one starts afresh */
#define MOST_PROPOSALS 100   /* for each evaluation of the budget */

/*
 * Within the limit: the square of the share of the points found so far that score less, 0 to 1. Scores of good points lie within a
 * few hundredths of each other and those of bad ones anywhere below; ranks keep the good ones apart.
 */
static double rank(const struct quantize_search *search, double score)
{
	size_t below = 0;
	double share;

	for (size_t i = 0; i < search->record.count; i++)
		below += quantize_score(search->problem, search->record.point[i].cost, search->record.point[i].quality) < score;
	share = (double)below / (double)search->record.count;
	return share * share;
}

/* The widest width that all decisions can have: where the search begins. The cost alone says which. */
static unsigned affordable(const struct quantize_problem *problem)
{
	struct cost_widths widths[COST_MAX_LAYERS];
	unsigned index = 0;

	for (unsigned i = 0; i < problem->width_count; i++) {
		quantize_uniform(problem, problem->width[i], widths);
		if (quantize_cost(problem, widths) <= problem->limit)
			index = i;
	}
	return index;
}

/* Beyond the limit: below every reward within it, and the lower the further. */
static double penalty(double spent)
{
	return -0.25 - 0.75 * fmin(1, spent - 1);
}

static int run_episode(struct quantize_search *search, struct ppo *ppo)
{
	struct walk walk;
	double observation[WALK_OBSERVATIONS], spent, quality, reward = 0;
	int end = 0, error = 0;

	walk_start(&walk, search->problem);
	while (!end) {
		walk_observe(&walk, observation);
		walk_choose(&walk, (unsigned)ppo_act(ppo, observation));
		spent = walk_spent(&walk);
		if (spent > 1) {
			/* Even the narrowest widths for all the rest would be too much: this decision was the one too many. */
			search->over_limit++;
			reward = penalty(spent);
			end = 1;
		} else if (walk_done(&walk)) {
			error = quantize_evaluate(search, walk.widths, &quality);
			if (error)
				return error;
			reward = rank(search, quantize_score(search->problem, spent * search->problem->limit, quality));
			end = 1;
		}
		if (ppo_reward(ppo, reward, end))
			return -ENOMEM;
	}
	search->proposals++;
	return 0;
}

/* Until the policy has settled: 0; or what ended the search. */
static int learn(struct quantize_search *search, struct ppo *ppo, double entropy)
{
	unsigned quiet = 0;

	while (quiet < QUIET_UPDATES && search->proposals < MOST_PROPOSALS * search->budget) {
		const size_t before = search->record.count;
		const double left = 1 - (double)before / (double)search->budget;

		for (int episode = 0; episode < EPISODES; episode++) {
			int error = run_episode(search, ppo);

			if (error)
				return error;
		}
		quiet = search->record.count > before ? 0 : quiet + 1;
		ppo_set_entropy(ppo, entropy * (LEAST_ENTROPY + (1 - LEAST_ENTROPY) * left));
		ppo_update(ppo, NULL);
	}
	return 0;
}

int quantize_search_ppo(struct quantize_search *search)
{
	struct ppo_options options = PPO_OPTIONS_INIT;
	int error = 0;

	options.observations = WALK_OBSERVATIONS;
	options.actions = search->problem->width_count;
	options.hidden[0] = options.hidden[1] = 32;
	options.rate = 1e-2;
	options.discount = options.lambda = 1; /* episodes are short, and only their end brings anything */
	options.neighbours = 1.5;
	options.first_action = affordable(search->problem);
	options.first_deviation = 1.5;
	for (uint64_t start = 0; !error && search->proposals < MOST_PROPOSALS * search->budget; start++) {
		struct ppo *ppo;

		/* Far from the seeds that people choose. */
		options.seed = search->seed + (start << 40);
		error = ppo_create(&options, &ppo);
		if (error)
			return error;
		error = learn(search, ppo, options.entropy);
		ppo_destroy(ppo);
	}
	return error == -EDQUOT ? 0 : error;
}
