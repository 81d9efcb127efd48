/* SPDX-License-Identifier: MIT */
/*
 * Faults that can be injected. fault.c has the list: the control socket prints it, and a test makes its table from it.
 *
 * An event strikes once. A state, once it has struck, lasts until the rung that the list names reaches the card, or one
 * above it. All with the card's lock held.
 */
#ifndef FIXAR_EMU_FAULT_H
#define FIXAR_EMU_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct card;

enum fault_id {
	/* A channel's run ends with a status bit; in the order of the bits. */
	FAULT_ALIGN_MISMATCH,
	FAULT_DESCRIPTOR_MAGIC,
	FAULT_INVALID_LENGTH,
	FAULT_READ_UNSUPPORTED,
	FAULT_READ_ABORT,
	FAULT_READ_PARITY,
	FAULT_READ_POISONED,
	FAULT_READ_UNEXPECTED,
	FAULT_READ_DECODE,
	FAULT_READ_SLAVE,
	FAULT_WRITE_DECODE,
	FAULT_WRITE_SLAVE,
	FAULT_DESCRIPTOR_UNSUPPORTED,
	FAULT_DESCRIPTOR_ABORT,
	FAULT_DESCRIPTOR_PARITY,
	FAULT_DESCRIPTOR_POISONED,
	FAULT_DESCRIPTOR_UNEXPECTED,

	FAULT_CHANNEL_STALL,
	FAULT_CHANNEL_STUCK,
	FAULT_COUNT_CORRUPT,
	FAULT_INTERRUPT_LOST,
	FAULT_INTERRUPT_SPURIOUS,

	/* A command fails; in the order of the codes. */
	FAULT_CORE_SEQUENCE,
	FAULT_CORE_OPCODE,
	FAULT_CORE_COMMAND,
	FAULT_CORE_MODE,
	FAULT_CORE_HEADER,
	FAULT_CORE_TABLE,
	FAULT_CORE_CAPACITY,
	FAULT_CORE_BATCH,
	FAULT_CORE_OFFSET,
	FAULT_CORE_WINDOW,
	FAULT_CORE_READ,
	FAULT_CORE_WRITE,
	FAULT_CORE_ECC,
	FAULT_CORE_INTERNAL,

	FAULT_CORE_HALT_SILENT,
	FAULT_CORE_STALL,
	FAULT_CORE_SLOW,
	FAULT_CORE_RESULT,
	FAULT_CORE_COMPLETED,
	FAULT_CORE_RESET_STUCK,
	FAULT_ECC_CORRECTED,
	FAULT_ECC_UNCORRECTED,
	FAULT_MEMORY_EPOCH,
	FAULT_MEMORY_EPOCH_SILENT,
	FAULT_MEMORY_NOT_READY,
	FAULT_CATTRIP,
	FAULT_IDENTITY_MAGIC,
	FAULT_IDENTITY_VERSION,
	FAULT_IDENTITY_SCHEMA,
	FAULT_IDENTITY_XDMA,
	FAULT_REMOVAL_ACCESS,
	FAULT_REMOVAL_TRANSFER,
	FAULT_REMOVAL_INTERRUPT,
	FAULT_CMS_DEAD,
	FAULTS
};

/* What reaches the card, from the lowest rung of recovery to the highest. */
enum fault_rung {
	FAULT_RUNG_NONE, /* nothing has to */
	FAULT_RUNG_POLL, /* the driver looks by itself */
	FAULT_RUNG_CHANNEL_STOP,
	FAULT_RUNG_RESUME,
	FAULT_RUNG_SOFT_RESET,
	FAULT_RUNG_BUS_RESET,
	FAULT_RUNG_POWER_CYCLE, /* and nothing that a driver can do */
};

struct fault_kind {
	const char *name;
	const char *meaning;
	const char *occasion; /* what `after` counts */
	bool state;
	enum fault_rung rung; /* that clears a state; that an event needs */
	const char *needs;    /* what the card must be started with; NULL: nothing */
};

#define FAULT_ANYWHERE (-1)

struct fault {
	enum fault_id id;
	uint64_t after;	 /* occasions that pass first */
	uint64_t passed; /* that did */
	bool struck;	 /* a state that lasts */
	int where;	 /* channel or vector; FAULT_ANYWHERE */
	uint32_t value;
	uint64_t offset;
	bool started, fatal;
	uint64_t milliseconds; /* a state ends after so long; 0: not by itself */
	uint64_t until;
};

#define FAULTS_ARMED 64

struct faults {
	struct fault armed[FAULTS_ARMED];
	size_t count;
	uint64_t struck[FAULTS]; /* how often each has */
};

extern const struct fault_kind fault_kinds[FAULTS];
const char *fault_rung_name(enum fault_rung rung);

/*
 * Arms "NAME KEY=VALUE ..." (separated by blanks or commas). 0, or -EINVAL, -ENOSPC with a message.
 * Keys: after, channel (h2c0, c2h1), vector, value, offset, ms, started, fatal.
 */
int faults_arm(struct card *card, const char *spec, char *message, size_t message_size);
/* Returns how many were disarmed; NULL: all. */
size_t faults_disarm(struct card *card, const char *name);

/* An occasion: the fault that strikes now, or NULL. The answer holds until the next call. */
const struct fault *faults_strike(struct card *card, enum fault_id id, int where);
/* Whether a state lasts, without an occasion. */
const struct fault *faults_lasting(struct card *card, enum fault_id id, int where);

/* A rung reached the card: states that it clears end. */
void faults_rung(struct card *card, enum fault_rung rung, int where);

#endif /* FIXAR_EMU_FAULT_H */
