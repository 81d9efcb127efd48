/* SPDX-License-Identifier: MIT */
/*
 * Metrics of a run: DIR/metrics.csv for programs and spreadsheets, and DIR/events.out.tfevents.* for TensorBoard.
 *
 *	static const char *const columns[] = { "episode", "return", "critic_loss" };
 *
 *	metrics_open(directory, columns, 3, METRICS_NEW, &metrics, message, sizeof(message));
 *	metrics_add(metrics, step, (double[]){ 12, -345.25, NAN }, message, sizeof(message));
 *	metrics_flush(metrics, ...);		before the checkpoint of this step is saved
 *	metrics_close(metrics);
 *
 * The first column of the CSV file is always "step"; an empty cell is a value that was NAN. In TensorBoard the columns
 * are tags. Each row goes to the files with one write, so that a killed process leaves at most the last row torn.
 *
 * Functions return 0 or a negative errno value; `message` (may be NULL) receives one line that names file and reason.
 */
#ifndef FIXAR_LIB_METRICS_METRICS_H
#define FIXAR_LIB_METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#define METRICS_NEW UINT64_MAX
#define METRICS_CSV "metrics.csv"
#define METRICS_MAX_COLUMNS 64

struct metrics;

/*
 * Opens the metrics of a run in a directory that exists. `resume_step` is METRICS_NEW, or the step of the checkpoint
 * that the run goes on from: rows and events after it are cut off, and so is a torn last one. Missing files are made.
 * On success `message` is empty, or says in one line what else than that had to be cut (damaged rows or events).
 * Column names are copied; they consist of letters, digits and "_/.-" characters.
 * -EEXIST: METRICS_NEW where there are metrics; -EBADMSG: a file that is not what we wrote (or has other columns).
 */
int metrics_open(const char *directory, const char *const *columns, size_t column_count, uint64_t resume_step,
		 struct metrics **metrics, char *message, size_t message_size);

/*
 * A row: one value for each column, NAN where there is none. `step` must not be below that of the row before, nor below
 * the step of the resume. The rows of a step are to be added before the checkpoint of that step is saved: a resumed run
 * keeps them and does not add them again. After an error (a full disk) nothing was added, and it may be tried again.
 */
int metrics_add(struct metrics *metrics, uint64_t step, const double *values, char *message, size_t message_size);

/* Makes what was added durable (fsync). Before a checkpoint is saved, so that no row up to it can be lost. */
int metrics_flush(struct metrics *metrics, char *message, size_t message_size);

void metrics_close(struct metrics *metrics);

#endif /* FIXAR_LIB_METRICS_METRICS_H */
