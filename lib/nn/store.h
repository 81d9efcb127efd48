/* SPDX-License-Identifier: MIT */
/* What holds the weights of a network in place of a memory that keeps codes as they are: analog cells, as a model of them says. */
#ifndef FIXAR_LIB_NN_STORE_H
#define FIXAR_LIB_NN_STORE_H

#include <stddef.h>
#include <stdint.h>

/* Codes that are being formed: those of the weights [first, first + count) of a layer, in the order of its tensor. */
struct nn_held {
	unsigned network;			/* enum step_network; for its target network 2 more */
	uint32_t layer;
	int32_t width;
	int fraction;
	size_t first, count;
	int32_t *codes;
};

/*
 * hold() replaces codes by the values that are computed with, of fraction FX_WEIGHT, whenever codes are formed: masters stay what they are.
 * What it makes of a code must depend on what is in struct nn_held alone, as several workers call it at a time, each for weights of its own.
 */
struct nn_store {
	void (*hold)(void *user, const struct nn_held *held);
	void *user;
};

#endif /* FIXAR_LIB_NN_STORE_H */
