/* SPDX-License-Identifier: MIT */
/*
 * A pool of threads that share one piece of work. Waiting threads sleep. Bits never depend on how the work is split, because
 * sums are exact and every element is computed by one thread.
 */
#ifndef FIXAR_LIB_PE_POOL_H
#define FIXAR_LIB_PE_POOL_H

#include <stddef.h>

struct pe_pool;

/* `threads` in all, the caller included; 0 or 1 makes a pool without further threads. 0, -ENOMEM or -EAGAIN. */
int pe_pool_create(unsigned threads, struct pe_pool **pool);
void pe_pool_destroy(struct pe_pool *pool);
/* The number of threads; 1 for a NULL pool. */
unsigned pe_pool_threads(const struct pe_pool *pool);

/* Calls work(user, part, parts) for part 0 to parts - 1 with parts = pe_pool_threads(); returns when all are done. */
typedef void (*pe_pool_work)(void *user, unsigned part, unsigned parts);
void pe_pool_run(struct pe_pool *pool, pe_pool_work work, void *user);

/*
 * For work that pe_pool_run() runs: returns when all threads have called it. What they wrote before, all can read. Waiting threads look
 * for a few microseconds, then they sleep.
 */
void pe_pool_barrier(struct pe_pool *pool);

/*
 * The same if it can pay, else work(user, 0, 1): waking a thread and waiting for it costs some tens of microseconds.
 * `nanoseconds` is a rough estimate of the work for one thread; PE_POOL_LEAST of it are worth sharing.
 */
#define PE_POOL_LEAST 50000
void pe_pool_share(struct pe_pool *pool, size_t nanoseconds, pe_pool_work work, void *user);

/* For tests: share work from this many nanoseconds on, so that small shapes go through all threads too. */
void pe_pool_set_least(struct pe_pool *pool, size_t nanoseconds);

#endif /* FIXAR_LIB_PE_POOL_H */
