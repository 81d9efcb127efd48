/* SPDX-License-Identifier: MIT */
/*
 * What all subcommands share: exit codes, messages, numbers in words, files that are replaced whole, interrupts.
 *
 * Results go to standard output and everything else to standard error, so that `--json` can be piped into a program.
 */
#ifndef FIXAR_TOOLS_CLI_H
#define FIXAR_TOOLS_CLI_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fixar/fixar.h>

/* Exit codes; tools/man/fixar.1 documents them. */
enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_INTERRUPTED = 130,
};

/* "fixar train"; the prefix of messages. */
extern const char *cli_name;

/* "fixar train: MESSAGE" on standard error. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the answer is CLI_USAGE: `return cli_usage("...")`. Names --help. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* MESSAGE alone on standard error, unless cli_quiet. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern bool cli_quiet;

/*
 * A line on the terminal that is drawn anew each time, cut to its width. Messages and notes end it first; so does
 * cli_end_line(), which does nothing where none stands.
 */
void cli_draw_line(const char *text);
void cli_end_line(void);

/* The library's negative errno values in words; the system's own are not made for checkpoints. */
const char *cli_reason(int error);

/* A log callback for the library: errors and warnings as messages, the rest as notes. `user` is unused. */
void cli_log(void *user, enum fixar_log_level level, const char *message);

/*
 * argp_parse() for a subcommand: argv[0] becomes its full name in messages, usage errors exit with CLI_USAGE. Returns 0
 * or an error number of the parser.
 */
int cli_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input);

/* ---- Values ---- */

/* Numbers from text; 0 or -EINVAL. Whole numbers may be written as 1e6, 20k or 1M. */
int cli_parse_u64(const char *text, uint64_t *value);
int cli_parse_double(const char *text, double *value);

/* For options whose argument is a whole number within limits: leaves the program with CLI_USAGE if it is not. */
uint64_t cli_option_u64(const struct argp_state *state, const char *option, const char *text, uint64_t low,
			uint64_t high);

/* "1,234,567" and "1:02:03". The buffers must hold CLI_TEXT bytes; the answer is the buffer. */
#define CLI_TEXT 48
const char *cli_group(uint64_t value, char *buffer);
const char *cli_duration(double seconds, char *buffer);

double cli_now(void); /* seconds of a clock that only goes forward */

/* ---- Files ---- */

/* A formatted string; the caller frees it. Leaves the program when memory is out. */
char *cli_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* mkdir -p. 0 or -errno. */
int cli_make_directory(const char *path);
/* Whether a folder holds nothing. 1, 0, or -errno (-ENOENT, -ENOTDIR ...). */
int cli_directory_empty(const char *path);

/* Writes aside, syncs and renames: a reader sees the old file or the new one, whole. 0 or -errno. */
int cli_replace_file(const char *path, const void *bytes, size_t length);
int cli_replace_json(const char *path, const json_t *value);
/* Reads a JSON file. NULL, and `message` (freed by the caller) says why; *error is the -errno. */
json_t *cli_read_json(const char *path, char **message, int *error);

/* A compact JSON line on standard output, flushed. */
void cli_print_json(const json_t *value);

/* NAN and infinities have no place in JSON; they become null. */
json_t *cli_json_number(double value);
/* A count of which 0 means that it is not known: then null. */
json_t *cli_json_count(uint64_t value);

/* ---- Interrupts ---- */

/*
 * From here on SIGINT and SIGTERM are noted instead of ending the program; a second one ends it at once with
 * CLI_INTERRUPTED (nothing on disk is ever half written, so that is safe at any instant).
 */
void cli_catch_interrupts(void);
bool cli_interrupted(void);

#endif /* FIXAR_TOOLS_CLI_H */
