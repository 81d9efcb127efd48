// SPDX-License-Identifier: MIT
/* The card as a whole: power, resets, removal. */
#include "card.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/fixar_regs.h"

#define WAIT_NS 10000000

uint64_t card_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void card_log(struct card *card, const char *format, ...)
{
	va_list arguments;

	if (!card->options.log)
		return;
	fprintf(card->options.log, "%12.6f ", (double)(card_now() - card->time_of_power) * 1e-9);
	va_start(arguments, format);
	vfprintf(card->options.log, format, arguments);
	va_end(arguments);
	fputc('\n', card->options.log);
	fflush(card->options.log);
}

void card_default_options(struct card_options *options)
{
	memset(options, 0, sizeof(*options));
	options->channels = 2;
	options->memory_size = UINT64_C(8) << 30;
	options->subsystem_vendor = FIXAR_PCI_SUBVENDOR;
	options->subsystem = FIXAR_PCI_SUBDEVICE;
	options->windows = true;
}

int card_create(const struct card_options *options, struct card **created)
{
	struct card *card = calloc(1, sizeof(*card));
	int error;

	if (!card)
		return -ENOMEM;
	card->options = *options;
	error = record_create(&card->record);
	if (error)
		goto free_card;
	error = card_memory_create(&card->memory, options->memory_base, options->memory_size, options->ecc);
	if (error)
		goto free_record;
	pthread_mutex_init(&card->lock, NULL);
	dma_map_create(&card->dma);
	interrupts_create(&card->interrupts);
	core_create(card);
	xdma_create(card);
	card_power_cycle(card);
	record_clear(&card->record);
	*created = card;
	return 0;

free_record:
	record_destroy(&card->record);
free_card:
	free(card);
	return error;
}

int card_start(struct card *card)
{
	int error = xdma_start(card);

	if (!error)
		error = core_start(card);
	card->started = !error;
	return error;
}

void card_destroy(struct card *card)
{
	pthread_mutex_lock(&card->lock);
	card->quit = true;
	dma_map_stop(&card->dma);
	core_abort(card);
	card_wake(card);
	pthread_mutex_unlock(&card->lock);
	xdma_join(card);
	core_join(card);
	core_destroy(card);
	interrupts_forget(&card->interrupts);
	dma_map_destroy(&card->dma);
	card_memory_destroy(&card->memory);
	record_destroy(&card->record);
	pthread_mutex_destroy(&card->lock);
	free(card);
}

void card_wake(struct card *card)
{
	xdma_wake(card);
	core_wake(card);
}

void card_wait(struct card *card, pthread_cond_t *wake)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_nsec += WAIT_NS;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_nsec -= 1000000000;
		limit.tv_sec++;
	}
	/* Without faults nothing changes by time alone. */
	if (card->faults.count)
		pthread_cond_timedwait(wake, &card->lock, &limit);
	else
		pthread_cond_wait(wake, &card->lock);
}

/* What PERST# and function-level reset do alike. */
static void reset_function(struct card *card)
{
	dma_map_stop(&card->dma);
	interrupts_reset(&card->interrupts);
	xdma_reset(card);
	core_reset(card, CORE_RESET_BUS);
	faults_rung(card, FAULT_RUNG_BUS_RESET, FAULT_ANYWHERE);
	card_wake(card);
}

void card_bus_reset(struct card *card)
{
	if (card->gone)
		return;
	card->record.bus_resets++;
	record_event(card, "bus reset");
	config_space_reset(&card->config, &card->options);
	dma_map_enable(&card->dma, false);
	reset_function(card);
}

void card_function_reset(struct card *card)
{
	const struct config_space before = card->config;
	struct config_space *config = &card->config;

	card->record.function_resets++;
	record_event(card, "function-level reset");
	config_space_reset(config, &card->options);
	/* What the client keeps by itself (BARs) is the same for both; all else is reset. */
	memcpy(config->value + 0x10, before.value + 0x10, 0x18);
	dma_map_enable(&card->dma, false);
	reset_function(card);
}

void card_power_cycle(struct card *card)
{
	card->time_of_power = card_now();
	card->gone = false;
	config_space_reset(&card->config, &card->options);
	dma_map_enable(&card->dma, false);
	dma_map_stop(&card->dma);
	interrupts_reset(&card->interrupts);
	xdma_reset(card);
	card_memory_lose(&card->memory);
	core_reset(card, CORE_RESET_POWER);
	sensors_reset(&card->sensors);
	faults_rung(card, FAULT_RUNG_POWER_CYCLE, FAULT_ANYWHERE);
	card->record.power_cycles++;
	record_event(card, "power cycle");
	card_wake(card);
}

void card_remove(struct card *card)
{
	if (card->gone)
		return;
	card->gone = true;
	record_event(card, "removed by surprise");
	dma_map_stop(&card->dma);
	core_abort(card);
	card_wake(card);
}

void card_lose_memory(struct card *card, bool silent)
{
	card_memory_lose(&card->memory);
	core_memory_lost(card, silent);
	record_event(card, "card memory lost");
}
