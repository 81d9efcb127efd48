// SPDX-License-Identifier: MIT
/*
 * Description: PPO: gradients are those of finite differences, advantages those computed by hand, a bandit and a chain
 * are learned, and a seed decides every bit
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fx/random.h"
#include "ktap.h"
#include "ppo/mlp.h"
#include "ppo/ppo.h"

static double uniform(uint64_t index, double low, double high)
{
	return low + (high - low) * (double)fx_random_word(3, FX_RANDOM_TEST, index, 0) * 0x1p-32;
}

/* ---- Gradients ---- */

#define H 1e-5
#define ACTIONS 4

/* The network's: of a fixed mixture of its outputs. */
static void test_mlp_gradient(void)
{
	const size_t size[] = { 3, 7, 5, 2 };
	const double mixture[] = { 0.7, -1.3 };
	double input[] = { 0.3, -1.1, 0.8 }, worst = 0;
	struct mlp mlp;

	if (!ktap_ok(!mlp_create(&mlp, 3, size, 1, 5, 0), "a network is made"))
		return;
	mlp_forward(&mlp, input);
	mlp_clear_gradient(&mlp);
	mlp_backward(&mlp, mixture);
	for (size_t i = 0; i < mlp.count; i++) {
		const double was = mlp.parameter[i];
		const double *output;
		double above, below;

		mlp.parameter[i] = was + H;
		output = mlp_forward(&mlp, input);
		above = mixture[0] * output[0] + mixture[1] * output[1];
		mlp.parameter[i] = was - H;
		output = mlp_forward(&mlp, input);
		below = mixture[0] * output[0] + mixture[1] * output[1];
		mlp.parameter[i] = was;
		worst = fmax(worst, fabs((above - below) / (2 * H) - mlp.gradient[i]));
	}
	if (!ktap_ok(worst < 1e-8, "all %zu derivatives of a network are those of finite differences", mlp.count))
		ktap_note("largest difference %g", worst);
	mlp_destroy(&mlp);
}

static double loss_at(const double *logits, size_t action, double old, double advantage)
{
	double gradient[ACTIONS], entropy;
	int clipped;

	return ppo_step_loss(ACTIONS, logits, action, old, advantage, 0.2, 0.05, gradient, &entropy, &clipped);
}

/* Whether the ratio of probabilities is so close to the clip that a finite difference would reach across the bend. */
static int at_bend(const double *logits, size_t action, double old)
{
	double sum = 0, ratio;

	for (size_t a = 0; a < ACTIONS; a++)
		sum += exp(logits[a]);
	ratio = exp(logits[action] - old) / sum;
	return fabs(ratio - 0.8) < 10 * H || fabs(ratio - 1.2) < 10 * H;
}

/* The loss's: within the clip, beyond it where it counts and where it doesn't, for both signs of the advantage. */
static void test_loss_gradient(void)
{
	double worst = 0;
	unsigned tried = 0, clips = 0, flat = 0;

	for (uint64_t t = 0; t < 400; t++) {
		double logits[ACTIONS], gradient[ACTIONS], entropy;
		const size_t action = t % ACTIONS;
		const double old = uniform(1000 + t, -2.5, -0.4), advantage = uniform(2000 + t, -2, 2);
		int clipped, only_entropy = 1;

		for (size_t a = 0; a < ACTIONS; a++)
			logits[a] = uniform(10 * t + a + 5000, -1, 1);
		if (at_bend(logits, action, old))
			continue;
		ppo_step_loss(ACTIONS, logits, action, old, advantage, 0.2, 0.05, gradient, &entropy, &clipped);
		clips += clipped != 0;
		for (size_t a = 0; a < ACTIONS; a++) {
			const double was = logits[a];
			double above, below;

			logits[a] = was + H;
			above = loss_at(logits, action, old, advantage);
			logits[a] = was - H;
			below = loss_at(logits, action, old, advantage);
			logits[a] = was;
			worst = fmax(worst, fabs((above - below) / (2 * H) - gradient[a]));
			only_entropy = only_entropy && fabs(gradient[a]) < 0.05;
			tried++;
		}
		flat += clipped && only_entropy;
	}
	if (!ktap_ok(worst < 1e-7, "%u derivatives of the loss are those of finite differences", tried))
		ktap_note("largest difference %g", worst);
	ktap_ok(clips > 50 && flat > 20 && flat < clips, "%u of the losses were beyond the clip, %u of them flat", clips, flat);
}

/* ---- Advantages by hand ---- */

/*
 * Discount 0.5, lambda 0.5. The second episode has one step: 2 - 1 = 1. The first, backwards:
 * delta2 = 4 - 2 = 2; delta1 = 0 + 0.5 x 2 - 3 = -2, advantage -2 + 0.25 x 2 = -1.5; delta0 = 1 + 0.5 x 3 - 1 = 1.5,
 * advantage 1.5 + 0.25 x -1.5 = 1.125.
 */
static void test_advantages(void)
{
	const double reward[] = { 1, 0, 4, 2 }, value[] = { 1, 3, 2, 1 };
	const unsigned char end[] = { 0, 0, 1, 1 };
	double advantage[4], target[4];

	ppo_advantages(4, reward, value, end, 0.5, 0.5, advantage, target);
	ktap_ok(advantage[0] == 1.125 && advantage[1] == -1.5 && advantage[2] == 2 && advantage[3] == 1,
		"advantages are those computed by hand");
	ktap_ok(target[0] == 2.125 && target[1] == 1.5 && target[2] == 4 && target[3] == 2, "and so are the targets");
}

/* ---- Learning ---- */

/* One observation, five arms. */
static double bandit(uint64_t seed, unsigned updates, double *probability)
{
	static const double mean[] = { 0.1, 0.5, 0.9, 0.4, 0.2 };
	struct ppo_options options = PPO_OPTIONS_INIT;
	const double observation = 1;
	struct ppo_statistics statistics;
	struct ppo *ppo;
	uint64_t draws = 0;

	options.observations = 1;
	options.actions = 5;
	options.hidden[0] = options.hidden[1] = 16;
	options.rate = 1e-2;
	options.seed = seed;
	if (ppo_create(&options, &ppo))
		return NAN;
	for (unsigned update = 0; update < updates; update++) {
		for (int i = 0; i < 32; i++) {
			const size_t arm = ppo_act(ppo, &observation);

			if (ppo_reward(ppo, mean[arm] + uniform(seed * 100000 + draws++, -0.3, 0.3), 1))
				return NAN;
		}
		ppo_update(ppo, &statistics);
	}
	ppo_probabilities(ppo, &observation, probability);
	ppo_destroy(ppo);
	return statistics.entropy;
}

/*
 * States 0 to 6 in a row, start at 2; left brings 0.3 at once at state 0, right 1 at state 6, both end. Each step costs
 * 0.01. So the near reward has to be passed by.
 */
static double chain(uint64_t seed, unsigned updates)
{
	enum { STATES = 7 };
	struct ppo_options options = PPO_OPTIONS_INIT;
	struct ppo *ppo;
	double last = 0;

	options.observations = STATES;
	options.actions = 2;
	options.hidden[0] = options.hidden[1] = 16;
	options.rate = 5e-3;
	options.seed = seed;
	if (ppo_create(&options, &ppo))
		return NAN;
	for (unsigned update = 0; update < updates; update++) {
		last = 0;
		for (int episode = 0; episode < 16; episode++) {
			int state = 2, end = 0;

			for (int step = 0; !end; step++) {
				double observation[STATES] = { 0 }, reward = -0.01;

				observation[state] = 1;
				state += ppo_act(ppo, observation) ? 1 : -1;
				end = state == 0 || state == STATES - 1 || step == 40;
				reward += state == 0 ? 0.3 : state == STATES - 1 ? 1 : 0;
				last += reward / 16;
				if (ppo_reward(ppo, reward, end))
					return NAN;
			}
		}
		ppo_update(ppo, NULL);
	}
	ppo_destroy(ppo);
	return last;
}

static void test_learning(void)
{
	double first[5], probability[5], again[5], other[5];
	unsigned learned = 0;

	bandit(1, 0, first);
	ktap_ok(first[2] < 0.25, "a new policy is close to uniform (%.3f for the best of five)", first[2]);
	for (uint64_t seed = 1; seed <= 3; seed++) {
		bandit(seed, 60, probability);
		learned += probability[2] > 0.9;
	}
	ktap_ok(learned == 3, "the best arm of a noisy bandit is found with %u of 3 seeds", learned);
	bandit(3, 60, again);
	bandit(4, 60, other);
	ktap_ok(!memcmp(probability, again, sizeof(again)), "the same seed gives the same bits");
	ktap_ok(memcmp(probability, other, sizeof(other)) != 0, "another seed gives others");

	learned = 0;
	for (uint64_t seed = 1; seed <= 3; seed++)
		learned += chain(seed, 60) > 0.9;
	/* 4 steps to the far end: 1 - 4 x 0.01 is the most. */
	ktap_ok(learned == 3, "the far end of a chain is found behind a near one with %u of 3 seeds", learned);
}

/* A first policy that was asked for: a normal curve, 4 actions, deviation 0.5 around the third, so exp(-2) beside it. */
static void test_first_policy(void)
{
	struct ppo_options options = PPO_OPTIONS_INIT;
	const double observation = 1;
	double probability[4];
	struct ppo *ppo;

	options.observations = 1;
	options.actions = 4;
	options.first_action = 2;
	options.first_deviation = 0.5;
	if (!ktap_ok(!ppo_create(&options, &ppo), "a policy with a middle is made"))
		return;
	ppo_probabilities(ppo, &observation, probability);
	ktap_ok(fabs(probability[1] / probability[2] - exp(-2)) < 0.01 && fabs(probability[3] / probability[2] - exp(-2)) < 0.01 &&
			fabs(probability[0] / probability[2] - exp(-8)) < 0.001,
		"it is a normal curve around that middle");
	ppo_destroy(ppo);
	options.first_deviation = -1;
	ktap_ok(ppo_create(&options, &ppo) == -EINVAL, "refused: a deviation below 0");
}

static void test_errors(void)
{
	struct ppo_options options = PPO_OPTIONS_INIT;
	const double observation = 0;
	struct ppo *ppo;

	options.observations = 1;
	ktap_ok(ppo_create(&options, &ppo) == -EINVAL && !ppo, "refused: no actions");
	options.actions = 2;
	options.clip = 1;
	ktap_ok(ppo_create(&options, &ppo) == -EINVAL && !ppo, "refused: a clip of 1");
	options.clip = 0.2;
	if (!ktap_ok(!ppo_create(&options, &ppo), "not refused: two actions"))
		return;
	ktap_ok(ppo_update(ppo, NULL) == -EINVAL, "refused: to learn from nothing");
	ppo_act(ppo, &observation);
	ppo_reward(ppo, 1, 0);
	ktap_ok(ppo_update(ppo, NULL) == -EINVAL, "refused: to learn in the middle of an episode");
	ppo_destroy(ppo);
}

int main(void)
{
	ktap_start();
	test_mlp_gradient();
	test_loss_gradient();
	test_advantages();
	test_learning();
	test_first_policy();
	test_errors();
	return ktap_finish();
}
