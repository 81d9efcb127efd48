// SPDX-License-Identifier: MIT
/* Images to classes: operands, convolutions as products, pooling, loss. */
#include <math.h>
#include <string.h>

#include "fx/fixed.h"
#include "quantize/classifier_private.h"

/* ---- Operands ---- */

static void form(const struct classifier *c, const struct step_quantizer *quantizer, int full_fraction, size_t n,
		 const int32_t *values, int32_t *codes)
{
	const int32_t low = quantizer->is_signed ? -(INT32_C(1) << (quantizer->width - 1)) : 0;
	const int32_t high = (int32_t)((INT64_C(1) << (quantizer->width - quantizer->is_signed)) - 1);

	c->engine->quantize(n, values, (unsigned)(full_fraction - quantizer->fraction), low, high, codes);
}

/* What crossbars make of the codes. */
static void hold(const struct classifier *c, struct layer *layer, uint32_t number)
{
	if (layer->codes != layer->formed)
		memcpy(layer->formed, layer->weight, layer->weights * sizeof(*layer->formed));
	cell_noise_apply(c->noise, 0, number, (uint32_t)layer->quantizer.width, layer->quantizer.fraction, 0, layer->weights,
			 layer->formed);
	layer->codes = layer->formed;
	layer->code_fraction = FX_WEIGHT;
}

static void form_weights(struct classifier *c)
{
	for (uint32_t l = 0; l < c->spec.layers && !c->codes_valid; l++) {
		struct layer *layer = &c->layer[l];

		layer->code_fraction = layer->quantizer.fraction;
		layer->codes = layer->weight;
		if (layer->quantizer.width < FULL_WIDTH) {
			form(c, &layer->quantizer, FX_WEIGHT, layer->weights, layer->weight, layer->formed);
			layer->codes = layer->formed;
		}
		if (c->noise)
			hold(c, layer, l);
	}
	c->codes_valid = 1;
}

/* ---- Forward ---- */

/* Every window of the input as a row, [kernel][kernel][channels]. */
static void lower(const struct layer *layer, size_t images)
{
	const size_t line = (size_t)layer->kernel * layer->channels, row = (size_t)layer->width * layer->channels;
	int32_t *to = layer->columns;

	for (size_t image = 0; image < images; image++) {
		const int32_t *from = layer->input + image * layer->height * row;

		for (uint32_t y = 0; y < layer->out_height; y++)
			for (uint32_t x = 0; x < layer->out_width; x++)
				for (uint32_t k = 0; k < layer->kernel; k++, to += line)
					memcpy(to, from + (y + k) * row + (size_t)x * layer->channels, line * sizeof(*to));
	}
}

static void pool(const struct layer *layer, size_t images, int32_t *to)
{
	const size_t n = layer->outputs, row = layer->out_width * n;
	uint8_t *chosen = layer->chosen;

	for (size_t image = 0; image < images; image++) {
		const int32_t *from = layer->output + image * layer->positions * n;

		for (uint32_t y = 0; y < layer->out_height; y += 2)
			for (uint32_t x = 0; x < layer->out_width; x += 2)
				for (size_t channel = 0; channel < n; channel++) {
					const int32_t *corner = from + y * row + x * n + channel;
					const int32_t four[] = { corner[0], corner[n], corner[row], corner[row + n] };
					uint8_t best = 0;

					for (uint8_t i = 1; i < 4; i++)
						if (four[i] > four[best])
							best = i;
					*chosen++ = best;
					*to++ = four[best];
				}
	}
}

static void layer_forward(struct classifier *c, struct layer *layer, size_t images)
{
	const int fw = layer->code_fraction;
	struct pe_product product = {
		.rows = images * layer->positions, .columns = layer->outputs, .depth = layer->depth,
		.a = layer->columns, .a_row = layer->depth, .a_column = 1,
		.b = layer->codes, .b_row = 1, .b_column = layer->depth,
		.bias = layer->bias,
		.c = layer->output, .c_row = layer->outputs,
	};
	int sum, top;

	layer->activation_fraction = layer->activation.fraction;
	if (layer->activation.width < FULL_WIDTH)
		form(c, &layer->activation, FX_ACTIVATION,
		     images * layer->height * layer->width * layer->channels, layer->input, layer->input);
	if (layer->kernel)
		lower(layer, images);
	sum = layer->activation_fraction + fw;
	top = sum > FX_WEIGHT ? sum : FX_WEIGHT;
	product.up = (unsigned)(top - sum);
	product.bias_up = (unsigned)(top - FX_WEIGHT);
	product.down = (unsigned)(top - FX_ACTIVATION);
	c->saturations += c->engine->product(&product, 0, product.rows, 0, product.columns, c->scratch);
	for (size_t i = 0; !layer->last && i < product.rows * product.columns; i++)
		layer->output[i] = layer->output[i] > 0 ? layer->output[i] : 0;
}

void classifier_forward(struct classifier *c, size_t images, const int32_t *pixels)
{
	form_weights(c);
	memcpy(c->layer[0].input, pixels,
	       images * c->spec.height * c->spec.width * c->spec.channels * sizeof(*pixels));
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		struct layer *layer = &c->layer[l];

		if (c->observe)
			c->engine->range(images * layer->height * layer->width * layer->channels, layer->input,
					 &c->range[2 * l], &c->range[2 * l + 1]);
		layer_forward(c, layer, images);
		if (layer->last)
			break;
		if (layer->pool)
			pool(layer, images, layer[1].input);
		else
			memcpy(layer[1].input, layer->output,
			       images * layer->positions * layer->outputs * sizeof(int32_t));
	}
	c->logit = c->layer[c->spec.layers - 1].output;
}

/* ---- Loss ---- */

/* Cross entropy of one image; with `gradient` (fraction FX_GRADIENT) its derivative by the logits. */
static double cross_entropy(size_t classes, const int32_t *logit, unsigned label, int32_t *gradient)
{
	double largest = -INFINITY, sum = 0;

	for (size_t i = 0; i < classes; i++)
		largest = fmax(largest, logit[i]);
	for (size_t i = 0; i < classes; i++)
		sum += exp((logit[i] - largest) / FX_ONE);
	for (size_t i = 0; gradient && i < classes; i++)
		gradient[i] = (int32_t)lrint((exp((logit[i] - largest) / FX_ONE) / sum - (i == label)) *
					     (1 << FX_GRADIENT));
	return log(sum) - (logit[label] - largest) / FX_ONE;
}

double classifier_batch_loss(struct classifier *c, size_t images, const uint8_t *labels, int32_t *gradient)
{
	const size_t classes = c->layer[c->spec.layers - 1].outputs;
	double sum = 0;

	for (size_t i = 0; i < images; i++)
		sum += cross_entropy(classes, c->logit + i * classes, labels[i], gradient ? gradient + i * classes : NULL);
	return sum / (double)images;
}

double classifier_loss(struct classifier *c, size_t images, const int32_t *pixels, const uint8_t *labels)
{
	classifier_forward(c, images, pixels);
	return classifier_batch_loss(c, images, labels, NULL);
}

size_t classifier_correct(struct classifier *c, size_t images, const int32_t *pixels, const uint8_t *labels)
{
	const size_t classes = c->layer[c->spec.layers - 1].outputs;
	size_t correct = 0;

	classifier_forward(c, images, pixels);
	for (size_t i = 0; i < images; i++) {
		const int32_t *logit = c->logit + i * classes;
		size_t best = 0;

		for (size_t k = 1; k < classes; k++)
			if (logit[k] > logit[best])
				best = k;
		correct += best == labels[i];
	}
	return correct;
}
