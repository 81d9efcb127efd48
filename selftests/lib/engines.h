// SPDX-License-Identifier: MIT
/* The engines that a program for this architecture has. The processor may lack one all the same: then its tests are
 * skipped. */
#ifndef FIXAR_SELFTESTS_LIB_ENGINES_H
#define FIXAR_SELFTESTS_LIB_ENGINES_H

#include "ktap.h"
#include "pe/engine.h"

static const char *const engine_names[] = {
	"scalar",
#if defined(__x86_64__)
	"avx2",
	"avx512",
	"amx",
#endif
#if defined(__aarch64__)
	"neon",
#endif
};

#define ENGINES (sizeof(engine_names) / sizeof(engine_names[0]))

/* NULL, and a skipped test, where the processor cannot run it. */
static inline const struct pe_engine *engine_or_skip(size_t number, const char *test)
{
	const struct pe_engine *engine = pe_engine_find(engine_names[number]);

	if (!engine)
		ktap_skip(test, "this processor has no such instructions");
	return engine;
}

#endif /* FIXAR_SELFTESTS_LIB_ENGINES_H */
