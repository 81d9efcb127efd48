// SPDX-License-Identifier: MIT
/*
 * Saving an agent: everything that the bits of the rest of the run depend on, and nothing else. Neither time nor host
 * nor engine, threads or device are in a checkpoint, so that the same run gives the same bytes everywhere.
 *
 *	"actor.0.weight" ...		the device's state, tensor by tensor
 *	"run.*"				the record of the run (lib/ddpg/record.h) and the present observation
 *	"options.*"			the options
 *	"environment.*"			name, dimensions and, within an episode, its state
 *	"normalizer.*"			statistics of observations
 *	"policy.memory"			what the quantization policy remembers
 *	"replay.*"			which part of the segment files beside the checkpoint is the replay memory
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/stored.h"
#include "checkpoint/checkpoint.h"
#include "ddpg/replay.h"

#define MORE_TENSORS (STORED_RECORD_TENSORS + 7) /* besides those of the device */

/* What is collected for one checkpoint. */
struct collection {
	struct fixar_agent *agent;
	struct stored_strings strings;
	struct checkpoint_tensor *tensors;
	size_t tensor_count;
	unsigned char *device_state;
	unsigned char *env_state;
	struct replay_mark mark;
	struct replay_mark_text mark_text;
};

static void add_tensor(struct collection *all, const char *name, enum checkpoint_dtype dtype, uint64_t rows,
		       uint64_t columns, const void *data)
{
	all->tensors[all->tensor_count++] = (struct checkpoint_tensor){
		.name = name,
		.dtype = dtype,
		.dim_count = columns ? 2 : 1,
		.dim = { rows, columns },
		.data = data,
		.bytes = rows * (columns ? columns : 1) * checkpoint_dtype_size(dtype),
	};
}

static int collect_device(struct collection *all)
{
	const struct step_tensor *tensors;
	size_t count;
	int error = agent_read_state(all->agent, &tensors, &count, &all->device_state);

	if (error) {
		all->device_state = NULL;
		return error;
	}
	all->tensors = calloc(count + MORE_TENSORS, sizeof(*all->tensors));
	if (!all->tensors)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct checkpoint_tensor *tensor = &all->tensors[all->tensor_count++];

		*tensor = (struct checkpoint_tensor){
			.name = tensors[i].name,
			.dtype = (enum checkpoint_dtype)tensors[i].dtype,
			.dim_count = tensors[i].dim_count,
			.data = all->device_state + tensors[i].offset,
			.bytes = tensors[i].bytes,
		};
		memcpy(tensor->dim, tensors[i].dim, sizeof(tensors[i].dim));
	}
	stored_add(&all->strings, "state.schema", "%d", STEP_SCHEMA);
	return 0;
}

static int collect_environment(struct collection *all)
{
	const struct ddpg *ddpg = all->agent->ddpg;
	const struct fixar_env_spec *spec = ddpg->env.spec;
	const struct fixar_env_ops *ops = ddpg->env.ops;
	size_t size;
	int error;

	stored_add(&all->strings, "environment.name", "%s", spec->name);
	stored_add(&all->strings, "environment.observation_dim", "%" PRIu32, spec->observation_dim);
	stored_add(&all->strings, "environment.action_dim", "%" PRIu32, spec->action_dim);
	if (!ddpg->record.episode_active)
		return 0;
	add_tensor(all, "run.observation", CHECKPOINT_F32, spec->observation_dim, 0, ddpg->observation);
	if (!ops->save)
		return 0;
	size = ops->state_size(ddpg->instance);
	/* Zeros, so that padding in the environment's state is the same bytes in every run. */
	all->env_state = calloc(size + 1, 1);
	if (!all->env_state)
		return -ENOMEM;
	error = ops->save(ddpg->instance, all->env_state);
	if (error) {
		log_line(&all->agent->log, FIXAR_LOG_ERROR, "environment %s: save() failed: %s", spec->name,
			 log_errno(error));
		return error;
	}
	add_tensor(all, "environment.state", CHECKPOINT_U8, size, 0, all->env_state);
	return 0;
}

static void collect_run(struct collection *all)
{
	const struct fixar_agent *agent = all->agent;
	const struct ddpg *ddpg = agent->ddpg;

	_Static_assert(sizeof(struct fixar_layer_bits) == 5 * sizeof(uint32_t), "the table is stored as it is");
	stored_add_options(&all->strings, &agent->options);
	if (agent->options.bits_count)
		add_tensor(all, "options.bits", CHECKPOINT_U32, agent->options.bits_count, 5, agent->options.bits);
	stored_add_record(&all->strings, &ddpg->record);
	stored_record_tensors(&ddpg->record, &all->tensors[all->tensor_count]);
	all->tensor_count += STORED_RECORD_TENSORS;
	if (ddpg->normalizer) {
		stored_add(&all->strings, "normalizer.count", "%" PRIu64, ddpg->normalizer->count);
		add_tensor(all, "normalizer.mean", CHECKPOINT_F64, ddpg->normalizer->dim, 0, ddpg->normalizer->mean);
		add_tensor(all, "normalizer.square_sum", CHECKPOINT_F64, ddpg->normalizer->dim, 0,
			   ddpg->normalizer->square_sum);
	}
	if (ddpg->policy && ddpg->policy->memory_bytes)
		add_tensor(all, "policy.memory", CHECKPOINT_U8, ddpg->policy->memory_bytes, 0, ddpg->policy->memory);
}

static void collect_replay(struct collection *all)
{
	replay_mark_strings(&all->mark, &all->mark_text);
	for (int i = 0; i < REPLAY_MARK_STRINGS; i++)
		stored_add(&all->strings, all->mark_text.strings[i].key, "%s", all->mark_text.strings[i].value);
	replay_mark_tensor(&all->mark, &all->tensors[all->tensor_count++]);
}

static int collect(struct collection *all)
{
	int error = collect_device(all);

	if (!error)
		error = collect_environment(all);
	if (error)
		return error;
	collect_run(all);
	collect_replay(all);
	return 0;
}

/* The replay memory first, then the checkpoint that refers to it, then away with what neither needs. */
static int save(struct collection *all, const char *directory)
{
	struct fixar_agent *agent = all->agent;
	char message[512] = "";
	char *path = NULL;
	int error;

	if (mkdir(directory, 0777) && errno != EEXIST) {
		error = -errno;
		log_line(&agent->log, FIXAR_LOG_ERROR, "%s: %s", directory, log_errno(error));
		return error;
	}
	if (asprintf(&path, "%s/%s", directory, CHECKPOINT_FILE) < 0)
		return -ENOMEM;
	error = replay_save(agent->ddpg->replay, directory, &all->mark, message, sizeof(message));
	if (!error) {
		error = collect(all);
		if (!error)
			error = checkpoint_write(path, all->tensors, all->tensor_count, all->strings.strings,
						 all->strings.count, message, sizeof(message));
		replay_mark_free(&all->mark);
	}
	free(path);
	if (error) {
		log_line(&agent->log, FIXAR_LOG_ERROR, "%s: not saved: %s", directory,
			 *message ? message : log_errno(error));
		return error;
	}
	if (replay_prune(agent->ddpg->replay, directory, message, sizeof(message)))
		log_line(&agent->log, FIXAR_LOG_WARNING, "%s", message);
	return 0;
}

int fixar_agent_save(struct fixar_agent *agent, const char *directory)
{
	struct collection *all;
	int error;

	if (agent->for_acting_only) {
		log_line(&agent->log, FIXAR_LOG_ERROR,
			 "this agent was loaded without `resume`: saving it would lose the replay memory");
		return -EPERM;
	}
	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->agent = agent;
	error = save(all, directory);
	free(all->device_state);
	free(all->env_state);
	free(all->tensors);
	free(all);
	return error;
}
