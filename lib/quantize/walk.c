// SPDX-License-Identifier: MIT
#include "quantize/walk.h"

#include <math.h>

void walk_start(struct walk *walk, const struct quantize_problem *problem)
{
	walk->problem = problem;
	walk->decision = 0;
	quantize_uniform(problem, problem->width[0], walk->widths);
}

int walk_done(const struct walk *walk)
{
	return walk->decision >= quantize_decisions(walk->problem);
}

double walk_spent(const struct walk *walk)
{
	return quantize_cost(walk->problem, walk->widths) / walk->problem->limit;
}

void walk_choose(struct walk *walk, unsigned width_index)
{
	*quantize_decision(walk->widths, walk->decision++) = walk->problem->width[width_index];
}

/* Cost over that of now, as a share of the limit, with the widest width for decisions from `from` to before `to`. */
static double widest_from(const struct walk *walk, unsigned from, unsigned to)
{
	const struct quantize_problem *problem = walk->problem;
	struct walk wide = *walk;

	for (; from < to; from++)
		*quantize_decision(wide.widths, from) = problem->width[problem->width_count - 1];
	return walk_spent(&wide) - walk_spent(walk);
}

void walk_observe(const struct walk *walk, double observation[WALK_OBSERVATIONS])
{
	const struct quantize_problem *problem = walk->problem;
	const struct cost_network *network = problem->network;
	const unsigned decisions = quantize_decisions(problem);
	const unsigned at = walk->decision < decisions ? walk->decision : decisions - 1;
	const struct cost_layer *layer = &network->layer[at / 2];
	struct walk before = *walk;

	observation[WALK_PLACE] = (double)walk->decision / decisions;
	observation[WALK_IS_WEIGHT] = at & 1;
	observation[WALK_INPUTS] = log2(layer->inputs) / 16;
	observation[WALK_OUTPUTS] = log2(layer->outputs) / 16;
	observation[WALK_POSITIONS] = log2(layer->positions) / 16;
	observation[WALK_WEIGHTS] = log2((double)layer->inputs * layer->outputs) / 24;
	observation[WALK_FIRST] = at / 2 == 0;
	observation[WALK_LAST] = at / 2 + 1 == network->layers;
	observation[WALK_BEFORE] = walk->decision ? (double)*quantize_decision(before.widths, walk->decision - 1) /
							    problem->width[problem->width_count - 1] :
						    0;
	observation[WALK_LEFT] = fmax(-1, 1 - walk_spent(walk));
	observation[WALK_AT_STAKE] = fmin(4, walk_done(walk) ? 0 : widest_from(walk, at, at + 1));
	observation[WALK_LATER] = fmin(4, walk_done(walk) ? 0 : widest_from(walk, at + 1, decisions));
}
