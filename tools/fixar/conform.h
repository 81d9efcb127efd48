/* SPDX-License-Identifier: MIT */
/* fixar conform: whether a card is what driver/HARDWARE.md says. */
#ifndef FIXAR_TOOLS_CONFORM_H
#define FIXAR_TOOLS_CONFORM_H

#include "cards.h"

struct conform {
	bool json;
	int64_t cases; /* of the vectors, from the first; 0: all */
	unsigned passed, failed, skipped;
	json_t *list; /* of { "name", "result", "detail" } */
};

/* One result: a line of text, or an element of the list. `detail` may be NULL. */
void conform_report(struct conform *conform, bool passed, const char *name, const char *detail);
void conform_skip(struct conform *conform, const char *name, const char *detail);

/* conform_vectors.c: golden vectors through the driver. */
int conform_vectors(struct conform *conform, struct fixar_device *device);

/* conform_raw.c: the register contract, without a driver. */
int conform_raw(struct conform *conform, const struct card_place *place);

#endif /* FIXAR_TOOLS_CONFORM_H */
