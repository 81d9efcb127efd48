// SPDX-License-Identifier: MIT
/*
 * The cycle counter: sums the passes of a product's schedule. What it says is tested against the simulation
 * (array_sim.c), cycle for cycle, so that it can stand for it where layers are large.
 */
#include "pe/array.h"

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/*
 * Cycle 0 is the one in which a product's first operands enter column 0. With a pass that starts in cycle t:
 *
 *	t + steps - 1 + c		column c sees the pass's last operands: they move on by one column a cycle
 *	t + steps + c			its sums are in the drain registers; the first result leaves the chain
 *	t + steps + c + rows - 1	rows spread: the last result leaves the chain
 *	t + steps + c + levels		depth spread: the one result leaves the tree
 *
 * and a result is written output_latency - 1 cycles after it has left. The next pass starts when this one's operands
 * have entered, but not before its results would find the drain registers empty: max(steps, drain) cycles later.
 */
static uint64_t schedule_cycles(const struct pe_schedule *schedule)
{
	const struct pe_array *array = schedule->array;
	const size_t passes = pe_schedule_passes(schedule);
	const unsigned levels = pe_tree_levels(array->rows);
	uint64_t start = 0, cycles = 0;

	for (size_t i = 0; i < passes; i++) {
		struct pe_pass pass;
		uint64_t end;

		pe_schedule_pass(schedule, i, &pass);
		end = start + schedule->steps + (pass.columns - 1) + array->output_latency;
		end += schedule->spread == PE_SPREAD_ROWS ? pass.rows - 1 : levels;
		/* A small last tile can be done before the one ahead of it. */
		if (end > cycles)
			cycles = end;
		start += schedule->steps > pass.drain ? schedule->steps : pass.drain;
	}
	return cycles;
}

void pe_count_product(const struct pe_array *array, const struct pe_shape *shape, enum pe_parallelism parallelism,
		      struct pe_count *count)
{
	struct pe_schedule schedule;

	if (parallelism == PE_AUTO) {
		struct pe_count intra_layer;

		pe_count_product(array, shape, PE_INTRA_LAYER, &intra_layer);
		pe_count_product(array, shape, PE_INTRA_BATCH, count);
		if (intra_layer.cycles < count->cycles)
			*count = intra_layer;
		return;
	}
	*count = (struct pe_count){ .parallelism = parallelism, .lanes = 1 };
	if (!shape->rows || !shape->columns || !shape->depth)
		return;
	pe_schedule_make(&schedule, array, shape, parallelism);
	count->cycles = schedule_cycles(&schedule);
	count->passes = pe_schedule_passes(&schedule);
	count->macs = (uint64_t)shape->rows * shape->columns * shape->depth;
	count->lanes = schedule.lanes;
	count->slots = divide_up(count->macs, count->lanes);
}

uint64_t pe_count_elements(const struct pe_array *array, uint64_t elements)
{
	if (!elements)
		return 0;
	return divide_up(elements, (uint64_t)array->update_lanes * array->cores) + array->update_latency;
}

uint64_t pe_count_transfer(const struct pe_array *array, uint64_t bytes)
{
	return divide_up(bytes, array->hbm_bytes_per_cycle);
}
