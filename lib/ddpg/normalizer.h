/* SPDX-License-Identifier: MIT */
/*
 * Running mean and variance of observations, in double precision (Welford's recurrence). Only + - * / and sqrt, which
 * IEEE 754 rounds correctly, so that the statistics are the same bits everywhere.
 */
#ifndef FIXAR_LIB_DDPG_NORMALIZER_H
#define FIXAR_LIB_DDPG_NORMALIZER_H

#include <stddef.h>
#include <stdint.h>

/*
 * A component's deviation is never taken to be less: one that hardly changes at first must not be blown up by what
 * follows.
 */
#define NORMALIZER_MIN_DEVIATION 0x1p-10

struct normalizer {
	uint32_t dim;
	uint64_t count;
	double *mean;	    /* dim */
	double *square_sum; /* dim: sum of squared distances from the mean */
	double *deviation;  /* dim: what follows from count and square_sum */
};

int normalizer_create(uint32_t dim, struct normalizer **normalizer);
void normalizer_destroy(struct normalizer *normalizer);
void normalizer_add(struct normalizer *normalizer, const float *observation);
/* To be called after count, mean and square_sum were restored. */
void normalizer_refresh(struct normalizer *normalizer);

/* One component, standardized; before there are two observations: as it is. */
static inline double normalizer_apply(const struct normalizer *normalizer, uint32_t component, double x)
{
	if (normalizer->count < 2)
		return x;
	return (x - normalizer->mean[component]) / normalizer->deviation[component];
}

#endif /* FIXAR_LIB_DDPG_NORMALIZER_H */
