// SPDX-License-Identifier: MIT
/*
 * Writing a checkpoint.
 *
 * Order in the file: metadata sorted by key (after the checksum, the format and the schema), tensors by size of their
 * elements, the largest first, then by name. Together with the padding of the header to 8 bytes this aligns every
 * tensor to its elements, and no byte depends on the order of the caller's arrays.
 */
#include "checkpoint/format.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"
#include "checkpoint/message.h"

static int by_size_and_name(const void *left, const void *right)
{
	const struct checkpoint_tensor *a = *(const struct checkpoint_tensor *const *)left;
	const struct checkpoint_tensor *b = *(const struct checkpoint_tensor *const *)right;
	size_t a_size = checkpoint_dtype_size(a->dtype), b_size = checkpoint_dtype_size(b->dtype);

	if (a_size != b_size)
		return a_size > b_size ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int by_key(const void *left, const void *right)
{
	const struct checkpoint_string *a = *(const struct checkpoint_string *const *)left;
	const struct checkpoint_string *b = *(const struct checkpoint_string *const *)right;

	return strcmp(a->key, b->key);
}

static int check_tensor(const struct checkpoint_tensor *tensor, const char *path, const struct message *message)
{
	char shape[FORMAT_SHAPE_SIZE];
	uint64_t bytes, bad;

	if (!format_name_ok(tensor->name) || !strcmp(tensor->name, FORMAT_METADATA))
		return fail(message, -EINVAL, "%s: not the name of a tensor: '%.*s'", path, 40, tensor->name);
	if (!checkpoint_dtype_size(tensor->dtype))
		return fail(message, -EINVAL, "%s: %s: unknown type %d", path, tensor->name, (int)tensor->dtype);
	if (tensor->dim_count > CHECKPOINT_MAX_DIMS)
		return fail(message, -EINVAL, "%s: %s: %u dimensions, at most %d are possible", path, tensor->name,
			    tensor->dim_count, CHECKPOINT_MAX_DIMS);
	if (format_bytes(tensor->dtype, tensor->dim_count, tensor->dim, &bytes) || bytes != tensor->bytes)
		return fail(message, -EINVAL, "%s: %s: %zu bytes do not make a %s%s", path, tensor->name, tensor->bytes,
			    checkpoint_dtype_name(tensor->dtype), format_shape(shape, tensor->dim_count, tensor->dim));
	bad = format_not_finite(tensor->dtype, tensor->data, bytes);
	if (bad != UINT64_MAX)
		return fail(message, -EDOM, "%s: %s: element %llu is not a finite number; not saved", path,
			    tensor->name, (unsigned long long)bad);
	return 0;
}

/* Sets a new value; -ENOMEM also covers what jansson refuses, so check before. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) ? -ENOMEM : 0;
}

static int add_strings(json_t *root, const struct checkpoint_string *const *sorted, size_t count, const char *path,
		       const struct message *message)
{
	json_t *metadata = json_object();
	char schema[16];
	int error;

	snprintf(schema, sizeof(schema), "%d", CHECKPOINT_SCHEMA);
	error = set(root, FORMAT_METADATA, metadata);
	if (!error)
		error = set(metadata, FORMAT_CRC_KEY, json_string(FORMAT_CRC_ZERO));
	if (!error)
		error = set(metadata, FORMAT_KEY, json_string(FORMAT_VALUE));
	if (!error)
		error = set(metadata, FORMAT_SCHEMA_KEY, json_string(schema));
	for (size_t i = 0; i < count && !error; i++) {
		json_t *value = json_string(sorted[i]->value);

		if (!format_name_ok(sorted[i]->key) || json_object_get(metadata, sorted[i]->key)) {
			int printable = format_name_ok(sorted[i]->key);

			json_decref(value);
			return fail(message, -EINVAL, "%s: the key '%s' is %s", path, printable ? sorted[i]->key : "?",
				    printable ? "taken, or there twice" : "not printable, or too long");
		}
		if (!value)
			return fail(message, -EINVAL, "%s: the string '%s' is not UTF-8", path, sorted[i]->key);
		error = set(metadata, sorted[i]->key, value);
	}
	return error;
}

static int add_tensors(json_t *root, const struct checkpoint_tensor *const *sorted, size_t count, const char *path,
		       const struct message *message)
{
	uint64_t offset = 0;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		json_t *entry, *shape;

		if (json_object_get(root, sorted[i]->name))
			return fail(message, -EINVAL, "%s: two tensors are named '%s'", path, sorted[i]->name);
		entry = json_object();
		shape = json_array();
		for (uint32_t d = 0; d < sorted[i]->dim_count && !error; d++)
			error = json_array_append_new(shape, json_integer((json_int_t)sorted[i]->dim[d])) ? -ENOMEM : 0;
		if (!error)
			error = set(entry, "dtype", json_string(checkpoint_dtype_name(sorted[i]->dtype)));
		if (set(entry, "shape", shape))
			error = -ENOMEM;
		if (!error)
			error = set(entry, "data_offsets",
				    json_pack("[I, I]", (json_int_t)offset, (json_int_t)(offset + sorted[i]->bytes)));
		if (set(root, sorted[i]->name, entry))
			error = -ENOMEM;
		offset += sorted[i]->bytes;
	}
	return error;
}

/* The JSON text, with zeros for the checksum; NULL and *error if there is none. */
static char *make_json(const struct checkpoint_tensor *const *tensors, size_t tensor_count,
		       const struct checkpoint_string *const *strings, size_t string_count, const char *path,
		       const struct message *message, int *error)
{
	json_t *root = json_object();
	char *text = NULL;

	*error = add_strings(root, strings, string_count, path, message);
	if (!*error)
		*error = add_tensors(root, tensors, tensor_count, path, message);
	if (!*error) {
		text = json_dumps(root, JSON_COMPACT);
		if (!text)
			*error = -ENOMEM;
	}
	json_decref(root);
	if (*error == -ENOMEM)
		fail(message, *error, "%s: out of memory", path);
	return text;
}

/* The file's bytes up to the tensors: length, JSON, padding. */
static int make_header(const char *json, const char *path, const struct message *message, char **header,
		       size_t *header_size)
{
	size_t length = strlen(json), padded = (length + 7) / 8 * 8;

	if (padded > CHECKPOINT_MAX_HEADER)
		return fail(message, -E2BIG, "%s: a header of %zu bytes, at most %u are possible", path, padded,
			    CHECKPOINT_MAX_HEADER);
	*header = malloc(8 + padded);
	if (!*header)
		return fail(message, -ENOMEM, "%s: out of memory", path);
	for (unsigned i = 0; i < 8; i++)
		(*header)[i] = (char)(unsigned char)((uint64_t)padded >> 8 * i);
	memcpy(*header + 8, json, length);
	memset(*header + 8 + length, ' ', padded - length);
	*header_size = 8 + padded;
	return 0;
}

static int write_file(const char *path, char *header, size_t header_size,
		      const struct checkpoint_tensor *const *tensors, size_t count, const struct message *message)
{
	uint32_t crc = crc32c(0, header, header_size);
	char digits[FORMAT_CRC_DIGITS + 1];
	struct atomic_file file;

	for (size_t i = 0; i < count; i++)
		crc = crc32c(crc, tensors[i]->data, tensors[i]->bytes);
	snprintf(digits, sizeof(digits), "%08x", crc);
	memcpy(header + FORMAT_CRC_OFFSET, digits, FORMAT_CRC_DIGITS);
	atomic_file_open(&file, path, message->text, message->size);
	atomic_file_write(&file, header, header_size);
	for (size_t i = 0; i < count; i++)
		atomic_file_write(&file, tensors[i]->data, tensors[i]->bytes);
	return atomic_file_commit(&file);
}

/* Fills and sorts the arrays of pointers, and checks what they point to. */
static int sort_and_check(const char *path, const struct checkpoint_tensor *tensors,
			  const struct checkpoint_tensor **sorted, size_t count, const struct message *message)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		int error = check_tensor(&tensors[i], path, message);

		if (error)
			return error;
		if (__builtin_add_overflow(total, tensors[i].bytes, &total) || total > INT64_MAX)
			return fail(message, -EOVERFLOW, "%s: more bytes than a file can have", path);
		sorted[i] = &tensors[i];
	}
	qsort(sorted, count, sizeof(*sorted), by_size_and_name);
	return 0;
}

int checkpoint_write(const char *path, const struct checkpoint_tensor *tensors, size_t tensor_count,
		     const struct checkpoint_string *strings, size_t string_count, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	const struct checkpoint_tensor **sorted_tensors = calloc(tensor_count + 1, sizeof(*sorted_tensors));
	const struct checkpoint_string **sorted_strings = calloc(string_count + 1, sizeof(*sorted_strings));
	char *json = NULL, *header = NULL;
	size_t header_size = 0;
	int error;

	if (!sorted_tensors || !sorted_strings) {
		error = fail(&message, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	error = sort_and_check(path, tensors, sorted_tensors, tensor_count, &message);
	if (error)
		goto out;
	for (size_t i = 0; i < string_count; i++)
		sorted_strings[i] = &strings[i];
	qsort(sorted_strings, string_count, sizeof(*sorted_strings), by_key);
	json = make_json(sorted_tensors, tensor_count, sorted_strings, string_count, path, &message, &error);
	if (!error)
		error = make_header(json, path, &message, &header, &header_size);
	if (!error)
		error = write_file(path, header, header_size, sorted_tensors, tensor_count, &message);
out:
	free(header);
	free(json);
	free(sorted_tensors);
	free(sorted_strings);
	return error;
}
