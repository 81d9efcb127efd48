/* SPDX-License-Identifier: MIT */
/* Making an agent on an arena, and its small commands: ACT, ranges, quantizers. */
#include "step/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/parallel.h"

_Static_assert(NN_MAX_LAYERS == STEP_MAX_LAYERS, "one limit on the depth of networks");
_Static_assert(sizeof(struct step_quantizer) == 12 && sizeof(struct step_range) == 8, "tables lie in the arena without padding");

/* Walks the arena in the order of step_layout() without allocating: the next tensor's place. */
static void *take(unsigned char **cursor, size_t bytes)
{
	void *place = *cursor;

	*cursor += (bytes + STEP_ALIGNMENT - 1) & ~(size_t)(STEP_ALIGNMENT - 1);
	return place;
}

static void take_parameter(unsigned char **cursor, struct nn_parameter *parameter, size_t count, int moments)
{
	parameter->count = count;
	parameter->value = take(cursor, count * sizeof(int32_t));
	if (moments) {
		parameter->moment1 = take(cursor, count * sizeof(int32_t));
		parameter->moment2 = take(cursor, count * sizeof(uint32_t));
	}
}

static void place_tensors(struct step_agent *agent, unsigned char *cursor)
{
	const struct step_config *config = &agent->config;
	const uint32_t layers = config->hidden_count + 1;

	agent->training_steps = take(&cursor, sizeof(uint64_t));
	agent->saturation = take(&cursor, STEP_SATURATIONS * sizeof(uint64_t));
	agent->adam_powers = take(&cursor, STEP_NETWORKS * 2 * sizeof(uint64_t));
	agent->noise_count = take(&cursor, sizeof(uint64_t));
	agent->noise_state = take(&cursor, config->action_dim * sizeof(int32_t));
	agent->quantizers = take(&cursor, (size_t)2 * layers * STEP_CLASSES * sizeof(struct step_quantizer));
	agent->ranges = take(&cursor, (size_t)2 * layers * STEP_CLASSES * sizeof(struct step_range));
	for (int target = 0; target < 2; target++) {
		for (unsigned n = 0; n < STEP_NETWORKS; n++) {
			struct nn_network *network = target ? &agent->target[n] : &agent->network[n];
			uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];

			network->layers = step_layers(config, n, inputs, outputs);
			network->number = n + (target ? (unsigned)STEP_NETWORKS : 0);
			for (uint32_t l = 0; l < layers; l++) {
				struct nn_layer *layer = &network->layer[l];

				layer->inputs = inputs[l];
				layer->outputs = outputs[l];
				take_parameter(&cursor, &layer->weight, (size_t)inputs[l] * outputs[l], !target);
				take_parameter(&cursor, &layer->bias, outputs[l], !target);
				layer->quantizer = agent->quantizers + (n * layers + l) * STEP_CLASSES;
				layer->range = agent->ranges + (n * layers + l) * STEP_CLASSES;
			}
		}
	}
	agent->gradient_maxima = take(&cursor, (size_t)STEP_BACKWARDS * layers * sizeof(uint32_t));
}

/* An address to measure from, before there is memory. */
#define NOWHERE ((unsigned char *)(uintptr_t)STEP_ALIGNMENT)

/* Places all scratch memory at `memory`; NOWHERE only measures. Returns the bytes. */
static size_t place_scratch(struct step_agent *agent, unsigned char *memory)
{
	const struct step_config *config = &agent->config;
	const uint32_t layers = config->hidden_count + 1;
	const unsigned threads = pe_pool_threads(agent->context.pool);
	const size_t batch = config->batch_max, widest = agent->context.widest, depth = batch > widest ? batch : widest;
	unsigned char *cursor = memory;

	agent->worker = take(&cursor, threads * sizeof(*agent->worker));
	for (unsigned t = 0; t < threads; t++) {
		void *scratch = take(&cursor, pe_scratch_bytes(depth));

		if (memory != NOWHERE)
			agent->worker[t] = (struct nn_worker){ .context = &agent->context, .part = t, .scratch = scratch };
	}
	for (int n = 0; n < STEP_NETWORKS; n++) {
		struct nn_pass *pass = &agent->pass[n];

		for (uint32_t l = 0; l < layers; l++) {
			struct nn_layer *layer = &agent->network[n].layer[l], *target = &agent->target[n].layer[l];
			/* Either in two pieces of 16 bits or in one of 32. */
			const size_t pieces = nn_panel_elements(layer->inputs, layer->outputs, 2) * sizeof(int16_t);
			const size_t wide = nn_wide_panel_elements(layer->inputs, layer->outputs) * sizeof(int32_t);
			const size_t panels = wide > pieces ? wide : pieces;

			pass->input[l] = take(&cursor, batch * layer->inputs * sizeof(int32_t));
			pass->samples[l].pieces = take(&cursor, nn_panel_elements(batch, layer->inputs, 1) * sizeof(int16_t));
			pass->gradient[l] = take(&cursor, batch * layer->outputs * sizeof(int32_t));
			layer->weight.gradient = take(&cursor, layer->weight.count * sizeof(int32_t));
			layer->bias.gradient = take(&cursor, layer->bias.count * sizeof(int32_t));
			layer->formed = take(&cursor, layer->weight.count * sizeof(int32_t));
			target->formed = take(&cursor, layer->weight.count * sizeof(int32_t));
			layer->forward.pieces = take(&cursor, panels);
			layer->wide = (int32_t *)(void *)layer->forward.pieces;
			target->forward.pieces = take(&cursor, panels);
			target->wide = (int32_t *)(void *)target->forward.pieces;
			/* dX goes to the layer below, and from the critic's first layer to the action. */
			if (l > 0)
				layer->dx_columns = layer->inputs;
			else if (n == STEP_CRITIC)
				layer->dx_columns = config->action_dim;
			layer->dx_first = l > 0 ? 0 : config->observation_dim;
			if (layer->dx_columns)
				layer->backward.pieces =
					take(&cursor, nn_panel_elements(layer->outputs, layer->dx_columns, 2) * sizeof(int16_t));
		}
		pass->output = take(&cursor, batch * agent->network[n].layer[layers - 1].outputs * sizeof(int32_t));
	}
	agent->context.turned = take(&cursor, nn_turned_elements(batch, widest, threads) * sizeof(int32_t));
	agent->context.narrow = take(&cursor, nn_narrow_elements(batch, widest, threads) * sizeof(int16_t));
	agent->seen_maxima = take(&cursor, STEP_BACKWARDS * layers * sizeof(uint32_t));
	agent->action = take(&cursor, batch * config->action_dim * sizeof(int32_t));
	agent->action_gradient = take(&cursor, batch * config->action_dim * sizeof(int32_t));
	agent->target_value = take(&cursor, batch * sizeof(int32_t));
	return (size_t)(cursor - memory);
}

size_t step_scratch_bytes_per_sample(const struct step_config *config)
{
	const size_t other = 1 + config->observation_dim + (size_t)config->action_dim;	/* a pass's output, the target value */
	size_t widest = other, sum = 0;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
		const uint32_t layers = step_layers(config, (enum step_network)n, inputs, outputs);

		for (uint32_t l = 0; l < layers; l++) {
			/* Input, the same in panels of 16 bits, dY. */
			sum += inputs[l] + (inputs[l] + PE_PANEL_COLUMNS) / 2 + outputs[l];
			widest = inputs[l] > widest ? inputs[l] : widest;
			widest = outputs[l] > widest ? outputs[l] : widest;
		}
	}
	/* dY turned, in 32 bits and in two pieces of 16; a row of the packed panel, whose depth may be the batch; alignment. */
	return (sum + 4 * (widest + 64) + 4 * other + PE_PANEL_COLUMNS) * sizeof(int32_t) + STEP_ALIGNMENT;
}

static void initialize(struct step_agent *agent)
{
	const uint32_t layers = agent->config.hidden_count + 1;

	*agent->training_steps = 0;
	memset(agent->saturation, 0, STEP_SATURATIONS * sizeof(uint64_t));
	for (int i = 0; i < STEP_NETWORKS * 2; i++)
		agent->adam_powers[i] = UINT64_C(1) << 62;
	*agent->noise_count = 0;
	memset(agent->noise_state, 0, agent->config.action_dim * sizeof(int32_t));
	for (uint32_t i = 0; i < 2 * layers * STEP_CLASSES; i++) {
		static const int32_t fraction[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
		const uint32_t layer = i / STEP_CLASSES % layers, class = i % STEP_CLASSES;

		agent->quantizers[i] = (struct step_quantizer){ 32, fraction[class], class != STEP_ACTIVATION || layer == 0 };
		agent->ranges[i] = (struct step_range){ INT32_MAX, INT32_MIN };
	}
	memset(agent->gradient_maxima, 0, STEP_BACKWARDS * layers * sizeof(uint32_t));
	for (int n = 0; n < STEP_NETWORKS; n++) {
		nn_initialize(&agent->network[n], agent->config.seed, (unsigned)n);
		for (uint32_t l = 0; l < layers; l++) {
			const struct nn_layer *from = &agent->network[n].layer[l];
			struct nn_layer *to = &agent->target[n].layer[l];

			memcpy(to->weight.value, from->weight.value, from->weight.count * sizeof(int32_t));
			memcpy(to->bias.value, from->bias.value, from->bias.count * sizeof(int32_t));
		}
	}
}

static void forget_codes(struct step_agent *agent)
{
	for (int n = 0; n < STEP_NETWORKS; n++) {
		agent->network[n].codes_valid = 0;
		agent->target[n].codes_valid = 0;
	}
}

int step_agent_attach(const struct step_config *config, void *arena, const struct pe_engine *engine, struct pe_pool *pool,
		      struct step_agent **out)
{
	size_t scratch_bytes, widest = 1;
	struct step_agent *agent;

	if (step_config_check(config, NULL, 0) || (uintptr_t)arena % STEP_ALIGNMENT)
		return -EINVAL;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->config = *config;
	agent->context.engine = engine;
	agent->context.pool = pool;
	place_tensors(agent, arena);
	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < agent->network[n].layers; l++) {
			const struct nn_layer *layer = &agent->network[n].layer[l];

			widest = layer->inputs > widest ? layer->inputs : widest;
			widest = layer->outputs > widest ? layer->outputs : widest;
		}
	}
	agent->context.widest = widest;
	scratch_bytes = place_scratch(agent, NOWHERE);
	agent->memory = aligned_alloc(STEP_ALIGNMENT, scratch_bytes);
	if (!agent->memory) {
		free(agent);
		return -ENOMEM;
	}
	memset(agent->memory, 0, scratch_bytes);
	place_scratch(agent, agent->memory);
	*out = agent;
	return 0;
}

int step_agent_create(const struct step_config *config, void *arena, const struct pe_engine *engine, struct pe_pool *pool,
		      struct step_agent **out)
{
	const int error = step_agent_attach(config, arena, engine, pool, out);
	size_t arena_bytes;

	if (error)
		return error;
	/* Gaps between tensors are part of the state's bytes. */
	step_layout(config, NULL, 0, &arena_bytes);
	memset(arena, 0, arena_bytes);
	initialize(*out);
	return 0;
}

void step_agent_destroy(struct step_agent *agent)
{
	if (!agent)
		return;
	free(agent->memory);
	free(agent);
}

/*
 * The number of the first of a quantizer's three values that is out of its range; 3: none. Masters have fractions of their own, so a
 * quantizer's fraction is at most that; the lower limit keeps every shift below 64.
 */
static unsigned quantizer_fault(const struct step_quantizer *quantizer, enum step_class class, uint32_t layer)
{
	static const int32_t fraction[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
	const int32_t is_signed = class != STEP_ACTIVATION || layer == 0;

	if (quantizer->width < 2 || quantizer->width > 32)
		return 0;
	if (quantizer->fraction == STEP_FRACTION_FOLLOWS) {
		if (class == STEP_ACTIVATION || quantizer->width > 16)
			return 1;
	} else if (quantizer->fraction > fraction[class] || quantizer->fraction < -16) {
		return 1;
	}
	return quantizer->is_signed != is_signed ? 2 : 3;
}

/* The number of the first value of the table that is out of its range, or of the first behind the table. */
static size_t quantizers_fault(const struct step_config *config, const struct step_quantizer *quantizers)
{
	const uint32_t layers = config->hidden_count + 1, entries = 2 * layers * STEP_CLASSES;

	for (uint32_t i = 0; i < entries; i++) {
		const unsigned fault = quantizer_fault(&quantizers[i], i % STEP_CLASSES, i / STEP_CLASSES % layers);

		if (fault < 3)
			return 3 * (size_t)i + fault;
	}
	return 3 * (size_t)entries;
}

static int quantizers_valid(const struct step_config *config, const struct step_quantizer *quantizers)
{
	return quantizers_fault(config, quantizers) == 6 * (size_t)(config->hidden_count + 1) * STEP_CLASSES;
}

/* The number of the first power that is out of its range; STEP_NETWORKS * 2: none. */
static size_t powers_fault(const uint64_t *adam_powers)
{
	size_t i = 0;

	while (i < STEP_NETWORKS * 2 && adam_powers[i] <= UINT64_C(1) << 62)
		i++;
	return i;
}

int step_tables_check(const struct step_config *config, const void *arena, size_t *where)
{
	/* Reading places tensors only: nothing is written through the cursor. */
	unsigned char *cursor = (unsigned char *)(uintptr_t)arena;
	const unsigned char *begin = arena;
	const struct step_quantizer *quantizers;
	const uint64_t *powers;

	take(&cursor, sizeof(uint64_t));
	take(&cursor, STEP_SATURATIONS * sizeof(uint64_t));
	powers = take(&cursor, STEP_NETWORKS * 2 * sizeof(uint64_t));
	take(&cursor, sizeof(uint64_t));
	take(&cursor, config->action_dim * sizeof(int32_t));
	quantizers = (const struct step_quantizer *)(const void *)cursor;
	if (powers_fault(powers) < STEP_NETWORKS * 2) {
		*where = (size_t)((const unsigned char *)(powers + powers_fault(powers)) - begin);
		return -EINVAL;
	}
	if (quantizers_valid(config, quantizers))
		return 0;
	*where = (size_t)((const unsigned char *)quantizers - begin) + quantizers_fault(config, quantizers) * sizeof(int32_t);
	return -EINVAL;
}

int step_agent_reload(struct step_agent *agent)
{
	forget_codes(agent);
	if (powers_fault(agent->adam_powers) < STEP_NETWORKS * 2)
		return -EINVAL;
	return quantizers_valid(&agent->config, agent->quantizers) ? 0 : -EINVAL;
}

void step_set_hyperparameters(struct step_agent *agent, const struct step_hyperparameters *hyper)
{
	agent->config.hyper = *hyper;
}

void step_set_mode(struct step_agent *agent, const struct step_mode *mode)
{
	if (mode->quantized != agent->mode.quantized)
		forget_codes(agent);
	agent->mode = *mode;
	agent->context.quantized = mode->quantized != 0;
}

struct run {
	struct step_agent *agent;
	uint32_t batch;
	step_work work;
	void *user;
};

/* Shares of samples are even numbers, and whole tiles of most kernels. */
#define SAMPLE_GRAIN 8

static void run_part(void *user, unsigned part, unsigned parts)
{
	struct run *run = user;
	struct nn_worker *worker = &run->agent->worker[part];

	worker->parts = parts;
	worker->batch = run->batch;
	nn_share(run->batch, SAMPLE_GRAIN, part, parts, &worker->from, &worker->to);
	memset(worker->saturation, 0, sizeof(worker->saturation));
	run->work(run->user, worker);
}

void step_run(struct step_agent *agent, uint32_t batch, size_t nanoseconds, step_work work, void *user)
{
	struct run run = { agent, batch, work, user };
	const unsigned threads = pe_pool_threads(agent->context.pool);

	/* Workers that have no part in this command counted nothing. */
	for (unsigned t = 0; t < threads; t++)
		memset(agent->worker[t].saturation, 0, sizeof(agent->worker[t].saturation));
	pe_pool_share(agent->context.pool, nanoseconds, run_part, &run);
	memset(agent->command, 0, sizeof(agent->command));
	for (unsigned t = 0; t < threads; t++)
		for (int i = 0; i < STEP_SATURATIONS; i++)
			agent->command[i] += agent->worker[t].saturation[i];
}

void step_policy(struct step_agent *agent, struct nn_worker *worker, const struct nn_network *network, const int32_t *observation,
		 int count_weights)
{
	const size_t observation_dim = agent->config.observation_dim, action_dim = agent->config.action_dim;
	struct nn_pass *pass = &agent->pass[STEP_ACTOR];

	memcpy(pass->input[0] + worker->from * observation_dim, observation + worker->from * observation_dim,
	       (worker->to - worker->from) * observation_dim * sizeof(int32_t));
	nn_forward(worker, network, pass, count_weights);
	for (size_t i = worker->from * action_dim; i < worker->to * action_dim; i++)
		agent->action[i] = fx_tanh(pass->output[i]);
}

void step_add_noise(struct step_agent *agent, int32_t *action)
{
	const struct step_mode *mode = &agent->mode;

	fx_random_noise(agent->config.seed, *agent->noise_count, agent->config.action_dim, mode->noise_sigma, mode->noise_theta,
			mode->noise == STEP_NOISE_OU ? agent->noise_state : NULL, action);
	++*agent->noise_count;
}

struct act {
	struct step_agent *agent;
	const int32_t *observation;
};

static void act_part(void *user, struct nn_worker *worker)
{
	const struct act *act = user;
	struct nn_network *const actor[] = { &act->agent->network[STEP_ACTOR] };

	nn_form_weights(worker, actor, 1);
	step_policy(act->agent, worker, actor[0], act->observation, 0);
}

int step_act(struct step_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags)
{
	const uint32_t width = agent->config.action_dim;
	struct act act = { agent, observation };
	size_t weights = 0;

	if (n < 1 || n > agent->config.batch_max)
		return -EINVAL;
	if (flags & STEP_ACT_RESET_NOISE)
		memset(agent->noise_state, 0, width * sizeof(int32_t));
	agent->context.observe = 0;
	for (uint32_t l = 0; l < agent->network[STEP_ACTOR].layers; l++)
		weights += agent->network[STEP_ACTOR].layer[l].weight.count;
	step_run(agent, n, n * weights / 32, act_part, &act);
	memcpy(action, agent->action, (size_t)n * width * sizeof(int32_t));
	if (flags & STEP_ACT_EXPLORE) {
		for (uint32_t i = 0; i < n && agent->mode.noise != STEP_NOISE_NONE; i++)
			step_add_noise(agent, action + (size_t)i * width);
		for (int i = 0; i < STEP_SATURATIONS; i++)
			agent->saturation[i] += agent->command[i];
	}
	return 0;
}

void step_read_ranges(struct step_agent *agent, struct step_range *ranges)
{
	const uint32_t layers = agent->config.hidden_count + 1;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < layers; l++) {
			const struct nn_layer *layer = &agent->network[n].layer[l];
			struct step_range *weight = &layer->range[STEP_WEIGHT];

			*weight = (struct step_range){ INT32_MAX, INT32_MIN };
			agent->context.engine->range(layer->weight.count, layer->weight.value, &weight->minimum, &weight->maximum);
		}
	}
	memcpy(ranges, agent->ranges, (size_t)2 * layers * STEP_CLASSES * sizeof(*ranges));
}

void step_read_quantizers(const struct step_agent *agent, struct step_quantizer *quantizers)
{
	memcpy(quantizers, agent->quantizers, (size_t)2 * (agent->config.hidden_count + 1) * STEP_CLASSES * sizeof(*quantizers));
}

int step_write_quantizers(struct step_agent *agent, const struct step_quantizer *quantizers)
{
	if (!quantizers_valid(&agent->config, quantizers))
		return -EINVAL;
	memcpy(agent->quantizers, quantizers, (size_t)2 * (agent->config.hidden_count + 1) * STEP_CLASSES * sizeof(*quantizers));
	forget_codes(agent);
	return 0;
}

void step_set_weight_store(struct step_agent *agent, enum step_network network, const struct nn_store *store)
{
	agent->network[network].store = store;
	agent->target[network].store = store;
	forget_codes(agent);
}

void step_set_gradient_sink(struct step_agent *agent, step_gradient_sink sink, void *user)
{
	agent->sink = sink;
	agent->sink_user = user;
}
