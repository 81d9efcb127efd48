// SPDX-License-Identifier: MIT
#include "conform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "raw_vfio.h"

enum { KEY_RAW = 0x1000, KEY_CASES };

struct conform_arguments {
	const char *device;
	bool json, raw;
	int64_t cases;
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct conform_arguments *arguments = state->input;

	switch (key) {
	case CARDS_KEY_DEVICE:
		arguments->device = text;
		return 0;
	case CARDS_KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_RAW:
		arguments->raw = true;
		return 0;
	case KEY_CASES:
		arguments->cases = (int64_t)cli_option_u64(state, "cases", text, 1, 1000);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void add(struct conform *conform, const char *result, const char *name, const char *detail)
{
	if (conform->json) {
		json_array_append_new(conform->list, json_pack("{s:s, s:s, s:o}", "name", name, "result", result,
							       "detail", detail ? json_string(detail) : json_null()));
		return;
	}
	printf("%-8s%s%s%s\n", result, name, detail ? ": " : "", detail ? detail : "");
	fflush(stdout);
}

void conform_report(struct conform *conform, bool passed, const char *name, const char *detail)
{
	if (passed)
		conform->passed++;
	else
		conform->failed++;
	add(conform, passed ? "ok" : "FAILED", name, passed ? NULL : detail);
}

void conform_skip(struct conform *conform, const char *name, const char *detail)
{
	conform->skipped++;
	add(conform, "skipped", name, detail);
}

static int run_raw(struct conform *conform, const char *name)
{
	struct card_place place;

	if (cards_place(name, &place))
		return CLI_FAILED;
	if (!card_is_ours(&place)) {
		cli_error("%s is %s (%04x:%04x), no FIXAR card", place.address, place.name, place.vendor, place.device);
		return CLI_FAILED;
	}
	if (place.driver[0] && strcmp(place.driver, RAW_VFIO_DRIVER)) {
		cli_error("the card %s has the driver %s; --raw wants it without: echo %s > "
			  "/sys/bus/pci/drivers/%s/unbind",
			  place.address, place.driver, place.address, place.driver);
		return CLI_FAILED;
	}
	if (geteuid() != 0) {
		cli_error("--raw is root's: it works on the card's registers");
		return CLI_FAILED;
	}
	return conform_raw(conform, &place);
}

static int run_vectors(struct conform *conform, const char *name)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_device *device;
	struct card_place place;
	int code;

	if (!name) {
		if (cards_place(NULL, &place))
			return CLI_FAILED;
		name = place.address;
	}
	options.log = cli_log;
	if (fixar_device_open(name, &options, &device))
		return CLI_FAILED;
	if (!device_card(device)) {
		cli_error("%s is no card", name);
		code = CLI_USAGE;
	} else {
		code = conform_vectors(conform, device);
	}
	fixar_device_close(device);
	return code;
}

int cmd_conform(int argc, char **argv)
{
	static const struct argp_option options[] = {
		CARDS_OPTIONS,
		{ "raw", KEY_RAW, NULL, 0,
		  "Test the registers themselves: as root, with no driver but " RAW_VFIO_DRIVER " bound to the card",
		  1 },
		{ "cases", KEY_CASES, "N", 0, "Play only the first N cases of the vectors", 1 },
		{ "json", CARDS_KEY_JSON, NULL, 0, "The answer as JSON", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Tests whether a card computes and behaves as its contract says (driver/HARDWARE.md). Golden "
		       "vectors run "
		       "through the driver, and every byte of states, actions, ranges and statistics but cycles is "
		       "compared.\v"
		       "With --raw the card is soft-reset, and its memory is written.",
	};
	struct conform_arguments arguments = { .device = NULL };
	struct conform conform = { .list = json_array() };
	json_t *answer;
	int code;

	if (cli_parse(&argp, "fixar conform", argc, argv, &arguments))
		return CLI_USAGE;
	if (arguments.raw && arguments.cases) {
		json_decref(conform.list);
		return cli_usage("--cases is of the vectors, and --raw plays none");
	}
	conform.json = arguments.json;
	conform.cases = arguments.cases;
	code = arguments.raw ? run_raw(&conform, arguments.device) : run_vectors(&conform, arguments.device);
	if (!code && (conform.failed || !conform.passed))
		code = CLI_FAILED;
	answer = json_pack("{s:b, s:i, s:i, s:i, s:o}", "conforms", code == CLI_OK, "passed", (int)conform.passed,
			   "failed", (int)conform.failed, "skipped", (int)conform.skipped, "results", conform.list);
	if (conform.passed || conform.failed) {
		if (arguments.json)
			cli_print_json(answer);
		else
			printf("%u passed, %u failed, %u skipped: the card %s\n", conform.passed, conform.failed,
			       conform.skipped, code ? "does not conform" : "conforms");
	}
	json_decref(answer);
	return code;
}
