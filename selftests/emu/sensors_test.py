#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the card management subsystem of the emulated card, at 0x40000 of the user BAR (driver/HARDWARE.md section 17;
offsets inside it from AMD's PG348)"""

import time

from emulator import Card
from report import check, expect, finish, run, wait

CMS = 0x40000
RESET = CMS + 0x20000        # MB_RESETN: 0 holds the processor in reset
MAP = CMS + 0x28000          # REG_MAP
IDENTITY, HOST_STATUS2, HEARTBEAT = MAP + 0x000, MAP + 0x30c, MAP + 0x2fc

# Sensors are three words: maximum, average, now. mV, mA, degrees; what a U50 in an ordinary slot may show.
SENSORS = {
    "12V_PEX": (0x020, 10800, 13200), "12V_PEX current": (0x0c8, 1, 6500),
    "3V3_PEX": (0x02c, 3000, 3600), "3V3_PEX current": (0x278, 1, 3500),
    "12V_AUX": (0x044, 0, 0), "12V_AUX current": (0x0d4, 0, 0),  # a U50 has no such connector
    "FPGA temperature": (0x0f8, 15, 100), "HBM temperature 1": (0x260, 15, 100), "HBM temperature 2": (0x2b4, 15, 100),
}


def starts(card):
    """its processor starts when 1 is written to 0x60000; the id is 'test' read as a number; HOST_STATUS2 bit 0 when ready"""
    expect(card.user(0x008) >> 1 & 1, 1, "CAPS.CMS")
    expect(card.user(RESET), 0, "processor reset after configuration")
    check(not card.user(HOST_STATUS2) & 1, "ready before it was started")
    card.user_write(RESET, 1)
    expect(card.user(RESET), 1, "processor reset")
    wait(lambda: card.user(HOST_STATUS2) & 1, "HOST_STATUS2 bit 0 does not come", 5)
    expect(card.user(IDENTITY), 0x74736574, "id")


def values(card):
    """each sensor shows plausible values in its unit: maximum at least the average and now"""
    for name, (offset, low, high) in SENSORS.items():
        most, average, now = (card.user(MAP + offset + 4 * i) for i in range(3))
        check(low <= now <= high and low <= average <= high, f"{name}: now {now}, average {average}")
        check(most >= max(now, average), f"{name}: maximum {most}, average {average}, now {now}")
    watts = sum(card.user(MAP + v + 8) * card.user(MAP + i + 8) for v, i in ((0x20, 0xc8), (0x2c, 0x278), (0x44, 0xd4))) / 1e6
    check(5 < watts <= 75, f"{watts:.1f} W from a slot that gives 75")


def heartbeat(card):
    """the heartbeat changes"""
    first = card.user(HEARTBEAT)
    wait(lambda: card.user(HEARTBEAT) != first, "the heartbeat stands still", 3)


def resets(card):
    """a bus reset and a soft reset leave it running"""
    card.reset()
    expect(card.user(RESET), 1, "processor reset after a bus reset")
    card.user_write(0x1004, 1)
    time.sleep(0.05)
    expect(card.user(HOST_STATUS2) & 1, 1, "ready after a soft reset")
    heartbeat(card)


def read_only(card):
    """writes to the sensors do nothing, and are no refused access of the core"""
    before = card.user(MAP + 0x44)
    card.user_write(MAP + 0x44, 0x12345)
    card.user_write(IDENTITY, 0)
    expect((card.user(MAP + 0x44), card.user(IDENTITY)), (before, 0x74736574), "12V_AUX and id")
    expect(card.user(0x1030), 0, "ACCESS_ERROR")


def main():
    card = Card()
    for test in (starts, values, heartbeat, read_only, resets):
        run(test, card)
    run(lambda: expect(card.close(), 0, "exit status"), name="it ends when it is told to")
    finish()


main()
