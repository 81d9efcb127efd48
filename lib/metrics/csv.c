// SPDX-License-Identifier: MIT
/* Rows of metrics.csv: "step,value,value" with the shortest decimals that give the same double again. */
#include "metrics/private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/atomic.h"

#define NUMBER_SIZE 40
#define CHUNK 65536

size_t csv_row_size(size_t columns)
{
	return 24 + columns * (NUMBER_SIZE + 1);
}

static size_t number(char *text, double value)
{
	char written[NUMBER_SIZE];
	size_t used = 0;

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(written, sizeof(written), "%.*g", digits, value);
		if (strtod(written, NULL) == value)
			break;
	}
	/* Whatever the program's locale calls a decimal point (it may be several bytes), the file has a dot. */
	for (const char *at = written; *at; at++) {
		if (strchr("0123456789+-einfa", *at))
			text[used++] = *at;
		else if (!used || text[used - 1] != '.')
			text[used++] = '.';
	}
	return used;
}

size_t csv_row(char *row, uint64_t step, const double *values, size_t columns)
{
	size_t used = (size_t)sprintf(row, "%llu", (unsigned long long)step);

	for (size_t i = 0; i < columns; i++) {
		row[used++] = ',';
		if (!isnan(values[i]))
			used += number(row + used, values[i]);
	}
	row[used++] = '\n';
	return used;
}

/* A row as far as it was read. */
struct row {
	uint64_t step;
	size_t digits, commas;
	int bad;
};

static void row_byte(struct row *row, char byte)
{
	if (byte == ',') {
		row->commas++;
	} else if (!row->commas) {
		if (byte < '0' || byte > '9' || __builtin_mul_overflow(row->step, 10, &row->step) ||
		    __builtin_add_overflow(row->step, (uint64_t)(byte - '0'), &row->step))
			row->bad = 1;
		row->digits++;
	} else if (!byte || !strchr("0123456789+-.einfa", byte)) {
		row->bad = 1;
	}
}

/* The rows from `offset` on: sets keep and damaged. */
static int scan_rows(int fd, uint64_t offset, uint64_t size, size_t columns, uint64_t limit, struct metrics_scan *scan)
{
	struct row row = { 0 };
	char *chunk = malloc(size - offset < CHUNK ? (size_t)(size - offset) + 1 : CHUNK);
	int error = chunk ? 0 : -ENOMEM;

	while (!error && offset < size) {
		size_t length = size - offset < CHUNK ? (size_t)(size - offset) : CHUNK;

		error = read_all(fd, chunk, length, offset);
		for (size_t i = 0; i < length && !error; i++) {
			if (chunk[i] != '\n') {
				row_byte(&row, chunk[i]);
				continue;
			}
			if (row.bad || !row.digits || row.commas != columns) {
				scan->damaged = scan->keep;
				goto out;
			}
			if (row.step > limit)
				goto out;
			scan->keep = offset + i + 1;
			row = (struct row){ 0 };
		}
		offset += length;
	}
out:
	free(chunk);
	return error;
}

int csv_scan(int fd, const char *path, const char *header, size_t columns, uint64_t step, struct metrics_scan *scan,
	     const struct message *message)
{
	size_t length = strlen(header);
	uint64_t size;
	char *found;
	int error;

	*scan = (struct metrics_scan){ 0, UINT64_MAX };
	error = file_size(fd, &size);
	if (error)
		return fail(message, error, "%s: %s", path, strerror(-error));
	if (size < length)
		length = (size_t)size;
	found = calloc(length + 1, 1);
	if (!found)
		return fail(message, -ENOMEM, "%s: out of memory", path);
	error = read_all(fd, found, length, 0);
	if (error)
		fail(message, error, "%s: cannot be read: %s", path, strerror(-error));
	else if (memcmp(found, header, length))
		error = fail(message, -EBADMSG, "%s: not the metrics of this run: the first line is not '%.*s'", path,
			     (int)strlen(header) - 1, header);
	free(found);
	if (error || length < strlen(header))
		return error;
	scan->keep = length;
	error = scan_rows(fd, length, size, columns, step, scan);
	return error ? fail(message, error, "%s: cannot be read: %s", path, strerror(-error)) : 0;
}
