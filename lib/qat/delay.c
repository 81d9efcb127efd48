// SPDX-License-Identifier: MIT
/* The paper's policy: full precision for a number of steps, then 16-bit activations with the ranges seen by then. */
#include <errno.h>
#include <stdlib.h>

#include "qat/policy.h"

/* Mode `qat16` of lib/ARITHMETIC.md section 2. */
#define FIRST_ACTIVATION_WIDTH 16
#define ACTIVATION_WIDTH 15
#define WEIGHT_WIDTH 24
#define WEIGHT_FRACTION 18
/* Mode `qat16x16`: fractions of weights and gradients follow the largest absolute value. */
#define NARROW_WEIGHT_WIDTH 14
#define NARROW_GRADIENT_WIDTH 13
#define FULL_WIDTH 32
#define NARROWEST 2
#define WIDEST_NARROW 16

static const int32_t master_fraction[STEP_CLASSES] = {
	[STEP_ACTIVATION] = 20,
	[STEP_WEIGHT] = 26,
	[STEP_GRADIENT] = 24,
};

static const char *const class_name[STEP_CLASSES] = {
	[STEP_ACTIVATION] = "activation",
	[STEP_WEIGHT] = "weight",
	[STEP_GRADIENT] = "gradient",
};

struct delay_policy {
	struct qat_policy base;
	struct qat_shape shape;
	enum fixar_precision precision;
	uint64_t delay;
	int32_t headroom_bits;
	uint32_t *width; /* by table entry; 0: the mode's own */
};

int32_t qat_fraction(const struct step_range *range, int32_t full_fraction, int32_t width, int is_signed,
		     int32_t headroom_bits)
{
	const int64_t low = llabs((int64_t)range->minimum), high = llabs((int64_t)range->maximum);
	const int64_t largest = low > high ? low : high;
	int32_t bits = 0; /* e + F: the smallest with largest <= 2^bits */
	int32_t fraction;

	if (range->minimum > range->maximum || !largest)
		return full_fraction;
	while (((int64_t)1 << bits) < largest)
		bits++;
	fraction = width - (is_signed ? 1 : 0) - (bits - full_fraction) - headroom_bits;
	if (fraction < QAT_LOWEST_FRACTION)
		return QAT_LOWEST_FRACTION;
	return fraction < full_fraction ? fraction : full_fraction;
}

static int due(struct qat_policy *base, const struct qat_progress *progress)
{
	const struct delay_policy *policy = (const struct delay_policy *)base;

	return !progress->switches && progress->training_steps && progress->environment_steps >= policy->delay;
}

static struct step_quantizer quantizer(const struct delay_policy *policy, uint32_t layer, enum step_class kind,
				       uint32_t chosen_width, const struct step_range *range)
{
	/* A layer behind a ReLU has no negative inputs. */
	const int is_signed = kind != STEP_ACTIVATION || layer == 0;
	const int32_t full = master_fraction[kind];
	int32_t width = (int32_t)chosen_width;

	if (!width && policy->precision == FIXAR_QAT16X16 && kind != STEP_ACTIVATION)
		return (struct step_quantizer){ kind == STEP_WEIGHT ? NARROW_WEIGHT_WIDTH : NARROW_GRADIENT_WIDTH,
						STEP_FRACTION_FOLLOWS, 1 };
	if (!width && kind == STEP_WEIGHT)
		return (struct step_quantizer){ WEIGHT_WIDTH, WEIGHT_FRACTION, 1 };
	if (!width && kind == STEP_ACTIVATION)
		width = layer ? ACTIVATION_WIDTH : FIRST_ACTIVATION_WIDTH;
	if (!width || width == FULL_WIDTH)
		return (struct step_quantizer){ FULL_WIDTH, full, is_signed };
	/* Weights change slowly: what was seen last is what is needed, without headroom. */
	return (struct step_quantizer){
		width, qat_fraction(range, full, width, is_signed, kind == STEP_WEIGHT ? 0 : policy->headroom_bits),
		is_signed
	};
}

static enum qat_decision decide(struct qat_policy *base, const struct qat_progress *progress,
				const struct step_range *ranges, struct step_quantizer *quantizers)
{
	const struct delay_policy *policy = (const struct delay_policy *)base;

	(void)progress;
	for (uint32_t network = 0; network < STEP_NETWORKS; network++) {
		for (uint32_t layer = 0; layer < policy->shape.layers[network]; layer++) {
			for (int kind = 0; kind < STEP_CLASSES; kind++) {
				const size_t entry = qat_entry(&policy->shape, network, layer, (enum step_class)kind);

				quantizers[entry] = quantizer(policy, layer, (enum step_class)kind,
							      policy->width[entry], &ranges[entry]);
			}
		}
	}
	return QAT_SWITCH;
}

static void destroy(struct qat_policy *base)
{
	struct delay_policy *policy = (struct delay_policy *)base;

	free(policy->width);
	free(policy);
}

static const struct qat_policy_ops delay_ops = {
	.name = "delay",
	.due = due,
	.decide = decide,
	.destroy = destroy,
};

/* Takes over one entry of the user's table; 0 or -EINVAL. */
static int choose(struct delay_policy *policy, const struct fixar_layer_bits *bits, size_t index,
		  const struct log_sink *log)
{
	const uint32_t chosen[STEP_CLASSES] = {
		[STEP_ACTIVATION] = bits->activation,
		[STEP_WEIGHT] = bits->weight,
		[STEP_GRADIENT] = bits->gradient,
	};

	if (bits->network >= STEP_NETWORKS) {
		log_line(log, FIXAR_LOG_ERROR, "bits[%zu].network: %u, expected 0 (actor) or 1 (critic)", index,
			 bits->network);
		return -EINVAL;
	}
	if (bits->layer >= policy->shape.layers[bits->network]) {
		log_line(log, FIXAR_LOG_ERROR, "bits[%zu].layer: %u, expected 0 to %u", index, bits->layer,
			 policy->shape.layers[bits->network] - 1);
		return -EINVAL;
	}
	for (int kind = 0; kind < STEP_CLASSES; kind++) {
		const uint32_t width = chosen[kind];

		if (width && width != FULL_WIDTH && (width < NARROWEST || width > WIDEST_NARROW)) {
			log_line(log, FIXAR_LOG_ERROR,
				 "bits[%zu].%s: %u, expected 2 to 16, 32 (full) or 0 (the mode's own)", index,
				 class_name[kind], width);
			return -EINVAL;
		}
		policy->width[qat_entry(&policy->shape, bits->network, bits->layer, (enum step_class)kind)] = width;
	}
	return 0;
}

int qat_delay_create(const struct qat_shape *shape, enum fixar_precision precision, uint64_t delay, uint32_t headroom_bits,
		     const struct fixar_layer_bits *bits, size_t bits_count, const struct log_sink *log,
		     struct qat_policy **created)
{
	struct delay_policy *policy = calloc(1, sizeof(*policy));
	int error = -ENOMEM;

	if (!policy)
		return -ENOMEM;
	policy->base.ops = &delay_ops;
	policy->shape = *shape;
	policy->precision = precision;
	policy->delay = delay;
	policy->headroom_bits = (int32_t)headroom_bits;
	policy->width = calloc(qat_entries(shape), sizeof(*policy->width));
	if (!policy->width)
		goto failed;
	for (size_t i = 0; i < bits_count; i++) {
		error = choose(policy, &bits[i], i, log);
		if (error)
			goto failed;
	}
	*created = &policy->base;
	return 0;

failed:
	destroy(&policy->base);
	return error;
}
