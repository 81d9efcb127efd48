// SPDX-License-Identifier: MIT
/*
 * selftests/lib/card_fake.h as a library to preload: the tool then finds a card behind any file that is named as its node.
 * FAKE_FAIL="AT[,EVERY]": at that submission, and then after so many more, the card's memory loses its contents.
 */
#define FAKE(name) name
#include "../lib/card_fake.h"

__attribute__((constructor)) static void start(void)
{
	const char *fail = getenv("FAKE_FAIL");

	fake_reset();
	if (!fail)
		return;
	if (sscanf(fail, "%u,%u", &fake.fail_at, &fake.fail_every) < 1)
		abort();
	fake.fail_state = DRM_FIXAR_CTX_LOST;
	fake.fail_fault = DRM_FIXAR_FAULT_MEMORY;
}
