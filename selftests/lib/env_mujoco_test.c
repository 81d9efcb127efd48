// SPDX-License-Identifier: MIT
/*
 * Description: the MuJoCo tasks have the published figures, rewards, observations, starts and ends, and trouble within
 * MuJoCo neither ends the process nor prints nor writes a file.
 *
 * It has the tasks within it, not the plug-in, so that it can look at the models.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env/mujoco/simulation.h"
#include "fx/random.h"
#include "ktap.h"

#define PI 3.14159265358979323846

/* A state as save() writes it: four counts, the time, positions, velocities, accelerations, controls. */
struct state {
	uint32_t counts[4];
	double time;
	double values[64];
};

static struct fixar_rng test_stream(uint64_t index)
{
	return (struct fixar_rng){ .seed = 1, .purpose = FX_RANDOM_TEST, .index = index };
}

static mjModel *load_model(const struct mujoco_task *task)
{
	mjVFS *files = malloc(sizeof(*files));
	char message[256] = "";
	mjModel *model;

	if (!files)
		return NULL;
	mj_defaultVFS(files);
	mj_makeEmptyFileVFS(files, "m.xml", (int)strlen(task->xml));
	memcpy(files->filedata[0], task->xml, strlen(task->xml));
	model = mj_loadXML("m.xml", files, message, sizeof(message));
	mj_deleteVFS(files);
	free(files);
	if (*message)
		ktap_note("%s", message);
	return model;
}

static bool near(double value, double expected)
{
	return fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected));
}

/* A capsule of the density of water. */
static double capsule_mass(double radius, double half_length)
{
	return 1000 * PI * radius * radius * (2 * half_length + 4.0 / 3 * radius);
}

static bool limbs_are(const mjModel *model, int first, const double (*limbs)[4])
{
	bool same = true;

	/* lower and upper limit in radians, stiffness, damping */
	for (int i = 0; i < model->nu; i++) {
		const int joint = first + i;

		same &= model->jnt_limited[joint] && model->actuator_trnid[2 * i] == joint;
		same &= near(model->jnt_range[2 * joint], limbs[i][0]) &&
			near(model->jnt_range[2 * joint + 1], limbs[i][1]);
		same &= near(model->jnt_stiffness[joint], limbs[i][2]) && near(model->dof_damping[joint], limbs[i][3]);
	}
	return same;
}

static bool root_is_free(const mjModel *model, double armature)
{
	bool same = true;

	for (int i = 0; i < 3; i++)
		same &= !model->jnt_limited[i] && model->jnt_stiffness[i] == 0 && model->dof_damping[i] == 0 &&
			near(model->dof_armature[i], armature);
	return same;
}

/* Each control moves its joint with its gear, and is clamped to +-1. */
static void test_gears(const char *name, const mjModel *model, const double *gears)
{
	mjData *data = mj_makeData(model);
	bool right = true;

	for (int i = 0; i < model->nu; i++) {
		for (int j = 0; j < model->nu; j++)
			data->ctrl[j] = j == i ? 0.5 : 0;
		mj_forward(model, data);
		for (int dof = 0; dof < model->nv; dof++)
			right &= near(data->qfrc_actuator[dof], dof == 3 + i ? 0.5 * gears[i] : 0);
		data->ctrl[i] = -3;
		mj_forward(model, data);
		right &= near(data->qfrc_actuator[3 + i], -gears[i]);
	}
	ktap_ok(right, "%s: gears and clamped controls", name);
	mj_deleteData(data);
}

static void test_model(const char *name, const struct mujoco_task *task, double timestep, int frame_skip,
		       int integrator, double mass, mjModel *model)
{
	double total = 0;

	for (int i = 0; i < model->nbody; i++)
		total += model->body_mass[i];
	ktap_ok(model->nq == task->positions && model->nv == task->velocities && model->nu == task->controls,
		"%s: %d positions, %d velocities, %d controls", name, model->nq, model->nv, model->nu);
	ktap_ok(model->opt.timestep == timestep && task->frame_skip == frame_skip &&
			model->opt.integrator == integrator,
		"%s: %d steps of %g s by %s", name, task->frame_skip, model->opt.timestep,
		model->opt.integrator == mjINT_RK4 ? "Runge and Kutta" : "Euler");
	ktap_ok(near(total, mass), "%s: a mass of %g", name, total);
	ktap_ok(model->opt.gravity[2] == -9.81, "%s: gravity", name);
}

static void test_models(void)
{
	static const double cheetah_gears[] = { 120, 90, 60, 120, 60, 30 }, hopper_gears[] = { 200, 200, 200 },
			    swimmer_gears[] = { 150, 150 };
	static const double cheetah[][4] = { { -0.52, 1.05, 240, 6 }, { -0.785, 0.785, 180, 4.5 },
					     { -0.4, 0.785, 120, 3 }, { -1, 0.7, 180, 4.5 },
					     { -1.2, 0.87, 120, 3 },  { -0.5, 0.5, 60, 1.5 } };
	static const double hopper[][4] = { { -150 * PI / 180, 0, 0, 1 },
					    { -150 * PI / 180, 0, 0, 1 },
					    { -45 * PI / 180, 45 * PI / 180, 0, 1 } };
	static const double swimmer[][4] = { { -100 * PI / 180, 100 * PI / 180, 0, 0 },
					     { -100 * PI / 180, 100 * PI / 180, 0, 0 } };
	mjModel *model = load_model(&mujoco_halfcheetah_task);

	if (ktap_ok(model, "halfcheetah: the model is valid")) {
		test_model("halfcheetah", &mujoco_halfcheetah_task, 0.01, 5, mjINT_EULER, 14, model);
		ktap_ok(limbs_are(model, 3, cheetah) && root_is_free(model, 0) && near(model->dof_armature[8], 0.1),
			"halfcheetah: limits, springs and damping");
		ktap_ok(model->geom_friction[3] == 0.4 && model->geom_condim[1] == 3 && model->geom_solimp[1] == 0.8,
			"halfcheetah: contacts");
		test_gears("halfcheetah", model, cheetah_gears);
		mj_deleteModel(model);
	}

	model = load_model(&mujoco_hopper_task);
	if (ktap_ok(model, "hopper: the model is valid")) {
		test_model("hopper", &mujoco_hopper_task, 0.002, 4, mjINT_RK4,
			   capsule_mass(0.05, 0.2) + capsule_mass(0.05, 0.225) + capsule_mass(0.04, 0.25) +
				   capsule_mass(0.06, 0.195),
			   model);
		ktap_ok(limbs_are(model, 3, hopper) && root_is_free(model, 0) && near(model->dof_armature[5], 1),
			"hopper: limits, springs and damping");
		ktap_ok(model->geom_friction[0] == 1 && model->geom_friction[3] == 0.9 &&
				model->geom_friction[12] == 2 && model->geom_condim[0] == 3 &&
				model->geom_condim[4] == 1 && model->geom_margin[4] == 0.001 &&
				model->geom_solimp[5] == 0.8,
			"hopper: contacts");
		ktap_ok(model->qpos0[1] == 1.25, "hopper: stands at a height of 1.25");
		test_gears("hopper", model, hopper_gears);
		mj_deleteModel(model);
	}

	model = load_model(&mujoco_swimmer_task);
	if (ktap_ok(model, "swimmer: the model is valid")) {
		test_model("swimmer", &mujoco_swimmer_task, 0.01, 4, mjINT_RK4, 3 * capsule_mass(0.1, 0.5), model);
		ktap_ok(limbs_are(model, 3, swimmer) && root_is_free(model, 0.1) && near(model->dof_armature[4], 0.1),
			"swimmer: limits, springs and damping");
		ktap_ok(model->opt.density == 4000 && model->opt.viscosity == 0.1, "swimmer: the fluid");
		test_gears("swimmer", model, swimmer_gears);
		mj_deleteModel(model);
	}
}

/* The start is the standing pose plus what the documented draws from the stream give, in that order. */
static void test_start(const char *name, const struct mujoco_task *task, double bound, double deviation, uint32_t words)
{
	struct fixar_rng rng = test_stream(4), own = test_stream(4);
	mjModel *model = load_model(task);
	double observation[32];
	struct state state;
	bool same = true;
	void *instance;

	if (mujoco_ops.create((void *)task, &instance))
		return;
	if (!ktap_ok(!mujoco_ops.reset(instance, &rng, observation) && rng.next == words, "%s: reset draws %u words",
		     name, words))
		ktap_note("%u words", rng.next);
	mujoco_ops.save(instance, &state);
	for (int i = 0; i < task->positions; i++)
		same &= state.values[i] == model->qpos0[i] + fixar_rng_uniform(&own, -bound, bound);
	for (int i = 0; i < task->velocities; i++)
		same &= state.values[task->positions + i] ==
			(deviation > 0 ? deviation * fixar_rng_normal(&own) : fixar_rng_uniform(&own, -bound, bound));
	ktap_ok(same && state.time == 0, "%s: starts as documented", name);
	mj_deleteModel(model);
	mujoco_ops.destroy(instance);
}

/* One step: the time it takes, the reward by hand, the observation from the state. */
static void test_step(const char *name, const struct mujoco_task *task, double dt, double cost, double bonus,
		      int hidden, double clip)
{
	/* Beyond the bounds on purpose: the reward takes the action as it was passed. */
	static const double action[] = { 0.5, -1.5, 0.25, 1, -0.75, 0.125 };
	struct fixar_rng rng = test_stream(5);
	double observation[32], reward, squares = 0, x;
	struct state state;
	bool same = true;
	void *instance;
	int terminated;

	if (mujoco_ops.create((void *)task, &instance))
		return;
	mujoco_ops.reset(instance, &rng, observation);
	mujoco_ops.save(instance, &state);
	x = state.values[0];
	if (!ktap_ok(!mujoco_ops.step(instance, action, observation, &reward, &terminated), "%s: a step", name))
		goto out;
	mujoco_ops.save(instance, &state);
	for (int i = 0; i < task->controls; i++)
		squares += action[i] * action[i];
	ktap_ok(near(state.time, dt), "%s: takes %g s", name, state.time);
	ktap_ok(near(reward, (state.values[0] - x) / dt + bonus - cost * squares), "%s: reward %g", name, reward);
	for (int i = hidden; i < task->positions + task->velocities; i++)
		same &= observation[i - hidden] ==
			(i < task->positions ? state.values[i] : fmin(fmax(state.values[i], -clip), clip));
	ktap_ok(same, "%s: observation", name);
out:
	mujoco_ops.destroy(instance);
}

static void test_hopper_end(void)
{
	static const struct {
		const char *name;
		int where; /* of positions and velocities, one after the other */
		double value;
		bool terminal;
	} cases[] = {
		{ "as it stands", 1, 1.25, false },
		{ "just high enough", 1, 0.7000001, false },
		{ "at the lowest height", 1, 0.7, true },
		{ "high above", 1, 1e6, false },
		{ "infinitely high", 1, (double)INFINITY, true },
		{ "leaning forwards a little", 2, 0.1999999, false },
		{ "leaning forwards", 2, 0.2, true },
		{ "leaning backwards a little", 2, -0.1999999, false },
		{ "leaning backwards", 2, -0.2, true },
		{ "far ahead", 0, 1e6, false },
		{ "an angle of nearly 100", 5, 99.999, false },
		{ "an angle of 100", 3, 100, true },
		{ "an angle of -100", 4, -100, true },
		{ "a velocity of nearly -100", 6, -99.999, false },
		{ "a velocity of 100", 6, 100, true },
		{ "a velocity of -100", 11, -100, true },
		{ "an angle that is no number", 4, (double)NAN, true },
		{ "a height that is no number", 1, (double)NAN, true },
		{ "a velocity that is no number", 9, (double)NAN, true },
	};
	const double action[3] = { 0.5, 0, 0 };
	mjModel *model = load_model(&mujoco_hopper_task);
	mjData *data = mj_makeData(model);
	struct fixar_rng rng = test_stream(6);
	double observation[11], reward, x;
	int terminated = 0, error;
	struct state state;
	void *instance;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mj_resetData(model, data);
		if (cases[i].where < model->nq)
			data->qpos[cases[i].where] = cases[i].value;
		else
			data->qvel[cases[i].where - model->nq] = cases[i].value;
		ktap_ok(mujoco_hopper_task.terminal(model, data) == cases[i].terminal, "hopper: %s is %s",
			cases[i].name, cases[i].terminal ? "the end" : "not the end");
	}

	mj_resetData(model, data);
	data->qvel[2] = 25;
	data->qvel[5] = -25;
	mujoco_hopper_task.observe(model, data, observation);
	ktap_ok(observation[7] == 10 && observation[10] == -10 && observation[0] == 1.25,
		"hopper: velocities are clipped to 10 in the observation");
	mj_deleteData(data);
	mj_deleteModel(model);

	/* Through the interface: it is over, and the last step is paid for all the same. */
	if (mujoco_ops.create((void *)&mujoco_hopper_task, &instance))
		return;
	mujoco_ops.reset(instance, &rng, observation);
	mujoco_ops.save(instance, &state);
	state.values[2] = 0.5;
	x = state.values[0];
	error = mujoco_ops.restore(instance, &state);
	if (!error)
		error = mujoco_ops.step(instance, action, observation, &reward, &terminated);
	mujoco_ops.save(instance, &state);
	ktap_ok(!error && terminated && near(reward, (state.values[0] - x) / 0.008 + 1 - 0.001 * 0.25),
		"hopper: the step that ends it is paid for");
	mujoco_ops.destroy(instance);
}

static void test_bad_states(void)
{
	const double not_finite[2] = { 0, (double)INFINITY };
	struct fixar_rng rng = test_stream(7);
	double observation[8], reward;
	struct state state;
	void *instance;
	int terminated;

	if (mujoco_ops.create((void *)&mujoco_swimmer_task, &instance))
		return;
	ktap_ok(mujoco_ops.save(instance, &state) == -EIO &&
			mujoco_ops.step(instance, not_finite, observation, &reward, &terminated) == -EIO,
		"nothing to save or step before the first reset");
	mujoco_ops.reset(instance, &rng, observation);
	ktap_ok(mujoco_ops.step(instance, not_finite, observation, &reward, &terminated) == -EINVAL,
		"infinity is no action");
	mujoco_ops.save(instance, &state);
	state.counts[0]++;
	ktap_ok(mujoco_ops.restore(instance, &state) == -EINVAL, "a state of another task is refused");
	mujoco_ops.destroy(instance);
}

/* Tasks that make trouble: no space for the solver, a model that is none, a velocity that MuJoCo takes for a failure.
 */
static int stack_words;

static void take_stack(const mjModel *model, mjData *data, struct fixar_rng *rng)
{
	(void)rng;
	data->nstack = stack_words ? stack_words : model->nstack;
}

static void race(const mjModel *model, mjData *data, struct fixar_rng *rng)
{
	(void)model;
	(void)rng;
	data->qvel[3] = 1e11;
}

static int warnings;

static void count_warning(const char *message)
{
	(void)message;
	warnings++;
}

static void test_trouble(void)
{
	struct mujoco_task broken = mujoco_hopper_task, invalid = mujoco_hopper_task, unstable = mujoco_hopper_task;
	struct fixar_rng rng = test_stream(9);
	const double action[3] = { 0, 0, 0 };
	double observation[11], reward;
	int terminated, error;
	void *instance;

	broken.disturb = take_stack;
	if (ktap_ok(!mujoco_ops.create(&broken, &instance), "trouble: an instance")) {
		stack_words = 1;
		ktap_ok(mujoco_ops.reset(instance, &rng, observation) == -EIO,
			"an error within MuJoCo is an error of the call");
		ktap_ok(mujoco_ops.step(instance, action, observation, &reward, &terminated) == -EIO,
			"then the simulation stands still");
		stack_words = 0;
		ktap_ok(!mujoco_ops.reset(instance, &rng, observation) &&
				!mujoco_ops.step(instance, action, observation, &reward, &terminated),
			"until it is reset");
		mujoco_ops.destroy(instance);
	}

	invalid.xml = "<mujoco><nonsense/></mujoco>";
	ktap_ok(mujoco_ops.create(&invalid, &instance) == -EIO && !instance, "a model that is not valid");
	invalid.xml = mujoco_swimmer_task.xml;
	ktap_ok(mujoco_ops.create(&invalid, &instance) == -EINVAL && !instance, "a model of other dimensions");

	/* As in Gymnasium, MuJoCo starts anew by itself and the episode goes on. */
	unstable.disturb = race;
	warnings = 0;
	error = mujoco_ops.create(&unstable, &instance);
	if (ktap_ok(!error, "unstable: an instance")) {
		error = mujoco_ops.reset(instance, &rng, observation);
		if (!error)
			error = mujoco_ops.step(instance, action, observation, &reward, &terminated);
		ktap_ok(!error && isfinite(reward) && fabs(observation[0] - 1.25) < 0.01,
			"unstable: MuJoCo starts anew, and the reward is finite");
		ktap_ok(!warnings && access("MUJOCO_LOG.TXT", F_OK), "unstable: no warning is printed or written");
		mujoco_ops.destroy(instance);
	}
	mju_warning("not from FIXAR");
	ktap_ok(warnings == 1, "a warning from elsewhere goes where it went before");
}

static void *run(void *result)
{
	struct fixar_rng rng = test_stream(11);
	double observation[17], action[6], reward, *sum = result;
	void *instance;
	int terminated;

	if (mujoco_ops.create((void *)&mujoco_halfcheetah_task, &instance))
		return NULL;
	mujoco_ops.reset(instance, &rng, observation);
	for (int step = 0; step < 200; step++) {
		for (int i = 0; i < 6; i++)
			action[i] = fixar_rng_uniform(&rng, -1, 1);
		mujoco_ops.step(instance, action, observation, &reward, &terminated);
		*sum += reward;
	}
	mujoco_ops.destroy(instance);
	return NULL;
}

static void test_threads(void)
{
	double sums[4] = { 0 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, run, &sums[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ktap_ok(sums[0] != 0 && sums[0] == sums[1] && sums[0] == sums[2] && sums[0] == sums[3],
		"four threads run the same episode to the same bits");
}

int main(void)
{
	char folder[] = "/tmp/fixar-mujoco-test-XXXXXX";

	/* MuJoCo would write its log into the current folder. */
	if (!mkdtemp(folder) || chdir(folder))
		return KTAP_FAIL;
	mju_user_warning = count_warning;

	ktap_start();
	test_models();
	test_start("halfcheetah", &mujoco_halfcheetah_task, 0.1, 0.1, 20 + 4 * 9);
	test_start("hopper", &mujoco_hopper_task, 0.005, 0, 24);
	test_start("swimmer", &mujoco_swimmer_task, 0.1, 0, 20);
	test_step("halfcheetah", &mujoco_halfcheetah_task, 0.05, 0.1, 0, 1, HUGE_VAL);
	test_step("hopper", &mujoco_hopper_task, 0.008, 0.001, 1, 1, 10);
	test_step("swimmer", &mujoco_swimmer_task, 0.04, 0.0001, 0, 2, HUGE_VAL);
	test_hopper_end();
	test_bad_states();
	test_trouble();
	test_threads();
	unlink("MUJOCO_LOG.TXT");
	if (!chdir("/"))
		rmdir(folder);
	return ktap_finish();
}
