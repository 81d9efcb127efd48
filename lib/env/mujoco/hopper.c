// SPDX-License-Identifier: MIT
/* Hopper: hop forwards, in a plane, on one leg without falling. Semantics: Gymnasium's Hopper-v4
 * (lib/env/ENVIRONMENTS.md). */
#include "simulation.h"

#include <math.h>

enum { POSITIONS = 6, VELOCITIES = 6, CONTROLS = 3, OBSERVATION = POSITIONS - 1 + VELOCITIES };

#define RESET_NOISE 0.005
#define CONTROL_COST 0.001
#define HEALTHY_REWARD 1.0
#define OBSERVED_SPEED 10.0
#define MIN_HEIGHT 0.7
#define MAX_ANGLE 0.2
#define MAX_STATE 100.0

static const char model_xml[] =
#include "hopper.xml.inc"
	;

static void disturb(const mjModel *model, mjData *data, struct fixar_rng *rng)
{
	mujoco_add_uniform(data->qpos, model->nq, RESET_NOISE, rng);
	mujoco_add_uniform(data->qvel, model->nv, RESET_NOISE, rng);
}

/* Everything but how far it has hopped; velocities clipped. */
static void observe(const mjModel *model, const mjData *data, double *observation)
{
	observation = mujoco_copy(observation, data->qpos + 1, model->nq - 1);
	for (int i = 0; i < model->nv; i++)
		observation[i] = mju_clip(data->qvel[i], -OBSERVED_SPEED, OBSERVED_SPEED);
}

/* In v4 the reward for being healthy is paid for the last step too, the one after which Hopper no longer is. */
static double reward(double velocity, const double *action)
{
	return velocity + HEALTHY_REWARD - CONTROL_COST * mujoco_square_sum(action, CONTROLS);
}

/* Each comparison is written so that NaN counts as unhealthy. The angle and all that follows it have bounds, unclipped.
 */
static bool terminal(const mjModel *model, const mjData *data)
{
	for (int i = 2; i < model->nq; i++)
		if (!(mju_abs(data->qpos[i]) < MAX_STATE))
			return true;
	for (int i = 0; i < model->nv; i++)
		if (!(mju_abs(data->qvel[i]) < MAX_STATE))
			return true;
	return !(data->qpos[1] > MIN_HEIGHT && isfinite(data->qpos[1]) && mju_abs(data->qpos[2]) < MAX_ANGLE);
}

const struct mujoco_task mujoco_hopper_task = {
	.xml = model_xml,
	.positions = POSITIONS,
	.velocities = VELOCITIES,
	.controls = CONTROLS,
	.frame_skip = 4,
	.disturb = disturb,
	.observe = observe,
	.reward = reward,
	.terminal = terminal,
};

static const double low[CONTROLS] = { -1, -1, -1 };
static const double high[CONTROLS] = { 1, 1, 1 };

const struct fixar_env_spec mujoco_hopper_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "hopper",
	.description = "hop forwards on one leg without falling (MuJoCo, Gymnasium Hopper-v4)",
	.observation_dim = OBSERVATION,
	.action_dim = CONTROLS,
	.action_low = low,
	.action_high = high,
	.max_episode_steps = 1000,
	.reward_threshold = 3800.0,
	/* A good policy is paid 4 for a step, and 5 is the most that fits: 5 / 4 / (1 - 0.99) = 125. */
	.reward_scale_log2 = -4,
};
