#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training runs of the tool: what they write and say, on a terminal and in a pipe, and how they are interrupted."""

import fcntl
import json
import pty
import select
import termios

from tool import *

tests = Tests()
whole = tests.folder / "whole"
QAT = ["train", "pendulum", *SMALL, "--precision", "qat16", "--normalize", "--noise", "ou", "--steps", "1500", "--eval-every", "400",
       "--eval-episodes", "1"]


def first_run():
    """A run writes its files and says how to go on."""
    done = fixar(*QAT, "--out", whole)
    says(done.stderr, "Training pendulum for 1,500 steps in qat16", "after 750 steps", str(whole), "Step 400: mean return",
         f"fixar eval {whole}", f"fixar plot {whole}", f"--resume --out {whole}")
    assert not done.stdout, done.stdout
    names = sorted(path.name for path in whole.iterdir())
    assert {"checkpoint.safetensors", "config.json", "metrics.csv"} <= set(names), names
    assert any(name.startswith("events.out.tfevents.") for name in names), names
    assert not any("tmp" in name or name.endswith(".new") for name in names), names


def metrics():
    """metrics.csv has a row for each episode and each evaluation."""
    lines = (whole / "metrics.csv").read_text().splitlines()
    columns = lines[0].split(",")
    assert columns[:3] == ["step", "episode", "return"], columns
    rows = [dict(zip(columns, line.split(","))) for line in lines[1:]]
    episodes = [row for row in rows if row["episode"]]
    assert [int(row["step"]) for row in episodes] == [200, 400, 600, 800, 1000, 1200, 1400], episodes
    assert [row["quantized"] for row in episodes] == ["0"] * 3 + ["1"] * 4, episodes
    assert all(-2000 < float(row["return"]) <= 0 and row["length"] == "200" for row in episodes), episodes
    assert all(float(row["critic_loss"]) > 0 for row in episodes[1:]), episodes
    assert [int(row["step"]) for row in rows if row["eval/return"]] == [400, 800, 1200], rows
    classes = [column for column in columns if column.startswith("saturation/")]
    assert len(classes) == 11, classes
    for row in episodes:
        assert sum(float(row[name]) for name in classes) == float(row["saturations"]), row


def default_directory():
    """Without --out the run gets a fresh directory below runs/."""
    folder = tests.folder / "here"
    folder.mkdir()
    for number in range(3):
        fixar("train", "pendulum", *SMALL, "--steps", "1", "--seed", "4", cwd=folder)
    assert sorted(path.name for path in (folder / "runs").iterdir()) == [
        "pendulum-fixed32-seed4", "pendulum-fixed32-seed4-2", "pendulum-fixed32-seed4-3"]


def refused_settings():
    """Settings that the agent refuses leave no directory behind."""
    bits = tests.folder / "bits.json"
    bits.write_text('[{"network": "actor", "layer": 9}]')
    directory = tests.folder / "refused-bits"
    done = fixar("train", "pendulum", "--precision", "qat16", "--bits", bits, "--out", directory, code=1)
    says(done.stderr, "layer", "9")
    assert not directory.exists()


def json_lines():
    """With --json every line of standard output is JSON, and the last one the result."""
    directory = tests.folder / "json"
    done = fixar("train", "pendulum", *SMALL, "--steps", "800", "--json", "--quiet", "--out", directory)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert not done.stderr, done.stderr
    result = lines[-1]
    assert result["event"] == "result" and result["environment_steps"] == 800 and result["episodes"] == 4, result
    assert result["interrupted"] is False and result["out"] == str(directory), result
    assert all(line["event"] == "progress" for line in lines[:-1]), lines


def evaluation():
    """eval --json: mean and deviation are those of the returns, a seed gives the same start states, another others."""
    first = json.loads(fixar("eval", whole, "--episodes", "7", "--seed", "5", "--json").stdout)
    returns = first["returns"]
    mean = sum(returns) / 7
    assert first["episodes"] == len(returns) == 7 and abs(first["mean_return"] - mean) < 1e-6, first
    assert first["environment_steps"] == 1500 and first["quantized"] is True, first
    spread = [(sum((x - mean) ** 2 for x in returns) / n) ** 0.5 for n in (6, 7)]
    assert any(abs(first["std_return"] - x) < 1e-6 for x in spread), (first, spread)
    assert first == json.loads(fixar("eval", whole, "--episodes", "7", "--seed", "5", "--json").stdout)
    assert returns != json.loads(fixar("eval", whole, "--episodes", "7", "--seed", "6", "--json").stdout)["returns"]
    says(fixar("eval", whole).stdout, r"pendulum, qat16, after 1,500 steps: mean return -\d")


def evaluation_in_fewer_bits():
    """eval --bits: the whole width is close to the policy's own, two bits are another policy, and the run stays as it is."""
    bits = tests.folder / "fewer.json"
    before = (whole / "checkpoint.safetensors").read_bytes()
    own = json.loads(fixar("eval", whole, "--json").stdout)["returns"]

    def returns(**widths):
        bits.write_text(json.dumps([{"network": "actor", "layer": layer, **widths} for layer in range(3)]))
        return json.loads(fixar("eval", whole, "--bits", bits, "--json").stdout)["returns"]

    assert returns() == own, "no width named, and another result"
    assert max(abs(a - b) for a, b in zip(returns(activation=16, weight=32), own)) < 100, (returns(activation=16), own)
    assert returns(activation=2, weight=2) != own
    bits.write_text('[{"network": "actor", "layer": 9, "weight": 8}]')
    says(fixar("eval", whole, "--bits", bits, code=1).stderr, "layer", "9", "fewer.json")
    bits.write_text('[{"network": "actor", "layer": 1, "weight": 99}]')
    says(fixar("eval", whole, "--bits", bits, code=2).stderr, "weight must be a width")
    says(fixar("eval", tests.folder / "json", "--bits", bits, code=2).stderr, "weight must be a width")
    bits.write_text('[{"network": "actor", "layer": 1, "weight": 8}]')
    says(fixar("eval", tests.folder / "json", "--bits", bits, code=1).stderr, "qat16")
    assert before == (whole / "checkpoint.safetensors").read_bytes()


def evaluation_changes_nothing():
    """A run with evaluations ends with the checkpoint of one without."""
    other = tests.folder / "no-evaluation"
    arguments = [word for word in QAT]
    del arguments[arguments.index("--eval-every"):]
    fixar(*arguments, "--out", other)
    same_checkpoint(whole, other)


def engines_and_threads(name, *arguments):
    other = tests.folder / name
    available = json.loads(fixar("info", "--json").stdout)["engines"]
    for engine in ("avx2", "avx512", "amx"):
        if engine in arguments and engine not in available:
            raise Skip(f"this processor has no {engine}")
    fixar(*QAT, *arguments, "--out", other)
    same_checkpoint(whole, other)


def on_terminal(arguments, columns, until=None, after=None):
    """Runs the tool with standard error on a terminal of so many columns; its exit code and what it showed."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct_winsize(30, columns))
    process = subprocess.Popen([str(FIXAR), *map(str, arguments)], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    text, end = b"", time.monotonic() + 100
    while time.monotonic() < end:
        if not select.select([controller], [], [], 1)[0]:
            continue
        try:
            got = os.read(controller, 4096)
        except OSError:  # how a terminal says that nobody writes any more
            break
        if not got:
            break
        text += got
        if until and until in text:
            after(process)
            until = None
    os.close(controller)
    return process.wait(), text.decode()


def struct_winsize(rows, columns):
    import struct
    return struct.pack("HHHH", rows, columns, 0, 0)


def terminal_line():
    """On a terminal one line is drawn again and again, never wider than the terminal, at most 5 times a second."""
    for columns in (150, 60):
        begin = time.monotonic()
        arguments = ["train", "pendulum", *SMALL, "--steps", "1M", "--precision", "qat16", "--delay", "300"]
        code, text = on_terminal([*arguments, "--out", tests.folder / f"terminal{columns}"], columns, b" left",
                                 lambda process: (time.sleep(1), process.send_signal(signal.SIGINT)))
        seconds = time.monotonic() - begin
        assert code == 130, (code, text)
        drawn = [line.split("\x1b[K")[0] for line in re.split("\r(?!\n)", text) if "\x1b[K" in line]
        assert 2 <= len(drawn) <= 5 * seconds + 2, (len(drawn), seconds)
        assert max(map(len, drawn)) < columns, drawn
        says(drawn[-1], r"^[\d,]+/1,000,000 +\d+%  [\d:]+ left  \d+ steps/s")
        if columns == 150:
            says(drawn[-1], r"return -\d", r"[\d,]+ IPS", r"loss \d", r"Q -?\d", "qat16: 16 bits", r"saturated \d")


def pipe_lines():
    """In a pipe there are plain lines, without control characters."""
    done = fixar(*QAT, "--out", tests.folder / "pipe")
    assert "\r" not in done.stderr and "\x1b" not in done.stderr, done.stderr
    says(done.stderr, r"(?m)^pendulum qat16 seed 0: 1,500/1,500 100%  took \d+:\d\d ")


def interrupted(number, signal_name):
    """The interrupted run saves, says how to go on, and goes on to the checkpoint and the metrics of the whole one."""
    directory = tests.folder / f"interrupted-{signal_name}"
    process = start(*QAT, "--out", directory, stderr=subprocess.PIPE, text=True)
    wait_for((directory / "checkpoint.safetensors").exists, "a checkpoint")
    process.send_signal(number)
    errors = process.communicate(timeout=60 * SLOW)[1]
    assert process.returncode == 130, (process.returncode, errors)
    says(errors, r"interrupted at step [\d,]+ and saved", f"fixar train --resume --out {directory}")
    at = json.loads(fixar("eval", directory, "--episodes", "1", "--json").stdout)["environment_steps"]
    assert 150 <= at < 1500, at
    done = fixar("train", "--resume", "--out", directory)
    says(done.stderr, "Going on with pendulum")
    same_checkpoint(whole, directory)
    assert deterministic_rows(whole) == deterministic_rows(directory), "metrics differ"


def terminal_interrupt():
    """Ctrl-C on a terminal: the line ends before the message."""
    directory = tests.folder / "terminal-interrupt"
    code, text = on_terminal([*QAT, "--steps", "1M", "--out", directory], 100, b" left",
                             lambda process: process.send_signal(signal.SIGINT))
    assert code == 130, (code, text)
    says(text, r"\r\nInterrupted at step", r"\nfixar train: interrupted at step [\d,]+ and saved")


def second_interrupt():
    """A second interrupt while the first one saves does not lose the checkpoint."""
    directory = tests.folder / "twice"
    codes = []
    for delay in (0, 0.001, 0.003, 0.01):
        process = start(*QAT, "--out", directory, "--resume", stderr=subprocess.PIPE, text=True)
        while "Writing to" not in process.stderr.readline():
            assert process.poll() is None, process.returncode
        wait_for((directory / "checkpoint.safetensors").exists, "a checkpoint")
        process.send_signal(signal.SIGINT)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * SLOW)
        codes.append(process.returncode)
        fixar("eval", directory, "--episodes", "1")
    assert set(codes) <= {130}, codes
    fixar("train", "--resume", "--out", directory)
    same_checkpoint(whole, directory)


def longer():
    """A complete run is left as it is by --resume, and goes on with more steps."""
    directory = tests.folder / "longer"
    shutil.copytree(whole, directory)
    fixar("train", "--resume", "--out", directory)
    same_checkpoint(whole, directory)
    fixar("train", "--resume", "--out", directory, "--steps", "1700")
    assert json.loads((directory / "config.json").read_text())["steps"] == 1700
    assert json.loads(fixar("eval", directory, "--episodes", "1", "--json").stdout)["environment_steps"] == 1700


tests.run(first_run)
tests.run(metrics)
tests.run(default_directory)
tests.run(refused_settings)
tests.run(json_lines)
tests.run(evaluation)
tests.run(evaluation_in_fewer_bits)
tests.run(evaluation_changes_nothing)
tests.run(engines_and_threads, "scalar", "--engine", "scalar", name="the scalar engine gives the same checkpoint")
tests.run(engines_and_threads, "avx2", "--engine", "avx2", name="the avx2 engine gives the same checkpoint")
tests.run(engines_and_threads, "avx512", "--engine", "avx512", name="the avx512 engine gives the same checkpoint")
tests.run(engines_and_threads, "amx", "--engine", "amx", name="the amx engine gives the same checkpoint")
tests.run(engines_and_threads, "two", "--threads", "2", name="two threads give the same checkpoint")
tests.run(terminal_line)
tests.run(pipe_lines)
tests.run(interrupted, signal.SIGINT, "int", name="Ctrl-C saves, and the run goes on to the same bits")
tests.run(interrupted, signal.SIGTERM, "term", name="SIGTERM saves, and the run goes on to the same bits")
tests.run(terminal_interrupt)
tests.run(second_interrupt)
tests.run(longer)
tests.finish()
