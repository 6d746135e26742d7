"""What monitoring sees: a full disk is seen wherever people and machines look, within a minute."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from alertd.testing import HttpSink
from tests.torture.arena import Arena, Size
from tests.torture.faults import Fault, Kind
from tests.torture.nodes import ROOT, Node
from tests.torture.receipts import now_s
from tests.torture.scenarios.databases import RECOVERS_S, fill, mount_small_disk

SEEN_WITHIN_S = 60.0
CLEARED_WITHIN_S = RECOVERS_S + 60.0
"""The loop tries again after half a minute at the latest, and the audit follows."""

ASKED_EVERY_S = 0.5
UNWRITABLE = "the ledger cannot be written"


@dataclass(slots=True, kw_only=True)
class Monitors:
    """Everything that looks at a node from outside: systemd, a dead man's switch, probes, and people."""

    arena: Arena
    port: int
    switch: HttpSink
    manager: socket.socket
    states: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        """Hear what systemd is told, for ever."""
        while True:
            heard = await asyncio.get_running_loop().sock_recv(self.manager, 4096)
            self.states += [line for line in heard.decode().splitlines() if line.startswith("STATUS=")]

    async def is_unready(self) -> bool:
        status, text = await self._get("/readyz")
        return status == 503 and UNWRITABLE in text

    async def is_ready(self) -> bool:
        return await self._get("/readyz") == (200, "ok\n")

    async def is_counted(self) -> bool:
        _, text = await self._get("/metrics")
        kinds = 'alertd_audit_findings{fault="unwritable"} 1.0'
        return all(line in text.splitlines() for line in ("alertd_ledger_writable 0.0", kinds))

    async def is_alarmed(self) -> bool:
        last = self.switch.requests[-1] if self.switch.requests else None
        return last is not None and last.path.endswith("/fail") and UNWRITABLE in last.body.decode()

    async def is_calm(self) -> bool:
        return bool(self.switch.requests) and not self.switch.requests[-1].path.endswith("/fail")

    async def is_shown(self) -> bool:
        return bool(self.states) and UNWRITABLE in self.states[-1]

    async def is_not_shown(self) -> bool:
        return bool(self.states) and UNWRITABLE not in self.states[-1]

    async def is_told(self) -> bool:
        code, text = await self.ask_status()
        return code == 1 and UNWRITABLE in text

    async def is_not_told(self) -> bool:
        _, text = await self.ask_status()
        return UNWRITABLE not in text

    async def ask_status(self) -> tuple[int, str]:
        """``alertd status``: its exit status, and what it says, on one line."""
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "alertd", "status",
            "--config", str(self.arena.config), "--database", self.arena.database,
            cwd=ROOT, env=self.arena.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asked.communicate()
        return asked.returncode or 0, " ".join(said.decode().split())

    async def _get(self, path: str) -> tuple[int, str]:
        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

        return await asyncio.to_thread(get)


async def disk_full_seen(arena: Arena, size: Size) -> None:
    """The disk of the ledger full for as long as it takes until everybody knows, and free again."""
    disk = await mount_small_disk(arena)
    arena.database = f"sqlite:///{disk}/ledger.sqlite3"
    monitors, node = await _set_up(arena, size)
    hears = asyncio.create_task(monitors.listen())
    arena.cleanups.callback(hears.cancel)
    await node.ready()
    ballast = disk / "ballast"
    for number in range(size.rounds):
        await _all(arena, "before", CLEARED_WITHIN_S, monitors.is_ready, monitors.is_calm)
        fault = Fault(kind=Kind.LEDGER, begins=now_s(), ends=float("inf"))
        arena.faults.append(fault)
        fill(ballast)
        arena.count("times full")
        await _all(
            arena, "that the disk is full", SEEN_WITHIN_S,
            monitors.is_unready, monitors.is_counted, monitors.is_alarmed, monitors.is_shown,
            monitors.is_told,
        )  # fmt: skip
        if number % 2:
            await arena.kill(node)
            code, said = await monitors.ask_status()
            arena.demand(code == 1 and "full" in said, f"status after a kill on a full disk: {code} {said}")
        ballast.unlink()
        fault.ends = now_s()
        await node.ready(RECOVERS_S)
        await _all(
            arena, "that there is space again", CLEARED_WITHIN_S,
            monitors.is_ready, monitors.is_calm, monitors.is_not_shown, monitors.is_not_told,
        )  # fmt: skip
    await arena.finish()


async def _set_up(arena: Arena, size: Size) -> tuple[Monitors, Node]:
    switch = await arena.cleanups.enter_async_context(HttpSink())
    manager = arena.cleanups.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(str(arena.folder / "notify"))
    manager.setblocking(False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    arena.configure()
    with (arena.config / "alertd.yaml").open("a", encoding="utf-8") as file:
        file.write(f"heartbeat_url: {switch.url}/alive\n")
    arena.promise(size.milestones, span_s=size.rounds * 90.0)
    node = arena.node("a", ALERTD_LISTEN=f"127.0.0.1:{port}", NOTIFY_SOCKET=str(arena.folder / "notify"))
    return Monitors(arena=arena, port=port, switch=switch, manager=manager), node


async def _all(arena: Arena, what: str, within_s: float, *seen: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until each has seen it. Who has not in time is a failure."""
    began = time.monotonic()
    waiting = list(seen)
    while waiting and time.monotonic() - began < within_s:
        waiting = [look for look in waiting if not await look()]
        await arena.passes(ASKED_EVERY_S)
    took_s = round(time.monotonic() - began)
    names = ", ".join(look.__name__ for look in waiting)
    arena.demand(not waiting, f"{what}: not within {within_s:g} s: {names}")
    if what != "before":
        arena.counted[f"seconds until all know {what}"] = max(
            took_s, arena.counted.get(f"seconds until all know {what}", 0)
        )
