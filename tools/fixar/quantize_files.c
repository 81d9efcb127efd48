// SPDX-License-Identifier: MIT
#include "quantize_files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figure.h"

#define JOURNAL "evaluations.csv"
#define LINE 4096

/* ---- Evaluations ---- */

/* "a,w,a,w,...,quality,seconds\n"; whether the line is one, and whole. */
static bool parse_line(const char *line, uint32_t layers, struct quantize_point *point)
{
	const size_t length = strlen(line);
	char *end;

	memset(point, 0, sizeof(*point));
	if (!length || line[length - 1] != '\n')
		return false;
	for (uint32_t i = 0; i < 2 * layers; i++) {
		const unsigned long width = strtoul(line, &end, 10);

		if (end == line || *end != ',' || width < COST_MIN_WIDTH || width > COST_MAX_WIDTH)
			return false;
		*quantize_decision(point->widths, i) = (uint32_t)width;
		line = end + 1;
	}
	point->quality = strtod(line, &end);
	if (end == line || *end != ',' || !isfinite(point->quality))
		return false;
	line = end + 1;
	point->seconds = strtod(line, &end);
	return end != line && *end == '\n' && point->seconds >= 0;
}

static int read_journal(struct quantize_journal *journal, const char *path, const char *key, long *whole)
{
	char line[LINE];
	FILE *file = fopen(path, "r");
	int error = CLI_OK;

	*whole = 0;
	if (!file)
		return errno == ENOENT ? CLI_OK : (cli_error("%s: %s", path, strerror(errno)), CLI_FAILED);
	if (fgets(line, sizeof(line), file) && strchr(line, '\n')) {
		*strchr(line, '\n') = '\0';
		if (strcmp(line, key)) {
			cli_error("%s holds evaluations of something else:\n  there: %s\n  here:  %s\nChoose another folder with "
				  "--out, or remove it",
				  path, line, key);
			error = CLI_FAILED;
		}
		*whole = ftell(file);
	}
	while (!error && fgets(line, sizeof(line), file)) {
		struct quantize_point point;

		if (parse_line(line, journal->layers, &point)) {
			if (quantize_append(&journal->known, &point))
				error = (cli_error("out of memory"), CLI_FAILED);
			*whole = ftell(file);
		} else if (strchr(line, '\n')) {
			cli_error("%s: this line is no evaluation: %s", path, line);
			error = CLI_FAILED;
		}
	}
	fclose(file);
	return error;
}

int quantize_journal_open(struct quantize_journal *journal, const char *directory, const char *key, uint32_t layers)
{
	char *path = cli_format("%s/%s", directory, JOURNAL);
	long whole;
	int code;

	memset(journal, 0, sizeof(*journal));
	journal->layers = layers;
	code = read_journal(journal, path, key, &whole);
	if (!code) {
		journal->file = fopen(path, "a");
		/* What a crash left of a line goes, and the next begins a line of its own. */
		if (!journal->file || ftruncate(fileno(journal->file), whole) ||
		    (!whole && (fprintf(journal->file, "%s\n", key) < 0 || fflush(journal->file)))) {
			cli_error("%s: %s", path, strerror(errno));
			code = CLI_FAILED;
		}
	}
	free(path);
	return code;
}

int quantize_journal_add(struct quantize_journal *journal, const struct quantize_point *point)
{
	struct quantize_point copy = *point;

	for (uint32_t i = 0; i < 2 * journal->layers; i++)
		fprintf(journal->file, "%u,", *quantize_decision(copy.widths, i));
	fprintf(journal->file, "%.17g,%.6f\n", point->quality, point->seconds);
	return fflush(journal->file) || ferror(journal->file) ? -EIO : quantize_append(&journal->known, point);
}

void quantize_journal_close(struct quantize_journal *journal)
{
	if (journal->file)
		fclose(journal->file);
	quantize_record_free(&journal->known);
}

/* ---- Results ---- */

static const struct quantize_point *best_of(const struct quantize_search *search)
{
	return &search->record.point[search->best];
}

/* Differences of a hundredth of what there is to lose are none. */
#define SAME_QUALITY 0.01

/* The cheapest uniform width that was evaluated and has the quality of the result; 0: there is none. */
static uint32_t uniform_of_same_quality(const struct quantize_report *report, double *cost)
{
	const struct quantize_problem *problem = report->search->problem;
	const double share = quantize_share(problem, best_of(report->search)->quality) - SAME_QUALITY;
	uint32_t found = 0;

	*cost = NAN;
	for (unsigned i = 0; i < problem->width_count; i++) {
		struct cost_widths widths[COST_MAX_LAYERS];
		const struct quantize_point *point;

		quantize_uniform(problem, problem->width[i], widths);
		point = quantize_find(report->known, problem->network->layers, widths);
		if (!point || quantize_share(problem, point->quality) < share)
			continue;
		*cost = quantize_cost(problem, widths);
		found = problem->width[i];
		break; /* costs never fall as widths grow */
	}
	return found;
}

static json_t *layers_json(const struct quantize_problem *problem, const struct quantize_point *point)
{
	const struct cost_network *network = problem->network;
	struct cost cost[COST_MAX_LAYERS], total;
	json_t *list = json_array();

	problem->model->ops->evaluate(problem->model, network, point->widths, cost, &total);
	for (uint32_t l = 0; l < network->layers; l++)
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "name", network->layer[l].name,
						"inputs", (json_int_t)network->layer[l].inputs, "outputs",
						(json_int_t)network->layer[l].outputs, "positions",
						(json_int_t)network->layer[l].positions, "activation",
						(json_int_t)point->widths[l].activation, "weight",
						(json_int_t)point->widths[l].weight, "cost",
						cli_json_number(cost[l].value[problem->metric])));
	return list;
}

json_t *quantize_result_json(const struct quantize_report *report)
{
	const struct quantize_search *search = report->search;
	const struct quantize_problem *problem = search->problem;
	const struct quantize_point *best = best_of(search);
	double uniform_cost;
	const uint32_t uniform = uniform_of_same_quality(report, &uniform_cost);
	json_t *points = json_array();

	for (size_t i = 0; i < search->record.count; i++)
		json_array_append_new(points, json_pack("[o, o]", cli_json_number(search->record.point[i].cost),
							cli_json_number(search->record.point[i].quality)));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, "
			 "s:I, s:o, s:o, s:o}",
			 "search", report->name, "hardware", report->hardware, "metric",
			 problem->model->ops->metrics[problem->metric].name, "unit",
			 problem->model->ops->metrics[problem->metric].unit, "limit", cli_json_number(problem->limit),
			 "widest_cost", cli_json_number(report->widest_cost), "seed", (json_int_t)search->seed, "budget",
			 (json_int_t)search->budget, "cost", cli_json_number(best->cost), "quality",
			 cli_json_number(best->quality), "fine_tuned_quality", cli_json_number(report->fine_tuned),
			 "test_quality", cli_json_number(report->test), "widest_quality", cli_json_number(problem->best), "narrowest_quality",
			 cli_json_number(problem->worst), "score",
			 cli_json_number(quantize_score(problem, best->cost, best->quality)), "evaluations",
			 (json_int_t)search->record.count, "best_at", (json_int_t)search->best + 1, "proposals",
			 (json_int_t)search->proposals, "seconds", cli_json_number(search->all_seconds),
			 "seconds_to_best", cli_json_number(search->seconds), "same_quality_uniform_width",
			 (json_int_t)uniform, "same_quality_uniform_cost", cli_json_number(uniform_cost), "layers", layers_json(problem, best),
			 "points", points);
}

void quantize_print(const struct quantize_report *report)
{
	const struct quantize_search *search = report->search;
	const struct quantize_problem *problem = search->problem;
	const struct cost_metric *metric = &problem->model->ops->metrics[problem->metric];
	const struct quantize_point *best = best_of(search);
	const char *space = *metric->unit ? " " : "";
	struct cost cost[COST_MAX_LAYERS], total;
	double uniform_cost;
	const uint32_t uniform = uniform_of_same_quality(report, &uniform_cost);

	problem->model->ops->evaluate(problem->model, problem->network, best->widths, cost, &total);
	printf("%s, %s %s at most %.6g%s%s: quality %.6g (%.6g at %u bits everywhere), %s %.6g%s%s (%.1f %% of that), "
	       "%zu evaluations, found with number %zu after %.1f s\n",
	       report->name, report->hardware, metric->name, problem->limit, space, metric->unit, best->quality,
	       problem->best, problem->width[problem->width_count - 1], metric->name, best->cost, space, metric->unit,
	       100 * best->cost / report->widest_cost, search->record.count, search->best + 1, search->seconds);
	if (uniform)
		printf("the cheapest uniform width of this quality, of those evaluated: %u bits, %.6g%s%s; this is %+.1f %% "
		       "against it\n",
		       uniform, uniform_cost, space, metric->unit, 100 * (best->cost / uniform_cost - 1));
	if (!isnan(report->fine_tuned))
		printf("quality after fine-tuning: %.6g\n", report->fine_tuned);
	if (!isnan(report->test))
		printf("quality on what no search has seen: %.6g\n", report->test);
	printf("  %-16s %7s %7s %9s  %10s %6s", "layer", "inputs", "outputs", "positions", "activation", "weight");
	for (unsigned m = 0; m < problem->model->ops->metric_count; m++) {
		const struct cost_metric *each = &problem->model->ops->metrics[m];
		char *title = cli_format("%s%s%s", each->name, *each->unit ? ", " : "", each->unit);

		printf("  %14s", title);
		free(title);
	}
	printf("\n");
	for (uint32_t l = 0; l < problem->network->layers; l++) {
		const struct cost_layer *layer = &problem->network->layer[l];

		printf("  %-16s %7u %7u %9u  %10u %6u", layer->name, layer->inputs, layer->outputs, layer->positions,
		       best->widths[l].activation, best->widths[l].weight);
		for (unsigned m = 0; m < problem->model->ops->metric_count; m++)
			printf("  %14.6g", cost[l].value[m]);
		printf("\n");
	}
	printf("  %-16s %7s %7s %9s  %10s %6s", "in all", "", "", "", "", "");
	for (unsigned m = 0; m < problem->model->ops->metric_count; m++)
		printf("  %14.6g", total.value[m]);
	printf("\n");
}

int quantize_write(const char *directory, const struct quantize_report *report, const json_t *bits)
{
	char *result = cli_format("%s/result-%s.json", directory, report->name);
	char *list = cli_format("%s/bits-%s.json", directory, report->name);
	json_t *json = quantize_result_json(report);
	int error = cli_replace_json(result, json);

	if (error)
		cli_error("%s: %s", result, strerror(-error));
	else if ((error = cli_replace_json(list, bits)))
		cli_error("%s: %s", list, strerror(-error));
	json_decref(json);
	free(result);
	free(list);
	return error ? CLI_FAILED : CLI_OK;
}

/* ---- The picture ---- */

struct curve {
	double *cost, *quality;
	size_t count;
};

static int by_cost(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : 0;
}

/* The best quality for at most so much: a stair that goes on to the end of the axis. */
static bool make_curve(const json_t *result, double end, struct curve *curve)
{
	const json_t *points = json_object_get(result, "points");
	const size_t n = json_array_size(points);
	double (*pair)[2] = calloc(n + 1, sizeof(*pair)), best = -INFINITY;

	curve->count = 0;
	curve->cost = calloc(2 * n + 2, sizeof(double));
	curve->quality = calloc(2 * n + 2, sizeof(double));
	if (!n || !pair || !curve->cost || !curve->quality) {
		free(pair);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		pair[i][0] = json_number_value(json_array_get(json_array_get(points, i), 0));
		pair[i][1] = json_number_value(json_array_get(json_array_get(points, i), 1));
	}
	qsort(pair, n, sizeof(*pair), by_cost);
	for (size_t i = 0; i < n; i++) {
		if (pair[i][1] <= best)
			continue;
		if (curve->count) {
			curve->cost[curve->count] = pair[i][0];
			curve->quality[curve->count++] = best;
		}
		best = pair[i][1];
		curve->cost[curve->count] = pair[i][0];
		curve->quality[curve->count++] = best;
	}
	curve->cost[curve->count] = end;
	curve->quality[curve->count++] = best;
	free(pair);
	return true;
}

static json_t *read_result(const char *directory, const char *name, const struct quantize_report *report)
{
	const struct quantize_problem *problem = report->search->problem;
	char *path = cli_format("%s/result-%s.json", directory, name), *message = NULL;
	int error;
	json_t *result = cli_read_json(path, &message, &error);
	const char *hardware = json_string_value(json_object_get(result, "hardware"));
	const char *metric = json_string_value(json_object_get(result, "metric"));

	if (result && (!hardware || !metric || strcmp(hardware, report->hardware) ||
		       strcmp(metric, problem->model->ops->metrics[problem->metric].name))) {
		json_decref(result);
		result = NULL;
	}
	free(path);
	free(message);
	return result;
}

int quantize_draw(const char *directory, const struct quantize_report *report)
{
	const struct quantize_problem *problem = report->search->problem;
	const struct cost_metric *metric = &problem->model->ops->metrics[problem->metric];
	struct figure_series series[16] = { { 0 } };
	struct curve curve[16] = { { 0 } };
	struct figure_panel panel = { .y_label = "quality", .series = series, .x_end = report->widest_cost };
	char *png = cli_format("%s/pareto.png", directory), *svg = cli_format("%s/pareto.svg", directory);
	char *x_label = cli_format("%s%s%s", metric->name, *metric->unit ? ", " : "", metric->unit);
	char *title = cli_format("best quality for at most so much %s (%s)", metric->name, report->hardware);
	int code;

	panel.title = title;
	panel.x_label = x_label;
	for (const struct quantize_method *method = quantize_methods; method->name; method++) {
		json_t *result = read_result(directory, method->name, report);
		const size_t s = panel.series_count;

		if (result && make_curve(result, panel.x_end, &curve[s])) {
			series[s] = (struct figure_series){ .label = method->name,
							    .count = curve[s].count,
							    .x = curve[s].cost,
							    .mean = curve[s].quality };
			panel.series_count++;
		}
		json_decref(result);
	}
	code = figure_draw(&panel, 1, png);
	if (!code)
		code = figure_draw(&panel, 1, svg);
	for (size_t s = 0; s < sizeof(curve) / sizeof(curve[0]); s++) {
		free(curve[s].cost);
		free(curve[s].quality);
	}
	free(png);
	free(svg);
	free(x_label);
	free(title);
	return code;
}
