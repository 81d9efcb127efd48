// SPDX-License-Identifier: MIT
/*
 * A card as a device. An agent is a context: its arena holds header, state and, behind them, the places of one batch,
 * of observations, actions and statistics. Two buffers in host memory are the ends of the copies: one mirrors header
 * and state, the other all that is behind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/card.h"
#include "hw/fixar_arena.h"
#include "pe/engine.h"
#include "step/cycles.h"

struct card_device {
	struct fixar_device base;
	struct card card;
	struct log_sink log;
};

struct card_agent {
	struct device_agent base;
	struct step_config config;
	struct card_context context;
	struct card_buffer mirror; /* of the arena from 0 to `behind` */
	struct card_buffer work;   /* of the arena from `behind` on */
	struct step_tensor *tensors;
	size_t tensor_count, state_bytes;
	uint64_t behind, observation, action, statistics, end; /* arena offsets; the batch is at `behind` */
	struct fixar_statistics last;
};

_Static_assert(sizeof(((struct fixar_statistics *)0)->saturation) == sizeof(((struct step_statistics *)0)->saturation),
	       "counts of saturations");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "card memory is little-endian, and is used as it is");

static struct card_device *card_device(const struct device_agent *agent)
{
	return (struct card_device *)agent->device;
}

static struct card_agent *card_agent(struct device_agent *agent)
{
	return (struct card_agent *)agent;
}

/* ---- Errors in words ---- */

/* Says why a command failed, if the card knows; the answer is the error. */
static int explain(struct card_agent *agent, const char *command, int error)
{
	const struct card_device *device = card_device(&agent->base);
	char message[256] = "";
	int state;

	if (!error)
		return 0;
	state = card_context_check(&agent->context, NULL, message, sizeof(message));
	if (state)
		error = state;
	log_line(&device->log, FIXAR_LOG_ERROR, "%s, %s: %s", device->card.node, command,
		 *message ? message : log_errno(error));
	return error;
}

static int refuse(const struct card_device *device, const char *what, uint32_t value, uint32_t limit)
{
	log_line(&device->log, FIXAR_LOG_ERROR, "%s cannot hold this agent: %s is %u, and its limit %u",
		 device->card.node, what, value, limit);
	return -ENOSPC;
}

/* Whether the card can hold the agent, before it is asked. */
static int check_limits(const struct card_device *device, const struct step_config *config)
{
	const struct drm_fixar_query_device *info = &device->card.info;
	const struct pe_array array = {
		.cores = info->cores,
		.rows = info->rows,
		.columns = info->columns,
		.half_lanes = info->half_lanes,
		.clock_khz = info->clock_khz,
		.output_latency = info->output_latency,
		.function_latency = info->function_latency,
		.update_lanes = info->update_lanes,
		.update_latency = info->update_latency,
		.hbm_bytes_per_cycle = info->hbm_bytes_per_cycle,
		.weight_bytes = info->weight_memory,
		.gradient_bytes = info->gradient_memory,
		.activation_bytes = info->activation_memory,
	};
	const struct step_mode mode = { .quantized = 0 };
	const struct step_workload workload = { &array, config, &mode, NULL, config->batch_max };
	struct step_footprint footprint;
	char message[256] = "";

	if (config->observation_dim > info->max_width)
		return refuse(device, "the dimension of observations", config->observation_dim, info->max_width);
	if (config->action_dim > info->max_width)
		return refuse(device, "the dimension of actions", config->action_dim, info->max_width);
	if (config->hidden_count > info->max_hidden)
		return refuse(device, "the number of hidden layers", config->hidden_count, info->max_hidden);
	for (uint32_t l = 0; l < config->hidden_count; l++)
		if (config->hidden[l] > info->max_width)
			return refuse(device, "the width of a hidden layer", config->hidden[l], info->max_width);
	if (config->batch_max > info->max_batch)
		return refuse(device, "the batch", config->batch_max, info->max_batch);
	if (step_card_footprint(&workload, &footprint, message, sizeof(message))) {
		log_line(&device->log, FIXAR_LOG_ERROR, "%s cannot hold this agent: %s", device->card.node, message);
		return -ENOSPC;
	}
	return 0;
}

static int create_context(struct card_agent *agent)
{
	const struct card_device *device = card_device(&agent->base);
	struct drm_fixar_query_memory memory;
	int error = card_context_create(&device->card, agent->end, &agent->context);

	if (!error)
		return 0;
	if (error == -ENOSPC && !card_query(&device->card, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)))
		log_line(&device->log, FIXAR_LOG_ERROR,
			 "%s has no room for an agent of %llu KiB: %u agents are on it, the largest free piece has "
			 "%llu KiB",
			 device->card.node, (unsigned long long)agent->end >> 10, memory.contexts,
			 (unsigned long long)memory.largest >> 10);
	else if (error == -EBUSY)
		log_line(&device->log, FIXAR_LOG_ERROR, "%s holds one agent at a time, and has one", device->card.node);
	else
		log_line(&device->log, FIXAR_LOG_ERROR, "%s: no context for an agent: %s", device->card.node,
			 log_errno(error));
	return error;
}

/* ---- Copies and operations ---- */

static struct card_copy state_copy(const struct card_agent *agent, uint64_t offset, uint64_t bytes)
{
	return (struct card_copy){ &agent->mirror, offset, offset, bytes };
}

static struct card_copy work_copy(const struct card_agent *agent, uint64_t offset, uint64_t bytes)
{
	return (struct card_copy){ &agent->work, offset - agent->behind, offset, bytes };
}

static void *work_at(const struct card_agent *agent, uint64_t offset)
{
	return agent->work.map + (offset - agent->behind);
}

/* A tensor's place in the arena. */
static struct card_copy tensor_copy(const struct card_agent *agent, const char *name)
{
	const struct step_tensor *tensor = agent->tensors;

	while (strcmp(tensor->name, name) != 0)
		tensor++;
	return state_copy(agent, FIXAR_ARENA_STATE + tensor->offset, tensor->bytes);
}

/* A round whose last operation writes statistics, which are kept. */
static int run(struct card_agent *agent, const char *command, struct card_round *round)
{
	int error;

	if (round->operation_count) {
		round->operation[round->operation_count - 1].statistics = agent->statistics;
		round->down[round->down_count++] = work_copy(agent, agent->statistics, sizeof(agent->last));
	}
	error = card_run(&agent->context, round);
	if (error)
		return explain(agent, command, error);
	if (round->operation_count)
		memcpy(&agent->last, work_at(agent, agent->statistics), sizeof(agent->last));
	return 0;
}

/* Part of the mirror to the arena, and the core told of it. */
static int upload(struct card_agent *agent, const char *command, struct card_copy copy)
{
	struct card_round round = {
		.up = { copy },
		.up_count = 1,
		.operation = { { .type = DRM_FIXAR_OP_RELOAD } },
		.operation_count = 1,
	};

	return run(agent, command, &round);
}

static int download(struct card_agent *agent, const char *command, struct card_copy copy)
{
	struct card_round round = { .down = { copy }, .down_count = 1 };

	return run(agent, command, &round);
}

/* ---- Life ---- */

static void agent_destroy(struct device_agent *base)
{
	struct card_agent *agent = card_agent(base);
	const struct card *card = &card_device(base)->card;

	card_context_destroy(&agent->context);
	card_buffer_destroy(card, &agent->mirror);
	card_buffer_destroy(card, &agent->work);
	free(agent->tensors);
	free(agent);
}

static void place(struct card_agent *agent)
{
	const struct step_config *config = &agent->config;
	struct fixar_batch_layout batch;

	fixar_batch_layout(config->batch_max, config->observation_dim, config->action_dim, &batch);
	agent->behind = fixar_arena_align(FIXAR_ARENA_STATE + agent->state_bytes);
	agent->observation = agent->behind + batch.bytes;
	agent->action =
		agent->observation + fixar_arena_align((uint64_t)config->batch_max * config->observation_dim * 4);
	agent->statistics = agent->action + fixar_arena_align((uint64_t)config->batch_max * config->action_dim * 4);
	agent->end = agent->statistics + fixar_arena_align(sizeof(struct fixar_statistics));
}

static void write_header(const struct card_agent *agent)
{
	const struct step_config *config = &agent->config;
	struct fixar_arena_header header = {
		.magic = FIXAR_ARENA_MAGIC,
		.schema = FIXAR_ARENA_SCHEMA,
		.header_bytes = sizeof(header),
		.state_offset = FIXAR_ARENA_STATE,
		.state_bytes = agent->state_bytes,
		.seed = config->seed,
		.observation_dim = config->observation_dim,
		.action_dim = config->action_dim,
		.batch_max = config->batch_max,
		.hidden_count = config->hidden_count,
	};

	memcpy(header.hidden, config->hidden, config->hidden_count * sizeof(header.hidden[0]));
	memcpy(agent->mirror.map, &header, sizeof(header));
}

/* What a new agent's state is, lib/step knows: one is made on the mirror, and is not needed for longer. */
static int write_first_state(const struct card_agent *agent)
{
	struct step_config config = agent->config;
	struct step_agent *twin;
	int error;

	/* The layout does not depend on the batch; scratch memory does. */
	config.batch_max = 1;
	error = step_agent_create(&config, agent->mirror.map + FIXAR_ARENA_STATE, pe_engine_find("scalar"), NULL,
				  &twin);
	if (!error)
		step_agent_destroy(twin);
	return error;
}

static int set_mode(struct device_agent *agent, const struct step_mode *mode);

static int agent_create(struct fixar_device *base, const struct step_config *config, struct device_agent **created)
{
	struct card_device *device = (struct card_device *)base;
	struct card_agent *agent;
	int error = step_config_check(config, NULL, 0);

	if (!error)
		error = check_limits(device, config);
	if (error)
		return error;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->base.device = base;
	agent->base.ops = base->ops;
	agent->config = *config;
	agent->tensor_count = step_layout(config, NULL, 0, &agent->state_bytes);
	agent->tensors = calloc(agent->tensor_count, sizeof(*agent->tensors));
	if (!agent->tensors) {
		error = -ENOMEM;
		goto failed;
	}
	step_layout(config, agent->tensors, agent->tensor_count, NULL);
	place(agent);
	error = create_context(agent);
	if (error)
		goto failed;
	error = card_buffer_create(&device->card, agent->behind, &agent->mirror);
	if (!error)
		error = card_buffer_create(&device->card, agent->end - agent->behind, &agent->work);
	if (error) {
		log_line(&device->log, FIXAR_LOG_ERROR, "%s: no buffer for an agent: %s", device->card.node,
			 log_errno(error));
		goto failed;
	}
	error = write_first_state(agent);
	if (error)
		goto failed;
	write_header(agent);
	error = set_mode(&agent->base, &(struct step_mode){ .noise = STEP_NOISE_NONE });
	if (!error)
		error = upload(agent, "the new agent", state_copy(agent, 0, agent->behind));
	if (error)
		goto failed;
	*created = &agent->base;
	return 0;

failed:
	agent_destroy(&agent->base);
	return error;
}

/* ---- Commands ---- */

static int set_mode(struct device_agent *base, const struct step_mode *mode)
{
	struct card_agent *agent = card_agent(base);
	struct drm_fixar_mode registers;

	card_mode(mode, &agent->config.hyper, &registers);
	return explain(agent, "the mode", card_context_set_mode(&agent->context, &registers));
}

static int act(struct device_agent *base, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags)
{
	struct card_agent *agent = card_agent(base);
	const size_t observation_bytes = (size_t)n * agent->config.observation_dim * sizeof(*observation);
	const size_t action_bytes = (size_t)n * agent->config.action_dim * sizeof(*action);
	struct card_round round = {
		.up = { work_copy(agent, agent->observation, observation_bytes) },
		.up_count = 1,
		.operation = { { .type = DRM_FIXAR_OP_ACT,
				 .flags = flags,
				 .count = n,
				 .input = agent->observation,
				 .output = agent->action } },
		.operation_count = 1,
		.down = { work_copy(agent, agent->action, action_bytes) },
		.down_count = 1,
	};
	int error;

	if (n < 1 || n > agent->config.batch_max)
		return -EINVAL;
	memcpy(work_at(agent, agent->observation), observation, observation_bytes);
	error = run(agent, "acting", &round);
	if (!error)
		memcpy(action, work_at(agent, agent->action), action_bytes);
	return error;
}

static int train(struct device_agent *base, const struct step_batch *batch, struct device_statistics *statistics)
{
	struct card_agent *agent = card_agent(base);
	const size_t observations = (size_t)batch->size * agent->config.observation_dim;
	const size_t actions = (size_t)batch->size * agent->config.action_dim;
	unsigned char *place = work_at(agent, agent->behind);
	struct fixar_batch_layout layout;
	struct card_round round = {
		.up_count = 1,
		.operation = { { .type = DRM_FIXAR_OP_TRAIN, .count = batch->size, .input = agent->behind } },
		.operation_count = 1,
	};
	struct step_statistics exact;
	int error;

	if (batch->size < 1 || batch->size > agent->config.batch_max)
		return -EINVAL;
	fixar_batch_layout(batch->size, agent->config.observation_dim, agent->config.action_dim, &layout);
	memcpy(place + layout.observation, batch->observation, observations * sizeof(int32_t));
	memcpy(place + layout.action, batch->action, actions * sizeof(int32_t));
	memcpy(place + layout.reward, batch->reward, batch->size * sizeof(int32_t));
	memcpy(place + layout.next_observation, batch->next_observation, observations * sizeof(int32_t));
	memcpy(place + layout.terminal, batch->terminal, batch->size);
	round.up[0] = work_copy(agent, agent->behind, layout.bytes);
	error = run(agent, "training", &round);
	if (error)
		return error;
	exact = (struct step_statistics){ .loss_sum = agent->last.loss_sum, .q_sum = (int64_t)agent->last.q_sum };
	memcpy(exact.saturation, agent->last.saturation, sizeof(exact.saturation));
	device_statistics_set(statistics, &exact, batch->size);
	return 0;
}

static int read_ranges(struct device_agent *base, struct step_range *ranges)
{
	struct card_agent *agent = card_agent(base);
	const struct card_copy table = tensor_copy(agent, "ranges");
	struct card_round round = {
		.operation = { { .type = DRM_FIXAR_OP_READ_RANGES } },
		.operation_count = 1,
		.down = { table },
		.down_count = 1,
	};
	int error = run(agent, "reading ranges", &round);

	if (!error)
		memcpy(ranges, agent->mirror.map + table.arena_offset, table.bytes);
	return error;
}

static int read_quantizers(struct device_agent *base, struct step_quantizer *quantizers)
{
	struct card_agent *agent = card_agent(base);
	const struct card_copy table = tensor_copy(agent, "quantizers");
	int error = download(agent, "reading quantizers", table);

	if (!error)
		memcpy(quantizers, agent->mirror.map + table.arena_offset, table.bytes);
	return error;
}

/* Tables that are refused here cost an error; if the core had to refuse them, the context. */
static int write_quantizers(struct device_agent *base, const struct step_quantizer *quantizers)
{
	struct card_agent *agent = card_agent(base);
	const struct card_copy table = tensor_copy(agent, "quantizers");
	struct step_quantizer before[2 * STEP_MAX_LAYERS * STEP_CLASSES];
	unsigned char *place = agent->mirror.map + table.arena_offset;
	size_t where;

	memcpy(before, place, table.bytes);
	memcpy(place, quantizers, table.bytes);
	if (!step_tables_check(&agent->config, agent->mirror.map + FIXAR_ARENA_STATE, &where))
		return upload(agent, "writing quantizers", table);
	memcpy(place, before, table.bytes);
	return -EINVAL;
}

/* ---- The state as bytes ---- */

static int state_layout(struct device_agent *base, const struct step_tensor **tensors, size_t *count, size_t *bytes)
{
	const struct card_agent *agent = card_agent(base);

	*tensors = agent->tensors;
	*count = agent->tensor_count;
	*bytes = agent->state_bytes;
	return 0;
}

static int state_read(struct device_agent *base, void *state)
{
	struct card_agent *agent = card_agent(base);
	int error = download(agent, "reading the agent", state_copy(agent, FIXAR_ARENA_STATE, agent->state_bytes));

	if (!error)
		memcpy(state, agent->mirror.map + FIXAR_ARENA_STATE, agent->state_bytes);
	return error;
}

static int state_write(struct device_agent *base, const void *state)
{
	struct card_agent *agent = card_agent(base);
	size_t where;

	if (step_tables_check(&agent->config, state, &where))
		return -EINVAL;
	memcpy(agent->mirror.map + FIXAR_ARENA_STATE, state, agent->state_bytes);
	return upload(agent, "writing the agent", state_copy(agent, 0, agent->behind));
}

/* ---- The device ---- */

static void close_device(struct fixar_device *base)
{
	struct card_device *device = (struct card_device *)base;

	card_close(&device->card);
	free(device);
}

static const struct device_ops card_ops = {
	.agent_create = agent_create,
	.agent_destroy = agent_destroy,
	.set_mode = set_mode,
	.act = act,
	.train = train,
	.read_ranges = read_ranges,
	.read_quantizers = read_quantizers,
	.write_quantizers = write_quantizers,
	.state_layout = state_layout,
	.state_read = state_read,
	.state_write = state_write,
	.close = close_device,
};

const struct card *device_card(const struct fixar_device *device)
{
	return device->ops == &card_ops ? &((const struct card_device *)device)->card : NULL;
}

const struct fixar_statistics *device_card_statistics(const struct device_agent *agent)
{
	return &((const struct card_agent *)agent)->last;
}

struct card_context *device_card_context(struct device_agent *agent)
{
	return &card_agent(agent)->context;
}

int device_card_open(const struct card *card, const struct log_sink *log, struct fixar_device **opened)
{
	struct card_device *device = calloc(1, sizeof(*device));
	const struct drm_fixar_query_device *info = &card->info;

	if (!device) {
		struct card closing = *card;

		card_close(&closing);
		return -ENOMEM;
	}
	device->card = *card;
	device->log = *log;
	device->base.ops = &card_ops;
	snprintf(device->base.description, sizeof(device->base.description), "card %s%s%s, %u x %ux%u PEs at %u MHz",
		 card->node, card->address[0] ? " at " : "", card->address, info->cores, info->rows, info->columns,
		 (info->clock_khz + 500) / 1000);
	*opened = &device->base;
	return 0;
}
