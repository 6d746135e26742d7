"""Rehearses a reminder that is not due: ``alertd preview`` composes its message from the files alone.

The rehearsal makes assumptions about the contents of the ledger: the milestone has its first revision and no
status, and a date that moved was a month or a year earlier before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alertd.core.deadline.shift import shift_deadline
from alertd.core.deadline.value import Precision
from alertd.core.ledger.records import Lease, Move, Record, ScheduledReminder
from alertd.core.message.claims import list_values
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import Claim, Milestone
from alertd.core.milestones.occurrence import Cause, Occurrence, list_occurrences, make_occurrence_key
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.decide import CHANGES, NEWS, make_deliveries
from alertd.core.planning.plan import find_match, make_grounds, plan
from alertd.core.routing.route import Route
from alertd.core.time.duration import Duration, parse_duration
from alertd.core.time.instant import to_local_date

BEGINNING = datetime(1000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=2 * 365)
FAR = timedelta(days=60 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A rehearsed reminder of a milestone to a receiver.

    Attributes:
        at: when it is sent, an aware UTC instant.
        around: the contents of the message that are not in the lease.
        is_routed: whether a route leads the reminder to the receiver.
        supposed: a sentence about the assumptions that the rehearsal makes; "" if it makes none.
    """

    record: Record
    owed: tuple[ScheduledReminder, ...]
    receiver: str
    at: datetime
    around: ItemContext
    is_routed: bool
    supposed: str = ""

    def compose_message(self, notifier: str) -> Message:
        """Compose the message that a notifier of the receiver would send, under the id that it would have.

        Args:
            notifier: the name of the notifier within the receiver.
        """
        (delivery,) = make_deliveries(self.receiver, [notifier], self.owed, self.at)
        lease = Lease(
            delivery=delivery,
            owner="",
            fence=1,
            until=self.at,
            owed=self.owed,
            records={self.record.id: self.record},
        )
        return compose(lease, self.owed, self.at, self.around)


def rehearse(
    milestone: Milestone, receiver: str, cause: Cause, route: Route, *, at: datetime | None, now: datetime
) -> Rehearsal | None:
    """Rehearse a reminder as it would be sent.

    Args:
        milestone: relative claims resolved. For a series it is one of the instances.
        receiver: the name of the receiver.
        cause: the cause of the reminder.
        route: the root route.
        at: when it is sent, an aware UTC instant. The reminder is the last one that was due by then, and the
            message states its delay. By default the reminder is the next one from ``now`` on, or else the
            last one, and it is sent on time.
        now: an aware UTC instant.

    Returns:
        None if the milestone never has such a reminder.
    """
    record = _make_record(milestone, at or now)
    if cause in NEWS:
        at = at or now
        owed: tuple[ScheduledReminder, ...] = (_make_news(milestone, receiver, cause, at),)
    else:
        due = [
            occurrence
            for occurrence in list_occurrences(milestone, BEGINNING, now + FAR)
            if occurrence.cause is cause
        ]
        if not due:
            return None
        chosen = _choose_instant([occurrence.at for occurrence in due], at, now)
        at = max(at or chosen, chosen)
        owed = tuple(_make_reminder(occurrence, receiver) for occurrence in due if occurrence.at == chosen)
    supposed = ""
    if cause is Cause.DONE:
        on = to_local_date(at, milestone.zone)
        record = replace(record, status=MilestoneStatus(done_on=on, done_by="somebody"))
        supposed = f"It is supposed that somebody said so on {on}."
    if cause in CHANGES:
        record = replace(record, status=_make_status(record, cause, at))
        supposed = "It is supposed that somebody said so; only notifiers that follow it are told."
    if cause is Cause.MOVED:
        supposed = "The date from which it moved is made up."
    grounds = make_grounds(find_match(route, owed[0], record), milestone)
    return Rehearsal(
        record=record,
        owed=tuple(replace(reminder, grounds=grounds) for reminder in owed),
        receiver=receiver,
        at=at,
        around=ItemContext(route=route, upcoming=_find_upcoming(milestone, receiver, route, at)),
        is_routed=cause in CHANGES or bool(grounds.route),
        supposed=supposed,
    )


def _choose_instant(instants: list[datetime], at: datetime | None, now: datetime) -> datetime:
    if at is None:
        return next((instant for instant in instants if instant >= now), instants[-1])
    return max((instant for instant in instants if instant <= at), default=instants[0])


def _make_record(milestone: Milestone, at: datetime) -> Record:
    return Record(
        milestone=milestone,
        file="",
        revision=1,
        values=list_values(milestone),
        loaded_at=at,
        changed_at=at,
        status=NO_ACTIONS,
    )


def _make_reminder(occurrence: Occurrence, receiver: str) -> ScheduledReminder:
    window = occurrence.stated.window.id
    return ScheduledReminder(
        key=make_occurrence_key(occurrence.milestone, window, occurrence.offset, receiver),
        milestone=occurrence.milestone,
        receiver=receiver,
        cause=occurrence.cause,
        offset=occurrence.offset,
        window_id=window,
        at=occurrence.at,
        wake_at=occurrence.at,
    )


def _make_news(milestone: Milestone, receiver: str, cause: Cause, at: datetime) -> ScheduledReminder:
    move = Move(before=list_values(_make_earlier(milestone)), after=list_values(milestone))
    return ScheduledReminder(
        key=make_occurrence_key(milestone.id, "", cause.value, receiver),
        milestone=milestone.id,
        receiver=receiver,
        cause=cause,
        offset=cause.value,
        window_id="",
        at=at,
        wake_at=at,
        move=move if cause is Cause.MOVED else None,
    )


def _make_status(record: Record, cause: Cause, at: datetime) -> MilestoneStatus:
    if cause is Cause.CANCELLED:
        return MilestoneStatus(cancelled=True, cancelled_by="somebody")
    until = at + timedelta(days=14)
    return MilestoneStatus(ack_until=until, ack_windows=record.window_ids, ack_by="somebody")


def _make_earlier(milestone: Milestone) -> Milestone:
    """Make the milestone with all its dates earlier. Claims that cannot be moved are left out."""
    moved = [_move_earlier(claim, milestone) for claim in milestone.claims]
    return replace(milestone, claims=tuple(claim for claim in moved if claim is not None))


def _move_earlier(claim: Claim, milestone: Milestone) -> Claim | None:
    deadline = claim.deadline
    try:
        by: Duration = parse_duration("1y" if deadline.precision is Precision.YEAR else "1mo") * -1
        return replace(claim, deadline=shift_deadline(deadline, milestone.zone, claim.reading, by))
    except ValueError:
        return None


def _find_upcoming(
    milestone: Milestone, receiver: str, route: Route, at: datetime
) -> dict[str, ScheduledReminder]:
    later = plan([milestone], route, at + timedelta(microseconds=1), at + AHEAD)
    following = next((planned for planned in later if planned.receiver == receiver), None)
    if following is None:
        return {}
    return {milestone.id: replace(_make_reminder(following.occurrence, receiver), wake_at=following.at)}
