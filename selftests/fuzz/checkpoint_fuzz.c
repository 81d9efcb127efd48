// SPDX-License-Identifier: MIT
/*
 * Description: libFuzzer target of everything that reads files of a run: checkpoints, the replay memory's mark and
 * segments, metrics.csv and event files.
 *
 * The first byte of an input says what the rest is. Checksums would stop nearly every mutation at the door, so for the
 * kinds in small letters they are put right first; those in capitals are read as they are.
 *
 *	C c	a checkpoint; if it has a mark of a replay memory, that is loaded from a segment that is always the same
 *	R r	a segment of a replay memory, after eight bytes that make a mark
 *	E e	an event file, after a byte for the step to cut back to
 *	M	metrics.csv, likewise
 *
 * Besides the sanitizers' findings, a failure without a message is one, and so is a cut that a second look cuts again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/crc32c.h"
#include "ddpg/replay.h"
#include "fuzz_format.h"
#include "metrics/private.h"

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char folder[64] = "/dev/shm/fixar-fuzz-XXXXXX";
static char segment_path[96];
static int file; /* what is looked through, in memory */
static char file_path[32];

static void expect(int condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz: %s\n", what);
		abort();
	}
}

static void remove_folder(void)
{
	unlink(segment_path);
	rmdir(folder);
}

static void put_file(int fd, const void *bytes, size_t size)
{
	expect(!ftruncate(fd, 0) && pwrite(fd, bytes, size, 0) == (ssize_t)size, "cannot write the file");
}

static void put_segment(const void *bytes, size_t size)
{
	int fd = open(segment_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	put_file(fd, bytes, size);
	close(fd);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	(void)count;
	(void)arguments;
	expect(mkdtemp(folder) != NULL, "no folder in /dev/shm");
	snprintf(segment_path, sizeof(segment_path), "%s/replay-000000.bin", folder);
	atexit(remove_folder);
	file = memfd_create("fuzz", MFD_CLOEXEC);
	expect(file >= 0, "no file in memory");
	snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file);
	return 0;
}

/* ---- Checkpoints ---- */

static void read_tensors(const struct checkpoint *checkpoint, uint64_t size)
{
	char message[256];

	for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
		const struct checkpoint_entry *entry = checkpoint_at(checkpoint, i);
		void *data;
		int error;

		expect(entry->offset <= size && entry->bytes <= size - entry->offset, "a tensor outside of the file");
		/* Exactly as big as it must be, so that a byte too many is noticed. */
		data = malloc(entry->bytes + !entry->bytes);
		error = checkpoint_read(checkpoint, entry->name, entry->dtype, entry->dim_count, entry->dim, data,
					entry->bytes, message, sizeof(message));
		expect(!error || error == -EBADMSG, "a tensor that is there is not read");
		free(data);
	}
}

static void read_mark(const struct checkpoint *checkpoint)
{
	char message[256] = "";
	struct replay_mark mark;
	struct replay *replay;
	int error = replay_mark_read(checkpoint, &mark, message, sizeof(message));

	expect(!error || *message, "no message about a mark");
	if (!error) {
		put_segment(fuzz_segment, sizeof(fuzz_segment));
		error = replay_load(&mark, folder, &replay, message, sizeof(message));
		expect(!error == !!replay, "an error and a replay memory");
		expect(!error || *message, "no message about a segment");
		replay_destroy(replay);
	}
	replay_mark_free(&mark);
}

static void try_checkpoint(const uint8_t *bytes, size_t size, int repair)
{
	char message[256] = "";
	struct checkpoint *checkpoint;
	uint8_t *copy = malloc(size + 1);
	int error;

	memcpy(copy, bytes, size);
	if (repair)
		fuzz_repair_checkpoint(copy, size);
	put_file(file, copy, size);
	free(copy);
	error = checkpoint_open(file_path, &checkpoint, message, sizeof(message));
	expect(!error == !!checkpoint, "an error and a checkpoint");
	if (error) {
		expect(strstr(message, file_path) != NULL, "no message that names the file");
		return;
	}
	read_tensors(checkpoint, size);
	read_mark(checkpoint);
	checkpoint_close(checkpoint);
}

/* ---- Segments ---- */

static void try_segment(const uint8_t *bytes, size_t size, int repair)
{
	char message[256] = "";
	struct replay_mark mark = { .observation_dim = 1, .action_dim = 1 };
	uint32_t crc[256] = { 0 };
	struct replay *replay;
	const char *found;
	uint8_t *copy;
	int error;

	if (size < 8)
		return;
	mark.observation_dim = 1 + bytes[0] % 4;
	mark.action_dim = 1 + bytes[1] % 2;
	mark.capacity = 1 + bytes[2];
	mark.total = (uint64_t)bytes[3] | (uint64_t)(bytes[4] & 1) << 8;
	mark.segment = 4 + (uint32_t)bytes[5];
	mark.crc = crc;
	mark.crc_count =
		mark.total ? (mark.total - 1) / mark.segment -
				     (mark.total > mark.capacity ? mark.total - mark.capacity : 0) / mark.segment + 1
			   : 0;
	if (mark.crc_count > 256)
		return;
	bytes += 8;
	size -= 8;
	copy = malloc(size + 1);
	memcpy(copy, bytes, size);
	if (repair)
		fuzz_repair_segment(copy, size);
	put_segment(copy, size);
	free(copy);
	error = replay_load(&mark, folder, &replay, message, sizeof(message));
	/* The message says which checksum would have been right. */
	found = strstr(message, "damaged: checksum ");
	if (error && repair && found) {
		crc[0] = (uint32_t)strtoul(found + 18, NULL, 16);
		error = replay_load(&mark, folder, &replay, message, sizeof(message));
	}
	expect(!error == !!replay, "an error and a replay memory");
	if (error)
		expect(strstr(message, folder) != NULL, "no message that names the file");
	else
		expect(replay_total(replay) == mark.total, "another number of transitions");
	replay_destroy(replay);
}

/* ---- Metrics ---- */

#define HEADER "step,a,b\n"

static int scan(int is_csv, uint64_t step, struct metrics_scan *found)
{
	char text[256] = "";
	const struct message message = { text, sizeof(text) };
	int error;

	error = is_csv ? csv_scan(file, "file", HEADER, 2, step, found, &message)
		       : events_scan(file, "file", step, found, &message);
	expect(!error || *text, "no message about metrics");
	return error;
}

static void try_metrics(const uint8_t *bytes, size_t size, int is_csv, int repair)
{
	struct metrics_scan first, second;
	uint8_t *copy;
	uint64_t step;

	if (!size)
		return;
	step = *bytes++;
	size--;
	copy = malloc(size + 1);
	memcpy(copy, bytes, size);
	if (repair)
		fuzz_repair_events(copy, size);
	put_file(file, copy, size);
	free(copy);
	if (scan(is_csv, step, &first))
		return;
	expect(first.keep <= size && (first.damaged == UINT64_MAX || first.damaged >= first.keep),
	       "more kept than there is");
	expect(!ftruncate(file, (off_t)first.keep) && !scan(is_csv, step, &second), "what was cut is not readable");
	expect(second.keep == first.keep && second.damaged == UINT64_MAX, "a second look cuts more");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!size)
		return 0;
	switch (bytes[0]) {
	case 'C':
	case 'c':
		try_checkpoint(bytes + 1, size - 1, bytes[0] == 'c');
		break;
	case 'R':
	case 'r':
		try_segment(bytes + 1, size - 1, bytes[0] == 'r');
		break;
	case 'E':
	case 'e':
		try_metrics(bytes + 1, size - 1, 0, bytes[0] == 'e');
		break;
	case 'M':
		try_metrics(bytes + 1, size - 1, 1, 0);
		break;
	default:
		return -1; /* not for the corpus */
	}
	return 0;
}
