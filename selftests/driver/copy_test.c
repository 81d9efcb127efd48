// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers of any size and alignment, both ways, compared byte by byte, with guard bytes on both sides.
 *
 * A case: the arena's neighbourhood is filled with a pattern; random bytes go up; a wider piece comes down, so that what
 * lies before and behind in card memory is seen, into a buffer whose own neighbourhood is seen, too.
 *
 * FIXAR_TEST_FULL=1: sizes 1 to 64 with every offset, 256 MiB plus and minus 1. FIXAR_COPY_MIB: nothing larger, as bounce
 * buffers may not have more. FIXAR_MEMORY=bounce or iommu: the card must reach memory so, or the test fails.
 */
#define _GNU_SOURCE
#include "fixar_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define GUARD 64u
#define KIB (1ULL << 10)
#define MIB (1ULL << 20)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

FIXTURE(copy)
{
	int fd;
	uint32_t ctx;
	uint64_t room; /* bytes of the arena and of each buffer */
	struct fixar_buffer source;
	struct fixar_buffer sink;
	struct drm_fixar_query_device device;
};

FIXTURE_SETUP(copy)
{
	FIXAR_OPEN(self->fd);
	ASSERT_EQ(fixar_query(self->fd, DRM_FIXAR_QUERY_DEVICE, 0, &self->device, sizeof(self->device)), 0);
	self->room = 5 * MIB;
	ASSERT_EQ(fixar_context_create(self->fd, self->room, &self->ctx), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, self->room, &self->source), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, self->room, &self->sink), 0);
}

FIXTURE_TEARDOWN(copy)
{
	close(self->fd);
}

/* Where the first difference is; `bytes` if there is none. */
static size_t difference(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	size_t i;

	if (!memcmp(a, b, bytes))
		return bytes;
	for (i = 0; a[i] == b[i]; i++)
		;
	return i;
}

static size_t pattern_ends(const uint8_t *bytes, size_t count, uint8_t pattern)
{
	size_t i;

	for (i = 0; i < count && bytes[i] == pattern; i++)
		;
	return i;
}

/*
 * One case. `card` and `up`, `down` are offsets of the piece, at least GUARD from the ends. Return: NULL, or what was
 * wrong. All is one submission: guards up, data up, all down.
 */
static const char *one_case(int fd, uint32_t ctx, struct fixar_buffer *source, struct fixar_buffer *sink, uint64_t size,
			    uint64_t up, uint64_t card, uint64_t down, uint64_t seed)
{
	static char text[128];
	uint32_t before_crc, after_crc;
	struct drm_fixar_copy guards = { .bo = sink->handle, .bo_offset = down - GUARD, .arena_offset = card - GUARD,
					 .size = size + 2 * GUARD };
	struct drm_fixar_copy data = { .bo = source->handle, .bo_offset = up, .arena_offset = card, .size = size };
	struct drm_fixar_sync out = {};
	struct drm_fixar_job jobs[3] = {
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(&guards, 1) },
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_H2C, .operations = ARRAY_OF(&data, 1) },
		{ .ctx = ctx, .queue = DRM_FIXAR_QUEUE_C2H, .operations = ARRAY_OF(&guards, 1), .depends = 3,
		  .out_syncs = ARRAY_OF(&out, 1) },
	};
	/* Guards of the host beyond those that come down from the card. */
	const uint64_t edge = least(GUARD, down - GUARD);
	const uint64_t behind = least(GUARD, sink->size - (down + size + GUARD));
	size_t at;
	int ret;

	fixar_fill(source->map + up, size, seed);
	memset(sink->map + down - GUARD - edge, 0xc3, edge);
	memset(sink->map + down - GUARD, 0x3c, size + 2 * GUARD);
	memset(sink->map + down + size + GUARD, 0xc3, behind);
	before_crc = fixar_crc(source->map + up, size);
	fixar_buffer_fini(fd, source->handle, DRM_FIXAR_BO_WRITE);
	fixar_buffer_fini(fd, sink->handle, DRM_FIXAR_BO_WRITE);
	ret = fixar_sync_create(fd, &out.handle);
	if (!ret)
		ret = fixar_submit(fd, jobs, 3);
	if (!ret)
		ret = fixar_sync_wait(fd, out.handle, FIXAR_PATIENCE);
	if (!ret)
		ret = fixar_buffer_prep(fd, sink->handle, DRM_FIXAR_BO_READ | DRM_FIXAR_BO_WRITE, fixar_now() + FIXAR_PATIENCE);
	if (!ret)
		ret = fixar_buffer_prep(fd, source->handle, DRM_FIXAR_BO_WRITE, fixar_now() + FIXAR_PATIENCE);
	fixar_sync_destroy(fd, out.handle);
	if (ret) {
		snprintf(text, sizeof(text), "error %d", ret);
		return text;
	}

	after_crc = fixar_crc(sink->map + down, size);
	if (after_crc != before_crc) {
		at = difference(source->map + up, sink->map + down, size);
		snprintf(text, sizeof(text), "CRC %08x instead of %08x, the first difference at byte %zu", after_crc,
			 before_crc, at);
		return text;
	}
	if (pattern_ends(sink->map + down - GUARD, GUARD, 0x3c) != GUARD)
		return "bytes of the card before the piece were changed";
	if (pattern_ends(sink->map + down + size, GUARD, 0x3c) != GUARD)
		return "bytes of the card behind the piece were changed";
	if (pattern_ends(sink->map + down - GUARD - edge, edge, 0xc3) != edge)
		return "bytes of the host before the piece were changed";
	if (pattern_ends(sink->map + down + size + GUARD, behind, 0xc3) != behind)
		return "bytes of the host behind the piece were changed";
	return NULL;
}

#define CASE(size, up, card, down, seed)                                                                              \
	do {                                                                                                          \
		const char *wrong = one_case(self->fd, self->ctx, &self->source, &self->sink, size, up, card, down,   \
					     seed);                                                                   \
		ASSERT_EQ(wrong, NULL)                                                                                \
			TH_LOG("%llu bytes from %llu to card %llu to %llu: %s", (unsigned long long)(size),           \
			       (unsigned long long)(up), (unsigned long long)(card), (unsigned long long)(down), wrong); \
		cases++;                                                                                              \
	} while (0)

FIXAR_TEST(copy, small_sizes_at_every_offset)
{
	static const uint64_t cards[] = { 0, 1, 63 };
	uint64_t state = fixar_seed();
	unsigned long cases = 0;
	uint64_t size, offset, card;
	unsigned int i;

	/* Small buffers, too: bounce buffers are copied as a whole. */
	fixar_buffer_destroy(self->fd, &self->source);
	fixar_buffer_destroy(self->fd, &self->sink);
	ASSERT_EQ(fixar_buffer_create(self->fd, 32 * KIB, &self->source), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, 32 * KIB, &self->sink), 0);
	for (size = 1; size <= 64; size++) {
		for (offset = 0; offset < 64; offset++) {
			/* Reduced: a sixteenth of the offsets, others for each size. */
			if (!fixar_full() && (offset + size) % 16)
				continue;
			for (i = 0; i < 3; i++) {
				card = 4096 + cards[i];
				/* Into a page of its own, at an offset that has nothing to do with the source's. */
				CASE(size, 4096 * 2 + offset, card, 4096 * 3 + fixar_random(&state) % 4096,
				     size << 16 | offset << 8 | i);
			}
		}
	}
	TH_LOG("%lu cases", cases);
}

FIXAR_TEST(copy, around_pages_and_huge_pages)
{
	static const uint64_t sizes[] = { 4 * KIB, 2 * MIB };
	static const int64_t deltas[] = { -63, -1, 0, 1, 63 };
	static const uint64_t offsets[] = { 0, 1, 2, 31, 64, 1000, 4033, 4095 };
	unsigned long cases = 0;
	unsigned int i, j, k;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < 5; j++) {
			for (k = 0; k < 8; k++) {
				if (!fixar_full() && i && (j + k) % 4)
					continue;
				CASE(sizes[i] + (uint64_t)deltas[j], 4096 + offsets[k], 4096 + offsets[(k + 3) % 8],
				     4096 + offsets[(k + 5) % 8], 1000 * i + 100 * j + k);
			}
		}
	}
	TH_LOG("%lu cases", cases);
}

/* The first and the last byte of buffer and arena. */
FIXAR_TEST(copy, to_the_ends)
{
	ASSERT_EQ(fixar_buffer_prep(self->fd, self->source.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
	fixar_fill(self->source.map, self->room, 77);
	ASSERT_EQ(fixar_buffer_fini(self->fd, self->source.handle, DRM_FIXAR_BO_WRITE), 0);
	ASSERT_EQ(fixar_copy_wait(self->fd, self->ctx, DRM_FIXAR_QUEUE_H2C, self->source.handle, 0, 0, self->room), 0);
	ASSERT_EQ(fixar_copy_wait(self->fd, self->ctx, DRM_FIXAR_QUEUE_C2H, self->sink.handle, 0, 0, self->room), 0);
	ASSERT_EQ(fixar_buffer_prep(self->fd, self->sink.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
	EXPECT_EQ(memcmp(self->source.map, self->sink.map, self->room), 0);
	ASSERT_EQ(fixar_copy_wait(self->fd, self->ctx, DRM_FIXAR_QUEUE_C2H, self->sink.handle, 0, self->room - 1, 1), 0);
	ASSERT_EQ(fixar_buffer_prep(self->fd, self->sink.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
	EXPECT_EQ(self->sink.map[0], self->source.map[self->room - 1]);
}

/*
 * Fragmented host memory: many buffers take their pages in turn, so that neighbours of a buffer's pages are others'.
 * More descriptors than one run holds (2048) make the driver refill.
 */
FIXAR_TEST(copy, fragmented_memory)
{
	enum { BUFFERS = 8 };
	const uint64_t bytes = (fixar_full() ? 32 : 9) * MIB;
	struct fixar_buffer buffers[BUFFERS];
	uint64_t page;
	uint32_t big, i;

	ASSERT_EQ(fixar_context_create(self->fd, bytes, &big), 0);
	for (i = 0; i < BUFFERS; i++)
		ASSERT_EQ(fixar_buffer_create(self->fd, i ? bytes / 4 : bytes, &buffers[i]), 0);
	for (page = 0; page < bytes; page += 4096) {
		for (i = 0; i < BUFFERS; i++) {
			if (page < buffers[i].size)
				buffers[i].map[page] = 1;
		}
	}
	fixar_fill(buffers[0].map, bytes, 5);
	const uint32_t crc = fixar_crc(buffers[0].map, bytes);

	ASSERT_EQ(fixar_buffer_fini(self->fd, buffers[0].handle, DRM_FIXAR_BO_WRITE), 0);
	ASSERT_EQ(fixar_copy_wait(self->fd, big, DRM_FIXAR_QUEUE_H2C, buffers[0].handle, 0, 0, bytes), 0);
	memset(buffers[0].map, 0, bytes);
	ASSERT_EQ(fixar_buffer_fini(self->fd, buffers[0].handle, DRM_FIXAR_BO_WRITE), 0);
	ASSERT_EQ(fixar_copy_wait(self->fd, big, DRM_FIXAR_QUEUE_C2H, buffers[0].handle, 0, 0, bytes), 0);
	ASSERT_EQ(fixar_buffer_prep(self->fd, buffers[0].handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
	EXPECT_EQ(fixar_crc(buffers[0].map, bytes), crc);
	for (i = 1; i < BUFFERS; i++) {
		for (page = 0; page < buffers[i].size; page += 4096)
			ASSERT_EQ(buffers[i].map[page], 1);
	}
}

/* Many pieces of odd sizes in one job, gathered and scattered. */
FIXAR_TEST(copy, many_pieces_in_one_job)
{
	enum { PIECES = 64 };
	struct drm_fixar_copy copies[PIECES] = {};
	uint64_t state = fixar_seed(), at, card = 7;
	uint32_t i, sync;
	int round;

	ASSERT_EQ(fixar_sync_create(self->fd, &sync), 0);
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->source.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		fixar_fill(self->source.map, self->room, 900 + round);
		ASSERT_EQ(fixar_buffer_fini(self->fd, self->source.handle, DRM_FIXAR_BO_WRITE), 0);
		for (i = 0, card = 7; i < PIECES; i++) {
			copies[i].bo = self->source.handle;
			copies[i].size = 1 + fixar_random(&state) % 60000;
			copies[i].bo_offset = fixar_random(&state) % (self->room - copies[i].size);
			copies[i].arena_offset = card;
			card += copies[i].size;
		}
		ASSERT_EQ(fixar_copy(self->fd, self->ctx, DRM_FIXAR_QUEUE_H2C, copies, PIECES, sync), 0);
		ASSERT_EQ(fixar_sync_wait(self->fd, sync, FIXAR_PATIENCE), 0);
		for (i = 0, at = 0; i < PIECES; i++) {
			copies[i].bo = self->sink.handle;
			/* Back to front. */
			copies[i].arena_offset = copies[i].arena_offset;
			copies[i].bo_offset = card - 7 - at - copies[i].size;
			at += copies[i].size;
		}
		ASSERT_EQ(fixar_copy(self->fd, self->ctx, DRM_FIXAR_QUEUE_C2H, copies, PIECES, sync), 0);
		ASSERT_EQ(fixar_sync_wait(self->fd, sync, FIXAR_PATIENCE), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, self->sink.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
		/* The same once more as one piece. */
		struct fixar_buffer whole;

		ASSERT_EQ(fixar_buffer_create(self->fd, self->room, &whole), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, self->ctx, DRM_FIXAR_QUEUE_C2H, whole.handle, 0, 0, card), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, whole.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
		for (i = 0; i < PIECES; i++)
			ASSERT_EQ(memcmp(whole.map + copies[i].arena_offset, self->sink.map + copies[i].bo_offset,
					 copies[i].size), 0);
		fixar_buffer_destroy(self->fd, &whole);
	}
}

/* All channels at once, each with pieces of its own of one arena. */
FIXAR_TEST(copy, all_queues_at_once)
{
	enum { CHANNELS = 8, ROUNDS = 10 };
	const uint32_t count = self->device.h2c_channels + self->device.c2h_channels;
	const uint64_t piece = 256 * KIB + 13;
	const int rounds = fixar_full() ? 10 * ROUNDS : ROUNDS;
	struct fixar_buffer up[CHANNELS], down[CHANNELS];
	struct drm_fixar_copy copies[CHANNELS] = {};
	struct drm_fixar_sync outs[CHANNELS] = {};
	struct drm_fixar_job jobs[CHANNELS] = {};
	uint32_t contexts[CHANNELS], i;
	int round;

	for (i = 0; i < count; i++) {
		ASSERT_EQ(fixar_context_create(self->fd, 1 * MIB, &contexts[i]), 0);
		ASSERT_EQ(fixar_buffer_create(self->fd, piece, &up[i]), 0);
		ASSERT_EQ(fixar_buffer_create(self->fd, piece, &down[i]), 0);
		ASSERT_EQ(fixar_sync_create(self->fd, &outs[i].handle), 0);
	}
	for (round = 0; round < rounds; round++) {
		/* What the C2H channels will bring, first. */
		for (i = 0; i < count; i++) {
			fixar_fill(up[i].map, piece, 50 * round + i);
			ASSERT_EQ(fixar_buffer_fini(self->fd, up[i].handle, DRM_FIXAR_BO_WRITE), 0);
			if (i >= self->device.h2c_channels)
				ASSERT_EQ(fixar_copy_wait(self->fd, contexts[i], DRM_FIXAR_QUEUE_H2C, up[i].handle, 0, i, piece), 0);
		}
		for (i = 0; i < count; i++) {
			const bool to_card = i < self->device.h2c_channels;

			copies[i] = (struct drm_fixar_copy){ .bo = to_card ? up[i].handle : down[i].handle,
							     .arena_offset = i, .size = piece };
			jobs[i] = (struct drm_fixar_job){
				.ctx = contexts[i], .queue = to_card ? DRM_FIXAR_QUEUE_H2C : DRM_FIXAR_QUEUE_C2H,
				.flags = DRM_FIXAR_JOB_CHANNEL,
				.channel = to_card ? i : i - self->device.h2c_channels,
				.operations = ARRAY_OF(&copies[i], 1), .out_syncs = ARRAY_OF(&outs[i], 1),
			};
		}
		ASSERT_EQ(fixar_submit(self->fd, jobs, count), 0);
		for (i = 0; i < count; i++) {
			ASSERT_EQ(fixar_sync_wait(self->fd, outs[i].handle, FIXAR_PATIENCE), 0);
			if (i < self->device.h2c_channels)
				ASSERT_EQ(fixar_copy_wait(self->fd, contexts[i], DRM_FIXAR_QUEUE_C2H, down[i].handle, 0, i, piece), 0);
			ASSERT_EQ(fixar_buffer_prep(self->fd, down[i].handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
			ASSERT_EQ(memcmp(up[i].map, down[i].map, piece), 0);
		}
	}
}

/* The largest transfer, in bytes. */
static uint64_t largest(void)
{
	const char *mib = getenv("FIXAR_COPY_MIB");
	const uint64_t wanted = fixar_full() ? 256 * MIB : 17 * MIB;

	return mib ? least(wanted, strtoull(mib, NULL, 0) * MIB) : wanted;
}

/* While `mapped` bytes are: does the card reach memory as FIXAR_MEMORY says? */
static bool memory_is_reached_as_asked(int fd, uint64_t mapped)
{
	const char *how = getenv("FIXAR_MEMORY");
	char path[128], text[64] = "", address[32];

	if (!how)
		return true;
	if (!strcmp(how, "bounce")) {
		/* In slots of 2 KiB. */
		return !fixar_read_file("/sys/kernel/debug/swiotlb/io_tlb_used", text, sizeof(text)) &&
		       strtoull(text, NULL, 0) * 2048 >= mapped;
	}
	if (fixar_pci_address(fd, address))
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group/type", address);
	/* DMA-FQ would be the one that is not strict. */
	return !strcmp(how, "iommu") && !fixar_read_file(path, text, sizeof(text)) && !strncmp(text, "DMA\n", 4);
}

/* 256 MiB plus and minus 1: longer than one descriptor can be. */
FIXAR_TEST(copy, very_large)
{
	const uint64_t base = largest();
	struct fixar_buffer buffer;
	uint32_t big, crc;
	int64_t delta;

	ASSERT_EQ(fixar_context_create(self->fd, base + 65536, &big), 0);
	ASSERT_EQ(fixar_buffer_create(self->fd, base + 4096, &buffer), 0);
	for (delta = -1; delta <= 1; delta += 2) {
		const uint64_t size = base + (uint64_t)delta;

		ASSERT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		fixar_fill(buffer.map, buffer.size, 8 + (uint64_t)delta);
		crc = fixar_crc(buffer.map + 1, size);
		ASSERT_EQ(fixar_buffer_fini(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, big, DRM_FIXAR_QUEUE_H2C, buffer.handle, 1, 3, size), 0);
		ASSERT_TRUE(memory_is_reached_as_asked(self->fd, size));
		ASSERT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE, INT64_MAX), 0);
		memset(buffer.map, 0, buffer.size);
		ASSERT_EQ(fixar_buffer_fini(self->fd, buffer.handle, DRM_FIXAR_BO_WRITE), 0);
		ASSERT_EQ(fixar_copy_wait(self->fd, big, DRM_FIXAR_QUEUE_C2H, buffer.handle, 1, 3, size), 0);
		ASSERT_EQ(fixar_buffer_prep(self->fd, buffer.handle, DRM_FIXAR_BO_READ, INT64_MAX), 0);
		EXPECT_EQ(fixar_crc(buffer.map + 1, size), crc);
		EXPECT_EQ(buffer.map[0], 0);
		EXPECT_EQ(buffer.map[size + 1], 0);
	}
}

TEST_HARNESS_MAIN
