// SPDX-License-Identifier: MIT
/* The learning curves of a study: a panel for each environment, a curve with its spread over seeds for each precision.
 */
#include <math.h>
#include <stdlib.h>

#include "curves.h"
#include "figure.h"
#include "run.h"
#include "study_report.h"

#define POINTS 100
#define WINDOW 5

/* Numbers of one curve. */
struct spread {
	double x[POINTS], mean[POINTS], low[POINTS], high[POINTS];
};

static void spread_of(const struct study_summary *summary, size_t e, size_t p, struct spread *spread)
{
	double steps = (double)summary->study->environments[e].settings.steps;
	size_t seeds = (size_t)summary->study->seeds, n = 0;
	double *curves = malloc(seeds * POINTS * sizeof(*curves)), *column = malloc(seeds * sizeof(*column));

	if (!curves || !column)
		exit(CLI_FAILED);
	for (size_t i = 0; i < summary->run_count; i++) {
		const struct study_run *run = &summary->runs[i];
		char *path, *message = NULL;
		struct table table;

		if (run->environment != e || run->arm != p)
			continue;
		path = run_path(run->directory, RUN_METRICS);
		if (!table_read(path, &table, &message)) {
			curve_of(&table, "return", steps, POINTS, WINDOW, curves + n++ * POINTS);
			table_free(&table);
		}
		free(message);
		free(path);
	}
	for (size_t i = 0; i < POINTS; i++) {
		double deviation;

		for (size_t s = 0; s < n; s++)
			column[s] = curves[s * POINTS + i];
		spread->x[i] = steps * (double)(i + 1) / POINTS;
		study_mean(column, n, &spread->mean[i], &deviation);
		if (isnan(deviation))
			deviation = 0;
		spread->low[i] = spread->mean[i] - deviation;
		spread->high[i] = spread->mean[i] + deviation;
	}
	free(curves);
	free(column);
}

static struct figure_line *published_lines(const json_t *published, size_t *count)
{
	struct figure_line *lines;

	*count = json_array_size(published);
	lines = calloc(*count + 1, sizeof(*lines));
	if (!lines)
		exit(CLI_FAILED);
	for (size_t i = 0; i < *count; i++) {
		json_t *entry = json_array_get(published, i);

		lines[i].label = json_string_value(json_object_get(entry, "label"));
		lines[i].value = json_number_value(json_object_get(entry, "return"));
	}
	return lines;
}

int study_draw(const struct study_summary *summary, const char *directory)
{
	const struct study *study = summary->study;
	size_t cells = study->environment_count * study->arm_count;
	struct figure_panel *panels = calloc(study->environment_count, sizeof(*panels));
	struct figure_series *series = calloc(cells, sizeof(*series));
	struct spread *spreads = calloc(cells, sizeof(*spreads));
	char *png = run_path(directory, "curves.png"), *svg = run_path(directory, "curves.svg");
	int code;

	if (!panels || !series || !spreads)
		exit(CLI_FAILED);
	for (size_t e = 0; e < study->environment_count; e++) {
		const struct study_environment *environment = &study->environments[e];
		struct figure_series *first = &series[e * study->arm_count];

		panels[e] = (struct figure_panel){
			.title = environment->label,
			.x_label = "environment steps",
			.y_label = "return of training episodes",
			.series = first,
			.series_count = study->arm_count,
			.x_end = (double)environment->settings.steps,
		};
		panels[e].lines = published_lines(environment->published, &panels[e].line_count);
		for (size_t p = 0; p < study->arm_count; p++) {
			struct spread *spread = &spreads[e * study->arm_count + p];

			spread_of(summary, e, p, spread);
			first[p] = (struct figure_series){
				.label = study->arms[p].name,
				.count = POINTS,
				.x = spread->x,
				.mean = spread->mean,
				.low = spread->low,
				.high = spread->high,
			};
		}
	}
	code = figure_draw(panels, study->environment_count, png);
	if (!code)
		code = figure_draw(panels, study->environment_count, svg);
	for (size_t e = 0; e < study->environment_count; e++)
		free((void *)panels[e].lines);
	free(png);
	free(svg);
	free(panels);
	free(series);
	free(spreads);
	return code;
}
