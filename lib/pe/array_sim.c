// SPDX-License-Identifier: MIT
/*
 * The array, stepped cycle by cycle: PEs with their operand registers, accumulators and drain registers, the adder
 * trees and the output units. It takes the tiles of each pass from the description (array.c) and the time from nobody:
 * how long something takes is how long its registers make it take.
 *
 * In each cycle the parts of a core act from the output backwards, so that everybody reads what was in the registers
 * before the cycle.
 */
#include "pe/array.h"

#include <errno.h>
#include <stdlib.h>

#include "fx/fixed.h"

/* What travels to the right with the operands and tells a PE what they are. */
struct token {
	size_t pass;
	size_t step;
	int valid;
	int first, last; /* step of the pass */
};

struct pe {
	int32_t a[PE_MAX_LANES]; /* operand register: the next column reads it in the next cycle */
	uint64_t sum;
	uint64_t drain;
};

/* A finished sum on its way to memory. */
struct result {
	uint64_t sum;
	size_t row, column;
	int valid;
};

struct column {
	struct token token; /* with the operands that are in this column's registers */
	int finished;	    /* the last cycle's operands were a pass's last */
	size_t finished_pass;
	size_t draining;	    /* results left in the drain chain */
	struct result head;	    /* where the chain's next result belongs */
	uint64_t *tree;		    /* [level][input]; level 0 holds the captured sums */
	struct result *tree_result; /* [level] */
	struct result *output;	    /* [stage] */
};

struct core {
	struct column *columns;
	struct pe *pes;	 /* [row][column] */
	uint64_t *trees; /* of all columns, and so on */
	struct result *tree_results;
	struct result *outputs;
};

struct sequencer {
	size_t pass, passes;
	size_t step;
	size_t drain_wait; /* cycles until the drain chains can take another pass */
};

struct machine {
	struct pe_schedule schedule;
	const struct pe_product *product;
	struct sequencer sequencer;
	struct core *cores;
	uint64_t results_left;
	unsigned levels;
	size_t idle; /* cycles since the last operands entered */
	struct pe_run run;
	int error;
};

/* ---- A PE's multipliers ---- */

/* One of the two multipliers of a PE: 17 x 32 bits, signed, so that a 16-bit code of either kind fits. */
static uint64_t multiply_half(int32_t narrow, int32_t wide)
{
	return (uint64_t)((int64_t)narrow * wide);
}

/* Both together make the product of two 32-bit operands: (high * 2^16 + low) * b. */
static uint64_t multiply_full(int32_t a, int32_t b)
{
	const int32_t low = a & 0xffff;
	const int32_t high = a >> 16;

	return multiply_half(low, b) + (multiply_half(high, b) << 16);
}

static uint64_t multiply(struct machine *machine, int32_t a, int32_t b)
{
	const enum pe_datapath datapath = machine->schedule.shape.datapath;
	int32_t narrow, wide;

	if (datapath == PE_FULL)
		return multiply_full(a, b);
	narrow = datapath == PE_HALF_A ? a : b;
	wide = datapath == PE_HALF_A ? b : a;
	if (narrow < INT16_MIN || narrow > UINT16_MAX)
		machine->error = -ERANGE;
	return multiply_half(narrow, wide);
}

/* ---- Stages of a core ---- */

static void write_result(struct machine *machine, const struct result *result)
{
	const struct pe_product *product = machine->product;
	uint64_t sum = result->sum << product->up;

	if (product->bias)
		sum += (uint64_t)(int64_t)product->bias[result->column] << product->bias_up;
	product->c[result->row * product->c_row + result->column] =
		fx_saturate32(fx_round_half_up((int64_t)sum, product->down), &machine->run.saturations);
	machine->results_left--;
}

static void step_output(struct machine *machine, struct column *column, const struct result *incoming)
{
	const size_t stages = machine->schedule.array->output_latency;

	for (size_t i = stages - 1; i > 0; i--)
		column->output[i] = column->output[i - 1];
	column->output[0] = *incoming;
	if (column->output[stages - 1].valid)
		write_result(machine, &column->output[stages - 1]);
}

/* Rows spread: the sums of a column leave at the top, and all below move up by one. */
static struct result step_chain(struct machine *machine, struct core *core, size_t core_index, size_t c)
{
	const size_t rows = machine->schedule.array->rows, columns = machine->schedule.array->columns;
	struct column *column = &core->columns[c];
	struct result result = { .valid = 0 };

	if (column->finished) {
		struct pe_pass pass;
		struct pe_tile tile;

		if (column->draining)
			machine->error = -EIO;
		pe_schedule_pass(&machine->schedule, column->finished_pass, &pass);
		pe_pass_tile(&machine->schedule, &pass, core_index, &tile);
		column->draining = c < tile.columns ? tile.rows : 0;
		column->head = (struct result){ .row = tile.row, .column = tile.column + c, .valid = 1 };
		for (size_t r = 0; r < rows; r++)
			core->pes[r * columns + c].drain = core->pes[r * columns + c].sum;
	}
	if (!column->draining)
		return result;
	result = column->head;
	result.sum = core->pes[c].drain;
	column->head.row++;
	column->draining--;
	for (size_t r = 0; r + 1 < rows; r++)
		core->pes[r * columns + c].drain = core->pes[(r + 1) * columns + c].drain;
	return result;
}

/* Depth spread: the sums of a column are added in pairs, one level of the tree a cycle. */
static struct result step_tree(struct machine *machine, struct core *core, size_t core_index, size_t c)
{
	const size_t rows = machine->schedule.array->rows, columns = machine->schedule.array->columns;
	const size_t inputs = (size_t)1 << machine->levels;
	struct column *column = &core->columns[c];
	struct result result;

	for (unsigned level = machine->levels; level > 0; level--) {
		const uint64_t *above = column->tree + (level - 1) * inputs;

		for (size_t i = 0; i < inputs >> level; i++)
			column->tree[level * inputs + i] = above[2 * i] + above[2 * i + 1];
		column->tree_result[level] = column->tree_result[level - 1];
	}
	column->tree_result[0].valid = 0;
	if (column->finished) {
		struct pe_pass pass;
		struct pe_tile tile;

		pe_schedule_pass(&machine->schedule, column->finished_pass, &pass);
		pe_pass_tile(&machine->schedule, &pass, core_index, &tile);
		column->tree_result[0] =
			(struct result){ .row = tile.row, .column = tile.column + c, .valid = c < tile.columns };
		/* Inputs of the tree beyond the last row stay 0. */
		for (size_t r = 0; r < rows; r++)
			column->tree[r] = core->pes[r * columns + c].sum;
	}
	result = column->tree_result[machine->levels];
	result.sum = column->tree[machine->levels * inputs];
	return result;
}

/* The operand that enters PE row `row` at the left edge. */
static int32_t fetch_a(const struct machine *machine, const struct pe_tile *tile, size_t step, size_t row, size_t lane)
{
	const struct pe_schedule *schedule = &machine->schedule;
	const struct pe_product *product = machine->product;
	const size_t k = pe_depth_index(schedule, step, row, lane);
	const size_t m = schedule->spread == PE_SPREAD_ROWS ? row : 0;

	if (k >= product->depth || m >= tile->rows)
		return 0;
	return product->a[(tile->row + m) * product->a_row + k * product->a_column];
}

/* The operand on the column's bus (rows spread: the same for all its PEs) or on the PE's own port (depth spread). */
static int32_t fetch_b(const struct machine *machine, const struct pe_tile *tile, size_t step, size_t row, size_t c,
		       size_t lane)
{
	const struct pe_product *product = machine->product;
	const size_t k = pe_depth_index(&machine->schedule, step, row, lane);

	if (k >= product->depth || c >= tile->columns)
		return 0;
	return product->b[k * product->b_row + (tile->column + c) * product->b_column];
}

static void step_pes(struct machine *machine, struct core *core, size_t core_index, size_t c)
{
	const struct pe_schedule *schedule = &machine->schedule;
	const size_t columns = schedule->array->columns;
	struct column *column = &core->columns[c];
	const struct token *token = &column->token;
	struct pe_pass pass;
	struct pe_tile tile;

	column->finished = token->valid && token->last;
	column->finished_pass = token->pass;
	if (!token->valid)
		return;
	pe_schedule_pass(schedule, token->pass, &pass);
	pe_pass_tile(schedule, &pass, core_index, &tile);
	for (size_t r = 0; r < schedule->array->rows; r++) {
		struct pe *pe = &core->pes[r * columns + c];

		if (token->first)
			pe->sum = 0;
		for (size_t lane = 0; lane < schedule->lanes; lane++) {
			const int32_t b = fetch_b(machine, &tile, token->step, r, c, lane);

			pe->sum += multiply(machine, pe->a[lane], b);
			if (c < tile.columns && (schedule->spread == PE_SPREAD_DEPTH || r < tile.rows) &&
			    pe_depth_index(schedule, token->step, r, lane) < schedule->shape.depth)
				machine->run.macs++;
		}
	}
}

/* Operands move on by one column; new ones enter at the left. */
static void step_operands(struct machine *machine, struct core *core, size_t core_index, const struct token *entering)
{
	const struct pe_schedule *schedule = &machine->schedule;
	const size_t rows = schedule->array->rows, columns = schedule->array->columns;
	struct pe_pass pass;
	struct pe_tile tile = { 0 };

	for (size_t c = columns - 1; c > 0; c--) {
		core->columns[c].token = core->columns[c - 1].token;
		for (size_t r = 0; r < rows; r++)
			for (size_t lane = 0; lane < schedule->lanes; lane++)
				core->pes[r * columns + c].a[lane] = core->pes[r * columns + c - 1].a[lane];
	}
	core->columns[0].token = *entering;
	if (!entering->valid)
		return;
	pe_schedule_pass(schedule, entering->pass, &pass);
	pe_pass_tile(schedule, &pass, core_index, &tile);
	for (size_t r = 0; r < rows; r++)
		for (size_t lane = 0; lane < schedule->lanes; lane++)
			core->pes[r * columns].a[lane] = fetch_a(machine, &tile, entering->step, r, lane);
}

/* One sequencer for all cores: which operands enter in this cycle, if any. */
static struct token step_sequencer(struct machine *machine)
{
	struct sequencer *sequencer = &machine->sequencer;
	struct token token = { .valid = 0 };

	if (sequencer->drain_wait)
		sequencer->drain_wait--;
	if (sequencer->pass == sequencer->passes || (!sequencer->step && sequencer->drain_wait))
		return token;
	if (!sequencer->step && machine->schedule.spread == PE_SPREAD_ROWS) {
		struct pe_pass pass;

		pe_schedule_pass(&machine->schedule, sequencer->pass, &pass);
		sequencer->drain_wait = pass.rows;
	}
	token = (struct token){ .pass = sequencer->pass,
				.step = sequencer->step,
				.valid = 1,
				.first = !sequencer->step,
				.last = sequencer->step + 1 == machine->schedule.steps };
	sequencer->step++;
	if (token.last) {
		sequencer->step = 0;
		sequencer->pass++;
	}
	return token;
}

static void step_machine(struct machine *machine)
{
	const struct pe_array *array = machine->schedule.array;
	const struct token entering = step_sequencer(machine);

	for (size_t i = 0; i < array->cores; i++) {
		struct core *core = &machine->cores[i];

		for (size_t c = 0; c < array->columns; c++) {
			const struct result result = machine->schedule.spread == PE_SPREAD_ROWS
							     ? step_chain(machine, core, i, c)
							     : step_tree(machine, core, i, c);

			step_output(machine, &core->columns[c], &result);
		}
		step_operands(machine, core, i, &entering);
		for (size_t c = 0; c < array->columns; c++)
			step_pes(machine, core, i, c);
	}
	machine->run.cycles++;
	/* Nothing can still be under way after so long: a description that does not cover C would never end. */
	machine->idle = entering.valid ? 0 : machine->idle + 1;
	if (machine->idle > 2 * (size_t)array->rows + array->columns + machine->levels + array->output_latency)
		machine->error = -EIO;
}

/* ---- Entry ---- */

static void destroy_cores(struct machine *machine)
{
	for (size_t i = 0; machine->cores && i < machine->schedule.array->cores; i++) {
		free(machine->cores[i].columns);
		free(machine->cores[i].pes);
		free(machine->cores[i].trees);
		free(machine->cores[i].tree_results);
		free(machine->cores[i].outputs);
	}
	free(machine->cores);
}

static int create_cores(struct machine *machine)
{
	const struct pe_array *array = machine->schedule.array;
	const size_t tree = (size_t)(machine->levels + 1) << machine->levels;

	machine->cores = calloc(array->cores, sizeof(*machine->cores));
	if (!machine->cores)
		return -ENOMEM;
	for (size_t i = 0; i < array->cores; i++) {
		struct core *core = &machine->cores[i];

		core->columns = calloc(array->columns, sizeof(*core->columns));
		core->pes = calloc((size_t)array->rows * array->columns, sizeof(*core->pes));
		core->trees = calloc(array->columns * tree, sizeof(*core->trees));
		core->tree_results =
			calloc((size_t)array->columns * (machine->levels + 1), sizeof(*core->tree_results));
		core->outputs = calloc((size_t)array->columns * array->output_latency, sizeof(*core->outputs));
		if (!core->columns || !core->pes || !core->trees || !core->tree_results || !core->outputs)
			return -ENOMEM;
		for (size_t c = 0; c < array->columns; c++) {
			core->columns[c].tree = core->trees + c * tree;
			core->columns[c].tree_result = core->tree_results + c * (machine->levels + 1);
			core->columns[c].output = core->outputs + c * array->output_latency;
		}
	}
	return 0;
}

int pe_array_run(const struct pe_array *array, const struct pe_product *product, enum pe_kind kind,
		 enum pe_datapath datapath, enum pe_parallelism parallelism, struct pe_run *run)
{
	const struct pe_shape shape = { kind, datapath, product->rows, product->columns, product->depth };
	struct machine machine = { .product = product, .levels = pe_tree_levels(array->rows) };
	int error = pe_array_check(array, NULL, 0);

	if (error)
		return error;
	if (!shape.rows || !shape.columns || !shape.depth)
		return -EINVAL;
	if (parallelism == PE_AUTO) {
		struct pe_count count;

		pe_count_product(array, &shape, PE_AUTO, &count);
		parallelism = count.parallelism;
	}
	pe_schedule_make(&machine.schedule, array, &shape, parallelism);
	machine.sequencer.passes = pe_schedule_passes(&machine.schedule);
	machine.results_left = (uint64_t)shape.rows * shape.columns;
	error = create_cores(&machine);
	machine.error = error;
	while (machine.results_left && !machine.error)
		step_machine(&machine);
	destroy_cores(&machine);
	*run = machine.run;
	return machine.error;
}
