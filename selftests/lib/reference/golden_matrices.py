# SPDX-License-Identifier: MIT
"""Golden vectors of the matrix operations: operand codes in, results and saturation counts out."""

import fixar_reference as ref
from golden_operations import Draws, text_row

# (width, fraction) of each operand class; 32 stands for masters. The unsigned activation widths are those behind a ReLU.
MASTERS = {"x": (32, 20, 1), "w": (32, 26), "g": (32, 24)}
MIXES = (
    {"x": (16, 12, 1), "w": (24, 18), "g": (32, 24)},    # qat16, first layer
    {"x": (15, 8, 0), "w": (24, 18), "g": (32, 24)},     # qat16, further layers
    {"x": (8, 4, 0), "w": (8, 6), "g": (8, 5)},
    {"x": (2, -1, 0), "w": (2, 0), "g": (2, -3)},
    {"x": (3, 1, 1), "w": (13, 11), "g": (15, 14)},
    {"x": (12, 9, 0), "w": (3, 1), "g": (16, 13)},
    {"x": (16, 11, 0), "w": (16, 14), "g": (16, 10)},
    {"x": (13, 20, 1), "w": (12, 9), "g": (3, 24)},
    {"x": (24, 15, 1), "w": (15, 12), "g": (12, -7)},
    {"x": (32, 20, 1), "w": (24, 18), "g": (13, 11)},
    {"x": (15, -9, 0), "w": (32, 26), "g": (24, 20)},
    {"x": (31, 17, 1), "w": (31, 26), "g": (31, 23)},
)

SHAPES = (  # B, K, N
    (1, 1, 1), (1, 3, 2), (3, 2, 5), (4, 5, 3), (7, 4, 4), (16, 3, 8), (3, 8, 7), (4, 9, 6), (1, 16, 5), (3, 17, 3),
    (4, 16, 16), (1, 19, 11), (7, 13, 9), (16, 8, 1), (3, 15, 19), (16, 11, 10))


def corner_or_random(d, style, low, high):
    """random: any value; small: magnitudes as in training, spread over the bits; rails: the ends of the range."""
    if style == "random":
        return d.between(low, high)
    if style == "small":
        value = d.signed(high.bit_length()) >> d.between(0, high.bit_length() // 2)
        return max(low, min(high, abs(value) if low == 0 else value))
    if style == "rails":
        return d.choice((low, low, high, high, low + 1, high - 1, 0))
    return {"low": low, "high": high}[style]


def tensor(d, count, width, style, signed=True):
    limits = ref.Quantizer(width, 0, signed).limits()
    return [corner_or_random(d, style, *limits) for _ in range(count)]


def rows(flat, width):
    return [flat[i:i + width] for i in range(0, len(flat), width)]


def flat(matrix):
    return [value for row in matrix for value in row]


def cases(d):
    """Shape, operand settings and styles of the two operands."""
    for shape in SHAPES:
        for style in ("small", "random", "rails"):
            yield shape, MASTERS, style, style
    for first in ("low", "high"):
        for second in ("low", "high"):
            yield (1, 19, 3), MASTERS, first, second      # sums that wrap, and 2^62 * an even number
            yield (4, 2, 2), MASTERS, first, second
    for number, mix in enumerate(MIXES):
        for offset in range(3):
            yield SHAPES[(5 * number + 3 * offset) % 13], mix, ("random", "small", "rails")[offset], "small" if offset == 1 else "random"
        yield d.choice(SHAPES[:13]), mix, "rails", "rails"
        for first, second in (("low", "low"), ("high", "low"), ("high", "high")):
            yield (3, 7, 2), mix, first, second
    for mix in (MASTERS, *MIXES[:3]):  # longer than any vector register, with a remainder
        for style in ("small", "random", "rails"):
            yield (2, 67, 2), mix, style, style


def forward_lines():
    d = Draws(101)
    lines = ["# forward: out = X * W^T + b before the activation function (section 3)",
             "# columns: B K N nx sx fx nw fw X[B*K] W[N*K] bias[N] | out[B*N] nactivation",
             "# nx, sx, fx: width, signed (1 or 0) and fraction of the input codes X; nw, fw: width and fraction of the weight codes W;",
             "# width 32: master values. bias: masters, fraction 26; out: fraction 20; tensors row-major"]
    for (batch, inputs, outputs), mix, x_style, w_style in cases(d):
        (nx, fx, sx), (nw, fw) = mix["x"], mix["w"]
        x = tensor(d, batch * inputs, nx, x_style, bool(sx))
        w = tensor(d, outputs * inputs, nw, w_style)
        bias = tensor(d, outputs, 32, d.choice(("small", "small", "rails")))
        out, count = ref.forward(rows(x, inputs), fx, rows(w, inputs), fw, bias)
        lines.append(text_row((batch, inputs, outputs, nx, sx, fx, nw, fw, *x, *w, *bias), (*flat(out), count)))
    return lines


def dx_lines():
    d = Draws(102)
    lines = ["# dx: dX = dY * W (section 5), without the ReLU",
             "# columns: B K N ng fg nw fw dY[B*N] W[N*K] | dX[B*K] ngradient",
             "# ng, fg: width and fraction of the gradient codes dY; nw, fw: of the weight codes W; width 32: master values.",
             "# dX: fraction 24; tensors row-major"]
    for (batch, inputs, outputs), mix, g_style, w_style in cases(d):
        # The sum is over N here: the longer of the two is more telling.
        inputs, outputs = outputs, inputs
        (ng, fg), (nw, fw) = mix["g"], mix["w"]
        dy = tensor(d, batch * outputs, ng, g_style)
        w = tensor(d, outputs * inputs, nw, w_style)
        dx, count = ref.backward_input(rows(dy, outputs), fg, rows(w, inputs), fw)
        lines.append(text_row((batch, inputs, outputs, ng, fg, nw, fw, *dy, *w), (*flat(dx), count)))
    return lines


def dw_lines():
    d = Draws(103)
    lines = ["# dw: dW = dY^T * X and db = sum of dY, divided by the batch rounded up to a power of two (section 5)",
             "# columns: B K N ng fg nx sx fx dY[B*N] X[B*K] | dW[N*K] ndW db[N] ndb",
             "# ng, fg: width and fraction of the gradient codes dY; nx, sx, fx: width, signed and fraction of the input codes X;",
             "# width 32: master values. dW and db: fraction 28; tensors row-major; ndW and ndb: saturations of each"]
    for (batch, inputs, outputs), mix, g_style, x_style in cases(d):
        (ng, fg), (nx, fx, sx) = mix["g"], mix["x"]
        dy = tensor(d, batch * outputs, ng, g_style)
        x = tensor(d, batch * inputs, nx, x_style, bool(sx))
        dw, dw_count = ref.backward_weights(rows(dy, outputs), fg, rows(x, inputs), fx)
        db, db_count = ref.backward_bias(rows(dy, outputs), fg)
        lines.append(text_row((batch, inputs, outputs, ng, fg, nx, sx, fx, *dy, *x), (*flat(dw), dw_count, *db, db_count)))
    return lines


FILES = {"forward.txt": forward_lines, "dx.txt": dx_lines, "dw.txt": dw_lines}
