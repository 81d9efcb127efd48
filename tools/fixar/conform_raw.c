// SPDX-License-Identifier: MIT
/*
 * The register contract on the registers: BAR0 is mapped through sysfs, and driver/HARDWARE.md's sections are walked
 * through. Nothing is copied to card memory (that would take a driver, for addresses of host memory that stay), so what
 * needs an arena there is left to fixar conform without --raw.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform.h"
#include "hw/fixar_regs.h"
#include "hw/fixar_xdma.h"

struct raw {
	struct conform *conform;
	volatile uint32_t *bar, *xdma;
	uint32_t depth, sequence; /* of the queue; the last number that was given out */
	uint32_t user_irq;
	char detail[256];
};

static uint32_t get(const struct raw *raw, uint32_t offset)
{
	return raw->bar[offset / 4];
}

static void set(const struct raw *raw, uint32_t offset, uint32_t value)
{
	raw->bar[offset / 4] = value;
}

static int expect(struct raw *raw, const char *what, uint32_t found, uint32_t expected)
{
	if (found == expected)
		return 1;
	snprintf(raw->detail, sizeof(raw->detail), "%s is %#x, expected %#x", what, found, expected);
	return 0;
}

static int expect_register(struct raw *raw, uint32_t offset, uint32_t expected)
{
	char name[32];

	snprintf(name, sizeof(name), "register %#x", offset);
	return expect(raw, name, get(raw, offset), expected);
}

static int expect_between(struct raw *raw, uint32_t offset, uint32_t low, uint32_t high)
{
	const uint32_t value = get(raw, offset);

	if (value >= low && value <= high)
		return 1;
	snprintf(raw->detail, sizeof(raw->detail), "register %#x is %#x, expected %#x to %#x", offset, value, low,
		 high);
	return 0;
}

/* Until the masked bits of a register are `value`: at most a second. */
static int wait_for(struct raw *raw, uint32_t offset, uint32_t mask, uint32_t value)
{
	for (int i = 0; i < 1000; i++) {
		if ((get(raw, offset) & mask) == value)
			return 1;
		usleep(1000);
	}
	snprintf(raw->detail, sizeof(raw->detail), "register %#x stays at %#x; bits %#x should become %#x", offset,
		 get(raw, offset), mask, value);
	return 0;
}

static void report(struct raw *raw, int passed, const char *name)
{
	conform_report(raw->conform, passed, name, raw->detail);
}

/* ---- Section 5: identity ---- */

static void test_identity(struct raw *raw)
{
	static const struct {
		uint32_t offset, low, high;
	} ranges[] = {
		{ FIXAR_ID_OPCODES, 1u << FIXAR_OPCODE_NOP, 0x7fffffff },
		{ FIXAR_ID_CLOCK_KHZ, 1, 0xfffffffe },
		{ FIXAR_ID_FIFO_DEPTH, FIXAR_FIFO_DEPTH_MIN, FIXAR_FIFO_DEPTH_MAX },
		{ FIXAR_ID_USER_IRQ, 0, 15 },
		{ FIXAR_ID_ARENA_SCHEMA, 1, 0xfffffffe },
		{ FIXAR_ID_MAX_WIDTH, 1, 16384 },
		{ FIXAR_ID_MAX_HIDDEN, 1, 31 },
		{ FIXAR_ID_MAX_BATCH, 1, 65536 },
		{ FIXAR_ID_ARRAY_CORES, 1, 64 },
		{ FIXAR_ID_ARRAY_ROWS, 1, 256 },
		{ FIXAR_ID_ARRAY_COLUMNS, 1, 256 },
		{ FIXAR_ID_ARRAY_HALF_LANES, 1, 2 },
		{ FIXAR_ID_ARRAY_OUTPUT_LATENCY, 1, 1024 },
		{ FIXAR_ID_ARRAY_FUNCTION_LATENCY, 0, 1024 },
		{ FIXAR_ID_ARRAY_UPDATE_LANES, 1, 256 },
		{ FIXAR_ID_ARRAY_UPDATE_LATENCY, 0, 1024 },
		{ FIXAR_ID_ARRAY_HBM_BYTES, 1, 65536 },
	};
	int good = expect_register(raw, FIXAR_ID_MAGIC, FIXAR_ID_MAGIC_VALUE) &&
		   expect(raw, "the major version", get(raw, FIXAR_ID_VERSION) >> 16, FIXAR_ID_VERSION_VALUE >> 16);

	report(raw, good, "identity: magic and version");
	good = 1;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && good; i++)
		good = expect_between(raw, ranges[i].offset, ranges[i].low, ranges[i].high);
	if (good)
		good = expect(raw, "FIFO_DEPTH & (FIFO_DEPTH - 1)", raw->depth & (raw->depth - 1), 0);
	if (good)
		good = expect(raw, "MEMORY_SIZE mod 64 KiB", get(raw, FIXAR_ID_MEMORY_SIZE_LO) & 0xffff, 0);
	report(raw, good, "identity: every capability is in its range");
	good = 1;
	for (uint32_t offset = 0; offset <= FIXAR_ID_ACTIVATION_MEMORY && good; offset += 4) {
		const uint32_t before = get(raw, offset);

		set(raw, offset, ~before);
		good = expect_register(raw, offset, before);
	}
	if (good)
		good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	report(raw, good, "identity: writes do nothing, and are not refused");
}

/* ---- Section 4: rules ---- */

static void test_unassigned(struct raw *raw)
{
	/* All words near registers; beyond them samples, at a stride that meets every bit of an address. */
	static const struct {
		uint32_t first, end, stride;
	} holes[] = {
		{ FIXAR_ID_ACTIVATION_MEMORY + 4, 0x400, 4 },
		{ FIXAR_WINDOW_LIMIT_HI + 4, 0x1200, 4 },
		{ FIXAR_MODE_NOISE_THETA + 4, FIXAR_MODE_DISCOUNT, 4 },
		{ FIXAR_MODE_END, 0x2200, 4 },
		{ FIXAR_COUNTER_END, 0x3200, 4 },
		{ 0x400, 0x1000, 0x104 },
		{ 0x1200, 0x2000, 0x104 },
		{ 0x2200, 0x3000, 0x104 },
		{ 0x3200, 0x4000, 0x104 },
		{ 0x6000, 0x8000, 0x104 },
		{ 0xc000, 0x40000, 0x804 },
		{ FIXAR_RESERVED_BASE, FIXAR_USER_BAR_BYTES, 0x1004 },
	};
	int good = 1;

	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		for (uint32_t offset = holes[i].first; offset < holes[i].end && good; offset += holes[i].stride) {
			set(raw, offset, 0xffffffff);
			good = expect_register(raw, offset, 0);
		}
	}
	if (good)
		good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	report(raw, good, "rules: unassigned offsets read 0, and writes there do nothing");
}

static void test_reads(struct raw *raw)
{
	static const uint32_t blocks[][2] = { { 0, FIXAR_ID_ACTIVATION_MEMORY + 4 },
					      { FIXAR_CORE_STATUS, FIXAR_WINDOW_LIMIT_HI + 4 },
					      { FIXAR_MODE_PRECISION, FIXAR_MODE_END } };
	int good = 1;

	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
		for (uint32_t offset = blocks[b][0]; offset < blocks[b][1] && good; offset += 4)
			good = expect_register(raw, offset, get(raw, offset));
	for (uint32_t offset = FIXAR_CORE_STATUS; offset <= FIXAR_CORE_MEM_EPOCH && good; offset += 4)
		if (offset != FIXAR_CORE_SCRATCH && get(raw, offset) == 0xffffffff)
			good = expect_register(raw, offset, 0);
	report(raw, good, "rules: reads change nothing, and no register is all-ones");
	set(raw, FIXAR_CORE_SCRATCH, 0xa5a5a5a5);
	good = expect_register(raw, FIXAR_CORE_SCRATCH, 0xa5a5a5a5);
	set(raw, FIXAR_CORE_SCRATCH, 0x5a5a5a5a);
	good = good && expect_register(raw, FIXAR_CORE_SCRATCH, 0x5a5a5a5a);
	good = good && expect_register(raw, FIXAR_CORE_CONTROL, 0) && expect_register(raw, FIXAR_CORE_DOORBELL, 0);
	report(raw, good, "rules: SCRATCH holds 32 bits; CONTROL and DOORBELL read 0");
}

static int soft_reset(struct raw *raw)
{
	set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_SOFT_RESET);
	if (!wait_for(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_RESETTING, 0) ||
	    !wait_for(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_MEMORY_READY, FIXAR_CORE_STATUS_MEMORY_READY))
		return 0;
	raw->sequence = get(raw, FIXAR_CORE_COMPLETED_SEQ);
	return expect(raw, "SUBMITTED_SEQ", get(raw, FIXAR_CORE_SUBMITTED_SEQ), raw->sequence);
}

static void test_soft_reset(struct raw *raw)
{
	static const uint32_t zero[] = { FIXAR_CORE_INT_STATUS,	    FIXAR_CORE_INT_ENABLE, FIXAR_CORE_ERROR_INFO,
					 FIXAR_CORE_ACCESS_ERROR,   FIXAR_WINDOW_BASE_LO,  FIXAR_WINDOW_LIMIT_LO,
					 FIXAR_CORE_ERROR_OFFSET_LO };
	const uint32_t epoch = get(raw, FIXAR_CORE_MEM_EPOCH), cookie = get(raw, FIXAR_CORE_MEM_COOKIE);
	int good;

	set(raw, FIXAR_CORE_INT_ENABLE, FIXAR_CORE_INT_ALL);
	set(raw, FIXAR_CORE_SCRATCH, 0x12345678);
	set(raw, FIXAR_WINDOW_LIMIT_LO, 0x10000);
	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END; offset += 4)
		set(raw, offset, 0x7fffffff);
	good = soft_reset(raw);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]) && good; i++)
		good = expect_register(raw, zero[i], 0);
	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END && good; offset += 4)
		good = expect_register(raw, offset, 0);
	good = good && expect(raw, "STATUS", get(raw, FIXAR_CORE_STATUS) & ~FIXAR_CORE_STATUS_CATTRIP,
			      FIXAR_CORE_STATUS_MEMORY_READY);
	report(raw, good, "soft reset: windows, modes, interrupts and errors are 0, and the core is idle");
	good = expect_register(raw, FIXAR_CORE_SCRATCH, 0x12345678) &&
	       expect_register(raw, FIXAR_CORE_MEM_EPOCH, epoch) && expect_register(raw, FIXAR_CORE_MEM_COOKIE, cookie);
	report(raw, good, "soft reset: SCRATCH, MEM_EPOCH and MEM_COOKIE stay");
}

static void test_storage(struct raw *raw)
{
	int good = 1;

	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END && good; offset += 4) {
		if (offset > FIXAR_MODE_NOISE_THETA && offset < FIXAR_MODE_DISCOUNT)
			continue;
		set(raw, offset, 0xdeadbe00 + offset);
		good = expect_register(raw, offset, 0xdeadbe00 + offset);
		set(raw, offset, 0);
		good = good && expect_register(raw, offset, 0);
	}
	report(raw, good, "mode registers hold what was written, all 32 bits");
	set(raw, FIXAR_WINDOW_BASE_LO, 0xffffffff);
	good = expect_register(raw, FIXAR_WINDOW_BASE_LO, 0xfffff000);
	set(raw, FIXAR_WINDOW_LIMIT_LO, 0x00012345);
	good = good && expect_register(raw, FIXAR_WINDOW_LIMIT_LO, 0x00012000);
	set(raw, FIXAR_WINDOW_BASE_LO, 0);
	set(raw, FIXAR_WINDOW_LIMIT_LO, 0);
	good = good && expect(raw, "STATUS.RESIDENT", get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_RESIDENT, 0);
	good = good && expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	report(raw, good, "windows: the lowest 12 bits are reserved");
}

static void test_refusals(struct raw *raw)
{
	const uint32_t next = (raw->sequence + 1) & FIXAR_CORE_SEQ;
	int good;

	set(raw, FIXAR_CORE_DOORBELL, (next + 1) & FIXAR_CORE_SEQ);
	good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL) &&
	       expect(raw, "INT_STATUS.ACCESS", get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ACCESS,
		      FIXAR_CORE_INT_ACCESS) &&
	       expect_register(raw, FIXAR_CORE_SUBMITTED_SEQ, raw->sequence);
	report(raw, good, "refused: a doorbell that is not the next number");
	set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL);
	report(raw, good, "refused: the first one stays");
	set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ACCESS);
	good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0) &&
	       expect(raw, "INT_STATUS.ACCESS", get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ACCESS, 0);
	report(raw, good, "refused: clearing INT_STATUS.ACCESS clears ACCESS_ERROR");
	set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	good = expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_CONTROL);
	set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ACCESS);
	report(raw, good, "refused: RESUME where nothing is halted");
}

/* ---- Sections 6, 7 and 12: commands ---- */

struct slot {
	uint32_t word[FIXAR_SLOT_BYTES / 4];
};

/* Fills the next slot and rings. A `seq` of its own in the slot if `wrong_sequence`. */
static uint32_t ring(struct raw *raw, struct slot slot, int wrong_sequence)
{
	const uint32_t next = (raw->sequence + 1) & FIXAR_CORE_SEQ;

	slot.word[1] = wrong_sequence ? next ^ 1 : next;
	for (uint32_t i = 0; i < FIXAR_SLOT_BYTES / 4; i++)
		set(raw, FIXAR_SLOT_BASE + next % raw->depth * FIXAR_SLOT_BYTES + 4 * i, slot.word[i]);
	set(raw, FIXAR_CORE_DOORBELL, next);
	raw->sequence = next;
	return next;
}

static void test_nop(struct raw *raw)
{
	const struct slot quiet = { { FIXAR_OPCODE_NOP } };
	const struct slot loud = { { FIXAR_OPCODE_NOP | FIXAR_COMMAND_INTERRUPT } };
	const uint32_t commands = get(raw, FIXAR_COUNTER_COMMANDS), line = 1u << raw->user_irq;
	uint32_t number, record;
	int good = 1;

	/* Around the queue and further. */
	for (uint32_t i = 0; i <= raw->depth && good; i++) {
		number = ring(raw, quiet, 0);
		record = FIXAR_RESULT_BASE + number % raw->depth * FIXAR_RESULT_BYTES;
		good = wait_for(raw, FIXAR_CORE_COMPLETED_SEQ, FIXAR_CORE_SEQ, number) &&
		       expect_register(raw, record, number) &&
		       expect(raw, "the record's code", get(raw, record + 4) & FIXAR_CORE_ERROR_INFO_CODE, 0);
	}
	good = good && expect(raw, "INT_STATUS", get(raw, FIXAR_CORE_INT_STATUS), 0);
	good = good && expect(raw, "COMMANDS", get(raw, FIXAR_COUNTER_COMMANDS) - commands, raw->depth + 1);
	report(raw, good, "NOP: completes, leaves a record, counts, and is silent");
	good = 1;
	for (int i = 0; i < 3; i++)
		number = ring(raw, loud, 0);
	good = wait_for(raw, FIXAR_CORE_COMPLETED_SEQ, FIXAR_CORE_SEQ, raw->sequence) &&
	       expect(raw, "INT_STATUS", get(raw, FIXAR_CORE_INT_STATUS), FIXAR_CORE_INT_COMPLETED) &&
	       expect(raw, "the user line", raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line, 0);
	report(raw, good, "interrupts: several become one bit, and a masked one does not raise the line");
	set(raw, FIXAR_CORE_INT_ENABLE, FIXAR_CORE_INT_COMPLETED);
	good = expect(raw, "the user line", raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line, line);
	set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_COMPLETED);
	usleep(1000);
	good = good && expect(raw, "INT_STATUS", get(raw, FIXAR_CORE_INT_STATUS), 0) &&
	       expect(raw, "the user line, cleared",
		      raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line, 0);
	set(raw, FIXAR_CORE_INT_ENABLE, 0);
	report(raw, good, "interrupts: the line is the level of status and enable");
}

/* The command fails with a code and an offset, and RESUME makes the core go on. */
static void expect_failure(struct raw *raw, const char *name, struct slot slot, int wrong_sequence, uint32_t code,
			   uint32_t offset)
{
	const uint32_t completed = get(raw, FIXAR_CORE_COMPLETED_SEQ), number = ring(raw, slot, wrong_sequence);
	int good =
		wait_for(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_HALTED | FIXAR_CORE_STATUS_BUSY,
			 FIXAR_CORE_STATUS_HALTED) &&
		expect(raw, "the code", get(raw, FIXAR_CORE_ERROR_INFO) & FIXAR_CORE_ERROR_INFO_CODE, code) &&
		expect(raw, "STARTED and FATAL",
		       get(raw, FIXAR_CORE_ERROR_INFO) & (FIXAR_CORE_ERROR_INFO_STARTED | FIXAR_CORE_ERROR_INFO_FATAL),
		       0) &&
		expect_register(raw, FIXAR_CORE_ERROR_SEQ, number) &&
		expect_register(raw, FIXAR_CORE_ERROR_OFFSET_LO, offset) &&
		expect_register(raw, FIXAR_CORE_ERROR_OFFSET_HI, 0) &&
		expect_register(raw, FIXAR_CORE_COMPLETED_SEQ, completed) &&
		expect(raw, "INT_STATUS.ERROR", get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ERROR,
		       FIXAR_CORE_INT_ERROR);

	if (good) {
		set(raw, FIXAR_CORE_DOORBELL, (number + 1) & FIXAR_CORE_SEQ);
		good = expect(raw, "ACCESS_ERROR of a doorbell while halted", get(raw, FIXAR_CORE_ACCESS_ERROR),
			      FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL);
	}
	set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ALL);
	set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	raw->sequence = completed;
	good = good && wait_for(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_HALTED, 0) &&
	       expect_register(raw, FIXAR_CORE_SUBMITTED_SEQ, completed) &&
	       expect_register(raw, FIXAR_CORE_ERROR_INFO, 0);
	report(raw, good, name);
	if (!good)
		soft_reset(raw);
}

static void test_commands(struct raw *raw)
{
	static const uint32_t nop = FIXAR_OPCODE_NOP, act = FIXAR_OPCODE_ACT, training = FIXAR_OPCODE_TRAIN;

	expect_failure(raw, "SEQUENCE: before a wrong opcode", (struct slot){ { 0xee } }, 1, FIXAR_ERROR_SEQUENCE, 4);
	expect_failure(raw, "OPCODE: none", (struct slot){ { 0 } }, 0, FIXAR_ERROR_OPCODE, 0);
	expect_failure(raw, "OPCODE: before a wrong field", (struct slot){ { 0x1f, 0, 7, 7 } }, 0, FIXAR_ERROR_OPCODE,
		       0);
	expect_failure(raw, "COMMAND: a reserved bit of control", (struct slot){ { nop | 0x200 } }, 0,
		       FIXAR_ERROR_COMMAND, 0);
	expect_failure(raw, "COMMAND: EXPLORE without ACT", (struct slot){ { nop | FIXAR_COMMAND_EXPLORE } }, 0,
		       FIXAR_ERROR_COMMAND, 0);
	expect_failure(raw, "COMMAND: a count of NOP", (struct slot){ { nop, 0, 1 } }, 0, FIXAR_ERROR_COMMAND, 8);
	expect_failure(raw, "COMMAND: a reserved word", (struct slot){ { nop, 0, 0, 1 } }, 0, FIXAR_ERROR_COMMAND, 12);
	expect_failure(raw, "COMMAND: an input of NOP", (struct slot){ { nop, 0, 0, 0, 64 } }, 0, FIXAR_ERROR_COMMAND,
		       16);
	expect_failure(raw, "COMMAND: an output of NOP", (struct slot){ { nop, 0, 0, 0, 0, 0, 64 } }, 0,
		       FIXAR_ERROR_COMMAND, 24);
	expect_failure(raw, "COMMAND: statistics of NOP", (struct slot){ { nop, 0, 0, 0, 0, 0, 0, 0, 64 } }, 0,
		       FIXAR_ERROR_COMMAND, 32);
	expect_failure(raw, "COMMAND: a bit of the reserved field at the end", (struct slot){ { [0] = nop, [15] = 1 } },
		       0, FIXAR_ERROR_COMMAND, 40);
	expect_failure(raw, "COMMAND: no samples", (struct slot){ { training, 0, 0, 0, 8192 } }, 0, FIXAR_ERROR_COMMAND,
		       8);
	expect_failure(raw, "COMMAND: an input that is not aligned", (struct slot){ { training, 0, 1, 0, 8200 } }, 0,
		       FIXAR_ERROR_COMMAND, 16);
	expect_failure(raw, "COMMAND: ACT without an output", (struct slot){ { act, 0, 1, 0, 8192 } }, 0,
		       FIXAR_ERROR_COMMAND, 24);
	set(raw, FIXAR_MODE_PRECISION, 2);
	expect_failure(raw, "COMMAND: before a wrong mode", (struct slot){ { training, 0, 1, 0, 8200 } }, 0,
		       FIXAR_ERROR_COMMAND, 16);
	expect_failure(raw, "MODE: precision", (struct slot){ { act, 0, 1, 0, 8192, 0, 16384 } }, 0, FIXAR_ERROR_MODE,
		       FIXAR_MODE_PRECISION);
	set(raw, FIXAR_MODE_PRECISION, 0);
	set(raw, FIXAR_MODE_NOISE, 3);
	expect_failure(raw, "MODE: noise", (struct slot){ { act, 0, 1, 0, 8192, 0, 16384 } }, 0, FIXAR_ERROR_MODE,
		       FIXAR_MODE_NOISE);
	expect_failure(raw, "MODE: training does not look at noise, but at tau",
		       (struct slot){ { training, 0, 1, 0, 8192 } }, 0, FIXAR_ERROR_MODE, FIXAR_MODE_TAU);
	set(raw, FIXAR_MODE_NOISE, 0);
	expect_failure(raw, "WINDOW: a window of limit 0 lets nothing through",
		       (struct slot){ { act, 0, 1, 0, 8192, 0, 16384 } }, 0, FIXAR_ERROR_WINDOW, 0);
	expect_failure(raw, "WINDOW: RELOAD looks at no mode", (struct slot){ { FIXAR_OPCODE_RELOAD } }, 0,
		       FIXAR_ERROR_WINDOW, 0);
}

/* ---- Around ---- */

static volatile uint32_t *map(const struct card_place *place, int bar)
{
	char path[128];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", place->address, bar);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0) {
		cli_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	memory = mmap(NULL, (size_t)place->bar[bar].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED) {
		cli_error("%s cannot be mapped: %s", path, strerror(errno));
		return NULL;
	}
	return memory;
}

/* pci_enable_device() of a function without a driver: its memory answers then. */
static int enable(const struct card_place *place, const char *value)
{
	char path[128];
	int fd, error = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", place->address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, 1) != 1)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error)
		cli_error("%s: %s", path, strerror(error));
	return error;
}

static void run(struct raw *raw)
{
	if (!expect_register(raw, FIXAR_ID_MAGIC, FIXAR_ID_MAGIC_VALUE)) {
		report(raw, 0, "identity: magic and version");
		return;
	}
	raw->depth = get(raw, FIXAR_ID_FIFO_DEPTH);
	raw->user_irq = get(raw, FIXAR_ID_USER_IRQ);
	if (raw->depth < FIXAR_FIFO_DEPTH_MIN || raw->depth > FIXAR_FIFO_DEPTH_MAX || raw->user_irq > 15) {
		expect_between(raw, FIXAR_ID_FIFO_DEPTH, FIXAR_FIFO_DEPTH_MIN, FIXAR_FIFO_DEPTH_MAX);
		report(raw, 0, "identity: every capability is in its range");
		return;
	}
	test_soft_reset(raw);
	test_identity(raw);
	test_unassigned(raw);
	test_reads(raw);
	test_storage(raw);
	test_refusals(raw);
	test_nop(raw);
	test_commands(raw);
	conform_skip(raw->conform, "checks 6 to 12, writes while busy, window limits, soft reset within a command",
		     "they need an arena in card memory, which only a driver can put there");
	soft_reset(raw);
}

int conform_raw(struct conform *conform, const struct card_place *place)
{
	struct raw raw = { .conform = conform };
	/* BAR0 of 64 bits takes two of the six. */
	const int dma = place->bar[1].bytes ? 1 : 2;

	if (place->bar[0].bytes != FIXAR_USER_BAR_BYTES || place->bar[dma].bytes != FIXAR_XDMA_BAR_BYTES) {
		cli_error("the card %s has BARs of %llu and %llu bytes; expected %u and %u", place->address,
			  (unsigned long long)place->bar[0].bytes, (unsigned long long)place->bar[dma].bytes,
			  FIXAR_USER_BAR_BYTES, FIXAR_XDMA_BAR_BYTES);
		return CLI_FAILED;
	}
	if (enable(place, "1"))
		return CLI_FAILED;
	raw.bar = map(place, FIXAR_USER_BAR);
	raw.xdma = raw.bar ? map(place, dma) : NULL;
	if (raw.xdma)
		run(&raw);
	if (raw.bar)
		munmap((void *)(uintptr_t)raw.bar, FIXAR_USER_BAR_BYTES);
	if (raw.xdma)
		munmap((void *)(uintptr_t)raw.xdma, FIXAR_XDMA_BAR_BYTES);
	enable(place, "0");
	return raw.xdma ? CLI_OK : CLI_FAILED;
}
