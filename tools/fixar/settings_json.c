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
			error = settings_bits_from_json(settings->bits, &settings->bits_count, value, message);
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
		json_object_set_new(object, "bits", settings_bits_to_json(settings->bits, settings->bits_count));
	return object;
}
