// SPDX-License-Identifier: MIT
/* Element types, shapes and names of checkpoints. */
#include "checkpoint/format.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	size_t size;
} dtypes[] = {
	[CHECKPOINT_I32] = { "I32", 4 }, [CHECKPOINT_U32] = { "U32", 4 }, [CHECKPOINT_U64] = { "U64", 8 },
	[CHECKPOINT_F32] = { "F32", 4 }, [CHECKPOINT_F64] = { "F64", 8 }, [CHECKPOINT_I64] = { "I64", 8 },
	[CHECKPOINT_U8] = { "U8", 1 },
};

size_t checkpoint_dtype_size(enum checkpoint_dtype dtype)
{
	return (size_t)dtype < sizeof(dtypes) / sizeof(dtypes[0]) ? dtypes[dtype].size : 0;
}

const char *checkpoint_dtype_name(enum checkpoint_dtype dtype)
{
	return checkpoint_dtype_size(dtype) ? dtypes[dtype].name : "unknown";
}

int format_name_ok(const char *name)
{
	size_t length = strlen(name);

	if (!length || length > CHECKPOINT_MAX_NAME)
		return 0;
	for (size_t i = 0; i < length; i++)
		if (name[i] < ' ' || name[i] > '~')
			return 0;
	return 1;
}

int format_bytes(enum checkpoint_dtype dtype, uint32_t dim_count, const uint64_t *dim, uint64_t *bytes)
{
	uint64_t product = checkpoint_dtype_size(dtype);

	for (uint32_t i = 0; i < dim_count; i++)
		if (dim[i] > INT64_MAX || __builtin_mul_overflow(product, dim[i], &product))
			return -EOVERFLOW;
	if (product > INT64_MAX)
		return -EOVERFLOW;
	*bytes = product;
	return 0;
}

uint64_t format_not_finite(enum checkpoint_dtype dtype, const void *data, uint64_t bytes)
{
	const unsigned char *at = data;

	if (dtype == CHECKPOINT_F32) {
		for (uint64_t i = 0; i < bytes / 4; i++) {
			float value;

			memcpy(&value, at + 4 * i, 4);
			if (!isfinite(value))
				return i;
		}
	} else if (dtype == CHECKPOINT_F64) {
		for (uint64_t i = 0; i < bytes / 8; i++) {
			double value;

			memcpy(&value, at + 8 * i, 8);
			if (!isfinite(value))
				return i;
		}
	}
	return UINT64_MAX;
}

const char *format_shape(char text[FORMAT_SHAPE_SIZE], uint32_t dim_count, const uint64_t *dim)
{
	int used = sprintf(text, "[");

	for (uint32_t i = 0; i < dim_count && i < CHECKPOINT_MAX_DIMS; i++)
		used += sprintf(text + used, "%s%llu", i ? ", " : "", (unsigned long long)dim[i]);
	sprintf(text + used, "]");
	return text;
}
