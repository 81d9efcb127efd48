// SPDX-License-Identifier: MIT
#include "ddpg/normalizer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int normalizer_create(uint32_t dim, struct normalizer **created)
{
	struct normalizer *normalizer = calloc(1, sizeof(*normalizer));

	if (!normalizer)
		return -ENOMEM;
	normalizer->dim = dim;
	normalizer->mean = calloc(3 * (size_t)dim, sizeof(double));
	if (!normalizer->mean) {
		free(normalizer);
		return -ENOMEM;
	}
	normalizer->square_sum = normalizer->mean + dim;
	normalizer->deviation = normalizer->square_sum + dim;
	*created = normalizer;
	return 0;
}

void normalizer_destroy(struct normalizer *normalizer)
{
	if (!normalizer)
		return;
	free(normalizer->mean);
	free(normalizer);
}

void normalizer_refresh(struct normalizer *normalizer)
{
	for (uint32_t i = 0; i < normalizer->dim && normalizer->count; i++) {
		const double deviation = sqrt(normalizer->square_sum[i] / (double)normalizer->count);

		normalizer->deviation[i] = deviation > NORMALIZER_MIN_DEVIATION ? deviation : NORMALIZER_MIN_DEVIATION;
	}
}

void normalizer_add(struct normalizer *normalizer, const float *observation)
{
	normalizer->count++;
	for (uint32_t i = 0; i < normalizer->dim; i++) {
		const double x = (double)observation[i];
		const double before = x - normalizer->mean[i];

		normalizer->mean[i] += before / (double)normalizer->count;
		normalizer->square_sum[i] += before * (x - normalizer->mean[i]);
	}
	normalizer_refresh(normalizer);
}
