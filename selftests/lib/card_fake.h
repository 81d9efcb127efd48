/* SPDX-License-Identifier: MIT */
/*
 * A driver and a card in the test's own process, in place of libdrm's functions (linked with --wrap): the library's
 * side of the ioctls can be tested on a machine without card or module. It is no model of either: it does jobs at once,
 * in order, with lib/step, and is strict about what a program must do.
 *
 * Each buffer has two copies of its memory, the program's and the card's, as with bounce buffers: only BO_FINI and
 * BO_PREP carry contents over. So a program that forgets one of them computes with old bytes.
 *
 * The node is a file, so that open() and mmap() are real.
 */
#ifndef FIXAR_SELFTESTS_LIB_CARD_FAKE_H
#define FIXAR_SELFTESTS_LIB_CARD_FAKE_H

#include <drm/fixar_accel.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "hw/fixar_arena.h"
#include "pe/engine.h"
#include "step/step.h"

/* A program is linked with --wrap; a library to preload (card_preload.c) has libdrm's own names. */
#ifndef FAKE
#define FAKE(name) __wrap_##name
#endif

#define FAKE_BUFFERS 64
#define FAKE_CONTEXTS 16
#define FAKE_GRANULE 65536u

struct fake_buffer {
	unsigned char *program, *card; /* the program's memory, and what the card sees of it */
	uint64_t bytes;
};

struct fake_context {
	unsigned char *arena;
	uint64_t bytes;
	struct drm_fixar_mode mode;
	struct drm_fixar_ctx_query how;
	int loaded; /* the header and state that the core works with are those of the arena */
};

static struct {
	const char *name; /* of the driver */
	int major;
	int is_drm; /* whether the node speaks DRM at all */
	struct drm_fixar_query_device info;
	struct fake_buffer buffer[FAKE_BUFFERS];
	struct fake_context context[FAKE_CONTEXTS];
	uint64_t node_bytes;
	unsigned syncobjs, submissions, trainings, acts, waits, queries_after_wait;
	uint64_t up_bytes, down_bytes;
	int waited; /* a wait has ended and no CTX_QUERY followed yet */
	/* What goes wrong, at the submission with this number (0: never). */
	unsigned fail_at, fail_every;	 /* and from then on after so many more */
	uint32_t fail_state, fail_fault; /* of the context; 0: the card goes */
	int gone;
} fake;

static inline void fake_reset(void)
{
	/* Contexts of a card that went are the driver's to free. */
	for (uint32_t i = 0; i < FAKE_CONTEXTS; i++)
		free(fake.context[i].arena);
	memset(&fake, 0, sizeof(fake));
	fake.name = "fixar";
	fake.major = 1;
	fake.is_drm = 1;
	fake.info = (struct drm_fixar_query_device){
		.hw_version = 0x00010000,
		.capabilities = DRM_FIXAR_CAP_WINDOWS,
		.operations = 0x3e,
		.memory_bytes = 64 << 20,
		.arena_granule = FAKE_GRANULE,
		.operation_align = 64,
		.clock_khz = 164000,
		.arena_schema = 3,
		.max_width = 1024,
		.max_hidden = 4,
		.max_batch = 256,
		.fifo_depth = 16,
		.cores = 2,
		.rows = 16,
		.columns = 16,
		.half_lanes = 2,
		.output_latency = 4,
		.function_latency = 8,
		.update_lanes = 16,
		.update_latency = 20,
		.hbm_bytes_per_cycle = 32,
		.weight_memory = 14 << 20,
		.gradient_memory = 4 << 20,
		.activation_memory = 4 << 20,
		.max_jobs = 64,
		.max_operations = 64,
	};
}

/* ---- What a job does ---- */

static inline int fake_fault(struct fake_context *context, uint32_t fault, uint32_t core_error, uint64_t offset)
{
	context->how.state = DRM_FIXAR_CTX_FAULTED;
	context->how.fault = fault;
	context->how.core_error = core_error;
	context->how.fault_offset = offset;
	return -EIO;
}

static inline int fake_copy(struct fake_context *context, const struct drm_fixar_copy *copy, int down)
{
	const struct fake_buffer *buffer = &fake.buffer[copy->bo];

	if (down) {
		memcpy(buffer->card + copy->bo_offset, context->arena + copy->arena_offset, copy->size);
		fake.down_bytes += copy->size;
	} else {
		memcpy(context->arena + copy->arena_offset, buffer->card + copy->bo_offset, copy->size);
		fake.up_bytes += copy->size;
		if (copy->arena_offset <
		    FIXAR_ARENA_STATE + ((const struct fixar_arena_header *)(const void *)context->arena)->state_bytes)
			context->loaded = 0;
	}
	return 0;
}

/* An agent of the arena's own shape and state, for one operation. */
static inline int fake_operate(struct fake_context *context, const struct drm_fixar_operation *operation)
{
	const struct fixar_arena_header *header = (const void *)context->arena;
	const struct drm_fixar_mode *mode = &context->mode;
	struct step_config config = {
		.observation_dim = header->observation_dim,
		.action_dim = header->action_dim,
		.hidden_count = header->hidden_count,
		.batch_max = header->batch_max,
		.seed = header->seed,
		.hyper = { .discount = (int32_t)mode->discount,
			   .tau = mode->tau,
			   .beta1 = mode->beta1,
			   .one_minus_beta2 = mode->one_minus_beta2,
			   .rate_mantissa = { mode->rate_mantissa[0], mode->rate_mantissa[1] },
			   .rate_exponent = { mode->rate_exponent[0], mode->rate_exponent[1] },
			   .gradient_scale = { mode->gradient_scale[0], mode->gradient_scale[1] } },
	};
	const struct step_mode step_mode = {
		.quantized = mode->precision,
		.observe = mode->quantization,
		.parallelism = mode->parallelism,
		.noise = mode->noise,
		.noise_sigma = (int32_t)mode->noise_sigma,
		.noise_theta = (int32_t)mode->noise_theta,
	};
	struct fixar_statistics *statistics = (void *)(context->arena + operation->statistics);
	struct step_statistics exact = { 0 };
	unsigned char *state = context->arena + FIXAR_ARENA_STATE;
	struct step_agent *agent;
	size_t bytes;
	int error = 0;

	if (header->magic != FIXAR_ARENA_MAGIC || header->header_bytes != sizeof(*header) ||
	    header->state_offset != FIXAR_ARENA_STATE || header->hidden_count > FIXAR_ARENA_HIDDEN_MAX)
		return fake_fault(context, DRM_FIXAR_FAULT_CORE, 5, 0);
	memcpy(config.hidden, header->hidden, sizeof(config.hidden));
	step_layout(&config, NULL, 0, &bytes);
	if (header->state_bytes != bytes)
		return fake_fault(context, DRM_FIXAR_FAULT_CORE, 5, 16);
	if (!context->loaded && operation->type != DRM_FIXAR_OP_RELOAD)
		return fake_fault(context, DRM_FIXAR_FAULT_CORE, 5, 0);
	context->loaded = 1;
	if (step_agent_attach(&config, state, pe_engine_find("scalar"), NULL, &agent))
		return fake_fault(context, DRM_FIXAR_FAULT_CORE, 4, 0x2000);
	error = step_agent_reload(agent);
	step_set_mode(agent, &step_mode);
	if (!error && operation->type == DRM_FIXAR_OP_ACT) {
		fake.acts++;
		error = step_act(agent, operation->count, (int32_t *)(void *)(context->arena + operation->input),
				 (int32_t *)(void *)(context->arena + operation->output), operation->flags);
	} else if (!error && operation->type == DRM_FIXAR_OP_TRAIN) {
		unsigned char *batch = context->arena + operation->input;
		struct fixar_batch_layout at;

		fake.trainings++;
		fixar_batch_layout(operation->count, config.observation_dim, config.action_dim, &at);
		error = step_train(agent,
				   &(struct step_batch){
					   .size = operation->count,
					   .observation = (int32_t *)(void *)(batch + at.observation),
					   .action = (int32_t *)(void *)(batch + at.action),
					   .reward = (int32_t *)(void *)(batch + at.reward),
					   .next_observation = (int32_t *)(void *)(batch + at.next_observation),
					   .terminal = batch + at.terminal,
				   },
				   &exact);
	} else if (!error && operation->type == DRM_FIXAR_OP_READ_RANGES) {
		struct step_range unused[2 * STEP_MAX_LAYERS * STEP_CLASSES];

		step_read_ranges(agent, unused);
	}
	step_agent_destroy(agent);
	if (error)
		return fake_fault(context, DRM_FIXAR_FAULT_CORE, 6, 0);
	if (operation->statistics) {
		memset(statistics, 0, sizeof(*statistics));
		statistics->loss_sum = exact.loss_sum;
		statistics->q_sum = (uint64_t)exact.q_sum;
		memcpy(statistics->saturation, exact.saturation, sizeof(exact.saturation));
		statistics->cycles = 12345;
	}
	return 0;
}

static inline int fake_job(const struct drm_fixar_job *job, uint32_t index)
{
	struct fake_context *context = &fake.context[job->ctx];

	if (job->ctx >= FAKE_CONTEXTS || !context->arena)
		return -ENOENT;
	/* Jobs run in the order of the array here; a program may not rely on it. */
	if (index && !(job->depends & 1u << (index - 1)))
		return -EINVAL;
	if (context->how.state)
		return context->how.state == DRM_FIXAR_CTX_LOST ? -ESTALE : -EIO;
	for (uint32_t i = 0; i < job->operations.count; i++) {
		const unsigned char *at =
			(const unsigned char *)(uintptr_t)job->operations.array + (size_t)i * job->operations.stride;

		if (job->queue == DRM_FIXAR_QUEUE_CORE) {
			const struct drm_fixar_operation *operation = (const void *)at;

			if (operation->input % 64 || operation->output % 64 || operation->statistics % 64)
				return -EINVAL;
			if (fake_operate(context, operation))
				return 0;
		} else {
			const struct drm_fixar_copy *copy = (const void *)at;

			if (copy->bo >= FAKE_BUFFERS || !fake.buffer[copy->bo].program)
				return -ENOENT;
			if (copy->bo_offset + copy->size > fake.buffer[copy->bo].bytes ||
			    copy->arena_offset + copy->size > context->bytes)
				return -ERANGE;
			fake_copy(context, copy, job->queue == DRM_FIXAR_QUEUE_C2H);
		}
	}
	return 0;
}

static inline int fake_submit(const struct drm_fixar_submit *submit)
{
	const struct drm_fixar_job *jobs = (const void *)(uintptr_t)submit->jobs.array;
	struct fake_context *context = &fake.context[jobs[0].ctx];

	if (!submit->jobs.count || submit->jobs.stride != sizeof(*jobs) ||
	    !jobs[submit->jobs.count - 1].out_syncs.count)
		return -EINVAL;
	if (context->how.state)
		return context->how.state == DRM_FIXAR_CTX_LOST ? -ESTALE : -EIO;
	fake.submissions++;
	if (fake.submissions == fake.fail_at) {
		fake.fail_at += fake.fail_every;
		if (!fake.fail_state) {
			fake.gone = 1;
			return 0;
		}
		context->how.state = fake.fail_state;
		context->how.fault = fake.fail_fault;
		return 0;
	}
	for (uint32_t i = 0; i < submit->jobs.count; i++) {
		int error = fake_job(&jobs[i], i);

		if (error)
			return error;
	}
	return 0;
}

/* ---- Ioctls ---- */

static inline int fake_create_buffer(int fd, struct drm_fixar_bo_create *create)
{
	for (uint32_t i = 1; i < FAKE_BUFFERS; i++) {
		struct fake_buffer *buffer = &fake.buffer[i];

		if (buffer->program)
			continue;
		create->size = (create->size + 4095) / 4096 * 4096;
		create->mmap_offset = fake.node_bytes;
		fake.node_bytes += create->size;
		if (ftruncate(fd, (off_t)fake.node_bytes))
			return -errno;
		buffer->program =
			mmap(NULL, create->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)create->mmap_offset);
		buffer->card = calloc(1, create->size);
		buffer->bytes = create->size;
		create->handle = i;
		return 0;
	}
	return -ENOSPC;
}

static inline uint64_t fake_free(void)
{
	uint64_t used = 0;

	for (int i = 0; i < FAKE_CONTEXTS; i++)
		used += fake.context[i].arena ? fake.context[i].bytes : 0;
	return fake.info.memory_bytes - used;
}

static inline int fake_create_context(struct drm_fixar_ctx_create *create)
{
	const uint64_t bytes = (create->size + FAKE_GRANULE - 1) / FAKE_GRANULE * FAKE_GRANULE;

	if (bytes > fake_free())
		return -ENOSPC;
	for (uint32_t i = 1; i < FAKE_CONTEXTS; i++) {
		if (fake.context[i].arena)
			continue;
		fake.context[i] = (struct fake_context){ .arena = aligned_alloc(4096, bytes), .bytes = bytes };
		if (!fake.context[i].arena)
			return -ENOMEM;
		memset(fake.context[i].arena, 0, bytes);
		create->handle = i;
		create->size = bytes;
		return 0;
	}
	return -ENOSPC;
}

static inline int fake_query(struct drm_fixar_query *query)
{
	struct drm_fixar_query_memory memory = { .total = fake.info.memory_bytes,
						 .free = fake_free(),
						 .largest = fake_free() };
	const void *answer = query->type == DRM_FIXAR_QUERY_DEVICE ? (const void *)&fake.info : &memory;
	const uint32_t bytes = query->type == DRM_FIXAR_QUERY_DEVICE ? sizeof(fake.info) : sizeof(memory);

	memcpy((void *)(uintptr_t)query->data, answer, query->size < bytes ? query->size : bytes);
	query->size = bytes;
	return 0;
}

static inline int fake_ioctl(int fd, unsigned long request, void *argument)
{
	if (fake.gone)
		return -ENODEV;
	switch (request) {
	case DRM_IOCTL_FIXAR_QUERY:
		return fake_query(argument);
	case DRM_IOCTL_FIXAR_BO_CREATE:
		return fake_create_buffer(fd, argument);
	case DRM_IOCTL_FIXAR_BO_PREP: {
		const struct fake_buffer *buffer = &fake.buffer[((struct drm_fixar_bo_prep *)argument)->handle];

		memcpy(buffer->program, buffer->card, buffer->bytes);
		return 0;
	}
	case DRM_IOCTL_FIXAR_BO_FINI: {
		const struct fake_buffer *buffer = &fake.buffer[((struct drm_fixar_bo_fini *)argument)->handle];

		memcpy(buffer->card, buffer->program, buffer->bytes);
		return 0;
	}
	case DRM_IOCTL_FIXAR_CTX_CREATE:
		return fake_create_context(argument);
	case DRM_IOCTL_FIXAR_CTX_DESTROY: {
		struct fake_context *context = &fake.context[((struct drm_fixar_ctx_destroy *)argument)->handle];

		free(context->arena);
		memset(context, 0, sizeof(*context));
		return 0;
	}
	case DRM_IOCTL_FIXAR_CTX_SET_MODE:
		fake.context[((struct drm_fixar_ctx_mode *)argument)->handle].mode =
			((struct drm_fixar_ctx_mode *)argument)->mode;
		return 0;
	case DRM_IOCTL_FIXAR_CTX_QUERY: {
		struct drm_fixar_ctx_query *query = argument;
		const uint32_t handle = query->handle;

		*query = fake.context[handle].how;
		query->handle = handle;
		fake.queries_after_wait += (unsigned)fake.waited;
		fake.waited = 0;
		return 0;
	}
	case DRM_IOCTL_FIXAR_SUBMIT:
		return fake_submit(argument);
	default:
		return -EINVAL;
	}
}

int FAKE(drmIoctl)(int fd, unsigned long request, void *argument);
drmVersionPtr FAKE(drmGetVersion)(int fd);
void FAKE(drmFreeVersion)(drmVersionPtr version);
int FAKE(drmSyncobjCreate)(int fd, uint32_t flags, uint32_t *handle);
int FAKE(drmSyncobjDestroy)(int fd, uint32_t handle);
int FAKE(drmSyncobjWait)(int fd, uint32_t *handles, unsigned count, int64_t timeout, unsigned flags, uint32_t *first);
int FAKE(drmCloseBufferHandle)(int fd, uint32_t handle);

int FAKE(drmIoctl)(int fd, unsigned long request, void *argument)
{
	int error = fake_ioctl(fd, request, argument);

	errno = -error;
	return error ? -1 : 0;
}

drmVersionPtr FAKE(drmGetVersion)(int fd)
{
	static drmVersion version;
	static char name[32];

	(void)fd;
	if (!fake.is_drm)
		return NULL;
	snprintf(name, sizeof(name), "%s", fake.name);
	version = (drmVersion){ .version_major = fake.major, .name = name, .name_len = (int)strlen(name) };
	return &version;
}

void FAKE(drmFreeVersion)(drmVersionPtr version)
{
	(void)version;
}

int FAKE(drmSyncobjCreate)(int fd, uint32_t flags, uint32_t *handle)
{
	(void)fd;
	(void)flags;
	*handle = ++fake.syncobjs;
	return 0;
}

int FAKE(drmSyncobjDestroy)(int fd, uint32_t handle)
{
	(void)fd;
	(void)handle;
	return 0;
}

int FAKE(drmSyncobjWait)(int fd, uint32_t *handles, unsigned count, int64_t timeout, unsigned flags, uint32_t *first)
{
	(void)fd;
	(void)handles;
	(void)count;
	(void)timeout;
	(void)flags;
	(void)first;
	fake.waits++;
	fake.waited = 1;
	return 0;
}

int FAKE(drmCloseBufferHandle)(int fd, uint32_t handle)
{
	struct fake_buffer *buffer = &fake.buffer[handle];

	(void)fd;
	munmap(buffer->program, buffer->bytes);
	free(buffer->card);
	memset(buffer, 0, sizeof(*buffer));
	return 0;
}

#endif /* FIXAR_SELFTESTS_LIB_CARD_FAKE_H */
