/* SPDX-License-Identifier: MIT */
/*
 * The copy of an arena's state on the chip, and computing on it. What a command changes is written through, so that
 * card memory always holds the state (HARDWARE.md section 8). Belongs to the core's thread.
 */
#ifndef FIXAR_EMU_CORE_AGENT_H
#define FIXAR_EMU_CORE_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pe/array.h"
#include "step/step.h"

struct card;
struct core_command;

struct core_agent {
	struct step_config config; /* batch_max is the header's */
	struct step_tensor *tensors;
	size_t tensor_count;
	uint64_t state_bytes, head_bytes; /* the head: the tensors before the first weight */
	unsigned char *state;
	struct step_agent *step;
	uint32_t capacity; /* samples that `step` has scratch memory for */
	struct pe_array array;
	unsigned char *buffer; /* a batch, observations, actions */
	uint64_t buffer_bytes;
};

void core_agent_create(struct core_agent *agent);
void core_agent_destroy(struct core_agent *agent);

/* Loads header and state and checks them, unless the copy is there; then the checks of every command. */
bool core_agent_prepare(struct card *card, struct core_command *command);

/* The commands. False: command->code says why. */
bool core_agent_act(struct card *card, struct core_command *command);
bool core_agent_train(struct card *card, struct core_command *command);
bool core_agent_read_ranges(struct card *card, struct core_command *command);
bool core_agent_reload(struct card *card, struct core_command *command);

/* core_meter.c: an engine that counts what it does in *progress, and does nothing any more once *abort is true. */
const struct pe_engine *core_meter(_Atomic uint32_t *progress, atomic_bool *abort);

#endif /* FIXAR_EMU_CORE_AGENT_H */
