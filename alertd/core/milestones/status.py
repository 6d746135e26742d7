"""What people have said of a milestone: acknowledged, snoozed, done, cancelled, reopened.

An action stops reminders and never changes a deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from alertd.errors import RefusedAction


class ActionKind(StrEnum):
    ACK = "ack"
    SNOOZE = "snooze"
    DONE = "done"
    CANCEL = "cancel"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that somebody said of a milestone.

    Attributes:
        at: when it was said, an aware UTC instant.
        by: who said it.
        how: by which door, such as ``link:desk``; "" for the command line.
        until: for ack and snooze: when it stops to hold, an aware UTC instant.
        done_on: for done: the local date on which it came about.
        evidence: for done: where that can be seen.
    """

    kind: ActionKind
    milestone: str
    at: datetime
    by: str
    how: str = ""
    why: str = ""
    until: datetime | None = None
    done_on: date | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneStatus:
    """The sum of the actions.

    Attributes:
        ack_until: reminders are dropped before this instant, for the windows in ``ack_windows``:
            an acknowledgement was given to a date, and when the date moves it no longer holds.
        snooze_until: reminders wait until this instant; then what is still true is sent, once.
    """

    ack_until: datetime | None = None
    ack_windows: tuple[str, ...] = ()
    ack_by: str = ""
    ack_why: str = ""
    snooze_until: datetime | None = None
    snooze_by: str = ""
    done_on: date | None = None
    done_by: str = ""
    evidence: str = ""
    cancelled: bool = False
    cancelled_by: str = ""
    cancelled_why: str = ""

    @property
    def closed(self) -> bool:
        return self.cancelled or self.done_on is not None


NOTHING_SAID = MilestoneStatus()


def apply(status: MilestoneStatus, action: Action, windows: tuple[str, ...]) -> MilestoneStatus:
    """The standing after ``action``.

    Args:
        windows: ids of the windows that remind now, which an acknowledgement is given for.

    Raises:
        RefusedAction: the action does not fit: anything but reopen on a closed milestone,
            reopen on an open one, an ``until`` that is not in the future.
    """
    name = action.milestone
    if action.kind is ActionKind.REOPEN:
        if status == NOTHING_SAID:
            raise RefusedAction(f"{name} is open already; nothing to reopen")
        return NOTHING_SAID
    if status.closed:
        closed = "cancelled" if status.cancelled else f"done on {status.done_on}"
        raise RefusedAction(f"{name} is {closed}; `alertd reopen {name}` first")
    match action.kind:
        case ActionKind.ACK:
            until = _future(action)
            return replace(status, ack_until=until, ack_windows=windows, ack_by=action.by, ack_why=action.why)
        case ActionKind.SNOOZE:
            return replace(status, snooze_until=_future(action), snooze_by=action.by)
        case ActionKind.DONE:
            if action.done_on is None:
                raise RefusedAction(f"{name}: done needs the date on which it came about")
            return MilestoneStatus(done_on=action.done_on, done_by=action.by, evidence=action.evidence)
        case ActionKind.CANCEL:
            return MilestoneStatus(cancelled=True, cancelled_by=action.by, cancelled_why=action.why)


def _future(action: Action) -> datetime:
    if action.until is None or action.until <= action.at:
        raise RefusedAction(f"{action.milestone}: --until must be in the future")
    return action.until
