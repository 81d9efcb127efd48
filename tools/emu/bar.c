// SPDX-License-Identifier: MIT
/*
 * Accesses to the BARs: words, whatever the client asks for; counts; the card that is gone.
 *
 * The contract knows aligned 32-bit accesses only. Another read returns the word that it touches, or those; another
 * write is refused by the core and ignored by XDMA.
 */
#include <string.h>

#include "card.h"

#define WORD 4u

static uint32_t read_word(struct card *card, unsigned bar, uint32_t offset)
{
	if (bar)
		return xdma_read(card, offset);
	if (offset >= FIXAR_CMS_BASE && offset < FIXAR_CMS_BASE + FIXAR_CMS_BYTES)
		return sensors_read(card, offset);
	return core_read(card, offset);
}

static void write_word(struct card *card, unsigned bar, uint32_t offset, uint32_t value)
{
	if (bar)
		xdma_write(card, offset, value);
	else if (offset >= FIXAR_CMS_BASE && offset < FIXAR_CMS_BASE + FIXAR_CMS_BYTES)
		sensors_write(card, offset, value);
	else
		core_write(card, offset, value);
}

static bool is_word(uint32_t offset, uint32_t count)
{
	return count == WORD && offset % WORD == 0;
}

/* An access: the occasion to be gone. */
static bool reachable(struct card *card, unsigned bar, uint32_t offset)
{
	if (!config_space_memory(&card->config) && !card->gone) {
		strict_note(card, "an access to %#x of BAR%u while memory space is off", offset, bar);
		return false;
	}
	if (!card->gone && faults_strike(card, FAULT_REMOVAL_ACCESS, FAULT_ANYWHERE))
		card_remove(card);
	return !card->gone;
}

static uint64_t first_bytes(const void *data, uint32_t count)
{
	uint64_t value = 0;

	memcpy(&value, data, count < sizeof(value) ? count : sizeof(value));
	return value;
}

void bar_read(struct card *card, unsigned bar, uint32_t offset, void *data, uint32_t count)
{
	uint8_t *bytes = data;
	uint32_t done = 0;

	memset(data, 0xff, count);
	if (!count || !reachable(card, bar, offset))
		return;
	if (!is_word(offset, count))
		strict_note(card, "a read of %u bytes at %#x of BAR%u, which is no aligned word", count, offset, bar);
	while (done < count) {
		const uint32_t at = offset + done, within = at % WORD;
		const uint32_t step = count - done < WORD - within ? count - done : WORD - within;
		const uint32_t word = read_word(card, bar, at - within);

		memcpy(bytes + done, (const uint8_t *)&word + within, step);
		done += step;
	}
	record_access(card, bar, offset, count, false, first_bytes(data, count));
}

void bar_write(struct card *card, unsigned bar, uint32_t offset, const void *data, uint32_t count)
{
	uint32_t word;

	if (!count || !reachable(card, bar, offset))
		return;
	record_access(card, bar, offset, count, true, first_bytes(data, count));
	if (is_word(offset, count)) {
		memcpy(&word, data, sizeof(word));
		write_word(card, bar, offset, word);
		return;
	}
	strict_note(card, "a write of %u bytes at %#x of BAR%u, which is no aligned word", count, offset, bar);
	if (!bar)
		core_refuse(card, offset);
}
