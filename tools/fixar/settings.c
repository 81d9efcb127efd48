// SPDX-License-Identifier: MIT
/* The table of settings, and setting them from text. */
#include "settings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qat/schedule.h"

static void *field(const struct setting *setting, const struct settings *settings)
{
	return (char *)settings + setting->offset;
}

static int parse_whole(const struct setting *setting, const char *text, uint64_t *value)
{
	if (cli_parse_u64(text, value) || (double)*value < setting->low || (double)*value > setting->high)
		return -EINVAL;
	return 0;
}

static int parse_u64(const struct setting *setting, struct settings *settings, const char *text)
{
	return parse_whole(setting, text, field(setting, settings));
}

static void format_u64(const struct setting *setting, const struct settings *settings, char *text)
{
	snprintf(text, SETTINGS_TEXT, "%llu", (unsigned long long)*(uint64_t *)field(setting, settings));
}

static int parse_u32(const struct setting *setting, struct settings *settings, const char *text)
{
	uint64_t value;

	if (parse_whole(setting, text, &value))
		return -EINVAL;
	*(uint32_t *)field(setting, settings) = (uint32_t)value;
	return 0;
}

static void format_u32(const struct setting *setting, const struct settings *settings, char *text)
{
	snprintf(text, SETTINGS_TEXT, "%u", *(uint32_t *)field(setting, settings));
}

static int parse_i32(const struct setting *setting, struct settings *settings, const char *text)
{
	double value;

	if (cli_parse_double(text, &value) || value != floor(value) || value < setting->low || value > setting->high)
		return -EINVAL;
	*(int32_t *)field(setting, settings) = (int32_t)value;
	return 0;
}

static void format_i32(const struct setting *setting, const struct settings *settings, char *text)
{
	snprintf(text, SETTINGS_TEXT, "%d", *(int32_t *)field(setting, settings));
}

static int parse_reward_scale(const struct setting *setting, struct settings *settings, const char *text)
{
	if (strcmp(text, "environment"))
		return parse_i32(setting, settings, text);
	settings->agent.reward_scale_log2 = FIXAR_REWARD_SCALE_OF_ENV;
	return 0;
}

static void format_reward_scale(const struct setting *setting, const struct settings *settings, char *text)
{
	if (settings->agent.reward_scale_log2 == FIXAR_REWARD_SCALE_OF_ENV)
		snprintf(text, SETTINGS_TEXT, "environment");
	else
		format_i32(setting, settings, text);
}

/* Fifteen digits: what is written to config.json is read back as the same number. */
static double fifteen_digits(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", value);
	return strtod(text, NULL);
}

static int parse_double(const struct setting *setting, struct settings *settings, const char *text)
{
	double value;

	if (cli_parse_double(text, &value) || value < setting->low || value > setting->high)
		return -EINVAL;
	*(double *)field(setting, settings) = fifteen_digits(value);
	return 0;
}

static void format_double(const struct setting *setting, const struct settings *settings, char *text)
{
	snprintf(text, SETTINGS_TEXT, "%.15g", *(double *)field(setting, settings));
}

static int parse_until(const struct setting *setting, struct settings *settings, const char *text)
{
	if (strcmp(text, "never"))
		return parse_double(setting, settings, text);
	settings->until = NAN;
	return 0;
}

static void format_until(const struct setting *setting, const struct settings *settings, char *text)
{
	if (isnan(settings->until))
		snprintf(text, SETTINGS_TEXT, "never");
	else
		format_double(setting, settings, text);
}

static int parse_precision(const struct setting *setting, struct settings *settings, const char *text)
{
	(void)setting;
	return fixar_precision_parse(text, &settings->agent.precision);
}

static void format_precision(const struct setting *setting, const struct settings *settings, char *text)
{
	(void)setting;
	snprintf(text, SETTINGS_TEXT, "%s", fixar_precision_name(settings->agent.precision));
}

static int parse_switch(const struct setting *setting, struct settings *settings, const char *text)
{
	if (strcmp(text, "true") && strcmp(text, "false"))
		return -EINVAL;
	*(int *)field(setting, settings) = !strcmp(text, "true");
	return 0;
}

static void format_switch(const struct setting *setting, const struct settings *settings, char *text)
{
	snprintf(text, SETTINGS_TEXT, "%s", *(int *)field(setting, settings) ? "true" : "false");
}

static int parse_list(const struct setting *setting, const char *text, uint32_t *numbers, uint32_t most, uint32_t *count)
{
	uint32_t found[FIXAR_MAX_HIDDEN], n = 0;
	char copy[SETTINGS_TEXT], *rest = copy, *item;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	while ((item = strsep(&rest, ","))) {
		uint64_t number;

		if (n == most || parse_whole(setting, item, &number))
			return -EINVAL;
		found[n++] = (uint32_t)number;
	}
	memset(numbers, 0, most * sizeof(*numbers));
	memcpy(numbers, found, n * sizeof(*numbers));
	*count = n;
	return 0;
}

static void format_list(const uint32_t *numbers, uint32_t count, char *text)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, SETTINGS_TEXT - used, "%s%u", i ? "," : "", numbers[i]);
}

static int parse_hidden(const struct setting *setting, struct settings *settings, const char *text)
{
	return parse_list(setting, text, settings->agent.hidden, FIXAR_MAX_HIDDEN, &settings->agent.hidden_count);
}

static void format_hidden(const struct setting *setting, const struct settings *settings, char *text)
{
	(void)setting;
	format_list(settings->agent.hidden, settings->agent.hidden_count, text);
}

static int parse_schedule(const struct setting *setting, struct settings *settings, const char *text)
{
	(void)setting;
	return settings_parse_schedule(text, &settings->agent.schedule);
}

static void format_schedule(const struct setting *setting, const struct settings *settings, char *text)
{
	(void)setting;
	snprintf(text, SETTINGS_TEXT, "%s", qat_schedule_name[settings->agent.schedule]);
}

static int parse_stages(const struct setting *setting, struct settings *settings, const char *text)
{
	if (strcmp(text, "default"))
		return parse_list(setting, text, settings->agent.schedule_width, FIXAR_MAX_STAGES,
				  &settings->agent.schedule_stages);
	settings->agent.schedule_stages = 0;
	return 0;
}

static void format_stages(const struct setting *setting, const struct settings *settings, char *text)
{
	(void)setting;
	if (settings->agent.schedule_stages)
		format_list(settings->agent.schedule_width, settings->agent.schedule_stages, text);
	else
		snprintf(text, SETTINGS_TEXT, "default");
}

static int parse_noise(const struct setting *setting, struct settings *settings, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	double sigma = 0; /* the kind's own */

	if (colon && (cli_parse_double(colon + 1, &sigma) || sigma <= setting->low || sigma > setting->high))
		return -EINVAL;
	if (length == strlen("gaussian") && !strncmp(text, "gaussian", length))
		settings->agent.noise = FIXAR_NOISE_GAUSSIAN;
	else if (length == strlen("ou") && !strncmp(text, "ou", length))
		settings->agent.noise = FIXAR_NOISE_OU;
	else
		return -EINVAL;
	settings->agent.noise_sigma = fifteen_digits(sigma);
	return 0;
}

static void format_noise(const struct setting *setting, const struct settings *settings, char *text)
{
	const char *kind = settings->agent.noise == FIXAR_NOISE_OU ? "ou" : "gaussian";

	(void)setting;
	if (settings->agent.noise_sigma > 0)
		snprintf(text, SETTINGS_TEXT, "%s:%.15g", kind, settings->agent.noise_sigma);
	else
		snprintf(text, SETTINGS_TEXT, "%s", kind);
}

static int parse_delay(const struct setting *setting, struct settings *settings, const char *text)
{
	size_t length = strlen(text);
	char share[32];
	double percent;

	if (!length || text[length - 1] != '%') {
		if (parse_whole(setting, text, &settings->agent.delay))
			return -EINVAL;
		settings->delay_share = NAN;
		return 0;
	}
	if (length > sizeof(share))
		return -EINVAL;
	memcpy(share, text, length - 1);
	share[length - 1] = '\0';
	if (cli_parse_double(share, &percent) || percent < 0 || percent > 100)
		return -EINVAL;
	settings->delay_share = percent / 100;
	return 0;
}

static void format_delay(const struct setting *setting, const struct settings *settings, char *text)
{
	if (isnan(settings->delay_share))
		format_u64(setting, settings, text);
	else
		snprintf(text, SETTINGS_TEXT, "%.15g%%", 100 * settings->delay_share);
}

#define OF_AGENT(member) offsetof(struct settings, agent.member)
#define WHOLE32(member) .parse = parse_u32, .format = format_u32, .offset = OF_AGENT(member), .is_number = true
#define WHOLE64(member) .parse = parse_u64, .format = format_u64, .offset = OF_AGENT(member), .is_number = true
#define OF_TOOL(member) \
	.parse = parse_u64, .format = format_u64, .offset = offsetof(struct settings, member), .is_number = true
#define REAL(member) .parse = parse_double, .format = format_double, .offset = OF_AGENT(member), .is_number = true
#define SIGNED(member) .parse = parse_i32, .format = format_i32, .offset = OF_AGENT(member), .is_number = true

const struct setting settings_table[] = {
	{ .name = "precision",
	  .short_key = 'p',
	  .argument = "MODE",
	  .parse = parse_precision,
	  .format = format_precision,
	  .expected = "float32, fixed32, qat16 or qat16x16",
	  .help = "Arithmetic: float32, fixed32, or qat16 (16-bit activations after the quantization delay); default "
		  "fixed32" },
	{ .name = "steps",
	  .short_key = 'n',
	  .argument = "N",
	  OF_TOOL(steps),
	  .low = 1,
	  .high = 1e12,
	  .may_change = true,
	  .help = "Environment steps in all; default 20,000 for pendulum, 1,000,000 for others" },
	{ .name = "seed",
	  .short_key = 's',
	  .argument = "N",
	  WHOLE64(seed),
	  .low = 0,
	  .high = 0x1p53,
	  .help = "Seed of all random numbers; default 0" },
	{ .name = "batch",
	  .short_key = 'b',
	  .argument = "N",
	  WHOLE32(batch),
	  .low = 1,
	  .high = 65536,
	  .help = "Transitions in a training step; default 64" },
	{ .name = "hidden",
	  .argument = "N,N",
	  .parse = parse_hidden,
	  .format = format_hidden,
	  .low = 1,
	  .high = 16384,
	  .is_list = true,
	  .expected = "1 to 31 widths from 1 to 16384 with commas between them, such as 400,300",
	  .help = "Widths of the hidden layers; default 400,300" },
	{ .name = "delay",
	  .argument = "N|P%",
	  .parse = parse_delay,
	  .format = format_delay,
	  .offset = OF_AGENT(delay),
	  .is_number = true,
	  .low = 0,
	  .high = 1e12,
	  .expected = "a number of environment steps or a share of all steps such as 50%",
	  .help = "Quantization delay of qat16 in environment steps, or as a share of all steps; default 50%" },
	{ .name = "schedule",
	  .argument = "NAME",
	  .parse = parse_schedule,
	  .format = format_schedule,
	  .expected = "delay, muppet or fractrain",
	  .help = "When qat16 changes its operands: after the delay (default), or from narrow to wider in stages: muppet "
		  "(when gradients are less diverse) or fractrain (when the critic's loss is flat)" },
	{ .name = "schedule-widths",
	  .argument = "N,N",
	  .parse = parse_stages,
	  .format = format_stages,
	  .low = 2,
	  .high = 32,
	  .is_list = true,
	  .expected = "up to 8 ascending widths from 2 to 16, or 32, such as 8,12,16, or \"default\"",
	  .help = "Widths of its stages; default 8,12,14,16,32 (muppet) or 6,8,12,16 (fractrain)" },
	{ .name = "schedule-observe",
	  .argument = "N",
	  WHOLE64(schedule_observe),
	  .low = 0,
	  .high = 1e12,
	  .help = "Training steps in full precision before its first stage; default 0: a fiftieth of all steps" },
	{ .name = "schedule-interval",
	  .argument = "N",
	  WHOLE64(schedule_interval),
	  .low = 0,
	  .high = 1e12,
	  .help = "Training steps between its looks at the training; default 0: a hundredth of all steps" },
	{ .name = "noise",
	  .argument = "KIND[:SIGMA]",
	  .parse = parse_noise,
	  .format = format_noise,
	  .low = 0,
	  .high = 10,
	  .expected = "gaussian or ou, with or without a deviation above 0 and up to 10, such as ou:0.2",
	  .help = "Exploration noise: gaussian or ou (Ornstein-Uhlenbeck), and its deviation as a share of half the "
		  "range of actions; default gaussian:0.1 (ou: 0.2)" },
	{ .name = "noise-theta",
	  .argument = "X",
	  REAL(noise_theta),
	  .low = 0,
	  .high = 1,
	  .help = "How fast Ornstein-Uhlenbeck noise returns to 0; default 0.15" },
	{ .name = "actor-rate",
	  .argument = "X",
	  REAL(actor_rate),
	  .low = 1e-6,
	  .high = 0.5,
	  .help = "Learning rate of the actor; default 0.001" },
	{ .name = "critic-rate",
	  .argument = "X",
	  REAL(critic_rate),
	  .low = 1e-6,
	  .high = 0.5,
	  .help = "Learning rate of the critic; default 0.001" },
	{ .name = "tau",
	  .argument = "X",
	  REAL(tau),
	  .low = 1e-9,
	  .high = 1,
	  .help = "How far the target networks follow in each step; default 0.005" },
	{ .name = "discount",
	  .argument = "X",
	  REAL(discount),
	  .low = 0,
	  .high = 0.999999,
	  .help = "Discount of future rewards; default 0.99" },
	{ .name = "beta1", .argument = "X", REAL(beta1), .low = 0, .high = 0.999999, .help = "Of Adam; default 0.9" },
	{ .name = "beta2",
	  .argument = "X",
	  REAL(beta2),
	  .low = 0.500001,
	  .high = 0.999999,
	  .help = "Of Adam; default 0.999" },
	{ .name = "warm-up",
	  .argument = "N",
	  WHOLE64(warm_up_steps),
	  .low = 0,
	  .high = 1e12,
	  .help = "Steps with uniformly random actions first; default 1,000 for pendulum, 10,000 for others" },
	{ .name = "updates-per-step",
	  .argument = "N",
	  WHOLE32(updates_per_step),
	  .low = 1,
	  .high = 1000,
	  .help = "Training steps for each environment step; default 1" },
	{ .name = "replay-capacity",
	  .argument = "N",
	  WHOLE64(replay_capacity),
	  .low = 1,
	  .high = 1e9,
	  .help = "Transitions kept in the replay memory; default 1,000,000" },
	{ .name = "reward-scale",
	  .argument = "N",
	  .parse = parse_reward_scale,
	  .format = format_reward_scale,
	  .offset = OF_AGENT(reward_scale_log2),
	  .low = -30,
	  .high = 30,
	  .is_number = true,
	  .expected = "a whole number from -30 to 30, or \"environment\"",
	  .help = "Rewards reach the core times 2^N; default: what the environment asks for" },
	{ .name = "normalize",
	  .parse = parse_switch,
	  .format = format_switch,
	  .offset = OF_AGENT(normalize_observations),
	  .is_number = true,
	  .expected = "true or false",
	  .help = "Bring observations to mean 0 and deviation 1 with running statistics" },
	{ .name = "headroom",
	  .argument = "BITS",
	  WHOLE32(headroom_bits),
	  .low = 0,
	  .high = 8,
	  .help = "Room above the observed range when precision switches; default 1" },
	{ .name = "actor-gradient-scale",
	  .argument = "N",
	  SIGNED(actor_gradient_scale_log2),
	  .low = -2,
	  .high = 6,
	  .help = "Gradients of the actor are carried times 2^N; default 2" },
	{ .name = "critic-gradient-scale",
	  .argument = "N",
	  SIGNED(critic_gradient_scale_log2),
	  .low = -2,
	  .high = 6,
	  .help = "Gradients of the critic are carried times 2^N; default 0" },
	{ .name = "checkpoint-every",
	  .argument = "N",
	  OF_TOOL(checkpoint_every),
	  .low = 1,
	  .high = 1e12,
	  .may_change = true,
	  .help = "Environment steps between checkpoints; default 5,000" },
	{ .name = "eval-every",
	  .argument = "N",
	  OF_TOOL(evaluate_every),
	  .low = 0,
	  .high = 1e12,
	  .may_change = true,
	  .help = "Environment steps between evaluations without exploration; default 0: none" },
	{ .name = "eval-episodes",
	  .argument = "N",
	  OF_TOOL(evaluation_episodes),
	  .low = 1,
	  .high = 1e6,
	  .may_change = true,
	  .help = "Episodes of such an evaluation; default 5" },
	{ .name = "eval-seed",
	  .argument = "N",
	  OF_TOOL(evaluation_seed),
	  .low = 0,
	  .high = 0x1p53,
	  .may_change = true,
	  .help = "Seed of their start states; default 1,000,000" },
	{ .name = "until",
	  .argument = "RETURN",
	  .parse = parse_until,
	  .format = format_until,
	  .offset = offsetof(struct settings, until),
	  .is_number = true,
	  .low = -1e12,
	  .high = 1e12,
	  .may_change = true,
	  .expected = "a mean return, or \"never\"",
	  .help = "End the training when an evaluation reaches this mean return, in qat16 not before the switch; "
		  "without --eval-every there is one every 1,000 steps" },
};
const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

int settings_parse_schedule(const char *text, enum fixar_schedule *schedule)
{
	for (size_t i = 0; i < SCHEDULES; i++) {
		if (!strcmp(text, qat_schedule_name[i])) {
			*schedule = (enum fixar_schedule)i;
			return 0;
		}
	}
	return -EINVAL;
}

void settings_default(struct settings *settings)
{
	*settings = (struct settings){
		.delay_share = 0.5,
		.checkpoint_every = 5000,
		.evaluation_episodes = 5,
		.evaluation_seed = 1000000,
		.until = NAN,
		.agent = FIXAR_AGENT_OPTIONS_INIT,
	};
}

void settings_environment(struct settings *settings, const char *environment)
{
	/* Pendulum is learned in minutes; the locomotion tasks of the literature run for a million steps. */
	bool small = !strcmp(environment, "pendulum");

	snprintf(settings->environment, sizeof(settings->environment), "%s", environment);
	settings->steps = small ? 20000 : 1000000;
	settings->agent.warm_up_steps = small ? 1000 : 10000;
}

void settings_resolve(struct settings *settings)
{
	if (!isnan(settings->delay_share)) {
		settings->agent.delay = (uint64_t)llround((double)settings->steps * settings->delay_share);
		settings->delay_share = NAN;
	}
	settings->agent.total_steps = settings->steps;
	if (!isnan(settings->until) && !settings->evaluate_every)
		settings->evaluate_every = 1000;
	settings->agent.bits = settings->bits_count ? settings->bits : NULL;
	settings->agent.bits_count = settings->bits_count;
}

const struct setting *settings_find(const char *name)
{
	for (size_t i = 0; i < settings_count; i++)
		if (!strcmp(settings_table[i].name, name))
			return &settings_table[i];
	return NULL;
}

int settings_set(struct settings *settings, const struct setting *setting, const char *text, char **message)
{
	if (!setting->parse(setting, settings, text))
		return 0;
	if (setting->expected)
		*message = cli_format("%s is \"%s\"; expected %s", setting->name, text, setting->expected);
	else
		*message = cli_format("%s is \"%s\"; expected a %snumber from %.15g to %.15g", setting->name, text,
				      setting->parse == parse_double ? "" : "whole ", setting->low, setting->high);
	return -EINVAL;
}
