// SPDX-License-Identifier: MIT
/* fixar bench: training steps and actions per second, without environment and replay memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Training cases of all precisions, batches and threads, then one acting case for each precision. */
static struct bench_case *make_cases(const struct bench_arguments *arguments, size_t *count)
{
	size_t capacity = arguments->precision_count * (arguments->batch_count * arguments->thread_count + 1), n = 0;
	struct bench_case *cases = calloc(capacity, sizeof(*cases));

	if (!cases)
		exit(CLI_FAILED);
	for (size_t t = 0; arguments->training && t < arguments->thread_count; t++)
		for (size_t b = 0; b < arguments->batch_count; b++)
			for (size_t p = 0; p < arguments->precision_count; p++)
				cases[n++] = (struct bench_case){
					.precision = arguments->precisions[p],
					.batch = (uint32_t)arguments->batches[b],
					.threads = (uint32_t)arguments->threads[t],
				};
	for (size_t p = 0; arguments->acting && p < arguments->precision_count; p++)
		cases[n++] = (struct bench_case){ .precision = arguments->precisions[p], .threads = 1 };
	for (size_t i = 0; i < n; i++) {
		cases[i].rates = calloc(arguments->rounds, sizeof(double));
		cases[i].processor_rates = calloc(arguments->rounds, sizeof(double));
		if (!cases[i].rates || !cases[i].processor_rates)
			exit(CLI_FAILED);
	}
	*count = n;
	return cases;
}

/* Round 0 warms up and is not counted. */
static int measure(const struct bench_arguments *arguments, struct bench_case *cases, size_t count)
{
	for (unsigned round = 0; round <= arguments->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			double rate, processor_rate;
			int error = bench_case_run(&cases[i], round ? arguments->seconds : arguments->seconds / 4,
						   &rate, &processor_rate);

			if (error) {
				cli_error("%s with batch %u failed: %s", fixar_precision_name(cases[i].precision),
					  cases[i].batch, strerror(-error));
				return CLI_FAILED;
			}
			if (cli_interrupted())
				return CLI_INTERRUPTED;
			if (round) {
				cases[i].rates[round - 1] = rate;
				cases[i].processor_rates[round - 1] = processor_rate;
			}
			bench_progress(arguments, round, i, count);
		}
	}
	bench_progress_end();
	return CLI_OK;
}

static void print_text(const struct bench_arguments *arguments, const struct bench_case *cases, size_t count)
{
	bool acting = false;

	if (arguments->training)
		printf("%-9s%7s%9s%12s%24s%12s%18s%10s\n", "precision", "batch", "threads", "steps/s",
		       "slowest to fastest", "IPS", "IPS, CPU seconds", "MB/step");
	for (size_t i = 0; i < count; i++) {
		const struct bench_case *bench = &cases[i];
		const struct bench_spread rate = bench_spread(bench->rates, arguments->rounds);
		const struct bench_spread processor_rate = bench_spread(bench->processor_rates, arguments->rounds);
		const char *precision = fixar_precision_name(bench->precision);
		char ips[CLI_TEXT], processor_ips[CLI_TEXT], spread[CLI_TEXT];

		bench_spread_text(&rate, spread);
		if (!bench->batch && !acting)
			printf("%sActing on one observation, one thread:\n%-9s%28s%24s%30s\n", i ? "\n" : "",
			       "precision", "actions/s", "slowest to fastest", "actions/s, CPU seconds");
		acting = !bench->batch;
		if (acting)
			printf("%-9s%28.0f%24s%30.0f\n", precision, rate.median, spread, processor_rate.median);
		else
			printf("%-9s%7u%9u%12.1f%24s%12s%18s%10.1f\n", precision, bench->batch, bench->threads,
			       rate.median, spread, cli_group((uint64_t)(rate.median * bench->batch), ips),
			       cli_group((uint64_t)(processor_rate.median * bench->batch), processor_ips),
			       bench_step_bytes(&arguments->shape, bench->precision, bench->batch) / 1e6);
	}
}

static void print_json(const struct bench_arguments *arguments, const struct bench_case *cases, size_t count)
{
	json_t *rows = json_array(), *acting = json_array();
	json_t *answer = bench_json_head(arguments, bench_case_device(&cases[0]));

	for (size_t i = 0; i < count; i++) {
		const struct bench_case *bench = &cases[i];
		const struct bench_spread rate = bench_spread(bench->rates, arguments->rounds);
		const double processor_rate = bench_spread(bench->processor_rates, arguments->rounds).median;
		json_t *row =
			json_pack("{s:s, s:I, s:I, s:f, s:f}", "precision", fixar_precision_name(bench->precision),
				  "batch", (json_int_t)(bench->batch ? bench->batch : 1), "threads",
				  (json_int_t)bench->threads, "slowest", rate.low, "fastest", rate.high);

		if (bench->batch) {
			json_object_set_new(row, "steps_per_second", json_real(rate.median));
			json_object_set_new(row, "ips", json_real(rate.median * bench->batch));
			json_object_set_new(row, "steps_per_processor_second", json_real(processor_rate));
			json_object_set_new(
				row, "bytes_per_step",
				json_real(bench_step_bytes(&arguments->shape, bench->precision, bench->batch)));
		} else {
			json_object_set_new(row, "actions_per_second", json_real(rate.median));
			json_object_set_new(row, "actions_per_processor_second", json_real(processor_rate));
		}
		json_array_append_new(bench->batch ? rows : acting, row);
	}
	json_object_set_new(answer, "rows", rows);
	json_object_set_new(answer, "acting", acting);
	cli_print_json(answer);
	json_decref(answer);
}

int bench_steps(const struct bench_arguments *arguments)
{
	size_t count;
	struct bench_case *cases = make_cases(arguments, &count);
	int code = CLI_OK;

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
		free(cases[i].processor_rates);
	}
	free(cases);
	return code;
}
