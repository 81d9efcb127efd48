// SPDX-License-Identifier: MIT
/*
 * Description: the weight gradients of one batch, layer by layer, are those of a double-precision computation from the
 * same integer weights, inputs and quantizers: ||dW - reference|| is at most 2^-12 of ||reference||.
 *
 * Without an argument: networks with the dimensions of Pendulum and HalfCheetah, fresh and after some hundred training
 * steps, operands as masters and quantized. With directories of runs: the networks in their checkpoints and batches
 * from their replay memories.
 *
 * Fresh networks are judged with the actor's gradients carried times 2^6. With the default scale they are shown but not
 * judged: they do not keep the bound. The actor's last layer starts with weights of at most 0.003, which makes dY of
 * its hidden layers some hundred to a few thousand units of the gradient format; their rounding is up to 2^-9 of dW,
 * halves with each step of the scale, and is below the bound after a few dozen training steps.
 *
 * With gradients of 16 bits too (no mode has them yet) HalfCheetah's critic is shown but not judged: 2^-11. dY is then
 * a step function of the Q values, and where one lies within rounding of a step, device and reference take different
 * sides: a difference of a whole unit of the 16-bit code, which says nothing of dW.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "ddpg/edge.h"
#include "ddpg/replay.h"
#include "double_network.h"
#include "fx/random.h"
#include "ktap.h"
#include "pe/engine.h"
#include "step/step.h"

#define ONE FX_ONE
#define BATCH 64
#define BOUND 0x1p-12
#define TRIES 100   /* batches in search of one without a ReLU at its corner */
#define BATCHES 3   /* judged of each run */

/* ---- Synthetic tasks ---- */

struct transition {
	double *observation, *action, *next_observation, reward;
	int terminal;
};

struct task {
	const char *name;
	uint32_t observation_dim, action_dim;
	/* From uniform random numbers in [-1, 1): word(stream, 0), word(stream, 1) ... */
	void (*draw)(const struct task *task, uint64_t stream, struct transition *transition);
};

static double uniform(uint64_t stream, uint32_t word)
{
	return (int32_t)fx_random_word(3, FX_RANDOM_TEST, stream, word) * 0x1p-31;
}

/* Pendulum itself, from uniform states; rewards are scaled by 2^-4. */
static void draw_pendulum(const struct task *task, uint64_t stream, struct transition *transition)
{
	const double angle = 3.14159265358979 * uniform(stream, 0), speed = 8 * uniform(stream, 1);
	const double torque = 2 * uniform(stream, 2);
	const double next_speed = fmin(fmax(speed + (15 * sin(angle) + 3 * torque) * 0.05, -8), 8);

	(void)task;
	transition->observation[0] = cos(angle);
	transition->observation[1] = sin(angle);
	transition->observation[2] = speed;
	transition->action[0] = torque / 2;
	transition->next_observation[0] = cos(angle + next_speed * 0.05);
	transition->next_observation[1] = sin(angle + next_speed * 0.05);
	transition->next_observation[2] = next_speed;
	transition->reward = -(angle * angle + 0.1 * speed * speed + 0.001 * torque * torque) / 16;
	transition->terminal = 0;
}

/*
 * Something with HalfCheetah's dimensions and magnitudes: half of the observations are angles, half are velocities of
 * up to 10. Actions push the velocities; the reward is a velocity less the squared distance from an action that depends
 * on the angles, scaled by 2^-4.
 */
static void draw_cheetah(const struct task *task, uint64_t stream, struct transition *transition)
{
	const uint32_t half = task->observation_dim / 2;
	double distance = 0;

	for (uint32_t i = 0; i < task->observation_dim; i++) {
		const double value = uniform(stream, task->action_dim + i);

		transition->observation[i] = i < half ? value : 10 * value * value * value;
		transition->next_observation[i] = 0.9 * transition->observation[i];
	}
	for (uint32_t j = 0; j < task->action_dim; j++) {
		const double action = uniform(stream, j), better = action - 0.5 * transition->observation[j];

		transition->action[j] = action;
		transition->next_observation[half + j] += 2 * action;
		distance += better * better;
	}
	transition->reward = (transition->observation[half] - distance) / 16;
	transition->terminal = stream % 50 == 0;
}

static const struct task tasks[] = {
	{ "Pendulum", 3, 1, draw_pendulum },
	{ "HalfCheetah", 17, 6, draw_cheetah },
};

struct batch_memory {
	struct step_batch batch;
	int32_t *observation, *action, *reward, *next_observation;
	uint8_t *terminal;
};

static void *allocate(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (!memory)
		abort();
	memset(memory, 0, (bytes + 63) / 64 * 64);
	return memory;
}

static int32_t to_fixed(double value)
{
	return (int32_t)floor(value * ONE + 0.5);
}

static void make_batch(struct batch_memory *memory, const struct task *task, uint64_t number)
{
	struct transition transition = {
		.observation = double_array(task->observation_dim),
		.action = double_array(task->action_dim),
		.next_observation = double_array(task->observation_dim),
	};

	memory->observation = allocate(BATCH * task->observation_dim * sizeof(int32_t));
	memory->next_observation = allocate(BATCH * task->observation_dim * sizeof(int32_t));
	memory->action = allocate(BATCH * task->action_dim * sizeof(int32_t));
	memory->reward = allocate(BATCH * sizeof(int32_t));
	memory->terminal = allocate(BATCH);
	for (uint32_t b = 0; b < BATCH; b++) {
		task->draw(task, number * BATCH + b, &transition);
		for (uint32_t i = 0; i < task->observation_dim; i++) {
			memory->observation[b * task->observation_dim + i] = to_fixed(transition.observation[i]);
			memory->next_observation[b * task->observation_dim + i] =
				to_fixed(transition.next_observation[i]);
		}
		for (uint32_t j = 0; j < task->action_dim; j++)
			memory->action[b * task->action_dim + j] = to_fixed(transition.action[j]);
		memory->reward[b] = to_fixed(transition.reward);
		memory->terminal[b] = (uint8_t)transition.terminal;
	}
	memory->batch = (struct step_batch){
		BATCH, memory->observation, memory->action, memory->reward, memory->next_observation, memory->terminal,
	};
	free(transition.observation);
	free(transition.action);
	free(transition.next_observation);
}

static void free_batch(struct batch_memory *memory)
{
	free(memory->observation);
	free(memory->next_observation);
	free(memory->action);
	free(memory->reward);
	free(memory->terminal);
}

/* ---- An agent whose arena we can look into ---- */

struct subject {
	struct step_config config;
	struct step_agent *agent;
	struct step_mode mode;
	unsigned char *arena;
	size_t bytes;
	struct step_tensor *tensors;
	size_t tensor_count;
};

static void make_subject(struct subject *subject, const struct step_config *config)
{
	memset(subject, 0, sizeof(*subject));
	subject->config = *config;
	subject->tensor_count = step_layout(config, NULL, 0, &subject->bytes);
	subject->tensors = allocate(subject->tensor_count * sizeof(*subject->tensors));
	step_layout(config, subject->tensors, subject->tensor_count, NULL);
	subject->arena = allocate(subject->bytes);
	if (step_agent_create(config, subject->arena, pe_engine_find(NULL), NULL, &subject->agent)) {
		fputs("no agent\n", stderr);
		abort();
	}
}

static void free_subject(struct subject *subject)
{
	step_agent_destroy(subject->agent);
	free(subject->tensors);
	free(subject->arena);
}

static const int32_t *find_tensor(const struct subject *subject, const char *name, size_t layer, const char *part)
{
	char full[64];

	snprintf(full, sizeof(full), "%s.%zu.%s", name, layer, part);
	for (size_t i = 0; i < subject->tensor_count; i++)
		if (!strcmp(subject->tensors[i].name, full))
			return (const void *)(subject->arena + subject->tensors[i].offset);
	fprintf(stderr, "no tensor %s\n", full);
	abort();
}

static void copy_weights(const struct subject *subject, const char *name, struct double_network *network)
{
	for (size_t l = 0; l < network->layers; l++) {
		struct double_layer *layer = &network->layer[l];
		const int32_t *weight = find_tensor(subject, name, l, "weight"),
			      *bias = find_tensor(subject, name, l, "bias");

		for (size_t i = 0; i < layer->inputs * layer->outputs; i++)
			layer->weight[i] = ldexp(weight[i], -FX_WEIGHT);
		for (size_t i = 0; i < layer->outputs; i++)
			layer->bias[i] = ldexp(bias[i], -FX_WEIGHT);
	}
}

/* ---- The comparison ---- */

struct reference {
	struct double_network network[STEP_NETWORKS], target[STEP_NETWORKS];
	struct step_quantizer *quantizers;
};

static void make_reference(struct reference *reference, const struct subject *subject)
{
	const uint32_t layers = subject->config.hidden_count + 1;

	reference->quantizers = allocate(2 * layers * STEP_CLASSES * sizeof(*reference->quantizers));
	step_read_quantizers(subject->agent, reference->quantizers);
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		double_network_create(&reference->network[n], &subject->config, n, BATCH);
		double_network_create(&reference->target[n], &subject->config, n, BATCH);
		for (uint32_t l = 0; l < layers && subject->mode.quantized; l++) {
			reference->network[n].layer[l].quantizer =
				&reference->quantizers[(n * layers + l) * STEP_CLASSES];
			reference->target[n].layer[l].quantizer = reference->network[n].layer[l].quantizer;
		}
	}
}

static void free_reference(struct reference *reference)
{
	for (unsigned n = 0; n < STEP_NETWORKS; n++) {
		double_network_destroy(&reference->network[n]);
		double_network_destroy(&reference->target[n]);
	}
	free(reference->quantizers);
}

struct sink {
	const struct step_config *config;
	int fraction; /* of the gradients as sums over the batch */
	double *weight[STEP_NETWORKS][STEP_MAX_LAYERS], *bias[STEP_NETWORKS][STEP_MAX_LAYERS];
};

static void keep_gradient(void *user, enum step_network which, uint32_t layer, const int32_t *weight,
			  const int32_t *bias)
{
	uint32_t inputs[STEP_MAX_LAYERS], outputs[STEP_MAX_LAYERS];
	struct sink *sink = user;

	step_layers(sink->config, which, inputs, outputs);
	sink->weight[which][layer] = double_of_fixed(weight, (size_t)inputs[layer] * outputs[layer], sink->fraction);
	sink->bias[which][layer] = double_of_fixed(bias, outputs[layer], sink->fraction);
}

static double largest(const double *values, size_t count)
{
	double found = 0;

	for (size_t i = 0; i < count; i++)
		found = fmax(found, fabs(values[i]));
	return found;
}

static double largest_difference(const double *a, const double *b, size_t count)
{
	double found = 0;

	for (size_t i = 0; i < count; i++)
		found = fmax(found, fabs(a[i] - b[i]));
	return found;
}

/* What one layer's gradients were like, all as powers of two. */
struct deviation {
	double weight, bias; /* norm of the difference over the norm of the reference */
	double largest_difference, largest; /* of single entries of dW: over the largest one; the largest itself */
};

/*
 * One training step of the subject on `batch`, its gradients against `reference`, whose actor, critic and targets hold
 * the weights before the step; the critic's are replaced by the updated ones. Returns how many ReLUs were so close to
 * their corner that device and reference may take different sides.
 */
static size_t compare_gradients(struct subject *subject, const struct step_batch *batch, struct reference *reference,
				struct deviation deviations[STEP_NETWORKS][STEP_MAX_LAYERS], uint64_t *saturations)
{
	const struct step_hyperparameters *hyper = &subject->config.hyper;
	struct double_network *actor = &reference->network[STEP_ACTOR], *critic = &reference->network[STEP_CRITIC];
	struct sink sink = { .config = &subject->config, .fraction = FX_WEIGHT_GRADIENT };
	struct step_statistics statistics;
	struct double_batch plain;
	double *target = double_array(batch->size);

	*saturations = 0;
	/* The mean is a shift of dW; dY, which may be quantized, is not divided. */
	while (1u << (FX_WEIGHT_GRADIENT - sink.fraction) < batch->size)
		sink.fraction--;
	double_batch_create(&plain, &subject->config, batch);
	double_targets(&reference->target[STEP_ACTOR], &reference->target[STEP_CRITIC], &plain,
		       ldexp(hyper->discount, -31), target);
	double_critic_gradient(critic, &plain, target, ldexp(1, hyper->gradient_scale[STEP_CRITIC]));

	step_set_gradient_sink(subject->agent, keep_gradient, &sink);
	if (step_train(subject->agent, batch, &statistics))
		abort();
	step_set_gradient_sink(subject->agent, NULL, NULL);
	for (int i = 0; i < STEP_SATURATIONS; i++)
		*saturations += statistics.saturation[i];

	for (unsigned i = 0; i < STEP_NETWORKS; i++) {
		const enum step_network which = i == 0 ? STEP_CRITIC : STEP_ACTOR;
		const struct double_network *network = &reference->network[which];

		for (size_t l = 0; l < network->layers; l++) {
			const struct double_layer *layer = &network->layer[l];
			const size_t count = layer->inputs * layer->outputs;
			const double *found = sink.weight[which][l], *expected = layer->weight_gradient;

			deviations[which][l] = (struct deviation){
				log2(double_relative_error(found, expected, count)),
				log2(double_relative_error(sink.bias[which][l], layer->bias_gradient, layer->outputs)),
				log2(largest_difference(found, expected, count) / largest(expected, count)),
				log2(largest(expected, count)) + sink.fraction - FX_WEIGHT_GRADIENT,
			};
			free(sink.weight[which][l]);
			free(sink.bias[which][l]);
		}
		if (which == STEP_CRITIC) {
			/* The actor's gradient is that through the updated critic. */
			copy_weights(subject, "critic", critic);
			double_actor_gradient(actor, critic, &plain, ldexp(1, hyper->gradient_scale[STEP_ACTOR]));
		}
	}
	double_batch_destroy(&plain);
	free(target);
	return actor->near_corner + critic->near_corner;
}

/*
 * Returns 0, having judged nothing, where a ReLU is within rounding of its corner: there the gradient jumps, and that
 * the device takes the other side says nothing of its arithmetic. The caller tries another batch.
 */
static int check(struct subject *subject, const struct step_batch *batch, const char *title, int judge)
{
	static const char *const names[STEP_NETWORKS] = { "actor", "critic" };
	struct deviation deviations[STEP_NETWORKS][STEP_MAX_LAYERS];
	struct reference reference;
	uint64_t saturations;
	size_t corners;

	make_reference(&reference, subject);
	copy_weights(subject, "actor", &reference.network[STEP_ACTOR]);
	copy_weights(subject, "critic", &reference.network[STEP_CRITIC]);
	copy_weights(subject, "actor_target", &reference.target[STEP_ACTOR]);
	copy_weights(subject, "critic_target", &reference.target[STEP_CRITIC]);
	corners = compare_gradients(subject, batch, &reference, deviations, &saturations);
	free_reference(&reference);
	if (corners)
		return 0;
	for (unsigned n = 0; n < STEP_NETWORKS; n++)
		for (uint32_t l = 0; l <= subject->config.hidden_count; l++) {
			const struct deviation *deviation = &deviations[n][l];

			if (judge)
				ktap_ok(exp2(deviation->weight) <= BOUND,
					"%s, %s layer %u: dW off by 2^%.1f of its norm, at most 2^-12", title,
					names[n], l, deviation->weight);
			else
				ktap_note("%s, %s layer %u: dW off by 2^%.1f of its norm", title, names[n], l,
					  deviation->weight);
			ktap_note("largest difference 2^%.1f of the largest dW, 2^%.1f; db off by 2^%.1f",
				  deviation->largest_difference, deviation->largest, deviation->bias);
		}
	ktap_note("%llu saturations in this step", (unsigned long long)saturations);
	return 1;
}

/* ---- Quantizers ---- */

static void set_mode(struct subject *subject, uint32_t quantized, uint32_t observe)
{
	subject->mode.quantized = quantized;
	subject->mode.observe = observe;
	step_set_mode(subject->agent, &subject->mode);
}

/* The rule of lib/ARITHMETIC.md section 2, for a range that was observed. */
static int32_t fraction_for(const struct step_range *range, int32_t master, int32_t width, int32_t is_signed,
			    int32_t headroom)
{
	const double most = fmax(fabs((double)range->minimum), fabs((double)range->maximum));
	int32_t exponent = -40, fraction;

	if (range->minimum > range->maximum || most == 0)
		return master;
	while (most > ldexp(1, exponent + master))
		exponent++;
	fraction = width - (is_signed ? 1 : 0) - exponent - headroom;
	return fraction < master ? fraction : master;
}

/* Widths for activations (one less where unsigned), weights and gradients; 32 leaves the masters, 24 is the weights'
 * fixed format. */
static void quantize(struct subject *subject, int32_t activation, int32_t weight, int32_t gradient)
{
	const uint32_t layers = subject->config.hidden_count + 1;
	static const int32_t master[STEP_CLASSES] = { FX_ACTIVATION, FX_WEIGHT, FX_GRADIENT };
	struct step_quantizer *quantizers = allocate(2 * layers * STEP_CLASSES * sizeof(*quantizers));
	struct step_range *ranges = allocate(2 * layers * STEP_CLASSES * sizeof(*ranges));

	step_read_ranges(subject->agent, ranges);
	for (uint32_t i = 0; i < 2 * layers * STEP_CLASSES; i++) {
		const uint32_t class = i % STEP_CLASSES;
		const int32_t is_signed = class != STEP_ACTIVATION || i / STEP_CLASSES % layers == 0;
		int32_t width = class == STEP_ACTIVATION ? activation : class == STEP_WEIGHT ? weight : gradient;

		if (class == STEP_ACTIVATION && !is_signed && width < 32)
			width--;
		quantizers[i] = (struct step_quantizer){ width, master[class], is_signed };
		if (class == STEP_WEIGHT && width == 24)
			quantizers[i].fraction = FX_WEIGHT - 8;
		else if (width < 32)
			quantizers[i].fraction =
				fraction_for(&ranges[i], master[class], width, is_signed, class != STEP_WEIGHT);
	}
	if (step_write_quantizers(subject->agent, quantizers)) {
		fputs("quantizers refused\n", stderr);
		abort();
	}
	free(quantizers);
	free(ranges);
}

static void forget_ranges(struct subject *subject)
{
	for (size_t i = 0; i < subject->tensor_count; i++) {
		struct step_range *ranges = (void *)(subject->arena + subject->tensors[i].offset);

		if (strcmp(subject->tensors[i].name, "ranges"))
			continue;
		for (size_t entry = 0; entry < subject->tensors[i].bytes / sizeof(*ranges); entry++)
			ranges[entry] = (struct step_range){ INT32_MAX, INT32_MIN };
	}
	step_agent_reload(subject->agent);
}

/* ---- Cases ---- */

/* The library's default hyperparameters. */
static struct step_config make_config(const struct task *task)
{
	const struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;
	struct step_config config = {
		.observation_dim = task->observation_dim,
		.action_dim = task->action_dim,
		.hidden_count = options.hidden_count,
		.batch_max = BATCH,
		.seed = 5,
	};
	struct edge_complaint complaint;

	memcpy(config.hidden, options.hidden, sizeof(config.hidden));
	if (edge_hyperparameters(&options, &config.hyper, &complaint))
		abort();
	return config;
}

static void train(struct subject *subject, const struct task *task, uint64_t from, uint64_t to)
{
	struct step_statistics statistics;

	for (uint64_t number = from; number < to; number++) {
		struct batch_memory memory;

		make_batch(&memory, task, number);
		step_train(subject->agent, &memory.batch, &statistics);
		free_batch(&memory);
	}
}

static void check_task(struct subject *subject, const struct task *task, uint64_t number, const char *what, int judge)
{
	char title[64];
	int done = 0;

	snprintf(title, sizeof(title), "%s, %s", task->name, what);
	for (uint64_t try = 0; try < TRIES && !done; try++) {
		struct batch_memory memory;

		make_batch(&memory, task, 1000000 + TRIES * number + try);
		done = check(subject, &memory.batch, title, judge);
		free_batch(&memory);
	}
	if (!done)
		ktap_ok(0, "%s: a batch without a ReLU at its corner among %d", title, TRIES);
}

static void test_fresh(const struct task *task)
{
	struct step_config config = make_config(task);
	struct subject subject;

	make_subject(&subject, &config);
	check_task(&subject, task, 0, "fresh", 0);
	free_subject(&subject);
	config.hyper.gradient_scale[STEP_ACTOR] = 6;
	make_subject(&subject, &config);
	check_task(&subject, task, 0, "fresh, actor's scale 2^6", 1);
	free_subject(&subject);
}

static void test_trained(const struct task *task)
{
	const struct step_config config = make_config(task);
	struct subject subject;

	make_subject(&subject, &config);
	set_mode(&subject, 0, 1);
	train(&subject, task, 0, 300);
	check_task(&subject, task, 1, "300 steps", 1);
	quantize(&subject, 16, 24, 32);
	set_mode(&subject, 1, 0);
	check_task(&subject, task, 2, "qat16", 1);
	train(&subject, task, 300, 350);
	check_task(&subject, task, 3, "qat16, 50 steps", 1);
	/* The ranges of the first steps say nothing about today's gradients. */
	forget_ranges(&subject);
	set_mode(&subject, 1, 1);
	train(&subject, task, 350, 370);
	quantize(&subject, 16, 16, 16);
	check_task(&subject, task, 4, "all 16 bits", task == &tasks[0]);
	free_subject(&subject);
}

/* ---- Runs ---- */

static void draw_batch(const struct fixar_agent *agent, uint64_t number, struct batch_memory *memory)
{
	const size_t values = BATCH * (size_t)agent->config.observation_dim;
	float *observation = allocate(values * sizeof(float)), *next_observation = allocate(values * sizeof(float));
	float *reward = allocate(BATCH * sizeof(float));
	uint64_t slots[BATCH], unused = 0;

	memory->observation = allocate(values * sizeof(int32_t));
	memory->next_observation = allocate(values * sizeof(int32_t));
	memory->action = allocate(BATCH * agent->config.action_dim * sizeof(int32_t));
	memory->reward = allocate(BATCH * sizeof(int32_t));
	memory->terminal = allocate(BATCH);
	for (uint32_t b = 0; b < BATCH; b++)
		slots[b] = fx_random_word(4, FX_RANDOM_TEST, number, b) % replay_count(agent->ddpg->replay);
	replay_gather(
		agent->ddpg->replay, BATCH, slots,
		&(struct replay_batch){ observation, memory->action, reward, next_observation, memory->terminal });
	for (size_t i = 0; i < values; i++) {
		memory->observation[i] = edge_fixed((double)observation[i], &unused);
		memory->next_observation[i] = edge_fixed((double)next_observation[i], &unused);
	}
	for (uint32_t b = 0; b < BATCH; b++)
		memory->reward[b] = edge_fixed((double)reward[b], &unused);
	memory->batch = (struct step_batch){
		BATCH, memory->observation, memory->action, memory->reward, memory->next_observation, memory->terminal,
	};
	free(observation);
	free(next_observation);
	free(reward);
}

static void test_run(const char *directory)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };
	struct step_config config;
	struct fixar_agent *agent;
	struct fixar_env env;
	struct subject subject;
	unsigned char *state;

	if (fixar_checkpoint_info(directory, &info, NULL, NULL) || fixar_env_find(info.environment, &env, NULL, 0) ||
	    fixar_agent_load(NULL, &env, directory, 1, NULL, NULL, &agent)) {
		ktap_ok(0, "%s: a run that can be loaded", directory);
		return;
	}
	if (info.precision == FIXAR_FLOAT32 || agent->options.normalize_observations) {
		ktap_skip(directory, "float32, or normalized observations");
		fixar_agent_destroy(agent);
		return;
	}
	config = agent->config;
	config.batch_max = BATCH;
	make_subject(&subject, &config);
	if (agent_read_state(agent, &(const struct step_tensor *){ NULL }, &(size_t){ 0 }, &state))
		abort();
	memcpy(subject.arena, state, subject.bytes);
	free(state);
	if (step_agent_reload(subject.agent))
		abort();
	set_mode(&subject, agent->ddpg->mode.quantized, 0);
	for (uint64_t number = 0, judged = 0; judged < BATCHES; number++) {
		struct batch_memory memory;
		char title[64];

		if (number == BATCHES * TRIES) {
			ktap_ok(0, "%s: %d batches without a ReLU at its corner among %llu", directory, BATCHES,
				(unsigned long long)number);
			break;
		}
		draw_batch(agent, number, &memory);
		snprintf(title, sizeof(title), "%s at step %llu, batch %llu", info.environment,
			 (unsigned long long)(info.environment_steps), (unsigned long long)number);
		judged += (uint64_t)check(&subject, &memory.batch, title, 1);
		free_batch(&memory);
	}
	free_subject(&subject);
	fixar_agent_destroy(agent);
}

int main(int argc, char **argv)
{
	ktap_start();
	for (int i = 1; i < argc; i++)
		test_run(argv[i]);
	for (size_t i = 0; argc == 1 && i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		test_fresh(&tasks[i]);
		test_trained(&tasks[i]);
	}
	return ktap_finish();
}
