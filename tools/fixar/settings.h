/* SPDX-License-Identifier: MIT */
/*
 * The settings of a run. One table (settings.c) names each of them once; options of the command line, files given with
 * --config, the config.json of a run and study files all go through it, so that they cannot drift apart.
 *
 * The option --replay-capacity is the key "replay_capacity" in JSON.
 */
#ifndef FIXAR_TOOLS_SETTINGS_H
#define FIXAR_TOOLS_SETTINGS_H

#include "cli.h"

#define SETTINGS_MAX_BITS (2 * (FIXAR_MAX_HIDDEN + 1))
#define SETTINGS_TEXT 512 /* holds any setting as text */

struct settings {
	char environment[64];
	uint64_t steps;		   /* 0: the environment's own */
	double delay_share;	   /* of the steps; NAN: `agent.delay` is a number of steps */
	uint64_t checkpoint_every; /* environment steps */
	uint64_t evaluate_every;   /* environment steps; 0: never */
	uint64_t evaluation_episodes;
	uint64_t evaluation_seed;
	double until; /* mean return of an evaluation that ends the training; NAN: none does */
	struct fixar_agent_options agent;
	struct fixar_layer_bits bits[SETTINGS_MAX_BITS]; /* agent.bits points here when there are any */
	size_t bits_count;
};

struct setting {
	const char *name;     /* of the option; in JSON with '_' for '-' */
	const char *argument; /* for --help */
	const char *help;
	int short_key;	 /* or 0 */
	bool may_change; /* between the sessions of one run */
	int (*parse)(const struct setting *setting, struct settings *settings, const char *text);
	void (*format)(const struct setting *setting, const struct settings *settings, char *text);
	size_t offset; /* of the value in struct settings, for the general parsers */
	double low, high;
	const char *expected; /* "a whole number from 1 to 65536"; NULL: made of low and high */
	bool is_number;	      /* in JSON a number or boolean and not a string */
	bool is_list;	      /* in JSON a list of numbers */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/* The defaults that do not depend on the environment. `settings` must not be moved after that. */
void settings_default(struct settings *settings);
/* Those that do: how long to train and how long to act at random. */
void settings_environment(struct settings *settings, const char *environment);
/* To be called when all have been set: what depends on other settings. */
void settings_resolve(struct settings *settings);

/* 0, or -EINVAL if there is no such schedule. */
int settings_parse_schedule(const char *text, enum fixar_schedule *schedule);

const struct setting *settings_find(const char *name);
/* Sets one from text. 0, or -EINVAL and a message (freed by the caller) that names setting, value and what was
 * expected. */
int settings_set(struct settings *settings, const struct setting *setting, const char *text, char **message);

/* The JSON key of a setting, in `key` of SETTINGS_TEXT bytes. */
const char *settings_key(const struct setting *setting, char *key);
/* A JSON value as the text that settings_set() reads: numbers, strings, booleans and lists of numbers. 0 or -EINVAL. */
int settings_json_text(const json_t *value, char text[SETTINGS_TEXT]);

/*
 * Sets all that a JSON object holds. Keys that are no settings are refused, but those in `others` (ends with NULL; may
 * be NULL). "bits" is a list as in the file of --bits.
 */
int settings_from_json(struct settings *settings, const json_t *object, const char *const *others, char **message);
json_t *settings_to_json(const struct settings *settings);

/*
 * Widths of single layers, from a list of objects with "network", "layer" and any of "activation", "weight",
 * "gradient". `bits` has room for SETTINGS_MAX_BITS.
 */
int settings_bits_from_json(struct fixar_layer_bits *bits, size_t *count, const json_t *list, char **message);
json_t *settings_bits_to_json(const struct fixar_layer_bits *bits, size_t count);

#endif /* FIXAR_TOOLS_SETTINGS_H */
