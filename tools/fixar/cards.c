// SPDX-License-Identifier: MIT
#include "cards.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cards_bytes(uint64_t bytes, char *buffer)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;
	double value = (double)bytes;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, CLI_TEXT, value < 10 && unit && value != floor(value) ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return buffer;
}

/* ---- Choosing ---- */

int cards_place(const char *name, struct card_place *place)
{
	char message[CARDS_MESSAGE] = "";
	struct card_place *places;
	size_t count, chosen = 0;
	int error;

	if (name && !strchr(name, '/')) {
		error = card_find_address(name, place, message, sizeof(message));
		if (!error)
			return CLI_OK;
		cli_error("%s", *message ? message : cli_reason(error));
		return CLI_FAILED;
	}
	error = card_find_all(&places, &count, message, sizeof(message));
	if (error) {
		cli_error("%s", *message ? message : cli_reason(error));
		return CLI_FAILED;
	}
	while (name && chosen < count && strcmp(places[chosen].node, name) != 0)
		chosen++;
	if (chosen < count)
		*place = places[chosen];
	else if (name)
		cli_error("%s is the node of no card", name);
	else
		cli_error("there is no card in this machine");
	free(places);
	return chosen < count ? CLI_OK : CLI_FAILED;
}

int cards_open(const char *name, struct card *card)
{
	char message[CARDS_MESSAGE] = "";
	struct card_place place;
	int error;

	if (!name) {
		if (cards_place(NULL, &place))
			return CLI_FAILED;
		name = place.address;
	}
	error = card_open(name, card, message, sizeof(message));
	if (!error)
		return CLI_OK;
	cli_error("%s", *message ? message : cli_reason(error));
	return CLI_FAILED;
}

/* ---- Link ---- */

struct link_limit {
	double speed; /* GT/s */
	int width;
};

static int read_limit(const char *address, const char *speed_file, const char *width_file, struct link_limit *limit)
{
	char text[64];

	if (card_sysfs_read(address, speed_file, text, sizeof(text)) || sscanf(text, "%lf", &limit->speed) != 1)
		return -1;
	if (card_sysfs_read(address, width_file, text, sizeof(text)) || sscanf(text, "%d", &limit->width) != 1)
		return -1;
	return limit->width > 0 && limit->width <= 32 ? 0 : -1;
}

/* The slot: the port that the card is behind. 0 if there is one. */
static int find_port(const char *address, char port[CARD_ADDRESS])
{
	char path[128], target[PATH_MAX];
	char *end, *name;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (!realpath(path, target))
		return -1;
	end = strrchr(target, '/');
	*end = '\0';
	name = strrchr(target, '/') + 1;
	if (strlen(name) >= CARD_ADDRESS || !strchr(name, '.'))
		return -1;
	memcpy(port, name, strlen(name) + 1);
	return 0;
}

json_t *cards_link(const char *address)
{
	struct link_limit now, card, slot, possible;
	const char *limit = "nothing";
	char port[CARD_ADDRESS];
	json_t *link;

	if (read_limit(address, "current_link_speed", "current_link_width", &now) ||
	    read_limit(address, "max_link_speed", "max_link_width", &card))
		return json_null();
	possible = card;
	if (!find_port(address, port) && !read_limit(port, "max_link_speed", "max_link_width", &slot)) {
		possible.speed = fmin(card.speed, slot.speed);
		possible.width = card.width < slot.width ? card.width : slot.width;
		if (possible.speed < card.speed || possible.width < card.width)
			limit = "slot";
	}
	if (now.speed < possible.speed || now.width < possible.width)
		limit = "training";
	link = json_pack("{s:f, s:i, s:f, s:i, s:f, s:i, s:s}", "speed", now.speed, "width", now.width,
			 "possible_speed", possible.speed, "possible_width", possible.width, "card_speed", card.speed,
			 "card_width", card.width, "limit", limit);
	return link;
}

/* ---- Sensors ---- */

static const struct {
	const char *prefix, *unit;
	double scale;
} kinds[] = { { "power", "W", 1e-6 }, { "temp", "C", 1e-3 }, { "in", "V", 1e-3 }, { "curr", "A", 1e-3 } };

static void read_sensor(const char *address, const char *folder, size_t kind, unsigned number, json_t *list)
{
	char file[96], text[64], label[64];
	double value;

	snprintf(file, sizeof(file), "%.40s/%s%u_input", folder, kinds[kind].prefix, number);
	if (card_sysfs_read(address, file, text, sizeof(text)) || sscanf(text, "%lf", &value) != 1)
		return;
	snprintf(file, sizeof(file), "%.40s/%s%u_label", folder, kinds[kind].prefix, number);
	if (card_sysfs_read(address, file, label, sizeof(label)))
		snprintf(label, sizeof(label), "%s%u", kinds[kind].prefix, number);
	json_array_append_new(list, json_pack("{s:s, s:f, s:s}", "name", label, "value", value * kinds[kind].scale,
					      "unit", kinds[kind].unit));
}

json_t *cards_sensors(const char *address)
{
	json_t *list = json_array();
	char path[128], folder[64];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/hwmon", address);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, "hwmon", 5) != 0)
			continue;
		snprintf(folder, sizeof(folder), "hwmon/%.32s", entry->d_name);
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
			for (unsigned number = 0; number < 8; number++)
				read_sensor(address, folder, kind, number, list);
	}
	if (directory)
		closedir(directory);
	return list;
}

double cards_watts(const json_t *sensors)
{
	json_t *item;
	size_t i;

	json_array_foreach(sensors, i, item)
	{
		if (!strcmp(json_string_value(json_object_get(item, "unit")), "W"))
			return json_number_value(json_object_get(item, "value"));
	}
	return NAN;
}

/* ---- Everything ---- */

static json_t *describe_device(const struct card *card)
{
	const struct drm_fixar_query_device *info = &card->info;
	json_t *core, *object = json_object(), *capabilities = json_array();

	if (info->capabilities & DRM_FIXAR_CAP_WINDOWS)
		json_array_append_new(capabilities, json_string("windows"));
	if (info->capabilities & DRM_FIXAR_CAP_SENSORS)
		json_array_append_new(capabilities, json_string("sensors"));
	if (info->capabilities & DRM_FIXAR_CAP_ECC)
		json_array_append_new(capabilities, json_string("ecc"));
	core = json_pack("{s:i, s:i, s:i, s:f, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "cores", (int)info->cores, "rows",
			 (int)info->rows, "columns", (int)info->columns, "clock_mhz", info->clock_khz / 1000.0,
			 "half_lanes", (int)info->half_lanes, "max_width", (json_int_t)info->max_width, "max_hidden",
			 (json_int_t)info->max_hidden, "max_batch", (json_int_t)info->max_batch, "weight_memory",
			 (json_int_t)info->weight_memory, "gradient_memory", (json_int_t)info->gradient_memory,
			 "activation_memory", (json_int_t)info->activation_memory);
	json_object_set_new(object, "version",
			    json_sprintf("%u.%u", info->hw_version >> 16, info->hw_version & 0xffff));
	json_object_set_new(object, "build", json_integer(info->build));
	json_object_set_new(object, "state", json_string(info->state == DRM_FIXAR_DEVICE_OK ? "ok" : "recovering"));
	json_object_set_new(object, "capabilities", capabilities);
	json_object_set_new(object, "arena_schema", json_integer(info->arena_schema));
	json_object_set_new(object, "core", core);
	json_object_set_new(object, "dma",
			    json_pack("{s:i, s:i}", "h2c_channels", (int)info->h2c_channels, "c2h_channels",
				      (int)info->c2h_channels));
	json_object_set_new(object, "interrupts",
			    json_pack("{s:s, s:i}", "mode", info->irq_mode == DRM_FIXAR_IRQ_MSIX ? "MSI-X" : "MSI",
				      "vectors", (int)info->irq_vectors));
	json_object_set_new(object, "mem_epoch", json_integer(info->mem_epoch));
	return object;
}

static json_t *describe_memory(const struct card *card)
{
	struct drm_fixar_query_memory memory;

	if (card_query(card, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory)))
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)memory.total, "free", (json_int_t)memory.free,
			 "largest", (json_int_t)memory.largest, "contexts", (json_int_t)memory.contexts);
}

static json_t *describe(const struct card_place *place)
{
	char message[CARDS_MESSAGE] = "";
	json_t *object = json_object(), *bars = json_array(), *memory = json_null(), *device = json_null();
	struct card card;

	for (int i = 0; i < CARD_BARS; i++)
		if (place->bar[i].bytes)
			json_array_append_new(bars, json_pack("{s:i, s:I, s:I}", "number", i, "base",
							      (json_int_t)place->bar[i].base, "bytes",
							      (json_int_t)place->bar[i].bytes));
	if (!card_open(place->address, &card, message, sizeof(message))) {
		device = describe_device(&card);
		memory = describe_memory(&card);
		card_close(&card);
	}
	json_object_set_new(object, "address", json_string(place->address));
	json_object_set_new(object, "name", json_string(place->name));
	json_object_set_new(object, "id",
			    json_sprintf("%04x:%04x, subsystem %04x:%04x", place->vendor, place->device,
					 place->subvendor, place->subdevice));
	json_object_set_new(object, "driver", place->driver[0] ? json_string(place->driver) : json_null());
	json_object_set_new(object, "node", place->node[0] ? json_string(place->node) : json_null());
	json_object_set_new(object, "problem", *message ? json_string(message) : json_null());
	json_object_set_new(object, "link", cards_link(place->address));
	json_object_set_new(object, "bars", bars);
	json_object_set_new(object, "device", device);
	json_object_set_new(object, "memory", memory);
	json_object_set_new(object, "sensors", cards_sensors(place->address));
	return object;
}

json_t *cards_describe_all(void)
{
	char message[CARDS_MESSAGE] = "";
	struct card_place *places;
	size_t count;
	int error = card_find_all(&places, &count, message, sizeof(message));
	json_t *list;

	if (error) {
		cli_error("%s", *message ? message : cli_reason(error));
		return NULL;
	}
	list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, describe(&places[i]));
	free(places);
	return list;
}
