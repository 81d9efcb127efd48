// SPDX-License-Identifier: GPL-2.0-only
/*
 * Glue between a FIXAR card and mainline's driver of AMD's XDMA (drivers/dma/xilinx/xdma.c), which
 * was written for real silicon by other people: where it works, the emulated card's DMA engine is
 * not merely what our own driver takes for one.
 *
 * That driver binds to a platform device with registers and interrupts as resources. This one makes
 * such a device of the PCI function, takes the channels and tests them when
 * /sys/kernel/debug/fixar_foreign/ADDRESS is read.
 */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/platform_data/amd_xdma.h>
#include <linux/sizes.h>

#include "foreign.h"

#define ENGINE_BYTES SZ_64K
#define IRQ_BLOCK_ID 0x2000 /* PG195, "IRQ Block Identifier": 0x1fc2 in the upper half */
#define CONFIG_BLOCK_ID 0x3000 /* likewise 0x1fc3 */
#define VECTORS_MAX (2 * FOREIGN_CHANNELS + 1) /* each channel's own, and one for the user logic */

static struct dentry *folder;

static struct xdma_chan_info to_card = { .dir = DMA_MEM_TO_DEV };
static struct xdma_chan_info from_card = { .dir = DMA_DEV_TO_MEM };

static const char *const h2c_names[FOREIGN_CHANNELS] = { "h2c0", "h2c1", "h2c2", "h2c3" };
static const char *const c2h_names[FOREIGN_CHANNELS] = { "c2h0", "c2h1", "c2h2", "c2h3" };

/* The BAR with XDMA's registers: the one behind the user logic's, recognized by two identifiers. */
static int find_engine(struct pci_dev *pdev)
{
	int bar;

	for (bar = 1; bar < PCI_STD_NUM_BARS; bar++) {
		void __iomem *registers;
		u32 irq_block, config_block;

		if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
		    pci_resource_len(pdev, bar) < ENGINE_BYTES)
			continue;
		registers = ioremap(pci_resource_start(pdev, bar), ENGINE_BYTES);
		if (!registers)
			return -ENOMEM;
		irq_block = readl(registers + IRQ_BLOCK_ID);
		config_block = readl(registers + CONFIG_BLOCK_ID);
		iounmap(registers);
		if (irq_block >> 16 == 0x1fc2 && config_block >> 16 == 0x1fc3)
			return bar;
		pci_err(pdev, "BAR%d has identifiers %#x and %#x\n", bar, irq_block, config_block);
	}
	return dev_err_probe(&pdev->dev, -ENODEV, "no BAR has XDMA's registers\n");
}

static int make_engine(struct foreign_card *card)
{
	struct pci_dev *pdev = card->pdev;
	struct dma_slave_map *map;
	struct xdma_platdata data = { .max_dma_channels = FOREIGN_CHANNELS };
	struct resource resources[2] = {};
	struct platform_device_info info = {
		.parent = &pdev->dev,
		.name = "xdma",
		.id = PLATFORM_DEVID_AUTO,
		.res = resources,
		.num_res = ARRAY_SIZE(resources),
		.data = &data,
		.size_data = sizeof(data),
	};
	int bar, vectors, i;

	bar = find_engine(pdev);
	if (bar < 0)
		return bar;

	vectors = pci_alloc_irq_vectors(pdev, 3, VECTORS_MAX, PCI_IRQ_MSIX);
	if (vectors < 0)
		return dev_err_probe(&pdev->dev, vectors, "no MSI-X vectors\n");
	/* A resource is a range. */
	for (i = 1; i < vectors; i++)
		if (pci_irq_vector(pdev, i) != pci_irq_vector(pdev, 0) + i)
			return dev_err_probe(&pdev->dev, -EBUSY, "interrupts are not in a row\n");

	resources[0] = DEFINE_RES_MEM(pci_resource_start(pdev, bar), ENGINE_BYTES);
	resources[0].parent = &pdev->resource[bar];
	resources[1] = DEFINE_RES_IRQ(pci_irq_vector(pdev, 0));
	resources[1].end += vectors - 1;

	/* How dma_request_chan() finds channels of a direction by names. */
	map = devm_kcalloc(&pdev->dev, 2 * FOREIGN_CHANNELS, sizeof(*map), GFP_KERNEL);
	if (!map)
		return -ENOMEM;
	for (i = 0; i < FOREIGN_CHANNELS; i++) {
		map[2 * i] = (struct dma_slave_map){
			dev_name(&pdev->dev), h2c_names[i], XDMA_FILTER_PARAM(&to_card)
		};
		map[2 * i + 1] = (struct dma_slave_map){
			dev_name(&pdev->dev), c2h_names[i], XDMA_FILTER_PARAM(&from_card)
		};
	}
	data.device_map = map;
	data.device_map_cnt = 2 * FOREIGN_CHANNELS;

	card->engine = platform_device_register_full(&info);
	if (IS_ERR(card->engine))
		return dev_err_probe(&pdev->dev, PTR_ERR(card->engine), "no platform device\n");
	if (!device_is_bound(&card->engine->dev)) {
		platform_device_unregister(card->engine);
		return dev_err_probe(&pdev->dev, -ENODEV, "xdma.ko does not take the device\n");
	}
	return 0;
}

static void release_channels(struct foreign_card *card)
{
	while (card->h2c_count)
		dma_release_channel(card->h2c[--card->h2c_count]);
	while (card->c2h_count)
		dma_release_channel(card->c2h[--card->c2h_count]);
}

/* All that there are: a name that no channel is left for is not an error but the end. */
static unsigned int request_channels(struct foreign_card *card, struct dma_chan **channels,
				     const char *const *names)
{
	unsigned int count;

	for (count = 0; count < FOREIGN_CHANNELS; count++) {
		channels[count] = dma_request_chan(&card->pdev->dev, names[count]);
		if (IS_ERR(channels[count]))
			break;
	}
	return count;
}

static int results_show(struct seq_file *results, void *unused)
{
	return foreign_run_tests(results->private, results);
}

static int results_open(struct inode *inode, struct file *file)
{
	/* Room for all, as a second call of show() would be a second run. */
	return single_open_size(file, results_show, inode->i_private, SZ_64K);
}

static const struct file_operations results_operations = {
	.owner = THIS_MODULE,
	.open = results_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static int foreign_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct foreign_card *card;
	int ret;

	card = devm_kzalloc(&pdev->dev, sizeof(*card), GFP_KERNEL);
	if (!card)
		return -ENOMEM;
	card->pdev = pdev;
	pci_set_drvdata(pdev, card);

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	card->user = pcim_iomap(pdev, 0, 0);
	if (!card->user)
		return -ENOMEM;

	ret = make_engine(card);
	if (ret)
		goto free_vectors;
	card->h2c_count = request_channels(card, card->h2c, h2c_names);
	card->c2h_count = request_channels(card, card->c2h, c2h_names);
	if (!card->h2c_count || !card->c2h_count) {
		ret = dev_err_probe(&pdev->dev, -ENODEV, "no channels\n");
		goto unregister;
	}
	card->file = debugfs_create_file(pci_name(pdev), 0400, folder, card, &results_operations);
	return 0;

unregister:
	release_channels(card);
	platform_device_unregister(card->engine);
free_vectors:
	pci_free_irq_vectors(pdev);
	return ret;
}

static void foreign_remove(struct pci_dev *pdev)
{
	struct foreign_card *card = pci_get_drvdata(pdev);

	debugfs_remove(card->file);
	release_channels(card);
	platform_device_unregister(card->engine);
	pci_free_irq_vectors(pdev);
}

static const struct pci_device_id foreign_ids[] = {
	{ PCI_DEVICE_SUB(PCI_VENDOR_ID_XILINX, 0x903f, PCI_VENDOR_ID_XILINX, 0xf150) },
	{ }
};

static struct pci_driver foreign_driver = {
	.name = "fixar_foreign",
	.id_table = foreign_ids,
	.probe = foreign_probe,
	.remove = foreign_remove,
};

static int __init foreign_init(void)
{
	int ret;

	folder = debugfs_create_dir("fixar_foreign", NULL);
	ret = pci_register_driver(&foreign_driver);
	if (ret)
		debugfs_remove(folder);
	return ret;
}

static void __exit foreign_exit(void)
{
	pci_unregister_driver(&foreign_driver);
	debugfs_remove(folder);
}

module_init(foreign_init);
module_exit(foreign_exit);
MODULE_DESCRIPTION("A FIXAR card's DMA engine under mainline's XDMA driver");
MODULE_LICENSE("GPL");
