/* SPDX-License-Identifier: MIT */
/* What the writer and the reader of checkpoints must agree on. */
#ifndef FIXAR_LIB_CHECKPOINT_FORMAT_H
#define FIXAR_LIB_CHECKPOINT_FORMAT_H

#include "checkpoint/checkpoint.h"

#define FORMAT_METADATA "__metadata__"
#define FORMAT_KEY "format"
#define FORMAT_VALUE "fixar-agent"
#define FORMAT_SCHEMA_KEY "schema"
#define FORMAT_CRC_KEY "crc32c"
/*
 * The header starts with these bytes and eight hexadecimal digits: the checksum of the whole file with zeros in their
 * place. It covers the header too, because a changed shape or string is as bad as a changed weight.
 */
#define FORMAT_START "{\"" FORMAT_METADATA "\":{\"" FORMAT_CRC_KEY "\":\""
#define FORMAT_CRC_DIGITS 8
#define FORMAT_CRC_ZERO "00000000"
#define FORMAT_CRC_OFFSET (8 + sizeof(FORMAT_START) - 1) /* in the file */

/* Tensors are copied as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

/* Whether a name or key is printable ASCII of a length that is allowed; only then may it appear in a message. */
int format_name_ok(const char *name);
/* Multiplies out: 0, or -EOVERFLOW if the bytes do not fit in int64. */
int format_bytes(enum checkpoint_dtype dtype, uint32_t dim_count, const uint64_t *dim, uint64_t *bytes);
/* The index of the first element that is not finite, or UINT64_MAX; tensors of integers have none. */
uint64_t format_not_finite(enum checkpoint_dtype dtype, const void *data, uint64_t bytes);
/* "[400, 17]" */
#define FORMAT_SHAPE_SIZE (CHECKPOINT_MAX_DIMS * 22 + 3)
const char *format_shape(char text[FORMAT_SHAPE_SIZE], uint32_t dim_count, const uint64_t *dim);

#endif /* FIXAR_LIB_CHECKPOINT_FORMAT_H */
