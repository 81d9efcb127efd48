// SPDX-License-Identifier: MIT
#include "session.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metrics.h"
#include "run.h"

/* Columns of metrics.csv after "step"; the saturations by class follow. */
enum column {
	COLUMN_EPISODE,
	COLUMN_RETURN,
	COLUMN_LENGTH,
	COLUMN_CRITIC_LOSS,
	COLUMN_MEAN_Q,
	COLUMN_LARGEST_WEIGHT,
	COLUMN_QUANTIZED,
	COLUMN_STEPS_PER_SECOND,
	COLUMN_EVALUATION_RETURN,
	COLUMN_EVALUATION_DEVIATION,
	COLUMN_SATURATIONS,
	COLUMN_CLASSES,
	COLUMN_SWITCHES = COLUMN_CLASSES + FIXAR_SATURATIONS,
	COLUMN_ARRAY_CYCLES,
	COLUMNS,
	EARLIER_COLUMNS = COLUMN_SWITCHES, /* of runs that were begun before there were the last two */
};

static const char *const column_names[COLUMN_CLASSES] = {
	"episode",   "return",		 "length",	"critic_loss",	  "mean_q",	 "largest_weight",
	"quantized", "steps_per_second", "eval/return", "eval/deviation", "saturations",
};

struct session {
	struct fixar_agent *agent;
	const struct settings *settings;
	const char *directory;
	struct metrics *metrics;
	struct progress progress;
	double row_time; /* when the last row was written */
	uint64_t row_step;
	bool failed; /* a message was printed */
	bool reached; /* what was to be reached */
};

static int open_metrics(struct session *session, bool resumed, uint64_t step)
{
	const char *names[COLUMNS];
	char *classes[FIXAR_SATURATIONS], message[512] = "";
	int error;

	memcpy(names, column_names, sizeof(column_names));
	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
		names[COLUMN_CLASSES + i] = classes[i] = cli_format("saturation/%s", fixar_saturation_name(i));
	names[COLUMN_SWITCHES] = "switches";
	names[COLUMN_ARRAY_CYCLES] = "array_cycles";
	error = metrics_open(session->directory, names, COLUMNS, resumed ? step : METRICS_NEW, &session->metrics,
			     message, sizeof(message));
	if (error == -EBADMSG && resumed) {
		char earlier[sizeof(message)] = "";

		if (!metrics_open(session->directory, names, EARLIER_COLUMNS, step, &session->metrics, earlier,
				  sizeof(earlier))) {
			error = 0;
			strcpy(message, earlier);
		}
	}
	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
		free(classes[i]);
	if (error)
		cli_error("%s", message[0] ? message : strerror(-error));
	else if (message[0])
		cli_note("%s", message);
	return error;
}

static int add_row(struct session *session, uint64_t step, const double *values)
{
	char message[512] = "";
	int error = metrics_add(session->metrics, step, values, message, sizeof(message));

	if (!error)
		return 0;
	cli_error("%s", message[0] ? message : strerror(-error));
	session->failed = true;
	return error;
}

static void empty_row(double values[COLUMNS])
{
	for (unsigned i = 0; i < COLUMNS; i++)
		values[i] = NAN;
}

static int episode_row(struct session *session, const struct fixar_progress *progress,
		       const struct fixar_agent_status *status)
{
	double values[COLUMNS], now = cli_now();

	empty_row(values);
	values[COLUMN_EPISODE] = (double)status->episodes;
	values[COLUMN_RETURN] = progress->episode_return;
	values[COLUMN_LENGTH] = (double)progress->episode_steps;
	if (status->training_steps) {
		values[COLUMN_CRITIC_LOSS] = status->critic_loss;
		values[COLUMN_MEAN_Q] = status->mean_q;
	}
	values[COLUMN_LARGEST_WEIGHT] = status->largest_weight;
	values[COLUMN_QUANTIZED] = status->quantized;
	values[COLUMN_STEPS_PER_SECOND] =
		(double)(progress->environment_steps - session->row_step) / (now - session->row_time);
	values[COLUMN_SATURATIONS] = (double)progress_saturations(status);
	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
		values[COLUMN_CLASSES + i] = (double)status->saturation[i];
	values[COLUMN_SWITCHES] = status->switches;
	if (status->array_cycles)
		values[COLUMN_ARRAY_CYCLES] = (double)status->array_cycles;
	session->row_time = now;
	session->row_step = progress->environment_steps;
	return add_row(session, progress->environment_steps, values);
}

static int on_step(void *user, const struct fixar_progress *progress)
{
	struct session *session = user;
	bool due = progress_due(&session->progress);

	if (progress->episode_end || due) {
		struct fixar_agent_status status = { .size = sizeof(status) };
		int error = fixar_agent_status(session->agent, &status);

		if (!error && progress->episode_end)
			error = episode_row(session, progress, &status);
		if (error)
			return error;
		if (due)
			progress_report(&session->progress, &status);
	}
	return cli_interrupted();
}

static int evaluate(struct session *session, const struct fixar_agent_status *status)
{
	struct fixar_evaluation result = { .size = sizeof(result) };
	const struct settings *settings = session->settings;
	double values[COLUMNS];
	int error = fixar_agent_evaluate(session->agent, (uint32_t)settings->evaluation_episodes,
					 settings->evaluation_seed, NULL, &result);

	if (error)
		return error;
	empty_row(values);
	values[COLUMN_EVALUATION_RETURN] = result.mean_return;
	values[COLUMN_EVALUATION_DEVIATION] = result.std_return;
	if (session->progress.style == PROGRESS_LINE || session->progress.style == PROGRESS_PLAIN) {
		cli_note("Step %llu: mean return %.1f without exploration (episodes: %llu).",
			 (unsigned long long)status->environment_steps, result.mean_return,
			 (unsigned long long)settings->evaluation_episodes);
	}
	/* What is asked for is a policy in the precision of the run. */
	session->reached = result.mean_return >= settings->until &&
			   (status->quantized || settings->agent.precision < FIXAR_QAT16);
	return add_row(session, status->environment_steps, values);
}

static int save(struct session *session)
{
	char message[512] = "";
	int error = metrics_flush(session->metrics, message, sizeof(message));

	if (!error)
		error = fixar_agent_save(session->agent, session->directory);
	if (!error || error == -ESTALE)
		return error;
	/* The library's log has said which file it was. */
	cli_error("the run could not be saved: %s; the last complete checkpoint in %s stays as it was",
		  message[0] ? message : strerror(-error), session->directory);
	session->failed = true;
	return error;
}

static uint64_t next_multiple(uint64_t step, uint64_t every)
{
	return every ? (step / every + 1) * every : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Trains from stop to stop: a stop is a checkpoint, an evaluation, or the end. */
static int train(struct session *session, uint64_t step, bool *interrupted)
{
	const struct settings *settings = session->settings;

	*interrupted = false;
	while (step < settings->steps) {
		struct fixar_agent_status status = { .size = sizeof(status) };
		uint64_t stop = least(settings->steps, least(next_multiple(step, settings->checkpoint_every),
							     next_multiple(step, settings->evaluate_every)));
		int result = fixar_agent_train(session->agent, stop, on_step, session);

		if (result < 0)
			return result;
		result = fixar_agent_status(session->agent, &status);
		if (result)
			return result;
		step = status.environment_steps;
		/* Before the checkpoint of the same step: a resumed run will not come here again. */
		if (settings->evaluate_every && step % settings->evaluate_every == 0) {
			result = evaluate(session, &status);
			if (result)
				return result;
		}
		*interrupted = cli_interrupted() && step < settings->steps;
		if (*interrupted) {
			cli_note("Interrupted at step %llu; saving.", (unsigned long long)step);
		}
		if (session->reached && !*interrupted) {
			cli_note("A mean return of %.15g is reached: the training ends here.", settings->until);
		}
		if (*interrupted || session->reached || step >= settings->steps ||
		    step % settings->checkpoint_every == 0) {
			result = save(session);
			if (result)
				return result;
		}
		if (*interrupted || session->reached)
			break;
	}
	return 0;
}

int session_run(struct fixar_agent *agent, const struct settings *settings, const char *directory, bool resumed,
		enum progress_style style, struct session_outcome *outcome)
{
	struct session session = { .agent = agent, .settings = settings, .directory = directory };
	struct fixar_agent_status status = { .size = sizeof(status) };
	char *label =
		cli_format("%s %s seed %llu", settings->environment, fixar_precision_name(settings->agent.precision),
			   (unsigned long long)settings->agent.seed);
	int error = fixar_agent_status(agent, &status);

	if (!error) {
		error = open_metrics(&session, resumed, status.environment_steps);
		session.failed = error;
	}
	if (!error) {
		progress_start(&session.progress, style, label, &settings->agent, settings->steps,
			       status.environment_steps, status.training_steps);
		session.row_time = cli_now();
		session.row_step = status.environment_steps;
		error = train(&session, status.environment_steps, &outcome->interrupted);
		outcome->status.size = sizeof(outcome->status);
		if (!error)
			error = fixar_agent_status(agent, &outcome->status);
		if (!error && !outcome->interrupted && style != PROGRESS_NONE &&
		    outcome->status.environment_steps > status.environment_steps)
			progress_report(&session.progress, &outcome->status);
		cli_end_line();
		metrics_close(session.metrics);
	}
	/* What a loss of the card's memory means is the caller's to say: it may go on. */
	if (error && !session.failed && error != -ESTALE)
		cli_error("training stopped: %s", cli_reason(error));
	outcome->error = error;
	free(label);
	if (error)
		return CLI_FAILED;
	return outcome->interrupted ? CLI_INTERRUPTED : CLI_OK;
}
