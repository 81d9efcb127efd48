/* SPDX-License-Identifier: MIT */
/*
 * What the card can reach of the host: the mappings that the client announced (DMA_MAP), found in logarithmic time, and
 * reads and writes through them.
 *
 * The map has a lock of its own, held while bytes move: once dma_map_remove(), dma_map_stop() or dma_map_enable() has
 * returned, nothing that they forbade is still under way. Memory that came without a file is read and written by
 * messages, which is the business of `messages`; the lock is not held then.
 */
#ifndef FIXAR_EMU_DMA_MAP_H
#define FIXAR_EMU_DMA_MAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMA_MAP_MOST 65535     /* mappings; the number that a client assumes if it is not told another */
#define DMA_MAP_PIECE 0x100000 /* bytes that move at a time */
#define DMA_MAP_READ 1u
#define DMA_MAP_WRITE 2u

/* 0 or a negative errno; `count` is at most DMA_MAP_PIECE. */
typedef int (*dma_message)(void *user, bool write, uint64_t address, void *bytes, uint32_t count);

struct dma_file;

struct dma_map {
	pthread_rwlock_t lock;
	void *regions; /* tree of struct dma_region */
	size_t count;
	struct dma_file *files; /* list: each is opened once, however many mappings it has */
	bool enabled;		/* bus mastering */
	_Atomic uint64_t epoch; /* steps when everything that is under way has to end */
	dma_message message;	/* NULL: there is no client */
	void *user;
	atomic_uint messages; /* under way */
};

void dma_map_create(struct dma_map *map);
void dma_map_destroy(struct dma_map *map);
void dma_map_messages(struct dma_map *map, dma_message message, void *user);

/* Waits until no message is under way. */
void dma_map_drain(struct dma_map *map);

/*
 * `fd` is taken over, also on failure; -1: none. 0; -EINVAL: empty, wraps around, or a file that is too short or none
 * with positions; -EEXIST: overlaps another; -ENOSPC: too many; -ENOMEM.
 */
int dma_map_add(struct dma_map *map, uint64_t address, uint64_t size, uint64_t offset, unsigned flags, int fd);
/* Removes what lies wholly in the range. 0, or -EINVAL if a mapping lies there in part. */
int dma_map_remove(struct dma_map *map, uint64_t address, uint64_t size);
void dma_map_clear(struct dma_map *map);

void dma_map_enable(struct dma_map *map, bool enabled);
/* What began in an earlier epoch moves no further byte. */
void dma_map_stop(struct dma_map *map);

/*
 * Moves bytes that began to move in `epoch`. 0; -EFAULT: not mapped; -EACCES: mapped otherwise; -EPERM: bus mastering
 * is off; -ECANCELED: a later epoch; -EIO. *done (may be NULL) is how many bytes were moved.
 */
int dma_map_read(struct dma_map *map, uint64_t epoch, uint64_t address, void *bytes, uint64_t count, uint64_t *done);
int dma_map_write(struct dma_map *map, uint64_t epoch, uint64_t address, const void *bytes, uint64_t count,
		  uint64_t *done);
/* The same with an aligned word, which a reader sees whole. */
int dma_map_write_word(struct dma_map *map, uint64_t epoch, uint64_t address, uint32_t word);

#endif /* FIXAR_EMU_DMA_MAP_H */
