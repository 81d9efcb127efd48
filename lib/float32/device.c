/* SPDX-License-Identifier: MIT */
/*
 * The float32 twin as a device. As on the CPU device the threads belong to the device, and agents that share it take
 * turns.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "float32/agent.h"

struct f32_device {
	struct fixar_device base;
	const struct f32_engine *engine;
	struct pe_pool *pool; /* NULL: one thread, and nothing to take turns for */
	pthread_mutex_t turn;
};

struct f32_device_agent {
	struct device_agent base;
	struct f32_agent *agent;
	void *arena;
	size_t arena_bytes;
	struct step_tensor *tensors;
	size_t tensor_count;
};

static struct f32_device_agent *own(struct device_agent *base)
{
	return (struct f32_device_agent *)base;
}

static void agent_destroy(struct device_agent *base)
{
	struct f32_device_agent *agent = own(base);

	f32_agent_destroy(agent->agent);
	free(agent->arena);
	free(agent->tensors);
	free(agent);
}

static int agent_create(struct fixar_device *base, const struct step_config *config, struct device_agent **created)
{
	const struct f32_device *device = (const struct f32_device *)base;
	struct f32_device_agent *agent;
	int error = -ENOMEM;

	/* Before the sizes that the layout follows from are believed. */
	if (step_config_check(config, NULL, 0))
		return -EINVAL;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->base.device = base;
	agent->base.ops = base->ops;
	agent->tensor_count = f32_layout(config, NULL, 0, &agent->arena_bytes);
	agent->tensors = calloc(agent->tensor_count, sizeof(*agent->tensors));
	agent->arena = aligned_alloc(STEP_ALIGNMENT, agent->arena_bytes);
	if (agent->tensors && agent->arena) {
		f32_layout(config, agent->tensors, agent->tensor_count, NULL);
		error = f32_agent_create(config, agent->arena, device->engine, device->pool, &agent->agent);
	}
	if (error) {
		agent_destroy(&agent->base);
		return error;
	}
	*created = &agent->base;
	return 0;
}

/* There are no quantizers to go through and no ranges to keep. Parallelism means nothing here. */
static int set_mode(struct device_agent *base, const struct step_mode *mode)
{
	if (mode->quantized || mode->observe)
		return -ENOTSUP;
	own(base)->agent->mode = *mode;
	return 0;
}

static void lock(struct f32_device *device)
{
	if (device->pool)
		pthread_mutex_lock(&device->turn);
}

static void unlock(struct f32_device *device)
{
	if (device->pool)
		pthread_mutex_unlock(&device->turn);
}

/* Uses the agent's own memory and no threads: no turn to wait for. */
static int act(struct device_agent *base, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags)
{
	return f32_act(own(base)->agent, n, observation, action, flags);
}

static int train(struct device_agent *base, const struct step_batch *batch, struct device_statistics *statistics)
{
	struct f32_device *device = (struct f32_device *)base->device;
	int error;

	lock(device);
	error = f32_train(own(base)->agent, batch, statistics);
	unlock(device);
	return error;
}

static int read_ranges(struct device_agent *base, struct step_range *ranges)
{
	(void)base;
	(void)ranges;
	return -ENOTSUP;
}

static int read_quantizers(struct device_agent *base, struct step_quantizer *quantizers)
{
	(void)base;
	(void)quantizers;
	return -ENOTSUP;
}

static int write_quantizers(struct device_agent *base, const struct step_quantizer *quantizers)
{
	(void)base;
	(void)quantizers;
	return -ENOTSUP;
}

static int state_layout(struct device_agent *base, const struct step_tensor **tensors, size_t *count, size_t *bytes)
{
	const struct f32_device_agent *agent = own(base);

	*tensors = agent->tensors;
	*count = agent->tensor_count;
	*bytes = agent->arena_bytes;
	return 0;
}

static int state_read(struct device_agent *base, void *state)
{
	const struct f32_device_agent *agent = own(base);

	memcpy(state, agent->arena, agent->arena_bytes);
	return 0;
}

/* Tensor by tensor: the gaps between them must stay 0, whatever is in the bytes that came from outside. */
static int state_write(struct device_agent *base, const void *state)
{
	const struct f32_device_agent *agent = own(base);

	for (size_t i = 0; i < agent->tensor_count; i++) {
		const struct step_tensor *tensor = &agent->tensors[i];

		memcpy((char *)agent->arena + tensor->offset, (const char *)state + tensor->offset, tensor->bytes);
	}
	return 0;
}

static void close_device(struct fixar_device *base)
{
	struct f32_device *device = (struct f32_device *)base;

	pe_pool_destroy(device->pool);
	pthread_mutex_destroy(&device->turn);
	free(device);
}

static const struct device_ops f32_device_ops = {
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

int device_float32_open(const char *engine, unsigned threads, struct fixar_device **opened)
{
	struct f32_device *device = calloc(1, sizeof(*device));
	int error;

	if (!device)
		return -ENOMEM;
	error = f32_engine_find(engine, &device->engine);
	threads = device_cpu_threads(threads);
	if (!error && threads > 1)
		error = pe_pool_create(threads, &device->pool);
	if (error) {
		free(device);
		return error;
	}
	pthread_mutex_init(&device->turn, NULL);
	device->base.ops = &f32_device_ops;
	device->base.is_float32 = 1;
	snprintf(device->base.description, sizeof(device->base.description), "CPU, float32, %s, %u thread%s",
		 device->engine->name, threads, threads == 1 ? "" : "s");
	*opened = &device->base;
	return 0;
}
