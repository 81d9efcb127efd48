/* SPDX-License-Identifier: MIT */
/*
 * Replacing a file so that a crash at any instant leaves the old one or the new one, complete: write aside in the same
 * directory, sync, rename, sync the directory.
 *
 *	struct atomic_file file;
 *
 *	error = atomic_file_open(&file, path, message, sizeof(message));
 *	if (!error)
 *		error = atomic_file_write(&file, bytes, size);
 *	...
 *	error = atomic_file_commit(&file);
 *
 * After an error the file aside is gone, the old file is as it was, and the later calls return the same error without
 * doing anything; so only the result of atomic_file_commit() need be looked at. `message` (may be NULL) names the path
 * and the reason of the first error; it must live until atomic_file_commit() or atomic_file_abort().
 */
#ifndef FIXAR_LIB_CHECKPOINT_ATOMIC_H
#define FIXAR_LIB_CHECKPOINT_ATOMIC_H

#include <stddef.h>
#include <stdint.h>

struct atomic_file {
	int fd;
	int error;
	char *path, *aside;
	char *message;
	size_t message_size;
};

int atomic_file_open(struct atomic_file *file, const char *path, char *message, size_t message_size);
/* Appends. */
int atomic_file_write(struct atomic_file *file, const void *bytes, size_t size);
/* Puts the new file in place and frees everything. Also to be called after an error. */
int atomic_file_commit(struct atomic_file *file);
/* Gives up: the old file stays. Harmless after atomic_file_commit(). */
void atomic_file_abort(struct atomic_file *file);

/* write() until all is written or an error. 0 or -errno. */
int write_all(int fd, const void *bytes, size_t size);
/* pread() until all is there: 0, -errno, or -ENODATA where the file ends early. */
int read_all(int fd, void *bytes, size_t size, uint64_t offset);
/* Size of a regular file: 0, -errno, or -EBADMSG if it is none. */
int file_size(int fd, uint64_t *size);
/* Makes names in the directory of `path` durable. 0 or -errno. */
int sync_directory_of(const char *path);

#endif /* FIXAR_LIB_CHECKPOINT_ATOMIC_H */
