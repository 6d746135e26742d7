"""Edits a digest: its items under the headings overdue, coming up, moved and done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.ledger.records import Delivery, Lease, ScheduledReminder
from alertd.core.message.item import ItemContext, make_item, rank_item
from alertd.core.message.message import Item, Tone
from alertd.core.message.reasons import LATE_FROM, make_why_sentence
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.overview import OverviewScope, find_overview_reminder
from alertd.core.routing.digest import DigestIssue
from alertd.core.routing.route import Route
from alertd.core.time.instant import to_local_date
from alertd.core.words import format_count, format_day, format_instant, format_span


class Section(StrEnum):
    """The sections of a digest, in their order."""

    OVERDUE = "overdue"
    COMING = "coming"
    MOVED = "moved"
    DONE = "done"


HEADINGS = {
    Section.OVERDUE: "Overdue",
    Section.COMING: "Coming up",
    Section.MOVED: "Moved",
    Section.DONE: "Done",
}
_ORDER = tuple(Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestContents:
    """The contents of a digest's message."""

    subject: str
    intro: str
    items: tuple[Item, ...]
    lines: tuple[str, ...]


def edit_digest(
    lease: Lease,
    edition: DigestIssue,
    members: Sequence[ScheduledReminder],
    now: datetime,
    around: ItemContext,
) -> DigestContents:
    """Edit the digest of a leased delivery as of now.

    Args:
        members: the members that may still be sent.
        now: an aware UTC instant.
        around: the contents of the digest that are not in the lease.
    """
    by_milestone: dict[str, list[ScheduledReminder]] = {}
    for owed in members:
        by_milestone.setdefault(owed.milestone, []).append(owed)
    delivery = lease.delivery
    items = [
        replace(make_item(lease.records[name], owed, delivery, now, around), late="")
        for name, owed in by_milestone.items()
    ]
    items += [
        _make_overview_item(lease, owed, now, around)
        for owed in _list_shown(lease, edition, around.route, now)
        if owed.milestone not in by_milestone
    ]
    items.sort(key=lambda item: (_ORDER.index(_find_section(item)), *rank_item(item)))
    items = [replace(item, section=HEADINGS[_find_section(item)]) for item in items]
    lines = []
    if edition.more:
        lines.append(f"{edition.more:,} more are overdue or coming up and are not listed here.")
    if not items:
        return DigestContents(
            subject="Digest: nothing overdue, nothing coming up",
            intro=_describe_delay(edition, now),
            items=(),
            lines=(f"Nothing is overdue, {_describe_range(edition, 'nothing', 'nothing')}.", *lines),
        )
    intro = " ".join(
        part
        for part in (
            f"What is overdue, {_describe_range(edition, 'what', 'what')}.",
            _describe_delay(edition, now),
        )
        if part
    )
    return DigestContents(subject=_make_subject(items), intro=intro, items=tuple(items), lines=tuple(lines))


def has_content(lease: Lease, root: Route, now: datetime) -> bool:
    """Tell whether a digest has content even if none of its members may be sent.

    Args:
        root: the root route.
        now: an aware UTC instant.
    """
    edition = lease.delivery.edition
    if edition is None:
        return False
    return edition.even_if_empty or any(_list_shown(lease, edition, root, now))


def _list_shown(
    lease: Lease, edition: DigestIssue, root: Route, now: datetime
) -> Iterator[ScheduledReminder]:
    """List the reminders of the overview that are still true."""
    delivery = lease.delivery
    whose = delivery.fallback_for.partition("/")[0] or delivery.receiver
    scope = OverviewScope(receiver=whose, name=edition.name, root=root)
    for name in edition.overview:
        record = lease.records.get(name)
        owed = find_overview_reminder(record, scope, now, edition.until) if record is not None else None
        if owed is not None:
            yield owed


def _make_overview_item(lease: Lease, owed: ScheduledReminder, now: datetime, around: ItemContext) -> Item:
    record, delivery = lease.records[owed.milestone], lease.delivery
    item = make_item(record, [owed], delivery, now, around)
    because = "it is overdue" if _find_section(item) is Section.OVERDUE else "it is coming up"
    why = make_why_sentence(owed, delivery, because)
    return replace(item, late="", keys=(), why=why)


def _find_section(item: Item) -> Section:
    """Find the section of an item: by its cause for news, and by its current status for anything else."""
    match item.cause:
        case Cause.MOVED:
            return Section.MOVED
        case Cause.DONE:
            return Section.DONE
        case _:
            return Section.OVERDUE if item.tone is Tone.LATE else Section.COMING


def _make_subject(items: Sequence[Item]) -> str:
    """Make a subject such as ``Digest: 1 overdue, 2 coming up, 1 moved``."""
    found = Counter(_find_section(item) for item in items)
    counts = [(found[section], HEADINGS[section].lower()) for section in _ORDER]
    return "Digest: " + ", ".join(f"{number:,} {name}" for number, name in counts if number)


def _describe_range(edition: DigestIssue, coming: str, changed: str) -> str:
    """Describe the range of a digest: ``what comes in the next 14 days, and what has changed since ...``."""
    zone = ZoneInfo(edition.zone)
    days = (
        to_local_date(edition.until, zone) - to_local_date(edition.at, zone)
    ).days - 1  # ``until`` is exclusive
    since = format_day(to_local_date(edition.since, zone))
    return f"{coming} comes in the next {format_count(days, 'day')}, and {changed} has changed since {since}"


def _describe_delay(edition: DigestIssue, now: datetime) -> str:
    late = now - edition.at
    if late < LATE_FROM:
        return ""
    due = format_instant(edition.at, ZoneInfo(edition.zone))
    return f"This digest was due on {due} and comes {format_span(late)} late."


def name_digest(delivery: Delivery) -> str:
    """Name a digest by its local date: ``the digest of 5 October 2026``; "" if the delivery is no digest."""
    edition = delivery.edition
    return f"the digest of {format_day(to_local_date(edition.at, ZoneInfo(edition.zone)))}" if edition else ""
