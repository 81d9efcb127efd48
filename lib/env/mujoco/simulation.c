// SPDX-License-Identifier: MIT
/*
 * One simulation in MuJoCo, and the callbacks of the environment interface on top of it.
 *
 * MuJoCo reports trouble through two process-wide handlers. Left alone, a warning is printed and written to a file in
 * the current folder, and an error waits for a key and ends the process: neither is for a library. The handlers
 * installed here act only while this file is calling MuJoCo on the same thread (`landing` is set): a warning is
 * dropped, an error abandons the call, which then fails with -EIO. At other times they pass on to what was there
 * before.
 */
#include "simulation.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct simulation {
	const struct mujoco_task *task;
	mjModel *model;
	mjData *data;
	bool usable; /* false until reset(), and after an error within MuJoCo */
};

static _Thread_local jmp_buf *landing;
static void (*other_error)(const char *message);
static void (*other_warning)(const char *message);

static void on_error(const char *message)
{
	if (landing)
		longjmp(*landing, 1);
	/* Somebody else's call: what would have happened without us. MuJoCo's own way to handle an error doesn't
	 * return. */
	mju_user_error = other_error;
	mju_error(message);
}

static void on_warning(const char *message)
{
	if (landing)
		return;
	if (other_warning)
		other_warning(message);
	else
		mju_writeLog("WARNING", message);
}

static void install_handlers(void)
{
	other_error = mju_user_error;
	other_warning = mju_user_warning;
	mju_user_error = on_error;
	mju_user_warning = on_warning;
}

/* Calls work(simulation) so that an error within MuJoCo comes back here. */
static int guarded(void (*work)(struct simulation *simulation), struct simulation *simulation)
{
	jmp_buf here;

	if (setjmp(here)) {
		landing = NULL;
		return -EIO;
	}
	landing = &here;
	work(simulation);
	landing = NULL;
	return 0;
}

static void load(struct simulation *simulation)
{
	static const char file[] = "task.xml";
	const size_t length = strlen(simulation->task->xml);
	char message[256];
	mjVFS *files = malloc(sizeof(*files)); /* two megabytes: too large for a stack */

	if (!files)
		return;
	mj_defaultVFS(files);
	if (!mj_makeEmptyFileVFS(files, file, (int)length)) {
		memcpy(files->filedata[mj_findFileVFS(files, file)], simulation->task->xml, length);
		simulation->model = mj_loadXML(file, files, message, sizeof(message));
		mj_freeLastXML();
	}
	mj_deleteVFS(files);
	free(files);
	if (simulation->model)
		simulation->data = mj_makeData(simulation->model);
}

static void forward(struct simulation *simulation)
{
	mj_forward(simulation->model, simulation->data);
}

static void advance(struct simulation *simulation)
{
	for (int i = 0; i < simulation->task->frame_skip; i++)
		mj_step(simulation->model, simulation->data);
}

static void simulation_destroy(void *instance)
{
	struct simulation *simulation = instance;

	mj_deleteData(simulation->data);
	mj_deleteModel(simulation->model);
	free(simulation);
}

static int simulation_create(void *user, void **instance)
{
	/* mj_loadXML() keeps the last model in a place that all threads share. */
	static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
	static pthread_once_t handlers = PTHREAD_ONCE_INIT;
	const struct mujoco_task *task = user;
	struct simulation *simulation;
	int error;

	*instance = NULL;
	/* The layout of mjModel and mjData is that of one version. */
	if (mj_version() != mjVERSION_HEADER)
		return -ELIBBAD;
	simulation = calloc(1, sizeof(*simulation));
	if (!simulation)
		return -ENOMEM;
	simulation->task = task;

	pthread_once(&handlers, install_handlers);
	pthread_mutex_lock(&loading);
	error = guarded(load, simulation);
	pthread_mutex_unlock(&loading);
	if (!error && !simulation->model)
		error = -EIO;
	if (!error && !simulation->data)
		error = -ENOMEM;
	if (!error && (simulation->model->nq != task->positions || simulation->model->nv != task->velocities ||
		       simulation->model->nu != task->controls || simulation->model->na != 0))
		error = -EINVAL;
	if (error) {
		simulation_destroy(simulation);
		return error;
	}
	*instance = simulation;
	return 0;
}

static int simulation_reset(void *instance, struct fixar_rng *rng, double *observation)
{
	struct simulation *simulation = instance;
	const struct mujoco_task *task = simulation->task;
	int error;

	simulation->usable = false;
	mj_resetData(simulation->model, simulation->data);
	task->disturb(simulation->model, simulation->data, rng);
	error = guarded(forward, simulation);
	if (error)
		return error;
	simulation->usable = true;
	task->observe(simulation->model, simulation->data, observation);
	return 0;
}

static int simulation_step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	struct simulation *simulation = instance;
	const struct mujoco_task *task = simulation->task;
	const mjModel *model = simulation->model;
	mjData *data = simulation->data;
	const double before = data->qpos[0];
	int error;

	if (!simulation->usable)
		return -EIO;
	for (int i = 0; i < task->controls; i++)
		if (!isfinite(action[i]))
			return -EINVAL;

	mujoco_copy(data->ctrl, action, task->controls);
	error = guarded(advance, simulation);
	if (error) {
		simulation->usable = false;
		return error;
	}
	task->observe(model, data, observation);
	*reward = task->reward((data->qpos[0] - before) / (model->opt.timestep * task->frame_skip), action);
	*terminated = task->terminal && task->terminal(model, data);
	return 0;
}

/*
 * The state: everything that one mj_step() leaves to the next. All else in mjData is computed anew from it. The
 * acceleration from which the constraint solver starts (qacc_warmstart) belongs to it: without, the solver ends in
 * other last bits. Forces applied from outside and mocap bodies are state as well, but these tasks have none.
 */
struct state_header {
	uint32_t positions, velocities, controls, reserved;
};

static size_t simulation_state_size(void *instance)
{
	const struct mujoco_task *task = ((struct simulation *)instance)->task;

	return sizeof(struct state_header) +
	       (size_t)(1 + task->positions + 2 * task->velocities + task->controls) * sizeof(double);
}

static struct state_header header_of(const struct mujoco_task *task)
{
	return (struct state_header){
		.positions = (uint32_t)task->positions,
		.velocities = (uint32_t)task->velocities,
		.controls = (uint32_t)task->controls,
	};
}

static char *put(char *to, const double *values, int count)
{
	memcpy(to, values, (size_t)count * sizeof(*values));
	return to + (size_t)count * sizeof(*values);
}

static int simulation_save(void *instance, void *state)
{
	const struct simulation *simulation = instance;
	const struct mujoco_task *task = simulation->task;
	const struct state_header header = header_of(task);
	const mjData *data = simulation->data;
	char *to = state;

	if (!simulation->usable)
		return -EIO;
	memcpy(to, &header, sizeof(header));
	to = put(to + sizeof(header), &data->time, 1);
	to = put(to, data->qpos, task->positions);
	to = put(to, data->qvel, task->velocities);
	to = put(to, data->qacc_warmstart, task->velocities);
	put(to, data->ctrl, task->controls);
	return 0;
}

static const char *get(double *values, const char *from, int count)
{
	memcpy(values, from, (size_t)count * sizeof(*values));
	return from + (size_t)count * sizeof(*values);
}

static int simulation_restore(void *instance, const void *state)
{
	struct simulation *simulation = instance;
	const struct mujoco_task *task = simulation->task;
	const struct state_header expected = header_of(task);
	const char *from = (const char *)state + sizeof(expected);
	const size_t bytes = simulation_state_size(instance) - sizeof(expected);
	mjData *data = simulation->data;

	if (memcmp(state, &expected, sizeof(expected)))
		return -EINVAL;
	for (size_t i = 0; i < bytes; i += sizeof(double)) {
		double value;

		get(&value, from + i, 1);
		if (!isfinite(value))
			return -EINVAL;
	}

	mj_resetData(simulation->model, data);
	from = get(&data->time, from, 1);
	from = get(data->qpos, from, task->positions);
	from = get(data->qvel, from, task->velocities);
	from = get(data->qacc_warmstart, from, task->velocities);
	get(data->ctrl, from, task->controls);
	simulation->usable = true;
	return 0;
}

const struct fixar_env_ops mujoco_ops = {
	.size = sizeof(struct fixar_env_ops),
	.create = simulation_create,
	.destroy = simulation_destroy,
	.reset = simulation_reset,
	.step = simulation_step,
	.state_size = simulation_state_size,
	.save = simulation_save,
	.restore = simulation_restore,
};

void mujoco_add_uniform(double *values, int count, double bound, struct fixar_rng *rng)
{
	for (int i = 0; i < count; i++)
		values[i] += fixar_rng_uniform(rng, -bound, bound);
}

void mujoco_add_normal(double *values, int count, double deviation, struct fixar_rng *rng)
{
	for (int i = 0; i < count; i++)
		values[i] += deviation * fixar_rng_normal(rng);
}

double *mujoco_copy(double *to, const double *from, int count)
{
	memcpy(to, from, (size_t)count * sizeof(*to));
	return to + count;
}

double mujoco_square_sum(const double *values, int count)
{
	double sum = 0;

	for (int i = 0; i < count; i++)
		sum += values[i] * values[i];
	return sum;
}
