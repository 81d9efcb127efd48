// SPDX-License-Identifier: MIT
/*
 * fixar mode: the mode registers as they are on the card, and those that new contexts begin with (sysfs; root sets
 * them).
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cards.h"
#include "commands.h"

static const char *const precisions[] = { "full", "quantized", NULL };
static const char *const observations[] = { "off", "observe", NULL };
static const char *const parallelisms[] = { "auto", "intra-layer", "intra-batch", NULL };
static const char *const noises[] = { "none", "gaussian", "ou", NULL };

/* The fields in the order of struct drm_fixar_mode; `name` is that of the file in sysfs. */
static const struct field {
	const char *name;
	const char *const *words; /* of the values 0, 1 ...; NULL: a number */
	int fraction;		  /* of a number; 0: a whole one */
} fields[] = {
	{ "precision", precisions, 0 },
	{ "quantization", observations, 0 },
	{ "parallelism", parallelisms, 0 },
	{ "noise", noises, 0 },
	{ "noise_sigma", NULL, 22 },
	{ "noise_theta", NULL, 22 },
	{ "discount", NULL, 31 },
	{ "tau", NULL, 31 },
	{ "beta1", NULL, 31 },
	{ "one_minus_beta2", NULL, 32 },
	{ "actor_rate_mantissa", NULL, 0 },
	{ "critic_rate_mantissa", NULL, 0 },
	{ "actor_rate_exponent", NULL, 0 },
	{ "critic_rate_exponent", NULL, 0 },
	{ "actor_gradient_scale", NULL, 0 },
	{ "critic_gradient_scale", NULL, 0 },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

_Static_assert(FIELDS * sizeof(uint32_t) == sizeof(struct drm_fixar_mode), "every field of the mode has a line");

enum { KEY_SET = 0x1000 };

struct mode_arguments {
	const char *device;
	bool json;
	size_t count;
	struct assignment {
		const struct field *field;
		int64_t value;
	} set[FIELDS];
};

static int is_signed(const struct field *field)
{
	return strstr(field->name, "gradient_scale") != NULL;
}

static int64_t field_value(const struct drm_fixar_mode *mode, size_t index)
{
	uint32_t word;

	memcpy(&word, (const char *)mode + index * sizeof(word), sizeof(word));
	return is_signed(&fields[index]) ? (int32_t)word : (int64_t)word;
}

/* "0.99 (2126008812)"; the number alone where it is what it means. */
static void format_value(const struct field *field, int64_t value, char text[CLI_TEXT])
{
	int64_t count = 0;

	while (field->words && field->words[count])
		count++;
	if (value >= 0 && value < count)
		snprintf(text, CLI_TEXT, "%s", field->words[value]);
	else if (field->fraction)
		snprintf(text, CLI_TEXT, "%.6g (%lld)", ldexp((double)value, -field->fraction), (long long)value);
	else
		snprintf(text, CLI_TEXT, "%lld", (long long)value);
}

/* ---- Arguments ---- */

/* A word, a whole number as the register has it, or, with a point, what it stands for. */
static int parse_value(const struct field *field, const char *text, int64_t *value)
{
	double real;
	char *end;

	for (int64_t i = 0; field->words && field->words[i]; i++) {
		if (!strcmp(field->words[i], text)) {
			*value = i;
			return 0;
		}
	}
	if (field->fraction && strpbrk(text, ".e")) {
		if (cli_parse_double(text, &real))
			return -EINVAL;
		*value = llround(ldexp(real, field->fraction));
		return 0;
	}
	errno = 0;
	*value = strtoll(text, &end, 0);
	return errno || end == text || *end ? -EINVAL : 0;
}

static void parse_assignment(struct mode_arguments *arguments, const char *text, struct argp_state *state)
{
	const char *equal = strchr(text, '=');
	const struct field *field = NULL;
	size_t length = equal ? (size_t)(equal - text) : strlen(text);

	for (size_t i = 0; i < FIELDS; i++)
		if (strlen(fields[i].name) == length && !strncmp(fields[i].name, text, length))
			field = &fields[i];
	if (!field)
		argp_error(state, "set is \"%s\"; expected NAME=VALUE, NAME one of those that fixar mode prints", text);
	else if (!equal || parse_value(field, equal + 1, &arguments->set[arguments->count].value))
		argp_error(state, "set is \"%s\"; expected %s=%s", text, field->name,
			   field->words ? "a word or number" : "a number");
	else if (arguments->count < FIELDS)
		arguments->set[arguments->count++].field = field;
	if (arguments->count == FIELDS)
		argp_error(state, "--set is given too often");
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct mode_arguments *arguments = state->input;

	switch (key) {
	case CARDS_KEY_DEVICE:
		arguments->device = text;
		return 0;
	case CARDS_KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_SET:
		parse_assignment(arguments, text, state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- Defaults, in sysfs ---- */

static int read_default(const char *address, const struct field *field, int64_t *value)
{
	char file[64], text[64];
	char *end;

	snprintf(file, sizeof(file), "fixar_mode/%s", field->name);
	if (card_sysfs_read(address, file, text, sizeof(text)))
		return -ENOENT;
	*value = strtoll(text, &end, 10);
	return end == text ? -EBADMSG : 0;
}

static int write_default(const char *address, const struct assignment *set)
{
	char path[160], text[32], value[CLI_TEXT];
	const int length = snprintf(text, sizeof(text), "%lld\n", (long long)set->value);
	int fd, error = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/fixar_mode/%s", address, set->field->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		error = errno;
	if (fd >= 0)
		close(fd);
	format_value(set->field, set->value, value);
	if (error == EINVAL)
		cli_error("%s is %s, which is out of its range", set->field->name, value);
	else if (error == EACCES || error == EPERM)
		cli_error("%s cannot be set: defaults for new contexts are root's to set", set->field->name);
	else if (error)
		cli_error("%s cannot be set: %s", set->field->name, strerror(error));
	return error ? CLI_FAILED : CLI_OK;
}

/* ---- Output ---- */

static json_t *collect(const struct card *card, const struct drm_fixar_mode *live,
		       const struct drm_fixar_query_memory *memory)
{
	json_t *registers = json_object(), *defaults = json_object();

	for (size_t i = 0; i < FIELDS; i++) {
		int64_t value;

		json_object_set_new(registers, fields[i].name, json_integer(field_value(live, i)));
		if (!read_default(card->address, &fields[i], &value))
			json_object_set_new(defaults, fields[i].name, json_integer(value));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:I}", "address", card->address, "node", card->node, "registers",
			 registers, "defaults", defaults, "contexts", (json_int_t)memory->contexts);
}

static void print_text(const json_t *answer)
{
	const json_t *registers = json_object_get(answer, "registers"), *defaults = json_object_get(answer, "defaults");
	long long contexts = (long long)json_integer_value(json_object_get(answer, "contexts"));

	printf("card %s, node %s: %lld context%s, each with a mode of its own\n\n",
	       json_string_value(json_object_get(answer, "address")),
	       json_string_value(json_object_get(answer, "node")), contexts, contexts == 1 ? "" : "s");
	printf("%-22s  %-24s  %s\n", "", "on the card now", "for new contexts");
	for (size_t i = 0; i < FIELDS; i++) {
		const json_t *set = json_object_get(defaults, fields[i].name);
		char now[CLI_TEXT], fresh[CLI_TEXT] = "not known";

		format_value(&fields[i], json_integer_value(json_object_get(registers, fields[i].name)), now);
		if (set)
			format_value(&fields[i], json_integer_value(set), fresh);
		printf("%-22s  %-24s  %s\n", fields[i].name, now, fresh);
	}
}

static int show(const struct mode_arguments *arguments)
{
	struct drm_fixar_query_memory memory;
	struct drm_fixar_mode live;
	struct card card;
	json_t *answer;
	int error;

	if (cards_open(arguments->device, &card))
		return CLI_FAILED;
	error = card_query(&card, DRM_FIXAR_QUERY_MODE, 0, &live, sizeof(live));
	if (!error)
		error = card_query(&card, DRM_FIXAR_QUERY_MEMORY, 0, &memory, sizeof(memory));
	if (error) {
		cli_error("%s does not say its mode: %s", card.node, cli_reason(error));
		card_close(&card);
		return CLI_FAILED;
	}
	answer = collect(&card, &live, &memory);
	if (arguments->json)
		cli_print_json(answer);
	else
		print_text(answer);
	json_decref(answer);
	card_close(&card);
	return CLI_OK;
}

int cmd_mode(int argc, char **argv)
{
	static const struct argp_option options[] = {
		CARDS_OPTIONS,
		{ "set", KEY_SET, "NAME=VALUE", 0,
		  "Set the default of new contexts (root): a word, the register's whole number, or with a point what "
		  "it means",
		  1 },
		{ "json", CARDS_KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Shows a card's mode registers: as the context that ran last left them, and as new contexts "
		       "begin. "
		       "The library sets all of them for its agents, so the defaults matter to programs of one's own.",
	};
	struct mode_arguments arguments = { .device = NULL };
	struct card_place place;

	if (cli_parse(&argp, "fixar mode", argc, argv, &arguments))
		return CLI_USAGE;
	if (arguments.count && cards_place(arguments.device, &place))
		return CLI_FAILED;
	for (size_t i = 0; i < arguments.count; i++)
		if (write_default(place.address, &arguments.set[i]))
			return CLI_FAILED;
	return show(&arguments);
}
