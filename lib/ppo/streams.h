/* SPDX-License-Identifier: MIT */
/*
 * Purposes of random streams (fx/random.h) that searches on the host draw from. Those below 256 belong to
 * lib/ARITHMETIC.md, 256 to lib/cost.
 */
#ifndef FIXAR_LIB_PPO_STREAMS_H
#define FIXAR_LIB_PPO_STREAMS_H

enum {
	STREAM_WEIGHTS = 0x200, /* initial weights; index: network */
	STREAM_ACTION,		/* index: number of the action */
	STREAM_SHUFFLE,		/* index: number of the epoch */
	STREAM_SEARCH		/* lib/quantize: random widths; index: number of the proposal */
};

#endif /* FIXAR_LIB_PPO_STREAMS_H */
