#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the golden numbers of env_test.c.

Written from lib/ARITHMETIC.md (random numbers), lib/env/ENVIRONMENTS.md (Pendulum, and its sine and cosine) and nothing else.
Python's float is IEEE 754 binary64 and each of its operations is rounded once, so the bits have to agree.
"""
import math
import struct
from fractions import Fraction

MASK = 2**32 - 1


def philox(seed, purpose, index, block):
    c = [index & MASK, index >> 32, purpose, block]
    k = [seed & MASK, seed >> 32]
    for _ in range(10):
        p0, p1 = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


class Stream:
    def __init__(self, seed, purpose, index):
        self.key, self.next = (seed, purpose, index), 0

    def word(self):
        self.next += 1
        return philox(*self.key, (self.next - 1) // 4)[(self.next - 1) % 4]

    def uniform(self, low, high):
        a = self.word()
        b = self.word()
        value = low + (high - low) * (((a << 32 | b) >> 11) / 2**53)
        return value if value < high else low

    def normal(self):
        while self.next % 4:
            self.word()
        words = [self.word() for _ in range(4)]
        total = sum(2 * (w & 0xFFFF) + 2 * (w >> 16) - 2 * 65535 for w in words)
        return total / math.sqrt(Fraction(8 * (65536**2 - 1), 3))


PI_2 = Fraction(157079632679489661923132169163975144209858469968755291, 10**53)


def first_bits(x, bits):
    scale = Fraction(2) ** (bits - math.frexp(float(x))[1])
    return Fraction(math.floor(x * scale)) / scale


A = first_bits(PI_2, 33)
B = first_bits(PI_2 - A, 33)
C = float(PI_2 - A - B)
A, B = float(A), float(B)


def horner(z, terms):
    """terms: factorials with signs, highest power first"""
    p = 0.0
    for n in terms:
        p = p * z + math.copysign(1.0 / math.factorial(abs(n)), n)
    return p


def sincos(angle):
    q = (angle * float(1 / PI_2) + 1.5 * 2**52) - 1.5 * 2**52
    first, high = angle - q * A, q * B
    r = first - high
    low = r - first
    tail = (first - (r - low)) - (high + low)
    tail -= q * C
    high = r
    r = high + tail
    low = r - high
    tail = (high - (r - low)) + (tail - low)
    z = r * r
    s = r + (r * z * horner(z, [17, -15, 13, -11, 9, -7, 5, -3]) + tail * (1.0 - 0.5 * z))
    half = 0.5 * z
    head = 1.0 - half
    c = head + (((1.0 - head) - half) + (z * z * horner(z, [-18, 16, -14, 12, -10, 8, -6, 4]) - r * tail))
    return [(s, c), (c, -s), (-s, -c), (-c, s)][int(q) % 4]


def pendulum(steps, seed):
    stream = Stream(seed, 7, 0)
    angle = stream.uniform(-math.pi, math.pi)
    speed = stream.uniform(-1.0, 1.0)
    actions = Stream(seed, 7, 1)
    fnv = 0xCBF29CE484222325
    for _ in range(steps):
        torque = actions.uniform(-2.0, 2.0)
        # Python's own fmod and modulo, not the loop of the C code
        wrapped = (angle + math.pi) % (2 * math.pi) - math.pi
        reward = -(wrapped * wrapped + 0.1 * (speed * speed) + 0.001 * (torque * torque))
        sine, _ = sincos(angle)
        speed = min(max(speed + (15.0 * sine + 3.0 * torque) * 0.05, -8.0), 8.0)
        angle += speed * 0.05
        sine, cosine = sincos(angle)
        for value in (cosine, sine, speed, reward):
            fnv = ((fnv ^ struct.unpack("<Q", struct.pack("<d", value))[0]) * 0x100000001B3) % 2**64
    return fnv, angle


if __name__ == "__main__":
    rng = Stream(0x0123456789ABCDEF, 7, 0xFEDCBA9876543210)
    print("words  ", " ".join(f"{rng.word():08x}" for _ in range(5)))
    print("uniform", rng.uniform(-3.0, 5.0).hex())
    print("normal ", rng.normal().hex(), rng.normal().hex(), "next", rng.next)
    for x in (0.5, -2.0, 83.25, 1e5, 1e6):
        print("sincos ", x, *(v.hex() for v in sincos(x)))
    fnv, angle = pendulum(1000, 1)
    print(f"pendulum {fnv:016x} ends at {angle!r}")
