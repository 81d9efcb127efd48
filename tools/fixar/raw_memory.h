/* SPDX-License-Identifier: MIT */
/*
 * Card memory without the card's driver: copies by XDMA's first channel of each direction, from and to pages of this
 * process. Their bus addresses are those that VFIO has given them, or else their physical ones; then there must be no
 * IOMMU that translates.
 */
#ifndef FIXAR_TOOLS_RAW_MEMORY_H
#define FIXAR_TOOLS_RAW_MEMORY_H

#include "raw.h"

#define RAW_MEMORY_PAGES 32u /* of data, one descriptor each: what one fetch of descriptors brings */

struct raw_memory {
	unsigned char *pages;			/* the first has the descriptors */
	uint64_t address[1 + RAW_MEMORY_PAGES]; /* of each page */
	int pin;				/* what keeps them where they are, without VFIO */
	int config;				/* of the function; */
	off_t config_at;			/* where in the file it begins */
	uint16_t command;			/* as it was */
};

/* 0, or `reason` says why this machine does not allow it. */
int raw_memory_open(struct raw *raw, struct raw_memory *memory, const struct card_place *place, char reason[256]);
void raw_memory_close(struct raw *raw, struct raw_memory *memory);

/* 0, and raw->detail says why, if the copy did not end as it should. `address` is AXI's. */
int raw_memory_write(struct raw *raw, struct raw_memory *memory, uint64_t address, const void *bytes, uint64_t count);
int raw_memory_read(struct raw *raw, struct raw_memory *memory, uint64_t address, void *bytes, uint64_t count);

#endif /* FIXAR_TOOLS_RAW_MEMORY_H */
