/* SPDX-License-Identifier: MIT */
/* Who uses a card: the fdinfo of all processes that may be looked at. */
#ifndef FIXAR_TOOLS_TOP_CLIENTS_H
#define FIXAR_TOOLS_TOP_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

enum { TOP_H2C, TOP_C2H, TOP_CORE, TOP_ENGINES };

struct top_client {
	uint64_t id; /* of the open file; several descriptors may share it */
	int pid;
	char command[32];
	uint64_t busy_ns[TOP_ENGINES], arena_bytes;
};

/* Clients of the card at a PCI address, each once, for the caller to free. Returns their number. */
size_t top_clients(const char *address, struct top_client **clients);

#endif /* FIXAR_TOOLS_TOP_CLIENTS_H */
