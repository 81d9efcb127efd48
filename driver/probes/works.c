// SPDX-License-Identifier: GPL-2.0-only
// Compiles on every kernel: the compiler and the headers are there.
#include <linux/module.h>
#include <linux/pci.h>
#include <drm/drm_drv.h>

int probe(struct drm_device *drm);
int probe(struct drm_device *drm)
{
	return drm_dev_is_unplugged(drm);
}
