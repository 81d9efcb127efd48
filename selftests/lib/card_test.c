// SPDX-License-Identifier: MIT
/*
 * Description: the library's side of a card, against a driver and a card in this process (card_fake.h): the bits are
 * the CPU's, a training step is one submission, and everything that can be wrong with a card is said in words
 */
#include "card_fake.h"
#include "ktap.h"
#include "probe.h"
#include "scratch.h"

#include "device/card.h"

static struct probe_log lines;
static char node[600];

static int says(const char *text)
{
	if (strstr(lines.text, text))
		return 1;
	ktap_note("no \"%s\" in: %s", text, lines.text);
	return 0;
}

static int open_device(const char *name, const char *engine, enum fixar_precision precision,
		       struct fixar_device **device)
{
	struct fixar_device_options options = FIXAR_DEVICE_OPTIONS_INIT;

	probe_log_clear(&lines);
	options.engine = engine;
	options.precision = precision;
	options.threads = 1;
	options.log = probe_log_write;
	options.log_user = &lines;
	return fixar_device_open(name, &options, device);
}

static void new_node(void)
{
	fake_reset();
	unlink(node);
	write_whole(node, "", 0);
}

static struct fixar_agent_options small(enum fixar_precision precision)
{
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;

	options.precision = precision;
	options.hidden[0] = 17;
	options.hidden[1] = 12;
	options.batch = 16;
	options.warm_up_steps = 40;
	options.replay_capacity = 1000;
	options.total_steps = 300;
	options.noise = FIXAR_NOISE_OU;
	options.log = probe_log_write;
	options.log_user = &lines;
	return options;
}

/* ---- The bits ---- */

static int train(struct fixar_device *device, enum fixar_precision precision, uint64_t steps, const char *directory,
		 struct fixar_evaluation *evaluation)
{
	struct fixar_agent_options options = small(precision);
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	int error;

	fixar_env_find("pendulum", &env, NULL, 0);
	error = fixar_agent_create(device, &env, &options, &agent);
	if (!error)
		error = fixar_agent_train(agent, steps, NULL, NULL);
	if (!error)
		error = fixar_agent_evaluate(agent, 1, 5, NULL, evaluation);
	if (!error)
		error = fixar_agent_save(agent, directory);
	fixar_agent_destroy(agent);
	if (error)
		ktap_note("%s: %s", fixar_strerror(error), lines.text);
	return error;
}

static int resume(struct fixar_device *device, uint64_t steps, const char *directory)
{
	struct fixar_agent *agent = NULL;
	struct fixar_env env;
	int error;

	fixar_env_find("pendulum", &env, NULL, 0);
	error = fixar_agent_load(device, &env, directory, 1, probe_log_write, &lines, &agent);
	if (!error)
		error = fixar_agent_train(agent, steps, NULL, NULL);
	if (!error)
		error = fixar_agent_save(agent, directory);
	fixar_agent_destroy(agent);
	return error;
}

static int same_checkpoint(const char *left, const char *right)
{
	char a[700], b[700];

	snprintf(a, sizeof(a), "%s/checkpoint.safetensors", left);
	snprintf(b, sizeof(b), "%s/checkpoint.safetensors", right);
	return same_file(a, b);
}

static void test_bits(enum fixar_precision precision)
{
	struct fixar_evaluation on_card = { .size = sizeof(on_card) }, on_cpu = { .size = sizeof(on_cpu) };
	const char *name = fixar_precision_name(precision);
	struct fixar_device *card = NULL, *cpu = NULL;
	char card_run[512], cpu_run[512];

	snprintf(card_run, sizeof(card_run), "%s", in_scratch("card-%s", name));
	snprintf(cpu_run, sizeof(cpu_run), "%s", in_scratch("cpu-%s", name));
	new_node();
	ktap_ok(!open_device(node, NULL, precision, &card) && !open_device("cpu", "scalar", precision, &cpu),
		"%s: a card and a CPU", name);
	ktap_ok(!train(card, precision, 300, card_run, &on_card) && !train(cpu, precision, 300, cpu_run, &on_cpu) &&
			same_checkpoint(card_run, cpu_run),
		"%s: the checkpoint after 300 steps on the card is the CPU's", name);
	ktap_ok(on_card.mean_return == on_cpu.mean_return && on_card.steps == 200, "%s: the evaluation, too", name);
	ktap_ok(fake.trainings == 260 && fake.acts == 260 + 200, "%s: the card did %u training steps and %u actions",
		name, fake.trainings, fake.acts);
	/* Creation, saving, the switch with its three, and two more states that evaluation and agent may ask for. */
	ktap_ok(fake.submissions >= 260 + 460 && fake.submissions < 260 + 460 + 12,
		"%s: each of them was one submission: %u in all", name, fake.submissions);
	ktap_ok(fake.waits == fake.submissions && fake.queries_after_wait == fake.waits,
		"%s: each was waited for, and the context asked how it is", name);
	ktap_ok(!resume(card, 350, card_run) && !resume(cpu, 350, cpu_run) && same_checkpoint(card_run, cpu_run),
		"%s: resumed, they stay equal", name);
	/* Over to the other device in the middle of a run. */
	ktap_ok(!resume(cpu, 400, card_run) && !resume(card, 400, cpu_run) && same_checkpoint(card_run, cpu_run),
		"%s: resumed on the other device, too", name);
	fixar_device_close(card);
	fixar_device_close(cpu);
}

static void test_modes_apart(void)
{
	struct fixar_agent *agents[2] = { NULL, NULL };
	struct fixar_evaluation unused = { .size = sizeof(unused) };
	struct fixar_device *card = NULL, *cpu = NULL;
	char runs[2][512], alone[2][512];
	int ok = 1;
	struct fixar_env env;

	new_node();
	fixar_env_find("pendulum", &env, NULL, 0);
	ok &= !open_device(node, NULL, FIXAR_FIXED32, &card) && !open_device("cpu", "scalar", FIXAR_FIXED32, &cpu);
	for (int i = 0; i < 2; i++) {
		struct fixar_agent_options options = small(i ? FIXAR_QAT16 : FIXAR_FIXED32);

		snprintf(runs[i], sizeof(runs[i]), "%s", in_scratch("together-%d", i));
		snprintf(alone[i], sizeof(alone[i]), "%s", in_scratch("alone-%d", i));
		ok &= !fixar_agent_create(card, &env, &options, &agents[i]);
		ok &= !train(cpu, i ? FIXAR_QAT16 : FIXAR_FIXED32, 240, alone[i], &unused);
	}
	for (uint64_t step = 1; ok && step <= 240; step++)
		for (int i = 0; i < 2; i++)
			ok &= !fixar_agent_train(agents[i], step, NULL, NULL);
	for (int i = 0; ok && i < 2; i++)
		ok &= !fixar_agent_save(agents[i], runs[i]) && same_checkpoint(runs[i], alone[i]);
	ktap_ok(ok, "two agents on one card, in turns and in different modes, do not disturb each other");
	fixar_agent_destroy(agents[0]);
	fixar_agent_destroy(agents[1]);
	ktap_ok(fake_free() == fake.info.memory_bytes, "agents that are gone leave no context");
	fixar_device_close(card);
	fixar_device_close(cpu);
}

/* ---- What can be wrong ---- */

static void expect(const char *name, const char *engine, enum fixar_precision precision, int error, const char *text,
		   const char *title)
{
	struct fixar_device *device = NULL;
	int result = open_device(name, engine, precision, &device);

	ktap_ok(result == error && !device && says(text), "%s", title);
	if (result != error)
		ktap_note("%d instead of %d", result, error);
	if (device)
		fixar_device_close(device);
}

static void test_open_errors(void)
{
	struct fixar_device *device = NULL;

	expect("/dev/accel/accel99", NULL, FIXAR_FIXED32, -ENODEV, "there is no /dev/accel/accel99", "no such node");
	fake_reset();
	fake.is_drm = 0;
	expect("/dev/null", NULL, FIXAR_FIXED32, -ENODEV, "nothing there speaks DRM", "a device that is no card");
	expect("/", NULL, FIXAR_FIXED32, -ENODEV, "is no device", "a folder");
	expect("card0", NULL, FIXAR_FIXED32, -EINVAL, "expected auto, cpu, a node like", "a name that is none");
	expect("0000:zz:00.0", NULL, FIXAR_FIXED32, -EINVAL, "is no PCI address", "an address that is none");
	expect("fffe:ff:1f.7", NULL, FIXAR_FIXED32, -ENODEV, "there is no PCI function at fffe:ff:1f.7",
	       "an empty slot");
	new_node();
	expect(node, "scalar", FIXAR_FIXED32, -EINVAL, "means kernels of the CPU", "an engine for a card");
	expect(node, NULL, FIXAR_FLOAT32, -ENOTSUP, "float32 exists on the CPU only", "float32 on a card");
	fake.name = "vgem";
	expect(node, NULL, FIXAR_FIXED32, -ENODEV, "belongs to the driver vgem, not to fixar",
	       "a node of another driver");
	new_node();
	fake.major = 2;
	expect(node, NULL, FIXAR_FIXED32, -EPROTONOSUPPORT, "version 2.0 of the driver; this library speaks 1",
	       "a driver of another version");
	new_node();
	fake.info.hw_version = 0x00020001;
	expect(node, NULL, FIXAR_FIXED32, -EPROTONOSUPPORT, "version 2.1 of the hardware",
	       "hardware of another version");
	new_node();
	fake.info.hw_version = 0x00010007;
	ktap_ok(!open_device(node, NULL, FIXAR_FIXED32, &device), "a later minor version is taken");
	fixar_device_close(device);
	fake.info.arena_schema = 4;
	expect(node, NULL, FIXAR_FIXED32, -EPROTONOSUPPORT, "agents of schema 4", "agents of another schema");
	new_node();
	fake.info.operations = 0x1e;
	expect(node, NULL, FIXAR_FIXED32, -EOPNOTSUPP, "the card lacks operations", "a card without RELOAD");
	new_node();
	fake.gone = 1;
	expect(node, NULL, FIXAR_FIXED32, -ENODEV, "the card is gone", "a card that is gone");
	if (geteuid() == 0) {
		/* Root may open anything: somebody else tries. */
		pid_t child;
		int status = 1;

		new_node();
		chmod(node, 0600);
		fflush(stdout);
		child = fork();
		if (!child) {
			_exit(setgid(65534) || setuid(65534) ||
			      open_device(node, NULL, FIXAR_FIXED32, &device) != -EACCES ||
			      !strstr(lines.text, "no permission to open"));
		}
		waitpid(child, &status, 0);
		ktap_ok(status == 0, "a node without permission");
	} else {
		new_node();
		chmod(node, 0);
		expect(node, NULL, FIXAR_FIXED32, -EACCES, "no permission to open", "a node without permission");
	}
}

static int create(struct fixar_device *device, struct fixar_agent_options *options, struct fixar_agent **agent)
{
	struct fixar_env env;

	fixar_env_find("pendulum", &env, NULL, 0);
	*agent = NULL;
	return fixar_agent_create(device, &env, options, agent);
}

static void expect_refusal(void (*change)(struct fixar_agent_options *options), const char *text, const char *title)
{
	struct fixar_agent_options options = small(FIXAR_FIXED32);
	struct fixar_device *device = NULL;
	struct fixar_agent *agent = NULL;
	int error;

	open_device(node, NULL, FIXAR_FIXED32, &device);
	change(&options);
	error = create(device, &options, &agent);
	ktap_ok(error == -ENOSPC && !agent && says(text), "%s: %s", title, fixar_strerror(error));
	fixar_agent_destroy(agent);
	fixar_device_close(device);
}

static void too_wide(struct fixar_agent_options *options)
{
	options->hidden[1] = 1025;
}

static void too_deep(struct fixar_agent_options *options)
{
	options->hidden_count = 5;
	for (int i = 0; i < 5; i++)
		options->hidden[i] = 8;
}

static void too_many(struct fixar_agent_options *options)
{
	options->batch = 257;
}

static void too_large(struct fixar_agent_options *options)
{
	options->hidden[0] = options->hidden[1] = 1000;
}

static void larger(struct fixar_agent_options *options)
{
	options->hidden[0] = 200;
}

static void test_limits(void)
{
	new_node();
	expect_refusal(too_wide, "the width of a hidden layer is 1025, and its limit 1024", "a layer too wide");
	expect_refusal(too_deep, "the number of hidden layers is 5, and its limit 4", "too many layers");
	expect_refusal(too_many, "the batch is 257, and its limit 256", "a batch too large");
	expect_refusal(too_large, "cannot hold this agent", "networks beyond the card's memories");
	ktap_ok(fake_free() == fake.info.memory_bytes && !fake.submissions, "none of these reached the card");
	fake.info.memory_bytes = 65536;
	expect_refusal(too_many, "the batch", "a batch too large on a small card");
	expect_refusal(larger, "has no room for an agent of", "no room in card memory");
}

static void test_fault(uint32_t state, uint32_t fault, int error, const char *text)
{
	struct fixar_agent_options options = small(FIXAR_FIXED32);
	struct fixar_device *device = NULL;
	struct fixar_agent *agent = NULL;
	int result;

	new_node();
	open_device(node, NULL, FIXAR_FIXED32, &device);
	result = create(device, &options, &agent);
	fake.fail_at = fake.submissions + 20;
	fake.fail_state = state;
	fake.fail_fault = fault;
	if (!result)
		result = fixar_agent_train(agent, 100, NULL, NULL);
	ktap_ok(result == error && says(text), "a run that ends with \"%s\": %s", text, fixar_strerror(result));
	result = fixar_agent_train(agent, 100, NULL, NULL);
	ktap_ok(result == error, "and it stays so");
	result = fixar_agent_save(agent, in_scratch("never"));
	ktap_ok(result == error && !exists(in_scratch("never/checkpoint.safetensors")), "and cannot be saved");
	fixar_agent_destroy(agent);
	/* The next one is a new context. */
	if (state) {
		result = create(device, &options, &agent);
		if (!result)
			result = fixar_agent_train(agent, 60, NULL, NULL);
		ktap_ok(!result, "and another agent on the same device works");
		fixar_agent_destroy(agent);
	}
	fixar_device_close(device);
}

static void test_bad_state(void)
{
	struct fixar_device *device = NULL;
	struct device_agent *agent = NULL;
	const struct step_tensor *tensors;
	struct step_config config = {
		.observation_dim = 3,
		.action_dim = 1,
		.hidden_count = 1,
		.hidden = { 8 },
		.batch_max = 4,
		.seed = 1,
		.hyper = { 0x7eb851ec, 10737418, 0x73333333, 4294967, { 1u << 30, 1u << 30 }, { 40, 40 }, { 2, 0 } },
	};
	struct step_quantizer quantizers[2 * 2 * STEP_CLASSES];
	unsigned char *state;
	size_t count, bytes;
	int ok;

	new_node();
	open_device(node, NULL, FIXAR_FIXED32, &device);
	if (device->ops->agent_create(device, &config, &agent)) {
		ktap_ok(0, "an agent");
		return;
	}
	agent->ops->state_layout(agent, &tensors, &count, &bytes);
	state = malloc(bytes);
	if (!state)
		exit(KTAP_FAIL);
	ok = !agent->ops->state_read(agent, state);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(tensors[i].name, "adam_powers"))
			memset(state + tensors[i].offset, 0xff, 8);
	ktap_ok(ok && agent->ops->state_write(agent, state) == -EINVAL,
		"a state that the core would refuse is not sent to it");
	ok = !agent->ops->read_quantizers(agent, quantizers);
	quantizers[1].width = 33;
	ktap_ok(ok && agent->ops->write_quantizers(agent, quantizers) == -EINVAL, "nor is a quantizer");
	quantizers[1].width = 24;
	ktap_ok(!agent->ops->write_quantizers(agent, quantizers) && !agent->ops->state_read(agent, state),
		"the context is as good as before");
	ktap_ok(agent->ops->act(agent, 5, NULL, NULL, 0) == -EINVAL &&
			agent->ops->act(agent, 0, NULL, NULL, 0) == -EINVAL,
		"more observations than the agent was made for, and none, are refused");
	free(state);
	agent->ops->agent_destroy(agent);
	fixar_device_close(device);
}

/* A batch smaller than the agent's, with ends of episodes in it: every array of it arrives where the core looks. */
static void test_batch(void)
{
	static const int32_t observation[9] = { 1 << 18, -70000, 3, 4, 500000, -6, 70, 8, 9 };
	static const int32_t next[9] = { -262144, 70001, 13, 14, 50000, -16, 170, 18, 19 };
	static const int32_t action[3] = { 1000, -2000, 3000 }, reward[3] = { -100000, 200000, 300000 };
	static const uint8_t terminal[3] = { 0, 1, 0 };
	const struct step_batch batch = { 3, observation, action, reward, next, terminal };
	struct step_config config = {
		.observation_dim = 3,
		.action_dim = 1,
		.hidden_count = 1,
		.hidden = { 8 },
		.batch_max = 4,
		.seed = 1,
		.hyper = { 0x7eb851ec, 10737418, 0x73333333, 4294967, { 1u << 30, 1u << 30 }, { 40, 40 }, { 2, 0 } },
	};
	struct device_statistics statistics[2];
	struct fixar_device *device[2] = { NULL, NULL };
	struct device_agent *agent[2] = { NULL, NULL };
	struct step_range ranges[2][2 * 2 * STEP_CLASSES];
	const struct step_tensor *tensors;
	unsigned char *state[2];
	size_t count, bytes;
	int ok = 1;

	new_node();
	open_device("cpu", "scalar", FIXAR_FIXED32, &device[1]);
	open_device(node, NULL, FIXAR_FIXED32, &device[0]);
	for (int i = 0; i < 2; i++) {
		if (device[i]->ops->agent_create(device[i], &config, &agent[i])) {
			ktap_ok(0, "an agent");
			return;
		}
		agent[i]->ops->state_layout(agent[i], &tensors, &count, &bytes);
		state[i] = calloc(1, bytes);
		ok &= !agent[i]->ops->set_mode(agent[i], &(struct step_mode){ .observe = 1 });
		for (int step = 0; step < 3; step++)
			ok &= !agent[i]->ops->train(agent[i], &batch, &statistics[i]);
		ok &= !agent[i]->ops->read_ranges(agent[i], ranges[i]);
		ok &= !agent[i]->ops->state_read(agent[i], state[i]);
		agent[i]->ops->agent_destroy(agent[i]);
		fixar_device_close(device[i]);
	}
	ktap_ok(ok && !memcmp(state[0], state[1], bytes), "a batch with ends of episodes: the state is the CPU's");
	ktap_ok(!memcmp(&statistics[0], &statistics[1], sizeof(statistics[0])), "its statistics are, too");
	ktap_ok(!memcmp(ranges[0], ranges[1], sizeof(ranges[0])) && ranges[0][0].minimum < ranges[0][0].maximum,
		"and the ranges");
	free(state[0]);
	free(state[1]);
}

int main(void)
{
	ktap_start();
	scratch_make();
	snprintf(node, sizeof(node), "%s", in_scratch("accel0"));
	test_bits(FIXAR_FIXED32);
	test_bits(FIXAR_QAT16);
	test_batch();
	test_modes_apart();
	test_open_errors();
	test_limits();
	test_fault(DRM_FIXAR_CTX_LOST, DRM_FIXAR_FAULT_MEMORY, -ESTALE, "memory lost its contents");
	test_fault(DRM_FIXAR_CTX_FAULTED, DRM_FIXAR_FAULT_TIMEOUT, -EIO, "made no progress");
	test_fault(DRM_FIXAR_CTX_FAULTED, DRM_FIXAR_FAULT_CORE, -EIO, "the core refused or failed operation 0");
	test_fault(DRM_FIXAR_CTX_FAULTED, DRM_FIXAR_FAULT_COPY, -EIO, "a copy failed");
	test_fault(DRM_FIXAR_CTX_FAULTED, DRM_FIXAR_FAULT_RESET, -EIO, "the card was reset while");
	test_fault(0, 0, -ENODEV, "the card is gone");
	test_bad_state();
	fake_reset();
	return ktap_finish();
}
