#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the emulated card's configuration space and what vfio-user says about it, from PCI's numbers and section 1 to 3
of driver/HARDWARE.md"""

import vfio_user
from emulator import Card
from report import check, expect, finish, run


def capabilities(card):
    """number -> offset"""
    found, offset = {}, card.config(0x34, 1)
    while offset:
        check(offset >= 0x40 and offset % 4 == 0, f"a capability at {offset:#x}")
        number = card.config(offset, 1)
        if not check(number not in found and len(found) < 48, f"capability {number:#x} twice, or a circle"):
            break
        found[number] = offset
        offset = card.config(offset + 1, 1)
    return found


def identity(card):
    """identity: 10ee:903f, subsystem 10ee:f150, class 0x120000, one function, no interrupt pin"""
    expect(card.config(0x00, 2), 0x10ee, "vendor")
    expect(card.config(0x02, 2), 0x903f, "device")
    expect(card.config(0x00, 4), 0x903f10ee, "both as one word")
    expect(card.config(0x08, 4) >> 8, 0x120000, "class")
    expect(card.config(0x0e, 1), 0, "header type: an endpoint of one function")
    expect(card.config(0x2c, 2), 0x10ee, "subsystem vendor")
    expect(card.config(0x2e, 2), 0xf150, "subsystem")
    expect(card.config(0x3d, 1), 0, "interrupt pin (no legacy interrupt)")
    check(card.config(0x06, 2) & 0x10, "status: there is a list of capabilities")
    for offset, what in ((0x00, "ids"), (0x08, "revision and class"), (0x2c, "subsystem")):
        before = card.config(offset)
        card.config_write(offset, before ^ 0xffffffff)
        expect(card.config(offset), before, f"{what} after a write")


def command(card):
    """command register: 0 after reset, keeps memory space, bus master and interrupt disable, and nothing that is reserved"""
    card.client.reset()
    expect(card.config(0x04, 2), 0, "command after reset")
    card.config_write(0x04, 0x0406, 2)
    expect(card.config(0x04, 2), 0x0406, "command")
    card.config_write(0x04, 0xffff, 2)
    expect(card.config(0x04, 2) & 0xf800, 0, "reserved bits of the command register")
    card.config_write(0x04, 0, 2)
    expect(card.config(0x04, 2), 0, "command")
    card.enable()


def bars(card):
    """BARs: 1 MiB and 64 KiB of 32 bits, not prefetchable; no others, no ROM"""
    for offset, mask in ((0x10, 0xfff00000), (0x14, 0xffff0000), (0x18, 0), (0x1c, 0), (0x20, 0), (0x24, 0), (0x30, 0)):
        before = card.config(offset)
        card.config_write(offset, 0xffffffff)
        expect(card.config(offset), mask, f"base address register {offset:#x} after all-ones")
        card.config_write(offset, before)
        expect(card.config(offset), before, f"base address register {offset:#x} given back")
    for region, size in ((0, 1 << 20), (1, 1 << 16), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 4096), (8, 0)):
        flags, got = card.client.region_info(region)
        expect(got, size, f"size of region {region}")
        # Not mappable: with a mappable BAR QEMU turns posted writes off.
        expect(flags, 3 if size else 0, f"flags of region {region}")
    flags, regions, interrupts = card.client.info()
    expect(flags & 3, 3, "device flags: reset, PCI")
    expect((regions, interrupts), (9, 5), "numbers of regions and interrupts")


def express(card):
    """PCI Express capability: an endpoint, 8 GT/s x16, no function-level reset; power management"""
    found = capabilities(card)
    for number, what in ((0x01, "power management"), (0x05, "MSI"), (0x10, "PCI Express"), (0x11, "MSI-X")):
        check(number in found, f"no {what} capability")
    at = found[0x10]
    flags = card.config(at + 2, 2)
    expect(flags & 0xf, 2, "PCI Express capability version")
    expect(flags >> 4 & 0xf, 0, "device/port type: endpoint")
    expect(card.config(at + 4) >> 28 & 1, 0, "function-level reset capability (FLReset-)")
    expect(card.config(at + 0x0c) & 0xf, 3, "link capability: speed, 3 for 8 GT/s")
    expect(card.config(at + 0x0c) >> 4 & 0x3f, 16, "link capability: width")
    expect(card.config(at + 0x12, 2) & 0xf, 3, "link status: speed")
    expect(card.config(at + 0x12, 2) >> 4 & 0x3f, 16, "link status: width")
    # Extended capabilities: a chain that ends.
    offset, seen = 0x100, set()
    while offset and card.config(offset) not in (0, 0xffffffff):
        check(offset >= 0x100 and offset % 4 == 0 and offset not in seen, f"extended capability at {offset:#x}")
        if offset in seen:
            break
        seen.add(offset)
        offset = card.config(offset) >> 20


def interrupts(card):
    """MSI-X: 32 vectors, table 0x8000, pending bits 0x8fe0 of the second BAR (PG195, MSI-X Vector Table and PBA); MSI"""
    found = capabilities(card)
    at = found[0x11]
    expect(card.config(at + 2, 2), 31, "message control: size - 1, not enabled, not masked")
    expect(card.config(at + 4), 0x8000 | 1, "table offset and BAR")
    expect(card.config(at + 8), 0x8fe0 | 1, "pending bits' offset and BAR")
    card.config_write(at + 2, 0xffff, 2)
    expect(card.config(at + 2, 2), 0xc000 | 31, "message control after all-ones")
    card.config_write(at + 2, 0, 2)
    expect(card.config(at + 2, 2), 31, "message control after 0")
    card.config_write(at + 4, 0)
    expect(card.config(at + 4), 0x8001, "table offset after a write")
    at = found[0x05]
    control = card.config(at + 2, 2)
    expect(control & 1, 0, "MSI is not enabled")
    expect(control >> 7 & 1, 1, "MSI: 64-bit addresses")
    flags, count = card.client.irq_info(vfio_user.MSIX)
    expect(count, 32, "MSI-X vectors")
    expect(flags & 9, 1, "MSI-X: by event, may be resized")
    expect(card.client.irq_info(vfio_user.MSI)[1], 1 << (control >> 1 & 7), "MSI messages, as in the capability")
    expect(card.client.irq_info(0)[1], 0, "legacy interrupts")
    expect(card.client.irq_info(3)[1], 0, "error interrupts: QEMU would pause the machine")


def widths(card):
    """configuration space by bytes, halves and words, each byte in its place"""
    words = [card.config(offset) for offset in range(0, 0x40, 4)]
    for offset in range(0, 0x40):
        expect(card.config(offset, 1), words[offset // 4] >> offset % 4 * 8 & 0xff, f"byte {offset:#x}")
        if offset % 2 == 0:
            expect(card.config(offset, 2), words[offset // 4] >> offset % 4 * 8 & 0xffff, f"half {offset:#x}")
    block = card.client.read(vfio_user.CONFIG_REGION, 0, 4096)
    expect(int.from_bytes(block[:4], "little"), 0x903f10ee, "all in one read")
    card.config_write(0x3c, 0x5a, 1)
    expect(card.config(0x3c, 1), 0x5a, "interrupt line")
    expect(card.config(0x3d, 1), 0, "its neighbour")


def enables_in_config_block(card):
    """DMA BAR 0x3014 (Config Block MSI Enable): bit 0 MSI, bit 1 MSI-X, as configuration space has them"""
    card.reset()
    found = capabilities(card)
    expect(card.dma(0x3014), 0, "neither after reset")
    card.config_write(found[0x11] + 2, 0x8000, 2)
    expect(card.dma(0x3014), 2, "with MSI-X")
    card.config_write(found[0x11] + 2, 0, 2)
    card.config_write(found[0x05] + 2, 1, 2)
    expect(card.dma(0x3014), 1, "with MSI")
    card.reset()
    expect(card.dma(0x3014), 0, "after reset again")
    expect(card.config(found[0x05] + 2, 2) & 1, 0, "MSI enable after reset")


def options():
    """options: MSI alone, function-level reset, another subsystem"""
    card = Card("--msi")
    found = capabilities(card)
    check(0x11 not in found and 0x05 in found, "--msi: MSI-X is still there, or MSI is not")
    expect(card.client.irq_info(vfio_user.MSIX)[1], 0, "--msi: MSI-X vectors")
    expect(card.close(), 0, "exit status")
    card = Card("--flr")
    at = capabilities(card)[0x10]
    expect(card.config(at + 4) >> 28 & 1, 1, "--flr: function-level reset capability")
    # Initiate: bit 15 of the device control register. All of section 15's first column follows.
    card.user_write(0x1034, 0x12345678)
    card.config_write(at + 8, 0x8000, 2)
    expect(card.user(0x1034) if card.config(4, 2) & 2 else 0, 0, "SCRATCH after a function-level reset")
    card.enable()
    expect(card.user(0x1034), 0, "SCRATCH after a function-level reset")
    expect(card.config(at + 8, 2) & 0x8000, 0, "the bit that starts it reads 0")
    expect(card.close(), 0, "exit status")
    card = Card("--subsystem", "10ee:0007")
    expect(card.config(0x2c), 0x000710ee, "--subsystem")
    expect(card.close(), 0, "exit status")


def main():
    card = Card()
    for test in (identity, command, bars, express, interrupts, widths, enables_in_config_block):
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    run(options)
    finish()


main()
