// SPDX-License-Identifier: MIT
/*
 * The FIXAR array: cycles of the forward products by the counter of lib/pe/array.h, and the memory that weights of
 * these widths need. Widths up to 16 bits all take the half datapath, so cycles only tell them from wider ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cost/models.h"
#include "cost/parameters.h"
#include "pe/array.h"

static const char builtin[] =
#include "array.json.inc"
	;

#define HALF_WIDTH 16

struct array_model {
	struct cost_model base;
	struct pe_array array;
	uint32_t batch;
};

static const struct cost_metric metrics[ARRAY_METRICS] = {
	[ARRAY_CYCLES] = { "cycles", "", "of the forward products of one batch" },
	[ARRAY_MEMORY] = { "memory", "KiB", "of the weights, packed at their width" },
};

static void evaluate(const struct cost_model *base, const struct cost_network *network,
		     const struct cost_widths *widths, struct cost *layer, struct cost *total)
{
	const struct array_model *model = (const struct array_model *)base;

	memset(total, 0, sizeof(*total));
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct cost_layer *shape = &network->layer[l];
		const enum pe_datapath datapath = widths[l].activation <= HALF_WIDTH ? PE_HALF_A :
						  widths[l].weight <= HALF_WIDTH     ? PE_HALF_B :
										       PE_FULL;
		struct pe_count count;
		struct cost cost = { { 0 } };

		pe_count_product(&model->array,
				 &(struct pe_shape){ PE_FORWARD, datapath, (size_t)model->batch * shape->positions,
						     shape->outputs, shape->inputs },
				 PE_AUTO, &count);
		cost.value[ARRAY_CYCLES] = (double)count.cycles;
		cost.value[ARRAY_MEMORY] = (double)shape->inputs * shape->outputs * widths[l].weight / 8 / 1024;
		for (int m = 0; m < ARRAY_METRICS; m++)
			total->value[m] += cost.value[m];
		if (layer)
			layer[l] = cost;
	}
}

/* The file's numbers as they stand in struct pe_array; the counter's own check has the last word. */
static int read_parameters(const char *file, struct array_model *model, char *message, size_t size)
{
	double cores, rows, columns, half_lanes, clock_khz, output_latency, batch;
	const struct parameter table[] = {
		{ "cores", &cores, 1, 1, PE_MAX_CORES, 1 },
		{ "rows", &rows, 1, 1, PE_MAX_SIDE, 1 },
		{ "columns", &columns, 1, 1, PE_MAX_SIDE, 1 },
		{ "half_lanes", &half_lanes, 1, 1, PE_MAX_LANES, 1 },
		{ "clock_khz", &clock_khz, 1, 1, 1e7, 1 },
		{ "output_latency", &output_latency, 1, 0, PE_MAX_LATENCY, 1 },
		{ "batch", &batch, 1, 1, 65536, 1 },
	};
	int error = parameters_read(file, builtin, table, sizeof(table) / sizeof(table[0]), message, size);

	if (error)
		return error;
	pe_array_default(&model->array);
	model->array.cores = (uint32_t)cores;
	model->array.rows = (uint32_t)rows;
	model->array.columns = (uint32_t)columns;
	model->array.half_lanes = (uint32_t)half_lanes;
	model->array.clock_khz = (uint32_t)clock_khz;
	model->array.output_latency = (uint32_t)output_latency;
	model->batch = (uint32_t)batch;
	return pe_array_check(&model->array, message, size);
}

static void destroy(struct cost_model *model)
{
	free(model);
}

static const struct cost_model_ops ops = {
	.name = "array",
	.metrics = metrics,
	.metric_count = ARRAY_METRICS,
	.evaluate = evaluate,
	.destroy = destroy,
};

int array_create(const char *parameter_file, struct cost_model **created, char *message, size_t message_size)
{
	struct array_model *model = calloc(1, sizeof(*model));
	int error;

	if (!model)
		return -ENOMEM;
	model->base.ops = &ops;
	error = read_parameters(parameter_file, model, message, message_size);
	if (error) {
		free(model);
		return error;
	}
	*created = &model->base;
	return 0;
}

const struct pe_array *array_parameters_of(const struct cost_model *base, uint32_t *batch)
{
	const struct array_model *model = (const struct array_model *)base;

	if (base->ops != &ops)
		return NULL;
	if (batch)
		*batch = model->batch;
	return &model->array;
}
