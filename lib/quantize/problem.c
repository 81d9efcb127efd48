// SPDX-License-Identifier: MIT
#include "quantize/problem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A quality a little above the reference is luck (of start states, of samples) and counts a little. */
#define LARGEST_SHARE 1.1

void quantize_uniform(const struct quantize_problem *problem, uint32_t width, struct cost_widths *widths)
{
	for (uint32_t l = 0; l < problem->network->layers; l++)
		widths[l] = (struct cost_widths){ width, width };
}

double quantize_cost(const struct quantize_problem *problem, const struct cost_widths *widths)
{
	return cost_of(problem->model, problem->metric, problem->network, widths);
}

double quantize_least_cost(const struct quantize_problem *problem)
{
	struct cost_widths widths[COST_MAX_LAYERS];

	quantize_uniform(problem, problem->width[0], widths);
	return quantize_cost(problem, widths);
}

static int bad_widths(const char *text, char *message, size_t size)
{
	if (message)
		snprintf(message, size,
			 "widths \"%s\": expected ascending widths from 2 to 16, or 32, such as 2-8 or 2,4,8,16", text);
	return -EINVAL;
}

int quantize_parse_widths(struct quantize_problem *problem, const char *text, char *message, size_t message_size)
{
	const char *place = text;

	problem->width_count = 0;
	do {
		char *end;
		unsigned long low = strtoul(place, &end, 10), high = low;

		if (end == place || *place < '0' || *place > '9')
			return bad_widths(text, message, message_size);
		place = end;
		if (*place == '-') {
			place++;
			high = strtoul(place, &end, 10);
			if (end == place || *place < '0' || *place > '9')
				return bad_widths(text, message, message_size);
			place = end;
		}
		if (high < low || low < 2 || (high > 16 && (high != 32 || low != 32)))
			return bad_widths(text, message, message_size);
		for (; low <= high; low++) {
			if (problem->width_count == QUANTIZE_MAX_WIDTHS ||
			    (problem->width_count && problem->width[problem->width_count - 1] >= low))
				return bad_widths(text, message, message_size);
			problem->width[problem->width_count++] = (uint32_t)low;
		}
	} while (*place++ == ',');
	return *--place ? bad_widths(text, message, message_size) : 0;
}

int quantize_check(const struct quantize_problem *problem, char *message, size_t message_size)
{
	const struct cost_metric *metric = &problem->model->ops->metrics[problem->metric];
	struct cost_widths widths[COST_MAX_LAYERS];
	double least;
	int error;

	if (!problem->width_count || problem->network->layers > COST_MAX_LAYERS) {
		if (message)
			snprintf(message, message_size, "no widths to choose from, or more than %d layers",
				 COST_MAX_LAYERS);
		return -EINVAL;
	}
	quantize_uniform(problem, problem->width[0], widths);
	error = cost_check(problem->network, widths, message, message_size);
	if (error)
		return error;
	least = quantize_cost(problem, widths);
	if (!(problem->limit >= least)) {
		if (message)
			snprintf(message, message_size,
				 "a limit of %g%s%s on %s cannot be met: with %u bits everywhere it is %.6g%s%s, so that "
				 "is the lowest limit possible",
				 problem->limit, *metric->unit ? " " : "", metric->unit, metric->name,
				 problem->width[0], least, *metric->unit ? " " : "", metric->unit);
		return -ERANGE;
	}
	return 0;
}

double quantize_share(const struct quantize_problem *problem, double quality)
{
	/* If narrow widths lose nothing, a difference of a hundredth is taken for the whole scale. */
	const double scale = fmax(problem->best - problem->worst, fmax(0.01 * fabs(problem->best), 1e-9));
	const double share = 1 + (quality - problem->best) / scale;

	if (!(share > 0))
		return 0;
	return fmin(share, LARGEST_SHARE);
}

double quantize_score(const struct quantize_problem *problem, double cost, double quality)
{
	return quantize_share(problem, quality) + QUANTIZE_THRIFT * (1 - cost / problem->limit);
}
