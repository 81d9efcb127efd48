/* SPDX-License-Identifier: MIT */
/*
 * Weights in crossbar cells that vary or have few levels (lib/cost/COST.md), for whatever network is quantized. Where a
 * network trains, the masters stay digital: they learn from what is computed with the cells. A cell is off by the same
 * factor however often it is written.
 */
#ifndef FIXAR_LIB_QUANTIZE_CELL_NOISE_H
#define FIXAR_LIB_QUANTIZE_CELL_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "cost/models.h"
#include "nn/store.h"

struct cell_noise {
	struct reram_parameters cells;
	uint64_t seed;
	struct nn_store store; /* cell_noise_attach()'s own */
};

/*
 * In place: the codes of weights [first, first + count) of a layer, of `width` bits and that fraction, become the
 * values that crossbars compute with, fraction FX_WEIGHT, limited to 32 bits. `network` names the network of an agent
 * as in struct nn_held; others are 0.
 */
void cell_noise_apply(const struct cell_noise *noise, unsigned network, uint32_t layer, uint32_t width, int fraction,
		      size_t first, size_t count, int32_t *codes);

struct fixar_agent;

/* The actor's masters become what crossbars hold for their codes of now, for acting alone. 0 or -errno. */
int cell_noise_disturb_actor(const struct cell_noise *noise, struct fixar_agent *agent);

/*
 * An agent that trains does so with the cells of its actor or critic, and of the target network beside it, until it is
 * destroyed; `noise` outlives it. -EOPNOTSUPP: a device that cannot; the CPU can.
 */
int cell_noise_attach(struct cell_noise *noise, struct fixar_agent *agent, int critic);

#endif /* FIXAR_LIB_QUANTIZE_CELL_NOISE_H */
