// SPDX-License-Identifier: MIT
/*
 * Description: searches for widths on a quality that is known in closed form: they keep the limit and the budget, PPO
 * comes close to the best of all combinations and learns the limit by itself, and what is interrupted goes on the same
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cost/models.h"
#include "ktap.h"
#include "quantize/search.h"
#include "quantize/walk.h"

#define BUDGET 150

static const struct cost_network network = {
	.layers = 3,
	.layer = { { "a", 64, 400, 1 }, { "b", 400, 300, 1 }, { "c", 300, 10, 1 } },
};
static struct quantize_problem problem = { .network = &network, .metric = RERAM_ENERGY };
static unsigned asked;

/* Every decision has a sensitivity of its own; each bit divides its error by 4. */
static int quality(void *user, const struct cost_widths *widths, double *value)
{
	static const double sensitive[] = { 8, 1, 2, 30, 6, 3, 16, 3, 6, 40, 0.7, 9 };
	double error = 0;

	(void)user;
	asked++;
	for (uint32_t l = 0; l < problem.network->layers; l++)
		error += sensitive[2 * l] * pow(4, 1 - (double)widths[l].activation) +
			 sensitive[2 * l + 1] * pow(4, 1 - (double)widths[l].weight);
	*value = 1 / (1 + error);
	return 0;
}

static void set_up(double share_of_widest)
{
	struct cost_widths widths[COST_MAX_LAYERS];

	quantize_uniform(&problem, problem.width[0], widths);
	quality(NULL, widths, &problem.worst);
	quantize_uniform(&problem, problem.width[problem.width_count - 1], widths);
	quality(NULL, widths, &problem.best);
	problem.limit = share_of_widest * quantize_cost(&problem, widths);
}

static struct quantize_search run(const char *name, uint64_t seed, size_t budget, int *error)
{
	struct quantize_search search = { .problem = &problem, .seed = seed, .budget = budget };

	*error = quantize_method_find(name)->search(&search);
	return search;
}

static double best_score(const struct quantize_search *search)
{
	const struct quantize_point *point = &search->record.point[search->best];

	return search->found ? quantize_score(&problem, point->cost, point->quality) : -1;
}

static int same_record(const struct quantize_search *a, const struct quantize_search *b)
{
	int same = a->record.count == b->record.count && a->best == b->best;

	for (size_t i = 0; same && i < a->record.count; i++)
		same = !memcmp(a->record.point[i].widths, b->record.point[i].widths, network.layers * sizeof(struct cost_widths)) &&
		       a->record.point[i].quality == b->record.point[i].quality;
	return same;
}

/* ---- Against all combinations ---- */

static void test_against_all(void)
{
	static const char *const names[] = { "ppo", "ddpg", "uniform", "random", "greedy" };
	struct quantize_search all;
	double most;
	int error;

	all = run("exhaustive", 0, 100000, &error);
	most = best_score(&all);
	ktap_ok(!error && all.proposals == 4096 && all.record.count + all.over_limit == 4096 && all.record.count > 1000,
		"all 4096 combinations, %zu within the limit: the best score is %.4f", all.record.count, most);
	quantize_search_free(&all);
	all = run("exhaustive", 0, 4095, &error);
	ktap_ok(error == -E2BIG, "more combinations than the budget are refused");
	quantize_search_free(&all);

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct quantize_search search = run(names[n], 1, BUDGET, &error);
		const struct quantize_point *best = &search.record.point[search.best];

		ktap_ok(!error && search.found && best->cost <= problem.limit && search.record.count <= BUDGET,
			"%s keeps limit and budget: score %.4f after %zu evaluations", names[n], best_score(&search),
			search.record.count);
		/* The curve of uniform widths and the sensitivities of greedy go beyond it, proposals of the others never. */
		if (n != 2 && n != 4) {
			size_t beyond = 0;

			for (size_t i = 0; i < search.record.count; i++)
				beyond += search.record.point[i].cost > problem.limit;
			ktap_ok(!beyond && search.over_limit, "%s evaluates nothing beyond the limit, though it proposed that",
				names[n]);
		}
		ktap_ok(best_score(&search) <= most + 1e-12, "%s is not better than the best of all", names[n]);
		quantize_search_free(&search);
	}
	for (uint64_t seed = 0; seed < 3; seed++) {
		struct quantize_search ppo = run("ppo", seed, 2 * BUDGET, &error);

		ktap_ok(best_score(&ppo) > 0.95 * most, "ppo, seed %u, reaches 95 %% of the best score (%.4f of %.4f)",
			(unsigned)seed, best_score(&ppo), most);
		quantize_search_free(&ppo);
	}
}

/* The mean score of a quarter of the points: the first or the last ones. */
static double quarter(const struct quantize_search *search, int last)
{
	const size_t count = search->record.count / 4, from = last ? search->record.count - count : 0;
	double sum = 0;

	for (size_t i = from; i < from + count; i++)
		sum += quantize_score(&problem, search->record.point[i].cost, search->record.point[i].quality);
	return sum / (double)count;
}

/*
 * Six layers, twelve decisions of seven widths: too many for luck. The same evaluations for both, in the mean of four seeds. Around the
 * width that fits, where PPO begins, draws that learn nothing are better than those from everywhere; so that it learns shows in what it
 * proposes, first and last: with a reward that does not know the quality, that gets no better.
 */
static void test_better_than_luck(void)
{
	static const struct cost_network deep = {
		.layers = 6,
		.layer = { { "a", 25, 6, 576 }, { "b", 150, 16, 64 }, { "c", 256, 120, 1 }, { "d", 120, 84, 1 },
			   { "e", 84, 60, 1 },	{ "f", 60, 10, 1 } },
	};
	const struct quantize_problem before = problem;
	double ppo = 0, luck = 0, first = 0, last = 0;
	char message[64];
	int error, errors = 0;

	problem.network = &deep;
	quantize_parse_widths(&problem, "2-8", message, sizeof(message));
	set_up(0.5);
	for (uint64_t seed = 0; seed < 4; seed++) {
		struct quantize_search search = run("ppo", seed, BUDGET, &error);

		errors |= error;
		ppo += best_score(&search) / 4;
		first += quarter(&search, 0) / 4;
		last += quarter(&search, 1) / 4;
		quantize_search_free(&search);
		search = run("random", seed, BUDGET, &error);
		errors |= error;
		luck += best_score(&search) / 4;
		quantize_search_free(&search);
	}
	ktap_ok(!errors && 1 - ppo < 0.6 * (1 - luck), "ppo misses less than random draws do (score %.4f, random %.4f)", ppo, luck);
	ktap_ok(!errors && last > first + 0.15, "what ppo proposes gets better: its last quarter of points scores %.3f, its first %.3f", last,
		first);
	problem = before;
}

/* What the policy proposes is compared with blind draws under a limit that most of these exceed. */
static void test_limit_is_learned(void)
{
	double blind, learned;
	int error;
	struct quantize_search random, ppo;

	set_up(0.25);
	random = run("random", 1, BUDGET, &error);
	ppo = run("ppo", 1, BUDGET, &error);
	blind = (double)random.over_limit / (double)(random.over_limit + random.proposals);
	learned = (double)ppo.over_limit / (double)ppo.proposals;
	ktap_ok(blind > 0.5 && learned < 0.5 * blind,
		"ppo exceeds a tight limit in %.0f %% of its walks, blind draws in %.0f %%", 100 * learned, 100 * blind);
	quantize_search_free(&random);
	quantize_search_free(&ppo);
	set_up(0.4);
}

/* ---- Determinism and resumption ---- */

static int stop_at(void *user, const struct quantize_search *search, const struct quantize_point *point, int is_new)
{
	(void)point;
	(void)is_new;
	return search->record.count == *(size_t *)user ? 42 : 0;
}

static void test_resume(const char *name)
{
	size_t stop = 9;
	int error;
	struct quantize_search whole = run(name, 5, 40, &error), again = run(name, 5, 40, &error);
	struct quantize_search part = { .problem = &problem, .seed = 5, .budget = 40, .progress = stop_at, .user = &stop };
	struct quantize_search rest = { .problem = &problem, .seed = 5, .budget = 40, .known = &part.record };

	ktap_ok(same_record(&whole, &again), "%s: the same seed evaluates the same points", name);
	ktap_ok(quantize_method_find(name)->search(&part) == 42 && part.record.count == stop, "%s can be interrupted", name);
	asked = 0;
	error = quantize_method_find(name)->search(&rest);
	ktap_ok(!error && same_record(&whole, &rest), "%s goes on to the same points", name);
	ktap_ok(asked == whole.record.count - stop, "%s asks for no quality twice (%u asked, %zu known)", name, asked, stop);
	quantize_search_free(&whole);
	quantize_search_free(&again);
	quantize_search_free(&part);
	quantize_search_free(&rest);
}

static int failing(void *user, const struct cost_widths *widths, double *value)
{
	(void)user;
	(void)widths;
	*value = 0;
	return -EIO;
}

static void test_failure(void)
{
	for (const struct quantize_method *method = quantize_methods; method->name; method++) {
		struct quantize_search search;
		int error;

		problem.quality = failing;
		search = run(method->name, 0, 5000, &error);
		ktap_ok(error == -EIO && !search.found, "%s hands on what the quality returned", method->name);
		quantize_search_free(&search);
	}
	problem.quality = quality;
}

/* ---- The walk ---- */

static void test_walk(void)
{
	double observation[WALK_OBSERVATIONS];
	struct walk walk;
	double least = quantize_least_cost(&problem) / problem.limit;

	walk_start(&walk, &problem);
	walk_observe(&walk, observation);
	ktap_ok(fabs(observation[WALK_LEFT] - (1 - least)) < 1e-12 && observation[WALK_FIRST] == 1 &&
			observation[WALK_LAST] == 0 && observation[WALK_PLACE] == 0 && observation[WALK_INPUTS] == 6.0 / 16,
		"a walk starts with all of the limit left but the least cost");
	walk_choose(&walk, 1);
	walk_choose(&walk, 2);
	walk_observe(&walk, observation);
	ktap_ok(walk.widths[0].activation == problem.width[1] && walk.widths[0].weight == problem.width[2] &&
			walk.widths[1].activation == problem.width[0],
		"its first two decisions are the first layer's");
	ktap_ok(observation[WALK_BEFORE] == (double)problem.width[2] / problem.width[problem.width_count - 1] &&
			observation[WALK_LEFT] < 1 - least && observation[WALK_FIRST] == 0 && observation[WALK_IS_WEIGHT] == 0,
		"it sees what was chosen and what is left");
	while (!walk_done(&walk))
		walk_choose(&walk, problem.width_count - 1);
	walk_observe(&walk, observation);
	ktap_ok(walk_spent(&walk) > 1 && observation[WALK_LEFT] < 0 && walk.decision == 6, "and that the limit is overspent");
}

/* ---- Errors ---- */

static void test_errors(void)
{
	static const char *const wrong[] = { "", "8-2", "1-4", "2-17", "2,2", "4,3", "2-", "2,", "x", "2-4x", "31,32", "16-32", "-3" };
	struct quantize_problem copy = problem;
	char message[256] = "", least[32];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ktap_ok(quantize_parse_widths(&copy, wrong[i], message, sizeof(message)) == -EINVAL && strstr(message, "ascending"),
			"refused: widths \"%s\"", wrong[i]);
	ktap_ok(!quantize_parse_widths(&copy, "2-4,8,15-16,32", message, sizeof(message)) && copy.width_count == 7 &&
			copy.width[2] == 4 && copy.width[3] == 8 && copy.width[6] == 32,
		"read: widths 2-4,8,15-16,32");
	copy = problem;
	ktap_ok(!quantize_check(&copy, message, sizeof(message)), "a limit that can be met");
	copy.limit = quantize_least_cost(&copy);
	ktap_ok(!quantize_check(&copy, message, sizeof(message)), "the lowest limit that can be met");
	copy.limit *= 0.99;
	snprintf(least, sizeof(least), "%.6g nJ", quantize_least_cost(&copy));
	if (!ktap_ok(quantize_check(&copy, message, sizeof(message)) == -ERANGE && strstr(message, least),
		     "a limit that cannot be met names the lowest that can: %s", least))
		ktap_note("%s", message);
	copy.limit = NAN;
	ktap_ok(quantize_check(&copy, message, sizeof(message)) == -ERANGE, "refused: a limit that is no number");
}

int main(void)
{
	struct cost_model *model;
	char message[256];

	ktap_start();
	problem.quality = quality;
	if (!ktap_ok(!cost_model_create("reram", NULL, &model, message, sizeof(message)) &&
			     !quantize_parse_widths(&problem, "2,4,6,8", message, sizeof(message)),
		     "the problem is set up"))
		return ktap_finish();
	problem.model = model;
	set_up(0.4);
	test_walk();
	test_against_all();
	test_limit_is_learned();
	test_better_than_luck();
	test_resume("ppo");
	test_resume("ddpg");
	test_resume("random");
	test_resume("greedy");
	test_failure();
	test_errors();
	cost_model_destroy(model);
	return ktap_finish();
}
