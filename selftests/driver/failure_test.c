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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA 65536u
#define BYTES 40000u
/* No call has so many: one that is always hit does not end otherwise. */
#define MOST 5000

/* What one round of a call has, all of it new. */
struct round {
	int fd;
	uint32_t ctx;
	struct fixar_buffer buffer;
	struct fixar_gate gate;
	uint32_t imported; /* the gate's buffer */
	uint32_t in, out, timeline;
	uint64_t point;
};

/* ---- The calls: with arguments that are good again when they are made once more ---- */

static int plain(struct round *r, unsigned long request, void *argument)
{
	int ret = ioctl(r->fd, request, argument);

	return ret < 0 ? -errno : ret;
}

static int with_context(struct round *r)
{
	return fixar_context_create(r->fd, ARENA, &r->ctx);
}

static int with_buffer(struct round *r)
{
	return fixar_buffer_create(r->fd, BYTES, &r->buffer);
}

static int with_mapped_buffer(struct round *r)
{
	int ret = with_buffer(r);

	if (!ret)
		ret = with_context(r);
	return ret ? ret : fixar_copy_wait(r->fd, r->ctx, DRM_FIXAR_QUEUE_H2C, r->buffer.handle, 0, 0, BYTES);
}

static int with_gate(struct round *r)
{
	return fixar_gate_create(BYTES, true, &r->gate);
}

/* All that a submission can name. The buffer is not mapped for the card, and others know of it. */
static int with_all(struct round *r)
{
	int ret = with_buffer(r), file;

	if (!ret)
		ret = with_context(r);
	if (!ret)
		ret = fixar_sync_create(r->fd, &r->out);
	if (!ret)
		ret = fixar_sync_create(r->fd, &r->timeline);
	if (!ret)
		ret = with_gate(r);
	if (!ret)
		ret = fixar_gate_sync(r->fd, &r->gate, &r->in);
	if (!ret)
		ret = fixar_import(r->fd, r->gate.dmabuf, &r->imported);
	if (ret)
		return ret;
	file = fixar_export(r->fd, r->buffer.handle);
	if (file < 0)
		return file;
	close(file);
	return 0;
}

static int open_file(struct round *r)
{
	int fd = open(fixar_node_name(), O_RDWR | O_CLOEXEC);

	(void)r;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int query(struct round *r)
{
	static const uint32_t sizes[] = { sizeof(struct drm_fixar_query_device), sizeof(struct drm_fixar_query_queue),
					  sizeof(struct drm_fixar_query_memory), sizeof(struct drm_fixar_query_counters),
					  sizeof(struct drm_fixar_mode) };
	uint64_t data[64];
	uint32_t type;
	int ret = 0;

	for (type = 0; type < sizeof(sizes) / sizeof(sizes[0]) && !ret; type++) {
		struct drm_fixar_query args = { .type = type, .size = sizes[type], .data = (uintptr_t)data };

		if (type == DRM_FIXAR_QUERY_QUEUE)
			args.index = DRM_FIXAR_QUERY_QUEUE_INDEX(0, DRM_FIXAR_CHANNEL_ALL);
		ret = plain(r, DRM_IOCTL_FIXAR_QUERY, &args);
	}
	return ret;
}

static int create_buffer(struct round *r)
{
	struct drm_fixar_bo_create args = { .size = BYTES };

	return plain(r, DRM_IOCTL_FIXAR_BO_CREATE, &args);
}

static int map_buffer(struct round *r)
{
	void *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)r->buffer.offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, BYTES);
	return 0;
}

static int prepare_buffer(struct round *r)
{
	struct drm_fixar_bo_prep args = { .handle = r->buffer.handle, .flags = DRM_FIXAR_BO_WRITE };

	return plain(r, DRM_IOCTL_FIXAR_BO_PREP, &args);
}

static int give_buffer_back(struct round *r)
{
	struct drm_fixar_bo_fini args = { .handle = r->buffer.handle, .flags = DRM_FIXAR_BO_WRITE };

	return plain(r, DRM_IOCTL_FIXAR_BO_FINI, &args);
}

static int export_buffer(struct round *r)
{
	struct drm_prime_handle args = { .handle = r->buffer.handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	int ret = plain(r, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	if (!ret)
		close(args.fd);
	return ret;
}

static int import_buffer(struct round *r)
{
	struct drm_prime_handle args = { .fd = r->gate.dmabuf };
	int ret = plain(r, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	struct drm_gem_close close = { .handle = args.handle };

	/* Once more is an import once more. */
	return ret ? ret : plain(r, DRM_IOCTL_GEM_CLOSE, &close);
}

static int create_context(struct round *r)
{
	struct drm_fixar_ctx_create args = { .size = ARENA };

	return plain(r, DRM_IOCTL_FIXAR_CTX_CREATE, &args);
}

/* Where there is another one: the card has no room. */
static int create_too_large_context(struct round *r)
{
	struct drm_fixar_query_memory memory;
	struct drm_fixar_query question = { .type = DRM_FIXAR_QUERY_MEMORY, .size = sizeof(memory), .data = (uintptr_t)&memory };
	int ret = plain(r, DRM_IOCTL_FIXAR_QUERY, &question);
	struct drm_fixar_ctx_create args = { .size = memory.total };

	return ret ? ret : plain(r, DRM_IOCTL_FIXAR_CTX_CREATE, &args);
}

static int destroy_context(struct round *r)
{
	struct drm_fixar_ctx_destroy args = { .handle = r->ctx };
	int ret = plain(r, DRM_IOCTL_FIXAR_CTX_DESTROY, &args);

	if (!ret)
		r->ctx = 0;
	return ret;
}

static int mode_of_context(struct round *r)
{
	struct drm_fixar_ctx_mode args = { .handle = r->ctx };
	int ret = plain(r, DRM_IOCTL_FIXAR_CTX_GET_MODE, &args);

	return ret ? ret : plain(r, DRM_IOCTL_FIXAR_CTX_SET_MODE, &args);
}

static int query_context(struct round *r)
{
	struct drm_fixar_ctx_query args = { .handle = r->ctx };

	return plain(r, DRM_IOCTL_FIXAR_CTX_QUERY, &args);
}

/* To the card, a command, and back, each after the one before; the first waits for fences of another driver. */
static int submit(struct round *r)
{
	struct drm_fixar_copy to[2] = { { .bo = r->buffer.handle, .size = BYTES / 2 },
					{ .bo = r->imported, .arena_offset = BYTES / 2, .size = BYTES / 2 } };
	struct drm_fixar_copy from = { .bo = r->buffer.handle, .size = BYTES };
	struct drm_fixar_operation nops[2] = { { .type = DRM_FIXAR_OP_NOP }, { .type = DRM_FIXAR_OP_NOP } };
	struct drm_fixar_sync in = { .handle = r->in }, out = { .handle = r->out };
	struct drm_fixar_sync point = { .handle = r->timeline, .flags = DRM_FIXAR_SYNC_TIMELINE, .timeline_value = r->point + 1 };
	struct drm_fixar_job jobs[] = {
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(to, 2), .in_syncs = ARRAY_OF(&in, 1) },
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_CORE, .operations = ARRAY_OF(nops, 2), .depends = 1,
		  .out_syncs = ARRAY_OF(&point, 1) },
		{ .ctx = r->ctx, .queue = DRM_FIXAR_QUEUE_C2H, .operations = ARRAY_OF(&from, 1), .depends = 2,
		  .out_syncs = ARRAY_OF(&out, 1) },
	};
	struct drm_fixar_submit args = { .jobs = ARRAY_OF(jobs, 3) };
	int ret = plain(r, DRM_IOCTL_FIXAR_SUBMIT, &args);

	if (!ret)
		r->point++;
	return ret;
}

/* ---- What must hold ---- */

/* All or nothing: as many jobs as the submissions that succeeded have, no fence where none was put, and all come to their end. */
static const char *judge_submissions(struct round *r)
{
	struct drm_fixar_ctx_query now;

	if (fixar_context_query(r->fd, r->ctx, &now))
		return "the context cannot be asked";
	if (now.state != DRM_FIXAR_CTX_OK || now.jobs_submitted != 3 * r->point + 1)
		return "the context is not as after the submissions that succeeded";
	fixar_gate_signal(&r->gate);
	if (fixar_sync_wait(r->fd, r->out, FIXAR_PATIENCE) || fixar_sync_wait_point(r->fd, r->timeline, r->point, FIXAR_PATIENCE))
		return "the jobs do not end";
	return NULL;
}

static const struct kind {
	const char *name;
	int (*before)(struct round *r);
	int (*call)(struct round *r);
	const char *(*judge)(struct round *r); /* what is wrong after a call that failed and one that succeeded */
	bool once; /* what succeeded cannot be done once more */
	int also; /* an error that the kernel says in place of ENOMEM, or that the call says by itself */
	bool refused; /* the latter */
} kinds[] = {
	{ "open", .call = open_file },
	{ "QUERY", .call = query },
	/* The memory behind a buffer is a file of the kernel's, for which an inode that could not be had is no space. */
	{ "BO_CREATE", .call = create_buffer, .also = -ENOSPC },
	{ "mmap", .before = with_buffer, .call = map_buffer },
	{ "BO_PREP", .before = with_mapped_buffer, .call = prepare_buffer },
	{ "BO_FINI", .before = with_mapped_buffer, .call = give_buffer_back },
	{ "PRIME_HANDLE_TO_FD", .before = with_buffer, .call = export_buffer },
	{ "PRIME_FD_TO_HANDLE", .before = with_gate, .call = import_buffer },
	{ "CTX_CREATE", .call = create_context },
	{ "CTX_CREATE-full", .before = with_context, .call = create_too_large_context, .also = -ENOSPC, .refused = true },
	{ "CTX_DESTROY", .before = with_context, .call = destroy_context, .once = true },
	{ "CTX_MODE", .before = with_context, .call = mode_of_context },
	{ "CTX_QUERY", .before = with_context, .call = query_context },
	{ "SUBMIT", .before = with_all, .call = submit, .judge = judge_submissions },
};

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
