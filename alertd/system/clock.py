"""Read the clocks of the machine. No other module reads a clock."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

_UNSYNCHRONISED = 0x40
"""STA_UNSYNC in the ``status`` of ``struct timex``."""

_KERNEL_AGREES_S = 2.0


class SystemClock:
    """Implements :class:`alertd.ports.Clock` with the machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def read_suspended_s() -> float:
    """Return how long the machine has been suspended since it was booted, in seconds.

    This is the difference between CLOCK_BOOTTIME, which counts suspends, and CLOCK_MONOTONIC, which does not
    (clock_gettime(2)). Systems without CLOCK_BOOTTIME give 0.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return 0.0
    return time.clock_gettime(boottime) - time.clock_gettime(time.CLOCK_MONOTONIC)


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux, as adjtimex(2) fills it in. The tail is reserved."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("fraction", ctypes.c_long),
        ("reserved", ctypes.c_char * 128),
    )


def read_synchronised() -> bool | None:
    """Return whether the kernel says that its time is synchronised (by NTP or PTP).

    The kernel clears this when the clock is set by hand, and the daemon that keeps the time says it again
    (adjtimex(2)).

    Returns:
        None if the kernel cannot say, or if it shows another time than this process goes by.
    """
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    found = _Timex()
    if adjtimex is None or adjtimex(ctypes.byref(found)) < 0:
        return None
    if abs(found.seconds - time.time()) > _KERNEL_AGREES_S:
        return None
    return not found.status & _UNSYNCHRONISED
