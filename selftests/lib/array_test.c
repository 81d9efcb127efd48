// SPDX-License-Identifier: MIT
/*
 * The model of the array: the stepped simulation gives the bits of the scalar engine and the cycles of the counter; the
 * composition over networks has the right amount of work, and says what does not fit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fx/random.h"
#include "ktap.h"
#include "pe/array.h"
#include "step/cycles.h"

static const char *const kind_name[] = { "forward", "dX", "dW" };
static const char *const datapath_name[] = { "full", "half A", "half B" };

/* ---- Bits and cycles of products ---- */

static uint32_t draws;

static uint32_t draw(void)
{
	const struct fx_random_block block = fx_random_philox(1, FX_RANDOM_TEST, draws / 4, 0);

	return block.word[draws++ % 4];
}

static size_t draw_below(size_t n)
{
	return draw() % n;
}

/* Codes with the rails among them. */
static void fill(int32_t *codes, size_t n, int narrow)
{
	const int32_t low = narrow ? INT16_MIN : INT32_MIN, high = narrow ? UINT16_MAX : INT32_MAX;

	for (size_t i = 0; i < n; i++) {
		const uint32_t word = draw();

		if (word % 16 == 0)
			codes[i] = word & 16 ? low : high;
		else
			codes[i] = narrow ? (int32_t)(word >> 16) + (word & 1 ? low : 0) : (int32_t)word;
	}
}

struct tally {
	unsigned runs, errors, bits, cycles, macs, saturations, full_use;
	uint64_t saturated;
};

#define SIDE 80

static void compare(const struct pe_array *array, const struct pe_shape *shape, enum pe_parallelism parallelism,
		    struct tally *tally)
{
	static int32_t a[SIDE * SIDE], b[SIDE * SIDE], bias[SIDE], c[SIDE * SIDE], expected[SIDE * SIDE];
	struct pe_product product = {
		.rows = shape->rows,
		.columns = shape->columns,
		.depth = shape->depth,
		.a = a,
		.b = b,
		.bias = shape->kind == PE_FORWARD ? bias : NULL,
		.bias_up = (unsigned)draw_below(23),
		.up = (unsigned)draw_below(3),
		.down = (unsigned)draw_below(40),
		.c = c,
		.c_row = SIDE,
	};
	const int a_transposed = shape->kind == PE_WEIGHT_GRADIENT, b_transposed = shape->kind == PE_FORWARD;
	struct pe_count count;
	struct pe_run run = { 0 };
	uint64_t saturations;
	int error;

	product.a_row = a_transposed ? 1 : shape->depth;
	product.a_column = a_transposed ? shape->rows : 1;
	product.b_row = b_transposed ? 1 : shape->columns;
	product.b_column = b_transposed ? shape->depth : 1;
	fill(a, shape->rows * shape->depth, shape->datapath == PE_HALF_A);
	fill(b, shape->columns * shape->depth, shape->datapath == PE_HALF_B);
	fill(bias, shape->columns, 0);

	memset(c, 0x55, sizeof(c));
	memset(expected, 0x55, sizeof(expected));
	error = pe_array_run(array, &product, shape->kind, shape->datapath, parallelism, &run);
	product.c = expected;
	saturations = pe_scalar.product(&product, 0, shape->rows, 0, shape->columns, NULL);
	pe_count_product(array, shape, parallelism, &count);

	tally->runs++;
	tally->errors += error != 0;
	tally->bits += memcmp(c, expected, sizeof(c)) != 0;
	tally->cycles += run.cycles != count.cycles;
	tally->macs += run.macs != count.macs || count.macs != (uint64_t)shape->rows * shape->columns * shape->depth;
	tally->saturations += run.saturations != saturations;
	tally->full_use += count.slots > count.cycles * array->cores * array->rows * array->columns;
	tally->saturated += saturations;
	if (error || run.cycles != count.cycles)
		ktap_note("%u x %u x %u PEs, latency %u, %s, %s, %zu x %zu x %zu, parallelism %d: error %d, %llu "
			  "cycles, counter %llu",
			  array->cores, array->rows, array->columns, array->output_latency, kind_name[shape->kind],
			  datapath_name[shape->datapath], shape->rows, shape->columns, shape->depth, (int)parallelism,
			  error, (unsigned long long)run.cycles, (unsigned long long)count.cycles);
}

static void test_product_kind(enum pe_kind kind, enum pe_datapath datapath, enum pe_parallelism parallelism)
{
	static const uint32_t sides[][4] = {
		/* cores, rows, columns, output latency */
		{ 1, 1, 1, 1 }, { 1, 4, 4, 2 }, { 2, 4, 4, 8 },	 { 3, 5, 3, 1 },
		{ 2, 1, 7, 3 }, { 2, 8, 1, 4 }, { 4, 2, 2, 16 }, { 2, 16, 16, 8 },
	};
	struct tally tally = { 0 };

	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
		struct pe_array array;
		/* The corners, then shapes at random: smaller than a tile, many tiles, uneven. */
		const size_t corners[][3] = { { 1, 1, 1 },  { 1, 1, 37 },   { 1, 37, 1 },
					      { 37, 1, 1 }, { 32, 32, 17 }, { 33, 33, 16 } };
		const size_t corner_count = sizeof(corners) / sizeof(corners[0]);

		pe_array_default(&array);
		array.cores = sides[i][0];
		array.rows = sides[i][1];
		array.columns = sides[i][2];
		array.output_latency = sides[i][3];
		for (size_t j = 0; j < corner_count + 12; j++) {
			struct pe_shape shape = { .kind = kind, .datapath = datapath };

			shape.rows = j < corner_count ? corners[j][0] : 1 + draw_below(j % 2 ? 70 : 9);
			shape.columns = j < corner_count ? corners[j][1] : 1 + draw_below(j % 3 ? 70 : 9);
			shape.depth = j < corner_count ? corners[j][2] : 1 + draw_below(j % 4 ? 20 : 70);
			compare(&array, &shape, parallelism, &tally);
		}
	}
	ktap_ok(!tally.errors && !tally.bits && !tally.cycles && !tally.macs && !tally.saturations && !tally.full_use &&
			tally.saturated,
		"%s, %s, parallelism %d: %u products stepped", kind_name[kind], datapath_name[datapath],
		(int)parallelism, tally.runs);
	if (tally.errors || tally.bits || tally.cycles || tally.macs || tally.saturations || tally.full_use)
		ktap_note("errors %u; unlike the scalar engine: bits %u, saturations %u; unlike the counter: cycles "
			  "%u, work %u; "
			  "more than full use %u",
			  tally.errors, tally.bits, tally.saturations, tally.cycles, tally.macs, tally.full_use);
}

static void test_known_cycles(void)
{
	struct pe_array array;
	struct pe_count count;

	/* By hand, from the time line in lib/pe/cycles.c: layer 400 x 300 of one sample and of a batch. */
	pe_array_default(&array);
	pe_count_product(&array, &(struct pe_shape){ PE_FORWARD, PE_FULL, 1, 300, 400 }, PE_INTRA_LAYER, &count);
	/* Nine passes of 25 steps, and a last one with 12 columns on the first core and none on the second. */
	ktap_ok(count.cycles == 9 * 25 + 25 + 11 + 4 + 8, "one sample through 400 x 300: %llu cycles",
		(unsigned long long)count.cycles);
	pe_count_product(&array, &(struct pe_shape){ PE_FORWARD, PE_FULL, 64, 300, 400 }, PE_INTRA_BATCH, &count);
	ktap_ok(count.cycles == 2 * 19 * 400 + 11 + 15 + 8, "64 samples through 400 x 300: %llu cycles",
		(unsigned long long)count.cycles);
	pe_count_product(&array, &(struct pe_shape){ PE_FORWARD, PE_HALF_A, 64, 300, 400 }, PE_INTRA_BATCH, &count);
	ktap_ok(count.cycles == 2 * 19 * 200 + 11 + 15 + 8, "on the half datapath: %llu cycles",
		(unsigned long long)count.cycles);
	/* A weight gradient's samples lie along the depth: side by side they fill the PE rows of one row of C. */
	pe_count_product(&array, &(struct pe_shape){ PE_WEIGHT_GRADIENT, PE_FULL, 300, 401, 64 }, PE_INTRA_BATCH,
			 &count);
	ktap_ok(count.cycles == 300 * 13 * 4 + 15 + 4 + 8, "its weight gradient, samples side by side: %llu cycles",
		(unsigned long long)count.cycles);
	pe_count_product(&array, &(struct pe_shape){ PE_WEIGHT_GRADIENT, PE_FULL, 300, 401, 64 }, PE_INTRA_LAYER,
			 &count);
	ktap_ok(count.cycles == 19 * 13 * 64 + 15 + 11 + 8,
		"its weight gradient, one sample after the other: %llu cycles", (unsigned long long)count.cycles);
	/* Five inputs take five steps, but a column has 16 results to hand over. */
	pe_count_product(&array, &(struct pe_shape){ PE_FORWARD, PE_FULL, 64, 32, 5 }, PE_INTRA_BATCH, &count);
	ktap_ok(count.cycles == 3 * 16 + 5 + 15 + 15 + 8, "a shallow layer waits for its drain chains: %llu cycles",
		(unsigned long long)count.cycles);
}

static void test_other_cycles(void)
{
	struct pe_array array;

	pe_array_default(&array);
	ktap_ok(pe_count_elements(&array, 0) == 0 && pe_count_elements(&array, 1) == 1 + 64 &&
			pe_count_elements(&array, 3201) == 101 + 64,
		"element-wise passes: 16 lanes in each of 2 cores");
	ktap_ok(pe_count_transfer(&array, 32) == 1 && pe_count_transfer(&array, 33) == 2,
		"transfers: 32 bytes a cycle");
}

static void test_refusals(void)
{
	static int32_t a[4] = { 1, -32769, 3, 4 }, b[4] = { 1, 2, 65536, 4 }, c[4];
	struct pe_product product = { .rows = 2,
				      .columns = 2,
				      .depth = 2,
				      .a = a,
				      .a_row = 2,
				      .a_column = 1,
				      .b = b,
				      .b_row = 2,
				      .b_column = 1,
				      .c = c,
				      .c_row = 2 };
	struct pe_array array;
	struct pe_run run;
	char message[200] = "";

	pe_array_default(&array);
	ktap_ok(pe_array_run(&array, &product, PE_FORWARD, PE_HALF_A, PE_INTRA_BATCH, &run) == -ERANGE &&
			pe_array_run(&array, &product, PE_FORWARD, PE_HALF_B, PE_INTRA_LAYER, &run) == -ERANGE,
		"operands of more than 16 bits are refused on the half datapath");
	product.depth = 0;
	ktap_ok(pe_array_run(&array, &product, PE_FORWARD, PE_FULL, PE_AUTO, &run) == -EINVAL,
		"an empty product is refused");
	array.columns = PE_MAX_SIDE + 1;
	ktap_ok(pe_array_check(&array, message, sizeof(message)) == -EINVAL && strstr(message, "columns") &&
			strstr(message, "257"),
		"an array out of range is refused: %s", message);
}

/* ---- Networks ---- */

static struct step_config network(uint32_t observation, uint32_t action, uint32_t first, uint32_t second)
{
	return (struct step_config){
		.observation_dim = observation,
		.action_dim = action,
		.hidden_count = 2,
		.hidden = { first, second },
		.batch_max = 65536,
		.hyper = { .discount = 1 << 30,
			   .tau = 1 << 20,
			   .beta1 = 1 << 30,
			   .one_minus_beta2 = 1 << 20,
			   .rate_mantissa = { 1 << 30, 1 << 30 },
			   .rate_exponent = { 40, 40 } },
	};
}

static void set_qat16(struct step_quantizer *quantizers, uint32_t entries)
{
	for (uint32_t i = 0; i < entries; i++) {
		quantizers[i * STEP_CLASSES + STEP_ACTIVATION] = (struct step_quantizer){ 15, 10, 0 };
		quantizers[i * STEP_CLASSES + STEP_WEIGHT] = (struct step_quantizer){ 24, 20, 1 };
		quantizers[i * STEP_CLASSES + STEP_GRADIENT] = (struct step_quantizer){ 32, 24, 1 };
	}
}

struct audit {
	uint64_t cycles, macs, forward, dw, dx;
	unsigned too_busy;
	const struct pe_array *array;
};

static void audit_operation(void *user, const struct step_operation *operation)
{
	struct audit *audit = user;

	audit->cycles += operation->count.cycles;
	audit->macs += operation->count.macs;
	if (strstr(operation->name, "forward"))
		audit->forward += operation->count.macs;
	else if (strstr(operation->name, "dW"))
		audit->dw += operation->count.macs;
	else if (strstr(operation->name, "dX"))
		audit->dx += operation->count.macs;
	audit->too_busy += operation->count.slots >
			   operation->count.cycles * audit->array->cores * audit->array->rows * audit->array->columns;
}

static void test_work(void)
{
	static const struct {
		const char *name;
		uint32_t observation, action;
		uint64_t macs;
	} environments[] = { { "HalfCheetah", 17, 6, 1268600 },
			     { "Hopper", 11, 3, 1242200 },
			     { "Swimmer", 8, 2, 1230600 } };
	struct pe_array array;

	pe_array_default(&array);
	for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		struct step_config config = network(environments[i].observation, environments[i].action, 400, 300);
		struct step_mode mode = { 0 };
		struct step_workload workload = { &array, &config, &mode, NULL, 64 };
		struct audit audit = { .array = &array };
		struct step_cycles total;
		int error = step_cycles_train(&workload, audit_operation, &audit, &total, NULL, 0);

		ktap_ok(!error && total.macs == 64 * environments[i].macs && audit.macs == total.macs &&
				audit.cycles == total.cycles && !audit.too_busy,
			"%s: %llu multiply-accumulates a sample", environments[i].name,
			(unsigned long long)(total.macs / 64));
		if (i == 0)
			ktap_ok(audit.forward == 64 * UINT64_C(645700) && audit.dw == 64 * UINT64_C(258100) &&
					audit.dx == 64 * UINT64_C(364800),
				"of these forward, dW and dX as they should be");
		error = step_cycles_act(&workload, NULL, NULL, &total, NULL, 0);
		if (i == 0)
			ktap_ok(!error && total.macs == 64 * UINT64_C(128600), "acting: the actor's forward pass");
	}
}

static void test_modes(void)
{
	struct step_quantizer quantizers[6 * STEP_CLASSES];
	struct step_config config = network(17, 6, 400, 300);
	struct step_cycles full, total[3];
	struct step_mode mode = { 0 };
	struct pe_array array;
	struct step_workload workload = { &array, &config, &mode, quantizers, 64 };
	int good = 1;

	pe_array_default(&array);
	set_qat16(quantizers, 6);
	for (uint32_t batch = 1; batch <= 512; batch *= 2) {
		workload.batch = batch;
		for (uint32_t p = 0; p < 3; p++) {
			mode.parallelism = p;
			good &= !step_cycles_train(&workload, NULL, NULL, &total[p], NULL, 0);
			good &= total[p].macs == total[0].macs;
			good &= total[p].slots <= total[p].array_cycles * array.cores * array.rows * array.columns;
		}
		good &= total[0].cycles <= total[1].cycles && total[0].cycles <= total[2].cycles;
		good &= total[1].cycles != total[2].cycles;
	}
	ktap_ok(good, "the parallelism register changes cycles alone, and automatic is never slower");

	workload.batch = 64;
	mode.parallelism = 0;
	good = !step_cycles_train(&workload, NULL, NULL, &full, NULL, 0);
	mode.quantized = 1;
	good &= !step_cycles_train(&workload, NULL, NULL, &total[0], NULL, 0);
	ktap_ok(good && total[0].macs == full.macs && total[0].cycles < full.cycles &&
			total[0].slots == full.macs - 64 * (UINT64_C(645700) + 258100) / 2,
		"quantized activations halve the time of forward and dW alone: %llu cycles, then %llu",
		(unsigned long long)full.cycles, (unsigned long long)total[0].cycles);

	mode.parallelism = 3;
	ktap_ok(step_cycles_train(&workload, NULL, NULL, &total[0], NULL, 0) == -EINVAL,
		"an unknown parallelism is refused");
}

/* Whoever changes the model changes the table there as well. */
static void test_documented(void)
{
	static const struct {
		uint32_t batch;
		uint64_t fixed32, qat16;
	} figures[] = {
		{ 64, 184311, 126297 }, { 128, 351109, 235103 }, { 256, 684705, 452719 }, { 512, 1351897, 887951 }
	};
	struct step_quantizer quantizers[6 * STEP_CLASSES];
	struct step_config config = network(17, 6, 400, 300);
	struct step_cycles fixed32 = { 0 }, qat16 = { 0 };
	struct step_mode mode = { 0 };
	struct pe_array array;
	struct step_workload workload = { &array, &config, &mode, quantizers, 0 };

	pe_array_default(&array);
	set_qat16(quantizers, 6);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		int error;

		workload.batch = figures[i].batch;
		mode.quantized = 0;
		error = step_cycles_train(&workload, NULL, NULL, &fixed32, NULL, 0);
		mode.quantized = 1;
		error |= step_cycles_train(&workload, NULL, NULL, &qat16, NULL, 0);
		ktap_ok(!error && fixed32.cycles == figures[i].fixed32 && qat16.cycles == figures[i].qat16,
			"batch %u: the cycles that lib/pe/ARRAY.md states", figures[i].batch);
	}
}

static void test_memories(void)
{
	struct step_config config = network(17, 6, 400, 300);
	struct step_mode mode = { 0 };
	struct pe_array array;
	struct step_workload workload = { &array, &config, &mode, NULL, 512 };
	struct step_footprint footprint;
	struct step_cycles whole, sliced;
	char message[300] = "";
	int error;

	pe_array_default(&array);
	error = step_card_footprint(&workload, &footprint, message, sizeof(message));
	/* (17 + 1) 400 + 401 x 300 + 301 x 6, (23 + 1) 400 + 401 x 300 + 301: 16 bytes each. */
	ktap_ok(!error && footprint.weight_bytes == 16 * (UINT64_C(129306) + 130201) &&
			footprint.gradient_bytes == 4 * 130201 && footprint.slice == 512,
		"HalfCheetah with a batch of 512 fits: %llu bytes of state, %llu a sample",
		(unsigned long long)footprint.weight_bytes, (unsigned long long)footprint.sample_bytes);

	error = step_cycles_train(&workload, NULL, NULL, &whole, NULL, 0);
	array.activation_bytes = 100 * footprint.sample_bytes;
	error |= step_cycles_train(&workload, NULL, NULL, &sliced, NULL, 0);
	error |= step_card_footprint(&workload, &footprint, NULL, 0);
	ktap_ok(!error && sliced.slice == 96 && sliced.macs == whole.macs && sliced.cycles > whole.cycles &&
			footprint.gradient_bytes == 8 * 130201,
		"a batch too large for the activation memory is worked on in slices of %u", sliced.slice);

	array.activation_bytes = footprint.sample_bytes - 1;
	error = step_card_footprint(&workload, &footprint, message, sizeof(message));
	ktap_ok(error == -ENOSPC && strstr(message, "activation memory"), "one sample too large: %s", message);

	pe_array_default(&array);
	array.gradient_bytes = 4 * 130201 - 1;
	error = step_card_footprint(&workload, &footprint, message, sizeof(message));
	ktap_ok(error == -ENOSPC && strstr(message, "critic") && strstr(message, "gradient memory") &&
			strstr(message, "520804"),
		"gradients too large: %s", message);

	pe_array_default(&array);
	config = network(17, 6, 700, 600);
	error = step_cycles_train(&workload, NULL, NULL, &whole, message, sizeof(message));
	/* 16 (18 x 700 + 701 x 600 + 601 x 6 + 24 x 700 + ...) */
	ktap_ok(!error, "700-600 fits");
	config = network(17, 6, 800, 600);
	error = step_cycles_train(&workload, NULL, NULL, &whole, message, sizeof(message));
	ktap_ok(error == -ENOSPC &&
			strstr(message, "critic layer 1 (600 x 800) needs 7689600 bytes of weight memory") &&
			strstr(message, "14680064"),
		"a network too large: %s", message);
}

int main(void)
{
	ktap_start();
	for (int kind = PE_FORWARD; kind <= PE_WEIGHT_GRADIENT; kind++)
		for (int datapath = PE_FULL; datapath <= PE_HALF_B; datapath++)
			for (int parallelism = PE_AUTO; parallelism <= PE_INTRA_BATCH; parallelism++)
				test_product_kind((enum pe_kind)kind, (enum pe_datapath)datapath,
						  (enum pe_parallelism)parallelism);
	test_known_cycles();
	test_other_cycles();
	test_refusals();
	test_work();
	test_modes();
	test_documented();
	test_memories();
	return ktap_finish();
}
