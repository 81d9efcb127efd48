// SPDX-License-Identifier: MIT
/*
 * Description: the cost of a network on crossbars is what is computed by hand; on the array it is the cycle model's; no
 * cost falls when a width grows; parameters that are wrong are refused by name
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cost/cost.h"
#include "cost/models.h"
#include "fx/random.h"
#include "ktap.h"
#include "scratch.h"
#include "step/cycles.h"

static int close_to(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

/* ---- By hand ---- */

/* Small and round, so that everything below can be checked with a pencil. */
static const char tiny[] =
	"{ \"parameters\": {"
	"\"rows\": { \"value\": 4, \"source\": \"t\" }, \"columns\": { \"value\": 4, \"source\": \"t\" },"
	"\"cell_bits\": { \"value\": 2, \"source\": \"t\" }, \"input_bits\": { \"value\": 1, \"source\": \"t\" },"
	"\"adc_bits\": { \"value\": 3, \"source\": \"t\" }, \"adcs\": { \"value\": 1, \"source\": \"t\" },"
	"\"adc_adapts\": { \"value\": 1, \"source\": \"t\" }, \"column_encoding\": { \"value\": 1, \"source\": \"t\" },"
	"\"read_ns\": { \"value\": 5, \"source\": \"t\" }, \"conversions_per_ns\": { \"value\": 0.5, \"source\": \"t\" },"
	"\"pipeline_cycles\": { \"value\": 2, \"source\": \"t\" },"
	"\"crossbars_per_tile\": { \"value\": 4, \"source\": \"t\" }, \"cell_fj\": { \"value\": 100, \"source\": \"t\" },"
	"\"dac_pj\": { \"value\": 0.5, \"source\": \"t\" },"
	"\"adc_pj\": { \"value\": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], \"source\": \"t\" },"
	"\"shift_add_pj\": { \"value\": 0.1, \"source\": \"t\" },"
	"\"buffer_bit_pj\": { \"value\": 0.01, \"source\": \"t\" }, \"crossbar_um2\": { \"value\": 10, \"source\": \"t\" },"
	"\"dac_um2\": { \"value\": 0.25, \"source\": \"t\" },"
	"\"adc_um2\": { \"value\": [1, 3, 7, 9, 9, 9, 9, 9, 9, 9], \"source\": \"t\" },"
	"\"shift_add_um2\": { \"value\": 2, \"source\": \"t\" }, \"tile_um2\": { \"value\": 1000, \"source\": \"t\" },"
	"\"variation\": { \"value\": 0, \"source\": \"t\" }, \"on_off_ratio\": { \"value\": 0, \"source\": \"t\" },"
	"\"levels\": { \"value\": 0, \"source\": \"t\" } } }";

static const struct cost_network two_layers = {
	.layers = 2,
	.layer = { { "first", 6, 3, 2 }, { "second", 3, 2, 1 } },
};
static const struct cost_widths two_widths[] = { { 3, 5 }, { 4, 2 } };

static struct cost_model *make_reram(const char *text, char *message, size_t size, int *error)
{
	static unsigned number;
	struct cost_model *model = NULL;
	const char *path = in_scratch("reram-%u.json", number++);

	write_whole(path, text, strlen(text));
	*error = cost_model_create("reram", path, &model, message, size);
	return model;
}

/*
 * The first layer: 5-bit weights are slices of 2, 2 and 1 bits, so its 3 outputs need 9 columns: 3 crossbars beside
 * each other; its 6 rows need 2 below each other, of 4 and 2 rows.
 *
 * A read, in pJ. DACs: 6 rows x 3 x 0.5 = 9. Cells: 6 x 9 x 0.1 = 5.4. ADCs: a column of 4 rows and 2-bit cells needs
 * 2 + 1 + 2 - 1 - 1 = 3 bits (4 pJ), 1-bit cells 2 bits (2 pJ); of 2 rows 2 bits (2 pJ) and 1 bit (1 pJ): 3 outputs x
 * (4 + 4 + 2 + 2 + 2 + 1) = 45. Shift and add: (9 columns + 1) x 2 x 0.1 = 2. In all 61.4; 3 reads for 3-bit inputs are
 * 184.2. The buffer gives 6 x 3 bits and takes 3 results of the next layer's 4 bits: 30 x 0.01 = 0.3. Two positions:
 * 369 pJ.
 *
 * The second: one slice, one crossbar. 3 x 0.5 + 6 x 0.1 + 2 x 4 + (2 + 1) x 0.1 = 10.4; 4 reads: 41.6; buffer (12 + 2 x 16)
 * x 0.01 = 0.44: 42.04 pJ.
 */
static void test_by_hand(void)
{
	char message[256];
	int error;
	struct cost_model *model = make_reram(tiny, message, sizeof(message), &error);
	struct reram_mapping map;
	struct cost layer[2], total;

	if (!ktap_ok(model != NULL, "the small crossbar is made"))
		return;
	reram_map(reram_parameters_of(model), &two_layers.layer[0], &two_widths[0], &map);
	ktap_ok(map.slices == 3 && map.row_blocks == 2 && map.column_blocks == 3 && map.crossbars == 6 &&
			map.cells == 54 && map.reads == 3,
		"a 6 x 3 layer of 5-bit weights lies on 2 x 3 crossbars of 4 x 4");
	ktap_ok(close_to(map.padding, 42.0 / 96), "42 of their 96 cells are padding");
	ktap_ok(close_to(map.cycle_ns, 8), "four columns at half a conversion a nanosecond set the cycle");

	model->ops->evaluate(model, &two_layers, two_widths, layer, &total);
	ktap_ok(layer[0].value[RERAM_CROSSBARS] == 6 && layer[1].value[RERAM_CROSSBARS] == 1 &&
			total.value[RERAM_CROSSBARS] == 7,
		"crossbars");
	if (!ktap_ok(close_to(layer[0].value[RERAM_ENERGY], 0.369) &&
			     close_to(layer[1].value[RERAM_ENERGY], 0.04204) &&
			     close_to(total.value[RERAM_ENERGY], 0.41104),
		     "energy"))
		ktap_note("%.6f %.6f", layer[0].value[RERAM_ENERGY], layer[1].value[RERAM_ENERGY]);
	/* 2 positions x 3 reads + 2 cycles of 8 ns; 4 reads + 2 of 5 ns, as 2 columns take only 4 ns. */
	ktap_ok(close_to(layer[0].value[RERAM_LATENCY], 0.064) && close_to(layer[1].value[RERAM_LATENCY], 0.030) &&
			close_to(total.value[RERAM_LATENCY], 0.094),
		"latency");
	/* 10 + an ADC of 3 bits 7 + 4 rows x 0.25 + 2 = 20 um2 for each of 7 crossbars; 2 tiles of 1,000. */
	ktap_ok(close_to(layer[0].value[RERAM_AREA], 120e-6) && close_to(total.value[RERAM_AREA], 2140e-6), "area");
	cost_model_destroy(model);
}

/* ISAAC's own case: 16-bit weights in 2-bit cells need 8 columns, 16-bit inputs 16 reads, and all ADCs their 8 bits. */
static void test_isaac(void)
{
	const struct cost_network network = { .layers = 1, .layer = { { "full", 128, 16, 1 } } };
	const struct cost_widths widths = { 16, 16 };
	struct cost_model *model;
	struct reram_mapping map;
	char message[256];

	if (!ktap_ok(!cost_model_create("reram", NULL, &model, message, sizeof(message)), "the built-in parameters"))
		return;
	reram_map(reram_parameters_of(model), &network.layer[0], &widths, &map);
	ktap_ok(map.crossbars == 1 && map.padding == 0 && map.reads == 16 && close_to(map.cycle_ns, 100),
		"ISAAC: 128 x 16 weights of 16 bits fill a crossbar, 16 reads of 100 ns");
	/* 16 reads x (128 DACs 53.334 + cells 29.983 + 128 conversions 213.76 + 129 shifts 2.709) + (2048 + 256) bits x 0.134 */
	ktap_ok(close_to(cost_of(model, RERAM_ENERGY, &network, &widths),
			 (16 * (128 * 0.41667 + 16384 * 1.83e-3 + 128 * 1.67 + 129 * 0.021) + 2304 * 0.134) * 1e-3),
		"ISAAC: its energy is dominated by conversions");
	cost_model_destroy(model);
}

/* ---- Monotonic ---- */

static void test_monotonic(const char *name)
{
	const struct cost_network network = {
		.layers = 3,
		.layer = { { "a", 200, 77, 9 }, { "b", 77, 130, 1 }, { "c", 130, 10, 1 } },
	};
	struct cost_model *model;
	unsigned wrong = 0, tried = 0;
	char message[256];

	if (cost_model_create(name, NULL, &model, message, sizeof(message))) {
		ktap_ok(0, "%s: %s", name, message);
		return;
	}
	for (uint32_t width = 1; width < COST_MAX_WIDTH; width++) {
		for (uint32_t l = 0; l < 2 * network.layers; l++) {
			struct cost_widths widths[] = { { 5, 9 }, { 7, 4 }, { 16, 3 } };
			struct cost before, after;
			uint32_t *changed = l & 1 ? &widths[l / 2].weight : &widths[l / 2].activation;

			*changed = width;
			model->ops->evaluate(model, &network, widths, NULL, &before);
			*changed = width + 1;
			model->ops->evaluate(model, &network, widths, NULL, &after);
			for (unsigned m = 0; m < model->ops->metric_count; m++, tried++)
				wrong += after.value[m] < before.value[m];
		}
	}
	ktap_ok(tried && !wrong, "%s: no cost falls when a width grows (%u comparisons)", name, tried);
	cost_model_destroy(model);
}

/* ---- The array ---- */

struct forward {
	uint64_t cycles[8];
};

static void see(void *user, const struct step_operation *operation)
{
	struct forward *forward = user;

	if (!strcmp(operation->name, "actor forward") && operation->count.macs)
		forward->cycles[operation->layer] += operation->count.cycles;
}

static void test_array(void)
{
	const struct step_config config = {
		.observation_dim = 17, .action_dim = 6, .hidden_count = 2, .hidden = { 400, 300 }, .batch_max = 64, .seed = 1,
		.hyper = { .discount = 2126008812, .tau = 10737418, .beta1 = 1932735283, .one_minus_beta2 = 4294967,
			   .rate_mantissa = { 1099511628, 1099511628 }, .rate_exponent = { 40, 40 } },
	};
	const struct cost_network network = {
		.layers = 3,
		.layer = { { "0", 17, 400, 1 }, { "1", 400, 300, 1 }, { "2", 300, 6, 1 } },
	};
	/* Half by the activation, full, half by the weight. */
	const struct cost_widths widths[] = { { 8, 32 }, { 32, 24 }, { 32, 12 } };
	struct step_quantizer quantizers[6 * STEP_CLASSES];
	const struct step_mode mode = { .quantized = 1 };
	struct step_workload workload = { .config = &config, .mode = &mode, .quantizers = quantizers, .batch = 1 };
	struct forward forward = { { 0 } };
	struct step_cycles cycles;
	struct pe_array standard;
	struct cost layer[3], total;
	struct cost_model *model;
	char message[256] = "";
	int equal = 1;

	for (size_t i = 0; i < 6 * STEP_CLASSES; i++)
		quantizers[i] = (struct step_quantizer){ 32, 20, 1 };
	for (uint32_t l = 0; l < 3; l++) {
		quantizers[l * STEP_CLASSES + STEP_ACTIVATION].width = (int32_t)widths[l].activation;
		quantizers[l * STEP_CLASSES + STEP_WEIGHT].width = (int32_t)widths[l].weight;
	}
	if (!ktap_ok(!cost_model_create("array", NULL, &model, message, sizeof(message)), "the built-in array %s", message))
		return;
	workload.array = array_parameters_of(model, NULL);
	pe_array_default(&standard);
	ktap_ok(!memcmp(workload.array, &standard, sizeof(standard)), "array.json says what the cycle model says");
	ktap_ok(!step_cycles_act(&workload, see, &forward, &cycles, message, sizeof(message)), "acting is counted %s", message);
	model->ops->evaluate(model, &network, widths, layer, &total);
	for (int l = 0; l < 3; l++)
		equal = equal && layer[l].value[ARRAY_CYCLES] == (double)forward.cycles[l] && forward.cycles[l];
	ktap_ok(equal, "an actor's layers take the cycles that acting takes");
	/* 17 x 400 x 32 + 400 x 300 x 24 + 300 x 6 x 12 bits = 3,119,200 bits */
	ktap_ok(close_to(total.value[ARRAY_MEMORY], 3119200.0 / 8192), "weights are packed at their width");
	cost_model_destroy(model);
}

/* ---- Devices that vary ---- */

static struct reram_parameters noise_parameters(double variation, double ratio)
{
	return (struct reram_parameters){ .cell_bits = 2, .variation = variation, .on_off_ratio = ratio };
}

static void test_noise(void)
{
	enum { COUNT = 4000, WIDTH = 5 };
	static int32_t codes[COUNT];
	static double noisy[COUNT], again[COUNT];
	struct reram_parameters p = noise_parameters(0, 150);
	double sum = 0, squares = 0;
	int exact = 1;

	for (int i = 0; i < 32; i++)
		codes[i] = i - 16;
	reram_disturb(&p, WIDTH, 0, 32, codes, 1, 0, noisy);
	for (int i = 0; i < 32; i++)
		exact = exact && close_to(noisy[i], codes[i]);
	ktap_ok(exact, "without variation every 5-bit weight is itself");

	/* Three levels of a cell of two bits: 0, 1.5 and 3. */
	p.levels = 3;
	reram_disturb(&p, WIDTH, 0, 32, codes, 1, 0, noisy);
	exact = 1;
	for (int i = 0; i < 32; i++) {
		static const double level[] = { 0, 1.5, 1.5, 3 };

		exact = exact && close_to(noisy[i], level[i & 3] + 4 * level[i >> 2 & 3] + 16 * level[i >> 4] - 16);
	}
	ktap_ok(exact, "cells of three levels hold the nearest of them");
	/* Two levels: 0 and 3. */
	p.levels = 2;
	reram_disturb(&p, WIDTH, 0, 32, codes, 1, 0, noisy);
	ktap_ok(close_to(noisy[16 + 1], -16 + 0) && close_to(noisy[2], -16 + 3), "cells of two levels are all or nothing");
	p.levels = 4;
	reram_disturb(&p, WIDTH, 0, 32, codes, 1, 0, noisy);
	exact = 1;
	for (int i = 0; i < 32; i++)
		exact = exact && close_to(noisy[i], codes[i]);
	ktap_ok(exact, "cells of four levels lose nothing of two bits");

	/* Code 0 is stored as 16: slices 0, 0, 1. Without an off state only the upper cell, worth 16, varies. */
	p = noise_parameters(0.05, 0);
	memset(codes, 0, sizeof(codes));
	reram_disturb(&p, WIDTH, 0, COUNT, codes, 1, 7, noisy);
	reram_disturb(&p, WIDTH, 0, COUNT, codes, 1, 7, again);
	for (int i = 0; i < COUNT; i++) {
		sum += noisy[i];
		squares += noisy[i] * noisy[i];
	}
	ktap_ok(fabs(sum / (int)COUNT) < 0.05, "variation has no mean");
	ktap_ok(fabs(sqrt(squares / (int)COUNT) / (16 * 0.05) - 1) < 0.05, "5 %% of a cell worth 16 are 0.8 of a code");
	ktap_ok(!memcmp(noisy, again, sizeof(noisy)), "the same seed disturbs in the same way");
	reram_disturb(&p, WIDTH, 0, COUNT, codes, 2, 7, again);
	ktap_ok(memcmp(noisy, again, sizeof(noisy)) != 0, "another seed in another");
}

/* ---- Errors ---- */

static void expect(const char *from, const char *to, const char *in_message)
{
	char text[sizeof(tiny) + 64], message[256] = "";
	const char *place = strstr(tiny, from);
	struct cost_model *model;
	int error;

	snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - tiny), tiny, to, place + strlen(from));
	model = make_reram(text, message, sizeof(message), &error);
	if (!ktap_ok(!model && error == -EINVAL && strstr(message, in_message), "refused: %s", in_message))
		ktap_note("%d: %s", error, message);
	cost_model_destroy(model);
}

static void test_errors(void)
{
	struct cost_widths widths[] = { { 3, 5 }, { 0, 2 } };
	struct cost_model *model;
	char message[256];

	expect("\"rows\": { \"value\": 4,", "\"rows\": { \"value\": 4.5,", "\"rows\": 4.5, expected a whole number");
	expect("\"variation\": { \"value\": 0,", "\"variation\": { \"value\": 2,", "\"variation\": 2, expected a number from 0 to 1");
	expect("\"adcs\"", "\"adc\"", "unknown parameter \"adc\"");
	expect("\"tile_um2\": { \"value\": 1000, \"source\": \"t\" },", "", "\"tile_um2\" is missing");
	expect("\"value\": 5, \"source\": \"t\"", "\"value\": 5", "\"read_ns\" needs a \"value\" and a \"source\"");
	expect("[1, 2, 4, 8,", "[1, 2,", "\"adc_pj\": expected a list of 10");
	expect("\"adc_bits\": { \"value\": 3,", "\"adc_bits\": { \"value\": 2,", "needs 3");
	expect("\"on_off_ratio\": { \"value\": 0,", "\"on_off_ratio\": { \"value\": 1,", "on_off_ratio: 1, expected more than 1");
	expect("\"levels\": { \"value\": 0,", "\"levels\": { \"value\": 1,", "levels: 1, expected at least 2");

	model = NULL;
	ktap_ok(cost_model_create("gpu", NULL, &model, message, sizeof(message)) == -ENOENT && !model &&
			strstr(message, "\"gpu\""),
		"refused: hardware that does not exist");
	ktap_ok(cost_model_create("array", in_scratch("none"), &model, message, sizeof(message)) == -ENOENT,
		"refused: a file that does not exist");
	ktap_ok(cost_check(&two_layers, widths, message, sizeof(message)) == -EINVAL &&
			strstr(message, "layer second: an activation width of 0"),
		"refused: a width of 0");
	ktap_ok(!cost_check(&two_layers, two_widths, message, sizeof(message)), "not refused: what is right");
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_by_hand();
	test_isaac();
	test_monotonic("reram");
	test_monotonic("array");
	test_array();
	test_noise();
	test_errors();
	return ktap_finish();
}
