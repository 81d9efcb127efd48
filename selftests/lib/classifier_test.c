// SPDX-License-Identifier: MIT
/*
 * Description: classifiers in fixed point: a convolution is its definition, gradients are those of finite differences,
 * patterns are learned, bits do not depend on the engine, narrow widths cost what they should, and so do crossbar cells
 * that vary or have few levels
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "ktap.h"
#include "quantize/cell_noise.h"
#include "quantize/classifier.h"

#define SIDE 10
#define PIXELS (SIDE * SIDE)
#define IMAGES CLASSIFIER_BATCH

/* Two convolutions, the first with pooling, and two fully connected layers. */
static const struct classifier_spec small = {
	"small", SIDE, SIDE, 1, 4, { { 4, 3, 1 }, { 6, 3, 0 }, { 12, 0, 0 }, { 4, 0, 0 } },
};

/* Bars: upright, lying, and both diagonals, at random places, with noise. */
static void draw(uint64_t number, int32_t *pixels, uint8_t *label)
{
	const uint32_t word = fx_random_word(11, FX_RANDOM_TEST, number, 0);
	const int place = 2 + (int)(word >> 8) % (SIDE - 4);

	*label = word % 4;
	for (int y = 0; y < SIDE; y++) {
		for (int x = 0; x < SIDE; x++) {
			const int on = *label == 0 ? x == place : *label == 1 ? y == place :
				       *label == 2 ? x - y == place - SIDE / 2 : x + y == place + SIDE / 2;

			pixels[y * SIDE + x] = (int32_t)(fx_random_word(11, FX_RANDOM_TEST, number, 1 + (uint32_t)(y * SIDE + x)) >> 14) +
					       on * (FX_ONE * 3 / 4);
		}
	}
}

static void draw_batch(uint64_t first, int32_t *pixels, uint8_t *labels)
{
	for (size_t i = 0; i < IMAGES; i++)
		draw(first + i, pixels + i * PIXELS, &labels[i]);
}

static struct classifier *make(const struct classifier_spec *spec, const char *engine)
{
	struct classifier *classifier;

	return classifier_create(spec, 3, engine ? pe_engine_find(engine) : NULL, &classifier) ? NULL : classifier;
}

/* ---- A convolution, by its definition in double precision ---- */

static void test_convolution(void)
{
	static const struct classifier_spec spec = { "one", 5, 6, 2, 2, { { 3, 3, 0 }, { 2, 0, 0 } } };
	struct classifier *c = make(&spec, NULL);
	int32_t pixels[60];
	uint8_t label = 0;
	double hidden[36], logit[2], expected;
	const int32_t *weight, *dense;
	size_t count;

	for (uint32_t i = 0; i < 60; i++)
		pixels[i] = (int32_t)(fx_random_word(1, FX_RANDOM_TEST, 99, i) >> 12);
	weight = classifier_parameters(c, &count);
	ktap_ok(count == 3 * 18 + 3 + 36 * 2 + 2, "parameters of a convolution and a layer");
	dense = weight + 57;
	for (int y = 0; y < 3; y++)
		for (int x = 0; x < 4; x++)
			for (int n = 0; n < 3; n++) {
				double sum = 0;

				for (int ky = 0; ky < 3; ky++)
					for (int kx = 0; kx < 3; kx++)
						for (int channel = 0; channel < 2; channel++)
							sum += (double)weight[n * 18 + (ky * 3 + kx) * 2 + channel] *
							       pixels[((y + ky) * 6 + x + kx) * 2 + channel];
				hidden[(y * 4 + x) * 3 + n] = fmax(0, sum * 0x1p-46);
			}
	for (int k = 0; k < 2; k++) {
		logit[k] = 0;
		for (int i = 0; i < 36; i++)
			logit[k] += hidden[i] * dense[k * 36 + i] * 0x1p-26;
	}
	expected = log(exp(logit[0]) + exp(logit[1])) - logit[0];
	ktap_ok(fabs(classifier_loss(c, 1, pixels, &label) - expected) < 1e-5, "a convolution is its definition");
	classifier_destroy(c);
}

/* ---- Gradients ---- */

static void test_gradients(void)
{
	static int32_t pixels[IMAGES * PIXELS];
	static uint8_t labels[IMAGES];
	struct classifier *c = make(&small, NULL);
	const int32_t step = 1 << 14; /* of a weight: 2.4e-4 */
	double ours = 0, theirs = 0, both = 0, mean_error = 0;
	size_t count, tried = 0;
	int32_t *parameter = classifier_parameters(c, &count), *before = malloc(count * sizeof(*before));

	draw_batch(0, pixels, labels);
	memcpy(before, parameter, count * sizeof(*before));
	classifier_train(c, IMAGES, pixels, labels);
	memcpy(parameter, before, count * sizeof(*before));
	for (size_t i = 0; i < count; i += 3, tried++) {
		const double gradient = classifier_gradients(c)[i] * 0x1p-28;
		double above, below, difference;

		parameter[i] = before[i] + step;
		classifier_parameters_changed(c);
		above = classifier_loss(c, IMAGES, pixels, labels);
		parameter[i] = before[i] - step;
		classifier_parameters_changed(c);
		below = classifier_loss(c, IMAGES, pixels, labels);
		parameter[i] = before[i];
		difference = (above - below) / (2 * step * 0x1p-26);
		ours += gradient * gradient;
		theirs += difference * difference;
		both += gradient * difference;
		mean_error += fabs(gradient - difference);
	}
	/* Single ones are off where a ReLU or a maximum turns over within the step. */
	if (!ktap_ok(both / sqrt(ours * theirs) > 0.999 && fabs(sqrt(ours / theirs) - 1) < 0.01,
		     "%zu derivatives are those of finite differences", tried))
		ktap_note("cosine %.6f, length %.6f, mean error %g", both / sqrt(ours * theirs), sqrt(ours / theirs),
			  mean_error / (double)tried);
	free(before);
	classifier_destroy(c);
}

/* ---- Learning ---- */

static void train(struct classifier *c, unsigned steps, uint64_t first)
{
	static int32_t pixels[IMAGES * PIXELS];
	static uint8_t labels[IMAGES];

	for (unsigned step = 0; step < steps; step++) {
		draw_batch(first + (uint64_t)step * IMAGES, pixels, labels);
		classifier_train(c, IMAGES, pixels, labels);
	}
}

static double accuracy(struct classifier *c)
{
	static int32_t pixels[IMAGES * PIXELS];
	static uint8_t labels[IMAGES];
	size_t correct = 0;

	for (uint64_t batch = 0; batch < 6; batch++) {
		draw_batch(1000000 + batch * IMAGES, pixels, labels);
		correct += classifier_correct(c, IMAGES, pixels, labels);
	}
	return (double)correct / (6 * IMAGES);
}

static void test_learning(void)
{
	struct cost_widths widths[CLASSIFIER_MAX_LAYERS];
	struct classifier *c = make(&small, NULL);
	double before = accuracy(c), full, eight, three, two, tuned;

	train(c, 700, 5000);
	classifier_observe(c, 1);
	full = accuracy(c);
	classifier_observe(c, 0);
	ktap_ok(before < 0.5 && full > 0.95, "four kinds of bars are learned: %.3f, before %.3f", full, before);
	for (uint32_t l = 0; l < small.layers; l++)
		widths[l] = (struct cost_widths){ 8, 8 };
	classifier_set_widths(c, widths);
	eight = accuracy(c);
	for (uint32_t l = 0; l < small.layers; l++)
		widths[l] = (struct cost_widths){ 3, 3 };
	classifier_set_widths(c, widths);
	three = accuracy(c);
	for (uint32_t l = 0; l < small.layers; l++)
		widths[l] = (struct cost_widths){ 2, 2 };
	classifier_set_widths(c, widths);
	two = accuracy(c);
	ktap_ok(fabs(eight - full) < 0.02 && two < full - 0.05, "8 bits lose nothing (%.3f), 3 bits: %.3f, 2 bits: %.3f",
		eight, three, two);
	classifier_reset_moments(c);
	train(c, 200, 90000);
	classifier_set_widths(c, widths);
	tuned = accuracy(c);
	ktap_ok(tuned > two + 0.05, "training with 2 bits brings back what they lost: %.3f", tuned);
	classifier_set_widths(c, NULL);
	classifier_destroy(c);
}

static void test_engines(void)
{
	static const char *const names[] = { "avx2", "avx512", "amx", "neon" };
	struct classifier *scalar = make(&small, "scalar");
	size_t count;

	train(scalar, 3, 0);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct classifier *c;

		if (!pe_engine_find(names[n])) {
			char text[64];

			snprintf(text, sizeof(text), "%s trains to the same bits", names[n]);
			ktap_skip(text, "no such engine on this processor");
			continue;
		}
		c = make(&small, names[n]);
		train(c, 3, 0);
		ktap_ok(!memcmp(classifier_parameters(scalar, &count), classifier_parameters(c, &count), count * sizeof(int32_t)),
			"%s trains to the same bits", names[n]);
		classifier_destroy(c);
	}
	classifier_destroy(scalar);
}

/* ---- Crossbar cells ---- */

static struct cell_noise cells(double variation, double levels, uint64_t seed)
{
	return (struct cell_noise){
		.cells = { .cell_bits = 2, .variation = variation, .on_off_ratio = 150, .levels = levels }, .seed = seed
	};
}

/*
 * One window of a convolution with one output, so that its sum goes straight to two dense weights. Weights and inputs are chosen so that
 * codes are what they look like: 4 bits of fraction 1 for weights (largest 3.5), 4 bits of fraction 3 for inputs (largest 1.875).
 *
 * Cells of two bits with two levels hold 0 or 3, nearest from 1.5 up. A code c is stored as c + 8 = 4 h + l: 4 x (0 or 3) + (0 or 3) - 8.
 *   convolution: codes 7, 2, -3, 1: stored 15 = (3, 3) -> 15, 10 = (2, 2) -> 15, 5 = (1, 1) -> 0, 9 = (2, 1) -> 12; less 8: 7, 7, -8, 4.
 *   dense: codes 7, -6: stored 15 -> 15, 2 = (0, 2) -> 3; less 8: 7, -5.
 * Inputs 1, 0.5, 0.25, 1.875: 7 x 1 + 7 x 0.5 - 8 x 0.25 + 4 x 1.875 = 16, in codes of 1/2: 8 (without cells 7 + 1 - 0.75 + 1.875 = 9.125,
 * halved 4.5625). As 4-bit input of the dense layer, observed up to 15 and so of fraction 0: 8. Logits 8 x 3.5 = 28 and 8 x -2.5 = -20.
 */
static void test_cells_by_hand(void)
{
	static const struct classifier_spec spec = { "hand", 2, 2, 1, 2, { { 1, 2, 0 }, { 2, 0, 0 } } };
	static const struct cost_widths widths[] = { { 4, 4 }, { 4, 4 } };
	static const double weight[] = { 3.5, 1, -1.5, 0.5, 0, 3.5, -3, 0, 0 }, input[] = { 1, 0.5, 0.25, 1.875 };
	const struct cell_noise noise = cells(0, 2, 0);
	struct classifier *c = make(&spec, NULL);
	int32_t pixels[4], *range = classifier_ranges(c);
	const uint8_t wrong = 1;
	size_t count;
	int32_t *parameter = classifier_parameters(c, &count);
	double loss;

	for (int i = 0; i < 4; i++)
		pixels[i] = (int32_t)(input[i] * FX_ONE);
	for (size_t i = 0; i < count; i++)
		parameter[i] = (int32_t)(weight[i] * (1 << FX_WEIGHT));
	range[0] = range[2] = 0;
	range[1] = (int32_t)(1.875 * FX_ONE);
	range[3] = 15 * FX_ONE;
	classifier_set_widths(c, widths);
	/* 4.5625 becomes 5: logits 17.5 and -15. */
	loss = classifier_loss(c, 1, pixels, &wrong);
	if (!ktap_ok(count == 9 && fabs(loss - 32.5) < 1e-9, "a convolution and a layer of 4 bits, by hand"))
		ktap_note("loss %.9f", loss);
	classifier_set_noise(c, &noise);
	loss = classifier_loss(c, 1, pixels, &wrong);
	if (!ktap_ok(fabs(loss - 48) < 1e-9, "the same in cells of two levels"))
		ktap_note("loss %.9f", loss);
	classifier_destroy(c);
}

static double mean_accuracy(struct classifier *c, double variation, double levels)
{
	double sum = 0;

	for (uint64_t seed = 0; seed < 4; seed++) {
		const struct cell_noise noise = cells(variation, levels, seed);

		classifier_set_noise(c, &noise);
		sum += accuracy(c) / 4;
		classifier_set_noise(c, NULL);
	}
	return sum;
}

static void test_cells(void)
{
	static const double variation[] = { 0.03, 0.06, 0.12, 0.25 };
	static int32_t pixels[IMAGES * PIXELS];
	static uint8_t labels[IMAGES];
	struct cost_widths widths[CLASSIFIER_MAX_LAYERS];
	struct cell_noise perfect = cells(0, 4, 0), noise = cells(0.3, 0, 5);
	struct classifier *c = make(&small, NULL);
	double clean, loss, before, after, found[4];
	int falls = 1;

	train(c, 700, 5000);
	classifier_observe(c, 1);
	accuracy(c);
	classifier_observe(c, 0);
	for (uint32_t l = 0; l < small.layers; l++)
		widths[l] = (struct cost_widths){ 8, 5 + l };
	classifier_set_widths(c, widths);
	draw_batch(0, pixels, labels);
	clean = accuracy(c);
	loss = classifier_loss(c, IMAGES, pixels, labels);
	classifier_set_noise(c, &perfect);
	ktap_ok(accuracy(c) == clean && classifier_loss(c, IMAGES, pixels, labels) == loss, "cells of a level for each code change nothing");
	classifier_set_noise(c, NULL);
	for (int i = 0; i < 4; i++) {
		found[i] = mean_accuracy(c, variation[i], 0);
		falls = falls && found[i] <= (i ? found[i - 1] : clean);
	}
	ktap_ok(falls && found[2] < clean - 0.05 && found[3] < found[2] - 0.1,
		"accuracy falls as cells vary more: %.3f, then %.3f, %.3f, %.3f, %.3f", clean, found[0], found[1], found[2], found[3]);
	ktap_ok(mean_accuracy(c, 0, 2) < clean - 0.05, "and with cells of two levels");

	classifier_set_noise(c, &noise);
	before = accuracy(c);
	classifier_reset_moments(c);
	train(c, 200, 90000);
	after = accuracy(c);
	ktap_ok(before < clean - 0.02 && after > before + 0.02, "training with the cells brings back what they lost: %.3f, %.3f", before,
		after);
	classifier_destroy(c);
}

/* With cells that vary so much; below 0: without any. */
static void train_in_cells(struct classifier *c, double variation)
{
	static const struct cost_widths widths[] = { { 32, 7 }, { 32, 6 }, { 32, 32 }, { 32, 9 } };
	const struct cell_noise noise = cells(variation, 0, 2);

	classifier_set_widths(c, widths);
	if (variation >= 0)
		classifier_set_noise(c, &noise);
	train(c, 3, 0);
	classifier_set_noise(c, NULL);
}

static void test_cells_on_engines(void)
{
	static const char *const names[] = { "avx2", "avx512", "amx", "neon" };
	struct classifier *scalar = make(&small, "scalar"), *without = make(&small, "scalar"), *perfect = make(&small, "scalar");
	size_t count;
	const int32_t *expected = classifier_parameters(scalar, &count);

	train_in_cells(scalar, 0.1);
	train_in_cells(without, -1);
	train_in_cells(perfect, 0);
	ktap_ok(!memcmp(classifier_parameters(perfect, &count), classifier_parameters(without, &count), count * sizeof(int32_t)),
		"perfect cells train to the same bits");
	ktap_ok(memcmp(expected, classifier_parameters(without, &count), count * sizeof(int32_t)) != 0,
		"cells that vary train to others");
	classifier_destroy(without);
	classifier_destroy(perfect);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct classifier *c;

		if (!pe_engine_find(names[n])) {
			char text[64];

			snprintf(text, sizeof(text), "%s trains to the same bits in cells", names[n]);
			ktap_skip(text, "no such engine on this processor");
			continue;
		}
		c = make(&small, names[n]);
		train_in_cells(c, 0.1);
		ktap_ok(!memcmp(expected, classifier_parameters(c, &count), count * sizeof(int32_t)),
			"%s trains to the same bits in cells", names[n]);
		classifier_destroy(c);
	}
	classifier_destroy(scalar);
}

static void test_shapes(void)
{
	static const uint32_t lenet[][3] = { { 25, 6, 576 }, { 150, 16, 64 }, { 256, 120, 1 }, { 120, 84, 1 }, { 84, 10, 1 } };
	static const struct classifier_spec odd = { "odd", 8, 8, 1, 2, { { 4, 2, 1 }, { 2, 0, 0 } } };
	static const struct classifier_spec wide = { "wide", 4, 8, 1, 2, { { 4, 5, 0 }, { 2, 0, 0 } } };
	struct classifier *c = make(classifier_spec_find("lenet"), NULL);
	const struct cost_network *network = classifier_network(c);
	int right = network->layers == 5;

	for (int l = 0; l < 5; l++)
		right = right && network->layer[l].inputs == lenet[l][0] && network->layer[l].outputs == lenet[l][1] &&
			network->layer[l].positions == lenet[l][2];
	ktap_ok(right, "LeNet's layers are the products that hardware sees");
	classifier_destroy(c);
	ktap_ok(!classifier_spec_find("vgg"), "no network of an unknown name");
	ktap_ok(classifier_create(&odd, 0, NULL, &c) == -EINVAL && !c, "refused: pooling of an odd side");
	ktap_ok(classifier_create(&wide, 0, NULL, &c) == -EINVAL && !c, "refused: a kernel larger than its input");
}

int main(void)
{
	ktap_start();
	test_shapes();
	test_convolution();
	test_gradients();
	test_learning();
	test_engines();
	test_cells_by_hand();
	test_cells();
	test_cells_on_engines();
	return ktap_finish();
}
