// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts and open files: an arena, its mode, its entities in the schedulers, and what became of
 * it.
 */
#include <linux/slab.h>

#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "fixar_device.h"
#include "fixar_trace.h"

/* ---- Clients ---- */

static void fixar_client_release(struct kref *ref)
{
	kfree(container_of(ref, struct fixar_client, ref));
}

static void fixar_client_put(struct fixar_client *client)
{
	kref_put(&client->ref, fixar_client_release);
}

static struct fixar_client *fixar_client_create(void)
{
	static atomic64_t ids;
	struct fixar_client *client = kzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return NULL;
	kref_init(&client->ref);
	client->id = atomic64_inc_return(&ids);
	return client;
}

int fixar_open(struct drm_device *drm, struct drm_file *file)
{
	struct fixar_file *ff = kzalloc(sizeof(*ff), GFP_KERNEL);

	if (!ff)
		return -ENOMEM;
	ff->client = fixar_client_create();
	if (!ff->client) {
		kfree(ff);
		return -ENOMEM;
	}
	ff->fdev = to_fixar(drm);
	mutex_init(&ff->lock);
	xa_init_flags(&ff->contexts, XA_FLAGS_ALLOC1);
	file->driver_priv = ff;
	return 0;
}

/* ---- Life ---- */

static void fixar_context_release_work(struct work_struct *work)
{
	struct fixar_context *ctx = container_of(work, struct fixar_context, release);
	struct fixar_device *fdev = ctx->fdev;
	u32 i;

	/*
	 * No job is left, so the queues of the entities are empty and nothing is killed or waited
	 * for.
	 */
	for (i = 0; i < ctx->entities; i++)
		drm_sched_entity_fini(&ctx->channels[i]);
	if (ctx->core_entity)
		drm_sched_entity_fini(&ctx->core);
	for (i = 0; i < FIXAR_QUEUES; i++)
		dma_fence_put(ctx->last[i]);
	dma_fence_put(ctx->zeroed);
	if (ctx->bytes) {
		atomic64_sub(ctx->bytes, &ctx->client->arena_bytes);
		fixar_arena_free(ctx);
	}
	if (ctx->dead) {
		atomic_dec(&fdev->dying);
		atomic_inc(&fdev->freed);
		wake_up_all(&fdev->context_freed);
	}
	fixar_client_put(ctx->client);
	kfree(ctx);
	drm_dev_put(&fdev->drm);
}

static void fixar_context_release(struct kref *ref)
{
	struct fixar_context *ctx = container_of(ref, struct fixar_context, ref);

	fixar_reap(&ctx->release);
}

struct fixar_context *fixar_context_get(struct fixar_context *ctx)
{
	kref_get(&ctx->ref);
	return ctx;
}

/* In any context. */
void fixar_context_put(struct fixar_context *ctx)
{
	kref_put(&ctx->ref, fixar_context_release);
}

static struct fixar_context *fixar_context_create(struct fixar_file *ff)
{
	struct fixar_device *fdev = ff->fdev;
	struct drm_gpu_scheduler *sched;
	struct fixar_context *ctx;
	u32 i;
	int ret;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	kref_init(&ctx->ref);
	drm_dev_get(&fdev->drm);
	ctx->fdev = fdev;
	kref_get(&ff->client->ref);
	ctx->client = ff->client;
	ctx->id = atomic64_inc_return(&fdev->context_ids);
	INIT_WORK(&ctx->release, fixar_context_release_work);
	INIT_LIST_HEAD(&ctx->link);
	INIT_LIST_HEAD(&ctx->jobs);
	spin_lock_init(&ctx->lock);
	for (i = 0; i < FIXAR_QUEUES; i++)
		ctx->fence_context[i] = dma_fence_context_alloc(1);

	/* Allocates in newer kernels, such as 7.3. In 6.1 and 6.12 it cannot fail. */
	for (i = 0; i < fdev->channel_count; i++) {
		sched = &fdev->channels[i].engine.sched;
		ret = drm_sched_entity_init(&ctx->channels[i], DRM_SCHED_PRIORITY_NORMAL, &sched, 1,
					    NULL);
		if (ret)
			goto err_put;
		ctx->entities++;
	}
	sched = &fdev->core.engine.sched;
	ret = drm_sched_entity_init(&ctx->core, DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL);
	if (ret)
		goto err_put;
	ctx->core_entity = true;
	return ctx;

err_put:
	fixar_context_put(ctx);
	return ERR_PTR(ret);
}

/*
 * Queue the copy of zeros that precedes everything else in the arena. Under ff->lock, inside
 * drm_dev_enter().
 */
static int fixar_context_zero(struct fixar_context *ctx)
{
	struct fixar_job *job;

	job = fixar_job_create(ctx, fixar_copy_least_loaded(ctx->fdev, DRM_FIXAR_QUEUE_H2C), 1);
	if (IS_ERR(job))
		return PTR_ERR(job);
	job->pieces[0].bytes = ctx->bytes;
	job->bytes = ctx->bytes;
	/* It waits for nothing: there is nothing to prepare. */
	atomic_inc(&ctx->pending);
	fixar_job_arm(job);
	ctx->zeroed = dma_fence_get(&job->out->base);
	fixar_job_push(job);
	return 0;
}

struct fixar_context *fixar_context_find(struct fixar_file *ff, u32 handle)
{
	struct fixar_context *ctx;

	xa_lock(&ff->contexts);
	ctx = xa_load(&ff->contexts, handle);
	if (ctx)
		fixar_context_get(ctx);
	xa_unlock(&ff->contexts);
	return ctx;
}

/* The handle is gone. Jobs that have not started end soon; the context ends with its last job. */
static void fixar_context_destroy(struct fixar_context *ctx)
{
	struct fixar_device *fdev = ctx->fdev;

	spin_lock(&fdev->context_lock);
	list_del_init(&ctx->link);
	spin_unlock(&fdev->context_lock);

	atomic_inc(&fdev->dying);
	spin_lock(&ctx->lock);
	WRITE_ONCE(ctx->dead, true);
	spin_unlock(&ctx->lock);
	fixar_jobs_cancel(ctx);
	fixar_context_put(ctx);
}

void fixar_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct fixar_file *ff = file->driver_priv;
	struct fixar_context *ctx;
	unsigned long handle;

	xa_for_each(&ff->contexts, handle, ctx)
		fixar_context_destroy(ctx);
	xa_destroy(&ff->contexts);
	mutex_destroy(&ff->lock);
	fixar_client_put(ff->client);
	kfree(ff);
}

/* ---- What becomes of it ---- */

/**
 * fixar_context_fault() - a job has failed: its context can only be destroyed
 * @job: the job
 * @fault: DRM_FIXAR_FAULT_*
 * @code: error code of the core, or status of the channel
 * @operation: index in the job
 * @offset: in the arena
 *
 * The first fault stays. To be called before the job's fence is signalled, so that who waited for
 * it finds the reason.
 */
void fixar_context_fault(struct fixar_job *job, u32 fault, u32 code, u32 operation, u64 offset)
{
	struct fixar_context *ctx = job->ctx;
	bool first;

	spin_lock(&ctx->lock);
	first = ctx->state == DRM_FIXAR_CTX_OK;
	if (first) {
		ctx->fault = fault;
		if (fault == DRM_FIXAR_FAULT_CORE)
			ctx->core_error = code;
		else
			ctx->dma_status = code;
		ctx->fault_queue = job->queue;
		ctx->fault_operation = min(operation, job->count - 1);
		ctx->fault_job = job->number;
		ctx->fault_offset = offset;
		WRITE_ONCE(ctx->state, DRM_FIXAR_CTX_FAULTED);
	}
	spin_unlock(&ctx->lock);
	if (first)
		trace_fixar_fault(job, fault, code, operation, offset);
}

/* Card memory lost its contents. */
void fixar_contexts_lost(struct fixar_device *fdev)
{
	struct fixar_context *ctx;

	spin_lock(&fdev->context_lock);
	list_for_each_entry(ctx, &fdev->contexts, link) {
		spin_lock(&ctx->lock);
		if (ctx->state == DRM_FIXAR_CTX_OK) {
			ctx->fault = DRM_FIXAR_FAULT_MEMORY;
			WRITE_ONCE(ctx->state, DRM_FIXAR_CTX_LOST);
		}
		spin_unlock(&ctx->lock);
	}
	spin_unlock(&fdev->context_lock);
}

/* The device is gone: no job waits for a fence any more. */
void fixar_contexts_cancel(struct fixar_device *fdev)
{
	struct fixar_context *ctx;

	spin_lock(&fdev->context_lock);
	list_for_each_entry(ctx, &fdev->contexts, link)
		fixar_jobs_cancel(ctx);
	spin_unlock(&fdev->context_lock);
}

/* ---- Ioctls ---- */

static int fixar_ctx_create(struct drm_device *drm, struct drm_fixar_ctx_create *args,
			    struct fixar_file *ff)
{
	const u64 bytes = ALIGN(args->size, FIXAR_ARENA_GRANULE);
	struct fixar_device *fdev = ff->fdev;
	struct fixar_context *ctx;
	u32 handle;
	int idx;
	int ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ff->lock);
	if (ff->context_count == FIXAR_MAX_CONTEXTS) {
		ret = -ENOSPC;
		goto out;
	}
	ctx = fixar_context_create(ff);
	if (IS_ERR(ctx)) {
		ret = PTR_ERR(ctx);
		goto out;
	}
	spin_lock(&fdev->default_lock);
	ctx->mode = fdev->default_mode;
	spin_unlock(&fdev->default_lock);

	ret = fixar_arena_alloc(ctx, bytes);
	if (ret)
		goto err_put;
	atomic64_add(bytes, &ctx->client->arena_bytes);

	/*
	 * In the list before the epoch is read and before the zeros are queued: a loss of memory
	 * then either is in the epoch or marks this context.
	 */
	spin_lock(&fdev->context_lock);
	list_add_tail(&ctx->link, &fdev->contexts);
	spin_unlock(&fdev->context_lock);
	ctx->mem_epoch = READ_ONCE(fdev->mem_epoch);

	/* The handle is found by others from here, but not used: they need ff->lock to submit. */
	ret = xa_alloc(&ff->contexts, &handle, ctx, xa_limit_31b, GFP_KERNEL);
	if (ret)
		goto err_destroy;
	ret = fixar_context_zero(ctx);
	if (ret)
		goto err_erase;

	ff->context_count++;
	args->size = bytes;
	args->handle = handle;
	goto out;

err_erase:
	xa_erase(&ff->contexts, handle);
err_destroy:
	fixar_context_destroy(ctx);
	goto out;
err_put:
	fixar_context_put(ctx);
out:
	mutex_unlock(&ff->lock);
	drm_dev_exit(idx);
	return ret;
}

/*
 * A context that was destroyed keeps its arena until its last job has ended. Who creates one right
 * after it is not told that there is no room, but waits.
 */
int fixar_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fixar_ctx_create *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_device *fdev = ff->fdev;
	int dying, freed;
	int ret;

	if (args->flags || !args->size || args->size > fdev->info.memory_bytes)
		return -EINVAL;
	for (;;) {
		/* Asked before the attempt: what is freed after it is not missed. */
		freed = atomic_read(&fdev->freed);
		dying = atomic_read(&fdev->dying);
		ret = fixar_ctx_create(drm, args, ff);
		if ((ret != -ENOSPC && ret != -EBUSY) || !dying ||
		    READ_ONCE(ff->context_count) == FIXAR_MAX_CONTEXTS)
			return ret;
		/* Not inside drm_dev_enter(): removal would wait for this. It ends all jobs. */
		if (wait_event_interruptible(fdev->context_freed,
					     atomic_read(&fdev->freed) != freed))
			return -EINTR;
	}
}

int fixar_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_fixar_ctx_destroy *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_context *ctx;

	if (args->pad)
		return -EINVAL;
	mutex_lock(&ff->lock);
	ctx = xa_erase(&ff->contexts, args->handle);
	if (ctx) {
		ff->context_count--;
		/* Under the lock: no submission is between its check of `dead` and its push. */
		fixar_context_destroy(ctx);
	}
	mutex_unlock(&ff->lock);
	return ctx ? 0 : -ENOENT;
}

int fixar_ctx_set_mode_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_fixar_ctx_mode *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_context *ctx;

	if (args->pad || !fixar_mode_valid(&args->mode))
		return -EINVAL;
	ctx = fixar_context_find(ff, args->handle);
	if (!ctx)
		return -ENOENT;
	mutex_lock(&ff->lock);
	ctx->mode = args->mode;
	mutex_unlock(&ff->lock);
	fixar_context_put(ctx);
	return 0;
}

int fixar_ctx_get_mode_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fixar_ctx_mode *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_context *ctx;

	if (args->pad)
		return -EINVAL;
	ctx = fixar_context_find(ff, args->handle);
	if (!ctx)
		return -ENOENT;
	mutex_lock(&ff->lock);
	args->mode = ctx->mode;
	mutex_unlock(&ff->lock);
	fixar_context_put(ctx);
	return 0;
}

int fixar_ctx_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fixar_ctx_query *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_context *ctx;

	if (args->pad || args->pad2)
		return -EINVAL;
	/*
	 * Fences end with -ENODEV before the DRM core calls the device unplugged: who saw one is
	 * not told of a sound context.
	 */
	if (fixar_state(ff->fdev) == FIXAR_GONE)
		return -ENODEV;
	ctx = fixar_context_find(ff, args->handle);
	if (!ctx)
		return -ENOENT;

	spin_lock(&ctx->lock);
	args->state = ctx->state;
	args->fault = ctx->fault;
	args->core_error = ctx->core_error;
	args->dma_status = ctx->dma_status;
	args->fault_queue = ctx->fault_queue;
	args->fault_operation = ctx->fault_operation;
	args->fault_job = ctx->fault_job;
	args->fault_offset = ctx->fault_offset;
	spin_unlock(&ctx->lock);
	args->arena_bytes = ctx->bytes;
	args->jobs_finished = atomic64_read(&ctx->jobs_finished);
	args->core_ns = atomic64_read(&ctx->core_ns);
	args->mem_epoch = ctx->mem_epoch;
	mutex_lock(&ff->lock);
	args->jobs_submitted = ctx->jobs_submitted;
	mutex_unlock(&ff->lock);
	fixar_context_put(ctx);
	return 0;
}

/* ---- fdinfo ---- */

void fixar_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	static const char *const names[FIXAR_QUEUES] = { "h2c", "c2h", "core" };
	struct fixar_file *ff = file->driver_priv;
	struct fixar_device *fdev = ff->fdev;
	const u32 capacity[FIXAR_QUEUES] = { fdev->info.h2c_channels, fdev->info.c2h_channels, 1 };
	u32 i;

	for (i = 0; i < FIXAR_QUEUES; i++) {
		drm_printf(p, "drm-engine-%s:\t%lld ns\n", names[i],
			   atomic64_read(&ff->client->busy_ns[i]));
		if (capacity[i] > 1)
			drm_printf(p, "drm-engine-capacity-%s:\t%u\n", names[i], capacity[i]);
	}
	drm_printf(p, "drm-total-arena:\t%lld KiB\n",
		   atomic64_read(&ff->client->arena_bytes) >> 10);
	drm_printf(p, "drm-resident-arena:\t%lld KiB\n",
		   atomic64_read(&ff->client->arena_bytes) >> 10);
	drm_printf(p, "fixar-bytes-h2c:\t%lld\n",
		   atomic64_read(&ff->client->bytes[DRM_FIXAR_QUEUE_H2C]));
	drm_printf(p, "fixar-bytes-c2h:\t%lld\n",
		   atomic64_read(&ff->client->bytes[DRM_FIXAR_QUEUE_C2H]));
}

#ifndef FIXAR_HAVE_DRIVER_SHOW_FDINFO
void fixar_fops_show_fdinfo(struct seq_file *m, struct file *f)
{
	struct drm_file *file = f->private_data;
	struct fixar_file *ff = file->driver_priv;
	struct drm_printer p = drm_seq_file_printer(m);
	int idx;

	if (!drm_dev_enter(file->minor->dev, &idx))
		return;
	drm_printf(&p, "drm-driver:\t" FIXAR_NAME "\n");
	drm_printf(&p, "drm-client-id:\t%llu\n", ff->client->id);
	drm_printf(&p, "drm-pdev:\t%s\n", pci_name(ff->fdev->pdev));
	fixar_show_fdinfo(&p, file);
	drm_dev_exit(idx);
}
#endif
