// SPDX-License-Identifier: MIT
#include "device/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void log_line(const struct log_sink *sink, enum fixar_log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list arguments;

	if (!sink || !sink->write)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	sink->write(sink->user, level, line);
}

const char *log_errno(int error)
{
	/* Not strerror(): it is neither safe with threads nor the same in every locale. */
	const char *words = strerrordesc_np(-error);

	return words ? words : "unknown error";
}

void log_no_engine(const char *engine, int refusal, char *text, size_t size)
{
	if (refusal)
		snprintf(text, size,
			 "this processor has \"%s\", but the kernel does not let this process use it (arch_prctl, "
			 "ARCH_REQ_XCOMP_PERM: %s)",
			 engine, log_errno(-refusal));
	else
		snprintf(text, size, "this processor cannot run \"%s\"", engine);
}
