// SPDX-License-Identifier: MIT
/* The list of faults, and the faults that are armed. */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "hw/fixar_arena.h"

#define EVENT(occasion, rung) occasion, false, rung, NULL
#define STATE(occasion, rung) occasion, true, rung, NULL
#define CHANNEL EVENT("descriptor", FAULT_RUNG_CHANNEL_STOP)
#define H2C " (H2C)"
#define C2H " (C2H)"

const struct fault_kind fault_kinds[FAULTS] = {
	[FAULT_ALIGN_MISMATCH] = { "align-mismatch", "a descriptor ends its run with status bit 3", CHANNEL },
	[FAULT_DESCRIPTOR_MAGIC] = { "descriptor-magic", "a descriptor's magic is read wrong: status bit 4", CHANNEL },
	[FAULT_INVALID_LENGTH] = { "invalid-length", "a descriptor ends its run with status bit 5", CHANNEL },
	[FAULT_READ_UNSUPPORTED] = { "read-unsupported", "host read: unsupported request, status bit 9" H2C, CHANNEL },
	[FAULT_READ_ABORT] = { "read-abort", "host read: completer abort, status bit 10" H2C, CHANNEL },
	[FAULT_READ_PARITY] = { "read-parity", "host read: parity, status bit 11" H2C, CHANNEL },
	[FAULT_READ_POISONED] = { "read-poisoned", "host read: poisoned, status bit 12" H2C, CHANNEL },
	[FAULT_READ_UNEXPECTED] = { "read-unexpected", "host read: unexpected completion, status bit 13" H2C, CHANNEL },
	[FAULT_READ_DECODE] = { "read-decode", "card read: decode error, status bit 9" C2H, CHANNEL },
	[FAULT_READ_SLAVE] = { "read-slave", "card read: slave error, status bit 10" C2H, CHANNEL },
	[FAULT_WRITE_DECODE] = { "write-decode", "card write: decode error, status bit 14" H2C, CHANNEL },
	[FAULT_WRITE_SLAVE] = { "write-slave", "card write: slave error, status bit 15" H2C, CHANNEL },
	[FAULT_DESCRIPTOR_UNSUPPORTED] = { "descriptor-unsupported",
					   "descriptor fetch: unsupported request, status bit 19", CHANNEL },
	[FAULT_DESCRIPTOR_ABORT] = { "descriptor-abort", "descriptor fetch: completer abort, status bit 20", CHANNEL },
	[FAULT_DESCRIPTOR_PARITY] = { "descriptor-parity", "descriptor fetch: parity, status bit 21", CHANNEL },
	[FAULT_DESCRIPTOR_POISONED] = { "descriptor-poisoned", "descriptor fetch: poisoned, status bit 22", CHANNEL },
	[FAULT_DESCRIPTOR_UNEXPECTED] = { "descriptor-unexpected",
					  "descriptor fetch: unexpected completion, status bit 23", CHANNEL },

	[FAULT_CHANNEL_STALL] = { "channel-stall", "a channel stands still and busy until it is stopped",
				  STATE("descriptor", FAULT_RUNG_CHANNEL_STOP) },
	[FAULT_CHANNEL_STUCK] = { "channel-stuck",
				  "a channel stays busy, also when it is stopped: a slave does not answer",
				  STATE("descriptor", FAULT_RUNG_BUS_RESET) },
	[FAULT_COUNT_CORRUPT] = { "count-corrupt",
				  "a run ends with a completed count that is too large by value= (1000)",
				  EVENT("run", FAULT_RUNG_CHANNEL_STOP) },
	[FAULT_INTERRUPT_LOST] = { "interrupt-lost", "an interrupt message is not sent (vector=)",
				   EVENT("interrupt", FAULT_RUNG_POLL) },
	[FAULT_INTERRUPT_SPURIOUS] = { "interrupt-spurious", "an interrupt message is sent twice (vector=)",
				       EVENT("interrupt", FAULT_RUNG_NONE) },

	[FAULT_CORE_SEQUENCE] = { "core-sequence", "a command fails with SEQUENCE",
				  EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_OPCODE] = { "core-opcode", "a command fails with OPCODE", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_COMMAND] = { "core-command", "a command fails with COMMAND", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_MODE] = { "core-mode", "a command fails with MODE", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_HEADER] = { "core-header", "a command fails with HEADER", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_TABLE] = { "core-table", "a command fails with TABLE", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_CAPACITY] = { "core-capacity", "a command fails with CAPACITY",
				  EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_BATCH] = { "core-batch", "a command fails with BATCH", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_OFFSET] = { "core-offset", "a command fails with OFFSET", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_WINDOW] = { "core-window", "a command fails with WINDOW", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_READ] = { "core-read", "a command fails with READ", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_WRITE] = { "core-write", "a command fails with WRITE", EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_ECC] = { "core-ecc", "a command fails with ECC", "command", false, FAULT_RUNG_RESUME, "--ecc" },
	[FAULT_CORE_INTERNAL] = { "core-internal", "a command fails with INTERNAL, which is fatal",
				  EVENT("command", FAULT_RUNG_SOFT_RESET) },

	[FAULT_CORE_HALT_SILENT] = { "core-halt-silent",
				     "a command fails (code value=, 11) and INT_STATUS does not say so",
				     EVENT("command", FAULT_RUNG_RESUME) },
	[FAULT_CORE_STALL] = { "core-stall", "a command does not end, PROGRESS stands still",
			       STATE("command", FAULT_RUNG_SOFT_RESET) },
	[FAULT_CORE_SLOW] = { "core-slow", "a command does not end, PROGRESS moves",
			      STATE("command", FAULT_RUNG_SOFT_RESET) },
	[FAULT_CORE_RESULT] = { "core-result", "a result record is wrong: its number and its cycles",
				EVENT("command", FAULT_RUNG_NONE) },
	[FAULT_CORE_COMPLETED] = { "core-completed", "COMPLETED_SEQ is ahead by value= (1000)",
				   STATE("command", FAULT_RUNG_SOFT_RESET) },
	[FAULT_CORE_RESET_STUCK] = { "core-reset-stuck", "a soft reset does not end",
				     STATE("soft reset", FAULT_RUNG_BUS_RESET) },
	[FAULT_ECC_CORRECTED] = { "ecc-corrected", "an error of card memory is corrected and counted", "command", false,
				  FAULT_RUNG_NONE, "--ecc" },
	[FAULT_ECC_UNCORRECTED] = { "ecc-uncorrected", "a line of card memory, at offset= of it, becomes unreadable",
				    "command", false, FAULT_RUNG_RESUME, "--ecc" },
	[FAULT_MEMORY_EPOCH] = { "memory-epoch", "card memory loses its contents, MEM_EPOCH steps",
				 EVENT("command", FAULT_RUNG_NONE) },
	[FAULT_MEMORY_EPOCH_SILENT] = { "memory-epoch-silent",
					"the same, and no interrupt says so: readers of the lost memory meet errors",
					EVENT("command", FAULT_RUNG_NONE) },
	[FAULT_MEMORY_NOT_READY] = { "memory-not-ready", "STATUS.MEMORY_READY is 0",
				     STATE("read of STATUS or doorbell", FAULT_RUNG_BUS_RESET) },
	[FAULT_CATTRIP] = { "cattrip", "the memory's temperature output rises",
			    STATE("command", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_IDENTITY_MAGIC] = { "identity-magic", "MAGIC is wrong (value=)",
				   STATE("read of MAGIC", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_IDENTITY_VERSION] = { "identity-version", "VERSION is another major one (value=)",
				     STATE("read of VERSION", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_IDENTITY_SCHEMA] = { "identity-schema", "ARENA_SCHEMA is another (value=)",
				    STATE("read of ARENA_SCHEMA", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_IDENTITY_XDMA] = { "identity-xdma", "the identifier of XDMA's interrupt block is wrong (value=)",
				  STATE("read of 0x2000 of the DMA BAR", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_REMOVAL_ACCESS] = { "removal-access", "the card is gone, before a register access",
				   STATE("register access", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_REMOVAL_TRANSFER] = { "removal-transfer", "the card is gone, before a descriptor's data",
				     STATE("descriptor", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_REMOVAL_INTERRUPT] = { "removal-interrupt", "the card is gone, before an interrupt message",
				      STATE("interrupt", FAULT_RUNG_POWER_CYCLE) },
	[FAULT_CMS_DEAD] = { "cms-dead", "the card management's heartbeat stands, its sensors read as not ready",
			     STATE("read of the CMS", FAULT_RUNG_POWER_CYCLE) },
};

const char *fault_rung_name(enum fault_rung rung)
{
	static const char *const names[] = { "none",	   "poll",	"channel-stop", "resume",
					     "soft-reset", "bus-reset", "power-cycle" };

	return names[rung];
}

/* ---- Arming ---- */

static int refuse(char *message, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(char *message, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, size, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int find(const char *name)
{
	for (int id = 0; id < FAULTS; id++)
		if (!strcmp(fault_kinds[id].name, name))
			return id;
	return -1;
}

/* "h2c0" or "c2h1". */
static bool parse_channel(const char *text, int *where)
{
	const bool from_card = !strncmp(text, "c2h", 3);

	if ((!from_card && strncmp(text, "h2c", 3)) || text[3] < '0' || text[3] > '3' || text[4])
		return false;
	*where = text[3] - '0' + (from_card ? RECORD_CHANNELS / 2 : 0);
	return true;
}

static int parse_key(struct fault *fault, const char *key, const char *text, char *message, size_t size)
{
	unsigned long long number;
	char *end;

	if (!strcmp(key, "channel"))
		return parse_channel(text, &fault->where)
			       ? 0
			       : refuse(message, size, "channel \"%s\": expected h2c0 to h2c3 or c2h0 to c2h3", text);
	errno = 0;
	number = strtoull(text, &end, 0);
	if (!*text || *text == '-' || *end || errno)
		return refuse(message, size, "%s=%s: expected a number", key, text);
	if (!strcmp(key, "after"))
		fault->after = number;
	else if (!strcmp(key, "vector") && number < INTERRUPT_VECTORS)
		fault->where = (int)number;
	else if (!strcmp(key, "value") && number <= UINT32_MAX)
		fault->value = (uint32_t)number;
	else if (!strcmp(key, "offset"))
		fault->offset = number;
	else if (!strcmp(key, "ms") && number <= UINT32_MAX)
		fault->milliseconds = number;
	else if (!strcmp(key, "started") && number < 2)
		fault->started = number != 0;
	else if (!strcmp(key, "fatal") && number < 2)
		fault->fatal = number != 0;
	else
		return refuse(message, size,
			      "%s=%s: expected after=, channel=, vector=, value=, offset=, ms=, started= or fatal=, "
			      "with a value in its range",
			      key, text);
	return 0;
}

static uint32_t default_value(enum fault_id id)
{
	switch (id) {
	case FAULT_COUNT_CORRUPT:
	case FAULT_CORE_COMPLETED:
		return 1000;
	case FAULT_CORE_HALT_SILENT:
		return FIXAR_ERROR_READ;
	case FAULT_IDENTITY_VERSION:
		return 0x00020000;
	case FAULT_IDENTITY_SCHEMA:
		return FIXAR_ARENA_SCHEMA + 1;
	default:
		return 0x12345678;
	}
}

int faults_arm(struct card *card, const char *spec, char *message, size_t size)
{
	struct faults *faults = &card->faults;
	struct fault fault = { .where = FAULT_ANYWHERE };
	char text[256], *save, *word;
	int id, error = 0;

	if (strlen(spec) >= sizeof(text))
		return refuse(message, size, "a fault of more than %zu characters", sizeof(text) - 1);
	strcpy(text, spec);
	word = strtok_r(text, " ,\t", &save);
	if (!word)
		return refuse(message, size, "no fault's name");
	id = find(word);
	if (id < 0)
		return refuse(message, size,
			      "there is no fault \"%s\": the request \"faults\" lists those that there are", word);
	if (fault_kinds[id].needs && !card->options.ecc)
		return refuse(message, size, "%s needs a card that was started with %s", word, fault_kinds[id].needs);
	fault.id = (enum fault_id)id;
	fault.value = default_value(fault.id);
	fault.fatal = id == FAULT_CORE_INTERNAL;
	while (!error && (word = strtok_r(NULL, " ,\t", &save))) {
		char *equals = strchr(word, '=');

		if (!equals)
			return refuse(message, size, "\"%s\": expected KEY=VALUE", word);
		*equals = '\0';
		error = parse_key(&fault, word, equals + 1, message, size);
	}
	if (error)
		return error;
	if (faults->count == FAULTS_ARMED) {
		refuse(message, size, "more than %d faults are armed", FAULTS_ARMED);
		return -ENOSPC;
	}
	faults->armed[faults->count++] = fault;
	return 0;
}

static void drop(struct card *card, size_t index)
{
	struct faults *faults = &card->faults;

	faults->armed[index] = faults->armed[--faults->count];
	card_wake(card);
}

size_t faults_disarm(struct card *card, const char *name)
{
	struct faults *faults = &card->faults;
	size_t count = 0;

	for (size_t i = faults->count; i-- > 0;) {
		if (!name || !strcmp(fault_kinds[faults->armed[i].id].name, name)) {
			drop(card, i);
			count++;
		}
	}
	return count;
}

/* ---- Striking ---- */

static bool over(const struct fault *fault)
{
	return fault->struck && fault->until && card_now() >= fault->until;
}

const struct fault *faults_lasting(struct card *card, enum fault_id id, int where)
{
	struct faults *faults = &card->faults;

	for (size_t i = faults->count; i-- > 0;) {
		const struct fault *fault = &faults->armed[i];

		if (fault->id != id || !fault->struck ||
		    (fault->where != FAULT_ANYWHERE && where != FAULT_ANYWHERE && fault->where != where))
			continue;
		if (!over(fault))
			return fault;
		drop(card, i);
	}
	return NULL;
}

static void strike(struct card *card, struct fault *fault, int where)
{
	card->faults.struck[fault->id]++;
	/* A state of one channel is not one of another. */
	if (where != FAULT_ANYWHERE)
		fault->where = where;
	if (fault->milliseconds)
		fault->until = card_now() + fault->milliseconds * UINT64_C(1000000);
	record_event(card, "fault %s", fault_kinds[fault->id].name);
}

const struct fault *faults_strike(struct card *card, enum fault_id id, int where)
{
	static _Thread_local struct fault struck;
	struct faults *faults = &card->faults;
	const struct fault *lasting;

	/* The usual case, in every register access. */
	if (!faults->count)
		return NULL;
	lasting = faults_lasting(card, id, where);
	if (lasting)
		return lasting;
	for (size_t i = 0; i < faults->count; i++) {
		struct fault *fault = &faults->armed[i];

		if (fault->id != id ||
		    (fault->where != FAULT_ANYWHERE && where != FAULT_ANYWHERE && fault->where != where))
			continue;
		if (fault->passed++ < fault->after)
			continue;
		strike(card, fault, where);
		if (fault_kinds[id].state) {
			fault->struck = true;
			return fault;
		}
		struck = *fault;
		drop(card, i);
		return &struck;
	}
	return NULL;
}

void faults_rung(struct card *card, enum fault_rung rung, int where)
{
	struct faults *faults = &card->faults;

	for (size_t i = faults->count; i-- > 0;) {
		const struct fault *fault = &faults->armed[i];
		const enum fault_rung clears = fault_kinds[fault->id].rung;

		if (!fault->struck || clears > rung)
			continue;
		/* Below the bus reset, a rung is of one engine. */
		if (rung < FAULT_RUNG_BUS_RESET && clears != rung &&
		    !(rung == FAULT_RUNG_SOFT_RESET && clears == FAULT_RUNG_RESUME))
			continue;
		if (where != FAULT_ANYWHERE && fault->where != FAULT_ANYWHERE && fault->where != where)
			continue;
		drop(card, i);
	}
}
