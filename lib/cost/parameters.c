// SPDX-License-Identifier: MIT
#include "cost/parameters.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
	const char *where;
	char *message;
	size_t message_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct reading *reading, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (reading->message)
		snprintf(reading->message, reading->message_size, "%s: %s", reading->where, text);
	return -EINVAL;
}

static int take(const struct reading *reading, const struct parameter *parameter, const json_t *json, size_t index)
{
	double value;

	if (!json_is_number(json))
		return refuse(reading, "parameter \"%s\": expected a number", parameter->name);
	value = json_number_value(json);
	if (!(value >= parameter->low && value <= parameter->high) || (parameter->whole && floor(value) != value))
		return refuse(reading, "parameter \"%s\": %g, expected %s from %g to %g", parameter->name, value,
			      parameter->whole ? "a whole number" : "a number", parameter->low, parameter->high);
	parameter->value[index] = value;
	return 0;
}

static int read_one(const struct reading *reading, const struct parameter *parameter, const json_t *entry)
{
	const json_t *value = json_object_get(entry, "value");
	const char *source = json_string_value(json_object_get(entry, "source"));

	if (!entry)
		return refuse(reading, "parameter \"%s\" is missing", parameter->name);
	if (!value || !source || !*source)
		return refuse(reading, "parameter \"%s\" needs a \"value\" and a \"source\"", parameter->name);
	if (parameter->count == 1)
		return take(reading, parameter, value, 0);
	if (!json_is_array(value) || json_array_size(value) != parameter->count)
		return refuse(reading, "parameter \"%s\": expected a list of %zu numbers", parameter->name,
			      parameter->count);
	for (size_t i = 0; i < parameter->count; i++) {
		int error = take(reading, parameter, json_array_get(value, i), i);

		if (error)
			return error;
	}
	return 0;
}

static int is_known(const struct parameter *parameters, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(parameters[i].name, name))
			return 1;
	return 0;
}

static int read_all(const struct reading *reading, const json_t *root, const struct parameter *parameters, size_t count)
{
	json_t *table = json_object_get(root, "parameters"), *entry;
	const char *name;

	if (!json_is_object(table))
		return refuse(reading, "there is no object \"parameters\"");
	json_object_foreach(table, name, entry)
		if (!is_known(parameters, count, name))
			return refuse(reading, "unknown parameter \"%s\"", name);
	for (size_t i = 0; i < count; i++) {
		int error = read_one(reading, &parameters[i], json_object_get(table, parameters[i].name));

		if (error)
			return error;
	}
	return 0;
}

int parameters_read(const char *file, const char *builtin, const struct parameter *parameters, size_t count,
		    char *message, size_t message_size)
{
	const struct reading reading = { file ? file : "built-in parameters", message, message_size };
	json_error_t problem;
	json_t *root;
	FILE *stream;
	int error;

	if (file) {
		stream = fopen(file, "r");
		if (!stream) {
			error = -errno;
			if (message)
				snprintf(message, message_size, "%s: %s", file, strerror(-error));
			return error;
		}
		root = json_loadf(stream, JSON_REJECT_DUPLICATES, &problem);
		fclose(stream);
	} else {
		root = json_loads(builtin, JSON_REJECT_DUPLICATES, &problem);
	}
	if (!root)
		return refuse(&reading, "line %d: %s", problem.line, problem.text);
	error = read_all(&reading, root, parameters, count);
	json_decref(root);
	return error;
}
