// SPDX-License-Identifier: MIT
/* Settings in JSON: config.json of a run, the files of --config and --bits, study files. */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *settings_key(const struct setting *setting, char *key)
{
	size_t i = 0;

	for (; setting->name[i]; i++)
		key[i] = setting->name[i] == '-' ? '_' : setting->name[i];
	key[i] = '\0';
	return key;
}

int settings_json_text(const json_t *value, char text[SETTINGS_TEXT])
{
	size_t used = 0, i;
	json_t *item;

	if (json_is_string(value)) {
		if (json_string_length(value) >= SETTINGS_TEXT)
			return -EINVAL;
		strcpy(text, json_string_value(value));
	} else if (json_is_integer(value)) {
		snprintf(text, SETTINGS_TEXT, "%lld", (long long)json_integer_value(value));
	} else if (json_is_real(value)) {
		snprintf(text, SETTINGS_TEXT, "%.17g", json_real_value(value));
	} else if (json_is_boolean(value)) {
		strcpy(text, json_is_true(value) ? "true" : "false");
	} else if (json_is_array(value)) {
		text[0] = '\0';
		json_array_foreach(value, i, item)
		{
			if (!json_is_integer(item) || used > SETTINGS_TEXT - 32)
				return -EINVAL;
			used += (size_t)snprintf(text + used, SETTINGS_TEXT - used, "%s%lld", i ? "," : "",
						 (long long)json_integer_value(item));
		}
	} else {
		return -EINVAL;
	}
	return 0;
}

static bool listed(const char *const *list, const char *key)
{
	for (; list && *list; list++)
		if (!strcmp(*list, key))
			return true;
	return false;
}

static const struct setting *find_key(const char *key)
{
	char name[SETTINGS_TEXT];

	for (size_t i = 0; i < settings_count; i++)
		if (!strcmp(settings_key(&settings_table[i], name), key))
			return &settings_table[i];
	return NULL;
}

int settings_from_json(struct settings *settings, const json_t *object, const char *const *others, char **message)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object)) {
		*message = cli_format("expected an object with settings");
		return -EINVAL;
	}
	json_object_foreach((json_t *)object, key, value)
	{
		const struct setting *setting = find_key(key);
		char text[SETTINGS_TEXT];
		int error;

		if (listed(others, key))
			continue;
		if (!strcmp(key, "bits")) {
			error = settings_bits_from_json(settings, value, message);
			if (error)
				return error;
			continue;
		}
		if (!setting) {
			*message = cli_format("unknown setting \"%s\"", key);
			return -EINVAL;
		}
		if (settings_json_text(value, text)) {
			*message = cli_format("%s has a value of the wrong kind", key);
			return -EINVAL;
		}
		error = settings_set(settings, setting, text, message);
		if (error)
			return error;
	}
	return 0;
}

static json_t *list_json(const char *text)
{
	char list[SETTINGS_TEXT + 2];

	snprintf(list, sizeof(list), "[%s]", text);
	return json_loads(list, 0, NULL);
}

json_t *settings_to_json(const struct settings *settings)
{
	json_t *object = json_object();

	json_object_set_new(object, "environment", json_string(settings->environment));
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char key[SETTINGS_TEXT], text[SETTINGS_TEXT];
		json_t *value = NULL;

		setting->format(setting, settings, text);
		/* Numbers and booleans are JSON already; what is not ("environment", a share) stays a string. */
		if (setting->is_number)
			value = json_loads(text, JSON_DECODE_ANY, NULL);
		else if (setting->is_list)
			value = list_json(text);
		if (!value)
			value = json_string(text);
		json_object_set_new(object, settings_key(setting, key), value);
	}
	if (settings->bits_count)
		json_object_set_new(object, "bits", settings_bits_to_json(settings));
	return object;
}

static const char *const networks[] = { "actor", "critic" };
static const char *const bits_keys[] = { "activation", "weight", "gradient" };

static int read_width(const json_t *entry, size_t index, const char *key, uint32_t *width, char **message)
{
	json_t *value = json_object_get(entry, key);

	*width = 32;
	if (!value)
		return 0;
	if (json_is_integer(value)) {
		json_int_t number = json_integer_value(value);

		if ((number >= 2 && number <= 16) || number == 32) {
			*width = (uint32_t)number;
			return 0;
		}
	}
	*message = cli_format("bits, entry %zu: %s must be a width from 2 to 16, or 32 (as it is)", index, key);
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

int settings_bits_from_json(struct settings *settings, const json_t *list, char **message)
{
	json_t *entry;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > SETTINGS_MAX_BITS) {
		*message = cli_format("bits must be a list of at most %d entries", SETTINGS_MAX_BITS);
		return -EINVAL;
	}
	settings->bits_count = json_array_size(list);
	json_array_foreach(list, i, entry)
	{
		int error = read_bits(&settings->bits[i], entry, i, message);

		if (error)
			return error;
	}
	return 0;
}

json_t *settings_bits_to_json(const struct settings *settings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < settings->bits_count; i++) {
		const struct fixar_layer_bits *bits = &settings->bits[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:I, s:I}", "network", networks[!!bits->network],
						"layer", (json_int_t)bits->layer, bits_keys[0],
						(json_int_t)bits->activation, bits_keys[1], (json_int_t)bits->weight,
						bits_keys[2], (json_int_t)bits->gradient));
	}
	return list;
}
