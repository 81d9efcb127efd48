/* SPDX-License-Identifier: MIT */
/*
 * A session: one process that trains an agent in a run's directory, from the start or from a checkpoint, until the run
 * is complete or interrupted. Everything it leaves behind but the speeds in the metrics is a function of the settings,
 * however many sessions there were and wherever they were cut.
 */
#ifndef FIXAR_TOOLS_SESSION_H
#define FIXAR_TOOLS_SESSION_H

#include "progress.h"
#include "settings.h"

struct session_outcome {
	bool interrupted; /* saved, and can go on */
	int error;	  /* why it failed, as the library said it; 0 if it did not */
	struct fixar_agent_status status;
};

/* Trains and saves. CLI_OK, CLI_INTERRUPTED or CLI_FAILED (after a message). */
int session_run(struct fixar_agent *agent, const struct settings *settings, const char *directory, bool resumed,
		enum progress_style style, struct session_outcome *outcome);

#endif /* FIXAR_TOOLS_SESSION_H */
