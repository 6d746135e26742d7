"""Random edits, restarts, actions and configurations: trusting ends where reading everything ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.milestones.status import ActionKind
from alertd.core.planning.trust import Trust
from alertd.definitions.folder import DefinitionFolder
from alertd.errors import AlertdError
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.files import CONFIG, Site, timeline

NAMES = "abcd"
CONFIGS = (
    CONFIG,
    CONFIG + "# a comment\n",
    "timezone: Asia/Baghdad\n",
    CONFIG + "policies: {default: {before: [2d], after: [3d]}}\n",
    CONFIG + "route: {receiver: console, group_by: [milestone]}\n",
    "broken",
)

_names = st.sampled_from(NAMES)
_days = st.dates(date(2026, 9, 20), date(2026, 12, 20)).map(date.isoformat)
_deadlines = st.one_of(
    _days, st.builds("{}/{} + {}d".format, _names, st.sampled_from("xyz"), st.integers(1, 9))
)
_contents = st.dictionaries(st.sampled_from("xyz"), _deadlines, min_size=1, max_size=3)
_edits = st.one_of(
    st.tuples(st.just("write"), _names, _contents),
    st.tuples(st.just("write"), _names, _contents),
    st.tuples(st.just("write"), _names, _contents),
    st.tuples(st.just("remove"), _names, st.none()),
    st.tuples(st.just("break"), _names, st.none()),
    st.tuples(st.just("undo"), _names, st.none()),
    st.tuples(st.just("rename"), _names, _names),
    st.tuples(st.just("config"), st.sampled_from(CONFIGS), st.none()),
    st.tuples(st.just("done"), _names, st.sampled_from("xyz")),
    st.tuples(st.just("reopen"), _names, st.sampled_from("xyz")),
    st.tuples(st.just("wait"), st.integers(1, 40), st.none()),
)
_steps = st.lists(
    st.tuples(st.lists(_edits, max_size=4), st.sampled_from(("reload", "restart", "follow"))),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(_steps)
def test_trusting_ends_where_reading_everything_ends(steps: Sequence[tuple[Sequence[Any], str]]) -> None:
    """After each step both ledgers have the same records, reminders and history."""
    asyncio.run(_play(steps))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(_edits, min_size=1, max_size=3), min_size=1, max_size=6))
def test_loading_what_has_changed_finds_what_loading_everything_finds(edits: Sequence[Sequence[Any]]) -> None:
    """The same timelines and the same problems, with their places and their advice."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), MemoryLedger())
        for several in edits:
            for edit in several:
                _edit(site, edit)

            changed, whole = site.folder.load(), DefinitionFolder(Path(folder), {}).load()

            assert changed.problems == whole.problems
            assert changed.broken == whole.broken
            assert changed.identified == whole.identified
            assert changed.fingerprint == whole.fingerprint
            assert [(one.id, one.file, one.content, one.count, one.bases) for one in changed.timelines] == [
                (one.id, one.file, one.content, one.count, one.bases) for one in whole.timelines
            ]


async def _play(steps: Sequence[tuple[Sequence[Any], str]]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        trusting = Site(Path(one), MemoryLedger())
        reading = Site(Path(two), MemoryLedger())
        for site, trust in ((trusting, Trust.RECENT), (reading, Trust.NOTHING)):
            for name in NAMES:
                site.write(name, timeline(name, x="2026-10-31"))
            await site.reload(trust=trust)
        for edits, how in steps:
            for site, trust in ((trusting, Trust.RECENT), (reading, Trust.NOTHING)):
                for edit in edits:
                    await _act(site, edit)
                if how == "follow":
                    await site.follow()
                if _loads(site):
                    await (site.restart if how == "restart" else site.reload)(trust=trust)
            assert _list_rows(trusting) == _list_rows(reading)


def _loads(site: Site) -> bool:
    return "broken" not in (site.path / "alertd.yaml").read_text()


async def _act(site: Site, edit: tuple[str, Any, Any]) -> None:
    kind, name, more = edit
    match kind:
        case "done" | "reopen":
            what = {"done_on": date(2026, 9, 1)} if kind == "done" else {}
            try:
                await site.say(ActionKind(kind), f"{name}/{more}", **what)
            except AlertdError:  # there is no such milestone, or it is as it is already
                return
        case "wait":
            site.now += timedelta(hours=name)
        case _:
            _edit(site, edit)


def _edit(site: Site, edit: tuple[str, Any, Any]) -> None:
    """Change files. What was written before can be put back."""
    kind, name, more = edit
    path = site.path / f"milestones/{name}.yaml"
    kept = site.path / f"{name}.kept"
    match kind:
        case "write":
            site.write(name, timeline(name, **more))
        case "remove":
            path.unlink(missing_ok=True)
        case "break" if path.exists():
            kept.write_bytes(path.read_bytes())
            path.write_text("broken")
        case "undo" if kept.exists():
            path.write_bytes(kept.read_bytes())
        case "rename" if path.exists():
            path.rename(site.path / f"milestones/{more}.yaml")
        case "config":
            site.write("alertd.yaml", name)


def _list_rows(site: Site) -> tuple[object, ...]:
    ledger = site.ledger
    assert isinstance(ledger, MemoryLedger)
    return ledger._records, ledger._owed, sorted(map(repr, ledger._history.values()))
