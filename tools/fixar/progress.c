// SPDX-License-Identifier: MIT
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "qat/schedule.h"

#define REDRAW_INTERVAL 0.2
#define PLAIN_INTERVAL 5.0
#define JSON_INTERVAL 1.0
#define RATE_WINDOW 2.0

size_t progress_columns(int file)
{
	struct winsize size;

	if (!isatty(file))
		return 0;
	return ioctl(file, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

void progress_start(struct progress *progress, enum progress_style style, const char *label,
		    const struct fixar_agent_options *options, uint64_t total_steps, uint64_t step,
		    uint64_t training_steps)
{
	struct fixar_agent_options resolved = *options;
	double now = cli_now();

	qat_schedule_defaults(&resolved);
	*progress = (struct progress){
		.style = style,
		.label = label,
		.precision = options->precision,
		.total_steps = total_steps,
		.batch = options->batch,
		.due = now + REDRAW_INTERVAL,
		.window_start = now,
		.start = now,
		.window_step = step,
		.window_training = training_steps,
		.start_step = step,
		.steps_per_second = NAN,
		.training_per_second = NAN,
	};
	if (options->schedule != FIXAR_SCHEDULE_DELAY) {
		progress->schedule = qat_schedule_name[options->schedule];
		memcpy(progress->stage_width, resolved.schedule_width, sizeof(progress->stage_width));
	}
}

bool progress_due(const struct progress *progress)
{
	return progress->style != PROGRESS_NONE && cli_now() >= progress->due;
}

uint64_t progress_saturations(const struct fixar_agent_status *status)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++)
		sum += status->saturation[i];
	return sum;
}

static void measure(struct progress *progress, const struct fixar_agent_status *status, double now)
{
	double passed = now - progress->window_start;

	if (status->training_steps && !progress->window_training) {
		/* The warm-up is over: its speed says nothing about what follows. */
		progress->window_start = now;
		progress->window_step = status->environment_steps;
		progress->window_training = status->training_steps;
		progress->steps_per_second = progress->training_per_second = NAN;
		return;
	}
	if (passed < RATE_WINDOW && !isnan(progress->steps_per_second) && progress->steps_per_second > 0)
		return;
	if (passed <= 0)
		return;
	progress->steps_per_second = (double)(status->environment_steps - progress->window_step) / passed;
	progress->training_per_second = (double)(status->training_steps - progress->window_training) / passed;
	if (passed < RATE_WINDOW)
		return; /* a first guess; the window goes on */
	progress->window_start = now;
	progress->window_step = status->environment_steps;
	progress->window_training = status->training_steps;
}

/* NAN during the warm-up: how fast training will be is not known yet. */
static double time_left(const struct progress *progress, const struct fixar_agent_status *status)
{
	if (!(progress->training_per_second > 0))
		return NAN;
	return (double)(progress->total_steps - status->environment_steps) / progress->steps_per_second;
}

/* The arithmetic at work now: qat16 computes with full operands until its switch. */
static const char *mode_now(const struct progress *progress, const struct fixar_agent_status *status, char text[CLI_TEXT])
{
	if (progress->schedule) {
		const uint32_t stage = status->switches, full = 32;

		snprintf(text, CLI_TEXT, "%s: %u bits", progress->schedule,
			 stage && stage <= FIXAR_MAX_STAGES ? progress->stage_width[stage - 1] : full);
		return text;
	}
	if (progress->precision == FIXAR_FLOAT32)
		return "float32";
	if (progress->precision == FIXAR_FIXED32)
		return status->quantized ? "fixed32, quantized" : "fixed32";
	if (progress->precision == FIXAR_QAT16X16)
		return status->quantized ? "qat16x16: 16 bits" : "qat16x16: 32 bits";
	return status->quantized ? "qat16: 16 bits" : "qat16: 32 bits";
}

/* Appends a part if the whole of it fits. */
__attribute__((format(printf, 4, 5))) static void add(char *line, size_t size, size_t columns, const char *format, ...)
{
	char part[128];
	va_list arguments;
	size_t used = strlen(line), length;

	va_start(arguments, format);
	vsnprintf(part, sizeof(part), format, arguments);
	va_end(arguments);
	length = strlen(part);
	if (used + length < size && used + length <= columns)
		memcpy(line + used, part, length + 1);
}

void progress_format(const struct progress *progress, const struct fixar_agent_status *status, size_t columns,
		     char *line, size_t size)
{
	char step[CLI_TEXT], total[CLI_TEXT], left[CLI_TEXT], number[CLI_TEXT];
	unsigned percent = (unsigned)(100.0 * (double)status->environment_steps / (double)progress->total_steps);

	cli_group(status->environment_steps, step);
	cli_group(progress->total_steps, total);
	line[0] = '\0';
	/* In order of importance: a narrow terminal loses the last ones. */
	add(line, size, columns, "%s/%s %3u%%", step, total, percent);
	if (status->environment_steps >= progress->total_steps)
		add(line, size, columns, "  took %s", cli_duration(cli_now() - progress->start, left));
	else if (!isnan(time_left(progress, status)))
		add(line, size, columns, "  %s left", cli_duration(time_left(progress, status), left));
	if (!isnan(progress->steps_per_second))
		add(line, size, columns, "  %.0f steps/s", progress->steps_per_second);
	if (!isnan(status->mean_return))
		add(line, size, columns, "  return %.1f", status->mean_return);
	if (progress->training_per_second > 0)
		add(line, size, columns, "  %s IPS",
		    cli_group((uint64_t)(progress->training_per_second * progress->batch), number));
	if (status->training_steps)
		add(line, size, columns, "  loss %.3g  Q %.3g", status->critic_loss, status->mean_q);
	else
		add(line, size, columns, "  warm-up");
	add(line, size, columns, "  %s", mode_now(progress, status, number));
	add(line, size, columns, "  saturated %s", cli_group(progress_saturations(status), number));
}

static void report_json(const struct progress *progress, const struct fixar_agent_status *status)
{
	json_t *line =
		json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:b}", "event", "progress", "step",
			  (json_int_t)status->environment_steps, "steps", (json_int_t)progress->total_steps,
			  "steps_per_second", cli_json_number(progress->steps_per_second), "ips",
			  cli_json_number(progress->training_per_second * progress->batch), "return",
			  cli_json_number(status->mean_return), "critic_loss", cli_json_number(status->critic_loss),
			  "mean_q", cli_json_number(status->mean_q), "saturations",
			  (json_int_t)progress_saturations(status), "quantized", status->quantized);

	cli_print_json(line);
	json_decref(line);
}

void progress_report(struct progress *progress, const struct fixar_agent_status *status)
{
	double now = cli_now();
	char line[512];

	measure(progress, status, now);
	switch (progress->style) {
	case PROGRESS_NONE:
		break;
	case PROGRESS_LINE:
		progress_format(progress, status, progress_columns(STDERR_FILENO) - 1, line, sizeof(line));
		cli_draw_line(line);
		progress->due = now + REDRAW_INTERVAL;
		break;
	case PROGRESS_PLAIN:
		progress_format(progress, status, sizeof(line) - 1, line, sizeof(line));
		fprintf(stderr, "%s: %s\n", progress->label, line);
		progress->due = now + PLAIN_INTERVAL;
		break;
	case PROGRESS_JSON:
		report_json(progress, status);
		progress->due = now + JSON_INTERVAL;
		break;
	}
}
