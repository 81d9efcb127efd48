// SPDX-License-Identifier: MIT
/* fixar bench --scaling: the cost of a training step against batch, width, depth and threads, as a table and as a
 * figure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "figure.h"

enum axis { BATCH, WIDTH, DEPTH, THREADS, AXES };

#define MAX_POINTS 8

/* What is not on the axis. */
#define USUAL_BATCH 64
#define USUAL_WIDTH 256
#define USUAL_DEPTH 2

static const char *const axis_name[AXES] = { "batch", "width", "depth", "threads" };
static const char *const axis_title[AXES] = { "400-300 (or --hidden), one thread",
					      "two equal hidden layers, batch 64, one thread",
					      "hidden layers of 256, batch 64, one thread",
					      "400-300 (or --hidden), batch 256" };

static const uint32_t points[THREADS][MAX_POINTS] = {
	[BATCH] = { 16, 32, 64, 128, 256, 512, 1024 },
	[WIDTH] = { 32, 64, 128, 256, 512, 1024 },
	[DEPTH] = { 1, 2, 3, 4, 5, 6 },
};

struct point {
	struct bench_case bench;
	struct bench_shape shape;
	uint32_t x;
	struct bench_spread milliseconds, processor; /* of a step; filled in at the end */
};

struct series {
	struct point point[MAX_POINTS];
	size_t count;
	double x[MAX_POINTS], cost[MAX_POINTS], low[MAX_POINTS], high[MAX_POINTS];
};

static uint32_t threads_at(const struct bench_arguments *arguments, size_t i)
{
	return i < arguments->thread_count ? (uint32_t)arguments->threads[i] : 0;
}

static void set_point(struct point *point, const struct bench_arguments *arguments, enum axis axis,
		      enum fixar_precision precision, uint32_t x)
{
	point->x = x;
	point->shape = arguments->shape;
	point->bench = (struct bench_case){ .precision = precision, .batch = USUAL_BATCH, .threads = 1 };
	switch (axis) {
	case BATCH:
		point->bench.batch = x;
		break;
	case THREADS:
		point->bench.batch = 256;
		point->bench.threads = x;
		break;
	default:
		point->shape.hidden_count = axis == DEPTH ? x : USUAL_DEPTH;
		for (uint32_t l = 0; l < point->shape.hidden_count; l++)
			point->shape.hidden[l] = axis == WIDTH ? x : USUAL_WIDTH;
	}
	point->bench.rates = calloc(arguments->rounds, sizeof(double));
	point->bench.processor_rates = calloc(arguments->rounds, sizeof(double));
	if (!point->bench.rates || !point->bench.processor_rates)
		exit(CLI_FAILED);
}

/* Every point of every series, in turns. */
static int measure(const struct bench_arguments *arguments, struct series *series, size_t count)
{
	size_t all = 0, done;

	for (size_t s = 0; s < count; s++)
		all += series[s].count;
	for (unsigned round = 0; round <= arguments->rounds; round++) {
		done = 0;
		for (size_t i = 0; i < MAX_POINTS; i++) {
			for (size_t s = 0; s < count; s++) {
				struct bench_case *bench = &series[s].point[i].bench;
				double rate, processor_rate;
				int error;

				if (i >= series[s].count)
					continue;
				error = bench_case_run(bench, round ? arguments->seconds : 0, &rate, &processor_rate);
				if (error) {
					cli_error("%s with batch %u failed: %s", fixar_precision_name(bench->precision),
						  bench->batch, strerror(-error));
					return CLI_FAILED;
				}
				if (cli_interrupted())
					return CLI_INTERRUPTED;
				if (round) {
					bench->rates[round - 1] = 1e3 / rate;
					bench->processor_rates[round - 1] = 1e3 / processor_rate;
				}
				bench_progress(arguments, round, done++, all);
			}
		}
	}
	bench_progress_end();
	return CLI_OK;
}

static void print_text(const struct bench_arguments *arguments, const struct series *series)
{
	for (int axis = 0; axis < AXES; axis++) {
		printf("%sMilliseconds of a training step by %s; %s\n%-8s", axis ? "\n" : "", axis_name[axis],
		       axis_title[axis], axis_name[axis]);
		for (size_t p = 0; p < arguments->precision_count; p++)
			printf("%10s", fixar_precision_name(arguments->precisions[p]));
		printf("   of processor time");
		putchar('\n');
		for (size_t i = 0; i < series[(size_t)axis * arguments->precision_count].count; i++) {
			for (int processor = 0; processor < 2; processor++) {
				for (size_t p = 0; p < arguments->precision_count; p++) {
					const struct point *point =
						&series[(size_t)axis * arguments->precision_count + p].point[i];

					if (!p)
						processor ? printf("  ") : printf("%-8u", point->x);
					printf("%10.3f", (processor ? point->processor : point->milliseconds).median);
				}
			}
			putchar('\n');
		}
	}
}

static void print_json(const struct bench_arguments *arguments, const struct series *series)
{
	json_t *answer = bench_json_head(arguments, bench_case_device(&series[0].point[0].bench)), *rows = json_array();

	for (size_t s = 0; s < AXES * arguments->precision_count; s++)
		for (size_t i = 0; i < series[s].count; i++) {
			const struct point *point = &series[s].point[i];

			json_array_append_new(rows, json_pack("{s:s, s:I, s:s, s:o, s:o}", "axis",
							      axis_name[s / arguments->precision_count], "value",
							      (json_int_t)point->x, "precision",
							      fixar_precision_name(point->bench.precision),
							      "milliseconds", bench_spread_json(&point->milliseconds),
							      "processor_milliseconds",
							      bench_spread_json(&point->processor)));
		}
	json_object_set_new(answer, "scaling", rows);
	cli_print_json(answer);
	json_decref(answer);
}

/* Processor time where one thread works, since that is what says most; wall time by threads. */
static int draw(const struct bench_arguments *arguments, struct series *series, const char *path)
{
	struct figure_series curves[AXES][BENCH_MAX_LIST];
	struct figure_panel panels[AXES];

	for (int axis = 0; axis < AXES; axis++) {
		for (size_t p = 0; p < arguments->precision_count; p++) {
			struct series *from = &series[(size_t)axis * arguments->precision_count + p];

			for (size_t i = 0; i < from->count; i++) {
				const struct point *point = &from->point[i];
				const struct bench_spread *cost =
					axis == THREADS ? &point->milliseconds : &point->processor;

				from->x[i] = point->x;
				from->cost[i] = cost->median;
				from->low[i] = cost->low;
				from->high[i] = cost->high;
			}
			curves[axis][p] =
				(struct figure_series){ .label = fixar_precision_name(arguments->precisions[p]),
							.count = from->count,
							.x = from->x,
							.mean = from->cost,
							.low = from->low,
							.high = from->high };
		}
		panels[axis] = (struct figure_panel){ .title = axis_title[axis],
						      .x_label = axis_name[axis],
						      .y_label = axis == THREADS ? "ms a step, wall time"
										 : "ms a step, processor time",
						      .series = curves[axis],
						      .series_count = arguments->precision_count,
						      .x_end = curves[axis][0].x[curves[axis][0].count - 1] };
	}
	return figure_draw(panels, AXES, path);
}

int bench_scaling(const struct bench_arguments *arguments)
{
	const size_t count = AXES * arguments->precision_count;
	struct series *series = calloc(count, sizeof(*series));
	int code = CLI_OK;

	if (!series)
		exit(CLI_FAILED);
	for (size_t s = 0; s < count && !code; s++) {
		const enum axis axis = (enum axis)(s / arguments->precision_count);

		for (size_t i = 0; i < MAX_POINTS && !code; i++) {
			const uint32_t x = axis == THREADS ? threads_at(arguments, i) : points[axis][i];
			struct point *point = &series[s].point[i];
			int error;

			if (!x)
				break;
			set_point(point, arguments, axis, arguments->precisions[s % arguments->precision_count], x);
			series[s].count++;
			error = bench_case_open(&point->bench, &point->shape, arguments->engine);
			if (error) {
				cli_error("%s, %s %u cannot be measured: %s",
					  fixar_precision_name(point->bench.precision), axis_name[axis], x,
					  strerror(-error));
				code = CLI_FAILED;
			}
		}
	}
	if (!code)
		code = measure(arguments, series, count);
	for (size_t s = 0; s < count && !code; s++)
		for (size_t i = 0; i < series[s].count; i++) {
			struct point *point = &series[s].point[i];

			point->milliseconds = bench_spread(point->bench.rates, arguments->rounds);
			point->processor = bench_spread(point->bench.processor_rates, arguments->rounds);
		}
	if (!code && arguments->json)
		print_json(arguments, series);
	else if (!code)
		print_text(arguments, series);
	if (!code && arguments->out)
		code = draw(arguments, series, arguments->out);
	for (size_t s = 0; s < count; s++)
		for (size_t i = 0; i < series[s].count; i++) {
			bench_case_close(&series[s].point[i].bench);
			free(series[s].point[i].bench.rates);
			free(series[s].point[i].bench.processor_rates);
		}
	free(series);
	return code;
}
