/* SPDX-License-Identifier: MIT */
/*
 * The environment of the agents that search: it walks the decisions of a network (of each layer the activation's width,
 * then the weight's) and says before each what the layer is and what is left of the limit.
 */
#ifndef FIXAR_LIB_QUANTIZE_WALK_H
#define FIXAR_LIB_QUANTIZE_WALK_H

#include "quantize/problem.h"

enum walk_observation {
	WALK_PLACE,	   /* share of the decisions that are made */
	WALK_IS_WEIGHT,	   /* 0: an activation's width, 1: a weight's */
	WALK_INPUTS,	   /* logarithms, as shares of 2^16 */
	WALK_OUTPUTS,
	WALK_POSITIONS,
	WALK_WEIGHTS,	   /* of 2^24 */
	WALK_FIRST,	   /* 1 in the first and the last layer, which are often the delicate ones */
	WALK_LAST,
	WALK_BEFORE,	   /* the last width chosen, as a share of the widest */
	WALK_LEFT,	   /* of the limit, if all later decisions take the narrowest width; below 0: overspent */
	WALK_AT_STAKE,	   /* cost of this decision at the widest over the narrowest, as a share of the limit */
	WALK_LATER,	   /* the same for all later decisions together */
	WALK_OBSERVATIONS
};

struct walk {
	const struct quantize_problem *problem;
	unsigned decision; /* the next one; quantize_decisions() when all are made */
	struct cost_widths widths[COST_MAX_LAYERS]; /* the narrowest where it is not decided yet */
};

void walk_start(struct walk *walk, const struct quantize_problem *problem);
void walk_observe(const struct walk *walk, double observation[WALK_OBSERVATIONS]);
/* Decides for a width of the problem by its index. */
void walk_choose(struct walk *walk, unsigned width_index);
int walk_done(const struct walk *walk);
/* Cost as a share of the limit, if all later decisions take the narrowest width. */
double walk_spent(const struct walk *walk);

#endif /* FIXAR_LIB_QUANTIZE_WALK_H */
