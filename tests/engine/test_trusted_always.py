"""Random edits, restarts, actions and configurations: trusting ends where reading everything ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alertd.core.milestones.status import ActionKind
from alertd.core.planning.trust import Trust
from alertd.definitions.folder import DefinitionFolder
from alertd.errors import AlertdError
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.files import CONFIG, Site, timeline

NAMES = "abcd"
BEGIN = {
    "a": {"x": "2026-10-31", "y": "2026-11-10"},
    "b": {"x": "a/x + 10d"},
    "c": {"x": "b/x + 5d", "y": "a/y + 1d"},
    "d": {"x": "2026-10-20"},
}
CONFIGS = (
    CONFIG,
    CONFIG + "# a comment\n",
    "timezone: Asia/Baghdad\n",
    CONFIG + "policies: {default: {before: [2d], after: [3d]}}\n",
    CONFIG + "route: {receiver: console, group_by: [milestone]}\n",
    "broken",
)

_names = st.sampled_from(NAMES)
_milestones = st.sampled_from("xy")
_days = st.dates(date(2026, 9, 20), date(2026, 12, 20)).map(date.isoformat)
_counted = st.builds("{}/{} + {}d".format, _names, _milestones, st.integers(1, 9))


@st.composite
def _write(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """Write a file. Most deadlines that count from others count from an earlier file, so that it is sound."""
    name = draw(_names)
    earlier = st.builds("{}/x + {}d".format, st.sampled_from(NAMES[: NAMES.index(name)] or "a"), st.just(3))
    deadlines = st.one_of(_days, earlier if name != "a" else _days, earlier, _counted)
    return "write", name, {"x": draw(deadlines), **draw(st.dictionaries(_milestones, _days, max_size=2))}


_edits = st.one_of(
    _write(),
    st.tuples(st.just("write"), _names, st.builds(lambda day: {"x": day, "y": "2026-10-01"}, _days)),
    st.tuples(st.just("done"), _names, st.just("x")),
    st.tuples(st.just("reopen"), _names, st.just("x")),
    st.tuples(st.just("break"), _names, st.none()),
    st.tuples(st.just("undo"), _names, st.none()),
    st.tuples(st.just("remove"), _names, st.none()),
    st.tuples(st.just("rename"), _names, _names),
    st.tuples(st.just("config"), st.sampled_from(CONFIGS), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 40), st.none()),
)
_steps = st.lists(
    st.tuples(st.lists(_edits, max_size=2), st.sampled_from(("reload", "restart", "follow"))),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=80)
@example([([("remove", "a", None)], "reload"), ([], "restart")])  # b and c counted from a, and were trusted
@given(_steps)
def test_trusting_ends_where_reading_everything_ends(steps: Sequence[tuple[Sequence[Any], str]]) -> None:
    """After each step both ledgers have the same records, reminders and history."""
    asyncio.run(_play(steps))


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(_edits, min_size=1, max_size=3), min_size=1, max_size=6))
def test_loading_what_has_changed_finds_what_loading_everything_finds(edits: Sequence[Sequence[Any]]) -> None:
    """The same timelines and the same problems, with their places and their advice."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), MemoryLedger(), max_loaded=1)
        for name, deadlines in BEGIN.items():
            site.write(name, timeline(name, **deadlines))
        site.folder.load()
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
        trusting = Site(Path(one), MemoryLedger(), max_loaded=1)
        reading = Site(Path(two), MemoryLedger())
        for site, trust in ((trusting, Trust.RECENT), (reading, Trust.NOTHING)):
            for name, deadlines in BEGIN.items():
                site.write(name, timeline(name, **deadlines))
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
        case _:  # the file is missing, so nothing changes
            return


def _list_rows(site: Site) -> tuple[object, ...]:
    ledger = site.ledger
    assert isinstance(ledger, MemoryLedger)
    return ledger._records, ledger._owed, sorted(map(repr, ledger._history.values()))
