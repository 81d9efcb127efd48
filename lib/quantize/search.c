// SPDX-License-Identifier: MIT
#include "quantize/search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct quantize_method quantize_methods[] = {
	{ "ppo", quantize_search_ppo, "an agent with discrete widths that learns to keep the limit" },
	{ "ddpg", quantize_search_ddpg, "an agent with continuous widths, which are rounded, and lowered to the limit" },
	{ "uniform", quantize_search_uniform, "every width for all layers" },
	{ "random", quantize_search_random, "random widths within the limit" },
	{ "greedy", quantize_search_greedy, "the least sensitive layer is lowered first" },
	{ "exhaustive", quantize_search_exhaustive, "every combination, for small networks" },
	{ 0 },
};

const struct quantize_method *quantize_method_find(const char *name)
{
	for (const struct quantize_method *method = quantize_methods; method->name; method++)
		if (!strcmp(method->name, name))
			return method;
	return NULL;
}

const struct quantize_point *quantize_find(const struct quantize_record *record, uint32_t layers,
					   const struct cost_widths *widths)
{
	for (size_t i = 0; i < record->count; i++)
		if (!memcmp(record->point[i].widths, widths, layers * sizeof(*widths)))
			return &record->point[i];
	return NULL;
}

int quantize_append(struct quantize_record *record, const struct quantize_point *point)
{
	if (record->count == record->capacity) {
		const size_t capacity = record->capacity ? 2 * record->capacity : 64;
		struct quantize_point *larger = reallocarray(record->point, capacity, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		record->point = larger;
		record->capacity = capacity;
	}
	record->point[record->count++] = *point;
	return 0;
}

void quantize_record_free(struct quantize_record *record)
{
	free(record->point);
	*record = (struct quantize_record){ 0 };
}

void quantize_search_free(struct quantize_search *search)
{
	quantize_record_free(&search->record);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void compare(struct quantize_search *search)
{
	const struct quantize_problem *problem = search->problem;
	const size_t last = search->record.count - 1;
	const struct quantize_point *point = &search->record.point[last], *best = &search->record.point[search->best];

	if (point->cost > problem->limit)
		return;
	if (search->found && quantize_score(problem, point->cost, point->quality) <=
				     quantize_score(problem, best->cost, best->quality))
		return;
	search->found = 1;
	search->best = last;
	search->seconds = search->all_seconds;
}

int quantize_evaluate(struct quantize_search *search, const struct cost_widths *widths, double *quality)
{
	const struct quantize_problem *problem = search->problem;
	const uint32_t layers = problem->network->layers;
	const struct quantize_point *point = quantize_find(&search->record, layers, widths);
	struct quantize_point fresh;
	int is_new = 0, error = 0;

	if (point) {
		*quality = point->quality;
		return 0;
	}
	if (search->record.count >= search->budget)
		return -EDQUOT;
	point = search->known ? quantize_find(search->known, layers, widths) : NULL;
	if (point) {
		fresh = *point;
	} else {
		const double start = now();

		memset(&fresh, 0, sizeof(fresh));
		memcpy(fresh.widths, widths, layers * sizeof(*widths));
		error = problem->quality(problem->user, widths, &fresh.quality);
		if (error)
			return error;
		fresh.seconds = now() - start;
		is_new = 1;
	}
	/* Known qualities may come from a search on other hardware. */
	fresh.cost = quantize_cost(problem, widths);
	error = quantize_append(&search->record, &fresh);
	if (error)
		return error;
	search->all_seconds += fresh.seconds;
	compare(search);
	*quality = fresh.quality;
	return search->progress ? search->progress(search->user, search, &search->record.point[search->record.count - 1],
						   is_new) :
				  0;
}
