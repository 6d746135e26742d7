"""The message that every notifier gets: facts and sentences without markup.

``core/message/compose.py`` makes a message, and the notifiers render it. It contains every sentence that a
reader sees, and the same facts as plain values for programs.
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
    """The kind of a message, which decides its layout."""

    SINGLE = "single"
    MANY = "many"
    DIGEST = "digest"
    NOTICE = "notice"
    TEST = "test"


class Tone(StrEnum):
    """How urgent an item looks. Notifiers show it as a colour, an icon or a priority."""

    CALM = "calm"
    SOON = "soon"
    LATE = "late"
    MOVED = "moved"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A source of a claim. ``published`` is a date in words, such as ``8 September 2024``."""

    id: str
    who: str
    brief: str
    publisher: str = ""
    published: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """A claimed window and its status today.

    Attributes:
        phrase: the deadline as it was given, such as ``by September 2026``, and never a day that its source
            did not name.
        edtf: the deadline in canonical EDTF.
        status: ``passed 55 days ago``, ``due in 37 days`` or ``not counted``; ``done 3 days after`` if the
            milestone is done; "" for a window without an end.
        window_id: the id of the :class:`alertd.core.deadline.Window`.
        accounts: the sources of the claim.
        days: calendar days from today to the last day of the window; negative once it has passed.
        begins, ends: the half-open window as aware UTC instants; None where it has no bound.
        derived: how a relative deadline was computed, in words; "" for any other.
        live: False for a claim that never reminds, such as a deprecated one.
        headline: whether the message is about this window.
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
        label: the text of a button, such as ``Acknowledge``.
        url: the link with a signed token for this milestone and action. Anyone who has it can act until it
            expires.
    """

    kind: str
    label: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The part of a message about a milestone.

    Attributes:
        headline: a sentence without a full stop: the time left or passed, and the source.
        phrase: the deadline of the item as it was given, such as ``by September 2026``.
        badge: the headline in two or three words: ``in 37 days``, ``55 days past``, ``moved``.
        details: further sentences in their order, each with its full stop, such as the previous date.
        caveat: a sentence with its full stop that says that the milestone is tentative; "" if it is not.
        contradiction: a sentence about the live claims that contradict each other, for a channel that does
            not list the claims; "" if the milestone is not contested.
        fields: the values that the milestone shows, as :mod:`alertd.core.milestones.fields` lists them.
        route_labels: all labels that routes match: those of the milestone, and those of
            :mod:`alertd.core.routing.labels`.
        move: the windows before and after, for the cause ``moved``; None for other causes.
        done_on, evidence: the done date and its evidence, for the cause ``done``.
        late: a sentence that says how late the reminder is and why; "" if it is on time.
        next: a sentence that says when the next reminder comes; "" if it does not apply.
        why: a sentence that says why this receiver gets the item.
        claims: the live claims, each distinct window once, and then the deprecated ones.
        keys: the keys of the reminders that the item covers.
        section: the heading in a digest, such as ``Overdue``; "" in any other message. Items of the same
            section follow each other.
        page: the milestone's page on alertd's web server; "" if alertd serves no page.
        actions: the action links, in the order of the buttons.
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
        """The details and the caveat, in their order."""
        return (*self.details, self.caveat) if self.caveat else self.details


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The message that a notifier sends.

    Attributes:
        id: the delivery's public id, the same over retries.
        subject: at most 150 characters, for a subject line or a notification.
        at: when the message was composed, an aware UTC instant. Numbers of days count from it.
        since: when the ledger recorded the delivery, an aware UTC instant, which is the same over retries.
        attempt: the number of the attempt, from 1.
        intro: a sentence above the items of a digest or of a message that replaces one to another receiver;
            "" for any other.
        page: the start page of alertd's web server; "" if alertd serves no page.
        lines: the body of a notice or a test message, one sentence each.
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
