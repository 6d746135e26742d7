"""Makes digests: finds which are due, gathers what they are about, and says what is owed after them.

The ledger is the schedule of digests too: it has the one that is owed next of each, until that is made.
Making it is one transaction: what fell due while nothing ran is made once, however many were missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.records import Record, ScheduledReminder
from alertd.core.milestones.occurrence import fingerprint
from alertd.core.planning.decide import DigestBuild
from alertd.core.planning.overview import MAX_LOOKED_AT, OverviewScope, list_candidates, make_overview
from alertd.core.planning.plan import find_match
from alertd.core.routing.digest import Digest, DigestIssue, NextDigest, digest_instant
from alertd.core.routing.route import digests_of
from alertd.core.time.instant import local_date, to_instant
from alertd.core.time.interval import NamedInterval
from alertd.ports import Changes, Ledger

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """The digests of a configuration, by the key that the ledger knows each by."""

    config: Config
    by_key: Mapping[str, tuple[str, Digest]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> Digests:
        found = digests_of(config.route)
        by_key = {key_of(receiver, name): (receiver, one) for (receiver, name), one in found.items()}
        return cls(config=config, by_key=by_key)

    def quiet(self, receiver: str) -> NamedInterval | None:
        quiet = self.config.route.quiet.get(receiver)
        return quiet.hours if quiet else None

    def after(self, key: str, since: datetime) -> datetime:
        """The first instant later than ``since`` at which the digest is sent."""
        receiver, one = self.by_key[key]
        return digest_instant(one, since, self.quiet(receiver))

    def changes(self, there: Sequence[NextDigest], now: datetime) -> Changes:
        """What makes the ledger owe these digests and no others; nothing when it does already."""
        known = {one.key: one for one in there}
        wanted = []
        for key, (receiver, one) in self.by_key.items():
            old = known.get(key)
            if old is None:
                at = self.after(key, now)
                wanted.append(NextDigest(key=key, receiver=receiver, name=one.name, at=at, since=now))
            elif old.at > now and (at := self.after(key, max(old.since, now))) != old.at:
                # Other quiet hours, or a zone that has other rules now.
                wanted.append(replace(old, at=at))
        gone = tuple(sorted(known.keys() - self.by_key.keys()))
        return Changes(digests=tuple(wanted), no_digests=gone)

    async def due(self, ledger: Ledger, now: datetime) -> NextDigest | None:
        """The first that is due, if any is."""
        if not self.by_key:
            return None
        owed = await ledger.digests()
        return next((one for one in owed if one.at <= now and one.key in self.by_key), None)

    async def make(
        self,
        ledger: Ledger,
        owed: NextDigest,
        held: Sequence[tuple[ScheduledReminder, Record]],
        now: datetime,
    ) -> DigestBuild:
        """Gather what a digest shows beside the reminders that have waited for it.

        Args:
            held: all that is pending and due for its receiver.
        """
        receiver, one = self.by_key[owed.key]
        root = self.config.route

        def takes(member: ScheduledReminder, record: Record) -> bool:
            match = find_match(root, member, record)
            return match is not None and match.digest is not None and match.digest.name == one.name

        ahead = local_date(owed.at, one.zone) + one.ahead
        until = to_instant(datetime.combine(ahead + _A_DAY, datetime.min.time()), one.zone)
        windows = await ledger.windows(receiver, until + 2 * _A_DAY)
        members = {member.milestone for member, record in held if takes(member, record)}
        near = list_candidates(windows, now, until, self.config.catch_up)
        names = [name for name in near if name not in members][:MAX_LOOKED_AT]
        records = await ledger.records_of(names)
        scope = OverviewScope(receiver=receiver, name=one.name, root=root)
        shown, more = make_overview((records[name] for name in names if name in records), scope, now, until)
        edition = DigestIssue(
            name=one.name,
            zone=one.zone.key,
            at=owed.at,
            since=owed.since,
            until=until,
            overview=shown,
            more=more,
            even_if_empty=one.even_if_empty,
        )
        following = replace(owed, at=self.after(owed.key, max(now, owed.at)), since=now)
        return DigestBuild(edition=edition, turn=(owed, following), takes=takes)


def key_of(receiver: str, name: str) -> str:
    """What the ledger calls a digest: 22 characters of base62."""
    return fingerprint("digest", receiver, name)
