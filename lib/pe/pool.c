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
