# SPDX-License-Identifier: MIT
"""An emulated card for a test: its process, its control socket, and a host that is plugged into it."""

import atexit
import json
import mmap
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import vfio_user
from report import SLOW, wait

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("FIXAR_BUILD") or SOURCE / "build") / "fixar-emu"

# Regions: the user BAR (the core) and, next to it, the BAR of the DMA engine. PG195, chapter "Product Specification",
# PCIe base address registers: with an AXI-Lite master the user BAR comes first.
USER, DMA = 0, 1


class Emulator:
    """The process. Its folder goes with it."""

    def __init__(self, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="emu-"))
        self.path, self.control_path = self.folder / "card", self.folder / "control"
        self.log = open(self.folder / "log", "w+b")
        self.process = subprocess.Popen([str(PROGRAM), "--socket", str(self.path), "--control", str(self.control_path),
                                         *options], stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        atexit.register(self.abandon)
        wait(lambda: self.path.exists() and self.control_path.exists() or self.process.poll() is not None,
             "the emulator does not come up")
        self.control = None

    def abandon(self):
        """At the end of a test program that did not come to close(), such as one that ran only some of its tests."""
        if self.alive():
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def ask(self, request):
        """One request to the control socket; its answer, or an error as an exception."""
        if not self.control:
            self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.control.settimeout(20 * SLOW)
            self.control.connect(str(self.control_path))
            self.stream = self.control.makefile("rb")
        self.control.sendall(request.encode() + b"\n")
        line = self.stream.readline()
        if not line:
            raise ConnectionError("the control socket was closed: " + self.said()[-500:])
        answer = json.loads(line)
        if not answer.get("ok"):
            raise ValueError(f"{request}: {answer.get('error')}")
        return answer

    def close(self):
        """Ends it; its exit status."""
        if self.control:
            self.control.close()
        if self.alive():
            self.process.terminate()
        try:
            status = self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status


class HostMemory:
    """A piece of the host's memory that the card may reach: a memfd, mapped here and given away by DMA_MAP."""

    def __init__(self, client, address, size, flags=3, with_fd=True):
        self.client, self.address, self.size = client, address, size
        self.fd = os.memfd_create("host")
        os.ftruncate(self.fd, size)
        self.bytes = mmap.mmap(self.fd, size)
        self.free = 0
        client.map(address, size, self.fd if with_fd else None, flags=flags)

    def allocate(self, size, align=64):
        """An offset. Nothing is given back but everything: self.free = 0."""
        start = -(-self.free // align) * align
        if start + size > self.size:
            raise MemoryError(f"{size} bytes of test memory")
        self.free = start + size
        return start

    def place(self, data, align=64):
        """Puts data somewhere and returns the address that the card sees."""
        offset = self.allocate(len(data), align)
        self.bytes[offset:offset + len(data)] = data
        return self.address + offset

    def get(self, address, size):
        return self.bytes[address - self.address:address - self.address + size]

    def put(self, address, data):
        self.bytes[address - self.address:address - self.address + len(data)] = data

    def remove(self):
        self.client.unmap(self.address, self.size)
        self.close()

    def close(self):
        self.bytes.close()
        os.close(self.fd)


class Card:
    """A host with a card: registers, memory, interrupts."""

    MEMORY = 0x4_0000_0000  # above 4 GiB, so that the upper halves of addresses matter

    def __init__(self, *options, memory=48 << 20):
        self.emulator = Emulator(*options)
        self.ask = self.emulator.ask
        self.connect(memory)

    def connect(self, memory=48 << 20):
        self.client = vfio_user.Client(self.emulator.path)
        self.memory = HostMemory(self.client, self.MEMORY, memory)
        self.events = {}
        self.enable()

    def disconnect(self):
        self.client.close()
        self.memory.close()
        for event in self.events.values():
            os.close(event)

    def enable(self):
        # PCI command register, 0x04: bit 1 memory space, bit 2 bus master.
        self.config_write(0x04, 6, 2)

    def reset(self):
        """A bus reset, and the host's memory empty."""
        self.client.reset()
        self.memory.free = 0
        self.enable()

    def close(self):
        self.disconnect()
        return self.emulator.close()

    # ---- registers ----

    def config(self, offset, size=4):
        return int.from_bytes(self.client.read(vfio_user.CONFIG_REGION, offset, size), "little")

    def config_write(self, offset, value, size=4):
        self.client.write(vfio_user.CONFIG_REGION, offset, value.to_bytes(size, "little"), posted=False)

    def user(self, offset):
        return struct.unpack("<I", self.client.read(USER, offset, 4))[0]

    def user_write(self, offset, value):
        self.client.write(USER, offset, struct.pack("<I", value))

    def user64(self, offset):
        low, high = self.client.read_words(USER, [offset, offset + 4])
        return low | high << 32

    def dma(self, offset):
        return struct.unpack("<I", self.client.read(DMA, offset, 4))[0]

    def dma_write(self, offset, value):
        self.client.write(DMA, offset, struct.pack("<I", value))

    # ---- card memory, past all that is tested ----

    def peek(self, address, size):
        """Card memory from `address`, counted from its first byte."""
        data = b""
        while len(data) < size:
            answer = self.ask(f"peek {address + len(data):#x} {min(size - len(data), 1 << 16)}")
            data += bytes.fromhex(answer["bytes"])
        return data

    def poke(self, address, data):
        for first in range(0, len(data), 1 << 14):
            self.ask(f"poke {address + first:#x} {data[first:first + (1 << 14)].hex()}")

    # ---- interrupts ----

    def capability(self, number):
        """The offset of a capability in configuration space, or None."""
        offset, seen = self.config(0x34, 1) & ~3, set()
        while offset and offset not in seen:
            seen.add(offset)
            if self.config(offset, 1) == number:
                return offset
            offset = self.config(offset + 1, 1) & ~3
        return None

    def msix(self, count):
        """Enables MSI-X (capability 0x11, message control bit 15) and gives `count` vectors an event each, in QEMU's order."""
        control = self.capability(0x11) + 2
        self.config_write(control, self.config(control, 2) | 0x8000, 2)
        self.client.set_irqs(vfio_user.MSIX, 0, 1, [])
        for vector in range(count):
            self.give_event(vfio_user.MSIX, vector)

    def msi(self):
        """Enables MSI (capability 5, message control bit 0) with one vector."""
        control = self.capability(5) + 2
        self.config_write(control, self.config(control, 2) | 1, 2)
        self.give_event(vfio_user.MSI, 0)

    def give_event(self, index, vector):
        event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        if vector in self.events:
            os.close(self.events[vector])
        self.events[vector] = event
        self.client.set_irqs(index, vector, 1, [event])

    def fired(self, vector):
        """How often a vector fired since it was last asked."""
        try:
            return os.eventfd_read(self.events[vector])
        except BlockingIOError:
            return 0

    def wait_fired(self, vector, seconds=5.0):
        """Waits for an interrupt; the card's own messages are answered meanwhile."""
        limit = time.monotonic() + seconds * SLOW
        while time.monotonic() < limit:
            if select.select([self.events[vector]], [], [], 0)[0]:
                return self.fired(vector)
            self.client.poll(0.002)
        return 0

    def quiet(self, seconds=0.05):
        """Which vectors fire within a while, and how often."""
        self.client.poll(seconds * SLOW)
        counts = {vector: self.fired(vector) for vector in self.events}
        return {vector: count for vector, count in counts.items() if count}
