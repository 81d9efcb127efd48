// SPDX-License-Identifier: MIT
/* fixar-emu: the emulated card. Options, sockets, the life of the process. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "card.h"
#include "control.h"
#include "vfio_user.h"

#define FAULTS_MOST 32
#define EXIT_WRONG_USAGE 2
#define EXIT_STRICT 3

enum key {
	KEY_SOCKET = 0x1000,
	KEY_CONTROL,
	KEY_FAULT,
	KEY_MSI,
	KEY_CHANNELS,
	KEY_MEMORY,
	KEY_BASE,
	KEY_NO_WINDOWS,
	KEY_ECC,
	KEY_FLR,
	KEY_SEQUENCE,
	KEY_SUBSYSTEM,
	KEY_STRICT,
	KEY_LOG,
	KEY_ONCE,
	KEY_TIMING
};

struct settings {
	struct card_options card;
	const char *socket, *control, *log;
	const char *faults[FAULTS_MOST];
	unsigned fault_count;
	bool once;
};

const char *argp_program_version = "fixar-emu " FIXAR_EMU_VERSION;

static const struct argp_option options[] = {
	{ "socket", KEY_SOCKET, "PATH", 0, "listen here for QEMU (vfio-user); required", 1 },
	{ "control", KEY_CONTROL, "PATH", 0, "listen here for requests: what the card saw, faults", 1 },
	{ "once", KEY_ONCE, 0, 0, "end when the first client goes", 1 },
	{ "log", KEY_LOG, "FILE", 0, "write events and doubtful acts there; - is standard error", 1 },
	{ "channels", KEY_CHANNELS, "N", 0, "DMA channels of each direction: 1, 2 (default) or 4", 2 },
	{ "memory", KEY_MEMORY, "BYTES", 0, "card memory; suffixes K, M, G; default 8G", 2 },
	{ "memory-base", KEY_BASE, "ADDRESS", 0, "AXI address of its first byte; default 0", 2 },
	{ "msi", KEY_MSI, 0, 0, "MSI only, no MSI-X", 2 },
	{ "ecc", KEY_ECC, 0, 0, "card memory detects errors: what was never written cannot be read", 2 },
	{ "no-windows", KEY_NO_WINDOWS, 0, 0, "a core without window comparators", 2 },
	{ "flr", KEY_FLR, 0, 0, "with function-level reset", 2 },
	{ "timing", KEY_TIMING, "FACTOR", OPTION_ARG_OPTIONAL,
	  "commands take the time that the cycle model says, times FACTOR (default 1)", 2 },
	{ "subsystem", KEY_SUBSYSTEM, "VVVV:DDDD", 0, "subsystem vendor and device; default 10ee:f150", 2 },
	{ "sequence", KEY_SEQUENCE, "N", 0, "COMPLETED_SEQ after a reset; default 0", 2 },
	{ "fault", KEY_FAULT, "SPEC", 0,
	  "arm a fault: NAME,KEY=VALUE... (repeatable; the request \"faults\" lists them)", 3 },
	{ "strict", KEY_STRICT, 0, 0, "print doubtful acts of the driver, and exit with status 3 if there were any",
	  3 },
	{ 0 },
};

static bool parse_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	return *text && *text != '-' && !*end && !errno && *number <= most;
}

static bool parse_bytes(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMG";
	const size_t length = strlen(text);
	const char *suffix = length ? strchr(suffixes, text[length - 1]) : NULL;
	char digits[32];
	unsigned shift = 0;

	if (!length || length >= sizeof(digits))
		return false;
	memcpy(digits, text, length + 1);
	if (suffix) {
		digits[length - 1] = '\0';
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (!parse_number(digits, UINT64_MAX >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}

static bool parse_subsystem(const char *text, struct card_options *card)
{
	unsigned vendor, device;
	char rest;

	if (sscanf(text, "%4x:%4x%c", &vendor, &device, &rest) != 2)
		return false;
	card->subsystem_vendor = (uint16_t)vendor;
	card->subsystem = (uint16_t)device;
	return true;
}

static void check(const struct settings *settings, struct argp_state *state)
{
	const struct card_options *card = &settings->card;

	if (!settings->socket)
		argp_error(state, "--socket is missing");
	if (card->memory_base > UINT64_MAX - card->memory_size)
		argp_error(state, "card memory ends beyond 64 bits");
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct card_options *card = &settings->card;
	uint64_t number = 0;

	switch (key) {
	case KEY_SOCKET:
		settings->socket = text;
		return 0;
	case KEY_CONTROL:
		settings->control = text;
		return 0;
	case KEY_LOG:
		settings->log = text;
		return 0;
	case KEY_ONCE:
		settings->once = true;
		return 0;
	case KEY_FAULT:
		if (settings->fault_count == FAULTS_MOST)
			argp_error(state, "more than %d faults", FAULTS_MOST);
		settings->faults[settings->fault_count++] = text;
		return 0;
	case KEY_MSI:
		card->msi_only = true;
		return 0;
	case KEY_NO_WINDOWS:
		card->windows = false;
		return 0;
	case KEY_ECC:
		card->ecc = true;
		return 0;
	case KEY_FLR:
		card->function_reset = true;
		return 0;
	case KEY_TIMING:
		card->timing = 1;
		if (text) {
			char *end;

			card->timing = strtod(text, &end);
			if (end == text || *end || !(card->timing >= 0.001 && card->timing <= 1e6))
				argp_error(state, "--timing %s: expected a number from 0.001 to 1000000", text);
		}
		return 0;
	case KEY_STRICT:
		card->strict = true;
		return 0;
	case KEY_CHANNELS:
		if (!parse_number(text, 4, &number) || (number != 1 && number != 2 && number != 4))
			argp_error(state, "--channels %s: expected 1, 2 or 4", text);
		card->channels = (unsigned)number;
		return 0;
	case KEY_MEMORY:
		if (!parse_bytes(text, &number) || !number || number % 65536 || number >> 44)
			argp_error(state, "--memory %s: expected a multiple of 64K below 16384G, and not 0", text);
		card->memory_size = number;
		return 0;
	case KEY_BASE:
		if (!parse_number(text, UINT64_MAX, &number) || number % 65536)
			argp_error(state, "--memory-base %s: expected a multiple of 64K", text);
		card->memory_base = number;
		return 0;
	case KEY_SEQUENCE:
		if (!parse_number(text, FIXAR_CORE_SEQ, &number))
			argp_error(state, "--sequence %s: expected 0 to %u", text, FIXAR_CORE_SEQ);
		card->first_sequence = (uint32_t)number;
		return 0;
	case KEY_SUBSYSTEM:
		if (!parse_subsystem(text, card))
			argp_error(state, "--subsystem %s: expected two hexadecimal numbers, VVVV:DDDD", text);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many; expected none", text);
		return 0;
	case ARGP_KEY_END:
		check(settings, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "The FIXAR card as a process: a PCIe function that QEMU plugs into a virtual machine "
	       "(-device vfio-user-pci).\vThe client may go and come again: a new one finds the card as after "
	       "power-on.",
};

/*
 * A listening socket in place of whatever stale one there is; -1 with a message. It gets its name when it listens: who
 * waits for the name can connect at once.
 */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status;
	int fd;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path) >= (int)sizeof(address.sun_path)) {
		fprintf(stderr, "fixar-emu: %s: more than %zu characters\n", path, sizeof(address.sun_path) - sizeof(".new"));
		return -1;
	}
	/* Only a socket is taken away, never a file that somebody named by mistake. */
	if (!lstat(path, &status) && !S_ISSOCK(status.st_mode)) {
		fprintf(stderr, "fixar-emu: %s: exists and is no socket\n", path);
		return -1;
	}
	unlink(address.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 8) ||
	    rename(address.sun_path, path)) {
		fprintf(stderr, "fixar-emu: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		unlink(address.sun_path);
		return -1;
	}
	return fd;
}

/* The next client, or -1: the emulator ends. */
static int next_client(int listener, int quit)
{
	struct pollfd fds[2] = { { listener, POLLIN, 0 }, { quit, POLLIN, 0 } };

	for (;;) {
		int client;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents)
			return -1;
		client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (client >= 0)
			return client;
	}
}

static void serve(struct card *card, const struct settings *settings, int listener, int quit)
{
	bool first = true;
	int client;

	while ((client = next_client(listener, quit)) >= 0) {
		pthread_mutex_lock(&card->lock);
		if (!first)
			card_power_cycle(card);
		first = false;
		record_event(card, "client connected");
		pthread_mutex_unlock(&card->lock);
		vfio_user_serve(card, client, quit);
		pthread_mutex_lock(&card->lock);
		record_event(card, "client gone");
		pthread_mutex_unlock(&card->lock);
		if (settings->once)
			return;
	}
}

/* SIGINT and SIGTERM end the emulator in order: a thread turns them into what the poll loops look at. */
static void *wait_for_signal(void *quit)
{
	const uint64_t one = 1;
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigwait(&set, &signal);
	if (write(*(int *)quit, &one, sizeof(one)) < 0)
		_exit(1);
	return NULL;
}

static bool watch_signals(int *quit)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t set;
	int error;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* Inherited by every thread. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, wait_for_signal, quit);
	pthread_attr_destroy(&attributes);
	return !error;
}

static int arm(struct card *card, const struct settings *settings)
{
	char message[256];
	int error = 0;

	pthread_mutex_lock(&card->lock);
	for (unsigned i = 0; !error && i < settings->fault_count; i++) {
		error = faults_arm(card, settings->faults[i], message, sizeof(message));
		if (error)
			fprintf(stderr, "fixar-emu: --fault %s: %s\n", settings->faults[i], message);
	}
	pthread_mutex_unlock(&card->lock);
	return error;
}

static int run(struct card *card, const struct settings *settings)
{
	static int quit; /* the signal's thread may outlive this call */
	struct control *control = NULL;
	int listener, error = 0;

	quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (quit < 0 || !watch_signals(&quit) || card_start(card)) {
		fprintf(stderr, "fixar-emu: cannot start: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	/* Control first: who waits for the other socket finds both. */
	if (settings->control) {
		const int fd = listen_at(settings->control);

		error = fd < 0 ? -1 : control_start(card, fd, quit, &control);
	}
	listener = error ? -1 : listen_at(settings->socket);
	if (listener >= 0) {
		serve(card, settings, listener, quit);
		close(listener);
		unlink(settings->socket);
	}
	control_stop(control);
	if (settings->control)
		unlink(settings->control);
	return listener < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct settings settings = { 0 };
	struct card *card;
	int status, error;

	argp_err_exit_status = EXIT_WRONG_USAGE;
	card_default_options(&settings.card);
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	if (settings.log)
		settings.card.log = strcmp(settings.log, "-") ? fopen(settings.log, "we") : stderr;
	if (settings.log && !settings.card.log) {
		fprintf(stderr, "fixar-emu: %s: %s\n", settings.log, strerror(errno));
		return EXIT_FAILURE;
	}
	error = card_create(&settings.card, &card);
	if (error) {
		fprintf(stderr, "fixar-emu: no memory for the card: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	status = arm(card, &settings) ? EXIT_WRONG_USAGE : run(card, &settings);
	if (!status && settings.card.strict && card->record.strict_total) {
		fprintf(stderr, "fixar-emu: %llu doubtful acts\n", (unsigned long long)card->record.strict_total);
		status = EXIT_STRICT;
	}
	card_destroy(card);
	return status;
}
