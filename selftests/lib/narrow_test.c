// SPDX-License-Identifier: MIT
/*
 * Description: products through 16-bit multipliers give the bits of the scalar engine, whatever the shape, the widths and the values;
 * panels and passes over operands too
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/operands.h"

static uint64_t stream;

static uint32_t word(void)
{
	const uint64_t i = stream++;

	return fx_random_word(3, FX_RANDOM_TEST, i >> 32, (uint32_t)i);
}

static uint32_t between(uint32_t low, uint32_t high)
{
	return low + fx_random_below(word(), high - low + 1);
}

#define MAX_ROWS 40
#define MAX_COLUMNS 70
#define MAX_DEPTH 530
#define CODES ((MAX_DEPTH + 8) * (MAX_COLUMNS + 8))

static int32_t a[CODES], b[CODES], bias[MAX_COLUMNS], expected[MAX_ROWS * MAX_COLUMNS], result[MAX_ROWS * MAX_COLUMNS];

/* Codes of n bits: all sizes, ends of the range alone, or one sign alone so that sums are as large as they can be. */
static void fill(int32_t *codes, unsigned bits, size_t n)
{
	const uint32_t kind = between(0, 4);
	const int32_t high = (int32_t)((UINT32_C(1) << (bits - 1)) - 1), low = -high - 1;

	for (size_t i = 0; i < n; i++)
		codes[i] = kind == 0 ? low :
			   kind == 1 ? (word() & 1 ? low : high) :
			   kind == 2 ? high :
				       (int32_t)word() >> (32 - bits) >> (kind == 3 ? 0 : between(0, bits - 1));
}

/* What was proved exact in one go, exact in chunks, and not at all. */
static unsigned whole, chunked, refused;

/* Aligned as the kernels want it; the size that aligned_alloc() is asked for must be a multiple of that. */
static void *allocate(size_t bytes)
{
	return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static int same_product(const struct pe_form_ops *form)
{
	const size_t rows = between(1, MAX_ROWS), columns = between(1, MAX_COLUMNS), depth = between(1, between(0, 3) ? 60 : MAX_DEPTH);
	const unsigned a_bits = between(2, between(0, 1) ? 16 : NN_SPLIT_BITS);
	const unsigned b_bits = between(2, a_bits > 16 ? 16 : between(0, 1) ? 16 : NN_SPLIT_BITS);
	const int a_turned = (int)between(0, 1), b_turned = (int)between(0, 1);
	const size_t a_row = a_turned ? rows + between(0, 3) : depth + between(0, 3);
	const size_t b_row = b_turned ? depth + between(0, 3) : columns + between(0, 3);
	const size_t row_from = between(0, (uint32_t)rows - 1), row_to = between((uint32_t)row_from, (uint32_t)rows);
	const size_t column_from = between(0, ((uint32_t)columns - 1) / PE_PANEL_COLUMNS) * PE_PANEL_COLUMNS;
	const size_t pair = between(0, (uint32_t)(depth + 1) / 2), pairs = (depth + 1) / 2;
	const struct pe_product plain = {
		.rows = rows, .columns = columns, .depth = depth,
		.a = a, .a_row = a_turned ? 1 : a_row, .a_column = a_turned ? a_row : 1,
		.b = b, .b_row = b_turned ? 1 : b_row, .b_column = b_turned ? b_row : 1,
		.bias = between(0, 1) ? bias : NULL,
		.up = between(0, 3) ? 0 : between(0, 20), .bias_up = between(0, 20), .down = between(0, 30),
		.c = expected, .c_row = columns,
	};
	struct pe_narrow p = {
		.rows = rows, .columns = columns, .depth = depth,
		.a_row = (depth + 31) & ~(size_t)31, .a_split = nn_split(a_bits), .b_split = nn_split(b_bits),
		.bias = plain.bias, .up = plain.up, .bias_up = plain.bias_up, .down = plain.down,
		.c = result, .c_row = columns,
	};
	struct pe_norms a_norms = { 0 }, b_norms = { 0 }, more = { 0 };
	int16_t *a_pieces = allocate(2 * rows * p.a_row * sizeof(int16_t));
	int16_t *b_pieces = allocate((columns + 15) / 16 * 2 * pe_panel_size(depth) * sizeof(int16_t));
	uint64_t count, wanted;
	int same;

	fill(a, a_bits, CODES);
	fill(b, b_bits, CODES);
	(a_turned ? form->turned_rows : form->rows)(&p.a_split, rows, depth, a, a_row, a_pieces, p.a_row, &a_norms);
	if (b_turned) {
		form->turned_panels(&p.b_split, column_from, columns, depth, b, b_row, b_pieces, &b_norms);
		form->turned_panels(&p.b_split, 0, column_from, depth, b, b_row, b_pieces, &b_norms);
	} else {
		form->panels(&p.b_split, columns, depth, 0, pair, b, b_row, b_pieces, &b_norms);
		form->panels(&p.b_split, columns, depth, pair, pairs, b, b_row, b_pieces, &more);
		nn_add_norms(&b_norms, &more);
	}
	p.a = a_pieces;
	p.b = b_pieces;
	p.chunk = nn_chunk(depth, &p.a_split, a_bits, &a_norms, &p.b_split, b_bits, &b_norms);
	whole += p.chunk >= depth;
	chunked += p.chunk && p.chunk < depth;
	refused += !p.chunk;
	memset(expected, 0x5a, sizeof(expected));
	memset(result, 0x5a, sizeof(result));
	if (!p.chunk) {
		same = 1;
	} else {
		wanted = pe_scalar.product(&plain, row_from, row_to, column_from, columns, NULL);
		count = form->product(&p, row_from, row_to, column_from, columns);
		same = count == wanted && !memcmp(expected, result, sizeof(result));
	}
	if (!same)
		ktap_note("%zu x %zu, depth %zu, %u x %u bits, chunk %zu, rows %zu to %zu, from column %zu, up %u, down %u", rows, columns,
			  depth, a_bits, b_bits, p.chunk, row_from, row_to, column_from, p.up, p.down);
	free(a_pieces);
	free(b_pieces);
	return same;
}

static void test_products(const struct pe_form_ops *form, const char *name)
{
	int passed = 1;

	stream = 0;
	whole = chunked = refused = 0;
	for (int i = 0; passed && i < 1000; i++) {
		if (i % 50 == 0)
			for (int n = 0; n < MAX_COLUMNS; n++)
				bias[n] = (int32_t)word() >> between(0, 31);
		passed = same_product(form);
	}
	ktap_ok(passed && whole > 100 && chunked > 50 && refused > 3,
		"%s: random products, %u exact in one sum, %u in chunks, %u too wide", name, whole, chunked, refused);
}

static void test_wide_panels(const struct pe_engine *engine, const struct pe_form_ops *form, const char *name)
{
	int32_t *panels = allocate((MAX_COLUMNS + 15) / 16 * pe_wide_panel_size(MAX_DEPTH) * sizeof(int32_t));
	void *scratch = allocate(pe_scratch_bytes(MAX_DEPTH));
	int passed = 1;

	stream = UINT64_C(1) << 32;
	for (int i = 0; passed && i < 300; i++) {
		struct pe_product p = {
			.rows = between(1, MAX_ROWS), .columns = between(1, MAX_COLUMNS), .depth = between(1, 100),
			.a = a, .a_column = 1, .b = b, .b_row = 1, .bias = bias, .down = between(0, 40),
			.c = expected,
		};
		uint64_t wanted;

		p.a_row = p.b_column = p.depth;
		p.c_row = p.columns;
		fill(a, between(2, 32), CODES);
		fill(b, between(2, 32), CODES);
		memset(expected, 0x5a, sizeof(expected));
		memset(result, 0x5a, sizeof(result));
		wanted = pe_scalar.product(&p, 0, p.rows, 0, p.columns, NULL);
		form->wide_panels(0, p.columns, p.depth, b, p.depth, panels);
		p.c = result;
		p.panels = panels;
		passed = engine->product(&p, 0, p.rows, 0, p.columns, scratch) == wanted && !memcmp(expected, result, sizeof(result));
	}
	ktap_ok(passed, "%s: products from panels of 32 bits", name);
	free(panels);
	free(scratch);
}

static void test_operand(const struct pe_engine *engine)
{
	enum { N = 100 };
	int32_t values[2][N], mask[N];
	int passed = 1;

	stream = UINT64_C(2) << 32;
	for (int i = 0; passed && i < 4000; i++) {
		const size_t n = between(0, N);
		const unsigned width = between(2, 31), is_signed = between(0, 1);
		struct pe_operand operand[2] = { {
			.mask = between(0, 2) ? NULL : mask,
			.quantize = (int)between(0, 1), .shift = between(0, 40),
			.low = is_signed ? -(INT32_C(1) << (width - 1)) : 0,
			.high = (int32_t)((UINT32_C(1) << (is_signed ? width - 1 : width)) - 1),
			.minimum = between(0, 1) ? INT32_MAX : 0, .maximum = between(0, 1) ? INT32_MIN : 5,
		} };
		uint64_t count[2];

		operand[0].rectify = !operand[0].mask && between(0, 1);
		operand[1] = operand[0];
		for (size_t k = 0; k < N; k++) {
			values[0][k] = values[1][k] = between(0, 9) ? (int32_t)word() >> between(0, 31) : word() & 1 ? INT32_MIN : INT32_MAX;
			mask[k] = (int32_t)word() >> between(0, 31);
		}
		count[0] = pe_scalar.operand(&operand[0], n, values[0]);
		count[1] = engine->operand(&operand[1], n, values[1]);
		passed = count[0] == count[1] && !memcmp(values[0], values[1], sizeof(values[0])) &&
			 operand[0].minimum == operand[1].minimum && operand[0].maximum == operand[1].maximum;
		if (!passed)
			ktap_note("%zu values, shift %u, %d to %d", n, operand[0].shift, operand[0].low, operand[0].high);
	}
	ktap_ok(passed, "engine %s: passes over operands", engine->name);
}

int main(void)
{
	ktap_start();
	for (size_t i = 0; i < ENGINES; i++) {
		const struct pe_engine *engine = engine_or_skip(i, engine_names[i]);

		if (!engine)
			continue;
		test_operand(engine);
		if (!engine->form)
			continue;
		test_products(engine->form, engine->name);
		test_wide_panels(engine, engine->form, engine->name);
#if defined(__x86_64__)
		/* The older instructions, which newer processors have too. */
		if (engine == &pe_avx512_vnni) {
			test_products(pe_avx512.form, "avx512 without VNNI");
			test_wide_panels(&pe_avx512, pe_avx512.form, "avx512 without VNNI");
		}
#endif
	}
	return ktap_finish();
}
