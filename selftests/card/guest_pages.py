#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In the guest, as root: the physical pages of the buffers that the one program which uses a card has mapped.

    guest_pages.py watch        before the program starts
    guest_pages.py              while it runs: a line for each buffer, PAGES [bytes, [number of each page]], and at the end MAPPED

/proc/PID/pagemap leaves such mappings out, so the kernel's own entries into the page table are recorded: a probe in
vmf_insert_pfn(vma, address, page's number).
"""

import glob
import json
import os
import re
import sys
import time

PAGE, TRACING, PROBE = 4096, "/sys/kernel/tracing", "fixar_selftests/page"
PATIENCE = 45  # less than the driver gives a command


def put(file, text, how=os.O_TRUNC):
    descriptor = os.open(f"{TRACING}/{file}", os.O_WRONLY | how)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def watch():
    if not os.path.isdir(f"{TRACING}/events/{PROBE}"):
        put("kprobe_events", f"p:{PROBE} vmf_insert_pfn address=%si:x64 page=%dx:x64\n", os.O_APPEND)
        put(f"events/{PROBE}/enable", "1")
    put("trace", "\n")


def mappings():
    """Of each process that has any, the ranges that are mapped from a card's node."""
    for path in glob.glob("/proc/[0-9]*/maps"):
        try:
            with open(path) as file:
                found = [re.match(r"(\w+)-(\w+) .*/dev/(accel|dri)/", line) for line in file]
        except OSError:
            continue
        if any(found):
            yield [(int(match[1], 16), int(match[2], 16)) for match in found if match]


def entries():
    """The page at each address, whichever thread touched it first: one program alone has the card's memory mapped."""
    pages = {}
    with open(f"{TRACING}/trace") as trace:
        for line in trace:
            match = re.search(r" page: .*address=0x(\w+) page=0x(\w+)", line)
            if match:
                pages[int(match[1], 16) & -PAGE] = int(match[2], 16)
    return pages


def look():
    pages = entries()
    for ranges in mappings():
        buffers = [(end - begin, [pages.get(address, 0) for address in range(begin, end, PAGE)]) for begin, end in ranges]
        # What the program has not touched yet has no page.
        if len(buffers) >= 2 and all(all(numbers) for _, numbers in buffers):
            return buffers
    return []


def main():
    if sys.argv[1:] == ["watch"]:
        watch()
        return
    limit, buffers = time.monotonic() + PATIENCE, []
    while not buffers and time.monotonic() < limit:
        time.sleep(0.1)
        buffers = look()
    for buffer in buffers:
        print("PAGES", json.dumps(buffer), flush=True)
    print("MAPPED", flush=True)


main()
