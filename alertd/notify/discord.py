"""Posts an embed to a Discord webhook.

Source: https://docs.discord.com/developers/resources/webhook ("Execute Webhook"), .../resources/message
("Embed Limits") and .../topics/rate-limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from alertd.notify import (
    Answer,
    Env,
    Kind,
    Message,
    Outcome,
    Outline,
    OutlineLine,
    Rejected,
    Rendered,
    Retry,
    SecretUnreadable,
    Sent,
    UrlOptions,
    apply_wait,
    build_outline,
    check_url,
    choose_palette,
    clean_message,
    count_units,
    cut_units,
    get_text,
    judge_answer,
    parse_object,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_json,
    render_markdown_line,
)

MAX_TITLE = 256
MAX_DESCRIPTION = 4_096
MAX_THREAD_NAME = 100
MAX_BUTTONS = 5
MAX_BUTTON_URL = 512

UNKNOWN_CHANNEL = 10003
UNKNOWN_WEBHOOK = 10015

_SPECIAL = re.compile(r"([\\*_~`|<>\[\]#])")


class DiscordOptions(UrlOptions):
    """Options of ``type: discord``."""

    forum: bool = False
    """Whether the webhook belongs to a forum channel. If so, each milestone gets its own post there."""


class DiscordNotifier:
    """Posts to one channel. The id at the bottom of the embed identifies a duplicate.

    A Discord webhook cannot reply to a message. Therefore milestones get a thread of their own only in a
    forum channel.
    """

    Options = DiscordOptions

    def __init__(self, options: DiscordOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        try:
            url = read_secret(self._options, "url", self._env, check_url)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        fitted = clean_message(message)
        payload = build_discord_payload(fitted)
        if not self._options.forum:
            outcome, _ = await self._post(url, payload)
            return outcome
        milestone = fitted.items[0].milestone if message.kind is Kind.SINGLE else ""
        if thread := prior.get(milestone, {}).get("thread", ""):
            outcome, body = await self._post(url, payload, thread)
            # Discord posted nothing, because the thread was deleted. A new thread replaces it.
            if not (isinstance(outcome, Rejected) and body.get("code") == UNKNOWN_CHANNEL):
                return _remember_thread(outcome, milestone, thread)
        outcome, body = await self._post(url, payload | _post_name(fitted))
        return _remember_thread(outcome, milestone, get_text(body, "channel_id"))

    def render(self, message: Message) -> tuple[Rendered, ...]:
        fitted = clean_message(message)
        named = _post_name(fitted) if self._options.forum else {}
        return (render_json(build_discord_payload(fitted) | named),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    async def _post(
        self, url: str, payload: Mapping[str, Any], thread: str = ""
    ) -> tuple[Outcome, Mapping[str, Any]]:
        answer = await post_json(self._env, self._options, _address(url, thread), payload)
        body = parse_object(answer)
        outcome = apply_wait(judge_answer(answer, self._env.clock.now()), body.get("retry_after"))
        return _judge(outcome, answer, body), body


def _post_name(message: Message) -> dict[str, Any]:
    """Return the field that names a new post in a forum channel."""
    return {"thread_name": cut_units(message.subject, MAX_THREAD_NAME) or "alertd"}


def build_discord_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body for a message that ``clean_message`` has cleaned."""
    outline = build_outline(message, MAX_DESCRIPTION, lambda line: count_units(_line(line)) + 2)
    embed: dict[str, Any] = {
        "title": _title(outline.title),
        "description": "\n\n".join("\n".join(map(_line, paragraph)) for paragraph in outline.paragraphs),
        "color": int(choose_palette(message).strong[1:], 16),
        "footer": {"text": "\n".join(part for part in (outline.about, f"{outline.id} · alertd") if part)},
    }
    if outline.url:
        embed["url"] = outline.url
    payload: dict[str, Any] = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    buttons = _buttons(outline)
    return payload | ({"components": [{"type": 1, "components": buttons}]} if buttons else {})


def _title(text: str) -> str:
    title = _escape(text)
    # Escaping at most doubles the length, so half the limit always fits.
    return title if count_units(title) <= MAX_TITLE else _escape(cut_units(text, MAX_TITLE // 2))


def _line(line: OutlineLine) -> str:
    return render_markdown_line(line, _escape)


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _buttons(outline: Outline) -> list[dict[str, Any]]:
    return [
        {"type": 2, "style": 5, "label": link.label, "url": link.url}
        for link in outline.links[:MAX_BUTTONS]
        if len(link.url) <= MAX_BUTTON_URL
    ]


def _address(url: str, thread: str) -> str:
    """Return the URL to post to.

    With ``wait``, Discord's answer contains the posted message. With ``with_components``, Discord shows
    buttons.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query)) | {"wait": "true", "with_components": "true"}
    if thread:
        asked["thread_id"] = thread
    return urlunsplit(parts._replace(query=urlencode(asked)))


def _judge(outcome: Outcome, answer: Answer, body: Mapping[str, Any]) -> Outcome:
    if isinstance(outcome, Sent) and not get_text(body, "id"):
        return reject_foreign_answer(answer, "Discord")
    if isinstance(outcome, Rejected) and body.get("code") == UNKNOWN_WEBHOOK:
        return replace(outcome, gone=True)
    return outcome


def _remember_thread(outcome: Outcome, milestone: str, thread: str) -> Outcome:
    if isinstance(outcome, Sent) and milestone and thread:
        return replace(outcome, state={milestone: {"thread": thread}})
    return outcome
