/* SPDX-License-Identifier: MIT */
/*
 * Sizes and offsets of what include/uapi/drm/fixar_accel.h defines, as numbers: they are frozen, for 32-bit and 64-bit programs
 * alike. Used by layout_test.c at run time and by selftests/build/uapi_test for other compilers and word sizes.
 *
 * UAPI_LAYOUT(SIZE, AT) expands SIZE(struct, bytes) and AT(struct, member, offset).
 */
#define UAPI_LAYOUT(SIZE, AT) \
	SIZE(drm_fixar_array, 16) \
	AT(drm_fixar_array, count, 4) \
	AT(drm_fixar_array, array, 8) \
	SIZE(drm_fixar_query, 24) \
	AT(drm_fixar_query, size, 8) \
	AT(drm_fixar_query, data, 16) \
	SIZE(drm_fixar_query_device, 160) \
	AT(drm_fixar_query_device, capabilities, 8) \
	AT(drm_fixar_query_device, memory_bytes, 24) \
	AT(drm_fixar_query_device, arena_granule, 32) \
	AT(drm_fixar_query_device, clock_khz, 40) \
	AT(drm_fixar_query_device, max_width, 48) \
	AT(drm_fixar_query_device, fifo_depth, 60) \
	AT(drm_fixar_query_device, cores, 64) \
	AT(drm_fixar_query_device, output_latency, 80) \
	AT(drm_fixar_query_device, hbm_bytes_per_cycle, 96) \
	AT(drm_fixar_query_device, h2c_channels, 112) \
	AT(drm_fixar_query_device, max_jobs, 120) \
	AT(drm_fixar_query_device, max_pending, 132) \
	AT(drm_fixar_query_device, max_contexts, 136) \
	AT(drm_fixar_query_device, state, 140) \
	AT(drm_fixar_query_device, mem_epoch, 152) \
	SIZE(drm_fixar_query_queue, 48) \
	AT(drm_fixar_query_queue, jobs, 8) \
	AT(drm_fixar_query_queue, busy_ns, 40) \
	SIZE(drm_fixar_query_memory, 32) \
	AT(drm_fixar_query_memory, contexts, 24) \
	SIZE(drm_fixar_query_counters, 104) \
	AT(drm_fixar_query_counters, ecc_uncorrected, 80) \
	AT(drm_fixar_query_counters, core_resets, 88) \
	SIZE(drm_fixar_bo_create, 24) \
	AT(drm_fixar_bo_create, handle, 12) \
	AT(drm_fixar_bo_create, mmap_offset, 16) \
	SIZE(drm_fixar_bo_prep, 16) \
	AT(drm_fixar_bo_prep, timeout_ns, 8) \
	SIZE(drm_fixar_bo_fini, 8) \
	SIZE(drm_fixar_ctx_create, 16) \
	AT(drm_fixar_ctx_create, handle, 12) \
	SIZE(drm_fixar_ctx_destroy, 8) \
	SIZE(drm_fixar_mode, 64) \
	AT(drm_fixar_mode, noise_sigma, 16) \
	AT(drm_fixar_mode, discount, 24) \
	AT(drm_fixar_mode, rate_mantissa, 40) \
	AT(drm_fixar_mode, gradient_scale, 56) \
	SIZE(drm_fixar_ctx_mode, 72) \
	AT(drm_fixar_ctx_mode, mode, 8) \
	SIZE(drm_fixar_ctx_query, 88) \
	AT(drm_fixar_ctx_query, state, 8) \
	AT(drm_fixar_ctx_query, fault_operation, 28) \
	AT(drm_fixar_ctx_query, fault_job, 32) \
	AT(drm_fixar_ctx_query, core_ns, 72) \
	AT(drm_fixar_ctx_query, mem_epoch, 80) \
	SIZE(drm_fixar_sync, 16) \
	AT(drm_fixar_sync, timeline_value, 8) \
	SIZE(drm_fixar_copy, 32) \
	AT(drm_fixar_copy, bo_offset, 8) \
	AT(drm_fixar_copy, size, 24) \
	SIZE(drm_fixar_operation, 40) \
	AT(drm_fixar_operation, count, 8) \
	AT(drm_fixar_operation, input, 16) \
	AT(drm_fixar_operation, statistics, 32) \
	SIZE(drm_fixar_job, 72) \
	AT(drm_fixar_job, depends, 16) \
	AT(drm_fixar_job, operations, 24) \
	AT(drm_fixar_job, out_syncs, 56) \
	SIZE(drm_fixar_submit, 24) \
	AT(drm_fixar_submit, flags, 16)
