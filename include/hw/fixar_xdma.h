/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The XDMA IP ("DMA/Bridge Subsystem for PCI Express", PG195): registers of its BAR and the descriptor. What is here is
 * the IP's, not this project's; driver/HARDWARE.md says how FIXAR uses it.
 *
 * A block's registers are offsets from the block; FIXAR_XDMA_H2C(n) and the like are the blocks. 32-bit accesses only.
 */
#ifndef FIXAR_HW_XDMA_H
#define FIXAR_HW_XDMA_H

#include <linux/types.h>

#define FIXAR_XDMA_BAR_BYTES			0x10000u
#define FIXAR_XDMA_CHANNELS_MAX			4u		/* of each direction */
#define FIXAR_XDMA_USER_IRQS_MAX		16u

/* ---- Blocks ---- */

#define FIXAR_XDMA_H2C(n)			(0x0000u + 0x100u * (n))
#define FIXAR_XDMA_C2H(n)			(0x1000u + 0x100u * (n))
#define FIXAR_XDMA_IRQ				0x2000u
#define FIXAR_XDMA_CONFIG			0x3000u
#define FIXAR_XDMA_H2C_SGDMA(n)			(0x4000u + 0x100u * (n))
#define FIXAR_XDMA_C2H_SGDMA(n)			(0x5000u + 0x100u * (n))
#define FIXAR_XDMA_COMMON			0x6000u
#define FIXAR_XDMA_MSIX_TABLE			0x8000u
#define FIXAR_XDMA_MSIX_PBA			0x8fe0u
#define FIXAR_XDMA_MSIX_VECTORS			32u

/* The first register of every block. */
#define FIXAR_XDMA_IDENTIFIER			0x00u
#define FIXAR_XDMA_IDENTIFIER_BLOCK		0xffff0000u
#define FIXAR_XDMA_IDENTIFIER_STREAM		0x00008000u
#define FIXAR_XDMA_IDENTIFIER_CHANNEL		0x00000f00u
#define FIXAR_XDMA_IDENTIFIER_VERSION		0x000000ffu
#define FIXAR_XDMA_IDENTIFIER_H2C		0x1fc00000u
#define FIXAR_XDMA_IDENTIFIER_C2H		0x1fc10000u
#define FIXAR_XDMA_IDENTIFIER_IRQ		0x1fc20000u
#define FIXAR_XDMA_IDENTIFIER_CONFIG		0x1fc30000u
#define FIXAR_XDMA_IDENTIFIER_H2C_SGDMA		0x1fc40000u
#define FIXAR_XDMA_IDENTIFIER_C2H_SGDMA		0x1fc50000u
#define FIXAR_XDMA_IDENTIFIER_COMMON		0x1fc60000u
#define FIXAR_XDMA_IDENTIFIER_VERSION_2017	0x06u		/* 2017.1 and later */

/* ---- Channel (H2C, C2H) ---- */

#define FIXAR_XDMA_CHANNEL_CONTROL		0x04u
#define FIXAR_XDMA_CHANNEL_CONTROL_W1S		0x08u
#define FIXAR_XDMA_CHANNEL_CONTROL_W1C		0x0cu
#define FIXAR_XDMA_CHANNEL_STATUS		0x40u		/* W1C */
#define FIXAR_XDMA_CHANNEL_STATUS_RC		0x44u		/* the same; the read clears */
#define FIXAR_XDMA_CHANNEL_COMPLETED		0x48u		/* descriptors since Run was set */
#define FIXAR_XDMA_CHANNEL_ALIGNMENTS		0x4cu
#define FIXAR_XDMA_CHANNEL_WRITE_BACK_LO	0x88u		/* poll mode */
#define FIXAR_XDMA_CHANNEL_WRITE_BACK_HI	0x8cu
#define FIXAR_XDMA_CHANNEL_INT_ENABLE		0x90u		/* bits of CHANNEL_STATUS */
#define FIXAR_XDMA_CHANNEL_INT_ENABLE_W1S	0x94u
#define FIXAR_XDMA_CHANNEL_INT_ENABLE_W1C	0x98u
#define FIXAR_XDMA_CHANNEL_PERF_CONTROL		0xc0u
#define FIXAR_XDMA_CHANNEL_PERF_CYCLES_LO	0xc4u
#define FIXAR_XDMA_CHANNEL_PERF_CYCLES_HI	0xc8u
#define FIXAR_XDMA_CHANNEL_PERF_DATA_LO		0xccu
#define FIXAR_XDMA_CHANNEL_PERF_DATA_HI		0xd0u

/* Control: "ie" bits say which events are logged in the status register, and which errors stop the engine. */
#define FIXAR_XDMA_CONTROL_RUN			0x00000001u
#define FIXAR_XDMA_CONTROL_NON_INC		0x02000000u	/* fixed card address; never used here */
#define FIXAR_XDMA_CONTROL_WRITE_BACK		0x04000000u	/* poll mode */
#define FIXAR_XDMA_CONTROL_STREAM_NO_WB		0x08000000u	/* AXI-Stream only */

/* Status, and the same positions as enables in control and CHANNEL_INT_ENABLE. */
#define FIXAR_XDMA_STATUS_BUSY			0x00000001u	/* not in the enables */
#define FIXAR_XDMA_STATUS_DESC_STOPPED		0x00000002u
#define FIXAR_XDMA_STATUS_DESC_COMPLETED	0x00000004u
#define FIXAR_XDMA_STATUS_ALIGN_MISMATCH	0x00000008u
#define FIXAR_XDMA_STATUS_MAGIC_STOPPED		0x00000010u
#define FIXAR_XDMA_STATUS_INVALID_LENGTH	0x00000020u
#define FIXAR_XDMA_STATUS_IDLE_STOPPED		0x00000040u
#define FIXAR_XDMA_STATUS_READ_ERROR		0x00003e00u
#define FIXAR_XDMA_STATUS_WRITE_ERROR		0x0007c000u	/* H2C only */
#define FIXAR_XDMA_STATUS_DESC_ERROR		0x00f80000u
#define FIXAR_XDMA_STATUS_CLEARABLE		0x00fffffeu
#define FIXAR_XDMA_STATUS_ERRORS		0x00fffe38u	/* all that are no normal end */
/* Single errors. */
#define FIXAR_XDMA_STATUS_READ_UNSUPPORTED	0x00000200u	/* H2C: unsupported request */
#define FIXAR_XDMA_STATUS_READ_ABORT		0x00000400u	/* H2C: completer abort */
#define FIXAR_XDMA_STATUS_READ_PARITY		0x00000800u
#define FIXAR_XDMA_STATUS_READ_POISONED		0x00001000u
#define FIXAR_XDMA_STATUS_READ_UNEXPECTED	0x00002000u
#define FIXAR_XDMA_STATUS_READ_AXI_DECODE	0x00000200u	/* C2H */
#define FIXAR_XDMA_STATUS_READ_AXI_SLAVE	0x00000400u	/* C2H */
#define FIXAR_XDMA_STATUS_WRITE_AXI_DECODE	0x00004000u	/* H2C */
#define FIXAR_XDMA_STATUS_WRITE_AXI_SLAVE	0x00008000u	/* H2C */
#define FIXAR_XDMA_STATUS_DESC_UNSUPPORTED	0x00080000u
#define FIXAR_XDMA_STATUS_DESC_ABORT		0x00100000u
#define FIXAR_XDMA_STATUS_DESC_PARITY		0x00200000u
#define FIXAR_XDMA_STATUS_DESC_POISONED		0x00400000u
#define FIXAR_XDMA_STATUS_DESC_UNEXPECTED	0x00800000u

/*
 * What the driver enables in control, beside RUN: everything that the direction has but IDLE_STOPPED, because the driver
 * clears RUN before each start, and that is no event. CHANNEL_INT_ENABLE is this without DESC_COMPLETED: the end of a
 * run, or an error, is one interrupt.
 */
#define FIXAR_XDMA_ENABLE_H2C			0x00fffe3eu
#define FIXAR_XDMA_ENABLE_C2H			0x00f83e3eu

#define FIXAR_XDMA_ALIGNMENTS_ADDRESS		0x00ff0000u	/* bytes; 0 means 1 */
#define FIXAR_XDMA_ALIGNMENTS_LENGTH		0x0000ff00u	/* bytes; 0 means 1 */
#define FIXAR_XDMA_ALIGNMENTS_ADDRESS_BITS	0x000000ffu	/* 0 means 64 */

/* Poll mode: the dword that the engine writes to host memory. */
#define FIXAR_XDMA_WRITE_BACK_ERROR		0x80000000u
#define FIXAR_XDMA_WRITE_BACK_COUNT		0x00ffffffu

/*
 * PG195's names for the bits; the vendor's driver has 0 and 2 the other way round. Write CLEAR alone, then AUTO | RUN.
 */
#define FIXAR_XDMA_PERF_CONTROL_AUTO		0x00000001u
#define FIXAR_XDMA_PERF_CONTROL_CLEAR		0x00000002u
#define FIXAR_XDMA_PERF_CONTROL_RUN		0x00000004u
#define FIXAR_XDMA_PERF_HI_COUNT		0x000003ffu	/* bits 41:32 */
#define FIXAR_XDMA_PERF_HI_MAXED		0x00010000u

/* ---- Interrupts ---- */

#define FIXAR_XDMA_IRQ_USER_ENABLE		0x04u
#define FIXAR_XDMA_IRQ_USER_ENABLE_W1S		0x08u
#define FIXAR_XDMA_IRQ_USER_ENABLE_W1C		0x0cu
#define FIXAR_XDMA_IRQ_CHANNEL_ENABLE		0x10u
#define FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1S	0x14u
#define FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1C	0x18u
#define FIXAR_XDMA_IRQ_USER_REQUEST		0x40u		/* source and enable */
#define FIXAR_XDMA_IRQ_CHANNEL_REQUEST		0x44u
#define FIXAR_XDMA_IRQ_USER_PENDING		0x48u		/* source */
#define FIXAR_XDMA_IRQ_CHANNEL_PENDING		0x4cu
#define FIXAR_XDMA_IRQ_USER_VECTOR(n)		(0x80u + 4u * ((n) / 4u))	/* four lines a register */
/* H2C first, C2H right behind the last H2C */
#define FIXAR_XDMA_IRQ_CHANNEL_VECTOR(n)	(0xa0u + 4u * ((n) / 4u))
#define FIXAR_XDMA_IRQ_VECTOR_SHIFT(n)		(8u * ((n) % 4u))
#define FIXAR_XDMA_IRQ_VECTOR_MASK		0x1fu

/* ---- Configuration ---- */

#define FIXAR_XDMA_CONFIG_BDF			0x04u
#define FIXAR_XDMA_CONFIG_MAX_PAYLOAD		0x08u		/* log2(bytes / 128) */
#define FIXAR_XDMA_CONFIG_MAX_READ		0x0cu
#define FIXAR_XDMA_CONFIG_SYSTEM_ID		0x10u
#define FIXAR_XDMA_CONFIG_MSI			0x14u
#define FIXAR_XDMA_CONFIG_MSI_ENABLED		0x00000001u
#define FIXAR_XDMA_CONFIG_MSIX_ENABLED		0x00000002u
#define FIXAR_XDMA_CONFIG_DATA_WIDTH		0x18u		/* log2(bits / 64) */
#define FIXAR_XDMA_CONFIG_PCIE_CONTROL		0x1cu
#define FIXAR_XDMA_CONFIG_RELAXED_ORDERING	0x00000001u
#define FIXAR_XDMA_CONFIG_USER_MAX_PAYLOAD	0x40u
#define FIXAR_XDMA_CONFIG_USER_MAX_READ		0x44u
#define FIXAR_XDMA_CONFIG_FLUSH_TIMEOUT		0x60u

/* ---- SGDMA ---- */

#define FIXAR_XDMA_SGDMA_FIRST_LO		0x80u
#define FIXAR_XDMA_SGDMA_FIRST_HI		0x84u
#define FIXAR_XDMA_SGDMA_ADJACENT		0x88u		/* descriptors that follow the first without a gap */
#define FIXAR_XDMA_SGDMA_ADJACENT_MASK		0x3fu
#define FIXAR_XDMA_SGDMA_CREDITS		0x8cu

/* Halt and credit mode: bit n is H2C channel n, bit 16 + n C2H channel n. */
#define FIXAR_XDMA_COMMON_HALT			0x10u
#define FIXAR_XDMA_COMMON_HALT_W1S		0x14u
#define FIXAR_XDMA_COMMON_HALT_W1C		0x18u
#define FIXAR_XDMA_COMMON_CREDIT_MODE		0x20u
#define FIXAR_XDMA_COMMON_CREDIT_MODE_W1S	0x24u
#define FIXAR_XDMA_COMMON_CREDIT_MODE_W1C	0x28u

/* ---- Descriptor: in host memory, 32-byte aligned; adjacent ones never cross a 4 KiB boundary ---- */

struct fixar_xdma_descriptor {
	__le32 control;
	__le32 length;			/* bytes, FIXAR_XDMA_DESC_LENGTH */
	__le32 source_lo;		/* H2C: bus address in the host; C2H: AXI address */
	__le32 source_hi;
	__le32 destination_lo;		/* the other one */
	__le32 destination_hi;
	__le32 next_lo;			/* bus address; 0 in the last */
	__le32 next_hi;
};

#define FIXAR_XDMA_DESC_MAGIC			0xad4b0000u
#define FIXAR_XDMA_DESC_MAGIC_MASK		0xffff0000u
/* descriptors that follow the one at `next` without a gap */
#define FIXAR_XDMA_DESC_ADJACENT		0x00003f00u
#define FIXAR_XDMA_DESC_EOP			0x00000010u	/* AXI-Stream only */
#define FIXAR_XDMA_DESC_COMPLETED		0x00000002u
#define FIXAR_XDMA_DESC_STOP			0x00000001u
#define FIXAR_XDMA_DESC_LENGTH			0x0fffffffu
#define FIXAR_XDMA_DESC_ALIGN			32u
#define FIXAR_XDMA_DESC_BOUNDARY		4096u
#define FIXAR_XDMA_DESC_BLOCK_MAX		64u		/* adjacent descriptors that one fetch can name */
#define FIXAR_XDMA_DESC_BLOCK			32u		/* that the driver uses: 1 KiB, HARDWARE.md says why */

_Static_assert(sizeof(struct fixar_xdma_descriptor) == 32, "a descriptor");
_Static_assert(__builtin_offsetof(struct fixar_xdma_descriptor, source_lo) == 8, "descriptor: source");
_Static_assert(__builtin_offsetof(struct fixar_xdma_descriptor, destination_lo) == 16, "descriptor: destination");
_Static_assert(__builtin_offsetof(struct fixar_xdma_descriptor, next_lo) == 24, "descriptor: next");
_Static_assert((FIXAR_XDMA_STATUS_READ_ERROR | FIXAR_XDMA_STATUS_WRITE_ERROR | FIXAR_XDMA_STATUS_DESC_ERROR |
		FIXAR_XDMA_STATUS_ALIGN_MISMATCH | FIXAR_XDMA_STATUS_MAGIC_STOPPED |
		FIXAR_XDMA_STATUS_INVALID_LENGTH) == FIXAR_XDMA_STATUS_ERRORS, "the errors");

#endif /* FIXAR_HW_XDMA_H */
