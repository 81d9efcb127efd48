// SPDX-License-Identifier: MIT
/* The keys are those of the kernel's Documentation/gpu/drm-usage-stats.rst. */
#include "top_clients.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "device/card.h"

struct list {
	struct top_client *clients;
	size_t count;
};

/* "drm-engine-core:\t1234 ns" */
static int read_number(const char *line, const char *key, uint64_t *value)
{
	const size_t length = strlen(key);

	if (strncmp(line, key, length) != 0 || line[length] != ':')
		return 0;
	*value = strtoull(line + length + 1, NULL, 10);
	if (strstr(line + length, "KiB"))
		*value <<= 10;
	else if (strstr(line + length, "MiB"))
		*value <<= 20;
	return 1;
}

static int value_is(const char *line, const char *key, const char *wanted)
{
	const size_t length = strlen(key);
	const char *value;

	if (strncmp(line, key, length) != 0 || line[length] != ':')
		return 0;
	value = line + length + 1;
	while (isspace((unsigned char)*value))
		value++;
	return strlen(value) >= strlen(wanted) && !strncmp(value, wanted, strlen(wanted)) &&
	       isspace((unsigned char)value[strlen(wanted)]);
}

/* Whether the file is an open card of this address. */
static int read_fdinfo(const char *path, const char *address, struct top_client *client)
{
	static const char *const engines[] = { "drm-engine-h2c", "drm-engine-c2h", "drm-engine-core" };
	int is_ours = 0, is_here = 0;
	char line[256];
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		is_ours |= value_is(line, "drm-driver", CARD_DRIVER);
		is_here |= value_is(line, "drm-pdev", address);
		read_number(line, "drm-client-id", &client->id);
		read_number(line, "drm-total-arena", &client->arena_bytes);
		for (int i = 0; i < TOP_ENGINES; i++)
			read_number(line, engines[i], &client->busy_ns[i]);
	}
	fclose(file);
	return is_ours && is_here;
}

static void read_command(int pid, char *command, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(command, (int)size, file))
		snprintf(command, size, "?");
	command[strcspn(command, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void add(struct list *list, const struct top_client *client)
{
	struct top_client *longer;

	for (size_t i = 0; i < list->count; i++)
		if (list->clients[i].id == client->id)
			return;
	longer = reallocarray(list->clients, list->count + 1, sizeof(*longer));
	if (!longer) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	list->clients = longer;
	list->clients[list->count++] = *client;
}

static void look_at(int pid, const char *address, struct list *list)
{
	char path[64], file[300];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		struct top_client client = { .pid = pid };

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(file, sizeof(file), "%s/%.32s", path, entry->d_name);
		if (!read_fdinfo(file, address, &client))
			continue;
		read_command(pid, client.command, sizeof(client.command));
		add(list, &client);
	}
	if (directory)
		closedir(directory);
}

size_t top_clients(const char *address, struct top_client **clients)
{
	struct list list = { NULL, 0 };
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	/* This program has the card open itself, and is no news. */
	while (processes && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
			look_at(atoi(entry->d_name), address, &list);
	if (processes)
		closedir(processes);
	*clients = list.clients;
	return list.count;
}
