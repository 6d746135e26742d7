"""The body of a webhook: every fact of a message as JSON, for programs.

Within a version, names are only ever added. Instants are ISO 8601 in UTC with ``Z``. A window is half-open;
an end that it does not have is null. Each object is declared here once: it is built as its TypedDict says,
and payload_schema.py makes the JSON Schema from the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

from typing_extensions import TypedDict

from alertd.core.ledger.records import Move, Value
from alertd.core.message.message import Account, ClaimLine, Item, Kind, Message, Tone
from alertd.core.milestones.fields import ALWAYS_SENT, SentFields, make_field_facts
from alertd.core.milestones.milestone import Rank, State
from alertd.core.milestones.occurrence import Cause
from alertd.core.shape import Doc
from alertd.notify.base import encode_json

VERSION = 1

TYPES = (
    *(f"milestone.{cause}" for cause in Cause),
    "milestones.many",
    "milestones.digest",
    "alertd.notice",
    "alertd.test",
)
"""What :func:`find_type` can return."""

InstantZ = Annotated[str, Doc(format="date-time", pattern="Z$")]


class AccountPayload(TypedDict):
    """Who states a window."""

    id: Annotated[str, Doc("as in the file")]
    who: Annotated[str, Doc("the person or body")]
    brief: Annotated[str, Doc("the same in a few words")]
    publisher: Annotated[str, Doc("where it was published")]
    published: Annotated[str, Doc("when, worded")]
    url: Annotated[str, Doc("where to read it")]


class WindowPayload(TypedDict):
    """A half-open window."""

    begins: Annotated[InstantZ | None, Doc("its first instant; null when it has none")]
    ends: Annotated[InstantZ | None, Doc("the first instant after it; null when it has none")]


class ClaimPayload(TypedDict):
    """One window, and the sources that state it."""

    phrase: Annotated[str, Doc("by when, as given")]
    edtf: Annotated[str, Doc("the same as EDTF")]
    window: Annotated[WindowPayload, Doc("half-open")]
    status: Annotated[str, Doc("how far away or how long past it is today, in words")]
    days: Annotated[int | None, Doc("calendar days from today to its last day; negative once it has passed")]
    rank: Annotated[str, Doc("the rank of the claim", enum=list(Rank))]
    live: Annotated[bool, Doc("false for one that never reminds")]
    headline: Annotated[bool, Doc("whether the message is about this one")]
    note: Annotated[str, Doc("as in the file")]
    derived: Annotated[str, Doc("how it was computed, for a relative deadline")]
    accounts: Annotated[list[AccountPayload], Doc("the sources that state the window")]


class DonePayload(TypedDict):
    """When a milestone was done."""

    on: Annotated[str, Doc("a local date", format="date")]
    evidence: Annotated[str, Doc("where that can be seen")]


class ValuePayload(TypedDict):
    """One window, and who states it."""

    phrase: Annotated[str, Doc("by when, as given")]
    edtf: Annotated[str, Doc("the same as EDTF")]
    accounts: Annotated[list[str], Doc("in whose words")]
    sources: Annotated[list[str], Doc("the same as ids of the file")]


MovedPayload = TypedDict(
    "MovedPayload",
    {
        "from": Annotated[list[ValuePayload], Doc("the windows before")],
        "to": Annotated[list[ValuePayload], Doc("the windows after")],
    },
)
MovedPayload.__doc__ = "The windows of a milestone before and after a move."


class ActionPayload(TypedDict):
    """A link to a form on alertd's own page."""

    kind: Annotated[str, Doc("acknowledge, snooze or done")]
    label: Annotated[str, Doc("what a button says")]
    url: Annotated[str, Doc("the address of a form; anybody who has it can act")]


class ItemPayload(SentFields):
    """One milestone of the message."""

    milestone: Annotated[str, Doc("full id", pattern="/")]
    timeline: Annotated[str, Doc("the timeline's id")]
    timeline_title: Annotated[str, Doc("the timeline's title")]
    title: Annotated[str, Doc("as in the file")]
    cause: Annotated[str, Doc("why the message exists", enum=list(Cause))]
    offset: Annotated[str, Doc("which reminder it is, such as -7d, 0d, +1d or opens")]
    state: Annotated[str, Doc("the state of the milestone", enum=[state.name.lower() for state in State])]
    contested: Annotated[bool, Doc("its live claims of best rank differ")]
    tentative: Annotated[bool, Doc("agreed but not signed")]
    revision: Annotated[int, Doc("raised each time that its dates change", minimum=1)]
    zone: Annotated[str, Doc("its time zone")]
    tone: Annotated[str, Doc("how urgent it looks", enum=list(Tone))]
    badge: Annotated[str, Doc("how far away, in two or three words")]
    phrase: Annotated[str, Doc("by when, as given")]
    headline: Annotated[str, Doc("one sentence without its full stop")]
    details: Annotated[list[str], Doc("further sentences")]
    contradiction: Annotated[str, Doc("the live claims that contradict each other, as a sentence")]
    moved: Annotated[MovedPayload | None, Doc("for a move, the windows before and after")]
    done: Annotated[DonePayload | None, Doc("once done, when and where that can be seen")]
    late: Annotated[str, Doc("how late the reminder is and why; empty when on time")]
    next: Annotated[str, Doc("when the next reminder comes")]
    why: Annotated[str, Doc("why this receiver gets it")]
    claims: Annotated[list[ClaimPayload], Doc("each window once, deprecated claims last")]
    keys: Annotated[list[str], Doc("the keys of the occurrences that this item reports")]
    section: Annotated[str, Doc("in a digest, the heading above it")]
    page: Annotated[str, Doc("its page on alertd's own web server")]
    actions: Annotated[list[ActionPayload], Doc("what can be done about it there")]


class DataPayload(TypedDict):
    """The message."""

    id: Annotated[str, Doc("the delivery's id", pattern="^msg_[0-9A-Za-z]+$")]
    composed: Annotated[InstantZ, Doc("when this was composed; its numbers of days count from then")]
    receiver: Annotated[str, Doc("the receiver's name")]
    channel: Annotated[str, Doc("receiver/notifier")]
    subject: Annotated[str, Doc("a line for a subject or a notification", maxLength=150)]
    intro: Annotated[str, Doc("the receiver that could not be reached, when this receiver replaces it")]
    page: Annotated[str, Doc("the start page of alertd's own web server; empty when none is served")]
    lines: Annotated[list[str], Doc("the text of a notice or a test")]
    items: Annotated[list[ItemPayload], Doc("the milestones, the most urgent first")]


class WebhookPayload(TypedDict):
    """The body of a webhook in the format `alertd`."""

    version: Annotated[int, Doc("raised when a name changes its meaning or goes", const=VERSION)]
    type: Annotated[str, Doc("what the message is about", enum=list(TYPES))]
    timestamp: Annotated[InstantZ, Doc("when the delivery was written down; the same at every attempt")]
    data: Annotated[DataPayload, Doc("the message")]


def encode_body(message: Message) -> bytes:
    """Encode the body: one line of JSON with its keys in a fixed order. Equal messages give equal bytes.

    The number of attempts is not in the body. A retry composes the message again, so that its numbers of days
    are right. Therefore ``data.composed`` and the texts that count from it may differ under the same id.
    ``timestamp`` does not differ.
    """
    return encode_json(build_payload(message))


def build_payload(message: Message) -> WebhookPayload:
    """Build the body as values. ``data.id`` is the delivery's id, the same as in the header."""
    return {
        "version": VERSION,
        "type": find_type(message),
        "timestamp": format_instant(message.since),
        "data": {
            "id": message.id,
            "composed": format_instant(message.at),
            "receiver": message.receiver,
            "channel": message.channel,
            "subject": message.subject,
            "intro": message.intro,
            "page": message.page,
            "lines": list(message.lines),
            "items": [build_item(item) for item in message.items],
        },
    }


def find_type(message: Message) -> str:
    """Return the type: ``milestone.`` and the cause, or another one such as ``milestones.digest``."""
    match message.kind:
        case Kind.SINGLE:
            return f"milestone.{message.items[0].cause.value}"
        case Kind.MANY:
            return "milestones.many"
        case Kind.DIGEST:
            return "milestones.digest"
        case Kind.NOTICE:
            return "alertd.notice"
        case Kind.TEST:
            return "alertd.test"


def format_instant(at: datetime) -> str:
    """Format an aware instant as ``2026-11-24T06:00:00Z``. Fractions appear only if they are not zero."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def build_item(item: Item) -> ItemPayload:
    """One milestone of the body."""
    return {
        "milestone": item.milestone,
        "timeline": item.timeline,
        "timeline_title": item.timeline_title,
        "title": item.title,
        **_fields(item),
        "cause": item.cause.value,
        "offset": item.offset,
        "state": item.state.name.lower(),
        "contested": item.contested,
        "tentative": item.tentative,
        "revision": item.revision,
        "zone": item.zone,
        "tone": item.tone.value,
        "badge": item.badge,
        "phrase": item.phrase,
        "headline": item.headline,
        "details": list(item.sentences),
        "contradiction": item.contradiction,
        "moved": _move(item.move),
        "done": _done(item),
        "late": item.late,
        "next": item.next,
        "why": item.why,
        "claims": [_claim(claim) for claim in item.claims],
        "keys": list(item.keys),
        "section": item.section,
        "page": item.page,
        "actions": [
            {"kind": action.kind, "label": action.label, "url": action.url} for action in item.actions
        ],
    }


def _fields(item: Item) -> SentFields:
    facts = make_field_facts(item.fields)
    sent = {name: value for name, value in facts.items() if value or name in ALWAYS_SENT}
    return cast(SentFields, sent)


def _move(move: Move | None) -> MovedPayload | None:
    if move is None:
        return None
    return {"from": [_value(value) for value in move.before], "to": [_value(value) for value in move.after]}


def _value(value: Value) -> ValuePayload:
    return {
        "phrase": value.phrase,
        "edtf": value.edtf,
        "accounts": list(value.accounts),
        "sources": list(value.source_ids),
    }


def _done(item: Item) -> DonePayload | None:
    if item.done_on is None:
        return None
    return {"on": item.done_on.isoformat(), "evidence": item.evidence}


def _claim(claim: ClaimLine) -> ClaimPayload:
    return {
        "phrase": claim.phrase,
        "edtf": claim.edtf,
        "window": {"begins": _instant_or_none(claim.begins), "ends": _instant_or_none(claim.ends)},
        "status": claim.status,
        "days": claim.days,
        "rank": claim.rank,
        "live": claim.live,
        "headline": claim.headline,
        "note": claim.note,
        "derived": claim.derived,
        "accounts": [_account(account) for account in claim.accounts],
    }


def _instant_or_none(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _account(account: Account) -> AccountPayload:
    return {
        "id": account.id,
        "who": account.who,
        "brief": account.brief,
        "publisher": account.publisher,
        "published": account.published,
        "url": account.url,
    }
