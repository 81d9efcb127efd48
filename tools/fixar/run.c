// SPDX-License-Identifier: MIT
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_FORMAT 1
#define LOCK_PATIENCE 10.0 /* seconds */

char *run_path(const char *directory, const char *file)
{
	return cli_format("%s/%s", directory, file);
}

bool run_has(const char *directory, const char *file)
{
	char *path = run_path(directory, file);
	bool there = !access(path, F_OK);

	free(path);
	return there;
}

int run_untouched(const char *directory)
{
	DIR *folder = opendir(directory);
	struct dirent *entry;
	int untouched = 1;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strncmp(entry->d_name, RUN_CONFIG, strlen(RUN_CONFIG)))
			untouched = 0;
	closedir(folder);
	return untouched;
}

char *run_default_directory(const struct settings *settings)
{
	char *name =
		cli_format("runs/%s-%s-seed%llu", settings->environment,
			   fixar_precision_name(settings->agent.precision), (unsigned long long)settings->agent.seed);

	for (unsigned number = 2; !access(name, F_OK) && cli_directory_empty(name) != 1; number++) {
		free(name);
		name = cli_format("runs/%s-%s-seed%llu-%u", settings->environment,
				  fixar_precision_name(settings->agent.precision),
				  (unsigned long long)settings->agent.seed, number);
	}
	return name;
}

int run_read_config(const char *directory, struct settings *settings, char **message)
{
	static const char *const others[] = { "format", "environment", NULL };
	char *path = run_path(directory, RUN_CONFIG), *reason = NULL;
	const char *environment;
	json_t *config;
	int error = 0;

	*message = NULL;
	config = cli_read_json(path, message, &error);
	if (!config)
		goto out;
	settings_default(settings);
	environment = json_string_value(json_object_get(config, "environment"));
	if (json_integer_value(json_object_get(config, "format")) != CONFIG_FORMAT || !environment ||
	    strlen(environment) >= sizeof(settings->environment)) {
		error = -EBADMSG;
		*message = cli_format("%s is not the configuration of a run", path);
		goto out;
	}
	settings_environment(settings, environment);
	error = settings_from_json(settings, config, others, &reason);
	if (error) {
		*message = cli_format("%s: %s", path, reason);
		free(reason);
		error = -EBADMSG;
		goto out;
	}
	settings_resolve(settings);
out:
	json_decref(config);
	free(path);
	return error;
}

int run_write_config(const char *directory, const struct settings *settings)
{
	char *path = run_path(directory, RUN_CONFIG);
	json_t *config = json_object(), *body = settings_to_json(settings);
	int error;

	json_object_set_new(config, "format", json_integer(CONFIG_FORMAT));
	json_object_update(config, body);
	error = cli_replace_json(path, config);
	json_decref(body);
	json_decref(config);
	free(path);
	return error;
}

int run_compatible(const struct settings *was, const struct settings *now, char **message)
{
	json_t *bits_was = settings_bits_to_json(was->bits, was->bits_count),
	       *bits_now = settings_bits_to_json(now->bits, now->bits_count);
	bool same_bits = json_equal(bits_was, bits_now);

	json_decref(bits_was);
	json_decref(bits_now);
	if (strcmp(was->environment, now->environment)) {
		*message = cli_format("the run is of the environment %s and not of %s", was->environment,
				      now->environment);
		return -EINVAL;
	}
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char before[SETTINGS_TEXT], after[SETTINGS_TEXT];

		setting->format(setting, was, before);
		setting->format(setting, now, after);
		if (setting->may_change || !strcmp(before, after))
			continue;
		*message = cli_format("the run was started with %s %s; it cannot go on with %s", setting->name, before,
				      after);
		return -EINVAL;
	}
	if (!same_bits) {
		*message = cli_format("the run was started with other bits of layers; they cannot change");
		return -EINVAL;
	}
	return 0;
}

int run_lock(const char *directory)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	double until = cli_now() + LOCK_PATIENCE;
	int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (file < 0)
		return -errno;
	/* The descriptor stays open for as long as the process. */
	while (flock(file, LOCK_EX | LOCK_NB)) {
		int error = errno;

		if (error != EWOULDBLOCK || cli_now() > until || cli_interrupted()) {
			close(file);
			return error == EWOULDBLOCK ? -EBUSY : -error;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}
