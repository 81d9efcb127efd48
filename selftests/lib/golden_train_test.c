// SPDX-License-Identifier: MIT
/*
 * Description: whole agents give the bits of the independent reference, with every engine, with one thread and with two
 *
 * Plays golden/train.txt, whose head says what its lines mean: a line is an input or is compared.
 */
#include "engines.h"
#include "golden.h"

#include "fx/fixed.h"
#include "fx/random.h"
#include "step/agent.h"
#include "step/step.h"

#define LAYERS_MAX 8

struct gradients {
	int32_t *weight[LAYERS_MAX], *bias[LAYERS_MAX];
};

struct play {
	const struct golden_table *table;
	const struct pe_engine *engine;
	struct pe_pool *pool;
	uint32_t parallelism;

	struct step_config config;
	uint32_t batch, explore_rows;
	unsigned shift[4];
	uint32_t terminal_mask;
	struct step_mode mode;
	unsigned weight_gain;

	void *arena;
	struct step_agent *agent;
	struct gradients gradients[STEP_NETWORKS];
	struct step_statistics statistics;
	uint64_t step;
	uint32_t explored, acted; /* rows of this step that were compared */
	uint64_t saturation_before[STEP_SATURATIONS];
	uint32_t act_flags;
	int32_t *observation, *action; /* explore_rows of them */
};

/* ---- Inputs ---- */

static int32_t *draw(const struct play *play, unsigned number, size_t count, unsigned shift)
{
	int32_t *values = golden_memory(count, sizeof(*values));

	for (size_t i = 0; i < count; i++)
		values[i] = (int32_t)fx_random_word(play->config.seed, FX_RANDOM_TEST, 16 * play->step + number,
						    (uint32_t)i) >>
			    shift;
	return values;
}

static void keep_gradients(void *user, enum step_network network, uint32_t layer, const int32_t *weight_gradient,
			   const int32_t *bias_gradient)
{
	struct play *play = user;
	const struct nn_layer *shape = &play->agent->network[network].layer[layer];
	struct gradients *kept = &play->gradients[network];

	memcpy(kept->weight[layer], weight_gradient, shape->weight.count * sizeof(int32_t));
	memcpy(kept->bias[layer], bias_gradient, shape->bias.count * sizeof(int32_t));
}

static void gain(struct nn_parameter *parameter, unsigned shift)
{
	uint64_t unused = 0;

	for (size_t i = 0; i < parameter->count; i++)
		parameter->value[i] = fx_saturate32(fx_shift_left(parameter->value[i], shift), &unused);
}

static int create(struct play *play)
{
	size_t bytes;

	play->config.batch_max = play->batch > play->explore_rows ? play->batch : play->explore_rows;
	step_layout(&play->config, NULL, 0, &bytes);
	play->arena = aligned_alloc(STEP_ALIGNMENT, bytes);
	if (step_agent_create(&play->config, play->arena, play->engine, play->pool, &play->agent))
		return 0;
	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < play->agent->network[n].layers; l++) {
			struct nn_layer *layer = &play->agent->network[n].layer[l],
					*target = &play->agent->target[n].layer[l];

			gain(&layer->weight, play->weight_gain);
			gain(&layer->bias, play->weight_gain);
			gain(&target->weight, play->weight_gain);
			gain(&target->bias, play->weight_gain);
			play->gradients[n].weight[l] = golden_memory(layer->weight.count, sizeof(int32_t));
			play->gradients[n].bias[l] = golden_memory(layer->bias.count, sizeof(int32_t));
		}
	}
	play->action = golden_memory((size_t)play->explore_rows * play->config.action_dim, sizeof(int32_t));
	play->mode.parallelism = play->parallelism;
	step_set_mode(play->agent, &play->mode);
	step_set_gradient_sink(play->agent, keep_gradients, play);
	return step_agent_reload(play->agent) == 0;
}

static void destroy(struct play *play)
{
	for (int n = 0; n < STEP_NETWORKS; n++) {
		for (uint32_t l = 0; l < LAYERS_MAX; l++) {
			free(play->gradients[n].weight[l]);
			free(play->gradients[n].bias[l]);
		}
	}
	step_agent_destroy(play->agent);
	free(play->arena);
	free(play->observation);
	free(play->action);
}

static int train(struct play *play, uint32_t observe)
{
	const size_t states = (size_t)play->batch * play->config.observation_dim;
	int32_t *observation = draw(play, 0, states, play->shift[0]);
	int32_t *action = draw(play, 1, (size_t)play->batch * play->config.action_dim, play->shift[1]);
	int32_t *reward = draw(play, 2, play->batch, play->shift[2]);
	int32_t *next = draw(play, 3, states, play->shift[3]);
	int32_t *words = draw(play, 4, play->batch, 0);
	uint8_t *terminal = golden_memory(play->batch, 1);
	const struct step_batch batch = { play->batch, observation, action, reward, next, terminal };
	int error;

	for (uint32_t b = 0; b < play->batch; b++)
		terminal[b] = ((uint32_t)words[b] & play->terminal_mask) == 0;
	play->mode.observe = observe;
	step_set_mode(play->agent, &play->mode);
	error = step_train(play->agent, &batch, &play->statistics);

	free(play->observation);
	play->observation = draw(play, 5, (size_t)play->explore_rows * play->config.observation_dim, play->shift[0]);
	memcpy(play->saturation_before, play->agent->saturation, sizeof(play->saturation_before));
	play->explored = play->acted = 0;
	free(observation);
	free(action);
	free(reward);
	free(next);
	free(words);
	free(terminal);
	return !error;
}

static int set_quantizer(struct play *play, const int64_t *in)
{
	struct step_quantizer table[2 * LAYERS_MAX * STEP_CLASSES];
	const size_t entry = (size_t)(in[0] * (play->config.hidden_count + 1) + in[1]) * STEP_CLASSES;

	step_read_quantizers(play->agent, table);
	for (int class = 0; class < STEP_CLASSES; class ++) {
		table[entry + (size_t) class].width = (int32_t)in[2 + 2 * class];
		table[entry + (size_t) class].fraction = (int32_t)in[3 + 2 * class];
	}
	return step_write_quantizers(play->agent, table) == 0;
}

static int set_precision(struct play *play, uint32_t quantized)
{
	play->mode.quantized = quantized;
	step_set_mode(play->agent, &play->mode);
	return 1;
}

/* ---- Outputs ---- */

/* Everything behind a line's first word is expected; `first` numbers before these results are its address. */
static int same(const struct play *play, const struct golden_row *row, size_t first, const int64_t *results,
		size_t count)
{
	if (row->inputs != 1 + first + count) {
		ktap_note("train.txt line %u: %zu values, expected %zu", row->line, row->inputs - 1, first + count);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (row->in[1 + first + i] != results[i]) {
			ktap_note(
				"train.txt line %u (%s), step %" PRIu64 ": value %zu is %" PRId64 ", expected %" PRId64,
				row->line, row->word[0], play->step, first + i + 1, results[i], row->in[1 + first + i]);
			return 0;
		}
	}
	return 1;
}

static int same32(const struct play *play, const struct golden_row *row, size_t first, const int32_t *results,
		  size_t count)
{
	int64_t *wide = golden_memory(count, sizeof(*wide));
	int equal;

	for (size_t i = 0; i < count; i++)
		wide[i] = results[i];
	equal = same(play, row, first, wide, count);
	free(wide);
	return equal;
}

static int64_t hash(const void *values, size_t count)
{
	const uint8_t *bytes = values;
	uint64_t result = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < 4 * count; i++)
		result = (result ^ bytes[i]) * UINT64_C(0x100000001b3);
	return (int64_t)result;
}

/* The parameter, and that of the target network, that numbers 1 to 3 of a line name. */
static const struct nn_parameter *parameter(const struct play *play, const struct golden_row *row, int target)
{
	const struct nn_network *network =
		target ? &play->agent->target[row->in[1]] : &play->agent->network[row->in[1]];
	const struct nn_layer *layer = &network->layer[row->in[2]];

	return row->in[3] ? &layer->bias : &layer->weight;
}

static int same_tensor(const struct play *play, const struct golden_row *row)
{
	const struct nn_parameter *p = parameter(play, row, 0);
	const int64_t results[4] = { hash(p->value, p->count), hash(p->moment1, p->count),
				     hash(p->moment2, p->count), hash(parameter(play, row, 1)->value, p->count) };

	return same(play, row, 3, results, 4);
}

static int same_full(const struct play *play, const struct golden_row *row)
{
	const struct nn_parameter *p = parameter(play, row, 0);
	const int32_t *what[4] = { p->value, p->moment1, NULL, parameter(play, row, 1)->value };
	int64_t *codes;
	int equal;

	if (what[row->in[4]])
		return same32(play, row, 4, what[row->in[4]], p->count);
	codes = golden_memory(p->count, sizeof(*codes));	/* unsigned, of second moments */
	for (size_t i = 0; i < p->count; i++)
		codes[i] = p->moment2[i];
	equal = same(play, row, 4, codes, p->count);
	free(codes);
	return equal;
}

static int same_ranges(const struct play *play, const struct golden_row *row)
{
	struct step_range table[2 * LAYERS_MAX * STEP_CLASSES];
	const struct step_range *r =
		table + (size_t)(row->in[1] * (play->config.hidden_count + 1) + row->in[2]) * STEP_CLASSES;

	step_read_ranges(play->agent, table);
	return same(play, row, 2,
		    (const int64_t[]){ r[STEP_ACTIVATION].minimum, r[STEP_ACTIVATION].maximum, r[STEP_GRADIENT].minimum,
				       r[STEP_GRADIENT].maximum, r[STEP_WEIGHT].minimum, r[STEP_WEIGHT].maximum },
		    6);
}

/* Intermediate values: those that the agent still has after the step. */
static int same_trace(const struct play *play, const struct golden_row *row)
{
	static const char *const overwritten[] = { "next_action", "q_next", "q", "delta", "actor_last_gradient" };
	const struct step_agent *agent = play->agent;
	const size_t actions = (size_t)play->batch * play->config.action_dim;
	const char *name = row->word[1];
	unsigned layer;

	if (!strcmp(name, "target"))
		return same32(play, row, 1, agent->target_value, play->batch);
	if (!strcmp(name, "policy"))
		return same32(play, row, 1, agent->action, actions);
	if (!strcmp(name, "q_policy"))
		return same32(play, row, 1, agent->pass[STEP_CRITIC].output, play->batch);
	if (!strcmp(name, "action_gradient"))
		return same32(play, row, 1, agent->action_gradient, actions);
	if (sscanf(name, "actor_%u_", &layer) == 1 || sscanf(name, "critic_%u_", &layer) == 1) {
		const enum step_network network = name[0] == 'a' ? STEP_ACTOR : STEP_CRITIC;
		const struct nn_layer *shape = &agent->network[network].layer[layer];

		if (strstr(name, "bias"))
			return same32(play, row, 1, play->gradients[network].bias[layer], shape->bias.count);
		return same32(play, row, 1, play->gradients[network].weight[layer], shape->weight.count);
	}
	for (size_t i = 0; i < sizeof(overwritten) / sizeof(overwritten[0]); i++)
		if (!strcmp(name, overwritten[i]))
			return 1;
	ktap_note("train.txt line %u: no value is called %s", row->line, name);
	return 0;
}

/* One row's action. Exploring: with one thread all rows are one command, with more each is a command of its own. */
static int same_action(struct play *play, const struct golden_row *row, uint32_t *done, uint32_t flags)
{
	const uint32_t width = play->config.action_dim, together = pe_pool_threads(play->pool) == 1;
	const uint32_t rows = together ? play->explore_rows : 1;
	const uint32_t i = (*done)++;

	if (i >= play->explore_rows)
		return 0;
	if (!together || i == 0) {
		if (step_act(play->agent, rows, play->observation + (size_t)i * play->config.observation_dim,
			     play->action + (size_t)i * width, flags | play->act_flags))
			return 0;
		play->act_flags = 0;
	}
	return same32(play, row, 0, play->action + (size_t)i * width, width);
}

static int same_explore_counters(const struct play *play, const struct golden_row *row)
{
	int64_t counted[STEP_SATURATIONS];

	for (int i = 0; i < STEP_SATURATIONS; i++)
		counted[i] = (int64_t)(play->agent->saturation[i] - play->saturation_before[i]);
	return same(play, row, 0, counted, STEP_SATURATIONS);
}

static int same_maxima(const struct play *play, const struct golden_row *row)
{
	const size_t count = STEP_BACKWARDS * ((size_t)play->config.hidden_count + 1);
	int64_t maxima[STEP_BACKWARDS * LAYERS_MAX];

	for (size_t i = 0; i < count; i++)
		maxima[i] = play->agent->gradient_maxima[i];
	return same(play, row, 0, maxima, count);
}

static int same_noise_state(const struct play *play, const struct golden_row *row)
{
	int64_t state[64];

	for (uint32_t j = 0; j < play->config.action_dim; j++)
		state[j] = play->agent->noise_state[j];
	state[play->config.action_dim] = (int64_t)*play->agent->noise_count;
	return same(play, row, 0, state, play->config.action_dim + 1);
}

static int same_counters(const struct play *play, const struct golden_row *row)
{
	return same(play, row, 0, (const int64_t *)play->statistics.saturation, STEP_SATURATIONS);
}

/* ---- The lines ---- */

static int is(const struct golden_row *row, const char *key)
{
	return !strcmp(row->word[0], key);
}

/* A line of a case's head; 0 if it is none. */
static int head(struct play *play, const struct golden_row *row)
{
	struct step_hyperparameters *hyper = &play->config.hyper;
	const int64_t *in = row->in + 1;

	if (is(row, "seed"))
		play->config.seed = (uint64_t)in[0];
	else if (is(row, "observation_dim"))
		play->config.observation_dim = (uint32_t)in[0];
	else if (is(row, "action_dim"))
		play->config.action_dim = (uint32_t)in[0];
	else if (is(row, "hidden"))
		for (size_t i = 0; i < row->inputs - 1; i++)
			play->config.hidden[play->config.hidden_count++] = (uint32_t)in[i];
	else if (is(row, "batch"))
		play->batch = (uint32_t)in[0];
	else if (is(row, "discount"))
		hyper->discount = (int32_t)in[0];
	else if (is(row, "gradient_scales")) {
		hyper->gradient_scale[STEP_CRITIC] = (int32_t)in[0];
		hyper->gradient_scale[STEP_ACTOR] = (int32_t)in[1];
	} else if (is(row, "beta1"))
		hyper->beta1 = (uint32_t)in[0];
	else if (is(row, "one_minus_beta2"))
		hyper->one_minus_beta2 = (uint32_t)in[0];
	else if (is(row, "critic_rate") || is(row, "actor_rate")) {
		const enum step_network network = is(row, "actor_rate") ? STEP_ACTOR : STEP_CRITIC;

		hyper->rate_mantissa[network] = (uint32_t)in[0];
		hyper->rate_exponent[network] = (uint32_t)in[1];
	} else if (is(row, "tau"))
		hyper->tau = (uint32_t)in[0];
	else if (is(row, "noise")) {
		play->mode.noise = in[0] ? STEP_NOISE_OU : STEP_NOISE_GAUSSIAN;
		play->mode.noise_sigma = (int32_t)in[1];
		play->mode.noise_theta = (int32_t)in[2];
	} else if (is(row, "shifts"))
		for (int i = 0; i < 4; i++)
			play->shift[i] = (unsigned)in[i];
	else if (is(row, "terminal_mask"))
		play->terminal_mask = (uint32_t)in[0];
	else if (is(row, "weight_gain"))
		play->weight_gain = (unsigned)in[0];
	else if (is(row, "explore_rows"))
		play->explore_rows = (uint32_t)in[0];
	else
		return 0;
	return 1;
}

/* A line behind the head; 0 if it failed. */
static int body(struct play *play, const struct golden_row *row)
{
	const int64_t statistics[2] = { (int64_t)play->statistics.loss_sum, play->statistics.q_sum };

	if (is(row, "initial") || is(row, "tensor"))
		return same_tensor(play, row);
	if (is(row, "quantizer"))
		return set_quantizer(play, row->in + 1);
	if (is(row, "step")) {
		play->step = (uint64_t)row->in[1];
		return train(play, (uint32_t)row->in[2]);
	}
	if (is(row, "statistics"))
		return same(play, row, 0, statistics, 2);
	if (is(row, "counters"))
		return same_counters(play, row);
	if (is(row, "adam"))
		return same(play, row, 1, (const int64_t *)play->agent->adam_powers + 2 * row->in[1], 2);
	if (is(row, "mode"))
		return set_precision(play, (uint32_t)row->in[1]);
	if (is(row, "maxima"))
		return same_maxima(play, row);
	if (is(row, "ranges"))
		return same_ranges(play, row);
	if (is(row, "full"))
		return same_full(play, row);
	if (is(row, "trace"))
		return same_trace(play, row);
	if (is(row, "explore"))
		return same_action(play, row, &play->explored, STEP_ACT_EXPLORE);
	if (is(row, "explore_counters"))
		return same_explore_counters(play, row);
	if (is(row, "noise_state"))
		return same_noise_state(play, row);
	if (is(row, "act"))
		return same_action(play, row, &play->acted, 0);
	if (is(row, "reset_noise")) {
		play->act_flags = STEP_ACT_RESET_NOISE;
		return 1;
	}
	return 0;
}

/* Plays the case that begins at row *next; leaves *next behind its end. */
static int play_case(const struct golden_table *table, size_t *next, const struct pe_engine *engine,
		     struct pe_pool *pool, uint32_t parallelism)
{
	struct play play = { .table = table, .engine = engine, .pool = pool, .parallelism = parallelism };
	int passed = 1, steps = 0;

	for (++*next; *next < table->count && !is(&table->row[*next], "end"); ++*next) {
		const struct golden_row *row = &table->row[*next];

		if (!passed || (!play.agent && head(&play, row)))
			continue;
		if (!play.agent && !create(&play)) {
			ktap_note("train.txt line %u: the agent cannot be made", row->line);
			passed = 0;
			continue;
		}
		steps += is(row, "step");
		if (!body(&play, row)) {
			ktap_note("train.txt line %u failed: %s", row->line, row->word[0]);
			passed = 0;
		}
	}
	++*next;
	destroy(&play);
	return passed && steps > 0;
}

static void play_all(const struct golden_table *table, size_t engine_number, unsigned threads, uint32_t parallelism)
{
	const struct pe_engine *engine;
	struct pe_pool *pool = NULL;
	char name[80];

	snprintf(name, sizeof(name), "train, engine %s, %u thread%s", engine_names[engine_number], threads,
		 threads > 1 ? "s" : "");
	engine = engine_or_skip(engine_number, name);
	if (!engine)
		return;
	if (pe_pool_create(threads, &pool)) {
		ktap_ok(0, "%s: pool", name);
		return;
	}
	/* The agents are small: without this everything would stay on one thread. */
	pe_pool_set_least(pool, 0);
	for (size_t next = 0; next < table->count;) {
		const int64_t number = table->row[next].in[1];

		ktap_ok(play_case(table, &next, engine, pool, parallelism), "%s, case %" PRId64, name, number);
	}
	pe_pool_destroy(pool);
}

int main(int argc, char **argv)
{
	struct golden_table table;

	golden_find(argc, argv);
	ktap_start();
	if (golden_load("train", &table)) {
		for (size_t i = 0; i < ENGINES; i++) {
			play_all(&table, i, 1, STEP_PARALLELISM_AUTO);
			play_all(&table, i, 2, STEP_INTRA_LAYER);
			play_all(&table, i, 2, STEP_INTRA_BATCH);
		}
	}
	golden_free(&table);
	return ktap_finish();
}
