// SPDX-License-Identifier: MIT
/* HalfCheetah: run, in a plane, on two legs. Semantics: Gymnasium's HalfCheetah-v4 (lib/env/ENVIRONMENTS.md). */
#include "simulation.h"

enum { POSITIONS = 9, VELOCITIES = 9, CONTROLS = 6, OBSERVATION = POSITIONS - 1 + VELOCITIES };

#define RESET_NOISE 0.1
#define CONTROL_COST 0.1

static const char model_xml[] =
#include "halfcheetah.xml.inc"
	;

static void disturb(const mjModel *model, mjData *data, struct fixar_rng *rng)
{
	mujoco_add_uniform(data->qpos, model->nq, RESET_NOISE, rng);
	mujoco_add_normal(data->qvel, model->nv, RESET_NOISE, rng);
}

/* Everything but how far it has run. */
static void observe(const mjModel *model, const mjData *data, double *observation)
{
	observation = mujoco_copy(observation, data->qpos + 1, model->nq - 1);
	mujoco_copy(observation, data->qvel, model->nv);
}

static double reward(double velocity, const double *action)
{
	return velocity - CONTROL_COST * mujoco_square_sum(action, CONTROLS);
}

const struct mujoco_task mujoco_halfcheetah_task = {
	.xml = model_xml,
	.positions = POSITIONS,
	.velocities = VELOCITIES,
	.controls = CONTROLS,
	.frame_skip = 5,
	.disturb = disturb,
	.observe = observe,
	.reward = reward,
};

static const double low[CONTROLS] = { -1, -1, -1, -1, -1, -1 };
static const double high[CONTROLS] = { 1, 1, 1, 1, 1, 1 };

const struct fixar_env_spec mujoco_halfcheetah_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "halfcheetah",
	.description = "run in a plane on two legs (MuJoCo, Gymnasium HalfCheetah-v4)",
	.observation_dim = OBSERVATION,
	.action_dim = CONTROLS,
	.action_low = low,
	.action_high = high,
	.max_episode_steps = 1000,
	.reward_threshold = 4800.0,
	/* A good policy is paid 12 for a step, and 20 is the most that fits: 20 / 16 / (1 - 0.99) = 125. */
	.reward_scale_log2 = -4,
};
