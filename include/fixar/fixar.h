/* SPDX-License-Identifier: MIT */
/*
 * libfixar: fixed-point DDPG with quantization-aware training.
 *
 *	struct fixar_env env;
 *	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
 *	struct fixar_agent *agent;
 *
 *	fixar_env_find("pendulum", &env, NULL, 0);
 *	fixar_agent_create(NULL, &env, &options, &agent);
 *	fixar_agent_train(agent, 20000, NULL, NULL);
 *	fixar_agent_destroy(agent);
 *
 * Conventions. Functions return 0 or a negative errno value and never touch errno; fixar_strerror() and the log
 * callback give details in words. The library prints nothing and has no global state but the list of loaded plug-ins.
 * One thread at a time may use an agent; a device may be shared between agents on several threads; callbacks run on
 * the caller's thread. Option structs start with their size and are initialized by the macro of their name that ends
 * in _INIT; a library that is older than the caller refuses (-E2BIG) non-zero bytes that it does not know.
 */
#ifndef FIXAR_FIXAR_H
#define FIXAR_FIXAR_H

#include <stddef.h>
#include <stdint.h>

#include <fixar/env.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is declared here is what a libfixar.so compiled with hidden symbols exports. */
#pragma GCC visibility push(default)

#define FIXAR_VERSION_MAJOR 0
#define FIXAR_VERSION_MINOR 1
#define FIXAR_VERSION_PATCH 0

/* "0.1.0" of the library that is running. */
const char *fixar_version(void);

/* Words for a return value of the library: "success", "Invalid argument". */
const char *fixar_strerror(int error);

enum fixar_log_level { FIXAR_LOG_ERROR, FIXAR_LOG_WARNING, FIXAR_LOG_INFO, FIXAR_LOG_DEBUG };

/* One line without a newline. */
typedef void (*fixar_log_fn)(void *user, enum fixar_log_level level, const char *message);

/* Precision modes (lib/ARITHMETIC.md section 2). */
enum fixar_precision {
	FIXAR_FLOAT32, /* the yardstick; CPU only */
	FIXAR_FIXED32, /* all operands 32 bits */
	FIXAR_QAT16,   /* the paper's: activations 16 bits after the quantization delay */
	FIXAR_QAT16X16 /* ours: weight and gradient operands at most 16 bits too */
};

/* "float32", "fixed32", "qat16", "qat16x16". */
const char *fixar_precision_name(enum fixar_precision precision);
/* 0, or -EINVAL if there is no such name. */
int fixar_precision_parse(const char *name, enum fixar_precision *precision);

/* ---- Devices ---- */

struct fixar_device;

struct fixar_device_options {
	size_t size;
	const char *engine;		/* CPU kernels: "auto" (default, NULL), "scalar", "avx2", "avx512", "amx", "neon" */
	uint32_t threads;		/* 0: one per processor that the process may use */
	enum fixar_precision precision; /* FIXAR_FLOAT32 opens the float32 twin */
	fixar_log_fn log;		/* may be NULL */
	void *log_user;
};
#define FIXAR_DEVICE_OPTIONS_INIT                                                       \
	{                                                                               \
		.size = sizeof(struct fixar_device_options), .precision = FIXAR_FIXED32 \
	}

/*
 * Opens a device: "auto" (the first card that can be used, else the CPU; logs which and why), "cpu", or a card by its node
 * ("/dev/accel/accel0") or PCI address ("0000:01:00.0"). A card that is named is never replaced by the CPU. Options may be
 * NULL. What is wrong goes to the log. -ENODEV: no such device, or no card, or no driver for it; -EACCES: no permission
 * for the node; -EPROTONOSUPPORT: driver or card of a version that this library does not know; -EINVAL: unknown name or
 * engine, or an engine for a card; -ENOTSUP: the processor lacks the engine, or the device the precision. Close it after
 * the last agent on it was destroyed.
 *
 * On a card, functions that let an agent compute return, beyond what is said of them, -EIO: the agent is lost to an error
 * of the card (the log says which); -ESTALE: the card's memory lost its contents, and a new agent from the last
 * checkpoint goes on to the same bits; -ENODEV: the card is gone; -ENOSPC (creation): the card cannot hold the agent.
 */
int fixar_device_open(const char *name, const struct fixar_device_options *options, struct fixar_device **device);
void fixar_device_close(struct fixar_device *device);
/* "CPU, avx2, 2 threads", "card /dev/accel/accel0 at 0000:01:00.0, ..."; valid while the device is open. */
const char *fixar_device_description(const struct fixar_device *device);
/* Whether this processor can run a named engine; the names in order of preference are "amx", "avx512", "avx2", "neon", "scalar". */
int fixar_engine_available(const char *engine);

/* ---- Agents ---- */

enum fixar_noise { FIXAR_NOISE_GAUSSIAN, FIXAR_NOISE_OU };

/*
 * When `qat16` and `qat16x16` narrow their operands. The other two than the paper's give activations and weights of all
 * layers one width, start narrow and become wider; gradients stay whole. They are for `qat16` alone.
 */
enum fixar_schedule {
	FIXAR_SCHEDULE_DELAY,	 /* the paper's: one switch after `delay` environment steps */
	FIXAR_SCHEDULE_MUPPET,	 /* wider when gradients have become less diverse, in the manner of MuPPET */
	FIXAR_SCHEDULE_FRACTRAIN /* wider when the critic's loss has become flat, in the manner of FracTrain */
};

#define FIXAR_MAX_STAGES 8

#define FIXAR_MAX_HIDDEN 31

/*
 * Widths that the switch of `qat16` gives to the operands of one layer, instead of the mode's own: 2 to 16 for a tensor
 * class, 32 to leave it at full precision, 0 for the mode's own width. The layers of a network count from 0; `network`
 * is 0 for the actor, 1 for the critic.
 */
struct fixar_layer_bits {
	uint32_t network;
	uint32_t layer;
	uint32_t activation;
	uint32_t weight;
	uint32_t gradient;
};

struct fixar_agent_options {
	size_t size;
	enum fixar_precision precision;
	uint64_t seed;
	uint32_t hidden_count;		   /* default 2 */
	uint32_t hidden[FIXAR_MAX_HIDDEN]; /* default 400, 300 */
	uint32_t batch;			   /* default 64 */
	uint64_t replay_capacity;	   /* transitions, default 1,000,000 */
	uint64_t warm_up_steps;		   /* uniformly random actions first, default 1,000 */
	uint32_t updates_per_step;	   /* training steps for each environment step after the warm-up, default 1 */
	uint64_t delay;		/* qat16: environment steps before the switch; UINT64_MAX (default): total_steps / 2 */
	uint64_t total_steps;	/* the planned length, for the default delay; default 20,000 */
	uint32_t headroom_bits; /* of activation and gradient ranges; default 1 */
	const struct fixar_layer_bits *bits; /* qat16; NULL: the mode's own widths; a later entry wins */
	size_t bits_count;
	double discount;		/* default 0.99 */
	double tau;			/* default 0.005 */
	double actor_rate, critic_rate; /* default 1e-3 */
	double beta1, beta2;		/* default 0.9, 0.999 */
	enum fixar_noise noise;		/* default Gaussian */
	double noise_sigma;	   /* as a share of the action's half range; default 0.1 (Gaussian), 0.2 (OU) if 0 */
	double noise_theta;	   /* OU; default 0.15 */
	int32_t reward_scale_log2; /* FIXAR_REWARD_SCALE_OF_ENV (default): the environment's own */
	int32_t actor_gradient_scale_log2;  /* -2 to 6, default 2 */
	int32_t critic_gradient_scale_log2; /* -2 to 6, default 0 */
	int normalize_observations;	    /* default 0 */
	fixar_log_fn log;
	void *log_user;
	enum fixar_schedule schedule;		  /* default FIXAR_SCHEDULE_DELAY */
	uint32_t schedule_stages;		  /* widths below; default 0: those of the schedule */
	uint32_t schedule_width[FIXAR_MAX_STAGES]; /* ascending, 2 to 16 or 32 (full precision) */
	uint64_t schedule_observe;  /* training steps in full precision before the first; default 0: total_steps / 50 */
	uint64_t schedule_interval; /* training steps, in the place of an epoch; default 0: total_steps / 100 */
};
#define FIXAR_REWARD_SCALE_OF_ENV INT32_MAX
#define FIXAR_AGENT_OPTIONS_INIT                                                                                       \
	{                                                                                                              \
		.size = sizeof(struct fixar_agent_options), .precision = FIXAR_FIXED32, .hidden_count = 2,             \
		.hidden = { 400, 300 }, .batch = 64, .replay_capacity = 1000000, .warm_up_steps = 1000,                \
		.updates_per_step = 1, .total_steps = 20000, .delay = UINT64_MAX, .headroom_bits = 1,                  \
		.discount = 0.99, .tau = 0.005, .actor_rate = 1e-3, .critic_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, \
		.noise = FIXAR_NOISE_GAUSSIAN, .noise_theta = 0.15, .reward_scale_log2 = FIXAR_REWARD_SCALE_OF_ENV,    \
		.actor_gradient_scale_log2 = 2                                                                         \
	}

struct fixar_agent;

/*
 * Makes an agent for an environment. `device` may be NULL: the agent then opens and owns a device ("auto", of the
 * precision in the options). The specification and callbacks of `env` must outlive the agent. -EINVAL (what is wrong
 * goes to the log), -ENOMEM, or what the environment's create() returned.
 */
int fixar_agent_create(struct fixar_device *device, const struct fixar_env *env,
		       const struct fixar_agent_options *options, struct fixar_agent **agent);
void fixar_agent_destroy(struct fixar_agent *agent);

/* Saturations since the start, by tensor class; names in fixar_saturation_name(). */
#define FIXAR_SATURATIONS 11
const char *fixar_saturation_name(unsigned index);

/* Where an agent stands. `size` is set by the caller. */
struct fixar_agent_status {
	size_t size;
	uint64_t environment_steps;
	uint64_t training_steps;
	uint64_t episodes;  /* finished ones */
	int quantized;	    /* whether the switch of precision has happened */
	double last_return; /* of the last finished episode; NAN before */
	double mean_return; /* of the last 10 finished episodes (fewer at the start); NAN before */
	uint64_t last_episode_steps;
	double critic_loss;    /* mean squared TD error (scaled rewards), mean over the last 100 training steps */
	double mean_q;	       /* likewise */
	double largest_weight; /* over both networks; scanned when asked */
	uint64_t saturation[FIXAR_SATURATIONS];
	/*
	 * Cycles that acting (without the warm-up) and training took, or would have taken, on the modelled card
	 * (lib/pe/ARRAY.md); 0: not known (float32, a network that the card cannot hold, checkpoints that were
	 * saved before they were counted).
	 */
	uint64_t array_cycles;
	uint32_t switches; /* of precision; a schedule has several */
};
int fixar_agent_status(struct fixar_agent *agent, struct fixar_agent_status *status);

/*
 * Called after every environment step and, with `episode_end` set, when an episode has ended. A return value other than
 * 0 ends fixar_agent_train() after this step, which then returns that value; the agent can be saved and go on later. It
 * may itself call fixar_agent_status(), _act(), _evaluate() and _save().
 */
struct fixar_progress {
	size_t size;
	uint64_t environment_steps;
	uint64_t training_steps;
	int episode_end;
	int switched;		    /* a switch of precision happened in this step */
	double episode_return;	    /* valid with episode_end */
	uint64_t episode_steps;	    /* valid with episode_end */
	double critic_loss, mean_q; /* of this step's last training step; NAN if there was none */
};
typedef int (*fixar_progress_fn)(void *user, const struct fixar_progress *progress);

/*
 * Trains until `steps` environment steps in all have been taken (counted from the agent's creation, resumed runs
 * included). Returns 0, what `progress` returned, what a callback of the environment returned, -EDOM if an observation
 * or reward was not finite or float32 diverged, or -EPERM for an agent that was loaded without `resume`. After an error
 * the running episode is given up; training may go on with the next one.
 */
int fixar_agent_train(struct fixar_agent *agent, uint64_t steps, fixar_progress_fn progress, void *user);

/* The policy's action for one observation, without exploration and within the bounds. -EDOM: it is not finite. */
int fixar_agent_act(struct fixar_agent *agent, const double *observation, double *action);

/*
 * Gives an agent that was loaded without `resume` other operand widths, with the ranges that its training observed: how
 * much a policy is worth in fewer bits. What `bits` does not name has the widths of mode qat16. -EPERM: the agent can
 * train; -EINVAL: not trained in qat16, saved before the first training step, or a layer or width that does not exist.
 */
int fixar_agent_set_bits(struct fixar_agent *agent, const struct fixar_layer_bits *bits, size_t count);

/*
 * Runs `episodes` episodes without exploration in an instance of the environment of its own, the start states drawn
 * from the evaluation stream of `seed`. Changes nothing in the agent. `returns` (may be NULL) receives each episode's
 * return. An environment without a limit of steps must terminate by itself.
 */
struct fixar_evaluation {
	size_t size;
	double mean_return, std_return, minimum, maximum;
	uint64_t steps;
};
int fixar_agent_evaluate(struct fixar_agent *agent, uint32_t episodes, uint64_t seed, double *returns,
			 struct fixar_evaluation *result);

/* ---- Runs on disk ---- */

/*
 * Writes DIR/checkpoint.safetensors (aside, synced, renamed) and the replay memory's segment beside it. A crash at any
 * instant leaves either the earlier or the new checkpoint, complete.
 */
int fixar_agent_save(struct fixar_agent *agent, const char *directory);

/*
 * Makes an agent from a checkpoint. With `resume` the replay memory and the environment's state are restored too and
 * training goes on to the bits of the uninterrupted run; without it the agent is for acting and evaluation (no replay
 * is read). `device` as in fixar_agent_create(). -ENOENT: no checkpoint; -EBADMSG: damaged, truncated or foreign (the
 * log says what); -EPROTONOSUPPORT: a schema that this library does not know; -EINVAL: made for an environment with
 * other dimensions.
 */
int fixar_agent_load(struct fixar_device *device, const struct fixar_env *env, const char *directory, int resume,
		     fixar_log_fn log, void *log_user, struct fixar_agent **agent);

/* What the checkpoint in DIR says of itself, without making an agent. Strings are filled in. */
struct fixar_checkpoint_info {
	size_t size;
	char environment[64];
	enum fixar_precision precision;
	uint64_t seed;
	uint64_t environment_steps;
	uint32_t batch;
	uint32_t hidden_count;
	uint32_t hidden[FIXAR_MAX_HIDDEN];
	int quantized;
};
int fixar_checkpoint_info(const char *directory, struct fixar_checkpoint_info *info, fixar_log_fn log, void *log_user);

/* The options an agent has (defaults filled in); pointers in it belong to the agent. */
const struct fixar_agent_options *fixar_agent_options(const struct fixar_agent *agent);
const struct fixar_device *fixar_agent_device(const struct fixar_agent *agent);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* FIXAR_FIXAR_H */
