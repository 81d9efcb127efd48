// SPDX-License-Identifier: MIT
/*
 * Replacing a file at once.
 *
 * The new file is written under a name of its own in the same directory ("PATH.tmp-0", or a higher number while another
 * process writes there), because rename() is only atomic within a file system. What a killed process left under such a
 * name is used again and never piles up: a name is ours once we hold the lock of the file behind it, and locks vanish
 * with their process.
 *
 * Order, and what a crash after each step leaves:
 *	1. write aside		the old file, and a file aside that nobody reads
 *	2. fsync the file	the same; from here on its contents survive a power failure
 *	3. rename		old or new, both complete
 *	4. fsync the directory	the new one, after a power failure too
 */
#include "checkpoint/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/message.h"

#define NAMES_ASIDE 16

int write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t written = write(fd, at, size);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!written)
			return -EIO;
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

int read_all(int fd, void *bytes, size_t size, uint64_t offset)
{
	char *at = bytes;

	while (size) {
		ssize_t got;

		if (offset > INT64_MAX)
			return -EOVERFLOW;
		got = pread(fd, at, size, (off_t)offset);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!got)
			return -ENODATA;
		at += got;
		size -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

int file_size(int fd, uint64_t *size)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EBADMSG;
	*size = (uint64_t)status.st_size;
	return 0;
}

int sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int fd, error = 0;

	if (!slash)
		directory = strdup(".");
	else
		directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!directory)
		return -ENOMEM;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	if (fd < 0)
		return -errno;
	/* EINVAL: a file system whose directories need no sync. */
	if (fsync(fd) && errno != EINVAL)
		error = -errno;
	close(fd);
	return error;
}

/* Opens the file aside under a number and takes its lock: 1 if it is ours, 0 if another process has it, or -errno. */
static int take_aside(struct atomic_file *file, unsigned number)
{
	struct stat opened, named;
	int error;

	sprintf(strrchr(file->aside, '-'), "-%u", number);
	file->fd = open(file->aside, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
	if (file->fd < 0)
		return -errno;
	/* Where the file system has no locks, the number alone must do; two writers at once are not usual. */
	if (flock(file->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		goto not_ours;
	/*
	 * Between our open() and flock() the former owner may have renamed the file: then what we hold is the file that
	 * is in place, and must not be touched. The owner renames before it lets go of the lock, so one look is enough.
	 */
	if (fstat(file->fd, &opened)) {
		error = -errno;
		goto fail;
	}
	if (!S_ISREG(opened.st_mode)) {
		error = -EEXIST;
		goto fail;
	}
	if (stat(file->aside, &named) || opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
		goto not_ours;
	if (ftruncate(file->fd, 0)) {
		error = -errno;
		goto fail;
	}
	return 1;
not_ours:
	close(file->fd);
	file->fd = -1;
	return 0;
fail:
	close(file->fd);
	file->fd = -1;
	return error;
}

/* Remembers the first error, removes the file aside. */
static int give_up(struct atomic_file *file, int error, const char *doing)
{
	const struct message message = { file->message, file->message_size };

	if (file->error)
		return file->error;
	file->error = error;
	fail(&message, error, "%s: %s: %s", file->path ? file->path : "file", doing, strerror(-error));
	if (file->fd >= 0) {
		/* While the lock is held, so that it is not another process's file of the same name. */
		unlink(file->aside);
		close(file->fd);
		file->fd = -1;
	}
	return error;
}

int atomic_file_open(struct atomic_file *file, const char *path, char *message, size_t message_size)
{
	size_t aside_size = strlen(path) + sizeof(".tmp-4294967295");

	*file = (struct atomic_file){ .fd = -1, .message = message, .message_size = message_size };
	file->path = strdup(path);
	file->aside = malloc(aside_size);
	if (!file->path || !file->aside)
		return give_up(file, -ENOMEM, "cannot be written");
	snprintf(file->aside, aside_size, "%s.tmp-", path);
	for (unsigned number = 0; number < NAMES_ASIDE; number++) {
		int taken = take_aside(file, number);

		if (taken > 0)
			return 0;
		if (taken < 0)
			return give_up(file, taken, "cannot make a file beside it to write to");
	}
	return give_up(file, -EBUSY, "other processes are writing it");
}

int atomic_file_write(struct atomic_file *file, const void *bytes, size_t size)
{
	int error;

	if (file->error)
		return file->error;
	error = write_all(file->fd, bytes, size);
	return error ? give_up(file, error, "cannot be written") : 0;
}

static void release(struct atomic_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->aside);
	file->fd = -1;
	file->path = NULL;
	file->aside = NULL;
}

int atomic_file_commit(struct atomic_file *file)
{
	int error;

	if (!file->error && fsync(file->fd))
		give_up(file, -errno, "cannot be synced to the disk");
	if (!file->error && rename(file->aside, file->path))
		give_up(file, -errno, "cannot be renamed into place");
	if (!file->error) {
		/* Too late to take it back: the new file is in place and complete, but a power failure may undo the
		 * rename. */
		error = sync_directory_of(file->path);
		close(file->fd);
		file->fd = -1;
		if (error)
			give_up(file, error, "is in place, but its directory cannot be synced to the disk");
	}
	release(file);
	return file->error;
}

void atomic_file_abort(struct atomic_file *file)
{
	if (file->fd >= 0)
		unlink(file->aside);
	release(file);
	if (!file->error)
		file->error = -ECANCELED;
}
