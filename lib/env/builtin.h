/* SPDX-License-Identifier: MIT */
/* The environments that are part of libfixar. A new one is declared here and listed in registry.c. */
#ifndef FIXAR_LIB_ENV_BUILTIN_H
#define FIXAR_LIB_ENV_BUILTIN_H

#include <fixar/env.h>

extern const struct fixar_env env_pendulum;

#endif /* FIXAR_LIB_ENV_BUILTIN_H */
