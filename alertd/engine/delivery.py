"""The way of a delivery from its lease to its settlement.

:meth:`Dispatcher.deliver` is that way on one page: what is still wanted, compose, send, outcome, settlement.
:mod:`alertd.engine.binding` comes before it, and :mod:`alertd.engine.sender` runs it for many deliveries at
once, from the lease to the written settlement.

The order is the promise. The ledger has what a delivery carries before the first attempt, a lease is taken
before a send, and the settlement is written after the send. A crash anywhere loses nothing: a delivery that
was not settled is leased again when its lease has run out, and is sent under the same id.

Retries are decided here and nowhere else. Nothing here waits for anything but a notifier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.outcome import (
    Outcome,
    Rejected,
    Retry,
    Sent,
    check_outcome,
    compute_backoff,
    compute_next_attempt,
)
from alertd.core.ledger.records import Attempt, DeadHour, Delivery, DeliveryState, Lease, ScheduledReminder
from alertd.core.ledger.stop import find_stop, stop
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.digest import has_content
from alertd.core.message.links import Links
from alertd.core.message.message import Message
from alertd.core.planning.decide import CHANGES, find_live_members, make_deliveries
from alertd.core.reason import (
    Answered,
    ChannelStopped,
    DeliveryFailed,
    GivenUp,
    LeasesLost,
    MembersUnwanted,
    MemberUnwanted,
    NotConfigured,
    NotifierFailed,
    PlainReason,
    Reason,
    Unanswered,
)
from alertd.core.routing.labels import list_labels
from alertd.core.routing.route import match_routes
from alertd.engine.notices import (
    address_notice,
    count_dead,
    report_dead,
    report_left_out,
    report_more_dead,
    report_stopped,
    report_unknown,
)
from alertd.ports import LEASE_FOR, Clock, Notifier, Settlement
from alertd.system.worker_threads import compute

SEND_LIMIT_S = 120.0
"""The longest time that a send may take, whatever its notifier does. It is shorter than a lease."""

SEND_WITHIN = LEASE_FOR - timedelta(seconds=SEND_LIMIT_S)
"""A send must begin this soon after its lease was asked for, so that it ends before the lease does."""

MAX_LOST_LEASES = 4
"""The number of lost leases in a row after which a delivery is given up. The first loss may be due to another
delivery in flight. The later ones are not, since the delivery is then sent alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Both clocks at one moment.

    Only both together tell how much time has passed since: the monotonic clock stops while the machine
    sleeps, and the wall clock may be set.
    """

    at: datetime
    monotonic_s: float

    @classmethod
    def take(cls, clock: Clock) -> ClockReading:
        """Read both clocks."""
        return cls(at=clock.now(), monotonic_s=clock.monotonic())

    def measure_age(self, now: ClockReading) -> timedelta:
        """Return how much time has passed until ``now``, by the clock by which more has passed."""
        return max(now.at - self.at, timedelta(seconds=now.monotonic_s - self.monotonic_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Sends leased deliveries by the notifiers of one configuration.

    Attributes:
        notifiers: by channel, ``receiver/notifier``. A delivery whose channel is missing goes to the fallback
            receiver. Without such a receiver it stays ready.
        on_fault: is called when anything on the way of a delivery raises. The delivery is tried again.
        links: returns where messages lead at the moment; None: nowhere.
        measure_absence: returns how much of a span of time this node did not run. That time does not count
            for ``retry_for``, because nobody tried.
        told_hours: by channel, the last hour with a dead delivery that had a notice of its own.
    """

    clock: Clock
    config: Config
    notifiers: Mapping[str, Notifier]
    on_fault: Callable[[str, BaseException], None] = lambda _channel, _error: None
    links: Callable[[], Links | None] = lambda: None
    measure_absence: Callable[[datetime, datetime], timedelta] = lambda _since, _until: timedelta()
    told_hours: dict[str, DeadHour] = field(default_factory=dict)

    async def deliver(self, lease: Lease, leased: ClockReading) -> Settlement:
        """Send one leased delivery, once. Returns how it ended, for the ledger.

        Nothing is raised: an exception becomes an attempt that is tried again.

        Args:
            leased: the clocks when the lease was asked for.
        """
        try:
            return await self._deliver(lease, leased)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = DeliveryFailed(error=type(error).__name__)
            self.on_fault(lease.delivery.channel, error)
        return self._retry_after_fault(lease, failure)

    def _retry_after_fault(self, lease: Lease, reason: Reason) -> Settlement:
        """Settle an attempt that failed in alertd itself.

        The settlement has no outcome, since the failure says nothing about the channel.
        """
        now, unknown = self.clock.now(), Retry(reason="", unknown=True)
        try:
            return replace(self._settle(lease, lease.owed, unknown, now, reason=reason), outcome=None)
        except Exception as error:  # making the settlement fails too: try again for longer
            self.on_fault(lease.delivery.channel, error)
        return retry_plainly(lease, now, reason)

    async def _deliver(self, lease: Lease, leased: ClockReading) -> Settlement:
        delivery, reading = lease.delivery, ClockReading.take(self.clock)
        now = reading.at

        # Is the lease recent? If the machine was frozen or slept, or the ledger was slow, another node may
        # have the delivery by now, and this lease lacks what people did in the meantime.
        if leased.measure_age(reading) >= SEND_WITHIN:
            return _postpone(lease, leased.at)

        # What is still wanted? People, files and newer reminders may have overtaken what was bound.
        members, unwanted = find_live_members(lease, now)
        if not members and delivery.notice is None and not has_content(lease, self.config.route, now):
            return _drop(lease, unwanted, now)

        # Who sends it? A delivery whose channel is unknown or stopped is settled without a send.
        notifier = self.notifiers.get(delivery.channel)
        if notifier is None:
            return self._settle_unknown(lease, members, now)
        if stopped := find_stop(lease.prior, self._find_options(delivery)):
            return self._settle(lease, members, Rejected(reason=""), now, reason=stopped)

        # Does the message end the process? Then this channel is given up, and composing is not tried again.
        if delivery.lost_leases >= MAX_LOST_LEASES:
            lost = LeasesLost(number=delivery.lost_leases)
            return replace(self._settle(lease, members, Rejected(reason=""), now, reason=lost), outcome=None)

        # Compose and send.
        started_s = self.clock.monotonic()
        if delivery.notice is not None:
            delivery = replace(delivery, notice=count_dead(delivery.notice, lease.counted))
            lease = replace(lease, delivery=delivery)
        shown = len(members) + len(delivery.edition.overview if delivery.edition else ())
        message, sent, apart = await compute(lambda: self._compose(lease, members, now), shown)
        outcome, failure = await self._send(notifier, lease, message)
        took = timedelta(seconds=self.clock.monotonic() - started_s)

        # How did it end? The clock is read again, because a receiver's Retry-After counts from its answer.
        settlement = self._settle(lease, sent, outcome, self.clock.now(), took=took, reason=failure)
        if not apart or settlement.state is DeliveryState.READY:
            # The next attempt carries all members again, so none of them may have a delivery of its own.
            return settlement
        return replace(settlement, follow_up=(*settlement.follow_up, *apart))

    def _compose(
        self, lease: Lease, members: Sequence[ScheduledReminder], now: datetime
    ) -> tuple[Message, Sequence[ScheduledReminder], Sequence[Delivery]]:
        """Compose the message, without the members for which that raises an exception.

        Returns:
            the message, the members in it, and the delivery that carries the other members. That delivery
            fails by itself, until the bug is fixed or its time for retries is over.
        """
        delivery, context = lease.delivery, self._gather_context(lease)
        try:
            return compose(lease, members, now, context), members, ()
        except Exception as error:
            bad = [owed for owed in members if not _can_compose(lease, owed, now, context)]
            if not bad or len(bad) == len(members):
                raise
            self.on_fault(delivery.channel, error)
        rest = [owed for owed in members if owed not in bad]
        apart = make_deliveries(
            delivery.receiver, [delivery.notifier], bad, now, fallback_for=delivery.fallback_for
        )
        return compose(lease, rest, now, context), rest, apart

    async def _send(
        self, notifier: Notifier, lease: Lease, message: Message
    ) -> tuple[Outcome, Reason | None]:
        """Send the message, once. No error of the notifier may lose the reminder.

        Returns:
            the outcome, and its reason if the notifier did not return the outcome.
        """
        unknown, limit = Retry(reason="", unknown=True), asyncio.timeout(SEND_LIMIT_S)
        try:
            async with limit:
                return check_outcome(await notifier.send(message, lease.prior)), None
        except asyncio.CancelledError:
            # Only Sender.drain cancels a send, and this is how that send ends.
            return unknown, PlainReason.INTERRUPTED
        except BaseException as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return unknown, Unanswered(within_s=round(SEND_LIMIT_S))
            self.on_fault(lease.delivery.channel, error)
            return unknown, NotifierFailed(error=type(error).__name__)

    def _settle(
        self,
        lease: Lease,
        members: Sequence[ScheduledReminder],
        outcome: Outcome,
        at: datetime,
        *,
        took: timedelta = timedelta(),
        reason: Reason | None = None,
    ) -> Settlement:
        """Turn an outcome into a settlement: sent, tried again later, or dead with what takes its place.

        Args:
            members: the reminders in the message.
            at: when the attempt ended.
            reason: the reason of an outcome that no notifier returned; by default the notifier's answer.
        """
        match outcome:
            case Sent():
                note = Answered(text=outcome.note) if outcome.note else None
                return Settlement(
                    lease=lease,
                    outcome=outcome,
                    state=DeliveryState.SENT,
                    at=at,
                    reason=note,
                    attempt=_make_attempt(lease, at, took, "sent", note),
                    told=tuple(owed.key for owed in members),
                    remember=outcome.state,
                    follow_up=tuple(report_left_out(self.config, lease.delivery, outcome, at)),
                )
            case Retry():
                reason = reason or Answered(text=outcome.reason)
                attempt = _make_attempt(lease, at, took, "unknown" if outcome.unknown else "retry", reason)
                # Whatever was before `next_at` was counted when an earlier attempt failed.
                delivery = lease.delivery
                absence = self.measure_absence(delivery.next_at, at - took)
                give_up_at = delivery.horizon_start + absence + self.config.retry_for
                next_at = compute_next_attempt(delivery.id, attempt.number, at, give_up_at, outcome.after)
                if next_at is None:
                    return self._settle_dead(lease, members, outcome, attempt, GivenUp(last=reason))
                return Settlement(
                    lease=lease,
                    outcome=outcome,
                    state=DeliveryState.READY,
                    at=at,
                    reason=reason,
                    next_at=next_at,
                    attempt=attempt,
                    tried_from=delivery.horizon_start + absence if absence else None,
                )
            case Rejected():
                reason = reason or Answered(text=outcome.reason)
                attempt = _make_attempt(lease, at, took, "rejected", reason)
                if outcome.gone:
                    return self._settle_stopped(lease, members, outcome, attempt)
                return self._settle_dead(lease, members, outcome, attempt, reason)

    def _settle_dead(
        self,
        lease: Lease,
        members: Sequence[ScheduledReminder],
        outcome: Outcome,
        attempt: Attempt,
        reason: Reason,
    ) -> Settlement:
        """The delivery is dead. The fallback receiver gets its reminders, and the operator a notice.

        In each hour, the first dead delivery of a channel has a notice of its own, and one notice counts all.
        """
        delivery, hour = lease.delivery, DeadHour.find(lease.delivery.channel, attempt.at)
        if self.told_hours.get(delivery.channel) == hour:
            told = report_more_dead(self.config, delivery, reason, attempt.at)
        elif told := report_dead(self.config, delivery, members, attempt, reason):
            self.told_hours[delivery.channel] = hour
        return Settlement(
            lease=lease,
            outcome=outcome,
            state=DeliveryState.DEAD,
            at=attempt.at,
            reason=reason,
            attempt=attempt,
            follow_up=(
                *self._deliver_to_fallback(lease.delivery, members, attempt.at),
                *told,
            ),
        )

    def _settle_unknown(
        self, lease: Lease, members: Sequence[ScheduledReminder], now: datetime
    ) -> Settlement:
        """Settle a stray: a delivery whose channel no live node knows.

        The fallback receiver gets it once, even if several channels of the receiver are gone. A reminder that
        the routes now send to other receivers is left to them.
        """
        delivery, missing = lease.delivery, NotConfigured(channel=lease.delivery.channel)
        told = report_unknown(self.config, delivery.receiver, now)
        if delivery.notice is not None:
            dead = self._settle(lease, members, Rejected(reason=""), now, reason=missing)
            return replace(
                dead, outcome=None, follow_up=tuple(address_notice(self.config, delivery.notice, now))
            )
        wanted = [owed for owed in members if not self._is_rerouted(owed, lease)]
        if not wanted and delivery.edition is None:
            why = [
                MemberUnwanted(milestone=owed.milestone, offset=owed.offset, why=PlainReason.REROUTED)
                for owed in members
            ]
            return _drop(lease, why, now)
        if self.config.receivers.get(self.config.fallback_receiver) is None:
            # It stays ready, so that a node that gets the channel back sends it at once.
            return Settlement(
                lease=lease,
                state=DeliveryState.READY,
                at=now,
                next_at=now,
                reason=missing,
                follow_up=tuple(told),
            )
        dead = self._settle(lease, members, Rejected(reason=""), now, reason=missing)
        instead = self._stand_in(delivery, wanted, now, delivery.fallback_for or delivery.receiver)
        return replace(dead, outcome=None, follow_up=(*instead, *told))

    def _is_rerouted(self, owed: ScheduledReminder, lease: Lease) -> bool:
        """Tell whether the routes send a reminder to other receivers, to all of which the ledger owes it."""
        milestone = lease.records[owed.milestone].milestone
        labels = list_labels(milestone, owed.cause, owed.offset)
        receivers = {match.receiver for match in match_routes(self.config.route, labels)}
        return receivers <= lease.owed_elsewhere.get(owed.key, frozenset())

    def _settle_stopped(
        self, lease: Lease, members: Sequence[ScheduledReminder], outcome: Rejected, attempt: Attempt
    ) -> Settlement:
        """The channel's receiver wants no more, so this delivery is dead and the channel is stopped.

        Later deliveries to the channel die without a send, until its options change or a person retries one.
        """
        delivery, answer = lease.delivery, outcome.reason
        dead = self._settle_dead(lease, members, outcome, attempt, ChannelStopped(answer=answer))
        notice = report_stopped(self.config, delivery, answer, attempt.at)
        remember = stop(self._find_options(delivery), answer, attempt.at)
        return replace(dead, remember=remember, follow_up=(*dead.follow_up, *notice))

    def _deliver_to_fallback(
        self, failed: Delivery, members: Sequence[ScheduledReminder], now: datetime
    ) -> list[Delivery]:
        """Bind what a dead delivery carried for the fallback receiver."""
        if failed.fallback_for or failed.receiver == self.config.fallback_receiver:
            return []
        return self._stand_in(failed, members, now, failed.channel)

    def _stand_in(
        self,
        failed: Delivery,
        members: Sequence[ScheduledReminder],
        now: datetime,
        fallback_for: str,
    ) -> list[Delivery]:
        fallback = self.config.fallback_receiver
        # A fallback receiver that has not shown the reminders has no use for a change of their status.
        is_empty = failed.edition is None and all(owed.cause in CHANGES for owed in members)
        if not fallback or is_empty:
            return []
        names = [spec.name for spec in self.config.receivers[fallback].notifiers]
        return make_deliveries(
            fallback, names, members, now, fallback_for=fallback_for, edition=failed.edition
        )

    def _find_options(self, delivery: Delivery) -> str:
        """Return the fingerprint of the options of the delivery's notifier, or ""."""
        receiver = self.config.receivers.get(delivery.receiver)
        specs = receiver.notifiers if receiver else ()
        return next((spec.fingerprint for spec in specs if spec.name == delivery.notifier), "")

    def _gather_context(self, lease: Lease) -> ItemContext:
        closed = {name for name, record in lease.records.items() if record.status.closed}
        upcoming = {name: owed for name, owed in lease.upcoming.items() if name not in closed}
        return ItemContext(route=self.config.route, upcoming=upcoming, links=self.links())


def retry_plainly(lease: Lease, now: datetime, reason: Reason) -> Settlement:
    """Settle an attempt so that it is tried again with the usual backoff, whatever its age."""
    attempt = _make_attempt(lease, now, timedelta(), "unknown", reason)
    next_at = now + compute_backoff(lease.delivery.id, attempt.number)
    return Settlement(
        lease=lease, state=DeliveryState.READY, at=now, reason=reason, next_at=next_at, attempt=attempt
    )


def _can_compose(lease: Lease, owed: ScheduledReminder, now: datetime, context: ItemContext) -> bool:
    try:
        compose(lease, [owed], now, context)
    except Exception:  # the caller reports what composing the whole message has raised
        return False
    return True


def _postpone(lease: Lease, now: datetime) -> Settlement:
    """Give the lease back without a send, so that the delivery is leased again at once."""
    reason = PlainReason.LEASE_TOO_OLD
    return Settlement(lease=lease, state=DeliveryState.READY, at=now, next_at=now, reason=reason)


def _drop(lease: Lease, unwanted: Sequence[MemberUnwanted], now: datetime) -> Settlement:
    """End a delivery of which nothing is wanted any more, without a send.

    The delivery is superseded if newer reminders have overtaken all its members, and suppressed otherwise.
    """
    members = lease.delivery.members
    is_overtaken = bool(members) and set(members) <= lease.overtaken
    state = DeliveryState.SUPERSEDED if is_overtaken else DeliveryState.SUPPRESSED
    reason = MembersUnwanted(members=tuple(unwanted)) if unwanted else PlainReason.NOTHING_LEFT
    return Settlement(lease=lease, state=state, at=now, reason=reason)


def _make_attempt(
    lease: Lease, at: datetime, took: timedelta, outcome: str, reason: Reason | None
) -> Attempt:
    return Attempt(
        delivery=lease.delivery.id,
        number=lease.delivery.attempts + 1,
        at=at,
        took_ms=round(took.total_seconds() * 1000),
        outcome=outcome,
        reason=reason,
    )
