"""The actions that people take on a milestone, and the status that results from these actions.

People acknowledge, snooze, complete, cancel or reopen a milestone. An action never changes a deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from alertd.errors import RefusedAction


class ActionKind(StrEnum):
    """The kinds of actions that people can take on a milestone."""

    ACK = "ack"
    SNOOZE = "snooze"
    DONE = "done"
    CANCEL = "cancel"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of a person on a milestone.

    Attributes:
        kind: the kind of the action.
        milestone: the full id of the milestone.
        at: the aware UTC instant of the action.
        by: the person who acted.
        how: the way in which the action reached alertd, such as ``link:desk``; "" for the command line.
        why: the reason that the person gave.
        until: for ack and snooze, the aware UTC instant at which the action ends.
        done_on: for done, the local date on which the outcome was reached.
        evidence: for done, where the outcome is documented.
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
    """The status that results from all actions on a milestone.

    Attributes:
        ack_until: before this aware UTC instant, alertd suppresses reminders for the windows in
            ``ack_windows``.
        ack_windows: the ids of the windows that were acknowledged. A person acknowledges specific dates, so
            an acknowledgement no longer applies after the dates have moved.
        snooze_until: alertd holds reminders until this aware UTC instant. Then it sends the reminders that
            still apply, once.
        done_on: the local date on which the outcome was reached; None unless the milestone is done.
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
        """Whether the milestone is done or cancelled."""
        return self.cancelled or self.done_on is not None


NO_ACTIONS = MilestoneStatus()
"""The status of a milestone without actions, or after it was reopened."""


def apply_action(status: MilestoneStatus, action: Action, windows: tuple[str, ...]) -> MilestoneStatus:
    """Return the status after ``action``.

    Args:
        status: the status before the action.
        action: the action of a person.
        windows: the ids of the windows that have reminders now. An acknowledgement applies to these windows.

    Raises:
        RefusedAction: the milestone is closed and the action is not reopen; the action is reopen and there is
            nothing to reopen; ``until`` is missing or is not later than the action; or done has no date.
    """
    name = action.milestone
    if action.kind is ActionKind.REOPEN:
        if status == NO_ACTIONS:
            raise RefusedAction(f"{name} is open already; nothing to reopen")
        return NO_ACTIONS
    if status.closed:
        closed = "cancelled" if status.cancelled else f"done on {status.done_on}"
        raise RefusedAction(f"{name} is {closed}; `alertd reopen {name}` first")
    match action.kind:
        case ActionKind.ACK:
            until = _require_future(action)
            return replace(status, ack_until=until, ack_windows=windows, ack_by=action.by, ack_why=action.why)
        case ActionKind.SNOOZE:
            return replace(status, snooze_until=_require_future(action), snooze_by=action.by)
        case ActionKind.DONE:
            if action.done_on is None:
                raise RefusedAction(f"{name}: done needs the date on which it came about")
            return MilestoneStatus(done_on=action.done_on, done_by=action.by, evidence=action.evidence)
        case ActionKind.CANCEL:
            return MilestoneStatus(cancelled=True, cancelled_by=action.by, cancelled_why=action.why)


def _require_future(action: Action) -> datetime:
    if action.until is None or action.until <= action.at:
        raise RefusedAction(f"{action.milestone}: --until must be in the future")
    return action.until
