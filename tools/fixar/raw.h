/* SPDX-License-Identifier: MIT */
/* A card's registers without its driver, for fixar conform --raw: BAR0 and XDMA's BAR, mapped through sysfs or VFIO. */
#ifndef FIXAR_TOOLS_RAW_H
#define FIXAR_TOOLS_RAW_H

#include <stdint.h>

#include "conform.h"
#include "hw/fixar_regs.h"
#include "raw_vfio.h"

struct raw {
	struct conform *conform;
	struct raw_vfio vfio;
	volatile uint32_t *bar, *xdma;
	uint32_t depth, sequence; /* of the queue; the last number that was given out */
	uint32_t user_irq;
	char detail[256]; /* why the last expectation was not met */
};

/* One command. Word 1, its number, is filled in by raw_ring(). */
struct raw_slot {
	uint32_t word[FIXAR_SLOT_BYTES / 4];
};

struct raw_failure {
	uint32_t code;
	uint64_t offset;
	bool started, wrong_sequence; /* the slot has a number of its own */
};

uint32_t raw_get(const struct raw *raw, uint32_t offset);
void raw_set(const struct raw *raw, uint32_t offset, uint32_t value);

/* Each of these is 0, and says why in raw->detail, if it is not so. */
int raw_expect(struct raw *raw, const char *what, uint64_t found, uint64_t expected);
int raw_expect_register(struct raw *raw, uint32_t offset, uint32_t expected);
int raw_expect_between(struct raw *raw, uint32_t offset, uint32_t low, uint32_t high);
/* Until the masked bits of a register are `value`: some seconds. */
int raw_wait(struct raw *raw, uint32_t offset, uint32_t mask, uint32_t value);
/* A refused write was to `offset`, and is forgotten then. */
int raw_expect_refused(struct raw *raw, uint32_t offset);
int raw_soft_reset(struct raw *raw);

void raw_report(struct raw *raw, int passed, const char *name);

/* Fills a command's slot, and no more. */
void raw_fill(struct raw *raw, uint32_t number, struct raw_slot slot);
/* Fills the next slot and rings; the number. */
uint32_t raw_ring(struct raw *raw, struct raw_slot slot, bool wrong_sequence);
/* The same, and waits until the command has completed. */
int raw_run(struct raw *raw, struct raw_slot slot);
/* The command fails as is said, and RESUME makes the core go on: one result. */
void raw_expect_failure(struct raw *raw, const char *name, struct raw_slot slot, struct raw_failure failure);

/* 0, or a message was printed. */
int raw_open(struct raw *raw, const struct card_place *place, int dma_bar);
void raw_close(struct raw *raw, const struct card_place *place);

/* conform_arena.c: what needs card memory. */
void raw_test_arena(struct raw *raw, const struct card_place *place);

#endif /* FIXAR_TOOLS_RAW_H */
