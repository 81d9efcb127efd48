// SPDX-License-Identifier: MIT
#include "ddpg/record.h"

#include <math.h>

void record_episode(struct ddpg_record *record)
{
	record->returns[record->episodes % RECORD_RETURNS] = record->episode_return;
	record->episodes++;
	record->last_episode_steps = record->episode_steps;
	record->episode_active = 0;
}

void record_training(struct ddpg_record *record, double critic_loss, double mean_q)
{
	record->critic_loss[record->training_steps % RECORD_WINDOW] = critic_loss;
	record->mean_q[record->training_steps % RECORD_WINDOW] = mean_q;
	record->training_steps++;
}

/* Summed in the order of the slots, so that a resumed run says the same as one that went on. */
static double mean(const double *values, uint64_t written, uint64_t slots)
{
	const uint64_t count = written < slots ? written : slots;
	double sum = 0;

	if (!count)
		return NAN;
	for (uint64_t i = 0; i < count; i++)
		sum += values[i];
	return sum / (double)count;
}

double record_last_return(const struct ddpg_record *record)
{
	return record->episodes ? record->returns[(record->episodes - 1) % RECORD_RETURNS] : NAN;
}

double record_mean_return(const struct ddpg_record *record)
{
	return mean(record->returns, record->episodes, RECORD_RETURNS);
}

double record_critic_loss(const struct ddpg_record *record)
{
	return mean(record->critic_loss, record->training_steps, RECORD_WINDOW);
}

double record_mean_q(const struct ddpg_record *record)
{
	return mean(record->mean_q, record->training_steps, RECORD_WINDOW);
}
