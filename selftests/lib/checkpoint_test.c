// SPDX-License-Identifier: MIT
/*
 * Description: a checkpoint comes back as it was written, is the same bytes whatever the order of the arguments, and is
 * replaced whole or not at all; whatever else is in the file is refused with a message that names it.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "checkpoint/atomic.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/crc32c.h"
#include "faults.h"
#include "ktap.h"
#include "scratch.h"

static char message[1024];

/* A test of what went wrong; the message, which names a folder of this run alone, is no part of the test's name. */
#define says(passed, ...) (ktap_ok((passed), __VA_ARGS__), ktap_note("%s", message))

/* ---- What is written ---- */

static const float weights[6] = { 1.5f, -2, 3e-20f, 4, 5, 6 };
static const int32_t masters[2][3] = { { 1, -2, INT32_MAX }, { INT32_MIN, 5, 6 } };
static const uint64_t counters[2] = { 1, UINT64_MAX };
static const int64_t sums[1] = { -9 };
static const double moments[2] = { 0.1, -1e300 };
static const uint32_t flags[2] = { 7, UINT32_MAX };
static const uint8_t bytes[3] = { 0, 128, 255 };

static const struct checkpoint_tensor tensors[] = {
	{ "u8", CHECKPOINT_U8, 1, { 3 }, bytes, 3 },
	{ "actor.0.weight", CHECKPOINT_I32, 2, { 2, 3 }, masters, 24 },
	{ "f32", CHECKPOINT_F32, 3, { 1, 6, 1 }, weights, 24 },
	{ "counters", CHECKPOINT_U64, 1, { 2 }, counters, 16 },
	{ "none", CHECKPOINT_F64, 2, { 0, 7 }, NULL, 0 },
	{ "moments", CHECKPOINT_F64, 1, { 2 }, moments, 16 },
	{ "sum", CHECKPOINT_I64, 0, { 0 }, sums, 8 },
	{ "flags", CHECKPOINT_U32, 1, { 2 }, flags, 8 },
};
#define TENSORS (sizeof(tensors) / sizeof(tensors[0]))
static const struct checkpoint_string strings[] = {
	{ "step", "20000" },
	{ "environment", "pendulum \"\\\n\xc3\xbc" },
};

static int write_sample(const char *path)
{
	return checkpoint_write(path, tensors, TENSORS, strings, 2, message, sizeof(message));
}

static void test_crc(void)
{
	unsigned char block[32];

	ktap_ok(crc32c(0, "123456789", 9) == 0xe3069283, "crc32c of 123456789");
	memset(block, 0, sizeof(block));
	ktap_ok(crc32c(0, block, 32) == 0x8a9136aa, "crc32c of 32 zeros");
	memset(block, 255, sizeof(block));
	ktap_ok(crc32c(0, block, 32) == 0x62a8ab43, "crc32c of 32 bytes of ones");
	for (unsigned i = 0; i < 32; i++)
		block[i] = (unsigned char)i;
	ktap_ok(crc32c(0, block, 32) == 0x46dd794e, "crc32c of 0 to 31");
	for (size_t i = 0; i <= 32; i++)
		if (crc32c(crc32c(0, block, i), block + i, 32 - i) != 0x46dd794e) {
			ktap_ok(0, "crc32c in two pieces, split at %zu", i);
			return;
		}
	ktap_ok(1, "crc32c in two pieces");
}

static void test_round_trip(void)
{
	const char *path = in_scratch("round.safetensors");
	struct checkpoint *checkpoint = NULL;
	int same = 1, aligned = 1;
	uint64_t value = 0;

	ktap_ok(!write_sample(path), "a checkpoint is written");
	if (!ktap_ok(!checkpoint_open(path, &checkpoint, message, sizeof(message)), "and opened again")) {
		ktap_note("%s", message);
		return;
	}
	ktap_ok(checkpoint_count(checkpoint) == TENSORS, "with all tensors");
	for (size_t i = 0; i < TENSORS; i++) {
		const struct checkpoint_tensor *tensor = &tensors[i];
		const struct checkpoint_entry *entry = checkpoint_find(checkpoint, tensor->name);
		char data[32];

		same &= entry && !checkpoint_read(checkpoint, tensor->name, tensor->dtype, tensor->dim_count,
						  tensor->dim, data, tensor->bytes, message, sizeof(message));
		same &= !tensor->bytes || !memcmp(data, tensor->data, tensor->bytes);
		aligned &= entry && entry->offset % checkpoint_dtype_size(entry->dtype) == 0;
	}
	ktap_ok(same, "which are the same bits");
	ktap_ok(aligned, "and aligned to their elements");
	ktap_ok(!strcmp(checkpoint_string(checkpoint, "environment"), strings[1].value),
		"a string with quotes and a newline");
	ktap_ok(!checkpoint_string(checkpoint, "absent"), "a string that is not there");
	ktap_ok(!checkpoint_number(checkpoint, "step", 20000, &value, message, sizeof(message)) && value == 20000,
		"a number");
	says(checkpoint_number(checkpoint, "step", 19999, &value, message, sizeof(message)) == -EBADMSG &&
		     strstr(message, path) && strstr(message, "'step'") && strstr(message, "19999"),
	     "a number above what is possible");
	says(checkpoint_read(checkpoint, "f32", CHECKPOINT_I32, 3, (uint64_t[]){ 1, 6, 1 }, message, 24, message,
			     sizeof(message)) == -EBADMSG &&
		     strstr(message, "F32[1, 6, 1], expected I32[1, 6, 1]"),
	     "another type than expected");
	says(checkpoint_read(checkpoint, "f32", CHECKPOINT_F32, 1, (uint64_t[]){ 6 }, message, 24, message,
			     sizeof(message)) == -EBADMSG &&
		     strstr(message, "F32[1, 6, 1], expected F32[6]"),
	     "another shape than expected");
	says(checkpoint_read(checkpoint, "absent", CHECKPOINT_F32, 1, (uint64_t[]){ 6 }, message, 24, message,
			     sizeof(message)) == -EBADMSG &&
		     strstr(message, "no tensor absent"),
	     "a tensor that is not there");
	says(checkpoint_read(checkpoint, "f32", CHECKPOINT_F32, 3, (uint64_t[]){ 1, 6, 1 }, message, 20, message,
			     sizeof(message)) == -EINVAL,
	     "an array of another size");
	checkpoint_close(checkpoint);
}

static void test_numbers(void)
{
	static const char *const bad[] = {
		"", "-1", "07", "00", "1e3", "0x1", " 1", "1 ", "18446744073709551616", "+1"
	};
	const struct checkpoint_string good[] = { { "zero", "0" }, { "all", "18446744073709551615" } };
	const char *path = in_scratch("numbers.safetensors");
	struct checkpoint *checkpoint;
	uint64_t value = 1;
	int refused = 1;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct checkpoint_string string = { "n", bad[i] };

		if (checkpoint_write(path, NULL, 0, &string, 1, message, sizeof(message)) ||
		    checkpoint_open(path, &checkpoint, message, sizeof(message))) {
			refused = 0;
			continue;
		}
		refused &= checkpoint_number(checkpoint, "n", UINT64_MAX, &value, message, sizeof(message)) == -EBADMSG;
		checkpoint_close(checkpoint);
	}
	ktap_ok(refused, "what is no decimal number in 64 bits is refused");
	if (!checkpoint_write(path, NULL, 0, good, 2, message, sizeof(message)) &&
	    !checkpoint_open(path, &checkpoint, message, sizeof(message))) {
		ktap_ok(!checkpoint_number(checkpoint, "zero", 0, &value, NULL, 0) && !value, "0 is a number");
		ktap_ok(!checkpoint_number(checkpoint, "all", UINT64_MAX, &value, NULL, 0) && value == UINT64_MAX,
			"and so is 2^64 - 1");
		checkpoint_close(checkpoint);
	}
}

static void test_determinism(void)
{
	static const char expected[] = "{\"__metadata__\":{\"crc32c\":\"f0c7ec78\",\"format\":\"fixar-agent\","
				       "\"schema\":\"1\",\"a\":\"2\",\"b\":\"1\"},"
				       "\"w\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
				       "\"f\":{\"dtype\":\"U32\",\"shape\":[2],\"data_offsets\":[16,24]},"
				       "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[24,27]}}";
	const struct checkpoint_tensor few[] = { { "b", CHECKPOINT_U8, 1, { 3 }, bytes, 3 },
						 { "f", CHECKPOINT_U32, 1, { 2 }, flags, 8 },
						 { "w", CHECKPOINT_F64, 1, { 2 }, moments, 16 } };
	const struct checkpoint_string two[] = { { "b", "1" }, { "a", "2" } };
	struct checkpoint_tensor turned[TENSORS];
	struct checkpoint_string turned_strings[2] = { strings[1], strings[0] };
	const char *path = in_scratch("same-1"), *other = in_scratch("same-2");
	size_t size;
	char *file;

	for (size_t i = 0; i < TENSORS; i++)
		turned[i] = tensors[(i * 3 + 5) % TENSORS];
	ktap_ok(!write_sample(path) &&
			!checkpoint_write(other, turned, TENSORS, turned_strings, 2, message, sizeof(message)) &&
			same_file(path, other),
		"the order of the arguments is not in the file");
	ktap_ok(!checkpoint_write(path, few, 3, two, 2, message, sizeof(message)), "a small checkpoint");
	file = read_whole(path, &size);
	/* Frozen: another header would be another format, with another schema. */
	ktap_ok(size == 8 + (sizeof(expected) - 1 + 7) / 8 * 8 + 27 &&
			!memcmp(file + 8, expected, sizeof(expected) - 1),
		"has the header that it always had");
	if (file)
		ktap_note("%.*s", (int)sizeof(expected), file + 8);
	free(file);
}

static void test_python(void)
{
	const char *path = in_scratch("python.safetensors");
	int status = -1;
	char *text;

	write_sample(path);
	text = read_by_python("safetensors", path, &status);
	if (!text) {
		ktap_skip("the independent reader agrees", "no python3");
		return;
	}
	ktap_ok(!status && strstr(text, "actor.0.weight I32 [2, 3] 1 -2 2147483647 -2147483648 5 6\n") &&
			strstr(text, "counters U64 [2] 1 18446744073709551615\n") &&
			strstr(text, "moments F64 [2] 0.1 -1e+300\n") && strstr(text, "sum I64 [] -9\n") &&
			strstr(text, "none F64 [0, 7]\n") && strstr(text, "u8 U8 [3] 0 128 255\n") &&
			strstr(text, "flags U32 [2] 7 4294967295\n") && strstr(text, "crc32c ok\n"),
		"the independent reader agrees");
	if (status)
		ktap_note("%s", text);
	free(text);
}

/* ---- What is refused when writing ---- */

static void refuse_write(const struct checkpoint_tensor *tensor, const struct checkpoint_string *string, int error,
			 const char *expected, const char *what)
{
	const char *path = in_scratch("refused.safetensors");
	const struct checkpoint_tensor both[] = { tensors[1], *tensor };
	int result = checkpoint_write(path, both, 2, string, string ? 1 : 0, message, sizeof(message));

	says(result == error && strstr(message, expected) && strstr(message, path) && !exists(path), "%s", what);
}

static void test_refused_writes(void)
{
	const float nan_value[2] = { 1, NAN };
	const double infinite[1] = { -INFINITY };
	const struct checkpoint_tensor fine = tensors[0];
	const uint64_t big = UINT64_C(1) << 62;

	refuse_write(&tensors[1], NULL, -EINVAL, "two tensors", "a name twice");
	refuse_write(&(struct checkpoint_tensor){ "x", CHECKPOINT_F32, 1, { 2 }, weights, 4 }, NULL, -EINVAL, "4 bytes",
		     "bytes that do not fit the shape");
	refuse_write(&(struct checkpoint_tensor){ "x", CHECKPOINT_F32, 2, { big, 8 }, weights, 0 }, NULL, -EINVAL, "x",
		     "a shape of more than 2^64 bytes");
	refuse_write(&(struct checkpoint_tensor){ "x", CHECKPOINT_F32, 5, { 1 }, weights, 4 }, NULL, -EINVAL, "5 dim",
		     "five dimensions");
	refuse_write(&(struct checkpoint_tensor){ "x", (enum checkpoint_dtype)7, 1, { 1 }, weights, 4 }, NULL, -EINVAL,
		     "unknown type", "an unknown type");
	refuse_write(&(struct checkpoint_tensor){ "", CHECKPOINT_F32, 1, { 1 }, weights, 4 }, NULL, -EINVAL, "name",
		     "no name");
	refuse_write(&(struct checkpoint_tensor){ "__metadata__", CHECKPOINT_F32, 1, { 1 }, weights, 4 }, NULL, -EINVAL,
		     "name", "the name of the metadata");
	refuse_write(&(struct checkpoint_tensor){ "x", CHECKPOINT_F32, 1, { 2 }, nan_value, 8 }, NULL, -EDOM,
		     "element 1", "a NaN");
	refuse_write(&(struct checkpoint_tensor){ "x", CHECKPOINT_F64, 0, { 0 }, infinite, 8 }, NULL, -EDOM,
		     "element 0", "an infinity");
	refuse_write(&fine, &(struct checkpoint_string){ "schema", "2" }, -EINVAL, "schema", "a key that is taken");
	refuse_write(&fine, &(struct checkpoint_string){ "k\n", "2" }, -EINVAL, "printable",
		     "a key that is not printable");
	refuse_write(&fine, &(struct checkpoint_string){ "k", "\xff" }, -EINVAL, "UTF-8", "a string that is not UTF-8");
}

/* ---- Replacing a file ---- */

/* Whether a write that must fail left the old file and nothing beside it. */
static int failed_cleanly(const char *path, const char *old, int result, int error)
{
	char aside[1100];

	snprintf(aside, sizeof(aside), "%s.tmp-0", path);
	return result == error && strstr(message, path) && strstr(message, strerror(-error)) && !exists(aside) &&
	       (old ? same_file(path, old) : !exists(path));
}

static void test_faults(void)
{
	static const struct {
		enum fault_call call;
		long step;
		int error;
		const char *what;
	} cases[] = {
		{ FAULT_OPEN, 1, EACCES, "a directory without the right to write" },
		{ FAULT_TRUNCATE, 1, EIO, "a file aside that cannot be emptied" },
		{ FAULT_WRITE, 1, ENOSPC, "a full disk at the first write" },
		{ FAULT_WRITE, 3, ENOSPC, "a full disk at the third write" },
		{ FAULT_WRITE, 2, EIO, "a write error" },
		{ FAULT_SYNC, 1, EIO, "a sync error" },
		{ FAULT_RENAME, 1, EPERM, "a rename that is refused" },
	};
	const char *path = in_scratch("replaced.safetensors"), *old = in_scratch("old.safetensors");
	int result;

	checkpoint_write(old, tensors, 2, NULL, 0, message, sizeof(message));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		checkpoint_write(path, tensors, 2, NULL, 0, message, sizeof(message));
		*message = 0;
		fault_arm(cases[i].call, cases[i].step, cases[i].error);
		result = write_sample(path);
		fault_disarm();
		/* The open file aside is empty, if that fault left it; the next writer uses it. */
		if (cases[i].call == FAULT_TRUNCATE)
			remove(in_scratch("replaced.safetensors.tmp-0"));
		says(failed_cleanly(path, old, result, -cases[i].error), "%s", cases[i].what);
	}
	fault_arm(FAULT_SYNC, 2, EIO);
	result = write_sample(path);
	fault_disarm();
	write_sample(old);
	says(result == -EIO && strstr(message, "directory") && same_file(path, old),
	     "a directory that cannot be synced");
	remove(path);
	faults.short_writes = 1;
	result = write_sample(path);
	fault_disarm();
	ktap_ok(!result && same_file(path, old), "short and interrupted writes go on");
}

static void test_file_aside(void)
{
	const char *path = in_scratch("aside.safetensors"), *expected = in_scratch("expected.safetensors");
	const char *first = in_scratch("aside.safetensors.tmp-0"), *second = in_scratch("aside.safetensors.tmp-1");
	char garbage[5000];
	int fd, result;

	write_sample(expected);
	memset(garbage, 'x', sizeof(garbage));
	write_whole(first, garbage, sizeof(garbage));
	ktap_ok(!write_sample(path) && same_file(path, expected) && !exists(first),
		"what a killed writer left is used again");
	fd = open(first, O_WRONLY | O_CREAT, 0666);
	flock(fd, LOCK_EX);
	ktap_ok(!write_sample(path) && same_file(path, expected) && exists(first) && !exists(second),
		"what another writer is writing is left alone");
	close(fd);
	remove(first);
	if (symlink(expected, first))
		perror(first);
	result = checkpoint_write(path, tensors, 1, NULL, 0, message, sizeof(message));
	says(result == -ELOOP && same_file(path, expected), "a link in its place is not followed");
	remove(first);
}

static void test_bad_places(void)
{
	const char *file = in_scratch("file"), *path;
	struct checkpoint *checkpoint;

	write_whole(file, "x", 1);
	path = in_scratch("file/checkpoint.safetensors");
	says(write_sample(path) == -ENOTDIR && strstr(message, path) && strstr(message, strerror(ENOTDIR)),
	     "a directory that is a file");
	path = in_scratch("absent/checkpoint.safetensors");
	says(write_sample(path) == -ENOENT && strstr(message, path), "a directory that is not there");
	says(checkpoint_open(path, &checkpoint, message, sizeof(message)) == -ENOENT && strstr(message, path),
	     "no checkpoint");
	path = scratch_folder("folder");
	says(write_sample(path) == -EISDIR && strstr(message, path) && !exists(in_scratch("folder.tmp-0")),
	     "a directory of the checkpoint's name");
	says(checkpoint_open(path, &checkpoint, message, sizeof(message)) == -EBADMSG &&
		     strstr(message, "regular file"),
	     "reading a directory");
	path = in_scratch("pipe");
	if (mkfifo(path, 0666))
		perror(path);
	says(checkpoint_open(path, &checkpoint, message, sizeof(message)) == -EBADMSG &&
		     strstr(message, "regular file"),
	     "reading a pipe");
}

/* In a child, because limits and mounts stay. Exit status: 0 fine, 1 not, 4 impossible here. */
static int in_child(int (*body)(void))
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child)
		_exit(body());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int limited_file(void)
{
	const struct rlimit limit = { 300, 300 };
	const char *path = in_scratch("limited.safetensors"), *old = in_scratch("limited.old");
	int result;

	checkpoint_write(path, tensors, 1, NULL, 0, message, sizeof(message));
	checkpoint_write(old, tensors, 1, NULL, 0, message, sizeof(message));
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return KTAP_SKIP;
	result = write_sample(path);
	return !failed_cleanly(path, old, result, -EFBIG);
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), failed = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text);

	close(fd);
	return failed;
}

/*
 * A name space of mounts of our own, so that they end with this process; as a user, in a name space of users around it,
 * where we are root.
 */
static int private_mounts(void)
{
	char users[64], groups[64];

	snprintf(users, sizeof(users), "0 %u 1", (unsigned)getuid());
	snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getgid());
	if (unshare(CLONE_NEWNS) && (unshare(CLONE_NEWUSER | CLONE_NEWNS) || put_text("/proc/self/setgroups", "deny") ||
				     put_text("/proc/self/uid_map", users) || put_text("/proc/self/gid_map", groups)))
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int full_disk(void)
{
	const char *folder = scratch_folder("full"), *path = in_scratch("full/checkpoint.safetensors");
	const char *old = in_scratch("full.old");
	static char large[100000];
	const struct checkpoint_tensor tensor = { "large", CHECKPOINT_U8, 1, { sizeof(large) }, large, sizeof(large) };
	int result;

	if (private_mounts() || mount("tmpfs", folder, "tmpfs", 0, "size=64k"))
		return KTAP_SKIP;
	if (write_sample(path) || write_sample(old))
		return 1;
	result = checkpoint_write(path, &tensor, 1, NULL, 0, message, sizeof(message));
	if (!failed_cleanly(path, old, result, -ENOSPC))
		return 1;
	if (mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL))
		return KTAP_SKIP;
	result = write_sample(path);
	return !failed_cleanly(path, old, result, -EROFS);
}

static void test_real_limits(void)
{
	int result;

	ktap_ok(in_child(limited_file) == 0, "a file of limited size: the old one stays");
	result = in_child(full_disk);
	if (result == KTAP_SKIP)
		ktap_skip("a file system that is full, or read-only: the old file stays",
			  "mounting is not allowed here");
	else
		ktap_ok(result == 0, "a file system that is full, or read-only: the old file stays");
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_crc();
	test_round_trip();
	test_numbers();
	test_determinism();
	test_python();
	test_refused_writes();
	test_faults();
	test_file_aside();
	test_bad_places();
	test_real_limits();
	return ktap_finish();
}
