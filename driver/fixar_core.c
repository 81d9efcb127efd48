// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core: command queue, modes, windows, soft reset.
 *
 * One job at a time, so the queue never holds commands of two contexts. Registers and slots are
 * written under fixar_core.fill (a mutex, never held around an allocation): by run_job, and for
 * what did not fit into the queue by the refill work. The doorbell is written under fixar_core.lock
 * too, so that the interrupt knows of every command that can complete.
 */
#include <linux/delay.h>
#include <linux/iopoll.h>

#include <drm/drm_managed.h>

#include "fixar_device.h"
#include "fixar_trace.h"

#define FIXAR_SOFT_RESET_US 500000 /* the card has 100 ms (HARDWARE.md, section 17) */
#define FIXAR_SOFT_RESET_POLL_US 1000
#define FIXAR_COMMAND_MS 60000 /* one command, however much PROGRESS it shows */

static u32 fixar_seq_distance(u32 from, u32 to)
{
	return (to - from) & FIXAR_CORE_SEQ;
}

/* ---- Writing commands ---- */

/*
 * Window and modes of the job's context, as far as they are not in the registers. The core is idle,
 * and `fill` is held.
 */
static void fixar_core_apply(struct fixar_device *fdev, struct fixar_job *job)
{
	struct fixar_core *core = &fdev->core;
	const struct fixar_mode_field *field;
	unsigned int i;
	u32 value;

	lockdep_assert_held(&core->fill);

	if (core->window != job->ctx->id) {
		fixar_write(fdev, FIXAR_WINDOW_BASE_LO, lower_32_bits(job->ctx->base));
		fixar_write(fdev, FIXAR_WINDOW_BASE_HI, upper_32_bits(job->ctx->base));
		fixar_write(fdev, FIXAR_WINDOW_LIMIT_LO, lower_32_bits(job->ctx->bytes));
		fixar_write(fdev, FIXAR_WINDOW_LIMIT_HI, upper_32_bits(job->ctx->bytes));
		core->window = job->ctx->id;
	}
	for (i = 0; i < fixar_mode_field_count; i++) {
		field = &fixar_mode_fields[i];
		value = fixar_mode_get(&job->mode, field);
		if (!core->mode_valid || fixar_mode_get(&core->mode, field) != value)
			fixar_write(fdev, field->reg, value);
	}
	core->mode = job->mode;
	core->mode_valid = true;
}

static void fixar_core_write_slot(struct fixar_device *fdev, const struct fixar_command *command,
				  u32 control, u32 seq)
{
	const u32 slot = FIXAR_SLOT_BASE + seq % fdev->info.fifo_depth * FIXAR_SLOT_BYTES;
	const __le32 *words = (const __le32 *)command;
	unsigned int i;

	fixar_write(fdev, slot + offsetof(struct fixar_command, control), control);
	fixar_write(fdev, slot + offsetof(struct fixar_command, seq), seq);
	for (i = offsetof(struct fixar_command, count) / sizeof(*words);
	     i < sizeof(*command) / sizeof(*words); i++)
		fixar_write(fdev, slot + i * sizeof(*words), le32_to_cpu(words[i]));
}

/*
 * Does this command interrupt? The last of a job, and of a long job one in half a queue, so that
 * the queue stays filled.
 */
static bool fixar_core_interrupts(struct fixar_device *fdev, const struct fixar_job *job, u32 index)
{
	u32 half = fdev->info.fifo_depth / 2;

	return index == job->count - 1 ||
	       (job->count > fdev->info.fifo_depth && index % half == half - 1);
}

/* Write commands as long as there are some and the queue has room. The caller holds `fill`. */
static void fixar_core_pump(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	const struct fixar_command *command;
	struct fixar_job *job;
	unsigned long irq;
	u32 control, index, seq;

	lockdep_assert_held(&core->fill);

	for (;;) {
		spin_lock_irqsave(&core->lock, irq);
		job = core->job;
		index = core->next;
		seq = (core->submitted + 1) & FIXAR_CORE_SEQ;
		if (!job || core->stopped || index == job->count ||
		    fixar_seq_distance(core->completed, core->submitted) >= fdev->info.fifo_depth) {
			spin_unlock_irqrestore(&core->lock, irq);
			return;
		}
		spin_unlock_irqrestore(&core->lock, irq);

		/*
		 * Not all is submitted, so an interrupt cannot end the job, and recovery waits for
		 * `fill`: the job stays, and the slot is free.
		 */
		if (!index)
			fixar_core_apply(fdev, job);
		command = &job->commands[index];
		control = le32_to_cpu(command->control);
		if (fixar_core_interrupts(fdev, job, index))
			control |= FIXAR_COMMAND_INTERRUPT;
		fixar_core_write_slot(fdev, command, control, seq);

		spin_lock_irqsave(&core->lock, irq);
		if (!core->stopped) {
			if (!index) {
				core->first = seq;
				core->moved = ktime_get();
			}
			core->submitted = seq;
			core->next = index + 1;
			/*
			 * The core may have halted: then it refuses this, and fixar_core_recover()
			 * knows.
			 */
			fixar_write(fdev, FIXAR_CORE_DOORBELL, seq);
		}
		spin_unlock_irqrestore(&core->lock, irq);
	}
}

static void fixar_core_refill(struct work_struct *work)
{
	struct fixar_core *core = container_of(work, struct fixar_core, refill);
	struct fixar_device *fdev = core->engine.fdev;
	bool cookie;
	int idx;

	if (!drm_dev_enter(&fdev->drm, &idx))
		return;
	cookie = dma_fence_begin_signalling();
	mutex_lock(&core->fill);
	fixar_core_pump(fdev);
	mutex_unlock(&core->fill);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
}

static struct dma_fence *fixar_core_run_job(struct drm_sched_job *sched_job)
{
	struct fixar_job *job = container_of(sched_job, struct fixar_job, base);
	struct dma_fence *hw = dma_fence_get(&job->hw->base);
	struct fixar_device *fdev = job->fdev;
	struct fixar_core *core = &fdev->core;
	unsigned long irq;
	bool cookie;
	int idx;
	int ret;

	ret = fixar_job_check(job);
	if (!ret && !drm_dev_enter(&fdev->drm, &idx))
		ret = -ENODEV;
	if (ret) {
		dma_fence_put(hw);
		return ERR_PTR(ret);
	}

	cookie = dma_fence_begin_signalling();
	trace_fixar_job_run(job);
	job->started = ktime_get();

	mutex_lock(&core->fill);
	spin_lock_irqsave(&core->lock, irq);
	core->job = job;
	core->next = 0;
	core->strikes = 0;
	spin_unlock_irqrestore(&core->lock, irq);
	/* While recovery is at work this does nothing, and fixar_core_restart() runs the job. */
	fixar_core_pump(fdev);
	mutex_unlock(&core->fill);

	fixar_watch(fdev);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
	return hw;
}

const struct drm_sched_backend_ops fixar_core_sched_ops = {
	.run_job = fixar_core_run_job,
	.free_job = fixar_job_free,
};

/* ---- Interrupts ---- */

/* With the lock held: take note of COMPLETED_SEQ. Return: false if it is none that is possible. */
static bool fixar_core_note(struct fixar_core *core, u32 completed)
{
	u32 moved = fixar_seq_distance(core->completed, completed);

	if (moved > fixar_seq_distance(core->completed, core->submitted)) {
		core->stopped = true;
		return false;
	}
	if (moved) {
		core->completed = completed;
		core->moved = ktime_get();
	}
	return true;
}

static bool fixar_core_job_complete(const struct fixar_core *core)
{
	return core->job && core->next == core->job->count && core->completed == core->submitted;
}

/* With the lock held: the job, if it is complete, leaves the core. */
static struct fixar_job *fixar_core_take_complete(struct fixar_core *core)
{
	struct fixar_job *job = core->job;

	if (core->stopped || !fixar_core_job_complete(core))
		return NULL;
	core->job = NULL;
	return job;
}

/* With the lock held. */
static bool fixar_core_wants_more(const struct fixar_core *core)
{
	return core->job && !core->stopped && core->next < core->job->count;
}

static void fixar_core_events(struct fixar_device *fdev, u32 status)
{
	if (status & FIXAR_CORE_INT_ERROR)
		fixar_event(fdev, FIXAR_EVENT_CORE_ERROR);
	if (status & FIXAR_CORE_INT_ACCESS)
		fixar_event(fdev, FIXAR_EVENT_CORE_ACCESS);
	if (status & FIXAR_CORE_INT_CATTRIP)
		fixar_event(fdev, FIXAR_EVENT_CATTRIP);
	if (status & FIXAR_CORE_INT_MEMORY_LOST)
		fixar_event(fdev, FIXAR_EVENT_MEMORY);
}

/**
 * fixar_core_interrupt() - the core's line is up
 * @fdev: the device
 *
 * In hard interrupt context. The order is HARDWARE.md's, section 11: the line off, the cause
 * cleared, then the count read, then the line on.
 */
void fixar_core_interrupt(struct fixar_device *fdev)
{
	void __iomem *block = fdev->xdma + FIXAR_XDMA_IRQ;
	struct fixar_core *core = &fdev->core;
	struct fixar_job *done = NULL;
	u32 status, events, access, completed;
	unsigned long irq;
	bool good = true;
	bool more;

	writel(BIT(fdev->user_irq), block + FIXAR_XDMA_IRQ_USER_ENABLE_W1C);
	readl(block + FIXAR_XDMA_IRQ_USER_ENABLE);

	spin_lock_irqsave(&core->lock, irq);
	status = fixar_read(fdev, FIXAR_CORE_INT_STATUS);
	if (fixar_all_ones(status))
		goto gone;
	events = status;
	/* Clearing ACCESS clears this too, so it is read before. */
	if (status & FIXAR_CORE_INT_ACCESS) {
		access = fixar_read(fdev, FIXAR_CORE_ACCESS_ERROR);
		/*
		 * A doorbell that met a core that had just halted is refused, and that is nobody's
		 * mistake: ERROR reports the halt. Were it refused for another reason, its command
		 * would never complete, and the watchdog would find it.
		 */
		if (FIELD_GET(FIXAR_CORE_ACCESS_ERROR_OFFSET, access) == FIXAR_CORE_DOORBELL)
			events &= ~FIXAR_CORE_INT_ACCESS;
		else
			core->access_error = access;
	}
	fixar_write(fdev, FIXAR_CORE_INT_STATUS, status);
	completed = fixar_read(fdev, FIXAR_CORE_COMPLETED_SEQ);
	if (fixar_all_ones(completed))
		goto gone;

	/* During a reset the numbers start anew, and fixar_core_restart() sees to it. */
	if (!core->stopped) {
		good = fixar_core_note(core, completed);
		if (status & FIXAR_CORE_INT_ERROR)
			core->stopped = true;
	}
	done = fixar_core_take_complete(core);
	more = fixar_core_wants_more(core);
	spin_unlock_irqrestore(&core->lock, irq);

	writel(BIT(fdev->user_irq), block + FIXAR_XDMA_IRQ_USER_ENABLE_W1S);

	if (!status)
		atomic_inc(&fdev->spurious_interrupts);
	if (!good)
		fixar_event(fdev, FIXAR_EVENT_CORE_COUNT);
	fixar_core_events(fdev, events);
	if (more)
		queue_work(fdev->fill_wq, &core->refill);
	if (done)
		fixar_job_finish(done, 0);
	return;

gone:
	spin_unlock_irqrestore(&core->lock, irq);
	fixar_event(fdev, FIXAR_EVENT_GONE);
}

/* ---- Watching ---- */

/**
 * fixar_core_watch() - the watchdog's look at the core
 * @fdev: the device
 *
 * What has completed or halted, and had when the watchdog came last, is an interrupt that was lost.
 * A command that shows no PROGRESS for two periods is hung, and so is one that takes longer than
 * any can.
 *
 * Return: whether the core has a job.
 */
bool fixar_core_watch(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	u32 completed, progress, status;
	unsigned long irq;
	int event = -1;
	bool lost = false;
	bool active;

	spin_lock_irqsave(&core->lock, irq);
	active = core->job;
	if (!core->job || !core->next || core->stopped)
		goto out;

	completed = fixar_read(fdev, FIXAR_CORE_COMPLETED_SEQ);
	progress = fixar_read(fdev, FIXAR_CORE_PROGRESS);
	if (fixar_all_ones(completed) || fixar_all_ones(progress)) {
		event = FIXAR_EVENT_GONE;
		goto out;
	}
	if (completed != core->seen_completed || progress != core->seen_progress) {
		if (completed != core->seen_completed)
			core->moved = ktime_get();
		core->seen_completed = completed;
		core->seen_progress = progress;
		core->strikes = 0;
		if (ktime_ms_delta(ktime_get(), core->moved) > FIXAR_COMMAND_MS)
			event = FIXAR_EVENT_CORE_HUNG;
		goto out;
	}

	if (!fixar_core_note(core, completed)) {
		event = FIXAR_EVENT_CORE_COUNT;
		goto out;
	}
	/* The last command of the job, or of those that fit into the queue, interrupts. */
	if (completed == core->submitted) {
		lost = true;
		goto out;
	}
	status = fixar_read(fdev, FIXAR_CORE_STATUS);
	if (fixar_all_ones(status)) {
		event = FIXAR_EVENT_GONE;
	} else if (status & FIXAR_CORE_STATUS_HALTED) {
		event = FIXAR_EVENT_CORE_ERROR;
		lost = true;
	} else if (++core->strikes >= FIXAR_STRIKES) {
		event = FIXAR_EVENT_CORE_HUNG;
	}
out:
	if (event >= 0 && event != FIXAR_EVENT_GONE)
		core->stopped = true;
	spin_unlock_irqrestore(&core->lock, irq);

	if (lost) {
		atomic_inc(&fdev->lost_interrupts);
		fixar_rung(fdev, FIXAR_RUNG_POLL, core->engine.name);
		/*
		 * All that the handler would have done. Above all it takes the line down: while
		 * that is up, no event sends another message.
		 */
		fixar_core_interrupt(fdev);
	}
	if (event >= 0)
		fixar_event(fdev, event);
	return active;
}

/* ---- Recovery ---- */

/* Nothing is written until fixar_core_restart(). What is in the queue goes on. */
void fixar_core_stop(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	unsigned long irq;

	mutex_lock(&core->fill);
	spin_lock_irqsave(&core->lock, irq);
	core->stopped = true;
	spin_unlock_irqrestore(&core->lock, irq);
	mutex_unlock(&core->fill);
}

/**
 * fixar_core_fail() - end the job of a stopped core
 * @fdev: the device; the core touches card memory no more
 * @fault: DRM_FIXAR_FAULT_* for the job's context, or NONE
 * @error: what the job ends with
 *
 * With a fault, a job of which nothing was submitted stays: it has changed nothing, and
 * fixar_core_restart() runs it.
 */
void fixar_core_fail(struct fixar_device *fdev, u32 fault, int error)
{
	struct fixar_core *core = &fdev->core;
	struct fixar_job *job = NULL;
	unsigned long irq;
	bool complete;

	mutex_lock(&core->fill);
	spin_lock_irqsave(&core->lock, irq);
	complete = fixar_core_job_complete(core);
	if (core->next || fault == DRM_FIXAR_FAULT_NONE) {
		job = core->job;
		core->job = NULL;
	}
	spin_unlock_irqrestore(&core->lock, irq);
	mutex_unlock(&core->fill);

	if (!job)
		return;
	if (complete) {
		/* It did all it should, as far as we know from before the reset. */
		error = 0;
	} else if (fault != DRM_FIXAR_FAULT_NONE) {
		fixar_context_fault(job, fault, 0,
				    fixar_seq_distance(core->first, core->completed + 1), 0);
	}
	fixar_job_finish(job, error);
}

/*
 * The core is stopped, idle and as after a reset or RESUME: take its numbers over and work again.
 */
void fixar_core_restart(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	struct fixar_job *job;
	unsigned long irq;
	int ret = 0;
	u32 completed;

	mutex_lock(&core->fill);
	completed = fixar_read(fdev, FIXAR_CORE_COMPLETED_SEQ);
	if (fixar_all_ones(completed)) {
		mutex_unlock(&core->fill);
		fixar_event(fdev, FIXAR_EVENT_GONE);
		return;
	}
	fixar_write(fdev, FIXAR_CORE_INT_ENABLE, FIXAR_CORE_INT_ALL);

	job = core->job;
	if (job)
		ret = fixar_job_check(job);
	spin_lock_irqsave(&core->lock, irq);
	core->completed = completed & FIXAR_CORE_SEQ;
	core->submitted = core->completed;
	core->next = 0;
	core->strikes = 0;
	core->access_error = 0;
	if (ret)
		core->job = NULL;
	else
		job = NULL;
	core->stopped = false;
	spin_unlock_irqrestore(&core->lock, irq);
	if (!ret)
		fixar_core_pump(fdev);
	mutex_unlock(&core->fill);
	if (job)
		fixar_job_finish(job, ret);
}

/*
 * The core was stopped for nothing, because an interrupt told what the watchdog had seen before it.
 * What completed meanwhile was not noted.
 */
static void fixar_core_go_on(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	struct fixar_job *done = NULL;
	unsigned long irq;
	bool good = true;
	u32 completed;

	mutex_lock(&core->fill);
	spin_lock_irqsave(&core->lock, irq);
	completed = fixar_read(fdev, FIXAR_CORE_COMPLETED_SEQ);
	core->stopped = false;
	if (!fixar_all_ones(completed))
		good = fixar_core_note(core, completed);
	done = fixar_core_take_complete(core);
	spin_unlock_irqrestore(&core->lock, irq);
	fixar_core_pump(fdev);
	mutex_unlock(&core->fill);
	if (!good)
		fixar_event(fdev, FIXAR_EVENT_CORE_COUNT);
	if (done)
		fixar_job_finish(done, 0);
}

/**
 * fixar_core_soft_reset() - SOFT_RESET, and wait until it is over
 * @fdev: the device; the core is stopped
 *
 * Sleeps. Return: 0, -ETIMEDOUT (card memory does not answer: only a bus reset helps) or -ENODEV.
 */
int fixar_core_soft_reset(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	u32 status;
	int ret;

	fixar_write(fdev, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_SOFT_RESET);
	ret = read_poll_timeout(fixar_read, status,
				fixar_all_ones(status) || !(status & FIXAR_CORE_STATUS_RESETTING),
				FIXAR_SOFT_RESET_POLL_US, FIXAR_SOFT_RESET_US, false, fdev,
				FIXAR_CORE_STATUS);
	mutex_lock(&core->fill);
	core->window = 0;
	core->mode_valid = false;
	mutex_unlock(&core->fill);
	if (fixar_all_ones(status))
		return -ENODEV;
	return ret;
}

/*
 * The core has halted: blame the command, then RESUME. Return: whether the core works again without
 * a reset.
 *
 * What a client can cause is logged for debugging only.
 */
static bool fixar_core_halted(struct fixar_device *fdev, struct fixar_job *job, u32 status)
{
	u32 info = fixar_read(fdev, FIXAR_CORE_ERROR_INFO);
	u32 seq = fixar_read(fdev, FIXAR_CORE_ERROR_SEQ);
	u64 offset = fixar_read64(fdev, FIXAR_CORE_ERROR_OFFSET_LO);
	u32 code = FIELD_GET(FIXAR_CORE_ERROR_INFO_CODE, info);
	u32 index = fixar_seq_distance(fdev->core.first, seq);

	if (fixar_all_ones(info) || fixar_all_ones(seq))
		return false;
	if (job && index >= job->count)
		index = 0;
	if (code < FIXAR_ERROR_HEADER || code >= FIXAR_ERROR_READ)
		/* The driver's own mistakes, and the hardware's; WINDOW is a client's. */
		dev_warn_ratelimited(fixar_dev(fdev),
				     "core error %u: info %#010x, command %u, offset %#llx\n", code,
				     info, seq, offset);
	else
		dev_dbg(fixar_dev(fdev), "core error %u: info %#010x, command %u, offset %#llx\n",
			code, info, seq, offset);
	if (job)
		fixar_context_fault(job, DRM_FIXAR_FAULT_CORE, code, index, offset);

	if ((info & FIXAR_CORE_ERROR_INFO_FATAL) || (status & FIXAR_CORE_STATUS_BUSY))
		return false;
	fixar_write(fdev, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	status = fixar_read(fdev, FIXAR_CORE_STATUS);
	if (fixar_all_ones(status) || (status & FIXAR_CORE_STATUS_HALTED))
		return false;
	fixar_rung(fdev, FIXAR_RUNG_RESUME, fdev->core.engine.name);
	return true;
}

/*
 * With the core stopped: did it take none of the job's commands? It refuses doorbells while its
 * memory is not ready. Such a job has changed nothing, and runs after the reset: once, in case the
 * core refuses it for ever.
 */
static void fixar_core_untouched(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	u32 taken = fixar_read(fdev, FIXAR_CORE_SUBMITTED_SEQ);
	unsigned long irq;

	if (fixar_all_ones(taken))
		return;
	spin_lock_irqsave(&core->lock, irq);
	if (core->job && core->next && !core->job->restarted &&
	    fixar_seq_distance(taken, core->first) == 1) {
		core->job->restarted = true;
		core->next = 0;
	}
	spin_unlock_irqrestore(&core->lock, irq);
}

/* What completed before a reset did complete, though its interrupt found the core stopped. */
static void fixar_core_last_note(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	u32 completed = fixar_read(fdev, FIXAR_CORE_COMPLETED_SEQ);
	unsigned long irq;

	if (fixar_all_ones(completed))
		return;
	spin_lock_irqsave(&core->lock, irq);
	fixar_core_note(core, completed);
	spin_unlock_irqrestore(&core->lock, irq);
}

/**
 * fixar_core_recover() - the core's rungs: RESUME, soft reset
 * @fdev: the device
 * @events: BIT(FIXAR_EVENT_CORE_*) that asked for it
 *
 * In recovery. The running job ends with an error, because a command that had started works in
 * place and is never repeated.
 *
 * Return: false if not even a soft reset ends, or it does not help. The core is stopped then, and
 * keeps its job.
 */
bool fixar_core_recover(struct fixar_device *fdev, unsigned long events)
{
	struct fixar_core *core = &fdev->core;
	u32 access = READ_ONCE(core->access_error);
	u32 fault = DRM_FIXAR_FAULT_RESET;
	int error = -EIO;
	u32 status;

	/* A restart since then has made it good. */
	if (!(access & FIXAR_CORE_ACCESS_ERROR_VALID))
		events &= ~BIT(FIXAR_EVENT_CORE_ACCESS);
	if (!events)
		return true;

	fixar_core_stop(fdev);
	status = fixar_read(fdev, FIXAR_CORE_STATUS);
	if (fixar_all_ones(status))
		return false;
	if (events == BIT(FIXAR_EVENT_CORE_ERROR) && !(status & FIXAR_CORE_STATUS_HALTED)) {
		fixar_core_go_on(fdev);
		return true;
	}
	if (status & FIXAR_CORE_STATUS_HALTED) {
		if (fixar_core_halted(fdev, core->job, status)) {
			fixar_core_fail(fdev, DRM_FIXAR_FAULT_CORE, -EIO);
			fixar_core_restart(fdev);
			return true;
		}
		fault = DRM_FIXAR_FAULT_CORE;
	} else if (events & BIT(FIXAR_EVENT_CORE_HUNG)) {
		fault = DRM_FIXAR_FAULT_TIMEOUT;
		error = -ETIMEDOUT;
	}
	fixar_core_last_note(fdev);
	fixar_core_untouched(fdev);
	if (events & BIT(FIXAR_EVENT_CORE_ACCESS))
		dev_err(fixar_dev(fdev), "the core refused a write to %#x\n",
			(u32)FIELD_GET(FIXAR_CORE_ACCESS_ERROR_OFFSET, access));
	if (events & BIT(FIXAR_EVENT_CORE_COUNT))
		dev_err(fixar_dev(fdev), "impossible COMPLETED_SEQ\n");

	fixar_rung(fdev, FIXAR_RUNG_CORE, core->engine.name);
	atomic_inc(&fdev->core_resets);
	/* A core without its memory takes no commands, and its reset does not touch the memory. */
	if (fixar_core_soft_reset(fdev) ||
	    !(fixar_read(fdev, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_MEMORY_READY)) {
		/*
		 * The blame is the job's whatever the next rung does; its fence waits for that
		 * rung.
		 */
		if (core->job && core->next)
			fixar_context_fault(core->job, fault, 0,
					    fixar_seq_distance(core->first, core->completed + 1),
					    0);
		return false;
	}
	fixar_core_fail(fdev, fault, error);
	fixar_core_restart(fdev);
	return true;
}

/* Bring the core into a known state, whoever drove it before. */
int fixar_core_init(struct fixar_device *fdev)
{
	struct fixar_core *core = &fdev->core;
	int ret;

	core->engine.fdev = fdev;
	core->engine.queue = DRM_FIXAR_QUEUE_CORE;
	strscpy(core->engine.name, "fixar-core", sizeof(core->engine.name));
	ret = drmm_mutex_init(&fdev->drm, &core->fill);
	if (ret)
		return ret;
	spin_lock_init(&core->lock);
	INIT_WORK(&core->refill, fixar_core_refill);
	core->stopped = true;

	ret = fixar_core_soft_reset(fdev);
	if (ret)
		dev_err(fixar_dev(fdev), "the core does not end its reset: %d\n", ret);
	return ret;
}
