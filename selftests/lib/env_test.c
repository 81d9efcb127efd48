// SPDX-License-Identifier: MIT
/*
 * Description: environments keep to their specification, Pendulum gives the same bits on every machine, a saved
 * simulation continues with the very bits, and what goes wrong with plug-ins is said.
 *
 * The golden numbers come from env_reference.py, which shares no code with the library. The tests of the MuJoCo tasks
 * use the plug-in in the folder above this program; they are skipped if it was not built.
 */
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fixar/env.h>

#include "env/sincos.h"
#include "fx/random.h"
#include "ktap.h"

#define PI 3.14159265358979323846

static char here[3072]; /* the folder of this program */

static void plugin_folder(const char *below)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", here, below);
	setenv("FIXAR_PLUGIN_DIR", path, 1);
}

/* FNV-1a over words of 64 bits. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_doubles(uint64_t hash, const double *values, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t bits;

		memcpy(&bits, &values[i], sizeof(bits));
		hash = (hash ^ bits) * UINT64_C(0x100000001b3);
	}
	return hash;
}

static struct fixar_rng test_stream(uint64_t seed, uint64_t index)
{
	return (struct fixar_rng){ .seed = seed, .purpose = FX_RANDOM_TEST, .index = index };
}

static void random_action(const struct fixar_env *env, struct fixar_rng *rng, double *action)
{
	for (uint32_t i = 0; i < env->spec->action_dim; i++)
		action[i] = fixar_rng_uniform(rng, env->spec->action_low[i], env->spec->action_high[i]);
}

static void test_rng(void)
{
	struct fixar_rng rng = { .seed = UINT64_C(0x0123456789abcdef),
				 .purpose = 7,
				 .index = UINT64_C(0xfedcba9876543210) };
	static const uint32_t words[] = { 0xff09c848, 0xec0ecc54, 0x9c671863, 0x217d171d, 0x12a19464 };
	double sum = 0, squares = 0, fourth = 0, lowest = 2, highest = -2;
	bool same = true;
	const int draws = 200000;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		same &= fixar_rng_u32(&rng) == words[i];
	ktap_ok(same && rng.next == 5, "rng: words of a stream");
	ktap_ok(fixar_rng_uniform(&rng, -3.0, 5.0) == 0x1.63076cff48626p+1 && rng.next == 7,
		"rng: uniform takes two words");
	ktap_ok(fixar_rng_normal(&rng) == -0x1.93ed35a207a67p-1 && rng.next == 12,
		"rng: normal starts at a whole block");
	ktap_ok(fixar_rng_normal(&rng) == 0x1.419759aaef9f8p-2 && rng.next == 16, "rng: normal takes four words");

	rng = test_stream(1, 2);
	for (int i = 0; i < draws; i++) {
		const double u = fixar_rng_uniform(&rng, -0.5, 1.5);

		lowest = fmin(lowest, u);
		highest = fmax(highest, u);
		sum += u;
	}
	/* The standard error of the mean is (2 / sqrt(12)) / sqrt(draws) = 0.0013. */
	ktap_ok(lowest >= -0.5 && lowest < -0.499 && highest < 1.5 && highest > 1.499 &&
			fabs(sum / draws - 0.5) < 0.0052,
		"rng: uniform fills its interval (%g to %g, mean %g)", lowest, highest, sum / draws);
	/* Between neighbours every second sum is rounded up to the bound. */
	same = true;
	for (int i = 0; i < 64; i++)
		same &= fixar_rng_uniform(&rng, 1.0, 1.0 + 0x1p-52) == 1.0;
	ktap_ok(same, "rng: uniform never answers its upper bound");

	sum = 0;
	for (int i = 0; i < draws; i++) {
		const double n = fixar_rng_normal(&rng);

		sum += n;
		squares += n * n;
		fourth += n * n * n * n;
	}
	/* Standard errors: 1 / sqrt(draws) = 0.0022 and sqrt((2.85 - 1) / draws) = 0.0030. A sum of 8 uniforms has
	 * kurtosis 2.85. */
	ktap_ok(fabs(sum / draws) < 0.009 && fabs(squares / draws - 1) < 0.012 && fabs(fourth / draws - 2.85) < 0.06,
		"rng: normal has mean 0, variance 1, kurtosis 2.85 (%.4f, %.4f, %.3f)", sum / draws, squares / draws,
		fourth / draws);
}

/* Distance from the true value in units of the last place of that. */
static double ulps(double value, long double truth)
{
	const double rounded = fabs((double)truth);

	return (double)(fabsl((long double)value - truth) / (long double)(nextafter(rounded, INFINITY) - rounded));
}

static void test_sincos(void)
{
	double worst = 0, worst_at = 0, sine, cosine;
	struct fixar_rng rng = test_stream(3, 0);

	for (int i = 0; i < 600000; i++) {
		const double range = i < 200000 ? PI : i < 400000 ? 100.0 : 1e5;
		double angle = fixar_rng_uniform(&rng, -range, range);

		/* A third of them as close to a multiple of pi/2 as a double can be, where one of the two is nearly 0.
		 */
		if (i % 3 == 0)
			angle = round(angle / (PI / 2)) * (PI / 2);
		env_sincos(angle, &sine, &cosine);
		for (int which = 0; which < 2; which++) {
			const double error = which ? ulps(cosine, cosl(angle)) : ulps(sine, sinl(angle));

			if (error > worst) {
				worst = error;
				worst_at = angle;
			}
		}
	}
	ktap_ok(worst < 0.85, "sincos: within 0.85 ulp (worst %.3f at %a)", worst, worst_at);

	env_sincos(0.0, &sine, &cosine);
	ktap_ok(sine == 0.0 && cosine == 1.0, "sincos: exact at 0");
	env_sincos(83.25, &sine, &cosine);
	ktap_ok(sine == 0x1.ffffae67b4c61p-1 && cosine == 0x1.210e344fd731ap-9, "sincos: bits at 83.25");
	env_sincos(-2.0, &sine, &cosine);
	ktap_ok(sine == -0x1.d18f6ead1b446p-1 && cosine == -0x1.aa22657537205p-2, "sincos: bits at -2");
	env_sincos(1e6, &sine, &cosine);
	ktap_ok(sine == -0x1.6664b2568d867p-2 && cosine == 0x1.df9df9906d32cp-1, "sincos: bits at 10^6");
	env_sincos(1.0000001e6, &sine, &cosine);
	ktap_ok(isnan(sine) && isnan(cosine), "sincos: NaN beyond its range");
	env_sincos((double)NAN, &sine, &cosine);
	ktap_ok(isnan(sine) && isnan(cosine), "sincos: NaN for NaN");
}

/* Puts Pendulum into a state, through restore(): the format is two doubles, little-endian. */
static int place(const struct fixar_env *env, void *instance, double angle, double velocity)
{
	unsigned char state[16];
	const double values[2] = { angle, velocity };

	for (int i = 0; i < 2; i++) {
		uint64_t bits;

		memcpy(&bits, &values[i], 8);
		for (int byte = 0; byte < 8; byte++)
			state[8 * i + byte] = (unsigned char)(bits >> 8 * byte);
	}
	return env->ops->restore(instance, state);
}

static void test_pendulum_transitions(const struct fixar_env *env, void *instance)
{
	/* By hand: velocity' = v + (15 sin(angle) + 3 torque) / 20, within 8; angle' = angle + velocity' / 20. */
	const struct {
		const char *name;
		double angle, velocity, torque, cost, new_angle, new_velocity;
	} cases[] = {
		{ "pushed from upright", 0, 0, 2, 0.004, 0.015, 0.3 },
		{ "falling to the side", PI / 2, 1, -1, PI * PI / 4 + 0.101, PI / 2 + 0.08, 1.6 },
		{ "hanging at rest", PI, 0, 0, PI * PI, PI, 0 },
		{ "velocity clipped above", PI / 2, 7.9, 2, PI * PI / 4 + 6.241 + 0.004, PI / 2 + 0.4, 8 },
		{ "velocity clipped below", -PI / 2, -7.9, -2, PI * PI / 4 + 6.241 + 0.004, -PI / 2 - 0.4, -8 },
		{ "torque clipped", 0, 0, 5, 0.004, 0.015, 0.3 },
		{ "a turn and a half more", 3 * PI + 0.1, 0, 0, (PI - 0.1) * (PI - 0.1),
		  3 * PI + 0.1 - 0.0375 * sin(0.1), -0.75 * sin(0.1) },
		{ "below -pi", -PI - 0.1, 0, 0, (PI - 0.1) * (PI - 0.1), -PI - 0.1 + 0.0375 * sin(0.1),
		  0.75 * sin(0.1) },
		{ "twelve turns back", -24 * PI - 1, 0, 0, 1, -24 * PI - 1 - 0.0375 * sin(1), -0.75 * sin(1) },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double observation[3] = { 0 }, reward = 0;
		int terminated = 1;
		bool right = !place(env, instance, cases[i].angle, cases[i].velocity) &&
			     !env->ops->step(instance, &cases[i].torque, observation, &reward, &terminated);

		right &= fabs(reward + cases[i].cost) < 1e-12 && !terminated;
		right &= fabs(observation[0] - cos(cases[i].new_angle)) < 1e-13;
		right &= fabs(observation[1] - sin(cases[i].new_angle)) < 1e-13;
		right &= fabs(observation[2] - cases[i].new_velocity) < 1e-13;
		if (!ktap_ok(right, "pendulum: %s", cases[i].name))
			ktap_note("cos %.17g sin %.17g velocity %.17g reward %.17g", observation[0], observation[1],
				  observation[2], reward);
	}
}

static void test_pendulum(void)
{
	struct fixar_rng reset = test_stream(1, 0), actions = test_stream(1, 1);
	double observation[4], action = 0, lowest[2] = { 9, 9 }, highest[2] = { -9, -9 }, reward;
	struct fixar_env env;
	uint64_t hash = HASH_START;
	int error, terminated, ended = 0;
	void *instance;

	error = fixar_env_find("pendulum", &env, NULL, 0);
	if (!ktap_ok(!error && !env.ops->create(env.user, &instance), "pendulum: found and created"))
		return;

	error = env.ops->reset(instance, &reset, observation);
	ktap_ok(!error && reset.next == 4, "pendulum: reset draws two uniforms");
	for (int i = 0; i < 1000 && !error; i++) {
		random_action(&env, &actions, &action);
		error = env.ops->step(instance, &action, observation, &observation[3], &terminated);
		ended |= terminated;
		hash = hash_doubles(hash, observation, 4);
	}
	ktap_ok(!error && hash == UINT64_C(0x4d083ce1cf89747e), "pendulum: the bits of 1,000 steps (%016llx)",
		(unsigned long long)hash);
	ktap_ok(!ended, "pendulum: never terminates by itself");

	test_pendulum_transitions(&env, instance);

	for (uint64_t episode = 0; episode < 1000; episode++) {
		double start[2];

		reset = test_stream(5, episode);
		env.ops->reset(instance, &reset, observation);
		start[0] = atan2(observation[1], observation[0]);
		start[1] = observation[2];
		for (int i = 0; i < 2; i++) {
			lowest[i] = fmin(lowest[i], start[i]);
			highest[i] = fmax(highest[i], start[i]);
		}
	}
	ktap_ok(lowest[0] < -3.1 && highest[0] > 3.1 && lowest[1] < -0.98 && lowest[1] >= -1 && highest[1] > 0.98 &&
			highest[1] < 1,
		"pendulum: starts anywhere within pi and 1");

	action = (double)NAN;
	ktap_ok(env.ops->step(instance, &action, observation, &reward, &terminated) == -EINVAL,
		"pendulum: NaN is no action");
	ktap_ok(place(&env, instance, (double)NAN, 0) == -EINVAL && place(&env, instance, 0, 8.1) == -EINVAL,
		"pendulum: bytes that are no state are refused");
	env.ops->destroy(instance);
}

static void test_save_restore(const struct fixar_env *env)
{
	const struct fixar_env_spec *spec = env->spec;
	double *observation = calloc(spec->observation_dim + 1, sizeof(double));
	double *action = calloc(spec->action_dim, sizeof(double));
	uint64_t hash[3] = { HASH_START, HASH_START, HASH_START };
	void *instance[3] = { NULL, NULL, NULL };
	struct fixar_rng rng = test_stream(8, 0);
	unsigned char *state = NULL, *again = NULL;
	int error = 0, terminated;
	size_t size;

	/* Three instances: the first runs on, the second is fresh and the third is in the middle of something else. */
	for (int i = 0; i < 3 && !error; i++) {
		error = env->ops->create(env->user, &instance[i]);
		if (!error)
			error = env->ops->reset(instance[i], &rng, observation);
	}
	if (!ktap_ok(!error && env->ops->state_size && env->ops->save && env->ops->restore, "%s: three instances",
		     spec->name))
		goto out;
	size = env->ops->state_size(instance[0]);
	state = calloc(2, size);
	again = state + size;

	for (int i = 0; i < 25 && !error; i++) {
		random_action(env, &rng, action);
		error = env->ops->step(instance[i % 2 * 2], action, observation, &observation[spec->observation_dim],
				       &terminated);
	}
	if (!error)
		error = env->ops->save(instance[0], state);
	for (int i = 0; i < 3 && !error; i++) {
		struct fixar_rng actions = test_stream(8, 1);

		if (i)
			error = env->ops->restore(instance[i], state);
		for (int step = 0; step < 300 && !error; step++) {
			random_action(env, &actions, action);
			error = env->ops->step(instance[i], action, observation, &observation[spec->observation_dim],
					       &terminated);
			hash[i] = hash_doubles(hash[i], observation, spec->observation_dim + 1);
		}
	}
	ktap_ok(!error && hash[0] == hash[1], "%s: a restored simulation continues with the same bits", spec->name);
	ktap_ok(!error && hash[0] == hash[2], "%s: so it does in an instance that was used", spec->name);

	error = env->ops->restore(instance[1], state);
	if (!error)
		error = env->ops->save(instance[1], again);
	ktap_ok(!error && !memcmp(state, again, size), "%s: a state that was restored is saved as the same bytes",
		spec->name);
	memset(again + size - sizeof(double), 0xff, sizeof(double));
	ktap_ok(env->ops->restore(instance[1], again) == -EINVAL, "%s: a state that is not finite is refused",
		spec->name);
out:
	for (int i = 0; i < 3; i++)
		if (instance[i])
			env->ops->destroy(instance[i]);
	free(state);
	free(action);
	free(observation);
}

/* Returns of whole episodes with uniform random actions. */
struct returns {
	double mean, standard_error, largest_reward, mean_steps;
};

static int run_random_policy(const struct fixar_env *env, uint64_t episodes, struct returns *returns)
{
	const struct fixar_env_spec *spec = env->spec;
	double *observation = calloc(spec->observation_dim, sizeof(double));
	double *action = calloc(spec->action_dim, sizeof(double));
	double sum = 0, squares = 0, steps = 0;
	void *instance;
	int error = env->ops->create(env->user, &instance);

	*returns = (struct returns){ 0 };
	if (error)
		goto out;
	for (uint64_t episode = 0; episode < episodes && !error; episode++) {
		struct fixar_rng reset = test_stream(100, 2 * episode), actions = test_stream(100, 2 * episode + 1);
		double total = 0;
		int terminated = 0;

		error = env->ops->reset(instance, &reset, observation);
		for (uint32_t step = 0; step < spec->max_episode_steps && !terminated && !error; step++) {
			double reward = 0;

			random_action(env, &actions, action);
			error = env->ops->step(instance, action, observation, &reward, &terminated);
			total += reward;
			returns->largest_reward = fmax(returns->largest_reward, fabs(reward));
			steps++;
		}
		sum += total;
		squares += total * total;
	}
	env->ops->destroy(instance);
	returns->mean = sum / (double)episodes;
	returns->standard_error =
		sqrt((squares / (double)episodes - returns->mean * returns->mean) / (double)(episodes - 1));
	returns->mean_steps = steps / (double)episodes;
out:
	free(action);
	free(observation);
	return error;
}

struct expected {
	const char *name;
	uint32_t observation_dim, action_dim, max_episode_steps;
	int32_t reward_scale_log2;
	double bound, reward_threshold;
	/* The mean return of random actions in so many episodes, as known from elsewhere, and the standard error of
	 * that. */
	uint64_t episodes;
	double mean, mean_error;
};

static void test_spec(const struct fixar_env *env, const struct expected *expected)
{
	const struct fixar_env_spec *spec = env->spec;
	struct returns returns;
	bool bounds = true;
	int error;

	ktap_ok(spec->size == sizeof(*spec) && env->ops->size == sizeof(*env->ops) &&
			!strcmp(spec->name, expected->name) && spec->description && *spec->description,
		"%s: name and sizes", expected->name);
	ktap_ok(spec->observation_dim == expected->observation_dim && spec->action_dim == expected->action_dim,
		"%s: %u observations, %u actions", expected->name, spec->observation_dim, spec->action_dim);
	for (uint32_t i = 0; i < spec->action_dim; i++)
		bounds &= spec->action_low[i] == -expected->bound && spec->action_high[i] == expected->bound;
	ktap_ok(bounds, "%s: actions within +-%g", expected->name, expected->bound);
	ktap_ok(spec->max_episode_steps == expected->max_episode_steps &&
			spec->reward_threshold == expected->reward_threshold &&
			spec->reward_scale_log2 == expected->reward_scale_log2,
		"%s: truncated after %u steps, solved at %g, reward scale 2^%d", expected->name,
		spec->max_episode_steps, spec->reward_threshold, spec->reward_scale_log2);

	error = run_random_policy(env, expected->episodes, &returns);
	ktap_ok(!error && fabs(returns.mean - expected->mean) < 4 * hypot(returns.standard_error, expected->mean_error),
		"%s: random actions return %.2f +- %.2f, expected %.1f +- %.1f (%llu episodes of %.1f steps)",
		expected->name, returns.mean, returns.standard_error, expected->mean, expected->mean_error,
		(unsigned long long)expected->episodes, returns.mean_steps);
	/* The reward scale has to hold abs(reward) * 2^scale / (1 - 0.99) <= 128. */
	ktap_ok(!error && ldexp(returns.largest_reward, spec->reward_scale_log2) * 100 <= 128,
		"%s: the largest reward seen, %.2f, fits the scale", expected->name, returns.largest_reward);
	test_save_restore(env);
}

static void test_builtin_specs(void)
{
	/* The mean is that of 4,000 episodes in Python, with its generator and the C library's sine. */
	static const struct expected pendulum = { "pendulum", 3, 1, 200, -4, 2, -200, 200, -1231.7, 4.6 };
	struct fixar_env env;

	if (ktap_ok(!fixar_env_find("pendulum", &env, NULL, 0), "pendulum: found"))
		test_spec(&env, &pendulum);
}

static void test_mujoco(void)
{
	/* The means were measured with Gymnasium's model files, Debian's MuJoCo 2.2.2 and other code. */
	static const struct expected tasks[] = {
		{ "halfcheetah", 17, 6, 1000, -4, 1, 4800, 32, -285, 6 },
		{ "hopper", 11, 3, 1000, -4, 1, 3800, 400, 19, 0.5 },
		{ "swimmer", 8, 2, 1000, -1, 1, 360, 32, 0.7, 0.7 },
	};
	char path[4096];

	plugin_folder("..");
	snprintf(path, sizeof(path), "%s/../env-mujoco.so", here);
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		struct fixar_env env;
		char message[1024];

		/* Absent, it was not built; present, it has to work. */
		if (access(path, F_OK)) {
			ktap_skip(tasks[i].name, "env-mujoco.so was not built");
			continue;
		}
		if (ktap_ok(!fixar_env_find(tasks[i].name, &env, message, sizeof(message)), "%s: found", tasks[i].name))
			test_spec(&env, &tasks[i]);
		else
			ktap_note("%s", message);
	}
}

static bool one_line(const char *text)
{
	return *text && !strchr(text, '\n');
}

static int count_names(const struct fixar_env *env, void *user)
{
	int *counts = user;

	counts[0] += !strcmp(env->spec->name, "pendulum");
	counts[1] += !strcmp(env->spec->name, "counter");
	counts[2] += strcmp(env->spec->name, "counter") && strcmp(env->spec->name, "pendulum");
	return 0;
}

static int stop_at_once(const struct fixar_env *env, void *user)
{
	(void)env;
	++*(int *)user;
	return 42;
}

static void *find_often(void *failures)
{
	struct fixar_env env;
	char message[256];

	for (int i = 0; i < 50; i++) {
		if (fixar_env_find("counter", &env, message, sizeof(message)) || strcmp(env.spec->name, "counter"))
			++*(int *)failures;
		if (fixar_env_find("absent", &env, message, sizeof(message)) != -ENOENT)
			++*(int *)failures;
	}
	return NULL;
}

static void test_plugins(void)
{
	char message[1024], path[4096], folder[] = "/tmp/fixar-env-test-XXXXXX";
	int counts[3] = { 0 }, visits = 0, failures[4] = { 0 }, error;
	struct fixar_env env, untouched;
	pthread_t threads[4];
	FILE *file;

	plugin_folder("plugins/good");
	ktap_ok(!fixar_env_find("counter", &env, message, sizeof(message)) && !*message,
		"plug-in: its environment is found");
	ktap_ok(!fixar_env_find("pendulum", &env, NULL, 0) && env.spec->observation_dim == 3,
		"plug-in: can't take the name of a built-in one");
	ktap_ok(!fixar_env_each(count_names, counts) && counts[0] == 1 && counts[1] == 1 && !counts[2],
		"each: visits every environment once");
	ktap_ok(fixar_env_each(stop_at_once, &visits) == 42 && visits == 1, "each: stops when told to");

	error = fixar_env_find("pendulumm", &env, message, sizeof(message));
	ktap_ok(error == -ENOENT && one_line(message) && strstr(message, "pendulumm") &&
			strstr(message, "known: pendulum, counter"),
		"unknown name: %s", message);
	memset(message, 'x', sizeof(message));
	error = fixar_env_find("pendulumm", &env, message, 12);
	ktap_ok(error == -ENOENT && strlen(message) == 11 && message[12] == 'x', "a small message is cut: %s", message);
	ktap_ok(fixar_env_find("pendulumm", &env, NULL, 0) == -ENOENT, "no message is asked for");
	ktap_ok(fixar_env_find(NULL, &env, message, sizeof(message)) == -EINVAL, "no name: %s", message);
	memset(&env, 0x55, sizeof(env));
	untouched = env;
	ktap_ok(fixar_env_find("", &env, message, sizeof(message)) == -ENOENT && !memcmp(&env, &untouched, sizeof(env)),
		"an empty name: %s", message);

	error = fixar_env_find("hopper", &env, message, sizeof(message));
	ktap_ok(error == -ENOENT && one_line(message) && strstr(message, "env-mujoco.so") &&
			strstr(message, "plugins/good"),
		"MuJoCo's plug-in is missing: %s", message);

	plugin_folder("plugins/nowhere");
	error = fixar_env_find("swimmer", &env, message, sizeof(message));
	ktap_ok(error == -ENOENT && one_line(message) && strstr(message, "No such file or directory"),
		"the folder is missing: %s", message);

	plugin_folder("plugins/missing");
	error = fixar_env_find("halfcheetah", &env, message, sizeof(message));
	ktap_ok(error == -ELIBACC && one_line(message) && strstr(message, "libabsent.so.1") &&
			strstr(message, "env-mujoco.so"),
		"its library is missing: %s", message);

	plugin_folder("plugins/abi");
	error = fixar_env_find("counter", &env, message, sizeof(message));
	ktap_ok(error == -ELIBBAD && one_line(message) && strstr(message, "env-abi.so") && strstr(message, "ABI"),
		"another ABI: %s", message);
	memset(counts, 0, sizeof(counts));
	ktap_ok(!fixar_env_each(count_names, counts) && counts[0] == 1 && !counts[1],
		"each: leaves out a broken plug-in");

	plugin_folder("plugins/empty");
	error = fixar_env_find("counter", &env, message, sizeof(message));
	ktap_ok(error == -ELIBBAD && one_line(message) && strstr(message, "fixar_env_plugin"), "no symbol: %s",
		message);

	if (!mkdtemp(folder))
		return;
	snprintf(path, sizeof(path), "%s/env-text.so", folder);
	file = fopen(path, "w");
	if (file) {
		fputs("This is no shared library, but it is long enough to be taken for one until it is read.\n", file);
		fclose(file);
	}
	setenv("FIXAR_PLUGIN_DIR", folder, 1);
	error = fixar_env_find("counter", &env, message, sizeof(message));
	ktap_ok(error == -ELIBACC && one_line(message) && strstr(message, "env-text.so"), "no shared library: %s",
		message);
	ktap_ok(!fixar_env_find("pendulum", &env, NULL, 0), "a broken plug-in does not hide the built-in ones");
	unlink(path);
	rmdir(folder);

	plugin_folder("plugins/good");
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, find_often, &failures[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ktap_ok(!failures[0] && !failures[1] && !failures[2] && !failures[3], "four threads search at once");
}

/* Without FIXAR_PLUGIN_DIR: beside the program that holds this code, or beside libfixar.so. */
static void test_default_folders(void)
{
	int (*find)(const char *name, struct fixar_env *env, char *message, size_t message_size) = NULL;
	char library[4096], plugin[4096], target[4096], message[1024] = "";
	struct fixar_env env;
	void *handle;

	unsetenv("FIXAR_PLUGIN_DIR");
	snprintf(plugin, sizeof(plugin), "%s/env-beside.so", here);
	snprintf(target, sizeof(target), "%s/plugins/good/env-good.so", here);
	unlink(plugin);
	if (ktap_ok(!symlink(target, plugin), "default: a plug-in beside this program")) {
		ktap_ok(!fixar_env_find("counter", &env, message, sizeof(message)), "default: is found");
		unlink(plugin);
	}
	ktap_ok(fixar_env_find("counter", &env, message, sizeof(message)) == -ENOENT, "default: is gone: %s", message);

	snprintf(library, sizeof(library), "%s/../libfixar.so.0", here);
	snprintf(plugin, sizeof(plugin), "%s/../env-mujoco.so", here);
	if (access(library, F_OK) || access(plugin, F_OK)) {
		ktap_skip("default: beside libfixar.so", "libfixar.so or env-mujoco.so was not built");
		return;
	}
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (handle)
		*(void **)&find = dlsym(handle, "fixar_env_find");
	else
		ktap_note("%s", dlerror());
	if (ktap_ok(find, "default: libfixar.so"))
		ktap_ok(!find("hopper", &env, message, sizeof(message)), "default: a plug-in beside it is found %s",
			message);
}

int main(void)
{
	const ssize_t length = readlink("/proc/self/exe", here, sizeof(here) - 1);

	if (length < 0)
		return KTAP_FAIL;
	here[length] = '\0';
	*strrchr(here, '/') = '\0';
	/* What is installed on this machine must not take part. */
	plugin_folder("plugins/good");

	ktap_start();
	test_rng();
	test_sincos();
	test_pendulum();
	test_builtin_specs();
	test_mujoco();
	test_plugins();
	test_default_folders();
	return ktap_finish();
}
