// SPDX-License-Identifier: GPL-2.0-only
/*
 * fixar.ko: the FIXAR accelerator behind AMD's XDMA. The module, its PCI table, probe and remove,
 * the ioctls.
 *
 * HARDWARE.md is what the card does; include/uapi/drm/fixar_accel.h is what programs may ask;
 * fixar_device.h has lifetimes and locks.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>

#include <drm/drm_managed.h>

#include "fixar_device.h"

static const struct drm_ioctl_desc fixar_ioctls[] = {
	DRM_IOCTL_DEF_DRV(FIXAR_QUERY, fixar_query_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_BO_CREATE, fixar_bo_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_BO_PREP, fixar_bo_prep_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_BO_FINI, fixar_bo_fini_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_CTX_CREATE, fixar_ctx_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_CTX_DESTROY, fixar_ctx_destroy_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_CTX_SET_MODE, fixar_ctx_set_mode_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_CTX_GET_MODE, fixar_ctx_get_mode_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_CTX_QUERY, fixar_ctx_query_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FIXAR_SUBMIT, fixar_submit_ioctl, DRM_RENDER_ALLOW),
};

FIXAR_DEFINE_FOPS(fixar_fops);

static const struct drm_driver fixar_driver = {
	.driver_features = FIXAR_DRIVER_FEATURES,
	.open = fixar_open,
	.postclose = fixar_postclose,
	.gem_create_object = fixar_gem_create_object,
	.gem_prime_import_sg_table = fixar_gem_import,
	.ioctls = fixar_ioctls,
	.num_ioctls = ARRAY_SIZE(fixar_ioctls),
	.fops = &fixar_fops,
	.name = FIXAR_NAME,
	.desc = "FIXAR reinforcement-learning accelerator",
	.major = 1,
	.minor = 0,
	FIXAR_DRIVER_FDINFO FIXAR_DRIVER_PRIME FIXAR_DRIVER_DATE
};

/* ---- Schedulers: what an open file can reach, so they live as long as the drm_device ---- */

static void fixar_engine_fini(struct drm_device *drm, void *data)
{
	struct fixar_engine *engine = data;

	drm_sched_fini(&engine->sched);
}

static int fixar_engine_init(struct fixar_device *fdev, struct fixar_engine *engine,
			     const struct drm_sched_backend_ops *ops)
{
	int ret = fixar_sched_init(&engine->sched, ops, engine->name, fixar_dev(fdev));

	if (ret)
		return ret;
	return drmm_add_action_or_reset(&fdev->drm, fixar_engine_fini, engine);
}

static int fixar_engines_init(struct fixar_device *fdev)
{
	u32 i;
	int ret;

	for (i = 0; i < fdev->channel_count; i++) {
		ret = fixar_engine_init(fdev, &fdev->channels[i].engine, &fixar_copy_sched_ops);
		if (ret)
			return ret;
	}
	return fixar_engine_init(fdev, &fdev->core.engine, &fixar_core_sched_ops);
}

/* ---- Probe ---- */

static void fixar_clear_master(void *data)
{
	pci_clear_master(data);
}

static int fixar_map_bars(struct fixar_device *fdev)
{
	struct pci_dev *pdev = fdev->pdev;
	struct device *dev = &pdev->dev;
	/* A 64-bit BAR takes two places. */
	int dma = pci_resource_flags(pdev, FIXAR_USER_BAR) & IORESOURCE_MEM_64 ? 2 : 1;

	if (!(pci_resource_flags(pdev, FIXAR_USER_BAR) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, FIXAR_USER_BAR) < FIXAR_USER_BAR_BYTES ||
	    !(pci_resource_flags(pdev, dma) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, dma) < FIXAR_XDMA_BAR_BYTES) {
		dev_err(dev, "BARs %d and %d are not the core's and XDMA's: %pR, %pR\n",
			FIXAR_USER_BAR, dma, &pdev->resource[FIXAR_USER_BAR], &pdev->resource[dma]);
		return -ENODEV;
	}
	fdev->bar = devm_ioremap_resource(dev, &pdev->resource[FIXAR_USER_BAR]);
	if (IS_ERR(fdev->bar))
		return PTR_ERR(fdev->bar);
	fdev->xdma = devm_ioremap_resource(dev, &pdev->resource[dma]);
	return PTR_ERR_OR_ZERO(fdev->xdma);
}

/*
 * Channels and core, known and idle. What a driver before this one left hanging, a bus reset ends:
 * once. The device lock is held in probe, and nobody has the device open.
 */
static int fixar_find_engines(struct fixar_device *fdev)
{
	struct pci_dev *pdev = fdev->pdev;
	int ret;

	ret = fixar_xdma_init(fdev);
	if (ret == -ETIMEDOUT) {
		dev_warn(&pdev->dev, "a channel is busy: function or bus reset\n");
		pci_save_state(pdev);
		ret = __pci_reset_function_locked(pdev);
		pci_restore_state(pdev);
		/* The epoch too: memory may have been lost. */
		if (!ret)
			ret = fixar_device_identify(fdev);
		if (!ret)
			ret = fixar_xdma_reinit(fdev);
	}
	return ret;
}

static int fixar_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct fixar_device *fdev;
	int ret;

	fdev = devm_drm_dev_alloc(dev, &fixar_driver, struct fixar_device, drm);
	if (IS_ERR(fdev))
		return PTR_ERR(fdev);
	fdev->pdev = pdev;
	pci_set_drvdata(pdev, fdev);
	ret = fixar_device_init(fdev);
	if (!ret)
		ret = fixar_recovery_init(fdev);
	if (ret)
		return ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(dev, ret, "enable\n");
	ret = fixar_map_bars(fdev);
	if (!ret)
		ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	/* Descriptors split what is longer. */
	dma_set_max_seg_size(dev, UINT_MAX);

	/* XDMA before the core: a foreign design's user BAR is not read. */
	ret = fixar_xdma_identify(fdev);
	if (!ret)
		ret = fixar_device_identify(fdev);
	if (!ret)
		ret = fixar_find_engines(fdev);
	if (!ret)
		ret = fixar_core_init(fdev);
	if (!ret)
		ret = fixar_copy_init(fdev);
	if (!ret)
		ret = fixar_arena_init(fdev);
	if (!ret)
		ret = fixar_engines_init(fdev);
	if (!ret)
		ret = fixar_irq_init(fdev);
	if (ret)
		return ret;

	/*
	 * The last resource, so the first that a failing probe gives up: then the card neither
	 * interrupts nor writes.
	 */
	pci_set_master(pdev);
	ret = devm_add_action_or_reset(dev, fixar_clear_master, pdev);
	if (ret)
		return ret;
	fixar_hwmon_init(fdev);
	fixar_debugfs_init(fdev);
	fixar_irq_enable(fdev);
	fixar_core_restart(fdev);
	fixar_set_state(fdev, FIXAR_OK);

	ret = drm_dev_register(&fdev->drm, 0);
	if (ret) {
		fixar_shutdown(fdev);
		return dev_err_probe(dev, ret, "register\n");
	}
	/* Saved with MSI and bus mastering on, for a reset by AER. */
	pci_save_state(pdev);
	fixar_recovery_begin(fdev);
	dev_info(dev, "version %u.%u, build %#x, %llu MiB, %u + %u channels, %u %s vectors\n",
		 fdev->info.hw_version >> 16, fdev->info.hw_version & 0xffff, fdev->info.build,
		 fdev->info.memory_bytes >> 20, fdev->info.h2c_channels, fdev->info.c2h_channels,
		 fdev->info.irq_vectors,
		 fdev->info.irq_mode == DRM_FIXAR_IRQ_MSIX ? "MSI-X" : "MSI");
	return 0;
}

static void fixar_remove(struct pci_dev *pdev)
{
	fixar_shutdown(pci_get_drvdata(pdev));
}

static void fixar_pci_shutdown(struct pci_dev *pdev)
{
	fixar_shutdown(pci_get_drvdata(pdev));
}

static const struct pci_device_id fixar_ids[] = {
	{ PCI_DEVICE_SUB(FIXAR_PCI_VENDOR, FIXAR_PCI_DEVICE, FIXAR_PCI_SUBVENDOR,
			 FIXAR_PCI_SUBDEVICE) },
	{}
};
MODULE_DEVICE_TABLE(pci, fixar_ids);

static struct pci_driver fixar_pci_driver = {
	.name = FIXAR_NAME,
	.id_table = fixar_ids,
	.probe = fixar_probe,
	.remove = fixar_remove,
	.shutdown = fixar_pci_shutdown,
	.err_handler = &fixar_error_handlers,
	/* Not driver.dev_groups, which the PCI core overwrites with this. */
	.dev_groups = fixar_sysfs_groups,
	.driver = {
		.pm = pm_sleep_ptr(&fixar_pm_ops),
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
};

static int __init fixar_init(void)
{
	int ret = fixar_job_module_init();

	if (ret)
		return ret;
	ret = pci_register_driver(&fixar_pci_driver);
	if (ret)
		fixar_job_module_exit();
	return ret;
}

static void __exit fixar_exit(void)
{
	pci_unregister_driver(&fixar_pci_driver);
	fixar_job_module_exit();
}

module_init(fixar_init);
module_exit(fixar_exit);

MODULE_DESCRIPTION("FIXAR reinforcement-learning accelerator");
MODULE_AUTHOR("The FIXAR authors");
MODULE_LICENSE("GPL");
FIXAR_IMPORT_NS_DMA_BUF;
