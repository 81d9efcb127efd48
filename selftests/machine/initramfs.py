# SPDX-License-Identifier: MIT
"""The guest's initramfs: busybox, the few modules that the host's file system over 9p needs, and one run's command.

The kernel unpacks several archives that follow each other in one file: the first, which depends on the kernel alone, is kept in
the cache; the second, small one is made for each run, so that runs share nothing.
"""

import hashlib
import lzma
import os
import pathlib
import re
import shlex
import shutil
import tempfile

from machine.common import MACHINE, Failure, cache

# Loaded in this order, each after what it depends on; what is built into the kernel is left out.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p"]
VIRTIO_IOMMU = ["virtio_iommu"]  # before everything that it translates for


class Archive:
    """A cpio archive in the "newc" format."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def add(self, name, content=b"", mode=0o100644, device=(0, 0)):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0]
        for piece in (b"070701" + b"".join(b"%08X" % field for field in fields) + name, content):
            self.parts.append(piece + b"\0" * (-len(piece) % 4))

    def folder(self, name):
        self.add(name, mode=0o040755)

    def program(self, name, content):
        self.add(name, content, mode=0o100755)

    def finish(self):
        self.add("TRAILER!!!", mode=0)
        return b"".join(self.parts)


def plain(name):
    """Modules are named with dashes or underscores, indifferently."""
    return pathlib.Path(name).name.split(".ko")[0].replace("-", "_")


def closure(kernel, wanted):
    """The files of these modules and of all they depend on, in loading order."""
    depends = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        file, _, needs = line.partition(":")
        depends[plain(file)] = (file, needs.split())
    builtin = {plain(line) for line in (kernel.modules / "modules.builtin").read_text().split()}
    files = []
    for name in wanted:
        if name in builtin:
            continue
        if name not in depends:
            raise Failure(f"Linux {kernel.release} has no module {name}")
        file, needs = depends[name]
        for each in list(reversed(needs)) + [file]:
            if each not in files:
                files.append(each)
    return [kernel.modules / file for file in files]


def decompressed(path):
    data = path.read_bytes()
    if path.name.endswith(".ko"):
        return data
    if path.name.endswith(".ko.xz"):
        return lzma.decompress(data)
    raise Failure(f"{path} is compressed in a way that is not known here")


def busybox():
    """A statically linked one: it runs before there is a C library."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.access(path, os.X_OK) and b"ld-linux" not in pathlib.Path(path).read_bytes()[:4096]:
            return pathlib.Path(path)
    raise Failure("there is no static busybox: install the package busybox-static, or run  selftests/vm provision")


def base(kernel, iommu):
    """The file of the first archive, from the cache if it is there."""
    wanted = (VIRTIO_IOMMU if iommu == "virtio" else []) + MODULES
    init = (MACHINE / "guest-init").read_bytes()
    shell = busybox()
    parts = [kernel.release, str(kernel.image.stat().st_mtime_ns), *wanted, str(shell.stat().st_mtime_ns), init.decode()]
    mark = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    file = cache() / "initramfs" / f"{kernel.release}-{mark}.cpio"
    if file.exists():
        return file
    archive = Archive()
    for folder in ("bin", "proc", "sys", "dev", "vm", "modules"):
        archive.folder(folder)
    archive.add("dev/console", mode=0o020600, device=(5, 1))  # the kernel opens it before there is a devtmpfs
    archive.program("init", init)
    archive.program("bin/busybox", shell.read_bytes())
    modules = closure(kernel, wanted)
    for module in modules:
        archive.add(f"modules/{plain(module)}", decompressed(module))
    archive.add("modules/order", "".join(f"{plain(module)}\n" for module in modules).encode())
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as partial:
        partial.write(archive.finish())
    os.replace(partial.name, file)  # whole or not at all, also when two runs make it at once
    return file


# Of the host's environment a command sees these, and all that begin with FIXAR_.
ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "PYTHONDONTWRITEBYTECODE")


def command_file(command, directory):
    """A shell program for the guest's /bin/sh, so that every word arrives as it is."""
    variables = {name: value for name, value in os.environ.items() if name in ENVIRONMENT or name.startswith("FIXAR_")}
    variables.update(TMPDIR="/tmp", FIXAR_VM="1")
    variables.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    lines.append(f"cd {shlex.quote(str(directory))} || exit 126")
    lines.append("exec " + " ".join(map(shlex.quote, command)))
    return os.fsencode("\n".join(lines) + "\n")


def for_run(kernel, iommu, command, directory, keep, shell, file):
    """Writes the initramfs of one run."""
    # The host's root is seen through QEMU by path, so symbolic links of the host are resolved here.
    settings = {"release": kernel.release, "modules": os.path.realpath(kernel.modules), "keep": " ".join(sorted(set(keep))),
                "shell": "yes" if shell else ""}
    if any(re.search(r"\s", folder) for folder in keep):
        raise Failure("the source tree and the folder of the command must have no white space in their names")
    archive = Archive()
    archive.folder("vm")
    archive.program("vm/guest-start", (MACHINE / "guest-start").read_bytes())
    archive.add("vm/command", command_file(command, directory))
    archive.add("vm/settings", "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()).encode())
    with open(base(kernel, iommu), "rb") as first, open(file, "wb") as whole:
        shutil.copyfileobj(first, whole)
        # Archives begin at multiples of 4.
        whole.write(b"\0" * (-whole.tell() % 4) + archive.finish())
