/* SPDX-License-Identifier: MIT */
/*
 * Searches for widths. All of them get the same problem, the same budget of quality evaluations, the same seed, and are
 * judged by the same score. A search is a function of (problem, budget, seed) alone, so one that was interrupted is
 * resumed by starting it again with the qualities that are already known.
 */
#ifndef FIXAR_LIB_QUANTIZE_SEARCH_H
#define FIXAR_LIB_QUANTIZE_SEARCH_H

#include "quantize/problem.h"

struct quantize_point {
	struct cost_widths widths[COST_MAX_LAYERS];
	double cost, quality;
	double seconds; /* that the evaluation took */
};

struct quantize_record {
	size_t count, capacity;
	struct quantize_point *point;
};

/* The point with these widths, or NULL. */
const struct quantize_point *quantize_find(const struct quantize_record *record, uint32_t layers,
					   const struct cost_widths *widths);
int quantize_append(struct quantize_record *record, const struct quantize_point *point); /* 0 or -ENOMEM */
void quantize_record_free(struct quantize_record *record);

struct quantize_search {
	const struct quantize_problem *problem;
	uint64_t seed;
	size_t budget; /* of evaluations; widths that were evaluated before in this search are free */
	const struct quantize_record *known; /* qualities of an earlier run, may be NULL: they count, but take no time */
	/*
	 * Called after each evaluation; `is_new`: it was not known. A value other than 0 ends the search, which returns it. May
	 * be NULL.
	 */
	int (*progress)(void *user, const struct quantize_search *search, const struct quantize_point *point, int is_new);
	void *user;

	/* Results. */
	struct quantize_record record; /* in the order of evaluation */
	size_t best;		       /* index, if `found` */
	int found;		       /* whether a point within the limit was evaluated */
	uint64_t proposals;	       /* complete choices of widths, evaluated or not */
	uint64_t over_limit;	       /* proposals that were beyond it; for DDPG those that were lowered */
	double seconds;		       /* of evaluations, known ones included, at the time of the best point */
	double all_seconds;
};

void quantize_search_free(struct quantize_search *search);

/*
 * The quality of widths: from the record, or evaluated. -EDQUOT: the budget is used up; what `progress` or the quality
 * function returned. Points beyond the limit may be evaluated (sensitivities), but never become the best one.
 */
int quantize_evaluate(struct quantize_search *search, const struct cost_widths *widths, double *quality);

/* Each: 0, also when the budget ended it; or what progress() or the quality returned, -ENOMEM. */
typedef int (*quantize_searcher)(struct quantize_search *search);
int quantize_search_uniform(struct quantize_search *search);
int quantize_search_random(struct quantize_search *search);
int quantize_search_greedy(struct quantize_search *search);
int quantize_search_ppo(struct quantize_search *search);
int quantize_search_ddpg(struct quantize_search *search);
/* Every combination within the limit; -E2BIG if there are more than `budget`. */
int quantize_search_exhaustive(struct quantize_search *search);

struct quantize_method {
	const char *name;
	quantize_searcher search;
	const char *description;
};
/* Ends with a name of NULL. */
extern const struct quantize_method quantize_methods[];
const struct quantize_method *quantize_method_find(const char *name);

#endif /* FIXAR_LIB_QUANTIZE_SEARCH_H */
