// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchrony: three clients queue 100 jobs each that cannot run. Every submission returns at once, no task hangs in the
 * kernel, SIGKILL ends each client.
 *
 * The jobs wait for a fence, or, with FIXAR_STALLED=1, for a core that the emulated card does not let go on
 * (selftests/card).
 */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define CLIENTS 3
#define JOBS 100
/*
 * A submission takes some 100 us, but an emulated processor may be elsewhere for a while. One that waited would take the ten seconds
 * after which the gate opens by itself, or for ever.
 */
#define AT_ONCE (5 * FIXAR_SECOND)

FIXTURE(async)
{
	int fd;
	struct fixar_gate gate;
	bool stalled;
};

FIXTURE_SETUP(async)
{
	const char *stalled = getenv("FIXAR_STALLED");

	FIXAR_OPEN(self->fd);
	self->stalled = stalled && !strcmp(stalled, "1");
	if (!self->stalled && fixar_gate_create(4096, true, &self->gate) == -ENOENT)
		SKIP(return, "the module vgem is not loaded");
}

FIXTURE_TEARDOWN(async)
{
	if (!self->stalled)
		fixar_gate_destroy(&self->gate);
	close(self->fd);
}

/* What a client reports: the longest submission's time, or an error, and how many jobs have ended some time after the last. */
struct report {
	int64_t longest;
	uint64_t finished;
};

/* In a process of its own: reports, then sleeps for ever. Its file is its own. */
static void client(struct fixar_gate *gate, bool stalled, int report)
{
	struct drm_fixar_operation nop = { .type = DRM_FIXAR_OP_NOP };
	struct drm_fixar_sync in = {};
	struct drm_fixar_job job = { .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(&nop, 1) };
	struct drm_fixar_ctx_query query = {};
	struct report said = {};
	int64_t began, took;
	int fd = fixar_open_node();
	uint32_t i;
	int ret;

	ret = fd < 0 ? fd : fixar_context_create(fd, 65536, &job.ctx);
	if (!ret && !stalled) {
		ret = fixar_gate_sync(fd, gate, &in.handle);
		job.in_syncs = ARRAY_OF(&in, 1);
	}
	for (i = 0; i < JOBS && !ret; i++) {
		began = fixar_now();
		ret = fixar_submit(fd, &job, 1);
		took = fixar_now() - began;
		if (took > said.longest)
			said.longest = took;
	}
	usleep(300000);
	if (!ret)
		ret = fixar_context_query(fd, job.ctx, &query);
	said.finished = query.jobs_finished;
	if (ret)
		said.longest = ret;
	if (write(report, &said, sizeof(said)) != sizeof(said))
		_exit(1);
	for (;;)
		pause();
}

/* Tasks that wait in the kernel without listening to signals. Return: how many. */
static int hanging(char *names, size_t size)
{
	struct dirent *entry;
	char path[300], line[512], *end;
	DIR *proc = opendir("/proc");
	int count = 0;

	names[0] = 0;
	while (proc && (entry = readdir(proc))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (fixar_read_file(path, line, sizeof(line)))
			continue;
		end = strrchr(line, ')');
		if (!end || end[2] != 'D')
			continue;
		end[1] = 0;
		snprintf(names + strlen(names), size - strlen(names), " %s", line);
		count++;
	}
	if (proc)
		closedir(proc);
	return count;
}

FIXAR_TEST(async, submissions_return_and_kills_work)
{
	pid_t clients[CLIENTS];
	struct report said;
	int64_t began;
	int pipes[2], i, status;
	char names[1024];
	uint32_t ctx;

	ASSERT_EQ(pipe(pipes), 0);
	for (i = 0; i < CLIENTS; i++) {
		clients[i] = fork();
		ASSERT_GE(clients[i], 0);
		if (!clients[i])
			client(&self->gate, self->stalled, pipes[1]);
	}
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(read(pipes[0], &said, sizeof(said)), sizeof(said));
		EXPECT_GE(said.longest, 0);
		EXPECT_LT(said.longest, AT_ONCE);
		/* They do wait. The arena's zeros are a job that may have ended. (The gate opens by itself, in time.) */
		if (self->stalled)
			EXPECT_LE(said.finished, 1);
		TH_LOG("the longest submission took %lld us", (long long)said.longest / 1000);
	}
	/* Twice: a task may be on its way through such a state. */
	if (hanging(names, sizeof(names))) {
		sleep(2);
		EXPECT_EQ(hanging(names, sizeof(names)), 0)
			TH_LOG("hanging:%s", names);
	}
	for (i = 0; i < CLIENTS; i++) {
		began = fixar_now();
		ASSERT_EQ(kill(clients[i], SIGKILL), 0);
		ASSERT_EQ(waitpid(clients[i], &status, 0), clients[i]);
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_LT(fixar_now() - began, 5 * FIXAR_SECOND);
	}
	/* Another client works on, before the gate opens. */
	if (!self->stalled) {
		ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
		EXPECT_EQ(fixar_nops_wait(self->fd, ctx, 10), 0);
	}
}

TEST_HARNESS_MAIN
