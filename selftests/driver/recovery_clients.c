// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three clients of one card, each with an agent: for tests that make the card fail meanwhile (selftests/card).
 *
 *	recovery_clients ROUNDS
 *
 * A round is one submission: a batch goes up, the core trains on it, statistics come down. After the last round the whole
 * arena comes down. Each client prints one line:
 *
 *	CLIENT 1 rounds=20 submit=0 wait=0 fence=0 query=0 state=0 fault=0 core_error=0 dma_status=0 queue=0 operation=0 crc=1234abcd
 *
 * with the first error of each kind, and the CRC of arena and statistics if it came to the end. The same rounds give the
 * same CRC: batches and first states follow from the client's number alone.
 */
#define _GNU_SOURCE
#include "fixar_lib.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 3
#define ARENA (256u << 10)
#define OBSERVATION 3
#define ACTION 1
#define HIDDEN 2
#define WIDTH 16
#define BATCH 16
#define LAYERS (HIDDEN + 1)

/* The agent's state: HARDWARE.md, section 8. */
#define STATE 4096
#define BATCH_AT (128u << 10)
#define STATISTICS_AT (192u << 10)
#define STATISTICS 128

static uint64_t up64(uint64_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static uint64_t put(uint8_t *arena, uint64_t *at, const void *data, uint64_t bytes)
{
	const uint64_t here = *at;

	if (data)
		memcpy(arena + here, data, bytes);
	*at += up64(bytes);
	return here;
}

/* Inputs and outputs of a layer of the actor (0) or the critic (1). */
static void shape(int network, int layer, uint32_t *inputs, uint32_t *outputs)
{
	*inputs = layer ? WIDTH : OBSERVATION + (network ? ACTION : 0);
	*outputs = layer < HIDDEN ? WIDTH : network ? 1 : ACTION;
}

/* A fresh agent: small weights, moments 0, targets as the networks. */
static void agent(uint8_t *arena, uint64_t seed)
{
	uint32_t header[64] = { 0x47415846, 3, 256, STATE };
	const uint64_t one[4] = { 1ULL << 62, 1ULL << 62, 1ULL << 62, 1ULL << 62 };
	int32_t quantizers[2 * LAYERS][3][3];
	uint64_t weights[2][LAYERS], biases[2][LAYERS];
	uint64_t at = STATE, state = seed * 7919 + 1, i, elements;
	uint32_t inputs, outputs;
	int32_t value;
	int network, layer;

	memset(arena, 0, ARENA);
	for (layer = 0; layer < 2 * LAYERS; layer++) {
		const int32_t entry[3][3] = { { 16, 8, layer % LAYERS == 0 }, { 32, 26, 1 }, { 32, 24, 1 } };

		memcpy(quantizers[layer], entry, sizeof(entry));
	}
	put(arena, &at, NULL, 8);
	put(arena, &at, NULL, 80);
	put(arena, &at, one, sizeof(one));
	put(arena, &at, NULL, 8);
	put(arena, &at, NULL, 4 * ACTION);
	put(arena, &at, quantizers, sizeof(quantizers));
	put(arena, &at, NULL, 2 * LAYERS * 3 * 2 * 4);
	for (network = 0; network < 2; network++) {
		for (layer = 0; layer < LAYERS; layer++) {
			shape(network, layer, &inputs, &outputs);
			elements = (uint64_t)inputs * outputs;
			weights[network][layer] = put(arena, &at, NULL, 4 * elements);
			for (i = 0; i < elements; i++) {
				/* Fraction 26: within +-0.25. */
				value = (int32_t)(fixar_random(&state) % (1u << 25)) - (1 << 24);
				memcpy(arena + weights[network][layer] + 4 * i, &value, 4);
			}
			put(arena, &at, NULL, 4 * elements);
			put(arena, &at, NULL, 4 * elements);
			biases[network][layer] = put(arena, &at, NULL, 4 * outputs);
			put(arena, &at, NULL, 4 * outputs);
			put(arena, &at, NULL, 4 * outputs);
		}
	}
	for (network = 0; network < 2; network++) {
		for (layer = 0; layer < LAYERS; layer++) {
			shape(network, layer, &inputs, &outputs);
			put(arena, &at, arena + weights[network][layer], 4 * (uint64_t)inputs * outputs);
			put(arena, &at, arena + biases[network][layer], 4 * (uint64_t)outputs);
		}
	}
	put(arena, &at, NULL, 4 * 3 * LAYERS);	/* gradient_maxima */
	header[4] = (uint32_t)(at - STATE);
	header[6] = (uint32_t)seed;
	header[8] = OBSERVATION;
	header[9] = ACTION;
	header[10] = BATCH;
	header[11] = HIDDEN;
	for (i = 0; i < HIDDEN; i++)
		header[12 + i] = WIDTH;
	memcpy(arena, header, sizeof(header));
}

static uint64_t batch_bytes(void)
{
	return 2 * up64(4 * BATCH * OBSERVATION) + up64(4 * BATCH * ACTION) + up64(4 * BATCH) + up64(BATCH);
}

/* Numbers within +-4, fraction 18; the last samples end an episode now and then. */
static void batch(uint8_t *bytes, uint64_t *state)
{
	const uint64_t size = batch_bytes();
	uint64_t i;
	int32_t value;

	for (i = 0; i < size - up64(BATCH); i += 4) {
		value = (int32_t)(fixar_random(state) % (1u << 21)) - (1 << 20);
		memcpy(bytes + i, &value, 4);
	}
	for (i = 0; i < BATCH; i++)
		bytes[size - up64(BATCH) + i] = fixar_random(state) % 8 == 0;
}

struct ending {
	unsigned int rounds;
	int submit, wait, fence, query;
	uint32_t crc;
};

static int round_of(int fd, uint32_t ctx, uint32_t bo, uint32_t sync, struct ending *ending, bool first)
{
	struct drm_fixar_copy all = { .bo = bo, .size = ARENA };
	struct drm_fixar_copy up = { .bo = bo, .bo_offset = BATCH_AT, .arena_offset = BATCH_AT, .size = batch_bytes() };
	struct drm_fixar_copy down = { .bo = bo, .bo_offset = STATISTICS_AT, .arena_offset = STATISTICS_AT, .size = STATISTICS };
	struct drm_fixar_operation operations[2] = {
		{ .type = first ? DRM_FIXAR_OP_RELOAD : DRM_FIXAR_OP_NOP },
		{ .type = DRM_FIXAR_OP_TRAIN, .count = BATCH, .input = BATCH_AT, .statistics = STATISTICS_AT },
	};
	struct drm_fixar_sync out = { .handle = sync };
	struct drm_fixar_job jobs[3] = {
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_H2C,
		  .operations = first ? ARRAY_OF(&all, 1) : ARRAY_OF(&up, 1) },
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(operations, 2), .depends = 1 },
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_C2H, .operations = ARRAY_OF(&down, 1), .depends = 2,
		  .out_syncs = ARRAY_OF(&out, 1) },
	};
	int file;

	ending->submit = fixar_submit(fd, jobs, 3);
	if (ending->submit)
		return ending->submit;
	ending->wait = fixar_sync_wait(fd, sync, 10 * FIXAR_PATIENCE);
	if (ending->wait)
		return ending->wait;
	file = fixar_sync_to_file(fd, sync);
	if (file >= 0) {
		ending->fence = fixar_sync_file_status(file);
		close(file);
		ending->fence = ending->fence < 0 ? ending->fence : 0;
	}
	return ending->fence;
}

static void client(unsigned int number, unsigned int rounds)
{
	struct drm_fixar_ctx_query query = {};
	struct ending ending = {};
	struct fixar_buffer buffer = {};
	uint64_t state = number + 1;
	uint32_t ctx = 0, sync = 0;
	int fd = fixar_open_node();
	int ret = fd < 0 ? fd : 0;
	char state_text[16] = "gone";

	if (!ret)
		ret = fixar_context_create(fd, ARENA, &ctx);
	if (!ret)
		ret = fixar_buffer_create(fd, ARENA, &buffer);
	if (!ret)
		ret = fixar_sync_create(fd, &sync);
	if (ret)
		ending.submit = ret;
	else
		agent(buffer.map, number);
	for (; !ret && ending.rounds < rounds; ending.rounds++) {
		ret = fixar_buffer_prep(fd, buffer.handle, DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE, INT64_MAX);
		if (ret) {
			ending.wait = ret;
			break;
		}
		/* What each step said, too, is a part of the result; but for the cycles that it took. */
		memset(buffer.map + STATISTICS_AT + 104, 0, 8);
		ending.crc ^= fixar_crc(buffer.map + STATISTICS_AT, STATISTICS) + ending.rounds;
		batch(buffer.map + BATCH_AT, &state);
		fixar_buffer_fini(fd, buffer.handle, DRM_FIXAR_BO_WRITE);
		ret = round_of(fd, ctx, buffer.handle, sync, &ending, !ending.rounds);
	}
	if (!ret) {
		ret = fixar_copy_wait(fd, ctx, DRM_FIXAR_QUEUE_C2H, buffer.handle, 0, 0, ARENA);
		if (!ret)
			ret = fixar_buffer_prep(fd, buffer.handle, DRM_FIXAR_BO_READ, INT64_MAX);
		ending.wait = ret;
		memset(buffer.map + STATISTICS_AT + 104, 0, 8);
		ending.crc ^= fixar_crc(buffer.map, ARENA);
	}
	/* A wait for a copy that failed succeeds, too: the context says whether the bytes are its. */
	if (ctx) {
		ending.query = fixar_context_query(fd, ctx, &query);
		if (!ending.query)
			snprintf(state_text, sizeof(state_text), "%u", query.state);
		if (!ret)
			ret = ending.query || query.state ? -EIO : 0;
	}
	printf("CLIENT %u rounds=%u submit=%d wait=%d fence=%d query=%d state=%s fault=%u core_error=%u dma_status=%#x queue=%u operation=%u "
	       "crc=%08x\n", number, ending.rounds, ending.submit, ending.wait, ending.fence, ending.query, state_text, query.fault,
	       query.core_error, query.dma_status, query.fault_queue, query.fault_operation, ret ? 0 : ending.crc);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const unsigned int rounds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 20;
	unsigned int i;
	int status, bad = 0;

	for (i = 0; i < CLIENTS; i++) {
		if (!fork()) {
			client(i, rounds);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}
