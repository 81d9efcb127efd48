// SPDX-License-Identifier: MIT
/* fixar: one program, its subcommands. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "train", cmd_train, "train an agent in an environment" },
	{ "eval", cmd_eval, "run a trained policy without exploration" },
	{ "study", cmd_study, "train a matrix of environments, precisions and seeds, and compare" },
	{ "plot", cmd_plot, "draw learning curves" },
	{ "model", cmd_model, "what a core of a given size would need and reach" },
	{ "bench", cmd_bench, "measure the speed of training and acting" },
	{ "quantize", cmd_quantize, "choose the bit width of every layer under a limit of hardware" },
	{ "info", cmd_info, "what this program and this machine offer" },
	{ "mode", cmd_mode, "a card's mode registers, and those of new contexts" },
	{ "dma", cmd_dma, "verified copies to a card and back, and how fast they are" },
	{ "top", cmd_top, "how busy a card is, and by whom" },
	{ "conform", cmd_conform, "whether a card computes and behaves as its contract says" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *file)
{
	fprintf(file, "Usage: fixar COMMAND [ARGUMENT...]\n\n"
		      "Deep reinforcement learning in fixed point.\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-10s%s\n", commands[i].name, commands[i].help);
	fprintf(file, "\n'fixar COMMAND --help' says more; a first run is 'fixar train pendulum'.\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-?") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return CLI_OK;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("fixar %s\n", fixar_version());
		return CLI_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].run(argc - 1, argv + 1);
	cli_error("unknown command \"%s\"", name);
	usage(stderr);
	return CLI_USAGE;
}
