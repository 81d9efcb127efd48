#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the user BAR of the emulated card, word by word: driver/HARDWARE.md sections 3 to 5, 14 and 15"""

import struct

import core
import xdma
from core import Core
from emulator import USER, Card
from report import check, expect, finish, run, wait

SIZE, DENSE = 1 << 20, 0xd000
# Section 5: what may be written; everything else is read-only or unassigned.
WRITABLE = {0x1004, 0x1008, 0x100c, 0x1010, 0x1034, 0x103c, 0x1040, 0x1044, 0x1048, 0x104c}
MODE_OFFSETS = [place[0] for place in core.MODES.values()]
# Section 5 and 13: what moves by itself on an idle card: the cycle counter.
MOVING = {0x3000, 0x3004}
CMS = range(0x40000, 0x80000)  # section 17: AMD's block, with registers that live


def every_word(card):
    """The user BAR: where something is, word by word; of the rest of each page the first and the last word so, all else by
    one long read, which a card would see as single words."""
    values = card.client.read_words(USER, list(range(0, DENSE, 4)))
    for page in range(DENSE, SIZE, 4096):
        values += struct.unpack("<1024I", card.client.read(USER, page, 4096))
    edges = [page + place for page in range(DENSE, SIZE, 4096) for place in (0, 4092) if page not in CMS]
    for edge, value in zip(edges, card.client.read_words(USER, edges)):
        expect(value, values[edge // 4], f"{edge:#x} by itself and in a long read")
    return values


def identity(card):
    """identity and capabilities, each in its range"""
    names = ("MAGIC", "VERSION", "CAPS", "OPCODES")
    for offset, wanted, name in zip((0, 4, 8, 12), (0x52584946, 0x00010000, None, 0x3e), names):
        if wanted is not None:
            expect(card.user(offset), wanted, name)
    caps = card.user(core.CAPS)
    expect(caps & 1, 1, "CAPS.WINDOWS")
    expect(caps & ~7, 0, "reserved bits of CAPS")
    size, base = card.user64(core.MEMORY_SIZE), card.user64(core.MEMORY_BASE)
    check(size and size % 65536 == 0 and base % 65536 == 0, f"memory of {size:#x} bytes at {base:#x}")
    check(card.user(core.CLOCK) > 0, "CLOCK_KHZ is 0")
    depth = card.user(core.DEPTH)
    check(2 <= depth <= 256 and depth & depth - 1 == 0, f"FIFO_DEPTH is {depth}")
    check(card.user(core.USER_IRQ) <= 15, "USER_IRQ")
    expect(card.user(core.SCHEMA), 3, "ARENA_SCHEMA")
    for offset, low, high, name in ((0x30, 1, 16384, "MAX_WIDTH"), (0x34, 1, 31, "MAX_HIDDEN"), (0x38, 1, 65536, "MAX_BATCH"),
                                    (0x40, 1, 64, "ARRAY_CORES"), (0x44, 1, 256, "ARRAY_ROWS"), (0x48, 1, 256, "ARRAY_COLUMNS"),
                                    (0x4c, 1, 2, "ARRAY_HALF_LANES"), (0x50, 1, 1024, "ARRAY_OUTPUT_LATENCY"),
                                    (0x54, 0, 1024, "ARRAY_FUNCTION_LATENCY"), (0x58, 1, 256, "ARRAY_UPDATE_LANES"),
                                    (0x5c, 0, 1024, "ARRAY_UPDATE_LATENCY"), (0x60, 1, 65536, "ARRAY_HBM_BYTES")):
        check(low <= card.user(offset) <= high, f"{name} is {card.user(offset)}")
    # lib/pe/ARRAY.md: 2 cores of 16 x 16 at 164 MHz with 14 + 4 + 4 MiB are the default.
    expect([card.user(offset) for offset in (0x20, 0x40, 0x44, 0x48, 0x4c, 0x64, 0x68, 0x6c)],
           [164000, 2, 16, 16, 2, 14 << 20, 4 << 20, 4 << 20], "clock and array")


def reset_values(card):
    """reset values of section 5; the second BAR shows the XDMA and not the core"""
    card.reset()
    for offset in (0x1004, 0x1008, 0x100c, 0x1010, 0x1014, 0x1018, 0x101c, 0x1020, 0x1024, 0x1028, 0x102c, 0x1030, 0x1034,
                   0x1040, 0x1044, 0x1048, 0x104c, *MODE_OFFSETS):
        expect(card.user(offset), 0, f"{offset:#x}")
    expect(card.user(core.STATUS), core.MEMORY_READY, "STATUS")
    check(card.dma(0) != 0x52584946, "the second BAR shows the core")
    for offset in range(0x3008, 0x3058, 8):
        expect(card.user64(offset), 0, f"counter {offset:#x}")
    check(card.user64(0x3000) > 0, "TIMESTAMP stands still")


def epoch_and_cookie(card):
    """MEM_EPOCH is 1, MEM_COOKIE 0 after configuration; a bus reset and a soft reset leave both alone"""
    expect(card.user(core.MEM_EPOCH), 1, "MEM_EPOCH")
    expect(card.user(core.MEM_COOKIE), 0, "MEM_COOKIE")
    card.user_write(core.MEM_COOKIE, 0xffffffff)
    expect(card.user(core.MEM_COOKIE), 0xffffffff, "MEM_COOKIE takes all 32 bits")
    card.user_write(core.MEM_COOKIE, 0xc001d00d)
    card.user_write(core.MEM_EPOCH, 5)
    card.poke(0x1000, b"kept")
    for what in (card.reset, Core(card).soft_reset):
        what()
        expect((card.user(core.MEM_EPOCH), card.user(core.MEM_COOKIE)), (1, 0xc001d00d), "MEM_EPOCH and MEM_COOKIE")
        expect(card.peek(0x1000, 4), b"kept", "card memory")


def read_write(card):
    """registers that can be written keep 32 bits, reserved bits read 0; SCRATCH survives a soft reset, not a bus reset"""
    for offset in (core.SCRATCH, core.MEM_COOKIE, *MODE_OFFSETS, 0x1044, 0x104c):
        for value in (0xffffffff, 0x5aa5c33c, 0):
            card.user_write(offset, value)
            expect(card.user(offset), value, f"{offset:#x}")
    for offset in (0x1040, 0x1048):
        card.user_write(offset, 0xffffffff)
        expect(card.user(offset), 0xfffff000, f"{offset:#x}: 11:0 are reserved")
        card.user_write(offset, 0)
    card.user_write(core.INT_ENABLE, 0xffffffff)
    expect(card.user(core.INT_ENABLE), 0x3f, "INT_ENABLE")
    card.user_write(core.SCRATCH, 0x1234)
    card.user_write(0x2010, 77)
    card.user_write(0x1048, 0x10000)
    Core(card).soft_reset()
    expect(card.user(core.SCRATCH), 0x1234, "SCRATCH after a soft reset")
    expect([card.user(offset) for offset in (core.INT_ENABLE, 0x2010, 0x1048)], [0, 0, 0],
           "INT_ENABLE, a mode register and the window's limit after a soft reset")
    card.reset()
    expect(card.user(core.SCRATCH), 0, "SCRATCH after a bus reset")
    # CONTROL with nothing in it, and with reserved bits, does nothing and is no mistake.
    card.user_write(core.CONTROL, 0xfffffffc)
    expect((card.user(core.CONTROL), card.user(core.ACCESS_ERROR), card.user(core.INT_STATUS)), (0, 0, 0), "reserved bits of CONTROL")


def slots(card):
    """command slots: FIFO_DEPTH x 64 bytes that keep what is written; the rest of their memory and of the results' reads 0"""
    depth = card.user(core.DEPTH)
    for i in range(16 * depth):
        card.user_write(core.SLOTS + 4 * i, 0x01010101 * (i & 0xff) ^ 0xffff0000)
    values = card.client.read_words(USER, list(range(core.SLOTS, core.SLOTS + 0x4000, 4)))
    expect(values[:16 * depth], [0x01010101 * (i & 0xff) ^ 0xffff0000 for i in range(16 * depth)], "slots")
    expect(set(values[16 * depth:]) - {0}, set(), "behind the slots")
    values = card.client.read_words(USER, list(range(core.RESULTS + 32 * depth, core.RESULTS + 0x2000, 4)))
    expect(set(values) - {0}, set(), "behind the result records")


def unassigned(card):
    """every unassigned offset reads 0, nothing but free values reads all-ones, and reading changes nothing"""
    first, second = every_word(card), every_word(card)
    depth = card.user(core.DEPTH)
    assigned = set(range(0, 0x070, 4)) | set(range(0x1000, 0x1050, 4)) | set(MODE_OFFSETS) | set(range(0x3000, 0x3058, 4)) \
        | set(range(core.RESULTS, core.RESULTS + 32 * depth, 4)) | set(range(core.SLOTS, core.SLOTS + 64 * depth, 4))
    for i, (old, new) in enumerate(zip(first, second)):
        offset = 4 * i
        if offset not in assigned and offset not in CMS:
            expect(old, 0, f"unassigned offset {offset:#x}")
        if offset not in MOVING and offset not in CMS:
            expect(new, old, f"{offset:#x} read a second time")
        if old == 0xffffffff:
            check(offset in MODE_OFFSETS or offset in (0x103c, 0x1034) or core.SLOTS <= offset < 0xc000,
                  f"{offset:#x} reads all-ones")


def read_only(card):
    """a write to what is read-only or unassigned does nothing, not even as a refused access"""
    before = every_word(card)
    depth = card.user(core.DEPTH)
    writable = WRITABLE | set(MODE_OFFSETS) | set(range(core.SLOTS, core.SLOTS + 64 * depth, 4))
    for offset in range(0, SIZE, 4):
        if offset not in writable and offset not in CMS and (offset < DENSE or offset % 0x1000 in (0, 4, 0xffc)):
            card.user_write(offset, 0xffffffff)
    after = every_word(card)
    for i, (old, new) in enumerate(zip(before, after)):
        if 4 * i not in MOVING and 4 * i not in CMS:
            expect(new, old, f"{4 * i:#x}")
    expect(card.user(core.ACCESS_ERROR), 0, "ACCESS_ERROR")
    expect(card.user(core.INT_STATUS), 0, "INT_STATUS")


def widths(card):
    """rule 1: a read of another width returns the word's bytes, a write of another width is refused"""
    card.user_write(core.SCRATCH, 0x44332211)
    for offset, size, wanted in ((0x1034, 1, b"\x11"), (0x1035, 1, b"\x22"), (0x1037, 1, b"\x44"), (0x1034, 2, b"\x11\x22"),
                                 (0x1036, 2, b"\x33\x44")):
        expect(card.client.read(USER, offset, size), wanted, f"{size} bytes at {offset:#x}")
    expect(card.client.read(USER, 0x000, 8), struct.pack("<II", 0x52584946, 0x00010000), "8 bytes at 0")
    for offset, data in ((0x1034, b"\xff"), (0x1034, b"\xff\xff"), (0x1034, b"\xff" * 8)):
        card.client.write(USER, offset, data)
        expect(card.user(core.SCRATCH), 0x44332211, f"SCRATCH after {len(data)} bytes")
        expect(card.user(core.ACCESS_ERROR), 0x80001034, f"ACCESS_ERROR after {len(data)} bytes")
        expect(card.user(core.INT_STATUS), core.INT_ACCESS, "INT_STATUS")
        card.user_write(core.INT_STATUS, core.INT_ACCESS)
        expect((card.user(core.ACCESS_ERROR), card.user(core.INT_STATUS)), (0, 0), "both after ACCESS was cleared")
    for offset in (0x1035, 0x1036, 0x2001):
        card.client.write(USER, offset, b"\xff")
        expect(card.user(core.ACCESS_ERROR) & 0x800ffffc, 0x80000000 | offset & ~3, f"ACCESS_ERROR after a byte at {offset:#x}")
        card.user_write(core.INT_STATUS, core.INT_ACCESS)
    expect(card.user(core.SCRATCH), 0x44332211, "SCRATCH")


def refused(card):
    """a refused write: the first one's offset stays, W1C of ACCESS clears it; a write of 0 to INT_STATUS clears nothing"""
    card.user_write(core.DOORBELL, 5)
    expect(card.user(core.ACCESS_ERROR), 0x80001010, "ACCESS_ERROR after a doorbell out of turn")
    card.user_write(core.CONTROL, core.RESUME)
    expect(card.user(core.ACCESS_ERROR), 0x80001010, "ACCESS_ERROR after a second refused write")
    expect(card.user(core.INT_STATUS), core.INT_ACCESS, "INT_STATUS")
    card.user_write(core.INT_STATUS, 0)
    card.user_write(core.INT_STATUS, 0xffffffff & ~core.INT_ACCESS)
    expect((card.user(core.INT_STATUS), card.user(core.ACCESS_ERROR)), (core.INT_ACCESS, 0x80001010), "after other bits were cleared")
    card.user_write(core.INT_STATUS, core.INT_ACCESS)
    expect((card.user(core.INT_STATUS), card.user(core.ACCESS_ERROR)), (0, 0), "after ACCESS was cleared")
    card.user_write(core.CONTROL, core.RESUME)
    expect(card.user(core.ACCESS_ERROR), 0x80001004, "ACCESS_ERROR after RESUME without HALTED")
    Core(card).soft_reset()
    expect((card.user(core.INT_STATUS), card.user(core.ACCESS_ERROR)), (0, 0), "after a soft reset")


def beyond(card):
    """reads across the end of a BAR or of nothing at all are answered, with data or an error, and the card lives on"""
    for region, offset, size in ((0, SIZE - 4, 8), (0, SIZE, 4), (0, (1 << 64) - 4, 4), (1, 0xfffc, 8), (2, 0, 4), (6, 0, 4),
                                 (7, 4094, 4), (8, 0, 4), (9, 0, 4), (0xffffffff, 0, 4), (0, 0, 0), (0, 0, 1 << 30)):
        try:
            card.client.read(region, offset, size)
        except Exception as error:
            check("answered with error" in str(error), f"{size} at {offset:#x} of {region}: {error}")
    expect(card.user(0), 0x52584946, "MAGIC afterwards")


def no_windows():
    """--no-windows: CAPS bit 0 is 0; --memory sets MEMORY_SIZE; --ecc sets CAPS bit 2"""
    card = Card("--no-windows", "--memory", "64M", "--ecc")
    expect(card.user(core.CAPS) & 5, 4, "CAPS")
    expect(card.user64(core.MEMORY_SIZE), 64 << 20, "MEMORY_SIZE")
    card.close()


def main():
    card = Card()
    xdma.ready(card)
    run(epoch_and_cookie, card)
    for test in (identity, reset_values, read_write, slots, unassigned, read_only, widths, refused, beyond):
        card.reset()
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(no_windows)
    finish()


main()
