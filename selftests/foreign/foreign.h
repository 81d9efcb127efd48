/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIXAR_SELFTESTS_FOREIGN_H
#define FIXAR_SELFTESTS_FOREIGN_H

#include <linux/dmaengine.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>

#define FOREIGN_CHANNELS 4 /* in a direction: as many as XDMA can have */

struct foreign_card {
	struct pci_dev *pdev;
	struct platform_device *engine; /* what mainline's driver binds to */
	void __iomem *user; /* BAR0: the core */
	struct dentry *file;
	struct dma_chan *h2c[FOREIGN_CHANNELS], *c2h[FOREIGN_CHANNELS];
	unsigned int h2c_count, c2h_count;
};

/* Results in KTAP. */
int foreign_run_tests(struct foreign_card *card, struct seq_file *results);

#endif
