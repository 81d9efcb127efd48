/* SPDX-License-Identifier: MIT */
/* Which engines there are, and which one this processor should use. */
#include "pe/engine.h"

#include <string.h>

#if defined(__x86_64__)
#include "pe/amx.h"
#endif

/* In order of preference. */
static const struct pe_engine *const engines[] = {
#if defined(__x86_64__)
	&pe_amx,
	&pe_avx512_vnni,
	&pe_avx512,
	&pe_avx2,
#endif
#if defined(__aarch64__)
	&pe_neon,
#endif
	&pe_scalar,
};

const struct pe_engine *pe_engine_find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		if (name && strcmp(name, "auto") && strcmp(name, engines[i]->name))
			continue;
		if (engines[i]->available())
			return engines[i];
	}
	return NULL;
}

int pe_engine_refusal(const char *name)
{
#if defined(__x86_64__)
	if (!strcmp(name, "amx"))
		return pe_amx_refusal();
#else
	(void)name;
#endif
	return 0;
}

int pe_engine_known(const char *name)
{
	static const char *const names[] = { "auto", "scalar", "avx2", "avx512", "amx", "neon" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return 1;
	return 0;
}
