/* SPDX-License-Identifier: MIT */
/* Operand codes (lib/ARITHMETIC.md section 2), how they go through 16-bit multipliers, and the packed forms of weights. */
#include "nn/operands.h"

#include <string.h>

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

/*
 * The largest sum of products of pieces. It is 2^23 below what fits: there is room for what engines carry from one chunk to the next (12
 * bits), and for the other piece's share when they put two together (23 bits).
 */
#define SUM_LIMIT ((UINT32_C(1) << 31) - (UINT32_C(1) << 23))

/* Not less than sqrt(x), for x < 2^62; some 2^-20 of it more. */
static uint64_t root_above(uint64_t x)
{
	unsigned half_zeros;
	uint64_t top, root;

	if (!x)
		return 0;
	half_zeros = (64 - fx_bits(x)) / 2;
	top = (x << 2 * half_zeros) >> 32;
	/* sqrt(top / 2^32) in fraction 32. */
	root = top * fx_reciprocal_square_root((uint32_t)top) >> 30;
	return ((root + (root >> 20) + 2) >> half_zeros) + 1;
}

/* The most blocks whose sum of products of two pieces certainly fits 32 bits, wherever such a group of blocks begins; up to `blocks`. */
static size_t exact_blocks(size_t blocks, const uint32_t *a_norms, const uint32_t *b_norms)
{
	uint64_t bound[PE_NORM_BLOCKS];
	size_t most = blocks;

	for (size_t i = 0; i < blocks; i++)
		bound[i] = root_above((uint64_t)a_norms[i] * b_norms[i]);
	for (size_t first = 0; first < blocks; first += most) {
		uint64_t sum = 0;

		for (size_t i = first; i < blocks && i < first + most; i++) {
			sum += bound[i];
			if (sum <= SUM_LIMIT / (PE_NORM_UNIT * PE_NORM_UNIT))
				continue;
			/* Groups are all of one size: begin again with a smaller one. */
			most = i - first;
			if (!most)
				return 0;
			first = 0;
			sum = 0;
			i = (size_t)-1;
		}
	}
	return most;
}

/* The same for elements of the depth, whole vectors at once being another way to prove the whole. */
static size_t exact_elements(size_t depth, const uint32_t *a_norms, const uint32_t *b_norms)
{
	const size_t block = pe_norm_block(depth), blocks = (depth + block - 1) / block;
	uint64_t a = 0, b = 0;

	for (size_t i = 0; i < blocks; i++) {
		a += a_norms[i];
		b += b_norms[i];
	}
	if (a >> 32 == 0 && b >> 32 == 0 && root_above(a * b) <= SUM_LIMIT / (PE_NORM_UNIT * PE_NORM_UNIT))
		return depth;
	return exact_blocks(blocks, a_norms, b_norms) * block;
}

size_t nn_chunk(size_t depth, const struct pe_split *a, unsigned a_bits, const struct pe_norms *a_norms, const struct pe_split *b,
		unsigned b_bits, const struct pe_norms *b_norms)
{
	size_t chunk = depth;

	for (unsigned i = 0; i < a->pieces; i++) {
		for (unsigned j = 0; j < b->pieces; j++) {
			const unsigned bits = piece_bits(a, a_bits, i) - 1 + piece_bits(b, b_bits, j) - 1;
			const size_t by_size = (size_t)SUM_LIMIT >> bits & ~(size_t)1;
			const size_t by_norm = depth <= PE_NORM_LENGTH ? exact_elements(depth, a_norms->of[i], b_norms->of[j]) : 0;
			const size_t most = by_size > by_norm ? by_size : by_norm;

			chunk = most < chunk ? most : chunk;
		}
	}
	return chunk;
}

void nn_raise_norms(struct pe_norms *norms, const struct pe_norms *found)
{
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < PE_NORM_BLOCKS; i++)
			nn_raise(&norms->of[s][i], found->of[s][i]);
}

void nn_add_norms(struct pe_norms *norms, const struct pe_norms *found)
{
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < PE_NORM_BLOCKS; i++)
			if (found->of[s][i])
				__atomic_fetch_add(&norms->of[s][i], found->of[s][i], __ATOMIC_RELAXED);
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

static int weight_fraction(const struct nn_context *context, const struct nn_layer *layer)
{
	const struct step_quantizer *quantizer = &layer->quantizer[STEP_WEIGHT];

	return context->quantized && quantizer->width < 32 ? nn_operand_fraction(quantizer, STEP_WEIGHT, layer->magnitude) : FX_WEIGHT;
}

/* By one worker, before all form their rows. What comes out of a store is wide, whatever went in. */
static void begin_layer(const struct nn_context *context, const struct nn_network *network, struct nn_layer *layer)
{
	const struct step_quantizer *quantizer = &layer->quantizer[STEP_WEIGHT];
	const struct pe_form_ops *form = context->engine->form;
	const int quantize = context->quantized && quantizer->width < 32;
	const struct pe_split none = { 0, 0 }, split = quantize && !network->store ? nn_split(nn_code_bits(quantizer)) : none;

	layer->clamps = 0;
	layer->codes = quantize || network->store ? layer->formed : layer->weight.value;
	layer->code_fraction = network->store ? FX_WEIGHT : weight_fraction(context, layer);
	layer->forward.split = form && nn_is_narrow(context, layer, STEP_ACTIVATION) ? split : none;
	layer->backward.split = form && layer->backward.pieces && nn_is_narrow(context, layer, STEP_GRADIENT) ? split : none;
	memset(&layer->forward.norms, 0, sizeof(layer->forward.norms));
	memset(&layer->backward.norms, 0, sizeof(layer->backward.norms));
}

/* Rows at a time: their codes are packed while they are in the cache. A multiple of a panel's columns. */
#define ROWS_AT_A_TIME 32

static void hold_rows(const struct nn_context *context, const struct nn_network *network, uint32_t l, size_t from, size_t to)
{
	const struct nn_layer *layer = &network->layer[l];
	const size_t first = from * layer->inputs, count = (to - from) * layer->inputs;
	const struct nn_held held = {
		.network = network->number,
		.layer = l,
		.width = context->quantized ? layer->quantizer[STEP_WEIGHT].width : 32,
		.fraction = weight_fraction(context, layer),
		.first = first,
		.count = count,
		.codes = layer->formed + first,
	};

	if (held.width == 32)
		memcpy(held.codes, layer->weight.value + first, count * sizeof(int32_t));
	network->store->hold(network->store->user, &held);
}

static void form_layer(struct nn_worker *worker, struct nn_network *network, uint32_t l)
{
	const struct nn_context *context = worker->context;
	struct nn_layer *layer = &network->layer[l];
	const struct pe_form_ops *form = context->engine->form;
	const size_t inputs = layer->inputs;
	struct pe_operand operand = { .mask = NULL };
	struct pe_norms forward = { 0 };
	uint64_t clamps = 0;
	size_t from, to;

	own_rows(worker, layer, &from, &to);
	nn_set_operand(context, &layer->quantizer[STEP_WEIGHT], STEP_WEIGHT, weight_fraction(context, layer), &operand);
	for (size_t end; from < to; from = end) {
		end = to - from < ROWS_AT_A_TIME ? to : from + ROWS_AT_A_TIME;
		if (operand.quantize)
			clamps += context->engine->quantize((end - from) * inputs, layer->weight.value + from * inputs, operand.shift,
							    operand.low, operand.high, layer->formed + from * inputs);
		if (network->store)
			hold_rows(context, network, l, from, end);
		if (!form)
			continue;
		if (layer->forward.split.pieces)
			form->turned_panels(&layer->forward.split, from, end, inputs, layer->codes, inputs, layer->forward.pieces, &forward);
		else
			form->wide_panels(from, end, inputs, layer->codes, inputs, layer->wide);
		if (layer->backward.split.pieces) {
			struct pe_norms backward = { 0 };

			form->panels(&layer->backward.split, layer->dx_columns, layer->outputs, from / 2, (end + 1) / 2,
				     layer->codes + layer->dx_first, inputs, layer->backward.pieces, &backward);
			nn_add_norms(&layer->backward.norms, &backward);
		}
	}
	nn_raise_norms(&layer->forward.norms, &forward);
	__atomic_fetch_add(&layer->clamps, clamps, __ATOMIC_RELAXED);
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
			begin_layer(worker->context, networks[n], &networks[n]->layer[l]);
	nn_barrier(worker);
	for (unsigned n = 0; n < count; n++)
		for (uint32_t l = 0; l < networks[n]->layers && !networks[n]->codes_valid; l++)
			form_layer(worker, networks[n], l);
	nn_barrier(worker);
	if (worker->part == 0)
		for (unsigned n = 0; n < count; n++)
			networks[n]->codes_valid = 1;
	nn_barrier(worker);
}
