// SPDX-License-Identifier: MIT
#include "quantize_subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/crc32c.h"
#include "quantize/policy_quality.h"
#include "run.h"

/* A checkpoint is the same bytes everywhere, so its checksum names the network. */
static int checksum(const char *directory, uint32_t *crc)
{
	char *path = run_path(directory, RUN_CHECKPOINT);
	unsigned char block[65536];
	FILE *file = fopen(path, "rb");
	size_t got;
	int error = file ? 0 : -errno;

	*crc = 0;
	while (file && (got = fread(block, 1, sizeof(block), file)))
		*crc = crc32c(*crc, block, got);
	if (file)
		fclose(file);
	free(path);
	return error;
}

static json_t *run_bits(struct quantize_subject *subject, const struct cost_widths *widths)
{
	struct fixar_layer_bits bits[COST_MAX_LAYERS];

	policy_quality_bits(subject->user, widths, bits);
	return settings_bits_to_json(bits, subject->network->layers);
}

static int run_fine_tune(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps,
			 double *quality)
{
	return policy_quality_fine_tune(subject->user, widths, steps, quality);
}

static int run_test(struct quantize_subject *subject, const struct cost_widths *widths, uint64_t steps, double *quality)
{
	return policy_quality_test(subject->user, widths, steps, quality);
}

static void run_close(struct quantize_subject *subject)
{
	policy_quality_close(subject->user);
	fixar_device_close(subject->device);
	free(subject->key);
}

void quantize_subject_add_noise(struct quantize_subject *subject, const struct cell_noise *noise)
{
	char *without = subject->key, *cells;

	if (!noise)
		return;
	cells = cell_noise_describe(noise);
	subject->key = cli_format("%s, %s", without, cells);
	free(without);
	free(cells);
}

int quantize_subject_run(struct quantize_subject *subject, const struct quantize_subject_options *options)
{
	struct policy_quality_options quality = {
		.directory = options->directory,
		.critic = options->critic,
		.tune_steps = options->tune_steps,
		.episodes = options->episodes,
		.seed = options->seed,
		.noise = options->noise,
		.fine_tunes = options->fine_tunes,
		.log = cli_log,
	};
	struct policy_quality *opened;
	uint32_t crc;
	int error, code;

	memset(subject, 0, sizeof(*subject));
	error = checksum(options->directory, &crc);
	if (error == -ENOENT) {
		cli_error("there is no checkpoint in %s", options->directory);
		return CLI_FAILED;
	}
	code = device_open(&options->device, FIXAR_QAT16, &subject->device);
	if (code)
		return code;
	quality.device = subject->device;
	if (!error)
		error = policy_quality_open(&quality, &opened);
	if (error) {
		cli_error("the run in %s cannot be quantized: %s", options->directory, cli_reason(error));
		fixar_device_close(subject->device);
		return CLI_FAILED;
	}
	subject->network = policy_quality_network(opened);
	subject->quality = policy_quality_evaluate;
	subject->user = opened;
	subject->fine_tune = run_fine_tune;
	subject->test = run_test;
	subject->bits = run_bits;
	subject->close = run_close;
	subject->key = options->critic ?
		cli_format("# fixar quantize 1: critic of checkpoint %08x, %u episodes from seed %llu after %llu steps", crc,
			   options->episodes, (unsigned long long)options->seed, (unsigned long long)options->tune_steps) :
		cli_format("# fixar quantize 1: actor of checkpoint %08x, %u episodes from seed %llu", crc,
			   options->episodes, (unsigned long long)options->seed);
	quantize_subject_add_noise(subject, options->noise);
	return CLI_OK;
}
