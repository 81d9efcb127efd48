// SPDX-License-Identifier: MIT
#include "quantize/classifier.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/network.h"
#include "qat/policy.h"

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
	uint32_t *moment2_root;
	uint64_t powers[2];
	int codes_valid, observe;
	int32_t range[2 * CLASSIFIER_MAX_LAYERS];
	int32_t *logit, *dy, *dcolumns;
	void *scratch;
	uint64_t saturations;
};

static const struct classifier_spec specs[] = {
	{ "mlp", 28, 28, 1, 3, { { 128, 0, 0 }, { 64, 0, 0 }, { 10, 0, 0 } } },
	{ "lenet", 28, 28, 1, 5, { { 6, 5, 1 }, { 16, 5, 1 }, { 120, 0, 0 }, { 84, 0, 0 }, { 10, 0, 0 } } },
};

const struct classifier_spec *classifier_spec_find(const char *name)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		if (!strcmp(specs[i].name, name))
			return &specs[i];
	return NULL;
}

/* ---- Making it ---- */

/* The shapes of all layers. 0 or -EINVAL. */
static int shape(struct classifier *c)
{
	uint32_t height = c->spec.height, width = c->spec.width, channels = c->spec.channels;

	if (!c->spec.layers || c->spec.layers > CLASSIFIER_MAX_LAYERS)
		return -EINVAL;
	c->network.layers = c->spec.layers;
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		const struct classifier_layer_spec *spec = &c->spec.layer[l];
		struct layer *layer = &c->layer[l];

		layer->height = height;
		layer->width = width;
		layer->channels = channels;
		layer->kernel = spec->kernel;
		layer->outputs = spec->outputs;
		layer->pool = spec->pool;
		layer->last = l + 1 == c->spec.layers;
		if (!spec->outputs || spec->kernel > height || spec->kernel > width || (layer->last && spec->pool))
			return -EINVAL;
		layer->out_height = spec->kernel ? height - spec->kernel + 1 : 1;
		layer->out_width = spec->kernel ? width - spec->kernel + 1 : 1;
		if (spec->pool && (layer->out_height % 2 || layer->out_width % 2))
			return -EINVAL;
		layer->depth = (size_t)channels * (spec->kernel ? spec->kernel * spec->kernel : height * width);
		layer->positions = (size_t)layer->out_height * layer->out_width;
		layer->weights = layer->depth * spec->outputs;
		c->parameters += layer->weights + spec->outputs;
		c->network.layer[l] = (struct cost_layer){ "", (uint32_t)layer->depth, spec->outputs,
							   (uint32_t)layer->positions };
		snprintf(c->network.layer[l].name, sizeof(c->network.layer[l].name), "%s.%u",
			 spec->kernel ? "convolution" : "dense", l);
		height = layer->out_height >> !!spec->pool;
		width = layer->out_width >> !!spec->pool;
		channels = spec->outputs;
	}
	return 0;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static int allocate(struct classifier *c)
{
	size_t widest = 1, columns = 1, depth = CLASSIFIER_BATCH, offset = 0;

	c->parameter = calloc(c->parameters, sizeof(int32_t));
	c->gradient = calloc(c->parameters, sizeof(int32_t));
	c->moment1 = calloc(c->parameters, sizeof(int32_t));
	c->moment2_root = calloc(c->parameters, sizeof(uint32_t));
	if (!c->parameter || !c->gradient || !c->moment1 || !c->moment2_root)
		return -ENOMEM;
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		struct layer *layer = &c->layer[l];
		const size_t input = (size_t)layer->height * layer->width * layer->channels * CLASSIFIER_BATCH;
		const size_t output = layer->positions * layer->outputs * CLASSIFIER_BATCH;
		const size_t lowered = layer->positions * layer->depth * CLASSIFIER_BATCH;

		layer->weight = c->parameter + offset;
		layer->weight_gradient = c->gradient + offset;
		layer->bias = layer->weight + layer->weights;
		layer->bias_gradient = layer->weight_gradient + layer->weights;
		offset += layer->weights + layer->outputs;
		layer->formed = calloc(layer->weights, sizeof(int32_t));
		layer->input = calloc(input, sizeof(int32_t));
		layer->columns = layer->kernel ? calloc(lowered, sizeof(int32_t)) : layer->input;
		layer->output = calloc(output, sizeof(int32_t));
		layer->chosen = calloc(output, 1);
		layer->input_gradient = calloc(input, sizeof(int32_t));
		if (!layer->formed || !layer->input || !layer->columns || !layer->output || !layer->chosen ||
		    !layer->input_gradient)
			return -ENOMEM;
		widest = larger(widest, output);
		columns = larger(columns, lowered);
		depth = larger(depth, larger(layer->depth, larger(layer->outputs, layer->positions * CLASSIFIER_BATCH)));
	}
	c->dy = calloc(widest, sizeof(int32_t));
	c->dcolumns = calloc(columns, sizeof(int32_t));
	c->scratch = aligned_alloc(64, pe_scratch_bytes(depth));
	return c->dy && c->dcolumns && c->scratch ? 0 : -ENOMEM;
}

/* As lib/ARITHMETIC.md section 11, but the last layer like all others: its gradient is large from the start. */
static void initialize(struct classifier *c, uint64_t seed)
{
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		struct layer *layer = &c->layer[l];
		const int64_t bound = fx_square_root((UINT64_C(1) << 2 * FX_WEIGHT) / layer->depth);

		for (size_t i = 0; i < layer->weights; i++)
			layer->weight[i] = (int32_t)fx_round_half_up(
				(int32_t)fx_random_word(seed, FX_RANDOM_WEIGHTS, 2 * l, (uint32_t)i) * bound, 31);
	}
}

int classifier_create(const struct classifier_spec *spec, uint64_t seed, const struct pe_engine *engine,
		      struct classifier **created)
{
	struct classifier *c = calloc(1, sizeof(*c));
	int error;

	*created = NULL;
	if (!c)
		return -ENOMEM;
	c->spec = *spec;
	c->engine = engine ? engine : pe_engine_find(NULL);
	error = shape(c);
	if (!error)
		error = allocate(c);
	if (error) {
		classifier_destroy(c);
		return error;
	}
	initialize(c, seed);
	classifier_reset_moments(c);
	classifier_set_widths(c, NULL);
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		c->range[2 * l] = INT32_MAX;
		c->range[2 * l + 1] = INT32_MIN;
	}
	*created = c;
	return 0;
}

void classifier_destroy(struct classifier *c)
{
	if (!c)
		return;
	for (uint32_t l = 0; l < CLASSIFIER_MAX_LAYERS; l++) {
		struct layer *layer = &c->layer[l];

		if (layer->columns != layer->input)
			free(layer->columns);
		free(layer->input);
		free(layer->formed);
		free(layer->output);
		free(layer->chosen);
		free(layer->input_gradient);
	}
	free(c->parameter);
	free(c->gradient);
	free(c->moment1);
	free(c->moment2_root);
	free(c->dy);
	free(c->dcolumns);
	free(c->scratch);
	free(c);
}

const struct cost_network *classifier_network(const struct classifier *c)
{
	return &c->network;
}

/* ---- Operands ---- */

static void form(const struct classifier *c, const struct step_quantizer *quantizer, int full_fraction, size_t n,
		 const int32_t *values, int32_t *codes)
{
	const int32_t low = quantizer->is_signed ? -(INT32_C(1) << (quantizer->width - 1)) : 0;
	const int32_t high = (int32_t)((INT64_C(1) << (quantizer->width - quantizer->is_signed)) - 1);

	c->engine->quantize(n, values, (unsigned)(full_fraction - quantizer->fraction), low, high, codes);
}

static void form_weights(struct classifier *c)
{
	for (uint32_t l = 0; l < c->spec.layers && !c->codes_valid; l++) {
		struct layer *layer = &c->layer[l];

		layer->codes = layer->weight;
		if (layer->quantizer.width < FULL_WIDTH) {
			form(c, &layer->quantizer, FX_WEIGHT, layer->weights, layer->weight, layer->formed);
			layer->codes = layer->formed;
		}
	}
	c->codes_valid = 1;
}

void classifier_observe(struct classifier *c, int observe)
{
	c->observe = observe;
}

void classifier_set_widths(struct classifier *c, const struct cost_widths *widths)
{
	c->codes_valid = 0;
	for (uint32_t l = 0; l < c->spec.layers; l++) {
		struct layer *layer = &c->layer[l];
		struct step_range weights = { INT32_MAX, INT32_MIN };
		const struct step_range inputs = { c->range[2 * l], c->range[2 * l + 1] };
		const int32_t activation = widths ? (int32_t)widths[l].activation : FULL_WIDTH;
		const int32_t weight = widths ? (int32_t)widths[l].weight : FULL_WIDTH;

		/* Neither has headroom: the ranges are those of training, and weights are what they are. */
		layer->activation = (struct step_quantizer){ activation, FX_ACTIVATION, 0 };
		layer->quantizer = (struct step_quantizer){ weight, FX_WEIGHT, 1 };
		if (activation < FULL_WIDTH)
			layer->activation.fraction = qat_fraction(&inputs, FX_ACTIVATION, activation, 0, 0);
		if (weight < FULL_WIDTH) {
			c->engine->range(layer->weights, layer->weight, &weights.minimum, &weights.maximum);
			layer->quantizer.fraction = qat_fraction(&weights, FX_WEIGHT, weight, 1, 0);
		}
	}
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
	const int fw = layer->quantizer.fraction;
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

/* Leaves the logits in the last layer's output. */
static void forward(struct classifier *c, size_t images, const int32_t *pixels)
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

static double batch_loss(struct classifier *c, size_t images, const uint8_t *labels, int32_t *gradient)
{
	const size_t classes = c->layer[c->spec.layers - 1].outputs;
	double sum = 0;

	for (size_t i = 0; i < images; i++)
		sum += cross_entropy(classes, c->logit + i * classes, labels[i], gradient ? gradient + i * classes : NULL);
	return sum / (double)images;
}

double classifier_loss(struct classifier *c, size_t images, const int32_t *pixels, const uint8_t *labels)
{
	forward(c, images, pixels);
	return batch_loss(c, images, labels, NULL);
}

size_t classifier_correct(struct classifier *c, size_t images, const int32_t *pixels, const uint8_t *labels)
{
	const size_t classes = c->layer[c->spec.layers - 1].outputs;
	size_t correct = 0;

	forward(c, images, pixels);
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

/* ---- Backward ---- */

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

	set_shifts(&product, FX_GRADIENT + layer->quantizer.fraction, FX_GRADIENT);
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
	struct pe_adam_counts counts = { 0, 0, 0 };
	struct pe_adam constants;
	double loss;

	forward(c, images, pixels);
	loss = batch_loss(c, images, labels, c->dy);
	for (uint32_t l = c->spec.layers; l-- > 0;) {
		parameter_gradients(c, &c->layer[l], images);
		if (!l)
			break;
		input_gradient(c, &c->layer[l], images);
		through(c, &c->layer[l - 1], c->layer[l].input_gradient, images);
	}
	nn_adam_step_size(&adam, c->powers, &constants);
	c->engine->adam(c->parameters, c->gradient, c->moment1, c->moment2_root, c->parameter, &constants, &counts);
	c->codes_valid = 0;
	return loss;
}

/* ---- State ---- */

int32_t *classifier_parameters(struct classifier *c, size_t *count)
{
	*count = c->parameters;
	return c->parameter;
}

void classifier_parameters_changed(struct classifier *c)
{
	c->codes_valid = 0;
}

const int32_t *classifier_gradients(const struct classifier *c)
{
	return c->gradient;
}

int32_t *classifier_ranges(struct classifier *c)
{
	return c->range;
}

void classifier_reset_moments(struct classifier *c)
{
	memset(c->moment1, 0, c->parameters * sizeof(*c->moment1));
	memset(c->moment2_root, 0, c->parameters * sizeof(*c->moment2_root));
	c->powers[0] = c->powers[1] = UINT64_C(1) << 62;
}
