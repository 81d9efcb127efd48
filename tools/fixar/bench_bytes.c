// SPDX-License-Identifier: MIT
/*
 * Bytes that a training step moves, by counting: each operation of the step reads its operands once and writes its
 * result once. What a cache holds from one operation to the next is not taken off, what a kernel reads again is not
 * added, so this says how much a step has to do with memory at any level, not with DRAM.
 */
#include "bench.h"

/* Bytes of an element of an operand in the form in which a product reads it. */
struct forms {
	double activation, weight_forward, weight_backward, gradient, samples;
	bool packed; /* weights have forms of their own, which are made when they change */
};

static struct forms forms_of(enum fixar_precision precision)
{
	switch (precision) {
	case FIXAR_QAT16: /* 24-bit weights are two pieces of 16, a gradient is up to two for dW */
		return (struct forms){ 2, 4, 4, 4, 2, true };
	case FIXAR_QAT16X16:
		return (struct forms){ 2, 2, 2, 2, 2, true };
	case FIXAR_FIXED32:
		return (struct forms){ 4, 4, 4, 4, 4, true };
	default:
		return (struct forms){ 4, 4, 4, 4, 4, false };
	}
}

/* One layer in a training step, in which it goes forward `forward` times, and backward to its input `backward` times.
 */
static double layer_bytes(const struct forms *f, double inputs, double outputs, double batch, int forward, int backward)
{
	const double weights = inputs * outputs, in = batch * inputs, out = batch * outputs;
	double bytes = 0;

	/* Product; making operands of its result: read, written, and read into pieces. */
	bytes += forward * (f->activation * in + f->weight_forward * weights + 4 * out);
	bytes += forward * (8 * out + (f->activation < 4 ? (4 + f->activation) * in : 0));
	bytes += backward * (f->gradient * out + f->weight_backward * weights + 4 * in + 8 * in);
	/* dW with its forms, db. */
	bytes += f->gradient * out + f->samples * in + 4 * weights;
	bytes += (4 + f->gradient) * out + (f->samples < 4 ? (4 + f->samples) * in : 0) + 4 * out;
	/* Adam: gradient, two moments and weight in, all but the gradient out. Soft update: weight and target in,
	 * target out. */
	bytes += weights * (16 + 12 + 12);
	/* Forms of weights and targets. */
	if (f->packed)
		bytes += weights * (2 * (4 + f->weight_forward) + (4 + f->weight_backward));
	return bytes;
}

double bench_step_bytes(const struct bench_shape *shape, enum fixar_precision precision, uint32_t batch)
{
	const struct forms forms = forms_of(precision);
	double bytes = 0;

	for (int critic = 0; critic < 2; critic++) {
		double inputs = shape->observation_dim + (critic ? shape->action_dim : 0);

		for (uint32_t l = 0; l <= shape->hidden_count; l++) {
			const double outputs = l < shape->hidden_count ? shape->hidden[l]
					       : critic		       ? 1
								       : shape->action_dim;

			/* The critic: target, TD error, opinion of the actor; back from the TD error and to the action.
			 * The actor: target and itself. */
			bytes += layer_bytes(&forms, inputs, outputs, batch, critic ? 3 : 2,
					     critic ? (l ? 2 : 1) : l > 0);
			inputs = outputs;
		}
	}
	return bytes;
}
