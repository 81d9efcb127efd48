#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: transfers of the emulated XDMA: descriptors and how they are linked, sizes and alignments compared by bytes with
guard bytes around them, counts, status, write-back, performance counters"""

import random

import xdma
from emulator import Card
from report import check, expect, finish, run, same_bytes, wait
from xdma import BUSY, C2H, COMPLETE, DONE, H2C, IDLE, LAST, RUN, STOP, STOPPED, Channel, chain, descriptor

noise = random.Random(20210).randbytes


def ended(result, count, what, status=STOPPED | DONE):
    """Idle_stopped may come with the end of a run that Stop ended, or not: PG195 names it for a Run that the host cleared."""
    expect(result[0] & ~IDLE, status, f"{what}: status")
    expect(result[1], count, f"{what}: completed descriptors")


def one(card, up, down):
    """one descriptor each way: bytes, status 0x6, count 1; the count starts anew with Run"""
    data = noise(4096)
    source, target = card.memory.place(data), card.memory.place(bytes(4096))
    ended(up.run([(4096, source, card.memory_base + 0x10000)]), 1, "up")
    same_bytes(card.peek(0x10000, 4096), data, "card memory")
    ended(down.run([(4096, card.memory_base + 0x10000, target)]), 1, "down")
    same_bytes(card.memory.get(target, 4096), data, "host memory")
    ended(up.run([(64, source, card.memory_base), (64, source, card.memory_base + 64)]), 2, "two descriptors")
    ended(up.run([(64, source, card.memory_base)]), 1, "one after two")


def status_registers(card, up, down):
    """status: 0x40 keeps its bits until they are written as one, 0x44 clears them by reading; Run clears them too"""
    for channel in (up, down):
        host = card.memory.place(bytes(64))
        piece = (64, host, card.memory_base) if channel is up else (64, card.memory_base, host)
        first, adjacent = chain(card.memory, [piece])
        channel.start(first, adjacent)
        wait(channel.idle, "busy")
        expect(channel.read(0x40) & ~IDLE, 0x6, "0x40")
        expect(channel.read(0x40) & ~IDLE, 0x6, "0x40 again")
        channel.write(0x40, 0x2)
        expect(channel.read(0x40) & ~IDLE, 0x4, "0x40 after bit 1 was written as one")
        channel.write(0x40, 0x1)
        expect(channel.read(0x40) & ~IDLE, 0x4, "0x40 after bit 0 was written as one")
        expect(channel.read(0x44) & ~IDLE, 0x4, "0x44")
        expect(channel.read(0x44), 0, "0x44 again")
        expect(channel.read(0x40), 0, "0x40 after 0x44 was read")
        expect(channel.read(0x48), 1, "0x48 is not cleared by that")
        channel.start(first, adjacent)
        wait(channel.idle, "busy")
        # Without a host's read in between: a new Run begins with an empty status and count. An empty chain of magic 0 shows it.
        bad = card.memory.place(descriptor(64, *piece[1:], magic=0), 32)
        channel.start(bad, 0)
        wait(channel.idle, "busy")
        expect(channel.read(0x40) & ~IDLE, 0x10, "status of a run with bad magic, after a good one")
        expect(channel.read(0x48), 0, "count of a run with bad magic, after a good one")
        channel.read(0x44)


def enables(card, up, down):
    """the enables in control decide what is logged: without them a run ends all the same"""
    host = card.memory.place(bytes(64))
    for channel, piece in ((up, (64, host, card.memory_base)), (down, (64, card.memory_base, host))):
        ended(channel.run([piece], control=RUN), 1, "no enables", status=0)
        ended(channel.run([piece], control=RUN | 2), 1, "descriptor_stopped alone", status=STOPPED)
        ended(channel.run([piece], control=RUN | 4), 1, "descriptor_completed alone", status=DONE)
        first, _ = chain(card.memory, [piece], last=STOP)
        channel.start(first)
        ended(channel.wait(), 1, "a descriptor with Stop and without Completed", status=STOPPED)
        # EOP (bit 4) means something to streams only.
        first, _ = chain(card.memory, [piece], last=LAST | xdma.EOP)
        channel.start(first)
        ended(channel.wait(), 1, "a descriptor with EOP")


def run_bit(card, up, down):
    """Run: starts by 0x04 and by 0x08; stays set; a second Run needs a rising edge"""
    host = card.memory.place(bytes(range(64)))
    first, _ = chain(card.memory, [(64, host, card.memory_base + 0x2000)])
    up.write(0x0c, RUN)
    up.write(0x04, 0x7e)
    up.sgdma_write(0x80, first & 0xffffffff)
    up.sgdma_write(0x84, first >> 32)
    up.sgdma_write(0x88, 0)
    expect(up.read(0x40) & BUSY, 0, "busy without Run")
    up.write(0x08, RUN)
    ended(up.wait(), 1, "started by 0x08")
    expect(up.read(0x04), 0x7f, "control after the run: Run stays until the host clears it")
    card.poke(0x2000, bytes(64))
    up.write(0x04, 0x7f)
    up.write(0x08, RUN)
    card.client.poll(0.02)
    expect(up.read(0x40) & BUSY, 0, "busy after Run was written again without having been cleared")
    same_bytes(card.peek(0x2000, 64), bytes(64), "card memory: nothing ran again")
    up.write(0x0c, RUN)
    expect(up.read(0x04), 0x7e, "control after Run was cleared")
    up.write(0x04, 0x7f)
    ended(up.wait(), 1, "a new edge")
    same_bytes(card.peek(0x2000, 64), bytes(range(64)), "card memory")


def linking(card, up, down):
    """descriptor lists: blocks of 1, 2, 7, 32 and 64 adjacent ones, linked by next and Nxt_adj of the last"""
    for block in (1, 2, 7, 32, 64):
        for total in (1, 2, 3, 31, 33, 64, 65, 130):
            card.memory.free = 0
            data = noise(16 * total)
            source, target = card.memory.place(data), card.memory.place(bytes(16 * total + 64))
            order = list(range(total))
            random.Random(total).shuffle(order)
            ended(up.run([(16, source + 16 * i, card.memory_base + 16 * i) for i in order], block), total,
                  f"up, {total} in blocks of {block}")
            ended(down.run([(16, card.memory_base + 16 * i, target + 16 * i) for i in order], block), total,
                  f"down, {total} in blocks of {block}")
            same_bytes(card.memory.get(target, 16 * total + 64), data + bytes(64), f"{total} in blocks of {block}")


def stale_inner_links(card, up, down):
    """inside a block the engine walks memory: next and Nxt_adj of inner descriptors do not matter (mainline leaves them unset)"""
    data = noise(5 * 32)
    source = card.memory.place(data)
    block = card.memory.address + card.memory.allocate(5 * 32, 1024)
    second = card.memory.address + card.memory.allocate(2 * 32, 1024)
    inner = b"".join(descriptor(32, source + 32 * i, card.memory_base + 0x3000 + 32 * i,
                                following=0xdead0000 * (i % 2), adjacent=9 * (i % 2)) for i in range(2))
    last = descriptor(32, source + 64, card.memory_base + 0x3040, second, 1)
    card.memory.put(block, inner + last)
    card.memory.put(second, descriptor(32, source + 96, card.memory_base + 0x3060)
                    + descriptor(32, source + 128, card.memory_base + 0x3080, control=LAST))
    up.start(block, 2)
    ended(up.wait(), 5, "5 descriptors in 2 blocks")
    same_bytes(card.peek(0x3000, 160), data, "card memory")


def completed_inside(card, up, down):
    """Completed without Stop: the bit is logged, the run goes on; the count counts descriptors, not Completed flags"""
    source = card.memory.place(noise(256))
    first, adjacent = chain(card.memory, [(64, source, card.memory_base + 64 * i) for i in range(4)], every=COMPLETE, last=STOP)
    up.start(first, adjacent)
    ended(up.wait(), 4, "Completed on all but the last, Stop on the last")
    # Stop in the middle of a block ends the run there.
    first, adjacent = chain(card.memory, [(64, source, card.memory_base + 0x5000 + 64 * i) for i in range(4)])
    card.poke(0x5000, bytes(256))
    card.memory.put(first + 32, (0xad4b << 16 | 2 << 8 | LAST).to_bytes(4, "little"))
    up.start(first, adjacent)
    ended(up.wait(), 2, "Stop on the second of four")
    same_bytes(card.peek(0x5080, 128), bytes(128), "behind the descriptor with Stop")


def small(card, up, down):
    """sizes 1 to 64 at source offsets 0 to 63 and card offsets 0, 1, 63, both ways, with guard bytes"""
    slots = [(offset, shift) for offset in range(64) for shift in (0, 1, 63)]
    slot = 192
    total = slot * len(slots)
    for size in range(1, 65):
        card.memory.free = 0
        data, guard = noise(128), noise(total)
        source, image = card.memory.place(data), card.memory.place(guard)
        base = card.memory_base + 0x100000
        ended(up.run([(total, image, base)]), 1, "guard bytes")
        wanted = bytearray(guard)
        pieces = []
        for i, (offset, shift) in enumerate(slots):
            at = slot * i + 64 + shift
            wanted[at:at + size] = data[offset:offset + size]
            pieces.append((size, source + offset, base + at))
        ended(up.run(pieces), len(slots), f"up, size {size}")
        same_bytes(card.peek(0x100000, total), wanted, f"up, size {size}")
        # Down: from the same bytes, to host offsets 0 to 63, into fresh guard bytes.
        target = card.memory.place(guard)
        result = bytearray(guard)
        pieces = []
        for i, (offset, shift) in enumerate(slots):
            at = slot * i + 64 + offset
            result[at:at + size] = wanted[shift:shift + size]
            pieces.append((size, base + shift, target + at))
        ended(down.run(pieces), len(slots), f"down, size {size}")
        same_bytes(card.memory.get(target, total), result, f"down, size {size}")


def large(card, up, down):
    """4 KiB and 2 MiB plus and minus 0, 1, 63 at odd offsets, and 20 MiB in one descriptor, with guard bytes"""
    sizes = [page + more for page in (4096, 2 << 20) for more in (-63, -1, 0, 1, 63)]
    places = ((0, 0), (1, 0), (0, 1), (1, 1), (63, 1), (4095, 63), (8, 4095), (4091, 4093))
    for n, size in enumerate(sizes):
        for m, (offset, shift) in enumerate(places if size < 5000 else places[n % 5:n % 5 + 3]):
            card.memory.free = 0
            data = noise(size)
            at = 0x400000 + 64 + shift
            card.poke(at - 64, b"\xa5" * 64)
            card.poke(at + size, b"\xa5" * 64)
            moved = card.memory.place(bytes(offset) + data, 4096) + offset
            ended(up.run([(size, moved, card.memory_base + at)]), 1, f"up {size} at {offset}, {shift}")
            same_bytes(card.peek(at - 64, 64) + card.peek(at + size, 64), b"\xa5" * 128, f"guard of {size} at {offset}, {shift}")
            target = card.memory.place(b"\x5a" * (size + 128), 4096) + 64
            ended(down.run([(size, card.memory_base + at, target)]), 1, f"down {size} at {offset}, {shift}")
            same_bytes(card.memory.get(target - 64, size + 128), b"\x5a" * 64 + data + b"\x5a" * 64,
                       f"{size} at {offset}, {shift}")
    card.memory.free = 0
    data = noise(1 << 20) * 20 + b"the end"
    source = card.memory.place(data)
    ended(up.run([(len(data), source, card.memory_base + 3)]), 1, "20 MiB up")
    target = card.memory.place(bytes(len(data)))
    ended(down.run([(len(data), card.memory_base + 3, target)]), 1, "20 MiB down")
    check(card.memory.get(target, len(data)) == data, "20 MiB are not what was sent")
    card.memory.put(target, bytes(len(data)))


def longest(card, up, down):
    """all 28 bits of the length count: 2^28 - 1 bytes fit into the end of card memory, one byte further on they do not"""
    # Nothing is moved, for which a quarter of a gigabyte would be needed: the source is not mapped. Which error comes tells.
    size = (1 << 28) - 1
    end = card.memory_base + card.user64(0x010)  # HARDWARE.md section 5: MEMORY_SIZE
    ended(up.run([(size, 0x7_0000_0000, end - size)]), 0, "where it just fits", status=xdma.READ_UNSUPPORTED)
    ended(up.run([(size, 0x7_0000_0000, end - size + 1)]), 0, "one byte further on", status=xdma.CARD_WRITE_DECODE)
    expect(card.ask("descriptors 1")["descriptors"][-1].get("bytes"), size, "bytes of the last descriptor in the card's log")


def four_at_once(card, up, down):
    """four channels at once, each with its own data"""
    channels = [Channel(card, H2C, 0), Channel(card, H2C, 1), Channel(card, C2H, 0), Channel(card, C2H, 1)]
    size = 3 << 20
    data = [noise(size) for _ in channels]
    base = card.memory_base + 0x2000000
    for i in (2, 3):
        card.poke(0x2000000 + i * size, data[i][:1 << 16])
    hosts = [card.memory.place(data[i] if i < 2 else bytes(size)) for i in range(4)]
    for i, channel in enumerate(channels):
        pieces = [(1 << 16, *((hosts[i] + at, base + i * size + at) if i < 2 else (base + i * size + at, hosts[i] + at)))
                  for at in range(0, size, 1 << 16)]
        channel.start(*chain(card.memory, pieces))
    for i, channel in enumerate(channels):
        ended(channel.wait(), size >> 16, f"channel {i}")
    for i in (0, 1):
        same_bytes(card.peek(0x2000000 + i * size + size - 65536, 65536), data[i][-65536:], f"channel {i}")
    for i in (2, 3):
        same_bytes(card.memory.get(hosts[i], 1 << 16), data[i][:1 << 16], f"channel {i}")


def writeback(card, up, down):
    """poll mode: the count, and bit 31 for an error, are written to the address in 0x88 and 0x8c at a descriptor with Completed"""
    for channel in (up, down):
        host = card.memory.place(bytes(256))
        word = card.memory.place(b"\xee" * 64)
        pieces = [(64, *((host + 64 * i, card.memory_base + 64 * i) if channel is up else
                         (card.memory_base + 64 * i, host + 64 * i))) for i in range(3)]
        channel.write(0x88, word & 0xffffffff)
        channel.write(0x8c, word >> 32)
        first, adjacent = chain(card.memory, pieces)
        channel.start(first, adjacent, channel.enables | RUN | xdma.POLL_WRITEBACK)
        wait(lambda: card.memory.get(word, 4) != b"\xee" * 4, "no write-back")
        ended(channel.wait(), 3, "poll mode")
        same_bytes(card.memory.get(word, 64), (3).to_bytes(4, "little") + b"\xee" * 60, "the word and what is behind it")
        # Without the bit nothing is written.
        card.memory.put(word, b"\xee" * 64)
        ended(channel.run(pieces), 3, "interrupt mode")
        same_bytes(card.memory.get(word, 64), b"\xee" * 64, "the word without bit 26")
        channel.write(0x88, 0)
        channel.write(0x8c, 0)


def performance(card, up, down):
    """performance counters 0xc0: 2 clears, 5 is automatic and run; data in beats of 64 bytes; each run counts anew"""
    for channel in (up, down):
        host = card.memory.place(bytes(1 << 16))
        def piece(size):
            return (size, host, card.memory_base) if channel is up else (size, card.memory_base, host)
        channel.write(0xc0, 2)
        expect([channel.read(offset) for offset in (0xc4, 0xc8, 0xcc, 0xd0)], [0] * 4, "after 2")
        ended(channel.run([piece(4096)]), 1, "a run that is not counted")
        expect(channel.read(0xcc), 0, "data of a run without bit 2")
        channel.write(0xc0, 5)
        ended(channel.run([piece(1 << 16)]), 1, "64 KiB")
        expect(channel.read(0xcc), 1024, "data count of 64 KiB")
        expect(channel.read(0xd0), 0, "its upper part")
        cycles = channel.read(0xc4) | (channel.read(0xc8) & 0x3ff) << 32
        check(cycles >= 1024, f"{cycles} cycles for 1,024 beats")
        card.client.poll(0.01)
        expect(channel.read(0xc4) | (channel.read(0xc8) & 0x3ff) << 32, cycles, "cycles some time after the end")
        ended(channel.run([piece(4096)]), 1, "4 KiB")
        expect(channel.read(0xcc), 64, "data count of the next run")
        channel.write(0xc0, 0)
        ended(channel.run([piece(4096)]), 1, "not counted again")
        channel.write(0xc0, 2)
        expect([channel.read(offset) for offset in (0xc0, 0xc4, 0xcc)], [0] * 3, "after 2; it reads 0")


def silent(card):
    """the strict mode finds nothing wrong with transfers as PG195 wants them"""
    card.reset()
    card.ask("clear")
    up, _, down, _ = xdma.ready(card)
    source, target = card.memory.place(noise(8192)), card.memory.place(bytes(8192))
    up.run([(100, source + 80 * i, card.memory_base + 80 * i) for i in range(70)])
    down.run([(100, card.memory_base + 80 * i, target + 80 * i) for i in range(70)])
    expect(card.ask("strict")["strict"], [], "doubtful acts")


def main():
    card = Card()
    up, _, down, _ = xdma.ready(card)
    for test in (one, status_registers, enables, run_bit, linking, stale_inner_links, completed_inside, small, large, longest,
                 four_at_once, writeback, performance):
        card.reset()
        run(test, card, up, down)
    run(silent, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    finish()


main()
