// SPDX-License-Identifier: MIT
/*
 * Description: the float32 twin computes DDPG: its gradients are the slopes of the losses, its training step is that of
 * a plain double-precision implementation, it starts, explores and names its state as the fixed-point library does, and
 * neither threads nor an interruption change a bit.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "device/device.h"
#include "double_network.h"
#include "float32/agent.h"
#include "float32/engine.h"
#include "float32/values.h"
#include "fx/random.h"
#include "ktap.h"

#define ONE FX_ONE

/* Uniform in [-1, 1). */
static double uniform(uint64_t stream, uint32_t word)
{
	return (int32_t)fx_random_word(1, FX_RANDOM_TEST, stream, word) * 0x1p-31;
}

static void fill(float *values, size_t count, uint64_t stream)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (float)uniform(stream, (uint32_t)i);
}

static void *allocate(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (!memory)
		abort();
	memset(memory, 0, (bytes + 63) / 64 * 64);
	return memory;
}

/* ---- Agents and batches ---- */

static struct step_config make_config(uint32_t observation_dim, uint32_t action_dim, uint32_t first, uint32_t second,
				      uint32_t batch)
{
	return (struct step_config){
		.observation_dim = observation_dim,
		.action_dim = action_dim,
		.hidden_count = 2,
		.hidden = { first, second },
		.batch_max = batch,
		.seed = 7,
		.hyper = {
			.discount = 2126008812,			/* 0.99 */
			.tau = 10737418,			/* 0.005 */
			.beta1 = 1932735283,			/* 0.9 */
			.one_minus_beta2 = 4294967,		/* 0.001 */
			.rate_mantissa = { 1099511628, 1099511628 },
			.rate_exponent = { 40, 40 },		/* 0.001 */
			.gradient_scale = { 4, 0 },
		},
	};
}

struct batch_memory {
	struct step_batch batch;
	int32_t *observation, *action, *reward, *next_observation;
	uint8_t *terminal;
};

static void make_batch(struct batch_memory *memory, const struct step_config *config, uint32_t size, uint64_t number)
{
	const uint32_t width = config->observation_dim;

	memory->observation = allocate(size * width * sizeof(int32_t));
	memory->next_observation = allocate(size * width * sizeof(int32_t));
	memory->action = allocate(size * config->action_dim * sizeof(int32_t));
	memory->reward = allocate(size * sizeof(int32_t));
	memory->terminal = allocate(size);
	for (uint32_t i = 0; i < size * width; i++) {
		memory->observation[i] = (int32_t)(2 * ONE * uniform(4 * number, i));
		memory->next_observation[i] = memory->observation[i] + (int32_t)(ONE / 8 * uniform(4 * number + 1, i));
	}
	for (uint32_t i = 0; i < size * config->action_dim; i++)
		memory->action[i] = (int32_t)(ONE * uniform(4 * number + 2, i));
	for (uint32_t i = 0; i < size; i++) {
		memory->reward[i] = (int32_t)(ONE * uniform(4 * number + 3, i));
		memory->terminal[i] = i % 5 == 3;
	}
	memory->batch = (struct step_batch){
		size, memory->observation, memory->action, memory->reward, memory->next_observation, memory->terminal,
	};
}

static void free_batch(struct batch_memory *memory)
{
	free(memory->observation);
	free(memory->next_observation);
	free(memory->action);
	free(memory->reward);
	free(memory->terminal);
}

struct owned_agent {
	struct f32_agent *agent;
	void *arena;
	size_t bytes;
	struct pe_pool *pool;
};

static void make_agent(struct owned_agent *owned, const struct step_config *config, const struct f32_engine *engine,
		       unsigned threads)
{
	f32_layout(config, NULL, 0, &owned->bytes);
	owned->arena = allocate(owned->bytes);
	if (pe_pool_create(threads, &owned->pool) ||
	    f32_agent_create(config, owned->arena, engine, owned->pool, &owned->agent)) {
		fputs("no agent\n", stderr);
		abort();
	}
	/* Whatever it costs. */
	pe_pool_set_least(owned->pool, 0);
}

static void free_agent(struct owned_agent *owned)
{
	f32_agent_destroy(owned->agent);
	pe_pool_destroy(owned->pool);
	free(owned->arena);
}

static void train(struct owned_agent *owned, uint64_t from, uint64_t to)
{
	struct device_statistics statistics;

	for (uint64_t number = from; number < to; number++) {
		struct batch_memory memory;

		make_batch(&memory, &owned->agent->config, owned->agent->config.batch_max, number);
		f32_train(owned->agent, &memory.batch, &statistics);
		free_batch(&memory);
	}
}

static void to_double(const float *from, double *to, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = (double)from[i];
}

/* `parameters`: the network's weights or its target's. */
static void copy_network(struct double_network *to, const struct f32_network *from, const float *parameters)
{
	for (uint32_t l = 0; l < from->layers; l++) {
		const struct f32_layer *layer = &from->layer[l];

		to_double(parameters + layer->weight, to->layer[l].weight, layer->inputs * layer->outputs);
		to_double(parameters + layer->bias, to->layer[l].bias, layer->outputs);
	}
}

/* ---- Gradients against finite differences ---- */

struct difference_work {
	struct double_network network[STEP_NETWORKS];
	struct double_batch batch;
	double *target;
};

static double loss_of(struct difference_work *work, enum step_network which)
{
	struct double_network *actor = &work->network[STEP_ACTOR], *critic = &work->network[STEP_CRITIC];
	const struct double_batch *batch = &work->batch;
	const double *action = which == STEP_CRITIC ? batch->action : double_policy(actor, batch, batch->observation);
	const double *q = double_value(critic, batch, batch->observation, action);
	double loss = 0;

	for (size_t b = 0; b < batch->size; b++)
		loss += which == STEP_CRITIC ? (q[b] - work->target[b]) * (q[b] - work->target[b]) / 2 : -q[b];
	return loss / (double)batch->size;
}

static void check_slopes(struct difference_work *work, enum step_network which, double *parameters, size_t count,
			 const float *gradient, const char *name, uint32_t layer)
{
	const double step = 1e-6;
	double *slopes = double_array(count), *found = double_array(count);
	double error;

	to_double(gradient, found, count);
	for (size_t i = 0; i < count; i++) {
		const double value = parameters[i];

		parameters[i] = value + step;
		slopes[i] = loss_of(work, which);
		parameters[i] = value - step;
		slopes[i] = (slopes[i] - loss_of(work, which)) / (2 * step);
		parameters[i] = value;
	}
	error = double_relative_error(found, slopes, count);
	/* The differences' own error is about 1e-16 of the loss over the step: 1e-10 beside gradients of 1e-4 and more.
	 */
	ktap_ok(error < 1e-5, "%s of layer %u of the %s is the loss's slope (relative error %.1e, at most 1e-5)", name,
		layer, which == STEP_ACTOR ? "actor" : "critic", error);
	free(slopes);
	free(found);
}

static void test_gradients(const struct f32_engine *engine)
{
	const struct step_config config = make_config(3, 2, 19, 9, 7);
	struct difference_work work;
	struct device_statistics statistics;
	struct batch_memory memory;
	struct owned_agent owned;
	struct double_network targets[STEP_NETWORKS];

	make_agent(&owned, &config, engine, 1);
	/* So that the last layer's weights are no longer tiny and the targets differ from the networks. */
	train(&owned, 0, 20);
	make_batch(&memory, &config, config.batch_max, 100);
	double_batch_create(&work.batch, &config, &memory.batch);
	work.target = double_array(config.batch_max);
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		double_network_create(&work.network[n], &config, n, config.batch_max);
		double_network_create(&targets[n], &config, n, config.batch_max);
		copy_network(&work.network[n], &owned.agent->network[n], owned.agent->network[n].weight);
		copy_network(&targets[n], &owned.agent->network[n], owned.agent->network[n].target);
	}
	double_targets(&targets[STEP_ACTOR], &targets[STEP_CRITIC], &work.batch, config.hyper.discount * 0x1p-31,
		       work.target);
	f32_train(owned.agent, &memory.batch, &statistics);
	for (unsigned i = 0; i < STEP_NETWORKS; i++) {
		/* The critic first: the actor's gradient is that through the updated critic. */
		const enum step_network which = i == 0 ? STEP_CRITIC : STEP_ACTOR;
		const struct f32_network *network = &owned.agent->network[which];

		for (uint32_t l = 0; l < network->layers; l++) {
			const struct f32_layer *layer = &network->layer[l];
			struct double_layer *plain = &work.network[which].layer[l];

			check_slopes(&work, which, plain->weight, layer->inputs * layer->outputs,
				     network->gradient + layer->weight, "dW", l);
			check_slopes(&work, which, plain->bias, layer->outputs, network->gradient + layer->bias, "db",
				     l);
		}
		copy_network(&work.network[which], network, network->weight);
	}
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		double_network_destroy(&work.network[n]);
		double_network_destroy(&targets[n]);
	}
	double_batch_destroy(&work.batch);
	free(work.target);
	free_batch(&memory);
	free_agent(&owned);
}

/* ---- A training step against a plain one in double precision ---- */

struct plain_parameter {
	double *weight, *target, *moment1, *moment2;
};

struct plain_agent {
	struct double_network network[STEP_NETWORKS], target[STEP_NETWORKS];
	struct plain_parameter before[STEP_NETWORKS], after[STEP_NETWORKS]; /* in f32_network's shape */
};

static void copy_parameters(struct plain_parameter *to, const struct f32_network *from)
{
	to->weight = double_array(from->size);
	to->target = double_array(from->size);
	to->moment1 = double_array(from->size);
	to->moment2 = double_array(from->size);
	to_double(from->weight, to->weight, from->size);
	to_double(from->target, to->target, from->size);
	to_double(from->moment1, to->moment1, from->size);
	to_double(from->moment2, to->moment2, from->size);
}

static void free_parameters(struct plain_parameter *parameter)
{
	free(parameter->weight);
	free(parameter->target);
	free(parameter->moment1);
	free(parameter->moment2);
}

static void plain_adam(struct plain_parameter *parameter, size_t at, const double *gradient, size_t count, double t)
{
	for (size_t i = 0; i < count; i++) {
		double *m = &parameter->moment1[at + i], *v = &parameter->moment2[at + i];
		double *w = &parameter->weight[at + i], *target = &parameter->target[at + i];

		*m = 0.9 * *m + 0.1 * gradient[i];
		*v = 0.999 * *v + 0.001 * gradient[i] * gradient[i];
		*w -= 0.001 * (*m / (1 - pow(0.9, t))) / (sqrt(*v / (1 - pow(0.999, t))) + 1e-8);
		*target = 0.995 * *target + 0.005 * *w;
	}
}

/* Adam with the gradients in `network`, whose weights become the updated ones. */
static void plain_update(struct plain_parameter *parameter, const struct f32_network *shape,
			 struct double_network *network, double t)
{
	for (uint32_t l = 0; l < shape->layers; l++) {
		const struct f32_layer *layer = &shape->layer[l];
		struct double_layer *plain = &network->layer[l];
		const size_t count = layer->inputs * layer->outputs;

		plain_adam(parameter, layer->weight, plain->weight_gradient, count, t);
		plain_adam(parameter, layer->bias, plain->bias_gradient, layer->outputs, t);
		memcpy(plain->weight, parameter->weight + layer->weight, count * sizeof(double));
		memcpy(plain->bias, parameter->weight + layer->bias, layer->outputs * sizeof(double));
	}
}

/* The relative error of what a step has changed: of (found - before) against (expected - before). */
static double change_error(const float *found, const double *expected, const double *before, size_t count)
{
	double *a = double_array(count), *b = double_array(count);
	double error;

	for (size_t i = 0; i < count; i++) {
		a[i] = (double)found[i] - before[i];
		b[i] = expected[i] - before[i];
	}
	error = double_relative_error(a, b, count);
	free(a);
	free(b);
	return error;
}

static void compare_step(struct owned_agent *owned, uint64_t number, double worst[4])
{
	const struct step_config *config = &owned->agent->config;
	const double t = (double)number + 1, size = config->batch_max;
	struct device_statistics statistics;
	struct batch_memory memory;
	struct double_batch batch;
	struct plain_agent plain;
	double *target = double_array(config->batch_max);
	double loss, q, error;

	make_batch(&memory, config, config->batch_max, number);
	double_batch_create(&batch, config, &memory.batch);
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		const struct f32_network *network = &owned->agent->network[n];

		double_network_create(&plain.network[n], config, n, config->batch_max);
		double_network_create(&plain.target[n], config, n, config->batch_max);
		copy_network(&plain.network[n], network, network->weight);
		copy_network(&plain.target[n], network, network->target);
		copy_parameters(&plain.before[n], network);
		copy_parameters(&plain.after[n], network);
	}
	double_targets(&plain.target[STEP_ACTOR], &plain.target[STEP_CRITIC], &batch, 0.99, target);
	loss = double_critic_gradient(&plain.network[STEP_CRITIC], &batch, target, 1 / size) / size;
	plain_update(&plain.after[STEP_CRITIC], &owned->agent->network[STEP_CRITIC], &plain.network[STEP_CRITIC], t);
	q = double_actor_gradient(&plain.network[STEP_ACTOR], &plain.network[STEP_CRITIC], &batch, 1 / size) / size;
	plain_update(&plain.after[STEP_ACTOR], &owned->agent->network[STEP_ACTOR], &plain.network[STEP_ACTOR], t);

	f32_train(owned->agent, &memory.batch, &statistics);
	error = fabs(statistics.critic_loss - loss) / loss;
	worst[0] = fmax(worst[0], error);
	worst[0] = fmax(worst[0], fabs(statistics.mean_q - q) / fmax(fabs(q), 1e-3));
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		const struct f32_network *network = &owned->agent->network[n];
		const struct plain_parameter *before = &plain.before[n], *after = &plain.after[n];

		error = change_error(network->moment1, after->moment1, before->moment1, network->size);
		error = fmax(error, change_error(network->moment2, after->moment2, before->moment2, network->size));
		worst[1] = fmax(worst[1], error);
		worst[2] = fmax(worst[2], change_error(network->weight, after->weight, before->weight, network->size));
		worst[3] = fmax(worst[3], change_error(network->target, after->target, before->target, network->size));
	}
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		free_parameters(&plain.before[n]);
		free_parameters(&plain.after[n]);
		double_network_destroy(&plain.network[n]);
		double_network_destroy(&plain.target[n]);
	}
	double_batch_destroy(&batch);
	free_batch(&memory);
	free(target);
}

static void test_training_step(const struct f32_engine *engine)
{
	const struct step_config config = make_config(17, 6, 40, 30, 21);
	struct owned_agent owned;
	double worst[4] = { 0 };

	make_agent(&owned, &config, engine, 1);
	for (uint64_t number = 0; number < 30; number++)
		compare_step(&owned, number, worst);
	/*
	 * Steps 1 to 30, each from the float's own state. A change of 1e-3 in a weight of 0.1 has a float's resolution
	 * of 1e-8 / 1e-3; the targets' changes are 200 times smaller still.
	 */
	ktap_ok(worst[0] < 1e-5, "%s: loss and mean Q of 30 steps are a plain double step's (%.1e, at most 1e-5)",
		engine->name, worst[0]);
	ktap_ok(worst[1] < 1e-4, "%s: likewise the moments (%.1e, at most 1e-4)", engine->name, worst[1]);
	ktap_ok(worst[2] < 1e-4, "%s: likewise the changes of weights (%.1e, at most 1e-4)", engine->name, worst[2]);
	ktap_ok(worst[3] < 1e-2, "%s: likewise the changes of target weights (%.1e, at most 1e-2)", engine->name,
		worst[3]);
	free_agent(&owned);
}

/* ---- Kernels ---- */

#define MAX_ROWS 20
#define MAX_COLUMNS 40
#define MAX_DEPTH 40

/* Elements of C outside the block that was asked for hold this before and after. */
#define UNTOUCHED 12345.0f

/* Whether every element is within float rounding of the double sum; `split` computes it in blocks. */
static int product_right(const struct f32_engine *engine, struct f32_product product, int split, float *result)
{
	static float c[MAX_ROWS * 64];
	float *scratch = allocate(f32_scratch_bytes(MAX_DEPTH));
	int right = 1;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		c[i] = UNTOUCHED;
	product.c = c;
	product.c_row = 64;
	if (split) {
		const size_t row = product.rows / 2, column = product.columns > F32_PANEL ? F32_PANEL : 0;

		engine->product(&product, 0, row, 0, column, scratch);
		engine->product(&product, row, product.rows, 0, column, scratch);
		engine->product(&product, 0, row, column, product.columns, scratch);
		engine->product(&product, row, product.rows, column, product.columns, scratch);
	} else {
		engine->product(&product, 0, product.rows, 0, product.columns, scratch);
	}
	for (size_t m = 0; m < MAX_ROWS; m++) {
		for (size_t n = 0; n < 64; n++) {
			double sum, scale;

			if (m >= product.rows || n >= product.columns) {
				right &= c[m * 64 + n] == UNTOUCHED;
				continue;
			}
			sum = product.bias ? (double)product.bias[n] : 0;
			scale = fabs(sum);
			for (size_t k = 0; k < product.depth; k++) {
				const double term = (double)product.a[m * product.a_row + k * product.a_column] *
						    (double)product.b[k * product.b_row + n * product.b_column];

				sum += term;
				scale += fabs(term);
			}
			if (product.relu && !(sum > 0))
				sum = 0;
			if (product.gate && !(product.gate[m * product.gate_row + n] > 0))
				sum = 0;
			right &= fabs((double)c[m * 64 + n] - sum) <= 0x1p-23 * (double)(product.depth + 1) * scale;
		}
	}
	memcpy(result, c, sizeof(c));
	free(scratch);
	return right;
}

static void test_products(const struct f32_engine *engine)
{
	static float a[64 * 64], b[64 * 64], bias[64], gate[64 * 64], whole[MAX_ROWS * 64], parts[MAX_ROWS * 64];
	int right = 1, same = 1, cases = 0;

	fill(a, 64 * 64, 10);
	fill(b, 64 * 64, 11);
	fill(bias, 64, 12);
	fill(gate, 64 * 64, 13);
	for (size_t rows = 1; rows <= MAX_ROWS; rows += 1 + rows / 8) {
		for (size_t columns = 1; columns <= MAX_COLUMNS; columns += 1 + columns / 20) {
			static const size_t depths[] = { 1, 2, 7, 8, 17, MAX_DEPTH };

			for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++, cases++) {
				const int kind = cases % 3;
				const struct f32_product product = {
					.rows = rows,
					.columns = columns,
					.depth = depths[d],
					.a = a,
					.a_row = kind == 2 ? 1 : 64,
					.a_column = kind == 2 ? 64 : 1,
					.b = b,
					.b_row = kind == 0 ? 1 : 61,
					.b_column = kind == 0 ? 61 : 1,
					.bias = cases % 2 ? bias : NULL,
					.relu = cases % 5 == 0,
					.gate = cases % 7 < 3 ? gate : NULL,
					.gate_row = 64,
				};

				right &= product_right(engine, product, 0, whole);
				right &= product_right(engine, product, 1, parts);
				same &= !memcmp(whole, parts, sizeof(whole));
			}
		}
	}
	ktap_ok(right, "%s: %d products, with bias, ReLU and gate, are the double sums", engine->name, cases);
	ktap_ok(same, "%s: they have the same bits when computed in blocks", engine->name);
}

static void test_dense(const struct f32_engine *engine)
{
	static float weight[23 * 45], bias[45], input[45], output[46], sums[46];
	int right = 1;

	fill(weight, 23 * 45, 20);
	fill(bias, 45, 21);
	fill(input, 45, 22);
	for (size_t outputs = 1; outputs <= 23; outputs++) {
		for (size_t inputs = 1; inputs <= 45; inputs += 4) {
			const int relu = (outputs + inputs) % 2;

			output[outputs] = UNTOUCHED;
			engine->dense(outputs, inputs, weight, bias, input, relu, output);
			right &= output[outputs] == UNTOUCHED;
			for (size_t n = 0; n < outputs; n++) {
				double sum = (double)bias[n];

				for (size_t k = 0; k < inputs; k++)
					sum += (double)weight[n * inputs + k] * (double)input[k];
				right &= fabs((double)output[n] - (relu ? fmax(sum, 0) : sum)) < 1e-5;
			}
		}
	}
	ktap_ok(right, "%s: the layer of a single sample is the double sum", engine->name);

	right = 1;
	for (size_t to = 1; to <= 45; to++) {
		const size_t from = to / 2 / F32_PANEL * F32_PANEL;

		for (size_t n = 0; n < 46; n++)
			sums[n] = UNTOUCHED;
		engine->column_sums(23, weight, 45, from, to, sums);
		for (size_t n = 0; n < 46; n++) {
			double sum = 0;

			for (size_t m = 0; m < 23; m++)
				sum += n < 45 ? (double)weight[m * 45 + n] : 0;
			right &= n < from || n >= to ? sums[n] == UNTOUCHED : fabs((double)sums[n] - sum) < 1e-5;
		}
	}
	ktap_ok(right, "%s: column sums are the double sums", engine->name);
}

static int denormal_or_tiny(float value)
{
	return value != 0 && fabsf(value) < F32_TINY_MOMENT;
}

/* What Adam leaves of a unit that was alive once and is dead now. */
static void test_dead_units(const struct f32_engine *engine)
{
	float gradient[F32_PANEL], m[F32_PANEL] = { 0 }, v[F32_PANEL] = { 0 }, w[F32_PANEL] = { 0 };
	const struct f32_adam constants = { 0.9f, 0.1f, 0.999f, 0.001f, 0.001f, 1.0f };
	int tiny = 0, stopped = 1, finite = 1;

	for (int i = 0; i < F32_PANEL; i++)
		gradient[i] = (float)ldexp(i % 2 ? 1 : -1, -6 * i); /* the last squares are denormal, and 0 */
	for (int step = 0; step < 120000; step++) {
		engine->adam(F32_PANEL, gradient, m, v, w, &constants);
		for (int i = 0; i < F32_PANEL; i++) {
			tiny |= denormal_or_tiny(m[i]) || denormal_or_tiny(v[i]);
			finite &= isfinite(w[i]) != 0;
			if (step == 10)
				gradient[i] = 0;
		}
	}
	for (int i = 0; i < F32_PANEL; i++)
		stopped &= m[i] == 0 && v[i] == 0;
	ktap_ok(!tiny && finite, "%s: moments of dead units are never below %g but 0", engine->name,
		(double)F32_TINY_MOMENT);
	ktap_ok(stopped, "%s: and they end as 0", engine->name);
}

static void test_caller_state(const struct f32_engine *engine)
{
#if defined(__x86_64__)
	const struct step_config config = make_config(3, 1, 16, 16, 8);
	const unsigned before = _mm_getcsr() & 0xffc0u; /* without the sticky exception flags */
	struct owned_agent owned;

	make_agent(&owned, &config, engine, 1);
	train(&owned, 0, 2);
	ktap_ok((_mm_getcsr() & 0xffc0u) == before, "%s: training leaves the caller's rounding and flush modes alone",
		engine->name);
	free_agent(&owned);
#else
	(void)engine;
#endif
}

static void test_engines_close(const struct f32_engine *engine)
{
	const struct step_config config = make_config(17, 6, 50, 37, 33);
	struct owned_agent one, other;
	double worst = 0;

	make_agent(&one, &config, &f32_scalar, 1);
	make_agent(&other, &config, engine, 1);
	for (uint64_t number = 0; number < 10; number++) {
		memcpy(other.arena, one.arena, one.bytes);
		train(&one, number, number + 1);
		train(&other, number, number + 1);
		for (unsigned n = 0; n < STEP_NETWORKS; n++) {
			const size_t size = one.agent->network[n].size;
			double *a = double_array(size), *b = double_array(size);

			to_double(one.agent->network[n].gradient, a, size);
			to_double(other.agent->network[n].gradient, b, size);
			worst = fmax(worst, double_relative_error(a, b, size));
			free(a);
			free(b);
		}
	}
	ktap_ok(worst < 1e-5, "gradients of %s and scalar are close (%.1e, at most 1e-5)", engine->name, worst);
	free_agent(&one);
	free_agent(&other);
}

/* ---- Bits ---- */

static void test_threads(const struct f32_engine *engine, uint32_t steps)
{
	/* The paper's widths. */
	const struct step_config config = make_config(17, 6, 400, 300, 64);
	struct owned_agent one;

	make_agent(&one, &config, engine, 1);
	train(&one, 0, steps);
	for (unsigned threads = 2; threads <= 3; threads++) {
		struct owned_agent other;

		make_agent(&other, &config, engine, threads);
		train(&other, 0, steps);
		ktap_ok(!memcmp(one.arena, other.arena, one.bytes), "%s: %u threads give the bits of one", engine->name,
			threads);
		free_agent(&other);
	}
	free_agent(&one);
}

static void act_and_train(struct device_agent *agent, const struct step_config *config, uint64_t from, uint64_t to,
			  int32_t *actions)
{
	struct device_statistics statistics;

	for (uint64_t number = from; number < to; number++) {
		struct batch_memory memory;

		make_batch(&memory, config, config->batch_max, number);
		if (agent->ops->train(agent, &memory.batch, &statistics) ||
		    agent->ops->act(agent, 2, memory.observation, actions + number * 2 * config->action_dim,
				    STEP_ACT_EXPLORE))
			abort();
		free_batch(&memory);
	}
}

static void test_resume(const char *engine)
{
	const struct step_config config = make_config(5, 3, 33, 20, 9);
	const struct step_mode mode = { .noise = STEP_NOISE_OU, .noise_sigma = ONE / 5, .noise_theta = ONE / 7 };
	int32_t whole[6 * 2 * 3], resumed[6 * 2 * 3];
	struct device_agent *agent, *other;
	const struct step_tensor *tensors;
	struct fixar_device *device;
	size_t count, bytes;
	char *half, *end, *end_resumed;

	if (device_float32_open(engine, 1, &device) || device->ops->agent_create(device, &config, &agent) ||
	    device->ops->agent_create(device, &config, &other) || agent->ops->set_mode(agent, &mode) ||
	    other->ops->set_mode(other, &mode) || agent->ops->state_layout(agent, &tensors, &count, &bytes))
		abort();
	half = allocate(bytes);
	end = allocate(bytes);
	end_resumed = allocate(bytes);
	act_and_train(agent, &config, 0, 3, whole);
	agent->ops->state_read(agent, half);
	act_and_train(agent, &config, 3, 6, whole);
	agent->ops->state_read(agent, end);

	/* Through the tensors alone, as a checkpoint does; the gaps hold rubbish. The other agent has a past of its
	 * own. */
	memset(end_resumed, 0x55, bytes);
	for (size_t i = 0; i < count; i++)
		memcpy(end_resumed + tensors[i].offset, half + tensors[i].offset, tensors[i].bytes);
	act_and_train(other, &config, 4, 6, resumed);
	ktap_ok(!other->ops->state_write(other, end_resumed), "%s: a saved state is accepted", engine);
	act_and_train(other, &config, 3, 6, resumed);
	other->ops->state_read(other, end_resumed);
	ktap_ok(!memcmp(end, end_resumed, bytes), "%s: training goes on from a saved state to the same bits", engine);
	ktap_ok(!memcmp(whole + 3 * 2 * 3, resumed + 3 * 2 * 3, 3 * 2 * 3 * sizeof(int32_t)),
		"%s: and so do exploring actions", engine);
	free(half);
	free(end);
	free(end_resumed);
	agent->ops->agent_destroy(agent);
	other->ops->agent_destroy(other);
	device->ops->close(device);
}

/* ---- Beside the fixed-point library ---- */

static const struct step_tensor *find_tensor(const struct step_tensor *tensors, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(tensors[i].name, name))
			return &tensors[i];
	return NULL;
}

/* Same names and dimensions; weights are the conversion of the fixed ones. */
static void compare_states(struct device_agent *twin, struct device_agent *fixed)
{
	const struct step_tensor *tensors, *fixed_tensors;
	size_t count, bytes, fixed_count, fixed_bytes, end = 0, weights = 0;
	int named = 1, equal = 1, ordered = 1;
	char *state, *fixed_state;

	twin->ops->state_layout(twin, &tensors, &count, &bytes);
	fixed->ops->state_layout(fixed, &fixed_tensors, &fixed_count, &fixed_bytes);
	state = allocate(bytes);
	fixed_state = allocate(fixed_bytes);
	twin->ops->state_read(twin, state);
	fixed->ops->state_read(fixed, fixed_state);
	for (size_t i = 0; i < count; i++) {
		const struct step_tensor *tensor = &tensors[i], *other;

		ordered &= tensor->offset >= end && tensor->offset % STEP_ALIGNMENT == 0;
		end = tensor->offset + tensor->bytes;
		other = find_tensor(fixed_tensors, fixed_count, tensor->name);
		if (!other || other->bytes != tensor->bytes || other->dim_count != tensor->dim_count ||
		    memcmp(other->dim, tensor->dim, sizeof(tensor->dim))) {
			ktap_note("%s differs in name or size", tensor->name);
			named = 0;
			continue;
		}
		if (tensor->dtype != STEP_F32) {
			equal &= !memcmp(state + tensor->offset, fixed_state + other->offset, tensor->bytes);
			continue;
		}
		weights += tensor->bytes / sizeof(float);
		for (size_t e = 0; e < tensor->bytes / sizeof(float); e++) {
			float value;
			int32_t integer;

			memcpy(&value, state + tensor->offset + e * sizeof(value), sizeof(value));
			memcpy(&integer, fixed_state + other->offset + e * sizeof(integer), sizeof(integer));
			equal &= value == ldexpf((float)integer, -FX_WEIGHT);
		}
	}
	ktap_ok(named, "all %zu tensors have the names and shapes of the fixed-point state", count);
	ktap_ok(ordered && end <= bytes, "they are aligned and do not overlap");
	ktap_ok(equal && weights, "%zu initial values are those of the fixed-point agent", weights);
	free(state);
	free(fixed_state);
}

/* The action with noise minus the action without, over some steps and a reset. */
static void collect_noise(struct device_agent *agent, uint32_t dim, int kind, int32_t *noise)
{
	const struct step_mode mode = { .noise = (uint32_t)kind, .noise_sigma = ONE / 10, .noise_theta = ONE / 7 };
	const int32_t observation[2 * 17] = { 5 * ONE, -3 * ONE, ONE };
	int32_t plain[2 * 6], noisy[2 * 6];

	agent->ops->set_mode(agent, &mode);
	for (int step = 0; step < 8; step++) {
		const uint32_t flags = STEP_ACT_EXPLORE | (step == 5 ? STEP_ACT_RESET_NOISE : 0);

		agent->ops->act(agent, 2, observation, plain, 0);
		agent->ops->act(agent, 2, observation, noisy, flags);
		for (uint32_t j = 0; j < 2 * dim; j++)
			*noise++ = noisy[j] - plain[j];
	}
}

static void test_beside_fixed(void)
{
	const struct step_config config = make_config(17, 6, 40, 30, 16);
	struct device_statistics twin_statistics, fixed_statistics;
	struct device_agent *twin, *fixed;
	struct fixar_device *twin_device, *fixed_device;
	struct batch_memory memory;
	int32_t actions[16 * 6], fixed_actions[16 * 6];
	int64_t largest = 0;
	double error;

	if (device_float32_open("auto", 1, &twin_device) || device_cpu_open("scalar", 1, &fixed_device) ||
	    twin_device->ops->agent_create(twin_device, &config, &twin) ||
	    fixed_device->ops->agent_create(fixed_device, &config, &fixed))
		abort();
	ktap_ok(twin_device->is_float32 && !fixed_device->is_float32, "the twin says that it is one: %s",
		twin_device->description);
	compare_states(twin, fixed);

	for (int kind = STEP_NOISE_NONE; kind <= STEP_NOISE_OU; kind++) {
		static const char *const names[] = { "no", "Gaussian", "Ornstein-Uhlenbeck" };
		int32_t noise[8 * 2 * 6], fixed_noise[8 * 2 * 6];

		collect_noise(twin, config.action_dim, kind, noise);
		collect_noise(fixed, config.action_dim, kind, fixed_noise);
		ktap_ok(!memcmp(noise, fixed_noise, sizeof(noise)) && (noise[0] != 0) == (kind != STEP_NOISE_NONE),
			"%s noise is that of the fixed-point agent", names[kind]);
	}

	make_batch(&memory, &config, 16, 0);
	twin->ops->act(twin, 16, memory.observation, actions, 0);
	fixed->ops->act(fixed, 16, memory.observation, fixed_actions, 0);
	for (int i = 0; i < 16 * 6; i++) {
		const int64_t difference = (int64_t)actions[i] - fixed_actions[i];

		largest = llabs(difference) > largest ? llabs(difference) : largest;
	}
	ktap_ok(largest <= 16, "actions are within 16 units (2^-20) of the fixed-point agent's (%lld)",
		(long long)largest);

	twin->ops->train(twin, &memory.batch, &twin_statistics);
	fixed->ops->train(fixed, &memory.batch, &fixed_statistics);
	error = fabs(twin_statistics.critic_loss - fixed_statistics.critic_loss) / fixed_statistics.critic_loss;
	ktap_ok(error < 1e-4, "the first training step's loss is the fixed-point one's (%.1e, at most 1e-4)", error);
	error = fabs(twin_statistics.mean_q - fixed_statistics.mean_q) / fabs(fixed_statistics.mean_q);
	/* Of the updated critic: Adam's first step is a whole learning rate also where a gradient is within rounding of 0. */
	ktap_ok(error < 1e-2, "and so is its mean Q (%.1e, at most 1e-2)", error);
	free_batch(&memory);
	twin->ops->agent_destroy(twin);
	fixed->ops->agent_destroy(fixed);
	twin_device->ops->close(twin_device);
	fixed_device->ops->close(fixed_device);
}

/* ---- The edges of the interface ---- */

static void test_refusals(void)
{
	struct step_config config = make_config(3, 1, 8, 8, 4);
	const struct step_mode quantized = { .quantized = 1 }, observe = { .observe = 1 };
	struct step_quantizer quantizers[6 * STEP_CLASSES] = { { 0 } };
	struct step_range ranges[6 * STEP_CLASSES];
	struct device_statistics statistics;
	struct device_agent *agent;
	struct fixar_device *device;
	struct batch_memory memory;
	int32_t action[5];

	ktap_ok(device_float32_open("abacus", 1, &device) == -EINVAL, "an unknown engine is refused");
#if defined(__x86_64__)
	ktap_ok(device_float32_open("neon", 1, &device) == -ENOTSUP && device_float32_open("avx512", 1, &device) == -ENOTSUP,
		"an engine of another processor or without float kernels is refused");
#endif
	if (device_float32_open(NULL, 2, &device))
		abort();
	config.hidden[1] = 0;
	ktap_ok(device->ops->agent_create(device, &config, &agent) == -EINVAL,
		"an impossible configuration is refused");
	config.hidden[1] = 8;
	if (device->ops->agent_create(device, &config, &agent))
		abort();
	ktap_ok(agent->ops->read_ranges(agent, ranges) == -ENOTSUP &&
			agent->ops->read_quantizers(agent, quantizers) == -ENOTSUP &&
			agent->ops->write_quantizers(agent, quantizers) == -ENOTSUP,
		"there are no ranges and no quantizers");
	ktap_ok(agent->ops->set_mode(agent, &quantized) == -ENOTSUP &&
			agent->ops->set_mode(agent, &observe) == -ENOTSUP,
		"nor can they be switched on");
	make_batch(&memory, &config, 5, 0);
	ktap_ok(agent->ops->train(agent, &memory.batch, &statistics) == -EINVAL &&
			agent->ops->act(agent, 5, memory.observation, action, 0) == -EINVAL &&
			agent->ops->act(agent, 0, memory.observation, action, 0) == -EINVAL,
		"batches that are too large or empty are refused");
	memory.batch.size = 0;
	ktap_ok(agent->ops->train(agent, &memory.batch, &statistics) == -EINVAL, "an empty training batch is refused");
	memory.batch.size = 1;
	ktap_ok(agent->ops->train(agent, &memory.batch, &statistics) == 0 && isfinite(statistics.critic_loss),
		"a batch of one is possible");
	free_batch(&memory);
	agent->ops->agent_destroy(agent);
	device->ops->close(device);

	ktap_ok(f32_to_activation(1.0f) == ONE && f32_to_activation(-1.0f) == -ONE &&
			f32_to_activation(1.5f / 2 / ONE) == 1 && f32_to_activation(0.5f / ONE) == 1 &&
			f32_to_activation(-0.5f / ONE) == 0 && f32_to_activation(-1.5f / 2 / ONE) == -1,
		"values leave rounded to the nearest, midpoints up");
	ktap_ok(f32_to_activation(1e9f) == INT32_MAX && f32_to_activation(-1e9f) == INT32_MIN &&
			f32_to_activation(NAN) == 0,
		"values beyond the format leave limited");
}

int main(void)
{
	static const char *const names[] = { "scalar", "avx2" };

	ktap_start();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct f32_engine *engine;

		if (f32_engine_find(names[i], &engine)) {
			ktap_skip(names[i], "this processor does not have it");
			continue;
		}
		test_products(engine);
		test_dense(engine);
		test_dead_units(engine);
		test_caller_state(engine);
		test_gradients(engine);
		test_training_step(engine);
		test_threads(engine, engine == &f32_scalar ? 1 : 5);
		test_resume(names[i]);
		if (engine != &f32_scalar)
			test_engines_close(engine);
	}
	test_beside_fixed();
	test_refusals();
	return ktap_finish();
}
