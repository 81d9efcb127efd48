/* SPDX-License-Identifier: MIT */
/*
 * Networks of fully connected layers in float32: forward, backward, Adam, soft update.
 *
 * A network's parameters, its target's, both moments and the gradients are five arrays of one shape, in which each
 * tensor starts at a multiple of F32_PANEL and the gaps are 0; they lie in the agent's arena but for the gradients.
 * Rows of activations and of their gradients are f32_stride() apart.
 */
#ifndef FIXAR_LIB_FLOAT32_NETWORK_H
#define FIXAR_LIB_FLOAT32_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "float32/engine.h"
#include "pe/pool.h"
#include "step/step.h"

struct f32_context {
	const struct f32_engine *engine;
	struct pe_pool *pool; /* NULL: one thread */
	float **scratch;      /* one for each thread, f32_scratch_bytes(largest depth) each */
};

struct f32_layer {
	size_t inputs, outputs;
	size_t weight, bias; /* where they start in each of the network's arrays */
};

struct f32_network {
	uint32_t layers;
	struct f32_layer layer[STEP_MAX_LAYERS];
	size_t size; /* of each array, a multiple of F32_PANEL */
	float *weight, *target, *moment1, *moment2;
	float *gradient;
	float *value[STEP_MAX_LAYERS +
		     1]; /* of one forward pass: each layer's input, then the output before its tanh */
};

/* An odd number of cache lines, so that walking down a column does not hit the same few cache sets again and again. */
static inline size_t f32_stride(size_t width)
{
	return ((width + F32_PANEL - 1) / F32_PANEL | 1) * F32_PANEL;
}

static inline size_t f32_round_up(size_t n)
{
	return (n + F32_PANEL - 1) / F32_PANEL * F32_PANEL;
}

/* network->value[0] to value[layers], with `parameters` the network's own or its target's. */
void f32_forward(const struct f32_context *context, struct f32_network *network, const float *parameters, size_t batch);

/*
 * Backward after f32_forward(). dy[0] holds the last layer's dY; both arrays hold batch rows of the widest layer and
 * are overwritten. With `parameters`, all dW and db are left in network->gradient. With `input_gradient`, columns
 * [first, first + columns) of the first layer's dX go there.
 */
void f32_backward(const struct f32_context *context, struct f32_network *network, size_t batch, float *const dy[2],
		  int parameters, float *input_gradient, size_t first, size_t columns);

void f32_adam_update(const struct f32_context *context, struct f32_network *network, const struct f32_adam *constants);
void f32_soft_update(const struct f32_context *context, struct f32_network *network, float tau);

#endif /* FIXAR_LIB_FLOAT32_NETWORK_H */
