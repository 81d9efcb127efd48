/* SPDX-License-Identifier: MIT */
/*
 * What fixar quantize leaves in its folder: evaluations.csv (every quality that was ever evaluated, so that an
 * interrupted search goes on), for each search result-NAME.json and bits-NAME.json, and a picture of all results.
 */
#ifndef FIXAR_TOOLS_QUANTIZE_FILES_H
#define FIXAR_TOOLS_QUANTIZE_FILES_H

#include "cli.h"
#include "quantize/search.h"

/* ---- Evaluations ---- */

struct quantize_journal {
	FILE *file;
	uint32_t layers;
	struct quantize_record known;
};

/*
 * Opens DIR/evaluations.csv, whose first line is `key`: what the qualities depend on beside the widths. A torn last
 * line is left out. CLI_OK, or CLI_FAILED after a message (qualities of something else, among other things).
 */
int quantize_journal_open(struct quantize_journal *journal, const char *directory, const char *key, uint32_t layers);
int quantize_journal_add(struct quantize_journal *journal, const struct quantize_point *point); /* 0 or -errno */
void quantize_journal_close(struct quantize_journal *journal);

/* ---- Results ---- */

struct quantize_report {
	const struct quantize_search *search;
	const char *name;     /* of the search */
	const char *hardware;
	double fine_tuned;    /* quality after fine-tuning; NAN: none */
	double test;	      /* quality on what no search has seen, after fine-tuning if there was any; NAN: none */
	const struct quantize_record *known; /* all qualities: the uniform widths among them are the comparison */
	double widest_cost;   /* with the widest width everywhere */
};

json_t *quantize_result_json(const struct quantize_report *report);
/* The table of layers, for people. */
void quantize_print(const struct quantize_report *report);
/* result-NAME.json and bits-NAME.json. `bits` is the list of --bits. CLI_OK or CLI_FAILED after a message. */
int quantize_write(const char *directory, const struct quantize_report *report, const json_t *bits);
/*
 * DIR/pareto.png and .svg: quality against cost, one curve for each result in the folder that is of this hardware and metric.
 * CLI_OK or CLI_FAILED after a message.
 */
int quantize_draw(const char *directory, const struct quantize_report *report);

#endif /* FIXAR_TOOLS_QUANTIZE_FILES_H */
