"""Ties a process to the one that started it: however that one ends, the kernel kills it too.

    python -m tests.torture.leash USER PROGRAM ARGUMENT...

runs a program so, as USER (``-``: as whoever asks), which is how PostgreSQL is started by root.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PARENT = "TORTURE_PARENT"
PR_SET_PDEATHSIG = 1
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
CAPABILITY_VERSION_3 = 0x20080522
OVERRIDES = (1, 2, 3)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER (capabilities(7))."""


def die_with_parent() -> None:
    """From now on; at once, when the parent has gone meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    parent = os.environ.get(PARENT)
    if parent and os.getppid() != int(parent):
        os._exit(1)


def own_mounts() -> None:
    """What this process mounts from now on ends with it, however it ends; without root nothing is mounted."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) == 0:
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)


def obey_modes() -> None:
    """Give up what lets root write to what is read-only."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice 32 bits
    if libc.capget(head, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for one in range(3):
        for number in OVERRIDES:
            sets[one] &= ~(1 << number) & 0xFFFFFFFF
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    user, *command = sys.argv[1:]
    if user != "-":
        known = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(known.pw_gid)
        os.setuid(known.pw_uid)
    # After the change of user, which would undo it.
    die_with_parent()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
