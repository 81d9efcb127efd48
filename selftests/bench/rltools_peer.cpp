// SPDX-License-Identifier: MIT
/*
 * RLtools as a peer of `fixar bench`: the same DDPG step (critic, actor, both soft updates) of the same networks, in float32, made of its
 * layers. compare.py builds this against a checkout that the user names, and speaks with it through standard input and output:
 * "train BATCH SECONDS" or "act SECONDS" is answered with "COUNT WALL_SECONDS PROCESSOR_SECONDS LOSS"; the loss, of the last step's batch,
 * shows that what is timed learns.
 */
#include <rl_tools/operations/cpu_mux.h>

#include <rl_tools/nn/optimizers/adam/instance/operations_generic.h>
#include <rl_tools/nn/operations_cpu_mux.h>
#include <rl_tools/nn_models/sequential/operations_generic.h>
#include <rl_tools/nn/optimizers/adam/operations_generic.h>
#include <rl_tools/nn/loss_functions/mse/operations_generic.h>
#include <rl_tools/utils/polyak/operations_generic.h>

#include <ctime>
#include <iostream>
#include <string>

namespace rlt = rl_tools;

using DEVICE = rlt::devices::DEVICE_FACTORY<>;
using T = float;
using TI = typename DEVICE::index_t;
using TYPE_POLICY = rlt::numeric_types::Policy<T>;
using RNG = DEVICE::SPEC::RANDOM::ENGINE<>;

constexpr TI OBSERVATIONS = 17, ACTIONS = 6, HIDDEN_1 = 400, HIDDEN_2 = 300;
constexpr T DISCOUNT = 0.99f, TAU = 0.005f;

template <TI OUTPUTS, rlt::nn::activation_functions::ActivationFunction FUNCTION>
using Dense = rlt::nn::layers::dense::BindConfiguration<rlt::nn::layers::dense::Configuration<
	TYPE_POLICY, TI, OUTPUTS, FUNCTION, rlt::nn::layers::dense::DefaultInitializer<TYPE_POLICY, TI>, rlt::nn::parameters::groups::Normal>>;

template <typename CONTENT, typename NEXT = rlt::nn_models::sequential::OutputModule>
using Module = typename rlt::nn_models::sequential::Module<CONTENT, NEXT>;

template <TI BATCH, TI INPUTS, TI OUTPUTS, rlt::nn::activation_functions::ActivationFunction FUNCTION, typename CAPABILITY>
using Network = rlt::nn_models::sequential::Build<CAPABILITY,
						  Module<Dense<HIDDEN_1, rlt::nn::activation_functions::RELU>,
							 Module<Dense<HIDDEN_2, rlt::nn::activation_functions::RELU>, Module<Dense<OUTPUTS, FUNCTION>>>>,
						  rlt::tensor::Shape<TI, 1, BATCH, INPUTS>>;

using LEARNING = rlt::nn::capability::Gradient<rlt::nn::parameters::Adam>;
using FOLLOWING = rlt::nn::capability::Forward<>;

template <TI BATCH, typename CAPABILITY>
using Actor = Network<BATCH, OBSERVATIONS, ACTIONS, rlt::nn::activation_functions::TANH, CAPABILITY>;
template <TI BATCH, typename CAPABILITY>
using Critic = Network<BATCH, OBSERVATIONS + ACTIONS, 1, rlt::nn::activation_functions::IDENTITY, CAPABILITY>;

template <TI ROWS, TI COLUMNS>
using Values = rlt::Tensor<rlt::tensor::Specification<T, TI, rlt::tensor::Shape<TI, 1, ROWS, COLUMNS>, true>>;

struct Adam : rlt::nn::optimizers::adam::DEFAULT_PARAMETERS_PYTORCH<TYPE_POLICY> {
	static constexpr T ALPHA = 1e-3f;
};
using Optimizer = rlt::nn::optimizers::Adam<rlt::nn::optimizers::adam::Specification<TYPE_POLICY, TI, Adam>>;

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

template <typename SOURCE, typename TARGET>
static void follow(DEVICE &device, SOURCE &source, TARGET &target)
{
	rlt::utils::polyak::update(device, source.content.weights.parameters, target.content.weights.parameters, 1 - TAU);
	rlt::utils::polyak::update(device, source.content.biases.parameters, target.content.biases.parameters, 1 - TAU);
	if constexpr (!rlt::utils::typing::is_same_v<typename SOURCE::SPEC::NEXT_MODULE, rlt::nn_models::sequential::OutputModule>)
		follow(device, source.next_module, target.next_module);
}

template <TI BATCH>
struct Agent {
	Actor<BATCH, LEARNING> actor;
	Critic<BATCH, LEARNING> critic;
	Actor<BATCH, FOLLOWING> actor_target;
	Critic<BATCH, FOLLOWING> critic_target;
	typename Actor<BATCH, LEARNING>::template Buffer<true> actor_buffer;
	typename Critic<BATCH, LEARNING>::template Buffer<true> critic_buffer;
	typename Actor<BATCH, FOLLOWING>::template Buffer<true> actor_target_buffer;
	typename Critic<BATCH, FOLLOWING>::template Buffer<true> critic_target_buffer;
	Optimizer actor_optimizer, critic_optimizer;
	Values<BATCH, OBSERVATIONS> observation, next_observation;
	Values<BATCH, ACTIONS> policy, policy_gradient;
	Values<BATCH, OBSERVATIONS + ACTIONS> taken, next, opinion, input_gradient;
	Values<BATCH, 1> reward, q, target, gradient;
	T loss = 0;

	Agent(DEVICE &device, RNG &rng)
	{
		rlt::malloc(device, actor);
		rlt::malloc(device, critic);
		rlt::malloc(device, actor_target);
		rlt::malloc(device, critic_target);
		rlt::malloc(device, actor_buffer);
		rlt::malloc(device, critic_buffer);
		rlt::malloc(device, actor_target_buffer);
		rlt::malloc(device, critic_target_buffer);
		rlt::malloc(device, actor_optimizer);
		rlt::malloc(device, critic_optimizer);
		rlt::init(device, actor_optimizer);
		rlt::init(device, critic_optimizer);
		rlt::init_weights(device, actor, rng);
		rlt::init_weights(device, critic, rng);
		rlt::reset_optimizer_state(device, actor_optimizer, actor);
		rlt::reset_optimizer_state(device, critic_optimizer, critic);
		rlt::copy(device, device, actor, actor_target);
		rlt::copy(device, device, critic, critic_target);
		fill(device, rng, observation, next_observation, policy, policy_gradient, taken, next, opinion, input_gradient, reward, q, target,
		     gradient);
	}

	template <typename... TENSORS>
	void fill(DEVICE &device, RNG &rng, TENSORS &...tensors)
	{
		(rlt::malloc(device, tensors), ...);
		(rlt::randn(device, tensors, rng), ...);
	}

	/* The columns of `to` from `first` on. */
	template <TI COLUMNS>
	static void put(DEVICE &device, Values<BATCH, COLUMNS> &from, Values<BATCH, OBSERVATIONS + ACTIONS> &to, TI first)
	{
		for (TI b = 0; b < BATCH; b++)
			for (TI i = 0; i < COLUMNS; i++)
				rlt::set(device, to, rlt::get(device, from, 0, b, i), 0, b, first + i);
	}

	void step(DEVICE &device, RNG &rng)
	{
		/* Targets. */
		rlt::evaluate(device, actor_target, next_observation, policy, actor_target_buffer, rng);
		put<OBSERVATIONS>(device, next_observation, next, 0);
		put<ACTIONS>(device, policy, next, OBSERVATIONS);
		rlt::evaluate(device, critic_target, next, q, critic_target_buffer, rng);
		for (TI b = 0; b < BATCH; b++)
			rlt::set(device, target, rlt::get(device, reward, 0, b, 0) + DISCOUNT * rlt::get(device, q, 0, b, 0), 0, b, 0);

		/* The critic. */
		rlt::forward(device, critic, taken, q, critic_buffer, rng);
		loss = 0;
		for (TI b = 0; b < BATCH; b++) {
			const T error = rlt::get(device, q, 0, b, 0) - rlt::get(device, target, 0, b, 0);

			loss += error * error / BATCH;
			rlt::set(device, gradient, error / BATCH, 0, b, 0);
		}
		rlt::zero_gradient(device, critic);
		rlt::backward(device, critic, taken, gradient, critic_buffer);
		rlt::step(device, critic_optimizer, critic);

		/* The actor. */
		rlt::forward(device, actor, observation, policy, actor_buffer, rng);
		put<OBSERVATIONS>(device, observation, opinion, 0);
		put<ACTIONS>(device, policy, opinion, OBSERVATIONS);
		rlt::forward(device, critic, opinion, q, critic_buffer, rng);
		rlt::set_all(device, gradient, -(T)1 / BATCH);
		rlt::backward_input(device, critic, gradient, input_gradient, critic_buffer);
		for (TI b = 0; b < BATCH; b++)
			for (TI i = 0; i < ACTIONS; i++)
				rlt::set(device, policy_gradient, rlt::get(device, input_gradient, 0, b, OBSERVATIONS + i), 0, b, i);
		rlt::zero_gradient(device, actor);
		rlt::backward(device, actor, observation, policy_gradient, actor_buffer);
		rlt::step(device, actor_optimizer, actor);

		follow(device, critic, critic_target);
		follow(device, actor, actor_target);
	}
};

template <typename WORK>
static void answer(double seconds, const T &loss, WORK work)
{
	const double start = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
	unsigned long count = 0;

	do {
		work();
		count++;
	} while (now(CLOCK_MONOTONIC) - start < seconds);
	std::cout << count << " " << now(CLOCK_MONOTONIC) - start << " " << now(CLOCK_PROCESS_CPUTIME_ID) - processor << " " << loss
		  << std::endl;
}

template <TI BATCH>
static void train(DEVICE &device, RNG &rng, double seconds)
{
	static Agent<BATCH> agent(device, rng);

	answer(seconds, agent.loss, [&] { agent.step(device, rng); });
}

static void act(DEVICE &device, RNG &rng, double seconds)
{
	static Agent<1> agent(device, rng);

	answer(seconds, agent.loss, [&] { rlt::evaluate(device, agent.actor_target, agent.observation, agent.policy, agent.actor_target_buffer, rng); });
}

int main()
{
	DEVICE device;
	RNG rng;
	std::string what;

	rlt::malloc(device, rng);
	rlt::init(device, rng, 1);
	std::cout << "ready RLtools" << std::endl;
	while (std::cin >> what) {
		double seconds;
		int batch = 0;

		if (what == "train")
			std::cin >> batch;
		std::cin >> seconds;
		switch (batch) {
		case 0:
			act(device, rng, seconds);
			break;
		case 64:
			train<64>(device, rng, seconds);
			break;
		case 128:
			train<128>(device, rng, seconds);
			break;
		case 256:
			train<256>(device, rng, seconds);
			break;
		case 512:
			train<512>(device, rng, seconds);
			break;
		default:
			std::cout << "error: this program was compiled for batches of 64, 128, 256 and 512" << std::endl;
		}
	}
	return 0;
}
