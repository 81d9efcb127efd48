/* SPDX-License-Identifier: MIT */
/* Replay memories whose contents tell what they should be, saved and loaded as an agent does it. */
#ifndef FIXAR_SELFTESTS_LIB_REPLAY_SAMPLE_H
#define FIXAR_SELFTESTS_LIB_REPLAY_SAMPLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ddpg/replay.h"
#include "ktap.h"
#include "scratch.h"

#define OBSERVATION 3
#define ACTION 2
#define RECORD (4 * (2 * OBSERVATION + ACTION + 2))
#define CAPACITY 500
#define SEGMENT 100

static char message[1024];

/* A test of what went wrong; the message, which names a folder of this run alone, is no part of the test's name. */
#define says(passed, ...) (ktap_ok((passed), __VA_ARGS__), ktap_note("%s", message))

static const struct replay_config config = { OBSERVATION, ACTION, CAPACITY, SEGMENT };

/* ---- Transitions that tell their number ---- */

static inline void add(struct replay *replay, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t t = replay_total(replay);
		float x = (float)t;
		float observation[OBSERVATION] = { x, x + 1, -x }, next[OBSERVATION] = { x + 2, x + 3, x * 0.5f };
		int32_t action[ACTION] = { (int32_t)t, -(int32_t)t };

		if (replay_append(replay, observation, action, x * 0.25f, next, t % 7 == 0))
			abort();
	}
}

/* Whether the memory holds exactly the last transitions of `total`, each in its slot. */
static inline int holds(const struct replay *replay, uint64_t capacity, uint64_t total)
{
	uint64_t count = total < capacity ? total : capacity;

	if (!replay || replay_total(replay) != total || replay_count(replay) != count)
		return 0;
	for (uint64_t t = total - count; t < total; t++) {
		float observation[OBSERVATION], reward, next[OBSERVATION], x = (float)t;
		int32_t action[ACTION];
		uint8_t terminal;
		uint64_t slot = t % capacity;

		replay_gather(replay, 1, &slot,
			      &(struct replay_batch){ observation, action, &reward, next, &terminal });
		if (observation[0] != x || observation[1] != x + 1 || observation[2] != -x || action[0] != (int32_t)t ||
		    action[1] != -(int32_t)t || reward != x * 0.25f || next[0] != x + 2 || next[1] != x + 3 ||
		    next[2] != x * 0.5f || terminal != (t % 7 == 0))
			return 0;
	}
	return 1;
}

/* ---- A checkpoint with a replay memory in it, as an agent saves one ---- */

static inline int save(struct replay *replay, const char *folder)
{
	struct checkpoint_tensor tensor;
	struct replay_mark_text text;
	struct replay_mark mark;
	char path[1100];
	int error;

	error = replay_save(replay, folder, &mark, message, sizeof(message));
	if (error)
		return error;
	replay_mark_strings(&mark, &text);
	replay_mark_tensor(&mark, &tensor);
	snprintf(path, sizeof(path), "%s/%s", folder, CHECKPOINT_FILE);
	error = checkpoint_write(path, &tensor, 1, text.strings, REPLAY_MARK_STRINGS, message, sizeof(message));
	replay_mark_free(&mark);
	return error ? error : replay_prune(replay, folder, message, sizeof(message));
}

static inline int load(const char *folder, struct replay **replay)
{
	struct checkpoint *checkpoint;
	struct replay_mark mark;
	char path[1100];
	int error;

	*replay = NULL;
	snprintf(path, sizeof(path), "%s/%s", folder, CHECKPOINT_FILE);
	error = checkpoint_open(path, &checkpoint, message, sizeof(message));
	if (error)
		return error;
	error = replay_mark_read(checkpoint, &mark, message, sizeof(message));
	checkpoint_close(checkpoint);
	if (error)
		return error;
	error = replay_load(&mark, folder, replay, message, sizeof(message));
	replay_mark_free(&mark);
	return error;
}

static inline struct replay *create(void)
{
	struct replay *replay;

	if (replay_create(&config, &replay))
		abort();
	return replay;
}

static inline int loads_as(const char *folder, uint64_t total)
{
	struct replay *replay;
	int fine = !load(folder, &replay) && holds(replay, CAPACITY, total);

	replay_destroy(replay);
	return fine;
}

static inline int segment_exists(const char *folder, unsigned number)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/replay-%06u.bin", folder, number);
	return exists(path);
}

#endif /* FIXAR_SELFTESTS_LIB_REPLAY_SAMPLE_H */
