// SPDX-License-Identifier: MIT
#include "device/log.h"

#include <stdarg.h>
#include <stdio.h>

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
