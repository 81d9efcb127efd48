/* SPDX-License-Identifier: MIT */
/*
 * The training loop of DDPG, one environment step at a time. It owns the environment's instance, the replay memory, the
 * statistics of observations and the record of the run; the networks and the noise are the device's. Which device that
 * is, it can't tell.
 *
 * All that the loop remembers between two steps lies in struct ddpg, so that a checkpoint can hold it
 * (lib/agent/save.c): `record`, `observation`, the normalizer, the replay memory, the policy's memory, the
 * environment's state.
 */
#ifndef FIXAR_LIB_DDPG_DDPG_H
#define FIXAR_LIB_DDPG_DDPG_H

#include <fixar/fixar.h>

#include "ddpg/normalizer.h"
#include "ddpg/record.h"
#include "ddpg/replay.h"
#include "device/device.h"
#include "device/log.h"
#include "qat/policy.h"

/* What the loop is at, for whoever measures where its time goes. */
enum ddpg_phase {
	DDPG_ACT,	  /* the device chooses an action */
	DDPG_ENVIRONMENT, /* reset and step */
	DDPG_STORE,	  /* the transition goes to the replay memory */
	DDPG_SAMPLE,	  /* a batch comes from there, in fixed point */
	DDPG_TRAIN,	  /* the device trains */
	DDPG_OTHER,	  /* the rest: records, the precision policy, the caller's own */
	DDPG_PHASES
};

struct ddpg {
	struct fixar_env env;
	void *instance;				   /* of the environment */
	const struct fixar_agent_options *options; /* checked, with nothing left to default */
	struct log_sink log;
	struct device_agent *device;
	struct step_mode mode;
	struct replay *replay;
	struct normalizer *normalizer; /* NULL: observations as they are */
	struct qat_policy *policy;     /* NULL: the operands stay as they are */
	struct qat_shape shape;

	struct ddpg_record record;
	float *observation; /* the present one, while an episode runs */

	/* Called at each change of phase, if not NULL. It changes nothing. */
	void (*on_phase)(void *user, enum ddpg_phase next);
	void *phase_user;

	struct ddpg_scratch *scratch;
};

/*
 * Makes the loop of a new agent. `options` and `device` are borrowed, `policy` is taken over even on failure.
 * `batch_max` of the device's agent is at least options->batch. Returns 0, -ENOMEM, or what the environment or the
 * device returned.
 */
int ddpg_create(const struct fixar_env *env, const struct fixar_agent_options *options, struct device_agent *device,
		const struct qat_shape *shape, struct qat_policy *policy, const struct log_sink *log,
		struct ddpg **ddpg);
void ddpg_destroy(struct ddpg *ddpg);

/*
 * One environment step and the training steps that belong to it. Returns 0 or a negative errno value; -EDOM: the
 * environment returned something that is not finite, or the float32 twin diverged (the log says what). After an error
 * the episode is given up, and the next call starts another one.
 */
int ddpg_step(struct ddpg *ddpg, struct fixar_progress *progress);

/*
 * The policy's action without exploration. Changes and counts nothing. -EDOM: the observation is not finite; *component
 * says where.
 */
int ddpg_policy_action(struct ddpg *ddpg, const double *observation, double *action, uint32_t *component);

/* Brings the device's mode registers in line with the record: after a checkpoint was read into it. */
int ddpg_set_mode(struct ddpg *ddpg);

/* After a step that switched: the quantizers that the policy wrote. Valid until the next step. */
const struct step_quantizer *ddpg_quantizers(const struct ddpg *ddpg);

/*
 * How diverse the gradients of late training steps were (lib/ddpg/diversity.c): about 1 where they agree, more where they
 * cancel; NAN if the device's state does not say. `ddpg` is a struct ddpg.
 */
double ddpg_gradient_diversity(void *ddpg);

#endif /* FIXAR_LIB_DDPG_DDPG_H */
