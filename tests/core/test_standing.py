"""Status: the result of each action for each previous status, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from alertd.core.milestones.status import NO_ACTIONS, Action, ActionKind, MilestoneStatus, apply_action
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

# status before, action, status after (None if the action is refused)
TRANSITIONS: list[tuple[str, MilestoneStatus, Action, MilestoneStatus | None]] = [
    ("open ack", NO_ACTIONS, ACK, ACKED),
    ("open snooze", NO_ACTIONS, SNOOZE, SNOOZED),
    ("open done", NO_ACTIONS, DO, DONE),
    ("open cancel", NO_ACTIONS, CANCEL, CANCELLED),
    ("open reopen", NO_ACTIONS, REOPEN, None),
    # a second acknowledgement replaces the expiry, and leaves the snooze unchanged
    (
        "acked ack",
        ACKED,
        action(ActionKind.ACK, until=LATER),
        MilestoneStatus(ack_until=LATER, ack_windows=WINDOWS, ack_by="Amal"),
    ),
    (
        "open ack, why",
        NO_ACTIONS,
        action(ActionKind.ACK, until=SOON, why="it is asked"),
        replace(ACKED, ack_why="it is asked"),
    ),
    (
        "open cancel, why",
        NO_ACTIONS,
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
    # closing removes acknowledgement and snooze; reopening removes everything
    ("both done", BOTH, DO, DONE),
    ("both cancel", BOTH, CANCEL, CANCELLED),
    ("acked reopen", ACKED, REOPEN, NO_ACTIONS),
    ("snoozed reopen", SNOOZED, REOPEN, NO_ACTIONS),
    ("done reopen", DONE, REOPEN, NO_ACTIONS),
    ("cancelled reopen", CANCELLED, REOPEN, NO_ACTIONS),
    # a closed milestone accepts only reopen
    ("done ack", DONE, ACK, None),
    ("done snooze", DONE, SNOOZE, None),
    ("done done", DONE, DO, None),
    ("done cancel", DONE, CANCEL, None),
    ("cancelled ack", CANCELLED, ACK, None),
    ("cancelled snooze", CANCELLED, SNOOZE, None),
    ("cancelled done", CANCELLED, DO, None),
    ("cancelled cancel", CANCELLED, CANCEL, None),
    # an end that is not in the future; done without a date
    ("ack until now", NO_ACTIONS, action(ActionKind.ACK, until=NOW), None),
    ("ack until before", NO_ACTIONS, action(ActionKind.ACK, until=NOW - timedelta(1)), None),
    ("ack without end", NO_ACTIONS, action(ActionKind.ACK), None),
    ("snooze until now", NO_ACTIONS, action(ActionKind.SNOOZE, until=NOW), None),
    ("snooze without end", NO_ACTIONS, action(ActionKind.SNOOZE), None),
    ("done without date", NO_ACTIONS, action(ActionKind.DONE), None),
]


@pytest.mark.parametrize(
    ("before", "said", "after"), [row[1:] for row in TRANSITIONS], ids=[row[0] for row in TRANSITIONS]
)
def test_transitions(before: MilestoneStatus, said: Action, after: MilestoneStatus | None) -> None:
    """Each action has a defined result for each status: a new status, or a refusal."""
    if after is None:
        with pytest.raises(RefusedAction, match="iraq/phase-2"):
            apply_action(before, said, WINDOWS)
    else:
        assert apply_action(before, said, WINDOWS) == after


def test_every_pair_is_in_the_table() -> None:
    """The table covers every action for every kind of status."""
    statuses = {"open", "acked", "snoozed", "done", "cancelled"}
    kinds = {kind.value for kind in ActionKind}

    missing = {f"{status} {kind}" for status in statuses for kind in kinds} - {row[0] for row in TRANSITIONS}

    # Closing gives the same result from any open status. The rows for acked and snoozed cover these.
    assert missing == {"acked done", "acked cancel", "snoozed done", "snoozed cancel"}


# a refusal, what it advises
ADVICE = [
    (DONE, ACK, "is done on 2026-10-03; `alertd reopen iraq/phase-2` first"),
    (CANCELLED, DO, "is cancelled; `alertd reopen iraq/phase-2` first"),
    (NO_ACTIONS, REOPEN, "is open already"),
    (NO_ACTIONS, action(ActionKind.ACK, until=NOW), "--until must be in the future"),
    (NO_ACTIONS, action(ActionKind.DONE), "done needs the date"),
]


@pytest.mark.parametrize(("before", "said", "expected"), ADVICE)
def test_a_refusal_says_what_to_do(before: MilestoneStatus, said: Action, expected: str) -> None:
    """A refusal gives the reason and the correct action."""
    with pytest.raises(RefusedAction) as refusal:
        apply_action(before, said, WINDOWS)

    assert expected in str(refusal.value)


# status, whether it is closed
CLOSED = [(NO_ACTIONS, False), (BOTH, False), (DONE, True), (CANCELLED, True)]


@pytest.mark.parametrize(("status", "expected"), CLOSED)
def test_closed(status: MilestoneStatus, expected: bool) -> None:
    """Only done and cancelled milestones are closed."""
    assert status.closed is expected
