// SPDX-License-Identifier: MIT
/* What the card saw. */
#include "record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "hw/fixar_regs.h"

static const uint32_t bar_bytes[RECORD_BARS] = { FIXAR_USER_BAR_BYTES, FIXAR_XDMA_BAR_BYTES };

static void ring_add(struct record_ring *ring, const void *item)
{
	memcpy((char *)ring->items + ring->count % RECORD_LAST * ring->item_bytes, item, ring->item_bytes);
	ring->count++;
}

uint64_t record_kept(const struct record_ring *ring)
{
	return ring->count < RECORD_LAST ? ring->count : RECORD_LAST;
}

const void *record_last(const struct record_ring *ring, uint64_t back)
{
	return (const char *)ring->items + (ring->count - 1 - back) % RECORD_LAST * ring->item_bytes;
}

static int ring_create(struct record_ring *ring, size_t item_bytes)
{
	ring->item_bytes = item_bytes;
	ring->items = calloc(RECORD_LAST, item_bytes);
	return ring->items ? 0 : -ENOMEM;
}

int record_create(struct record *record)
{
	int error;

	memset(record, 0, sizeof(*record));
	error = ring_create(&record->accesses, sizeof(struct record_access));
	if (!error)
		error = ring_create(&record->descriptors, sizeof(struct record_descriptor));
	if (!error)
		error = ring_create(&record->events, sizeof(struct record_event));
	for (int bar = 0; !error && bar < RECORD_BARS; bar++) {
		record->reads[bar] = calloc(bar_bytes[bar] / 4, sizeof(uint32_t));
		record->writes[bar] = calloc(bar_bytes[bar] / 4, sizeof(uint32_t));
		if (!record->reads[bar] || !record->writes[bar])
			error = -ENOMEM;
	}
	if (error)
		record_destroy(record);
	return error;
}

void record_destroy(struct record *record)
{
	free(record->accesses.items);
	free(record->descriptors.items);
	free(record->events.items);
	for (int bar = 0; bar < RECORD_BARS; bar++) {
		free(record->reads[bar]);
		free(record->writes[bar]);
	}
	memset(record, 0, sizeof(*record));
}

void record_clear(struct record *record)
{
	const struct record old = *record;

	memset(record, 0, sizeof(*record));
	record->accesses = old.accesses;
	record->descriptors = old.descriptors;
	record->events = old.events;
	record->accesses.count = record->descriptors.count = record->events.count = 0;
	for (int bar = 0; bar < RECORD_BARS; bar++) {
		record->reads[bar] = old.reads[bar];
		record->writes[bar] = old.writes[bar];
		memset(record->reads[bar], 0, bar_bytes[bar]);
		memset(record->writes[bar], 0, bar_bytes[bar]);
	}
}

void record_access(struct card *card, unsigned bar, uint32_t offset, unsigned bytes, bool write, uint64_t value)
{
	struct record *record = &card->record;
	const struct record_access access = { card_now(), value, offset, (uint8_t)bar, (uint8_t)bytes, write };

	ring_add(&record->accesses, &access);
	if (write) {
		record->writes[bar][offset / 4]++;
		record->write_count++;
	} else {
		record->reads[bar][offset / 4]++;
		record->read_count++;
	}
}

void record_descriptor(struct card *card, const struct record_descriptor *descriptor)
{
	ring_add(&card->record.descriptors, descriptor);
}

void record_event(struct card *card, const char *format, ...)
{
	struct record_event event = { .time = card_now() };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(event.text, sizeof(event.text), format, arguments);
	va_end(arguments);
	ring_add(&card->record.events, &event);
	card_log(card, "%s", event.text);
}

void strict_note(struct card *card, const char *format, ...)
{
	struct record *record = &card->record;
	struct record_strict note = { .count = 1 };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(note.text, sizeof(note.text), format, arguments);
	va_end(arguments);
	record->strict_total++;
	if (card->options.strict)
		fprintf(stderr, "strict: %s\n", note.text);
	card_log(card, "strict: %s", note.text);
	for (size_t i = 0; i < record->strict_count; i++) {
		if (!strcmp(record->strict[i].text, note.text)) {
			record->strict[i].count++;
			return;
		}
	}
	if (record->strict_count < RECORD_STRICT)
		record->strict[record->strict_count++] = note;
}
