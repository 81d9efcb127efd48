// SPDX-License-Identifier: MIT
/* XDMA's interrupt block: sources, enables, requests, vector numbers. */
#include <string.h>

#include "card.h"

#define USER_MASK 0xffffu

static unsigned channel_bits(const struct card *card)
{
	return 2 * card->options.channels;
}

static uint32_t channel_mask(const struct card *card)
{
	return (1u << channel_bits(card)) - 1;
}

/* H2C channels from bit 0, C2H channels right behind the last H2C. */
static const struct xdma_channel *channel_of_bit(const struct card *card, unsigned bit)
{
	const unsigned channels = card->options.channels;

	return &card->xdma.channel[bit < channels ? bit : XDMA_DIRECTION + bit - channels];
}

static uint32_t channel_pending(const struct card *card)
{
	uint32_t pending = 0;

	for (unsigned bit = 0; bit < channel_bits(card); bit++) {
		const struct xdma_channel *channel = channel_of_bit(card, bit);

		if (channel->status & channel->interrupt_enable)
			pending |= 1u << bit;
	}
	return pending;
}

static uint32_t vector_of(const uint32_t *registers, unsigned line)
{
	return registers[line / 4] >> FIXAR_XDMA_IRQ_VECTOR_SHIFT(line) & FIXAR_XDMA_IRQ_VECTOR_MASK;
}

void xdma_interrupts_evaluate(struct card *card)
{
	struct xdma *xdma = &card->xdma;
	const uint32_t channels = channel_pending(card) & xdma->channel_enable;
	const uint32_t users = xdma->user_lines & xdma->user_enable;
	const uint32_t new_channels = channels & ~xdma->channel_sent, new_users = users & ~xdma->user_sent;

	/* First what is known: sending may remove the card. */
	xdma->channel_sent = channels;
	xdma->user_sent = users;
	for (unsigned bit = 0; bit < channel_bits(card); bit++)
		if (new_channels >> bit & 1)
			interrupts_send(card, vector_of(xdma->channel_vector, bit));
	for (unsigned line = 0; line < FIXAR_XDMA_USER_IRQS_MAX; line++)
		if (new_users >> line & 1)
			interrupts_send(card, vector_of(xdma->user_vector, line));
}

void xdma_user_line(struct card *card, unsigned line, bool level)
{
	if (level)
		card->xdma.user_lines |= 1u << line;
	else
		card->xdma.user_lines &= ~(1u << line);
	xdma_interrupts_evaluate(card);
}

uint32_t xdma_interrupts_read(struct card *card, uint32_t offset)
{
	const struct xdma *xdma = &card->xdma;
	const struct fault *fault;

	switch (offset) {
	case FIXAR_XDMA_IDENTIFIER:
		fault = faults_strike(card, FAULT_IDENTITY_XDMA, FAULT_ANYWHERE);
		return fault ? fault->value : FIXAR_XDMA_IDENTIFIER_IRQ | FIXAR_XDMA_IDENTIFIER_VERSION_2017;
	case FIXAR_XDMA_IRQ_USER_ENABLE:
		return xdma->user_enable;
	case FIXAR_XDMA_IRQ_CHANNEL_ENABLE:
		return xdma->channel_enable;
	case FIXAR_XDMA_IRQ_USER_REQUEST:
		return xdma->user_lines & xdma->user_enable;
	case FIXAR_XDMA_IRQ_CHANNEL_REQUEST:
		return channel_pending(card) & xdma->channel_enable;
	case FIXAR_XDMA_IRQ_USER_PENDING:
		return xdma->user_lines;
	case FIXAR_XDMA_IRQ_CHANNEL_PENDING:
		return channel_pending(card);
	default:
		break;
	}
	if (offset >= FIXAR_XDMA_IRQ_USER_VECTOR(0) && offset <= FIXAR_XDMA_IRQ_USER_VECTOR(15))
		return xdma->user_vector[(offset - FIXAR_XDMA_IRQ_USER_VECTOR(0)) / 4];
	if (offset >= FIXAR_XDMA_IRQ_CHANNEL_VECTOR(0) && offset <= FIXAR_XDMA_IRQ_CHANNEL_VECTOR(7))
		return xdma->channel_vector[(offset - FIXAR_XDMA_IRQ_CHANNEL_VECTOR(0)) / 4];
	return 0;
}

static void write_vector(uint32_t *place, uint32_t value)
{
	*place = value & FIXAR_XDMA_IRQ_VECTOR_MASK * 0x01010101u;
}

void xdma_interrupts_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct xdma *xdma = &card->xdma;

	switch (offset) {
	case FIXAR_XDMA_IRQ_USER_ENABLE:
		xdma->user_enable = value & USER_MASK;
		break;
	case FIXAR_XDMA_IRQ_USER_ENABLE_W1S:
		xdma->user_enable |= value & USER_MASK;
		break;
	case FIXAR_XDMA_IRQ_USER_ENABLE_W1C:
		xdma->user_enable &= ~value;
		break;
	case FIXAR_XDMA_IRQ_CHANNEL_ENABLE:
		xdma->channel_enable = value & channel_mask(card);
		break;
	case FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1S:
		xdma->channel_enable |= value & channel_mask(card);
		break;
	case FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1C:
		xdma->channel_enable &= ~value;
		break;
	default:
		if (offset >= FIXAR_XDMA_IRQ_USER_VECTOR(0) && offset <= FIXAR_XDMA_IRQ_USER_VECTOR(15))
			write_vector(&xdma->user_vector[(offset - FIXAR_XDMA_IRQ_USER_VECTOR(0)) / 4], value);
		else if (offset >= FIXAR_XDMA_IRQ_CHANNEL_VECTOR(0) && offset <= FIXAR_XDMA_IRQ_CHANNEL_VECTOR(7))
			write_vector(&xdma->channel_vector[(offset - FIXAR_XDMA_IRQ_CHANNEL_VECTOR(0)) / 4], value);
		else
			strict_note(card, "a write to %#x of the DMA BAR, where no register takes one",
				    FIXAR_XDMA_IRQ + offset);
		return;
	}
	xdma_interrupts_evaluate(card);
}
