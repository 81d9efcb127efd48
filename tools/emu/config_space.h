/* SPDX-License-Identifier: MIT */
/* PCI configuration space of the card. */
#ifndef FIXAR_EMU_CONFIG_SPACE_H
#define FIXAR_EMU_CONFIG_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_BYTES 4096

struct card;
struct card_options;

struct config_space {
	uint8_t value[CONFIG_BYTES];
	uint8_t writable[CONFIG_BYTES]; /* bits that a write sets */
	uint8_t clears[CONFIG_BYTES];	/* bits that writing 1 clears */
	uint32_t msi, express;		/* offsets of capabilities */
	uint32_t msix;			/* 0: none */
};

/* As after power-on. */
void config_space_reset(struct config_space *config, const struct card_options *options);

/* The range is within CONFIG_BYTES. A write has its effects on the card: bus mastering, interrupts, function-level
 * reset. */
void config_space_read(const struct config_space *config, uint32_t offset, void *data, uint32_t count);
void config_space_write(struct card *card, uint32_t offset, const void *data, uint32_t count);

bool config_space_bus_master(const struct config_space *config);
bool config_space_memory(const struct config_space *config);
bool config_space_msi(const struct config_space *config);
bool config_space_msix(const struct config_space *config);

#endif /* FIXAR_EMU_CONFIG_SPACE_H */
