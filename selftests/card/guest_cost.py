#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In the guest, as root: what submissions cost the program that makes them. guest_cost.py ADDRESS

Trains on a card while the kernel's trace records, of that process alone, each SUBMIT's begin and end, and what happens between them:
allocations, DMA mappings, changes of context. Prints COST and a JSON object: of each submission a list, in order.
"""

import json
import os
import re
import subprocess
import sys

TRACING = "/sys/kernel/tracing"
GROUP = "fixar_selftests"
# What maps memory for a device, as far as this kernel has it as a function of its own.
MAPS = ["dma_map_sgtable", "dma_map_sg_attrs", "dma_map_page_attrs", "dma_map_phys", "dma_alloc_attrs"]
ALLOCATIONS = ["kmalloc", "kmalloc_node", "kmem_cache_alloc", "kmem_cache_alloc_node"]


def put(file, text, how=os.O_TRUNC):
    descriptor = os.open(f"{TRACING}/{file}", os.O_WRONLY | how)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def probe(definition):
    """False where the kernel has no such function."""
    name = definition.split()[0].split("/")[1]
    if not os.path.isdir(f"{TRACING}/events/{GROUP}/{name}"):
        try:
            put("kprobe_events", definition + "\n", os.O_APPEND)
        except OSError:
            return False
    return True


def events():
    assert probe(f"p:{GROUP}/submit_begin fixar_submit_ioctl") and probe(f"r:{GROUP}/submit_end fixar_submit_ioctl result=$retval:s32")
    maps = [name for name in MAPS if probe(f"p:{GROUP}/{name} {name}")]
    assert maps, "no function that maps"
    allocations = [f"kmem/{name}" for name in ALLOCATIONS if os.path.isdir(f"{TRACING}/events/kmem/{name}")]
    return [f"{GROUP}/{name}" for name in ("submit_begin", "submit_end", *maps)] + allocations + ["sched/sched_switch"]


def run(address):
    names = events()
    put("buffer_size_kb", "16384")
    put("trace", "\n")
    for name in names:
        put(f"events/{name}/enable", "1")
    try:
        # The shell's number is the program's.
        client = subprocess.run(["sh", "-c", f'echo $$ >{TRACING}/set_event_pid; exec "$@"', "sh", os.environ["FIXAR"], "train", "pendulum",
                                 "--quiet", "--hidden", "16", "--batch", "8", "--warm-up", "20", "--steps", "70", "--device", address,
                                 "--out", f"/tmp/cost-{address}"], stdin=subprocess.DEVNULL)
    finally:
        for name in names:
            put(f"events/{name}/enable", "0")
        put("set_event_pid", "\n")
    assert client.returncode == 0, client.returncode


def read():
    """Of each submission: allocations, bytes of them, mappings, changes of context that it asked for; and those of the whole run."""
    submissions, now, waits, lost = [], None, 0, 0
    with open(f"{TRACING}/trace") as trace:
        for line in trace:
            match = re.match(r".*-(\d+) +\[\d+\] \S+ +[\d.]+: (\w+): (.*)", line)
            if not match:
                lost += "LOST" in line
                continue
            event, rest = match[2], match[3]
            if event == "submit_begin":
                now = {"allocations": 0, "bytes": 0, "maps": 0, "switches": 0}
            elif event == "submit_end":
                if now is not None and "result=0" in rest:
                    submissions.append(now)
                now = None
            elif event == "sched_switch":
                # R: it was somebody else's turn, which is not its doing.
                asked = not re.search(r"prev_state=R", rest)
                # The event is also recorded when the process comes back.
                if asked and f"prev_pid={match[1]} " in rest and "prev_comm=fixar" in rest:
                    waits += 1
                    if now is not None:
                        now["switches"] += 1
            elif now is not None and event in ALLOCATIONS:
                now["allocations"] += 1
                now["bytes"] += int(re.search(r"bytes_alloc=(\d+)", rest)[1])
            elif now is not None:
                now["maps"] += 1
    return {"submissions": submissions, "waits": waits, "lost": lost}


run(sys.argv[1])
print("COST", json.dumps(read()), flush=True)
