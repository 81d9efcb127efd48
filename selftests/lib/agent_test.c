// SPDX-License-Identifier: MIT
/*
 * Description: the public face of an agent. Every wrong option is refused in words that name it; the same seed gives
 * the same bytes whatever the engine, the number of threads and the company on the device; evaluation changes nothing.
 */
#include "ktap.h"
#include "probe.h"

#include <pthread.h>
#include <unistd.h>

#include "agent/agent.h"
#include "fx/random.h"
#include "pe/pool.h"

static struct probe_log log_lines;

static struct fixar_agent_options small_options(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;

	options.hidden[0] = 24;
	options.hidden[1] = 17;
	options.batch = 16;
	options.replay_capacity = 200;
	options.warm_up_steps = 40;
	options.seed = 3;
	options.log = probe_log_write;
	options.log_user = &log_lines;
	return options;
}

static void test_names(void)
{
	enum fixar_precision precision = FIXAR_FLOAT32;
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", FIXAR_VERSION_MAJOR, FIXAR_VERSION_MINOR, FIXAR_VERSION_PATCH);
	ktap_ok(!strcmp(fixar_version(), version), "version %s", fixar_version());
	ktap_ok(!fixar_precision_parse("qat16", &precision) && precision == FIXAR_QAT16 &&
			!strcmp(fixar_precision_name(FIXAR_FIXED32), "fixed32"),
		"names of precisions");
	ktap_ok(fixar_precision_parse("qat8", &precision) == -EINVAL &&
			fixar_precision_parse(NULL, &precision) == -EINVAL,
		"a name that is none");
	ktap_ok(!strcmp(fixar_saturation_name(0), "activation") && !strcmp(fixar_saturation_name(10), "input") &&
			!strcmp(fixar_saturation_name(11), "unknown"),
		"names of saturations");
	ktap_ok(!strcmp(fixar_strerror(-EINVAL), "Invalid argument") && !strcmp(fixar_strerror(0), "success") &&
			!strcmp(fixar_strerror(-99999), "unknown error"),
		"errors in words");
}

/* ---- Devices ---- */

static void test_devices(void)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_device *device = NULL;

	options.log = probe_log_write;
	options.log_user = &log_lines;
	probe_log_clear(&log_lines);
	options.engine = "scalar";
	options.threads = 3;
	ktap_ok(!fixar_device_open("auto", &options, &device) &&
			!strcmp(fixar_device_description(device), "CPU, scalar, 3 threads"),
		"auto opens the CPU");
	ktap_ok(strstr(log_lines.text, "info: device: CPU, scalar, 3 threads, because") != NULL, "and says why");
	fixar_device_close(device);
	ktap_ok(!fixar_device_open("cpu", NULL, &device), "options may be missing");
	fixar_device_close(device);

	probe_log_clear(&log_lines);
	ktap_ok(fixar_device_open("/dev/accel/accel0", &options, &device) == -EINVAL && !device &&
			strstr(log_lines.text, "engine"),
		"a card has none of the CPU's engines");
	options.engine = NULL;
	options.threads = 0;
	probe_log_clear(&log_lines);
	ktap_ok(fixar_device_open("/dev/accel/accel63", &options, &device) == -ENODEV && !device &&
			strstr(log_lines.text, "/dev/accel/accel63"),
		"a card that is not there is named, and the CPU does not take its place");
	ktap_ok(fixar_device_open("ffff:1f:1f.7", &options, &device) == -ENODEV && !device, "nor for a PCI address");
	options.engine = "sse9";
	ktap_ok(fixar_device_open("cpu", &options, &device) == -EINVAL &&
			strstr(log_lines.text, "engine: \"sse9\" is unknown"),
		"an unknown engine");
	options.engine = fixar_engine_available("neon") ? "avx2" : "neon";
	ktap_ok(fixar_device_open("cpu", &options, &device) == -ENOTSUP || !strcmp(options.engine, "avx2"),
		"an engine of another processor");
	options = (struct fixar_device_options)FIXAR_DEVICE_OPTIONS_INIT;
	options.precision = FIXAR_FLOAT32;
	ktap_ok(fixar_device_open("/dev/accel/accel0", &options, &device) == -ENOTSUP, "float32 on a card");
	ktap_ok(fixar_engine_available("scalar") && !fixar_engine_available("sse9") &&
			!fixar_engine_available("auto") && !fixar_engine_available(NULL),
		"which engines there are");
	ktap_ok(device_cpu_threads(5) == 5 && device_cpu_threads(0) >= 1 &&
			device_cpu_threads(0) <= (unsigned)sysconf(_SC_NPROCESSORS_CONF),
		"one thread for each processor by default");
	fixar_device_close(NULL);
}

/* ---- Options ---- */

static int create_with(const struct fixar_agent_options *options, struct probe_env *probe)
{
	struct fixar_agent *agent = NULL;
	int error;

	probe_log_clear(&log_lines);
	error = fixar_agent_create(NULL, &probe->env, options, &agent);
	if (error && agent)
		return 1;
	fixar_agent_destroy(agent);
	return error;
}

/* Refused with -EINVAL, and the log has `words`: the option's name and value. */
static void refuses(const struct fixar_agent_options *options, struct probe_env *probe, const char *words,
		    const char *what)
{
	const int error = create_with(options, probe);

	log_lines.text[strcspn(log_lines.text, "\n")] = '\0';
	ktap_ok(error == -EINVAL && strstr(log_lines.text, words), "refused: %s (%s)", what, log_lines.text);
}

#define REFUSES(member, wrong, words)                                             \
	do {                                                                      \
		struct fixar_agent_options changed = small_options();             \
                                                                                  \
		changed.member = wrong;                                           \
		refuses(&changed, &probe, "error: " words, #member " = " #wrong); \
	} while (0)

static void test_options(void)
{
	const struct fixar_layer_bits bits[] = { { .network = 2 } }, layer[] = { { .network = 1, .layer = 3 } };
	const struct fixar_layer_bits wide[] = { { .layer = 1, .activation = 17 } }, narrow[] = { { .gradient = 1 } };
	struct fixar_agent_options options = small_options();
	struct probe_env probe;

	probe_env_init(&probe, 20, 0);
	ktap_ok(create_with(&options, &probe) == 0, "the options that the wrong ones are made of are right");
	REFUSES(precision, (enum fixar_precision)4, "precision: 4, expected");
	REFUSES(hidden_count, 0, "hidden_count: 0, expected 1 to 31");
	REFUSES(hidden_count, 32, "hidden_count: 32, expected");
	REFUSES(hidden[1], 0, "hidden[1]: 0, expected 1 to 16384");
	REFUSES(hidden[1], 16385, "hidden[1]: 16385, expected");
	REFUSES(batch, 0, "batch: 0, expected 1 to 65536");
	REFUSES(batch, 65537, "batch: 65537, expected");
	REFUSES(replay_capacity, 15, "replay_capacity: 15, expected 16 to");
	REFUSES(replay_capacity, UINT64_C(1) << 32, "replay_capacity: 4294967296, expected");
	REFUSES(updates_per_step, 0, "updates_per_step: 0, expected");
	REFUSES(headroom_bits, 9, "headroom_bits: 9, expected 0 to 8");
	REFUSES(discount, 1.0, "discount: 1, expected 0 to below 1");
	REFUSES(discount, -0.1, "discount: -0.1, expected");
	REFUSES(discount, NAN, "discount: nan, expected");
	REFUSES(tau, 0, "tau: 0, expected");
	REFUSES(tau, 1.5, "tau: 1.5, expected");
	REFUSES(actor_rate, 0, "actor_rate: 0, expected");
	REFUSES(actor_rate, 1e-9, "actor_rate: 1e-09, expected");
	REFUSES(critic_rate, 1.0, "critic_rate: 1, expected");
	REFUSES(critic_rate, INFINITY, "critic_rate: inf, expected");
	REFUSES(beta1, 1.0, "beta1: 1, expected");
	REFUSES(beta2, 1.0, "beta2: 1, expected");
	REFUSES(beta2, 0.5, "beta2: 0.5, expected");
	REFUSES(noise, (enum fixar_noise)2, "noise: 2, expected");
	REFUSES(noise_sigma, -0.1, "noise_sigma: -0.1, expected 0 to 16");
	REFUSES(noise_theta, 1.1, "noise_theta: 1.1, expected 0 to 1");
	REFUSES(reward_scale_log2, 65, "reward_scale_log2: 65, expected -64 to 64");
	REFUSES(reward_scale_log2, INT32_MIN, "reward_scale_log2: -2147483648, expected");
	REFUSES(actor_gradient_scale_log2, 7, "actor_gradient_scale_log2: 7, expected -2 to 6");
	REFUSES(critic_gradient_scale_log2, -3, "critic_gradient_scale_log2: -3, expected");
	REFUSES(normalize_observations, 2, "normalize_observations: 2, expected 0 to 1");

	options.bits = bits;
	options.bits_count = 1;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "error: bits: "),
		"bits without qat16");
	options.precision = FIXAR_QAT16;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "bits[0].network: 2, expected"),
		"bits of a third network");
	options.bits = layer;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "bits[0].layer: 3, expected 0 to 2"),
		"bits of a layer that is not there");
	options.bits = wide;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "bits[0].activation: 17, expected"),
		"bits beyond 16");
	options.bits = narrow;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "bits[0].gradient: 1, expected"),
		"bits below 2");
	options.bits = NULL;
	ktap_ok(create_with(&options, &probe) == -EINVAL && strstr(log_lines.text, "bits: NULL, expected"),
		"bits that are missing");
}

static void test_option_sizes(void)
{
	struct {
		struct fixar_agent_options options;
		uint64_t more;
	} newer = { small_options(), 0 };
	struct fixar_agent_options options = small_options();
	const struct fixar_agent_options *resolved;
	struct fixar_agent_status status = { .size = offsetof(struct fixar_agent_status, training_steps) };
	struct probe_env probe;
	struct fixar_agent *agent;

	probe_env_init(&probe, 20, 0);
	newer.options.size = sizeof(newer);
	ktap_ok(create_with(&newer.options, &probe) == 0, "larger options from the future, zeros in what is unknown");
	newer.more = 1;
	ktap_ok(create_with(&newer.options, &probe) == -E2BIG && strstr(log_lines.text, "error: options: "),
		"something unknown in them is refused");
	options.size = 0;
	ktap_ok(create_with(&options, &probe) == -EINVAL, "options without a size");
	options = small_options();
	options.batch = 0;
	options.noise = FIXAR_NOISE_OU;
	options.size = offsetof(struct fixar_agent_options, batch);
	if (!ktap_ok(!fixar_agent_create(NULL, &probe.env, &options, &agent), "smaller options from the past"))
		return;
	resolved = fixar_agent_options(agent);
	ktap_ok(resolved->hidden[1] == 17 && resolved->batch == 64 && resolved->noise == FIXAR_NOISE_GAUSSIAN &&
			resolved->size == sizeof(*resolved),
		"what they lack has its default");
	ktap_ok(resolved->delay == 10000 && resolved->noise_sigma == 0.1 && resolved->reward_scale_log2 == 0,
		"defaults that depend on others are filled in");
	status.training_steps = 77;
	ktap_ok(!fixar_agent_status(agent, &status) && status.training_steps == 77,
		"answers fit the caller's size too");
	fixar_agent_destroy(agent);
	ktap_ok(!fixar_agent_create(NULL, &probe.env, NULL, &agent), "options may be missing");
	fixar_agent_destroy(agent);
	fixar_agent_destroy(NULL);
}

static void test_environments(void)
{
	struct fixar_agent_options options = small_options();
	struct fixar_device_options device_options = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_device *device;
	struct fixar_agent *agent;
	struct probe_env probe;

#define ENV_REFUSED(change, words)                         \
	do {                                               \
		probe_env_init(&probe, 20, 1);             \
		change;                                    \
		refuses(&options, &probe, words, #change); \
	} while (0)

	ENV_REFUSED(probe.spec.observation_dim = 0, "observation_dim: 0, expected 1 to 4096");
	ENV_REFUSED(probe.spec.action_dim = 257, "action_dim: 257, expected 1 to 256");
	ENV_REFUSED(probe.spec.name = "", "expected a name");
	ENV_REFUSED(probe.spec.size = 3, "spec.size is wrong");
	ENV_REFUSED(probe.low = 4, "the bounds of action 0 are 4 and 4");
	ENV_REFUSED(probe.high = INFINITY, "the bounds of action 0 are -2 and inf");
	ENV_REFUSED(probe.spec.action_low = NULL, "it has no bounds");
	ENV_REFUSED(probe.ops.step = NULL, "step is missing");
	ENV_REFUSED(probe.ops.restore = NULL, "2 of 3");
	ENV_REFUSED(probe.env.ops = NULL, "no specification or callbacks");
	ENV_REFUSED(probe.spec.reward_scale_log2 = 99, "reward_scale_log2: 99, expected");

	probe_env_init(&probe, 20, 1);
	probe_log_clear(&log_lines);
	fixar_device_open("cpu", NULL, &device);
	options.precision = FIXAR_FLOAT32;
	ktap_ok(fixar_agent_create(device, &probe.env, &options, &agent) == -EINVAL &&
			strstr(log_lines.text, "precision: float32 cannot run on the device"),
		"float32 on a device of fixed point");
	fixar_device_close(device);
	device_options.precision = FIXAR_FLOAT32;
	fixar_device_open("cpu", &device_options, &device);
	options.precision = FIXAR_QAT16;
	ktap_ok(fixar_agent_create(device, &probe.env, &options, &agent) == -EINVAL, "and the other way round");
	fixar_device_close(device);
}

/* ---- Determinism ---- */

#define STEPS 70

/* A hash of everything that an agent is. */
static uint64_t fingerprint(struct fixar_agent *agent)
{
	const struct step_tensor *tensors;
	uint64_t hash = UINT64_C(14695981039346656037);
	unsigned char *state;
	size_t count;

	if (agent_read_state(agent, &tensors, &count, &state))
		return 0;
	for (size_t t = 0; t < count; t++)
		for (size_t i = 0; i < tensors[t].bytes; i++)
			hash = (hash ^ state[tensors[t].offset + i]) * UINT64_C(1099511628211);
	free(state);
	for (size_t i = 0; i < sizeof(agent->ddpg->record); i++)
		hash = (hash ^ ((unsigned char *)&agent->ddpg->record)[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t run(struct fixar_device *device, const struct fixar_agent_options *options, uint64_t steps)
{
	struct fixar_agent *agent;
	struct fixar_env env;
	uint64_t result = 0;

	if (fixar_env_find("pendulum", &env, NULL, 0) || fixar_agent_create(device, &env, options, &agent))
		return 0;
	if (!fixar_agent_train(agent, steps, NULL, NULL))
		result = fingerprint(agent);
	fixar_agent_destroy(agent);
	return result;
}

struct job {
	struct fixar_device *device;
	struct fixar_agent_options options;
	uint64_t result;
};

static void *work(void *user)
{
	struct job *job = user;

	job->result = run(job->device, &job->options, STEPS);
	return NULL;
}

static void test_determinism(enum fixar_precision precision)
{
	const char *name = fixar_precision_name(precision);
	struct fixar_device_options device_options = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_agent_options options = small_options();
	struct fixar_device *scalar = NULL, *threads = NULL;
	struct job jobs[2];
	pthread_t thread[2];
	uint64_t expected;

	options.log = NULL; /* the log of this test is not for several threads */
	options.precision = precision;
	options.delay = STEPS - 15;
	options.noise = FIXAR_NOISE_OU;
	options.normalize_observations = 1;
	device_options.engine = "scalar";
	device_options.threads = 1;
	device_options.precision = precision;
	fixar_device_open("cpu", &device_options, &scalar);
	device_options.engine = NULL;
	device_options.threads = 3;
	fixar_device_open("cpu", &device_options, &threads);
	/* So small a network would be left to one thread. */
	if (precision != FIXAR_FLOAT32)
		pe_pool_set_least(device_cpu_pool(threads), 0);
	expected = run(scalar, &options, STEPS);
	ktap_ok(expected && run(scalar, &options, STEPS) == expected, "%s: the same seed gives the same agent", name);
	if (precision != FIXAR_FLOAT32)
		ktap_ok(run(threads, &options, STEPS) == expected, "%s: with another engine and 3 threads too", name);
	options.seed++;
	ktap_ok(run(scalar, &options, STEPS) != expected, "%s: another seed gives another agent", name);

	jobs[0] = (struct job){ .device = threads, .options = options };
	jobs[1] = jobs[0];
	jobs[1].options.batch = 33;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, work, &jobs[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 2; i++)
		ktap_ok(jobs[i].result && jobs[i].result == run(threads, &jobs[i].options, STEPS),
			"%s: agent %d is the same alone and in company on the device", name, i);
	fixar_device_close(scalar);
	fixar_device_close(threads);
}

/* ---- Evaluation, acting, status ---- */

static void test_evaluation(void)
{
	struct fixar_agent_options options = small_options();
	struct fixar_evaluation first = { .size = sizeof(first) }, second = first, other = first;
	struct probe_env probe;
	double returns[6], sum = 0, action, observation[2] = { 0.25, 0 }, nan[2] = { 0.25, NAN };
	struct fixar_agent *agent;
	uint64_t before;
	int same_returns = 1;

	probe_env_init(&probe, 9, 0);
	options.normalize_observations = 1;
	options.noise = FIXAR_NOISE_OU;
	if (fixar_agent_create(NULL, &probe.env, &options, &agent))
		return;
	fixar_agent_train(agent, 123, NULL, NULL);
	before = fingerprint(agent);
	ktap_ok(!fixar_agent_evaluate(agent, 6, 11, returns, &first), "evaluation");
	ktap_ok(!fixar_agent_evaluate(agent, 6, 11, NULL, &second) && first.mean_return == second.mean_return &&
			first.std_return == second.std_return,
		"the same seed gives the same result");
	for (int e = 0; e < 6; e++) {
		double expected = 0;

		for (int t = 1; t <= 9; t++)
			expected += PROBE_CLOCK(e, t);
		same_returns &= fabs(returns[e] - expected) < 1e-9;
		sum += expected;
	}
	ktap_ok(same_returns && fabs(first.mean_return - sum / 6) < 1e-9 && first.minimum == returns[0] &&
			first.maximum == returns[5] && first.steps == 54,
		"mean, extremes and steps are those of the episodes");
	/* Returns of the probe are equally spaced, 9 / 16 apart. */
	ktap_ok(fabs(first.std_return - 9.0 / 16 * sqrt(35.0 / 12)) < 1e-9, "and so is the standard deviation");
	ktap_ok(probe.last_purpose == FX_RANDOM_EVALUATION, "start states are drawn from the evaluation's streams");
	ktap_ok(!fixar_agent_act(agent, observation, &action) && action >= -2 && action <= 4, "acting");
	ktap_ok(fixar_agent_act(agent, nan, &action) == -EDOM &&
			strstr(log_lines.text, "component 1 of the observation"),
		"not on what is not finite");
	ktap_ok(fingerprint(agent) == before, "all of which changed nothing");
	ktap_ok(fixar_agent_evaluate(agent, 0, 11, NULL, &other) == -EINVAL, "no episodes");
	ktap_ok(probe.created == 3 && probe.destroyed == 2, "in an instance of the environment of its own");
	probe.bad_step = probe.steps + 3;
	probe.bad_component = -1;
	probe.bad_value = NAN;
	ktap_ok(fixar_agent_evaluate(agent, 2, 11, NULL, &other) == -EDOM && probe.destroyed == 3,
		"a reward that is not finite ends it");
	fixar_agent_destroy(agent);
}

static void test_status(enum fixar_precision precision)
{
	struct fixar_agent_options options = small_options();
	struct fixar_agent_status status = { .size = sizeof(status) };
	struct fixar_agent *agent;
	struct probe_env probe;
	double largest = 0;

	probe_env_init(&probe, 9, 0);
	options.precision = precision;
	options.delay = 60;
	if (fixar_agent_create(NULL, &probe.env, &options, &agent))
		return;
	fixar_agent_status(agent, &status);
	/* The first layer of the actor has 2 inputs: its weights reach towards 1 / sqrt(2), and no further. */
	ktap_ok(status.largest_weight > 0.6 && status.largest_weight <= 0.70711,
		"%s: the largest weight at the start: %g", fixar_precision_name(precision), status.largest_weight);
	fixar_agent_train(agent, 100, NULL, NULL);
	fixar_agent_status(agent, &status);
	largest = status.largest_weight;
	ktap_ok(largest > 0.6 && largest < 2 && status.critic_loss > 0 && status.environment_steps == 100 &&
			status.training_steps == 60 && status.quantized == (precision == FIXAR_QAT16),
		"%s: the status of a trained agent", fixar_precision_name(precision));
	fixar_agent_destroy(agent);
}

/* The state written into an agent that has a state of its own already. */
static void test_state(void)
{
	struct fixar_agent_options options = small_options();
	const double observation[2] = { 0.3, 0.2 };
	double first_action = 0, second_action = 0, restored_action = 0;
	struct fixar_agent *first = NULL, *second = NULL;
	const struct step_tensor *tensors;
	unsigned char *state = NULL;
	struct probe_env probe;
	size_t count;

	probe_env_init(&probe, 9, 0);
	options.precision = FIXAR_QAT16;
	options.delay = 60;
	fixar_agent_create(NULL, &probe.env, &options, &first);
	options.seed++;
	fixar_agent_create(NULL, &probe.env, &options, &second);
	if (!first || !second || agent_read_state(first, &tensors, &count, &state))
		return;
	fixar_agent_train(second, 100, NULL, NULL);
	fixar_agent_train(first, 100, NULL, NULL);
	free(state);
	agent_read_state(first, &tensors, &count, &state);
	fixar_agent_act(first, observation, &first_action);
	fixar_agent_act(second, observation, &second_action);
	ktap_ok(!second->state->ops->state_write(second->state, state), "a state is written into another agent");
	fixar_agent_act(second, observation, &restored_action);
	ktap_ok(first_action != second_action && first_action == restored_action, "which then acts like the first one");
	for (size_t t = 0; t < count; t++)
		if (!strcmp(tensors[t].name, "quantizers"))
			memcpy(state + tensors[t].offset, &(int32_t){ 99 }, sizeof(int32_t));
	ktap_ok(second->state->ops->state_write(second->state, state) == -EINVAL, "a width of 99 bits is refused");
	free(state);
	fixar_agent_destroy(first);
	fixar_agent_destroy(second);
}

int main(void)
{
	ktap_start();
	test_names();
	test_devices();
	test_options();
	test_option_sizes();
	test_environments();
	test_determinism(FIXAR_FIXED32);
	test_determinism(FIXAR_QAT16);
	test_determinism(FIXAR_FLOAT32);
	test_evaluation();
	test_status(FIXAR_FIXED32);
	test_status(FIXAR_QAT16);
	test_status(FIXAR_FLOAT32);
	test_state();
	return ktap_finish();
}
