/* SPDX-License-Identifier: MIT */
/*
 * The FIXAR core: registers, command queue, and the thread that executes commands. driver/HARDWARE.md is what it does.
 */
#ifndef FIXAR_EMU_CORE_H
#define FIXAR_EMU_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core_agent.h"
#include "hw/fixar_regs.h"

#define CORE_FIFO_DEPTH 16
#define CORE_USER_IRQ 0
#define CORE_SLOT_WORDS (FIXAR_SLOT_BYTES / 4)
#define CORE_MODE_BASE FIXAR_MODE_PRECISION
#define CORE_MODE_WORDS ((FIXAR_MODE_END - CORE_MODE_BASE) / 4)
#define CORE_COUNTERS ((FIXAR_COUNTER_END - FIXAR_COUNTER_TIMESTAMP) / 8)

struct card;

enum core_reset { CORE_RESET_SOFT, CORE_RESET_BUS, CORE_RESET_POWER };

/* A command being executed: what it was when it started, and what became of it. */
struct core_command {
	struct fixar_command slot;
	uint32_t seq; /* the doorbell's */
	uint32_t mode[CORE_MODE_WORDS];
	uint64_t window_base, window_limit;
	bool resident;	  /* the copy on the chip may be used; afterwards: is there */
	uint64_t changes; /* of memory, when it started */
	/* Results. */
	uint32_t code; /* FIXAR_ERROR_* */
	bool started, fatal;
	uint64_t offset; /* ERROR_OFFSET */
	uint64_t cycles, array_cycles, macs;
	uint64_t read_bytes, write_bytes;
};

struct core {
	/* Registers. */
	bool halted, resetting;
	uint32_t interrupt_status, interrupt_enable;
	uint32_t submitted, completed;
	uint32_t error_info, error_seq, access_error;
	uint64_t error_offset;
	uint32_t scratch, mem_epoch, mem_cookie;
	uint64_t window_base, window_limit;
	uint32_t mode[CORE_MODE_WORDS];
	uint32_t slot[CORE_FIFO_DEPTH][CORE_SLOT_WORDS];
	uint32_t result[CORE_FIFO_DEPTH][FIXAR_RESULT_BYTES / 4];
	uint64_t counter[CORE_COUNTERS]; /* TIMESTAMP and BUSY_CYCLES are computed */

	/* State. */
	bool resident;	  /* the copy on the chip is that of the window */
	uint64_t changes; /* of memory behind the core's back: pokes, losses */
	bool running;	  /* the thread executes a command */
	bool cattrip;
	uint64_t epoch;		 /* steps with every reset */
	uint64_t time_of_reset;	 /* from which TIMESTAMP counts */
	uint64_t time_of_memory; /* at which card memory is ready */
	uint64_t busy_since, busy_ns;
	struct core_timing {
		uint64_t commands, late; /* late: computing took longer than the card would */
		uint64_t model_ns, late_ns;
	} timing; /* options.timing */
	_Atomic uint32_t progress;
	atomic_bool abort;	 /* the command being executed is to end */
	struct core_agent agent; /* the thread's own */
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread;
};

void core_create(struct card *card);
int core_start(struct card *card);
void core_join(struct card *card);
void core_destroy(struct card *card);

/* All that follows with the card's lock held, but for core_execute(). */

void core_wake(struct card *card);
void core_abort(struct card *card);
void core_reset(struct card *card, enum core_reset reset);
/* The contents of card memory were lost: MEM_EPOCH steps. Silent: without the interrupt. */
void core_memory_lost(struct card *card, bool silent);
/* Memory was written by no one that the core knows of: its copy is dropped. */
void core_memory_changed(struct card *card);
/* Somebody's read met an error that cannot be corrected. */
void core_ecc_error(struct card *card);

/* core_registers.c: words of BAR0 below the CMS. */
uint32_t core_read(struct card *card, uint32_t offset);
void core_write(struct card *card, uint32_t offset, uint32_t value);
/* A write that is refused: HARDWARE.md section 4, rule 7. */
void core_refuse(struct card *card, uint32_t offset);
bool core_idle(const struct core *core);
bool core_busy(const struct core *core);
/* Sets bits of INT_STATUS. */
void core_interrupt(struct card *card, uint32_t bits);
/* Forces a register of the core, whatever its state. False: not one that can be forced. */
bool core_force(struct card *card, uint32_t offset, uint32_t value);
/* BUSY has changed or may have: the count of busy cycles. */
void core_note_busy(struct core *core);
uint64_t *core_counter(struct core *core, uint32_t offset);

/* core_command.c: without the lock. */
void core_execute(struct card *card, struct core_command *command);
/* Without the lock; the offset within the window must be a multiple of nothing. False: command->code says why. */
bool core_load(struct card *card, struct core_command *command, uint64_t offset, void *bytes, uint64_t count);
bool core_store(struct card *card, struct core_command *command, uint64_t offset, const void *bytes, uint64_t count);
bool core_fail(struct core_command *command, uint32_t code, uint64_t offset);

#endif /* FIXAR_EMU_CORE_H */
