#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: each fault that the emulated card can be told to have does what the list says, lasts as long as it says, and is
gone after the rung that it names; a fault of the list without a test here fails"""

import time

import core
import xdma
from core import NOP, RELOAD, Core
from emulator import Card
from report import check, expect, finish, run, same_bytes, wait
from xdma import BUSY, C2H, DONE, H2C, IDLE, RUN, STOPPED

ONES = 0xffffffff
# PG195, tables "H2C Channel Status (0x40)" and "C2H Channel Status (0x40)".
CHANNEL_BITS = {
    "align-mismatch": (H2C, 3), "descriptor-magic": (H2C, 4), "invalid-length": (H2C, 5),
    "read-unsupported": (H2C, 9), "read-abort": (H2C, 10), "read-parity": (H2C, 11), "read-poisoned": (H2C, 12),
    "read-unexpected": (H2C, 13), "read-decode": (C2H, 9), "read-slave": (C2H, 10), "write-decode": (H2C, 14),
    "write-slave": (H2C, 15), "descriptor-unsupported": (H2C, 19), "descriptor-abort": (H2C, 20), "descriptor-parity": (H2C, 21),
    "descriptor-poisoned": (H2C, 22), "descriptor-unexpected": (C2H, 23),
}
# HARDWARE.md section 12.
CODES = {"core-sequence": 1, "core-opcode": 2, "core-command": 3, "core-mode": 4, "core-header": 5, "core-table": 6,
         "core-capacity": 7, "core-batch": 8, "core-offset": 9, "core-window": 10, "core-read": 11, "core-write": 12, "core-ecc": 13}


class Bench:
    """A card, its channels, its core: made ready again for each fault."""

    def __init__(self, card):
        self.card = card
        self.ready()

    def ready(self):
        self.card.reset()
        self.up, _, self.down, _ = xdma.ready(self.card)
        self.core = Core(self.card)

    def arm(self, name, **keys):
        self.card.ask(" ".join(["fault", name, *(f"{key}={value}" for key, value in keys.items())]))

    def struck(self, name):
        """Waits until the fault has struck: a busy host may be slow to run the card's threads."""
        wait(lambda: any(fault["struck"] for fault in self.card.ask("faults")["faults"] if fault["name"] == name), f"{name} does not strike")

    def transfer(self, channel, count=1):
        host = self.card.memory.place(bytes(64 * count))
        base = self.card.memory_base
        pieces = [(64, *((host + 64 * i, base + 64 * i) if channel.direction == H2C else (base + 64 * i, host + 64 * i)))
                  for i in range(count)]
        status, done = channel.run(pieces)
        return status & ~IDLE, done

    def good(self, what):
        expect(self.transfer(self.up), (STOPPED | DONE, 1), f"H2C {what}")
        expect(self.transfer(self.down), (STOPPED | DONE, 1), f"C2H {what}")
        try:
            self.core.do(NOP)
        except (AssertionError, TimeoutError) as error:
            check(False, f"a command {what}: {error}")


def channel_error(bench, name):
    direction, bit = CHANNEL_BITS[name]
    channel = bench.up if direction == H2C else bench.down
    bench.arm(name)
    status, count = bench.transfer(channel, 3)
    expect((status, count), (1 << bit, 0), "status and count")
    bench.good("after the event")
    bench.arm(name, after=2)
    status, count = bench.transfer(channel, 5)
    expect((status, count), (1 << bit, 2), "status and count after two descriptors")
    bench.good("after the second event")


def core_error(bench, name):
    bench.arm(name)
    got = bench.core.fail(NOP)
    expect(got[:2], (CODES[name], NOP), "code and opcode")
    bench.good("after RESUME")


def channel_stall(bench, name):
    host = bench.card.memory.place(bytes(64))
    bench.arm(name)
    bench.up.start(*xdma.chain(bench.card.memory, [(64, host, bench.card.memory_base)]))
    bench.struck(name)
    expect((bench.up.read(0x40), bench.up.read(0x48)), (BUSY, 0), "status and count of a channel that stands still")
    expect(bench.transfer(bench.down), (STOPPED | DONE, 1), "the other direction")
    bench.up.write(0x0c, RUN)
    status, count = bench.up.wait()
    expect((status, count), (IDLE, 0), "status and count after Run was cleared")
    bench.good("after the stop")


def channel_stuck(bench, name):
    host = bench.card.memory.place(bytes(64))
    bench.arm(name)
    bench.up.start(*xdma.chain(bench.card.memory, [(64, host, bench.card.memory_base)]))
    bench.struck(name)
    bench.up.write(0x0c, RUN)
    time.sleep(0.05)
    check(bench.up.read(0x40) & BUSY, "not busy after Run was cleared")
    bench.core.soft_reset()
    check(bench.up.read(0x40) & BUSY, "not busy after a soft reset of the core, which is none of the channel")
    bench.ready()
    expect(bench.up.read(0x40), 0, "status after a bus reset")
    bench.good("after a bus reset")


def count_corrupt(bench, name):
    bench.arm(name)
    expect(bench.transfer(bench.up)[1], 1001, "count")
    bench.good("afterwards")
    bench.arm(name, value=5)
    expect(bench.transfer(bench.up)[1], 6, "count with value=5")


def interrupt(bench):
    card = bench.card
    card.msix(1)
    card.dma_write(0x2014, 0xf)
    bench.up.write(0x90, bench.up.enables)


def interrupt_lost(bench, name):
    interrupt(bench)
    bench.arm(name)
    host = bench.card.memory.place(bytes(64))
    bench.up.start(*xdma.chain(bench.card.memory, [(64, host, bench.card.memory_base)]))
    expect(bench.card.wait_fired(0, 0.1), 0, "events")
    expect((bench.card.dma(0x204c), bench.card.dma(0x2044)), (1, 1), "pending and request")
    bench.up.read(0x44)
    bench.transfer(bench.up)
    expect(bench.card.wait_fired(0), 1, "events of the next one")


def interrupt_spurious(bench, name):
    interrupt(bench)
    bench.arm(name)
    bench.transfer(bench.up)
    bench.card.client.poll(0.05)
    expect(bench.card.fired(0), 2, "events")
    bench.transfer(bench.up)
    bench.card.client.poll(0.05)
    expect(bench.card.fired(0), 1, "events of the next one")


def core_internal(bench, name):
    card, device = bench.card, bench.core
    bench.arm(name)
    device.submit(NOP)
    info = device.wait()
    expect(info & 0x2ffff, 0x20000 | NOP << 8 | 14, "ERROR_INFO: fatal, code 14")
    card.user_write(core.CONTROL, core.RESUME)
    expect(card.user(core.ACCESS_ERROR), 0x80001004, "ACCESS_ERROR: RESUME is refused")
    check(card.user(core.STATUS) & core.HALTED, "not HALTED any more")
    device.soft_reset()
    bench.good("after a soft reset")


def core_halt_silent(bench, name):
    bench.arm(name)
    bench.core.submit(NOP)
    bench.core.wait()
    check(bench.card.user(core.STATUS) & core.HALTED, "not HALTED")
    expect(bench.card.user(core.INT_STATUS), 0, "INT_STATUS")
    bench.card.user_write(core.CONTROL, core.RESUME)
    bench.core.seq = bench.card.user(core.COMPLETED)
    bench.good("after RESUME")


def core_stands(bench, name, moves):
    bench.arm(name)
    bench.core.submit(NOP)
    bench.struck(name)
    seen = set()
    for _ in range(6):
        time.sleep(0.06)
        seen.add(bench.card.user(core.PROGRESS))
        check(bench.card.user(core.STATUS) & core.BUSY, "not BUSY")
    check(len(seen) >= 3 if moves else len(seen) == 1, f"PROGRESS had {len(seen)} values")
    expect(bench.card.user(core.COMPLETED), 0, "COMPLETED_SEQ")
    bench.core.soft_reset()
    bench.good("after a soft reset")


def core_stall(bench, name):
    core_stands(bench, name, False)


def core_slow(bench, name):
    core_stands(bench, name, True)


def core_result(bench, name):
    bench.arm(name)
    seq = bench.core.submit(NOP)
    bench.core.wait()
    check(bench.core.result(seq)[0] != seq, "the record's number is right")
    seq = bench.core.do(NOP)
    expect(bench.core.result(seq)[0], seq, "the next record's number")


def core_completed(bench, name):
    bench.arm(name)
    bench.core.submit(NOP)
    wait(lambda: bench.card.user(core.COMPLETED) == 1001, "COMPLETED_SEQ is not ahead")
    bench.core.soft_reset()
    expect(bench.card.user(core.COMPLETED), 0, "COMPLETED_SEQ after a soft reset")
    bench.good("after a soft reset")


def core_reset_stuck(bench, name):
    bench.arm(name)
    bench.card.user_write(core.CONTROL, core.SOFT_RESET)
    time.sleep(0.3)
    check(bench.card.user(core.STATUS) & core.RESETTING, "RESETTING fell")
    bench.card.user_write(core.DOORBELL, 1)
    expect(bench.card.user(core.ACCESS_ERROR), 0x80001010, "ACCESS_ERROR after a doorbell while RESETTING")
    bench.ready()
    bench.core.soft_reset()
    bench.good("after a bus reset")


def ecc_corrected(bench, name):
    bench.arm(name)
    bench.core.submit(NOP)
    wait(lambda: bench.card.user(core.INT_STATUS) & 8, "INT_STATUS bit 3 does not come")
    expect((bench.card.user64(0x3048), bench.card.user64(0x3050)), (1, 0), "ECC_CORRECTED and ECC_UNCORRECTED")
    bench.core.wait()
    expect(bench.card.user(core.ERROR_INFO), 0, "ERROR_INFO")


def ecc_uncorrected(bench, name):
    bench.up.one(bytes(8192), 0)
    bench.arm(name, offset=0x40)
    try:
        bench.core.do(NOP)
    except AssertionError:
        pass
    expect(bench.transfer(bench.down, 3), (1 << 10, 1), "C2H of three lines, the second unreadable: slave error")
    check(bench.card.user64(0x3050) >= 1, "ECC_UNCORRECTED")
    bench.core.window(0, 65536)
    got = bench.core.fail(RELOAD)
    expect((got[0], got[1], got[3]), (13, RELOAD, 0x40), "RELOAD: code ECC, offset")
    bench.up.one(bytes(128), 0)
    expect(bench.transfer(bench.down, 3), (STOPPED | DONE, 3), "C2H after the line was written")


def memory_epoch(bench, name):
    bench.up.one(b"\x99" * 4096, 0)
    before = bench.card.user(core.MEM_EPOCH)
    bench.arm(name)
    bench.core.submit(NOP)
    wait(lambda: bench.card.user(core.MEM_EPOCH) == before + 1, "MEM_EPOCH does not step")
    wait(lambda: bench.card.user(core.STATUS) & core.MEMORY_READY, "MEMORY_READY does not come back")
    expect(bool(bench.card.user(core.INT_STATUS) & 0x20), name == "memory-epoch", "INT_STATUS bit 5")
    check(bench.card.peek(0, 4096) != b"\x99" * 4096, "card memory kept its contents")
    bench.ready()
    bench.good("afterwards")


def memory_not_ready(bench, name):
    bench.arm(name)
    bench.core.submit(NOP)
    wait(lambda: not bench.card.user(core.STATUS) & core.MEMORY_READY, "MEMORY_READY stays")
    seq = bench.card.user(core.SUBMITTED) + 1
    bench.card.user_write(core.INT_STATUS, 0x3f)
    bench.core.fill_slot(seq, core.command(NOP, seq))
    bench.card.user_write(core.DOORBELL, seq)
    expect(bench.card.user(core.ACCESS_ERROR), 0x80001010, "ACCESS_ERROR after a doorbell without MEMORY_READY")
    bench.ready()
    wait(lambda: bench.card.user(core.STATUS) & core.MEMORY_READY, "MEMORY_READY does not come back with a bus reset")
    bench.good("after a bus reset")


def cattrip(bench, name):
    bench.arm(name)
    bench.core.submit(NOP)
    wait(lambda: bench.card.user(core.STATUS) & core.CATTRIP, "STATUS.CATTRIP does not come")
    check(bench.card.user(core.INT_STATUS) & 0x10, "INT_STATUS bit 4 is 0")
    bench.ready()
    check(bench.card.user(core.STATUS) & core.CATTRIP, "a bus reset clears CATTRIP: the temperature is what it is")


def identity(offset, region=0):
    def test(bench, name):
        read = bench.card.user if region == 0 else bench.card.dma
        right = read(offset)
        bench.arm(name)
        wrong = read(offset)
        check(wrong != right, f"{offset:#x} still reads {right:#x}")
        bench.card.ask(f"unfault {name}")
        bench.arm(name, value=0x12345678)
        expect(read(offset), 0x12345678, f"{offset:#x} with value=")
        bench.card.ask(f"unfault {name}")
        expect(read(offset), right, f"{offset:#x} after unfault")
    return test


def gone(bench, what):
    card = bench.card
    expect([card.user(0), card.user(core.STATUS), card.dma(0x2000), card.dma(0x40)], [ONES] * 4, f"registers {what}")
    expect(card.config(0), ONES, f"configuration space {what}")
    card.user_write(core.SCRATCH, 1)
    expect(card.user(core.SCRATCH), ONES, f"SCRATCH after a write {what}")


def back(bench):
    bench.card.ask("plug")
    bench.ready()
    bench.good("after it was plugged in again")


def removal_access(bench, name):
    bench.arm(name, after=3)
    expect([bench.card.user(0) for _ in range(5)], [0x52584946] * 3 + [ONES] * 2, "MAGIC, read five times with after=3")
    gone(bench, "after removal")
    back(bench)


def removal_transfer(bench, name):
    bench.card.poke(0, bytes(256))
    data = bench.card.memory.place(b"\x21" * 256)
    bench.arm(name, after=2)
    base = bench.card.memory_base
    bench.up.start(*xdma.chain(bench.card.memory, [(64, data + 64 * i, base + 64 * i) for i in range(4)]))
    wait(lambda: bench.up.read(0x40) == ONES, "the card stays")
    gone(bench, "after removal")
    same_bytes(bench.card.peek(0, 256), b"\x21" * 128 + bytes(128), "card memory: two descriptors of four")
    back(bench)


def removal_interrupt(bench, name):
    interrupt(bench)
    bench.arm(name)
    host = bench.card.memory.place(bytes(64))
    bench.up.start(*xdma.chain(bench.card.memory, [(64, host, bench.card.memory_base)]))
    expect(bench.card.wait_fired(0, 0.2), 0, "events")
    gone(bench, "after removal")
    back(bench)


def cms_dead(bench, name):
    card = bench.card
    card.user_write(0x60000, 1)
    wait(lambda: card.user(0x6830c) & 1, "the card management does not start")
    bench.arm(name)
    first = card.user(0x682fc)
    time.sleep(1.3)
    expect(card.user(0x682fc), first, "heartbeat")
    expect(card.user(0x6830c) & 1, 0, "HOST_STATUS2: ready")
    bench.good("with the card management dead")
    card.ask(f"unfault {name}")


TESTS = {
    **dict.fromkeys(CHANNEL_BITS, channel_error), **dict.fromkeys(CODES, core_error),
    "channel-stall": channel_stall, "channel-stuck": channel_stuck, "count-corrupt": count_corrupt, "interrupt-lost": interrupt_lost,
    "interrupt-spurious": interrupt_spurious, "core-internal": core_internal, "core-halt-silent": core_halt_silent,
    "core-stall": core_stall, "core-slow": core_slow, "core-result": core_result, "core-completed": core_completed,
    "core-reset-stuck": core_reset_stuck, "ecc-corrected": ecc_corrected, "ecc-uncorrected": ecc_uncorrected,
    "memory-epoch": memory_epoch, "memory-epoch-silent": memory_epoch, "memory-not-ready": memory_not_ready, "cattrip": cattrip,
    "identity-magic": identity(0x000), "identity-version": identity(0x004), "identity-schema": identity(0x02c), "identity-xdma": identity(0x2000, 1),
    "removal-access": removal_access, "removal-transfer": removal_transfer, "removal-interrupt": removal_interrupt,
    "cms-dead": cms_dead,
}


def listed(card):
    """the list of faults: name, meaning, kind and rung of each; every one of them is tested here"""
    faults = card.ask("faults")["faults"]
    names = [fault["name"] for fault in faults]
    expect(sorted(names), sorted(TESTS), "names")
    for fault in faults:
        check(fault.get("meaning") and fault.get("rung"), f"{fault['name']} lacks its meaning or its rung: {fault}")


def one(name):
    # With ECC nothing can be read that was not written: only where it is asked for.
    card = Card(*(["--ecc"] if "ecc" in name else []))
    bench = Bench(card)
    TESTS[name](bench, name)
    card.ask("unfault all")
    status = card.close()
    expect(status, 0, "exit status")


def at_start():
    """--fault arms a fault from the beginning"""
    card = Card("--fault", "identity-magic")
    check(card.user(0) != 0x52584946, "MAGIC is right")
    card.close()


def main():
    card = Card()
    run(listed, card)
    card.close()
    for name in TESTS:
        run(one, name, name=name)
    run(at_start)
    finish()


main()
