// SPDX-License-Identifier: MIT
/*
 * Description: an agent's state does not depend on engine, threads or parallelism; commands change what they should
 * alone
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

#include "fx/fixed.h"
#include "fx/random.h"
#include "pe/pool.h"
#include "qat/policy.h"
#include "step/agent.h"
#include "step/step.h"

#define BATCH 24
#define LAYERS 3
#define TABLE (2 * LAYERS * STEP_CLASSES)

static const struct step_config base_config = {
	.observation_dim = 5, .action_dim = 3, .hidden_count = LAYERS - 1, .hidden = { 33, 18 }, .batch_max = BATCH, .seed = 42,
	.hyper = {
		.discount = 2126008812, .tau = 10737418, .beta1 = 1932735283, .one_minus_beta2 = 4294967,
		.rate_mantissa = { 1099511628, 1099511628 }, .rate_exponent = { 40, 40 }, .gradient_scale = { 2, 0 },
	},
};

/* ---- An agent with all that belongs to it ---- */

struct fixture {
	struct step_config config;
	struct step_mode mode;
	size_t bytes;
	unsigned char *arena;
	struct pe_pool *pool;
	struct step_agent *agent;
};

static int create(struct fixture *f, const struct step_config *config, const struct pe_engine *engine, unsigned threads)
{
	memset(f, 0, sizeof(*f));
	f->config = *config;
	f->mode = (struct step_mode){ .noise = STEP_NOISE_OU, .noise_sigma = 838861, .noise_theta = 629146 };
	step_layout(config, NULL, 0, &f->bytes);
	f->arena = aligned_alloc(STEP_ALIGNMENT, f->bytes);
	if (pe_pool_create(threads, &f->pool))
		return 0;
	/* Small tensors go through all threads too. */
	pe_pool_set_least(f->pool, 0);
	if (step_agent_create(config, f->arena, engine, f->pool, &f->agent))
		return 0;
	step_set_mode(f->agent, &f->mode);
	return 1;
}

static void destroy(struct fixture *f)
{
	step_agent_destroy(f->agent);
	pe_pool_destroy(f->pool);
	free(f->arena);
}

static void draw(uint64_t index, int32_t *values, size_t n, unsigned shift)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (int32_t)fx_random_word(7, FX_RANDOM_TEST, index, (uint32_t)i) >> shift;
}

/* Training step number t, on data that depends on t alone. */
static int train_size(struct fixture *f, uint64_t t, uint32_t size, struct step_statistics *statistics)
{
	static int32_t observation[BATCH * 8], action[BATCH * 8], reward[BATCH], next[BATCH * 8], words[BATCH];
	static uint8_t terminal[BATCH];
	const struct step_batch batch = { size, observation, action, reward, next, terminal };

	/* Observations to +-2, actions to +-1, rewards to +-4. */
	draw(8 * t, observation, BATCH * 8, 30 - FX_ACTIVATION);
	draw(8 * t + 1, action, BATCH * 8, 31 - FX_ACTIVATION);
	draw(8 * t + 2, reward, BATCH, 29 - FX_ACTIVATION);
	draw(8 * t + 3, next, BATCH * 8, 30 - FX_ACTIVATION);
	draw(8 * t + 4, words, BATCH, 0);
	for (int b = 0; b < BATCH; b++)
		terminal[b] = words[b] % 4 == 0;
	return step_train(f->agent, &batch, statistics);
}

static void train(struct fixture *f, uint64_t from, uint64_t to)
{
	struct step_statistics statistics;

	for (uint64_t t = from; t < to; t++)
		train_size(f, t, BATCH, &statistics);
}

static void set_mode(struct fixture *f, uint32_t quantized, uint32_t observe, uint32_t parallelism)
{
	f->mode.quantized = quantized;
	f->mode.observe = observe;
	f->mode.parallelism = parallelism;
	step_set_mode(f->agent, &f->mode);
}

/* Narrow operands of several widths, that clamp now and then. */
static void narrow(struct step_quantizer table[TABLE])
{
	static const int32_t fraction[STEP_CLASSES] = { 11, 14, 13 }, width[STEP_CLASSES] = { 12, 13, 12 };

	for (int i = 0; i < TABLE; i++) {
		const int class = i % STEP_CLASSES, layer = i / STEP_CLASSES % LAYERS;

		table[i] = (struct step_quantizer){ width[class] + layer, fraction[class] + layer,
						    class != STEP_ACTIVATION || !layer };
	}
}

static int same(const struct fixture *a, const struct fixture *b)
{
	return a->bytes == b->bytes && !memcmp(a->arena, b->arena, a->bytes);
}

/* ---- Engines and threads ---- */

/* Ten steps with masters, ten with narrow operands, exploring between them. */
static int run_both_modes(struct fixture *f, const struct pe_engine *engine, unsigned threads, uint32_t parallelism)
{
	struct step_quantizer table[TABLE];
	int32_t observation[4 * 5], action[4 * 3];

	if (!create(f, &base_config, engine, threads))
		return 0;
	set_mode(f, 0, 1, parallelism);
	train(f, 0, 10);
	narrow(table);
	if (step_write_quantizers(f->agent, table))
		return 0;
	set_mode(f, 1, 1, parallelism);
	draw(9, observation, 4 * 5, 30 - FX_ACTIVATION);
	if (step_act(f->agent, 4, observation, action, STEP_ACT_EXPLORE | STEP_ACT_RESET_NOISE))
		return 0;
	train(f, 10, 20);
	return 1;
}

static void test_same_arenas(void)
{
	struct fixture reference;
	uint64_t limited = 0;

	if (!ktap_ok(run_both_modes(&reference, &pe_scalar, 1, STEP_PARALLELISM_AUTO), "20 steps, scalar, 1 thread"))
		return;
	for (int i = STEP_SATURATION_ACTIVATION_QUANTIZER; i <= STEP_SATURATION_WEIGHT_QUANTIZER; i++)
		limited += reference.agent->saturation[i];
	ktap_ok(limited && *reference.agent->training_steps == 20,
		"the steps are counted, and some operands were clamped");
	for (size_t e = 0; e < ENGINES; e++) {
		for (unsigned threads = 1; threads <= 3; threads++) {
			for (uint32_t parallelism = STEP_PARALLELISM_AUTO; parallelism <= STEP_INTRA_BATCH;
			     parallelism++) {
				const struct pe_engine *engine;
				struct fixture f;
				char name[80];

				snprintf(name, sizeof(name),
					 "20 steps give the same state: %s, threads %u, parallelism %u",
					 engine_names[e], threads, parallelism);
				engine = engine_or_skip(e, name);
				if (!engine)
					continue;
				ktap_ok(run_both_modes(&f, engine, threads, parallelism) && same(&f, &reference), "%s",
					name);
				destroy(&f);
			}
		}
	}
	destroy(&reference);
}

/* ---- What commands change ---- */

static void test_act(void)
{
	struct fixture f, other;
	int32_t observation[4 * 5], action[4 * 3], again[4 * 3], quantized[4 * 3];
	unsigned char *before;
	struct step_tensor tensors[64];
	size_t count, outside = 0;

	if (!ktap_ok(run_both_modes(&f, pe_engine_find(NULL), 1, 0) &&
			     run_both_modes(&other, pe_engine_find(NULL), 1, 0),
		     "agents to act with"))
		return;
	before = malloc(f.bytes);
	memcpy(before, f.arena, f.bytes);
	draw(11, observation, 4 * 5, 30 - FX_ACTIVATION);
	ktap_ok(!step_act(f.agent, 4, observation, quantized, 0) && !memcmp(before, f.arena, f.bytes),
		"acting without exploration changes no byte");
	set_mode(&f, 0, 1, 0);
	ktap_ok(!step_act(f.agent, 4, observation, again, 0) && !memcmp(before, f.arena, f.bytes) &&
			memcmp(quantized, again, sizeof(again)),
		"nor does it with the masters, whose actions differ");
	/* Operand codes of the other mode, had they been kept, would be formed anew after a reload. */
	step_agent_reload(f.agent);
	ktap_ok(!step_act(f.agent, 4, observation, action, 0) && !memcmp(action, again, sizeof(action)),
		"a change of mode alone forms the operands anew");
	set_mode(&f, 1, 1, 0);
	ktap_ok(!step_act(f.agent, 4, observation, again, 0) && !memcmp(quantized, again, sizeof(again)),
		"back with the quantizers the actions are as before");
	train(&f, 20, 25);
	train(&other, 20, 25);
	ktap_ok(same(&f, &other), "training goes on as if nobody had acted");

	memcpy(before, f.arena, f.bytes);
	step_act(f.agent, 4, observation, again, STEP_ACT_EXPLORE);
	count = step_layout(&f.config, tensors, 64, NULL);
	for (size_t i = 0; i < count && count <= 64; i++)
		if (strcmp(tensors[i].name, "noise.count") && strcmp(tensors[i].name, "noise.state") &&
		    strcmp(tensors[i].name, "saturation"))
			outside +=
				memcmp(before + tensors[i].offset, f.arena + tensors[i].offset, tensors[i].bytes) != 0;
	ktap_ok(!outside && *f.agent->noise_count == 8 && memcmp(before, f.arena, f.bytes),
		"exploring changes the noise and the counters alone");
	ktap_ok(step_act(f.agent, 0, observation, again, 0) == -EINVAL &&
			step_act(f.agent, BATCH + 1, observation, again, 0) == -EINVAL,
		"0 observations, or too many, are refused");
	free(before);
	destroy(&f);
	destroy(&other);
}

static void test_train(void)
{
	struct fixture f, wide;
	struct step_config config = base_config;
	struct step_statistics statistics;
	struct step_range ranges[TABLE], later[TABLE];
	uint64_t sum[STEP_SATURATIONS] = { 0 };
	int passed;

	/* Large steps on large gradients, so that much saturates. */
	config.hyper.rate_exponent[STEP_CRITIC] = config.hyper.rate_exponent[STEP_ACTOR] = 31;
	config.hyper.gradient_scale[STEP_CRITIC] = config.hyper.gradient_scale[STEP_ACTOR] = 6;
	passed = create(&f, &config, pe_engine_find(NULL), 1);
	for (uint64_t t = 0; passed && t < 40; t++) {
		passed = !train_size(&f, t, BATCH, &statistics);
		for (int i = 0; i < STEP_SATURATIONS; i++)
			sum[i] += statistics.saturation[i];
	}
	ktap_ok(passed && !memcmp(sum, f.agent->saturation, sizeof(sum)) && sum[STEP_SATURATION_ACTIVATION] &&
			sum[STEP_SATURATION_GRADIENT],
		"saturations of the steps add up to the agent's");
	step_read_ranges(f.agent, ranges);
	passed = 1;
	for (int i = 0; i < TABLE; i++)
		passed &= i % STEP_CLASSES == STEP_WEIGHT ||
			  (ranges[i].minimum == INT32_MAX && ranges[i].maximum == INT32_MIN);
	ktap_ok(passed, "without `observe` nothing is observed");
	set_mode(&f, 0, 1, 0);
	train(&f, 40, 45);
	step_read_ranges(f.agent, ranges);
	set_mode(&f, 0, 0, 0);
	train(&f, 45, 50);
	step_read_ranges(f.agent, later);
	passed = 1;
	for (int i = 0; i < TABLE; i++)
		passed &= ranges[i].minimum <= ranges[i].maximum &&
			  (i % STEP_CLASSES == STEP_WEIGHT || !memcmp(&ranges[i], &later[i], sizeof(ranges[i])));
	ktap_ok(passed, "with it every tensor is, and without it ranges stay");
	ktap_ok(train_size(&f, 0, 0, &statistics) == -EINVAL && train_size(&f, 0, BATCH + 1, &statistics) == -EINVAL,
		"batches of 0 and of too many are refused");
	destroy(&f);

	/* What larger batches left in scratch memory is not seen. */
	config = base_config;
	config.batch_max = 7;
	passed = create(&f, &base_config, pe_engine_find(NULL), 1) && create(&wide, &config, pe_engine_find(NULL), 1);
	train(&f, 100, 103);
	memcpy(wide.arena, f.arena, f.bytes);
	passed &= !step_agent_reload(wide.agent);
	for (uint64_t t = 0; t < 5; t++)
		passed &= !train_size(&f, t, 7, &statistics) && !train_size(&wide, t, 7, &statistics);
	ktap_ok(passed && same(&f, &wide), "a batch smaller than the largest trains the same");
	destroy(&f);
	destroy(&wide);
}

/* ---- Quantizers ---- */

static int refuses(struct fixture *f, int entry, struct step_quantizer quantizer)
{
	struct step_quantizer before[TABLE], table[TABLE];

	step_read_quantizers(f->agent, before);
	memcpy(table, before, sizeof(table));
	table[entry] = quantizer;
	if (step_write_quantizers(f->agent, table) != -EINVAL)
		return 0;
	step_read_quantizers(f->agent, table);
	return !memcmp(before, table, sizeof(table));
}

static void test_quantizers(void)
{
	static const int32_t fraction[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
	static const char *const names[STEP_CLASSES] = { "activation", "weight", "gradient" };
	struct step_quantizer table[TABLE];
	struct fixture f, other;
	int passed;

	if (!ktap_ok(create(&f, &base_config, pe_engine_find(NULL), 1), "an agent to quantize"))
		return;
	for (int class = 0; class < STEP_CLASSES; class ++) {
		for (int layer = 0; layer < 2; layer++) {
			const int entry = layer * STEP_CLASSES + class;
			const int is_signed = class != STEP_ACTIVATION || layer == 0;
			const struct step_quantizer wrong[] = {
				{ 1, 0, is_signed },
				{ 0, 0, is_signed },
				{ -5, 0, is_signed },
				{ 33, 0, is_signed },
				{ 16, fraction[class] + 1, is_signed },
				{ 16, QAT_LOWEST_FRACTION - 1, is_signed },
				{ 16, 10, !is_signed },
				{ 16, 10, 2 },
				{ 32, fraction[class] + 1, is_signed },
			};

			passed = 1;
			for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
				passed &= refuses(&f, entry, wrong[i]);
			ktap_ok(passed, "wrong quantizers are refused and change nothing: %s, layer %d", names[class],
				layer);
		}
	}
	for (int i = 0; i < TABLE; i++) {
		const int class = i % STEP_CLASSES, layer = i / STEP_CLASSES % LAYERS;

		table[i] = (struct step_quantizer){ 31, QAT_LOWEST_FRACTION, class != STEP_ACTIVATION || !layer };
	}
	passed = !step_write_quantizers(f.agent, table);
	set_mode(&f, 1, 0, 0);
	train(&f, 0, 3);
	ktap_ok(passed && *f.agent->training_steps == 3, "31 bits, also unsigned, and the lowest fraction are allowed");
	destroy(&f);

	/* Width 32 is the master: the mode makes no difference then. */
	passed = create(&f, &base_config, pe_engine_find(NULL), 1) &&
		 create(&other, &base_config, pe_engine_find(NULL), 1);
	set_mode(&f, 1, 0, 0);
	train(&f, 0, 5);
	train(&other, 0, 5);
	ktap_ok(passed && same(&f, &other), "quantizers of 32 bits are no quantizers");
	destroy(&f);
	destroy(&other);
}

/* ---- States from elsewhere ---- */

static void test_reload(void)
{
	for (size_t e = 0; e < ENGINES; e++) {
		const struct pe_engine *engine = engine_or_skip(e, "a copied state continues identically");
		struct step_config config = base_config;
		struct fixture f, copy;
		int32_t observation[5], action[2][3];
		int passed;

		if (!engine)
			continue;
		passed = run_both_modes(&f, &pe_scalar, 1, 0) && create(&copy, &config, engine, 2);
		set_mode(&copy, 1, 1, 0);
		/* The copy has operand codes of its own weights; these must not survive. */
		train(&copy, 50, 52);
		memcpy(copy.arena, f.arena, f.bytes);
		passed &= !step_agent_reload(copy.agent);
		draw(12, observation, 5, 30 - FX_ACTIVATION);
		passed &= !step_act(f.agent, 1, observation, action[0], STEP_ACT_EXPLORE) &&
			  !step_act(copy.agent, 1, observation, action[1], STEP_ACT_EXPLORE) &&
			  !memcmp(action[0], action[1], sizeof(action[0]));
		train(&f, 20, 30);
		train(&copy, 20, 30);
		ktap_ok(passed && same(&f, &copy), "a copied state continues identically, engine %s", engine_names[e]);
		destroy(&f);
		destroy(&copy);
	}
}

static void test_reload_damaged(void)
{
	struct fixture f;
	int passed = create(&f, &base_config, &pe_scalar, 1) && !step_agent_reload(f.agent);

	f.agent->adam_powers[3] = (UINT64_C(1) << 62) + 1;
	passed &= step_agent_reload(f.agent) == -EINVAL;
	f.agent->adam_powers[3] = UINT64_C(1) << 62;
	passed &= !step_agent_reload(f.agent);
	f.agent->quantizers[4].width = 77;
	passed &= step_agent_reload(f.agent) == -EINVAL;
	ktap_ok(passed, "a state with powers or quantizers out of range is refused");
	destroy(&f);
}

/* ---- Learning where nothing is to be learned ---- */

/* A hidden unit that never fires keeps its weights to the last bit, while others learn. */
static void test_silent_unit(void)
{
	struct fixture f;
	struct nn_layer *layer;
	int32_t before[5], others[5];
	int passed = create(&f, &base_config, pe_engine_find(NULL), 1);

	layer = &f.agent->network[STEP_ACTOR].layer[0];
	layer->bias.value[3] = INT32_MIN;
	memcpy(before, layer->weight.value + 3 * 5, sizeof(before));
	memcpy(others, layer->weight.value + 4 * 5, sizeof(others));
	passed &= !step_agent_reload(f.agent);
	train(&f, 0, 200);
	ktap_ok(passed && !memcmp(before, layer->weight.value + 3 * 5, sizeof(before)) &&
			layer->bias.value[3] == INT32_MIN &&
			memcmp(others, layer->weight.value + 4 * 5, sizeof(others)),
		"a unit that never fires is not trained");
	destroy(&f);
}

/* ---- What an agent can be ---- */

static int says(struct step_config config, const char *expected)
{
	char message[200] = "";
	struct step_agent *agent;
	static _Alignas(STEP_ALIGNMENT) unsigned char arena[STEP_ALIGNMENT];

	if (step_config_check(&config, message, sizeof(message)) == -EINVAL && strstr(message, expected) &&
	    step_config_check(&config, NULL, 0) == -EINVAL &&
	    step_agent_create(&config, arena, &pe_scalar, NULL, &agent) == -EINVAL)
		return 1;
	ktap_note("said \"%s\", expected \"%s\"", message, expected);
	return 0;
}

/* One after the other of these is wrong. */
#define WRONG(member, value, message)                    \
	do {                                             \
		struct step_config broken = base_config; \
		broken.member = (value);                 \
		passed &= says(broken, message);         \
	} while (0)

static void test_config(void)
{
	struct step_config config = base_config;
	struct step_agent *agent;
	char message[200] = "untouched", tiny[8];
	_Alignas(STEP_ALIGNMENT) unsigned char arena[2 * STEP_ALIGNMENT];
	int passed = !step_config_check(&config, message, sizeof(message)) && !strcmp(message, "untouched");

	WRONG(observation_dim, 0, "observation dimension 0: expected 1 to 16384");
	WRONG(observation_dim, 16385, "observation dimension 16385");
	WRONG(action_dim, 0, "action dimension 0");
	WRONG(action_dim, 16385, "action dimension 16385");
	WRONG(hidden_count, 0, "0 hidden layers: expected 1 to 31");
	WRONG(hidden_count, 32, "32 hidden layers");
	WRONG(hidden[1], 0, "hidden layer 1 is 0 wide");
	WRONG(hidden[0], 16385, "hidden layer 0 is 16385 wide");
	WRONG(batch_max, 0, "batch of 0: expected 1 to 65536");
	WRONG(batch_max, 65537, "batch of 65537");
	ktap_ok(passed, "wrong shapes are refused with their values");

	passed = 1;
	WRONG(hyper.discount, -1, "discount -1 / 2^31");
	WRONG(hyper.tau, 0, "tau 0 / 2^31");
	WRONG(hyper.tau, (UINT32_C(1) << 31) + 1, "tau 2147483649 / 2^31");
	WRONG(hyper.beta1, UINT32_C(1) << 31, "beta1 2147483648 / 2^31: expected at most 1 - 2^-20");
	WRONG(hyper.one_minus_beta2, (1 << 12) - 1, "1 - beta2 4095 / 2^32");
	WRONG(hyper.one_minus_beta2, UINT32_C(1) << 31, "1 - beta2 2147483648 / 2^32");
	WRONG(hyper.rate_mantissa[STEP_ACTOR], (1 << 30) - 1, "learning rate of the actor");
	WRONG(hyper.rate_mantissa[STEP_CRITIC], UINT32_C(1) << 31, "learning rate of the critic");
	WRONG(hyper.rate_exponent[STEP_CRITIC], 30, "1099511628 / 2^30: expected 2^-20 to below 1");
	WRONG(hyper.rate_exponent[STEP_ACTOR], 51, "1099511628 / 2^51");
	WRONG(hyper.gradient_scale[STEP_ACTOR], -3, "gradient scale 2^-3 of the actor");
	WRONG(hyper.gradient_scale[STEP_CRITIC], 7, "gradient scale 2^7 of the critic: expected 2^-2 to 2^6");
	ktap_ok(passed, "wrong hyperparameters are refused with their values");

	config.hyper.tau = 0;
	step_config_check(&config, tiny, sizeof(tiny));
	ktap_ok(!strcmp(tiny, "tau 0 /"), "a message is cut where the memory for it ends");
	ktap_ok(step_agent_create(&base_config, arena + 4, &pe_scalar, NULL, &agent) == -EINVAL,
		"memory that is not aligned is refused");
}

int main(void)
{
	ktap_start();
	test_config();
	test_same_arenas();
	test_act();
	test_train();
	test_quantizers();
	test_reload();
	test_reload_damaged();
	test_silent_unit();
	return ktap_finish();
}
