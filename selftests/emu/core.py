# SPDX-License-Identifier: MIT
"""The host's side of the FIXAR core, from driver/HARDWARE.md (the section stands with each number), and from nothing else."""

import struct

from report import wait

# Section 5, identity and capabilities.
MAGIC, VERSION, CAPS, OPCODES, MEMORY_SIZE, MEMORY_BASE = 0x000, 0x004, 0x008, 0x00c, 0x010, 0x018
CLOCK, DEPTH, USER_IRQ, SCHEMA, MAX_WIDTH, MAX_HIDDEN, MAX_BATCH = 0x020, 0x024, 0x028, 0x02c, 0x030, 0x034, 0x038
# Section 5, queue, state, interrupts, window.
STATUS, CONTROL, INT_STATUS, INT_ENABLE, DOORBELL = 0x1000, 0x1004, 0x1008, 0x100c, 0x1010
SUBMITTED, COMPLETED, PROGRESS = 0x1014, 0x1018, 0x101c
ERROR_INFO, ERROR_SEQ, ERROR_OFFSET, ACCESS_ERROR = 0x1020, 0x1024, 0x1028, 0x1030
SCRATCH, MEM_EPOCH, MEM_COOKIE, WINDOW_BASE, WINDOW_LIMIT = 0x1034, 0x1038, 0x103c, 0x1040, 0x1048
RESULTS, SLOTS = 0x4000, 0x8000
# Bits of STATUS, CONTROL, INT_STATUS.
BUSY, HALTED, RESETTING, MEMORY_READY, RESIDENT, CATTRIP = 1, 2, 4, 8, 16, 32
SOFT_RESET, RESUME = 1, 2
INT_COMPLETED, INT_ERROR, INT_ACCESS = 1, 2, 4
# Section 7.
NOP, ACT, TRAIN, READ_RANGES, RELOAD = 1, 2, 3, 4, 5
INTERRUPT, EXPLORE, RESET_NOISE = 1 << 8, 1 << 16, 1 << 17

# Section 5, mode registers, in order of their offsets: offset, lowest, highest, used by. GRADIENT_SCALE is two's complement.
MODES = {
    "precision": (0x2000, 0, 1, (ACT, TRAIN)),
    "quantization": (0x2004, 0, 1, (TRAIN,)),
    "parallelism": (0x2008, 0, 2, (ACT, TRAIN)),
    "noise": (0x200c, 0, 2, (ACT,)),
    "sigma": (0x2010, 0, 0x4000000, (ACT,)),
    "theta": (0x2014, 0, 0x400000, (ACT,)),
    "discount": (0x2020, 0, 0x7fffffff, (TRAIN,)),
    "tau": (0x2024, 1, 0x80000000, (TRAIN,)),
    "beta1": (0x2028, 0, 0x7ffff800, (TRAIN,)),
    "one_minus_beta2": (0x202c, 0x1000, 0x7fffffff, (TRAIN,)),
    "actor_mantissa": (0x2030, 0x40000000, 0x7fffffff, (TRAIN,)),
    "critic_mantissa": (0x2034, 0x40000000, 0x7fffffff, (TRAIN,)),
    "actor_exponent": (0x2038, 31, 50, (TRAIN,)),
    "critic_exponent": (0x203c, 31, 50, (TRAIN,)),
    "actor_scale": (0x2040, -2, 6, (TRAIN,)),
    "critic_scale": (0x2044, -2, 6, (TRAIN,)),
}
USUAL = dict(precision=0, quantization=0, parallelism=0, noise=0, sigma=0, theta=0, discount=2126008812, tau=10737418,
             beta1=1932735283, one_minus_beta2=4294967, actor_mantissa=1759218604, actor_exponent=44,
             critic_mantissa=1099511628, critic_exponent=40, actor_scale=2, critic_scale=0)


def command(opcode, seq, count=0, input=0, output=0, statistics=0, flags=0, reserved=0, tail=bytes(24)):
    """The 64 bytes of a slot, section 7."""
    return struct.pack("<IIIIQQQ", opcode | flags, seq, count, reserved, input, output, statistics) + tail


class Core:
    """Commands for the core, with the sequence numbers kept by the host as section 6 has it."""

    def __init__(self, card):
        self.card = card
        # Section 17: MEMORY_READY comes within a second of configuration; before it doorbells are refused.
        wait(lambda: card.user(STATUS) & MEMORY_READY, "MEMORY_READY does not come")
        self.base, self.size = card.user64(MEMORY_BASE), card.user64(MEMORY_SIZE)
        self.depth = card.user(DEPTH)
        self.seq = card.user(COMPLETED)

    def next_seq(self):
        return (self.seq + 1) % 2**31

    def slot(self, seq):
        return SLOTS + 64 * (seq % self.depth)

    def fill_slot(self, seq, data):
        for i, word in enumerate(struct.unpack("<16I", data)):
            self.card.user_write(self.slot(seq) + 4 * i, word)

    def window(self, base, limit):
        """`base` counts from the first byte of card memory."""
        address = self.base + base
        for offset, value in ((WINDOW_BASE, address), (WINDOW_LIMIT, limit)):
            self.card.user_write(offset, value & 0xffffffff)
            self.card.user_write(offset + 4, value >> 32)

    def modes(self, **changes):
        for name, value in {**USUAL, **changes}.items():
            self.card.user_write(MODES[name][0], value % 2**32)

    def submit(self, opcode, **fields):
        """Slot and doorbell; the sequence number."""
        seq = self.next_seq()
        self.fill_slot(seq, command(opcode, seq, **fields))
        self.card.user_write(DOORBELL, seq)
        self.seq = seq
        return seq

    def wait(self, seconds=30.0):
        """Waits until the core is no longer busy; 0, or what ERROR_INFO says."""
        wait(lambda: not self.card.user(STATUS) & BUSY, "the core stays busy", seconds)
        return self.card.user(ERROR_INFO)

    def do(self, opcode, **fields):
        """A command that has to succeed."""
        seq = self.submit(opcode, **fields)
        info = self.wait()
        if info or self.card.user(COMPLETED) != seq:
            offset = self.card.user64(ERROR_OFFSET)
            raise AssertionError(f"opcode {opcode} failed: {info:#x} at {offset:#x}, "
                                 f"completed {self.card.user(COMPLETED)} of {seq}")
        return seq

    def fail(self, opcode, data=None, **fields):
        """A command that has to fail: (code, opcode, started, offset). The core is resumed. `data`: 64 bytes in its place."""
        seq = self.next_seq()
        self.fill_slot(seq, data or command(opcode, seq, **fields))
        self.card.user_write(DOORBELL, seq)
        info = self.wait()
        if not self.card.user(STATUS) & HALTED:
            self.seq = self.card.user(COMPLETED)
            return (0, opcode, 0, 0)
        failure = (info & 0xff, info >> 8 & 0xff, info >> 16 & 1, self.card.user64(ERROR_OFFSET))
        self.card.user_write(CONTROL, RESUME)
        self.seq = self.card.user(COMPLETED)
        return failure

    def soft_reset(self):
        self.card.user_write(CONTROL, SOFT_RESET)
        wait(lambda: not self.card.user(STATUS) & RESETTING, "the soft reset does not end")
        self.seq = self.card.user(COMPLETED)

    def result(self, seq):
        """A result record, section 5: seq, info, cycles, macs, offset."""
        place = RESULTS + 32 * (seq % self.depth)
        return struct.unpack("<IIQQQ", struct.pack("<8I", *self.card.client.read_words(0, [place + 4 * i for i in range(8)])))
