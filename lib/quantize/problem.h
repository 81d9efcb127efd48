/* SPDX-License-Identifier: MIT */
/*
 * The problem that all searches solve: a network, hardware with a limit on one metric of its cost, the widths that are
 * to be had, and a function that says how good the network is with given widths. lib/quantize/QUANTIZE.md explains the
 * frame, the reward above all.
 */
#ifndef FIXAR_LIB_QUANTIZE_PROBLEM_H
#define FIXAR_LIB_QUANTIZE_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "cost/cost.h"

#define QUANTIZE_MAX_WIDTHS 32

/* Higher is better. Must give the same value for the same widths. 0 or a negative errno value. */
typedef int (*quantize_quality)(void *user, const struct cost_widths *widths, double *quality);

struct quantize_problem {
	const struct cost_network *network;
	const struct cost_model *model;
	unsigned metric;
	double limit; /* cost of the metric, at most */
	unsigned width_count;
	uint32_t width[QUANTIZE_MAX_WIDTHS]; /* ascending */
	quantize_quality quality;
	void *user;
	double best, worst; /* qualities with the widest and the narrowest width everywhere: the reward's scale */
};

/* Decisions of a network: of each layer the activation's width, then the weight's. */
static inline unsigned quantize_decisions(const struct quantize_problem *problem)
{
	return 2 * problem->network->layers;
}

static inline uint32_t *quantize_decision(struct cost_widths *widths, unsigned decision)
{
	return decision & 1 ? &widths[decision / 2].weight : &widths[decision / 2].activation;
}

/* The same width everywhere. */
void quantize_uniform(const struct quantize_problem *problem, uint32_t width, struct cost_widths *widths);
double quantize_cost(const struct quantize_problem *problem, const struct cost_widths *widths);
double quantize_least_cost(const struct quantize_problem *problem);

/*
 * Reads "2-8", "2,4,8" or "2-8,16" into the problem's widths. 0, or -EINVAL and a message.
 */
int quantize_parse_widths(struct quantize_problem *problem, const char *text, char *message, size_t message_size);

/* 0; -EINVAL for a problem that cannot be asked; -ERANGE for a limit below the least cost: `message` says which would do. */
int quantize_check(const struct quantize_problem *problem, char *message, size_t message_size);

/*
 * The quality as a share of what there is to lose: 1 at `best`, 0 at `worst` and below.
 * A point's score, by which all searches are judged: this, and a little for what is left of the limit.
 */
double quantize_share(const struct quantize_problem *problem, double quality);
double quantize_score(const struct quantize_problem *problem, double cost, double quality);

/* The score's weight of what is left of the limit: among points of the same quality the cheaper one wins. */
#define QUANTIZE_THRIFT 0.05

#endif /* FIXAR_LIB_QUANTIZE_PROBLEM_H */
