// SPDX-License-Identifier: MIT
/* Interrupt messages. */
#include "interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "card.h"

void interrupts_create(struct interrupts *interrupts)
{
	for (int kind = 0; kind < INTERRUPT_KINDS; kind++) {
		for (uint32_t vector = 0; vector < INTERRUPT_VECTORS; vector++) {
			interrupts->fd[kind][vector] = -1;
			interrupts->latched[kind][vector] = false;
		}
	}
}

void interrupts_forget(struct interrupts *interrupts)
{
	for (int kind = 0; kind < INTERRUPT_KINDS; kind++)
		for (uint32_t vector = 0; vector < INTERRUPT_VECTORS; vector++)
			if (interrupts->fd[kind][vector] >= 0)
				close(interrupts->fd[kind][vector]);
	interrupts_create(interrupts);
}

void interrupts_reset(struct interrupts *interrupts)
{
	for (int kind = 0; kind < INTERRUPT_KINDS; kind++)
		for (uint32_t vector = 0; vector < INTERRUPT_VECTORS; vector++)
			interrupts->latched[kind][vector] = false;
}

uint32_t interrupts_count(const struct card *card, enum interrupt_kind kind)
{
	if (kind == INTERRUPT_MSI)
		return 1;
	return card->options.msi_only ? 0 : INTERRUPT_VECTORS;
}

static void deliver(struct card *card, enum interrupt_kind kind, uint32_t vector)
{
	const uint64_t one = 1;

	/* Any other failure is a descriptor that cannot take an event: the client's business. */
	while (write(card->interrupts.fd[kind][vector], &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void interrupts_attach(struct card *card, enum interrupt_kind kind, uint32_t vector, int fd)
{
	struct interrupts *interrupts = &card->interrupts;
	int *place = &interrupts->fd[kind][vector];
	int flags;

	if (*place >= 0)
		close(*place);
	*place = fd;
	if (fd < 0)
		return;
	/* A write must never wait, whatever the client gave. */
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (interrupts->latched[kind][vector]) {
		interrupts->latched[kind][vector] = false;
		deliver(card, kind, vector);
	}
}

static void send_now(struct card *card, uint32_t vector)
{
	struct interrupts *interrupts = &card->interrupts;
	enum interrupt_kind kind = INTERRUPT_MSIX;

	if (!config_space_msix(&card->config)) {
		if (!config_space_msi(&card->config)) {
			strict_note(card, "an interrupt (vector %u) while neither MSI-X nor MSI is enabled", vector);
			return;
		}
		kind = INTERRUPT_MSI;
		vector = 0; /* the one message there is */
	}
	if (!config_space_bus_master(&card->config)) {
		strict_note(card, "an interrupt (vector %u) while bus mastering is off", vector);
		return;
	}
	interrupts->sent[vector]++;
	if (interrupts->fd[kind][vector] >= 0)
		deliver(card, kind, vector);
	else
		interrupts->latched[kind][vector] = true;
}

void interrupts_send(struct card *card, uint32_t vector)
{
	if (faults_strike(card, FAULT_REMOVAL_INTERRUPT, (int)vector))
		card_remove(card);
	if (card->gone)
		return;
	if (faults_strike(card, FAULT_INTERRUPT_LOST, (int)vector))
		return;
	send_now(card, vector);
	if (faults_strike(card, FAULT_INTERRUPT_SPURIOUS, (int)vector))
		send_now(card, vector);
}
