/* SPDX-License-Identifier: MIT */
/* What the memory and the disk form of a replay memory share. */
#ifndef FIXAR_LIB_DDPG_REPLAY_PRIVATE_H
#define FIXAR_LIB_DDPG_REPLAY_PRIVATE_H

#include <sys/stat.h>

#include "ddpg/replay.h"

/* A segment file as the last save or the load left it. */
struct replay_segment {
	uint64_t first; /* transition of the file's first record */
	uint64_t end;	/* one behind the last record that we wrote; the file may be longer after a load */
	struct stat status;
	uint32_t crc; /* of all `segment` transitions, if has_crc */
	int has_crc;
};

/* The directory that the last save or the load was in. */
struct replay_disk {
	char *directory; /* NULL: none, or we no longer know what is in it */
	dev_t device;
	ino_t inode;
	uint64_t saved; /* transitions of the ones ever appended that are there */
	uint64_t shift; /* segment k (the transitions from k * segment on) is file k + shift */
	uint64_t base;	/* segments[0] is segment `base` */
	struct replay_segment *segments;
	size_t count;
	int new_names; /* made since the directory was last synced */
};

/*
 * A record: observation, action, reward, next observation, terminal (0 or 1), each component 4 bytes, little-endian.
 * The same in memory and in a segment file.
 */
struct replay {
	struct replay_config config;
	size_t record;		/* bytes */
	unsigned char *records; /* slot s at s * record */
	size_t mapped;		/* bytes */
	uint64_t total;
	struct replay_disk disk;
};

/* Makes memory for the first `slots` slots: 0 or -ENOMEM. */
int replay_reserve(struct replay *replay, uint64_t slots);
/* -EDOM if a float of the record is not finite or its terminal flag is neither 0 nor 1. */
int replay_record_check(const struct replay *replay, const unsigned char *record);
void replay_forget_directory(struct replay *replay);

/* The oldest transition that can still be drawn, and the number of segments that hold the live ones. */
uint64_t replay_mark_live(const struct replay_mark *mark);
uint64_t replay_mark_segments(const struct replay_mark *mark);

/* ---- Segment files (replay_segment.c) ---- */

#define REPLAY_HEADER 64 /* bytes before the first record */

/* Path of a segment file; freed by the caller; NULL: out of memory. */
char *replay_segment_path(const char *directory, uint64_t number);
/* Whether a name in a directory is that of a segment file, and its number. */
int replay_segment_number(const char *name, uint64_t *number);
void replay_segment_header(const struct replay *replay, uint64_t first, unsigned char header[REPLAY_HEADER]);
/*
 * Checks the header of a file of `size` bytes against what segment `index` of this replay memory must have; *first
 * receives the transition of its first record. `path` is for the message only.
 */
int replay_segment_check(const struct replay *replay, int fd, const char *path, uint64_t index, uint64_t *first,
			 char *message, size_t message_size);

#endif /* FIXAR_LIB_DDPG_REPLAY_PRIVATE_H */
