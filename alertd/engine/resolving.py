"""Resolves the relative deadlines of some timelines, without the milestones of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from alertd.core.config import Definitions, Timeline, list_milestones
from alertd.core.ledger.records import Record
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import resolve

ReadTimeline = Callable[[Timeline], Awaitable[Timeline]]
"""Reads the milestones of a timeline that are not in memory. It raises TimelineUnread if the file cannot be
read, or is not the file any more that was loaded."""


class RecordReader(Protocol):
    """Reads records of the ledger."""

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """As :meth:`alertd.ports.MilestoneLookup.read_records_by_id`."""


async def keep_in_memory(timeline: Timeline) -> Timeline:
    """Return a timeline whose milestones are in memory."""
    return timeline


async def resolve_timelines(  # noqa: PLR0917  the files, and what the ledger has
    ledger: RecordReader,
    read: ReadTimeline,
    definitions: Definitions,
    group: Sequence[Timeline],
    done: Mapping[str, date],
    known: Mapping[str, Milestone],
) -> dict[str, Milestone]:
    """Resolve the relative deadlines of some timelines, whose milestones are in memory.

    Bases in other timelines are those of ``known``, else as the ledger has them: timelines that are in line,
    and those of broken files. A base that the ledger cannot read is read from its file. One that is in no
    file any more gives no date.

    Args:
        definitions: all timelines.
        done: all done dates by full id.
        known: resolved milestones by full id.

    Returns:
        The milestones of ``group``, and the bases that they count from, by full id.

    Raises:
        TimelineUnread: a file cannot be read again.
        ValueError: a deadline cannot be computed.
    """
    milestones = list_milestones(group)
    found: dict[str, Milestone] = {}
    waiting, looked_at = [*group], {timeline.id for timeline in group}
    while waiting:
        missing = {base for timeline in waiting for base in timeline.bases}
        missing -= milestones.keys() | found.keys()
        found |= {base: known[base] for base in missing & known.keys()}
        missing -= found.keys()
        if missing:
            records = await ledger.read_records_by_id(sorted(missing))
            found |= {name: record.milestone for name, record in records.items() if not record.withdrawn}
        unknown = {base.partition("/")[0] for base in missing - found.keys()} - looked_at
        looked_at |= unknown
        waiting = [await read(timeline) for timeline in definitions.timelines if timeline.id in unknown]
        milestones |= list_milestones(waiting)
    return resolve(found | milestones, done)
