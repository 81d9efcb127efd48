/* SPDX-License-Identifier: MIT */
/*
 * Trains Pendulum in fixed point and says how well the policy does without exploration.
 *
 *	cc train_pendulum.c -o train_pendulum $(pkg-config --cflags --libs libfixar)
 */
#include <fixar/fixar.h>
#include <stdio.h>

int main(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_evaluation result = { .size = sizeof(result) };
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	int error;

	options.precision = FIXAR_QAT16;	/* 16-bit activations ... */
	options.delay = 3000;			/* ... after so many steps */
	error = fixar_env_find("pendulum", &env, NULL, 0);
	if (!error)
		error = fixar_agent_create(NULL, &env, &options, &agent);
	if (!error)
		error = fixar_agent_train(agent, 6000, NULL, NULL);
	if (!error)
		error = fixar_agent_evaluate(agent, 10, 1, NULL, &result);
	if (error)
		fprintf(stderr, "training: %s\n", fixar_strerror(error));
	else
		printf("mean return of 10 episodes: %.1f\n", result.mean_return);
	fixar_agent_destroy(agent);
	return error != 0;
}
