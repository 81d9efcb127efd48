// SPDX-License-Identifier: MIT
/*
 * Without VFIO the pages are pinned by registering them as a buffer of an io_uring: that is the one interface by which
 * a program can then ask for pages that stay where they are (mlock() lets them move). Their addresses come from
 * /proc/self/pagemap.
 */
#include "raw_memory.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hw/fixar_xdma.h"

#define PAGE 4096u
#define ALL_PAGES (1 + RAW_MEMORY_PAGES)
/* With VFIO any address will do. This one needs both words of a descriptor's fields. */
#define SHARED_AT (UINT64_C(1) << 32)
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)
#define PCI_COMMAND 4
#define PCI_COMMAND_MASTER 4u
#define PATIENCE_MS 30000

_Static_assert(RAW_MEMORY_PAGES * sizeof(struct fixar_xdma_descriptor) <= PAGE, "one block of descriptors");

/* ---- Pages ---- */

static int translated(const char *address)
{
	char type[64];

	/* No group: no IOMMU. */
	if (card_sysfs_read(address, "iommu_group/type", type, sizeof(type)))
		return 0;
	return strncmp(type, "identity", 8) != 0;
}

static int pin(struct raw_memory *memory)
{
	const struct iovec all = { memory->pages, ALL_PAGES * PAGE };
	struct io_uring_params parameters = { .flags = 0 };

	memory->pin = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (memory->pin < 0)
		return -errno;
	return syscall(SYS_io_uring_register, memory->pin, IORING_REGISTER_BUFFERS, &all, 1) ? -errno : 0;
}

static int find_addresses(struct raw_memory *memory)
{
	uint64_t entries[ALL_PAGES];
	const off_t first = (off_t)((uintptr_t)memory->pages / PAGE * sizeof(entries[0]));
	const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	const ssize_t got = fd < 0 ? -1 : pread(fd, entries, sizeof(entries), first);

	if (fd >= 0)
		close(fd);
	if (got != sizeof(entries))
		return -EIO;
	for (unsigned i = 0; i < ALL_PAGES; i++) {
		if (!(entries[i] & PAGEMAP_PRESENT) || !(entries[i] & PAGEMAP_FRAME))
			return -EPERM;
		memory->address[i] = (entries[i] & PAGEMAP_FRAME) * PAGE;
	}
	return 0;
}

static int fix(struct raw_memory *memory, char reason[256])
{
	int error = pin(memory);

	if (error) {
		snprintf(reason, 256, "no pages that stay where they are (io_uring): %s", strerror(-error));
		return error;
	}
	error = find_addresses(memory);
	if (error)
		snprintf(reason, 256, "/proc/self/pagemap does not say where they are: %s", strerror(-error));
	return error;
}

static int share(const struct raw_vfio *vfio, struct raw_memory *memory, char reason[256])
{
	const int error = raw_vfio_share(vfio, memory->pages, ALL_PAGES * PAGE, SHARED_AT);

	if (error)
		snprintf(reason, 256, "no pages that the card sees (VFIO): %s", strerror(-error));
	for (unsigned i = 0; i < ALL_PAGES; i++)
		memory->address[i] = SHARED_AT + i * PAGE;
	return error;
}

static int open_config(struct raw *raw, struct raw_memory *memory, const char *address)
{
	char path[128];

	if (raw->vfio.device >= 0) {
		memory->config_at = raw_vfio_config(&raw->vfio);
		memory->config = memory->config_at < 0 ? -1 : fcntl(raw->vfio.device, F_DUPFD_CLOEXEC, 0);
	} else {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
		memory->config = open(path, O_RDWR | O_CLOEXEC);
	}
	return memory->config < 0 ? -errno : 0;
}

static int write_command(const struct raw_memory *memory, uint16_t command)
{
	return pwrite(memory->config, &command, 2, memory->config_at + PCI_COMMAND) == 2 ? 0 : -errno;
}

static int master(struct raw *raw, struct raw_memory *memory, const char *address)
{
	const int error = open_config(raw, memory, address);

	if (error)
		return error;
	if (pread(memory->config, &memory->command, 2, memory->config_at + PCI_COMMAND) != 2)
		return -errno;
	return write_command(memory, memory->command | htole16(PCI_COMMAND_MASTER));
}

int raw_memory_open(struct raw *raw, struct raw_memory *memory, const struct card_place *place, char reason[256])
{
	int error;

	*memory = (struct raw_memory){ .pages = MAP_FAILED, .pin = -1, .config = -1 };
	if (sysconf(_SC_PAGESIZE) != PAGE) {
		snprintf(reason, 256, "pages here are of %ld bytes, and copies are made for 4096",
			 sysconf(_SC_PAGESIZE));
		return -ENOTSUP;
	}
	if (raw->vfio.device < 0 && translated(place->address)) {
		snprintf(reason, 256,
			 "an IOMMU stands between the card and this program: give the card to " RAW_VFIO_DRIVER
			 ", or boot with iommu=pt");
		return -EPERM;
	}
	memory->pages =
		mmap(NULL, ALL_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory->pages == MAP_FAILED) {
		snprintf(reason, 256, "no memory");
		error = -ENOMEM;
	} else {
		error = raw->vfio.device < 0 ? fix(memory, reason) : share(&raw->vfio, memory, reason);
	}
	if (!error) {
		error = master(raw, memory, place->address);
		if (error)
			snprintf(reason, 256, "the card cannot be made a bus master: %s", strerror(-error));
	}
	if (error) {
		raw_memory_close(raw, memory);
		return error;
	}
	/* Nobody takes interrupts. */
	raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_CHANNEL_ENABLE_W1C) / 4] = 0xffffffff;
	raw->xdma[(FIXAR_XDMA_IRQ + FIXAR_XDMA_IRQ_USER_ENABLE_W1C) / 4] = 0xffffffff;
	return 0;
}

/* Before the pages are given back the channels are stopped, and what is stuck cannot reach host memory any more. */
void raw_memory_close(struct raw *raw, struct raw_memory *memory)
{
	raw->xdma[(FIXAR_XDMA_H2C(0) + FIXAR_XDMA_CHANNEL_CONTROL_W1C) / 4] = FIXAR_XDMA_CONTROL_RUN;
	raw->xdma[(FIXAR_XDMA_C2H(0) + FIXAR_XDMA_CHANNEL_CONTROL_W1C) / 4] = FIXAR_XDMA_CONTROL_RUN;
	if (memory->config >= 0) {
		const int error = write_command(memory, memory->command & (uint16_t)~htole16(PCI_COMMAND_MASTER));

		if (error)
			cli_error("the card stays a bus master: %s", strerror(-error));
		close(memory->config);
	}
	if (memory->pin >= 0)
		close(memory->pin);
	if (raw->vfio.device >= 0)
		raw_vfio_withdraw(&raw->vfio, ALL_PAGES * PAGE, SHARED_AT);
	if (memory->pages != MAP_FAILED)
		munmap(memory->pages, ALL_PAGES * PAGE);
}

/* ---- Copies ---- */

static void describe(struct raw_memory *memory, unsigned i, unsigned count, bool up, uint64_t card, uint32_t bytes)
{
	struct fixar_xdma_descriptor *all = (void *)memory->pages;
	const uint64_t host = memory->address[1 + i], source = up ? host : card, destination = up ? card : host;
	const uint64_t next = i + 1 < count ? memory->address[0] + (i + 1) * sizeof(*all) : 0;
	const uint32_t adjacent = i + 2 < count ? count - i - 2 : 0;

	all[i] = (struct fixar_xdma_descriptor){
		.control = htole32(FIXAR_XDMA_DESC_MAGIC | adjacent << 8 |
				   (next ? 0 : FIXAR_XDMA_DESC_STOP | FIXAR_XDMA_DESC_COMPLETED)),
		.length = htole32(bytes),
		.source_lo = htole32((uint32_t)source),
		.source_hi = htole32((uint32_t)(source >> 32)),
		.destination_lo = htole32((uint32_t)destination),
		.destination_hi = htole32((uint32_t)(destination >> 32)),
		.next_lo = htole32((uint32_t)next),
		.next_hi = htole32((uint32_t)(next >> 32)),
	};
}

/* At most the data pages, from their first byte on. */
static int transfer(struct raw *raw, struct raw_memory *memory, bool up, uint64_t card, uint32_t bytes)
{
	const uint32_t block = (up ? FIXAR_XDMA_H2C(0) : FIXAR_XDMA_C2H(0)) / 4;
	const uint32_t fetch = (up ? FIXAR_XDMA_H2C_SGDMA(0) : FIXAR_XDMA_C2H_SGDMA(0)) / 4;
	const unsigned count = (bytes + PAGE - 1) / PAGE;
	volatile uint32_t *xdma = raw->xdma;
	uint32_t status = FIXAR_XDMA_STATUS_BUSY, done;

	for (unsigned i = 0; i < count; i++)
		describe(memory, i, count, up, card + i * PAGE, i + 1 < count ? PAGE : bytes - i * PAGE);
	xdma[block + FIXAR_XDMA_CHANNEL_CONTROL_W1C / 4] = FIXAR_XDMA_CONTROL_RUN;
	(void)xdma[block + FIXAR_XDMA_CHANNEL_STATUS_RC / 4];
	xdma[block + FIXAR_XDMA_CHANNEL_INT_ENABLE / 4] = 0;
	xdma[fetch + FIXAR_XDMA_SGDMA_FIRST_LO / 4] = (uint32_t)memory->address[0];
	xdma[fetch + FIXAR_XDMA_SGDMA_FIRST_HI / 4] = (uint32_t)(memory->address[0] >> 32);
	xdma[fetch + FIXAR_XDMA_SGDMA_ADJACENT / 4] = count - 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	xdma[block + FIXAR_XDMA_CHANNEL_CONTROL / 4] =
		(up ? FIXAR_XDMA_ENABLE_H2C : FIXAR_XDMA_ENABLE_C2H) | FIXAR_XDMA_CONTROL_RUN;
	for (int i = 0; i < PATIENCE_MS && (status & FIXAR_XDMA_STATUS_BUSY); i++) {
		status = xdma[block + FIXAR_XDMA_CHANNEL_STATUS / 4];
		if (status & FIXAR_XDMA_STATUS_BUSY)
			usleep(1000);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	done = xdma[block + FIXAR_XDMA_CHANNEL_COMPLETED / 4];
	xdma[block + FIXAR_XDMA_CHANNEL_CONTROL_W1C / 4] = FIXAR_XDMA_CONTROL_RUN;
	if (!(status & (FIXAR_XDMA_STATUS_BUSY | FIXAR_XDMA_STATUS_ERRORS)) && done == count)
		return 1;
	snprintf(raw->detail, sizeof(raw->detail), "a copy %s the card at %#llx: status %#x, %u of %u descriptors",
		 up ? "to" : "from", (unsigned long long)card, status, done, count);
	return 0;
}

int raw_memory_write(struct raw *raw, struct raw_memory *memory, uint64_t address, const void *bytes, uint64_t count)
{
	for (uint64_t at = 0; at < count;) {
		const uint64_t left = count - at, most = RAW_MEMORY_PAGES * PAGE;
		const uint32_t piece = (uint32_t)(left < most ? left : most);

		memcpy(memory->pages + PAGE, (const unsigned char *)bytes + at, piece);
		if (!transfer(raw, memory, true, address + at, piece))
			return 0;
		at += piece;
	}
	return 1;
}

int raw_memory_read(struct raw *raw, struct raw_memory *memory, uint64_t address, void *bytes, uint64_t count)
{
	for (uint64_t at = 0; at < count;) {
		const uint64_t left = count - at, most = RAW_MEMORY_PAGES * PAGE;
		const uint32_t piece = (uint32_t)(left < most ? left : most);

		if (!transfer(raw, memory, false, address + at, piece))
			return 0;
		memcpy((unsigned char *)bytes + at, memory->pages + PAGE, piece);
		at += piece;
	}
	return 1;
}
