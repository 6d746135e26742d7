"""Tells what this node knows, and from when on it takes what nobody knows.

A receiver that is missing in this node's configuration may be in the configuration of another node, or come
back with the next reload. So work for it is left alone for a while. Afterwards it is a stray: it goes to the
fallback receiver, and the operator is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.records import Known

LEFT_ALONE_FOR = timedelta(hours=1)
"""How long work for an unknown receiver is left alone, from the instant at which it is due or at which the
configuration without this receiver was adopted, whichever is later."""


def make_known(
    config: Config, digests: Iterable[str], *, since: datetime, elsewhere: frozenset[str], now: datetime
) -> Known:
    """Make what a node knows at this instant.

    Args:
        digests: the keys of the digests of the configuration.
        since: when the node adopted the configuration, an aware UTC instant.
        elsewhere: the receivers that other live nodes know.
    """
    before = now - LEFT_ALONE_FOR
    channels = {
        f"{receiver.name}/{spec.name}"
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }
    return Known(
        receivers=frozenset(config.receivers),
        channels=frozenset(channels),
        digests=frozenset(digests),
        elsewhere=elsewhere,
        strays_before=before if since <= before else None,
    )
