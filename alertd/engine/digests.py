"""Makes digests: finds which are due, gathers what they show, and schedules the next.

The ledger is the schedule of digests too: it has the next issue of each digest until that issue is made. A
big issue is made in several transactions, and the last of them schedules the next issue. After a crash before
that, the rest of the issue is made. However many issues fell due while no daemon ran, one is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.records import Record, ScheduledReminder
from alertd.core.milestones.occurrence import fingerprint
from alertd.core.planning.decide import DigestBuild
from alertd.core.planning.overview import MAX_LOOKED_AT, OverviewScope, list_candidates, make_overview
from alertd.core.planning.plan import find_match
from alertd.core.routing.digest import Digest, DigestIssue, NextDigest, find_digest_instant
from alertd.core.routing.route import list_digests
from alertd.core.time.instant import to_instant, to_local_date
from alertd.core.time.interval import NamedInterval
from alertd.ports import Changes, DigestSchedule, ReminderQueue
from alertd.system.worker_threads import compute

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """The digests of a configuration.

    Attributes:
        by_key: the receiver and the digest, by the key that the ledger has for the digest.
    """

    config: Config
    by_key: Mapping[str, tuple[str, Digest]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Config) -> Digests:
        """Find the digests in the routes of a configuration."""
        found = list_digests(config.route)
        by_key = {make_key(receiver, name): (receiver, digest) for (receiver, name), digest in found.items()}
        return cls(config=config, by_key=by_key)

    def find_quiet_hours(self, receiver: str) -> NamedInterval | None:
        """Find the quiet hours of a receiver, if it has any."""
        quiet = self.config.route.quiet.get(receiver)
        return quiet.hours if quiet else None

    def find_next(self, key: str, since: datetime) -> datetime:
        """Return the first instant later than ``since`` at which a digest is sent."""
        receiver, digest = self.by_key[key]
        return find_digest_instant(digest, since, self.find_quiet_hours(receiver))

    def compare(self, known: Sequence[NextDigest], now: datetime) -> Changes:
        """Compare with the digests that the ledger has. Returns what makes it have these and no others."""
        old_by_key = {digest.key: digest for digest in known if self._is_own(digest)}
        wanted, replaced = [], []
        for key, (receiver, digest) in self.by_key.items():
            old = old_by_key.get(key)
            if old is not None and old.at > self.find_next(key, self.find_next(key, now)):
                # A clock that was ahead made the previous issue. Replace the row as a whole.
                replaced.append(key)
                old = None
            if old is None:
                at = self.find_next(key, now)
                wanted.append(NextDigest(key=key, receiver=receiver, name=digest.name, at=at, since=now))
            elif old.at > now and (at := self.find_next(key, max(old.since, now))) != old.at:
                # The quiet hours have changed, or the rules of the zone have.
                wanted.append(replace(old, at=at))
        gone = (*replaced, *sorted({digest.key for digest in known} - self.by_key.keys()))
        return Changes(digests=tuple(wanted), no_digests=gone)

    async def find_due(self, ledger: DigestSchedule, now: datetime) -> NextDigest | None:
        """Find the first digest that is due, if any is."""
        if not self.by_key:
            return None
        digests = await ledger.read_digests()
        return next((digest for digest in digests if digest.at <= now and self._is_own(digest)), None)

    def _is_own(self, known: NextDigest) -> bool:
        """Return whether the configuration has the digest. If a row names another receiver, it is damaged."""
        receiver, digest = self.by_key.get(known.key, ("", None))
        return digest is not None and (known.receiver, known.name) == (receiver, digest.name)

    async def make(
        self,
        ledger: ReminderQueue,
        due: NextDigest,
        held: Sequence[tuple[ScheduledReminder, Record]],
        now: datetime,
    ) -> DigestBuild:
        """Gather what a digest shows beside the reminders that have waited for it.

        Args:
            held: all reminders of its receiver that are pending and due.
        """
        receiver, digest = self.by_key[due.key]
        root = self.config.route

        def takes(member: ScheduledReminder, record: Record) -> bool:
            match = find_match(root, member, record)
            return match is not None and match.digest is not None and match.digest.name == digest.name

        ahead = to_local_date(due.at, digest.zone) + digest.ahead
        until = to_instant(datetime.combine(ahead + _A_DAY, datetime.min.time()), digest.zone)
        windows = await ledger.read_windows(receiver, until + 2 * _A_DAY)

        def list_names() -> list[str]:
            members = {member.milestone for member, record in held if _is_taken(takes, member, record)}
            near = list_candidates(windows, now, until, self.config.catch_up)
            return [name for name in near if name not in members][:MAX_LOOKED_AT]

        names = await compute(list_names, len(held) + len(windows))
        records = await ledger.read_records_by_id(names)
        scope = OverviewScope(receiver=receiver, name=digest.name, root=root)
        found = [records[name] for name in names if name in records]
        (shown, more), failed = await compute(
            lambda: _make_overview_of_sound(found, scope, now, until), len(found)
        )
        edition = DigestIssue(
            name=digest.name,
            zone=digest.zone.key,
            at=due.at,
            since=due.since,
            until=until,
            overview=shown,
            more=more,
            even_if_empty=digest.even_if_empty,
        )
        following = replace(due, at=self.find_next(due.key, max(now, due.at)), since=now)
        return DigestBuild(
            edition=edition,
            turn=(due, following),
            takes=takes,
            failed={(name, receiver): error for name, error in failed.items()},
        )


def _is_taken(
    takes: Callable[[ScheduledReminder, Record], bool], member: ScheduledReminder, record: Record
) -> bool:
    try:
        return takes(member, record)
    except Exception:  # a bug that the milestone triggers; deciding about it reports this
        return False


def _make_overview_of_sound(
    records: Sequence[Record], scope: OverviewScope, now: datetime, until: datetime
) -> tuple[tuple[tuple[str, ...], int], Mapping[str, Exception]]:
    """Make the overview without the milestones for which that raises an exception, which are returned too."""
    try:
        return make_overview(records, scope, now, until), {}
    except Exception:
        failed = _find_failing(records, scope, now, until)
    sound = [record for record in records if record.id not in failed]
    return make_overview(sound, scope, now, until), failed


def _find_failing(
    records: Sequence[Record], scope: OverviewScope, now: datetime, until: datetime
) -> Mapping[str, Exception]:
    """Find the milestones that an overview cannot show, because of a bug that they trigger."""
    failed: dict[str, Exception] = {}
    for record in records:
        try:
            make_overview((record,), scope, now, until)
        except Exception as error:
            failed[record.id] = error
    return failed


def make_key(receiver: str, name: str) -> str:
    """Make the ledger's key of a digest: 22 characters of base62."""
    return fingerprint("digest", receiver, name)
