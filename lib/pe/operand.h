/* SPDX-License-Identifier: MIT */
/* pe_engine.operand of the vector engines: plain loops that the compiler vectorizes with the flags of the file that includes this. */
#ifndef FIXAR_LIB_PE_OPERAND_H
#define FIXAR_LIB_PE_OPERAND_H

#include "pe/engine.h"

/* The compiler drops what does not apply where these are constants. */
static inline __attribute__((always_inline)) uint64_t operand_loop(struct pe_operand *operand, size_t n, int32_t *values, int rectify,
								   int masked, int quantize)
{
	const int32_t *mask = operand->mask;
	const int32_t low = operand->low, high = operand->high;
	int32_t minimum = operand->minimum, maximum = operand->maximum;
	const unsigned shift = operand->shift;
	/* rhu(v, s) = (v >> s) + bit s - 1 of v: no intermediate leaves 32 bits. */
	const unsigned below = shift ? shift - 1 : 0;
	const uint32_t one = shift ? 1 : 0;
	uint64_t clamps = 0;

	/* Counts of 32 bits: as many lanes as values. */
	for (size_t from = 0; from < n; from += 1 << 20) {
		const size_t to = n - from < 1 << 20 ? n : from + (1 << 20);
		uint32_t count = 0;

		for (size_t i = from; i < to; i++) {
			int32_t v = values[i];

			if (rectify)
				v = v > 0 ? v : 0;
			if (masked)
				v = mask[i] > 0 ? v : 0;
			minimum = v < minimum ? v : minimum;
			maximum = v > maximum ? v : maximum;
			if (quantize) {
				const int32_t code = (v >> shift) + (int32_t)((uint32_t)v >> below & one);
				const int32_t up = code < low ? low : code;
				const int32_t limited = up > high ? high : up;

				count += limited != code;
				v = limited;
			}
			values[i] = v;
		}
		clamps += count;
	}
	operand->minimum = minimum;
	operand->maximum = maximum;
	return clamps;
}

static uint64_t operand_pass(struct pe_operand *operand, size_t n, int32_t *values)
{
	/* A shift by 32 or more gives 0, or -1 and 1: rare enough for the scalar engine. */
	if (operand->quantize && operand->shift > 31)
		return pe_scalar.operand(operand, n, values);
	if (operand->quantize)
		return operand->mask ? operand_loop(operand, n, values, 0, 1, 1) :
		       operand->rectify ? operand_loop(operand, n, values, 1, 0, 1) : operand_loop(operand, n, values, 0, 0, 1);
	return operand->mask ? operand_loop(operand, n, values, 0, 1, 0) :
	       operand->rectify ? operand_loop(operand, n, values, 1, 0, 0) : operand_loop(operand, n, values, 0, 0, 0);
}

#endif /* FIXAR_LIB_PE_OPERAND_H */
