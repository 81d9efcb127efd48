/* SPDX-License-Identifier: MIT */
/*
 * Forms of tensors and 16-bit products, in C that compilers turn into vector code. An engine's narrow_*.c includes this after it has
 * defined NARROW_ROWS and narrow_dots(), its inner loop, and possibly faster versions of single functions (FORMS_HAS_...).
 *
 *	narrow_dots(a, a_row, rows, b0, b1, pairs, sums)
 *		sums[j][i][n] = sum over k of a[i * a_row + k] * element (k, n) of panel b_j, for `rows` rows (1 to NARROW_ROWS) and 16
 *		columns of one panel (b1 is NULL) or two. Sums are of 32 bits and do not overflow.
 */
#ifndef FIXAR_LIB_PE_FORMS_H
#define FIXAR_LIB_PE_FORMS_H

#include <string.h>

#include "fx/fixed.h"
#include "pe/engine.h"

#define PANEL PE_PANEL_COLUMNS

_Static_assert(PANEL == 16, "a panel has two int16 of 16 columns in a row of 32");

/* ---- Pieces and norms ---- */

static inline int32_t low_piece(int32_t code, unsigned shift)
{
	return (int32_t)((uint32_t)code << (32 - shift)) >> (32 - shift);
}

static inline int32_t high_piece(int32_t code, unsigned shift)
{
	return (code - low_piece(code, shift)) >> shift;
}

/* The square of a piece in units of the norm. */
static inline uint32_t norm_square(int32_t piece)
{
	const uint32_t magnitude = (uint32_t)(piece < 0 ? -piece : piece);
	const uint32_t units = (magnitude + (PE_NORM_UNIT - 1)) / PE_NORM_UNIT;

	return units * units;
}

static inline void raise(uint32_t *norm, uint32_t found)
{
	*norm = found > *norm ? found : *norm;
}

/* At the end of a block: the norms of 16 vectors' parts. They begin anew. */
static inline void raise_norms(const struct pe_split *split, uint32_t sum[2][PANEL], size_t block, struct pe_norms *norms)
{
	for (unsigned s = 0; s < split->pieces; s++)
		for (int n = 0; n < PANEL; n++)
			raise(&norms->of[s][block], sum[s][n]);
	memset(sum, 0, 2 * sizeof(sum[0]));
}

/* ---- Rows: the broadcast side ---- */

/* One block of a row. */
static inline uint32_t row_block(size_t length, const int32_t *restrict codes, int16_t *restrict to, unsigned pieces, unsigned piece,
				 unsigned shift)
{
	uint32_t norm = 0;

	for (size_t k = 0; k < length; k++) {
		const int32_t v = pieces == 1 ? codes[k] : piece ? high_piece(codes[k], shift) : low_piece(codes[k], shift);

		to[k] = (int16_t)v;
		norm += norm_square(v);
	}
	return norm;
}

static inline void one_row(size_t depth, const int32_t *codes, int16_t *to, unsigned pieces, unsigned piece, unsigned shift,
			   uint32_t norms[PE_NORM_BLOCKS])
{
	const size_t block = pe_norm_block(depth);

	for (size_t k = 0; k < depth; k += block, norms++)
		raise(norms, row_block(depth - k < block ? depth - k : block, codes + k, to + k, pieces, piece, shift));
	if (depth % 2)
		to[depth] = 0;
}

static void forms_rows(const struct pe_split *split, size_t rows, size_t depth, const int32_t *codes, size_t code_row, int16_t *to,
		       size_t to_row, struct pe_norms *norms)
{
	for (size_t m = 0; m < rows; m++) {
		if (split->pieces == 1) {
			one_row(depth, codes + m * code_row, to + m * to_row, 1, 0, 0, norms->of[0]);
		} else {
			one_row(depth, codes + m * code_row, to + 2 * m * to_row, 2, 0, split->shift, norms->of[0]);
			one_row(depth, codes + m * code_row, to + (2 * m + 1) * to_row, 2, 1, split->shift, norms->of[1]);
		}
	}
}

/* Blocks of 16 x 16, turned with the engine's means: to[i][j] = codes[j * code_row + i]. What lies outside is 0. */
#ifndef FORMS_HAS_TURN
static inline void turn_block(size_t rows, size_t depth, const int32_t *codes, size_t code_row, int32_t to[16][16])
{
	if (rows < 16 || depth < 16)
		memset(to, 0, 16 * sizeof(to[0]));
	for (size_t k = 0; k < depth; k++)
		for (size_t m = 0; m < rows; m++)
			to[m][k] = codes[k * code_row + m];
}
#endif

static void forms_turned_rows(const struct pe_split *split, size_t rows, size_t depth, const int32_t *codes, size_t code_row, int16_t *to,
			      size_t to_row, struct pe_norms *norms)
{
	const size_t norm_block = pe_norm_block(depth);

	for (size_t m = 0; m < rows; m += 16) {
		const size_t height = rows - m < 16 ? rows - m : 16;
		uint32_t sum[2][16] = { { 0 } };

		for (size_t k = 0; k < depth; k += 16) {
			const size_t length = depth - k < 16 ? depth - k : 16;
			int32_t block[16][16] __attribute__((aligned(64)));

			turn_block(height, length, codes + k * code_row + m, code_row, block);
			for (size_t i = 0; i < height; i++) {
				for (unsigned s = 0; s < split->pieces; s++) {
					int16_t *row = to + ((m + i) * split->pieces + s) * to_row + k;
					int16_t piece[16];
					uint32_t square = 0;

					for (size_t j = 0; j < 16; j++) {
						const int32_t v = split->pieces == 1 ? block[i][j] :
								  s		     ? high_piece(block[i][j], split->shift) :
										       low_piece(block[i][j], split->shift);

						piece[j] = (int16_t)v;
						square += norm_square(v);
					}
					sum[s][i] += square;
					memcpy(row, piece, length == 16 ? sizeof(piece) : (length + 1) / 2 * 4);
				}
			}
			if ((k + 16) % norm_block == 0 || k + 16 >= depth)
				raise_norms(split, sum, k / norm_block, norms);
		}
	}
}

/* ---- Panels: the vector side ---- */

/* A pair of rows of a panel: to[column * 2] from `even`, to[column * 2 + 1] from `odd`. */
static inline void one_pair(const int32_t *restrict even, const int32_t *restrict odd, int16_t *restrict to, uint32_t *restrict sum,
			    unsigned pieces, unsigned piece, unsigned shift)
{
	for (int n = 0; n < PANEL; n++) {
		const int32_t x = pieces == 1 ? even[n] : piece ? high_piece(even[n], shift) : low_piece(even[n], shift);
		const int32_t y = pieces == 1 ? odd[n] : piece ? high_piece(odd[n], shift) : low_piece(odd[n], shift);

		to[2 * n] = (int16_t)x;
		to[2 * n + 1] = (int16_t)y;
		sum[n] += norm_square(x) + norm_square(y);
	}
}

static inline void split_pair(const struct pe_split *split, const int32_t *even, const int32_t *odd, int16_t *to, size_t size,
			      uint32_t sum[2][PANEL])
{
	if (split->pieces == 1) {
		one_pair(even, odd, to, sum[0], 1, 0, 0);
	} else {
		one_pair(even, odd, to, sum[0], 2, 0, split->shift);
		one_pair(even, odd, to + size, sum[1], 2, 1, split->shift);
	}
}

static void forms_panels(const struct pe_split *split, size_t columns, size_t depth, size_t pair_from, size_t pair_to, const int32_t *codes,
			 size_t code_row, int16_t *to, struct pe_norms *norms)
{
	static const int32_t zeros[PANEL];
	const size_t size = pe_panel_size(depth), block_pairs = pe_norm_block(depth) / 2;

	for (size_t n = 0; n < columns; n += PANEL) {
		const size_t width = columns - n < PANEL ? columns - n : PANEL;
		int16_t *panel = to + n / PANEL * split->pieces * size;
		uint32_t sum[2][PANEL] = { { 0 } };

		for (size_t pair = pair_from; pair < pair_to; pair++) {
			const int32_t *even = codes + 2 * pair * code_row + n;
			const int32_t *odd = 2 * pair + 1 < depth ? even + code_row : zeros;
			int32_t edge[2][PANEL] = { { 0 } };

			if (width < PANEL) {
				memcpy(edge[0], even, width * sizeof(int32_t));
				memcpy(edge[1], odd, width * sizeof(int32_t));
				even = edge[0];
				odd = edge[1];
			}
			split_pair(split, even, odd, panel + 32 * pair, size, sum);
			if ((pair + 1) % block_pairs == 0 || pair + 1 == pair_to)
				raise_norms(split, sum, pair / block_pairs, norms);
		}
	}
}

static void forms_turned_panels(const struct pe_split *split, size_t column_from, size_t column_to, size_t depth, const int32_t *codes,
				size_t code_row, int16_t *to, struct pe_norms *norms)
{
	const size_t size = pe_panel_size(depth), norm_block = pe_norm_block(depth);

	for (size_t n = column_from; n < column_to; n += PANEL) {
		const size_t width = column_to - n < PANEL ? column_to - n : PANEL;
		int16_t *panel = to + n / PANEL * split->pieces * size;
		uint32_t sum[2][PANEL] = { { 0 } };

		for (size_t k = 0; k < depth; k += 16) {
			const size_t length = depth - k < 16 ? depth - k : 16;
			int32_t block[16][16] __attribute__((aligned(64)));

			turn_block(length, width, codes + n * code_row + k, code_row, block);
			for (size_t j = 0; j < length; j += 2)
				split_pair(split, block[j], block[j + 1], panel + 16 * (k + j), size, sum);
			if ((k + 16) % norm_block == 0 || k + 16 >= depth)
				raise_norms(split, sum, k / norm_block, norms);
		}
	}
}

static void forms_wide_panels(size_t column_from, size_t column_to, size_t depth, const int32_t *codes, size_t code_row, int32_t *to)
{
	for (size_t n = column_from; n < column_to; n += PANEL) {
		const size_t width = column_to - n < PANEL ? column_to - n : PANEL;
		int32_t *panel = to + n * depth;

		for (size_t k = 0; k < depth; k += 16) {
			const size_t length = depth - k < 16 ? depth - k : 16;
			int32_t block[16][16] __attribute__((aligned(64)));

			turn_block(length, width, codes + n * code_row + k, code_row, block);
			memcpy(panel + k * PANEL, block, length * sizeof(block[0]));
		}
	}
}

/* ---- Products ---- */

/*
 * Sums of a tile: panel, row of A with its pieces, column. Where a sum of all products might not fit 32 bits, what is above CARRY_BITS
 * goes from `low` to `high` at the end of each chunk: the sum is low + high * 2^CARRY_BITS.
 */
#define CARRY_BITS 12

struct tile_sums {
	int32_t low[2][NARROW_ROWS][PANEL];
	int32_t high[2][NARROW_ROWS][PANEL];
} __attribute__((aligned(64)));

struct wide_sums {
	int64_t sum[2][PANEL];
} __attribute__((aligned(64)));

#ifndef FORMS_HAS_CHUNKS
static void chunked_dots(const int16_t *a, size_t a_row, unsigned rows, const int16_t *b0, const int16_t *b1, size_t pairs, size_t step,
			 struct tile_sums *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (size_t pair = 0; pair < pairs; pair += step) {
		int32_t chunk[2][NARROW_ROWS][PANEL] __attribute__((aligned(64)));

		narrow_dots(a + 2 * pair, a_row, rows, b0 + 32 * pair, b1 ? b1 + 32 * pair : NULL, pairs - pair < step ? pairs - pair : step,
			    chunk);
		for (int j = 0; j < (b1 ? 2 : 1); j++) {
			for (unsigned i = 0; i < rows; i++) {
				for (int n = 0; n < PANEL; n++) {
					const int32_t sum = sums->low[j][i][n] + (chunk[j][i][n] & ((1 << CARRY_BITS) - 1));

					sums->high[j][i][n] += (chunk[j][i][n] >> CARRY_BITS) + (sum >> CARRY_BITS);
					sums->low[j][i][n] = sum & ((1 << CARRY_BITS) - 1);
				}
			}
		}
	}
}
#endif

/* What a panel's columns get besides their sums: bias and rounding constant. */
static inline void load_offset(const struct pe_narrow *p, size_t column, size_t width, int64_t offset[PANEL])
{
	const uint64_t half = p->down ? UINT64_C(1) << (p->down - 1) : 0;

	for (size_t n = 0; n < PANEL; n++)
		offset[n] = (int64_t)(half + (p->bias && n < width ? (uint64_t)(int64_t)p->bias[column + n] << p->bias_up : 0));
}

#ifndef FORMS_HAS_FINISH
/* Shift, bias, rounding, saturation of 16 sums: low + high * 2^shift. Returns the number of saturations. */
static inline unsigned finish(const int64_t low[PANEL], const int64_t high[PANEL], unsigned shift, unsigned up, unsigned down,
			      const int64_t offset[PANEL], size_t width, int32_t *to)
{
	int32_t result[PANEL];
	unsigned saturations = 0;

	for (int n = 0; n < PANEL; n++) {
		const uint64_t sum = (uint64_t)low[n] + (high ? (uint64_t)high[n] << shift : 0);
		const int64_t t = (int64_t)((sum << up) + (uint64_t)offset[n]) >> down;
		const int64_t limited = t > INT32_MAX ? INT32_MAX : t < INT32_MIN ? INT32_MIN : t;

		saturations += limited != t;
		result[n] = (int32_t)limited;
	}
	/* Columns beyond the edge are sums of zeros without bias: they never saturate. */
	memcpy(to, result, width * sizeof(int32_t));
	return saturations;
}

/* rhu((low >> shift) + high, down), or rhu(low, down): rhu(v, s) = (v >> s) + bit s - 1 of v. */
static inline void finish_simple(const int32_t low[PANEL], const int32_t high[PANEL], unsigned shift, unsigned down, size_t width, int32_t *to)
{
	int32_t result[PANEL];

	for (int n = 0; n < PANEL; n++) {
		const int32_t v = high ? (low[n] >> shift) + high[n] : low[n];

		result[n] = (v >> down) + (v >> (down - 1) & 1);
	}
	memcpy(to, result, width * sizeof(int32_t));
}

static inline unsigned finish_narrow(const int32_t low[PANEL], const int32_t high[PANEL], unsigned shift, unsigned up, unsigned down,
				     const int64_t offset[PANEL], size_t width, int32_t *to)
{
	int64_t wide[2][PANEL];

	for (int n = 0; n < PANEL; n++)
		wide[0][n] = low[n];
	for (int n = 0; high && n < PANEL; n++)
		wide[1][n] = high[n];
	return finish(wide[0], high ? wide[1] : NULL, shift, up, down, offset, width, to);
}
#endif

/* Two pieces, each in low and high parts. */
static inline unsigned finish_pieces(const struct pe_narrow *p, const struct tile_sums *sums, size_t panel, size_t row, size_t high_panel,
				     size_t high_row, unsigned shift, const int64_t offset[PANEL], size_t width, int32_t *to)
{
	struct wide_sums wide;

	for (int n = 0; n < PANEL; n++) {
		wide.sum[0][n] = sums->low[panel][row][n] + ((int64_t)sums->high[panel][row][n] * (1 << CARRY_BITS));
		wide.sum[1][n] = sums->low[high_panel][high_row][n] + ((int64_t)sums->high[high_panel][high_row][n] * (1 << CARRY_BITS));
	}
	return finish(wide.sum[0], wide.sum[1], shift, p->up, p->down, offset, width, to);
}

static uint64_t forms_product(const struct pe_narrow *p, size_t row_from, size_t row_to, size_t column_from, size_t column_to)
{
	const unsigned a_pieces = p->a_split.pieces, b_pieces = p->b_split.pieces;
	const unsigned shift = a_pieces == 2 ? p->a_split.shift : p->b_split.shift;
	const size_t size = pe_panel_size(p->depth), pairs = (p->depth + 1) / 2;
	/* A tile has two panels of pieces: of the same columns, or of 32. */
	const size_t tile_columns = b_pieces == 2 ? PANEL : 2 * PANEL, tile_rows = NARROW_ROWS / a_pieces;
	const int exact = p->chunk >= p->depth;
	/*
	 * Sums that fit 32 bits, are not shifted to the left and get no bias need no more than 32 bits to the end, nor are they ever limited. Two
	 * pieces are put together first: floor((low + high * 2^shift) / 2^down) is floor((floor(low / 2^shift) + high) / 2^(down - shift)).
	 */
	const unsigned joined = a_pieces + b_pieces == 3 ? shift : 0;
	const int simple = exact && !p->bias && !p->up && p->down > joined && p->down - joined < 32;
	uint64_t saturations = 0;

	for (size_t n = column_from; n < column_to; n += tile_columns) {
		const size_t width = column_to - n < tile_columns ? column_to - n : tile_columns;
		const int16_t *b0 = p->b + n / PANEL * b_pieces * size;
		const int16_t *b1 = b_pieces == 2 || width > PANEL ? b0 + size : NULL;
		int64_t offset[2][PANEL] __attribute__((aligned(64)));

		load_offset(p, n, width < PANEL ? width : PANEL, offset[0]);
		if (width > PANEL)
			load_offset(p, n + PANEL, width - PANEL, offset[1]);
		for (size_t m = row_from; m < row_to; m += tile_rows) {
			const size_t height = row_to - m < tile_rows ? row_to - m : tile_rows;
			const int16_t *a = p->a + m * a_pieces * p->a_row;
			struct tile_sums sums;

			if (exact)
				narrow_dots(a, p->a_row, (unsigned)height * a_pieces, b0, b1, pairs, sums.low);
			else
				chunked_dots(a, p->a_row, (unsigned)height * a_pieces, b0, b1, pairs, p->chunk / 2, &sums);
			for (size_t i = 0; i < height; i++) {
				int32_t *c = p->c + (m + i) * p->c_row + n;

				for (size_t j = 0; j * PANEL < width; j++) {
					const size_t left = width - j * PANEL < PANEL ? width - j * PANEL : PANEL;
					const size_t row = i * a_pieces, high_row = row + (a_pieces == 2), high_panel = b_pieces == 2 ? 1 : j;
					const int32_t *low = sums.low[j][row];

					if (simple)
						finish_simple(low, joined ? sums.low[high_panel][high_row] : NULL, shift, p->down - joined, left,
							      c + j * PANEL);
					else if (a_pieces + b_pieces == 2)
						saturations += finish_narrow(low, exact ? NULL : sums.high[j][row], CARRY_BITS, p->up, p->down,
									     offset[j], left, c + j * PANEL);
					else if (exact)
						saturations += finish_narrow(low, sums.low[high_panel][high_row], shift, p->up, p->down,
									     offset[j], left, c + j * PANEL);
					else
						saturations += finish_pieces(p, &sums, j, row, high_panel, high_row, shift, offset[j], left,
									     c + j * PANEL);
				}
			}
		}
	}
	return saturations;
}

#define FORMS_OPS_WITH(wide)                          \
	{                                             \
		.rows = forms_rows,                   \
		.turned_rows = forms_turned_rows,     \
		.panels = forms_panels,               \
		.turned_panels = forms_turned_panels, \
		.wide_panels = wide,                  \
		.product = forms_product,             \
	}
#define FORMS_OPS FORMS_OPS_WITH(forms_wide_panels)

#endif /* FIXAR_LIB_PE_FORMS_H */
