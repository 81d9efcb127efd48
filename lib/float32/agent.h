/* SPDX-License-Identifier: MIT */
/*
 * An agent of the float32 twin: the commands of step/step.h in float arithmetic.
 *
 * What differs from lib/ARITHMETIC.md: no operand quantizers, ranges or saturation; the mean over a batch divides by
 * its size; Adam has an epsilon; gradient scales are ignored, since Adam is invariant to them. What does not: initial
 * weights, noise, inputs.
 */
#ifndef FIXAR_LIB_FLOAT32_AGENT_H
#define FIXAR_LIB_FLOAT32_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "float32/engine.h"
#include "float32/network.h"
#include "pe/pool.h"
#include "step/step.h"

struct f32_agent {
	struct step_config config;
	struct step_mode mode;
	struct f32_context context;
	struct f32_network network[STEP_NETWORKS];
	float discount, tau;

	/* In the arena, after the networks' arrays. */
	uint64_t *training_steps;
	uint64_t *noise_count;
	int32_t *noise_state; /* fraction FX_ACTIVATION: noise is the fixed-point contract's */

	/* Scratch. */
	void *memory;
	float *dy[2];		/* batch_max rows of the widest layer */
	float *action_gradient; /* batch_max rows of action_dim */
	float *target;		/* batch_max */
};

/* As step_layout(): the same names, but moment2 is v itself and not its root. */
size_t f32_layout(const struct step_config *config, struct step_tensor *tensors, size_t capacity, size_t *bytes);

/*
 * Makes an agent on `arena` (f32_layout()'s size, aligned to STEP_ALIGNMENT, outliving the agent), initialized from
 * config->seed. `engine` and `pool` are borrowed. Returns 0, -EINVAL or -ENOMEM. Nothing is allocated later.
 */
int f32_agent_create(const struct step_config *config, void *arena, const struct f32_engine *engine,
		     struct pe_pool *pool, struct f32_agent **agent);
void f32_agent_destroy(struct f32_agent *agent);

int f32_act(struct f32_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags);
int f32_train(struct f32_agent *agent, const struct step_batch *batch, struct device_statistics *statistics);

#endif /* FIXAR_LIB_FLOAT32_AGENT_H */
