// SPDX-License-Identifier: MIT
/* Messages, option parsing, numbers in words and interrupts. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

const char *cli_name = "fixar";
bool cli_quiet;

static bool line_stands;

void cli_draw_line(const char *text)
{
	struct winsize size;
	/* The last column stays free: some terminals wrap when it is written. */
	int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2 ? 79 : size.ws_col - 1;

	fprintf(stderr, "\r%.*s\033[K", columns, text);
	fflush(stderr);
	line_stands = true;
}

void cli_end_line(void)
{
	if (line_stands)
		fputc('\n', stderr);
	line_stands = false;
}

static void message(const char *format, va_list arguments)
{
	/* One write for each message, so that those of several processes on one terminal do not mix. */
	char text[2048];
	int prefix = snprintf(text, sizeof(text), "%s: ", cli_name);
	size_t used = (size_t)prefix;

	vsnprintf(text + used, sizeof(text) - used - 1, format, arguments);
	used = strlen(text);
	text[used] = '\n';
	text[used + 1] = '\0';
	cli_end_line();
	fputs(text, stderr);
}

void cli_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	message(format, arguments);
	va_end(arguments);
}

int cli_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	message(format, arguments);
	va_end(arguments);
	fprintf(stderr, "Try '%s --help' for more information.\n", cli_name);
	return CLI_USAGE;
}

void cli_note(const char *format, ...)
{
	va_list arguments;

	if (cli_quiet)
		return;
	cli_end_line();
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

const char *cli_reason(int error)
{
	switch (error) {
	case -EBADMSG:
		return "it is damaged or something else";
	case -EPROTONOSUPPORT:
		return "it was written by another version";
	case -EINVAL:
		return "settings or dimensions do not fit";
	case -EDOM:
		return "a value is not finite";
	case -ENODEV:
		return "the device is not there, or gone";
	case -ESTALE:
		return "the card's memory lost its contents";
	default:
		return fixar_strerror(error);
	}
}

void cli_log(void *user, enum fixar_log_level level, const char *text)
{
	(void)user;
	if (level <= FIXAR_LOG_WARNING)
		cli_error("%s", text);
	else if (level == FIXAR_LOG_INFO)
		cli_note("%s", text);
}

int cli_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input)
{
	cli_name = name;
	argv[0] = (char *)name;
	argp_err_exit_status = CLI_USAGE;
	return argp_parse(argp, argc, argv, 0, NULL, input);
}

int cli_parse_u64(const char *text, uint64_t *value)
{
	char *end;
	double real, scale = 1;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (!*end)
		return errno ? -EINVAL : 0;
	real = strtod(text, &end);
	if (end[0] == 'k')
		scale = 1e3;
	else if (end[0] == 'M')
		scale = 1e6;
	if (scale > 1)
		end++;
	real *= scale;
	if (*end || !isfinite(real) || real > 0x1p53 || real != floor(real))
		return -EINVAL;
	*value = (uint64_t)real;
	return 0;
}

int cli_parse_double(const char *text, double *value)
{
	char *end;

	if (!text[0] || isspace((unsigned char)text[0]))
		return -EINVAL;
	*value = strtod(text, &end);
	return *end || !isfinite(*value) ? -EINVAL : 0;
}

uint64_t cli_option_u64(const struct argp_state *state, const char *option, const char *text, uint64_t low,
			uint64_t high)
{
	uint64_t value;

	if (!cli_parse_u64(text, &value) && value >= low && value <= high)
		return value;
	argp_error(state, "%s is \"%s\"; expected a whole number from %llu to %llu", option, text,
		   (unsigned long long)low, (unsigned long long)high);
	exit(CLI_USAGE); /* argp_error() does not come back; the compiler cannot know */
}

const char *cli_group(uint64_t value, char *buffer)
{
	char digits[24];
	size_t count = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value), used = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			buffer[used++] = ',';
		buffer[used++] = digits[i];
	}
	buffer[used] = '\0';
	return buffer;
}

const char *cli_duration(double seconds, char *buffer)
{
	unsigned long long s;

	if (!(seconds >= 0) || seconds > 1e9) {
		snprintf(buffer, CLI_TEXT, "?");
		return buffer;
	}
	s = (unsigned long long)(seconds + 0.5);
	if (s >= 3600)
		snprintf(buffer, CLI_TEXT, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buffer, CLI_TEXT, "%llu:%02llu", s / 60, s % 60);
	return buffer;
}

double cli_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
	static double first;
	static const char text[] = "\ninterrupted again: leaving at once, the last complete checkpoint stays\n";

	(void)number;
	if (!interrupts) {
		first = cli_now();
		interrupts = 1;
		return;
	}
	/* timeout(1), for one, signals the process and then its whole group: that is one interrupt, not two. */
	if (cli_now() < first + 0.5)
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* Nothing to be done about it here. */
	}
	_exit(CLI_INTERRUPTED);
}

void cli_catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	/* Without SA_RESTART: a poll() or nanosleep() that waits is woken. */
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
	return interrupts;
}
