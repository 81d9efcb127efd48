/* SPDX-License-Identifier: MIT */
/*
 * What a device executes: the one definition of the commands ACT, TRAIN and READ_RANGES on the state of one agent.
 * The CPU device and the emulated card both link it; nothing above the device layer sees below it.
 *
 * The whole state of an agent (both networks, their targets, moments, quantizers, ranges, noise state, counters) lies in one
 * contiguous block, the *arena*, so that it can live in a card's memory. step_layout() names what lies where; a
 * checkpoint is these tensors and nothing else.
 *
 * All values are fixed point (lib/ARITHMETIC.md); no function here computes with floating point.
 */
#ifndef FIXAR_LIB_STEP_STEP_H
#define FIXAR_LIB_STEP_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "nn/store.h"
#include "nn/tables.h"

#define STEP_SCHEMA 3			/* of the arena; changes whenever its layout or meaning does */
#define STEP_MAX_HIDDEN 31
#define STEP_MAX_LAYERS (STEP_MAX_HIDDEN + 1)
#define STEP_MAX_WIDTH 16384
#define STEP_MAX_BATCH 65536
#define STEP_ALIGNMENT 64		/* of every tensor in the arena, bytes */

enum step_network {
	STEP_ACTOR,
	STEP_CRITIC,
	STEP_NETWORKS
};

/* Backward passes of a training step: each has layers whose gradients are of a size of their own. */
enum step_backward {
	STEP_BACKWARD_ACTOR,
	STEP_BACKWARD_CRITIC,			/* of the TD error */
	STEP_BACKWARD_ACTION,			/* of Q through the critic, to the action */
	STEP_BACKWARDS
};

/* Hyperparameters in the formats of lib/ARITHMETIC.md sections 6 to 8. */
struct step_hyperparameters {
	int32_t discount;			/* fraction 31 */
	uint32_t tau;				/* fraction 31, at most 2^31 */
	uint32_t beta1;				/* fraction 31 */
	uint32_t one_minus_beta2;		/* fraction 32 */
	uint32_t rate_mantissa[STEP_NETWORKS];	/* learning rate = mantissa / 2^exponent */
	uint32_t rate_exponent[STEP_NETWORKS];
	int32_t gradient_scale[STEP_NETWORKS];	/* log2; dY of the network is multiplied by 2^this */
};

/* What an agent is; fixed when it is created. */
struct step_config {
	uint32_t observation_dim;
	uint32_t action_dim;
	uint32_t hidden_count;
	uint32_t hidden[STEP_MAX_HIDDEN];
	uint32_t batch_max;			/* the largest batch that TRAIN will be given, and observations that ACT will be */
	uint64_t seed;
	struct step_hyperparameters hyper;
};

enum step_noise {
	STEP_NOISE_NONE,
	STEP_NOISE_GAUSSIAN,
	STEP_NOISE_OU
};

enum step_parallelism {
	STEP_PARALLELISM_AUTO,
	STEP_INTRA_LAYER,
	STEP_INTRA_BATCH
};

/* Mode registers: configuration that may change between commands. `parallelism` never changes a bit of any result. */
struct step_mode {
	uint32_t quantized;			/* 1: operands go through the quantizers; 0: masters */
	uint32_t observe;			/* 1: TRAIN keeps ranges */
	uint32_t parallelism;			/* enum step_parallelism */
	uint32_t noise;				/* enum step_noise */
	int32_t noise_sigma;			/* fraction 22 */
	int32_t noise_theta;			/* fraction 22 */
};

/* ACT flags. */
#define STEP_ACT_EXPLORE 0x1u			/* add noise, advance its state, count saturations */
#define STEP_ACT_RESET_NOISE 0x2u		/* an episode starts: set the Ornstein-Uhlenbeck state to 0 first */

/* A batch for TRAIN; every array is row-major, fraction 20. */
struct step_batch {
	uint32_t size;
	const int32_t *observation;		/* size x observation_dim */
	const int32_t *action;			/* size x action_dim */
	const int32_t *reward;			/* size */
	const int32_t *next_observation;	/* size x observation_dim */
	const uint8_t *terminal;		/* size, 0 or 1 */
};

struct step_statistics {
	uint64_t loss_sum;			/* sum over the batch of delta^2, fraction 22 */
	int64_t q_sum;				/* sum over the batch of Q(s, actor(s)), fraction 20 */
	uint64_t saturation[STEP_SATURATIONS];	/* of this command */
};

enum step_dtype {
	STEP_I32,
	STEP_U32,
	STEP_U64,
	STEP_F32				/* the float32 twin only */
};

/* A named tensor of the state: `bytes` bytes at `offset` of the arena. */
struct step_tensor {
	char name[48];				/* "actor.0.weight", "critic_target.2.bias", "actor.1.weight.moment1" ... */
	enum step_dtype dtype;
	uint32_t dim_count;
	uint64_t dim[3];
	size_t offset;
	size_t bytes;
};

/*
 * The layers of a network: layer l has inputs[l] inputs and outputs[l] outputs.
 * Returns the number of layers (hidden_count + 1).
 */
uint32_t step_layers(const struct step_config *config, enum step_network network, uint32_t inputs[STEP_MAX_LAYERS],
		     uint32_t outputs[STEP_MAX_LAYERS]);

/* 0, or -EINVAL where a value is out of its range; `message` (may be NULL) says which, its value and what was expected. */
int step_config_check(const struct step_config *config, char *message, size_t message_size);

/*
 * The tensors of an agent's state. Returns their number and the size of the arena in *bytes; fills at most `capacity`
 * entries of `tensors` (which may be NULL when capacity is 0).
 */
size_t step_layout(const struct step_config *config, struct step_tensor *tensors, size_t capacity, size_t *bytes);

/* An agent's state together with what is needed to compute on it (kernels, threads, scratch memory). */
struct step_agent;
struct pe_engine;
struct pe_pool;

/*
 * Makes an agent on `arena` (step_layout()'s size, aligned to STEP_ALIGNMENT, owned by the caller and outliving the agent), initialized
 * from config->seed. `engine` and `pool` (NULL: one thread) are borrowed. Allocates all scratch memory; nothing is allocated later.
 * Returns 0, -EINVAL or -ENOMEM.
 */
int step_agent_create(const struct step_config *config, void *arena, const struct pe_engine *engine, struct pe_pool *pool,
		      struct step_agent **agent);
/*
 * The same on an arena that already holds a state: nothing in it is changed, and nothing in it is checked. step_agent_reload() has to come
 * before the first command.
 */
int step_agent_attach(const struct step_config *config, void *arena, const struct pe_engine *engine, struct pe_pool *pool,
		      struct step_agent **agent);
/* An upper bound of the scratch memory that each sample of batch_max costs. */
size_t step_scratch_bytes_per_sample(const struct step_config *config);
void step_agent_destroy(struct step_agent *agent);

/* To be called after the arena was written from outside (a restored checkpoint). 0, or -EINVAL if a table in it is out of range. */
int step_agent_reload(struct step_agent *agent);

/*
 * What step_agent_reload() checks, on an arena of which the tensors before the first weight are there. 0, or -EINVAL with the offset
 * of the first element that is out of range in *where.
 */
int step_tables_check(const struct step_config *config, const void *arena, size_t *where);

/* Other hyperparameters from the next command on; they were checked (step_config_check()). */
void step_set_hyperparameters(struct step_agent *agent, const struct step_hyperparameters *hyper);

void step_set_mode(struct step_agent *agent, const struct step_mode *mode);

/* n observations to n actions, n <= batch_max. 0 or -EINVAL. */
int step_act(struct step_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags);

/* One training step on a batch, both soft updates included. 0 or -EINVAL (size 0 or above batch_max). */
int step_train(struct step_agent *agent, const struct step_batch *batch, struct step_statistics *statistics);

/*
 * Ranges and quantizers are tables of step_layers() x STEP_CLASSES entries for each network: entry
 * [(layer of actor, then layers of critic) * STEP_CLASSES + class].
 */
void step_read_ranges(struct step_agent *agent, struct step_range *ranges);
void step_read_quantizers(const struct step_agent *agent, struct step_quantizer *quantizers);
int step_write_quantizers(struct step_agent *agent, const struct step_quantizer *quantizers);

/*
 * From now on the weights of a network and of its target are held by `store` (NULL: kept as they are), which outlives the agent or is taken
 * away again. With a store that returns every code as it is, all results are the same to the bit.
 */
void step_set_weight_store(struct step_agent *agent, enum step_network network, const struct nn_store *store);

/*
 * For tests: called with every weight gradient of a network right before Adam uses it (fraction 28, times the batch mean's
 * constant of section 5). weight_gradient is outputs x inputs.
 */
typedef void (*step_gradient_sink)(void *user, enum step_network network, uint32_t layer, const int32_t *weight_gradient,
				   const int32_t *bias_gradient);
void step_set_gradient_sink(struct step_agent *agent, step_gradient_sink sink, void *user);

#endif /* FIXAR_LIB_STEP_STEP_H */
