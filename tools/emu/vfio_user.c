// SPDX-License-Identifier: MIT
/* What each command of the protocol does. */
#include "vfio_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "card.h"

#define REGIONS 9
#define REGION_CONFIG 7
#define REGION_READABLE 1u
#define REGION_WRITABLE 2u

#define DEVICE_RESET 1u
#define DEVICE_PCI 2u

#define IRQS 5
#define IRQ_INTX 0
#define IRQ_MSI 1
#define IRQ_MSIX 2
#define IRQ_EVENTFD 1u

/* SET_IRQS flags: exactly one of each group. */
#define SET_DATA 0x07u
#define SET_NONE 0x01u
#define SET_BOOL 0x02u
#define SET_EVENTFD 0x04u
#define SET_ACTION 0x38u
#define SET_TRIGGER 0x20u

/* Bodies, as they are on the wire: fields of 64 bits are aligned there too. */
struct version {
	uint16_t major, minor;
	/* then JSON text that ends in 0 */
};

struct dma_map_body {
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

struct dma_unmap_body {
	uint32_t argsz, flags;
	uint64_t address, size;
};

#define UNMAP_ALL 2u

struct device_info {
	uint32_t argsz, flags, regions, irqs;
};

struct region_info {
	uint32_t argsz, flags, index, capabilities;
	uint64_t size, offset;
};

struct irq_info {
	uint32_t argsz, flags, index, count;
};

struct irq_set {
	uint32_t argsz, flags, index, start, count;
};

struct region_access {
	uint64_t offset;
	uint32_t region, count;
};

static void refuse(struct vfio_user_reply *reply, int error)
{
	reply->error = (uint32_t)error;
	reply->body_bytes = 0;
}

/* Takes a body of at least this size. */
static bool take(const struct vfio_user_message *message, void *body, size_t bytes, struct vfio_user_reply *reply)
{
	if (message->body_bytes < bytes) {
		refuse(reply, EINVAL);
		return false;
	}
	memcpy(body, message->body, bytes);
	return true;
}

static void answer(struct vfio_user_reply *reply, const void *body, size_t bytes)
{
	memcpy(reply->body, body, bytes);
	reply->body_bytes = (uint32_t)bytes;
}

/* ---- Version ---- */

static void version(const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	/* No capabilities of our own: clients assume those of the specification. */
	static const char capabilities[] = "{}";
	struct version asked, ours = { 0, 0 };

	if (!take(message, &asked, sizeof(asked), reply))
		return;
	if (asked.major != 0) {
		refuse(reply, ENOTSUP);
		return;
	}
	ours.minor = asked.minor < 1 ? asked.minor : 1;
	answer(reply, &ours, sizeof(ours));
	/* No reply is larger than its request. */
	if (message->body_bytes >= sizeof(ours) + sizeof(capabilities)) {
		memcpy(reply->body + sizeof(ours), capabilities, sizeof(capabilities));
		reply->body_bytes += (uint32_t)sizeof(capabilities);
	}
}

/* ---- Memory of the client ---- */

static void dma_map(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	struct dma_map_body body;
	int error, fd = -1;

	if (!take(message, &body, sizeof(body), reply))
		return;
	if (message->fd_count > 1) {
		refuse(reply, EINVAL);
		return;
	}
	if (message->fd_count) {
		fd = message->fds[0];
		message->fds[0] = -1;
	}
	error = dma_map_add(&card->dma, body.address, body.size, body.offset, body.flags, fd);
	if (error)
		refuse(reply, -error);
}

static void dma_unmap(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	struct dma_unmap_body body;
	int error = 0;

	if (!take(message, &body, sizeof(body), reply))
		return;
	if (body.flags == UNMAP_ALL)
		dma_map_clear(&card->dma);
	else if (body.flags)
		error = -EINVAL;
	else
		error = dma_map_remove(&card->dma, body.address, body.size);
	if (error)
		refuse(reply, -error);
	else
		answer(reply, &body, sizeof(body));
}

/* ---- Description ---- */

static void get_info(const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	const struct device_info info = { sizeof(info), DEVICE_RESET | DEVICE_PCI, REGIONS, IRQS };
	struct device_info asked;

	if (take(message, &asked, sizeof(asked), reply))
		answer(reply, &info, sizeof(info));
}

static uint64_t region_bytes(uint32_t region)
{
	switch (region) {
	case 0:
		return FIXAR_USER_BAR_BYTES;
	case 1:
		return FIXAR_XDMA_BAR_BYTES;
	case REGION_CONFIG:
		return CONFIG_BYTES;
	default:
		return 0;
	}
}

static void get_region_info(const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	struct region_info info;
	uint32_t index;

	if (!take(message, &info, sizeof(info), reply))
		return;
	index = info.index;
	if (index >= REGIONS) {
		refuse(reply, EINVAL);
		return;
	}
	memset(&info, 0, sizeof(info));
	info.argsz = sizeof(info);
	info.index = index;
	info.size = region_bytes(index);
	info.flags = info.size ? REGION_READABLE | REGION_WRITABLE : 0;
	answer(reply, &info, sizeof(info));
}

/* False: the card has none of them. */
static bool interrupt_kind(uint32_t index, enum interrupt_kind *kind)
{
	*kind = index == IRQ_MSI ? INTERRUPT_MSI : INTERRUPT_MSIX;
	return index == IRQ_MSI || index == IRQ_MSIX;
}

static uint32_t irq_count(const struct card *card, uint32_t index)
{
	enum interrupt_kind kind;

	return interrupt_kind(index, &kind) ? interrupts_count(card, kind) : 0;
}

static void get_irq_info(const struct card *card, const struct vfio_user_message *message,
			 struct vfio_user_reply *reply)
{
	struct irq_info info;

	if (!take(message, &info, sizeof(info), reply))
		return;
	if (info.index >= IRQS) {
		refuse(reply, EINVAL);
		return;
	}
	info.argsz = sizeof(info);
	info.flags = IRQ_EVENTFD;
	info.count = irq_count(card, info.index);
	answer(reply, &info, sizeof(info));
}

/* ---- Interrupts ---- */

static bool one_of(uint32_t bits)
{
	return bits && !(bits & (bits - 1));
}

static void trigger(struct card *card, enum interrupt_kind kind, const struct irq_set *set,
		    const struct vfio_user_message *message)
{
	for (uint32_t i = 0; i < set->count; i++) {
		/* No descriptors: the client takes back those that it gave. */
		int fd = -1;

		if ((set->flags & SET_EVENTFD) && message->fd_count) {
			fd = message->fds[i];
			message->fds[i] = -1;
		}
		interrupts_attach(card, kind, set->start + i, fd);
	}
	if (!set->count && (set->flags & SET_NONE))
		for (uint32_t vector = 0; vector < interrupts_count(card, kind); vector++)
			interrupts_attach(card, kind, vector, -1);
}

static void set_irqs(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	enum interrupt_kind kind;
	struct irq_set set;
	uint32_t count;

	if (!take(message, &set, sizeof(set), reply))
		return;
	count = set.index < IRQS ? irq_count(card, set.index) : 0;
	if (set.index >= IRQS || (set.flags & ~(SET_DATA | SET_ACTION)) || !one_of(set.flags & SET_DATA) ||
	    !one_of(set.flags & SET_ACTION) || set.start > count || set.count > count - set.start ||
	    ((set.flags & SET_EVENTFD) && message->fd_count && message->fd_count != set.count)) {
		refuse(reply, EINVAL);
		return;
	}
	/* Masking is QEMU's business (it keeps the table), and a client that fires our interrupts tests only itself. */
	if (!(set.flags & SET_TRIGGER) || (set.flags & SET_BOOL) || !interrupt_kind(set.index, &kind))
		return;
	pthread_mutex_lock(&card->lock);
	trigger(card, kind, &set, message);
	pthread_mutex_unlock(&card->lock);
}

/* ---- Registers ---- */

static bool in_region(const struct region_access *access)
{
	const uint64_t bytes = access->region < REGIONS ? region_bytes(access->region) : 0;

	return access->count <= VFIO_USER_DATA_MOST && access->offset <= bytes &&
	       access->count <= bytes - access->offset;
}

static void region_read(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	struct region_access access;
	uint8_t *data = reply->body + sizeof(access);

	if (!take(message, &access, sizeof(access), reply))
		return;
	if (!in_region(&access)) {
		refuse(reply, EINVAL);
		return;
	}
	answer(reply, &access, sizeof(access));
	pthread_mutex_lock(&card->lock);
	if (access.region != REGION_CONFIG) {
		bar_read(card, access.region, (uint32_t)access.offset, data, access.count);
	} else if (card->gone) {
		memset(data, 0xff, access.count);
	} else {
		card->record.config_reads++;
		config_space_read(&card->config, (uint32_t)access.offset, data, access.count);
	}
	pthread_mutex_unlock(&card->lock);
	reply->body_bytes += access.count;
}

static void region_write(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	const uint8_t *data = message->body + sizeof(struct region_access);
	struct region_access access;

	if (!take(message, &access, sizeof(access), reply))
		return;
	if (!in_region(&access) || message->body_bytes - sizeof(access) < access.count) {
		refuse(reply, EINVAL);
		return;
	}
	pthread_mutex_lock(&card->lock);
	if (access.region != REGION_CONFIG) {
		bar_write(card, access.region, (uint32_t)access.offset, data, access.count);
	} else if (!card->gone) {
		card->record.config_writes++;
		config_space_write(card, (uint32_t)access.offset, data, access.count);
	}
	pthread_mutex_unlock(&card->lock);
	answer(reply, &access, sizeof(access));
}

/* ---- All ---- */

void vfio_user_handle(struct card *card, const struct vfio_user_message *message, struct vfio_user_reply *reply)
{
	reply->error = 0;
	reply->body_bytes = 0;
	switch (message->header.command) {
	case VFIO_USER_VERSION:
		version(message, reply);
		break;
	case VFIO_USER_DMA_MAP:
		dma_map(card, message, reply);
		break;
	case VFIO_USER_DMA_UNMAP:
		dma_unmap(card, message, reply);
		break;
	case VFIO_USER_GET_INFO:
		get_info(message, reply);
		break;
	case VFIO_USER_GET_REGION_INFO:
		get_region_info(message, reply);
		break;
	case VFIO_USER_GET_IRQ_INFO:
		get_irq_info(card, message, reply);
		break;
	case VFIO_USER_SET_IRQS:
		set_irqs(card, message, reply);
		break;
	case VFIO_USER_REGION_READ:
		region_read(card, message, reply);
		break;
	case VFIO_USER_REGION_WRITE:
		region_write(card, message, reply);
		break;
	case VFIO_USER_RESET:
		pthread_mutex_lock(&card->lock);
		card_bus_reset(card);
		/* It has disabled MSI and MSI-X: who enables them again gives new descriptors. */
		interrupts_forget(&card->interrupts);
		pthread_mutex_unlock(&card->lock);
		break;
	default:
		refuse(reply, ENOTSUP);
	}
}
