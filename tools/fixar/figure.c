// SPDX-License-Identifier: MIT
/*
 * The script goes to gnuplot's standard input, the picture comes from its standard output: no temporary files, and a
 * path that cannot be written is noticed here and named.
 */
#include "figure.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

extern char **environ;

enum format {
	FORMAT_TEXT,
	FORMAT_PNG,
	FORMAT_SVG,
};

/* Okabe and Ito's palette: told apart by people with any kind of colour vision. */
static const char *const colours[] = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" };
#define COLOURS (sizeof(colours) / sizeof(colours[0]))

static void quoted(FILE *script, const char *text)
{
	fputc('"', script);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', script);
		fputc(*text == '\n' ? ' ' : *text, script);
	}
	fputc('"', script);
}

/* Long axes are labelled in thousands. */
static double unit_of(const struct figure_panel *panel)
{
	return panel->x_end >= 10000 ? 1000 : 1;
}

static void write_data(FILE *script, const struct figure_panel *panels, size_t count)
{
	for (size_t p = 0; p < count; p++) {
		for (size_t s = 0; s < panels[p].series_count; s++) {
			const struct figure_series *series = &panels[p].series[s];

			fprintf(script, "$data_%zu_%zu << END\n", p, s);
			for (size_t i = 0; i < series->count; i++) {
				double mean = series->mean[i];

				if (isnan(mean))
					continue;
				fprintf(script, "%.10g %.10g %.10g %.10g\n", series->x[i] / unit_of(&panels[p]), mean,
					series->low ? series->low[i] : mean, series->high ? series->high[i] : mean);
			}
			fprintf(script, "END\n");
		}
	}
}

static size_t points(const struct figure_series *series)
{
	size_t n = 0;

	for (size_t i = 0; i < series->count; i++)
		if (!isnan(series->mean[i]))
			n++;
	return n;
}

static void write_panel(FILE *script, const struct figure_panel *panel, size_t index, enum format format)
{
	const char *separator = "plot";
	size_t total = 0;
	char *x_label = cli_format("%s%s", panel->x_label, unit_of(panel) > 1 ? ", thousands" : "");

	for (size_t s = 0; s < panel->series_count; s++)
		total += points(&panel->series[s]);
	fprintf(script, "set title ");
	quoted(script, panel->title);
	fprintf(script, " noenhanced\nset xlabel ");
	quoted(script, x_label);
	free(x_label);
	/* An empty line keeps the key at a distance. */
	fprintf(script, "%s noenhanced\nset ylabel ", format == FORMAT_TEXT ? "" : ".\"\\n\"");
	quoted(script, panel->y_label);
	fprintf(script, " noenhanced\nset xrange [0:%.10g]\n", panel->x_end / unit_of(panel));
	if (!total) {
		fprintf(script, "set label 1 \"no data yet\" at graph 0.5,0.5 center\nplot [][0:1] NaN notitle\nunset "
				"label 1\n");
		return;
	}
	for (size_t s = 0; s < panel->series_count && format != FORMAT_TEXT; s++) {
		if (!panel->series[s].low || !points(&panel->series[s]))
			continue;
		fprintf(script,
			"%s $data_%zu_%zu using 1:3:4 with filledcurves fillcolor rgb \"%s\" "
			"fillstyle transparent solid 0.18 noborder notitle",
			separator, index, s, colours[s % COLOURS]);
		separator = ", \\\n";
	}
	for (size_t i = 0; i < panel->line_count; i++) {
		fprintf(script, "%s %.10g with lines linecolor rgb \"#777777\" dashtype %zu title ", separator,
			panel->lines[i].value, 2 + i % 4);
		quoted(script, panel->lines[i].label);
		fprintf(script, " noenhanced");
		separator = ", \\\n";
	}
	for (size_t s = 0; s < panel->series_count; s++) {
		if (!points(&panel->series[s]))
			continue;
		fprintf(script, "%s $data_%zu_%zu using 1:2 with lines linewidth 2 linecolor rgb \"%s\" title %s",
			separator, index, s, colours[s % COLOURS], format == FORMAT_TEXT ? "\" \"." : "");
		quoted(script, panel->series[s].label);
		fprintf(script, " noenhanced");
		separator = ", \\\n";
	}
	fputc('\n', script);
}

static void write_script(FILE *script, const struct figure_panel *panels, size_t count, enum format format)
{
	size_t columns = count < 3 ? count : 3, rows = (count + columns - 1) / columns, entries = 0, width, height;

	for (size_t p = 0; p < count; p++)
		if (panels[p].series_count + panels[p].line_count > entries)
			entries = panels[p].series_count + panels[p].line_count;
	height = 430 + 22 * entries;
	write_data(script, panels, count);
	switch (format) {
	case FORMAT_TEXT:
		width = progress_columns(STDOUT_FILENO);
		fprintf(script, "set terminal dumb size %zu,%zu %s\n", width ? width : 79, 22 + entries,
			width ? "ansi256" : "mono");
		break;
	case FORMAT_PNG:
		fprintf(script, "set terminal pngcairo size %zu,%zu font \"sans,11\"\n", 560 * columns + 100,
			height * rows);
		break;
	case FORMAT_SVG:
		fprintf(script, "set terminal svg size %zu,%zu dynamic background \"#ffffff\" font \"sans,12\"\n",
			560 * columns + 100, height * rows);
		break;
	}
	/* The key below the curves, a line for each: it never covers one, and gnuplot leaves out a key that is too
	 * wide. */
	fprintf(script, "set key below vertical maxcols 1 Left reverse\nset border 3\nset tics nomirror\n");
	if (format != FORMAT_TEXT)
		fprintf(script, "set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb \"#d0d0d0\"\n");
	if (count > 1 && format != FORMAT_TEXT)
		fprintf(script, "set multiplot layout %zu,%zu\n", rows, columns);
	for (size_t p = 0; p < count; p++)
		write_panel(script, &panels[p], p, format);
	if (count > 1 && format != FORMAT_TEXT)
		fprintf(script, "unset multiplot\n");
}

/* Runs gnuplot with the script; the picture goes to `output`. */
static int run_gnuplot(const struct figure_panel *panels, size_t count, enum format format, int output)
{
	char *const arguments[] = { (char *)"gnuplot", NULL };
	posix_spawn_file_actions_t actions;
	void (*pipe_handler)(int);
	int ends[2], status = 0, error;
	pid_t child;
	FILE *script;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	if (error) {
		close(ends[1]);
		if (error == ENOENT)
			cli_error("gnuplot draws the figures and is not installed (no gnuplot in PATH)");
		else
			cli_error("gnuplot cannot be started: %s", strerror(error));
		return -error;
	}
	/* A gnuplot that dies shows in its exit code; it must not take this program with it. */
	pipe_handler = signal(SIGPIPE, SIG_IGN);
	script = fdopen(ends[1], "w");
	if (script) {
		write_script(script, panels, count, format);
		fclose(script);
	} else {
		close(ends[1]);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	signal(SIGPIPE, pipe_handler);
	if (!status && script)
		return 0;
	cli_error("gnuplot failed");
	return -EIO;
}

static bool ends_in(const char *text, const char *ending)
{
	size_t length = strlen(text), ending_length = strlen(ending);

	return length > ending_length && !strcasecmp(text + length - ending_length, ending);
}

int figure_draw(const struct figure_panel *panels, size_t count, const char *path)
{
	enum format format = FORMAT_TEXT;
	char *aside;
	int output, error;

	if (!path) {
		fflush(stdout);
		return run_gnuplot(panels, count, format, STDOUT_FILENO) ? CLI_FAILED : CLI_OK;
	}
	if (ends_in(path, ".png")) {
		format = FORMAT_PNG;
	} else if (ends_in(path, ".svg")) {
		format = FORMAT_SVG;
	} else {
		cli_error("\"%s\" names no kind of picture; expected a name that ends in .png or .svg", path);
		return CLI_USAGE;
	}
	aside = cli_format("%s.new", path);
	output = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (output < 0) {
		cli_error("%s cannot be written: %s", path, strerror(errno));
		free(aside);
		return CLI_FAILED;
	}
	error = run_gnuplot(panels, count, format, output);
	if (close(output) && !error) {
		error = -errno;
		cli_error("%s cannot be written: %s", path, strerror(-error));
	}
	if (!error && rename(aside, path)) {
		error = -errno;
		cli_error("%s cannot be written: %s", path, strerror(-error));
	}
	if (error)
		unlink(aside);
	free(aside);
	return error ? CLI_FAILED : CLI_OK;
}
