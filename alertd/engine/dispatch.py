"""Lease -> compose -> send -> settle: what is due becomes deliveries, and deliveries are sent.

The order is the promise. What a delivery carries is written down before its first attempt; a
lease is taken before a send; how it ended is written down after. A crash anywhere loses nothing:
what was not settled is leased again when its lease has run out, and is sent under the same id.

Retry lives here and nowhere else. Nothing here waits for anything but a port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.config import Config, followers_of
from alertd.core.ledger.backpressure import TRIPS_AT, BreakerChange, Rate
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent, compute_next_attempt
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    Grounds,
    Lease,
    Notice,
    Record,
    ScheduledReminder,
)
from alertd.core.ledger.stop import find_stop, stop
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.digest import has_content, name_digest
from alertd.core.message.links import Links
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.audit import make_dead_slot
from alertd.core.planning.decide import (
    CHANGES,
    Rules,
    Verdict,
    decide,
    find_live_members,
    make_deliveries,
    make_delivery_id,
)
from alertd.core.planning.plan import find_match, find_quiet_hold, make_grounds
from alertd.core.reason import (
    Answered,
    AwaitedDigest,
    ChannelStopped,
    GivenUp,
    MembersUnwanted,
    NotConfigured,
    NotifierFailed,
    PlainReason,
    Reason,
)
from alertd.core.routing.digest import NextDigest, digest_instant
from alertd.core.routing.route import Match, Muted, Route, muted
from alertd.engine.digests import Digests
from alertd.ports import LEASE_FOR, Clock, Ledger, Notifier, Settlement

BIND_LIMIT = 500
"""Sets of one milestone and receiver that are decided about in one transaction."""

LEASE_LIMIT = 200
"""Deliveries that are leased in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindResult:
    """What one look at the ledger bound, for the log."""

    deliveries: tuple[Delivery, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Sends what is due, on behalf of one node.

    Attributes:
        notifiers: by channel, ``receiver/notifier``. A delivery whose channel is missing (its
            receiver was taken out of the configuration) is dead.
        owner: this node's name in leases.
        on_fault: told when a notifier raises, which none may: the delivery is tried again.
        links: where messages lead at the moment; None: nowhere.
    """

    ledger: Ledger
    clock: Clock
    config: Config
    notifiers: Mapping[str, Notifier]
    owner: str
    on_fault: Callable[[str, Exception], None] = lambda _channel, _error: None
    links: Callable[[], Links | None] = lambda: None
    digests: Digests = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digests", Digests.of(self.config))

    async def bind(self, now: datetime) -> BindResult:
        """Decide about what is due and write down the deliveries. Call again while ``more``."""
        digest = await self.digests.due(self.ledger, now)
        if digest is not None:
            return await self._bind_digest(digest, now)
        due = await self.ledger.due(now, BIND_LIMIT)
        if not due:
            return BindResult()
        decisions = decide(due, now, self._rules())
        # False: another node was faster. What is left is found by the next look.
        done = await self.ledger.bind(decisions)
        made = decisions.deliveries if done else ()
        more = not done or len({(owed.milestone, owed.receiver) for owed, _ in due}) >= BIND_LIMIT
        return BindResult(deliveries=made, verdicts=decisions.verdicts if done else (), more=more)

    async def _bind_digest(self, digest: NextDigest, now: datetime) -> BindResult:
        """Make one digest of all that has waited for it, and of the rest that it shows."""
        held = await self.ledger.held(digest.receiver, now)
        making = await self.digests.make(self.ledger, digest, held, now)
        decisions = decide(held, now, replace(self._rules(), making=making))
        done = await self.ledger.bind(decisions)
        if not done:
            return BindResult(more=True)
        return BindResult(deliveries=decisions.deliveries, verdicts=decisions.verdicts, more=True)

    async def lease(self, now: datetime, room: int, each: int, most: Mapping[str, int]) -> Sequence[Lease]:
        """Take deliveries that are ready.

        Args:
            room: how many more may be in flight.
            each: how many more may be in flight of one channel.
            most: the same for single channels, where it is less.
        """
        limit = min(room, LEASE_LIMIT)
        if limit <= 0:
            return ()
        return await self.ledger.lease(
            self.owner, now, for_=LEASE_FOR, limit=limit, per_channel=each, most=most
        )

    async def deliver(self, lease: Lease) -> Settlement:
        """Send one leased delivery, once, and say how it ended."""
        now = self.clock.now()
        members, why_not = find_live_members(lease, now)
        is_empty = not members and not has_content(lease, self.config.route, now)
        if is_empty and lease.delivery.notice is None:
            overtaken = set(lease.delivery.members) <= lease.overtaken
            overtaken = overtaken and bool(lease.delivery.members)
            state = DeliveryState.SUPERSEDED if overtaken else DeliveryState.SUPPRESSED
            why: Reason = MembersUnwanted(members=why_not) if why_not else PlainReason.NOTHING_LEFT
            return Settlement(lease=lease, state=state, at=now, reason=why)
        notifier = self.notifiers.get(lease.delivery.channel)
        if notifier is None:
            missing = NotConfigured(channel=lease.delivery.channel)
            return self.settlement(lease, members, Rejected(reason=""), now, why=missing)
        if stopped := find_stop(lease.prior, self._options(lease.delivery)):
            return self.settlement(lease, members, Rejected(reason=""), now, why=stopped)
        around = self._around(lease)
        started, failed = self.clock.monotonic(), None
        try:
            outcome = await notifier.send(compose(lease, members, now, around), lease.prior)
        except Exception as error:  # a bug of ours or of a notifier must not lose the reminder
            self.on_fault(lease.delivery.channel, error)
            outcome, failed = Retry(reason="", unknown=True), NotifierFailed(error=type(error).__name__)
        took = timedelta(seconds=self.clock.monotonic() - started)
        # What a receiver asks for, it asks for from its answer on, however long that took.
        return self.settlement(lease, members, outcome, self.clock.now(), took, why=failed)

    def _around(self, lease: Lease) -> ItemContext:
        closed = {name for name, record in lease.records.items() if record.status.closed}
        upcoming = {name: owed for name, owed in lease.upcoming.items() if name not in closed}
        return ItemContext(route=self.config.route, upcoming=upcoming, links=self.links())

    def settlement(
        self,
        lease: Lease,
        members: Sequence[ScheduledReminder],
        outcome: Outcome,
        at: datetime,
        took: timedelta = timedelta(),
        *,
        why: Reason | None = None,
    ) -> Settlement:
        """What to write down for an outcome: sent, tried again later, or dead and who is told instead.

        Args:
            members: what the message was about.
            at: when the try ended.
            why: the reason of an outcome that no notifier returned; by default what it returned says why.
        """
        number = lease.delivery.attempts + 1
        match outcome:
            case Sent():
                note = Answered(text=outcome.note) if outcome.note else None
                return Settlement(
                    lease=lease,
                    outcome=outcome,
                    state=DeliveryState.SENT,
                    at=at,
                    reason=note,
                    attempt=_attempt(lease, at, took, "sent", note),
                    told=tuple(owed.key for owed in members),
                    remember=outcome.state,
                    follow_up=tuple(self._left_out(lease, outcome, at)),
                )
            case Retry():
                give_up_at = lease.delivery.bound_at + self.config.retry_for
                next_at = compute_next_attempt(lease.delivery.id, number, at, give_up_at, outcome.after)
                kind = "unknown" if outcome.unknown else "retry"
                why = why or Answered(text=outcome.reason)
                attempt = _attempt(lease, at, took, kind, why)
                if next_at is None:
                    return self._dead(lease, members, attempt, outcome, GivenUp(last=why))
                return Settlement(
                    lease=lease,
                    outcome=outcome,
                    state=DeliveryState.READY,
                    at=at,
                    reason=why,
                    next_at=next_at,
                    attempt=attempt,
                )
            case Rejected():
                why = why or Answered(text=outcome.reason)
                attempt = _attempt(lease, at, took, "rejected", why)
                if outcome.gone:
                    return self._stopped(lease, members, attempt, outcome)
                return self._dead(lease, members, attempt, outcome, why)

    def _stopped(
        self, lease: Lease, members: Sequence[ScheduledReminder], attempt: Attempt, outcome: Rejected
    ) -> Settlement:
        """Dead, as is all that comes for its channel, until the options change or a person sends again."""
        dead = self._dead(lease, members, attempt, outcome, ChannelStopped(answer=outcome.reason))
        remember = stop(self._options(lease.delivery), outcome.reason, attempt.at)
        told = self._stop_notice(lease.delivery, outcome.reason, attempt.at)
        return replace(dead, remember=remember, follow_up=(*dead.follow_up, *told))

    def _options(self, delivery: Delivery) -> str:
        """Digest of the options of its notifier."""
        receiver = self.config.receivers.get(delivery.receiver)
        specs = receiver.notifiers if receiver else ()
        return next((spec.fingerprint for spec in specs if spec.name == delivery.notifier), "")

    def _stop_notice(self, dead: Delivery, answer: str, now: datetime) -> list[Delivery]:
        """What the operator is told of a stopped channel, once a day; not over that channel."""
        fallback = self.config.fallback_receiver
        instead = f"goes to {fallback}" if fallback else "is dead, since there is no fallback_receiver"
        lines = (
            f"Nothing more is sent to {dead.channel}: {answer}.",
            f"What comes for it {instead}.",
            f"It is tried again when its options in alertd.yaml change, or with: alertd retry {dead.id}",
        )
        slot = f"stopped/{dead.channel}/{now:%Y-%m-%d}"
        notice = Notice(slot=slot, headline=f"{dead.channel} wants no more and is stopped", lines=lines)
        return [one for one in notices(self.config, notice, now) if one.channel != dead.channel]

    def _dead(
        self,
        lease: Lease,
        members: Sequence[ScheduledReminder],
        attempt: Attempt,
        outcome: Outcome,
        reason: Reason,
    ) -> Settlement:
        """Dead, with what takes its place: the fallback receiver's delivery, the operator's notice."""
        return Settlement(
            lease=lease,
            outcome=outcome,
            state=DeliveryState.DEAD,
            at=attempt.at,
            reason=reason,
            attempt=attempt,
            follow_up=(
                *self._fallback(lease, members, attempt.at),
                *self._notice(lease, members, attempt, reason),
            ),
        )

    def _fallback(self, lease: Lease, members: Sequence[ScheduledReminder], now: datetime) -> list[Delivery]:
        failed, fallback = lease.delivery, self.config.fallback_receiver
        # A change of status is of no use to whoever does not show it.
        is_empty = failed.edition is None and all(owed.cause in CHANGES for owed in members)
        if not fallback or is_empty or failed.fallback_for or failed.receiver == fallback:
            return []
        names = [spec.name for spec in self.config.receivers[fallback].notifiers]
        return make_deliveries(
            fallback, names, members, now, fallback_for=failed.channel, edition=failed.edition
        )

    def _notice(
        self, lease: Lease, members: Sequence[ScheduledReminder], attempt: Attempt, reason: Reason
    ) -> list[Delivery]:
        failed = lease.delivery
        if failed.notice is not None or failed.receiver == self.config.operator:
            return []
        if isinstance(reason, ChannelStopped):
            return []
        told = sorted({owed.milestone for owed in members})
        about = f"{', '.join(told[:10])}{f' and {len(told) - 10} more' if len(told) > 10 else ''}"
        if failed.edition is not None:
            about = name_digest(failed) + (f", about {about}" if told else "")
        else:
            about = f"about {about}"
        lines = (
            f"Delivery {failed.id} to {failed.channel} is dead after attempt {attempt.number}.",
            f"Last answer: {describe_reason(reason)}",
            f"It was {about}.",
            f"Send it again with: alertd retry {failed.id}",
        )
        headline = f"{failed.channel} could not be reached"
        notice = Notice(slot=make_dead_slot(failed, attempt.number), headline=headline, lines=lines)
        return notices(self.config, notice, attempt.at)

    def _left_out(self, lease: Lease, outcome: Sent, now: datetime) -> list[Delivery]:
        """What the operator is told of recipients who will never get it: once a day for one channel."""
        sent = lease.delivery
        if not outcome.partly or sent.notice is not None:
            return []
        lines = (
            outcome.partly,
            f"It was so for delivery {sent.id}. What goes to {sent.channel} reaches the others.",
        )
        slot = f"partly/{sent.channel}/{now:%Y-%m-%d}"
        notice = Notice(
            slot=slot, headline=f"{sent.channel} reaches only some of its recipients", lines=lines
        )
        return notices(self.config, notice, now)

    def rates(self) -> dict[str, Rate | None]:
        """How fast each channel may be sent to: as its file says, else as its type does."""
        return {
            f"{receiver.name}/{spec.name}": spec.rate
            or getattr(self.notifiers.get(f"{receiver.name}/{spec.name}"), "rate", None)
            for receiver in self.config.receivers.values()
            for spec in receiver.notifiers
        }

    def channel_notices(
        self, channel: str, turn: BreakerChange, reason: Reason | None, now: datetime
    ) -> list[Delivery]:
        """What the operator is told when a channel's breaker opens or closes; not over that channel."""
        if turn is BreakerChange.OPENED:
            headline = f"{channel} does not answer"
            lines: tuple[str, ...] = (
                f"Sending to {channel} is paused after {TRIPS_AT} failures in a row. One message at a time "
                "is tried until it answers; nothing is lost meanwhile.",
                f"Last answer: {describe_reason(reason)}",
            )
        else:
            headline, lines = f"{channel} answers again", (f"What waited for {channel} is on its way.",)
        notice = Notice(slot=f"channel/{channel}/{turn}/{now.isoformat()}", headline=headline, lines=lines)
        return [one for one in notices(self.config, notice, now) if one.channel != channel]

    def _rules(self) -> Rules:
        routes = _RouteRules(root=self.config.route, digests=self.digests)
        return Rules(
            catch_up=self.config.catch_up,
            notifiers={
                name: [spec.name for spec in receiver.notifiers]
                for name, receiver in self.config.receivers.items()
            },
            followers={name: followers_of(receiver) for name, receiver in self.config.receivers.items()},
            muted=routes.muted,
            waits=routes.waits,
            grounds=routes.grounds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RouteRules:
    """What the routes say of the occurrences of one look at the ledger, each matched once."""

    root: Route
    digests: Digests
    _matches: dict[str, Match | None] = field(default_factory=dict)

    def muted(self, owed: ScheduledReminder, record: Record, now: datetime) -> Muted | None:
        match = self._match(owed, record)
        if match is None:
            return find_quiet_hold(self.root, owed, record, now)
        return muted(match, now) if match.digest is None else None

    def waits(self, owed: ScheduledReminder, record: Record, now: datetime) -> Muted | None:
        """For the next digest, when its route has one: those that are due are made before anything else."""
        if not self.digests.by_key:
            return None
        match = self._match(owed, record)
        if match is None or match.digest is None:
            return None
        until = digest_instant(match.digest, now, self.digests.quiet(owed.receiver))
        return Muted(until=until, by=AwaitedDigest(digest=match.digest.name))

    def grounds(self, owed: ScheduledReminder, record: Record) -> Grounds:
        return make_grounds(self._match(owed, record), record.milestone)

    def _match(self, owed: ScheduledReminder, record: Record) -> Match | None:
        if owed.key not in self._matches:
            self._matches[owed.key] = find_match(self.root, owed, record)
        return self._matches[owed.key]


def notices(config: Config, notice: Notice, now: datetime) -> list[Delivery]:
    """The deliveries of a notice to the operator; none when no operator is named."""
    receiver = config.receivers.get(config.operator)
    if receiver is None:
        return []
    return [
        Delivery(
            id=make_delivery_id(receiver.name, spec.name, ("notice", notice.slot)),
            receiver=receiver.name,
            notifier=spec.name,
            members=(),
            bound_at=now,
            next_at=now,
            notice=notice,
        )
        for spec in receiver.notifiers
    ]


def _attempt(lease: Lease, at: datetime, took: timedelta, outcome: str, reason: Reason | None) -> Attempt:
    return Attempt(
        delivery=lease.delivery.id,
        number=lease.delivery.attempts + 1,
        at=at,
        took_ms=round(took.total_seconds() * 1000),
        outcome=outcome,
        reason=reason,
    )
