// SPDX-License-Identifier: MIT
/* The modelled card and the description of its dataflow. */
#include "pe/array.h"

#include <errno.h>
#include <stdio.h>

/* The one place where the assumptions have their values; lib/pe/ARRAY.md says what speaks for each. */
void pe_array_default(struct pe_array *array)
{
	*array = (struct pe_array){
		.cores = 2,
		.rows = 16,
		.columns = 16,
		.half_lanes = 2,
		.clock_khz = 164000,
		.output_latency = 8,
		.function_latency = 64,
		.update_lanes = 16,
		.update_latency = 64,
		.hbm_bytes_per_cycle = 32,
		.weight_bytes = UINT64_C(14) << 20,
		.gradient_bytes = UINT64_C(4) << 20,
		.activation_bytes = UINT64_C(4) << 20,
	};
}

int pe_array_check(const struct pe_array *array, char *message, size_t message_size)
{
	const struct {
		const char *name;
		uint64_t value, low, high;
	} fields[] = {
		{ "cores", array->cores, 1, PE_MAX_CORES },
		{ "rows", array->rows, 1, PE_MAX_SIDE },
		{ "columns", array->columns, 1, PE_MAX_SIDE },
		{ "MACs per PE on the half datapath", array->half_lanes, 1, PE_MAX_LANES },
		{ "clock in kHz", array->clock_khz, 1, 10000000 },
		{ "output latency", array->output_latency, 1, PE_MAX_LATENCY },
		{ "tanh latency", array->function_latency, 0, PE_MAX_LATENCY },
		{ "update lanes", array->update_lanes, 1, PE_MAX_SIDE },
		{ "update latency", array->update_latency, 0, PE_MAX_LATENCY },
		{ "HBM bytes per cycle", array->hbm_bytes_per_cycle, 1, 1 << 16 },
		{ "bytes of weight memory", array->weight_bytes, 1, UINT64_C(1) << 40 },
		{ "bytes of gradient memory", array->gradient_bytes, 1, UINT64_C(1) << 40 },
		{ "bytes of activation memory", array->activation_bytes, 1, UINT64_C(1) << 40 },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].value >= fields[i].low && fields[i].value <= fields[i].high)
			continue;
		if (message)
			snprintf(message, message_size, "%s of the modelled card: %llu; expected %llu to %llu",
				 fields[i].name, (unsigned long long)fields[i].value, (unsigned long long)fields[i].low,
				 (unsigned long long)fields[i].high);
		return -EINVAL;
	}
	return 0;
}

static size_t divide_up(size_t a, size_t b)
{
	return a / b + (a % b != 0);
}

void pe_schedule_make(struct pe_schedule *schedule, const struct pe_array *array, const struct pe_shape *shape,
		      enum pe_parallelism parallelism)
{
	/* Samples lie along the rows of C, but along the depth of a weight gradient. */
	const int samples_on_rows = shape->kind != PE_WEIGHT_GRADIENT;
	const int side_by_side = parallelism == PE_INTRA_BATCH;

	*schedule = (struct pe_schedule){
		.array = array,
		.shape = *shape,
		.spread = samples_on_rows == side_by_side ? PE_SPREAD_ROWS : PE_SPREAD_DEPTH,
		/*
		 * Cores that hold different samples read the same weights, so that one read serves all. Everywhere else
		 * they hold different columns of C: the depth is never split between cores, because their sums would
		 * have to meet.
		 */
		.cores_on_rows = samples_on_rows && side_by_side,
		.lanes = shape->datapath == PE_FULL ? 1 : array->half_lanes,
		.row_stride = 1,
		.column_stride = array->columns,
	};
	schedule->steps = divide_up(shape->depth, schedule->lanes);
	if (schedule->spread == PE_SPREAD_DEPTH)
		schedule->steps = divide_up(schedule->steps, array->rows);
	else
		schedule->row_stride = array->rows;
	if (schedule->cores_on_rows)
		schedule->row_stride *= array->cores;
	else
		schedule->column_stride *= array->cores;
	schedule->row_passes = divide_up(shape->rows, schedule->row_stride);
	schedule->column_passes = divide_up(shape->columns, schedule->column_stride);
}

size_t pe_schedule_passes(const struct pe_schedule *schedule)
{
	return schedule->row_passes * schedule->column_passes;
}

static size_t extent(size_t from, size_t limit, size_t most)
{
	if (from >= limit)
		return 0;
	return limit - from < most ? limit - from : most;
}

void pe_pass_tile(const struct pe_schedule *schedule, const struct pe_pass *pass, size_t core, struct pe_tile *tile)
{
	const struct pe_array *array = schedule->array;
	const size_t rows = schedule->spread == PE_SPREAD_ROWS ? array->rows : 1;

	*tile = (struct pe_tile){ .row = pass->row, .column = pass->column };
	if (schedule->cores_on_rows)
		tile->row += core * rows;
	else
		tile->column += core * array->columns;
	tile->rows = extent(tile->row, schedule->shape.rows, rows);
	tile->columns = extent(tile->column, schedule->shape.columns, array->columns);
	if (!tile->rows || !tile->columns)
		tile->rows = tile->columns = 0;
}

void pe_schedule_pass(const struct pe_schedule *schedule, size_t index, struct pe_pass *pass)
{
	struct pe_tile tile;

	*pass = (struct pe_pass){
		.row = index / schedule->column_passes * schedule->row_stride,
		.column = index % schedule->column_passes * schedule->column_stride,
	};
	/* No core has a larger tile than the first, neither in rows nor in columns. */
	pe_pass_tile(schedule, pass, 0, &tile);
	pass->rows = tile.rows;
	pass->columns = tile.columns;
	pass->drain = schedule->spread == PE_SPREAD_ROWS ? tile.rows : 1;
}

unsigned pe_tree_levels(uint32_t rows)
{
	unsigned levels = 0;

	while ((UINT32_C(1) << levels) < rows)
		levels++;
	return levels;
}
