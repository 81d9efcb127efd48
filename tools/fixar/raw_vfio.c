// SPDX-License-Identifier: MIT
#include "raw_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"

/* The node of the card's group: the functions that the IOMMU cannot tell from each other. */
static int group_node(const char *address, char *path, size_t bytes)
{
	char link[128], target[256];
	const char *number;
	ssize_t length;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", address);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	number = strrchr(target, '/');
	snprintf(path, bytes, "/dev/vfio/%s", number ? number + 1 : target);
	return 0;
}

static int give_up(struct raw_vfio *vfio, const char *address, const char *what)
{
	cli_error("the card %s, which " RAW_VFIO_DRIVER " has: %s: %s", address, what, strerror(errno));
	raw_vfio_close(vfio);
	return CLI_FAILED;
}

int raw_vfio_open(struct raw_vfio *vfio, const char *address)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[320];

	*vfio = (struct raw_vfio){ -1, -1, -1 };
	errno = -group_node(address, path, sizeof(path));
	if (errno)
		return give_up(vfio, address, "this machine has no IOMMU");
	vfio->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return give_up(vfio, address, "/dev/vfio/vfio");
	vfio->group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->group < 0 || ioctl(vfio->group, VFIO_GROUP_GET_STATUS, &status))
		return give_up(vfio, address, path);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		errno = EBUSY;
		return give_up(vfio, address, "another function of its IOMMU group has a driver");
	}
	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) ||
	    ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return give_up(vfio, address, "the IOMMU");
	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, address);
	return vfio->device < 0 ? give_up(vfio, address, path) : CLI_OK;
}

void raw_vfio_close(struct raw_vfio *vfio)
{
	const int descriptors[] = { vfio->device, vfio->group, vfio->container };

	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	*vfio = (struct raw_vfio){ -1, -1, -1 };
}

/* ---- Regions ---- */

static int region(const struct raw_vfio *vfio, uint32_t index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	if (!ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, info))
		return 0;
	cli_error("region %u of " RAW_VFIO_DRIVER ": %s", index, strerror(errno));
	return -1;
}

void *raw_vfio_map(const struct raw_vfio *vfio, int bar, size_t bytes)
{
	struct vfio_region_info info;
	void *memory;

	if (region(vfio, VFIO_PCI_BAR0_REGION_INDEX + (uint32_t)bar, &info))
		return NULL;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->device, (off_t)info.offset);
	if (memory != MAP_FAILED)
		return memory;
	cli_error("BAR %d cannot be mapped: %s", bar, strerror(errno));
	return NULL;
}

off_t raw_vfio_config(const struct raw_vfio *vfio)
{
	struct vfio_region_info info;

	return region(vfio, VFIO_PCI_CONFIG_REGION_INDEX, &info) ? -1 : (off_t)info.offset;
}

/* ---- Memory ---- */

int raw_vfio_share(const struct raw_vfio *vfio, void *pages, size_t bytes, uint64_t address)
{
	const struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)pages,
		.iova = address,
		.size = bytes,
	};

	return ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

void raw_vfio_withdraw(const struct raw_vfio *vfio, size_t bytes, uint64_t address)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = address, .size = bytes };

	ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}
