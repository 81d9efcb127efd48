/* SPDX-License-Identifier: MIT */
/*
 * Both networks of DDPG in double precision, written for plainness: what the gradients of the library are compared
 * with.
 *
 * A layer may have operand quantizers; products then see the values that the library's products see (lib/ARITHMETIC.md
 * section 2), while everything else stays in double precision.
 */
#ifndef FIXAR_SELFTESTS_LIB_DOUBLE_NETWORK_H
#define FIXAR_SELFTESTS_LIB_DOUBLE_NETWORK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "step/step.h"

/*
 * A ReLU whose input is so close to 0 may be open in one computation and shut in the other, because of their rounding
 * alone.
 */
#define DOUBLE_CORNER 0x1p-18

struct double_layer {
	size_t inputs, outputs;
	double *weight, *bias; /* [outputs][inputs], [outputs] */
	double *operand;       /* of the products: the weights, quantized if they are */
	double *weight_gradient, *bias_gradient;
	const struct step_quantizer *quantizer; /* STEP_CLASSES entries, or NULL */
};

struct double_network {
	size_t layers, batch;
	struct double_layer layer[STEP_MAX_LAYERS];
	size_t near_corner;		 /* hidden values that were nearer to 0 than DOUBLE_CORNER */
	double *x[STEP_MAX_LAYERS + 1];	 /* operands of each layer's input; the last layer's output */
	double *dy[STEP_MAX_LAYERS + 1]; /* gradient of the loss with respect to x, before its ReLU */
};

static inline double *double_array(size_t count)
{
	double *array = calloc(count, sizeof(*array));

	if (!array) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return array;
}

static inline void double_network_create(struct double_network *network, const struct step_config *config,
					 enum step_network which, size_t batch)
{
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];

	memset(network, 0, sizeof(*network));
	network->layers = step_layers(config, which, inputs, outputs);
	network->batch = batch;
	for (size_t l = 0; l <= network->layers; l++) {
		const size_t width = l ? outputs[l - 1] : inputs[0];

		network->x[l] = double_array(batch * width);
		network->dy[l] = double_array(batch * width);
	}
	for (size_t l = 0; l < network->layers; l++) {
		struct double_layer *layer = &network->layer[l];

		layer->inputs = inputs[l];
		layer->outputs = outputs[l];
		layer->weight = double_array(layer->inputs * layer->outputs);
		layer->operand = double_array(layer->inputs * layer->outputs);
		layer->bias = double_array(layer->outputs);
		layer->weight_gradient = double_array(layer->inputs * layer->outputs);
		layer->bias_gradient = double_array(layer->outputs);
	}
}

static inline void double_network_destroy(struct double_network *network)
{
	for (size_t l = 0; l <= network->layers; l++) {
		free(network->x[l]);
		free(network->dy[l]);
	}
	for (size_t l = 0; l < network->layers; l++) {
		free(network->layer[l].weight);
		free(network->layer[l].operand);
		free(network->layer[l].bias);
		free(network->layer[l].weight_gradient);
		free(network->layer[l].bias_gradient);
	}
}

/*
 * The value that a product sees. A quantizer rounds the master value, which has been rounded itself: without the first
 * rounding here, values close to the middle between two codes would now and then go to different ones.
 */
static inline double double_operand(const struct double_layer *layer, enum step_class class, double value)
{
	static const int master[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
	const struct step_quantizer *quantizer = layer->quantizer ? &layer->quantizer[class] : NULL;
	double code, low, high;

	if (!quantizer || quantizer->width == 32)
		return value;
	value = floor(ldexp(value, master[class]) + 0.5);
	code = floor(ldexp(value, quantizer->fraction - master[class]) + 0.5);
	low = quantizer->is_signed ? -ldexp(1, quantizer->width - 1) : 0;
	high = ldexp(1, quantizer->is_signed ? quantizer->width - 1 : quantizer->width) - 1;
	return ldexp(fmin(fmax(code, low), high), -quantizer->fraction);
}

/* From x[0] to x[layers]. */
static inline void double_forward(struct double_network *network)
{
	for (size_t l = 0; l < network->layers; l++) {
		const struct double_layer *layer = &network->layer[l];
		const size_t inputs = layer->inputs, outputs = layer->outputs;
		const int hidden = l + 1 < network->layers;

		for (size_t i = 0; i < inputs * outputs; i++)
			layer->operand[i] = double_operand(layer, STEP_WEIGHT, layer->weight[i]);
		for (size_t i = 0; i < network->batch * inputs; i++)
			network->x[l][i] = double_operand(layer, STEP_ACTIVATION, network->x[l][i]);
		for (size_t b = 0; b < network->batch; b++) {
			const double *x = network->x[l] + b * inputs;

			for (size_t n = 0; n < outputs; n++) {
				double sum = layer->bias[n];

				for (size_t k = 0; k < inputs; k++)
					sum += layer->operand[n * inputs + k] * x[k];
				network->near_corner += hidden && fabs(sum) < DOUBLE_CORNER;
				network->x[l + 1][b * outputs + n] = hidden ? fmax(sum, 0) : sum;
			}
		}
	}
}

/* From dy[layers] after double_forward(): all gradients, and in dy[0] that of the input. */
static inline void double_backward(struct double_network *network)
{
	for (size_t l = network->layers; l-- > 0;) {
		const struct double_layer *layer = &network->layer[l];
		const size_t inputs = layer->inputs, outputs = layer->outputs;

		memset(network->dy[l], 0, network->batch * inputs * sizeof(double));
		memset(layer->weight_gradient, 0, inputs * outputs * sizeof(double));
		memset(layer->bias_gradient, 0, outputs * sizeof(double));
		for (size_t b = 0; b < network->batch; b++) {
			const double *x = network->x[l] + b * inputs;
			double *dx = network->dy[l] + b * inputs;

			for (size_t n = 0; n < outputs; n++) {
				const double dy =
					double_operand(layer, STEP_GRADIENT, network->dy[l + 1][b * outputs + n]);

				layer->bias_gradient[n] += dy;
				for (size_t k = 0; k < inputs; k++) {
					dx[k] += dy * layer->operand[n * inputs + k];
					layer->weight_gradient[n * inputs + k] += dy * x[k];
				}
			}
			for (size_t k = 0; l > 0 && k < inputs; k++)
				if (!(x[k] > 0))
					dx[k] = 0;
		}
	}
}

/* A batch in double precision. */
struct double_batch {
	size_t size, observation_dim, action_dim;
	double *observation, *action, *reward, *next_observation;
	const uint8_t *terminal;
};

static inline double *double_of_fixed(const int32_t *values, size_t count, int fraction)
{
	double *array = double_array(count);

	for (size_t i = 0; i < count; i++)
		array[i] = ldexp(values[i], -fraction);
	return array;
}

static inline void double_batch_create(struct double_batch *batch, const struct step_config *config,
				       const struct step_batch *from)
{
	batch->size = from->size;
	batch->observation_dim = config->observation_dim;
	batch->action_dim = config->action_dim;
	batch->observation = double_of_fixed(from->observation, batch->size * batch->observation_dim, FX_ACTIVATION);
	batch->action = double_of_fixed(from->action, batch->size * batch->action_dim, FX_ACTIVATION);
	batch->reward = double_of_fixed(from->reward, batch->size, FX_ACTIVATION);
	batch->next_observation = double_of_fixed(from->next_observation, batch->size * batch->observation_dim, FX_ACTIVATION);
	batch->terminal = from->terminal;
}

static inline void double_batch_destroy(struct double_batch *batch)
{
	free(batch->observation);
	free(batch->action);
	free(batch->reward);
	free(batch->next_observation);
}

/* tanh(actor(observation)) is left as the actor's output. */
static inline double *double_policy(struct double_network *actor, const struct double_batch *batch,
				    const double *observation)
{
	double *action = actor->x[actor->layers];

	memcpy(actor->x[0], observation, batch->size * batch->observation_dim * sizeof(*observation));
	double_forward(actor);
	for (size_t i = 0; i < batch->size * batch->action_dim; i++)
		action[i] = tanh(action[i]);
	return action;
}

static inline double *double_value(struct double_network *critic, const struct double_batch *batch,
				   const double *observation, const double *action)
{
	const size_t observation_dim = batch->observation_dim, action_dim = batch->action_dim;
	double *row = critic->x[0];

	for (size_t b = 0; b < batch->size; b++, row += observation_dim + action_dim) {
		memcpy(row, observation + b * observation_dim, observation_dim * sizeof(*row));
		memcpy(row + observation_dim, action + b * action_dim, action_dim * sizeof(*row));
	}
	double_forward(critic);
	return critic->x[critic->layers];
}

/*
 * Likewise for what a quantized dY is made of: where the last layer's gradient has a quantizer, Q values and targets are rounded
 * as masters first.
 */
static inline double double_value_of(const struct double_network *critic, double value)
{
	const struct step_quantizer *quantizer = critic->layer[critic->layers - 1].quantizer;

	if (!quantizer || quantizer[STEP_GRADIENT].width == 32)
		return value;
	return ldexp(floor(ldexp(value, FX_ACTIVATION) + 0.5), -FX_ACTIVATION);
}

/* y of each sample. */
static inline void double_targets(struct double_network *actor_target, struct double_network *critic_target,
				  const struct double_batch *batch, double discount, double *target)
{
	const double *action = double_policy(actor_target, batch, batch->next_observation);
	const double *q = double_value(critic_target, batch, batch->next_observation, action);

	for (size_t b = 0; b < batch->size; b++)
		target[b] = batch->reward[b] + (batch->terminal[b] ? 0 : double_value_of(critic_target, discount * double_value_of(critic_target, q[b])));
}

/* Gradients of factor * (sum over the batch of half the squared TD error); returns the sum of the squared errors. */
static inline double double_critic_gradient(struct double_network *critic, const struct double_batch *batch,
					    const double *target, double factor)
{
	const double *q = double_value(critic, batch, batch->observation, batch->action);
	double loss = 0;

	for (size_t b = 0; b < batch->size; b++) {
		const double delta = double_value_of(critic, q[b]) - target[b];

		loss += delta * delta;
		critic->dy[critic->layers][b] = factor * delta;
	}
	double_backward(critic);
	return loss;
}

/* Gradients of -factor * (sum over the batch of Q(s, actor(s))); returns the sum of Q. */
static inline double double_actor_gradient(struct double_network *actor, struct double_network *critic,
					   const struct double_batch *batch, double factor)
{
	const double *action = double_policy(actor, batch, batch->observation);
	const double *q = double_value(critic, batch, batch->observation, action);
	const size_t width = batch->observation_dim + batch->action_dim;
	double sum = 0;

	for (size_t b = 0; b < batch->size; b++) {
		sum += q[b];
		critic->dy[critic->layers][b] = -factor;
	}
	double_backward(critic);
	for (size_t b = 0; b < batch->size; b++) {
		for (size_t j = 0; j < batch->action_dim; j++) {
			const size_t i = b * batch->action_dim + j;

			actor->dy[actor->layers][i] =
				critic->dy[0][b * width + batch->observation_dim + j] * (1 - action[i] * action[i]);
		}
	}
	double_backward(actor);
	return sum;
}

/* ||a - b|| / ||b||, and 0 when both are 0. */
static inline double double_relative_error(const double *a, const double *b, size_t count)
{
	double difference = 0, norm = 0;

	for (size_t i = 0; i < count; i++) {
		difference += (a[i] - b[i]) * (a[i] - b[i]);
		norm += b[i] * b[i];
	}
	return difference > 0 ? sqrt(difference / norm) : 0;
}

#endif /* FIXAR_SELFTESTS_LIB_DOUBLE_NETWORK_H */
