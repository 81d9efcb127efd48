# SPDX-License-Identifier: MIT
"""Debian's source packages of the kernels: the debug kernel is built from one, and tests use single files of them.

A package is fetched, not installed. Its archive is kept as CACHE/sources/NAME_VERSION.tar.xz, and PARTS of it are kept unpacked
in the folder CACHE/sources/NAME_VERSION.
"""

import os
import pathlib
import re
import shutil

from machine import root
from machine.common import Failure, as_numbers, cache, do, need_root, need_space, output

# What tests need of a kernel's source and its headers' packages lack.
PARTS = [
    "drivers/dma/dmaengine.h", "drivers/dma/virt-dma.h", "drivers/dma/xilinx/xdma.c",
    "drivers/dma/xilinx/xdma-regs.h",
    "scripts/checkpatch.pl", "scripts/const_structs.checkpatch", "scripts/spelling.txt",
    "tools/testing/selftests/kselftest.h", "tools/testing/selftests/kselftest_harness.h",
    "tools/testing/selftests/kselftest", "tools/testing/selftests/lib.mk",
]


class Source:
    def __init__(self, archive):
        self.archive = archive
        self.name, self.version = archive.name.removesuffix(".tar.xz").split("_")  # linux-source-6.12, 6.12.117-1~deb12u1
        self.series = self.name.removeprefix("linux-source-")
        self.folder = archive.with_name(archive.name.removesuffix(".tar.xz"))

    def complete(self):
        """Whether the parts are there; those of an older list are unpacked anew."""
        listed = self.folder / "parts"
        return self.archive.is_file() and listed.is_file() and listed.read_text().split() == PARTS

    def part(self, path):
        """One of PARTS, or None where this kernel has no such file."""
        return self.folder / path if (self.folder / path).exists() else None


def fetched(series=None):
    """Those that are there, oldest first."""
    archives = (cache() / "sources").glob(f"linux-source-{series or '*'}_*.tar.xz")
    sources = sorted((Source(archive) for archive in archives), key=lambda source: as_numbers(source.version))
    return [source for source in sources if source.complete()]


def series_of(kernel):
    """The numbers in the name of the source package: 6.12 of a release 6.12.117+deb12-amd64."""
    return re.match(r"\d+\.\d+", kernel.release)[0]


def of_kernel(kernel):
    """The source of a kernel's series: the one of the same version if it is there, otherwise the newest; None if there is none."""
    sources = fetched(series_of(kernel))
    same = [source for source in sources if re.match(re.escape(source.version.split("-")[0]) + r"\b", kernel.release)]
    return (same or sources or [None])[-1]


def unpack(source, folder, members=()):
    """All of the archive, or some members, without its outermost folder. Members that it lacks are left out."""
    command = ["tar", "-xJf", str(source.archive), "-C", str(folder), "--strip-components=1"]
    what = f"unpacking {source.name}"
    if members:
        listing = folder / "contents"
        do(["sh", "-c", 'tar -tJf "$0" >"$1"', str(source.archive), str(listing)], f"reading {source.name}", 1800)
        present = set(listing.read_text().splitlines())
        listing.unlink()
        names = [f"{source.name}/{member}" for member in members]
        names = [name for name in names if name in present or f"{name}/" in present]
        if not names:
            raise Failure(f"{source.archive} holds none of the files that are wanted (Debian may have renamed its folder)")
        command += names
        what = f"unpacking parts of {source.name}"
    do(command, what, 1800)


def unpack_parts(source):
    partial = source.folder.with_name(source.folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    unpack(source, partial, PARTS)
    (partial / "parts").write_text("".join(f"{part}\n" for part in PARTS))
    shutil.rmtree(source.folder, ignore_errors=True)
    partial.rename(source.folder)


def fetch(name, source, inside):
    """Through the host's apt, or the provisioned root's."""
    downloads = source.archive.parent / "packages"
    if inside:
        need_root("fetching through the provisioned root")
        downloads = root.folder() / "var/cache/apt/archives"
        root.do_inside(["sh", "-c", 'cd /var/cache/apt/archives && exec apt-get -q download "$0"', name], f"fetching {name}", 1800)
    else:
        downloads.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(downloads, "_apt")  # apt downloads as this user
        do(["apt-get", "-q", "download", name], f"fetching {name}", 1800, cwd=downloads)
    package = max(downloads.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime, default=None)
    if not package:
        raise Failure(f"apt left no package {name} in {downloads}")
    opened = source.archive.parent / "opened"
    shutil.rmtree(opened, ignore_errors=True)
    do(["dpkg-deb", "-x", str(package), str(opened)], f"opening {name}", 600)
    archive = opened / f"usr/src/{name}.tar.xz"
    if not archive.is_file():
        raise Failure(f"{package.name} holds no usr/src/{name}.tar.xz (Debian may have packed it anew)")
    archive.rename(source.archive)
    shutil.rmtree(opened)
    package.unlink()


def provision(series, update=False, inside=False):
    """The newest source of a series. Without update, one that is there is good enough."""
    folder = cache() / "sources"
    name = f"linux-source-{series}"
    archives = sorted(folder.glob(f"{name}_*.tar.xz"), key=lambda path: as_numbers(path.name))
    source = Source(archives[-1]) if archives else None
    if update or not source:
        ask = root.ask if inside else output
        versions = re.findall(r"^Version: (\S+)$", ask(["apt-cache", "show", "--no-all-versions", name]), re.M)
        if not versions:
            where = "the provisioned root's" if inside else "this machine's"
            raise Failure(f"{where} apt sources have no package {name}")
        source = Source(folder / f"{name}_{versions[0].split(':')[-1]}.tar.xz")
        if not source.archive.exists():
            need_space(1)
            folder.mkdir(parents=True, exist_ok=True)
            fetch(name, source, inside)
    if not source.complete():
        unpack_parts(source)
    return source
