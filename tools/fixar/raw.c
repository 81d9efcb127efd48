// SPDX-License-Identifier: MIT
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/fixar_xdma.h"

uint32_t raw_get(const struct raw *raw, uint32_t offset)
{
	return raw->bar[offset / 4];
}

void raw_set(const struct raw *raw, uint32_t offset, uint32_t value)
{
	raw->bar[offset / 4] = value;
}

void raw_report(struct raw *raw, int passed, const char *name)
{
	conform_report(raw->conform, passed, name, raw->detail);
}

/* ---- Expectations ---- */

int raw_expect(struct raw *raw, const char *what, uint64_t found, uint64_t expected)
{
	if (found == expected)
		return 1;
	snprintf(raw->detail, sizeof(raw->detail), "%s is %#llx, expected %#llx", what, (unsigned long long)found,
		 (unsigned long long)expected);
	return 0;
}

int raw_expect_register(struct raw *raw, uint32_t offset, uint32_t expected)
{
	char name[32];

	snprintf(name, sizeof(name), "register %#x", offset);
	return raw_expect(raw, name, raw_get(raw, offset), expected);
}

int raw_expect_between(struct raw *raw, uint32_t offset, uint32_t low, uint32_t high)
{
	const uint32_t value = raw_get(raw, offset);

	if (value >= low && value <= high)
		return 1;
	snprintf(raw->detail, sizeof(raw->detail), "register %#x is %#x, expected %#x to %#x", offset, value, low,
		 high);
	return 0;
}

int raw_wait(struct raw *raw, uint32_t offset, uint32_t mask, uint32_t value)
{
	for (int i = 0; i < 30000; i++) {
		if ((raw_get(raw, offset) & mask) == value)
			return 1;
		usleep(1000);
	}
	snprintf(raw->detail, sizeof(raw->detail), "register %#x stays at %#x; bits %#x should become %#x", offset,
		 raw_get(raw, offset), mask, value);
	return 0;
}

int raw_expect_refused(struct raw *raw, uint32_t offset)
{
	const int good = raw_expect(raw, "ACCESS_ERROR", raw_get(raw, FIXAR_CORE_ACCESS_ERROR) & ~3u,
				    FIXAR_CORE_ACCESS_ERROR_VALID | offset) &&
			 raw_expect(raw, "INT_STATUS.ACCESS",
				    raw_get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ACCESS, FIXAR_CORE_INT_ACCESS);

	raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ACCESS);
	return good;
}

int raw_soft_reset(struct raw *raw)
{
	raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_SOFT_RESET);
	if (!raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_RESETTING, 0) ||
	    !raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_MEMORY_READY, FIXAR_CORE_STATUS_MEMORY_READY))
		return 0;
	raw->sequence = raw_get(raw, FIXAR_CORE_COMPLETED_SEQ);
	return raw_expect(raw, "SUBMITTED_SEQ", raw_get(raw, FIXAR_CORE_SUBMITTED_SEQ), raw->sequence);
}

/* ---- Commands ---- */

static void write_slot(struct raw *raw, uint32_t number, const struct raw_slot *slot)
{
	const uint32_t place = FIXAR_SLOT_BASE + number % raw->depth * FIXAR_SLOT_BYTES;

	for (uint32_t i = 0; i < FIXAR_SLOT_BYTES / 4; i++)
		raw_set(raw, place + 4 * i, slot->word[i]);
}

void raw_fill(struct raw *raw, uint32_t number, struct raw_slot slot)
{
	slot.word[1] = number & FIXAR_CORE_SEQ;
	write_slot(raw, number, &slot);
}

uint32_t raw_ring(struct raw *raw, struct raw_slot slot, bool wrong_sequence)
{
	const uint32_t next = (raw->sequence + 1) & FIXAR_CORE_SEQ;

	slot.word[1] = wrong_sequence ? next ^ 1 : next;
	write_slot(raw, next, &slot);
	raw_set(raw, FIXAR_CORE_DOORBELL, next);
	raw->sequence = next;
	return next;
}

int raw_run(struct raw *raw, struct raw_slot slot)
{
	const uint32_t number = raw_ring(raw, slot, false);

	if (!raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_BUSY, 0))
		return 0;
	if (raw_get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_HALTED) {
		snprintf(raw->detail, sizeof(raw->detail), "opcode %u fails: code %u, offset %#x", slot.word[0] & 0xff,
			 raw_get(raw, FIXAR_CORE_ERROR_INFO) & FIXAR_CORE_ERROR_INFO_CODE,
			 raw_get(raw, FIXAR_CORE_ERROR_OFFSET_LO));
		return 0;
	}
	return raw_expect(raw, "COMPLETED_SEQ", raw_get(raw, FIXAR_CORE_COMPLETED_SEQ), number);
}

static int expect_halt(struct raw *raw, const struct raw_failure *failure, uint32_t completed, uint32_t number)
{
	const uint32_t flags = FIXAR_CORE_ERROR_INFO_STARTED | FIXAR_CORE_ERROR_INFO_FATAL;
	const uint32_t record = FIXAR_RESULT_BASE + number % raw->depth * FIXAR_RESULT_BYTES;
	uint32_t info;

	if (!raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_BUSY, 0))
		return 0;
	info = raw_get(raw, FIXAR_CORE_ERROR_INFO);
	return raw_expect(raw, "STATUS.HALTED", raw_get(raw, FIXAR_CORE_STATUS) & FIXAR_CORE_STATUS_HALTED,
			  FIXAR_CORE_STATUS_HALTED) &&
	       raw_expect(raw, "the code", info & FIXAR_CORE_ERROR_INFO_CODE, failure->code) &&
	       raw_expect(raw, "STARTED and FATAL", info & flags,
			  failure->started ? FIXAR_CORE_ERROR_INFO_STARTED : 0) &&
	       raw_expect(raw, "ERROR_OFFSET",
			  raw_get(raw, FIXAR_CORE_ERROR_OFFSET_LO) | (uint64_t)raw_get(raw, FIXAR_CORE_ERROR_OFFSET_HI)
									     << 32,
			  failure->offset) &&
	       raw_expect_register(raw, FIXAR_CORE_ERROR_SEQ, number) &&
	       raw_expect_register(raw, FIXAR_CORE_COMPLETED_SEQ, completed) &&
	       raw_expect(raw, "INT_STATUS.ERROR", raw_get(raw, FIXAR_CORE_INT_STATUS) & FIXAR_CORE_INT_ERROR,
			  FIXAR_CORE_INT_ERROR) &&
	       raw_expect(raw, "the record's number", raw_get(raw, record), number) &&
	       raw_expect(raw, "the record's code", raw_get(raw, record + 4), info) &&
	       raw_expect(raw, "the record's offset", raw_get(raw, record + 24), failure->offset & 0xffffffff);
}

void raw_expect_failure(struct raw *raw, const char *name, struct raw_slot slot, struct raw_failure failure)
{
	const uint32_t completed = raw_get(raw, FIXAR_CORE_COMPLETED_SEQ);
	const uint32_t number = raw_ring(raw, slot, failure.wrong_sequence);
	int good = expect_halt(raw, &failure, completed, number);

	if (good) {
		raw_set(raw, FIXAR_CORE_DOORBELL, (number + 1) & FIXAR_CORE_SEQ);
		good = raw_expect(raw, "ACCESS_ERROR of a doorbell while halted", raw_get(raw, FIXAR_CORE_ACCESS_ERROR),
				  FIXAR_CORE_ACCESS_ERROR_VALID | FIXAR_CORE_DOORBELL);
	}
	raw_set(raw, FIXAR_CORE_INT_STATUS, FIXAR_CORE_INT_ALL);
	raw_set(raw, FIXAR_CORE_CONTROL, FIXAR_CORE_CONTROL_RESUME);
	raw->sequence = completed;
	good = good && raw_wait(raw, FIXAR_CORE_STATUS, FIXAR_CORE_STATUS_HALTED, 0) &&
	       raw_expect_register(raw, FIXAR_CORE_SUBMITTED_SEQ, completed) &&
	       raw_expect_register(raw, FIXAR_CORE_ERROR_INFO, 0);
	raw_report(raw, good, name);
	if (!good)
		raw_soft_reset(raw);
}

/* ---- The mapping ---- */

static volatile uint32_t *map_file(const struct card_place *place, int bar)
{
	char path[128];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", place->address, bar);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0) {
		cli_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	memory = mmap(NULL, (size_t)place->bar[bar].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED) {
		cli_error("%s cannot be mapped: %s", path, strerror(errno));
		return NULL;
	}
	return memory;
}

static volatile uint32_t *map(const struct raw *raw, const struct card_place *place, int bar)
{
	return raw->vfio.device < 0 ? map_file(place, bar)
				    : raw_vfio_map(&raw->vfio, bar, (size_t)place->bar[bar].bytes);
}

/* pci_enable_device() of a function without a driver: its memory answers then. */
static int enable(const struct card_place *place, const char *value)
{
	char path[128];
	int fd, error = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", place->address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, 1) != 1)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error)
		cli_error("%s: %s", path, strerror(error));
	return error;
}

void raw_close(struct raw *raw, const struct card_place *place)
{
	if (raw->bar)
		munmap((void *)(uintptr_t)raw->bar, FIXAR_USER_BAR_BYTES);
	if (raw->xdma)
		munmap((void *)(uintptr_t)raw->xdma, FIXAR_XDMA_BAR_BYTES);
	if (raw->vfio.device < 0)
		enable(place, "0");
	else
		raw_vfio_close(&raw->vfio);
}

int raw_open(struct raw *raw, const struct card_place *place, int dma_bar)
{
	const bool vfio = !strcmp(place->driver, RAW_VFIO_DRIVER);

	raw->vfio.device = -1;
	if (vfio ? raw_vfio_open(&raw->vfio, place->address) : enable(place, "1"))
		return CLI_FAILED;
	raw->bar = map(raw, place, FIXAR_USER_BAR);
	raw->xdma = raw->bar ? map(raw, place, dma_bar) : NULL;
	if (raw->xdma)
		return CLI_OK;
	raw_close(raw, place);
	return CLI_FAILED;
}
