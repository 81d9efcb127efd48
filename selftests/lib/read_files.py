#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Reads what the library writes to disk, with nothing but Python's standard library and the published formats:

    read_files.py safetensors FILE      a checkpoint: every tensor and string, and the checksum of the file
    read_files.py events FILE           a TensorBoard event file: every record
    read_files.py replay FILE           a segment of a replay memory: its header

Each prints lines that a test compares, and fails at the first thing that is not as the format wants it. It shares no
code with the library: what the two agree on is the format.
"""

import json
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def need(condition, what):
    if not condition:
        sys.exit("read_files.py: " + what)


def number(value):
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def safetensors(path):
    formats = {"I32": "i", "U32": "I", "I64": "q", "U64": "Q", "F32": "f", "F64": "d", "U8": "B"}
    with open(path, "rb") as file:
        whole = file.read()
    (length,) = struct.unpack_from("<Q", whole)
    need(length % 8 == 0, "the header's length is no multiple of 8")
    text = whole[8 : 8 + length]
    need(len(text) == length, "the header is cut off")
    need(text.startswith(b"{"), "the header does not start with {")

    def unique(pairs):
        names = [name for name, _ in pairs]
        need(len(set(names)) == len(names), "a name twice in the header")
        return dict(pairs)

    header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    strings = header.pop("__metadata__")
    for key, value in strings.items():
        need(isinstance(value, str), "%s is not a string" % key)
        print("string %s=%s" % (key, json.dumps(value)))
    data = whole[8 + length :]
    place = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        need(set(entry) == {"dtype", "shape", "data_offsets"}, "%s has other keys" % name)
        begin, end = entry["data_offsets"]
        need(begin == place, "%s overlaps, or there is a gap before it" % name)
        count = 1
        for dim in entry["shape"]:
            count *= dim
        kind = formats[entry["dtype"]]
        need(end - begin == count * struct.calcsize("<" + kind), "%s has another size than its shape" % name)
        need((8 + length + begin) % struct.calcsize("<" + kind) == 0, "%s is not aligned" % name)
        values = struct.unpack_from("<%d%s" % (count, kind), data, begin)
        print(" ".join([name, entry["dtype"], str(entry["shape"])] + [number(value) for value in values[:64]]))
        place = end
    need(place == len(data), "bytes behind the last tensor")

    start = b'{"__metadata__":{"crc32c":"'
    need(text.startswith(start), "the header does not start with the checksum")
    digits = 8 + len(start)
    found = crc32c(whole[:digits] + b"00000000" + whole[digits + 8 :])
    need(whole[digits : digits + 8] == b"%08x" % found, "the checksum is %08x" % found)
    print("crc32c ok")


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protocol buffer: number, wire type, value."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at : at + 8], at + 8
        elif kind == 2:
            length, at = varint(data, at)
            need(at + length <= len(data), "a field is longer than its message")
            value, at = data[at : at + length], at + length
        else:
            need(kind == 5, "unknown wire type %d" % kind)
            value, at = data[at : at + 4], at + 4
        yield key >> 3, kind, value


def events(path):
    with open(path, "rb") as file:
        whole = file.read()
    at = 0
    while at < len(whole):
        (length,) = struct.unpack_from("<Q", whole, at)
        need(struct.unpack_from("<I", whole, at + 8)[0] == masked(whole[at : at + 8]), "checksum of a length")
        data = whole[at + 12 : at + 12 + length]
        need(len(data) == length, "the last record is cut off")
        need(struct.unpack_from("<I", whole, at + 12 + length)[0] == masked(data), "checksum of a record")
        step = 0
        parts = []
        for field, kind, value in fields(data):
            if (field, kind) == (1, 1):
                need(1e9 < struct.unpack("<d", value)[0] < 1e11, "the wall time is no time of today")
            elif (field, kind) == (2, 0):
                step = value
            elif (field, kind) == (3, 2):
                parts.append("version " + value.decode())
            else:
                need((field, kind) == (5, 2), "unknown field %d" % field)
                for inner, inner_kind, entry in fields(value):
                    need((inner, inner_kind) == (1, 2), "unknown field %d of a summary" % inner)
                    tag, simple = None, None
                    for deep, deep_kind, leaf in fields(entry):
                        if (deep, deep_kind) == (1, 2):
                            tag = leaf.decode()
                        else:
                            need((deep, deep_kind) == (2, 5), "unknown field %d of a value" % deep)
                            (simple,) = struct.unpack("<f", leaf)
                    parts.append("%s=%g" % (tag, simple))
        print(" ".join(["step %d" % step] + parts))
        at += 12 + length + 4


def replay(path):
    with open(path, "rb") as file:
        header = file.read(64)
        records = file.read()
    need(len(header) == 64 and header[:8] == b"FIXARRPL", "not a segment of a replay memory")
    need(struct.unpack_from("<I", header, 60)[0] == crc32c(header[:60]), "checksum of the header")
    schema, observation, action, record, segment = struct.unpack_from("<5I", header, 8)
    index, first = struct.unpack_from("<2Q", header, 32)
    need(record == 4 * (2 * observation + action + 2), "the size of a record")
    need(len(records) % record == 0, "the last record is cut off")
    print("schema %d segment %d of %d from %d, %d records" % (schema, index, segment, first, len(records) // record))
    for at in range(0, len(records), record):
        values = struct.unpack_from("<%df%dif%dfI" % (observation, action, observation), records, at)
        print(" ".join(number(value) for value in values))


def main():
    readers = {"safetensors": safetensors, "events": events, "replay": replay}
    if len(sys.argv) != 3 or sys.argv[1] not in readers:
        sys.exit(__doc__)
    readers[sys.argv[1]](sys.argv[2])


main()
