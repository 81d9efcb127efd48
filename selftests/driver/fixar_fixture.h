/* SPDX-License-Identifier: GPL-2.0-only */
/* What every test program begins with: the kernel's harness, and a fixture with the open node. */
#ifndef FIXAR_FIXTURE_H
#define FIXAR_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixar_lib.h"
#ifdef FIXAR_HARNESS
/* In the FIXAR tree: from the kernel's source package. */
#include "kselftest_harness.h"
#else
#include "../../../kselftest_harness.h"
#endif

/* Seconds for a test in a virtual machine. */
#define FIXAR_TIMEOUT 300

#define FIXAR_TEST(fixture, name) TEST_F_TIMEOUT(fixture, name, FIXAR_TIMEOUT)

/*
 * Without a card nothing can be tested, which is exit status 4 by the kernel's conventions; the harness ends with 0 if all of
 * its tests were skipped.
 */
static void __attribute__((constructor)) fixar_skip_without_card(void)
{
	int fd = fixar_open_node();

	if (fd < 0) {
		printf("TAP version 13\n1..0 # SKIP no node of the driver fixar: %d\n", fd);
		exit(KSFT_SKIP);
	}
	close(fd);
}

/* In FIXTURE_SETUP: skips where the card is gone. */
#define FIXAR_OPEN(fd)                                                             \
	do {                                                                       \
		(fd) = fixar_open_node();                                          \
		if ((fd) < 0)                                                      \
			SKIP(return, "no node of the driver fixar: %d", (fd));     \
	} while (0)

#endif /* FIXAR_FIXTURE_H */
