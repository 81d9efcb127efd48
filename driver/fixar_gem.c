// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: host memory of the GEM shmem helper, and imported dma-bufs.
 *
 * A buffer's DMA mapping is made for the first job that uses it and stays until the buffer or the
 * device goes. It is the driver's own and not the helper's, because remove() has to undo it while
 * files are still open.
 *
 * Bounce buffers are copied by BO_PREP and BO_FINI. What is imported is its exporter's to keep
 * coherent, and exporters do not know of copies that were made for the card: where the kernel
 * bounces or caches are not coherent, an import is refused.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_prime.h>
#include <drm/drm_utils.h>

#include "fixar_device.h"

/* With bo->lock held. */
static void fixar_bo_unmap(struct fixar_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;

	if (!bo->sgt)
		return;
	if (obj->import_attach) {
		/* The helper frees the attachment later, and skips what is no longer mapped. */
		dma_buf_unmap_attachment_unlocked(obj->import_attach, bo->sgt, DMA_BIDIRECTIONAL);
		bo->base.sgt = NULL;
	} else {
		dma_unmap_sgtable(obj->dev->dev, bo->sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(bo->sgt);
		kfree(bo->sgt);
		drm_gem_shmem_unpin(&bo->base);
	}
	bo->sgt = NULL;
	bo->mapped_bytes = 0;
}

static int fixar_bo_map_own(struct fixar_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct sg_table *sgt;
	int ret;

	ret = drm_gem_shmem_pin(&bo->base);
	if (ret)
		return ret;
	sgt = drm_prime_pages_to_sg(obj->dev, bo->base.pages, obj->size >> PAGE_SHIFT);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		goto err_unpin;
	}
	ret = dma_map_sgtable(obj->dev->dev, sgt, DMA_BIDIRECTIONAL, 0);
	if (ret)
		goto err_free;
	bo->sgt = sgt;
	return 0;

err_free:
	sg_free_table(sgt);
	kfree(sgt);
err_unpin:
	drm_gem_shmem_unpin(&bo->base);
	return ret;
}

/**
 * fixar_bo_map() - map a buffer for the card, if it is not yet
 * @bo: the buffer
 *
 * Inside drm_dev_enter(), so that remove() finds every mapping. Not with the buffer's reservation
 * held.
 */
int fixar_bo_map(struct fixar_bo *bo)
{
	struct scatterlist *sg;
	int ret = 0;
	int i;

	mutex_lock(&bo->lock);
	if (bo->sgt)
		goto out;
	if (bo->gone) {
		ret = -ENODEV;
		goto out;
	}
	if (bo->base.base.import_attach)
		bo->sgt = bo->base.sgt;
	else
		ret = fixar_bo_map_own(bo);
	if (ret)
		goto out;
	/*
	 * An exporter's list may be shorter than our rounded size: this is what copies are checked
	 * against.
	 */
	for_each_sgtable_dma_sg(bo->sgt, sg, i)
		bo->mapped_bytes += sg_dma_len(sg);
out:
	mutex_unlock(&bo->lock);
	return ret;
}

/*
 * remove(): no mapping outlives the device's binding. All jobs have ended. A buffer that is being
 * freed meanwhile is in the list until its free has had bo_lock, so it is there while we look at
 * it.
 */
void fixar_bos_unmap(struct fixar_device *fdev)
{
	struct fixar_bo *bo;

	mutex_lock(&fdev->bo_lock);
	list_for_each_entry(bo, &fdev->bos, link) {
		mutex_lock(&bo->lock);
		if (!bo->sgt && bo->base.base.import_attach)
			bo->sgt = bo->base.sgt;
		fixar_bo_unmap(bo);
		bo->gone = true;
		mutex_unlock(&bo->lock);
	}
	mutex_unlock(&fdev->bo_lock);
}

static void fixar_bo_free(struct drm_gem_object *obj)
{
	struct fixar_device *fdev = to_fixar(obj->dev);
	struct fixar_bo *bo = to_fixar_bo(obj);

	mutex_lock(&fdev->bo_lock);
	list_del_init(&bo->link);
	mutex_unlock(&fdev->bo_lock);

	if (obj->import_attach)
		bo->sgt = NULL; /* the helper unmaps bo->base.sgt */
	else
		fixar_bo_unmap(bo);
	mutex_destroy(&bo->lock);
	drm_gem_shmem_free(&bo->base);
}

static const struct drm_gem_object_funcs fixar_bo_funcs = {
	.free = fixar_bo_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

struct drm_gem_object *fixar_gem_create_object(struct drm_device *drm, size_t size)
{
	struct fixar_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	mutex_init(&bo->lock);
	INIT_LIST_HEAD(&bo->link);
	bo->base.base.funcs = &fixar_bo_funcs;
	return &bo->base.base;
}

/* Only when the helper has made all of it: if that fails, it frees the memory without asking us. */
static void fixar_bo_track(struct fixar_device *fdev, struct fixar_bo *bo)
{
	mutex_lock(&fdev->bo_lock);
	list_add_tail(&bo->link, &fdev->bos);
	mutex_unlock(&fdev->bo_lock);
}

/* A kernel without IOMMUs has no domains, and does not say what one is made of. */
static bool fixar_is_translated(struct device *dev)
{
#ifdef CONFIG_IOMMU_API
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && (domain->type & __IOMMU_DOMAIN_PAGING);
#else
	return false;
#endif
}

/* Does the card see other memory than the exporter's, or the CPU the card's writes too late? */
static bool fixar_needs_copies(struct device *dev, struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	/* A translation copies nothing; Linux 6.1 has dma_need_sync() true behind one. */
	if (fixar_is_translated(dev))
		return false;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (dma_need_sync(dev, sg_dma_address(sg)))
			return true;
	}
	return false;
}

/* The exporter has mapped the buffer for the card. If this fails, the caller unmaps it. */
struct drm_gem_object *fixar_gem_import(struct drm_device *drm, struct dma_buf_attachment *attach,
					struct sg_table *sgt)
{
	struct drm_gem_object *obj = ERR_PTR(-ENODEV);
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return obj;
	if (fixar_needs_copies(drm->dev, sgt))
		obj = ERR_PTR(-EOPNOTSUPP);
	else
		obj = drm_gem_shmem_prime_import_sg_table(drm, attach, sgt);
	if (!IS_ERR(obj))
		fixar_bo_track(to_fixar(drm), to_fixar_bo(obj));
	drm_dev_exit(idx);
	return obj;
}

/* ---- Ioctls ---- */

int fixar_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fixar_bo_create *args = data;
	struct drm_gem_shmem_object *shmem;
	int ret;

	if (args->flags)
		return -EINVAL;
	/* Rounding up and the count of pages, an int further down, must not overflow. */
	if (!args->size || args->size > (u64)INT_MAX << PAGE_SHIFT ||
	    args->size > SIZE_MAX - PAGE_SIZE)
		return -EINVAL;
	/* A job needs all of it at once, and the machine would have to do without. */
	if (args->size >> PAGE_SHIFT > totalram_pages() / 2)
		return -ENOMEM;

	shmem = drm_gem_shmem_create(drm, args->size);
	if (IS_ERR(shmem))
		return PTR_ERR(shmem);
	fixar_bo_track(to_fixar(drm), to_fixar_bo(&shmem->base));
	args->size = shmem->base.size;
	args->mmap_offset = drm_vma_node_offset_addr(&shmem->base.vma_node);
	ret = drm_gem_handle_create(file, &shmem->base, &args->handle);
	drm_gem_object_put(&shmem->base);
	return ret;
}

int fixar_bo_prep_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_fixar_bo_prep *args = data;
	struct drm_gem_object *obj;
	enum dma_resv_usage usage;
	unsigned long timeout;
	struct fixar_bo *bo;
	long left;
	int ret = 0;
	int idx;

	if (!args->flags || (args->flags & ~(DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE)))
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	bo = to_fixar_bo(obj);

	usage = dma_resv_usage_rw(args->flags & DRM_FIXAR_BO_WRITE);
	timeout = drm_timeout_abs_to_jiffies(args->timeout_ns);
	left = dma_resv_wait_timeout(obj->resv, usage, true, timeout);
	if (left < 0)
		ret = left;
	else if (!left)
		ret = timeout ? -ETIMEDOUT : -EBUSY;
	if (ret)
		goto out;

	/*
	 * Also for WRITE alone: what the CPU does not write is handed back by BO_FINI with the
	 * rest.
	 */
	if (!drm_dev_enter(drm, &idx)) {
		ret = -ENODEV;
		goto out;
	}
	mutex_lock(&bo->lock);
	if (bo->sgt && !obj->import_attach)
		dma_sync_sgtable_for_cpu(drm->dev, bo->sgt, DMA_BIDIRECTIONAL);
	mutex_unlock(&bo->lock);
	drm_dev_exit(idx);
out:
	drm_gem_object_put(obj);
	return ret;
}

int fixar_bo_fini_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_fixar_bo_fini *args = data;
	struct drm_gem_object *obj;
	struct fixar_bo *bo;
	int ret = 0;
	int idx;

	if (!args->flags || (args->flags & ~(DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE)))
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	bo = to_fixar_bo(obj);

	if (!drm_dev_enter(drm, &idx)) {
		ret = -ENODEV;
		goto out;
	}
	mutex_lock(&bo->lock);
	if (bo->sgt && !obj->import_attach)
		dma_sync_sgtable_for_device(drm->dev, bo->sgt, DMA_BIDIRECTIONAL);
	mutex_unlock(&bo->lock);
	drm_dev_exit(idx);
out:
	drm_gem_object_put(obj);
	return ret;
}
