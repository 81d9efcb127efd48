// SPDX-License-Identifier: MIT
/* Opening a device by name. Which kinds of device there are is known here and nowhere else. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "device/device.h"
#include "device/log.h"
#include "device/options.h"
#include "pe/engine.h"

static int check_engine(const struct log_sink *log, const char *engine)
{
	if (!engine || !strcmp(engine, "auto"))
		return 0;
	if (!pe_engine_known(engine)) {
		log_line(log, FIXAR_LOG_ERROR, "engine: \"%s\" is unknown, expected auto, avx512, avx2, neon or scalar",
			 engine);
		return -EINVAL;
	}
	if (!pe_engine_find(engine)) {
		log_line(log, FIXAR_LOG_ERROR, "engine: this processor cannot run \"%s\"", engine);
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
	if (error)
		log_line(log, FIXAR_LOG_ERROR, "the CPU device cannot be opened: %s", log_errno(error));
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
	if ((unsigned int)known.precision > FIXAR_QAT16) {
		log_line(&log, FIXAR_LOG_ERROR, "precision: %d is unknown", (int)known.precision);
		return -EINVAL;
	}

	if (!name || !strcmp(name, "auto")) {
		error = open_cpu(&known, &log, device);
		if (!error)
			log_line(&log, FIXAR_LOG_INFO, "device: %s, because %s", (*device)->description,
				 known.precision == FIXAR_FLOAT32 ? "float32 exists on the CPU only"
								  : "this library has no driver for cards yet");
		return error;
	}
	if (!strcmp(name, "cpu"))
		return open_cpu(&known, &log, device);

	if (known.precision == FIXAR_FLOAT32) {
		log_line(&log, FIXAR_LOG_ERROR, "device: float32 exists on the CPU only, not on \"%s\"", name);
		return -ENOTSUP;
	}
	log_line(&log, FIXAR_LOG_ERROR,
		 "device: there is no \"%s\"; this library knows \"auto\" and \"cpu\", and has no driver for cards yet",
		 name);
	return -ENODEV;
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
