// SPDX-License-Identifier: MIT
/*
 * Reading a replay memory back from its segment files. Nothing on disk is changed here, so that a run can be resumed
 * from a directory that is read-only, or of which somebody else keeps a copy in use.
 */
#include "ddpg/replay_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"
#include "checkpoint/message.h"

#define CHUNK (1u << 20)

/* Reads the transitions [from, to) to their slots and adds them to the checksum. */
static int read_transitions(struct replay *replay, int fd, uint64_t offset, uint64_t from, uint64_t to, uint32_t *crc)
{
	uint64_t most = CHUNK / replay->record + 1;

	while (from < to) {
		uint64_t slot = from % replay->config.capacity, count = to - from;
		unsigned char *at;
		int error;

		if (count > replay->config.capacity - slot)
			count = replay->config.capacity - slot;
		/* In small pieces: memory is taken as the file proves to have the bytes. */
		if (count > most)
			count = most;
		error = replay_reserve(replay, slot + count);
		if (error)
			return error;
		at = replay->records + slot * replay->record;
		error = read_all(fd, at, count * replay->record, offset);
		if (error)
			return error;
		*crc = crc32c(*crc, at, count * replay->record);
		offset += count * replay->record;
		from += count;
	}
	return 0;
}

static int check_records(const struct replay *replay, const char *path, uint64_t from, uint64_t to,
			 const struct message *message)
{
	for (uint64_t t = from; t < to; t++)
		if (replay_record_check(replay, replay->records + t % replay->config.capacity * replay->record))
			return fail(
				message, -EBADMSG,
				"%s: transition %llu holds a number that is not finite, or no terminal flag of 0 or 1",
				path, (unsigned long long)t);
	return 0;
}

static int load_file(struct replay *replay, const struct replay_mark *mark, int fd, const char *path, uint64_t index,
		     struct replay_segment *segment, const struct message *message)
{
	uint64_t live = replay_mark_live(mark), length = mark->segment, from = index * length, to = from + length;
	uint64_t base = live / length, needed, expected;
	uint32_t crc = 0;
	int error;

	if (from < live)
		from = live;
	if (to > mark->total)
		to = mark->total;
	if (fstat(fd, &segment->status))
		return fail(message, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(segment->status.st_mode))
		return fail(message, -EBADMSG, "%s: not a regular file", path);
	error = replay_segment_check(replay, fd, path, index, &segment->first, message->text, message->size);
	if (error)
		return error;
	if (segment->first > from)
		return fail(message, -EBADMSG, "%s: starts at transition %llu, expected one up to %llu", path,
			    (unsigned long long)segment->first, (unsigned long long)from);
	/* No overflow: a segment has at most 2^24 records of less than 2^24 bytes. */
	needed = REPLAY_HEADER + (to - segment->first) * replay->record;
	if ((uint64_t)segment->status.st_size < needed)
		return fail(message, -EBADMSG, "%s: truncated: %llu bytes, expected at least %llu", path,
			    (unsigned long long)segment->status.st_size, (unsigned long long)needed);
	error = read_transitions(replay, fd, REPLAY_HEADER + (from - segment->first) * replay->record, from, to, &crc);
	if (error)
		return fail(message, error, "%s: cannot be read: %s", path, strerror(-error));
	expected = mark->crc[index - base];
	if (crc != expected)
		return fail(message, -EBADMSG, "%s: damaged: checksum %08x of transitions %llu to %llu, expected %08x",
			    path, crc, (unsigned long long)from, (unsigned long long)to - 1, (uint32_t)expected);
	segment->end = to;
	segment->crc = crc;
	segment->has_crc = to - from == length;
	return check_records(replay, path, from, to, message);
}

static int load_segment(struct replay *replay, const struct replay_mark *mark, const char *directory, uint64_t index,
			struct replay_segment *segment, const struct message *message)
{
	char *path = replay_segment_path(directory, index + replay->disk.shift);
	int fd, error;

	if (!path)
		return fail(message, -ENOMEM, "%s: out of memory", directory);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		error = fail(message, errno == ENOENT ? -EBADMSG : -errno, "%s: %s, but the checkpoint refers to it",
			     path, strerror(errno));
	} else {
		error = load_file(replay, mark, fd, path, index, segment, message);
		close(fd);
	}
	free(path);
	return error;
}

/* What replay_save() needs to go on in this directory. */
static int remember_directory(struct replay *replay, const struct replay_mark *mark, const char *directory,
			      const struct message *message)
{
	struct replay_disk *disk = &replay->disk;
	struct stat status;

	if (stat(directory, &status))
		return fail(message, -errno, "%s: %s", directory, strerror(errno));
	disk->device = status.st_dev;
	disk->inode = status.st_ino;
	disk->base = replay_mark_live(mark) / mark->segment;
	/* Modulo 2^64, like every use of it. */
	disk->shift = mark->first_file - disk->base;
	disk->saved = mark->total;
	disk->directory = strdup(directory);
	disk->segments = calloc(mark->crc_count + 1, sizeof(*disk->segments));
	if (!disk->directory || !disk->segments)
		return fail(message, -ENOMEM, "%s: out of memory", directory);
	return 0;
}

int replay_load(const struct replay_mark *mark, const char *directory, struct replay **replay, char *text,
		size_t text_size)
{
	const struct message message = { text, text_size };
	const struct replay_config config = { mark->observation_dim, mark->action_dim, mark->capacity, mark->segment };
	struct replay *r;
	int error;

	*replay = NULL;
	if (mark->total > INT64_MAX || mark->first_file > REPLAY_MAX_FILE || !mark->segment ||
	    mark->crc_count != replay_mark_segments(mark))
		return fail(&message, -EINVAL, "%s: the mark of the replay memory is inconsistent", directory);
	error = replay_create(&config, &r);
	if (error)
		return fail(&message, error, "%s: no replay memory of capacity %llu: %s", directory,
			    (unsigned long long)mark->capacity, strerror(-error));
	error = remember_directory(r, mark, directory, &message);
	for (uint64_t i = 0; i < mark->crc_count && !error; i++) {
		error = load_segment(r, mark, directory, r->disk.base + i, &r->disk.segments[i], &message);
		r->disk.count = i + 1;
	}
	if (error) {
		replay_destroy(r);
		return error;
	}
	r->total = mark->total;
	*replay = r;
	return 0;
}
