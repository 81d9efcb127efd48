// SPDX-License-Identifier: GPL-2.0-only
// The compute-accelerator subsystem: 6.2, if configured.
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>

#if !IS_ENABLED(CONFIG_DRM_ACCEL)
#error "not configured"
#endif

const u32 probe = DRIVER_COMPUTE_ACCEL;
