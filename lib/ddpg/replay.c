// SPDX-License-Identifier: MIT
/*
 * The replay memory in memory: a ring of records.
 *
 * A record lies in one piece, because a draw takes all of it; and it lies as in the file, so that a save is a write().
 * The mapping doubles as the ring fills. mremap() moves pages, not bytes, so growing costs next to nothing.
 */
#include "ddpg/replay_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_SLOTS 1024
#define SEGMENT_MINIMUM 1024
#define SEGMENT_MAXIMUM 65536
#define PAGE ((size_t)4096)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written as they lie in memory");

/*
 * A sixteenth of the ring: what is overwritten goes away in good time, and the files of a ring are few. It is part of
 * the checkpoint, so the rule may change.
 */
static uint32_t segment_of(uint64_t capacity)
{
	uint64_t segment = capacity / 16;

	if (segment < SEGMENT_MINIMUM)
		segment = SEGMENT_MINIMUM;
	return segment > SEGMENT_MAXIMUM ? SEGMENT_MAXIMUM : (uint32_t)segment;
}

int replay_create(const struct replay_config *config, struct replay **replay)
{
	struct replay *r;

	*replay = NULL;
	if (!config->observation_dim || config->observation_dim > REPLAY_MAX_DIM || !config->action_dim ||
	    config->action_dim > REPLAY_MAX_DIM || !config->capacity || config->capacity > REPLAY_MAX_CAPACITY ||
	    config->segment > REPLAY_MAX_SEGMENT)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->config = *config;
	if (!r->config.segment)
		r->config.segment = segment_of(config->capacity);
	r->record = 4 * (2 * (size_t)config->observation_dim + config->action_dim + 2);
	*replay = r;
	return 0;
}

void replay_destroy(struct replay *replay)
{
	if (!replay)
		return;
	replay_forget_directory(replay);
	if (replay->records)
		munmap(replay->records, replay->mapped);
	free(replay);
}

uint64_t replay_count(const struct replay *replay)
{
	return replay->total < replay->config.capacity ? replay->total : replay->config.capacity;
}

uint64_t replay_total(const struct replay *replay)
{
	return replay->total;
}

int replay_reserve(struct replay *replay, uint64_t slots)
{
	size_t needed, wanted, limit;
	void *records;

	if (__builtin_mul_overflow(slots, replay->record, &needed) || needed > SIZE_MAX / 4)
		return -ENOMEM;
	if (needed <= replay->mapped)
		return 0;
	wanted = replay->mapped ? replay->mapped * 2 : FIRST_SLOTS * replay->record;
	/* Not more than the whole ring. */
	if (!__builtin_mul_overflow(replay->config.capacity, replay->record, &limit) && wanted > limit)
		wanted = limit;
	if (wanted < needed)
		wanted = needed;
	wanted = (wanted + PAGE - 1) / PAGE * PAGE;
	if (replay->records)
		records = mremap(replay->records, replay->mapped, wanted, MREMAP_MAYMOVE);
	else
		records = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (records == MAP_FAILED)
		return -ENOMEM;
	replay->records = records;
	replay->mapped = wanted;
	return 0;
}

static int all_finite(const unsigned char *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		float value;

		memcpy(&value, values + 4 * i, 4);
		if (!isfinite(value))
			return 0;
	}
	return 1;
}

int replay_record_check(const struct replay *replay, const unsigned char *record)
{
	size_t observation = replay->config.observation_dim, action = replay->config.action_dim;
	uint32_t terminal;

	memcpy(&terminal, record + replay->record - 4, 4);
	if (!all_finite(record, observation) || !all_finite(record + 4 * (observation + action), 1 + observation) ||
	    terminal > 1)
		return -EDOM;
	return 0;
}

int replay_append(struct replay *replay, const float *observation, const int32_t *action, float reward,
		  const float *next_observation, int terminal)
{
	uint64_t slot = replay->total % replay->config.capacity;
	size_t observation_bytes = 4 * (size_t)replay->config.observation_dim;
	size_t action_bytes = 4 * (size_t)replay->config.action_dim;
	uint32_t flag = terminal ? 1 : 0;
	unsigned char *at;
	int error;

	if (!all_finite((const unsigned char *)observation, replay->config.observation_dim) || !isfinite(reward) ||
	    !all_finite((const unsigned char *)next_observation, replay->config.observation_dim))
		return -EDOM;
	error = replay_reserve(replay, slot + 1);
	if (error)
		return error;
	at = replay->records + slot * replay->record;
	memcpy(at, observation, observation_bytes);
	at += observation_bytes;
	memcpy(at, action, action_bytes);
	at += action_bytes;
	memcpy(at, &reward, 4);
	at += 4;
	memcpy(at, next_observation, observation_bytes);
	at += observation_bytes;
	memcpy(at, &flag, 4);
	replay->total++;
	return 0;
}

void replay_gather(const struct replay *replay, uint32_t n, const uint64_t *slots, const struct replay_batch *batch)
{
	size_t observation_dim = replay->config.observation_dim, action_dim = replay->config.action_dim;

	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *at = replay->records + slots[i] * replay->record;
		uint32_t terminal;

		memcpy(batch->observation + i * observation_dim, at, 4 * observation_dim);
		at += 4 * observation_dim;
		memcpy(batch->action + i * action_dim, at, 4 * action_dim);
		at += 4 * action_dim;
		memcpy(batch->reward + i, at, 4);
		at += 4;
		memcpy(batch->next_observation + i * observation_dim, at, 4 * observation_dim);
		at += 4 * observation_dim;
		memcpy(&terminal, at, 4);
		batch->terminal[i] = (uint8_t)terminal;
	}
}
