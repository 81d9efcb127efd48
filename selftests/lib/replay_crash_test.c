// SPDX-License-Identifier: MIT
/*
 * Description: what a process leaves that is killed, or whose power goes, or whose disk fails, at any instant of a save
 * is a state of the replay memory that it had saved; and going on from it ends with the bytes of a process that was not
 * disturbed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ddpg/replay.h"
#include "faults.h"
#include "ktap.h"
#include "replay_sample.h"
#include "scratch.h"

/* ---- Errors of the file system ---- */

static void test_faults(void)
{
	static const struct {
		enum fault_call call;
		int error;
	} cases[] = { { FAULT_WRITE, ENOSPC }, { FAULT_WRITE, EIO },  { FAULT_SYNC, EIO },    { FAULT_OPEN, ENOSPC },
		      { FAULT_TRUNCATE, EIO }, { FAULT_RENAME, EIO }, { FAULT_UNLINK, EPERM } };
	size_t wrong = 0, lost = 0, late = 0, count = 0, missing = 0, moved = 0;

	/*
	 * The n-th call of each kind fails in a save of 240 transitions after one of 450, in memory or after a load: it
	 * syncs an old file, two new ones, the directory, the checkpoint and the directory again.
	 */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (long step = 1; step < 30; step++) {
			const char *folder = scratch_folder("faults");
			struct replay *replay = create(), *loaded;
			int error, happened;

			add(replay, 450);
			save(replay, folder);
			if (step % 2 && !load(folder, &loaded)) {
				replay_destroy(replay);
				replay = loaded;
			}
			add(replay, 240);
			*message = 0;
			fault_arm(cases[i].call, step, cases[i].error);
			faults.stays = cases[i].error == ENOSPC;
			error = save(replay, folder);
			happened = faults.steps >= step;
			fault_disarm();
			if (!happened) {
				missing += step == 1;
				replay_destroy(replay);
				break;
			}
			count++;
			if (error != -cases[i].error || !strstr(message, folder) ||
			    !strstr(message, strerror(cases[i].error))) {
				ktap_note("call %d, step %ld: %d, %s", cases[i].call, step, error, message);
				wrong++;
			}
			/* The old checkpoint, or the new one if it was in place by then. */
			lost += !loads_as(folder, 450) && !loads_as(folder, 690);
			/* And the next save makes up for it. */
			add(replay, 20);
			late += save(replay, folder) || !loads_as(folder, 710);
			/*
			 * In the files that there are: after a write that failed they were cut back to what they were,
			 * and a new file was deleted. In new ones only after the sync of an old file or of the
			 * directory has failed: then nobody knows what is on the disk.
			 */
			moved += segment_exists(folder, 2) != (cases[i].call != FAULT_SYNC || (step != 1 && step != 4));
			replay_destroy(replay);
		}
	}
	ktap_note("%zu faults", count);
	ktap_ok(!missing && !wrong, "every error is reported with file and reason");
	ktap_ok(!lost, "after every error there is a checkpoint to resume from");
	ktap_ok(!late, "after every error the next save is complete");
	ktap_ok(!moved, "and goes on in the same files, but after a failed sync in new ones");
}

/* ---- Killed, and without power ---- */

/*
 * What is saved one after another: within a segment, over its end, to the very end, with segments that go, with a whole
 * ring lost between two saves that ends in the segment where the save before it did (950, 1470), and one that does not.
 */
static const uint64_t totals[] = { 110, 180, 330, 500, 640, 950, 1470, 2200, 2290 };
#define END 2290

static uint64_t next_total(uint64_t total)
{
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		if (totals[i] > total)
			return totals[i];
	return END;
}

static int is_total(uint64_t total)
{
	return total && next_total(total - 1) == total;
}

/* Goes on from what is in the folder to the end; tells through a pipe what was saved. */
static void run(const char *folder, int report)
{
	struct replay *replay;

	if (load(folder, &replay))
		replay = create();
	while (replay_total(replay) < END) {
		uint64_t total;

		add(replay, (unsigned)(next_total(replay_total(replay)) - replay_total(replay)));
		if (save(replay, folder))
			_exit(1);
		total = replay_total(replay);
		if (report >= 0 && syscall(SYS_write, report, &total, sizeof(total)) != sizeof(total))
			_exit(1);
	}
	replay_destroy(replay);
}

/*
 * A child that crashes before its step `step`: 1 if what it leaves is right, 0 if not, -1 if it came to its end.
 */
static int crash_once(const char *folder, long step, enum crash crash)
{
	uint64_t told = 0, total;
	struct replay *replay;
	int ends[2], status, fine;
	pid_t child;

	if (pipe(ends))
		abort();
	fflush(stdout);
	child = fork();
	if (!child) {
		close(ends[0]);
		crash_arm(step, crash);
		run(folder, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	while (read(ends[0], &total, sizeof(total)) == sizeof(total))
		told = total;
	close(ends[0]);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != CRASH_STATUS)) {
		ktap_note("step %ld: the child ended with status %x", step, (unsigned)status);
		return 0;
	}
	if (WEXITSTATUS(status) == 0)
		return -1;
	if (load(folder, &replay)) {
		/* Only as long as no checkpoint was ever promised. */
		fine = !told && !exists(in_scratch("crash/%s", CHECKPOINT_FILE));
	} else {
		total = replay_total(replay);
		fine = total >= told && is_total(total) && holds(replay, CAPACITY, total);
	}
	if (!fine)
		ktap_note("step %ld, told %llu: %s", step, (unsigned long long)told, message);
	replay_destroy(replay);
	return fine;
}

static void test_crashes(void)
{
	static const char *const names[] = { [CRASH_KILL] = "killed",
					     [CRASH_POWER] = "without power",
					     [CRASH_POWER_NAMES] = "without power and unsynced names" };
	const char *calm = scratch_folder("undisturbed"), *folder;

	run(calm, -1);
	for (enum crash crash = CRASH_KILL; crash <= CRASH_POWER_NAMES; crash++) {
		size_t wrong = 0, different = 0;
		long step;

		for (step = 1; step < 1000; step++) {
			int result;

			folder = scratch_folder("crash");
			result = crash_once(folder, step, crash);
			if (result < 0)
				break;
			wrong += !result;
			/* A third of the instants to the end, half of those with a second crash at once. */
			if (step % 3 != (long)crash % 3)
				continue;
			if (step % 2)
				wrong += !crash_once(folder, 3 + step % 11, crash);
			run(folder, -1);
			different += !same_file(in_scratch("crash/%s", CHECKPOINT_FILE),
						in_scratch("undisturbed/%s", CHECKPOINT_FILE)) ||
				     !same_file(in_scratch("crash/replay-000022.bin"),
						in_scratch("undisturbed/replay-000022.bin")) ||
				     !loads_as(folder, END);
		}
		ktap_note("%ld instants", step - 1);
		ktap_ok(step > 50 && step < 1000 && !wrong, "%s at every instant: what is on disk was saved",
			names[crash]);
		ktap_ok(!different, "%s at every instant: resumed, it ends with the bytes of an undisturbed run",
			names[crash]);
	}
}

/* An agent that saves to the directory of another one's checkpoint, and is killed. */
static void test_takeover(void)
{
	size_t wrong = 0;
	long step;

	for (step = 1; step < 100; step++) {
		const char *folder = scratch_folder("takeover");
		struct replay *replay = create();
		int status;
		pid_t child;

		add(replay, 330);
		save(replay, folder);
		replay_destroy(replay);
		fflush(stdout);
		child = fork();
		if (!child) {
			replay = create();
			add(replay, 250);
			crash_arm(step, step % 2 ? CRASH_KILL : CRASH_POWER_NAMES);
			_exit(save(replay, folder) ? 1 : 0);
		}
		waitpid(child, &status, 0);
		wrong += !loads_as(folder, 330) && !loads_as(folder, 250);
		if (WIFEXITED(status) && WEXITSTATUS(status) != CRASH_STATUS)
			break;
	}
	ktap_ok(step > 10 && step < 100 && !wrong,
		"killed while it takes over a directory: the old checkpoint or the new one");
}

static void test_kills(void)
{
	const char *folder = scratch_folder("kills");
	unsigned seed = 1, wrong = 0, lost = 0;
	uint64_t last = 0;

	for (int i = 0; i < 50; i++) {
		/* Some saves, and then a while that is shorter than a few more. */
		const struct timespec wait = { 0, 1000L * (long)(rand_r(&seed) % 3000) };
		unsigned saves = (unsigned)rand_r(&seed) % 4;
		struct replay *replay;
		int ends[2];
		char byte;
		pid_t child;

		if (pipe(ends))
			abort();
		fflush(stdout);
		child = fork();
		if (!child) {
			if (load(folder, &replay))
				replay = create();
			for (;;) {
				if (syscall(SYS_write, ends[1], "s", 1) != 1)
					_exit(1);
				add(replay, 33);
				if (save(replay, folder))
					_exit(1);
			}
		}
		close(ends[1]);
		for (unsigned j = 0; j <= saves; j++)
			wrong += read(ends[0], &byte, 1) != 1;
		nanosleep(&wait, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(ends[0]);
		if (load(folder, &replay)) {
			wrong += exists(in_scratch("kills/%s", CHECKPOINT_FILE)) || last;
			continue;
		}
		wrong += replay_total(replay) % 33 || !holds(replay, CAPACITY, replay_total(replay));
		lost += replay_total(replay) < last;
		last = replay_total(replay);
		replay_destroy(replay);
	}
	ktap_note("%llu transitions in the end", (unsigned long long)last);
	ktap_ok(!wrong && last, "killed at 50 random instants: what is on disk was saved");
	ktap_ok(!lost, "and never goes back");
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_faults();
	test_crashes();
	test_takeover();
	test_kills();
	return ktap_finish();
}
