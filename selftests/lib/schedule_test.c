// SPDX-License-Identifier: MIT
/*
 * Description: precision schedules switch when the rule that is computed by hand says so, remember where they are, and
 * gradient diversity is what the moments of an agent say
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <fixar/fixar.h>

#include "agent/agent.h"
#include "ktap.h"
#include "qat/schedule.h"

static const struct qat_shape shape = { { 2, 2 } };
static const struct log_sink silent = { NULL, NULL };
static struct step_range ranges[4 * STEP_CLASSES];
static struct step_quantizer quantizers[4 * STEP_CLASSES];

static double diversity;

static double say_diversity(void *user)
{
	(void)user;
	return diversity;
}

/*
 * One training step; the width of activations after it, 0 without a switch.
 */
static int step(struct qat_policy *policy, uint64_t training_step, double loss, enum qat_decision *decision)
{
	const struct qat_progress progress = {
		.environment_steps = training_step + 100,
		.training_steps = training_step,
		.critic_loss = loss,
		.gradient_diversity = say_diversity,
	};

	*decision = QAT_NOTHING;
	if (!policy->ops->due(policy, &progress))
		return 0;
	*decision = policy->ops->decide(policy, &progress, ranges, quantizers);
	return *decision == QAT_NOTHING ? 0 : quantizers[0].width;
}

/* An interval of ten steps with one loss; the width if there was a switch in it. */
static int interval(struct qat_policy *policy, uint64_t *now, double loss, enum qat_decision *decision)
{
	int width = 0;

	for (int i = 0; i < 10; i++) {
		enum qat_decision one;
		const int switched = step(policy, ++*now, loss, &one);

		if (switched) {
			width = switched;
			*decision = one;
		}
	}
	return width;
}

static struct muppet_options muppet_options(void)
{
	struct muppet_options options = MUPPET_OPTIONS_INIT;

	options.schedule.observe_steps = options.schedule.interval = 10;
	options.resolution = 1;
	return options;
}

/*
 * Thresholds 1 + 1.5 exp(-0.1 t): interval 1: 2.357, 2: 2.228, 3: 2.111, 4: 2.005, 5: 1.910. Diversity 10 sets the largest; 5 is a
 * ratio of 2, within; 4 of 2.5: the first violation (interval 3); 9: none; 4: the second (interval 5), and the next stage.
 */
static void test_muppet(void)
{
	static const double sequence[] = { 10, 5, 4, 9, 4 };
	static const int widths[] = { 0, 0, 0, 0, 12 };
	const struct muppet_options options = muppet_options();
	enum qat_decision decision = QAT_NOTHING;
	struct qat_policy *policy, *copy;
	uint64_t now = 0;
	int right = 1, width;

	if (!ktap_ok(!qat_muppet_create(&shape, &options, &silent, &policy), "muppet is made"))
		return;
	width = interval(policy, &now, 1, &decision);
	ktap_ok(width == 8 && decision == QAT_SWITCH_AND_OBSERVE && quantizers[1].width == 8 && quantizers[2].width == 32 &&
			quantizers[11].width == 32,
		"after observing: 8 bits for activations and weights, gradients whole");
	ktap_ok(quantizers[0].is_signed && !quantizers[3].is_signed && quantizers[1].is_signed,
		"activations behind a ReLU have no sign");
	for (size_t i = 0; i < 5; i++) {
		diversity = sequence[i];
		width = interval(policy, &now, 1, &decision);
		right = right && width == widths[i];
		if (i == 3) {
			/* What a checkpoint keeps is all there is. */
			qat_muppet_create(&shape, &options, &silent, &copy);
			memcpy(copy->memory, policy->memory, policy->memory_bytes);
			policy->ops->destroy(policy);
			policy = copy;
		}
	}
	ktap_ok(right, "12 bits after two violations, also when resumed in between");
	/* Far below the last stage's 10, but this stage knows nothing of that. */
	diversity = 3;
	for (int i = 0, switched = 0; i < 4; i++) {
		switched += interval(policy, &now, 1, &decision);
		if (i == 3)
			ktap_ok(!switched, "a stage has a largest diversity of its own");
	}
	diversity = NAN;
	right = !interval(policy, &now, 1, &decision);
	diversity = 10;
	for (int i = 0; i < 4; i++)
		width = interval(policy, &now, 1, &decision);
	ktap_ok(right, "no diversity, no decision");
	for (int i = 0; i < 40 && decision != QAT_SWITCH; i++) {
		diversity = i % 3 ? 1 : 100;
		interval(policy, &now, 1, &decision);
	}
	ktap_ok(decision == QAT_SWITCH && quantizers[0].width == 32, "full precision at the end, and no more observing");
	decision = QAT_NOTHING;
	for (int i = 0; i < 10; i++) {
		diversity = i % 2 ? 1 : 100;
		interval(policy, &now, 1, &decision);
	}
	ktap_ok(decision == QAT_NOTHING, "the last stage stays");
	policy->ops->destroy(policy);
}

/*
 * Threshold 0.15 of the mean of the first losses. 10, 8, 6, 5, 4.5 are not flat. Then 4.4, 4.3, 4.2, 4.2: at the last the window is
 * 4.5 4.4 4.3 4.2 4.2, the scale (10 + 8 + 6 + 5 + 4.5 + 4.4 + 4.3 + 4.2 + 4.2) / 9 = 5.62, 0.15 of it 0.84 > 0.3. One interval before: 5 4.5 4.4 4.3 4.2,
 * scale 5.8, 0.87 > 0.8: flat already there, at the eighth.
 */
static void test_fractrain(void)
{
	static const double losses[] = { 10, 8, 6, 5, 4.5, 4.4, 4.3, 4.2 };
	struct fractrain_options options = FRACTRAIN_OPTIONS_INIT;
	enum qat_decision decision;
	struct qat_policy *policy;
	uint64_t now = 0;
	int right = 1, last = 0, needed = 0;

	options.schedule.observe_steps = options.schedule.interval = 10;
	if (!ktap_ok(!qat_fractrain_create(&shape, &options, &silent, &policy), "fractrain is made"))
		return;
	/* Losses in full precision do not count. */
	ktap_ok(interval(policy, &now, 1000, &decision) == 6, "after observing: 6 bits");
	for (int i = 0; i < 8; i++) {
		last = interval(policy, &now, losses[i], &decision);
		right = right && last == (i == 7 ? 8 : 0);
	}
	ktap_ok(right && decision == QAT_SWITCH_AND_OBSERVE, "8 bits where the loss becomes flat, not before");
	/* The threshold is now 0.06: a swing of 0.6 (0.1 of the scale) is no longer flat. */
	for (int i = 0; i < 12; i++)
		needed += interval(policy, &now, i & 1 ? 4.8 : 4.2, &decision);
	ktap_ok(!needed, "the threshold has become finer");
	for (needed = 1; interval(policy, &now, 4.2, &decision) != 12; needed++)
		if (needed > 20)
			break;
	ktap_ok(needed <= 5, "12 bits when it is flat again");
	for (int i = 0; i < 5; i++)
		last = interval(policy, &now, 4.2, &decision);
	ktap_ok(last == 16 && decision == QAT_SWITCH, "16 bits at the end, and no more observing");
	policy->ops->destroy(policy);
}

/*
 * A critic's loss grows before it is flat. Interval 14 sees 5.0 5.2 5.4 5.0 5.2: 0.2 is less than 0.15 of the latest ten's mean (3.07),
 * though more than 0.15 of the first ten's (1.0).
 */
static void test_fractrain_growing(void)
{
	static const double losses[] = { 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5, 5.0, 5.2, 5.4, 5.0, 5.2 };
	struct fractrain_options options = FRACTRAIN_OPTIONS_INIT;
	enum qat_decision decision;
	struct qat_policy *policy;
	uint64_t now = 0;
	int right = 1;

	options.schedule.observe_steps = options.schedule.interval = 10;
	if (qat_fractrain_create(&shape, &options, &silent, &policy))
		return;
	interval(policy, &now, 1000, &decision);
	for (int i = 0; i < 14; i++)
		right = interval(policy, &now, losses[i], &decision) == (i == 13 ? 8 : 0) && right;
	ktap_ok(right, "a loss that has grown is flat by what it is lately");
	policy->ops->destroy(policy);
}

/* ---- Gradient diversity ---- */

static void test_diversity(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_agent *agent;
	struct fixar_env env;
	const struct step_tensor *tensors;
	unsigned char *state;
	size_t count, layers = 0;
	double ours = 0, before, correction;

	options.hidden[0] = 12;
	options.hidden[1] = 8;
	options.batch = 8;
	options.warm_up_steps = 20;
	options.replay_capacity = 1000;
	fixar_env_find("pendulum", &env, NULL, 0);
	if (!ktap_ok(!fixar_agent_create(NULL, &env, &options, &agent), "an agent"))
		return;
	before = ddpg_gradient_diversity(agent->ddpg);
	ktap_ok(isnan(before), "none before the first gradient");
	ktap_ok(!fixar_agent_train(agent, 60, NULL, NULL), "that trains");
	agent_read_state(agent, &tensors, &count, &state);
	for (size_t t = 0; t < count; t++) {
		double m = 0, v = 0;

		if (!strstr(tensors[t].name, ".weight.moment1"))
			continue;
		/* moment2 lies right behind it, and has as many elements. */
		for (size_t i = 0; i < tensors[t].bytes / 4; i++) {
			m += pow(((const int32_t *)(const void *)(state + tensors[t].offset))[i] * 0x1p-28, 2);
			const uint32_t code = ((const uint32_t *)(const void *)(state + tensors[t + 1].offset))[i];

			v += ldexp(code >> 5, 37 - 58 - 2 * (int)(code & 31));
		}
		ours += v / m;
		layers++;
	}
	/* 40 training steps: 1 - 0.9^40 = 0.98522, 1 - 0.999^40 = 0.039230. */
	correction = pow(1 - pow(0.9, 40), 2) / (1 - pow(0.999, 40));
	ktap_ok(agent->ddpg->record.training_steps == 40 && layers == 6 &&
			fabs(ddpg_gradient_diversity(agent->ddpg) / (ours / 6 * correction) - 1) < 1e-12,
		"the mean over six layers of sum(v) / sum(m^2), corrected: %.3f", ours / 6 * correction);
	free(state);
	fixar_agent_destroy(agent);
}

static void test_errors(void)
{
	struct muppet_options muppet = muppet_options();
	struct fractrain_options fractrain = FRACTRAIN_OPTIONS_INIT;
	struct qat_policy *policy;

	muppet.patience = 0;
	ktap_ok(qat_muppet_create(&shape, &muppet, &silent, &policy) == -EINVAL, "refused: a patience of 0");
	muppet = muppet_options();
	muppet.schedule.width[1] = 8;
	ktap_ok(qat_muppet_create(&shape, &muppet, &silent, &policy) == -EINVAL, "refused: widths that do not ascend");
	fractrain.schedule.width[3] = 17;
	ktap_ok(qat_fractrain_create(&shape, &fractrain, &silent, &policy) == -EINVAL, "refused: 17 bits");
	fractrain.schedule.width[3] = 16;
	fractrain.schedule.interval = 0;
	ktap_ok(qat_fractrain_create(&shape, &fractrain, &silent, &policy) == -EINVAL, "refused: an interval of nothing");
}

int main(void)
{
	ktap_start();
	for (size_t i = 0; i < 4 * STEP_CLASSES; i++)
		ranges[i] = (struct step_range){ -(1 << 20), 1 << 20 };
	test_muppet();
	test_fractrain();
	test_fractrain_growing();
	test_diversity();
	test_errors();
	return ktap_finish();
}
