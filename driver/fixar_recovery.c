// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery: a ladder of poll once, stop the channel or RESUME or soft-reset the core, reset the
 * bus, unplug. Each rung is one line in the log and one trace point; what a client can cause is no
 * line.
 *
 * Interrupts, the watchdog and root's reset only set a bit in fixar_device.events. One work on an
 * ordered queue acts, with recovery_lock held, and allocates nothing on the way to a fence (but in
 * the PCI core's bus reset, which is not ours).
 *
 * remove() holds the device lock while it waits for this work, so the bus reset tries that lock,
 * and tries again later. While probe() registers the device nothing may unplug it, and nobody waits
 * for anything: recovery begins after that.
 */
#include <linux/delay.h>
#include <linux/module.h>

#include "fixar_device.h"
#include "fixar_trace.h"

#define FIXAR_RESET_TRIES 50
#define FIXAR_RESET_RETRY_MS 100
#define FIXAR_JOBS_MS 10000

static unsigned int period_ms = 2000;
module_param(period_ms, uint, 0644);
MODULE_PARM_DESC(period_ms, "Watchdog period, ms; two without progress: hung (100 to 60000; 2000)");

static unsigned long fixar_period(void)
{
	return msecs_to_jiffies(clamp(READ_ONCE(period_ms), 100u, 60000u));
}

/* ---- Asking for recovery ---- */

/* In any context. */
void fixar_event(struct fixar_device *fdev, unsigned int event)
{
	set_bit(event, &fdev->events);
	if (fixar_state(fdev) != FIXAR_GONE)
		mod_delayed_work(fdev->recovery_wq, &fdev->recovery, 0);
}

/* A job was started: see that somebody looks at it. */
void fixar_watch(struct fixar_device *fdev)
{
	queue_delayed_work(fdev->recovery_wq, &fdev->watchdog, fixar_period());
}

void fixar_rung(struct fixar_device *fdev, enum fixar_rung rung, const char *why)
{
	trace_fixar_rung(fdev, rung);
	switch (rung) {
	case FIXAR_RUNG_POLL:
		dev_warn(fixar_dev(fdev), "%s: an interrupt was lost\n", why);
		break;
	case FIXAR_RUNG_RESUME:
		dev_dbg(fixar_dev(fdev), "%s: resumed after a refused command\n", why);
		break;
	case FIXAR_RUNG_CHANNEL:
		dev_warn(fixar_dev(fdev), "%s: stopping the channel\n", why);
		break;
	case FIXAR_RUNG_CORE:
		dev_warn(fixar_dev(fdev), "%s: soft reset\n", why);
		break;
	case FIXAR_RUNG_BUS:
		dev_warn(fixar_dev(fdev), "%s: function or bus reset\n", why);
		break;
	case FIXAR_RUNG_UNPLUG:
		dev_err(fixar_dev(fdev), "%s: the card is given up\n", why);
		break;
	}
}

static void fixar_watchdog_work(struct work_struct *work)
{
	struct fixar_device *fdev = container_of(work, struct fixar_device, watchdog.work);
	bool active = false;
	bool cookie;
	int idx;
	u32 i;

	if (!drm_dev_enter(&fdev->drm, &idx))
		return;
	cookie = dma_fence_begin_signalling();
	for (i = 0; i < fdev->channel_count; i++)
		active |= fixar_copy_watch(&fdev->channels[i]);
	active |= fixar_core_watch(fdev);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
	/* A job that starts now asks for itself. */
	if (active && fixar_state(fdev) != FIXAR_GONE)
		fixar_watch(fdev);
}

/* ---- All engines ---- */

static void fixar_stop_all(struct fixar_device *fdev)
{
	u32 i;

	for (i = 0; i < fdev->channel_count; i++)
		fixar_copy_stop(&fdev->channels[i]);
	fixar_core_stop(fdev);
}

static void fixar_fail_all(struct fixar_device *fdev, int error)
{
	bool cookie = dma_fence_begin_signalling();
	u32 i;

	for (i = 0; i < fdev->channel_count; i++)
		fixar_copy_fail(&fdev->channels[i], error);
	fixar_core_fail(fdev, DRM_FIXAR_FAULT_NONE, error);
	dma_fence_end_signalling(cookie);
}

/**
 * fixar_quiesce() - nothing starts any more, and what runs has stopped if the card lets it
 * @fdev: the device
 *
 * Sleeps. Afterwards engines are stopped until fixar_restart().
 */
void fixar_quiesce(struct fixar_device *fdev)
{
	u32 i;

	fixar_stop_all(fdev);
	if (fixar_all_ones(fixar_read(fdev, FIXAR_ID_MAGIC)))
		return;
	fixar_irq_disable(fdev);
	for (i = 0; i < fdev->channel_count; i++)
		fixar_xdma_halt(&fdev->channels[i]);
	for (i = 0; i < fdev->channel_count; i++) {
		if (fixar_xdma_wait_idle(&fdev->channels[i]))
			dev_warn(fixar_dev(fdev), "%s does not fall idle\n",
				 fdev->channels[i].engine.name);
	}
	if (fixar_core_soft_reset(fdev))
		dev_warn(fixar_dev(fdev), "the core does not end its reset\n");
}

/**
 * fixar_restart() - after a reset: all of probe but allocation, then go on
 * @fdev: stopped engines
 *
 * The core's job has done some part of its work and ends; copies begin anew; jobs that waited run.
 *
 * Return: 0, or the card is not to be used.
 */
int fixar_restart(struct fixar_device *fdev)
{
	bool lost = false;
	bool cookie;
	int ret;
	u32 i;

	ret = fixar_device_check(fdev, &lost);
	if (!ret)
		ret = fixar_xdma_reinit(fdev);
	if (!ret)
		ret = fixar_core_soft_reset(fdev);
	if (ret)
		return ret;
	if (lost) {
		dev_warn(fixar_dev(fdev), "card memory lost its contents: all contexts are lost\n");
		fixar_contexts_lost(fdev);
	}
	fixar_irq_enable(fdev);
	if (!fixar_set_state(fdev, FIXAR_OK))
		return -ENODEV;

	cookie = dma_fence_begin_signalling();
	fixar_core_fail(fdev, DRM_FIXAR_FAULT_RESET, -EIO);
	fixar_core_restart(fdev);
	for (i = 0; i < fdev->channel_count; i++)
		fixar_copy_restart(&fdev->channels[i]);
	dma_fence_end_signalling(cookie);
	return 0;
}

/* ---- The last rung ---- */

/*
 * Everything ends with -ENODEV, and the node goes. Not inside drm_dev_enter(), which
 * drm_dev_unplug() waits for.
 *
 * The card may still be there and busy: without bus mastering it writes nothing into memory that is
 * freed.
 */
static void fixar_give_up(struct fixar_device *fdev, const char *why)
{
	if (fixar_state(fdev) == FIXAR_GONE)
		return;
	fixar_rung(fdev, FIXAR_RUNG_UNPLUG, why);
	fixar_set_state(fdev, FIXAR_GONE);
	fixar_stop_all(fdev);
	pci_clear_master(fdev->pdev);
	fixar_fail_all(fdev, -ENODEV);
	fixar_contexts_cancel(fdev);
	if (test_and_clear_bit(FIXAR_FLAG_NODE, &fdev->flags))
		drm_dev_unplug(&fdev->drm);
	/* Submissions and starts that were under way have ended with that; these are theirs. */
	fixar_fail_all(fdev, -ENODEV);
	fixar_contexts_cancel(fdev);
}

/**
 * fixar_shutdown() - remove(): the end of all that needs the hardware
 * @fdev: the device; if it could not be registered, there is no node
 *
 * With the device lock held. Afterwards no job is left, no handler runs, nothing is mapped for the
 * card.
 */
void fixar_shutdown(struct fixar_device *fdev)
{
	u32 i;

	set_bit(FIXAR_FLAG_REMOVING, &fdev->flags);
	/* The state first: from here jobs end instead of starting, and nobody asks for recovery. */
	fixar_set_state(fdev, FIXAR_GONE);
	if (test_and_clear_bit(FIXAR_FLAG_NODE, &fdev->flags))
		drm_dev_unplug(&fdev->drm);
	cancel_delayed_work_sync(&fdev->recovery);
	cancel_delayed_work_sync(&fdev->watchdog);

	fixar_quiesce(fdev);
	fixar_irq_off(fdev);
	pci_clear_master(fdev->pdev);
	for (i = 0; i < fdev->channel_count; i++)
		cancel_work_sync(&fdev->channels[i].refill);
	cancel_work_sync(&fdev->core.refill);
	fixar_fail_all(fdev, -ENODEV);
	fixar_contexts_cancel(fdev);

	/*
	 * Every wait is cancelled and every running job has ended, so the schedulers drain at once.
	 */
	if (!wait_event_timeout(fdev->jobs_idle, !atomic_read(&fdev->jobs),
				msecs_to_jiffies(FIXAR_JOBS_MS))) {
		/*
		 * A mistake of ours. The module stays for ever: a leak is better than what would
		 * run after it.
		 */
		dev_err(fixar_dev(fdev), "%d jobs do not end\n", atomic_read(&fdev->jobs));
		__module_get(THIS_MODULE);
	}
	fixar_bos_unmap(fdev);
}

/* ---- The bus reset ---- */

/* Return: 0, -EAGAIN (asked for again), or the card is not to be used. */
static int fixar_reset(struct fixar_device *fdev, const char *why)
{
	int ret;

	if (!fixar_set_state(fdev, FIXAR_RECOVERING))
		return -ENODEV;
	if (!fdev->reset_tries)
		fixar_quiesce(fdev);

	/* Calls our own callbacks below, in this task. */
	WRITE_ONCE(fdev->reset_owner, current);
	ret = pci_try_reset_function(fdev->pdev);
	WRITE_ONCE(fdev->reset_owner, NULL);
	if (ret == -EAGAIN && ++fdev->reset_tries < FIXAR_RESET_TRIES) {
		set_bit(FIXAR_EVENT_RESET, &fdev->events);
		if (!test_bit(FIXAR_FLAG_REMOVING, &fdev->flags))
			queue_delayed_work(fdev->recovery_wq, &fdev->recovery,
					   msecs_to_jiffies(FIXAR_RESET_RETRY_MS));
		return ret;
	}
	fdev->reset_tries = 0;
	fixar_rung(fdev, FIXAR_RUNG_BUS, why);
	if (ret) {
		dev_err(fixar_dev(fdev), "reset: %d\n", ret);
		return ret;
	}
	atomic_inc(&fdev->device_resets);
	return fixar_restart(fdev);
}

/* ---- The work ---- */

/* Inside drm_dev_enter(). Return: 0, -EAGAIN, or the card is not to be used. */
static int fixar_recover(struct fixar_device *fdev, unsigned long events, const char **why)
{
	const unsigned long core = BIT(FIXAR_EVENT_CORE_ERROR) | BIT(FIXAR_EVENT_CORE_ACCESS) |
				   BIT(FIXAR_EVENT_CORE_COUNT) | BIT(FIXAR_EVENT_CORE_HUNG);
	bool reset = events & BIT(FIXAR_EVENT_RESET);
	bool lost = false;
	bool cookie;
	u32 epoch;
	int ret;
	u32 i;

	*why = "no answer";
	if (fixar_all_ones(fixar_read(fdev, FIXAR_ID_MAGIC)))
		return -ENODEV;
	/*
	 * All-ones from another register, but the core answers: the card was away for a moment.
	 * Only a reset makes that good.
	 */
	reset |= events & BIT(FIXAR_EVENT_GONE);
	if (events & BIT(FIXAR_EVENT_CATTRIP)) {
		/* The card's controller is about to cut its power. */
		*why = "the memory's temperature limit";
		return -EIO;
	}
	*why = "reset was asked for";
	/* Engines are stopped already, and what they have waits for the reset. */
	if (fixar_state(fdev) == FIXAR_RECOVERING)
		return fixar_reset(fdev, *why);

	/*
	 * Whoever reads memory that was lost meets errors, and their interrupts may come before the
	 * one that says why. They are no client's fault: the epoch is looked at before any blame.
	 */
	epoch = fixar_read(fdev, FIXAR_CORE_MEM_EPOCH);
	if ((events & BIT(FIXAR_EVENT_MEMORY)) || epoch != READ_ONCE(fdev->mem_epoch)) {
		ret = fixar_device_check(fdev, &lost);
		if (ret)
			return ret;
		if (lost) {
			dev_warn(fixar_dev(fdev),
				 "card memory lost its contents: all contexts are lost\n");
			fixar_contexts_lost(fdev);
		}
	}

	cookie = dma_fence_begin_signalling();
	for (i = 0; i < fdev->channel_count; i++) {
		if ((events & BIT(FIXAR_EVENT_CHANNEL + i)) &&
		    !fixar_copy_recover(&fdev->channels[i])) {
			*why = fdev->channels[i].engine.name;
			reset = true;
		}
	}
	if ((events & core) && !fixar_core_recover(fdev, events & core)) {
		*why = fdev->core.engine.name;
		reset = true;
	}
	dma_fence_end_signalling(cookie);

	return reset ? fixar_reset(fdev, *why) : 0;
}

static void fixar_recovery_work(struct work_struct *work)
{
	struct fixar_device *fdev = container_of(work, struct fixar_device, recovery.work);
	const char *why = NULL;
	unsigned long events;
	int ret = 0;
	int idx;

	mutex_lock(&fdev->recovery_lock);
	/* fixar_recovery_begin() comes back to it. */
	if (!test_bit(FIXAR_FLAG_NODE, &fdev->flags))
		goto out;
	/*
	 * Somebody else resets the function. What was asked for meanwhile, the restart after it
	 * makes good.
	 */
	if (test_bit(FIXAR_FLAG_EXTERNAL, &fdev->flags) || fixar_state(fdev) == FIXAR_SUSPENDED)
		goto out;
	if (!drm_dev_enter(&fdev->drm, &idx))
		goto out;
	events = xchg(&fdev->events, 0);
	if (events)
		ret = fixar_recover(fdev, events, &why);
	drm_dev_exit(idx);
	if (ret && ret != -EAGAIN)
		fixar_give_up(fdev, why);
out:
	mutex_unlock(&fdev->recovery_lock);
}

/* ---- Resets by others: the kernel's sysfs file, VFIO, AER. With the device lock held ---- */

static void fixar_external_begin(struct fixar_device *fdev)
{
	int idx;

	mutex_lock(&fdev->recovery_lock);
	if (drm_dev_enter(&fdev->drm, &idx)) {
		set_bit(FIXAR_FLAG_EXTERNAL, &fdev->flags);
		if (fixar_set_state(fdev, FIXAR_RECOVERING))
			fixar_quiesce(fdev);
		drm_dev_exit(idx);
	}
	mutex_unlock(&fdev->recovery_lock);
}

static int fixar_external_end(struct fixar_device *fdev)
{
	int ret = -ENODEV;
	int idx;

	mutex_lock(&fdev->recovery_lock);
	if (test_and_clear_bit(FIXAR_FLAG_EXTERNAL, &fdev->flags) &&
	    drm_dev_enter(&fdev->drm, &idx)) {
		xchg(&fdev->events, 0);
		fdev->reset_tries = 0;
		fixar_rung(fdev, FIXAR_RUNG_BUS, "from outside");
		atomic_inc(&fdev->device_resets);
		ret = fixar_restart(fdev);
		drm_dev_exit(idx);
		if (ret)
			fixar_give_up(fdev, "after a reset from outside");
	}
	mutex_unlock(&fdev->recovery_lock);
	return ret;
}

static void fixar_reset_prepare(struct pci_dev *pdev)
{
	struct fixar_device *fdev = pci_get_drvdata(pdev);

	if (READ_ONCE(fdev->reset_owner) != current)
		fixar_external_begin(fdev);
}

static void fixar_reset_done(struct pci_dev *pdev)
{
	struct fixar_device *fdev = pci_get_drvdata(pdev);

	if (READ_ONCE(fdev->reset_owner) != current)
		fixar_external_end(fdev);
}

static pci_ers_result_t fixar_error_detected(struct pci_dev *pdev, pci_channel_state_t channel)
{
	struct fixar_device *fdev = pci_get_drvdata(pdev);

	if (channel == pci_channel_io_perm_failure) {
		fixar_event(fdev, FIXAR_EVENT_GONE);
		return PCI_ERS_RESULT_DISCONNECT;
	}
	if (channel == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	fixar_external_begin(fdev);
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t fixar_slot_reset(struct pci_dev *pdev)
{
	struct fixar_device *fdev = pci_get_drvdata(pdev);

	pci_restore_state(pdev);
	pci_save_state(pdev);
	pci_set_master(pdev);
	return fixar_external_end(fdev) ? PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_RECOVERED;
}

const struct pci_error_handlers fixar_error_handlers = {
	.error_detected = fixar_error_detected,
	.slot_reset = fixar_slot_reset,
	.reset_prepare = fixar_reset_prepare,
	.reset_done = fixar_reset_done,
};

int fixar_recovery_init(struct fixar_device *fdev)
{
	INIT_DELAYED_WORK(&fdev->recovery, fixar_recovery_work);
	INIT_DELAYED_WORK(&fdev->watchdog, fixar_watchdog_work);
	return 0;
}

/**
 * fixar_recovery_begin() - the device is registered: what was asked for meanwhile is done now
 * @fdev: the device
 */
void fixar_recovery_begin(struct fixar_device *fdev)
{
	set_bit(FIXAR_FLAG_NODE, &fdev->flags);
	mod_delayed_work(fdev->recovery_wq, &fdev->recovery, 0);
}
