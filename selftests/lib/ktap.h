/* SPDX-License-Identifier: MIT */
/*
 * KTAP output for the unit tests (the kernel's Documentation/dev-tools/ktap.rst), in one header so that a test is one
 *file.
 *
 *	int main(void)
 *	{
 *		ktap_start();
 *		ktap_ok(1 + 1 == 2, "one and one");
 *		return ktap_finish();
 *	}
 *
 * ktap_plan(n) may follow ktap_start() where the number of tests is known; otherwise ktap_finish() writes the plan
 *last. A program whose tests are all impossible here calls `return ktap_skip_all("no device")`. Exit codes: KTAP_PASS,
 *KTAP_FAIL and, as in the kernel's selftests, KTAP_SKIP when everything was skipped.
 *
 * Only the thread that called ktap_start() may report.
 */
#ifndef FIXAR_SELFTESTS_LIB_KTAP_H
#define FIXAR_SELFTESTS_LIB_KTAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define KTAP_PASS 0
#define KTAP_FAIL 1
#define KTAP_SKIP 4

static struct {
	unsigned int planned; /* 0: the plan is written at the end */
	unsigned int run;
	unsigned int failed;
	unsigned int skipped;
} ktap;

static inline void ktap_start(void)
{
	/* Line by line, so that what was said before a crash is not lost in a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("KTAP version 1");
}

static inline void ktap_plan(unsigned int tests)
{
	ktap.planned = tests;
	printf("1..%u\n", tests);
}

/* A diagnostic line. */
__attribute__((format(printf, 1, 2))) static inline void ktap_note(const char *format, ...)
{
	va_list arguments;

	fputs("# ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* One test: its name is a printf format. Returns `passed`, so that a test can say more about a failure. */
__attribute__((format(printf, 4, 5))) static inline bool ktap_report(bool passed, const char *file, int line,
								     const char *format, ...)
{
	va_list arguments;

	ktap.run++;
	if (!passed)
		ktap.failed++;
	printf("%s %u ", passed ? "ok" : "not ok", ktap.run);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	if (!passed)
		ktap_note("failed at %s:%d", file, line);
	return passed;
}

#define ktap_ok(passed, ...) ktap_report((passed), __FILE__, __LINE__, __VA_ARGS__)

/* A test that cannot run here; `reason` says why. */
static inline void ktap_skip(const char *name, const char *reason)
{
	ktap.run++;
	ktap.skipped++;
	printf("ok %u %s # SKIP %s\n", ktap.run, name, reason);
}

/* The whole program cannot run here: instead of ktap_start(). */
static inline int ktap_skip_all(const char *reason)
{
	printf("KTAP version 1\n1..0 # SKIP %s\n", reason);
	return KTAP_SKIP;
}

/* Writes the totals and, unless ktap_plan() did, the plan; returns the exit code. */
static inline int ktap_finish(void)
{
	if (!ktap.planned)
		printf("1..%u\n", ktap.run);
	else if (ktap.planned != ktap.run)
		ktap_note("planned %u tests but ran %u", ktap.planned, ktap.run);
	ktap_note("Totals: pass:%u fail:%u skip:%u", ktap.run - ktap.failed - ktap.skipped, ktap.failed, ktap.skipped);
	/* A program that tested nothing has not passed. */
	if (ktap.failed || !ktap.run || (ktap.planned && ktap.planned != ktap.run))
		return KTAP_FAIL;
	return ktap.skipped == ktap.run ? KTAP_SKIP : KTAP_PASS;
}

#endif /* FIXAR_SELFTESTS_LIB_KTAP_H */
