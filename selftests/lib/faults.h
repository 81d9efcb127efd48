/* SPDX-License-Identifier: MIT */
/*
 * Faults of the file system, for tests of what is written to disk. The functions below take the place of the C
 * library's in the program that includes this, so the library under test calls them. As long as nothing is armed they
 * do what they always do.
 *
 * Each call that changes something on disk is a step. fault_arm() makes a step fail; crash_arm() ends the process
 * before a step, and can first do to the files what a power failure may: what was not synced is zeros, names that were
 * not synced are gone, renames that were not synced did not happen.
 */
#ifndef FIXAR_SELFTESTS_LIB_FAULTS_H
#define FIXAR_SELFTESTS_LIB_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CRASH_STATUS 99

enum fault_call { FAULT_ANY, FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_TRUNCATE, FAULT_UNLINK };

enum crash {
	CRASH_NONE,
	CRASH_KILL,	  /* as by SIGKILL: what was written is there */
	CRASH_POWER,	  /* unsynced bytes are zeros, unsynced new names are gone */
	CRASH_POWER_NAMES /* unsynced renames did not happen either */
};

static struct {
	enum fault_call call; /* which kind of call is counted */
	long left;	      /* steps until it happens; 0: not armed */
	int error;	      /* what the step fails with */
	int stays;	      /* and all steps after it */
	enum crash crash;
	int short_writes;
	long steps; /* since the last fault_arm() or crash_arm() */
	int quick;  /* syncs do nothing: what they would do is accounted for here */
	/* For CRASH_POWER. */
	struct {
		dev_t device;
		ino_t inode;
		off_t synced;
		char path[512];
	} files[64];
	size_t file_count;
	char created[64][512];
	size_t created_count;
	char renamed[16][512]; /* the replaced file is kept under this name and ".was" */
	size_t renamed_count;
} faults;

static inline void fault_arm(enum fault_call call, long step, int error)
{
	faults.call = call;
	faults.left = step;
	faults.error = error;
	faults.stays = 0;
	faults.crash = CRASH_NONE;
	faults.steps = 0;
}

static inline void fault_disarm(void)
{
	faults.left = 0;
	faults.short_writes = 0;
	faults.crash = CRASH_NONE;
	faults.quick = 0;
}

static inline void crash_arm(long step, enum crash crash)
{
	fault_arm(FAULT_ANY, step, 0);
	faults.crash = crash;
	faults.quick = 1;
	faults.file_count = faults.created_count = faults.renamed_count = 0;
}

/* ---- What a power failure leaves ---- */

static void fault_lose_bytes(const char *path, dev_t device, ino_t inode, off_t synced)
{
	static const char zeros[4096];
	struct stat status;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY);

	if (fd < 0)
		return;
	if (!fstat(fd, &status) && status.st_ino == inode && status.st_dev == device)
		for (off_t at = synced; at < status.st_size;) {
			off_t size = status.st_size - at < 4096 ? status.st_size - at : 4096;

			if (pwrite(fd, zeros, (size_t)size, at) != size)
				break;
			at += size;
		}
	close(fd);
}

static void fault_power_off(void)
{
	char was[520];

	for (size_t i = 0; i < faults.file_count; i++)
		fault_lose_bytes(faults.files[i].path, faults.files[i].device, faults.files[i].inode,
				 faults.files[i].synced);
	for (size_t i = 0; i < faults.created_count; i++)
		syscall(SYS_unlinkat, AT_FDCWD, faults.created[i], 0);
	for (size_t i = faults.renamed_count; i-- > 0 && faults.crash == CRASH_POWER_NAMES;) {
		snprintf(was, sizeof(was), "%s.was", faults.renamed[i]);
		if (access(was, F_OK))
			syscall(SYS_unlinkat, AT_FDCWD, faults.renamed[i], 0);
		else
			syscall(SYS_renameat2, AT_FDCWD, was, AT_FDCWD, faults.renamed[i], 0);
	}
}

/* Counts a step: 0 to go on, or the error of this one. */
static int fault_step(enum fault_call call)
{
	int counted = faults.left && (faults.call == FAULT_ANY || faults.call == call);

	faults.steps += counted;
	if (!counted || --faults.left > 0)
		return 0;
	if (faults.crash) {
		if (faults.crash != CRASH_KILL)
			fault_power_off();
		_exit(CRASH_STATUS);
	}
	faults.left = faults.stays ? 1 : 0;
	errno = faults.error;
	return faults.error;
}

static void fault_remember(int fd, const char *path)
{
	struct stat status;

	if (!faults.crash || fstat(fd, &status) || !S_ISREG(status.st_mode) || faults.file_count == 64)
		return;
	for (size_t i = 0; i < faults.file_count; i++)
		if (faults.files[i].inode == status.st_ino && !strcmp(faults.files[i].path, path))
			return;
	faults.files[faults.file_count].device = status.st_dev;
	faults.files[faults.file_count].inode = status.st_ino;
	faults.files[faults.file_count].synced = status.st_size;
	snprintf(faults.files[faults.file_count++].path, sizeof(faults.files[0].path), "%s", path);
}

static void fault_synced(int fd, int truncated)
{
	struct stat status;
	char was[520];

	if (!faults.crash || fstat(fd, &status))
		return;
	if (S_ISDIR(status.st_mode)) {
		for (size_t i = 0; i < faults.renamed_count; i++) {
			snprintf(was, sizeof(was), "%s.was", faults.renamed[i]);
			syscall(SYS_unlinkat, AT_FDCWD, was, 0);
		}
		faults.created_count = faults.renamed_count = 0;
	}
	for (size_t i = 0; i < faults.file_count; i++)
		if (faults.files[i].inode == status.st_ino && (!truncated || status.st_size < faults.files[i].synced))
			faults.files[i].synced = status.st_size;
}

/* ---- In place of the C library's ---- */

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	int fd, is_new;

	if (flags & O_CREAT) {
		va_list arguments;

		va_start(arguments, flags);
		mode = (mode_t)va_arg(arguments, unsigned);
		va_end(arguments);
		if (fault_step(FAULT_OPEN))
			return -1;
	}
	is_new = (flags & O_CREAT) && access(path, F_OK);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && (flags & (O_WRONLY | O_RDWR)))
		fault_remember(fd, path);
	if (fd >= 0 && is_new && faults.crash && faults.created_count < 64)
		snprintf(faults.created[faults.created_count++], sizeof(faults.created[0]), "%s", path);
	return fd;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (fd > 2 && fault_step(FAULT_WRITE)) {
		/* A disk that is full takes what fits. */
		if (faults.error == ENOSPC && size > 1)
			return (ssize_t)syscall(SYS_write, fd, bytes, size / 2) < 0 ? -1 : (errno = ENOSPC, -1);
		return -1;
	}
	if (fd > 2 && faults.short_writes) {
		faults.short_writes++;
		if (faults.short_writes % 3 == 0) {
			errno = EINTR;
			return -1;
		}
		if (size > 5)
			size = 5;
	}
	return (ssize_t)syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd)
{
	if (fault_step(FAULT_SYNC))
		return -1;
	fault_synced(fd, 0);
	return faults.quick ? 0 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	if (fault_step(FAULT_SYNC))
		return -1;
	fault_synced(fd, 0);
	return faults.quick ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
	int result;

	if (fault_step(FAULT_TRUNCATE))
		return -1;
	result = (int)syscall(SYS_ftruncate, fd, size);
	fault_synced(fd, 1);
	return result;
}

int rename(const char *from, const char *to)
{
	struct stat status;
	char was[1100];

	if (fault_step(FAULT_RENAME))
		return -1;
	if (faults.crash && faults.renamed_count < 16) {
		snprintf(was, sizeof(was), "%s.was", to);
		syscall(SYS_unlinkat, AT_FDCWD, was, 0);
		syscall(SYS_linkat, AT_FDCWD, to, AT_FDCWD, was, 0);
		snprintf(faults.renamed[faults.renamed_count++], sizeof(faults.renamed[0]), "%s", to);
		for (size_t i = 0; i < faults.file_count; i++)
			if (!lstat(from, &status) && faults.files[i].inode == status.st_ino)
				snprintf(faults.files[i].path, sizeof(faults.files[i].path), "%s", to);
	}
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
	return fault_step(FAULT_UNLINK) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int unlinkat(int directory, const char *path, int flags)
{
	return fault_step(FAULT_UNLINK) ? -1 : (int)syscall(SYS_unlinkat, directory, path, flags);
}

#endif /* FIXAR_SELFTESTS_LIB_FAULTS_H */
