// SPDX-License-Identifier: MIT
/*
 * Writes the fuzzer's first inputs to a folder: real files as the library writes them, each behind the byte that says
 * what it is (checkpoint_fuzz.c).
 *
 *	seeds FOLDER
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "ddpg/replay.h"
#include "fuzz_format.h"
#include "metrics/metrics.h"

static char message[512];
static char folder[256];

static void need(int condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "seeds: %s: %s\n", what, message);
		exit(1);
	}
}

static const char *in_folder(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* Copies a file to an input for each of `kinds`, with some bytes before it, and deletes it. */
static void seed(const char *path, const char *kinds, const void *before, size_t before_size, const char *name)
{
	static char bytes[1 << 16];
	FILE *file = fopen(path, "rb");
	size_t size;

	need(file != NULL, path);
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	unlink(path);
	for (; *kinds; kinds++) {
		char seed_name[128];

		snprintf(seed_name, sizeof(seed_name), "%c-%s", *kinds, name);
		file = fopen(in_folder(seed_name), "wb");
		need(file && putc(*kinds, file) == *kinds && fwrite(before, 1, before_size, file) == before_size &&
			     fwrite(bytes, 1, size, file) == size && !fclose(file),
		     seed_name);
	}
}

static void checkpoints(void)
{
	static const float weights[6] = { 1, 2, 3, 4, 5, 6 };
	static const uint64_t counters[2] = { 1, 2 };
	static const uint8_t zeros[FUZZ_SEGMENT_TRANSITIONS * FUZZ_SEGMENT_RECORD];
	uint32_t crc = crc32c(0, zeros, sizeof(zeros));
	struct replay_mark mark = { 1, 1, 20, FUZZ_SEGMENT_TRANSITIONS, 8, 0, 1, &crc };
	struct checkpoint_tensor tensors[] = {
		{ "actor.0.weight", CHECKPOINT_F32, 2, { 2, 3 }, weights, 24 },
		{ "counters", CHECKPOINT_U64, 1, { 2 }, counters, 16 },
		{ "flags", CHECKPOINT_U8, 0, { 0 }, zeros, 1 },
		{ 0 },
	};
	const struct checkpoint_string string = { "environment.name", "pendulum" };
	struct checkpoint *checkpoint;
	struct replay_mark_text text;
	struct replay *replay;

	need(!checkpoint_write(in_folder("file"), tensors, 3, &string, 1, message, sizeof(message)), "checkpoint");
	seed(in_folder("file"), "Cc", NULL, 0, "tensors");
	need(!checkpoint_write(in_folder("file"), NULL, 0, NULL, 0, message, sizeof(message)), "checkpoint");
	seed(in_folder("file"), "Cc", NULL, 0, "empty");
	replay_mark_strings(&mark, &text);
	replay_mark_tensor(&mark, &tensors[3]);
	need(!checkpoint_write(in_folder("file"), &tensors[3], 1, text.strings, REPLAY_MARK_STRINGS, message,
			       sizeof(message)),
	     "checkpoint");
	/* What the fuzzer starts from must be readable, or it would only ever see the first check. */
	need(!checkpoint_open(in_folder("file"), &checkpoint, message, sizeof(message)), "checkpoint");
	need(!replay_mark_read(checkpoint, &mark, message, sizeof(message)), "mark");
	checkpoint_close(checkpoint);
	seed(in_folder("file"), "Cc", NULL, 0, "mark");
	{
		FILE *file = fopen(in_folder("replay-000000.bin"), "wb");

		need(file && fwrite(fuzz_segment, sizeof(fuzz_segment), 1, file) == 1 && !fclose(file), "segment");
	}
	need(!replay_load(&mark, folder, &replay, message, sizeof(message)), "segment");
	need(replay_total(replay) == FUZZ_SEGMENT_TRANSITIONS, "segment");
	replay_destroy(replay);
	replay_mark_free(&mark);
	unlink(in_folder("replay-000000.bin"));
}

static void segments(void)
{
	/* As try_segment() reads them: dims less 1, capacity less 1, total, segment less 4. */
	const uint8_t before[8] = { 2, 0, 19, 15, 0, 12, 0, 0 };
	const struct replay_config config = { 3, 1, 20, 16 };
	const float observation[3] = { 1, 2, 3 };
	const int32_t action = 5;
	struct replay *replay;
	struct replay_mark mark;

	need(!replay_create(&config, &replay), "replay memory");
	for (int i = 0; i < 15; i++)
		need(!replay_append(replay, observation, &action, (float)i, observation, i & 1), "transition");
	need(!replay_save(replay, folder, &mark, message, sizeof(message)), "segments");
	replay_mark_free(&mark);
	replay_destroy(replay);
	seed(in_folder("replay-000000.bin"), "Rr", before, sizeof(before), "segment");
}

static void metrics(void)
{
	static const char *const columns[] = { "a", "b" };
	const uint8_t step = 100;
	struct metrics *metrics;
	struct dirent *entry;
	DIR *names;

	need(!metrics_open(folder, columns, 2, METRICS_NEW, &metrics, message, sizeof(message)), "metrics");
	for (uint64_t i = 50; i < 200; i += 25)
		need(!metrics_add(metrics, i, (const double[]){ 0.1 * (double)i, i & 1 ? NAN : -1e20 }, message,
				  sizeof(message)),
		     "row");
	metrics_close(metrics);
	seed(in_folder(METRICS_CSV), "M", &step, 1, "csv");
	names = opendir(folder);
	while ((entry = readdir(names)))
		if (!strncmp(entry->d_name, "events.", 7))
			seed(in_folder(entry->d_name), "Ee", &step, 1, "events");
	closedir(names);
}

int main(int count, char **arguments)
{
	need(count == 2 && strlen(arguments[1]) < sizeof(folder), "usage: seeds FOLDER");
	strcpy(folder, arguments[1]);
	mkdir(folder, 0777);
	checkpoints();
	segments();
	metrics();
	return 0;
}
