/* SPDX-License-Identifier: MIT */
/*
 * A small network of fully connected layers in double precision, with tanh between them, and Adam. For searches on the
 * host; the networks that FIXAR is about are in lib/nn and know no floating point.
 */
#ifndef FIXAR_LIB_PPO_MLP_H
#define FIXAR_LIB_PPO_MLP_H

#include <stddef.h>
#include <stdint.h>

#define MLP_MAX_LAYERS 4

struct mlp {
	unsigned layers;
	size_t size[MLP_MAX_LAYERS + 1]; /* size[0] inputs; size[l + 1] outputs of layer l */
	size_t count;			 /* parameters: for each layer weights [outputs][inputs], then biases */
	double *parameter, *gradient;
	double *moment1, *moment2;
	uint64_t steps;
	double *unit[MLP_MAX_LAYERS + 1]; /* of the last forward pass; unit[0] the input */
	double *slope;			  /* scratch of the backward pass */
};

/*
 * Weights are normal with deviation 1 / sqrt(inputs), those of the last layer times `last_scale`; biases 0. They depend on
 * `seed` and `stream` alone. 0 or -ENOMEM.
 */
int mlp_create(struct mlp *mlp, unsigned layers, const size_t *size, double last_scale, uint64_t seed, uint64_t stream);
void mlp_destroy(struct mlp *mlp);

/* The output; valid until the next call. */
const double *mlp_forward(struct mlp *mlp, const double *input);
/* Adds to the gradient what the last forward pass contributes, given the loss's derivative by its output. */
void mlp_backward(struct mlp *mlp, const double *output_gradient);
void mlp_clear_gradient(struct mlp *mlp);
/* One step of Adam, the gradient first scaled down to at most `largest` in length. */
void mlp_update(struct mlp *mlp, double rate, double largest);

#endif /* FIXAR_LIB_PPO_MLP_H */
