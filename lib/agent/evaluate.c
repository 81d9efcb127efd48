// SPDX-License-Identifier: MIT
/*
 * Evaluation: episodes without exploration in an instance of the environment of their own. The start states come from
 * streams that training never draws from, and acting without exploration changes nothing on the device, so that a run
 * with evaluations and one without are the same to the bit.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "device/options.h"
#include "fx/random.h"

struct evaluation {
	struct fixar_agent *agent;
	void *instance;
	double *observation, *action;
	uint64_t seed;
	uint64_t steps;
};

static int complain(const struct evaluation *evaluation, const char *what, int error)
{
	log_line(&evaluation->agent->log, FIXAR_LOG_ERROR, "environment %s, evaluation: %s failed: %s",
		 evaluation->agent->env.spec->name, what, log_errno(error));
	return error;
}

static int run_episode(struct evaluation *evaluation, uint64_t episode, double *sum)
{
	const struct fixar_env *env = &evaluation->agent->env;
	const uint32_t limit = env->spec->max_episode_steps;
	struct fixar_rng rng = { .seed = evaluation->seed, .index = episode, .purpose = FX_RANDOM_EVALUATION };
	int terminated = 0;
	int error = env->ops->reset(evaluation->instance, &rng, evaluation->observation);

	if (error)
		return complain(evaluation, "reset()", error);
	*sum = 0;
	for (uint64_t step = 0; !terminated && (!limit || step < limit); step++) {
		double reward = 0;

		error = fixar_agent_act(evaluation->agent, evaluation->observation, evaluation->action);
		if (error)
			return error;
		error = env->ops->step(evaluation->instance, evaluation->action, evaluation->observation, &reward,
				       &terminated);
		if (error)
			return complain(evaluation, "step()", error);
		if (!isfinite(reward)) {
			log_line(&evaluation->agent->log, FIXAR_LOG_ERROR,
				 "environment %s, evaluation: the reward is %g", env->spec->name, reward);
			return -EDOM;
		}
		*sum += reward;
		evaluation->steps++;
	}
	return 0;
}

static void summarize(const double *returns, uint32_t episodes, struct fixar_evaluation *result)
{
	double sum = 0, squares = 0;

	result->minimum = result->maximum = returns[0];
	for (uint32_t i = 0; i < episodes; i++) {
		sum += returns[i];
		result->minimum = fmin(result->minimum, returns[i]);
		result->maximum = fmax(result->maximum, returns[i]);
	}
	result->mean_return = sum / episodes;
	for (uint32_t i = 0; i < episodes; i++)
		squares += (returns[i] - result->mean_return) * (returns[i] - result->mean_return);
	result->std_return = sqrt(squares / episodes);
}

int fixar_agent_evaluate(struct fixar_agent *agent, uint32_t episodes, uint64_t seed, double *returns,
			 struct fixar_evaluation *result)
{
	struct evaluation evaluation = { .agent = agent, .seed = seed };
	struct fixar_evaluation known = { .size = sizeof(known) };
	const struct fixar_env *env = &agent->env;
	double *own_returns = NULL;
	int error = -ENOMEM;

	if (!episodes) {
		log_line(&agent->log, FIXAR_LOG_ERROR, "episodes: 0, expected at least 1");
		return -EINVAL;
	}
	evaluation.observation = calloc(env->spec->observation_dim, sizeof(double));
	evaluation.action = calloc(env->spec->action_dim, sizeof(double));
	if (!returns)
		returns = own_returns = calloc(episodes, sizeof(double));
	if (!evaluation.observation || !evaluation.action || !returns)
		goto out;
	error = env->ops->create(env->user, &evaluation.instance);
	if (error) {
		complain(&evaluation, "create()", error);
		goto out;
	}
	for (uint32_t episode = 0; episode < episodes && !error; episode++)
		error = run_episode(&evaluation, episode, &returns[episode]);
	env->ops->destroy(evaluation.instance);
	if (!error && result) {
		summarize(returns, episodes, &known);
		known.steps = evaluation.steps;
		error = options_answer(result, result->size, &known, sizeof(known));
	}
out:
	free(evaluation.observation);
	free(evaluation.action);
	free(own_returns);
	return error;
}
