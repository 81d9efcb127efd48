/* SPDX-License-Identifier: MIT */
/*
 * What the card saw: register accesses, descriptors, events, and in strict mode what a careful driver would not have
 * done. All with the card's lock held.
 */
#ifndef FIXAR_EMU_RECORD_H
#define FIXAR_EMU_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BARS 2
#define RECORD_LAST 65536 /* accesses, descriptors, events that are kept */
#define RECORD_STRICT 256 /* different doubtful acts that are kept */
#define RECORD_OPCODES 256
#define RECORD_CHANNELS 8

struct card;

struct record_access {
	uint64_t time;
	uint64_t value;
	uint32_t offset;
	uint8_t bar, bytes;
	bool write;
};

struct record_descriptor {
	uint64_t time;
	uint64_t at; /* where in host memory it was fetched */
	uint64_t host, card, next;
	uint32_t control, bytes;
	uint8_t channel; /* C2H from RECORD_CHANNELS / 2 on */
};

struct record_event {
	uint64_t time;
	char text[96];
};

struct record_strict {
	uint64_t count;
	char text[160];
};

/* The last RECORD_LAST of a kind; `count` is of all since the record was cleared. */
struct record_ring {
	void *items;
	size_t item_bytes;
	uint64_t count;
};

struct record {
	struct record_ring accesses, descriptors, events;
	uint32_t *reads[RECORD_BARS], *writes[RECORD_BARS]; /* by word of the BAR */
	uint64_t read_count, write_count, config_reads, config_writes;
	uint64_t commands[RECORD_OPCODES]; /* completed */
	uint64_t command_errors;
	uint64_t training_steps;
	uint64_t bytes[RECORD_CHANNELS]; /* moved by channel; C2H from RECORD_CHANNELS / 2 on */
	uint64_t descriptors_done[RECORD_CHANNELS];
	uint64_t channel_stops, soft_resets, resumes, bus_resets, function_resets, power_cycles;
	struct record_strict strict[RECORD_STRICT];
	size_t strict_count;
	uint64_t strict_total;
};

/* 0 or -ENOMEM. */
int record_create(struct record *record);
void record_destroy(struct record *record);
void record_clear(struct record *record);

void record_access(struct card *card, unsigned bar, uint32_t offset, unsigned bytes, bool write, uint64_t value);
void record_descriptor(struct card *card, const struct record_descriptor *descriptor);
void record_event(struct card *card, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The item that came `back` items before the last; `back` is below the number of those kept. */
const void *record_last(const struct record_ring *ring, uint64_t back);
uint64_t record_kept(const struct record_ring *ring);

/* A doubtful act. The same text again only counts. */
void strict_note(struct card *card, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif /* FIXAR_EMU_RECORD_H */
