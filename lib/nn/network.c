/* SPDX-License-Identifier: MIT */
/* Forward and backward through a network (lib/ARITHMETIC.md sections 2, 3, 5, 9). */
#include "nn/network.h"

#include "fx/fixed.h"
#include "nn/parallel.h"

/* Elements that one thread should at least get: below this, waking others costs more than it saves. */
#define ELEMENT_GRAIN 2048

static const int class_fraction[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
static const enum step_saturation class_counter[STEP_CLASSES] = {
	STEP_SATURATION_ACTIVATION_QUANTIZER,
	STEP_SATURATION_WEIGHT_QUANTIZER,
	STEP_SATURATION_GRADIENT_QUANTIZER,
};

/* ---- Products ---- */

struct product_work {
	const struct nn_context *context;
	const struct pe_product *product;
	uint64_t saturations;
};

static void product_part(void *user, unsigned part, unsigned parts)
{
	struct product_work *work = user;
	size_t from, to;

	nn_share(work->product->columns, PE_PANEL_COLUMNS, part, parts, &from, &to);
	if (from < to)
		__atomic_fetch_add(&work->saturations,
				   work->context->engine->product(work->product, 0, work->product->rows, from, to,
								  work->context->scratch[part]),
				   __ATOMIC_RELAXED);
}

static void run_product(const struct nn_context *context, const struct pe_product *product, enum step_saturation counter)
{
	struct product_work work = { context, product, 0 };

	/* Some 16 multiply-accumulates a nanosecond. */
	pe_pool_share(context->pool, product->rows * product->columns * product->depth / 16, product_part, &work);
	context->saturation[counter] += work.saturations;
}

/* The shifts that bring a sum with fraction `from` to fraction `to`. */
static void set_shifts(struct pe_product *product, int from, int to)
{
	product->up = from < to ? (unsigned)(to - from) : 0;
	product->down = from < to ? 0 : (unsigned)(from - to);
}

/* ---- Values to operand codes ---- */

static void operand_limits(const struct step_quantizer *quantizer, int32_t *low, int32_t *high)
{
	if (quantizer->is_signed) {
		*low = (int32_t)-(INT64_C(1) << (quantizer->width - 1));
		*high = (int32_t)((INT64_C(1) << (quantizer->width - 1)) - 1);
	} else {
		*low = 0;
		*high = (int32_t)((INT64_C(1) << quantizer->width) - 1);
	}
}

/* One pass over a tensor: ReLU or its mask, the range, the codes. */
struct operand_work {
	const struct nn_context *context;
	const struct step_quantizer *quantizer;	/* NULL: the codes are the master values */
	unsigned shift;
	int rectify;
	const int32_t *mask;			/* values become 0 where this is not positive; NULL: none */
	struct step_range *range;		/* NULL: not observed */
	size_t count;
	int32_t *values;			/* become the codes, in place */
	uint64_t clamps;
};

static void range_merge(struct step_range *range, int32_t minimum, int32_t maximum)
{
	int32_t seen = __atomic_load_n(&range->minimum, __ATOMIC_RELAXED);

	while (minimum < seen && !__atomic_compare_exchange_n(&range->minimum, &seen, minimum, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	seen = __atomic_load_n(&range->maximum, __ATOMIC_RELAXED);
	while (maximum > seen && !__atomic_compare_exchange_n(&range->maximum, &seen, maximum, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void operand_part(void *user, unsigned part, unsigned parts)
{
	struct operand_work *work = user;
	int32_t *values = work->values;
	size_t from, to;

	nn_share(work->count, ELEMENT_GRAIN, part, parts, &from, &to);
	if (from >= to)
		return;
	if (work->rectify)
		for (size_t i = from; i < to; i++)
			values[i] = values[i] > 0 ? values[i] : 0;
	if (work->mask)
		for (size_t i = from; i < to; i++)
			values[i] = work->mask[i] > 0 ? values[i] : 0;
	if (work->range) {
		int32_t minimum = INT32_MAX, maximum = INT32_MIN;

		work->context->engine->range(to - from, values + from, &minimum, &maximum);
		range_merge(work->range, minimum, maximum);
	}
	if (work->quantizer) {
		int32_t low, high;

		operand_limits(work->quantizer, &low, &high);
		__atomic_fetch_add(&work->clamps,
				   work->context->engine->quantize(to - from, values + from, work->shift, low, high, values + from),
				   __ATOMIC_RELAXED);
	}
}

/*
 * Turns the master values of a layer's activation or gradient tensor into operand codes, in place, and returns their fraction.
 */
static int form_operand(const struct nn_context *context, const struct nn_layer *layer, enum step_class class, int rectify,
			const int32_t *mask, size_t count, int32_t *values)
{
	const struct step_quantizer *quantizer = &layer->quantizer[class];
	const int quantize = context->quantized && quantizer->width < 32;
	struct operand_work work = {
		.context = context,
		.quantizer = quantize ? quantizer : NULL,
		.shift = quantize ? (unsigned)(class_fraction[class] - quantizer->fraction) : 0,
		.rectify = rectify,
		.mask = mask,
		.range = context->observe ? &layer->range[class] : NULL,
		.count = count,
		.values = values,
	};

	if (quantize || rectify || mask || work.range)
		pe_pool_share(context->pool, count / 2, operand_part, &work);
	context->saturation[class_counter[class]] += work.clamps;
	return quantize ? quantizer->fraction : class_fraction[class];
}

struct weight_work {
	const struct nn_context *context;
	struct nn_layer *layer;
};

static void weight_part(void *user, unsigned part, unsigned parts)
{
	struct weight_work *work = user;
	struct nn_layer *layer = work->layer;
	const struct step_quantizer *quantizer = &layer->quantizer[STEP_WEIGHT];
	int32_t low, high;
	size_t from, to;

	nn_share(layer->weight.count, ELEMENT_GRAIN, part, parts, &from, &to);
	if (from >= to)
		return;
	operand_limits(quantizer, &low, &high);
	__atomic_fetch_add(&layer->clamps,
			   work->context->engine->quantize(to - from, layer->weight.value + from,
							   (unsigned)(FX_WEIGHT - quantizer->fraction), low, high, layer->formed + from),
			   __ATOMIC_RELAXED);
}

/* The weights' operand codes are kept until the weights change; each forward pass of a training step counts their clamps anew. */
static void form_weights(const struct nn_context *context, struct nn_network *network, int count_weights)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		struct nn_layer *layer = &network->layer[l];

		if (!network->codes_valid) {
			const struct step_quantizer *quantizer = &layer->quantizer[STEP_WEIGHT];

			layer->clamps = 0;
			layer->codes = layer->weight.value;
			layer->code_fraction = FX_WEIGHT;
			if (context->quantized && quantizer->width < 32) {
				struct weight_work work = { context, layer };

				pe_pool_share(context->pool, layer->weight.count / 2, weight_part, &work);
				layer->codes = layer->formed;
				layer->code_fraction = quantizer->fraction;
			}
		}
		if (count_weights)
			context->saturation[STEP_SATURATION_WEIGHT_QUANTIZER] += layer->clamps;
	}
	network->codes_valid = 1;
}

/* ---- Forward ---- */

void nn_forward(const struct nn_context *context, struct nn_network *network, size_t batch, struct nn_pass *pass, int count_weights)
{
	form_weights(context, network, count_weights);
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct nn_layer *layer = &network->layer[l];
		const int last = l + 1 == network->layers;
		struct pe_product product = {
			.rows = batch, .columns = layer->outputs, .depth = layer->inputs,
			.a = pass->input[l], .a_row = layer->inputs, .a_column = 1,
			.b = layer->codes, .b_row = 1, .b_column = layer->inputs,
			.bias = layer->bias.value,
			.c = last ? pass->output : pass->input[l + 1], .c_row = layer->outputs,
		};
		int sum_fraction, top;

		pass->input_fraction[l] = form_operand(context, layer, STEP_ACTIVATION, l > 0, NULL, batch * layer->inputs,
						       pass->input[l]);
		sum_fraction = pass->input_fraction[l] + layer->code_fraction;
		top = sum_fraction > FX_WEIGHT ? sum_fraction : FX_WEIGHT;
		product.up = (unsigned)(top - sum_fraction);
		product.bias_up = (unsigned)(top - FX_WEIGHT);
		product.down = (unsigned)(top - FX_ACTIVATION);
		run_product(context, &product, STEP_SATURATION_ACTIVATION);
	}
}

/* ---- Backward ---- */

/* The exponent of the batch size rounded up to a power of two. */
static int batch_bits(size_t batch)
{
	return batch > 1 ? (int)fx_bits(batch - 1) : 0;
}

/* Reading dY along the batch touches a new cache line for each sample, once per column panel: cheaper to turn it once. */
static void transpose(size_t rows, size_t columns, const int32_t *restrict from, int32_t *restrict to)
{
	const size_t block = 16;

	for (size_t c0 = 0; c0 < columns; c0 += block)
		for (size_t r = 0; r < rows; r++)
			for (size_t c = c0; c < columns && c < c0 + block; c++)
				to[c * rows + r] = from[r * columns + c];
}

static void weight_gradient(const struct nn_context *context, const struct nn_layer *layer, size_t batch, const int32_t *dy,
			    int dy_fraction, const int32_t *x, int x_fraction)
{
	const int lb = batch_bits(batch);
	struct pe_product product = {
		.rows = layer->outputs, .columns = layer->inputs, .depth = batch,
		.a = context->transposed, .a_row = batch, .a_column = 1,
		.b = x, .b_row = layer->inputs, .b_column = 1,
		.c = layer->weight.gradient, .c_row = layer->inputs,
	};

	transpose(batch, layer->outputs, dy, context->transposed);
	set_shifts(&product, dy_fraction + x_fraction + lb, FX_WEIGHT_GRADIENT);
	run_product(context, &product, STEP_SATURATION_WEIGHT_GRADIENT);

	for (uint32_t n = 0; n < layer->outputs; n++) {
		int64_t sum = 0;

		for (size_t b = 0; b < batch; b++)
			sum += dy[b * layer->outputs + n];
		layer->bias.gradient[n] = fx_requantize(sum, dy_fraction + lb, FX_WEIGHT_GRADIENT,
							&context->saturation[STEP_SATURATION_WEIGHT_GRADIENT]);
	}
}

static void input_gradient_product(const struct nn_context *context, const struct nn_layer *layer, size_t batch, const int32_t *dy,
				   int dy_fraction, uint32_t first, uint32_t columns, int32_t *dx)
{
	struct pe_product product = {
		.rows = batch, .columns = columns, .depth = layer->outputs,
		.a = dy, .a_row = layer->outputs, .a_column = 1,
		.b = layer->codes + first, .b_row = layer->inputs, .b_column = 1,
		.c = dx, .c_row = columns,
	};

	set_shifts(&product, dy_fraction + layer->code_fraction, FX_GRADIENT);
	run_product(context, &product, STEP_SATURATION_GRADIENT);
}

void nn_backward(const struct nn_context *context, struct nn_network *network, size_t batch, const struct nn_pass *pass,
		 int32_t *gradient[2], int parameters, int32_t *input_gradient, uint32_t first, uint32_t columns)
{
	int32_t *dy = gradient[0], *dx = gradient[1];
	const int32_t *mask = NULL;

	for (uint32_t l = network->layers; l-- > 0;) {
		const struct nn_layer *layer = &network->layer[l];
		const int fraction = form_operand(context, layer, STEP_GRADIENT, 0, mask, batch * layer->outputs, dy);
		int32_t *swap = dy;

		if (parameters)
			weight_gradient(context, layer, batch, dy, fraction, pass->input[l], pass->input_fraction[l]);
		if (l == 0) {
			if (input_gradient)
				input_gradient_product(context, layer, batch, dy, fraction, first, columns, input_gradient);
			break;
		}
		input_gradient_product(context, layer, batch, dy, fraction, 0, layer->inputs, dx);
		mask = pass->input[l];
		dy = dx;
		dx = swap;
	}
}
