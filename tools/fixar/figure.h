/* SPDX-License-Identifier: MIT */
/* Figures, drawn by gnuplot: panels side by side with one curve and its spread for each series. */
#ifndef FIXAR_TOOLS_FIGURE_H
#define FIXAR_TOOLS_FIGURE_H

#include <stddef.h>

struct figure_series {
	const char *label;
	size_t count;
	const double *x, *mean, *low, *high; /* low and high may be NULL: no spread */
};

/* A horizontal line, such as a published value. */
struct figure_line {
	const char *label;
	double value;
};

struct figure_panel {
	const char *title, *x_label, *y_label;
	const struct figure_series *series;
	size_t series_count;
	const struct figure_line *lines;
	size_t line_count;
	double x_end; /* of the axis */
};

/*
 * Draws to a file whose name ends in .png or .svg, or with NULL as text to standard output. The file is replaced whole.
 * CLI_OK, or CLI_FAILED or CLI_USAGE (another ending) after a message.
 */
int figure_draw(const struct figure_panel *panels, size_t count, const char *path);

#endif /* FIXAR_TOOLS_FIGURE_H */
