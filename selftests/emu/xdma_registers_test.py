#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: every register of the emulated XDMA: identifiers, reset values, what can be written, set-by-one and clear-by-one.
Offsets are literals from PG195's register tables"""

import xdma
from emulator import Card
from report import check, expect, finish, run
from xdma import C2H, H2C


def identifiers(card, channels):
    """identifiers: 0x1fc in 31:20, the target in 19:16, the channel in 11:8, version 6 in 7:0"""
    for n in range(4):
        for offset, wanted in ((0x0000, 0x1fc00006), (0x1000, 0x1fc10006), (0x4000, 0x1fc40006), (0x5000, 0x1fc50006)):
            got = card.dma(offset + 0x100 * n)
            if n < channels:
                expect(got, wanted | n << 8, f"identifier at {offset + 0x100 * n:#x}")
            else:
                check(got >> 20 != 0x1fc and got != 0xffffffff, f"channel {n} at {offset:#x}, which is not there, reads {got:#x}")
    expect(card.dma(0x2000), 0x1fc20006, "IRQ block")
    expect(card.dma(0x3000), 0x1fc30006, "config block")
    expect(card.dma(0x6000), 0x1fc60006, "SGDMA common")


def config_block(card):
    """config block (0x3000): system id, 512 bits, relaxed ordering; payload and read request sizes"""
    expect(card.dma(0x3010) & 0xffff, 0xff01, "0x3010 system id")
    expect(card.dma(0x3018) & 7, 3, "0x3018 data width: 3 for 512 bits")
    expect(card.dma(0x301c) & 1, 1, "0x301c relaxed ordering")
    card.dma_write(0x301c, 0)
    expect(card.dma(0x301c) & 1, 0, "0x301c relaxed ordering switched off")
    card.reset()
    expect(card.dma(0x301c) & 1, 1, "0x301c relaxed ordering after a reset")
    for offset, what in ((0x3008, "0x3008 max payload"), (0x300c, "0x300c max read request")):
        check(card.dma(offset) <= 5, f"{what} is {card.dma(offset):#x}")
    # PCI Express device control (capability + 8): 7:5 max payload, 14:12 max read request.
    control = card.capability(0x10) + 8
    card.config_write(control, card.config(control, 2) & ~0x7000 | 0x2000, 2)
    expect(card.dma(0x300c), 2, "0x300c after 512 bytes were written to device control")


def reset_values(card):
    """reset values of all channels: 0, but identifier and alignments; byte alignment, 64 address bits"""
    card.reset()
    for direction in (H2C, C2H):
        for n in range(2):
            base = direction + 0x100 * n
            for offset in (0x04, 0x40, 0x44, 0x48, 0x88, 0x8c, 0x90, 0xc0, 0xc4, 0xc8, 0xcc, 0xd0):
                expect(card.dma(base + offset), 0, f"{base + offset:#x}")
            for offset in (0x80, 0x84, 0x88, 0x8c):
                expect(card.dma(base + 0x4000 + offset), 0, f"{base + 0x4000 + offset:#x}")
            alignments = card.dma(base + 0x4c)
            check(alignments >> 16 & 0xff <= 1 and alignments >> 8 & 0xff <= 1, f"{base + 0x4c:#x} alignments {alignments:#x}")
            expect(alignments & 0xff, 64, f"{base + 0x4c:#x} address bits")
    for offset in (0x2004, 0x2010, 0x2040, 0x2044, 0x2048, 0x204c, 0x2080, 0x2084, 0x2088, 0x208c, 0x20a0, 0x20a4,
                   0x6010, 0x6020, 0x8fe0):
        expect(card.dma(offset), 0, f"{offset:#x}")
    # MSI-X Vector Table and PBA: vector control defaults to all-ones.
    for vector in (0, 31):
        expect([card.dma(0x8000 + 16 * vector + 4 * i) for i in range(4)], [0, 0, 0, 0xffffffff], f"MSI-X vector {vector}")


def control(card):
    """channel control 0x04, set by one 0x08, clear by one 0x0c; reserved bits stay 0"""
    # Run is left out: it starts the channel. Bit 27 concerns streams.
    for direction, bits in ((H2C, 0x06fffe7e), (C2H, 0x06f83e7e)):
        for n in range(2):
            base = direction + 0x100 * n
            card.dma_write(base + 0x04, 0xfffffffe)
            expect(card.dma(base + 0x04) & ~(1 << 27), bits, f"{base + 4:#x} after all-ones without Run")
            card.dma_write(base + 0x0c, 0xfffffffe)
            expect(card.dma(base + 0x04), 0, f"{base + 4:#x} after all was cleared by one")
            card.dma_write(base + 0x08, 0x12)
            card.dma_write(base + 0x08, 0x04)
            expect(card.dma(base + 0x04), 0x16, f"{base + 4:#x} after 0x12 and 0x04 were set by one")
            card.dma_write(base + 0x0c, 0x06)
            expect(card.dma(base + 0x04), 0x10, f"{base + 4:#x} after 0x06 was cleared by one")
            card.dma_write(base + 0x04, 0x08)
            expect(card.dma(base + 0x04), 0x08, f"{base + 4:#x} after a plain write")
            card.dma_write(base + 0x04, 0)
            expect(card.dma(base + 0x40), 0, f"{base + 0x40:#x}: nothing ran")


def mask(card):
    """channel interrupt mask 0x90, set by one 0x94, clear by one 0x98 and not 0x9c"""
    # The tables of 0x90 list no bits for align_mismatch and invalid_length (3 and 5): they may be there or not.
    for direction, bits in ((H2C, 0x00fffe56), (C2H, 0x00f83e56)):
        base = direction + 0x100
        card.dma_write(base + 0x90, 0xffffffff)
        expect(card.dma(base + 0x90) & ~0x28, bits, f"{base + 0x90:#x} after all-ones")
        card.dma_write(base + 0x98, 0xffffffff)
        expect(card.dma(base + 0x90), 0, f"{base + 0x90:#x} after all was cleared by one")
        card.dma_write(base + 0x94, 0x12)
        card.dma_write(base + 0x94, 0x04)
        expect(card.dma(base + 0x90), 0x16, f"{base + 0x90:#x} after bits were set by one")
        card.dma_write(base + 0x9c, 0xffffffff)
        expect(card.dma(base + 0x90), 0x16, f"{base + 0x90:#x} after a write to 0x9c, which is no register")
        card.dma_write(base + 0x98, 0x04)
        expect(card.dma(base + 0x90), 0x12, f"{base + 0x90:#x} after 0x04 was cleared by one")
        card.dma_write(base + 0x90, 0)


def addresses(card):
    """addresses: write-back 0x88 and 0x8c, first descriptor 0x4080 and 0x4084, six bits of adjacent ones in 0x4088"""
    for direction in (H2C, C2H):
        for n in range(2):
            base = direction + 0x100 * n
            for offset in (0x88, 0x8c, 0x4080, 0x4084):
                for value in (0xa5a5a5a0, 0x5a5a5a40, 0):
                    card.dma_write(base + offset, value)
                    expect(card.dma(base + offset), value, f"{base + offset:#x}")
            card.dma_write(base + 0x4088, 0xffffffff)
            expect(card.dma(base + 0x4088), 0x3f, f"{base + 0x4088:#x}")
            card.dma_write(base + 0x4088, 0)


def sgdma_common(card):
    """SGDMA common: halt 0x6010 and credit mode 0x6020, set and cleared by one; credits only in credit mode"""
    for offset in (0x6010, 0x6020):
        card.dma_write(offset + 4, 0xffffffff)
        value = card.dma(offset)
        check(value & 0x00030003 == 0x00030003 and not value & ~0x000f000f, f"{offset:#x} after all-ones is {value:#x}")
        card.dma_write(offset + 8, 0x00010000)
        expect(card.dma(offset), value & ~0x00010000, f"{offset:#x} after one bit was cleared by one")
        card.dma_write(offset + 8, 0xffffffff)
        expect(card.dma(offset), 0, f"{offset:#x} after all was cleared by one")
    card.dma_write(0x408c, 7)
    expect(card.dma(0x408c), 0, "credits without credit mode")
    card.dma_write(0x6024, 1)
    card.dma_write(0x408c, 5)
    card.dma_write(0x408c, 3)
    expect(card.dma(0x408c), 8, "credits: a write adds")
    expect(card.dma(0x508c), 0, "credits of the neighbour")
    card.dma_write(0x6028, 1)
    expect(card.dma(0x408c), 0, "credits when credit mode is switched off")


def irq_block(card):
    """IRQ block: user and channel enables by write, set and clear; vector numbers of five bits"""
    for offset, bits in ((0x2004, None), (0x2010, 0xf)):
        card.dma_write(offset, 0xffffffff)
        value = card.dma(offset)
        if bits is None:
            user_irq = card.user(0x028)  # HARDWARE.md section 5: 0x028 USER_IRQ
            check(value >> user_irq & 1 and not value & ~0xffff, f"{offset:#x} after all-ones is {value:#x}")
        else:
            expect(value, bits, f"{offset:#x} after all-ones")
        card.dma_write(offset + 8, 1)
        expect(card.dma(offset), value & ~1, f"{offset:#x} after bit 0 was cleared by one")
        card.dma_write(offset + 8, 0xffffffff)
        expect(card.dma(offset), 0, f"{offset:#x} after all was cleared by one")
        card.dma_write(offset + 4, value & 1)
        expect(card.dma(offset), value & 1, f"{offset:#x} after bit 0 was set by one")
        card.dma_write(offset + 4, value)
        expect(card.dma(offset), value, f"{offset:#x} after all was set by one")
        card.dma_write(offset, 0)
        expect(card.dma(offset), 0, f"{offset:#x} after a plain write")
    for offset in (0x2080, 0x2084, 0x2088, 0x208c, 0x20a0):
        card.dma_write(offset, 0xffffffff)
        expect(card.dma(offset), 0x1f1f1f1f, f"{offset:#x} after all-ones")
        card.dma_write(offset, 0x03020100)
        expect(card.dma(offset), 0x03020100, f"{offset:#x}")
        card.dma_write(offset, 0)
    for offset in (0x2040, 0x2044, 0x2048, 0x204c):
        card.dma_write(offset, 0xffffffff)
        expect(card.dma(offset), 0, f"{offset:#x}, which is read-only")


def read_only(card):
    """read-only registers keep their values; a reset brings all others back"""
    places = [base + offset for base in (0x0000, 0x0100, 0x1000, 0x1100)
              for offset in (0x00, 0x48, 0x4c, 0xc4, 0xc8, 0xcc, 0xd0)] + [0x2000, 0x3000, 0x3010, 0x3018, 0x4000, 0x5100, 0x6000]
    before = card.client.read_words(1, places)
    for place in places:
        card.dma_write(place, before[places.index(place)] ^ 0xffffffff)
    for place, old, new in zip(places, before, card.client.read_words(1, places)):
        expect(new, old, f"{place:#x} after a write")
    for offset, value in ((0x04, 0x7e), (0x90, 0x7e), (0x88, 0x1000), (0x4080, 0x2000), (0x4088, 5), (0x2010, 0xf), (0x2004, 1),
                          (0x20a0, 0x01020304), (0x6020, 1)):
        card.dma_write(offset, value)
    reset_values(card)


def every_offset(card):
    """every offset of the DMA BAR answers, and only MSI-X vector control with all-ones"""
    offsets = list(range(0, 0x10000, 4))
    values = card.client.read_words(1, offsets)
    for offset, value in zip(offsets, values):
        if value == 0xffffffff:
            check(0x8000 <= offset < 0x8200 and offset % 16 == 12, f"{offset:#x} reads all-ones")
    again = card.client.read_words(1, offsets)
    moved = [hex(offset) for offset, old, new in zip(offsets, values, again) if old != new]
    expect(moved, [], "registers of an idle engine that change by being read")


def widths(card):
    """reads of bytes, halves and eight bytes are answered; the card lives on"""
    word = card.dma(0x3000)
    for size, offset in ((1, 0x3000), (1, 0x3003), (2, 0x3002), (8, 0x3000)):
        data = card.client.read(1, offset, size)
        expect(len(data), size, f"a read of {size}")
    expect(card.dma(0x3000), word, "identifier afterwards")


def counts():
    """one and four channels of each direction"""
    for channels in (1, 4):
        card = Card("--channels", str(channels))
        identifiers(card, channels)
        card.dma_write(0x2010, 0xffffffff)
        expect(card.dma(0x2010), (1 << 2 * channels) - 1, f"channel enables of {channels} + {channels}")
        card.close()


def main():
    card = Card()
    xdma.ready(card)
    run(identifiers, card, 2)
    for test in (config_block, reset_values, control, mask, addresses, sgdma_common, irq_block, read_only, every_offset, widths):
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(counts)
    finish()


main()
