/* SPDX-License-Identifier: MIT */
/* The subcommands: each is given its own name and arguments, and answers an exit code of cli.h. */
#ifndef FIXAR_TOOLS_COMMANDS_H
#define FIXAR_TOOLS_COMMANDS_H

#include "cli.h"

int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_study(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_model(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_mode(int argc, char **argv);
int cmd_dma(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_conform(int argc, char **argv);

#endif /* FIXAR_TOOLS_COMMANDS_H */
