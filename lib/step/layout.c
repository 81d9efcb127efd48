/* SPDX-License-Identifier: MIT */
/* What an agent's state consists of and where it lies in the arena. */
#include "step/step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *message, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(char *message, size_t size, const char *format, ...)
{
	va_list arguments;

	if (message && size) {
		va_start(arguments, format);
		vsnprintf(message, size, format, arguments);
		va_end(arguments);
	}
	return -EINVAL;
}

int step_config_check(const struct step_config *config, char *message, size_t size)
{
	const struct step_hyperparameters *hyper = &config->hyper;

	if (config->observation_dim < 1 || config->observation_dim > STEP_MAX_WIDTH)
		return refuse(message, size, "observation dimension %u: expected 1 to %d", config->observation_dim, STEP_MAX_WIDTH);
	if (config->action_dim < 1 || config->action_dim > STEP_MAX_WIDTH)
		return refuse(message, size, "action dimension %u: expected 1 to %d", config->action_dim, STEP_MAX_WIDTH);
	if (config->hidden_count < 1 || config->hidden_count > STEP_MAX_HIDDEN)
		return refuse(message, size, "%u hidden layers: expected 1 to %d", config->hidden_count, STEP_MAX_HIDDEN);
	for (uint32_t i = 0; i < config->hidden_count; i++)
		if (config->hidden[i] < 1 || config->hidden[i] > STEP_MAX_WIDTH)
			return refuse(message, size, "hidden layer %u is %u wide: expected 1 to %d", i, config->hidden[i],
				      STEP_MAX_WIDTH);
	if (config->batch_max < 1 || config->batch_max > STEP_MAX_BATCH)
		return refuse(message, size, "batch of %u: expected 1 to %d", config->batch_max, STEP_MAX_BATCH);
	if (hyper->discount < 0)
		return refuse(message, size, "discount %d / 2^31: expected 0 or more and below 1", hyper->discount);
	if (hyper->tau < 1 || hyper->tau > UINT32_C(1) << 31)
		return refuse(message, size, "tau %u / 2^31: expected more than 0 and at most 1", hyper->tau);
	if (hyper->beta1 > (UINT32_C(1) << 31) - (UINT32_C(1) << 11))
		return refuse(message, size, "beta1 %u / 2^31: expected at most 1 - 2^-20", hyper->beta1);
	if (hyper->one_minus_beta2 < UINT32_C(1) << 12 || hyper->one_minus_beta2 >= UINT32_C(1) << 31)
		return refuse(message, size, "1 - beta2 %u / 2^32: expected 2^-20 or more and below 1/2", hyper->one_minus_beta2);
	for (int n = 0; n < STEP_NETWORKS; n++) {
		const char *name = n == STEP_ACTOR ? "actor" : "critic";

		if (hyper->rate_mantissa[n] < UINT32_C(1) << 30 || hyper->rate_mantissa[n] >= UINT32_C(1) << 31 ||
		    hyper->rate_exponent[n] < 31 || hyper->rate_exponent[n] > 50)
			return refuse(message, size, "learning rate of the %s, %u / 2^%u: expected 2^-20 to below 1", name,
				      hyper->rate_mantissa[n], hyper->rate_exponent[n]);
		if (hyper->gradient_scale[n] < -2 || hyper->gradient_scale[n] > 6)
			return refuse(message, size, "gradient scale 2^%d of the %s: expected 2^-2 to 2^6", hyper->gradient_scale[n],
				      name);
	}
	return 0;
}

uint32_t step_layers(const struct step_config *config, enum step_network network, uint32_t inputs[STEP_MAX_LAYERS],
		     uint32_t outputs[STEP_MAX_LAYERS])
{
	uint32_t width = config->observation_dim + (network == STEP_CRITIC ? config->action_dim : 0);

	for (uint32_t l = 0; l <= config->hidden_count; l++) {
		inputs[l] = width;
		width = l < config->hidden_count ? config->hidden[l] : network == STEP_ACTOR ? config->action_dim : 1;
		outputs[l] = width;
	}
	return config->hidden_count + 1;
}

struct layout {
	struct step_tensor *tensors;
	size_t capacity, count, bytes;
};

static void add(struct layout *layout, const char *name, enum step_dtype dtype, uint32_t dims, uint64_t d0, uint64_t d1,
		uint64_t d2)
{
	const uint64_t elements = d0 * (dims > 1 ? d1 : 1) * (dims > 2 ? d2 : 1);
	const size_t bytes = (size_t)elements * (dtype == STEP_U64 ? 8 : 4);

	if (layout->count < layout->capacity) {
		struct step_tensor *tensor = &layout->tensors[layout->count];

		memset(tensor, 0, sizeof(*tensor));
		snprintf(tensor->name, sizeof(tensor->name), "%s", name);
		tensor->dtype = dtype;
		tensor->dim_count = dims;
		tensor->dim[0] = d0;
		tensor->dim[1] = d1;
		tensor->dim[2] = d2;
		tensor->offset = layout->bytes;
		tensor->bytes = bytes;
	}
	layout->count++;
	layout->bytes += (bytes + STEP_ALIGNMENT - 1) & ~(size_t)(STEP_ALIGNMENT - 1);
}

static void add_parameter(struct layout *layout, const char *prefix, int moments, uint32_t dims, uint32_t d0, uint32_t d1)
{
	char name[48];

	add(layout, prefix, STEP_I32, dims, d0, d1, 0);
	if (!moments)
		return;
	snprintf(name, sizeof(name), "%s.moment1", prefix);
	add(layout, name, STEP_I32, dims, d0, d1, 0);
	snprintf(name, sizeof(name), "%s.moment2", prefix);
	add(layout, name, STEP_U32, dims, d0, d1, 0);
}

size_t step_layout(const struct step_config *config, struct step_tensor *tensors, size_t capacity, size_t *bytes)
{
	static const char *const names[2][STEP_NETWORKS] = { { "actor", "critic" }, { "actor_target", "critic_target" } };
	struct layout layout = { tensors, capacity, 0, 0 };
	const uint32_t table = 2 * (config->hidden_count + 1);

	add(&layout, "training_steps", STEP_U64, 1, 1, 0, 0);
	add(&layout, "saturation", STEP_U64, 1, STEP_SATURATIONS, 0, 0);
	add(&layout, "adam_powers", STEP_U64, 2, STEP_NETWORKS, 2, 0);
	add(&layout, "noise.count", STEP_U64, 1, 1, 0, 0);
	add(&layout, "noise.state", STEP_I32, 1, config->action_dim, 0, 0);
	add(&layout, "quantizers", STEP_I32, 3, table, STEP_CLASSES, 3);
	add(&layout, "ranges", STEP_I32, 3, table, STEP_CLASSES, 2);
	for (int target = 0; target < 2; target++) {
		for (unsigned network = 0; network < STEP_NETWORKS; network++) {
			uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
			const uint32_t layers = step_layers(config, network, inputs, outputs);

			for (uint32_t l = 0; l < layers; l++) {
				char name[32];

				snprintf(name, sizeof(name), "%s.%u.weight", names[target][network], l);
				add_parameter(&layout, name, !target, 2, outputs[l], inputs[l]);
				snprintf(name, sizeof(name), "%s.%u.bias", names[target][network], l);
				add_parameter(&layout, name, !target, 1, outputs[l], 0);
			}
		}
	}
	add(&layout, "gradient_maxima", STEP_U32, 2, STEP_BACKWARDS, config->hidden_count + 1, 0);
	if (bytes)
		*bytes = layout.bytes;
	return layout.count;
}
