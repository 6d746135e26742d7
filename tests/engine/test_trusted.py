"""What did not change is left alone, and what may differ is never trusted.

Each test of the second kind would fail if the fingerprint were trusted there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.milestones.status import ActionKind
from alertd.core.planning.trust import TRUSTED_FOR, Trust
from alertd.errors import LeadLost, LedgerUnavailable
from alertd.ports import Changes
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.files import CONFIG, Site, timeline

DAY = timedelta(days=1)


class CrashingLedger(MemoryLedger):
    """A ledger that can be used for a number of further changes.

    Attributes:
        left: how many changes it takes; None: any number.
        asked: the milestones whose records were read, call by call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.asked: list[list[str]] = []

    async def read_milestones(
        self, milestones: Sequence[str]
    ) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        self.asked.append([*milestones])
        return await super().read_milestones(milestones)

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        if self.left is not None:
            if not self.left:
                raise LedgerUnavailable("the process ends here")
            self.left -= 1
        await super().apply(changes, term=term)


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """Three files, of which b counts from a and c from b. Everything is in line."""
    made = Site(tmp_path / "config", CrashingLedger())
    made.write("a", timeline("a", x="2026-10-31", y="2026-11-30"))
    made.write("b", timeline("b", x="a/x + 10d", z="2026-12-15"))
    made.write("c", timeline("c", x="b/x + 5d"))
    made.write("d", timeline("d", x="2026-10-20"))
    await made.reload()
    return made


async def test_unchanged_restart_reads_nothing(site: Site) -> None:
    """A new process trusts what the ledger knows: it parses no file and reads no milestone."""
    report = await site.restart()

    assert (site.folder.parsed, site.read, report.read) == (0, [], 0)
    assert not report.changed
    assert [(one.id, one.title, one.count) for one in site.definitions.timelines] == [
        ("a", "Timeline a", 2), ("b", "Timeline b", 2), ("c", "Timeline c", 1), ("d", "Timeline d", 1),
    ]  # fmt: skip


async def test_reload_reads_the_file_that_has_changed(site: Site) -> None:
    """One of four files has changed, and nothing counts from it."""
    site.write("d", timeline("d", x="2026-10-21"))
    before = site.folder.parsed

    await site.reload()

    assert (site.folder.parsed - before, site.read) == (1, ["d"])
    assert (await site.list_deadlines())["d/x"] == "2026-10-21"


async def test_file_that_changes_while_the_daemon_is_off_is_reconciled(site: Site) -> None:
    """A restart reads the file that has changed, and no other."""
    site.write("d", timeline("d", x="2026-10-21"))

    await site.restart()

    assert (site.folder.parsed, site.read) == (1, ["d"])
    assert (await site.list_deadlines())["d/x"] == "2026-10-21"


async def test_change_of_a_base_reaches_what_counts_from_it_in_other_files(site: Site) -> None:
    """Also through a chain, and after a restart."""
    site.write("a", timeline("a", x="2026-11-10", y="2026-11-30"))

    await site.restart()

    assert site.read == ["a", "b", "c"]
    deadlines = await site.list_deadlines()
    assert (deadlines["b/x"], deadlines["c/x"]) == ("2026-11-20", "2026-11-25")


async def test_change_of_a_dependent_reads_no_base(site: Site) -> None:
    """It counts from what the ledger has. Loading parses the bases, for the checks between files."""
    site.write("c", timeline("c", x="b/x + 6d"))

    await site.restart()

    assert (site.folder.parsed, site.read) == (3, ["c"])
    assert (await site.list_deadlines())["c/x"] == "2026-11-16"


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5])
async def test_crash_between_a_base_and_its_dependents(site: Site, kept: int) -> None:
    """Wherever a pass ends half done, the next process ends it."""
    site.write("a", timeline("a", x="2026-11-10", y="2026-11-30"))
    ledger = site.ledger
    assert isinstance(ledger, CrashingLedger)
    ledger.left = kept
    if kept < 4:
        with pytest.raises(LedgerUnavailable):
            await site.reload()
    else:
        await site.reload()
    ledger.left = None

    await site.restart()

    deadlines = await site.list_deadlines()
    assert (deadlines["b/x"], deadlines["c/x"]) == ("2026-11-20", "2026-11-25")


async def test_file_that_is_half_written_down_and_then_put_back(site: Site) -> None:
    """The old content has its fingerprint no more, since some of the new content is in the ledger."""
    old = timeline("d", **{f"m{number}": "2026-10-20" for number in range(250)})
    site.write("d", old)
    await site.reload()
    site.write("d", old.replace("2026-10-20", "2026-10-21"))
    ledger = site.ledger
    assert isinstance(ledger, CrashingLedger)
    ledger.left = 2
    with pytest.raises(LedgerUnavailable):
        await site.reload()
    ledger.left = None
    half = {text for name, text in (await site.list_deadlines()).items() if name.startswith("d/")}

    site.write("d", old)
    await site.restart()

    assert half == {"2026-10-20", "2026-10-21"}
    deadlines = await site.list_deadlines()
    assert {text for name, text in deadlines.items() if name.startswith("d/")} == {"2026-10-20"}


async def test_dependent_that_was_broken_when_its_base_moved(site: Site) -> None:
    """Its file is as it was again, and so is its fingerprint. But it counts from another date."""
    site.write("c", "broken")
    await site.reload()
    site.write("a", timeline("a", x="2026-11-10", y="2026-11-30"))
    await site.reload()
    site.write("c", timeline("c", x="b/x + 5d"))

    await site.restart()

    assert (await site.list_deadlines())["c/x"] == "2026-11-25"


@pytest.mark.parametrize("was_running", [True, False])
@pytest.mark.parametrize("trust", Trust)
async def test_file_whose_base_is_gone_stays_broken(site: Site, trust: Trust, *, was_running: bool) -> None:
    """A restart finds the problem although the file itself is as it was. Its last good version stays."""
    before = await site.list_deadlines()
    site.remove("a")
    if was_running:
        await site.reload()
    else:  # what the audit has distrusted has no fingerprint
        await site.ledger.apply(Changes(no_fingerprints=("a",)))
    await site.restart()
    await site.restart(trust=trust)

    assert site.definitions.broken == {"milestones/b.yaml", "milestones/c.yaml"}
    expected = {name: text for name, text in before.items() if not name.startswith("a/")}
    assert await site.list_deadlines() == expected
    assert {kept.timeline for kept in await site.ledger.read_fingerprints()} == {"d"}


async def test_done_date_of_a_base_that_changed_while_nobody_ran(site: Site) -> None:
    """What counts from it is resolved again at the next start, directly and through a chain."""
    await site.say(ActionKind.DONE, "a/x", done_on=date(2026, 9, 1))

    await site.restart()

    assert site.read == ["b", "c"]
    deadlines = await site.list_deadlines()
    assert (deadlines["b/x"], deadlines["c/x"]) == ("2026-09-11", "2026-09-16")


async def test_done_date_that_a_running_daemon_follows_is_known_afterwards(site: Site) -> None:
    """Only what counts from it is read, and a restart has nothing left to do."""
    await site.say(ActionKind.DONE, "a/x", done_on=date(2026, 9, 1))

    await site.follow()
    followed = site.read
    await site.restart()

    assert (followed, site.read) == (["b", "c"], [])
    assert (await site.list_deadlines())["c/x"] == "2026-09-16"


async def test_done_date_is_not_taken_for_followed_with_another(site: Site) -> None:
    """A date that changed while another node led is still to be followed."""
    site.write("d", timeline("d", x="a/x + 1d", y="a/y + 1d"))
    await site.reload()
    await site.say(ActionKind.DONE, "a/y", done_on=date(2026, 9, 1))
    site.done = await site.ledger.read_done_dates()
    await site.say(ActionKind.DONE, "a/x", done_on=date(2026, 9, 2))

    await site.follow()
    await site.restart()

    deadlines = await site.list_deadlines()
    assert (deadlines["d/x"], deadlines["d/y"]) == ("2026-09-03", "2026-09-02")


@pytest.mark.parametrize(
    "config",
    [
        "timezone: Asia/Baghdad\n",
        CONFIG + "catch_up: 10d\n",
        CONFIG + "policies: {default: {before: [2d], after: []}}\n",
        CONFIG + "route: {receiver: console, group_by: [milestone]}\n",
    ],
    ids=("zone", "catch-up", "policy", "route"),
)
async def test_configuration_that_plans_are_made_of(site: Site, config: str) -> None:
    """Everything is read again."""
    site.write("alertd.yaml", config)

    await site.restart()

    assert not site.definitions.problems
    assert site.read == ["a", "b", "c", "d"]


async def test_comment_in_the_configuration_costs_nothing(site: Site) -> None:
    """Only what plans are made of counts, not the bytes of ``alertd.yaml``."""
    site.write("alertd.yaml", CONFIG + "# a comment\nretry_for: 10h\n")

    await site.restart()

    assert site.read == []


async def test_other_rules_of_time_zones(site: Site) -> None:
    """Another time zone database is another environment."""
    site.zones = "other zones"

    await site.restart()

    assert site.read == ["a", "b", "c", "d"]


async def test_other_version_of_alertd(site: Site) -> None:
    """Another version may plan otherwise."""
    site.version = "2"

    await site.restart()

    assert site.read == ["a", "b", "c", "d"]


async def test_ledger_from_a_backup_brings_its_own_fingerprints(site: Site) -> None:
    """A backup knows what it is in line with, whatever a process that runs has reconciled since."""
    ledger = site.ledger
    assert isinstance(ledger, MemoryLedger)
    backup = replace_content(MemoryLedger(), ledger)
    site.write("d", timeline("d", x="2026-10-21"))
    await site.reload()

    site.ledger = backup
    await site.reconcile()

    assert site.read == ["d"]
    assert (await site.list_deadlines())["d/x"] == "2026-10-21"


async def test_empty_ledger_is_filled(site: Site) -> None:
    """A process that runs trusts the ledger, never its memory."""
    site.ledger = MemoryLedger()

    await site.reconcile()

    assert site.read == ["a", "b", "c", "d"]
    assert len(await site.list_deadlines()) == 6


async def test_timeline_that_is_withdrawn_and_returns(site: Site) -> None:
    """A file that comes back as it was has no fingerprint any more."""
    site.remove("d")
    await site.reload()
    gone = "d/x" in await site.list_deadlines()

    site.write("d", timeline("d", x="2026-10-20"))
    await site.restart()

    assert not gone
    assert "d/x" in await site.list_deadlines()


async def test_renamed_file_is_reconciled(site: Site) -> None:
    """The ledger knows by which file each milestone is defined."""
    site.remove("d")
    site.write("e", timeline("d", x="2026-10-20"))

    await site.restart()

    record = await site.ledger.read_record("d/x")
    assert record is not None
    assert record.file == "milestones/e.yaml"


async def test_node_with_other_files_takes_over_and_back(site: Site, tmp_path: Path) -> None:
    """Each leader brings the ledger into line with its own files, and trusts what fits them."""
    other = Site(tmp_path / "other", site.ledger)
    for name in "abc":
        other.write(name, (site.path / f"milestones/{name}.yaml").read_text())
    other.write("d", timeline("d", x="2026-10-21"))

    await other.restart()
    theirs = (await site.list_deadlines())["d/x"]
    await site.reconcile(reconsider=True)

    assert (other.read, theirs) == (["d"], "2026-10-21")
    assert (site.read, (await site.list_deadlines())["d/x"]) == (["d"], "2026-10-20")


async def test_node_that_has_lost_the_lead_leaves_no_fingerprint(site: Site) -> None:
    """Its changes are refused, and so is the fingerprint that says that they were made."""

    async def term() -> int:
        return 7

    site.write("d", timeline("d", x="2026-10-21"))
    with pytest.raises(LeadLost):
        await site.reload(term=term)

    await site.restart()

    assert (await site.list_deadlines())["d/x"] == "2026-10-21"


async def test_receiver_that_only_another_node_knew(site: Site) -> None:
    """Its reminders were left alone while that node ran. When the node is gone, they are looked at again."""
    site.elsewhere = frozenset({"leads"})
    site.write("d", timeline("d", x="2026-10-21"))
    await site.reload()

    site.elsewhere = frozenset()
    await site.restart()

    assert site.read == ["d"]


async def test_clock_in_doubt_proves_nothing(site: Site) -> None:
    """What was reconciled while the clock may be wrong is reconciled again when it is right."""
    site.write("d", timeline("d", x="2026-10-21"))
    await site.restart(in_doubt=True)
    await site.restart()

    assert site.read == ["d"]


async def test_clock_in_doubt_makes_no_start_slow(site: Site) -> None:
    """While the time is unknown, the age of a fingerprint is too, and nothing better is known."""
    site.now -= 365 * DAY

    await site.restart(in_doubt=True)

    assert site.read == []


@pytest.mark.parametrize("by", [-2 * DAY, TRUSTED_FOR + DAY], ids=("back", "far on"))
async def test_other_time_than_the_one_that_was_planned_by(site: Site, by: timedelta) -> None:
    """A clock that was ahead, or a month without alertd: everything is planned again."""
    site.now += by

    await site.restart()

    assert site.read == ["a", "b", "c", "d"]


async def test_each_timeline_is_planned_again_once_a_day(site: Site) -> None:
    """The periodic pass moves the horizon on, and heals rows that were lost."""
    site.now += DAY / 4
    await site.reconcile(trust=Trust.RECENT)
    early = site.read
    site.now += DAY
    await site.reconcile(trust=Trust.RECENT)
    late = site.read
    await site.reconcile(trust=Trust.RECENT)

    assert (early, late, site.read) == ([], ["a", "b", "c", "d"], [])


async def test_confirmed_clock_trusts_nothing(site: Site) -> None:
    """After a step of the clock all is planned again."""
    await site.reconcile(trust=Trust.NOTHING, reconsider=True)

    assert site.read == ["a", "b", "c", "d"]


async def test_edit_of_one_milestone_reads_the_records_of_that_one(site: Site) -> None:
    """The others are as the ledger has them, which their packed texts show."""
    many = {f"m{number}": "2026-10-20" for number in range(50)}
    site.write("d", timeline("d", **many))
    await site.reload()
    ledger = site.ledger
    assert isinstance(ledger, CrashingLedger)
    ledger.asked.clear()
    del many["m7"]
    site.write("d", timeline("d", **many | {"m3": "2026-10-21"}))
    report = await site.reload()

    assert ledger.asked == [["d/m3", "d/m7"]]
    assert (report.moved, report.withdrawn) == (["d/m3"], ["d/m7"])


async def test_deferred_reminders_of_trusted_timelines_are_decided_about_again(site: Site) -> None:
    """A restart looks again at what waits for a mute, although it reads no file."""
    ledger = site.ledger
    assert isinstance(ledger, MemoryLedger)
    (owed, *_) = [one for one in await ledger.read_owed("d/x") if one.state is ReminderState.PENDING]
    site.now = owed.at + timedelta(hours=1)
    await ledger.apply(Changes(owed=(replace(owed, wake_at=site.now + 9 * DAY),)))

    await site.restart(reconsider=True)

    (again,) = await ledger.read_reminders([owed.key])
    assert (site.read, again.wake_at) == ([], site.now)


async def test_file_that_changes_during_the_pass_is_left_for_the_next(site: Site) -> None:
    """What is read is what was loaded and checked, or nothing."""
    site.write("a", timeline("a", x="2026-11-10"))
    site.write("d", timeline("d", x="2026-10-21"))
    site.definitions = site.folder.load()
    site.folder.read(site.definitions.timelines[3])
    site.write("d", timeline("d", x="2026-10-22"))

    report = await site.reconcile()

    assert report.unread == ["d"]
    assert (await site.list_deadlines())["d/x"] == "2026-10-20"
    await site.reload()
    assert (await site.list_deadlines())["d/x"] == "2026-10-22"


def replace_content(ledger: MemoryLedger, other: MemoryLedger) -> MemoryLedger:
    """Give a ledger a copy of what another one has."""
    for name, value in vars(other).items():
        setattr(ledger, name, dict(value) if isinstance(value, dict) else value)
    return ledger
