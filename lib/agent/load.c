// SPDX-License-Identifier: MIT
/* Making an agent from a checkpoint: the reverse of save.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/stored.h"
#include "checkpoint/checkpoint.h"
#include "ddpg/replay.h"
#include "device/options.h"
#include "fx/fixed.h"

/* What the readers of a checkpoint have in common. */
struct source {
	struct checkpoint *checkpoint;
	const char *directory;
	struct log_sink log;
	char message[512];
};

static int open_source(struct source *source, const char *directory)
{
	char *path;
	int error;

	source->directory = directory;
	if (asprintf(&path, "%s/%s", directory, CHECKPOINT_FILE) < 0)
		return -ENOMEM;
	error = checkpoint_open(path, &source->checkpoint, source->message, sizeof(source->message));
	free(path);
	return error;
}

/* Says what is wrong and returns `error`. */
__attribute__((format(printf, 3, 4))) static int refuse(struct source *source, int error, const char *format, ...)
{
	va_list arguments;
	int used = snprintf(source->message, sizeof(source->message), "%s: ", checkpoint_path(source->checkpoint));

	va_start(arguments, format);
	if (used >= 0 && (size_t)used < sizeof(source->message))
		vsnprintf(source->message + used, sizeof(source->message) - (size_t)used, format, arguments);
	va_end(arguments);
	return error;
}

static int read_tensor(struct source *source, const char *name, enum checkpoint_dtype dtype, uint64_t rows,
		       uint64_t columns, void *data)
{
	const uint64_t dim[] = { rows, columns };

	return checkpoint_read(source->checkpoint, name, dtype, columns ? 2 : 1, dim, data,
			       rows * (columns ? columns : 1) * checkpoint_dtype_size(dtype), source->message,
			       sizeof(source->message));
}

static int read_number(struct source *source, const char *key, uint64_t maximum, uint64_t *value)
{
	return checkpoint_number(source->checkpoint, key, maximum, value, source->message, sizeof(source->message));
}

static int check_environment(struct source *source, const struct fixar_env *env)
{
	const struct fixar_env_spec *spec = env->spec;
	uint64_t observation_dim, action_dim;
	const char *name;
	int error = checkpoint_require(source->checkpoint, "environment.name", &name, source->message,
				       sizeof(source->message));

	if (!error)
		error = read_number(source, "environment.observation_dim", UINT32_MAX, &observation_dim);
	if (!error)
		error = read_number(source, "environment.action_dim", UINT32_MAX, &action_dim);
	if (error)
		return error;
	if (observation_dim != spec->observation_dim || action_dim != spec->action_dim)
		return refuse(source, -EINVAL,
			      "made for environment %s with %" PRIu64 " observations and %" PRIu64
			      " actions; %s has %u and %u",
			      name, observation_dim, action_dim, spec->name, spec->observation_dim, spec->action_dim);
	if (strcmp(name, spec->name))
		log_line(&source->log, FIXAR_LOG_WARNING, "%s: made for environment %s, used with %s",
			 source->directory, name, spec->name);
	return 0;
}

/* *bits is for the caller to free. */
static int read_options(struct source *source, struct fixar_agent_options *options, struct fixar_layer_bits **bits)
{
	const struct checkpoint_entry *entry = checkpoint_find(source->checkpoint, "options.bits");
	int error = stored_read_options(source->checkpoint, options, source->message, sizeof(source->message));

	if (error || !entry)
		return error;
	if (!entry->dim_count || entry->dim[0] > UINT32_MAX)
		return refuse(source, -EBADMSG, "the tensor \"options.bits\" is no table");
	*bits = calloc(entry->dim[0] + 1, sizeof(**bits));
	if (!*bits)
		return -ENOMEM;
	options->bits = *bits;
	options->bits_count = entry->dim[0];
	return read_tensor(source, "options.bits", CHECKPOINT_U32, entry->dim[0], 5, *bits);
}

/* Schemas 1 and 2 kept the roots of second moments, fraction 29. */
static void roots_to_moments(uint32_t *moments, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint64_t square = (uint64_t)moments[i] * moments[i];

		moments[i] = square ? fx_moment2_code(square, fx_even_zeros(square)) : 0;
	}
}

/* One tensor of the device's state, from a checkpoint with the state's schema. */
static int read_state_tensor(struct source *source, uint64_t schema, const struct step_tensor *tensor, unsigned char *data)
{
	const char *end = strrchr(tensor->name, '.');
	char name[sizeof(tensor->name) + sizeof("_root")];
	int error, roots;

	/* Schema 1 had no maxima, and no operands whose fractions follow them. */
	if (schema == 1 && !strcmp(tensor->name, "gradient_maxima")) {
		memset(data, 0, tensor->bytes);
		return 0;
	}
	roots = schema < 3 && tensor->dtype == STEP_U32 && end && !strcmp(end, ".moment2");
	snprintf(name, sizeof(name), "%s%s", tensor->name, roots ? "_root" : "");
	error = checkpoint_read(source->checkpoint, name, (enum checkpoint_dtype)tensor->dtype, tensor->dim_count, tensor->dim, data,
				tensor->bytes, source->message, sizeof(source->message));
	if (!error && roots)
		roots_to_moments((uint32_t *)(void *)data, tensor->bytes / sizeof(uint32_t));
	return error;
}

static int read_device(struct source *source, struct fixar_agent *agent)
{
	const struct step_tensor *tensors;
	unsigned char *state;
	uint64_t schema;
	size_t count;
	int error = read_number(source, "state.schema", UINT32_MAX, &schema);

	if (error)
		return error;
	if (schema < 1 || schema > STEP_SCHEMA)
		return refuse(source, -EPROTONOSUPPORT,
			      "schema %" PRIu64 " of the device's state; this library knows %d", schema, STEP_SCHEMA);
	/* Read first, so that the gaps between tensors are what they were. */
	error = agent_read_state(agent, &tensors, &count, &state);
	if (error)
		return error;
	for (size_t i = 0; i < count && !error; i++)
		error = read_state_tensor(source, schema, &tensors[i], state + tensors[i].offset);
	if (!error && schema < STEP_SCHEMA && agent->ddpg->options->precision != FIXAR_FLOAT32)
		log_line(&source->log, FIXAR_LOG_INFO,
			 "%s: its state is of schema %" PRIu64 ": the policy is what it was, training goes on by the rules of schema %d",
			 source->directory, schema, STEP_SCHEMA);
	if (!error) {
		error = agent->state->ops->state_write(agent->state, state);
		if (error)
			error = refuse(source, -EBADMSG, "the device refuses the state: %s", log_errno(error));
	}
	free(state);
	return error;
}

static int read_run(struct source *source, struct ddpg *ddpg)
{
	struct ddpg_record *record = &ddpg->record;
	int error;

	/* Earlier checkpoints do not say; of a run that has not begun it is known. */
	record->array_cycles = RECORD_CYCLES_UNKNOWN;
	error = stored_read_record(source->checkpoint, record, source->message, sizeof(source->message));
	if (!error && !record->environment_steps)
		record->array_cycles = 0;
	if (!error)
		error = read_tensor(source, "run.returns", CHECKPOINT_F64, RECORD_RETURNS, 0, record->returns);
	if (!error)
		error = read_tensor(source, "run.critic_loss", CHECKPOINT_F64, RECORD_WINDOW, 0, record->critic_loss);
	if (!error)
		error = read_tensor(source, "run.mean_q", CHECKPOINT_F64, RECORD_WINDOW, 0, record->mean_q);
	if (!error)
		error = read_tensor(source, "run.episode_return", CHECKPOINT_F64, 1, 0, &record->episode_return);
	if (!error && ddpg->normalizer) {
		struct normalizer *normalizer = ddpg->normalizer;

		error = read_number(source, "normalizer.count", UINT64_MAX, &normalizer->count);
		if (!error)
			error = read_tensor(source, "normalizer.mean", CHECKPOINT_F64, normalizer->dim, 0,
					    normalizer->mean);
		if (!error)
			error = read_tensor(source, "normalizer.square_sum", CHECKPOINT_F64, normalizer->dim, 0,
					    normalizer->square_sum);
		normalizer_refresh(normalizer);
	}
	if (!error && ddpg->policy && ddpg->policy->memory_bytes)
		error = read_tensor(source, "policy.memory", CHECKPOINT_U8, ddpg->policy->memory_bytes, 0,
				    ddpg->policy->memory);
	return error ? error : ddpg_set_mode(ddpg);
}

/* The running episode goes on where it was, if the environment can. */
static int resume_episode(struct source *source, struct ddpg *ddpg)
{
	const struct checkpoint_entry *entry = checkpoint_find(source->checkpoint, "environment.state");
	const struct fixar_env *env = &ddpg->env;
	unsigned char *state;
	uint64_t size;
	int error;

	if (!ddpg->record.episode_active)
		return 0;
	if (!entry || !env->ops->restore) {
		log_line(&source->log, FIXAR_LOG_WARNING,
			 "%s: environment %s cannot save and restore its state; a new episode starts at step %" PRIu64,
			 source->directory, env->spec->name, ddpg->record.environment_steps);
		ddpg->record.episode_active = 0;
		return 0;
	}
	size = env->ops->state_size(ddpg->instance);
	if (entry->dim_count != 1 || entry->dim[0] != size)
		return refuse(source, -EINVAL, "%" PRIu64 " bytes of state of environment %s, which here has %" PRIu64,
			      entry->bytes, env->spec->name, size);
	error = read_tensor(source, "run.observation", CHECKPOINT_F32, env->spec->observation_dim, 0,
			    ddpg->observation);
	if (error)
		return error;
	state = malloc(size + 1);
	if (!state)
		return -ENOMEM;
	error = read_tensor(source, "environment.state", CHECKPOINT_U8, size, 0, state);
	if (!error) {
		error = env->ops->restore(ddpg->instance, state);
		if (error)
			refuse(source, error, "environment %s: restore() failed: %s", env->spec->name,
			       log_errno(error));
	}
	free(state);
	return error;
}

static int resume_replay(struct source *source, struct fixar_agent *agent)
{
	const struct fixar_env_spec *spec = agent->env.spec;
	struct replay_mark mark;
	struct replay *replay;
	int error = replay_mark_read(source->checkpoint, &mark, source->message, sizeof(source->message));

	if (error)
		return error;
	if (mark.observation_dim != spec->observation_dim || mark.action_dim != spec->action_dim ||
	    mark.capacity != agent->options.replay_capacity)
		error = refuse(source, -EBADMSG, "the replay memory does not fit the rest of the checkpoint");
	else
		error = replay_load(&mark, source->directory, &replay, source->message, sizeof(source->message));
	replay_mark_free(&mark);
	if (error)
		return error;
	replay_destroy(agent->ddpg->replay);
	agent->ddpg->replay = replay;
	return 0;
}

static int make_agent(struct source *source, struct fixar_device *device, const struct fixar_env *env,
		      struct fixar_agent **agent)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_layer_bits *bits = NULL;
	int error = agent_check_env(env, &source->log);

	if (!error)
		error = check_environment(source, env);
	if (!error)
		error = read_options(source, &options, &bits);
	options.log = source->log.write;
	options.log_user = source->log.user;
	if (!error)
		error = fixar_agent_create(device, env, &options, agent);
	free(bits);
	return error;
}

int fixar_agent_load(struct fixar_device *device, const struct fixar_env *env, const char *directory, int resume,
		     fixar_log_fn log, void *log_user, struct fixar_agent **created)
{
	struct source source = { .log = { log, log_user } };
	struct fixar_agent *agent = NULL;
	int error;

	if (!created || !directory)
		return -EINVAL;
	*created = NULL;
	error = open_source(&source, directory);
	if (!error)
		error = make_agent(&source, device, env, &agent);
	if (!error)
		error = read_device(&source, agent);
	if (!error)
		error = read_run(&source, agent->ddpg);
	if (!error)
		error = agent_cycles_start(agent);
	if (!error && resume)
		error = resume_replay(&source, agent);
	if (!error && resume)
		error = resume_episode(&source, agent->ddpg);
	if (source.checkpoint)
		checkpoint_close(source.checkpoint);
	if (error) {
		if (*source.message)
			log_line(&source.log, FIXAR_LOG_ERROR, "%s", source.message);
		fixar_agent_destroy(agent);
		return error;
	}
	agent->for_acting_only = !resume;
	*created = agent;
	return 0;
}

int fixar_checkpoint_info(const char *directory, struct fixar_checkpoint_info *info, fixar_log_fn log, void *log_user)
{
	struct source source = { .log = { log, log_user } };
	struct fixar_checkpoint_info known = { .size = sizeof(known) };
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct ddpg_record record = { 0 };
	const char *name = "";
	int error;

	if (!directory || !info)
		return -EINVAL;
	error = open_source(&source, directory);
	if (!error)
		error = checkpoint_require(source.checkpoint, "environment.name", &name, source.message,
					   sizeof(source.message));
	if (!error)
		error = stored_read_options(source.checkpoint, &options, source.message, sizeof(source.message));
	if (!error)
		error = stored_read_record(source.checkpoint, &record, source.message, sizeof(source.message));
	if (error) {
		log_line(&source.log, FIXAR_LOG_ERROR, "%s", *source.message ? source.message : log_errno(error));
	} else {
		snprintf(known.environment, sizeof(known.environment), "%s", name);
		known.precision = options.precision;
		known.seed = options.seed;
		known.environment_steps = record.environment_steps;
		known.batch = options.batch;
		known.hidden_count = options.hidden_count;
		memcpy(known.hidden, options.hidden, sizeof(known.hidden[0]) * options.hidden_count);
		known.quantized = record.switches > 0;
		error = options_answer(info, info->size, &known, sizeof(known));
	}
	if (source.checkpoint)
		checkpoint_close(source.checkpoint);
	return error;
}
