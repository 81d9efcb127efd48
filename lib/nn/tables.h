/* SPDX-License-Identifier: MIT */
/* The tables that each layer has (operand quantizers, observed ranges) and the saturation counters. */
#ifndef FIXAR_LIB_NN_TABLES_H
#define FIXAR_LIB_NN_TABLES_H

#include <stdint.h>

/* Tensor classes that have an operand quantizer and an observed range per layer. */
enum step_class {
	STEP_ACTIVATION,
	STEP_WEIGHT,
	STEP_GRADIENT,
	STEP_CLASSES
};

/*
 * A fraction that says: the operand's fraction follows the largest absolute value (lib/ARITHMETIC.md section 2). Weights and gradients of 2
 * to 16 bits may have it.
 */
#define STEP_FRACTION_FOLLOWS 127
/* Bits that a gradient may grow by before its operands are limited. */
#define STEP_GRADIENT_HEADROOM 1

/* Operand quantizer (lib/ARITHMETIC.md section 2). Width 32: the master itself. */
struct step_quantizer {
	int32_t width;
	int32_t fraction;
	int32_t is_signed;
};

struct step_range {
	int32_t minimum;	/* master values; minimum > maximum: nothing observed */
	int32_t maximum;
};

/* Saturation counters, in the order of lib/ARITHMETIC.md section 12. */
enum step_saturation {
	STEP_SATURATION_ACTIVATION,
	STEP_SATURATION_ACTIVATION_QUANTIZER,
	STEP_SATURATION_WEIGHT_QUANTIZER,
	STEP_SATURATION_GRADIENT,
	STEP_SATURATION_GRADIENT_QUANTIZER,
	STEP_SATURATION_WEIGHT_GRADIENT,
	STEP_SATURATION_MOMENT,			/* 0: nothing limits a moment; the place stays */
	STEP_SATURATION_RATIO,
	STEP_SATURATION_WEIGHT,
	STEP_SATURATION_TARGET_VALUE,
	STEP_SATURATIONS
};

#endif /* FIXAR_LIB_NN_TABLES_H */
