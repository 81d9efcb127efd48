#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FIXAR and float32 peers side by side in one run, and the project's targets for speed.

    selftests/bench/compare.py [--rltools CHECKOUT] [--build DIR] [--rounds N] [--seconds X] [--json FILE]

Everything is measured in turns, several times round, so that a busy moment of the machine falls on all. Peers are Debian's
PyTorch (selftests/install-packages bench) and, where a checkout is named, RLtools with OpenBLAS. README.md beside this says more.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BATCHES = [64, 128, 256, 512]
PRECISIONS = ["float32", "fixed32", "qat16", "qat16x16"]
# Multiply-accumulates of a step by product, for 17 observations, 6 actions, 400-300: forward, dW, dX.
FORWARD, WEIGHT_GRADIENT, INPUT_GRADIENT = 645_700, 257_400, 365_500
assert FORWARD + WEIGHT_GRADIENT + INPUT_GRADIENT == 1_268_600
PLATFORM_IPS, ACCELERATOR_IPS = 25293.3, 53826.8


class Peer:
    """A process that answers "train BATCH SECONDS" and "act SECONDS"."""

    def __init__(self, name, command, threads):
        # Two pools of threads, OpenMP's and OpenBLAS's, must not both be large: then they wait for each other by spinning.
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.name, self.threads = name, threads
        first = self.process.stdout.readline().split(maxsplit=1)
        if not first or first[0] != "ready":
            raise RuntimeError(f"{name} did not start: {' '.join(map(str, command))}")
        self.version = first[1].strip()

    def ask(self, what):
        """Times per second of wall time and of processor time, and the loss."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if len(words) != 4:
            raise RuntimeError(f"{self.name} answered {' '.join(words) or 'nothing'} to {what}")
        count, wall, processor, loss = map(float, words)
        return count / wall, count / processor, loss

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def build_rltools(checkout, folder):
    include = checkout / "include"
    if not (include / "rl_tools" / "rl_tools.h").exists():
        sys.exit(f"{checkout} is no checkout of RLtools: expected include/rl_tools/rl_tools.h in it")
    program = folder / "rltools_peer"
    command = ["g++", "-std=c++17", "-O3", "-march=native", "-ffast-math", "-w", "-DRL_TOOLS_BACKEND_ENABLE_OPENBLAS", f"-I{include}",
               "-o", str(program), str(HERE / "rltools_peer.cpp"), "-lopenblas"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line][:5]
        sys.exit("RLtools' headers do not compile with this project's program (another version?):\n" + "\n".join(errors))
    return program


def open_peers(options, folder):
    peers = []
    try:
        peers.append(Peer("PyTorch", [options.python, str(HERE / "torch_peer.py"), "1"], 1))
    except (RuntimeError, OSError) as error:
        print(f"without PyTorch: {error} (selftests/install-packages bench)", file=sys.stderr)
    if options.rltools:
        program = build_rltools(options.rltools, folder)
        peers += [Peer("RLtools", [str(program)], threads) for threads in (1, 2)]
    return peers


class Results:
    """Rates by (who, what, batch, threads), one for each round."""

    def __init__(self):
        self.wall, self.processor = {}, {}

    def add(self, key, wall, processor):
        self.wall.setdefault(key, []).append(wall)
        self.processor.setdefault(key, []).append(processor)

    def median(self, key, clock):
        values = (self.wall if clock == "wall" else self.processor).get(key)
        return statistics.median(values) if values else None


def fixar(options, *arguments):
    command = [str(options.build / "fixar"), "bench", "--rounds", "1", "--quiet", "--json", *map(str, arguments)]
    environment = dict(os.environ, FIXAR_PLUGIN_DIR=os.environ.get("FIXAR_PLUGIN_DIR", str(options.build)))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def one_round(options, results, kernels, peers, counted):
    def keep(key, wall, processor):
        if counted:
            results.add(key, wall, processor)

    for batch in BATCHES:
        for threads in (1, 2):
            for row in fixar(options, "--only", "training", "--seconds", options.seconds, "-b", batch, "--threads",
                             threads)["rows"]:
                keep((row["precision"], "train", batch, threads), row["steps_per_second"], row["steps_per_processor_second"])
        for peer in peers:
            keep((peer.name, "train", batch, peer.threads), *peer.ask(f"train {batch} {options.seconds}")[:2])
    answer = fixar(options, "--only", "acting", "--seconds", options.seconds)
    for row in answer["acting"]:
        keep((row["precision"], "act", 1, 1), row["actions_per_second"], row["actions_per_processor_second"])
    for peer in peers:
        if peer.threads == 1:
            keep((peer.name, "act", 1, 1), *peer.ask(f"act {options.seconds}")[:2])
    if options.platform:
        for row in fixar(options, "--platform", "--seconds", 2 * options.seconds, "-b", 512, "--threads", "2", "-p",
                         "qat16,qat16x16")["platform"]:
            keep((row["precision"], "platform", 512, 2), row["steps_per_second"], row["steps_per_processor_second"])
    answer = fixar(options, "--kernels", "--seconds", options.seconds / 10)
    for row in answer["kernels"]:
        if counted and "share" in row:
            kernels.setdefault((row["path"], row["product"], row["batch"]), []).append((row["share"], row["share_with_forms"]))
            kernels.setdefault(("limit of", row["path"], row["product"], row["batch"]), []).append(row["gmacs_limit"]["median"])
            kernels.setdefault(("gmacs", row["path"], row["product"], row["batch"]), []).append(row["gmacs"]["median"])
            if row["path"] == "full":
                kernels.setdefault(("bytes", row["product"], row["batch"]), []).append(row.get("byte_products"))
    for limit in answer["limits"]:
        if counted:
            kernels.setdefault(("limit", limit["operands"]), []).append(limit["gmacs"]["median"])
    return answer["device"]


def memory_of_training(options, folder):
    """Bytes of memory beyond the replay memory, of a run of HalfCheetah with batch 512 on two threads; None: cannot be run."""
    steps = 1200
    command = [str(options.build / "fixar"), "train", "halfcheetah", "--precision", "qat16x16", "--batch", "512", "--steps", str(steps),
               "--delay", "1100", "--threads", "2", "--out", str(folder / "run"), "--quiet"]
    environment = dict(os.environ, FIXAR_PLUGIN_DIR=os.environ.get("FIXAR_PLUGIN_DIR", str(options.build)))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    peak = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(kib) * 1024 for kib in re.findall(r"VmHWM:\s+(\d+)", status)))
        except (OSError, TypeError):
            pass
        time.sleep(0.02)
    if process.returncode:
        print(f"memory was not measured: {process.stderr.read().strip()}", file=sys.stderr)
        return None
    return peak - steps * 4 * (2 * 17 + 6 + 2)


def start_of_training(options, folder):
    """Seconds from the start of `fixar train` on HalfCheetah to its end behind the first training step, after 1,000 warm-up steps."""
    environment = dict(os.environ, FIXAR_PLUGIN_DIR=os.environ.get("FIXAR_PLUGIN_DIR", str(options.build)))
    times = []
    for i in range(3):
        start = time.monotonic()
        subprocess.run([str(options.build / "fixar"), "train", "halfcheetah", "--steps", "1001", "--eval-every", "0", "--out",
                        str(folder / f"start-{i}"), "--quiet"], check=True, stdout=subprocess.DEVNULL, env=environment)
        times.append(time.monotonic() - start)
    return statistics.median(times)


def number(value, digits=0):
    return f"{value:,.{digits}f}" if value is not None else "-"


def print_side_by_side(results, peers, clock):
    who = PRECISIONS + [name for name in ("PyTorch", "RLtools") if any(peer.name == name for peer in peers)]
    print("| IPS | " + " | ".join(who) + " |\n| --- |" + " --- |" * len(who))
    for threads in (1, 2):
        for batch in BATCHES:
            cells = [results.median((name, "train", batch, threads), clock) for name in who]
            print(f"| batch {batch}, {threads} thread{'s'[:threads - 1]} | "
                  + " | ".join(number(cell * batch if cell else None) for cell in cells) + " |")
    print("| actions/s, batch 1 | " + " | ".join(number(results.median((name, "act", 1, 1), clock)) for name in who) + " |")


def targets(results, kernels, memory, start, clock):
    """Rows of (what, target, reached, whether); whether: None where it was not measured, a text where there is no target."""
    def ips(who, batch, threads, what="train"):
        rate = results.median((who, what, batch, threads), clock)
        return rate * batch if rate else None

    def share(path, product, batch, formed=False):
        return statistics.median(pair[formed] for pair in kernels[path, product, batch])

    def at_least(what, reached, target, digits=0):
        return (what, f"{number(target, digits)} or more", number(reached, digits), None if reached is None else reached >= target)

    rows = [at_least("qat16, 2 threads, batch 512, HalfCheetah included (IPS)", ips("qat16", 512, 2, "platform"), PLATFORM_IPS),
            at_least("qat16x16, 2 threads, batch 512, training alone (IPS)", ips("qat16x16", 512, 2), ACCELERATOR_IPS)]
    for batch in BATCHES:
        peer = ips("RLtools", batch, 1)
        rows.append((f"qat16x16, 1 thread, batch {batch} (IPS), against RLtools with OpenBLAS", number(peer) if peer else "not measured",
                     number(ips("qat16x16", batch, 1)), ips("qat16x16", batch, 1) > peer if peer else None))
    peer = ips("PyTorch", 64, 1)
    rows.append(("fixed32, 1 thread, batch 64 (IPS), against PyTorch in float32", number(peer) if peer else "not measured",
                 number(ips("fixed32", 64, 1)), ips("fixed32", 64, 1) > peer if peer else None))
    if ("limit", "32x32") not in kernels:
        print("this engine has no measured limit: no shares of it", file=sys.stderr)
        kernels = None
    if kernels:
        tiles = ("limit", "32x32 in vectors") in kernels  # the engine's products of 32 x 32 bits are not those of vectors
        for product in ("forward", "dX", "dW"):
            shares = [share("full", product, batch) for batch in BATCHES]
            bytes_needed = {kernels["bytes", product, batch][-1] for batch in BATCHES} - {None}
            of = "32 x 32 bit limit"
            if tiles:
                of = f"limit of AMX tiles with the {' or '.join(f'{n:g}' for n in sorted(bytes_needed))} products of bytes that operands needed"
            rows.append((f"fixed32, {product} of 400 x 300, share of the {of} at the worst batch", "80 % or more",
                         f"{100 * min(shares):.0f} %", min(shares) >= 0.8))
            if tiles:
                vector = statistics.median(kernels["limit", "32x32 in vectors"])
                shares = [statistics.median(kernels["gmacs", "full", product, batch]) / vector for batch in BATCHES]
                rows.append((f"fixed32, {product} of 400 x 300, against the limit of vpmuldq, which this engine does without, at the worst batch",
                             "for reference", f"{100 * min(shares):.0f} %", ""))
        for batch in BATCHES:
            # What each product's own limit is: half of 16 x 16 bits, and 32 x 32 bits with as many products of bytes as there are.
            parts = [("half", "forward", FORWARD), ("half", "dW", WEIGHT_GRADIENT), ("full", "dX", INPUT_GRADIENT)]
            limit = {part[:2]: statistics.median(kernels["limit of", *part[:2], batch]) for part in parts}
            ideal = sum(macs / limit[path, product] for path, product, macs in parts)
            products = sum(macs / limit[path, product] / share(path, product, batch) for path, product, macs in parts)
            step = ips("qat16", batch, 1)
            rows.append((f"qat16, 1 thread, batch {batch}: products alone; the whole step, share of its mix's limit"
                         f"{' (dX: AMX tiles)' if tiles else ''}", "80 % or more",
                         f"{100 * ideal / products:.0f} %; {100 * step * ideal * 1e-9:.0f} %", ideal / products >= 0.8))
    rows.append(at_least("acting at batch 1, 1 thread, the better of qat16 and qat16x16 (actions/s)",
                         max(results.median((p, "act", 1, 1), clock) for p in ("qat16", "qat16x16")), 70_000))
    if memory is not None:
        rows.append(("memory beside the replay memory, HalfCheetah, batch 512, 2 threads", "64 MB or less", f"{memory / 1e6:.1f} MB",
                     memory <= 64e6))
    if start is not None:
        rows.append(("start-up to the first training step, HalfCheetah, 1,000 warm-up steps included (wall time)", "1 s or less",
                     f"{start:.2f} s", start <= 1))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rltools", type=pathlib.Path, metavar="CHECKOUT", help="folder of a checkout of RLtools")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python that has torch; default the system's")
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="folder of the build")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured; default 5")
    parser.add_argument("--seconds", type=float, default=0.4, help="how long each time; default 0.4")
    parser.add_argument("--no-platform", dest="platform", action="store_false", help="without HalfCheetah, for which MuJoCo is needed")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all figures of all rounds go there, too")
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds <= 60:
        parser.error("expected at least one round, and more than 0 and at most 60 seconds")
    options.build = options.build.resolve()
    if not (options.build / "fixar").exists():
        parser.error(f"there is no {options.build / 'fixar'}: build it first, or name another folder with --build")
    results, kernels = Results(), {}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fixar-bench-"))
    start, load = time.monotonic(), os.getloadavg()[0]
    try:
        peers = open_peers(options, folder)
        for number_of_round in range(options.rounds + 1):
            device = one_round(options, results, kernels, peers, number_of_round > 0)
            print(f"round {number_of_round} of {options.rounds}, {time.monotonic() - start:.0f} s", file=sys.stderr)
        memory = memory_of_training(options, folder) if options.platform else None
        first_step = start_of_training(options, folder) if options.platform else None
        for peer in peers:
            peer.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"Engine {device}; {', '.join(sorted({peer.version for peer in peers})) or 'no peers'}; median of {options.rounds} rounds of "
          f"{options.seconds:g} s; load {load:.1f} before, {os.getloadavg()[0]:.1f} after.\n")
    for clock, title in (("wall", "By wall time"), ("processor", "By processor time, of all threads (for a busy machine)")):
        print(f"{title}:\n")
        print_side_by_side(results, peers, clock)
        print("\n| | Target | Reached | |\n| --- | --- | --- | --- |")
        for what, target, reached, ok in targets(results, kernels, memory, first_step, clock):
            print(f"| {what} | {target} | {reached} | {'not measured' if ok is None else ok if isinstance(ok, str) else 'yes' if ok else 'no'} |")
        print()
    if options.json:
        options.json.write_text(json.dumps({
            "peers": sorted({peer.version for peer in peers}),
            "rates": [dict(zip(("who", "what", "batch", "threads"), key), wall=values, processor=results.processor[key])
                      for key, values in results.wall.items()],
            "kernels": [{"what": key, "values": values} for key, values in kernels.items()],
            "memory_beside_replay": memory, "seconds_to_first_training_step": first_step}, indent=1) + "\n")


if __name__ == "__main__":
    main()
