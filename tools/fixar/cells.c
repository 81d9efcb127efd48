// SPDX-License-Identifier: MIT
#include "cells.h"

error_t cell_option(struct cell_choice *choice, int key, char *text, struct argp_state *state)
{
	switch (key) {
	case CELL_KEY_VARIATION:
		if (cli_parse_double(text, &choice->variation) || !(choice->variation >= 0) || choice->variation > 1)
			argp_error(state, "--variation \"%s\": expected a number from 0 to 1", text);
		return 0;
	case CELL_KEY_LEVELS:
		choice->levels = cli_option_u64(state, "levels", text, 2, 256);
		return 0;
	case CELL_KEY_SEED:
		choice->seed = cli_option_u64(state, "noise-seed", text, 0, UINT64_C(1) << 53);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cell_noise_choose(const struct cell_choice *choice, const struct cost_model *model, struct cell_noise *noise,
		      bool *any)
{
	const struct reram_parameters *parameters = reram_parameters_of(model);

	*any = false;
	if (!parameters && (choice->variation >= 0 || choice->levels))
		return cli_usage("--%s: only the cells of --hardware reram %s", choice->levels ? "levels" : "variation",
				 choice->levels ? "have levels" : "vary");
	if (!parameters)
		return CLI_OK;
	*noise = (struct cell_noise){ .cells = *parameters, .seed = choice->seed };
	if (choice->variation >= 0)
		noise->cells.variation = choice->variation;
	if (choice->levels)
		noise->cells.levels = (double)choice->levels;
	*any = noise->cells.variation > 0 || noise->cells.levels > 0;
	return CLI_OK;
}

char *cell_noise_describe(const struct cell_noise *noise)
{
	return cli_format("cells of %g bits varying by %g, ratio %g, %g levels, seed %llu", noise->cells.cell_bits,
			  noise->cells.variation, noise->cells.on_off_ratio, noise->cells.levels,
			  (unsigned long long)noise->seed);
}
