/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a classifier share: classifier.c makes it and sets its widths, classifier_forward.c classifies,
 * classifier_train.c learns.
 */
#ifndef FIXAR_LIB_QUANTIZE_CLASSIFIER_PRIVATE_H
#define FIXAR_LIB_QUANTIZE_CLASSIFIER_PRIVATE_H

#include "quantize/cell_noise.h"
#include "quantize/classifier.h"
#include "step/step.h"

#define FULL_WIDTH 32

struct layer {
	uint32_t height, width, channels; /* of the input */
	uint32_t out_height, out_width;	  /* before pooling */
	uint32_t kernel, outputs;
	int pool, last;
	size_t depth, positions;
	size_t weights;
	int32_t *weight, *bias; /* in the classifier's one tensor of parameters */
	int32_t *weight_gradient, *bias_gradient;
	int32_t *codes; /* of the weights; the masters themselves in full width */
	int32_t *formed;
	int code_fraction;
	struct step_quantizer activation, quantizer;
	int activation_fraction; /* of `columns` */

	/* Of a batch. */
	int32_t *input;	  /* operand codes */
	int32_t *columns; /* im2col of them; fully connected: the same */
	int32_t *output;  /* after ReLU, before pooling */
	uint8_t *chosen;  /* which of the four was the maximum */
	int32_t *input_gradient;
};

struct classifier {
	const struct pe_engine *engine;
	struct classifier_spec spec;
	struct cost_network network;
	struct layer layer[CLASSIFIER_MAX_LAYERS];
	size_t parameters;
	int32_t *parameter, *gradient, *moment1;
	uint32_t *moment2;
	uint64_t powers[2];
	int codes_valid, observe;
	const struct cell_noise *noise; /* NULL: none */
	int32_t range[2 * CLASSIFIER_MAX_LAYERS];
	int32_t *logit, *dy, *dcolumns;
	void *scratch;
	uint64_t saturations;
};

/* Leaves the logits in c->logit. */
void classifier_forward(struct classifier *c, size_t images, const int32_t *pixels);
/* The mean loss of a batch that went forward; with `gradient` its derivative by the logits. */
double classifier_batch_loss(struct classifier *c, size_t images, const uint8_t *labels, int32_t *gradient);

#endif /* FIXAR_LIB_QUANTIZE_CLASSIFIER_PRIVATE_H */
