// SPDX-License-Identifier: MIT
/* fixar train: options, the directory of the run, and what is said before and after. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "device.h"
#include "qat/schedule.h"
#include "run.h"
#include "session.h"

enum {
	KEY_SETTING = 0x1000, /* plus the index in settings_table */
	KEY_CONFIG = 0x3000,
	KEY_BITS,
	KEY_RESUME,
	KEY_JSON,
};

struct train_arguments {
	const char *environment, *config, *bits, *out;
	const char **values; /* of settings_table; NULL: not given */
	bool resume, json;
	struct device_choice device;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct train_arguments *arguments = state->input;

	for (size_t i = 0; i < settings_count; i++) {
		if (key == KEY_SETTING + (int)i ||
		    (settings_table[i].short_key && key == settings_table[i].short_key)) {
			arguments->values[i] = text ? text : "true";
			return 0;
		}
	}
	switch (key) {
	case KEY_CONFIG:
		arguments->config = text;
		return 0;
	case KEY_BITS:
		arguments->bits = text;
		return 0;
	case KEY_RESUME:
		arguments->resume = true;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case 'o':
		arguments->out = text;
		return 0;
	case 'q':
		cli_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->environment)
			argp_error(state, "\"%s\" is one argument too many; expected one environment", text);
		arguments->environment = text;
		return 0;
	default:
		return device_option(&arguments->device, key, text, state);
	}
}

static const struct argp_option own_options[] = {
	{ NULL, 0, NULL, 0, "The run:", 1 },
	{ "out", 'o', "DIR", 0, "Directory of the run, new or empty; default runs/ENV-PRECISION-seedS", 1 },
	{ "resume", KEY_RESUME, NULL, 0, "Go on with the run in --out DIR, to the bits of an uninterrupted run", 1 },
	{ "config", KEY_CONFIG, "FILE", 0, "Settings from a JSON file, such as the config.json of a run; options win",
	  1 },
	{ "bits", KEY_BITS, "FILE", 0, "Operand widths of single layers, from a JSON file", 1 },
	{ "quiet", 'q', NULL, 0, "Say nothing but errors", 1 },
	{ "json", KEY_JSON, NULL, 0, "Progress and result as JSON lines on standard output", 1 },
	{ NULL, 0, NULL, 0, "Settings:", 2 },
};
static const struct argp_option device_options[] = {
	{ NULL, 0, NULL, 0, "Where to compute:", 3 },
	DEVICE_OPTIONS,
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct argp_option *make_options(void)
{
	struct argp_option *options =
		calloc(COUNT(own_options) + settings_count + COUNT(device_options) + 1, sizeof(*options));
	struct argp_option *next = options;

	if (!options)
		exit(CLI_FAILED);
	for (size_t i = 0; i < COUNT(own_options); i++)
		*next++ = own_options[i];
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];

		*next++ = (struct argp_option){
			.name = setting->name,
			.key = setting->short_key ? setting->short_key : KEY_SETTING + (int)i,
			.arg = setting->argument,
			.doc = setting->help,
			.group = 2,
		};
	}
	for (size_t i = 0; i < COUNT(device_options); i++)
		*next++ = device_options[i];
	return options;
}

static int list_environment(const struct fixar_env *env, void *user)
{
	(void)user;
	fprintf(stderr, "  %-14s%s\n", env->spec->name, env->spec->description);
	return 0;
}

static int no_environment(void)
{
	cli_error("which environment? These were found:");
	fixar_env_each(list_environment, NULL);
	fprintf(stderr, "Try 'fixar train pendulum', or 'fixar train --help' for more information.\n");
	return CLI_USAGE;
}

/* Lays what --config, --bits and the options say over *settings. */
static int apply(const struct train_arguments *arguments, json_t *config, json_t *bits, struct settings *settings)
{
	static const char *const others[] = { "format", "environment", NULL };
	char *message = NULL;
	int code;

	if (config && settings_from_json(settings, config, others, &message)) {
		code = cli_usage("%s: %s", arguments->config, message);
		goto out;
	}
	if (bits && settings_bits_from_json(settings->bits, &settings->bits_count, bits, &message)) {
		code = cli_usage("%s: %s", arguments->bits, message);
		goto out;
	}
	for (size_t i = 0; i < settings_count; i++) {
		if (arguments->values[i] &&
		    settings_set(settings, &settings_table[i], arguments->values[i], &message)) {
			code = cli_usage("%s", message);
			goto out;
		}
	}
	settings_resolve(settings);
	if (settings->bits_count && settings->agent.precision < FIXAR_QAT16)
		code = cli_usage("bits of layers need precision qat16 or qat16x16, and it is %s",
				 fixar_precision_name(settings->agent.precision));
	else
		code = CLI_OK;
out:
	free(message);
	return code;
}

static int read_file(const char *path, json_t **value)
{
	char *message;
	int error;

	*value = NULL;
	if (!path)
		return CLI_OK;
	*value = cli_read_json(path, &message, &error);
	if (*value)
		return CLI_OK;
	cli_error("%s", message);
	free(message);
	return CLI_FAILED;
}

/* The settings of this run; for a run that goes on, those it was started with. *goes_on says which. */
static int decide_settings(const struct train_arguments *arguments, struct settings *settings, bool *goes_on)
{
	json_t *config = NULL, *bits = NULL;
	struct settings was;
	const char *environment = arguments->environment;
	char *message = NULL;
	int code = read_file(arguments->config, &config);

	if (!code)
		code = read_file(arguments->bits, &bits);
	if (code)
		goto out;
	if (!environment)
		environment = json_string_value(json_object_get(config, "environment"));
	*goes_on = arguments->resume && run_has(arguments->out, RUN_CONFIG);
	if (*goes_on) {
		if (run_read_config(arguments->out, &was, &message)) {
			cli_error("%s", message);
			code = CLI_FAILED;
			goto out;
		}
		*settings = was;
		if (environment)
			snprintf(settings->environment, sizeof(settings->environment), "%s", environment);
	} else if (environment) {
		settings_default(settings);
		settings_environment(settings, environment);
	} else {
		code = no_environment();
		goto out;
	}
	code = apply(arguments, config, bits, settings);
	if (!code && *goes_on && run_compatible(&was, settings, &message))
		code = cli_usage("%s: %s", arguments->out, message);
out:
	free(message);
	json_decref(config);
	json_decref(bits);
	return code;
}

/* Makes and takes the directory. */
static int take_directory(const char *directory, bool resume, bool goes_on, const struct settings *settings)
{
	int error = cli_make_directory(directory), empty;

	if (error) {
		cli_error("the directory %s cannot be made: %s", directory, strerror(-error));
		return CLI_FAILED;
	}
	empty = cli_directory_empty(directory);
	if (empty < 0) {
		cli_error("%s: %s", directory, strerror(-empty));
		return CLI_FAILED;
	}
	if (!empty && !resume) {
		cli_error("the directory %s is not empty; --resume goes on with the run in it, --out names another",
			  directory);
		return CLI_FAILED;
	}
	if (!goes_on && run_untouched(directory) != 1) {
		cli_error("%s holds other things than a run: there is no %s in it", directory, RUN_CONFIG);
		return CLI_FAILED;
	}
	error = run_lock(directory);
	if (error == -EBUSY)
		cli_error("another process trains in %s", directory);
	else if (error)
		cli_error("%s cannot be locked: %s", directory, strerror(-error));
	if (error)
		return CLI_FAILED;
	error = run_write_config(directory, settings);
	if (error) {
		cli_error("%s/%s cannot be written: %s", directory, RUN_CONFIG, strerror(-error));
		return CLI_FAILED;
	}
	return CLI_OK;
}

static void say_schedule(const struct settings *settings)
{
	struct fixar_agent_options options = settings->agent;
	char delay[CLI_TEXT], interval[CLI_TEXT], widths[SETTINGS_TEXT] = "";

	if (options.schedule == FIXAR_SCHEDULE_DELAY) {
		cli_note("Precision switches after %s steps.", cli_group(options.delay, delay));
		return;
	}
	qat_schedule_defaults(&options);
	for (uint32_t i = 0; i < options.schedule_stages; i++)
		snprintf(widths + strlen(widths), sizeof(widths) - strlen(widths), "%s%u", i ? ", " : "",
			 options.schedule_width[i]);
	cli_note("Schedule %s: stages of %s bits, the first after %s training steps, a look every %s.",
		 qat_schedule_name[options.schedule], widths, cli_group(options.schedule_observe, delay),
		 cli_group(options.schedule_interval, interval));
}

static void say_plan(const struct settings *settings, const struct fixar_device *device, const char *directory,
		     bool resumed)
{
	static const char *const precisions[] = {
		[FIXAR_FLOAT32] = "float32 (the yardstick)",
		[FIXAR_FIXED32] = "fixed32 (all operands 32 bits)",
		[FIXAR_QAT16] = "qat16 (16-bit activations after the delay)",
		[FIXAR_QAT16X16] = "qat16x16 (16-bit operands after the delay)",
	};
	char steps[CLI_TEXT], hidden[SETTINGS_TEXT];
	const struct setting *layers = settings_find("hidden");

	layers->format(layers, settings, hidden);
	cli_note("%s %s for %s steps in %s, seed %llu.", resumed ? "Going on with" : "Training", settings->environment,
		 cli_group(settings->steps, steps),
		 settings->agent.schedule == FIXAR_SCHEDULE_DELAY ? precisions[settings->agent.precision] :
								    fixar_precision_name(settings->agent.precision),
		 (unsigned long long)settings->agent.seed);
	cli_note("Hidden layers %s, batch %u, on %s.", hidden, settings->agent.batch, fixar_device_description(device));
	if (settings->agent.precision >= FIXAR_QAT16)
		say_schedule(settings);
	cli_note("Writing to %s (checkpoint every %s steps, metrics.csv, TensorBoard events). Ctrl-C saves.", directory,
		 cli_group(settings->checkpoint_every, steps));
}

static void say_end(const char *directory, const struct session_outcome *outcome)
{
	char steps[CLI_TEXT], episodes[CLI_TEXT];

	if (outcome->interrupted) {
		cli_error("interrupted at step %s and saved. To go on:\n  fixar train --resume --out %s",
			  cli_group(outcome->status.environment_steps, steps), directory);
		return;
	}
	cli_note("Done: %s steps, %s episodes.", cli_group(outcome->status.environment_steps, steps),
		 cli_group(outcome->status.episodes, episodes));
	if (outcome->status.episodes)
		cli_note("Mean return of the last ten: %.1f.", outcome->status.mean_return);
	cli_note("  evaluate:  fixar eval %s\n  draw:      fixar plot %s\n  go on:     fixar train --resume --out %s "
		 "--steps N",
		 directory, directory, directory);
}

static void print_result(const char *directory, const struct session_outcome *outcome)
{
	const struct fixar_agent_status *status = &outcome->status;
	json_t *result = json_pack(
		"{s:s, s:s, s:b, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:b, s:I, s:o}", "event", "result", "out", directory,
		"interrupted", outcome->interrupted, "environment_steps", (json_int_t)status->environment_steps,
		"training_steps", (json_int_t)status->training_steps, "episodes", (json_int_t)status->episodes,
		"mean_return", cli_json_number(status->mean_return), "critic_loss",
		cli_json_number(status->critic_loss), "largest_weight", cli_json_number(status->largest_weight),
		"saturations", (json_int_t)progress_saturations(status), "quantized", status->quantized,
		"switches", (json_int_t)status->switches, "array_cycles", cli_json_count(status->array_cycles));

	cli_print_json(result);
	json_decref(result);
}

/* Makes the agent, or loads it where there is a checkpoint to go on from. */
static int make_agent(const struct settings *settings, struct fixar_device *device, const struct fixar_env *env,
		      const char *directory, bool resumed, struct fixar_agent **agent, int *error_of)
{
	struct fixar_agent_options options = settings->agent;
	int error;

	options.log = cli_log;
	if (resumed)
		error = fixar_agent_load(device, env, directory, 1, cli_log, NULL, agent);
	else
		error = fixar_agent_create(device, env, &options, agent);
	*error_of = error;
	if (!error)
		return CLI_OK;
	if (resumed)
		cli_error("the checkpoint in %s cannot be gone on from: %s", directory, cli_reason(error));
	else
		cli_error("the agent cannot be made: %s", cli_reason(error));
	return CLI_FAILED;
}

/*
 * The same for the first time. If the card's memory lost its contents meanwhile there is no agent, which is no error:
 * train_through_losses() makes another.
 */
static int make_first_agent(const struct settings *settings, struct fixar_device *device, const struct fixar_env *env,
			    const char *directory, bool resumed, struct fixar_agent **agent, int *error_of)
{
	const int code = make_agent(settings, device, env, directory, resumed, agent, error_of);

	return *error_of == -ESTALE ? CLI_OK : code;
}

static enum progress_style choose_style(bool json)
{
	if (json)
		return PROGRESS_JSON;
	if (cli_quiet)
		return PROGRESS_NONE;
	return progress_columns(STDERR_FILENO) ? PROGRESS_LINE : PROGRESS_PLAIN;
}

/* How often a card's memory may lose its contents without a new checkpoint in between. */
#define LOSSES 5

static uint64_t saved_steps(const char *directory)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };

	return fixar_checkpoint_info(directory, &info, NULL, NULL) ? 0 : info.environment_steps;
}

/*
 * Trains to the end. A card's memory that loses its contents is a crash of the agent alone: another one goes on from the
 * last checkpoint, to the same bits.
 */
static int train_through_losses(struct fixar_agent **agent, struct fixar_device *device, const struct fixar_env *env,
				const struct settings *settings, const char *directory, bool resumed,
				enum progress_style style, struct session_outcome *outcome)
{
	uint64_t saved = 0;
	unsigned losses = 0;

	for (;;) {
		uint64_t now;
		char steps[CLI_TEXT];
		int code;

		if (*agent) {
			code = session_run(*agent, settings, directory, resumed, style, outcome);
			if (outcome->error != -ESTALE)
				return code;
		}
		now = saved_steps(directory);
		if (now > saved)
			losses = 0;
		saved = now;
		if (losses++ == LOSSES) {
			cli_error("the card's memory lost its contents %d times since step %s: giving up", LOSSES + 1,
				  cli_group(saved, steps));
			return CLI_FAILED;
		}
		cli_error("the card's memory lost its contents; going on from %s %s (loss %u of at most %d)",
			  run_has(directory, RUN_CHECKPOINT) ? "the checkpoint of step" : "step", cli_group(saved, steps),
			  losses, LOSSES);
		fixar_agent_destroy(*agent);
		*agent = NULL;
		resumed = true;
		code = make_agent(settings, device, env, directory, run_has(directory, RUN_CHECKPOINT), agent,
				  &outcome->error);
		if (code && outcome->error != -ESTALE)
			return code;
	}
}

static int train(const struct train_arguments *arguments, const struct settings *settings, bool goes_on,
		 const char *directory)
{
	struct session_outcome outcome = { .interrupted = false };
	struct fixar_device *device = NULL;
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	char message[1024] = "";
	bool resumed;
	int code, error = fixar_env_find(settings->environment, &env, message, sizeof(message));

	if (error) {
		cli_error("%s", message[0] ? message : strerror(-error));
		return error == -ENOENT ? CLI_USAGE : CLI_FAILED;
	}
	/* From here on: a run that is interrupted while it is being loaded ends in order, too. */
	cli_catch_interrupts();
	code = device_open(&arguments->device, settings->agent.precision, &device);
	resumed = goes_on && run_has(directory, RUN_CHECKPOINT);
	/* A new agent first: settings that it refuses leave no directory behind. One from a checkpoint needs the
	 * directory's lock. */
	if (!code && !resumed)
		code = make_first_agent(settings, device, &env, directory, false, &agent, &outcome.error);
	if (!code)
		code = take_directory(directory, arguments->resume, goes_on, settings);
	if (!code && resumed)
		code = make_first_agent(settings, device, &env, directory, true, &agent, &outcome.error);
	if (!code && !resumed && run_has(directory, RUN_CHECKPOINT)) {
		cli_error("another process has just trained in %s", directory);
		code = CLI_FAILED;
	}
	if (!code) {
		say_plan(settings, device, directory, resumed);
		if (arguments->resume && !resumed)
			cli_note("There is no checkpoint yet: starting at the beginning.");
		code = train_through_losses(&agent, device, &env, settings, directory, arguments->resume,
					    choose_style(arguments->json), &outcome);
		if (code == CLI_FAILED && run_has(directory, RUN_CHECKPOINT))
			cli_note("The last checkpoint can be gone on from: fixar train --resume --out %s", directory);
	}
	if (agent && code != CLI_FAILED) {
		say_end(directory, &outcome);
		if (arguments->json)
			print_result(directory, &outcome);
	}
	fixar_agent_destroy(agent);
	if (device)
		fixar_device_close(device);
	return code;
}

int cmd_train(int argc, char **argv)
{
	struct train_arguments arguments = { .resume = false };
	struct argp_option *options = make_options();
	struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "ENV",
		.doc = "Trains a DDPG agent in the environment ENV and writes the run to a directory: config.json, "
		       "checkpoint.safetensors, metrics.csv and TensorBoard event files.\v"
		       "The same settings give the same checkpoint to the bit, whatever the engine, the number of "
		       "threads and "
		       "the number of interruptions. Ctrl-C saves and exits with 130; so does SIGTERM.",
	};
	struct settings settings;
	char *directory = NULL;
	bool goes_on = false;
	int code;

	arguments.values = calloc(settings_count, sizeof(*arguments.values));
	if (!arguments.values)
		return CLI_FAILED;
	if (cli_parse(&argp, "fixar train", argc, argv, &arguments))
		code = CLI_USAGE;
	else if (arguments.resume && !arguments.out)
		code = cli_usage("--resume needs --out DIR, the directory of the run to go on with");
	else
		code = decide_settings(&arguments, &settings, &goes_on);
	if (!code) {
		directory = arguments.out ? cli_format("%s", arguments.out) : run_default_directory(&settings);
		code = train(&arguments, &settings, goes_on, directory);
	}
	free(directory);
	free(arguments.values);
	free(options);
	return code;
}
