/* SPDX-License-Identifier: MIT */
/*
 * The edge (lib/ARITHMETIC.md section 13): the only place where the training loop turns floating point into fixed point
 * and back. Exact or correctly rounded operations only, so that the same doubles give the same integers on every
 * machine.
 */
#ifndef FIXAR_LIB_DDPG_EDGE_H
#define FIXAR_LIB_DDPG_EDGE_H

#include <stddef.h>
#include <stdint.h>

#include <fixar/fixar.h>

#include "step/step.h"

#define EDGE_FRACTION 20 /* of observations, rewards and actions */
#define EDGE_ONE (INT32_C(1) << EDGE_FRACTION)

/* Rounds to single precision, which is what the replay memory keeps. -EDOM if x is not finite or too large for it. */
int edge_single(double x, float *single);

/* To fraction 20; adds one to *saturated where x lies outside of the range. */
int32_t edge_fixed(double x, uint64_t *saturated);

/* An action component of the agent (fraction 20, -1 to 1) to the environment's bounds. */
double edge_action(int32_t action, double low, double high);

/* Component j of the warm-up action of an environment step. */
int32_t edge_warm_up(uint64_t seed, uint64_t environment_step, uint32_t component);

/* x to fraction `fraction`, rounded once; x is not negative and below 2^(62 - fraction). */
uint64_t edge_fraction(double x, int fraction);

/* What is wrong with an option. */
struct edge_complaint {
	const char *name, *expected;
	double value;
};

/* The options' hyperparameters in the formats of the arithmetic. 0, or -EINVAL with *complaint filled in. */
int edge_hyperparameters(const struct fixar_agent_options *options, struct step_hyperparameters *hyper,
			 struct edge_complaint *complaint);

#endif /* FIXAR_LIB_DDPG_EDGE_H */
