# SPDX-License-Identifier: MIT
"""The arithmetic of FIXAR with Python's unlimited integers.

Written from lib/ARITHMETIC.md alone, without the C code, so that the two can be tested against each other. Section numbers
in the comments are those of that document. The aim is to be readable and obviously right, not fast. The agent as a whole
(networks, training step, exploration) is in fixar_agent.py.

An operation that limits values returns how many of them the limit changed, as its last result.
"""

import math
import struct
from fractions import Fraction

INT32_MIN, INT32_MAX = -2**31, 2**31 - 1

# Section 2: the fraction of each class of master values.
ACTIVATION, GRADIENT, WEIGHT, WEIGHT_GRADIENT, ROOT = 20, 24, 26, 28, 29
ONE = 1 << ACTIVATION
LOWEST_FRACTION = -16  # of a quantizer


# --- Section 1: notation ----------------------------------------------------------------------------------------------

def wrap64(x):
    return (x + 2**63) % 2**64 - 2**63


def rhu(x, s):
    """Round half up. Python's >> on a negative integer is a floor."""
    if s == 0:
        return x
    return (x + (1 << (s - 1))) >> s


def rhu64(x, s):
    """rhu of a 64-bit sum: the addition of the half wraps as well."""
    if s == 0:
        return x
    return wrap64(x + (1 << (s - 1))) >> s


def rtz(x, s):
    return x >> s if x >= 0 else -(-x >> s)


def clamp(x, low, high):
    return low if x < low else high if x > high else x


def sat32(x):
    return clamp(x, INT32_MIN, INT32_MAX)


def isqrt(x):
    return math.isqrt(x)


def bits(x):
    return x.bit_length()


def requantize(total, from_fraction, to_fraction):
    """A 64-bit sum with one fraction to a 32-bit value with another; the value and 1 if it was limited."""
    top = max(from_fraction, to_fraction)
    t = wrap64(total << (top - from_fraction))
    rounded = rhu64(t, top - to_fraction)
    value = sat32(rounded)
    return value, int(value != rounded)


# --- Section 2: operands ----------------------------------------------------------------------------------------------

class Quantizer:
    """Width 32 stands for the master values themselves."""

    def __init__(self, width=32, fraction=0, signed=True):
        self.width, self.fraction, self.signed = width, fraction, signed

    def limits(self):
        if self.signed:
            return -2**(self.width - 1), 2**(self.width - 1) - 1
        return 0, 2**self.width - 1


def quantize(value, master_fraction, quantizer):
    """The operand code of one master value, and 1 if it was clamped."""
    if quantizer.width == 32:
        return value, 0
    rounded = rhu(value, master_fraction - quantizer.fraction)
    code = clamp(rounded, *quantizer.limits())
    return code, int(code != rounded)


def quantize_rows(rows, master_fraction, quantizer):
    """The operand codes of a matrix, their fraction and the number of clamped ones."""
    if quantizer.width == 32:
        return rows, master_fraction, 0
    count = 0
    codes = []
    for row in rows:
        code_row = []
        for value in row:
            code, clamped = quantize(value, master_fraction, quantizer)
            code_row.append(code)
            count += clamped
        codes.append(code_row)
    return codes, quantizer.fraction, count


FOLLOWS = 127


def following(quantizer, magnitude, master_fraction, headroom):
    """The quantizer itself, or for fraction 127 one whose fraction follows the largest absolute value."""
    if quantizer.width == 32 or quantizer.fraction != FOLLOWS:
        return quantizer
    n = quantizer.width
    grown = magnitude + (magnitude >> (n - 1))
    exponent = (bits(grown) if grown else 0) - master_fraction
    return Quantizer(n, min(master_fraction, n - 1 - exponent - headroom), quantizer.signed)


def largest(rows):
    return max((abs(value) for row in rows for value in row), default=0)


def next_maximum(maximum, seen):
    """Section 9: a gradient maximum after a training step."""
    return max(seen, maximum - maximum // 64)


def range_fraction(minimum, maximum, master_fraction, width, headroom, signed):
    """The quantizer's fraction for an observed range of master values."""
    if minimum > maximum:  # nothing observed
        return master_fraction
    a = max(abs(minimum), abs(maximum))
    if a == 0:
        return master_fraction
    exponent = bits(a - 1) - master_fraction  # the smallest e with a <= 2^(e + F)
    spare = width - 1 if signed else width
    return max(LOWEST_FRACTION, min(master_fraction, spare - exponent - headroom))


# --- Section 3: a layer forward ---------------------------------------------------------------------------------------

def dot(a, b):
    return wrap64(sum(x * y for x, y in zip(a, b)))


def forward(x_codes, x_fraction, w_codes, w_fraction, bias):
    """The layer's output before its activation function for each sample, and the number of saturations."""
    top = max(x_fraction + w_fraction, WEIGHT)
    count = 0
    out = []
    for x_row in x_codes:
        out_row = []
        for w_row, b in zip(w_codes, bias):
            t = wrap64((dot(x_row, w_row) << (top - x_fraction - w_fraction)) + (b << (top - WEIGHT)))
            rounded = rhu64(t, top - ACTIVATION)
            value = sat32(rounded)
            count += value != rounded
            out_row.append(value)
        out.append(out_row)
    return out, count


def relu(x):
    return max(x, 0)


# --- Section 4: tanh --------------------------------------------------------------------------------------------------

TANH_C = (4294967296, 2977044472, 1031764991, 238388332, 41309550, 5726720, 661577, 65510, 5676, 437)


def exp_of_minus_twice(x):
    """exp(-2 abs(x)), fraction 32."""
    a = abs(x)
    t = 2 * a * 1549082005
    k = t >> 50
    if k >= 32:
        return 0
    f = (t >> 18) % 2**32
    p = TANH_C[9]
    for n in range(8, -1, -1):
        p = TANH_C[n] - ((p * f) >> 32)
    return p >> k


def tanh(x):
    e = exp_of_minus_twice(x)
    m = ((2**32 - e) * 2**21 + (2**32 + e)) // (2 * (2**32 + e))
    return m if x >= 0 else -m


def tanh_slope(x):
    """The derivative of tanh, fraction 30."""
    e = exp_of_minus_twice(x)
    h = (e * 2**32 + (2**32 + e)) // (2 * (2**32 + e))
    return (h * (2**31 - h)) >> 30


# --- Section 5: backward ----------------------------------------------------------------------------------------------

def batch_shift(batch):
    return bits(batch - 1) if batch > 1 else 0


def backward_input(dy_codes, dy_fraction, w_codes, w_fraction, first=0):
    """dX for the inputs from `first` on, and the number of saturations."""
    count = 0
    columns = [list(column) for column in zip(*w_codes)][first:]
    result = []
    for dy_row in dy_codes:
        row = []
        for column in columns:
            value, limited = requantize(dot(dy_row, column), dy_fraction + w_fraction, GRADIENT)
            count += limited
            row.append(value)
        result.append(row)
    return result, count


def backward_weights(dy_codes, dy_fraction, x_codes, x_fraction):
    """dW as rows [N][K], and the number of saturations."""
    shift = batch_shift(len(dy_codes))
    count = 0
    x_columns = list(zip(*x_codes))
    result = []
    for dy_column in zip(*dy_codes):
        row = []
        for x_column in x_columns:
            value, limited = requantize(dot(dy_column, x_column), dy_fraction + x_fraction + shift, WEIGHT_GRADIENT)
            count += limited
            row.append(value)
        result.append(row)
    return result, count


def backward_bias(dy_codes, dy_fraction):
    """db [N], and the number of saturations."""
    shift = batch_shift(len(dy_codes))
    count = 0
    result = []
    for dy_column in zip(*dy_codes):
        value, limited = requantize(wrap64(sum(dy_column)), dy_fraction + shift, WEIGHT_GRADIENT)
        count += limited
        result.append(value)
    return result, count


def relu_mask(dx, x_codes):
    """dY of the layer below: the gradient passes where the stored code is positive."""
    return [[d if x > 0 else 0 for d, x in zip(dx_row, x_row)] for dx_row, x_row in zip(dx, x_codes)]


# --- Section 6: the pieces of a DDPG step -----------------------------------------------------------------------------

def td_target(reward, terminal, discount, q_next):
    if terminal:
        return reward, 0
    exact = reward + rhu(discount * q_next, 31)
    value = sat32(exact)
    return value, int(value != exact)


def td_error(q, target):
    exact = q - target
    value = sat32(exact)
    return value, int(value != exact)


def critic_last_gradient(delta, critic_scale):
    exact = delta << (4 + critic_scale)
    value = sat32(exact)
    return value, int(value != exact)


def loss_term(delta):
    return (delta * delta) >> 18


def actor_last_gradient(d_action, out):
    exact = rhu(d_action * tanh_slope(out), 30)
    value = sat32(exact)
    return value, int(value != exact)


# --- Section 7: Adam --------------------------------------------------------------------------------------------------

class AdamScalars:
    """The once-per-step numbers of one network."""

    def __init__(self, beta1, one_minus_beta2, rate, rate_exponent):
        self.beta1, self.c2, self.rate, self.exponent = beta1, one_minus_beta2, rate, rate_exponent
        self.p1 = self.p2 = 1 << 62
        self.a = self.k = None

    def step(self):
        self.p1 = (self.p1 * self.beta1) >> 31
        self.p2 = (self.p2 * (2**32 - self.c2)) >> 32
        self.a, self.k = step_size(self.p1, self.p2, self.rate, self.exponent)


def step_size(p1, p2, rate, rate_exponent):
    n = isqrt(2**62 - p2)
    d = (2**62 - p1) >> 31
    c = (n << 31) // d
    m = rate * c
    drop = bits(m) - 31
    return m >> drop, rate_exponent + 33 - drop


def rsqrt(x):
    """1 / sqrt(x / 2^32) in fraction 30, for 2^30 <= x < 2^32."""
    y = 1672337461 - ((654567240 * x) >> 32)
    y = 1586696317 - ((y * x) >> 32)
    y = (835471589 - ((y * x) >> 32)) * 4
    for _ in range(2):
        t = (y * y) >> 31
        h = 3 * 2**29 - ((x * t) >> 32)
        y = (y * h) >> 30
    return y


def adam_element(g, m, s, w, beta1, c2, a, k):
    """New m, s, w, and how often s, the ratio and w were limited."""
    m_new = rtz(m * beta1 + g * (2**31 - beta1), 31)
    v = max(2**20, s * s - ((s * s * c2) >> 32) + ((g * g * c2) >> 30))
    z = (64 - bits(v)) // 2 * 2
    x = (v << z) >> 32
    y = rsqrt(x)

    s_exact = rhu(x * y, 30 + z // 2)
    s_new = min(2**32 - 1, s_exact)
    q_exact = rhu(m_new * y, 33 - z // 2)
    q = sat32(q_exact)
    w_exact = w - rhu(q * a, k)
    w_new = sat32(w_exact)
    return m_new, s_new, w_new, int(s_new != s_exact), int(q != q_exact), int(w_new != w_exact)


# --- Section 8: soft update -------------------------------------------------------------------------------------------

def soft_update(w, t, tau):
    return t + rhu(w * tau - t * tau, 31)


# --- Section 9: ranges ------------------------------------------------------------------------------------------------

class Range:
    def __init__(self):
        self.minimum, self.maximum = INT32_MAX, INT32_MIN

    def observe(self, rows):
        for row in rows:
            self.minimum = min(self.minimum, min(row))
            self.maximum = max(self.maximum, max(row))


# --- Section 10: random numbers ---------------------------------------------------------------------------------------

INITIAL_WEIGHTS, RESET, WARM_UP, NOISE, REPLAY, EVALUATION, TESTS = 1, 2, 3, 4, 5, 6, 7


def philox(counter, key):
    """Philox4x32-10 of four counter words under two key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = c0 * 0xD2511F53
        p1 = c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 % 2**32, (p0 >> 32) ^ c3 ^ k1, p0 % 2**32
        k0 = (k0 + 0x9E3779B9) % 2**32
        k1 = (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def stream_block(seed, purpose, index, block):
    return philox((index % 2**32, index >> 32, purpose, block), (seed % 2**32, seed >> 32))


def stream_words(seed, purpose, index, count):
    """The first `count` words of a stream."""
    words = []
    for block in range((count + 3) // 4):
        words.extend(stream_block(seed, purpose, index, block))
    return words[:count]


def stream_word(seed, purpose, index, word):
    return stream_block(seed, purpose, index, word // 4)[word % 4]


def int32(word):
    return word - 2**32 if word >= 2**31 else word


def draw_below(word, n):
    return (word * n) >> 32


def warm_up_component(word):
    return rhu(int32(word), 11)


def normal(words):
    total = sum((2 * (word & 0xFFFF) - 65535) + (2 * (word >> 16) - 65535) for word in words)
    return rhu(total * 2568476, 18)


GAUSSIAN, ORNSTEIN_UHLENBECK = 0, 1


def noisy_action(kind, sigma, theta, seed, index, state, action):
    """The action with noise, and the new noise state."""
    result, new_state = [], []
    for j, (o, a) in enumerate(zip(state, action)):
        z = normal(stream_block(seed, NOISE, index, j))
        if kind == GAUSSIAN:
            noise = rhu(sigma * z, 22)
        else:
            o = sat32(o - rhu(theta * o, 22) + rhu(sigma * z, 22))
            noise = o
        new_state.append(o)
        result.append(clamp(a + noise, -ONE, ONE))
    return result, new_state


# --- Section 11: initial weights --------------------------------------------------------------------------------------

LAST_LAYER_BOUND = 201327


def initial_bound(inputs, last):
    return LAST_LAYER_BOUND if last else isqrt(2**52 // inputs)


def initial_tensor(seed, network, layer, part, inputs, count, last):
    bound = initial_bound(inputs, last)
    words = stream_words(seed, INITIAL_WEIGHTS, 65536 * network + 2 * layer + part, count)
    return [rhu(int32(word) * bound, 31) for word in words]


# --- Section 12: saturation counters ----------------------------------------------------------------------------------

COUNTERS = ("activation", "activation_quantizer", "weight_quantizer", "gradient", "gradient_quantizer",
            "weight_gradient", "moment", "ratio", "weight", "target_value")


# --- Section 13: at the edge ------------------------------------------------------------------------------------------

def to_single(x):
    """The nearest IEEE single (ties to even) of a double, as a double. A result beyond the largest single is refused."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def to_fixed(x):
    """A single to fraction 20, and 1 if it was limited."""
    exact = math.floor(Fraction(x) * 2**20 + Fraction(1, 2))
    value = sat32(exact)
    return value, int(value != exact)


def environment_action(value, low, high):
    """In double precision with the operations in the document's order, each rounded on its own (no fused multiply)."""
    middle = (low + high) / 2
    half = (high - low) / 2
    return min(max(middle + half * (value / 2**20), low), high)


def hyperparameter(text):
    """The exact value of the IEEE double nearest to a decimal: what the program computes with."""
    return Fraction(float(text))


def round_exact(value, fraction):
    """An exact value to a fraction: one rounding, midpoints up."""
    return math.floor(value * 2**fraction + Fraction(1, 2))


def discount_constant(text):
    return min(round_exact(hyperparameter(text), 31), INT32_MAX)


def tau_constant(text):
    return round_exact(hyperparameter(text), 31)


def beta1_constant(text):
    return round_exact(hyperparameter(text), 31)


def one_minus_beta2_constant(beta2_text):
    return round_exact(1 - hyperparameter(beta2_text), 32)


def noise_constant(text):
    return round_exact(hyperparameter(text), 22)


def learning_rate_constant(text):
    """L and e with 2^30 <= L < 2^31: the rate rounded to 31 significant bits."""
    rate = hyperparameter(text)
    exponent = 31
    while rate * 2**exponent < 2**30:
        exponent += 1
    mantissa = round_exact(rate, exponent)
    if mantissa == 2**31:
        mantissa, exponent = 2**30, exponent - 1
    if not 31 <= exponent <= 50:
        raise ValueError("learning rate outside of 2^-20 to 1")
    return mantissa, exponent
