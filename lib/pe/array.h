/* SPDX-License-Identifier: MIT */
/*
 * The model of FIXAR's adaptive array processing cores: one description of the dataflow, a counter that sums its
 * cycles, and a simulation that steps an array through it, register by register. lib/pe/ARRAY.md has a drawing and the
 * assumptions.
 *
 * Integers only, like all of lib/pe. A product's bits never depend on anything in this header; its cycles do.
 */
#ifndef FIXAR_LIB_PE_ARRAY_H
#define FIXAR_LIB_PE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "pe/engine.h"

/* Limits of what the model accepts. */
#define PE_MAX_CORES 64
#define PE_MAX_SIDE 256 /* rows, columns */
#define PE_MAX_LANES 2	/* MACs of a PE in one cycle */
#define PE_MAX_LATENCY 1024

/*
 * The modelled card. Everything here but the 16 x 16 PEs of a core is an assumption: pe_array_default() has the values,
 * and ARRAY.md what speaks for each.
 */
struct pe_array {
	uint32_t cores;
	uint32_t rows, columns; /* PEs of a core */
	uint32_t half_lanes;	/* MACs per PE and cycle on the half datapath: 2, or 1 for a card without it */
	uint32_t clock_khz;
	uint32_t output_latency;      /* cycles from a finished sum to its written result: bias, rounding, ReLU */
	uint32_t function_latency;    /* further cycles of the tanh pipeline */
	uint32_t update_lanes;	      /* per core: elements that Adam, soft update and the like take in one cycle */
	uint32_t update_latency;      /* cycles from an element's operands to its result */
	uint32_t hbm_bytes_per_cycle; /* batch in, actions out */
	uint64_t weight_bytes;	      /* weights, targets and moments of both networks */
	uint64_t gradient_bytes;      /* weight gradients of one network */
	uint64_t activation_bytes;    /* a batch, or the slice of it that is being worked on */
};

void pe_array_default(struct pe_array *array);

/* 0, or -EINVAL where a value is out of its range; `message` (may be NULL) says which, and what was expected. */
int pe_array_check(const struct pe_array *array, char *message, size_t message_size);

/* ---- Description ---- */

/* Which of a layer's products it is (struct pe_product): that decides what C's rows and the depth stand for. */
enum pe_kind {
	PE_FORWARD,	   /* rows: samples, depth: inputs */
	PE_INPUT_GRADIENT, /* rows: samples, depth: outputs */
	PE_WEIGHT_GRADIENT /* rows: outputs, depth: samples */
};

/* A half product has an operand of at most 16 bits, signed or unsigned: all of A or all of B. */
enum pe_datapath { PE_FULL, PE_HALF_A, PE_HALF_B };

/* The values of the parallelism register (enum step_parallelism). */
enum pe_parallelism {
	PE_AUTO,	/* for each product the cheaper one */
	PE_INTRA_LAYER, /* one sample after the other, the layer over all PEs of all cores */
	PE_INTRA_BATCH	/* samples of the batch side by side */
};

struct pe_shape {
	enum pe_kind kind;
	enum pe_datapath datapath;
	size_t rows, columns, depth; /* as in struct pe_product */
};

/*
 * What the rows of a core's PEs hold. Its columns always hold columns of C.
 *
 * PE_SPREAD_ROWS: different rows of C. A PE's sum is a result; those of a column leave through its drain chain, one a
 * cycle.
 *
 * PE_SPREAD_DEPTH: different parts of the depth, of one row of C. The sums of a column's PEs are added in the tree
 * below it.
 *
 * Samples lie along C's rows in two of the products and along the depth in the third, hence the parallelism means
 * the one or the other.
 */
enum pe_spread { PE_SPREAD_ROWS, PE_SPREAD_DEPTH };

/*
 * The dataflow of one product: a sequence of passes. In each, every core walks the whole depth for one tile of C, all
 * cores in step. Both the counter and the simulation work from this alone.
 */
struct pe_schedule {
	const struct pe_array *array; /* borrowed */
	struct pe_shape shape;
	enum pe_spread spread;
	int cores_on_rows; /* cores take tiles below, not beside, each other */
	size_t lanes;	   /* positions of the depth that a PE takes in one cycle */
	size_t steps;	   /* cycles in which operands enter, of every pass */
	size_t row_passes, column_passes;
	size_t row_stride, column_stride; /* of C, by pass */
};

struct pe_tile {
	size_t row, rows; /* of C; rows 0: the core is idle */
	size_t column, columns;
};

struct pe_pass {
	size_t row, column;   /* of C, where the first core's tile begins */
	size_t rows, columns; /* of the largest tile: the first core's */
	size_t drain;	      /* cycles that the results of a column occupy its drain chain */
};

/* `parallelism` is not PE_AUTO. */
void pe_schedule_make(struct pe_schedule *schedule, const struct pe_array *array, const struct pe_shape *shape,
		      enum pe_parallelism parallelism);
size_t pe_schedule_passes(const struct pe_schedule *schedule);
void pe_schedule_pass(const struct pe_schedule *schedule, size_t index, struct pe_pass *pass);
void pe_pass_tile(const struct pe_schedule *schedule, const struct pe_pass *pass, size_t core, struct pe_tile *tile);

/* Where PE row `row` stands in the depth with lane `lane` in a step; beyond shape.depth there is nothing to do. */
static inline size_t pe_depth_index(const struct pe_schedule *schedule, size_t step, size_t row, size_t lane)
{
	if (schedule->spread == PE_SPREAD_ROWS)
		return step * schedule->lanes + lane;
	return (step * schedule->array->rows + row) * schedule->lanes + lane;
}

/* Levels of the adder tree below a column of `rows` PEs, one cycle each. */
unsigned pe_tree_levels(uint32_t rows);

/* ---- Counter ---- */

struct pe_count {
	uint64_t cycles;
	uint64_t passes;
	uint64_t macs;	/* multiply-accumulates of the product */
	uint64_t slots; /* macs / lanes, rounded up: never above cycles x PEs */
	size_t lanes;
	enum pe_parallelism parallelism; /* the one used, never PE_AUTO */
};

/* A product without rows, columns or depth costs nothing. */
void pe_count_product(const struct pe_array *array, const struct pe_shape *shape, enum pe_parallelism parallelism,
		      struct pe_count *count);

/* Cycles of an element-wise pass over `elements` (Adam, soft update), and of moving `bytes` from or to HBM. */
uint64_t pe_count_elements(const struct pe_array *array, uint64_t elements);
uint64_t pe_count_transfer(const struct pe_array *array, uint64_t bytes);

/* ---- Simulation (slow: for tests and small layers) ---- */

struct pe_run {
	uint64_t cycles; /* until the last result is written */
	uint64_t macs;	 /* multiply-accumulates that the PEs did on operands, padding not counted */
	uint64_t saturations;
};

/*
 * Steps the array through a product and writes product->c. 0; -EINVAL for an empty product or an array out of range;
 * -ERANGE if the narrow operand of a half product has a value of more than 16 bits; -ENOMEM; -EIO if two results met in
 * one register, which would be a fault in the description.
 */
int pe_array_run(const struct pe_array *array, const struct pe_product *product, enum pe_kind kind,
		 enum pe_datapath datapath, enum pe_parallelism parallelism, struct pe_run *run);

#endif /* FIXAR_LIB_PE_ARRAY_H */
