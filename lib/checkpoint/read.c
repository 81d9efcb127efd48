// SPDX-License-Identifier: MIT
/*
 * Reading a checkpoint.
 *
 * The file may be anything. First the lengths are checked against the size of the file, then the header is parsed and
 * every tensor's place is checked, then the checksum; only after that does a caller see anything of it. No more memory
 * than for the header is taken, whatever the file claims; tensors are read into arrays of the caller, who knows how big
 * they should be.
 */
#include "checkpoint/format.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"
#include "checkpoint/message.h"

#define CHUNK (256u << 10)

struct checkpoint {
	char *path;
	int fd;
	uint64_t size; /* of the file */
	uint64_t data; /* where the tensors start: 8 + length of the header */
	char *header;  /* JSON, not terminated */
	json_t *root, *strings;
	struct checkpoint_entry *entries;
	size_t count;
	struct message message; /* of checkpoint_open() */
};

/* Short and printable, for a message about something that the file says. */
static const char *shown(char text[48], const char *found)
{
	size_t i;

	for (i = 0; i < 44 && found[i]; i++)
		text[i] = found[i] >= ' ' && found[i] <= '~' ? found[i] : '?';
	strcpy(text + i, found[i] ? "..." : "");
	return text;
}

static uint64_t little64(const unsigned char bytes[8])
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static int open_file(struct checkpoint *c)
{
	struct stat status;

	/* Not to wait for the writer of a pipe that somebody named like a checkpoint. */
	c->fd = open(c->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (c->fd < 0)
		return fail(&c->message, -errno, "%s: %s", c->path, strerror(errno));
	if (fstat(c->fd, &status))
		return fail(&c->message, -errno, "%s: %s", c->path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(&c->message, -EBADMSG, "%s: not a regular file", c->path);
	c->size = (uint64_t)status.st_size;
	return 0;
}

static int read_header(struct checkpoint *c)
{
	unsigned char length_bytes[8];
	uint64_t length;
	int error;

	if (c->size < 8)
		return fail(&c->message, -EBADMSG,
			    "%s: truncated or not a safetensors file: %llu bytes, expected 8 for the header's length "
			    "and more",
			    c->path, (unsigned long long)c->size);
	error = read_all(c->fd, length_bytes, 8, 0);
	if (error)
		return fail(&c->message, error, "%s: cannot be read: %s", c->path, strerror(-error));
	length = little64(length_bytes);
	if (length < 2 || length > CHECKPOINT_MAX_HEADER)
		return fail(&c->message, -EBADMSG,
			    "%s: not a safetensors file, or damaged: a header of %llu bytes, expected 2 to %u", c->path,
			    (unsigned long long)length, CHECKPOINT_MAX_HEADER);
	if (length > c->size - 8)
		return fail(&c->message, -EBADMSG, "%s: truncated: %llu bytes, expected at least %llu for the header",
			    c->path, (unsigned long long)c->size, (unsigned long long)length + 8);
	c->data = 8 + length;
	c->header = malloc(length);
	if (!c->header)
		return fail(&c->message, -ENOMEM, "%s: out of memory", c->path);
	error = read_all(c->fd, c->header, length, 8);
	if (error)
		return fail(&c->message, error, "%s: cannot be read: %s", c->path, strerror(-error));
	if (c->header[0] != '{')
		return fail(&c->message, -EBADMSG,
			    "%s: not a safetensors file, or damaged: the header is no JSON object", c->path);
	return 0;
}

static int parse_header(struct checkpoint *c)
{
	json_error_t problem;
	char text[48];

	c->root = json_loadb(c->header, c->data - 8, JSON_REJECT_DUPLICATES, &problem);
	if (!c->root)
		return fail(&c->message, -EBADMSG,
			    "%s: damaged: the header is not JSON without duplicate names, at byte %d (%s)", c->path,
			    problem.position, shown(text, problem.text));
	return 0;
}

/* Is it ours, and of a schema that we know? */
static int check_strings(struct checkpoint *c)
{
	const char *format, *schema, *key;
	char text[48], expected[16];
	json_t *value;

	c->strings = json_object_get(c->root, FORMAT_METADATA);
	format = json_string_value(json_object_get(c->strings, FORMAT_KEY));
	if (!format || strcmp(format, FORMAT_VALUE))
		return fail(
			&c->message, -EBADMSG,
			"%s: a safetensors file, but not of fixar: format '%s' in its metadata, expected '" FORMAT_VALUE
			"'",
			c->path, format ? shown(text, format) : "");
	schema = json_string_value(json_object_get(c->strings, FORMAT_SCHEMA_KEY));
	snprintf(expected, sizeof(expected), "%d", CHECKPOINT_SCHEMA);
	if (!schema || strcmp(schema, expected))
		return fail(&c->message, -EPROTONOSUPPORT,
			    "%s: schema '%s', this library knows %s: made by a newer fixar?", c->path,
			    schema ? shown(text, schema) : "", expected);
	json_object_foreach(c->strings, key, value) if (!json_is_string(value) || !format_name_ok(key)) return fail(
		&c->message, -EBADMSG, "%s: damaged: '%s' in the metadata is not a string", c->path, shown(text, key));
	return 0;
}

static int parse_dtype(const char *name, enum checkpoint_dtype *dtype)
{
	for (int i = 0; checkpoint_dtype_size((enum checkpoint_dtype)i); i++)
		if (!strcmp(name, checkpoint_dtype_name((enum checkpoint_dtype)i))) {
			*dtype = (enum checkpoint_dtype)i;
			return 0;
		}
	return -EINVAL;
}

/* A number of the header: an integer that is not negative. */
static int parse_number(const json_t *value, uint64_t *number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EINVAL;
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

static int parse_tensor(struct checkpoint *c, const char *name, const json_t *value, struct checkpoint_entry *entry)
{
	const json_t *dtype = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape");
	const json_t *offsets = json_object_get(value, "data_offsets");
	char text[48], shape_text[FORMAT_SHAPE_SIZE];
	uint64_t begin, end;

	if (!format_name_ok(name))
		return fail(&c->message, -EBADMSG, "%s: damaged: not the name of a tensor: '%s'", c->path,
			    shown(text, name));
	strcpy(entry->name, name);
	if (json_object_size(value) != 3 || !json_is_string(dtype) || !json_is_array(shape) ||
	    json_array_size(offsets) != 2)
		return fail(&c->message, -EBADMSG,
			    "%s: damaged: tensor %s is not described by dtype, shape and two data_offsets alone",
			    c->path, name);
	if (parse_dtype(json_string_value(dtype), &entry->dtype))
		return fail(&c->message, -EBADMSG, "%s: damaged: tensor %s has the unknown dtype '%s'", c->path, name,
			    shown(text, json_string_value(dtype)));
	if (json_array_size(shape) > CHECKPOINT_MAX_DIMS)
		return fail(&c->message, -EBADMSG, "%s: damaged: tensor %s has %zu dimensions, expected at most %d",
			    c->path, name, json_array_size(shape), CHECKPOINT_MAX_DIMS);
	entry->dim_count = (uint32_t)json_array_size(shape);
	for (uint32_t i = 0; i < entry->dim_count; i++)
		if (parse_number(json_array_get(shape, i), &entry->dim[i]))
			return fail(&c->message, -EBADMSG, "%s: damaged: dimension %u of tensor %s is not a size",
				    c->path, i, name);
	format_shape(shape_text, entry->dim_count, entry->dim);
	if (format_bytes(entry->dtype, entry->dim_count, entry->dim, &entry->bytes))
		return fail(&c->message, -EBADMSG, "%s: damaged: tensor %s has the impossible shape %s", c->path, name,
			    shape_text);
	if (parse_number(json_array_get(offsets, 0), &begin) || parse_number(json_array_get(offsets, 1), &end) ||
	    end < begin)
		return fail(&c->message, -EBADMSG,
			    "%s: damaged: the data_offsets of tensor %s are not a range of bytes", c->path, name);
	if (end - begin != entry->bytes)
		return fail(&c->message, -EBADMSG, "%s: damaged: tensor %s has %llu bytes, expected %llu for %s%s",
			    c->path, name, (unsigned long long)(end - begin), (unsigned long long)entry->bytes,
			    checkpoint_dtype_name(entry->dtype), shape_text);
	/* Cannot overflow: both are below 2^63. */
	entry->offset = c->data + begin;
	return 0;
}

static int by_offset(const void *left, const void *right)
{
	const struct checkpoint_entry *a = left, *b = right;

	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* The tensors must cover the rest of the file, each byte once. */
static int check_coverage(struct checkpoint *c)
{
	uint64_t next = c->data;

	qsort(c->entries, c->count, sizeof(*c->entries), by_offset);
	for (size_t i = 0; i < c->count; i++) {
		const struct checkpoint_entry *entry = &c->entries[i];

		if (entry->offset != next)
			return fail(&c->message, -EBADMSG, "%s: damaged: tensor %s starts at byte %llu, %s", c->path,
				    entry->name, (unsigned long long)(entry->offset - c->data),
				    entry->offset < next ? "inside the one before it" : "behind a gap");
		next += entry->bytes;
		/* Bounds the sum: the next addition cannot overflow. */
		if (next > c->size)
			break;
	}
	if (next != c->size)
		return fail(&c->message, -EBADMSG, "%s: %s: %llu bytes, expected %s%llu", c->path,
			    next > c->size ? "truncated" : "damaged", (unsigned long long)c->size,
			    next > c->size ? "at least " : "", (unsigned long long)next);
	return 0;
}

static int parse_tensors(struct checkpoint *c)
{
	const char *name;
	json_t *value;

	c->entries = calloc(json_object_size(c->root) + 1, sizeof(*c->entries));
	if (!c->entries)
		return fail(&c->message, -ENOMEM, "%s: out of memory", c->path);
	json_object_foreach(c->root, name, value)
	{
		int error;

		if (!strcmp(name, FORMAT_METADATA))
			continue;
		error = parse_tensor(c, name, value, &c->entries[c->count]);
		if (error)
			return error;
		c->count++;
	}
	return check_coverage(c);
}

/* Eight lower-case hexadecimal digits, as we write them. */
static int parse_crc(const char *text, uint32_t *crc)
{
	*crc = 0;
	for (unsigned i = 0; i < FORMAT_CRC_DIGITS; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return -EINVAL;
		*crc = *crc << 4 | (uint32_t)(digit - digits);
	}
	return text[FORMAT_CRC_DIGITS] ? -EINVAL : 0;
}

static int check_crc(struct checkpoint *c)
{
	const char *text = json_string_value(json_object_get(c->strings, FORMAT_CRC_KEY));
	unsigned char length[8], *chunk;
	uint64_t rest = c->size - c->data;
	uint32_t expected, crc = 0;
	int error = 0;

	if (!text || parse_crc(text, &expected) || c->data < FORMAT_CRC_OFFSET + FORMAT_CRC_DIGITS ||
	    memcmp(c->header, FORMAT_START, sizeof(FORMAT_START) - 1))
		return fail(&c->message, -EBADMSG,
			    "%s: damaged, or written by another program: the header does not start with its checksum",
			    c->path);
	for (unsigned i = 0; i < 8; i++)
		length[i] = (unsigned char)((c->data - 8) >> 8 * i);
	memcpy(c->header + FORMAT_CRC_OFFSET - 8, FORMAT_CRC_ZERO, FORMAT_CRC_DIGITS);
	crc = crc32c(0, length, 8);
	crc = crc32c(crc, c->header, c->data - 8);
	chunk = malloc(rest < CHUNK ? (size_t)rest + 1 : CHUNK);
	if (!chunk)
		return fail(&c->message, -ENOMEM, "%s: out of memory", c->path);
	for (uint64_t at = c->data; at < c->size && !error; at += CHUNK) {
		size_t size = c->size - at < CHUNK ? (size_t)(c->size - at) : CHUNK;

		error = read_all(c->fd, chunk, size, at);
		if (!error)
			crc = crc32c(crc, chunk, size);
	}
	free(chunk);
	if (error)
		return fail(&c->message, error, "%s: cannot be read: %s", c->path, strerror(-error));
	if (crc != expected)
		return fail(&c->message, -EBADMSG, "%s: damaged: checksum %08x, expected %08x", c->path, crc, expected);
	return 0;
}

int checkpoint_open(const char *path, struct checkpoint **checkpoint, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	struct checkpoint *c = calloc(1, sizeof(*c));
	int error;

	*checkpoint = NULL;
	if (!c)
		return fail(&message, -ENOMEM, "%s: out of memory", path);
	c->message = message;
	c->fd = -1;
	c->path = strdup(path);
	error = c->path ? open_file(c) : fail(&message, -ENOMEM, "%s: out of memory", path);
	if (!error)
		error = read_header(c);
	if (!error)
		error = parse_header(c);
	if (!error)
		error = check_strings(c);
	if (!error)
		error = parse_tensors(c);
	if (!error)
		error = check_crc(c);
	if (error) {
		checkpoint_close(c);
		return error;
	}
	/* The caller's buffer need not live on. */
	c->message = (struct message){ NULL, 0 };
	free(c->header);
	c->header = NULL;
	*checkpoint = c;
	return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	if (checkpoint->fd >= 0)
		close(checkpoint->fd);
	json_decref(checkpoint->root);
	free(checkpoint->header);
	free(checkpoint->entries);
	free(checkpoint->path);
	free(checkpoint);
}

const char *checkpoint_path(const struct checkpoint *checkpoint)
{
	return checkpoint->path;
}

size_t checkpoint_count(const struct checkpoint *checkpoint)
{
	return checkpoint->count;
}

const struct checkpoint_entry *checkpoint_at(const struct checkpoint *checkpoint, size_t index)
{
	return index < checkpoint->count ? &checkpoint->entries[index] : NULL;
}

const struct checkpoint_entry *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
	for (size_t i = 0; i < checkpoint->count; i++)
		if (!strcmp(checkpoint->entries[i].name, name))
			return &checkpoint->entries[i];
	return NULL;
}

int checkpoint_read(const struct checkpoint *c, const char *name, enum checkpoint_dtype dtype, uint32_t dim_count,
		    const uint64_t *dim, void *data, size_t bytes, char *text, size_t text_size)
{
	const struct checkpoint_entry *entry = checkpoint_find(c, name);
	const struct message message = { text, text_size };
	char found[FORMAT_SHAPE_SIZE], expected[FORMAT_SHAPE_SIZE];
	uint64_t needed, bad;
	int error;

	if (dim_count > CHECKPOINT_MAX_DIMS || format_bytes(dtype, dim_count, dim, &needed) || needed != bytes)
		return fail(&message, -EINVAL, "%s: tensor %s: asked for as %zu bytes of another shape", c->path, name,
			    bytes);
	format_shape(expected, dim_count, dim);
	if (!entry)
		return fail(&message, -EBADMSG, "%s: no tensor %s, expected one of %s%s", c->path, name,
			    checkpoint_dtype_name(dtype), expected);
	if (entry->dtype != dtype || entry->dim_count != dim_count || memcmp(entry->dim, dim, dim_count * sizeof(*dim)))
		return fail(&message, -EBADMSG, "%s: tensor %s is %s%s, expected %s%s", c->path, name,
			    checkpoint_dtype_name(entry->dtype), format_shape(found, entry->dim_count, entry->dim),
			    checkpoint_dtype_name(dtype), expected);
	error = read_all(c->fd, data, bytes, entry->offset);
	if (error)
		return fail(&message, error, "%s: cannot be read: %s", c->path, strerror(-error));
	bad = format_not_finite(dtype, data, bytes);
	if (bad != UINT64_MAX)
		return fail(&message, -EBADMSG, "%s: element %llu of tensor %s is not a finite number", c->path,
			    (unsigned long long)bad, name);
	return 0;
}

const char *checkpoint_string(const struct checkpoint *checkpoint, const char *key)
{
	return json_string_value(json_object_get(checkpoint->strings, key));
}

int checkpoint_require(const struct checkpoint *checkpoint, const char *key, const char **value, char *text,
		       size_t text_size)
{
	const struct message message = { text, text_size };

	*value = checkpoint_string(checkpoint, key);
	if (!*value)
		return fail(&message, -EBADMSG, "%s: no string '%s' in the metadata", checkpoint->path, key);
	return 0;
}

int checkpoint_number(const struct checkpoint *checkpoint, const char *key, uint64_t maximum, uint64_t *value,
		      char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	const char *found, *at;
	uint64_t number = 0;
	char found_text[48];
	int bad, error;

	error = checkpoint_require(checkpoint, key, &found, text, text_size);
	if (error)
		return error;
	/* One spelling for each number: digits alone, no zeros before them. */
	bad = !*found || (found[0] == '0' && found[1]);
	for (at = found; *at && !bad; at++)
		bad = *at < '0' || *at > '9' || __builtin_mul_overflow(number, 10, &number) ||
		      __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number);
	if (bad || number > maximum)
		return fail(&message, -EBADMSG, "%s: '%s' is '%s' in the metadata, expected a number up to %llu",
			    checkpoint->path, key, shown(found_text, found), (unsigned long long)maximum);
	*value = number;
	return 0;
}
