// SPDX-License-Identifier: MIT
/* Opening a device by name. Which kinds of device there are is known here and nowhere else. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/card.h"
#include "device/device.h"
#include "device/log.h"
#include "device/options.h"
#include "pe/engine.h"

#define CARD_MESSAGE 512

static int check_engine(const struct log_sink *log, const char *engine)
{
	if (!engine || !strcmp(engine, "auto"))
		return 0;
	if (!pe_engine_known(engine)) {
		log_line(log, FIXAR_LOG_ERROR, "engine: \"%s\" is unknown, expected auto, amx, avx512, avx2, neon or scalar",
			 engine);
		return -EINVAL;
	}
	if (!pe_engine_find(engine)) {
		char why[LOG_LINE_MAX];

		log_no_engine(engine, pe_engine_refusal(engine), why, sizeof(why));
		log_line(log, FIXAR_LOG_ERROR, "engine: %s", why);
		return -ENOTSUP;
	}
	return 0;
}

static int open_cpu(const struct fixar_device_options *options, const struct log_sink *log,
		    struct fixar_device **device)
{
	const int is_float32 = options->precision == FIXAR_FLOAT32;
	int error = check_engine(log, options->engine);

	if (error)
		return error;
	error = is_float32 ? device_float32_open(options->engine, options->threads, device)
			   : device_cpu_open(options->engine, options->threads, device);
	/* The name is an engine's that this processor has. */
	if (error == -ENOTSUP && is_float32)
		log_line(log, FIXAR_LOG_ERROR, "engine: float32 has no kernels for \"%s\", expected auto, avx2 or scalar",
			 options->engine);
	else if (error)
		log_line(log, FIXAR_LOG_ERROR, "the CPU device cannot be opened: %s", log_errno(error));
	return error;
}

static int open_card(const char *name, const struct fixar_device_options *options, const struct log_sink *log,
		     struct fixar_device **device)
{
	char message[CARD_MESSAGE] = "";
	struct card card;
	int error;

	if (options->precision == FIXAR_FLOAT32) {
		log_line(log, FIXAR_LOG_ERROR, "device: float32 exists on the CPU only, not on \"%s\"", name);
		return -ENOTSUP;
	}
	if (options->engine && strcmp(options->engine, "auto") != 0) {
		log_line(log, FIXAR_LOG_ERROR, "engine: \"%s\" means kernels of the CPU, and \"%s\" is a card",
			 options->engine, name);
		return -EINVAL;
	}
	error = card_open(name, &card, message, sizeof(message));
	if (!error)
		return device_card_open(&card, log, device);
	log_line(log, FIXAR_LOG_ERROR, "device: %s", *message ? message : log_errno(error));
	return error;
}

/* The first card that can be used; else NULL, and `reason` says why there is none. */
static int find_card(const struct log_sink *log, struct fixar_device **device, char reason[CARD_MESSAGE])
{
	struct card_place *places;
	size_t count;
	int error = card_find_all(&places, &count, reason, CARD_MESSAGE);

	if (error) {
		if (!*reason)
			snprintf(reason, CARD_MESSAGE, "cards cannot be looked for: %s", log_errno(error));
		return error;
	}
	snprintf(reason, CARD_MESSAGE, "there is no card");
	error = -ENODEV;
	for (size_t i = 0; i < count && error; i++) {
		char message[CARD_MESSAGE] = "";
		struct card card;

		error = card_open(places[i].address, &card, message, sizeof(message));
		if (!error)
			error = device_card_open(&card, log, device);
		else if (i == 0)
			snprintf(reason, CARD_MESSAGE, "%s", *message ? message : log_errno(error));
	}
	free(places);
	return error;
}

static int open_auto(const struct fixar_device_options *options, const struct log_sink *log,
		     struct fixar_device **device)
{
	char reason[CARD_MESSAGE] = "";
	int error;

	if (options->precision == FIXAR_FLOAT32)
		snprintf(reason, sizeof(reason), "float32 exists on the CPU only");
	else if (options->engine && strcmp(options->engine, "auto") != 0)
		snprintf(reason, sizeof(reason), "an engine of the CPU was asked for");
	else if (!find_card(log, device, reason))
		snprintf(reason, sizeof(reason), "it is the first card that can be used");
	error = *device ? 0 : open_cpu(options, log, device);
	if (!error)
		log_line(log, FIXAR_LOG_INFO, "device: %s, because %s", (*device)->description, reason);
	return error;
}

int fixar_device_open(const char *name, const struct fixar_device_options *options, struct fixar_device **device)
{
	struct fixar_device_options known = FIXAR_DEVICE_OPTIONS_INIT;
	struct log_sink log;
	int error;

	if (!device)
		return -EINVAL;
	*device = NULL;
	error = options_copy(&known, sizeof(known), options, options ? options->size : sizeof(known));
	if (error)
		return error;
	log = (struct log_sink){ known.log, known.log_user };
	if ((unsigned int)known.precision > FIXAR_QAT16X16) {
		log_line(&log, FIXAR_LOG_ERROR, "precision: %d is unknown", (int)known.precision);
		return -EINVAL;
	}
	if (!name || !strcmp(name, "auto"))
		return open_auto(&known, &log, device);
	if (!strcmp(name, "cpu"))
		return open_cpu(&known, &log, device);
	if (!strchr(name, '/') && !strchr(name, ':')) {
		log_line(&log, FIXAR_LOG_ERROR,
			 "device: \"%s\" is none; expected auto, cpu, a node like /dev/accel/accel0 or a PCI address "
			 "like "
			 "0000:01:00.0",
			 name);
		return -EINVAL;
	}
	return open_card(name, &known, &log, device);
}

void fixar_device_close(struct fixar_device *device)
{
	if (device)
		device->ops->close(device);
}

const char *fixar_device_description(const struct fixar_device *device)
{
	return device->description;
}

int fixar_engine_available(const char *engine)
{
	return engine && strcmp(engine, "auto") && pe_engine_find(engine);
}
