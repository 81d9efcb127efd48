#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the emulated card's strict mode names each doubtful act of a driver, and nothing else"""

import struct

import arena
import core
import xdma
from core import NOP, TRAIN, Core
from emulator import Card, HostMemory
from report import check, expect, finish, run
from xdma import LAST, chain, descriptor


def acts(card):
    return card.ask("strict")["strict"]


def doubtful(card, what, said, function, *arguments):
    """The act, and what strict mode has to say about it, by some of its words. The card is reset behind it."""
    card.reset()
    card.ask("clear")
    expect(acts(card), [], f"{what}: before")
    function(card, *arguments)
    card.client.poll(0.03)
    card.user(0)
    texts = [act["text"] for act in acts(card)]
    check(any(said in text for text in texts), f"{what}: not a word of {said!r} in {texts}")
    card.reset()
    card.ask("clear")


def up(card):
    return xdma.ready(card)[0]


def start(card, data, adjacent=0):
    channel = up(card)
    channel.start(card.memory.place(data, 4096), adjacent)
    channel.wait()


def zero_length(card):
    start(card, descriptor(0, card.memory.place(bytes(64)), card.memory_base, control=LAST))


def run_twice(card):
    channel = up(card)
    pieces = [(1 << 22, card.memory.place(bytes(1 << 22)), card.memory_base)] * 8
    first, adjacent = chain(card.memory, pieces)
    channel.start(first, adjacent)
    channel.write(0x04, channel.enables | 1)
    channel.wait()


def start_before_stopped(card):
    """The address written, Run cleared and set again while the descriptor that is under way waits for its data."""
    channel = up(card)
    far = HostMemory(card.client, 0x6_0000_0000, 4096, with_fd=False)
    card.client.on_read = lambda address, count: far.get(address, count)
    first, adjacent = chain(card.memory, [(64, far.address, card.memory_base)])
    card.client.hold = True
    channel.start(first, adjacent)
    card.client.poll(10)
    channel.sgdma_write(0x80, first & 0xffffffff)
    channel.write(0x0c, 1)
    channel.write(0x08, 1)
    card.client.release()
    channel.wait()
    far.remove()


def inner_link(card):
    """Nxt_adj that is neither 0 nor what is left of the block."""
    source, at = card.memory.place(bytes(64)), card.memory.allocate(4096, 4096) + card.memory.address
    card.memory.put(at, b"".join(descriptor(64, source, card.memory_base, at + 32 * (i + 1), 9 if i == 1 else max(2 - i, 0),
                                            LAST if i == 3 else 0) for i in range(4)))
    channel = up(card)
    channel.start(at, 3)
    channel.wait()


def unmapped(card, direction):
    channels = xdma.ready(card)
    channel = channels[0] if direction == xdma.H2C else channels[2]
    ends = (0x7_0000_0000, card.memory_base) if direction == xdma.H2C else (card.memory_base, 0x7_0000_0000)
    first, adjacent = chain(card.memory, [(64, *ends)])
    channel.start(first, adjacent)
    channel.wait()


def unmapped_descriptor(card):
    channel = up(card)
    channel.start(0x7_0000_0000)
    channel.wait()


def no_bus_master(card):
    channel = up(card)
    first, adjacent = chain(card.memory, [(64, card.memory.place(bytes(64)), card.memory_base)])
    card.config_write(4, 2, 2)
    channel.start(first, adjacent)


def crosses_page(card):
    page = card.memory.address + card.memory.allocate(8192, 4096)
    source = card.memory.place(bytes(64))
    at = page + 4096 - 32
    card.memory.put(at, descriptor(64, source, card.memory_base, at + 32) + descriptor(64, source, card.memory_base, control=LAST))
    channel = up(card)
    channel.start(at, 1)
    channel.wait()


def misaligned_descriptor(card):
    at = card.memory.place(bytes(16) + descriptor(64, card.memory.place(bytes(64)), 0, control=LAST), 4096)
    channel = up(card)
    channel.start(at + 16)
    channel.wait()


def card_address(card):
    channel = up(card)
    channel.run([(64, card.memory.place(bytes(64)), card.memory_base + card.user64(0x010))])


def narrow(card, region, offset, data):
    card.client.write(region, offset, data)


def narrow_read(card, region, offset):
    card.client.read(region, offset, 1)


def write(card, region, offset, value):
    card.client.write(region, offset, struct.pack("<I", value))


LONG = arena.Layout(17, 6, (400, 300))


def busy_core(card):
    xdma.ready(card)
    card.poke(0, LONG.image(batch_max=512)[:4096 + 832])
    device = Core(card)
    device.window(0, 16 << 20)
    device.modes()
    device.submit(TRAIN, count=512, input=arena.up(LONG.end))
    return device


def while_busy(card, offset):
    device = busy_core(card)
    card.user_write(offset, card.user(offset))
    device.wait(60)


def while_resetting(card):
    """RESETTING lasts only as long as something is outstanding."""
    busy_core(card)
    card.user_write(core.CONTROL, core.SOFT_RESET)
    for _ in range(20):
        card.user_write(core.DOORBELL, 1)


def slot_in_use(card):
    device = busy_core(card)
    card.user_write(device.slot(device.seq) + 8, 1)
    device.wait(60)


def wrong_doorbell(card):
    card.user_write(core.DOORBELL, 7)


def without_memory_space(card):
    card.config_write(4, 4, 2)
    card.client.read(0, 0, 4)


def silent(card):
    """a driver that does everything right is not reported: probe, transfers, commands, interrupts, resets"""
    card.reset()
    card.ask("clear")
    channels = xdma.ready(card)
    card.msix(5)
    card.dma_write(0x200c, 0xffff)
    card.dma_write(0x2018, 0xff)
    for channel in channels:
        channel.write(0x0c, 1)
        channel.write(0x0c, 1 << 25)
        channel.read(0x4c)
        channel.read(0x44)
        channel.write(0x90, channel.enables)
    card.dma_write(0x20a0, 0x03020100)
    card.dma_write(0x2080, 4)
    card.dma_write(0x2014, 0xf)
    card.dma_write(0x2008, 1)
    host = card.memory.place(bytes(100000))
    for block in (1, 32):
        channels[0].run([(777, host + 1000 * i, card.memory_base + 999 * i) for i in range(65)], block)
        channels[2].run([(777, card.memory_base + 999 * i, host + 1000 * i) for i in range(65)], block)
    device = Core(card)
    small = arena.Layout(3, 1, (8, 6))
    card.poke(0, small.image())
    device.window(0, 65536)
    device.modes()
    card.user_write(core.INT_ENABLE, 0x3f)
    device.do(NOP, flags=core.INTERRUPT)
    device.do(TRAIN, count=4, input=arena.up(small.end))
    card.user_write(core.INT_STATUS, 1)
    device.soft_reset()
    # A client's mistakes are no driver's.
    device.window(0, 65536)
    device.modes()
    device.fail(TRAIN, count=4, input=64)
    card.reset()
    expect(acts(card), [], "doubtful acts")


def mainline(card):
    """what mainline's driver leaves in its descriptors is not reported: inner Nxt_adj 0 with any next, bits of absent channels"""
    card.reset()
    card.ask("clear")
    channel = up(card)
    source, at = card.memory.place(bytes(64)), card.memory.allocate(4096, 4096) + card.memory.address
    card.memory.put(at, b"".join(descriptor(64, source, card.memory_base, 0xa9a9a9a9a9a9a9a9, 0, LAST if i == 3 else 0)
                                 for i in range(4)))
    card.dma_write(0x2018, 0xffffffff)
    card.dma_write(0x2014, 0xffffffff)
    card.dma_write(0x1004, 0x00fffe1e)
    card.dma_write(0x1004, 0)
    for n in range(4):
        card.dma(0x100 * n)
        card.dma(0x1000 + 0x100 * n)
    channel.start(at, 3)
    channel.wait()
    expect(acts(card), [], "doubtful acts")


def survives(card):
    """the list survives the client's going; `clear` empties it"""
    card.ask("clear")
    wrong_doorbell(card)
    card.user(0)
    card.disconnect()
    check(acts(card), "the list is empty after the client went")
    card.ask("clear")
    expect(acts(card), [], "after clear")
    card.connect()


def option():
    """--strict: a doubtful act makes the exit status other than 0 and is said on stderr; without one it is 0"""
    card = Card("--strict")
    xdma.ready(card)
    expect(card.close(), 0, "exit status without a doubtful act")
    card = Card("--strict")
    xdma.ready(card)
    wrong_doorbell(card)
    card.user(0)
    said = card.emulator.said()
    check(card.close() not in (0, -15, -9), "exit status 0 after a doubtful act")
    check(said.strip(), "nothing on stderr")


ACTS = (
    ("a descriptor of length 0", "0 bytes", zero_length), ("Run while it is on", "Run is on", run_twice),
    ("an address that is written while the channel is busy", "address is written", start_before_stopped),
    ("a start before the channel has stopped", "a start while the channel is busy", start_before_stopped),
    ("a disagreeing inner link", "disagrees", inner_link), ("H2C from what is not mapped", "not all are mapped", unmapped, xdma.H2C),
    ("C2H to what is not mapped", "not all are mapped", unmapped, xdma.C2H),
    ("descriptors where nothing is mapped", "not mapped", unmapped_descriptor),
    ("DMA without bus mastering", "bus mastering", no_bus_master),
    ("a block of descriptors across 4 KiB", "crosses 4 KiB", crosses_page),
    ("a descriptor that is not aligned to 32", "not aligned", misaligned_descriptor),
    ("a card address without memory", "card memory", card_address),
    ("a byte written to the core", "no aligned word", narrow, 0, 0x1034, b"\1"),
    ("a byte written to the DMA engine", "no aligned word", narrow, 1, 0x2004, b"\1"),
    ("eight bytes written to the core", "no aligned word", narrow, 0, 0x1030, bytes(8)),
    ("a byte read from the DMA engine", "no aligned word", narrow_read, 1, 0x40),
    ("a word across two words", "no aligned word", narrow, 0, 0x1032, bytes(4)),
    ("a write to an unassigned offset of the core", "0x6000", write, 0, 0x6000, 1),
    ("a write to a read-only register", "no register", write, 0, 0x000, 1),
    ("a write to 0x9c of a channel", "0x9c", write, 1, 0x9c, 1),
    ("a write to the window while busy", "window", while_busy, 0x1048),
    ("a write to a mode register while busy", "mode", while_busy, 0x2024),
    ("a write to a slot in use", "slot", slot_in_use), ("a doorbell out of turn", "next number", wrong_doorbell),
    ("a doorbell while RESETTING", "soft reset", while_resetting),
    ("an access with memory space off", "memory space", without_memory_space),
)


def main():
    card = Card()
    xdma.ready(card)
    run(silent, card)
    run(mainline, card)
    for what, said, function, *arguments in ACTS:
        run(doubtful, card, what, said, function, *arguments, name=what)
    run(survives, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(option)
    finish()


main()
