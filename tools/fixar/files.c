// SPDX-License-Identifier: MIT
/* Folders, files that are replaced whole, and JSON in and out. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/atomic.h"

char *cli_format(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length >= 0)
		return text;
	cli_error("out of memory");
	exit(CLI_FAILED);
}

int cli_make_directory(const char *path)
{
	char *copy = cli_format("%s", path);
	int error = 0;

	for (char *slash = copy + 1; !error && *copy; slash++) {
		char was = *slash;

		if (was != '/' && was != '\0')
			continue;
		*slash = '\0';
		if (mkdir(copy, 0777) && errno != EEXIST)
			error = -errno;
		*slash = was;
		if (!was)
			break;
	}
	free(copy);
	return error;
}

int cli_directory_empty(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int empty = 1;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			empty = 0;
	closedir(folder);
	return empty;
}

int cli_replace_file(const char *path, const void *bytes, size_t length)
{
	struct atomic_file file;

	if (!atomic_file_open(&file, path, NULL, 0))
		atomic_file_write(&file, bytes, length);
	return atomic_file_commit(&file);
}

int cli_replace_json(const char *path, const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15)), *line;
	int error;

	if (!text)
		return -ENOMEM;
	line = cli_format("%s\n", text);
	free(text);
	error = cli_replace_file(path, line, strlen(line));
	free(line);
	return error;
}

json_t *cli_read_json(const char *path, char **message, int *error)
{
	json_error_t where;
	json_t *value;
	FILE *file = fopen(path, "re");

	if (!file) {
		*error = -errno;
		*message = cli_format("%s: %s", path, strerror(errno));
		return NULL;
	}
	value = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	fclose(file);
	if (value)
		return value;
	*error = -EBADMSG;
	*message = cli_format("%s, line %d: %s", path, where.line, where.text);
	return NULL;
}

void cli_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
	fputc('\n', stdout);
	fflush(stdout);
}

json_t *cli_json_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_count(uint64_t value)
{
	return value ? json_integer((json_int_t)value) : json_null();
}
