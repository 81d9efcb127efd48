// SPDX-License-Identifier: MIT
/*
 * fixar bench: the speed of training and of acting. On a machine that others use too one number means little: all cases
 * are measured in turns, several times round, and the median is given with the slowest and the fastest round.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_case.h"
#include "commands.h"
#include "device.h"
#include "progress.h"

#define MAX_LIST 16

enum {
	KEY_THREADS = 0x1000,
	KEY_ENGINE,
	KEY_HIDDEN,
	KEY_SHAPE,
	KEY_ROUNDS,
	KEY_SECONDS,
	KEY_JSON,
};

struct bench_arguments {
	enum fixar_precision precisions[MAX_LIST];
	uint64_t batches[MAX_LIST], threads[MAX_LIST];
	size_t precision_count, batch_count, thread_count;
	struct bench_shape shape;
	const char *engine;
	unsigned rounds;
	double seconds;
	bool json;
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
		if (arguments->precision_count == MAX_LIST ||
		    fixar_precision_parse(item, &arguments->precisions[arguments->precision_count++]))
			argp_error(state,
				   "precision is \"%s\"; expected float32, fixed32, qat16 or qat16x16, or several with commas",
				   text);
	free(copy);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct bench_arguments *arguments = state->input;
	uint64_t values[FIXAR_MAX_HIDDEN];

	switch (key) {
	case 'p':
		read_precisions(arguments, state, text);
		return 0;
	case 'b':
		arguments->batch_count = read_list(state, "batch", text, 1, 65536, MAX_LIST, arguments->batches);
		return 0;
	case KEY_THREADS:
		arguments->thread_count = read_list(state, "threads", text, 1, 1024, MAX_LIST, arguments->threads);
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
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case 'q':
		cli_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *sorted, unsigned count)
{
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Training cases of all precisions, batches and threads, then one acting case for each precision. */
static struct bench_case *make_cases(const struct bench_arguments *arguments, size_t *count)
{
	size_t capacity = arguments->precision_count * (arguments->batch_count * arguments->thread_count + 1), n = 0;
	struct bench_case *cases = calloc(capacity, sizeof(*cases));

	if (!cases)
		exit(CLI_FAILED);
	for (size_t t = 0; t < arguments->thread_count; t++)
		for (size_t b = 0; b < arguments->batch_count; b++)
			for (size_t p = 0; p < arguments->precision_count; p++)
				cases[n++] = (struct bench_case){
					.precision = arguments->precisions[p],
					.batch = (uint32_t)arguments->batches[b],
					.threads = (uint32_t)arguments->threads[t],
				};
	for (size_t p = 0; p < arguments->precision_count; p++)
		cases[n++] = (struct bench_case){ .precision = arguments->precisions[p], .threads = 1 };
	for (size_t i = 0; i < n; i++) {
		cases[i].rates = calloc(arguments->rounds, sizeof(double));
		if (!cases[i].rates)
			exit(CLI_FAILED);
	}
	*count = n;
	return cases;
}

/* Round 0 warms up and is not counted. */
static int measure(const struct bench_arguments *arguments, struct bench_case *cases, size_t count)
{
	bool terminal = progress_columns(STDERR_FILENO) && !cli_quiet;

	for (unsigned round = 0; round <= arguments->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			double rate = bench_case_run(&cases[i], round ? arguments->seconds : arguments->seconds / 4);

			if (rate < 0) {
				cli_error("%s with batch %u failed: %s", fixar_precision_name(cases[i].precision),
					  cases[i].batch, strerror((int)-rate));
				return CLI_FAILED;
			}
			if (cli_interrupted())
				return CLI_INTERRUPTED;
			if (round)
				cases[i].rates[round - 1] = rate;
			if (terminal)
				fprintf(stderr, "\rround %u of %u, case %zu of %zu\033[K", round, arguments->rounds,
					i + 1, count);
		}
	}
	if (terminal)
		fprintf(stderr, "\r\033[K");
	for (size_t i = 0; i < count; i++)
		qsort(cases[i].rates, arguments->rounds, sizeof(double), ascending);
	return CLI_OK;
}

static void print_text(const struct bench_arguments *arguments, const struct bench_case *cases, size_t count)
{
	bool acting = false;

	printf("%-9s%7s%9s%12s%24s%12s\n", "precision", "batch", "threads", "steps/s", "slowest to fastest", "IPS");
	for (size_t i = 0; i < count; i++) {
		const struct bench_case *bench = &cases[i];
		double rate = median(bench->rates, arguments->rounds);
		char ips[CLI_TEXT], spread[CLI_TEXT];

		snprintf(spread, sizeof(spread), bench->batch ? "%.1f to %.1f" : "%.0f to %.0f", bench->rates[0],
			 bench->rates[arguments->rounds - 1]);
		if (!bench->batch && !acting)
			printf("\nActing on one observation, one thread:\n%-9s%28s%24s\n", "precision", "actions/s",
			       "slowest to fastest");
		acting = !bench->batch;
		if (acting)
			printf("%-9s%28.0f%24s\n", fixar_precision_name(bench->precision), rate, spread);
		else
			printf("%-9s%7u%9u%12.1f%24s%12s\n", fixar_precision_name(bench->precision), bench->batch,
			       bench->threads, rate, spread, cli_group((uint64_t)(rate * bench->batch), ips));
	}
}

static void print_json(const struct bench_arguments *arguments, const struct bench_case *cases, size_t count)
{
	json_t *rows = json_array(), *acting = json_array(), *hidden = json_array(), *answer;

	for (uint32_t i = 0; i < arguments->shape.hidden_count; i++)
		json_array_append_new(hidden, json_integer(arguments->shape.hidden[i]));
	for (size_t i = 0; i < count; i++) {
		const struct bench_case *bench = &cases[i];
		double rate = median(bench->rates, arguments->rounds), low = bench->rates[0];
		double high = bench->rates[arguments->rounds - 1];
		const char *precision = fixar_precision_name(bench->precision);

		if (bench->batch)
			json_array_append_new(rows,
					      json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "precision", precision,
							"batch", (json_int_t)bench->batch, "threads",
							(json_int_t)bench->threads, "steps_per_second", rate, "ips",
							rate * bench->batch, "slowest", low, "fastest", high));
		else
			json_array_append_new(acting,
					      json_pack("{s:s, s:I, s:I, s:f, s:f, s:f}", "precision", precision,
							"batch", (json_int_t)1, "threads", (json_int_t)bench->threads,
							"actions_per_second", rate, "slowest", low, "fastest", high));
	}
	answer =
		json_pack("{s:s, s:I, s:I, s:o, s:I, s:f, s:o, s:o}", "device", bench_case_device(&cases[0]),
			  "observation_dim", (json_int_t)arguments->shape.observation_dim, "action_dim",
			  (json_int_t)arguments->shape.action_dim, "hidden", hidden, "rounds",
			  (json_int_t)arguments->rounds, "seconds", arguments->seconds, "rows", rows, "acting", acting);
	cli_print_json(answer);
	json_decref(answer);
}

static int run(const struct bench_arguments *arguments)
{
	size_t count;
	struct bench_case *cases = make_cases(arguments, &count);
	int code = CLI_OK;

	cli_catch_interrupts();
	for (size_t i = 0; i < count && !code; i++) {
		int error = bench_case_open(&cases[i], &arguments->shape, arguments->engine);

		if (error) {
			cli_error("%s with batch %u cannot be measured: %s", fixar_precision_name(cases[i].precision),
				  cases[i].batch, strerror(-error));
			code = CLI_FAILED;
		}
	}
	if (!code) {
		cli_note("%u observations, %u actions; median of %u rounds of %g s, all cases in turns; qat16 and "
			 "qat16x16 after their switch.",
			 arguments->shape.observation_dim, arguments->shape.action_dim, arguments->rounds,
			 arguments->seconds);
		code = measure(arguments, cases, count);
	}
	if (!code && arguments->json)
		print_json(arguments, cases, count);
	else if (!code)
		print_text(arguments, cases, count);
	for (size_t i = 0; i < count; i++) {
		bench_case_close(&cases[i]);
		free(cases[i].rates);
	}
	free(cases);
	return code;
}

int cmd_bench(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "precision", 'p', "LIST", 0, "Precisions; default float32,fixed32,qat16,qat16x16", 1 },
		{ "batch", 'b', "LIST", 0, "Batches; default 64,128,256,512", 1 },
		{ "threads", KEY_THREADS, "LIST", 0, "Numbers of threads; default one per processor", 1 },
		{ "engine", KEY_ENGINE, "NAME", 0, "CPU kernels: auto, scalar, avx2, avx512 or neon", 1 },
		{ "hidden", KEY_HIDDEN, "N,N", 0, "Widths of the hidden layers; default 400,300", 1 },
		{ "shape", KEY_SHAPE, "N,N", 0, "Observations and actions; default 17,6 (HalfCheetah's)", 1 },
		{ "rounds", KEY_ROUNDS, "N", 0, "How often every case is measured; default 5", 1 },
		{ "seconds", KEY_SECONDS, "X", 0, "How long each time; default 0.3", 1 },
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		{ "quiet", 'q', NULL, 0, "Say nothing but errors and the answer", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Measures training steps and actions per second, without environment and replay memory. IPS is "
		       "the batch "
		       "times the training steps per second.",
	};
	struct bench_arguments arguments = {
		.precisions = { FIXAR_FLOAT32, FIXAR_FIXED32, FIXAR_QAT16, FIXAR_QAT16X16 },
		.precision_count = 4,
		.batches = { 64, 128, 256, 512 },
		.batch_count = 4,
		.thread_count = 1,
		.shape = { .observation_dim = 17, .action_dim = 6, .hidden_count = 2, .hidden = { 400, 300 } },
		.rounds = 5,
		.seconds = 0.3,
	};
	cpu_set_t set;

	arguments.threads[0] = sched_getaffinity(0, sizeof(set), &set) ? 1 : (uint64_t)CPU_COUNT(&set);
	if (cli_parse(&argp, "fixar bench", argc, argv, &arguments))
		return CLI_USAGE;
	return run(&arguments);
}
