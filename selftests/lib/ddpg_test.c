// SPDX-License-Identifier: MIT
/*
 * Description: the training loop does what lib/ARITHMETIC.md and the public header say, in the order they say: who acts
 * and with which random numbers, what reaches the device, what is stored as terminal, when the operands are switched.
 * A device that computes nothing writes down what the loop asks of it.
 */
#include "ktap.h"
#include "probe.h"

#include "ddpg/edge.h"
#include "ddpg/normalizer.h"
#include "fx/fixed.h"
#include "fx/random.h"
#include "qat/policy.h"

#define ONE FX_ONE

struct setup {
	struct probe_env probe;
	struct spy_device spy;
	struct probe_log log;
	struct fixar_agent_options options;
	struct fixar_agent *agent;
};

/* Fills in a small agent; the caller changes what the test is about and calls start(). */
static void prepare(struct setup *setup, uint32_t max_episode_steps)
{
	probe_env_init(&setup->probe, max_episode_steps, 0);
	spy_init(&setup->spy);
	probe_log_clear(&setup->log);
	setup->options = (struct fixar_agent_options)FIXAR_AGENT_OPTIONS_INIT;
	setup->options.hidden[0] = setup->options.hidden[1] = 8;
	setup->options.batch = 4;
	setup->options.replay_capacity = 1000;
	setup->options.warm_up_steps = 10;
	setup->options.seed = 7;
	setup->options.log = probe_log_write;
	setup->options.log_user = &setup->log;
	setup->agent = NULL;
}

static int start(struct setup *setup)
{
	return fixar_agent_create(&setup->spy.base, &setup->probe.env, &setup->options, &setup->agent);
}

static struct fixar_agent_status status_of(struct setup *setup)
{
	struct fixar_agent_status status = { .size = sizeof(status) };

	fixar_agent_status(setup->agent, &status);
	return status;
}

/* ---- Counting ---- */

static void test_update_counts(struct setup *setup)
{
	prepare(setup, 50);
	setup->options.updates_per_step = 3;
	start(setup);
	ktap_ok(setup->spy.config.seed == 7 && setup->spy.config.batch_max == 4 &&
			setup->spy.config.hidden_count == 2 && setup->spy.config.hidden[1] == 8 &&
			setup->spy.config.observation_dim == 2 && setup->spy.config.action_dim == 1,
		"the device is told the seed and the shape of the networks");
	fixar_agent_train(setup->agent, 10, NULL, NULL);
	ktap_ok(setup->spy.trainings == 0 && setup->spy.acts == 0, "no training and no policy during the warm-up");
	fixar_agent_train(setup->agent, 11, NULL, NULL);
	ktap_ok(setup->spy.trainings == 3 && setup->spy.acts == 1, "training begins with the first step after it");
	fixar_agent_train(setup->agent, 30, NULL, NULL);
	ktap_ok(setup->spy.trainings == 60 && setup->spy.acts == 20, "updates_per_step training steps for each step");
	ktap_ok(status_of(setup).training_steps == 60 && status_of(setup).environment_steps == 30,
		"the status counts the same");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 50);
	setup->options.warm_up_steps = 2;
	setup->options.batch = 6;
	start(setup);
	fixar_agent_train(setup->agent, 5, NULL, NULL);
	ktap_ok(setup->spy.trainings == 0 && setup->spy.acts == 3,
		"no training before the replay memory holds a batch");
	fixar_agent_train(setup->agent, 6, NULL, NULL);
	ktap_ok(setup->spy.trainings == 1, "training begins once it does");
	fixar_agent_destroy(setup->agent);
	ktap_ok(setup->probe.created == setup->probe.destroyed, "the environment's instances are destroyed");
}

struct walk {
	struct setup *setup;
	uint64_t calls, ends, steps_of_episodes;
	double returns;
	int losses;
	uint64_t stop_at;
	unsigned wrong;
};

static int walk(void *user, const struct fixar_progress *progress)
{
	struct walk *at = user;

	at->calls++;
	at->wrong += progress->environment_steps != at->calls;
	at->losses += !isnan(progress->critic_loss);
	if (progress->episode_end) {
		at->ends++;
		at->steps_of_episodes += progress->episode_steps;
		at->returns += progress->episode_return;
	}
	return progress->environment_steps == at->stop_at ? 17 : 0;
}

static void test_episodes(struct setup *setup)
{
	struct walk at = { .setup = setup };
	double sum = 0, last = 0, mean = 0;
	int result;

	prepare(setup, 5);
	setup->spy.critic_loss = 0.25;
	start(setup);
	ktap_ok(isnan(status_of(setup).last_return) && isnan(status_of(setup).mean_return) &&
			isnan(status_of(setup).critic_loss),
		"no return and no loss before there is one");
	fixar_agent_train(setup->agent, 62, walk, &at);
	for (int e = 0; e < 12; e++) {
		last = 0;
		for (int t = 1; t <= 5; t++)
			last += PROBE_CLOCK(e, t);
		sum += last;
		mean += e >= 2 ? last / 10 : 0;
	}
	ktap_ok(at.calls == 62 && !at.wrong, "progress is told after every step");
	ktap_ok(at.ends == 12 && at.steps_of_episodes == 60 && fabs(at.returns - sum) < 1e-9,
		"and says when an episode has ended, after how many steps and with which return");
	ktap_ok(at.losses == 52, "and the loss of steps that trained");
	ktap_ok(status_of(setup).episodes == 12 && fabs(status_of(setup).last_return - last) < 1e-9 &&
			status_of(setup).last_episode_steps == 5,
		"the status has the last episode");
	ktap_ok(fabs(status_of(setup).mean_return - mean) < 1e-9, "the mean return is that of the last 10 episodes");
	ktap_ok(status_of(setup).critic_loss == 0.25, "the loss is averaged");
	ktap_ok(status_of(setup).mean_q == (1 + 52) / 2.0, "and so is Q (%g)", status_of(setup).mean_q);
	ktap_ok(setup->probe.resets == 13 && setup->probe.last_purpose == FX_RANDOM_ENV_RESET,
		"resets draw from the stream of their episode");

	at = (struct walk){ .setup = setup, .calls = 62, .stop_at = 70 };
	result = fixar_agent_train(setup->agent, 100, walk, &at);
	ktap_ok(result == 17 && status_of(setup).environment_steps == 70, "progress can end the training");
	result = fixar_agent_train(setup->agent, 300, NULL, NULL);
	ktap_ok(result == 0 && status_of(setup).environment_steps == 300, "which can go on later");
	ktap_ok(status_of(setup).mean_q == 290 - 99 / 2.0, "the means are over the last 100 training steps");
	fixar_agent_destroy(setup->agent);
}

/* ---- Actions ---- */

static int check_warm_up(void *user, const struct fixar_progress *progress)
{
	struct walk *at = user;
	const uint64_t step = progress->environment_steps - 1;
	const int32_t word = (int32_t)fx_random_word(7, FX_RANDOM_WARM_UP, step, 0);
	/* The word as a number from -1 to 1, rounded half up, of the half range 3 around the middle 1. */
	const double expected = 1 + 3 * (floor((double)word * 0x1p-31 * ONE + 0.5) / ONE);

	at->wrong += at->setup->probe.last_action != expected;
	return 0;
}

static void test_actions(struct setup *setup)
{
	struct walk at = { .setup = setup };
	unsigned flags_wrong = 0, clock_wrong = 0;

	prepare(setup, 8);
	start(setup);
	fixar_agent_train(setup->agent, 10, check_warm_up, &at);
	ktap_ok(!at.wrong, "warm-up actions are those of the contract, mapped to the bounds");
	setup->spy.action = ONE / 2;
	fixar_agent_train(setup->agent, 11, NULL, NULL);
	ktap_ok(setup->probe.last_action == 2.5, "actions of the device are mapped to the bounds");
	setup->spy.action = -ONE;
	fixar_agent_train(setup->agent, 12, NULL, NULL);
	ktap_ok(setup->probe.last_action == -2, "down to the lower bound");
	fixar_agent_train(setup->agent, 60, NULL, NULL);
	for (size_t a = 0; a < setup->spy.acts; a++) {
		const uint64_t step = 10 + a;
		/* The first noisy action of an episode: the first one after the warm-up, or the first one of all. */
		const uint32_t expected = STEP_ACT_EXPLORE | (step == 10 || step % 8 == 0 ? STEP_ACT_RESET_NOISE : 0);

		flags_wrong += setup->spy.act_flags[a] != expected;
		clock_wrong += setup->spy.act_observation[a] != (int32_t)(PROBE_CLOCK(step / 8, step % 8) * ONE);
	}
	ktap_ok(setup->spy.acts == 50 && !flags_wrong,
		"every action explores, and an episode's first one resets the noise");
	ktap_ok(!clock_wrong, "the policy acts on the present observation");
	fixar_agent_destroy(setup->agent);
}

static void test_noise(struct setup *setup)
{
	prepare(setup, 8);
	start(setup);
	ktap_ok(setup->spy.mode.noise == STEP_NOISE_GAUSSIAN && setup->spy.mode.noise_sigma == 419430,
		"Gaussian noise of 0.1 by default");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 8);
	setup->options.noise = FIXAR_NOISE_OU;
	start(setup);
	ktap_ok(setup->spy.mode.noise == STEP_NOISE_OU && setup->spy.mode.noise_sigma == 838861 &&
			setup->spy.mode.noise_theta == 629146,
		"Ornstein-Uhlenbeck noise with sigma 0.2 and theta 0.15");
	fixar_agent_destroy(setup->agent);
}

/* ---- Batches ---- */

struct batch_check {
	struct setup *setup;
	uint64_t trainings;
	int32_t reward_scale;
	unsigned order, next, terminal, reward, action, terminals;
	double largest;
};

static void check_batch(void *user, const struct step_batch *batch)
{
	struct batch_check *check = user;
	/* Training step k comes after environment step 11 + k. */
	const uint64_t count = 11 + check->trainings;
	const uint32_t limit = check->setup->probe.terminate_after ? check->setup->probe.terminate_after
								   : check->setup->probe.spec.max_episode_steps;

	for (uint32_t b = 0; b < batch->size; b++) {
		const uint32_t word = fx_random_word(7, FX_RANDOM_REPLAY, check->trainings, b);
		const uint64_t transition = (uint64_t)word * count >> 32;
		const double before = PROBE_CLOCK(transition / limit, transition % limit);
		const double after = PROBE_CLOCK(transition / limit, transition % limit + 1);
		const int terminal = check->setup->probe.terminate_after && transition % limit == limit - 1;

		check->order += batch->observation[2 * b + 1] != (int32_t)(before * ONE);
		check->next += batch->next_observation[2 * b + 1] != (int32_t)(after * ONE);
		check->terminal += batch->terminal[b] != terminal;
		check->terminals += batch->terminal[b];
		check->reward += batch->reward[b] != (int32_t)floor(ldexp(after, check->reward_scale) * ONE + 0.5);
		/* The position moves by a tenth of 1 + 3 a. */
		check->action += fabs((batch->next_observation[2 * b] - batch->observation[2 * b]) / (double)ONE -
				      (1 + 3 * (batch->action[b] / (double)ONE)) / 10) > 1e-5;
	}
	check->trainings++;
}

static void test_batches(struct setup *setup)
{
	struct batch_check check = { .setup = setup, .reward_scale = -3 };

	prepare(setup, 7);
	setup->probe.spec.reward_scale_log2 = -3;
	setup->spy.on_train = check_batch;
	setup->spy.user = &check;
	start(setup);
	fixar_agent_train(setup->agent, 200, NULL, NULL);
	ktap_ok(check.trainings == 190 && !check.order, "a batch is what the replay stream of its training step draws");
	ktap_ok(!check.next && !check.action, "with the action and what came after, also at the end of an episode");
	ktap_ok(!check.reward, "rewards are scaled as the environment says");
	ktap_ok(!check.terminal && !check.terminals, "truncation is not terminal: the bootstrap is kept");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 7);
	check = (struct batch_check){ .setup = setup, .reward_scale = 2 };
	setup->probe.spec.reward_scale_log2 = -3;
	setup->options.reward_scale_log2 = 2;
	setup->probe.terminate_after = 5;
	setup->spy.on_train = check_batch;
	setup->spy.user = &check;
	start(setup);
	fixar_agent_train(setup->agent, 200, NULL, NULL);
	ktap_ok(!check.reward && !check.order, "or as the options say");
	ktap_ok(!check.terminal && check.terminals, "termination is terminal");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 5);
	check = (struct batch_check){ .setup = setup };
	setup->probe.terminate_after = 5;
	setup->spy.on_train = check_batch;
	setup->spy.user = &check;
	start(setup);
	fixar_agent_train(setup->agent, 100, NULL, NULL);
	ktap_ok(!check.terminal && check.terminals, "termination in the step of the limit is terminal too");
	fixar_agent_destroy(setup->agent);
}

static void test_saturation(struct setup *setup)
{
	struct fixar_agent_status status;

	prepare(setup, 300);
	setup->probe.size_of_start = 1e6;
	start(setup);
	fixar_agent_train(setup->agent, 10, NULL, NULL);
	ktap_ok(status_of(setup).saturation[10] == 0, "nothing is converted before the policy acts");
	fixar_agent_train(setup->agent, 12, NULL, NULL);
	status = status_of(setup);
	/* Two actions, and two batches of 4 with both observations: the position is far beyond 512 each time. */
	ktap_ok(status.saturation[10] == 2 + 2 * 4 * 2, "observations beyond the range are counted as \"%s\" (%llu)",
		fixar_saturation_name(10), (unsigned long long)status.saturation[10]);
	ktap_ok(status.saturation[0] == 0 && status.saturation[9] == 18,
		"the device's own saturations are told with them");
	fixar_agent_destroy(setup->agent);
}

/* ---- Observation normalization ---- */

struct normal_check {
	double mean, deviation;
	unsigned wrong, seen;
};

static void check_normal(void *user, const struct step_batch *batch)
{
	struct normal_check *check = user;
	double sum = 0, squares = 0;

	/* After environment step 50: its 51 observations are the clocks 0 to 50 of episode 0. */
	if (check->seen++ != 40 - 1)
		return;
	for (int t = 0; t <= 50; t++)
		sum += PROBE_CLOCK(0, t);
	check->mean = sum / 51;
	for (int t = 0; t <= 50; t++)
		squares += (PROBE_CLOCK(0, t) - check->mean) * (PROBE_CLOCK(0, t) - check->mean);
	check->deviation = sqrt(squares / 51);
	for (uint32_t b = 0; b < batch->size; b++) {
		const uint64_t transition = (uint64_t)fx_random_word(7, FX_RANDOM_REPLAY, 39, b) * 50 >> 32;
		const double x = (PROBE_CLOCK(0, transition) - check->mean) / check->deviation;
		const double next = (PROBE_CLOCK(0, transition + 1) - check->mean) / check->deviation;

		check->wrong += fabs(batch->observation[2 * b + 1] / (double)ONE - x) > 1.0 / ONE;
		check->wrong += fabs(batch->next_observation[2 * b + 1] / (double)ONE - next) > 1.0 / ONE;
	}
}

static void test_normalization(struct setup *setup)
{
	struct normal_check check = { 0 };
	struct normalizer *normalizer;
	double observation[2] = { 0, PROBE_CLOCK(0, 50) }, action;

	prepare(setup, 0);
	setup->options.normalize_observations = 1;
	setup->spy.on_train = check_normal;
	setup->spy.user = &check;
	start(setup);
	fixar_agent_train(setup->agent, 50, NULL, NULL);
	ktap_ok(check.seen == 40 && !check.wrong,
		"batches are standardized with the statistics of all observations so far");
	setup->spy.acts = 0;
	fixar_agent_act(setup->agent, observation, &action);
	ktap_ok(fabs(setup->spy.act_observation[0] / (double)ONE - (observation[1] - check.mean) / check.deviation) <
			1.0 / ONE,
		"and so is what the policy acts on");
	fixar_agent_act(setup->agent, observation, &action);
	ktap_ok(setup->spy.act_observation[0] == setup->spy.act_observation[1], "acting leaves the statistics alone");
	fixar_agent_destroy(setup->agent);

	if (normalizer_create(1, &normalizer))
		return;
	normalizer_add(normalizer, (float[]){ 3 });
	ktap_ok(normalizer_apply(normalizer, 0, 5) == 5, "a single observation changes nothing");
	normalizer_add(normalizer, (float[]){ 3 });
	ktap_ok(normalizer_apply(normalizer, 0, 3) == 0 && normalizer_apply(normalizer, 0, 4) == 1024,
		"a component that never changed is not divided by 0");
	normalizer_destroy(normalizer);
}

/* ---- What is not finite ---- */

static void test_not_finite(struct setup *setup)
{
	static const struct {
		uint64_t step;
		int component;
		double value;
		int error;
		const char *words;
	} cases[] = {
		{ 4, 0, NAN, -EDOM, "error: environment probe, step 3: component 0 of the observation is" },
		{ 15, 1, INFINITY, -EDOM, "error: environment probe, step 14: component 1 of the observation is inf" },
		{ 15, 1, 1e39, -EDOM, "error: environment probe, step 14: component 1 of the observation is 1e+39" },
		{ 15, -1, -INFINITY, -EDOM, "error: environment probe, step 14: the reward is -inf" },
		{ 15, -2, 0, -EIO, "error: environment probe, step 14: step() failed: Input/output error" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t resets;
		int error;

		prepare(setup, 20);
		setup->probe.bad_step = cases[i].step;
		setup->probe.bad_component = cases[i].component;
		setup->probe.bad_value = cases[i].value;
		start(setup);
		error = fixar_agent_train(setup->agent, 100, NULL, NULL);
		ktap_ok(error == cases[i].error && status_of(setup).environment_steps == cases[i].step - 1 &&
				strstr(setup->log.text, cases[i].words),
			"case %zu ends the run and is told: %s", i, setup->log.used ? "as expected" : "nothing");
		resets = setup->probe.resets;
		error = fixar_agent_train(setup->agent, cases[i].step, NULL, NULL);
		ktap_ok(!error && setup->probe.resets == resets + 1,
			"case %zu: training can go on, with another episode", i);
		fixar_agent_destroy(setup->agent);
	}

	prepare(setup, 20);
	setup->probe.bad_reset = 1;
	setup->probe.bad_value = NAN;
	start(setup);
	ktap_ok(fixar_agent_train(setup->agent, 100, NULL, NULL) == -EDOM &&
			strstr(setup->log.text, "step 0: component 1 of the observation is"),
		"a start state that is not finite ends the run");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 20);
	setup->spy.critic_loss = NAN;
	start(setup);
	ktap_ok(fixar_agent_train(setup->agent, 100, NULL, NULL) == -EDOM && strstr(setup->log.text, "diverged"),
		"a loss that is not a number ends the run");
	fixar_agent_destroy(setup->agent);
}

/* ---- Switch of precision ---- */

static int note_switch(void *user, const struct fixar_progress *progress)
{
	if (progress->switched)
		*(uint64_t *)user = progress->environment_steps;
	return 0;
}

static int same(const struct step_quantizer *quantizer, int32_t width, int32_t fraction, int32_t is_signed)
{
	return quantizer->width == width && quantizer->fraction == fraction && quantizer->is_signed == is_signed;
}

static void test_switch(struct setup *setup)
{
	const struct fixar_layer_bits bits[] = {
		{ .network = 1, .layer = 2, .activation = 8, .weight = 12, .gradient = 32 },
		{ .network = 0, .layer = 0, .activation = 32, .weight = 32, .gradient = 10 }
	};
	uint64_t switched = 0;
	const struct step_quantizer *table = setup->spy.quantizers;
	const int32_t ones[STEP_CLASSES] = { 1 << FX_ACTIVATION, 1 << FX_WEIGHT, 1 << FX_GRADIENT };

	prepare(setup, 50);
	setup->options.precision = FIXAR_QAT16;
	setup->options.delay = 40;
	setup->options.bits = bits;
	setup->options.bits_count = 2;
	for (size_t i = 0; i < SPY_ENTRIES; i++)
		setup->spy.ranges[i] = (struct step_range){ -ones[i % STEP_CLASSES], 3 * ones[i % STEP_CLASSES] };
	start(setup);
	ktap_ok(setup->spy.mode.observe && !setup->spy.mode.quantized, "ranges are observed from the start");
	fixar_agent_train(setup->agent, 39, note_switch, &switched);
	ktap_ok(!switched && !strcmp(setup->spy.calls, "m") && !status_of(setup).quantized,
		"nothing is asked of the device before the delay");
	fixar_agent_train(setup->agent, 100, note_switch, &switched);
	ktap_ok(switched == 40 && status_of(setup).quantized, "the switch happens at the delay (%llu)",
		(unsigned long long)switched);
	ktap_ok(!strcmp(setup->spy.calls, "mrqwm"), "ranges, quantizers, mode, in this order, and once (%s)",
		setup->spy.calls);
	ktap_ok(!setup->spy.mode.observe && setup->spy.mode.quantized,
		"then operands are quantized and nothing is observed");
	ktap_ok(setup->spy.observed_trainings == 30 && setup->spy.quantized_trainings == 60,
		"the training steps before are observed, those after quantized");
	ktap_ok(strstr(setup->log.text, "info: environment step 40: operands are quantized from here on") != NULL,
		"the log says so");

	/* |3| needs e = 2; one bit of headroom. */
	ktap_ok(same(&table[3 * STEP_CLASSES + STEP_ACTIVATION], 16, 12, 1), "first layer: 16 bits, signed");
	ktap_ok(same(&table[1 * STEP_CLASSES + STEP_ACTIVATION], 15, 12, 0) &&
			same(&table[2 * STEP_CLASSES + STEP_ACTIVATION], 15, 12, 0) &&
			same(&table[4 * STEP_CLASSES + STEP_ACTIVATION], 15, 12, 0),
		"further layers: 15 bits, unsigned");
	ktap_ok(same(&table[1 * STEP_CLASSES + STEP_WEIGHT], 24, FX_WEIGHT - 8, 1) &&
			same(&table[1 * STEP_CLASSES + STEP_GRADIENT], 32, FX_GRADIENT, 1),
		"weights without their 8 lowest bits, gradients as they are");
	/* No headroom for weights. */
	ktap_ok(same(&table[5 * STEP_CLASSES + STEP_ACTIVATION], 8, 5, 0) &&
			same(&table[5 * STEP_CLASSES + STEP_WEIGHT], 12, 9, 1) &&
			same(&table[5 * STEP_CLASSES + STEP_GRADIENT], 32, FX_GRADIENT, 1),
		"widths of the user's own for a layer of the critic");
	ktap_ok(same(&table[STEP_ACTIVATION], 32, FX_ACTIVATION, 1) && same(&table[STEP_WEIGHT], 32, FX_WEIGHT, 1) &&
			same(&table[STEP_GRADIENT], 10, 6, 1),
		"and for one of the actor");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 50);
	setup->options.precision = FIXAR_QAT16;
	setup->options.delay = 3;
	switched = 0;
	start(setup);
	ktap_ok(strstr(setup->log.text, "warning: delay: 3 lies within the warm-up") != NULL,
		"a delay within the warm-up is warned of");
	fixar_agent_train(setup->agent, 20, note_switch, &switched);
	ktap_ok(switched == 11, "and waits for the first training step");
	fixar_agent_destroy(setup->agent);

	prepare(setup, 50);
	switched = 0;
	setup->options.delay = 15;
	start(setup);
	fixar_agent_train(setup->agent, 50, note_switch, &switched);
	ktap_ok(!switched && !setup->spy.observed_trainings && !strcmp(setup->spy.calls, "m"),
		"fixed32 neither observes nor switches");
	fixar_agent_destroy(setup->agent);
}

static void test_range_rule(void)
{
	const struct step_range none = { INT32_MAX, INT32_MIN }, zeros = { 0, 0 };
	const struct step_range one = { -5, 1 << 22 }, above = { 0, (1 << 22) + 1 }, low = { INT32_MIN, 0 },
				tiny = { -1, 1 };

	ktap_ok(qat_fraction(&none, 22, 16, 1, 1) == 22 && qat_fraction(&zeros, 22, 16, 1, 1) == 22,
		"range rule: nothing but zeros observed");
	ktap_ok(qat_fraction(&one, 22, 16, 1, 0) == 15 && qat_fraction(&one, 22, 16, 0, 0) == 16,
		"range rule: exactly 1 needs no bit more");
	ktap_ok(qat_fraction(&above, 22, 16, 1, 0) == 14 && qat_fraction(&above, 22, 16, 1, 3) == 11,
		"range rule: a little more does; headroom");
	ktap_ok(qat_fraction(&low, 22, 16, 1, 1) == 5, "range rule: the lowest of all values");
	ktap_ok(qat_fraction(&tiny, 22, 16, 1, 1) == 22, "range rule: never beyond the master's fraction");
	ktap_ok(qat_fraction(&low, 22, 4, 1, 1) == -7 && qat_fraction(&low, 22, 4, 1, 30) == QAT_LOWEST_FRACTION,
		"range rule: fractions may be negative, but not below what devices take");
}

/* ---- The edge ---- */

static void test_edge(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct step_hyperparameters hyper;
	struct edge_complaint complaint;
	uint64_t saturated = 0;

	ktap_ok(edge_fixed(1.0, &saturated) == ONE && edge_fixed(-1.0, &saturated) == -ONE &&
			edge_fixed(0.5 / ONE, &saturated) == 1 && edge_fixed(-0.5 / ONE, &saturated) == 0 &&
			edge_fixed(-1.5 / ONE, &saturated) == -1 && !saturated,
		"edge: half units are rounded up");
	ktap_ok(edge_fixed(INT32_MAX / (double)ONE, &saturated) == INT32_MAX &&
			edge_fixed(INT32_MIN / (double)ONE, &saturated) == INT32_MIN && !saturated,
		"edge: the ends of the range");
	ktap_ok(edge_fixed(0x1p31 / ONE, &saturated) == INT32_MAX && saturated == 1 &&
			edge_fixed((INT32_MIN - 0.6) / ONE, &saturated) == INT32_MIN && saturated == 2,
		"edge: beyond them it saturates and counts");
	ktap_ok(edge_action(ONE, -0.1, 0.3) == 0.3 && edge_action(-ONE, -0.1, 0.3) == -0.1,
		"edge: actions do not leave the bounds");

	ktap_ok(!edge_hyperparameters(&options, &hyper, &complaint) && hyper.discount == 2126008812 &&
			hyper.tau == 10737418 && hyper.beta1 == 1932735283 && hyper.one_minus_beta2 == 4294967 &&
			hyper.rate_mantissa[0] == 1099511628 && hyper.rate_exponent[0] == 40,
		"edge: hyperparameters are rounded once");
	options.actor_rate = 0x1p-20;
	options.critic_rate = 1 - 0x1p-40;
	options.discount = 1 - 0x1p-40;
	ktap_ok(edge_hyperparameters(&options, &hyper, &complaint) == -EINVAL && !strcmp(complaint.name, "critic_rate"),
		"edge: a rate that is rounded to 1 is refused");
	options.critic_rate = 0.5;
	ktap_ok(!edge_hyperparameters(&options, &hyper, &complaint) && hyper.discount == INT32_MAX &&
			hyper.rate_mantissa[0] == 1u << 30 && hyper.rate_exponent[0] == 50 &&
			hyper.rate_mantissa[1] == 1u << 30 && hyper.rate_exponent[1] == 31,
		"edge: their extremes");
}

int main(void)
{
	static struct setup setup;

	ktap_start();
	test_update_counts(&setup);
	test_episodes(&setup);
	test_actions(&setup);
	test_noise(&setup);
	test_batches(&setup);
	test_saturation(&setup);
	test_normalization(&setup);
	test_not_finite(&setup);
	test_switch(&setup);
	test_range_rule();
	test_edge();
	return ktap_finish();
}
