/* SPDX-License-Identifier: MIT */
/*
 * Products of 32 x 32 bits with AMX, whose tiles multiply bytes. Everything else of the engine "amx" is the AVX-512
 *engine's.
 *
 * Operands come as digits, their bytes (amx_cut.h). The sums of products of digits with the same i + j go into one tile
 *S(i + j) of 16 x 16 sums of 32 bits, and what is wanted is
 *
 *	sum = S0 + S1 * 2^8 + S2 * 2^16 + ... + S6 * 2^48 modulo 2^64
 *
 * S0 to S3 are exact for up to CHUNK elements of the depth. S4 to S6 count modulo 2^32, 2^24, 2^16 only, so that they
 *may wrap. With three digits on one side or both it is 12 or 9 products of digits rather than 16. Most tensors are so.
 */
#include <cpuid.h>
#include <errno.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pe/amx.h"
#include "pe/amx_cut.h"
#include "pe/engine.h"

#define CHUNK 8192 /* 4 * 255 * 255 * CHUNK < 2^31 */
#define SUMS 9	   /* S0 to S6, and two more tiles for those with the most products */

/* ---- The processor and the kernel ---- */

#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA 18		  /* the number of the state in XCR0 */

static int has_amx(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 24 & 1 && d >> 25 & 1;
}

/* The state of the tiles is large: Linux gives it to processes that ask. Asking again does no harm. */
int pe_amx_refusal(void)
{
	return has_amx() && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) ? errno : 0;
}

int pe_amx_available(void)
{
	return has_amx() && !pe_amx_refusal();
}

/* A thread has its own configuration: it is loaded at the beginning of a product and released at its end. */
const struct pe_amx_tiles pe_amx_tiles = {
	.palette = 1,
	.row_bytes = { AMX_BLOCK, AMX_BLOCK, AMX_BLOCK, AMX_BLOCK, AMX_BLOCK, AMX_BLOCK, AMX_BLOCK, AMX_BLOCK },
	.rows = { AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS },
};

/* GCC's intrinsics do not say that tiles are read from memory. */
#define MEMORY_IS_WRITTEN __asm__ volatile("" : : : "memory")

/* ---- Sums ---- */

/* Sums of digits, row by row; the tiles past S6 add to S3 and S4. */
struct sums {
	int32_t of[SUMS][AMX_ROWS][AMX_COLUMNS];
} __attribute__((aligned(64)));

#define MORE_S3 7
#define MORE_S4 8

/* A tile each for the digits of A and B that are being multiplied, and the others for sums. */
#define A(i) _tile_loadd(6, a + (i)*AMX_TILE, AMX_BLOCK)
#define B(j) _tile_loadd(7, b + (j)*AMX_TILE, AMX_BLOCK)

/* Adds digit i of A times digit j of B to a tile. */
#define MULTIPLY(tile, i, j)                      \
	do {                                      \
		if (i == a_last && j == b_last)   \
			_tile_dpbssd(tile, 6, 7); \
		else if (i == a_last)             \
			_tile_dpbsud(tile, 6, 7); \
		else if (j == b_last)             \
			_tile_dpbusd(tile, 6, 7); \
		else                              \
			_tile_dpbuud(tile, 6, 7); \
	} while (0)

#define STORE(tile, number) _tile_stored(tile, sums->of[number], AMX_BLOCK)

static void clear_tiles(void)
{
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	_tile_zero(4);
	_tile_zero(5);
}

/* Blocks of rows and columns with three digits on one side at least: all sums in one go. The digits' numbers are
 * constants where it is inlined. */
static inline __attribute__((always_inline)) void sum_three(const uint8_t *a, const uint8_t *b, size_t blocks,
							    int a_last, int b_last, struct sums *sums)
{
	clear_tiles();
	for (; blocks; blocks--, a += AMX_DIGITS * AMX_TILE, b += AMX_DIGITS * AMX_TILE) {
		A(0);
		B(0);
		MULTIPLY(0, 0, 0);
		B(1);
		MULTIPLY(1, 0, 1);
		B(2);
		MULTIPLY(2, 0, 2);
		if (b_last == 3) {
			B(3);
			MULTIPLY(3, 0, 3);
			A(1);
			MULTIPLY(4, 1, 3);
			B(2);
			MULTIPLY(3, 1, 2);
		} else {
			A(1);
			MULTIPLY(3, 1, 2);
		}
		B(1);
		MULTIPLY(2, 1, 1);
		B(0);
		MULTIPLY(1, 1, 0);
		A(2);
		MULTIPLY(2, 2, 0);
		B(1);
		MULTIPLY(3, 2, 1);
		B(2);
		MULTIPLY(4, 2, 2);
		if (b_last == 3) {
			B(3);
			MULTIPLY(5, 2, 3);
		}
		if (a_last == 3) {
			A(3);
			MULTIPLY(5, 3, 2);
			B(1);
			MULTIPLY(4, 3, 1);
			B(0);
			MULTIPLY(3, 3, 0);
		}
	}
	STORE(0, 0);
	STORE(1, 1);
	STORE(2, 2);
	STORE(3, 3);
	STORE(4, 4);
	if (a_last + b_last > 4)
		STORE(5, 5);
}

/* Four digits on both sides: S0 to S3, then S4 to S6. */
static void sum_four(const uint8_t *a0, const uint8_t *b0, size_t blocks, struct sums *sums)
{
	enum { a_last = 3, b_last = 3 };
	const uint8_t *a = a0, *b = b0;

	clear_tiles();
	for (size_t i = 0; i < blocks; i++, a += AMX_DIGITS * AMX_TILE, b += AMX_DIGITS * AMX_TILE) {
		A(0);
		B(0);
		MULTIPLY(0, 0, 0);
		B(1);
		MULTIPLY(1, 0, 1);
		B(2);
		MULTIPLY(2, 0, 2);
		B(3);
		MULTIPLY(3, 0, 3);
		A(1);
		B(2);
		MULTIPLY(4, 1, 2);
		B(1);
		MULTIPLY(2, 1, 1);
		B(0);
		MULTIPLY(1, 1, 0);
		A(2);
		MULTIPLY(2, 2, 0);
		B(1);
		MULTIPLY(3, 2, 1);
		A(3);
		B(0);
		MULTIPLY(4, 3, 0);
	}
	STORE(0, 0);
	STORE(1, 1);
	STORE(2, 2);
	STORE(3, 3);
	STORE(4, MORE_S3);
	clear_tiles();
	for (a = a0, b = b0; blocks; blocks--, a += AMX_DIGITS * AMX_TILE, b += AMX_DIGITS * AMX_TILE) {
		A(3);
		B(1);
		MULTIPLY(0, 3, 1);
		B(2);
		MULTIPLY(1, 3, 2);
		B(3);
		MULTIPLY(2, 3, 3);
		A(2);
		MULTIPLY(1, 2, 3);
		B(2);
		MULTIPLY(3, 2, 2);
		A(1);
		B(3);
		MULTIPLY(0, 1, 3);
	}
	STORE(0, 4);
	STORE(1, 5);
	STORE(2, 6);
	STORE(3, MORE_S4);
}

static void sum_digits(const uint8_t *a, unsigned a_digits, const uint8_t *b, unsigned b_digits, size_t blocks,
		       struct sums *sums)
{
	MEMORY_IS_WRITTEN;
	if (a_digits == 3 && b_digits == 3)
		sum_three(a, b, blocks, 2, 2, sums);
	else if (b_digits == 3)
		sum_three(a, b, blocks, 3, 2, sums);
	else if (a_digits == 3)
		sum_three(a, b, blocks, 2, 3, sums);
	else
		sum_four(a, b, blocks, sums);
}

/* ---- From sums to results ---- */

/* 16 numbers of 64 bits. */
struct wide {
	__m512i low, high;
};

static inline struct wide add(struct wide x, struct wide y)
{
	const __m512i low = _mm512_add_epi32(x.low, y.low), high = _mm512_add_epi32(x.high, y.high);
	const __mmask16 carry = _mm512_cmplt_epu32_mask(low, x.low);

	return (struct wide){ low, _mm512_mask_sub_epi32(high, carry, high, _mm512_set1_epi32(-1)) };
}

/* The sums of a row, of which S`last` is the last. */
static inline __attribute__((always_inline)) struct wide sum_of_row(const struct sums *sums, size_t row, int last)
{
	__m512i s[7], carried, low, high;

	for (int i = 0; i <= last; i++)
		s[i] = _mm512_load_si512(sums->of[i][row]);
	if (last == 6) {
		s[3] = _mm512_add_epi32(s[3], _mm512_load_si512(sums->of[MORE_S3][row]));
		s[4] = _mm512_add_epi32(s[4], _mm512_load_si512(sums->of[MORE_S4][row]));
	}
	low = _mm512_add_epi32(_mm512_add_epi32(s[0], _mm512_slli_epi32(s[1], 8)),
			       _mm512_add_epi32(_mm512_slli_epi32(s[2], 16), _mm512_slli_epi32(s[3], 24)));
	/* What each hands on to the next: there is room for that in 32 bits. */
	carried = _mm512_add_epi32(s[1], _mm512_srai_epi32(s[0], 8));
	carried = _mm512_add_epi32(s[2], _mm512_srai_epi32(carried, 8));
	carried = _mm512_add_epi32(s[3], _mm512_srai_epi32(carried, 8));
	high = _mm512_add_epi32(s[4], _mm512_srai_epi32(carried, 8));
	if (last > 4)
		high = _mm512_add_epi32(high, _mm512_slli_epi32(s[5], 8));
	if (last > 5)
		high = _mm512_add_epi32(high, _mm512_slli_epi32(s[6], 16));
	return (struct wide){ low, high };
}

static inline __m512i even_lanes(struct wide x)
{
	return _mm512_mask_blend_epi32(0xaaaa, x.low, _mm512_slli_epi64(x.high, 32));
}

static inline __m512i odd_lanes(struct wide x)
{
	return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(x.low, 32), x.high);
}

static inline struct wide from_lanes(__m512i even, __m512i odd)
{
	return (struct wide){ _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)),
			      _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd) };
}

/* What a panel's columns get besides their sums: bias and rounding constant. */
static struct wide load_offset(const struct pe_product *p, size_t column, size_t width)
{
	const __m128i up = _mm_cvtsi32_si128((int)p->bias_up);
	const __m512i half = _mm512_set1_epi64(p->down ? (long long)(UINT64_C(1) << (p->down - 1)) : 0);
	const __m512i bias = p->bias ? _mm512_maskz_loadu_epi32((__mmask16)((1u << width) - 1), p->bias + column)
				     : _mm512_setzero_si512();
	const struct wide wide = { bias, _mm512_srai_epi32(bias, 31) };

	return from_lanes(_mm512_add_epi64(_mm512_sll_epi64(even_lanes(wide), up), half),
			  _mm512_add_epi64(_mm512_sll_epi64(odd_lanes(wide), up), half));
}

static inline struct wide shift_up(struct wide x, unsigned up)
{
	const __m128i count = _mm_cvtsi32_si128((int)up);

	return from_lanes(_mm512_sll_epi64(even_lanes(x), count), _mm512_sll_epi64(odd_lanes(x), count));
}

static inline struct wide shift_down(struct wide x, unsigned down)
{
	const __m128i count = _mm_cvtsi32_si128((int)down);

	/* Most are of this kind. */
	if (down < 32)
		return (struct wide){ _mm512_or_si512(_mm512_srl_epi32(x.low, count),
						      _mm512_sll_epi32(x.high, _mm_cvtsi32_si128((int)(32 - down)))),
				      _mm512_sra_epi32(x.high, count) };
	return from_lanes(_mm512_sra_epi64(even_lanes(x), count), _mm512_sra_epi64(odd_lanes(x), count));
}

/* Saturates and stores a row; returns the number of saturations. Columns beyond the edge are sums of zeros without
 * bias: they never saturate. */
static inline unsigned store_row(struct wide x, size_t width, int32_t *to)
{
	const __mmask16 limited = _mm512_cmpneq_epi32_mask(x.high, _mm512_srai_epi32(x.low, 31));
	unsigned count = 0;

	if (limited) {
		const __m512i limit = _mm512_xor_si512(_mm512_srai_epi32(x.high, 31), _mm512_set1_epi32(INT32_MAX));

		x.low = _mm512_mask_mov_epi32(x.low, limited, limit);
		count = (unsigned)__builtin_popcount(limited);
	}
	_mm512_mask_storeu_epi32(to, (__mmask16)((1u << width) - 1), x.low);
	return count;
}

struct place {
	size_t row, height, column, width;
	struct wide offset;
};

/* `before`: the sums of earlier chunks, or NULL. */
static inline __attribute__((always_inline)) uint64_t finish_tile(const struct pe_product *p, const struct sums *sums,
								  int last, const struct wide *before,
								  const struct place *place)
{
	uint64_t saturations = 0;

	for (size_t m = 0; m < place->height; m++) {
		struct wide x = sum_of_row(sums, m, last);

		if (before)
			x = add(x, before[m]);
		if (p->up)
			x = shift_up(x, p->up);
		x = add(x, place->offset);
		saturations += store_row(shift_down(x, p->down), place->width,
					 p->c + (place->row + m) * p->c_row + place->column);
	}
	return saturations;
}

static uint64_t tile(const struct pe_product *p, const uint8_t *a, unsigned a_digits, const uint8_t *b,
		     unsigned b_digits, const struct place *place)
{
	const int last = (int)(a_digits + b_digits) - 2;
	size_t blocks = (p->depth + AMX_BLOCK - 1) / AMX_BLOCK;
	struct wide before[AMX_ROWS];
	int chunked = 0;
	struct sums sums;

	for (; blocks > CHUNK / AMX_BLOCK; blocks -= CHUNK / AMX_BLOCK) {
		sum_digits(a, a_digits, b, b_digits, CHUNK / AMX_BLOCK, &sums);
		for (size_t m = 0; m < AMX_ROWS; m++) {
			const struct wide x = last == 4	  ? sum_of_row(&sums, m, 4)
					      : last == 5 ? sum_of_row(&sums, m, 5)
							  : sum_of_row(&sums, m, 6);

			before[m] = chunked ? add(before[m], x) : x;
		}
		chunked = 1;
		a += CHUNK / AMX_BLOCK * AMX_DIGITS * AMX_TILE;
		b += CHUNK / AMX_BLOCK * AMX_DIGITS * AMX_TILE;
	}
	sum_digits(a, a_digits, b, b_digits, blocks, &sums);
	if (last == 4)
		return finish_tile(p, &sums, 4, chunked ? before : NULL, place);
	if (last == 5)
		return finish_tile(p, &sums, 5, chunked ? before : NULL, place);
	return finish_tile(p, &sums, 6, chunked ? before : NULL, place);
}

/* ---- Products ---- */

/* A panel is cut, and how many digits it has stands behind it. */
void pe_amx_wide_panels(size_t column_from, size_t column_to, size_t depth, const int32_t *codes, size_t code_row,
			int32_t *to)
{
	for (size_t n = column_from; n < column_to; n += AMX_COLUMNS) {
		int32_t *panel = to + n / AMX_COLUMNS * pe_wide_panel_size(depth);

		panel[amx_cut_size(depth) / sizeof(int32_t)] = (int32_t)pe_amx_cut_turned_columns(
			codes + n * code_row, code_row, amx_at_most(column_to - n, AMX_COLUMNS), depth,
			(uint8_t *)panel);
	}
}

/* Where AMX pays, by measurement: tiles that are mostly filled, and enough of them for the work of cutting. */
static int pays(const struct pe_product *p, size_t rows, size_t columns)
{
	if (p->panels)
		return rows >= 3;
	return (rows >= 8 && p->depth >= 32) || (rows >= 16 && columns >= 64 && p->depth >= 16);
}

static uint64_t without_tiles(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from,
			      size_t column_to, void *scratch)
{
	struct pe_product other = *p;

	other.panels = NULL;
	return pe_avx512_vnni.product(&other, row_from, row_to, column_from, column_to, scratch);
}

/* Columns from `column` on as tiles: made when the weights changed, or now. */
static const uint8_t *columns_of(const struct pe_product *p, size_t column, size_t width, uint8_t *to, unsigned *digits)
{
	if (p->panels) {
		const int32_t *panel = p->panels + column / AMX_COLUMNS * pe_wide_panel_size(p->depth);

		*digits = (unsigned)panel[amx_cut_size(p->depth) / sizeof(int32_t)];
		return (const uint8_t *)panel;
	}
	*digits = p->b_row == 1
			  ? pe_amx_cut_turned_columns(p->b + column * p->b_column, p->b_column, width, p->depth, to)
			  : pe_amx_cut_columns(p, column, width, to);
	return to;
}

uint64_t pe_amx_product(const struct pe_product *p, size_t row_from, size_t row_to, size_t column_from,
			size_t column_to, void *scratch)
{
	const size_t size = amx_cut_size(p->depth), strip = pe_strip_rows(p->depth);
	uint8_t *const a = (uint8_t *)scratch + size;
	uint64_t saturations = 0;

	if (!pays(p, row_to - row_from, column_to - column_from))
		return without_tiles(p, row_from, row_to, column_from, column_to, scratch);
	_tile_loadconfig(&pe_amx_tiles);
	for (size_t top = row_from; top < row_to; top += strip) {
		const size_t bottom = amx_at_most(row_to, top + strip);
		unsigned a_digits[PE_STRIP_ROWS / AMX_ROWS], b_digits;

		for (size_t m = top; m < bottom; m += AMX_ROWS)
			a_digits[(m - top) / AMX_ROWS] = pe_amx_cut_rows(p, m, amx_at_most(bottom - m, AMX_ROWS),
									 a + (m - top) / AMX_ROWS * size);
		for (size_t n = column_from; n < column_to; n += AMX_COLUMNS) {
			const size_t width = amx_at_most(column_to - n, AMX_COLUMNS);
			const uint8_t *b = columns_of(p, n, width, scratch, &b_digits);
			struct place place = { .column = n, .width = width, .offset = load_offset(p, n, width) };

			for (size_t m = top; m < bottom; m += AMX_ROWS) {
				place.row = m;
				place.height = amx_at_most(bottom - m, AMX_ROWS);
				saturations += tile(p, a + (m - top) / AMX_ROWS * size, a_digits[(m - top) / AMX_ROWS],
						    b, b_digits, &place);
			}
		}
	}
	_tile_release();
	return saturations;
}

uint64_t pe_amx_byte_products(const struct pe_product *p, void *scratch, uint64_t *tiles)
{
	uint64_t row_digits = 0, column_digits = 0;
	unsigned digits;

	*tiles = 0;
	if (!pays(p, p->rows, p->columns))
		return 0;
	for (size_t m = 0; m < p->rows; m += AMX_ROWS)
		row_digits += pe_amx_cut_rows(p, m, amx_at_most(p->rows - m, AMX_ROWS), scratch);
	for (size_t n = 0; n < p->columns; n += AMX_COLUMNS) {
		columns_of(p, n, amx_at_most(p->columns - n, AMX_COLUMNS), scratch, &digits);
		column_digits += digits;
	}
	*tiles = (p->rows + AMX_ROWS - 1) / AMX_ROWS * ((p->columns + AMX_COLUMNS - 1) / AMX_COLUMNS);
	return row_digits * column_digits;
}
