# SPDX-License-Identifier: MIT
"""The arena as driver/HARDWARE.md section 8 lays it out, written from that section alone, and the batches and statistics of
section 7."""

import struct

STATE = 4096
EMPTY_RANGE = (2**31 - 1, -2**31)  # ARITHMETIC.md section 9: nothing observed
MASTER = {"activation": 20, "weight": 26, "gradient": 24}  # ARITHMETIC.md section 2
CLASSES = ("activation", "weight", "gradient")


def up(offset):
    return -(-offset // 64) * 64


def packed(kind, values):
    size = {"Q": 64, "I": 32, "i": 32}[kind]
    if kind != "i":
        return struct.pack(f"<{len(values)}{kind}", *(value % 2**size for value in values))
    return struct.pack(f"<{len(values)}i", *values)


class Layout:
    """Where each tensor of an agent lies: name -> (arena offset, kind, elements)."""

    def __init__(self, observations, actions, hidden):
        self.observations, self.actions, self.hidden = observations, actions, tuple(hidden)
        self.layers = len(hidden) + 1
        self.tensors = {}
        self.end = STATE
        self.add("training_steps", "Q", 1)
        self.add("saturation", "Q", 10)
        self.add("adam_powers", "Q", 4)
        self.add("noise.count", "Q", 1)
        self.add("noise.state", "i", actions)
        self.add("quantizers", "i", 2 * self.layers * 9)
        self.add("ranges", "i", 2 * self.layers * 6)
        for network in ("actor", "critic"):
            for layer in range(self.layers):
                inputs, outputs = self.shape(network, layer)
                for tensor, count in (("weight", outputs * inputs), ("bias", outputs)):
                    self.add(f"{network}.{layer}.{tensor}", "i", count)
                    self.add(f"{network}.{layer}.{tensor}.moment1", "i", count)
                    self.add(f"{network}.{layer}.{tensor}.moment2", "I", count)
        for network in ("actor", "critic"):
            for layer in range(self.layers):
                inputs, outputs = self.shape(network, layer)
                self.add(f"{network}_target.{layer}.weight", "i", outputs * inputs)
                self.add(f"{network}_target.{layer}.bias", "i", outputs)
        self.add("gradient_maxima", "I", 3 * self.layers)
        self.end = up(self.end)
        self.state_bytes = self.end - STATE

    def shape(self, network, layer):
        """inputs and outputs"""
        widths = [self.observations + (self.actions if network == "critic" else 0), *self.hidden,
                  1 if network == "critic" else self.actions]
        return widths[layer], widths[layer + 1]

    def add(self, name, kind, count):
        start = up(self.end)
        self.tensors[name] = (start, kind, count)
        self.end = start + count * (8 if kind == "Q" else 4)

    def offset(self, name, element=0):
        start, kind, _ = self.tensors[name]
        return start + element * (8 if kind == "Q" else 4)

    def header(self, seed=0, batch_max=64, schema=3):
        return struct.pack("<IIIIQQIIII", 0x47415846, schema, 256, 4096, self.state_bytes, seed, self.observations,
                           self.actions, batch_max, len(self.hidden)) \
            + struct.pack("<31I", *self.hidden, *[0] * (31 - len(self.hidden))) + bytes(84)

    def image(self, values=None, **header):
        """Header and state. What `values` does not name is 0, but powers of Adam, quantizers and ranges, which start as new."""
        values = {"adam_powers": [1 << 62] * 4, "quantizers": self.quantizers(),
                  "ranges": list(EMPTY_RANGE) * (2 * self.layers * 3), **(values or {})}
        data = bytearray(self.end)
        head = self.header(**header)
        data[:len(head)] = head
        for name, numbers in values.items():
            start, kind, count = self.tensors[name]
            if len(numbers) != count:
                raise ValueError(f"{name}: {len(numbers)} values for {count}")
            raw = packed(kind, numbers)
            data[start:start + len(raw)] = raw
        return bytes(data)

    def quantizers(self, chosen=None):
        """`chosen`: (network, layer) -> widths and fractions of activation, weight, gradient; else masters. Section 8:
        is_signed is 1, but 0 for activations of every layer but the first."""
        table = []
        for network in (0, 1):
            for layer in range(self.layers):
                numbers = (chosen or {}).get((network, layer), (32, 20, 32, 26, 32, 24))
                for i, name in enumerate(CLASSES):
                    table += [numbers[2 * i], numbers[2 * i + 1], 0 if name == "activation" and layer else 1]
        return table

    def read(self, data, name):
        """A tensor's values from an image of the arena."""
        start, kind, count = self.tensors[name]
        return list(struct.unpack_from(f"<{count}{kind}", data, start))


def batch(observations, actions, rewards, next_observations, terminals):
    """Section 7: five arrays, each at the next multiple of 64."""
    data = b""
    for values in (sum(map(list, observations), []), sum(map(list, actions), []), rewards, sum(map(list, next_observations), [])):
        data += bytes(up(len(data)) - len(data)) + packed("i", values)
    return data + bytes(up(len(data)) - len(data)) + bytes(terminals)


def statistics(data):
    """Section 7: loss_sum, q_sum, saturation[10], training_steps, cycles, macs, reserved."""
    numbers = struct.unpack("<Qq10QQQQQ", data)
    return dict(loss=numbers[0], q=numbers[1], saturation=list(numbers[2:12]), steps=numbers[12], cycles=numbers[13],
                macs=numbers[14], reserved=numbers[15])


def macs(layout, count, training):
    """Multiply-accumulates of `count` samples, padding and bias columns not counted. TRAIN by ARITHMETIC.md section 6: forward
    through target actor, target critic, critic, actor, critic; dX of the critic twice, of the actor once (not into the
    observations); dW of critic and actor."""
    def products(network, first=0):
        return sum(layout.shape(network, layer)[0] * layout.shape(network, layer)[1] for layer in range(first, layout.layers))
    if not training:
        return count * products("actor")
    forward = 2 * products("actor") + 3 * products("critic")
    weights = products("actor") + products("critic")
    inputs = products("critic", 1) * 2 + products("actor", 1) + layout.actions * layout.shape("critic", 0)[1]
    return count * (forward + weights + inputs)
