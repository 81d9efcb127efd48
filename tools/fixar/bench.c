// SPDX-License-Identifier: MIT
/* fixar bench: the options, and what all measurements share. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "commands.h"
#include "device.h"
#include "progress.h"

enum {
	KEY_THREADS = 0x1000,
	KEY_ENGINE,
	KEY_HIDDEN,
	KEY_SHAPE,
	KEY_ROUNDS,
	KEY_SECONDS,
	KEY_JSON,
	KEY_KERNELS,
	KEY_PLATFORM,
	KEY_DEVICE,
	KEY_SCALING,
	KEY_ONLY,
	KEY_OUT,
};

struct parsed {
	struct bench_arguments arguments;
	int (*what)(const struct bench_arguments *arguments);
	bool threads_given;
};

static size_t read_list(const struct argp_state *state, const char *option, const char *text, uint64_t low,
			uint64_t high, size_t capacity, uint64_t *values)
{
	char *copy = cli_format("%s", text), *rest = copy, *item;
	size_t count = 0;

	while ((item = strsep(&rest, ","))) {
		if (count == capacity)
			argp_error(state, "%s is \"%s\"; expected at most %zu numbers", option, text, capacity);
		values[count++] = cli_option_u64(state, option, item, low, high);
	}
	free(copy);
	return count;
}

static void read_precisions(struct bench_arguments *arguments, const struct argp_state *state, const char *text)
{
	char *copy = cli_format("%s", text), *rest = copy, *item;

	arguments->precision_count = 0;
	while ((item = strsep(&rest, ",")))
		if (arguments->precision_count == BENCH_MAX_LIST ||
		    fixar_precision_parse(item, &arguments->precisions[arguments->precision_count++]))
			argp_error(state,
				   "precision is \"%s\"; expected float32, fixed32, qat16 or qat16x16, or several with "
				   "commas",
				   text);
	free(copy);
}

static void choose(struct parsed *parsed, const struct argp_state *state,
		   int (*what)(const struct bench_arguments *arguments))
{
	if (parsed->what != bench_steps && parsed->what != what)
		argp_error(state,
			   "--kernels, --platform and --scaling are different measurements: expected one of them");
	parsed->what = what;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct parsed *parsed = state->input;
	struct bench_arguments *arguments = &parsed->arguments;
	uint64_t values[FIXAR_MAX_HIDDEN];

	switch (key) {
	case 'p':
		read_precisions(arguments, state, text);
		return 0;
	case 'b':
		arguments->batch_count = read_list(state, "batch", text, 1, 65536, BENCH_MAX_LIST, arguments->batches);
		return 0;
	case KEY_THREADS:
		parsed->threads_given = true;
		arguments->thread_count =
			read_list(state, "threads", text, 1, 1024, BENCH_MAX_LIST, arguments->threads);
		return 0;
	case KEY_ENGINE:
		arguments->engine = device_engine(state, text);
		return 0;
	case KEY_HIDDEN:
		arguments->shape.hidden_count =
			(uint32_t)read_list(state, "hidden", text, 1, 16384, FIXAR_MAX_HIDDEN, values);
		for (size_t i = 0; i < arguments->shape.hidden_count; i++)
			arguments->shape.hidden[i] = (uint32_t)values[i];
		return 0;
	case KEY_SHAPE:
		if (read_list(state, "shape", text, 1, 4096, 2, values) != 2)
			argp_error(state, "shape is \"%s\"; expected observations and actions, such as 17,6", text);
		arguments->shape.observation_dim = (uint32_t)values[0];
		arguments->shape.action_dim = (uint32_t)values[1];
		return 0;
	case KEY_ROUNDS:
		arguments->rounds = (unsigned)cli_option_u64(state, "rounds", text, 1, 1000);
		return 0;
	case KEY_SECONDS:
		if (cli_parse_double(text, &arguments->seconds) || arguments->seconds < 0 || arguments->seconds > 3600)
			argp_error(state, "seconds is \"%s\"; expected a number from 0 to 3600", text);
		return 0;
	case KEY_KERNELS:
		choose(parsed, state, bench_kernels);
		return 0;
	case KEY_PLATFORM:
		choose(parsed, state, bench_platform);
		if (text)
			arguments->environment = text;
		return 0;
	case KEY_SCALING:
		choose(parsed, state, bench_scaling);
		return 0;
	case KEY_ONLY:
		if (strcmp(text, "training") && strcmp(text, "acting"))
			argp_error(state, "only is \"%s\"; expected training or acting", text);
		arguments->training = !strcmp(text, "training");
		arguments->acting = !arguments->training;
		return 0;
	case KEY_OUT:
		arguments->out = text;
		return 0;
	case KEY_DEVICE:
		arguments->device = text;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case 'q':
		cli_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	case ARGP_KEY_END:
		if (arguments->device && parsed->what != bench_platform)
			argp_error(state, "--device belongs to --platform");
		if (arguments->out && parsed->what != bench_scaling)
			argp_error(state, "--out belongs to --scaling");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- What all measurements share ---- */

double bench_processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_spread bench_spread(double *values, unsigned count)
{
	qsort(values, count, sizeof(double), ascending);
	return (struct bench_spread){
		.low = values[0],
		.median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2,
		.high = values[count - 1],
	};
}

json_t *bench_spread_json(const struct bench_spread *spread)
{
	return json_pack("{s:f, s:f, s:f}", "median", spread->median, "lowest", spread->low, "highest", spread->high);
}

const char *bench_spread_text(const struct bench_spread *spread, char *buffer)
{
	snprintf(buffer, CLI_TEXT, spread->median < 1000 ? "%.1f to %.1f" : "%.0f to %.0f", spread->low, spread->high);
	return buffer;
}

void bench_progress(const struct bench_arguments *arguments, unsigned round, size_t index, size_t count)
{
	if (progress_columns(STDERR_FILENO) && !cli_quiet)
		fprintf(stderr, "\rround %u of %u, case %zu of %zu\033[K", round, arguments->rounds, index + 1, count);
}

void bench_progress_end(void)
{
	if (progress_columns(STDERR_FILENO) && !cli_quiet)
		fprintf(stderr, "\r\033[K");
}

json_t *bench_json_head(const struct bench_arguments *arguments, const char *device)
{
	json_t *hidden = json_array();

	for (uint32_t i = 0; i < arguments->shape.hidden_count; i++)
		json_array_append_new(hidden, json_integer(arguments->shape.hidden[i]));
	return json_pack("{s:s, s:I, s:I, s:o, s:I, s:f}", "device", device, "observation_dim",
			 (json_int_t)arguments->shape.observation_dim, "action_dim",
			 (json_int_t)arguments->shape.action_dim, "hidden", hidden, "rounds",
			 (json_int_t)arguments->rounds, "seconds", arguments->seconds);
}

int cmd_bench(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ NULL, 0, NULL, 0, "What to measure; default training and acting on the CPU alone:", 1 },
		{ "only", KEY_ONLY, "WHAT", 0, "Of these training or acting alone", 1 },
		{ "kernels", KEY_KERNELS, NULL, 0,
		  "Single products, as a share of what the processor's multipliers can do, one thread", 1 },
		{ "platform", KEY_PLATFORM, "ENV", OPTION_ARG_OPTIONAL,
		  "The whole loop: act, step, store, sample, train; default with halfcheetah", 1 },
		{ "scaling", KEY_SCALING, NULL, 0,
		  "The cost of a training step against batch, width, depth and threads", 1 },
		{ "out", KEY_OUT, "FILE", 0, "With --scaling: a figure, .svg or .png", 1 },
		{ "device", KEY_DEVICE, "WHERE", 0, "With --platform: a card (default cpu)", 1 },
		{ NULL, 0, NULL, 0, "Cases:", 2 },
		{ "precision", 'p', "LIST", 0, "Precisions; default float32,fixed32,qat16,qat16x16", 2 },
		{ "batch", 'b', "LIST", 0, "Batches; default 64,128,256,512", 2 },
		{ "threads", KEY_THREADS, "LIST", 0, "Numbers of threads; default 1 and one per processor", 2 },
		{ "engine", KEY_ENGINE, "NAME", 0, "CPU kernels: auto, scalar, avx2, avx512, amx or neon", 2 },
		{ "hidden", KEY_HIDDEN, "N,N", 0, "Widths of the hidden layers; default 400,300", 2 },
		{ "shape", KEY_SHAPE, "N,N", 0, "Observations and actions; default 17,6 (HalfCheetah's)", 2 },
		{ "rounds", KEY_ROUNDS, "N", 0, "How often every case is measured; default 5", 2 },
		{ "seconds", KEY_SECONDS, "X", 0, "How long each time; default 0.3", 2 },
		{ NULL, 0, NULL, 0, "Output:", 3 },
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON", 3 },
		{ "quiet", 'q', NULL, 0, "Say nothing but errors and the answer", 3 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Measures the speed of this machine: training steps and actions per second, single products, or "
		       "the "
		       "whole loop with an environment. IPS is the batch times the training steps per second.",
	};
	struct parsed parsed = {
		.what = bench_steps,
		.arguments = {
			.precisions = { FIXAR_FLOAT32, FIXAR_FIXED32, FIXAR_QAT16, FIXAR_QAT16X16 },
			.precision_count = 4,
			.batches = { 64, 128, 256, 512 },
			.batch_count = 4,
			.threads = { 1 },
			.thread_count = 1,
			.shape = { .observation_dim = 17, .action_dim = 6, .hidden_count = 2, .hidden = { 400, 300 } },
			.training = true,
			.acting = true,
			.environment = "halfcheetah",
			.rounds = 5,
			.seconds = 0.3,
		},
	};
	cpu_set_t set;

	if (cli_parse(&argp, "fixar bench", argc, argv, &parsed))
		return CLI_USAGE;
	if (!parsed.threads_given && !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) > 1)
		parsed.arguments.threads[parsed.arguments.thread_count++] = (uint64_t)CPU_COUNT(&set);
	cli_catch_interrupts();
	return parsed.what(&parsed.arguments);
}
