/* SPDX-License-Identifier: MIT */
/* What fixar quantize works on: a network with a quality, whatever it is. */
#ifndef FIXAR_TOOLS_QUANTIZE_SUBJECT_H
#define FIXAR_TOOLS_QUANTIZE_SUBJECT_H

#include "cells.h"
#include "cli.h"
#include "device.h"
#include "quantize/problem.h"

/* What a directory with a classifier holds. */
#define CLASSIFIER_FILE "classifier.safetensors"

struct quantize_subject_options {
	const char *directory; /* of the run, or of the classifier */
	const char *network;   /* of the classifier; NULL: that of a run */
	bool critic;	       /* of a run, instead of its actor */
	uint64_t tune_steps;   /* of a critic's evaluation */
	const char *digits;    /* folder of them */
	uint64_t train_steps;
	uint32_t episodes;
	uint64_t seed; /* of the start states */
	const struct cell_noise *noise; /* NULL: none; outlives the subject */
	bool fine_tunes;
	struct device_choice device;
};

struct quantize_subject {
	const struct cost_network *network;
	quantize_quality quality;
	void *user; /* of quality() */
	char *key;  /* what qualities depend on beside the widths */
	/* Quality after `steps` of training with these widths. */
	int (*fine_tune)(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality);
	/* The same on what no search has seen, steps 0 included; NULL: there is nothing of the kind. */
	int (*test)(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality);
	/* The list for --bits. */
	json_t *(*bits)(struct quantize_subject *subject, const struct cost_widths *widths);
	void (*close)(struct quantize_subject *subject);
	struct fixar_device *device;
};

/* Qualities depend on the cells too, if there is noise. */
void quantize_subject_add_noise(struct quantize_subject *subject, const struct cell_noise *noise);

/* The actor or critic of a run. CLI_OK, or CLI_FAILED or CLI_USAGE after a message. */
int quantize_subject_run(struct quantize_subject *subject, const struct quantize_subject_options *options);

/* A classifier of digits (--network), trained when its folder has none. The same, or CLI_INTERRUPTED. */
int quantize_subject_digits(struct quantize_subject *subject, const struct quantize_subject_options *options);

/* The widths of a classifier's layers as a list of {"layer", "name", "activation", "weight"}, and back. */
json_t *classifier_bits_to_json(const struct cost_network *network, const struct cost_widths *widths);
/* 0, or -EINVAL and a message (freed by the caller). Every layer must be there once. */
int classifier_bits_from_json(const struct cost_network *network, const json_t *list, struct cost_widths *widths,
			      char **message);

/*
 * fixar eval for a classifier: its accuracy on the validation and the test part of the digits, with the widths in the file
 * `bits` (NULL: full precision) and cells that do what `noise` says (NULL: nothing). An exit code.
 */
int classifier_evaluate(const char *directory, const char *digits, const char *bits, const struct cell_noise *noise,
			const struct device_choice *device, bool json);

#endif /* FIXAR_TOOLS_QUANTIZE_SUBJECT_H */
