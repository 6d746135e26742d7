"""The reasons for states in the ledger: a closed set of values, each with its details.

Rules that hold here:
- alertd decides by the type of a reason and never by its words, which only people read.
  :func:`alertd.core.message.reasons.describe_reason` makes the words;
- text from outside, such as a receiver's answer, is a detail that alertd shows and never parses;
- the meaning of a code never changes, since ledgers hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class PlainReason(StrEnum):
    """The reasons that have no details. The value is the code in the ledger."""

    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"
    ACKNOWLEDGEMENT_ENDED = "acknowledgement_ended"
    DEADLINE_MOVED = "deadline_moved"
    MOVED_AGAIN = "moved_again"
    MOVED_WHILE_DAMPED = "moved_while_damped"
    MOVED_WHILE_CLOSED = "moved_while_closed"
    TOLD_BY_MOVE = "told_by_move"
    NEW_IN_POLICY = "new_in_policy"
    NOT_OWED = "not_owed"
    NO_NOTIFIER = "no_notifier"
    NO_FOLLOWER = "no_follower"
    OVERTAKEN = "overtaken"
    NOTHING_LEFT = "nothing_left"
    INTERRUPTED = "interrupted"
    LEASE_TOO_OLD = "lease_too_old"
    LEASE_LOST = "lease_lost"
    UNRECORDED = "unrecorded"
    REROUTED = "rerouted"


# -- rules that defer a reminder
@dataclass(frozen=True, slots=True, kw_only=True)
class MuteInterval:
    """An interval of the route's ``mute_time_intervals`` defers the reminder."""

    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideIntervals:
    """The time is outside all of the route's ``active_time_intervals``."""

    intervals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """The receiver's quiet hours defer the reminder. ``hours`` is their name: ``22:00 to 07:00 (UTC)``."""

    hours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedDigest:
    """The reminder waits for its route's digest. ``digest`` is its name: ``every Monday at 08:00 (UTC)``."""

    digest: str


Hold = MuteInterval | OutsideIntervals | QuietHours | AwaitedDigest
"""The rule of the configuration by which a reminder is sent later than it is due."""


# -- actions of people
@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgedBy:
    """A person has acknowledged the milestone."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozedBy:
    """A person has snoozed the milestone."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledBy:
    """A person has cancelled the milestone."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneOn:
    """The milestone is done."""

    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAgainBy:
    """A person has had a dead delivery sent again."""

    by: str


# -- reminders that come too late
@dataclass(frozen=True, slots=True, kw_only=True)
class LaterReminder:
    """A later reminder of the same milestone to the same receiver is due too and replaces this one.

    Attributes:
        key: the key of the later one; "" in rows of older versions, which did not keep it.
        offset: the offset of the later one, such as ``-1d``.
    """

    key: str = ""
    offset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLate:
    """When alertd decided about the reminder, it was late by more than the catch-up time."""

    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLateAtLoad:
    """When alertd loaded the milestone, the reminder was late by more than the catch-up time."""

    days: int


# -- ends of a delivery
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The text that the notifier returned, in its own words or in the receiver's."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The notifier returned no outcome within ``within_s`` seconds."""

    within_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierFailed:
    """The notifier raised an exception. ``error`` is the name of its type."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed:
    """alertd raised an exception while it prepared the message. ``error`` is the name of its type."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasesLost:
    """So many leases in a row ended without a settlement that the message itself may end the process."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConfigured:
    """The configuration no longer contains the channel."""

    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStopped:
    """The receiver refuses all further messages (410 Gone), so alertd has stopped the channel.

    Attributes:
        answer: the text that the notifier returned then.
        since: when the receiver answered so; None for the delivery that got this answer.
    """

    answer: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """The time for retries is over. ``last`` is the reason why the last attempt failed."""

    last: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberUnwanted:
    """The reason why a member of a delivery may not be sent any more."""

    milestone: str
    offset: str
    why: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersUnwanted:
    """No member of a delivery may be sent any more."""

    members: tuple[MemberUnwanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherReason:
    """A sentence that an older version of alertd wrote and that has no code."""

    text: str


Reason = (
    PlainReason
    | Hold
    | AcknowledgedBy
    | SnoozedBy
    | CancelledBy
    | DoneOn
    | SentAgainBy
    | LaterReminder
    | TooLate
    | TooLateAtLoad
    | Answered
    | Unanswered
    | NotifierFailed
    | DeliveryFailed
    | LeasesLost
    | NotConfigured
    | ChannelStopped
    | GivenUp
    | MembersUnwanted
    | OtherReason
)

_CODES: Mapping[type, str] = {
    MuteInterval: "mute_interval",
    OutsideIntervals: "outside_intervals",
    QuietHours: "quiet_hours",
    AwaitedDigest: "digest",
    AcknowledgedBy: "acknowledged",
    SnoozedBy: "snoozed",
    CancelledBy: "cancelled",
    DoneOn: "done",
    SentAgainBy: "sent_again",
    LaterReminder: "later_reminder",
    TooLate: "too_late",
    TooLateAtLoad: "too_late_at_load",
    Answered: "answered",
    Unanswered: "no_answer",
    NotifierFailed: "notifier_failed",
    DeliveryFailed: "delivery_failed",
    LeasesLost: "leases_lost",
    NotConfigured: "not_configured",
    ChannelStopped: "channel_stopped",
    GivenUp: "given_up",
    MembersUnwanted: "members_unwanted",
    OtherReason: "other",
}
_BY_CODE: Mapping[str, type] = {code: kind for kind, code in _CODES.items()}

_PLAIN = frozenset(reason.value for reason in PlainReason)

CODES = (*sorted(_PLAIN), *_CODES.values())
"""Every code that a ledger can hold."""


def get_code(reason: Reason | None) -> str:
    """Return the code of a reason in the ledger; "" for None."""
    if reason is None:
        return ""
    return reason.value if isinstance(reason, PlainReason) else _CODES[type(reason)]


def pack_details(reason: Reason | None) -> dict[str, Any]:
    """Pack the details of a reason as values for JSON; {} if it has none."""
    match reason:
        case None | PlainReason():
            return {}
        case DoneOn(on=day):
            return {"on": day.isoformat()}
        case ChannelStopped(answer=answer, since=since):
            return {"answer": answer} | ({"since": since.isoformat()} if since else {})
        case GivenUp(last=last):
            return {"last": _pack(last)}
        case MembersUnwanted(members=members):
            return {
                "members": [
                    {"milestone": member.milestone, "offset": member.offset, "why": _pack(member.why)}
                    for member in members
                ]
            }
        case _:
            return asdict(reason)


def unpack_reason(code: str, details: Mapping[str, Any], text: str = "") -> Reason | None:
    """Unpack the reason of a row.

    Args:
        code: the result of :func:`get_code`.
        details: the result of :func:`pack_details`.
        text: the words that are in the row. A reason with an unknown code keeps them.

    Raises:
        ValueError: the details do not fit the code.
    """
    if not code:
        return OtherReason(text=text) if text else None
    if code in _PLAIN:
        return PlainReason(code)
    kind = _BY_CODE.get(code)
    if kind is None:
        return OtherReason(text=text or code)
    try:
        return _make_reason(kind, details)
    except (KeyError, TypeError) as error:
        raise ValueError(f"the details of the reason {code!r} do not fit: {error}") from error


def _make_reason(kind: type, details: Mapping[str, Any]) -> Reason:
    made: Reason
    if kind is DoneOn:
        made = DoneOn(on=date.fromisoformat(details["on"]))
    elif kind is OutsideIntervals:
        made = OutsideIntervals(intervals=tuple(details["intervals"]))
    elif kind is ChannelStopped:
        since = details.get("since")
        made = ChannelStopped(
            answer=details["answer"], since=datetime.fromisoformat(since) if since else None
        )
    elif kind is GivenUp:
        made = GivenUp(last=_unpack(details["last"]))
    elif kind is MembersUnwanted:
        made = MembersUnwanted(
            members=tuple(
                MemberUnwanted(
                    milestone=member["milestone"], offset=member["offset"], why=_unpack(member["why"])
                )
                for member in details["members"]
            )
        )
    else:
        made = kind(**details)
    return made


def _pack(reason: Reason) -> dict[str, Any]:
    return {"code": get_code(reason), **({"details": found} if (found := pack_details(reason)) else {})}


def _unpack(packed: Mapping[str, Any]) -> Reason:
    found = unpack_reason(packed["code"], packed.get("details", {}))
    if found is None:
        raise KeyError("code")
    return found
