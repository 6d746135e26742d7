"""Runs the daemon as it is shipped, as a process of its own, and waits for what it logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.kit.process import (
    python,
    read_cpu_s,
    read_memory_mb,
    start_child,
    wait_until,
    wait_until_quiet,
)
from tests.postgres import free_port

READY = "daemon.ready"


@dataclass(slots=True, kw_only=True)
class RunningDaemon:
    """A daemon under way.

    Attributes:
        started: when it was started, by ``time.perf_counter``.
        port: where its web server listens on the loopback interface.
    """

    child: subprocess.Popen[bytes]
    log: Path
    port: int
    started: float
    _read: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, event: str) -> int:
        """Return how often the daemon has logged an event."""
        return sum(each["event"] == event for each in self._read_events())

    def wait_for(self, event: str, times: int = 1, *, limit_s: float = 600.0) -> float:
        """Wait until the event was logged so many times. Return the time, by ``time.perf_counter``."""

        def is_logged() -> bool:
            if self.child.poll() is not None:
                raise RuntimeError(f"the daemon has ended: {self.log.read_text()[-2000:]}")
            return self.count(event) >= times

        wait_until(is_logged, f"{event} of a daemon", limit_s)
        return time.perf_counter()

    def wait_until_quiet(self, limit_s: float = 600.0) -> float:
        return wait_until_quiet(self.pid, limit_s)

    def reload(self) -> None:
        self.child.send_signal(signal.SIGHUP)

    def read_cpu_s(self) -> float:
        return read_cpu_s(self.pid)

    def read_memory_mb(self) -> float:
        return read_memory_mb(self.pid)

    def _read_events(self) -> list[dict[str, Any]]:
        with self.log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if line.startswith(b"{"):
                    self._events.append({"event": json.loads(line)["event"]})
        return self._events


@contextmanager
def start_daemon(config: Path, database: str, log: Path) -> Iterator[RunningDaemon]:
    """Start a daemon, and stop it at the end. It may not be ready yet."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "USER": "bench",
        "ALERTD_LISTEN": f"127.0.0.1:{port}",
        "ALERTD_LOG_FORMAT": "json",
    }
    command = python("-m", "alertd", "run", "--config", str(config), "--database", database)
    started = time.perf_counter()
    with (
        log.open("wb") as errors,
        start_child(command, environment=environment, errors=errors) as child,
    ):
        yield RunningDaemon(child=child, log=log, port=port, started=started)
