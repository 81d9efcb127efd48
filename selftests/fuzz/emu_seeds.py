#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Inputs that emu_fuzz starts from: sound sessions, so that mutations get beyond the first check. emu_seeds.py FOLDER"""

import pathlib
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "emu"))

import arena  # noqa: E402

VERSION, MAP, UNMAP, INFO, REGION_INFO, IRQ_INFO, SET_IRQS, READ, WRITE, RESET = 1, 2, 3, 4, 5, 7, 8, 9, 10, 13
HOST, CARD, WAIT = 0xf0, 0xf1, 0xf2
CONFIG = 7
DATA, CHAIN = 0x4000, 0x8000  # in host memory


def message(command, body=b"", kind=0):
    return struct.pack("<BBH", command, kind, len(body)) + body


def write(region, offset, value, size=4):
    return message(WRITE, struct.pack("<QII", offset, region, size) + value.to_bytes(size, "little"))


def read(region, offset, size=4):
    return message(READ, struct.pack("<QII", offset, region, size))


def host(offset, data):
    return message(HOST, struct.pack("<I", offset) + data)


def card(offset, data):
    return b"".join(message(CARD, struct.pack("<I", offset + i) + data[i:i + 4096]) for i in range(0, len(data), 4096))


BEGIN = (message(VERSION, struct.pack("<HH", 0, 0) + b'{"capabilities": {}}\0') +
         message(MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 0x20000), 1 << 2) + message(INFO, struct.pack("<IIII", 16, 0, 0, 0)) +
         message(REGION_INFO, struct.pack("<IIIIQQ", 32, 0, 0, 0, 0, 0)) +
         message(IRQ_INFO, struct.pack("<IIII", 16, 0, 2, 0)) + write(CONFIG, 4, 0x6, 2) + write(CONFIG, 0x62, 0x8000, 2) +
         message(SET_IRQS, struct.pack("<IIIII", 20, 0x24, 2, 0, 1), 1 | 1 << 2))


def descriptor(flags, adjacent, size, source, destination, following):
    return struct.pack("<IIQQQ", 0xad4b0000 | adjacent << 8 | flags, size, source, destination, following)


def transfer(from_card, count=3):
    chain = b""
    for i in range(count):
        there = (0x1000 * i, DATA + 64 * i) if from_card else (DATA + 64 * i, 0x1000 * i)
        last = i == count - 1
        chain += descriptor(3 if last else 0, max(0, count - 2 - i), 64, *there, 0 if last else CHAIN + 32 * (i + 1))
    block, sgdma = (0x1000, 0x5000) if from_card else (0, 0x4000)
    return (host(CHAIN, chain) + write(1, 0x2014, 0xf) + write(1, block + 0x90, 0xfffe7e) + write(1, sgdma + 0x80, CHAIN) +
            write(1, sgdma + 0x84, 0) + write(1, sgdma + 0x88, count - 1) + write(1, block + 0x04, 0xfffe7f) +
            message(WAIT) + read(1, block + 0x44) + read(1, block + 0x48))


def command(seq, opcode, count=0, source=0, target=0, statistics=0, flags=0):
    words = struct.unpack("<16I", struct.pack("<IIIIQQQ24x", opcode | flags, seq, count, 0, source, target, statistics))
    return (b"".join(write(0, 0x8000 + 64 * seq + 4 * i, word) for i, word in enumerate(words)) + write(0, 0x1010, seq) +
            message(WAIT) + read(0, 0x1018))


def agent():
    small = arena.Layout(2, 1, (3,))
    modes = {0x2000: 1, 0x2004: 1, 0x200c: 2, 0x2010: 1 << 20, 0x2014: 1 << 19, 0x2020: 0x7eb851eb, 0x2024: 0xa3d70a,
             0x2028: 0x73333333, 0x202c: 0x418937, 0x2030: 0x68db8bac, 0x2034: 0x68db8bac, 0x2038: 44, 0x203c: 44,
             0x2040: 0, 0x2044: 0}
    return (card(0, bytes(0x8000)) + card(0, bytes(small.image(batch_max=8))) + write(0, 0x100c, 0x3f) + write(0, 0x1048, 0x8000) +
            b"".join(write(0, at, value) for at, value in modes.items()) + command(1, 5) +
            command(2, 2, 4, 0x4000, 0x5000, 0x6000, 0x30100) + command(3, 3, 4, 0x4000, 0, 0x6000, 0x100) + command(4, 4))


def stream():
    """The same on a socket: with headers."""
    head = struct.Struct("<HHIII")
    bodies = [(VERSION, struct.pack("<HH", 0, 0) + b"{}\0"), (INFO, bytes(16)), (MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 4096)),
              (READ, struct.pack("<QII", 0, 0, 4)), (WRITE, struct.pack("<QIII", 4, CONFIG, 4, 6)), (RESET, b"")]
    return b"".join(head.pack(i, number, head.size + len(body), 0x10 if number == WRITE else 0, 0) + body
                    for i, (number, body) in enumerate(bodies))


CONTROL = b"""help
status
faults
fault core-stall after=3 ms=1
fault channel-stuck channel=h2c0 ms=1
fault interrupt-lost vector=2
unfault all
descriptors 3
accesses 4
events
strict
poke 0x100 00ff10
peek 0x100 3
reg 0x2000 1
sensor fpga-temperature 90
unplug
plug
clear
"""

SEEDS = {
    "up": b"M" + BEGIN + transfer(False),
    "down": b"M" + BEGIN + card(0, bytes(0x4000)) + transfer(True),
    "agent": b"M" + BEGIN + agent(),
    "reset": b"M" + BEGIN + write(0, 0x1004, 1) + message(WAIT) + message(RESET) + write(CONFIG, 0x79, 0x80, 1),
    "unmap": b"M" + BEGIN + message(UNMAP, struct.pack("<IIQQ", 24, 0, 0, 0x20000)) + transfer(False),
    "message": b"M" + BEGIN + message(MAP, struct.pack("<IIQQQ", 32, 3, 0, 0x100000, 0x1000)) + transfer(False),
    "stream": b"S" + stream(),
    "control": b"C" + CONTROL,
}

folder = pathlib.Path(sys.argv[1])
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
