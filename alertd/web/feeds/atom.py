"""Makes the Atom feed (RFC 4287) of sent reminders and of moves.

The id of each entry is a tag URI (RFC 4151), and stays the same for as long as the ledger keeps the delivery
or the move. All text is plain text, so no reader takes any of it for markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from alertd import __version__
from alertd.core.ledger.moves import MoveSide, read_windows
from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Move, Record, ScheduledReminder, Value
from alertd.core.message.digest import name_digest
from alertd.core.message.headlines import make_move_headline
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.time.instant import UTC_ZONE
from alertd.core.words import capitalize, format_count, format_instant, make_sentence, phrase_offset
from alertd.notify.render.clean import MAX_PARAGRAPH, MAX_TITLE, clean_line

NAMESPACE = "http://www.w3.org/2005/Atom"
MOST = 50
"""How many deliveries and how many moves a feed has: the newest ones."""

MOST_ABOUT = 50
"""How many milestones one entry names."""

MINTED = 2026
"""The year in the tag URIs: a year in which the domain already belonged to its present owner (RFC 4151)."""

# XML 1.0 (section 2.2) does not allow these characters, and `line` does not remove them.
_NO_CHARACTER = re.compile("[\ufffe\uffff]")

Sent = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """One entry of the feed.

    Attributes:
        id: the specific part of the tag URI.
        page: the path of the page that the entry links to.
        about: the categories of the entry: the ids of its timelines.
    """

    id: str
    title: str
    at: datetime
    lines: Sequence[str]
    page: str
    about: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAddress:
    """Where a feed is published.

    Attributes:
        timeline: the id of the timeline; "" for the feed of all timelines.
        title: the title of the feed.
        host: the domain in the tag URIs, in ASCII.
        base: the beginning of all links, such as ``https://alerts.example.com``; "" for a feed without links.
        path: the path of the feed itself; "" to leave it out, because it contains a secret.
        since: the time of the last update that a feed without entries reports, in UTC.
    """

    timeline: str
    title: str
    host: str
    base: str
    path: str
    since: datetime


def make_document(entries: Sequence[FeedItem], place: FeedAddress) -> bytes:
    """Make the Atom document, in UTF-8. Its entries are sorted, the newest first."""
    feed = Element("feed", xmlns=NAMESPACE)
    _add_text(feed, "id", _make_tag(place.host, f"feed/{place.timeline}"))
    _add_text(feed, "title", clean_line(place.title, MAX_TITLE))
    _add_text(feed, "updated", _format_instant(max((told.at for told in entries), default=place.since)))
    _add_text(SubElement(feed, "author"), "name", "alertd")
    _add_text(feed, "generator", "alertd").set("version", __version__)
    if place.base:
        _add_link(feed, "alternate", f"{place.base}/", "text/html")
        if place.path:
            _add_link(feed, "self", place.base + place.path, "application/atom+xml")
    for told in sorted(entries, key=lambda told: (told.at, told.id), reverse=True):
        entry = SubElement(feed, "entry")
        _add_text(entry, "id", _make_tag(place.host, told.id))
        _add_text(entry, "title", clean_line(told.title, MAX_TITLE))
        _add_text(entry, "updated", _format_instant(told.at))
        if place.base:
            _add_link(entry, "alternate", place.base + told.page, "text/html")
        for name in told.about:
            SubElement(entry, "category", term=name)
        said = "\n".join(clean_line(text, MAX_PARAGRAPH) for text in told.lines)
        _add_text(entry, "content", said).set("type", "text")
    made: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return made


def describe_delivery(found: Sent, records: Mapping[str, Record]) -> FeedItem:
    """Describe a delivery: which milestones it was about, and to whom it was sent.

    Args:
        records: the records of the milestones by full id. Deleted ones may be missing.
    """
    delivery, _, members = found
    by_milestone: dict[str, list[ScheduledReminder]] = {}
    for owed in members:
        by_milestone.setdefault(owed.milestone, []).append(owed)
    at = delivery.settled_at or delivery.bound_at
    lines = [
        make_sentence(_describe_reminders(owed, records.get(name)))
        for name, owed in list(by_milestone.items())[:MOST_ABOUT]
    ]
    if delivery.notice is not None:
        lines = list(delivery.notice.lines)
    names = list(by_milestone)
    return FeedItem(
        id=f"delivery/{delivery.id}",
        title=_make_title(delivery, by_milestone, records),
        at=at,
        lines=[*lines, f"Sent to {delivery.receiver} by {delivery.channel}."],
        page=f"/milestones/{names[0]}" if len(names) == 1 else f"/deliveries/{delivery.id}",
        about=list(dict.fromkeys(name.partition("/")[0] for name in names)),
    )


def describe_move(entry: HistoryEntry, record: Record | None) -> FeedItem:
    """Describe a move of a milestone; its record is None if it has been deleted."""
    zone = record.milestone.zone if record else UTC_ZONE
    headline = make_move_headline(_read_move(entry, record))
    return FeedItem(
        id=f"move/{fingerprint('move', entry.milestone, entry.at.isoformat())}",
        title=f"{headline}: {_find_title(entry.milestone, record)}",
        at=entry.at,
        lines=[make_sentence(headline), f"Seen on {format_instant(entry.at, zone)}."],
        page=f"/milestones/{entry.milestone}",
        about=[entry.milestone.partition("/")[0]],
    )


def _read_move(entry: HistoryEntry, record: Record | None) -> Move:
    """Read a move from the history, and add the sources of each date that is still in the record."""
    accounts = {value.window_id: value.accounts for value in record.values} if record else {}

    def values(side: MoveSide) -> tuple[Value, ...]:
        return tuple(
            Value(window_id=window_id, edtf="", phrase=phrase, accounts=accounts.get(window_id, ()))
            for window_id, phrase in read_windows(entry, side).items()
        )

    return Move(before=values(MoveSide.BEFORE), after=values(MoveSide.AFTER))


def _make_title(
    delivery: Delivery, by_milestone: Mapping[str, Sequence[ScheduledReminder]], records: Mapping[str, Record]
) -> str:
    if delivery.notice is not None:
        return delivery.notice.headline
    if delivery.edition is not None:
        return capitalize(name_digest(delivery))
    if len(by_milestone) == 1:
        ((name, owed),) = by_milestone.items()
        return _describe_reminders(owed, records.get(name))
    return f"{format_count(len(by_milestone), 'deadline')}: " + ", ".join(
        _find_title(name, records.get(name)) for name in by_milestone
    )


def _describe_reminders(owed: Sequence[ScheduledReminder], record: Record | None) -> str:
    """Describe a milestone's reminders: ``7 days before the deadline, by September 2026: Forces leave``."""
    which = "; ".join(dict.fromkeys(_describe_cause(reminder, record) for reminder in owed))
    return f"{capitalize(which)}: {_find_title(owed[0].milestone, record)}"


def _describe_cause(owed: ScheduledReminder, record: Record | None) -> str:
    if owed.cause is Cause.MOVED and owed.move is not None:
        return make_move_headline(owed.move)
    if owed.cause is Cause.DONE:
        return "done"
    phrases = {value.window_id: value.phrase for value in record.values} if record else {}
    return ", ".join(filter(None, (phrase_offset(owed.offset), phrases.get(owed.window_id, ""))))


def _find_title(milestone: str, record: Record | None) -> str:
    return record.milestone.title if record else milestone


def _make_tag(host: str, specific: str) -> str:
    return f"tag:{host},{MINTED}:alertd/{specific}"


def _format_instant(at: datetime) -> str:
    """Format an instant in UTC by RFC 3339."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _add_text(parent: Element, name: str, text: str) -> Element:
    made = SubElement(parent, name)
    made.text = _NO_CHARACTER.sub("", text)
    return made


def _add_link(parent: Element, rel: str, href: str, kind: str) -> None:
    SubElement(parent, "link", rel=rel, href=href, type=kind)
