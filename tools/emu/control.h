/* SPDX-License-Identifier: MIT */
/*
 * The control socket: a request is a line of words, an answer a line of JSON. "help" lists the requests.
 */
#ifndef FIXAR_EMU_CONTROL_H
#define FIXAR_EMU_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

struct card;
struct control;

/* Serves the listening socket `fd`, which is taken over, until `quit` becomes readable or a client says so by it. */
int control_start(struct card *card, int fd, int quit, struct control **control);
void control_stop(struct control *control);

/* control_request.c: one request; the answer is the caller's. *quit is set if it asks for the end. */
json_t *control_request(struct card *card, char *line, bool *quit);

#endif /* FIXAR_EMU_CONTROL_H */
