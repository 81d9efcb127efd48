// SPDX-License-Identifier: MIT
/* fixar dma: copies to a card and back, compared byte by byte, and how fast each channel of each queue is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cards.h"
#include "commands.h"

#define GUARD 64u /* bytes on both sides of a copy that must stay as they are */
#define SIZES_MAX 32

enum { KEY_SECONDS = 0x1000, KEY_OFFSET };

struct dma_arguments {
	const char *device;
	bool json;
	double seconds;	 /* of measuring, for each row */
	uint64_t offset; /* of the data in card memory, beyond the guard */
	uint64_t sizes[SIZES_MAX];
	size_t size_count;
};

/* One size with all it needs. */
struct transfer {
	const struct card *card;
	struct card_context context;
	struct card_buffer source, target; /* each with guards around `size` bytes */
	uint64_t size, offset;
	json_t *rows;
};

/* ---- Arguments ---- */

/* 4096, 4K, 2M, 1G: powers of 1024. */
static uint64_t parse_size(const char *text, const struct argp_state *state)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t size = 0;
	char *end;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		size = strtoull(text, &end, 10);
	else
		end = (char *)text;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit && !end[1]) {
		const unsigned shift = 10 * (unsigned)(unit - units + 1);

		size = size <= UINT64_MAX >> shift ? size << shift : 0;
		end++;
	}
	if (errno || *end || !size || size > UINT64_C(1) << 40)
		argp_error(state, "size is \"%s\"; expected bytes, such as 100, 4K, 2M or 1G", text);
	return size;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct dma_arguments *arguments = state->input;

	switch (key) {
	case CARDS_KEY_DEVICE:
		arguments->device = text;
		return 0;
	case CARDS_KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_SECONDS:
		if (cli_parse_double(text, &arguments->seconds) || arguments->seconds < 0 || arguments->seconds > 3600)
			argp_error(state, "seconds is \"%s\"; expected 0 to 3600", text);
		return 0;
	case KEY_OFFSET:
		arguments->offset = cli_option_u64(state, "offset", text, 0, 1 << 20);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->size_count == SIZES_MAX)
			argp_error(state, "more than %d sizes", SIZES_MAX);
		arguments->sizes[arguments->size_count++] = parse_size(text, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- Copies ---- */

static void fill(unsigned char *bytes, uint64_t count, uint64_t seed)
{
	uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (uint64_t i = 0; i < count; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		bytes[i] = (unsigned char)(state >> 32);
	}
}

static int fail(struct transfer *transfer, const char *what, int error)
{
	char message[CARDS_MESSAGE] = "";

	card_context_check(&transfer->context, NULL, message, sizeof(message));
	cli_error("%s of %llu bytes failed: %s", what, (unsigned long long)transfer->size,
		  *message ? message : cli_reason(error));
	return CLI_FAILED;
}

/* Of the guards' bytes and those between them, or of those between them alone. */
static struct card_copy whole(const struct transfer *transfer, const struct card_buffer *buffer)
{
	return (struct card_copy){ buffer, 0, transfer->offset, transfer->size + 2 * GUARD };
}

static struct card_copy inner(const struct transfer *transfer, const struct card_buffer *buffer)
{
	return (struct card_copy){ buffer, GUARD, transfer->offset + GUARD, transfer->size };
}

static int copy(struct transfer *transfer, bool down, const uint32_t *channel, struct card_copy what)
{
	struct card_round round = { .channel = channel };

	if (down)
		round.down[round.down_count++] = what;
	else
		round.up[round.up_count++] = what;
	return card_run(&transfer->context, &round);
}

/* To the card by channel `up`, back by channel `down`; nothing but the data has changed, here and there. */
static int verify(struct transfer *transfer, uint32_t up, uint32_t down)
{
	const uint64_t total = transfer->size + 2 * GUARD;
	unsigned char *source = transfer->source.map, *target = transfer->target.map;
	int error;

	/* Guards and old data, then the new data between them. */
	fill(target, total, 1000 + up);
	error = copy(transfer, false, &up, whole(transfer, &transfer->target));
	if (!error) {
		fill(source, total, 7 + 16 * down + up);
		error = copy(transfer, false, &up, inner(transfer, &transfer->source));
	}
	if (error)
		return fail(transfer, "a copy to the card", error);
	/* What came back is compared with the same, made here: the guards of `target`, the data of `source`. */
	fill(source, GUARD, 1000 + up);
	memcpy(source + GUARD + transfer->size, target + GUARD + transfer->size, GUARD);
	memset(target, 0, total);
	error = copy(transfer, true, &down, whole(transfer, &transfer->target));
	if (error)
		return fail(transfer, "a copy from the card", error);
	for (uint64_t i = 0; i < total; i++) {
		if (source[i] == target[i])
			continue;
		cli_error("%llu bytes by channels h2c%u and c2h%u: byte %lld is %#04x, expected %#04x%s",
			  (unsigned long long)transfer->size, up, down, (long long)i - (long long)GUARD, target[i],
			  source[i], i < GUARD || i >= GUARD + transfer->size ? " (beyond the data)" : "");
		return CLI_FAILED;
	}
	return CLI_OK;
}

static int measure(struct transfer *transfer, bool down, uint32_t channel, double seconds)
{
	const char *queue = down ? "c2h" : "h2c";
	const struct card_copy what = inner(transfer, down ? &transfer->target : &transfer->source);
	double begin = cli_now(), took;
	uint64_t count = 0;

	do {
		int error = copy(transfer, down, &channel, what);

		if (error)
			return fail(transfer, down ? "a copy from the card" : "a copy to the card", error);
		count++;
		took = cli_now() - begin;
	} while (took < seconds && !cli_interrupted());
	json_array_append_new(transfer->rows,
			      json_pack("{s:I, s:s, s:i, s:I, s:f, s:f}", "size", (json_int_t)transfer->size, "queue",
					queue, "channel", (int)channel, "copies", (json_int_t)count, "seconds_per_copy",
					took / (double)count, "bytes_per_second",
					(double)transfer->size * (double)count / took));
	return CLI_OK;
}

static int run_channels(struct transfer *transfer, double seconds)
{
	const struct drm_fixar_query_device *info = &transfer->card->info;
	int code = CLI_OK;

	for (uint32_t up = 0; up < info->h2c_channels && !code; up++)
		for (uint32_t down = 0; down < info->c2h_channels && !code; down++)
			code = verify(transfer, up, down);
	for (uint32_t up = 0; up < info->h2c_channels && !code && !cli_interrupted(); up++)
		code = measure(transfer, false, up, seconds);
	for (uint32_t down = 0; down < info->c2h_channels && !code && !cli_interrupted(); down++)
		code = measure(transfer, true, down, seconds);
	return code;
}

static int run_size(const struct card *card, const struct dma_arguments *arguments, uint64_t size, json_t *rows)
{
	struct transfer transfer = { .card = card, .size = size, .offset = arguments->offset, .rows = rows };
	const uint64_t total = size + 2 * GUARD;
	int code, error = card_context_create(card, arguments->offset + total, &transfer.context);

	if (!error)
		error = card_buffer_create(card, total, &transfer.source);
	if (!error)
		error = card_buffer_create(card, total, &transfer.target);
	if (error) {
		cli_error("%llu bytes: no memory for them, here or on the card: %s", (unsigned long long)size,
			  cli_reason(error));
		code = CLI_FAILED;
	} else {
		code = run_channels(&transfer, arguments->seconds);
	}
	card_buffer_destroy(card, &transfer.source);
	card_buffer_destroy(card, &transfer.target);
	card_context_destroy(&transfer.context);
	return code;
}

/* ---- Output ---- */

static void print_rows(const json_t *rows)
{
	char size[CLI_TEXT], rate[CLI_TEXT];
	json_t *row;
	size_t i;

	printf("%12s  %-7s  %8s  %14s  %12s\n", "size", "channel", "copies", "us each", "rate");
	json_array_foreach(rows, i, row)
		printf("%12s  %s%-4lld  %8lld  %14.1f  %10s/s\n",
		       cards_bytes((uint64_t)json_integer_value(json_object_get(row, "size")), size),
		       json_string_value(json_object_get(row, "queue")),
		       (long long)json_integer_value(json_object_get(row, "channel")),
		       (long long)json_integer_value(json_object_get(row, "copies")),
		       json_number_value(json_object_get(row, "seconds_per_copy")) * 1e6,
		       cards_bytes((uint64_t)json_number_value(json_object_get(row, "bytes_per_second")), rate));
	printf("All bytes arrived, to the card and back, by every pair of channels, and none beyond them changed.\n");
}

int cmd_dma(int argc, char **argv)
{
	static const struct argp_option options[] = {
		CARDS_OPTIONS,
		{ "seconds", KEY_SECONDS, "S", 0, "Measure each size on each channel for so long; default 0.2", 1 },
		{ "offset", KEY_OFFSET, "N", 0, "Offset in card memory, for alignments; default 0", 1 },
		{ "json", CARDS_KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "[SIZE...]",
		.doc = "Copies SIZE bytes to a card and back by every pair of channels, compares every byte and the 64 "
		       "on "
		       "either side, and measures each channel. The time of a copy is that of its whole round trip "
		       "through "
		       "the driver.\v"
		       "Sizes are bytes, or with K, M and G behind them powers of 1024; default 64, 4K, 64K, 1M and "
		       "16M.",
	};
	static const uint64_t usual[] = { 64, 4 << 10, 64 << 10, 1 << 20, 16 << 20 };
	struct dma_arguments arguments = { .seconds = 0.2 };
	json_t *rows = json_array(), *answer;
	struct card card;
	int code = CLI_OK;

	if (cli_parse(&argp, "fixar dma", argc, argv, &arguments))
		return CLI_USAGE;
	if (!arguments.size_count) {
		memcpy(arguments.sizes, usual, sizeof(usual));
		arguments.size_count = sizeof(usual) / sizeof(usual[0]);
	}
	if (cards_open(arguments.device, &card))
		return CLI_FAILED;
	cli_catch_interrupts();
	for (size_t i = 0; i < arguments.size_count && !code && !cli_interrupted(); i++)
		code = run_size(&card, &arguments, arguments.sizes[i], rows);
	if (!code && cli_interrupted())
		code = CLI_INTERRUPTED;
	answer = json_pack("{s:s, s:s, s:o}", "address", card.address, "node", card.node, "rows", rows);
	if (arguments.json && !code)
		cli_print_json(answer);
	else if (!code)
		print_rows(rows);
	json_decref(answer);
	card_close(&card);
	return code;
}
