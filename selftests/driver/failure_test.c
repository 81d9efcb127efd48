// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation, and every copy from or to user memory, of every call fails once: for each kind of call, with good
 * arguments, the first thing that can fail does, then the second, and so on until the call meets none that fails. A call
 * that was hit either succeeds all the same or says ENOMEM (EFAULT: the copy); then nothing has changed, the same call
 * succeeds right after it, and when its file is closed, card memory and contexts are as before. The same goes for the
 * driver's probe.
 *
 *	failure_test [KIND]...
 *
 * Needs a kernel with fault injection and root. Memory that was lost is kmemleak's to find, at the end of the machine, and
 * references that were lost show when the module cannot be removed.
 */
#define _GNU_SOURCE
#include "failure_calls.h"
#include "fixar_kcov.h"
#include "fixar_lib.h"
#include "fuzz_failures.h"
#include "fuzz_judges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* No call has so many: one that is always hit does not end otherwise. */
#define MOST 5000

/* ---- Rounds ---- */

struct sums {
	unsigned int hit; /* calls in which something failed */
	unsigned int survived; /* of these, those that succeeded */
};

static char said[256];

static const char *complain(const char *what, unsigned int nth, int ret)
{
	snprintf(said, sizeof(said), "%s (failure %u, %s)", what, nth, ret ? strerror(-ret) : "success");
	return said;
}

/* One call, of which the nth thing fails. Return: what is wrong, or NULL. `over`: there was no nth thing. */
static const char *attempt(const struct kind *kind, unsigned int nth, struct sums *sums, bool *over)
{
	struct round r = { .fd = fixar_open_node(), .gate = { .vgem = -1, .dmabuf = -1 } };
	const int expected = kind->refused ? kind->also : 0;
	const char *wrong = NULL;
	int ret, again = 0, next;
	bool hit;

	if (r.fd < 0)
		return complain("there is no node any more", nth, r.fd);
	ret = kind->before ? kind->before(&r) : 0;
	if (ret) {
		wrong = complain("what the call needs could not be had", nth, ret);
		goto out;
	}
	next = fcntl(0, F_DUPFD_CLOEXEC, 3);
	close(next);

	kcov_take();
	failure_set(nth);
	ret = kind->call(&r);
	hit = failure_happened();
	kcov_take();
	if (ret == -EFAULT)
		close(next); /* if a descriptor was made, and its number not told */
	*over = !hit;
	sums->hit += hit;
	sums->survived += hit && ret == expected;

	if (!failures_here())
		wrong = complain("failing cannot be switched off", nth, ret);
	else if (!hit && ret != expected)
		wrong = complain("the call does by itself not what it should", nth, ret);
	else if (ret && ret != -ENOMEM && ret != -EFAULT && ret != kind->also)
		wrong = complain("an error that is not ENOMEM", nth, ret);
	else if (ret || !kind->once)
		again = kind->call(&r);
	if (!wrong && (ret || !kind->once) && again != expected)
		wrong = complain("the same call does not do after it what it should", nth, again);
	if (!wrong && kind->judge)
		wrong = kind->judge(&r);
	if (wrong && wrong != said)
		wrong = complain(wrong, nth, ret);
out:
	fixar_gate_destroy(&r.gate);
	if (r.buffer.map)
		munmap(r.buffer.map, r.buffer.size);
	close(r.fd);
	return wrong;
}

/* Card memory and contexts. A context ends with its last job, a moment after its file. */
static const char *judge_card(int fd, const struct drm_fixar_query_memory *before, unsigned int nth)
{
	const int64_t end = fixar_now() + FIXAR_PATIENCE;
	struct drm_fixar_query_memory now;

	do {
		if (fixar_query(fd, DRM_FIXAR_QUERY_MEMORY, 0, &now, sizeof(now)))
			return complain("the card's memory cannot be asked", nth, 0);
		if (now.contexts == before->contexts && now.free == before->free && now.largest == before->largest)
			return NULL;
		usleep(2000);
	} while (fixar_now() < end);
	snprintf(said, sizeof(said), "%u contexts and %llu bytes of the card are lost (failure %u)", now.contexts - before->contexts,
		 (unsigned long long)(before->free - now.free), nth);
	return said;
}

static const char *every_failure(const struct kind *kind, struct sums *sums)
{
	struct drm_fixar_query_memory before;
	const char *wrong = NULL;
	bool over = false;
	unsigned int nth;
	int fd = fixar_open_node();

	if (fd < 0 || fixar_query(fd, DRM_FIXAR_QUERY_MEMORY, 0, &before, sizeof(before)))
		return "the card's memory cannot be asked";
	for (nth = 1; nth < MOST && !over && !wrong; nth++) {
		wrong = attempt(kind, nth, sums, &over);
		if (!wrong)
			wrong = judge_card(fd, &before, nth);
	}
	close(fd);
	if (!wrong && !over)
		wrong = "there is no end of things that fail";
	return wrong;
}

/* ---- Probe ---- */

#define BIND "/sys/bus/pci/drivers/fixar/bind"
#define UNBIND "/sys/bus/pci/drivers/fixar/unbind"

/* The address of a function of the kernel; 0 if there is none of this name. */
static unsigned long long address_of(const char *function)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	unsigned long long address = 0, value;
	char line[256], name[128];

	while (symbols && !address && fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%llx %*c %127s", &value, name) == 2 && !strcmp(name, function))
			address = value;
	}
	if (symbols)
		fclose(symbols);
	return address;
}

/*
 * A vector's files in /proc/irq: where the kernel cannot make one it says nothing, but warns when it is to be removed. No
 * driver can help that, so these do not fail.
 */
static int spare_interrupt_files(bool spare)
{
	static const char *const attributes[] = { "failslab", "fail_page_alloc" };
	const unsigned long long start = spare ? address_of("register_handler_proc") : 0;
	const unsigned long long end = spare ? address_of("unregister_irq_proc") : 0;
	char path[128], text[32];
	unsigned int i;
	int ret = spare && (!start || end < start) ? -ENOENT : 0;

	for (i = 0; i < 2 && !ret; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/reject-start", attributes[i]);
		snprintf(text, sizeof(text), "%#llx", start);
		ret = fixar_write_file(path, text);
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/reject-end", attributes[i]);
		snprintf(text, sizeof(text), "%#llx", end);
		if (!ret)
			ret = fixar_write_file(path, text);
	}
	return ret;
}

/* The last card, so that tests after this one have the first as it was. */
static const char *every_failure_of_probe(struct sums *sums)
{
	/* A probe takes its time, and most of what fails in it is the kernel's own: one in so many, all with full counts. */
	const unsigned int step = fixar_full() ? 1 : 7;
	char address[32] = "", entry[128];
	const char *wrong = NULL;
	unsigned int nth, cards = 0;
	int fd, file, ret;
	bool hit = true;

	while ((fd = fixar_open_nth(cards)) >= 0) {
		cards++;
		fixar_pci_address(fd, address);
		close(fd);
	}
	snprintf(entry, sizeof(entry), "/sys/bus/pci/drivers/fixar/%s", address);
	ret = spare_interrupt_files(true);
	if (ret)
		return complain("what fails cannot be limited (CONFIG_FAULT_INJECTION_STACKTRACE_FILTER)", 0, ret);
	ret = fixar_write_file(UNBIND, address);
	if (ret)
		return complain("the card cannot be unbound", 0, ret);
	file = open(BIND, O_WRONLY | O_CLOEXEC);
	for (nth = 1 + (unsigned int)fixar_seed() % step; nth < MOST && hit && !wrong; nth += step) {
		kcov_take();
		failure_set(nth);
		ret = pwrite(file, address, strlen(address), 0) < 0 ? -errno : 0;
		hit = failure_happened();
		kcov_take();
		sums->hit += hit;
		sums->survived += hit && !ret;
		if (!failures_here())
			wrong = complain("failing cannot be switched off", nth, ret);
		else if (ret && !hit)
			wrong = complain("the driver does not take the card", nth, ret);
		else if (!ret != !access(entry, F_OK))
			wrong = complain("the card is bound after an error, or not bound after success", nth, ret);
		else if (!ret)
			ret = fixar_write_file(UNBIND, address);
	}
	close(file);
	spare_interrupt_files(false);
	ret = fixar_write_file(BIND, address);
	if (!wrong && ret)
		wrong = complain("the driver does not take the card any more", nth, ret);
	fd = ret ? -1 : fixar_open_nth(cards - 1);
	if (!wrong && fd < 0)
		wrong = complain("the card has no node any more", nth, fd);
	if (fd >= 0)
		close(fd);
	return wrong;
}

/* ---- The whole ---- */

static unsigned int results, failures;

static void result(const char *wrong, const char *text)
{
	results++;
	failures += !!wrong;
	printf("%sok %u %s\n", wrong ? "not " : "", results, text);
	if (wrong)
		printf("# %s\n", wrong);
	fflush(stdout);
}

static bool chosen(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], name); i++)
		;
	return argc == 1 || i < argc;
}

int main(int argc, char **argv)
{
	const unsigned int count = sizeof(kinds) / sizeof(kinds[0]);
	unsigned int i, planned = 1;
	char text[160];
	int fd, log;

	printf("TAP version 13\n");
	fd = fixar_open_node();
	if (fd < 0) {
		printf("1..0 # SKIP no node of the driver fixar: %d\n", fd);
		return 4;
	}
	close(fd);
	kcov_begin();
	failures_begin();
	failures_thread();
	if (!failures_here()) {
		printf("1..0 # SKIP this kernel has no fault injection (CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, "
		       "CONFIG_FAULT_INJECTION_USERCOPY, CONFIG_FAULT_INJECTION_DEBUG_FS), or the user is not root\n");
		return 4;
	}
	kcov_thread();
	for (i = 0; i < count; i++)
		planned += chosen(argc, argv, kinds[i].name);
	planned += chosen(argc, argv, "probe");
	printf("1..%u\n", planned);
	fflush(stdout);
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log >= 0)
		lseek(log, 0, SEEK_END);

	for (i = 0; i < count; i++) {
		struct sums sums = {};
		const char *wrong;

		if (!chosen(argc, argv, kinds[i].name))
			continue;
		wrong = every_failure(&kinds[i], &sums);
		/* A call that nothing hits proves nothing: each copies its arguments at least. */
		if (!wrong && !sums.hit)
			wrong = "nothing failed";
		snprintf(text, sizeof(text), "%s: %u failures one by one, %u of them without harm to the call", kinds[i].name, sums.hit,
			 sums.survived);
		result(wrong, text);
	}
	/* Of ioctls: a probe that fails may say so. */
	result(log < 0 || warnings(log) ? "it has" : NULL, "the kernel's log has no line at warning level or above");
	if (chosen(argc, argv, "probe")) {
		struct sums sums = {};
		const char *wrong = every_failure_of_probe(&sums);

		snprintf(text, sizeof(text), "probe: %u failures one by one, %u of them without harm", sums.hit, sums.survived);
		result(!wrong && !sums.hit ? "nothing failed" : wrong, text);
	}
	kcov_print();
	return failures ? 1 : 0;
}
