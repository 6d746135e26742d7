"""Decisions are parted so that each part can be written alone."""

from datetime import UTC, datetime

from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.planning.decide import Decisions, Verdict
from alertd.core.planning.parts import part_decisions
from alertd.core.routing.digest import DigestIssue, NextDigest
from tests.contract.samples import a_delivery, a_record, an_owed, bound

AT = datetime(2026, 9, 7, 8, tzinfo=UTC)
NEXT = NextDigest(key="k", receiver="desk", name="weekly", at=AT, since=AT)
ISSUE = DigestIssue(
    name="weekly", zone="UTC", at=AT, since=AT, until=AT, overview=("t/shown",), more=0, even_if_empty=False
)


def due(*keys: str) -> list[tuple[ScheduledReminder, Record]]:
    """Reminders whose keys are ``milestone`` or ``milestone:number``."""
    names = {key: f"t/{key.partition(':')[0]}" for key in keys}
    return [(an_owed(key, milestone=name), a_record(name)) for key, name in names.items()]


def keys_of(parts: list[Decisions]) -> list[list[str]]:
    return [sorted(verdict.key for verdict in part.verdicts) for part in parts]


def test_each_part_has_whole_deliveries_and_whole_sets() -> None:
    """What a delivery carries is written with it, and so is what it supersedes."""
    overtaken = Verdict(key="a:0", state=ReminderState.SUPERSEDED, reason=None)
    decisions = Decisions(
        deliveries=(a_delivery("a:1", "b"), a_delivery("c"), a_delivery("d")),
        verdicts=(overtaken, *map(bound, ("a:1", "b", "c", "d"))),
    )

    parts = [*part_decisions(decisions, due("a:0", "a:1", "b", "c", "d"), 2)]

    assert keys_of(parts) == [["a:0", "a:1", "b"], ["c", "d"]]
    assert [[each.members for each in part.deliveries] for part in parts] == [
        [("a:1", "b")],
        [("c",), ("d",)],
    ]


def test_deliveries_that_share_a_milestone_stay_together() -> None:
    """Deliveries for two notifiers carry the same reminders. A third one may connect two others."""
    decisions = Decisions(
        deliveries=(
            a_delivery("a"),
            a_delivery("b"),
            a_delivery("a", "b", notifier="chat"),
            a_delivery("c"),
        ),
        verdicts=tuple(map(bound, "abc")),
    )

    parts = [*part_decisions(decisions, due("a", "b", "c"), 1)]

    assert keys_of(parts) == [["a", "b"], ["c"]]
    assert [len(part.deliveries) for part in parts] == [3, 1]


def test_last_part_schedules_the_next_digest_and_shows_the_overview() -> None:
    """After a crash before the last part, what is left makes a digest, and the overview is shown once."""
    turn = (NEXT, NEXT)
    deliveries = (a_delivery("moved"), a_delivery("a", edition=ISSUE), a_delivery("b"))
    verdicts = tuple(map(bound, ("moved", "a", "b")))
    decisions = Decisions(deliveries=deliveries, verdicts=verdicts, turn=turn)

    parts = [*part_decisions(decisions, due("moved", "a", "b"), 1)]

    assert keys_of(parts) == [["moved"], ["b"], ["a"]]
    assert [part.turn for part in parts] == [None, None, turn]


def test_what_goes_out_in_no_delivery_is_parted_too() -> None:
    """Verdicts without a delivery, and the repeats that follow, are in the part of their set."""
    repeat = an_owed("a later", milestone="t/a")
    held = tuple(Verdict(key=key, state=ReminderState.EXPIRED, reason=None) for key in "abc")
    decisions = Decisions(verdicts=held, following=(repeat,))

    parts = [*part_decisions(decisions, due("a", "b", "c"), 2)]

    assert keys_of(parts) == [["a", "b"], ["c"]]
    assert parts[0].following == (repeat,)


def test_empty_digest_is_one_part() -> None:
    """A digest without members still schedules the next one."""
    decisions = Decisions(turn=(NEXT, NEXT))

    assert part_decisions(decisions, (), 1) == [decisions]
