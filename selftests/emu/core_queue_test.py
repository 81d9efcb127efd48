#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the emulated core's queue: sequence numbers, doorbells, what is refused when, result records, RESUME, soft reset
in the middle of a TRAIN, interrupts coalesced and masked, counters, the wrap of the numbers (driver/HARDWARE.md sections 5, 6, 11
and 15)"""

import time

import arena
import core
import xdma
from core import BUSY, HALTED, NOP, RELOAD, RESIDENT, TRAIN, Core, command
from emulator import Card
from report import SLOW, check, expect, finish, run, wait

# An agent whose training step takes long enough to look at: some 10^8 multiply-accumulates.
LONG = arena.Layout(17, 6, (400, 300))
BATCH = 512
LIMIT = 16 << 20
INPUT = arena.up(LONG.end)


def prepare(card):
    """A fresh agent at the beginning of card memory, its window, its modes."""
    image = LONG.image(batch_max=BATCH)
    card.poke(0, image[:4096 + LONG.offset("actor.0.weight") - 4096])
    device = Core(card)
    device.window(0, LIMIT)
    device.modes()
    return device


def long_train(device, **fields):
    return device.submit(TRAIN, count=BATCH, input=INPUT, **fields)


def accesses(card):
    """ACCESS_ERROR, cleared."""
    value = card.user(core.ACCESS_ERROR)
    card.user_write(core.INT_STATUS, core.INT_ACCESS)
    return value


def nothing_at_once(card):
    """nothing completes inside the doorbell's write: the registers answer while a TRAIN runs, and PROGRESS moves"""
    device = prepare(card)
    card.user_write(0x2008, 1)
    seq = long_train(device)
    expect(card.user(core.SUBMITTED), seq, "SUBMITTED_SEQ")
    expect(card.user(core.COMPLETED), 0, "COMPLETED_SEQ at once")
    check(card.user(core.STATUS) & BUSY, "STATUS is not BUSY at once")
    seen, slowest = set(), 0.0
    limit = time.monotonic() + 60
    while card.user(core.STATUS) & BUSY and time.monotonic() < limit:
        before = time.monotonic()
        seen.add(card.user(core.PROGRESS))
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.001)
    expect(card.user(core.COMPLETED), seq, "COMPLETED_SEQ in the end")
    check(len(seen) >= 3, f"PROGRESS had {len(seen)} values during a long command")
    check(slowest < SLOW, f"a register was answered after {slowest:.2f} s")
    still = card.user(core.PROGRESS)
    time.sleep(0.12)
    expect(card.user(core.PROGRESS), still, "PROGRESS of an idle core")
    check(card.user(core.STATUS) & RESIDENT, "not RESIDENT after a TRAIN")


def doorbells(card):
    """doorbells: the first is 1; others, and numbers that were, are refused; bit 31 is reserved"""
    device = Core(card)
    for seq in (0, 2, 3, 0x7fffffff, 17):
        device.fill_slot(seq, command(NOP, seq))
        card.user_write(core.DOORBELL, seq)
        expect(accesses(card), 0x80001010, f"ACCESS_ERROR after doorbell {seq:#x}")
        expect((card.user(core.SUBMITTED), card.user(core.COMPLETED)), (0, 0), "numbers")
    device.do(NOP)
    expect((card.user(core.SUBMITTED), card.user(core.COMPLETED)), (1, 1), "numbers after the first")
    card.user_write(core.DOORBELL, 1)
    expect(accesses(card), 0x80001010, "ACCESS_ERROR after doorbell 1 for the second time")
    device.fill_slot(2, command(NOP, 2))
    card.user_write(core.DOORBELL, 0x80000002)
    device.wait()
    expect((card.user(core.COMPLETED), card.user(core.ACCESS_ERROR)), (2, 0), "after a doorbell with the reserved bit")
    device.seq = 2
    for _ in range(3 * device.depth):
        device.do(NOP)
    expect(card.user(core.COMPLETED), 2 + 3 * device.depth, "COMPLETED_SEQ after thrice around")


def full(card):
    """a full queue refuses the doorbell; slots in use refuse writes, free ones take them; windows and modes refuse while busy"""
    device = prepare(card)
    long_train(device)
    for _ in range(device.depth - 1):
        device.submit(NOP)
    expect(accesses(card), 0, "ACCESS_ERROR with a queue that is just full")
    submitted = card.user(core.SUBMITTED)
    expect(submitted, device.depth, "SUBMITTED_SEQ")
    card.user_write(core.DOORBELL, submitted + 1)
    expect(accesses(card), 0x80001010, "ACCESS_ERROR after a doorbell to a full queue")
    expect(card.user(core.SUBMITTED), submitted, "SUBMITTED_SEQ")
    for offset in (device.slot(1) + 20, device.slot(submitted), device.slot(2) + 60):
        before = card.user(offset)
        card.user_write(offset, before ^ 0xffffffff)
        expect(accesses(card), 0x80000000 | offset, f"ACCESS_ERROR after a write to slot word {offset:#x}")
        expect(card.user(offset), before, f"slot word {offset:#x}")
    for offset in (0x1040, 0x1044, 0x1048, 0x104c, 0x2000, 0x2024, 0x2044):
        before = card.user(offset)
        card.user_write(offset, before)
        expect(accesses(card), 0x80000000 | offset, f"ACCESS_ERROR after a write to {offset:#x} while busy")
        expect(card.user(offset), before, f"{offset:#x}")
    card.user_write(core.INT_ENABLE, 1)
    card.user_write(core.SCRATCH, 1)
    card.user_write(core.MEM_COOKIE, 1)
    expect(accesses(card), 0, "ACCESS_ERROR after writes that are allowed while busy")
    check(card.user(core.STATUS) & BUSY, "the long command ended before the test did")
    expect(device.wait(60), 0, "ERROR_INFO")
    expect(card.user(core.COMPLETED), submitted, "COMPLETED_SEQ")
    device.do(NOP)
    card.user_write(device.slot(3), 0x12345678)
    expect(accesses(card), 0, "ACCESS_ERROR after a write to a free slot")


def unassigned_slots_while_busy(card):
    """while busy, a free slot takes writes"""
    device = prepare(card)
    long_train(device)
    offset = device.slot(5)
    card.user_write(offset, 0x5555)
    expect((card.user(offset), accesses(card)), (0x5555, 0), "a free slot and ACCESS_ERROR")
    check(card.user(core.STATUS) & BUSY, "the long command ended before the test did")
    device.wait(60)


def results(card):
    """result records: seq, opcode, code 0, cycles, multiply-accumulates; before COMPLETED_SEQ shows it"""
    device = prepare(card)
    seq = device.do(NOP)
    got = device.result(seq)
    expect((got[0], got[1] & 0xff, got[1] >> 8 & 0xff, got[3], got[4]), (seq, 0, NOP, 0, 0), "record of a NOP")
    seq = device.do(TRAIN, count=BATCH, input=INPUT)
    got = device.result(seq)
    expect((got[0], got[1] & 0xff, got[1] >> 8 & 0xff), (seq, 0, TRAIN), "record of a TRAIN: seq, code, opcode")
    expect(got[3], arena.macs(LONG, BATCH, True), "multiply-accumulates of a TRAIN")
    # lib/pe/ARRAY.md, table "Prediction": 1,351,897 cycles for 512 samples in fixed32. What a card adds, such as loading the
    # arena (4 MiB in 32 bytes a cycle), is small against that.
    check(1351897 <= got[2] <= 1351897 + 3 * 4153728 // 32, f"a TRAIN of {got[2]} cycles, where 1,351,897 are predicted")
    bad = device.next_seq()
    device.fail(0x3f)
    got = device.result(bad)
    expect((got[0], got[1] & 0xffff, got[4]), (bad, 0x3f02, 0), "record of a command that failed")
    expect(device.result(seq)[0], seq, "the record before it")


def counters(card):
    """counters: commands, multiply-accumulates, samples, actions, bytes, cycles; a soft reset leaves them, a bus reset does not"""
    device = prepare(card)
    before = [card.user64(offset) for offset in range(0x3000, 0x3058, 8)]
    expect(before[1:], [0] * 10, "counters after a bus reset")
    device.do(NOP)
    device.do(TRAIN, count=64, input=INPUT)
    device.do(core.ACT, count=3, input=INPUT, output=INPUT + 65536)
    stamp, busy, array, commands, total, samples, actions, read, written, corrected, bad = (
        card.user64(offset) for offset in range(0x3000, 0x3058, 8))
    expect((commands, samples, actions, corrected, bad), (3, 64, 3, 0, 0), "commands, samples, actions, ECC")
    expect(total, arena.macs(LONG, 64, True) + arena.macs(LONG, 3, False), "MACS")
    check(0 < array <= busy <= stamp, f"cycles: {array} in products, {busy} busy, {stamp} in all")
    check(read >= 4153728 + 10560, f"READ_BYTES {read}: less than an arena and a batch")
    # All parameters of both networks with moments, and their targets, are written by a TRAIN.
    check(written >= 4150000, f"WRITE_BYTES {written}: less than what a TRAIN changes")
    device.fail(0x3f)
    expect(card.user64(0x3018), 3, "COMMANDS after one that failed")
    device.soft_reset()
    expect([card.user64(offset) for offset in (0x3018, 0x3020, 0x3028, 0x3030)], [3, total, 64, 3], "counters after a soft reset")
    stamp = card.user64(0x3000)
    card.reset()
    check(card.user64(0x3000) < stamp or card.user64(0x3018) == 0, "TIMESTAMP after a bus reset")
    expect([card.user64(offset) for offset in range(0x3008, 0x3058, 8)], [0] * 10, "counters after a bus reset")


def halted(card):
    """a failure halts: COMPLETED_SEQ stays before it, nothing behind it starts, doorbells are refused; RESUME empties the queue"""
    device = prepare(card)
    device.do(NOP)
    card.user_write(0x2010, 123)
    base = card.user64(0x3018)
    device.submit(0x3f)
    device.submit(NOP, flags=core.INTERRUPT)
    device.submit(NOP)
    # The doorbells may have come too late: then they were refused.
    device.wait()
    expect(card.user(core.STATUS) & 7, HALTED, "STATUS")
    expect((card.user(core.COMPLETED), card.user(core.ERROR_SEQ)), (1, 2), "COMPLETED_SEQ and ERROR_SEQ")
    expect(card.user(core.ERROR_INFO), 0x3f02, "ERROR_INFO: code 2, opcode 0x3f, not started, not fatal")
    expect(card.user64(0x3018), base, "COMMANDS: nothing behind it ran")
    check(card.user(core.INT_STATUS) & 3 == core.INT_ERROR, f"INT_STATUS {card.user(core.INT_STATUS):#x}")
    card.user_write(core.INT_STATUS, 7)
    submitted = card.user(core.SUBMITTED)
    card.user_write(core.DOORBELL, submitted + 1)
    expect(accesses(card), 0x80001010, "ACCESS_ERROR after a doorbell to a halted core")
    for offset in (0x1040, 0x2000):
        card.user_write(offset, 0)
        expect(accesses(card), 0x80000000 | offset, f"ACCESS_ERROR: {offset:#x} is written while idle alone")
    card.user_write(core.CONTROL, core.RESUME)
    expect(accesses(card), 0, "ACCESS_ERROR after RESUME")
    expect((card.user(core.STATUS) & 0x17, card.user(core.SUBMITTED), card.user(core.COMPLETED)), (0, 1, 1), "after RESUME")
    expect([card.user(offset) for offset in (0x1020, 0x1024, 0x1028, 0x102c)], [0] * 4, "ERROR_* after RESUME")
    expect((card.user(0x2010), card.user64(0x1048)), (123, LIMIT), "modes and window stay")
    device.seq = 1
    expect(device.do(NOP), 2, "the next number")


def resident(card):
    """RESIDENT: set by a command that loads, cleared by RELOAD's drop, a window write, failure, RESUME, soft reset"""
    device = prepare(card)
    is_resident = lambda: bool(card.user(core.STATUS) & RESIDENT)
    expect(is_resident(), False, "at first")
    device.do(NOP)
    expect(is_resident(), False, "after a NOP")
    device.do(RELOAD)
    expect(is_resident(), True, "after a RELOAD, which loads and checks")
    for offset in (0x1040, 0x1044, 0x1048, 0x104c):
        card.user_write(offset, card.user(offset))
        expect(is_resident(), False, f"after {offset:#x} was written with its own value")
        device.do(RELOAD)
    card.user_write(0x2000, 0)
    expect(is_resident(), True, "after a mode register was written")
    device.fail(0x3f)
    expect(is_resident(), False, "after a failure")
    device.do(core.READ_RANGES)
    expect(is_resident(), True, "after READ_RANGES")
    device.soft_reset()
    expect(is_resident(), False, "after a soft reset")


def soft_reset(card):
    """soft reset in the middle of a TRAIN: RESETTING at once, numbers 0, modes and window gone, memory outside untouched"""
    device = prepare(card)
    device.do(NOP)
    card.poke(LIMIT, b"\x77" * 256)
    long_train(device)
    check(card.user(core.STATUS) & BUSY, "not busy")
    card.user_write(core.CONTROL, core.SOFT_RESET | core.RESUME)
    status = card.user(core.STATUS)
    check(status & core.RESETTING or not status & BUSY, f"STATUS {status:#x} at once")
    start = time.monotonic()
    wait(lambda: not card.user(core.STATUS) & core.RESETTING, "RESETTING stays")
    check(time.monotonic() - start < 2 * SLOW, "the soft reset took longer than 2 s")
    expect(card.user(core.STATUS), core.MEMORY_READY, "STATUS")
    expect([card.user(offset) for offset in (0x1008, 0x100c, 0x1014, 0x1018, 0x101c, 0x1020, 0x1030, 0x1040, 0x1048, 0x2024)],
           [0] * 10, "registers")
    expect(card.peek(LIMIT, 256), b"\x77" * 256, "memory behind the window")
    device = prepare(card)
    expect(device.do(TRAIN, count=8, input=INPUT), 1, "the first number")


def interrupts(card):
    """interrupts: with the flag alone; enabled by INT_ENABLE; several become one; the level stays until it is cleared"""
    device = Core(card)
    card.msix(5)
    bit = 1 << card.user(core.USER_IRQ)
    # PG195, IRQ Block User Vector Number (0x80): four lines a register, 5 bits in each byte. The core gets vector 4.
    line = card.user(core.USER_IRQ)
    card.dma_write(0x2080 + line // 4 * 4, 4 << line % 4 * 8)
    card.dma_write(0x2008, bit)
    card.user_write(core.INT_ENABLE, 0x3f)
    device.do(NOP)
    expect((card.quiet(), card.user(core.INT_STATUS)), ({}, 0), "events and INT_STATUS after a NOP without the flag")
    device.do(NOP, flags=core.INTERRUPT)
    expect(card.wait_fired(4), 1, "events on the core's vector")
    expect(card.user(core.INT_STATUS), core.INT_COMPLETED, "INT_STATUS")
    expect((card.dma(0x2040), card.dma(0x2048)), (bit, bit), "user request and pending")
    # The level is up: further events make no message of their own.
    for _ in range(4):
        device.do(NOP, flags=core.INTERRUPT)
    expect(card.quiet(), {}, "events while the level is up")
    card.user_write(core.INT_STATUS, core.INT_COMPLETED)
    expect((card.user(core.INT_STATUS), card.dma(0x2040), card.dma(0x2048)), (0, 0, 0), "after the cause was cleared")
    device.do(NOP, flags=core.INTERRUPT)
    expect(card.wait_fired(4), 1, "events after it was cleared")
    # The driver's handler, section 11: line masked, cause taken, line unmasked; an event in between is not lost.
    card.dma_write(0x200c, bit)
    card.user_write(core.INT_STATUS, card.user(core.INT_STATUS))
    device.do(NOP, flags=core.INTERRUPT)
    expect(card.quiet(), {}, "events while the line is masked")
    expect((card.dma(0x2040), card.dma(0x2048)), (0, bit), "user request and pending while it is masked")
    card.dma_write(0x2008, bit)
    expect(card.wait_fired(4), 1, "events after it was unmasked")
    card.user_write(core.INT_STATUS, 0x3f)
    # INT_ENABLE decides the line and not the status.
    card.user_write(core.INT_ENABLE, core.INT_ERROR)
    device.do(NOP, flags=core.INTERRUPT)
    expect((card.quiet(), card.user(core.INT_STATUS), card.dma(0x2048)), ({}, 1, 0), "events, INT_STATUS, pending without enable")
    card.user_write(core.INT_ENABLE, core.INT_COMPLETED)
    expect(card.wait_fired(4), 1, "events after INT_ENABLE")
    card.user_write(core.INT_STATUS, 1)
    # A failure and a refused write.
    card.user_write(core.INT_ENABLE, core.INT_ERROR)
    device.fail(0x3f)
    expect(card.wait_fired(4), 1, "events after a failure")
    card.user_write(core.INT_STATUS, 0x3f)
    card.user_write(core.INT_ENABLE, core.INT_ACCESS)
    card.user_write(core.DOORBELL, 99)
    expect(card.wait_fired(4), 1, "events after a refused write")


def modes_reset(card):
    """a TRAIN right after a soft reset fails with MODE: a driver that forgot to write the modes is told"""
    device = prepare(card)
    device.soft_reset()
    device.window(0, LIMIT)
    expect(device.fail(TRAIN, count=8, input=INPUT), (4, TRAIN, 0, 0x2024), "failure")


def wrap():
    """2^31 - 1 is followed by 0 and 1"""
    card = Card("--sequence", str(2**31 - 3))
    xdma.ready(card)
    device = Core(card)
    numbers = [device.do(NOP) for _ in range(6)]
    at = numbers.index(0) if 0 in numbers else -1
    check(at > 0 and numbers[at - 1] == 2**31 - 1 and numbers[at + 1] == 1, f"numbers {numbers}")
    expect(card.user(core.ACCESS_ERROR), 0, "ACCESS_ERROR")
    expect(device.result(0)[0:1] + device.result(2**31 - 1)[0:1], (0, 2**31 - 1), "result records")
    expect(card.close(), 0, "exit status")


def main():
    card = Card()
    xdma.ready(card)
    for test in (nothing_at_once, doorbells, full, unassigned_slots_while_busy, results, counters, halted, resident, soft_reset,
                 interrupts, modes_reset):
        card.reset()
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(wrap)
    finish()


main()
