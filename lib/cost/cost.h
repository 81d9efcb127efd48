/* SPDX-License-Identifier: MIT */
/*
 * What a network costs on a piece of hardware, as a function of the widths of each layer: one interface, and behind it
 * a ReRAM crossbar accelerator (reram.c) and the FIXAR array (array.c). lib/cost/COST.md explains both.
 *
 * Host software: doubles are fine here. A cost never falls when a width grows, which the searches rely on.
 */
#ifndef FIXAR_LIB_COST_COST_H
#define FIXAR_LIB_COST_COST_H

#include <stddef.h>
#include <stdint.h>

#define COST_MAX_LAYERS 64
#define COST_MAX_METRICS 4
#define COST_MIN_WIDTH 1
#define COST_MAX_WIDTH 32

/*
 * A layer as the product that hardware sees: `positions` times, for one sample, a vector of `inputs` is multiplied
 * with a matrix of `inputs` x `outputs`. A fully connected layer has one position; a convolution, lowered by im2col,
 * one for each pixel of its output.
 */
struct cost_layer {
	char name[32];
	uint32_t inputs, outputs, positions;
};

struct cost_network {
	uint32_t layers;
	struct cost_layer layer[COST_MAX_LAYERS];
};

/* Operand widths of a layer, COST_MIN_WIDTH to COST_MAX_WIDTH bits. */
struct cost_widths {
	uint32_t activation, weight;
};

struct cost_metric {
	const char *name; /* "energy" */
	const char *unit; /* "nJ"; "" for a count */
	const char *description;
};

/* Values by metric of the model. */
struct cost {
	double value[COST_MAX_METRICS];
};

struct cost_model;

struct cost_model_ops {
	const char *name; /* of --hardware */
	const struct cost_metric *metrics;
	unsigned metric_count;
	/* `layer` (may be NULL) receives one cost for each layer; what layers share is in the total alone. */
	void (*evaluate)(const struct cost_model *model, const struct cost_network *network,
			 const struct cost_widths *widths, struct cost *layer, struct cost *total);
	void (*destroy)(struct cost_model *model);
};

/* Every model embeds this as its first member. */
struct cost_model {
	const struct cost_model_ops *ops;
};

/*
 * Makes the model of that name ("reram", "array") with the parameters in a JSON file, or with those that the library
 * was built with (lib/cost/NAME.json) for NULL. 0; -ENOENT: no such model or file; -EINVAL: a parameter is missing,
 * unknown or out of range; `message` says which.
 */
int cost_model_create(const char *name, const char *parameter_file, struct cost_model **model, char *message,
		      size_t message_size);
void cost_model_destroy(struct cost_model *model);

/* The metric of that name, or -1. */
int cost_metric_find(const struct cost_model *model, const char *name);

/* 0, or -EINVAL for a network or widths beyond the limits above; `message` says what. */
int cost_check(const struct cost_network *network, const struct cost_widths *widths, char *message,
	       size_t message_size);

/* Of one metric, in all. */
double cost_of(const struct cost_model *model, unsigned metric, const struct cost_network *network,
	       const struct cost_widths *widths);

#endif /* FIXAR_LIB_COST_COST_H */
