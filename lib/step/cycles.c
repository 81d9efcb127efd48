// SPDX-License-Identifier: MIT
/* The composition of a command from the array's products: lib/ARITHMETIC.md section 6, in the terms of lib/pe/array.h.
 */
#include "step/cycles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)STEP_PARALLELISM_AUTO == (int)PE_AUTO && (int)STEP_INTRA_LAYER == (int)PE_INTRA_LAYER &&
		       (int)STEP_INTRA_BATCH == (int)PE_INTRA_BATCH,
	       "the mode register's values are the array's");

#define WORD 4	    /* bytes of a master value */
#define HALF_WORD 2 /* of a code for the half datapath */
#define HALF_WIDTH 16
#define STATE_BYTES (4 * WORD) /* a parameter, its target, its two moments */
#define PARTIAL_BYTES 8	       /* an unrounded sum of a gradient */

struct layers {
	uint32_t count;
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
};

/* A command being counted. */
struct counting {
	const struct step_workload *workload;
	struct layers layers[STEP_NETWORKS];
	step_operation_visit visit;
	void *user;
	struct step_cycles *total;
	uint64_t samples, times; /* of the slices that are being counted */
};

static const char *const network_name[STEP_NETWORKS] = { "actor", "critic" };

static int refuse(int error, char *message, size_t size, const char *format, ...) __attribute__((format(printf, 4, 5)));

static int refuse(int error, char *message, size_t size, const char *format, ...)
{
	va_list arguments;

	if (message && size) {
		va_start(arguments, format);
		vsnprintf(message, size, format, arguments);
		va_end(arguments);
	}
	return error;
}

static void get_layers(const struct step_config *config, struct layers layers[STEP_NETWORKS])
{
	for (int n = 0; n < STEP_NETWORKS; n++)
		layers[n].count = step_layers(config, (enum step_network)n, layers[n].inputs, layers[n].outputs);
}

static uint64_t layer_parameters(const struct layers *layers, uint32_t l)
{
	return ((uint64_t)layers->inputs[l] + 1) * layers->outputs[l];
}

static uint64_t network_parameters(const struct layers *layers)
{
	uint64_t sum = 0;

	for (uint32_t l = 0; l < layers->count; l++)
		sum += layer_parameters(layers, l);
	return sum;
}

static int is_half(const struct step_workload *workload, const struct layers *layers, enum step_network network,
		   uint32_t layer, enum step_class class)
{
	const uint32_t entry = (network == STEP_CRITIC ? layers[STEP_ACTOR].count : 0) + layer;

	return workload->mode->quantized && workload->quantizers &&
	       workload->quantizers[entry * STEP_CLASSES + (uint32_t) class].width <= HALF_WIDTH;
}

/* ---- Memories ---- */

/* Activation memory that one sample needs while it is being trained on: the larger of what the critic's and the actor's
 * update need. */
static uint64_t train_sample_bytes(const struct step_workload *workload, const struct layers *layers)
{
	const struct step_config *config = workload->config;
	const uint64_t batch = WORD * (2 * (uint64_t)config->observation_dim + config->action_dim + 2);
	uint64_t codes[STEP_NETWORKS] = { 0, 0 }, masks = 0, widest = 1;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < layers[n].count; l++) {
			const uint64_t inputs = layers[n].inputs[l];
			const int half = is_half(workload, layers, (enum step_network)n, l, STEP_ACTIVATION);

			codes[n] += inputs * (half ? HALF_WORD : WORD);
			if (inputs > widest)
				widest = inputs;
			if (layers[n].outputs[l] > widest)
				widest = layers[n].outputs[l];
		}
	}
	/* For the actor's update the critic leaves behind no more than which hidden units were on. */
	for (uint32_t l = 0; l < config->hidden_count; l++)
		masks += (config->hidden[l] + 7) / 8;

	/* Beside the codes that wait for the backward pass: a layer's operand and its result. */
	const uint64_t work = 2 * WORD * widest;
	const uint64_t critic = codes[STEP_CRITIC] + WORD * ((uint64_t)config->action_dim + 2); /* a', q', y */
	const uint64_t actor = codes[STEP_ACTOR] + masks + WORD * (uint64_t)config->action_dim; /* p */

	return batch + work + (critic > actor ? critic : actor);
}

static int fit_weights(const struct pe_array *array, const struct layers *layers, struct step_footprint *footprint,
		       char *message, size_t size)
{
	uint64_t used = 0;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < layers[n].count; l++) {
			const uint64_t bytes = STATE_BYTES * layer_parameters(&layers[n], l);

			if (bytes > array->weight_bytes - used)
				return refuse(-ENOSPC, message, size,
					      "%s layer %u (%u x %u) needs %llu bytes of weight memory for weights, "
					      "targets and "
					      "moments; the modelled card has %llu, of which %llu are left",
					      network_name[n], l, layers[n].outputs[l], layers[n].inputs[l],
					      (unsigned long long)bytes, (unsigned long long)array->weight_bytes,
					      (unsigned long long)(array->weight_bytes - used));
			used += bytes;
		}
	}
	footprint->weight_bytes = used;
	return 0;
}

int step_card_footprint(const struct step_workload *workload, struct step_footprint *footprint, char *message,
			size_t size)
{
	const struct pe_array *array = workload->array;
	const uint64_t group = (uint64_t)array->cores * array->rows;
	struct layers layers[STEP_NETWORKS];
	uint64_t slice;
	int error = pe_array_check(array, message, size);

	if (error)
		return error;
	error = step_config_check(workload->config, message, size);
	if (error)
		return error;
	if (workload->batch < 1 || workload->batch > STEP_MAX_BATCH)
		return refuse(-EINVAL, message, size, "batch of %u: expected 1 to %d", workload->batch, STEP_MAX_BATCH);
	get_layers(workload->config, layers);
	memset(footprint, 0, sizeof(*footprint));
	error = fit_weights(array, layers, footprint, message, size);
	if (error)
		return error;

	footprint->sample_bytes = train_sample_bytes(workload, layers);
	slice = array->activation_bytes / footprint->sample_bytes;
	if (!slice)
		return refuse(-ENOSPC, message, size,
			      "one sample needs %llu bytes of activation memory; the modelled card has %llu",
			      (unsigned long long)footprint->sample_bytes, (unsigned long long)array->activation_bytes);
	if (slice >= workload->batch)
		slice = workload->batch;
	else if (slice > group)
		slice -= slice % group; /* whole tiles */
	footprint->slice = (uint32_t)slice;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		/* A gradient is rounded once: while slices are added it waits as a whole sum. */
		const uint64_t bytes =
			network_parameters(&layers[n]) * (slice < workload->batch ? PARTIAL_BYTES : WORD);

		if (bytes > array->gradient_bytes)
			return refuse(-ENOSPC, message, size,
				      "the %s needs %llu bytes of gradient memory%s; the modelled card has %llu",
				      network_name[n], (unsigned long long)bytes,
				      slice < workload->batch ? " for a batch worked on in slices" : "",
				      (unsigned long long)array->gradient_bytes);
		if (bytes > footprint->gradient_bytes)
			footprint->gradient_bytes = bytes;
	}
	return 0;
}

/* ---- Operations ---- */

static void report(struct counting *counting, const char *name, int layer, uint64_t times, struct pe_count count)
{
	const struct step_operation operation = { name, layer, times, count };
	struct step_cycles *total = counting->total;

	total->cycles += count.cycles;
	total->macs += count.macs;
	total->slots += count.slots;
	if (count.macs)
		total->array_cycles += count.cycles;
	if (counting->visit)
		counting->visit(counting->user, &operation);
}

static void elements(struct counting *counting, const char *name, uint64_t times, uint64_t n)
{
	const uint64_t cycles = times * pe_count_elements(counting->workload->array, n);

	report(counting, name, -1, times, (struct pe_count){ .cycles = cycles });
}

static void transfer(struct counting *counting, const char *name, uint64_t bytes)
{
	const uint64_t cycles = counting->times * pe_count_transfer(counting->workload->array, bytes);

	report(counting, name, -1, counting->times, (struct pe_count){ .cycles = cycles });
}

/*
 * One layer's product for the current slices. `sums` is 1 where each row of C has one more column that is not a
 * multiply-accumulate of the network: the bias gradient is the product's column for an input that is always one.
 */
static void product(struct counting *counting, const char *name, uint32_t layer, struct pe_shape shape, size_t sums)
{
	const struct pe_array *array = counting->workload->array;
	struct pe_count count;

	shape.columns += sums;
	pe_count_product(array, &shape, (enum pe_parallelism)counting->workload->mode->parallelism, &count);
	count.macs = (uint64_t)shape.rows * (shape.columns - sums) * shape.depth;
	count.slots = (count.macs + count.lanes - 1) / count.lanes;
	count.cycles *= counting->times;
	count.passes *= counting->times;
	count.macs *= counting->times;
	count.slots *= counting->times;
	report(counting, name, (int)layer, counting->times, count);
}

/* A half product takes its 16-bit operand on either side. */
static enum pe_datapath datapath(const struct counting *counting, enum step_network network, uint32_t layer,
				 enum step_class a, enum step_class b)
{
	if (is_half(counting->workload, counting->layers, network, layer, a))
		return PE_HALF_A;
	return is_half(counting->workload, counting->layers, network, layer, b) ? PE_HALF_B : PE_FULL;
}

static void forward(struct counting *counting, const char *name, enum step_network network)
{
	const struct layers *layers = &counting->layers[network];

	for (uint32_t l = 0; l < layers->count; l++)
		product(counting, name, l,
			(struct pe_shape){ PE_FORWARD, datapath(counting, network, l, STEP_ACTIVATION, STEP_WEIGHT),
					   counting->samples, layers->outputs[l], layers->inputs[l] },
			0);
	if (network == STEP_ACTOR)
		report(counting, name, (int)layers->count - 1, counting->times,
		       (struct pe_count){ .cycles = counting->times * counting->workload->array->function_latency });
}

/* dX of all layers but the first, and of `first` inputs of that. */
static void input_gradients(struct counting *counting, const char *name, enum step_network network, uint32_t first)
{
	const struct layers *layers = &counting->layers[network];

	for (uint32_t l = layers->count; l-- > 0;) {
		const uint32_t columns = l ? layers->inputs[l] : first;

		if (columns)
			product(counting, name, l,
				(struct pe_shape){ PE_INPUT_GRADIENT,
						   datapath(counting, network, l, STEP_GRADIENT, STEP_WEIGHT),
						   counting->samples, columns, layers->outputs[l] },
				0);
	}
}

static void weight_gradients(struct counting *counting, const char *name, enum step_network network)
{
	const struct layers *layers = &counting->layers[network];

	for (uint32_t l = layers->count; l-- > 0;)
		product(counting, name, l,
			(struct pe_shape){ PE_WEIGHT_GRADIENT,
					   datapath(counting, network, l, STEP_GRADIENT, STEP_ACTIVATION),
					   layers->outputs[l], layers->inputs[l], counting->samples },
			1);
}

/* ---- Commands ---- */

static void critic_slice(struct counting *counting)
{
	const struct step_config *config = counting->workload->config;

	transfer(counting, "batch in",
		 counting->samples * (WORD * (2 * (uint64_t)config->observation_dim + config->action_dim + 1) + 1));
	forward(counting, "target actor forward", STEP_ACTOR);
	forward(counting, "target critic forward", STEP_CRITIC);
	forward(counting, "critic forward", STEP_CRITIC);
	elements(counting, "targets and errors", counting->times, counting->samples);
	input_gradients(counting, "critic dX", STEP_CRITIC, 0);
	weight_gradients(counting, "critic dW", STEP_CRITIC);
}

static void actor_slice(struct counting *counting)
{
	const struct step_config *config = counting->workload->config;

	/* Of a batch that was worked on in slices only the last is still there. */
	if (counting->samples < counting->workload->batch)
		transfer(counting, "batch in", counting->samples * WORD * config->observation_dim);
	forward(counting, "actor forward", STEP_ACTOR);
	forward(counting, "critic forward of the policy", STEP_CRITIC);
	input_gradients(counting, "critic dX to the action", STEP_CRITIC, config->action_dim);
	elements(counting, "policy gradient", counting->times, counting->samples * config->action_dim);
	input_gradients(counting, "actor dX", STEP_ACTOR, 0);
	weight_gradients(counting, "actor dW", STEP_ACTOR);
}

static void act_slice(struct counting *counting)
{
	const struct step_config *config = counting->workload->config;

	transfer(counting, "observations in", counting->samples * WORD * config->observation_dim);
	forward(counting, "actor forward", STEP_ACTOR);
	if (counting->workload->mode->noise != STEP_NOISE_NONE)
		elements(counting, "exploration noise", counting->times, counting->samples * config->action_dim);
	transfer(counting, "actions out", counting->samples * WORD * config->action_dim);
}

/* All slices of the batch: those of full size, and what is left. */
static void for_slices(struct counting *counting, void (*count)(struct counting *))
{
	const uint32_t batch = counting->workload->batch, slice = counting->total->slice;

	counting->samples = slice;
	counting->times = batch / slice;
	count(counting);
	counting->samples = batch % slice;
	counting->times = 1;
	if (counting->samples)
		count(counting);
}

static int start(struct counting *counting, char *message, size_t size)
{
	const struct step_workload *workload = counting->workload;
	struct step_footprint footprint;
	int error;

	if (workload->mode->parallelism > STEP_INTRA_BATCH)
		return refuse(-EINVAL, message, size, "parallelism %u: expected 0 to %d", workload->mode->parallelism,
			      STEP_INTRA_BATCH);
	error = step_card_footprint(workload, &footprint, message, size);
	if (error)
		return error;
	memset(counting->total, 0, sizeof(*counting->total));
	counting->total->slice = footprint.slice;
	get_layers(workload->config, counting->layers);
	return 0;
}

int step_cycles_train(const struct step_workload *workload, step_operation_visit visit, void *user,
		      struct step_cycles *total, char *message, size_t message_size)
{
	struct counting counting = { .workload = workload, .visit = visit, .user = user, .total = total };
	int error = start(&counting, message, message_size);

	if (error)
		return error;
	for_slices(&counting, critic_slice);
	elements(&counting, "critic Adam", 1, network_parameters(&counting.layers[STEP_CRITIC]));
	for_slices(&counting, actor_slice);
	elements(&counting, "actor Adam", 1, network_parameters(&counting.layers[STEP_ACTOR]));
	elements(&counting, "soft updates", 1,
		 network_parameters(&counting.layers[STEP_ACTOR]) + network_parameters(&counting.layers[STEP_CRITIC]));
	return 0;
}

int step_cycles_act(const struct step_workload *workload, step_operation_visit visit, void *user,
		    struct step_cycles *total, char *message, size_t message_size)
{
	struct counting counting = { .workload = workload, .visit = visit, .user = user, .total = total };
	int error = start(&counting, message, message_size);

	if (error)
		return error;
	for_slices(&counting, act_slice);
	return 0;
}
