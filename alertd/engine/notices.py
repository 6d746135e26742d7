"""Composes what the operator is told: dead deliveries, stopped or paused channels, unreachable recipients.

Each function returns the deliveries of one notice, for the caller to write into the ledger. The slot of a
notice is its identity: a notice whose slot the ledger has already is not sent again. A notice about a channel
does not go over that channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.backpressure import REFUSED_FOR_S, TRIPS_AT, BreakerChange
from alertd.core.ledger.outcome import Sent
from alertd.core.ledger.records import Attempt, DeadHour, Delivery, Notice, ScheduledReminder
from alertd.core.message.digest import name_digest
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.audit import make_dead_hour_slot, make_dead_slot
from alertd.core.planning.decide import make_delivery_id
from alertd.core.reason import ChannelStopped, Reason
from alertd.core.words import format_deliveries, format_span

MAX_NAMED = 10
"""How many milestones a notice names."""


def address_notice(config: Config, notice: Notice, now: datetime) -> list[Delivery]:
    """Address a notice to each notifier of the operator. Returns [] if no operator is configured."""
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


def report_dead(
    config: Config,
    failed: Delivery,
    members: Sequence[ScheduledReminder],
    attempt: Attempt,
    reason: Reason,
) -> list[Delivery]:
    """Tell the operator that a delivery is dead.

    The operator is not told about its own deliveries and other notices, which would not arrive either, nor
    about each delivery of a stopped channel: :func:`report_stopped` tells about the channel, once a day.

    Args:
        members: the reminders in the message.
    """
    if failed.notice is not None or failed.receiver == config.operator or isinstance(reason, ChannelStopped):
        return []
    names = sorted({owed.milestone for owed in members})
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    about = f"about {', '.join(names[:MAX_NAMED])}{more}"
    if failed.edition is not None:
        about = name_digest(failed) + (f", {about}" if names else "")
    lines = (
        f"Delivery {failed.id} to {failed.channel} is dead after attempt {attempt.number}.",
        f"Last answer: {describe_reason(reason)}",
        f"It was {about}.",
        f"Send it again with: alertd retry {failed.id}",
    )
    headline = f"{failed.channel} could not be reached"
    notice = Notice(slot=make_dead_slot(failed, attempt.number), headline=headline, lines=lines)
    return address_notice(config, notice, attempt.at)


def report_more_dead(config: Config, failed: Delivery, reason: Reason, now: datetime) -> list[Delivery]:
    """Tell the operator about further dead deliveries of a channel: one notice, at the end of the hour.

    :func:`count_dead` completes the notice when it is sent.
    """
    if failed.notice is not None or failed.receiver == config.operator or isinstance(reason, ChannelStopped):
        return []
    hour = DeadHour.find(failed.channel, now)
    lines = (
        f"One of them is {failed.id}. Its last answer: {describe_reason(reason)}",
        "See all of them with: alertd status",
        f"Send a delivery again with: alertd retry {failed.id}",
    )
    headline = f"More deliveries to {failed.channel} are dead"
    notice = Notice(slot=make_dead_hour_slot(hour), headline=headline, lines=lines, counts=hour)
    return [replace(delivery, next_at=hour.ends) for delivery in address_notice(config, notice, now)]


def count_dead(notice: Notice, counted: int) -> Notice:
    """Complete a notice that counts dead deliveries.

    Args:
        counted: how many there are.
    """
    if notice.counts is None:
        return notice
    begins = f"{notice.counts.begins:%Y-%m-%d %H:%M}Z"
    died = f"In the hour from {begins}, {format_deliveries(counted)} to {notice.counts.channel} died."
    return replace(notice, lines=(died, *notice.lines))


def report_stopped(config: Config, dead: Delivery, answer: str, now: datetime) -> list[Delivery]:
    """Tell the operator that a channel is stopped, because its receiver wants no more, once a day.

    Args:
        dead: the delivery that the receiver refused.
        answer: the text that the notifier returned.
    """
    fallback = config.fallback_receiver
    instead = f"goes to {fallback}" if fallback else "is dead, since there is no fallback_receiver"
    lines = (
        f"Nothing more is sent to {dead.channel}: {answer}.",
        f"What comes for it {instead}.",
        f"It is tried again when its options in alertd.yaml change, or with: alertd retry {dead.id}",
    )
    slot = f"stopped/{dead.channel}/{now:%Y-%m-%d}"
    notice = Notice(slot=slot, headline=f"{dead.channel} wants no more and is stopped", lines=lines)
    return _avoid(dead.channel, address_notice(config, notice, now))


def report_unknown(config: Config, receiver: str, now: datetime) -> list[Delivery]:
    """Tell the operator that nobody knows a receiver or a channel of it, once a day for each receiver."""
    fallback = config.fallback_receiver
    instead = (
        f"Its messages go to {fallback}, the fallback_receiver."
        if fallback
        else "Its messages wait, since there is no fallback_receiver."
    )
    lines = (
        f"Messages for {receiver!r} are due, and no running alertd has this receiver and its notifiers in "
        "its alertd.yaml.",
        instead,
        f"Put {receiver!r} back into alertd.yaml, or route its milestones to another receiver. If a file has "
        "a problem, its milestones keep their previous receivers until the file is fixed.",
    )
    slot = f"unknown/{receiver}/{now:%Y-%m-%d}"
    headline = f"{receiver} is not in the configuration"
    notice = Notice(slot=slot, headline=headline, lines=lines)
    return [delivery for delivery in address_notice(config, notice, now) if delivery.receiver != receiver]


def report_left_out(config: Config, sent: Delivery, outcome: Sent, now: datetime) -> list[Delivery]:
    """Tell the operator about recipients that a delivery cannot reach, once a day for each channel."""
    if not outcome.partly or sent.notice is not None:
        return []
    lines = (
        outcome.partly,
        f"This happened with delivery {sent.id}. Messages to {sent.channel} reach the other recipients.",
    )
    slot = f"partly/{sent.channel}/{now:%Y-%m-%d}"
    notice = Notice(slot=slot, headline=f"{sent.channel} reaches only some of its recipients", lines=lines)
    return address_notice(config, notice, now)


def report_breaker(
    config: Config, channel: str, change: BreakerChange, reason: Reason | None, now: datetime
) -> list[Delivery]:
    """Tell the operator that a channel's circuit breaker has opened or closed.

    Args:
        reason: why the last attempt failed.
    """
    headline = f"{channel} does not answer"
    lines: tuple[str, ...]
    match change:
        case BreakerChange.NONE:
            return []
        case BreakerChange.OPENED:
            lines = (
                f"Sending to {channel} is paused after {TRIPS_AT} failures in a row. One message at a time "
                "is tried until it answers; nothing is lost meanwhile.",
                f"Last answer: {describe_reason(reason)}",
            )
        case BreakerChange.REFUSED:
            refused_for = format_span(timedelta(seconds=REFUSED_FOR_S))
            lines = (
                f"{channel} has accepted nothing for at least {refused_for}, and asks alertd to wait. After "
                "that, one message at a time is tried until it is accepted; nothing is lost meanwhile.",
                f"Last answer: {describe_reason(reason)}",
            )
        case BreakerChange.CLOSED:
            headline, lines = f"{channel} answers again", (f"What waited for {channel} is on its way.",)
    notice = Notice(slot=f"channel/{channel}/{change}/{now.isoformat()}", headline=headline, lines=lines)
    return _avoid(channel, address_notice(config, notice, now))


def _avoid(channel: str, deliveries: list[Delivery]) -> list[Delivery]:
    """Drop the delivery of a notice about a channel that would go over this channel."""
    return [delivery for delivery in deliveries if delivery.channel != channel]
