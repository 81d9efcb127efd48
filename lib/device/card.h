/* SPDX-License-Identifier: MIT */
/*
 * Cards: finding them, opening one, and what its driver answers. include/uapi/drm/fixar_accel.h has the ioctls;
 * libdrm repeats those that a signal interrupted. All functions return 0 or a negative errno value and never print.
 */
#ifndef FIXAR_LIB_DEVICE_CARD_H
#define FIXAR_LIB_DEVICE_CARD_H

#include <drm/fixar_accel.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "device/log.h"

#define CARD_DRIVER "fixar"
#define CARD_DRIVER_MAJOR 1 /* of the ioctls that this library speaks */
#define CARD_ADDRESS 24	    /* bytes for a PCI address: "0000:01:00.0" */
#define CARD_NODE 256
#define CARD_BARS 6

/* ---- Where cards are (card_find.c) ---- */

/* A PCI function with a card's ids, or with our driver bound to it (`new_id`); usable or not. */
struct card_place {
	char address[CARD_ADDRESS];
	char driver[32];      /* what is bound; "": nothing */
	char node[CARD_NODE]; /* "/dev/accel/accel0", or a render node on kernels without accel; "": none */
	char name[128];	      /* of the PCI id database */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class;
	struct {
		uint64_t base, bytes; /* 0: unused */
	} bar[CARD_BARS];
};

/*
 * All cards of this machine in the order of their addresses, for the caller to free. No card is no error: *count is 0.
 * What goes wrong is said in `message`.
 */
int card_find_all(struct card_place **places, size_t *count, char *message, size_t message_size);

/*
 * The function at a PCI address ("0000:01:00.0" or "01:00.0"), whatever it is. -EINVAL: this is no address; -ENODEV:
 * nothing is there.
 */
int card_find_address(const char *address, struct card_place *place, char *message, size_t message_size);

/* Whether its ids are those of a card. */
int card_is_ours(const struct card_place *place);

/* A file of a PCI function's folder in sysfs, its first line without the end. 0 or -errno. */
int card_sysfs_read(const char *address, const char *file, char *text, size_t text_size);

/* ---- An open card (card.c) ---- */

struct card {
	int fd;
	char node[CARD_NODE];
	char address[CARD_ADDRESS]; /* "": not on PCI, as far as sysfs says */
	struct drm_fixar_query_device info;
};

/*
 * Opens a node or a PCI address and checks that this library and driver and card understand each other. A message about
 * what is wrong goes to `message`. -ENODEV: no such card or node, or another driver's; -EACCES; -EPROTONOSUPPORT:
 * another version; -EOPNOTSUPP: the card lacks an operation.
 */
int card_open(const char *name, struct card *card, char *message, size_t message_size);
void card_close(struct card *card);

/* An ioctl: 0 or -errno. */
int card_ioctl(const struct card *card, unsigned long request, void *argument);
/* QUERY; bytes that an older driver does not know are 0. */
int card_query(const struct card *card, uint32_t type, uint32_t index, void *data, size_t bytes);

/* ---- Buffers and contexts (card_job.c) ---- */

struct card_buffer {
	uint32_t handle;
	uint64_t bytes;
	unsigned char *map;
};

int card_buffer_create(const struct card *card, uint64_t bytes, struct card_buffer *buffer);
void card_buffer_destroy(const struct card *card, struct card_buffer *buffer);

/* Before and after the card uses what the CPU wrote or reads. card_buffer_take() waits for jobs that use the buffer. */
int card_buffer_take(const struct card *card, const struct card_buffer *buffer);
int card_buffer_give(const struct card *card, const struct card_buffer *buffer);

struct card_context {
	const struct card *card;
	uint32_t handle;
	uint32_t syncobj; /* signalled when the last submission has ended */
	uint64_t bytes;
};

int card_context_create(const struct card *card, uint64_t bytes, struct card_context *context);
void card_context_destroy(struct card_context *context);

/* One part of a round trip: where in the arena, where in which buffer, how much. */
struct card_copy {
	const struct card_buffer *buffer;
	uint64_t buffer_offset, arena_offset, bytes;
};

#define CARD_COPIES 2
#define CARD_OPERATIONS 4

/* Up, run, down: each part may be empty, and begins when the one before has ended. */
struct card_round {
	struct card_copy up[CARD_COPIES], down[CARD_COPIES];
	struct drm_fixar_operation operation[CARD_OPERATIONS];
	uint32_t up_count, down_count, operation_count;
	const uint32_t *channel; /* of the copies; NULL: the driver chooses */
};

/*
 * One submission of all parts, and the wait for its end. Buffers are handed over before and taken back after it.
 * -EIO: the context is faulted; -ESTALE: it is lost; -ENODEV: the card is gone; else what was wrong with the request.
 */
int card_run(struct card_context *context, const struct card_round *round);

/*
 * How the context is: 0, or -EIO (faulted), -ESTALE (lost), -ENODEV, with a sentence about it in `message`. `query` may
 * be NULL.
 */
int card_context_check(const struct card_context *context, struct drm_fixar_ctx_query *query, char *message,
		       size_t message_size);

/* The mode registers for an agent. */
void card_mode(const struct step_mode *mode, const struct step_hyperparameters *hyper,
	       struct drm_fixar_mode *registers);
int card_context_set_mode(const struct card_context *context, const struct drm_fixar_mode *mode);

/* ---- As a device (card_device.c) ---- */

/* Takes `card` over, even on failure. */
int device_card_open(const struct card *card, const struct log_sink *log, struct fixar_device **device);

/* The card behind a device; NULL if it is none. */
const struct card *device_card(const struct fixar_device *device);

struct fixar_statistics;

/* For tests: what the last command wrote as its statistics, and the context to do more with. */
const struct fixar_statistics *device_card_statistics(const struct device_agent *agent);
struct card_context *device_card_context(struct device_agent *agent);

#endif /* FIXAR_LIB_DEVICE_CARD_H */
