// SPDX-License-Identifier: MIT
/*
 * Description: every operation of the arithmetic gives the bits of the independent reference, with every engine
 *
 * golden_train_test.c has whole agents, golden_edge_test.c what is computed outside of the device.
 */
#include "engines.h"
#include "golden.h"

#include "fx/fixed.h"
#include "fx/random.h"
#include "nn/network.h"
#include "nn/operands.h"
#include "pe/engine.h"
#include "step/agent.h"

/* ---- Single functions: a check looks at one row ---- */

typedef int (*row_check)(const struct golden_table *table, const struct golden_row *row);

static int check_rhu(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, fx_round_half_up(row->in[0], (unsigned)row->in[1]));
}

static int check_rtz(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, fx_round_toward_zero(row->in[0], (unsigned)row->in[1]));
}

static int check_requantize(const struct golden_table *table, const struct golden_row *row)
{
	uint64_t count = 0;

	return golden_same(table, row, 0, fx_requantize(row->in[0], (int)row->in[1], (int)row->in[2], &count)) &&
	       golden_same(table, row, 1, (int64_t)count);
}

static int check_tanh(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, fx_tanh((int32_t)row->in[0])) &&
	       golden_same(table, row, 1, fx_tanh_slope((int32_t)row->in[0]));
}

static int check_rsqrt(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, fx_reciprocal_square_root((uint32_t)row->in[0]));
}

static int check_philox(const struct golden_table *table, const struct golden_row *row)
{
	const uint32_t block = (uint32_t)row->in[3];
	const struct fx_random_block b =
		fx_random_philox((uint64_t)row->in[0], (uint32_t)row->in[1], (uint64_t)row->in[2], block);

	for (uint32_t i = 0; i < 4; i++)
		if (!golden_same(table, row, i, b.word[i]) ||
		    (block < UINT32_MAX / 4 && b.word[i] != fx_random_word((uint64_t)row->in[0], (uint32_t)row->in[1],
									   (uint64_t)row->in[2], 4 * block + i)))
			return 0;
	return 1;
}

static int check_normal(const struct golden_table *table, const struct golden_row *row)
{
	const int64_t *in = row->in;
	const struct fx_random_block block = { { (uint32_t)in[0], (uint32_t)in[1], (uint32_t)in[2], (uint32_t)in[3] } };

	return golden_same(table, row, 0, fx_random_normal(block));
}

static int check_noise(const struct golden_table *table, const struct golden_row *row)
{
	const size_t dim = (size_t)row->in[5];
	int32_t state[64], action[64];
	uint64_t count = (uint64_t)row->in[4];
	struct step_agent agent = {
		.config = { .seed = (uint64_t)row->in[3], .action_dim = (uint32_t)dim },
		.mode = { .noise = row->in[0] ? STEP_NOISE_OU : STEP_NOISE_GAUSSIAN,
			  .noise_sigma = (int32_t)row->in[1],
			  .noise_theta = (int32_t)row->in[2] },
		.noise_count = &count,
		.noise_state = state,
	};

	for (size_t j = 0; j < dim; j++) {
		state[j] = (int32_t)row->in[6 + j];
		action[j] = (int32_t)row->in[6 + dim + j];
	}
	step_add_noise(&agent, action);
	return golden_same_all(table, row, 0, dim, action) && golden_same_all(table, row, dim, dim, state) &&
	       count == (uint64_t)row->in[4] + 1;
}

/* One tensor of a network whose other tensors are empty. */
static int check_init(const struct golden_table *table, const struct golden_row *row)
{
	const uint32_t layer = (uint32_t)row->in[2], inputs = (uint32_t)row->in[4];
	const size_t count = (size_t)row->in[5];
	const int last = row->in[6] != 0;
	struct nn_network *network = golden_memory(1, sizeof(*network));
	int32_t *values = golden_memory(count, sizeof(*values));
	struct nn_parameter *parameter = row->in[3] ? &network->layer[layer].bias : &network->layer[layer].weight;
	int equal;

	network->layers = last ? layer + 1 : layer + 2;
	for (uint32_t l = 0; l < network->layers; l++)
		network->layer[l].inputs = inputs;
	parameter->count = count;
	parameter->value = values;
	nn_initialize(network, (uint64_t)row->in[0], (unsigned)row->in[1]);
	equal = (last || golden_same(table, row, 0, fx_square_root((UINT64_C(1) << 2 * FX_WEIGHT) / inputs))) &&
		row->outputs == count + 1 && golden_same_all(table, row, 1, count, values);
	free(values);
	free(network);
	return equal;
}

/* Rows are sequences: t = 1 starts anew. */
static int check_adam_scalars(const struct golden_table *table, const struct golden_row *row)
{
	static uint64_t powers[2];
	const struct nn_adam settings = { (uint32_t)row->in[0], (uint32_t)row->in[1], (uint32_t)row->in[2],
					  (uint32_t)row->in[3] };
	struct pe_adam constants;

	if (row->in[4] == 1)
		powers[0] = powers[1] = UINT64_C(1) << 62;
	nn_adam_step_size(&settings, powers, &constants);
	return golden_same(table, row, 0, (int64_t)powers[0]) && golden_same(table, row, 1, (int64_t)powers[1]) &&
	       golden_same(table, row, 2, constants.step_mantissa) &&
	       golden_same(table, row, 3, constants.step_shift) &&
	       golden_same(table, row, 4, constants.least_moment2) && constants.beta1 == settings.beta1 &&
	       constants.one_minus_beta2 == settings.one_minus_beta2;
}

static int check_moment2_value(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, (int64_t)fx_moment2((uint32_t)row->in[0]));
}

static int check_moment2_code(const struct golden_table *table, const struct golden_row *row)
{
	const uint64_t v = (uint64_t)row->in[0];

	return golden_same(table, row, 0, fx_moment2_code(v, fx_even_zeros(v)));
}

static int check_following(const struct golden_table *table, const struct golden_row *row)
{
	const enum step_class class = row->in[1] == FX_WEIGHT ? STEP_WEIGHT : STEP_GRADIENT;
	const struct step_quantizer quantizer = { (int32_t)row->in[2], STEP_FRACTION_FOLLOWS, 1 };

	return golden_same(table, row, 0, nn_operand_fraction(&quantizer, class, (uint32_t)row->in[0]));
}

static int check_maxima(const struct golden_table *table, const struct golden_row *row)
{
	return golden_same(table, row, 0, step_next_maximum((uint32_t)row->in[0], (uint32_t)row->in[1]));
}

static void run_rows(const char *name, row_check check)
{
	struct golden_table table;
	int passed = golden_load(name, &table);

	for (size_t i = 0; passed && i < table.count; i++)
		passed = check(&table, &table.row[i]);
	if (table.count)
		ktap_ok(passed, "%s, %zu rows", name, table.count);
	golden_free(&table);
}

/* ---- Products ---- */

#define GUARD INT32_C(0x5a5a5a5a)

/* Runs a product in one piece, and split in two at every row and at every column. */
static int check_product(const struct golden_table *table, const struct golden_row *row, const struct pe_engine *engine,
			 const struct pe_product *product, size_t first, int64_t saturations)
{
	const size_t rows = product->rows, columns = product->columns, count = rows * columns;
	void *scratch = aligned_alloc(64, pe_scratch_bytes(product->depth) + 64);
	int equal = 1;

	for (size_t split = 0; equal && split < rows + columns; split++) {
		uint64_t counted;

		for (size_t i = 0; i <= count; i++)
			product->c[i] = GUARD;
		if (split < rows)
			counted = engine->product(product, 0, split, 0, columns, scratch) +
				  engine->product(product, split, rows, 0, columns, scratch);
		else
			counted = engine->product(product, 0, rows, 0, split - rows, scratch) +
				  engine->product(product, 0, rows, split - rows, columns, scratch);
		equal = product->c[count] == GUARD && golden_same_all(table, row, first, count, product->c) &&
			(int64_t)counted == saturations;
		if (!equal)
			ktap_note("%s.txt line %u: split %zu, %" PRIu64 " saturations, expected %" PRId64, table->name,
				  row->line, split, counted, saturations);
	}
	free(scratch);
	return equal;
}

typedef int (*engine_check)(const struct golden_table *table, const struct golden_row *row,
			    const struct pe_engine *engine, const int32_t *operands, int32_t *result);

static int check_forward(const struct golden_table *table, const struct golden_row *row, const struct pe_engine *engine,
			 const int32_t *operands, int32_t *result)
{
	const size_t batch = (size_t)row->in[0], inputs = (size_t)row->in[1], outputs = (size_t)row->in[2];
	const int sum = (int)(row->in[5] + row->in[7]), top = sum > FX_WEIGHT ? sum : FX_WEIGHT;
	const int32_t *x = operands + 8, *w = x + batch * inputs;
	const struct pe_product product = {
		.rows = batch,
		.columns = outputs,
		.depth = inputs,
		.a = x,
		.a_row = inputs,
		.a_column = 1,
		.b = w,
		.b_row = 1,
		.b_column = inputs,
		.bias = w + outputs * inputs,
		.up = (unsigned)(top - sum),
		.bias_up = (unsigned)(top - FX_WEIGHT),
		.down = (unsigned)(top - FX_ACTIVATION),
		.c = result,
		.c_row = outputs,
	};

	return row->outputs == batch * outputs + 1 &&
	       check_product(table, row, engine, &product, 0, row->out[batch * outputs]);
}

static void set_shifts(struct pe_product *product, int from, int to)
{
	product->up = from < to ? (unsigned)(to - from) : 0;
	product->down = from < to ? 0 : (unsigned)(from - to);
}

static int check_dx(const struct golden_table *table, const struct golden_row *row, const struct pe_engine *engine,
		    const int32_t *operands, int32_t *result)
{
	const size_t batch = (size_t)row->in[0], inputs = (size_t)row->in[1], outputs = (size_t)row->in[2];
	const int32_t *dy = operands + 7;
	struct pe_product product = {
		.rows = batch,
		.columns = inputs,
		.depth = outputs,
		.a = dy,
		.a_row = outputs,
		.a_column = 1,
		.b = dy + batch * outputs,
		.b_row = inputs,
		.b_column = 1,
		.c = result,
		.c_row = inputs,
	};

	set_shifts(&product, (int)(row->in[4] + row->in[6]), FX_GRADIENT);
	return row->outputs == batch * inputs + 1 &&
	       check_product(table, row, engine, &product, 0, row->out[batch * inputs]);
}

/* dW is the product; db is the sum that lib/nn makes of the same codes, here as a product with ones. */
static int check_dw(const struct golden_table *table, const struct golden_row *row, const struct pe_engine *engine,
		    const int32_t *operands, int32_t *result)
{
	const size_t batch = (size_t)row->in[0], inputs = (size_t)row->in[1], outputs = (size_t)row->in[2],
		     count = outputs * inputs;
	const int lb = batch > 1 ? (int)fx_bits(batch - 1) : 0;
	const int32_t *dy = operands + 8;
	static const int32_t one = 1;
	struct pe_product product = {
		.rows = outputs,
		.columns = inputs,
		.depth = batch,
		.a = dy,
		.a_row = 1,
		.a_column = outputs,
		.b = dy + batch * outputs,
		.b_row = inputs,
		.b_column = 1,
		.c = result,
		.c_row = inputs,
	};

	if (row->outputs != count + 1 + outputs + 1)
		return 0;
	set_shifts(&product, (int)(row->in[4] + row->in[7]) + lb, FX_WEIGHT_GRADIENT);
	if (!check_product(table, row, engine, &product, 0, row->out[count]))
		return 0;
	product.columns = product.c_row = 1;
	product.b = &one;
	product.b_row = 0;
	set_shifts(&product, (int)row->in[4] + lb, FX_WEIGHT_GRADIENT);
	return check_product(table, row, engine, &product, count + 1, row->out[row->outputs - 1]);
}

/* The sum S as a product of depth 6, in tiles of all sizes: S = (S >> 32) * 2^30 * 4 + low / 2 * 2 + low % 2. */
static int check_engine_requantize(const struct golden_table *table, const struct golden_row *row,
				   const struct pe_engine *engine, const int32_t *operands, int32_t *result)
{
	enum { ROWS = 6, COLUMNS = 11, DEPTH = 6 };
	const uint32_t low = (uint32_t)row->in[0];
	const int32_t high = (int32_t)(row->in[0] >> 32);
	const int32_t a[DEPTH] = { high, high, (int32_t)(low >> 1), high, (int32_t)(low & 1), high };
	const int32_t b[DEPTH] = { 1 << 30, 1 << 30, 2, 1 << 30, 1, 1 << 30 };
	int64_t out[ROWS * COLUMNS];
	const struct golden_row all = { .line = row->line, .outputs = ROWS * COLUMNS, .out = out };
	struct pe_product product = {
		.rows = ROWS,
		.columns = COLUMNS,
		.depth = DEPTH,
		.a = a,
		.a_row = 0,
		.a_column = 1,
		.b = b,
		.b_row = 1,
		.b_column = 0,
		.c = result,
		.c_row = COLUMNS,
	};

	(void)operands;
	for (int i = 0; i < ROWS * COLUMNS; i++)
		out[i] = row->out[0];
	set_shifts(&product, (int)row->in[1], (int)row->in[2]);
	return check_product(table, &all, engine, &product, 0, ROWS * COLUMNS * row->out[1]);
}

static void run_products(const char *name, engine_check check)
{
	struct golden_table table;

	golden_load(name, &table);
	for (size_t e = 0; table.count && e < ENGINES; e++) {
		const struct pe_engine *engine;
		char title[80];
		int passed = 1;

		snprintf(title, sizeof(title), "%s, engine %s, %zu rows", name, engine_names[e], table.count);
		engine = engine_or_skip(e, title);
		if (!engine)
			continue;
		for (size_t i = 0; passed && i < table.count; i++) {
			const struct golden_row *row = &table.row[i];
			int32_t *operands = golden_memory(row->inputs, sizeof(*operands));
			int32_t *result = golden_memory(row->outputs + 100, sizeof(*result));

			for (size_t k = 0; k < row->inputs; k++)
				operands[k] = (int32_t)row->in[k];
			passed = check(&table, row, engine, operands, result);
			free(operands);
			free(result);
		}
		ktap_ok(passed, "%s", title);
	}
	golden_free(&table);
}

/* ---- Element-wise passes: neighbouring rows with the same constants are one call ---- */

#define RUN_MAX 100
#define RUN_MIN 19 /* shorter runs are repeated, so that vectors and what is left over both see them */

typedef int (*run_check)(const struct golden_table *table, const struct golden_row *row, size_t rows, size_t n,
			 const struct pe_engine *engine);

static int check_quantize(const struct golden_table *table, const struct golden_row *row, size_t rows, size_t n,
			  const struct pe_engine *engine)
{
	const int64_t master_fraction = row->in[1], width = row->in[2], fraction = row->in[3], is_signed = row->in[4];
	const int64_t low = is_signed ? -(INT64_C(1) << (width - 1)) : 0;
	const int64_t high = (INT64_C(1) << (is_signed ? width - 1 : width)) - 1;
	int32_t values[RUN_MAX] = { 0 }, codes[RUN_MAX] = { 0 };
	uint64_t clamps, expected = 0;

	for (size_t i = 0; i < n; i++) {
		values[i] = (int32_t)row[i % rows].in[0];
		expected += (uint64_t)row[i % rows].out[1];
	}
	/* Width 32: no engine is asked (lib/nn/network.c), the codes are the masters. */
	clamps = width == 32 ? 0
			     : engine->quantize(n, values, (unsigned)(master_fraction - fraction), (int32_t)low,
						(int32_t)high, codes);
	for (size_t i = 0; i < n; i++)
		if (!golden_same(table, &row[i % rows], 0, width == 32 ? values[i] : codes[i]))
			return 0;
	return clamps == expected;
}

static int check_soft_update(const struct golden_table *table, const struct golden_row *row, size_t rows, size_t n,
			     const struct pe_engine *engine)
{
	int32_t weight[RUN_MAX] = { 0 }, target[RUN_MAX] = { 0 };

	for (size_t i = 0; i < n; i++) {
		weight[i] = (int32_t)row[i % rows].in[0];
		target[i] = (int32_t)row[i % rows].in[1];
	}
	engine->soft_update(n, weight, target, (uint32_t)row->in[2]);
	for (size_t i = 0; i < n; i++)
		if (!golden_same(table, &row[i % rows], 0, target[i]))
			return 0;
	return 1;
}

static int check_adam_element(const struct golden_table *table, const struct golden_row *row, size_t rows, size_t n,
			      const struct pe_engine *engine)
{
	const struct pe_adam constants = { (uint32_t)row->in[4], (uint32_t)row->in[5], (uint32_t)row->in[6],
					   (unsigned)row->in[7], (uint32_t)row->in[8] };
	int32_t gradient[RUN_MAX] = { 0 }, moment1[RUN_MAX] = { 0 }, weight[RUN_MAX] = { 0 };
	struct pe_adam_counts counts = { 0, 0 };
	uint64_t expected[2] = { 0, 0 };
	uint32_t moment2[RUN_MAX] = { 0 };

	for (size_t i = 0; i < n; i++) {
		gradient[i] = (int32_t)row[i % rows].in[0];
		moment1[i] = (int32_t)row[i % rows].in[1];
		moment2[i] = (uint32_t)row[i % rows].in[2];
		weight[i] = (int32_t)row[i % rows].in[3];
		for (int c = 0; c < 2; c++)
			expected[c] += (uint64_t)row[i % rows].out[3 + c];
	}
	engine->adam(n, gradient, moment1, moment2, weight, &constants, &counts);
	for (size_t i = 0; i < n; i++)
		if (!golden_same(table, &row[i % rows], 0, moment1[i]) ||
		    !golden_same(table, &row[i % rows], 1, moment2[i]) ||
		    !golden_same(table, &row[i % rows], 2, weight[i]))
			return 0;
	return counts.ratio == expected[0] && counts.weight == expected[1];
}

/* Inputs [constant, constant + constants) of a row are what a call has in common. */
static void run_passes(const char *name, run_check check, size_t constant, size_t constants)
{
	struct golden_table table;

	golden_load(name, &table);
	for (size_t e = 0; table.count && e < ENGINES; e++) {
		const struct pe_engine *engine;
		char title[80];
		int passed = 1;

		snprintf(title, sizeof(title), "%s, engine %s, %zu rows", name, engine_names[e], table.count);
		engine = engine_or_skip(e, title);
		if (!engine)
			continue;
		for (size_t i = 0, rows; passed && i < table.count; i += rows) {
			const struct golden_row *row = &table.row[i];

			for (rows = 1; rows < RUN_MAX && i + rows < table.count; rows++)
				if (memcmp(row[rows].in + constant, row->in + constant, constants * sizeof(*row->in)))
					break;
			passed = check(&table, row, rows, rows < RUN_MIN ? RUN_MIN : rows, engine);
			if (!passed)
				ktap_note("%s.txt lines %u to %u: values or counts differ", name, row->line,
					  row[rows - 1].line);
		}
		ktap_ok(passed, "%s", title);
	}
	golden_free(&table);
}

int main(int argc, char **argv)
{
	golden_find(argc, argv);
	ktap_start();
	run_rows("rhu", check_rhu);
	run_rows("rtz", check_rtz);
	run_rows("requantize", check_requantize);
	run_rows("tanh", check_tanh);
	run_rows("rsqrt", check_rsqrt);
	run_rows("philox", check_philox);
	run_rows("normal", check_normal);
	run_rows("noise", check_noise);
	run_rows("init", check_init);
	run_rows("adam_scalars", check_adam_scalars);
	run_rows("moment2_value", check_moment2_value);
	run_rows("moment2_code", check_moment2_code);
	run_rows("following", check_following);
	run_rows("maxima", check_maxima);
	run_products("forward", check_forward);
	run_products("dx", check_dx);
	run_products("dw", check_dw);
	run_products("requantize", check_engine_requantize);
	run_passes("quantize", check_quantize, 1, 4);
	run_passes("soft_update", check_soft_update, 2, 1);
	run_passes("adam_element", check_adam_element, 4, 5);
	return ktap_finish();
}
