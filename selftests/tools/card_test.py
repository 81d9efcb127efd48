#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tool and a card: what it says of devices, and that a card whose memory is lost costs time and no bit.

The card is card_preload.so: a fake one in the tool's own process. Real ones are tested in the virtual machine (selftests/card).
"""

import json
import shutil

from tool import *

tests = Tests()
PRELOAD = BUILD / "selftests/card_preload.so"
RUN = ["train", "pendulum", *SMALL, "--warm-up", "50", "--steps", "700", "--precision", "qat16", "--json"]


def with_card(**changes):
    # A sanitizer's library wants to be the first.
    needed = subprocess.run(["ldd", str(FIXAR)], capture_output=True, text=True).stdout
    first = re.findall(r"=> (\S*lib[at]san\.so\S*)", needed)
    return environment(LD_PRELOAD=":".join([*first, str(PRELOAD)]), **changes)


def card_node():
    node = tests.folder / "accel0"
    node.write_bytes(b"")
    return node


def same_bits():
    """A run on a card ends in the bytes of a run on the CPU."""
    fixar(*RUN, "--device", "cpu", "--out", tests.folder / "cpu")
    done = fixar(*RUN, "--device", card_node(), "--out", tests.folder / "card", env=with_card())
    says(done.stderr, r"on card .*accel0, 2 x 16x16 PEs at 164 MHz")
    same_checkpoint(tests.folder / "cpu", tests.folder / "card")
    assert deterministic_rows(tests.folder / "cpu") == deterministic_rows(tests.folder / "card")


def one_loss(at, step):
    out = tests.folder / f"lost-{at}"
    done = fixar(*RUN, "--device", card_node(), "--out", out, env=with_card(FAKE_FAIL=at))
    says(done.stderr, "card's memory lost its contents", rf"going on from .*step {step} \(loss 1 of at most 5\)")
    same_checkpoint(tests.folder / "cpu", out)
    assert deterministic_rows(tests.folder / "cpu") == deterministic_rows(out)


def loss_at_once():
    """Memory that is lost while the first agent is being made costs no bit either; nor does it when a run goes on."""
    out = tests.folder / "at-once"
    done = fixar(*RUN, "--device", card_node(), "--out", out, env=with_card(FAKE_FAIL="1"))
    says(done.stderr, "the agent cannot be made", r"going on from step 0 \(loss 1 of at most 5\)")
    same_checkpoint(tests.folder / "cpu", out)
    assert deterministic_rows(tests.folder / "cpu") == deterministic_rows(out)
    half, sound = tests.folder / "half", tests.folder / "half-sound"
    fixar(*RUN, "--steps", "300", "--device", "cpu", "--out", half)
    shutil.copytree(half, sound)
    fixar("train", "--resume", "--out", sound, "--steps", "400", "--device", "cpu")
    done = fixar("train", "--resume", "--out", half, "--steps", "400", "--device", card_node(), env=with_card(FAKE_FAIL="1"))
    says(done.stderr, "cannot be gone on from", r"going on from the checkpoint of step 300 \(loss 1 of at most 5\)")
    same_checkpoint(sound, half)


def many_losses():
    """Losses now and then, with checkpoints in between, are lived through."""
    out = tests.folder / "often"
    done = fixar(*RUN, "--device", card_node(), "--out", out, env=with_card(FAKE_FAIL="30,330"))
    assert len(re.findall("going on from", done.stderr)) >= 4, done.stderr
    same_checkpoint(tests.folder / "cpu", out)


def too_many_losses():
    """Losses again and again, without a checkpoint in between, end the run in order, and it can go on elsewhere."""
    out = tests.folder / "always"
    done = fixar(*RUN, "--device", card_node(), "--out", out, env=with_card(FAKE_FAIL="1000,20"), code=1)
    says(done.stderr, "loss 5 of at most 5", "lost its contents 6 times since step 450: giving up",
         "fixar train --resume --out .*always")
    fixar("train", "--resume", "--out", out, "--device", "cpu")
    same_checkpoint(tests.folder / "cpu", out)


def evaluation():
    """eval on a card returns what it returns on the CPU."""
    answers = [json.loads(fixar("eval", tests.folder / "cpu", "--episodes", "2", "--json", "--device", device,
                                env=with_card()).stdout) for device in ("cpu", card_node())]
    assert answers[0] == answers[1] and answers[0]["episodes"] == 2, answers


def refused(arguments, code, *patterns):
    out = tests.folder / "never"
    done = fixar("train", "pendulum", *SMALL, "--out", out, *arguments, code=code)
    says(done.stderr, *patterns)
    assert not out.exists(), "a directory was made"


def auto_says():
    """auto says what it took and why."""
    for extra, reason in ([], "there is no card|has no driver|no permission"), (["--engine", "scalar"], "an engine of the CPU was asked for"), \
            (["--precision", "float32"], "float32 exists on the CPU only"):
        done = fixar("train", "pendulum", *SMALL, "--steps", "1", *extra, "--out", tests.folder / f"auto{len(reason)}")
        says(done.stderr, f"device: CPU, .*, because .*({reason})")


tests.run(same_bits)
tests.run(one_loss, 100, 0, name="memory that is lost before the first checkpoint costs no bit")
tests.run(one_loss, 800, 300, name="memory that is lost after one costs no bit")
tests.run(loss_at_once)
tests.run(many_losses)
tests.run(too_many_losses)
tests.run(evaluation)
for arguments, code, patterns, name in [
        (["--device", "/dev/accel/accel77"], 1, ["there is no /dev/accel/accel77"], "no such node"),
        (["--device", "/dev/null"], 1, ["/dev/null is no node of a card"], "a device that is no card"),
        (["--device", "/"], 1, ["/ is no device"], "a folder"),
        (["--device", "fffe:ff:1f.7"], 1, ["no PCI function at fffe:ff:1f.7"], "an empty slot"),
        (["--device", "gpu"], 2, ['"gpu" is none; expected auto, cpu'], "a device that is none"),
        (["--device", "/dev/null", "--precision", "float32"], 1, ["float32 exists on the CPU only"], "float32 on a card"),
        (["--device", "/dev/null", "--engine", "scalar"], 2, ["kernels of the CPU"], "an engine for a card")]:
    tests.run(refused, arguments, code, *patterns, name=f"{name} is refused, and the CPU not taken instead")
tests.run(auto_says)
tests.finish()
