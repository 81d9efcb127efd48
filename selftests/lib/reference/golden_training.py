# SPDX-License-Identifier: MIT
"""Golden vectors of whole agents: training steps, exploration and actions."""

import struct

import fixar_agent
import fixar_reference as ref

HEADER = """\
# train: whole agents: initialization, training steps in both modes, exploring actions, actions (sections 6 to 12)
# Lines are `key value...`; values are decimal integers except for the names of a `trace`. A case goes from `case` to `end`.
#
# Inputs of a case. All numbers are the integers of the document; rates are L e; noise is: kind (0 gaussian,
# 1 Ornstein-Uhlenbeck) sigma theta. gradient_scales are gc ga. Both networks have the hidden layers `hidden` and use the same
# B1 and C2. The agent starts from `seed` in the mode full. Then weight_gain g: every weight and bias of actor, critic and of their
# targets becomes sat32(w * 2^g); g = 0 changes nothing.
# Step t (0, 1, 2...) draws its inputs from the streams (seed, 7, 16 * t + i): element number e of the tensor (row-major, one
# row per sample) is int32(word e) shifted right arithmetically by shift i:
#   i = 0 observations, 1 actions, 2 rewards, 3 next observations; `shifts` gives the four shifts.
#   i = 4 terminal flags: 1 where (word e & terminal_mask) is 0, else 0.
#   i = 5 observations for exploring and for acting, explore_rows of them, with the shift of the observations.
#
# `step t observe`: observe is 1 while ranges are observed. Before the step: `quantizer` lines, if any, set quantizers: network
# (0 actor, 1 critic), layer, then width and fraction of activation, weight, gradient (width 32: masters). `mode`: 0 full, 1 quantized;
# before the last step it is full again, and the quantizers stay.
# `reset_noise` before the exploring actions of a step sets the noise state to 0.
#
# Outputs after each training step, in this order of doing: train; explore on all the rows of i = 5; act on the same rows.
#   statistics: sum of floor(delta^2 / 2^18), sum of qp
#   counters: of this training step alone: activation activation_quantizer weight_quantizer gradient gradient_quantizer
#     weight_gradient moment ratio weight target_value
#   adam: network P1 P2
#   tensor: network, layer, part (0 weights, 1 biases), hashes of the values, of m, of the codes of v, of the target's values
#   maxima: the gradient maxima: of all layers through the actor, through the critic, through the critic to the action
#   ranges: network, layer, minimum and maximum of the input, of dY, of the weights
#   explore: one line for each row, the action
#   explore_counters: of all the exploring actions of the step, in the order of `counters`
#   noise_state: the state after them, then the count of noisy actions
#   act: one line for each row, the action
# `initial` lines are the hashes before the first step (after weight_gain), as in `tensor`.
# A hash is FNV-1a with 64 bits over the elements, row-major, each as four little-endian bytes.
# The smallest agent (case 0) also gives, to find a difference:
#   full: after the first step: network, layer, part, what (0 values, 1 m, 2 codes of v, 3 target), then all the elements
#   trace: in the first step and in the first quantized one: name, then intermediate values of the training step: next_action a', q_next q',
#     target y, q, delta, policy p, q_policy qp, action_gradient dA, actor_last_gradient the actor's last dY, and dW and db
#     of each network and layer: actor_0_weight_gradient, actor_0_bias_gradient and so on""".splitlines()


def qat16(network, layer, name):
    return {"activation": (16 if layer == 0 else 15, 1), "weight": (24, None, 18), "gradient": (32, 0)}[name]


def qat16x16(network, layer, name):
    return {"activation": (16 if layer == 0 else 15, 1), "weight": (14, None, ref.FOLLOWS), "gradient": (13, None, ref.FOLLOWS)}[name]


def followers(network, layer, name):
    """Of few bits, so that they are often clamped; next to fixed fractions."""
    return {"activation": (8, 0), "weight": (5, None, ref.FOLLOWS) if layer else (9, 0), "gradient": (4, None, ref.FOLLOWS)}[name]


def narrowest_and_widest(network, layer, name):
    return {"activation": (8, 0), "weight": (16 if layer else 2, None, ref.FOLLOWS), "gradient": (2 if layer else 16, None, ref.FOLLOWS)}[name]


def small_mixed(network, layer, name):
    widths = {"activation": (8, 6, 12, 3), "weight": (6, 13, 8, 4), "gradient": (12, 8, 15, 5)}[name]
    return widths[(network + layer) % 4], 0 if name == "weight" else 1


def tight(network, layer, name):
    """No headroom, or less than none: the operand quantizers clamp."""
    return {"activation": 13, "weight": 12, "gradient": 10}[name], {"activation": -1, "weight": -1, "gradient": -2}[name]


def coarse(network, layer, name):
    return {"activation": 2, "weight": 3, "gradient": 2}[name], 0


def full_range(network, layer, name):
    return {"activation": (16, 1), "weight": (32, 0), "gradient": (16, 1)}[name]


DEFAULT = {
    "discount": ref.discount_constant("0.99"), "critic_scale": 0, "actor_scale": 2, "beta1": ref.beta1_constant("0.9"),
    "one_minus_beta2": ref.one_minus_beta2_constant("0.999"), "critic_rate": ref.learning_rate_constant("1e-3"),
    "actor_rate": ref.learning_rate_constant("1e-4"), "tau": ref.tau_constant("0.005"),
}
OU = {"noise_kind": ref.ORNSTEIN_UHLENBECK, "sigma": ref.noise_constant("0.2"), "theta": ref.noise_constant("0.15")}
GAUSSIAN = {"noise_kind": ref.GAUSSIAN, "sigma": ref.noise_constant("0.1")}

NORMAL_SHIFTS = (12, 13, 11, 12)  # observations to +-2, actions to +-1, rewards to +-4

# config, seed, batch, shifts, terminal mask, weight gain, steps in full mode, in quantized mode, plan, observe when quantized
CASES = (
    (dict(observation_dim=3, action_dim=1, hidden=(8, 6), **DEFAULT, **OU), 1, 4, NORMAL_SHIFTS, 3, 0, 3, 3, qat16, 0),
    (dict(observation_dim=5, action_dim=2, hidden=(16, 16), **DEFAULT, **GAUSSIAN), 2**63 + 12345, 16, NORMAL_SHIFTS, 7, 0, 3, 3, qat16, 0),
    (dict(observation_dim=4, action_dim=3, hidden=(7,), **DEFAULT, **OU), 77, 5, NORMAL_SHIFTS, 3, 2, 3, 4, small_mixed, 1),
    (dict(observation_dim=3, action_dim=2, hidden=(9, 5, 7), **DEFAULT, **GAUSSIAN), 4096, 1, NORMAL_SHIFTS, 3, 1, 3, 3, small_mixed, 0),
    # Weights and observations as large as they come, rewards over the whole range: nearly everything saturates.
    (dict(observation_dim=5, action_dim=2, hidden=(16, 16), **{**DEFAULT, "critic_scale": 6, "actor_scale": 6,
          "discount": 2**31 - 1, "tau": 2**31}, **OU), 31337, 4, (0, 13, 0, 0), 3, 8, 3, 3, tight, 1),
    # Large rewards alone; a fast critic; a high learning rate.
    (dict(observation_dim=4, action_dim=1, hidden=(11, 3), **{**DEFAULT, "critic_scale": 2, "critic_rate": (2**31 - 1, 31),
          "actor_rate": (2**30, 32), "tau": 2**29}, **GAUSSIAN), 5, 16, (11, 13, 0, 11), 1, 3, 4, 4, tight, 0),
    (dict(observation_dim=2, action_dim=2, hidden=(6, 5), **{**DEFAULT, "critic_scale": -2, "actor_scale": -2,
          "beta1": 0, "one_minus_beta2": 2**31 - 1, "discount": 0}, **OU), 6, 5, NORMAL_SHIFTS, 3, 2, 3, 3, coarse, 1),
    # Constants with which Adam's ratio meets its limit.
    (dict(observation_dim=6, action_dim=3, hidden=(12,), **{**DEFAULT, "critic_scale": 1, "actor_scale": 5,
          "beta1": 2**29, "one_minus_beta2": 2**13}, **GAUSSIAN),
     2**64 - 1, 16, (10, 13, 9, 10), 3, 3, 3, 3, full_range, 0),
    (dict(observation_dim=17, action_dim=6, hidden=(19, 13), **DEFAULT, **OU), 9, 7, NORMAL_SHIFTS, 7, 1, 3, 3, qat16, 0),
    (dict(observation_dim=5, action_dim=2, hidden=(18, 17), **DEFAULT, **GAUSSIAN), 11, 16, NORMAL_SHIFTS, 7, 1, 3, 6, qat16x16, 0),
    # Shrinking and growing gradients: the maxima fade and jump.
    (dict(observation_dim=4, action_dim=3, hidden=(9, 6), **{**DEFAULT, "critic_rate": (2**31 - 1, 33)}, **OU), 12, 5, (11, 13, 6, 11), 3, 3,
     2, 8, followers, 1),
    # Gradients of a few units: fractions that follow meet the masters'. A fast actor: it and its target have operands of different fractions.
    (dict(observation_dim=4, action_dim=2, hidden=(9, 6), **{**DEFAULT, "actor_rate": (2**31 - 1, 33)}, **OU), 13, 5, (11, 13, 26, 11), 3, 0,
     1, 6, narrowest_and_widest, 0),
    # Quantized from the first step on, when all gradient maxima are 0; weights at their limits.
    (dict(observation_dim=4, action_dim=2, hidden=(9, 6), **DEFAULT, **OU), 14, 5, NORMAL_SHIFTS, 3, 10, 0, 4, narrowest_and_widest, 1),
)
EXPLORE_ROWS = 3
NOISE_RESET_STEP = 2  # before the exploring actions of this step the noise state is set to 0


def fnv1a(matrix):
    value = 0xCBF29CE484222325
    for row in matrix:
        for element in row:
            for byte in struct.pack("<I", element % 2**32):
                value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def words(seed, step, number, count):
    return ref.stream_words(seed, ref.TESTS, 16 * step + number, count)


def drawn_rows(seed, step, number, rows, width, shift):
    flat = [ref.int32(word) >> shift for word in words(seed, step, number, rows * width)]
    return [flat[i * width:(i + 1) * width] for i in range(rows)]


def inputs_of_step(config, seed, step, batch, shifts, mask):
    observations = drawn_rows(seed, step, 0, batch, config.observation_dim, shifts[0])
    actions = drawn_rows(seed, step, 1, batch, config.action_dim, shifts[1])
    rewards = [row[0] for row in drawn_rows(seed, step, 2, batch, 1, shifts[2])]
    next_observations = drawn_rows(seed, step, 3, batch, config.observation_dim, shifts[3])
    terminals = [int(word & mask == 0) for word in words(seed, step, 4, batch)]
    return observations, actions, rewards, next_observations, terminals


def line(key, *values):
    return " ".join(map(str, (key, *values)))


def tensors(agent):
    """Network, layer, part and the tensor's parameters."""
    for network in agent.networks:
        for index, layer in enumerate(network.layers):
            yield network.number, index, 0, layer.weight
            yield network.number, index, 1, layer.bias


def hash_lines(agent, key):
    return [line(key, network, layer, part, fnv1a(p.value), fnv1a(p.m), fnv1a(p.code), fnv1a(p.target))
            for network, layer, part, p in tensors(agent)]


def full_lines(agent):
    return [line("full", network, layer, part, what, *fixar_agent.flat(matrix))
            for network, layer, part, p in tensors(agent)
            for what, matrix in enumerate((p.value, p.m, p.code, p.target))]


def range_lines(agent):
    lines = []
    for network in agent.networks:
        for index, layer in enumerate(network.layers):
            weights = ref.Range()
            weights.observe(layer.weight.value)
            lines.append(line("ranges", network.number, index, layer.input_range.minimum, layer.input_range.maximum,
                              layer.gradient_range.minimum, layer.gradient_range.maximum, weights.minimum, weights.maximum))
    return lines


def quantizer_lines(agent):
    return [line("quantizer", network.number, index, *(number for quantizer in (
                layer.activation_quantizer, layer.weight_quantizer, layer.gradient_quantizer)
                for number in (quantizer.width, quantizer.fraction)))
            for network in agent.networks for index, layer in enumerate(network.layers)]


def case_lines(number, settings, seed, batch, shifts, mask, gain, full_steps, quantized_steps, plan, observe_quantized):
    config = fixar_agent.Config(**settings)
    agent = fixar_agent.Agent(config, seed)
    lines = [line("case", number), line("seed", seed), line("observation_dim", config.observation_dim),
             line("action_dim", config.action_dim), line("hidden", *config.hidden), line("batch", batch),
             line("discount", config.discount), line("gradient_scales", config.critic_scale, config.actor_scale),
             line("beta1", config.beta1), line("one_minus_beta2", config.one_minus_beta2),
             line("critic_rate", *config.critic_rate), line("actor_rate", *config.actor_rate), line("tau", config.tau),
             line("noise", config.noise_kind, config.sigma, config.theta), line("shifts", *shifts),
             line("terminal_mask", mask), line("weight_gain", gain), line("explore_rows", EXPLORE_ROWS)]
    for _, _, _, p in tensors(agent):
        p.value = [[ref.sat32(w << gain) for w in row] for row in p.value]
        p.target = [list(row) for row in p.value]
    lines += hash_lines(agent, "initial")

    last = full_steps + quantized_steps
    for step in range(last + 1):
        if step == full_steps:
            for network in agent.networks:
                fixar_agent.choose_quantizers(network, plan)
            agent.quantized = True
            lines += [*quantizer_lines(agent), line("mode", 1)]
        if step == last:
            agent.quantized = False
            lines.append(line("mode", 0))
        observe = 1 if step < full_steps else observe_quantized
        lines.append(line("step", step, observe))
        counters, trace = fixar_agent.new_counters(), {}
        inputs = inputs_of_step(config, seed, step, batch, shifts, mask)
        lines.append(line("statistics", *agent.train(*inputs, counters, bool(observe), trace)))
        lines.append(line("counters", *counters.values()))
        lines += [line("adam", network.number, network.scalars.p1, network.scalars.p2) for network in agent.networks]
        lines += hash_lines(agent, "tensor")
        lines.append(line("maxima", *fixar_agent.flat(agent.gradient_maxima)))
        lines += range_lines(agent)
        if number == 0 and step == 0:
            lines += full_lines(agent)
        if number == 0 and step in (0, full_steps):
            lines += [line("trace", name, *values) for name, values in trace.items()]
        if step == NOISE_RESET_STEP:
            agent.reset_noise()
            lines.append("reset_noise")
        rows = drawn_rows(seed, step, 5, EXPLORE_ROWS, config.observation_dim, shifts[0])
        counters = fixar_agent.new_counters()
        lines += [line("explore", *agent.explore(row, counters)) for row in rows]
        lines.append(line("explore_counters", *counters.values()))
        lines.append(line("noise_state", *agent.noise_state, agent.noise_count))
        lines += [line("act", *agent.act(row)) for row in rows]
    lines.append("end")
    return lines


def train_lines():
    lines = list(HEADER)
    for number, case in enumerate(CASES):
        lines += case_lines(number, *case)
    return lines


FILES = {"train.txt": train_lines}
