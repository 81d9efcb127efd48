/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernels, decided by the compile probes of driver/probes (fixar_config.h
 * is their result). No other file tests for a kernel, except fixar_sched_compat.c, which holds what
 * is more than a macro.
 */
#ifndef FIXAR_COMPAT_H
#define FIXAR_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/module.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>
#include <drm/gpu_scheduler.h>

#include "fixar_config.h"

#ifdef FIXAR_HAVE_ACCEL
#include <drm/drm_accel.h>
#define FIXAR_DRIVER_FEATURES \
	(DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE)
#else
#define FIXAR_DRIVER_FEATURES \
	(DRIVER_RENDER | DRIVER_GEM | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE)
#endif

#ifdef FIXAR_HAVE_DRIVER_SHOW_FDINFO
#define FIXAR_FOPS_FDINFO drm_show_fdinfo
#define FIXAR_DRIVER_FDINFO .show_fdinfo = fixar_show_fdinfo,
#else
/* Prints what drm_show_fdinfo() would, then calls fixar_show_fdinfo(). */
void fixar_fops_show_fdinfo(struct seq_file *m, struct file *f);
#define FIXAR_FOPS_FDINFO fixar_fops_show_fdinfo
#define FIXAR_DRIVER_FDINFO
#endif

#ifdef FIXAR_HAVE_ACCEL
#define FIXAR_DEFINE_FOPS(name)                      \
	static const struct file_operations name = { \
		.owner = THIS_MODULE,                \
		DRM_ACCEL_FOPS,                      \
		.show_fdinfo = FIXAR_FOPS_FDINFO,    \
	}
#else
#ifdef FIXAR_HAVE_FOP_UNSIGNED_OFFSET
#define FIXAR_FOPS_FLAGS .fop_flags = FOP_UNSIGNED_OFFSET,
#else
#define FIXAR_FOPS_FLAGS
#endif
#define FIXAR_DEFINE_FOPS(name)                                   \
	static const struct file_operations name = {              \
		.owner = THIS_MODULE,                             \
		.open = drm_open,                                 \
		.release = drm_release,                           \
		.unlocked_ioctl = drm_ioctl,                      \
		.compat_ioctl = drm_compat_ioctl,                 \
		.poll = drm_poll,                                 \
		.read = drm_read,                                 \
		.llseek = noop_llseek,                            \
		.mmap = drm_gem_mmap,                             \
		FIXAR_FOPS_FLAGS.show_fdinfo = FIXAR_FOPS_FDINFO, \
	}
#endif

#ifdef FIXAR_HAVE_DRIVER_DATE
#define FIXAR_DRIVER_DATE .date = "20261101",
#else
#define FIXAR_DRIVER_DATE
#endif

#ifdef FIXAR_HAVE_PRIME_CALLBACKS
#define FIXAR_DRIVER_PRIME                                \
	.prime_handle_to_fd = drm_gem_prime_handle_to_fd, \
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle, .gem_prime_mmap = drm_gem_prime_mmap,
#else
#define FIXAR_DRIVER_PRIME
#endif

#ifdef FIXAR_HAVE_IMPORT_NS_BARE
#define FIXAR_IMPORT_NS_DMA_BUF MODULE_IMPORT_NS(DMA_BUF)
#else
#define FIXAR_IMPORT_NS_DMA_BUF MODULE_IMPORT_NS("DMA_BUF")
#endif

#ifndef FIXAR_HAVE_DMA_BUF_UNMAP_UNLOCKED
/* Before 6.2 the call took the reservation lock where the exporter wanted it. */
#define dma_buf_unmap_attachment_unlocked dma_buf_unmap_attachment
#endif

#ifdef FIXAR_HAVE_HWMON_CONST_INFO
#define FIXAR_HWMON_INFO const struct hwmon_channel_info *const
#else
#define FIXAR_HWMON_INFO const struct hwmon_channel_info *
#endif

/* fixar_sched_compat.c */
int fixar_sched_init(struct drm_gpu_scheduler *sched, const struct drm_sched_backend_ops *ops,
		     const char *name, struct device *dev);
int fixar_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity, void *owner,
			 u64 client);

#endif /* FIXAR_COMPAT_H */
