/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages, MSI-X or MSI. The client (QEMU) keeps the MSI-X table and gives one descriptor for each vector.
 */
#ifndef FIXAR_EMU_INTERRUPTS_H
#define FIXAR_EMU_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/fixar_xdma.h"

#define INTERRUPT_VECTORS FIXAR_XDMA_MSIX_VECTORS

struct card;

enum interrupt_kind { INTERRUPT_MSI, INTERRUPT_MSIX, INTERRUPT_KINDS };

struct interrupts {
	int fd[INTERRUPT_KINDS][INTERRUPT_VECTORS];	  /* -1: none */
	bool latched[INTERRUPT_KINDS][INTERRUPT_VECTORS]; /* sent before there was a descriptor */
	uint64_t sent[INTERRUPT_VECTORS];
};

void interrupts_create(struct interrupts *interrupts);
/* All descriptors are closed. */
void interrupts_forget(struct interrupts *interrupts);
/* A reset: what was latched is lost. */
void interrupts_reset(struct interrupts *interrupts);

/* How many vectors the card has of a kind. */
uint32_t interrupts_count(const struct card *card, enum interrupt_kind kind);

/* `fd` is taken over; -1: none any more. */
void interrupts_attach(struct card *card, enum interrupt_kind kind, uint32_t vector, int fd);

/* Sends a vector in the way that configuration space has enabled. With the card's lock held. */
void interrupts_send(struct card *card, uint32_t vector);

#endif /* FIXAR_EMU_INTERRUPTS_H */
