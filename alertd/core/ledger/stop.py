"""A channel whose receiver wants no more (410): nothing is sent to it until a person has done something.

The ledger keeps it with what a notifier is to remember, so that every node knows it, also after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from alertd.core.ledger.records import CHANNEL, Delivery
from alertd.core.reason import ChannelStopped

_OPTIONS, _ANSWER, _SINCE = "stopped_options", "stopped_reason", "stopped_since"


def stop(options: str, answer: str, at: datetime) -> Mapping[str, Mapping[str, str]]:
    """What to remember.

    Args:
        options: digest of the options under which the receiver answered so: others may lead elsewhere.
        answer: the text that the notifier returned.
    """
    return {CHANNEL: {_OPTIONS: options, _ANSWER: answer, _SINCE: f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"}}


def find_stop(prior: Mapping[str, Mapping[str, str]], options: str) -> ChannelStopped | None:
    """Why nothing may be sent to a channel with these options; None when something may be sent."""
    kept = prior.get(CHANNEL, {})
    if _ANSWER not in kept or kept[_OPTIONS] != options:
        return None
    return ChannelStopped(answer=kept[_ANSWER], since=datetime.fromisoformat(kept[_SINCE]))


def is_stopped(delivery: Delivery) -> bool:
    """Whether it is dead because its channel was stopped. The operator is told of the channel, once."""
    return isinstance(delivery.reason, ChannelStopped)
