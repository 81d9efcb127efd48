// SPDX-License-Identifier: MIT
/* fixar study: options, and what is said. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "run.h"
#include "study.h"

enum {
	KEY_JOBS = 0x1000,
	KEY_REPORT,
};

struct study_arguments {
	const char *file, *out;
	unsigned jobs;
	bool report;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct study_arguments *arguments = state->input;

	switch (key) {
	case 'j':
		arguments->jobs = (unsigned)cli_option_u64(state, "jobs", text, 1, 1024);
		return 0;
	case KEY_REPORT:
		arguments->report = true;
		return 0;
	case 'o':
		arguments->out = text;
		return 0;
	case 'q':
		cli_quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file)
			argp_error(state, "\"%s\" is one argument too many; expected one file", text);
		arguments->file = text;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->file)
			argp_error(state, "which study? Expected its file");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

/* Before hours are spent: every environment must be there. */
static int check_environments(const struct study *study)
{
	for (size_t i = 0; i < study->environment_count; i++) {
		char message[1024] = "";
		struct fixar_env env;
		int error = fixar_env_find(study->environments[i].settings.environment, &env, message, sizeof(message));

		if (error) {
			cli_error("%s", message[0] ? message : strerror(-error));
			return CLI_FAILED;
		}
	}
	return CLI_OK;
}

static int take_state(const struct study *study)
{
	int error = cli_make_directory(study->state);

	if (error) {
		cli_error("the directory %s cannot be made: %s", study->state, strerror(-error));
		return CLI_FAILED;
	}
	error = run_lock(study->state);
	if (error == -EBUSY)
		cli_error("another process runs this study in %s", study->state);
	else if (error)
		cli_error("%s cannot be locked: %s", study->state, strerror(-error));
	return error ? CLI_FAILED : CLI_OK;
}

static int run(const struct study_arguments *arguments, const struct study *study)
{
	const char *out = arguments->out ? arguments->out : study->state;
	unsigned jobs = arguments->jobs ? arguments->jobs : processors();
	int code = CLI_OK, error;

	if (!arguments->report) {
		code = check_environments(study);
		if (!code)
			code = take_state(study);
		if (code)
			return code;
		cli_note("Study %s: %zu runs, %u at a time, in %s. Ctrl-C saves.", study->name,
			 study->environment_count * study->arm_count * (size_t)study->seeds, jobs, study->state);
		code = study_execute(study, jobs);
		if (code == CLI_INTERRUPTED) {
			cli_error("interrupted and saved. To go on:\n  fixar study %s", arguments->file);
			return code;
		}
	}
	error = cli_make_directory(out);
	if (error) {
		cli_error("the directory %s cannot be made: %s", out, strerror(-error));
		return CLI_FAILED;
	}
	error = study_report(study, out);
	return code ? code : error;
}

int cmd_study(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "jobs", 'j', "N", 0, "Runs at a time, one thread each; default one per processor", 1 },
		{ "report", KEY_REPORT, NULL, 0, "Start nothing, only sum up what is there", 1 },
		{ "out", 'o', "DIR", 0, "Where results.json, results.md and the figures go; default beside the runs",
		  1 },
		{ "quiet", 'q', NULL, 0, "Say nothing but errors", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "FILE",
		.doc = "Trains every precision in every environment of the study FILE with the seeds 0 to n-1, "
		       "evaluates the final "
		       "policies, and sums up in a table, with a test against the reference precision and a figure.\v"
		       "The runs are kept in $FIXAR_STUDY_DIR/NAME, by default ~/.local/state/fixar/NAME. A study that "
		       "was "
		       "interrupted or killed goes on where its runs were last saved.",
	};
	struct study_arguments arguments = { .jobs = 0 };
	struct study study;
	char *message = NULL;
	int code;

	if (cli_parse(&argp, "fixar study", argc, argv, &arguments))
		return CLI_USAGE;
	if (study_read(arguments.file, &study, &message)) {
		cli_error("%s", message);
		free(message);
		study_free(&study);
		return CLI_USAGE;
	}
	code = run(&arguments, &study);
	study_free(&study);
	return code;
}
