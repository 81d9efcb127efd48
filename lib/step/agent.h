/* SPDX-License-Identifier: MIT */
/* An agent on an arena: shared by the files of lib/step. */
#ifndef FIXAR_LIB_STEP_AGENT_H
#define FIXAR_LIB_STEP_AGENT_H

#include "nn/network.h"
#include "step/step.h"

struct step_agent {
	struct step_config config;
	struct step_mode mode;
	struct nn_context context;		/* counts into `command` */
	uint64_t command[STEP_SATURATIONS];	/* saturations of the command being executed */

	/* In the arena. */
	uint64_t *training_steps;
	uint64_t *saturation;			/* since the agent's creation */
	uint64_t *adam_powers;			/* [network][2] */
	uint64_t *noise_count;
	int32_t *noise_state;
	struct step_quantizer *quantizers;	/* [layer of actor, then of critic][class] */
	struct step_range *ranges;		/* likewise */

	struct nn_network network[STEP_NETWORKS], target[STEP_NETWORKS];

	/* Scratch. */
	struct nn_pass pass[STEP_NETWORKS];
	int32_t *gradient[2];
	int32_t *action;			/* batch x action_dim: tanh of the actor's output */
	int32_t *action_gradient;		/* batch x action_dim */
	int32_t *target_value;			/* batch */
	void *memory;				/* all scratch memory in one piece */

	step_gradient_sink sink;
	void *sink_user;
};

/* actor(observation) into agent->action, through `network` (the actor or its target). */
void step_policy(struct step_agent *agent, struct nn_network *network, uint32_t batch, const int32_t *observation, int count_weights);

/* Exploration noise of one observation onto its action; the noise state and count advance. */
void step_add_noise(struct step_agent *agent, int32_t *action);

#endif /* FIXAR_LIB_STEP_AGENT_H */
