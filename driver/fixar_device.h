/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's structures and the calls between its files.
 *
 * Lifetimes. What an open file can reach (this struct, schedulers, arena allocator, work queues,
 * contexts) lives as long as the drm_device (drmm). Registers, vectors, descriptor memory live as
 * long as the driver is bound (devm) and are touched only inside drm_dev_enter(), or by interrupt
 * handlers and works that remove() ends before.
 *
 * Locks, outermost first; a lock not named is a leaf.
 *
 *	fixar_device.recovery_lock	mutex: one recovery, external reset or suspend at a time
 *	fixar_file.lock			mutex: a file's submissions and contexts. Allocates
 *	fixar_device.bo_lock		mutex: the list of buffers
 *	fixar_bo.lock			mutex: a buffer's DMA mapping. Allocates
 *	dma_resv of buffers		in a submission. Allocates
 *	fixar_channel.fill, fixar_core.fill
 *					mutexes: who writes descriptors or command slots. NEVER held
 *					around an allocation: jobs cannot finish without them
 *	fixar_device.context_lock	spinlock: the list of contexts
 *	fixar_context.lock		spinlock: state and list of jobs. Not taken in interrupts
 *	fixar_channel.lock, fixar_core.lock
 *					spinlocks, interrupts off: what is on the hardware
 *	fence locks			hardware -> scheduler's finished -> job's -> gate
 *
 * A fence is never signalled with a channel's or the core's lock held.
 */
#ifndef FIXAR_DEVICE_H
#define FIXAR_DEVICE_H

#include <linux/bitfield.h>
#include <linux/dma-fence.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_mm.h>
#include <drm/drm_syncobj.h>
#include <drm/fixar_accel.h>

#include "fixar_compat.h"
#include <hw/fixar_arena.h>
#include <hw/fixar_regs.h>
#include <hw/fixar_xdma.h>

#define FIXAR_NAME "fixar"
#define FIXAR_CHANNELS (2 * FIXAR_XDMA_CHANNELS_MAX)
#define FIXAR_QUEUES 3

#define FIXAR_MAX_OPERATIONS 64 /* of one job */
#define FIXAR_MAX_SYNCS 16	/* in-fences, and out-fences, of one job */
#define FIXAR_MAX_PENDING 256	/* unfinished jobs of a context */
#define FIXAR_MAX_CONTEXTS 64	/* of a file */

#define FIXAR_STRIKES 2 /* periods of the watchdog without a change: hung */

/*
 * A run: the descriptors of one start of a channel. Two per channel: one runs while the other is
 * filled.
 */
#define FIXAR_RUN_DESCRIPTORS 2048u
#define FIXAR_RUNS 2
/*
 * Not the 2^28 - 1 that is possible: the watchdog sees a channel's progress descriptor by
 * descriptor.
 */
#define FIXAR_DESCRIPTOR_BYTES 0x1000000u
/* Arenas are zeroed from this much zeroed host memory, over and over. */
#define FIXAR_ZERO_BYTES 0x40000u

struct fixar_context;
struct fixar_device;
struct fixar_job;

/* ---- Fences ---- */

/*
 * All fences of the driver have the operations of the kernel's stub fence, whose code is in the
 * kernel itself, carry their own lock and are freed by kfree_rcu(). So a sync_file may keep one
 * past unplug and rmmod. Kernels that detach operations from signalled fences need no stub's. For
 * the same reason scheduler fences, which point to the scheduler, are never given away.
 */
struct fixar_fence {
	struct dma_fence base; /* first: dma_fence_free() frees this struct */
	spinlock_t lock;
};

/* A job's fence, as clients see it: signalled when the scheduler's finished fence is. */
struct fixar_done {
	struct dma_fence base; /* first */
	spinlock_t lock;
	struct dma_fence_cb cb;	   /* on the finished fence; holds a reference of this struct */
	struct fixar_context *ctx; /* until the callback has run */
	int result;		   /* written before the hardware fence is signalled */
};

/* ---- Jobs ---- */

/* A fence that a job waits for. */
struct fixar_wait {
	struct dma_fence_cb cb;
	struct fixar_job *job;
	struct dma_fence *fence;
	struct fixar_done *after; /* instead of fence, until arming: a job of ours, armed before */
	bool inherit; /* its error cancels the job */
};

struct fixar_piece {	     /* a copy */
	struct fixar_bo *bo; /* NULL: zeros */
	u64 bo_offset;
	u64 arena_offset;
	u64 bytes;
};

/* Where the filling of descriptors stands. */
struct fixar_cursor {
	struct scatterlist *sg; /* NULL: the piece was not begun */
	u64 sg_offset;
	u64 done; /* bytes of the piece */
	u32 piece;
};

struct fixar_job {
	struct drm_sched_job base;
	struct fixar_device *fdev;
	struct fixar_context *ctx;
	struct fixar_engine *engine;
	u32 queue;
	u32 count;  /* of pieces or commands */
	u64 number; /* in the context, from 1 */
	u64 bytes;
	struct fixar_piece *pieces;	/* of copies */
	struct fixar_command *commands; /* of the core */
	struct drm_fixar_mode mode;

	struct fixar_fence *hw;
	struct fixar_fence *gate; /* signalled when all waits are, or are cancelled */
	struct fixar_done *out;
	struct fixar_wait *waits;
	u32 wait_count;
	u32 wait_room;
	atomic_t waiting;

	struct list_head link; /* in fixar_context.jobs, under its lock */
	struct work_struct reap;
	ktime_t started;
	struct fixar_cursor cursor; /* under fixar_channel.fill */
	bool restarted;		    /* a copy that hung once, commands that were refused once */
	bool pushed;
};

/* ---- Engines: what a scheduler feeds ---- */

struct fixar_engine {
	struct drm_gpu_scheduler sched;
	struct fixar_device *fdev;
	char name[16];
	u32 queue;
	u32 index;     /* of a channel in its queue */
	atomic_t load; /* jobs submitted and not finished */
	atomic64_t jobs;
	atomic64_t operations;
	atomic64_t bytes;
	atomic64_t errors;
	atomic64_t busy_ns;
};

struct fixar_run {
	struct fixar_xdma_descriptor *descriptors;
	dma_addr_t dma;
	u32 count;
	u64 bytes;
	bool filled; /* under fixar_channel.lock */
	u8 piece[FIXAR_RUN_DESCRIPTORS];
};

struct fixar_channel {
	struct fixar_engine engine;
	bool to_card;
	u32 bit; /* in the interrupt block, and the vector's number */
	void __iomem *regs;
	void __iomem *sgdma;

	struct mutex fill; /* who writes descriptors; no allocation under it */
	struct work_struct refill;
	struct fixar_run runs[FIXAR_RUNS];

	spinlock_t lock; /* all below */
	struct fixar_job *job;
	int running;	/* index of the run on the hardware, or -1 */
	int next;	/* the run to fill next: runs start in the order in which they are filled */
	bool exhausted; /* nothing is left to fill */
	bool draining;	/* the run has ended, but the channel still shows BUSY */
	bool stopped;	/* start nothing: recovery or removal is at work */
	u32 fault;	/* status that asked for recovery */
	u32 serial;	/* counts starts, for the watchdog */
	u32 seen_serial;
	u32 seen_count;
	u32 strikes;
};

struct fixar_core {
	struct fixar_engine engine;
	struct mutex fill; /* who writes registers and slots; no allocation under it */
	struct work_struct refill;

	/* What the registers hold; under fill. */
	u64 window; /* id of the context, 0: none */
	struct drm_fixar_mode mode;
	bool mode_valid;

	spinlock_t lock; /* all below */
	struct fixar_job *job;
	u32 next;  /* the command to write next */
	u32 first; /* sequence number of command 0 of the job */
	u32 submitted;
	u32 completed;
	bool stopped;
	u32 access_error; /* the refused write that asked for recovery */
	ktime_t moved;	  /* when `completed` did */
	u32 seen_completed;
	u32 seen_progress;
	u32 strikes;
};

/* ---- Clients, contexts, buffers ---- */

struct fixar_client { /* outlives its file, while jobs run */
	struct kref ref;
	u64 id;
	atomic64_t busy_ns[FIXAR_QUEUES];
	atomic64_t bytes[FIXAR_QUEUES];
	atomic64_t arena_bytes;
};

struct fixar_file {
	struct fixar_device *fdev;
	struct fixar_client *client;
	struct mutex lock; /* see above */
	struct xarray contexts;
	u32 context_count;
};

struct fixar_context {
	struct kref ref; /* the handle, each job, each unsignalled job fence */
	struct fixar_device *fdev;
	struct fixar_client *client;
	u64 id; /* never reused: tells the core's window what it shows */
	struct drm_mm_node node;
	u64 base; /* AXI address */
	u64 bytes;
	u32 mem_epoch;
	struct work_struct release;
	struct list_head link; /* in fixar_device.contexts, under context_lock */

	struct drm_sched_entity channels[FIXAR_CHANNELS];
	struct drm_sched_entity core;
	u32 entities; /* of channels, that are initialized */
	bool core_entity;

	/* Under fixar_file.lock. */
	struct drm_fixar_mode mode;
	u64 fence_context[FIXAR_QUEUES];
	u32 fence_seqno[FIXAR_QUEUES];
	struct dma_fence *last[FIXAR_QUEUES]; /* of the last job */
	struct fixar_engine *last_engine[FIXAR_QUEUES];
	struct dma_fence *zeroed;
	u64 jobs_submitted;

	atomic_t pending;
	atomic64_t jobs_finished;
	atomic64_t core_ns;

	spinlock_t lock; /* all below; states are also read without */
	struct list_head jobs;
	bool dead; /* destroyed: jobs that have not started end with -ECANCELED */
	u32 state;
	u32 fault;
	u32 core_error;
	u32 dma_status;
	u32 fault_queue;
	u32 fault_operation;
	u64 fault_job;
	u64 fault_offset;
};

struct fixar_bo {
	struct drm_gem_shmem_object base;
	struct mutex lock; /* the mapping: sgt, mapped_bytes, gone */
	struct sg_table *sgt; /* mapped for the card; under lock */
	u64 mapped_bytes;
	bool gone;	       /* the device was removed: never mapped again */
	struct list_head link; /* in fixar_device.bos, under bo_lock */
};

/* ---- The device ---- */

enum fixar_state {
	FIXAR_PROBING,
	FIXAR_OK,
	FIXAR_RECOVERING, /* jobs are accepted and wait */
	FIXAR_SUSPENDED,
	FIXAR_GONE, /* final */
};

/* Bits of fixar_device.events: why recovery has to look. Channels follow, one bit each. */
enum fixar_event {
	FIXAR_EVENT_GONE,
	FIXAR_EVENT_RESET,
	FIXAR_EVENT_MEMORY,
	FIXAR_EVENT_CATTRIP,
	FIXAR_EVENT_CORE_ERROR,
	FIXAR_EVENT_CORE_ACCESS,
	FIXAR_EVENT_CORE_COUNT,
	FIXAR_EVENT_CORE_HUNG,
	FIXAR_EVENT_CHANNEL,
	FIXAR_EVENTS = FIXAR_EVENT_CHANNEL + FIXAR_CHANNELS,
};

enum fixar_rung {
	FIXAR_RUNG_POLL,    /* an interrupt was lost */
	FIXAR_RUNG_RESUME,  /* the core refused a command */
	FIXAR_RUNG_CHANNEL, /* a channel was stopped */
	FIXAR_RUNG_CORE,    /* soft reset */
	FIXAR_RUNG_BUS,	    /* function or bus reset */
	FIXAR_RUNG_UNPLUG,
};

struct fixar_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *bar; /* the core */
	void __iomem *xdma;

	struct drm_fixar_query_device info; /* constant after probe, but state and mem_epoch */
	u64 memory_base;
	u32 user_irq;

	struct fixar_channel channels[FIXAR_CHANNELS]; /* H2C, then C2H right behind */
	u32 channel_count;
	struct fixar_core core;
	void *zeros;
	dma_addr_t zeros_dma;

	struct mutex arena_lock; /* mm, context_count; nothing is allocated under it */
	struct drm_mm mm;
	u32 context_count;
	spinlock_t context_lock; /* contexts */
	struct list_head contexts;
	atomic64_t context_ids;
	atomic_t dying;	/* contexts without a handle that still have their arena */
	atomic_t freed; /* counts those that had */
	wait_queue_head_t context_freed;

	struct mutex bo_lock; /* bos */
	struct list_head bos;

	spinlock_t state_lock; /* changes of state; interrupts off */
	enum fixar_state state;
	unsigned long events;  /* atomic bits */
	unsigned long flags;   /* atomic bits: */
#define FIXAR_FLAG_NODE 0      /* drm_dev_register() has ended well; drm_dev_unplug() is due */
#define FIXAR_FLAG_EXTERNAL 1  /* somebody else resets the function */
#define FIXAR_FLAG_REMOVING 2
	struct mutex recovery_lock; /* see above */
	struct task_struct *reset_owner; /* whose reset calls our own callbacks */
	u32 reset_tries;
	struct workqueue_struct *recovery_wq; /* ordered */
	struct workqueue_struct *fill_wq;
	struct delayed_work recovery;
	struct delayed_work watchdog;
	u32 mem_epoch;
	u32 mem_cookie;
	atomic_t core_resets;
	atomic_t device_resets;
	atomic_t lost_interrupts;
	atomic_t spurious_interrupts;
	atomic_t irq_left; /* of a single vector: channels, and the core, for the thread */

	atomic_t jobs; /* jobs not freed, and job fences not signalled */
	wait_queue_head_t jobs_idle;

	spinlock_t default_lock; /* default_mode; a leaf */
	struct drm_fixar_mode default_mode;
	struct mutex query_lock; /* the two below */
	struct drm_fixar_query_counters counters;
	struct drm_fixar_mode live_mode;
};

static inline struct fixar_device *to_fixar(struct drm_device *drm)
{
	return container_of(drm, struct fixar_device, drm);
}

static inline struct fixar_bo *to_fixar_bo(struct drm_gem_object *obj)
{
	return container_of(to_drm_gem_shmem_obj(obj), struct fixar_bo, base);
}

static inline u32 fixar_read(struct fixar_device *fdev, u32 offset)
{
	return readl(fdev->bar + offset);
}

/* Ordered behind all earlier writes to memory (writel): a doorbell is one of these. */
static inline void fixar_write(struct fixar_device *fdev, u32 offset, u32 value)
{
	writel(value, fdev->bar + offset);
}

static inline struct device *fixar_dev(struct fixar_device *fdev)
{
	return &fdev->pdev->dev;
}

/* How trace points name a card: domain, bus, device and function. */
static inline u32 fixar_trace_card(const struct fixar_device *fdev)
{
	return (u32)pci_domain_nr(fdev->pdev->bus) << 16 | pci_dev_id(fdev->pdev);
}

/* All-ones: no register that is asked this can hold it (HARDWARE.md, section 4). */
static inline bool fixar_all_ones(u32 value)
{
	return value == U32_MAX;
}

/* fixar_device.c */
int fixar_device_init(struct fixar_device *fdev);
int fixar_device_identify(struct fixar_device *fdev);
int fixar_device_check(struct fixar_device *fdev, bool *lost);
int fixar_wait_memory(struct fixar_device *fdev);
bool fixar_set_state(struct fixar_device *fdev, enum fixar_state to);
enum fixar_state fixar_state(struct fixar_device *fdev);
u64 fixar_read64(struct fixar_device *fdev, u32 offset);

/* fixar_irq.c */
int fixar_irq_init(struct fixar_device *fdev);
void fixar_irq_enable(struct fixar_device *fdev);
void fixar_irq_disable(struct fixar_device *fdev);
void fixar_irq_off(struct fixar_device *fdev);

/* fixar_xdma.c */
int fixar_xdma_identify(struct fixar_device *fdev);
int fixar_xdma_init(struct fixar_device *fdev);
int fixar_xdma_reinit(struct fixar_device *fdev);
void fixar_xdma_start(struct fixar_channel *channel, const struct fixar_run *run);
void fixar_xdma_halt(struct fixar_channel *channel);
int fixar_xdma_wait_idle(struct fixar_channel *channel);
u32 fixar_xdma_status(struct fixar_channel *channel);
u32 fixar_xdma_status_clear(struct fixar_channel *channel);
u32 fixar_xdma_completed(struct fixar_channel *channel);

/* fixar_copy.c */
extern const struct drm_sched_backend_ops fixar_copy_sched_ops;
int fixar_copy_init(struct fixar_device *fdev);
struct fixar_engine *fixar_copy_least_loaded(struct fixar_device *fdev, u32 queue);
void fixar_copy_interrupt(struct fixar_channel *channel);
void fixar_copy_stop(struct fixar_channel *channel);
void fixar_copy_restart(struct fixar_channel *channel);
void fixar_copy_fail(struct fixar_channel *channel, int error);
bool fixar_copy_watch(struct fixar_channel *channel);
bool fixar_copy_recover(struct fixar_channel *channel);

/* fixar_core.c */
extern const struct drm_sched_backend_ops fixar_core_sched_ops;
int fixar_core_init(struct fixar_device *fdev);
void fixar_core_interrupt(struct fixar_device *fdev);
void fixar_core_stop(struct fixar_device *fdev);
void fixar_core_restart(struct fixar_device *fdev);
void fixar_core_fail(struct fixar_device *fdev, u32 fault, int error);
bool fixar_core_watch(struct fixar_device *fdev);
bool fixar_core_recover(struct fixar_device *fdev, unsigned long events);
int fixar_core_soft_reset(struct fixar_device *fdev);

/* fixar_mode.c */
struct fixar_mode_field {
	const char *name;
	u16 offset; /* in struct drm_fixar_mode */
	u32 reg;
	s64 min;
	s64 max;
	bool is_signed;
};

extern const struct fixar_mode_field fixar_mode_fields[];
extern const unsigned int fixar_mode_field_count;
extern const struct drm_fixar_mode fixar_mode_initial;
u32 fixar_mode_get(const struct drm_fixar_mode *mode, const struct fixar_mode_field *field);
void fixar_mode_set(struct drm_fixar_mode *mode, const struct fixar_mode_field *field, u32 value);
bool fixar_mode_valid(const struct drm_fixar_mode *mode);

/* fixar_job.c */
int fixar_job_module_init(void);
void fixar_job_module_exit(void);
void fixar_reap(struct work_struct *work);
struct fixar_job *fixar_job_create(struct fixar_context *ctx, struct fixar_engine *engine,
				   u32 count);
void fixar_job_abort(struct fixar_job *job);
int fixar_job_wait_for(struct fixar_job *job, struct dma_fence *fence);
int fixar_job_wait_after(struct fixar_job *job, struct fixar_done *done, bool inherit);
int fixar_job_prepare(struct fixar_job *job);
void fixar_job_arm(struct fixar_job *job);
void fixar_job_push(struct fixar_job *job);
int fixar_job_check(struct fixar_job *job);
void fixar_job_finish(struct fixar_job *job, int error);
void fixar_job_free(struct drm_sched_job *sched_job);
void fixar_jobs_cancel(struct fixar_context *ctx);

/* fixar_submit.c */
int fixar_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* fixar_context.c */
int fixar_open(struct drm_device *drm, struct drm_file *file);
void fixar_postclose(struct drm_device *drm, struct drm_file *file);
struct fixar_context *fixar_context_get(struct fixar_context *ctx);
void fixar_context_put(struct fixar_context *ctx);
struct fixar_context *fixar_context_find(struct fixar_file *file, u32 handle);
void fixar_context_fault(struct fixar_job *job, u32 fault, u32 code, u32 operation, u64 offset);
void fixar_contexts_lost(struct fixar_device *fdev);
void fixar_contexts_cancel(struct fixar_device *fdev);
int fixar_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_ctx_set_mode_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_ctx_get_mode_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_ctx_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void fixar_show_fdinfo(struct drm_printer *p, struct drm_file *file);

/* fixar_gem.c */
struct drm_gem_object *fixar_gem_create_object(struct drm_device *drm, size_t size);
struct drm_gem_object *fixar_gem_import(struct drm_device *drm, struct dma_buf_attachment *attach,
					struct sg_table *sgt);
int fixar_bo_map(struct fixar_bo *bo);
void fixar_bos_unmap(struct fixar_device *fdev);
int fixar_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_bo_prep_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int fixar_bo_fini_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* fixar_arena.c */
int fixar_arena_init(struct fixar_device *fdev);
int fixar_arena_alloc(struct fixar_context *ctx, u64 bytes);
void fixar_arena_free(struct fixar_context *ctx);
void fixar_arena_query(struct fixar_device *fdev, struct drm_fixar_query_memory *memory);

/* fixar_query.c */
int fixar_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* fixar_recovery.c */
int fixar_recovery_init(struct fixar_device *fdev);
void fixar_recovery_begin(struct fixar_device *fdev);
void fixar_event(struct fixar_device *fdev, unsigned int event);
void fixar_watch(struct fixar_device *fdev);
void fixar_rung(struct fixar_device *fdev, enum fixar_rung rung, const char *why);
void fixar_shutdown(struct fixar_device *fdev);
void fixar_quiesce(struct fixar_device *fdev);
int fixar_restart(struct fixar_device *fdev);
extern const struct pci_error_handlers fixar_error_handlers;

/* fixar_pm.c */
extern const struct dev_pm_ops fixar_pm_ops;

/* fixar_sysfs.c */
extern const struct attribute_group *fixar_sysfs_groups[];

/* fixar_hwmon.c */
#if IS_ENABLED(CONFIG_HWMON)
void fixar_hwmon_init(struct fixar_device *fdev);
#else
static inline void fixar_hwmon_init(struct fixar_device *fdev)
{
}
#endif

/* fixar_debugfs.c */
#ifdef CONFIG_DEBUG_FS
void fixar_debugfs_init(struct fixar_device *fdev);
#else
static inline void fixar_debugfs_init(struct fixar_device *fdev)
{
}
#endif

#endif /* FIXAR_DEVICE_H */
