/* SPDX-License-Identifier: MIT */
/*
 * Operands of 32 bits as tiles of bytes: how they are cut (cut_amx_avx512.c) for products of tiles (pe_amx_avx512.c).
 *
 * An operand is cut into its four bytes, the digits: a = a0 + a1 * 2^8 + a2 * 2^16 + a3 * 2^24, where the last is
 * signed and the others are not. Where all elements of 16 rows of A, or of 16 columns of B, fit 24 bits, their third
 * digit is the last and signed. The fourth is written all the same, and not read.
 *
 * 16 rows or columns are blocks of the depth, one behind the other; a block is AMX_DIGITS tiles. What lies behind the
 * depth is 0.
 */
#ifndef FIXAR_LIB_PE_AMX_CUT_H
#define FIXAR_LIB_PE_AMX_CUT_H

#include "pe/engine.h"

#define AMX_ROWS 16    /* of a tile */
#define AMX_COLUMNS 16 /* of a tile of B or C */
#define AMX_BLOCK 64   /* of the depth: bytes in a row of a tile */
#define AMX_DIGITS 4
#define AMX_TILE (AMX_ROWS * AMX_BLOCK)

_Static_assert(AMX_COLUMNS == PE_PANEL_COLUMNS, "panels go into tiles");

static inline size_t amx_at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

/* Bytes of 16 rows or columns. */
static inline size_t amx_cut_size(size_t depth)
{
	return (depth + AMX_BLOCK - 1) / AMX_BLOCK * AMX_DIGITS * AMX_TILE;
}

/* All of these return how many digits there are: 3 or 4. `to`: amx_cut_size(depth) bytes, aligned to 64. */

/* Up to 16 rows of A. */
unsigned pe_amx_cut_rows(const struct pe_product *product, size_t row, size_t height, uint8_t *to);
/* Up to 16 columns of B, fast where they lie side by side. */
unsigned pe_amx_cut_columns(const struct pe_product *product, size_t column, size_t width, uint8_t *to);
/* Up to 16 columns of B, each of which lies along the depth: element (k, column) is b[column * b_column + k]. */
unsigned pe_amx_cut_turned_columns(const int32_t *b, size_t b_column, size_t width, size_t depth, uint8_t *to);

#endif /* FIXAR_LIB_PE_AMX_CUT_H */
