// SPDX-License-Identifier: MIT
/*
 * Runs the cells of a study side by side. Every cell is two child processes, `fixar train --resume` and then `fixar
 * eval`, so that a crash of one costs the others nothing, and a killed study goes on from the last checkpoint of every
 * run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "progress.h"
#include "run.h"
#include "study.h"

#define REDRAW_INTERVAL 0.5
#define PLAIN_INTERVAL 30.0

enum job_state {
	JOB_WAITING,
	JOB_TRAINING,
	JOB_EVALUATING,
	JOB_DONE,
	JOB_FAILED,
};

struct job {
	const struct study_run *run;
	enum job_state state;
	pid_t child;
	int output; /* of the child */
	char *text; /* what it has written and was not read yet */
	size_t used;
	uint64_t step, steps;
	double steps_per_second;
};

struct execution {
	const struct study *study;
	struct job *jobs;
	size_t count;
	unsigned running, limit;
	bool terminal, stopping;
	double due;
};

/* In the child: everything that is said goes to a file beside the run's directory. */
static void become(const struct study_run *run, const char *const *arguments, int output, pid_t parent)
{
	char *log = cli_format("%s.log", run->directory);
	int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	/* A killed study takes its children with it; they save what they have. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127); /* it was killed before the line above */
	/* A Ctrl-C on the terminal is the study's to hand on, once. */
	setpgid(0, 0);
	dup2(output, STDOUT_FILENO);
	if (file >= 0)
		dup2(file, STDERR_FILENO);
	execv("/proc/self/exe", (char *const *)arguments);
	_exit(127);
}

static int start(struct execution *execution, struct job *job, const char *const *arguments)
{
	int ends[2];
	pid_t parent = getpid();

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	job->child = fork();
	if (job->child < 0) {
		int error = -errno;

		/* A negative number is no child, and to kill() it would be everyone. */
		job->child = 0;
		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (!job->child)
		become(job->run, arguments, ends[1], parent);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	job->output = ends[0];
	job->used = 0;
	execution->running++;
	return 0;
}

static void fail(struct job *job, const char *what)
{
	cli_error("%s: %s; see %s.log", job->run->name, what, job->run->directory);
	job->state = JOB_FAILED;
}

static int start_training(struct execution *execution, struct job *job)
{
	struct settings *settings = malloc(sizeof(*settings));
	char *config = cli_format("%s.json", job->run->directory);
	json_t *object;
	int error;

	if (!settings)
		return -ENOMEM;
	study_settings(execution->study, job->run, settings);
	object = settings_to_json(settings);
	error = cli_replace_json(config, object);
	if (!error) {
		const char *const arguments[] = { "fixar",     "train",	 "--config",
						  config,      "--out",	 job->run->directory,
						  "--resume",  "--json", "--quiet",
						  "--threads", "1",	 NULL };

		error = start(execution, job, arguments);
	}
	job->state = JOB_TRAINING;
	json_decref(object);
	free(config);
	free(settings);
	return error;
}

static int start_evaluation(struct execution *execution, struct job *job)
{
	const struct study *study = execution->study;
	char *episodes = cli_format("%llu", (unsigned long long)study->evaluation_episodes);
	char *seed = cli_format("%llu", (unsigned long long)(study->evaluation_seed + job->run->seed));
	const char *const arguments[] = { "fixar", "eval",   job->run->directory, "--episodes", episodes, "--seed",
					  seed,	   "--json", "--threads",	  "1",		NULL };
	int error = start(execution, job, arguments);

	job->state = JOB_EVALUATING;
	free(episodes);
	free(seed);
	return error;
}

/* The newest step and rate from the JSON lines of `fixar train`; an unfinished line stays. */
static void read_progress(struct job *job)
{
	char *end;

	while ((end = memchr(job->text, '\n', job->used))) {
		size_t length = (size_t)(end - job->text) + 1;
		json_t *line = json_loadb(job->text, length, 0, NULL);

		if (json_object_get(line, "step")) {
			job->step = (uint64_t)json_integer_value(json_object_get(line, "step"));
			job->steps_per_second = json_number_value(json_object_get(line, "steps_per_second"));
		}
		json_decref(line);
		memmove(job->text, job->text + length, job->used - length);
		job->used -= length;
	}
}

/* Keeps the evaluation in the run's directory. */
static int keep_evaluation(struct job *job)
{
	char *path = run_path(job->run->directory, "evaluation.json");
	json_t *evaluation = json_loadb(job->text, job->used, 0, NULL);
	int error = evaluation ? cli_replace_json(path, evaluation) : -EBADMSG;

	if (!error) {
		cli_note("%s: mean return %.1f, deviation %.1f", job->run->name,
			 json_number_value(json_object_get(evaluation, "mean_return")),
			 json_number_value(json_object_get(evaluation, "std_return")));
	}
	json_decref(evaluation);
	free(path);
	return error;
}

static void finish(struct execution *execution, struct job *job)
{
	int status = 0;

	while (waitpid(job->child, &status, 0) < 0 && errno == EINTR)
		;
	close(job->output);
	job->child = 0;
	execution->running--;
	job->steps_per_second = 0;
	if (execution->stopping && status) {
		job->state = JOB_WAITING; /* it saved, or will go on from its last checkpoint */
		return;
	}
	if (status) {
		char *what = WIFSIGNALED(status) ? cli_format("killed by %s", strsignal(WTERMSIG(status)))
						 : cli_format("failed with exit code %d", WEXITSTATUS(status));

		fail(job, what);
		free(what);
		return;
	}
	if (job->state == JOB_EVALUATING) {
		job->state = JOB_DONE;
		if (keep_evaluation(job))
			fail(job, "the evaluation could not be kept");
		return;
	}
	job->step = job->steps;
	job->state = JOB_WAITING;
	if (!execution->stopping && start_evaluation(execution, job))
		fail(job, "the evaluation could not be started");
}

static void receive(struct execution *execution, struct job *job)
{
	ssize_t got;

	for (;;) {
		char *more = realloc(job->text, job->used + 65536);

		if (!more)
			return; /* it stays in the pipe */
		job->text = more;
		got = read(job->output, job->text + job->used, 65536);
		if (got <= 0)
			break;
		job->used += (size_t)got;
		if (job->state == JOB_TRAINING)
			read_progress(job);
	}
	if (!got)
		finish(execution, job);
}

/* Where a run stands before anything is started. */
static void look(const struct study *study, struct job *job)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };
	json_t *evaluation;

	job->steps = study->environments[job->run->environment].settings.steps;
	if (fixar_checkpoint_info(job->run->directory, &info, NULL, NULL))
		return;
	job->step = info.environment_steps;
	evaluation = study_evaluation(study, job->run);
	if (evaluation)
		job->state = JOB_DONE;
	json_decref(evaluation);
}

static void start_some(struct execution *execution)
{
	for (size_t i = 0; i < execution->count && execution->running < execution->limit; i++) {
		struct job *job = &execution->jobs[i];
		int error;

		if (job->state != JOB_WAITING)
			continue;
		error = job->step >= job->steps ? start_evaluation(execution, job) : start_training(execution, job);
		if (error)
			fail(job, strerror(-error));
	}
}

static void draw(struct execution *execution)
{
	uint64_t done = 0, all = 0, left = 0;
	size_t finished = 0;
	double rate = 0, now = cli_now();
	char duration[CLI_TEXT], line[256];

	if (now < execution->due || cli_quiet)
		return;
	for (size_t i = 0; i < execution->count; i++) {
		const struct job *job = &execution->jobs[i];

		finished += job->state == JOB_DONE;
		all += job->steps;
		done += job->step < job->steps ? job->step : job->steps;
		if (job->state != JOB_FAILED && job->step < job->steps)
			left += job->steps - job->step;
		rate += job->steps_per_second;
	}
	snprintf(line, sizeof(line), "%s: %zu of %zu runs done, %u running  %.1f%%  %.0f steps/s  %s left",
		 execution->study->name, finished, execution->count, execution->running,
		 100 * (double)done / (double)all, rate, cli_duration(rate > 0 ? (double)left / rate : -1, duration));
	if (execution->terminal)
		cli_draw_line(line);
	else
		fprintf(stderr, "%s\n", line);
	execution->due = now + (execution->terminal ? REDRAW_INTERVAL : PLAIN_INTERVAL);
}

static void wait_for_children(struct execution *execution)
{
	struct pollfd *files = calloc(execution->running, sizeof(*files));
	size_t n = 0;

	if (!files)
		exit(CLI_FAILED);
	for (size_t i = 0; i < execution->count; i++)
		if (execution->jobs[i].child)
			files[n++] = (struct pollfd){ .fd = execution->jobs[i].output, .events = POLLIN };
	poll(files, n, 500);
	free(files);
	for (size_t i = 0; i < execution->count; i++)
		if (execution->jobs[i].child)
			receive(execution, &execution->jobs[i]);
}

static void hand_on_interrupt(struct execution *execution)
{
	if (execution->stopping || !cli_interrupted())
		return;
	execution->stopping = true;
	cli_note("Interrupted; the runs save.");
	for (size_t i = 0; i < execution->count; i++)
		if (execution->jobs[i].child)
			kill(execution->jobs[i].child, SIGTERM);
}

int study_execute(const struct study *study, unsigned jobs)
{
	struct execution execution = { .study = study, .limit = jobs, .terminal = progress_columns(STDERR_FILENO) };
	struct study_run *runs = study_runs(study, &execution.count);
	bool failed = false;

	execution.jobs = calloc(execution.count, sizeof(*execution.jobs));
	if (!execution.jobs)
		exit(CLI_FAILED);
	for (size_t i = 0; i < execution.count; i++) {
		execution.jobs[i].run = &runs[i];
		look(study, &execution.jobs[i]);
	}
	cli_catch_interrupts();
	for (;;) {
		hand_on_interrupt(&execution);
		if (!execution.stopping)
			start_some(&execution);
		if (!execution.running)
			break;
		draw(&execution);
		wait_for_children(&execution);
	}
	cli_end_line();
	for (size_t i = 0; i < execution.count; i++) {
		failed |= execution.jobs[i].state == JOB_FAILED;
		free(execution.jobs[i].text);
	}
	free(execution.jobs);
	study_free_runs(runs, execution.count);
	if (execution.stopping)
		return CLI_INTERRUPTED;
	return failed ? CLI_FAILED : CLI_OK;
}
