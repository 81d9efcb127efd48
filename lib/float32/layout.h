/* SPDX-License-Identifier: MIT */
/* Where things lie in the arena of an agent of the float32 twin. */
#ifndef FIXAR_LIB_FLOAT32_LAYOUT_H
#define FIXAR_LIB_FLOAT32_LAYOUT_H

#include <stddef.h>

#include "float32/network.h"
#include "step/step.h"

/* The four arrays of a network that lie in the arena, in this order. */
enum f32_array { F32_WEIGHT, F32_TARGET, F32_MOMENT1, F32_MOMENT2, F32_ARRAYS };

/* Byte offsets in the arena. */
struct f32_places {
	size_t array[STEP_NETWORKS][F32_ARRAYS];
	size_t training_steps, noise_count, noise_state;
	size_t bytes;
};

/* Fills in layers, their places in the network's arrays, and the arrays' size. */
void f32_network_shape(const struct step_config *config, enum step_network which, struct f32_network *network);

void f32_find_places(const struct step_config *config, struct f32_places *places);

#endif /* FIXAR_LIB_FLOAT32_LAYOUT_H */
