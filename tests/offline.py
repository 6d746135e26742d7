"""A pytest plugin that fails each test that uses a server. `make quick` loads it by ``-p tests.offline``.

A test fails if it connects to an IP address, listens on one, sends to one, resolves a name or starts a
process. The test fails even if the code under test catches the exception, so a test that needs a server
cannot join the selection unnoticed. Sockets of the family AF_UNIX are allowed, because they use no port.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

MARKER = "server"
REFUSED = frozenset({"os.posix_spawn", "os.system", "socket.getaddrinfo", "subprocess.Popen"})
"""Audit events that no test may raise, whatever their arguments are."""

REFUSED_BY_FAMILY = frozenset({"socket.bind", "socket.connect", "socket.sendto"})
"""Audit events that no test may raise for a socket of IP."""


@dataclass(slots=True)
class _Watch:
    """What the tests of this process have used.

    Attributes:
        runs: whether a test runs at the moment.
        used: the refused events since the test began.
    """

    runs: bool = False
    used: list[str] = field(default_factory=list)


_watch = _Watch()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watch.runs or not (event in REFUSED or (event in REFUSED_BY_FAMILY and _is_ip(arguments[0]))):
        return
    _watch.used.append(event)
    raise OSError(f"{event}: a test of `make quick` may use no server; mark the test with {MARKER}")


def _is_ip(used: object) -> bool:
    return isinstance(used, socket.socket) and used.family in {socket.AF_INET, socket.AF_INET6}


def pytest_configure() -> None:
    # Python cannot remove an audit hook. The hook does nothing while no test runs.
    sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a test from the setup of its fixtures to their teardown."""
    _watch.used.clear()
    _watch.runs = True
    try:
        return (yield)
    finally:
        _watch.runs = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that used a server, after its own fixtures have been torn down."""
    yield
    if _watch.used:
        pytest.fail(f"a test without the mark {MARKER} used {sorted(set(_watch.used))}", pytrace=False)
