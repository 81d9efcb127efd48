#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: each numbered check of driver/HARDWARE.md section 12 on the emulated core, with code and offset, and in that order
when several apply; windows one byte on either side; what fails changes nothing, inside the arena and outside"""

import struct

import arena
import core
import xdma
from core import ACT, MODES, NOP, READ_RANGES, RELOAD, TRAIN, Core, command
from emulator import Card
from report import check, expect, finish, run

SMALL = arena.Layout(3, 1, (8, 6))
BASE = 1 << 20        # of the window in card memory
LIMIT = 64 << 10
INPUT, OUTPUT, STATISTICS = arena.up(SMALL.end), arena.up(SMALL.end) + 8192, arena.up(SMALL.end) + 12288
BATCH_MAX = 100
IMAGE = SMALL.image(batch_max=BATCH_MAX)
ACTING = dict(count=4, input=INPUT, output=OUTPUT, statistics=STATISTICS)
TRAINING = dict(count=4, input=INPUT, statistics=STATISTICS)
FIELDS = {NOP: {}, ACT: ACTING, TRAIN: TRAINING, READ_RANGES: dict(statistics=STATISTICS), RELOAD: dict(statistics=STATISTICS)}
# Section 12: codes.
SEQUENCE, OPCODE, COMMAND, MODE, HEADER, TABLE, CAPACITY, BATCH, OFFSET, WINDOW, READ, WRITE = range(1, 13)


def prepare(card):
    card.poke(BASE, IMAGE)
    device = Core(card)
    device.window(BASE, LIMIT)
    device.modes()
    return device


def fails(device, opcode, code, offset, what, data=None, **fields):
    got = device.fail(opcode, data, **fields)
    expect(got, (code, data[0] if data else opcode, 0, offset), f"{what}: code, opcode, started, offset")


def works(device, opcode, what, **fields):
    try:
        device.do(opcode, **fields)
    except AssertionError as error:
        check(False, f"{what}: {error}")
        device.card.user_write(core.CONTROL, core.RESUME)
        device.seq = device.card.user(core.COMPLETED)


def good(card):
    """each opcode with and without its optional fields"""
    device = prepare(card)
    for opcode, fields in FIELDS.items():
        works(device, opcode, f"opcode {opcode}", **fields)
        works(device, opcode, f"opcode {opcode} with INTERRUPT", flags=core.INTERRUPT, **fields)
        works(device, opcode, f"opcode {opcode} without statistics", **{**fields, "statistics": 0})
    works(device, ACT, "ACT with both flags", flags=core.EXPLORE | core.RESET_NOISE, **ACTING)
    # A NOP touches no memory: not even without a window.
    device.window(BASE, 0)
    works(device, NOP, "NOP with an empty window")


def sequence(card):
    """1 SEQUENCE, 2 OPCODE"""
    device = prepare(card)
    for difference in (-1, 1, 1 << 31):
        seq = device.next_seq()
        fails(device, NOP, SEQUENCE, 4, f"slot with {difference:+}", command(NOP, (seq + difference) % 2**32))
    for opcode in (0, 6, 7, 31, 32, 33, 0x81, 255):
        fails(device, opcode, OPCODE, 0, f"opcode {opcode}")
    # Modulo 32 an opcode of 33 would be NOP's bit of OPCODES.


def fields(card):
    """3 COMMAND: fields that must be 0, count, input and output that must not, multiples of 64; the first wrong one counts"""
    device = prepare(card)
    for opcode, usual in FIELDS.items():
        for bit in [9, 10, 15, 18, 24, 31] + ([16, 17] if opcode != ACT else []):
            fails(device, opcode, COMMAND, 0, f"opcode {opcode} with bit {bit} of word 0", flags=1 << bit, **usual)
        for name, offset, needed in (("count", 8, opcode in (ACT, TRAIN)), ("input", 16, opcode in (ACT, TRAIN)),
                                     ("output", 24, opcode == ACT)):
            if needed:
                fails(device, opcode, COMMAND, offset, f"opcode {opcode} with {name} 0", **{**usual, name: 0})
            else:
                fails(device, opcode, COMMAND, offset, f"opcode {opcode} with {name} 64", **{**usual, name: 64})
        if opcode == NOP:
            fails(device, opcode, COMMAND, 32, "NOP with statistics", statistics=STATISTICS)
        for name, offset in (("input", 16), ("output", 24), ("statistics", 32)):
            if usual.get(name):
                for more in (1, 4, 32, 63):
                    fails(device, opcode, COMMAND, offset, f"opcode {opcode} with {name} + {more}", **{**usual, name: usual[name] + more})
        fails(device, opcode, COMMAND, 12, f"opcode {opcode} with the reserved word", reserved=1 << 31, **usual)
        for byte in (0, 7, 8, 16, 23):
            tail = bytes(byte) + b"\1" + bytes(23 - byte)
            fails(device, opcode, COMMAND, 40, f"opcode {opcode} with reserved byte {40 + byte}", tail=tail, **usual)
    fails(device, TRAIN, COMMAND, 8, "count, input and output wrong", count=0, input=1, output=64)
    fails(device, TRAIN, COMMAND, 12, "reserved and input wrong", reserved=1, **{**TRAINING, "input": 1})
    fails(device, TRAIN, COMMAND, 16, "input and output wrong", **{**TRAINING, "input": 1, "output": 64})


def modes(card):
    """4 MODE: every mode register just outside and just inside its range, for the opcodes that use it; the first in BAR0 counts"""
    device = prepare(card)
    for name, (offset, low, high, used) in MODES.items():
        outside = {(low - 1) % 2**32, (high + 1) % 2**32, 0xffffffff if low >= 0 else 0x7fffffff, 0x80000000 if high < 2**31 else high + 1}
        for value in sorted(outside):
            device.modes(**{name: value})
            for opcode in (ACT, TRAIN):
                if opcode in used:
                    fails(device, opcode, MODE, offset, f"{name} {value:#x}, opcode {opcode}", **FIELDS[opcode])
                else:
                    works(device, opcode, f"{name} {value:#x}, which opcode {opcode} does not use", **FIELDS[opcode])
            for opcode in (NOP, READ_RANGES, RELOAD):
                works(device, opcode, f"{name} {value:#x}, which opcode {opcode} does not use", **FIELDS[opcode])
        for value in (low, high):
            device.modes(**{name: value})
            for opcode in used:
                works(device, opcode, f"{name} {value:#x}, opcode {opcode}", **FIELDS[opcode])
    device.modes(precision=2, tau=0, critic_scale=7)
    fails(device, TRAIN, MODE, 0x2000, "precision, tau and scale", **TRAINING)
    device.modes(tau=0, critic_scale=7)
    fails(device, TRAIN, MODE, 0x2024, "tau and scale", **TRAINING)
    device.modes(actor_exponent=30, critic_mantissa=1)
    fails(device, TRAIN, MODE, 0x2034, "mantissa and exponent", **TRAINING)


def loading(card):
    """5 WINDOW for the header, 6 HEADER field by field, 7 WINDOW for the state"""
    device = prepare(card)
    loads = (RELOAD, READ_RANGES, ACT, TRAIN)
    for opcode in loads:
        device.window(BASE, 0)
        fails(device, opcode, WINDOW, 0, f"opcode {opcode}, limit 0", **FIELDS[opcode])
        for limit in (4096, SMALL.end & ~0xfff):
            device.window(BASE, limit)
            fails(device, opcode, WINDOW, 4096, f"opcode {opcode}, limit {limit}", **FIELDS[opcode])
    device.window(BASE, LIMIT)
    width, hidden, samples = card.user(core.MAX_WIDTH), card.user(core.MAX_HIDDEN), card.user(core.MAX_BATCH)
    wrong = [(0, 0), (0, 0x58414746), (4, 0), (4, 2), (4, 4), (8, 252), (8, 260), (12, 0), (12, 4032), (12, 8192), (16, SMALL.state_bytes - 64),
             (16, SMALL.state_bytes + 64), (16, 0), (20, 1), (32, 0), (32, width + 1), (36, 0), (36, width + 1), (40, 0),
             (40, samples + 1), (44, 0), (44, hidden + 1), (48, 0), (52, width + 1), (56, 1), (168, 1), (172, 1), (252, 1),
             (32, 0xffffffff), (44, 0xffffffff)]
    for offset, value in wrong:
        bad = bytearray(IMAGE[:256])
        bad[offset:offset + 4] = struct.pack("<I", value)
        card.poke(BASE, bytes(bad))
        field = 172 if offset > 172 else 16 if offset == 20 else offset
        # hidden_count decides which hidden[] have to be 0: the count itself is wrong first, or the widths are.
        for opcode in loads[:2] if offset % 12 else loads:
            fails(device, opcode, HEADER, field, f"opcode {opcode}, header byte {offset} with {value:#x}", **FIELDS[opcode])
    for first, second in ((0, 4), (4, 32), (12, 36), (36, 40), (44, 48), (52, 172)):
        bad = bytearray(IMAGE[:256])
        for offset in (first, second, 16):
            bad[offset:offset + 4] = struct.pack("<I", 0xfffffff0)
        card.poke(BASE, bytes(bad))
        fails(device, RELOAD, HEADER, first, f"header bytes {first}, {second} and state_bytes wrong")
    card.poke(BASE, IMAGE)
    # seed: any. Bytes 256 to 4095 are not read.
    card.poke(BASE + 24, b"\xff" * 8)
    card.poke(BASE + 256, b"\xff" * (4096 - 256))
    works(device, RELOAD, "any seed, and anything between header and state")


def tables(card):
    """8 TABLE: powers of Adam above 2^62; quantizers out of range: width, fraction, is_signed"""
    device = prepare(card)
    for element in range(4):
        for value in ((1 << 62) + 1, (1 << 64) - 1):
            powers = [1 << 62] * 4
            powers[element] = value
            card.poke(BASE, SMALL.image({"adam_powers": powers}, batch_max=BATCH_MAX))
            fails(device, RELOAD, TABLE, SMALL.offset("adam_powers", element), f"power {element} {value:#x}")
    card.poke(BASE, IMAGE)
    usual = SMALL.quantizers()
    for layer in range(6):  # of actor and critic
        for place, name in enumerate(arena.CLASSES):
            first = 9 * layer + 3 * place
            unsigned = name == "activation" and layer % 3
            for more, values, passes in ((0, (0, 1, 33, -1, 2**31 - 1), (2, 32)),
                                         (1, (-17, arena.MASTER[name] + 1, -2**31), (-16, arena.MASTER[name])),
                                         (2, (1 if unsigned else 0, 2, -1), ())):
                for value in values + passes:
                    table = list(usual)
                    table[first + more] = value
                    card.poke(BASE + SMALL.offset("quantizers"), arena.packed("i", table))
                    if value in passes:
                        works(device, RELOAD, f"quantizer {layer} {name} [{more}] = {value}")
                    else:
                        fails(device, RELOAD, TABLE, SMALL.offset("quantizers", first + more),
                              f"quantizer {layer} {name} [{more}] = {value}")
    table = list(usual)
    table[10], table[11], table[30] = 99, 9, 99
    card.poke(BASE, SMALL.image({"quantizers": table, "adam_powers": [0, 0, 1 << 63, 0]}, batch_max=BATCH_MAX))
    fails(device, TRAIN, TABLE, SMALL.offset("adam_powers", 2), "a power and quantizers", **TRAINING)
    card.poke(BASE, SMALL.image({"quantizers": table}, batch_max=BATCH_MAX))
    fails(device, ACT, TABLE, SMALL.offset("quantizers", 10), "three quantizer entries", **ACTING)


def batches(card):
    """9 BATCH: count above batch_max; 10 CAPACITY: networks that the chip's memories cannot hold"""
    device = prepare(card)
    for opcode in (ACT, TRAIN):
        usual = FIELDS[opcode]
        works(device, opcode, f"opcode {opcode} with count batch_max", **{**usual, "count": BATCH_MAX})
        for count in (BATCH_MAX + 1, 0xffffffff):
            fails(device, opcode, BATCH, 40, f"opcode {opcode} with count {count}", **{**usual, "count": count})
    # 16 bytes a parameter (weight, target, two moments): 14 MiB hold 917,504. Two networks of 1024-1024 have 2.1 million.
    huge = arena.Layout(17, 6, (1024, 1024))
    at = 64 << 20
    card.poke(at, huge.image(batch_max=100)[:huge.offset("actor.0.weight")])
    device.window(at, 48 << 20)
    far = arena.up(huge.end)
    for opcode in (RELOAD, READ_RANGES):
        fails(device, opcode, CAPACITY, 0, f"opcode {opcode} of 1024-1024")
    fails(device, ACT, CAPACITY, 0, "ACT of 1024-1024", count=1, input=far, output=far + 4096)
    fails(device, TRAIN, CAPACITY, 0, "TRAIN of 1024-1024", count=1, input=far)
    fails(device, TRAIN, BATCH, 40, "TRAIN of 1024-1024 and too many samples", count=101, input=64)
    fails(device, TRAIN, CAPACITY, 0, "TRAIN of 1024-1024 with an input in the state", count=1, input=64)
    # Just below: 917,504 parameters are 958 squared; 660-660 in both networks fit.
    fitting = arena.Layout(17, 6, (640, 640))
    card.poke(at, fitting.image(batch_max=100)[:fitting.offset("actor.0.weight")])
    device.window(at, 48 << 20)
    works(device, RELOAD, "RELOAD of 640-640")


def offsets(card):
    """11 OFFSET: ranges in header or state, ranges that meet"""
    device = prepare(card)
    for name in ("input", "output", "statistics"):
        for opcode in (ACT, TRAIN):
            for offset in (64, 4096, SMALL.end - 64):
                if FIELDS[opcode].get(name):
                    fails(device, opcode, OFFSET, offset, f"opcode {opcode}, {name} at {offset}", **{**FIELDS[opcode], name: offset})
    fails(device, READ_RANGES, OFFSET, SMALL.end - 64, "READ_RANGES, statistics in the state", statistics=SMALL.end - 64)
    # 16 observations of 3 are 192 bytes; 16 actions of 1 are 64.
    usual = dict(count=16, input=INPUT, output=INPUT + 192, statistics=INPUT + 256)
    works(device, ACT, "ranges that touch", **usual)
    fails(device, ACT, OFFSET, INPUT, "output at input", **{**usual, "output": INPUT})
    fails(device, ACT, OFFSET, INPUT + 128, "output in input", **{**usual, "output": INPUT + 128})
    fails(device, ACT, OFFSET, INPUT + 192, "statistics at output", **{**usual, "statistics": INPUT + 192})
    fails(device, ACT, OFFSET, INPUT + 128, "statistics in input", **{**usual, "statistics": INPUT + 128})
    # Of two that meet it is the beginning at the higher offset, whichever field that is.
    fails(device, ACT, OFFSET, INPUT + 192, "input into output", **{**usual, "input": INPUT + 128, "output": INPUT + 192, "statistics": INPUT + 1024})
    fails(device, TRAIN, OFFSET, INPUT + 64, "statistics into input", count=4, input=INPUT + 64, statistics=INPUT)
    # 64 samples of 3 and 1 end 2112 bytes behind their beginning, with 64 flags.
    works(device, TRAIN, "statistics behind the batch", count=64, input=INPUT, statistics=INPUT + 2112)
    fails(device, TRAIN, OFFSET, INPUT + 2048, "statistics in the flags", count=64, input=INPUT, statistics=INPUT + 2048)
    works(device, TRAIN, "statistics before the batch", count=4, input=INPUT + 128, statistics=INPUT)
    fails(device, TRAIN, OFFSET, INPUT, "a state and a meeting", count=4, input=INPUT, statistics=INPUT)


def windows(card):
    """12 WINDOW: the last byte that is inside and the first outside, of input, output and statistics; no overflow"""
    device = prepare(card)
    card.poke(BASE + LIMIT, b"\xc3" * 4096)
    # 64 samples are 2112 bytes. 65 are 2368 and one more: the last flag.
    works(device, TRAIN, "64 samples that end at the limit", count=64, input=LIMIT - 2112)
    fails(device, TRAIN, WINDOW, LIMIT - 2368, "65 samples, one byte too many", count=65, input=LIMIT - 2368)
    works(device, TRAIN, "65 samples, 63 bytes before the limit", count=65, input=LIMIT - 2432)
    # 16 actions are 64 bytes, 17 are 68.
    works(device, ACT, "16 actions that end at the limit", count=16, input=INPUT, output=LIMIT - 64)
    fails(device, ACT, WINDOW, LIMIT - 64, "17 actions", count=17, input=INPUT, output=LIMIT - 64)
    works(device, ACT, "statistics that end at the limit", count=1, input=INPUT, output=OUTPUT, statistics=LIMIT - 128)
    fails(device, ACT, WINDOW, LIMIT - 64, "statistics 64 bytes too far", count=1, input=INPUT, output=OUTPUT, statistics=LIMIT - 64)
    for name in ("input", "output", "statistics"):
        for offset in (LIMIT, LIMIT + 64, 1 << 32, (1 << 64) - 64, (1 << 64) - 128):
            fails(device, ACT, WINDOW, offset, f"{name} at {offset:#x}", **{**ACTING, name: offset})
    fails(device, ACT, WINDOW, LIMIT, "input and output beyond", **{**ACTING, "input": LIMIT, "output": LIMIT + 4096})
    expect(card.peek(BASE + LIMIT, 4096), b"\xc3" * 4096, "memory behind the window")
    # The same arena, and neighbours on both sides.
    card.poke(BASE - 4096, b"\x3c" * 4096)
    device.window(BASE, arena.up(SMALL.end) + 4095 & ~4095)
    works(device, READ_RANGES, "a window as small as it can be")
    expect(card.peek(BASE - 4096, 4096), b"\x3c" * 4096, "memory before the window")


def card_memory(card):
    """READ and WRITE: a window that reaches beyond card memory; the offset is that of the transaction, a multiple of 64"""
    device = prepare(card)
    device.window(device.size, LIMIT)
    got = device.fail(RELOAD)
    expect(got, (READ, RELOAD, got[2], 0), "an arena behind the memory")
    at = device.size - LIMIT
    card.poke(at, IMAGE)
    device.window(at, 2 * LIMIT)
    works(device, ACT, "an arena at the end of memory", **ACTING)
    got = device.fail(ACT, **{**ACTING, "output": LIMIT})
    expect((got[0], got[1], got[3]), (WRITE, ACT, LIMIT), "actions behind the memory")
    check(got[2] == 1, "STARTED is 1 with WRITE, also where the first store failed")
    got = device.fail(ACT, **{**ACTING, "input": LIMIT})
    expect((got[0], got[1], got[3]), (READ, ACT, LIMIT), "observations behind the memory")
    got = device.fail(TRAIN, count=64, input=LIMIT - 1024)
    # An AXI burst crosses no 4 KiB boundary (AMBA AXI, burst address), so the one that failed begins behind the memory.
    check(got[0] == READ and got[3] % 64 == 0 and LIMIT <= got[3] < LIMIT + 2048, f"a batch half behind the memory: {got}")
    works(device, ACT, "afterwards", **ACTING)


def order(card):
    """the checks in their order: of all that are wrong, the first is reported; and nothing is changed"""
    device = prepare(card)
    powers = dict(adam_powers=[(1 << 62) + 1] * 4)
    bad_header = bytearray(SMALL.image(powers, batch_max=BATCH_MAX))
    bad_header[172] = 1
    wanted = [(SEQUENCE, 4), (OPCODE, 0), (COMMAND, 12), (MODE, 0x2024), (WINDOW, 0), (HEADER, 172), (WINDOW, 4096),
              (TABLE, SMALL.offset("adam_powers")), (BATCH, 40), None, (OFFSET, 64), (WINDOW, LIMIT - 64)]
    for number in range(1, 13):
        if number == 10:  # batches() has it between its neighbours
            continue
        wrong = lambda check_number: check_number >= number
        image = bytes(bad_header) if wrong(6) and number <= 6 else SMALL.image(powers if number <= 8 else None, batch_max=BATCH_MAX)
        card.poke(BASE, image)
        device.window(BASE, 0 if number <= 5 else 4096 if number <= 7 else LIMIT)
        device.modes(**({"tau": 0} if number <= 4 else {}))
        seq = device.next_seq()
        data = command(0x3f if number <= 2 else TRAIN, seq + 1 if number == 1 else seq, count=101 if number <= 9 else 4,
                       input=64 if number <= 11 else INPUT, statistics=LIMIT - 64, reserved=1 if number <= 3 else 0)
        fails(device, data[0], *wanted[number - 1], f"from check {number} on all is wrong", data)
        same = card.peek(BASE, len(image)) == image
        check(same, f"check {number}: the arena was changed")
    expect(card.user(core.ACCESS_ERROR), 0, "ACCESS_ERROR")


def no_windows():
    """without CAPS.WINDOWS the limit is not compared"""
    card = Card("--no-windows")
    xdma.ready(card)
    device = prepare(card)
    device.window(BASE, 0)
    works(device, ACT, "ACT with limit 0", **ACTING)
    card.close()


def main():
    card = Card()
    xdma.ready(card)
    for test in (good, sequence, fields, modes, loading, tables, batches, offsets, windows, card_memory, order):
        card.reset()
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(no_windows)
    finish()


main()
