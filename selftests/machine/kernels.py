# SPDX-License-Identifier: MIT
"""The stock kernels: which there are, where modules for them are built, and how missing ones are fetched.

A kernel is a folder CACHE/kernels/RELEASE into which Debian's packages of its image and its headers were unpacked: nothing is
installed, so that no boot loader of the host ever takes a test's kernel for its own. The kernel's `make install modules_install`
would fill it alike (boot/vmlinuz-RELEASE, lib/modules/RELEASE). The file "series" in it says which word means it.
"""

import os
import pathlib
import re
import shutil

from machine import root
from machine.common import Failure, as_numbers, cache, do, need_space, output

ON_HOST = ("6.1", "6.12")  # series from the host's own apt sources
NEWEST = "backports"  # the newest kernel of the provisioned root's backports
SERIES = ON_HOST + (NEWEST,)
DEFAULT = "6.12"

# The guest mounts its modules here, on the host's read-only files, so the host has the folder, too (a container may not).
MOUNT = pathlib.Path("/lib/modules")

# Releases of Debian's own kernels of the plain flavour: 6.1.0-56-amd64, 6.12.117+deb12-amd64.
STOCK = re.compile(r"(\d+\.\d+)\.\d+(?:-\d+|\+deb\w+)*-amd64")


class Kernel:
    def __init__(self, folder):
        self.folder = folder
        self.release = folder.name
        self.modules = folder / "lib/modules" / self.release
        # Newer releases keep the image beside the modules.
        images = (folder / "boot" / f"vmlinuz-{self.release}", self.modules / "vmlinuz")
        self.image = next((image for image in images if image.is_file()), images[0])

    def complete(self):
        return self.image.is_file() and (self.modules / "modules.dep").is_file()

    def series(self):
        """6.1, 6.12 or backports; others are known by their release."""
        mark = self.folder / "series"
        return mark.read_text().strip() if mark.exists() else self.release

    def headers(self):
        """The folder for make's -C, or None."""
        folder = self.folder / "usr/src" / f"linux-headers-{self.release}"
        return folder if (folder / "Makefile").is_file() else None

    def builder(self):
        """Where modules for it are built: the newest kernel's build tools need its own release's C library and compiler."""
        return "root" if self.series() == NEWEST else "host"


def installed():
    """All kernels, oldest first."""
    folders = (cache() / "kernels").glob("*")
    kernels = [Kernel(folder) for folder in folders if not folder.name.endswith(".partial")]
    return sorted((kernel for kernel in kernels if kernel.complete()), key=lambda kernel: as_numbers(kernel.release))


def choose(name):
    """The newest kernel that a user's word means: a series, a whole release, "backports"."""
    kernels = installed()
    if not kernels or not MOUNT.is_dir():
        raise Failure("the kernels are not fetched yet: run  selftests/vm provision")
    fitting = [kernel for kernel in kernels if name in (kernel.release, kernel.series())]
    if not fitting:
        there = "\n".join(f"    {kernel.series():10} {kernel.release}" for kernel in kernels)
        raise Failure(f"there is no kernel {name} (selftests/vm provision fetches {', '.join(SERIES)}); there are:\n{there}")
    return fitting[-1]


def newest_of(names, series=None):
    """The newest release among names of packages linux-image-RELEASE; flavours (cloud, rt) do not count."""
    matches = [STOCK.fullmatch(name.removeprefix("linux-image-")) for name in names]
    return max((match[0] for match in matches if match and series in (match[1], None)), key=as_numbers, default=None)


def packages_of(release, ask):
    """The image, the headers, and the parts that newer releases divide them into. ask() runs apt-cache, here or elsewhere."""
    whole = [f"linux-image-{release}", f"linux-headers-{release}"]
    depends = ask(["apt-cache", "depends", *whole])
    parts = re.findall(r"Depends: (linux-(?:base|binary|modules|headers|kbuild)-\S+)", depends)
    if len(parts) < 2:
        raise Failure(f"apt does not say what the headers of Linux {release} consist of")
    return [*whole, *sorted(set(parts))]


def unpack(packages, release, series):
    """Makes a kernel's folder of its packages; one that is there is never half there."""
    folder = cache() / "kernels" / release
    partial = folder.with_name(release + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    for package in packages:
        do(["dpkg-deb", "-x", str(package), str(partial)], f"unpacking {package.name.split('_')[0]}", 1200)
    # depmod looks in lib/modules only, which newer releases have merged into usr. modules.dep is made by a script of the package,
    # which does not run here.
    if not (partial / "lib").exists():
        (partial / "lib").symlink_to("usr/lib")
    do(["depmod", "-b", str(partial), release], f"listing the modules of Linux {release}", 600)
    # The headers name their parts by absolute paths.
    for file in (partial / "usr/src").glob("linux-headers-*/Makefile"):
        text = file.read_text()
        if "/usr/src/" in text:
            file.write_text(text.replace("/usr/src/", f"{folder}/usr/src/"))
    (partial / "series").write_text(series + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    if not Kernel(folder).complete():
        raise Failure(f"{folder}: the packages hold no kernel or no modules (Debian may have divided them anew)")
    for package in packages:
        package.unlink()


def downloaded(folder, names):
    """The newest file of each package."""
    found = []
    for name in names:
        files = sorted(folder.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
        if not files:
            raise Failure(f"apt left no package {name} in {folder}")
        found.append(files[-1])
    return found


def provision(series, update=False):
    """One series of the host's own release."""
    if not update and any(kernel.series() == series for kernel in installed()):
        return

    def available():
        return newest_of(output(["apt-cache", "pkgnames", f"linux-image-{series}."]).split(), series)

    if os.geteuid() == 0 and (update or not available()):
        do(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "update"], "bringing apt's lists up to date", 900)
    release = available()
    if not release:
        raise Failure(f"this machine's apt sources have no Linux {series} (those of Debian 12 with its security updates have)")
    if Kernel(cache() / "kernels" / release).complete():
        return
    need_space(2)
    folder = cache() / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "_apt")  # apt downloads as this user
    names = packages_of(release, output)
    do(["apt-get", "-q", "download", *names], f"fetching Linux {release}", 1800, cwd=folder)
    unpack(downloaded(folder, names), release, series)


def provision_newest(update=False):
    """The newest kernel that the provisioned root's sources have."""
    if not update and any(kernel.series() == NEWEST for kernel in installed()):
        return
    release = newest_of(root.ask(["apt-cache", "pkgnames", "linux-image-"]).split())
    if not release:
        raise Failure("the provisioned root's sources have no kernel: run  selftests/vm provision --update")
    if Kernel(cache() / "kernels" / release).complete():
        return
    need_space(2)
    names = packages_of(release, root.ask)
    # The libraries that the build tools need come with them. The compiler is the one that the kernel was built with.
    tools = [name for name in names if name.startswith("linux-kbuild-")] 
    tools += re.findall(r"Depends: (gcc-\d+\S*)", root.ask(["apt-cache", "depends", f"linux-headers-{release}"]))
    root.do_inside(["apt-get", "-q", "-y", "install", "-t", root.BACKPORTS, *tools],
                   f"installing the build tools of Linux {release}", 1800)
    root.do_inside(["sh", "-c", 'cd /var/cache/apt/archives && exec apt-get -q download "$@"', "fetch", *names],
                   f"fetching Linux {release}", 1800)
    unpack(downloaded(root.folder() / "var/cache/apt/archives", names), release, NEWEST)
