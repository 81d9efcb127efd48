#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: what the emulated core computes, in card memory, against the golden vectors: whole arenas, actions, ranges,
statistics; batches come by H2C, results go by C2H"""

import arena
import core
import golden
import xdma
from core import ACT, EXPLORE, READ_RANGES, RELOAD, RESET_NOISE, TRAIN, Core
from emulator import Card
from report import check, expect, finish, run, same_bytes

NETWORKS = ("actor", "critic")
LIMIT = 1 << 20


class Agent:
    """An agent of the golden file on the card: its arena is a window that begins at `base`."""

    def __init__(self, card, case, base):
        self.card, self.case, self.base = card, case, base
        self.layout = case.layout()
        self.up, _, self.down, _ = xdma.ready(card)
        self.device = Core(card)
        self.input = self.layout.end
        self.output, self.statistics = self.input + (64 << 10), self.input + (72 << 10)
        self.batch_max = max(case.batch, case.explore_rows)
        values = case.initial_values(self.layout)
        for network, layer, part, *hashes in case.initial:
            name = f"{NETWORKS[network]}.{layer}.{('weight', 'bias')[part]}"
            if golden.fnv1a(values[name]) != hashes[0]:
                raise AssertionError(f"{name}: the test's own initial values are not the golden ones")
        self.put(0, self.layout.image(values, seed=case.seed, batch_max=self.batch_max))
        self.device.window(base, LIMIT)
        self.device.modes(**case.modes())
        self.saturation = [0] * 10

    def put(self, offset, data):
        self.card.memory.free = 0
        self.up.one(data, self.base + offset)

    def get(self, offset, size):
        self.card.memory.free = 0
        return self.down.one(size, self.base + offset)

    def state(self):
        return self.get(0, self.layout.end)

    def figures(self):
        return arena.statistics(self.get(self.statistics, 128))

    def mode(self, name, value):
        self.card.user_write(core.MODES[name][0], value)

    def quantize(self, chosen):
        self.put(self.layout.offset("quantizers"), arena.packed("i", self.layout.quantizers(chosen)))
        self.device.do(RELOAD)

    def train(self, step):
        self.put(self.input, arena.batch(*self.case.inputs(step)))
        self.put(self.statistics, b"\xaa" * 128)
        return self.device.do(TRAIN, count=self.case.batch, input=self.input, statistics=self.statistics)

    def act(self, rows, flags=0):
        width = self.layout.actions
        self.put(self.input, arena.packed("i", sum(rows, [])))
        self.put(self.statistics, b"\xaa" * 128)
        self.device.do(ACT, count=len(rows), input=self.input, output=self.output, statistics=self.statistics, flags=flags)
        raw = self.get(self.output, 4 * width * len(rows))
        values = [int.from_bytes(raw[i:i + 4], "little", signed=True) for i in range(0, len(raw), 4)]
        return [values[i:i + width] for i in range(0, len(values), width)]


def compare_state(agent, step, what):
    """Everything that the golden file says about the state after a step."""
    layout, data = agent.layout, agent.state()
    expect(layout.read(data, "training_steps"), [step.number + 1], f"{what}: training_steps")
    expect(layout.read(data, "saturation"), agent.saturation, f"{what}: saturation since the beginning")
    powers = [value for _, *pair in step.lines["adam"] for value in pair]
    expect(layout.read(data, "adam_powers"), powers, f"{what}: adam_powers")
    expect(layout.read(data, "gradient_maxima"), step.lines["maxima"][0], f"{what}: gradient_maxima")
    for network, layer, part, *hashes in step.lines["tensor"]:
        name = f"{NETWORKS[network]}.{layer}.{('weight', 'bias')[part]}"
        target = name.replace(".", "_target.", 1)
        for tensor, wanted in zip((name, name + ".moment1", name + ".moment2", target), hashes):
            expect(golden.fnv1a(layout.read(data, tensor)), wanted, f"{what}: hash of {tensor}")
    return data


def golden_case(card, case, number):
    agent = Agent(card, case, (number + 1) << 20)
    layout = agent.layout
    card.poke(agent.base + LIMIT, b"\xd7" * 64)
    for step in case.steps:
        what = f"step {step.number}"
        if step.quantizers:
            agent.quantize(step.quantizers)
        if step.mode is not None:
            agent.mode("precision", step.mode)
        agent.mode("quantization", step.observe)
        agent.mode("parallelism", step.number % 3)
        agent.train(step.number)
        figures = agent.figures()
        counters = step.lines["counters"][0]
        expect([figures["loss"], figures["q"]], step.lines["statistics"][0], f"{what}: statistics")
        expect(figures["saturation"], counters, f"{what}: saturation of the command")
        expect((figures["steps"], figures["macs"], figures["reserved"]), (step.number + 1, arena.macs(layout, case.batch, True), 0),
               f"{what}: training_steps, macs, reserved")
        check(figures["cycles"] > 0, f"{what}: no cycles")
        agent.saturation = [a + b for a, b in zip(agent.saturation, counters)]
        data = compare_state(agent, step, what)
        if "full" in step.lines:
            values = {"training_steps": [step.number + 1], "saturation": agent.saturation,
                      "adam_powers": layout.read(data, "adam_powers"), "ranges": layout.read(data, "ranges"),
                      "gradient_maxima": step.lines["maxima"][0]}
            for network, layer, part, kind, *numbers in step.lines["full"]:
                name = f"{NETWORKS[network]}.{layer}.{('weight', 'bias')[part]}"
                name = (name, name + ".moment1", name + ".moment2", name.replace(".", "_target.", 1))[kind]
                values[name] = numbers
            same_bytes(data, layout.image(values, seed=case.seed, batch_max=agent.batch_max), f"{what}: the whole arena")
        agent.device.do(READ_RANGES)
        ranges = [step_range for row in step.lines["ranges"] for step_range in row[2:4] + row[6:8] + row[4:6]]
        expect(layout.read(agent.state(), "ranges"), ranges, f"{what}: ranges")
        explore(agent, step, what)
    expect(card.peek(agent.base + LIMIT, 64), b"\xd7" * 64, "memory behind the window")


def explore(agent, step, what):
    rows = agent.case.rows(step.number)
    actions = agent.act(rows, EXPLORE | (RESET_NOISE if step.reset_noise else 0))
    expect(actions, step.lines["explore"], f"{what}: exploring actions")
    counters = step.lines["explore_counters"][0]
    figures = agent.figures()
    expect(figures["saturation"], counters, f"{what}: saturation of the exploration")
    expect((figures["loss"], figures["q"], figures["steps"], figures["macs"]), (0, 0, 0, arena.macs(agent.layout, len(rows), False)),
           f"{what}: other statistics of the exploration")
    agent.saturation = [a + b for a, b in zip(agent.saturation, counters)]
    before = agent.state()
    *state, count = step.lines["noise_state"][0]
    expect(agent.layout.read(before, "noise.state"), state, f"{what}: noise.state")
    expect(agent.layout.read(before, "noise.count"), [count], f"{what}: noise.count")
    expect(agent.layout.read(before, "saturation"), agent.saturation, f"{what}: saturation since the beginning")
    expect(agent.act(rows), step.lines["act"], f"{what}: actions")
    same_bytes(agent.state(), before, f"{what}: the state after acting without exploration")


def noise_of_none(card, case):
    """NOISE 0 with EXPLORE adds nothing; RESET_NOISE alone sets the state to 0 and changes nothing else"""
    agent = Agent(card, case, 1 << 20)
    rows = case.rows(0)
    plain = agent.act(rows)
    agent.act(rows, EXPLORE)
    before = agent.state()
    agent.mode("noise", 0)
    expect(agent.act(rows, EXPLORE), plain, "actions")
    expect(agent.layout.read(agent.state(), "noise.count"), agent.layout.read(before, "noise.count"), "noise.count")
    agent.mode("noise", 2)
    expect(agent.act(rows, RESET_NOISE), plain, "actions with RESET_NOISE alone")
    wanted = bytearray(before)
    start, _, count = agent.layout.tensors["noise.state"]
    wanted[start:start + 4 * count] = bytes(4 * count)
    same_bytes(agent.state(), wanted, "the state after RESET_NOISE")


def changes(card, case):
    """one bit of a word of the arena or of a register changes the result; parallelism changes cycles alone"""
    def outcome(change=None, **modes):
        agent = Agent(card, case, 1 << 20)
        for name, value in modes.items():
            agent.mode(name, value)
        if change is not None:
            agent.put(change[0], bytes([agent.get(change[0], 1)[0] ^ change[1]]))
            agent.device.do(RELOAD)
        agent.train(0)
        figures = agent.figures()
        return agent.state(), figures["cycles"]

    layout = case.layout()
    plain, _ = outcome()
    same_bytes(outcome()[0], plain, "the same again")
    # A byte of a little-endian word and the bit in it: weights have fraction 26; powers of Adam are 2^62 at first.
    for name, byte, bit in (("actor.0.weight", 1, 1), ("critic.1.bias", 1, 1), ("actor_target.1.weight", 1, 1),
                            ("critic.0.weight.moment1", 3, 1), ("adam_powers", 7, 0x40)):
        where = layout.offset(name) + byte
        state, _ = outcome((where, bit))
        wrong = bytearray(plain)
        wrong[where] ^= bit
        check(state not in (plain, wrong), f"a bit of {name} changes nothing of the result")
    for name, value in (("quantization", 1), ("discount", 0), ("tau", 1 << 31), ("beta1", 0), ("one_minus_beta2", 1 << 20),
                        ("actor_exponent", 40), ("critic_exponent", 44), ("critic_scale", 3)):
        check(outcome(**{name: value})[0] != plain, f"mode register {name} changes nothing")
    cycles = {}
    for value in (0, 1, 2):
        state, cycles[value] = outcome(parallelism=value)
        same_bytes(state, plain, f"the state with parallelism {value}")
    check(cycles[1] != cycles[2] and cycles[0] <= min(cycles[1], cycles[2]), f"cycles by parallelism: {cycles}")


def two_arenas(card, cases):
    """two agents in turn: the window moved between their commands, each trained as if it were alone"""
    agents = [Agent(card, case, (8 + i) << 20) for i, case in enumerate(cases)]
    for number in range(3):
        for agent in agents:
            agent.device.seq = card.user(core.COMPLETED)
            agent.device.window(agent.base, LIMIT)
            agent.device.modes(**agent.case.modes(quantization=1))
            step = agent.case.steps[number]
            agent.train(number)
            agent.saturation = [a + b for a, b in zip(agent.saturation, step.lines["counters"][0])]
            rows = agent.case.rows(number)
            agent.act(rows, EXPLORE | (RESET_NOISE if step.reset_noise else 0))
            agent.saturation = [a + b for a, b in zip(agent.saturation, step.lines["explore_counters"][0])]
            compare_state(agent, step, f"agent {agents.index(agent)}, step {number}")


def main():
    card = Card()
    cases = golden.cases()
    check(len(cases) >= 9, f"only {len(cases)} golden cases")
    for number, case in enumerate(cases):
        card.reset()
        run(golden_case, card, case, number, name=f"golden case {number}: {case.observation_dim} observations, {case.action_dim} "
            f"actions, {'-'.join(map(str, case.hidden))}, {case.batch} samples, {len(case.steps)} steps")
    for test, argument in ((noise_of_none, cases[0]), (changes, cases[0]), (two_arenas, cases[:2])):
        card.reset()
        run(test, card, argument)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    finish()


if __name__ == "__main__":
    main()
