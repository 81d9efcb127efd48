/* SPDX-License-Identifier: MIT */
/*
 * Card memory: the HBM. Pages cost the host nothing until they are written.
 *
 * Threads of XDMA and of the core use it at once, as on the card: nothing here orders their accesses. Addresses are AXI
 * addresses.
 */
#ifndef FIXAR_EMU_CARD_MEMORY_H
#define FIXAR_EMU_CARD_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARD_MEMORY_LINE 64 /* bytes whose error correction stands or falls together */

struct card_memory {
	uint64_t base, size;
	unsigned char *bytes;
	bool ecc;
	_Atomic uint64_t *written; /* with ECC, a bit for each line: it was written whole since power came on */
};

/* 0 or -ENOMEM. */
int card_memory_create(struct card_memory *memory, uint64_t base, uint64_t size, bool ecc);
void card_memory_destroy(struct card_memory *memory);

/* Everything in it is lost. */
void card_memory_lose(struct card_memory *memory);

/* The bytes at an address, or NULL where not all of them are in memory (DECERR). */
unsigned char *card_memory_at(const struct card_memory *memory, uint64_t address, uint64_t count);

/* Whether a read meets no uncorrectable error; if it does, *where is the address of the first. The bytes are in memory.
 */
bool card_memory_readable(const struct card_memory *memory, uint64_t address, uint64_t count, uint64_t *where);

/* To be said after a write. A line that was never written whole stays unreadable. */
void card_memory_wrote(struct card_memory *memory, uint64_t address, uint64_t count);

/* Makes a line unreadable until it is written whole. */
void card_memory_spoil(struct card_memory *memory, uint64_t address);

#endif /* FIXAR_EMU_CARD_MEMORY_H */
