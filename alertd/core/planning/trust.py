"""Which timelines the ledger is in line with already, so that they are neither read nor compared.

A timeline is trusted if the ledger has its fingerprint, and nothing of the fingerprint has changed. A
timeline that counts from one that is not trusted is not trusted either, directly or through others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from alertd.core.config import Timeline
from alertd.core.ledger.fingerprint import TimelineFingerprint

TRUSTED_FOR = timedelta(days=30)
"""How long a timeline is trusted: well within the horizon, up to which the ledger has reminders."""

AGAIN_AFTER = timedelta(hours=20)
"""How long a timeline is left alone that the periodic reconciliation has reconciled, so that it is reconciled
once a day: its horizon moves on, and rows that were lost are written again."""

_TOLERANCE = timedelta(minutes=1)


class Trust(Enum):
    """Which timelines a reconciliation leaves alone, as long as nothing of them has changed."""

    RECONCILED = "reconciled"
    """Those that were reconciled within the last month."""
    RECENT = "recent"
    """Those that were reconciled within the last day."""
    NOTHING = "nothing"
    """None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What decides beside the file whether a timeline is trusted.

    Attributes:
        done: all done dates by full id.
        elsewhere: the receivers that only other nodes know.
        now: an aware UTC instant.
        in_doubt: ``now`` may lie far in the past, so that the age of a fingerprint is unknown.
        trust: which timelines are left alone.
    """

    done: Mapping[str, date]
    elsewhere: Set[str]
    now: datetime
    in_doubt: bool
    trust: Trust

    def is_reconciled(self, timeline: Timeline, kept: TimelineFingerprint | None) -> bool:
        """Return whether the ledger is in line with a timeline, apart from those that it counts from."""
        return (
            kept is not None
            and self.trust is not Trust.NOTHING
            and self.is_known(timeline, kept)
            and self._is_recent(kept.reconciled_at)
            and kept.done == find_done(timeline, self.done)
        )

    def is_known(self, timeline: Timeline, kept: TimelineFingerprint) -> bool:
        """Return whether a fingerprint is that of the file, the environment and the other nodes."""
        return (
            bool(timeline.content)
            and (kept.file, kept.content) == (timeline.file, timeline.content)
            and self._is_same_environment(timeline, kept)
        )

    def is_comparable(self, timeline: Timeline, kept: TimelineFingerprint) -> bool:
        """Return whether a timeline was reconciled in the same file and environment, with other content."""
        return (
            self.trust is not Trust.NOTHING
            and kept.file == timeline.file
            and self._is_same_environment(timeline, kept)
            and self._is_recent(kept.reconciled_at)
        )

    def _is_same_environment(self, timeline: Timeline, kept: TimelineFingerprint) -> bool:
        """Return whether a timeline was reconciled with this configuration, and beside these nodes."""
        return (
            bool(timeline.environment)
            and kept.environment == timeline.environment
            and set(kept.elsewhere) <= set(self.elsewhere)
        )

    def _is_recent(self, reconciled_at: datetime) -> bool:
        if self.in_doubt:
            return True
        age = self.now - reconciled_at
        return -_TOLERANCE <= age <= (TRUSTED_FOR if self.trust is Trust.RECONCILED else AGAIN_AFTER)

    def make_fingerprint(self, timeline: Timeline) -> TimelineFingerprint:
        """Make the fingerprint of a timeline that has just been reconciled."""
        return TimelineFingerprint(
            timeline=timeline.id,
            file=timeline.file,
            content=timeline.content,
            environment=timeline.environment,
            reconciled_at=self.now,
            title=timeline.title,
            description=timeline.description,
            url=timeline.url,
            count=timeline.count,
            bases=tuple(sorted(timeline.bases)),
            done=find_done(timeline, self.done),
            elsewhere=tuple(sorted(self.elsewhere)),
        )


def find_done(timeline: Timeline, done: Mapping[str, date]) -> dict[str, date]:
    """Find the done dates that deadlines of a timeline count from, by full id."""
    return {base: done[base] for base in sorted(timeline.bases) if base in done}


def find_dependents(timelines: Iterable[Timeline], changed: Iterable[str]) -> set[str]:
    """Find the timelines that count from others, directly or through others.

    Args:
        changed: the ids of the timelines to count from.

    Returns:
        the ids, those of ``changed`` included.
    """
    by_base: dict[str, set[str]] = {}
    for timeline in timelines:
        for base in list_base_timelines(timeline):
            by_base.setdefault(base, set()).add(timeline.id)
    found = set(changed)
    waiting = [*found]
    while waiting:
        new = by_base.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def list_base_timelines(timeline: Timeline) -> set[str]:
    """List the ids of the other timelines that a timeline counts from."""
    return {base.partition("/")[0] for base in timeline.bases} - {timeline.id}


def group_by_bases(timelines: Sequence[Timeline]) -> Iterator[list[Timeline]]:
    """Group timelines so that each comes after those that it counts from. Most groups have one timeline.

    Timelines that count from each other are one group. Apart from that, the order stays as it is.
    """
    by_id = {timeline.id: timeline for timeline in timelines}
    after = {name: sorted(list_base_timelines(timeline) & by_id.keys()) for name, timeline in by_id.items()}
    # Tarjan's algorithm with an explicit stack: a component is complete when the search leaves its root.
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: dict[str, Iterator[str]] = {}
    open_names: dict[str, None] = {}
    for start in by_id:
        if start in number:
            continue
        path = {start: iter(after[start])}
        number[start] = lowest[start] = len(number)
        open_names[start] = None
        while path:
            name = next(reversed(path))
            base = next(path[name], None)
            if base is None:
                del path[name]
                if path:
                    above = next(reversed(path))
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    group = []
                    while True:
                        member, _ = open_names.popitem()
                        group.append(by_id[member])
                        if member == name:
                            break
                    yield sorted(group, key=lambda timeline: number[timeline.id])
            elif base not in number:
                number[base] = lowest[base] = len(number)
                open_names[base] = None
                path[base] = iter(after[base])
            elif base in open_names:
                lowest[name] = min(lowest[name], number[base])
