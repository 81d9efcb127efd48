// SPDX-License-Identifier: MIT
/*
 * Description: the hardware's and the kernel interface's layouts are the documented ones, and an arena's state is what step_layout() says
 *
 * The numbers here were written from the tables of driver/HARDWARE.md and from PG195, not from the headers: three places have to agree. The
 * rows of registers are looked for in HARDWARE.md itself.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/fixar_arena.h"
#include "hw/fixar_regs.h"
#include "hw/fixar_xdma.h"
#include "ktap.h"
#include "nn/tables.h"
#include "pe/array.h"
#include "step/step.h"
#include "uapi_layout.h"

#if __has_include("drm.h")
#define HAVE_DRM 1
#include "uapi/drm/fixar_accel.h"
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct number {
	const char *name;
	uint64_t header, expected;
};

static void compare(const char *what, const struct number *numbers, size_t count)
{
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		if (numbers[i].header == numbers[i].expected)
			continue;
		wrong++;
		ktap_note("%s is %#llx, expected %#llx", numbers[i].name, (unsigned long long)numbers[i].header,
			  (unsigned long long)numbers[i].expected);
	}
	ktap_ok(!wrong, "%s: %zu numbers", what, count);
}

/* ---- Registers of BAR0 ---- */

/* The row of HARDWARE.md's table begins so; NULL where a row has two registers. */
struct place {
	const char *row;
	const char *name;
	uint32_t header, expected;
};

#define PLACE(row, name, offset) { row, #name, FIXAR_##name, offset }
static const struct place places[] = {
	PLACE("| 0x000 | MAGIC | 0x52584946,", ID_MAGIC, 0x00),
	PLACE("| 0x004 | VERSION |", ID_VERSION, 0x04),
	PLACE("| 0x008 | CAPS | 0 WINDOWS, 1 CMS, 2 ECC |", ID_CAPS, 0x08),
	PLACE("| 0x00c | OPCODES |", ID_OPCODES, 0x0c),
	PLACE("| 0x010, 0x014 | MEMORY_SIZE |", ID_MEMORY_SIZE_LO, 0x10),
	PLACE(NULL, ID_MEMORY_SIZE_HI, 0x14),
	PLACE("| 0x018, 0x01c | MEMORY_BASE |", ID_MEMORY_BASE_LO, 0x18),
	PLACE(NULL, ID_MEMORY_BASE_HI, 0x1c),
	PLACE("| 0x020 | CLOCK_KHZ |", ID_CLOCK_KHZ, 0x20),
	PLACE("| 0x024 | FIFO_DEPTH |", ID_FIFO_DEPTH, 0x24),
	PLACE("| 0x028 | USER_IRQ |", ID_USER_IRQ, 0x28),
	PLACE("| 0x02c | ARENA_SCHEMA |", ID_ARENA_SCHEMA, 0x2c),
	PLACE("| 0x030 | MAX_WIDTH |", ID_MAX_WIDTH, 0x30),
	PLACE("| 0x034 | MAX_HIDDEN |", ID_MAX_HIDDEN, 0x34),
	PLACE("| 0x038 | MAX_BATCH |", ID_MAX_BATCH, 0x38),
	PLACE("| 0x03c | BUILD |", ID_BUILD, 0x3c),
	PLACE("| 0x040 | ARRAY_CORES |", ID_ARRAY_CORES, 0x40),
	PLACE("| 0x044 | ARRAY_ROWS |", ID_ARRAY_ROWS, 0x44),
	PLACE("| 0x048 | ARRAY_COLUMNS |", ID_ARRAY_COLUMNS, 0x48),
	PLACE("| 0x04c | ARRAY_HALF_LANES |", ID_ARRAY_HALF_LANES, 0x4c),
	PLACE("| 0x050 | ARRAY_OUTPUT_LATENCY |", ID_ARRAY_OUTPUT_LATENCY, 0x50),
	PLACE("| 0x054 | ARRAY_FUNCTION_LATENCY |", ID_ARRAY_FUNCTION_LATENCY, 0x54),
	PLACE("| 0x058 | ARRAY_UPDATE_LANES |", ID_ARRAY_UPDATE_LANES, 0x58),
	PLACE("| 0x05c | ARRAY_UPDATE_LATENCY |", ID_ARRAY_UPDATE_LATENCY, 0x5c),
	PLACE("| 0x060 | ARRAY_HBM_BYTES |", ID_ARRAY_HBM_BYTES, 0x60),
	PLACE("| 0x064 | WEIGHT_MEMORY |", ID_WEIGHT_MEMORY, 0x64),
	PLACE("| 0x068 | GRADIENT_MEMORY |", ID_GRADIENT_MEMORY, 0x68),
	PLACE("| 0x06c | ACTIVATION_MEMORY |", ID_ACTIVATION_MEMORY, 0x6c),
	PLACE("| 0x1000 | STATUS | RO | | 0 BUSY, 1 HALTED, 2 RESETTING, 3 MEMORY_READY, 4 RESIDENT, 5 CATTRIP |", CORE_STATUS, 0x1000),
	PLACE("| 0x1004 | CONTROL | WO | reads 0 | 0 SOFT_RESET, 1 RESUME;", CORE_CONTROL, 0x1004),
	PLACE("| 0x1008 | INT_STATUS | W1C | 0 | 0 COMPLETED, 1 ERROR, 2 ACCESS, 3 ECC_CORRECTED, 4 CATTRIP, 5 MEMORY_LOST |",
	      CORE_INT_STATUS, 0x1008),
	PLACE("| 0x100c | INT_ENABLE | RW |", CORE_INT_ENABLE, 0x100c),
	PLACE("| 0x1010 | DOORBELL | WO |", CORE_DOORBELL, 0x1010),
	PLACE("| 0x1014 | SUBMITTED_SEQ | RO |", CORE_SUBMITTED_SEQ, 0x1014),
	PLACE("| 0x1018 | COMPLETED_SEQ | RO |", CORE_COMPLETED_SEQ, 0x1018),
	PLACE("| 0x101c | PROGRESS | RO |", CORE_PROGRESS, 0x101c),
	PLACE("| 0x1020 | ERROR_INFO | RO | 0 | 7:0 code, 15:8 opcode, 16 STARTED, 17 FATAL", CORE_ERROR_INFO, 0x1020),
	PLACE("| 0x1024 | ERROR_SEQ | RO |", CORE_ERROR_SEQ, 0x1024),
	PLACE("| 0x1028, 0x102c | ERROR_OFFSET | RO |", CORE_ERROR_OFFSET_LO, 0x1028),
	PLACE(NULL, CORE_ERROR_OFFSET_HI, 0x102c),
	PLACE("| 0x1030 | ACCESS_ERROR | RO | 0 | 19:0 offset of the first refused write, 31 VALID |", CORE_ACCESS_ERROR, 0x1030),
	PLACE("| 0x1034 | SCRATCH | RW |", CORE_SCRATCH, 0x1034),
	PLACE("| 0x1038 | MEM_EPOCH | RO |", CORE_MEM_EPOCH, 0x1038),
	PLACE("| 0x103c | MEM_COOKIE | RW |", CORE_MEM_COOKIE, 0x103c),
	PLACE("| 0x1040, 0x1044 | WINDOW_BASE |", WINDOW_BASE_LO, 0x1040),
	PLACE(NULL, WINDOW_BASE_HI, 0x1044),
	PLACE("| 0x1048, 0x104c | WINDOW_LIMIT |", WINDOW_LIMIT_LO, 0x1048),
	PLACE(NULL, WINDOW_LIMIT_HI, 0x104c),
	PLACE("| 0x2000 | PRECISION | 0, 1 |", MODE_PRECISION, 0x2000),
	PLACE("| 0x2004 | QUANTIZATION | 0, 1 |", MODE_QUANTIZATION, 0x2004),
	PLACE("| 0x2008 | PARALLELISM | 0 to 2 |", MODE_PARALLELISM, 0x2008),
	PLACE("| 0x200c | NOISE | 0 to 2 |", MODE_NOISE, 0x200c),
	PLACE("| 0x2010 | NOISE_SIGMA | 0 to 0x4000000 |", MODE_NOISE_SIGMA, 0x2010),
	PLACE("| 0x2014 | NOISE_THETA | 0 to 0x400000 |", MODE_NOISE_THETA, 0x2014),
	PLACE("| 0x2020 | DISCOUNT | 0 to 0x7fffffff |", MODE_DISCOUNT, 0x2020),
	PLACE("| 0x2024 | TAU | 1 to 0x80000000 |", MODE_TAU, 0x2024),
	PLACE("| 0x2028 | BETA1 | 0 to 0x7ffff800 |", MODE_BETA1, 0x2028),
	PLACE("| 0x202c | ONE_MINUS_BETA2 | 0x1000 to 0x7fffffff |", MODE_ONE_MINUS_BETA2, 0x202c),
	PLACE("| 0x2030, 0x2034 | RATE_MANTISSA of actor, critic | 0x40000000 to 0x7fffffff |", MODE_RATE_MANTISSA, 0x2030),
	PLACE("| 0x2038, 0x203c | RATE_EXPONENT of actor, critic | 31 to 50 |", MODE_RATE_EXPONENT, 0x2038),
	PLACE("| 0x2040, 0x2044 | GRADIENT_SCALE of actor, critic | -2 to 6 |", MODE_GRADIENT_SCALE, 0x2040),
	PLACE("| 0x3000 | TIMESTAMP |", COUNTER_TIMESTAMP, 0x3000),
	PLACE("| 0x3008 | BUSY_CYCLES |", COUNTER_BUSY_CYCLES, 0x3008),
	PLACE("| 0x3010 | ARRAY_CYCLES |", COUNTER_ARRAY_CYCLES, 0x3010),
	PLACE("| 0x3018 | COMMANDS |", COUNTER_COMMANDS, 0x3018),
	PLACE("| 0x3020 | MACS |", COUNTER_MACS, 0x3020),
	PLACE("| 0x3028 | SAMPLES |", COUNTER_SAMPLES, 0x3028),
	PLACE("| 0x3030 | ACTIONS |", COUNTER_ACTIONS, 0x3030),
	PLACE("| 0x3038 | READ_BYTES |", COUNTER_READ_BYTES, 0x3038),
	PLACE("| 0x3040 | WRITE_BYTES |", COUNTER_WRITE_BYTES, 0x3040),
	PLACE("| 0x3048 | ECC_CORRECTED |", COUNTER_ECC_CORRECTED, 0x3048),
	PLACE("| 0x3050 | ECC_UNCORRECTED |", COUNTER_ECC_UNCORRECTED, 0x3050),
	PLACE("### Result records, 0x04000 + 32 x", RESULT_BASE, 0x4000),
	PLACE("### Command slots, 0x08000 + 64 x", SLOT_BASE, 0x8000),
	PLACE("| 0x0c000 | 0x3ffff | unassigned", SLOT_END, 0xc000),
	PLACE("| 0x40000 | 0x7ffff | CMS;", CMS_BASE, 0x40000),
	PLACE("| 0x80000 | 0xfffff | unassigned", RESERVED_BASE, 0x80000),
	PLACE("reset at 0x60000", CMS_MB_RESETN, 0x60000),
	PLACE("its registers from 0x68000", CMS_ID, 0x68000),
	PLACE("12V_PEX (0x68020) and its current (0x680c8)", CMS_12V_PEX, 0x68020),
	PLACE(NULL, CMS_12V_PEX_CURRENT, 0x680c8),
	PLACE("3V3_PEX (0x6802c) and its current (0x68278)", CMS_3V3_PEX, 0x6802c),
	PLACE(NULL, CMS_3V3_PEX_CURRENT, 0x68278),
	PLACE("12V_AUX (0x68044, 0x680d4;", CMS_12V_AUX, 0x68044),
	PLACE(NULL, CMS_12V_AUX_CURRENT, 0x680d4),
	PLACE("FPGA temperature (0x680f8)", CMS_FPGA_TEMPERATURE, 0x680f8),
	PLACE("(0x68260, 0x682b4)", CMS_HBM_TEMPERATURE, 0x68260),
	PLACE(NULL, CMS_HBM2_TEMPERATURE, 0x682b4),
	PLACE("heartbeat (0x682fc)", CMS_HEARTBEAT, 0x682fc),
	PLACE(NULL, CMS_HOST_STATUS2, 0x6830c),
};

/* The contract's text with line ends as blanks, so that a place is found wherever its line was broken. */
static char *read_contract(void)
{
	FILE *file = fopen("driver/HARDWARE.md", "r");
	const size_t capacity = 1 << 20;
	char *text = calloc(1, capacity);

	if (file && text) {
		text[fread(text, 1, capacity - 1, file)] = 0;
		for (char *c = text; *c; c++)
			if (*c == '\n')
				*c = ' ';
	}
	if (file)
		fclose(file);
	return text;
}

static void test_places(void)
{
	char *contract = read_contract();
	size_t wrong = 0, missing = 0;

	for (size_t i = 0; i < COUNT(places); i++) {
		if (places[i].header != places[i].expected) {
			wrong++;
			ktap_note("FIXAR_%s is %#x, expected %#x", places[i].name, places[i].header, places[i].expected);
		}
		if (places[i].row && (!contract || !strstr(contract, places[i].row))) {
			missing++;
			ktap_note("HARDWARE.md has no \"%s\"", places[i].row);
		}
	}
	ktap_ok(!wrong, "registers of BAR0: %zu offsets", COUNT(places));
	ktap_ok(!missing, "registers of BAR0: the contract says the same");
	free(contract);
}

#define IS(name, expected) { #name, (uint64_t)(FIXAR_##name), (expected) }

static void test_values(void)
{
	static const struct number values[] = {
		IS(PCI_VENDOR, 0x10ee), IS(PCI_DEVICE, 0x903f), IS(PCI_SUBVENDOR, 0x10ee), IS(PCI_SUBDEVICE, 0xf150),
		IS(PCI_CLASS, 0x120000), IS(USER_BAR_BYTES, 1 << 20), IS(ID_MAGIC_VALUE, 0x52584946),
		IS(ID_VERSION_VALUE, 0x10000), IS(ID_VERSION_MAJOR, 0xffff0000), IS(ID_VERSION_MINOR, 0xffff),
		IS(ID_CAPS_WINDOWS, 1), IS(ID_CAPS_CMS, 2), IS(ID_CAPS_ECC, 4),
		IS(CORE_STATUS_BUSY, 1), IS(CORE_STATUS_HALTED, 2), IS(CORE_STATUS_RESETTING, 4),
		IS(CORE_STATUS_MEMORY_READY, 8), IS(CORE_STATUS_RESIDENT, 16), IS(CORE_STATUS_CATTRIP, 32),
		IS(CORE_CONTROL_SOFT_RESET, 1), IS(CORE_CONTROL_RESUME, 2),
		IS(CORE_INT_COMPLETED, 1), IS(CORE_INT_ERROR, 2), IS(CORE_INT_ACCESS, 4), IS(CORE_INT_ECC_CORRECTED, 8),
		IS(CORE_INT_CATTRIP, 16), IS(CORE_INT_MEMORY_LOST, 32), IS(CORE_INT_ALL, 63), IS(CORE_SEQ, 0x7fffffff),
		IS(CORE_ERROR_INFO_CODE, 0xff), IS(CORE_ERROR_INFO_OPCODE, 0xff00), IS(CORE_ERROR_INFO_STARTED, 1 << 16),
		IS(CORE_ERROR_INFO_FATAL, 1 << 17), IS(CORE_ACCESS_ERROR_OFFSET, 0xfffff),
		IS(CORE_ACCESS_ERROR_VALID, 0x80000000), IS(WINDOW_GRANULE, 4096),
		IS(FIFO_DEPTH_MIN, 2), IS(FIFO_DEPTH_MAX, 256), IS(RESULT_BYTES, 32), IS(SLOT_BYTES, 64),
		IS(OPCODE_NOP, 1), IS(OPCODE_ACT, 2), IS(OPCODE_TRAIN, 3), IS(OPCODE_READ_RANGES, 4), IS(OPCODE_RELOAD, 5),
		IS(OPCODE_ALL, 0x3e), IS(COMMAND_OPCODE, 0xff), IS(COMMAND_INTERRUPT, 1 << 8), IS(COMMAND_EXPLORE, 1 << 16),
		IS(COMMAND_RESET_NOISE, 1 << 17),
		IS(ERROR_SEQUENCE, 1), IS(ERROR_OPCODE, 2), IS(ERROR_COMMAND, 3), IS(ERROR_MODE, 4), IS(ERROR_HEADER, 5),
		IS(ERROR_TABLE, 6), IS(ERROR_CAPACITY, 7), IS(ERROR_BATCH, 8), IS(ERROR_OFFSET, 9), IS(ERROR_WINDOW, 10),
		IS(ERROR_READ, 11), IS(ERROR_WRITE, 12), IS(ERROR_ECC, 13), IS(ERROR_INTERNAL, 14), IS(ERRORS, 15),
		IS(MODE_NOISE_SIGMA_MAX, 0x4000000), IS(MODE_NOISE_THETA_MAX, 0x400000), IS(MODE_DISCOUNT_MAX, 0x7fffffff),
		IS(MODE_TAU_MIN, 1), IS(MODE_TAU_MAX, 0x80000000), IS(MODE_BETA1_MAX, 0x7ffff800),
		IS(MODE_ONE_MINUS_BETA2_MIN, 0x1000), IS(MODE_ONE_MINUS_BETA2_MAX, 0x7fffffff),
		IS(MODE_RATE_MANTISSA_MIN, 0x40000000), IS(MODE_RATE_MANTISSA_MAX, 0x7fffffff), IS(MODE_RATE_EXPONENT_MIN, 31),
		IS(MODE_RATE_EXPONENT_MAX, 50), IS(MODE_GRADIENT_SCALE_MIN, (uint64_t)-2), IS(MODE_GRADIENT_SCALE_MAX, 6),
		IS(MODE_NETWORK_STRIDE, 4), IS(COUNTER_HI, 4),
		IS(CMS_BYTES, 256 << 10), IS(CMS_ID_VALUE, 0x74736574),
		IS(ARENA_MAGIC, 0x47415846), IS(ARENA_SCHEMA, 3), IS(ARENA_STATE, 4096), IS(ARENA_ALIGN, 64),
		IS(ARENA_GRANULE, 64 << 10),
	};

	compare("values of registers and commands", values, COUNT(values));
}

/* ---- Structs of the hardware ---- */

#define HW_SIZE(type, expected) { #type, sizeof(struct fixar_##type), (expected) }
#define HW_AT(type, member, expected) { #type "." #member, offsetof(struct fixar_##type, member), (expected) }

static void test_structs(void)
{
	static const struct number structs[] = {
		HW_SIZE(command, 64), HW_AT(command, control, 0), HW_AT(command, seq, 4), HW_AT(command, count, 8),
		HW_AT(command, input, 16), HW_AT(command, output, 24), HW_AT(command, statistics, 32),
		HW_AT(command, reserved1, 40),
		HW_SIZE(result_record, 32), HW_AT(result_record, seq, 0), HW_AT(result_record, info, 4),
		HW_AT(result_record, cycles, 8), HW_AT(result_record, macs, 16), HW_AT(result_record, offset, 24),
		HW_SIZE(arena_header, 256), HW_AT(arena_header, magic, 0), HW_AT(arena_header, schema, 4),
		HW_AT(arena_header, header_bytes, 8), HW_AT(arena_header, state_offset, 12), HW_AT(arena_header, state_bytes, 16),
		HW_AT(arena_header, seed, 24), HW_AT(arena_header, observation_dim, 32), HW_AT(arena_header, action_dim, 36),
		HW_AT(arena_header, batch_max, 40), HW_AT(arena_header, hidden_count, 44), HW_AT(arena_header, hidden, 48),
		HW_AT(arena_header, reserved, 172),
		HW_SIZE(statistics, 128), HW_AT(statistics, loss_sum, 0), HW_AT(statistics, q_sum, 8),
		HW_AT(statistics, saturation, 16), HW_AT(statistics, training_steps, 96), HW_AT(statistics, cycles, 104),
		HW_AT(statistics, macs, 112), HW_AT(statistics, reserved, 120),
		HW_SIZE(xdma_descriptor, 32), HW_AT(xdma_descriptor, length, 4), HW_AT(xdma_descriptor, source_lo, 8),
		HW_AT(xdma_descriptor, source_hi, 12), HW_AT(xdma_descriptor, destination_lo, 16),
		HW_AT(xdma_descriptor, destination_hi, 20), HW_AT(xdma_descriptor, next_lo, 24), HW_AT(xdma_descriptor, next_hi, 28),
	};

	compare("structs of the hardware", structs, COUNT(structs));
}

/* ---- XDMA: numbers from PG195 ---- */

static void test_xdma(void)
{
	static const struct number numbers[] = {
		IS(XDMA_H2C(0), 0x0000), IS(XDMA_H2C(3), 0x0300), IS(XDMA_C2H(0), 0x1000), IS(XDMA_C2H(1), 0x1100),
		IS(XDMA_IRQ, 0x2000), IS(XDMA_CONFIG, 0x3000), IS(XDMA_H2C_SGDMA(1), 0x4100), IS(XDMA_C2H_SGDMA(2), 0x5200),
		IS(XDMA_COMMON, 0x6000), IS(XDMA_MSIX_TABLE, 0x8000), IS(XDMA_MSIX_PBA, 0x8fe0),
		IS(XDMA_CHANNEL_CONTROL, 0x04), IS(XDMA_CHANNEL_CONTROL_W1S, 0x08), IS(XDMA_CHANNEL_CONTROL_W1C, 0x0c),
		IS(XDMA_CHANNEL_STATUS, 0x40), IS(XDMA_CHANNEL_STATUS_RC, 0x44), IS(XDMA_CHANNEL_COMPLETED, 0x48),
		IS(XDMA_CHANNEL_ALIGNMENTS, 0x4c), IS(XDMA_CHANNEL_WRITE_BACK_LO, 0x88), IS(XDMA_CHANNEL_WRITE_BACK_HI, 0x8c),
		IS(XDMA_CHANNEL_INT_ENABLE, 0x90), IS(XDMA_CHANNEL_INT_ENABLE_W1S, 0x94), IS(XDMA_CHANNEL_INT_ENABLE_W1C, 0x98),
		IS(XDMA_CHANNEL_PERF_CONTROL, 0xc0), IS(XDMA_CHANNEL_PERF_CYCLES_LO, 0xc4), IS(XDMA_CHANNEL_PERF_CYCLES_HI, 0xc8),
		IS(XDMA_CHANNEL_PERF_DATA_LO, 0xcc), IS(XDMA_CHANNEL_PERF_DATA_HI, 0xd0),
		IS(XDMA_CONTROL_RUN, 1), IS(XDMA_CONTROL_NON_INC, 1 << 25), IS(XDMA_CONTROL_WRITE_BACK, 1 << 26),
		IS(XDMA_CONTROL_STREAM_NO_WB, 1 << 27),
		IS(XDMA_STATUS_BUSY, 1 << 0), IS(XDMA_STATUS_DESC_STOPPED, 1 << 1), IS(XDMA_STATUS_DESC_COMPLETED, 1 << 2),
		IS(XDMA_STATUS_ALIGN_MISMATCH, 1 << 3), IS(XDMA_STATUS_MAGIC_STOPPED, 1 << 4),
		IS(XDMA_STATUS_INVALID_LENGTH, 1 << 5), IS(XDMA_STATUS_IDLE_STOPPED, 1 << 6),
		IS(XDMA_STATUS_READ_ERROR, 0x1fu << 9), IS(XDMA_STATUS_WRITE_ERROR, 0x1fu << 14),
		IS(XDMA_STATUS_DESC_ERROR, 0x1fu << 19), IS(XDMA_STATUS_CLEARABLE, 0xfffffe),
		IS(XDMA_STATUS_READ_UNSUPPORTED, 1 << 9), IS(XDMA_STATUS_READ_AXI_DECODE, 1 << 9),
		IS(XDMA_STATUS_READ_AXI_SLAVE, 1 << 10), IS(XDMA_STATUS_WRITE_AXI_DECODE, 1 << 14),
		IS(XDMA_STATUS_WRITE_AXI_SLAVE, 1 << 15), IS(XDMA_STATUS_DESC_UNSUPPORTED, 1 << 19),
		IS(XDMA_STATUS_DESC_UNEXPECTED, 1 << 23), IS(XDMA_ENABLE_H2C, 0xfffe3e), IS(XDMA_ENABLE_C2H, 0xf83e3e),
		IS(XDMA_IRQ_USER_ENABLE, 0x04), IS(XDMA_IRQ_USER_ENABLE_W1S, 0x08), IS(XDMA_IRQ_USER_ENABLE_W1C, 0x0c),
		IS(XDMA_IRQ_CHANNEL_ENABLE, 0x10), IS(XDMA_IRQ_CHANNEL_ENABLE_W1S, 0x14), IS(XDMA_IRQ_CHANNEL_ENABLE_W1C, 0x18),
		IS(XDMA_IRQ_USER_REQUEST, 0x40), IS(XDMA_IRQ_CHANNEL_REQUEST, 0x44), IS(XDMA_IRQ_USER_PENDING, 0x48),
		IS(XDMA_IRQ_CHANNEL_PENDING, 0x4c), IS(XDMA_IRQ_USER_VECTOR(0), 0x80), IS(XDMA_IRQ_USER_VECTOR(15), 0x8c),
		IS(XDMA_IRQ_CHANNEL_VECTOR(3), 0xa0), IS(XDMA_IRQ_CHANNEL_VECTOR(4), 0xa4), IS(XDMA_IRQ_VECTOR_SHIFT(0), 0),
		IS(XDMA_IRQ_VECTOR_SHIFT(7), 24), IS(XDMA_IRQ_VECTOR_MASK, 0x1f),
		IS(XDMA_CONFIG_BDF, 0x04), IS(XDMA_CONFIG_MAX_PAYLOAD, 0x08), IS(XDMA_CONFIG_MAX_READ, 0x0c),
		IS(XDMA_CONFIG_SYSTEM_ID, 0x10), IS(XDMA_CONFIG_MSI, 0x14), IS(XDMA_CONFIG_DATA_WIDTH, 0x18),
		IS(XDMA_CONFIG_PCIE_CONTROL, 0x1c), IS(XDMA_CONFIG_USER_MAX_PAYLOAD, 0x40), IS(XDMA_CONFIG_USER_MAX_READ, 0x44),
		IS(XDMA_CONFIG_FLUSH_TIMEOUT, 0x60), IS(XDMA_SGDMA_FIRST_LO, 0x80), IS(XDMA_SGDMA_FIRST_HI, 0x84),
		IS(XDMA_SGDMA_ADJACENT, 0x88), IS(XDMA_SGDMA_CREDITS, 0x8c), IS(XDMA_COMMON_HALT, 0x10),
		IS(XDMA_COMMON_CREDIT_MODE_W1C, 0x28), IS(XDMA_DESC_MAGIC, 0xad4b0000), IS(XDMA_DESC_ADJACENT, 0x3f00),
		IS(XDMA_DESC_LENGTH, (1 << 28) - 1), IS(XDMA_DESC_STOP, 1), IS(XDMA_DESC_COMPLETED, 2), IS(XDMA_DESC_EOP, 16),
	};

	compare("XDMA", numbers, COUNT(numbers));
}

/* ---- The library and the hardware mean the same ---- */

static void test_library(void)
{
	static const struct number numbers[] = {
		IS(ARENA_SCHEMA, STEP_SCHEMA), IS(ARENA_ALIGN, STEP_ALIGNMENT), IS(ARENA_HIDDEN_MAX, STEP_MAX_HIDDEN),
		IS(ARENA_SATURATIONS, STEP_SATURATIONS),
		IS(MODE_PARALLELISM_AUTO, STEP_PARALLELISM_AUTO), IS(MODE_PARALLELISM_LAYER, STEP_INTRA_LAYER),
		IS(MODE_PARALLELISM_BATCH, STEP_INTRA_BATCH),
		IS(MODE_NOISE_NONE, STEP_NOISE_NONE), IS(MODE_NOISE_GAUSSIAN, STEP_NOISE_GAUSSIAN), IS(MODE_NOISE_OU, STEP_NOISE_OU),
		{ "EXPLORE", FIXAR_COMMAND_EXPLORE >> 16, STEP_ACT_EXPLORE },
		{ "RESET_NOISE", FIXAR_COMMAND_RESET_NOISE >> 16, STEP_ACT_RESET_NOISE },
		{ "size of a quantizer", sizeof(struct step_quantizer), 12 },
		{ "size of a range", sizeof(struct step_range), 8 },
	};
	/* Every field of struct step_hyperparameters and struct step_mode has its register. */
	static const struct number sizes[] = {
		{ "struct step_hyperparameters", sizeof(struct step_hyperparameters), 10 * 4 },
		{ "struct step_mode", sizeof(struct step_mode), 6 * 4 },
		{ "mode registers", (FIXAR_MODE_END - FIXAR_MODE_DISCOUNT) + (FIXAR_MODE_NOISE_THETA + 4 - FIXAR_MODE_PRECISION),
		  10 * 4 + 6 * 4 },
	};

	compare("the library's numbers", numbers, COUNT(numbers));
	compare("a register for each field", sizes, COUNT(sizes));
}

/* The ranges of the registers are those that the library accepts. */
static void test_limits(void)
{
	static const struct {
		const char *name;
		size_t offset;
		uint32_t low, high;
		int open_low, open_high; /* whether the value beyond is refused; it need not exist */
	} fields[] = {
#define FIELD(member, low, high, open_low, open_high) \
	{ #member, offsetof(struct step_hyperparameters, member), (uint32_t)(low), (uint32_t)(high), open_low, open_high }
		FIELD(discount, 0, FIXAR_MODE_DISCOUNT_MAX, 0, 1),
		FIELD(tau, FIXAR_MODE_TAU_MIN, FIXAR_MODE_TAU_MAX, 1, 1),
		FIELD(beta1, 0, FIXAR_MODE_BETA1_MAX, 0, 1),
		FIELD(one_minus_beta2, FIXAR_MODE_ONE_MINUS_BETA2_MIN, FIXAR_MODE_ONE_MINUS_BETA2_MAX, 1, 1),
		FIELD(rate_mantissa[0], FIXAR_MODE_RATE_MANTISSA_MIN, FIXAR_MODE_RATE_MANTISSA_MAX, 1, 1),
		FIELD(rate_mantissa[1], FIXAR_MODE_RATE_MANTISSA_MIN, FIXAR_MODE_RATE_MANTISSA_MAX, 1, 1),
		FIELD(rate_exponent[0], FIXAR_MODE_RATE_EXPONENT_MIN, FIXAR_MODE_RATE_EXPONENT_MAX, 1, 1),
		FIELD(rate_exponent[1], FIXAR_MODE_RATE_EXPONENT_MIN, FIXAR_MODE_RATE_EXPONENT_MAX, 1, 1),
		FIELD(gradient_scale[0], FIXAR_MODE_GRADIENT_SCALE_MIN, FIXAR_MODE_GRADIENT_SCALE_MAX, 1, 1),
		FIELD(gradient_scale[1], FIXAR_MODE_GRADIENT_SCALE_MIN, FIXAR_MODE_GRADIENT_SCALE_MAX, 1, 1),
	};
	const struct step_config good = {
		.observation_dim = 3, .action_dim = 1, .hidden_count = 1, .hidden = { 8 }, .batch_max = 4,
		.hyper = { 0x7eb851ec, 10737418, 0x73333333, 4294967, { 1u << 30, 1u << 30 }, { 40, 40 }, { 2, 0 } },
	};

	for (size_t i = 0; i < COUNT(fields); i++) {
		const uint32_t tries[4] = { fields[i].low, fields[i].high, fields[i].low - 1, fields[i].high + 1 };
		const int refused[4] = { 0, 0, fields[i].open_low, fields[i].open_high };
		int right = 1;

		for (int t = 0; t < 4; t++) {
			struct step_config config = good;

			if (t > 1 && !refused[t])
				continue;
			memcpy((char *)&config.hyper + fields[i].offset, &tries[t], sizeof(tries[t]));
			right &= (step_config_check(&config, NULL, 0) != 0) == refused[t];
		}
		ktap_ok(right, "the range of %s is the library's", fields[i].name);
	}
}

/* ---- The state ---- */

struct expected {
	const struct step_tensor *tensors;
	size_t count, next, offset, wrong;
};

static void tensor(struct expected *expected, const char *name, size_t bytes)
{
	const struct step_tensor *found = expected->next < expected->count ? &expected->tensors[expected->next] : NULL;

	if (!found || strcmp(found->name, name) || found->offset != expected->offset || found->bytes != bytes) {
		if (!expected->wrong++)
			ktap_note("%s at %zu with %zu bytes expected; step_layout() has %s at %zu with %zu", name, expected->offset,
				  bytes, found ? found->name : "nothing", found ? found->offset : 0, found ? found->bytes : 0);
	}
	expected->next++;
	expected->offset += (bytes + 63) / 64 * 64;
}

static void parameter(struct expected *expected, const char *name, size_t elements, int moments)
{
	char full[64];

	tensor(expected, name, 4 * elements);
	if (!moments)
		return;
	snprintf(full, sizeof(full), "%s.moment1", name);
	tensor(expected, full, 4 * elements);
	snprintf(full, sizeof(full), "%s.moment2", name);
	tensor(expected, full, 4 * elements);
}

/* The table "The arena" of HARDWARE.md, row by row. */
static size_t walk(struct expected *expected, uint32_t observations, uint32_t actions, uint32_t hidden_count, const uint32_t *hidden)
{
	const size_t layers = hidden_count + 1;

	tensor(expected, "training_steps", 8);
	tensor(expected, "saturation", 80);
	tensor(expected, "adam_powers", 32);
	tensor(expected, "noise.count", 8);
	tensor(expected, "noise.state", 4 * (size_t)actions);
	tensor(expected, "quantizers", 2 * layers * 3 * 3 * 4);
	tensor(expected, "ranges", 2 * layers * 3 * 2 * 4);
	for (int target = 0; target < 2; target++) {
		for (int critic = 0; critic < 2; critic++) {
			size_t inputs = critic ? observations + actions : observations;

			for (uint32_t l = 0; l <= hidden_count; l++) {
				const size_t outputs = l < hidden_count ? hidden[l] : critic ? 1 : actions;
				char name[40];

				snprintf(name, sizeof(name), "%s%s.%u.weight", critic ? "critic" : "actor", target ? "_target" : "", l);
				parameter(expected, name, inputs * outputs, !target);
				snprintf(name, sizeof(name), "%s%s.%u.bias", critic ? "critic" : "actor", target ? "_target" : "", l);
				parameter(expected, name, outputs, !target);
				inputs = outputs;
			}
		}
	}
	tensor(expected, "gradient_maxima", 3 * layers * 4);
	return expected->offset;
}

static const struct step_tensor *find(const struct step_tensor *tensors, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(tensors[i].name, name))
			return &tensors[i];
	return NULL;
}

static void test_state(void)
{
	static const struct {
		uint32_t observations, actions, hidden_count, hidden[4];
		size_t bytes; /* 0: not in HARDWARE.md */
	} shapes[] = {
		{ 17, 6, 2, { 400, 300 }, 4153728 },
		{ 3, 1, 2, { 64, 64 }, 145792 },
		{ 1, 1, 1, { 1 }, 0 },
		{ 11, 3, 1, { 17 }, 0 },
		{ 8, 2, 4, { 33, 16, 5, 129 }, 0 },
	};

	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct step_config config = { .observation_dim = shapes[i].observations, .action_dim = shapes[i].actions,
					      .hidden_count = shapes[i].hidden_count };
		struct step_tensor *tensors;
		struct expected expected = { 0 };
		size_t bytes, walked;

		memcpy(config.hidden, shapes[i].hidden, sizeof(shapes[i].hidden));
		expected.count = step_layout(&config, NULL, 0, &bytes);
		tensors = calloc(expected.count, sizeof(*tensors));
		if (!tensors)
			exit(KTAP_FAIL);
		step_layout(&config, tensors, expected.count, NULL);
		expected.tensors = tensors;
		walked = walk(&expected, shapes[i].observations, shapes[i].actions, shapes[i].hidden_count, shapes[i].hidden);
		ktap_ok(!expected.wrong && expected.next == expected.count && walked == bytes &&
				(!shapes[i].bytes || bytes == shapes[i].bytes),
			"state of %u observations, %u actions, %u hidden layers from %u: %zu tensors, %zu bytes",
			shapes[i].observations, shapes[i].actions, shapes[i].hidden_count, shapes[i].hidden[0], expected.count, bytes);
		if (i == 0) {
			static const struct {
				const char *name;
				size_t offset;
			} said[] = { { "quantizers", 384 }, { "ranges", 640 }, { "actor.0.weight", 832 },
				     { "critic.0.weight", 1552768 }, { "actor_target.0.weight", 3115456 },
				     { "critic_target.2.bias", 4153600 } };
			int right = 1;

			for (size_t s = 0; s < COUNT(said); s++) {
				const struct step_tensor *found = find(tensors, expected.count, said[s].name);

				right &= found && found->offset == said[s].offset;
			}
			ktap_ok(right, "the offsets that HARDWARE.md gives as an example");
		}
		free(tensors);
	}
}

static void test_batch(void)
{
	struct fixar_batch_layout batch;

	fixar_batch_layout(64, 17, 6, &batch);
	ktap_ok(batch.observation == 0 && batch.action == 4352 && batch.reward == 5888 && batch.next_observation == 6144 &&
			batch.terminal == 10496 && batch.bytes == 10560,
		"a batch of 64 samples of 17 and 6");
	fixar_batch_layout(1, 3, 1, &batch);
	ktap_ok(batch.action == 64 && batch.reward == 128 && batch.next_observation == 192 && batch.terminal == 256 && batch.bytes == 320,
		"a batch of one sample: each array at a multiple of 64");
	fixar_batch_layout(65536, 16384, 16384, &batch);
	ktap_ok(batch.action == UINT64_C(1) << 32 && batch.reward == UINT64_C(2) << 32 &&
			batch.bytes == (UINT64_C(3) << 32) + 65536 * 4 + 65536,
		"the largest batch: no overflow");
}

/* The capability registers can say what the model of the array accepts. */
static void test_array(void)
{
	struct pe_array array;

	pe_array_default(&array);
	array.cores = PE_MAX_CORES;
	array.rows = array.columns = array.update_lanes = PE_MAX_SIDE;
	array.half_lanes = PE_MAX_LANES;
	array.output_latency = array.function_latency = array.update_latency = PE_MAX_LATENCY;
	array.hbm_bytes_per_cycle = 65536;
	ktap_ok(PE_MAX_CORES == 64 && PE_MAX_SIDE == 256 && PE_MAX_LANES == 2 && PE_MAX_LATENCY == 1024 &&
			!pe_array_check(&array, NULL, 0),
		"the ranges of the array's capabilities are the model's");
	ktap_ok(STEP_MAX_WIDTH == 16384 && STEP_MAX_HIDDEN == 31 && STEP_MAX_BATCH == 65536, "the limits of shapes are the library's");
}

/* ---- The kernel's interface ---- */

#ifdef HAVE_DRM
#define UAPI_SIZE(type, expected) { #type, sizeof(struct type), (expected) },
#define UAPI_AT(type, member, expected) { #type "." #member, offsetof(struct type, member), (expected) },
#define SAME(uapi, hw) { #uapi, (uint64_t)(DRM_FIXAR_##uapi), (uint64_t)(FIXAR_##hw) }

static void test_uapi(void)
{
	static const struct number layout[] = { UAPI_LAYOUT(UAPI_SIZE, UAPI_AT) };
	/* Direction, size, type, number: as strace shows them. */
	static const struct number ioctls[] = {
		{ "QUERY", DRM_IOCTL_FIXAR_QUERY, 0xc0186440 },
		{ "BO_CREATE", DRM_IOCTL_FIXAR_BO_CREATE, 0xc0186441 },
		{ "BO_PREP", DRM_IOCTL_FIXAR_BO_PREP, 0x40106442 },
		{ "BO_FINI", DRM_IOCTL_FIXAR_BO_FINI, 0x40086443 },
		{ "CTX_CREATE", DRM_IOCTL_FIXAR_CTX_CREATE, 0xc0106444 },
		{ "CTX_DESTROY", DRM_IOCTL_FIXAR_CTX_DESTROY, 0x40086445 },
		{ "CTX_SET_MODE", DRM_IOCTL_FIXAR_CTX_SET_MODE, 0x40486446 },
		{ "CTX_GET_MODE", DRM_IOCTL_FIXAR_CTX_GET_MODE, 0xc0486447 },
		{ "CTX_QUERY", DRM_IOCTL_FIXAR_CTX_QUERY, 0xc0586448 },
		{ "SUBMIT", DRM_IOCTL_FIXAR_SUBMIT, 0x40186449 },
	};
	static const struct number same[] = {
		SAME(OP_NOP, OPCODE_NOP), SAME(OP_ACT, OPCODE_ACT), SAME(OP_TRAIN, OPCODE_TRAIN),
		SAME(OP_READ_RANGES, OPCODE_READ_RANGES), SAME(OP_RELOAD, OPCODE_RELOAD),
		SAME(PRECISION_FULL, MODE_PRECISION_FULL), SAME(PRECISION_QUANTIZED, MODE_PRECISION_QUANTIZED),
		SAME(QUANTIZATION_OBSERVE, MODE_QUANTIZATION_OBSERVE), SAME(PARALLELISM_AUTO, MODE_PARALLELISM_AUTO),
		SAME(PARALLELISM_LAYER, MODE_PARALLELISM_LAYER), SAME(PARALLELISM_BATCH, MODE_PARALLELISM_BATCH),
		SAME(NOISE_NONE, MODE_NOISE_NONE), SAME(NOISE_GAUSSIAN, MODE_NOISE_GAUSSIAN), SAME(NOISE_OU, MODE_NOISE_OU),
		SAME(CAP_WINDOWS, ID_CAPS_WINDOWS), SAME(CAP_SENSORS, ID_CAPS_CMS), SAME(CAP_ECC, ID_CAPS_ECC),
		{ "MAX_JOBS", DRM_FIXAR_MAX_JOBS, 8 * sizeof(((struct drm_fixar_job *)NULL)->depends) },
	};

	compare("structs of the kernel's interface", layout, COUNT(layout));
	compare("numbers of its ioctls", ioctls, COUNT(ioctls));
	compare("its values that are the hardware's", same, COUNT(same));
}
#else
static void test_uapi(void)
{
	ktap_skip("structs of the kernel's interface", "libdrm-dev was not installed when this was built");
}
#endif

int main(void)
{
	ktap_start();
	test_places();
	test_values();
	test_structs();
	test_xdma();
	test_library();
	test_limits();
	test_state();
	test_batch();
	test_array();
	test_uapi();
	return ktap_finish();
}
