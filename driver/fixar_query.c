// SPDX-License-Identifier: GPL-2.0-only
/*
 * QUERY: what the device is and does. Registers are read at most once for a call, and never while
 * the card is being reset.
 */
#include <linux/uaccess.h>

#include "fixar_device.h"

static void fixar_query_device(struct fixar_device *fdev, struct drm_fixar_query_device *info)
{
	*info = fdev->info;
	info->state =
		fixar_state(fdev) == FIXAR_OK ? DRM_FIXAR_DEVICE_OK : DRM_FIXAR_DEVICE_RECOVERING;
	info->mem_epoch = READ_ONCE(fdev->mem_epoch);
}

static void fixar_query_engine(const struct fixar_engine *engine,
			       struct drm_fixar_query_queue *queue)
{
	queue->jobs += atomic64_read(&engine->jobs);
	queue->operations += atomic64_read(&engine->operations);
	queue->bytes += atomic64_read(&engine->bytes);
	queue->errors += atomic64_read(&engine->errors);
	queue->busy_ns += atomic64_read(&engine->busy_ns);
}

static int fixar_query_queue(struct fixar_device *fdev, u32 index,
			     struct drm_fixar_query_queue *queue)
{
	u32 channel = index >> 8;
	u32 first, count, i;

	queue->queue = index & 0xff;
	switch (queue->queue) {
	case DRM_FIXAR_QUEUE_H2C:
		first = 0;
		count = fdev->info.h2c_channels;
		break;
	case DRM_FIXAR_QUEUE_C2H:
		first = fdev->info.h2c_channels;
		count = fdev->info.c2h_channels;
		break;
	case DRM_FIXAR_QUEUE_CORE:
		if (channel && channel != DRM_FIXAR_CHANNEL_ALL)
			return -EINVAL;
		queue->channels = 1;
		fixar_query_engine(&fdev->core.engine, queue);
		return 0;
	default:
		return -EINVAL;
	}
	if (channel != DRM_FIXAR_CHANNEL_ALL && channel >= count)
		return -EINVAL;
	queue->channels = count;
	for (i = 0; i < count; i++) {
		if (channel == DRM_FIXAR_CHANNEL_ALL || channel == i)
			fixar_query_engine(&fdev->channels[first + i].engine, queue);
	}
	return 0;
}

static void fixar_read_counters(struct fixar_device *fdev, struct drm_fixar_query_counters *c)
{
	c->timestamp = fixar_read64(fdev, FIXAR_COUNTER_TIMESTAMP);
	c->busy_cycles = fixar_read64(fdev, FIXAR_COUNTER_BUSY_CYCLES);
	c->array_cycles = fixar_read64(fdev, FIXAR_COUNTER_ARRAY_CYCLES);
	c->commands = fixar_read64(fdev, FIXAR_COUNTER_COMMANDS);
	c->macs = fixar_read64(fdev, FIXAR_COUNTER_MACS);
	c->samples = fixar_read64(fdev, FIXAR_COUNTER_SAMPLES);
	c->actions = fixar_read64(fdev, FIXAR_COUNTER_ACTIONS);
	c->read_bytes = fixar_read64(fdev, FIXAR_COUNTER_READ_BYTES);
	c->write_bytes = fixar_read64(fdev, FIXAR_COUNTER_WRITE_BYTES);
	c->ecc_corrected = fixar_read64(fdev, FIXAR_COUNTER_ECC_CORRECTED);
	c->ecc_uncorrected = fixar_read64(fdev, FIXAR_COUNTER_ECC_UNCORRECTED);
}

/*
 * Is the card there, after what was just read? MAGIC is asked behind it: whoever went before is
 * found out.
 */
static int fixar_query_alive(struct fixar_device *fdev)
{
	if (fixar_read(fdev, FIXAR_ID_MAGIC) == FIXAR_ID_MAGIC_VALUE)
		return 0;
	/* In a bus reset it is away for a while, and that may just have ended. */
	if (fixar_state(fdev) == FIXAR_RECOVERING ||
	    fixar_read(fdev, FIXAR_ID_MAGIC) == FIXAR_ID_MAGIC_VALUE)
		return -EAGAIN;
	fixar_event(fdev, FIXAR_EVENT_GONE);
	return -ENODEV;
}

static int fixar_query_counters(struct fixar_device *fdev,
				struct drm_fixar_query_counters *counters)
{
	struct drm_fixar_query_counters now = {};
	int ret = 0;
	int idx;

	if (!drm_dev_enter(&fdev->drm, &idx))
		return -ENODEV;
	mutex_lock(&fdev->query_lock);
	if (fixar_state(fdev) == FIXAR_OK) {
		fixar_read_counters(fdev, &now);
		ret = fixar_query_alive(fdev);
		if (!ret)
			fdev->counters = now;
	}
	*counters = fdev->counters;
	mutex_unlock(&fdev->query_lock);
	drm_dev_exit(idx);

	counters->core_resets = atomic_read(&fdev->core_resets);
	counters->device_resets = atomic_read(&fdev->device_resets);
	counters->lost_interrupts = atomic_read(&fdev->lost_interrupts);
	return ret == -EAGAIN ? 0 : ret;
}

static int fixar_query_mode(struct fixar_device *fdev, struct drm_fixar_mode *mode)
{
	const struct fixar_mode_field *field;
	struct drm_fixar_mode now = {};
	unsigned int i;
	int ret = 0;
	int idx;

	if (!drm_dev_enter(&fdev->drm, &idx))
		return -ENODEV;
	mutex_lock(&fdev->query_lock);
	if (fixar_state(fdev) == FIXAR_OK) {
		for (i = 0; i < fixar_mode_field_count; i++) {
			field = &fixar_mode_fields[i];
			fixar_mode_set(&now, field, fixar_read(fdev, field->reg));
		}
		ret = fixar_query_alive(fdev);
		if (!ret)
			fdev->live_mode = now;
	}
	*mode = fdev->live_mode;
	mutex_unlock(&fdev->query_lock);
	drm_dev_exit(idx);
	return ret == -EAGAIN ? 0 : ret;
}

int fixar_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fixar_device *fdev = to_fixar(drm);
	struct drm_fixar_query *args = data;
	union {
		struct drm_fixar_query_device device;
		struct drm_fixar_query_queue queue;
		struct drm_fixar_query_memory memory;
		struct drm_fixar_query_counters counters;
		struct drm_fixar_mode mode;
	} answer;
	u32 size = args->size;
	u32 known;
	int ret = 0;

	if (args->pad || args->data % 8)
		return -EINVAL;
	/* As in CTX_QUERY: from the first fence with -ENODEV on. */
	if (fixar_state(fdev) == FIXAR_GONE)
		return -ENODEV;
	if (args->type != DRM_FIXAR_QUERY_QUEUE && args->index)
		return -EINVAL;
	memset(&answer, 0, sizeof(answer));

	switch (args->type) {
	case DRM_FIXAR_QUERY_DEVICE:
		known = sizeof(answer.device);
		fixar_query_device(fdev, &answer.device);
		break;
	case DRM_FIXAR_QUERY_QUEUE:
		known = sizeof(answer.queue);
		ret = fixar_query_queue(fdev, args->index, &answer.queue);
		break;
	case DRM_FIXAR_QUERY_MEMORY:
		known = sizeof(answer.memory);
		fixar_arena_query(fdev, &answer.memory);
		break;
	case DRM_FIXAR_QUERY_COUNTERS:
		known = sizeof(answer.counters);
		if (args->data)
			ret = fixar_query_counters(fdev, &answer.counters);
		break;
	case DRM_FIXAR_QUERY_MODE:
		known = sizeof(answer.mode);
		if (args->data)
			ret = fixar_query_mode(fdev, &answer.mode);
		break;
	default:
		return -EINVAL;
	}
	if (ret)
		return ret;

	args->size = known;
	if (!args->data)
		return 0;
	if (copy_to_user(u64_to_user_ptr(args->data), &answer, min(size, known)))
		return -EFAULT;
	if (size > known && clear_user(u64_to_user_ptr(args->data + known), size - known))
		return -EFAULT;
	return 0;
}
