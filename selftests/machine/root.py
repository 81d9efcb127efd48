# SPDX-License-Identifier: MIT
"""The provisioned root: a minimal Debian of a newer release in a folder of the cache.

QEMU comes from it where the host's own has no vfio-user-pci; modules for the newest backports kernel are built in it, since that
kernel's build tools need its C library and compiler. Packages come from the mirror of the host's own apt configuration.
"""

import os
import pathlib
import shutil

from machine.common import Failure, cache, do, need_root, need_space, output, say

RELEASE = "trixie"
BACKPORTS = f"{RELEASE}-backports"
# QEMU, and what builds and checks a module; the kernel's own build tools come with the kernel.
PACKAGES = ["qemu-system-x86", "make", "gcc", "libc6-dev", "pahole", "sparse"]


def folder():
    return cache() / "roots" / RELEASE


def exists():
    return (folder() / "usr/bin/apt-get").is_file()


def mirror():
    """Where the host's own apt finds Debian's main archive."""
    targets = output(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(SUITE)|$(COMPONENT)|$(LABEL)"])
    for line in targets.splitlines():
        uri, suite, component, label = (line.split("|") + [""] * 4)[:4]
        # The security archive is labelled otherwise, and has neither other releases nor backports.
        if component == "main" and label == "Debian" and "security" not in suite:
            return uri
    raise Failure("this machine's apt configuration names no mirror of Debian, or `apt-get update` has never run")


def environment():
    """apt's proxy is for debootstrap, too, and for the apt inside."""
    found = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    for scheme in ("http", "https"):
        proxy = output(["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"]).strip()
        if proxy.startswith("P='") and f"{scheme}_proxy" not in found:
            found[f"{scheme}_proxy"] = proxy[3:-1]
    return found


# Mounts are made in a mount namespace of their own: they go with the last process in it and nothing is left to unmount.
ENTER = """
mount --make-rprivate / || exit 125
mount -t proc proc "$1/proc" || mount --rbind /proc "$1/proc" || exit 125
mount --rbind /dev "$1/dev" || exit 125
cp -L /etc/resolv.conf /etc/hosts "$1/etc/" 2>/dev/null
root=$1; directory=$2
shift 2
while [ "$1" != -- ]; do
	mkdir -p "$root$1" && mount --bind "$1" "$root$1" || exit 125
	shift
done
shift
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
"""


def inside(command, visible=(), directory="/"):
    """The command line that runs another in the root; `visible` are folders of the host to be seen there under their own names."""
    return (["unshare", "--mount", "--", "sh", "-c", ENTER, "vm-root", str(folder()), str(directory), *map(str, visible), "--"]
            + command)


def ask(command):
    """What a command in the root prints."""
    need_root("looking into the provisioned root")
    return output(inside(command), env=environment())


def do_inside(command, what, limit):
    need_root("changing the provisioned root")
    do(inside(command), what, limit, env=environment())


def provision(update=False):
    if not exists():
        bootstrap()
    etc = folder() / "etc/apt"
    sources = "".join(f"deb {mirror()} {suite} main\n" for suite in (RELEASE, f"{RELEASE}-updates", BACKPORTS))
    if (etc / "sources.list").read_text() != sources:
        (etc / "sources.list").write_text(sources)
        update = True
    # The archive's pdiffs and translations are not worth their time here, and nothing may start a service.
    (etc / "apt.conf.d/90fixar").write_text('Acquire::Languages "none";\nAPT::Install-Recommends "false";\n'
                                            'Acquire::Retries "3";\nAPT::Keep-Downloaded-Packages "false";\n')
    policy = folder() / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    lists = {path.name.split(":")[0].removesuffix(".list") for path in (folder() / "var/lib/dpkg/info").glob("*.list")}
    missing = set(PACKAGES) - lists
    if not missing and not update:
        return
    need_space(2.5)
    do_inside(["dpkg", "--configure", "-a"], f"checking the packages of {RELEASE}", 900)  # after an interrupted installation
    do_inside(["apt-get", "-q", "update"], f"reading the package lists of {RELEASE}", 900)
    # All at once and from one place: QEMU brings libraries of the backports along (libelf, say), with whose siblings of the
    # release's own a second installation would be at odds.
    do_inside(["apt-get", "-q", "-y", "install", "-t", BACKPORTS] + PACKAGES, f"installing QEMU and a compiler into {RELEASE}", 3600)
    do_inside(["apt-get", "-q", "clean"], f"tidying {RELEASE}", 300)


def bootstrap():
    need_root("making the provisioned root")
    if not shutil.which("debootstrap"):
        raise Failure("there is no debootstrap on this machine: install the package debootstrap")
    need_space(3)
    partial = folder().with_name(RELEASE + ".partial")
    packages = cache() / "packages" / RELEASE  # kept until the root is whole, so that a second try downloads less
    packages.mkdir(parents=True, exist_ok=True)
    if partial.exists():
        say("an earlier attempt was interrupted: beginning anew with what it downloaded")
        shutil.rmtree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    do(["unshare", "--mount", "--", "debootstrap", "--variant=minbase", f"--cache-dir={packages}", RELEASE, str(partial),
        mirror()], f"making a minimal {RELEASE}", 3600, env=environment())
    shutil.rmtree(packages, ignore_errors=True)
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)
    pathlib.Path(partial / "var/cache/apt/archives/partial").mkdir(parents=True)
    partial.rename(folder())
