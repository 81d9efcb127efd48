/* SPDX-License-Identifier: MIT */
#ifndef __DRM_UAPI_FIXAR_ACCEL_H__
#define __DRM_UAPI_FIXAR_ACCEL_H__

/*
 * An out-of-tree module finds the kernel's drm.h by this name; a program finds libdrm's by the
 * other.
 */
#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include "drm.h"
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: Overview
 *
 * A FIXAR card trains DDPG agents in fixed point. A *context* owns an *arena*, a contiguous piece
 * of the card's memory that holds one agent. *Jobs* copy between buffer objects (host memory) and
 * the arena, or let the core execute operations on it. An agent lives in its arena from its
 * creation to its end; a training step moves a batch in and statistics out.
 *
 * A program: QUERY the device; CTX_CREATE an arena; BO_CREATE and mmap() a buffer, write header and
 * state into it, BO_FINI; SUBMIT a host-to-card job with them; CTX_SET_MODE; then again and again
 * SUBMIT batches, operations and reads of their results, wait on the out-fence
 * (DRM_IOCTL_SYNCOBJ_WAIT), BO_PREP, read, CTX_QUERY. What lies where in an arena, and what an
 * operation reads and writes, is the card's contract: driver/HARDWARE.md and
 * include/hw/fixar_arena.h.
 *
 * Waiting, synchronization objects, PRIME and closing of handles are the DRM core's
 * (DRM_IOCTL_SYNCOBJ_*, DRM_IOCTL_PRIME_*, DRM_IOCTL_GEM_CLOSE). The node is /dev/accel/accelN, or
 * a render node on kernels without the accel subsystem; the driver's name is "fixar".
 *
 * PRIME imports of other drivers' memory fail with -EOPNOTSUPP where the machine would have to copy
 * between that memory and the card's view of it (bounce buffers, caches that are not coherent):
 * nobody would know when to. Buffers of BO_CREATE work there, by BO_PREP and BO_FINI.
 */

/**
 * DOC: Rules
 *
 * - All integers are fixed width; padding and reserved fields must be 0, flags must be known ones:
 *   else -EINVAL.
 * - An ioctl's struct grows at its end. A shorter one of an older program is read as if followed by
 *   zeros; a longer one of a newer program has its tail ignored by the DRM core, so a program finds
 *   out by struct drm_fixar_query_device what the driver knows.
 * - An array is struct drm_fixar_array. An element longer than the driver knows is accepted if its
 *   tail is 0, else -E2BIG; a shorter one is accepted if it has at least the size of the first
 *   version, else -EINVAL.
 * - Pointers are user addresses in a __u64. -EFAULT: not readable or not writable.
 * - Handles are per open file. -ENOENT: there is no such buffer, context or synchronization object
 *   in this file.
 * - Each ioctl lists its errors. All of them: -ENODEV once the card is gone (what a file has ends
 *   with the file then); -EINVAL as above, and for a number that is no ioctl; -EFAULT: the argument
 *   itself cannot be read or written.
 * - -EINTR: a signal came before anything was done. The call can be repeated; libdrm's drmIoctl()
 *   does so.
 * - No ioctl returns -EAGAIN, because libdrm repeats a call on it for ever.
 */

/**
 * enum drm_fixar_ioctl_id - Numbers of the ioctls, from DRM_COMMAND_BASE.
 */
enum drm_fixar_ioctl_id {
	/** @DRM_FIXAR_QUERY: Ask about the device. */
	DRM_FIXAR_QUERY = 0x00,

	/** @DRM_FIXAR_BO_CREATE: Make a buffer in host memory. */
	DRM_FIXAR_BO_CREATE = 0x01,

	/** @DRM_FIXAR_BO_PREP: The CPU takes a buffer. */
	DRM_FIXAR_BO_PREP = 0x02,

	/** @DRM_FIXAR_BO_FINI: The CPU gives a buffer back. */
	DRM_FIXAR_BO_FINI = 0x03,

	/** @DRM_FIXAR_CTX_CREATE: Make a context and its arena. */
	DRM_FIXAR_CTX_CREATE = 0x04,

	/** @DRM_FIXAR_CTX_DESTROY: End a context. */
	DRM_FIXAR_CTX_DESTROY = 0x05,

	/** @DRM_FIXAR_CTX_SET_MODE: Set a context's mode registers. */
	DRM_FIXAR_CTX_SET_MODE = 0x06,

	/** @DRM_FIXAR_CTX_GET_MODE: Get them. */
	DRM_FIXAR_CTX_GET_MODE = 0x07,

	/** @DRM_FIXAR_CTX_QUERY: Ask how a context is. */
	DRM_FIXAR_CTX_QUERY = 0x08,

	/** @DRM_FIXAR_SUBMIT: Hand over jobs. */
	DRM_FIXAR_SUBMIT = 0x09,
};

/**
 * struct drm_fixar_array - An array of structs that may grow.
 */
struct drm_fixar_array {
	/**
	 * @stride: Bytes from one element to the next: sizeof() of the element as the program knows
	 * it. 0 if @count is 0.
	 */
	__u32 stride;

	/** @count: Number of elements. */
	__u32 count;

	/** @array: User address of the first element, 8-byte aligned. Ignored if @count is 0. */
	__u64 array;
};

/* ---- The device ---- */

/**
 * enum drm_fixar_query_type - What is asked.
 */
enum drm_fixar_query_type {
	/** @DRM_FIXAR_QUERY_DEVICE: struct drm_fixar_query_device; index 0. */
	DRM_FIXAR_QUERY_DEVICE = 0,

	/**
	 * @DRM_FIXAR_QUERY_QUEUE: struct drm_fixar_query_queue; index
	 * DRM_FIXAR_QUERY_QUEUE_INDEX().
	 */
	DRM_FIXAR_QUERY_QUEUE = 1,

	/** @DRM_FIXAR_QUERY_MEMORY: struct drm_fixar_query_memory; index 0. */
	DRM_FIXAR_QUERY_MEMORY = 2,

	/** @DRM_FIXAR_QUERY_COUNTERS: struct drm_fixar_query_counters; index 0. */
	DRM_FIXAR_QUERY_COUNTERS = 3,

	/**
	 * @DRM_FIXAR_QUERY_MODE: struct drm_fixar_mode as the card's registers hold it now; index
	 * 0.
	 */
	DRM_FIXAR_QUERY_MODE = 4,
};

/**
 * struct drm_fixar_query - Argument of DRM_IOCTL_FIXAR_QUERY: asks about the device.
 *
 * With @data 0 only @size is written: the bytes of the struct as the driver knows it. Otherwise the
 * smaller of @size and that is copied to @data, what is left of @size bytes is set to 0, and @size
 * becomes the driver's. Values are a snapshot.
 *
 * Needs no privilege beyond the open node. Works in every state of the card but "gone". While the
 * card is being recovered, register contents (counters, mode) are those that were read last.
 *
 * Errors: -EINVAL: unknown @type or @index; @data not aligned. -EFAULT: @data. -ENODEV.
 */
struct drm_fixar_query {
	/** @type: Input: DRM_FIXAR_QUERY_*. */
	__u32 type;

	/** @index: Input: which one of several, as the type says. */
	__u32 index;

	/** @size: Input: bytes at @data. Output: bytes that the driver has. */
	__u32 size;

	/** @pad: 0. */
	__u32 pad;

	/** @data: Input: user address, 8-byte aligned, or 0. */
	__u64 data;
};

/*
 * Bits of drm_fixar_query_device.capabilities. WINDOWS: the card confines the core to a context's
 * arena; without it there is one context at a time. SENSORS: the card has a management controller,
 * whose values are in hwmon. ECC: card memory detects errors.
 */
#define DRM_FIXAR_CAP_WINDOWS		(1ULL << 0)
#define DRM_FIXAR_CAP_SENSORS		(1ULL << 1)
#define DRM_FIXAR_CAP_ECC		(1ULL << 2)

/**
 * enum drm_fixar_device_state - How the card is. A card that is gone answers -ENODEV.
 */
enum drm_fixar_device_state {
	/** @DRM_FIXAR_DEVICE_OK: Jobs run. */
	DRM_FIXAR_DEVICE_OK = 0,

	/** @DRM_FIXAR_DEVICE_RECOVERING: Jobs are accepted and wait until the card was reset. */
	DRM_FIXAR_DEVICE_RECOVERING = 1,
};

/**
 * enum drm_fixar_irq_mode - How the card interrupts.
 */
enum drm_fixar_irq_mode {
	/** @DRM_FIXAR_IRQ_MSIX: MSI-X. */
	DRM_FIXAR_IRQ_MSIX = 1,

	/** @DRM_FIXAR_IRQ_MSI: MSI. */
	DRM_FIXAR_IRQ_MSI = 2,
};

/**
 * struct drm_fixar_query_device - What the card is. Constant while the node is open, but for @state
 * and @mem_epoch.
 */
struct drm_fixar_query_device {
	/** @hw_version: Of the card's contract: major << 16 | minor. */
	__u32 hw_version;
	/** @build: The designer's number of the bitstream. */
	__u32 build;
	/** @capabilities: DRM_FIXAR_CAP_*. */
	__u64 capabilities;
	/** @operations: Bit n: operation type n (DRM_FIXAR_OP_*) is implemented. */
	__u64 operations;
	/** @memory_bytes: Card memory. */
	__u64 memory_bytes;
	/** @arena_granule: Arena sizes are rounded up to this, bytes. */
	__u32 arena_granule;
	/** @operation_align: Alignment of arena offsets in operations, bytes. Copies need none. */
	__u32 operation_align;
	/** @clock_khz: Of the core: the unit of cycle counts. */
	__u32 clock_khz;
	/** @arena_schema: Schema number of arenas that the core accepts. */
	__u32 arena_schema;
	/** @max_width: Of a layer, of observations and of actions. */
	__u32 max_width;
	/** @max_hidden: Hidden layers. */
	__u32 max_hidden;
	/** @max_batch: Samples of an operation. */
	__u32 max_batch;
	/** @fifo_depth: Of the card's command queue. Jobs may be longer. */
	__u32 fifo_depth;
	/** @cores: Of the array. */
	__u32 cores;
	/** @rows: PEs of a core. */
	__u32 rows;
	/** @columns: PEs of a core. */
	__u32 columns;
	/** @half_lanes: MACs of a PE in a cycle on the half datapath. */
	__u32 half_lanes;
	/** @output_latency: Cycles from a sum to its result. */
	__u32 output_latency;
	/** @function_latency: Further cycles of tanh. */
	__u32 function_latency;
	/** @update_lanes: Elements a cycle and core of element-wise passes. */
	__u32 update_lanes;
	/** @update_latency: Cycles from an element's operands to its result. */
	__u32 update_latency;
	/** @hbm_bytes_per_cycle: Between card memory and core. */
	__u32 hbm_bytes_per_cycle;
	/** @weight_memory: On the chip, bytes. */
	__u32 weight_memory;
	/** @gradient_memory: On the chip, bytes. */
	__u32 gradient_memory;
	/** @activation_memory: On the chip, bytes. */
	__u32 activation_memory;
	/** @h2c_channels: DMA channels from host to card. */
	__u32 h2c_channels;
	/** @c2h_channels: DMA channels from card to host. */
	__u32 c2h_channels;
	/** @max_jobs: Of one submission. */
	__u32 max_jobs;
	/** @max_operations: Of one job. */
	__u32 max_operations;
	/** @max_syncs: In-fences, and out-fences, of one job. */
	__u32 max_syncs;
	/** @max_pending: Unfinished jobs of one context. */
	__u32 max_pending;
	/** @max_contexts: Of one open file. */
	__u32 max_contexts;
	/** @state: DRM_FIXAR_DEVICE_*. */
	__u32 state;
	/** @irq_mode: DRM_FIXAR_IRQ_*. */
	__u32 irq_mode;
	/** @irq_vectors: Interrupt vectors in use. */
	__u32 irq_vectors;
	/** @mem_epoch: Steps when the contents of card memory were lost. */
	__u32 mem_epoch;
	/** @pad: 0. */
	__u32 pad;
};

/**
 * enum drm_fixar_queue - Queues of the card.
 */
enum drm_fixar_queue {
	/** @DRM_FIXAR_QUEUE_H2C: Copies from host to card. */
	DRM_FIXAR_QUEUE_H2C = 0,

	/** @DRM_FIXAR_QUEUE_C2H: Copies from card to host. */
	DRM_FIXAR_QUEUE_C2H = 1,

	/** @DRM_FIXAR_QUEUE_CORE: Operations of the core. */
	DRM_FIXAR_QUEUE_CORE = 2,
};

/* In an index: one channel of a queue, or the sum of them. */
#define DRM_FIXAR_CHANNEL_ALL		0xff
#define DRM_FIXAR_QUERY_QUEUE_INDEX(queue, channel)	((__u32)(queue) | (__u32)(channel) << 8)

/**
 * struct drm_fixar_query_queue - What a queue, or one channel of it, has done since the driver was
 * loaded, for all clients.
 */
struct drm_fixar_query_queue {
	/** @queue: DRM_FIXAR_QUEUE_*. */
	__u32 queue;
	/** @channels: Channels of this queue; 1 for the core. */
	__u32 channels;
	/** @jobs: Finished jobs. */
	__u64 jobs;
	/** @operations: Finished copies or operations. */
	__u64 operations;
	/** @bytes: Copied. 0 for the core. */
	__u64 bytes;
	/** @errors: Jobs that ended with an error. */
	__u64 errors;
	/** @busy_ns: Time in which at least one job was on the hardware. */
	__u64 busy_ns;
};

/**
 * struct drm_fixar_query_memory - Card memory, all clients together.
 */
struct drm_fixar_query_memory {
	/** @total: Bytes. */
	__u64 total;
	/** @free: Bytes in no arena. */
	__u64 free;
	/** @largest: The largest arena that could be created now, bytes. */
	__u64 largest;
	/** @contexts: Arenas. */
	__u32 contexts;
	/** @pad: 0. */
	__u32 pad;
};

/**
 * struct drm_fixar_query_counters - The core's counters since the card was reset, and the driver's
 * since it was loaded.
 */
struct drm_fixar_query_counters {
	/** @timestamp: Cycles of the core's clock. */
	__u64 timestamp;
	/** @busy_cycles: Cycles in which the core had a command. */
	__u64 busy_cycles;
	/** @array_cycles: Cycles in which the array was in a product. */
	__u64 array_cycles;
	/** @commands: Completed. */
	__u64 commands;
	/** @macs: Multiply-accumulates. */
	__u64 macs;
	/** @samples: Samples trained on. */
	__u64 samples;
	/** @actions: Observations acted on. */
	__u64 actions;
	/** @read_bytes: Read by the core from card memory. */
	__u64 read_bytes;
	/** @write_bytes: Written by the core to card memory. */
	__u64 write_bytes;
	/** @ecc_corrected: Memory errors. */
	__u64 ecc_corrected;
	/** @ecc_uncorrected: Memory errors. */
	__u64 ecc_uncorrected;
	/** @core_resets: Soft resets by the driver. */
	__u32 core_resets;
	/** @device_resets: Function or bus resets by the driver. */
	__u32 device_resets;
	/** @lost_interrupts: Completions found by looking. */
	__u32 lost_interrupts;
	/** @pad: 0. */
	__u32 pad;
};

/* ---- Buffer objects ---- */

/**
 * struct drm_fixar_bo_create - Argument of DRM_IOCTL_FIXAR_BO_CREATE: makes a buffer in host
 * memory.
 *
 * The memory is zeroed, cached, and belongs to the file until the handle is closed, all mappings
 * are gone and all jobs with it are finished. Between a job and the CPU stands BO_PREP or BO_FINI,
 * on machines with coherent DMA too (bounce buffers).
 *
 * Errors: -EINVAL: @size 0 or beyond what the machine can address; an unknown flag. -ENOMEM: also
 * above half of the machine's memory. -ENOSPC: no room for an mmap offset, or for a handle.
 * -ENODEV. The memory itself is taken when it is first used: SUBMIT says -ENOMEM, or an access
 * through the mapping ends in SIGBUS, if there is none.
 */
struct drm_fixar_bo_create {
	/** @size: Input: bytes. Output: rounded up to whole pages. */
	__u64 size;

	/** @flags: Input: 0. */
	__u32 flags;

	/** @handle: Output: GEM handle, never 0. */
	__u32 handle;

	/** @mmap_offset: Output: offset for mmap() on the node. */
	__u64 mmap_offset;
};

/* What the CPU does with a buffer. */
#define DRM_FIXAR_BO_READ		(1 << 0)
#define DRM_FIXAR_BO_WRITE		(1 << 1)

/**
 * struct drm_fixar_bo_prep - Argument of DRM_IOCTL_FIXAR_BO_PREP: the CPU takes a buffer.
 *
 * Waits until no unfinished job writes the buffer (READ) or uses it at all (WRITE), then makes the
 * CPU see what the card wrote. A failed job counts as finished: CTX_QUERY says so. For an imported
 * buffer it waits only; its exporter's DMA_BUF_IOCTL_SYNC does the rest.
 *
 * Errors: -EINVAL: no flag, or an unknown one. -ENOENT: @handle. -EBUSY: busy and @timeout_ns not
 * after now. -ETIMEDOUT. -EINTR: a signal, where the kernel does not repeat the call by itself.
 * -ENODEV.
 */
struct drm_fixar_bo_prep {
	/** @handle: Input: GEM handle. */
	__u32 handle;

	/** @flags: Input: DRM_FIXAR_BO_READ, DRM_FIXAR_BO_WRITE or both. */
	__u32 flags;

	/** @timeout_ns: Input: absolute, CLOCK_MONOTONIC; 0 asks without waiting. */
	__s64 timeout_ns;
};

/**
 * struct drm_fixar_bo_fini - Argument of DRM_IOCTL_FIXAR_BO_FINI: the CPU gives a buffer back.
 *
 * Makes the card see what the CPU wrote. To be called before the SUBMIT of a job that uses the
 * buffer. Never waits.
 *
 * Errors: -EINVAL: no flag, or an unknown one. -ENOENT: @handle. -ENODEV.
 */
struct drm_fixar_bo_fini {
	/** @handle: Input: GEM handle. */
	__u32 handle;

	/**
	 * @flags: Input: as in the BO_PREP that it ends; DRM_FIXAR_BO_WRITE after first use without
	 * one.
	 */
	__u32 flags;
};

/* ---- Contexts ---- */

/**
 * struct drm_fixar_ctx_create - Argument of DRM_IOCTL_FIXAR_CTX_CREATE: makes a context and its
 * arena.
 *
 * The arena reads as zeros; jobs of the context wait until it does. It is gone with the context.
 * There is no migration and no overcommitment: the size is fixed and the memory is there, or the
 * call fails.
 *
 * The context's mode is the device's default for new contexts (root sets it in sysfs; initially
 * struct drm_fixar_mode's documented defaults).
 *
 * If there is no room, but contexts were destroyed whose last job still runs, the call waits for
 * their memory.
 *
 * Errors: -EINVAL: @size 0 or above the card's memory; an unknown flag. -ENOSPC: no such contiguous
 * piece is free, or the file has max_contexts. -EBUSY: the card lacks DRM_FIXAR_CAP_WINDOWS and
 * another context exists. -EINTR. -ENOMEM. -ENODEV.
 */
struct drm_fixar_ctx_create {
	/** @size: Input: bytes of the arena. Output: rounded up to arena_granule. */
	__u64 size;

	/** @flags: Input: 0. */
	__u32 flags;

	/** @handle: Output: never 0. */
	__u32 handle;
};

/**
 * struct drm_fixar_ctx_destroy - Argument of DRM_IOCTL_FIXAR_CTX_DESTROY.
 *
 * Returns at once. Jobs that have not started end with -ECANCELED; one that runs is finished. The
 * arena is zeroed before its memory goes to another context. Closing the file destroys its
 * contexts.
 *
 * Errors: -EINVAL: @pad. -ENOENT: @handle. -ENODEV.
 */
struct drm_fixar_ctx_destroy {
	/** @handle: Input: context. */
	__u32 handle;

	/** @pad: 0. */
	__u32 pad;
};

/**
 * enum drm_fixar_precision - Values of drm_fixar_mode.precision.
 */
enum drm_fixar_precision {
	/** @DRM_FIXAR_PRECISION_FULL: Operands are the 32-bit masters. */
	DRM_FIXAR_PRECISION_FULL = 0,

	/** @DRM_FIXAR_PRECISION_QUANTIZED: Operands go through the quantizers in the arena. */
	DRM_FIXAR_PRECISION_QUANTIZED = 1,
};

/*
 * drm_fixar_mode.quantization: training keeps the ranges of activations and gradients in the arena.
 */
#define DRM_FIXAR_QUANTIZATION_OBSERVE	(1 << 0)

/**
 * enum drm_fixar_parallelism - Values of drm_fixar_mode.parallelism. It changes no bit of any
 * result.
 */
enum drm_fixar_parallelism {
	/** @DRM_FIXAR_PARALLELISM_AUTO: For each product the faster one. */
	DRM_FIXAR_PARALLELISM_AUTO = 0,

	/** @DRM_FIXAR_PARALLELISM_LAYER: Intra-layer: one sample after the other. */
	DRM_FIXAR_PARALLELISM_LAYER = 1,

	/** @DRM_FIXAR_PARALLELISM_BATCH: Intra-batch: samples side by side. */
	DRM_FIXAR_PARALLELISM_BATCH = 2,
};

/**
 * enum drm_fixar_noise - Values of drm_fixar_mode.noise.
 */
enum drm_fixar_noise {
	/** @DRM_FIXAR_NOISE_NONE: None. */
	DRM_FIXAR_NOISE_NONE = 0,

	/** @DRM_FIXAR_NOISE_GAUSSIAN: Independent, of deviation sigma. */
	DRM_FIXAR_NOISE_GAUSSIAN = 1,

	/** @DRM_FIXAR_NOISE_OU: Ornstein-Uhlenbeck, of sigma and theta. */
	DRM_FIXAR_NOISE_OU = 2,
};

/**
 * struct drm_fixar_mode - The mode registers, all of them. "Fraction f": the integer stands for
 * itself / 2^f.
 *
 * The driver's own defaults are in brackets.
 */
struct drm_fixar_mode {
	/** @precision: DRM_FIXAR_PRECISION_* [FULL]. */
	__u32 precision;
	/** @quantization: DRM_FIXAR_QUANTIZATION_* [0]. */
	__u32 quantization;
	/** @parallelism: DRM_FIXAR_PARALLELISM_* [AUTO]. */
	__u32 parallelism;
	/** @noise: DRM_FIXAR_NOISE_* [NONE]. */
	__u32 noise;
	/** @noise_sigma: Fraction 22, 0 to 2^26 (16.0) [0]. */
	__u32 noise_sigma;
	/** @noise_theta: Fraction 22, 0 to 2^22 (1.0) [0]. */
	__u32 noise_theta;
	/** @discount: Fraction 31, 0 to 2^31 - 1 [0.99: 2126008812]. */
	__u32 discount;
	/** @tau: Fraction 31, 1 to 2^31 [0.005: 10737418]. */
	__u32 tau;
	/** @beta1: Fraction 31, 0 to 2^31 - 2^11 [0.9: 1932735283]. */
	__u32 beta1;
	/** @one_minus_beta2: Fraction 32, 2^12 to 2^31 - 1 [0.001: 4294967]. */
	__u32 one_minus_beta2;
	/**
	 * @rate_mantissa: Learning rate of actor, critic = mantissa / 2^exponent; 2^30 to 2^31 - 1
	 * [0.001: 1099511628].
	 */
	__u32 rate_mantissa[2];
	/** @rate_exponent: 31 to 50 [40]. */
	__u32 rate_exponent[2];
	/** @gradient_scale: Of actor, critic; log2, -2 to 6 [2, 0]. */
	__s32 gradient_scale[2];
};

/**
 * struct drm_fixar_ctx_mode - Argument of DRM_IOCTL_FIXAR_CTX_SET_MODE and
 * DRM_IOCTL_FIXAR_CTX_GET_MODE.
 *
 * SET_MODE sets all fields or none. It holds for jobs submitted after it; a job keeps the mode that
 * its context had when it was submitted. The card is not touched: the driver writes the registers
 * when the context's job runs. GET_MODE returns what SET_MODE set.
 *
 * Errors: -EINVAL: a field out of range, @pad. -ENOENT: @handle. -ENODEV.
 */
struct drm_fixar_ctx_mode {
	/** @handle: Input: context. */
	__u32 handle;

	/** @pad: 0. */
	__u32 pad;

	/** @mode: Input of SET_MODE, output of GET_MODE. */
	struct drm_fixar_mode mode;
};

/**
 * enum drm_fixar_ctx_state - How a context is.
 */
enum drm_fixar_ctx_state {
	/** @DRM_FIXAR_CTX_OK: Jobs run. */
	DRM_FIXAR_CTX_OK = 0,

	/**
	 * @DRM_FIXAR_CTX_FAULTED: A job failed; the agent's state is undefined. The context can
	 * only be destroyed.
	 */
	DRM_FIXAR_CTX_FAULTED = 1,

	/**
	 * @DRM_FIXAR_CTX_LOST: Card memory lost its contents. The context can only be destroyed.
	 */
	DRM_FIXAR_CTX_LOST = 2,
};

/**
 * enum drm_fixar_fault - Why a context is faulted or lost.
 */
enum drm_fixar_fault {
	/** @DRM_FIXAR_FAULT_NONE: It is not. */
	DRM_FIXAR_FAULT_NONE = 0,

	/**
	 * @DRM_FIXAR_FAULT_CORE: The core refused an operation or failed in it: core_error says
	 * why.
	 */
	DRM_FIXAR_FAULT_CORE = 1,

	/** @DRM_FIXAR_FAULT_TIMEOUT: An operation or a copy made no progress. */
	DRM_FIXAR_FAULT_TIMEOUT = 2,

	/**
	 * @DRM_FIXAR_FAULT_RESET: The card was reset for another reason while an operation of this
	 * context ran.
	 */
	DRM_FIXAR_FAULT_RESET = 3,

	/** @DRM_FIXAR_FAULT_COPY: A copy failed: dma_status says why. */
	DRM_FIXAR_FAULT_COPY = 4,

	/** @DRM_FIXAR_FAULT_MEMORY: Card memory lost its contents (with DRM_FIXAR_CTX_LOST). */
	DRM_FIXAR_FAULT_MEMORY = 5,
};

/**
 * struct drm_fixar_ctx_query - Argument of DRM_IOCTL_FIXAR_CTX_QUERY: how a context is.
 *
 * To be called after a wait: a wait on the fence of a failed job returns success. The first fault
 * stays. Jobs of a context are counted from 1 in the order of their submission, over all queues.
 *
 * Errors: -EINVAL: @pad, @pad2. -ENOENT: @handle. -ENODEV.
 */
struct drm_fixar_ctx_query {
	/** @handle: Input: context. */
	__u32 handle;
	/** @pad: 0. */
	__u32 pad;
	/** @state: Output: DRM_FIXAR_CTX_*. */
	__u32 state;
	/** @fault: Output: DRM_FIXAR_FAULT_*; 0 in the state OK. */
	__u32 fault;
	/** @core_error: Output: error code of the card's contract (FIXAR_ERROR_*), or 0. */
	__u32 core_error;
	/** @dma_status: Output: status of the DMA channel, or 0. */
	__u32 dma_status;
	/** @fault_queue: Output: queue of the job that failed. */
	__u32 fault_queue;
	/** @fault_operation: Output: index of the copy or operation in that job. */
	__u32 fault_operation;
	/** @fault_job: Output: number of that job; 0: none. */
	__u64 fault_job;
	/** @fault_offset: Output: arena offset that the error is about. */
	__u64 fault_offset;
	/** @arena_bytes: Output. */
	__u64 arena_bytes;
	/** @jobs_submitted: Output: the number of the last one. */
	__u64 jobs_submitted;
	/** @jobs_finished: Output: how many are finished, with or without error. */
	__u64 jobs_finished;
	/** @core_ns: Output: time that operations of this context were on the core. */
	__u64 core_ns;
	/** @mem_epoch: Output: of the card when the context was created. */
	__u32 mem_epoch;
	/** @pad2: 0. */
	__u32 pad2;
};

/* ---- Jobs ---- */

/* A point of a timeline; without it a binary synchronization object. */
#define DRM_FIXAR_SYNC_TIMELINE		(1 << 0)

/**
 * struct drm_fixar_sync - A fence to wait for or to attach.
 */
struct drm_fixar_sync {
	/** @handle: Synchronization object. */
	__u32 handle;

	/** @flags: DRM_FIXAR_SYNC_*. */
	__u32 flags;

	/** @timeline_value: The point, not 0; 0 for a binary one. */
	__u64 timeline_value;
};

/**
 * struct drm_fixar_copy - One copy, in a job of the queues H2C and C2H.
 *
 * Any size and alignment on both sides; aligned ones are faster. Copies of one job may run in any
 * order: they should not overlap in their destination. A copy that was cut by a reset is done
 * again.
 */
struct drm_fixar_copy {
	/** @bo: GEM handle of the host's buffer. */
	__u32 bo;

	/** @flags: 0. */
	__u32 flags;

	/** @bo_offset: Bytes. */
	__u64 bo_offset;

	/** @arena_offset: Bytes, in the job's context. */
	__u64 arena_offset;

	/** @size: Bytes, not 0; neither side may end beyond its buffer or arena (-ERANGE). */
	__u64 size;
};

/**
 * enum drm_fixar_op - Operations of the core.
 */
enum drm_fixar_op {
	/** @DRM_FIXAR_OP_NOP: Nothing; in order with the others. */
	DRM_FIXAR_OP_NOP = 1,

	/** @DRM_FIXAR_OP_ACT: Observations at input to actions at output. */
	DRM_FIXAR_OP_ACT = 2,

	/**
	 * @DRM_FIXAR_OP_TRAIN: One training step on the batch at input, both soft updates included.
	 */
	DRM_FIXAR_OP_TRAIN = 3,

	/** @DRM_FIXAR_OP_READ_RANGES: Completes the ranges in the arena by those of the weights. */
	DRM_FIXAR_OP_READ_RANGES = 4,

	/**
	 * @DRM_FIXAR_OP_RELOAD: Header or state of the arena were written by a copy: to stand
	 * before the next other operation.
	 */
	DRM_FIXAR_OP_RELOAD = 5,
};

/*
 * Flags of ACT. EXPLORE: with exploration noise; its state advances, saturations count.
 * RESET_NOISE: an episode starts, the state of the noise is set to 0 first.
 */
#define DRM_FIXAR_OP_EXPLORE		(1 << 0)
#define DRM_FIXAR_OP_RESET_NOISE	(1 << 1)

/**
 * struct drm_fixar_operation - One operation of the core, in a job of the queue CORE.
 *
 * Offsets are arena offsets, multiples of operation_align; 0 stands for none. The driver checks
 * fields that must be 0, alignment, @count against max_batch, and that offsets begin in the arena.
 * Sizes follow from the agent's header, which the core reads: it checks the rest, and an operation
 * that it refuses faults the context.
 */
struct drm_fixar_operation {
	/** @type: DRM_FIXAR_OP_*. */
	__u32 type;

	/** @flags: DRM_FIXAR_OP_EXPLORE, DRM_FIXAR_OP_RESET_NOISE; 0 for others than ACT. */
	__u32 flags;

	/** @count: ACT, TRAIN: 1 to max_batch; others: 0. */
	__u32 count;

	/** @pad: 0. */
	__u32 pad;

	/** @input: ACT: observations; TRAIN: batch; others: 0. */
	__u64 input;

	/** @output: ACT: actions; others: 0. */
	__u64 output;

	/** @statistics: Where to write struct fixar_statistics (128 bytes); 0: nowhere. NOP: 0. */
	__u64 statistics;
};

/* drm_fixar_job.channel names a DMA channel; without it the driver chooses. */
#define DRM_FIXAR_JOB_CHANNEL		(1 << 0)

/*
 * Of one submission: the bits of drm_fixar_job.depends. Other limits are in struct
 * drm_fixar_query_device.
 */
#define DRM_FIXAR_MAX_JOBS		64

/**
 * struct drm_fixar_job - Copies in one direction, or operations, of one context: what runs as one
 * piece.
 *
 * Jobs of one context and queue run in the order of their submission. Between queues there is no
 * order but by @depends and fences: operations that need a copy depend on its job. A job waits, in
 * addition, for foreign fences of its buffers (dma-buf): those that write, for H2C; all, for C2H.
 * It becomes a reader (H2C) or the writer (C2H) of its buffers.
 *
 * When a job fails, its fence has an error, the context is faulted, and the context's later jobs
 * end with -EIO without running.
 */
struct drm_fixar_job {
	/** @ctx: Context. */
	__u32 ctx;

	/** @queue: DRM_FIXAR_QUEUE_*. */
	__u32 queue;

	/**
	 * @channel: With DRM_FIXAR_JOB_CHANNEL: 0 to the queue's channels - 1; else 0. Never for
	 * CORE.
	 */
	__u32 channel;

	/** @flags: DRM_FIXAR_JOB_*. */
	__u32 flags;

	/**
	 * @depends: Bit i: wait for job i of this submission, an earlier one. If that fails, this
	 * one ends with -ECANCELED.
	 */
	__u64 depends;

	/**
	 * @operations: struct drm_fixar_copy or, for CORE, struct drm_fixar_operation; 1 to
	 * max_operations.
	 */
	struct drm_fixar_array operations;

	/** @in_syncs: struct drm_fixar_sync; up to max_syncs. Their errors are not inherited. */
	struct drm_fixar_array in_syncs;

	/** @out_syncs: struct drm_fixar_sync; up to max_syncs. */
	struct drm_fixar_array out_syncs;
};

/**
 * struct drm_fixar_submit - Argument of DRM_IOCTL_FIXAR_SUBMIT: hands jobs over.
 *
 * All or nothing: everything is checked and allocated before the first job is queued. Never waits
 * for the card.
 *
 * Errors: -EINVAL: no job, more than max_jobs; @queue, @channel, @depends or an operation wrong; an
 * in-fence without a fence. -E2BIG: an array of operations or fences is too long, or an unknown
 * tail of an element is not 0. -EFAULT: an array. -ENOENT: a context, a buffer or a synchronization
 * object. -ERANGE: an offset or size beyond buffer or arena. -EIO: a context is faulted. -ESTALE: a
 * context is lost. -EBUSY: a context would have more than max_pending unfinished jobs. -EOPNOTSUPP:
 * the card lacks the operation. -EINTR: nothing was queued. -ENOMEM: also where a buffer cannot be
 * mapped for the card. -ENODEV.
 */
struct drm_fixar_submit {
	/** @jobs: Input: struct drm_fixar_job; 1 to max_jobs. */
	struct drm_fixar_array jobs;

	/** @flags: Input: 0. */
	__u32 flags;

	/** @pad: 0. */
	__u32 pad;
};

#define DRM_IOCTL_FIXAR_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_FIXAR_QUERY, struct drm_fixar_query)
#define DRM_IOCTL_FIXAR_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_FIXAR_BO_CREATE, struct drm_fixar_bo_create)
#define DRM_IOCTL_FIXAR_BO_PREP \
	DRM_IOW(DRM_COMMAND_BASE + DRM_FIXAR_BO_PREP, struct drm_fixar_bo_prep)
#define DRM_IOCTL_FIXAR_BO_FINI \
	DRM_IOW(DRM_COMMAND_BASE + DRM_FIXAR_BO_FINI, struct drm_fixar_bo_fini)
#define DRM_IOCTL_FIXAR_CTX_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_FIXAR_CTX_CREATE, struct drm_fixar_ctx_create)
#define DRM_IOCTL_FIXAR_CTX_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_FIXAR_CTX_DESTROY, struct drm_fixar_ctx_destroy)
#define DRM_IOCTL_FIXAR_CTX_SET_MODE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_FIXAR_CTX_SET_MODE, struct drm_fixar_ctx_mode)
#define DRM_IOCTL_FIXAR_CTX_GET_MODE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_FIXAR_CTX_GET_MODE, struct drm_fixar_ctx_mode)
#define DRM_IOCTL_FIXAR_CTX_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_FIXAR_CTX_QUERY, struct drm_fixar_ctx_query)
#define DRM_IOCTL_FIXAR_SUBMIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_FIXAR_SUBMIT, struct drm_fixar_submit)

#if defined(__cplusplus)
}
#endif

#endif /* __DRM_UAPI_FIXAR_ACCEL_H__ */
