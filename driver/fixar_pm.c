// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep. An agent lives in card memory, which sleep would lose, so the machine does not sleep while
 * there is an arena. Runtime power management is off: there is nothing that a U50 could switch off.
 */
#include <linux/pm.h>

#include "fixar_device.h"

static int fixar_suspend(struct device *dev)
{
	struct fixar_device *fdev = dev_get_drvdata(dev);
	u32 contexts;
	int ret = 0;
	int idx;

	mutex_lock(&fdev->recovery_lock);
	if (fixar_state(fdev) == FIXAR_GONE)
		goto out;
	if (fixar_state(fdev) != FIXAR_OK) {
		ret = -EBUSY;
		goto out;
	}
	/* No new ones come: user space is frozen. */
	mutex_lock(&fdev->arena_lock);
	contexts = fdev->context_count;
	mutex_unlock(&fdev->arena_lock);
	if (contexts) {
		dev_info(dev, "not suspending: %u contexts are in card memory\n", contexts);
		ret = -EBUSY;
		goto out;
	}
	if (drm_dev_enter(&fdev->drm, &idx)) {
		fixar_quiesce(fdev);
		fixar_irq_off(fdev);
		fixar_set_state(fdev, FIXAR_SUSPENDED);
		drm_dev_exit(idx);
	}
out:
	mutex_unlock(&fdev->recovery_lock);
	return ret;
}

static int fixar_resume(struct device *dev)
{
	struct fixar_device *fdev = dev_get_drvdata(dev);
	int ret = 0;
	int idx;

	mutex_lock(&fdev->recovery_lock);
	if (fixar_state(fdev) == FIXAR_SUSPENDED && drm_dev_enter(&fdev->drm, &idx)) {
		ret = fixar_restart(fdev);
		drm_dev_exit(idx);
		if (ret) {
			/*
			 * The card does not come back: recovery finds that out by itself and gives
			 * it up.
			 */
			fixar_set_state(fdev, FIXAR_RECOVERING);
			fixar_event(fdev, FIXAR_EVENT_RESET);
			ret = 0;
		}
	}
	mutex_unlock(&fdev->recovery_lock);
	return ret;
}

const struct dev_pm_ops fixar_pm_ops = { SYSTEM_SLEEP_PM_OPS(fixar_suspend, fixar_resume) };
