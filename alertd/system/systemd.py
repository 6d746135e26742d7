"""Notify systemd of the daemon's state (sd_notify(3)). Each state is one datagram."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

SEND_LIMIT_S = 1.0
"""The time limit of a notification, in case the service manager does not read from the socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """Sends the daemon's state to the service manager, or does nothing without a service manager.

    Attributes:
        address: the value of ``$NOTIFY_SOCKET``. A leading ``@`` means the abstract namespace (unix(7)).
        watchdog_s: the longest time between two calls of :meth:`alive`, in seconds; 0 means no watchdog.
    """

    address: str = ""
    watchdog_s: float = 0.0
    _last: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Systemd:
        """Create an instance from ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.

        Args:
            pid: the process that the watchdog must be meant for; by default this process.
        """
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        usec = environment.get("WATCHDOG_USEC", "")
        return cls(
            address=environment.get("NOTIFY_SOCKET", ""),
            watchdog_s=int(usec) / 1_000_000 if ours and usec.isascii() and usec.isdigit() else 0.0,
        )

    def ready(self, status: str) -> None:
        """Report that the daemon has started or reloaded."""
        self._last["status"] = status
        self._send(f"READY=1\nSTATUS={_join_lines(status)}")

    def reloading(self, monotonic_s: float) -> None:
        """Report that a reload starts.

        Args:
            monotonic_s: the time of CLOCK_MONOTONIC, in seconds. Type=notify-reload (systemd 253) requires
                it, and older versions ignore it.
        """
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_s * 1_000_000)}")

    def stopping(self) -> None:
        """Report that the daemon stops."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the text that ``systemctl status`` shows. An unchanged text is not sent again."""
        if self._last.get("status") != text:
            self._last["status"] = text
            self._send(f"STATUS={_join_lines(text)}")

    def alive(self) -> None:
        """Report to the watchdog that the daemon works."""
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
                # The manager is gone or does not read. That is no reason to stop sending reminders.
                return


def is_journal(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether ``out`` is connected to the journal (systemd.exec(5), "$JOURNAL_STREAM")."""
    try:
        stream = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _join_lines(text: str) -> str:
    return " ".join(text.split())
