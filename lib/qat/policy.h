/* SPDX-License-Identifier: MIT */
/*
 * Quantization-aware training: when to switch the operands of the networks, and to what widths.
 *
 * A policy decides and never acts. After every environment step the loop asks due(), which must be cheap; only when
 * that says yes does it read the ranges from the device and ask decide(). On a switch it writes the quantizers, then
 * the mode, in this order. A policy may switch more than once (widths that shrink step by step), may keep memory
 * between calls, which goes into the checkpoint as bytes, and sees the statistics of training; a new one needs no
 * change of the loop.
 */
#ifndef FIXAR_LIB_QAT_POLICY_H
#define FIXAR_LIB_QAT_POLICY_H

#include "device/log.h"
#include "step/step.h"

/* The shape of an agent's tables: entry qat_entry() of ranges and quantizers. */
struct qat_shape {
	uint32_t layers[STEP_NETWORKS];
};

static inline size_t qat_entry(const struct qat_shape *shape, uint32_t network, uint32_t layer, enum step_class kind)
{
	return ((network ? shape->layers[0] : 0) + layer) * STEP_CLASSES + (size_t)kind;
}

static inline size_t qat_entries(const struct qat_shape *shape)
{
	return (shape->layers[0] + shape->layers[1]) * STEP_CLASSES;
}

struct qat_progress {
	uint64_t environment_steps;
	uint64_t training_steps;
	uint32_t switches;  /* how often the policy has switched already */
	double critic_loss; /* of the last training step; NAN before the first */
	double mean_q;
	/*
	 * How diverse gradients have been lately (lib/qat/schedule.h); NAN where nobody can say. Costs a look at the whole
	 * state, so it is for decide(). NULL: nobody can.
	 */
	double (*gradient_diversity)(void *user);
	void *user;
};

enum qat_decision {
	QAT_NOTHING,
	QAT_SWITCH,	       /* use the quantizers that decide() wrote, and observe no longer */
	QAT_SWITCH_AND_OBSERVE /* use them, and go on observing ranges for a later switch */
};

struct qat_policy;

struct qat_policy_ops {
	const char *name;
	int (*due)(struct qat_policy *policy, const struct qat_progress *progress);
	/* `quantizers` holds those in use. */
	enum qat_decision (*decide)(struct qat_policy *policy, const struct qat_progress *progress,
				    const struct step_range *ranges, struct step_quantizer *quantizers);
	void (*destroy)(struct qat_policy *policy);
};

/* Every policy embeds this as its first member. */
struct qat_policy {
	const struct qat_policy_ops *ops;
	/* What the policy must remember in a checkpoint: little-endian on every machine. NULL and 0 if nothing. */
	unsigned char *memory;
	size_t memory_bytes;
};

static inline void qat_policy_destroy(struct qat_policy *policy)
{
	if (policy)
		policy->ops->destroy(policy);
}

/*
 * The paper's policy (lib/qat/delay.c): one switch after `delay` environment steps, to the widths of mode `qat16` or `qat16x16` with
 * what `bits` says instead. It waits for a first training step, because there are no ranges before. Returns 0, -ENOMEM,
 * or -EINVAL for widths or layers that do not exist (the log says which). `bits` is copied.
 */
int qat_delay_create(const struct qat_shape *shape, enum fixar_precision precision, uint64_t delay, uint32_t headroom_bits,
		     const struct fixar_layer_bits *bits, size_t bits_count, const struct log_sink *log,
		     struct qat_policy **policy);

/* Devices take no lower fraction; with 2 bits it already reaches beyond every master value. */
#define QAT_LOWEST_FRACTION (-16)

/* The fraction for an observed range: the rule of lib/ARITHMETIC.md section 2 ("The fraction that belongs to ..."). */
int32_t qat_fraction(const struct step_range *range, int32_t master_fraction, int32_t width, int is_signed,
		     int32_t headroom_bits);

#endif /* FIXAR_LIB_QAT_POLICY_H */
