// SPDX-License-Identifier: GPL-2.0-only
/*
 * SUBMIT: parse, validate, depend, arm, push. All or nothing: until the first job is armed
 * everything can fail, after it nothing can.
 *
 * The file's lock is held all the way. It orders a file's jobs, and destruction of contexts against
 * submission. User memory is read before drm_dev_enter(), so that a program cannot hold up the
 * removal of the device by a page that does not come.
 */
#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "fixar_device.h"

/* Sizes of the interface's first version: a shorter element is none. */
#define FIXAR_JOB_BYTES_V1 sizeof(struct drm_fixar_job)
#define FIXAR_SYNC_BYTES_V1 sizeof(struct drm_fixar_sync)
#define FIXAR_COPY_BYTES_V1 sizeof(struct drm_fixar_copy)
#define FIXAR_OPERATION_BYTES_V1 sizeof(struct drm_fixar_operation)

/* An out-fence to attach. */
struct fixar_out {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain; /* of a timeline */
	u64 point;
	u32 job;
};

struct fixar_submission {
	struct fixar_file *ff;
	struct drm_file *file;
	u32 job_count;
	struct fixar_job *jobs[DRM_FIXAR_MAX_JOBS];
	bool counted[DRM_FIXAR_MAX_JOBS];
	struct fixar_out *outs;
	u32 out_count;
	struct drm_gem_object **objs; /* each once */
	u32 obj_count;
};

/* ---- Arrays in user memory ---- */

static int fixar_array_check(const struct drm_fixar_array *array, size_t first_version, u32 max,
			     bool needed)
{
	if (!array->count)
		return needed || array->stride ? -EINVAL : 0;
	if (array->stride < first_version || array->stride % 8 || array->array % 8)
		return -EINVAL;
	/* Longer than any struct: not worth reading through. */
	if (array->count > max || array->stride > PAGE_SIZE)
		return -E2BIG;
	return 0;
}

static int fixar_array_get(const struct drm_fixar_array *array, u32 i, void *element, size_t bytes)
{
	return copy_struct_from_user(element, bytes,
				     u64_to_user_ptr(array->array + (u64)array->stride * i),
				     array->stride);
}

/* ---- Which engine ---- */

static struct fixar_job *fixar_submit_before(struct fixar_submission *sub,
					     struct fixar_context *ctx, u32 queue)
{
	u32 i = sub->job_count;

	while (i--) {
		if (sub->jobs[i]->ctx == ctx && sub->jobs[i]->queue == queue)
			return sub->jobs[i];
	}
	return NULL;
}

/* Where the context's job before this one is, if it is not finished. */
static struct fixar_engine *fixar_submit_busy(struct fixar_submission *sub,
					      struct fixar_context *ctx, u32 queue)
{
	struct fixar_job *before = fixar_submit_before(sub, ctx, queue);

	if (before)
		return before->engine;
	if (ctx->last[queue] && !dma_fence_is_signaled(ctx->last[queue]))
		return ctx->last_engine[queue];
	return NULL;
}

static struct fixar_engine *fixar_submit_engine(struct fixar_submission *sub,
						struct fixar_context *ctx,
						const struct drm_fixar_job *args)
{
	struct fixar_device *fdev = sub->ff->fdev;
	bool named = args->flags & DRM_FIXAR_JOB_CHANNEL;
	struct fixar_engine *engine;
	u32 first, count;

	if (!named && args->channel)
		return ERR_PTR(-EINVAL);
	switch (args->queue) {
	case DRM_FIXAR_QUEUE_CORE:
		return named ? ERR_PTR(-EINVAL) : &fdev->core.engine;
	case DRM_FIXAR_QUEUE_H2C:
		first = 0;
		count = fdev->info.h2c_channels;
		break;
	case DRM_FIXAR_QUEUE_C2H:
		first = fdev->info.h2c_channels;
		count = fdev->info.c2h_channels;
		break;
	default:
		return ERR_PTR(-EINVAL);
	}
	if (named)
		return args->channel < count ? &fdev->channels[first + args->channel].engine
					     : ERR_PTR(-EINVAL);

	/*
	 * Behind the job before, if that is not finished: no fence is needed then for their order.
	 * Else the least loaded.
	 */
	engine = fixar_submit_busy(sub, ctx, args->queue);
	return engine ? engine : fixar_copy_least_loaded(fdev, args->queue);
}

/* ---- Copies and operations ---- */

static int fixar_parse_copy(struct fixar_submission *sub, struct fixar_job *job, u32 i,
			    const struct drm_fixar_copy *args)
{
	struct fixar_piece *piece = &job->pieces[i];
	struct drm_gem_object *obj;
	u64 end;

	if (args->flags || !args->size)
		return -EINVAL;
	if (check_add_overflow(args->arena_offset, args->size, &end) || end > job->ctx->bytes)
		return -ERANGE;
	obj = drm_gem_object_lookup(sub->file, args->bo);
	if (!obj)
		return -ENOENT;
	piece->bo = to_fixar_bo(obj);
	piece->bo_offset = args->bo_offset;
	piece->arena_offset = args->arena_offset;
	piece->bytes = args->size;
	if (check_add_overflow(args->bo_offset, args->size, &end) || end > obj->size)
		return -ERANGE;
	job->bytes += args->size;
	return 0;
}

static int fixar_check_offset(const struct fixar_job *job, u64 offset, bool allowed, bool needed)
{
	if (!offset)
		return needed ? -EINVAL : 0;
	if (!allowed || offset % FIXAR_ARENA_ALIGN)
		return -EINVAL;
	return offset < job->ctx->bytes ? 0 : -ERANGE;
}

static int fixar_parse_operation(struct fixar_job *job, u32 i,
				 const struct drm_fixar_operation *args)
{
	const struct drm_fixar_query_device *info = &job->fdev->info;
	bool act = args->type == DRM_FIXAR_OP_ACT;
	bool train = args->type == DRM_FIXAR_OP_TRAIN;
	struct fixar_command *command = &job->commands[i];
	u32 control = FIELD_PREP(FIXAR_COMMAND_OPCODE, args->type);
	int ret;

	if (!args->type || args->type > DRM_FIXAR_OP_RELOAD || args->pad)
		return -EINVAL;
	if (args->flags & ~(act ? DRM_FIXAR_OP_EXPLORE | DRM_FIXAR_OP_RESET_NOISE : 0))
		return -EINVAL;
	if (act || train ? !args->count || args->count > info->max_batch : args->count)
		return -EINVAL;
	ret = fixar_check_offset(job, args->input, act || train, act || train);
	if (!ret)
		ret = fixar_check_offset(job, args->output, act, act);
	if (!ret)
		ret = fixar_check_offset(job, args->statistics, args->type != DRM_FIXAR_OP_NOP,
					 false);
	if (ret)
		return ret;
	if (!(info->operations & BIT_ULL(args->type)))
		return -EOPNOTSUPP;

	if (args->flags & DRM_FIXAR_OP_EXPLORE)
		control |= FIXAR_COMMAND_EXPLORE;
	if (args->flags & DRM_FIXAR_OP_RESET_NOISE)
		control |= FIXAR_COMMAND_RESET_NOISE;
	command->control = cpu_to_le32(control);
	command->count = cpu_to_le32(args->count);
	command->input = cpu_to_le64(args->input);
	command->output = cpu_to_le64(args->output);
	command->statistics = cpu_to_le64(args->statistics);
	return 0;
}

static int fixar_parse_operations(struct fixar_submission *sub, struct fixar_job *job,
				  const struct drm_fixar_array *array)
{
	struct drm_fixar_operation operation;
	struct drm_fixar_copy copy;
	int ret = 0;
	u32 i;

	for (i = 0; i < array->count && !ret; i++) {
		if (job->queue == DRM_FIXAR_QUEUE_CORE) {
			ret = fixar_array_get(array, i, &operation, sizeof(operation));
			if (!ret)
				ret = fixar_parse_operation(job, i, &operation);
		} else {
			ret = fixar_array_get(array, i, &copy, sizeof(copy));
			if (!ret)
				ret = fixar_parse_copy(sub, job, i, &copy);
		}
	}
	return ret;
}

/* ---- Fences ---- */

static int fixar_sync_get(const struct drm_fixar_array *array, u32 i, struct drm_fixar_sync *sync)
{
	int ret = fixar_array_get(array, i, sync, sizeof(*sync));

	if (ret)
		return ret;
	if (sync->flags & ~DRM_FIXAR_SYNC_TIMELINE)
		return -EINVAL;
	return !(sync->flags & DRM_FIXAR_SYNC_TIMELINE) == !sync->timeline_value ? 0 : -EINVAL;
}

static int fixar_parse_in_syncs(struct fixar_submission *sub, struct fixar_job *job,
				const struct drm_fixar_array *array)
{
	struct drm_fixar_sync sync;
	struct dma_fence *fence;
	int ret;
	u32 i;

	for (i = 0; i < array->count; i++) {
		ret = fixar_sync_get(array, i, &sync);
		if (ret)
			return ret;
		ret = drm_syncobj_find_fence(sub->file, sync.handle, sync.timeline_value, 0,
					     &fence);
		if (ret)
			return ret;
		ret = fixar_job_wait_for(job, fence);
		if (ret)
			return ret;
	}
	return 0;
}

static int fixar_parse_out_syncs(struct fixar_submission *sub, u32 job,
				 const struct drm_fixar_array *array)
{
	struct fixar_out *outs, *out;
	struct drm_fixar_sync sync;
	int ret;
	u32 i;

	if (!array->count)
		return 0;
	outs = krealloc_array(sub->outs, sub->out_count + array->count, sizeof(*outs), GFP_KERNEL);
	if (!outs)
		return -ENOMEM;
	sub->outs = outs;

	for (i = 0; i < array->count; i++) {
		ret = fixar_sync_get(array, i, &sync);
		if (ret)
			return ret;
		out = &sub->outs[sub->out_count];
		memset(out, 0, sizeof(*out));
		out->job = job;
		out->point = sync.timeline_value;
		out->syncobj = drm_syncobj_find(sub->file, sync.handle);
		if (!out->syncobj)
			return -ENOENT;
		sub->out_count++;
		if (sync.flags & DRM_FIXAR_SYNC_TIMELINE) {
			out->chain = dma_fence_chain_alloc();
			if (!out->chain)
				return -ENOMEM;
		}
	}
	return 0;
}

/*
 * What a job waits for beside the in-fences: the arena's zeros, the queue's order, jobs of this
 * submission.
 */
static int fixar_submit_order(struct fixar_submission *sub, struct fixar_job *job, u64 depends)
{
	struct fixar_context *ctx = job->ctx;
	struct fixar_job *before = fixar_submit_before(sub, ctx, job->queue);
	struct dma_fence *last = ctx->last[job->queue];
	u32 i;
	int ret;

	ret = fixar_job_wait_for(job, dma_fence_get(ctx->zeroed));
	if (ret)
		return ret;
	if (before && before->engine != job->engine)
		ret = fixar_job_wait_after(job, before->out, false);
	else if (!before && last && ctx->last_engine[job->queue] != job->engine)
		ret = fixar_job_wait_for(job, dma_fence_get(last));
	for (i = 0; i < sub->job_count && !ret; i++) {
		if (depends & BIT_ULL(i))
			ret = fixar_job_wait_after(job, sub->jobs[i]->out, true);
	}
	return ret;
}

/* ---- One job ---- */

static int fixar_context_usable(const struct fixar_context *ctx)
{
	switch (READ_ONCE(ctx->state)) {
	case DRM_FIXAR_CTX_OK:
		return 0;
	case DRM_FIXAR_CTX_LOST:
		return -ESTALE;
	default:
		return -EIO;
	}
}

static int fixar_parse_job(struct fixar_submission *sub, const struct drm_fixar_array *array, u32 i)
{
	struct drm_fixar_job args;
	struct fixar_engine *engine;
	struct fixar_context *ctx;
	struct fixar_job *job;
	int ret;

	ret = fixar_array_get(array, i, &args, sizeof(args));
	if (ret)
		return ret;
	if ((args.flags & ~DRM_FIXAR_JOB_CHANNEL) || args.depends >> i)
		return -EINVAL;
	ret = fixar_array_check(&args.operations,
				args.queue == DRM_FIXAR_QUEUE_CORE ? FIXAR_OPERATION_BYTES_V1
								   : FIXAR_COPY_BYTES_V1,
				FIXAR_MAX_OPERATIONS, true);
	if (!ret)
		ret = fixar_array_check(&args.in_syncs, FIXAR_SYNC_BYTES_V1, FIXAR_MAX_SYNCS,
					false);
	if (!ret)
		ret = fixar_array_check(&args.out_syncs, FIXAR_SYNC_BYTES_V1, FIXAR_MAX_SYNCS,
					false);
	if (ret)
		return ret;

	ctx = fixar_context_find(sub->ff, args.ctx);
	if (!ctx)
		return -ENOENT;
	engine = fixar_submit_engine(sub, ctx, &args);
	if (IS_ERR(engine)) {
		ret = PTR_ERR(engine);
		goto out;
	}
	ret = fixar_context_usable(ctx);
	if (ret)
		goto out;
	job = fixar_job_create(ctx, engine, args.operations.count);
	if (IS_ERR(job)) {
		ret = PTR_ERR(job);
		goto out;
	}
	job->mode = ctx->mode;

	/*
	 * From here the job is the submission's to abort; but jobs before it are those with a
	 * smaller index.
	 */
	ret = fixar_submit_order(sub, job, args.depends);
	sub->jobs[sub->job_count++] = job;
	if (!ret)
		ret = fixar_parse_operations(sub, job, &args.operations);
	if (!ret)
		ret = fixar_parse_in_syncs(sub, job, &args.in_syncs);
	if (!ret)
		ret = fixar_parse_out_syncs(sub, i, &args.out_syncs);
	if (ret)
		goto out;
	if (atomic_inc_return(&ctx->pending) > FIXAR_MAX_PENDING) {
		atomic_dec(&ctx->pending);
		ret = -EBUSY;
		goto out;
	}
	sub->counted[i] = true;
out:
	fixar_context_put(ctx);
	return ret;
}

/* ---- Buffers ---- */

static int fixar_compare_pointers(const void *a, const void *b)
{
	const uintptr_t x = *(const uintptr_t *)a;
	const uintptr_t y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

/* Map all buffers, check the copies against what is mapped, and list each buffer once. */
static int fixar_submit_buffers(struct fixar_submission *sub)
{
	u32 total = 0, unique = 0, i, j;
	struct fixar_piece *piece;
	struct fixar_job *job;
	int ret;

	for (i = 0; i < sub->job_count; i++)
		total += sub->jobs[i]->pieces ? sub->jobs[i]->count : 0;
	if (!total)
		return 0;
	sub->objs = kvmalloc_array(total, sizeof(*sub->objs), GFP_KERNEL);
	if (!sub->objs)
		return -ENOMEM;

	total = 0;
	for (i = 0; i < sub->job_count; i++) {
		job = sub->jobs[i];
		for (j = 0; job->pieces && j < job->count; j++) {
			piece = &job->pieces[j];
			ret = fixar_bo_map(piece->bo);
			if (ret)
				return ret;
			if (piece->bo_offset + piece->bytes > piece->bo->mapped_bytes)
				return -ERANGE;
			sub->objs[total++] = &piece->bo->base.base;
		}
	}
	sort(sub->objs, total, sizeof(*sub->objs), fixar_compare_pointers, NULL);
	for (i = 0; i < total; i++) {
		if (!unique || sub->objs[unique - 1] != sub->objs[i])
			sub->objs[unique++] = sub->objs[i];
	}
	sub->obj_count = unique;
	return 0;
}

/*
 * Fences of others, on buffers that others know. On buffers of our own, order is what programs ask
 * for.
 */
static int fixar_submit_implicit(struct fixar_job *job)
{
	bool write = job->queue == DRM_FIXAR_QUEUE_C2H;
	struct drm_gem_object *obj, *before = NULL;
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	u32 i;
	int ret;

	for (i = 0; job->pieces && i < job->count; i++) {
		obj = &job->pieces[i].bo->base.base;
		if (obj == before || (!obj->import_attach && !READ_ONCE(obj->dma_buf)))
			continue;
		before = obj;
		dma_resv_for_each_fence(&cursor, obj->resv, dma_resv_usage_rw(write), fence) {
			ret = fixar_job_wait_for(job, dma_fence_get(fence));
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* ---- The end ---- */

/* With the buffers' reservations held: nothing here can fail. */
static void fixar_submit_commit(struct fixar_submission *sub)
{
	struct dma_fence *fences[DRM_FIXAR_MAX_JOBS];
	bool cookie = dma_fence_begin_signalling();
	enum dma_resv_usage usage;
	struct fixar_job *job;
	struct fixar_out *out;
	u32 i, j;

	for (i = 0; i < sub->job_count; i++) {
		fixar_job_arm(sub->jobs[i]);
		fences[i] = dma_fence_get(&sub->jobs[i]->out->base);
	}
	for (i = 0; i < sub->job_count; i++) {
		job = sub->jobs[i];
		usage = job->queue == DRM_FIXAR_QUEUE_C2H ? DMA_RESV_USAGE_WRITE
							  : DMA_RESV_USAGE_READ;
		for (j = 0; job->pieces && j < job->count; j++)
			dma_resv_add_fence(job->pieces[j].bo->base.base.resv, fences[i], usage);
	}
	for (i = 0; i < sub->out_count; i++) {
		out = &sub->outs[i];
		if (out->chain) {
			drm_syncobj_add_point(out->syncobj, out->chain, fences[out->job],
					      out->point);
			out->chain = NULL;
		} else {
			drm_syncobj_replace_fence(out->syncobj, fences[out->job]);
		}
	}
	for (i = 0; i < sub->job_count; i++)
		fixar_job_push(sub->jobs[i]);
	for (i = 0; i < sub->job_count; i++)
		dma_fence_put(fences[i]);
	dma_fence_end_signalling(cookie);
}

static int fixar_submit_finish(struct fixar_submission *sub)
{
	struct ww_acquire_ctx acquire;
	int ret;
	u32 i;

	ret = fixar_submit_buffers(sub);
	if (ret)
		return ret;
	if (sub->obj_count) {
		ret = drm_gem_lock_reservations(sub->objs, sub->obj_count, &acquire);
		if (ret)
			return ret;
	}
	for (i = 0; i < sub->obj_count && !ret; i++)
		ret = dma_resv_reserve_fences(sub->objs[i]->resv, sub->job_count);
	for (i = 0; i < sub->job_count && !ret; i++) {
		ret = fixar_submit_implicit(sub->jobs[i]);
		if (!ret)
			ret = fixar_job_prepare(sub->jobs[i]);
	}
	if (!ret)
		fixar_submit_commit(sub);
	if (sub->obj_count)
		drm_gem_unlock_reservations(sub->objs, sub->obj_count, &acquire);
	return ret;
}

static void fixar_submission_free(struct fixar_submission *sub, bool abort)
{
	u32 i;

	for (i = 0; i < sub->out_count; i++) {
		dma_fence_chain_free(sub->outs[i].chain);
		drm_syncobj_put(sub->outs[i].syncobj);
	}
	kfree(sub->outs);
	kvfree(sub->objs);
	for (i = 0; abort && i < sub->job_count; i++) {
		if (sub->counted[i])
			atomic_dec(&sub->jobs[i]->ctx->pending);
		fixar_job_abort(sub->jobs[i]);
	}
	kfree(sub);
}

int fixar_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_fixar_submit *args = data;
	struct fixar_file *ff = file->driver_priv;
	struct fixar_submission *sub;
	int idx;
	int ret;
	u32 i;

	if (args->flags || args->pad || args->jobs.count > DRM_FIXAR_MAX_JOBS)
		return -EINVAL;
	ret = fixar_array_check(&args->jobs, FIXAR_JOB_BYTES_V1, DRM_FIXAR_MAX_JOBS, true);
	if (ret)
		return ret;
	sub = kzalloc(sizeof(*sub), GFP_KERNEL);
	if (!sub)
		return -ENOMEM;
	sub->ff = ff;
	sub->file = file;

	ret = mutex_lock_interruptible(&ff->lock);
	if (ret) {
		kfree(sub);
		return ret;
	}
	for (i = 0; i < args->jobs.count && !ret; i++)
		ret = fixar_parse_job(sub, &args->jobs, i);
	if (!ret) {
		if (drm_dev_enter(drm, &idx)) {
			ret = fixar_submit_finish(sub);
			drm_dev_exit(idx);
		} else {
			ret = -ENODEV;
		}
	}
	fixar_submission_free(sub, ret);
	mutex_unlock(&ff->lock);
	return ret;
}
