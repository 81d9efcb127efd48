# SPDX-License-Identifier: MIT
"""Golden vectors of the single operations. Each function returns the lines of one file."""

import math
import struct

import fixar_reference as ref

INT32_CORNERS = (-2**31, -2**31 + 1, -2**30, -2**20, -2, -1, 0, 1, 2, 2**20, 2**30, 2**31 - 2, 2**31 - 1)


class Draws:
    """SplitMix64, so that the inputs depend neither on Python's version nor on the reference under test."""

    def __init__(self, seed):
        self.state = seed

    def word(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def between(self, low, high):
        return low + (self.word() << 64 | self.word()) % (high - low + 1)

    def choice(self, sequence):
        return sequence[self.word() % len(sequence)]

    def signed(self, max_bits):
        """Every magnitude is equally likely, not only the large ones; up to max_bits bits and a sign."""
        magnitude = self.between(0, 2**self.between(0, max_bits) - 1)
        return -magnitude - 1 if self.word() & 1 else magnitude

    def unsigned(self, max_bits):
        return self.between(0, 2**self.between(0, max_bits) - 1)


def text_row(inputs, outputs):
    return " ".join(map(str, inputs)) + " | " + " ".join(map(str, outputs))


def requantize_lines():
    d = Draws(1)
    lines = ["# requantize: a 64-bit sum with fraction `from` to a 32-bit value with fraction `to` (section 1)",
             "# columns: S from to | result count          count is 1 where the value was limited, else 0"]

    def row(s, f, t):
        lines.append(text_row((s, f, t), ref.requantize(s, f, t)))

    for to in (20, 24, 28):
        for shift in (0, 1, 2, 7, 21, 28, 30, 33):  # from above to: a right shift
            f = to + shift
            half = (1 << shift) // 2
            for base in (0, 1, -1, 5, -6, 2**31 - 1, -2**31, 2**31, -2**31 - 1):
                for offset in sorted({-half - 1, -half, -half + 1, 0, half - 1, half, half + 1}):
                    s = (base << shift) + offset
                    if -2**63 <= s < 2**63:
                        row(s, f, to)
            for s in (2**63 - 1, -2**63, 2**63 - half, 2**63 - half - 1, 2**63 - 1 - half // 2, -2**63 + half):
                if -2**63 <= s < 2**63:
                    row(s, f, to)
        for shift in (1, 5, 16, 31, 32, 45):  # from below to: a left shift, which wraps
            f = to - shift
            for s in (0, 1, -1, 3, -3, 2**31, 2**(63 - shift) - 1, 2**(63 - shift), 2**(63 - shift) + 1,
                      -2**(63 - shift), -2**(63 - shift) - 1, 2**(64 - shift), 2**(64 - shift) + 1, 2**63 - 1, -2**63):
                if -2**63 <= s < 2**63:
                    row(s, f, to)
        for _ in range(250):
            row(d.signed(63), d.between(-16, 62), to)
    return lines


def rhu_lines():
    d = Draws(2)
    lines = ["# rhu: round half up of a 64-bit sum, the addition of the half modulo 2^64 (section 1)", "# columns: x s | result"]

    def row(x, s):
        lines.append(text_row((x, s), (ref.rhu64(x, s),)))

    for s in list(range(0, 8)) + [16, 22, 30, 31, 32, 33, 47, 60, 61, 62]:
        half = (1 << s) // 2
        for base in (0, 1, -1, 2, -2, 3, -3):
            for offset in sorted({-half - 1, -half, -half + 1, 0, half - 1, half, half + 1}):
                x = (base << s) + offset
                if -2**63 <= x < 2**63:
                    row(x, s)
        for x in (2**63 - 1, 2**63 - half - 1, 2**63 - half, -2**63, -2**63 + half):
            if -2**63 <= x < 2**63:
                row(x, s)
    for _ in range(500):
        row(d.signed(63), d.between(0, 62))
    return lines


def rtz_lines():
    d = Draws(3)
    lines = ["# rtz: round toward zero (section 1); abs(x) <= 2^62, which is all that Adam needs", "# columns: x s | result"]

    def row(x, s):
        lines.append(text_row((x, s), (ref.rtz(x, s),)))

    for s in (0, 1, 2, 3, 16, 30, 31, 32, 47, 61, 62):
        for base in (0, 1, 2, 7):
            for offset in (-1, 0, 1, (1 << s) // 2, (1 << s) - 1):
                x = (base << s) + offset
                if abs(x) <= 2**62:
                    row(x, s)
                    row(-x, s)
        row(2**62, s)
        row(-2**62, s)
    for _ in range(400):
        row(d.signed(62), d.between(0, 62))
    return lines


def tanh_lines():
    d = Draws(4)
    lines = ["# tanh: section 4, input and output with fraction 20; its derivative with fraction 30", "# columns: x | y slope"]
    xs = list(INT32_CORNERS)
    # Where k changes: 2 a log2(e) crosses a whole number; 32 is the end of the range that is computed.
    for k in range(1, 35):
        a = (k << 50) // (2 * 1549082005)
        xs += [a, a + 1, -a, -a - 1]
    xs += [ref.ONE * n // 8 for n in range(-72, 73)]
    xs += [d.signed(31) for _ in range(900)]
    xs += [d.between(-10 * ref.ONE, 10 * ref.ONE) for _ in range(1200)]
    for x in xs:
        lines.append(text_row((x,), (ref.tanh(x), ref.tanh_slope(x))))
    return lines


def rsqrt_lines():
    d = Draws(5)
    lines = ["# rsqrt: section 7, 2^30 <= x < 2^32 stands for x / 2^32, y with fraction 30", "# columns: x | y"]
    xs = [2**30 + n for n in range(8)] + [2**32 - 1 - n for n in range(8)] + [2**31 + n for n in range(-4, 5)]
    xs += [n * n for n in range(2**15, 2**16, 997)]
    xs += [d.between(2**30, 2**32 - 1) for _ in range(2000)]
    for x in xs:
        lines.append(text_row((x,), (ref.rsqrt(x),)))
    return lines


ADAM_SETTINGS = (
    # beta1, 1 - beta2, L, e, steps
    (ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-3"), 250),
    (ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999"), *ref.learning_rate_constant("1e-4"), 60),
    (ref.beta1_constant("0.5"), ref.one_minus_beta2_constant("0.9"), *ref.learning_rate_constant("3e-4"), 90),
    (0, 2**12, 2**30, 31, 20),
    (2**31 - 2**11, 2**31 - 1, 2**31 - 1, 31, 70),
    (2**31 - 2**11, 2**12, 2**30, 50, 40),
    (0, 2**31 - 1, 2**31 - 1, 50, 70),
    (1, 2**12 + 1, 2**30 + 1, 40, 10),
    (2**30, 2**31 - 1, 1500000001, 43, 70),
    (ref.beta1_constant("0.99"), ref.one_minus_beta2_constant("0.9999"), 2**31 - 1, 37, 40),
)


def adam_scalars_lines():
    lines = ["# adam_scalars: the once-per-step numbers (section 7)",
             "# columns: B1 C2 L e t | P1 P2 A k V0          t counts 1, 2, 3...; t = 1 starts anew from P1 = P2 = 2^62"]
    for beta1, c2, rate, exponent, steps in ADAM_SETTINGS:
        scalars = ref.AdamScalars(beta1, c2, rate, exponent)
        for t in range(1, steps + 1):
            scalars.step()
            lines.append(text_row((beta1, c2, rate, exponent, t), (scalars.p1, scalars.p2, scalars.a, scalars.k, scalars.v0)))
    return lines


def moment2_value_lines():
    d = Draws(21)
    lines = ["# moment2_value: the second moment, fraction 58, that a code stands for (section 2); both unsigned, 32 and 64 bits",
             "# columns: code | value"]
    codes = []
    for h in range(32):
        for m in (0, 1, 2, 3, 4**9 - 1, 2**25 - 1, 2**25, 2**25 + 1, 2**26, 2**27 - 1, d.unsigned(25), d.between(2**25, 2**27 - 1)):
            codes.append(m << 5 | h)
    for h in range(19, 32):  # where a whole number is reached, and half of one
        unit = 4**h >> 37
        for m in (unit // 2 - 1, unit // 2, unit // 2 + 1, unit - 1, unit, unit + 1, 3 * unit - 1, 3 * unit):
            if 0 <= m < 2**27:
                codes.append(m << 5 | h)
    codes += [d.between(0, 2**32 - 1) for _ in range(300)] + [d.unsigned(32) for _ in range(100)]
    for code in codes:
        lines.append(text_row((code,), (ref.moment2_value(code),)))
    return lines


def moment2_code_lines():
    d = Draws(22)
    lines = ["# moment2_code: the code of a second moment v > 0 with fraction 58 (section 2); both unsigned, 64 and 32 bits",
             "# columns: v | code"]
    values = []
    for n in range(65):  # powers of two, every other one a power of four
        values += [2**n + offset for offset in (-2, -1, 0, 1, 2)]
        # Ones down to some bit around the code's and x's last, and what lies below it: nothing, half, all.
        for width in (26, 27, 28, 31, 32, 33):
            if n > width:
                unit = 2**(n - width)
                values += [2**n - unit, 2**n - unit - 1, 2**n - unit // 2, 2**(n - 1) + unit, 2**(n - 1) + unit - 1,
                           2**(n - 1) + unit // 2]
    values += [2**64 - 2**37, 2**64 - 2**37 - 1, 2**64 - 2**37 + 1, 2**64 - 2**36, 2**12, 2**12 - 1, 2**12 + 1]
    for _ in range(100):  # five dropped bits of each kind
        z = d.between(0, 16) * 2
        x = d.between(2**25, 2**27 - 1) << 5 | d.choice((0, 1, 15, 16, 17, 31))
        values.append(((x << 32) + d.choice((0, 2**32 - 1))) >> z)
    values += [d.between(1, 2**64 - 1) for _ in range(100)] + [d.unsigned(64) for _ in range(300)]
    for v in values:
        if 0 < v < 2**64:
            lines.append(text_row((v,), (ref.moment2_code(v),)))
    return lines


V0 = 2**12                      # after many steps; the largest
LARGEST_CODE = 2**32 - 32       # the largest second moment's
SMALL_CODES = (0, 31, 32, 1 << 5 | 18, 1 << 5 | 19, 3 << 5 | 18, (2**25 - 1) << 5 | 31, 2**30 | 31, 2**32 - 1)


def code_of(v):
    return ref.moment2_code(v) if v else 0


def adam_element_lines():
    d = Draws(6)
    lines = ["# adam_element: one element's update (section 7); g, m fraction 28, c the code of the second moment, w fraction 26",
             "# columns: g m c w B1 C2 A k V0 | m' c' w' nratio nweight          the counts are 0 or 1"]

    def row(*inputs, v0=V0):
        lines.append(text_row((*inputs, v0), ref.adam_element(*inputs, v0)))

    b1, c2 = ref.beta1_constant("0.9"), ref.one_minus_beta2_constant("0.999")
    a, k = ref.step_size((2**62 * b1) >> 31, (2**62 * (2**32 - c2)) >> 32, *ref.learning_rate_constant("1e-3"))
    gradients = (-2**31, -2**31 + 1, -3, -1, 0, 1, 3, 2**31 - 1)
    for g in gradients:
        for m in (-2**31, -1, 0, 1, 2**31 - 1):
            for c in (0, code_of(999**2), LARGEST_CODE, 2**32 - 1):
                for w in (-2**31, 0, 2**31 - 1):
                    row(g, m, c, w, b1, c2, a, k)
    # Extreme constants: the largest share of the gradient, the smallest, the largest step and the smallest.
    for g in gradients:
        for c in (0, code_of(2**32), LARGEST_CODE):
            for beta1, second, size, shift in ((0, 2**31 - 1, 2**31 - 1, 11), (2**31 - 2**11, 2**12, 2**30, 60),
                                               (2**30, 2**12, 2**31 - 1, 30), (0, 2**12, 2**30, 32)):
                row(g, d.signed(31), c, d.signed(31), beta1, second, size, shift)
    # m rounds toward zero, on both sides of nothing.
    for m in range(-12, 13):
        row(0, m, code_of(2**40), 1000, b1, c2, a, k)
        row(-m, 3 * m, code_of(5000**2), -1000, b1, c2, a, k)
    # The end of the decay of v: where floor(u * C2 / 2^32) is one more.
    for n in (0, 1, 2, 3, 4, 5, 10, 999, 54321):
        for u in (n * 2**32 // c2 + offset for offset in (-1, 0, 1, 2)):
            if u >= 0:
                row(0, 5, code_of(u), 7, b1, c2, a, k, v0=1)
                row(0, 5, code_of(u), 7, b1, c2, a, k)
    # The least gradients that count: where floor(g * g * C2 / 2^30) is one more; alone and with what is there.
    steps = [ref.isqrt(n * 2**30 // c2) for n in (20, 100, 4096, 5000, 10**6)]
    for g in sorted({*range(-48, 49), *(step + offset for step in steps for offset in (-1, 0, 1, 2))}):
        row(g, g // 2, 0, 7, b1, c2, a, k, v0=1)
        row(g, -g // 3, code_of(1500), 7, b1, c2, a, k, v0=1)
    for g in range(500, 516):
        row(g, 0, 0, 7, b1, 2**12, a, k, v0=1)
    # v around its least value: a C2 so small that nothing decays, and the usual one.
    for v0 in (1, 2, 3, 4, 5, 15, 16, 17, 1023, 1024, 1025, 4094, 4095, 4096):
        for u in sorted({0, *(max(v0 + offset, 0) for offset in (-2, -1, 0, 1, 2, 3, 4, 5, 6))}):
            row(0, 9, code_of(u), 7, b1, 2**12, a, k, v0=v0)
            row(0, -9, code_of(u), 7, b1, c2, a, k, v0=v0)
            row(16, 9, code_of(u), 7, b1, c2, a, k, v0=v0)
    for _ in range(400):
        v0 = d.between(1, 2**d.between(0, 12))
        row(d.signed(12), d.signed(11), code_of(d.between(0, 4 * v0)), d.signed(28), b1, c2, d.between(2**30, 2**31 - 1),
            d.between(38, 44), v0=v0)
    # Codes that code() never gives.
    for c in SMALL_CODES:
        for g in (0, 1, -70):
            for v0 in (1, 2, V0):
                row(g, 3 * g + 5, c, 7, b1, c2, a, k, v0=v0)
    for h in range(32):
        for _ in range(6):
            row(d.signed(14), d.signed(14), d.unsigned(25) << 5 | h, d.signed(28), b1, c2, d.between(2**30, 2**31 - 1),
                d.between(38, 44), v0=d.choice((1, 1, d.between(1, V0))))
    for _ in range(700):
        row(d.signed(31), d.signed(31), d.between(0, 2**32 - 1), d.signed(31), d.between(0, 2**31 - 2**11),
            d.between(2**12, 2**31 - 1), d.between(2**30, 2**31 - 1), d.between(11, 60), v0=d.between(1, V0))
    for _ in range(500):  # as in training: m below the root of v (fraction 29), default constants
        root = d.between(1, 2**d.between(1, 31))
        row(d.signed(24), d.between(-(root // 2), root // 2), code_of(root * root + d.between(0, root)), d.signed(28), b1, c2,
            d.between(2**30, 2**31 - 1), d.between(38, 44))
    # The largest v: above 2^63, and just below 2^64.
    for c in (LARGEST_CODE, LARGEST_CODE - 32, (2**26 - 1) << 5, 2**31, (2**26 + 1) << 5, (2**26 + 2**16) << 5, (2**26 + 2**17) << 5):
        for g in (0, -2**31, 2**31 - 1, 2**30):
            for second in (2**12, c2, 2**31 - 1):
                row(g, d.signed(31), c, 7, b1, second, a, k, v0=1)
    for inputs in adam_boundaries(b1, c2, a, k):
        row(*inputs)
    d = Draws(20)
    for k in (61, 62):  # the shortest step that the limits of the constants allow: one unit, or none
        for _ in range(40):
            g = d.choice((1, -1)) * d.between(2**28, 2**31 - 1)
            row(g, g, code_of(d.between(1, 2**26)**2), d.signed(20), 0, 2**12, d.between(2**30, 2**31 - 1), k)
    return lines


def adam_boundaries(b1, c2, a, k):
    """Inputs that meet each rounding of an element exactly at its boundary or one unit beside it, which draws hardly do."""
    d = Draws(61)
    # m * B1 + g * (2^31 - B1) is (m - g) * B1 modulo 2^31: -1, 0 and 1 there.
    inverse = pow(b1, -1, 2**31)
    for beside in (-1, 0, 1, -2, 2):
        for _ in range(6):
            g = d.signed(30)
            difference = beside * inverse % 2**31
            for m in (g + difference, g + difference - 2**31):
                if -2**31 <= m < 2**31:
                    yield g, m, code_of(d.unsigned(62)), d.signed(28), b1, c2, a, k
    # q = m' * y: midpoints, and a unit of m beside them. With g = m, m' is m.
    for root in (1, 3000, 70001, 2**20 + 7, 2**24 + 1, 2**30 + 3, 2**32 - 2):
        found, c = 0, code_of(root * root)
        for m in range(1, 2**31, 1 if root < 2**20 else 2**12 + 1):
            z, x = ref.aligned(adam_moment2(m, c, c2))
            shift = 33 - z // 2
            if m * ref.rsqrt(x) % 2**shift == 2**(shift - 1):
                for sign in (1, -1):
                    for beside in (-1, 0, 1):
                        yield sign * m + beside, sign * m + beside, c, 0, b1, c2, a, k
                found += 1
            if found == 3 or m > 2**24:
                break
    # The step q * A: with A = 2^30 and few bits to go, every other q is a midpoint.
    for shift in (31, 32, 33, 36, 40):
        for _ in range(12):
            m = d.signed(14)
            yield m, m, code_of(d.unsigned(30)), d.signed(28), b1, c2, 2**30, shift
    # q at its limits and beside them: no gradient, so that v does not depend on m.
    for _ in range(8):
        c = code_of(d.between(2**12, 2**24)**2)
        z, x = ref.aligned(adam_moment2(0, c, c2))
        first = (2**31 << (33 - z // 2)) // ref.rsqrt(x)
        for new_m in range(first - 2, first + 3):
            for sign in (1, -1):
                yield 0, sign * -(-new_m * 2**31 // b1), c, 0, b1, c2, a, k
    # w at its limits and beside them.
    for _ in range(8):
        g, m, c = d.signed(28), d.signed(28), code_of(d.between(1, 2**60))
        _, _, moved, _, _ = ref.adam_element(g, m, c, 0, b1, c2, a, k, V0)
        for end in (-2**31, 2**31 - 1):
            for w in (end - moved - 1, end - moved, end - moved + 1):
                if -2**31 <= w < 2**31:
                    yield g, m, c, w, b1, c2, a, k
    # What the code drops of x: nothing, less than half, half, all.
    for low in (0, 1, 15, 16, 17, 30, 31):
        found = 0
        while found < 8:
            g, c = d.signed(27), code_of(d.between(2**27, 2**d.between(28, 64) - 1))
            if ref.aligned(adam_moment2(g, c, c2))[1] % 32 == low:
                found += 1
                yield g, d.signed(26), c, d.signed(28), b1, c2, a, k
    # v just below and above powers of two, from the gradient alone: x full of ones, and one that begins anew.
    for n in range(28, 62):
        g = ref.isqrt(2**n) + d.between(1, ref.isqrt(2**n) // 3)
        for second in (2**(n + 30) // (g * g), 2**(n + 30) // (g * g) + 1):
            yield g, g // 2, 0, d.signed(28), b1, second, a, k


def adam_moment2(g, c, c2):
    """v of an element with V0 at its largest."""
    u = ref.moment2_value(c)
    return max(V0, u - (u * c2 >> 32) + (g * g * c2 >> 30))


def soft_update_lines():
    d = Draws(7)
    lines = ["# soft_update: section 8; w the network's element, t the target's, T = tau with fraction 31, 0 < T <= 2^31",
             "# columns: w t T | t'"]

    def row(w, t, tau):
        lines.append(text_row((w, t, tau), (ref.soft_update(w, t, tau),)))

    tau = ref.tau_constant("0.005")
    for t in (1, tau, 2**30, 2**31 - 1, 2**31):
        for w in (-2**31, -1, 0, 1, 2**31 - 1):
            for target in (-2**31, -1, 0, 1, 2**31 - 1):
                row(w, target, t)
    for target in (0, -70, 123456789, -2**30):
        for difference in (-301, -300, -299, -102, -101, -100, -99, -1, 0, 1, 99, 100, 101, 102, 299, 300, 301):
            row(target + difference, target, tau)
            row(target + difference, target, 2**30)  # every odd difference is a midpoint
    for _ in range(400):
        row(d.signed(31), d.signed(31), d.between(1, 2**31))
    return lines


def quantize_lines():
    d = Draws(8)
    lines = ["# quantize: a master value v with fraction F to the code of a quantizer (width n, fraction f) (section 2)",
             "# columns: v F n f signed | code count          signed is 1 or 0; count is 1 where the code was clamped"]

    def row(v, master, n, f, signed):
        lines.append(text_row((v, master, n, f, signed), ref.quantize(v, master, ref.Quantizer(n, f, bool(signed)))))

    for v in INT32_CORNERS:
        for master in (20, 24, 26):
            row(v, master, 32, master, 1)
    for master, n, f in ((20, 2, -13), (20, 16, 12), (20, 15, 8), (26, 24, 18), (26, 8, 5), (24, 16, 24), (24, 3, -7),
                         (20, 31, 20), (26, 2, -16), (24, 2, -16)):
        for signed in (1, 0):
            shift = master - f
            half = (1 << shift) // 2
            low, high = ref.Quantizer(n, f, bool(signed)).limits()
            values = set(INT32_CORNERS)
            for code in (low - 1, low, -1, 0, 1, high, high + 1):
                values |= {(code << shift) + o for o in (-half - 1, -half, -half + 1, 0, half - 1, half)}
            for v in sorted(values):
                if -2**31 <= v < 2**31:
                    row(v, master, n, f, signed)
    for _ in range(600):
        n = d.between(2, 31)
        master = d.choice((20, 24, 26))
        row(d.signed(31), master, n, max(-16, min(master, n - d.between(-6, 9))), d.between(0, 1))
    return lines


def range_fraction_lines():
    d = Draws(9)
    lines = ["# range_fraction: the fraction for an observed range [min, max] of masters with fraction F (section 2)",
             "# columns: min max F n h signed | f          min 2147483647 max -2147483648: nothing observed"]

    def row(low, high, master, n, h, signed):
        lines.append(text_row((low, high, master, n, h, signed), (ref.range_fraction(low, high, master, n, h, bool(signed)),)))

    for master, n, h, signed in ((20, 16, 1, 1), (20, 15, 1, 0), (26, 24, 0, 1), (24, 2, 1, 1), (20, 2, 1, 0), (26, 31, 0, 1)):
        row(2**31 - 1, -2**31, master, n, h, signed)
        row(0, 0, master, n, h, signed)
        row(-2**31, 2**31 - 1, master, n, h, signed)
        for e in (0, 1, 2, 3, 8, 17, 18, 19, 20, 21, 28, 30, 31):
            for a in (2**e - 1, 2**e, 2**e + 1):
                if a < 2**31:
                    row(0, a, master, n, h, signed)
                if a <= 2**31:
                    row(-a, 0, master, n, h, signed)
                    row(-a, min(a // 2, 2**31 - 1), master, n, h, signed)
    for _ in range(300):
        a, b = d.signed(31), d.signed(31)
        row(min(a, b), max(a, b), d.choice((20, 24, 26)), d.between(2, 31), d.between(0, 3), d.between(0, 1))
    for h in range(2, 20):  # much headroom: the lowest fraction
        row(-2**31, 5, 20, 4, h, 1)
        row(0, 2**31 - 1, 20, 7, h, 0)
    return lines


def following_lines():
    d = Draws(18)
    lines = ["# following: the fraction of a quantizer of width n that follows the largest absolute value A of masters with fraction F (section 2)",
             "# columns: A F n h | f          F 26: weights, h is 0; F 24: gradients, h is 1"]
    for master, h in ((26, 0), (24, 1)):
        for n in range(2, 17):
            magnitudes = {0, 1, 2, 3, 2**31 - 1, 2**31, *(d.unsigned(d.between(1, 31)) for _ in range(8))}
            for j in sorted({1, 2, n - 1, n, n + 1, n + 4, 23, 30, 31}):
                # Where A, or A and what is added to it, comes to have one bit more.
                for base in {2**j, 2**j - 2**max(0, j - n), 2**j - 2**max(0, j - n + 1), 2**j - 2**max(0, j - n - 1)}:
                    magnitudes |= {base + offset for offset in (-2, -1, 0, 1)}
            for a in sorted(a for a in magnitudes if 0 <= a <= 2**31):
                lines.append(text_row((a, master, n, h), (ref.following(ref.Quantizer(n, ref.FOLLOWS), a, master, h).fraction,)))
    return lines


def maxima_lines():
    d = Draws(19)
    lines = ["# maxima: a gradient maximum G after a training step whose largest absolute dY is m (section 9); both unsigned 32 bits",
             "# columns: G m | G'"]
    pairs = [(g, 0) for g in (*range(200), 2**31 - 1, 2**31, 2**31 + 63, 2**32 - 1)]
    pairs += [(g, g - g // 64 + offset) for g in (64, 6400, 2**20, 2**31) for offset in (-1, 0, 1)]
    pairs += [(d.unsigned(32), d.unsigned(31)) for _ in range(100)] + [(d.unsigned(32), d.unsigned(10)) for _ in range(100)]
    pairs += [(0, 0), (0, 2**31), (2**31, 2**31)]
    for g, m in pairs:
        lines.append(text_row((g, m), (ref.next_maximum(g, m),)))
    return lines


def philox_lines():
    d = Draws(10)
    lines = ["# philox: block `block` of the stream (seed, purpose, index) (section 10); seed and index unsigned 64 bits",
             "# columns: seed purpose index block | word0 word1 word2 word3"]

    def row(*inputs):
        lines.append(text_row(inputs, ref.stream_block(*inputs)))

    row(0, 0, 0, 0)
    row(2**64 - 1, 2**32 - 1, 2**64 - 1, 2**32 - 1)
    for shift in (0, 31, 32, 63):
        row(1 << shift, 1, 0, 0)
        row(0, 1, 1 << shift, 0)
        row(0, 1, 0, 1 << min(shift, 31))
    for _ in range(200):
        row(d.word(), d.between(1, 7), d.unsigned(64), d.unsigned(32))
    return lines


def draw_lines():
    d = Draws(11)
    lines = ["# draw: sample b of the batch of training step `index` out of n, purpose 5 (section 10)",
             "# columns: seed index b n | word sample"]
    for _ in range(200):
        seed, index, b = d.word(), d.unsigned(40), d.between(0, 300)
        n = d.choice((1, 2, 3, 1000, 1000000, 2**31, 2**32 - 1, d.between(1, 2**32 - 1)))
        word = ref.stream_word(seed, ref.REPLAY, index, b)
        lines.append(text_row((seed, index, b, n), (word, ref.draw_below(word, n))))
    return lines


def warm_up_lines():
    d = Draws(12)
    lines = ["# warm_up: component j of the warm-up action of environment step `step`, purpose 3, fraction 20 (section 10)",
             "# columns: seed step j | word component"]
    for _ in range(200):
        seed, step, j = d.word(), d.unsigned(34), d.between(0, 20)
        word = ref.stream_word(seed, ref.WARM_UP, step, j)
        lines.append(text_row((seed, step, j), (word, ref.warm_up_component(word))))
    return lines


def normal_lines():
    d = Draws(13)
    lines = ["# normal: a normal number, fraction 20, from a block's four words (section 10)", "# columns: word0 word1 word2 word3 | z"]

    def row(words):
        lines.append(text_row(words, (ref.normal(words),)))

    row((0, 0, 0, 0))
    row((2**32 - 1,) * 4)
    row((0x80007FFF,) * 4)
    row((0x80008000, 0x7FFF8000, 0x80007FFF, 0x7FFF7FFF))
    row((0xFFFF0000, 0, 2**32 - 1, 0x0000FFFF))
    for index in range(200):
        row(ref.stream_block(d.word(), ref.NOISE, index, d.between(0, 5)))
    return lines


def noise_lines():
    lines = ["# noise: one noisy action (section 10), purpose 4; kind 0 gaussian, 1 Ornstein-Uhlenbeck; sigma and theta have",
             "# fraction 22, the others 20",
             "# columns: kind sigma theta seed c dim o[dim] a[dim] | action[dim] o'[dim]",
             "# c is the count of noisy actions before; consecutive rows of a setting are a sequence, o' goes into the next o"]
    d = Draws(14)
    one, unit = ref.ONE, 2**22  # of actions; of sigma and theta
    settings = (
        # kind, sigma, theta, dim, actions, start of c
        (0, ref.noise_constant("0.1"), 0, 1, 20, 0), (0, ref.noise_constant("0.2"), 0, 6, 20, 5),
        (0, 0, 0, 2, 3, 0), (0, 3 * unit, 0, 3, 20, 2**32 - 10), (0, 100 * unit, 0, 2, 10, 2**40),
        (1, ref.noise_constant("0.2"), ref.noise_constant("0.15"), 1, 40, 0),
        (1, ref.noise_constant("0.3"), ref.noise_constant("0.15"), 3, 30, 77),
        (1, 0, unit, 2, 4, 0), (1, 500 * unit, 0, 2, 60, 0),  # the last: a random walk to the int32 limits
        (1, unit, 3 * unit, 2, 40, 3))  # theta above 2: the state swings ever wider, to the limits
    for kind, sigma, theta, dim, count, first in settings:
        seed = d.word()
        state = [0] * dim
        for c in range(first, first + count):
            action = [d.choice((-one, one, 0, d.between(-one, one), d.between(-one, one))) for _ in range(dim)]
            noisy, after = ref.noisy_action(kind, sigma, theta, seed, c, state, action)
            lines.append(text_row((kind, sigma, theta, seed, c, dim, *state, *action), (*noisy, *after)))
            state = after
            if c - first == 24:  # an episode starts
                state = [0] * dim
    return lines


def init_lines():
    d = Draws(15)
    lines = ["# init: the initial values of a tensor, fraction 26 (section 11); K inputs, count = N * K weights or N biases",
             "# columns: seed network layer part K count last | bound value[count]"]
    for network, layer, part, inputs, count, last in (
            (0, 0, 0, 3, 24, 0), (0, 0, 1, 3, 8, 0), (0, 1, 0, 8, 48, 0), (0, 2, 0, 6, 6, 1), (0, 2, 1, 6, 1, 1),
            (1, 0, 0, 4, 32, 0), (1, 0, 1, 4, 8, 0), (1, 2, 0, 6, 6, 1), (1, 2, 1, 6, 1, 1), (0, 0, 0, 17, 170, 0),
            (1, 1, 0, 400, 400, 0), (1, 1, 1, 400, 300, 0), (0, 3, 0, 1, 5, 0), (0, 0, 1, 2, 7, 0)):
        seed = d.word()
        values = ref.initial_tensor(seed, network, layer, part, inputs, count, bool(last))
        lines.append(text_row((seed, network, layer, part, inputs, count, last), (ref.initial_bound(inputs, last), *values)))
    return lines


def hyperparameters_lines():
    lines = ["# hyperparameters: decimals, read as doubles, then rounded once; midpoints up (section 13)",
             "# columns: name decimal | constant, and for learning_rate | L e",
             "# beta2 gives 1 - beta2 with fraction 32; discount, tau, beta1 fraction 31; sigma, theta fraction 22"]

    def row(name, text):
        value = {"discount": ref.discount_constant, "tau": ref.tau_constant, "beta1": ref.beta1_constant,
                 "beta2": ref.one_minus_beta2_constant, "sigma": ref.noise_constant, "theta": ref.noise_constant,
                 "learning_rate": ref.learning_rate_constant}[name](text)
        lines.append(text_row((name, text), value if isinstance(value, tuple) else (value,)))

    for text in ("0.99", "0.9", "0.95", "0.999", "0", "0.5", "0.9999999"):
        row("discount", text)
    for text in ("0.005", "0.001", "0.01", "1", "0.5", "1e-3", "0.0000001"):
        row("tau", text)
    for text in ("0.9", "0", "0.5", "0.99", "0.95", "0.999"):
        row("beta1", text)
    for text in ("0.999", "0.9", "0.99", "0.9999", "0.995", "0.99999", "0.5001"):
        row("beta2", text)
    for text in ("0.1", "0.2", "0.3", "0", "1", "0.05", "2.5"):
        row("sigma", text)
    for text in ("0.15", "0", "1", "0.001"):
        row("theta", text)
    for text in ("1e-3", "0.001", "1e-4", "3e-4", "0.0001", "0.01", "0.1", "0.5", "0.25", "0.9", "1e-6", "5e-5", "0.00025", "2.5e-5"):
        row("learning_rate", text)
    lines.append("# midpoints")
    for name, text in (("tau", "0.50000000023283064365386962890625"), ("beta1", "0.25000000023283064365386962890625"),
                       ("sigma", "0.00000011920928955078125"), ("beta2", "0.75000000011641532182693481445312500")):
        row(name, text)
    lines.append("# decimals just below a midpoint whose double is the midpoint")
    for name, text in (("tau", "0.50000000023283064365386962890624"), ("sigma", "0.00000011920928955078124999999999"),
                       ("beta1", "0.25000000023283064365386962890624999999")):
        row(name, text)
    lines.append("# doubles next to a midpoint, to 1, to a power of two")
    for name, value in (("tau", 0.5 + 2.0**-32), ("beta1", 0.25 + 2.0**-32), ("sigma", 2.0**-23), ("beta2", 0.75 + 2.0**-33)):
        row(name, repr(math.nextafter(value, 0)))
        row(name, repr(math.nextafter(value, 1)))
    for value in (math.nextafter(1, 0), 1 - 2.0**-32, 1 - 2.0**-31, 1 - 3 * 2.0**-33):
        row("discount", repr(value))
        row("tau", repr(value))
    for value in (math.nextafter(0.5, 0), math.nextafter(0.5, 1), 0.5 - 2.0**-33, 0.5 - 2.0**-34, 0.5 - 3 * 2.0**-34, 2.0**-10 - 2.0**-43,
                  2.0**-20, 1 - 2.0**-31, 1 - 2.0**-32 - 2.0**-50):
        row("learning_rate", repr(value))
    return lines


def double_bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def single_bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def to_fixed_lines():
    d = Draws(16)
    lines = ["# to_fixed: a double, times 2^scale (0 for observations), rounded to single, to fraction 20 (section 13)",
             "# columns: bits of the double, scale | bits of the single, value, count          count is 1 where limited"]

    def row(x, scale=0):
        single = ref.to_single(math.ldexp(x, scale))
        lines.append(text_row((double_bits(x), scale), (single_bits(single), *ref.to_fixed(single))))

    for x in (0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 3.14159265358979, 511.99999, 512.0, -512.0, -512.00006, 8191.9995, 8192.0, -8192.0, -8192.001, 1e6, -1e6, 2e37, -2e37,
              1e-30, -1e-30, 1e-45, -1e-45, 1e-300, 511.99998474121094, 511.9999847412109,
              # The limits of int32, and the singles beside them.
              2047.9998779296875, 2048.0, 2048.000244140625, -2047.9998779296875, -2048.0, -2048.000244140625):
        row(x)
        row(x, -3)
        row(x, 4)
    unit = 1.0 / ref.ONE
    for n in (-4, -3, -2, -1, 0, 1, 2, 3, ref.ONE, ref.ONE + 1, -ref.ONE - 1):  # midpoints and their single neighbours
        for offset in (-0.5, 0.5, -0.50000006, 0.49999997, 0.25):
            row((n + offset) * unit)
    for n in (1, 3, 5, 2**23 + 1, 2**23 + 3):  # midpoints between two singles
        row(1.0 + n * 2.0**-24)
        row(-1.0 - n * 2.0**-24)
        row(1.0 + n * 2.0**-24 + 2.0**-50)
    for _ in range(300):
        row(d.between(-2**53, 2**53) * 2.0**d.between(-80, -40), d.choice((0, 0, 0, -8, -2, 1, 6)))
    return lines


def environment_action_lines():
    d = Draws(17)
    lines = ["# environment_action: an action component (fraction 20) for the environment (section 13)",
             "# columns: v, bits of the double low, bits of high | bits of the double result",
             "# double precision, each operation rounded on its own: no fused multiply-add"]
    for low, high in ((-1.0, 1.0), (-2.0, 2.0), (-0.4, 0.4), (0.0, 1.0), (-3.3, 0.7), (0.1, 0.3), (-1e3, 1e-3)):
        for v in [-2**20, 2**20, 0, 1, -1] + [d.between(-2**20, 2**20) for _ in range(25)]:
            result = ref.environment_action(v, low, high)
            lines.append(text_row((v, double_bits(low), double_bits(high)), (double_bits(result),)))
    return lines


FILES = {
    "requantize.txt": requantize_lines, "rhu.txt": rhu_lines, "rtz.txt": rtz_lines, "tanh.txt": tanh_lines,
    "rsqrt.txt": rsqrt_lines, "moment2_value.txt": moment2_value_lines, "moment2_code.txt": moment2_code_lines,
    "adam_scalars.txt": adam_scalars_lines, "adam_element.txt": adam_element_lines,
    "soft_update.txt": soft_update_lines, "quantize.txt": quantize_lines, "range_fraction.txt": range_fraction_lines,
    "following.txt": following_lines, "maxima.txt": maxima_lines,
    "philox.txt": philox_lines, "draw.txt": draw_lines, "warm_up.txt": warm_up_lines, "normal.txt": normal_lines,
    "noise.txt": noise_lines, "init.txt": init_lines, "hyperparameters.txt": hyperparameters_lines,
    "to_fixed.txt": to_fixed_lines, "environment_action.txt": environment_action_lines,
}
