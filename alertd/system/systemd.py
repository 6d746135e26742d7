"""The notify protocol of systemd: one datagram a state (man page sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

SEND_LIMIT_S = 1.0
"""A manager that does not read holds nothing up for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """Tells the service manager how it stands; does nothing when there is none.

    Attributes:
        address: ``$NOTIFY_SOCKET``; one that begins with ``@`` is in the abstract namespace.
        watchdog_s: how often it must be fed at the least, in seconds; 0 when it need not be.
    """

    address: str = ""
    watchdog_s: float = 0.0
    _last: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Systemd:
        """Reads ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``."""
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        usec = environment.get("WATCHDOG_USEC", "")
        return cls(
            address=environment.get("NOTIFY_SOCKET", ""),
            watchdog_s=int(usec) / 1_000_000 if ours and usec.isascii() and usec.isdigit() else 0.0,
        )

    def ready(self, status: str) -> None:
        self._last["status"] = status
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self, monotonic_s: float) -> None:
        # Type=notify-reload (systemd 253) wants the time of the reload; older ones ignore it.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_s * 1_000_000)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """What ``systemctl status`` shows; sent only when it has changed."""
        if self._last.get("status") != text:
            self._last["status"] = text
            self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        if self.watchdog_s:
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(SEND_LIMIT_S)
            try:
                sock.connect(address)
                sock.sendall(state.encode())
            except OSError:
                # The manager went away, or does not read; a daemon that sends reminders does not end over it.
                return


def is_journal(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to ``out`` goes to the journal: ``JOURNAL_STREAM``, systemd.exec(5)."""
    try:
        stream = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _line(text: str) -> str:
    return " ".join(text.split())
