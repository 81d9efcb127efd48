// SPDX-License-Identifier: MIT
/* Requests of the control socket. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "control.h"

#define WORDS 16
#define PEEK_MOST 0x10000u
#define LAST_USUAL 64u /* items, if no number is asked for */

struct request {
	struct card *card;
	char *word[WORDS]; /* [0]: the request */
	int words;
	bool quit;
};

static json_t *failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

static json_t *failed(const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	return json_pack("{s:b, s:s}", "ok", 0, "error", message);
}

static json_t *done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static bool parse(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text && *text != '-' && !*end && !errno && *value <= most;
}

/* ---- What the card saw ---- */

static json_t *by_offset(const uint32_t *counts, uint32_t words)
{
	json_t *object = json_object();
	char name[16];

	for (uint32_t i = 0; i < words; i++) {
		if (!counts[i])
			continue;
		snprintf(name, sizeof(name), "0x%05x", i * 4);
		json_object_set_new(object, name, number(counts[i]));
	}
	return object;
}

static json_t *registers(const struct record *record)
{
	static const uint32_t bytes[RECORD_BARS] = { FIXAR_USER_BAR_BYTES, FIXAR_XDMA_BAR_BYTES };
	json_t *bars = json_array();

	for (int bar = 0; bar < RECORD_BARS; bar++)
		json_array_append_new(bars,
				      json_pack("{s:o, s:o}", "reads", by_offset(record->reads[bar], bytes[bar] / 4),
						"writes", by_offset(record->writes[bar], bytes[bar] / 4)));
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "reads", number(record->read_count), "writes",
			 number(record->write_count), "config_reads", number(record->config_reads), "config_writes",
			 number(record->config_writes), "bars", bars);
}

static json_t *commands(const struct record *record)
{
	static const char *const names[] = { "none", "nop", "act", "train", "read_ranges", "reload" };
	json_t *object = json_object();

	for (unsigned opcode = 0; opcode < sizeof(names) / sizeof(names[0]); opcode++)
		json_object_set_new(object, names[opcode], number(record->commands[opcode]));
	return object;
}

static json_t *channels(const struct card *card)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < XDMA_CHANNELS; i++)
		if (card->xdma.channel[i].exists)
			json_object_set_new(
				object, xdma_channel_name(i),
				json_pack("{s:o, s:o, s:o}", "bytes", number(card->record.bytes[i]), "descriptors",
					  number(card->record.descriptors_done[i]), "busy",
					  json_boolean(card->xdma.channel[i].status & FIXAR_XDMA_STATUS_BUSY)));
	return object;
}

static json_t *interrupts(const struct card *card)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < INTERRUPT_VECTORS; i++)
		json_array_append_new(array, number(card->interrupts.sent[i]));
	return array;
}

static json_t *resets(const struct record *record)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "channel_stop", number(record->channel_stops), "resume",
			 number(record->resumes), "soft_reset", number(record->soft_resets), "bus_reset",
			 number(record->bus_resets), "function_reset", number(record->function_resets), "power_cycle",
			 number(record->power_cycles));
}

static json_t *timing(const struct card *card)
{
	const struct core_timing *timing = &card->core.timing;

	return json_pack("{s:f, s:o, s:o, s:f, s:f}", "factor", card->options.timing, "commands", number(timing->commands), "late",
			 number(timing->late), "model_seconds", (double)timing->model_ns * 1e-9, "late_seconds",
			 (double)timing->late_ns * 1e-9);
}

static json_t *request_status(struct request *request)
{
	struct card *card = request->card;
	const struct record *record = &card->record;
	const struct core *core = &card->core;
	json_t *answer = done();

	json_object_set_new(answer, "gone", json_boolean(card->gone));
	json_object_set_new(answer, "commands", commands(record));
	json_object_set_new(answer, "command_errors", number(record->command_errors));
	json_object_set_new(answer, "training_steps", number(record->training_steps));
	json_object_set_new(answer, "channels", channels(card));
	json_object_set_new(answer, "interrupts", interrupts(card));
	json_object_set_new(answer, "resets", resets(record));
	json_object_set_new(answer, "registers", registers(record));
	json_object_set_new(answer, "mem_epoch", number(core->mem_epoch));
	json_object_set_new(answer, "submitted", number(core->submitted));
	json_object_set_new(answer, "completed", number(core->completed));
	json_object_set_new(answer, "busy", json_boolean(core_busy(core)));
	json_object_set_new(answer, "halted", json_boolean(core->halted));
	json_object_set_new(answer, "mappings", number(card->dma.count));
	json_object_set_new(answer, "strict", number(record->strict_total));
	json_object_set_new(answer, "timing", timing(card));
	return answer;
}

static json_t *describe_descriptor(const void *item)
{
	const struct record_descriptor *one = item;

	return json_pack("{s:f, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "time", (double)one->time * 1e-9, "channel",
			 xdma_channel_name(one->channel), "at", number(one->at), "host", number(one->host), "card",
			 number(one->card), "bytes", number(one->bytes), "control", number(one->control), "next",
			 number(one->next));
}

static json_t *describe_access(const void *item)
{
	const struct record_access *one = item;

	return json_pack("{s:f, s:s, s:i, s:o, s:i, s:o}", "time", (double)one->time * 1e-9, "kind",
			 one->write ? "write" : "read", "bar", one->bar, "offset", number(one->offset), "bytes",
			 one->bytes, "value", number(one->value));
}

static json_t *describe_event(const void *item)
{
	const struct record_event *one = item;

	return json_pack("{s:f, s:s}", "time", (double)one->time * 1e-9, "event", one->text);
}

/* The last N items, the oldest first. */
static json_t *last(struct request *request, const struct record_ring *ring, const char *name,
		    json_t *(*describe)(const void *item), uint64_t usual)
{
	json_t *array, *answer;
	uint64_t count = usual;

	if (request->words > 1 && !parse(request->word[1], UINT64_MAX, &count))
		return failed("%s: expected a number", request->word[1]);
	if (count > record_kept(ring))
		count = record_kept(ring);
	array = json_array();
	for (uint64_t back = count; back-- > 0;)
		json_array_append_new(array, describe(record_last(ring, back)));
	answer = done();
	json_object_set_new(answer, "total", number(ring->count));
	json_object_set_new(answer, name, array);
	return answer;
}

static json_t *request_descriptors(struct request *request)
{
	return last(request, &request->card->record.descriptors, "descriptors", describe_descriptor, LAST_USUAL);
}

static json_t *request_accesses(struct request *request)
{
	return last(request, &request->card->record.accesses, "accesses", describe_access, LAST_USUAL);
}

static json_t *request_events(struct request *request)
{
	return last(request, &request->card->record.events, "events", describe_event, RECORD_LAST);
}

static json_t *request_strict(struct request *request)
{
	const struct record *record = &request->card->record;
	json_t *answer = done(), *array = json_array();

	for (size_t i = 0; i < record->strict_count; i++)
		json_array_append_new(array, json_pack("{s:s, s:o}", "text", record->strict[i].text, "count",
						       number(record->strict[i].count)));
	json_object_set_new(answer, "total", number(record->strict_total));
	json_object_set_new(answer, "strict", array);
	return answer;
}

static json_t *request_clear(struct request *request)
{
	record_clear(&request->card->record);
	memset(request->card->interrupts.sent, 0, sizeof(request->card->interrupts.sent));
	memset(request->card->faults.struck, 0, sizeof(request->card->faults.struck));
	return done();
}

/* ---- Faults ---- */

static json_t *request_faults(struct request *request)
{
	const struct faults *faults = &request->card->faults;
	json_t *array = json_array(), *answer = done();

	for (int id = 0; id < FAULTS; id++) {
		const struct fault_kind *kind = &fault_kinds[id];
		uint64_t armed = 0;

		for (size_t i = 0; i < faults->count; i++)
			armed += faults->armed[i].id == (enum fault_id)id;
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:o, s:o}", "name", kind->name, "meaning",
					 kind->meaning, "type", kind->state ? "state" : "event", "rung",
					 fault_rung_name(kind->rung), "after_counts", kind->occasion, "needs",
					 kind->needs, "armed", number(armed), "struck", number(faults->struck[id])));
	}
	json_object_set_new(answer, "faults", array);
	return answer;
}

static json_t *request_fault(struct request *request)
{
	char spec[256] = "", message[256];

	if (request->words < 2)
		return failed("fault: expected a fault's name");
	for (int i = 1; i < request->words; i++) {
		if (strlen(spec) + strlen(request->word[i]) + 2 > sizeof(spec))
			return failed("fault: too long");
		strcat(spec, request->word[i]);
		strcat(spec, " ");
	}
	if (faults_arm(request->card, spec, message, sizeof(message)))
		return failed("%s", message);
	return done();
}

static json_t *request_unfault(struct request *request)
{
	const char *name = request->words > 1 ? request->word[1] : "all";
	const size_t count = faults_disarm(request->card, strcmp(name, "all") ? name : NULL);
	json_t *answer = done();

	json_object_set_new(answer, "disarmed", number(count));
	return answer;
}

/* ---- The tester's hands ---- */

static json_t *request_peek(struct request *request)
{
	uint64_t address, count;
	const unsigned char *bytes;
	char *text;
	json_t *answer;

	if (request->words != 3 || !parse(request->word[1], UINT64_MAX, &address) ||
	    !parse(request->word[2], PEEK_MOST, &count))
		return failed("peek: expected ADDRESS and COUNT, at most %u", PEEK_MOST);
	bytes = card_memory_at(&request->card->memory, address, count);
	if (!bytes)
		return failed("peek: not in card memory");
	text = malloc(2 * count + 1);
	if (!text)
		return failed("peek: no memory");
	text[0] = '\0';
	for (uint64_t i = 0; i < count; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	answer = json_pack("{s:b, s:s}", "ok", 1, "bytes", text);
	free(text);
	return answer;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | ('A' <= c && c <= 'F' ? 0x20 : 0)) : NULL;

	return at ? (int)(at - digits) : -1;
}

static json_t *request_poke(struct request *request)
{
	const char *hex = request->words == 3 ? request->word[2] : "";
	const size_t length = strlen(hex);
	unsigned char *bytes;
	uint64_t address;

	if (!length || length % 2 || !parse(request->word[1], UINT64_MAX, &address))
		return failed("poke: expected ADDRESS and an even number of hexadecimal digits");
	for (size_t i = 0; i < length; i++)
		if (hex_digit(hex[i]) < 0)
			return failed("poke: '%c' is no hexadecimal digit", hex[i]);
	bytes = card_memory_at(&request->card->memory, address, length / 2);
	if (!bytes)
		return failed("poke: not in card memory");
	for (size_t i = 0; i < length / 2; i++)
		bytes[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	card_memory_wrote(&request->card->memory, address, length / 2);
	/* The core's copy is not what is in memory any more. */
	core_memory_changed(request->card);
	return done();
}

static json_t *request_reg(struct request *request)
{
	uint64_t offset, value;

	if (request->words != 3 || !parse(request->word[1], UINT32_MAX, &offset) ||
	    !parse(request->word[2], UINT32_MAX, &value))
		return failed("reg: expected OFFSET and VALUE");
	if (!core_force(request->card, (uint32_t)offset, (uint32_t)value))
		return failed("reg: %s cannot be forced: modes, window, interrupts, scratch, epoch and cookie can",
			      request->word[1]);
	return done();
}

static json_t *request_unplug(struct request *request)
{
	card_remove(request->card);
	return done();
}

static json_t *request_plug(struct request *request)
{
	card_power_cycle(request->card);
	return done();
}

static json_t *request_sensor(struct request *request)
{
	uint64_t value;
	json_t *answer, *object;

	if (request->words == 3) {
		if (!parse(request->word[2], UINT32_MAX, &value))
			return failed("sensor: expected NAME and a number");
		if (!sensors_set(&request->card->sensors, request->word[1], (uint32_t)value))
			return failed("there is no sensor \"%s\"", request->word[1]);
		return done();
	}
	answer = done();
	object = json_object();
	for (unsigned i = 0; sensors_name(i); i++)
		json_object_set_new(object, sensors_name(i), number(request->card->sensors.now[i]));
	json_object_set_new(answer, "sensors", object);
	return answer;
}

static json_t *request_quit(struct request *request)
{
	request->quit = true;
	return done();
}

static json_t *request_help(struct request *request);

static const struct {
	const char *name;
	json_t *(*handle)(struct request *request);
	const char *help;
} requests[] = {
	{ "help", request_help, "the requests" },
	{ "status", request_status, "all counts: commands, bytes, registers by offset, interrupts, resets" },
	{ "descriptors", request_descriptors, "[N]: the last N descriptors" },
	{ "accesses", request_accesses, "[N]: the last N register accesses" },
	{ "events", request_events, "[N]: resets, rungs, faults, failures" },
	{ "strict", request_strict, "doubtful acts of the driver" },
	{ "clear", request_clear, "sets counts and lists to nothing" },
	{ "faults", request_faults, "all faults that can be injected" },
	{ "fault", request_fault, "NAME [after=N] [channel=h2c0] [KEY=VALUE]...: arms a fault" },
	{ "unfault", request_unfault, "NAME|all: disarms, and ends states" },
	{ "peek", request_peek, "ADDRESS COUNT: card memory, in hexadecimal digits" },
	{ "poke", request_poke, "ADDRESS DIGITS: writes card memory" },
	{ "reg", request_reg, "OFFSET VALUE: forces a register of the core" },
	{ "unplug", request_unplug, "the card is gone: all-ones from now on" },
	{ "plug", request_plug, "the card is there again, as after power-on" },
	{ "sensor", request_sensor, "[NAME VALUE]: what a sensor shows; without, all of them" },
	{ "quit", request_quit, "ends the emulator" },
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static json_t *request_help(struct request *request)
{
	json_t *answer = done(), *object = json_object();

	(void)request;
	for (size_t i = 0; i < REQUESTS; i++)
		json_object_set_new(object, requests[i].name, json_string(requests[i].help));
	json_object_set_new(answer, "requests", object);
	return answer;
}

json_t *control_request(struct card *card, char *line, bool *quit)
{
	struct request request = { .card = card };
	json_t *answer = NULL;
	char *save, *word;

	/* An answer repeats words of the request, and JSON takes valid UTF-8 only: no request needs more than ASCII. */
	for (char *c = line; *c; c++)
		if ((*c < ' ' && *c != '\t' && *c != '\r') || *c > '~')
			*c = '?';
	for (word = strtok_r(line, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (request.words == WORDS)
			return failed("more than %d words", WORDS);
		request.word[request.words++] = word;
	}
	if (!request.words)
		return failed("an empty request: help lists them");
	pthread_mutex_lock(&card->lock);
	for (size_t i = 0; i < REQUESTS && !answer; i++)
		if (!strcmp(requests[i].name, request.word[0]))
			answer = requests[i].handle(&request);
	pthread_mutex_unlock(&card->lock);
	*quit = request.quit;
	return answer ? answer : failed("there is no request \"%.64s\": help lists them", request.word[0]);
}
