# SPDX-License-Identifier: MIT
"""The operations of ARITHMETIC.md in Python's unlimited integers, written from that document alone.

"Fraction f": the integer v stands for v / 2^f. Functions that limit a value also return how often they did (section 12).
"""

import math
import operator
import struct
from fractions import Fraction

# --- Section 1: notation ---------------------------------------------------------------------------------------------

INT32_MIN, INT32_MAX = -2**31, 2**31 - 1


def wrap64(x):
    """Section 1: x modulo 2^64 as two's complement."""
    return (x + 2**63) % 2**64 - 2**63


def rhu(x, s):
    """Section 1: round half up of an unlimited integer; midpoints go toward plus infinity."""
    if s == 0:
        return x
    return (x + 2**(s - 1)) >> s


def rhu64(x, s):
    """Section 1: rhu of a 64-bit sum; the addition of the half wraps."""
    if s == 0:
        return x
    return wrap64(x + 2**(s - 1)) >> s


def rtz(x, s):
    """Section 1: round toward zero."""
    magnitude = abs(x) >> s
    return -magnitude if x < 0 else magnitude


def clamp(x, low, high):
    """Section 1: x limited to [low, high]."""
    if x < low:
        return low
    if x > high:
        return high
    return x


def sat32(x):
    """Section 1: x limited to the int32 range."""
    return clamp(x, INT32_MIN, INT32_MAX)


def counted_sat32(x):
    """sat32 and, for section 12, 1 if the limit changed the value."""
    limited = sat32(x)
    return limited, int(limited != x)


def isqrt(x):
    """Section 1: the largest r with r * r <= x."""
    return math.isqrt(x)


def bits(x):
    """Section 1: the smallest n with x < 2^n; section 2 defines bits(0) = 0."""
    return x.bit_length()


def requantize(total, from_fraction, to_fraction):
    """Section 1: a 64-bit sum with one fraction to an int32 with another, and 1 if it was limited."""
    top = max(from_fraction, to_fraction)
    aligned = wrap64(total * 2**(top - from_fraction))
    return counted_sat32(rhu64(aligned, top - to_fraction))


# --- Section 2: formats and operands ---------------------------------------------------------------------------------

ACTIVATION, GRADIENT, WEIGHT, WEIGHT_GRADIENT, MOMENT2 = 20, 24, 26, 28, 58
ONE = 2**ACTIVATION
LOWEST_FRACTION = -16   # of any quantizer (section 2, "Operands" and its end)
FOLLOWS = 127           # the fraction of a quantizer whose fraction follows a largest absolute value
MASTER_WIDTH = 32


def moment2_value(code):
    """Section 2, "Second moments": value(code), fraction 58, of any 32-bit number."""
    return (code // 32) * 2**37 // 4**(code % 32)


def moment2_code(v):
    """Section 2, "Second moments": code(v) of v > 0."""
    z, x = aligned(v)
    return x - x % 32 + z // 2


def aligned(v):
    """Section 7: z and x of v > 0."""
    z = (64 - bits(v)) // 2 * 2
    return z, v << z >> 32


class Quantizer:
    """Section 2, "Operands": width, fraction, signed or unsigned. Width 32 stands for the master values."""

    def __init__(self, width=MASTER_WIDTH, fraction=0, signed=True):
        self.width, self.fraction, self.signed = width, fraction, signed

    def limits(self):
        if self.signed:
            return -2**(self.width - 1), 2**(self.width - 1) - 1
        return 0, 2**self.width - 1


def quantize(value, master_fraction, quantizer):
    """Section 2: the operand code of a master value, and 1 if it was clamped."""
    if quantizer.width == MASTER_WIDTH:
        return value, 0
    rounded = rhu(value, master_fraction - quantizer.fraction)
    code = clamp(rounded, *quantizer.limits())
    return code, int(code != rounded)


def quantize_rows(rows, master_fraction, quantizer):
    """Section 2: the operand codes of a matrix, their fraction, and the number of clamped ones."""
    if quantizer.width == MASTER_WIDTH:
        return rows, master_fraction, 0
    codes, clamped = [], 0
    for row in rows:
        code_row = []
        for value in row:
            code, count = quantize(value, master_fraction, quantizer)
            code_row.append(code)
            clamped += count
        codes.append(code_row)
    return codes, quantizer.fraction, clamped


def following(quantizer, magnitude, master_fraction, headroom):
    """Section 2, "Fractions that follow": the quantizer itself, or for fraction 127 one with the fraction for A = magnitude."""
    if quantizer.fraction != FOLLOWS:
        return quantizer
    n = quantizer.width
    grown = magnitude + (magnitude >> (n - 1))
    fraction = min(master_fraction, n - 1 - (bits(grown) - master_fraction) - headroom)
    return Quantizer(n, fraction, quantizer.signed)


def largest(rows):
    """Sections 2 and 9: the largest absolute value of a matrix."""
    return max((abs(value) for row in rows for value in row), default=0)


def next_maximum(maximum, seen):
    """Section 9, "Gradient maxima": G' = max(m, G - floor(G / 64))."""
    return max(seen, maximum - maximum // 64)


def range_fraction(minimum, maximum, master_fraction, width, headroom, signed):
    """Section 2, end: the fraction for an observed range of master values."""
    nothing_observed = minimum > maximum
    magnitude = max(abs(minimum), abs(maximum))
    if nothing_observed or magnitude == 0:
        return master_fraction
    exponent = bits(magnitude - 1) - master_fraction      # the smallest e with magnitude <= 2^(e + F)
    available = width - 1 if signed else width
    return max(LOWEST_FRACTION, min(master_fraction, available - exponent - headroom))


# --- Section 3: a layer forward --------------------------------------------------------------------------------------

def dot(a, b):
    """Sections 2 and 3: an exact sum of products modulo 2^64."""
    if len(a) != len(b):
        raise ValueError("a sum of products of different lengths")
    return wrap64(sum(map(operator.mul, a, b)))


def forward(x_codes, x_fraction, w_codes, w_fraction, bias):
    """Section 3: the layer's output before its activation function for each sample, and the number of saturations."""
    product = x_fraction + w_fraction
    top = max(product, WEIGHT)
    out, saturated = [], 0
    for x in x_codes:
        row = []
        for weights, b in zip(w_codes, bias, strict=True):
            total = wrap64(dot(x, weights) * 2**(top - product) + b * 2**(top - WEIGHT))
            value, count = counted_sat32(rhu64(total, top - ACTIVATION))
            row.append(value)
            saturated += count
        out.append(row)
    return out, saturated


def relu(x):
    """Section 3: the activation function of hidden layers."""
    return max(x, 0)


# --- Section 4: tanh and its derivative ------------------------------------------------------------------------------

TANH_C = (4294967296, 2977044472, 1031764991, 238388332, 41309550, 5726720, 661577, 65510, 5676, 437)
LOG2_E = 1549082005     # fraction 30


def exp_of_minus_twice(x):
    """Section 4: e = exp(-2 abs(x)), fraction 32, of x with fraction 20."""
    t = 2 * abs(x) * LOG2_E
    k = t >> 50
    if k >= 32:
        return 0
    f = (t >> 18) % 2**32
    p = TANH_C[9]
    for n in range(8, -1, -1):
        p = TANH_C[n] - (p * f >> 32)
    return p >> k


def tanh(x):
    """Section 4: tanh with fraction 20 in and out."""
    e = exp_of_minus_twice(x)
    denominator = 2**32 + e
    m = ((2**32 - e) * 2**21 + denominator) // (2 * denominator)
    return m if x >= 0 else -m


def tanh_slope(x):
    """Section 4: the derivative of tanh, fraction 30, of x with fraction 20."""
    e = exp_of_minus_twice(x)
    denominator = 2**32 + e
    h = (e * 2**32 + denominator) // (2 * denominator)
    return h * (2**31 - h) >> 30


# --- Section 5: backward ---------------------------------------------------------------------------------------------

def batch_shift(batch):
    """Section 5: lb, so that 2^lb is the batch rounded up to a power of two."""
    return bits(batch - 1) if batch > 1 else 0


def requantize_rows(totals, from_fraction, to_fraction):
    """Section 1's requantize of a matrix of sums, and the number of limited values."""
    results, limited = [], 0
    for row in totals:
        result_row = []
        for total in row:
            value, count = requantize(total, from_fraction, to_fraction)
            result_row.append(value)
            limited += count
        results.append(result_row)
    return results, limited


def backward_input(dy_codes, dy_fraction, w_codes, w_fraction, first=0):
    """Section 5: dX for the inputs from `first` on, and the number of saturations."""
    columns = list(zip(*w_codes))[first:]
    totals = [[dot(dy, column) for column in columns] for dy in dy_codes]
    return requantize_rows(totals, dy_fraction + w_fraction, GRADIENT)


def backward_weights(dy_codes, dy_fraction, x_codes, x_fraction):
    """Section 5: dW as rows [N][K], and the number of saturations."""
    x_columns = list(zip(*x_codes))
    totals = [[dot(dy_column, x_column) for x_column in x_columns] for dy_column in zip(*dy_codes)]
    return requantize_rows(totals, dy_fraction + x_fraction + batch_shift(len(dy_codes)), WEIGHT_GRADIENT)


def backward_bias(dy_codes, dy_fraction):
    """Section 5: db [N], and the number of saturations."""
    totals = [[wrap64(sum(column)) for column in zip(*dy_codes)]]
    rows, limited = requantize_rows(totals, dy_fraction + batch_shift(len(dy_codes)), WEIGHT_GRADIENT)
    return rows[0], limited


def relu_mask(dx, x_codes):
    """Section 5: dY of the layer below is dX where the stored code is greater than 0, and 0 elsewhere."""
    return [[gradient if code > 0 else 0 for gradient, code in zip(dx_row, code_row, strict=True)]
            for dx_row, code_row in zip(dx, x_codes, strict=True)]


# --- Section 6: the scalars of a DDPG step ---------------------------------------------------------------------------

def td_target(reward, terminal, discount, q_next):
    """Section 6, 2: the target y, and 1 if it was limited."""
    if terminal:
        return reward, 0
    return counted_sat32(reward + rhu(discount * q_next, 31))


def td_error(q, target):
    """Section 6, 3: delta, and 1 if it was limited."""
    return counted_sat32(q - target)


def critic_last_gradient(delta, critic_scale):
    """Section 6, 3: the critic's last dY, and 1 if it was limited."""
    return counted_sat32(delta * 2**(4 + critic_scale))


def loss_term(delta):
    """Section 6, 3: one sample's term of the loss statistic, fraction 22."""
    return delta * delta >> 18


def policy_critic_gradient(actor_scale):
    """Section 6, 5: the critic's last dY of the pass to the action."""
    return -2**(24 + actor_scale)


def actor_last_gradient(d_action, out):
    """Section 6, 6: the actor's last dY, and 1 if it was limited."""
    return counted_sat32(rhu(d_action * tanh_slope(out), 30))


# --- Section 7: Adam -------------------------------------------------------------------------------------------------

class AdamScalars:
    """Section 7: the once-per-step numbers of one network."""

    def __init__(self, beta1, one_minus_beta2, rate, rate_exponent):
        self.beta1, self.one_minus_beta2 = beta1, one_minus_beta2
        self.rate, self.rate_exponent = rate, rate_exponent
        self.p1 = self.p2 = 2**62
        self.a = self.k = self.v0 = 0

    def step(self):
        self.p1 = self.p1 * self.beta1 >> 31
        self.p2 = self.p2 * (2**32 - self.one_minus_beta2) >> 32
        self.a, self.k = step_size(self.p1, self.p2, self.rate, self.rate_exponent)
        self.v0 = least_moment2(self.p2)


def step_size(p1, p2, rate, rate_exponent):
    """Section 7: A and k from P1 and P2 after their update."""
    n = isqrt(2**62 - p2)
    d = (2**62 - p1) >> 31
    c = n * 2**31 // d
    m = rate * c
    excess = bits(m) - 31
    return m >> excess, rate_exponent + 33 - excess


def least_moment2(p2):
    """Section 7: V0 from P2 after its update."""
    return max(1, (2**62 - p2) >> 50)


def rsqrt(x):
    """Section 7: 1 / sqrt(x / 2^32) with fraction 30, for 2^30 <= x < 2^32."""
    y = 1672337461 - (654567240 * x >> 32)
    y = 1586696317 - (y * x >> 32)
    y = 835471589 - (y * x >> 32)
    y *= 4
    for _ in range(2):
        t = y * y >> 31
        h = 3 * 2**29 - (x * t >> 32)
        y = y * h >> 30
    return y


def adam_element(g, m, c, w, beta1, c2, a, k, v0):
    """Section 7: new m, c (the second moment's code) and w of an element, and how often the ratio and w were limited."""
    new_m = rtz(m * beta1 + g * (2**31 - beta1), 31)
    u = moment2_value(c)
    v = max(v0, u - (u * c2 >> 32) + (g * g * c2 >> 30))
    z, x = aligned(v)
    y = rsqrt(x)
    q, ratio_limited = counted_sat32(rhu(new_m * y, 33 - z // 2))
    new_w, weight_limited = counted_sat32(w - rhu(q * a, k))
    return new_m, moment2_code(v), new_w, ratio_limited, weight_limited


# --- Section 8: soft update ------------------------------------------------------------------------------------------

def soft_update(w, t, tau):
    """Section 8: the target's element t after a step towards the network's element w."""
    return t + rhu(w * tau - t * tau, 31)


# --- Section 9: ranges -----------------------------------------------------------------------------------------------

class Range:
    """Section 9: minimum and maximum of observed master values."""

    def __init__(self):
        self.minimum, self.maximum = INT32_MAX, INT32_MIN

    def observe(self, rows):
        for row in rows:
            for value in row:
                self.minimum = min(self.minimum, value)
                self.maximum = max(self.maximum, value)


# --- Section 10: random numbers --------------------------------------------------------------------------------------

INITIAL_WEIGHTS, RESET, WARM_UP, NOISE, REPLAY, EVALUATION, TESTS = 1, 2, 3, 4, 5, 6, 7
WORD = 2**32


def philox(counter, key):
    """Section 10: Philox4x32-10 of four counter words under two key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 % WORD, (p0 >> 32) ^ c3 ^ k1, p0 % WORD
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return c0, c1, c2, c3


def stream_block(seed, purpose, index, block):
    """Section 10: block `block` of the stream (seed, purpose, index)."""
    return philox((index % WORD, index // WORD, purpose, block), (seed % WORD, seed // WORD))


def stream_words(seed, purpose, index, count):
    """Section 10: the first `count` words of a stream."""
    words = []
    for block in range((count + 3) // 4):
        words += stream_block(seed, purpose, index, block)
    return words[:count]


def stream_word(seed, purpose, index, word):
    """Section 10: one word of a stream."""
    return stream_block(seed, purpose, index, word // 4)[word % 4]


def int32(word):
    """Section 11: a word as two's complement."""
    return word - WORD if word >= 2**31 else word


def draw_below(word, n):
    """Section 10: a draw below n."""
    return word * n >> 32


def warm_up_component(word):
    """Section 10: a component of a warm-up action, fraction 20."""
    return rhu(int32(word), 11)


def normal(words):
    """Section 10: a normal number with fraction 20 from the four words of a block."""
    total = sum(2 * half - 65535 for word in words for half in (word >> 16, word % 2**16))
    return rhu(total * 2568476, 18)


GAUSSIAN, ORNSTEIN_UHLENBECK = 0, 1


def noisy_action(kind, sigma, theta, seed, index, state, action):
    """Section 10, "Exploration noise": the action with noise, and the new noise state."""
    noisy, new_state = [], []
    for j, (o, a) in enumerate(zip(state, action, strict=True)):
        noise = rhu(sigma * normal(stream_block(seed, NOISE, index, j)), 22)
        if kind == ORNSTEIN_UHLENBECK:
            noise = o = sat32(o - rhu(theta * o, 22) + noise)
        new_state.append(o)
        noisy.append(clamp(a + noise, -ONE, ONE))
    return noisy, new_state


# --- Section 11: initial weights -------------------------------------------------------------------------------------

LAST_LAYER_BOUND = 201327


def initial_bound(inputs, last):
    """Section 11: the bound of a layer's initial weights and biases, fraction 26."""
    return LAST_LAYER_BOUND if last else isqrt(2**52 // inputs)


def initial_tensor(seed, network, layer, part, inputs, count, last):
    """Section 11: the `count` initial values of a tensor, row-major."""
    number = 65536 * network + 2 * layer + part
    bound = initial_bound(inputs, last)
    return [rhu(int32(word) * bound, 31) for word in stream_words(seed, INITIAL_WEIGHTS, number, count)]


# --- Section 12: saturation counters ---------------------------------------------------------------------------------

COUNTERS = ("activation", "activation_quantizer", "weight_quantizer", "gradient", "gradient_quantizer", "weight_gradient",
            "moment", "ratio", "weight", "target_value")


# --- Section 13: at the edge (floating point is here only) -----------------------------------------------------------

def to_single(x):
    """Section 13: a double rounded to IEEE single (ties to even); what is not finite then is refused."""
    single = struct.unpack("<f", struct.pack("<f", x))[0]     # struct refuses what overflows
    if not math.isfinite(single):
        raise OverflowError("not finite in single precision")
    return single


def to_fixed(x):
    """Section 13: a single to fraction 20, and 1 if it was limited."""
    return counted_sat32(round_exact(Fraction(x), ACTIVATION))


def environment_action(value, low, high):
    """Section 13: an action component for the environment, in doubles, each operation rounded on its own."""
    middle = (low + high) / 2
    half = (high - low) / 2
    action = middle + half * (value / 2**20)
    return min(max(action, low), high)


def hyperparameter(text):
    """Section 13: the exact value of the double nearest to a decimal."""
    return Fraction(float(text))


def round_exact(value, fraction):
    """Section 13: floor(x * 2^f + 1/2) of an exact value."""
    return math.floor(value * 2**fraction + Fraction(1, 2))


def discount_constant(text):
    """Section 13: fraction 31, at most 2^31 - 1."""
    return min(2**31 - 1, round_exact(hyperparameter(text), 31))


def tau_constant(text):
    """Section 13: fraction 31."""
    return round_exact(hyperparameter(text), 31)


def beta1_constant(text):
    """Section 13: fraction 31."""
    return round_exact(hyperparameter(text), 31)


def one_minus_beta2_constant(beta2_text):
    """Section 13: the exact 1 - beta2 to fraction 32."""
    return round_exact(1 - hyperparameter(beta2_text), 32)


def noise_constant(text):
    """Section 13: sigma or theta, fraction 22."""
    return round_exact(hyperparameter(text), 22)


def learning_rate_constant(text):
    """Section 13: L and e with 2^30 <= L < 2^31."""
    rate = hyperparameter(text)
    if rate <= 0:
        raise ValueError("a learning rate is positive")
    exponent = 0
    while rate * Fraction(2)**exponent >= 2**31:
        exponent -= 1
    while rate * Fraction(2)**exponent < 2**30:
        exponent += 1
    mantissa = round_exact(rate * Fraction(2)**exponent, 0)
    if mantissa == 2**31:
        return 2**30, exponent - 1
    return mantissa, exponent
