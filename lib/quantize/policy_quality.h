/* SPDX-License-Identifier: MIT */
/*
 * What is quantized, first kind: the actor or the critic of a trained run, with the ranges that its training observed.
 *
 * An actor's quality is the mean return on fixed start states after post-training quantization, exactly what `fixar eval
 * --bits` gives. A critic takes no part in acting; what its widths cost shows in the actor that learns from it. So its
 * quality is the mean return after `tune_steps` more environment steps of training with these widths of the critic, from
 * the run's replay memory, the same random numbers every time.
 *
 * With noise, what crossbars hold takes the place of the codes: of the actor once, and wherever something trains, of that
 * network and its target whenever codes are formed (lib/quantize/cell_noise.h).
 */
#ifndef FIXAR_LIB_QUANTIZE_POLICY_QUALITY_H
#define FIXAR_LIB_QUANTIZE_POLICY_QUALITY_H

#include <fixar/fixar.h>

#include "cost/cost.h"
#include "quantize/cell_noise.h"

struct policy_quality_options {
	const char *directory;	   /* of the run; precision qat16 or qat16x16, past its first training step */
	int critic;		   /* instead of the actor */
	uint64_t tune_steps;	   /* of a critic's evaluation */
	struct fixar_device *device; /* NULL: the library's choice */
	uint32_t episodes;
	uint64_t seed;		   /* of the start states */
	const struct cell_noise *noise; /* NULL: cells that hold every code as it is. Copied */
	int fine_tunes;		   /* policy_quality_fine_tune() will be called, so with noise the device must be able to */
	fixar_log_fn log;
	void *log_user;
};

struct policy_quality;

/* 0, or what loading returned (the log says what); -EINVAL for a run without observed ranges. */
int policy_quality_open(const struct policy_quality_options *options, struct policy_quality **quality);
void policy_quality_close(struct policy_quality *quality);

/* The layers of actor or critic; valid until it is closed. */
const struct cost_network *policy_quality_network(const struct policy_quality *quality);

/* A quantize_quality: `user` is the struct policy_quality. */
int policy_quality_evaluate(void *user, const struct cost_widths *widths, double *mean_return);

/*
 * The same after `steps` more environment steps of training with these widths: the run's replay memory is read and
 * nothing in its directory changes. -ENOENT: the run has no replay memory.
 */
int policy_quality_fine_tune(struct policy_quality *quality, const struct cost_widths *widths, uint64_t steps,
			     double *mean_return);

/*
 * The return on other start states than the searches see, `steps` (0: none) of training with these widths before: five times
 * as many episodes, so that a result that was lucky shows.
 */
int policy_quality_test(struct policy_quality *quality, const struct cost_widths *widths, uint64_t steps,
			double *mean_return);

/* The widths as --bits takes them, one entry for each layer; gradients keep the mode's own width. */
void policy_quality_bits(const struct policy_quality *quality, const struct cost_widths *widths,
			 struct fixar_layer_bits *bits);

#endif /* FIXAR_LIB_QUANTIZE_POLICY_QUALITY_H */
