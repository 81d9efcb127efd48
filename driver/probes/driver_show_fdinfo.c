// SPDX-License-Identifier: GPL-2.0-only
// drm_driver.show_fdinfo and drm_show_fdinfo(): 6.5.
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

static void show(struct drm_printer *p, struct drm_file *f)
{
}

struct drm_driver probe = { .show_fdinfo = show };
void (*probe2)(struct seq_file *m, struct file *f) = drm_show_fdinfo;
