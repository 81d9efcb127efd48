/* SPDX-License-Identifier: MIT */
/* What the commands about cards share: choosing one, and what sysfs and the driver say of it, as JSON. */
#ifndef FIXAR_TOOLS_CARDS_H
#define FIXAR_TOOLS_CARDS_H

#include "cli.h"
#include "device/card.h"

#define CARDS_MESSAGE 512

enum { CARDS_KEY_DEVICE = 0x2100, CARDS_KEY_JSON };

#define CARDS_OPTIONS                                                                                                  \
	{                                                                                                              \
		"device", CARDS_KEY_DEVICE, "CARD", 0, "The card: its node or its PCI address; default the first one", \
			1                                                                                              \
	}

/* The node or address that was given, or for NULL the first card's address. CLI_OK, or CLI_FAILED after a message. */
int cards_place(const char *name, struct card_place *place);
/* Opens it. CLI_OK, or CLI_FAILED after a message. */
int cards_open(const char *name, struct card *card);

/* All cards with all there is to say of each; an array. NULL after a message. */
json_t *cards_describe_all(void);

/* { "speed", "width", "possible_speed", "possible_width", "limit" }: the link as it is, and as card and slot could have
 * it. */
json_t *cards_link(const char *address);
/* [ { "name", "value", "unit" } ] of hwmon; empty if there are none. */
json_t *cards_sensors(const char *address);
/* The power among them, watts; NAN if there is none. */
double cards_watts(const json_t *sensors);

/* "1.5 GiB"; `buffer` holds CLI_TEXT bytes. */
const char *cards_bytes(uint64_t bytes, char *buffer);

#endif /* FIXAR_TOOLS_CARDS_H */
