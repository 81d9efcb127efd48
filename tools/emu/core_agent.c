// SPDX-License-Identifier: MIT
/* The arena's copy on the chip: loading, checks, execution through lib/step, writing through. */
#include "core_agent.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "hw/fixar_arena.h"
#include "step/cycles.h"

_Static_assert(FIXAR_ARENA_SCHEMA == STEP_SCHEMA && FIXAR_ARENA_ALIGN == STEP_ALIGNMENT &&
		       FIXAR_ARENA_HIDDEN_MAX == STEP_MAX_HIDDEN && FIXAR_ARENA_SATURATIONS == STEP_SATURATIONS,
	       "the arena's layout is lib/step's");

/* The emulator's own memory for one command. A card's is fixed; here a batch of gigabytes is refused as INTERNAL. */
#define MOST_BYTES (UINT64_C(4) << 30)

void core_agent_create(struct core_agent *agent)
{
	memset(agent, 0, sizeof(*agent));
	pe_array_default(&agent->array);
}

static void forget(struct core_agent *agent)
{
	step_agent_destroy(agent->step);
	free(agent->state);
	free(agent->tensors);
	agent->step = NULL;
	agent->state = NULL;
	agent->tensors = NULL;
	agent->capacity = 0;
}

void core_agent_destroy(struct core_agent *agent)
{
	forget(agent);
	free(agent->buffer);
	agent->buffer = NULL;
}

/* ---- Modes ---- */

static uint32_t mode(const struct core_command *command, uint32_t offset)
{
	return command->mode[(offset - CORE_MODE_BASE) / 4];
}

static struct step_mode step_mode(const struct core_command *command)
{
	return (struct step_mode){
		.quantized = mode(command, FIXAR_MODE_PRECISION) == FIXAR_MODE_PRECISION_QUANTIZED,
		.observe = mode(command, FIXAR_MODE_QUANTIZATION) & FIXAR_MODE_QUANTIZATION_OBSERVE,
		.parallelism = mode(command, FIXAR_MODE_PARALLELISM),
		.noise = mode(command, FIXAR_MODE_NOISE),
		.noise_sigma = (int32_t)mode(command, FIXAR_MODE_NOISE_SIGMA),
		.noise_theta = (int32_t)mode(command, FIXAR_MODE_NOISE_THETA),
	};
}

/* Any that lib/step accepts: for commands that use none. */
static const struct step_hyperparameters unused = {
	.tau = 1,
	.one_minus_beta2 = FIXAR_MODE_ONE_MINUS_BETA2_MIN,
	.rate_mantissa = { FIXAR_MODE_RATE_MANTISSA_MIN, FIXAR_MODE_RATE_MANTISSA_MIN },
	.rate_exponent = { FIXAR_MODE_RATE_EXPONENT_MIN, FIXAR_MODE_RATE_EXPONENT_MIN },
};

static struct step_hyperparameters hyperparameters(const struct core_command *command)
{
	struct step_hyperparameters hyper = {
		.discount = (int32_t)mode(command, FIXAR_MODE_DISCOUNT),
		.tau = mode(command, FIXAR_MODE_TAU),
		.beta1 = mode(command, FIXAR_MODE_BETA1),
		.one_minus_beta2 = mode(command, FIXAR_MODE_ONE_MINUS_BETA2),
	};

	for (uint32_t n = 0; n < STEP_NETWORKS; n++) {
		const uint32_t at = n * FIXAR_MODE_NETWORK_STRIDE;

		hyper.rate_mantissa[n] = mode(command, FIXAR_MODE_RATE_MANTISSA + at);
		hyper.rate_exponent[n] = mode(command, FIXAR_MODE_RATE_EXPONENT + at);
		hyper.gradient_scale[n] = (int32_t)mode(command, FIXAR_MODE_GRADIENT_SCALE + at);
	}
	return hyper;
}

/* ---- Checks 5 to 8: header and tables ---- */

static bool wrong_header(struct core_command *command, size_t offset)
{
	return core_fail(command, FIXAR_ERROR_HEADER, offset);
}

static bool in_range(uint32_t value, uint32_t maximum)
{
	return value >= 1 && value <= maximum;
}

#define FIELD(name) offsetof(struct fixar_arena_header, name)

static bool check_header(struct core_command *command, const struct fixar_arena_header *header)
{
	if (header->magic != FIXAR_ARENA_MAGIC)
		return wrong_header(command, FIELD(magic));
	if (header->schema != FIXAR_ARENA_SCHEMA)
		return wrong_header(command, FIELD(schema));
	if (header->header_bytes != sizeof(*header))
		return wrong_header(command, FIELD(header_bytes));
	if (header->state_offset != FIXAR_ARENA_STATE)
		return wrong_header(command, FIELD(state_offset));
	if (!in_range(header->observation_dim, STEP_MAX_WIDTH))
		return wrong_header(command, FIELD(observation_dim));
	if (!in_range(header->action_dim, STEP_MAX_WIDTH))
		return wrong_header(command, FIELD(action_dim));
	if (!in_range(header->batch_max, STEP_MAX_BATCH))
		return wrong_header(command, FIELD(batch_max));
	if (!in_range(header->hidden_count, STEP_MAX_HIDDEN))
		return wrong_header(command, FIELD(hidden_count));
	for (uint32_t i = 0; i < STEP_MAX_HIDDEN; i++)
		if (i < header->hidden_count ? !in_range(header->hidden[i], STEP_MAX_WIDTH) : header->hidden[i] != 0)
			return wrong_header(command, FIELD(hidden) + i * sizeof(header->hidden[0]));
	for (size_t i = 0; i < sizeof(header->reserved) / sizeof(header->reserved[0]); i++)
		if (header->reserved[i])
			return wrong_header(command, FIELD(reserved));
	return true;
}

static void take_shape(struct step_config *config, const struct fixar_arena_header *header)
{
	memset(config, 0, sizeof(*config));
	config->observation_dim = header->observation_dim;
	config->action_dim = header->action_dim;
	config->hidden_count = header->hidden_count;
	memcpy(config->hidden, header->hidden, header->hidden_count * sizeof(config->hidden[0]));
	config->batch_max = header->batch_max;
	config->seed = header->seed;
	config->hyper = unused;
}

static const struct step_tensor *tensor(const struct core_agent *agent, const char *name)
{
	for (size_t i = 0; i < agent->tensor_count; i++)
		if (!strcmp(agent->tensors[i].name, name))
			return &agent->tensors[i];
	return NULL;
}

static bool out_of_memory(struct core_command *command)
{
	return core_fail(command, FIXAR_ERROR_INTERNAL, 0);
}

/* Header, and the tensors before the first weight. The state's memory is allocated when it is known to be on the chip.
 */
static bool load_head(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	struct fixar_arena_header header;
	size_t bytes, where;

	forget(agent);
	if (!core_load(card, command, 0, &header, sizeof(header))) {
		if (command->code == FIXAR_ERROR_WINDOW)
			command->offset = 0;
		return false;
	}
	if (!check_header(command, &header))
		return false;
	take_shape(&agent->config, &header);
	agent->tensor_count = step_layout(&agent->config, NULL, 0, &bytes);
	agent->state_bytes = bytes;
	if (header.state_bytes != agent->state_bytes)
		return wrong_header(command, FIELD(state_bytes));
	if (card->options.windows && (command->window_limit < FIXAR_ARENA_STATE ||
				      command->window_limit - FIXAR_ARENA_STATE < agent->state_bytes))
		return core_fail(command, FIXAR_ERROR_WINDOW, FIXAR_ARENA_STATE);

	agent->tensors = calloc(agent->tensor_count, sizeof(*agent->tensors));
	if (!agent->tensors)
		return out_of_memory(command);
	step_layout(&agent->config, agent->tensors, agent->tensor_count, &bytes);
	agent->head_bytes = tensor(agent, "actor.0.weight")->offset;
	agent->state = aligned_alloc(STEP_ALIGNMENT, agent->head_bytes);
	if (!agent->state)
		return out_of_memory(command);
	if (!core_load(card, command, FIXAR_ARENA_STATE, agent->state, agent->head_bytes))
		return false;
	if (step_tables_check(&agent->config, agent->state, &where))
		return core_fail(command, FIXAR_ERROR_TABLE, FIXAR_ARENA_STATE + where);
	return true;
}

/* The rest of the state. */
static bool load_weights(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	unsigned char *state = aligned_alloc(STEP_ALIGNMENT, agent->state_bytes);

	if (!state)
		return out_of_memory(command);
	memcpy(state, agent->state, agent->head_bytes);
	free(agent->state);
	agent->state = state;
	return core_load(card, command, FIXAR_ARENA_STATE + agent->head_bytes, state + agent->head_bytes,
			 agent->state_bytes - agent->head_bytes);
}

/* ---- Checks 9 to 12: what the command asks for ---- */

static const struct step_quantizer *quantizers(const struct core_agent *agent)
{
	return (const struct step_quantizer *)(const void *)(agent->state + tensor(agent, "quantizers")->offset);
}

static bool computes(const struct core_command *command)
{
	const uint32_t opcode = command->slot.control & FIXAR_COMMAND_OPCODE;

	return opcode == FIXAR_OPCODE_ACT || opcode == FIXAR_OPCODE_TRAIN;
}

static bool check_capacity(const struct core_agent *agent, struct core_command *command)
{
	const struct step_mode asked = step_mode(command), masters = { 0 };
	const struct step_workload workload = {
		.array = &agent->array,
		.config = &agent->config,
		.mode = computes(command) ? &asked : &masters,
		.quantizers = quantizers(agent),
		.batch = computes(command) ? command->slot.count : 1,
	};
	struct step_footprint footprint;

	return !step_card_footprint(&workload, &footprint, NULL, 0) || core_fail(command, FIXAR_ERROR_CAPACITY, 0);
}

struct range {
	uint64_t offset, bytes;
};

static int ranges_of(const struct core_agent *agent, const struct core_command *command, struct range ranges[3])
{
	const struct fixar_command *slot = &command->slot;
	const uint32_t observation = agent->config.observation_dim, action = agent->config.action_dim;
	struct fixar_batch_layout batch;
	int count = 0;

	if ((slot->control & FIXAR_COMMAND_OPCODE) == FIXAR_OPCODE_TRAIN) {
		fixar_batch_layout(slot->count, observation, action, &batch);
		ranges[count++] = (struct range){ slot->input, batch.terminal + slot->count };
	} else if (computes(command)) {
		ranges[count++] = (struct range){ slot->input, (uint64_t)slot->count * observation * sizeof(int32_t) };
		ranges[count++] = (struct range){ slot->output, (uint64_t)slot->count * action * sizeof(int32_t) };
	}
	if (slot->statistics)
		ranges[count++] = (struct range){ slot->statistics, sizeof(struct fixar_statistics) };
	return count;
}

static bool meet(struct range a, struct range b)
{
	return a.offset <= b.offset ? b.offset - a.offset < a.bytes : a.offset - b.offset < b.bytes;
}

static bool check_ranges(struct card *card, struct core_command *command)
{
	const struct core_agent *agent = &card->core.agent;
	struct range ranges[3];
	const int count = ranges_of(agent, command, ranges);

	for (int i = 0; i < count; i++)
		if (ranges[i].offset < FIXAR_ARENA_STATE + agent->state_bytes)
			return core_fail(command, FIXAR_ERROR_OFFSET, ranges[i].offset);
	for (int i = 0; i < count; i++)
		for (int k = 0; k < i; k++)
			if (meet(ranges[k], ranges[i]))
				return core_fail(command, FIXAR_ERROR_OFFSET,
						 ranges[k].offset > ranges[i].offset ? ranges[k].offset
										     : ranges[i].offset);
	for (int i = 0; i < count && card->options.windows; i++)
		if (ranges[i].offset > command->window_limit ||
		    ranges[i].bytes > command->window_limit - ranges[i].offset)
			return core_fail(command, FIXAR_ERROR_WINDOW, ranges[i].offset);
	return true;
}

/* A step_agent with scratch memory for this many samples, on the state. */
static bool attach(struct card *card, struct core_command *command, uint32_t samples)
{
	struct core_agent *agent = &card->core.agent;
	struct step_config config = agent->config;

	if (agent->step && samples <= agent->capacity)
		return true;
	step_agent_destroy(agent->step);
	agent->step = NULL;
	config.batch_max = samples;
	if (samples * step_scratch_bytes_per_sample(&config) > MOST_BYTES ||
	    step_agent_attach(&config, agent->state, core_meter(&card->core.progress, &card->core.abort), NULL,
			      &agent->step))
		return out_of_memory(command);
	agent->capacity = samples;
	/* The tables were checked when they were loaded, and nobody else writes here. */
	return !step_agent_reload(agent->step) || out_of_memory(command);
}

bool core_agent_prepare(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	const bool load = !command->resident || !agent->state;
	struct step_mode asked;

	if (load && !load_head(card, command))
		return false;
	if (computes(command) && command->slot.count > agent->config.batch_max)
		return core_fail(command, FIXAR_ERROR_BATCH, FIELD(batch_max));
	if (!check_capacity(agent, command) || !check_ranges(card, command))
		return false;
	if (load && !load_weights(card, command))
		return false;
	if (!attach(card, command, computes(command) ? command->slot.count : 1))
		return false;
	asked = step_mode(command);
	if (computes(command))
		step_set_mode(agent->step, &asked);
	command->resident = true;
	return true;
}

/* ---- Commands ---- */

static unsigned char *buffer(struct core_agent *agent, struct core_command *command, uint64_t bytes)
{
	if (bytes > agent->buffer_bytes) {
		free(agent->buffer);
		agent->buffer = bytes > MOST_BYTES ? NULL : aligned_alloc(STEP_ALIGNMENT, fixar_arena_align(bytes));
		agent->buffer_bytes = agent->buffer ? bytes : 0;
		if (!agent->buffer)
			out_of_memory(command);
	}
	return agent->buffer;
}

static uint64_t *saturation(const struct core_agent *agent)
{
	return (uint64_t *)(void *)(agent->state + tensor(agent, "saturation")->offset);
}

static bool write_back(struct card *card, struct core_command *command, uint64_t from, uint64_t to)
{
	return core_store(card, command, FIXAR_ARENA_STATE + from, card->core.agent.state + from, to - from);
}

static bool write_back_tensor(struct card *card, struct core_command *command, const char *name)
{
	const struct step_tensor *one = tensor(&card->core.agent, name);

	return write_back(card, command, one->offset, one->offset + one->bytes);
}

static bool write_statistics(struct card *card, struct core_command *command, struct fixar_statistics *statistics)
{
	statistics->cycles = command->cycles;
	statistics->macs = command->macs;
	return !command->slot.statistics ||
	       core_store(card, command, command->slot.statistics, statistics, sizeof(*statistics));
}

static void take_cycles(struct core_agent *agent, struct core_command *command)
{
	const bool act = (command->slot.control & FIXAR_COMMAND_OPCODE) == FIXAR_OPCODE_ACT;
	struct step_mode asked = step_mode(command);
	const struct step_workload workload = { &agent->array, &agent->config, &asked, quantizers(agent),
						command->slot.count };
	struct step_cycles cycles = { 0 };

	if (!(command->slot.control & FIXAR_COMMAND_EXPLORE))
		asked.noise = STEP_NOISE_NONE;
	/* The same checks as those of the capacity, which has been checked. */
	if (act)
		step_cycles_act(&workload, NULL, NULL, &cycles, NULL, 0);
	else
		step_cycles_train(&workload, NULL, NULL, &cycles, NULL, 0);
	command->cycles = cycles.cycles;
	command->array_cycles = cycles.array_cycles;
	command->macs = cycles.macs;
}

static bool cut(const struct card *card)
{
	return card->core.abort;
}

bool core_agent_act(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	const struct fixar_command *slot = &command->slot;
	const uint64_t in = (uint64_t)slot->count * agent->config.observation_dim * sizeof(int32_t);
	const uint64_t out = (uint64_t)slot->count * agent->config.action_dim * sizeof(int32_t);
	const bool explore = slot->control & FIXAR_COMMAND_EXPLORE, reset = slot->control & FIXAR_COMMAND_RESET_NOISE;
	unsigned char *observations = buffer(agent, command, fixar_arena_align(in) + out);
	struct fixar_statistics statistics = { 0 };
	uint64_t before[STEP_SATURATIONS];
	int32_t *actions;

	if (!observations || !core_load(card, command, slot->input, observations, in))
		return false;
	actions = (int32_t *)(void *)(observations + fixar_arena_align(in));
	take_cycles(agent, command);
	memcpy(before, saturation(agent), sizeof(before));
	if (step_act(agent->step, slot->count, (const int32_t *)(const void *)observations, actions,
		     (explore ? STEP_ACT_EXPLORE : 0) | (reset ? STEP_ACT_RESET_NOISE : 0)))
		return out_of_memory(command);
	if (cut(card))
		return false;
	for (int i = 0; i < STEP_SATURATIONS; i++)
		statistics.saturation[i] = saturation(agent)[i] - before[i];
	if (!core_store(card, command, slot->output, actions, out))
		return false;
	if (explore &&
	    (!write_back_tensor(card, command, "saturation") || !write_back_tensor(card, command, "noise.count")))
		return false;
	if ((explore || reset) && !write_back_tensor(card, command, "noise.state"))
		return false;
	return write_statistics(card, command, &statistics);
}

/* What TRAIN changes: all but noise and quantizers, and ranges only if they are observed. */
static bool write_trained(struct card *card, struct core_command *command)
{
	const struct core_agent *agent = &card->core.agent;

	if (!write_back(card, command, 0, tensor(agent, "noise.count")->offset))
		return false;
	if ((mode(command, FIXAR_MODE_QUANTIZATION) & FIXAR_MODE_QUANTIZATION_OBSERVE) &&
	    !write_back_tensor(card, command, "ranges"))
		return false;
	return write_back(card, command, agent->head_bytes, agent->state_bytes);
}

bool core_agent_train(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	const struct step_hyperparameters hyper = hyperparameters(command);
	struct fixar_statistics statistics = { 0 };
	struct fixar_batch_layout layout;
	struct step_statistics exact;
	struct step_batch batch;
	unsigned char *bytes;

	fixar_batch_layout(command->slot.count, agent->config.observation_dim, agent->config.action_dim, &layout);
	bytes = buffer(agent, command, layout.bytes);
	if (!bytes || !core_load(card, command, command->slot.input, bytes, layout.terminal + command->slot.count))
		return false;
	batch = (struct step_batch){
		.size = command->slot.count,
		.observation = (const int32_t *)(const void *)(bytes + layout.observation),
		.action = (const int32_t *)(const void *)(bytes + layout.action),
		.reward = (const int32_t *)(const void *)(bytes + layout.reward),
		.next_observation = (const int32_t *)(const void *)(bytes + layout.next_observation),
		.terminal = bytes + layout.terminal,
	};
	take_cycles(agent, command);
	step_set_hyperparameters(agent->step, &hyper);
	if (step_train(agent->step, &batch, &exact))
		return out_of_memory(command);
	if (cut(card))
		return false;
	statistics.loss_sum = exact.loss_sum;
	statistics.q_sum = (uint64_t)exact.q_sum;
	memcpy(statistics.saturation, exact.saturation, sizeof(statistics.saturation));
	statistics.training_steps = *(uint64_t *)(void *)(agent->state + tensor(agent, "training_steps")->offset);
	return write_trained(card, command) && write_statistics(card, command, &statistics);
}

static uint64_t parameters(const struct core_agent *agent)
{
	uint64_t count = 0;

	for (int n = 0; n < STEP_NETWORKS; n++) {
		uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
		const uint32_t layers = step_layers(&agent->config, (enum step_network)n, inputs, outputs);

		for (uint32_t l = 0; l < layers; l++)
			count += (uint64_t)inputs[l] * outputs[l];
	}
	return count;
}

bool core_agent_read_ranges(struct card *card, struct core_command *command)
{
	struct core_agent *agent = &card->core.agent;
	struct step_range ranges[2 * STEP_MAX_LAYERS * STEP_CLASSES];
	struct fixar_statistics statistics = { 0 };

	step_read_ranges(agent->step, ranges);
	if (cut(card))
		return false;
	command->cycles = pe_count_elements(&agent->array, parameters(agent));
	return write_back_tensor(card, command, "ranges") && write_statistics(card, command, &statistics);
}

bool core_agent_reload(struct card *card, struct core_command *command)
{
	struct fixar_statistics statistics = { 0 };

	command->cycles = pe_count_transfer(&card->core.agent.array, card->core.agent.state_bytes);
	return write_statistics(card, command, &statistics);
}
