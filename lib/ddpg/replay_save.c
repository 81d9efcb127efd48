// SPDX-License-Identifier: MIT
/*
 * Saving a replay memory: appending to segment files.
 *
 * Why a process that is killed at any instant does no harm. A checkpoint refers to the transitions [live, total) as
 *they were when it was written. Of what it refers to nothing is ever written again or deleted while it is in place:
 *
 *	1. replay_save() writes behind the records that the checkpoint refers to (first cutting off what an earlier run
 *	   left there), or to files of new names. Killed here: the old checkpoint does not see any of it, and the next
 *run cuts it off or deletes it.
 *	2. It syncs these files, and the directory if there are new names in it. Only then does the caller write the new
 *	   checkpoint. Killed here, or power lost: as before, what the old checkpoint refers to was synced long ago.
 *	3. The caller renames the new checkpoint into place. From here on it counts, and all it refers to is on the
 *disk.
 *	4. replay_prune() deletes files that the new checkpoint does not refer to. Killed before: they are deleted the
 *next time. As the checkpoint's rename was synced, no power failure brings the old one back without its files.
 *
 * A segment file is for the transitions [k * segment, (k + 1) * segment), whenever the saves were, and the checksums in
 * the mark are of the live transitions alone. So the mark, and with it the checkpoint, is a function of the contents:
 * a run that was killed and resumed ends with the same bytes as one that was not.
 *
 * Appending needs to know what is there. That is so if the files are as we left them (inode, size, time of change); if
 * anything is different, all live transitions go to new files, above all numbers that there are. Where there is no
 * checkpoint, nothing can refer to the files of the directory, and they are written over.
 *
 * Errors. A write that failed (a full disk) leaves the file cut back to what it was, so that the next save goes on
 * there. After a failed sync nobody knows what is on the disk, and a second try may report success for pages that were
 * dropped; so the next save writes everything anew.
 */
#include "ddpg/replay_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/atomic.h"
#include "checkpoint/crc32c.h"
#include "checkpoint/message.h"

/* The first transition that can still be drawn. */
static uint64_t live_of(const struct replay *replay)
{
	return replay->total - replay_count(replay);
}

void replay_forget_directory(struct replay *replay)
{
	free(replay->disk.directory);
	free(replay->disk.segments);
	memset(&replay->disk, 0, sizeof(replay->disk));
}

/* Is every file that we would append to or leave in place as we left it? */
static int directory_as_left(const struct replay *replay, const char *directory)
{
	const struct replay_disk *disk = &replay->disk;
	uint64_t live = live_of(replay);
	struct stat now;

	if (!disk->directory || strcmp(disk->directory, directory) || stat(directory, &now) ||
	    now.st_dev != disk->device || now.st_ino != disk->inode)
		return 0;
	for (size_t i = 0; i < disk->count; i++) {
		const struct replay_segment *segment = &disk->segments[i];
		char *path;
		int same;

		if ((disk->base + i + 1) * replay->config.segment <= live)
			continue;
		path = replay_segment_path(directory, disk->base + i + disk->shift);
		same = path && !lstat(path, &now) && now.st_dev == segment->status.st_dev &&
		       now.st_ino == segment->status.st_ino && now.st_size == segment->status.st_size &&
		       now.st_mtim.tv_sec == segment->status.st_mtim.tv_sec &&
		       now.st_mtim.tv_nsec == segment->status.st_mtim.tv_nsec;
		free(path);
		if (!same)
			return 0;
	}
	return 1;
}

/* One above the largest number of a segment file in the directory. */
static int next_number(const char *directory, uint64_t *next)
{
	DIR *names = opendir(directory);
	const struct dirent *name;

	*next = 0;
	if (!names)
		return -errno;
	while ((name = readdir(names))) {
		uint64_t number;

		if (replay_segment_number(name->d_name, &number) && number >= *next)
			*next = number + 1;
	}
	closedir(names);
	return 0;
}

/* Starts a chain of new files. */
static int start_anew(struct replay *replay, const char *directory, const struct message *message)
{
	struct replay_disk *disk = &replay->disk;
	uint64_t first = live_of(replay) / replay->config.segment, number = first, next;
	struct stat status;
	char *checkpoint;
	int error;

	replay_forget_directory(replay);
	if (stat(directory, &status))
		return fail(message, -errno, "%s: %s", directory, strerror(errno));
	if (asprintf(&checkpoint, "%s/" CHECKPOINT_FILE, directory) < 0)
		return fail(message, -ENOMEM, "%s: out of memory", directory);
	error = access(checkpoint, F_OK) && errno == ENOENT;
	free(checkpoint);
	if (!error) {
		error = next_number(directory, &next);
		if (error)
			return fail(message, error, "%s: %s", directory, strerror(-error));
		if (next > number)
			number = next;
	}
	disk->directory = strdup(directory);
	if (!disk->directory)
		return fail(message, -ENOMEM, "%s: out of memory", directory);
	disk->device = status.st_dev;
	disk->inode = status.st_ino;
	disk->base = first;
	disk->shift = number - first;
	disk->saved = live_of(replay);
	return 0;
}

/*
 * More than a whole ring since the last save: what is missing on disk is no longer here. It is left out, for it is never
 * read. New files would do as well, but for their numbers: those are in the checkpoint, which must not tell when the
 * saves before it were.
 */
static void skip_what_is_lost(struct replay *replay)
{
	struct replay_disk *disk = &replay->disk;
	uint64_t live = live_of(replay), index = live / replay->config.segment;

	if (disk->saved >= live)
		return;
	if (index < disk->base + disk->count) {
		/* In the last file: extend_file() makes the hole. */
		disk->segments[index - disk->base].end = live;
	} else {
		disk->base = index;
		disk->count = 0;
	}
	disk->saved = live;
}

/* Writes the transitions [from, to) at an offset of a file. */
static int write_transitions(const struct replay *replay, int fd, uint64_t offset, uint64_t from, uint64_t to)
{
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	while (from < to) {
		uint64_t slot = from % replay->config.capacity, count = to - from;
		int error;

		if (count > replay->config.capacity - slot)
			count = replay->config.capacity - slot;
		error = write_all(fd, replay->records + slot * replay->record, count * replay->record);
		if (error)
			return error;
		from += count;
	}
	return 0;
}

/* Brings a file from `segment->end` to `to`. A file is new if nothing was written to it yet. */
static int extend_file(struct replay *replay, int fd, const char *path, struct replay_segment *segment, int is_new,
		       uint64_t to, const struct message *message)
{
	uint64_t kept = REPLAY_HEADER + (segment->end - segment->first) * replay->record;
	unsigned char header[REPLAY_HEADER];
	int error = 0;

	if (is_new) {
		replay_segment_header(replay, segment->first, header);
		error = write_all(fd, header, REPLAY_HEADER);
	} else if (ftruncate(fd, (off_t)kept)) {
		error = -errno;
	}
	if (!error)
		error = write_transitions(replay, fd, kept, segment->end, to);
	if (error) {
		fail(message, error, "%s: cannot be written: %s", path, strerror(-error));
		/* Gives the space back. If that fails too, the next save finds the file changed and writes everything
		 * anew. */
		if (!is_new && !ftruncate(fd, (off_t)kept))
			fstat(fd, &segment->status);
		return error;
	}
	if (fsync(fd) || fstat(fd, &segment->status)) {
		error = fail(message, -errno, "%s: cannot be synced to the disk: %s", path, strerror(errno));
		/* No longer known; see above. */
		memset(&segment->status, 0, sizeof(segment->status));
		return error;
	}
	segment->end = to;
	return 0;
}

/* Writes what segment `index` lacks. */
static int extend_segment(struct replay *replay, uint64_t index, const struct message *message)
{
	struct replay_disk *disk = &replay->disk;
	uint64_t length = replay->config.segment, to = (index + 1) * length;
	int is_new = index == disk->base + disk->count, fd, error;
	struct replay_segment *segment;
	char *path;

	if (to > replay->total)
		to = replay->total;
	if (is_new) {
		struct replay_segment *more = realloc(disk->segments, (disk->count + 1) * sizeof(*more));

		if (!more)
			return fail(message, -ENOMEM, "%s: out of memory", disk->directory);
		disk->segments = more;
		memset(&more[disk->count], 0, sizeof(*more));
		more[disk->count].first = disk->saved;
		more[disk->count].end = disk->saved;
	}
	segment = &disk->segments[index - disk->base];
	path = replay_segment_path(disk->directory, index + disk->shift);
	if (!path)
		return fail(message, -ENOMEM, "%s: out of memory", disk->directory);
	/* A file of a new segment's name was left by a run that was killed before its checkpoint: nothing refers to it.
	 */
	fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (is_new ? O_CREAT | O_TRUNC : 0), 0666);
	if (fd < 0) {
		error = fail(message, -errno, "%s: cannot be opened for writing: %s", path, strerror(errno));
	} else {
		error = extend_file(replay, fd, path, segment, is_new, to, message);
		if (error && is_new)
			unlink(path);
		close(fd);
	}
	free(path);
	if (!error) {
		disk->count += (size_t)is_new;
		disk->new_names |= is_new;
		disk->saved = to;
	}
	return error;
}

/* Deletes files of this chain from segment `from` on. */
static void delete_from(const struct replay *replay, size_t from)
{
	const struct replay_disk *disk = &replay->disk;

	for (size_t i = from; i < disk->count; i++) {
		char *path = replay_segment_path(disk->directory, disk->base + i + disk->shift);

		if (path)
			unlink(path);
		free(path);
	}
}

/* Makes the names in the directory durable. */
static int sync_names(const char *directory)
{
	char *inside;
	int error;

	if (asprintf(&inside, "%s/.", directory) < 0)
		return -ENOMEM;
	error = sync_directory_of(inside);
	free(inside);
	return error;
}

static uint32_t crc_of(const struct replay *replay, uint64_t from, uint64_t to)
{
	uint32_t crc = 0;

	while (from < to) {
		uint64_t slot = from % replay->config.capacity, count = to - from;

		if (count > replay->config.capacity - slot)
			count = replay->config.capacity - slot;
		crc = crc32c(crc, replay->records + slot * replay->record, count * replay->record);
		from += count;
	}
	return crc;
}

static int make_mark(struct replay *replay, struct replay_mark *mark, const struct message *message)
{
	struct replay_disk *disk = &replay->disk;
	uint64_t live = live_of(replay), length = replay->config.segment, base = live / length;

	*mark = (struct replay_mark){ .observation_dim = replay->config.observation_dim,
				      .action_dim = replay->config.action_dim,
				      .capacity = replay->config.capacity,
				      .total = replay->total,
				      .segment = replay->config.segment,
				      .first_file = base + disk->shift };
	mark->crc_count = replay_mark_segments(mark);
	mark->crc = calloc(mark->crc_count + 1, sizeof(*mark->crc));
	if (!mark->crc)
		return fail(message, -ENOMEM, "%s: out of memory", disk->directory);
	for (uint64_t i = 0; i < mark->crc_count; i++) {
		struct replay_segment *segment = &disk->segments[base + i - disk->base];
		uint64_t from = (base + i) * length, to = from + length;

		if (from >= live && segment->has_crc) {
			mark->crc[i] = segment->crc;
			continue;
		}
		segment->has_crc = from >= live && to <= replay->total;
		segment->crc = crc_of(replay, from < live ? live : from, to > replay->total ? replay->total : to);
		mark->crc[i] = segment->crc;
	}
	return 0;
}

int replay_save(struct replay *replay, const char *directory, struct replay_mark *mark, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	struct replay_disk *disk = &replay->disk;
	size_t count_before;
	int anew, error = 0;

	memset(mark, 0, sizeof(*mark));
	anew = !directory_as_left(replay, directory);
	if (anew)
		error = start_anew(replay, directory, &message);
	else
		skip_what_is_lost(replay);
	count_before = disk->count;
	while (!error && disk->saved < replay->total)
		error = extend_segment(replay, disk->saved / replay->config.segment, &message);
	if (!error && disk->new_names) {
		error = sync_names(directory);
		if (error) {
			fail(&message, error, "%s: cannot be synced to the disk: %s", directory, strerror(-error));
			anew = 1;
		}
		disk->new_names = 0;
	}
	if (!error)
		error = make_mark(replay, mark, &message);
	if (error && anew && disk->directory) {
		/* Half a chain is of no use, and the space may be what was lacking. */
		delete_from(replay, count_before);
		replay_forget_directory(replay);
	}
	return error;
}

int replay_prune(struct replay *replay, const char *directory, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	struct replay_disk *disk = &replay->disk;
	uint64_t keep = live_of(replay) / replay->config.segment;
	const struct dirent *name;
	size_t passed;
	DIR *names;

	if (!disk->directory || strcmp(disk->directory, directory) || disk->saved != replay->total)
		return fail(&message, -EINVAL, "%s: the replay memory was not saved here, or changed since", directory);
	names = opendir(directory);
	if (!names)
		return fail(&message, -errno, "%s: %s", directory, strerror(errno));
	while ((name = readdir(names))) {
		uint64_t number;

		if (!replay_segment_number(name->d_name, &number))
			continue;
		/* The mark refers to the files from keep + shift up to base + count + shift. */
		if (number - disk->shift >= keep && number - disk->shift < disk->base + disk->count)
			continue;
		if (unlinkat(dirfd(names), name->d_name, 0) && errno != ENOENT) {
			int error = fail(&message, -errno, "%s/%s: cannot be deleted: %s", directory, name->d_name,
					 strerror(errno));

			closedir(names);
			return error;
		}
	}
	closedir(names);
	passed = keep > disk->base ? (size_t)(keep - disk->base) : 0;
	if (passed > disk->count)
		passed = disk->count;
	if (passed)
		memmove(disk->segments, disk->segments + passed, (disk->count - passed) * sizeof(*disk->segments));
	disk->base += passed;
	disk->count -= passed;
	return 0;
}
