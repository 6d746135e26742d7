"""A message as every channel gets it: facts and sentences, before any markup.

``core/message/compose.py`` makes it; the notifiers render it. Everything a reader sees is text that has
been worded already; everything a program wants is beside it as a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from alertd.core.ledger.records import Move
from alertd.core.milestones.fields import FieldValues
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import Cause


class Kind(StrEnum):
    """Which layout to use."""

    SINGLE = "single"
    MANY = "many"
    DIGEST = "digest"
    NOTICE = "notice"
    TEST = "test"


class Tone(StrEnum):
    """How urgent it looks: a colour, an icon, a priority."""

    CALM = "calm"
    SOON = "soon"
    LATE = "late"
    MOVED = "moved"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who says so. ``published`` is worded, such as ``8 September 2024``."""

    id: str
    who: str
    brief: str
    publisher: str = ""
    published: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """One window that somebody states, and where it stands today.

    Attributes:
        phrase: as it was given: ``by September 2026``; never a made-up day.
        edtf: the same as canonical EDTF.
        status: ``passed 55 days ago``, ``due in 37 days``, ``not counted``; once it is
            done, ``done 3 days after``; "" for what has no end.
        window_id: as in :class:`alertd.core.deadline.Window`.
        days: calendar days from today to the last day of the window; negative once it has passed.
        begins, ends: the half-open window as aware UTC instants; None where it has no bound.
        live: False for a deprecated claim, which never reminds and is still shown.
        headline: whether the message is about this one.
    """

    phrase: str
    edtf: str
    status: str
    window_id: str = ""
    accounts: tuple[Account, ...] = ()
    days: int | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    rank: str = "normal"
    note: str = ""
    derived: str = ""
    live: bool = True
    headline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A link that opens a form on alertd's own page; following it changes nothing by itself.

    Attributes:
        kind: ``acknowledge``, ``snooze`` or ``done``.
        label: what a button says, such as ``Acknowledge``.
        url: signed, bound to the milestone and the action, and it expires: whoever has it can act.
    """

    kind: str
    label: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One milestone in a message.

    Attributes:
        headline: one sentence without a full stop: how far away or how long past, on whose word.
        phrase: what it is about, as given: ``by September 2026``.
        badge: the same in two or three words: ``in 37 days``, ``55 days past``, ``moved``.
        details: further sentences in the order to be read, each with its full stop: what has
            begun, what was before.
        caveat: that it is tentative, a sentence with its full stop; "" when it is not.
        contradiction: the live claims that contradict each other, a sentence, for a channel that
            does not list the claims; "" when it is not contested.
        fields: what its file says of it, to be shown as :mod:`alertd.core.milestones.fields` lists it.
        route_labels: everything that a route matches: its own labels, and those of
            :mod:`alertd.core.routing.labels`.
        move: for the cause ``moved``, what it was and what it is.
        done_on, evidence: for the cause ``done``.
        late: how late this reminder is and why, a sentence; "" when it is on time.
        next: when the next reminder comes, a sentence; "" when there is none.
        why: why this receiver gets it, a sentence.
        claims: live ones first, each distinct window once; deprecated ones last.
        keys: the occurrences that this item stands for.
        section: the heading that it stands under in a digest, such as ``Overdue``; items of one
            section follow each other. "" in any other message.
        page: its page on alertd's own web server; "" when nobody serves one.
        actions: what can be done about it from there, in the order of the buttons.
    """

    milestone: str
    timeline: str
    timeline_title: str
    title: str
    cause: Cause
    offset: str
    state: State
    tone: Tone
    headline: str
    phrase: str
    badge: str
    revision: int
    zone: str
    details: tuple[str, ...] = ()
    caveat: str = ""
    contradiction: str = ""
    late: str = ""
    next: str = ""
    why: str = ""
    claims: tuple[ClaimLine, ...] = ()
    contested: bool = False
    tentative: bool = False
    fields: FieldValues = field(default_factory=dict)
    route_labels: Mapping[str, str] = field(default_factory=dict)
    move: Move | None = None
    done_on: date | None = None
    evidence: str = ""
    keys: tuple[str, ...] = ()
    section: str = ""
    page: str = ""
    actions: tuple[ActionLink, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The details and the caveat, in the order to be read."""
        return (*self.details, self.caveat) if self.caveat else self.details


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one notifier is to send.

    Attributes:
        id: the delivery's public id, the same over retries.
        subject: at most 150 characters, for a subject line or a notification.
        intro: a sentence above the items of a message about many, or of one that stands in for
            another receiver's; "" otherwise.
        page: the start page of alertd's own web server; "" when nobody serves one.
        at: when it was composed, an aware UTC instant: what "in 37 days" counts from.
        since: when the delivery was written down, an aware UTC instant; the same over retries.
        attempt: from 1.
        lines: the body of a notice or a test, a sentence each.
    """

    id: str
    receiver: str
    channel: str
    kind: Kind
    subject: str
    at: datetime
    since: datetime
    attempt: int = 1
    intro: str = ""
    page: str = ""
    items: tuple[Item, ...] = ()
    lines: tuple[str, ...] = ()
