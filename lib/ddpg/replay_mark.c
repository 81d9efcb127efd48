// SPDX-License-Identifier: MIT
/* The mark of a replay memory as part of a checkpoint. */
#include "ddpg/replay_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/message.h"

#define CRC_TENSOR "replay.crc32c"

void replay_mark_free(struct replay_mark *mark)
{
	free(mark->crc);
	memset(mark, 0, sizeof(*mark));
}

void replay_mark_strings(const struct replay_mark *mark, struct replay_mark_text *text)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[REPLAY_MARK_STRINGS] = {
		{ "replay.observation_dim", mark->observation_dim },
		{ "replay.action_dim", mark->action_dim },
		{ "replay.capacity", mark->capacity },
		{ "replay.total", mark->total },
		{ "replay.segment", mark->segment },
		{ "replay.first_file", mark->first_file },
	};

	for (size_t i = 0; i < REPLAY_MARK_STRINGS; i++) {
		snprintf(text->values[i], sizeof(text->values[i]), "%llu", (unsigned long long)fields[i].value);
		text->strings[i] = (struct checkpoint_string){ fields[i].key, text->values[i] };
	}
}

void replay_mark_tensor(const struct replay_mark *mark, struct checkpoint_tensor *tensor)
{
	*tensor = (struct checkpoint_tensor){ .name = CRC_TENSOR,
					      .dtype = CHECKPOINT_U32,
					      .dim_count = 1,
					      .dim = { mark->crc_count },
					      .data = mark->crc,
					      .bytes = (size_t)mark->crc_count * 4 };
}

uint64_t replay_mark_live(const struct replay_mark *mark)
{
	return mark->total > mark->capacity ? mark->total - mark->capacity : 0;
}

uint64_t replay_mark_segments(const struct replay_mark *mark)
{
	if (!mark->total)
		return 0;
	return (mark->total - 1) / mark->segment - replay_mark_live(mark) / mark->segment + 1;
}

int replay_mark_read(const struct checkpoint *checkpoint, struct replay_mark *mark, char *text, size_t size)
{
	const struct message message = { text, size };
	const struct checkpoint_entry *entry = checkpoint_find(checkpoint, CRC_TENSOR);
	uint64_t observation_dim, action_dim, segment, bytes;
	int error;

	memset(mark, 0, sizeof(*mark));
	error = checkpoint_number(checkpoint, "replay.observation_dim", REPLAY_MAX_DIM, &observation_dim, text, size);
	if (!error)
		error = checkpoint_number(checkpoint, "replay.action_dim", REPLAY_MAX_DIM, &action_dim, text, size);
	if (!error)
		error = checkpoint_number(checkpoint, "replay.capacity", REPLAY_MAX_CAPACITY, &mark->capacity, text,
					  size);
	if (!error)
		error = checkpoint_number(checkpoint, "replay.total", INT64_MAX, &mark->total, text, size);
	if (!error)
		error = checkpoint_number(checkpoint, "replay.segment", REPLAY_MAX_SEGMENT, &segment, text, size);
	if (!error)
		error = checkpoint_number(checkpoint, "replay.first_file", REPLAY_MAX_FILE, &mark->first_file, text,
					  size);
	if (error)
		return error;
	mark->observation_dim = (uint32_t)observation_dim;
	mark->action_dim = (uint32_t)action_dim;
	mark->segment = (uint32_t)segment;
	if (!observation_dim || !action_dim || !mark->capacity || !segment)
		return fail(&message, -EBADMSG,
			    "%s: a dimension, the capacity or the segment of the replay memory is 0",
			    checkpoint_path(checkpoint));
	mark->crc_count = replay_mark_segments(mark);
	/* Before memory is taken for a count that the file only claims. */
	if (!entry || entry->dim_count != 1 || entry->dim[0] != mark->crc_count ||
	    __builtin_mul_overflow(mark->crc_count, 4, &bytes) || bytes != entry->bytes)
		return fail(&message, -EBADMSG,
			    "%s: no tensor " CRC_TENSOR ", or not of the %llu segments that it should have",
			    checkpoint_path(checkpoint), (unsigned long long)mark->crc_count);
	mark->crc = malloc(bytes ? bytes : 1);
	if (!mark->crc)
		return fail(&message, -ENOMEM, "%s: out of memory", checkpoint_path(checkpoint));
	error = checkpoint_read(checkpoint, CRC_TENSOR, CHECKPOINT_U32, 1, &mark->crc_count, mark->crc, bytes, text,
				size);
	if (error)
		replay_mark_free(mark);
	return error;
}
