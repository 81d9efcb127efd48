// SPDX-License-Identifier: MIT
/*
 * Gradient diversity, from what the device keeps anyway. MuPPET (arXiv 2006.09049) sums, over the epochs since the last
 * switch, the squared norms of a layer's gradients and divides by the squared norm of the gradients' sum; the mean over
 * layers is the diversity. Adam's moments are running means of the same two: the second of the squares, the first of the
 * gradients themselves. So sum(v) / sum(m^2) of a tensor is the diversity of the steps within Adam's memory (some 10 for
 * the first moment, 1,000 for the second), once Adam's bias is corrected: gradients that never change give 1, those that cancel
 * more.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ddpg/ddpg.h"
#include "fx/fixed.h"

/* Of the moments in fixed point (lib/ARITHMETIC.md section 2). */
#define MOMENT1_UNIT 0x1p-28
#define MOMENT2_UNIT 0x1p-58

static int ends_in(const char *name, const char *end)
{
	const size_t length = strlen(name), tail = strlen(end);

	return length >= tail && !strcmp(name + length - tail, end);
}

static const struct step_tensor *find(const struct step_tensor *tensors, size_t count, const char *stem, size_t length,
				      const char *end)
{
	for (size_t t = 0; t < count; t++)
		if (!strncmp(tensors[t].name, stem, length) && !strcmp(tensors[t].name + length, end))
			return &tensors[t];
	return NULL;
}

/* Of one weight tensor; NAN before its first gradient. */
static double diversity_of(const struct step_tensor *first, const struct step_tensor *second, const unsigned char *state)
{
	double m_squares = 0, v_sum = 0;

	for (size_t i = 0; i < first->bytes; i += 4) {
		int32_t m;
		uint32_t code;

		memcpy(&m, state + first->offset + i, sizeof(m));
		memcpy(&code, state + second->offset + i, sizeof(code));
		m_squares += (m * MOMENT1_UNIT) * (m * MOMENT1_UNIT);
		v_sum += (double)fx_moment2(code) * MOMENT2_UNIT;
	}
	return m_squares > 0 ? v_sum / m_squares : NAN;
}

/* Both moments start at 0, the second one for much longer. */
static double bias_correction(const struct ddpg *ddpg)
{
	const double steps = (double)ddpg->record.training_steps;
	const double first = 1 - pow(ddpg->options->beta1, steps), second = 1 - pow(ddpg->options->beta2, steps);

	return first * first / second;
}

double ddpg_gradient_diversity(void *user)
{
	struct ddpg *ddpg = user;
	const struct step_tensor *tensors;
	unsigned char *state = NULL;
	size_t count, bytes, layers = 0;
	double sum = 0;

	if (ddpg->device->ops->state_layout(ddpg->device, &tensors, &count, &bytes))
		return NAN;
	state = malloc(bytes + 1);
	if (state && !ddpg->device->ops->state_read(ddpg->device, state)) {
		for (size_t t = 0; t < count; t++) {
			const struct step_tensor *first = &tensors[t], *second;
			double diversity;

			if (!ends_in(first->name, ".weight.moment1") || first->dtype != STEP_I32)
				continue;
			second = find(tensors, count, first->name, strlen(first->name) - 1, "2");
			diversity = second ? diversity_of(first, second, state) : NAN;
			if (!isnan(diversity)) {
				sum += diversity;
				layers++;
			}
		}
	}
	free(state);
	return layers ? sum / (double)layers * bias_correction(ddpg) : NAN;
}
