// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mistakes on purpose, one for each of the debug kernel's watchers: what they say must fail a run
 * of the virtual machine. `insmod fixar_faults.ko fault=NAME`, then rmmod; each needs a fresh
 * kernel, because some watchers report once and go.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "none, use_after_free, lock_inversion, leaked_mapping or leaked_memory");

/* For KASAN. */
static noinline int use_after_free(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return -ENOMEM;
	memory[8] = 1;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory); /* the compiler would see it, too */
	pr_info("read %d\n", READ_ONCE(memory[8]));
	return 0;
}

/* For lockdep: no deadlock happens here, but two threads could be in it. */
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static noinline int lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

/*
 * For the DMA API's debugging: a driver that goes and leaves a mapping behind. Its device is the
 * machine's SMBus controller, which nobody else drives here.
 */
static struct page *mapped;
static bool driver_is_registered;

static int leaking_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	dma_addr_t address = dma_map_page(&pdev->dev, mapped, 0, PAGE_SIZE, DMA_TO_DEVICE);

	if (dma_mapping_error(&pdev->dev, address))
		return -EIO;
	pci_info(pdev, "mapped a page\n");
	return 0;
}

static const struct pci_device_id leaking_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x2930) }, /* ICH9 SMBus, part of QEMU's q35 */
	{ }
};

static struct pci_driver leaking_driver = {
	.name = "fixar_leaking",
	.id_table = leaking_ids,
	.probe = leaking_probe,
};

static noinline int leaked_mapping(void)
{
	int ret;

	mapped = alloc_page(GFP_KERNEL);
	if (!mapped)
		return -ENOMEM;
	ret = pci_register_driver(&leaking_driver);
	if (ret)
		__free_page(mapped);
	driver_is_registered = !ret;
	return ret;
}

/* For kmemleak. Several, as a stale copy of one pointer may lie about somewhere. */
static noinline int leaked_memory(void)
{
	int i;

	for (i = 0; i < 16; i++) {
		void *memory = kmalloc(200, GFP_KERNEL);

		if (!memory)
			return -ENOMEM;
		OPTIMIZER_HIDE_VAR(memory);
	}
	return 0;
}

static int __init faults_init(void)
{
	if (!strcmp(fault, "none"))
		return 0;
	if (!strcmp(fault, "use_after_free"))
		return use_after_free();
	if (!strcmp(fault, "lock_inversion"))
		return lock_inversion();
	if (!strcmp(fault, "leaked_mapping"))
		return leaked_mapping();
	if (!strcmp(fault, "leaked_memory"))
		return leaked_memory();
	return -EINVAL;
}

static void __exit faults_exit(void)
{
	if (!driver_is_registered)
		return;
	pci_unregister_driver(&leaking_driver);
	__free_page(mapped);
}

module_init(faults_init);
module_exit(faults_exit);
MODULE_DESCRIPTION("Mistakes on purpose, to test what finds them");
MODULE_LICENSE("GPL");
