/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Registers of the FIXAR core in BAR0 (AXI-Lite, 1 MiB). driver/HARDWARE.md says what each does; this file says where
 * it is, once, for the driver, the emulated card and the conformance test.
 *
 * FIXAR_<BLOCK>_<REGISTER> is a byte offset in BAR0, with the name of a field behind it a mask. All registers are 32
 * bits wide, little-endian, and are accessed as aligned 32-bit words only. A 64-bit quantity is two registers, _LO and
 * _HI.
 */
#ifndef FIXAR_HW_REGS_H
#define FIXAR_HW_REGS_H

#include <linux/types.h>

/* ---- PCI function ---- */

#define FIXAR_PCI_VENDOR		0x10eeu
#define FIXAR_PCI_DEVICE		0x903fu
#define FIXAR_PCI_SUBVENDOR		0x10eeu
#define FIXAR_PCI_SUBDEVICE		0xf150u
#define FIXAR_PCI_CLASS			0x120000u	/* processing accelerator */
/* the DMA BAR is the next memory BAR: 1, or 2 if BAR0 is 64 bits wide */
#define FIXAR_USER_BAR			0
#define FIXAR_USER_BAR_BYTES		0x100000u

/* ---- Identity and capabilities (read only, constant while the design is loaded) ---- */

#define FIXAR_ID_MAGIC			0x00000u
#define FIXAR_ID_MAGIC_VALUE		0x52584946u	/* "FIXR" in memory order */
#define FIXAR_ID_VERSION		0x00004u
#define FIXAR_ID_VERSION_MAJOR		0xffff0000u	/* another one: refuse the card */
#define FIXAR_ID_VERSION_MINOR		0x0000ffffu	/* only adds */
#define FIXAR_ID_VERSION_VALUE		0x00010000u	/* that this file describes */
#define FIXAR_ID_CAPS			0x00008u
#define FIXAR_ID_CAPS_WINDOWS		0x00000001u	/* the limit is enforced by comparators */
#define FIXAR_ID_CAPS_CMS		0x00000002u	/* the card management window is populated */
#define FIXAR_ID_CAPS_ECC		0x00000004u	/* card memory detects errors */
#define FIXAR_ID_OPCODES		0x0000cu	/* bit n: opcode n is implemented */
#define FIXAR_ID_MEMORY_SIZE_LO		0x00010u	/* bytes; a multiple of 64 KiB */
#define FIXAR_ID_MEMORY_SIZE_HI		0x00014u
#define FIXAR_ID_MEMORY_BASE_LO		0x00018u	/* AXI address of its first byte, for XDMA and the core alike */
#define FIXAR_ID_MEMORY_BASE_HI		0x0001cu
#define FIXAR_ID_CLOCK_KHZ		0x00020u	/* of the core: the unit of every cycle count */
#define FIXAR_ID_FIFO_DEPTH		0x00024u	/* commands; a power of two, 2 to 256 */
#define FIXAR_ID_USER_IRQ		0x00028u	/* the usr_irq_req line that the core drives, 0 to 15 */
#define FIXAR_ID_ARENA_SCHEMA		0x0002cu	/* of arenas that the core accepts: FIXAR_ARENA_SCHEMA */
#define FIXAR_ID_MAX_WIDTH		0x00030u	/* of a layer, of observations and of actions */
#define FIXAR_ID_MAX_HIDDEN		0x00034u	/* hidden layers */
#define FIXAR_ID_MAX_BATCH		0x00038u
#define FIXAR_ID_BUILD			0x0003cu	/* the designer's own number of this bitstream */
#define FIXAR_ID_ARRAY_CORES		0x00040u	/* this block is struct pe_array of lib/pe/array.h */
#define FIXAR_ID_ARRAY_ROWS		0x00044u
#define FIXAR_ID_ARRAY_COLUMNS		0x00048u
#define FIXAR_ID_ARRAY_HALF_LANES	0x0004cu
#define FIXAR_ID_ARRAY_OUTPUT_LATENCY	0x00050u
#define FIXAR_ID_ARRAY_FUNCTION_LATENCY	0x00054u
#define FIXAR_ID_ARRAY_UPDATE_LANES	0x00058u
#define FIXAR_ID_ARRAY_UPDATE_LATENCY	0x0005cu
#define FIXAR_ID_ARRAY_HBM_BYTES	0x00060u	/* per cycle */
#define FIXAR_ID_WEIGHT_MEMORY		0x00064u	/* bytes */
#define FIXAR_ID_GRADIENT_MEMORY	0x00068u	/* bytes */
#define FIXAR_ID_ACTIVATION_MEMORY	0x0006cu	/* bytes */

/* ---- Command queue, state, interrupts ---- */

#define FIXAR_CORE_STATUS		0x01000u	/* RO */
/* a command is queued or runs, or an AXI transaction is outstanding */
#define FIXAR_CORE_STATUS_BUSY		0x00000001u
#define FIXAR_CORE_STATUS_HALTED	0x00000002u	/* a command failed: RESUME or SOFT_RESET */
#define FIXAR_CORE_STATUS_RESETTING	0x00000004u	/* a soft reset drains */
#define FIXAR_CORE_STATUS_MEMORY_READY	0x00000008u	/* card memory is calibrated */
#define FIXAR_CORE_STATUS_RESIDENT	0x00000010u	/* the core holds a checked copy of the window's arena */
#define FIXAR_CORE_STATUS_CATTRIP	0x00000020u	/* HBM's catastrophic temperature output, as it is now */
#define FIXAR_CORE_CONTROL		0x01004u	/* WO, reads 0 */
#define FIXAR_CORE_CONTROL_SOFT_RESET	0x00000001u
#define FIXAR_CORE_CONTROL_RESUME	0x00000002u
#define FIXAR_CORE_INT_STATUS		0x01008u	/* W1C */
#define FIXAR_CORE_INT_ENABLE		0x0100cu	/* RW, same bits */
#define FIXAR_CORE_INT_COMPLETED	0x00000001u	/* a command with the INTERRUPT flag completed */
#define FIXAR_CORE_INT_ERROR		0x00000002u	/* HALTED was set */
#define FIXAR_CORE_INT_ACCESS		0x00000004u	/* a register access was refused: ACCESS_ERROR */
#define FIXAR_CORE_INT_ECC_CORRECTED	0x00000008u
#define FIXAR_CORE_INT_CATTRIP		0x00000010u
#define FIXAR_CORE_INT_MEMORY_LOST	0x00000020u	/* MEM_EPOCH stepped */
#define FIXAR_CORE_INT_ALL		0x0000003fu
#define FIXAR_CORE_DOORBELL		0x01010u	/* WO, reads 0: the sequence number of the slot just filled */
#define FIXAR_CORE_SUBMITTED_SEQ	0x01014u	/* RO */
#define FIXAR_CORE_COMPLETED_SEQ	0x01018u	/* RO */
#define FIXAR_CORE_SEQ			0x7fffffffu	/* sequence numbers count modulo 2^31: all-ones is never one */
#define FIXAR_CORE_PROGRESS		0x0101cu	/* RO; bits as FIXAR_CORE_SEQ */
#define FIXAR_CORE_ERROR_INFO		0x01020u	/* RO */
#define FIXAR_CORE_ERROR_INFO_CODE	0x000000ffu	/* FIXAR_ERROR_* */
#define FIXAR_CORE_ERROR_INFO_OPCODE	0x0000ff00u
#define FIXAR_CORE_ERROR_INFO_STARTED	0x00010000u	/* the arena may have been changed in part */
#define FIXAR_CORE_ERROR_INFO_FATAL	0x00020000u	/* RESUME is refused: SOFT_RESET */
#define FIXAR_CORE_ERROR_SEQ		0x01024u	/* RO */
#define FIXAR_CORE_ERROR_OFFSET_LO	0x01028u	/* RO; arena offset, HARDWARE.md says of what */
#define FIXAR_CORE_ERROR_OFFSET_HI	0x0102cu
#define FIXAR_CORE_ACCESS_ERROR		0x01030u	/* RO */
#define FIXAR_CORE_ACCESS_ERROR_OFFSET	0x000fffffu	/* of the first refused access */
#define FIXAR_CORE_ACCESS_ERROR_VALID	0x80000000u
#define FIXAR_CORE_SCRATCH		0x01034u	/* RW; does nothing */
#define FIXAR_CORE_MEM_EPOCH		0x01038u	/* RO; bits as FIXAR_CORE_SEQ */
/* RW; 0 after the FPGA was configured, kept by every other reset */
#define FIXAR_CORE_MEM_COOKIE		0x0103cu

/* ---- Window: the part of card memory that commands may touch (RW while idle) ---- */

#define FIXAR_WINDOW_BASE_LO		0x01040u	/* AXI address; a multiple of FIXAR_WINDOW_GRANULE */
#define FIXAR_WINDOW_BASE_HI		0x01044u
#define FIXAR_WINDOW_LIMIT_LO		0x01048u	/* bytes: the first offset outside; likewise */
#define FIXAR_WINDOW_LIMIT_HI		0x0104cu
#define FIXAR_WINDOW_GRANULE		4096u

/* ---- Mode registers (RW while idle); formats of lib/ARITHMETIC.md ---- */

#define FIXAR_MODE_PRECISION		0x02000u
#define FIXAR_MODE_PRECISION_FULL	0u		/* operands are masters */
#define FIXAR_MODE_PRECISION_QUANTIZED	1u		/* operands go through the arena's quantizers */
#define FIXAR_MODE_QUANTIZATION		0x02004u
#define FIXAR_MODE_QUANTIZATION_OBSERVE	0x00000001u	/* TRAIN keeps ranges */
#define FIXAR_MODE_PARALLELISM		0x02008u
#define FIXAR_MODE_PARALLELISM_AUTO	0u
#define FIXAR_MODE_PARALLELISM_LAYER	1u
#define FIXAR_MODE_PARALLELISM_BATCH	2u
#define FIXAR_MODE_NOISE		0x0200cu
#define FIXAR_MODE_NOISE_NONE		0u
#define FIXAR_MODE_NOISE_GAUSSIAN	1u
#define FIXAR_MODE_NOISE_OU		2u
#define FIXAR_MODE_NOISE_SIGMA		0x02010u	/* fraction 22 */
#define FIXAR_MODE_NOISE_SIGMA_MAX	0x04000000u	/* 16 */
#define FIXAR_MODE_NOISE_THETA		0x02014u	/* fraction 22 */
#define FIXAR_MODE_NOISE_THETA_MAX	0x00400000u	/* 1 */
#define FIXAR_MODE_DISCOUNT		0x02020u	/* fraction 31 */
#define FIXAR_MODE_DISCOUNT_MAX		0x7fffffffu
#define FIXAR_MODE_TAU			0x02024u	/* fraction 31 */
#define FIXAR_MODE_TAU_MIN		0x00000001u
#define FIXAR_MODE_TAU_MAX		0x80000000u
#define FIXAR_MODE_BETA1		0x02028u	/* fraction 31 */
#define FIXAR_MODE_BETA1_MAX		0x7ffff800u	/* 1 - 2^-20 */
#define FIXAR_MODE_ONE_MINUS_BETA2	0x0202cu	/* fraction 32 */
#define FIXAR_MODE_ONE_MINUS_BETA2_MIN	0x00001000u
#define FIXAR_MODE_ONE_MINUS_BETA2_MAX	0x7fffffffu
/* Of the actor; the critic's is FIXAR_MODE_NETWORK_STRIDE further. */
#define FIXAR_MODE_RATE_MANTISSA	0x02030u	/* learning rate = mantissa / 2^exponent */
#define FIXAR_MODE_RATE_MANTISSA_MIN	0x40000000u
#define FIXAR_MODE_RATE_MANTISSA_MAX	0x7fffffffu
#define FIXAR_MODE_RATE_EXPONENT	0x02038u
#define FIXAR_MODE_RATE_EXPONENT_MIN	31u
#define FIXAR_MODE_RATE_EXPONENT_MAX	50u
#define FIXAR_MODE_GRADIENT_SCALE	0x02040u	/* log2, two's complement */
#define FIXAR_MODE_GRADIENT_SCALE_MIN	(-2)
#define FIXAR_MODE_GRADIENT_SCALE_MAX	6
#define FIXAR_MODE_NETWORK_STRIDE	4u
#define FIXAR_MODE_END			0x02048u	/* the first offset behind the mode registers */

/* ---- Counters (RO, 64 bits in two registers each, never cleared but by the reset of the core's power domain) ---- */

#define FIXAR_COUNTER_TIMESTAMP		0x03000u	/* cycles of the core's clock */
#define FIXAR_COUNTER_BUSY_CYCLES	0x03008u	/* cycles with STATUS.BUSY */
#define FIXAR_COUNTER_ARRAY_CYCLES	0x03010u	/* cycles in which the array was in a product */
#define FIXAR_COUNTER_COMMANDS		0x03018u	/* completed */
#define FIXAR_COUNTER_MACS		0x03020u	/* multiply-accumulates of the networks, padding not counted */
#define FIXAR_COUNTER_SAMPLES		0x03028u	/* batch samples of completed TRAIN */
#define FIXAR_COUNTER_ACTIONS		0x03030u	/* observations of completed ACT */
#define FIXAR_COUNTER_READ_BYTES	0x03038u	/* that the core read from card memory */
#define FIXAR_COUNTER_WRITE_BYTES	0x03040u	/* that it wrote there */
#define FIXAR_COUNTER_ECC_CORRECTED	0x03048u	/* by anybody's access */
#define FIXAR_COUNTER_ECC_UNCORRECTED	0x03050u
#define FIXAR_COUNTER_END		0x03058u
#define FIXAR_COUNTER_HI		4u		/* offset of the upper half */

/* ---- Result records (RO) and command slots (RW): of command `seq` at index seq % depth ---- */

#define FIXAR_FIFO_DEPTH_MIN		2u
#define FIXAR_FIFO_DEPTH_MAX		256u

#define FIXAR_RESULT_BASE		0x04000u
#define FIXAR_RESULT_BYTES		32u
#define FIXAR_SLOT_BASE			0x08000u
#define FIXAR_SLOT_BYTES		64u
#define FIXAR_SLOT_END			0x0c000u	/* of 256 slots */

struct fixar_result_record {
	__le32 seq;
	__le32 info;			/* as CORE_ERROR_INFO; code 0: completed */
	__le64 cycles;			/* from the command's start to its end */
	__le64 macs;
	__le64 offset;			/* as CORE_ERROR_OFFSET; 0 if completed */
};

/* Opcodes. 0 is none, so that an empty slot is an error. */
#define FIXAR_OPCODE_NOP		1u
#define FIXAR_OPCODE_ACT		2u
#define FIXAR_OPCODE_TRAIN		3u
#define FIXAR_OPCODE_READ_RANGES	4u
#define FIXAR_OPCODE_RELOAD		5u
#define FIXAR_OPCODE_ALL		0x0000003eu	/* ID_OPCODES of version 1.0 */

/* Of struct fixar_command, word 0. */
#define FIXAR_COMMAND_OPCODE		0x000000ffu
#define FIXAR_COMMAND_INTERRUPT		0x00000100u	/* set INT_STATUS.COMPLETED when it completes */
#define FIXAR_COMMAND_EXPLORE		0x00010000u	/* ACT: add noise, count saturations */
#define FIXAR_COMMAND_RESET_NOISE	0x00020000u	/* ACT: set the Ornstein-Uhlenbeck state to 0 first */

/* Offsets are from the window's base; 0 (the header's) is "none" where that is allowed. */
struct fixar_command {
	__le32 control;			/* FIXAR_COMMAND_* */
	__le32 seq;			/* the value that will be written to the doorbell */
	__le32 count;			/* ACT: observations; TRAIN: samples; else 0 */
	__le32 reserved0;
	__le64 input;			/* ACT: observations; TRAIN: the batch; else 0 */
	__le64 output;			/* ACT: actions; else 0 */
	__le64 statistics;		/* struct fixar_statistics, or 0: none */
	__le32 reserved1[6];
};

/*
 * CORE_ERROR_INFO.CODE. HARDWARE.md has the order in which a command is checked, and what CORE_ERROR_OFFSET then says.
 */
#define FIXAR_ERROR_NONE		0u
#define FIXAR_ERROR_SEQUENCE		1u	/* the slot's number is not the doorbell's */
#define FIXAR_ERROR_OPCODE		2u	/* unknown, or not in ID_OPCODES */
/* a reserved bit is set, a field that must be 0 is not, a count is 0, misaligned */
#define FIXAR_ERROR_COMMAND		3u
#define FIXAR_ERROR_MODE		4u	/* a mode register that this opcode uses is out of range */
#define FIXAR_ERROR_HEADER		5u	/* magic, schema, size or shape in the arena's header */
#define FIXAR_ERROR_TABLE		6u	/* a quantizer or a power of Adam out of range */
#define FIXAR_ERROR_CAPACITY		7u	/* the network does not fit the core's memories */
#define FIXAR_ERROR_BATCH		8u	/* count above the header's batch_max */
#define FIXAR_ERROR_OFFSET		9u	/* a range of the command meets header, state or another range */
#define FIXAR_ERROR_WINDOW		10u	/* an access beyond the limit, refused */
#define FIXAR_ERROR_READ		11u	/* AXI error response to a read */
#define FIXAR_ERROR_WRITE		12u	/* AXI error response to a write */
#define FIXAR_ERROR_ECC			13u	/* a read met an uncorrectable error */
#define FIXAR_ERROR_INTERNAL		14u	/* the core found itself in an impossible state */
#define FIXAR_ERRORS			15u

/* ---- Card management (AMD's CMS subsystem, PG348), if ID_CAPS_CMS ---- */

#define FIXAR_CMS_BASE			0x40000u
#define FIXAR_CMS_BYTES			0x40000u
#define FIXAR_CMS_MB_RESETN		0x60000u	/* write 1 to let its processor run */
#define FIXAR_CMS_ID			0x68000u	/* the register map begins */
#define FIXAR_CMS_ID_VALUE		0x74736574u
#define FIXAR_CMS_FIRMWARE		0x68004u
#define FIXAR_CMS_STATUS		0x68008u
#define FIXAR_CMS_STATUS_INIT_DONE	0x00000001u
#define FIXAR_CMS_ERROR			0x6800cu
#define FIXAR_CMS_CONTROL		0x68018u
/* A sensor is three words; its address is that of the first. */
#define FIXAR_CMS_12V_PEX		0x68020u	/* mV */
#define FIXAR_CMS_3V3_PEX		0x6802cu	/* mV */
#define FIXAR_CMS_12V_AUX		0x68044u	/* mV */
#define FIXAR_CMS_12V_PEX_CURRENT	0x680c8u	/* mA */
#define FIXAR_CMS_12V_AUX_CURRENT	0x680d4u	/* mA */
#define FIXAR_CMS_FPGA_TEMPERATURE	0x680f8u	/* degrees Celsius */
#define FIXAR_CMS_HBM_TEMPERATURE	0x68260u	/* degrees Celsius, stack 1 */
#define FIXAR_CMS_3V3_PEX_CURRENT	0x68278u	/* mA */
#define FIXAR_CMS_HBM2_TEMPERATURE	0x682b4u	/* degrees Celsius, stack 2 */
#define FIXAR_CMS_SENSOR_MAXIMUM	0u
#define FIXAR_CMS_SENSOR_AVERAGE	4u
#define FIXAR_CMS_SENSOR_NOW		8u
#define FIXAR_CMS_HEARTBEAT		0x682fcu	/* changes while the firmware lives */
#define FIXAR_CMS_HOST_STATUS2		0x6830cu
#define FIXAR_CMS_HOST_STATUS2_READY	0x00000001u	/* sensors hold values */

#define FIXAR_RESERVED_BASE		0x80000u	/* to the end of the BAR: answers, reads 0 */

_Static_assert(sizeof(struct fixar_command) == FIXAR_SLOT_BYTES, "a command fills a slot");
_Static_assert(__builtin_offsetof(struct fixar_command, input) == 16, "command: input");
_Static_assert(__builtin_offsetof(struct fixar_command, output) == 24, "command: output");
_Static_assert(__builtin_offsetof(struct fixar_command, statistics) == 32, "command: statistics");
_Static_assert(__builtin_offsetof(struct fixar_command, reserved1) == 40, "command: reserved");
_Static_assert(sizeof(struct fixar_result_record) == FIXAR_RESULT_BYTES, "a result record");
_Static_assert(__builtin_offsetof(struct fixar_result_record, cycles) == 8, "result record: cycles");
_Static_assert(__builtin_offsetof(struct fixar_result_record, offset) == 24, "result record: offset");
_Static_assert(FIXAR_RESULT_BASE + FIXAR_FIFO_DEPTH_MAX * FIXAR_RESULT_BYTES <= FIXAR_SLOT_BASE,
	       "records end before slots");
_Static_assert(FIXAR_SLOT_BASE + FIXAR_FIFO_DEPTH_MAX * FIXAR_SLOT_BYTES == FIXAR_SLOT_END, "the last slot");
_Static_assert(FIXAR_CMS_BASE % FIXAR_CMS_BYTES == 0, "an AXI window is aligned to its size");

#endif /* FIXAR_HW_REGS_H */
