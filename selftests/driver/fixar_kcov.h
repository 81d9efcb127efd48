/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which code of the driver its callers' threads have reached: the kernel's KCOV, with a module that was built with
 * KCOV_INSTRUMENT=y. Where there is no KCOV nothing is recorded.
 *
 * Printed as lines "# kcov SECTION OFFSET..." of hexadecimal numbers; selftests/driver/coverage.py makes a report of them.
 */
#ifndef FIXAR_KCOV_H
#define FIXAR_KCOV_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "fixar_lib.h"

#define KCOV_SECTIONS 16
#define KCOV_RANGE (1u << 20) /* bytes of code, at most */
#define KCOV_WORDS (1u << 16) /* of one thread, between two kcov_take() */

struct kcov_section {
	char name[32];
	uint64_t address;
};

static struct kcov {
	struct kcov_section sections[KCOV_SECTIONS];
	unsigned int count;
	uint64_t base;
	uint8_t *seen; /* shared by processes; a byte for each address */
} kcov;

static __thread uint64_t *kcov_words;

/* Before any process or thread begins. */
static inline void kcov_begin(void)
{
	static const char folder[] = "/sys/module/fixar/sections";
	struct kcov_section *section;
	struct dirent *entry;
	char path[300], text[64];
	DIR *sections;

	if (access("/sys/kernel/debug/kcov", R_OK | W_OK))
		return;
	sections = opendir(folder);
	while (sections && (entry = readdir(sections)) && kcov.count < KCOV_SECTIONS) {
		section = &kcov.sections[kcov.count];
		if (!strstr(entry->d_name, "text") || !strncmp(entry->d_name, ".init", 5) ||
		    strlen(entry->d_name) >= sizeof(section->name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (fixar_read_file(path, text, sizeof(text)))
			continue;
		strcpy(section->name, entry->d_name);
		section->address = strtoull(text, NULL, 16);
		if (!kcov.count || section->address < kcov.base)
			kcov.base = section->address;
		kcov.count++;
	}
	if (sections)
		closedir(sections);
	if (!kcov.count)
		return;
	kcov.seen = mmap(NULL, KCOV_RANGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kcov.seen == MAP_FAILED)
		kcov.seen = NULL;
}

/* In each thread. It ends with the thread. */
static inline void kcov_thread(void)
{
	int fd;

	if (!kcov.seen)
		return;
	fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, KCOV_WORDS))
		return;
	kcov_words = mmap(NULL, KCOV_WORDS * sizeof(*kcov_words), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kcov_words == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		kcov_words = NULL;
}

/* Often, because what does not fit is lost. */
static inline void kcov_take(void)
{
	uint64_t i, count, offset;

	if (!kcov_words)
		return;
	count = __atomic_load_n(&kcov_words[0], __ATOMIC_RELAXED);
	for (i = 1; i <= count && i < KCOV_WORDS; i++) {
		offset = kcov_words[i] - kcov.base;
		if (offset < KCOV_RANGE)
			kcov.seen[offset] = 1;
	}
	__atomic_store_n(&kcov_words[0], 0, __ATOMIC_RELAXED);
}

static inline void kcov_print(void)
{
	const struct kcov_section *section, *found;
	unsigned int i, printed = 0;
	uint64_t offset;

	for (offset = 0; kcov.seen && offset < KCOV_RANGE; offset++) {
		if (!kcov.seen[offset])
			continue;
		/* The last one that begins before it. */
		for (i = 0, found = NULL; i < kcov.count; i++) {
			section = &kcov.sections[i];
			if (section->address <= kcov.base + offset && (!found || section->address > found->address))
				found = section;
		}
		printf("%s %s+%llx", printed % 10 ? "" : printed ? "\n# kcov" : "# kcov", found->name,
		       (unsigned long long)(kcov.base + offset - found->address));
		printed++;
	}
	if (printed)
		printf("\n");
}

#endif /* FIXAR_KCOV_H */
