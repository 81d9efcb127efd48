// SPDX-License-Identifier: MIT
/*
 * A classifier of digits for fixar quantize: trained in full precision when its folder has none yet, then kept there, so
 * that every search and every run works on the same network.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/crc32c.h"
#include "device.h"
#include "quantize/digits.h"
#include "quantize_subject.h"

#define CHUNK 100 /* training steps between two looks at the keyboard */

struct digits_subject {
	struct digits digits;
	struct classifier *classifier;
	struct digits_quality quality;
};

static double fine_tuned(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps,
			 enum digits_part part, int *error)
{
	struct digits_quality *quality = subject->user;
	double accuracy = NAN;

	*error = digits_fine_tune(quality, widths, 0, steps, part, &accuracy);
	return accuracy;
}

static int fine_tune(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality)
{
	int error;

	*quality = fine_tuned(subject, widths, steps, DIGITS_VALIDATION, &error);
	return error;
}

static int test(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality)
{
	int error;

	*quality = fine_tuned(subject, widths, steps, DIGITS_TEST, &error);
	return error;
}

static struct digits_subject *subject_of(struct quantize_subject *subject)
{
	struct digits_quality *quality = subject->user;

	return (struct digits_subject *)((char *)quality - offsetof(struct digits_subject, quality));
}

static void destroy(struct digits_subject *own)
{
	classifier_destroy(own->classifier);
	digits_free(&own->digits);
	free(own);
}

static json_t *bits(struct quantize_subject *subject, const struct cost_widths *widths)
{
	return classifier_bits_to_json(subject->network, widths);
}

static void close_subject(struct quantize_subject *subject)
{
	destroy(subject_of(subject));
	free(subject->key);
}

/* What names a trained network: its shape and how it was trained. */
static void describe(const struct quantize_subject_options *options, uint32_t data, char text[2][64])
{
	snprintf(text[0], 64, "%s", options->network);
	snprintf(text[1], 64, "%llu steps, digits %08x", (unsigned long long)options->train_steps, data);
}

static int save(const char *path, struct digits_subject *own, const struct quantize_subject_options *options,
		uint32_t data)
{
	const uint64_t layers = classifier_network(own->classifier)->layers;
	char text[2][64], message[512] = "";
	size_t count;
	const int32_t *parameters = classifier_parameters(own->classifier, &count);
	const struct checkpoint_tensor tensors[] = {
		{ "parameters", CHECKPOINT_I32, 1, { count }, parameters, count * sizeof(*parameters) },
		{ "ranges", CHECKPOINT_I32, 2, { layers, 2 }, classifier_ranges(own->classifier),
		  layers * 2 * sizeof(int32_t) },
	};
	const struct checkpoint_string strings[] = { { "network", text[0] }, { "training", text[1] } };

	describe(options, data, text);
	if (!checkpoint_write(path, tensors, 2, strings, 2, message, sizeof(message)))
		return CLI_OK;
	cli_error("%s", message);
	return CLI_FAILED;
}

/* CLI_OK, or CLI_FAILED after a message; *there: whether there is one. */
static int load(const char *path, struct digits_subject *own, const struct quantize_subject_options *options,
		uint32_t data, bool *there)
{
	const uint64_t layers = classifier_network(own->classifier)->layers;
	static const char *const keys[] = { "network", "training" };
	struct checkpoint *checkpoint;
	char text[2][64], message[512] = "";
	size_t count;
	int32_t *parameters = classifier_parameters(own->classifier, &count);
	const uint64_t dim[2] = { count, 0 }, range_dim[2] = { layers, 2 };
	int error = checkpoint_open(path, &checkpoint, message, sizeof(message));

	*there = error != -ENOENT;
	if (!*there)
		return CLI_OK;
	describe(options, data, text);
	for (int i = 0; i < 2 && !error; i++) {
		const char *value;

		error = checkpoint_require(checkpoint, keys[i], &value, message, sizeof(message));
		if (!error && strcmp(value, text[i])) {
			snprintf(message, sizeof(message), "%s: made with %s %s, not %s; choose another folder", path, keys[i],
				 value, text[i]);
			error = -EINVAL;
		}
	}
	if (!error)
		error = checkpoint_read(checkpoint, "parameters", CHECKPOINT_I32, 1, dim, parameters,
					count * sizeof(*parameters), message, sizeof(message));
	if (!error)
		error = checkpoint_read(checkpoint, "ranges", CHECKPOINT_I32, 2, range_dim,
					classifier_ranges(own->classifier), layers * 2 * sizeof(int32_t), message,
					sizeof(message));
	if (checkpoint)
		checkpoint_close(checkpoint);
	if (error)
		cli_error("%s", message);
	classifier_parameters_changed(own->classifier);
	return error ? CLI_FAILED : CLI_OK;
}

static int train(struct digits_subject *own, uint64_t steps)
{
	for (uint64_t step = 0; step < steps; step += CHUNK) {
		const uint64_t n = steps - step < CHUNK ? steps - step : CHUNK;
		const double loss = digits_train(own->classifier, &own->digits, 0, step, n);
		char *line = cli_format("training: %llu of %llu steps, loss %.3f", (unsigned long long)(step + n),
					(unsigned long long)steps, loss);

		if (isatty(STDERR_FILENO))
			cli_draw_line(line);
		free(line);
		if (cli_interrupted()) {
			cli_end_line();
			return CLI_INTERRUPTED;
		}
	}
	cli_end_line();
	digits_calibrate(own->classifier, &own->digits);
	cli_note("accuracy in full precision: %.4f (validation), %.4f (test)",
		 digits_accuracy(own->classifier, &own->digits, DIGITS_VALIDATION),
		 digits_accuracy(own->classifier, &own->digits, DIGITS_TEST));
	return CLI_OK;
}

static int prepare(struct digits_subject *own, const struct quantize_subject_options *options, uint32_t data)
{
	char *path = cli_format("%s/%s", options->directory, CLASSIFIER_FILE);
	bool there = false;
	int code = CLI_OK, error = cli_make_directory(options->directory);

	if (error) {
		cli_error("%s: %s", options->directory, strerror(-error));
		code = CLI_FAILED;
	}
	if (!code)
		code = load(path, own, options, data, &there);
	if (!code && !there) {
		code = train(own, options->train_steps);
		if (!code)
			code = save(path, own, options, data);
	}
	free(path);
	return code;
}

int quantize_subject_digits(struct quantize_subject *subject, const struct quantize_subject_options *options)
{
	const struct classifier_spec *spec = classifier_spec_find(options->network);
	const struct pe_engine *engine = pe_engine_find(options->device.engine);
	struct digits_subject *own = calloc(1, sizeof(*own));
	char message[4608] = "";
	uint32_t data = 0;
	size_t count;
	const int32_t *parameters;
	int code;

	memset(subject, 0, sizeof(*subject));
	if (!spec || !own) {
		free(own);
		return cli_usage("--network \"%s\": expected actor, critic, mlp or lenet", options->network);
	}
	if (!engine) {
		device_engine_error(options->device.engine);
		free(own);
		return CLI_FAILED;
	}
	if (digits_load(options->digits, &own->digits, message, sizeof(message))) {
		cli_error("%s", message);
		free(own);
		return CLI_FAILED;
	}
	for (int part = 0; part < DIGITS_PARTS; part++)
		data = crc32c(data, own->digits.pixels[part], own->digits.count[part] * DIGITS_PIXELS);
	if (classifier_create(spec, 0, engine, &own->classifier)) {
		cli_error("out of memory");
		destroy(own);
		return CLI_FAILED;
	}
	code = prepare(own, options, data);
	if (code) {
		destroy(own);
		return code;
	}
	own->quality = (struct digits_quality){ own->classifier, &own->digits, options->noise };
	parameters = classifier_parameters(own->classifier, &count);
	subject->network = classifier_network(own->classifier);
	subject->quality = digits_quality_evaluate;
	subject->user = &own->quality;
	subject->fine_tune = fine_tune;
	subject->test = test;
	subject->bits = bits;
	subject->close = close_subject;
	subject->key = cli_format("# fixar quantize 1: %s with parameters %08x, digits %08x", options->network,
				  crc32c(0, parameters, count * sizeof(*parameters)), data);
	quantize_subject_add_noise(subject, options->noise);
	return CLI_OK;
}
