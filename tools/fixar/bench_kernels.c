// SPDX-License-Identifier: MIT
/*
 * fixar bench --kernels: the three products of the largest layer, in the ways that the precisions take them, as a share
 * of what the processor's multipliers do in loops of nothing else. One thread; all by processor time.
 *
 * The engine "amx" makes a product of 32 x 32 bits from 16 products of bytes, or fewer where operands fit 24 bits. Its
 * limit is that of the products of bytes that its operands do need: against that of 16 a kernel could be above 100 %.
 *
 * A product is measured twice: alone, from forms that are there already; and with the forms that a training step makes
 * on each use (the samples' pieces, dY turned). Forms of weights are made when weights change, and are not in either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_peak.h"
#include "device.h"
#include "nn/operands.h"

enum path { FULL, HALF, NARROW, PATHS };
enum kind { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, KINDS };

static const char *const path_name[PATHS] = { "full", "half", "16x16" };
static const char *const kind_name[KINDS] = { "forward", "dX", "dW" };

/*
 * Widths of codes in the precisions, lib/ARITHMETIC.md section 2. Gradients of qat16 are 32-bit masters; 20 bits is
 * what hidden layers use of them. Its weights have a fixed fraction, which leaves most of their bits to large weights.
 */
static const unsigned activation_bits[PATHS] = { 22, 16, 16 }, gradient_bits[PATHS] = { 20, 20, 13 };
static const unsigned weight_bits[PATHS] = { 32, 24, 14 }, weight_bits_used[PATHS] = { 23, 15, 14 };

struct kernel {
	enum path path;
	enum kind kind;
	size_t batch;
	size_t rows, columns, depth; /* of C, and of the sum */
	const struct bench_peak *peak;
	double peak_share;    /* multiply-accumulates for one of the limit's: 1/2 with operands in two pieces */
	double byte_products; /* for each multiply-accumulate; 0: it is none of bytes */
	const struct pe_engine *engine;
	int32_t *a, *b, *c; /* codes; A turned where the product reads it so */
	int32_t *panels;
	int16_t *a_pieces, *b_pieces;
	struct pe_norms a_norms, b_norms;
	void *scratch;
	double *alone, *formed; /* G multiply-accumulates a second, by round */
	double *alone_share, *formed_share;
	double *limit; /* G multiply-accumulates a second, by round */
};

static void *allocate(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);

	if (!memory) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	memset(memory, 0, bytes);
	return memory;
}

enum values { WEIGHTS, ACTIVATIONS, GRADIENTS };

/*
 * Codes that use three quarters of their range: weights evenly, as in a new agent; activations too, but zero as often
 * as not, as behind a ReLU; gradients mostly far below the largest, and zero as often as not. Whether sums of 32 bits
 * are exact depends on it.
 */
static void fill(int32_t *codes, size_t count, unsigned bits, enum values values)
{
	struct fixar_rng rng = { .seed = 2, .index = values, .purpose = 7 };
	const double high = 0.75 * (double)(UINT32_C(1) << (bits - 1));

	for (size_t i = 0; i < count; i++) {
		const double u = fixar_rng_uniform(&rng, -1, 1), zero = fixar_rng_uniform(&rng, -1, 1);

		codes[i] = (int32_t)(high * (values == GRADIENTS ? u * u * u : u));
		if ((values == ACTIVATIONS && codes[i] < 0) || (values == GRADIENTS && zero < 0))
			codes[i] = 0;
	}
}

static size_t padded(size_t elements)
{
	return (elements + 31) & ~(size_t)31;
}

static struct pe_product wide_product(const struct kernel *k)
{
	return (struct pe_product){
		.rows = k->rows,
		.columns = k->columns,
		.depth = k->depth,
		.a = k->a,
		.a_row = k->depth,
		.a_column = 1,
		.b = k->b,
		.b_row = k->kind == FORWARD ? 1 : k->columns,
		.b_column = k->kind == FORWARD ? k->depth : 1,
		.panels = k->engine->form && k->kind == FORWARD ? k->panels : NULL,
		.down = 26,
		.c = k->c,
		.c_row = k->columns,
	};
}

/* The limit of a full product, once its operands are there. */
static void choose_limit(struct kernel *k)
{
	const struct pe_product product = wide_product(k);
	const struct bench_peak *vector = bench_peak(k->engine->name, PEAK_VECTOR);

	k->byte_products = bench_byte_products(k->engine, &product, k->scratch);
	if (k->byte_products > 0)
		k->peak_share = BENCH_BYTE_PRODUCTS / k->byte_products;
	else if (vector)
		k->peak = vector; /* too small for tiles */
}

static void kernel_open(struct kernel *k, const struct pe_engine *engine, enum path path, enum kind kind, size_t batch,
			size_t inputs, size_t outputs, unsigned rounds)
{
	const enum bench_peak_kind limit = path == FULL ? PEAK_WIDE : PEAK_NARROW;
	size_t panels;

	*k = (struct kernel){ .path = path, .kind = kind, .batch = batch, .engine = engine };
	k->rows = kind == WEIGHT_GRADIENT ? outputs : batch;
	k->columns = kind == FORWARD ? outputs : inputs;
	k->depth = kind == FORWARD ? inputs : kind == INPUT_GRADIENT ? outputs : batch;
	k->peak = bench_peak(engine->name, limit);
	k->peak_share = path == HALF ? 0.5 : 1;
	panels = (k->columns + PE_PANEL_COLUMNS - 1) / PE_PANEL_COLUMNS;
	k->a = allocate(k->rows * k->depth * sizeof(int32_t));
	k->b = allocate(k->columns * k->depth * sizeof(int32_t));
	k->c = allocate(k->rows * k->columns * sizeof(int32_t));
	k->panels = allocate(panels * pe_wide_panel_size(k->depth) * sizeof(int32_t));
	k->a_pieces = allocate(2 * k->rows * padded(k->depth) * sizeof(int16_t));
	k->b_pieces = allocate(2 * panels * pe_panel_size(k->depth) * sizeof(int16_t));
	k->scratch = allocate(pe_scratch_bytes(k->depth));
	k->alone = allocate(rounds * sizeof(double));
	k->formed = allocate(rounds * sizeof(double));
	k->alone_share = allocate(rounds * sizeof(double));
	k->formed_share = allocate(rounds * sizeof(double));
	k->limit = allocate(rounds * sizeof(double));
	if (kind == FORWARD)
		fill(k->a, k->rows * k->depth, activation_bits[path], ACTIVATIONS);
	else
		fill(k->a, k->rows * k->depth, gradient_bits[path], GRADIENTS);
	if (kind == WEIGHT_GRADIENT)
		fill(k->b, k->columns * k->depth, activation_bits[path], ACTIVATIONS);
	else
		fill(k->b, k->columns * k->depth, weight_bits_used[path], WEIGHTS);
	/* Weights lie [outputs][inputs], so that forward reads them along the depth. */
	if (engine->form && kind == FORWARD)
		engine->form->wide_panels(0, k->columns, k->depth, k->b, k->depth, k->panels);
	if (path == FULL)
		choose_limit(k);
}

static void kernel_close(struct kernel *k)
{
	void *const memory[] = { k->a,	     k->b,     k->c,	  k->panels,	  k->a_pieces,	   k->b_pieces,
				 k->scratch, k->alone, k->formed, k->alone_share, k->formed_share, k->limit };

	for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		free(memory[i]);
}

/* ---- As lib/nn does it ---- */

static void run_wide(struct kernel *k, bool form)
{
	const struct pe_product product = wide_product(k);

	/* dY of a training step lies [batch][outputs]. Turned here as a stand-in, with as many reads and writes. */
	if (form && k->kind == WEIGHT_GRADIENT)
		for (size_t c0 = 0; c0 < k->rows; c0 += 16)
			for (size_t r = 0; r < k->depth; r++)
				for (size_t c = c0; c < k->rows && c < c0 + 16; c++)
					((int32_t *)(void *)k->a_pieces)[c * k->depth + r] = k->a[r * k->rows + c];
	k->engine->product(&product, 0, k->rows, 0, k->columns, k->scratch);
}

static struct pe_split split_of(const struct kernel *k, bool of_a)
{
	const struct pe_split one = { 1, 0 };

	if (k->path == HALF && of_a == (k->kind == WEIGHT_GRADIENT))
		return nn_split(of_a ? gradient_bits[HALF] : weight_bits[HALF]);
	return one;
}

/* What the step makes on each use; weights only the first time. */
static void make_forms(struct kernel *k, bool weights)
{
	const struct pe_form_ops *form = k->engine->form;
	const struct pe_split a = split_of(k, true), b = split_of(k, false);

	memset(&k->a_norms, 0, sizeof(k->a_norms));
	if (k->kind == WEIGHT_GRADIENT)
		form->turned_rows(&a, k->rows, k->depth, k->a, k->rows, k->a_pieces, padded(k->depth), &k->a_norms);
	else
		form->rows(&a, k->rows, k->depth, k->a, k->depth, k->a_pieces, padded(k->depth), &k->a_norms);
	if (k->kind != WEIGHT_GRADIENT && !weights)
		return;
	memset(&k->b_norms, 0, sizeof(k->b_norms));
	if (k->kind == FORWARD)
		form->turned_panels(&b, 0, k->columns, k->depth, k->b, k->depth, k->b_pieces, &k->b_norms);
	else
		form->panels(&b, k->columns, k->depth, 0, (k->depth + 1) / 2, k->b, k->columns, k->b_pieces,
			     &k->b_norms);
}

static void run_narrow(struct kernel *k, bool form)
{
	struct pe_narrow product = {
		.rows = k->rows,
		.columns = k->columns,
		.depth = k->depth,
		.a = k->a_pieces,
		.a_row = padded(k->depth),
		.a_split = split_of(k, true),
		.b = k->b_pieces,
		.b_split = split_of(k, false),
		.down = 12,
		.c = k->c,
		.c_row = k->columns,
	};
	const unsigned a_bits = k->kind == FORWARD ? activation_bits[k->path] : gradient_bits[k->path];
	const unsigned b_bits = k->kind == WEIGHT_GRADIENT ? activation_bits[k->path] : weight_bits[k->path];

	if (form)
		make_forms(k, false);
	product.chunk =
		nn_chunk(k->depth, &product.a_split, a_bits, &k->a_norms, &product.b_split, b_bits, &k->b_norms);
	if (product.chunk)
		k->engine->form->product(&product, 0, k->rows, 0, k->columns);
	else
		run_wide(k, form);
}

/* ---- Measuring ---- */

/* G multiply-accumulates a second. */
static double rate_of(struct kernel *k, bool form, double seconds)
{
	const double start = bench_processor_time();
	double passed;
	size_t done = 0;

	if (k->path != FULL)
		make_forms(k, true);
	do {
		if (k->path == FULL)
			run_wide(k, form);
		else
			run_narrow(k, form);
		done++;
		passed = bench_processor_time() - start;
	} while (passed < seconds && !cli_interrupted());
	return 1e-9 * (double)done * (double)(k->rows * k->columns * k->depth) / passed;
}

static double peak_rate(const struct bench_peak *peak, double seconds)
{
	const double start = bench_processor_time();
	const size_t iterations = 20000;
	double passed;
	size_t done = 0;

	do {
		peak->run(iterations);
		done += iterations;
		passed = bench_processor_time() - start;
	} while (passed < seconds && !cli_interrupted());
	return 1e-9 * (double)done * peak->macs / passed;
}

struct limit {
	const struct bench_peak *peak;
	double *rates;
	double last;
};

static int measure(const struct bench_arguments *arguments, struct kernel *kernels, size_t count,
		   struct limit limits[PEAK_KINDS])
{
	for (unsigned round = 0; round <= arguments->rounds; round++) {
		const double seconds = round ? arguments->seconds : arguments->seconds / 4;

		for (size_t i = 0; i < count; i++) {
			struct kernel *k = &kernels[i];
			double alone, formed, limit = 0;

			/* The limit beside each kernel, in short turns: clocks of processors change with what runs on
			 * them. */
			for (int p = 0; p < PEAK_KINDS; p++) {
				if (!limits[p].peak || (k->peak != limits[p].peak && i))
					continue;
				limits[p].last = peak_rate(limits[p].peak, seconds / 2);
				if (round && limits[p].last > limits[p].rates[round - 1])
					limits[p].rates[round - 1] = limits[p].last;
				if (k->peak == limits[p].peak)
					limit = limits[p].last * k->peak_share;
			}
			alone = rate_of(k, false, seconds);
			formed = rate_of(k, true, seconds);
			if (cli_interrupted())
				return CLI_INTERRUPTED;
			bench_progress(arguments, round, i, count);
			if (!round)
				continue;
			k->limit[round - 1] = limit;
			k->alone[round - 1] = alone;
			k->formed[round - 1] = formed;
			k->alone_share[round - 1] = limit > 0 ? alone / limit : 0;
			k->formed_share[round - 1] = limit > 0 ? formed / limit : 0;
		}
	}
	bench_progress_end();
	return CLI_OK;
}

static void print_text(const struct bench_arguments *arguments, struct kernel *kernels, size_t count,
		       const struct limit limits[PEAK_KINDS])
{
	static const char *const what[PEAK_KINDS] = { "32 x 32 bits", "16 x 16 bits", "float32", "32 x 32 bits" };
	bool bytes = false;

	printf("Limits, in loops of nothing else:\n");
	for (int p = 0; p < PEAK_KINDS; p++)
		if (limits[p].peak) {
			const struct bench_spread spread = bench_spread(limits[p].rates, arguments->rounds);

			printf("  %-14s%8.1f G/s  %s%s\n", what[p], spread.median, limits[p].peak->instructions,
			       p == PEAK_VECTOR ? ", which this engine takes for the smallest products only" : "");
		}
	for (size_t i = 0; i < count; i++)
		bytes |= kernels[i].byte_products > 0;
	if (bytes)
		printf("Tiles multiply bytes: %d products of bytes are counted as one of 32 x 32 bits. The engine "
		       "leaves "
		       "out leading bytes\nof operands that fit 24 bits. So the limit of a row below is that of the "
		       "products of bytes that its operands needed.\n",
		       BENCH_BYTE_PRODUCTS);
	printf("\n%-9s%-10s%7s%10s%20s%10s%14s%10s%s\n", "path", "product", "batch", "G/s", "slowest to fastest",
	       "of limit", "with forms", "of limit", bytes ? "   bytes" : "");
	for (size_t i = 0; i < count; i++) {
		struct kernel *k = &kernels[i];
		const struct bench_spread alone = bench_spread(k->alone, arguments->rounds);
		const struct bench_spread formed = bench_spread(k->formed, arguments->rounds);
		char spread[CLI_TEXT];

		printf("%-9s%-10s%7zu%10.1f%20s", path_name[k->path], kind_name[k->kind], k->batch, alone.median,
		       bench_spread_text(&alone, spread));
		if (k->peak)
			printf("%8.0f %%%14.1f%8.0f %%", 100 * bench_spread(k->alone_share, arguments->rounds).median,
			       formed.median, 100 * bench_spread(k->formed_share, arguments->rounds).median);
		else
			printf("%10s%14.1f%10s", "", formed.median, "");
		if (k->byte_products > 0)
			printf("%8.4g", k->byte_products);
		putchar('\n');
	}
}

static void print_json(const struct bench_arguments *arguments, struct kernel *kernels, size_t count,
		       const struct limit limits[PEAK_KINDS], size_t inputs, size_t outputs)
{
	static const char *const what[PEAK_KINDS] = { "32x32", "16x16", "float32", "32x32 in vectors" };
	json_t *answer = bench_json_head(arguments, kernels[0].engine->name), *peaks = json_array(),
	       *rows = json_array();

	for (int p = 0; p < PEAK_KINDS; p++)
		if (limits[p].peak) {
			const struct bench_spread spread = bench_spread(limits[p].rates, arguments->rounds);

			json_array_append_new(peaks, json_pack("{s:s, s:s, s:o}", "operands", what[p], "instructions",
							       limits[p].peak->instructions, "gmacs",
							       bench_spread_json(&spread)));
		}
	for (size_t i = 0; i < count; i++) {
		struct kernel *k = &kernels[i];
		const struct bench_spread alone = bench_spread(k->alone, arguments->rounds);
		const struct bench_spread formed = bench_spread(k->formed, arguments->rounds);
		json_t *row = json_pack("{s:s, s:s, s:I, s:o, s:o}", "path", path_name[k->path], "product",
					kind_name[k->kind], "batch", (json_int_t)k->batch, "gmacs",
					bench_spread_json(&alone), "gmacs_with_forms", bench_spread_json(&formed));

		if (k->peak) {
			const struct bench_spread limit = bench_spread(k->limit, arguments->rounds);

			json_object_set_new(row, "gmacs_limit", bench_spread_json(&limit));
			json_object_set_new(row, "share",
					    json_real(bench_spread(k->alone_share, arguments->rounds).median));
			json_object_set_new(row, "share_with_forms",
					    json_real(bench_spread(k->formed_share, arguments->rounds).median));
		}
		if (k->byte_products > 0)
			json_object_set_new(row, "byte_products", json_real(k->byte_products));
		json_array_append_new(rows, row);
	}
	json_object_set_new(answer, "inputs", json_integer((json_int_t)inputs));
	json_object_set_new(answer, "outputs", json_integer((json_int_t)outputs));
	json_object_set_new(answer, "limits", peaks);
	json_object_set_new(answer, "kernels", rows);
	cli_print_json(answer);
	json_decref(answer);
}

int bench_kernels(const struct bench_arguments *arguments)
{
	const struct pe_engine *engine = pe_engine_find(arguments->engine);
	const struct bench_shape *shape = &arguments->shape;
	const size_t inputs = shape->hidden_count > 1 ? shape->hidden[0] : shape->observation_dim;
	const size_t outputs = shape->hidden_count > 1 ? shape->hidden[1] : shape->hidden[0];
	const size_t capacity = arguments->batch_count * PATHS * KINDS;
	struct kernel *kernels = allocate(capacity * sizeof(*kernels));
	struct limit limits[PEAK_KINDS];
	size_t count = 0;
	int code;

	if (!engine) {
		device_engine_error(arguments->engine);
		free(kernels);
		return CLI_FAILED;
	}
	for (int p = 0; p < PEAK_KINDS; p++)
		limits[p] = (struct limit){ .peak = bench_peak(engine->name, (enum bench_peak_kind)p),
					    .rates = allocate(arguments->rounds * sizeof(double)) };
	for (int path = 0; path < PATHS; path++)
		for (int kind = 0; kind < KINDS; kind++)
			for (size_t b = 0; b < arguments->batch_count; b++)
				/* qat16 multiplies 32-bit gradients with weights: its dX is the full one. */
				if (path == FULL || (engine->form && !(path == HALF && kind == INPUT_GRADIENT)))
					kernel_open(&kernels[count++], engine, (enum path)path, (enum kind)kind,
						    arguments->batches[b], inputs, outputs, arguments->rounds);
	cli_note("Products of %zu inputs and %zu outputs, engine %s, one thread; G multiply-accumulates per second of "
		 "processor time, "
		 "median of %u rounds of %g s.",
		 inputs, outputs, engine->name, arguments->rounds, arguments->seconds);
	code = measure(arguments, kernels, count, limits);
	if (!code && arguments->json)
		print_json(arguments, kernels, count, limits, inputs, outputs);
	else if (!code)
		print_text(arguments, kernels, count, limits);
	for (size_t i = 0; i < count; i++)
		kernel_close(&kernels[i]);
	for (int p = 0; p < PEAK_KINDS; p++)
		free(limits[p].rates);
	free(kernels);
	return code;
}
