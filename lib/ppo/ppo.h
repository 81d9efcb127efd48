/* SPDX-License-Identifier: MIT */
/*
 * Proximal policy optimization (Schulman et al., arXiv 1707.06347) with a categorical policy: clipped objective,
 * generalized advantage estimation (arXiv 1506.02438), two separate networks for policy and value. Small and for the
 * CPU: one thread, double precision, deterministic from the seed.
 *
 *	while (...) {
 *		do
 *			reward = step(ppo_act(ppo, observation), &end), ppo_reward(ppo, reward, end);
 *		while (!end);
 *		if (enough episodes)
 *			ppo_update(ppo, &statistics);
 *	}
 */
#ifndef FIXAR_LIB_PPO_PPO_H
#define FIXAR_LIB_PPO_PPO_H

#include <stddef.h>
#include <stdint.h>

struct ppo_options {
	size_t observations, actions;
	size_t hidden[2];
	double rate;		 /* Adam's, of both networks */
	double clip;		 /* the ratio of probabilities counts within 1 -+ clip */
	double discount, lambda; /* of the advantages */
	double entropy;		 /* weight of the policy's entropy in the objective */
	double largest_gradient; /* its length, beyond which it is scaled down */
	/*
	 * For actions that are an ordered scale: each output of the policy's network raises its own action and, falling like a
	 * normal curve of this deviation, the neighbours. What is learned of one carries over to those beside it. 0: not.
	 */
	double neighbours;
	/*
	 * Where such a scale has a sensible middle: the first policy is a normal curve of deviation `first_deviation` (in actions)
	 * around `first_action`, and what the network learns is added to it. A deviation of 0: close to uniform.
	 */
	double first_action, first_deviation;
	unsigned epochs;	 /* passes over the steps of an update */
	size_t minibatch;
	uint64_t seed;
};
/* Of the paper's continuous-control experiments where it names a value; networks, entropy and discount for short episodes. */
#define PPO_OPTIONS_INIT                                                                                           \
	{                                                                                                          \
		.hidden = { 64, 64 }, .rate = 3e-4, .clip = 0.2, .discount = 0.99, .lambda = 0.95, .entropy = 0.01, \
		.largest_gradient = 0.5, .epochs = 10, .minibatch = 64                                             \
	}

struct ppo;

/* 0, -EINVAL (an option out of range) or -ENOMEM. */
int ppo_create(const struct ppo_options *options, struct ppo **ppo);
void ppo_destroy(struct ppo *ppo);

/* A draw from the policy; the step is kept for the next update. */
size_t ppo_act(struct ppo *ppo, const double *observation);
/* What the last action brought; `end`: the episode is over. 0 or -ENOMEM. */
int ppo_reward(struct ppo *ppo, double reward, int end);
/* Steps kept. */
size_t ppo_steps(const struct ppo *ppo);

struct ppo_statistics {
	double policy_loss, value_loss, entropy; /* means over the update */
	double clipped;				 /* share of steps beyond the clip in the last pass */
};
/* Learns from the steps kept, which must end with the end of an episode (else -EINVAL), and forgets them. */
int ppo_update(struct ppo *ppo, struct ppo_statistics *statistics);

/* The policy's probabilities, its most probable action, and the value; nothing is kept. */
void ppo_probabilities(struct ppo *ppo, const double *observation, double *probability);
size_t ppo_best(struct ppo *ppo, const double *observation);
double ppo_value(struct ppo *ppo, const double *observation);
/* Another weight of the entropy from the next update on. */
void ppo_set_entropy(struct ppo *ppo, double entropy);

/*
 * Generalized advantage estimation over `n` steps, the last of which ends an episode: `advantage` and, for the value
 * network to learn, `target` = advantage + value.
 */
void ppo_advantages(size_t n, const double *reward, const double *value, const unsigned char *end, double discount,
		    double lambda, double *advantage, double *target);

/*
 * The loss of one step for given logits: -(clipped objective) - entropy weight x entropy, its derivative by the logits
 * in `gradient`, the entropy in *entropy. Returns the loss; *clipped: whether the ratio was beyond the clip.
 */
double ppo_step_loss(size_t actions, const double *logits, size_t action, double old_log_probability, double advantage,
		     double clip, double entropy_weight, double *gradient, double *entropy, int *clipped);

#endif /* FIXAR_LIB_PPO_PPO_H */
