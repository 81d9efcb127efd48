// SPDX-License-Identifier: MIT
/*
 * Comparing arms. Runs of one seed begin with the same networks and the same start states and are evaluated on the same
 * episodes, so the differences are taken seed by seed and a paired t test applies.
 */
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "study.h"

size_t study_mean(const double *values, size_t n, double *mean, double *deviation)
{
	double sum = 0, squares = 0;
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (isnan(values[i]))
			continue;
		sum += values[i];
		count++;
	}
	*mean = count ? sum / (double)count : (double)NAN;
	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i]))
			squares += (values[i] - *mean) * (values[i] - *mean);
	*deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : (double)NAN;
	return count;
}

void study_compare(const double *arm, const double *reference, size_t seeds, double confidence, double margin,
		   struct study_comparison *comparison)
{
	double differences[1000], error, freedom;

	*comparison = (struct study_comparison){ .bound = NAN, .p_value = NAN };
	for (size_t i = 0; i < seeds; i++)
		differences[i] = arm[i] - reference[i];
	comparison->pairs = study_mean(differences, seeds, &comparison->mean, &comparison->deviation);
	if (comparison->pairs < 2)
		return;
	error = comparison->deviation / sqrt((double)comparison->pairs);
	freedom = (double)comparison->pairs - 1;
	comparison->bound = comparison->mean - gsl_cdf_tdist_Pinv(confidence, freedom) * error;
	if (isnan(margin))
		return;
	comparison->non_inferior = comparison->bound > -margin;
	if (error > 0)
		comparison->p_value = gsl_cdf_tdist_Q((comparison->mean + margin) / error, freedom);
	else
		comparison->p_value = comparison->mean > -margin ? 0 : 1;
}
