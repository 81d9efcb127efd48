/* SPDX-License-Identifier: MIT */
/*
 * A study: environments x arms (precisions, with their schedules) x seeds. It is described in a file that is written before the first run; the seeds
 *are 0 to n - 1. Every run is reported, an unfinished one as unfinished.
 *
 *	study_file.c	reads the file
 *	study_run.c	runs what is not there yet, as child processes side by side
 *	study_collect.c	reads what the runs left behind
 *	study_stats.c	compares the arms
 *	study_report.c	writes results.json, results.md and the figures
 */
#ifndef FIXAR_TOOLS_STUDY_H
#define FIXAR_TOOLS_STUDY_H

#include "settings.h"

#define STUDY_MAX_ARMS 16

/* One environment with the settings that all its runs share. */
struct study_environment {
	char label[64]; /* the environment's name, unless the file says otherwise; names directories */
	struct settings settings;
	double margin;	   /* of non-inferiority, in units of the return; NAN: none is claimed */
	json_t *published; /* list of {"label", "return", "source"}; NULL: none */
};

/* What is compared: a precision, and for qat16 the schedule that it follows. */
struct study_arm {
	char name[32]; /* "fixed32", "qat16" (with the paper's delay), "qat16-muppet" */
	enum fixar_precision precision;
	enum fixar_schedule schedule;
};

struct study {
	char name[64];
	char *title, *note; /* for the report; may be NULL */
	struct study_environment *environments;
	size_t environment_count;
	struct study_arm arms[STUDY_MAX_ARMS];
	size_t arm_count;
	size_t reference; /* index of the arm that the others are compared with */
	uint64_t seeds;
	uint64_t evaluation_episodes;
	uint64_t evaluation_seed; /* start states depend on this plus the run's seed, hence are the same for all arms */
	double confidence;	  /* of the one-sided bounds */
	char *state;		  /* directory of the runs */
};

/* Reads a study's file and decides where its state lies. 0, or -errno and a message (freed by the caller). */
int study_read(const char *path, struct study *study, char **message);
void study_free(struct study *study);

/* One cell of the matrix. */
struct study_run {
	size_t environment, arm;
	uint64_t seed;
	char *name; /* "pendulum-qat16-seed3" */
	char *directory;
};

/*
 * All runs in the order in which they are started: seed by seed, and within a seed all arms of one environment
 * one after the other, so that what is there after any time can be compared. The caller frees them.
 */
struct study_run *study_runs(const struct study *study, size_t *count);
void study_free_runs(struct study_run *runs, size_t count);

/* The settings of one run. `settings` must not be moved. */
void study_settings(const struct study *study, const struct study_run *run, struct settings *settings);

/* Trains and evaluates what is missing. CLI_OK, CLI_INTERRUPTED, or CLI_FAILED if any run failed. */
int study_execute(const struct study *study, unsigned jobs);

/* What a run left behind. */
enum study_state {
	STUDY_NOT_STARTED,
	STUDY_UNFINISHED,
	STUDY_UNEVALUATED, /* trained to the end */
	STUDY_FINISHED,
};

struct study_result {
	enum study_state state;
	uint64_t environment_steps;
	double mean_return, std_return; /* of the evaluation; NAN unless finished */
	double critic_loss;		/* mean over the last tenth of the steps */
	double largest_weight;
	uint64_t saturation[FIXAR_SATURATIONS];
	uint64_t array_cycles; /* 0: not known */
	uint64_t switches;
	double steps_per_second; /* not part of results.json, which is the same however the study was interrupted */
};

void study_collect(const struct study *study, const struct study_run *run, struct study_result *result);
/* The evaluation of a run that is wanted, if it is there; NULL otherwise. */
json_t *study_evaluation(const struct study *study, const struct study_run *run);
const char *study_state_name(enum study_state state);

/* An arm against the reference, seed by seed. */
struct study_comparison {
	size_t pairs;		/* seeds that both have finished */
	double mean, deviation; /* of the differences arm - reference */
	double bound;	   /* one-sided lower confidence bound of the mean difference; NAN with fewer than two pairs */
	double p_value;	   /* of "the arm is worse by the margin or more"; NAN without a margin or a bound */
	bool non_inferior; /* bound > -margin */
};

void study_compare(const double *arm, const double *reference, size_t seeds, double confidence, double margin,
		   struct study_comparison *comparison);
/* Mean and deviation (n - 1) of those of n values that are numbers; returns how many there are. */
size_t study_mean(const double *values, size_t n, double *mean, double *deviation);

/* Writes the report to a directory. CLI_OK or CLI_FAILED after a message. */
int study_report(const struct study *study, const char *directory);

#endif /* FIXAR_TOOLS_STUDY_H */
