// SPDX-License-Identifier: MIT
/*
 * Segment files of a replay memory: names and headers.
 *
 * The header, little-endian:
 *	 0	8 bytes	"FIXARRPL"
 *	 8	u32	schema
 *	12	u32	observation_dim
 *	16	u32	action_dim
 *	20	u32	bytes of a record
 *	24	u32	transitions of a segment
 *	28	u32	0
 *	32	u64	index of the segment: it is for the transitions from index * segment on
 *	40	u64	transition of the first record; later than that where the ring had lost the earlier ones
 *	48	12 bytes of 0
 *	60	u32	crc32c of the 60 bytes before
 *
 * The records follow. Their checksum is in the checkpoint, since the header is never written again.
 */
#include "ddpg/replay_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"
#include "checkpoint/message.h"

#define MAGIC "FIXARRPL"
#define SCHEMA 1
#define NAME "replay-"
#define SUFFIX ".bin"

char *replay_segment_path(const char *directory, uint64_t number)
{
	char *path;

	/* At least six digits, so that a listing sorts them. */
	if (asprintf(&path, "%s/" NAME "%06llu" SUFFIX, directory, (unsigned long long)number) < 0)
		return NULL;
	return path;
}

int replay_segment_number(const char *name, uint64_t *number)
{
	const char *at = name + sizeof(NAME) - 1;
	char again[64];

	if (strncmp(name, NAME, sizeof(NAME) - 1))
		return 0;
	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
			return 0;
	/* Only the spelling that we use: "replay-1.bin" is somebody else's. */
	snprintf(again, sizeof(again), NAME "%06llu" SUFFIX, (unsigned long long)*number);
	return *number <= REPLAY_MAX_FILE && !strcmp(name, again);
}

static void put32(unsigned char *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

static void put64(unsigned char *at, uint64_t value)
{
	memcpy(at, &value, 8);
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static uint64_t get64(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, 8);
	return value;
}

void replay_segment_header(const struct replay *replay, uint64_t first, unsigned char header[REPLAY_HEADER])
{
	memset(header, 0, REPLAY_HEADER);
	memcpy(header, MAGIC, 8);
	put32(header + 8, SCHEMA);
	put32(header + 12, replay->config.observation_dim);
	put32(header + 16, replay->config.action_dim);
	put32(header + 20, (uint32_t)replay->record);
	put32(header + 24, replay->config.segment);
	put64(header + 32, first / replay->config.segment);
	put64(header + 40, first);
	put32(header + 60, crc32c(0, header, 60));
}

int replay_segment_check(const struct replay *replay, int fd, const char *path, uint64_t index, uint64_t *first,
			 char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	unsigned char header[REPLAY_HEADER], expected[REPLAY_HEADER];
	const struct {
		const char *name;
		unsigned offset;
	} fields[] = { { "observations of size", 12 },
		       { "actions of size", 16 },
		       { "records of bytes:", 20 },
		       { "transitions of a segment:", 24 } };
	int error = read_all(fd, header, REPLAY_HEADER, 0);

	if (error == -ENODATA)
		return fail(&message, -EBADMSG, "%s: truncated: no header of %d bytes", path, REPLAY_HEADER);
	if (error)
		return fail(&message, error, "%s: cannot be read: %s", path, strerror(-error));
	if (memcmp(header, MAGIC, 8))
		return fail(&message, -EBADMSG, "%s: not a replay segment of fixar: it does not start with '" MAGIC "'",
			    path);
	if (get32(header + 60) != crc32c(0, header, 60))
		return fail(&message, -EBADMSG, "%s: damaged header: checksum %08x, expected %08x", path,
			    get32(header + 60), crc32c(0, header, 60));
	if (get32(header + 8) != SCHEMA)
		return fail(&message, -EPROTONOSUPPORT, "%s: schema %u, this library knows %d: made by a newer fixar?",
			    path, get32(header + 8), SCHEMA);
	*first = get64(header + 40);
	replay_segment_header(replay, *first, expected);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (get32(header + fields[i].offset) != get32(expected + fields[i].offset))
			return fail(&message, -EBADMSG, "%s: of another agent: %s %u, expected %u", path,
				    fields[i].name, get32(header + fields[i].offset),
				    get32(expected + fields[i].offset));
	if (get64(header + 32) != index || *first / replay->config.segment != index)
		return fail(&message, -EBADMSG, "%s: segment %llu from transition %llu on, expected segment %llu", path,
			    (unsigned long long)get64(header + 32), (unsigned long long)*first,
			    (unsigned long long)index);
	return 0;
}
