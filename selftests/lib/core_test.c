// SPDX-License-Identifier: MIT
/*
 * Description: every engine agrees with the scalar one, whatever the shape, the strides and the values; threads share
 * work
 *
 * The golden tests say that the engines are right; this one goes where a table of examples does not reach.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

#include "fx/random.h"
#include "nn/network.h"
#include "pe/engine.h"
#include "pe/pool.h"

/* ---- Random inputs ---- */

static uint64_t stream;

static uint32_t word(void)
{
	const uint64_t i = stream++;

	return fx_random_word(1, FX_RANDOM_TEST, i >> 32, (uint32_t)i);
}

/* low to high, both included. */
static uint32_t between(uint32_t low, uint32_t high)
{
	return low + fx_random_below(word(), high - low + 1);
}

/* All magnitudes, and often the ends of the range. */
static int32_t value(void)
{
	static const int32_t corners[] = { INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX };

	if (between(0, 7) == 0)
		return corners[between(0, 6)];
	return (int32_t)word() >> between(0, 31);
}

static void fill(int32_t *values, size_t n)
{
	/* Some tensors of ends of the range alone, so that sums wrap around. */
	const uint32_t kind = between(0, 5);

	for (size_t i = 0; i < n; i++)
		values[i] = kind == 0 ? INT32_MIN : kind == 1 ? (word() & 1 ? INT32_MIN : INT32_MAX) : value();
}

/* ---- Products ---- */

#define MAX_ROWS 9
#define MAX_COLUMNS 40
#define MAX_DEPTH 500
#define PADDING 5 /* columns that lie in memory behind those of a matrix */
#define A_SIZE ((MAX_ROWS + PADDING) * (MAX_DEPTH + PADDING) + 3)
#define B_SIZE ((MAX_COLUMNS + PADDING) * (MAX_DEPTH + PADDING) + 3)
#define C_SIZE ((MAX_ROWS + 1) * (MAX_COLUMNS + PADDING))

static int32_t a_memory[A_SIZE], b_memory[B_SIZE], bias_memory[MAX_COLUMNS + 3];
static int32_t c_scalar[C_SIZE], c_other[C_SIZE];

enum pattern { FORWARD, DX, DW, ANY_STRIDE, PATTERNS };
static const char *const pattern_names[] = { "forward", "dX", "dW", "both read along strides" };

static struct pe_product random_product(enum pattern pattern)
{
	struct pe_product p = {
		.rows = between(1, MAX_ROWS),
		.columns = between(1, MAX_COLUMNS),
		.depth = between(0, 3) ? between(0, 40) : between(0, MAX_DEPTH),
		/* Nothing is aligned to more than one element. */
		.a = a_memory + between(0, 3),
		.b = b_memory + between(0, 3),
		.bias = between(0, 1) ? bias_memory + between(0, 3) : NULL,
		.up = between(0, 2) ? 0 : between(0, 63),
		.bias_up = between(0, 40),
		.down = between(0, 3) ? between(0, 40) : between(0, 63),
	};
	const size_t padding = between(0, 1) ? 0 : between(0, PADDING);

	p.a_row = pattern == DW || pattern == ANY_STRIDE ? 1 : p.depth + padding;
	p.a_column = pattern == DW || pattern == ANY_STRIDE ? p.rows + padding : 1;
	p.b_row = pattern == FORWARD ? 1 : p.columns + padding;
	p.b_column = pattern == FORWARD ? p.depth + padding : 1;
	if (pattern == ANY_STRIDE) {
		p.b_row = 2;
		p.b_column = 2 * p.depth + 1;
		p.columns = (p.columns + 1) / 2;
	}
	p.c_row = p.columns + padding;
	return p;
}

/* A random part of the product into C, whose other elements keep what was there. */
static int same_product(const struct pe_engine *engine, struct pe_product p, void *scratch)
{
	const size_t row_from = between(0, (uint32_t)p.rows), row_to = between((uint32_t)row_from, (uint32_t)p.rows);
	const int all = between(0, 1) != 0;
	const size_t column_from = between(0, (uint32_t)p.columns);
	const size_t column_to = between((uint32_t)column_from, (uint32_t)p.columns);
	uint64_t expected, count;

	memset(c_scalar, 0x5a, sizeof(c_scalar));
	memset(c_other, 0x5a, sizeof(c_other));
	p.c = c_scalar;
	expected = pe_scalar.product(&p, all ? 0 : row_from, all ? p.rows : row_to, all ? 0 : column_from,
				     all ? p.columns : column_to, NULL);
	p.c = c_other;
	count = engine->product(&p, all ? 0 : row_from, all ? p.rows : row_to, all ? 0 : column_from,
				all ? p.columns : column_to, scratch);
	if (count == expected && !memcmp(c_scalar, c_other, sizeof(c_scalar)))
		return 1;
	ktap_note("%zu x %zu, depth %zu, rows %zu to %zu, columns %zu to %zu, up %u, down %u: %" PRIu64 " saturations, "
		  "expected %" PRIu64,
		  p.rows, p.columns, p.depth, all ? 0 : row_from, all ? p.rows : row_to, all ? 0 : column_from,
		  all ? p.columns : column_to, p.up, p.down, count, expected);
	return 0;
}

static void test_products(const struct pe_engine *engine)
{
	void *scratch = aligned_alloc(64, pe_scratch_bytes(MAX_DEPTH) + 64);

	for (enum pattern pattern = 0; pattern < PATTERNS; pattern++) {
		int passed = 1;

		stream = (uint64_t)pattern << 32;
		for (int i = 0; passed && i < 400; i++) {
			/* The values change now and then; shapes and strides make other matrices of them. */
			if (i % 25 == 0) {
				fill(a_memory, A_SIZE);
				fill(b_memory, B_SIZE);
				fill(bias_memory, MAX_COLUMNS + 3);
			}
			passed = same_product(engine, random_product(pattern), scratch);
		}
		ktap_ok(passed, "engine %s: random products, %s", engine->name, pattern_names[pattern]);
	}
	free(scratch);
}

/*
 * Shapes that engines take in more than one piece each way, and values at the ends of what one, two, three and four bytes hold: bytes of
 * 255 make the largest sums of products of bytes, and a single wide element among narrow ones must not be overlooked.
 */
#define CONSTANTS 8
static const int32_t byte_ends[CONSTANTS] = { -1, 0x00ffffff, INT32_MAX, INT32_MIN, INT32_MIN + 0x00ffffff, (1 << 23) - 1, -(1 << 23), -(1 << 7) };

static void fill_bytes(int32_t *values, size_t n)
{
	static const int32_t ends[] = { (1 << 23) - 1, 1 << 23, -(1 << 23), -(1 << 23) - 1, (1 << 15) - 1, -(1 << 15), 0, -1, 1 };
	const uint32_t kind = between(0, 4);
	const int32_t constant = byte_ends[between(0, CONSTANTS - 1)];

	for (size_t i = 0; i < n; i++)
		values[i] = kind == 0 ? constant : kind == 1 ? value() : (int32_t)word() >> between(8, 31);
	if (kind == 3)
		values[between(0, (uint32_t)n - 1)] = ends[between(0, 3)];
	for (size_t i = 0; kind == 4 && i < n; i++)
		values[i] = ends[between(0, 8)];
}

struct large {
	uint32_t rows, columns, depth;	/* the most */
	int times;
	const char *name;
};

static int32_t *allocate(size_t n)
{
	int32_t *memory = calloc(n, sizeof(int32_t));

	if (!memory)
		abort();
	return memory;
}

static int same_large_product(const struct pe_engine *engine, enum pattern pattern, const struct large *most)
{
	const int turned = pattern == DW || pattern == ANY_STRIDE;
	struct pe_product p = {
		.rows = between(1, most->rows), .columns = between(1, most->columns),
		.depth = between(most->depth > 8192 ? 8192 : 1, most->depth),
		.up = between(0, 3) ? 0 : between(1, 40), .bias_up = between(0, 40),
		.down = between(0, 7) ? between(10, 40) : between(0, 63),
	};
	const size_t row_from = between(0, 2) ? 0 : between(0, (uint32_t)p.rows), row_to = between((uint32_t)row_from, (uint32_t)p.rows);
	const size_t column_from = between(0, 2) ? 0 : between(0, (uint32_t)p.columns);
	const size_t column_to = between((uint32_t)column_from, (uint32_t)p.columns), spread = pattern == ANY_STRIDE ? 2 : 1;
	const size_t results = p.rows * p.columns;
	int32_t *a = allocate(p.rows * p.depth), *b = allocate(p.columns * p.depth * spread + 1), *bias = allocate(p.columns);
	int32_t *expected = allocate(results), *result = allocate(results);
	void *scratch = aligned_alloc(64, pe_scratch_bytes(p.depth));
	uint64_t expected_count, count;
	int same;

	fill_bytes(a, p.rows * p.depth);
	fill_bytes(b, p.columns * p.depth * spread);
	fill(bias, p.columns);
	p.a = a;
	p.b = b;
	p.bias = between(0, 1) ? bias : NULL;
	p.a_row = turned ? 1 : p.depth;
	p.a_column = turned ? p.rows : 1;
	p.b_row = pattern == FORWARD ? 1 : pattern == ANY_STRIDE ? 2 : p.columns;
	p.b_column = pattern == FORWARD ? p.depth : pattern == ANY_STRIDE ? 2 * p.depth : 1;
	p.c_row = p.columns;
	p.c = expected;
	expected_count = pe_scalar.product(&p, row_from, row_to, column_from, column_to, NULL);
	p.c = result;
	count = engine->product(&p, row_from, row_to, column_from, column_to, scratch);
	same = count == expected_count && !memcmp(expected, result, results * sizeof(int32_t));
	if (!same)
		ktap_note("%s, %zu x %zu, depth %zu, rows %zu to %zu, columns %zu to %zu, up %u, down %u: %" PRIu64
			  " saturations, expected %" PRIu64,
			  pattern_names[pattern], p.rows, p.columns, p.depth, row_from, row_to, column_from, column_to, p.up, p.down,
			  count, expected_count);
	free(a);
	free(b);
	free(bias);
	free(expected);
	free(result);
	free(scratch);
	return same;
}

static void test_large_products(const struct pe_engine *engine)
{
	static const struct large kinds[] = {
		{ 150, 70, 200, 60, "several tiles each way" },
		{ 300, 20, 40, 30, "several strips of rows" },
		{ 40, 40, 2100, 12, "long rows" },
		{ 20, 20, 26000, 16, "rows longer than sums of bytes may be" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int passed = 1;

		stream = (UINT64_C(30) + i) << 32;
		for (int k = 0; passed && k < kinds[i].times * PATTERNS; k++)
			passed = same_large_product(engine, (enum pattern)(k % PATTERNS), &kinds[i]);
		ktap_ok(passed, "engine %s: random products, %s", engine->name, kinds[i].name);
	}
}

/* Long rows of nothing but one value: the largest sums that bytes can have. */
static void test_largest_sums(const struct pe_engine *engine)
{
	enum { ROWS = 8, MOST = 40000 };
	static const size_t depths[] = { 8192, 11072, 16400, MOST };
	int32_t *a = allocate(ROWS * MOST), *b = allocate(MOST), result[ROWS];
	void *scratch = aligned_alloc(64, pe_scratch_bytes(MOST));
	int passed = 1;

	for (size_t i = 0; i < CONSTANTS; i++) {
		for (size_t k = 0; k < ROWS * MOST; k++)
			a[k] = byte_ends[i];
		for (size_t j = 0; j < CONSTANTS; j++) {
			for (size_t k = 0; k < MOST; k++)
				b[k] = byte_ends[j];
			for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
				const uint64_t sum = (uint64_t)((int64_t)byte_ends[i] * byte_ends[j]) * depths[d];
				struct pe_product p = {
					.rows = ROWS, .columns = 1, .depth = depths[d],
					.a = a, .a_row = depths[d], .a_column = 1,
					.b = b, .b_row = 1, .b_column = depths[d],
					.c = result, .c_row = 1,
				};

				/* The lower half of the sum, and the upper. */
				p.up = 32;
				p.down = 32;
				passed &= engine->product(&p, 0, ROWS, 0, 1, scratch) == 0 && result[ROWS - 1] == (int32_t)sum;
				p.up = 0;
				passed &= engine->product(&p, 0, ROWS, 0, 1, scratch) == 0 &&
					  result[ROWS - 1] == (int32_t)((sum + (UINT64_C(1) << 31)) >> 32);
				if (!passed) {
					ktap_note("%zu products of %d and %d", depths[d], byte_ends[i], byte_ends[j]);
					i = j = CONSTANTS;
					break;
				}
			}
		}
	}
	ktap_ok(passed, "engine %s: the largest sums of bytes", engine->name);
	free(a);
	free(b);
	free(scratch);
}

/* Sums that can be said by hand: 2^62 added n times is a multiple of 2^62 modulo 2^64. */
static void test_wrap(const struct pe_engine *engine)
{
	static const int32_t expected[4] = { 0, 1 << 30, INT32_MIN, -(1 << 30) };
	int32_t least[16], result[5 * 9];
	void *scratch = aligned_alloc(64, pe_scratch_bytes(16));
	int passed = 1;

	for (int i = 0; i < 16; i++)
		least[i] = INT32_MIN;
	for (size_t depth = 0; depth <= 12; depth++) {
		const struct pe_product p = {
			.rows = 5,
			.columns = 9,
			.depth = depth,
			.a = least,
			.a_column = 1,
			.b = least,
			.b_row = 1,
			.down = 32,
			.c = result,
			.c_row = 9,
		};

		passed &= engine->product(&p, 0, 5, 0, 9, scratch) == 0;
		for (int i = 0; i < 5 * 9; i++)
			passed &= result[i] == expected[depth % 4];
	}
	ktap_ok(passed, "engine %s: sums wrap around modulo 2^64", engine->name);
	free(scratch);
}

/* ---- Element-wise passes ---- */

#define MAX_LENGTH 70

static void test_quantize(const struct pe_engine *engine)
{
	int32_t values[MAX_LENGTH + 1], expected[MAX_LENGTH + 1], codes[MAX_LENGTH + 1];
	int passed = 1;

	stream = UINT64_C(10) << 32;
	for (unsigned shift = 0; shift <= 38; shift++) {
		for (int width = 2; passed && width <= 31; width++) {
			const int is_signed = word() & 1;
			const int32_t low = is_signed ? -(1 << (width - 1)) : 0;
			const int32_t high = (int32_t)((UINT32_C(1) << (is_signed ? width - 1 : width)) - 1);
			const size_t n = between(0, MAX_LENGTH), start = between(0, 1);
			uint64_t count;

			fill(values, MAX_LENGTH + 1);
			memcpy(expected, values, sizeof(values));
			memcpy(codes, values, sizeof(values));
			count = pe_scalar.quantize(n - (n && start), values + start, shift, low, high,
						   expected + start);
			/* In place, as lib/nn does it. */
			passed = engine->quantize(n - (n && start), codes + start, shift, low, high, codes + start) ==
					 count &&
				 !memcmp(codes, expected, sizeof(codes));
			if (!passed)
				ktap_note("%zu values, shift %u, %d to %d", n, shift, low, high);
		}
	}
	ktap_ok(passed, "engine %s: quantization by all shifts to all widths", engine->name);
}

static void test_adam(const struct pe_engine *engine)
{
	int32_t gradient[MAX_LENGTH], weight[2][MAX_LENGTH], moment1[2][MAX_LENGTH];
	uint32_t moment2[2][MAX_LENGTH];
	int passed = 1;

	stream = UINT64_C(11) << 32;
	for (int i = 0; passed && i < 2000; i++) {
		const struct nn_adam settings = {
			between(0, 9) ? between(1, (UINT32_C(1) << 31) - (UINT32_C(1) << 11)) : 0,
			between(UINT32_C(1) << 12, (UINT32_C(1) << 31) - 1) >> between(0, 8) | UINT32_C(1) << 12,
			between(UINT32_C(1) << 30, (UINT32_C(1) << 31) - 1),
			between(31, 50),
		};
		struct pe_adam_counts counts[2] = { { 0, 0 }, { 0, 0 } };
		uint64_t powers[2] = { UINT64_C(1) << 62, UINT64_C(1) << 62 };
		const size_t n = between(0, MAX_LENGTH);
		struct pe_adam constants;

		for (uint32_t t = between(1, 20); t; t--)
			nn_adam_step_size(&settings, powers, &constants);
		for (size_t k = 0; k < n; k++) {
			gradient[k] = between(0, 3) ? value() : 0;
			weight[0][k] = weight[1][k] = value();
			moment1[0][k] = moment1[1][k] = value();
			moment2[0][k] = moment2[1][k] = between(0, 7) ? word() >> between(0, 31) : UINT32_MAX << between(0, 5);
		}
		pe_scalar.adam(n, gradient, moment1[0], moment2[0], weight[0], &constants, &counts[0]);
		engine->adam(n, gradient, moment1[1], moment2[1], weight[1], &constants, &counts[1]);
		passed = !memcmp(weight[0], weight[1], n * sizeof(int32_t)) &&
			 !memcmp(moment2[0], moment2[1], n * sizeof(uint32_t)) &&
			 !memcmp(moment1[0], moment1[1], n * sizeof(int32_t)) &&
			 !memcmp(&counts[0], &counts[1], sizeof(counts[0]));
		if (!passed)
			ktap_note("%zu elements, beta1 %u, 1 - beta2 %u, step size %u / 2^%u", n, settings.beta1,
				  settings.one_minus_beta2, constants.step_mantissa, constants.step_shift);
	}
	ktap_ok(passed, "engine %s: Adam on random elements", engine->name);
}

static void test_soft_update(const struct pe_engine *engine)
{
	static const uint32_t corners[] = { 1, 2, 10737418, INT32_MAX, UINT32_C(1) << 31 };
	int32_t weight[MAX_LENGTH], target[2][MAX_LENGTH];
	int passed = 1;

	stream = UINT64_C(12) << 32;
	for (uint32_t i = 0; passed && i < 1000; i++) {
		const uint32_t tau = i < 100 ? corners[i % 5] : between(1, UINT32_C(1) << 31);
		const size_t n = between(0, MAX_LENGTH);

		for (size_t k = 0; k < n; k++) {
			weight[k] = value();
			target[0][k] = target[1][k] = value();
		}
		pe_scalar.soft_update(n, weight, target[0], tau);
		engine->soft_update(n, weight, target[1], tau);
		passed = !memcmp(target[0], target[1], n * sizeof(int32_t));
		for (size_t k = 0; k < n && tau == UINT32_C(1) << 31; k++)
			passed &= target[1][k] == weight[k];
		if (!passed)
			ktap_note("%zu elements, tau %u", n, tau);
	}
	ktap_ok(passed, "engine %s: soft update of random elements", engine->name);
}

static void test_range(const struct pe_engine *engine)
{
	int32_t values[MAX_LENGTH];
	int passed = 1;

	stream = UINT64_C(13) << 32;
	for (uint32_t i = 0; passed && i < 2000; i++) {
		const size_t n = i % MAX_LENGTH;
		/* Nothing observed yet, or a range that may be inside, outside or neither. */
		const int32_t a = value(), b = value(), empty = (int32_t)(i % 2);
		int32_t low[2], high[2];

		for (size_t k = 0; k < n; k++)
			values[k] = (int32_t)word() >> (i % 3 * 10);
		low[0] = low[1] = empty ? INT32_MAX : a < b ? a : b;
		high[0] = high[1] = empty ? INT32_MIN : a < b ? b : a;
		pe_scalar.range(n, values, &low[0], &high[0]);
		engine->range(n, values, &low[1], &high[1]);
		passed = low[0] == low[1] && high[0] == high[1];
		if (!passed)
			ktap_note("%zu values: %d to %d, expected %d to %d", n, low[1], high[1], low[0], high[0]);
	}
	ktap_ok(passed, "engine %s: ranges, from the empty one and from others", engine->name);
}

/* ---- In the long run ---- */

/* Gradient 0 for 100,000 steps, after 1,000 in which the momentum of better times fades. */
static void test_dead_unit(const struct pe_engine *engine)
{
	enum { N = 21 };
	const struct nn_adam settings = { 1932735283, 4294967, 1099511628, 40 };
	uint64_t powers[2] = { UINT64_C(1) << 62, UINT64_C(1) << 62 };
	int32_t gradient[N] = { 0 }, moment1[N], weight[N], faded[N];
	struct pe_adam_counts counts = { 0, 0 };
	struct pe_adam constants;
	uint32_t moment2[N];
	int64_t farthest = 0;

	stream = UINT64_C(14) << 32;
	for (int i = 0; i < N; i++) {
		const int32_t w = (int32_t)word();

		const uint64_t root = (uint64_t)(w < 0 ? -(int64_t)w : w) >> i, square = root ? root * root : 1;

		/* A second moment that the first can have come with. */
		moment1[i] = w >> i;
		moment2[i] = fx_moment2_code(square, fx_even_zeros(square));
		weight[i] = (int32_t)word() >> 3;
	}
	for (int t = 0; t < 101000; t++) {
		nn_adam_step_size(&settings, powers, &constants);
		engine->adam(N, gradient, moment1, moment2, weight, &constants, &counts);
		if (t == 999)
			memcpy(faded, weight, sizeof(weight));
	}
	for (int i = 0; i < N; i++) {
		const int64_t distance = llabs((int64_t)weight[i] - faded[i]);

		farthest = distance > farthest ? distance : farthest;
	}
	ktap_ok(farthest <= 4,
		"engine %s: weights without gradient moved %" PRId64 " units in 100,000 steps, at most 4", engine->name,
		farthest);
}

/* Targets come within the dead zone of a network that does not change, and never pass it. */
static void test_targets(const struct pe_engine *engine)
{
	static const uint32_t taus[] = { UINT32_C(1) << 31, UINT32_C(1) << 29, 10737418, 2147484 };
	static const int steps[] = { 1, 100, 6000, 40000 };
	enum { N = 19 };

	for (size_t k = 0; k < sizeof(taus) / sizeof(taus[0]); k++) {
		const int64_t zone = (INT64_C(1) << 30) / taus[k];
		int32_t weight[N], target[N], last[N];
		int64_t farthest = 0;
		int passed = 1;

		stream = UINT64_C(20) << 32;
		for (int n = 0; n < N; n++) {
			weight[n] = (int32_t)word();
			target[n] = (int32_t)word();
		}
		weight[0] = target[1] = INT32_MAX;
		weight[1] = target[0] = INT32_MIN;
		for (int i = 0; i < steps[k]; i++) {
			memcpy(last, target, sizeof(last));
			engine->soft_update(N, weight, target, taus[k]);
			for (int n = 0; n < N; n++)
				passed &= last[n] <= weight[n] ? target[n] >= last[n] && target[n] <= weight[n]
							       : target[n] <= last[n] && target[n] >= weight[n];
		}
		for (int n = 0; n < N; n++) {
			const int64_t distance = llabs((int64_t)weight[n] - target[n]);

			farthest = distance > farthest ? distance : farthest;
		}
		ktap_ok(passed && farthest <= zone,
			"engine %s, tau %u / 2^31: targets end %" PRId64 " units off, at most %" PRId64, engine->name,
			taus[k], farthest, zone);
	}
}

/* ---- Threads ---- */

#define MAX_THREADS 4

struct calls {
	unsigned expected, wrong;
	unsigned seen[MAX_THREADS];
};

static void count_call(void *user, unsigned part, unsigned parts)
{
	struct calls *calls = user;

	if (parts != calls->expected || part >= parts)
		__atomic_fetch_add(&calls->wrong, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&calls->seen[part], 1, __ATOMIC_RELAXED);
}

static void test_pool(unsigned threads)
{
	enum { ROUNDS = 300 };
	struct calls calls = { .expected = threads };
	struct pe_pool *pool = NULL;
	int passed = !pe_pool_create(threads, &pool) && pe_pool_threads(pool) == threads;
	unsigned rounds = 0;

	for (int i = 0; passed && i < ROUNDS; i++) {
		pe_pool_run(pool, count_call, &calls);
		rounds++;
		/* When it returns, all parts are done. */
		for (unsigned part = 0; part < threads; part++)
			passed &= __atomic_load_n(&calls.seen[part], __ATOMIC_RELAXED) == rounds;
	}
	ktap_ok(passed && !calls.wrong, "pool of %u: every part runs once in each of %d rounds", threads, ROUNDS);

	calls = (struct calls){ .expected = 1 };
	if (pool)
		pe_pool_share(pool, PE_POOL_LEAST - 1, count_call, &calls);
	pe_pool_share(NULL, SIZE_MAX, count_call, &calls);
	ktap_ok(calls.seen[0] == 2 && !calls.wrong,
		"pool of %u: small work and work without a pool stay on this thread", threads);
	pe_pool_destroy(pool);
}

/* Also pools that never worked, whose threads may still be starting. */
static void test_pool_lifetime(void)
{
	int passed = 1;

	for (unsigned i = 0; i < 40; i++) {
		struct calls calls = { .expected = i % MAX_THREADS + 1 };
		struct pe_pool *pool;

		passed &= !pe_pool_create(calls.expected, &pool);
		if (i % 3 == 0)
			pe_pool_run(pool, count_call, &calls);
		passed &= calls.seen[calls.expected - 1] == (i % 3 == 0);
		pe_pool_destroy(pool);
	}
	pe_pool_destroy(NULL);
	ktap_ok(passed, "pools are made and destroyed, used or not");
}

static void test_engine_names(void)
{
	int passed = pe_engine_find("scalar") == &pe_scalar && pe_engine_find(NULL) &&
		     pe_engine_find(NULL) == pe_engine_find("auto");

	passed &= !pe_engine_find("none") && !pe_engine_known("none") && pe_engine_known("neon") &&
		  pe_engine_known("avx2");
	for (size_t i = 0; i < ENGINES; i++)
		passed &= pe_engine_known(engine_names[i]) &&
			  (!pe_engine_find(engine_names[i]) ||
			   !strcmp(pe_engine_find(engine_names[i])->name, engine_names[i]));
	ktap_ok(passed, "engines are found by name");
}

int main(void)
{
	ktap_start();
	test_engine_names();
	for (size_t i = 1; i < ENGINES; i++) {
		const struct pe_engine *engine = engine_or_skip(i, engine_names[i]);

		if (!engine)
			continue;
		test_products(engine);
		test_large_products(engine);
		test_largest_sums(engine);
		test_quantize(engine);
		test_adam(engine);
		test_soft_update(engine);
		test_range(engine);
	}
	for (size_t i = 0; i < ENGINES; i++) {
		char name[40];
		const struct pe_engine *engine;

		snprintf(name, sizeof(name), "engine %s: sums, dead units, targets", engine_names[i]);
		engine = engine_or_skip(i, name);
		if (!engine)
			continue;
		test_wrap(engine);
		test_dead_unit(engine);
		test_targets(engine);
	}
	for (unsigned threads = 1; threads <= MAX_THREADS; threads++)
		test_pool(threads);
	test_pool_lifetime();
	return ktap_finish();
}
