#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--help of every command, and what is said to wrong options: the thing, the value, what was expected; exit code 2."""

import json

from tool import *

tests = Tests()
COMMANDS = ["train", "eval", "study", "plot", "model", "bench", "info", "mode", "dma", "top", "conform"]


def top_level():
    """fixar alone, --help, --version, an unknown command."""
    says(fixar(code=2).stderr, "Usage: fixar COMMAND")
    out = fixar("--help").stdout
    says(out, *(rf"(?m)^  {command} " for command in COMMANDS))
    says(fixar("--version").stdout, r"^fixar \d+\.\d+\.\d+\n$")
    says(fixar("fly", code=2).stderr, 'unknown command "fly"')


def help_of(command):
    done = fixar(command, "--help")
    says(done.stdout, rf"Usage: fixar {command}", "--json|--resume|--report|--out", "--help")
    assert not done.stderr, done.stderr
    says(fixar(command, "--nonsense", code=2).stderr, f"fixar {command}: unrecognized option '--nonsense'", "--help")


def every_setting_in_help():
    """Every key of config.json is an option of train --help."""
    directory = tests.folder / "settings"
    fixar("train", "pendulum", *SMALL, "--steps", "1", "--out", directory)
    out = fixar("train", "--help").stdout
    for key in json.loads((directory / "config.json").read_text()):
        if key not in ("format", "environment"):
            says(out, f"--{key.replace('_', '-')}\\b")


def no_environment():
    """train without an environment lists them."""
    done = fixar("train", code=2)
    says(done.stderr, "which environment", r"(?m)^  pendulum ", "fixar train pendulum")
    assert not done.stdout


def unknown_environment():
    """An unknown environment is named, with the known ones."""
    done = fixar("train", "pendulm", "--out", tests.folder / "never", code=2)
    says(done.stderr, '"pendulm"', "known:", "pendulum")
    assert not (tests.folder / "never").exists()


def missing_mujoco():
    """Without the plug-in the message says which one is missing and where it was looked for."""
    empty = tests.folder / "plugins"
    empty.mkdir()
    env = environment(FIXAR_PLUGIN_DIR=empty)
    says(fixar("train", "halfcheetah", code=2, env=env).stderr, "halfcheetah", "env-mujoco.so", str(empty))
    info = json.loads(fixar("info", "--json", env=env).stdout)
    assert [item["name"] for item in info["environments"]] == ["pendulum"], info
    missing = {item["name"]: item["reason"] for item in info["missing_environments"]}
    assert set(missing) == {"halfcheetah", "hopper", "swimmer"}, missing
    says(missing["hopper"], "env-mujoco.so")
    says(fixar("info", env=env).stdout, "missing .*env-mujoco.so")


BAD_VALUES = [
    ("--precision", "int8", "float32, fixed32, qat16 or qat16x16"),
    ("--steps", "many", "whole number from 1"),
    ("--steps", "0", "whole number from 1"),
    ("--steps", "-5", "whole number from 1"),
    ("--steps", "1.5", "whole number from 1"),
    ("--seed", "x", "whole number from 0"),
    ("--batch", "0", "from 1 to 65536"),
    ("--batch", "70000", "from 1 to 65536"),
    ("--hidden", "400,,300", "1 to 31 widths"),
    ("--hidden", "0", "1 to 31 widths"),
    ("--hidden", ",".join(["8"] * 32), "1 to 31 widths"),
    ("--delay", "101%", "share"),
    ("--delay", "half", "share"),
    ("--noise", "pink", "gaussian or ou"),
    ("--noise", "ou:0", "gaussian or ou"),
    ("--noise", "gaussian:-1", "gaussian or ou"),
    ("--actor-rate", "0", "number from 1e-06"),
    ("--critic-rate", "nan", "number from"),
    ("--tau", "2", "to 1"),
    ("--discount", "1", "to 0.999999"),
    ("--reward-scale", "99", "from -30 to 30"),
    ("--replay-capacity", "0", "whole number from 1"),
    ("--threads", "0", "from 1"),
    ("--engine", "sse9", "auto, scalar, avx2, avx512, amx or neon"),
]


def bad_value(option, value, expected):
    done = fixar("train", "pendulum", option, value, "--out", tests.folder / "never", code=2)
    says(done.stderr, f"fixar train: {option[2:]} is \"{re.escape(value)}\"", "expected", re.escape(expected))
    assert not (tests.folder / "never").exists(), "a directory was made"


def good_values():
    """Numbers may be written as 2k or 1e3, noise with its deviation, delay as a share."""
    directory = tests.folder / "good"
    fixar("train", "pendulum", *SMALL, "--steps", "0.3k", "--replay-capacity", "1e3", "--noise", "ou:0.25", "--delay", "90%",
          "--precision", "qat16", "--normalize", "--reward-scale", "-4", "--out", directory)
    config = json.loads((directory / "config.json").read_text())
    wanted = {"steps": 300, "replay_capacity": 1000, "noise": "ou:0.25", "delay": 270, "precision": "qat16", "normalize": True,
              "reward_scale": -4, "hidden": [24, 16]}
    assert {key: config[key] for key in wanted} == wanted, config


def config_file():
    """--config takes the config.json of another run, and options win."""
    other = tests.folder / "other"
    fixar("train", "--config", tests.folder / "good/config.json", "--seed", "3", "--steps", "250", "--out", other)
    config = json.loads((other / "config.json").read_text())
    assert config["seed"] == 3 and config["steps"] == 250 and config["noise"] == "ou:0.25" and config["delay"] == 270, config


def bad_config(text, *expected):
    path = tests.folder / "bad.json"
    path.write_text(text)
    done = fixar("train", "pendulum", "--config", path, "--out", tests.folder / "never", code=None)
    assert done.returncode in (1, 2), done
    says(done.stderr, re.escape(str(path)), *expected)


def bits_file():
    """--bits takes widths of layers, and refuses what is no width."""
    path = tests.folder / "bits.json"
    path.write_text('[{"network": "actor", "layer": 1, "activation": 8}]')
    directory = tests.folder / "bits"
    arguments = ["train", "pendulum", *SMALL, "--steps", "500", "--bits", path]
    fixar(*arguments, "--precision", "qat16", "--out", directory)
    bits = json.loads((directory / "config.json").read_text())["bits"]
    assert bits == [{"network": "actor", "layer": 1, "activation": 8}], bits
    says(fixar(*arguments, "--out", tests.folder / "never", code=2).stderr, "bits", "qat16", "fixed32")
    for text, expected in [('[{"network": "actor", "layer": 1, "activation": 17}]', "2 to 16"),
                           ('[{"network": "brain", "layer": 1}]', '"actor" or "critic"'),
                           ('[{"network": "actor"}]', '"layer"'),
                           ('[{"network": "actor", "layer": 1, "speed": 3}]', '"speed"'), ("{}", "list")]:
        path.write_text(text)
        done = fixar(*arguments, "--precision", "qat16", "--out", tests.folder / "never", code=2)
        says(done.stderr, "bits.json", expected)


def device():
    """--device takes auto and cpu; anything else is named."""
    for name in ("auto", "cpu"):
        fixar("train", "pendulum", *SMALL, "--steps", "1", "--device", name, "--out", tests.folder / f"device-{name}")
    done = fixar("train", "pendulum", "--device", "/dev/accel/accel9", "--out", tests.folder / "never", code=1)
    says(done.stderr, "/dev/accel/accel9")


def eval_usage():
    """eval without a run, with two, with a wrong number."""
    says(fixar("eval", code=2).stderr, "which run")
    says(fixar("eval", "a", "b", code=2).stderr, '"b" is one argument too many')
    says(fixar("eval", "a", "--episodes", "0", code=2).stderr, 'episodes is "0"', "from 1")


def resume_without_out():
    """--resume needs --out."""
    says(fixar("train", "pendulum", "--resume", code=2).stderr, "--resume needs --out")


tests.run(top_level)
for one in COMMANDS:
    tests.run(help_of, one, name=f"help of {one}, and an unknown option")
tests.run(every_setting_in_help)
tests.run(no_environment)
tests.run(unknown_environment)
tests.run(missing_mujoco)
for one in BAD_VALUES:
    tests.run(bad_value, *one, name=f"{one[0]} {one[1][:20]} is refused")
tests.run(good_values)
tests.run(config_file)
tests.run(bad_config, "{", "line 1", name="a config file that is no JSON")
tests.run(bad_config, '{"speed": 1}', 'unknown setting "speed"', name="an unknown key in a config file")
tests.run(bad_config, '{"batch": {}}', "batch has a value of the wrong kind", name="a value of the wrong kind in a config file")
tests.run(bad_config, '{"batch": 0}', 'batch is "0"', name="a value out of range in a config file")
tests.run(bits_file)
tests.run(device)
tests.run(eval_usage)
tests.run(resume_without_out)
tests.finish()
