"""Decides about due reminders: which go out together, which wait, and which a later one replaces.

Rules that hold here:
- of the due reminders of a milestone to a receiver, only the latest goes out, and the ledger records the
  others as superseded;
- no reminder supersedes news (moved, done);
- a change of status (acknowledged, cancelled) goes out at once, in a delivery of its own, and only to
  notifiers that follow the status;
- muted and snoozed reminders are deferred and never dropped. One that waits for a digest is sent in it;
- the reminders of an acknowledged milestone are dropped, except that an overdue reminder is sent once more
  when the acknowledgement ends;
- every decision has a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.ledger.records import Delivery, Grounds, Lease, Record, ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.reason import (
    AcknowledgedBy,
    CancelledBy,
    DoneOn,
    LaterReminder,
    MemberUnwanted,
    PlainReason,
    Reason,
    SnoozedBy,
    TooLate,
)
from alertd.core.routing.digest import DigestIssue, NextDigest
from alertd.core.routing.route import Muted

MAX_MEMBERS = 200
"""The most reminders that a delivery carries."""

CHANGES = frozenset({Cause.ACKNOWLEDGED, Cause.CANCELLED})
"""Changes of a milestone's status. Only notifiers that show the status, such as an incident, get them."""

NEWS = frozenset({Cause.MOVED, Cause.DONE}) | CHANGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision about a scheduled reminder, and its reason.

    Attributes:
        key: the key of the reminder.
        wake_at: when to decide again, an aware UTC instant; None unless the reminder is deferred.
        grounds: why it goes to its receiver; None unless it is bound.
    """

    key: str
    state: ReminderState
    reason: Reason | None
    wake_at: datetime | None = None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Deliveries to record, and a verdict on every reminder.

    Attributes:
        turn: the digest that these decisions make, and the next one; None if they make no digest.
        following: the repeats of `then_every` to schedule. They follow the reminders that are decided about.
    """

    deliveries: tuple[Delivery, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    turn: tuple[NextDigest, NextDigest] | None = None
    following: tuple[ScheduledReminder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestBuild:
    """A digest that is being made.

    Attributes:
        turn: as in :class:`Decisions`.
        takes: tells whether a reminder goes out with the digest.
        failed: the exceptions of milestones that the overview cannot show, by milestone and receiver.
    """

    edition: DigestIssue
    turn: tuple[NextDigest, NextDigest]
    takes: Callable[[ScheduledReminder, Record], bool]
    failed: Mapping[tuple[str, str], Exception] = field(default_factory=dict)

    @property
    def receiver(self) -> str:
        return self.turn[0].receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """The receiver that gets the reminders of receivers that no node knows.

    Attributes:
        notifiers: the names of its notifiers.
    """

    receiver: str
    notifiers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules by which :func:`decide` decides.

    Attributes:
        catch_up: the ledger records reminders that are later than this as expired.
        notifiers: the names of each receiver's notifiers.
        muted: returns the mute of a reminder's route at an instant; None if it is not muted.
        waits: returns the digest that a reminder waits for; None if it waits for none.
        grounds: returns why a reminder goes to its receiver.
        making: the digest that is being made now; None if none is. Reminders do not wait for this digest.
        followers: the names of each receiver's notifiers that follow the status of a milestone.
        stand_in: gets the reminders of receivers that are not in ``notifiers``; None: nothing is decided
            about them.
    """

    catch_up: timedelta
    notifiers: Mapping[str, Sequence[str]]
    muted: Callable[[ScheduledReminder, Record, datetime], Muted | None]
    waits: Callable[[ScheduledReminder, Record, datetime], Muted | None] = lambda _owed, _record, _now: None
    grounds: Callable[[ScheduledReminder, Record], Grounds | None] = lambda _owed, _record: None
    making: DigestBuild | None = None
    followers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stand_in: StandIn | None = None

    def is_unknown(self, receiver: str) -> bool:
        """Tell whether the configuration does not have a receiver."""
        return receiver not in self.notifiers

    def list_notifiers(self, owed: ScheduledReminder) -> Sequence[str]:
        """List the names of the notifiers that get a reminder."""
        if self.is_unknown(owed.receiver):
            # A stand-in that has not shown the reminders has no use for a change of their status.
            return () if owed.cause in CHANGES or self.stand_in is None else self.stand_in.notifiers
        names = self.followers if owed.cause in CHANGES else self.notifiers
        return names.get(owed.receiver, ())


def decide(due: Iterable[tuple[ScheduledReminder, Record]], now: datetime, rules: Rules) -> Decisions:
    """Decide about pending reminders.

    Args:
        due: *all* pending reminders with ``at <= now`` of each milestone and receiver that occurs.
        now: an aware UTC instant.

    Returns:
        a verdict on every reminder, except on those of unknown receivers without a stand-in.
    """
    sets: dict[tuple[str, str], list[tuple[ScheduledReminder, Record]]] = defaultdict(list)
    for owed, record in due:
        if rules.stand_in is None and rules.is_unknown(owed.receiver):
            # Another node may know the receiver.
            continue
        sets[owed.milestone, owed.receiver].append((owed, record))
    verdicts: list[Verdict] = []
    ready: dict[tuple[str, tuple[tuple[str, str], ...], str], list[ScheduledReminder]] = defaultdict(list)
    collected: list[ScheduledReminder] = []
    records = {record.id: record for members in sets.values() for _, record in members}
    making = rules.making
    for members in sets.values():
        for owed, verdict in _decide_milestone(members, now, rules):
            verdicts.append(verdict)
            if verdict.state is not ReminderState.BOUND:
                continue
            alone = owed.key if owed.cause in CHANGES else ""
            if making is not None and not alone and making.takes(owed, records[owed.milestone]):
                collected.append(owed)
            else:
                ready[owed.receiver, owed.group, alone].append(owed)
    deliveries = [made for group in ready.values() for made in _bind_group(group, now, rules)]
    if making is None:
        return Decisions(deliveries=tuple(deliveries), verdicts=tuple(verdicts))
    deliveries += _bind_digest(collected, making, now, rules)
    return Decisions(deliveries=tuple(deliveries), verdicts=tuple(verdicts), turn=making.turn)


def find_objection(owed: ScheduledReminder, record: Record, now: datetime) -> Reason | None:
    """Find the reason why ``owed`` must not be sent any more; None if it may be sent.

    alertd checks this when the reminder falls due and again just before each attempt, so that it respects
    actions of people in between.
    """
    status = record.status
    if owed.cause is Cause.DONE:
        return None if status.done_on else PlainReason.REOPENED
    if owed.cause is Cause.CANCELLED:
        return None if status.cancelled else PlainReason.REOPENED
    if record.withdrawn:
        return PlainReason.WITHDRAWN
    if status.cancelled:
        return CancelledBy(by=status.cancelled_by)
    if status.done_on:
        return DoneOn(on=status.done_on)
    if owed.cause is Cause.ACKNOWLEDGED:
        holds = is_acknowledged(status, record.window_ids, now)
        return None if holds else PlainReason.ACKNOWLEDGEMENT_ENDED
    if owed.cause is Cause.MOVED:
        told = {value.window_id for value in owed.move.after} if owed.move else set()
        return None if told == set(record.window_ids) else PlainReason.MOVED_AGAIN
    if owed.window_id not in record.window_ids:
        return PlainReason.DEADLINE_MOVED
    if is_acknowledged(status, record.window_ids, now):
        return AcknowledgedBy(by=status.ack_by)
    return None


def is_acknowledged(status: MilestoneStatus, window_ids: Sequence[str], now: datetime) -> bool:
    """Tell whether an acknowledgement is in force: it has not expired and covers all of these windows."""
    return (
        status.ack_until is not None and now < status.ack_until and set(window_ids) <= set(status.ack_windows)
    )


def make_delivery_id(receiver: str, notifier: str, members: Sequence[str]) -> str:
    """Make the public id of a delivery: ``msg_`` and a fingerprint of its channel and its members' keys."""
    return "msg_" + fingerprint("delivery", receiver, notifier, *members)


def make_deliveries(  # noqa: PLR0917  the members, the channel, the time and the receiver replaced
    receiver: str,
    notifiers: Sequence[str],
    members: Sequence[ScheduledReminder],
    now: datetime,
    fallback_for: str = "",
    edition: DigestIssue | None = None,
) -> list[Delivery]:
    """Make a delivery for each of the notifiers. Each carries all members.

    Args:
        notifiers: names of notifiers of ``receiver``.
        now: an aware UTC instant.
        fallback_for: the channel that alertd could not reach and that ``receiver`` replaces, or the receiver
            that no node knows.
        edition: the digest issue that the deliveries carry; None for reminders.
    """
    keys = tuple(owed.key for owed in members)
    marks: tuple[str, ...] = ("digest", edition.name, edition.at.isoformat()) if edition else ()
    marks += (fallback_for,) if fallback_for else ()
    return [
        Delivery(
            id=make_delivery_id(receiver, notifier, (*keys, *marks)),
            receiver=receiver,
            notifier=notifier,
            members=keys,
            bound_at=now,
            next_at=now,
            fallback_for=fallback_for,
            edition=edition,
        )
        for notifier in notifiers
    ]


def find_live_members(
    lease: Lease, now: datetime
) -> tuple[tuple[ScheduledReminder, ...], tuple[MemberUnwanted, ...]]:
    """Split the members of a lease into sendable ones and the reasons against all others."""
    kept: list[ScheduledReminder] = []
    unwanted_members: dict[MemberUnwanted, None] = {}
    for owed in lease.owed:
        why = find_objection(owed, lease.records[owed.milestone], now)
        if why is None and owed.key in lease.overtaken:
            why = PlainReason.OVERTAKEN
        if why is None:
            kept.append(owed)
        else:
            unwanted_members[MemberUnwanted(milestone=owed.milestone, offset=owed.offset, why=why)] = None
    return tuple(kept), tuple(unwanted_members)


def _decide_milestone(
    members: Sequence[tuple[ScheduledReminder, Record]], now: datetime, rules: Rules
) -> list[tuple[ScheduledReminder, Verdict]]:
    decided: list[tuple[ScheduledReminder, Verdict]] = []
    wanted: list[tuple[ScheduledReminder, Record]] = []
    for owed, record in members:
        early = _refuse(owed, record, now, rules)
        if early:
            decided.append((owed, early))
        else:
            wanted.append((owed, record))
    goes_at = {owed.key: _find_send_time(owed, record, now, rules) for owed, record in wanted}
    reminders = [owed for owed, _ in wanted if owed.cause not in NEWS]
    for owed, record in wanted:
        # A reminder that waits for a digest does not supersede one that can be sent before.
        overtaking = [
            other for other in reminders if other.at > owed.at and goes_at[other.key] <= goes_at[owed.key]
        ]
        if owed.cause not in NEWS and overtaking:
            last = max(overtaking, key=lambda other: (other.at, other.key))
            by = LaterReminder(key=last.key, offset=last.offset)
            verdict = Verdict(key=owed.key, state=ReminderState.SUPERSEDED, reason=by)
        else:
            verdict = _bind_or_defer(owed, record, now, rules)
        decided.append((owed, verdict))
    return decided


def _find_send_time(owed: ScheduledReminder, record: Record, now: datetime, rules: Rules) -> datetime:
    """Find when a reminder goes out, considering digests alone."""
    waits = _find_wait(owed, record, now, rules)
    return waits.until if waits else now


def _find_wait(owed: ScheduledReminder, record: Record, now: datetime, rules: Rules) -> Muted | None:
    if rules.making is not None and rules.making.takes(owed, record):
        return None
    return rules.waits(owed, record, now)


def _refuse(owed: ScheduledReminder, record: Record, now: datetime, rules: Rules) -> Verdict | None:
    why = find_objection(owed, record, now)
    is_kept = owed.cause is Cause.OVERDUE and isinstance(why, AcknowledgedBy)
    if why is not None and not is_kept:
        return Verdict(key=owed.key, state=ReminderState.SUPPRESSED, reason=why)
    # A deferred reminder is not late: its age counts from the end of the wait.
    age = now - max(owed.at, owed.wake_at)
    if owed.cause not in NEWS and age > rules.catch_up:
        return Verdict(key=owed.key, state=ReminderState.EXPIRED, reason=TooLate(days=age.days))
    if not rules.list_notifiers(owed):
        lacking = PlainReason.NO_FOLLOWER if owed.cause in CHANGES else PlainReason.NO_NOTIFIER
        return Verdict(key=owed.key, state=ReminderState.SUPPRESSED, reason=lacking)
    return None


def _bind_or_defer(owed: ScheduledReminder, record: Record, now: datetime, rules: Rules) -> Verdict:
    grounds = rules.grounds(owed, record)
    if owed.cause in CHANGES:
        return Verdict(key=owed.key, state=ReminderState.BOUND, reason=None, grounds=grounds)
    if owed.cause is Cause.OVERDUE and is_acknowledged(record.status, record.window_ids, now):
        # The schedule may end before the acknowledgement does, and then no later reminder would follow.
        by, until = AcknowledgedBy(by=record.status.ack_by), record.status.ack_until
        return Verdict(key=owed.key, state=ReminderState.PENDING, reason=by, wake_at=until)
    snoozed = record.status.snooze_until
    if owed.cause not in NEWS and snoozed and now < snoozed:
        person = SnoozedBy(by=record.status.snooze_by)
        return Verdict(key=owed.key, state=ReminderState.PENDING, reason=person, wake_at=snoozed)
    held = _find_wait(owed, record, now, rules) or rules.muted(owed, record, now)
    if held:
        return Verdict(key=owed.key, state=ReminderState.PENDING, reason=held.by, wake_at=held.until)
    # Keep the reason for the wait, since the message gives it.
    return Verdict(key=owed.key, state=ReminderState.BOUND, reason=owed.reason, grounds=grounds)


def _bind_group(group: list[ScheduledReminder], now: datetime, rules: Rules) -> Iterable[Delivery]:
    group.sort(key=lambda owed: (owed.milestone, owed.at, owed.key))
    for start in range(0, len(group), MAX_MEMBERS):
        members = group[start : start + MAX_MEMBERS]
        receiver, names = members[0].receiver, rules.list_notifiers(members[0])
        if rules.stand_in is not None and rules.is_unknown(receiver):
            yield from make_deliveries(rules.stand_in.receiver, names, members, now, fallback_for=receiver)
        else:
            yield from make_deliveries(receiver, names, members, now)


def _bind_digest(
    members: list[ScheduledReminder], making: DigestBuild, now: datetime, rules: Rules
) -> Iterable[Delivery]:
    """Make the deliveries of a digest: as many as its members need. Only the first shows the overview.

    An empty digest has no delivery, unless it is configured to be sent even if empty. The ids of the
    deliveries cover the members and not the overview, which is composed anew at each attempt.
    """
    edition, names = making.edition, rules.notifiers.get(making.receiver, ())
    if not (members or edition.overview or edition.even_if_empty):
        return
    members.sort(key=lambda owed: (owed.milestone, owed.at, owed.key))
    yield from make_deliveries(making.receiver, names, members[:MAX_MEMBERS], now, edition=edition)
    rest = replace(edition, overview=(), more=0, even_if_empty=False)
    for start in range(MAX_MEMBERS, len(members), MAX_MEMBERS):
        yield from make_deliveries(
            making.receiver, names, members[start : start + MAX_MEMBERS], now, edition=rest
        )
