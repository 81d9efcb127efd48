/* SPDX-License-Identifier: MIT */
/* Between fixed point, which the commands carry, and float. */
#ifndef FIXAR_LIB_FLOAT32_VALUES_H
#define FIXAR_LIB_FLOAT32_VALUES_H

#include <math.h>
#include <stdint.h>

#include "fx/fixed.h"

static inline float f32_of_fixed(int32_t value, int fraction)
{
	return (float)value / (float)(INT32_C(1) << fraction);
}

/* Nearest, midpoints up, limited to the int32 range. A NaN (of a network that has diverged) is 0. */
static inline int32_t f32_to_activation(float value)
{
	const double scaled = floor((double)value * FX_ONE + 0.5);

	if (scaled >= INT32_MAX)
		return INT32_MAX;
	if (scaled <= INT32_MIN)
		return INT32_MIN;
	return isnan(scaled) ? 0 : (int32_t)scaled;
}

#endif /* FIXAR_LIB_FLOAT32_VALUES_H */
