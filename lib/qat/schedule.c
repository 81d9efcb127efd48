// SPDX-License-Identifier: MIT
#include "qat/schedule.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FULL_WIDTH 32
#define KEPT 5	   /* interval losses that FracTrain's indicator looks at */
#define SCALED 10  /* latest intervals whose mean loss is its scale */

static const int32_t master_fraction[STEP_CLASSES] = {
	[STEP_ACTIVATION] = 20,
	[STEP_WEIGHT] = 26,
	[STEP_GRADIENT] = 24,
};

/* What must outlive a checkpoint, as little-endian words in the policy's memory. */
enum word {
	STAGE,		/* stages begun */
	INTERVALS,	/* intervals over */
	LAST_STEP,	/* training steps at the last look */
	NEXT,		/* training steps at which the interval ends */
	LOSS_SUM,	/* a double, of the running interval; and how many */
	LOSS_COUNT,
	LARGEST,	/* MuPPET: largest diversity of the stage, a double */
	VIOLATIONS,
	THRESHOLD,	/* FracTrain: a double */
	HISTORY_COUNT,
	HISTORY,	/* KEPT doubles, the oldest first */
	LATEST = HISTORY + KEPT, /* SCALED doubles, of all stages: interval i at i % SCALED */
	WORDS = LATEST + SCALED
};

struct schedule {
	struct qat_policy base;
	struct qat_shape shape;
	struct schedule_options options;
	uint32_t resolution, patience;
	double decay;
};

static uint64_t get(const struct schedule *schedule, int word)
{
	uint64_t value;

	memcpy(&value, schedule->base.memory + 8 * word, sizeof(value));
	return le64toh(value);
}

static void set(struct schedule *schedule, int word, uint64_t value)
{
	value = htole64(value);
	memcpy(schedule->base.memory + 8 * word, &value, sizeof(value));
}

static double get_double(const struct schedule *schedule, int word)
{
	const uint64_t bits = get(schedule, word);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void set_double(struct schedule *schedule, int word, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	set(schedule, word, bits);
}

/* ---- What both have in common ---- */

/* Takes note of a step; 1 when it was the last of an interval. */
static int note(struct schedule *schedule, const struct qat_progress *progress)
{
	if (progress->training_steps == get(schedule, LAST_STEP))
		return 0;
	set(schedule, LAST_STEP, progress->training_steps);
	if (isfinite(progress->critic_loss)) {
		set_double(schedule, LOSS_SUM, get_double(schedule, LOSS_SUM) + progress->critic_loss);
		set(schedule, LOSS_COUNT, get(schedule, LOSS_COUNT) + 1);
	}
	if (progress->training_steps < get(schedule, NEXT))
		return 0;
	set(schedule, NEXT, progress->training_steps + schedule->options.interval);
	return 1;
}

static enum qat_decision begin_stage(struct schedule *schedule, const struct step_range *ranges,
				     struct step_quantizer *quantizers)
{
	const uint64_t stage = get(schedule, STAGE);
	const int32_t width = (int32_t)schedule->options.width[stage];

	for (uint32_t network = 0; network < STEP_NETWORKS; network++) {
		for (uint32_t layer = 0; layer < schedule->shape.layers[network]; layer++) {
			for (int kind = 0; kind < STEP_CLASSES; kind++) {
				const size_t entry = qat_entry(&schedule->shape, network, layer, (enum step_class)kind);
				const int is_signed = kind != STEP_ACTIVATION || !layer;
				const int32_t full = master_fraction[kind];

				quantizers[entry] = (struct step_quantizer){ FULL_WIDTH, full, is_signed };
				if (kind == STEP_GRADIENT || width == FULL_WIDTH)
					continue;
				/* Weights grow while a stage lasts, so they need headroom here. */
				quantizers[entry] = (struct step_quantizer){
					width,
					qat_fraction(&ranges[entry], full, width, is_signed,
						     (int32_t)schedule->options.headroom_bits),
					is_signed
				};
			}
		}
	}
	set(schedule, STAGE, stage + 1);
	return stage + 1 < schedule->options.stage_count ? QAT_SWITCH_AND_OBSERVE : QAT_SWITCH;
}

static int has_next(const struct schedule *schedule)
{
	return get(schedule, STAGE) < schedule->options.stage_count;
}

static void destroy(struct qat_policy *base)
{
	free(base->memory);
	free(base);
}

/* ---- MuPPET ---- */

static int muppet_due(struct qat_policy *base, const struct qat_progress *progress)
{
	struct schedule *schedule = (struct schedule *)base;

	if (!has_next(schedule) || !note(schedule, progress))
		return 0;
	if (!get(schedule, STAGE))
		return 1;
	set(schedule, INTERVALS, get(schedule, INTERVALS) + 1);
	return get(schedule, INTERVALS) % schedule->resolution == 0;
}

static enum qat_decision muppet_decide(struct qat_policy *base, const struct qat_progress *progress,
				       const struct step_range *ranges, struct step_quantizer *quantizers)
{
	struct schedule *schedule = (struct schedule *)base;
	const double interval = (double)get(schedule, INTERVALS);
	double diversity;

	if (!get(schedule, STAGE))
		return begin_stage(schedule, ranges, quantizers);
	diversity = progress->gradient_diversity ? progress->gradient_diversity(progress->user) : NAN;
	if (!(diversity > 0))
		return QAT_NOTHING;
	if (diversity >= get_double(schedule, LARGEST))
		set_double(schedule, LARGEST, diversity);
	else if (get_double(schedule, LARGEST) / diversity > 1 + 1.5 * exp(-0.1 * interval))
		set(schedule, VIOLATIONS, get(schedule, VIOLATIONS) + 1);
	if (get(schedule, VIOLATIONS) < schedule->patience)
		return QAT_NOTHING;
	set(schedule, VIOLATIONS, 0);
	set_double(schedule, LARGEST, 0);
	return begin_stage(schedule, ranges, quantizers);
}

static const struct qat_policy_ops muppet_ops = {
	.name = "muppet",
	.due = muppet_due,
	.decide = muppet_decide,
	.destroy = destroy,
};

/* ---- FracTrain ---- */

/* Keeps the mean loss of the interval that is over; 1 if the last KEPT of them are flat. */
static int is_flat(struct schedule *schedule)
{
	const uint64_t count = get(schedule, LOSS_COUNT), intervals = get(schedule, INTERVALS) + 1;
	const double loss = count ? get_double(schedule, LOSS_SUM) / (double)count : 0;
	uint64_t kept = get(schedule, HISTORY_COUNT);
	double scale = 0;

	set_double(schedule, LOSS_SUM, 0);
	set(schedule, LOSS_COUNT, 0);
	if (!count)
		return 0;
	set(schedule, INTERVALS, intervals);
	set_double(schedule, LATEST + (int)(intervals % SCALED), loss);
	for (int i = 0; i < SCALED; i++)
		scale += get_double(schedule, LATEST + i);
	scale /= (double)(intervals < SCALED ? intervals : SCALED);
	if (kept == KEPT) {
		for (int i = 0; i + 1 < KEPT; i++)
			set(schedule, HISTORY + i, get(schedule, HISTORY + i + 1));
		kept--;
	}
	set_double(schedule, HISTORY + (int)kept, loss);
	set(schedule, HISTORY_COUNT, kept + 1);
	if (kept + 1 < KEPT)
		return 0;
	for (int i = 0; i + 1 < KEPT; i++)
		if (fabs(get_double(schedule, HISTORY + i) - loss) > get_double(schedule, THRESHOLD) * scale)
			return 0;
	return 1;
}

static int fractrain_due(struct qat_policy *base, const struct qat_progress *progress)
{
	struct schedule *schedule = (struct schedule *)base;

	if (!has_next(schedule) || !note(schedule, progress))
		return 0;
	if (get(schedule, STAGE))
		return is_flat(schedule);
	/* Losses of full precision are no part of any stage. */
	set_double(schedule, LOSS_SUM, 0);
	set(schedule, LOSS_COUNT, 0);
	return 1;
}

static enum qat_decision fractrain_decide(struct qat_policy *base, const struct qat_progress *progress,
					  const struct step_range *ranges, struct step_quantizer *quantizers)
{
	struct schedule *schedule = (struct schedule *)base;
	const uint64_t stage = get(schedule, STAGE);

	(void)progress;
	set(schedule, HISTORY_COUNT, 0);
	if (stage == 1 || stage == 2)
		set_double(schedule, THRESHOLD, get_double(schedule, THRESHOLD) * schedule->decay);
	return begin_stage(schedule, ranges, quantizers);
}

static const struct qat_policy_ops fractrain_ops = {
	.name = "fractrain",
	.due = fractrain_due,
	.decide = fractrain_decide,
	.destroy = destroy,
};

/* ---- Making them ---- */

static int check(const struct schedule_options *options, const struct log_sink *log)
{
	if (!options->interval || !options->stage_count || options->stage_count > SCHEDULE_MAX_STAGES) {
		log_line(log, FIXAR_LOG_ERROR, "schedule: an interval of %llu steps and %u stages; expected at least one step and "
			 "1 to %d stages", (unsigned long long)options->interval, options->stage_count,
			 SCHEDULE_MAX_STAGES);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < options->stage_count; i++) {
		const uint32_t width = options->width[i];

		if (width < 2 || (width > 16 && width != FULL_WIDTH) || (i && width <= options->width[i - 1])) {
			log_line(log, FIXAR_LOG_ERROR,
				 "schedule: stage %u has %u bits, expected ascending widths from 2 to 16, or 32", i,
				 width);
			return -EINVAL;
		}
	}
	return 0;
}

static int create(const struct qat_policy_ops *ops, const struct qat_shape *shape,
		  const struct schedule_options *options, const struct log_sink *log, struct schedule **created)
{
	struct schedule *schedule;
	int error = check(options, log);

	if (error)
		return error;
	schedule = calloc(1, sizeof(*schedule));
	if (!schedule)
		return -ENOMEM;
	schedule->base.ops = ops;
	schedule->base.memory_bytes = WORDS * 8;
	schedule->base.memory = calloc(WORDS, 8);
	if (!schedule->base.memory) {
		free(schedule);
		return -ENOMEM;
	}
	schedule->shape = *shape;
	schedule->options = *options;
	set(schedule, NEXT, options->observe_steps);
	*created = schedule;
	return 0;
}

int qat_muppet_create(const struct qat_shape *shape, const struct muppet_options *options, const struct log_sink *log,
		      struct qat_policy **policy)
{
	struct schedule *schedule;
	int error;

	if (!options->resolution || !options->patience) {
		log_line(log, FIXAR_LOG_ERROR, "schedule: resolution %u and patience %u, expected at least 1",
			 options->resolution, options->patience);
		return -EINVAL;
	}
	error = create(&muppet_ops, shape, &options->schedule, log, &schedule);
	if (error)
		return error;
	schedule->resolution = options->resolution;
	schedule->patience = options->patience;
	*policy = &schedule->base;
	return 0;
}

int qat_fractrain_create(const struct qat_shape *shape, const struct fractrain_options *options,
			 const struct log_sink *log, struct qat_policy **policy)
{
	struct schedule *schedule;
	int error = create(&fractrain_ops, shape, &options->schedule, log, &schedule);

	if (error)
		return error;
	schedule->decay = options->decay;
	set_double(schedule, THRESHOLD, options->threshold);
	*policy = &schedule->base;
	return 0;
}

/* ---- From an agent's options ---- */

/* Shares of a run: 100 intervals, of which two observe. */
#define INTERVALS_OF_A_RUN 100
#define OBSERVED_INTERVALS 2

const char *const qat_schedule_name[SCHEDULES] = {
	[FIXAR_SCHEDULE_DELAY] = "delay",
	[FIXAR_SCHEDULE_MUPPET] = "muppet",
	[FIXAR_SCHEDULE_FRACTRAIN] = "fractrain",
};

static uint64_t at_least_one(uint64_t value)
{
	return value ? value : 1;
}

void qat_schedule_defaults(struct fixar_agent_options *options)
{
	const struct muppet_options muppet = MUPPET_OPTIONS_INIT;
	const struct fractrain_options fractrain = FRACTRAIN_OPTIONS_INIT;
	const struct schedule_options *own =
		options->schedule == FIXAR_SCHEDULE_MUPPET ? &muppet.schedule : &fractrain.schedule;

	if (options->schedule == FIXAR_SCHEDULE_DELAY)
		return;
	if (!options->schedule_interval)
		options->schedule_interval = at_least_one(options->total_steps / INTERVALS_OF_A_RUN);
	if (!options->schedule_observe)
		options->schedule_observe = at_least_one(OBSERVED_INTERVALS * options->total_steps / INTERVALS_OF_A_RUN);
	if (!options->schedule_stages) {
		options->schedule_stages = own->stage_count;
		memcpy(options->schedule_width, own->width, sizeof(options->schedule_width));
	}
}

int qat_schedule_create(const struct qat_shape *shape, const struct fixar_agent_options *options,
			const struct log_sink *log, struct qat_policy **policy)
{
	struct muppet_options muppet = MUPPET_OPTIONS_INIT;
	struct fractrain_options fractrain = FRACTRAIN_OPTIONS_INIT;
	struct schedule_options schedule = {
		.observe_steps = options->schedule_observe,
		.interval = options->schedule_interval,
		.headroom_bits = options->headroom_bits,
		.stage_count = options->schedule_stages,
	};

	memcpy(schedule.width, options->schedule_width, sizeof(schedule.width));
	muppet.schedule = fractrain.schedule = schedule;
	switch (options->schedule) {
	case FIXAR_SCHEDULE_MUPPET:
		return qat_muppet_create(shape, &muppet, log, policy);
	case FIXAR_SCHEDULE_FRACTRAIN:
		return qat_fractrain_create(shape, &fractrain, log, policy);
	default:
		return qat_delay_create(shape, options->precision, options->delay, options->headroom_bits, options->bits,
					options->bits_count, log, policy);
	}
}
