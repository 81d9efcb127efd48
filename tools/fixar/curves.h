/* SPDX-License-Identifier: MIT */
/* Learning curves: metrics.csv of runs, brought to common steps. */
#ifndef FIXAR_TOOLS_CURVES_H
#define FIXAR_TOOLS_CURVES_H

#include <stddef.h>
#include <stdint.h>

/* A metrics.csv in memory; an empty cell is NAN. */
struct table {
	char **columns;
	size_t column_count;
	double *cells; /* row by row */
	size_t row_count;
};

#define TABLE_NONE ((size_t)-1)

/* 0, or -errno and a message (freed by the caller). A torn last row is left out. */
int table_read(const char *path, struct table *table, char **message);
void table_free(struct table *table);
/* Index of a column, or TABLE_NONE. */
size_t table_column(const struct table *table, const char *name);
double table_cell(const struct table *table, size_t row, size_t column);

/* Mean of a column over the rows with a step in (from, to]; NAN if there is none. */
double table_mean(const struct table *table, const char *column, double from, double to);

/* Speed of training over a whole run, all sessions: NAN if the table does not say. */
double table_speed(const struct table *table);

/*
 * A curve at `count` equally spaced steps from 0 to `steps`: point i is the mean of the column over the rows in the
 * `window` intervals that end with interval i, which is (i * steps / count, (i + 1) * steps / count]. NAN where there
 * is none.
 */
void curve_of(const struct table *table, const char *column, double steps, size_t count, size_t window, double *curve);

#endif /* FIXAR_TOOLS_CURVES_H */
