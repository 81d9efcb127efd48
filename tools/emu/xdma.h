/* SPDX-License-Identifier: MIT */
/*
 * XDMA (PG195): channels with a thread each, the interrupt block, the configuration block. Registers and channel state
 * are under the card's lock.
 */
#ifndef FIXAR_EMU_XDMA_H
#define FIXAR_EMU_XDMA_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/fixar_xdma.h"

#define XDMA_DIRECTION FIXAR_XDMA_CHANNELS_MAX /* the first C2H channel in `channel` */
#define XDMA_CHANNELS (2 * FIXAR_XDMA_CHANNELS_MAX)

struct card;

/* PG195's performance counters: cycles of the 250 MHz clock, and beats of 64 bytes. */
struct xdma_performance {
	uint32_t control;
	uint64_t cycles, beats;
	uint64_t since; /* it counts since then; 0: it does not */
};

struct xdma_channel {
	struct card *card;
	unsigned index;	 /* in xdma.channel */
	unsigned number; /* in its direction */
	bool from_card;
	bool exists;
	uint32_t control, status, completed, interrupt_enable;
	uint32_t write_back_lo, write_back_hi;
	uint32_t first_lo, first_hi, adjacent, credits;
	struct xdma_performance performance;
	bool work; /* Run was set, and the thread has not begun yet */
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread;
};

struct xdma {
	struct xdma_channel channel[XDMA_CHANNELS]; /* H2C, then C2H from XDMA_DIRECTION on */
	uint32_t user_enable, channel_enable;
	uint32_t user_lines;		  /* levels of usr_irq_req */
	uint32_t user_sent, channel_sent; /* requests for which a message went out */
	uint32_t user_vector[4], channel_vector[2];
	uint32_t relaxed_ordering, user_payload, user_read, flush_timeout;
	uint32_t halt, credit_mode;
	uint32_t msix_table[FIXAR_XDMA_MSIX_VECTORS * 4];
};

void xdma_create(struct card *card);
int xdma_start(struct card *card);
void xdma_join(struct card *card);
/* With the lock held, like all that follows. Runs end without a trace; the map's epoch was stepped before. */
void xdma_reset(struct card *card);
void xdma_wake(struct card *card);

uint32_t xdma_read(struct card *card, uint32_t offset);
void xdma_write(struct card *card, uint32_t offset, uint32_t value);

/* xdma_channel.c: the registers of one channel and of its SGDMA block, from the block's beginning. */
uint32_t xdma_channel_read(struct xdma_channel *channel, uint32_t offset);
void xdma_channel_write(struct xdma_channel *channel, uint32_t offset, uint32_t value);
uint32_t xdma_sgdma_read(struct xdma_channel *channel, uint32_t offset);
void xdma_sgdma_write(struct xdma_channel *channel, uint32_t offset, uint32_t value);

/* xdma_engine.c: what a channel's thread does. */
void *xdma_engine(void *channel);
/* Run has risen or fallen. */
void xdma_engine_run(struct xdma_channel *channel);
void xdma_engine_stop(struct xdma_channel *channel);

/* xdma_performance.c */
void xdma_performance_control(struct xdma_channel *channel, uint32_t value);
void xdma_performance_begin(struct xdma_channel *channel);
void xdma_performance_end(struct xdma_channel *channel);
void xdma_performance_count(struct xdma_channel *channel, uint32_t bytes);
uint32_t xdma_performance_read(const struct xdma_channel *channel, uint32_t offset);

/* xdma_interrupts.c */
uint32_t xdma_interrupts_read(struct card *card, uint32_t offset);
void xdma_interrupts_write(struct card *card, uint32_t offset, uint32_t value);
/* Sources or enables may have changed: messages for requests that have risen. */
void xdma_interrupts_evaluate(struct card *card);
/* The level of a usr_irq_req line. */
void xdma_user_line(struct card *card, unsigned line, bool level);

/* "h2c0" */
const char *xdma_channel_name(unsigned index);
/* Whether a channel waits for credits: SGDMA's common registers. */
bool xdma_credit_mode(const struct xdma_channel *channel);
bool xdma_fetch_halted(const struct xdma_channel *channel);

#endif /* FIXAR_EMU_XDMA_H */
