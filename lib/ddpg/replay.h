/* SPDX-License-Identifier: MIT */
/*
 * Replay memory: the last `capacity` transitions, drawn from uniformly, and their form on disk.
 *
 * Transition t (counted from 0 over the whole training) lies in slot t % capacity, before and after a save and a load,
 * so that a draw of slots means the same transitions in a resumed run. Memory is taken as it fills: 4 bytes for each component
 * of two observations and an action, for the reward and for the flag, so 168 MB for a million transitions of HalfCheetah.
 *
 * On disk (lib/ddpg/replay_disk.c) it is a chain of segment files beside the checkpoint, to which saves only append.
 * The checkpoint refers to them by a *mark*. To save an agent:
 *
 *	replay_save(replay, directory, &mark, ...)	appends what is new and syncs it
 *	checkpoint_write(directory/CHECKPOINT_FILE)	with replay_mark_strings() and the tensor replay_mark_tensor()
 *	replay_prune(replay, directory, ...)		deletes the segments that the new checkpoint does not need
 *
 * and to resume: checkpoint_open(), replay_mark_read(), replay_load(). A process killed at any instant of a save leaves
 * the old checkpoint with all it refers to, or the new one with all it refers to.
 *
 * Functions return 0 or a negative errno value; `message` (may be NULL) receives one line on an error.
 */
#ifndef FIXAR_LIB_DDPG_REPLAY_H
#define FIXAR_LIB_DDPG_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint/checkpoint.h"

#define REPLAY_MAX_CAPACITY (UINT64_C(1) << 40)
#define REPLAY_MAX_FILE (UINT64_C(1) << 40)
#define REPLAY_MAX_DIM (UINT32_C(1) << 20)
#define REPLAY_MAX_SEGMENT (UINT32_C(1) << 24)

struct replay_config {
	uint32_t observation_dim;
	uint32_t action_dim;
	uint64_t capacity; /* transitions */
	uint32_t segment;  /* transitions of a segment file; 0: chosen from the capacity */
};

struct replay;

/* -EINVAL: a value out of range; -ENOMEM. */
int replay_create(const struct replay_config *config, struct replay **replay);
void replay_destroy(struct replay *replay);

/* Transitions that can be drawn, at most the capacity. */
uint64_t replay_count(const struct replay *replay);
/* Transitions ever appended. */
uint64_t replay_total(const struct replay *replay);

/*
 * Appends one transition, in place of the oldest one when full; `reward` is already scaled, `terminal` 0 or not.
 * -ENOMEM, or -EDOM where a float is not finite: nothing was appended.
 */
int replay_append(struct replay *replay, const float *observation, const int32_t *action, float reward,
		  const float *next_observation, int terminal);

/* Arrays of the caller, row-major. */
struct replay_batch {
	float *observation;	 /* n x observation_dim */
	int32_t *action;	 /* n x action_dim, fraction 20 */
	float *reward;		 /* n */
	float *next_observation; /* n x observation_dim */
	uint8_t *terminal;	 /* n, 0 or 1 */
};

/* Copies the transitions of n slots, each below replay_count(). */
void replay_gather(const struct replay *replay, uint32_t n, const uint64_t *slots, const struct replay_batch *batch);

/* ---- On disk ---- */

/* What a checkpoint says of the replay memory beside it. Free with replay_mark_free(). */
struct replay_mark {
	uint32_t observation_dim, action_dim;
	uint64_t capacity;
	uint64_t total;	     /* transitions ever appended */
	uint32_t segment;    /* transitions of a segment file */
	uint64_t first_file; /* number of the first segment file: replay-NNNNNN.bin */
	uint64_t crc_count;
	uint32_t *crc; /* of the live transitions of each segment file, from the first one on */
};

void replay_mark_free(struct replay_mark *mark);

/*
 * Appends to the segments in `directory` what they lack and syncs them; fills *mark. If the directory is not as this
 * replay memory left it (another one, or somebody changed its files), everything is written, into new files.
 * After an error the checkpoint that is in the directory can still be resumed from.
 */
int replay_save(struct replay *replay, const char *directory, struct replay_mark *mark, char *message,
		size_t message_size);

/* Call once the checkpoint with the mark of the last replay_save() is in place. A failure costs space, no more. */
int replay_prune(struct replay *replay, const char *directory, char *message, size_t message_size);

/*
 * Makes a replay memory from the segments that `mark` refers to. Changes nothing on disk; what a killed run wrote
 * behind the mark is cut off by the next save. -EBADMSG: a segment is missing, short, foreign or damaged.
 */
int replay_load(const struct replay_mark *mark, const char *directory, struct replay **replay, char *message,
		size_t message_size);

/* The mark as part of a checkpoint: strings and the tensor "replay.crc32c" (U32), which points into the mark. */
#define REPLAY_MARK_STRINGS 6
struct replay_mark_text {
	struct checkpoint_string strings[REPLAY_MARK_STRINGS];
	char values[REPLAY_MARK_STRINGS][24];
};
void replay_mark_strings(const struct replay_mark *mark, struct replay_mark_text *text);
void replay_mark_tensor(const struct replay_mark *mark, struct checkpoint_tensor *tensor);
int replay_mark_read(const struct checkpoint *checkpoint, struct replay_mark *mark, char *message, size_t message_size);

#endif /* FIXAR_LIB_DDPG_REPLAY_H */
