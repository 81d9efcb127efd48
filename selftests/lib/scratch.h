/* SPDX-License-Identifier: MIT */
/* For tests that write files: a folder of their own, whole files in and out, the readers in Python. */
#ifndef FIXAR_SELFTESTS_LIB_SCRATCH_H
#define FIXAR_SELFTESTS_LIB_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[512];
static pid_t scratch_owner;

static int scratch_remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static void scratch_remove(void)
{
	/* A forked child exits too. */
	if (getpid() == scratch_owner)
		nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folder; it goes when the program ends. */
static inline void scratch_make(void)
{
	const char *parent = getenv("TMPDIR");

	/* Thousands of small files with syncs: in memory if there is such a place. */
	if (!parent)
		parent = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(scratch, sizeof(scratch), "%s/fixar-test-XXXXXX", parent);
	if (!mkdtemp(scratch)) {
		perror(scratch);
		exit(1);
	}
	scratch_owner = getpid();
	atexit(scratch_remove);
}

/* A path in the folder; valid until eight calls later. */
__attribute__((format(printf, 1, 2))) static inline const char *in_scratch(const char *format, ...)
{
	static char paths[8][1024];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	va_list arguments;
	int used = snprintf(path, sizeof(paths[0]), "%s/", scratch);

	va_start(arguments, format);
	vsnprintf(path + used, sizeof(paths[0]) - (size_t)used, format, arguments);
	va_end(arguments);
	return path;
}

/* A new, empty folder in the folder. */
static inline const char *scratch_folder(const char *name)
{
	const char *path = in_scratch("%s", name);

	nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(path, 0777)) {
		perror(path);
		exit(1);
	}
	return path;
}

static inline void write_whole(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* Freed by the caller; a zero byte follows. NULL if there is no such file. */
static inline char *read_whole(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes = NULL;

	*size = 0;
	if (!file)
		return NULL;
	for (size_t got = 1; got;) {
		bytes = realloc(bytes, *size + 65536 + 1);
		if (!bytes)
			abort();
		got = fread(bytes + *size, 1, 65536, file);
		*size += got;
	}
	fclose(file);
	bytes[*size] = 0;
	return bytes;
}

static inline int same_file(const char *left, const char *right)
{
	size_t left_size, right_size;
	char *a = read_whole(left, &left_size), *b = read_whole(right, &right_size);
	int same = a && b && left_size == right_size && !memcmp(a, b, left_size);

	free(a);
	free(b);
	return same;
}

static inline int exists(const char *path)
{
	struct stat status;

	return !lstat(path, &status);
}

/*
 * What the reader in Python, which shares no code with the library, says of a file, after it has checked it; freed by
 * the caller. *status is that of waitpid(). NULL if there is no Python here.
 */
static inline char *read_by_python(const char *kind, const char *path, int *status)
{
	char command[2048], *text = NULL;
	size_t size = 0, length = 0;
	FILE *pipe_end, *memory;
	char line[4096];

	if (system("python3 -c '' 2>/dev/null"))
		return NULL;
	/* Beside this file; tests are compiled from the top folder and run there. */
	snprintf(command, sizeof(command), "python3 '%.*s/read_files.py' %s '%s' 2>&1",
		 (int)(strrchr(__FILE__, '/') ? strrchr(__FILE__, '/') - __FILE__ : 1),
		 strrchr(__FILE__, '/') ? __FILE__ : ".", kind, path);
	pipe_end = popen(command, "r");
	memory = open_memstream(&text, &size);
	if (!pipe_end || !memory)
		abort();
	while ((length = fread(line, 1, sizeof(line), pipe_end)))
		fwrite(line, 1, length, memory);
	*status = pclose(pipe_end);
	fclose(memory);
	return text;
}

#endif /* FIXAR_SELFTESTS_LIB_SCRATCH_H */
