// SPDX-License-Identifier: MIT
/*
 * Description: checkpoints of earlier schemas of the device's state load. Schemas 1 and 2 kept the roots of second moments
 * (fraction 29, "...moment2_root"), and schema 1 had no gradient maxima.
 */
#include "ktap.h"
#include "probe.h"
#include "scratch.h"

#include <jansson.h>
#include <math.h>

#include "agent/agent.h"
#include "checkpoint/crc32c.h"
#include "fx/fixed.h"

static struct probe_log log_lines;

/* The value of a code (lib/ARITHMETIC.md section 2), in doubles. */
static double moment2(uint32_t code)
{
	return ldexp(code >> 5, 37 - 2 * (int)(code & 31));
}

/* ---- A checkpoint's file, taken apart and put together ---- */

struct parts {
	json_t *header;
	unsigned char *data;
	size_t bytes;
};

static int take_apart(const char *path, struct parts *parts)
{
	FILE *file = fopen(path, "rb");
	unsigned char *all = malloc(1 << 22);
	const size_t size = file && all ? fread(all, 1, 1 << 22, file) : 0;
	uint64_t length = 0;

	if (file)
		fclose(file);
	if (size > 8)
		memcpy(&length, all, 8);
	parts->header = length && length < size ? json_loadb((const char *)all + 8, length, 0, NULL) : NULL;
	parts->bytes = parts->header ? size - 8 - length : 0;
	parts->data = all;
	if (parts->header)
		memmove(all, all + 8 + length, parts->bytes);
	return !parts->header;
}

/* Writes them with the right checksum; the header has zeros in its place. */
static void put_together(const char *path, const struct parts *parts)
{
	static const char before[] = "{\"__metadata__\":{\"crc32c\":\"";
	json_t *metadata = json_object_get(parts->header, "__metadata__");
	char *text, digits[9];
	unsigned char *all;
	uint64_t length;
	FILE *file;

	json_object_set_new(metadata, "crc32c", json_string("00000000"));
	text = json_dumps(parts->header, JSON_COMPACT);
	length = strlen(text);
	all = malloc(8 + length + parts->bytes);
	memcpy(all, &length, 8);
	memcpy(all + 8, text, length);
	memcpy(all + 8 + length, parts->data, parts->bytes);
	snprintf(digits, sizeof(digits), "%08x", crc32c(0, all, 8 + length + parts->bytes));
	memcpy(all + 8 + strlen(before), digits, 8);
	file = fopen(path, "wb");
	if (file) {
		fwrite(all, 1, 8 + length + parts->bytes, file);
		fclose(file);
	}
	free(all);
	free(text);
}

/* The roots that an agent of schema 2 would have had beside the same weights. */
static void codes_to_roots(unsigned char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t code, root;

		memcpy(&code, data + i, 4);
		root = (uint32_t)llround(sqrt(moment2(code)));
		memcpy(data + i, &root, 4);
	}
}

/* Makes the checkpoint one of `schema`: tensors renamed, roots for codes; for schema 1 no maxima. */
static void age(struct parts *parts, int schema)
{
	json_t *header = json_object(), *entry;
	const char *name;
	char text[128];

	json_object_foreach(parts->header, name, entry) {
		const size_t length = strlen(name);
		json_t *offsets = json_object_get(entry, "data_offsets");
		const size_t from = (size_t)json_integer_value(json_array_get(offsets, 0));
		const size_t to = (size_t)json_integer_value(json_array_get(offsets, 1));
		const int second = length > 8 && !strcmp(name + length - 8, ".moment2");

		/* Without the maxima there would be a gap in the file: under another name they are nothing that anybody asks for. */
		snprintf(text, sizeof(text), "%s%s", name, second ? "_root" : schema == 1 && !strcmp(name, "gradient_maxima") ? "_none" : "");
		if (second)
			codes_to_roots(parts->data + from, to - from);
		json_object_set(header, text, entry);
	}
	snprintf(text, sizeof(text), "%d", schema);
	json_object_set_new(json_object_get(header, "__metadata__"), "state.schema", json_string(text));
	json_decref(parts->header);
	parts->header = header;
}

/* ---- Tests ---- */

static const unsigned char *tensor(const struct step_tensor *tensors, size_t count, const unsigned char *state, const char *name,
				   size_t *bytes)
{
	for (size_t t = 0; t < count; t++)
		if (!strcmp(tensors[t].name, name)) {
			*bytes = tensors[t].bytes;
			return state + tensors[t].offset;
		}
	return NULL;
}

/* The largest relative difference of the second moments above 2^20 (roots of 1,024 units), and how many there are. */
static double difference(const unsigned char *old, const unsigned char *now, size_t bytes, size_t *compared)
{
	double largest = 0;

	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t a, b;

		memcpy(&a, old + i, 4);
		memcpy(&b, now + i, 4);
		if (moment2(a) < 0x1p20)
			continue;
		largest = fmax(largest, fabs(moment2(b) / moment2(a) - 1));
		++*compared;
	}
	return largest;
}

static void test_schema(struct fixar_agent *agent, const struct fixar_env *env, const char *path, const char *folder, int schema)
{
	const struct step_tensor *tensors;
	struct fixar_agent *old = NULL;
	unsigned char *before, *after;
	size_t count, bytes = 0, compared = 0;
	struct parts parts;
	double largest = 0;
	int error, same = 1;

	if (fixar_agent_save(agent, folder) || !ktap_ok(!take_apart(path, &parts), "a checkpoint"))
		return;
	age(&parts, schema);
	put_together(path, &parts);
	json_decref(parts.header);
	free(parts.data);
	probe_log_clear(&log_lines);
	error = fixar_agent_load(NULL, env, folder, 1, probe_log_write, &log_lines, &old);
	if (!ktap_ok(!error, "schema %d loads", schema)) {
		ktap_note("%.*s", (int)strcspn(log_lines.text, "\n"), log_lines.text);
		return;
	}
	ktap_ok(strstr(log_lines.text, "by the rules of schema 3"), "schema %d: it is said", schema);
	agent_read_state(agent, &tensors, &count, &before);
	agent_read_state(old, &tensors, &count, &after);
	for (size_t t = 0; t < count; t++) {
		const char *name = tensors[t].name, *end = strrchr(name, '.');
		const unsigned char *was = tensor(tensors, count, before, name, &bytes);

		if (end && !strcmp(end, ".moment2"))
			largest = fmax(largest, difference(was, after + tensors[t].offset, bytes, &compared));
		else if (schema > 1 || strcmp(name, "gradient_maxima"))
			same &= !memcmp(was, after + tensors[t].offset, bytes);
	}
	ktap_ok(same, "schema %d: all else is as it was", schema);
	/* Half a unit of a root of 1,024 or more is 2^-11 of it, 2^-10 of its square. */
	ktap_ok(compared > 100 && largest < 0x1.01p-10, "schema %d: %zu second moments are the roots' squares: off by at most %.2g", schema,
		compared, largest);
	ktap_ok(!fixar_agent_train(old, 100, NULL, NULL) && !fixar_agent_save(old, folder), "schema %d: the run goes on", schema);
	fixar_agent_destroy(old);
	free(before);
	free(after);
}

int main(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	static struct probe_env probe;
	char folder[256], path[300];
	struct fixar_agent *agent;

	ktap_start();
	scratch_make();
	probe_env_init(&probe, 40, 1);
	options.hidden[0] = 16;
	options.hidden[1] = 9;
	options.batch = 8;
	options.replay_capacity = 60;
	options.warm_up_steps = 30;
	snprintf(folder, sizeof(folder), "%s", in_scratch("run"));
	snprintf(path, sizeof(path), "%s/checkpoint.safetensors", folder);
	if (!ktap_ok(!fixar_agent_create(NULL, &probe.env, &options, &agent) && !fixar_agent_train(agent, 80, NULL, NULL), "an agent"))
		return ktap_finish();
	test_schema(agent, &probe.env, path, folder, 2);
	test_schema(agent, &probe.env, path, folder, 1);
	fixar_agent_destroy(agent);
	return ktap_finish();
}
