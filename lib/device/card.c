// SPDX-License-Identifier: MIT
/* Opening a card's node. What a node is, and whether it can be used, is said in words. */
#include "device/card.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "hw/fixar_arena.h"
#include "hw/fixar_regs.h"

_Static_assert(FIXAR_ARENA_SCHEMA == STEP_SCHEMA, "the card's arenas are step_layout()'s");
_Static_assert(FIXAR_ARENA_ALIGN == STEP_ALIGNMENT, "the alignment of tensors");
_Static_assert(FIXAR_ARENA_HIDDEN_MAX == STEP_MAX_HIDDEN, "the depth of networks");

int card_ioctl(const struct card *card, unsigned long request, void *argument)
{
	return drmIoctl(card->fd, request, argument) ? -errno : 0;
}

int card_query(const struct card *card, uint32_t type, uint32_t index, void *data, size_t bytes)
{
	struct drm_fixar_query query = {
		.type = type,
		.index = index,
		.size = (uint32_t)bytes,
		.data = (uintptr_t)data,
	};

	memset(data, 0, bytes);
	return card_ioctl(card, DRM_IOCTL_FIXAR_QUERY, &query);
}

/* The PCI address behind a device node, if there is one. */
static void find_own_address(struct card *card)
{
	char path[64], target[PATH_MAX];
	const char *name;
	struct stat status;

	if (fstat(card->fd, &status) || !S_ISCHR(status.st_mode))
		return;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(status.st_rdev), minor(status.st_rdev));
	if (!realpath(path, target))
		return;
	name = strrchr(target, '/') + 1;
	if (strlen(name) < sizeof(card->address) && strchr(name, ':'))
		memcpy(card->address, name, strlen(name) + 1);
}

static void say_permission(const char *node, char *message, size_t message_size)
{
	struct stat status;
	struct group entry, *group = NULL;
	char buffer[1024];

	if (!stat(node, &status))
		getgrgid_r(status.st_gid, &entry, buffer, sizeof(buffer), &group);
	if (group && strcmp(group->gr_name, "root") != 0)
		snprintf(message, message_size, "no permission to open %s: its users are the group %s", node,
			 group->gr_name);
	else
		snprintf(message, message_size,
			 "no permission to open %s (the udev rule 71-fixar.rules gives it to the group render)", node);
}

static int open_node(const char *node, struct card *card, char *message, size_t message_size)
{
	struct stat status;
	int error;

	card->fd = open(node, O_RDWR | O_CLOEXEC);
	if (card->fd >= 0) {
		snprintf(card->node, sizeof(card->node), "%s", node);
		return 0;
	}
	error = -errno;
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		snprintf(message, message_size, "there is no %s", node);
		return -ENODEV;
	case -ENXIO:
	case -ENODEV:
		snprintf(message, message_size, "%s: its device is gone", node);
		return -ENODEV;
	case -EACCES:
	case -EPERM:
		say_permission(node, message, message_size);
		return -EACCES;
	default:
		if (!stat(node, &status) && !S_ISCHR(status.st_mode)) {
			snprintf(message, message_size, "%s is no device", node);
			return -ENODEV;
		}
		snprintf(message, message_size, "%s cannot be opened: %s", node, log_errno(error));
		return error;
	}
}

static int check_driver(const struct card *card, char *message, size_t message_size)
{
	drmVersionPtr version = drmGetVersion(card->fd);
	int error = 0;

	if (!version) {
		snprintf(message, message_size, "%s is no node of a card: nothing there speaks DRM", card->node);
		return -ENODEV;
	}
	if (strcmp(version->name, CARD_DRIVER) != 0) {
		snprintf(message, message_size, "%s belongs to the driver %s, not to %s", card->node, version->name,
			 CARD_DRIVER);
		error = -ENODEV;
	} else if (version->version_major != CARD_DRIVER_MAJOR) {
		snprintf(message, message_size, "%s: version %d.%d of the driver; this library speaks %d", card->node,
			 version->version_major, version->version_minor, CARD_DRIVER_MAJOR);
		error = -EPROTONOSUPPORT;
	}
	drmFreeVersion(version);
	return error;
}

static int check_card(struct card *card, char *message, size_t message_size)
{
	const uint64_t needed = 1u << DRM_FIXAR_OP_ACT | 1u << DRM_FIXAR_OP_TRAIN | 1u << DRM_FIXAR_OP_READ_RANGES |
				1u << DRM_FIXAR_OP_RELOAD;
	int error = card_query(card, DRM_FIXAR_QUERY_DEVICE, 0, &card->info, sizeof(card->info));

	if (error == -ENODEV) {
		snprintf(message, message_size, "%s: the card is gone", card->node);
	} else if (error) {
		snprintf(message, message_size, "%s does not say what it is: %s", card->node, log_errno(error));
	} else if (card->info.hw_version >> 16 != FIXAR_ID_VERSION_VALUE >> 16) {
		snprintf(message, message_size, "%s: version %u.%u of the hardware; this library knows %u", card->node,
			 card->info.hw_version >> 16, card->info.hw_version & 0xffff, FIXAR_ID_VERSION_VALUE >> 16);
		error = -EPROTONOSUPPORT;
	} else if (card->info.arena_schema != STEP_SCHEMA) {
		snprintf(message, message_size, "%s: the card has agents of schema %u; this library's are of %d",
			 card->node, card->info.arena_schema, STEP_SCHEMA);
		error = -EPROTONOSUPPORT;
	} else if ((card->info.operations & needed) != needed) {
		snprintf(message, message_size, "%s: the card lacks operations: it has %#llx, and %#llx are needed",
			 card->node, (unsigned long long)card->info.operations, (unsigned long long)needed);
		error = -EOPNOTSUPP;
	} else if (!card->info.arena_granule || card->info.operation_align > FIXAR_ARENA_ALIGN) {
		snprintf(message, message_size, "%s: arenas of multiples of %u bytes with offsets of multiples of %u",
			 card->node, card->info.arena_granule, card->info.operation_align);
		error = -EPROTONOSUPPORT;
	}
	return error;
}

/* The node of the card at a PCI address. */
static int find_node(const char *address, char node[CARD_NODE], char *message, size_t message_size)
{
	struct card_place place;
	int error = card_find_address(address, &place, message, message_size);

	if (error)
		return error;
	if (strcmp(place.driver, CARD_DRIVER) != 0) {
		if (!card_is_ours(&place))
			snprintf(message, message_size, "%s is %s (%04x:%04x), no FIXAR card", place.address,
				 place.name[0] ? place.name : "a device", place.vendor, place.device);
		else if (place.driver[0])
			snprintf(message, message_size, "the card %s is bound to the driver %s, not to %s",
				 place.address, place.driver, CARD_DRIVER);
		else
			snprintf(message, message_size, "the card %s has no driver: load fixar.ko", place.address);
		return -ENODEV;
	}
	if (!place.node[0]) {
		snprintf(message, message_size,
			 "the card %s has no node: its driver is starting, or could not start it", place.address);
		return -ENODEV;
	}
	memcpy(node, place.node, CARD_NODE);
	return 0;
}

int card_open(const char *name, struct card *card, char *message, size_t message_size)
{
	char node[CARD_NODE];
	int error;

	memset(card, 0, sizeof(*card));
	card->fd = -1;
	if (strchr(name, '/')) {
		error = open_node(name, card, message, message_size);
	} else {
		error = find_node(name, node, message, message_size);
		if (!error)
			error = open_node(node, card, message, message_size);
	}
	if (!error)
		error = check_driver(card, message, message_size);
	if (!error)
		error = check_card(card, message, message_size);
	if (error) {
		card_close(card);
		return error;
	}
	find_own_address(card);
	return 0;
}

void card_close(struct card *card)
{
	if (card->fd >= 0)
		close(card->fd);
	card->fd = -1;
}
