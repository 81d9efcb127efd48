// SPDX-License-Identifier: MIT
/*
 * Finding cards: libpci says which PCI functions there are and what they are called, sysfs which driver has them and
 * which node it made. Needs no privilege and no driver.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/card.h"
#include "hw/fixar_regs.h"

#define SYSFS_DEVICES "/sys/bus/pci/devices"

/* ---- sysfs ---- */

int card_sysfs_read(const char *address, const char *file, char *text, size_t text_size)
{
	char path[256];
	FILE *stream;

	snprintf(path, sizeof(path), SYSFS_DEVICES "/%s/%s", address, file);
	stream = fopen(path, "re");
	if (!stream)
		return -errno;
	if (!fgets(text, (int)text_size, stream)) {
		int error = ferror(stream) ? -errno : 0;

		fclose(stream);
		text[0] = '\0';
		return error;
	}
	fclose(stream);
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static void read_driver(struct card_place *place)
{
	char path[256], target[256];
	const char *name;
	ssize_t length;

	snprintf(path, sizeof(path), SYSFS_DEVICES "/%s/driver", place->address);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	name = strrchr(target, '/');
	snprintf(place->driver, sizeof(place->driver), "%.31s", name ? name + 1 : target);
}

/* The entry of a folder that begins with `prefix` and a digit. */
static int find_entry(const char *address, const char *folder, const char *prefix, const char *node_folder,
		      struct card_place *place)
{
	char path[256];
	struct dirent *entry;
	DIR *directory;
	int found = 0;

	snprintf(path, sizeof(path), SYSFS_DEVICES "/%s/%s", address, folder);
	directory = opendir(path);
	if (!directory)
		return 0;
	while (!found && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) ||
		    !isdigit((unsigned char)entry->d_name[strlen(prefix)]) || strlen(entry->d_name) > 16)
			continue;
		snprintf(place->node, sizeof(place->node), "%s/%.16s", node_folder, entry->d_name);
		found = 1;
	}
	closedir(directory);
	return found;
}

static void read_node(struct card_place *place)
{
	if (!find_entry(place->address, "accel", "accel", "/dev/accel", place))
		find_entry(place->address, "drm", "renderD", "/dev/dri", place);
}

/* ---- libpci ---- */

/* libpci's way to report an error is a function that must not return. */
static __thread struct {
	jmp_buf back;
	char text[200];
} failure;

static void on_error(char *format, ...) PCI_PRINTF(1, 2) PCI_NONRET;
static void on_message(char *format, ...) PCI_PRINTF(1, 2);

static void __attribute__((noreturn)) fail(const char *format, va_list arguments)
{
	vsnprintf(failure.text, sizeof(failure.text), format, arguments);
	longjmp(failure.back, 1);
}

static void on_error(char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail(format, arguments);
}

static void on_message(char *format, ...)
{
	(void)format;
}

static void name_place(const struct pci_dev *function, struct card_place *place)
{
	snprintf(place->address, sizeof(place->address), "%04x:%02x:%02x.%u", (unsigned)function->domain & 0xffffffu,
		 function->bus, function->dev, function->func & 7u);
	read_driver(place);
}

static void describe(struct pci_access *access, struct pci_dev *function, struct card_place *place)
{
	const int known = pci_fill_info(function, PCI_FILL_IDENT | PCI_FILL_BASES | PCI_FILL_SIZES | PCI_FILL_CLASS);

	place->vendor = function->vendor_id;
	place->device = function->device_id;
	/* The class of libpci 3.9 lacks the lowest byte. */
	place->class = (uint32_t)function->device_class << 8;
	place->subvendor = pci_read_word(function, PCI_SUBSYSTEM_VENDOR_ID);
	place->subdevice = pci_read_word(function, PCI_SUBSYSTEM_ID);
	for (int i = 0; i < CARD_BARS && (known & PCI_FILL_BASES); i++) {
		if (!function->base_addr[i])
			continue;
		place->bar[i].base = function->base_addr[i] & (uint64_t)PCI_ADDR_MEM_MASK;
		place->bar[i].bytes = known & PCI_FILL_SIZES ? function->size[i] : 0;
	}
	pci_lookup_name(access, place->name, sizeof(place->name), PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, place->vendor,
			place->device);
	if (place->driver[0])
		read_node(place);
}

int card_is_ours(const struct card_place *place)
{
	return place->vendor == FIXAR_PCI_VENDOR && place->device == FIXAR_PCI_DEVICE &&
	       place->subvendor == FIXAR_PCI_SUBVENDOR && place->subdevice == FIXAR_PCI_SUBDEVICE;
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct card_place *)a)->address, ((const struct card_place *)b)->address);
}

/* The function with the address `wanted`, or for NULL all cards. */
static int scan(const char *wanted, struct card_place **places, size_t *count, char *message, size_t message_size)
{
	struct pci_access *volatile pci = NULL;
	struct card_place *volatile list = NULL;
	volatile size_t used = 0;

	*places = NULL;
	*count = 0;
	/* A machine without PCI, or a container that hides it. */
	if (access(SYSFS_DEVICES, R_OK))
		return 0;
	pci = pci_alloc();
	if (!pci)
		return -ENOMEM;
	pci->method = PCI_ACCESS_SYS_BUS_PCI;
	pci->error = on_error;
	pci->warning = on_message;
	pci->debug = on_message;
	if (setjmp(failure.back)) {
		/* Half initialized: what libpci has is not given back, but what is ours. */
		free(list);
		snprintf(message, message_size, "PCI functions cannot be listed: %s", failure.text);
		return -EIO;
	}
	pci_init(pci);
	pci_scan_bus(pci);
	for (struct pci_dev *function = pci->devices; function; function = function->next) {
		struct card_place place;
		struct card_place *longer;

		/* Names and sizes of all other functions are not asked for. */
		pci_fill_info(function, PCI_FILL_IDENT);
		memset(&place, 0, sizeof(place));
		name_place(function, &place);
		if (wanted ? strcmp(place.address, wanted) != 0
			   : function->vendor_id != FIXAR_PCI_VENDOR && strcmp(place.driver, CARD_DRIVER) != 0)
			continue;
		describe(pci, function, &place);
		if (!wanted && !card_is_ours(&place) && strcmp(place.driver, CARD_DRIVER) != 0)
			continue;
		longer = reallocarray(list, used + 1, sizeof(*list));
		if (!longer) {
			free(list);
			pci_cleanup(pci);
			return -ENOMEM;
		}
		list = longer;
		list[used++] = place;
	}
	pci_cleanup(pci);
	if (used)
		qsort(list, used, sizeof(*list), compare_places);
	*places = list;
	*count = used;
	return 0;
}

int card_find_all(struct card_place **places, size_t *count, char *message, size_t message_size)
{
	return scan(NULL, places, count, message, message_size);
}

int card_find_address(const char *address, struct card_place *place, char *message, size_t message_size)
{
	unsigned domain = 0, bus, slot, function;
	struct card_place *places;
	char full[CARD_ADDRESS];
	size_t count;
	int end = 0, error;

	if ((sscanf(address, "%x:%x:%x.%u%n", &domain, &bus, &slot, &function, &end) != 4 || address[end]) &&
	    (domain = 0, sscanf(address, "%x:%x.%u%n", &bus, &slot, &function, &end) != 3 || address[end])) {
		snprintf(message, message_size, "\"%s\" is no PCI address; expected one like 0000:01:00.0", address);
		return -EINVAL;
	}
	snprintf(full, sizeof(full), "%04x:%02x:%02x.%u", domain & 0xffffffu, bus & 0xffu, slot & 0x1fu, function & 7u);
	error = scan(full, &places, &count, message, message_size);
	if (error)
		return error;
	if (!count) {
		snprintf(message, message_size, "there is no PCI function at %s", full);
		return -ENODEV;
	}
	*place = places[0];
	free(places);
	return 0;
}
