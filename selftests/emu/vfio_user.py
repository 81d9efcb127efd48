# SPDX-License-Identifier: MIT
"""The client's side of the vfio-user protocol, as QEMU speaks it, with nothing but Python's standard library.

Numbers are those of the protocol's specification (QEMU's docs/interop/vfio-user and linux/vfio.h). Every reply is checked:
it answers the oldest open command, has its number, and is no larger than the request unless it brings what was asked for.
"""

import array
import collections
import json
import select
import socket
import struct
import time

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, REGION_INFO, REGION_IO_FDS, IRQ_INFO, SET_IRQS = 1, 2, 3, 4, 5, 6, 7, 8
REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, DEVICE_RESET, DIRTY_PAGES = 9, 10, 11, 12, 13, 14

HEADER = struct.Struct("<HHIII")  # id, command, size with header, flags, error number
REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20

CONFIG_REGION = 7
MSI, MSIX = 1, 2  # indices of interrupts, after INTx

TIMEOUT = 60.0  # seconds for a reply: QEMU waits 5, a busy machine may need more


class ProtocolError(Exception):
    """The server did what the protocol forbids, or went away."""


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, command, number):
        super().__init__(f"command {command} was answered with error {number}")
        self.number = number


Message = collections.namedtuple("Message", "id command flags error body size")


class Client:
    """One connection. `memory` serves the server's DMA_READ and DMA_WRITE: on_read(address, count) -> bytes or None,
    on_write(address, data) -> bool. With `hold` set, such commands wait in `held` until answer() is called.
    """

    def __init__(self, path, negotiate=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(str(path))
        self.buffer = b""
        self.number = 0
        self.on_read = lambda address, count: None
        self.on_write = lambda address, data: False
        self.hold = False
        self.held = []
        self.capabilities = None
        if negotiate:
            self.negotiate()

    def close(self):
        self.socket.close()

    # ---- messages ----

    def send(self, command, body=b"", fds=(), flags=0):
        self.number = (self.number + 1) % 0x10000
        data = HEADER.pack(self.number, command, HEADER.size + len(body), flags, 0) + body
        self.send_raw(data, fds)
        return self.number

    def send_raw(self, data, fds=()):
        if fds:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self.socket.sendmsg([data], rights)
            data = data[sent:]
        self.socket.sendall(data)

    def fill(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ProtocolError("the server closed the connection")
            self.buffer += data

    def message(self):
        self.fill(HEADER.size)
        number, command, size, flags, error = HEADER.unpack_from(self.buffer)
        if size < HEADER.size or size > 1 << 22:
            raise ProtocolError(f"a message of {size} bytes")
        self.fill(size)
        body, self.buffer = self.buffer[HEADER.size:size], self.buffer[size:]
        return Message(number, command, flags, error, body, size)

    def reply(self, number, command, request_size, most):
        """The reply to one command; what the server asks in between is answered."""
        while True:
            message = self.message()
            if message.flags & 0xf != REPLY:
                self.incoming(message)
                continue
            if message.id != number or message.command != command:
                raise ProtocolError(f"reply {message.id} to command {message.command}, "
                                    f"where {number} to {command} was due")
            if message.size > max(request_size, most):
                raise ProtocolError(f"a reply of {message.size} bytes to a command {command} of {request_size}")
            if message.flags & ERROR:
                raise Refused(command, message.error)
            return message.body

    def request(self, command, body=b"", fds=(), most=0):
        """`most` is the size that a reply which brings data may have."""
        number = self.send(command, body, fds)
        return self.reply(number, command, HEADER.size + len(body), most)

    # ---- what the server asks ----

    def incoming(self, message):
        if message.command not in (DMA_READ, DMA_WRITE) or len(message.body) < 16:
            raise ProtocolError(f"the server sent command {message.command}")
        if self.hold:
            self.held.append(message)
        else:
            self.answer(message)

    def answer(self, message):
        address, count = struct.unpack_from("<QQ", message.body)
        data = b""
        if message.command == DMA_READ:
            data = self.on_read(address, count)
            good = data is not None
        else:
            good = self.on_write(address, message.body[16:16 + count])
        body = message.body[:16] + (data or b"")
        flags = REPLY if good else REPLY | ERROR
        if not message.flags & NO_REPLY:
            self.send_raw(HEADER.pack(message.id, message.command, HEADER.size + len(body), flags, 0 if good else 14) + body)

    def release(self):
        """Stops holding and answers what was held."""
        self.hold = False
        held, self.held = self.held, []
        for message in held:
            self.answer(message)

    def poll(self, seconds):
        """Takes what the server asks for up to that long, or until something was held."""
        limit = time.monotonic() + seconds
        while not (self.hold and self.held):
            left = limit - time.monotonic()
            if left <= 0 or not (self.buffer or select.select([self.socket], [], [], left)[0]):
                return
            message = self.message()
            if message.flags & 0xf == REPLY:
                raise ProtocolError(f"a reply to command {message.command} that nobody waits for")
            self.incoming(message)

    # ---- commands ----

    def negotiate(self):
        text = json.dumps({"capabilities": {"max_msg_fds": 16, "max_data_xfer_size": 1 << 20}}).encode() + b"\0"
        body = self.request(VERSION, struct.pack("<HH", 0, 0) + text, most=1 << 16)
        major, _ = struct.unpack_from("<HH", body)
        if major != 0 or (len(body) > 4 and body[-1]):
            raise ProtocolError(f"version {major}, or a text without its end: {body[4:]!r}")
        self.version_reply = body
        self.capabilities = json.loads(body[4:-1] or b"{}").get("capabilities", {})

    def map(self, address, size, fd=None, offset=0, flags=3):
        """flags: 1 the device may read, 2 it may write."""
        self.request(DMA_MAP, struct.pack("<IIQQQ", 32, flags, offset, address, size), [] if fd is None else [fd])

    def unmap(self, address, size):
        self.request(DMA_UNMAP, struct.pack("<IIQQ", 24, 0, address, size))

    def info(self):
        """flags, regions, interrupts"""
        return struct.unpack("<IIII", self.request(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0)))[1:]

    def region_info(self, index):
        """flags, size"""
        body = self.request(REGION_INFO, struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
        _, flags, _, _, size, _ = struct.unpack_from("<IIIIQQ", body)
        return flags, size

    def irq_info(self, index):
        """flags, count"""
        return struct.unpack("<IIII", self.request(IRQ_INFO, struct.pack("<IIII", 16, 0, index, 0)))[1::2]

    def set_irqs(self, index, start, count, fds=None, flags=None):
        if flags is None:
            flags = 0x24 if fds is not None else 0x21  # trigger, with event file descriptors or with nothing
        self.request(SET_IRQS, struct.pack("<IIIII", 20, flags, index, start, count), fds or [])

    def reset(self):
        self.request(DEVICE_RESET)

    def read(self, region, offset, count):
        head = struct.pack("<QII", offset, region, count)
        body = self.request(REGION_READ, head, most=HEADER.size + 16 + count)
        if body[:16] != head or len(body) != 16 + count:
            raise ProtocolError(f"a read of {count} at {offset:#x} of region {region} brought {body[:32]!r}")
        return body[16:]

    def read_words(self, region, offsets):
        """Many 32-bit reads, sent before the first reply is taken."""
        values = []
        for first in range(0, len(offsets), 256):
            part = offsets[first:first + 256]
            numbers, data = [], []
            for offset in part:
                self.number = (self.number + 1) % 0x10000
                numbers.append(self.number)
                data.append(HEADER.pack(self.number, REGION_READ, 32, 0, 0) + struct.pack("<QII", offset, region, 4))
            self.socket.sendall(b"".join(data))
            for number in numbers:
                values.append(struct.unpack_from("<I", self.reply(number, REGION_READ, 32, 36), 16)[0])
        return values

    def write(self, region, offset, data, posted=True):
        """BAR writes are posted, as QEMU's are: there is no reply."""
        body = struct.pack("<QII", offset, region, len(data)) + data
        if posted:
            self.send(REGION_WRITE, body, flags=NO_REPLY)
        else:
            answer = self.request(REGION_WRITE, body)
            if answer != body[:16]:
                raise ProtocolError(f"a write at {offset:#x} of region {region} was answered with {answer!r}")
