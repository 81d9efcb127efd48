// SPDX-License-Identifier: MIT
/* XDMA's register file: which block an offset is of; the configuration block; reset. */
#include <errno.h>
#include <string.h>

#include "card.h"

#define BLOCK(offset) ((offset)&0xf000u)
#define WITHIN_BLOCK 0x0fffu
#define CHANNEL(offset) ((offset) >> 8 & 0xfu)
#define WITHIN_CHANNEL 0xffu

#define SYSTEM_ID 0xff01u
#define PAYLOAD_512 2u /* 128 << 2 */
#define READ_512 2u
#define WIDTH_512 3u /* 64 << 3 bits */
#define FLUSH_TIMEOUT_MASK 0x1fu
#define CHANNEL_BITS 0x000f000fu /* of SGDMA's common registers */

const char *xdma_channel_name(unsigned index)
{
	static const char *const names[XDMA_CHANNELS] = {
		"h2c0", "h2c1", "h2c2", "h2c3", "c2h0", "c2h1", "c2h2", "c2h3"
	};

	return names[index];
}

void xdma_create(struct card *card)
{
	for (unsigned i = 0; i < XDMA_CHANNELS; i++) {
		struct xdma_channel *channel = &card->xdma.channel[i];

		channel->card = card;
		channel->index = i;
		channel->from_card = i >= XDMA_DIRECTION;
		channel->number = i % XDMA_DIRECTION;
		channel->exists = channel->number < card->options.channels;
		pthread_cond_init(&channel->wake, NULL);
	}
}

int xdma_start(struct card *card)
{
	for (unsigned i = 0; i < XDMA_CHANNELS; i++) {
		struct xdma_channel *channel = &card->xdma.channel[i];
		int error;

		if (!channel->exists)
			continue;
		error = pthread_create(&channel->thread, NULL, xdma_engine, channel);
		if (error)
			return -error;
		channel->has_thread = true;
	}
	return 0;
}

void xdma_join(struct card *card)
{
	for (unsigned i = 0; i < XDMA_CHANNELS; i++) {
		if (card->xdma.channel[i].has_thread)
			pthread_join(card->xdma.channel[i].thread, NULL);
		pthread_cond_destroy(&card->xdma.channel[i].wake);
	}
}

void xdma_wake(struct card *card)
{
	for (unsigned i = 0; i < XDMA_CHANNELS; i++)
		pthread_cond_broadcast(&card->xdma.channel[i].wake);
}

static void reset_channel(struct xdma_channel *channel)
{
	channel->control = channel->status = channel->completed = channel->interrupt_enable = 0;
	channel->write_back_lo = channel->write_back_hi = 0;
	channel->first_lo = channel->first_hi = channel->adjacent = channel->credits = 0;
	memset(&channel->performance, 0, sizeof(channel->performance));
	channel->work = false;
}

void xdma_reset(struct card *card)
{
	struct xdma *xdma = &card->xdma;
	const uint32_t lines = xdma->user_lines;

	for (unsigned i = 0; i < XDMA_CHANNELS; i++)
		reset_channel(&xdma->channel[i]);
	memset((char *)xdma + offsetof(struct xdma, user_enable), 0,
	       sizeof(*xdma) - offsetof(struct xdma, user_enable));
	/* The core drives its line, not XDMA. */
	xdma->user_lines = lines;
	xdma->relaxed_ordering = FIXAR_XDMA_CONFIG_RELAXED_ORDERING;
	xdma->user_payload = PAYLOAD_512 << 4 | PAYLOAD_512;
	xdma->user_read = READ_512 << 4 | READ_512;
	/* Every vector masked, and all its other bits set. */
	for (unsigned vector = 0; vector < FIXAR_XDMA_MSIX_VECTORS; vector++)
		xdma->msix_table[vector * 4 + 3] = 0xffffffff;
}

/* ---- Configuration block ---- */

static uint32_t configuration_read(const struct card *card, uint32_t offset)
{
	const struct xdma *xdma = &card->xdma;

	switch (offset) {
	case FIXAR_XDMA_IDENTIFIER:
		return FIXAR_XDMA_IDENTIFIER_CONFIG | FIXAR_XDMA_IDENTIFIER_VERSION_2017;
	case FIXAR_XDMA_CONFIG_MAX_PAYLOAD:
		return PAYLOAD_512;
	case FIXAR_XDMA_CONFIG_MAX_READ:
		return READ_512;
	case FIXAR_XDMA_CONFIG_SYSTEM_ID:
		return SYSTEM_ID;
	case FIXAR_XDMA_CONFIG_MSI:
		return (config_space_msi(&card->config) ? FIXAR_XDMA_CONFIG_MSI_ENABLED : 0) |
		       (config_space_msix(&card->config) ? FIXAR_XDMA_CONFIG_MSIX_ENABLED : 0);
	case FIXAR_XDMA_CONFIG_DATA_WIDTH:
		return WIDTH_512;
	case FIXAR_XDMA_CONFIG_PCIE_CONTROL:
		return xdma->relaxed_ordering;
	case FIXAR_XDMA_CONFIG_USER_MAX_PAYLOAD:
		return xdma->user_payload;
	case FIXAR_XDMA_CONFIG_USER_MAX_READ:
		return xdma->user_read;
	case FIXAR_XDMA_CONFIG_FLUSH_TIMEOUT:
		return xdma->flush_timeout;
	default:
		return 0;
	}
}

/* The effective size is what is programmed, or the link's if that is less. */
static uint32_t programmed(uint32_t value, uint32_t limit)
{
	const uint32_t code = value & 7;

	return (code < limit ? code : limit) << 4 | code;
}

static bool configuration_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct xdma *xdma = &card->xdma;

	switch (offset) {
	case FIXAR_XDMA_CONFIG_PCIE_CONTROL:
		xdma->relaxed_ordering = value & FIXAR_XDMA_CONFIG_RELAXED_ORDERING;
		return true;
	case FIXAR_XDMA_CONFIG_USER_MAX_PAYLOAD:
		xdma->user_payload = programmed(value, PAYLOAD_512);
		return true;
	case FIXAR_XDMA_CONFIG_USER_MAX_READ:
		xdma->user_read = programmed(value, READ_512);
		return true;
	case FIXAR_XDMA_CONFIG_FLUSH_TIMEOUT:
		xdma->flush_timeout = value & FLUSH_TIMEOUT_MASK;
		return true;
	default:
		return false;
	}
}

/* ---- SGDMA's common registers ---- */

static uint32_t common_bit(const struct xdma_channel *channel)
{
	return 1u << (channel->number + (channel->from_card ? 16 : 0));
}

bool xdma_credit_mode(const struct xdma_channel *channel)
{
	return channel->card->xdma.credit_mode & common_bit(channel);
}

bool xdma_fetch_halted(const struct xdma_channel *channel)
{
	return channel->card->xdma.halt & common_bit(channel);
}

/* Credits are gone when credit mode is off. */
static void drop_credits(struct card *card)
{
	for (unsigned i = 0; i < XDMA_CHANNELS; i++)
		if (!xdma_credit_mode(&card->xdma.channel[i]))
			card->xdma.channel[i].credits = 0;
}

static uint32_t common_read(const struct card *card, uint32_t offset)
{
	switch (offset) {
	case FIXAR_XDMA_IDENTIFIER:
		return FIXAR_XDMA_IDENTIFIER_COMMON | FIXAR_XDMA_IDENTIFIER_VERSION_2017;
	case FIXAR_XDMA_COMMON_HALT:
		return card->xdma.halt;
	case FIXAR_XDMA_COMMON_CREDIT_MODE:
		return card->xdma.credit_mode;
	default:
		return 0;
	}
}

static bool common_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct xdma *xdma = &card->xdma;

	switch (offset) {
	case FIXAR_XDMA_COMMON_HALT:
		xdma->halt = value & CHANNEL_BITS;
		break;
	case FIXAR_XDMA_COMMON_HALT_W1S:
		xdma->halt |= value & CHANNEL_BITS;
		break;
	case FIXAR_XDMA_COMMON_HALT_W1C:
		xdma->halt &= ~value;
		break;
	case FIXAR_XDMA_COMMON_CREDIT_MODE:
		xdma->credit_mode = value & CHANNEL_BITS;
		break;
	case FIXAR_XDMA_COMMON_CREDIT_MODE_W1S:
		xdma->credit_mode |= value & CHANNEL_BITS;
		break;
	case FIXAR_XDMA_COMMON_CREDIT_MODE_W1C:
		xdma->credit_mode &= ~value;
		break;
	default:
		return false;
	}
	drop_credits(card);
	xdma_wake(card);
	return true;
}

/* ---- All of the BAR ---- */

static struct xdma_channel *find_channel(struct card *card, uint32_t offset, uint32_t first_block)
{
	const bool from_card = BLOCK(offset) != first_block;
	const unsigned number = CHANNEL(offset);
	struct xdma_channel *channel;

	if (number >= XDMA_DIRECTION)
		return NULL;
	channel = &card->xdma.channel[(from_card ? XDMA_DIRECTION : 0) + number];
	return channel->exists ? channel : NULL;
}

uint32_t xdma_read(struct card *card, uint32_t offset)
{
	struct xdma_channel *channel;

	switch (BLOCK(offset)) {
	case FIXAR_XDMA_H2C(0):
	case FIXAR_XDMA_C2H(0):
		channel = find_channel(card, offset, FIXAR_XDMA_H2C(0));
		return channel ? xdma_channel_read(channel, offset & WITHIN_CHANNEL) : 0;
	case FIXAR_XDMA_IRQ:
		return xdma_interrupts_read(card, offset & WITHIN_BLOCK);
	case FIXAR_XDMA_CONFIG:
		return configuration_read(card, offset & WITHIN_BLOCK);
	case FIXAR_XDMA_H2C_SGDMA(0):
	case FIXAR_XDMA_C2H_SGDMA(0):
		channel = find_channel(card, offset, FIXAR_XDMA_H2C_SGDMA(0));
		return channel ? xdma_sgdma_read(channel, offset & WITHIN_CHANNEL) : 0;
	case FIXAR_XDMA_COMMON:
		return common_read(card, offset & WITHIN_BLOCK);
	case FIXAR_XDMA_MSIX_TABLE:
		/* QEMU keeps the table; this copy is what a client without one of its own sees. */
		if (!card->options.msi_only && (offset & WITHIN_BLOCK) < sizeof(card->xdma.msix_table))
			return card->xdma.msix_table[(offset & WITHIN_BLOCK) / 4];
		return 0;
	default:
		return 0;
	}
}

void xdma_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct xdma_channel *channel = NULL;
	bool known = true;

	switch (BLOCK(offset)) {
	case FIXAR_XDMA_H2C(0):
	case FIXAR_XDMA_C2H(0):
		channel = find_channel(card, offset, FIXAR_XDMA_H2C(0));
		known = channel;
		if (channel)
			xdma_channel_write(channel, offset & WITHIN_CHANNEL, value);
		break;
	case FIXAR_XDMA_IRQ:
		xdma_interrupts_write(card, offset & WITHIN_BLOCK, value);
		break;
	case FIXAR_XDMA_CONFIG:
		known = configuration_write(card, offset & WITHIN_BLOCK, value);
		break;
	case FIXAR_XDMA_H2C_SGDMA(0):
	case FIXAR_XDMA_C2H_SGDMA(0):
		channel = find_channel(card, offset, FIXAR_XDMA_H2C_SGDMA(0));
		known = channel;
		if (channel)
			xdma_sgdma_write(channel, offset & WITHIN_CHANNEL, value);
		break;
	case FIXAR_XDMA_COMMON:
		known = common_write(card, offset & WITHIN_BLOCK, value);
		break;
	case FIXAR_XDMA_MSIX_TABLE:
		known = !card->options.msi_only && (offset & WITHIN_BLOCK) < sizeof(card->xdma.msix_table);
		if (known)
			card->xdma.msix_table[(offset & WITHIN_BLOCK) / 4] = value;
		break;
	default:
		known = false;
	}
	if (!known)
		strict_note(card, "a write to %#x of the DMA BAR, where no register takes one", offset);
}
