"""What every page says of itself: as of when it is, what comes next, and what is wrong with alertd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.ledger.records import Record
from alertd.core.words import count, instant_text, offset_words, sentence
from alertd.web.server.context import Site

UTC_ZONE = ZoneInfo("UTC")
STALE_AFTER = timedelta(minutes=10)
"""What is older than this is grey: the ledger is written to each minute while a daemon runs."""

MOST_TROUBLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NextReminder:
    """The next one: when, of what, to whom."""

    when: str
    milestone: str
    title: str
    which: str
    receiver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStatus:
    """See the module.

    Attributes:
        is_stale: what is shown may no longer be so.
        troubles: what is wrong, a sentence each.
    """

    as_of: datetime
    as_of_text: str
    is_stale: bool
    next: NextReminder | None
    troubles: tuple[str, ...]


def zone_of(site: Site) -> ZoneInfo:
    """What days are counted in where no milestone says: that of ``alertd.yaml``."""
    return site.config.zone if site.config else UTC_ZONE


async def standing_of(site: Site, as_of: datetime) -> PageStatus:
    """How the site stands.

    Raises:
        LedgerError: it cannot be read.
    """
    coming = await site.ledger.coming(1)
    upcoming = None
    if coming:
        record = await site.ledger.record(coming[0].milestone)
        zone = record.milestone.zone if record else UTC_ZONE
        upcoming = NextReminder(
            when=instant_text(coming[0].wake_at, zone),
            milestone=coming[0].milestone,
            title=_title(record) or coming[0].milestone,
            which=offset_words(coming[0].offset),
            receiver=coming[0].receiver,
        )
    now = site.clock.now()
    troubles = tuple(_troubles(site))
    return PageStatus(
        as_of=as_of,
        as_of_text=instant_text(as_of, zone_of(site)),
        is_stale=now - as_of > STALE_AFTER
        or site.daemon_status().ledger_failing
        or not site.daemon_status().is_well,
        next=upcoming,
        troubles=troubles[:MOST_TROUBLES]
        + ((f"And {len(troubles) - MOST_TROUBLES} more.",) if len(troubles) > MOST_TROUBLES else ()),
    )


def _title(record: Record | None) -> str:
    return record.milestone.title if record else ""


def _troubles(site: Site) -> Iterator[str]:
    daemon_status = site.daemon_status()
    if daemon_status.ledger_failing:
        yield "The daemon cannot use the ledger at the moment: nothing is sent."
    if daemon_status.audit is None:
        return
    yield from (sentence(str(finding)) for finding in daemon_status.audit.findings)
    if not daemon_status.is_well and daemon_status.audit.is_sound:
        audited = instant_text(daemon_status.audit.at, UTC_ZONE)
        yield f"The daemon has not looked after itself since {audited}."
    if daemon_status.problems:
        yield f"{count(len(daemon_status.problems), 'problem')} in the files: `alertd check` names them."
    yield from (f"{channel} does not answer." for channel in daemon_status.paused)
