"""Stopped channels: after a receiver answers 410 Gone, alertd sends nothing to it until a person acts.

The ledger keeps the stop among the state of the notifier, so that every node knows it, also after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from alertd.core.ledger.records import CHANNEL, Delivery
from alertd.core.reason import ChannelStopped

_OPTIONS, _ANSWER, _SINCE = "stopped_options", "stopped_reason", "stopped_since"


def stop(options: str, answer: str, at: datetime) -> Mapping[str, Mapping[str, str]]:
    """Return the notifier state that stops a channel.

    Args:
        options: a fingerprint of the notifier's options. The stop ends if they change, since other options
            may lead to another receiver.
        answer: the text that the notifier returned.
        at: when the receiver answered, an aware instant.
    """
    return {CHANNEL: {_OPTIONS: options, _ANSWER: answer, _SINCE: f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"}}


def find_stop(prior: Mapping[str, Mapping[str, str]], options: str) -> ChannelStopped | None:
    """Return why alertd may not send to a channel; None if it may.

    Args:
        prior: the state of the notifier that the ledger keeps.
        options: a fingerprint of the notifier's current options.
    """
    kept = prior.get(CHANNEL, {})
    if _ANSWER not in kept or kept[_OPTIONS] != options:
        return None
    return ChannelStopped(answer=kept[_ANSWER], since=datetime.fromisoformat(kept[_SINCE]))


def is_stopped(delivery: Delivery) -> bool:
    """Tell whether a delivery is dead because its channel is stopped.

    alertd notifies the operator once of the stopped channel, not of each such delivery.
    """
    return isinstance(delivery.reason, ChannelStopped)
