"""A daemon that trusts the ledger: it is ready without reading a file, and heals what was lost unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alertd.definitions.folder import DefinitionFolder
from alertd.engine.daemon import Daemon
from alertd.engine.timer import Chore
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.files import CONFIG, timeline
from tests.engine.test_daemon import Stage
from tests.scene import StepClock, when


def _start(stage: Stage, path: Path) -> tuple[Daemon, DefinitionFolder]:
    folder = DefinitionFolder(path, {}, hash_zones=lambda: "zones")
    stage.world = replace(
        stage.world, load=folder.load, know=folder.know, read_timeline=folder.read, load_with=folder.load
    )
    return stage.daemon(), folder


def _write(path: Path) -> None:
    (path / "milestones").mkdir()
    (path / "alertd.yaml").write_text(CONFIG)
    for name in "ab":
        (path / f"milestones/{name}.yaml").write_text(timeline(name, x="2026-09-02", y="2026-10-31"))


async def test_start_with_unchanged_files_reads_none(tmp_path: Path) -> None:
    """The second daemon on a ledger parses nothing, and knows the titles and counts of its timelines."""
    _write(tmp_path)
    ledger, clock = MemoryLedger(), StepClock(when("2026-09-01"))
    first, read = _start(Stage(ledger, clock), tmp_path)
    await first.start()

    second, trusting = _start(Stage(ledger, clock), tmp_path)
    await second.start()

    assert (read.parsed, trusting.parsed) == (2, 0)
    definitions = second.definitions
    assert definitions is not None
    assert [(one.title, one.count) for one in definitions.timelines] == [("Timeline a", 2), ("Timeline b", 2)]


async def test_lost_reminder_is_found_and_written_again(tmp_path: Path) -> None:
    """The audit misses a reminder of a trusted timeline. So the timeline is trusted no more."""
    _write(tmp_path)
    ledger, clock = MemoryLedger(), StepClock(when("2026-09-01"))
    daemon, _ = _start(Stage(ledger, clock), tmp_path)
    await daemon.start()
    whole = dict(ledger._owed)
    for key, owed in whole.items():
        if owed.milestone == "b/x":
            del ledger._owed[key]

    await daemon._chores.audit()
    trusted = [one.timeline for one in await ledger.read_fingerprints()]
    await daemon._chores._plan({Chore.RECONCILE})

    assert trusted == ["a"]
    assert ledger._owed.keys() == whole.keys()
    assert [one.timeline for one in await ledger.read_fingerprints()] == ["a", "b"]
