/* SPDX-License-Identifier: MIT */
/*
 * Precision schedules with more than one switch: training starts narrow and becomes wider, stage by stage. Two ways of
 * telling when. Both wait for `observe_steps` training steps in full precision first, because without ranges there are no
 * quantizers, and go on observing until the last stage. A stage has one width for activations and weights of all
 * layers; width 32 is full precision. Gradients stay whole.
 *
 * An *interval* takes the place of an epoch, which reinforcement learning does not have.
 */
#ifndef FIXAR_LIB_QAT_SCHEDULE_H
#define FIXAR_LIB_QAT_SCHEDULE_H

#include <fixar/fixar.h>

#include "qat/policy.h"

#define SCHEDULE_MAX_STAGES FIXAR_MAX_STAGES

/* By enum fixar_schedule: "delay", "muppet", "fractrain". */
#define SCHEDULES 3
extern const char *const qat_schedule_name[SCHEDULES];

struct schedule_options {
	uint64_t observe_steps; /* training steps */
	uint64_t interval;	/* training steps */
	uint32_t headroom_bits;
	uint32_t stage_count;
	uint32_t width[SCHEDULE_MAX_STAGES];
};

/*
 * In the manner of MuPPET (Rajagopal et al., arXiv 2006.09049): every `resolution` intervals gradient diversity is compared
 * with its largest value of this stage. Their ratio is a violation where it exceeds 1 + 1.5 exp(-0.1 t), t the number of the
 * interval; after `patience` violations the next stage begins. The threshold, resolution 3, patience 2 and widths 8, 12, 14,
 * 16, full are those of the public code (github.com/ICIdsl/muppet, policy.py and configs/cifar100). What is simpler
 * here: nearest rounding, powers of two as scales, and the running diversity of lib/ddpg/diversity.c.
 */
struct muppet_options {
	struct schedule_options schedule;
	uint32_t resolution, patience;
};
#define MUPPET_OPTIONS_INIT                                                                                            \
	{                                                                                                              \
		.schedule = { .observe_steps = 1000, .interval = 1000, .headroom_bits = 1, .stage_count = 5,           \
			      .width = { 8, 12, 14, 16, 32 } },                                                        \
		.resolution = 3, .patience = 2                                                                         \
	}

/*
 * In the manner of FracTrain's progressive quantization (Fu et al., arXiv 2012.13113): the next stage begins when the mean
 * loss of the last 5 intervals has become flat: each differs from the last by less than `threshold` of a scale. After the
 * first two such points the threshold is multiplied by `decay`. Threshold 0.15, decay 0.4, 5 and the number of four stages are
 * the defaults of the public code (github.com/GATECH-EIC/FracTrain, train_pfq.py). The widths are this project's, and so is
 * the scale: the mean loss of the latest 10 intervals. That code takes the first 10, because a classifier's loss falls from
 * there; the loss here is the critic's, which grows with the values that it learns, often tenfold: measured by the first 10 it
 * never looked flat, and the agent stayed at 6 bits for good.
 */
struct fractrain_options {
	struct schedule_options schedule;
	double threshold, decay;
};
#define FRACTRAIN_OPTIONS_INIT                                                                                         \
	{                                                                                                              \
		.schedule = { .observe_steps = 1000, .interval = 1000, .headroom_bits = 1, .stage_count = 4,           \
			      .width = { 6, 8, 12, 16 } },                                                             \
		.threshold = 0.15, .decay = 0.4                                                                        \
	}

/* What is 0 or empty in the agent's options of a schedule (but the paper's) becomes its default. */
void qat_schedule_defaults(struct fixar_agent_options *options);
/* The policy that an agent's options, with nothing left to default, ask for; returns as those below and qat_delay_create(). */
int qat_schedule_create(const struct qat_shape *shape, const struct fixar_agent_options *options,
			const struct log_sink *log, struct qat_policy **policy);

/* 0, -ENOMEM, or -EINVAL: widths not ascending from 2 to 16 or 32, an interval of 0 (the log says what). */
int qat_muppet_create(const struct qat_shape *shape, const struct muppet_options *options, const struct log_sink *log,
		      struct qat_policy **policy);
int qat_fractrain_create(const struct qat_shape *shape, const struct fractrain_options *options,
			 const struct log_sink *log, struct qat_policy **policy);

#endif /* FIXAR_LIB_QAT_SCHEDULE_H */
