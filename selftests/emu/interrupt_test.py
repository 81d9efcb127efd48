#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: interrupts of the emulated card's channels: pending, request, enables, vector numbers, messages by MSI-X and MSI
(PG195: chapter "Interrupts", tables "IRQ Block ...")"""

import os

import vfio_user
import xdma
from core import INT_COMPLETED, INT_ENABLE, INT_STATUS, INTERRUPT, NOP, USER_IRQ, Core
from emulator import Card
from report import check, expect, finish, run
from xdma import C2H, H2C, Channel, chain

# IRQ Block: 0x10 channel enable, 0x14 set, 0x18 clear; 0x44 channel request, 0x4c channel pending; 0xa0, 0xa4 channel vectors.
ENABLE, SET, CLEAR, REQUEST, PENDING, VECTORS = 0x2010, 0x2014, 0x2018, 0x2044, 0x204c, 0x20a0


def channels(card, count=2):
    """H2C channels are bits 0 and up, the C2H channels follow directly after the last H2C channel there is."""
    return [Channel(card, H2C, n) for n in range(count)] + [Channel(card, C2H, n) for n in range(count)]


def piece(channel, host):
    base = channel.card.memory_base
    return (64, host, base) if channel.direction == H2C else (64, base, host)


def start(channel, mask=None):
    """One transfer of 64 bytes with the channel's mask (0x90) as given, else all of it."""
    card = channel.card
    channel.write(0x90, channel.enables if mask is None else mask)
    channel.start(*chain(card.memory, [piece(channel, card.memory.place(bytes(64)))]))


def vectors(card, numbers):
    """Tables "IRQ Block Channel Vector Number (0xA0)" and "(0xA4)": four of 5 bits each, one in a byte."""
    for first in range(0, len(numbers), 4):
        part = numbers[first:first + 4]
        card.dma_write(VECTORS + first, sum(number << 8 * i for i, number in enumerate(part)))


def each_vector(card):
    """each channel's message has the vector that 0xa0 names, once; pending and request show its bit until 0x44 is read"""
    card.msix(8)
    wanted = [6, 1, 0, 3]
    vectors(card, wanted)
    card.dma_write(SET, 0xf)
    for bit, channel in enumerate(channels(card)):
        start(channel)
        expect(card.wait_fired(wanted[bit]), 1, f"channel {bit}: events of vector {wanted[bit]}")
        expect((card.dma(PENDING), card.dma(REQUEST)), (1 << bit, 1 << bit), f"channel {bit}: pending and request")
        expect(card.quiet(), {}, f"channel {bit}: other events")
        channel.read(0x40)
        expect(card.dma(PENDING), 1 << bit, "pending after 0x40 was read")
        channel.read(0x44)
        expect((card.dma(PENDING), card.dma(REQUEST)), (0, 0), f"channel {bit}: pending and request after 0x44 was read")
    expect(card.quiet(), {}, "events in the end")


def enables(card):
    """without the channel's enable nothing is sent, but pending shows; setting the enable sends it (0x2014)"""
    card.msix(8)
    vectors(card, [0, 1, 2, 3])
    for bit, channel in enumerate(channels(card)):
        start(channel)
        while not channel.idle():
            pass
        expect(card.quiet(0.02), {}, f"channel {bit}: events without enable")
        expect((card.dma(PENDING), card.dma(REQUEST)), (1 << bit, 0), f"channel {bit}: pending and request")
        card.dma_write(SET, 1 << bit)
        expect(card.wait_fired(bit), 1, f"channel {bit}: events after the enable was set")
        expect(card.dma(REQUEST), 1 << bit, f"channel {bit}: request")
        # The vendor's handler masks the channel, works, and unmasks it: while the cause is there, that is a new message.
        card.dma_write(CLEAR, 1 << bit)
        expect(card.dma(REQUEST), 0, f"channel {bit}: request without enable")
        card.dma_write(SET, 1 << bit)
        expect(card.wait_fired(bit), 1, f"channel {bit}: events after clear and set")
        channel.write(0x40, 0xfffffe)
        expect(card.dma(PENDING), 0, f"channel {bit}: pending after the status was written as ones")
        card.dma_write(CLEAR, 1 << bit)
        card.dma_write(SET, 1 << bit)
        expect(card.quiet(0.02), {}, f"channel {bit}: events without a cause")


def masks(card):
    """the channel's mask (0x90) picks the status bits that interrupt; it acts at once"""
    card.msix(8)
    vectors(card, [0, 1, 2, 3])
    card.dma_write(SET, 0xf)
    channel = channels(card)[0]
    for mask, fires in ((0, False), (1 << 1, True), (1 << 2, True), (1 << 4 | 1 << 9 | 1 << 19, False)):
        start(channel, mask)
        while not channel.idle():
            pass
        expect(card.wait_fired(0, 0.05 if not fires else 5), int(fires), f"events with mask {mask:#x}")
        expect(card.dma(PENDING) & 1, int(fires), f"pending with mask {mask:#x}")
        if not fires:
            channel.write(0x94, 1 << 2)
            expect(card.wait_fired(0), 1, "events after bit 2 of the mask was set")
            channel.write(0x98, 1 << 2)
            expect(card.dma(PENDING), 0, "pending after it was cleared")
        channel.read(0x44)
    # An error: bad magic.
    channel.write(0x90, 1 << 4)
    channel.start(card.memory.place(xdma.descriptor(64, 0, 0, magic=1), 32))
    expect(card.wait_fired(0), 1, "events after bad magic with bit 4 in the mask")
    channel.read(0x44)
    # Unlogged is uninterrupted: without the enable in control the mask is of no use.
    channel.write(0x90, 1 << 4)
    channel.start(card.memory.place(xdma.descriptor(64, 0, 0, magic=1), 32), control=1)
    expect(card.wait_fired(0, 0.05), 0, "events after bad magic without ie_magic_stopped")


def shared_vector(card):
    """all vector numbers 0: one event line; 0x2044 and 0x2040 say who it was"""
    card.msix(1)
    card.dma_write(SET, 0xf)
    line = 1 << card.user(USER_IRQ)
    card.dma_write(0x2008, line)
    card.user_write(INT_ENABLE, 1)
    everyone = channels(card)
    start(everyone[1])
    expect(card.wait_fired(0), 1, "events of one channel")
    start(everyone[2])
    expect(card.wait_fired(0), 1, "events of another one, with the first still pending")
    Core(card).do(NOP, flags=INTERRUPT)
    expect(card.wait_fired(0), 1, "events of the core")
    expect((card.dma(REQUEST), card.dma(0x2040)), (0b0110, line), "requests")
    for channel in everyone:
        channel.read(0x44)
    card.user_write(INT_STATUS, INT_COMPLETED)
    expect((card.dma(REQUEST), card.dma(0x2040)), (0, 0), "requests in the end")


def latched(card):
    """an interrupt of a vector that has no event yet is delivered when the event comes"""
    card.client.set_irqs(vfio_user.MSIX, 0, 0)
    card.msix(2)
    vectors(card, [5, 5, 5, 5])
    card.dma_write(SET, 0xf)
    channel = channels(card)[0]
    start(channel)
    while not channel.idle():
        pass
    expect(card.quiet(0.02), {}, "events")
    card.give_event(vfio_user.MSIX, 5)
    expect(card.wait_fired(5), 1, "events after the vector got its event")
    channel.read(0x44)


def disabled(card):
    """after SET_IRQS took the events away (flags 0x21, count 0) nothing is sent to them"""
    card.msix(4)
    vectors(card, [0, 1, 2, 3])
    card.dma_write(SET, 0xf)
    card.client.set_irqs(vfio_user.MSIX, 0, 0)
    channel = channels(card)[0]
    start(channel)
    while not channel.idle():
        pass
    expect(card.quiet(0.02), {}, "events")
    channel.read(0x44)


def bad_irqs(card):
    """SET_IRQS for what is not there is an error, and takes no event away"""
    card.msix(2)
    vectors(card, [0, 1, 2, 3])
    card.dma_write(SET, 0xf)
    event = os.eventfd(0)
    for index, first, count, fds, flags in ((2, 32, 1, [event], 0x24), (2, 31, 2, [event, event], 0x24), (2, 0xffffffff, 2, [event], 0x24),
                                            (5, 0, 1, [event], 0x24), (0xffffffff, 0, 1, [event], 0x24), (2, 0, 2, [event], 0x24),
                                            (2, 0, 1, [event], 0x25), (2, 0, 1 << 31, [], 0x24), (3, 0, 1, [event], 0x24)):
        try:
            card.client.set_irqs(index, first, count, fds, flags)
        except vfio_user.Refused:
            continue
        check(False, f"index {index}, {count} from {first}, flags {flags:#x} is taken")
    os.close(event)
    channel = channels(card)[1]
    start(channel)
    expect(card.wait_fired(1), 1, "events afterwards")
    channel.read(0x44)


def one_channel():
    """one channel of each direction: C2H channel 0 is bit 1, its vector in 0xa0 12:8"""
    card = Card("--channels", "1")
    xdma.ready(card)
    card.msix(8)
    vectors(card, [2, 7])
    card.dma_write(SET, 3)
    start(Channel(card, C2H, 0))
    expect(card.wait_fired(7), 1, "events of vector 7")
    expect(card.dma(PENDING), 2, "pending")
    card.close()


def four_channels():
    """four channels of each direction: C2H channel 0 is bit 4, its vector in 0xa4 4:0"""
    card = Card("--channels", "4")
    xdma.ready(card)
    card.msix(10)
    vectors(card, [0, 1, 2, 3, 7, 6, 5, 4])
    card.dma_write(SET, 0xff)
    for n in range(4):
        channel = Channel(card, C2H, n)
        start(channel)
        expect(card.wait_fired(7 - n), 1, f"C2H {n}: events of vector {7 - n}")
        expect(card.dma(PENDING), 0x10 << n, f"C2H {n}: pending")
        channel.read(0x44)
    card.close()


def msi():
    """--msi: one message for all"""
    card = Card("--msi")
    xdma.ready(card)
    card.msi()
    card.dma_write(SET, 0xf)
    for channel in channels(card):
        start(channel)
        expect(card.wait_fired(0), 1, "events")
        channel.read(0x44)
    expect(card.close(), 0, "exit status")


def main():
    card = Card()
    xdma.ready(card)
    for test in (each_vector, enables, masks, shared_vector, latched, disabled, bad_irqs):
        card.reset()
        for event in card.events.values():
            os.close(event)
        card.events = {}
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    for test in (one_channel, four_channels, msi):
        run(test)
    finish()


main()
