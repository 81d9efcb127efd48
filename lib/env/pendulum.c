// SPDX-License-Identifier: MIT
/*
 * Pendulum: swing a pole up with a motor that is too weak to lift it at once. The semantics are those of Gymnasium's
 * Pendulum-v1 (lib/env/ENVIRONMENTS.md); every operation is exact or correctly rounded, so that a trajectory is the
 * same bits on every machine.
 */
#include "builtin.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "sincos.h"

#define PI 3.14159265358979323846
#define GRAVITY 10.0
#define MASS 1.0
#define LENGTH 1.0
#define DT 0.05
#define MAX_SPEED 8.0
#define MAX_TORQUE 2.0

/*
 * The angle counts whole turns and is not brought back into one, as in Gymnasium. Only an episode without a time limit
 * could reach this bound (250,000 steps at full speed); the angle is wrapped there.
 */
#define MAX_ANGLE 1e5

struct pendulum {
	double angle; /* 0 is upright */
	double velocity;
};

static double clamp(double value, double bound)
{
	return value < -bound ? -bound : value > bound ? bound : value;
}

/*
 * The angle between -pi (included) and pi (excluded): ((angle + pi) modulo 2 pi) - pi with the modulo of Python, whose
 * result has the sign of the divisor. fmod() is exact by definition, and so is this: t is 2 pi times a power of two,
 * and t <= r < 2 t whenever it is subtracted.
 */
static double normalized(double angle)
{
	const double shifted = angle + PI;
	double r = fabs(shifted);
	double t = 2 * PI;

	while (2 * t <= r)
		t *= 2;
	for (; t >= 2 * PI; t *= 0.5)
		if (r >= t)
			r -= t;
	if (shifted < 0 && r > 0)
		r = 2 * PI - r;
	return r - PI;
}

static void observe(const struct pendulum *pendulum, double *observation)
{
	env_sincos(pendulum->angle, &observation[1], &observation[0]);
	observation[2] = pendulum->velocity;
}

static int pendulum_create(void *user, void **instance)
{
	(void)user;
	*instance = calloc(1, sizeof(struct pendulum));
	return *instance ? 0 : -ENOMEM;
}

static void pendulum_destroy(void *instance)
{
	free(instance);
}

static int pendulum_reset(void *instance, struct fixar_rng *rng, double *observation)
{
	struct pendulum *pendulum = instance;

	pendulum->angle = fixar_rng_uniform(rng, -PI, PI);
	pendulum->velocity = fixar_rng_uniform(rng, -1.0, 1.0);
	observe(pendulum, observation);
	return 0;
}

static int pendulum_step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	struct pendulum *pendulum = instance;
	const double torque = clamp(action[0], MAX_TORQUE);
	const double angle = normalized(pendulum->angle);
	const double speed = pendulum->velocity;
	double sine, cosine;

	if (!isfinite(action[0]))
		return -EINVAL;

	/* The cost is that of the state before the step. */
	*reward = -(angle * angle + 0.1 * (speed * speed) + 0.001 * (torque * torque));
	*terminated = 0;

	env_sincos(pendulum->angle, &sine, &cosine);
	pendulum->velocity =
		clamp(speed + (3 * GRAVITY / (2 * LENGTH) * sine + 3.0 / (MASS * (LENGTH * LENGTH)) * torque) * DT,
		      MAX_SPEED);
	pendulum->angle += pendulum->velocity * DT;
	if (fabs(pendulum->angle) > MAX_ANGLE)
		pendulum->angle = normalized(pendulum->angle);
	observe(pendulum, observation);
	return 0;
}

/* Little-endian on every machine, so that a checkpoint is. */
static size_t pendulum_state_size(void *instance)
{
	(void)instance;
	return 2 * sizeof(uint64_t);
}

static int pendulum_save(void *instance, void *state)
{
	const struct pendulum *pendulum = instance;
	const double values[2] = { pendulum->angle, pendulum->velocity };
	uint64_t bits[2];

	memcpy(bits, values, sizeof(bits));
	for (int i = 0; i < 2; i++)
		bits[i] = htole64(bits[i]);
	memcpy(state, bits, sizeof(bits));
	return 0;
}

static int pendulum_restore(void *instance, const void *state)
{
	struct pendulum *pendulum = instance;
	uint64_t bits[2];
	double values[2];

	memcpy(bits, state, sizeof(bits));
	for (int i = 0; i < 2; i++)
		bits[i] = le64toh(bits[i]);
	memcpy(values, bits, sizeof(values));
	/* No step leads beyond these bounds: the bytes are not a state of this environment. */
	if (!(fabs(values[0]) <= MAX_ANGLE && fabs(values[1]) <= MAX_SPEED))
		return -EINVAL;
	pendulum->angle = values[0];
	pendulum->velocity = values[1];
	return 0;
}

static const double pendulum_low[] = { -MAX_TORQUE };
static const double pendulum_high[] = { MAX_TORQUE };

static const struct fixar_env_spec pendulum_spec = {
	.size = sizeof(struct fixar_env_spec),
	.name = "pendulum",
	.description = "swing a pole up and hold it there with a weak motor (Gymnasium Pendulum-v1)",
	.observation_dim = 3,
	.action_dim = 1,
	.action_low = pendulum_low,
	.action_high = pendulum_high,
	.max_episode_steps = 200,
	.reward_threshold = -200.0,
	/* The largest cost is pi^2 + 0.1 * 8^2 + 0.001 * 2^2 = 16.3; / 16 / (1 - 0.99) = 102. */
	.reward_scale_log2 = -4,
};

static const struct fixar_env_ops pendulum_ops = {
	.size = sizeof(struct fixar_env_ops),
	.create = pendulum_create,
	.destroy = pendulum_destroy,
	.reset = pendulum_reset,
	.step = pendulum_step,
	.state_size = pendulum_state_size,
	.save = pendulum_save,
	.restore = pendulum_restore,
};

const struct fixar_env env_pendulum = { .spec = &pendulum_spec, .ops = &pendulum_ops };
