// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: a vector for each channel and one for the core, or one for all.
 *
 * Handlers run in hard interrupt context, allocate nothing and read at most four registers, six
 * with a single vector: what else a single vector has to say is its thread's. drm_dev_enter() is
 * not needed in them: vectors are freed before registers are unmapped (devm, in reverse order).
 */
#include <linux/interrupt.h>
#include <linux/module.h>

#include "fixar_device.h"

static irqreturn_t fixar_irq_channel(int irq, void *data)
{
	fixar_copy_interrupt(data);
	return IRQ_HANDLED;
}

static irqreturn_t fixar_irq_core(int irq, void *data)
{
	fixar_core_interrupt(data);
	return IRQ_HANDLED;
}

/* In a mask of sources: the core. Channels have their bit in the interrupt block. */
#define FIXAR_IRQ_CORE BIT(31)

/* Return: the mask without the source that was served. */
static u32 fixar_irq_serve(struct fixar_device *fdev, u32 sources)
{
	u32 i;

	/* The core first: others wait for its next command. */
	if (sources & FIXAR_IRQ_CORE) {
		fixar_core_interrupt(fdev);
		return sources & ~FIXAR_IRQ_CORE;
	}
	i = __ffs(sources);
	fixar_copy_interrupt(&fdev->channels[i]);
	return sources & ~BIT(i);
}

static irqreturn_t fixar_irq_single_thread(int irq, void *data)
{
	struct fixar_device *fdev = data;
	u32 sources = atomic_xchg(&fdev->irq_left, 0);

	while (sources)
		sources = fixar_irq_serve(fdev, sources);
	return IRQ_HANDLED;
}

static irqreturn_t fixar_irq_single(int irq, void *data)
{
	struct fixar_device *fdev = data;
	u32 channels = readl(fdev->xdma + FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_CHANNEL_REQUEST);
	u32 users = readl(fdev->xdma + FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_REQUEST);
	u32 sources;

	if (fixar_all_ones(channels) || fixar_all_ones(users)) {
		fixar_event(fdev, FIXAR_EVENT_GONE);
		return IRQ_HANDLED;
	}
	sources = channels & GENMASK(fdev->channel_count - 1, 0);
	if (users & BIT(fdev->user_irq))
		sources |= FIXAR_IRQ_CORE;
	if (!sources)
		return IRQ_NONE;
	sources = fixar_irq_serve(fdev, sources);
	if (!sources)
		return IRQ_HANDLED;
	atomic_or(sources, &fdev->irq_left);
	return IRQ_WAKE_THREAD;
}

/* Sources off, read back: nothing new comes, but a message may be on its way. */
void fixar_irq_disable(struct fixar_device *fdev)
{
	void __iomem *block = fdev->xdma + FIXAR_XDMA_IRQ;

	writel(U32_MAX, block + FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1C);
	writel(U32_MAX, block + FIXAR_XDMA_IRQ_USER_ENABLE_W1C);
	readl(block + FIXAR_XDMA_IRQ_USER_ENABLE);
}

/*
 * With the core's interrupts, which are lost by a soft reset too: fixar_core_restart() has them on
 * already.
 */
void fixar_irq_enable(struct fixar_device *fdev)
{
	void __iomem *block = fdev->xdma + FIXAR_XDMA_IRQ;
	bool single = fdev->info.irq_vectors == 1;
	u32 vectors[DIV_ROUND_UP(FIXAR_CHANNELS, 4)] = {};
	u32 i;

	for (i = 0; !single && i < fdev->channel_count; i++)
		vectors[i / 4] |= i << FIXAR_XDMA_IRQ_VECTOR_SHIFT(i);
	for (i = 0; i < fdev->channel_count; i += 4)
		writel(vectors[i / 4], block + FIXAR_XDMA_IRQ_CHANNEL_VECTOR(i));
	/* The other lines of the word are nobody's. */
	writel(single ? 0 : fdev->channel_count << FIXAR_XDMA_IRQ_VECTOR_SHIFT(fdev->user_irq),
	       block + FIXAR_XDMA_IRQ_USER_VECTOR(fdev->user_irq));

	writel(GENMASK(fdev->channel_count - 1, 0), block + FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1S);
	writel(BIT(fdev->user_irq), block + FIXAR_XDMA_IRQ_USER_ENABLE_W1S);
}

/* Wait until no handler runs. */
void fixar_irq_off(struct fixar_device *fdev)
{
	u32 i;

	for (i = 0; i < fdev->info.irq_vectors; i++)
		synchronize_irq(pci_irq_vector(fdev->pdev, i));
}

/* Vectors and handlers; the sources are still off. */
int fixar_irq_init(struct fixar_device *fdev)
{
	struct pci_dev *pdev = fdev->pdev;
	struct device *dev = &pdev->dev;
	int wanted = fdev->channel_count + 1;
	u32 i;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, wanted, wanted, PCI_IRQ_MSIX);
	if (ret < 0)
		ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX | PCI_IRQ_MSI);
	if (ret < 0)
		return dev_err_probe(dev, ret, "neither MSI-X nor MSI\n");

	fdev->info.irq_vectors = ret;
	fdev->info.irq_mode = pdev->msix_enabled ? DRM_FIXAR_IRQ_MSIX : DRM_FIXAR_IRQ_MSI;

	if (ret == 1) {
		ret = devm_request_threaded_irq(dev, pci_irq_vector(pdev, 0), fixar_irq_single,
						fixar_irq_single_thread, 0, FIXAR_NAME, fdev);
		if (ret)
			return dev_err_probe(dev, ret, "interrupt\n");
		return 0;
	}
	for (i = 0; i < fdev->channel_count; i++) {
		ret = devm_request_irq(dev, pci_irq_vector(pdev, i), fixar_irq_channel, 0,
				       fdev->channels[i].engine.name, &fdev->channels[i]);
		if (ret)
			return dev_err_probe(dev, ret, "interrupt %u\n", i);
	}
	ret = devm_request_irq(dev, pci_irq_vector(pdev, i), fixar_irq_core, 0,
			       fdev->core.engine.name, fdev);
	if (ret)
		return dev_err_probe(dev, ret, "interrupt %u\n", i);
	return 0;
}
