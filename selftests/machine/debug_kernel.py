# SPDX-License-Identifier: MIT
"""The debug kernel: Debian's kernel source with selftests/debug/kernel.config, built here and kept like the stock kernels.

Its release names what it was made of: 6.12.117-fixar-debug-KEY, with a key of the configuration, the version of the source and
the compiler. An interrupted build goes on where it was.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess

from machine import kernels, sources
from machine.common import SOURCE, Failure, cache, do, need_space, output, say

SERIES = "debug"
SOURCE_SERIES = "6.12"
CONFIG = SOURCE / "selftests/debug/kernel.config"
TARGETS = ["bzImage", "modules"]


def compiler():
    return output(["gcc", "--version"]).partition("\n")[0]


def release(source):
    """Kbuild appends to the version what the configuration says; this is what uname -r will print."""
    key = hashlib.sha256("\n".join([CONFIG.read_text(), source.version, compiler()]).encode()).hexdigest()[:8]
    return f"{source.version.split('-')[0]}-fixar-{SERIES}-{key}"


class Build:
    """The kernel's make, with the source in one folder and what it makes in another."""

    def __init__(self, place):
        self.place, self.tree, self.objects = place, place / "tree", place / "build"
        # It sees none of our make's variables, nor those of a user who builds other kernels.
        self.environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
        self.environment.update(LC_ALL="C.UTF-8", KBUILD_BUILD_USER="fixar", KBUILD_BUILD_HOST="fixar", KBUILD_BUILD_VERSION="1")
        self.command = ["make", "-C", str(self.tree), f"O={self.objects}"]

    def alone(self):
        """Waits for what is left of a build whose program was killed. Every process of a build inherits the lock, and
        whoever begins one holds it until the last of them has ended."""
        self.place.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.place / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for the rest of an interrupted build to end")
            fcntl.flock(self.lock, fcntl.LOCK_EX)

    def make(self, what, limit, *words):
        do([*self.command, *words], what, limit, env=self.environment, pass_fds=[self.lock.fileno()])

    def says(self, *words):
        return output([*self.command, "-s", *words], env=self.environment).strip()


def lost_lines(config):
    """Lines of our configuration that Kconfig dropped."""
    have = set(config.read_text().splitlines())
    on = {line.partition("=")[0] for line in have if line.startswith("CONFIG_")}
    lost = []
    for line in CONFIG.read_text().splitlines():
        switched_off = re.fullmatch(r"# (CONFIG_\w+) is not set", line)
        if line.startswith("CONFIG_") and line not in have or switched_off and switched_off[1] in on:
            lost.append(line)
    return lost


def configure(build, version):
    own = build.objects / "own.config"
    suffix = version.partition("-")[2]
    own.write_text(CONFIG.read_text() + f'CONFIG_LOCALVERSION="-{suffix}"\n')
    build.make("configuring the debug kernel", 900, f"KCONFIG_ALLCONFIG={own}", "allnoconfig")
    lost = lost_lines(build.objects / ".config")
    if lost:
        raise Failure("\n".join([f"{CONFIG.relative_to(SOURCE)}: the kernel's configuration does not take these lines:"]
                                + ["    " + line for line in lost]))
    named = build.says("kernelrelease")
    if named != version:
        raise Failure(f"the debug kernel would call itself {named}, not {version}")


def install(build, version):
    """Fills a kernel's folder: image, modules, and what modules are built with."""
    folder = cache() / "kernels" / version
    partial = folder.with_name(version + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "boot").mkdir(parents=True)
    shutil.copyfile(build.objects / "arch/x86/boot/bzImage", partial / "boot" / f"vmlinuz-{version}")
    shutil.copyfile(build.objects / ".config", partial / "boot" / f"config-{version}")
    shutil.copyfile(build.objects / "System.map", partial / "boot" / f"System.map-{version}")
    build.make("installing the debug kernel's modules", 900, f"INSTALL_MOD_PATH={partial}", "modules_install")
    for link in ("build", "source"):
        (partial / "lib/modules" / version / link).unlink(missing_ok=True)
    # The kernel's own script for packages of headers; the folder is complete and names nothing outside itself.
    headers = partial / "usr/src" / f"linux-headers-{version}"
    build.make("installing the debug kernel's headers", 900, "run-command",
               f"KBUILD_RUN_COMMAND=+$(srctree)/scripts/package/install-extmod-build {headers}")
    (partial / "series").write_text(SERIES + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    if not kernels.Kernel(folder).complete():
        raise Failure(f"{folder}: the build left no kernel or no modules")


def current(source):
    """The kernel of this configuration, source and compiler, if it was built."""
    kernel = kernels.Kernel(cache() / "kernels" / release(source))
    return kernel if kernel.complete() else None


def provision(update=False):
    source = sources.provision(SOURCE_SERIES, update)
    if current(source):
        return
    if subprocess.run([str(SOURCE / "selftests/install-packages"), "debug"]).returncode:
        raise Failure("the packages above are needed first")
    version = release(source)  # after the compiler is there
    build = Build(cache() / "debug" / version)
    build.alone()
    if not build.tree.is_dir():
        need_space(4)
        partial = build.place / "tree.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        sources.unpack(source, partial)
        partial.rename(build.tree)
    build.objects.mkdir(exist_ok=True)
    # Not anew after an interruption: Kconfig would write files that everything is compiled again for.
    if not (build.objects / "include/config/auto.conf").exists():
        configure(build, version)
    say(f"the debug kernel {version} is built once; with two idle processors that takes some 20 minutes")
    build.make("building the debug kernel", 6 * 3600, f"-j{len(os.sched_getaffinity(0))}", *TARGETS)
    install(build, version)
    shutil.rmtree(build.place)
    # Those of other configurations have no use any more.
    for kernel in kernels.installed():
        if kernel.series() == SERIES and kernel.release != version:
            shutil.rmtree(kernel.folder)


def choose():
    """What the word "debug" means: never a kernel of another configuration than the one in the tree."""
    source = (sources.fetched(SOURCE_SERIES) or [None])[-1]
    kernel = source and current(source)
    if not kernel:
        raise Failure("the debug kernel is not built, or not of this configuration: run  selftests/vm provision --debug")
    return kernel
