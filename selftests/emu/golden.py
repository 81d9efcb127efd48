# SPDX-License-Identifier: MIT
"""The golden vectors of whole agents (selftests/lib/golden/train.txt, which says what its lines mean) for a card: inputs drawn
again, initial weights made again, with the arithmetic of selftests/lib/reference, which knows nothing of lib/."""

import os
import pathlib
import sys

import arena

SELFTESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SELFTESTS / "lib/reference"))
import fixar_reference as ref  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("FIXAR_GOLDEN") or SELFTESTS / "lib/golden")


def fnv1a(values):
    result = 0xCBF29CE484222325
    for value in values:
        for byte in (value % 2**32).to_bytes(4, "little"):
            result = (result ^ byte) * 0x100000001B3 % 2**64
    return result


class Step:
    def __init__(self, number, observe):
        self.number, self.observe = number, observe
        self.quantizers = {}      # (network, layer) -> widths and fractions, if they change before this step
        self.mode = None          # 0 full, 1 quantized, if it changes before this step
        self.reset_noise = False
        self.lines = {}           # key -> rows of numbers


class Case:
    def __init__(self):
        self.keys, self.initial, self.steps = {}, [], []

    def __getattr__(self, name):
        values = self.keys[name]
        return values[0] if len(values) == 1 and name != "hidden" else values

    def drawn(self, step, number, rows, width, shift):
        words = ref.stream_words(self.seed, ref.TESTS, 16 * step + number, rows * width)
        flat = [ref.int32(word) >> shift for word in words]
        return [flat[i * width:(i + 1) * width] for i in range(rows)]

    def inputs(self, step):
        rows, shifts = self.batch, self.shifts
        terminals = [int(word & self.terminal_mask == 0) for word in ref.stream_words(self.seed, ref.TESTS, 16 * step + 4, rows)]
        return (self.drawn(step, 0, rows, self.observation_dim, shifts[0]), self.drawn(step, 1, rows, self.action_dim, shifts[1]),
                [row[0] for row in self.drawn(step, 2, rows, 1, shifts[2])],
                self.drawn(step, 3, rows, self.observation_dim, shifts[3]), terminals)

    def rows(self, step):
        return self.drawn(step, 5, self.explore_rows, self.observation_dim, self.shifts[0])

    def layout(self):
        return arena.Layout(self.observation_dim, self.action_dim, self.hidden)

    def initial_values(self, layout):
        """Weights and biases of both networks and their targets, ARITHMETIC.md section 11, times 2^weight_gain."""
        values = {}
        for number, network in enumerate(("actor", "critic")):
            for layer in range(layout.layers):
                inputs, outputs = layout.shape(network, layer)
                for part, (name, count) in enumerate((("weight", inputs * outputs), ("bias", outputs))):
                    tensor = ref.initial_tensor(self.seed, number, layer, part, inputs, count, layer == layout.layers - 1)
                    tensor = [ref.sat32(value << self.weight_gain) for value in tensor]
                    values[f"{network}.{layer}.{name}"] = values[f"{network}_target.{layer}.{name}"] = tensor
        return values

    def modes(self, **more):
        """The mode registers of this case. In the file noise 0 is Gaussian and 1 Ornstein-Uhlenbeck; in the register 1 and 2."""
        kind, sigma, theta = self.noise
        return dict(noise=kind + 1, sigma=sigma, theta=theta, discount=self.discount, tau=self.tau, beta1=self.beta1,
                    one_minus_beta2=self.one_minus_beta2, actor_mantissa=self.actor_rate[0], actor_exponent=self.actor_rate[1],
                    critic_mantissa=self.critic_rate[0], critic_exponent=self.critic_rate[1],
                    critic_scale=self.gradient_scales[0], actor_scale=self.gradient_scales[1], **more)


def cases():
    found, quantizers, mode = [], {}, None
    for line in (FOLDER / "train.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        key, *words = line.split()
        if key == "trace":
            continue
        numbers = list(map(int, words))
        if key == "case":
            found.append(Case())
            quantizers, mode = {}, None
        elif key == "step":
            step = Step(*numbers)
            step.quantizers, quantizers, step.mode, mode = quantizers, {}, mode, None
            found[-1].steps.append(step)
        elif key == "quantizer":
            quantizers[tuple(numbers[:2])] = tuple(numbers[2:])
        elif key == "mode":
            mode = numbers[0]
        elif key == "initial":
            found[-1].initial.append(numbers)
        elif key == "reset_noise":
            found[-1].steps[-1].reset_noise = True
        elif found[-1].steps and key != "end":
            found[-1].steps[-1].lines.setdefault(key, []).append(numbers)
        elif key != "end":
            found[-1].keys[key] = numbers
    return found
