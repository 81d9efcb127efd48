/* SPDX-License-Identifier: MIT */
/*
 * A card that vfio-pci has: its registers, its configuration, and memory that it reaches through the machine's IOMMU. A
 * card that is not as it should be then reaches this program's pages and nothing else.
 */
#ifndef FIXAR_TOOLS_RAW_VFIO_H
#define FIXAR_TOOLS_RAW_VFIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAW_VFIO_DRIVER "vfio-pci"

/* Descriptors; those of a card that vfio-pci does not have are -1. */
struct raw_vfio {
	int container, group, device;
};

/* CLI_OK, or CLI_FAILED after a message. The function is reset by the kernel. */
int raw_vfio_open(struct raw_vfio *vfio, const char *address);
void raw_vfio_close(struct raw_vfio *vfio);

/* NULL after a message. */
void *raw_vfio_map(const struct raw_vfio *vfio, int bar, size_t bytes);

/* Where in `device` the function's configuration begins; -1 after a message. */
off_t raw_vfio_config(const struct raw_vfio *vfio);

/* The card sees the pages at `address`, and they stay where they are, until they are withdrawn. 0 or -errno. */
int raw_vfio_share(const struct raw_vfio *vfio, void *pages, size_t bytes, uint64_t address);
void raw_vfio_withdraw(const struct raw_vfio *vfio, size_t bytes, uint64_t address);

#endif /* FIXAR_TOOLS_RAW_VFIO_H */
