// SPDX-License-Identifier: MIT
/* Operand widths of single layers: the file of --bits, and the same list in config.json. */
#include "settings.h"

#include <errno.h>
#include <string.h>

static const char *const networks[] = { "actor", "critic" };
static const char *const bits_keys[] = { "activation", "weight", "gradient" };

static int read_width(const json_t *entry, size_t index, const char *key, uint32_t *width, char **message)
{
	json_t *value = json_object_get(entry, key);

	*width = 0; /* the precision's own */
	if (!value)
		return 0;
	if (json_is_integer(value)) {
		json_int_t number = json_integer_value(value);

		if ((number >= 2 && number <= 16) || number == 32) {
			*width = (uint32_t)number;
			return 0;
		}
	}
	*message = cli_format("bits, entry %zu: %s must be a width from 2 to 16, or 32 (the whole value)", index, key);
	return -EINVAL;
}

static int read_bits(struct fixar_layer_bits *bits, const json_t *entry, size_t index, char **message)
{
	uint32_t *const widths[] = { &bits->activation, &bits->weight, &bits->gradient };
	const char *network = json_string_value(json_object_get(entry, "network"));
	json_t *layer = json_object_get(entry, "layer"), *value;
	const char *key;

	if (!json_is_object(entry) || !network || (strcmp(network, networks[0]) && strcmp(network, networks[1]))) {
		*message = cli_format("bits, entry %zu: \"network\" must be \"actor\" or \"critic\"", index);
		return -EINVAL;
	}
	if (!json_is_integer(layer) || json_integer_value(layer) < 0 || json_integer_value(layer) > FIXAR_MAX_HIDDEN) {
		*message =
			cli_format("bits, entry %zu: \"layer\" must be a number from 0 to %d", index, FIXAR_MAX_HIDDEN);
		return -EINVAL;
	}
	json_object_foreach((json_t *)entry, key, value)
	{
		if (strcmp(key, "network") && strcmp(key, "layer") && strcmp(key, bits_keys[0]) &&
		    strcmp(key, bits_keys[1]) && strcmp(key, bits_keys[2])) {
			*message = cli_format("bits, entry %zu: unknown key \"%s\"", index, key);
			return -EINVAL;
		}
	}
	bits->network = !strcmp(network, networks[1]);
	bits->layer = (uint32_t)json_integer_value(layer);
	for (size_t i = 0; i < 3; i++)
		if (read_width(entry, index, bits_keys[i], widths[i], message))
			return -EINVAL;
	return 0;
}

int settings_bits_from_json(struct fixar_layer_bits *bits, size_t *count, const json_t *list, char **message)
{
	json_t *entry;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > SETTINGS_MAX_BITS) {
		*message = cli_format("bits must be a list of at most %d entries", SETTINGS_MAX_BITS);
		return -EINVAL;
	}
	*count = json_array_size(list);
	json_array_foreach(list, i, entry)
	{
		int error = read_bits(&bits[i], entry, i, message);

		if (error)
			return error;
	}
	return 0;
}

json_t *settings_bits_to_json(const struct fixar_layer_bits *bits, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const uint32_t widths[] = { bits[i].activation, bits[i].weight, bits[i].gradient };
		json_t *entry = json_pack("{s:s, s:I}", "network", networks[!!bits[i].network], "layer",
					  (json_int_t)bits[i].layer);

		for (size_t k = 0; k < 3; k++)
			if (widths[k])
				json_object_set_new(entry, bits_keys[k], json_integer(widths[k]));
		json_array_append_new(list, entry);
	}
	return list;
}
