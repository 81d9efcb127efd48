// SPDX-License-Identifier: MIT
/*
 * fixar bench --platform: the whole loop of training with an environment, and where its time goes. Beside it: what the
 * model says of a card with the paper's array, and what the loop would do with that card in place of the device.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "bench.h"
#include "model.h"

/* IPS of the paper's whole platform and of its accelerator alone. */
#define PAPER_PLATFORM 25293.3
#define PAPER_ACCELERATOR 53826.8

/* Ranges are observed over these training steps before qat16 switches. */
#define OBSERVING_STEPS 20

static const char *const phase_name[DDPG_PHASES] = { "act", "environment", "store", "sample", "train", "other" };

struct clock {
	enum ddpg_phase phase;
	double since;
	double seconds[DDPG_PHASES];
};

struct platform_case {
	enum fixar_precision precision;
	uint32_t batch, threads;
	struct fixar_device *device;
	struct fixar_agent *agent;
	struct clock clock;
	double until;
	double *rates, *processor_rates; /* training steps a second, by round */
	double total[DDPG_PHASES];	 /* seconds of all rounds */
	double *step_seconds;
	double card_act, card_train; /* seconds on the modelled card; 0: it has no such mode */
};

static void change_phase(void *user, enum ddpg_phase next)
{
	struct clock *clock = user;
	const double now = cli_now();

	clock->seconds[clock->phase] += now - clock->since;
	clock->phase = next;
	clock->since = now;
}

static int until_time(void *user, const struct fixar_progress *progress)
{
	const struct platform_case *bench = user;

	(void)progress;
	return cli_now() >= bench->until || cli_interrupted();
}

/* Switches of precision are no news here. */
static void log_problems(void *user, enum fixar_log_level level, const char *message)
{
	if (level <= FIXAR_LOG_WARNING)
		cli_log(user, level, message);
}

/* What the modelled card needs for the case's two commands. */
static void predict(struct platform_case *bench)
{
	static const int modelled[] = {
		[FIXAR_FIXED32] = MODEL_FIXED32, [FIXAR_QAT16] = MODEL_QAT16, [FIXAR_QAT16X16] = MODEL_QAT16X16
	};
	struct step_quantizer quantizers[MODEL_QUANTIZERS];
	const struct step_mode mode = { .quantized = bench->precision >= FIXAR_QAT16, .noise = STEP_NOISE_GAUSSIAN };
	struct step_workload workload = {
		.config = &bench->agent->config, .mode = &mode, .quantizers = quantizers, .batch = 1
	};
	struct step_cycles cycles;
	struct pe_array array;

	if (bench->precision == FIXAR_FLOAT32)
		return;
	pe_array_default(&array);
	workload.array = &array;
	model_set_quantizers(modelled[bench->precision], quantizers);
	if (step_cycles_act(&workload, NULL, NULL, &cycles, NULL, 0))
		return;
	bench->card_act = (double)cycles.cycles / (1e3 * array.clock_khz);
	workload.batch = bench->batch;
	if (!step_cycles_train(&workload, NULL, NULL, &cycles, NULL, 0))
		bench->card_train = (double)cycles.cycles / (1e3 * array.clock_khz);
}

static int open_case(struct platform_case *bench, const struct bench_arguments *arguments, const struct fixar_env *env)
{
	struct fixar_device_options device = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	int error;

	device.engine = arguments->device ? NULL : arguments->engine;
	device.threads = bench->threads;
	device.precision = bench->precision;
	device.log = log_problems;
	options.precision = bench->precision;
	options.seed = 1;
	options.batch = bench->batch;
	options.hidden_count = arguments->shape.hidden_count;
	memcpy(options.hidden, arguments->shape.hidden, sizeof(options.hidden));
	options.warm_up_steps = bench->batch > 1000 ? bench->batch : 1000;
	options.delay = options.warm_up_steps + OBSERVING_STEPS;
	options.total_steps = UINT64_C(1) << 40;
	options.log = log_problems;
	error = fixar_device_open(arguments->device ? arguments->device : "cpu", &device, &bench->device);
	if (!error)
		error = fixar_agent_create(bench->device, env, &options, &bench->agent);
	/* Past the switch of precision. */
	if (!error)
		error = fixar_agent_train(bench->agent, options.delay + OBSERVING_STEPS, NULL, NULL);
	if (error)
		return error;
	bench->agent->ddpg->on_phase = change_phase;
	bench->agent->ddpg->phase_user = &bench->clock;
	predict(bench);
	return 0;
}

/* Round 0 warms up. */
static int run_case(struct platform_case *bench, unsigned round, double seconds)
{
	const double start = cli_now(), processor_start = bench_processor_time();
	const uint64_t before = bench->agent->ddpg->record.training_steps;
	double passed, processor, steps;
	int error;

	memset(&bench->clock, 0, sizeof(bench->clock));
	bench->clock.phase = DDPG_OTHER;
	bench->clock.since = start;
	bench->until = start + seconds;
	error = fixar_agent_train(bench->agent, UINT64_C(1) << 40, until_time, bench);
	change_phase(&bench->clock, DDPG_OTHER);
	if (error < 0)
		return error;
	passed = cli_now() - start;
	processor = bench_processor_time() - processor_start;
	steps = (double)(bench->agent->ddpg->record.training_steps - before);
	if (!round)
		return 0;
	bench->rates[round - 1] = steps / passed;
	bench->processor_rates[round - 1] = steps / processor;
	bench->step_seconds[round - 1] = passed / steps;
	for (int p = 0; p < DDPG_PHASES; p++)
		bench->total[p] += bench->clock.seconds[p];
	return 0;
}

static void close_case(struct platform_case *bench)
{
	fixar_agent_destroy(bench->agent);
	fixar_device_close(bench->device);
	free(bench->rates);
	free(bench->processor_rates);
	free(bench->step_seconds);
}

/* Of one case: medians, and shares of all rounds' time. */
struct answer {
	struct bench_spread rate;
	double processor_rate, step_seconds, share[DDPG_PHASES];
	double with_card; /* training steps a second, were act and train the modelled card's; NAN: none */
};

static struct answer answer_of(struct platform_case *bench, unsigned rounds)
{
	struct answer answer = { .rate = bench_spread(bench->rates, rounds),
				 .processor_rate = bench_spread(bench->processor_rates, rounds).median,
				 .step_seconds = bench_spread(bench->step_seconds, rounds).median,
				 .with_card = NAN };

	double total = 0;

	for (int p = 0; p < DDPG_PHASES; p++)
		total += bench->total[p];
	for (int p = 0; p < DDPG_PHASES; p++)
		answer.share[p] = bench->total[p] / total;
	if (bench->card_train > 0)
		answer.with_card = 1 / (answer.step_seconds * (1 - answer.share[DDPG_ACT] - answer.share[DDPG_TRAIN]) +
					bench->card_act + bench->card_train);
	return answer;
}

static void print_text(const struct bench_arguments *arguments, struct platform_case *cases, size_t count)
{
	char text[CLI_TEXT];

	printf("%-9s%6s%8s%10s%19s%10s%10s |", "precision", "batch", "threads", "steps/s", "slowest to fastest", "IPS",
	       "CPU IPS");
	for (int p = 0; p < DDPG_PHASES; p++)
		printf(" %*s", (int)strlen(phase_name[p]) > 6 ? (int)strlen(phase_name[p]) : 6, phase_name[p]);
	printf(" | %10s %10s\n", "card: us", "its IPS");
	for (size_t i = 0; i < count; i++) {
		const struct answer answer = answer_of(&cases[i], arguments->rounds);

		printf("%-9s%6u%8u%10.1f%19s", fixar_precision_name(cases[i].precision), cases[i].batch,
		       cases[i].threads, answer.rate.median, bench_spread_text(&answer.rate, text));
		printf("%10s", cli_group((uint64_t)(answer.rate.median * cases[i].batch), text));
		printf("%10s |", cli_group((uint64_t)(answer.processor_rate * cases[i].batch), text));
		for (int p = 0; p < DDPG_PHASES; p++)
			printf(" %*.1f%%", (int)strlen(phase_name[p]) > 6 ? (int)strlen(phase_name[p]) - 1 : 5,
			       100 * answer.share[p]);
		if (isfinite(answer.with_card))
			printf(" | %10.0f %10s\n", 1e6 * (cases[i].card_act + cases[i].card_train),
			       cli_group((uint64_t)(answer.with_card * cases[i].batch), text));
		else
			printf(" | %10s %10s\n", "-", "-");
	}
	printf("\nShares are of wall time. CPU IPS: per second of processor time, all threads. The card is "
	       "lib/pe/ARRAY.md's model: time of one\n"
	       "action and one training step, and the loop's IPS with these in place of act and train, without driver "
	       "and bus.\n"
	       "The paper: 25,293.3 IPS for the whole platform, 53,826.8 for its accelerator, so that %.0f %% of the "
	       "platform's time were the\n"
	       "accelerator's and %.0f %% the host's and the bus's.\n",
	       100 * PAPER_PLATFORM / PAPER_ACCELERATOR, 100 - 100 * PAPER_PLATFORM / PAPER_ACCELERATOR);
}

static void print_json(const struct bench_arguments *arguments, struct platform_case *cases, size_t count)
{
	json_t *rows = json_array(), *answer = bench_json_head(arguments, fixar_device_description(cases[0].device));

	for (size_t i = 0; i < count; i++) {
		const struct answer found = answer_of(&cases[i], arguments->rounds);
		json_t *shares = json_object();

		for (int p = 0; p < DDPG_PHASES; p++)
			json_object_set_new(shares, phase_name[p], json_real(found.share[p]));
		json_array_append_new(
			rows, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "precision",
					fixar_precision_name(cases[i].precision), "batch", (json_int_t)cases[i].batch,
					"threads", (json_int_t)cases[i].threads, "steps_per_second", found.rate.median,
					"slowest", found.rate.low, "fastest", found.rate.high, "ips",
					found.rate.median * cases[i].batch, "steps_per_processor_second",
					found.processor_rate, "shares", shares, "card_act_seconds",
					cli_json_number(cases[i].card_act > 0 ? cases[i].card_act : NAN),
					"card_train_seconds",
					cli_json_number(cases[i].card_train > 0 ? cases[i].card_train : NAN),
					"ips_with_card", cli_json_number(found.with_card * cases[i].batch)));
	}
	json_object_set_new(answer, "environment", json_string(arguments->environment));
	json_object_set_new(answer, "paper_platform_ips", json_real(PAPER_PLATFORM));
	json_object_set_new(answer, "paper_accelerator_ips", json_real(PAPER_ACCELERATOR));
	json_object_set_new(answer, "platform", rows);
	cli_print_json(answer);
	json_decref(answer);
}

static double *values(unsigned rounds)
{
	double *memory = calloc(rounds, sizeof(double));

	if (!memory)
		exit(CLI_FAILED);
	return memory;
}

static int measure(const struct bench_arguments *arguments, struct platform_case *cases, size_t count)
{
	for (unsigned round = 0; round <= arguments->rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			int error = run_case(&cases[i], round, round ? arguments->seconds : arguments->seconds / 4);

			if (cli_interrupted())
				return CLI_INTERRUPTED;
			if (error) {
				cli_error("%s with batch %u failed: %s", fixar_precision_name(cases[i].precision),
					  cases[i].batch, fixar_strerror(error));
				return CLI_FAILED;
			}
			bench_progress(arguments, round, i, count);
		}
	}
	bench_progress_end();
	return CLI_OK;
}

int bench_platform(const struct bench_arguments *arguments)
{
	const size_t capacity = arguments->thread_count * arguments->batch_count * arguments->precision_count;
	struct platform_case *cases = calloc(capacity, sizeof(*cases));
	struct fixar_env env;
	char message[256];
	size_t count = 0;
	int code = CLI_OK;

	if (!cases || fixar_env_find(arguments->environment, &env, message, sizeof(message))) {
		cli_error("%s", cases ? message : "out of memory");
		free(cases);
		return CLI_FAILED;
	}
	for (size_t t = 0; t < arguments->thread_count && !code; t++)
		for (size_t b = 0; b < arguments->batch_count && !code; b++)
			for (size_t p = 0; p < arguments->precision_count && !code; p++) {
				struct platform_case *bench = &cases[count];
				int error;

				/* A card computes in fixed point, with threads of its own. */
				if (arguments->device && (t || arguments->precisions[p] == FIXAR_FLOAT32))
					continue;
				*bench = (struct platform_case){ .precision = arguments->precisions[p],
								 .batch = (uint32_t)arguments->batches[b],
								 .threads = arguments->device
										    ? 0
										    : (uint32_t)arguments->threads[t] };
				count++;
				bench->rates = values(arguments->rounds);
				bench->processor_rates = values(arguments->rounds);
				bench->step_seconds = values(arguments->rounds);
				error = open_case(bench, arguments, &env);
				if (error) {
					cli_error("%s with batch %u cannot be measured: %s",
						  fixar_precision_name(bench->precision), bench->batch,
						  fixar_strerror(error));
					code = CLI_FAILED;
				}
			}
	if (!code && !count) {
		cli_error("a card has no float32; expected fixed32, qat16 or qat16x16");
		code = CLI_USAGE;
	}
	if (!code) {
		/* With --device=auto nobody else says what was taken. */
		if (arguments->device)
			cli_note("device: %s", fixar_device_description(cases[0].device));
		cli_note("%s, one training step for each environment step, exploring; median of %u rounds of %g s, "
			 "all cases in turns; qat16 and qat16x16 after their switch.",
			 arguments->environment, arguments->rounds, arguments->seconds);
		code = measure(arguments, cases, count);
	}
	if (!code && arguments->json)
		print_json(arguments, cases, count);
	else if (!code)
		print_text(arguments, cases, count);
	for (size_t i = 0; i < count; i++)
		close_case(&cases[i]);
	free(cases);
	return code;
}
