# SPDX-License-Identifier: MIT
"""The host's side of AMD's XDMA, with numbers taken from PG195 (DMA/Bridge Subsystem for PCI Express, v4.1 and 4.2), each with
its place. Nothing here comes from the headers of driver and emulator: what both misread alike has to show.

Addresses of the DMA BAR, PG195 "Register Space": bits 15:12 target, 11:8 channel, 7:0 byte offset.
"""

import struct

from report import wait

# "PCIe to DMA Address Map": targets 0x0 H2C channels, 0x1 C2H channels, 0x4 and 0x5 their SGDMA blocks.
H2C, C2H = 0x0000, 0x1000
SGDMA = 0x4000  # from a channel's block to its SGDMA block

# Tables "H2C Channel Register Space" and "C2H Channel Register Space".
CONTROL, CONTROL_W1S, CONTROL_W1C = 0x04, 0x08, 0x0c
STATUS, STATUS_CLEAR, COMPLETED, ALIGNMENTS = 0x40, 0x44, 0x48, 0x4c
WRITEBACK_LOW, WRITEBACK_HIGH = 0x88, 0x8c
MASK, MASK_W1S, MASK_W1C = 0x90, 0x94, 0x98
PERFORMANCE, CYCLES_LOW, CYCLES_HIGH, DATA_LOW, DATA_HIGH = 0xc0, 0xc4, 0xc8, 0xcc, 0xd0

# Tables "H2C SGDMA Register Space": 0x4080 descriptor address low, 0x4084 high, 0x4088 adjacent, 0x408c credits.
FIRST_LOW, FIRST_HIGH, ADJACENT, CREDITS = 0x80, 0x84, 0x88, 0x8c

# Table "H2C Channel Status (0x40)"; the C2H channel's where it differs.
BUSY, STOPPED, DONE, ALIGN, MAGIC, LENGTH, IDLE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6
READ_UNSUPPORTED = 1 << 9     # H2C read_error[0]: unsupported request
CARD_READ_DECODE = 1 << 9     # C2H read_error[0]: decode error
CARD_READ_SLAVE = 1 << 10     # C2H read_error[1]: slave error
CARD_WRITE_DECODE = 1 << 14   # H2C write_error[0]: decode error
CARD_WRITE_SLAVE = 1 << 15    # H2C write_error[1]: slave error
FETCH_UNSUPPORTED = 1 << 19   # descr_error[0]: unsupported request

# Table "H2C Channel Control (0x04)": run, and all enables: 1 to 6, read errors 13:9, write errors 18:14 (H2C alone), descriptor
# errors 23:19.
RUN = 1
ENABLES = {H2C: 0x00fffe7e, C2H: 0x00f83e7e}
POLL_WRITEBACK = 1 << 26

# Descriptor, chapter "Descriptors" (the same in PG344): magic 0xad4b in 31:16, Nxt_adj 13:8, control 7:0 with Stop 0, Completed 1,
# EOP 4; then 28 bits of length, source, destination, next.
STOP, COMPLETE, EOP = 1, 2, 16
LAST = STOP | COMPLETE


def descriptor(length, source, destination, following=0, adjacent=0, control=0, magic=0xad4b):
    return struct.pack("<IIQQQ", magic << 16 | adjacent << 8 | control, length, source, destination, following)


def chain(memory, pieces, block=32, last=LAST, every=0):
    """Descriptors for (length, source, destination), in blocks of adjacent ones, each inside a page. Nxt_adj counts down to 0
    at the last but one; the last names the next block. Returns the first address and its number of extra adjacent descriptors.
    """
    blocks = [pieces[i:i + block] for i in range(0, len(pieces), block)]
    align = 1 << (block * 32 - 1).bit_length() if block > 1 else 32
    addresses = [memory.address + memory.allocate(32 * len(part), align) for part in blocks]
    for number, part in enumerate(blocks):
        data = b""
        for i, (length, source, destination) in enumerate(part):
            if i + 1 < len(part):
                following, adjacent = addresses[number] + 32 * (i + 1), max(len(part) - 2 - i, 0)
            elif number + 1 < len(blocks):
                following, adjacent = addresses[number + 1], len(blocks[number + 1]) - 1
            else:
                following, adjacent = 0, 0
            control = last if number + 1 == len(blocks) and i + 1 == len(part) else every
            data += descriptor(length, source, destination, following, adjacent, control)
        memory.put(addresses[number], data)
    return addresses[0], len(blocks[0]) - 1


class Channel:
    def __init__(self, card, direction, number=0):
        self.card, self.direction = card, direction
        self.base = direction + 0x100 * number
        self.enables = ENABLES[direction]

    def read(self, register):
        return self.card.dma(self.base + register)

    def write(self, register, value):
        self.card.dma_write(self.base + register, value)

    def sgdma(self, register):
        return self.card.dma(self.base + SGDMA + register)

    def sgdma_write(self, register, value):
        self.card.dma_write(self.base + SGDMA + register, value)

    def start(self, first, adjacent=0, control=None):
        """PG195, "H2C Flow": address and number of adjacent descriptors, then Run."""
        self.write(CONTROL_W1C, RUN)
        self.sgdma_write(FIRST_LOW, first & 0xffffffff)
        self.sgdma_write(FIRST_HIGH, first >> 32)
        self.sgdma_write(ADJACENT, adjacent)
        self.write(CONTROL, self.enables | RUN if control is None else control)

    def idle(self):
        return not self.read(STATUS) & BUSY

    def wait(self, seconds=60.0):
        """Waits for the end. Returns status and completed count; the status is cleared."""
        wait(self.idle, f"channel {self.base:#06x} stays busy", seconds)
        return self.read(STATUS_CLEAR), self.read(COMPLETED)

    def run(self, pieces, block=32, control=None):
        first, adjacent = chain(self.card.memory, pieces, block)
        self.start(first, adjacent, control)
        return self.wait()

    def one(self, data_or_size, card_address):
        """One transfer: bytes to card memory, or that many from it."""
        memory, base = self.card.memory, self.card.memory_base
        if self.direction == H2C:
            source = memory.place(data_or_size)
            status, count = self.run([(len(data_or_size), source, base + card_address)])
        else:
            target = memory.address + memory.allocate(data_or_size)
            status, count = self.run([(data_or_size, base + card_address, target)])
        if (status & ~IDLE, count) != (STOPPED | DONE, 1):
            raise AssertionError(f"a transfer ended with status {status:#x}, {count} descriptors")
        return None if self.direction == H2C else memory.get(target, data_or_size)


def ready(card):
    """The four channels of the usual card, and the AXI address of its memory (HARDWARE.md section 5: 0x018 MEMORY_BASE)."""
    card.memory_base = card.user64(0x018)
    return Channel(card, H2C, 0), Channel(card, H2C, 1), Channel(card, C2H, 0), Channel(card, C2H, 1)
