/* SPDX-License-Identifier: MIT */
/*
 * What the tasks on MuJoCo share: a model, a simulation of it, and the callbacks of the environment interface.
 *
 * A task is one .c file that fills struct mujoco_task and struct fixar_env, and one .xml file with the model. plugin.c
 * lists the tasks.
 */
#ifndef FIXAR_LIB_ENV_MUJOCO_SIMULATION_H
#define FIXAR_LIB_ENV_MUJOCO_SIMULATION_H

#include <stdbool.h>

#include <mujoco/mujoco.h>

#include <fixar/env.h>

_Static_assert(sizeof(mjtNum) == sizeof(double),
	       "observations are copied as doubles: MuJoCo in double precision is needed");

struct mujoco_task {
	const char *xml; /* the model */
	int positions;	 /* what the model has to have: nq, */
	int velocities;	 /* nv */
	int controls;	 /* and nu */
	int frame_skip;	 /* simulation steps in one environment step */

	/* Disturbs the initial state, in which `data` is, with numbers drawn from `rng`. */
	void (*disturb)(const mjModel *model, mjData *data, struct fixar_rng *rng);
	void (*observe)(const mjModel *model, const mjData *data, double *observation);
	/* `velocity` is the distance travelled forwards during the step, divided by its duration. */
	double (*reward)(double velocity, const double *action);
	/* NULL: the task never ends by itself. */
	bool (*terminal)(const mjModel *model, const mjData *data);
};

/* The callbacks of every task; the `user` pointer of its struct fixar_env is its struct mujoco_task. */
extern const struct fixar_env_ops mujoco_ops;

/* For the tasks: adds noise to each of `count` values, in order. */
void mujoco_add_uniform(double *values, int count, double bound, struct fixar_rng *rng);
void mujoco_add_normal(double *values, int count, double deviation, struct fixar_rng *rng);
/* Copies and returns the place behind the copy. */
double *mujoco_copy(double *to, const double *from, int count);
double mujoco_square_sum(const double *values, int count);

/* The tasks, listed in plugin.c. */
extern const struct mujoco_task mujoco_halfcheetah_task, mujoco_hopper_task, mujoco_swimmer_task;
extern const struct fixar_env_spec mujoco_halfcheetah_spec, mujoco_hopper_spec, mujoco_swimmer_spec;

#endif /* FIXAR_LIB_ENV_MUJOCO_SIMULATION_H */
