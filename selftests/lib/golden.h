// SPDX-License-Identifier: MIT
/*
 * Reads the golden vectors (selftests/lib/reference/README.md says how they are made and what the files look like):
 * each line that is no comment becomes a row of integers, `in` before the bar and `out` behind it. A word that is no
 * number reads as 0; it is there as text.
 *
 * The folder is the program's first argument, else FIXAR_GOLDEN, else that of the source tree the program is run from.
 */
#ifndef FIXAR_SELFTESTS_LIB_GOLDEN_H
#define FIXAR_SELFTESTS_LIB_GOLDEN_H

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ktap.h"

struct golden_row {
	unsigned line;
	size_t inputs, outputs;
	int64_t *in, *out; /* unsigned 64-bit numbers are here by their bits */
	char **word;	   /* the inputs as text */
};

struct golden_table {
	const char *name;
	char *text;
	size_t count;
	struct golden_row *row;
};

static const char *golden_folder = "selftests/lib/golden";

static inline void golden_find(int argc, char **argv)
{
	if (argc > 1)
		golden_folder = argv[1];
	else if (getenv("FIXAR_GOLDEN"))
		golden_folder = getenv("FIXAR_GOLDEN");
}

static inline void *golden_memory(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory) {
		perror("golden vectors");
		exit(KTAP_FAIL);
	}
	return memory;
}

static inline int64_t golden_integer(const char *word)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(word, &end, 10);
	if (*end)
		return 0;
	return errno ? (int64_t)strtoull(word, NULL, 10) : value;
}

static inline void golden_split(char *line, struct golden_row *row)
{
	const size_t most = strlen(line) / 2 + 1;
	char *rest = line, *word;
	int behind = 0;

	row->in = golden_memory(most, sizeof(*row->in));
	row->word = golden_memory(most, sizeof(*row->word));
	row->out = row->in;
	while ((word = strtok_r(rest, " ", &rest))) {
		if (!strcmp(word, "|")) {
			behind = 1;
			row->out = row->in + row->inputs;
		} else if (behind) {
			row->out[row->outputs++] = golden_integer(word);
		} else {
			row->word[row->inputs] = word;
			row->in[row->inputs++] = golden_integer(word);
		}
	}
}

static inline char *golden_text(const char *name)
{
	char path[4096];
	long size = 0;
	char *text;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.txt", golden_folder, name);
	file = fopen(path, "r");
	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
		ktap_note("%s: %s", path, strerror(errno));
		if (file)
			fclose(file);
		return NULL;
	}
	text = golden_memory((size_t)size + 1, 1);
	if (fread(text, 1, (size_t)size, file) != (size_t)size)
		text[0] = 0;
	fclose(file);
	return text;
}

/* Reads a file. One without rows, or that is not there, is a failed test and returns 0. */
static inline int golden_load(const char *name, struct golden_table *table)
{
	char *line, *rest;
	unsigned number = 0;
	size_t lines = 1;

	*table = (struct golden_table){ .name = name, .text = golden_text(name) };
	for (const char *c = table->text; c && *c; c++)
		lines += *c == '\n';
	table->row = golden_memory(lines, sizeof(*table->row));
	for (rest = table->text; rest && (line = strsep(&rest, "\n"));) {
		number++;
		if (!*line || *line == '#')
			continue;
		table->row[table->count].line = number;
		golden_split(line, &table->row[table->count++]);
	}
	if (!table->count)
		ktap_ok(0, "%s: golden vectors", name);
	return table->count > 0;
}

static inline void golden_free(struct golden_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->row[i].in);
		free(table->row[i].word);
	}
	free(table->row);
	free(table->text);
}

/* Compares result number `index` of a row; says the first difference. */
static inline int golden_same(const struct golden_table *table, const struct golden_row *row, size_t index,
			      int64_t result)
{
	if (index < row->outputs && row->out[index] == result)
		return 1;
	ktap_note("%s.txt line %u: result %zu is %" PRId64 ", expected %" PRId64, table->name, row->line, index + 1,
		  result, index < row->outputs ? row->out[index] : 0);
	return 0;
}

static inline int golden_same_all(const struct golden_table *table, const struct golden_row *row, size_t first,
				  size_t count, const int32_t *result)
{
	for (size_t i = 0; i < count; i++)
		if (!golden_same(table, row, first + i, result[i]))
			return 0;
	return 1;
}

#endif /* FIXAR_SELFTESTS_LIB_GOLDEN_H */
