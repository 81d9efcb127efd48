// SPDX-License-Identifier: MIT
/* The control socket: a thread of its own, so that a long answer delays no register access but for the lock's time. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "card.h"

#define CLIENTS 16
#define LINE_MOST 0x40000 /* characters of a request */
#define SEND_SECONDS 10	  /* for a client that does not read its answers */

struct client {
	int fd; /* -1: free */
	char *line;
	size_t length;
};

struct control {
	struct card *card;
	int listener, quit;
	int end; /* readable when the thread is to end */
	struct client client[CLIENTS];
	pthread_t thread;
};

static void drop(struct client *client)
{
	close(client->fd);
	free(client->line);
	*client = (struct client){ .fd = -1 };
}

static void admit(struct control *control)
{
	const struct timeval patience = { SEND_SECONDS, 0 };
	const int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = &control->client[i];

		if (client->fd >= 0)
			continue;
		client->line = malloc(LINE_MOST);
		if (!client->line)
			break;
		client->fd = fd;
		client->length = 0;
		return;
	}
	close(fd);
}

static bool send_all(int fd, const char *text, size_t length)
{
	while (length) {
		const ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text += sent;
		length -= (size_t)sent;
	}
	return true;
}

static bool answer(struct control *control, const struct client *client, char *line)
{
	const uint64_t one = 1;
	bool quit = false;
	json_t *json = control_request(control->card, line, &quit);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	bool ok = text && send_all(client->fd, text, strlen(text)) && send_all(client->fd, "\n", 1);

	free(text);
	json_decref(json);
	if (quit && write(control->quit, &one, sizeof(one)) < 0)
		ok = false;
	return ok;
}

/* False: the client goes. */
static bool take(struct control *control, struct client *client)
{
	const ssize_t received = recv(client->fd, client->line + client->length, LINE_MOST - client->length, 0);
	char *begin = client->line, *end;

	if (received < 0 && errno == EINTR)
		return true;
	if (received <= 0)
		return false;
	client->length += (size_t)received;
	while ((end = memchr(begin, '\n', client->length - (size_t)(begin - client->line)))) {
		*end = '\0';
		if (!answer(control, client, begin))
			return false;
		begin = end + 1;
	}
	client->length -= (size_t)(begin - client->line);
	memmove(client->line, begin, client->length);
	/* A line without an end. */
	return client->length < LINE_MOST;
}

static void *work(void *argument)
{
	struct control *control = argument;
	struct pollfd fds[2 + CLIENTS];

	for (;;) {
		fds[0] = (struct pollfd){ control->end, POLLIN, 0 };
		fds[1] = (struct pollfd){ control->listener, POLLIN, 0 };
		for (int i = 0; i < CLIENTS; i++)
			fds[2 + i] = (struct pollfd){ control->client[i].fd, POLLIN, 0 };
		if (poll(fds, 2 + CLIENTS, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		for (int i = 0; i < CLIENTS; i++)
			if (fds[2 + i].fd >= 0 && fds[2 + i].revents && !take(control, &control->client[i]))
				drop(&control->client[i]);
		if (fds[1].revents)
			admit(control);
	}
	return NULL;
}

int control_start(struct card *card, int fd, int quit, struct control **started)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control) {
		close(fd);
		return -ENOMEM;
	}
	control->card = card;
	control->listener = fd;
	control->quit = quit;
	control->end = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < CLIENTS; i++)
		control->client[i].fd = -1;
	error = control->end < 0 ? errno : pthread_create(&control->thread, NULL, work, control);
	if (error) {
		close(fd);
		free(control);
		return -error;
	}
	*started = control;
	return 0;
}

void control_stop(struct control *control)
{
	const uint64_t one = 1;

	if (!control)
		return;
	/* An eventfd of our own, at 0: this cannot fail. */
	if (write(control->end, &one, sizeof(one)) == sizeof(one))
		pthread_join(control->thread, NULL);
	for (int i = 0; i < CLIENTS; i++)
		if (control->client[i].fd >= 0)
			drop(&control->client[i]);
	close(control->listener);
	close(control->end);
	free(control);
}
