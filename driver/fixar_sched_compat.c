// SPDX-License-Identifier: GPL-2.0-only
/*
 * The forms that the GPU scheduler's calls took from kernel to kernel.
 *
 * The scheduler's own timeouts are off. They are per job and end in drm_sched_stop() and
 * drm_sched_start(), which differ in every series and lose jobs in some; a card's progress is per
 * command and per descriptor. fixar_recovery.c watches it and ends a hung job by signalling its
 * hardware fence, after which the scheduler does what it always does.
 */
#include "fixar_compat.h"

/*
 * One job at a time on the hardware: what overlaps are channels, and the two descriptor runs of a
 * copy.
 */
#define FIXAR_SCHED_CREDITS 1

int fixar_sched_init(struct drm_gpu_scheduler *sched, const struct drm_sched_backend_ops *ops,
		     const char *name, struct device *dev)
{
#if defined(FIXAR_HAVE_SCHED_INIT_ARGS)
	const struct drm_sched_init_args args = {
		.ops = ops,
#ifdef FIXAR_HAVE_SCHED_INIT_ARGS_RQS
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
#endif
		.credit_limit = FIXAR_SCHED_CREDITS,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = name,
		.dev = dev,
	};

	return drm_sched_init(sched, &args);
#elif defined(FIXAR_HAVE_SCHED_INIT_CREDITS)
	return drm_sched_init(sched, ops, NULL, DRM_SCHED_PRIORITY_COUNT, FIXAR_SCHED_CREDITS, 0,
			      MAX_SCHEDULE_TIMEOUT, NULL, NULL, name, dev);
#else
	return drm_sched_init(sched, ops, FIXAR_SCHED_CREDITS, 0, MAX_SCHEDULE_TIMEOUT, NULL, NULL,
			      name, dev);
#endif
}

int fixar_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity, void *owner,
			 u64 client)
{
#if defined(FIXAR_HAVE_SCHED_JOB_CLIENT)
	return drm_sched_job_init(job, entity, 1, owner, client);
#elif defined(FIXAR_HAVE_SCHED_JOB_CREDITS)
	return drm_sched_job_init(job, entity, 1, owner);
#else
	return drm_sched_job_init(job, entity, owner);
#endif
}
