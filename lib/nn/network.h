/* SPDX-License-Identifier: MIT */
/*
 * Networks of fully connected layers in fixed point: forward, backward, Adam, soft update, initial weights. The
 * arithmetic is that of lib/ARITHMETIC.md; the products are the engine's.
 *
 * Nothing here owns the parameters (they lie in an agent's arena) or allocates during training.
 */
#ifndef FIXAR_LIB_NN_NETWORK_H
#define FIXAR_LIB_NN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "nn/tables.h"
#include "pe/engine.h"
#include "pe/pool.h"

#define NN_MAX_LAYERS 32

/* What all computations share: kernels, threads with their scratch memory, mode and counters. */
struct nn_context {
	const struct pe_engine *engine;
	struct pe_pool *pool;
	void **scratch;				/* one for each thread, pe_scratch_bytes(largest depth) each */
	int32_t *transposed;			/* batch x the widest layer; dY of a layer, read along the batch */
	int quantized;				/* operands go through the quantizers */
	int observe;				/* ranges are kept */
	uint64_t *saturation;			/* STEP_SATURATIONS counters */
};

struct nn_parameter {
	size_t count;
	int32_t *value;				/* master, fraction FX_WEIGHT */
	int32_t *moment1;			/* NULL for target networks, as is moment2_root */
	uint32_t *moment2_root;
	int32_t *gradient;			/* dW or db; scratch */
};

struct nn_layer {
	uint32_t inputs, outputs;
	struct nn_parameter weight;		/* [outputs][inputs] */
	struct nn_parameter bias;		/* [outputs] */
	const struct step_quantizer *quantizer;	/* STEP_CLASSES entries, shared with the target network */
	struct step_range *range;		/* likewise */
	/* Operand codes of the weights: the master itself, or `formed` when they are quantized. */
	int32_t *formed;
	const int32_t *codes;
	int code_fraction;
	uint64_t clamps;			/* that forming them counted */
};

struct nn_network {
	uint32_t layers;
	struct nn_layer layer[NN_MAX_LAYERS];
	int codes_valid;			/* cleared whenever weights, quantizers or mode change */
};

/* What a forward pass leaves behind: operand codes of every layer's input, and the last layer's output. */
struct nn_pass {
	int32_t *input[NN_MAX_LAYERS];		/* batch x inputs */
	int input_fraction[NN_MAX_LAYERS];
	int32_t *output;			/* batch x outputs of the last layer, before its activation function */
};

/*
 * Forward: the caller has put the input's master values (batch x inputs, fraction FX_ACTIVATION) into pass->input[0]; codes replace
 * them. `count_weights`: count the clamps of forming weight operands (lib/ARITHMETIC.md section 12).
 */
void nn_forward(const struct nn_context *context, struct nn_network *network, size_t batch, struct nn_pass *pass,
		int count_weights);

/*
 * Backward through a network after nn_forward() on the same pass. gradient[0] holds the last layer's dY (batch x outputs,
 * fraction FX_GRADIENT) and is overwritten, as is gradient[1]; both hold batch x the widest layer. With `parameters`, dW and db of every
 * layer are left in its nn_parameter.gradient. With input_gradient not NULL, the first layer's dX of columns [first, first + columns) goes there
 * (batch x columns).
 */
void nn_backward(const struct nn_context *context, struct nn_network *network, size_t batch, const struct nn_pass *pass,
		 int32_t *gradient[2], int parameters, int32_t *input_gradient, uint32_t first, uint32_t columns);

/* Adam's constants in the formats of lib/ARITHMETIC.md section 7; the step size is found from powers[2] (P1, P2), which advance. */
struct nn_adam {
	uint32_t beta1, one_minus_beta2, rate_mantissa, rate_exponent;
};
void nn_adam_step_size(const struct nn_adam *adam, uint64_t powers[2], struct pe_adam *constants);
/* One Adam step on all parameters of a network with the gradients that nn_backward() left. */
void nn_adam_update(const struct nn_context *context, struct nn_network *network, const struct pe_adam *constants);
void nn_soft_update(const struct nn_context *context, const struct nn_network *network, struct nn_network *target, uint32_t tau);

/* Initial weights of lib/ARITHMETIC.md section 11; `number` is 0 for the actor and 1 for the critic. Moments become 0. */
void nn_initialize(struct nn_network *network, uint64_t seed, unsigned number);

#endif /* FIXAR_LIB_NN_NETWORK_H */
