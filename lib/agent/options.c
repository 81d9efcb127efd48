// SPDX-License-Identifier: MIT
/* The options of an agent: defaults that depend on something, and checks that say in words what is wrong. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "ddpg/edge.h"
#include "device/options.h"
#include "qat/schedule.h"

#define MAX_UPDATES 1000000
#define MAX_HEADROOM 8
#define MAX_REWARD_SCALE 64
#define MAX_SIGMA 16.0
#define MAX_REPLAY UINT32_MAX /* a draw is one 32-bit word */
#define SIGMA_GAUSSIAN 0.1
#define SIGMA_OU 0.2

/* Says that an option lies outside of [minimum, maximum]. */
static int check_range(const struct log_sink *log, const char *name, uint64_t value, uint64_t minimum, uint64_t maximum)
{
	if (value >= minimum && value <= maximum)
		return 0;
	log_line(log, FIXAR_LOG_ERROR, "%s: %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, name, value, minimum,
		 maximum);
	return -EINVAL;
}

static int check_real(const struct log_sink *log, const char *name, double value, double minimum, double maximum)
{
	if (value >= minimum && value <= maximum)
		return 0;
	log_line(log, FIXAR_LOG_ERROR, "%s: %g, expected %g to %g", name, value, minimum, maximum);
	return -EINVAL;
}

static int check_bounds(const struct fixar_env_spec *spec, const struct log_sink *log)
{
	if (!spec->action_low || !spec->action_high) {
		log_line(log, FIXAR_LOG_ERROR, "environment %s: it has no bounds of actions", spec->name);
		return -EINVAL;
	}
	for (uint32_t j = 0; j < spec->action_dim; j++) {
		const double low = spec->action_low[j], high = spec->action_high[j];

		if (isfinite(low) && isfinite(high) && low < high && isfinite(high - low))
			continue;
		log_line(log, FIXAR_LOG_ERROR,
			 "environment %s: the bounds of action %u are %g and %g, expected finite ones, the lower first",
			 spec->name, j, low, high);
		return -EINVAL;
	}
	return 0;
}

static int check_callbacks(const struct fixar_env *env, const struct log_sink *log)
{
	const struct fixar_env_ops *ops = env->ops;
	int optional;

	if (ops->size < sizeof(*ops) || !ops->create || !ops->destroy || !ops->reset || !ops->step) {
		log_line(log, FIXAR_LOG_ERROR,
			 "environment %s: create, destroy, reset or step is missing, or ops.size is wrong",
			 env->spec->name);
		return -EINVAL;
	}
	optional = !!ops->state_size + !!ops->save + !!ops->restore;
	if (optional && optional != 3) {
		log_line(log, FIXAR_LOG_ERROR,
			 "environment %s: state_size, save and restore go together; %d of 3 are there", env->spec->name,
			 optional);
		return -EINVAL;
	}
	return 0;
}

int agent_check_env(const struct fixar_env *env, const struct log_sink *log)
{
	const struct fixar_env_spec *spec = env ? env->spec : NULL;

	if (!spec || !env->ops || spec->size < sizeof(*spec)) {
		log_line(log, FIXAR_LOG_ERROR, "environment: no specification or callbacks, or spec.size is wrong");
		return -EINVAL;
	}
	if (!spec->name || !*spec->name || strlen(spec->name) > AGENT_ENV_NAME_MAX) {
		log_line(log, FIXAR_LOG_ERROR, "environment: expected a name of 1 to %zu bytes", AGENT_ENV_NAME_MAX);
		return -EINVAL;
	}
	if (check_range(log, "environment.observation_dim", spec->observation_dim, 1, FIXAR_ENV_MAX_OBSERVATION) ||
	    check_range(log, "environment.action_dim", spec->action_dim, 1, FIXAR_ENV_MAX_ACTION))
		return -EINVAL;
	return check_bounds(spec, log) ? -EINVAL : check_callbacks(env, log);
}

static void fill_defaults(struct fixar_agent_options *options, const struct fixar_env_spec *spec)
{
	if (options->delay == UINT64_MAX)
		options->delay = options->total_steps / 2;
	if (options->noise_sigma == 0)
		options->noise_sigma = options->noise == FIXAR_NOISE_OU ? SIGMA_OU : SIGMA_GAUSSIAN;
	if (options->reward_scale_log2 == FIXAR_REWARD_SCALE_OF_ENV)
		options->reward_scale_log2 = spec->reward_scale_log2;
	if (!options->bits_count)
		options->bits = NULL;
	qat_schedule_defaults(options);
}

static int check_choices(const struct fixar_agent_options *options, const struct log_sink *log)
{
	const int64_t scale = options->reward_scale_log2;

	if ((unsigned int)options->precision > FIXAR_QAT16X16) {
		log_line(log, FIXAR_LOG_ERROR, "precision: %d, expected 0 (float32), 1 (fixed32), 2 (qat16) or 3 (qat16x16)",
			 (int)options->precision);
		return -EINVAL;
	}
	if ((unsigned int)options->noise > FIXAR_NOISE_OU) {
		log_line(log, FIXAR_LOG_ERROR, "noise: %d, expected 0 (gaussian) or 1 (ou)", (int)options->noise);
		return -EINVAL;
	}
	if (scale < -MAX_REWARD_SCALE || scale > MAX_REWARD_SCALE) {
		log_line(log, FIXAR_LOG_ERROR, "reward_scale_log2: %d, expected -%d to %d", (int)scale,
			 MAX_REWARD_SCALE, MAX_REWARD_SCALE);
		return -EINVAL;
	}
	if (options->bits_count && !options->bits) {
		log_line(log, FIXAR_LOG_ERROR, "bits: NULL, expected a table of bits_count = %zu entries",
			 options->bits_count);
		return -EINVAL;
	}
	if (options->bits_count && options->precision < FIXAR_QAT16) {
		log_line(log, FIXAR_LOG_ERROR, "bits: widths of layers take effect in precision qat16 or qat16x16 only, not in %s",
			 fixar_precision_name(options->precision));
		return -EINVAL;
	}
	return 0;
}

static int check_schedule(const struct fixar_agent_options *options, const struct log_sink *log)
{
	if ((unsigned int)options->schedule >= SCHEDULES) {
		log_line(log, FIXAR_LOG_ERROR, "schedule: %d, expected 0 (delay), 1 (muppet) or 2 (fractrain)",
			 (int)options->schedule);
		return -EINVAL;
	}
	if (options->schedule == FIXAR_SCHEDULE_DELAY) {
		if (!options->schedule_stages && !options->schedule_observe && !options->schedule_interval)
			return 0;
		log_line(log, FIXAR_LOG_ERROR,
			 "schedule: stages, observing and intervals belong to muppet and fractrain; the schedule is delay");
		return -EINVAL;
	}
	if (options->precision != FIXAR_QAT16) {
		log_line(log, FIXAR_LOG_ERROR, "schedule: %s is for precision qat16, not for %s",
			 qat_schedule_name[options->schedule], fixar_precision_name(options->precision));
		return -EINVAL;
	}
	if (options->bits_count) {
		log_line(log, FIXAR_LOG_ERROR, "bits: schedule %s has widths of its own for all layers",
			 qat_schedule_name[options->schedule]);
		return -EINVAL;
	}
	return 0;
}

static int check_numbers(const struct fixar_agent_options *options, const struct log_sink *log)
{
	if (check_range(log, "hidden_count", options->hidden_count, 1, FIXAR_MAX_HIDDEN))
		return -EINVAL;
	for (uint32_t i = 0; i < options->hidden_count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "hidden[%u]", i);
		if (check_range(log, name, options->hidden[i], 1, STEP_MAX_WIDTH))
			return -EINVAL;
	}
	if (check_range(log, "batch", options->batch, 1, STEP_MAX_BATCH) ||
	    check_range(log, "replay_capacity", options->replay_capacity, options->batch, MAX_REPLAY) ||
	    check_range(log, "updates_per_step", options->updates_per_step, 1, MAX_UPDATES) ||
	    check_range(log, "headroom_bits", options->headroom_bits, 0, MAX_HEADROOM) ||
	    check_range(log, "normalize_observations", (uint64_t)(int64_t)options->normalize_observations, 0, 1) ||
	    check_real(log, "noise_sigma", options->noise_sigma, 0, MAX_SIGMA) ||
	    check_real(log, "noise_theta", options->noise_theta, 0, 1))
		return -EINVAL;
	return 0;
}

static int make_config(const struct fixar_agent_options *options, const struct fixar_env_spec *spec,
		       const struct log_sink *log, struct step_config *config)
{
	struct edge_complaint complaint;
	char message[256];

	*config = (struct step_config){
		.observation_dim = spec->observation_dim,
		.action_dim = spec->action_dim,
		.hidden_count = options->hidden_count,
		.batch_max = options->batch,
		.seed = options->seed,
	};
	memcpy(config->hidden, options->hidden, options->hidden_count * sizeof(config->hidden[0]));
	if (edge_hyperparameters(options, &config->hyper, &complaint)) {
		log_line(log, FIXAR_LOG_ERROR, "%s: %.9g, expected %s", complaint.name, complaint.value,
			 complaint.expected);
		return -EINVAL;
	}
	/* What the options cannot show to be wrong, such as a network too large for the device's command. */
	if (step_config_check(config, message, sizeof(message))) {
		log_line(log, FIXAR_LOG_ERROR, "%s", message);
		return -EINVAL;
	}
	return 0;
}

int agent_options_take(const struct fixar_agent_options *given, struct fixar_agent_options *options)
{
	int error;

	*options = (struct fixar_agent_options)FIXAR_AGENT_OPTIONS_INIT;
	error = options_copy(options, sizeof(*options), given, given ? given->size : 0);
	if (error == -E2BIG) {
		/* The caller's struct is larger than ours, so that the log is in it. */
		log_line(&(struct log_sink){ given->log, given->log_user }, FIXAR_LOG_ERROR,
			 "options: %zu bytes with something in those beyond the %zu that this library (%s) knows",
			 given->size, sizeof(*options), fixar_version());
	}
	return error;
}

int agent_options_resolve(struct fixar_agent_options *options, const struct fixar_env_spec *spec,
			  struct step_config *config)
{
	const struct log_sink log = { options->log, options->log_user };
	int error;

	fill_defaults(options, spec);
	if (check_choices(options, &log) || check_schedule(options, &log) || check_numbers(options, &log))
		return -EINVAL;
	error = make_config(options, spec, &log, config);
	if (!error && options->precision >= FIXAR_QAT16 && options->schedule == FIXAR_SCHEDULE_DELAY &&
	    options->delay <= options->warm_up_steps)
		log_line(&log, FIXAR_LOG_WARNING,
			 "delay: %" PRIu64 " lies within the warm-up of %" PRIu64
			 " steps; the switch waits for the first training step, whose ranges alone it then goes by",
			 options->delay, options->warm_up_steps);
	return error;
}
