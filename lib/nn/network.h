/* SPDX-License-Identifier: MIT */
/*
 * Networks of fully connected layers in fixed point: forward, backward, Adam, soft update, initial weights. The
 * arithmetic is that of lib/ARITHMETIC.md; the products are the engine's.
 *
 * Nothing here owns the parameters (they lie in an agent's arena) or allocates during training.
 *
 * All functions that take a worker are called by every worker of a command at the same time, in the same order, and each does its share.
 * Samples of a batch are divided in forward and backward passes, rows of weights in everything that belongs to a weight. Between the two
 * lies a nn_barrier(). With one worker all of this is plain sequential code.
 */
#ifndef FIXAR_LIB_NN_NETWORK_H
#define FIXAR_LIB_NN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "nn/store.h"
#include "nn/tables.h"
#include "pe/engine.h"
#include "pe/pool.h"

#define NN_MAX_LAYERS 32

/* What all computations share: kernels, threads, mode. */
struct nn_context {
	const struct pe_engine *engine;
	struct pe_pool *pool;
	size_t widest;				/* the largest number of inputs or outputs of a layer */
	int32_t *turned;			/* dY of a layer, read along the batch: nn_turned_elements() */
	int16_t *narrow;			/* pieces of a product's A: nn_narrow_elements() */
	int quantized;				/* operands go through the quantizers */
	int observe;				/* ranges are kept */
};

struct nn_worker {
	const struct nn_context *context;
	unsigned part, parts;
	size_t batch;				/* samples of the command */
	size_t from, to;			/* those of this worker */
	void *scratch;				/* pe_scratch_bytes(largest depth) */
	uint64_t saturation[STEP_SATURATIONS];	/* counted by this worker */
};

struct nn_parameter {
	size_t count;
	int32_t *value;				/* master, fraction FX_WEIGHT */
	int32_t *moment1;			/* NULL for target networks, as is moment2 */
	uint32_t *moment2;
	int32_t *gradient;			/* dW or db; scratch */
};

/* A tensor's pieces for 16-bit products, as B: panels; and the norms of its columns (struct pe_split). */
struct nn_panels {
	int16_t *pieces;			/* nn_panel_elements() */
	struct pe_split split;
	struct pe_norms norms;
};

struct nn_layer {
	uint32_t inputs, outputs;
	struct nn_parameter weight;		/* [outputs][inputs] */
	struct nn_parameter bias;		/* [outputs] */
	const struct step_quantizer *quantizer;	/* STEP_CLASSES entries, shared with the target network */
	struct step_range *range;		/* likewise */

	/* Operand codes of the weights: the master itself, or `formed` when they are quantized. They and their packed forms are kept until the
	 * weights change. */
	int32_t *formed;
	const int32_t *codes;
	int code_fraction;
	uint32_t magnitude;			/* the largest absolute value, where the fraction follows it */
	uint64_t clamps;			/* that forming them counted */
	struct nn_panels forward;		/* columns are outputs */
	int32_t *wide;				/* nn_wide_panel_elements(): the same in int32, where a product cannot be narrow */
	struct nn_panels backward;		/* columns are inputs [dx_first, dx_first + dx_columns); memory is NULL where dX is not needed */
	uint32_t dx_first, dx_columns;
};

struct nn_network {
	uint32_t layers;
	struct nn_layer layer[NN_MAX_LAYERS];
	int codes_valid;			/* cleared whenever weights, quantizers, mode or store change */
	const struct nn_store *store;		/* NULL: codes are kept as they are */
	unsigned number;			/* of this network, for the store */
};

/*
 * Largest absolute values of dY in one kind of backward pass, for each layer. Fractions of gradient operands follow `used`
 * (lib/ARITHMETIC.md section 5); `seen` gathers those of the running step.
 */
struct nn_maxima {
	const uint32_t *used;
	uint32_t *seen;
};

/* What the passes of a step leave behind. */
struct nn_pass {
	int32_t *input[NN_MAX_LAYERS];		/* batch x inputs: masters, then operand codes of a layer's input */
	int input_fraction[NN_MAX_LAYERS];
	int32_t *output;			/* batch x outputs of the last layer, before its activation function */
	int32_t *gradient[NN_MAX_LAYERS];	/* batch x outputs: dY of a layer, then its operand codes */
	int gradient_fraction[NN_MAX_LAYERS];
	uint32_t gradient_magnitude[NN_MAX_LAYERS];	/* the largest absolute value of dY, of all workers */
	struct nn_panels samples[NN_MAX_LAYERS];	/* the input for dW: its depth is the batch */
};

/* Elements of nn_context.narrow and .turned, for up to as many workers. */
size_t nn_narrow_elements(size_t batch, size_t widest, unsigned parts);
size_t nn_turned_elements(size_t batch, size_t widest, unsigned parts);

/* Elements of nn_panels.pieces for B of that size. */
static inline size_t nn_panel_elements(size_t depth, size_t columns, unsigned pieces)
{
	return (columns + PE_PANEL_COLUMNS - 1) / PE_PANEL_COLUMNS * pieces * pe_panel_size(depth);
}

static inline size_t nn_wide_panel_elements(size_t depth, size_t columns)
{
	return (columns + PE_PANEL_COLUMNS - 1) / PE_PANEL_COLUMNS * pe_wide_panel_size(depth);
}

void nn_barrier(const struct nn_worker *worker);

/* Operand codes and packed forms of the weights, where they are not valid. Collective, with barriers of its own, the last before it returns. */
void nn_form_weights(struct nn_worker *worker, struct nn_network *const networks[], unsigned count);

/*
 * Forward over the worker's samples: the caller has put their input's master values (fraction FX_ACTIVATION) into pass->input[0]; codes
 * replace them. `count_weights`: count the clamps of forming weight operands (lib/ARITHMETIC.md section 12).
 */
void nn_forward(struct nn_worker *worker, const struct nn_network *network, struct nn_pass *pass, int count_weights);

/*
 * Backward over the worker's samples after nn_forward() on the same pass. gradient[last layer] holds the last layer's dY (fraction
 * FX_GRADIENT). With `parameters`, all is prepared for nn_update(). With input_gradient not NULL, the first layer's dX goes there
 * (batch x dx_columns of that layer).
 */
void nn_backward(struct nn_worker *worker, const struct nn_network *network, struct nn_pass *pass, const struct nn_maxima *maxima,
		 int parameters, int32_t *input_gradient);
/* To be called once, before workers begin: nothing was seen of this pass. */
void nn_backward_begin(struct nn_pass *pass, uint32_t layers);

/* dW and db of rows [from, to) of a layer, into nn_parameter.gradient; after nn_backward() of all workers and a barrier. */
void nn_weight_gradient_rows(struct nn_worker *worker, const struct nn_network *network, const struct nn_pass *pass, uint32_t l, size_t from,
			     size_t to);

/* Adam's constants in the formats of lib/ARITHMETIC.md section 7; the step size is found from powers[2] (P1, P2), which advance. */
struct nn_adam {
	uint32_t beta1, one_minus_beta2, rate_mantissa, rate_exponent;
};
void nn_adam_step_size(const struct nn_adam *adam, uint64_t powers[2], struct pe_adam *constants);

/*
 * What a network learns from a pass: gradients, Adam, soft update of its target, for the worker's rows. The caller clears codes_valid of
 * both. A sink is called by one worker when all gradients are there, before any weight changes.
 */
struct nn_update {
	const struct pe_adam *adam;
	struct nn_network *target;
	uint32_t tau;
	void (*sink)(void *user, const struct nn_network *network);	/* NULL: none */
	void *sink_user;
};
void nn_update(struct nn_worker *worker, struct nn_network *network, const struct nn_pass *pass, const struct nn_update *update);

/* Initial weights of lib/ARITHMETIC.md section 11; `number` is 0 for the actor and 1 for the critic. Moments become 0. */
void nn_initialize(struct nn_network *network, uint64_t seed, unsigned number);

#endif /* FIXAR_LIB_NN_NETWORK_H */
