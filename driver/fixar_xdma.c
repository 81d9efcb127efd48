// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDMA's channels as registers: find, set up, start, stop, status. What runs on them is
 * fixar_copy.c's.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>
#include <linux/module.h>

#include "fixar_device.h"

#define FIXAR_IDLE_US 100000 /* for a stopped channel to fall idle (HARDWARE.md, section 17) */
#define FIXAR_IDLE_POLL_US 1000

static u32 fixar_xdma_id(struct fixar_device *fdev, u32 block)
{
	return readl(fdev->xdma + block + FIXAR_XDMA_IDENTIFIER);
}

/*
 * Is this BAR what we take it for? Its place is not searched for: reads of a stranger's BAR may do
 * something.
 */
int fixar_xdma_identify(struct fixar_device *fdev)
{
	u32 irq = fixar_xdma_id(fdev, FIXAR_XDMA_IRQ);
	u32 config = fixar_xdma_id(fdev, FIXAR_XDMA_CONFIG);

	if ((irq & FIXAR_XDMA_IDENTIFIER_BLOCK) != FIXAR_XDMA_IDENTIFIER_IRQ ||
	    (config & FIXAR_XDMA_IDENTIFIER_BLOCK) != FIXAR_XDMA_IDENTIFIER_CONFIG) {
		dev_err(fixar_dev(fdev), "no XDMA registers: identifiers %#010x and %#010x\n", irq,
			config);
		return -ENODEV;
	}
	return 0;
}

u32 fixar_xdma_status(struct fixar_channel *channel)
{
	return readl(channel->regs + FIXAR_XDMA_CHANNEL_STATUS);
}

/* The read clears all but BUSY. */
u32 fixar_xdma_status_clear(struct fixar_channel *channel)
{
	return readl(channel->regs + FIXAR_XDMA_CHANNEL_STATUS_RC);
}

/* Descriptors since the start. */
u32 fixar_xdma_completed(struct fixar_channel *channel)
{
	return readl(channel->regs + FIXAR_XDMA_CHANNEL_COMPLETED);
}

static u32 fixar_xdma_enables(struct fixar_channel *channel)
{
	return channel->to_card ? FIXAR_XDMA_ENABLE_H2C : FIXAR_XDMA_ENABLE_C2H;
}

/**
 * fixar_xdma_start() - start an idle channel
 * @channel: idle, with its lock held
 * @run: descriptors, written
 *
 * Writes only. writel() orders the descriptors before the first of them.
 */
void fixar_xdma_start(struct fixar_channel *channel, const struct fixar_run *run)
{
	writel(FIXAR_XDMA_CONTROL_RUN, channel->regs + FIXAR_XDMA_CHANNEL_CONTROL_W1C);
	writel(lower_32_bits(run->dma), channel->sgdma + FIXAR_XDMA_SGDMA_FIRST_LO);
	writel(upper_32_bits(run->dma), channel->sgdma + FIXAR_XDMA_SGDMA_FIRST_HI);
	writel(min(run->count, FIXAR_XDMA_DESC_BLOCK) - 1,
	       channel->sgdma + FIXAR_XDMA_SGDMA_ADJACENT);
	writel(fixar_xdma_enables(channel) | FIXAR_XDMA_CONTROL_RUN,
	       channel->regs + FIXAR_XDMA_CHANNEL_CONTROL);
}

/* Ends after the current descriptor; fixar_xdma_wait_idle() says when. */
void fixar_xdma_halt(struct fixar_channel *channel)
{
	writel(FIXAR_XDMA_CONTROL_RUN, channel->regs + FIXAR_XDMA_CHANNEL_CONTROL_W1C);
}

/**
 * fixar_xdma_wait_idle() - wait until a halted channel touches no memory any more
 * @channel: halted
 *
 * Sleeps. Return: 0, -ETIMEDOUT (only a bus reset helps) or -ENODEV.
 */
int fixar_xdma_wait_idle(struct fixar_channel *channel)
{
	u32 status;
	int ret;

	ret = read_poll_timeout(fixar_xdma_status, status,
				fixar_all_ones(status) || !(status & FIXAR_XDMA_STATUS_BUSY),
				FIXAR_IDLE_POLL_US, FIXAR_IDLE_US, false, channel);
	if (fixar_all_ones(status))
		return -ENODEV;
	return ret;
}

static int fixar_xdma_setup(struct fixar_device *fdev, struct fixar_channel *channel)
{
	const char *name = channel->engine.name;
	u32 alignments, address, length;
	int ret;

	fixar_xdma_halt(channel);
	ret = fixar_xdma_wait_idle(channel);
	if (ret) {
		dev_err(fixar_dev(fdev), "%s does not fall idle: %d\n", name, ret);
		return ret;
	}
	writel(FIXAR_XDMA_CONTROL_NON_INC, channel->regs + FIXAR_XDMA_CHANNEL_CONTROL_W1C);

	alignments = readl(channel->regs + FIXAR_XDMA_CHANNEL_ALIGNMENTS);
	address = FIELD_GET(FIXAR_XDMA_ALIGNMENTS_ADDRESS, alignments);
	length = FIELD_GET(FIXAR_XDMA_ALIGNMENTS_LENGTH, alignments);
	if (address > 1 || length > 1) {
		dev_err(fixar_dev(fdev), "%s is aligned: %#010x\n", name, alignments);
		return -ENODEV;
	}

	fixar_xdma_status_clear(channel);
	writel(fixar_xdma_enables(channel) & ~FIXAR_XDMA_STATUS_DESC_COMPLETED,
	       channel->regs + FIXAR_XDMA_CHANNEL_INT_ENABLE);
	return 0;
}

static void fixar_xdma_add(struct fixar_device *fdev, bool to_card, u32 n)
{
	struct fixar_channel *channel = &fdev->channels[fdev->channel_count];

	channel->engine.fdev = fdev;
	channel->engine.queue = to_card ? DRM_FIXAR_QUEUE_H2C : DRM_FIXAR_QUEUE_C2H;
	channel->engine.index = n;
	snprintf(channel->engine.name, sizeof(channel->engine.name), "fixar-%s%u",
		 to_card ? "h2c" : "c2h", n);
	channel->to_card = to_card;
	channel->bit = fdev->channel_count;
	channel->regs = fdev->xdma + (to_card ? FIXAR_XDMA_H2C(n) : FIXAR_XDMA_C2H(n));
	channel->sgdma = fdev->xdma + (to_card ? FIXAR_XDMA_H2C_SGDMA(n) : FIXAR_XDMA_C2H_SGDMA(n));
	fdev->channel_count++;
}

static u32 fixar_xdma_discover(struct fixar_device *fdev, bool to_card)
{
	const u32 mask = FIXAR_XDMA_IDENTIFIER_BLOCK | FIXAR_XDMA_IDENTIFIER_STREAM |
			 FIXAR_XDMA_IDENTIFIER_CHANNEL;
	u32 expected, n;

	for (n = 0; n < FIXAR_XDMA_CHANNELS_MAX; n++) {
		expected = (to_card ? FIXAR_XDMA_IDENTIFIER_H2C : FIXAR_XDMA_IDENTIFIER_C2H) |
			   FIELD_PREP(FIXAR_XDMA_IDENTIFIER_CHANNEL, n);
		if ((fixar_xdma_id(fdev, to_card ? FIXAR_XDMA_H2C(n) : FIXAR_XDMA_C2H(n)) & mask) !=
		    expected)
			break;
		fixar_xdma_add(fdev, to_card, n);
	}
	return n;
}

/* Find the channels and set them up. */
int fixar_xdma_init(struct fixar_device *fdev)
{
	fdev->info.h2c_channels = fixar_xdma_discover(fdev, true);
	fdev->info.c2h_channels = fixar_xdma_discover(fdev, false);
	if (!fdev->info.h2c_channels || !fdev->info.c2h_channels) {
		dev_err(fixar_dev(fdev), "%u H2C and %u C2H channels\n", fdev->info.h2c_channels,
			fdev->info.c2h_channels);
		return -ENODEV;
	}
	return fixar_xdma_reinit(fdev);
}

/* What a bus reset has cleared. Interrupts stay off. */
int fixar_xdma_reinit(struct fixar_device *fdev)
{
	u32 i;
	int ret;

	ret = fixar_xdma_identify(fdev);
	if (ret)
		return ret;
	fixar_irq_disable(fdev);
	for (i = 0; i < fdev->channel_count; i++) {
		ret = fixar_xdma_setup(fdev, &fdev->channels[i]);
		if (ret)
			return ret;
	}
	return 0;
}
