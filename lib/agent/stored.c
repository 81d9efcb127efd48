// SPDX-License-Identifier: MIT
#include "agent/stored.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qat/schedule.h"

enum kind {
	KIND_U32,
	KIND_U64,
	KIND_I32,
	KIND_REAL,
	KIND_PRECISION,
	KIND_NOISE,
	KIND_SCHEDULE,
	KIND_HIDDEN, /* hidden_count and hidden[] */
	KIND_STAGES  /* schedule_stages and schedule_width[] */
};

struct field {
	const char *key;
	enum kind kind;
	size_t offset;
	int is_newer; /* than the first checkpoints, which lack it: it then keeps what the object holds */
};

/* A field is a line. */
/* clang-format off */
#define OPTION(member, kind) { "options." #member, kind, offsetof(struct fixar_agent_options, member), 0 }
#define NEWER_OPTION(member, kind) { "options." #member, kind, offsetof(struct fixar_agent_options, member), 1 }
#define NEWER_RECORD(member, kind) { "run." #member, kind, offsetof(struct ddpg_record, member), 1 }
#define RECORD(member, kind) { "run." #member, kind, offsetof(struct ddpg_record, member), 0 }

static const struct field option_fields[] = {
	OPTION(precision, KIND_PRECISION),
	OPTION(seed, KIND_U64),
	OPTION(hidden, KIND_HIDDEN),
	OPTION(batch, KIND_U32),
	OPTION(replay_capacity, KIND_U64),
	OPTION(warm_up_steps, KIND_U64),
	OPTION(updates_per_step, KIND_U32),
	OPTION(delay, KIND_U64),
	OPTION(total_steps, KIND_U64),
	OPTION(headroom_bits, KIND_U32),
	OPTION(discount, KIND_REAL),
	OPTION(tau, KIND_REAL),
	OPTION(actor_rate, KIND_REAL),
	OPTION(critic_rate, KIND_REAL),
	OPTION(beta1, KIND_REAL),
	OPTION(beta2, KIND_REAL),
	OPTION(noise, KIND_NOISE),
	OPTION(noise_sigma, KIND_REAL),
	OPTION(noise_theta, KIND_REAL),
	OPTION(reward_scale_log2, KIND_I32),
	OPTION(actor_gradient_scale_log2, KIND_I32),
	OPTION(critic_gradient_scale_log2, KIND_I32),
	OPTION(normalize_observations, KIND_I32),
	NEWER_OPTION(schedule, KIND_SCHEDULE),
	NEWER_OPTION(schedule_width, KIND_STAGES),
	NEWER_OPTION(schedule_observe, KIND_U64),
	NEWER_OPTION(schedule_interval, KIND_U64),
};

static const struct field record_fields[] = {
	RECORD(environment_steps, KIND_U64),
	RECORD(training_steps, KIND_U64),
	RECORD(episodes_started, KIND_U64),
	RECORD(episodes, KIND_U64),
	RECORD(episode_active, KIND_U32),
	RECORD(noise_reset, KIND_U32),
	RECORD(switches, KIND_U32),
	RECORD(observing, KIND_U32),
	RECORD(episode_steps, KIND_U64),
	RECORD(last_episode_steps, KIND_U64),
	RECORD(input_saturations, KIND_U64),
	NEWER_RECORD(array_cycles, KIND_U64),
};
/* clang-format on */

static const char *const noise_name[] = {
	[FIXAR_NOISE_GAUSSIAN] = "gaussian",
	[FIXAR_NOISE_OU] = "ou",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void stored_add(struct stored_strings *list, const char *key, const char *format, ...)
{
	va_list arguments;

	assert(list->count < STORED_STRINGS_MAX);
	va_start(arguments, format);
	vsnprintf(list->values[list->count], STORED_VALUE_MAX, format, arguments);
	va_end(arguments);
	list->strings[list->count] = (struct checkpoint_string){ key, list->values[list->count] };
	list->count++;
}

/* strtod() of the C locale: the user's may have another decimal point. */
static double parse_real(const char *text, char **end)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	double value = c ? strtod_l(text, end, c) : strtod(text, end);

	if (c)
		freelocale(c);
	return value;
}

/* The shortest of the decimals that read back to the same bits. */
static void print_real(char *text, size_t size, double value)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = (locale_t)0;
	char *end;

	if (c)
		before = uselocale(c);
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, size, "%.*g", digits, value);
		if (strtod(text, &end) == value)
			break;
	}
	if (c) {
		uselocale(before);
		freelocale(c);
	}
}

/* "400,300"; without any "none". */
static void add_numbers(struct stored_strings *list, const char *key, const uint32_t *numbers, uint32_t count)
{
	char text[STORED_VALUE_MAX] = "none";
	size_t used = 0;

	for (uint32_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? "," : "", numbers[i]);
	stored_add(list, key, "%s", text);
}

static void add_field(struct stored_strings *list, const struct field *field, const void *object)
{
	const void *at = (const char *)object + field->offset;
	char text[32];

	switch (field->kind) {
	case KIND_U32:
		stored_add(list, field->key, "%" PRIu32, *(const uint32_t *)at);
		break;
	case KIND_U64:
		stored_add(list, field->key, "%" PRIu64, *(const uint64_t *)at);
		break;
	case KIND_I32:
		stored_add(list, field->key, "%" PRId32, *(const int32_t *)at);
		break;
	case KIND_REAL:
		print_real(text, sizeof(text), *(const double *)at);
		stored_add(list, field->key, "%s", text);
		break;
	case KIND_PRECISION:
		stored_add(list, field->key, "%s", fixar_precision_name(*(const enum fixar_precision *)at));
		break;
	case KIND_NOISE:
		stored_add(list, field->key, "%s", noise_name[*(const enum fixar_noise *)at]);
		break;
	case KIND_SCHEDULE:
		stored_add(list, field->key, "%s", qat_schedule_name[*(const enum fixar_schedule *)at]);
		break;
	case KIND_HIDDEN:
		add_numbers(list, field->key, at, ((const struct fixar_agent_options *)object)->hidden_count);
		break;
	case KIND_STAGES:
		add_numbers(list, field->key, at, ((const struct fixar_agent_options *)object)->schedule_stages);
		break;
	}
}

void stored_add_options(struct stored_strings *list, const struct fixar_agent_options *options)
{
	for (size_t i = 0; i < COUNT(option_fields); i++)
		add_field(list, &option_fields[i], options);
}

void stored_add_record(struct stored_strings *list, const struct ddpg_record *record)
{
	for (size_t i = 0; i < COUNT(record_fields); i++)
		add_field(list, &record_fields[i], record);
}

/* The digits at *text, and *text behind them. */
static int parse_digits(const char **text, uint64_t maximum, uint64_t *value)
{
	const char *digit = *text;

	*value = 0;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (unsigned int)(*digit - '0'), value))
			return -EBADMSG;
	if (digit == *text || *value > maximum)
		return -EBADMSG;
	*text = digit;
	return 0;
}

/* A decimal number up to `maximum` and nothing else. */
static int parse_integer(const char *text, uint64_t maximum, uint64_t *value)
{
	return parse_digits(&text, maximum, value) || *text ? -EBADMSG : 0;
}

static int parse_signed(const char *text, int32_t *value)
{
	const int negative = *text == '-';
	uint64_t magnitude;

	if (parse_integer(text + negative, (uint64_t)INT32_MAX + (uint64_t)negative, &magnitude))
		return -EBADMSG;
	*value = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
	return 0;
}

static int parse_numbers(const char *text, uint32_t *numbers, uint32_t most, uint32_t *count)
{
	*count = 0;
	for (;;) {
		uint64_t number;

		if (*count == most || parse_digits(&text, UINT32_MAX, &number))
			return -EBADMSG;
		numbers[(*count)++] = (uint32_t)number;
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -EBADMSG;
	}
}

static int parse_field(const struct field *field, const char *text, void *object)
{
	void *at = (char *)object + field->offset;
	uint64_t integer;
	char *end;
	int error;

	switch (field->kind) {
	case KIND_U32:
		error = parse_integer(text, UINT32_MAX, &integer);
		*(uint32_t *)at = (uint32_t)integer;
		return error;
	case KIND_U64:
		return parse_integer(text, UINT64_MAX, at);
	case KIND_I32:
		return parse_signed(text, at);
	case KIND_REAL:
		*(double *)at = parse_real(text, &end);
		return end == text || *end || !isfinite(*(double *)at) ? -EBADMSG : 0;
	case KIND_PRECISION:
		return fixar_precision_parse(text, at);
	case KIND_NOISE:
		for (size_t i = 0; i < COUNT(noise_name); i++) {
			if (!strcmp(text, noise_name[i])) {
				*(enum fixar_noise *)at = (enum fixar_noise)i;
				return 0;
			}
		}
		return -EBADMSG;
	case KIND_SCHEDULE:
		for (size_t i = 0; i < SCHEDULES; i++) {
			if (!strcmp(text, qat_schedule_name[i])) {
				*(enum fixar_schedule *)at = (enum fixar_schedule)i;
				return 0;
			}
		}
		return -EBADMSG;
	case KIND_HIDDEN:
		return parse_numbers(text, at, FIXAR_MAX_HIDDEN, &((struct fixar_agent_options *)object)->hidden_count);
	case KIND_STAGES:
		((struct fixar_agent_options *)object)->schedule_stages = 0;
		return strcmp(text, "none") ? parse_numbers(text, at, FIXAR_MAX_STAGES,
							    &((struct fixar_agent_options *)object)->schedule_stages) :
					      0;
	}
	return -EBADMSG;
}

static int read_fields(const struct checkpoint *checkpoint, const struct field *fields, size_t count, void *object,
		       char *message, size_t message_size)
{
	for (size_t i = 0; i < count; i++) {
		const char *text;
		int error;

		if (fields[i].is_newer && !checkpoint_string(checkpoint, fields[i].key))
			continue;
		error = checkpoint_require(checkpoint, fields[i].key, &text, message, message_size);
		if (error)
			return error;
		if (parse_field(&fields[i], text, object)) {
			snprintf(message, message_size, "%s: the string '%s' is '%.40s', which has no meaning there",
				 checkpoint_path(checkpoint), fields[i].key, text);
			return -EBADMSG;
		}
	}
	return 0;
}

int stored_read_options(const struct checkpoint *checkpoint, struct fixar_agent_options *options, char *message,
			size_t message_size)
{
	return read_fields(checkpoint, option_fields, COUNT(option_fields), options, message, message_size);
}

int stored_read_record(const struct checkpoint *checkpoint, struct ddpg_record *record, char *message,
		       size_t message_size)
{
	return read_fields(checkpoint, record_fields, COUNT(record_fields), record, message, message_size);
}

static struct checkpoint_tensor array(const char *name, enum checkpoint_dtype dtype, const void *data, uint64_t count)
{
	return (struct checkpoint_tensor){
		.name = name,
		.dtype = dtype,
		.dim_count = 1,
		.dim = { count },
		.data = data,
		.bytes = count * 8,
	};
}

void stored_record_tensors(const struct ddpg_record *record, struct checkpoint_tensor tensors[STORED_RECORD_TENSORS])
{
	tensors[0] = array("run.returns", CHECKPOINT_F64, record->returns, RECORD_RETURNS);
	tensors[1] = array("run.critic_loss", CHECKPOINT_F64, record->critic_loss, RECORD_WINDOW);
	tensors[2] = array("run.mean_q", CHECKPOINT_F64, record->mean_q, RECORD_WINDOW);
	tensors[3] = array("run.episode_return", CHECKPOINT_F64, &record->episode_return, 1);
}
