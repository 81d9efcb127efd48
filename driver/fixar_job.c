// SPDX-License-Identifier: GPL-2.0-only
/*
 * A job from its allocation to its end: fences, waits, accounting.
 *
 *	create -> wait_for, wait_after -> prepare -> arm -> push -> (run) -> finish -> free -> reap
 *	      \-> abort                         \-> from here on nothing can fail
 *
 * A job waits for foreign fences through a gate, a fence of our own, and the scheduler sees the
 * gate alone. So destroying a context or removing the device can end every wait at once, whoever
 * owns the fence that never comes.
 */
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include "fixar_device.h"
#include "fixar_trace.h"

/* See struct fixar_fence. */
static const struct dma_fence_ops *fixar_fence_ops;
/*
 * What ends a job or a context may sleep and may drop the last reference of the device, so it runs
 * neither in the scheduler nor in an interrupt. Of the module, because it frees devices; holds no
 * state of any.
 */
static struct workqueue_struct *fixar_reap_wq;

static struct lock_class_key fixar_hw_key;
static struct lock_class_key fixar_gate_key;

static const char *fixar_fence_name(struct dma_fence *fence)
{
	return FIXAR_NAME;
}

/* For kernels that detach a fence's operations when it is signalled: there these are safe too. */
static const struct dma_fence_ops fixar_fence_own_ops = {
	.get_driver_name = fixar_fence_name,
	.get_timeline_name = fixar_fence_name,
};

int fixar_job_module_init(void)
{
	struct dma_fence *stub = dma_fence_get_stub();

	/* The stub is signalled, so it has no operations where the kernel detaches them. */
	fixar_fence_ops = (const struct dma_fence_ops __force *)stub->ops;
	if (!fixar_fence_ops)
		fixar_fence_ops = &fixar_fence_own_ops;
	dma_fence_put(stub);

	fixar_reap_wq = alloc_workqueue("fixar-reap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return fixar_reap_wq ? 0 : -ENOMEM;
}

/*
 * All devices are removed. Contexts and devices whose last reference was a job's are freed here at
 * the latest.
 */
void fixar_job_module_exit(void)
{
	destroy_workqueue(fixar_reap_wq);
	/* Readers of operations that were just detached. */
	synchronize_rcu();
}

void fixar_reap(struct work_struct *work)
{
	queue_work(fixar_reap_wq, work);
}

static void fixar_jobs_put(struct fixar_device *fdev)
{
	if (atomic_dec_and_test(&fdev->jobs))
		wake_up_all(&fdev->jobs_idle);
}

static struct fixar_fence *fixar_fence_create(struct lock_class_key *key)
{
	struct fixar_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	lockdep_set_class(&fence->lock, key);
	dma_fence_init(&fence->base, fixar_fence_ops, &fence->lock, dma_fence_context_alloc(1), 1);
	return fence;
}

/* ---- The end ---- */

static void fixar_job_release(struct fixar_job *job)
{
	struct fixar_device *fdev = job->fdev;
	u32 i;

	for (i = 0; i < job->wait_count; i++)
		dma_fence_put(job->waits[i].fence);
	kfree(job->waits);
	for (i = 0; job->pieces && i < job->count; i++) {
		if (job->pieces[i].bo)
			drm_gem_object_put(&job->pieces[i].bo->base.base);
	}
	kvfree(job->pieces);
	kvfree(job->commands);
	if (job->hw)
		dma_fence_put(&job->hw->base);
	if (job->gate)
		dma_fence_put(&job->gate->base);
	if (job->pushed)
		dma_fence_put(&job->out->base);
	else
		kfree(job->out);
	/* The context holds the device. */
	fixar_jobs_put(fdev);
	fixar_context_put(job->ctx);
	kfree(job);
}

static void fixar_job_reap(struct work_struct *work)
{
	fixar_job_release(container_of(work, struct fixar_job, reap));
}

/*
 * The scheduler's free_job: the job is finished. Runs in the scheduler's worker, so it takes no
 * lock that sleeps.
 */
void fixar_job_free(struct drm_sched_job *sched_job)
{
	struct fixar_job *job = container_of(sched_job, struct fixar_job, base);

	spin_lock(&job->ctx->lock);
	list_del_init(&job->link);
	spin_unlock(&job->ctx->lock);
	atomic_dec(&job->engine->load);
	drm_sched_job_cleanup(&job->base);
	fixar_reap(&job->reap);
}

/**
 * fixar_job_abort() - end a job that was not armed
 * @job: from fixar_job_create()
 */
void fixar_job_abort(struct fixar_job *job)
{
	drm_sched_job_cleanup(&job->base);
	fixar_job_release(job);
}

/* ---- The beginning ---- */

/**
 * fixar_job_create() - allocate a job and all that it needs until its end
 * @ctx: its context
 * @engine: where it will run
 * @count: number of its pieces or commands
 */
struct fixar_job *fixar_job_create(struct fixar_context *ctx, struct fixar_engine *engine,
				   u32 count)
{
	struct fixar_device *fdev = ctx->fdev;
	struct drm_sched_entity *entity;
	struct fixar_job *job;
	int ret = -ENOMEM;

	job = kzalloc(sizeof(*job), GFP_KERNEL);
	if (!job)
		return ERR_PTR(-ENOMEM);

	job->fdev = fdev;
	job->ctx = fixar_context_get(ctx);
	job->engine = engine;
	job->queue = engine->queue;
	job->count = count;
	INIT_LIST_HEAD(&job->link);
	INIT_WORK(&job->reap, fixar_job_reap);
	atomic_inc(&fdev->jobs);

	job->hw = fixar_fence_create(&fixar_hw_key);
	job->gate = fixar_fence_create(&fixar_gate_key);
	job->out = kzalloc(sizeof(*job->out), GFP_KERNEL);
	if (job->queue == DRM_FIXAR_QUEUE_CORE) {
		job->commands = kvcalloc(count, sizeof(*job->commands), GFP_KERNEL);
		entity = &ctx->core;
	} else {
		job->pieces = kvcalloc(count, sizeof(*job->pieces), GFP_KERNEL);
		entity = &ctx->channels[container_of(engine, struct fixar_channel, engine)->bit];
	}
	if (!job->hw || !job->gate || !job->out || (!job->commands && !job->pieces))
		goto err_release;

	ret = fixar_sched_job_init(&job->base, entity, ctx, ctx->client->id);
	if (ret)
		goto err_release;
	return job;

err_release:
	fixar_job_release(job);
	return ERR_PTR(ret);
}

static struct fixar_wait *fixar_job_wait(struct fixar_job *job)
{
	struct fixar_wait *waits;
	u32 room;

	if (job->wait_count == job->wait_room) {
		room = max(8u, 2 * job->wait_room);
		waits = krealloc_array(job->waits, room, sizeof(*waits), GFP_KERNEL);
		if (!waits)
			return NULL;
		job->waits = waits;
		job->wait_room = room;
	}
	waits = &job->waits[job->wait_count++];
	memset(waits, 0, sizeof(*waits));
	waits->job = job;
	return waits;
}

/**
 * fixar_job_wait_for() - the job runs after a fence
 * @job: not armed yet
 * @fence: any fence; this takes over the reference, also on failure
 */
int fixar_job_wait_for(struct fixar_job *job, struct dma_fence *fence)
{
	struct fixar_wait *wait;

	if (!fence)
		return 0;
	if (dma_fence_is_signaled(fence)) {
		dma_fence_put(fence);
		return 0;
	}
	wait = fixar_job_wait(job);
	if (!wait) {
		dma_fence_put(fence);
		return -ENOMEM;
	}
	wait->fence = fence;
	return 0;
}

/**
 * fixar_job_wait_after() - the job runs after another one, which is armed before it
 * @job: not armed yet
 * @done: of the other job
 * @inherit: if that fails, this one is cancelled
 */
int fixar_job_wait_after(struct fixar_job *job, struct fixar_done *done, bool inherit)
{
	struct fixar_wait *wait = fixar_job_wait(job);

	if (!wait)
		return -ENOMEM;
	wait->after = done;
	wait->inherit = inherit;
	return 0;
}

/* The last step that can fail, because the scheduler's list of dependencies allocates. */
int fixar_job_prepare(struct fixar_job *job)
{
	if (!job->wait_count)
		return 0;
	return drm_sched_job_add_dependency(&job->base, dma_fence_get(&job->gate->base));
}

/* ---- The gate ---- */

static void fixar_gate_drop(struct fixar_job *job)
{
	/* Once the count is 0 the job may run, end and be freed on another processor. */
	struct dma_fence *gate = dma_fence_get(&job->gate->base);

	if (atomic_dec_and_test(&job->waiting))
		dma_fence_signal(gate);
	dma_fence_put(gate);
}

/* With the foreign fence's lock held, perhaps in an interrupt. */
static void fixar_gate_callback(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	fixar_gate_drop(container_of(cb, struct fixar_wait, cb)->job);
}

static void fixar_gate_arm(struct fixar_job *job)
{
	u32 i;

	atomic_set(&job->waiting, job->wait_count + 1);
	for (i = 0; i < job->wait_count; i++) {
		if (dma_fence_add_callback(job->waits[i].fence, &job->waits[i].cb,
					   fixar_gate_callback))
			fixar_gate_drop(job);
	}
	fixar_gate_drop(job);
}

/**
 * fixar_jobs_cancel() - end all waits of a context's jobs
 * @ctx: dead, or of a device that is gone: fixar_job_check() then ends the jobs
 *
 * A job stays in the list, and with that in memory, until fixar_job_free() has had the lock.
 */
void fixar_jobs_cancel(struct fixar_context *ctx)
{
	struct fixar_job *job;
	u32 i;

	spin_lock(&ctx->lock);
	list_for_each_entry(job, &ctx->jobs, link) {
		for (i = 0; i < job->wait_count; i++) {
			if (dma_fence_remove_callback(job->waits[i].fence, &job->waits[i].cb))
				fixar_gate_drop(job);
		}
	}
	spin_unlock(&ctx->lock);
}

/* ---- Arming and pushing ---- */

/*
 * Whoever keeps this fence may take its lock after this module is gone, and with the module its
 * class of locks. So the class is one of the kernel's own, of which nobody uses the last subclass.
 */
static void fixar_done_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
	lockdep_init_map_type(&lock->dep_map, reservation_ww_class.mutex_name,
			      &reservation_ww_class.mutex_key, MAX_LOCKDEP_SUBCLASSES - 1,
			      lock->dep_map.wait_type_inner, lock->dep_map.wait_type_outer,
			      lock->dep_map.lock_type);
}

/*
 * The scheduler's finished fence is signalled: in an interrupt, a work or the scheduler, with that
 * fence's lock held.
 */
static void fixar_done_callback(struct dma_fence *finished, struct dma_fence_cb *cb)
{
	struct fixar_done *done = container_of(cb, struct fixar_done, cb);
	struct fixar_context *ctx = done->ctx;
	struct fixar_device *fdev = ctx->fdev;
	int error = done->result ? done->result : finished->error;

	/* The scheduler's word for jobs of an entity that ended. */
	if (error == -ESRCH)
		error = -ECANCELED;
	if (error)
		dma_fence_set_error(&done->base, error);
	atomic64_inc(&ctx->jobs_finished);
	atomic_dec(&ctx->pending);
	dma_fence_signal(&done->base);
	dma_fence_put(&done->base);
	/* The context holds the device. */
	fixar_jobs_put(fdev);
	fixar_context_put(ctx);
}

/**
 * fixar_job_arm() - the job will run, and its fence can be given away
 * @job: prepared
 *
 * Under fixar_file.lock, which makes the order of arming that of sequence numbers and of pushing.
 * All jobs that this one waits for are armed. The caller takes a reference of job->out if it needs
 * the fence after fixar_job_push().
 */
void fixar_job_arm(struct fixar_job *job)
{
	struct fixar_context *ctx = job->ctx;
	struct fixar_done *done = job->out;
	u32 i;

	for (i = 0; i < job->wait_count; i++) {
		if (job->waits[i].after)
			job->waits[i].fence = dma_fence_get(&job->waits[i].after->base);
	}

	job->number = ++ctx->jobs_submitted;
	fixar_done_lock_init(&done->lock);
	dma_fence_init(&done->base, fixar_fence_ops, &done->lock, ctx->fence_context[job->queue],
		       ++ctx->fence_seqno[job->queue]);
	job->pushed = true;

	drm_sched_job_arm(&job->base);
	done->ctx = fixar_context_get(ctx);
	atomic_inc(&job->fdev->jobs);
	dma_fence_get(&done->base);
	/* Cannot be signalled yet, so this cannot fail. */
	dma_fence_add_callback(&job->base.s_fence->finished, &done->cb, fixar_done_callback);

	dma_fence_put(ctx->last[job->queue]);
	ctx->last[job->queue] = dma_fence_get(&done->base);
	ctx->last_engine[job->queue] = job->engine;
}

/**
 * fixar_job_push() - hand an armed job to its scheduler
 * @job: is not to be touched afterwards
 */
void fixar_job_push(struct fixar_job *job)
{
	struct fixar_context *ctx = job->ctx;
	struct fixar_device *fdev = job->fdev;

	atomic_inc(&job->engine->load);
	if (job->wait_count)
		fixar_gate_arm(job);
	/* From here fixar_jobs_cancel() finds it. The caller holds the context. */
	spin_lock(&ctx->lock);
	list_add_tail(&job->link, &ctx->jobs);
	spin_unlock(&ctx->lock);
	drm_sched_entity_push_job(&job->base);
	if (fixar_state(fdev) == FIXAR_GONE)
		fixar_jobs_cancel(ctx);
}

/* ---- On the hardware ---- */

/**
 * fixar_job_check() - may the job run?
 * @job: in run_job: all it waits for is signalled, or was cancelled
 *
 * Return: 0, or the error that the job ends with.
 */
int fixar_job_check(struct fixar_job *job)
{
	struct fixar_context *ctx = job->ctx;
	u32 i;

	if (fixar_state(job->fdev) == FIXAR_GONE)
		return -ENODEV;
	if (READ_ONCE(ctx->dead))
		return -ECANCELED;
	switch (READ_ONCE(ctx->state)) {
	case DRM_FIXAR_CTX_OK:
		break;
	case DRM_FIXAR_CTX_LOST:
		return -ESTALE;
	default:
		return -EIO;
	}
	for (i = 0; i < job->wait_count; i++) {
		if (job->waits[i].inherit && job->waits[i].fence->error)
			return -ECANCELED;
	}
	return 0;
}

/**
 * fixar_job_finish() - a job that ran has ended
 * @job: is not to be touched afterwards
 * @error: 0 or negative
 *
 * In any context, with no lock of the driver held. Allocates nothing.
 */
void fixar_job_finish(struct fixar_job *job, int error)
{
	struct fixar_engine *engine = job->engine;
	struct fixar_context *ctx = job->ctx;
	struct dma_fence *hw = dma_fence_get(&job->hw->base);
	s64 ns = ktime_to_ns(ktime_sub(ktime_get(), job->started));
	bool cookie = dma_fence_begin_signalling();

	atomic64_add(ns, &engine->busy_ns);
	atomic64_add(ns, &ctx->client->busy_ns[job->queue]);
	if (job->queue == DRM_FIXAR_QUEUE_CORE)
		atomic64_add(ns, &ctx->core_ns);
	atomic64_inc(&engine->jobs);
	if (error) {
		atomic64_inc(&engine->errors);
	} else {
		atomic64_add(job->count, &engine->operations);
		atomic64_add(job->bytes, &engine->bytes);
		atomic64_add(job->bytes, &ctx->client->bytes[job->queue]);
	}
	trace_fixar_job_finish(job, error, ns);

	job->out->result = error;
	if (error)
		dma_fence_set_error(hw, error);
	dma_fence_signal(hw);
	dma_fence_put(hw);
	dma_fence_end_signalling(cookie);
}
