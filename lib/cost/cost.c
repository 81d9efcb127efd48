// SPDX-License-Identifier: MIT
#include "cost/cost.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cost/models.h"

static const struct {
	const char *name;
	int (*create)(const char *parameter_file, struct cost_model **model, char *message, size_t message_size);
} models[] = {
	{ "reram", reram_create },
	{ "array", array_create },
};

int cost_model_create(const char *name, const char *parameter_file, struct cost_model **model, char *message,
		      size_t message_size)
{
	*model = NULL;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (!strcmp(models[i].name, name))
			return models[i].create(parameter_file, model, message, message_size);
	if (message)
		snprintf(message, message_size, "there is no hardware \"%s\"; expected reram or array", name);
	return -ENOENT;
}

void cost_model_destroy(struct cost_model *model)
{
	if (model)
		model->ops->destroy(model);
}

int cost_metric_find(const struct cost_model *model, const char *name)
{
	for (unsigned i = 0; i < model->ops->metric_count; i++)
		if (!strcmp(model->ops->metrics[i].name, name))
			return (int)i;
	return -1;
}

static int refuse_layer(const struct cost_layer *layer, const char *what, uint32_t value, char *message, size_t size)
{
	if (message)
		snprintf(message, size, "layer %s: %s of %u, expected %d to %d", layer->name, what, value,
			 COST_MIN_WIDTH, COST_MAX_WIDTH);
	return -EINVAL;
}

int cost_check(const struct cost_network *network, const struct cost_widths *widths, char *message,
	       size_t message_size)
{
	if (!network->layers || network->layers > COST_MAX_LAYERS) {
		if (message)
			snprintf(message, message_size, "a network of %u layers: expected 1 to %d", network->layers,
				 COST_MAX_LAYERS);
		return -EINVAL;
	}
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct cost_layer *layer = &network->layer[l];

		if (!layer->inputs || !layer->outputs || !layer->positions) {
			if (message)
				snprintf(message, message_size, "layer %s is empty: %u x %u inputs and outputs, %u times",
					 layer->name, layer->inputs, layer->outputs, layer->positions);
			return -EINVAL;
		}
		if (widths[l].activation < COST_MIN_WIDTH || widths[l].activation > COST_MAX_WIDTH)
			return refuse_layer(layer, "an activation width", widths[l].activation, message, message_size);
		if (widths[l].weight < COST_MIN_WIDTH || widths[l].weight > COST_MAX_WIDTH)
			return refuse_layer(layer, "a weight width", widths[l].weight, message, message_size);
	}
	return 0;
}

double cost_of(const struct cost_model *model, unsigned metric, const struct cost_network *network,
	       const struct cost_widths *widths)
{
	struct cost total;

	model->ops->evaluate(model, network, widths, NULL, &total);
	return total.value[metric];
}
