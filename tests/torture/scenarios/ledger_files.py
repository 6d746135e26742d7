"""The ledger's file under a daemon: used by a newer version, deleted, moved, replaced, damaged."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.torture.arena import HOLDS_S, LONG_LEASE_S, Arena, Size
from tests.torture.faults import Fault, Kind
from tests.torture.leash import PARENT
from tests.torture.newer import REVISION
from tests.torture.nodes import ROOT, Node
from tests.torture.receipts import now_s

ANSWERS_WITHIN_S = 6.0
COMES_S = 30.0
NOTICED_S = 40.0
"""The file is compared every five seconds, on a machine under load."""

FOUND_S = 100.0
"""The pages are checked once a minute."""

ROUND_S = 22.0
"""About how long it takes until a loss is noticed and the next process works."""

READERS = (("status",), ("history", "t0/m0"), ("done", "t0/m0"), ("retry", "msg_none"), ("prune",))


# -- a newer version


async def newer_version(arena: Arena, size: Size) -> None:
    """Commands of a newer version leave the ledger to the daemon; then the newer version takes it over."""
    path = _place(arena)
    later = str(arena.folder / "later")
    arena.configure()
    arena.promise(size.milestones, span_s=30.0)
    old = arena.node("a")
    await old.ready()
    await _some_come(arena)
    before, pid = _revision(path), old.pid
    for words in READERS:
        status, said = await _command(arena, *words, TORTURE_NEWER=later)
        arena.demand(status == 1 and f"is at revision {before}" in said, f"{words}: {status} {said}")
        arena.count("commands of a newer version")
    arena.demand(_revision(path) == before, "a command that is not `migrate` has migrated the ledger")
    arena.demand(old.pid == pid, f"a command has ended the daemon: {old.statuses} {old.garbage()[-3:]}")
    await _some_come(arena)

    fault = Fault(kind=Kind.UPGRADED, begins=now_s(), ends=float("inf"))
    arena.faults.append(fault)
    status, said = await _command(arena, "migrate", config=False, TORTURE_NEWER=later)
    arena.demand(status == 0, f"migrate: {status} {said}")
    await arena.bell.within(NOTICED_S, lambda: len(old.statuses) > 0, lambda: old.events()[-5:])
    arena.demand(set(old.statuses) == {78}, f"the older daemon ended with {old.statuses}")
    arena.demand(bool(old.events("ledger.upgraded")), "the older daemon did not say why it ended")
    await old.clear()
    arena.nodes.remove(old)
    new = arena.node("b", TORTURE_NEWER=later)
    await new.ready()
    fault.ends = now_s()
    copy = path.with_name(f"{path.name}.before-{REVISION}")
    arena.demand(copy.exists() and _revision(copy) == before, f"there is no copy from before: {said}")
    arena.demand(_revision(path) == REVISION, "the ledger is not migrated")
    await arena.finish()


# -- the file is taken away


async def deleted(arena: Arena, size: Size) -> None:
    """The file, its folder or its log deleted or moved: the daemon puts the ledger back and goes on."""
    path = _place(arena)
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * ROUND_S)
    node = arena.node("a")
    await node.ready()
    changes = [_delete, _delete_folder, _move, _move_folder, _delete_log, _delete_all]
    arena.rng.shuffle(changes)
    for number in range(size.rounds):
        change = changes[number % len(changes)]
        await _some_come(arena)
        rescued = await _taken_away(arena, node, partial(change, path))
        arena.demand(bool(rescued["in_place"]), f"{change.__name__}: the ledger is not back: {rescued}")
        await node.ready()
    await arena.finish()


async def replaced(arena: Arena, size: Size) -> None:
    """An older copy moved to the place of the ledger, or copied over it: it is used as it is.

    What a file that was replaced had is in a copy. Of a file that was overwritten, nobody can save all.
    """
    arena.loses_commits = True
    path = _place(arena)
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * ROUND_S)
    node = arena.node("a")
    await node.ready()
    for round_number in range(size.rounds):
        await _some_come(arena)
        backup = _copy(path)
        fault = Fault(kind=Kind.FAILOVER, begins=now_s(), ends=float("inf"))
        arena.faults.append(fault)
        await _some_come(arena)
        number, moves = os.stat(backup).st_ino, round_number % 2 == 0
        put: Callable[[Path, Path], object] = os.replace if moves else shutil.copyfile
        sent = _sent(backup)
        rescued = await _taken_away(arena, node, partial(put, backup, path))
        if moves:
            arena.demand(os.stat(path).st_ino == number, "the operator's file was replaced")
        arena.demand(sent == _sent(path), "the operator's file has another content")
        arena.demand(rescued["in_place"] is False, f"{rescued}")
        if moves:
            lacks = _sent(Path(str(rescued["copy"])))
            arena.demand(lacks >= sent, "the copy lacks what the ledger had")
        await node.ready()
        fault.ends = now_s()
    await arena.finish()


async def _taken_away(arena: Arena, node: Node, change: Callable[[], object]) -> dict[str, object]:
    """Take the file away and wait until the daemon has ended. Returns what it said at its end."""
    pid, before = node.pid, len(node.events("ledger.rescued"))
    began = now_s()
    change()
    arena.count("times taken away")
    await arena.bell.within(
        NOTICED_S, lambda: len(node.events("ledger.rescued")) > before, lambda: node.events()[-5:]
    )
    await node.ended(pid)
    arena.demand(now_s() - began < NOTICED_S, "it took too long to notice")
    arena.demand(node.statuses[-1] == 74, f"the daemon ended with {node.statuses[-1]}")
    arena.demand(bool(node.events("ledger.displaced")), "the daemon did not say what is wrong")
    return node.events("ledger.rescued")[-1]


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink()


def _delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def _move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name(f"moved-{now_s():.0f}"))


def _delete_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


# -- a damaged page


async def damaged(arena: Arena, size: Size) -> None:
    """The first page of the history overwritten: found, said, and no reminder fails."""
    path = _place(arena)
    arena.configure()
    arena.promise(size.milestones, span_s=60.0)
    node = arena.node("a")
    await node.ready()
    await _some_come(arena)
    # A reload that writes history writes the page too, from the daemon's cache, and so repairs it.
    arena.may_edit = False
    _overwrite(path, "history")
    arena.count("pages overwritten")
    await arena.bell.within(FOUND_S, lambda: bool(node.events("ledger.damaged")), lambda: node.events()[-5:])
    await arena.bell.within(FOUND_S, lambda: bool(node.events("audit.failed")), lambda: node.events()[-5:])
    said = str(node.events("audit.failed")[0]["finding"])
    arena.demand(said.startswith("damaged: pages of the table history"), said)
    arena.may_edit = True
    await arena.finish()
    arena.demand(len(node.pids) == 1, f"the daemon did not outlive it: {node.statuses}")


def _overwrite(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path, timeout=5)) as ledger:
        # What the log has is in the file then, so that no checkpoint repairs the page.
        ledger.execute("pragma wal_checkpoint(full)").fetchone()
        (size,) = ledger.execute("pragma page_size").fetchone()
        query = "select rootpage from sqlite_schema where name = ?"
        (page,) = ledger.execute(query, [table]).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


# -- what they share


def _place(arena: Arena) -> Path:
    """The ledger in a folder of its own. No process is killed, so leases may be long."""
    arena.lease_s, arena.hook_timeout_s = LONG_LEASE_S, ANSWERS_WITHIN_S
    folder = arena.folder / "ledger"
    folder.mkdir()
    arena.database = f"sqlite:///{folder}/ledger.sqlite3"
    return folder / "ledger.sqlite3"


async def _command(arena: Arena, *words: str, config: bool = True, **environment: str) -> tuple[int, str]:
    """Run a command of alertd. Returns its status and all that it says, on one line."""
    where = ("--config", str(arena.config)) if config else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.torture.node", *words, *where, "--database", arena.database,
        cwd=ROOT, env={**arena.environment, PARENT: str(os.getpid()), **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(COMES_S):
        out, _ = await process.communicate()
    return process.returncode or 0, " ".join(out.decode(errors="replace").split())


async def _some_come(arena: Arena) -> None:
    """Wait until some requests have come, then until a random moment."""
    arena.http.hold_s = HOLDS_S
    before = arena.receipts.count
    await arena.bell.happens(COMES_S, lambda: arena.receipts.count > before + 2)
    await arena.moment(1.0)


def _copy(path: Path) -> Path:
    target = path.with_name("backup")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
        ledger.execute("begin")
        ledger.execute("select count(*) from sqlite_schema").fetchone()
        with closing(sqlite3.connect(target)) as copy:
            ledger.backup(copy)
            copy.execute("pragma journal_mode = delete")
    return target


def _revision(path: Path) -> str:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
        return str(ledger.execute("select version_num from alembic_version").fetchone()[0])


def _sent(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
        return int(ledger.execute("select count(*) from delivery where state = 'sent'").fetchone()[0])
