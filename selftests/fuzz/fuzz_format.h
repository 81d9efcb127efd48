/* SPDX-License-Identifier: MIT */
/* Putting the checksums of mutated files right, and a segment of a replay memory to load. */
#ifndef FIXAR_SELFTESTS_FUZZ_FORMAT_H
#define FIXAR_SELFTESTS_FUZZ_FORMAT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/crc32c.h"

#define FUZZ_SEGMENT_TRANSITIONS 5
#define FUZZ_SEGMENT_RECORD (4 * (2 * 1 + 1 + 2))

/*
 * Transitions 0 to 4 of observations and actions of size 1, in segments of 8: zeros, but for the header. seeds.c makes
 * the checkpoint that refers to it, and checks that it can be loaded.
 */
static const uint8_t fuzz_segment[64 + FUZZ_SEGMENT_TRANSITIONS * FUZZ_SEGMENT_RECORD] =
	"FIXARRPL"   /* magic */
	"\x01\0\0\0" /* schema */
	"\x01\0\0\0" /* observation_dim */
	"\x01\0\0\0" /* action_dim */
	"\x14\0\0\0" /* bytes of a record */
	"\x08\0\0\0" /* transitions of a segment */
	"\0\0\0\0"
	"\0\0\0\0\0\0\0\0" /* index */
	"\0\0\0\0\0\0\0\0" /* first transition */
	"\0\0\0\0\0\0\0\0\0\0\0\0"
	"\x57\xa6\x2f\x2d"; /* checksum */

/* Puts the checksum of a checkpoint into its eight digits. */
static inline void fuzz_repair_checkpoint(uint8_t *bytes, size_t size)
{
	static const char start[] = "{\"__metadata__\":{\"crc32c\":\"";
	const size_t place = 8 + sizeof(start) - 1;
	char digits[9];

	if (size < place + 8 || memcmp(bytes + 8, start, sizeof(start) - 1))
		return;
	memset(bytes + place, '0', 8);
	snprintf(digits, sizeof(digits), "%08x", crc32c(0, bytes, size));
	memcpy(bytes + place, digits, 8);
}

static inline void fuzz_repair_segment(uint8_t *bytes, size_t size)
{
	uint32_t crc;

	if (size < 64)
		return;
	crc = crc32c(0, bytes, 60);
	memcpy(bytes + 60, &crc, 4);
}

/* As far as the lengths of the records make sense. */
static inline void fuzz_repair_events(uint8_t *bytes, size_t size)
{
	size_t at = 0;

	while (size - at >= 16) {
		uint64_t length;
		uint32_t crc;

		memcpy(&length, bytes + at, 8);
		crc = crc32c(0, bytes + at, 8);
		crc = (crc >> 15 | crc << 17) + 0xa282ead8;
		memcpy(bytes + at + 8, &crc, 4);
		if (length > size - at - 16)
			return;
		crc = crc32c(0, bytes + at + 12, length);
		crc = (crc >> 15 | crc << 17) + 0xa282ead8;
		memcpy(bytes + at + 12 + length, &crc, 4);
		at += 16 + length;
	}
}

#endif /* FIXAR_SELFTESTS_FUZZ_FORMAT_H */
