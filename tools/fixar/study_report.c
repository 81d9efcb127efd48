// SPDX-License-Identifier: MIT
/* Sums a study up: collects all runs, compares the arms, writes results.json and lets the others write. */
#include "study_report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

/* The mean returns of one arm, one for each seed, NAN where a run is not finished. */
static void returns_of(const struct study_summary *summary, size_t environment, size_t arm, double *returns)
{
	for (size_t i = 0; i < summary->run_count; i++)
		if (summary->runs[i].environment == environment && summary->runs[i].arm == arm)
			returns[summary->runs[i].seed] = summary->results[i].mean_return;
}

static double speed_of(const struct study_summary *summary, size_t environment, size_t arm)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < summary->run_count; i++) {
		if (summary->runs[i].environment != environment || summary->runs[i].arm != arm ||
		    isnan(summary->results[i].steps_per_second))
			continue;
		sum += summary->results[i].steps_per_second;
		n++;
	}
	return n ? sum / (double)n : (double)NAN;
}

static double cycles_of(const struct study_summary *summary, size_t environment, size_t arm)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < summary->run_count; i++) {
		const struct study_result *result = &summary->results[i];

		if (summary->runs[i].environment != environment || summary->runs[i].arm != arm ||
		    result->state != STUDY_FINISHED || !result->array_cycles)
			continue;
		sum += (double)result->array_cycles;
		n++;
	}
	return n ? sum / (double)n : (double)NAN;
}

static void compute(struct study_summary *summary)
{
	const struct study *study = summary->study;
	double *arm = calloc(study->seeds, sizeof(*arm)), *reference = calloc(study->seeds, sizeof(*reference));

	if (!arm || !reference) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	for (size_t e = 0; e < study->environment_count; e++) {
		returns_of(summary, e, study->reference, reference);
		for (size_t p = 0; p < study->arm_count; p++) {
			struct study_outcome *out = &summary->outcomes[e * study->arm_count + p];

			returns_of(summary, e, p, arm);
			out->finished = study_mean(arm, study->seeds, &out->mean, &out->deviation);
			out->steps_per_second = speed_of(summary, e, p);
			out->array_cycles = cycles_of(summary, e, p);
			if (p != study->reference)
				study_compare(arm, reference, study->seeds, study->confidence,
					      study->environments[e].margin, &out->comparison);
		}
	}
	free(arm);
	free(reference);
}

static json_t *run_json(const struct study *study, const struct study_run *run, const struct study_result *result)
{
	json_t *saturations = json_object();

	for (unsigned i = 0; i < FIXAR_SATURATIONS && result->state == STUDY_FINISHED; i++)
		json_object_set_new(saturations, fixar_saturation_name(i),
				    json_integer((json_int_t)result->saturation[i]));
	return json_pack("{s:s, s:s, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "arm",
			 study->arms[run->arm].name, "precision",
			 fixar_precision_name(study->arms[run->arm].precision), "seed", (json_int_t)run->seed,
			 "state", study_state_name(result->state), "environment_steps",
			 (json_int_t)result->environment_steps, "mean_return", cli_json_number(result->mean_return),
			 "std_return", cli_json_number(result->std_return), "critic_loss",
			 cli_json_number(result->critic_loss), "largest_weight",
			 cli_json_number(result->largest_weight), "saturations", saturations, "switches",
			 (json_int_t)result->switches, "array_cycles", cli_json_count(result->array_cycles));
}

static json_t *arm_json(const struct study *study, size_t index, const struct study_outcome *arm, double margin)
{
	json_t *object =
		json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "arm", study->arms[index].name, "precision",
			  fixar_precision_name(study->arms[index].precision), "finished", (json_int_t)arm->finished, "mean_return", cli_json_number(arm->mean),
			  "std_return", cli_json_number(arm->deviation), "array_cycles",
			  cli_json_number(arm->array_cycles));
	const struct study_comparison *comparison = &arm->comparison;

	if (index == study->reference)
		return object;
	json_object_set_new(
		object, "difference",
		json_pack("{s:s, s:I, s:o, s:o, s:f, s:o, s:o, s:o, s:o}", "to",
			  study->arms[study->reference].name, "pairs",
			  (json_int_t)comparison->pairs, "mean", cli_json_number(comparison->mean), "std",
			  cli_json_number(comparison->deviation), "confidence", study->confidence, "lower_bound",
			  cli_json_number(comparison->bound), "margin", cli_json_number(margin), "p_value",
			  cli_json_number(comparison->p_value), "non_inferior",
			  isnan(margin) || isnan(comparison->bound) ? json_null()
								    : json_boolean(comparison->non_inferior)));
	return object;
}

static json_t *summary_json(const struct study_summary *summary)
{
	const struct study *study = summary->study;
	json_t *environments = json_array();

	for (size_t e = 0; e < study->environment_count; e++) {
		const struct study_environment *environment = &study->environments[e];
		json_t *runs = json_array(), *arms = json_array(), *object;

		for (size_t i = 0; i < summary->run_count; i++)
			if (summary->runs[i].environment == e)
				json_array_append_new(runs, run_json(study, &summary->runs[i], &summary->results[i]));
		for (size_t p = 0; p < study->arm_count; p++)
			json_array_append_new(arms,
					      arm_json(study, p, summary_outcome(summary, e, p), environment->margin));
		object = json_pack("{s:s, s:o, s:o, s:o}", "label", environment->label, "settings",
				   settings_to_json(&environment->settings), "arms", arms, "runs", runs);
		/* These two are the matrix. */
		json_object_del(json_object_get(object, "settings"), "precision");
		json_object_del(json_object_get(object, "settings"), "seed");
		if (environment->published)
			json_object_set(object, "published", environment->published);
		json_array_append_new(environments, object);
	}
	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:{s:I, s:I}, s:o}", "study", study->name, "complete",
			 summary->finished == summary->run_count, "runs", (json_int_t)summary->run_count, "finished",
			 (json_int_t)summary->finished, "seeds", (json_int_t)study->seeds, "evaluation", "episodes",
			 (json_int_t)study->evaluation_episodes, "seed", (json_int_t)study->evaluation_seed,
			 "environments", environments);
}

static int write_json(const struct study_summary *summary, const char *directory)
{
	char *path = run_path(directory, "results.json");
	json_t *json = summary_json(summary);
	int error = cli_replace_json(path, json);

	if (error)
		cli_error("%s cannot be written: %s", path, strerror(-error));
	json_decref(json);
	free(path);
	return error;
}

static int write_text(const struct study_summary *summary, const char *directory)
{
	char *path = run_path(directory, "results.md"), *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	int error = file ? 0 : -errno;

	if (file) {
		study_write_text(summary, file);
		fclose(file);
		error = cli_replace_file(path, text, size);
	}
	if (error)
		cli_error("%s cannot be written: %s", path, strerror(-error));
	else
		fwrite(text, 1, size, stdout);
	free(text);
	free(path);
	return error;
}

int study_report(const struct study *study, const char *directory)
{
	struct study_summary summary = { .study = study };
	int code = CLI_OK;

	summary.runs = study_runs(study, &summary.run_count);
	summary.results = calloc(summary.run_count, sizeof(*summary.results));
	summary.outcomes = calloc(study->environment_count * study->arm_count, sizeof(*summary.outcomes));
	if (!summary.results || !summary.outcomes) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	for (size_t i = 0; i < summary.run_count; i++) {
		study_collect(study, &summary.runs[i], &summary.results[i]);
		summary.finished += summary.results[i].state == STUDY_FINISHED;
	}
	compute(&summary);
	if (write_json(&summary, directory) || write_text(&summary, directory))
		code = CLI_FAILED;
	if (!code)
		code = study_draw(&summary, directory);
	study_free_runs(summary.runs, summary.run_count);
	free(summary.results);
	free(summary.outcomes);
	return code;
}
