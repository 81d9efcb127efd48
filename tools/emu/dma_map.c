// SPDX-License-Identifier: MIT
/* Mappings of host memory, and moving bytes through them. */
#include "dma_map.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A file of the client. Its bytes are read and written by system calls: a file that shrinks then costs an error, not a
 * signal. */
struct dma_file {
	struct dma_file *next;
	dev_t device;
	ino_t inode;
	int fd;
	size_t users;
};

struct dma_region {
	uint64_t address, last; /* inclusive: a mapping may end with the address space */
	uint64_t offset;
	unsigned flags;
	struct dma_file *file; /* NULL: by messages */
};

/* Regions in the tree never overlap, so "overlaps" is an equality, and a search for a range finds one that meets it. */
static int compare(const void *a, const void *b)
{
	const struct dma_region *left = a, *right = b;

	if (left->last < right->address)
		return -1;
	return left->address > right->last;
}

static struct dma_region *find(struct dma_map *map, uint64_t address, uint64_t last)
{
	const struct dma_region key = { .address = address, .last = last };
	struct dma_region **found = tfind(&key, &map->regions, compare);

	return found ? *found : NULL;
}

void dma_map_create(struct dma_map *map)
{
	pthread_rwlockattr_t attributes;

	memset(map, 0, sizeof(*map));
	/* Channels read without end: who changes the map must not wait for a gap. */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&map->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

void dma_map_destroy(struct dma_map *map)
{
	dma_map_clear(map);
	pthread_rwlock_destroy(&map->lock);
}

void dma_map_messages(struct dma_map *map, dma_message message, void *user)
{
	pthread_rwlock_wrlock(&map->lock);
	map->message = message;
	map->user = user;
	pthread_rwlock_unlock(&map->lock);
}

void dma_map_drain(struct dma_map *map)
{
	const struct timespec pause = { 0, 1000000 };

	while (map->messages)
		nanosleep(&pause, NULL);
}

/* ---- Files ---- */

static void put_file(struct dma_map *map, struct dma_file *file)
{
	struct dma_file **link = &map->files;

	if (!file || --file->users)
		return;
	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	close(file->fd);
	free(file);
}

/* Takes fd over. NULL: no memory. */
static struct dma_file *get_file(struct dma_map *map, int fd, const struct stat *status)
{
	struct dma_file *file;

	for (file = map->files; file; file = file->next)
		if (file->device == status->st_dev && file->inode == status->st_ino)
			break;
	if (file) {
		close(fd);
	} else {
		file = calloc(1, sizeof(*file));
		if (!file) {
			close(fd);
			return NULL;
		}
		file->device = status->st_dev;
		file->inode = status->st_ino;
		file->fd = fd;
		file->next = map->files;
		map->files = file;
	}
	file->users++;
	return file;
}

/* ---- Mappings ---- */

static int insert(struct dma_map *map, const struct dma_region *wanted, int fd, const struct stat *status)
{
	struct dma_region *region;

	if (find(map, wanted->address, wanted->last))
		goto refuse;
	region = malloc(sizeof(*region));
	if (!region)
		goto refuse;
	*region = *wanted;
	if (fd >= 0) {
		region->file = get_file(map, fd, status);
		if (!region->file) {
			free(region);
			return -ENOMEM;
		}
	}
	if (!tsearch(region, &map->regions, compare)) {
		put_file(map, region->file);
		free(region);
		return -ENOMEM;
	}
	map->count++;
	return 0;

refuse:
	if (fd >= 0)
		close(fd);
	return find(map, wanted->address, wanted->last) ? -EEXIST : -ENOMEM;
}

int dma_map_add(struct dma_map *map, uint64_t address, uint64_t size, uint64_t offset, unsigned flags, int fd)
{
	const struct dma_region region = { address, address + size - 1, offset, flags, NULL };
	struct stat status = { 0 };
	int error = 0;

	if (!size || region.last < address || (flags & ~(DMA_MAP_READ | DMA_MAP_WRITE)))
		error = -EINVAL;
	if (!error && fd >= 0 &&
	    (fstat(fd, &status) || !S_ISREG(status.st_mode) || offset > (uint64_t)status.st_size ||
	     size > (uint64_t)status.st_size - offset))
		error = -EINVAL;
	if (error) {
		if (fd >= 0)
			close(fd);
		return error;
	}
	pthread_rwlock_wrlock(&map->lock);
	if (map->count < DMA_MAP_MOST) {
		error = insert(map, &region, fd, &status);
	} else {
		error = -ENOSPC;
		if (fd >= 0)
			close(fd);
	}
	pthread_rwlock_unlock(&map->lock);
	return error;
}

static void erase(struct dma_map *map, struct dma_region *region)
{
	tdelete(region, &map->regions, compare);
	map->count--;
	put_file(map, region->file);
	free(region);
}

int dma_map_remove(struct dma_map *map, uint64_t address, uint64_t size)
{
	const uint64_t last = address + size - 1;
	struct dma_region *region;
	int error = 0;

	if (!size || last < address)
		return -EINVAL;
	pthread_rwlock_wrlock(&map->lock);
	while (!error && (region = find(map, address, last))) {
		if (region->address < address || region->last > last)
			error = -EINVAL;
		else
			erase(map, region);
	}
	pthread_rwlock_unlock(&map->lock);
	return error;
}

void dma_map_clear(struct dma_map *map)
{
	pthread_rwlock_wrlock(&map->lock);
	while (map->regions)
		erase(map, *(struct dma_region **)map->regions);
	pthread_rwlock_unlock(&map->lock);
}

void dma_map_enable(struct dma_map *map, bool enabled)
{
	pthread_rwlock_wrlock(&map->lock);
	map->enabled = enabled;
	pthread_rwlock_unlock(&map->lock);
}

void dma_map_stop(struct dma_map *map)
{
	pthread_rwlock_wrlock(&map->lock);
	map->epoch++;
	pthread_rwlock_unlock(&map->lock);
}

/* ---- Moving bytes ---- */

/* With the lock held: how many bytes of the first of a range one step may move. 0 or an error. */
static int look_up(struct dma_map *map, uint64_t epoch, uint64_t address, bool write, struct dma_region **region,
		   uint64_t *count)
{
	if (map->epoch != epoch)
		return -ECANCELED;
	if (!map->enabled)
		return -EPERM;
	*region = find(map, address, address);
	if (!*region)
		return -EFAULT;
	if (!((*region)->flags & (write ? DMA_MAP_WRITE : DMA_MAP_READ)))
		return -EACCES;
	if (*count - 1 > (*region)->last - address)
		*count = (*region)->last - address + 1;
	if (*count > DMA_MAP_PIECE)
		*count = DMA_MAP_PIECE;
	return 0;
}

static int move_file(const struct dma_region *region, uint64_t address, bool write, unsigned char *bytes,
		     uint64_t count)
{
	off_t position = (off_t)(region->offset + (address - region->address));

	while (count) {
		const ssize_t moved = write ? pwrite(region->file->fd, bytes, count, position)
					    : pread(region->file->fd, bytes, count, position);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return -EIO;
		bytes += moved;
		position += moved;
		count -= (uint64_t)moved;
	}
	return 0;
}

/* One step: *count becomes what was moved. */
static int move(struct dma_map *map, uint64_t epoch, uint64_t address, bool write, unsigned char *bytes,
		uint64_t *count)
{
	struct dma_region *region;
	dma_message message;
	void *user;
	int error;

	pthread_rwlock_rdlock(&map->lock);
	error = look_up(map, epoch, address, write, &region, count);
	if (error || region->file) {
		if (!error)
			error = move_file(region, address, write, bytes, *count);
		pthread_rwlock_unlock(&map->lock);
		return error;
	}
	message = map->message;
	user = map->user;
	/* Under the lock: after dma_map_messages() it can only fall. */
	map->messages++;
	pthread_rwlock_unlock(&map->lock);
	error = message ? message(user, write, address, bytes, (uint32_t)*count) : -EFAULT;
	map->messages--;
	return error;
}

static int move_all(struct dma_map *map, uint64_t epoch, uint64_t address, bool write, unsigned char *bytes,
		    uint64_t count, uint64_t *done)
{
	uint64_t moved = 0;
	int error = 0;

	while (moved < count) {
		uint64_t step = count - moved;

		/* The end of the address space is one of what is mapped. */
		if (address + moved < address) {
			error = -EFAULT;
			break;
		}
		error = move(map, epoch, address + moved, write, bytes + moved, &step);
		if (error)
			break;
		moved += step;
	}
	if (done)
		*done = moved;
	return error;
}

int dma_map_read(struct dma_map *map, uint64_t epoch, uint64_t address, void *bytes, uint64_t count, uint64_t *done)
{
	return move_all(map, epoch, address, false, bytes, count, done);
}

int dma_map_write(struct dma_map *map, uint64_t epoch, uint64_t address, const void *bytes, uint64_t count,
		  uint64_t *done)
{
	/* Writing reads from the buffer only. */
	return move_all(map, epoch, address, true, (unsigned char *)(uintptr_t)bytes, count, done);
}

/* A write() may copy byte after byte; a store into the file's page does not. */
static int store_word(const struct dma_region *region, uint64_t address, uint32_t word)
{
	const uint64_t position = region->offset + (address - region->address);
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), within = position % page;
	unsigned char *mapped;

	if (within % sizeof(word))
		return move_file(region, address, true, (unsigned char *)&word, sizeof(word));
	mapped = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, region->file->fd, (off_t)(position - within));
	if (mapped == MAP_FAILED)
		return -EIO;
	atomic_store((_Atomic uint32_t *)(void *)(mapped + within), word);
	munmap(mapped, page);
	return 0;
}

int dma_map_write_word(struct dma_map *map, uint64_t epoch, uint64_t address, uint32_t word)
{
	struct dma_region *region;
	uint64_t count = sizeof(word);
	int error;

	if (address % sizeof(word))
		return dma_map_write(map, epoch, address, &word, sizeof(word), NULL);
	pthread_rwlock_rdlock(&map->lock);
	error = look_up(map, epoch, address, true, &region, &count);
	if (!error && region->file) {
		error = count == sizeof(word) ? store_word(region, address, word) : -EFAULT;
		pthread_rwlock_unlock(&map->lock);
		return error;
	}
	pthread_rwlock_unlock(&map->lock);
	return error ? error : dma_map_write(map, epoch, address, &word, sizeof(word), NULL);
}
