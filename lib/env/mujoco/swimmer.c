// SPDX-License-Identifier: MIT
/* Swimmer: three links that swim in a plane, in a viscous fluid. Semantics: Gymnasium's Swimmer-v4
 * (lib/env/ENVIRONMENTS.md). */
#include "simulation.h"

enum { POSITIONS = 5, VELOCITIES = 5, CONTROLS = 2, OBSERVATION = POSITIONS - 2 + VELOCITIES };

#define RESET_NOISE 0.1
#define CONTROL_COST 0.0001

static const char model_xml[] =
#include "swimmer.xml.inc"
	;

static void disturb(const mjModel *model, mjData *data, struct fixar_rng *rng)
{
	mujoco_add_uniform(data->qpos, model->nq, RESET_NOISE, rng);
	mujoco_add_uniform(data->qvel, model->nv, RESET_NOISE, rng);
}

/* Everything but where it is. */
static void observe(const mjModel *model, const mjData *data, double *observation)
{
	observation = mujoco_copy(observation, data->qpos + 2, model->nq - 2);
	mujoco_copy(observation, data->qvel, model->nv);
}

static double reward(double velocity, const double *action)
{
	return velocity - CONTROL_COST * mujoco_square_sum(action, CONTROLS);
}

const struct mujoco_task mujoco_swimmer_task = {
	.xml = model_xml,
	.positions = POSITIONS,
	.velocities = VELOCITIES,
	.controls = CONTROLS,
	.frame_skip = 4,
	.disturb = disturb,
	.observe = observe,
	.reward = reward,
};

static const double low[CONTROLS] = { -1, -1 };
static const double high[CONTROLS] = { 1, 1 };

const struct fixar_env_spec mujoco_swimmer_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "swimmer",
	.description = "swim in a plane with three links (MuJoCo, Gymnasium Swimmer-v4)",
	.observation_dim = OBSERVATION,
	.action_dim = CONTROLS,
	.action_low = low,
	.action_high = high,
	.max_episode_steps = 1000,
	.reward_threshold = 360.0,
	/* A good policy is paid 0.4 for a step; single steps of random actions reach 2.2, and 2.5 is the most that
	   fits. */
	.reward_scale_log2 = -1,
};
