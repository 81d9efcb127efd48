// SPDX-License-Identifier: MIT
/*
 * The file of a study, and the list of its runs:
 *
 *	{
 *	  "name": "pendulum",
 *	  "environments": [ { "name": "pendulum", "steps": 20000, "margin": 10 } ],
 *	  "precisions": [ "float32", "fixed32", "qat16" ],
 *	  "schedules": [ "delay", "muppet" ],
 *	  "seeds": 10,
 *	  "delay": 0.5,
 *	  "evaluation": { "episodes": 100, "seed": 1000000 },
 *	  "batch": 64
 *	}
 *
 * Settings of runs may stand beside these keys, for all environments or for one. "delay" is a share of the steps here.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "qat/schedule.h"
#include "study.h"

static const char *const study_keys[] = { "name",  "title", "note",	  "environments", "precisions", "reference",
					  "seeds", "delay", "evaluation", "confidence", "schedules", NULL };
static const char *const environment_keys[] = { "name", "label", "margin", "published", "delay", NULL };
/* These make the matrix; they cannot be settings of all runs. */
static const char *const matrix_settings[] = { "precision", "seed", "environment", "schedule" };

static int refuse(char **message, const char *what)
{
	*message = cli_format("%s", what);
	return -EINVAL;
}

/* A name that can be part of a path. */
static bool is_name(const char *text, size_t size)
{
	return text && text[0] && strlen(text) < size &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(text);
}

static int whole(const json_t *object, const char *key, uint64_t low, uint64_t high, uint64_t *value, char **message)
{
	json_t *number = json_object_get(object, key);

	if (!number)
		return 0;
	if (!json_is_integer(number) || json_integer_value(number) < (json_int_t)low ||
	    json_integer_value(number) > (json_int_t)high) {
		*message = cli_format("\"%s\" must be a whole number from %llu to %llu", key, (unsigned long long)low,
				      (unsigned long long)high);
		return -EINVAL;
	}
	*value = (uint64_t)json_integer_value(number);
	return 0;
}

static int read_delay(const json_t *object, struct settings *settings, char **message)
{
	json_t *delay = json_object_get(object, "delay");

	if (!delay)
		return 0;
	if (!json_is_number(delay) || json_number_value(delay) < 0 || json_number_value(delay) > 1)
		return refuse(message, "\"delay\" must be a share of the steps, from 0 to 1");
	settings->delay_share = json_number_value(delay);
	return 0;
}

static int read_published(const json_t *list, char **message)
{
	json_t *entry;
	size_t i;

	if (!json_is_array(list))
		return refuse(message, "\"published\" must be a list");
	json_array_foreach(list, i,
			   entry) if (!json_is_string(json_object_get(entry, "label")) ||
				      !json_is_number(json_object_get(entry, "return")) ||
				      !json_is_string(json_object_get(
					      entry, "source"))) return refuse(message,
									       "an entry of \"published\" must have "
									       "\"label\", \"return\" and \"source\"");
	return 0;
}

static int read_environment(struct study_environment *environment, const json_t *file, const json_t *object,
			    char **message)
{
	struct settings *settings = &environment->settings;
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *label = json_string_value(json_object_get(object, "label"));
	json_t *margin = json_object_get(object, "margin"), *published = json_object_get(object, "published");
	int error;

	if (!is_name(name, sizeof(settings->environment)))
		return refuse(message, "an environment must have a \"name\"");
	if (!label)
		label = name;
	if (!is_name(label, sizeof(environment->label)))
		return refuse(message, "a \"label\" must consist of letters, digits, - and _");
	strcpy(environment->label, label);
	settings_default(settings);
	settings_environment(settings, name);
	error = settings_from_json(settings, file, study_keys, message);
	if (!error)
		error = read_delay(file, settings, message);
	if (!error)
		error = settings_from_json(settings, object, environment_keys, message);
	if (!error)
		error = read_delay(object, settings, message);
	if (error)
		return error;
	settings_resolve(settings);
	if (margin && (!json_is_number(margin) || json_number_value(margin) <= 0))
		return refuse(message, "\"margin\" must be a number above 0");
	environment->margin = margin ? json_number_value(margin) : NAN;
	environment->published = json_incref(published);
	return published ? read_published(published, message) : 0;
}

static int read_environments(struct study *study, const json_t *file, char **message)
{
	json_t *list = json_object_get(file, "environments"), *object;
	size_t i;

	if (!json_is_array(list) || !json_array_size(list))
		return refuse(message, "\"environments\" must be a list with one entry or more");
	study->environments = calloc(json_array_size(list), sizeof(*study->environments));
	if (!study->environments)
		return -ENOMEM;
	study->environment_count = json_array_size(list);
	json_array_foreach(list, i, object)
	{
		int error = read_environment(&study->environments[i], file, object, message);

		if (error)
			return error;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(study->environments[i].label, study->environments[j].label))
				return refuse(message, "two environments of one name; give one of them a \"label\"");
	}
	return 0;
}

static int add_arm(struct study *study, enum fixar_precision precision, enum fixar_schedule schedule, char **message)
{
	struct study_arm *arm = &study->arms[study->arm_count];

	if (study->arm_count == STUDY_MAX_ARMS)
		return refuse(message, "more precisions with schedules than a study can have");
	*arm = (struct study_arm){ .precision = precision, .schedule = schedule };
	snprintf(arm->name, sizeof(arm->name), "%s%s%s", fixar_precision_name(precision),
		 schedule == FIXAR_SCHEDULE_DELAY ? "" : "-",
		 schedule == FIXAR_SCHEDULE_DELAY ? "" : qat_schedule_name[schedule]);
	for (size_t i = 0; i < study->arm_count; i++)
		if (!strcmp(study->arms[i].name, arm->name))
			return refuse(message, "\"precisions\" or \"schedules\" holds one of them twice");
	study->arm_count++;
	return 0;
}

/* qat16 once for each schedule; without "schedules", with the delay. */
static int add_scheduled(struct study *study, const json_t *schedules, char **message)
{
	json_t *item;
	size_t i;

	if (!schedules)
		return add_arm(study, FIXAR_QAT16, FIXAR_SCHEDULE_DELAY, message);
	json_array_foreach(schedules, i, item)
	{
		enum fixar_schedule schedule;
		int error;

		if (!json_is_string(item) || settings_parse_schedule(json_string_value(item), &schedule))
			return refuse(message, "\"schedules\" may hold \"delay\", \"muppet\" and \"fractrain\"");
		error = add_arm(study, FIXAR_QAT16, schedule, message);
		if (error)
			return error;
	}
	return 0;
}

static int read_arms(struct study *study, const json_t *file, char **message)
{
	json_t *list = json_object_get(file, "precisions"), *schedules = json_object_get(file, "schedules"), *item;
	const char *reference = json_string_value(json_object_get(file, "reference"));
	bool scheduled = false;
	size_t i;

	if (!json_is_array(list) || !json_array_size(list))
		return refuse(message, "\"precisions\" must be a list of one precision or more");
	if (schedules && (!json_is_array(schedules) || !json_array_size(schedules)))
		return refuse(message, "\"schedules\" must be a list of one schedule or more");
	json_array_foreach(list, i, item)
	{
		enum fixar_precision precision;
		int error;

		if (!json_is_string(item) || fixar_precision_parse(json_string_value(item), &precision))
			return refuse(message, "\"precisions\" may hold \"float32\", \"fixed32\", \"qat16\" and \"qat16x16\"");
		if (precision == FIXAR_QAT16)
			error = add_scheduled(study, schedules, message);
		else
			error = add_arm(study, precision, FIXAR_SCHEDULE_DELAY, message);
		if (error)
			return error;
		scheduled |= precision == FIXAR_QAT16;
	}
	if (schedules && !scheduled)
		return refuse(message, "\"schedules\" are of qat16, which is not among \"precisions\"");
	for (i = 0; i < study->arm_count; i++)
		if (!strcmp(study->arms[i].name, reference ? reference : "float32"))
			break;
	if (i < study->arm_count)
		study->reference = i;
	else if (reference)
		return refuse(message, "\"reference\" must be one of \"precisions\", or such as \"qat16-muppet\" with a schedule");
	return 0;
}

static char *optional_text(const json_t *file, const char *key)
{
	const char *text = json_string_value(json_object_get(file, key));

	return text ? cli_format("%s", text) : NULL;
}

static char *state_directory(const char *name)
{
	const char *folder = getenv("FIXAR_STUDY_DIR"), *home = getenv("HOME");

	if (folder && folder[0])
		return cli_format("%s/%s", folder, name);
	folder = getenv("XDG_STATE_HOME");
	if (folder && folder[0] == '/')
		return cli_format("%s/fixar/%s", folder, name);
	return cli_format("%s/.local/state/fixar/%s", home && home[0] ? home : ".", name);
}

static int read_object(struct study *study, const json_t *file, char **message)
{
	const char *name = json_string_value(json_object_get(file, "name"));
	json_t *evaluation = json_object_get(file, "evaluation"), *confidence = json_object_get(file, "confidence");
	int error;

	if (!json_is_object(file) || !is_name(name, sizeof(study->name)))
		return refuse(message, "a study must have a \"name\" of letters, digits, - and _");
	strcpy(study->name, name);
	for (size_t i = 0; i < sizeof(matrix_settings) / sizeof(matrix_settings[0]); i++) {
		if (json_object_get(file, matrix_settings[i])) {
			*message = cli_format("unknown key \"%s\"; see \"environments\", \"precisions\", \"schedules\" and \"seeds\"",
					      matrix_settings[i]);
			return -EINVAL;
		}
	}
	study->evaluation_episodes = 100;
	study->evaluation_seed = 1000000;
	study->confidence = confidence ? json_number_value(confidence) : 0.95;
	if (study->confidence <= 0.5 || study->confidence >= 1)
		return refuse(message, "\"confidence\" must be above 0.5 and below 1");
	error = whole(file, "seeds", 1, 1000, &study->seeds, message);
	if (!error && !study->seeds)
		return refuse(message, "\"seeds\" is missing: how many seeds");
	if (!error)
		error = whole(evaluation, "episodes", 1, 1000000, &study->evaluation_episodes, message);
	if (!error)
		error = whole(evaluation, "seed", 0, UINT64_C(1) << 50, &study->evaluation_seed, message);
	if (!error)
		error = read_arms(study, file, message);
	if (!error)
		error = read_environments(study, file, message);
	study->title = optional_text(file, "title");
	study->note = optional_text(file, "note");
	study->state = state_directory(name);
	return error;
}

int study_read(const char *path, struct study *study, char **message)
{
	char *reason = NULL;
	json_t *file;
	int error = 0;

	*study = (struct study){ .seeds = 0 };
	file = cli_read_json(path, message, &error);
	if (!file)
		return error;
	error = read_object(study, file, &reason);
	if (error)
		*message = cli_format("%s: %s", path, reason ? reason : strerror(-error));
	free(reason);
	json_decref(file);
	return error;
}

void study_free(struct study *study)
{
	for (size_t i = 0; i < study->environment_count; i++)
		json_decref(study->environments[i].published);
	free(study->environments);
	free(study->title);
	free(study->note);
	free(study->state);
}

struct study_run *study_runs(const struct study *study, size_t *count)
{
	size_t n = 0;
	struct study_run *runs =
		calloc(study->seeds * study->environment_count * study->arm_count, sizeof(*runs));

	if (!runs) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	for (uint64_t seed = 0; seed < study->seeds; seed++) {
		for (size_t e = 0; e < study->environment_count; e++) {
			for (size_t p = 0; p < study->arm_count; p++) {
				struct study_run *run = &runs[n++];

				run->environment = e;
				run->arm = p;
				run->seed = seed;
				run->name = cli_format("%s-%s-seed%llu", study->environments[e].label,
						       study->arms[p].name,
						       (unsigned long long)seed);
				run->directory = run_path(study->state, run->name);
			}
		}
	}
	*count = n;
	return runs;
}

void study_free_runs(struct study_run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(runs[i].name);
		free(runs[i].directory);
	}
	free(runs);
}

void study_settings(const struct study *study, const struct study_run *run, struct settings *settings)
{
	*settings = study->environments[run->environment].settings;
	settings->agent.precision = study->arms[run->arm].precision;
	settings->agent.schedule = study->arms[run->arm].schedule;
	/* Settings of schedules may be those of all arms; the delay has none. */
	if (settings->agent.schedule == FIXAR_SCHEDULE_DELAY) {
		settings->agent.schedule_stages = 0;
		settings->agent.schedule_observe = settings->agent.schedule_interval = 0;
	}
	settings->agent.seed = run->seed;
	settings_resolve(settings);
}
