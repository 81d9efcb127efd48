#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages of the tool: well-formed, and with exactly the options that --help knows."""

from tool import *

tests = Tests()
MAN = SOURCE / "tools/man"
COMMANDS = ["train", "eval", "study", "plot", "model", "bench", "quantize", "info", "mode", "dma", "top", "conform"]


def lint(page):
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stdout


def options(command):
    text = fixar(command, "--help").stdout
    helped = set(re.findall(r"(?m)^ +(?:-., +)?--([a-z][a-z0-9-]*)", text)) - {"help", "usage", "version"}
    page = re.sub(r"\\", "", (MAN / f"fixar-{command}.1").read_text())
    described = set()
    for line in re.findall(r"(?m)^\.It (?:Fl|Op).*$", page):
        described |= set(re.findall(r"(?:Fl|,) -([a-z][a-z0-9-]*)", line))
    assert described == helped, f"only in --help: {helped - described}; only in the page: {described - helped}"


def emulator_options():
    """fixar-emu.1 has the options of fixar-emu --help"""
    program = BUILD / "fixar-emu"
    text = subprocess.run([str(program), "--help"], capture_output=True, text=True, check=True).stdout
    helped = set(re.findall(r"(?m)^ +(?:-., +)?--([a-z][a-z0-9-]*)", text)) - {"help", "usage", "version"}
    described = set(re.findall(r"(?m)^\.It Fl -([a-z][a-z0-9-]*)", (MAN / "fixar-emu.1").read_text()))
    assert helped and described == helped, f"only in --help: {helped - described}; only in the page: {described - helped}"


def every_command():
    """fixar.1 names every command, and every command has a page."""
    text = (MAN / "fixar.1").read_text()
    says(text, *(rf"Xr fixar-{command} 1" for command in COMMANDS))
    assert {path.name for path in MAN.glob("fixar-*.1")} >= {f"fixar-{command}.1" for command in COMMANDS}


for one in sorted(MAN.glob("*.1")):
    tests.run(lint, one, name=f"{one.name} has no warnings")
for one in COMMANDS:
    tests.run(options, one, name=f"fixar-{one}.1 has the options of fixar {one} --help")
tests.run(emulator_options)
tests.run(every_command)
tests.finish()
