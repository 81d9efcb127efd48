// SPDX-License-Identifier: MIT
/* Other operand widths for a trained policy, with the ranges that its training observed: what would it be worth in fewer bits? */
#include <errno.h>
#include <stdlib.h>

#include "agent/agent.h"

static int refuse(struct fixar_agent *agent, const char *why)
{
	log_line(&agent->log, FIXAR_LOG_ERROR, "bits: %s", why);
	return -EINVAL;
}

static int apply(struct fixar_agent *agent, struct qat_policy *policy, struct step_range *ranges,
		 struct step_quantizer *quantizers)
{
	struct ddpg *ddpg = agent->ddpg;
	const struct qat_progress progress = {
		.environment_steps = ddpg->record.environment_steps,
		.training_steps = ddpg->record.training_steps,
	};
	int error = agent->state->ops->read_ranges(agent->state, ranges);

	if (!error)
		error = agent->state->ops->read_quantizers(agent->state, quantizers);
	if (error)
		return error;
	policy->ops->decide(policy, &progress, ranges, quantizers);
	error = agent->state->ops->write_quantizers(agent->state, quantizers);
	if (error)
		return error;
	if (!ddpg->record.switches)
		ddpg->record.switches = 1;
	return ddpg_set_mode(ddpg);
}

int fixar_agent_set_bits(struct fixar_agent *agent, const struct fixar_layer_bits *bits, size_t count)
{
	const struct ddpg *ddpg = agent->ddpg;
	struct qat_policy *policy = NULL;
	struct step_quantizer *quantizers;
	struct step_range *ranges;
	int error;

	if (!agent->for_acting_only) {
		log_line(&agent->log, FIXAR_LOG_ERROR, "bits: this agent can train; its widths are a matter of its options");
		return -EPERM;
	}
	if (agent->options.precision < FIXAR_QAT16)
		return refuse(agent, "only training in qat16 or qat16x16 observes the ranges that narrower operands need");
	if (!ddpg->record.training_steps)
		return refuse(agent, "the agent was saved before its first training step, and no ranges were observed");
	error = qat_delay_create(&ddpg->shape, agent->options.precision, 0, agent->options.headroom_bits, bits, count, &agent->log, &policy);
	if (error)
		return error;
	ranges = calloc(qat_entries(&ddpg->shape), sizeof(*ranges));
	quantizers = calloc(qat_entries(&ddpg->shape), sizeof(*quantizers));
	error = ranges && quantizers ? apply(agent, policy, ranges, quantizers) : -ENOMEM;
	free(ranges);
	free(quantizers);
	qat_policy_destroy(policy);
	return error;
}
