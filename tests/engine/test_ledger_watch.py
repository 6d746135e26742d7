"""A daemon by hand whose ledger is deleted, moved, replaced or damaged: nothing is lost, and all is told."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from alertd.core.ledger.records import DeliveryState
from alertd.engine.daemon import Daemon
from alertd.engine.timer import Chore
from alertd.ports import Changes
from alertd.store import open_ledger
from tests.contract.samples import an_entry
from tests.contract.test_ledger_file import damage, delete, delete_folder, delete_log, move_folder
from tests.engine.test_daemon import Stage, turns
from tests.scene import StepClock, a_milestone, when

M = "t/m"
START = "2026-09-01T06:00"


@dataclass
class Running:
    """A daemon that has started on a ledger in a file."""

    stage: Stage
    daemon: Daemon
    path: Path

    async def look(self, times: int = 1) -> None:
        """One look of the loop in which the file is compared, as it is every five seconds."""
        for _ in range(times):
            self.daemon._timer.wanted |= {Chore.FILE, Chore.PAGES}
            await self.daemon._look()
            await self.daemon._pages.wait_checked()
            await self.daemon.idle()

    def facts(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.stage.events if one["event"] == event]

    def findings(self) -> list[str]:
        audit = self.daemon.status.audit
        return [str(finding) for finding in audit.findings] if audit else []


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Running]:
    ledger = await open_ledger(f"sqlite:///{path}")
    stage = Stage(ledger, StepClock(when(START)))
    stage.world = replace(stage.world, file=ledger.watch_file())
    stage.define(a_milestone(M, "2026-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    yield Running(stage, daemon, path)
    await ledger.close()


def put_empty_file(path: Path) -> None:
    """Replace the ledger by another file, as ``mv`` does."""
    path.with_name("new").touch()
    path.with_name("new").rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


async def read_sent(path: Path) -> list[str]:
    """The ids of what the ledger at ``path`` says was sent."""
    ledger = await open_ledger(f"sqlite:///{path}", create=False)
    try:
        return [one.id for one, _, _ in await ledger.find_deliveries(state=DeliveryState.SENT)]
    finally:
        await ledger.close()


@pytest.mark.parametrize("change", [delete, delete_folder, move_folder, delete_log])
async def test_daemon_saves_its_ledger_and_ends(path: Path, change: Callable[[Path], None]) -> None:
    """The second look decides: the operator hears of it, the daemon ends, and the ledger is back."""
    async with running(path) as run:
        change(path)
        await run.look()
        early = (run.daemon._stopping, run.facts("ledger.displaced"))
        await run.look(2)
        told = run.stage.lines("ops")
        findings = run.findings()
        await run.daemon._end()
        sent = sorted(one.message.id for one in run.stage.told)

        assert early == (False, [])
        assert run.daemon.displaced
        assert run.daemon._stopping
        assert len(run.facts("ledger.displaced")) == 1
        assert [one["in_place"] for one in run.facts("ledger.rescued")] == [True]
        assert findings[0].startswith(f"displaced: {path}")
        assert len(told) == 1
        assert sorted(await read_sent(path)) == sent


async def test_file_that_was_put_in_its_place_is_left_alone(path: Path) -> None:
    """Another file stays as it is, and the copy of the old ledger has all that was written."""
    async with running(path) as run:
        put_empty_file(path)
        await run.look(3)
        await run.daemon._end()
        (rescued,) = run.facts("ledger.rescued")

    assert rescued["in_place"] is False
    assert rescued["copy"].startswith(f"{path}.rescued-")
    assert os.stat(path).st_size == 0
    assert len(await read_sent(Path(rescued["copy"]))) == len(run.stage.told)


async def test_file_that_is_away_for_a_moment_ends_nothing(path: Path) -> None:
    """A file that is back at the next look is no loss."""
    async with running(path) as run:
        os.rename(path, f"{path}.old")
        await run.look()
        os.rename(f"{path}.old", path)
        await run.look(2)

        assert not run.daemon._stopping
        assert run.facts("ledger.displaced") == []
        await run.daemon._end()

    assert run.facts("ledger.rescued") == []


async def test_file_that_cannot_be_examined_is_reported(path: Path) -> None:
    """Nobody knows whether the file is there, so the daemon neither ends nor reports that all is well."""
    async with running(path) as run:
        move_folder(path)
        path.parent.symlink_to(path.parent)
        await run.look()
        early = run.findings()
        await run.look(2)
        (finding,) = run.findings()
        path.parent.unlink()
        path.parent.with_name("elsewhere").rename(path.parent)
        await run.look(2)

        assert early == []
        assert finding.startswith(f"displaced: {path} cannot be examined: Too many levels of symbolic links")
        assert run.findings() == []
        assert not run.daemon._stopping
        await run.daemon._end()


async def test_daemon_goes_on_while_its_ledger_cannot_be_saved(path: Path) -> None:
    """It holds the only copy, so it does not end. It saves the ledger as soon as that is possible."""
    async with running(path) as run:
        delete_folder(path)
        path.parent.write_text("a file in the place of the folder")
        await run.look(3)
        stopping, findings = run.daemon._stopping, run.findings()
        run.stage.clock.advance(when("2026-09-23T10:00"))  # type: ignore[attr-defined]
        await run.look()
        reminded = [line for line in run.stage.lines() if "7 days" in line or "-7d" in line]
        path.parent.unlink()
        await run.look()
        await run.daemon._end()

        assert not stopping
        assert findings[0].startswith(
            f"displaced: {path} was deleted while the daemon was using it; it cannot be"
        )
        assert reminded
        assert [one["in_place"] for one in run.facts("ledger.rescued")] == [True]
        assert sorted(await read_sent(path)) == sorted(one.message.id for one in run.stage.told)


async def test_ledger_that_was_deleted_just_before_the_stop_is_saved(path: Path) -> None:
    """A stop a moment after the file was deleted loses nothing either."""
    async with running(path) as run:
        delete(path)
        await run.daemon._end()

        assert run.daemon.displaced
        assert len(await read_sent(path)) == len(run.stage.told)


async def test_ledger_that_cannot_be_saved_at_the_stop_is_reported(path: Path) -> None:
    """A stop that loses the ledger says so at the highest level."""
    async with running(path) as run:
        delete_folder(path)
        path.parent.write_text("a file in the place of the folder")
        await run.daemon._end()
        (rescued,) = run.facts("ledger.rescued")

    assert (rescued["level"], rescued["copy"], rescued["in_place"]) == ("critical", "", False)
    assert "cannot be written" in rescued["reason"]


# -- pages


async def test_damaged_page_is_found_and_reported(path: Path) -> None:
    """A check finds the table. The audit reports it, and the reminders go on."""
    async with running(path) as run:
        await run.look()
        damage(path, "history")
        await run.look(2)
        findings, is_well = run.findings(), run.daemon.status.is_well
        run.stage.clock.advance(when("2026-09-23T10:00"))  # type: ignore[attr-defined]
        before = len(run.stage.lines())
        await run.look()

        assert [one["table"] for one in run.facts("ledger.damaged")] == ["history", ""]
        assert len(findings) == 1
        assert findings[0].startswith("damaged: pages of the table history are damaged: ")
        assert is_well
        assert len(run.stage.lines()) == before + 1
        await run.daemon._end()


async def test_damaged_page_stops_only_what_needs_it(path: Path) -> None:
    """While the page of the daemons' reports is damaged, reminders are sent; the audit reports it."""
    async with running(path) as run:
        await run.look()
        damage(path, "node")
        await write_elsewhere(path)
        run.stage.clock.advance(when("2026-09-23T10:00"))  # type: ignore[attr-defined]
        before = len(run.stage.lines())
        run.daemon._timer.wanted |= {Chore.REPORT, Chore.AUDIT}
        await run.daemon._look()
        await run.daemon.idle()

        assert len(run.stage.lines()) == before + 1
        assert run.facts("ledger.failed") == []
        assert [one["level"] for one in run.facts("ledger.damaged")] == ["critical"]
        assert run.findings()[0].startswith(f"damaged: {path}: database disk image is malformed; ")
        await run.daemon._end()


async def write_elsewhere(path: Path) -> None:
    """Commit on another connection, so that the daemon's connection forgets the pages in its cache."""
    ledger = await open_ledger(f"sqlite:///{path}")
    await ledger.apply(Changes(history=(an_entry(),)))
    await ledger.close()


@pytest.mark.parametrize(
    ("table", "sent"),
    [
        # A message is made of these.
        ("milestone", 0), ("owed", 0), ("delivery", 0), ("member", 0),
        ("history", 1), ("node", 1), ("lead", 1), ("next_digest", 1), ("remembered", 1),
    ],
)  # fmt: skip
async def test_daemon_starts_on_a_damaged_ledger_and_sends_what_it_can(
    path: Path, table: str, sent: int
) -> None:
    """What is owed goes out where the pages that it needs are sound, and the audit names the damage."""
    async with running(path) as run:
        await run.look()
        await run.daemon._end()
    damage(path, table)
    ledger = await open_ledger(f"sqlite:///{path}")
    stage = Stage(ledger, StepClock(when("2026-09-23T10:00")))
    stage.world = replace(stage.world, file=ledger.watch_file())
    stage.define(a_milestone(M, "2026-09-30"))
    daemon = stage.daemon()

    await daemon.start()
    again = Running(stage, daemon, path)
    await again.look(2)
    daemon._timer.wanted.add(Chore.AUDIT)
    await again.look()

    assert again.facts("ledger.damaged")
    assert [one for one in again.findings() if one.startswith("damaged: ")]
    assert daemon.definitions is not None
    assert len(stage.lines()) == sent
    await daemon._end()
    await ledger.close()
