/* SPDX-License-Identifier: MIT */
/*
 * Files with the parameters of hardware: JSON, { "parameters": { NAME: { "value": ..., "unit": ..., "source": ... } } }.
 * Every value must name its source; unknown names are refused, so that a misspelt one is not silently a default.
 */
#ifndef FIXAR_LIB_COST_PARAMETERS_H
#define FIXAR_LIB_COST_PARAMETERS_H

#include <stddef.h>

#define PARAMETER_TABLE 16

/* Where a value goes: a number, or a list of `count` numbers. */
struct parameter {
	const char *name;
	double *value;
	size_t count; /* 1: a number */
	double low, high;
	int whole; /* whole numbers alone */
};

/*
 * Reads `file`, or the text `builtin` for NULL. 0; -ENOENT or another errno of opening; -EINVAL, and `message` says
 * which parameter is wrong and what was expected.
 */
int parameters_read(const char *file, const char *builtin, const struct parameter *parameters, size_t count,
		    char *message, size_t message_size);

#endif /* FIXAR_LIB_COST_PARAMETERS_H */
