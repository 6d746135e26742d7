"""The ledger taken away: PostgreSQL killed or failed over, the disk full, the file read-only."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from tests.torture.arena import HOLDS_S, Arena, Size
from tests.torture.faults import Fault, Kind
from tests.torture.nodes import Node
from tests.torture.postgres import Postgres
from tests.torture.receipts import now_s
from tests.torture.scenarios.kills import a_server

RECOVERS_S = 45.0
"""A ledger that was away is looked at again after 30 s at the latest."""

QUOTA = 4096


async def postgres_killed(arena: Arena, size: Size) -> None:
    """PostgreSQL killed (-9) under two nodes at random moments, and started again."""
    server = await a_server(arena)
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 6.0)
    for name in ("a", "b"):
        await arena.node(name).ready()
    for _ in range(size.rounds):
        await _some_come(arena)
        async with _away(arena, Kind.LEDGER):
            await server.kill()
            arena.count("kills of the server")
            await arena.passes(arena.rng.uniform(0.1, 2.0))
            await server.start()
    await arena.finish()


async def failover_async(arena: Arena, size: Size) -> None:
    """The primary killed, its streaming standby promoted; asynchronous, so that commits may be lost."""
    arena.loses_commits = True
    await _fail_over(arena, size, synchronous=False)


async def failover_sync(arena: Arena, size: Size) -> None:
    """The same with ``synchronous_standby_names``: a commit is on both before it counts."""
    await _fail_over(arena, size, synchronous=True)


async def _fail_over(arena: Arena, size: Size, *, synchronous: bool) -> None:
    primary, standby = (Postgres(arena.folder, name, arena.bell) for name in ("left", "right"))
    for server in (primary, standby):
        arena.cleanups.push_async_callback(server.stop)
    await primary.create()
    await primary.start()
    arena.database = (
        f"postgresql://tester@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
        "?target_session_attrs=read-write"
    )
    await _joined(primary, standby, 0, synchronous)
    await primary.migrate()
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 8.0)
    for name in ("a", "b"):
        await arena.node(name).ready()
    for number in range(size.rounds):
        await _some_come(arena)
        async with _away(arena, Kind.FAILOVER if arena.loses_commits else Kind.LEDGER):
            await primary.kill()
            arena.count("failovers")
            await arena.passes(arena.rng.uniform(0.0, 1.0))
            await standby.promote()
        primary, standby = standby, primary
        await _some_come(arena)
        standby.forget()
        await _joined(primary, standby, number + 1, synchronous)
    await arena.finish()


async def _joined(primary: Postgres, standby: Postgres, number: int, synchronous: bool) -> None:
    await standby.follow(primary, f"slot_{number}")
    # The names are set on the primary alone: a promoted standby would wait for one that it does not have.
    standby.sets("synchronous_standby_names", "")
    await standby.start()
    if synchronous:
        await primary.streams_to()
        await primary.set("synchronous_standby_names", "*")


async def disk_full(arena: Arena, size: Size) -> None:
    """The disk of the ledger full, again and again, with a kill in between; then there is space again."""
    disk = await mount_small_disk(arena)
    arena.database = f"sqlite:///{disk}/ledger.sqlite3"
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 7.0)
    node = arena.node("a")
    await node.ready()
    ballast = disk / "ballast"
    for number in range(size.rounds):
        await _some_come(arena)
        async with _away(arena, Kind.LEDGER):
            fill(ballast)
            arena.count("times full")
            await _noticed(arena, node)
            if number % 2:
                await arena.kill(node)
            await arena.passes(arena.rng.uniform(0.5, 3.0))
            ballast.unlink()
        await node.ready()
    await arena.finish()
    _outlived(arena, node)


async def disk_quota(arena: Arena, size: Size) -> None:
    """Writes of the node refused by a limit of the kernel (RLIMIT_FSIZE), and allowed again."""
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 7.0)
    node = arena.node("a")
    await node.ready()
    for _ in range(size.rounds):
        await _some_come(arena)
        async with _away(arena, Kind.LEDGER):
            soft, hard = resource.prlimit(node.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (QUOTA, hard))
            arena.count("times refused")
            await _noticed(arena, node)
            await arena.passes(arena.rng.uniform(0.5, 3.0))
            resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (soft, hard))
    await arena.finish()
    _outlived(arena, node)


async def read_only(arena: Arena, size: Size) -> None:
    """The ledger's files and folder read-only, the node killed: it will not start; then writable again."""
    folder = arena.folder / "ledger"
    folder.mkdir()
    arena.database = f"sqlite:///{folder}/ledger.sqlite3"
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 7.0)
    node = arena.node("a", TORTURE_MODES="obeyed")
    await node.ready()
    for _ in range(size.rounds):
        await _some_come(arena)
        async with _away(arena, Kind.LEDGER):
            for path in (*folder.iterdir(), folder):
                path.chmod(0o555 if path == folder else 0o444)
            before = len(node.statuses)
            await arena.kill(node)
            refused = await arena.bell.happens(20.0, partial(_refused, node, before))
            arena.demand(refused, f"it did not refuse to start: {node.statuses}")
            arena.count("refused starts", node.statuses[before + 1 :].count(1))
            for path in (folder, *folder.iterdir()):
                path.chmod(0o700 if path == folder else 0o600)
        await node.ready()
    await arena.finish()
    said = [line for line in node.garbage() if not line.startswith("alertd: ")]
    arena.demand(not said, f"more than one line on why it does not start: {said[:3]}")


def cannot_mount() -> str:
    """Why no small disk can be made; "" when one can."""
    if os.geteuid() != 0:
        return "mounting a small tmpfs needs root"
    place = Path(tempfile.mkdtemp(prefix="alertd-torture-"))
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode:
            return f"no tmpfs can be mounted here: {done.stderr.decode().strip().rpartition(': ')[2]}"
        _unmount(place)
    finally:
        place.rmdir()
    return ""


@asynccontextmanager
async def _away(arena: Arena, kind: Kind) -> AsyncIterator[None]:
    fault = Fault(kind=kind, begins=now_s(), ends=float("inf"))
    arena.faults.append(fault)
    try:
        yield
    finally:
        fault.ends = now_s()


async def _some_come(arena: Arena) -> None:
    """Wait until it works, as some requests show; then until a random moment."""
    arena.http.hold_s = HOLDS_S
    before = arena.receipts.count
    await arena.bell.happens(RECOVERS_S, lambda: arena.receipts.count > before + 4)
    await arena.moment(1.0)


async def _noticed(arena: Arena, node: Node) -> None:
    before = len(node.events("ledger.failed"))
    noticed = await arena.bell.happens(6.0, lambda: len(node.events("ledger.failed")) > before)
    arena.count("noticed", int(noticed))


def _outlived(arena: Arena, node: Node) -> None:
    """It has gone on for as long as nobody killed it, and it has said what was wrong."""
    arena.demand(bool(arena.counted.get("noticed")), "no write ever failed: nothing was put to the test")
    # What was killed may refuse to start meanwhile; what runs goes on.
    died = node.events("daemon.stopped")
    arena.demand(not died, f"it did not outlive it: {died} {node.garbage()[-3:]}")


def _refused(node: Node, before: int) -> bool:
    return node.statuses[before + 1 :].count(1) >= 2


async def mount_small_disk(arena: Arena) -> Path:
    """A folder on a disk of its own, which is unmounted at the end."""
    disk = arena.folder / "disk"
    disk.mkdir()
    await _run("mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", str(disk))
    arena.cleanups.callback(_unmount, disk)
    return disk


def fill(ballast: Path) -> None:
    """Write until there is no space left."""
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        for piece in (1 << 20, 4096):
            with suppress(OSError):
                for _ in range(1 << 12):
                    os.write(descriptor, b"\0" * piece)
    finally:
        os.close(descriptor)


async def _run(*command: str) -> None:
    done = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await done.communicate()
    if done.returncode:
        raise AssertionError(f"{command}: {said.decode()}")


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=False)
