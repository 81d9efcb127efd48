/* SPDX-License-Identifier: MIT */
/* Forward and backward through a network (lib/ARITHMETIC.md sections 2, 3, 5, 9). */
#include "nn/network.h"

#include <string.h>

#include "fx/fixed.h"
#include "nn/operands.h"
#include "nn/parallel.h"

static const enum step_saturation class_counter[STEP_CLASSES] = {
	STEP_SATURATION_ACTIVATION_QUANTIZER,
	STEP_SATURATION_WEIGHT_QUANTIZER,
	STEP_SATURATION_GRADIENT_QUANTIZER,
};

/* Elements of a row of pieces: whole vectors. */
static size_t padded(size_t elements)
{
	return (elements + 31) & ~(size_t)31;
}

/* The most outputs that one worker has of a layer. Workers may be at different layers, so each has room of its own for as many. */
static size_t most_outputs(size_t widest, unsigned parts)
{
	return (widest / PE_PANEL_COLUMNS / parts + 2) * PE_PANEL_COLUMNS;
}

size_t nn_narrow_elements(size_t batch, size_t widest, unsigned parts)
{
	/* Rows are samples with a layer's width, or a layer's outputs, in two pieces, with the batch. */
	const size_t samples = batch * padded(widest), outputs = 2 * parts * most_outputs(widest, parts) * padded(batch);

	return samples > outputs ? samples : outputs;
}

size_t nn_turned_elements(size_t batch, size_t widest, unsigned parts)
{
	return parts * most_outputs(widest, parts) * batch;
}

void nn_barrier(const struct nn_worker *worker)
{
	if (worker->parts > 1)
		pe_pool_barrier(worker->context->pool);
}

static size_t samples(const struct nn_worker *worker)
{
	return worker->to - worker->from;
}

/* ---- Values to operand codes ---- */

static void range_merge(struct step_range *range, int32_t minimum, int32_t maximum)
{
	int32_t seen = __atomic_load_n(&range->minimum, __ATOMIC_RELAXED);

	while (minimum < seen && !__atomic_compare_exchange_n(&range->minimum, &seen, minimum, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	seen = __atomic_load_n(&range->maximum, __ATOMIC_RELAXED);
	while (maximum > seen && !__atomic_compare_exchange_n(&range->maximum, &seen, maximum, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The pass over the worker's part of a layer's activation or gradient tensor. `operand` has mask and rectify; it comes back with the range. */
static void form_operand(struct nn_worker *worker, const struct nn_layer *layer, enum step_class class, int fraction, size_t width,
			 int32_t *values, struct pe_operand *operand)
{
	const struct nn_context *context = worker->context;

	nn_set_operand(context, &layer->quantizer[class], class, fraction, operand);
	worker->saturation[class_counter[class]] += context->engine->operand(operand, samples(worker) * width, values);
	if (context->observe)
		range_merge(&layer->range[class], operand->minimum, operand->maximum);
}

static int mode_fraction(const struct nn_context *context, const struct step_quantizer *quantizer, enum step_class class, uint32_t magnitude)
{
	static const int full[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };

	return context->quantized && quantizer->width < 32 ? nn_operand_fraction(quantizer, class, magnitude) : full[class];
}

/* ---- Forward ---- */

/* The worker's rows of A, in pieces of 16 bits: those of `codes`, which begin with the worker's first sample. */
static const int16_t *narrow_rows(struct nn_worker *worker, const int32_t *codes, size_t width, struct pe_norms *norms)
{
	static const struct pe_split one = { 1, 0 };
	int16_t *rows = worker->context->narrow + worker->from * padded(worker->context->widest);

	memset(norms, 0, sizeof(*norms));
	worker->context->engine->form->rows(&one, samples(worker), width, codes, width, rows, padded(width), norms);
	return rows;
}

/* What a product of samples and weights needs besides its result: narrow if that is exact. Returns whether it was done. */
static int narrow_product(struct nn_worker *worker, const struct nn_layer *layer, enum step_class class, const struct nn_panels *panels,
			  const int32_t *codes, size_t depth, struct pe_narrow *product, enum step_saturation counter)
{
	const struct pe_split one = { 1, 0 };
	struct pe_norms norms;

	if (!panels->split.pieces)
		return 0;
	product->a = narrow_rows(worker, codes, depth, &norms);
	product->a_row = padded(depth);
	product->a_split = one;
	product->b = panels->pieces;
	product->b_split = panels->split;
	product->depth = depth;
	product->rows = samples(worker);
	product->chunk = nn_chunk(depth, &one, nn_code_bits(&layer->quantizer[class]), &norms, &panels->split,
				  nn_code_bits(&layer->quantizer[STEP_WEIGHT]), &panels->norms);
	if (!product->chunk)
		return 0;
	worker->saturation[counter] += worker->context->engine->form->product(product, 0, product->rows, 0, product->columns);
	return 1;
}

static void forward_product(struct nn_worker *worker, const struct nn_layer *layer, const int32_t *codes, int fraction, int32_t *out)
{
	const int sum_fraction = fraction + layer->code_fraction;
	const int top = sum_fraction > FX_WEIGHT ? sum_fraction : FX_WEIGHT;
	struct pe_narrow narrow = {
		.columns = layer->outputs,
		.bias = layer->bias.value,
		.up = (unsigned)(top - sum_fraction),
		.bias_up = (unsigned)(top - FX_WEIGHT),
		.down = (unsigned)(top - FX_ACTIVATION),
		.c = out, .c_row = layer->outputs,
	};
	const struct pe_product product = {
		.rows = samples(worker), .columns = layer->outputs, .depth = layer->inputs,
		.a = codes, .a_row = layer->inputs, .a_column = 1,
		.b = layer->codes, .b_row = 1, .b_column = layer->inputs,
		.panels = worker->context->engine->form && !layer->forward.split.pieces ? layer->wide : NULL,
		.bias = layer->bias.value,
		.up = narrow.up, .bias_up = narrow.bias_up, .down = narrow.down,
		.c = out, .c_row = layer->outputs,
	};

	if (!narrow_product(worker, layer, STEP_ACTIVATION, &layer->forward, codes, layer->inputs, &narrow, STEP_SATURATION_ACTIVATION))
		worker->saturation[STEP_SATURATION_ACTIVATION] += worker->context->engine->product(&product, 0, product.rows, 0,
												   product.columns, worker->scratch);
}

void nn_forward(struct nn_worker *worker, const struct nn_network *network, struct nn_pass *pass, int count_weights)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct nn_layer *layer = &network->layer[l];
		const int last = l + 1 == network->layers;
		int32_t *codes = pass->input[l] + worker->from * layer->inputs;
		int32_t *out = (last ? pass->output : pass->input[l + 1]) + worker->from * layer->outputs;
		const int fraction = mode_fraction(worker->context, &layer->quantizer[STEP_ACTIVATION], STEP_ACTIVATION, 0);
		struct pe_operand operand = { .rectify = l > 0 };

		if (count_weights && worker->part == 0)
			worker->saturation[STEP_SATURATION_WEIGHT_QUANTIZER] += layer->clamps;
		if (worker->from == worker->to)
			continue;
		/* One worker has the first sample. */
		if (worker->from == 0)
			pass->input_fraction[l] = fraction;
		form_operand(worker, layer, STEP_ACTIVATION, fraction, layer->inputs, codes, &operand);
		forward_product(worker, layer, codes, fraction, out);
	}
}

/* ---- Backward over samples ---- */

/* The shifts that bring a sum with fraction `from` to fraction `to`. */
static void set_shifts(int from, int to, unsigned *up, unsigned *down)
{
	*up = from < to ? (unsigned)(to - from) : 0;
	*down = from < to ? 0 : (unsigned)(from - to);
}

static void input_gradient_product(struct nn_worker *worker, const struct nn_layer *layer, const int32_t *dy, int fraction, int32_t *dx)
{
	struct pe_narrow narrow = { .columns = layer->dx_columns, .c = dx, .c_row = layer->dx_columns };
	struct pe_product product = {
		.rows = samples(worker), .columns = layer->dx_columns, .depth = layer->outputs,
		.a = dy, .a_row = layer->outputs, .a_column = 1,
		.b = layer->codes + layer->dx_first, .b_row = layer->inputs, .b_column = 1,
		.c = dx, .c_row = layer->dx_columns,
	};

	set_shifts(fraction + layer->code_fraction, FX_GRADIENT, &product.up, &product.down);
	narrow.up = product.up;
	narrow.down = product.down;
	if (!narrow_product(worker, layer, STEP_GRADIENT, &layer->backward, dy, layer->outputs, &narrow, STEP_SATURATION_GRADIENT))
		worker->saturation[STEP_SATURATION_GRADIENT] += worker->context->engine->product(&product, 0, product.rows, 0,
												 product.columns, worker->scratch);
}

/* The worker's samples of the layer's input as panels, whose depth is the batch. */
static void form_samples(struct nn_worker *worker, const struct nn_layer *layer, struct nn_pass *pass, uint32_t l)
{
	const struct nn_context *context = worker->context;
	struct nn_panels *panels = &pass->samples[l];
	const struct pe_split one = { 1, 0 };
	struct pe_norms norms = { 0 };

	if (!context->engine->form || !nn_is_narrow(context, layer, STEP_ACTIVATION))
		return;
	/* Shares of samples begin at even numbers. */
	context->engine->form->panels(&one, layer->inputs, worker->batch, worker->from / 2, (worker->to + 1) / 2, pass->input[l],
				      layer->inputs, panels->pieces, &norms);
	nn_add_norms(&panels->norms, &norms);
}

void nn_backward_begin(struct nn_pass *pass, uint32_t layers)
{
	for (uint32_t l = 0; l < layers; l++) {
		pass->gradient_magnitude[l] = 0;
		memset(&pass->samples[l].norms, 0, sizeof(pass->samples[l].norms));
	}
}

static uint32_t magnitude(const struct pe_operand *operand)
{
	const int64_t low = operand->minimum < 0 ? -(int64_t)operand->minimum : 0, high = operand->maximum > 0 ? operand->maximum : 0;

	return (uint32_t)(low > high ? low : high);
}

void nn_backward(struct nn_worker *worker, const struct nn_network *network, struct nn_pass *pass, const struct nn_maxima *maxima,
		 int parameters, int32_t *input_gradient)
{
	if (worker->from == worker->to)
		return;
	for (uint32_t l = network->layers; l-- > 0;) {
		const struct nn_layer *layer = &network->layer[l];
		const struct step_quantizer *quantizer = &layer->quantizer[STEP_GRADIENT];
		int32_t *dy = pass->gradient[l] + worker->from * layer->outputs;
		const int fraction = mode_fraction(worker->context, quantizer, STEP_GRADIENT, maxima->used[l]);
		struct pe_operand operand = { .mask = NULL };

		/* The ReLU above this layer let through what became a positive code. */
		if (l + 1 < network->layers)
			operand.mask = pass->input[l + 1] + worker->from * layer->outputs;
		form_operand(worker, layer, STEP_GRADIENT, fraction, layer->outputs, dy, &operand);
		nn_raise(&maxima->seen[l], magnitude(&operand));
		nn_raise(&pass->gradient_magnitude[l], magnitude(&operand));
		if (worker->from == 0)
			pass->gradient_fraction[l] = fraction;
		if (parameters)
			form_samples(worker, layer, pass, l);
		if (l > 0)
			input_gradient_product(worker, layer, dy, fraction, pass->gradient[l - 1] + worker->from * layer->inputs);
		else if (input_gradient)
			input_gradient_product(worker, layer, dy, fraction, input_gradient + worker->from * layer->dx_columns);
	}
}

/* ---- Gradients of parameters ---- */

/* The exponent of the batch size rounded up to a power of two. */
static int batch_bits(size_t batch)
{
	return batch > 1 ? (int)fx_bits(batch - 1) : 0;
}

static void bias_gradient(struct nn_worker *worker, const struct nn_layer *layer, const int32_t *dy, int fraction, size_t from, size_t to)
{
	enum { BLOCK = 64 };

	for (size_t n = from; n < to; n += BLOCK) {
		const size_t width = to - n < BLOCK ? to - n : BLOCK;
		int64_t sum[BLOCK] = { 0 };

		for (size_t b = 0; b < worker->batch; b++)
			for (size_t i = 0; i < width; i++)
				sum[i] += dy[b * layer->outputs + n + i];
		for (size_t i = 0; i < width; i++)
			layer->bias.gradient[n + i] = fx_requantize(sum[i], fraction, FX_WEIGHT_GRADIENT,
								    &worker->saturation[STEP_SATURATION_WEIGHT_GRADIENT]);
	}
}

/* dY as A of a narrow product, if it has few enough significant bits: in a batch these are often fewer than in the format. */
static int narrow_weight_gradient(struct nn_worker *worker, const struct nn_layer *layer, const struct nn_pass *pass, uint32_t l, size_t from,
				  size_t to, unsigned up, unsigned down)
{
	const struct nn_context *context = worker->context;
	const struct nn_panels *samples_of = &pass->samples[l];
	/* Masters have those of the largest and the sign. */
	const unsigned bits = context->quantized && layer->quantizer[STEP_GRADIENT].width < 32 ?
				      nn_code_bits(&layer->quantizer[STEP_GRADIENT]) :
				      fx_bits(pass->gradient_magnitude[l]) + 1;
	const struct pe_split one = { 1, 0 };
	struct pe_narrow product = {
		.rows = to - from, .columns = layer->inputs, .depth = worker->batch,
		.a_row = padded(worker->batch), .a_split = nn_split(bits),
		.b = samples_of->pieces, .b_split = one,
		.up = up, .down = down,
		.c = layer->weight.gradient + from * layer->inputs, .c_row = layer->inputs,
	};
	struct pe_norms norms = { 0 };
	int16_t *rows;

	if (!context->engine->form || !nn_is_narrow(context, layer, STEP_ACTIVATION) || !product.a_split.pieces)
		return 0;
	rows = context->narrow + worker->part * most_outputs(context->widest, worker->parts) * 2 * product.a_row;
	context->engine->form->turned_rows(&product.a_split, to - from, worker->batch, pass->gradient[l] + from, layer->outputs, rows,
					   product.a_row, &norms);
	product.a = rows;
	product.chunk = nn_chunk(worker->batch, &product.a_split, bits, &norms, &one, nn_code_bits(&layer->quantizer[STEP_ACTIVATION]),
				 &samples_of->norms);
	if (!product.chunk)
		return 0;
	worker->saturation[STEP_SATURATION_WEIGHT_GRADIENT] += context->engine->form->product(&product, 0, to - from, 0, layer->inputs);
	return 1;
}

/* Reading dY along the batch touches a new cache line for each sample, once per column panel: cheaper to turn it once. */
static void turn(size_t rows, size_t row, size_t columns, const int32_t *restrict from, int32_t *restrict to)
{
	const size_t block = 16;

	for (size_t c0 = 0; c0 < columns; c0 += block)
		for (size_t r = 0; r < rows; r++)
			for (size_t c = c0; c < columns && c < c0 + block; c++)
				to[c * rows + r] = from[r * row + c];
}

static void wide_weight_gradient(struct nn_worker *worker, const struct nn_layer *layer, const struct nn_pass *pass, uint32_t l, size_t from,
				 size_t to, unsigned up, unsigned down)
{
	int32_t *turned = worker->context->turned +
			  worker->part * most_outputs(worker->context->widest, worker->parts) * worker->batch;
	const struct pe_product product = {
		.rows = to - from, .columns = layer->inputs, .depth = worker->batch,
		.a = turned, .a_row = worker->batch, .a_column = 1,
		.b = pass->input[l], .b_row = layer->inputs, .b_column = 1,
		.up = up, .down = down,
		.c = layer->weight.gradient + from * layer->inputs, .c_row = layer->inputs,
	};

	turn(worker->batch, layer->outputs, to - from, pass->gradient[l] + from, turned);
	worker->saturation[STEP_SATURATION_WEIGHT_GRADIENT] += worker->context->engine->product(&product, 0, to - from, 0, layer->inputs,
												worker->scratch);
}

void nn_weight_gradient_rows(struct nn_worker *worker, const struct nn_network *network, const struct nn_pass *pass, uint32_t l, size_t from,
			     size_t to)
{
	const struct nn_layer *layer = &network->layer[l];
	const int fraction = pass->gradient_fraction[l] + batch_bits(worker->batch);
	unsigned up, down;

	set_shifts(fraction + pass->input_fraction[l], FX_WEIGHT_GRADIENT, &up, &down);
	if (!narrow_weight_gradient(worker, layer, pass, l, from, to, up, down))
		wide_weight_gradient(worker, layer, pass, l, from, to, up, down);
	bias_gradient(worker, layer, pass->gradient[l], fraction, from, to);
}
