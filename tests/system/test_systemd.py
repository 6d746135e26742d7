"""The notify protocol against a real socket: what is said, in which order, and what when nobody listens."""

import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from alertd.system.systemd import Systemd, is_journal


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(2)

    def said(self, number: int) -> list[str]:
        return [self._socket.recv(4096).decode() for _ in range(number)]

    def is_silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@alertd-test-{os.getpid()}"
    made = Manager(address)
    yield made
    made.close()


def test_protocol(manager: Manager) -> None:
    """Each state is one datagram as sd_notify(3) has it; a status stays on one line."""
    systemd = Systemd(address=manager.address, watchdog_s=10)

    systemd.ready("next: t/m\n-7d")
    systemd.reloading(12.345678)
    systemd.ready("again")
    systemd.alive()
    systemd.stopping()

    assert manager.said(5) == [
        "READY=1\nSTATUS=next: t/m -7d",
        "RELOADING=1\nMONOTONIC_USEC=12345678",
        "READY=1\nSTATUS=again",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_status_is_said_when_it_has_changed(manager: Manager) -> None:
    """The same status again is not sent again, nor is the one that came with READY."""
    systemd = Systemd(address=manager.address)

    systemd.ready("a")
    for text in ("a", "b", "b", "a"):
        systemd.status(text)

    assert manager.said(3) == ["READY=1\nSTATUS=a", "STATUS=b", "STATUS=a"]
    assert manager.is_silent()


def test_watchdog_is_fed_when_there_is_one(manager: Manager) -> None:
    """Without a watchdog there is nothing to feed."""
    Systemd(address=manager.address).alive()

    assert manager.is_silent()


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "@nobody-listens-here", "vsock:2:1234"])
def test_nobody_there_is_no_error(address: str) -> None:
    """A manager that is not there, or has gone, does not end a daemon that sends reminders."""
    systemd = Systemd(address=address, watchdog_s=1)

    systemd.ready("x")
    systemd.reloading(1)
    systemd.alive()
    systemd.status("y")
    systemd.stopping()

    assert systemd.address == address


def test_the_journal_is_told_from_other_streams(tmp_path: Path) -> None:
    """By the device and the inode that systemd names; a stream without a file is never it."""
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        seen = os.fstat(journal.fileno())
        environment = {"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"}

        found = [is_journal(one, environment) for one in (journal, other, io.StringIO())]
        without = is_journal(journal, {})

    assert found == [True, False, False]
    assert not without


@pytest.mark.parametrize(
    ("environment", "address", "watchdog_s"),
    [
        ({}, "", 0),
        ({"NOTIFY_SOCKET": "/run/x"}, "/run/x", 0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}, "@x", 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, "@x", 30),
        # somebody else's watchdog
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, "@x", 0),
        ({"WATCHDOG_USEC": "soon"}, "", 0),
        ({"WATCHDOG_USEC": "²"}, "", 0),
        ({"WATCHDOG_USEC": "-5"}, "", 0),
    ],
)
def test_environment(environment: dict[str, str], address: str, watchdog_s: float) -> None:
    """The variables are read as sd_notify(3) and sd_watchdog_enabled(3) have them."""
    found = Systemd.from_environment(environment, pid=7)

    assert (found.address, found.watchdog_s) == (address, watchdog_s)
