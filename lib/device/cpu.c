// SPDX-License-Identifier: MIT
/*
 * The CPU as a device: step's commands, called directly. An agent's arena is ordinary memory.
 *
 * The threads belong to the device. Agents that share it take turns, because the pool does one piece of work at a time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/device.h"
#include "pe/engine.h"
#include "pe/pool.h"

struct cpu_device {
	struct fixar_device base;
	const struct pe_engine *engine;
	struct pe_pool *pool; /* NULL: one thread, and nothing to take turns for */
	pthread_mutex_t turn;
};

struct cpu_agent {
	struct device_agent base;
	struct step_agent *step;
	void *arena;
	size_t arena_bytes;
	struct step_tensor *tensors;
	size_t tensor_count;
};

static struct cpu_device *device_of(const struct device_agent *agent)
{
	return (struct cpu_device *)agent->device;
}

static struct cpu_agent *cpu_agent(struct device_agent *agent)
{
	return (struct cpu_agent *)agent;
}

static void lock(struct cpu_device *cpu)
{
	if (cpu->pool)
		pthread_mutex_lock(&cpu->turn);
}

static void unlock(struct cpu_device *cpu)
{
	if (cpu->pool)
		pthread_mutex_unlock(&cpu->turn);
}

static void agent_destroy(struct device_agent *base)
{
	struct cpu_agent *agent = cpu_agent(base);

	step_agent_destroy(agent->step);
	free(agent->arena);
	free(agent->tensors);
	free(agent);
}

static int agent_create(struct fixar_device *device, const struct step_config *config, struct device_agent **created)
{
	struct cpu_device *cpu = (struct cpu_device *)device;
	struct cpu_agent *agent = calloc(1, sizeof(*agent));
	int error = -ENOMEM;

	if (!agent)
		return -ENOMEM;
	agent->base.device = device;
	agent->base.ops = device->ops;
	agent->tensor_count = step_layout(config, NULL, 0, &agent->arena_bytes);
	agent->tensors = calloc(agent->tensor_count, sizeof(*agent->tensors));
	agent->arena = aligned_alloc(STEP_ALIGNMENT,
				     (agent->arena_bytes + STEP_ALIGNMENT - 1) / STEP_ALIGNMENT * STEP_ALIGNMENT);
	if (!agent->tensors || !agent->arena)
		goto failed;
	/* The gaps between tensors are part of what state_read() hands out. */
	memset(agent->arena, 0, agent->arena_bytes);
	step_layout(config, agent->tensors, agent->tensor_count, &agent->arena_bytes);
	error = step_agent_create(config, agent->arena, cpu->engine, cpu->pool, &agent->step);
	if (error)
		goto failed;
	*created = &agent->base;
	return 0;

failed:
	free(agent->arena);
	free(agent->tensors);
	free(agent);
	return error;
}

static int set_mode(struct device_agent *agent, const struct step_mode *mode)
{
	step_set_mode(cpu_agent(agent)->step, mode);
	return 0;
}

static int act(struct device_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags)
{
	struct cpu_device *cpu = device_of(agent);
	int error;

	lock(cpu);
	error = step_act(cpu_agent(agent)->step, n, observation, action, flags);
	unlock(cpu);
	return error;
}

static int train(struct device_agent *agent, const struct step_batch *batch, struct device_statistics *statistics)
{
	struct cpu_device *cpu = device_of(agent);
	struct step_statistics exact;
	int error;

	lock(cpu);
	error = step_train(cpu_agent(agent)->step, batch, &exact);
	unlock(cpu);
	if (error)
		return error;
	device_statistics_set(statistics, &exact, batch->size);
	return 0;
}

static int read_ranges(struct device_agent *agent, struct step_range *ranges)
{
	struct cpu_device *cpu = device_of(agent);

	lock(cpu);
	step_read_ranges(cpu_agent(agent)->step, ranges);
	unlock(cpu);
	return 0;
}

static int read_quantizers(struct device_agent *agent, struct step_quantizer *quantizers)
{
	step_read_quantizers(cpu_agent(agent)->step, quantizers);
	return 0;
}

static int write_quantizers(struct device_agent *agent, const struct step_quantizer *quantizers)
{
	return step_write_quantizers(cpu_agent(agent)->step, quantizers);
}

static int state_layout(struct device_agent *base, const struct step_tensor **tensors, size_t *count, size_t *bytes)
{
	const struct cpu_agent *agent = cpu_agent(base);

	*tensors = agent->tensors;
	*count = agent->tensor_count;
	*bytes = agent->arena_bytes;
	return 0;
}

static int state_read(struct device_agent *base, void *state)
{
	const struct cpu_agent *agent = cpu_agent(base);

	memcpy(state, agent->arena, agent->arena_bytes);
	return 0;
}

static int state_write(struct device_agent *base, const void *state)
{
	const struct cpu_agent *agent = cpu_agent(base);

	memcpy(agent->arena, state, agent->arena_bytes);
	return step_agent_reload(agent->step);
}

static int set_weight_store(struct device_agent *agent, enum step_network network, const struct nn_store *store)
{
	step_set_weight_store(cpu_agent(agent)->step, network, store);
	return 0;
}

static void close_device(struct fixar_device *device)
{
	struct cpu_device *cpu = (struct cpu_device *)device;

	pe_pool_destroy(cpu->pool);
	pthread_mutex_destroy(&cpu->turn);
	free(cpu);
}

static const struct device_ops cpu_ops = {
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
	.set_weight_store = set_weight_store,
	.close = close_device,
};

struct pe_pool *device_cpu_pool(struct fixar_device *device)
{
	return ((struct cpu_device *)device)->pool;
}

unsigned device_cpu_threads(unsigned requested)
{
	cpu_set_t usable;
	int count;

	if (requested)
		return requested;
	CPU_ZERO(&usable);
	/* Machines with more processors than fit the set get what sysconf() says. */
	if (sched_getaffinity(0, sizeof(usable), &usable))
		count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	else
		count = CPU_COUNT(&usable);
	return count > 0 ? (unsigned)count : 1;
}

int device_cpu_open(const char *engine, unsigned threads, struct fixar_device **device)
{
	struct cpu_device *cpu;
	int error;

	if (engine && strcmp(engine, "auto") && !pe_engine_known(engine))
		return -EINVAL;
	cpu = calloc(1, sizeof(*cpu));
	if (!cpu)
		return -ENOMEM;
	cpu->engine = pe_engine_find(engine);
	if (!cpu->engine) {
		free(cpu);
		return -ENOTSUP;
	}
	threads = device_cpu_threads(threads);
	if (threads > 1) {
		error = pe_pool_create(threads, &cpu->pool);
		if (error) {
			free(cpu);
			return error;
		}
	}
	pthread_mutex_init(&cpu->turn, NULL);
	cpu->base.ops = &cpu_ops;
	snprintf(cpu->base.description, sizeof(cpu->base.description), "CPU, %s, %u thread%s", cpu->engine->name,
		 pe_pool_threads(cpu->pool), threads == 1 ? "" : "s");
	*device = &cpu->base;
	return 0;
}
