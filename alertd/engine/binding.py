"""Binds what is due: decides what becomes of each due reminder, and writes the deliveries into the ledger.

The ledger has the reminders of a delivery before its first attempt, so that a retry carries the same
reminders under the same id. :mod:`alertd.engine.delivery` sends what is bound here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.config import Config, list_followers
from alertd.core.ledger.records import Delivery, Grounds, Known, Record, ScheduledReminder
from alertd.core.planning.decide import Decisions, DigestBuild, Rules, StandIn, Verdict, decide
from alertd.core.planning.parts import part_decisions
from alertd.core.planning.plan import find_match, find_quiet_hold, make_grounds
from alertd.core.planning.reminders import list_following_repeats, list_missed_repeats
from alertd.core.reason import AwaitedDigest
from alertd.core.routing.digest import NextDigest, find_digest_instant
from alertd.core.routing.route import Match, Muted, Route, find_mute
from alertd.engine.digests import Digests
from alertd.engine.notices import report_unknown
from alertd.errors import LedgerRefused
from alertd.ports import ReminderQueue
from alertd.system.worker_threads import compute

BIND_LIMIT = 200
"""How many sets of reminders one transaction decides about. A set has one milestone and one receiver."""

PART_LIMIT = 200
"""About how many reminders of a digest one transaction binds."""

REFUSED_AGAIN = timedelta(minutes=1)
"""How long the binder does not look again for those of the refused sets that the ledger may take by now. In
this time it tries them together, because trying each would be many transactions at each look."""

Sets = dict[tuple[str, str], list[tuple[ScheduledReminder, Record]]]
"""Reminders with their records, by milestone and receiver. A set is decided about as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindResult:
    """What one call of :meth:`Binder.bind` wrote into the ledger.

    Attributes:
        more: there may be more to bind, so bind again.
        failed: what was raised when reminders of a milestone and a receiver were decided about. They stay
            pending. Each is reported once.
        undecided: the sets of reminders, by milestone and receiver, about which nothing could be decided.
    """

    deliveries: tuple[Delivery, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    more: bool = False
    failed: Mapping[tuple[str, str], Exception] = field(default_factory=dict)
    undecided: frozenset[tuple[str, str]] = frozenset()


class Binder:
    """Binds by the routes and digests of one configuration.

    Attributes:
        undecidable: the sets of reminders, by milestone and receiver, that are due and about which nothing
            could be decided when they were last looked at. They stay pending.
    """

    def __init__(self, ledger: ReminderQueue, config: Config) -> None:
        self._ledger = ledger
        self._config = config
        self._digests = Digests.from_config(config)
        self._failed: set[tuple[str, str]] = set()
        self.undecidable: frozenset[tuple[str, str]] = frozenset()
        self._passed: set[tuple[str, str]] = set()
        self._passed_at: datetime | None = None
        self._parted_at: datetime | None = None
        self._unknown: frozenset[str] = frozenset()
        self._crowded: frozenset[str] = frozenset()

    @property
    def digest_keys(self) -> frozenset[str]:
        """The keys of the digests of the configuration."""
        return frozenset(self._digests.by_key)

    @property
    def is_crowded(self) -> bool:
        """Whether :meth:`bind` sees to some receivers only, so that others may have to wait for it."""
        return bool(self._crowded)

    async def bind(self, now: datetime, known: Known | None = None) -> BindResult:
        """Decide about what is due and write down the deliveries. Call again while ``more``.

        Reminders for receivers that the configuration does not have are left alone, since another node may
        have them. Strays go to the fallback receiver, with a notice to the operator.

        Args:
            known: what the node knows; None: there are no strays.

        Raises:
            LedgerError: the ledger cannot be used; nothing is bound.
        """
        # A due digest comes first, so that it takes the reminders that have waited for it.
        digest = await self._digests.find_due(self._ledger, now)
        if digest is not None:
            self._crowded = frozenset({digest.receiver})
            return await self._bind_digest(digest, now)
        if self._passed_at != now:
            self._passed, self._passed_at = set(), now
        # Skip the sets about which nothing could be decided a moment ago, so that the later sets have their
        # turn, however many those are.
        due = await self._ledger.find_due(now, BIND_LIMIT, self._unknown, len(self._passed))
        unknown = {owed.receiver for owed, _ in due} - self._config.receivers.keys()
        if unknown:
            # Look again without them, so that they do not take the places of others.
            self._unknown |= unknown
            return BindResult(more=True)
        if await self._schedule_missed(due, now):
            return BindResult(more=True)
        sets = _part(due)
        is_full = len(sets) >= BIND_LIMIT
        self._crowded = frozenset(receiver for _, receiver in sets) if is_full else frozenset()
        bound = await self._bind_sets(sets, now, self._make_rules())
        self._passed |= bound.undecided
        if bound.more or is_full:
            return replace(bound, more=True)
        self.undecidable, self._passed = frozenset(self._passed), set()
        if not bound.verdicts:
            strays = await self._bind_strays(now, known)
            bound = replace(strays, failed={**bound.failed, **strays.failed})
        if not self._has_parted(now):
            self._parted_at = now
        return bound

    async def bind_others(self, now: datetime) -> BindResult:
        """Decide about what is due for receivers that :meth:`bind` does not see to now.

        If very many reminders are due for some receivers, :meth:`bind` needs many calls, and a big digest
        needs a long one. Between two calls, or beside a long one, this sees to the other receivers.

        Raises:
            LedgerError: the ledger cannot be used; nothing is bound.
        """
        if not self._crowded:
            return BindResult()
        besides = self._unknown | self._crowded
        skip = sum(receiver not in besides for _, receiver in self._passed)
        due = [
            (owed, record)
            for owed, record in await self._ledger.find_due(now, BIND_LIMIT, besides, skip)
            if owed.receiver in self._config.receivers
        ]
        if not due or await self._schedule_missed(due, now):
            return BindResult()
        bound = await self._bind_sets(_part(due), now, self._make_rules())
        self._passed |= bound.undecided
        return bound

    async def _bind_sets(
        self,
        sets: Sets,
        now: datetime,
        rules: Rules,
        complete: Callable[[Decisions], Decisions] = lambda decisions: decisions,
    ) -> BindResult:
        """Bind sets of reminders, without those that cannot be decided about.

        If the ledger refuses what was decided, halve the sets, until only the set that it refuses is left.

        Args:
            complete: changes decisions before they are written.
        """
        members = [pair for pairs in sets.values() for pair in pairs]
        decisions, failed = self._decide(members, now, rules)
        decided = {verdict.key for verdict in decisions.verdicts}
        # Each verdict is about a reminder of a set that could be decided as a whole.
        undecided = frozenset(
            name for name, pairs in sets.items() if decided.isdisjoint(owed.key for owed, _ in pairs)
        )
        if not decided:
            return BindResult(failed=failed, undecided=undecided)
        try:
            bound = await self._write(complete(decisions), more=False)
        except LedgerRefused as error:
            names = [name for name in sets if name not in undecided]
            if len(names) == 1 or (self._failed.issuperset(names) and self._has_parted(now)):
                new = {name: error for name in names if name not in self._failed}
                self._failed.update(names)
                return BindResult(failed={**failed, **new}, undecided=undecided.union(names))
        else:
            return replace(bound, failed=failed, undecided=undecided)
        # The sets that were refused before probably are again.
        names.sort(key=self._failed.__contains__)
        middle = sum(name not in self._failed for name in names) % len(names) or len(names) // 2
        parts = [
            await self._bind_sets({name: sets[name] for name in half}, now, rules, complete)
            for half in (names[:middle], names[middle:])
        ]
        return BindResult(
            deliveries=tuple(delivery for part in parts for delivery in part.deliveries),
            verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
            more=any(part.more for part in parts),
            failed={**failed, **parts[0].failed, **parts[1].failed},
            undecided=undecided.union(*(part.undecided for part in parts)),
        )

    def _has_parted(self, now: datetime) -> bool:
        """Tell whether the refused sets were told apart a moment ago."""
        return self._parted_at is not None and timedelta() <= now - self._parted_at < REFUSED_AGAIN

    async def _schedule_missed(self, due: Sequence[tuple[ScheduledReminder, Record]], now: datetime) -> bool:
        """Schedule the last due repeats that no decision has scheduled, because the machine was suspended.

        Otherwise a repeat that has been overtaken would be sent.

        Returns:
            whether something was scheduled, so that it is due now.
        """
        missed = await compute(lambda: self._list_missed(due, now), len(due))
        if not missed:
            return False
        known = await self._ledger.find_known(owed=[owed.key for owed in missed])
        unknown = tuple(owed for owed in missed if owed.key not in known)
        try:
            return bool(unknown) and await self._ledger.bind(Decisions(following=unknown))
        except LedgerRefused:
            return False  # deciding about the sets finds out which of them it is

    def _list_missed(
        self, due: Sequence[tuple[ScheduledReminder, Record]], now: datetime
    ) -> Sequence[ScheduledReminder]:
        try:
            return list_missed_repeats(due, self._config, now)
        except Exception:  # a bug that a milestone triggers; deciding about it reports this
            sets = _part(due)
        if len(sets) == 1:
            return ()
        return [owed for members in sets.values() for owed in self._list_missed(members, now)]

    async def _bind_strays(self, now: datetime, known: Known | None) -> BindResult:
        """Bind strays for the fallback receiver. Without such a receiver they stay pending."""
        fallback = self._config.receivers.get(self._config.fallback_receiver)
        if fallback is None or known is None or known.strays_before is None:
            return BindResult()
        strays = await self._ledger.find_strays(known, BIND_LIMIT)
        if not strays:
            return BindResult()
        names = [spec.name for spec in fallback.notifiers]
        stand_in = StandIn(receiver=fallback.name, notifiers=names)
        receivers = {owed.key: owed.receiver for owed, _ in strays}

        def add_notices(decisions: Decisions) -> Decisions:
            names = {receivers[verdict.key] for verdict in decisions.verdicts}
            notices = [notice for name in sorted(names) for notice in report_unknown(self._config, name, now)]
            # No repeats follow: reconciling schedules reminders only for the receivers of the routes.
            return replace(decisions, deliveries=(*decisions.deliveries, *notices), following=())

        rules = replace(self._make_rules(), stand_in=stand_in)
        bound = await self._bind_sets(_part(strays), now, rules, add_notices)
        self.undecidable |= bound.undecided
        return replace(bound, more=bound.more or bool(bound.verdicts))

    async def _bind_digest(self, digest: NextDigest, now: datetime) -> BindResult:
        """Bind everything that has waited for a digest, and what else the digest shows."""
        held = await self._ledger.read_held(digest.receiver, now)
        if await self._schedule_missed(held, now):
            return BindResult(more=True)
        build = await self._digests.make(self._ledger, digest, held, now)
        rules = replace(self._make_rules(), making=build)
        decisions, failed = await compute(lambda: self._decide(held, now, rules), len(held))
        failed = {**build.failed, **failed}
        try:
            return replace(await self._write_in_parts(decisions, held), failed=failed)
        except LedgerRefused:
            bound = await self._bind_digest_apart(_part(held), now, rules, build)
        return replace(bound, failed={**failed, **bound.failed})

    async def _bind_digest_apart(
        self, sets: Sets, now: datetime, rules: Rules, build: DigestBuild
    ) -> BindResult:
        """Bind the reminders of a digest in several deliveries, because the ledger refuses some reminders.

        What is refused waits for the next digest. It is reported each time.
        """
        plain = replace(build.edition, overview=(), more=0, even_if_empty=False)
        bare = replace(rules, making=replace(build, edition=plain))
        self._failed -= sets.keys()
        members = await self._bind_sets(sets, now, bare, lambda decisions: replace(decisions, turn=None))
        if members.more:
            return members
        last, failed = decide((), now, rules), members.failed
        try:
            bound = await self._write(last, more=True)
        except LedgerRefused as error:
            failed = {**failed, (f"the overview of the digest {build.edition.name}", build.receiver): error}
            bound = await self._write(replace(last, deliveries=()), more=True)
        return replace(
            bound,
            deliveries=(*members.deliveries, *bound.deliveries),
            verdicts=members.verdicts,
            failed=failed,
        )

    def _decide(
        self, due: Sequence[tuple[ScheduledReminder, Record]], now: datetime, rules: Rules
    ) -> tuple[Decisions, Mapping[tuple[str, str], Exception]]:
        """Decide about all sets, except those for which that raises an exception.

        Returns:
            the decisions, and what was raised for the first time, by milestone and receiver.
        """
        try:
            return self._decide_all(due, now, rules), {}
        except Exception:
            sets = _part(due)
        failed: dict[tuple[str, str], Exception] = {}
        for name, members in sets.items():
            try:
                self._decide_all(members, now, rules)
            except Exception as error:
                failed[name] = error
        rest = [pair for name, members in sets.items() if name not in failed for pair in members]
        new = {name: error for name, error in failed.items() if name not in self._failed}
        self._failed |= new.keys()
        return self._decide_all(rest, now, rules), new

    def _decide_all(
        self, due: Sequence[tuple[ScheduledReminder, Record]], now: datetime, rules: Rules
    ) -> Decisions:
        following = list_following_repeats(due, self._config, now)
        return replace(decide(due, now, rules), following=following)

    async def _write_in_parts(
        self, decisions: Decisions, due: Sequence[tuple[ScheduledReminder, Record]]
    ) -> BindResult:
        """Write what was decided about a digest in several transactions, since a lease may wait for each.

        The next digest is scheduled by the last one. After a crash before that, what is left makes a digest.
        """
        deliveries: list[Delivery] = []
        verdicts: list[Verdict] = []
        for part in part_decisions(decisions, due, PART_LIMIT):
            if not await self._ledger.bind(part):
                break  # another node was faster
            deliveries += part.deliveries
            verdicts += part.verdicts
        return BindResult(deliveries=tuple(deliveries), verdicts=tuple(verdicts), more=True)

    async def _write(self, decisions: Decisions, *, more: bool) -> BindResult:
        if not await self._ledger.bind(decisions):
            # Another node was faster. The next call finds what it has left.
            return BindResult(more=True)
        return BindResult(deliveries=decisions.deliveries, verdicts=decisions.verdicts, more=more)

    def _make_rules(self) -> Rules:
        config, routes = self._config, _RouteRules(root=self._config.route, digests=self._digests)
        return Rules(
            catch_up=config.catch_up,
            notifiers={
                name: [spec.name for spec in receiver.notifiers]
                for name, receiver in config.receivers.items()
            },
            followers={name: list_followers(receiver) for name, receiver in config.receivers.items()},
            muted=routes.find_mute,
            waits=routes.find_digest,
            grounds=routes.find_grounds,
        )


def _part(due: Sequence[tuple[ScheduledReminder, Record]]) -> Sets:
    """Part reminders into their sets, by milestone and receiver."""
    sets: Sets = {}
    for owed, record in due:
        sets.setdefault((owed.milestone, owed.receiver), []).append((owed, record))
    return sets


def name_sets(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Name sets of reminders for people."""
    return tuple(f"{milestone} for {receiver}" for milestone, receiver in sorted(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class _RouteRules:
    """Answers what the routes say about the reminders of one :meth:`Binder.bind`, matching each once."""

    root: Route
    digests: Digests
    _matches: dict[str, Match | None] = field(default_factory=dict)

    def find_mute(self, owed: ScheduledReminder, record: Record, now: datetime) -> Muted | None:
        """Find the mute or the quiet hours that hold a reminder back now. A digest has its own times."""
        match = self._match(owed, record)
        if match is None:
            return find_quiet_hold(self.root, owed, record, now)
        return find_mute(match, now) if match.digest is None else None

    def find_digest(self, owed: ScheduledReminder, record: Record, now: datetime) -> Muted | None:
        """Find the next digest that a reminder waits for, if its route has a digest."""
        if not self.digests.by_key:
            return None
        match = self._match(owed, record)
        if match is None or match.digest is None:
            return None
        until = find_digest_instant(match.digest, now, self.digests.find_quiet_hours(owed.receiver))
        return Muted(until=until, by=AwaitedDigest(digest=match.digest.name))

    def find_grounds(self, owed: ScheduledReminder, record: Record) -> Grounds:
        """Find why a reminder goes to its receiver."""
        return make_grounds(self._match(owed, record), record.milestone)

    def _match(self, owed: ScheduledReminder, record: Record) -> Match | None:
        if owed.key not in self._matches:
            self._matches[owed.key] = find_match(self.root, owed, record)
        return self._matches[owed.key]
