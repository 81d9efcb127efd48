// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: arenas that are zeroed and run out, handles of one file, mode registers field by field. */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define MIB (1ULL << 20)

FIXTURE(context)
{
	int fd;
	struct drm_fixar_query_device device;
};

FIXTURE_SETUP(context)
{
	FIXAR_OPEN(self->fd);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, &self->device, sizeof(self->device)), 0);
}

FIXTURE_TEARDOWN(context)
{
	close(self->fd);
}

FIXAR_TEST(context, sizes_are_rounded_and_checked)
{
	struct drm_fixar_ctx_create create = { .size = 1 };
	struct drm_fixar_ctx_query query;

	ASSERT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create), 0);
	EXPECT_EQ(create.size, 65536);
	EXPECT_NE(create.handle, 0);
	ASSERT_EQ(fixar_context_query(self->fd, create.handle, &query), 0);
	EXPECT_EQ(query.state, DRM_FIXAR_CTX_OK);
	EXPECT_EQ(query.fault, DRM_FIXAR_FAULT_NONE);
	EXPECT_EQ(query.arena_bytes, 65536);
	EXPECT_EQ(query.mem_epoch, self->device.mem_epoch);

	create = (struct drm_fixar_ctx_create){};
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_ctx_create){ .size = self->device.memory_bytes + 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_ctx_create){ .size = UINT64_MAX };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create), -EINVAL);
	create = (struct drm_fixar_ctx_create){ .size = 65536, .flags = 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create), -EINVAL);
}

FIXAR_TEST(context, memory_runs_out_and_comes_back)
{
	const uint64_t half = self->device.memory_bytes / 4 * 3;
	uint32_t large, second, third;

	ASSERT_EQ(fixar_context_create(self->fd, half, &large), 0);
	EXPECT_EQ(fixar_context_create(self->fd, half, &second), -ENOSPC);
	ASSERT_EQ(fixar_context_destroy(self->fd, large), 0);
	/* The zeros of the first may still be under way: this waits for them. */
	EXPECT_EQ(fixar_context_create(self->fd, half, &third), 0);
	EXPECT_EQ(fixar_context_destroy(self->fd, third), 0);
}

static void do_nothing(int signal)
{
}

/* A signal every millisecond, until it is switched off. What sleeps in the kernel and listens ends with -EINTR. */
static int signals(bool on)
{
	const struct sigaction action = { .sa_handler = on ? do_nothing : SIG_IGN };
	const struct itimerval period = { { 0, on ? 1000 : 0 }, { 0, on ? 1000 : 0 } };

	return sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &period, NULL) ? -errno : 0;
}

/* One attempt, not repeated after a signal. */
static int create_once(int fd, uint64_t size)
{
	struct drm_fixar_ctx_create create = { .size = size };

	return ioctl(fd, DRM_IOCTL_FIXAR_CTX_CREATE, &create) ? -errno : 0;
}

/* A context that was destroyed while the card zeroes its memory, gigabytes: it keeps it for a while. */
static int dying_context(int fd, uint64_t size)
{
	uint32_t ctx;
	int ret = fixar_context_create(fd, size, &ctx);

	return ret ? ret : fixar_context_destroy(fd, ctx);
}

FIXAR_TEST(context, waiting_for_memory_ends_by_a_signal)
{
	const uint64_t size = self->device.memory_bytes / 4 * 3;
	const int64_t end = fixar_now() + FIXAR_PATIENCE;
	struct drm_fixar_query_memory memory;
	uint32_t ctx;
	int ret;

	ASSERT_EQ(dying_context(self->fd, size), 0);
	ASSERT_EQ(signals(true), 0);
	ret = create_once(self->fd, size);
	ASSERT_EQ(signals(false), 0);
	EXPECT_EQ(ret, -EINTR);
	/* Nothing of the attempt is left, and the next one gets the memory. */
	ASSERT_EQ(fixar_context_create(self->fd, size, &ctx), 0);
	do {
		/* Those of tests before may be on their way out. */
		ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)), 0);
	} while (memory.contexts > 1 && fixar_now() < end);
	EXPECT_EQ(memory.contexts, 1);
	EXPECT_EQ(memory.free, memory.total - size);
}

/* Who has as many contexts as a file may have would wait in vain. */
FIXAR_TEST(context, a_full_file_does_not_wait_for_memory)
{
	const uint64_t size = self->device.memory_bytes / 4 * 3;
	int other = fixar_open_node(), ret;
	uint32_t ctx, i;

	ASSERT_GE(other, 0);
	for (i = 0; i < self->device.max_contexts; i++)
		ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(dying_context(other, size), 0);
	ASSERT_EQ(signals(true), 0);
	ret = create_once(self->fd, size);
	ASSERT_EQ(signals(false), 0);
	EXPECT_EQ(ret, -ENOSPC);
	close(other);
}

FIXAR_TEST(context, a_new_arena_is_zero)
{
	const uint64_t bytes = 5 * MIB;
	struct drm_fixar_query_memory before, memory;
	struct fixar_buffer buffer;
	uint32_t ctx;
	uint64_t i;
	int round;

	ASSERT_EQ(fixar_buffer_create(self->fd, bytes, &buffer), 0);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &before, sizeof(before)), 0);
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(fixar_context_create(self->fd, bytes, &ctx), 0);
		memset(buffer.map, 0xa5, bytes);
		ASSERT_EQ(fixar_buffer_fini(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, ctx, DRM_FIXAR_QUEUE_C2H, buffer.handle, 0, 0, bytes), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
		for (i = 0; i < bytes && !buffer.map[i]; i++)
			;
		ASSERT_EQ(i, bytes);
		memset(buffer.map, 0x5a, bytes);
		ASSERT_EQ(fixar_buffer_fini(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, ctx, DRM_FIXAR_QUEUE_H2C, buffer.handle, 0, 0, bytes), 0);
		ASSERT_EQ(fixar_context_destroy(self->fd, ctx), 0);
		/* The second one gets the first one's memory, if that is free by then. */
		const int64_t end = fixar_now() + FIXAR_PATIENCE;

		do {
			ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)), 0);
		} while (memory.contexts > before.contexts && fixar_now() < end);
		ASSERT_EQ(memory.contexts, before.contexts);
	}
}

FIXAR_TEST(context, handles_are_of_one_file)
{
	struct drm_fixar_ctx_destroy destroy = { .pad = 1 };
	struct drm_fixar_ctx_query query = {};
	struct drm_fixar_mode mode;
	uint32_t ctx;
	int other;

	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	other = fixar_open_node();
	ASSERT_GE(other, 0);
	EXPECT_EQ(fixar_context_query(other, ctx, &query), -ENOENT);
	EXPECT_EQ(fixar_mode_get(other, ctx, &mode), -ENOENT);
	EXPECT_EQ(fixar_context_destroy(other, ctx), -ENOENT);
	EXPECT_EQ(fixar_nops_wait(other, ctx, 1), -ENOENT);
	close(other);

	EXPECT_EQ(fixar_context_query(self->fd, 0, &query), -ENOENT);
	EXPECT_EQ(fixar_context_query(self->fd, UINT32_MAX, &query), -ENOENT);
	query = (struct drm_fixar_ctx_query){ .handle = ctx, .pad = 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_QUERY, &query), -EINVAL);
	query = (struct drm_fixar_ctx_query){ .handle = ctx, .pad2 = 1 };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_QUERY, &query), -EINVAL);
	destroy.handle = ctx;
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_DESTROY, &destroy), -EINVAL);
	EXPECT_EQ(fixar_context_destroy(self->fd, ctx), 0);
	EXPECT_EQ(fixar_context_destroy(self->fd, ctx), -ENOENT);
	EXPECT_EQ(fixar_context_query(self->fd, ctx, &query), -ENOENT);
}

FIXAR_TEST(context, a_file_has_so_many_and_no_more)
{
	uint32_t *handles = calloc(self->device.max_contexts, sizeof(*handles));
	uint32_t i, more;

	ASSERT_NE(handles, NULL);
	for (i = 0; i < self->device.max_contexts; i++)
		ASSERT_EQ(fixar_context_create(self->fd, 65536, &handles[i]), 0);
	EXPECT_EQ(fixar_context_create(self->fd, 65536, &more), -ENOSPC);
	ASSERT_EQ(fixar_context_destroy(self->fd, handles[5]), 0);
	EXPECT_EQ(fixar_context_create(self->fd, 65536, &more), 0);
	free(handles);
}

FIXAR_TEST(context, jobs_are_counted)
{
	struct drm_fixar_ctx_query query;
	uint32_t ctx;

	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(fixar_context_query(self->fd, ctx, &query), 0);
	const uint64_t before = query.jobs_submitted;

	ASSERT_EQ(fixar_nops_wait(self->fd, ctx, 3), 0);
	ASSERT_EQ(fixar_nops_wait(self->fd, ctx, 1), 0);
	ASSERT_EQ(fixar_context_query(self->fd, ctx, &query), 0);
	EXPECT_EQ(query.jobs_submitted, before + 2);
	EXPECT_EQ(query.jobs_finished, query.jobs_submitted);
	EXPECT_GT(query.core_ns, 0);
}

/* ---- Modes ---- */

struct field {
	const char *name;
	size_t offset;
	int64_t min;
	int64_t max;
};

#define FIELD(member, low, high) { #member, offsetof(struct drm_fixar_mode, member), low, high }

/* Numbers of the interface's documentation, written again. */
static const struct field fields[] = {
	FIELD(precision, 0, 1),
	FIELD(quantization, 0, 1),
	FIELD(parallelism, 0, 2),
	FIELD(noise, 0, 2),
	FIELD(noise_sigma, 0, 67108864),
	FIELD(noise_theta, 0, 4194304),
	FIELD(discount, 0, 2147483647),
	FIELD(tau, 1, 2147483648),
	FIELD(beta1, 0, 2147481600),
	FIELD(one_minus_beta2, 4096, 2147483647),
	FIELD(rate_mantissa[0], 1073741824, 2147483647),
	FIELD(rate_mantissa[1], 1073741824, 2147483647),
	FIELD(rate_exponent[0], 31, 50),
	FIELD(rate_exponent[1], 31, 50),
	FIELD(gradient_scale[0], -2, 6),
	FIELD(gradient_scale[1], -2, 6),
};

static void set_field(struct drm_fixar_mode *mode, const struct field *field, int64_t value)
{
	const uint32_t word = (uint32_t)value;

	memcpy((char *)mode + field->offset, &word, sizeof(word));
}

FIXAR_TEST(context, a_mode_has_the_documented_defaults)
{
	const struct drm_fixar_mode expected = {
		.discount = 2126008812, .tau = 10737418, .beta1 = 1932735283, .one_minus_beta2 = 4294967,
		.rate_mantissa = { 1099511628, 1099511628 }, .rate_exponent = { 40, 40 }, .gradient_scale = { 2, 0 },
	};
	struct drm_fixar_mode mode;
	uint32_t ctx;

	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(fixar_mode_get(self->fd, ctx, &mode), 0);
	EXPECT_EQ(memcmp(&mode, &expected, sizeof(mode)), 0);
}

FIXAR_TEST(context, each_field_of_a_mode_has_its_range)
{
	struct drm_fixar_mode mode, initial, back;
	struct drm_fixar_ctx_mode args;
	uint32_t ctx;
	size_t i;

	ASSERT_EQ(sizeof(fields) / sizeof(fields[0]) * 4, sizeof(mode));
	ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	ASSERT_EQ(fixar_mode_get(self->fd, ctx, &initial), 0);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const int64_t good[] = { fields[i].min, fields[i].max };
		const int64_t bad[] = { fields[i].min - 1, fields[i].max + 1, 0xffffffff, 0x80000001 };
		size_t j;

		for (j = 0; j < 2; j++) {
			mode = initial;
			set_field(&mode, &fields[i], good[j]);
			EXPECT_EQ(fixar_mode_set(self->fd, ctx, &mode), 0)
				TH_LOG("%s = %lld", fields[i].name, (long long)good[j]);
			EXPECT_EQ(fixar_mode_get(self->fd, ctx, &back), 0);
			EXPECT_EQ(memcmp(&mode, &back, sizeof(mode)), 0);
		}
		ASSERT_EQ(fixar_mode_set(self->fd, ctx, &initial), 0);
		for (j = 0; j < 4; j++) {
			/* -1 is a value of what has a sign. */
			if (fields[i].min < 0 && bad[j] == 0xffffffff)
				continue;
			mode = initial;
			set_field(&mode, &fields[i], bad[j]);
			EXPECT_EQ(fixar_mode_set(self->fd, ctx, &mode), -EINVAL)
				TH_LOG("%s = %lld", fields[i].name, (long long)bad[j]);
		}
		/* All fields or none. */
		EXPECT_EQ(fixar_mode_get(self->fd, ctx, &back), 0);
		EXPECT_EQ(memcmp(&initial, &back, sizeof(mode)), 0);
	}
	args = (struct drm_fixar_ctx_mode){ .handle = ctx, .pad = 1, .mode = initial };
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_SET_MODE, &args), -EINVAL);
	EXPECT_EQ(fixar_ioctl(self->fd, DRM_IOCTL_FIXAR_CTX_GET_MODE, &args), -EINVAL);
	EXPECT_EQ(fixar_mode_set(self->fd, 12345, &initial), -ENOENT);
}

/* Root's defaults for new contexts, in sysfs below the PCI device. */
FIXAR_TEST(context, defaults_of_modes_are_roots)
{
	char address[32], path[128], text[32];
	struct drm_fixar_mode mode;
	uint32_t ctx;

	if (geteuid())
		SKIP(return, "only root sets defaults");
	ASSERT_EQ(fixar_pci_address(self->fd, address), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/fixar_mode/critic_gradient_scale", address);
	ASSERT_EQ(fixar_read_file(path, text, sizeof(text)), 0);
	EXPECT_EQ(strcmp(text, "0\n"), 0);
	EXPECT_EQ(fixar_write_file(path, "7\n"), -EINVAL);
	EXPECT_EQ(fixar_write_file(path, "-3\n"), -EINVAL);
	EXPECT_EQ(fixar_write_file(path, "x\n"), -EINVAL);
	EXPECT_EQ(fixar_write_file(path, "-2\n"), 0);
	EXPECT_EQ(fixar_context_create(self->fd, 65536, &ctx), 0);
	EXPECT_EQ(fixar_mode_get(self->fd, ctx, &mode), 0);
	EXPECT_EQ(mode.gradient_scale[1], -2);
	EXPECT_EQ(mode.gradient_scale[0], 2);
	EXPECT_EQ(fixar_write_file(path, "0\n"), 0);
}

/* Two contexts in different modes take turns: each runs in its own. */
FIXAR_TEST(context, modes_do_not_disturb_each_other)
{
	struct drm_fixar_mode modes[2], live;
	uint32_t ctx[2];
	int i, round;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(fixar_context_create(self->fd, 65536, &ctx[i]), 0);
		ASSERT_EQ(fixar_mode_get(self->fd, ctx[i], &modes[i]), 0);
		modes[i].precision = (uint32_t)i;
		modes[i].tau = 1000 + (uint32_t)i;
		ASSERT_EQ(fixar_mode_set(self->fd, ctx[i], &modes[i]), 0);
	}
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(fixar_nops_wait(self->fd, ctx[round & 1], 1), 0);
		ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_MODE, 0, &live, sizeof(live)), 0);
		ASSERT_EQ(memcmp(&live, &modes[round & 1], sizeof(live)), 0);
	}
}

TEST_HARNESS_MAIN
