# SPDX-License-Identifier: MIT
"""A whole FIXAR agent on top of fixar_reference.py, written from lib/ARITHMETIC.md alone.

Functions of the reference are called by way of the module (`ref.`), so that a test can plant a fault in one of them.
"""

from dataclasses import dataclass, field

import fixar_reference as ref

ACTOR, CRITIC = 0, 1


@dataclass
class Config:
    """All numbers are the integers of the document."""
    observation_dim: int
    action_dim: int
    hidden: tuple
    discount: int                # fraction 31
    critic_scale: int            # gc
    actor_scale: int             # ga
    beta1: int                   # fraction 31
    one_minus_beta2: int         # C2, fraction 32
    critic_rate: tuple           # L, e
    actor_rate: tuple
    tau: int                     # fraction 31
    noise_kind: int = ref.GAUSSIAN
    sigma: int = 0               # fraction 22
    theta: int = 0


class Parameters:
    """One tensor of a network (W as rows, or b as one row) with its moments and its target."""

    def __init__(self, rows):
        self.value = rows
        self.target = [list(row) for row in rows]
        self.m = [[0] * len(row) for row in rows]
        self.s = [[0] * len(row) for row in rows]

    def adam(self, gradient, scalars, counters):
        for i, gradient_row in enumerate(gradient):
            for j, g in enumerate(gradient_row):
                (self.m[i][j], self.s[i][j], self.value[i][j], n_moment, n_ratio, n_weight) = ref.adam_element(
                    g, self.m[i][j], self.s[i][j], self.value[i][j], scalars.beta1, scalars.c2, scalars.a, scalars.k)
                counters["moment"] += n_moment
                counters["ratio"] += n_ratio
                counters["weight"] += n_weight

    def soft_update(self, tau):
        self.target = [[ref.soft_update(w, t, tau) for w, t in zip(w_row, t_row)]
                       for w_row, t_row in zip(self.value, self.target)]


@dataclass
class Layer:
    weight: Parameters
    bias: Parameters             # one row
    activation_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    weight_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    gradient_quantizer: ref.Quantizer = field(default_factory=ref.Quantizer)
    input_range: ref.Range = field(default_factory=ref.Range)
    gradient_range: ref.Range = field(default_factory=ref.Range)


@dataclass
class LayerPass:
    """What the backward pass takes from the forward pass of a layer."""
    x_codes: list
    x_fraction: int
    w_codes: list
    w_fraction: int


class Network:
    def __init__(self, number, seed, inputs, hidden, outputs, scalars):
        self.number, self.scalars = number, scalars
        self.layers = []
        widths = [inputs, *hidden, outputs]
        for index, (k, n) in enumerate(zip(widths, widths[1:])):
            last = index == len(widths) - 2
            w = ref.initial_tensor(seed, number, index, 0, k, k * n, last)
            b = ref.initial_tensor(seed, number, index, 1, k, n, last)
            self.layers.append(Layer(Parameters([w[i * k:(i + 1) * k] for i in range(n)]), Parameters([b])))

    def parameters(self):
        for layer in self.layers:
            yield layer.weight
            yield layer.bias

    def quantizer(self, layer_quantizer, quantized):
        return layer_quantizer if quantized else ref.Quantizer()

    def forward(self, x, counters, quantized, target=False, observe=False):
        """The network's output, and for each layer what the backward pass needs."""
        passes = []
        for index, layer in enumerate(self.layers):
            if observe:
                layer.input_range.observe(x)
            x_codes, x_fraction, clamped = ref.quantize_rows(
                x, ref.ACTIVATION, self.quantizer(layer.activation_quantizer, quantized))
            counters["activation_quantizer"] += clamped
            weight = layer.weight.target if target else layer.weight.value
            bias = layer.bias.target[0] if target else layer.bias.value[0]
            w_codes, w_fraction, clamped = ref.quantize_rows(
                weight, ref.WEIGHT, ref.following(self.quantizer(layer.weight_quantizer, quantized), ref.largest(weight), ref.WEIGHT, 0))
            counters["weight_quantizer"] += clamped
            out, limited = ref.forward(x_codes, x_fraction, w_codes, w_fraction, bias)
            counters["activation"] += limited
            passes.append(LayerPass(x_codes, x_fraction, w_codes, w_fraction))
            if index < len(self.layers) - 1:
                activation = ref.relu
            else:
                activation = ref.tanh if self.number == ACTOR else lambda value: value
            x = [[activation(value) for value in row] for row in out]
        self.last_out = out     # before the activation function
        return x, passes

    def backward(self, dy, passes, counters, quantized, observe, weights, maxima, seen, first_input=None):
        """From the last layer's dY: [(dW, db)] of all layers if `weights`, and the first layer's dX from first_input on."""
        gradients = [None] * len(self.layers)
        d_input = None
        for index in range(len(self.layers) - 1, -1, -1):
            layer, kept = self.layers[index], passes[index]
            if observe:
                layer.gradient_range.observe(dy)
            seen[index] = ref.largest(dy)
            dy_codes, dy_fraction, clamped = ref.quantize_rows(
                dy, ref.GRADIENT, ref.following(self.quantizer(layer.gradient_quantizer, quantized), maxima[index], ref.GRADIENT, 1))
            counters["gradient_quantizer"] += clamped
            if weights:
                dw, n_dw = ref.backward_weights(dy_codes, dy_fraction, kept.x_codes, kept.x_fraction)
                db, n_db = ref.backward_bias(dy_codes, dy_fraction)
                counters["weight_gradient"] += n_dw + n_db
                gradients[index] = (dw, db)
            if index > 0:
                dx, limited = ref.backward_input(dy_codes, dy_fraction, kept.w_codes, kept.w_fraction)
                # Counted where dX is formed, before the ReLU of the layer below drops some of it.
                counters["gradient"] += limited
                dy = ref.relu_mask(dx, kept.x_codes)
            elif first_input is not None:
                d_input, limited = ref.backward_input(dy_codes, dy_fraction, kept.w_codes, kept.w_fraction, first_input)
                counters["gradient"] += limited
        return gradients, d_input

    def adam(self, gradients, counters):
        self.scalars.step()
        for layer, (dw, db) in zip(self.layers, gradients):
            layer.weight.adam(dw, self.scalars, counters)
            layer.bias.adam([db], self.scalars, counters)

    def soft_update(self, tau):
        for tensor in self.parameters():
            tensor.soft_update(tau)


def new_counters():
    return dict.fromkeys(ref.COUNTERS, 0)


class Agent:
    def __init__(self, config, seed):
        self.config, self.seed = config, seed
        c = config
        self.actor = Network(ACTOR, seed, c.observation_dim, c.hidden, c.action_dim,
                             ref.AdamScalars(c.beta1, c.one_minus_beta2, *c.actor_rate))
        self.critic = Network(CRITIC, seed, c.observation_dim + c.action_dim, c.hidden, 1,
                              ref.AdamScalars(c.beta1, c.one_minus_beta2, *c.critic_rate))
        self.networks = (self.actor, self.critic)
        self.quantized = False
        # Kinds of backward pass: through the actor, through the critic, through the critic to the action.
        self.gradient_maxima = [[0] * (len(c.hidden) + 1) for _ in range(3)]
        self.noise_count = 0
        self.noise_state = [0] * c.action_dim

    def act(self, observation):
        """Counts nothing and changes nothing."""
        return self.actor.forward([observation], new_counters(), self.quantized)[0][0]

    def reset_noise(self):
        self.noise_state = [0] * self.config.action_dim

    def explore(self, observation, counters):
        """Counts activation and activation_quantizer, but not the weight operands' clamps."""
        own = new_counters()
        action = self.actor.forward([observation], own, self.quantized)[0][0]
        counters["activation"] += own["activation"]
        counters["activation_quantizer"] += own["activation_quantizer"]
        c = self.config
        action, self.noise_state = ref.noisy_action(c.noise_kind, c.sigma, c.theta, self.seed, self.noise_count,
                                                    self.noise_state, action)
        self.noise_count += 1
        return action

    def train(self, observations, actions, rewards, next_observations, terminals, counters, observe, trace=None):
        """One step of section 6; the sums of the two statistics. `trace` takes intermediate values by name."""
        c, quantized = self.config, self.quantized
        trace = {} if trace is None else trace
        maxima = self.gradient_maxima
        seen = [[0] * len(row) for row in maxima]

        # 1, 2: the targets.
        next_actions, _ = self.actor.forward(next_observations, counters, quantized, target=True, observe=observe)
        q_next, _ = self.critic.forward(join(next_observations, next_actions), counters, quantized, True, observe)
        targets = []
        for reward, terminal, q_row in zip(rewards, terminals, q_next):
            y, limited = ref.td_target(reward, terminal, c.discount, q_row[0])
            counters["target_value"] += limited
            targets.append(y)

        # 3, 4: the critic.
        q, passes = self.critic.forward(join(observations, actions), counters, quantized, observe=observe)
        deltas, dy, loss = [], [], 0
        for q_row, y in zip(q, targets):
            delta, limited = ref.td_error(q_row[0], y)
            counters["target_value"] += limited
            last, limited = ref.critic_last_gradient(delta, c.critic_scale)
            counters["gradient"] += limited
            loss += ref.loss_term(delta)
            deltas.append(delta)
            dy.append([last])
        critic_gradients, _ = self.critic.backward(dy, passes, counters, quantized, observe, True, maxima[1], seen[1])
        self.critic.adam(critic_gradients, counters)

        # 5: the updated critic's opinion of the actor's actions.
        policy, actor_passes = self.actor.forward(observations, counters, quantized, observe=observe)
        policy_out = self.actor.last_out
        q_policy, passes = self.critic.forward(join(observations, policy), counters, quantized, observe=observe)
        q_sum = sum(row[0] for row in q_policy)
        critic_dy = [[-(1 << (24 + c.actor_scale))] for _ in observations]
        _, d_action = self.critic.backward(critic_dy, passes, counters, quantized, observe, False, maxima[2], seen[2],
                                           first_input=c.observation_dim)

        # 6: the actor.
        actor_dy = []
        for da_row, out_row in zip(d_action, policy_out):
            row = []
            for da, out in zip(da_row, out_row):
                value, limited = ref.actor_last_gradient(da, out)
                counters["gradient"] += limited
                row.append(value)
            actor_dy.append(row)
        actor_gradients, _ = self.actor.backward(actor_dy, actor_passes, counters, quantized, observe, True, maxima[0], seen[0])
        self.actor.adam(actor_gradients, counters)

        # 7: the targets follow.
        for network in self.networks:
            network.soft_update(c.tau)
        self.gradient_maxima = [[ref.next_maximum(old, new) for old, new in zip(*rows)] for rows in zip(maxima, seen)]

        trace.update(next_action=flat(next_actions), q_next=flat(q_next), target=targets, q=flat(q), delta=deltas,
                     policy=flat(policy), q_policy=flat(q_policy), action_gradient=flat(d_action), actor_last_gradient=flat(actor_dy))
        for name, gradients in (("critic", critic_gradients), ("actor", actor_gradients)):
            for index, (dw, db) in enumerate(gradients):
                trace[f"{name}_{index}_weight_gradient"] = flat(dw)
                trace[f"{name}_{index}_bias_gradient"] = db
        return loss, q_sum


def join(observations, actions):
    return [list(o) + list(a) for o, a in zip(observations, actions)]


def flat(matrix):
    return [value for row in matrix for value in row]


def choose_quantizers(network, plan):
    """Set the quantizers of a network that has observed ranges.

    plan(network number, layer, class) gives (width, headroom), or (width, None, fraction) for a fixed fraction; the
    classes are "activation", "weight" and "gradient".
    """
    for index, layer in enumerate(network.layers):
        weights = ref.Range()
        weights.observe(layer.weight.value)
        for name, master, observed, signed in (("activation", ref.ACTIVATION, layer.input_range, index == 0),
                                               ("weight", ref.WEIGHT, weights, True),
                                               ("gradient", ref.GRADIENT, layer.gradient_range, True)):
            width, headroom, *fixed = plan(network.number, index, name)
            if width == 32:
                quantizer = ref.Quantizer(32, master, True)
            elif fixed:
                quantizer = ref.Quantizer(width, fixed[0], signed)
            else:
                fraction = ref.range_fraction(observed.minimum, observed.maximum, master, width, headroom, signed)
                quantizer = ref.Quantizer(width, fraction, signed)
            setattr(layer, f"{name}_quantizer", quantizer)
