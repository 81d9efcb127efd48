/* SPDX-License-Identifier: MIT */
/*
 * A classifier of small images: layers of convolution (valid, stride 1), 2 x 2 maximum pooling and fully connected
 * layers, with ReLU between them. All of it in the fixed point of lib/ARITHMETIC.md: the same formats, operand
 * quantizers, products and Adam as an agent's networks. A convolution is lowered to the same product by im2col, so
 * that each layer is a struct cost_layer. Only the loss (softmax and cross entropy) is floating point, at the edge.
 *
 * Differences from an agent: the first layer's input is not negative either, and the mean over a batch is that of its
 * samples, whatever the number of positions.
 */
#ifndef FIXAR_LIB_QUANTIZE_CLASSIFIER_H
#define FIXAR_LIB_QUANTIZE_CLASSIFIER_H

#include <stddef.h>
#include <stdint.h>

#include "cost/cost.h"
#include "pe/engine.h"

#define CLASSIFIER_MAX_LAYERS 8
#define CLASSIFIER_BATCH 64 /* images at a time */

struct classifier_layer_spec {
	uint32_t outputs;
	uint32_t kernel; /* its side; 0: fully connected */
	int pool;	 /* 2 x 2 maximum afterwards */
};

struct classifier_spec {
	const char *name;
	uint32_t height, width, channels;
	uint32_t layers; /* the last one has as many outputs as there are classes */
	struct classifier_layer_spec layer[CLASSIFIER_MAX_LAYERS];
};

/* "mlp" (784-128-64-10) or "lenet" (LeNet-5's shape, with ReLU and maximum pooling); NULL if there is no such name. */
const struct classifier_spec *classifier_spec_find(const char *name);

struct classifier;
struct cell_noise;

/* `engine`: NULL for the best one; the bits are the same. 0, -EINVAL (shapes that do not fit) or -ENOMEM. */
int classifier_create(const struct classifier_spec *spec, uint64_t seed, const struct pe_engine *engine,
		      struct classifier **classifier);
void classifier_destroy(struct classifier *classifier);

const struct cost_network *classifier_network(const struct classifier *classifier);

/* One step of Adam on at most CLASSIFIER_BATCH images (fraction 20, [height][width][channels]); the mean loss. */
double classifier_train(struct classifier *classifier, size_t images, const int32_t *pixels, const uint8_t *labels);
/* The mean loss of a batch; changes nothing. */
double classifier_loss(struct classifier *classifier, size_t images, const int32_t *pixels, const uint8_t *labels);
/* How many of a batch are classified right. */
size_t classifier_correct(struct classifier *classifier, size_t images, const int32_t *pixels, const uint8_t *labels);

/* Starts or ends keeping the ranges of activations. */
void classifier_observe(struct classifier *classifier, int observe);
/* Widths for the operands, with fractions from the ranges that were observed and the present weights; NULL: masters. */
void classifier_set_widths(struct classifier *classifier, const struct cost_widths *widths);

/*
 * From now on weights are held by crossbar cells (lib/quantize/cell_noise.h; borrowed), in training too, where the masters
 * learn from what was computed with them. A convolution has its cells once, for all positions. NULL: by a memory.
 */
void classifier_set_noise(struct classifier *classifier, const struct cell_noise *noise);

/* All parameters, as one tensor: for saving, restoring, and for tests. classifier_parameters_changed() after writing. */
int32_t *classifier_parameters(struct classifier *classifier, size_t *count);
void classifier_parameters_changed(struct classifier *classifier);
/* Gradients of the last training step, in the same order (fraction 28; mean with the batch rounded up to a power of two). */
const int32_t *classifier_gradients(const struct classifier *classifier);
/* The minimum and maximum of each layer's input that were observed: 2 values a layer. */
int32_t *classifier_ranges(struct classifier *classifier);
/* Adam starts afresh: before fine-tuning. */
void classifier_reset_moments(struct classifier *classifier);

#endif /* FIXAR_LIB_QUANTIZE_CLASSIFIER_H */
