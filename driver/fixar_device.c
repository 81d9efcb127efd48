// SPDX-License-Identifier: GPL-2.0-only
/* The device: what the card says it is, and the one function that changes the driver's state. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/random.h>

#include <drm/drm_managed.h>

#include "fixar_device.h"
#include "fixar_trace.h"

#define FIXAR_MEMORY_READY_MS 5000 /* the card has 1 s (HARDWARE.md, section 17) */
/* Descriptors and commands are on the way to fences. */
#define FIXAR_FILL_FLAGS (WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_UNBOUND)
#define FIXAR_POLL_MS 20

/*
 * Layouts of the hardware are asserted where they are defined (include/hw); here is what the driver
 * makes of them.
 */
#define fixar_assert_fits(value, limit) static_assert((value) <= (limit))
#define fixar_assert_multiple(value, of) static_assert(!((value) % (of)))
#define fixar_assert_same(a, b) static_assert((a) == (b))

fixar_assert_multiple(FIXAR_RUN_DESCRIPTORS, FIXAR_XDMA_DESC_BLOCK);
fixar_assert_fits(FIXAR_RUN_DESCRIPTORS, 4096);
fixar_assert_fits(FIXAR_XDMA_DESC_BLOCK - 1, FIXAR_XDMA_SGDMA_ADJACENT_MASK);
/* Blocks do not cross what none may cross, if memory begins on a page. */
fixar_assert_multiple(FIXAR_XDMA_DESC_BOUNDARY,
		      FIXAR_XDMA_DESC_BLOCK * sizeof(struct fixar_xdma_descriptor));
fixar_assert_multiple(PAGE_SIZE, FIXAR_XDMA_DESC_BOUNDARY);
fixar_assert_fits(FIXAR_DESCRIPTOR_BYTES, FIXAR_XDMA_DESC_LENGTH);
fixar_assert_fits(FIXAR_ZERO_BYTES, FIXAR_DESCRIPTOR_BYTES);
fixar_assert_multiple(FIXAR_ZERO_BYTES, FIXAR_ARENA_GRANULE);
fixar_assert_multiple(FIXAR_ARENA_GRANULE, FIXAR_WINDOW_GRANULE);
fixar_assert_fits(FIXAR_CHANNELS, FIXAR_XDMA_MSIX_VECTORS - 1);
fixar_assert_fits(FIXAR_EVENTS, BITS_PER_LONG);
fixar_assert_fits(FIXAR_MAX_OPERATIONS - 1, U8_MAX);
/* The contract's numbers are the interface's. */
fixar_assert_same((u32)DRM_FIXAR_OP_NOP, FIXAR_OPCODE_NOP);
fixar_assert_same((u32)DRM_FIXAR_OP_ACT, FIXAR_OPCODE_ACT);
fixar_assert_same((u32)DRM_FIXAR_OP_TRAIN, FIXAR_OPCODE_TRAIN);
fixar_assert_same((u32)DRM_FIXAR_OP_READ_RANGES, FIXAR_OPCODE_READ_RANGES);
fixar_assert_same((u32)DRM_FIXAR_OP_RELOAD, FIXAR_OPCODE_RELOAD);
fixar_assert_same(DRM_FIXAR_CAP_WINDOWS, FIXAR_ID_CAPS_WINDOWS);
fixar_assert_same(DRM_FIXAR_CAP_SENSORS, FIXAR_ID_CAPS_CMS);
fixar_assert_same(DRM_FIXAR_CAP_ECC, FIXAR_ID_CAPS_ECC);
fixar_assert_same((u32)DRM_FIXAR_PRECISION_QUANTIZED, FIXAR_MODE_PRECISION_QUANTIZED);
fixar_assert_same((u32)DRM_FIXAR_QUANTIZATION_OBSERVE, FIXAR_MODE_QUANTIZATION_OBSERVE);
fixar_assert_same((u32)DRM_FIXAR_PARALLELISM_BATCH, FIXAR_MODE_PARALLELISM_BATCH);
fixar_assert_same((u32)DRM_FIXAR_NOISE_OU, FIXAR_MODE_NOISE_OU);
/* dma_fence_free() frees what begins with a fence. */
fixar_assert_same(offsetof(struct fixar_fence, base), 0);
fixar_assert_same(offsetof(struct fixar_done, base), 0);
/* What is copied to user space has no hole: 3 words of 64 bits, 34 of 32. */
fixar_assert_same(sizeof(struct drm_fixar_query_device), 3 * 8 + 34 * 4);

/* ---- State ---- */

static bool fixar_state_allowed(enum fixar_state from, enum fixar_state to)
{
	switch (to) {
	case FIXAR_OK:
		return from == FIXAR_PROBING || from == FIXAR_RECOVERING || from == FIXAR_SUSPENDED;
	case FIXAR_RECOVERING:
		return from == FIXAR_OK || from == FIXAR_SUSPENDED;
	case FIXAR_SUSPENDED:
		return from == FIXAR_OK;
	case FIXAR_GONE:
		return true;
	default:
		return false;
	}
}

/**
 * fixar_set_state() - the only way that the state changes
 * @fdev: the device
 * @to: new state
 *
 * In any context. GONE is final, and asking for another state then is no mistake: somebody else was
 * faster.
 *
 * Return: whether the state is @to now.
 */
bool fixar_set_state(struct fixar_device *fdev, enum fixar_state to)
{
	enum fixar_state from;
	unsigned long irq;
	bool allowed;

	spin_lock_irqsave(&fdev->state_lock, irq);
	from = fdev->state;
	allowed = from == to || fixar_state_allowed(from, to);
	if (allowed)
		WRITE_ONCE(fdev->state, to);
	spin_unlock_irqrestore(&fdev->state_lock, irq);

	if (allowed && from != to)
		trace_fixar_state(fdev, from, to);
	WARN_ONCE(!allowed && from != FIXAR_GONE, "fixar: state %d to %d\n", from, to);
	return allowed;
}

enum fixar_state fixar_state(struct fixar_device *fdev)
{
	return READ_ONCE(fdev->state);
}

/* ---- Registers ---- */

/*
 * A 64-bit quantity that counts (HARDWARE.md, section 4, rule 6). The number of turns is bounded: a
 * card may lie.
 */
u64 fixar_read64(struct fixar_device *fdev, u32 offset)
{
	u32 high = fixar_read(fdev, offset + 4);
	u32 low, again;
	int turn;

	for (turn = 0; turn < 3; turn++) {
		low = fixar_read(fdev, offset);
		again = fixar_read(fdev, offset + 4);
		if (again == high)
			break;
		high = again;
	}
	return (u64)high << 32 | low;
}

struct fixar_identity {
	u32 reg;
	u32 min;
	u32 max;
	u16 offset; /* in struct drm_fixar_query_device */
	const char *name;
};

#define FIXAR_IDENTITY(_reg, _min, _max, _member)                                \
	{                                                                        \
		.reg = FIXAR_ID_##_reg, .min = _min, .max = _max, .name = #_reg, \
		.offset = offsetof(struct drm_fixar_query_device, _member)       \
	}

static const struct fixar_identity fixar_identity[] = {
	FIXAR_IDENTITY(CLOCK_KHZ, 1, U32_MAX - 1, clock_khz),
	FIXAR_IDENTITY(FIFO_DEPTH, FIXAR_FIFO_DEPTH_MIN, FIXAR_FIFO_DEPTH_MAX, fifo_depth),
	FIXAR_IDENTITY(ARENA_SCHEMA, 1, U32_MAX - 1, arena_schema),
	FIXAR_IDENTITY(MAX_WIDTH, 1, 16384, max_width),
	FIXAR_IDENTITY(MAX_HIDDEN, 1, FIXAR_ARENA_HIDDEN_MAX, max_hidden),
	FIXAR_IDENTITY(MAX_BATCH, 1, 65536, max_batch),
	FIXAR_IDENTITY(BUILD, 0, U32_MAX - 1, build),
	FIXAR_IDENTITY(ARRAY_CORES, 1, 64, cores),
	FIXAR_IDENTITY(ARRAY_ROWS, 1, 256, rows),
	FIXAR_IDENTITY(ARRAY_COLUMNS, 1, 256, columns),
	FIXAR_IDENTITY(ARRAY_HALF_LANES, 1, 2, half_lanes),
	FIXAR_IDENTITY(ARRAY_OUTPUT_LATENCY, 1, 1024, output_latency),
	FIXAR_IDENTITY(ARRAY_FUNCTION_LATENCY, 0, 1024, function_latency),
	FIXAR_IDENTITY(ARRAY_UPDATE_LANES, 1, 256, update_lanes),
	FIXAR_IDENTITY(ARRAY_UPDATE_LATENCY, 0, 1024, update_latency),
	FIXAR_IDENTITY(ARRAY_HBM_BYTES, 1, 65536, hbm_bytes_per_cycle),
	FIXAR_IDENTITY(WEIGHT_MEMORY, 0, U32_MAX - 1, weight_memory),
	FIXAR_IDENTITY(GRADIENT_MEMORY, 0, U32_MAX - 1, gradient_memory),
	FIXAR_IDENTITY(ACTIVATION_MEMORY, 0, U32_MAX - 1, activation_memory),
};

static int fixar_check_magic(struct fixar_device *fdev)
{
	u32 magic = fixar_read(fdev, FIXAR_ID_MAGIC);
	u32 version;

	if (fixar_all_ones(magic))
		return -ENODEV;
	version = fixar_read(fdev, FIXAR_ID_VERSION);
	if (magic != FIXAR_ID_MAGIC_VALUE ||
	    FIELD_GET(FIXAR_ID_VERSION_MAJOR, version) !=
		    FIELD_GET(FIXAR_ID_VERSION_MAJOR, FIXAR_ID_VERSION_VALUE)) {
		dev_err(fixar_dev(fdev),
			"no FIXAR core that this driver knows: magic %#010x, version %#010x\n",
			magic, version);
		return -ENODEV;
	}
	fdev->info.hw_version = version;
	return 0;
}

/**
 * fixar_device_identify() - read identity and capabilities, once, and refuse what is out of range
 * @fdev: with its BAR mapped
 */
int fixar_device_identify(struct fixar_device *fdev)
{
	struct drm_fixar_query_device *info = &fdev->info;
	const struct fixar_identity *id;
	unsigned int i;
	u32 value;
	int ret;

	ret = fixar_check_magic(fdev);
	if (ret)
		return ret;

	for (i = 0; i < ARRAY_SIZE(fixar_identity); i++) {
		id = &fixar_identity[i];
		value = fixar_read(fdev, id->reg);
		if (value < id->min || value > id->max) {
			dev_err(fixar_dev(fdev), "%s is %#x, not from %u to %u\n", id->name, value,
				id->min, id->max);
			return -ENODEV;
		}
		*(u32 *)((u8 *)info + id->offset) = value;
	}
	if (!is_power_of_2(info->fifo_depth)) {
		dev_err(fixar_dev(fdev), "FIFO_DEPTH is %u, no power of two\n", info->fifo_depth);
		return -ENODEV;
	}

	fdev->user_irq = fixar_read(fdev, FIXAR_ID_USER_IRQ);
	if (fdev->user_irq >= FIXAR_XDMA_USER_IRQS_MAX) {
		dev_err(fixar_dev(fdev), "USER_IRQ is %u\n", fdev->user_irq);
		return -ENODEV;
	}

	info->memory_bytes = fixar_read64(fdev, FIXAR_ID_MEMORY_SIZE_LO);
	fdev->memory_base = fixar_read64(fdev, FIXAR_ID_MEMORY_BASE_LO);
	if (!info->memory_bytes || !IS_ALIGNED(info->memory_bytes, FIXAR_ARENA_GRANULE) ||
	    !IS_ALIGNED(fdev->memory_base, FIXAR_ARENA_GRANULE) ||
	    fdev->memory_base + info->memory_bytes < fdev->memory_base) {
		dev_err(fixar_dev(fdev), "card memory of %#llx bytes at %#llx\n",
			info->memory_bytes, fdev->memory_base);
		return -ENODEV;
	}

	/* Bits that this driver does not know are of later minor versions. */
	info->capabilities = fixar_read(fdev, FIXAR_ID_CAPS) &
			     (FIXAR_ID_CAPS_WINDOWS | FIXAR_ID_CAPS_CMS | FIXAR_ID_CAPS_ECC);
	info->operations = fixar_read(fdev, FIXAR_ID_OPCODES) & FIXAR_OPCODE_ALL;
	info->arena_granule = FIXAR_ARENA_GRANULE;
	info->operation_align = FIXAR_ARENA_ALIGN;
	info->max_jobs = DRM_FIXAR_MAX_JOBS;
	info->max_operations = FIXAR_MAX_OPERATIONS;
	info->max_syncs = FIXAR_MAX_SYNCS;
	info->max_pending = FIXAR_MAX_PENDING;
	info->max_contexts = FIXAR_MAX_CONTEXTS;

	ret = fixar_wait_memory(fdev);
	if (ret)
		return ret;

	/* From now on a changed pair says that card memory was lost (HARDWARE.md, section 14). */
	fdev->mem_epoch = fixar_read(fdev, FIXAR_CORE_MEM_EPOCH);
	if (fixar_all_ones(fdev->mem_epoch))
		return -ENODEV;
	do {
		fdev->mem_cookie = get_random_u32();
	} while (!fdev->mem_cookie || fixar_all_ones(fdev->mem_cookie));
	fixar_write(fdev, FIXAR_CORE_MEM_COOKIE, fdev->mem_cookie);
	return 0;
}

/* Wait until card memory is calibrated. */
int fixar_wait_memory(struct fixar_device *fdev)
{
	u32 status;
	int waited;

	for (waited = 0; waited <= FIXAR_MEMORY_READY_MS; waited += FIXAR_POLL_MS) {
		status = fixar_read(fdev, FIXAR_CORE_STATUS);
		if (fixar_all_ones(status))
			return -ENODEV;
		if (status & FIXAR_CORE_STATUS_MEMORY_READY)
			return 0;
		msleep(FIXAR_POLL_MS);
	}
	dev_err(fixar_dev(fdev), "card memory is not ready: status %#010x\n", status);
	return -ENODEV;
}

/**
 * fixar_device_check() - after a reset: is it the same card, and has it kept its memory?
 * @fdev: the device
 * @lost: out: card memory lost its contents
 */
int fixar_device_check(struct fixar_device *fdev, bool *lost)
{
	const u32 version = fdev->info.hw_version;
	u32 epoch, cookie;
	unsigned int i;
	int ret;

	ret = fixar_check_magic(fdev);
	if (ret)
		return ret;
	for (i = 0; i < ARRAY_SIZE(fixar_identity); i++) {
		if (fixar_read(fdev, fixar_identity[i].reg) !=
		    *(u32 *)((u8 *)&fdev->info + fixar_identity[i].offset))
			goto err_changed;
	}
	if (fdev->info.hw_version != version ||
	    fixar_read(fdev, FIXAR_ID_USER_IRQ) != fdev->user_irq ||
	    fixar_read64(fdev, FIXAR_ID_MEMORY_SIZE_LO) != fdev->info.memory_bytes ||
	    fixar_read64(fdev, FIXAR_ID_MEMORY_BASE_LO) != fdev->memory_base)
		goto err_changed;

	ret = fixar_wait_memory(fdev);
	if (ret)
		return ret;
	epoch = fixar_read(fdev, FIXAR_CORE_MEM_EPOCH);
	cookie = fixar_read(fdev, FIXAR_CORE_MEM_COOKIE);
	if (fixar_all_ones(epoch))
		return -ENODEV;
	*lost = epoch != fdev->mem_epoch || cookie != fdev->mem_cookie;
	if (*lost) {
		WRITE_ONCE(fdev->mem_epoch, epoch);
		fixar_write(fdev, FIXAR_CORE_MEM_COOKIE, fdev->mem_cookie);
	}
	return 0;

err_changed:
	dev_err(fixar_dev(fdev), "the card came back from a reset as another one\n");
	return -ENODEV;
}

/* ---- What lives as long as the drm_device ---- */

static void fixar_destroy_wq(struct drm_device *drm, void *wq)
{
	destroy_workqueue(wq);
}

static int fixar_create_wq(struct fixar_device *fdev, struct workqueue_struct **wq,
			   struct workqueue_struct *made)
{
	if (!made)
		return -ENOMEM;
	*wq = made;
	return drmm_add_action_or_reset(&fdev->drm, fixar_destroy_wq, made);
}

/* Locks, lists and work queues: before anything that could use them. */
int fixar_device_init(struct fixar_device *fdev)
{
	int ret;

	spin_lock_init(&fdev->state_lock);
	spin_lock_init(&fdev->context_lock);
	spin_lock_init(&fdev->default_lock);
	INIT_LIST_HEAD(&fdev->contexts);
	INIT_LIST_HEAD(&fdev->bos);
	init_waitqueue_head(&fdev->jobs_idle);
	init_waitqueue_head(&fdev->context_freed);
	fdev->state = FIXAR_PROBING;
	fdev->default_mode = fixar_mode_initial;

	ret = drmm_mutex_init(&fdev->drm, &fdev->arena_lock);
	if (!ret)
		ret = drmm_mutex_init(&fdev->drm, &fdev->bo_lock);
	if (!ret)
		ret = drmm_mutex_init(&fdev->drm, &fdev->query_lock);
	if (!ret)
		ret = drmm_mutex_init(&fdev->drm, &fdev->recovery_lock);
	if (!ret)
		ret = fixar_create_wq(fdev, &fdev->recovery_wq,
				      alloc_ordered_workqueue("fixar-recovery", WQ_MEM_RECLAIM));
	if (!ret)
		ret = fixar_create_wq(fdev, &fdev->fill_wq,
				      alloc_workqueue("fixar-fill", FIXAR_FILL_FLAGS, 0));
	return ret;
}
