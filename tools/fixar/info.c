// SPDX-License-Identifier: MIT
/* fixar info: what this program and this machine offer. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cards.h"
#include "commands.h"
#include "info_card.h"

static const char *const engines[] = { "amx", "avx512", "avx2", "neon", "scalar" };
static const char *const locomotion[] = { "halfcheetah", "hopper", "swimmer" };

#define KEY_JSON 0x1000

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	switch (key) {
	case KEY_JSON:
		*(bool *)state->input = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int collect_environment(const struct fixar_env *env, void *user)
{
	const struct fixar_env_spec *spec = env->spec;

	return json_array_append_new(
		user, json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "name", spec->name, "description", spec->description,
				"observation_dim", (json_int_t)spec->observation_dim, "action_dim",
				(json_int_t)spec->action_dim, "max_episode_steps", (json_int_t)spec->max_episode_steps,
				"reward_threshold", cli_json_number(spec->reward_threshold)));
}

static bool has_environment(const json_t *environments, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach(environments, i,
			   item) if (!strcmp(json_string_value(json_object_get(item, "name")), name)) return true;
	return false;
}

/* The locomotion tasks that are not there, and why. */
static json_t *missing(const json_t *environments)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(locomotion) / sizeof(locomotion[0]); i++) {
		char message[1024] = "";
		struct fixar_env env;

		if (has_environment(environments, locomotion[i]))
			continue;
		if (fixar_env_find(locomotion[i], &env, message, sizeof(message)))
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", locomotion[i], "reason", message));
	}
	return list;
}

static json_t *collect(void)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	json_t *available = json_array(), *environments = json_array();
	struct fixar_device *device = NULL;
	json_t *info, *cards = cards_describe_all();
	cpu_set_t set;
	int error, processors = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		processors = CPU_COUNT(&set);
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (fixar_engine_available(engines[i]) > 0)
			json_array_append_new(available, json_string(engines[i]));
	fixar_env_each(collect_environment, environments);
	error = fixar_device_open("cpu", &options, &device);
	info = json_pack("{s:s, s:o, s:s, s:i, s:o, s:o, s:o}", "version", fixar_version(), "engines", available,
			 "device", error ? cli_reason(error) : fixar_device_description(device), "processors",
			 processors, "environments", environments, "missing_environments", missing(environments),
			 "cards", cards ? cards : json_array());
	fixar_device_close(device);
	return info;
}

static void print_text(const json_t *info)
{
	json_t *item;
	size_t i;

	printf("fixar %s\n", json_string_value(json_object_get(info, "version")));
	printf("device        %s\n", json_string_value(json_object_get(info, "device")));
	printf("engines      ");
	json_array_foreach(json_object_get(info, "engines"), i, item)
		printf(" %s%s", json_string_value(item), i ? "" : " (chosen)");
	printf("\nprocessors    %lld\n", (long long)json_integer_value(json_object_get(info, "processors")));
	if (!json_array_size(json_object_get(info, "cards")))
		printf("cards         none\n");
	json_array_foreach(json_object_get(info, "environments"), i, item)
	{
		double threshold = json_number_value(json_object_get(item, "reward_threshold"));

		printf("%-14s%-14s%lld observations, %lld actions, episodes of up to %lld steps",
		       i ? "" : "environments", json_string_value(json_object_get(item, "name")),
		       (long long)json_integer_value(json_object_get(item, "observation_dim")),
		       (long long)json_integer_value(json_object_get(item, "action_dim")),
		       (long long)json_integer_value(json_object_get(item, "max_episode_steps")));
		if (json_is_number(json_object_get(item, "reward_threshold")))
			printf(", solved at %g", threshold);
		putchar('\n');
	}
	json_array_foreach(json_object_get(info, "missing_environments"), i, item)
		printf("%-14s%s\n", i ? "" : "missing", json_string_value(json_object_get(item, "reason")));
	json_array_foreach(json_object_get(info, "cards"), i, item)
		info_print_card(item);
}

int cmd_info(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Says which version this is, which kernels this processor can run, and which environments and "
		       "cards were found.",
	};
	bool as_json = false;
	json_t *info;

	if (cli_parse(&argp, "fixar info", argc, argv, &as_json))
		return CLI_USAGE;
	info = collect();
	if (!info) {
		cli_error("out of memory");
		return CLI_FAILED;
	}
	if (as_json)
		cli_print_json(info);
	else
		print_text(info);
	json_decref(info);
	return CLI_OK;
}
