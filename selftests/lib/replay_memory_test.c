// SPDX-License-Identifier: MIT
/*
 * Description: a replay memory takes what lib/ddpg/replay.h says a transition is, as it fills, and nothing beyond: measured by the kernel's
 * count of this process's memory, with the million transitions of the default
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"

#include "ddpg/replay.h"

#define CAPACITY 1000000
#define OBSERVATIONS 17
#define ACTIONS 6
/* lib/ddpg/replay.h: two observations, action, reward, flag, 4 bytes each. */
#define TRANSITION (4 * (2 * OBSERVATIONS + ACTIONS + 2))

/* Sanitizers keep memory of their own beside every byte. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLACK (UINT64_C(9) * TRANSITION * CAPACITY)
#else
#define SLACK (UINT64_C(2) << 20)
#endif

/* Bytes of a line of /proc/self/status, or 0. Neither stdio nor malloc, which would change what is measured. */
static uint64_t status_bytes(const char *name)
{
	char text[8192], *line;
	const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	const ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

	if (file >= 0)
		close(file);
	if (length <= 0)
		return 0;
	text[length] = 0;
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name) + 1, NULL, 10) * 1024 : 0;
}

static int append(struct replay *replay, uint64_t from, uint64_t to)
{
	float observation[OBSERVATIONS] = { 0 }, next[OBSERVATIONS] = { 0 };
	int32_t action[ACTIONS] = { 0 };

	for (uint64_t i = from; i < to; i++) {
		observation[0] = (float)i;
		next[OBSERVATIONS - 1] = (float)i + 1;
		action[0] = (int32_t)i;
		if (replay_append(replay, observation, action, (float)(i % 7), next, i % 1000 == 999))
			return 0;
	}
	return 1;
}

/* Whether the slot holds transition i. */
static int holds(const struct replay *replay, uint64_t slot, uint64_t i)
{
	float observation[OBSERVATIONS], next[OBSERVATIONS], reward;
	int32_t action[ACTIONS];
	uint8_t terminal;
	const struct replay_batch batch = { observation, action, &reward, next, &terminal };

	replay_gather(replay, 1, &slot, &batch);
	return observation[0] == (float)i && next[OBSERVATIONS - 1] == (float)i + 1 && action[0] == (int32_t)i &&
	       reward == (float)(i % 7) && terminal == (i % 1000 == 999);
}

int main(void)
{
	const struct replay_config config = { .observation_dim = OBSERVATIONS, .action_dim = ACTIONS, .capacity = CAPACITY };
	const uint64_t stated = (uint64_t)TRANSITION * CAPACITY;
	const uint64_t before = status_bytes("VmRSS:");
	struct replay *replay = NULL;
	uint64_t some, full;

	ktap_start();
	ktap_ok(before > 0 && !replay_create(&config, &replay), "a replay memory of a million transitions");
	if (!replay)
		return ktap_finish();
	ktap_ok(append(replay, 0, 1000), "a thousand are stored");
	some = status_bytes("VmRSS:") - before;
	ktap_ok(some < stated / 20 + SLACK, "they take %" PRIu64 " KiB, not the memory of a million", some / 1024);
	ktap_ok(append(replay, 1000, CAPACITY), "a million are stored");
	full = status_bytes("VmRSS:") - before;
	ktap_ok(full >= stated - (1 << 20) && full <= stated + SLACK, "they take %" PRIu64 " bytes, %d each, within 2 MiB", full,
		TRANSITION);
	ktap_ok(append(replay, CAPACITY, 2 * (uint64_t)CAPACITY + 10), "as many again, and ten");
	ktap_ok(status_bytes("VmHWM:") - before <= stated + SLACK, "that takes no more, at any time");
	ktap_ok(replay_count(replay) == CAPACITY && holds(replay, 9, 2 * (uint64_t)CAPACITY + 9) && holds(replay, 10, CAPACITY + 10) &&
			holds(replay, CAPACITY - 1, 2 * (uint64_t)CAPACITY - 1),
		"the last million are there");
	replay_destroy(replay);
	ktap_ok(status_bytes("VmRSS:") - before < SLACK, "all of it is given back");
	return ktap_finish();
}
