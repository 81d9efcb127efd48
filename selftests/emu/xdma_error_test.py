#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: what stops a transfer of the emulated XDMA, and which status bit says so; how it is stopped; that nothing
completes inside the write that starts it; what the card may reach of the host's memory"""

import os
import time

import vfio_user
import xdma
from emulator import Card, HostMemory
from report import check, expect, finish, run, same_bytes, wait
from xdma import BUSY, DONE, H2C, IDLE, LAST, MAGIC, RUN, STOPPED, chain, descriptor

UNMAPPED = 0x7_0000_0000


def ended(result, count, status, what):
    expect(result[0] & ~IDLE, status, f"{what}: status")
    expect(result[1], count, f"{what}: completed descriptors")


def good_again(card, channel, what):
    """After an error the next start works."""
    data = os.urandom(256)
    if channel.direction == H2C:
        channel.one(data, 0x9000)
        same_bytes(card.peek(0x9000, 256), data, f"the transfer after {what}")
    else:
        card.poke(0x9000, data)
        same_bytes(channel.one(256, 0x9000), data, f"the transfer after {what}")


def magic(card, up, down):
    """bad magic: bit 4, the run ends before that descriptor; without its enable it ends unlogged"""
    for channel in (up, down):
        host = card.memory.place(bytes(256))
        ends = (host, card.memory_base) if channel is up else (card.memory_base, host)
        for wrong in (0, 0xad4a, 0xad5b, 0x2d4b, 0x4bad):
            first, adjacent = chain(card.memory, [(64, *ends)] * 4)
            card.memory.put(first + 66, wrong.to_bytes(2, "little"))
            channel.start(first, adjacent)
            ended(channel.wait(), 2, MAGIC, f"magic {wrong:#x} in the third")
        channel.start(first, adjacent, channel.enables & ~MAGIC | RUN)
        ended(channel.wait(), 2, 0, "the same without ie_magic_stopped")
        good_again(card, channel, "bad magic")


def page_crossing(card, up, down):
    """a block of adjacent descriptors that crosses 4 KiB is not read as meant: magic_stopped (vendor's bug for years)"""
    page = card.memory.address + card.memory.allocate(8192, 4096)
    source = card.memory.place(bytes(64))
    card.ask("clear")
    block = page + 4096 - 64
    card.memory.put(block, b"".join(descriptor(64, source, card.memory_base, block + 32 * (i + 1), max(2 - i, 0),
                                               LAST if i == 3 else 0) for i in range(4)))
    up.start(block, 3)
    status, count = up.wait()
    expect(status & MAGIC, MAGIC, "status")
    check(count <= 2, f"{count} descriptors completed, though the page ends behind two")
    check(card.ask("strict")["strict"], "strict mode says nothing")
    good_again(card, up, "a block across pages")


def fetch(card, up, down):
    """descriptors that cannot be fetched: bit 19; so does address 0 as the next one without Stop"""
    for channel in (up, down):
        channel.start(UNMAPPED)
        ended(channel.wait(), 0, 1 << 19, "first descriptor outside what is mapped")
        host = card.memory.place(bytes(64))
        ends = (host, card.memory_base) if channel is up else (card.memory_base, host)
        first, _ = chain(card.memory, [(64, *ends)], last=0)
        channel.start(first)
        ended(channel.wait(), 1, 1 << 19, "no Stop, and next is 0")
        good_again(card, channel, "a descriptor that could not be fetched")


def host_reads(card, up, down):
    """H2C from what is not mapped, or only in part, or not for reading: bit 9"""
    edge = card.memory.address + card.memory.size
    for source, size, what in ((UNMAPPED, 64, "unmapped"), (edge - 64, 128, "half of it mapped"), (edge - 4096, 8192, "a page")):
        ended(up.run([(size, source, card.memory_base)]), 0, 1 << 9, what)
    closed = HostMemory(card.client, 0x5_0000_0000, 8192, flags=2)
    ended(up.run([(64, closed.address, card.memory_base)]), 0, 1 << 9, "mapped for writing alone")
    closed.remove()
    ended(up.run([(64, 0x5_0000_0000, card.memory_base)]), 0, 1 << 9, "no longer mapped")
    ended(up.run([(64, (1 << 64) - 32, card.memory_base)]), 0, 1 << 9, "around the end of the address space")
    good_again(card, up, "a read that failed")


def host_writes(card, up, down):
    """C2H to what is not mapped for writing writes nothing, and the channel lives on"""
    card.poke(0, b"\x11" * 4096)
    closed = HostMemory(card.client, 0x5_0000_0000, 8192, flags=1)
    for target in (closed.address, UNMAPPED):
        first, adjacent = chain(card.memory, [(64, card.memory_base, target)])
        down.start(first, adjacent)
        wait(down.idle, "busy")
        down.read(0x44)
        same_bytes(closed.bytes[:8192], bytes(8192), "memory mapped for reading alone")
    closed.remove()
    edge = card.memory.address + card.memory.size - 64
    card.memory.put(edge, bytes(64))
    first, adjacent = chain(card.memory, [(128, card.memory_base, edge)])
    down.start(first, adjacent)
    wait(down.idle, "busy")
    down.read(0x44)
    good_again(card, down, "a write that failed")


def card_addresses(card, up, down):
    """card addresses without memory: H2C bit 14, C2H bit 9; also where a transfer leaves the memory in its middle"""
    size = card.user64(0x010)  # HARDWARE.md section 5: MEMORY_SIZE
    end = card.memory_base + size
    host = card.memory.place(bytes(8192))
    places = [(end, 64, "just behind"), (end - 64, 128, "across the end"), ((1 << 64) - 4096, 4096, "the last page of all"),
              (end + (1 << 40), 64, "far behind")]
    if card.memory_base:
        places.append((card.memory_base - 64, 64, "just before"))
    for address, count, what in places:
        ended(up.run([(count, host, address)]), 0, 1 << 14, f"H2C {what}")
        ended(down.run([(count, address, host)]), 0, 1 << 9, f"C2H {what}")
    ended(up.run([(64, host, card.memory_base), (64, host, end), (64, host, card.memory_base)]), 1, 1 << 14, "the second of three")
    up.one(b"x" * 64, size - 64)
    good_again(card, up, "a card address without memory")
    good_again(card, down, "a card address without memory")


def not_busy_in_the_write(card, up, down):
    """nothing completes inside the write that started it: the engine waits for the host's memory, registers answer"""
    data = os.urandom(192)
    # Memory without a file descriptor: the card has to ask for it, and the answer is held back.
    far = HostMemory(card.client, 0x6_0000_0000, 1 << 16, with_fd=False)
    far.bytes[:192] = data
    card.client.on_read = lambda address, count: far.get(address, count)
    card.client.on_write = lambda address, written: far.put(address, written) or True
    first, adjacent = chain(card.memory, [(64, far.address + 64 * i, card.memory_base + 0x8000 + 64 * i) for i in range(3)])
    card.poke(0x8000, bytes(192))
    card.client.hold = True
    up.start(first, adjacent)
    for _ in range(50):
        expect(up.read(0x40), BUSY, "status while the data are missing")
        expect(up.read(0x48), 0, "count while the data are missing")
    card.client.poll(5)
    check(card.client.held, "the card did not ask for memory that has no file descriptor")
    expect(up.read(0x40), BUSY, "status while the card waits for its answer")
    card.client.release()
    ended(up.wait(), 3, STOPPED | DONE, "after the answers")
    same_bytes(card.peek(0x8000, 192), data, "card memory")
    target = far.address + 4096
    ended(down.run([(192, card.memory_base + 0x8000, target)]), 1, STOPPED | DONE, "down to such memory")
    same_bytes(far.get(target, 192), data, "memory without a file descriptor")
    # Descriptors there, too.
    far.put(far.address + 8192, descriptor(64, far.address, card.memory_base, control=LAST))
    up.start(far.address + 8192)
    ended(up.wait(), 1, STOPPED | DONE, "a descriptor there")
    # An error as the answer is as if nothing were mapped.
    card.client.on_read = lambda address, count: None
    ended(up.run([(64, far.address, card.memory_base)]), 0, 1 << 9, "an error as the answer")
    far.remove()


def stop(card, up, down):
    """stop: Run cleared in mid transfer ends it after the current descriptor: bit 6, busy 0, count so far"""
    far = HostMemory(card.client, 0x6_0000_0000, 1 << 16, with_fd=False)
    card.client.on_read = lambda address, count: far.get(address, count)
    far.bytes[:192] = b"\x99" * 192
    card.poke(0x8000, bytes(192))
    first, adjacent = chain(card.memory, [(64, far.address + 64 * i, card.memory_base + 0x8000 + 64 * i) for i in range(3)])
    card.client.hold = True
    up.start(first, adjacent)
    card.client.poll(5)
    check(card.client.held, "the card did not ask for memory that has no file descriptor")
    up.write(0x0c, RUN)
    expect(up.read(0x40) & BUSY, BUSY, "busy after Run was cleared, with a descriptor under way")
    card.client.release()
    status, count = up.wait()
    expect(status, IDLE, "status")
    expect(count, 1, "completed descriptors")
    same_bytes(card.peek(0x8000, 192), b"\x99" * 64 + bytes(128), "card memory")
    # Without ie_idle_stopped the same is not logged.
    card.client.hold = True
    up.start(first, adjacent, up.enables & ~IDLE | RUN)
    card.client.poll(5)
    up.write(0x0c, RUN)
    card.client.release()
    status, count = up.wait()
    expect((status, count), (0, 1), "status and count without ie_idle_stopped")
    far.remove()
    good_again(card, up, "a stop")
    # Clearing Run of an idle channel does nothing.
    up.write(0x0c, RUN)
    expect(up.read(0x40) & ~IDLE, 0, "status of an idle channel")


def endless(card, up, down):
    """a list without an end runs until it is stopped, and registers answer meanwhile"""
    source = card.memory.place(bytes(64))
    for channel, ends in ((up, (source, card.memory_base)), (down, (card.memory_base, source))):
        at = card.memory.address + card.memory.allocate(64, 64)
        card.memory.put(at, descriptor(64, *ends, at + 32) + descriptor(64, *ends, at))
        channel.start(at)
        first = channel.read(0x48)
        wait(lambda: channel.read(0x48) > first + 100, "an endless list makes no progress")
        expect(channel.read(0x40) & BUSY, BUSY, "busy")
        channel.write(0x0c, RUN)
        status, count = channel.wait()
        expect(status, IDLE, "status")
        check(count > first + 100, f"{count} descriptors")


def unmapped_under_way(card, up, down):
    """memory that is taken away under a running transfer: an error and no crash"""
    for channel in (up, down):
        taken = HostMemory(card.client, 0x5_0000_0000, 1 << 20)
        ends = (taken.address, card.memory_base) if channel is up else (card.memory_base, taken.address)
        at = card.memory.address + card.memory.allocate(32, 32)
        card.memory.put(at, descriptor(1 << 20, *ends, at))
        channel.start(at)
        wait(lambda: channel.read(0x48) > 3, "no progress")
        taken.remove()
        if channel is up:
            status, _ = channel.wait()
            expect(status & ~IDLE, 1 << 9, "status")
        else:
            card.client.poll(0.02)
            channel.write(0x0c, RUN)
            channel.wait()
        good_again(card, channel, "memory that was taken away")


def reset_in_transfer(card, up, down):
    """a bus reset in mid transfer: registers at once as after power-up, no late write, and the channel works again"""
    far = HostMemory(card.client, 0x6_0000_0000, 1 << 16, with_fd=False)
    card.client.on_read = lambda address, count: far.get(address, count)
    card.poke(0x8000, bytes(192))
    first, adjacent = chain(card.memory, [(64, far.address + 64 * i, card.memory_base + 0x8000 + 64 * i) for i in range(3)])
    card.client.hold = True
    up.start(first, adjacent)
    card.client.poll(5)
    number = card.client.send(vfio_user.DEVICE_RESET)
    time.sleep(0.1)
    card.client.release()
    card.client.reply(number, vfio_user.DEVICE_RESET, 16, 0)
    card.enable()
    expect(up.read(0x04), 0, "control")
    expect(up.read(0x40), 0, "status")
    card.client.poll(0.05)
    expect(up.read(0x48), 0, "count")
    same_bytes(card.peek(0x8040, 128), bytes(128), "card memory behind the descriptor that was under way")
    far.remove()
    good_again(card, up, "a reset")


def bus_master(card, up, down):
    """bus mastering off (PCI command bit 2): nothing is read or written, and strict mode says so"""
    card.ask("clear")
    card.poke(0x8000, bytes(64))
    first, adjacent = chain(card.memory, [(64, card.memory.place(b"\x42" * 64), card.memory_base + 0x8000)])
    card.config_write(0x04, 2, 2)
    up.start(first, adjacent)
    card.client.poll(0.05)
    same_bytes(card.peek(0x8000, 64), bytes(64), "card memory")
    expect(up.read(0x48), 0, "count")
    check(not up.read(0x40) & (STOPPED | DONE), f"status {up.read(0x40):#x} claims success")
    check(card.ask("strict")["strict"], "strict mode says nothing")
    card.reset()
    good_again(card, up, "a start without bus mastering")


def memory_space(card, up, down):
    """memory space off (PCI command bit 1): the BARs do not answer as registers"""
    card.config_write(0x04, 4, 2)
    value = card.dma(0x2000)
    check(value != 0x1fc20006, "the DMA BAR answers with memory space off")
    card.enable()
    expect(card.dma(0x2000), 0x1fc20006, "identifier with memory space on again")


def main():
    card = Card()
    up, _, down, _ = xdma.ready(card)
    for test in (magic, page_crossing, fetch, host_reads, host_writes, card_addresses, not_busy_in_the_write, stop, endless,
                 unmapped_under_way, reset_in_transfer, bus_master, memory_space):
        card.reset()
        card.client.release()
        card.client.on_read = lambda address, count: None
        run(test, card, up, down)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    finish()


main()
