#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: malformed and hostile messages to the emulated card: it never crashes, never answers with more than the request
allows, serves the next client; and clients in turn, memory maps of all kinds"""

import os
import random
import socket
import struct
import time

import vfio_user
import xdma
from emulator import USER, Card
from report import check, expect, finish, run, same_bytes, wait
from vfio_user import HEADER, Client, ProtocolError, Refused

MAGIC = b"FIXR"


def header(command, size, number=1, flags=0):
    return HEADER.pack(number, command, size, flags, 0)


def lives(card):
    """The next client is served. Each of these tests may have cost its own connection."""
    check(card.emulator.alive(), "the emulator is gone: " + (card.emulator.said()[-2000:] if not card.emulator.log.closed else ""))
    client = Client(card.emulator.path)
    client.write(7, 4, b"\6\0", posted=False)
    expect(client.read(USER, 0, 4), MAGIC, "MAGIC for the next client")
    client.close()


def replies(client, request_size, command, data):
    """Takes what comes back until the server is silent or closes; a reply larger than it may be is a mistake."""
    client.socket.settimeout(0.15)
    received = b""
    try:
        while True:
            part = client.socket.recv(1 << 16)
            if not part:
                break
            received += part
    except (TimeoutError, ConnectionError, socket.timeout):
        pass
    at = 0
    while len(received) - at >= 16:
        _, answered, size, flags, _ = HEADER.unpack_from(received, at)
        if not check(size >= 16 and flags & 0xf == 1, f"{data[:24].hex()}: an answer of {size} bytes, flags {flags:#x}"):
            return
        if answered not in (vfio_user.REGION_READ, vfio_user.REGION_INFO, vfio_user.VERSION):
            check(size <= max(request_size, 16), f"{data[:24].hex()}: an answer of {size} bytes to {request_size}")
        at += size
    expect(at, len(received), f"{data[:24].hex()}: answers and nothing else")


def attempt(card, data, fds=(), negotiate=True):
    """Sends bytes on a connection of its own."""
    client = Client(card.emulator.path, negotiate)
    try:
        client.send_raw(data, fds)
        replies(client, len(data), None, data)
    except (ProtocolError, ConnectionError, BrokenPipeError):
        pass
    client.close()


def truncated(card):
    """messages that end early: in the header, in the body, in each command's body"""
    for data in (b"", b"\0", header(9, 32)[:7], header(9, 32), header(9, 32) + bytes(15), header(2, 48) + bytes(31), header(8, 36) + bytes(3)):
        attempt(card, data)
    for command in range(0, 17):
        for size in (16, 17, 20, 24, 28, 31, 32, 33):
            attempt_quick(card, header(command, size) + bytes(size - 16))
    lives(card)


def attempt_quick(card, data, fds=()):
    """As attempt(), without waiting for answers: closing right behind a message is hostile too."""
    client = Client(card.emulator.path)
    try:
        client.send_raw(data, fds)
        client.socket.shutdown(socket.SHUT_WR)
        replies(client, len(data), None, data)
    except (ProtocolError, ConnectionError, BrokenPipeError, OSError):
        pass
    client.close()


def sizes(card):
    """sizes in the header that cannot be: 0, 15, 2^31, 2^32 - 1"""
    for size in (0, 1, 15, 1 << 20, (1 << 20) + 17, 1 << 31, (1 << 32) - 1):
        for command in (1, 2, 9, 10):
            attempt_quick(card, header(command, size) + bytes(64))
    lives(card)


def arguments(card):
    """argsz, counts and offsets in the body that cannot be"""
    huge = (1 << 64) - 1
    for region in (0, 1, 7, 8, 9, 1 << 31):
        for offset in (0, 1 << 20, huge, huge - 3):
            for count in (0, 1, 4, 1 << 16, 1 << 31, (1 << 32) - 1):
                attempt_many(card, header(9, 32) + struct.pack("<QII", offset, region, count))
                attempt_many(card, header(10, 36) + struct.pack("<QII", offset, region, count) + b"abcd")
    flush(card)
    for argsz in (0, 4, 15, 31, 1 << 16, (1 << 32) - 1):
        for command, rest in ((4, bytes(12)), (5, bytes(28)), (7, bytes(12)), (8, struct.pack("<IIII", 0x24, 2, 0, 1)),
                              (2, struct.pack("<IQQQ", 3, 0, 0x1000, 0x1000)), (3, struct.pack("<IQQ", 0, 0x1000, 0x1000))):
            attempt_many(card, header(command, 20 + len(rest)) + struct.pack("<I", argsz) + rest)
    flush(card)
    lives(card)


pending = []


def attempt_many(card, data):
    pending.append(data)
    if len(pending) >= 100:
        flush(card)


def flush(card):
    """Many requests on one connection, a new one where the server hung up."""
    while pending:
        client = Client(card.emulator.path)
        try:
            while pending:
                data = pending.pop(0)
                client.send_raw(data)
            client.socket.shutdown(socket.SHUT_WR)
            replies_of_many(client)
        except (ConnectionError, BrokenPipeError):
            pass
        client.close()


def replies_of_many(client):
    """Whole replies, each no larger than a read may be."""
    client.socket.settimeout(5)
    received = b""
    try:
        while part := client.socket.recv(1 << 20):
            received += part
    except (ConnectionError, socket.timeout):
        pass
    at = 0
    while len(received) - at >= 16:
        _, command, size, flags, _ = HEADER.unpack_from(received, at)
        if not check(size >= 16 and flags & 0xf == 1 and (size <= 48 or command == 9), f"an answer of {size} bytes to command {command}"):
            return
        at += size


def maps(card):
    """DMA_MAP: overlapping, empty, around the end of the address space, without rights, twice; DMA_UNMAP of what is not there"""
    client = card.client
    fd = os.memfd_create("map")
    os.ftruncate(fd, 65536)
    for address, size, offset in ((card.MEMORY, 4096, 0), (card.MEMORY - 4096, 8192, 0), (card.MEMORY + 4096, 4096, 0), (0x1000, 0, 0),
                                  ((1 << 64) - 4096, 8192, 0), (0x1000, 1 << 63, 0), (0x1000, 4096, 1 << 63),
                                  (0x2000, 4096, (1 << 64) - 4096)):
        try:
            client.map(address, size, fd, offset)
        except Refused:
            continue
        check(False, f"a map of {size:#x} at {address:#x} of offset {offset:#x} is taken")
        client.unmap(address, size)
    # A map beyond the end of the file: whatever is answered, touching it must not end the server.
    try:
        client.map(0x8_0000_0000, 1 << 20, fd, 0)
        up, _, _, _ = xdma.ready(card)
        first, _ = xdma.chain(card.memory, [(4096, 0x8_0000_0000 + 65536, card.memory_base)])
        up.start(first)
        status, _ = up.wait()
        check(status & (1 << 9), f"status {status:#x} of a read beyond the end of a file")
        client.unmap(0x8_0000_0000, 1 << 20)
    except Refused:
        pass
    for address, size in ((0x1000, 4096), (card.MEMORY, 4096), (card.MEMORY + 1, 1), (0, 0)):
        try:
            client.unmap(address, size)
        except Refused:
            pass
    same_bytes(client.read(USER, 0, 4), MAGIC, "MAGIC")
    # Not a file that can be mapped.
    reader, writer = os.pipe()
    for bad in (reader, client.socket.fileno()):
        try:
            client.map(0x9_0000_0000, 4096, bad)
            client.unmap(0x9_0000_0000, 4096)
        except Refused:
            pass
    os.close(reader)
    os.close(writer)
    # Many of them, found again.
    for i in range(3000):
        client.map(0x20_0000_0000 + 8192 * i, 4096, fd, 4096 * (i % 16))
    up, _, _, _ = xdma.ready(card)
    os.pwrite(fd, b"found" * 10, 4096 * (1777 % 16))
    status, count = up.run([(50, 0x20_0000_0000 + 8192 * 1777, card.memory_base)])
    expect(count, 1, "a transfer from one of 3,000 maps")
    expect(card.peek(0, 50), b"found" * 10, "its bytes")
    for i in range(3000):
        client.unmap(0x20_0000_0000 + 8192 * i, 4096)
    os.close(fd)


def descriptors(card):
    """file descriptors with messages that need none, too many of them, SET_IRQS with wrong ones: none leaks"""
    before = len(os.listdir(f"/proc/{card.emulator.process.pid}/fd"))
    fd = os.memfd_create("extra")
    os.ftruncate(fd, 4096)
    for command, body in ((9, struct.pack("<QII", 0, 0, 4)), (13, b""), (1, b"\0\0\0\0"), (4, bytes(16)), (99, bytes(16)),
                          (8, struct.pack("<IIIII", 20, 0x24, 2, 0, 1)), (2, struct.pack("<IIQQQ", 32, 3, 0, 0x1000, 4096))):
        for number in (1, 2, 16, 100):
            attempt_quick(card, header(command, 16 + len(body)) + body, [fd] * number)
    # With the second part of a message.
    client = Client(card.emulator.path)
    message = header(2, 48) + struct.pack("<IIQQQ", 32, 3, 0, 0x1000, 4096)
    client.socket.sendall(message[:20])
    try:
        client.send_raw(message[20:], [fd] * 3)
        replies(client, 48, 2, message)
    except (ConnectionError, BrokenPipeError):
        pass
    client.close()
    os.close(fd)
    wait(lambda: len(os.listdir(f"/proc/{card.emulator.process.pid}/fd")) <= before,
         f"{before} file descriptors before, {len(os.listdir(f'/proc/{card.emulator.process.pid}/fd'))} after")
    lives(card)


def noise(card):
    """10,000 random messages, from bytes and from changed good ones"""
    generator = random.Random(19)
    good = [header(9, 32) + struct.pack("<QII", 0x1000, 0, 4), header(10, 36) + struct.pack("<QIII", 0x1010, 0, 4, 1),
            header(5, 48) + struct.pack("<IIIIQQ", 32, 0, 1, 0, 0, 0), header(7, 32) + struct.pack("<IIII", 16, 0, 2, 0),
            header(8, 36) + struct.pack("<IIIII", 20, 0x21, 2, 0, 1), header(3, 40) + struct.pack("<IIQQ", 24, 0, 4096, 4096),
            header(2, 48) + struct.pack("<IIQQQ", 32, 3, 0, 4096, 4096), header(13, 16), header(11, 32) + struct.pack("<QQ", 0, 4),
            header(12, 36) + struct.pack("<QQI", 0, 4, 1), header(14, 24) + struct.pack("<II", 8, 1), header(6, 32) + bytes(16),
            header(9, 32, flags=1) + bytes(16), header(11, 48, flags=1) + bytes(32)]
    for number in range(10000):
        data = bytearray(generator.choice(good))
        if number % 10 == 0:
            data[16:] = generator.randbytes(len(data) - 16)
        for _ in range(generator.choice((0, 1, 1, 2, 5))):
            place = generator.randrange(len(data))
            data[place] ^= 1 << generator.randrange(8)
        attempt_many(card, bytes(data))
        # A size that was changed makes the rest of a connection nonsense, which is another kind of noise.
        if number % 50 == 49:
            flush(card)
    flush(card)
    lives(card)


def in_the_middle(card):
    """clients that go away in the middle: with a transfer under way, with the card's own message unanswered, 200 times in turn"""
    for number in range(200):
        client = Client(card.emulator.path)
        if number % 4 == 0:
            client.write(7, 4, b"\6\0", posted=False)
            client.map(0x1_0000, 1 << 16)  # without a descriptor: the card has to ask
            for offset, value in ((0x4080, 0x1_0000), (0x4084, 0), (0x4088, 0), (0x04, 0xfffe7f)):
                client.write(1, offset, struct.pack("<I", value))
            if number % 8 == 0:
                client.hold = True
                client.poll(0.5)
        elif number % 4 == 1:
            client.socket.sendall(header(9, 32)[:9])
        elif number % 4 == 2:
            client.socket.sendall((header(9, 32) + struct.pack("<QII", 0, 0, 4)) * 100)
        client.close()
    lives(card)


def in_turn(card):
    """two clients in turn: the second finds a card as after power-up, its own memory maps, and nobody's interrupts"""
    card.user_write(0x1034, 0x5ca1ab1e)
    card.dma_write(0x2010, 0xf)
    card.msix(4)
    card.disconnect()
    card.connect()
    expect((card.user(0x1034), card.dma(0x2010), card.user(0x1018)), (0, 0, 0), "SCRATCH, channel enables, COMPLETED_SEQ")
    up, _, down, _ = xdma.ready(card)
    data = os.urandom(5000)
    up.one(data, 0x4000)
    same_bytes(down.one(5000, 0x4000), data, "a transfer there and back")
    # While one is served, another has to wait, and is served then.
    second = Client(card.emulator.path, negotiate=False)
    second.socket.settimeout(0.3)
    try:
        second.negotiate()
        answered = True
    except (TimeoutError, socket.timeout, ProtocolError, ConnectionError):
        answered = False
    second.close()
    check(not answered, "two clients were served at once")
    expect(card.user(0), 0x52584946, "MAGIC for the first client")


def control_noise(card):
    """nonsense to the control socket is answered with an error, and long lines do no harm"""
    generator = random.Random(4)
    expect(card.ask("status")["ok"], True, "status")
    for line in ("", " ", "nonsense", "peek", "peek x y", "peek 0", "peek 0 0xffffffffffffffff", "peek 0xffffffffffffffff 16", "poke 0 zz",
                 "poke 0 f", "poke 0xffffffffffffff00 00", "fault", "fault nonsense", "fault nonsense after=-1", "unfault nonsense",
                 "reg", "reg 0xffffffff 1", "descriptors -1", "descriptors x", "accesses 99999999999999999999", "sensor x y",
                 "peek 0 1 2 3 4 5 6 7 8 9", "help me", "status " + "x" * 5000):
        try:
            card.ask(line)
        except ValueError:
            pass
        except ConnectionError as error:
            check(False, f"{line[:40]!r}: {error}")
            card.emulator.control = None
    for _ in range(5):
        hostile = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        hostile.settimeout(2)
        hostile.connect(str(card.emulator.control_path))
        try:
            hostile.sendall(generator.randbytes(200000))
            hostile.recv(100000)
        except (OSError, socket.timeout):
            pass
        hostile.close()
    expect(card.ask("status")["ok"], True, "status afterwards")


def main():
    card = Card()
    card.msix(1)
    for test in (control_noise, maps, in_turn):
        run(test, card)
    card.disconnect()
    for test in (truncated, sizes, arguments, descriptors, noise, in_the_middle):
        run(test, card)
    # The exit status is the sanitizers' last word.
    run(lambda: expect(card.emulator.close(), 0, "exit status"), name="it ends when it is told to")
    finish()


main()
