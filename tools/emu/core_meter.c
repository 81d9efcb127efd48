// SPDX-License-Identifier: MIT
/*
 * An engine in front of the best one of this processor: counts pieces of work, which PROGRESS shows, and lets a command
 * that a reset has cut end at once. What an aborted command leaves behind is thrown away.
 */
#include "core_agent.h"

#include "pe/engine.h"

/* Multiply-accumulates of a piece: some milliseconds on a slow processor. */
#define PIECE (UINT64_C(1) << 24)

static _Thread_local _Atomic uint32_t *done;
static _Thread_local atomic_bool *aborted;
static const struct pe_engine *engine;

static bool step(void)
{
	atomic_fetch_add_explicit(done, 1, memory_order_relaxed);
	return !atomic_load_explicit(aborted, memory_order_relaxed);
}

static int available(void)
{
	return 1;
}

static uint64_t product(const struct pe_product *product, size_t row_from, size_t row_to, size_t column_from,
			size_t column_to, void *scratch)
{
	const uint64_t row = (uint64_t)(column_to - column_from) * product->depth + 1;
	const size_t rows = row < PIECE ? (size_t)(PIECE / row) : 1;
	uint64_t saturations = 0;

	for (size_t from = row_from; from < row_to && step(); from += rows) {
		const size_t to = row_to - from < rows ? row_to : from + rows;

		saturations += engine->product(product, from, to, column_from, column_to, scratch);
	}
	return saturations;
}

static uint64_t quantize(size_t n, const int32_t *values, unsigned shift, int32_t low, int32_t high, int32_t *codes)
{
	return step() ? engine->quantize(n, values, shift, low, high, codes) : 0;
}

static uint64_t operand(struct pe_operand *operand, size_t n, int32_t *values)
{
	return step() ? engine->operand(operand, n, values) : 0;
}

static void adam(size_t n, const int32_t *gradient, int32_t *moment1, uint32_t *moment2, int32_t *weight,
		 const struct pe_adam *constants, struct pe_adam_counts *counts)
{
	if (step())
		engine->adam(n, gradient, moment1, moment2, weight, constants, counts);
}

static void soft_update(size_t n, const int32_t *weight, int32_t *target, uint32_t tau)
{
	if (step())
		engine->soft_update(n, weight, target, tau);
}

static void range(size_t n, const int32_t *values, int32_t *minimum, int32_t *maximum)
{
	if (step())
		engine->range(n, values, minimum, maximum);
}

/* No .form: products without packed operands are what product() can cut into pieces. */
static const struct pe_engine meter = {
	.name = "meter",
	.available = available,
	.product = product,
	.quantize = quantize,
	.operand = operand,
	.adam = adam,
	.soft_update = soft_update,
	.range = range,
};

const struct pe_engine *core_meter(_Atomic uint32_t *progress, atomic_bool *abort)
{
	done = progress;
	aborted = abort;
	if (!engine)
		engine = pe_engine_find(NULL);
	return &meter;
}
