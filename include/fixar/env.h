/* SPDX-License-Identifier: MIT */
/*
 * Environments: what an agent acts in.
 *
 * An environment is a description (struct fixar_env_spec) and a table of callbacks (struct fixar_env_ops).
 * The built-in Pendulum, the MuJoCo plug-in and a user's own environment all come through this one interface.
 *
 * Observations and rewards are doubles here: this is the edge where floating point ends. The library turns them into
 * fixed point (lib/ARITHMETIC.md, "At the edge") before any of them reaches the arithmetic core, and refuses values that
 * are not finite.
 */
#ifndef FIXAR_ENV_H
#define FIXAR_ENV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A plug-in states the number that it was built with; the library refuses any other. */
#define FIXAR_ENV_ABI 1

/* Limits on what a specification may say; beyond them fixar_agent_create() answers -EINVAL. */
#define FIXAR_ENV_MAX_OBSERVATION 4096
#define FIXAR_ENV_MAX_ACTION 256

/*
 * A stream of random numbers. Counter-based (lib/ARITHMETIC.md, "Random numbers"): a stream is named by a seed, a purpose
 * and an index, and never depends on what was drawn from another one. An environment draws only from the stream that it
 * is given in reset(), so that episode number n starts in the same state in every run with the same seed.
 */
struct fixar_rng {
	uint64_t seed;
	uint64_t index;		/* for environments: the number of the episode */
	uint32_t purpose;
	uint32_t next;		/* words drawn so far */
};

/* The next 32 random bits. */
uint32_t fixar_rng_u32(struct fixar_rng *rng);
/* Uniform in [low, high), from 53 random bits; only exact or correctly rounded operations, the same on every machine. */
double fixar_rng_uniform(struct fixar_rng *rng, double low, double high);
/* Normal with mean 0 and variance 1: the sum of uniforms of lib/ARITHMETIC.md, so that it too is the same everywhere. */
double fixar_rng_normal(struct fixar_rng *rng);

/*
 * What an environment is. All pointers must stay valid while the environment exists.
 */
struct fixar_env_spec {
	size_t size;			/* sizeof(struct fixar_env_spec), set by the one who fills it */
	const char *name;		/* "pendulum", "halfcheetah"; lower case, digits and dashes */
	const char *description;	/* one line for listings */
	uint32_t observation_dim;	/* doubles in an observation, 1 to FIXAR_ENV_MAX_OBSERVATION */
	uint32_t action_dim;		/* doubles in an action, 1 to FIXAR_ENV_MAX_ACTION */
	const double *action_low;	/* action_dim lower bounds; the agent's -1 is mapped to it */
	const double *action_high;	/* action_dim upper bounds; the agent's +1 is mapped to it */
	uint32_t max_episode_steps;	/* truncation after so many steps (the bootstrap is kept); 0: never */
	double reward_threshold;	/* mean return that counts as solved; NAN if there is none */
	int32_t reward_scale_log2;	/* rewards reach the core as r * 2^reward_scale_log2; keep abs(r) * 2^this / (1 - gamma) <= 128 */
};

/*
 * What an environment does. Every callback runs on the thread that called the library. A callback returns 0 or a negative
 * errno value, which ends the run and is handed to the caller.
 */
struct fixar_env_ops {
	size_t size;			/* sizeof(struct fixar_env_ops) */

	/* Makes an instance. `user` is the pointer that was registered with the environment. */
	int (*create)(void *user, void **instance);
	void (*destroy)(void *instance);

	/* Starts an episode, drawing only from `rng`, and writes the first observation. */
	int (*reset)(void *instance, struct fixar_rng *rng, double *observation);

	/*
	 * One step. `action` lies within the bounds. Writes the observation, the reward and whether the state is terminal
	 * (no bootstrap beyond it). Truncation at max_episode_steps is the library's business, not the environment's.
	 */
	int (*step)(void *instance, const double *action, double *observation, double *reward, int *terminated);

	/*
	 * Optional, all three or none: the whole state of the simulation within an episode as bytes, so that a resumed run
	 * goes on with the very bits. Without them a resumed run starts a new episode, and says so.
	 */
	size_t (*state_size)(void *instance);
	int (*save)(void *instance, void *state);
	int (*restore)(void *instance, const void *state);
};

/* A kind of environment: specification, callbacks and the pointer given to create(). */
struct fixar_env {
	const struct fixar_env_spec *spec;
	const struct fixar_env_ops *ops;
	void *user;
};

/*
 * Finds an environment by name: the built-in ones first, then those of the plug-ins (files env-*.so in the folder named by
 * FIXAR_PLUGIN_DIR if it is set, else in $libdir/fixar). A plug-in stays loaded until the process ends.
 *
 * Returns 0 and fills *env, or -ENOENT (no environment of that name; the message lists the known ones and, for the MuJoCo
 * tasks, says that the plug-in or its library is missing), -ELIBACC (a plug-in could not be loaded), -ELIBBAD (a plug-in of
 * another ABI). `message`, if not NULL, receives one line that says what went wrong.
 */
int fixar_env_find(const char *name, struct fixar_env *env, char *message, size_t message_size);

/* Calls `visit` for every environment that can be found; stops when it returns other than 0 and returns that. */
int fixar_env_each(int (*visit)(const struct fixar_env *env, void *user), void *user);

/*
 * What a plug-in exports under the name fixar_env_plugin (const struct fixar_env_plugin fixar_env_plugin).
 */
struct fixar_env_plugin {
	uint32_t abi;			/* FIXAR_ENV_ABI */
	uint32_t count;			/* environments in the list */
	const struct fixar_env *environments;
};

#ifdef __cplusplus
}
#endif

#endif /* FIXAR_ENV_H */
