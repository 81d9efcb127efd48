// SPDX-License-Identifier: MIT
/* fixar eval for a classifier of digits, and the files of widths that it takes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "quantize_subject.h"

#define FULL_WIDTH 32

json_t *classifier_bits_to_json(const struct cost_network *network, const struct cost_widths *widths)
{
	json_t *list = json_array();

	for (uint32_t l = 0; l < network->layers; l++)
		json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:I}", "layer", (json_int_t)l, "name",
						      network->layer[l].name, "activation",
						      (json_int_t)widths[l].activation, "weight",
						      (json_int_t)widths[l].weight));
	return list;
}

static int read_width(const json_t *entry, const char *key, uint32_t *width)
{
	const json_int_t number = json_integer_value(json_object_get(entry, key));

	*width = (uint32_t)number;
	return (number >= 2 && number <= 16) || number == FULL_WIDTH ? 0 : -EINVAL;
}

int classifier_bits_from_json(const struct cost_network *network, const json_t *list, struct cost_widths *widths,
			      char **message)
{
	const json_t *entry;
	size_t i;

	memset(widths, 0, network->layers * sizeof(*widths));
	if (!json_is_array(list) || json_array_size(list) != network->layers) {
		*message = cli_format("expected a list with one entry for each of %u layers", network->layers);
		return -EINVAL;
	}
	json_array_foreach(list, i, entry)
	{
		const json_t *layer = json_object_get(entry, "layer");
		const json_int_t l = json_integer_value(layer);

		if (!json_is_integer(layer) || l < 0 || l >= network->layers || widths[l].activation) {
			*message = cli_format("entry %zu: \"layer\" must be a number from 0 to %u that no other entry has", i,
					      network->layers - 1);
			return -EINVAL;
		}
		if (read_width(entry, "activation", &widths[l].activation) ||
		    read_width(entry, "weight", &widths[l].weight)) {
			*message = cli_format("entry %zu: \"activation\" and \"weight\" must be widths from 2 to 16, or 32", i);
			return -EINVAL;
		}
	}
	return 0;
}

/* What a classifier's file says of itself; quantize_subject_digits() then loads it and checks that the digits are the same. */
static int describe(const char *directory, char network[64], struct quantize_subject_options *options)
{
	char *path = cli_format("%s/" CLASSIFIER_FILE, directory), message[512] = "";
	const char *name = NULL, *training = NULL;
	struct checkpoint *checkpoint;
	unsigned long long steps;
	int error = checkpoint_open(path, &checkpoint, message, sizeof(message));

	if (!error)
		error = checkpoint_require(checkpoint, "network", &name, message, sizeof(message));
	if (!error)
		error = checkpoint_require(checkpoint, "training", &training, message, sizeof(message));
	if (!error && (strlen(name) >= 64 || sscanf(training, "%llu steps", &steps) != 1)) {
		snprintf(message, sizeof(message), "%s: no classifier of this program", path);
		error = -EBADMSG;
	}
	if (error) {
		cli_error("%s", message);
	} else {
		strcpy(network, name);
		*options = (struct quantize_subject_options){ .directory = directory, .network = network, .train_steps = steps };
	}
	if (checkpoint)
		checkpoint_close(checkpoint);
	free(path);
	return error ? CLI_FAILED : CLI_OK;
}

static int read_bits(const char *path, const struct cost_network *network, struct cost_widths *widths)
{
	char *message = NULL;
	int code = CLI_OK, error;
	json_t *list;

	for (uint32_t l = 0; l < network->layers; l++)
		widths[l] = (struct cost_widths){ FULL_WIDTH, FULL_WIDTH };
	if (!path)
		return CLI_OK;
	list = cli_read_json(path, &message, &error);
	if (!list) {
		cli_error("%s", message);
		code = CLI_FAILED;
	} else if (classifier_bits_from_json(network, list, widths, &message)) {
		code = cli_usage("%s: %s", path, message);
	}
	json_decref(list);
	free(message);
	return code;
}

int classifier_evaluate(const char *directory, const char *digits, const char *bits, const struct cell_noise *noise,
			const struct device_choice *device, bool json)
{
	struct quantize_subject_options options;
	struct cost_widths widths[COST_MAX_LAYERS];
	struct quantize_subject subject;
	double validation, test;
	char network[64];
	int code = describe(directory, network, &options);

	if (code)
		return code;
	options.digits = digits;
	options.noise = noise;
	options.device = *device;
	code = quantize_subject_digits(&subject, &options);
	if (code)
		return code;
	code = read_bits(bits, subject.network, widths);
	if (!code && (subject.quality(subject.user, widths, &validation) || subject.test(&subject, widths, 0, &test))) {
		cli_error("out of memory");
		code = CLI_FAILED;
	}
	if (!code && json) {
		json_t *answer = json_pack("{s:s, s:f, s:f, s:o}", "network", network, "validation", validation, "test", test,
					   "bits", classifier_bits_to_json(subject.network, widths));

		cli_print_json(answer);
		json_decref(answer);
	} else if (!code) {
		printf("%s: accuracy %.4f on the validation digits, %.4f on the test digits\n", network, validation, test);
	}
	subject.close(&subject);
	return code;
}
