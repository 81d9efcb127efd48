/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace points. A card is named by its PCI address: domain << 16 | bus << 8 | device and function.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM fixar

#if !defined(FIXAR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FIXAR_TRACE_H

#include <linux/tracepoint.h>

#include "fixar_device.h"

TRACE_EVENT(fixar_job_run,
	    TP_PROTO(struct fixar_job *job),
	    TP_ARGS(job),
	    TP_STRUCT__entry(__field(u32, card)
			     __field(u32, queue)
			     __field(u32, channel)
			     __field(u32, count)
			     __field(u64, context)
			     __field(u64, job)),
	    TP_fast_assign(__entry->card = fixar_trace_card(job->fdev);
			   __entry->queue = job->queue;
			   __entry->channel = job->engine->index;
			   __entry->count = job->count;
			   __entry->context = job->ctx->id;
			   __entry->job = job->number;),
	    TP_printk("card=%08x queue=%u channel=%u context=%llu job=%llu count=%u", __entry->card,
		      __entry->queue, __entry->channel, __entry->context, __entry->job,
		      __entry->count));

TRACE_EVENT(fixar_job_finish,
	    TP_PROTO(struct fixar_job *job, int error, s64 ns),
	    TP_ARGS(job, error, ns),
	    TP_STRUCT__entry(__field(u32, card)
			     __field(u32, queue)
			     __field(u32, channel)
			     __field(int, error)
			     __field(u64, context)
			     __field(u64, job)
			     __field(s64, ns)),
	    TP_fast_assign(__entry->card = fixar_trace_card(job->fdev);
			   __entry->queue = job->queue;
			   __entry->channel = job->engine->index;
			   __entry->error = error;
			   __entry->context = job->ctx->id;
			   __entry->job = job->number;
			   __entry->ns = ns;),
	    TP_printk("card=%08x queue=%u channel=%u context=%llu job=%llu error=%d ns=%lld",
		      __entry->card, __entry->queue, __entry->channel, __entry->context,
		      __entry->job, __entry->error, __entry->ns));

TRACE_EVENT(fixar_fault,
	    TP_PROTO(struct fixar_job *job, u32 fault, u32 code, u32 operation, u64 offset),
	    TP_ARGS(job, fault, code, operation, offset),
	    TP_STRUCT__entry(__field(u32, card)
			     __field(u32, fault)
			     __field(u32, code)
			     __field(u32, operation)
			     __field(u64, context)
			     __field(u64, job)
			     __field(u64, offset)),
	    TP_fast_assign(__entry->card = fixar_trace_card(job->fdev);
			   __entry->fault = fault;
			   __entry->code = code;
			   __entry->operation = operation;
			   __entry->context = job->ctx->id;
			   __entry->job = job->number;
			   __entry->offset = offset;),
	    TP_printk("card=%08x context=%llu job=%llu fault=%u code=%#x operation=%u offset=%#llx",
		      __entry->card, __entry->context, __entry->job, __entry->fault, __entry->code,
		      __entry->operation, __entry->offset));

/* Numbers of enum fixar_rung as such: trace readers do not know the names. */
TRACE_EVENT(fixar_rung,
	    TP_PROTO(struct fixar_device *fdev, u32 rung),
	    TP_ARGS(fdev, rung),
	    TP_STRUCT__entry(__field(u32, card)
			     __field(u32, rung)),
	    TP_fast_assign(__entry->card = fixar_trace_card(fdev);
			   __entry->rung = rung;),
	    TP_printk("card=%08x rung=%s", __entry->card,
		      __print_symbolic(__entry->rung, { 0, "poll" }, { 1, "resume" },
				       { 2, "channel" }, { 3, "core" }, { 4, "bus" },
				       { 5, "unplug" })));

TRACE_EVENT(fixar_state,
	    TP_PROTO(struct fixar_device *fdev, u32 from, u32 to),
	    TP_ARGS(fdev, from, to),
	    TP_STRUCT__entry(__field(u32, card)
			     __field(u32, from)
			     __field(u32, to)),
	    TP_fast_assign(__entry->card = fixar_trace_card(fdev);
			   __entry->from = from;
			   __entry->to = to;),
	    TP_printk("card=%08x from=%u to=%u", __entry->card, __entry->from, __entry->to));

#endif /* FIXAR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE fixar_trace
#include <trace/define_trace.h>
