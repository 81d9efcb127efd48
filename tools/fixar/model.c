// SPDX-License-Identifier: MIT
/*
 * fixar model: what a card with the modelled array would need for a network, in cycles and in bytes, and the rates that
 * follow from it at the clock. Counting is the library's (lib/step/cycles.h), rates are made in model_print.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "model.h"

#define MESSAGE 512

enum {
	KEY_ENV = 256,
	KEY_OBSERVATION,
	KEY_ACTION,
	KEY_HIDDEN,
	KEY_BATCH,
	KEY_PRECISION,
	KEY_PARALLELISM,
	KEY_LAYERS,
	KEY_CORES,
	KEY_ROWS,
	KEY_COLUMNS,
	KEY_CLOCK,
	KEY_HALF_LANES,
	KEY_UPDATE_LANES,
	KEY_HBM,
	KEY_WEIGHT_MEMORY,
	KEY_GRADIENT_MEMORY,
	KEY_ACTIVATION_MEMORY,
	KEY_JSON,
};

const char *const model_precision_name[MODEL_PRECISIONS] = { "fixed32", "qat16", "qat16x16" };

/* Widths of operands, lib/ARITHMETIC.md section 2: all of the quantizers that cycles depend on. */
static const int32_t model_width[MODEL_PRECISIONS][STEP_CLASSES] = {
	[MODEL_FIXED32] = { [STEP_ACTIVATION] = 32, [STEP_WEIGHT] = 32, [STEP_GRADIENT] = 32 },
	[MODEL_QAT16] = { [STEP_ACTIVATION] = 15, [STEP_WEIGHT] = 24, [STEP_GRADIENT] = 32 },
	[MODEL_QAT16X16] = { [STEP_ACTIVATION] = 15, [STEP_WEIGHT] = 14, [STEP_GRADIENT] = 13 },
};
const char *const model_parallelism_name[] = { "auto", "intra-layer", "intra-batch" };

/* ---- Options ---- */

/* The dimensions of the paper's tasks are known without the plug-in that can run them. */
static const struct {
	const char *name;
	uint32_t observation, action;
} known[] = { { "halfcheetah", 17, 6 }, { "hopper", 11, 3 }, { "swimmer", 8, 2 } };

static void parse_environment(struct model_arguments *arguments, struct argp_state *state)
{
	struct fixar_env env;
	char message[MESSAGE];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, arguments->environment))
			continue;
		arguments->config.observation_dim = known[i].observation;
		arguments->config.action_dim = known[i].action;
		return;
	}
	if (fixar_env_find(arguments->environment, &env, message, sizeof(message)))
		argp_failure(state, CLI_FAILED, 0, "%s", message);
	arguments->config.observation_dim = env.spec->observation_dim;
	arguments->config.action_dim = env.spec->action_dim;
}

/* Whole numbers with commas between them. Returns how many. */
static size_t parse_list(struct argp_state *state, const char *option, const char *text, uint64_t high,
			 uint32_t *values, size_t capacity)
{
	char *copy = cli_format("%s", text), *rest = copy, *item;
	size_t count = 0;

	while ((item = strsep(&rest, ","))) {
		if (count == capacity)
			argp_error(state, "%s is \"%s\"; expected at most %zu numbers", option, text, capacity);
		values[count++] = (uint32_t)cli_option_u64(state, option, item, 1, high);
	}
	free(copy);
	return count;
}

static uint32_t parse_name(struct argp_state *state, const char *option, const char *text, const char *const *names,
			   uint32_t count)
{
	char expected[128] = "";

	for (uint32_t i = 0; i < count; i++) {
		if (!strcmp(names[i], text))
			return i;
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s%s", i ? ", " : "",
			 names[i]);
	}
	argp_error(state, "%s is \"%s\"; expected one of %s", option, text, expected);
	exit(CLI_USAGE);
}

static uint32_t parse_clock(struct argp_state *state, const char *text)
{
	double mhz;

	if (cli_parse_double(text, &mhz) || !(mhz >= 0.001 && mhz <= 10000))
		argp_error(state, "clock is \"%s\"; expected MHz, from 0.001 to 10000", text);
	return (uint32_t)lround(mhz * 1000);
}

static uint64_t parse_kib(struct argp_state *state, const char *option, const char *text)
{
	return cli_option_u64(state, option, text, 1, UINT64_C(1) << 30) << 10;
}

static error_t parse_array_option(int key, char *text, struct argp_state *state)
{
	struct pe_array *array = &((struct model_arguments *)state->input)->array;

	switch (key) {
	case KEY_CORES:
		array->cores = (uint32_t)cli_option_u64(state, "cores", text, 1, PE_MAX_CORES);
		return 0;
	case KEY_ROWS:
		array->rows = (uint32_t)cli_option_u64(state, "rows", text, 1, PE_MAX_SIDE);
		return 0;
	case KEY_COLUMNS:
		array->columns = (uint32_t)cli_option_u64(state, "columns", text, 1, PE_MAX_SIDE);
		return 0;
	case KEY_CLOCK:
		array->clock_khz = parse_clock(state, text);
		return 0;
	case KEY_HALF_LANES:
		array->half_lanes = (uint32_t)cli_option_u64(state, "half-lanes", text, 1, PE_MAX_LANES);
		return 0;
	case KEY_UPDATE_LANES:
		array->update_lanes = (uint32_t)cli_option_u64(state, "update-lanes", text, 1, PE_MAX_SIDE);
		return 0;
	case KEY_HBM:
		array->hbm_bytes_per_cycle = (uint32_t)cli_option_u64(state, "hbm", text, 1, 1 << 16);
		return 0;
	case KEY_WEIGHT_MEMORY:
		array->weight_bytes = parse_kib(state, "weight-memory", text);
		return 0;
	case KEY_GRADIENT_MEMORY:
		array->gradient_bytes = parse_kib(state, "gradient-memory", text);
		return 0;
	case KEY_ACTIVATION_MEMORY:
		array->activation_bytes = parse_kib(state, "activation-memory", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct model_arguments *arguments = state->input;
	uint32_t choice;

	switch (key) {
	case KEY_ENV:
		arguments->environment = text;
		return 0;
	case KEY_OBSERVATION:
		arguments->config.observation_dim =
			(uint32_t)cli_option_u64(state, "observation", text, 1, STEP_MAX_WIDTH);
		arguments->dimensions = true;
		return 0;
	case KEY_ACTION:
		arguments->config.action_dim = (uint32_t)cli_option_u64(state, "action", text, 1, STEP_MAX_WIDTH);
		arguments->dimensions = true;
		return 0;
	case KEY_HIDDEN:
		arguments->config.hidden_count = (uint32_t)parse_list(state, "hidden", text, STEP_MAX_WIDTH,
								      arguments->config.hidden, STEP_MAX_HIDDEN);
		return 0;
	case KEY_BATCH:
		arguments->batches =
			parse_list(state, "batch", text, STEP_MAX_BATCH, arguments->batch, MODEL_MAX_BATCHES);
		return 0;
	case KEY_PRECISION:
		choice = parse_name(state, "precision", text, model_precision_name, MODEL_PRECISIONS);
		for (uint32_t p = 0; p < MODEL_PRECISIONS; p++)
			arguments->precision[p] = p == choice;
		return 0;
	case KEY_PARALLELISM:
		arguments->parallelism = parse_name(state, "parallelism", text, model_parallelism_name, 3);
		return 0;
	case KEY_LAYERS:
		arguments->layers = true;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected options alone", text);
		return 0;
	case ARGP_KEY_END:
		if (arguments->dimensions && arguments->environment)
			argp_error(state, "--env and --observation or --action exclude each other");
		if (arguments->dimensions && !(arguments->config.observation_dim && arguments->config.action_dim))
			argp_error(state, "--observation and --action are needed together");
		if (!arguments->dimensions) {
			if (!arguments->environment)
				arguments->environment = "halfcheetah";
			parse_environment(arguments, state);
		}
		return 0;
	default:
		return parse_array_option(key, text, state);
	}
}

/* ---- Counting ---- */

static void collect(void *user, const struct step_operation *operation)
{
	struct model_table *table = user;
	const int layer = table->layers ? operation->layer : -1;
	const struct pe_count *add = &operation->count;
	struct model_row *row = NULL;

	for (size_t i = 0; i < table->count && !row; i++)
		if (!strcmp(table->rows[i].name, operation->name) && table->rows[i].layer == layer)
			row = &table->rows[i];
	if (!row) {
		struct model_row *rows = reallocarray(table->rows, table->count + 1, sizeof(*rows));

		if (!rows) {
			cli_error("out of memory");
			exit(CLI_FAILED);
		}
		table->rows = rows;
		row = &rows[table->count++];
		*row = (struct model_row){ .name = operation->name, .layer = layer };
	}
	if (add->macs) {
		if (row->count.macs && row->count.parallelism != add->parallelism)
			row->mixed = true;
		row->count.parallelism = add->parallelism;
		row->count.lanes = add->lanes;
	}
	row->count.cycles += add->cycles;
	row->count.macs += add->macs;
	row->count.slots += add->slots;
}

void model_set_quantizers(int precision, struct step_quantizer *quantizers)
{
	for (size_t i = 0; i < MODEL_QUANTIZERS; i++)
		quantizers[i] = (struct step_quantizer){ .width = model_width[precision][i % STEP_CLASSES] };
}

static int count(const struct model_arguments *arguments, struct model_result *result, struct model_table *table,
		 char *message)
{
	const struct step_mode mode = { .quantized = result->precision != MODEL_FIXED32,
					.parallelism = arguments->parallelism };
	struct step_quantizer quantizers[MODEL_QUANTIZERS];
	const struct step_workload workload = { &arguments->array, &arguments->config, &mode, quantizers, result->batch };
	int error;

	model_set_quantizers(result->precision, quantizers);
	error = step_cycles_train(&workload, table ? collect : NULL, table, &result->train, message, MESSAGE);

	if (error)
		return error;
	return step_cycles_act(&workload, NULL, NULL, &result->act, message, MESSAGE);
}

static int count_all(const struct model_arguments *arguments, struct model_answer *answer, char *message)
{
	const struct step_mode mode = { .quantized = !arguments->precision[MODEL_FIXED32] };
	struct step_quantizer quantizers[MODEL_QUANTIZERS];
	struct step_workload workload = { &arguments->array, &arguments->config, &mode, quantizers, 1 };
	int error;

	/* The widest that are shown say what has to fit. */
	model_set_quantizers(arguments->precision[MODEL_QAT16] ? MODEL_QAT16 : MODEL_QAT16X16, quantizers);

	for (int p = 0; p < MODEL_PRECISIONS; p++) {
		if (!arguments->precision[p])
			continue;
		answer->shown = (struct model_result){ .precision = p, .batch = arguments->batch[0] };
		answer->act[answer->act_count] = (struct model_result){ .precision = p, .batch = 1 };
		error = count(arguments, &answer->act[answer->act_count++], NULL, message);
		if (error)
			return error;
		for (size_t i = 0; i < arguments->batches; i++) {
			struct model_result *result = &answer->train[answer->train_count++];

			*result = (struct model_result){ .precision = p, .batch = arguments->batch[i] };
			error = count(arguments, result, NULL, message);
			if (error)
				return error;
			if (result->batch > 1)
				answer->act[answer->act_count++] = *result;
			if (result->batch > workload.batch)
				workload.batch = result->batch;
		}
	}
	error = count(arguments, &answer->shown, &answer->table, message);
	if (error)
		return error;
	return step_card_footprint(&workload, &answer->footprint, message, MESSAGE);
}

static int run(const struct model_arguments *arguments)
{
	struct model_answer answer = { .table.layers = arguments->layers };
	char message[MESSAGE] = "";
	int error = count_all(arguments, &answer, message);

	if (error)
		cli_error("%s", *message ? message : strerror(-error));
	else if (arguments->json)
		model_print_json(arguments, &answer);
	else
		model_print(arguments, &answer);
	free(answer.table.rows);
	return error ? CLI_FAILED : CLI_OK;
}

int cmd_model(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ NULL, 0, NULL, 0, "Network:", 1 },
		{ "env", KEY_ENV, "NAME", 0, "Take the dimensions of this environment; default halfcheetah", 1 },
		{ "observation", KEY_OBSERVATION, "N", 0, "Dimension of the observation; with --action", 1 },
		{ "action", KEY_ACTION, "N", 0, "Dimension of the action; with --observation", 1 },
		{ "hidden", KEY_HIDDEN, "N,N", 0, "Widths of the hidden layers; default 400,300", 1 },
		{ NULL, 0, NULL, 0, "Work:", 2 },
		{ "batch", KEY_BATCH, "N,N", 0,
		  "Batch sizes; the operations are those of the first. Default 64,128,256,512", 2 },
		{ "precision", KEY_PRECISION, "M", 0,
		  "fixed32, or qat16 or qat16x16 as they are after the switch; default all, and the operations of the last", 2 },
		{ "parallelism", KEY_PARALLELISM, "P", 0,
		  "auto (the cheaper for each product), intra-layer or intra-batch; default auto", 2 },
		{ NULL, 0, NULL, 0, "Card (defaults are in the last paragraph of the output):", 3 },
		{ "cores", KEY_CORES, "N", 0, "Cores; default 2", 3 },
		{ "rows", KEY_ROWS, "N", 0, "Rows of PEs in a core; default 16", 3 },
		{ "columns", KEY_COLUMNS, "N", 0, "Columns of PEs in a core; default 16", 3 },
		{ "clock", KEY_CLOCK, "MHZ", 0, "Clock; default 164", 3 },
		{ "half-lanes", KEY_HALF_LANES, "N", 0,
		  "Multiply-accumulates of a PE in a cycle where an operand has at most 16 bits, 1 or 2; default 2",
		  3 },
		{ "update-lanes", KEY_UPDATE_LANES, "N", 0,
		  "Elements that a core's Adam and soft update take in a cycle; default 16", 3 },
		{ "hbm", KEY_HBM, "BYTES", 0, "From and to HBM in a cycle; default 32", 3 },
		{ "weight-memory", KEY_WEIGHT_MEMORY, "KIB", 0, "For weights, targets, moments; default 14336", 3 },
		{ "gradient-memory", KEY_GRADIENT_MEMORY, "KIB", 0, "For one network's gradients; default 4096", 3 },
		{ "activation-memory", KEY_ACTIVATION_MEMORY, "KIB", 0, "For a slice of the batch; default 4096", 3 },
		{ NULL, 0, NULL, 0, "Output:", 4 },
		{ "layers", KEY_LAYERS, NULL, 0, "A line for each layer of an operation", 4 },
		{ "json", KEY_JSON, NULL, 0, "The answer as JSON", 4 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Predicts what a card with an array of processing elements needs for acting and for training: "
		       "cycles, "
		       "utilization, rate and memory.\v"
		       "The prediction is a model's. The assumptions that it rests on are printed below it.",
	};
	struct model_arguments arguments = {
		.batch = { 64, 128, 256, 512 },
		.batches = 4,
		.precision = { true, true, true },
		/* Cycles do not depend on hyperparameters; these are within their limits. */
		.config = { .hidden_count = 2,
			    .hidden = { 400, 300 },
			    .batch_max = STEP_MAX_BATCH,
			    .hyper = { .tau = 1 << 24,
				       .one_minus_beta2 = 1 << 22,
				       .rate_mantissa = { 1 << 30, 1 << 30 },
				       .rate_exponent = { 40, 40 } } },
	};

	pe_array_default(&arguments.array);
	if (cli_parse(&argp, "fixar model", argc, argv, &arguments))
		return CLI_USAGE;
	return run(&arguments);
}
