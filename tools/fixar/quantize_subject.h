/* SPDX-License-Identifier: MIT */
/* What fixar quantize works on: a network with a quality, whatever it is. */
#ifndef FIXAR_TOOLS_QUANTIZE_SUBJECT_H
#define FIXAR_TOOLS_QUANTIZE_SUBJECT_H

#include "cli.h"
#include "cost/models.h"
#include "device.h"
#include "quantize/problem.h"

struct quantize_subject_options {
	const char *directory; /* of the run */
	uint32_t episodes;
	uint64_t seed; /* of the start states */
	const struct reram_parameters *noise;
	uint64_t noise_seed;
	struct device_choice device;
};

struct quantize_subject {
	const struct cost_network *network;
	quantize_quality quality;
	void *user; /* of quality() */
	char *key;  /* what qualities depend on beside the widths */
	/* Quality after `steps` of training with these widths. */
	int (*fine_tune)(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality);
	/* The list for --bits, or NULL. */
	json_t *(*bits)(struct quantize_subject *subject, const struct cost_widths *widths);
	void (*close)(struct quantize_subject *subject);
	struct fixar_device *device;
};

/* The actor of a run. CLI_OK, or CLI_FAILED or CLI_USAGE after a message. */
int quantize_subject_run(struct quantize_subject *subject, const struct quantize_subject_options *options);

#endif /* FIXAR_TOOLS_QUANTIZE_SUBJECT_H */
