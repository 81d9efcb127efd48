/* SPDX-License-Identifier: MIT */
/* An agent on an arena: shared by the files of lib/step. */
#ifndef FIXAR_LIB_STEP_AGENT_H
#define FIXAR_LIB_STEP_AGENT_H

#include "nn/network.h"
#include "step/step.h"

struct step_agent {
	struct step_config config;
	struct step_mode mode;
	struct nn_context context;
	uint64_t command[STEP_SATURATIONS];	/* saturations of the command being executed */
	struct nn_worker *worker;		/* one for each thread of the pool */

	/* In the arena. */
	uint64_t *training_steps;
	uint64_t *saturation;			/* since the agent's creation */
	uint64_t *adam_powers;			/* [network][2] */
	uint64_t *noise_count;
	int32_t *noise_state;
	struct step_quantizer *quantizers;	/* [layer of actor, then of critic][class] */
	struct step_range *ranges;		/* likewise */
	uint32_t *gradient_maxima;		/* [kind of backward pass][layer] */

	struct nn_network network[STEP_NETWORKS], target[STEP_NETWORKS];

	/* Scratch. */
	struct nn_pass pass[STEP_NETWORKS];
	uint32_t *seen_maxima;			/* as gradient_maxima: of the running step */
	int32_t *action;			/* batch x action_dim: tanh of the actor's output */
	int32_t *action_gradient;		/* batch x action_dim */
	int32_t *target_value;			/* batch */
	void *memory;				/* all scratch memory in one piece */

	step_gradient_sink sink;
	void *sink_user;
};

/* A command for `batch` samples or observations: calls work(user, worker) for every worker that it is worth, with its samples. */
typedef void (*step_work)(void *user, struct nn_worker *worker);
void step_run(struct step_agent *agent, uint32_t batch, size_t nanoseconds, step_work work, void *user);

/* actor(observation) into agent->action, through `network` (the actor or its target), for the worker's samples. */
void step_policy(struct step_agent *agent, struct nn_worker *worker, const struct nn_network *network, const int32_t *observation,
		 int count_weights);

/* Exploration noise of one observation onto its action; the noise state and count advance. */
void step_add_noise(struct step_agent *agent, int32_t *action);

/* lib/ARITHMETIC.md section 9: a gradient maximum fades until a training step has seen a larger one. */
static inline uint32_t step_next_maximum(uint32_t maximum, uint32_t seen)
{
	const uint32_t faded = maximum - (maximum >> 6);

	return seen > faded ? seen : faded;
}

#endif /* FIXAR_LIB_STEP_AGENT_H */
