// SPDX-License-Identifier: MIT
#include "quantize/classifier_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "qat/policy.h"

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
	c->moment2 = calloc(c->parameters, sizeof(uint32_t));
	if (!c->parameter || !c->gradient || !c->moment1 || !c->moment2)
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
	free(c->moment2);
	free(c->dy);
	free(c->dcolumns);
	free(c->scratch);
	free(c);
}

const struct cost_network *classifier_network(const struct classifier *c)
{
	return &c->network;
}

/* ---- Widths ---- */

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

void classifier_set_noise(struct classifier *c, const struct cell_noise *noise)
{
	c->noise = noise;
	c->codes_valid = 0;
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
	memset(c->moment2, 0, c->parameters * sizeof(*c->moment2));
	c->powers[0] = c->powers[1] = UINT64_C(1) << 62;
}
