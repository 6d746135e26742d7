"""Describes reasons in words, and makes the sentences about the cause and the delay of a message.

Only this module turns a :mod:`alertd.core.reason` into English. No code reads the words back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from alertd.core.ledger.records import Delivery, Grounds, Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.decide import CHANGES, NEWS
from alertd.core.reason import (
    AcknowledgedBy,
    Answered,
    AwaitedDigest,
    CancelledBy,
    ChannelStopped,
    DeliveryFailed,
    DoneOn,
    GivenUp,
    Hold,
    LaterReminder,
    LeasesLost,
    MembersUnwanted,
    MuteInterval,
    NotConfigured,
    NotifierFailed,
    OtherReason,
    OutsideIntervals,
    PlainReason,
    QuietHours,
    Reason,
    SentAgainBy,
    SnoozedBy,
    TooLate,
    TooLateAtLoad,
    Unanswered,
)
from alertd.core.words import format_instant, format_policy_name, format_span, join_with_and, phrase_offset

LATE_FROM = timedelta(hours=1)
"""A message states its delay from this delay on."""


def make_late_sentence(owed: ScheduledReminder, milestone: Milestone, now: datetime) -> str:
    """Make the sentence about how late a reminder is, with the cause of the delay if it is known.

    Args:
        now: an aware UTC instant.

    Returns:
        "" if the reminder is on time.
    """
    late = now - owed.at
    if late < LATE_FROM:
        return ""
    what = "message" if owed.cause in NEWS else "reminder"
    due = format_instant(owed.at, milestone.zone)
    because = _describe_wait(owed.reason)
    return f"This {what} was due on {due} and comes {format_span(late)} late{because and ': ' + because}."


def describe_reason(reason: Reason | None) -> str:  # noqa: PLR0912  a case for each reason
    """Describe a reason as a clause in lower case without its full stop; "" for None."""
    match reason:
        case None:
            return ""
        case PlainReason():
            return _PLAIN[reason]
        case AwaitedDigest(digest=digest):
            return f"waits for the digest {digest}"
        case MuteInterval() | OutsideIntervals() | QuietHours():
            return f"muted by {describe_hold(reason)}"
        case AcknowledgedBy(by=by):
            return f"acknowledged by {by}"
        case SnoozedBy(by=by):
            return f"snoozed by {by}"
        case CancelledBy(by=by):
            return f"cancelled by {by}"
        case DoneOn(on=day):
            return f"done on {day}"
        case SentAgainBy(by=by):
            return f"sent again by {by}"
        case LaterReminder():
            return "a later one is due too"
        case TooLate(days=days):
            return f"{days} days late"
        case TooLateAtLoad(days=days):
            return f"{days} days late when it was loaded"
        case Answered(text=text) | OtherReason(text=text):
            return text
        case Unanswered(within_s=within_s):
            return f"no answer within {within_s} s"
        case NotifierFailed(error=error):
            return f"the notifier failed: {error}"
        case DeliveryFailed(error=error):
            return f"alertd could not prepare the message: {error}"
        case LeasesLost(number=number):
            return f"alertd ended {number} times in a row while it was sending this message"
        case NotConfigured(channel=channel):
            return f"{channel} is not configured any more"
        case ChannelStopped(answer=answer, since=None):
            return f"stopped: {answer}"
        case ChannelStopped(answer=answer, since=since):
            return f"stopped: since {since:%Y-%m-%d %H:%M}Z nothing is sent there, when {answer}"
        case GivenUp(last=last):
            return f"given up: {describe_reason(last)}"
        case MembersUnwanted(members=members):
            told = (
                f"{member.milestone} {member.offset}: {describe_reason(member.why)}" for member in members
            )
            return "; ".join(dict.fromkeys(told))


def describe_hold(hold: Hold) -> str:
    """Describe the rule that defers a reminder, by its key in ``alertd.yaml`` and its name."""
    match hold:
        case MuteInterval(interval=interval):
            return f"mute_time_intervals: {interval}"
        case OutsideIntervals(intervals=intervals):
            return f"active_time_intervals: not in {', '.join(intervals)}"
        case QuietHours(hours=hours):
            return f"quiet: {hours}"
        case AwaitedDigest(digest=digest):
            return f"digest: {digest}"


_PLAIN: Mapping[PlainReason, str] = {
    PlainReason.WITHDRAWN: "the milestone was withdrawn",
    PlainReason.REOPENED: "it was reopened",
    PlainReason.ACKNOWLEDGEMENT_ENDED: "the acknowledgement holds no more",
    PlainReason.DEADLINE_MOVED: "the deadline moved",
    PlainReason.MOVED_AGAIN: "it moved again",
    PlainReason.MOVED_WHILE_DAMPED: "it moved again within the damping time",
    PlainReason.MOVED_WHILE_CLOSED: "it moved while it was closed",
    PlainReason.TOLD_BY_MOVE: "the moved message says where it stands",
    PlainReason.NEW_IN_POLICY: "it was due before it was in the policy",
    PlainReason.NOT_OWED: "owed no more",
    PlainReason.NO_NOTIFIER: "the receiver has no notifier",
    PlainReason.NO_FOLLOWER: "the receiver has no notifier that follows",
    PlainReason.OVERTAKEN: "overtaken by a newer one",
    PlainReason.NOTHING_LEFT: "nothing of it is true any more",
    PlainReason.INTERRUPTED: "alertd was stopped before an answer came",
    PlainReason.LEASE_TOO_OLD: "its lease was too old to send on it",
    PlainReason.REROUTED: "the routes now send it to other receivers",
    PlainReason.LEASE_LOST: "alertd ended before it recorded how the attempt ended",
    PlainReason.UNRECORDED: "the ledger refused what alertd was recording about the attempt",
}


def _describe_wait(reason: Reason | None) -> str:
    """Describe why a reminder was deferred; "" if it was not."""
    match reason:
        case MuteInterval(interval=interval):
            return f"muted during {interval}"
        case OutsideIntervals(intervals=intervals):
            return f"sent only during {', '.join(intervals)}"
        case QuietHours(hours=hours):
            return f"held back in the quiet hours, {hours}"
        case SnoozedBy() | AcknowledgedBy():
            return describe_reason(reason)
        case _:
            return ""


def make_next_sentence(upcoming: ScheduledReminder | None, record: Record) -> str:
    """Make the sentence about the next reminder. It names the sources if the dates differ.

    Returns:
        "" if the milestone is done or cancelled.
    """
    if record.status.closed:
        return ""
    if upcoming is None:
        return "No further reminder is planned."
    value = next(
        (candidate for candidate in record.values if candidate.window_id == upcoming.window_id), None
    )
    which = phrase_offset(upcoming.offset)
    if value is not None and len(record.values) > 1 and value.accounts:
        which += f" given by {join_with_and(value.accounts)}"
    return f"Next reminder: {format_instant(upcoming.wake_at, record.milestone.zone)}, {which}."


def make_why_sentence(owed: ScheduledReminder, delivery: Delivery, because: str = "") -> str:
    """Make the sentence about why a receiver gets a reminder.

    The sentence names the route, or the channel that the delivery replaces, and the purpose. It leaves out
    the route if the ledger did not keep the grounds.

    Args:
        because: the purpose of the reminder, a clause; by default the cause of the reminder decides it.
    """
    because = because or _describe_purpose(owed)
    by = f" in place of {delivery.fallback_for}" if delivery.fallback_for else _describe_origin(owed)
    receiver = delivery.receiver if delivery.fallback_for else owed.receiver
    return f"Sent to {receiver}{by}: {because}."


def _describe_origin(owed: ScheduledReminder) -> str:
    if owed.cause in CHANGES:
        return ", which was told of it before"
    if owed.grounds is None:
        return ""
    if owed.grounds.route:
        return f" by {_describe_path(owed.grounds)}"
    return ", which was told of it before" if owed.cause in NEWS else " by a route that has changed since"


def _describe_purpose(owed: ScheduledReminder) -> str:
    match owed.cause:
        case Cause.MOVED:
            return "the deadline moved"
        case Cause.DONE:
            return "it is done"
        case Cause.ACKNOWLEDGED | Cause.CANCELLED:
            return "it follows what is said of it"
        case _:
            policy = format_policy_name(owed.grounds.policy) if owed.grounds else "its policy"
            return f"{policy} reminds {phrase_offset(owed.offset)}"


def _describe_path(grounds: Grounds) -> str:
    takes = join_with_and(grounds.matchers) or "everything"
    return f"{name_route(grounds.route)}, which takes {takes}"


def name_route(path: str) -> str:
    """Name a route by its position, counted from 1: ``route.routes[0].routes[2]`` is ``route 1.3``."""
    places = [str(int(number) + 1) for number in re.findall(r"\[([0-9]+)\]", path)]
    return f"route {'.'.join(places)}" if places else "the root route"
