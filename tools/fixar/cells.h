/* SPDX-License-Identifier: MIT */
/* The options that say what crossbar cells do to weights; quantize and eval have them. */
#ifndef FIXAR_TOOLS_CELLS_H
#define FIXAR_TOOLS_CELLS_H

#include "cli.h"
#include "cost/cost.h"
#include "quantize/cell_noise.h"

struct cell_choice {
	double variation; /* below 0: what the parameters say */
	uint64_t levels;  /* 0: the same */
	uint64_t seed;
};

#define CELL_CHOICE_INIT { .variation = -1 }

enum {
	CELL_KEY_VARIATION = 0x3000,
	CELL_KEY_LEVELS,
	CELL_KEY_SEED,
};

#define CELL_OPTIONS(group)                                                                                           \
	{ "variation", CELL_KEY_VARIATION, "S", 0,                                                                    \
	  "reram: evaluate with cells whose conductance varies by this share", group },                               \
	{ "levels", CELL_KEY_LEVELS, "N", 0, "reram: evaluate with cells that have so many levels of conductance",    \
	  group },                                                                                                    \
	{ "noise-seed", CELL_KEY_SEED, "N", 0, "Seed of that variation; default 0", group }

/* Takes an option of CELL_OPTIONS; 0, or ARGP_ERR_UNKNOWN. */
error_t cell_option(struct cell_choice *choice, int key, char *text, struct argp_state *state);

/*
 * What cells of `model` do, with what was chosen in place of its parameters; *any: whether it is anything. CLI_OK, or
 * CLI_USAGE after a message: something was chosen, and this hardware has no such cells.
 */
int cell_noise_choose(const struct cell_choice *choice, const struct cost_model *model, struct cell_noise *noise,
		      bool *any);

/* "cells of 2 bits varying by 0.1, ratio 150, 0 levels, seed 0"; the caller frees it. */
char *cell_noise_describe(const struct cell_noise *noise);

#endif /* FIXAR_TOOLS_CELLS_H */
