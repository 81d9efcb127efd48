/* SPDX-License-Identifier: MIT */
/*
 * A device executes step's commands for agents. The training loop sees this interface alone, so that a CPU, the float32 twin
 * and a card cannot be told apart but for speed.
 *
 * Calls on one agent come from one thread at a time; a device is shared between agents on several threads.
 * All functions return 0 or a negative errno value.
 */
#ifndef FIXAR_LIB_DEVICE_DEVICE_H
#define FIXAR_LIB_DEVICE_DEVICE_H

#include "step/step.h"
#include "fixar/fixar.h"

struct device_agent;		/* an agent on a device; each kind of device embeds this as its first member */

struct device_statistics {
	double critic_loss;	/* mean over the batch of the squared TD error, in scaled-reward units */
	double mean_q;		/* mean over the batch of Q(s, actor(s)) */
	uint64_t saturation[STEP_SATURATIONS];
};

/* Of fixed-point sums over a batch. */
void device_statistics_set(struct device_statistics *statistics, const struct step_statistics *exact, uint32_t batch);

struct device_ops {
	int (*agent_create)(struct fixar_device *device, const struct step_config *config, struct device_agent **agent);
	void (*agent_destroy)(struct device_agent *agent);
	int (*set_mode)(struct device_agent *agent, const struct step_mode *mode);
	int (*act)(struct device_agent *agent, uint32_t n, const int32_t *observation, int32_t *action, uint32_t flags);
	int (*train)(struct device_agent *agent, const struct step_batch *batch, struct device_statistics *statistics);
	int (*read_ranges)(struct device_agent *agent, struct step_range *ranges);
	int (*read_quantizers)(struct device_agent *agent, struct step_quantizer *quantizers);
	int (*write_quantizers)(struct device_agent *agent, const struct step_quantizer *quantizers);
	/* The state as bytes: `layout` gives the tensors (owned by the agent) and the size. */
	int (*state_layout)(struct device_agent *agent, const struct step_tensor **tensors, size_t *count, size_t *bytes);
	int (*state_read)(struct device_agent *agent, void *state);
	int (*state_write)(struct device_agent *agent, const void *state);
	/* step_set_weight_store(); NULL: this device cannot. */
	int (*set_weight_store)(struct device_agent *agent, enum step_network network, const struct nn_store *store);
	void (*close)(struct fixar_device *device);
};

/* Every kind of device embeds this as its first member. */
struct fixar_device {
	const struct device_ops *ops;
	char description[512];	/* "CPU, avx2, 2 threads"; a card has the path of its node */
	int is_float32;		/* agents of the float32 twin: no quantizers, no ranges */
};

struct device_agent {
	struct fixar_device *device;
	const struct device_ops *ops;
};

/* lib/device/cpu.c: fixed point on the CPU. engine NULL or "auto": the best that the processor has. */
int device_cpu_open(const char *engine, unsigned threads, struct fixar_device **device);
/* For tests: the threads that a CPU device of fixed point shares its work among; NULL if there is one only. */
struct pe_pool *device_cpu_pool(struct fixar_device *device);
/* `requested`, or for 0 the number of processors that the process may use. */
unsigned device_cpu_threads(unsigned requested);
/* lib/float32: the yardstick. Same commands, float arithmetic, same initial weights, noise and inputs. */
int device_float32_open(const char *engine, unsigned threads, struct fixar_device **device);

#endif /* FIXAR_LIB_DEVICE_DEVICE_H */
