"""Read the clocks of the machine. No other module reads a clock."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

_UNSYNCHRONISED = 0x40
"""STA_UNSYNC in the ``status`` of ``struct timex``."""

_KERNEL_AGREES_S = 2.0
_JUST_S = 60.0

TIMESYNCD = Path("/run/systemd/timesync")


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


def read_synchronised(timesyncd: Path = TIMESYNCD, *, at_s: float | None = None) -> bool | None:
    """Return whether the machine's time is synchronised (by NTP or PTP).

    The kernel knows. It forgets when somebody sets the clock, and the daemon that keeps the time tells it
    again (adjtimex(2)). Within a unit with ``ProtectClock=`` nobody may ask the kernel, so systemd-timesyncd
    is asked, which touches a file each time that it has set the clock (systemd-timesyncd.service(8)).

    Args:
        timesyncd: the folder of systemd-timesyncd.
        at_s: the time that this process goes by, in seconds since 1970; None: that of the system.

    Returns:
        None if neither can say, or if the kernel shows another time than this process goes by.
    """
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    kernel = _Timex()
    if adjtimex is None or adjtimex(ctypes.byref(kernel)) < 0:
        return read_timesyncd(timesyncd)
    if abs(kernel.seconds - (time.time() if at_s is None else at_s)) > _KERNEL_AGREES_S:
        return None
    return not kernel.status & _UNSYNCHRONISED


def read_timesyncd(folder: Path) -> bool | None:
    """Return whether systemd-timesyncd has just set the clock; False if it has not done so since the start.

    The event loop calls this, but only while the clock is in doubt. It does not block, because ``/run`` is in
    memory (file-hierarchy(7)), and no disk or network is asked.

    Returns:
        None if it does not run here, or if somebody may have set the clock since.
    """
    if not folder.is_dir():
        return None
    try:
        ago_s = time.time() - (folder / "synchronized").stat().st_mtime
    except FileNotFoundError:
        return False
    return True if 0 <= ago_s < _JUST_S else None
