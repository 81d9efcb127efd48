// SPDX-License-Identifier: MIT
/* PG195's performance counters of a channel. */
#include "card.h"

#define BEAT 64	   /* bytes of the AXI width */
#define CLOCK_NS 4 /* 250 MHz */
#define COUNT_MASK ((UINT64_C(1) << 42) - 1)

static bool automatic(const struct xdma_performance *performance)
{
	return performance->control & FIXAR_XDMA_PERF_CONTROL_AUTO;
}

static void stop(struct xdma_performance *performance)
{
	if (performance->since)
		performance->cycles += (card_now() - performance->since) / CLOCK_NS;
	performance->since = 0;
}

void xdma_performance_control(struct xdma_channel *channel, uint32_t value)
{
	struct xdma_performance *performance = &channel->performance;

	stop(performance);
	if (value & FIXAR_XDMA_PERF_CONTROL_CLEAR)
		performance->cycles = performance->beats = 0;
	/* CLEAR is not kept. */
	performance->control = value & (FIXAR_XDMA_PERF_CONTROL_AUTO | FIXAR_XDMA_PERF_CONTROL_RUN);
	/* With AUTO, cycles count from a run's start to its end; without it, all the time. */
	if ((performance->control & FIXAR_XDMA_PERF_CONTROL_RUN) &&
	    (!automatic(performance) || (channel->status & FIXAR_XDMA_STATUS_BUSY)))
		performance->since = card_now();
}

void xdma_performance_begin(struct xdma_channel *channel)
{
	struct xdma_performance *performance = &channel->performance;

	if (!(performance->control & FIXAR_XDMA_PERF_CONTROL_RUN) || !automatic(performance))
		return;
	performance->cycles = performance->beats = 0;
	performance->since = card_now();
}

void xdma_performance_end(struct xdma_channel *channel)
{
	if (automatic(&channel->performance))
		stop(&channel->performance);
}

void xdma_performance_count(struct xdma_channel *channel, uint32_t bytes)
{
	if (channel->performance.control & FIXAR_XDMA_PERF_CONTROL_RUN)
		channel->performance.beats += (bytes + BEAT - 1) / BEAT;
}

static uint32_t high(uint64_t count)
{
	return ((uint32_t)(count >> 32) & FIXAR_XDMA_PERF_HI_COUNT) |
	       (count > COUNT_MASK ? FIXAR_XDMA_PERF_HI_MAXED : 0);
}

uint32_t xdma_performance_read(const struct xdma_channel *channel, uint32_t offset)
{
	const struct xdma_performance *performance = &channel->performance;
	uint64_t cycles = performance->cycles;

	if (performance->since)
		cycles += (card_now() - performance->since) / CLOCK_NS;
	switch (offset) {
	case FIXAR_XDMA_CHANNEL_PERF_CONTROL:
		return performance->control;
	case FIXAR_XDMA_CHANNEL_PERF_CYCLES_LO:
		return (uint32_t)cycles;
	case FIXAR_XDMA_CHANNEL_PERF_CYCLES_HI:
		return high(cycles);
	case FIXAR_XDMA_CHANNEL_PERF_DATA_LO:
		return (uint32_t)performance->beats;
	case FIXAR_XDMA_CHANNEL_PERF_DATA_HI:
		return high(performance->beats);
	default:
		return 0;
	}
}
