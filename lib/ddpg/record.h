/* SPDX-License-Identifier: MIT */
/* Where a run stands: the counters that name its random streams, the present episode, and what is told about it. */
#ifndef FIXAR_LIB_DDPG_RECORD_H
#define FIXAR_LIB_DDPG_RECORD_H

#include <stdint.h>

#include <fixar/fixar.h>

#define RECORD_RETURNS 10 /* finished episodes that the mean return is over */
#define RECORD_WINDOW 100 /* training steps that loss and Q are averaged over */

#define RECORD_CYCLES_UNKNOWN UINT64_MAX

struct ddpg_record {
	uint64_t environment_steps;
	uint64_t training_steps;
	uint64_t episodes_started; /* the index of the next episode's reset stream */
	uint64_t episodes;	   /* finished ones */
	uint32_t episode_active;
	uint32_t noise_reset; /* the next noisy action is the first one of its episode */
	uint32_t switches;    /* of precision */
	uint32_t observing;   /* the device keeps ranges */

	uint64_t episode_steps; /* of the present episode */
	double episode_return;
	uint64_t last_episode_steps;

	double returns[RECORD_RETURNS];				  /* episode e lies at e % RECORD_RETURNS */
	double critic_loss[RECORD_WINDOW], mean_q[RECORD_WINDOW]; /* training step t at t % RECORD_WINDOW */

	uint64_t array_cycles;	    /* lib/agent/cycles.c */
	uint64_t input_saturations; /* at the edge; the device counts its own */
};

/* The present episode has ended. */
void record_episode(struct ddpg_record *record);
/* A training step has been done. */
void record_training(struct ddpg_record *record, double critic_loss, double mean_q);

/* The values of struct fixar_agent_status that follow from a record. */
double record_last_return(const struct ddpg_record *record);
double record_mean_return(const struct ddpg_record *record);
double record_critic_loss(const struct ddpg_record *record);
double record_mean_q(const struct ddpg_record *record);

#endif /* FIXAR_LIB_DDPG_RECORD_H */
