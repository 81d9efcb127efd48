// SPDX-License-Identifier: MIT
/*
 * fixar plot: learning curves of runs. Runs that differ in nothing but their seed are one curve: the mean, and the
 * spread over seeds around it. What the label of a curve says is what the curves differ in.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "curves.h"
#include "figure.h"
#include "run.h"
#include "study.h"

#define POINTS 100
#define KEY_METRIC 0x1000
#define KEY_SMOOTH 0x1001

struct plot_arguments {
	const char **directories;
	size_t directory_count;
	const char *out, *metric;
	size_t window; /* hundredths of the x axis */
};

struct plot_run {
	char *directory;
	struct settings settings;
	struct table table;
	size_t curve;
};

struct plot_curve {
	size_t example; /* index of a run of it */
	size_t seeds;
	char *label;
	double x[POINTS], mean[POINTS], low[POINTS], high[POINTS];
};

struct plot {
	const struct plot_arguments *arguments;
	struct plot_run *runs;
	size_t run_count;
	struct plot_curve *curves;
	size_t curve_count;
	int error;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct plot_arguments *arguments = state->input;

	switch (key) {
	case 'o':
		arguments->out = text;
		return 0;
	case KEY_METRIC:
		arguments->metric = text;
		return 0;
	case KEY_SMOOTH:
		arguments->window = (size_t)cli_option_u64(state, "smooth", text, 1, POINTS);
		return 0;
	case ARGP_KEY_ARG:
		arguments->directories[arguments->directory_count++] = text;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->directory_count)
			argp_error(state, "which runs? Expected the directories of one or more");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void *more(void *array, size_t count, size_t size)
{
	array = reallocarray(array, count, size);
	if (array)
		return array;
	cli_error("out of memory");
	exit(CLI_FAILED);
}

static void add_run(struct plot *plot, const char *directory)
{
	char *path = run_path(directory, RUN_METRICS), *message = NULL;
	struct plot_run run = { .directory = NULL };

	if (run_read_config(directory, &run.settings, &message) || table_read(path, &run.table, &message)) {
		cli_error("%s", message);
		plot->error = CLI_FAILED;
	} else if (table_column(&run.table, plot->arguments->metric) == TABLE_NONE) {
		cli_error("%s has no column \"%s\"", path, plot->arguments->metric);
		fprintf(stderr, "Its columns are:");
		for (size_t i = 1; i < run.table.column_count; i++)
			fprintf(stderr, " %s", run.table.columns[i]);
		fputc('\n', stderr);
		plot->error = CLI_USAGE;
		table_free(&run.table);
	} else {
		run.directory = cli_format("%s", directory);
		plot->runs = more(plot->runs, plot->run_count + 1, sizeof(*plot->runs));
		plot->runs[plot->run_count++] = run;
	}
	free(message);
	free(path);
}

static int is_run(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A run, or a folder of runs such as the state of a study. */
static void add_directory(struct plot *plot, const char *directory)
{
	struct dirent **entries;
	size_t before = plot->run_count;
	int count;

	if (run_has(directory, RUN_CONFIG)) {
		add_run(plot, directory);
		return;
	}
	count = scandir(directory, &entries, is_run, alphasort);
	if (count < 0) {
		cli_error("%s: %s", directory, strerror(errno));
		plot->error = CLI_FAILED;
		return;
	}
	for (int i = 0; i < count; i++) {
		char *path = run_path(directory, entries[i]->d_name);

		if (!plot->error && run_has(path, RUN_CONFIG) && run_has(path, RUN_METRICS))
			add_run(plot, path);
		free(path);
		free(entries[i]);
	}
	free(entries);
	if (!plot->error && plot->run_count == before) {
		cli_error("there is no run in %s (no %s)", directory, RUN_CONFIG);
		plot->error = CLI_FAILED;
	}
}

/* Whether a setting makes a curve of its own. */
static bool tells_apart(const struct setting *setting)
{
	return !setting->may_change && strcmp(setting->name, "seed") != 0;
}

static bool same_setting(const struct setting *setting, const struct settings *a, const struct settings *b)
{
	char text_a[SETTINGS_TEXT], text_b[SETTINGS_TEXT];

	setting->format(setting, a, text_a);
	setting->format(setting, b, text_b);
	return !strcmp(text_a, text_b);
}

static bool same_curve(const struct settings *a, const struct settings *b)
{
	if (strcmp(a->environment, b->environment))
		return false;
	for (size_t i = 0; i < settings_count; i++)
		if (tells_apart(&settings_table[i]) && !same_setting(&settings_table[i], a, b))
			return false;
	return true;
}

static void group(struct plot *plot)
{
	for (size_t r = 0; r < plot->run_count; r++) {
		size_t c = 0;

		while (c < plot->curve_count &&
		       !same_curve(&plot->runs[r].settings, &plot->runs[plot->curves[c].example].settings))
			c++;
		if (c == plot->curve_count) {
			plot->curves = more(plot->curves, ++plot->curve_count, sizeof(*plot->curves));
			plot->curves[c] = (struct plot_curve){ .example = r };
		}
		plot->runs[r].curve = c;
		plot->curves[c].seeds++;
	}
}

/* "qat16, batch 128 (3 seeds)": the precision, and the settings that not all curves of the environment share. */
static char *label_of(const struct plot *plot, const struct plot_curve *curve)
{
	const struct settings *own = &plot->runs[curve->example].settings;
	char *label = cli_format("%s", fixar_precision_name(own->agent.precision));

	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char text[SETTINGS_TEXT], *longer;
		bool differs = false;

		for (size_t c = 0; c < plot->curve_count; c++) {
			const struct settings *other = &plot->runs[plot->curves[c].example].settings;

			differs |= !strcmp(other->environment, own->environment) && !same_setting(setting, own, other);
		}
		if (!differs || !tells_apart(setting) || !strcmp(setting->name, "precision"))
			continue;
		setting->format(setting, own, text);
		longer = cli_format("%s, %s %s", label, setting->name, text);
		free(label);
		label = longer;
	}
	if (curve->seeds > 1) {
		char *longer = cli_format("%s (%zu seeds)", label, curve->seeds);

		free(label);
		label = longer;
	}
	return label;
}

/* How far the axis of an environment goes: as far as the longest of its runs has come. */
static double end_of(const struct plot *plot, const char *environment)
{
	double end = 0;

	for (size_t r = 0; r < plot->run_count; r++) {
		const struct table *table = &plot->runs[r].table;

		if (!strcmp(plot->runs[r].settings.environment, environment) && table->row_count)
			end = fmax(end, table_cell(table, table->row_count - 1, 0));
	}
	return end > 0 ? end : 1;
}

static void compute(const struct plot *plot, struct plot_curve *curve, size_t index)
{
	double *all = more(NULL, curve->seeds * POINTS, sizeof(*all)),
	       *column = more(NULL, curve->seeds, sizeof(*column));
	double end = end_of(plot, plot->runs[curve->example].settings.environment);
	size_t n = 0;

	for (size_t r = 0; r < plot->run_count; r++)
		if (plot->runs[r].curve == index)
			curve_of(&plot->runs[r].table, plot->arguments->metric, end, POINTS, plot->arguments->window,
				 all + n++ * POINTS);
	for (size_t i = 0; i < POINTS; i++) {
		double deviation;

		for (size_t s = 0; s < n; s++)
			column[s] = all[s * POINTS + i];
		curve->x[i] = end * (double)(i + 1) / POINTS;
		study_mean(column, n, &curve->mean[i], &deviation);
		if (isnan(deviation))
			deviation = 0;
		curve->low[i] = curve->mean[i] - deviation;
		curve->high[i] = curve->mean[i] + deviation;
	}
	free(all);
	free(column);
}

static bool has_panel(const struct figure_panel *panels, size_t count, const char *environment)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(panels[i].title, environment))
			return true;
	return false;
}

static bool belongs(const struct plot *plot, const struct plot_curve *curve, const char *environment,
		    enum fixar_precision precision)
{
	const struct settings *settings = &plot->runs[curve->example].settings;

	return !strcmp(settings->environment, environment) && settings->agent.precision == precision;
}

static struct figure_series series_of(const struct plot_curve *curve)
{
	return (struct figure_series){
		.label = curve->label,
		.count = POINTS,
		.x = curve->x,
		.mean = curve->mean,
		.low = curve->seeds > 1 ? curve->low : NULL,
		.high = curve->seeds > 1 ? curve->high : NULL,
	};
}

/* A panel for each environment, in the order in which they were given. */
static int draw(struct plot *plot)
{
	struct figure_panel *panels = more(NULL, plot->curve_count, sizeof(*panels));
	struct figure_series *series = more(NULL, plot->curve_count, sizeof(*series));
	size_t panel_count = 0, series_count = 0;
	int code;

	for (size_t c = 0; c < plot->curve_count; c++) {
		const char *environment = plot->runs[plot->curves[c].example].settings.environment;
		size_t first = series_count;

		if (has_panel(panels, panel_count, environment))
			continue;
		/* Ordered by precision, so that a precision has one colour in all panels. */
		for (enum fixar_precision precision = FIXAR_FLOAT32; precision <= FIXAR_QAT16X16; precision++)
			for (size_t d = c; d < plot->curve_count; d++)
				if (belongs(plot, &plot->curves[d], environment, precision))
					series[series_count++] = series_of(&plot->curves[d]);
		panels[panel_count++] = (struct figure_panel){
			.title = environment,
			.x_label = "environment steps",
			.y_label = plot->arguments->metric,
			.series = &series[first],
			.series_count = series_count - first,
			.x_end = end_of(plot, environment),
		};
	}
	code = figure_draw(panels, panel_count, plot->arguments->out);
	free(panels);
	free(series);
	return code;
}

static int run(const struct plot_arguments *arguments)
{
	struct plot plot = { .arguments = arguments };
	int code;

	for (size_t i = 0; i < arguments->directory_count && !plot.error; i++)
		add_directory(&plot, arguments->directories[i]);
	code = plot.error;
	if (!code) {
		group(&plot);
		for (size_t c = 0; c < plot.curve_count; c++) {
			plot.curves[c].label = label_of(&plot, &plot.curves[c]);
			compute(&plot, &plot.curves[c], c);
		}
		code = draw(&plot);
	}
	for (size_t r = 0; r < plot.run_count; r++) {
		free(plot.runs[r].directory);
		table_free(&plot.runs[r].table);
	}
	for (size_t c = 0; c < plot.curve_count; c++)
		free(plot.curves[c].label);
	free(plot.runs);
	free(plot.curves);
	return code;
}

int cmd_plot(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "out", 'o', "FILE", 0, "Picture to write, .png or .svg; without it the terminal", 1 },
		{ "metric", KEY_METRIC, "NAME", 0, "Column of metrics.csv to draw; default return", 1 },
		{ "smooth", KEY_SMOOTH, "P", 0, "Average over the last P hundredths of the steps; default 5", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "DIR...",
		.doc = "Draws the learning curves of runs. Runs that differ only in their seed become one curve with "
		       "its spread "
		       "(one standard deviation). DIR is a run, or a folder of runs such as the state of a study.",
	};
	struct plot_arguments arguments = { .metric = "return", .window = 5 };
	int code = CLI_USAGE;

	arguments.directories = more(NULL, (size_t)argc + 1, sizeof(*arguments.directories));
	if (!cli_parse(&argp, "fixar plot", argc, argv, &arguments))
		code = run(&arguments);
	free(arguments.directories);
	return code;
}
