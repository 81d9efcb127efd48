/* SPDX-License-Identifier: MIT */
/*
 * Progress of a training run on standard error: one line that is redrawn on a terminal, a plain line every few seconds
 * in a pipe, or JSON lines on standard output for a program that watches.
 */
#ifndef FIXAR_TOOLS_PROGRESS_H
#define FIXAR_TOOLS_PROGRESS_H

#include "cli.h"

enum progress_style {
	PROGRESS_NONE,
	PROGRESS_LINE, /* redrawn */
	PROGRESS_PLAIN,
	PROGRESS_JSON,
};

struct progress {
	enum progress_style style;
	const char *label; /* "pendulum qat16 seed 0" */
	enum fixar_precision precision;
	const char *schedule;			/* its name; NULL: the paper's delay */
	uint32_t stage_width[FIXAR_MAX_STAGES]; /* of its stages */
	uint64_t total_steps;
	uint32_t batch;

	/* Rates are taken over a window, so that the speed after the switch of precision shows soon. */
	double due, window_start, start;
	uint64_t window_step, window_training, start_step;
	double steps_per_second, training_per_second;
};

/* Starts at the step that a run begins or goes on with. */
void progress_start(struct progress *progress, enum progress_style style, const char *label,
		    const struct fixar_agent_options *options, uint64_t total_steps, uint64_t step,
		    uint64_t training_steps);

/* Whether a report is due. Cheap: to be asked after every step. */
bool progress_due(const struct progress *progress);
void progress_report(struct progress *progress, const struct fixar_agent_status *status);

/* The line without its end, in at most `columns` columns; for tests and for the drawing itself. */
void progress_format(const struct progress *progress, const struct fixar_agent_status *status, size_t columns,
		     char *line, size_t size);

uint64_t progress_saturations(const struct fixar_agent_status *status);

/* Columns of the terminal on a file, or 0 if it is none. */
size_t progress_columns(int file);

#endif /* FIXAR_TOOLS_PROGRESS_H */
