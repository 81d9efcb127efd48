// SPDX-License-Identifier: MIT
/*
 * A ReRAM crossbar accelerator in the manner of ISAAC, with widths of its own for each layer. lib/cost/COST.md has the
 * dataflow in words and a case that is computed by hand.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost/models.h"
#include "cost/parameters.h"
#include "fx/random.h"

static const char builtin[] =
#include "reram.json.inc"
	;

#define OUTPUT_BITS 16 /* of the last layer's results, which no further layer quantizes */
#define STREAM_VARIATION 0x100 /* purpose of the random stream; those below 256 belong to lib/ARITHMETIC.md */

struct reram_model {
	struct cost_model base;
	struct reram_parameters parameters;
};

static const struct cost_metric metrics[RERAM_METRICS] = {
	[RERAM_CROSSBARS] = { "crossbars", "", "crossbars that hold the weights" },
	[RERAM_ENERGY] = { "energy", "nJ", "of one inference" },
	[RERAM_LATENCY] = { "latency", "us", "of one inference, layer after layer" },
	[RERAM_AREA] = { "area", "mm2", "of crossbars, converters and buffers" },
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Weight bits in slice `slice`; the upper one has what is left. */
static unsigned slice_bits(const struct reram_parameters *p, uint32_t weight, uint64_t slice)
{
	return (unsigned)least((uint64_t)p->cell_bits, weight - slice * (uint64_t)p->cell_bits);
}

/*
 * Bits that the sum of a column can have: ISAAC (section V) gives log2(rows) + input bits + cell bits, one less if
 * either of the latter is 1, and one less again with its encoding of columns.
 */
static unsigned needed_adc_bits(const struct reram_parameters *p, uint64_t rows, unsigned cell_bits)
{
	unsigned bits = 0, input_bits = (unsigned)p->input_bits;

	while ((UINT64_C(1) << bits) < rows)
		bits++;
	bits += input_bits + cell_bits;
	if (input_bits == 1 || cell_bits == 1)
		bits--;
	if (p->column_encoding != 0)
		bits--;
	return bits ? bits : 1;
}

void reram_map(const struct reram_parameters *p, const struct cost_layer *layer, const struct cost_widths *widths,
	       struct reram_mapping *mapping)
{
	const uint64_t rows = (uint64_t)p->rows, columns = (uint64_t)p->columns;
	uint64_t fullest;

	mapping->slices = divide_up(widths->weight, (uint64_t)p->cell_bits);
	mapping->row_blocks = divide_up(layer->inputs, rows);
	mapping->column_blocks = divide_up(layer->outputs * mapping->slices, columns);
	mapping->crossbars = mapping->row_blocks * mapping->column_blocks;
	mapping->cells = (uint64_t)layer->inputs * layer->outputs * mapping->slices;
	mapping->padding = 1 - (double)mapping->cells / ((double)mapping->crossbars * p->rows * p->columns);
	mapping->reads = divide_up(widths->activation, (uint64_t)p->input_bits);
	fullest = least(columns, layer->outputs * mapping->slices);
	mapping->cycle_ns = fmax(p->read_ns, (double)divide_up(fullest, (uint64_t)p->adcs) / p->conversions_per_ns);
}

/* Conversions of all columns of a layer in one read, in pJ. */
static double conversion_energy(const struct reram_parameters *p, const struct cost_layer *layer,
				const struct reram_mapping *mapping, uint32_t weight)
{
	const uint64_t rows = (uint64_t)p->rows;
	double energy = 0;

	for (uint64_t block = 0; block < mapping->row_blocks; block++) {
		const uint64_t used = least(rows, layer->inputs - block * rows);

		for (uint64_t slice = 0; slice < mapping->slices; slice++) {
			const unsigned resolution = p->adc_adapts != 0 ?
				needed_adc_bits(p, used, slice_bits(p, weight, slice)) : (unsigned)p->adc_bits;

			energy += (double)layer->outputs * p->adc_pj[resolution - 1];
		}
	}
	return energy;
}

static double layer_energy(const struct reram_parameters *p, const struct cost_network *network, uint32_t index,
			   const struct cost_widths *widths, const struct reram_mapping *mapping)
{
	const struct cost_layer *layer = &network->layer[index];
	const double columns = (double)layer->outputs * (double)mapping->slices;
	const double result_bits = index + 1 < network->layers ? widths[index + 1].activation : OUTPUT_BITS;
	double read;

	/* A row is driven once in every crossbar beside another. */
	read = (double)layer->inputs * (double)mapping->column_blocks * p->dac_pj;
	read += (double)mapping->cells * p->cell_fj * 1e-3;
	read += conversion_energy(p, layer, mapping, widths[index].weight);
	/* One for each conversion, and one for each row block that takes the weights' offset off again. */
	read += (columns + 1) * (double)mapping->row_blocks * p->shift_add_pj;

	return (double)layer->positions *
	       (read * (double)mapping->reads +
		((double)layer->inputs * widths[index].activation + (double)layer->outputs * result_bits) *
			p->buffer_bit_pj);
}

static void evaluate(const struct cost_model *model, const struct cost_network *network,
		     const struct cost_widths *widths, struct cost *layer, struct cost *total)
{
	const struct reram_parameters *p = &((const struct reram_model *)model)->parameters;
	const double crossbar_area = p->crossbar_um2 + p->adcs * p->adc_um2[(unsigned)p->adc_bits - 1] +
				     p->rows * p->dac_um2 + p->shift_add_um2;

	memset(total, 0, sizeof(*total));
	for (uint32_t l = 0; l < network->layers; l++) {
		struct reram_mapping mapping;
		struct cost cost;

		reram_map(p, &network->layer[l], &widths[l], &mapping);
		cost.value[RERAM_CROSSBARS] = (double)mapping.crossbars;
		cost.value[RERAM_ENERGY] = layer_energy(p, network, l, widths, &mapping) * 1e-3;
		cost.value[RERAM_LATENCY] =
			((double)network->layer[l].positions * (double)mapping.reads + p->pipeline_cycles) *
			mapping.cycle_ns * 1e-3;
		cost.value[RERAM_AREA] = (double)mapping.crossbars * crossbar_area * 1e-6;
		for (int m = 0; m < RERAM_METRICS; m++)
			total->value[m] += cost.value[m];
		if (layer)
			layer[l] = cost;
	}
	total->value[RERAM_AREA] +=
		ceil(total->value[RERAM_CROSSBARS] / p->crossbars_per_tile) * p->tile_um2 * 1e-6;
}

/* ---- Cells that vary ---- */

/* A normal number; draws are counted, so that a value depends on its place alone. */
static double draw_normal(uint64_t seed, uint64_t stream, uint64_t number)
{
	const struct fx_random_block block =
		fx_random_philox(seed, STREAM_VARIATION + (uint32_t)(number >> 32), stream, (uint32_t)number);

	return (double)fx_random_normal(block) / FX_ONE;
}

/* What a cell can be set to instead of a code: the nearest of so many levels, evenly spaced from 0 to `top`; of two the higher. */
static double settable(const struct reram_parameters *p, double code, double top)
{
	if (p->levels == 0 || p->levels > top)
		return code;
	return floor(code / top * (p->levels - 1) + 0.5) * top / (p->levels - 1);
}

void reram_disturb(const struct reram_parameters *p, uint32_t width, size_t first, size_t count, const int32_t *codes,
		   uint64_t seed, uint64_t stream, double *noisy)
{
	const uint64_t slices = divide_up(width, (uint64_t)p->cell_bits);
	const double offset = ldexp(1, (int)width - 1), top = ldexp(1, (int)p->cell_bits) - 1;
	/* The off state conducts too; what it adds in the mean is known and taken off. */
	const double off = p->on_off_ratio > 0 ? top / (p->on_off_ratio - 1) : 0;
	unsigned bits[COST_MAX_WIDTH];
	double worth[COST_MAX_WIDTH];

	for (uint64_t slice = 0; slice < slices; slice++) {
		bits[slice] = slice_bits(p, width, slice);
		worth[slice] = ldexp(1, (int)(slice * (uint64_t)p->cell_bits));
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t stored = (uint64_t)((double)codes[i] + offset); /* the biased weight that ISAAC stores */

		noisy[i] = -offset;
		for (uint64_t slice = 0; slice < slices; slice++) {
			const double level = settable(p, (double)(stored & ((UINT64_C(1) << bits[slice]) - 1)), top);
			double conductance = level + off;

			if (p->variation > 0)
				conductance *= 1 + p->variation * draw_normal(seed, stream, (first + i) * slices + slice);
			if (conductance < 0)
				conductance = 0;
			noisy[i] += (conductance - off) * worth[slice];
			stored >>= bits[slice];
		}
	}
}

/* ---- Parameters ---- */

static int read_parameters(const char *file, struct reram_parameters *p, char *message, size_t size)
{
	const struct parameter table[] = {
		{ "rows", &p->rows, 1, 1, 4096, 1 },
		{ "columns", &p->columns, 1, 1, 4096, 1 },
		{ "cell_bits", &p->cell_bits, 1, 1, 8, 1 },
		{ "input_bits", &p->input_bits, 1, 1, 8, 1 },
		{ "adc_bits", &p->adc_bits, 1, 1, RERAM_ADC_RESOLUTIONS, 1 },
		{ "adcs", &p->adcs, 1, 1, 4096, 1 },
		{ "adc_adapts", &p->adc_adapts, 1, 0, 1, 1 },
		{ "column_encoding", &p->column_encoding, 1, 0, 1, 1 },
		{ "read_ns", &p->read_ns, 1, 0.001, 1e6, 0 },
		{ "conversions_per_ns", &p->conversions_per_ns, 1, 1e-6, 1e3, 0 },
		{ "pipeline_cycles", &p->pipeline_cycles, 1, 0, 1e6, 1 },
		{ "crossbars_per_tile", &p->crossbars_per_tile, 1, 1, 1e6, 1 },
		{ "cell_fj", &p->cell_fj, 1, 0, 1e6, 0 },
		{ "dac_pj", &p->dac_pj, 1, 0, 1e6, 0 },
		{ "adc_pj", p->adc_pj, RERAM_ADC_RESOLUTIONS, 0, 1e6, 0 },
		{ "shift_add_pj", &p->shift_add_pj, 1, 0, 1e6, 0 },
		{ "buffer_bit_pj", &p->buffer_bit_pj, 1, 0, 1e6, 0 },
		{ "crossbar_um2", &p->crossbar_um2, 1, 0, 1e9, 0 },
		{ "dac_um2", &p->dac_um2, 1, 0, 1e9, 0 },
		{ "adc_um2", p->adc_um2, RERAM_ADC_RESOLUTIONS, 0, 1e9, 0 },
		{ "shift_add_um2", &p->shift_add_um2, 1, 0, 1e9, 0 },
		{ "tile_um2", &p->tile_um2, 1, 0, 1e9, 0 },
		{ "variation", &p->variation, 1, 0, 1, 0 },
		{ "on_off_ratio", &p->on_off_ratio, 1, 0, 1e9, 0 },
		{ "levels", &p->levels, 1, 0, 256, 1 },
	};
	unsigned needed;
	int error = parameters_read(file, builtin, table, sizeof(table) / sizeof(table[0]), message, size);

	if (error)
		return error;
	needed = needed_adc_bits(p, (uint64_t)p->rows, (unsigned)p->cell_bits);
	if (needed > (unsigned)p->adc_bits) {
		if (message)
			snprintf(message, size,
				 "adc_bits: %g, but a column of %g rows, %g-bit cells and %g-bit inputs needs %u; "
				 "ADCs that lose bits are not modelled",
				 p->adc_bits, p->rows, p->cell_bits, p->input_bits, needed);
		return -EINVAL;
	}
	if (p->on_off_ratio != 0 && p->on_off_ratio <= 1) {
		if (message)
			snprintf(message, size, "on_off_ratio: %g, expected more than 1, or 0 for an ideal off state",
				 p->on_off_ratio);
		return -EINVAL;
	}
	if (p->levels == 1) {
		if (message)
			snprintf(message, size, "levels: 1, expected at least 2, or 0 for one for each code of a cell");
		return -EINVAL;
	}
	return 0;
}

static void destroy(struct cost_model *model)
{
	free(model);
}

static const struct cost_model_ops ops = {
	.name = "reram",
	.metrics = metrics,
	.metric_count = RERAM_METRICS,
	.evaluate = evaluate,
	.destroy = destroy,
};

int reram_create(const char *parameter_file, struct cost_model **created, char *message, size_t message_size)
{
	struct reram_model *model = calloc(1, sizeof(*model));
	int error;

	if (!model)
		return -ENOMEM;
	model->base.ops = &ops;
	error = read_parameters(parameter_file, &model->parameters, message, message_size);
	if (error) {
		free(model);
		return error;
	}
	*created = &model->base;
	return 0;
}

const struct reram_parameters *reram_parameters_of(const struct cost_model *model)
{
	return model->ops == &ops ? &((const struct reram_model *)model)->parameters : NULL;
}
