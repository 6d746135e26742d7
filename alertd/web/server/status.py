"""Describes the state of alertd on every page: as of when, the next reminder, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.ledger.records import Record
from alertd.core.time.instant import UTC_ZONE
from alertd.core.words import format_count, format_instant, make_sentence, phrase_offset
from alertd.web.server.context import Site

STALE_AFTER = timedelta(minutes=10)
"""A page that is older is shown in grey. A running daemon writes to the ledger several times a minute."""

MOST_TROUBLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NextReminder:
    """The next reminder."""

    when: str
    milestone: str
    title: str
    which: str
    receiver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStatus:
    """The state of alertd, as a page shows it.

    Attributes:
        is_stale: the content of the page may be out of date.
        troubles: the problems, a sentence each.
    """

    as_of: datetime
    as_of_text: str
    is_stale: bool
    next: NextReminder | None
    troubles: tuple[str, ...]


def find_zone(site: Site) -> ZoneInfo:
    """Return the time zone for days that belong to no milestone: the one of ``alertd.yaml``, or UTC."""
    return site.config.zone if site.config else UTC_ZONE


async def describe_status(site: Site, as_of: datetime) -> PageStatus:
    """Describe the state of alertd for a page.

    Args:
        as_of: the instant as of which the page shows the milestones, in UTC.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    coming = await site.ledger.read_upcoming(1)
    upcoming = None
    if coming:
        records = await site.ledger.read_records_by_id([coming[0].milestone])
        record = records.get(coming[0].milestone)
        zone = record.milestone.zone if record else UTC_ZONE
        upcoming = NextReminder(
            when=format_instant(coming[0].wake_at, zone),
            milestone=coming[0].milestone,
            title=_find_title(record) or coming[0].milestone,
            which=phrase_offset(coming[0].offset),
            receiver=coming[0].receiver,
        )
    now = site.clock.now()
    troubles = tuple(_list_troubles(site))
    return PageStatus(
        as_of=as_of,
        as_of_text=format_instant(as_of, find_zone(site)),
        is_stale=now - as_of > STALE_AFTER
        or site.daemon_status().ledger_failing
        or bool(site.daemon_status().current)
        or not site.daemon_status().is_well,
        next=upcoming,
        troubles=troubles[:MOST_TROUBLES]
        + ((f"And {len(troubles) - MOST_TROUBLES} more.",) if len(troubles) > MOST_TROUBLES else ()),
    )


def _find_title(record: Record | None) -> str:
    return record.milestone.title if record else ""


def _list_troubles(site: Site) -> Iterator[str]:
    daemon_status = site.daemon_status()
    if daemon_status.ledger_failing:
        yield "The daemon cannot use the ledger at the moment: nothing is sent."
    yield from (make_sentence(str(finding)) for finding in daemon_status.findings)
    if daemon_status.audit is None:
        return
    if not daemon_status.is_well and daemon_status.audit.is_sound and not daemon_status.current:
        audited = format_instant(daemon_status.audit.at, UTC_ZONE)
        yield f"The daemon has not looked after itself since {audited}."
    if daemon_status.problems:
        problems = format_count(len(daemon_status.problems), "problem")
        yield f"{problems} in the files: `alertd check` names them."
    yield from (f"{channel} does not answer." for channel in daemon_status.paused)
