/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user protocol, server side: one client (QEMU) at a time.
 *
 * vfio_user_handle() is the protocol without the socket: a message in, a reply out. What comes from the client is not
 * trusted: a message that is malformed gets an error reply and changes nothing.
 */
#ifndef FIXAR_EMU_VFIO_USER_H
#define FIXAR_EMU_VFIO_USER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFIO_USER_DATA_MOST 0x100000u /* of one read or write; what clients assume if they are told nothing */
#define VFIO_USER_MESSAGE_MOST (VFIO_USER_DATA_MOST + 4096u)
#define VFIO_USER_FDS_MOST 64

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_GET_INFO = 4,
	VFIO_USER_GET_REGION_INFO = 5,
	VFIO_USER_GET_IRQ_INFO = 7,
	VFIO_USER_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,
	VFIO_USER_DMA_WRITE = 12,
	VFIO_USER_RESET = 13
};

struct vfio_user_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* with this header */
	uint32_t flags;
	uint32_t error;
};

#define VFIO_USER_TYPE 0xfu /* of flags */
#define VFIO_USER_REPLY 0x1u
#define VFIO_USER_NO_REPLY 0x10u
#define VFIO_USER_ERROR 0x20u

struct card;

struct vfio_user_message {
	struct vfio_user_header header;
	const uint8_t *body;
	uint32_t body_bytes;
	int *fds; /* who keeps one sets it to -1 */
	unsigned fd_count;
};

struct vfio_user_reply {
	uint32_t error; /* errno; then there is no body */
	uint32_t body_bytes;
	uint8_t body[VFIO_USER_MESSAGE_MOST];
};

/* A command of the client. Without the card's lock, which it takes. */
void vfio_user_handle(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply);

/* vfio_user_session.c: a connected client, until it goes or `quit` (a descriptor) becomes readable. */
void vfio_user_serve(struct card *card, int socket, int quit);

#endif /* FIXAR_EMU_VFIO_USER_H */
