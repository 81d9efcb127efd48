// SPDX-License-Identifier: MIT
/*
 * Description: every truncation and every changed byte of a checkpoint is noticed, and so is everything else that can
 * be wrong with a safetensors file; the message names the file and what was found.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/crc32c.h"
#include "ktap.h"
#include "scratch.h"

static char message[1024];

static int try_open(const char *path)
{
	struct checkpoint *checkpoint;
	int error;

	*message = 0;
	error = checkpoint_open(path, &checkpoint, message, sizeof(message));
	if (!error)
		checkpoint_close(checkpoint);
	return error;
}

static char *sample(size_t *size)
{
	static const float weights[5] = { 1, 2, 3, 4, 5 };
	static const uint64_t counters[2] = { 1, 2 };
	const struct checkpoint_tensor tensors[] = {
		{ "actor.0.weight", CHECKPOINT_F32, 1, { 5 }, weights, 20 },
		{ "counters", CHECKPOINT_U64, 1, { 2 }, counters, 16 },
	};
	const struct checkpoint_string string = { "environment", "pendulum" };
	const char *path = in_scratch("sample.safetensors");

	if (checkpoint_write(path, tensors, 2, &string, 1, message, sizeof(message)))
		ktap_note("%s", message);
	return read_whole(path, size);
}

static void test_truncations(void)
{
	const char *path = in_scratch("truncated.safetensors");
	size_t size, failed = 0;
	char *file = sample(&size);

	for (size_t length = 0; length < size; length++) {
		write_whole(path, file, length);
		if (try_open(path) != -EBADMSG || !strstr(message, path)) {
			ktap_note("%zu of %zu bytes: %s", length, size, message);
			failed++;
		}
	}
	ktap_ok(!failed, "a checkpoint cut off at any byte is refused");
	file = realloc(file, size + 1);
	file[size] = ' ';
	write_whole(path, file, size + 1);
	ktap_ok(try_open(path) == -EBADMSG && strstr(message, path), "a byte behind the end is refused");
	ktap_note("%s", message);
	free(file);
}

static void test_changed_bytes(void)
{
	static const unsigned char masks[] = { 0x01, 0x20, 0x80, 0xff };
	const char *path = in_scratch("changed.safetensors");
	size_t size, failed = 0;
	char *file = sample(&size);

	for (size_t i = 0; i < size; i++)
		for (size_t m = 0; m < sizeof(masks); m++) {
			int error;

			file[i] = (char)(file[i] ^ masks[m]);
			write_whole(path, file, size);
			error = try_open(path);
			if ((error != -EBADMSG && error != -EPROTONOSUPPORT) || !strstr(message, path)) {
				ktap_note("byte %zu, mask %02x: %d, %s", i, masks[m], error, message);
				failed++;
			}
			file[i] = (char)(file[i] ^ masks[m]);
		}
	ktap_ok(!failed, "a change of any byte is noticed");
	/* The whole file again, so that the loop above did not test damaged files only. */
	write_whole(path, file, size);
	ktap_ok(try_open(path) == 0, "and no change is none");
	free(file);
}

/* ---- Files made by hand ---- */

#define START "{\"__metadata__\":{\"crc32c\":\"00000000\",\"format\":\"fixar-agent\",\"schema\":\"1\"}"
#define ENTRY(name, dtype, shape, offsets) \
	",\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Writes a file with this header and so many bytes of data, with the right checksum if there is a place for it. */
static void craft(const char *path, const char *json, const void *data, size_t size)
{
	size_t length = strlen(json), place = 8 + strlen("{\"__metadata__\":{\"crc32c\":\"");
	char *file = calloc(8 + length + size, 1), digits[9];
	uint64_t header = length;

	memcpy(file, &header, 8);
	memcpy(file + 8, json, length);
	if (data)
		memcpy(file + 8 + length, data, size);
	if (!strncmp(json, START, 34)) {
		snprintf(digits, sizeof(digits), "%08x", crc32c(0, file, 8 + length + size));
		memcpy(file + place, digits, 8);
	}
	write_whole(path, file, 8 + length + size);
	free(file);
}

static const struct {
	const char *what;
	const char *json;
	size_t data;
	int error;
	const char *expected;
} crafted[] = {
	{ "no tensor at all", START "}", 0, 0, "" },
	{ "an aligned tensor", START ENTRY("a", "F32", "[2]", "[0,8]") "}  ", 8, 0, "" },
	{ "a foreign file", "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, -EBADMSG,
	  "not of fixar" },
	{ "another program's format", "{\"__metadata__\":{\"format\":\"pt\"}}", 0, -EBADMSG, "'pt'" },
	{ "a format that is no string", "{\"__metadata__\":{\"format\":1}}", 0, -EBADMSG, "not of fixar" },
	{ "metadata that is no object", "{\"__metadata__\":[]}", 0, -EBADMSG, "not of fixar" },
	{ "a newer schema", "{\"__metadata__\":{\"format\":\"fixar-agent\",\"schema\":\"2\"}}", 0, -EPROTONOSUPPORT,
	  "schema '2', this library knows 1: made by a newer fixar?" },
	{ "no schema", "{\"__metadata__\":{\"format\":\"fixar-agent\"}}", 0, -EPROTONOSUPPORT, "schema ''" },
	{ "a string that is a number", "{\"__metadata__\":{\"format\":\"fixar-agent\",\"schema\":\"1\",\"step\":3}}", 0,
	  -EBADMSG, "'step'" },
	{ "no checksum", "{\"__metadata__\":{\"format\":\"fixar-agent\",\"schema\":\"1\"}}", 0, -EBADMSG, "checksum" },
	{ "a checksum in another place",
	  "{\"__metadata__\":{\"format\":\"fixar-agent\",\"schema\":\"1\",\"crc32c\":\"00000000\"}}", 0, -EBADMSG,
	  "checksum" },
	{ "a checksum of nine digits",
	  "{\"__metadata__\":{\"crc32c\":\"000000000\",\"format\":\"fixar-agent\",\"schema\":\"1\"}}", 0, -EBADMSG,
	  "checksum" },
	{ "a header that is not JSON", "{\"a\":", 0, -EBADMSG, "not JSON" },
	{ "a header that is a list", "[]", 0, -EBADMSG, "no JSON object" },
	{ "a header that is not UTF-8", "{\"\xff\":1}", 0, -EBADMSG, "not JSON" },
	{ "a zero byte in a name", "{\"a\\u0000b\":1}", 0, -EBADMSG, "not JSON" },
	{ "something behind the header", START "}x", 0, -EBADMSG, "not JSON" },
	{ "a name twice", START ENTRY("a", "U8", "[1]", "[0,1]") ENTRY("a", "U8", "[1]", "[1,2]") "}", 2, -EBADMSG,
	  "duplicate" },
	{ "metadata twice", START ",\"__metadata__\":{}}", 0, -EBADMSG, "duplicate" },
	{ "a number above 2^63", START ENTRY("a", "U8", "[99999999999999999999]", "[0,1]") "}", 1, -EBADMSG,
	  "not JSON" },
	{ "tensors that overlap", START ENTRY("a", "U8", "[4]", "[0,4]") ENTRY("b", "U8", "[4]", "[2,6]") "}", 6,
	  -EBADMSG, "tensor b starts at byte 2, inside" },
	{ "a tensor inside another", START ENTRY("a", "U8", "[4]", "[0,4]") ENTRY("b", "U8", "[2]", "[0,2]") "}", 4,
	  -EBADMSG, "inside" },
	{ "a gap", START ENTRY("a", "U8", "[4]", "[0,4]") ENTRY("b", "U8", "[4]", "[5,9]") "}", 9, -EBADMSG,
	  "tensor b starts at byte 5, behind a gap" },
	{ "a gap at the start", START ENTRY("a", "U8", "[4]", "[1,5]") "}", 5, -EBADMSG, "behind a gap" },
	{ "bytes that no tensor has", START ENTRY("a", "U8", "[4]", "[0,4]") "}", 5, -EBADMSG, "damaged" },
	{ "fewer bytes than tensors have", START ENTRY("a", "U8", "[4]", "[0,4]") "}", 3, -EBADMSG, "truncated" },
	{ "a range that runs backwards", START ENTRY("a", "U8", "[4]", "[4,0]") "}", 4, -EBADMSG, "data_offsets" },
	{ "a range that is negative", START ENTRY("a", "U8", "[4]", "[-4,0]") "}", 4, -EBADMSG, "data_offsets" },
	{ "a range of fractions", START ENTRY("a", "U8", "[4]", "[0,4.0]") "}", 4, -EBADMSG, "data_offsets" },
	{ "a range of three numbers", START ENTRY("a", "U8", "[4]", "[0,4,8]") "}", 4, -EBADMSG, "data_offsets" },
	{ "a range that is no list", START ENTRY("a", "U8", "[4]", "{}") "}", 4, -EBADMSG, "data_offsets" },
	{ "the largest offsets",
	  START ENTRY("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]")
		  ENTRY("b", "U8", "[0]", "[9223372036854775807,9223372036854775807]") "}",
	  4, -EBADMSG, "truncated" },
	{ "a shape of another size", START ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, -EBADMSG,
	  "4 bytes, expected 8 for F32[2]" },
	{ "a shape of 2^64 bytes", START ENTRY("a", "F32", "[4294967296,1073741824]", "[0,0]") "}", 0, -EBADMSG,
	  "impossible shape [4294967296, 1073741824]" },
	{ "a shape of 2^63 bytes", START ENTRY("a", "U8", "[4294967296,2147483648]", "[0,0]") "}", 0, -EBADMSG,
	  "impossible shape" },
	{ "a negative shape", START ENTRY("a", "U8", "[-1]", "[0,1]") "}", 1, -EBADMSG, "dimension 0" },
	{ "a shape of strings", START ENTRY("a", "U8", "[\"1\"]", "[0,1]") "}", 1, -EBADMSG, "dimension 0" },
	{ "a shape that is no list", START ENTRY("a", "U8", "1", "[0,1]") "}", 1, -EBADMSG, "not described" },
	{ "five dimensions", START ENTRY("a", "U8", "[1,1,1,1,1]", "[0,1]") "}", 1, -EBADMSG, "5 dimensions" },
	{ "an unknown type", START ENTRY("a", "BF16", "[1]", "[0,2]") "}", 2, -EBADMSG, "dtype 'BF16'" },
	{ "a type in small letters", START ENTRY("a", "u8", "[1]", "[0,1]") "}", 1, -EBADMSG, "dtype 'u8'" },
	{ "no type", START ",\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, -EBADMSG, "not described" },
	{ "a key too many", START ",\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
	  -EBADMSG, "not described" },
	{ "a tensor that is a string", START ",\"a\":\"b\"}", 0, -EBADMSG, "not described" },
	{ "a tensor without a name", START ENTRY("", "U8", "[1]", "[0,1]") "}", 1, -EBADMSG, "not the name" },
	{ "a name that is not printable", START ENTRY("\\u001b[2J", "U8", "[1]", "[0,1]") "}", 1, -EBADMSG,
	  "not the name of a tensor: '?[2J'" },
	{ "a string whose key is not printable",
	  "{\"__metadata__\":{\"crc32c\":\"00000000\",\"format\":\"fixar-agent\",\"schema\":\"1\",\"\\n\":\"\"}}", 0,
	  -EBADMSG, "'?'" },
};

static void test_crafted(void)
{
	const char *path = in_scratch("crafted.safetensors");

	for (size_t i = 0; i < sizeof(crafted) / sizeof(crafted[0]); i++) {
		int error;

		craft(path, crafted[i].json, NULL, crafted[i].data);
		error = try_open(path);
		if (!ktap_ok(error == crafted[i].error && strstr(message, crafted[i].expected) &&
				     (!error || strstr(message, path)),
			     "%s", crafted[i].what))
			ktap_note("%d: %s", error, message);
	}
}

static void test_lengths(void)
{
	static const uint64_t lengths[] = { 0, 1, CHECKPOINT_MAX_HEADER + 1, UINT64_MAX, INT64_MAX, UINT64_MAX - 7 };
	const char *path = in_scratch("length.safetensors");
	char file[64] = "";
	char *text;
	size_t failed = 0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memcpy(file, &lengths[i], 8);
		write_whole(path, file, sizeof(file));
		failed += try_open(path) != -EBADMSG || !strstr(message, "not a safetensors file");
	}
	ktap_ok(!failed, "impossible lengths of the header");
	write_whole(path, "step,return\n1,2\n3,4\n5,6\n", 24);
	ktap_ok(try_open(path) == -EBADMSG && strstr(message, "not a safetensors file"), "a text file");
	ktap_note("%s", message);
	/* As deep as a header can be. */
	text = malloc(CHECKPOINT_MAX_HEADER + 1);
	memset(text, '[', CHECKPOINT_MAX_HEADER);
	memcpy(text, "{\"a\":", 5);
	text[CHECKPOINT_MAX_HEADER] = 0;
	craft(path, text, NULL, 0);
	ktap_ok(try_open(path) == -EBADMSG && strstr(message, "not JSON"), "four million brackets");
	free(text);
}

static void test_not_finite(void)
{
	const float single[2] = { 1, INFINITY };
	const double twice[2] = { NAN, 1 };
	const uint64_t two = 2;
	const char *path = in_scratch("finite.safetensors");
	struct checkpoint *checkpoint;
	double data[2];

	craft(path, START ENTRY("a", "F32", "[2]", "[0,8]") "}", single, 8);
	if (ktap_ok(!checkpoint_open(path, &checkpoint, message, sizeof(message)), "a file with an infinity opens")) {
		ktap_ok(checkpoint_read(checkpoint, "a", CHECKPOINT_F32, 1, &two, data, 8, message, sizeof(message)) ==
					-EBADMSG &&
				strstr(message, "element 1 of tensor a is not a finite number"),
			"but the infinity is not read");
		checkpoint_close(checkpoint);
	}
	craft(path, START ENTRY("a", "F64", "[2]", "[0,16]") "}", twice, 16);
	if (ktap_ok(!checkpoint_open(path, &checkpoint, message, sizeof(message)), "a file with a NaN opens")) {
		ktap_ok(checkpoint_read(checkpoint, "a", CHECKPOINT_F64, 1, &two, data, 16, message, sizeof(message)) ==
					-EBADMSG &&
				strstr(message, "element 0 of tensor a is not a finite number"),
			"but the NaN is not read");
		checkpoint_close(checkpoint);
	}
}

/* A file that claims a terabyte, and has it as a hole, must cost no memory; the checksum would take too long here. */
static void test_claims(void)
{
	const char *path = in_scratch("claims.safetensors");

	craft(path, START ENTRY("a", "U8", "[1099511627776]", "[0,1099511627776]") "}", NULL, 100);
	ktap_ok(try_open(path) == -EBADMSG && strstr(message, "truncated"), "a claim of a terabyte");
	ktap_note("%s", message);
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_truncations();
	test_changed_bytes();
	test_crafted();
	test_lengths();
	test_not_finite();
	test_claims();
	return ktap_finish();
}
