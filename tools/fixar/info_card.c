// SPDX-License-Identifier: MIT
/* How fixar info prints one card. */
#include "info_card.h"

#include <stdio.h>
#include <string.h>

#include "cards.h"

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static long long whole(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static double real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void print_link(const json_t *link)
{
	const char *limit = text_of(link, "limit");

	if (json_is_null(link)) {
		printf("  link        not known\n");
		return;
	}
	printf("  link        %g GT/s x%lld", real(link, "speed"), whole(link, "width"));
	if (!strcmp(limit, "training"))
		printf(", less than the possible %g GT/s x%lld", real(link, "possible_speed"),
		       whole(link, "possible_width"));
	else if (!strcmp(limit, "slot"))
		printf(", all that the slot has; the card could do %g GT/s x%lld", real(link, "card_speed"),
		       whole(link, "card_width"));
	else
		printf(", all that is possible");
	putchar('\n');
}

static void print_bars(const json_t *bars)
{
	char bytes[CLI_TEXT];
	json_t *bar;
	size_t i;

	printf("  BARs       ");
	json_array_foreach(bars, i, bar) printf("%s %lld: %s at %#llx", i ? "," : "", whole(bar, "number"),
						cards_bytes((uint64_t)whole(bar, "bytes"), bytes), whole(bar, "base"));
	printf("%s\n", json_array_size(bars) ? "" : " none");
}

static void print_device(const json_t *card)
{
	const json_t *device = json_object_get(card, "device"), *core = json_object_get(device, "core");
	const json_t *dma = json_object_get(device, "dma"), *interrupts = json_object_get(device, "interrupts");
	const json_t *memory = json_object_get(card, "memory");
	char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT];
	json_t *item;
	size_t i;

	printf("  core        version %s, build %#llx, state %s\n", text_of(device, "version"),
	       (unsigned long long)whole(device, "build"), text_of(device, "state"));
	printf("  array       %lld cores of %lldx%lld PEs at %g MHz\n", whole(core, "cores"), whole(core, "rows"),
	       whole(core, "columns"), real(core, "clock_mhz"));
	printf("  limits      layers up to %lld wide, %lld hidden, batches of %lld; %s for weights, %s for gradients, "
	       "%s for "
	       "activations\n",
	       whole(core, "max_width"), whole(core, "max_hidden"), whole(core, "max_batch"),
	       cards_bytes((uint64_t)whole(core, "weight_memory"), a),
	       cards_bytes((uint64_t)whole(core, "gradient_memory"), b),
	       cards_bytes((uint64_t)whole(core, "activation_memory"), c));
	printf("  capable of ");
	json_array_foreach(json_object_get(device, "capabilities"), i, item) printf(" %s", json_string_value(item));
	printf("%s\n", i ? "" : " nothing optional");
	printf("  DMA         %lld + %lld channels, %lld %s vector%s\n", whole(dma, "h2c_channels"),
	       whole(dma, "c2h_channels"), whole(interrupts, "vectors"), text_of(interrupts, "mode"),
	       whole(interrupts, "vectors") == 1 ? "" : "s");
	if (json_is_object(memory))
		printf("  memory      %s, %s free, %lld context%s\n", cards_bytes((uint64_t)whole(memory, "total"), a),
		       cards_bytes((uint64_t)whole(memory, "free"), b), whole(memory, "contexts"),
		       whole(memory, "contexts") == 1 ? "" : "s");
}

void info_print_card(const json_t *card)
{
	const json_t *sensors = json_object_get(card, "sensors");
	const char *driver = text_of(card, "driver"), *node = text_of(card, "node");
	json_t *sensor;
	size_t i;

	printf("card %s: %s (%s)\n", text_of(card, "address"), text_of(card, "name"), text_of(card, "id"));
	printf("  driver      %s%s%s\n", driver ? driver : "none", node ? ", node " : "", node ? node : "");
	if (text_of(card, "problem"))
		printf("  problem     %s\n", text_of(card, "problem"));
	print_link(json_object_get(card, "link"));
	print_bars(json_object_get(card, "bars"));
	if (json_is_object(json_object_get(card, "device")))
		print_device(card);
	if (!json_array_size(sensors))
		return;
	printf("  sensors    ");
	json_array_foreach(sensors, i, sensor) printf("%s %s %.4g %s", i ? "," : "", text_of(sensor, "name"),
						      real(sensor, "value"), text_of(sensor, "unit"));
	putchar('\n');
}
