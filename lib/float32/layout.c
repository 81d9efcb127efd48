/* SPDX-License-Identifier: MIT */
/* The arena of an agent of the float32 twin, and the names of what is in it. */
#include "float32/layout.h"

#include <stdio.h>
#include <string.h>

#include "float32/agent.h"

_Static_assert(STEP_ALIGNMENT == F32_PANEL * sizeof(float), "tensors are padded to F32_PANEL elements");

void f32_network_shape(const struct step_config *config, enum step_network which, struct f32_network *network)
{
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];

	network->layers = step_layers(config, which, inputs, outputs);
	network->size = 0;
	for (uint32_t l = 0; l < network->layers; l++) {
		struct f32_layer *layer = &network->layer[l];

		layer->inputs = inputs[l];
		layer->outputs = outputs[l];
		layer->weight = network->size;
		network->size += f32_round_up(layer->inputs * layer->outputs);
		layer->bias = network->size;
		network->size += f32_round_up(layer->outputs);
	}
}

static size_t aligned(size_t bytes)
{
	return (bytes + STEP_ALIGNMENT - 1) / STEP_ALIGNMENT * STEP_ALIGNMENT;
}

void f32_find_places(const struct step_config *config, struct f32_places *places)
{
	size_t bytes = 0;

	places->training_steps = bytes;
	bytes += aligned(sizeof(uint64_t));
	places->noise_count = bytes;
	bytes += aligned(sizeof(uint64_t));
	places->noise_state = bytes;
	bytes += aligned(config->action_dim * sizeof(int32_t));
	for (unsigned which = 0; which < STEP_NETWORKS; which++) {
		struct f32_network network;

		f32_network_shape(config, which, &network);
		for (unsigned array = 0; array < F32_ARRAYS; array++) {
			places->array[which][array] = bytes;
			bytes += network.size * sizeof(float);
		}
	}
	places->bytes = bytes;
}

struct tensor_list {
	struct step_tensor *tensors;
	size_t capacity, count;
};

/* `columns` 0: a vector of `rows` elements. */
static void add(struct tensor_list *list, const char *name, enum step_dtype dtype, size_t offset, uint64_t rows,
		uint64_t columns)
{
	if (list->count < list->capacity) {
		struct step_tensor *tensor = &list->tensors[list->count];

		memset(tensor, 0, sizeof(*tensor));
		snprintf(tensor->name, sizeof(tensor->name), "%s", name);
		tensor->dtype = dtype;
		tensor->dim_count = columns ? 2 : 1;
		tensor->dim[0] = rows;
		tensor->dim[1] = columns;
		tensor->offset = offset;
		tensor->bytes = (size_t)(rows * (columns ? columns : 1)) * (dtype == STEP_U64 ? 8 : 4);
	}
	list->count++;
}

static void add_array(struct tensor_list *list, const char *network_name, const struct f32_network *network,
		      size_t offset, const char *suffix)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct f32_layer *layer = &network->layer[l];
		char name[sizeof(list->tensors->name)];

		snprintf(name, sizeof(name), "%s.%u.weight%s", network_name, l, suffix);
		add(list, name, STEP_F32, offset + layer->weight * sizeof(float), layer->outputs, layer->inputs);
		snprintf(name, sizeof(name), "%s.%u.bias%s", network_name, l, suffix);
		add(list, name, STEP_F32, offset + layer->bias * sizeof(float), layer->outputs, 0);
	}
}

size_t f32_layout(const struct step_config *config, struct step_tensor *tensors, size_t capacity, size_t *bytes)
{
	static const char *const names[STEP_NETWORKS] = { "actor", "critic" };
	static const char *const target_names[STEP_NETWORKS] = { "actor_target", "critic_target" };
	static const char *const suffixes[F32_ARRAYS] = { "", "", ".moment1", ".moment2" };
	struct tensor_list list = { tensors, capacity, 0 };
	struct f32_places places;

	f32_find_places(config, &places);
	add(&list, "training_steps", STEP_U64, places.training_steps, 1, 0);
	add(&list, "noise.count", STEP_U64, places.noise_count, 1, 0);
	add(&list, "noise.state", STEP_I32, places.noise_state, config->action_dim, 0);
	for (unsigned which = 0; which < STEP_NETWORKS; which++) {
		struct f32_network network;

		f32_network_shape(config, which, &network);
		for (unsigned array = 0; array < F32_ARRAYS; array++)
			add_array(&list, array == F32_TARGET ? target_names[which] : names[which], &network,
				  places.array[which][array], suffixes[array]);
	}
	if (bytes)
		*bytes = places.bytes;
	return list.count;
}
