/* SPDX-License-Identifier: MIT */
/* The library prints nothing: what it has to say goes, a line at a time, to the callback that the user gave. */
#ifndef FIXAR_LIB_DEVICE_LOG_H
#define FIXAR_LIB_DEVICE_LOG_H

#include <fixar/fixar.h>

struct log_sink {
	fixar_log_fn write; /* NULL: nobody listens */
	void *user;
};

/* Lines longer than LOG_LINE_MAX - 1 bytes are cut off. `sink` may be NULL. */
#define LOG_LINE_MAX 1024
__attribute__((format(printf, 3, 4))) void log_line(const struct log_sink *sink, enum fixar_log_level level,
						    const char *format, ...);

/* Words for a negative errno value. */
const char *log_errno(int error);

/* Why an engine that is known cannot be had; `refusal` is pe_engine_refusal()'s. */
void log_no_engine(const char *engine, int refusal, char *text, size_t size);

#endif /* FIXAR_LIB_DEVICE_LOG_H */
