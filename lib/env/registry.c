// SPDX-License-Identifier: MIT
/*
 * Finding environments: the built-in ones and those of plug-ins.
 *
 * Nothing is remembered between calls. Every call looks through the plug-in folders anew and lets dlopen() recognize
 * what is loaded already; with RTLD_NODELETE a plug-in stays for as long as the process. So there is no state to lock,
 * threads may call this at will, and a plug-in that is installed or repaired while the process runs is found by the
 * next call.
 */
#include "builtin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exact.h"

#define PLUGIN_SYMBOL "fixar_env_plugin"
#define PLUGIN_SUBFOLDER "fixar"

static const struct fixar_env *const builtin[] = { &env_pendulum };

/* Environments that a missing plug-in would offer: the message for one of them names that plug-in. */
static const struct {
	const char *name, *file;
} offered_by[] = {
	{ "halfcheetah", "env-mujoco.so" },
	{ "hopper", "env-mujoco.so" },
	{ "swimmer", "env-mujoco.so" },
};

/* A text that takes what fits and ignores the rest. */
struct text {
	char *bytes;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	if (text->used + 1 >= text->size)
		return;
	va_start(arguments, format);
	length = vsnprintf(text->bytes + text->used, text->size - text->used, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->used += (size_t)length;
	if (text->used >= text->size)
		text->used = text->size - 1;
}

/* What a search found. */
struct catalogue {
	struct fixar_env *envs;
	size_t count;
	int out_of_memory;
	int error;	     /* 0, or what the first plug-in that failed came to */
	struct text failed;  /* which plug-ins failed and why */
	struct text folders; /* where it was looked */
	char failed_bytes[1024], folder_bytes[2 * PATH_MAX];
};

static const struct fixar_env *catalogue_find(const struct catalogue *catalogue, const char *name)
{
	for (size_t i = 0; i < catalogue->count; i++)
		if (!strcmp(catalogue->envs[i].spec->name, name))
			return &catalogue->envs[i];
	return NULL;
}

/* The first one of a name wins. */
static void catalogue_add(struct catalogue *catalogue, const struct fixar_env *env)
{
	struct fixar_env *grown;

	if (catalogue_find(catalogue, env->spec->name))
		return;
	grown = reallocarray(catalogue->envs, catalogue->count + 1, sizeof(*grown));
	if (!grown) {
		catalogue->out_of_memory = -ENOMEM;
		return;
	}
	catalogue->envs = grown;
	catalogue->envs[catalogue->count++] = *env;
}

static void catalogue_fail(struct catalogue *catalogue, int error, const char *path, const char *reason)
{
	if (!catalogue->error)
		catalogue->error = error;
	/* dlerror() mostly begins with the path already. */
	if (strncmp(reason, path, strlen(path)))
		text_add(&catalogue->failed, "; %s: %s", path, reason);
	else
		text_add(&catalogue->failed, "; %s", reason);
}

/* What can be told without calling anything; the agent checks dimensions and bounds when it takes the environment. */
static bool well_formed(const struct fixar_env *env)
{
	return env->spec && env->spec->size >= sizeof(*env->spec) && env->spec->name && env->ops &&
	       env->ops->size >= sizeof(*env->ops) && env->ops->create && env->ops->destroy && env->ops->reset &&
	       env->ops->step;
}

static void load_plugin(struct catalogue *catalogue, const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const struct fixar_env_plugin *plugin;
	char reason[96];

	if (!handle) {
		const char *error = dlerror();

		catalogue_fail(catalogue, -ELIBACC, path, error ? error : "cannot be loaded");
		return;
	}

	plugin = dlsym(handle, PLUGIN_SYMBOL);
	if (!plugin) {
		catalogue_fail(catalogue, -ELIBBAD, path, "is no FIXAR plug-in: it has no symbol " PLUGIN_SYMBOL);
	} else if (plugin->abi != FIXAR_ENV_ABI) {
		snprintf(reason, sizeof(reason), "was built for plug-in ABI %u, this library has %u", plugin->abi,
			 (unsigned int)FIXAR_ENV_ABI);
		catalogue_fail(catalogue, -ELIBBAD, path, reason);
	} else {
		for (uint32_t i = 0; i < plugin->count; i++) {
			if (well_formed(&plugin->environments[i])) {
				catalogue_add(catalogue, &plugin->environments[i]);
				continue;
			}
			snprintf(reason, sizeof(reason), "environment number %u of the plug-in is incomplete", i);
			catalogue_fail(catalogue, -ELIBBAD, path, reason);
		}
	}
	dlclose(handle);
}

static int is_plugin_file(const struct dirent *entry)
{
	const size_t length = strlen(entry->d_name);

	return length > strlen("env-.so") && !strncmp(entry->d_name, "env-", 4) &&
	       !strcmp(entry->d_name + length - 3, ".so");
}

/* By bytes: alphasort() would follow the locale, and which of two plug-ins wins must not depend on that. */
static int by_name(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

static void look_into(struct catalogue *catalogue, const char *folder)
{
	struct dirent **entries;
	int count;

	text_add(&catalogue->folders, "%s%s", catalogue->folders.used ? " or " : "", folder);
	count = scandir(folder, &entries, is_plugin_file, by_name);
	if (count < 0) {
		text_add(&catalogue->folders, " (%s)", strerrordesc_np(errno));
		return;
	}

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		const int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

		if (length < 0 || (size_t)length >= sizeof(path))
			catalogue_fail(catalogue, -ELIBACC, folder, "the path is too long");
		else
			load_plugin(catalogue, path);
		free(entries[i]);
	}
	free(entries);
}

/*
 * The folder of the file that this code was loaded from: libfixar.so, or a program that has libfixar.a within it, of
 * which dladdr() knows only the name that it was called by. Returns whether it is a program, or -errno.
 */
static int own_folder(char *folder, size_t size)
{
	Dl_info info;
	char *slash;
	bool program;

	if (!dladdr(builtin, &info) || !info.dli_fname)
		return -ENOENT;
	program = !strcmp(info.dli_fname, program_invocation_name);
	if (program) {
		const ssize_t length = readlink("/proc/self/exe", folder, size - 1);

		if (length < 0)
			return -errno;
		folder[length] = '\0';
	} else {
		if (strlen(info.dli_fname) >= size)
			return -ENAMETOOLONG;
		strcpy(folder, info.dli_fname);
	}
	slash = strrchr(folder, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return program;
}

static void look_everywhere(struct catalogue *catalogue)
{
	/* Code of the user's choice is run: not in programs with raised privileges. */
	const char *chosen = secure_getenv("FIXAR_PLUGIN_DIR");
	char folder[PATH_MAX];
	int program;

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		catalogue_add(catalogue, builtin[i]);

	if (chosen && *chosen) {
		look_into(catalogue, chosen);
		return;
	}

	/* In the build tree plug-ins lie beside the library and the programs; installed, in a folder beside the
	 * library. */
	program = own_folder(folder, sizeof(folder) - strlen("/" PLUGIN_SUBFOLDER));
	if (program >= 0)
		look_into(catalogue, folder);
	if (program == 0) {
		strcat(folder, "/" PLUGIN_SUBFOLDER);
		look_into(catalogue, folder);
	}
#ifdef FIXAR_PLUGIN_DIR_DEFAULT
	look_into(catalogue, FIXAR_PLUGIN_DIR_DEFAULT);
#endif
}

static struct catalogue *catalogue_create(void)
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));

	if (!catalogue)
		return NULL;
	catalogue->failed = (struct text){ catalogue->failed_bytes, sizeof(catalogue->failed_bytes), 0 };
	catalogue->folders = (struct text){ catalogue->folder_bytes, sizeof(catalogue->folder_bytes), 0 };
	look_everywhere(catalogue);
	return catalogue;
}

static void catalogue_destroy(struct catalogue *catalogue)
{
	free(catalogue->envs);
	free(catalogue);
}

static void explain_absence(const struct catalogue *catalogue, const char *name, struct text *message)
{
	text_add(message, "there is no environment \"%s\"", name);
	/* Unless it is there and failed, which is told below. */
	for (size_t i = 0; i < sizeof(offered_by) / sizeof(offered_by[0]); i++)
		if (!strcmp(name, offered_by[i].name) && !strstr(catalogue->failed.bytes, offered_by[i].file))
			text_add(message, " without the plug-in %s, which is not in %s", offered_by[i].file,
				 catalogue->folders.bytes);
	text_add(message, "; known:");
	for (size_t i = 0; i < catalogue->count; i++)
		text_add(message, "%s %s", i ? "," : "", catalogue->envs[i].spec->name);
	text_add(message, "%s", catalogue->failed.bytes);
}

ENV_PUBLIC int fixar_env_find(const char *name, struct fixar_env *env, char *message, size_t message_size)
{
	struct text text = { message, message ? message_size : 0, 0 };
	struct catalogue *catalogue;
	const struct fixar_env *found;
	int result = 0;

	if (text.size)
		message[0] = '\0';
	if (!name || !env) {
		text_add(&text, "no name or no place for the answer was given");
		return -EINVAL;
	}

	/* Built-in ones need no look at the plug-ins. */
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		if (!strcmp(builtin[i]->spec->name, name)) {
			*env = *builtin[i];
			return 0;
		}
	}

	catalogue = catalogue_create();
	if (!catalogue) {
		text_add(&text, "out of memory");
		return -ENOMEM;
	}
	found = catalogue_find(catalogue, name);
	if (found) {
		*env = *found;
	} else if (catalogue->out_of_memory) {
		text_add(&text, "out of memory");
		result = catalogue->out_of_memory;
	} else {
		/* The environment may be one of those that a broken plug-in would have offered. */
		explain_absence(catalogue, name, &text);
		result = catalogue->error ? catalogue->error : -ENOENT;
	}
	catalogue_destroy(catalogue);
	return result;
}

ENV_PUBLIC int fixar_env_each(int (*visit)(const struct fixar_env *env, void *user), void *user)
{
	struct catalogue *catalogue = catalogue_create();
	int result;

	if (!catalogue)
		return -ENOMEM;
	result = catalogue->out_of_memory;
	for (size_t i = 0; i < catalogue->count && !result; i++)
		result = visit(&catalogue->envs[i], user);
	catalogue_destroy(catalogue);
	return result;
}
