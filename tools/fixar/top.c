// SPDX-License-Identifier: MIT
/*
 * fixar top: how busy a card is, and by whom. Two samples make one picture: shares are of the time between them.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cards.h"
#include "commands.h"
#include "top_clients.h"

enum { KEY_ONCE = 0x1000, KEY_INTERVAL };

struct top_arguments {
	const char *device;
	double interval;
	bool once, json;
};

struct sample {
	double time;
	struct drm_fixar_query_queue queue[TOP_ENGINES];
	struct drm_fixar_query_counters counters;
	struct drm_fixar_query_memory memory;
	struct top_client *clients;
	size_t client_count;
};

static const char *const engine_names[TOP_ENGINES] = { "h2c", "c2h", "core" };

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct top_arguments *arguments = state->input;

	switch (key) {
	case CARDS_KEY_DEVICE:
		arguments->device = text;
		return 0;
	case CARDS_KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_ONCE:
		arguments->once = true;
		return 0;
	case KEY_INTERVAL:
		if (cli_parse_double(text, &arguments->interval) || arguments->interval < 0.05 ||
		    arguments->interval > 3600)
			argp_error(state, "interval is \"%s\"; expected seconds from 0.05 to 3600", text);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- Samples ---- */

static int take(const struct card *card, struct sample *sample)
{
	static const uint32_t queues[TOP_ENGINES] = { DRM_FIXAR_QUEUE_H2C, DRM_FIXAR_QUEUE_C2H, DRM_FIXAR_QUEUE_CORE };
	int error = 0;

	for (int i = 0; i < TOP_ENGINES && !error; i++)
		error = card_query(card, DRM_FIXAR_QUERY_QUEUE,
				   DRM_FIXAR_QUERY_QUEUE_INDEX(queues[i], DRM_FIXAR_CHANNEL_ALL), &sample->queue[i],
				   sizeof(sample->queue[i]));
	if (!error)
		error = card_query(card, DRM_FIXAR_QUERY_COUNTERS, 0, &sample->counters, sizeof(sample->counters));
	if (!error)
		error = card_query(card, DRM_FIXAR_QUERY_MEMORY, 0, &sample->memory, sizeof(sample->memory));
	if (error) {
		cli_error("%s: %s", card->node, error == -ENODEV ? "the card is gone" : cli_reason(error));
		return CLI_FAILED;
	}
	sample->client_count = top_clients(card->address, &sample->clients);
	sample->time = cli_now();
	return CLI_OK;
}

/* Percent of the time that an engine with so many channels was busy. */
static double share(uint64_t now, uint64_t before, double seconds, uint32_t channels)
{
	const double busy = now > before ? (double)(now - before) * 1e-9 : 0;

	return fmin(100, 100 * busy / seconds / (channels ? channels : 1));
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

static json_t *describe_engines(const struct sample *now, const struct sample *before, double seconds)
{
	json_t *engines = json_array();

	for (int i = 0; i < TOP_ENGINES; i++) {
		const struct drm_fixar_query_queue *a = &before->queue[i], *b = &now->queue[i];

		json_array_append_new(engines,
				      json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:I}", "name", engine_names[i],
						"channels", (int)b->channels, "busy_percent",
						share(b->busy_ns, a->busy_ns, seconds, b->channels), "jobs_per_second",
						rate(b->jobs, a->jobs, seconds), "operations_per_second",
						rate(b->operations, a->operations, seconds), "bytes_per_second",
						rate(b->bytes, a->bytes, seconds), "errors", (json_int_t)b->errors));
	}
	return engines;
}

static const struct top_client *find_client(const struct sample *sample, uint64_t id)
{
	for (size_t i = 0; i < sample->client_count; i++)
		if (sample->clients[i].id == id)
			return &sample->clients[i];
	return NULL;
}

static json_t *describe_clients(const struct sample *now, const struct sample *before, double seconds)
{
	json_t *clients = json_array();

	for (size_t i = 0; i < now->client_count; i++) {
		const struct top_client *client = &now->clients[i], *old = find_client(before, client->id);
		json_t *object = json_pack("{s:i, s:s, s:I}", "pid", client->pid, "command", client->command,
					   "arena_bytes", (json_int_t)client->arena_bytes);

		for (int e = 0; e < TOP_ENGINES; e++) {
			/* Who was not there before has come since, with all that it has had. */
			const uint64_t then = old ? old->busy_ns[e] : 0;
			char key[32];

			snprintf(key, sizeof(key), "%s_percent", engine_names[e]);
			json_object_set_new(
				object, key,
				json_real(share(client->busy_ns[e], then, seconds, now->queue[e].channels)));
		}
		json_array_append_new(clients, object);
	}
	return clients;
}

static json_t *describe(const struct card *card, const struct sample *now, const struct sample *before)
{
	const double seconds = fmax(now->time - before->time, 1e-3);
	const struct drm_fixar_query_counters *a = &before->counters, *b = &now->counters;
	json_t *sensors = cards_sensors(card->address), *object;

	object = json_pack("{s:s, s:s, s:f, s:o, s:{s:I, s:I, s:I}, s:f, s:f, s:f, s:{s:I, s:I, s:I}, s:o, s:o}",
			   "address", card->address, "node", card->node, "seconds", seconds, "engines",
			   describe_engines(now, before, seconds), "memory", "total", (json_int_t)now->memory.total,
			   "used", (json_int_t)(now->memory.total - now->memory.free), "contexts",
			   (json_int_t)now->memory.contexts, "samples_per_second",
			   rate(b->samples, a->samples, seconds), "actions_per_second",
			   rate(b->actions, a->actions, seconds), "macs_per_second", rate(b->macs, a->macs, seconds),
			   "recovery", "core_resets", (json_int_t)b->core_resets, "device_resets",
			   (json_int_t)b->device_resets, "lost_interrupts", (json_int_t)b->lost_interrupts, "watts",
			   cli_json_number(cards_watts(sensors)), "clients", describe_clients(now, before, seconds));
	json_object_set_new(object, "sensors", sensors);
	json_object_set_new(object, "counters",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "busy_cycles", (json_int_t)b->busy_cycles,
				      "array_cycles", (json_int_t)b->array_cycles, "commands", (json_int_t)b->commands, "macs",
				      (json_int_t)b->macs, "samples", (json_int_t)b->samples, "actions",
				      (json_int_t)b->actions, "timestamp", (json_int_t)b->timestamp));
	return object;
}

/* ---- Output ---- */

static double real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static const char *bytes_of(const json_t *object, const char *key, char *buffer)
{
	return cards_bytes((uint64_t)real(object, key), buffer);
}

static void print_text(const json_t *picture)
{
	const json_t *memory = json_object_get(picture, "memory"), *watts = json_object_get(picture, "watts");
	const json_t *recovery = json_object_get(picture, "recovery");
	char a[CLI_TEXT], b[CLI_TEXT];
	json_t *item;
	size_t i;

	printf("card %s, node %s", json_string_value(json_object_get(picture, "address")),
	       json_string_value(json_object_get(picture, "node")));
	if (json_is_number(watts))
		printf(", %.1f W", json_number_value(watts));
	json_array_foreach(json_object_get(picture, "sensors"), i, item)
	{
		if (!strcmp(json_string_value(json_object_get(item, "unit")), "C"))
			printf(", %s %.0f C", json_string_value(json_object_get(item, "name")), real(item, "value"));
	}
	printf("\nmemory %s of %s in %.0f contexts; %.0f samples/s, %.0f actions/s, %.3g MAC/s\n",
	       bytes_of(memory, "used", a), bytes_of(memory, "total", b), real(memory, "contexts"),
	       real(picture, "samples_per_second"), real(picture, "actions_per_second"),
	       real(picture, "macs_per_second"));
	printf("resets: core %.0f, device %.0f; lost interrupts %.0f\n\n", real(recovery, "core_resets"),
	       real(recovery, "device_resets"), real(recovery, "lost_interrupts"));
	printf("%-8s%7s%12s%14s%8s\n", "engine", "busy", "jobs/s", "bytes/s", "errors");
	json_array_foreach(json_object_get(picture, "engines"), i, item)
		printf("%-8s%6.1f%%%12.1f%14s%8.0f\n", json_string_value(json_object_get(item, "name")),
		       real(item, "busy_percent"), real(item, "jobs_per_second"), bytes_of(item, "bytes_per_second", a),
		       real(item, "errors"));
	printf("\n%8s%8s%8s%8s%12s  %s\n", "pid", "core", "h2c", "c2h", "arenas", "command");
	json_array_foreach(json_object_get(picture, "clients"), i, item)
		printf("%8.0f%7.1f%%%7.1f%%%7.1f%%%12s  %s\n", real(item, "pid"), real(item, "core_percent"),
		       real(item, "h2c_percent"), real(item, "c2h_percent"), bytes_of(item, "arena_bytes", a),
		       json_string_value(json_object_get(item, "command")));
}

static int watch(const struct card *card, const struct top_arguments *arguments)
{
	const bool screen = isatty(STDOUT_FILENO) && !arguments->once && !arguments->json;
	struct sample samples[2] = { 0 };
	int code = take(card, &samples[0]);

	for (int turn = 1; !code; turn = !turn) {
		struct sample *now = &samples[turn], *before = &samples[!turn];
		json_t *picture;

		poll(NULL, 0, (int)(arguments->interval * 1000));
		if (cli_interrupted())
			break;
		free(now->clients);
		*now = (struct sample){ 0 };
		code = take(card, now);
		if (code)
			break;
		picture = describe(card, now, before);
		if (screen)
			fputs("\033[H\033[J", stdout);
		if (arguments->json)
			cli_print_json(picture);
		else
			print_text(picture);
		if (!screen && !arguments->once && !arguments->json)
			putchar('\n');
		fflush(stdout);
		json_decref(picture);
		if (arguments->once || ferror(stdout))
			break;
	}
	free(samples[0].clients);
	free(samples[1].clients);
	return code;
}

int cmd_top(int argc, char **argv)
{
	static const struct argp_option options[] = {
		CARDS_OPTIONS,
		{ "interval", KEY_INTERVAL, "S", 0, "Seconds from one look to the next; default 1", 1 },
		{ "once", KEY_ONCE, NULL, 0, "One look, and out", 1 },
		{ "json", CARDS_KEY_JSON, NULL, 0, "Each look as a line of JSON", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Shows how busy a card's engines are, its memory, watts and temperatures, and which processes "
		       "use it. "
		       "On a terminal the picture is drawn anew until Ctrl-C; elsewhere one follows the other.\v"
		       "Of other users' processes only root sees who they are.",
	};
	struct top_arguments arguments = { .interval = 1 };
	struct card card;
	int code;

	if (cli_parse(&argp, "fixar top", argc, argv, &arguments))
		return CLI_USAGE;
	if (cards_open(arguments.device, &card))
		return CLI_FAILED;
	cli_catch_interrupts();
	code = watch(&card, &arguments);
	card_close(&card);
	return code;
}
