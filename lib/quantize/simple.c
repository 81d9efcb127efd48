// SPDX-License-Identifier: MIT
/* Searches without an agent: uniform widths, random ones, all of them, and the greedy one by sensitivity. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "fx/random.h"
#include "ppo/streams.h"
#include "quantize/search.h"

/* A budget that is used up ends a search as it should. */
static int ended(int error)
{
	return error == -EDQUOT ? 0 : error;
}

int quantize_search_uniform(struct quantize_search *search)
{
	const struct quantize_problem *problem = search->problem;
	struct cost_widths widths[COST_MAX_LAYERS];
	double quality;
	int error = 0;

	/* Those beyond the limit too: they are the curve that the others are compared with. */
	for (unsigned i = 0; i < problem->width_count && !error; i++) {
		quantize_uniform(problem, problem->width[i], widths);
		search->proposals++;
		search->over_limit += quantize_cost(problem, widths) > problem->limit;
		error = quantize_evaluate(search, widths, &quality);
	}
	return ended(error);
}

/* ---- Random ---- */

#define PATIENCE 200 /* draws beyond the limit before widths are lowered at random instead */

static unsigned draw_below(const struct quantize_search *search, uint32_t *draws, unsigned n)
{
	return fx_random_below(fx_random_word(search->seed, STREAM_SEARCH, search->proposals, (*draws)++), n);
}

static void draw_widths(struct quantize_search *search, struct cost_widths *widths)
{
	const struct quantize_problem *problem = search->problem;
	const unsigned decisions = quantize_decisions(problem);
	unsigned index[2 * COST_MAX_LAYERS];
	uint32_t draws = 0;

	for (unsigned attempt = 0; attempt < PATIENCE; attempt++) {
		for (unsigned d = 0; d < decisions; d++) {
			index[d] = draw_below(search, &draws, problem->width_count);
			*quantize_decision(widths, d) = problem->width[index[d]];
		}
		if (quantize_cost(problem, widths) <= problem->limit)
			return;
		search->over_limit++;
	}
	while (quantize_cost(problem, widths) > problem->limit) {
		const unsigned d = draw_below(search, &draws, decisions);

		if (index[d])
			*quantize_decision(widths, d) = problem->width[--index[d]];
	}
}

int quantize_search_random(struct quantize_search *search)
{
	struct cost_widths widths[COST_MAX_LAYERS];
	double quality;
	int error = 0;

	memset(widths, 0, sizeof(widths));
	/* A small space has fewer points than the budget. */
	while (!error && search->proposals < 20 * search->budget) {
		draw_widths(search, widths);
		search->proposals++;
		error = quantize_evaluate(search, widths, &quality);
	}
	return ended(error);
}

/* ---- Exhaustive ---- */

int quantize_search_exhaustive(struct quantize_search *search)
{
	const struct quantize_problem *problem = search->problem;
	const unsigned decisions = quantize_decisions(problem);
	unsigned index[2 * COST_MAX_LAYERS] = { 0 }, d = 0;
	struct cost_widths widths[COST_MAX_LAYERS];
	double quality;
	int error = 0;

	if (pow(problem->width_count, decisions) > (double)search->budget)
		return -E2BIG;
	while (d < decisions && !error) {
		for (d = 0; d < decisions; d++)
			*quantize_decision(widths, d) = problem->width[index[d]];
		search->proposals++;
		if (quantize_cost(problem, widths) <= problem->limit)
			error = quantize_evaluate(search, widths, &quality);
		else
			search->over_limit++;
		/* Count up, the first decision fastest. */
		for (d = 0; d < decisions && ++index[d] == problem->width_count; d++)
			index[d] = 0;
	}
	return error;
}

/* ---- Greedy ---- */

/* The quality with one decision at a width, all others at the widest. */
static int sensitivity(struct quantize_search *search, unsigned decision, unsigned index, double *quality)
{
	const struct quantize_problem *problem = search->problem;
	struct cost_widths widths[COST_MAX_LAYERS];
	int error;

	quantize_uniform(problem, problem->width[problem->width_count - 1], widths);
	*quantize_decision(widths, decision) = problem->width[index];
	/* The last evaluation is for the result. */
	if (search->record.count + 1 >= search->budget && !quantize_find(&search->record, problem->network->layers, widths)) {
		*quality = NAN;
		return 0;
	}
	error = quantize_evaluate(search, widths, quality);
	return error;
}

/*
 * One step down for the decision that loses the least for each unit of cost. Without evaluations left the one that saves most is taken.
 */
static int lower_one(struct quantize_search *search, unsigned *index, struct cost_widths *widths)
{
	const struct quantize_problem *problem = search->problem;
	const double cost = quantize_cost(problem, widths);
	unsigned chosen = 0;
	double least = INFINITY;

	for (unsigned d = 0; d < quantize_decisions(problem); d++) {
		double now, then, saved, price;
		int error;

		if (!index[d])
			continue;
		*quantize_decision(widths, d) = problem->width[index[d] - 1];
		saved = cost - quantize_cost(problem, widths);
		*quantize_decision(widths, d) = problem->width[index[d]];
		error = sensitivity(search, d, index[d], &now);
		if (!error)
			error = sensitivity(search, d, index[d] - 1, &then);
		if (error)
			return error;
		/* A step may save nothing by itself (an odd width in cells of two bits) and yet has to be taken. */
		saved = fmax(saved, 1e-3 * problem->limit / quantize_decisions(problem));
		price = isnan(now) || isnan(then) ? 1 / saved :
			quantize_share(problem, now) > quantize_share(problem, then) ?
						    (quantize_share(problem, now) - quantize_share(problem, then)) / saved :
						    -saved;
		if (price < least) {
			least = price;
			chosen = d;
		}
	}
	index[chosen]--;
	*quantize_decision(widths, chosen) = problem->width[index[chosen]];
	return 0;
}

int quantize_search_greedy(struct quantize_search *search)
{
	const struct quantize_problem *problem = search->problem;
	unsigned index[2 * COST_MAX_LAYERS];
	struct cost_widths widths[COST_MAX_LAYERS];
	double quality;
	int error = 0;

	quantize_uniform(problem, problem->width[problem->width_count - 1], widths);
	for (unsigned d = 0; d < quantize_decisions(problem); d++)
		index[d] = problem->width_count - 1;
	while (!error && quantize_cost(problem, widths) > problem->limit)
		error = lower_one(search, index, widths);
	/* Where it fits, single steps up again: the last step down may have been larger than needed. */
	for (unsigned d = 0; d < quantize_decisions(problem) && !error; d++) {
		while (index[d] + 1 < problem->width_count) {
			*quantize_decision(widths, d) = problem->width[index[d] + 1];
			if (quantize_cost(problem, widths) > problem->limit) {
				*quantize_decision(widths, d) = problem->width[index[d]];
				break;
			}
			index[d]++;
		}
	}
	search->proposals++;
	if (!error)
		error = quantize_evaluate(search, widths, &quality);
	return ended(error);
}
