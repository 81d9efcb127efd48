/* SPDX-License-Identifier: MIT */
/* Operand codes (lib/ARITHMETIC.md section 2), how they go through 16-bit multipliers, and the packed forms of weights. */
#include "nn/operands.h"

#include "fx/fixed.h"
#include "nn/parallel.h"

static const int class_fraction[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };

struct pe_split nn_split(unsigned bits)
{
	/* The lower piece takes 9 bits or more, so that its share of a sum stays small; the upper one 15, so that the borrow of the lower
	 * cannot carry it out of its range. */
	if (bits <= NN_PIECE_BITS)
		return (struct pe_split){ 1, 0 };
	if (bits > NN_SPLIT_BITS)
		return (struct pe_split){ 0, 0 };
	return (struct pe_split){ 2, bits - 15 > 9 ? bits - 15 : 9 };
}

unsigned nn_code_bits(const struct step_quantizer *quantizer)
{
	return (unsigned)quantizer->width + !quantizer->is_signed;
}

int nn_is_narrow(const struct nn_context *context, const struct nn_layer *layer, enum step_class class)
{
	return context->quantized && nn_code_bits(&layer->quantizer[class]) <= NN_PIECE_BITS;
}

int nn_operand_fraction(const struct step_quantizer *quantizer, enum step_class class, uint32_t magnitude)
{
	const int full = class_fraction[class];
	int fraction;

	if (quantizer->fraction != STEP_FRACTION_FOLLOWS)
		return quantizer->fraction;
	/* What is added is more than half a unit of the code: the largest value is not rounded up out of the range. */
	fraction = quantizer->width - 1 - ((int)fx_bits((uint64_t)magnitude + (magnitude >> (quantizer->width - 1))) - full);
	if (class == STEP_GRADIENT)
		fraction -= STEP_GRADIENT_HEADROOM;
	return fraction < full ? fraction : full;
}

void nn_set_operand(const struct nn_context *context, const struct step_quantizer *quantizer, enum step_class class, int fraction,
		    struct pe_operand *operand)
{
	operand->minimum = INT32_MAX;
	operand->maximum = INT32_MIN;
	operand->quantize = context->quantized && quantizer->width < 32;
	if (!operand->quantize)
		return;
	operand->shift = (unsigned)(class_fraction[class] - fraction);
	if (quantizer->is_signed) {
		operand->low = (int32_t)-(INT64_C(1) << (quantizer->width - 1));
		operand->high = (int32_t)((INT64_C(1) << (quantizer->width - 1)) - 1);
	} else {
		operand->low = 0;
		operand->high = (int32_t)((INT64_C(1) << quantizer->width) - 1);
	}
}

/* Bits of a piece. */
static unsigned piece_bits(const struct pe_split *split, unsigned bits, unsigned piece)
{
	if (split->pieces == 1)
		return bits;
	/* Rounding to the nearest multiple may carry into one bit more: 2^(bits - shift - 1) itself. */
	return piece ? bits - split->shift + 1 : split->shift;
}

size_t nn_chunk(size_t depth, const struct pe_split *a, unsigned a_bits, const uint32_t a_norm[2], const struct pe_split *b,
		unsigned b_bits, const uint32_t b_norm[2])
{
	size_t chunk = depth;

	for (unsigned i = 0; i < a->pieces; i++) {
		for (unsigned j = 0; j < b->pieces; j++) {
			const unsigned bits = piece_bits(a, a_bits, i) - 1 + piece_bits(b, b_bits, j) - 1;
			size_t most;

			/* norm * norm * unit^4 < 2^62 */
			if (depth <= PE_NORM_LENGTH && (uint64_t)a_norm[i] * b_norm[j] < UINT64_C(1) << 38)
				continue;
			most = (size_t)((UINT32_C(1) << 31) - 1) >> bits & ~(size_t)1;
			chunk = most < chunk ? most : chunk;
		}
	}
	return chunk;
}

void nn_raise(uint32_t *value, uint32_t found)
{
	uint32_t seen = __atomic_load_n(value, __ATOMIC_RELAXED);

	while (found > seen && !__atomic_compare_exchange_n(value, &seen, found, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---- Weights ---- */

/* The worker's rows of a layer: whole panels of outputs. */
static void own_rows(const struct nn_worker *worker, const struct nn_layer *layer, size_t *from, size_t *to)
{
	nn_share(layer->outputs, PE_PANEL_COLUMNS, worker->part, worker->parts, from, to);
}

static void scan_layer(struct nn_worker *worker, struct nn_layer *layer)
{
	struct pe_operand operand = { .minimum = 0, .maximum = 0 };
	size_t from, to;
	int64_t low, high;

	own_rows(worker, layer, &from, &to);
	worker->context->engine->range((to - from) * layer->inputs, layer->weight.value + from * layer->inputs, &operand.minimum,
				       &operand.maximum);
	low = -(int64_t)operand.minimum;
	high = operand.maximum;
	nn_raise(&layer->magnitude, (uint32_t)(low > high ? low : high));
}

static int follows(const struct nn_context *context, const struct nn_layer *layer)
{
	return context->quantized && layer->quantizer[STEP_WEIGHT].fraction == STEP_FRACTION_FOLLOWS;
}

/* By one worker, before all form their rows. */
static void begin_layer(const struct nn_context *context, struct nn_layer *layer)
{
	const struct step_quantizer *quantizer = &layer->quantizer[STEP_WEIGHT];
	const struct pe_form_ops *form = context->engine->form;
	const int quantize = context->quantized && quantizer->width < 32;
	const struct pe_split none = { 0, 0 }, split = quantize ? nn_split(nn_code_bits(quantizer)) : none;

	layer->clamps = 0;
	layer->codes = quantize ? layer->formed : layer->weight.value;
	layer->code_fraction = quantize ? nn_operand_fraction(quantizer, STEP_WEIGHT, layer->magnitude) : FX_WEIGHT;
	layer->forward.split = form && nn_is_narrow(context, layer, STEP_ACTIVATION) ? split : none;
	layer->backward.split = form && layer->backward.pieces && nn_is_narrow(context, layer, STEP_GRADIENT) ? split : none;
	layer->forward.norm[0] = layer->forward.norm[1] = 0;
	layer->backward.norm[0] = layer->backward.norm[1] = 0;
}

static void form_layer(struct nn_worker *worker, struct nn_layer *layer)
{
	const struct nn_context *context = worker->context;
	const struct pe_form_ops *form = context->engine->form;
	const size_t inputs = layer->inputs;
	struct pe_operand operand = { .mask = NULL };
	uint32_t norm[2] = { 0, 0 };
	size_t from, to;

	own_rows(worker, layer, &from, &to);
	if (from == to)
		return;
	nn_set_operand(context, &layer->quantizer[STEP_WEIGHT], STEP_WEIGHT, layer->code_fraction, &operand);
	if (operand.quantize)
		__atomic_fetch_add(&layer->clamps,
				   context->engine->quantize((to - from) * inputs, layer->weight.value + from * inputs, operand.shift,
							     operand.low, operand.high, layer->formed + from * inputs),
				   __ATOMIC_RELAXED);
	if (!form)
		return;
	if (layer->forward.split.pieces) {
		form->turned_panels(&layer->forward.split, from, to, inputs, layer->codes, inputs, layer->forward.pieces, norm);
		nn_raise(&layer->forward.norm[0], norm[0]);
		nn_raise(&layer->forward.norm[1], norm[1]);
	} else {
		form->wide_panels(from, to, inputs, layer->codes, inputs, layer->wide);
	}
	if (layer->backward.split.pieces) {
		/* A column's norm is the sum of those of the workers' rows; their largest, added, are not less. */
		norm[0] = norm[1] = 0;
		form->panels(&layer->backward.split, layer->dx_columns, layer->outputs, from / 2, (to + 1) / 2, layer->codes + layer->dx_first,
			     inputs, layer->backward.pieces, norm);
		__atomic_fetch_add(&layer->backward.norm[0], norm[0], __ATOMIC_RELAXED);
		__atomic_fetch_add(&layer->backward.norm[1], norm[1], __ATOMIC_RELAXED);
	}
}

void nn_form_weights(struct nn_worker *worker, struct nn_network *const networks[], unsigned count)
{
	int scan = 0, form = 0;

	for (unsigned n = 0; n < count; n++) {
		form |= !networks[n]->codes_valid;
		for (uint32_t l = 0; l < networks[n]->layers; l++)
			scan |= !networks[n]->codes_valid && follows(worker->context, &networks[n]->layer[l]);
	}
	if (!form)
		return;
	if (scan) {
		for (unsigned n = 0; n < count && worker->part == 0; n++)
			for (uint32_t l = 0; l < networks[n]->layers && !networks[n]->codes_valid; l++)
				networks[n]->layer[l].magnitude = 0;
		nn_barrier(worker);
		for (unsigned n = 0; n < count; n++)
			for (uint32_t l = 0; l < networks[n]->layers && !networks[n]->codes_valid; l++)
				if (follows(worker->context, &networks[n]->layer[l]))
					scan_layer(worker, &networks[n]->layer[l]);
		nn_barrier(worker);
	}
	for (unsigned n = 0; n < count && worker->part == 0; n++)
		for (uint32_t l = 0; l < networks[n]->layers && !networks[n]->codes_valid; l++)
			begin_layer(worker->context, &networks[n]->layer[l]);
	nn_barrier(worker);
	for (unsigned n = 0; n < count; n++)
		for (uint32_t l = 0; l < networks[n]->layers && !networks[n]->codes_valid; l++)
			form_layer(worker, &networks[n]->layer[l]);
	nn_barrier(worker);
	if (worker->part == 0)
		for (unsigned n = 0; n < count; n++)
			networks[n]->codes_valid = 1;
	nn_barrier(worker);
}
