// SPDX-License-Identifier: MIT
/* The registers of a channel and of its SGDMA block. */
#include "card.h"

/* Bits of Control that are no enables. */
#define CONTROL_OTHER \
	(FIXAR_XDMA_CONTROL_RUN | FIXAR_XDMA_CONTROL_NON_INC | FIXAR_XDMA_CONTROL_WRITE_BACK | FIXAR_XDMA_CONTROL_STREAM_NO_WB)
#define CREDITS_MASK 0x3ffu

/* Bits that have a meaning as an enable, for each direction. */
static uint32_t enables(const struct xdma_channel *channel)
{
	uint32_t mask = FIXAR_XDMA_STATUS_DESC_STOPPED | FIXAR_XDMA_STATUS_DESC_COMPLETED |
			FIXAR_XDMA_STATUS_ALIGN_MISMATCH | FIXAR_XDMA_STATUS_MAGIC_STOPPED |
			FIXAR_XDMA_STATUS_INVALID_LENGTH | FIXAR_XDMA_STATUS_IDLE_STOPPED |
			FIXAR_XDMA_STATUS_READ_ERROR | FIXAR_XDMA_STATUS_DESC_ERROR;

	return channel->from_card ? mask : mask | FIXAR_XDMA_STATUS_WRITE_ERROR;
}

static uint32_t identifier(const struct xdma_channel *channel, uint32_t h2c, uint32_t c2h)
{
	return (channel->from_card ? c2h : h2c) | channel->number << 8 | FIXAR_XDMA_IDENTIFIER_VERSION_2017;
}

uint32_t xdma_channel_read(struct xdma_channel *channel, uint32_t offset)
{
	uint32_t value;

	switch (offset) {
	case FIXAR_XDMA_IDENTIFIER:
		return identifier(channel, FIXAR_XDMA_IDENTIFIER_H2C, FIXAR_XDMA_IDENTIFIER_C2H);
	case FIXAR_XDMA_CHANNEL_CONTROL:
		return channel->control;
	case FIXAR_XDMA_CHANNEL_STATUS:
		return channel->status;
	case FIXAR_XDMA_CHANNEL_STATUS_RC:
		value = channel->status;
		channel->status &= FIXAR_XDMA_STATUS_BUSY;
		xdma_interrupts_evaluate(channel->card);
		return value;
	case FIXAR_XDMA_CHANNEL_COMPLETED:
		return channel->completed;
	case FIXAR_XDMA_CHANNEL_ALIGNMENTS:
		return 1 << 16 | 1 << 8 | 64; /* any address, any length, 64 bits of address */
	case FIXAR_XDMA_CHANNEL_WRITE_BACK_LO:
		return channel->write_back_lo;
	case FIXAR_XDMA_CHANNEL_WRITE_BACK_HI:
		return channel->write_back_hi;
	case FIXAR_XDMA_CHANNEL_INT_ENABLE:
		return channel->interrupt_enable;
	default:
		return xdma_performance_read(channel, offset);
	}
}

static void set_control(struct xdma_channel *channel, uint32_t value)
{
	const uint32_t before = channel->control;

	channel->control = value & (CONTROL_OTHER | enables(channel));
	if (~before & channel->control & FIXAR_XDMA_CONTROL_RUN)
		xdma_engine_run(channel);
	else if (before & ~channel->control & FIXAR_XDMA_CONTROL_RUN)
		xdma_engine_stop(channel);
}

static void set_interrupt_enable(struct xdma_channel *channel, uint32_t value)
{
	channel->interrupt_enable = value & enables(channel);
	xdma_interrupts_evaluate(channel->card);
}

void xdma_channel_write(struct xdma_channel *channel, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case FIXAR_XDMA_CHANNEL_CONTROL:
		if ((value & channel->control & FIXAR_XDMA_CONTROL_RUN))
			strict_note(channel->card, "%s: a start while Run is on, which starts nothing",
				    xdma_channel_name(channel->index));
		set_control(channel, value);
		break;
	case FIXAR_XDMA_CHANNEL_CONTROL_W1S:
		set_control(channel, channel->control | value);
		break;
	case FIXAR_XDMA_CHANNEL_CONTROL_W1C:
		set_control(channel, channel->control & ~value);
		break;
	case FIXAR_XDMA_CHANNEL_STATUS:
		channel->status &= ~(value & FIXAR_XDMA_STATUS_CLEARABLE);
		xdma_interrupts_evaluate(channel->card);
		break;
	case FIXAR_XDMA_CHANNEL_WRITE_BACK_LO:
		channel->write_back_lo = value;
		break;
	case FIXAR_XDMA_CHANNEL_WRITE_BACK_HI:
		channel->write_back_hi = value;
		break;
	case FIXAR_XDMA_CHANNEL_INT_ENABLE:
		set_interrupt_enable(channel, value);
		break;
	case FIXAR_XDMA_CHANNEL_INT_ENABLE_W1S:
		set_interrupt_enable(channel, channel->interrupt_enable | value);
		break;
	case FIXAR_XDMA_CHANNEL_INT_ENABLE_W1C:
		set_interrupt_enable(channel, channel->interrupt_enable & ~value);
		break;
	case FIXAR_XDMA_CHANNEL_PERF_CONTROL:
		xdma_performance_control(channel, value);
		break;
	default:
		strict_note(channel->card, "a write to %#x of %s, where no register takes one", offset,
			    xdma_channel_name(channel->index));
	}
}

uint32_t xdma_sgdma_read(struct xdma_channel *channel, uint32_t offset)
{
	switch (offset) {
	case FIXAR_XDMA_IDENTIFIER:
		return identifier(channel, FIXAR_XDMA_IDENTIFIER_H2C_SGDMA, FIXAR_XDMA_IDENTIFIER_C2H_SGDMA);
	case FIXAR_XDMA_SGDMA_FIRST_LO:
		return channel->first_lo;
	case FIXAR_XDMA_SGDMA_FIRST_HI:
		return channel->first_hi;
	case FIXAR_XDMA_SGDMA_ADJACENT:
		return channel->adjacent;
	case FIXAR_XDMA_SGDMA_CREDITS:
		return channel->credits;
	default:
		return 0;
	}
}

void xdma_sgdma_write(struct xdma_channel *channel, uint32_t offset, uint32_t value)
{
	if (offset >= FIXAR_XDMA_SGDMA_FIRST_LO && offset <= FIXAR_XDMA_SGDMA_ADJACENT &&
	    (channel->status & FIXAR_XDMA_STATUS_BUSY))
		strict_note(channel->card, "%s: a descriptor's address is written while the channel is busy",
			    xdma_channel_name(channel->index));
	switch (offset) {
	case FIXAR_XDMA_SGDMA_FIRST_LO:
		channel->first_lo = value;
		break;
	case FIXAR_XDMA_SGDMA_FIRST_HI:
		channel->first_hi = value;
		break;
	case FIXAR_XDMA_SGDMA_ADJACENT:
		channel->adjacent = value & FIXAR_XDMA_SGDMA_ADJACENT_MASK;
		break;
	case FIXAR_XDMA_SGDMA_CREDITS:
		/* A write adds, in credit mode. */
		if (xdma_credit_mode(channel))
			channel->credits = (channel->credits + value) & CREDITS_MASK;
		xdma_wake(channel->card);
		break;
	default:
		strict_note(channel->card, "a write to %#x of %s's SGDMA block, where no register takes one", offset,
			    xdma_channel_name(channel->index));
	}
}
