/* SPDX-License-Identifier: MIT */
/* Splitting work between the threads of a pool. */
#ifndef FIXAR_LIB_NN_PARALLEL_H
#define FIXAR_LIB_NN_PARALLEL_H

#include <stddef.h>

/* [*from, *to) = the part'th of `parts` shares of n items, each share a multiple of `grain` but for the last. */
static inline void nn_share(size_t n, size_t grain, unsigned part, unsigned parts, size_t *from, size_t *to)
{
	const size_t grains = (n + grain - 1) / grain;

	*from = grains * part / parts * grain;
	*to = grains * (part + 1) / parts * grain;
	if (*from > n)
		*from = n;
	if (*to > n)
		*to = n;
}

#endif /* FIXAR_LIB_NN_PARALLEL_H */
