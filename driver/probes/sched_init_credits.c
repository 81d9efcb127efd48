// SPDX-License-Identifier: GPL-2.0-only
// drm_sched_init() with eleven arguments: 6.8 to 6.12.113.
#include <drm/gpu_scheduler.h>

int probe(struct drm_gpu_scheduler *sched, const struct drm_sched_backend_ops *ops);
int probe(struct drm_gpu_scheduler *sched, const struct drm_sched_backend_ops *ops)
{
	return drm_sched_init(sched, ops, NULL, DRM_SCHED_PRIORITY_COUNT, 1, 0, 1, NULL, NULL,
			      "probe", NULL);
}
