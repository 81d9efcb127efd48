/* SPDX-License-Identifier: MIT */
/* Errors in words, into a buffer of the caller. */
#ifndef FIXAR_LIB_CHECKPOINT_MESSAGE_H
#define FIXAR_LIB_CHECKPOINT_MESSAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Where a message goes; `text` may be NULL. */
struct message {
	char *text;
	size_t size;
};

/* Writes the message and returns `error`, so that a failure is one statement. */
__attribute__((format(printf, 3, 4))) static inline int fail(const struct message *message, int error,
							     const char *format, ...)
{
	va_list arguments;

	if (message->text && message->size) {
		va_start(arguments, format);
		vsnprintf(message->text, message->size, format, arguments);
		va_end(arguments);
	}
	return error;
}

#endif /* FIXAR_LIB_CHECKPOINT_MESSAGE_H */
