/* SPDX-License-Identifier: MIT */
/* A pool of threads. Rule of the lock: it guards every field below it; work runs without it. */
#include "pe/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct pe_pool {
	unsigned threads;
	size_t least;			/* nanoseconds of work that are worth sharing */
	pthread_t *thread;		/* threads - 1 of them */
	unsigned started;

	pthread_mutex_t lock;
	pthread_cond_t go, done;
	unsigned long round;		/* of work; workers wait for it to change */
	unsigned running;		/* workers that have not finished this round */
	int stop;
	pe_pool_work work;
	void *user;
	unsigned next_part;		/* handed to workers as they start */

	/* The barrier. These two are atomic; `passed` also changes under the lock, for those who sleep. */
	unsigned arrived;
	unsigned long crossings;
	pthread_cond_t passed;
};

static void *pool_worker(void *argument)
{
	struct pe_pool *pool = argument;
	unsigned long seen = 0;
	unsigned part;

	pthread_mutex_lock(&pool->lock);
	part = ++pool->next_part;
	for (;;) {
		pe_pool_work work;
		void *user;

		while (!pool->stop && pool->round == seen)
			pthread_cond_wait(&pool->go, &pool->lock);
		if (pool->stop)
			break;
		seen = pool->round;
		work = pool->work;
		user = pool->user;
		pthread_mutex_unlock(&pool->lock);
		work(user, part, pool->threads);
		pthread_mutex_lock(&pool->lock);
		if (--pool->running == 0)
			pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int pe_pool_create(unsigned threads, struct pe_pool **out)
{
	struct pe_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->threads = threads ? threads : 1;
	pool->least = PE_POOL_LEAST;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->go, NULL);
	pthread_cond_init(&pool->done, NULL);
	pthread_cond_init(&pool->passed, NULL);
	pool->thread = calloc(pool->threads, sizeof(*pool->thread));
	if (!pool->thread) {
		pe_pool_destroy(pool);
		return -ENOMEM;
	}
	for (; pool->started + 1 < pool->threads; pool->started++) {
		if (pthread_create(&pool->thread[pool->started], NULL, pool_worker, pool)) {
			pe_pool_destroy(pool);
			return -EAGAIN;
		}
	}
	*out = pool;
	return 0;
}

void pe_pool_destroy(struct pe_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = 1;
	pthread_cond_broadcast(&pool->go);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_cond_destroy(&pool->go);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->passed);
	pthread_mutex_destroy(&pool->lock);
	free(pool->thread);
	free(pool);
}

unsigned pe_pool_threads(const struct pe_pool *pool)
{
	return pool ? pool->threads : 1;
}

void pe_pool_run(struct pe_pool *pool, pe_pool_work work, void *user)
{
	if (pe_pool_threads(pool) == 1) {
		work(user, 0, 1);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->work = work;
	pool->user = user;
	pool->running = pool->threads - 1;
	pool->round++;
	pthread_cond_broadcast(&pool->go);
	pthread_mutex_unlock(&pool->lock);

	work(user, 0, pool->threads);

	pthread_mutex_lock(&pool->lock);
	while (pool->running)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Threads that share a step arrive within microseconds of each other, unless the machine is busy with something else: then sleep. */
#define LOOKS 500

void pe_pool_barrier(struct pe_pool *pool)
{
	const unsigned long crossing = __atomic_load_n(&pool->crossings, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&pool->arrived, 1, __ATOMIC_ACQ_REL) == pool->threads) {
		__atomic_store_n(&pool->arrived, 0, __ATOMIC_RELAXED);
		pthread_mutex_lock(&pool->lock);
		__atomic_store_n(&pool->crossings, crossing + 1, __ATOMIC_RELEASE);
		pthread_cond_broadcast(&pool->passed);
		pthread_mutex_unlock(&pool->lock);
		return;
	}
	for (int i = 0; i < LOOKS; i++) {
		if (__atomic_load_n(&pool->crossings, __ATOMIC_ACQUIRE) != crossing)
			return;
		pause_briefly();
	}
	pthread_mutex_lock(&pool->lock);
	while (__atomic_load_n(&pool->crossings, __ATOMIC_ACQUIRE) == crossing)
		pthread_cond_wait(&pool->passed, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void pe_pool_share(struct pe_pool *pool, size_t nanoseconds, pe_pool_work work, void *user)
{
	if (!pool || nanoseconds < pool->least)
		work(user, 0, 1);
	else
		pe_pool_run(pool, work, user);
}

void pe_pool_set_least(struct pe_pool *pool, size_t nanoseconds)
{
	pool->least = nanoseconds;
}
