/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An arena: the part of card memory that one context owns and that holds one agent. driver/HARDWARE.md, "The arena".
 *
 *	0			struct fixar_arena_header
 *	FIXAR_ARENA_STATE	the state: step_layout() of lib/step, state_bytes long
 *	behind it		batches, observations, actions, statistics: wherever the commands' offsets say
 *
 * The layout of the state has no second description in C: step_layout() is it, and the core checks that the header's
 * state_bytes is what it finds itself.
 */
#ifndef FIXAR_HW_ARENA_H
#define FIXAR_HW_ARENA_H

#include <linux/types.h>

#define FIXAR_ARENA_MAGIC		0x47415846u	/* "FXAG" in memory order */
#define FIXAR_ARENA_SCHEMA		3u		/* STEP_SCHEMA of lib/step */
#define FIXAR_ARENA_STATE		4096u		/* offset of the state */
#define FIXAR_ARENA_ALIGN		64u		/* of tensors, and of every offset in a command */
#define FIXAR_ARENA_HIDDEN_MAX		31u
#define FIXAR_ARENA_SATURATIONS		10u
#define FIXAR_ARENA_GRANULE		65536u		/* the driver's unit of card memory */

/* Written by the host, read by the core when it loads an arena. Never written by the core. */
struct fixar_arena_header {
	__le32 magic;
	__le32 schema;
	__le32 header_bytes;		/* sizeof(struct fixar_arena_header) */
	__le32 state_offset;		/* FIXAR_ARENA_STATE */
	__le64 state_bytes;
	__le64 seed;			/* of the noise stream */
	__le32 observation_dim;
	__le32 action_dim;
	__le32 batch_max;		/* the largest count of ACT and TRAIN */
	__le32 hidden_count;
	__le32 hidden[FIXAR_ARENA_HIDDEN_MAX];	/* widths; 0 from hidden_count on */
	__le32 reserved[21];		/* 0 */
};

/* What a command writes where its `statistics` field says. Fields that an opcode has no use for are 0. */
struct fixar_statistics {
	__le64 loss_sum;		/* TRAIN: sum over the batch of delta^2, fraction 22 */
	__le64 q_sum;			/* TRAIN: sum over the batch of Q(s, actor(s)), fraction 20, two's complement */
	__le64 saturation[FIXAR_ARENA_SATURATIONS];	/* TRAIN, exploring ACT: of this command */
	__le64 training_steps;		/* TRAIN: of the agent, this one included */
	__le64 cycles;			/* of this command, until these statistics are written */
	__le64 macs;
	__le64 reserved;
};

/* Where the arrays of a batch of `count` samples lie, from the batch's first byte, and the bytes of the whole. */
struct fixar_batch_layout {
	__u64 observation;		/* int32 [count][observation_dim] */
	__u64 action;			/* int32 [count][action_dim] */
	__u64 reward;			/* int32 [count] */
	__u64 next_observation;		/* int32 [count][observation_dim] */
	__u64 terminal;			/* u8 [count]; not 0: terminal */
	__u64 bytes;
};

static inline __u64 fixar_arena_align(__u64 bytes)
{
	return (bytes + FIXAR_ARENA_ALIGN - 1) & ~(__u64)(FIXAR_ARENA_ALIGN - 1);
}

static inline void fixar_batch_layout(__u32 count, __u32 observation_dim, __u32 action_dim,
				      struct fixar_batch_layout *layout)
{
	const __u64 observations = fixar_arena_align((__u64)count * observation_dim * 4);

	layout->observation = 0;
	layout->action = observations;
	layout->reward = layout->action + fixar_arena_align((__u64)count * action_dim * 4);
	layout->next_observation = layout->reward + fixar_arena_align((__u64)count * 4);
	layout->terminal = layout->next_observation + observations;
	layout->bytes = layout->terminal + fixar_arena_align(count);
}

_Static_assert(sizeof(struct fixar_arena_header) == 256, "the header");
_Static_assert(__builtin_offsetof(struct fixar_arena_header, state_bytes) == 16, "header: state_bytes");
_Static_assert(__builtin_offsetof(struct fixar_arena_header, observation_dim) == 32, "header: observation_dim");
_Static_assert(__builtin_offsetof(struct fixar_arena_header, hidden) == 48, "header: hidden");
_Static_assert(__builtin_offsetof(struct fixar_arena_header, reserved) == 172, "header: reserved");
_Static_assert(sizeof(struct fixar_statistics) == 128, "statistics");
_Static_assert(__builtin_offsetof(struct fixar_statistics, training_steps) == 96, "statistics: training_steps");
_Static_assert(FIXAR_ARENA_STATE % FIXAR_ARENA_ALIGN == 0, "the state is aligned");

#endif /* FIXAR_HW_ARENA_H */
