// SPDX-License-Identifier: MIT
/*
 * Golden vectors through the driver. selftests/lib/golden/train.txt, which was made by an implementation that shares
 * nothing with this library, says in its head what its lines mean. Beside the card a CPU device does the same, so that
 * every byte of the state can be compared and not only what the file has.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"
#include "fx/fixed.h"
#include "fx/random.h"
#include "hw/fixar_arena.h"
#include "step/cycles.h"

extern const char golden_train[], golden_train_end[];

#define VALUES_MAX 4096
#define ENTRIES_MAX (2 * STEP_MAX_LAYERS * STEP_CLASSES)

/* One line: a word and its numbers. */
struct line {
	unsigned number;
	char word[32];
	size_t count;
	int64_t value[VALUES_MAX];
};

enum side { CARD, TWIN, SIDES };

struct play {
	struct fixar_device *device[SIDES];
	struct device_agent *agent[SIDES];
	struct step_config config;
	struct step_mode mode;
	uint32_t batch, explore_rows, terminal_mask;
	unsigned shift[4], weight_gain;
	uint64_t step, training_steps;
	uint32_t act_flags, explored, acted; /* rows that were compared */
	int ranges_read;
	unsigned char *state[SIDES];
	const struct step_tensor *tensors;
	size_t tensor_count, bytes;
	uint64_t saturation_before[STEP_SATURATIONS];
	int32_t *observation, *action[SIDES];
	struct step_range ranges[SIDES][ENTRIES_MAX];
	uint64_t compared; /* values */
	struct line *line;
	char message[256];
};

static int wrong(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct play *play, const char *format, ...)
{
	int used = snprintf(play->message, sizeof(play->message),
			    "train.txt line %u (%s), step %llu: ", play->line->number, play->line->word,
			    (unsigned long long)play->step);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(play->message + used, sizeof(play->message) - (size_t)used, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* ---- Lines ---- */

/* The next line that is no comment, and the place behind it; NULL at the end. */
static const char *read_line(const char *text, struct line *line)
{
	const char *end;

	do {
		if (text >= golden_train_end)
			return NULL;
		line->number++;
		end = memchr(text, '\n', (size_t)(golden_train_end - text));
		if (!end)
			return NULL;
		line->count = 0;
		line->word[0] = '\0';
		if (*text != '#' && text < end) {
			size_t length = strcspn(text, " \n");
			char *next = (char *)text + length;

			snprintf(line->word, sizeof(line->word), "%.*s", (int)length, text);
			while (*next == ' ' && line->count < VALUES_MAX) {
				const char *start = next + 1;

				line->value[line->count++] =
					*start == '-' ? strtoll(start, &next, 10) : (int64_t)strtoull(start, &next, 10);
				/* A name: only traces have them, and those are not read. */
				if (next == start)
					next += strcspn(next, " \n");
			}
		}
		text = end + 1;
	} while (!line->word[0]);
	return text;
}

static int is(const struct play *play, const char *word)
{
	return !strcmp(play->line->word, word);
}

/* What is behind the first `first` numbers of the line against results. */
static int same(struct play *play, size_t first, const int64_t *results, size_t count)
{
	const struct line *line = play->line;

	if (line->count != first + count)
		return wrong(play, "%zu values, expected %zu", line->count, first + count);
	for (size_t i = 0; i < count; i++)
		if (line->value[first + i] != results[i])
			return wrong(play, "value %zu is %lld, expected %lld", first + i + 1, (long long)results[i],
				     (long long)line->value[first + i]);
	play->compared += count;
	return 0;
}

static int same32(struct play *play, size_t first, const int32_t *results, size_t count)
{
	int64_t wide[VALUES_MAX];

	if (count > VALUES_MAX)
		return wrong(play, "%zu values are too many", count);
	for (size_t i = 0; i < count; i++)
		wide[i] = results[i];
	return same(play, first, wide, count);
}

/* ---- State ---- */

static const struct step_tensor *find_tensor(const struct play *play, const char *name)
{
	for (size_t i = 0; i < play->tensor_count; i++)
		if (!strcmp(play->tensors[i].name, name))
			return &play->tensors[i];
	return NULL;
}

/* The card's. */
static const void *tensor_data(const struct play *play, const char *name)
{
	return play->state[CARD] + find_tensor(play, name)->offset;
}

static const struct step_tensor *parameter(const struct play *play, const char *what)
{
	static const char *const networks[] = { "actor", "critic" };
	const int64_t *value = play->line->value;
	char name[64];

	snprintf(name, sizeof(name), "%s%s.%lld.%s%s", networks[value[0] == 1],
		 !strcmp(what, "target") ? "_target" : "", (long long)value[1], value[2] ? "bias" : "weight",
		 !strcmp(what, "m")   ? ".moment1"
		 : !strcmp(what, "v") ? ".moment2"
				      : "");
	return find_tensor(play, name);
}

/* Reads both states and compares them, byte by byte. */
static int same_states(struct play *play)
{
	for (int side = 0; side < SIDES; side++) {
		int error = play->agent[side]->ops->state_read(play->agent[side], play->state[side]);

		if (error)
			return wrong(play, "the state cannot be read: %s", cli_reason(error));
	}
	play->compared += play->bytes;
	if (!memcmp(play->state[CARD], play->state[TWIN], play->bytes))
		return 0;
	for (size_t t = 0; t < play->tensor_count; t++) {
		const struct step_tensor *tensor = &play->tensors[t];
		const unsigned char *a = play->state[CARD] + tensor->offset, *b = play->state[TWIN] + tensor->offset;

		for (size_t i = 0; i < tensor->bytes; i++)
			if (a[i] != b[i])
				return wrong(play, "byte %zu of %s is %#04x, expected %#04x", i, tensor->name, a[i],
					     b[i]);
	}
	return wrong(play, "bytes between the tensors are not 0");
}

static int64_t hash(const unsigned char *bytes, size_t count)
{
	uint64_t result = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < count; i++)
		result = (result ^ bytes[i]) * UINT64_C(0x100000001b3);
	return (int64_t)result;
}

static int same_tensor(struct play *play)
{
	static const char *const whats[] = { "value", "m", "v", "target" };
	int64_t results[4];

	for (int i = 0; i < 4; i++) {
		const struct step_tensor *tensor = parameter(play, whats[i]);

		if (!tensor)
			return wrong(play, "there is no such tensor");
		results[i] = hash(play->state[CARD] + tensor->offset, tensor->bytes);
	}
	return same(play, 3, results, 4);
}

static int same_full(struct play *play)
{
	static const char *const whats[] = { "value", "m", "v", "target" };
	const struct step_tensor *tensor = parameter(play, whats[play->line->value[3] & 3]);
	const size_t count = tensor ? tensor->bytes / 4 : 0;
	int64_t codes[VALUES_MAX];

	if (!tensor)
		return wrong(play, "there is no such tensor");
	if (tensor->dtype != STEP_U32 || count > VALUES_MAX)
		return same32(play, 4, (const int32_t *)(const void *)(play->state[CARD] + tensor->offset), count);
	for (size_t i = 0; i < count; i++) /* second moments are unsigned */
		codes[i] = ((const uint32_t *)(const void *)(play->state[CARD] + tensor->offset))[i];
	return same(play, 4, codes, count);
}

/* ---- Doing ---- */

static int32_t *draw(const struct play *play, unsigned number, size_t count, unsigned shift)
{
	int32_t *values = calloc(count ? count : 1, sizeof(*values));

	if (!values) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	for (size_t i = 0; i < count; i++)
		values[i] = (int32_t)fx_random_word(play->config.seed, FX_RANDOM_TEST, 16 * play->step + number,
						    (uint32_t)i) >>
			    shift;
	return values;
}

static int set_mode(struct play *play)
{
	for (int side = 0; side < SIDES; side++) {
		int error = play->agent[side]->ops->set_mode(play->agent[side], &play->mode);

		if (error)
			return wrong(play, "the mode: %s", cli_reason(error));
	}
	return 0;
}

/* Every weight and bias of the first state times 2^gain, on both sides. */
static int apply_gain(struct play *play)
{
	uint64_t unused = 0;
	int error = play->agent[CARD]->ops->state_read(play->agent[CARD], play->state[CARD]);

	for (size_t t = 0; t < play->tensor_count && !error; t++) {
		const char *end = strrchr(play->tensors[t].name, '.');
		int32_t *values = (int32_t *)(void *)(play->state[CARD] + play->tensors[t].offset);

		if (!end || (strcmp(end, ".weight") != 0 && strcmp(end, ".bias") != 0))
			continue;
		for (size_t i = 0; i < play->tensors[t].bytes / 4; i++)
			values[i] = fx_saturate32(fx_shift_left(values[i], play->weight_gain), &unused);
	}
	for (int side = 0; side < SIDES && !error; side++)
		error = play->agent[side]->ops->state_write(play->agent[side], play->state[CARD]);
	return error ? wrong(play, "the first state: %s", cli_reason(error)) : 0;
}

static int create(struct play *play)
{
	play->config.batch_max = play->batch > play->explore_rows ? play->batch : play->explore_rows;
	for (int side = 0; side < SIDES; side++) {
		struct fixar_device *device = play->device[side];
		int error = device->ops->agent_create(device, &play->config, &play->agent[side]);

		if (error == -ENOSPC)
			return -ENOSPC;
		if (error)
			return wrong(play, "the agent cannot be made: %s", cli_reason(error));
		play->agent[side]->ops->state_layout(play->agent[side], &play->tensors, &play->tensor_count,
						     &play->bytes);
		play->state[side] = calloc(1, play->bytes);
		play->action[side] = calloc((size_t)play->explore_rows * play->config.action_dim, sizeof(int32_t));
		if (!play->state[side] || !play->action[side])
			return wrong(play, "out of memory");
	}
	if (apply_gain(play) || set_mode(play))
		return -EBADMSG;
	return same_states(play);
}

static void destroy(struct play *play)
{
	for (int side = 0; side < SIDES; side++) {
		if (play->agent[side])
			play->agent[side]->ops->agent_destroy(play->agent[side]);
		free(play->state[side]);
		free(play->action[side]);
	}
	free(play->observation);
}

/* Multiply-accumulates are counted by the contract's rule, which lib/step has. */
static int check_macs(struct play *play)
{
	const struct fixar_statistics *statistics = device_card_statistics(play->agent[CARD]);
	const struct drm_fixar_query_device *info = &device_card(play->device[CARD])->info;
	struct step_quantizer quantizers[ENTRIES_MAX];
	struct pe_array array;
	const struct step_workload workload = { &array, &play->config, &play->mode, quantizers, play->batch };
	struct step_cycles cycles;

	pe_array_default(&array);
	array.weight_bytes = info->weight_memory;
	array.gradient_bytes = info->gradient_memory;
	array.activation_bytes = info->activation_memory;
	memcpy(quantizers, tensor_data(play, "quantizers"), find_tensor(play, "quantizers")->bytes);
	if (step_cycles_train(&workload, NULL, NULL, &cycles, NULL, 0))
		return 0;
	if (statistics->macs != cycles.macs)
		return wrong(play, "macs are %llu, expected %llu", (unsigned long long)statistics->macs,
			     (unsigned long long)cycles.macs);
	if (statistics->training_steps != play->training_steps)
		return wrong(play, "training_steps are %llu, expected %llu",
			     (unsigned long long)statistics->training_steps, (unsigned long long)play->training_steps);
	if (statistics->reserved)
		return wrong(play, "the statistics' reserved field is not 0");
	play->compared += 3;
	return 0;
}

static int train(struct play *play)
{
	const size_t states = (size_t)play->batch * play->config.observation_dim;
	int32_t *observation, *action, *reward, *next, *words;
	uint8_t *terminal = calloc(play->batch, 1);
	struct device_statistics unused;
	int error = 0;

	play->step = (uint64_t)play->line->value[0];
	play->mode.observe = (uint32_t)play->line->value[1];
	observation = draw(play, 0, states, play->shift[0]);
	action = draw(play, 1, (size_t)play->batch * play->config.action_dim, play->shift[1]);
	reward = draw(play, 2, play->batch, play->shift[2]);
	next = draw(play, 3, states, play->shift[3]);
	words = draw(play, 4, play->batch, 0);
	for (uint32_t b = 0; b < play->batch; b++)
		terminal[b] = ((uint32_t)words[b] & play->terminal_mask) == 0;
	if (set_mode(play))
		error = -EBADMSG;
	for (int side = 0; side < SIDES && !error; side++) {
		const struct step_batch batch = { play->batch, observation, action, reward, next, terminal };

		error = play->agent[side]->ops->train(play->agent[side], &batch, &unused);
		if (error)
			error = wrong(play, "training: %s", cli_reason(error));
	}
	play->training_steps++;
	free(play->observation);
	play->observation = draw(play, 5, (size_t)play->explore_rows * play->config.observation_dim, play->shift[0]);
	play->explored = play->acted = 0;
	play->ranges_read = 0;
	free(observation);
	free(action);
	free(reward);
	free(next);
	free(words);
	free(terminal);
	if (!error)
		error = same_states(play);
	if (!error)
		error = check_macs(play);
	if (!error)
		memcpy(play->saturation_before, tensor_data(play, "saturation"), sizeof(play->saturation_before));
	return error;
}

static int same_action(struct play *play, uint32_t *done, uint32_t flags)
{
	const uint32_t width = play->config.action_dim, row = (*done)++;
	const size_t bytes = (size_t)play->explore_rows * width * sizeof(int32_t);

	if (row >= play->explore_rows)
		return wrong(play, "more rows than there are");
	for (int side = 0; side < SIDES && row == 0; side++) {
		int error = play->agent[side]->ops->act(play->agent[side], play->explore_rows, play->observation,
							play->action[side], flags | play->act_flags);

		if (error)
			return wrong(play, "acting: %s", cli_reason(error));
	}
	play->act_flags = 0;
	if (row == 0 && same_states(play))
		return -EBADMSG;
	if (memcmp(play->action[CARD], play->action[TWIN], bytes) != 0)
		return wrong(play, "the actions are not the CPU's");
	return same32(play, 0, play->action[CARD] + (size_t)row * width, width);
}

static int same_ranges(struct play *play)
{
	const int64_t *value = play->line->value;
	const struct step_range *r =
		play->ranges[CARD] + (size_t)(value[0] * (play->config.hidden_count + 1) + value[1]) * STEP_CLASSES;

	for (int side = 0; side < SIDES && !play->ranges_read; side++) {
		int error = play->agent[side]->ops->read_ranges(play->agent[side], play->ranges[side]);

		if (error)
			return wrong(play, "reading ranges: %s", cli_reason(error));
	}
	if (!play->ranges_read && same_states(play))
		return -EBADMSG;
	play->ranges_read = 1;
	return same(play, 2,
		    (const int64_t[]){ r[STEP_ACTIVATION].minimum, r[STEP_ACTIVATION].maximum, r[STEP_GRADIENT].minimum,
				       r[STEP_GRADIENT].maximum, r[STEP_WEIGHT].minimum, r[STEP_WEIGHT].maximum },
		    6);
}

static int set_quantizer(struct play *play)
{
	const int64_t *value = play->line->value;
	const size_t entry = (size_t)(value[0] * (play->config.hidden_count + 1) + value[1]) * STEP_CLASSES;
	struct step_quantizer table[ENTRIES_MAX];

	for (int side = 0; side < SIDES; side++) {
		int error = play->agent[side]->ops->read_quantizers(play->agent[side], table);

		for (int class = 0; class < STEP_CLASSES; class ++) {
			table[entry + (size_t) class].width = (int32_t)value[2 + 2 * class];
			table[entry + (size_t) class].fraction = (int32_t)value[3 + 2 * class];
		}
		if (!error)
			error = play->agent[side]->ops->write_quantizers(play->agent[side], table);
		if (error)
			return wrong(play, "a quantizer: %s", cli_reason(error));
	}
	return 0;
}

static int same_noise(struct play *play)
{
	const int32_t *state = tensor_data(play, "noise.state");
	const uint64_t *noise_count = tensor_data(play, "noise.count");
	int64_t results[VALUES_MAX];

	for (uint32_t j = 0; j < play->config.action_dim; j++)
		results[j] = state[j];
	results[play->config.action_dim] = (int64_t)*noise_count;
	return same(play, 0, results, play->config.action_dim + 1);
}

static int same_explore_counters(struct play *play)
{
	const uint64_t *now = tensor_data(play, "saturation");
	int64_t counted[STEP_SATURATIONS];

	for (int i = 0; i < STEP_SATURATIONS; i++)
		counted[i] = (int64_t)(now[i] - play->saturation_before[i]);
	return same(play, 0, counted, STEP_SATURATIONS);
}

static int same_maxima(struct play *play)
{
	const size_t count = STEP_BACKWARDS * ((size_t)play->config.hidden_count + 1);
	const uint32_t *maxima = tensor_data(play, "gradient_maxima");
	int64_t results[STEP_BACKWARDS * STEP_MAX_LAYERS];

	for (size_t i = 0; i < count; i++)
		results[i] = maxima[i];
	return same(play, 0, results, count);
}

/* ---- Cases ---- */

/* A line of a case's head; 0 if it is none. */
static int head(struct play *play)
{
	struct step_hyperparameters *hyper = &play->config.hyper;
	const struct line *line = play->line;
	const int64_t *in = line->value;

	if (is(play, "seed"))
		play->config.seed = (uint64_t)in[0];
	else if (is(play, "observation_dim"))
		play->config.observation_dim = (uint32_t)in[0];
	else if (is(play, "action_dim"))
		play->config.action_dim = (uint32_t)in[0];
	else if (is(play, "hidden"))
		for (size_t i = 0; i < line->count && i < STEP_MAX_HIDDEN; i++)
			play->config.hidden[play->config.hidden_count++] = (uint32_t)in[i];
	else if (is(play, "batch"))
		play->batch = (uint32_t)in[0];
	else if (is(play, "discount"))
		hyper->discount = (int32_t)in[0];
	else if (is(play, "gradient_scales")) {
		hyper->gradient_scale[STEP_CRITIC] = (int32_t)in[0];
		hyper->gradient_scale[STEP_ACTOR] = (int32_t)in[1];
	} else if (is(play, "beta1"))
		hyper->beta1 = (uint32_t)in[0];
	else if (is(play, "one_minus_beta2"))
		hyper->one_minus_beta2 = (uint32_t)in[0];
	else if (is(play, "critic_rate") || is(play, "actor_rate")) {
		const enum step_network network = is(play, "actor_rate") ? STEP_ACTOR : STEP_CRITIC;

		hyper->rate_mantissa[network] = (uint32_t)in[0];
		hyper->rate_exponent[network] = (uint32_t)in[1];
	} else if (is(play, "tau"))
		hyper->tau = (uint32_t)in[0];
	else if (is(play, "noise")) {
		play->mode.noise = in[0] ? STEP_NOISE_OU : STEP_NOISE_GAUSSIAN;
		play->mode.noise_sigma = (int32_t)in[1];
		play->mode.noise_theta = (int32_t)in[2];
	} else if (is(play, "shifts"))
		for (int i = 0; i < 4; i++)
			play->shift[i] = (unsigned)in[i];
	else if (is(play, "terminal_mask"))
		play->terminal_mask = (uint32_t)in[0];
	else if (is(play, "weight_gain"))
		play->weight_gain = (unsigned)in[0];
	else if (is(play, "explore_rows"))
		play->explore_rows = (uint32_t)in[0];
	else
		return 0;
	return 1;
}

static int body(struct play *play)
{
	const struct fixar_statistics *statistics = device_card_statistics(play->agent[CARD]);
	const uint64_t *powers = tensor_data(play, "adam_powers");
	int64_t counted[STEP_SATURATIONS];

	if (is(play, "initial") || is(play, "tensor"))
		return same_tensor(play);
	if (is(play, "quantizer"))
		return set_quantizer(play);
	if (is(play, "step"))
		return train(play);
	if (is(play, "statistics"))
		return same(play, 0, (const int64_t[]){ (int64_t)statistics->loss_sum, (int64_t)statistics->q_sum }, 2);
	if (is(play, "counters")) {
		memcpy(counted, statistics->saturation, sizeof(counted));
		return same(play, 0, counted, STEP_SATURATIONS);
	}
	if (is(play, "adam")) {
		memcpy(counted, powers + 2 * (play->line->value[0] & 1), 2 * sizeof(counted[0]));
		return same(play, 1, counted, 2);
	}
	if (is(play, "mode")) {
		play->mode.quantized = (uint32_t)play->line->value[0];
		return 0;
	}
	if (is(play, "maxima"))
		return same_maxima(play);
	if (is(play, "ranges"))
		return same_ranges(play);
	if (is(play, "full"))
		return same_full(play);
	if (is(play, "trace")) /* inside of the core */
		return 0;
	if (is(play, "explore"))
		return same_action(play, &play->explored, STEP_ACT_EXPLORE);
	if (is(play, "explore_counters"))
		return same_explore_counters(play);
	if (is(play, "noise_state"))
		return same_noise(play);
	if (is(play, "act"))
		return same_action(play, &play->acted, 0);
	if (is(play, "reset_noise")) {
		play->act_flags = STEP_ACT_RESET_NOISE;
		return 0;
	}
	return wrong(play, "the line has no meaning");
}

/* Plays the case whose first line was read; returns the place behind its end. */
static const char *play_case(struct conform *conform, struct fixar_device *card, struct fixar_device *cpu,
			     const char *text, struct line *line, uint32_t parallelism)
{
	static const char *const names[] = { "auto", "intra-layer", "intra-batch" };
	struct play *play = calloc(1, sizeof(*play));
	const long long number = line->value[0];
	char name[128];
	int error = 0;

	if (!play) {
		cli_error("out of memory");
		exit(CLI_FAILED);
	}
	play->device[CARD] = card;
	play->device[TWIN] = cpu;
	play->mode.parallelism = parallelism;
	play->line = line;
	while ((text = read_line(text, line)) && !is(play, "end")) {
		if (error || (!play->agent[CARD] && head(play)))
			continue;
		if (!play->agent[CARD])
			error = create(play);
		if (!error)
			error = body(play);
	}
	snprintf(name, sizeof(name), "case %lld, %s: %u observations, %u actions, %llu training steps, %llu values",
		 number, names[parallelism], play->config.observation_dim, play->config.action_dim,
		 (unsigned long long)play->training_steps, (unsigned long long)play->compared);
	if (error == -ENOSPC)
		conform_skip(conform, name, "the card cannot hold this agent");
	else
		conform_report(conform, !error && play->training_steps, name, play->message);
	destroy(play);
	free(play);
	return text;
}

int conform_vectors(struct conform *conform, struct fixar_device *card)
{
	struct fixar_device *cpu;
	struct line *line = malloc(sizeof(*line));
	int error = device_cpu_open("scalar", 1, &cpu);

	if (error || !line) {
		cli_error("the CPU to compare with cannot be opened: %s", cli_reason(error ? error : -ENOMEM));
		free(line);
		return CLI_FAILED;
	}
	for (uint32_t parallelism = 0; parallelism <= STEP_INTRA_BATCH; parallelism++) {
		const char *text = golden_train;

		line->number = 0;
		while (text && (text = read_line(text, line)))
			if (!strcmp(line->word, "case") && (!conform->cases || line->value[0] < conform->cases))
				text = play_case(conform, card, cpu, text, line, parallelism);
	}
	fixar_device_close(cpu);
	free(line);
	return CLI_OK;
}
