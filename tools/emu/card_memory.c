// SPDX-License-Identifier: MIT
/* Card memory and its error correction. */
#include "card_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BITS 64 /* of a word of `written` */

static void *reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static size_t written_bytes(const struct card_memory *memory)
{
	return (size_t)(memory->size / CARD_MEMORY_LINE / BITS + 1) * sizeof(uint64_t);
}

int card_memory_create(struct card_memory *memory, uint64_t base, uint64_t size, bool ecc)
{
	memset(memory, 0, sizeof(*memory));
	memory->base = base;
	memory->size = size;
	memory->ecc = ecc;
	memory->bytes = reserve(size);
	if (!memory->bytes)
		return -ENOMEM;
	if (ecc) {
		memory->written = reserve(written_bytes(memory));
		if (!memory->written) {
			card_memory_destroy(memory);
			return -ENOMEM;
		}
	}
	return 0;
}

void card_memory_destroy(struct card_memory *memory)
{
	if (memory->bytes)
		munmap(memory->bytes, memory->size);
	if (memory->written)
		munmap(memory->written, written_bytes(memory));
	memory->bytes = NULL;
	memory->written = NULL;
}

void card_memory_lose(struct card_memory *memory)
{
	/* Cannot fail on a whole mapping of our own; pages come back as zeros. */
	madvise(memory->bytes, memory->size, MADV_DONTNEED);
	if (memory->written)
		madvise(memory->written, written_bytes(memory), MADV_DONTNEED);
}

unsigned char *card_memory_at(const struct card_memory *memory, uint64_t address, uint64_t count)
{
	const uint64_t offset = address - memory->base;

	if (address < memory->base || offset > memory->size || count > memory->size - offset)
		return NULL;
	return memory->bytes + offset;
}

bool card_memory_readable(const struct card_memory *memory, uint64_t address, uint64_t count, uint64_t *where)
{
	const uint64_t from = (address - memory->base) / CARD_MEMORY_LINE;
	const uint64_t to = (address - memory->base + count + CARD_MEMORY_LINE - 1) / CARD_MEMORY_LINE;

	for (uint64_t line = from; memory->ecc && count && line < to; line++) {
		const uint64_t word = atomic_load_explicit(&memory->written[line / BITS], memory_order_relaxed);

		if (!(word >> line % BITS & 1)) {
			*where = memory->base + line * CARD_MEMORY_LINE;
			return false;
		}
	}
	return true;
}

void card_memory_wrote(struct card_memory *memory, uint64_t address, uint64_t count)
{
	/* Whole lines alone. */
	const uint64_t from = (address - memory->base + CARD_MEMORY_LINE - 1) / CARD_MEMORY_LINE;
	const uint64_t to = (address - memory->base + count) / CARD_MEMORY_LINE;

	if (!memory->ecc)
		return;
	for (uint64_t line = from; line < to; line++) {
		if (line % BITS == 0 && to - line >= BITS) {
			atomic_store_explicit(&memory->written[line / BITS], UINT64_MAX, memory_order_relaxed);
			line += BITS - 1;
		} else {
			atomic_fetch_or_explicit(&memory->written[line / BITS], UINT64_C(1) << line % BITS,
						 memory_order_relaxed);
		}
	}
}

void card_memory_spoil(struct card_memory *memory, uint64_t address)
{
	const uint64_t line = (address - memory->base) / CARD_MEMORY_LINE;

	if (memory->ecc)
		atomic_fetch_and_explicit(&memory->written[line / BITS], ~(UINT64_C(1) << line % BITS),
					  memory_order_relaxed);
}
