// SPDX-License-Identifier: MIT
/*
 * Description: the replay memory keeps the last transitions in their slots, in memory and on disk; saves only append,
 * and whatever is wrong with a segment file is refused with a message that names it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint/crc32c.h"
#include "ddpg/replay.h"
#include "ktap.h"
#include "replay_sample.h"
#include "scratch.h"

/* ---- In memory ---- */

static void test_memory(void)
{
	const struct replay_config large = { 17, 6, 1000000, 0 }, none = { 3, 0, 10, 0 };
	const struct replay_config huge = { REPLAY_MAX_DIM, REPLAY_MAX_DIM, REPLAY_MAX_CAPACITY, 0 };
	const float bad[OBSERVATION] = { 0, NAN, 0 }, good[OBSERVATION] = { 0 };
	const int32_t action[ACTION] = { 0 };
	struct replay *replay = create();
	uint64_t total = 0;
	int fine = holds(replay, CAPACITY, 0);

	ktap_ok(fine, "an empty replay memory");
	for (unsigned step = 1; step < 60; step++) {
		add(replay, step);
		total += step;
		fine &= holds(replay, CAPACITY, total);
	}
	ktap_ok(fine, "every transition is in its slot, before and after the ring is full");
	ktap_ok(replay_append(replay, bad, action, 0, good, 0) == -EDOM &&
			replay_append(replay, good, action, 0, bad, 0) == -EDOM &&
			replay_append(replay, good, action, INFINITY, good, 0) == -EDOM &&
			holds(replay, CAPACITY, total),
		"what is not finite is not taken");
	replay_destroy(replay);
	ktap_ok(replay_create(&none, &replay) == -EINVAL && !replay, "a memory without actions is refused");
	ktap_ok(!replay_create(&large, &replay), "a million transitions");
	replay_destroy(replay);
	ktap_ok(!replay_create(&huge, &replay), "the largest capacity takes no memory before it is used");
	replay_destroy(replay);
}

/* ---- On disk ---- */

static void test_save_and_load(void)
{
	const char *folder = scratch_folder("save");
	struct replay *replay = create(), *loaded;
	uint64_t total = 0;
	int fine = !save(replay, folder) && loads_as(folder, 0), files = 1;

	ktap_ok(fine, "an empty memory is saved and loaded");
	for (unsigned round = 0; round < 60; round++) {
		unsigned count = round % 5 ? 37 : 100 - (unsigned)(total % 100);
		unsigned live;

		add(replay, count);
		total += count;
		fine &= !save(replay, folder) && loads_as(folder, total);
		live = total > CAPACITY ? (unsigned)(total - CAPACITY) / SEGMENT : 0;
		/* Exactly the segments that hold live transitions are there. */
		for (unsigned i = 0; i < 40; i++)
			files &= segment_exists(folder, i) == (i >= live && i <= (unsigned)(total - 1) / SEGMENT);
		/* Now and then the run ends and is resumed. */
		if (round % 4 == 3 && !load(folder, &loaded)) {
			replay_destroy(replay);
			replay = loaded;
		}
	}
	ktap_ok(fine, "saved, loaded and resumed while the ring turns");
	ktap_ok(files, "with the segments that hold live transitions, and no others");
	fine = !save(replay, folder) && !save(replay, folder) && loads_as(folder, total);
	ktap_ok(fine, "a save with nothing new");
	replay_destroy(replay);
}

static off_t folder_bytes(const char *folder)
{
	struct stat status;
	char path[1100];
	off_t bytes = 0;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/replay-%06u.bin", folder, i);
		if (!stat(path, &status))
			bytes += status.st_size;
	}
	return bytes;
}

static void test_append_only(void)
{
	const char *folder = scratch_folder("append"), *first = in_scratch("append/replay-000000.bin");
	struct stat before, after;
	struct replay *replay = create();

	add(replay, 130);
	save(replay, folder);
	stat(first, &before);
	add(replay, 1);
	save(replay, folder);
	stat(first, &after);
	ktap_ok(before.st_ino == after.st_ino && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
			before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
		"a full segment is not touched again");
	ktap_ok(folder_bytes(folder) == 2 * 64 + 131 * RECORD, "the files hold each transition once");
	replay_destroy(replay);
}

static off_t size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) ? -1 : status.st_size;
}

/* What the ring lost between two saves is not written, only what can still be read. */
static void test_lost(void)
{
	const char *folder = scratch_folder("lost");
	struct replay *replay = create();

	add(replay, 150);
	save(replay, folder);
	add(replay, 700);
	ktap_ok(!save(replay, folder) && loads_as(folder, 850) && !segment_exists(folder, 2) &&
			size_of(in_scratch("lost/replay-000003.bin")) == 64 + 50 * RECORD &&
			size_of(in_scratch("lost/replay-000008.bin")) == 64 + 50 * RECORD,
		"after more than a whole ring, the first segment starts in the middle");
	replay_destroy(replay);
}

static void test_other_directories(void)
{
	const char *one = scratch_folder("one"), *two = scratch_folder("two");
	struct replay *replay = create(), *other = create();

	add(replay, 730);
	ktap_ok(!save(replay, one) && loads_as(one, 730), "a first save after the ring was full");
	add(replay, 30);
	ktap_ok(!save(replay, two) && loads_as(two, 760) && loads_as(one, 730),
		"a save to another directory is complete");
	add(replay, 30);
	ktap_ok(!save(replay, one) && loads_as(one, 790) && loads_as(two, 760), "and back to the first one");
	add(replay, CAPACITY + 10);
	ktap_ok(!save(replay, one) && loads_as(one, 790 + CAPACITY + 10), "more than a whole ring since the last save");
	add(other, 50);
	ktap_ok(!save(other, one) && loads_as(one, 50), "another agent takes over the directory");
	add(replay, 5);
	ktap_ok(!save(replay, one) && loads_as(one, 795 + CAPACITY + 10), "and the first one takes it back");
	remove(in_scratch("one/%s", CHECKPOINT_FILE));
	add(other, 5);
	ktap_ok(!save(other, one) && loads_as(one, 55) && segment_exists(one, 0),
		"without a checkpoint, segments count from 0 again");
	replay_destroy(replay);
	replay_destroy(other);
}

/* Nothing but a file that we just read may be appended to. */
static void test_disturbed(void)
{
	const char *folder = scratch_folder("disturbed"), *last = in_scratch("disturbed/replay-000001.bin");
	struct replay *replay = create();
	size_t size;
	char *file;

	add(replay, 150);
	save(replay, folder);
	file = read_whole(last, &size);
	/* Times of change have the grain of the kernel's clock tick. */
	nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	file[size - 20] ^= 1;
	write_whole(last, file, size);
	free(file);
	add(replay, 10);
	ktap_ok(!save(replay, folder) && loads_as(folder, 160), "a segment that was written over by somebody");
	remove(in_scratch("disturbed/replay-000003.bin"));
	add(replay, 10);
	ktap_ok(!save(replay, folder) && loads_as(folder, 170), "a segment that was deleted by somebody");
	replay_destroy(replay);
}

static void test_tail(void)
{
	const char *folder = scratch_folder("tail"), *last = in_scratch("tail/replay-000001.bin");
	const char *next = in_scratch("tail/replay-000002.bin"), *calm = scratch_folder("calm");
	struct replay *replay = create();
	size_t size;
	char *file;

	add(replay, 150);
	save(replay, folder);
	replay_destroy(replay);
	/* As a run leaves it that was killed after it had appended, before its checkpoint. */
	file = read_whole(last, &size);
	file = realloc(file, size + 3000);
	memset(file + size, 'x', 3000);
	write_whole(last, file, size + 3000);
	write_whole(next, file, size);
	free(file);
	ktap_ok(!load(folder, &replay) && holds(replay, CAPACITY, 150),
		"what lies behind the checkpoint's count is not read");
	ktap_ok(exists(next), "nor changed by a load");
	add(replay, 30);
	ktap_ok(!save(replay, folder) && loads_as(folder, 180) && !exists(next), "the next save cuts it off");
	replay_destroy(replay);
	replay = create();
	add(replay, 180);
	save(replay, calm);
	ktap_ok(same_file(last, in_scratch("calm/replay-000001.bin")) &&
			same_file(in_scratch("tail/%s", CHECKPOINT_FILE), in_scratch("calm/%s", CHECKPOINT_FILE)),
		"and leaves the files of an undisturbed run");
	replay_destroy(replay);
}

/* ---- Damage ---- */

static void test_damage(void)
{
	const char *folder = scratch_folder("damage"), *path = in_scratch("damage/replay-000006.bin");
	const char *other = in_scratch("damage/replay-000007.bin");
	struct replay *replay = create(), *loaded;
	size_t size, other_size, missed = 0, wrong = 0;
	char *file, *other_file;

	add(replay, 1050);
	save(replay, folder);
	replay_destroy(replay);
	file = read_whole(path, &size);
	other_file = read_whole(other, &other_size);
	for (size_t length = 0; length < size; length += length < 80 ? 1 : 97) {
		write_whole(path, file, length);
		missed += load(folder, &loaded) != -EBADMSG;
		wrong += !strstr(message, path) || !strstr(message, "truncated");
	}
	ktap_ok(!missed && !wrong, "a segment that is cut off");
	ktap_note("%s", message);
	missed = wrong = 0;
	for (size_t i = 0; i < size; i += i < 100 ? 1 : 53) {
		file[i] ^= 0x10;
		write_whole(path, file, size);
		missed += load(folder, &loaded) != -EBADMSG;
		wrong += !strstr(message, path);
		file[i] ^= 0x10;
	}
	ktap_ok(!missed && !wrong, "a changed byte of a segment");
	ktap_note("%s", message);
	write_whole(path, other_file, other_size);
	says(load(folder, &loaded) == -EBADMSG && strstr(message, path) && strstr(message, "expected segment 6"),
	     "a segment in the place of another");
	remove(path);
	says(load(folder, &loaded) == -EBADMSG && strstr(message, path) && strstr(message, "checkpoint refers to it"),
	     "a segment that is missing");
	mkdir(path, 0777);
	says(load(folder, &loaded) == -EBADMSG && strstr(message, "regular file"), "a segment that is a directory");
	remove(path);
	write_whole(path, "not at all a segment, but long enough to have a header of 64 bytes", 66);
	says(load(folder, &loaded) == -EBADMSG && strstr(message, "not a replay segment"), "a foreign file");
	write_whole(path, file, size);
	ktap_ok(loads_as(folder, 1050), "and the right one");
	free(file);
	free(other_file);
}

/* A segment whose header has the right checksum but other contents. */
static void test_headers(void)
{
	static const struct {
		unsigned offset;
		uint32_t value;
		int error;
		const char *expected;
	} cases[] = {
		{ 8, 2, -EPROTONOSUPPORT, "schema 2, this library knows 1: made by a newer fixar?" },
		{ 12, 4, -EBADMSG, "observations of size 4, expected 3" },
		{ 16, 1, -EBADMSG, "actions of size 1, expected 2" },
		{ 20, 8, -EBADMSG, "records of bytes: 8, expected 40" },
		{ 24, 7, -EBADMSG, "transitions of a segment: 7, expected 100" },
		{ 32, 1, -EBADMSG, "segment 1 from transition 0" },
		{ 40, 100, -EBADMSG, "from transition 100" },
		{ 40, 5, -EBADMSG, "starts at transition 5, expected one up to 0" },
		{ 44, UINT32_MAX, -EBADMSG, "from transition 18446744069414584320" },
	};
	const char *folder = scratch_folder("headers"), *path = in_scratch("headers/replay-000000.bin");
	struct replay *replay = create(), *loaded;
	size_t size;
	char *file, damaged[64];

	add(replay, 50);
	save(replay, folder);
	replay_destroy(replay);
	file = read_whole(path, &size);
	memcpy(damaged, file, 64);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t crc;

		memcpy(file, damaged, 64);
		memcpy(file + cases[i].offset, &cases[i].value, 4);
		crc = crc32c(0, file, 60);
		memcpy(file + 60, &crc, 4);
		write_whole(path, file, size);
		says(load(folder, &loaded) == cases[i].error && strstr(message, path) &&
			     strstr(message, cases[i].expected),
		     "the header's bytes at %u", cases[i].offset);
	}
	free(file);
}

static void test_marks(void)
{
	static const struct checkpoint_string good[] = {
		{ "replay.observation_dim", "3" }, { "replay.action_dim", "2" }, { "replay.capacity", "500" },
		{ "replay.total", "10" },	   { "replay.segment", "100" },	 { "replay.first_file", "0" },
	};
	static const char *const bad[] = { "0", "0", "0", "9223372036854775807", "0", "1099511627777" };
	static const uint32_t crc[1] = { 0 };
	const struct checkpoint_tensor tensor = { "replay.crc32c", CHECKPOINT_U32, 1, { 1 }, crc, 4 };
	const char *folder = scratch_folder("marks"), *path = in_scratch("marks/%s", CHECKPOINT_FILE);
	struct checkpoint_string strings[REPLAY_MARK_STRINGS];
	struct replay *replay;

	for (size_t i = 0; i < REPLAY_MARK_STRINGS; i++) {
		memcpy(strings, good, sizeof(good));
		strings[i].value = bad[i];
		checkpoint_write(path, &tensor, 1, strings, REPLAY_MARK_STRINGS, message, sizeof(message));
		says(load(folder, &replay) == -EBADMSG && strstr(message, folder), "a mark with a bad %s", good[i].key);
	}
	checkpoint_write(path, &tensor, 1, good, REPLAY_MARK_STRINGS, message, sizeof(message));
	says(load(folder, &replay) == -EBADMSG && strstr(message, "replay-000000.bin"),
	     "a good mark without its segments");
	checkpoint_write(path, NULL, 0, good, REPLAY_MARK_STRINGS, message, sizeof(message));
	says(load(folder, &replay) == -EBADMSG && strstr(message, "replay.crc32c"), "a mark without checksums");
	checkpoint_write(path, &tensor, 1, good, 3, message, sizeof(message));
	says(load(folder, &replay) == -EBADMSG && strstr(message, "replay.total"), "a mark without a total");
}

/* The right checksum does not make a number out of what is none. */
static void test_contents(void)
{
	static const struct {
		size_t word;
		uint32_t value;
	} cases[] = { { 0, 0x7fc00000 }, { 2, 0x7f800000 }, { 5, 0xff800000 }, { 8, 0x7f800001 }, { 9, 2 } };
	const char *folder = scratch_folder("contents"), *path = in_scratch("contents/replay-000000.bin");
	struct replay *replay = create(), *loaded;
	struct replay_mark mark;
	size_t size, wrong = 0;
	char *file;

	add(replay, 5);
	replay_save(replay, folder, &mark, message, sizeof(message));
	replay_destroy(replay);
	file = read_whole(path, &size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *word = file + 64 + 3 * RECORD + 4 * cases[i].word, before[4];

		memcpy(before, word, 4);
		memcpy(word, &cases[i].value, 4);
		mark.crc[0] = crc32c(0, file + 64, size - 64);
		write_whole(path, file, size);
		wrong += replay_load(&mark, folder, &loaded, message, sizeof(message)) != -EBADMSG || loaded ||
			 !strstr(message, "transition 3 ");
		memcpy(word, before, 4);
	}
	says(!wrong, "numbers that are not finite, and a terminal flag of 2");
	mark.crc[0] = crc32c(0, file + 64, size - 64);
	write_whole(path, file, size);
	ktap_ok(!replay_load(&mark, folder, &loaded, message, sizeof(message)) && holds(loaded, CAPACITY, 5),
		"and without them it is loaded");
	replay_destroy(loaded);
	replay_mark_free(&mark);
	free(file);
}

static void test_python(void)
{
	const char *folder = scratch_folder("python");
	struct replay *replay = create();
	int status = -1;
	char *text;

	add(replay, 102);
	save(replay, folder);
	replay_destroy(replay);
	text = read_by_python("replay", in_scratch("python/replay-000001.bin"), &status);
	if (!text) {
		ktap_skip("the independent reader agrees", "no python3");
		return;
	}
	ktap_ok(!status && !strcmp(text, "schema 1 segment 1 of 100 from 100, 2 records\n"
					 "100 101 -100 100 -100 25 102 103 50 0\n"
					 "101 102 -101 101 -101 25.25 103 104 50.5 0\n"),
		"the independent reader agrees");
	if (status)
		ktap_note("%s", text);
	free(text);
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_memory();
	test_save_and_load();
	test_append_only();
	test_lost();
	test_other_directories();
	test_disturbed();
	test_tail();
	test_damage();
	test_headers();
	test_marks();
	test_contents();
	test_python();
	return ktap_finish();
}
