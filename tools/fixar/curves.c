// SPDX-License-Identifier: MIT
#include "curves.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int read_columns(struct table *table, char *line)
{
	char *name;

	while ((name = strsep(&line, ","))) {
		char **more = realloc(table->columns, (table->column_count + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		table->columns = more;
		table->columns[table->column_count++] = cli_format("%s", name);
	}
	return strcmp(table->columns[0], "step") ? -EBADMSG : 0;
}

static int read_row(struct table *table, char *line)
{
	double *more = realloc(table->cells, (table->row_count + 1) * table->column_count * sizeof(*more));
	size_t column = 0;
	char *cell;

	if (!more)
		return -ENOMEM;
	table->cells = more;
	while ((cell = strsep(&line, ","))) {
		char *end = cell;

		if (column == table->column_count)
			return -EBADMSG;
		more[table->row_count * table->column_count + column++] = *cell ? strtod(cell, &end) : (double)NAN;
		if (*end)
			return -EBADMSG;
	}
	if (column != table->column_count)
		return -EBADMSG;
	table->row_count++;
	return 0;
}

int table_read(const char *path, struct table *table, char **message)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t length;
	int error = 0;

	*table = (struct table){ .columns = NULL };
	if (!file) {
		error = -errno;
		*message = cli_format("%s: %s", path, strerror(errno));
		return error;
	}
	while (!error && (length = getline(&line, &size, file)) > 0 && line[length - 1] == '\n') {
		line[length - 1] = '\0';
		error = number++ ? read_row(table, line) : read_columns(table, line);
	}
	if (!error && !number)
		error = -EBADMSG;
	if (error) {
		*message = cli_format("%s, line %zu: %s", path, number,
				      error == -EBADMSG ? "these are no metrics of a run" : strerror(-error));
		table_free(table);
	}
	free(line);
	fclose(file);
	return error;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i]);
	free(table->columns);
	free(table->cells);
	*table = (struct table){ .columns = NULL };
}

size_t table_column(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (!strcmp(table->columns[i], name))
			return i;
	return TABLE_NONE;
}

double table_cell(const struct table *table, size_t row, size_t column)
{
	return table->cells[row * table->column_count + column];
}

double table_mean(const struct table *table, const char *name, double from, double to)
{
	size_t column = table_column(table, name), n = 0;
	double sum = 0;

	for (size_t row = 0; column != TABLE_NONE && row < table->row_count; row++) {
		double step = table_cell(table, row, 0), value = table_cell(table, row, column);

		if (step > from && step <= to && !isnan(value)) {
			sum += value;
			n++;
		}
	}
	return n ? sum / (double)n : (double)NAN;
}

double table_speed(const struct table *table)
{
	size_t rate = table_column(table, "steps_per_second"), length = table_column(table, "length");
	double steps = 0, seconds = 0;

	if (rate == TABLE_NONE || length == TABLE_NONE)
		return NAN;
	for (size_t row = 0; row < table->row_count; row++) {
		double n = table_cell(table, row, length), per_second = table_cell(table, row, rate);

		if (isnan(n) || !(per_second > 0))
			continue;
		steps += n;
		seconds += n / per_second;
	}
	return seconds > 0 ? steps / seconds : (double)NAN;
}

void curve_of(const struct table *table, const char *name, double steps, size_t count, size_t window, double *curve)
{
	double width = steps / (double)count;
	double end = table->row_count ? table_cell(table, table->row_count - 1, 0) : 0;

	for (size_t i = 0; i < count; i++) {
		size_t first = i + 1 > window ? i + 1 - window : 0;

		/* An unfinished run ends where it is: smoothing must not carry it further. */
		curve[i] = (double)i * width >= end
				   ? (double)NAN
				   : table_mean(table, name, (double)first * width, (double)(i + 1) * width);
	}
}
