/* SPDX-License-Identifier: MIT */
/* Which kernels this processor should use. */
#include "float32/engine.h"

#include <errno.h>
#include <string.h>

/* In order of preference. */
static const struct f32_engine *const f32_engines[] = {
#if defined(__x86_64__)
	&f32_avx2,
#endif
	&f32_scalar,
};

int f32_engine_find(const char *name, const struct f32_engine **engine)
{
	/* The names that the fixed-point engines have too, whatever this processor is. */
	static const char *const known[] = { "scalar", "avx2", "avx512", "amx", "neon" };
	const int any = !name || !strcmp(name, "auto");

	for (size_t i = 0; i < sizeof(f32_engines) / sizeof(f32_engines[0]); i++) {
		if ((any || !strcmp(name, f32_engines[i]->name)) && f32_engines[i]->available()) {
			*engine = f32_engines[i];
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!any && !strcmp(name, known[i]))
			return -ENOTSUP;
	return -EINVAL;
}
