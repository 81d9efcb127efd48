// SPDX-License-Identifier: MIT
/* The answer of fixar model as tables and as JSON. Rates and shares are made here: the library counts in integers. */
#include <math.h>
#include <stdio.h>

#include "model.h"

/* The paper's accelerator without the host (DAC 2021): a training rate, of a batch and precision not known here. */
#define PAPER_IPS 53826.8
#define PAPER_IPS_TEXT "53,826.8"

static double pes(const struct pe_array *array)
{
	return (double)array->cores * array->rows * array->columns;
}

/* Slots in use, in percent of those that there are. */
static double utilization(const struct pe_array *array, uint64_t slots, uint64_t cycles)
{
	return cycles ? 100 * (double)slots / ((double)cycles * pes(array)) : 0;
}

static double per_second(const struct pe_array *array, uint64_t cycles)
{
	return 1000.0 * array->clock_khz / (double)cycles;
}

static double deviation(double ips)
{
	return 100 * (ips / PAPER_IPS - 1);
}

static const char *row_parallelism(const struct model_row *row)
{
	if (!row->count.macs)
		return "";
	return row->mixed ? "mixed" : model_parallelism_name[row->count.parallelism];
}

static void print_operations(const struct model_arguments *arguments, const struct model_result *result,
			     const struct model_table *table)
{
	char text[CLI_TEXT];

	printf("\nOne training step, batch %u, %s\n\n", result->batch, model_precision_name[result->precision]);
	printf("%-38s %12s %7s %12s  %-12s %s\n", "operation", "cycles", "share", "utilization", "parallelism",
	       "datapath");
	for (size_t i = 0; i < table->count; i++) {
		const struct model_row *row = &table->rows[i];
		char name[64];

		if (row->layer >= 0)
			snprintf(name, sizeof(name), "%s, layer %d", row->name, row->layer);
		else
			snprintf(name, sizeof(name), "%s", row->name);
		printf("%-38s %12s %5.1f %%", name, cli_group(row->count.cycles, text),
		       100 * (double)row->count.cycles / (double)result->train.cycles);
		if (row->count.macs)
			printf(" %10.1f %%  %-12s %s",
			       utilization(&arguments->array, row->count.slots, row->count.cycles),
			       row_parallelism(row), row->count.lanes > 1 ? "half" : "full");
		putchar('\n');
	}
	printf("%-38s %12s %5.1f %% %10.1f %%\n", "all", cli_group(result->train.cycles, text), 100.0,
	       utilization(&arguments->array, result->train.slots, result->train.cycles));
}

static void print_training(const struct model_arguments *arguments, const struct model_result *results, size_t n)
{
	char cycles[CLI_TEXT], ips[CLI_TEXT];

	printf("\nTraining: IPS = batch x training steps per second, on the accelerator alone\n\n");
	printf("%-9s %6s %13s %10s %12s %12s %10s %7s\n", "precision", "batch", "cycles/step", "steps/s", "utilization",
	       "IPS", "paper", "off by");
	for (size_t i = 0; i < n; i++) {
		const struct model_result *r = &results[i];
		const double steps = per_second(&arguments->array, r->train.cycles);

		printf("%-9s %6u %13s %10.1f %10.1f %% %12s %10s %+5.1f %%", model_precision_name[r->precision],
		       r->batch, cli_group(r->train.cycles, cycles), steps,
		       utilization(&arguments->array, r->train.slots, r->train.cycles),
		       cli_group((uint64_t)llround(r->batch * steps), ips), PAPER_IPS_TEXT,
		       deviation(r->batch * steps));
		if (r->train.slice < r->batch)
			printf("  in slices of %u", r->train.slice);
		putchar('\n');
	}
}

static void print_acting(const struct model_arguments *arguments, const struct model_result *results, size_t n)
{
	char cycles[CLI_TEXT], ips[CLI_TEXT];

	printf("\nActing: IPS = actor forward passes per second (observations in one command). The paper's figure is a "
	       "training\n"
	       "rate and stands here for orientation alone.\n\n");
	printf("%-9s %6s %13s %10s %12s %12s %10s %9s\n", "precision", "obs.", "cycles", "commands/s", "utilization",
	       "IPS", "paper", "off by");
	for (size_t i = 0; i < n; i++) {
		const struct model_result *r = &results[i];
		const double commands = per_second(&arguments->array, r->act.cycles);

		printf("%-9s %6u %13s %10.0f %10.1f %% %12s %10s %+7.1f %%\n", model_precision_name[r->precision],
		       r->batch, cli_group(r->act.cycles, cycles), commands,
		       utilization(&arguments->array, r->act.slots, r->act.cycles),
		       cli_group((uint64_t)llround(r->batch * commands), ips), PAPER_IPS_TEXT,
		       deviation(r->batch * commands));
	}
}

static void print_assumptions(const struct model_arguments *arguments, const struct step_footprint *footprint)
{
	const struct pe_array *array = &arguments->array;
	char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], d[CLI_TEXT], e[CLI_TEXT], f[CLI_TEXT];

	printf("\nMemory for the largest batch: %s of %s bytes for weights, %s of %s for gradients, %s of %s for "
	       "activations.\n",
	       cli_group(footprint->weight_bytes, a), cli_group(array->weight_bytes, b),
	       cli_group(footprint->gradient_bytes, c), cli_group(array->gradient_bytes, d),
	       cli_group(footprint->sample_bytes * footprint->slice, e), cli_group(array->activation_bytes, f));
	printf("\nAssumptions (published are 16 x 16 PEs a core; two cores at 164 MHz because so many PEs fit the "
	       "published rate;\n"
	       "nothing else was chosen with that rate in view):\n"
	       "- %u cores of %u x %u PEs at %.3f MHz. A PE does one multiply-accumulate a cycle, %u where an operand "
	       "has at most\n"
	       "  16 bits: forward and dW in qat16, whose activations are 16 bits, but not dX, whose operands are "
	       "gradients\n"
	       "  (32 bits) and weights (24); all products in qat16x16.\n"
	       "- Weights, targets and moments of both networks, gradients and the activations of a slice of the batch "
	       "are on the\n"
	       "  chip, in banks wide enough that no PE waits. Only the batch and actions come from HBM: %u bytes a "
	       "cycle.\n"
	       "- Adam, soft update and the like take %u elements a cycle and core, with %u cycles of latency. A "
	       "result is written\n"
	       "  %u cycles after its sum is complete, %u more with tanh.\n"
	       "- Operations follow each other without overlap; within one the next tile's operands follow at once.\n"
	       "- Not counted: the host, PCIe, starting a command, HBM latency, clearing of pipelines between "
	       "commands.\n",
	       array->cores, array->rows, array->columns, array->clock_khz / 1000.0, array->half_lanes,
	       array->hbm_bytes_per_cycle, array->update_lanes, array->update_latency, array->output_latency,
	       array->function_latency);
}

static json_t *json_rows(const struct model_arguments *arguments, const struct model_result *result,
			 const struct model_table *table)
{
	json_t *list = json_array();

	for (size_t i = 0; i < table->count; i++) {
		const struct model_row *row = &table->rows[i];
		const double cycles = (double)row->count.cycles;
		json_t *object = json_pack("{s:s, s:I, s:f, s:I}", "operation", row->name, "cycles",
					   (json_int_t)row->count.cycles, "share",
					   cycles / (double)result->train.cycles, "macs", (json_int_t)row->count.macs);

		if (row->layer >= 0)
			json_object_set_new(object, "layer", json_integer(row->layer));
		if (row->count.macs) {
			json_object_set_new(
				object, "utilization",
				json_real(utilization(&arguments->array, row->count.slots, row->count.cycles) / 100));
			json_object_set_new(object, "parallelism", json_string(row_parallelism(row)));
			json_object_set_new(object, "macs_per_pe_cycle", json_integer((json_int_t)row->count.lanes));
		}
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_rate(const struct model_arguments *arguments, const struct model_result *result,
			 const struct step_cycles *cycles, const char *rate)
{
	const double commands = per_second(&arguments->array, cycles->cycles), ips = result->batch * commands;

	return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:f, s:f}", "precision",
			 model_precision_name[result->precision], "batch", (json_int_t)result->batch, "cycles",
			 (json_int_t)cycles->cycles, "macs", (json_int_t)cycles->macs, "utilization",
			 utilization(&arguments->array, cycles->slots, cycles->cycles) / 100, rate, commands, "slice",
			 (json_int_t)cycles->slice, "ips", ips, "paper_ips", PAPER_IPS, "deviation_percent",
			 deviation(ips));
}

void model_print_json(const struct model_arguments *arguments, const struct model_answer *answer)
{
	const struct pe_array *array = &arguments->array;
	json_t *hidden = json_array(), *training = json_array(), *acting = json_array();

	for (uint32_t i = 0; i < arguments->config.hidden_count; i++)
		json_array_append_new(hidden, json_integer(arguments->config.hidden[i]));
	for (size_t i = 0; i < answer->train_count; i++)
		json_array_append_new(training, json_rate(arguments, &answer->train[i], &answer->train[i].train,
							  "training_steps_per_second"));
	for (size_t i = 0; i < answer->act_count; i++)
		json_array_append_new(
			acting, json_rate(arguments, &answer->act[i], &answer->act[i].act, "commands_per_second"));

	json_t *object = json_pack(
		"{s:{s:I, s:I, s:o}, s:{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, "
		"s:I}, s:s, "
		"s:{s:s, s:I, s:o}, s:o, s:o}",
		"network", "observation", (json_int_t)arguments->config.observation_dim, "action",
		(json_int_t)arguments->config.action_dim, "hidden", hidden, "array", "cores", (json_int_t)array->cores,
		"rows", (json_int_t)array->rows, "columns", (json_int_t)array->columns, "clock_mhz",
		array->clock_khz / 1000.0, "half_lanes", (json_int_t)array->half_lanes, "update_lanes",
		(json_int_t)array->update_lanes, "output_latency", (json_int_t)array->output_latency, "update_latency",
		(json_int_t)array->update_latency, "hbm_bytes_per_cycle", (json_int_t)array->hbm_bytes_per_cycle,
		"weight_bytes", (json_int_t)array->weight_bytes, "gradient_bytes", (json_int_t)array->gradient_bytes,
		"activation_bytes", (json_int_t)array->activation_bytes, "memory", "weight_bytes",
		(json_int_t)answer->footprint.weight_bytes, "gradient_bytes",
		(json_int_t)answer->footprint.gradient_bytes, "activation_bytes",
		(json_int_t)(answer->footprint.sample_bytes * answer->footprint.slice), "parallelism",
		model_parallelism_name[arguments->parallelism], "step", "precision",
		model_precision_name[answer->shown.precision], "batch", (json_int_t)answer->shown.batch, "operations",
		json_rows(arguments, &answer->shown, &answer->table), "training", training, "acting", acting);

	cli_print_json(object);
	json_decref(object);
}

void model_print(const struct model_arguments *arguments, const struct model_answer *answer)
{
	printf("Network: %u observations, %u actions, hidden layers", arguments->config.observation_dim,
	       arguments->config.action_dim);
	for (uint32_t i = 0; i < arguments->config.hidden_count; i++)
		printf("%c%u", i ? '-' : ' ', arguments->config.hidden[i]);
	if (arguments->environment)
		printf(" (%s)", arguments->environment);
	printf("\nArray: %u x %u x %u PEs at %.3f MHz, parallelism %s\n", arguments->array.cores, arguments->array.rows,
	       arguments->array.columns, arguments->array.clock_khz / 1000.0,
	       model_parallelism_name[arguments->parallelism]);
	print_operations(arguments, &answer->shown, &answer->table);
	print_training(arguments, answer->train, answer->train_count);
	print_acting(arguments, answer->act, answer->act_count);
	print_assumptions(arguments, &answer->footprint);
}
