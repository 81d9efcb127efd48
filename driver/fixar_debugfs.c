// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs, root's: the registers, and what the driver believes. Reading has no side effect on the
 * card.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "fixar_device.h"

static void fixar_dump(struct seq_file *m, const char *name, void __iomem *base, u32 first, u32 end)
{
	u32 offset;

	for (offset = first; offset < end; offset += 4)
		seq_printf(m, "%s %05x %08x\n", name, offset, readl(base + offset));
}

static int fixar_registers_show(struct seq_file *m, void *data)
{
	struct fixar_device *fdev = m->private;
	const struct fixar_channel *channel;
	int idx;
	u32 i;

	if (!drm_dev_enter(&fdev->drm, &idx))
		return -ENODEV;
	if (fixar_state(fdev) != FIXAR_OK) {
		drm_dev_exit(idx);
		return -EBUSY;
	}
	fixar_dump(m, "core", fdev->bar, FIXAR_ID_MAGIC, FIXAR_ID_ACTIVATION_MEMORY + 4);
	fixar_dump(m, "core", fdev->bar, FIXAR_CORE_STATUS, FIXAR_WINDOW_LIMIT_HI + 4);
	fixar_dump(m, "core", fdev->bar, FIXAR_MODE_PRECISION, FIXAR_MODE_END);
	fixar_dump(m, "core", fdev->bar, FIXAR_COUNTER_TIMESTAMP, FIXAR_COUNTER_END);
	fixar_dump(m, "core", fdev->bar, FIXAR_RESULT_BASE,
		   FIXAR_RESULT_BASE + fdev->info.fifo_depth * FIXAR_RESULT_BYTES);
	fixar_dump(m, "core", fdev->bar, FIXAR_SLOT_BASE,
		   FIXAR_SLOT_BASE + fdev->info.fifo_depth * FIXAR_SLOT_BYTES);
	fixar_dump(m, "irq", fdev->xdma + FIXAR_XDMA_IRQ, FIXAR_XDMA_IRQ_USER_ENABLE,
		   FIXAR_XDMA_IRQ_USER_ENABLE + 4);
	fixar_dump(m, "irq", fdev->xdma + FIXAR_XDMA_IRQ, FIXAR_XDMA_IRQ_CHANNEL_ENABLE,
		   FIXAR_XDMA_IRQ_CHANNEL_ENABLE + 4);
	fixar_dump(m, "irq", fdev->xdma + FIXAR_XDMA_IRQ, FIXAR_XDMA_IRQ_USER_REQUEST,
		   FIXAR_XDMA_IRQ_CHANNEL_PENDING + 4);
	for (i = 0; i < fdev->channel_count; i++) {
		channel = &fdev->channels[i];
		/* Not 0x44, which clears. */
		fixar_dump(m, channel->engine.name, channel->regs, FIXAR_XDMA_CHANNEL_CONTROL,
			   FIXAR_XDMA_CHANNEL_CONTROL + 4);
		fixar_dump(m, channel->engine.name, channel->regs, FIXAR_XDMA_CHANNEL_STATUS,
			   FIXAR_XDMA_CHANNEL_STATUS + 4);
		fixar_dump(m, channel->engine.name, channel->regs, FIXAR_XDMA_CHANNEL_COMPLETED,
			   FIXAR_XDMA_CHANNEL_ALIGNMENTS + 4);
		fixar_dump(m, channel->engine.name, channel->sgdma, FIXAR_XDMA_SGDMA_FIRST_LO,
			   FIXAR_XDMA_SGDMA_ADJACENT + 4);
	}
	drm_dev_exit(idx);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(fixar_registers);

static int fixar_state_show(struct seq_file *m, void *data)
{
	struct fixar_device *fdev = m->private;
	struct fixar_core *core = &fdev->core;
	struct fixar_channel *channel;
	unsigned long irq;
	u32 i;

	seq_printf(m, "state %d events %#lx flags %#lx jobs %d\n", fixar_state(fdev),
		   READ_ONCE(fdev->events), READ_ONCE(fdev->flags), atomic_read(&fdev->jobs));
	seq_printf(m, "resets core %d device %d, interrupts lost %d spurious %d\n",
		   atomic_read(&fdev->core_resets), atomic_read(&fdev->device_resets),
		   atomic_read(&fdev->lost_interrupts), atomic_read(&fdev->spurious_interrupts));
	for (i = 0; i < fdev->channel_count; i++) {
		channel = &fdev->channels[i];
		spin_lock_irqsave(&channel->lock, irq);
		seq_printf(m, "%s load %d job %d running %d next %d exhausted %d",
			   channel->engine.name, atomic_read(&channel->engine.load), !!channel->job,
			   channel->running, channel->next, channel->exhausted);
		seq_printf(m, " stopped %d starts %u fault %#x\n", channel->stopped,
			   channel->serial, channel->fault);
		spin_unlock_irqrestore(&channel->lock, irq);
	}
	spin_lock_irqsave(&core->lock, irq);
	seq_printf(m,
		   "%s load %d job %d next %u submitted %u completed %u stopped %d window %llu\n",
		   core->engine.name, atomic_read(&core->engine.load), !!core->job, core->next,
		   core->submitted, core->completed, core->stopped, READ_ONCE(core->window));
	spin_unlock_irqrestore(&core->lock, irq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(fixar_state);

static void fixar_debugfs_remove(void *dir)
{
	debugfs_remove_recursive(dir);
}

/*
 * fixar-ADDRESS of its own: DRM's folder is another one on accel nodes and render nodes, and from
 * kernel to kernel.
 */
void fixar_debugfs_init(struct fixar_device *fdev)
{
	char name[48];
	struct dentry *dir;

	snprintf(name, sizeof(name), FIXAR_NAME "-%s", pci_name(fdev->pdev));
	dir = debugfs_create_dir(name, NULL);
	debugfs_create_file("registers", 0400, dir, fdev, &fixar_registers_fops);
	debugfs_create_file("state", 0400, dir, fdev, &fixar_state_fops);
	/* Without it, there is no folder. */
	if (devm_add_action_or_reset(fixar_dev(fdev), fixar_debugfs_remove, dir))
		dev_dbg(fixar_dev(fdev), "no debugfs\n");
}
