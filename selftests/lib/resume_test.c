// SPDX-License-Identifier: MIT
/*
 * Description: a run that was saved and resumed, at whatever step, ends in the bytes of the run that was never
 * interrupted; and a checkpoint that does not fit is refused in words.
 */
#include "ktap.h"
#include "probe.h"

#include <dirent.h>
#include <unistd.h>

#include "agent/agent.h"

static struct probe_log log_lines;
static char base[64]; /* the folder of this test */

/* ---- Files ---- */

static const char *folder(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", base, name);
	return path[turn];
}

static void remove_folder(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char file[512];

		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(file);
	}
	if (directory)
		closedir(directory);
	rmdir(path);
}

static unsigned char *read_checkpoint(const char *directory, size_t *size)
{
	char path[256];
	unsigned char *bytes;
	FILE *file;

	snprintf(path, sizeof(path), "%s/checkpoint.safetensors", directory);
	file = fopen(path, "rb");
	if (!file)
		return NULL;
	bytes = malloc(1 << 22);
	*size = bytes ? fread(bytes, 1, 1 << 22, file) : 0;
	fclose(file);
	return bytes;
}

static int same_checkpoints(const char *left, const char *right)
{
	size_t left_size, right_size;
	unsigned char *a = read_checkpoint(left, &left_size), *b = read_checkpoint(right, &right_size);
	const int same = a && b && left_size == right_size && !memcmp(a, b, left_size);

	free(a);
	free(b);
	return same;
}

/* Changes one byte of a checkpoint. */
static void damage(const char *directory, size_t offset_from_end)
{
	size_t size;
	unsigned char *bytes = read_checkpoint(directory, &size);
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/checkpoint.safetensors", directory);
	file = fopen(path, "wb");
	if (bytes && file) {
		bytes[size - offset_from_end] ^= 1;
		fwrite(bytes, 1, size, file);
	}
	if (file)
		fclose(file);
	free(bytes);
}

/* ---- Runs ---- */

struct plan {
	const char *name;
	struct fixar_agent_options options;
	struct fixar_env env;
	const char *engine; /* of the resumed part */
	uint64_t steps;
};

static struct fixar_agent_options small_options(void)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;

	options.hidden[0] = 16;
	options.hidden[1] = 9;
	options.batch = 8;
	options.replay_capacity = 60; /* wraps around, in some tests more than once between two saves */
	options.warm_up_steps = 30;
	options.seed = 5;
	options.log = probe_log_write;
	options.log_user = &log_lines;
	return options;
}

static struct fixar_device *open_device(const char *engine, enum fixar_precision precision)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;
	struct fixar_device *device = NULL;

	options.engine = engine;
	options.threads = 1;
	options.precision = precision;
	fixar_device_open("cpu", &options, &device);
	return device;
}

/* Trains to `steps` and saves. */
static int run_to(struct fixar_agent *agent, uint64_t steps, const char *directory)
{
	const int error = fixar_agent_train(agent, steps, NULL, NULL);

	return error ? error : fixar_agent_save(agent, directory);
}

/* Resumes what is in `directory`, in a new agent, and goes on to `steps`. */
static int resume_to(const struct plan *plan, uint64_t steps, const char *directory)
{
	struct fixar_device *device = open_device(plan->engine, plan->options.precision);
	struct fixar_agent *agent;
	int error = fixar_agent_load(device, &plan->env, directory, 1, probe_log_write, &log_lines, &agent);

	if (!error)
		error = run_to(agent, steps, directory);
	if (!error)
		fixar_agent_destroy(agent);
	fixar_device_close(device);
	return error;
}

static int run_whole(const struct plan *plan, uint64_t steps, const char *directory)
{
	struct fixar_device *device = open_device("scalar", plan->options.precision);
	struct fixar_agent *agent;
	int error = fixar_agent_create(device, &plan->env, &plan->options, &agent);

	if (!error)
		error = run_to(agent, steps, directory);
	fixar_agent_destroy(agent);
	fixar_device_close(device);
	return error;
}

static void test_resume(const struct plan *plan)
{
	/* Before the warm-up ends, at its end, around episodes' ends, around the switch, near the end. */
	static const uint64_t cuts[] = { 0, 1, 29, 30, 31, 39, 40, 41, 79, 80, 81, 82, 100, 120, 149 };
	int error = run_whole(plan, plan->steps, folder("whole"));

	ktap_ok(!error, "%s: run without interruption", plan->name);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		error = run_whole(plan, cuts[i], folder("cut"));
		if (!error)
			error = resume_to(plan, plan->steps, folder("cut"));
		ktap_ok(!error && same_checkpoints(folder("whole"), folder("cut")),
			"%s: interrupted after step %d and resumed, the same bytes", plan->name, (int)cuts[i]);
		remove_folder(folder("cut"));
	}

	/* Interrupted again and again. */
	error = run_whole(plan, 13, folder("cuts"));
	for (uint64_t steps = 26; steps < plan->steps + 13 && !error; steps += 13)
		error = resume_to(plan, steps < plan->steps ? steps : plan->steps, folder("cuts"));
	ktap_ok(!error && same_checkpoints(folder("whole"), folder("cuts")), "%s: after 11 interruptions too",
		plan->name);
	remove_folder(folder("cuts"));
	remove_folder(folder("whole"));
}

static void test_all_resumes(void)
{
	const struct fixar_layer_bits bits[] = {
		{ .network = 1, .layer = 1, .activation = 9, .weight = 11, .gradient = 12 }
	};
	static struct probe_env probe;
	struct plan plan = { .options = small_options(), .steps = 150 };

	probe_env_init(&probe, 40, 1);
	plan.env = probe.env;

	plan.name = "fixed32";
	test_resume(&plan);

	plan.name = "qat16, normalized, OU, two updates, another engine";
	plan.engine = NULL;
	plan.options.precision = FIXAR_QAT16;
	plan.options.delay = 80;
	plan.options.normalize_observations = 1;
	plan.options.noise = FIXAR_NOISE_OU;
	plan.options.updates_per_step = 2;
	plan.options.bits = bits;
	plan.options.bits_count = 1;
	plan.options.tau = 0.1 + 0.2; /* needs all its digits */
	test_resume(&plan);

	plan.name = "float32, Pendulum";
	plan.engine = "scalar";
	plan.options = small_options();
	plan.options.precision = FIXAR_FLOAT32;
	fixar_env_find("pendulum", &plan.env, NULL, 0);
	test_resume(&plan);
}

/* An environment that cannot be saved: the resumed run starts a new episode, and says so. */
static void test_without_state(void)
{
	static struct probe_env probe;
	struct plan plan = { .options = small_options() };
	struct fixar_agent_status status = { .size = sizeof(status) };
	struct fixar_agent *agent;
	int error;

	probe_env_init(&probe, 40, 0);
	plan.env = probe.env;
	probe_log_clear(&log_lines);
	run_whole(&plan, 50, folder("stateless"));
	error = fixar_agent_load(NULL, &plan.env, folder("stateless"), 1, probe_log_write, &log_lines, &agent);
	if (!ktap_ok(!error && strstr(log_lines.text, "warning:") &&
			     strstr(log_lines.text, "a new episode starts at step 50"),
		     "without save and restore: it says so"))
		return;
	fixar_agent_train(agent, 60, NULL, NULL);
	fixar_agent_status(agent, &status);
	ktap_ok(agent->ddpg->record.episode_steps == 10 && agent->ddpg->record.episodes_started == 3 &&
			status.episodes == 1,
		"a new episode starts, with the next start state; the one cut off is not counted");
	fixar_agent_destroy(agent);

	remove_folder(folder("stateless"));
	probe_log_clear(&log_lines);
	run_whole(&plan, 80, folder("stateless"));
	error = fixar_agent_load(NULL, &plan.env, folder("stateless"), 1, probe_log_write, &log_lines, &agent);
	ktap_ok(!error && !strstr(log_lines.text, "warning:"), "between two episodes there is nothing to say");
	if (!error)
		fixar_agent_destroy(agent);
	run_whole(&plan, 120, folder("whole"));
	ktap_ok(!resume_to(&plan, 120, folder("stateless")) && same_checkpoints(folder("whole"), folder("stateless")),
		"and the run goes on to the same bytes");
	remove_folder(folder("stateless"));
	remove_folder(folder("whole"));
}

/* ---- Loading ---- */

static void test_acting_only(const struct plan *plan)
{
	const double observation[2] = { 0.3, 0.1 };
	double before = 0, after = 0;
	struct fixar_evaluation first = { .size = sizeof(first) }, second = first;
	struct fixar_agent *agent;
	int error = fixar_agent_create(NULL, &plan->env, &plan->options, &agent);

	if (error)
		return;
	run_to(agent, 60, folder("run"));
	fixar_agent_act(agent, observation, &before);
	fixar_agent_evaluate(agent, 3, 9, NULL, &first);
	fixar_agent_destroy(agent);
	if (!ktap_ok(!fixar_agent_load(NULL, &plan->env, folder("run"), 0, probe_log_write, &log_lines, &agent),
		     "loading for acting"))
		return;
	fixar_agent_act(agent, observation, &after);
	fixar_agent_evaluate(agent, 3, 9, NULL, &second);
	ktap_ok(before == after && before != 0 && first.mean_return == second.mean_return,
		"a loaded agent acts as the saved one did");
	probe_log_clear(&log_lines);
	ktap_ok(fixar_agent_train(agent, 100, NULL, NULL) == -EPERM && strstr(log_lines.text, "without `resume`"),
		"but it does not train");
	probe_log_clear(&log_lines);
	ktap_ok(fixar_agent_save(agent, folder("run")) == -EPERM && strstr(log_lines.text, "without `resume`"),
		"nor is it saved");
	fixar_agent_destroy(agent);
}

/* Numbers that have no short decimal must come back to the bit. */
static void test_options(const struct plan *plan)
{
	struct fixar_agent_options options = plan->options;
	const struct fixar_agent_options *loaded;
	struct fixar_agent *agent;

	options.tau = 0.1 + 0.2;
	options.discount = nextafter(0.97, 1);
	options.reward_scale_log2 = -64;
	options.seed = UINT64_MAX;
	options.hidden_count = FIXAR_MAX_HIDDEN;
	for (int i = 0; i < FIXAR_MAX_HIDDEN; i++)
		options.hidden[i] = (uint32_t)(3 + i);
	if (fixar_agent_create(NULL, &plan->env, &options, &agent))
		return;
	run_to(agent, 3, folder("options"));
	fixar_agent_destroy(agent);
	if (fixar_agent_load(NULL, &plan->env, folder("options"), 1, probe_log_write, &log_lines, &agent))
		return;
	loaded = fixar_agent_options(agent);
	ktap_ok(loaded->tau == options.tau && loaded->discount == options.discount && loaded->seed == UINT64_MAX &&
			loaded->reward_scale_log2 == -64 && loaded->hidden_count == FIXAR_MAX_HIDDEN &&
			loaded->hidden[FIXAR_MAX_HIDDEN - 1] == FIXAR_MAX_HIDDEN + 2,
		"options come back to the bit");
	fixar_agent_destroy(agent);
	remove_folder(folder("options"));
}

static void test_info(void)
{
	struct fixar_checkpoint_info info = { .size = sizeof(info) };

	ktap_ok(!fixar_checkpoint_info(folder("run"), &info, probe_log_write, &log_lines) &&
			!strcmp(info.environment, "probe") && info.precision == FIXAR_QAT16 && info.seed == 5 &&
			info.environment_steps == 60 && info.batch == 8 && info.hidden_count == 2 &&
			info.hidden[0] == 16 && info.hidden[1] == 9 && info.quantized,
		"what a checkpoint says of itself");
	probe_log_clear(&log_lines);
	ktap_ok(fixar_checkpoint_info(folder("nothing"), &info, probe_log_write, &log_lines) == -ENOENT &&
			strstr(log_lines.text, "error: "),
		"where there is none");
}

static void load_refused(const struct fixar_env *env, struct fixar_device *device, int expected, const char *words,
			 const char *what)
{
	struct fixar_agent *agent;
	int error;

	probe_log_clear(&log_lines);
	error = fixar_agent_load(device, env, folder("run"), 1, probe_log_write, &log_lines, &agent);
	ktap_ok(error == expected && !agent && strstr(log_lines.text, words), "%s: %d, %.*s", what, error,
		(int)strcspn(log_lines.text, "\n"), log_lines.text);
	if (!error)
		fixar_agent_destroy(agent);
}

static void test_refusals(const struct plan *plan)
{
	struct fixar_device *device = open_device("scalar", FIXAR_FLOAT32);
	static struct probe_env other;
	struct fixar_agent *agent;
	char path[256];

	probe_env_init(&other, 40, 1);
	other.spec.observation_dim = 3;
	load_refused(&other.env, NULL, -EINVAL, "2 observations and 1 actions; probe has 3 and 1",
		     "another observation");
	probe_env_init(&other, 40, 1);
	other.spec.action_dim = 2;
	other.spec.action_low = (const double[]){ -1, -1 };
	other.spec.action_high = (const double[]){ 1, 1 };
	load_refused(&other.env, NULL, -EINVAL, "probe has 2 and 2", "another action");
	load_refused(&plan->env, device, -EINVAL, "precision: qat16 cannot run on the device", "a device of float32");
	fixar_device_close(device);

	probe_env_init(&other, 40, 1);
	other.spec.name = "other";
	probe_log_clear(&log_lines);
	ktap_ok(!fixar_agent_load(NULL, &other.env, folder("run"), 1, probe_log_write, &log_lines, &agent) &&
			strstr(log_lines.text, "warning: ") &&
			strstr(log_lines.text, "made for environment probe, used with other"),
		"another name is warned of");
	fixar_agent_destroy(agent);

	damage(folder("run"), 1);
	load_refused(&plan->env, NULL, -EBADMSG, "error: ", "a damaged checkpoint");
	damage(folder("run"), 1);
	snprintf(path, sizeof(path), "%s/replay-000000.bin", folder("run"));
	if (!access(path, F_OK)) {
		unlink(path);
		load_refused(&plan->env, NULL, -EBADMSG, "replay", "a replay memory that is missing");
		ktap_ok(!fixar_agent_load(NULL, &plan->env, folder("run"), 0, probe_log_write, &log_lines, &agent),
			"which does not matter for acting");
		fixar_agent_destroy(agent);
	}
	remove_folder(folder("run"));
	load_refused(&plan->env, NULL, -ENOENT, "error: ", "no checkpoint");
	probe_log_clear(&log_lines);
	ktap_ok(!fixar_agent_create(NULL, &plan->env, &plan->options, &agent) &&
			fixar_agent_save(agent, "/proc/nowhere") < 0 && strstr(log_lines.text, "error: /proc/nowhere"),
		"a folder that cannot be made");
	fixar_agent_destroy(agent);
}

int main(void)
{
	static struct probe_env probe;
	struct plan plan = { .options = small_options() };

	ktap_start();
	snprintf(base, sizeof(base), "/tmp/fixar-resume-XXXXXX");
	if (!mkdtemp(base))
		return KTAP_FAIL;
	test_all_resumes();
	test_without_state();
	probe_env_init(&probe, 40, 1);
	plan.env = probe.env;
	plan.options.precision = FIXAR_QAT16;
	plan.options.delay = 45;
	plan.options.normalize_observations = 1;
	test_acting_only(&plan);
	test_info();
	test_options(&plan);
	test_refusals(&plan);
	remove_folder(base);
	return ktap_finish();
}
