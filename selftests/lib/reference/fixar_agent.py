# SPDX-License-Identifier: MIT
"""A whole agent after ARITHMETIC.md: networks, training step, exploration, quantizers. Written from that document alone."""

from dataclasses import dataclass, field

import fixar_reference as ref

ACTOR, CRITIC = 0, 1                                    # section 11: network numbers
ACTOR_PASS, CRITIC_PASS, ACTION_PASS = 0, 1, 2          # section 9: the kinds of backward pass


@dataclass
class Config:
    """All numbers are the integers of the document."""
    observation_dim: int
    action_dim: int
    hidden: tuple
    discount: int
    critic_scale: int
    actor_scale: int
    beta1: int
    one_minus_beta2: int
    critic_rate: tuple
    actor_rate: tuple
    tau: int
    noise_kind: int = ref.GAUSSIAN
    sigma: int = 0
    theta: int = 0


def new_counters():
    """Section 12: all ten at zero, in their order; "moment" stays there."""
    return dict.fromkeys(ref.COUNTERS, 0)


def join(observations, actions):
    """Section 3: the critic's input is the observation followed by the action."""
    return [list(observation) + list(action) for observation, action in zip(observations, actions, strict=True)]


def flat(matrix):
    """The elements of a matrix, row-major."""
    return [value for row in matrix for value in row]


class Parameters:
    """A tensor of a network (W as rows, or b as one row) with its moments and its target (sections 7, 8, 11)."""

    def __init__(self, rows):
        self.value = [list(row) for row in rows]
        self.target = [list(row) for row in rows]
        self.m = [[0] * len(row) for row in rows]
        self.code = [[0] * len(row) for row in rows]     # of the second moments

    def adam(self, gradient, scalars, counters):
        """Section 7 for each element."""
        for i, gradient_row in enumerate(gradient):
            for j, g in enumerate(gradient_row):
                (self.m[i][j], self.code[i][j], self.value[i][j], ratio, weight) = ref.adam_element(
                    g, self.m[i][j], self.code[i][j], self.value[i][j], scalars.beta1, scalars.one_minus_beta2, scalars.a,
                    scalars.k, scalars.v0)
                counters["ratio"] += ratio
                counters["weight"] += weight

    def soft_update(self, tau):
        """Section 8 for each element."""
        self.target = [[ref.soft_update(w, t, tau) for w, t in zip(w_row, t_row)]
                       for w_row, t_row in zip(self.value, self.target)]


@dataclass
class Layer:
    """Section 2: a layer's tensors and its three operand quantizers; section 9: its two ranges."""
    weight: Parameters
    bias: Parameters
    activation_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    weight_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    gradient_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    input_range: ref.Range = field(default_factory=ref.Range)
    gradient_range: ref.Range = field(default_factory=ref.Range)


@dataclass
class LayerPass:
    """What the backward pass takes from the forward pass of a layer: section 3's input codes, section 12's weight operands."""
    x_codes: list
    x_fraction: int
    w_codes: list
    w_fraction: int


class Network:
    """Sections 3, 5 and 11: a network together with its target."""

    def __init__(self, number, seed, inputs, hidden, outputs, scalars):
        """Section 11: initial weights; targets are copies, moments and codes 0."""
        self.number, self.scalars = number, scalars
        self.layers = []
        widths = (inputs, *hidden, outputs)
        for index, (k, n) in enumerate(zip(widths, widths[1:])):
            last = index == len(hidden)
            weights = ref.initial_tensor(seed, number, index, 0, k, n * k, last)
            biases = ref.initial_tensor(seed, number, index, 1, k, n, last)
            self.layers.append(Layer(
                weight=Parameters([weights[row * k:(row + 1) * k] for row in range(n)]),
                bias=Parameters([biases]),
                activation_quantizer=ref.Quantizer(ref.MASTER_WIDTH, ref.ACTIVATION, index == 0),
                weight_quantizer=ref.Quantizer(ref.MASTER_WIDTH, ref.WEIGHT),
                gradient_quantizer=ref.Quantizer(ref.MASTER_WIDTH, ref.GRADIENT)))

    def parameters(self):
        """All tensors, layer by layer, weights before biases."""
        for layer in self.layers:
            yield layer.weight
            yield layer.bias

    def quantizer(self, layer_quantizer, quantized):
        """Section 2: in the mode full all operands are masters, whatever the quantizers say."""
        return layer_quantizer if quantized else ref.Quantizer()

    def forward(self, x, counters, quantized, target=False, observe=False):
        """Section 3: the last layer's output before tanh, and for each layer what the backward pass needs."""
        passes = []
        for index, layer in enumerate(self.layers):
            if index > 0:
                x = [[ref.relu(value) for value in row] for row in x]
            if observe:
                layer.input_range.observe(x)            # section 9 (a): masters, after the ReLU of the layer below
            x_codes, x_fraction, clamped = ref.quantize_rows(
                x, ref.ACTIVATION, self.quantizer(layer.activation_quantizer, quantized))
            counters["activation_quantizer"] += clamped
            weights = layer.weight.target if target else layer.weight.value
            biases = layer.bias.target if target else layer.bias.value
            w_codes, w_fraction, clamped = ref.quantize_rows(weights, ref.WEIGHT, ref.following(
                self.quantizer(layer.weight_quantizer, quantized), ref.largest(weights), ref.WEIGHT, 0))
            counters["weight_quantizer"] += clamped
            x, saturated = ref.forward(x_codes, x_fraction, w_codes, w_fraction, biases[0])
            counters["activation"] += saturated
            passes.append(LayerPass(x_codes, x_fraction, w_codes, w_fraction))
        return x, passes

    def backward(self, dy, passes, counters, quantized, observe, weights, maxima, seen, first_input=None):
        """Section 5, from the last layer's dY: [(dW, db)] of all layers if `weights`, and the first layer's dX from first_input on.

        maxima: each layer's gradient maximum of this kind of pass before the training step; seen takes the pass's own
        (section 9). Without first_input the first layer's dX is not formed, and None is returned for it.
        """
        gradients = [None] * len(self.layers)
        for index in reversed(range(len(self.layers))):
            layer, stored = self.layers[index], passes[index]
            if observe:
                layer.gradient_range.observe(dy)        # section 9 (b): masters, after the mask of the ReLU
            seen[index] = ref.largest(dy)
            dy_codes, dy_fraction, clamped = ref.quantize_rows(dy, ref.GRADIENT, ref.following(
                self.quantizer(layer.gradient_quantizer, quantized), maxima[index], ref.GRADIENT, 1))
            counters["gradient_quantizer"] += clamped
            if weights:
                dw, dw_saturated = ref.backward_weights(dy_codes, dy_fraction, stored.x_codes, stored.x_fraction)
                db, db_saturated = ref.backward_bias(dy_codes, dy_fraction)
                counters["weight_gradient"] += dw_saturated + db_saturated
                gradients[index] = (dw, db)
            if index == 0 and first_input is None:
                return gradients, None
            dx, saturated = ref.backward_input(dy_codes, dy_fraction, stored.w_codes, stored.w_fraction,
                                               first_input if index == 0 else 0)
            counters["gradient"] += saturated           # section 9: before the mask
            if index == 0:
                return gradients, dx
            dy = ref.relu_mask(dx, stored.x_codes)

    def adam(self, gradients, counters):
        """Section 7: one step of all tensors."""
        self.scalars.step()
        for layer, (dw, db) in zip(self.layers, gradients, strict=True):
            layer.weight.adam(dw, self.scalars, counters)
            layer.bias.adam([db], self.scalars, counters)

    def soft_update(self, tau):
        """Section 8: all tensors of the target."""
        for parameters in self.parameters():
            parameters.soft_update(tau)


class Agent:
    """Sections 6, 9 and 10: actor, critic, gradient maxima, noise state and counts."""

    def __init__(self, config, seed):
        self.config, self.seed = config, seed
        self.actor = Network(ACTOR, seed, config.observation_dim, config.hidden, config.action_dim,
                             ref.AdamScalars(config.beta1, config.one_minus_beta2, *config.actor_rate))
        self.critic = Network(CRITIC, seed, config.observation_dim + config.action_dim, config.hidden, 1,
                              ref.AdamScalars(config.beta1, config.one_minus_beta2, *config.critic_rate))
        self.networks = (self.actor, self.critic)
        self.quantized = False
        self.gradient_maxima = [[0] * len(network.layers) for network in (self.actor, self.critic, self.critic)]
        self.noise_count = 0
        self.reset_noise()

    def reset_noise(self):
        """Section 10: the noise state at the start of an episode."""
        self.noise_state = [0] * self.config.action_dim

    def actions(self, observations, counters, target=False, observe=False):
        """Section 3: the actor with tanh; also its output before tanh and its passes."""
        out, passes = self.actor.forward(observations, counters, self.quantized, target, observe)
        return [[ref.tanh(value) for value in row] for row in out], out, passes

    def act(self, observation):
        """Section 10: an action without exploration; counts nothing and changes nothing."""
        return self.actions([observation], new_counters())[0][0]

    def explore(self, observation, counters):
        """Section 10: a noisy action. Section 12: it counts activation and activation_quantizer only."""
        own = new_counters()
        action = self.actions([observation], own)[0][0]
        for name in ("activation", "activation_quantizer"):
            counters[name] += own[name]
        config = self.config
        noisy, self.noise_state = ref.noisy_action(config.noise_kind, config.sigma, config.theta, self.seed,
                                                   self.noise_count, self.noise_state, action)
        self.noise_count += 1
        return noisy

    def train(self, observations, actions, rewards, next_observations, terminals, counters, observe, trace=None):
        """One step of section 6; the sums of the two statistics. `trace` takes intermediate values by name."""
        config, quantized = self.config, self.quantized
        trace = {} if trace is None else trace
        seen = [[0] * len(maxima) for maxima in self.gradient_maxima]

        def counted(name, pairs):
            values = []
            for value, count in pairs:
                values.append(value)
                counters[name] += count
            return values

        # 1. The targets' value of the next observations.
        next_actions, _, _ = self.actions(next_observations, counters, target=True, observe=observe)
        q_next, _ = self.critic.forward(join(next_observations, next_actions), counters, quantized, target=True, observe=observe)

        # 2. Targets of the critic.
        targets = counted("target_value", (ref.td_target(r, d, config.discount, q)
                                           for r, d, (q,) in zip(rewards, terminals, q_next, strict=True)))

        # 3. TD errors.
        q_values, passes = self.critic.forward(join(observations, actions), counters, quantized, observe=observe)
        deltas = counted("target_value", (ref.td_error(q, y) for (q,), y in zip(q_values, targets, strict=True)))
        last = counted("gradient", (ref.critic_last_gradient(delta, config.critic_scale) for delta in deltas))
        loss = sum(ref.loss_term(delta) for delta in deltas)

        # 4. The critic's step.
        critic_gradients, _ = self.critic.backward([[g] for g in last], passes, counters, quantized, observe, True,
                                                   self.gradient_maxima[CRITIC_PASS], seen[CRITIC_PASS])
        self.critic.adam(critic_gradients, counters)

        # 5. The updated critic's gradient with respect to the actor's actions.
        policy, out, actor_passes = self.actions(observations, counters, observe=observe)
        q_policy, passes = self.critic.forward(join(observations, policy), counters, quantized, observe=observe)
        q_sum = sum(q for q, in q_policy)
        last = [[ref.policy_critic_gradient(config.actor_scale)] for _ in observations]
        _, d_action = self.critic.backward(last, passes, counters, quantized, observe, False, self.gradient_maxima[ACTION_PASS],
                                           seen[ACTION_PASS], first_input=config.observation_dim)

        # 6. The actor's step.
        last = [counted("gradient", (ref.actor_last_gradient(g, x) for g, x in zip(g_row, x_row, strict=True)))
                for g_row, x_row in zip(d_action, out, strict=True)]
        actor_gradients, _ = self.actor.backward(last, actor_passes, counters, quantized, observe, True,
                                                 self.gradient_maxima[ACTOR_PASS], seen[ACTOR_PASS])
        self.actor.adam(actor_gradients, counters)

        # 7. The targets' step.
        self.critic.soft_update(config.tau)
        self.actor.soft_update(config.tau)

        # Section 9: gradient maxima, at the end of the step.
        self.gradient_maxima = [[ref.next_maximum(g, m) for g, m in zip(g_row, m_row)]
                                for g_row, m_row in zip(self.gradient_maxima, seen)]

        trace["next_action"] = flat(next_actions)
        trace["q_next"] = flat(q_next)
        trace["target"] = targets
        trace["q"] = flat(q_values)
        trace["delta"] = deltas
        trace["policy"] = flat(policy)
        trace["q_policy"] = flat(q_policy)
        trace["action_gradient"] = flat(d_action)
        trace["actor_last_gradient"] = flat(last)
        for name, gradients in (("critic", critic_gradients), ("actor", actor_gradients)):
            for index, (dw, db) in enumerate(gradients):
                trace[f"{name}_{index}_weight_gradient"] = flat(dw)
                trace[f"{name}_{index}_bias_gradient"] = db
        return loss, q_sum


def choose_quantizers(network, plan):
    """Section 2, end: set the quantizers of a network that has observed ranges.

    plan(network number, layer, class) gives (width, headroom), or (width, None, fraction) for a fixed fraction; the
    classes are "activation", "weight" and "gradient".
    """
    for index, layer in enumerate(network.layers):
        weight_range = ref.Range()
        weight_range.observe(layer.weight.value)
        for name, observed, master, signed in (("activation", layer.input_range, ref.ACTIVATION, index == 0),
                                               ("weight", weight_range, ref.WEIGHT, True),
                                               ("gradient", layer.gradient_range, ref.GRADIENT, True)):
            width, headroom, *fixed = plan(network.number, index, name)
            fraction = fixed[0] if fixed else ref.range_fraction(
                observed.minimum, observed.maximum, master, width, headroom, signed)
            setattr(layer, name + "_quantizer", ref.Quantizer(width, fraction, signed))
