"""What the site needs to reach others: the notifiers, for a test, and Slack, to answer a click."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from alertd.core.config import Config
from alertd.core.ledger.outcome import Outcome
from alertd.notify.http.client import HttpClient

SLACK_ANSWERS = ("https://hooks.slack.com/", "https://hooks.slack-gov.com/")
"""What the addresses begin with to which answers to a click are posted: to no other place."""

Tested = Sequence[tuple[str, Outcome]]
"""How each notifier fared, by channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outward:
    """See the module.

    Attributes:
        secret: what a ``*_file`` option's file holds; raises SecretUnreadable.
        send_test: sends a test message to each notifier of a receiver, once.
        slack_answers: as :data:`SLACK_ANSWERS`; another one in tests.
        testing: held while a test is under way: one at a time.
    """

    http: HttpClient
    secret: Callable[[str], str]
    send_test: Callable[[Config, str], Awaitable[Tested]]
    slack_answers: tuple[str, ...] = SLACK_ANSWERS
    testing: asyncio.Lock = field(default_factory=asyncio.Lock)
