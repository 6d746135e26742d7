"""Standing: what each action makes of what was said before, as one table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from alertd.core.milestones.status import NOTHING_SAID, Action, ActionKind, MilestoneStatus, apply
from alertd.errors import RefusedAction
from tests.core.builders import utc

NOW = utc("2026-10-05T06:00")
SOON, LATER = NOW + timedelta(days=7), NOW + timedelta(days=14)
WINDOWS = ("2026-09-01/2026-10-01",)

ACKED = MilestoneStatus(ack_until=SOON, ack_windows=WINDOWS, ack_by="Amal")
SNOOZED = MilestoneStatus(snooze_until=SOON, snooze_by="Amal")
BOTH = MilestoneStatus(
    ack_until=SOON, ack_windows=WINDOWS, ack_by="Amal", snooze_until=SOON, snooze_by="Amal"
)
DONE = MilestoneStatus(done_on=date(2026, 10, 3), done_by="Amal", evidence="https://news.example/x")
CANCELLED = MilestoneStatus(cancelled=True, cancelled_by="Amal")


def action(kind: ActionKind, **more: object) -> Action:
    return Action(kind=kind, milestone="iraq/phase-2", at=NOW, by="Amal", **more)  # type: ignore[arg-type]


ACK = action(ActionKind.ACK, until=SOON)
SNOOZE = action(ActionKind.SNOOZE, until=SOON)
DO = action(ActionKind.DONE, done_on=date(2026, 10, 3), evidence="https://news.example/x")
CANCEL = action(ActionKind.CANCEL)
REOPEN = action(ActionKind.REOPEN)

# before, what is said, after; None: refused
TRANSITIONS: list[tuple[str, MilestoneStatus, Action, MilestoneStatus | None]] = [
    ("open ack", NOTHING_SAID, ACK, ACKED),
    ("open snooze", NOTHING_SAID, SNOOZE, SNOOZED),
    ("open done", NOTHING_SAID, DO, DONE),
    ("open cancel", NOTHING_SAID, CANCEL, CANCELLED),
    ("open reopen", NOTHING_SAID, REOPEN, None),
    # acknowledging again takes the newer expiry; the other of the two stays beside it
    (
        "acked ack",
        ACKED,
        action(ActionKind.ACK, until=LATER),
        MilestoneStatus(ack_until=LATER, ack_windows=WINDOWS, ack_by="Amal"),
    ),
    (
        "open ack, why",
        NOTHING_SAID,
        action(ActionKind.ACK, until=SOON, why="it is asked"),
        replace(ACKED, ack_why="it is asked"),
    ),
    (
        "open cancel, why",
        NOTHING_SAID,
        action(ActionKind.CANCEL, why="it stays"),
        replace(CANCELLED, cancelled_why="it stays"),
    ),
    ("acked snooze", ACKED, SNOOZE, BOTH),
    ("snoozed ack", SNOOZED, ACK, BOTH),
    (
        "snoozed snooze",
        SNOOZED,
        action(ActionKind.SNOOZE, until=LATER),
        MilestoneStatus(snooze_until=LATER, snooze_by="Amal"),
    ),
    # closing forgets what was to wait; reopening forgets everything
    ("both done", BOTH, DO, DONE),
    ("both cancel", BOTH, CANCEL, CANCELLED),
    ("acked reopen", ACKED, REOPEN, NOTHING_SAID),
    ("snoozed reopen", SNOOZED, REOPEN, NOTHING_SAID),
    ("done reopen", DONE, REOPEN, NOTHING_SAID),
    ("cancelled reopen", CANCELLED, REOPEN, NOTHING_SAID),
    # what is closed takes nothing but reopen
    ("done ack", DONE, ACK, None),
    ("done snooze", DONE, SNOOZE, None),
    ("done done", DONE, DO, None),
    ("done cancel", DONE, CANCEL, None),
    ("cancelled ack", CANCELLED, ACK, None),
    ("cancelled snooze", CANCELLED, SNOOZE, None),
    ("cancelled done", CANCELLED, DO, None),
    ("cancelled cancel", CANCELLED, CANCEL, None),
    # an end that is not in the future; done without a date
    ("ack until now", NOTHING_SAID, action(ActionKind.ACK, until=NOW), None),
    ("ack until before", NOTHING_SAID, action(ActionKind.ACK, until=NOW - timedelta(1)), None),
    ("ack without end", NOTHING_SAID, action(ActionKind.ACK), None),
    ("snooze until now", NOTHING_SAID, action(ActionKind.SNOOZE, until=NOW), None),
    ("snooze without end", NOTHING_SAID, action(ActionKind.SNOOZE), None),
    ("done without date", NOTHING_SAID, action(ActionKind.DONE), None),
]


@pytest.mark.parametrize(
    ("before", "said", "after"), [row[1:] for row in TRANSITIONS], ids=[row[0] for row in TRANSITIONS]
)
def test_transitions(before: MilestoneStatus, said: Action, after: MilestoneStatus | None) -> None:
    """Each action has one outcome in each standing: a new standing, or a refusal."""
    if after is None:
        with pytest.raises(RefusedAction, match="iraq/phase-2"):
            apply(before, said, WINDOWS)
    else:
        assert apply(before, said, WINDOWS) == after


def test_every_pair_is_in_the_table() -> None:
    """No action on no kind of standing is left to chance."""
    standings = {"open", "acked", "snoozed", "done", "cancelled"}
    kinds = {kind.value for kind in ActionKind}

    missing = {f"{one} {kind}" for one in standings for kind in kinds} - {row[0] for row in TRANSITIONS}

    # Closing is the same from any open standing: that from both at once stands for these.
    assert missing == {"acked done", "acked cancel", "snoozed done", "snoozed cancel"}


# a refusal, what it advises
ADVICE = [
    (DONE, ACK, "is done on 2026-10-03; `alertd reopen iraq/phase-2` first"),
    (CANCELLED, DO, "is cancelled; `alertd reopen iraq/phase-2` first"),
    (NOTHING_SAID, REOPEN, "is open already"),
    (NOTHING_SAID, action(ActionKind.ACK, until=NOW), "--until must be in the future"),
    (NOTHING_SAID, action(ActionKind.DONE), "done needs the date"),
]


@pytest.mark.parametrize(("before", "said", "expected"), ADVICE)
def test_a_refusal_says_what_to_do(before: MilestoneStatus, said: Action, expected: str) -> None:
    """Whoever is refused learns why, and what would be right."""
    with pytest.raises(RefusedAction) as refusal:
        apply(before, said, WINDOWS)

    assert expected in str(refusal.value)


# a standing, whether it is closed
CLOSED = [(NOTHING_SAID, False), (BOTH, False), (DONE, True), (CANCELLED, True)]


@pytest.mark.parametrize(("status", "expected"), CLOSED)
def test_closed(status: MilestoneStatus, expected: bool) -> None:
    """Done and cancelled are closed, and nothing else."""
    assert status.closed is expected
