// SPDX-License-Identifier: GPL-2.0-only
// The struct has num_rqs: not in 6.1, no more in 7.1.
#include <drm/gpu_scheduler.h>

const struct drm_sched_init_args probe = { .num_rqs = DRM_SCHED_PRIORITY_COUNT };
