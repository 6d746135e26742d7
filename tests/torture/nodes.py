"""Nodes: real daemons, each under a supervisor that starts it again when it ends, as systemd would."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.e2e.stage import Process
from tests.torture.bell import Bell
from tests.torture.leash import PARENT

ROOT = Path(__file__).parents[2]
MAX_STARTS = 5000
LONGEST_LINE = 1 << 22
STOP_LIMIT_S = 40.0
LIMIT_S = 60.0
"""How long a node may take to start, to be ready, or to end after a kill, on a busy machine."""


class Node:
    """One node.

    Attributes:
        pids: of all its processes, in order.
        statuses: how those ended that have ended.
        restart_s: how long the supervisor waits before it starts the next one.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], bell: Bell
    ) -> None:
        self.name = name
        self.pids: list[int] = []
        self.statuses: list[int] = []
        self.restart_s = 0.2
        self._arguments = arguments
        self._environment = environment
        self._bell = bell
        self._processes: list[Process] = []
        self._stopping = False
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._supervisor = asyncio.create_task(self._supervise())

    @property
    def pid(self) -> int:
        """Of the process that is under way; 0: none is."""
        return self.pids[-1] if len(self.pids) > len(self.statuses) else 0

    @property
    def is_ready(self) -> bool:
        return bool(self.pid) and self._processes[-1].count("daemon.ready") > 0

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What all its processes have logged."""
        return [
            event
            for process in self._processes
            for event in process.events
            if not name or event["event"] == name
        ]

    def garbage(self) -> list[str]:
        """Lines that are no events, such as why it would not start."""
        return [line for process in self._processes for line in process.garbage]

    async def started(self, limit_s: float = LIMIT_S) -> None:
        await self._bell.within(limit_s, lambda: bool(self.pid), self._story)

    async def ready(self, limit_s: float = LIMIT_S) -> None:
        await self._bell.within(limit_s, lambda: self.is_ready, self._story)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the process that is under way, if there is one. Returns its pid."""
        pid = self.pid
        if pid:
            os.kill(pid, number)
        return pid

    def ask_to_reload(self) -> None:
        """SIGHUP, unless the process starts or ends: it would be killed by that."""
        if self.is_ready and not self._stopping and not self._processes[-1].count("daemon.stopped"):
            with suppress(ProcessLookupError):
                # It was killed a moment ago.
                self.signal(signal.SIGHUP)

    def count_reloads(self) -> int:
        """How often files were put in force after the start of a process."""
        return sum(max(0, process.count("config.loaded") - 1) for process in self._processes)

    async def ended(self, pid: int) -> None:
        """Return when that process has ended and all that it said was read."""
        index = self.pids.index(pid)
        await self._bell.within(LIMIT_S, lambda: len(self.statuses) > index, self._story)

    async def stop(self) -> int:
        """SIGTERM once it is ready, and the status it ends with; one that does not end by itself fails."""
        await self.ready(STOP_LIMIT_S)
        self._stopping = True
        self.signal(signal.SIGTERM)
        if self._supervisor is not None:
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await asyncio.shield(self._supervisor)
            except TimeoutError:
                raise AssertionError(f"{self.name} did not stop within {STOP_LIMIT_S:g} s") from None
        return self.statuses[-1] if self.statuses else 0

    async def clear(self) -> None:
        """Leave nothing running."""
        self._stopping = True
        self.signal(signal.SIGKILL)
        if self._supervisor is not None:
            await asyncio.wait([self._supervisor], timeout=STOP_LIMIT_S)

    async def _supervise(self) -> None:
        while not self._stopping and len(self.pids) < MAX_STARTS:
            inner = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.torture.node", "run", *self._arguments,
                stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=LONGEST_LINE,
                cwd=ROOT, env={**self._environment, PARENT: str(os.getpid())},
            )  # fmt: skip
            process = Process(inner, bell=self._bell)
            process.listen()
            self._processes.append(process)
            self.pids.append(inner.pid)
            self._bell.ring()
            status = await inner.wait()
            await asyncio.gather(*process._readers)
            self.statuses.append(status)
            self._bell.ring()
            if self.restart_s:
                await asyncio.sleep(self.restart_s)

    def _story(self) -> object:
        return (self.name, self.statuses[-5:], self.garbage()[-5:], self.events()[-10:])
