// SPDX-License-Identifier: MIT
/*
 * The register contract on the registers: driver/HARDWARE.md's sections are walked through. What needs an arena in card
 * memory is in conform_arena.c.
 */
#include <unistd.h>

#include "hw/fixar_xdma.h"
#include "raw.h"

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
	int good = raw_expect_register(raw, FIXAR_ID_MAGIC, FIXAR_ID_MAGIC_VALUE) &&
		   raw_expect(raw, "the major version", raw_get(raw, FIXAR_ID_VERSION) >> 16,
			      FIXAR_ID_VERSION_VALUE >> 16);

	raw_report(raw, good, "identity: magic and version");
	good = 1;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && good; i++)
		good = raw_expect_between(raw, ranges[i].offset, ranges[i].low, ranges[i].high);
	if (good)
		good = raw_expect(raw, "FIFO_DEPTH & (FIFO_DEPTH - 1)", raw->depth & (raw->depth - 1), 0);
	if (good)
		good = raw_expect(raw, "MEMORY_SIZE mod 64 KiB", raw_get(raw, FIXAR_ID_MEMORY_SIZE_LO) & 0xffff, 0);
	raw_report(raw, good, "identity: every capability is in its range");
	good = 1;
	for (uint32_t offset = 0; offset <= FIXAR_ID_ACTIVATION_MEMORY && good; offset += 4) {
		const uint32_t before = raw_get(raw, offset);

		raw_set(raw, offset, ~before);
		good = raw_expect_register(raw, offset, before);
	}
	if (good)
		good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	raw_report(raw, good, "identity: writes do nothing, and are not refused");
}

/* ---- Section 4: rules ---- */

static void test_unassigned(struct raw *raw)
{
	/* All words where registers are; beyond, samples at a stride that meets every bit of an address. */
	const struct {
		uint32_t first, end, stride;
	} holes[] = {
		{ FIXAR_ID_ACTIVATION_MEMORY + 4, FIXAR_CORE_STATUS, 4 },
		{ FIXAR_WINDOW_LIMIT_HI + 4, FIXAR_MODE_PRECISION, 4 },
		{ FIXAR_MODE_NOISE_THETA + 4, FIXAR_MODE_DISCOUNT, 4 },
		{ FIXAR_MODE_END, FIXAR_COUNTER_TIMESTAMP, 4 },
		{ FIXAR_COUNTER_END, FIXAR_RESULT_BASE, 4 },
		{ FIXAR_RESULT_BASE + raw->depth * FIXAR_RESULT_BYTES, FIXAR_SLOT_BASE, 4 },
		{ FIXAR_SLOT_BASE + raw->depth * FIXAR_SLOT_BYTES, 0x10000, 4 },
		{ 0x10000, 0x40000, 0x804 },
		{ FIXAR_RESERVED_BASE, FIXAR_USER_BAR_BYTES, 0x1004 },
	};
	int good = 1;

	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		for (uint32_t offset = holes[i].first; offset < holes[i].end && good; offset += holes[i].stride) {
			raw_set(raw, offset, 0xffffffff);
			good = raw_expect_register(raw, offset, 0);
		}
	}
	if (good)
		good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	raw_report(raw, good, "rules: unassigned offsets read 0, and writes there do nothing");
}

static void test_reads(struct raw *raw)
{
	static const uint32_t blocks[][2] = { { 0, FIXAR_ID_ACTIVATION_MEMORY + 4 },
					      { FIXAR_CORE_STATUS, FIXAR_WINDOW_LIMIT_HI + 4 },
					      { FIXAR_MODE_PRECISION, FIXAR_MODE_END } };
	int good = 1;

	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
		for (uint32_t offset = blocks[b][0]; offset < blocks[b][1] && good; offset += 4)
			good = raw_expect_register(raw, offset, raw_get(raw, offset));
	for (uint32_t offset = FIXAR_CORE_STATUS; offset <= FIXAR_CORE_MEM_EPOCH && good; offset += 4)
		if (offset != FIXAR_CORE_SCRATCH && raw_get(raw, offset) == 0xffffffff)
			good = raw_expect_register(raw, offset, 0);
	raw_report(raw, good, "rules: reads change nothing, and no register is all-ones");
	raw_set(raw, FIXAR_CORE_SCRATCH, 0xa5a5a5a5);
	good = raw_expect_register(raw, FIXAR_CORE_SCRATCH, 0xa5a5a5a5);
	raw_set(raw, FIXAR_CORE_SCRATCH, 0x5a5a5a5a);
	good = good && raw_expect_register(raw, FIXAR_CORE_SCRATCH, 0x5a5a5a5a);
	good = good && raw_expect_register(raw, FIXAR_CORE_CONTROL, 0) &&
	       raw_expect_register(raw, FIXAR_CORE_DOORBELL, 0);
	raw_report(raw, good, "rules: SCRATCH holds 32 bits; CONTROL and DOORBELL read 0");
	/* One byte strobe of four. */
	((volatile uint8_t *)raw->bar)[FIXAR_CORE_SCRATCH + 1] = 0xff;
	good = raw_expect_register(raw, FIXAR_CORE_SCRATCH, 0x5a5a5a5a) && raw_expect_refused(raw, FIXAR_CORE_SCRATCH);
	raw_report(raw, good, "rules: a write of a single byte is refused");
}

static void test_soft_reset(struct raw *raw)
{
	static const uint32_t zero[] = { FIXAR_CORE_INT_STATUS,	    FIXAR_CORE_INT_ENABLE, FIXAR_CORE_ERROR_INFO,
					 FIXAR_CORE_ACCESS_ERROR,   FIXAR_WINDOW_BASE_LO,  FIXAR_WINDOW_LIMIT_LO,
					 FIXAR_CORE_ERROR_OFFSET_LO };
	const uint32_t epoch = raw_get(raw, FIXAR_CORE_MEM_EPOCH), cookie = raw_get(raw, FIXAR_CORE_MEM_COOKIE);
	int good;

	raw_set(raw, FIXAR_CORE_INT_ENABLE, FIXAR_CORE_INT_ALL);
	raw_set(raw, FIXAR_CORE_SCRATCH, 0x12345678);
	raw_set(raw, FIXAR_WINDOW_LIMIT_LO, 0x10000);
	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END; offset += 4)
		raw_set(raw, offset, 0x7fffffff);
	good = raw_soft_reset(raw);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]) && good; i++)
		good = raw_expect_register(raw, zero[i], 0);
	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END && good; offset += 4)
		good = raw_expect_register(raw, offset, 0);
	good = good && raw_expect(raw, "STATUS", raw_get(raw, FIXAR_CORE_STATUS) & ~FIXAR_CORE_STATUS_CATTRIP,
				  FIXAR_CORE_STATUS_MEMORY_READY);
	raw_report(raw, good, "soft reset: windows, modes, interrupts and errors are 0, and the core is idle");
	good = raw_expect_register(raw, FIXAR_CORE_SCRATCH, 0x12345678) &&
	       raw_expect_register(raw, FIXAR_CORE_MEM_EPOCH, epoch) &&
	       raw_expect_register(raw, FIXAR_CORE_MEM_COOKIE, cookie);
	raw_report(raw, good, "soft reset: SCRATCH, MEM_EPOCH and MEM_COOKIE stay");
}

static void test_storage(struct raw *raw)
{
	int good = 1;

	for (uint32_t offset = FIXAR_MODE_PRECISION; offset < FIXAR_MODE_END && good; offset += 4) {
		if (offset > FIXAR_MODE_NOISE_THETA && offset < FIXAR_MODE_DISCOUNT)
			continue;
		raw_set(raw, offset, 0xdeadbe00 + offset);
		good = raw_expect_register(raw, offset, 0xdeadbe00 + offset);
		raw_set(raw, offset, 0);
		good = good && raw_expect_register(raw, offset, 0);
	}
	raw_report(raw, good, "mode registers hold what was written, all 32 bits");
	raw_set(raw, FIXAR_WINDOW_BASE_LO, 0xffffffff);
	good = raw_expect_register(raw, FIXAR_WINDOW_BASE_LO, 0xfffff000);
	raw_set(raw, FIXAR_WINDOW_LIMIT_LO, 0x00012345);
	good = good && raw_expect_register(raw, FIXAR_WINDOW_LIMIT_LO, 0x00012000);
	raw_set(raw, FIXAR_WINDOW_BASE_LO, 0);
	raw_set(raw, FIXAR_WINDOW_LIMIT_LO, 0);
	good = good &&
	       raw_expect(raw, "STATUS.RESIDENT", raw_get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_RESIDENT, 0);
	good = good && raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0);
	raw_report(raw, good, "windows: the lowest 12 bits are reserved");
}

static void test_refusals(struct raw *raw)
{
	const uint32_t next = (raw->sequence + 1) & FIXAR_CORE_SEQ;
	int good;

	raw_set(raw, FIXAR_CORE_DOORBELL, (next + 1) & FIXAR_CORE_SEQ);
	good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL) &&
	       raw_expect(raw, "INT_STATUS.ACCESS", raw_get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ACCESS,
			  FIXAR_CORE_INT_ACCESS) &&
	       raw_expect_register(raw, FIXAR_CORE_SUBMITTED_SEQ, raw->sequence);
	raw_report(raw, good, "refused: a doorbell that is not the next number");
	raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL);
	raw_report(raw, good, "refused: the first one stays");
	raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ACCESS);
	good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, 0) &&
	       raw_expect(raw, "INT_STATUS.ACCESS", raw_get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ACCESS, 0);
	raw_report(raw, good, "refused: clearing INT_STATUS.ACCESS clears ACCESS_ERROR");
	raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	good = raw_expect_register(raw, FIXAR_CORE_ACCESS_ERROR, FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_CONTROL);
	raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ACCESS);
	raw_report(raw, good, "refused: RESUME where nothing is halted");
}

/* ---- Sections 6, 7 and 12: commands ---- */

static void test_nop(struct raw *raw)
{
	const struct raw_slot quiet = { { FIXAR_OPCODE_NOP } };
	const struct raw_slot loud = { { FIXAR_OPCODE_NOP | FIXAR_COMMAND_INTERRUPT } };
	const uint32_t commands = raw_get(raw, FIXAR_COUNTER_COMMANDS), line = 1u << raw->user_irq;
	uint32_t number, record;
	int good = 1;

	/* Around the queue and further. */
	for (uint32_t i = 0; i <= raw->depth && good; i++) {
		number = raw_ring(raw, quiet, false);
		record = FIXAR_RESULT_BASE + number % raw->depth * FIXAR_RESULT_BYTES;
		good = raw_wait(raw, FIXAR_CORE_COMPLETED_SEQ, FIXAR_CORE_SEQ, number) &&
		       raw_expect_register(raw, record, number) &&
		       raw_expect(raw, "the record's code", raw_get(raw, record + 4) & FIXAR_CORE_ERROR_INFO_CODE, 0);
	}
	good = good && raw_expect(raw, "INT_STATUS", raw_get(raw, FIXAR_CORE_INT_STATUS), 0);
	good = good && raw_expect(raw, "COMMANDS", raw_get(raw, FIXAR_COUNTER_COMMANDS) - commands, raw->depth + 1);
	raw_report(raw, good, "NOP: completes, leaves a record, counts, and is silent");
	good = 1;
	for (int i = 0; i < 3; i++)
		number = raw_ring(raw, loud, false);
	good = raw_wait(raw, FIXAR_CORE_COMPLETED_SEQ, FIXAR_CORE_SEQ, raw->sequence) &&
	       raw_expect(raw, "INT_STATUS", raw_get(raw, FIXAR_CORE_INT_STATUS), FIXAR_CORE_INT_COMPLETED) &&
	       raw_expect(raw, "the user line", raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line,
			  0);
	raw_report(raw, good, "interrupts: several become one bit, and a masked one does not raise the line");
	raw_set(raw, FIXAR_CORE_INT_ENABLE, FIXAR_CORE_INT_COMPLETED);
	good = raw_expect(raw, "the user line", raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line,
			  line);
	raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_COMPLETED);
	usleep(1000);
	good = good && raw_expect(raw, "INT_STATUS", raw_get(raw, FIXAR_CORE_INT_STATUS), 0) &&
	       raw_expect(raw, "the user line, cleared",
			  raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_PENDING) / 4] & line, 0);
	raw_set(raw, FIXAR_CORE_INT_ENABLE, 0);
	raw_report(raw, good, "interrupts: the line is the level of status and enable");
}

static void test_commands(struct raw *raw)
{
	static const uint32_t nop = FIXAR_OPCODE_NOP, act = FIXAR_OPCODE_ACT, training = FIXAR_OPCODE_TRAIN;

	raw_expect_failure(raw, "SEQUENCE: before a wrong opcode", (struct raw_slot){ { 0xee } },
			   (struct raw_failure){ .code = FIXAR_ERROR_SEQUENCE, .offset = 4, .wrong_sequence = true });
	raw_expect_failure(raw, "OPCODE: none", (struct raw_slot){ { 0 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_OPCODE, .offset = 0 });
	raw_expect_failure(raw, "OPCODE: before a wrong field", (struct raw_slot){ { 0x1f, 0, 7, 7 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_OPCODE, .offset = 0 });
	raw_expect_failure(raw, "COMMAND: a reserved bit of control", (struct raw_slot){ { nop | 0x200 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 0 });
	raw_expect_failure(raw, "COMMAND: EXPLORE without ACT", (struct raw_slot){ { nop | FIXAR_COMMAND_EXPLORE } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 0 });
	raw_expect_failure(raw, "COMMAND: a count of NOP", (struct raw_slot){ { nop, 0, 1 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 8 });
	raw_expect_failure(raw, "COMMAND: a reserved word", (struct raw_slot){ { nop, 0, 0, 1 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 12 });
	raw_expect_failure(raw, "COMMAND: an input of NOP", (struct raw_slot){ { nop, 0, 0, 0, 64 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 16 });
	raw_expect_failure(raw, "COMMAND: an output of NOP", (struct raw_slot){ { nop, 0, 0, 0, 0, 0, 64 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 24 });
	raw_expect_failure(raw, "COMMAND: statistics of NOP", (struct raw_slot){ { nop, 0, 0, 0, 0, 0, 0, 0, 64 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 32 });
	raw_expect_failure(raw, "COMMAND: a bit of the reserved field at the end",
			   (struct raw_slot){ { [0] = nop, [15] = 1 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 40 });
	raw_expect_failure(raw, "COMMAND: no samples", (struct raw_slot){ { training, 0, 0, 0, 8192 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 8 });
	raw_expect_failure(raw, "COMMAND: an input that is not aligned",
			   (struct raw_slot){ { training, 0, 1, 0, 8200 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 16 });
	raw_expect_failure(raw, "COMMAND: ACT without an output", (struct raw_slot){ { act, 0, 1, 0, 8192 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 24 });
	raw_set(raw, FIXAR_MODE_PRECISION, 2);
	raw_expect_failure(raw, "COMMAND: before a wrong mode", (struct raw_slot){ { training, 0, 1, 0, 8200 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_COMMAND, .offset = 16 });
	raw_expect_failure(raw, "MODE: precision", (struct raw_slot){ { act, 0, 1, 0, 8192, 0, 16384 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_MODE, .offset = FIXAR_MODE_PRECISION });
	raw_set(raw, FIXAR_MODE_PRECISION, 0);
	raw_set(raw, FIXAR_MODE_NOISE, 3);
	raw_expect_failure(raw, "MODE: noise", (struct raw_slot){ { act, 0, 1, 0, 8192, 0, 16384 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_MODE, .offset = FIXAR_MODE_NOISE });
	raw_expect_failure(raw, "MODE: training does not look at noise, but at tau",
			   (struct raw_slot){ { training, 0, 1, 0, 8192 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_MODE, .offset = FIXAR_MODE_TAU });
	raw_set(raw, FIXAR_MODE_NOISE, 0);
	raw_expect_failure(raw, "WINDOW: a window of limit 0 lets nothing through",
			   (struct raw_slot){ { act, 0, 1, 0, 8192, 0, 16384 } },
			   (struct raw_failure){ .code = FIXAR_ERROR_WINDOW, .offset = 0 });
	raw_expect_failure(raw, "WINDOW: RELOAD looks at no mode", (struct raw_slot){ { FIXAR_OPCODE_RELOAD } },
			   (struct raw_failure){ .code = FIXAR_ERROR_WINDOW, .offset = 0 });
}

/* ---- All ---- */

static void run(struct raw *raw, const struct card_place *place)
{
	if (!raw_expect_register(raw, FIXAR_ID_MAGIC, FIXAR_ID_MAGIC_VALUE)) {
		raw_report(raw, 0, "identity: magic and version");
		return;
	}
	raw->depth = raw_get(raw, FIXAR_ID_FIFO_DEPTH);
	raw->user_irq = raw_get(raw, FIXAR_ID_USER_IRQ);
	if (raw->depth < FIXAR_FIFO_DEPTH_MIN || raw->depth > FIXAR_FIFO_DEPTH_MAX || raw->user_irq > 15) {
		raw_expect_between(raw, FIXAR_ID_FIFO_DEPTH, FIXAR_FIFO_DEPTH_MIN, FIXAR_FIFO_DEPTH_MAX);
		raw_report(raw, 0, "identity: every capability is in its range");
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
	raw_test_arena(raw, place);
	raw_soft_reset(raw);
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
	if (raw_open(&raw, place, dma))
		return CLI_FAILED;
	run(&raw, place);
	raw_close(&raw, place);
	return CLI_OK;
}
