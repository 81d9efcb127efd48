/* SPDX-License-Identifier: MIT */
/*
 * The directory of a run: config.json (the settings, written before anything else), checkpoint.safetensors with the
 * replay memory's segments, metrics.csv and event files.
 */
#ifndef FIXAR_TOOLS_RUN_H
#define FIXAR_TOOLS_RUN_H

#include "settings.h"

#define RUN_CONFIG "config.json"
#define RUN_CHECKPOINT "checkpoint.safetensors"
#define RUN_METRICS "metrics.csv"

/* runs/ENV-PRECISION-seedS, or with -2, -3 ... behind it where that is taken. The caller frees it. */
char *run_default_directory(const struct settings *settings);

/* Path of a file in a run's directory. The caller frees it. */
char *run_path(const char *directory, const char *file);
bool run_has(const char *directory, const char *file);

/*
 * Whether a folder holds nothing but what is left of a run that was killed while it wrote its config.json. 1, 0 or
 * -errno.
 */
int run_untouched(const char *directory);

/*
 * Reads config.json into *settings (defaults first). 0; -ENOENT: there is none; else a message (freed by the caller).
 */
int run_read_config(const char *directory, struct settings *settings, char **message);
int run_write_config(const char *directory, const struct settings *settings);

/*
 * Whether a run made with `was` may go on with `now`: 0, or -EINVAL and a message that names what differs and both
 * values.
 */
int run_compatible(const struct settings *was, const struct settings *now, char **message);

/*
 * Takes the directory for this process until it ends, so that two never write to one run. Waits a few seconds for a
 * process that is just leaving. 0, -EBUSY, or another -errno.
 */
int run_lock(const char *directory);

#endif /* FIXAR_TOOLS_RUN_H */
