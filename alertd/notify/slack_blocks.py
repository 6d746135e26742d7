"""Lays a message out in Slack's Block Kit, within its limits.

Source: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/messaging/formatting-message-text.
A date is written as words: ``<!date^...>`` would be shown in each reader's zone, and so on another day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from alertd.core.message import ClaimLine, Item, Kind, Message
from alertd.notify.look import look_of
from alertd.notify.text import (
    account_text,
    brief_story,
    claim_text,
    common_timeline,
    explain_hint,
    remarks,
    shown,
    stopped,
    story,
    tags,
)

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_CONTEXT = 2_000
MAX_TEXT = 4_000
"""Of the fallback; Slack itself would cut it at 40,000 characters."""

MAX_ITEMS = 30
MAX_CLAIMS = 20

Block = dict[str, Any]


def slack_payload(message: Message) -> dict[str, Any]:
    """The body for an incoming webhook: a header, and the rest in an attachment with a coloured edge."""
    return {
        # What a notification, a screen reader, and a service that only knows text show.
        "text": escaped(_fallback(message), MAX_TEXT),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [_header(_heading(message))],
        "attachments": [{"color": look_of(message).strong, "blocks": list(_body(message))[: MAX_BLOCKS - 1]}],
    }


def escaped(text: str, limit: int) -> str:
    """``text`` with Slack's three control characters escaped, so that nothing in it is a link or a mention.

    Args:
        limit: in UTF-16 units, which is how Slack's own clients count.
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _cut(safe, limit)


def _cut(text: str, limit: int) -> str:
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * limit:
        return text
    kept = units[: 2 * (limit - 1)].decode("utf-16-le", "ignore")
    # An escape or a link that was cut through is taken off whole.
    return re.sub(r"(&[a-z]{0,3}|<[^>]*)$", "", kept).rstrip() + "…"


def _fallback(message: Message) -> str:
    items, rest = shown(message.items, MAX_ITEMS)
    if message.kind is Kind.SINGLE:
        lines = [message.subject, *(stopped(item.headline) for item in items)]
    else:
        lines = [message.subject, *message.lines]
        lines += [f"{item.badge}: {item.title} ({item.phrase})" for item in items]
    return "\n".join(line for line in (message.intro, *lines, rest) if line)


def _heading(message: Message) -> str:
    if message.kind is not Kind.SINGLE:
        return message.subject
    item = message.items[0]
    return f"{look_of(item).mark} {item.badge[:1].upper()}{item.badge[1:]}: {item.title}"


def _body(message: Message) -> Iterable[Block]:
    if message.intro:
        yield _section(_italic(message.intro))
    match message.kind:
        case Kind.SINGLE:
            yield from _single(message.items[0])
        case Kind.MANY | Kind.DIGEST:
            yield from _many(message)
        case Kind.NOTICE | Kind.TEST:
            yield from (_section(_plain(line)) for line in message.lines[:40])
    yield _context(message.id)


def _single(item: Item) -> Iterable[Block]:
    below = [] if item.timeline_title in ("", item.title) else [_plain(item.timeline_title)]
    marks = " · ".join([_bold(item.phrase), *(_italic(tag) for tag in tags(item))])
    yield _section("\n".join([marks, *below]))
    yield _section("\n".join(_plain(sentence) for sentence in (stopped(item.headline), *story(item))))
    if item.description or item.url:
        link = [f"<{escaped(item.url, 2_500)}>"] if item.url else []
        yield _section("\n".join([*([_plain(item.description)] if item.description else []), *link]))
    if item.claims:
        yield {"type": "divider"}
        yield _section("*Who says what*")
    claims = item.claims[:MAX_CLAIMS]
    yield from (_section(_claim(claim)) for claim in claims)
    if len(item.claims) > len(claims):
        yield _section(f"and {len(item.claims) - len(claims)} more")
    ahead = [part for part in (item.next, item.why) if part]
    if ahead:
        yield _context("\n".join(ahead))
    yield _context(f"{item.milestone} · revision {item.revision} · {item.zone}")


def _claim(claim: ClaimLine) -> str:
    first = _plain(claim_text(claim))
    if claim.headline:
        first = _bold(claim.phrase) + (f" – {_plain(claim.status)}" if claim.status else "")
    elif not claim.live:
        first = _struck(claim.phrase) + (f" – {_plain(claim.status)}" if claim.status else "")
    lines = [first]
    for account in claim.accounts:
        link = f" <{escaped(account.url, 2_500)}|source>" if account.url else ""
        lines.append(_plain(account_text(account)) + link)
    return "\n".join([*lines, *(_italic(remark) for remark in remarks(claim))])


def _many(message: Message) -> Iterable[Block]:
    items, rest = shown(message.items, MAX_ITEMS)
    common = common_timeline(items)
    if common:
        yield _section(_plain(common))
    yield from (_section(_one_of_many(item, with_timeline=not common)) for item in items)
    if rest:
        yield _section(_italic(rest))
    yield _context(explain_hint(message))


def _one_of_many(item: Item, *, with_timeline: bool) -> str:
    lines = [f"{look_of(item).mark} {_bold(item.badge)} – {_bold(item.title)}"]
    if with_timeline and item.timeline_title not in ("", item.title):
        lines.append(_plain(item.timeline_title))
    lines.append(_plain(" · ".join([item.phrase, *tags(item)])))
    lines += [_plain(sentence) for sentence in (stopped(item.headline), *brief_story(item))]
    lines.append(_plain(item.milestone))
    return "\n".join(lines)


def _header(text: str) -> Block:
    # Plain text: nothing in it is read as markup, so nothing is escaped.
    return {"type": "header", "text": {"type": "plain_text", "text": _cut(text, MAX_HEADER), "emoji": False}}


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _mrkdwn(_cut(mrkdwn, MAX_SECTION))}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(escaped(text, MAX_CONTEXT))]}


def _mrkdwn(text: str) -> Block:
    # Verbatim: @here and #channel in a title stay the letters that they are.
    return {"type": "mrkdwn", "text": text or " ", "verbatim": True}


def _plain(text: str) -> str:
    return escaped(text, MAX_SECTION)


def _bold(text: str) -> str:
    return _marked(text, "*")


def _italic(text: str) -> str:
    return _marked(text, "_")


def _struck(text: str) -> str:
    return _marked(text, "~")


def _marked(text: str, mark: str) -> str:
    """Between two marks; a text that holds the mark itself stays plain, since it would end there."""
    text = text.strip()
    return _plain(text) if mark in text or not text else f"{mark}{_plain(text)}{mark}"
