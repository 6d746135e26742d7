"""What was sent, and what moved, for a feed reader: an Atom document (RFC 4287).

Each id is a tag (RFC 4151) that stays the same for as long as the ledger has what it stands for. All text is
plain: nothing of it is markup to anybody who reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from alertd import __version__
from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Move, Record, ScheduledReminder, Value
from alertd.core.message.digest import digest_words
from alertd.core.message.headlines import moved_headline
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.words import capital, count, instant_text, offset_words, sentence
from alertd.notify.render.clean import MAX_PARAGRAPH, MAX_TITLE, line
from alertd.web.pages.status import UTC_ZONE

NAMESPACE = "http://www.w3.org/2005/Atom"
MOST = 50
"""Of each kind, the newest."""

MOST_ABOUT = 50
"""Milestones that one entry names."""

MINTED = 2026
"""The year of the tags: in it their domain belonged to whom it does now."""

# What XML 1.0 has no character for, beside what `line` takes out (section 2.2).
_NO_CHARACTER = re.compile("[\ufffe\uffff]")

Sent = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """One entry.

    Attributes:
        id: what the tag is made of.
        page: a path of this site.
        about: what it is filed under.
    """

    id: str
    title: str
    at: datetime
    lines: Sequence[str]
    page: str
    about: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAddress:
    """Where the document stands.

    Attributes:
        timeline: its id; "" for the feed of all.
        title: of the feed.
        host: the domain of the tags, in ASCII.
        base: what addresses begin with; "": there are no links.
        path: of this very document; "" where it is not to be written down.
        since: as of when it is while there is nothing in it.
    """

    timeline: str
    title: str
    host: str
    base: str
    path: str
    since: datetime


def document(entries: Sequence[FeedItem], place: FeedAddress) -> bytes:
    """The document, in UTF-8."""
    feed = Element("feed", xmlns=NAMESPACE)
    _text(feed, "id", _tag(place.host, f"feed/{place.timeline}"))
    _text(feed, "title", line(place.title, MAX_TITLE))
    _text(feed, "updated", _stamp(max((one.at for one in entries), default=place.since)))
    _text(SubElement(feed, "author"), "name", "alertd")
    _text(feed, "generator", "alertd").set("version", __version__)
    if place.base:
        _link(feed, "alternate", f"{place.base}/", "text/html")
        if place.path:
            _link(feed, "self", place.base + place.path, "application/atom+xml")
    for one in sorted(entries, key=lambda one: (one.at, one.id), reverse=True):
        entry = SubElement(feed, "entry")
        _text(entry, "id", _tag(place.host, one.id))
        _text(entry, "title", line(one.title, MAX_TITLE))
        _text(entry, "updated", _stamp(one.at))
        if place.base:
            _link(entry, "alternate", place.base + one.page, "text/html")
        for name in one.about:
            SubElement(entry, "category", term=name)
        said = "\n".join(line(text, MAX_PARAGRAPH) for text in one.lines)
        _text(entry, "content", said).set("type", "text")
    made: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return made


def told_of_sent(found: Sent, records: Mapping[str, Record]) -> FeedItem:
    """A delivery: what it told of which milestones, to whom.

    Args:
        records: those of the milestones that are known still, by full id.
    """
    delivery, _, members = found
    by_milestone: dict[str, list[ScheduledReminder]] = {}
    for owed in members:
        by_milestone.setdefault(owed.milestone, []).append(owed)
    at = delivery.settled_at or delivery.bound_at
    lines = [
        sentence(_said(owed, records.get(name))) for name, owed in list(by_milestone.items())[:MOST_ABOUT]
    ]
    if delivery.notice is not None:
        lines = list(delivery.notice.lines)
    names = list(by_milestone)
    return FeedItem(
        id=f"delivery/{delivery.id}",
        title=_title(delivery, by_milestone, records),
        at=at,
        lines=[*lines, f"Sent to {delivery.receiver} by {delivery.channel}."],
        page=f"/milestones/{names[0]}" if len(names) == 1 else f"/deliveries/{delivery.id}",
        about=list(dict.fromkeys(name.partition("/")[0] for name in names)),
    )


def told_of_moved(entry: HistoryEntry, record: Record | None) -> FeedItem:
    """A move."""
    zone = record.milestone.zone if record else UTC_ZONE
    headline = moved_headline(_move_of(entry, record))
    return FeedItem(
        id=f"move/{fingerprint('move', entry.milestone, entry.at.isoformat())}",
        title=f"{headline}: {_name(entry.milestone, record)}",
        at=entry.at,
        lines=[sentence(headline), f"Seen on {instant_text(entry.at, zone)}."],
        page=f"/milestones/{entry.milestone}",
        about=[entry.milestone.partition("/")[0]],
    )


def _move_of(entry: HistoryEntry, record: Record | None) -> Move:
    """What the history keeps of a move, with whose word it is as far as that still stands."""
    accounts = {one.window_id: one.accounts for one in record.values} if record else {}

    def values(name: str) -> tuple[Value, ...]:
        windows, phrases = (entry.facts.get(fact, "").split("; ") for fact in (f"{name}_windows", name))
        return tuple(
            Value(window_id=window, edtf="", phrase=phrase, accounts=accounts.get(window, ()))
            for window, phrase in zip(windows, phrases, strict=False)
            if window
        )

    return Move(before=values("from"), after=values("to"))


def _title(
    delivery: Delivery, by_milestone: Mapping[str, Sequence[ScheduledReminder]], records: Mapping[str, Record]
) -> str:
    if delivery.notice is not None:
        return delivery.notice.headline
    if delivery.edition is not None:
        return capital(digest_words(delivery))
    if len(by_milestone) == 1:
        ((name, owed),) = by_milestone.items()
        return _said(owed, records.get(name))
    return f"{count(len(by_milestone), 'deadline')}: " + ", ".join(
        _name(name, records.get(name)) for name in by_milestone
    )


def _said(owed: Sequence[ScheduledReminder], record: Record | None) -> str:
    """``7 days before the deadline, by September 2026: Forces leave``."""
    which = "; ".join(dict.fromkeys(_which(one, record) for one in owed))
    return f"{capital(which)}: {_name(owed[0].milestone, record)}"


def _which(owed: ScheduledReminder, record: Record | None) -> str:
    if owed.cause is Cause.MOVED and owed.move is not None:
        return moved_headline(owed.move)
    if owed.cause is Cause.DONE:
        return "done"
    phrases = {one.window_id: one.phrase for one in record.values} if record else {}
    return ", ".join(filter(None, (offset_words(owed.offset), phrases.get(owed.window_id, ""))))


def _name(milestone: str, record: Record | None) -> str:
    return record.milestone.title if record else milestone


def _tag(host: str, specific: str) -> str:
    return f"tag:{host},{MINTED}:alertd/{specific}"


def _stamp(at: datetime) -> str:
    """RFC 3339, in UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _text(parent: Element, name: str, text: str) -> Element:
    made = SubElement(parent, name)
    made.text = _NO_CHARACTER.sub("", text)
    return made


def _link(parent: Element, rel: str, href: str, kind: str) -> None:
    SubElement(parent, "link", rel=rel, href=href, type=kind)
