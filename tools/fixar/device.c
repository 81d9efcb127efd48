// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <string.h>

#include "device/log.h"
#include "pe/engine.h"

static const char *const engines[] = { "auto", "amx", "avx512", "avx2", "neon", "scalar" };

const char *device_engine(const struct argp_state *state, const char *text)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i], text))
			return text;
	argp_error(state, "engine is \"%s\"; expected auto, scalar, avx2, avx512, amx or neon", text);
	return NULL;
}

void device_engine_error(const char *name)
{
	char message[256];

	log_no_engine(name, pe_engine_refusal(name), message, sizeof(message));
	cli_error("%s", message);
}

error_t device_option(struct device_choice *choice, int key, char *text, struct argp_state *state)
{
	switch (key) {
	case DEVICE_KEY_DEVICE:
		choice->device = text;
		return 0;
	case DEVICE_KEY_ENGINE:
		choice->engine = device_engine(state, text);
		return 0;
	case DEVICE_KEY_THREADS:
		choice->threads = (uint32_t)cli_option_u64(state, "threads", text, 1, 1024);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int device_open(const struct device_choice *choice, enum fixar_precision precision, struct fixar_device **device)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	const char *name = choice->device ? choice->device : "auto";
	int error;

	options.engine = choice->engine;
	options.threads = choice->threads;
	options.precision = precision;
	options.log = cli_log;
	error = fixar_device_open(name, &options, device);
	if (!error)
		return CLI_OK;
	/* The library's log has said why. */
	return error == -EINVAL ? CLI_USAGE : CLI_FAILED;
}
