"""Writes Slack's markup and single Block Kit blocks, and keeps them within Slack's limits.

Source: https://docs.slack.dev/messaging/formatting-message-text and
https://docs.slack.dev/reference/block-kit/blocks. Lengths are in UTF-16 code units, as Slack's clients count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from alertd.core.message.message import Message
from alertd.core.routing.matcher import parse_matcher
from alertd.errors import MatcherError
from alertd.notify.base import NotifierOptions
from alertd.notify.render.markup import count_units

MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_CONTEXT = 2_000
MAX_BUTTON = 75

Block = dict[str, Any]


def cut_text(text: str, limit: int) -> str:
    """Return ``text``, cut to at most ``limit`` units, never within an escape or a link."""
    raw = text.encode("utf-16-le", "replace")
    if len(raw) <= 2 * limit:
        return text
    kept = raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore")
    return re.sub(r"(&[a-z]{0,3}|<[^>]*)$", "", kept).rstrip() + "…"


def escape(text: str, limit: int = MAX_SECTION) -> str:
    """Return ``text`` with Slack's three control characters escaped, so that it has no link or mention."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return cut_text(safe, limit)


def bold(text: str) -> str:
    return _mark(text, "*")


def italic(text: str) -> str:
    return _mark(text, "_")


def strike(text: str) -> str:
    return _mark(text, "~")


def code(text: str) -> str:
    return _mark(text, "`")


def make_link(text: str, url: str) -> str:
    """Return ``text``, escaped, as a link to ``url``; without a URL, only the text."""
    # A `|` in the URL would end the URL.
    return f"<{escape(url)}|{escape(text)}>" if url and "|" not in url else escape(text)


def _mark(text: str, mark: str) -> str:
    """Put escaped text between two marks. If the text contains the mark, leave it unmarked."""
    text = text.strip()
    return escape(text) if mark in text or not text else f"{mark}{escape(text)}{mark}"


def make_header(text: str) -> Block:
    # The text type is plain_text: Slack reads no markup in it, so nothing is escaped.
    plain = {"type": "plain_text", "text": cut_text(text, MAX_HEADER) or " ", "emoji": False}
    return {"type": "header", "text": plain}


def make_section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _mrkdwn(cut_text(mrkdwn, MAX_SECTION))}


def make_context(mrkdwn: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(cut_text(mrkdwn, MAX_CONTEXT))]}


def make_actions(buttons: list[Block]) -> Block:
    return {"type": "actions", "elements": buttons}


def make_divider() -> Block:
    return {"type": "divider"}


def make_link_button(label: str, name: str, url: str) -> Block:
    """Return a button that opens ``url``.

    Slack reports the click to the app nevertheless, as ``open.<name>``.
    """
    return _button(label, f"open.{name}") | {"url": url}


def make_act_button(label: str, name: str, value: str) -> Block:
    """Return a button whose click Slack posts to the app, as ``alertd.<name>`` with ``value``."""
    return _button(label, f"alertd.{name}") | {"value": value}


def group_into_sections(lines: Iterable[str]) -> Iterator[tuple[Block, list[str]]]:
    """Yield as few sections as can hold all lines, each with its lines."""
    held: list[str] = []
    for line in lines:
        if held and count_units("\n".join([*held, line])) > MAX_SECTION:
            yield make_section("\n".join(held)), held
            held = []
        held.append(line)
    if held:
        yield make_section("\n".join(held)), held


def _button(label: str, action: str) -> Block:
    text = {"type": "plain_text", "text": cut_text(label, MAX_BUTTON) or " ", "emoji": False}
    return {"type": "button", "text": text, "action_id": action}


def _mrkdwn(text: str) -> Block:
    # Verbatim: Slack turns no @here or #channel in a text into a mention or a link.
    return {"type": "mrkdwn", "text": text or " ", "verbatim": True}


MAX_MENTIONS = 50

_SPECIAL = re.compile(r"(?:@|<!)?(here|channel|everyone)>?")
_USER = re.compile(r"(?:<@)?([UW][A-Z0-9]{2,30})>?")
_GROUP = re.compile(r"(?:<!subteam\^)?(S[A-Z0-9]{2,30})>?")


def _parse_who(text: str) -> str:
    """Return the mention in Slack's markup: ``<@U123>``, ``<!subteam^S123>`` or ``<!here>``."""
    if found := _SPECIAL.fullmatch(text):
        return f"<!{found[1]}>"
    if found := _USER.fullmatch(text):
        return f"<@{found[1]}>"
    if found := _GROUP.fullmatch(text):
        return f"<!subteam^{found[1]}>"
    raise ValueError("is not here, channel, everyone, or the id of a user (U123) or of a user group (S123)")


def _check_matcher(text: str) -> str:
    try:
        parse_matcher(text)
    except MatcherError as error:
        raise ValueError(str(error)) from None
    return text


class Mention(NotifierOptions):
    """One entry of ``mentions``."""

    who: Annotated[str, AfterValidator(_parse_who)]
    """``here``, ``channel``, ``everyone``, or the id of a user or a user group."""
    matchers: list[Annotated[str, AfterValidator(_check_matcher)]] = Field(
        default_factory=list, max_length=50
    )
    """The milestones and causes that lead to the mention; all matchers must match.

    Without matchers, all do.
    """


def find_mentions(mentions: Sequence[Mention], message: Message) -> str:
    """Return the mentions for the items of ``message``, each once, in Slack's markup; "" for none.

    A message about alertd itself has no items and mentions nobody.
    """
    labels = [item.route_labels for item in message.items]
    return " ".join(dict.fromkeys(mention.who for mention in mentions if _applies(mention, labels)))


def _applies(mention: Mention, items: Iterable[Mapping[str, str]]) -> bool:
    matchers = [parse_matcher(text) for text in mention.matchers]
    return any(all(matcher.matches(labels) for matcher in matchers) for labels in items)
