// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies: from the scatter lists of a job's buffers to runs of descriptors, and from one run to the
 * next.
 *
 * A channel has one job at a time and two runs. Under fixar_channel.fill (a mutex, never held
 * around an allocation) descriptors are written: the first run by run_job, the others by the refill
 * work. Under fixar_channel.lock runs are started, by the filler if the channel is idle, else by
 * the interrupt of the run before. The job ends in that interrupt, or in recovery, which holds
 * `fill`: so nobody fills for a job that may be gone.
 */
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>

#include <drm/drm_managed.h>

#include "fixar_device.h"
#include "fixar_trace.h"

#define FIXAR_RUN_BYTES (FIXAR_RUN_DESCRIPTORS * sizeof(struct fixar_xdma_descriptor))

/*
 * An engine that has stopped may show BUSY for a moment. The interrupt reads again so often; then
 * the refill work waits, which may sleep.
 */
#define FIXAR_BUSY_READS 1

/* ---- Descriptors ---- */

/*
 * The bus address that the cursor points at, and how many bytes follow there: 0 if the list is too
 * short.
 */
static u64 fixar_cursor_at(struct fixar_job *job, const struct fixar_piece *piece,
			   dma_addr_t *address)
{
	struct fixar_cursor *cursor = &job->cursor;
	u64 skip;

	if (!piece->bo) {
		*address = job->fdev->zeros_dma;
		return FIXAR_ZERO_BYTES;
	}
	if (!cursor->sg) {
		cursor->sg = piece->bo->sgt->sgl;
		cursor->sg_offset = 0;
		skip = piece->bo_offset + cursor->done;
		while (cursor->sg && skip >= sg_dma_len(cursor->sg)) {
			skip -= sg_dma_len(cursor->sg);
			cursor->sg = sg_next(cursor->sg);
		}
		cursor->sg_offset = skip;
	}
	if (!cursor->sg || !sg_dma_len(cursor->sg))
		return 0;
	*address = sg_dma_address(cursor->sg) + cursor->sg_offset;
	return sg_dma_len(cursor->sg) - cursor->sg_offset;
}

static void fixar_cursor_move(struct fixar_job *job, const struct fixar_piece *piece, u64 bytes)
{
	struct fixar_cursor *cursor = &job->cursor;

	cursor->done += bytes;
	if (cursor->done == piece->bytes) {
		cursor->piece++;
		cursor->done = 0;
		cursor->sg = NULL;
		return;
	}
	if (!piece->bo)
		return;
	cursor->sg_offset += bytes;
	if (cursor->sg_offset == sg_dma_len(cursor->sg)) {
		cursor->sg = sg_next(cursor->sg);
		cursor->sg_offset = 0;
	}
}

/*
 * Blocks of adjacent descriptors, each within a page; inside a block the count of those that follow
 * the next one goes down to 0, the last names the next block (HARDWARE.md, section 16).
 */
static void fixar_run_link(struct fixar_run *run)
{
	u32 i, in_block, block_count, next_count, adjacent;
	dma_addr_t next;
	u32 flags;

	for (i = 0; i < run->count; i++) {
		in_block = i % FIXAR_XDMA_DESC_BLOCK;
		block_count = min(run->count - (i - in_block), FIXAR_XDMA_DESC_BLOCK);
		flags = 0;
		adjacent = 0;
		next = run->dma + (i + 1) * sizeof(*run->descriptors);
		if (i == run->count - 1) {
			flags = FIXAR_XDMA_DESC_STOP | FIXAR_XDMA_DESC_COMPLETED;
			next = 0;
		} else if (in_block == block_count - 1) {
			next_count = min(run->count - (i + 1), FIXAR_XDMA_DESC_BLOCK);
			adjacent = next_count - 1;
		} else {
			adjacent = block_count - in_block - 2;
		}
		run->descriptors[i].control =
			cpu_to_le32(FIXAR_XDMA_DESC_MAGIC | flags |
				    FIELD_PREP(FIXAR_XDMA_DESC_ADJACENT, adjacent));
		run->descriptors[i].next_lo = cpu_to_le32(lower_32_bits(next));
		run->descriptors[i].next_hi = cpu_to_le32(upper_32_bits(next));
	}
}

/*
 * Fill a run from the job's cursor on. Return: false if a buffer is shorter than the job was told.
 */
static bool fixar_run_fill(struct fixar_channel *channel, struct fixar_job *job,
			   struct fixar_run *run)
{
	struct fixar_cursor *cursor = &job->cursor;
	struct fixar_xdma_descriptor *d;
	const struct fixar_piece *piece;
	dma_addr_t host;
	u64 card, bytes;

	run->count = 0;
	run->bytes = 0;
	while (run->count < FIXAR_RUN_DESCRIPTORS && cursor->piece < job->count) {
		piece = &job->pieces[cursor->piece];
		bytes = fixar_cursor_at(job, piece, &host);
		if (!bytes)
			return false;
		bytes = min3(bytes, piece->bytes - cursor->done, (u64)FIXAR_DESCRIPTOR_BYTES);
		card = job->ctx->base + piece->arena_offset + cursor->done;

		d = &run->descriptors[run->count];
		d->length = cpu_to_le32(bytes);
		if (channel->to_card) {
			d->source_lo = cpu_to_le32(lower_32_bits(host));
			d->source_hi = cpu_to_le32(upper_32_bits(host));
			d->destination_lo = cpu_to_le32(lower_32_bits(card));
			d->destination_hi = cpu_to_le32(upper_32_bits(card));
		} else {
			d->source_lo = cpu_to_le32(lower_32_bits(card));
			d->source_hi = cpu_to_le32(upper_32_bits(card));
			d->destination_lo = cpu_to_le32(lower_32_bits(host));
			d->destination_hi = cpu_to_le32(upper_32_bits(host));
		}
		run->piece[run->count] = cursor->piece;
		run->count++;
		run->bytes += bytes;
		fixar_cursor_move(job, piece, bytes);
	}
	fixar_run_link(run);
	return true;
}

/* ---- Running ---- */

/* With the lock held, on an idle channel. */
static void fixar_copy_start(struct fixar_channel *channel, int index)
{
	struct fixar_run *run = &channel->runs[index];

	run->filled = false;
	channel->running = index;
	channel->serial++;
	fixar_xdma_start(channel, run);
}

/* With the lock held: the job leaves the channel. */
static struct fixar_job *fixar_copy_take(struct fixar_channel *channel)
{
	struct fixar_job *job = channel->job;
	int i;

	channel->job = NULL;
	channel->running = -1;
	channel->draining = false;
	for (i = 0; i < FIXAR_RUNS; i++)
		channel->runs[i].filled = false;
	return job;
}

/*
 * Fill what is free and start what is filled. The caller holds `fill`.
 *
 * The run that `next` names is free unless it is filled or running, and runs are started in the
 * order in which they were filled, because there are two: when one runs, the other is the only one
 * that can be filled.
 */
static void fixar_copy_pump(struct fixar_channel *channel)
{
	struct fixar_run *run;
	struct fixar_job *job;
	unsigned long irq;
	bool good;
	int index;

	lockdep_assert_held(&channel->fill);

	for (;;) {
		spin_lock_irqsave(&channel->lock, irq);
		job = channel->job;
		index = channel->next;
		run = &channel->runs[index];
		if (!job || channel->stopped || channel->exhausted || run->filled ||
		    channel->running == index) {
			spin_unlock_irqrestore(&channel->lock, irq);
			return;
		}
		spin_unlock_irqrestore(&channel->lock, irq);

		/*
		 * Not exhausted, so an interrupt cannot end the job, and recovery waits for `fill`:
		 * the job stays. Nobody else looks at a run that is neither filled nor running.
		 */
		good = fixar_run_fill(channel, job, run);

		spin_lock_irqsave(&channel->lock, irq);
		if (!good) {
			/*
			 * Sizes were checked against the mapping, so this is a mistake of ours. The
			 * watchdog reports it.
			 */
			channel->fault = FIXAR_XDMA_STATUS_INVALID_LENGTH;
			channel->stopped = true;
			spin_unlock_irqrestore(&channel->lock, irq);
			fixar_event(channel->engine.fdev, FIXAR_EVENT_CHANNEL + channel->bit);
			return;
		}
		channel->exhausted = job->cursor.piece == job->count;
		run->filled = true;
		channel->next = (index + 1) % FIXAR_RUNS;
		/* Stopped meanwhile: recovery begins the job anew. */
		if (channel->running < 0 && !channel->stopped)
			fixar_copy_start(channel, index);
		spin_unlock_irqrestore(&channel->lock, irq);
	}
}

static void fixar_copy_drain(struct fixar_channel *channel);

static void fixar_copy_refill(struct work_struct *work)
{
	struct fixar_channel *channel = container_of(work, struct fixar_channel, refill);
	bool cookie;
	int idx;

	if (!drm_dev_enter(&channel->engine.fdev->drm, &idx))
		return;
	cookie = dma_fence_begin_signalling();
	fixar_copy_drain(channel);
	mutex_lock(&channel->fill);
	fixar_copy_pump(channel);
	mutex_unlock(&channel->fill);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
}

static struct dma_fence *fixar_copy_run_job(struct drm_sched_job *sched_job)
{
	struct fixar_job *job = container_of(sched_job, struct fixar_job, base);
	struct fixar_channel *channel = container_of(job->engine, struct fixar_channel, engine);
	struct fixar_device *fdev = job->fdev;
	struct dma_fence *hw = dma_fence_get(&job->hw->base);
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
	memset(&job->cursor, 0, sizeof(job->cursor));

	mutex_lock(&channel->fill);
	spin_lock_irqsave(&channel->lock, irq);
	channel->job = job;
	channel->exhausted = false;
	channel->strikes = 0;
	spin_unlock_irqrestore(&channel->lock, irq);
	/* While recovery is at work this does nothing, and fixar_copy_restart() runs the job. */
	fixar_copy_pump(channel);
	mutex_unlock(&channel->fill);

	fixar_watch(fdev);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);
	return hw;
}

const struct drm_sched_backend_ops fixar_copy_sched_ops = {
	.run_job = fixar_copy_run_job,
	.free_job = fixar_job_free,
};

/* ---- Interrupts ---- */

enum fixar_copy_found {
	FIXAR_COPY_NOTHING,
	FIXAR_COPY_MORE, /* a run has ended, and there is more to fill */
	FIXAR_COPY_DRAIN, /* a run has ended, but the channel still shows BUSY */
	FIXAR_COPY_DONE, /* the job has ended */
	FIXAR_COPY_FAULT,
	FIXAR_COPY_GONE,
};

/* With the lock held: the run on the hardware has ended, and the channel is idle. */
static enum fixar_copy_found fixar_copy_ended(struct fixar_channel *channel)
{
	int other = 1 - channel->running;

	channel->running = -1;
	channel->draining = false;
	channel->strikes = 0;
	if (channel->runs[other].filled) {
		fixar_copy_start(channel, other);
		return channel->exhausted ? FIXAR_COPY_NOTHING : FIXAR_COPY_MORE;
	}
	return channel->exhausted ? FIXAR_COPY_DONE : FIXAR_COPY_MORE;
}

/*
 * With the lock held: what has happened to the run on the hardware? Errors first, then the count.
 */
static enum fixar_copy_found fixar_copy_look(struct fixar_channel *channel, u32 status)
{
	const struct fixar_run *run = &channel->runs[channel->running];
	u32 completed;
	int i;

	if (fixar_all_ones(status))
		return FIXAR_COPY_GONE;
	if (status & FIXAR_XDMA_STATUS_ERRORS)
		goto fault;
	if (!(status & FIXAR_XDMA_STATUS_DESC_STOPPED) || channel->draining)
		return FIXAR_COPY_NOTHING;

	completed = fixar_xdma_completed(channel);
	if (fixar_all_ones(completed))
		return FIXAR_COPY_GONE;
	if (completed != run->count)
		goto fault;
	for (i = 0; status & FIXAR_XDMA_STATUS_BUSY; i++) {
		if (i == FIXAR_BUSY_READS) {
			channel->draining = true;
			return FIXAR_COPY_DRAIN;
		}
		status = fixar_xdma_status(channel);
		if (fixar_all_ones(status))
			return FIXAR_COPY_GONE;
	}
	return fixar_copy_ended(channel);

fault:
	/*
	 * The channel is recovery's now; it never starts from here again before
	 * fixar_copy_restart().
	 */
	channel->fault = status;
	channel->stopped = true;
	return FIXAR_COPY_FAULT;
}

/* With no lock held. */
static void fixar_copy_act(struct fixar_channel *channel, enum fixar_copy_found found,
			   struct fixar_job *done)
{
	struct fixar_device *fdev = channel->engine.fdev;

	switch (found) {
	case FIXAR_COPY_NOTHING:
		break;
	case FIXAR_COPY_MORE:
	case FIXAR_COPY_DRAIN:
		queue_work(fdev->fill_wq, &channel->refill);
		break;
	case FIXAR_COPY_DONE:
		fixar_job_finish(done, 0);
		break;
	case FIXAR_COPY_FAULT:
		fixar_event(fdev, FIXAR_EVENT_CHANNEL + channel->bit);
		break;
	case FIXAR_COPY_GONE:
		fixar_event(fdev, FIXAR_EVENT_GONE);
		break;
	}
}

/*
 * In the refill work: wait until a channel whose run has ended is idle, and go on as the interrupt
 * would have. If it stays busy, recovery stops it.
 */
static void fixar_copy_drain(struct fixar_channel *channel)
{
	enum fixar_copy_found found = FIXAR_COPY_NOTHING;
	struct fixar_job *done = NULL;
	unsigned long irq;
	int ret;

	if (!READ_ONCE(channel->draining))
		return;
	ret = fixar_xdma_wait_idle(channel);
	spin_lock_irqsave(&channel->lock, irq);
	if (channel->draining && channel->running >= 0 && !channel->stopped) {
		if (!ret) {
			found = fixar_copy_ended(channel);
		} else if (ret == -ENODEV) {
			found = FIXAR_COPY_GONE;
		} else {
			channel->fault = FIXAR_XDMA_STATUS_BUSY;
			channel->stopped = true;
			found = FIXAR_COPY_FAULT;
		}
	}
	if (found == FIXAR_COPY_DONE)
		done = fixar_copy_take(channel);
	spin_unlock_irqrestore(&channel->lock, irq);

	fixar_copy_act(channel, found, done);
}

/**
 * fixar_copy_interrupt() - a channel has something to say
 * @channel: the channel
 *
 * In hard interrupt context. The status is read with the lock held: read outside, it could belong
 * to the run before the one that is on the hardware by then.
 */
void fixar_copy_interrupt(struct fixar_channel *channel)
{
	enum fixar_copy_found found = FIXAR_COPY_NOTHING;
	struct fixar_job *done = NULL;
	unsigned long irq;
	u32 status;

	spin_lock_irqsave(&channel->lock, irq);
	status = fixar_xdma_status_clear(channel);
	if (channel->running >= 0 && !channel->stopped)
		found = fixar_copy_look(channel, status);
	else if (fixar_all_ones(status))
		found = FIXAR_COPY_GONE;
	else
		atomic_inc(&channel->engine.fdev->spurious_interrupts);
	if (found == FIXAR_COPY_DONE)
		done = fixar_copy_take(channel);
	spin_unlock_irqrestore(&channel->lock, irq);

	fixar_copy_act(channel, found, done);
}

/* ---- Watching and recovery ---- */

/**
 * fixar_copy_watch() - the watchdog's look at a channel
 * @channel: the channel
 *
 * A run that has ended, and had when the watchdog came last, is one whose interrupt was lost. A
 * count that has not moved for two periods is a hung channel.
 *
 * Return: whether the channel has a job.
 */
bool fixar_copy_watch(struct fixar_channel *channel)
{
	enum fixar_copy_found found = FIXAR_COPY_NOTHING;
	struct fixar_device *fdev = channel->engine.fdev;
	struct fixar_job *done = NULL;
	unsigned long irq;
	u32 completed, strikes;
	bool lost = false;
	bool hung = false;
	bool active;

	spin_lock_irqsave(&channel->lock, irq);
	active = channel->job;
	if (channel->running < 0 || channel->stopped)
		goto out;
	completed = fixar_xdma_completed(channel);
	if (fixar_all_ones(completed)) {
		found = FIXAR_COPY_GONE;
		goto out;
	}
	if (channel->serial != channel->seen_serial || completed != channel->seen_count) {
		channel->seen_serial = channel->serial;
		channel->seen_count = completed;
		channel->strikes = 0;
		goto out;
	}
	strikes = channel->strikes;
	found = fixar_copy_look(channel, fixar_xdma_status_clear(channel));
	lost = found != FIXAR_COPY_GONE &&
	       (found != FIXAR_COPY_NOTHING || channel->serial != channel->seen_serial);
	if (found == FIXAR_COPY_NOTHING && !lost) {
		channel->strikes = strikes + 1;
		hung = channel->strikes >= FIXAR_STRIKES;
	}
	if (hung) {
		channel->fault = 0;
		channel->stopped = true;
		found = FIXAR_COPY_FAULT;
	}
	if (found == FIXAR_COPY_DONE)
		done = fixar_copy_take(channel);
out:
	spin_unlock_irqrestore(&channel->lock, irq);

	if (lost) {
		atomic_inc(&fdev->lost_interrupts);
		fixar_rung(fdev, FIXAR_RUNG_POLL, channel->engine.name);
	}
	fixar_copy_act(channel, found, done);
	return active;
}

/*
 * Nothing is filled or started until fixar_copy_restart(). A run on the hardware goes on:
 * fixar_xdma_halt() is next.
 */
void fixar_copy_stop(struct fixar_channel *channel)
{
	unsigned long irq;

	mutex_lock(&channel->fill);
	spin_lock_irqsave(&channel->lock, irq);
	channel->stopped = true;
	spin_unlock_irqrestore(&channel->lock, irq);
	mutex_unlock(&channel->fill);
}

/* End the job of a stopped channel that is idle, or cut off from the bus. */
void fixar_copy_fail(struct fixar_channel *channel, int error)
{
	struct fixar_job *job;
	unsigned long irq;

	mutex_lock(&channel->fill);
	spin_lock_irqsave(&channel->lock, irq);
	job = fixar_copy_take(channel);
	spin_unlock_irqrestore(&channel->lock, irq);
	mutex_unlock(&channel->fill);
	if (job)
		fixar_job_finish(job, error);
}

/*
 * A stopped, idle channel works again. The job that is on it, interrupted or never begun, begins
 * anew: a copy may be repeated. If its context was faulted or lost meanwhile, it ends instead.
 */
void fixar_copy_restart(struct fixar_channel *channel)
{
	struct fixar_job *job;
	unsigned long irq;
	int ret = 0;
	int i;

	mutex_lock(&channel->fill);
	/*
	 * Only filling and recovery give a job up for another, and both hold `fill`. A stopped
	 * channel ends none itself.
	 */
	job = channel->job;
	if (job)
		ret = fixar_job_check(job);
	spin_lock_irqsave(&channel->lock, irq);
	if (ret) {
		fixar_copy_take(channel);
	} else {
		job = NULL;
		if (channel->job)
			memset(&channel->job->cursor, 0, sizeof(channel->job->cursor));
		for (i = 0; i < FIXAR_RUNS; i++)
			channel->runs[i].filled = false;
		channel->running = -1;
		channel->draining = false;
		channel->exhausted = false;
	}
	channel->next = 0;
	channel->fault = 0;
	channel->strikes = 0;
	channel->stopped = false;
	spin_unlock_irqrestore(&channel->lock, irq);
	if (!ret)
		fixar_copy_pump(channel);
	mutex_unlock(&channel->fill);
	if (job)
		fixar_job_finish(job, ret);
}

/* Which copy a descriptor belonged to, and where in the arena it was. */
static void fixar_copy_blame(struct fixar_channel *channel, struct fixar_job *job, u32 fault,
			     u32 status)
{
	u32 completed = fixar_xdma_completed(channel);
	const struct fixar_xdma_descriptor *d;
	const struct fixar_run *run;
	u64 address;

	if (channel->running < 0) {
		fixar_context_fault(job, fault, status, 0, 0);
		return;
	}
	run = &channel->runs[channel->running];
	completed = min(completed, run->count - 1);
	d = &run->descriptors[completed];
	address =
		channel->to_card
			? (u64)le32_to_cpu(d->destination_hi) << 32 | le32_to_cpu(d->destination_lo)
			: (u64)le32_to_cpu(d->source_hi) << 32 | le32_to_cpu(d->source_lo);
	fixar_context_fault(job, fault, status, run->piece[completed], address - job->ctx->base);
}

/**
 * fixar_copy_recover() - the rung of one channel: stop it, and blame or repeat its job
 * @channel: with a fault, or hung
 *
 * In recovery. A failed copy ends with -EIO; one that hung, or whose count was wrong, is tried once
 * more first.
 *
 * Return: false if the channel does not fall idle. It is stopped then, and keeps its job.
 */
bool fixar_copy_recover(struct fixar_channel *channel)
{
	struct fixar_device *fdev = channel->engine.fdev;
	struct fixar_job *job;
	u32 status;

	fixar_copy_stop(channel);
	fixar_rung(fdev, FIXAR_RUNG_CHANNEL, channel->engine.name);
	fixar_xdma_halt(channel);
	job = channel->job;
	if (fixar_xdma_wait_idle(channel)) {
		/*
		 * After the bus reset the job is repeated, but not for ever: its context's fault
		 * ends it there.
		 */
		if (job && job->restarted)
			fixar_copy_blame(channel, job, DRM_FIXAR_FAULT_TIMEOUT, channel->fault);
		else if (job)
			job->restarted = true;
		return false;
	}
	status = channel->fault | (fixar_xdma_status_clear(channel) & FIXAR_XDMA_STATUS_ERRORS);
	dev_warn(fixar_dev(fdev), "%s stopped: status %#010x, %u descriptors completed\n",
		 channel->engine.name, status, fixar_xdma_completed(channel));

	/* Stopped and idle: nobody but us touches the job. */
	if (job && (status & FIXAR_XDMA_STATUS_ERRORS)) {
		fixar_copy_blame(channel, job, DRM_FIXAR_FAULT_COPY, status);
		fixar_copy_fail(channel, -EIO);
	} else if (job && job->restarted) {
		fixar_copy_blame(channel, job, DRM_FIXAR_FAULT_TIMEOUT, status);
		fixar_copy_fail(channel, -ETIMEDOUT);
	} else if (job) {
		job->restarted = true;
	}
	fixar_copy_restart(channel);
	return true;
}

/* The channel of a direction with the fewest unfinished jobs. */
struct fixar_engine *fixar_copy_least_loaded(struct fixar_device *fdev, u32 queue)
{
	bool to_card = queue == DRM_FIXAR_QUEUE_H2C;
	u32 first = to_card ? 0 : fdev->info.h2c_channels;
	u32 count = to_card ? fdev->info.h2c_channels : fdev->info.c2h_channels;
	struct fixar_engine *best = &fdev->channels[first].engine;
	struct fixar_engine *engine;
	u32 i;

	for (i = 1; i < count; i++) {
		engine = &fdev->channels[first + i].engine;
		if (atomic_read(&engine->load) < atomic_read(&best->load))
			best = engine;
	}
	return best;
}

/* ---- Memory ---- */

/* Locks and descriptor memory of the channels that were found. */
int fixar_copy_init(struct fixar_device *fdev)
{
	struct device *dev = fixar_dev(fdev);
	struct fixar_channel *channel;
	struct fixar_run *run;
	u32 i, j;
	int ret;

	fdev->zeros = dmam_alloc_coherent(dev, FIXAR_ZERO_BYTES, &fdev->zeros_dma, GFP_KERNEL);
	if (!fdev->zeros)
		return -ENOMEM;

	for (i = 0; i < fdev->channel_count; i++) {
		channel = &fdev->channels[i];
		ret = drmm_mutex_init(&fdev->drm, &channel->fill);
		if (ret)
			return ret;
		spin_lock_init(&channel->lock);
		INIT_WORK(&channel->refill, fixar_copy_refill);
		channel->running = -1;
		for (j = 0; j < FIXAR_RUNS; j++) {
			run = &channel->runs[j];
			/* Aligned to its size, so blocks do not cross pages. */
			run->descriptors =
				dmam_alloc_coherent(dev, FIXAR_RUN_BYTES, &run->dma, GFP_KERNEL);
			if (!run->descriptors)
				return -ENOMEM;
		}
	}
	return 0;
}
