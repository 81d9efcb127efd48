// SPDX-License-Identifier: MIT
/*
 * Contexts, buffers and round trips. A round trip is one SUBMIT of up to three jobs, copies to the card, operations,
 * copies from it, each depending on the one before; their order is the card's affair, and this thread sleeps once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>

#include "device/card.h"
#include "hw/fixar_regs.h"

/* ---- Buffers ---- */

int card_buffer_create(const struct card *card, uint64_t bytes, struct card_buffer *buffer)
{
	struct drm_fixar_bo_create create = { .size = bytes };
	int error = card_ioctl(card, DRM_IOCTL_FIXAR_BO_CREATE, &create);
	void *map;

	memset(buffer, 0, sizeof(*buffer));
	if (error)
		return error;
	buffer->handle = create.handle;
	buffer->bytes = create.size;
	map = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, card->fd, (off_t)create.mmap_offset);
	if (map == MAP_FAILED) {
		error = -errno;
		card_buffer_destroy(card, buffer);
		return error;
	}
	buffer->map = map;
	return 0;
}

void card_buffer_destroy(const struct card *card, struct card_buffer *buffer)
{
	if (buffer->map)
		munmap(buffer->map, buffer->bytes);
	if (buffer->handle)
		drmCloseBufferHandle(card->fd, buffer->handle);
	memset(buffer, 0, sizeof(*buffer));
}

int card_buffer_take(const struct card *card, const struct card_buffer *buffer)
{
	struct drm_fixar_bo_prep prep = {
		.handle = buffer->handle,
		.flags = DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE,
		.timeout_ns = INT64_MAX,
	};

	return card_ioctl(card, DRM_IOCTL_FIXAR_BO_PREP, &prep);
}

int card_buffer_give(const struct card *card, const struct card_buffer *buffer)
{
	struct drm_fixar_bo_fini fini = {
		.handle = buffer->handle,
		.flags = DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE,
	};

	return card_ioctl(card, DRM_IOCTL_FIXAR_BO_FINI, &fini);
}

/* ---- Contexts ---- */

int card_context_create(const struct card *card, uint64_t bytes, struct card_context *context)
{
	struct drm_fixar_ctx_create create = { .size = bytes };
	int error;

	memset(context, 0, sizeof(*context));
	context->card = card;
	error = drmSyncobjCreate(card->fd, 0, &context->syncobj);
	if (error)
		return -errno;
	error = card_ioctl(card, DRM_IOCTL_FIXAR_CTX_CREATE, &create);
	if (error) {
		card_context_destroy(context);
		return error;
	}
	context->handle = create.handle;
	context->bytes = create.size;
	return 0;
}

void card_context_destroy(struct card_context *context)
{
	struct drm_fixar_ctx_destroy destroy = { .handle = context->handle };

	if (!context->card)
		return;
	if (context->handle)
		card_ioctl(context->card, DRM_IOCTL_FIXAR_CTX_DESTROY, &destroy);
	if (context->syncobj)
		drmSyncobjDestroy(context->card->fd, context->syncobj);
	memset(context, 0, sizeof(*context));
}

void card_mode(const struct step_mode *mode, const struct step_hyperparameters *hyper, struct drm_fixar_mode *registers)
{
	_Static_assert((int)DRM_FIXAR_PARALLELISM_AUTO == (int)STEP_PARALLELISM_AUTO, "parallelism");
	_Static_assert((int)DRM_FIXAR_PARALLELISM_LAYER == (int)STEP_INTRA_LAYER, "parallelism");
	_Static_assert((int)DRM_FIXAR_PARALLELISM_BATCH == (int)STEP_INTRA_BATCH, "parallelism");
	_Static_assert((int)DRM_FIXAR_NOISE_NONE == (int)STEP_NOISE_NONE, "noise");
	_Static_assert((int)DRM_FIXAR_NOISE_GAUSSIAN == (int)STEP_NOISE_GAUSSIAN, "noise");
	_Static_assert((int)DRM_FIXAR_NOISE_OU == (int)STEP_NOISE_OU, "noise");
	_Static_assert(DRM_FIXAR_OP_EXPLORE == STEP_ACT_EXPLORE && DRM_FIXAR_OP_RESET_NOISE == STEP_ACT_RESET_NOISE,
		       "flags of ACT");

	*registers = (struct drm_fixar_mode){
		.precision = mode->quantized ? DRM_FIXAR_PRECISION_QUANTIZED : DRM_FIXAR_PRECISION_FULL,
		.quantization = mode->observe ? DRM_FIXAR_QUANTIZATION_OBSERVE : 0,
		.parallelism = mode->parallelism,
		.noise = mode->noise,
		.noise_sigma = (uint32_t)mode->noise_sigma,
		.noise_theta = (uint32_t)mode->noise_theta,
		.discount = (uint32_t)hyper->discount,
		.tau = hyper->tau,
		.beta1 = hyper->beta1,
		.one_minus_beta2 = hyper->one_minus_beta2,
	};
	for (int n = 0; n < STEP_NETWORKS; n++) {
		registers->rate_mantissa[n] = hyper->rate_mantissa[n];
		registers->rate_exponent[n] = hyper->rate_exponent[n];
		registers->gradient_scale[n] = hyper->gradient_scale[n];
	}
}

int card_context_set_mode(const struct card_context *context, const struct drm_fixar_mode *mode)
{
	struct drm_fixar_ctx_mode set = { .handle = context->handle, .mode = *mode };

	return card_ioctl(context->card, DRM_IOCTL_FIXAR_CTX_SET_MODE, &set);
}

/* ---- What became of a context ---- */

static const char *core_error_name(uint32_t code)
{
	static const char *const names[FIXAR_ERRORS] = {
		[FIXAR_ERROR_NONE] = "none",
		[FIXAR_ERROR_SEQUENCE] = "SEQUENCE",
		[FIXAR_ERROR_OPCODE] = "OPCODE",
		[FIXAR_ERROR_COMMAND] = "COMMAND",
		[FIXAR_ERROR_MODE] = "MODE: a mode register is out of range",
		[FIXAR_ERROR_HEADER] = "HEADER: the agent's shape or size",
		[FIXAR_ERROR_TABLE] = "TABLE: a quantizer is out of range",
		[FIXAR_ERROR_CAPACITY] = "CAPACITY: the networks do not fit the core's memories",
		[FIXAR_ERROR_BATCH] = "BATCH: larger than the agent was made for",
		[FIXAR_ERROR_OFFSET] = "OFFSET",
		[FIXAR_ERROR_WINDOW] = "WINDOW",
		[FIXAR_ERROR_READ] = "READ: card memory did not answer",
		[FIXAR_ERROR_WRITE] = "WRITE: card memory did not answer",
		[FIXAR_ERROR_ECC] = "ECC: card memory lost bits",
		[FIXAR_ERROR_INTERNAL] = "INTERNAL",
	};

	return code < FIXAR_ERRORS ? names[code] : "unknown";
}

static void describe_fault(const struct drm_fixar_ctx_query *query, char *message, size_t message_size)
{
	static const char *const queue[] = { "host to card", "card to host", "core" };
	const char *where = query->fault_queue < 3 ? queue[query->fault_queue] : "?";

	switch (query->fault) {
	case DRM_FIXAR_FAULT_CORE:
		snprintf(message, message_size,
			 "the core refused or failed operation %u: error %u (%s) at offset %#llx",
			 query->fault_operation, query->core_error, core_error_name(query->core_error),
			 (unsigned long long)query->fault_offset);
		return;
	case DRM_FIXAR_FAULT_TIMEOUT:
		snprintf(message, message_size, "the card made no progress (%s), and was reset", where);
		return;
	case DRM_FIXAR_FAULT_RESET:
		snprintf(message, message_size, "the card was reset while it worked for this agent");
		return;
	case DRM_FIXAR_FAULT_COPY:
		snprintf(message, message_size, "a copy failed (%s): DMA status %#x at offset %#llx", where,
			 query->dma_status, (unsigned long long)query->fault_offset);
		return;
	default:
		snprintf(message, message_size, "fault %u", query->fault);
	}
}

int card_context_check(const struct card_context *context, struct drm_fixar_ctx_query *query, char *message,
		       size_t message_size)
{
	struct drm_fixar_ctx_query own;
	int error;

	if (!query)
		query = &own;
	*query = (struct drm_fixar_ctx_query){ .handle = context->handle };
	error = card_ioctl(context->card, DRM_IOCTL_FIXAR_CTX_QUERY, query);
	if (error == -ENODEV)
		snprintf(message, message_size, "the card is gone");
	else if (error)
		snprintf(message, message_size, "the context cannot be asked: %s", log_errno(error));
	if (error)
		return error;
	switch (query->state) {
	case DRM_FIXAR_CTX_OK:
		return 0;
	case DRM_FIXAR_CTX_LOST:
		snprintf(message, message_size, "the card's memory lost its contents, and this agent with them");
		return -ESTALE;
	default:
		describe_fault(query, message, message_size);
		return -EIO;
	}
}

/* ---- Round trips ---- */

/* The buffers of a round, each once. */
static uint32_t collect_buffers(const struct card_round *round, const struct card_buffer *buffers[2 * CARD_COPIES])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < round->up_count + round->down_count; i++) {
		const struct card_copy *copy = i < round->up_count ? &round->up[i] : &round->down[i - round->up_count];
		uint32_t known = 0;

		while (known < count && buffers[known] != copy->buffer)
			known++;
		if (known == count)
			buffers[count++] = copy->buffer;
	}
	return count;
}

static struct drm_fixar_array array(const void *elements, size_t stride, uint32_t count)
{
	return (struct drm_fixar_array){ .stride = (uint32_t)stride, .count = count, .array = (uintptr_t)elements };
}

static void fill_copies(struct drm_fixar_copy *to, const struct card_copy *from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		to[i] = (struct drm_fixar_copy){
			.bo = from[i].buffer->handle,
			.bo_offset = from[i].buffer_offset,
			.arena_offset = from[i].arena_offset,
			.size = from[i].bytes,
		};
}

static void add_job(struct drm_fixar_job *jobs, uint32_t *count, const struct card_context *context, uint32_t queue,
		    struct drm_fixar_array operations, const uint32_t *channel)
{
	if (!operations.count)
		return;
	jobs[*count] = (struct drm_fixar_job){
		.ctx = context->handle,
		.queue = queue,
		.channel = channel ? *channel : 0,
		.flags = channel ? DRM_FIXAR_JOB_CHANNEL : 0,
		.depends = *count ? 1u << (*count - 1) : 0,
		.operations = operations,
	};
	++*count;
}

static int submit(const struct card_context *context, const struct card_round *round)
{
	struct drm_fixar_copy up[CARD_COPIES], down[CARD_COPIES];
	struct drm_fixar_sync end = { .handle = context->syncobj };
	struct drm_fixar_job jobs[3];
	struct drm_fixar_submit submit = { .flags = 0 };
	uint32_t count = 0;

	fill_copies(up, round->up, round->up_count);
	fill_copies(down, round->down, round->down_count);
	add_job(jobs, &count, context, DRM_FIXAR_QUEUE_H2C, array(up, sizeof(up[0]), round->up_count), round->channel);
	add_job(jobs, &count, context, DRM_FIXAR_QUEUE_CORE,
		array(round->operation, sizeof(round->operation[0]), round->operation_count), NULL);
	add_job(jobs, &count, context, DRM_FIXAR_QUEUE_C2H, array(down, sizeof(down[0]), round->down_count),
		round->channel);
	if (!count)
		return -EINVAL;
	jobs[count - 1].out_syncs = array(&end, sizeof(end), 1);
	submit.jobs = array(jobs, sizeof(jobs[0]), count);
	return card_ioctl(context->card, DRM_IOCTL_FIXAR_SUBMIT, &submit);
}

/* The driver ends every job sooner or later, with an error if need be: so there is no limit of our own. */
static int wait_for_end(const struct card_context *context)
{
	uint32_t handle = context->syncobj;
	int result = drmSyncobjWait(context->card->fd, &handle, 1, INT64_MAX, 0, NULL);

	return result < 0 ? result : 0;
}

int card_run(struct card_context *context, const struct card_round *round)
{
	const struct card_buffer *buffers[2 * CARD_COPIES];
	const uint32_t count = collect_buffers(round, buffers);
	char unused[8];
	int error = 0;

	for (uint32_t i = 0; i < count && !error; i++)
		error = card_buffer_give(context->card, buffers[i]);
	if (!error)
		error = submit(context, round);
	if (!error)
		error = wait_for_end(context);
	if (error)
		return error;
	/* A wait for a job that failed succeeds: only the context knows. */
	error = card_context_check(context, NULL, unused, sizeof(unused));
	for (uint32_t i = 0; i < count && !error; i++)
		error = card_buffer_take(context->card, buffers[i]);
	return error;
}
