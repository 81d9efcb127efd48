/* SPDX-License-Identifier: MIT */
/* An arena in card memory, for the parts of fixar conform --raw that need one. */
#ifndef FIXAR_TOOLS_CONFORM_ARENA_H
#define FIXAR_TOOLS_CONFORM_ARENA_H

#include "hw/fixar_arena.h"
#include "raw_memory.h"
#include "step/step.h"

#define ARENA_PLACE (UINT64_C(1) << 20) /* of the window in card memory */
#define ARENA_GUARD 4096u		/* bytes on either side of it that nobody may change */
#define ARENA_TENSORS 128

struct arena {
	struct raw *raw;
	struct raw_memory memory;
	struct step_config config;
	struct step_tensor tensors[ARENA_TENSORS];
	size_t tensor_count;
	uint64_t memory_base, memory_size;
	uint64_t base, limit;		    /* of the window; AXI address, bytes */
	uint64_t state_bytes, end;	    /* of the state; the first offset behind it */
	uint64_t input, output, statistics; /* offsets: of the largest batch, of actions, of statistics */
	unsigned char *image;		    /* header and state; the twin works on the state */
	unsigned char *guard;		    /* what lies before and behind the window */
	struct step_agent *twin;
};

/* Samples as they lie in card memory, and the same as lib/step wants them. */
struct arena_batch {
	unsigned char *bytes;
	uint64_t size;
	struct step_batch step;
};

/* The first word of a field of a command. */
enum arena_field { ARENA_INPUT = 4, ARENA_OUTPUT = 6, ARENA_STATISTICS = 8 };

struct raw_slot arena_command(const struct arena *arena, uint32_t opcode, uint32_t count);
void arena_place(struct raw_slot *slot, enum arena_field field, uint64_t offset);

void arena_window(struct arena *arena, uint64_t base, uint64_t limit);

/* Of these each is 0, and says why in raw->detail, if it is not so. */
int arena_write(struct arena *arena, uint64_t offset, const void *bytes, uint64_t count);
int arena_read(struct arena *arena, uint64_t offset, void *bytes, uint64_t count);
int arena_expect(struct arena *arena, const char *what, uint64_t offset, const void *expected, uint64_t count);
int arena_expect_guards(struct arena *arena);
/* Window and modes, header and state, as they should be. */
int arena_restore(struct arena *arena);

/* The same, and writes a new batch to arena->input. Its bytes are the caller's to free. */
int arena_batch_create(struct arena *arena, uint32_t count, struct arena_batch *batch);

/* conform_busy.c */
void arena_test_busy(struct arena *arena);

/* conform_checks.c: checks 5 to 12 of section 12. */
void arena_test_checks(struct arena *arena);

#endif /* FIXAR_TOOLS_CONFORM_ARENA_H */
