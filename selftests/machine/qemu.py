# SPDX-License-Identifier: MIT
"""QEMU: which one, and its command line. It emulates the processor (TCG): nested hosts have no usable KVM."""

import glob
import os
import shutil

from machine import root
from machine.common import Failure, output

PROGRAM = "qemu-system-x86_64"
IOMMUS = ("none", "intel", "virtio")


class Qemu:
    def __init__(self, command, origin, environment=None):
        self.command, self.origin, self.environment = command, origin, dict(os.environ, **(environment or {}))

    def version(self):
        return (output(self.command + ["--version"], env=self.environment).splitlines() or [""])[0]

    def has_vfio_user(self):
        # It prints its list on either stream, and needs no machine for that.
        return "vfio-user-pci" in output(self.command + ["-machine", "none", "-device", "help"], env=self.environment)


def of_host():
    path = shutil.which(PROGRAM)
    return Qemu([path], "host") if path else None


def of_root():
    """The provisioned root's, run from outside through that root's own loader: neither chroot nor root's rights are needed."""
    at = root.folder()
    loader = at / "usr/lib64/ld-linux-x86-64.so.2"
    program = at / "usr/bin" / PROGRAM
    if not (program.exists() and loader.exists()):
        return None
    libraries = at / "usr/lib/x86_64-linux-gnu"
    # Libraries in folders of their own are found by alternatives' symbolic links on a real system.
    paths = [str(libraries)] + sorted(glob.glob(f"{libraries}/*/"))
    command = [str(loader), "--library-path", ":".join(paths), str(program)]
    for data in ("usr/share/qemu", "usr/share/seabios"):
        command += ["-L", str(at / data)]
    return Qemu(command, "provisioned root", {"QEMU_MODULE_DIR": str(libraries / "qemu")})


def find(cards=True):
    """The host's own if it can take emulated cards, otherwise the provisioned root's."""
    host = of_host()
    if host and host.has_vfio_user():
        return host
    provisioned = of_root()
    if provisioned:
        return provisioned
    if host and not cards:
        return host
    raise Failure("there is no QEMU with vfio-user-pci (10.1 or later): run  selftests/vm provision")


# Time passes in a guest while its host is busy elsewhere: watchdogs get room before they call that a fault of the kernel.
# The same goes for the check at boot that the timer ticks (no_timer_check).
# mitigations=off saves an emulated processor much work. printk.devkmsg=on: marks in the log are never dropped.
KERNEL_ARGUMENTS = ("console=ttyS0 earlyprintk=serial,ttyS0 ignore_loglevel printk.devkmsg=on panic=-1 mitigations=off "
                    "no_timer_check rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 sysctl.kernel.hung_task_timeout_secs=300 "
                    "sysctl.kernel.hung_task_warnings=-1 random.trust_cpu=on tsc=nowatchdog net.ifnames=0")


def command_line(qemu, kernel, run, memory, cpus, iommu, append, shell, devices):
    """`run` is the folder of the run, with the initramfs; `devices` are more arguments, of the cards."""
    kernel_arguments = [KERNEL_ARGUMENTS]
    translated = ""
    line = list(qemu.command)
    # Without ACPI hot plug behind bridges, PCIe's own is used, and a secondary bus reset works.
    line += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus), "-m", f"{memory}M",
             "-object", f"memory-backend-memfd,id=ram,size={memory}M,share=on", "-machine", "memory-backend=ram",
             "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
             "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-serial", f"file:{run}/console", "-qmp", f"unix:{run}/qmp,server=on,wait=off"]
    if iommu != "none":
        translated = ",iommu_platform=on,disable-legacy=on"
    if iommu == "intel":
        line += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
        kernel_arguments.append("intel_iommu=on")
    elif iommu == "virtio":
        line += ["-device", "virtio-iommu-pci,boot-bypass=off"]
        # Its module comes with the initramfs; devices behind it wait for it that long, and would go on without translation.
        kernel_arguments.append("deferred_probe_timeout=600")
    # A sleeping machine must not lose its file system: behind a port of its own, so that the device has a PCIe function's power
    # states, which keep what it holds (Linux 6.9 and later make use of that). The port is the last one: cards begin at 01:00.0.
    line += ["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
             "-device", "pcie-root-port,id=portroot,addr=0x1e,slot=255,chassis=255",
             "-device", f"virtio-9p-pci,fsdev=host,mount_tag=hostroot,bus=portroot,x-pcie-pm-no-soft-reset=on{translated}",
             "-device", f"virtio-serial-pci,id=ports{translated}"]
    for port in ("out", "err", "status"):
        line += ["-chardev", f"file,id={port},path={run}/{port}",
                 "-device", f"virtserialport,bus=ports.0,chardev={port},name=org.fixar.{port}"]
    # The way back: what a test says to its part in the guest.
    line += ["-chardev", f"socket,id=in,path={run}/in,server=on,wait=off",
             "-device", "virtserialport,bus=ports.0,chardev=in,name=org.fixar.in"]
    if shell:
        line += ["-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,bus=ports.0,chardev=terminal"]
    line += devices
    line += ["-kernel", str(kernel.image), "-initrd", f"{run}/initramfs",
             "-append", " ".join(kernel_arguments + ([append] if append else []))]
    return line
