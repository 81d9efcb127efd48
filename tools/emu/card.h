/* SPDX-License-Identifier: MIT */
/*
 * The emulated card: everything it consists of, and what happens to it as a whole.
 *
 * One lock is around all registers and records. It is held for the time of a register access or of an engine's step,
 * and never while bytes move, a command computes or a message is waited for. The engines (one thread for each channel,
 * one for the core) look at the registers, let go of the lock, work, and take it again; what happened meanwhile they
 * see by an epoch that has stepped.
 *
 * card_memory and dma_map are used without this lock; the latter has its own, taken inside this one.
 */
#ifndef FIXAR_EMU_CARD_H
#define FIXAR_EMU_CARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "card_memory.h"
#include "config_space.h"
#include "core.h"
#include "dma_map.h"
#include "fault.h"
#include "interrupts.h"
#include "record.h"
#include "sensors.h"
#include "xdma.h"

struct card_options {
	unsigned channels; /* of each direction: 1, 2 or 4 */
	uint64_t memory_base, memory_size;
	uint16_t subsystem_vendor, subsystem;
	uint32_t first_sequence; /* COMPLETED_SEQ after a reset */
	bool msi_only;
	bool windows;
	bool ecc;
	bool function_reset;
	bool strict;	/* print doubtful acts */
	double timing;	/* commands take the cycle model's time, this many times; 0: as long as they take */
	FILE *log;   /* NULL: none */
};

struct card {
	struct card_options options; /* never changes */
	pthread_mutex_t lock;
	bool gone;    /* removed by surprise: every read is all ones */
	bool started; /* the engines' threads run */
	bool quit;    /* they are to end */
	uint64_t time_of_power;
	struct config_space config;
	struct interrupts interrupts;
	struct xdma xdma;
	struct core core;
	struct sensors sensors;
	struct faults faults;
	struct record record;
	struct dma_map dma;
	struct card_memory memory;
};

void card_default_options(struct card_options *options);

/* Power is on; no thread runs yet. 0 or a negative errno. */
int card_create(const struct card_options *options, struct card **card);
/* Starts the engines' threads. 0 or a negative errno. */
int card_start(struct card *card);
void card_destroy(struct card *card);

/* Monotonic nanoseconds. */
uint64_t card_now(void);
/* A line for the log, with the time. With the lock held. */
void card_log(struct card *card, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Engines look anew at what they wait for. With the lock held. */
void card_wake(struct card *card);
/* An engine waits for that, or for a while: states may end with time. With the lock held. */
void card_wait(struct card *card, pthread_cond_t *wake);

/* All with the lock held. */
void card_power_cycle(struct card *card);
void card_bus_reset(struct card *card);	     /* PERST#, hot reset, link down */
void card_function_reset(struct card *card); /* function-level reset */
void card_remove(struct card *card);	     /* by surprise */
void card_lose_memory(struct card *card, bool silent); /* MEM_EPOCH steps; with an interrupt or without */

/*
 * BARs 0 and 1 (bar.c). The range is within the BAR. A read of what is no register gives 0, a write does nothing. With
 * the lock held.
 */
void bar_read(struct card *card, unsigned bar, uint32_t offset, void *data, uint32_t count);
void bar_write(struct card *card, unsigned bar, uint32_t offset, const void *data, uint32_t count);

#endif /* FIXAR_EMU_CARD_H */
