// SPDX-License-Identifier: MIT
/*
 * TensorBoard's event files: records of the TFRecord format, each a protocol buffer of type Event.
 *
 * A record is, little-endian: u64 length, u32 masked crc32c of these 8 bytes, the data, u32 masked crc32c of the data.
 * The fields of an Event that we write: 1 wall_time (double), 2 step (int64), 3 file_version (string, in the first
 * record alone), 5 summary, which holds for each value a field 1 of: 1 tag (string), 2 simple_value (float).
 */
#include "metrics/private.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"

#define VERSION "brain.Event:2"
#define VERSION_PREFIX "brain.Event:"
#define FRAME 12 /* bytes before the data */
#define MAX_RECORD (16u << 20)
#define MAX_VARINT 10

/* Field number and type, the byte before each field. */
#define FIXED64(field) ((field) << 3 | 1)
#define VARINT(field) ((field) << 3 | 0)
#define BYTES(field) ((field) << 3 | 2)
#define FIXED32(field) ((field) << 3 | 5)

static uint32_t masked(uint32_t crc)
{
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* ---- Writing ---- */

static unsigned char *put(unsigned char *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static unsigned char *put_varint(unsigned char *at, uint64_t value)
{
	for (; value >= 128; value >>= 7)
		*at++ = (unsigned char)(value | 128);
	*at++ = (unsigned char)value;
	return at;
}

static size_t varint_size(uint64_t value)
{
	size_t size = 1;

	for (; value >= 128; value >>= 7)
		size++;
	return size;
}

static unsigned char *put_double(unsigned char *at, unsigned field, double value)
{
	*at++ = (unsigned char)FIXED64(field);
	return put(at, &value, sizeof(value));
}

static unsigned char *put_string(unsigned char *at, unsigned field, const char *text)
{
	size_t length = strlen(text);

	*at++ = (unsigned char)BYTES(field);
	at = put_varint(at, length);
	return put(at, text, length);
}

/* Puts length and checksums around the data between record + FRAME and `end`; returns the size of the record. */
static size_t frame(unsigned char *record, const unsigned char *end)
{
	uint64_t length = (uint64_t)(end - record) - FRAME;
	uint32_t crc;

	memcpy(record, &length, 8);
	crc = masked(crc32c(0, record, 8));
	memcpy(record + 8, &crc, 4);
	crc = masked(crc32c(0, record + FRAME, length));
	memcpy(record + FRAME + length, &crc, 4);
	return FRAME + length + 4;
}

size_t events_record_size(size_t columns, size_t names)
{
	/* The first record is the shortest one; a value has three fields and two lengths besides its tag. */
	return FRAME + 9 + 1 + MAX_VARINT + 1 + MAX_VARINT + columns * (1 + MAX_VARINT + 1 + MAX_VARINT + 5) + names +
	       4 + sizeof(VERSION);
}

size_t events_version(unsigned char *record, double wall_time)
{
	unsigned char *at = put_double(record + FRAME, 1, wall_time);

	return frame(record, put_string(at, 3, VERSION));
}

static size_t value_size(const char *tag)
{
	size_t length = strlen(tag);

	return 1 + varint_size(length) + length + 5;
}

/* A double that a float cannot hold becomes an infinity, which TensorBoard shows as such. */
static float to_float(double value)
{
	if (value > FLT_MAX)
		return INFINITY;
	return value < -FLT_MAX ? -INFINITY : (float)value;
}

size_t events_record(unsigned char *record, double wall_time, uint64_t step, const char *const *tags,
		     const double *values, size_t columns)
{
	unsigned char *at = put_double(record + FRAME, 1, wall_time);
	size_t summary = 0;

	for (size_t i = 0; i < columns; i++)
		if (!isnan(values[i]))
			summary += 1 + varint_size(value_size(tags[i])) + value_size(tags[i]);
	if (!summary)
		return 0;
	*at++ = VARINT(2);
	at = put_varint(at, step);
	*at++ = BYTES(5);
	at = put_varint(at, summary);
	for (size_t i = 0; i < columns; i++) {
		float value = to_float(values[i]);

		if (isnan(values[i]))
			continue;
		*at++ = BYTES(1);
		at = put_varint(at, value_size(tags[i]));
		at = put_string(at, 1, tags[i]);
		*at++ = FIXED32(2);
		at = put(at, &value, sizeof(value));
	}
	return frame(record, at);
}

/* ---- Reading, to cut back ---- */

/* What we look for in an Event. */
struct event {
	int64_t step;
	int is_version;
};

static int get_varint(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 7 * MAX_VARINT; shift += 7) {
		unsigned char byte;

		if (*at == end)
			return -EBADMSG;
		byte = *(*at)++;
		*value |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return 0;
	}
	return -EBADMSG;
}

static int parse_event(const unsigned char *at, size_t size, struct event *event)
{
	const unsigned char *end = at + size;

	*event = (struct event){ 0, 0 };
	while (at < end) {
		uint64_t key, value, skip = 0;

		if (get_varint(&at, end, &key))
			return -EBADMSG;
		switch (key & 7) {
		case 0:
			if (get_varint(&at, end, &value))
				return -EBADMSG;
			if (key == VARINT(2))
				event->step = (int64_t)value;
			break;
		case 1:
			skip = 8;
			break;
		case 2:
			if (get_varint(&at, end, &skip))
				return -EBADMSG;
			if (key == BYTES(3) && skip <= (size_t)(end - at) && skip >= sizeof(VERSION_PREFIX) - 1 &&
			    !memcmp(at, VERSION_PREFIX, sizeof(VERSION_PREFIX) - 1))
				event->is_version = 1;
			break;
		case 5:
			skip = 4;
			break;
		default:
			return -EBADMSG;
		}
		if (skip > (size_t)(end - at))
			return -EBADMSG;
		at += skip;
	}
	return 0;
}

/*
 * Reads the record at `offset` to *data (which is reallocated). 1: there is one; 0: the file ends inside it; -EBADMSG:
 * it is damaged; or another error.
 */
static int read_record(int fd, uint64_t offset, uint64_t size, unsigned char **data, size_t *length)
{
	unsigned char head[FRAME];
	uint64_t claimed;
	uint32_t crc;
	int error;

	if (size - offset < FRAME)
		return 0;
	error = read_all(fd, head, FRAME, offset);
	if (error)
		return error;
	memcpy(&claimed, head, 8);
	memcpy(&crc, head + 8, 4);
	if (crc != masked(crc32c(0, head, 8)) || claimed > MAX_RECORD)
		return -EBADMSG;
	if (size - offset < FRAME + claimed + 4)
		return 0;
	*length = (size_t)claimed;
	free(*data);
	*data = malloc(*length + 4);
	if (!*data)
		return -ENOMEM;
	error = read_all(fd, *data, *length + 4, offset + FRAME);
	if (error)
		return error;
	memcpy(&crc, *data + *length, 4);
	return crc == masked(crc32c(0, *data, *length)) ? 1 : -EBADMSG;
}

int events_scan(int fd, const char *path, uint64_t step, struct metrics_scan *scan, const struct message *message)
{
	unsigned char *data = NULL;
	uint64_t size, offset = 0;
	size_t length = 0;
	int error;

	*scan = (struct metrics_scan){ 0, UINT64_MAX };
	error = file_size(fd, &size);
	while (!error && offset < size) {
		struct event event = { 0, 0 };
		int got = read_record(fd, offset, size, &data, &length);

		if (!got)
			break;
		if (got == -EBADMSG || (got > 0 && parse_event(data, length, &event))) {
			scan->damaged = offset;
			break;
		}
		if (got < 0) {
			error = got;
			break;
		}
		if (!offset && !event.is_version) {
			scan->damaged = 0;
			break;
		}
		if (event.step > 0 && (uint64_t)event.step > step)
			break;
		offset += FRAME + length + 4;
		scan->keep = offset;
	}
	free(data);
	if (error)
		return fail(message, error, "%s: cannot be read: %s", path, strerror(-error));
	/* Without a first record it may be anything, so it is not for us to cut; unless it is too short to be anything.
	 */
	if (!scan->keep && (scan->damaged != UINT64_MAX || size >= events_record_size(0, 0)))
		return fail(message, -EBADMSG,
			    "%s: not an event file: it does not start with a record of '" VERSION_PREFIX "'", path);
	return 0;
}
