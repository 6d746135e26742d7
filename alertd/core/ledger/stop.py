"""A channel whose receiver wants no more (410): nothing is sent to it until a person has done something.

Kept where the ledger keeps what a notifier is to remember, so that every node knows, and after a restart too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from alertd.core.ledger.records import CHANNEL, Delivery

STOPPED = "stopped: "
"""How the reason of each delivery begins that is dead for it. The operator is told of the channel, once."""

_OPTIONS, _REASON, _SINCE = "stopped_options", "stopped_reason", "stopped_since"


def stop(options: str, reason: str, at: datetime) -> Mapping[str, Mapping[str, str]]:
    """What to remember.

    Args:
        options: digest of the options under which the receiver said so: others may lead elsewhere.
    """
    return {CHANNEL: {_OPTIONS: options, _REASON: reason, _SINCE: f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"}}


def why_stopped(prior: Mapping[str, Mapping[str, str]], options: str) -> str:
    """Why nothing may be sent to a channel with these options; "" when it may."""
    kept = prior.get(CHANNEL, {})
    if _REASON not in kept or kept[_OPTIONS] != options:
        return ""
    return f"{STOPPED}since {kept[_SINCE]} nothing is sent there, when {kept[_REASON]}"


def is_stopped(delivery: Delivery) -> bool:
    """Whether it is dead because its channel was stopped."""
    return delivery.reason.startswith(STOPPED)
