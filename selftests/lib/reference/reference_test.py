#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks of the reference against mathematics and published answers, not against itself. Output: KTAP."""

import copy
import math
import random
import sys
import tempfile
import pathlib
from contextlib import contextmanager

import fixar_agent
import fixar_reference as ref
import generate_golden
import golden_training

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def note(text):
    print(f"# {text}")


@contextmanager
def planted(name, replacement):
    """The reference with one function replaced."""
    original = getattr(ref, name)
    setattr(ref, name, replacement)
    try:
        yield original
    finally:
        setattr(ref, name, original)


@test
def philox_known_answers():
    """The three of the Random123 distribution (kat_vectors)."""
    ones = 2**32 - 1
    return (ref.philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
            and ref.philox((ones,) * 4, (ones,) * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
            and ref.philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))
            == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1))


@test
def rounding_against_fractions():
    """The shifts against exact division."""
    good = True
    generator = random.Random(1)
    for _ in range(20000):
        x, s = generator.randrange(-2**40, 2**40) >> generator.randrange(40), generator.randrange(24)
        power = 2**s
        good &= ref.rhu(x, s) == (2 * x + power) // (2 * power)
        good &= ref.rtz(x, s) == (abs(x) // power) * (1 if x >= 0 else -1)
        good &= ref.rhu64(x, s) == ref.rhu(x, s)
    return good and [ref.rhu(x, 1) for x in (-3, -1, 1, 3)] == [-1, 0, 1, 2] and ref.rhu64(2**63 - 1, 1) == -2**62


@test
def tanh_error():
    worst = worst_slope = 0.0
    for x in [*range(0, 12 * ref.ONE, 211), *range(0, 20000), 1451967, 297419, 2**31 - 1, 2**31]:  # the first two: the worst of all
        error = abs(ref.tanh(x) - math.tanh(x / ref.ONE) * ref.ONE)
        worst = max(worst, error)
        slope = abs(ref.tanh_slope(x) / 2**30 - (1 / math.cosh(x / ref.ONE) ** 2 if x < 300 * ref.ONE else 0))
        worst_slope = max(worst_slope, slope * 2**30)
        if ref.tanh(-x) != -ref.tanh(x) or ref.tanh_slope(-x) != ref.tanh_slope(x):
            return False
    note(f"tanh: largest error {worst:.4f} units in the last place, its derivative {worst_slope:.2f}")
    return worst < 0.53 and worst_slope < 8


@test
def tanh_never_decreases():
    previous = -1
    for x in range(0, 300000):
        y = ref.tanh(x)
        if y < previous:
            return False
        previous = y
    return True


@test
def rsqrt_error():
    generator = random.Random(2)
    xs = [generator.randrange(2**30, 2**32) for _ in range(150000)]
    xs += range(2**30, 2**30 + 2000)
    xs += range(2**32 - 2000, 2**32)
    xs += [3779806838, 4178073015]  # the worst of all inputs, on either side
    worst = 0.0
    for x in xs:
        y = ref.rsqrt(x)
        exact = 2.0**30 / math.sqrt(x / 2.0**32)
        worst = max(worst, abs(y - exact) / exact)
        if y >= 2**31:
            return False
    note(f"rsqrt: largest relative error 2^{math.log2(worst):.4f}")
    return worst < 2.0**-26.69


@test
def adam_against_doubles():
    """1,000 steps of random gradients, so large that the least value of v plays no part."""
    generator = random.Random(3)
    beta1, beta2, rate = 0.9, 0.999, 1e-3
    scalars = ref.AdamScalars(ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"))
    scales = [10.0**-(n / 4) for n in range(17)]  # 1 down to 1e-4
    offsets = [generator.uniform(-0.7, 0.7) for _ in scales]
    fixed = [(0, 0, 0) for _ in scales]
    real = [(0.0, 0.0, 0.0) for _ in scales]
    for t in range(1, 1001):
        scalars.step()
        for i, scale in enumerate(scales):
            g = round(scale * (generator.gauss(0, 0.5) + offsets[i]) * 2**28)
            g = ref.sat32(g)
            m, c, w, n_ratio, n_weight = ref.adam_element(g, *fixed[i], scalars.beta1, scalars.one_minus_beta2, scalars.a, scalars.k,
                                                          scalars.v0)
            if n_ratio or n_weight:
                return False
            fixed[i] = (m, c, w)
            dm, dv, dw = real[i]
            gradient = g / 2**28
            dm = beta1 * dm + (1 - beta1) * gradient
            dv = beta2 * dv + (1 - beta2) * gradient * gradient
            correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
            real[i] = (dm, dv, dw - (rate * correction * dm / math.sqrt(dv)))
    weight = [abs(f[2] / 2**26 - r[2]) / abs(r[2]) for f, r in zip(fixed, real)]
    second = [abs(ref.moment2_value(f[1]) / 2**58 - r[1]) / r[1] for f, r in zip(fixed, real)]
    large = max(w for w, scale in zip(weight, scales) if scale >= 0.01)
    note(f"Adam, 1,000 steps: relative difference of the weight's way at most {large:.1e} for gradients of 0.01 to 1, "
         f"{max(weight):.1e} down to 1e-4; of v {max(second):.1e}")
    return large < 1e-4 and max(weight) < 1e-3 and max(second) < 2.0**-15


@test
def moment2_codes():
    """value(code(v)) is v but for less than 2^-25 of it, toward zero; codes of code() come back; both never decrease."""
    generator = random.Random(9)
    values = sorted({*range(1, 3000), *(2**n + offset for n in range(2, 65) for offset in (-2, -1, 0, 1) if 2**n + offset < 2**64),
                     *(generator.randrange(1, 2**generator.randrange(1, 65)) for _ in range(30000))})
    good, before, worst = ref.moment2_value(0) == 0, 0, 0.0
    for v in values:
        code = ref.moment2_code(v)
        value = ref.moment2_value(code)
        good &= 2**30 <= code < 2**32 and ref.moment2_code(value) == code and before <= value <= v and (v - value) * 2**25 < v
        worst, before = max(worst, (v - value) / v), value
    note(f"codes of second moments lose at most 2^{math.log2(worst):.4f}")
    return good


LEAST_ROOT = 2.0**-23   # section 7, of V0
UNIT = 2.0**-28         # of a gradient


def adam_steps(draw, steps):
    """Steps of Adam in units of the learning rate: the reference's; in doubles without an epsilon but with a least root of the
    second moment after its bias is corrected; in doubles with Adam's usual epsilon 1e-8. And that root, in units of gradients."""
    scalars = ref.AdamScalars(ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"))
    m = c = 0
    first = second = 0.0
    for t in range(1, steps + 1):
        scalars.step()
        g = round(draw() / UNIT)
        m, c, w, *_ = ref.adam_element(g, m, c, 0, scalars.beta1, scalars.one_minus_beta2, scalars.a, scalars.k, scalars.v0)
        first = 0.9 * first + 0.1 * g * UNIT
        second = 0.999 * second + 0.001 * (g * UNIT)**2
        mean, root = first / (1 - 0.9**t), math.sqrt(second / (1 - 0.999**t))
        yield -w / 2**26 / 1e-3, mean / max(root, LEAST_ROOT), mean / (root + 1e-8), root / UNIT


def adam_rounding(step, root):
    """The most that section 7's roundings change a step of 0.9, 0.999, 1e-3, of an exact one with a least root.

    m loses less than a unit a step, of which 0.9 stays: after the correction of bias less than 10 units, whatever the step. Each
    floor of v is less than one unit of fraction 58, a quarter of a squared unit of g, of which 0.999 stays: less than 1,000 after
    the correction, as that of V0; one of them lessens v, one increases it. A code drops 2^-25, so 2^-15 of v in the long run.
    """
    root = max(root, LEAST_ROOT / UNIT)
    wrong = 1000 / 4 / root**2 + 2.0**-15
    return (10 / root + abs(step)) / math.sqrt(1 - wrong) - abs(step) + 1e-5


def adam_small_gradients(steps):
    """What section 7 says about V0: the largest differences by name, and whether all are within its bounds."""
    generator = random.Random(8)
    good, largest = True, {}

    def seen(name, difference):
        largest[name] = max(largest.get(name, 0.0), difference)

    scales = [10.0**-(2 + n / 4) for n in range(21)] + [3e-7, 3e-6]
    for scale in scales:
        for steady in (True, False):
            draw = (lambda: scale) if steady else (lambda: generator.gauss(0, scale))
            for fixed, with_floor, with_epsilon, root in adam_steps(draw, steps):
                kind = "steady" if steady else "random"
                share = abs(fixed - with_floor) / adam_rounding(with_floor, root)
                seen("share", share)
                good &= share <= 1
                seen(f"{kind}, all", abs(fixed - with_floor))
                # A random gradient may be much smaller than the others: what has been seen so far counts.
                for name, least in (("3e-7", 3e-7), ("3e-6", 3e-6)):
                    if root * UNIT >= least * 0.995:    # of whole units
                        seen(f"{kind}, {name}, floor, shorter", abs(with_floor) - abs(fixed))
                        seen(f"{kind}, {name}, floor, longer", abs(fixed) - abs(with_floor))
                        seen(f"{kind}, {name}, 1e-8, shorter", abs(with_epsilon) - abs(fixed))
                        seen(f"{kind}, {name}, 1e-8, longer", abs(fixed) - abs(with_epsilon))
    bounds = {
        "steady, 3e-7, floor, shorter": 0.12, "steady, 3e-7, floor, longer": 0.02,
        "steady, 3e-7, 1e-8, shorter": 0.09, "steady, 3e-7, 1e-8, longer": 0.05,
        "steady, 3e-6, floor, shorter": 0.012, "steady, 3e-6, floor, longer": 0.002,
        "steady, 3e-6, 1e-8, shorter": 0.01, "steady, 3e-6, 1e-8, longer": 0.005,
        # Of changing sign, m may be on the way to the other side when it is rounded: longer by as much as shorter.
        "random, 3e-7, floor, shorter": 0.12, "random, 3e-7, floor, longer": 0.12,
        "random, 3e-7, 1e-8, shorter": 0.12, "random, 3e-7, 1e-8, longer": 0.12,
        "random, 3e-6, floor, shorter": 0.012, "random, 3e-6, floor, longer": 0.012,
        "random, 3e-6, 1e-8, shorter": 0.012, "random, 3e-6, 1e-8, longer": 0.012,
    }
    return good and all(largest[name] <= bound for name, bound in bounds.items()), largest


@test
def adam_small_gradients_from_the_first_step_on():
    """Where a new network's gradients lie: 1e-2 to 1e-7, steady and random, each of the first 1,000 steps. V0 is a least root of
    2^-23; a V0 whose bias is not corrected is one of 4e-6 at the first step, and found."""
    good, largest = adam_small_gradients(1000)
    note("Adam, first 1,000 steps, gradients of 1e-2 to 1e-7: largest differences in units of the learning rate "
         f"from a least root of 2^-23: steady {largest['steady, all']:.3f}, random {largest['random, all']:.3f}; "
         f"of what roundings can do {largest['share']:.2f}")
    for kind in ("steady", "random"):
        for least in ("3e-7", "3e-6"):
            texts = [f"{against} {largest[f'{kind}, {least}, {against}, shorter']:.4f} shorter, "
                     f"{largest[f'{kind}, {least}, {against}, longer']:.4f} longer" for against in ("floor", "1e-8")]
            note(f"    {kind}, root from {least} on: " + "; ".join(texts))
    with planted("least_moment2", lambda p2: 2**12):
        found = not adam_small_gradients(20)[0]
    scalars = ref.AdamScalars(ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"))
    for t in range(1, 5001):
        scalars.step()
        good &= -0.001 < LEAST_ROOT**2 * 2**58 * (1 - 0.999**t) - scalars.v0 < 1.001
    return good and found


@test
def adam_unit_without_gradient_stays():
    scalars = ref.AdamScalars(ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"))
    generator = random.Random(4)
    m, c, w = 0, 0, 2**26

    def run(steps):
        nonlocal m, c, w
        for _ in range(steps):
            scalars.step()
            m, c, w, *_ = ref.adam_element(0, m, c, w, scalars.beta1, scalars.one_minus_beta2, scalars.a, scalars.k, scalars.v0)

    for _ in range(200):
        scalars.step()
        g = round(generator.gauss(0, 2**24))
        m, c, w, *_ = ref.adam_element(g, m, c, w, scalars.beta1, scalars.one_minus_beta2, scalars.a, scalars.k, scalars.v0)
    steps = 0
    while m and steps < 1000:
        run(1)
        steps += 1
    decayed = w
    run(100000)
    note(f"dead unit: m is 0 after {steps} steps; in 100,000 more the weight moved {w - decayed} units; "
         f"v came down to {ref.moment2_value(c)}")
    return m == 0 and abs(w - decayed) <= 4 and ref.moment2_value(c) == scalars.v0 == 2**12


@test
def adam_half_up_would_walk():
    """The reason for rtz: with half up, m sticks and the weight walks."""
    scalars = ref.AdamScalars(ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"))
    m, c, w = 1000, ref.moment2_code(100000**2), 0
    with planted("rtz", ref.rhu):
        for _ in range(10000):
            scalars.step()
            m, c, w, *_ = ref.adam_element(0, m, c, w, scalars.beta1, scalars.one_minus_beta2, scalars.a, scalars.k, scalars.v0)
    note(f"m rounded half up instead: m sticks at {m}, the weight moved {w} units in 10,000 steps")
    return m != 0 and abs(w) > 100000


@test
def normal_moments():
    values = []
    for index in range(50000):
        for block in range(2):
            values.append(ref.normal(ref.stream_block(1, ref.NOISE, index, block)) / ref.ONE)
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean)**2 for v in values) / n
    kurtosis = math.fsum((v - mean)**4 for v in values) / n / variance**2
    highest = ref.normal((2**32 - 1,) * 4) / ref.ONE
    note(f"normal: {n} numbers, mean {mean:+.4f}, variance {variance:.4f}, kurtosis {kurtosis:.3f} (eight uniforms: 2.85), "
         f"limit {highest:.4f}")
    # Four standard errors of each.
    return abs(mean) < 4 / n**0.5 and abs(variance - 1) < 4 * (1.85 / n)**0.5 and abs(kurtosis - 2.85) < 0.06


@test
def ornstein_uhlenbeck_variance():
    """Stationary variance: sigma^2 / (2 theta - theta^2)."""
    sigma, theta = ref.noise_constant("0.2"), ref.noise_constant("0.15")
    state, total, steps = [0], 0.0, 30000
    for c in range(steps):
        _, state = ref.noisy_action(ref.ORNSTEIN_UHLENBECK, sigma, theta, 5, c, state, [0])
        total += (state[0] / ref.ONE)**2
    expected = 0.2**2 / (2 * 0.15 - 0.15**2)
    note(f"Ornstein-Uhlenbeck: variance {total / steps:.4f}, expected {expected:.4f}")
    return abs(total / steps / expected - 1) < 0.1


@test
def soft_update_converges():
    tau = ref.tau_constant("0.005")
    worst = 0
    for w, t in ((0, 2**31 - 1), (0, -2**31), (2**31 - 1, -2**31), (-2**31, 2**31 - 1), (12345678, 12345678 + 90), (5, -100000)):
        steps, previous = 0, None
        while t != previous:
            previous, t = t, ref.soft_update(w, t, tau)
            steps += 1
        worst = max(worst, abs(w - t))
    note(f"soft update, tau 0.005: it comes to rest at most {worst} units away (2^30 / T = {2**30 / tau:.2f})")
    return worst <= 2**30 / tau


@test
def edge_in_doubles():
    """Section 13 in double precision, as a C program does it, gives what exact arithmetic gives."""
    generator = random.Random(6)
    good = True
    for _ in range(50000):
        x = ref.to_single(math.ldexp(generator.uniform(-1, 1), generator.randrange(-60, 12)))
        good &= ref.to_fixed(x)[0] == ref.sat32(math.floor(x * float(ref.ONE) + 0.5))
    for n in range(-3000, 3000):
        x = n / 2 / ref.ONE
        good &= ref.to_fixed(x)[0] == ref.sat32(math.floor(x * float(ref.ONE) + 0.5))
    return good


@test
def initial_weights_distribution():
    values = ref.initial_tensor(3, 0, 0, 0, 64, 20000, False)
    bound = ref.initial_bound(64, False)
    if bound != 2**26 // 8 or max(values) > bound or min(values) < -bound:
        return False
    mean = sum(values) / len(values)
    variance = sum(v * v for v in values) / len(values)
    return abs(mean) < 4 * bound / (3 * len(values))**0.5 and abs(variance / (bound * bound / 3) - 1) < 0.03


def real_forward(network, x, weights):
    """The network in doubles; weights is a flat list in the order of Network.parameters()."""
    position = 0
    for index, layer in enumerate(network.layers):
        n, k = len(layer.weight.value), len(layer.weight.value[0])
        w, b = weights[position:position + n * k], weights[position + n * k:position + n * k + n]
        position += n * k + n
        x = [sum(w[i * k + j] * x[j] for j in range(k)) + b[i] for i in range(n)]
        if index < len(network.layers) - 1:
            x = [max(v, 0.0) for v in x]
        elif network.number == fixar_agent.ACTOR:
            x = [math.tanh(v) for v in x]
    return x


def flat_weights(network):
    return [v / 2**26 for p in network.parameters() for v in fixar_agent.flat(p.value)]


def numeric_gradient(loss, weights, i):
    step = 1e-6
    up, down = list(weights), list(weights)
    up[i] += step
    down[i] -= step
    return (loss(up) - loss(down)) / (2 * step)


@test
def gradients_against_differences():
    """One training step's dW and db are the derivatives of half the mean squared TD error and of minus the mean Q."""
    config = fixar_agent.Config(observation_dim=3, action_dim=2, hidden=(6, 5), **golden_training.DEFAULT)
    agent = fixar_agent.Agent(config, 11)
    for _, _, _, p in golden_training.tensors(agent):
        p.value = [[ref.sat32(w * 4) for w in row] for row in p.value]
        p.target = copy.deepcopy(p.value)
    before = copy.deepcopy(agent)
    inputs = golden_training.inputs_of_step(config, 11, 0, 4, (13, 13, 12, 13), 3)
    observations, actions, rewards, next_observations, terminals = inputs
    trace = {}
    agent.train(*inputs, fixar_agent.new_counters(), False, trace)
    real = lambda rows: [[v / ref.ONE for v in row] for row in rows]
    observations, actions, next_observations = real(observations), real(actions), real(next_observations)
    actor_weights, critic_weights = flat_weights(before.actor), flat_weights(before.critic)
    targets = []
    for r, d, s in zip(rewards, terminals, next_observations):
        q = real_forward(before.critic, s + real_forward(before.actor, s, actor_weights), critic_weights)[0]
        targets.append(r / ref.ONE + (0 if d else 0.99 * q))

    def critic_loss(weights):
        return sum((real_forward(before.critic, s + a, weights)[0] - y)**2 / 2
                   for s, a, y in zip(observations, actions, targets)) / 4

    updated_critic = flat_weights(agent.critic)

    def actor_loss(weights):
        return -sum(real_forward(before.critic, s + real_forward(before.actor, s, weights), updated_critic)[0]
                    for s in observations) / 4

    worst = 0.0
    for name, network, loss, weights, scale in (("critic", before.critic, critic_loss, critic_weights, 0),
                                                ("actor", before.actor, actor_loss, actor_weights, config.actor_scale)):
        fixed = []
        for index in range(len(network.layers)):
            fixed += trace[f"{name}_{index}_weight_gradient"] + trace[f"{name}_{index}_bias_gradient"]
        for i, g in enumerate(fixed):
            worst = max(worst, abs(g / 2**(28 + scale) - numeric_gradient(loss, weights, i)))
    note(f"gradients of a step against numeric differences: largest difference {worst:.1e}")
    return worst < 2e-6


@test
def range_fraction_covers_the_range():
    """With no headroom the largest value fits, and with one fraction bit more it would not."""
    generator = random.Random(8)
    for _ in range(5000):
        n, a = generator.randrange(2, 32), generator.randrange(1, 2**31) >> generator.randrange(31)
        if a == 0:
            continue
        for signed in (False, True):
            f = ref.range_fraction(-a if signed else 0, a if not signed else 0, ref.ACTIVATION, n, 0, signed)
            value = -a if signed else a
            rounded, finer = (math.floor(value * 2.0**(g - ref.ACTIVATION) + 0.5) for g in (f, f + 1))
            low, high = ref.Quantizer(n, f, signed).limits()
            # A power of two itself is the end of its range: unsigned, it is one code too large.
            if not low <= rounded <= high + 1 or (f < ref.ACTIVATION and abs(finer) < 2**(n - 1 if signed else n) - 1):
                return False
    return True


@test
def golden_files_are_current():
    messages = generate_golden.check()
    for name, message in messages.items():
        note(f"{name}: " + message.replace("\n", "\n# "))
    return not messages


def affected_by(name, replacement):
    with planted(name, replacement):
        return set(generate_golden.check())


@test
def planted_rounding_changes_are_found():
    """One operation that rounds otherwise: the comparison fails for the files that it enters, and for no other."""
    def floor_soft_update(w, t, tau):
        return t + ((w * tau - t * tau) >> 31)

    def floor_requantize(total, from_fraction, to_fraction):
        top = max(from_fraction, to_fraction)
        exact = ref.wrap64(total << (top - from_fraction)) >> (top - to_fraction)
        return ref.sat32(exact), int(ref.sat32(exact) != exact)

    def nearest_moment2_code(v):
        z, x = ref.aligned(v)
        x = min(x + 16, 2**32 - 1)
        return x - x % 32 + z // 2

    def nearest_moment2_value(code):
        return ref.rhu((code // 32) * 2**37, 2 * (code % 32))

    original_rsqrt, original_tanh, original_slope = ref.rsqrt, ref.tanh, ref.tanh_slope
    plants = (
        ("soft_update", floor_soft_update, {"soft_update.txt", "train.txt"}),
        ("requantize", floor_requantize, {"requantize.txt", "dx.txt", "dw.txt", "train.txt"}),
        ("rtz", lambda x, s: x >> s, {"rtz.txt", "adam_element.txt", "train.txt"}),
        ("rsqrt", lambda x: original_rsqrt(x) | 1, {"rsqrt.txt", "adam_element.txt", "train.txt"}),
        ("moment2_code", nearest_moment2_code, {"moment2_code.txt", "adam_element.txt", "train.txt"}),
        # Of a code that code() gives, nothing is dropped.
        ("moment2_value", nearest_moment2_value, {"moment2_value.txt", "adam_element.txt"}),
        ("least_moment2", lambda p2: 2**12, {"adam_scalars.txt", "train.txt"}),
        ("tanh", lambda x: original_tanh(x) if x >= -1000 else original_tanh(x + 1), {"tanh.txt", "train.txt"}),
        ("td_target", lambda r, d, g, q: (ref.sat32(r + (0 if d else (g * q) >> 31)), 0), {"train.txt"}),
        ("tanh_slope", lambda x: original_slope(x) + (x > 1000), {"tanh.txt", "train.txt"}),
        ("actor_last_gradient", lambda da, out: ((da * ref.tanh_slope(out)) >> 30, 0), {"train.txt"}),
    )
    good = True
    for name, replacement, expected in plants:
        found = affected_by(name, replacement)
        if found != expected:
            note(f"{name}: expected {sorted(expected)}, differ {sorted(found)}")
            good = False
    with planted("least_moment2", lambda p2: (2**62 - p2) >> 50):   # 0 where it must be 1
        good &= "adam_scalars.txt" in generate_golden.check(["adam_scalars.txt"])
    return good


@test
def check_command_reports_a_difference():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "rtz.txt"
        text = generate_golden.content("rtz.txt")
        path.write_text(text, encoding="ascii")
        same = generate_golden.check(["rtz.txt"], pathlib.Path(directory))
        path.write_text(text.replace("| 1\n", "| 2\n", 1), encoding="ascii")
        changed = generate_golden.check(["rtz.txt"], pathlib.Path(directory))
        path.unlink()
        missing = generate_golden.check(["rtz.txt"], pathlib.Path(directory))
    return not same and "line" in changed["rtz.txt"] and missing == {"rtz.txt": "missing"}


def main():
    print("TAP version 13")
    print(f"1..{len(TESTS)}", flush=True)
    failed = 0
    for number, function in enumerate(TESTS, 1):
        try:
            good = function()
        except Exception as error:  # a test that breaks is a test that failed; the others still run
            note(f"{type(error).__name__}: {error}")
            good = False
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} {function.__name__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
