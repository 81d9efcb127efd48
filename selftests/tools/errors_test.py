#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What goes wrong outside of the program: directories, checkpoints, disks. Exit code 1, and a message that names the place."""

import json
import struct

from tool import *

tests = Tests()
good = tests.folder / "good"
fixar("train", "pendulum", *SMALL, "--steps", "600", "--out", good)
CHECKPOINT = "checkpoint.safetensors"


def copy_of_good(name):
    directory = tests.folder / name
    shutil.copytree(good, directory)
    return directory


def non_empty_directory():
    """A directory with something in it is not trained into."""
    before = (good / CHECKPOINT).read_bytes()
    says(fixar("train", "pendulum", "--out", good, code=1).stderr, str(good), "not empty", "--resume")
    assert before == (good / CHECKPOINT).read_bytes()


def foreign_directory():
    """A directory of other things is not taken for a run."""
    directory = tests.folder / "foreign"
    directory.mkdir()
    (directory / "letter.txt").write_text("Dear reader")
    says(fixar("train", "pendulum", "--out", directory, "--resume", code=1).stderr, str(directory), "config.json")
    assert [path.name for path in directory.iterdir()] == ["letter.txt"]


def directory_below_a_file():
    """A directory that cannot be made."""
    (tests.folder / "file").write_text("")
    done = fixar("train", "pendulum", *SMALL, "--out", tests.folder / "file/run", code=1)
    says(done.stderr, "file/run", "Not a directory")


def unwritable_directory():
    """A directory that may not be written."""
    # Root may write everywhere, so root becomes nobody. The way there must be open for nobody, and so must that to the program: neither
    # need be so where the build is (below /root, say).
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="fixar-locked-") as opened:
        directory = pathlib.Path(opened) / "locked"
        directory.mkdir()
        options = {}
        if os.geteuid() == 0:
            os.chmod(opened, 0o755)
            options = {"user": 65534, "group": 65534, "extra_groups": [], "executable": shutil.copy(FIXAR, opened)}
        else:
            directory.chmod(0o555)
        done = fixar("train", "pendulum", *SMALL, "--out", directory / "run", code=1, **options)
        says(done.stderr, "run", "Permission denied")


def two_at_a_time():
    """Two processes do not train in one directory."""
    directory = tests.folder / "busy"
    first = start("train", "pendulum", *SMALL, "--steps", "10M", "--out", directory)
    try:
        wait_for((directory / CHECKPOINT).exists, "a checkpoint")
        says(fixar("train", "--resume", "--out", directory, code=1).stderr, "another process", str(directory))
    finally:
        first.kill()
        first.wait()


def changed_settings():
    """A run does not go on with other settings; which, and both values, are named."""
    for option, value, *expected in [("--batch", "32", "batch 16", "32"), ("--seed", "9", "seed 0", "9"),
                                     ("--precision", "qat16", "precision fixed32", "qat16")]:
        says(fixar("train", "--resume", "--out", good, option, value, code=2).stderr, str(good), *expected)
    says(fixar("train", "hopper", "--resume", "--out", good, code=2).stderr, "pendulum", "hopper")


def no_checkpoint():
    """eval of a directory without a run."""
    says(fixar("eval", tests.folder / "nowhere", code=1).stderr, "no checkpoint", "nowhere")


def damaged(name, change):
    directory = copy_of_good(name)
    data = bytearray((directory / CHECKPOINT).read_bytes())
    (directory / CHECKPOINT).write_bytes(change(data))
    for arguments in (["eval", directory], ["train", "--resume", "--out", directory]):
        done = fixar(*arguments, code=1)
        says(done.stderr, re.escape(str(directory)), CHECKPOINT)
        assert len(done.stderr) < 2000, done.stderr


def flip(data):
    data[len(data) // 2] ^= 1
    return data


def foreign(_):
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def damaged_replay():
    """A replay memory that was cut short is named, and eval needs none."""
    directory = copy_of_good("replay")
    segment = next(directory.glob("replay-*"))
    segment.write_bytes(segment.read_bytes()[:-100])
    says(fixar("train", "--resume", "--steps", "700", "--out", directory, code=1).stderr, segment.name)
    fixar("eval", directory, "--episodes", "1")


def damaged_config():
    """A config.json that is none."""
    directory = copy_of_good("config")
    (directory / "config.json").write_text("{}")
    says(fixar("train", "--resume", "--out", directory, code=1).stderr, "config.json")


TOY = """
#include <fixar/env.h>
static int create(void *user, void **instance) { *instance = user; return 0; }
static void destroy(void *instance) { (void)instance; }
static int reset(void *instance, struct fixar_rng *rng, double *observation)
{
	(void)instance;
	for (int i = 0; i < DIM; i++)
		observation[i] = fixar_rng_uniform(rng, -1, 1);
	return 0;
}
static int step(void *instance, const double *action, double *observation, double *reward, int *terminated)
{
	(void)instance;
	for (int i = 0; i < DIM; i++)
		observation[i] = action[0] / (i + 1);
	*reward = -action[0] * action[0];
	*terminated = 0;
	return 0;
}
static const double low[] = { -1 }, high[] = { 1 };
static const struct fixar_env_spec spec = { .size = sizeof(spec), .name = "toy", .description = "a toy", .observation_dim = DIM,
	.action_dim = 1, .action_low = low, .action_high = high, .max_episode_steps = 50 };
static const struct fixar_env_ops ops = { .size = sizeof(ops), .create = create, .destroy = destroy, .reset = reset, .step = step };
static const struct fixar_env envs[] = { { .spec = &spec, .ops = &ops } };
const struct fixar_env_plugin fixar_env_plugin = { FIXAR_ENV_ABI, 1, envs };
"""


def make_toy(dim):
    folder = tests.folder / f"toy{dim}"
    folder.mkdir()
    (folder / "toy.c").write_text(TOY)
    subprocess.run(["cc", "-shared", "-fPIC", f"-DDIM={dim}", f"-I{SOURCE}/include", "-o", folder / "env-toy.so",
                    folder / "toy.c"], check=True)
    return environment(FIXAR_PLUGIN_DIR=folder)


def dimension_mismatch():
    """A policy of an environment whose dimensions have changed."""
    directory = tests.folder / "toy"
    fixar("train", "toy", *SMALL, "--steps", "400", "--out", directory, env=make_toy(3))
    other = make_toy(5)
    for arguments in (["eval", directory], ["train", "--resume", "--steps", "500", "--out", directory]):
        says(fixar(*arguments, code=1, env=other).stderr, "3", "5", "observation")


def in_full_disk(directory, size, *arguments):
    """Runs the tool where the disk is full, or files may not grow beyond `size`."""
    fixar_line = " ".join(f"'{word}'" for word in [FIXAR, *arguments])
    script = f"mount -t tmpfs -o size={size} none '{directory}' && {fixar_line}; code=$?; cp -r '{directory}' '{directory}.kept'; exit $code"
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    if not subprocess.run(["unshare", *rights, "--mount", "mount", "-t", "tmpfs", "none", directory],
                          capture_output=True).returncode:
        return subprocess.run(["unshare", *rights, "--mount", "sh", "-c", script], capture_output=True, text=True,
                              env=environment(), timeout=100 * SLOW)

    def limit():
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run([FIXAR, *map(str, arguments)], capture_output=True, text=True, env=environment(), preexec_fn=limit,
                          timeout=100 * SLOW)
    shutil.copytree(directory, f"{directory}.kept")
    return done


def full_disk():
    """On a full disk the message names it, and the last checkpoint stays good."""
    directory = tests.folder / "full"
    directory.mkdir()
    # Room for the first checkpoints, and not for the replay memory of many more.
    size = 3 * (good / CHECKPOINT).stat().st_size + 150_000
    done = in_full_disk(directory, size, "train", "pendulum", *SMALL, "--steps", "200k", "--out", directory / "run")
    assert done.returncode == 1, done
    says(done.stderr, "No space left on device|File too large", "last complete checkpoint", str(directory))
    kept = pathlib.Path(f"{directory}.kept/run")
    fixar("eval", kept, "--episodes", "1")
    # And it goes on where there is room.
    steps = json.loads(fixar("eval", kept, "--episodes", "1", "--json").stdout)["environment_steps"]
    fixar("train", "--resume", "--steps", steps + 300, "--out", kept)


def no_gnuplot():
    """Without gnuplot plot says so."""
    says(fixar("plot", good, code=1, env=environment(PATH="/nonexistent")).stderr, "gnuplot", "not installed")


tests.run(non_empty_directory)
tests.run(foreign_directory)
tests.run(directory_below_a_file)
tests.run(unwritable_directory)
tests.run(two_at_a_time)
tests.run(changed_settings)
tests.run(no_checkpoint)
tests.run(damaged, "flipped", flip, name="a checkpoint with one bit changed")
tests.run(damaged, "cut", lambda data: data[:-1000], name="a checkpoint that was cut short")
tests.run(damaged, "empty", lambda data: b"", name="an empty checkpoint")
tests.run(damaged, "foreign-file", foreign, name="a safetensors file of something else")
tests.run(damaged, "text", lambda data: b"hello, world\n" * 100, name="a checkpoint that is text")
tests.run(damaged_replay)
tests.run(damaged_config)
tests.run(dimension_mismatch)
tests.run(full_disk)
tests.run(no_gnuplot)
tests.finish()
