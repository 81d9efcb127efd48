// SPDX-License-Identifier: MIT
/*
 * A connected client: messages from and to the socket.
 *
 * The thread that serves reads messages and answers them at once. Engines send messages of their own (DMA_READ and
 * DMA_WRITE, for memory that came without a file) and wait for the replies, which the serving thread hands them: it
 * never waits for an engine itself.
 */
#include "vfio_user.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "card.h"

#define WAITERS 16 /* engines that wait for a reply at once: there are nine */
#define REPLY_SECONDS 20

struct waiter {
	bool used, done;
	uint16_t id;
	uint32_t error;
	void *data; /* where the data of a reply go, behind `skip` bytes of its body */
	uint32_t skip, bytes;
};

struct session {
	struct card *card;
	int socket, quit;
	uint8_t body[VFIO_USER_MESSAGE_MOST];
	struct vfio_user_reply reply;

	pthread_mutex_t sending; /* one message after the other */
	pthread_mutex_t lock;	 /* of what follows */
	pthread_cond_t replied;
	struct waiter waiter[WAITERS];
	uint16_t next_id;
	bool closed;
};

/* ---- The socket ---- */

/* Waits until the socket can be read. False: the emulator ends. */
static bool readable(const struct session *session)
{
	struct pollfd fds[2] = { { session->socket, POLLIN, 0 }, { session->quit, POLLIN, 0 } };

	for (;;) {
		const int ready = poll(fds, 2, -1);

		if (ready < 0 && errno != EINTR)
			return false;
		if (ready > 0 && fds[1].revents)
			return false;
		if (ready > 0 && fds[0].revents)
			return true;
	}
}

/* Descriptors come with the first byte of a message. Returns the bytes received; 0 or less: the end. */
static ssize_t receive_some(const struct session *session, void *bytes, size_t count, int *fds, unsigned *fd_count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(VFIO_USER_FDS_MOST * sizeof(int))];
	} control;
	struct iovec vector = { bytes, count };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t received;

	if (fds) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
	}
	do {
		received = recvmsg(session->socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	if (received <= 0 || !fds)
		return received;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (item->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(fd));
			if (*fd_count < VFIO_USER_FDS_MOST)
				fds[(*fd_count)++] = fd;
			else
				close(fd);
		}
	}
	return received;
}

static bool receive(const struct session *session, void *bytes, size_t count, int *fds, unsigned *fd_count)
{
	uint8_t *place = bytes;

	while (count) {
		ssize_t received;

		if (!readable(session))
			return false;
		received = receive_some(session, place, count, fds, fd_count);
		if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			continue;
		if (received <= 0)
			return false;
		place += received;
		count -= (size_t)received;
	}
	return true;
}

static bool send_message(struct session *session, const struct vfio_user_header *header, const void *body,
			 size_t body_bytes)
{
	struct iovec vectors[2] = { { (void *)(uintptr_t)header, sizeof(*header) },
				    { (void *)(uintptr_t)body, body_bytes } };
	struct msghdr message = { .msg_iov = vectors, .msg_iovlen = 2 };
	bool ok = true;

	pthread_mutex_lock(&session->sending);
	while (ok && (vectors[0].iov_len || vectors[1].iov_len)) {
		ssize_t sent = sendmsg(session->socket, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		ok = sent > 0;
		for (int i = 0; ok && i < 2; i++) {
			const size_t step = (size_t)sent < vectors[i].iov_len ? (size_t)sent : vectors[i].iov_len;

			vectors[i].iov_base = (char *)vectors[i].iov_base + step;
			vectors[i].iov_len -= step;
			sent -= (ssize_t)step;
		}
	}
	pthread_mutex_unlock(&session->sending);
	return ok;
}

/* ---- Messages of our own ---- */

/* As they are on the wire. */
struct dma_access {
	uint64_t address, count;
};

static struct waiter *begin_wait(struct session *session, void *data, uint32_t bytes)
{
	struct waiter *waiter = NULL;

	pthread_mutex_lock(&session->lock);
	for (int i = 0; !session->closed && i < WAITERS && !waiter; i++)
		if (!session->waiter[i].used)
			waiter = &session->waiter[i];
	if (waiter)
		*waiter = (struct waiter){ .used = true,
					   .id = session->next_id++,
					   .data = data,
					   .skip = sizeof(struct dma_access),
					   .bytes = bytes };
	pthread_mutex_unlock(&session->lock);
	return waiter;
}

static int end_wait(struct session *session, struct waiter *waiter, bool sent)
{
	struct timespec limit;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += REPLY_SECONDS;
	pthread_mutex_lock(&session->lock);
	while (sent && !error && !waiter->done && !session->closed)
		error = pthread_cond_timedwait(&session->replied, &session->lock, &limit);
	error = waiter->done ? -(int)waiter->error : -EIO;
	waiter->used = false;
	pthread_mutex_unlock(&session->lock);
	return error;
}

static int dma_by_message(void *user, bool write, uint64_t address, void *bytes, uint32_t count)
{
	struct session *session = user;
	struct {
		struct dma_access access;
		uint8_t data[VFIO_USER_DATA_MOST];
	} *body = malloc(sizeof(*body));
	struct vfio_user_header header = { .command = write ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ };
	struct waiter *waiter;
	uint32_t body_bytes = sizeof(body->access);
	int error = -ENOMEM;

	if (!body)
		return error;
	body->access = (struct dma_access){ address, count };
	if (write) {
		memcpy(body->data, bytes, count);
		body_bytes += count;
	}
	waiter = begin_wait(session, write ? NULL : bytes, write ? 0 : count);
	if (waiter) {
		header.id = waiter->id;
		header.size = (uint32_t)sizeof(header) + body_bytes;
		error = end_wait(session, waiter, send_message(session, &header, body, body_bytes));
	} else {
		error = -EIO;
	}
	free(body);
	return error;
}

/* A reply to one of our messages; one that nobody waits for is dropped. */
static void take_reply(struct session *session, const struct vfio_user_message *message)
{
	const struct vfio_user_header *header = &message->header;

	pthread_mutex_lock(&session->lock);
	for (int i = 0; i < WAITERS; i++) {
		struct waiter *waiter = &session->waiter[i];

		if (!waiter->used || waiter->done || waiter->id != header->id)
			continue;
		waiter->done = true;
		if (header->flags & VFIO_USER_ERROR)
			waiter->error = header->error && header->error < 4096 ? header->error : EIO;
		else if (waiter->bytes && message->body_bytes < waiter->skip + waiter->bytes)
			waiter->error = EIO;
		else if (waiter->bytes)
			memcpy(waiter->data, message->body + waiter->skip, waiter->bytes);
	}
	pthread_cond_broadcast(&session->replied);
	pthread_mutex_unlock(&session->lock);
}

/* ---- Messages of the client ---- */

static bool answer(struct session *session, const struct vfio_user_message *message)
{
	const struct vfio_user_reply *reply = &session->reply;
	struct vfio_user_header header = {
		.id = message->header.id,
		.command = message->header.command,
		.size = (uint32_t)sizeof(header) + reply->body_bytes,
		.flags = VFIO_USER_REPLY | (reply->error ? VFIO_USER_ERROR : 0),
		.error = reply->error,
	};

	/* Posted writes: a reply would be taken for that of the next command. */
	if (message->header.flags & VFIO_USER_NO_REPLY)
		return true;
	return send_message(session, &header, reply->body, reply->body_bytes);
}

/* False: there will be no further message. */
static bool serve_message(struct session *session)
{
	int fds[VFIO_USER_FDS_MOST];
	struct vfio_user_message message = { .body = session->body, .fds = fds };
	struct vfio_user_header *header = &message.header;
	bool ok = receive(session, header, sizeof(*header), fds, &message.fd_count);

	if (ok && (header->size < sizeof(*header) || header->size - sizeof(*header) > sizeof(session->body))) {
		fprintf(stderr, "fixar-emu: a message of %u bytes: the client is sent away\n", header->size);
		ok = false;
	}
	if (ok) {
		message.body_bytes = header->size - (uint32_t)sizeof(*header);
		ok = receive(session, session->body, message.body_bytes, NULL, NULL);
	}
	if (ok && (header->flags & VFIO_USER_TYPE) == VFIO_USER_REPLY) {
		take_reply(session, &message);
	} else if (ok) {
		vfio_user_handle(session->card, &message, &session->reply);
		ok = answer(session, &message);
	}
	for (unsigned i = 0; i < message.fd_count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return ok;
}

void vfio_user_serve(struct card *card, int socket, int quit)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		close(socket);
		return;
	}
	session->card = card;
	session->socket = socket;
	session->quit = quit;
	pthread_mutex_init(&session->sending, NULL);
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->replied, NULL);
	dma_map_messages(&card->dma, dma_by_message, session);

	while (serve_message(session))
		;

	/* Engines that wait for a reply end their waits before the session goes. */
	dma_map_messages(&card->dma, NULL, NULL);
	pthread_mutex_lock(&session->lock);
	session->closed = true;
	pthread_cond_broadcast(&session->replied);
	pthread_mutex_unlock(&session->lock);
	shutdown(socket, SHUT_RDWR);
	dma_map_drain(&card->dma);
	dma_map_clear(&card->dma);
	pthread_mutex_lock(&card->lock);
	interrupts_forget(&card->interrupts);
	pthread_mutex_unlock(&card->lock);
	close(socket);
	pthread_cond_destroy(&session->replied);
	pthread_mutex_destroy(&session->lock);
	pthread_mutex_destroy(&session->sending);
	free(session);
}
