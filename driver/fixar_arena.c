// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card memory: contiguous arenas, one per context. There is no migration, eviction or
 * overcommitment.
 */
#include <drm/drm_managed.h>

#include "fixar_device.h"

static void fixar_arena_fini(struct drm_device *drm, void *data)
{
	struct fixar_device *fdev = data;

	drm_mm_takedown(&fdev->mm);
}

int fixar_arena_init(struct fixar_device *fdev)
{
	drm_mm_init(&fdev->mm, fdev->memory_base, fdev->info.memory_bytes);
	return drmm_add_action_or_reset(&fdev->drm, fixar_arena_fini, fdev);
}

/**
 * fixar_arena_alloc() - give a context its arena
 * @ctx: without one
 * @bytes: a multiple of the granule
 *
 * Return: 0, -ENOSPC, or -EBUSY if the card cannot confine the core and there is another context.
 */
int fixar_arena_alloc(struct fixar_context *ctx, u64 bytes)
{
	struct fixar_device *fdev = ctx->fdev;
	int ret = -EBUSY;

	mutex_lock(&fdev->arena_lock);
	if (!fdev->context_count || (fdev->info.capabilities & DRM_FIXAR_CAP_WINDOWS))
		ret = drm_mm_insert_node_generic(&fdev->mm, &ctx->node, bytes, FIXAR_ARENA_GRANULE,
						 0, DRM_MM_INSERT_BEST);
	if (!ret) {
		fdev->context_count++;
		ctx->base = ctx->node.start;
		ctx->bytes = bytes;
	}
	mutex_unlock(&fdev->arena_lock);
	return ret;
}

/* Whoever gets the range next zeroes it before use. */
void fixar_arena_free(struct fixar_context *ctx)
{
	struct fixar_device *fdev = ctx->fdev;

	mutex_lock(&fdev->arena_lock);
	drm_mm_remove_node(&ctx->node);
	fdev->context_count--;
	mutex_unlock(&fdev->arena_lock);
}

void fixar_arena_query(struct fixar_device *fdev, struct drm_fixar_query_memory *memory)
{
	u64 start, end, bytes;
	struct drm_mm_node *hole;

	memory->total = fdev->info.memory_bytes;
	mutex_lock(&fdev->arena_lock);
	drm_mm_for_each_hole(hole, &fdev->mm, start, end) {
		bytes = end - start;
		memory->free += bytes;
		memory->largest = max(memory->largest, bytes);
	}
	memory->contexts = fdev->context_count;
	mutex_unlock(&fdev->arena_lock);
	if (memory->contexts && !(fdev->info.capabilities & DRM_FIXAR_CAP_WINDOWS))
		memory->largest = 0;
}
