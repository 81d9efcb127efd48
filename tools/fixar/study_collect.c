// SPDX-License-Identifier: MIT
/* What a run left behind: how far it came, its evaluation, its metrics. */
#include <math.h>
#include <stdlib.h>

#include "curves.h"
#include "run.h"
#include "study.h"

const char *study_state_name(enum study_state state)
{
	static const char *const names[] = {
		[STUDY_NOT_STARTED] = "not started",
		[STUDY_UNFINISHED] = "unfinished",
		[STUDY_UNEVALUATED] = "not evaluated",
		[STUDY_FINISHED] = "finished",
	};

	return names[state];
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

json_t *study_evaluation(const struct study *study, const struct study_run *run)
{
	char *path = run_path(run->directory, "evaluation.json"), *message = NULL;
	int error;
	json_t *evaluation = cli_read_json(path, &message, &error);

	/* One of other episodes, or of an earlier checkpoint, is not the one that is wanted. */
	if (evaluation &&
	    (number(evaluation, "episodes") != study->evaluation_episodes ||
	     number(evaluation, "seed") != study->evaluation_seed + run->seed ||
	     number(evaluation, "environment_steps") != study->environments[run->environment].settings.steps)) {
		json_decref(evaluation);
		evaluation = NULL;
	}
	free(message);
	free(path);
	return evaluation;
}

static void collect_metrics(const struct study_run *run, uint64_t steps, struct study_result *result)
{
	char *path = run_path(run->directory, RUN_METRICS), *message = NULL;
	struct table table;

	if (!table_read(path, &table, &message)) {
		result->steps_per_second = table_speed(&table);
		if (result->environment_steps >= steps)
			result->critic_loss = table_mean(&table, "critic_loss", 0.9 * (double)steps, (double)steps);
		table_free(&table);
	}
	free(message);
	free(path);
}

void study_collect(const struct study *study, const struct study_run *run, struct study_result *result)
{
	uint64_t steps = study->environments[run->environment].settings.steps;
	struct fixar_checkpoint_info info = { .size = sizeof(info) };
	json_t *evaluation = study_evaluation(study, run), *saturations = json_object_get(evaluation, "saturations");

	*result = (struct study_result){
		.mean_return = NAN,
		.std_return = NAN,
		.critic_loss = NAN,
		.largest_weight = NAN,
		.steps_per_second = NAN,
	};
	if (!fixar_checkpoint_info(run->directory, &info, NULL, NULL)) {
		result->environment_steps = info.environment_steps;
		result->state = info.environment_steps >= steps ? STUDY_UNEVALUATED : STUDY_UNFINISHED;
	} else if (run_has(run->directory, RUN_CONFIG)) {
		result->state = STUDY_UNFINISHED;
	}
	if (evaluation && result->state == STUDY_UNEVALUATED) {
		result->state = STUDY_FINISHED;
		result->mean_return = json_number_value(json_object_get(evaluation, "mean_return"));
		result->std_return = json_number_value(json_object_get(evaluation, "std_return"));
		result->largest_weight = json_number_value(json_object_get(evaluation, "largest_weight"));
		for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
			result->saturation[i] = number(saturations, fixar_saturation_name(i));
		result->array_cycles = number(evaluation, "array_cycles");
		result->switches = number(evaluation, "switches");
	}
	collect_metrics(run, steps, result);
	json_decref(evaluation);
}
