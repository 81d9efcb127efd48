// SPDX-License-Identifier: MIT
/*
 * Description: weights in crossbar cells: what a code becomes is what is computed by hand; an agent that trains with
 * perfect cells is the one without, to the bit; with cells that vary its bits do not depend on engine and threads
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

#include <fixar/fixar.h>

#include "agent/agent.h"
#include "fx/fixed.h"
#include "fx/random.h"
#include "pe/pool.h"
#include "quantize/cell_noise.h"
#include "quantize/policy_quality.h"
#include "scratch.h"

static struct cell_noise cells(double variation, double levels, uint64_t seed)
{
	return (struct cell_noise){
		.cells = { .cell_bits = 2, .variation = variation, .on_off_ratio = 150, .levels = levels }, .seed = seed
	};
}

/* ---- Codes ---- */

/* Three levels of a cell of two bits are 0, 1.5 and 3. A weight of four bits has two cells, worth 4 and 1; its code is stored 8 higher. */
static void test_by_hand(void)
{
	static const double level[] = { 0, 1.5, 1.5, 3 };
	const struct cell_noise noise = cells(0, 3, 0);
	int32_t codes[16];
	int right = 1;

	for (int i = 0; i < 16; i++)
		codes[i] = i - 8;
	cell_noise_apply(&noise, 0, 0, 4, 10, 0, 16, codes);
	for (int i = 0; i < 16; i++)
		right = right && codes[i] == (int32_t)((4 * level[i >> 2] + level[i & 3] - 8) * (1 << (FX_WEIGHT - 10)));
	ktap_ok(right, "cells of three levels, by hand");
	codes[0] = 1000;
	codes[1] = -1000;
	cell_noise_apply(&noise, 0, 0, 12, 0, 0, 2, codes);
	ktap_ok(codes[0] == INT32_MAX && codes[1] == INT32_MIN, "what a master cannot hold is limited");
}

static void draw_codes(uint32_t width, size_t count, int32_t *codes)
{
	for (size_t i = 0; i < count; i++)
		codes[i] = (int32_t)fx_random_word(5, FX_RANDOM_TEST, width, (uint32_t)i) >> (32 - width);
}

static void test_codes(void)
{
	enum { COUNT = 700 };
	static int32_t codes[COUNT], whole[COUNT], pieces[COUNT];
	struct cell_noise noise = cells(0, 0, 0);
	int exact = 1;

	for (uint32_t width = 2; width <= 32; width += width == 16 ? 16 : 1) {
		const int fraction = width == 32 ? FX_WEIGHT : (int)width + 3;

		draw_codes(width, COUNT, codes);
		memcpy(whole, codes, sizeof(whole));
		cell_noise_apply(&noise, 0, 0, width, fraction, 0, COUNT, whole);
		for (int i = 0; i < COUNT; i++)
			exact = exact && whole[i] == (int32_t)((int64_t)codes[i] * (1 << (FX_WEIGHT - fraction)));
	}
	ktap_ok(exact, "perfect cells hold every code of 2 to 16 and 32 bits");

	noise = cells(0.1, 0, 3);
	draw_codes(6, COUNT, codes);
	memcpy(whole, codes, sizeof(whole));
	memcpy(pieces, codes, sizeof(pieces));
	cell_noise_apply(&noise, 1, 2, 6, 9, 0, COUNT, whole);
	for (size_t from = 0; from < COUNT; from += 140)
		cell_noise_apply(&noise, 1, 2, 6, 9, from, 140, pieces + from);
	ktap_ok(!memcmp(whole, pieces, sizeof(whole)), "a layer in pieces is the layer");
	for (unsigned other = 0; other < 3; other++) {
		static const char *const what[] = { "another network has other cells", "and another layer", "and another seed" };

		memcpy(pieces, codes, sizeof(pieces));
		noise.seed = other == 2 ? 4 : 3;
		cell_noise_apply(&noise, other == 0 ? 3 : 1, other == 1 ? 1 : 2, 6, 9, 0, COUNT, pieces);
		ktap_ok(memcmp(whole, pieces, sizeof(whole)) != 0, "%s", what[other]);
	}
}

/* ---- Agents that train ---- */

#define BATCH 16
#define LAYERS 3
#define TABLE (2 * LAYERS * STEP_CLASSES)
#define OBSERVATION 5
#define ACTION 3

static const struct step_config config = {
	.observation_dim = OBSERVATION, .action_dim = ACTION, .hidden_count = LAYERS - 1, .hidden = { 33, 18 }, .batch_max = BATCH,
	.seed = 42,
	.hyper = {
		.discount = 2126008812, .tau = 10737418, .beta1 = 1932735283, .one_minus_beta2 = 4294967,
		.rate_mantissa = { 1099511628, 1099511628 }, .rate_exponent = { 40, 40 }, .gradient_scale = { 2, 0 },
	},
};

struct subject {
	size_t bytes;
	unsigned char *arena;
	struct pe_pool *pool;
	struct step_agent *agent;
};

static void hold(void *user, const struct nn_held *held)
{
	cell_noise_apply(user, held->network, held->layer, (uint32_t)held->width, held->fraction, held->first, held->count, held->codes);
}

/* Weights of 7, 32 and 9 bits. */
static int create(struct subject *s, const struct pe_engine *engine, unsigned threads)
{
	static const int32_t width[STEP_CLASSES][LAYERS] = { { 8, 8, 8 }, { 7, 32, 9 }, { 32, 32, 32 } };
	static const int32_t fraction[STEP_CLASSES][LAYERS] = { { 5, 5, 5 }, { 6, FX_WEIGHT, 8 }, { 24, 24, 24 } };
	struct step_quantizer table[TABLE];

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < TABLE; i++) {
		const int class = i % STEP_CLASSES, layer = i / STEP_CLASSES % LAYERS;

		table[i] = (struct step_quantizer){ width[class][layer], fraction[class][layer], class != STEP_ACTIVATION || !layer };
	}
	step_layout(&config, NULL, 0, &s->bytes);
	s->arena = aligned_alloc(STEP_ALIGNMENT, s->bytes);
	if (pe_pool_create(threads, &s->pool))
		return 0;
	/* Small tensors go through all threads too. */
	pe_pool_set_least(s->pool, 0);
	if (step_agent_create(&config, s->arena, engine, s->pool, &s->agent) || step_write_quantizers(s->agent, table))
		return 0;
	step_set_mode(s->agent, &(struct step_mode){ .quantized = 1 });
	return 1;
}

static void destroy(struct subject *s)
{
	step_agent_destroy(s->agent);
	pe_pool_destroy(s->pool);
	free(s->arena);
}

static void draw(uint64_t index, int32_t *values, size_t n, unsigned shift)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (int32_t)fx_random_word(7, FX_RANDOM_TEST, index, (uint32_t)i) >> shift;
}

/* Four steps with the cells of `noise` (NULL: no store), in the actor, the critic or both (bits 0 and 1). Leaves the state in s->arena. */
static int train(struct subject *s, const struct pe_engine *engine, unsigned threads, struct cell_noise *noise, unsigned networks)
{
	static int32_t observation[BATCH * OBSERVATION], action[BATCH * ACTION], reward[BATCH], next[BATCH * OBSERVATION];
	static uint8_t terminal[BATCH];
	const struct step_batch batch = { BATCH, observation, action, reward, next, terminal };
	const struct nn_store store = { hold, noise };
	struct step_statistics statistics;
	int error = !create(s, engine, threads);

	for (int n = 0; !error && noise && n < STEP_NETWORKS; n++)
		if (networks >> n & 1)
			step_set_weight_store(s->agent, (enum step_network)n, &store);
	for (uint64_t t = 0; !error && t < 4; t++) {
		draw(8 * t, observation, BATCH * OBSERVATION, 30 - FX_ACTIVATION);
		draw(8 * t + 1, action, BATCH * ACTION, 31 - FX_ACTIVATION);
		draw(8 * t + 2, reward, BATCH, 29 - FX_ACTIVATION);
		draw(8 * t + 3, next, BATCH * OBSERVATION, 30 - FX_ACTIVATION);
		for (int b = 0; b < BATCH; b++)
			terminal[b] = b % 5 == 0;
		error = step_train(s->agent, &batch, &statistics);
	}
	return !error;
}

static void test_training(void)
{
	struct cell_noise perfect = cells(0, 0, 0), noise = cells(0.1, 0, 1), levels = cells(0, 3, 0);
	struct subject clean, reference, s;

	if (!ktap_ok(train(&clean, pe_engine_find("scalar"), 1, NULL, 0) && train(&reference, pe_engine_find("scalar"), 1, &noise, 3),
		     "agents train without and with cells that vary"))
		return;
	ktap_ok(memcmp(clean.arena, reference.arena, clean.bytes) != 0, "cells that vary train to other bits");
	for (unsigned networks = 1; networks <= 3; networks++) {
		static const char *const names[] = { "", "actor", "critic", "both" };

		if (!train(&s, pe_engine_find(NULL), 2, &perfect, networks))
			return;
		ktap_ok(!memcmp(clean.arena, s.arena, s.bytes), "perfect cells train to the same bits, %s", names[networks]);
		destroy(&s);
		if (!train(&s, pe_engine_find(NULL), 2, &levels, networks))
			return;
		ktap_ok(memcmp(clean.arena, s.arena, s.bytes) != 0, "cells of three levels do not, %s", names[networks]);
		destroy(&s);
	}
	for (size_t e = 0; e < ENGINES; e++) {
		const struct pe_engine *engine = engine_or_skip(e, "the same bits on another engine");

		for (unsigned threads = 1; engine && threads <= 3; threads++) {
			if (!train(&s, engine, threads, &noise, 3))
				return;
			ktap_ok(!memcmp(reference.arena, s.arena, s.bytes), "cells that vary: the same bits, %s, %u threads",
				engine_names[e], threads);
			destroy(&s);
		}
	}
	destroy(&clean);
	destroy(&reference);
}

/* Which networks were held; each sees all of its weights. */
static size_t held_weights[2 * STEP_NETWORKS];

static void count_held(void *user, const struct nn_held *held)
{
	hold(user, held);
	__atomic_fetch_add(&held_weights[held->network], held->count, __ATOMIC_RELAXED);
}

static void test_networks(void)
{
	struct cell_noise noise = cells(0, 0, 0);
	const struct nn_store store = { count_held, &noise };
	/* Of layers 33, 18 and 3 or 1, from 5 and, with the action, 8 inputs. */
	const size_t weights[] = { 5 * 33 + 33 * 18 + 18 * 3, 8 * 33 + 33 * 18 + 18 };

	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		static const int32_t zero[OBSERVATION + ACTION + 2];
		static const uint8_t terminal[1];
		const struct step_batch batch = { 1, zero, zero, zero, zero, terminal };
		struct step_statistics statistics;
		struct subject s;

		if (!create(&s, pe_engine_find(NULL), 2))
			return;
		memset(held_weights, 0, sizeof(held_weights));
		step_set_weight_store(s.agent, (enum step_network)n, &store);
		step_train(s.agent, &batch, &statistics);
		/* Before the step, and after each network's update. */
		ktap_ok(held_weights[n] == 2 * weights[n] && held_weights[n + 2] == 2 * weights[n] && !held_weights[1 - n] &&
				!held_weights[3 - n],
			"the cells of the %s are its own and its target's", n ? "critic" : "actor");
		destroy(&s);
	}
}

/* Acting with a store is acting with masters that are what the cells hold: the other way in which an actor gets into cells. */
static void test_acting(void)
{
	static const int32_t width[LAYERS] = { 7, 32, 9 }, fraction[LAYERS] = { 6, FX_WEIGHT, 8 };
	int32_t observation[OBSERVATION], with_store[ACTION], with_masters[ACTION], without[ACTION];
	struct cell_noise noise = cells(0.15, 0, 9);
	const struct nn_store store = { hold, &noise };
	struct step_quantizer table[TABLE];
	struct step_tensor tensors[128];
	struct subject s;
	size_t bytes, count = step_layout(&config, tensors, 128, &bytes);
	uint64_t ignored = 0;

	if (!create(&s, pe_engine_find(NULL), 1))
		return;
	draw(900, observation, OBSERVATION, 30 - FX_ACTIVATION);
	step_act(s.agent, 1, observation, without, 0);
	step_set_weight_store(s.agent, STEP_ACTOR, &store);
	step_act(s.agent, 1, observation, with_store, 0);
	step_set_weight_store(s.agent, STEP_ACTOR, NULL);
	step_act(s.agent, 1, observation, with_masters, 0);
	ktap_ok(memcmp(without, with_store, sizeof(without)) != 0 && !memcmp(without, with_masters, sizeof(without)),
		"cells change actions until they are taken away");

	step_read_quantizers(s.agent, table);
	for (uint32_t l = 0; l < LAYERS; l++) {
		const int32_t high = (int32_t)((INT64_C(1) << (width[l] - 1)) - 1);
		char name[48];

		snprintf(name, sizeof(name), "actor.%u.weight", l);
		for (size_t t = 0; t < count; t++) {
			int32_t *weight = (int32_t *)(void *)(s.arena + tensors[t].offset);
			const size_t n = tensors[t].bytes / sizeof(int32_t);

			if (strcmp(tensors[t].name, name))
				continue;
			for (size_t i = 0; i < n; i++)
				weight[i] = fx_clamp(fx_round_half_up(weight[i], (unsigned)(FX_WEIGHT - fraction[l])), -high - 1, high,
						     &ignored);
			cell_noise_apply(&noise, STEP_ACTOR, l, (uint32_t)width[l], fraction[l], 0, n, weight);
		}
		table[l * STEP_CLASSES + STEP_WEIGHT] = (struct step_quantizer){ 32, FX_WEIGHT, 1 };
	}
	step_agent_reload(s.agent);
	step_write_quantizers(s.agent, table);
	step_act(s.agent, 1, observation, with_masters, 0);
	ktap_ok(!memcmp(with_store, with_masters, sizeof(with_store)), "they act as masters that are what the cells hold");
	destroy(&s);
}

/* ---- A run ---- */

static char said[1024];

static void remember(void *user, enum fixar_log_level level, const char *message)
{
	(void)user;
	(void)level;
	snprintf(said, sizeof(said), "%s", message);
}

/* A short training, saved to `folder`. 0 or a negative errno value. */
static int make_run(struct fixar_device *device, const char *folder)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	char message[256];
	int error = fixar_env_find("pendulum", &env, message, sizeof(message));

	options.precision = FIXAR_QAT16;
	options.hidden[0] = options.hidden[1] = 16;
	options.batch = 8;
	options.warm_up_steps = 50;
	options.delay = 1000000;
	if (!error)
		error = fixar_agent_create(device, &env, &options, &agent);
	if (!error)
		error = fixar_agent_train(agent, 300, NULL, NULL);
	if (!error)
		error = fixar_agent_save(agent, folder);
	fixar_agent_destroy(agent);
	return error;
}

/* Two ways into cells, once for acting and at every forming of codes for training, are one; and a device that has only the first says so. */
static void test_run(void)
{
	static const struct cost_widths widths[] = { { 8, 6 }, { 8, 32 }, { 8, 7 } };
	struct fixar_device_options device_options = FIXAR_DEVICE_OPTIONS_INIT;
	const struct cell_noise noise = cells(0.1, 0, 6);
	const char *folder = in_scratch("run");
	struct policy_quality_options options = {
		.directory = folder, .episodes = 2, .seed = 1000000, .noise = &noise, .fine_tunes = 1, .log = remember
	};
	struct policy_quality *quality = NULL;
	double once = 0, tuned = 1, clean = 0;
	const struct device_ops *all;
	struct device_ops without;
	int error;

	device_options.precision = FIXAR_QAT16;
	device_options.threads = 1;
	if (!ktap_ok(!fixar_device_open("cpu", &device_options, &options.device) && !make_run(options.device, folder), "a run is made"))
		return;
	error = policy_quality_open(&options, &quality);
	if (!error)
		error = policy_quality_evaluate(quality, widths, &once);
	if (!error)
		error = policy_quality_fine_tune(quality, widths, 0, &tuned);
	ktap_ok(!error && once == tuned, "an actor in cells is the same whether it acts or is trained for no step (%.3f, %.3f)", once, tuned);
	policy_quality_close(quality);
	options.noise = NULL;
	error = policy_quality_open(&options, &quality);
	if (!error)
		error = policy_quality_evaluate(quality, widths, &clean);
	ktap_ok(!error && clean != once, "and another than without (%.3f)", clean);
	policy_quality_close(quality);

	options.noise = &noise;
	all = options.device->ops;
	without = *all;
	without.set_weight_store = NULL;
	options.device->ops = &without;
	for (int what = 0; what < 3; what++) {
		static const char *const names[] = { "an actor that is not trained", "an actor that is fine-tuned", "a critic" };

		said[0] = '\0';
		options.fine_tunes = what == 1;
		options.critic = what == 2;
		quality = NULL;
		error = policy_quality_open(&options, &quality);
		if (!ktap_ok(what ? error == -EOPNOTSUPP && strstr(said, "on the CPU alone") : !error,
			     "a device that cannot train with cells: %s is %s", names[what], what ? "refused" : "not refused"))
			ktap_note("%d: %s", error, said);
		policy_quality_close(quality);
	}
	options.device->ops = all;
	fixar_device_close(options.device);
}

/* ---- Devices that cannot ---- */

static void quiet(void *user, enum fixar_log_level level, const char *message)
{
	(void)user;
	(void)level;
	(void)message;
}

static void test_devices(void)
{
	for (int full = 0; full < 2; full++) {
		struct fixar_device_options device_options = FIXAR_DEVICE_OPTIONS_INIT;
		struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
		struct cell_noise noise = cells(0.1, 0, 0);
		struct fixar_device *device = NULL;
		struct fixar_agent *agent = NULL;
		struct fixar_env env;
		char message[256];
		int error = fixar_env_find("pendulum", &env, message, sizeof(message));

		device_options.precision = options.precision = full ? FIXAR_FLOAT32 : FIXAR_FIXED32;
		device_options.threads = 1;
		device_options.log = options.log = quiet;
		if (!error)
			error = fixar_device_open("cpu", &device_options, &device);
		if (!error)
			error = fixar_agent_create(device, &env, &options, &agent);
		if (!ktap_ok(!error, "an agent of %s", full ? "float32" : "fixed32"))
			return;
		error = cell_noise_attach(&noise, agent, 1);
		ktap_ok(error == (full ? -EOPNOTSUPP : 0), full ? "a device without such cells says so" : "the CPU has them");
		fixar_agent_destroy(agent);
		fixar_device_close(device);
	}
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_by_hand();
	test_codes();
	test_training();
	test_networks();
	test_acting();
	test_run();
	test_devices();
	return ktap_finish();
}
