/* SPDX-License-Identifier: MIT */
/* What the engine "amx" has of its own (pe_amx_avx512.c); the rest of it is the AVX-512 engine's. */
#ifndef FIXAR_LIB_PE_AMX_H
#define FIXAR_LIB_PE_AMX_H

#include "pe/engine.h"

/* Whether processor and kernel let this process use AMX. */
int pe_amx_available(void);

/* The error number with which the kernel refuses the tiles of a processor that has them; 0: it does not, or there are
 * none. */
int pe_amx_refusal(void);

/* The operand of ldtilecfg: all eight tiles, whole. Where AMX is not available, loading it ends the process. */
extern const struct pe_amx_tiles {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
} __attribute__((aligned(64))) pe_amx_tiles;

/* As pe_engine.product. */
uint64_t pe_amx_product(const struct pe_product *product, size_t row_from, size_t row_to, size_t column_from,
			size_t column_to, void *scratch);

/*
 * What pe_amx_product() would do: how many tiles of results (0: vectors do it, with no tile at all), and for how many
 * products of digits of blocks they stand, over all tiles: 9 to 16 for each.
 */
uint64_t pe_amx_byte_products(const struct pe_product *product, void *scratch, uint64_t *tiles);

/* As pe_form_ops.wide_panels. */
void pe_amx_wide_panels(size_t column_from, size_t column_to, size_t depth, const int32_t *codes, size_t code_row,
			int32_t *to);

#endif /* FIXAR_LIB_PE_AMX_H */
