// SPDX-License-Identifier: MIT
/* Gradients of a batch, and a step of Adam. */
#include <string.h>

#include "fx/fixed.h"
#include "nn/network.h"
#include "quantize/classifier_private.h"

/* The sum of what each input contributed to, back from the rows of windows. */
static void raise(struct classifier *c, const struct layer *layer, size_t images)
{
	const size_t line = (size_t)layer->kernel * layer->channels, row = (size_t)layer->width * layer->channels;
	const int32_t *from = c->dcolumns;

	memset(layer->input_gradient, 0, images * layer->height * row * sizeof(int32_t));
	for (size_t image = 0; image < images; image++) {
		int32_t *to = layer->input_gradient + image * layer->height * row;

		for (uint32_t y = 0; y < layer->out_height; y++)
			for (uint32_t x = 0; x < layer->out_width; x++)
				for (uint32_t k = 0; k < layer->kernel; k++, from += line)
					for (size_t i = 0; i < line; i++) {
						int32_t *sum = to + (y + k) * row + (size_t)x * layer->channels + i;

						*sum = fx_saturate32((int64_t)*sum + from[i], &c->saturations);
					}
	}
}

static void set_shifts(struct pe_product *product, int from, int to)
{
	product->up = from < to ? (unsigned)(to - from) : 0;
	product->down = from < to ? 0 : (unsigned)(from - to);
}

/* dW and db from c->dy, the gradient of the layer's output before its activation function. */
static void parameter_gradients(struct classifier *c, struct layer *layer, size_t images)
{
	const int lb = images > 1 ? (int)fx_bits(images - 1) : 0;
	const size_t rows = images * layer->positions, n = layer->outputs;
	struct pe_product product = {
		.rows = n, .columns = layer->depth, .depth = rows,
		.a = c->dy, .a_row = 1, .a_column = n,
		.b = layer->columns, .b_row = layer->depth, .b_column = 1,
		.c = layer->weight_gradient, .c_row = layer->depth,
	};

	set_shifts(&product, FX_GRADIENT + layer->activation_fraction + lb, FX_WEIGHT_GRADIENT);
	c->saturations += c->engine->product(&product, 0, n, 0, layer->depth, c->scratch);
	for (size_t k = 0; k < n; k++) {
		int64_t sum = 0;

		for (size_t row = 0; row < rows; row++)
			sum += c->dy[row * n + k];
		layer->bias_gradient[k] = fx_requantize(sum, FX_GRADIENT + lb, FX_WEIGHT_GRADIENT, &c->saturations);
	}
}

static void input_gradient(struct classifier *c, struct layer *layer, size_t images)
{
	struct pe_product product = {
		.rows = images * layer->positions, .columns = layer->depth, .depth = layer->outputs,
		.a = c->dy, .a_row = layer->outputs, .a_column = 1,
		.b = layer->codes, .b_row = layer->depth, .b_column = 1,
		.c = layer->kernel ? c->dcolumns : layer->input_gradient, .c_row = layer->depth,
	};

	set_shifts(&product, FX_GRADIENT + layer->code_fraction, FX_GRADIENT);
	c->saturations += c->engine->product(&product, 0, product.rows, 0, product.columns, c->scratch);
	if (layer->kernel)
		raise(c, layer, images);
}

/* The gradient of the layer below's output from that of this layer's input: through pooling and ReLU. */
static void through(struct classifier *c, const struct layer *below, const int32_t *gradient, size_t images)
{
	const size_t n = below->outputs, row = below->out_width * n, count = images * below->positions * n;
	const uint8_t *chosen = below->chosen;

	if (!below->pool) {
		for (size_t i = 0; i < count; i++)
			c->dy[i] = below->output[i] > 0 ? gradient[i] : 0;
		return;
	}
	memset(c->dy, 0, count * sizeof(int32_t));
	for (size_t image = 0; image < images; image++) {
		const size_t start = image * below->positions * n;

		for (uint32_t y = 0; y < below->out_height; y += 2)
			for (uint32_t x = 0; x < below->out_width; x += 2)
				for (size_t channel = 0; channel < n; channel++, chosen++, gradient++) {
					const size_t place = start + (y + (*chosen >> 1)) * row +
							     (x + (*chosen & 1)) * n + channel;

					c->dy[place] = below->output[place] > 0 ? *gradient : 0;
				}
	}
}

double classifier_train(struct classifier *c, size_t images, const int32_t *pixels, const uint8_t *labels)
{
	/* Rate 0.001, beta1 0.9, 1 - beta2 0.001. */
	static const struct nn_adam adam = { 1932735283, 4294967, 1099511628, 40 };
	struct pe_adam_counts counts = { 0, 0 };
	struct pe_adam constants;
	double loss;

	classifier_forward(c, images, pixels);
	loss = classifier_batch_loss(c, images, labels, c->dy);
	for (uint32_t l = c->spec.layers; l-- > 0;) {
		parameter_gradients(c, &c->layer[l], images);
		if (!l)
			break;
		input_gradient(c, &c->layer[l], images);
		through(c, &c->layer[l - 1], c->layer[l].input_gradient, images);
	}
	nn_adam_step_size(&adam, c->powers, &constants);
	c->engine->adam(c->parameters, c->gradient, c->moment1, c->moment2, c->parameter, &constants, &counts);
	c->codes_valid = 0;
	return loss;
}
