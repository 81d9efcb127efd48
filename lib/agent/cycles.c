// SPDX-License-Identifier: MIT
/*
 * Cycles of the modelled card, summed up while an agent trains: what precision schedules are compared by. They change
 * with the operands alone, so they are counted once for each switch (lib/step/cycles.h) and added up from then on.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "step/cycles.h"

static int measure(struct fixar_agent *agent, const struct step_quantizer *quantizers)
{
	struct step_cycles act, train;
	struct pe_array array;
	const struct step_workload workload = {
		.array = &array,
		.config = &agent->config,
		.mode = &agent->ddpg->mode,
		.quantizers = quantizers,
		.batch = agent->options.batch,
	};
	struct step_workload one = workload;

	pe_array_default(&array);
	one.batch = 1;
	if (step_cycles_train(&workload, NULL, NULL, &train, NULL, 0) ||
	    step_cycles_act(&one, NULL, NULL, &act, NULL, 0))
		return -ENOSPC;
	agent->train_cycles = train.cycles;
	agent->act_cycles = act.cycles;
	return 0;
}

/* A network that the modelled card cannot hold is none of its business, and trains all the same. */
static void start(struct fixar_agent *agent, const struct step_quantizer *quantizers)
{
	agent->train_cycles = agent->act_cycles = 0;
	if (agent->options.precision == FIXAR_FLOAT32 || measure(agent, quantizers))
		agent->ddpg->record.array_cycles = RECORD_CYCLES_UNKNOWN;
}

int agent_cycles_start(struct fixar_agent *agent)
{
	struct step_quantizer *quantizers = NULL;
	int error = 0;

	if (agent->ddpg->record.switches) {
		quantizers = calloc(qat_entries(&agent->ddpg->shape), sizeof(*quantizers));
		error = quantizers ? agent->state->ops->read_quantizers(agent->state, quantizers) : -ENOMEM;
	}
	if (!error)
		start(agent, quantizers);
	free(quantizers);
	return error;
}

void agent_cycles_count(struct fixar_agent *agent, uint64_t training_steps, int switched)
{
	struct ddpg_record *record = &agent->ddpg->record;

	if (record->array_cycles != RECORD_CYCLES_UNKNOWN) {
		record->array_cycles += training_steps * agent->train_cycles;
		if (record->environment_steps > agent->options.warm_up_steps)
			record->array_cycles += agent->act_cycles;
	}
	if (switched)
		start(agent, ddpg_quantizers(agent->ddpg));
}
