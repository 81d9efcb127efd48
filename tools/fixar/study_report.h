/* SPDX-License-Identifier: MIT */
/* The parts of a study's report; study_report.c collects and computes, study_text.c and study_figure.c write. */
#ifndef FIXAR_TOOLS_STUDY_REPORT_H
#define FIXAR_TOOLS_STUDY_REPORT_H

#include <stdio.h>

#include "study.h"

/* One arm in one environment. */
struct study_outcome {
	size_t finished;
	double mean, deviation;		    /* of the runs' mean returns, over seeds */
	double array_cycles;		    /* mean over the finished runs */
	double steps_per_second;	    /* mean over the runs that have a speed */
	struct study_comparison comparison; /* with the reference; empty for the reference itself */
};

struct study_summary {
	const struct study *study;
	struct study_run *runs;
	struct study_result *results; /* one for each run */
	size_t run_count;
	struct study_outcome *outcomes; /* environment by environment, arm by arm */
	size_t finished;
};

static inline const struct study_outcome *summary_outcome(const struct study_summary *summary, size_t environment,
						  size_t arm)
{
	return &summary->outcomes[environment * summary->study->arm_count + arm];
}

void study_write_text(const struct study_summary *summary, FILE *file);
int study_draw(const struct study_summary *summary, const char *directory);

#endif /* FIXAR_TOOLS_STUDY_REPORT_H */
