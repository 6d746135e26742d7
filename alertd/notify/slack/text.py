"""Slack's markup and the smallest pieces of its Block Kit, each within its own limit.

Source: https://docs.slack.dev/messaging/formatting-message-text and
https://docs.slack.dev/reference/block-kit/blocks. Lengths are in UTF-16 units, as Slack's own clients count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from alertd.core.message.message import Item, Message
from alertd.core.routing.matcher import parse_matcher
from alertd.errors import MatcherError
from alertd.notify.base import NotifierOptions
from alertd.notify.render.markup import units

MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_CONTEXT = 2_000
MAX_BUTTON = 75

Block = dict[str, Any]


def cut(text: str, limit: int) -> str:
    """``text`` itself, or its beginning and an ellipsis; no escape and no link is cut through."""
    raw = text.encode("utf-16-le", "replace")
    if len(raw) <= 2 * limit:
        return text
    kept = raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore")
    return re.sub(r"(&[a-z]{0,3}|<[^>]*)$", "", kept).rstrip() + "…"


def escaped(text: str, limit: int = MAX_SECTION) -> str:
    """``text`` with Slack's three control characters escaped: nothing in it is a link or a mention."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return cut(safe, limit)


def bold(text: str) -> str:
    return _marked(text, "*")


def italic(text: str) -> str:
    return _marked(text, "_")


def struck(text: str) -> str:
    return _marked(text, "~")


def code(text: str) -> str:
    return _marked(text, "`")


def linked(text: str, url: str) -> str:
    """``text``, escaped, as a link to ``url``; without one just the text."""
    # A bar would end the address.
    return f"<{escaped(url)}|{escaped(text)}>" if url and "|" not in url else escaped(text)


def _marked(text: str, mark: str) -> str:
    """Between two marks; a text that holds the mark itself stays plain, since it would end there."""
    text = text.strip()
    return escaped(text) if mark in text or not text else f"{mark}{escaped(text)}{mark}"


def header(text: str) -> Block:
    # Plain text: nothing in it is read as markup, so nothing is escaped.
    plain = {"type": "plain_text", "text": cut(text, MAX_HEADER) or " ", "emoji": False}
    return {"type": "header", "text": plain}


def section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _mrkdwn(cut(mrkdwn, MAX_SECTION))}


def context(mrkdwn: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(cut(mrkdwn, MAX_CONTEXT))]}


def actions(buttons: list[Block]) -> Block:
    return {"type": "actions", "elements": buttons}


def divider() -> Block:
    return {"type": "divider"}


def link_button(label: str, name: str, url: str) -> Block:
    """A button that opens ``url``. Slack tells the app of the click all the same, under ``open.<name>``."""
    return _button(label, f"open.{name}") | {"url": url}


def act_button(label: str, name: str, value: str) -> Block:
    """A button whose click Slack posts to the app, under ``alertd.<name>`` and with ``value``."""
    return _button(label, f"alertd.{name}") | {"value": value}


def sections(lines: Iterable[str]) -> Iterator[tuple[Block, list[str]]]:
    """As few sections as hold all the lines, and the lines of each."""
    held: list[str] = []
    for line in lines:
        if held and units("\n".join([*held, line])) > MAX_SECTION:
            yield section("\n".join(held)), held
            held = []
        held.append(line)
    if held:
        yield section("\n".join(held)), held


def _button(label: str, action: str) -> Block:
    text = {"type": "plain_text", "text": cut(label, MAX_BUTTON) or " ", "emoji": False}
    return {"type": "button", "text": text, "action_id": action}


def _mrkdwn(text: str) -> Block:
    # Verbatim: @here and #channel in a title stay the letters that they are.
    return {"type": "mrkdwn", "text": text or " ", "verbatim": True}


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
