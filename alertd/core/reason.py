"""Why something in the ledger is as it is: a closed set of reasons, each a value with its details.

Rules that hold here:
- alertd decides by the type of a reason and never by its words, which only people read.
  :func:`alertd.core.message.reasons.describe_reason` makes the words;
- text from outside, such as a receiver's answer, is a detail: it is shown and never read;
- a code that a ledger holds never gets another meaning.
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


# -- what holds a reminder back
@dataclass(frozen=True, slots=True, kw_only=True)
class MuteInterval:
    """An interval of the route's ``mute_time_intervals`` holds it back."""

    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideIntervals:
    """None of the route's ``active_time_intervals`` has begun."""

    intervals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """The receiver's quiet hours hold it back. ``hours`` is their name, such as ``22:00 to 07:00 (UTC)``."""

    hours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedDigest:
    """It waits for its route's digest. ``digest`` is its name, such as ``every Monday at 08:00 (UTC)``."""

    digest: str


Hold = MuteInterval | OutsideIntervals | QuietHours | AwaitedDigest
"""By which rule of the configuration a reminder is sent later than it is due."""


# -- what people have said
@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgedBy:
    """A person has acknowledged it."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozedBy:
    """A person has snoozed it."""

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


# -- what comes too late
@dataclass(frozen=True, slots=True, kw_only=True)
class LaterReminder:
    """A later reminder of the same milestone and receiver is due too and takes its place.

    Attributes:
        key: of the later one; "" in rows of a ledger that did not keep it yet.
        offset: of the later one, such as ``-1d``.
    """

    key: str = ""
    offset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLate:
    """It was later than the catch-up time allows when it was looked at."""

    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLateAtLoad:
    """It was later than the catch-up time allows when its milestone was loaded."""

    days: int


# -- how a delivery ended
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the notifier has returned, in its words or the receiver's."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """No answer came in time."""

    within_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierFailed:
    """The notifier raised an exception. ``error`` is the name of its type."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConfigured:
    """The configuration does not name the channel any more."""

    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStopped:
    """The receiver wants no more (410).

    Attributes:
        answer: the text that the notifier returned then.
        since: when that was; None for the delivery that was answered so.
    """

    answer: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """The time for retries is over. ``last`` is how the last attempt ended."""

    last: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberUnwanted:
    """Why one member of a delivery may not be sent any more."""

    milestone: str
    offset: str
    why: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersUnwanted:
    """No member of a delivery may be sent any more."""

    members: tuple[MemberUnwanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherReason:
    """A sentence that an earlier alertd wrote, and that has no code."""

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
    """The code in the ledger; "" for no reason."""
    if reason is None:
        return ""
    return reason.value if isinstance(reason, PlainReason) else _CODES[type(reason)]


def pack_details(reason: Reason | None) -> dict[str, Any]:
    """The details of a reason as values that JSON can hold; {} when it has none."""
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
    """The reason of a row.

    Args:
        text: the words that were written with the code. A reason whose code is unknown keeps them.

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
