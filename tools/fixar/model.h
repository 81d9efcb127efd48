/* SPDX-License-Identifier: MIT */
/* fixar model: what its two files share, the question and the counted answer. */
#ifndef FIXAR_TOOLS_MODEL_H
#define FIXAR_TOOLS_MODEL_H

#include "cli.h"
#include "step/cycles.h"

#define MODEL_MAX_BATCHES 16

/* The precisions that the array knows; a step is counted as it is after the switch. */
enum { MODEL_FIXED32, MODEL_QAT16, MODEL_QAT16X16, MODEL_PRECISIONS };

extern const char *const model_precision_name[];
extern const char *const model_parallelism_name[];

#define MODEL_QUANTIZERS (STEP_NETWORKS * STEP_MAX_LAYERS * STEP_CLASSES)

/* A precision's quantizers, MODEL_QUANTIZERS of them, with nothing in them but widths. */
void model_set_quantizers(int precision, struct step_quantizer *quantizers);

struct model_arguments {
	const char *environment; /* NULL: dimensions were given */
	struct step_config config;
	struct pe_array array;
	uint32_t batch[MODEL_MAX_BATCHES];
	size_t batches;
	bool precision[MODEL_PRECISIONS];
	bool dimensions; /* --observation or --action was given */
	bool layers, json;
	uint32_t parallelism;
};

/* One line of the table of operations: an operation in all layers and slices, or in one layer. */
struct model_row {
	const char *name;
	int layer; /* -1: all */
	struct pe_count count;
	bool mixed; /* not the same parallelism everywhere */
};

struct model_table {
	struct model_row *rows;
	size_t count;
	bool layers;
};

struct model_result {
	int precision;
	uint32_t batch;
	struct step_cycles train, act;
};

struct model_answer {
	/* Acting has one line more in each precision: a single observation. */
	struct model_result train[MODEL_PRECISIONS * MODEL_MAX_BATCHES],
		act[MODEL_PRECISIONS * (MODEL_MAX_BATCHES + 1)];
	size_t train_count, act_count;
	struct model_result shown; /* whose operations are in the table */
	struct model_table table;
	struct step_footprint footprint; /* of the largest batch */
};

void model_print(const struct model_arguments *arguments, const struct model_answer *answer);
void model_print_json(const struct model_arguments *arguments, const struct model_answer *answer);

#endif /* FIXAR_TOOLS_MODEL_H */
