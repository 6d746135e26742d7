"""Who is mentioned in Slack, and for what: by the configuration alone, never by a text of a milestone.

Source: https://docs.slack.dev/messaging/formatting-message-text, "Mentioning users", "Mentioning groups" and
"Special mentions".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from alertd.core.message.message import Item, Message
from alertd.core.routing.matcher import parse_matcher
from alertd.errors import MatcherError
from alertd.notify.base import NotifierOptions

MAX_MENTIONS = 50

_SPECIAL = re.compile(r"(?:@|<!)?(here|channel|everyone)>?")
_USER = re.compile(r"(?:<@)?([UW][A-Z0-9]{2,30})>?")
_GROUP = re.compile(r"(?:<!subteam\^)?(S[A-Z0-9]{2,30})>?")


def _who(text: str) -> str:
    """As Slack reads it: ``<@U123>``, ``<!subteam^S123>`` or ``<!here>``."""
    if found := _SPECIAL.fullmatch(text):
        return f"<!{found[1]}>"
    if found := _USER.fullmatch(text):
        return f"<@{found[1]}>"
    if found := _GROUP.fullmatch(text):
        return f"<!subteam^{found[1]}>"
    raise ValueError("is not here, channel, everyone, or the id of a user (U123) or of a user group (S123)")


def _matcher(text: str) -> str:
    try:
        parse_matcher(text)
    except MatcherError as error:
        raise ValueError(str(error)) from None
    return text


class Mention(NotifierOptions):
    """One entry of ``mentions``."""

    who: Annotated[str, AfterValidator(_who)]
    """``here``, ``channel``, ``everyone``, or the id of a user or a user group."""
    matchers: list[Annotated[str, AfterValidator(_matcher)]] = Field(default_factory=list, max_length=50)
    """For which milestones and causes; all of them must match. For all when there is none."""


def mentioned(mentions: Sequence[Mention], message: Message) -> str:
    """Those to be mentioned for any item of ``message``, each once, in Slack's markup; "" for nobody.

    What is about alertd itself has no items, and mentions nobody.
    """
    labels = [_labels(item) for item in message.items]
    return " ".join(dict.fromkeys(one.who for one in mentions if _wanted(one, labels)))


def _wanted(mention: Mention, items: Iterable[dict[str, str]]) -> bool:
    matchers = [parse_matcher(text) for text in mention.matchers]
    return any(all(matcher.matches(labels) for matcher in matchers) for labels in items)


def _labels(item: Item) -> dict[str, str]:
    """What routes match too (``core/milestones/occurrence.py``, ``labels_of``)."""
    return {
        **item.labels,
        "timeline": item.timeline,
        "milestone": item.milestone,
        "cause": item.cause.value,
        "offset": item.offset,
        "contested": "true" if item.contested else "false",
    }
