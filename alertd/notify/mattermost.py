"""Posts a message attachment to a Mattermost incoming webhook.

Source: https://docs.mattermost.com/developers/integrate/webhooks/incoming and
https://docs.mattermost.com/developers/integrate/reference/message-attachments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from alertd.notify import (
    Env,
    Kind,
    Message,
    Outcome,
    OutlineLine,
    Rendered,
    Reply,
    Retry,
    SecretUnreadable,
    Sent,
    UrlOptions,
    build_markdown_link,
    build_outline,
    check_url,
    choose_palette,
    clean_message,
    count_units,
    judge_answer,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_json,
    render_markdown_line,
    suppress_mentions,
)

MAX_TEXT = 12_000
"""Limit in characters. A post has at most 16,383; Mattermost splits a longer post, but not its attachment."""

_SPECIAL = re.compile(r"([\\*_~`\[\]#])")


class MattermostOptions(UrlOptions):
    """Options of ``type: mattermost``."""


class MattermostNotifier:
    """Posts to one channel. The id at the bottom and in ``props`` identifies a duplicate.

    The webhook's answer does not contain the post's id, so alertd can neither edit posts nor reply.
    """

    Options = MattermostOptions

    def __init__(self, options: MattermostOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        env = self._env
        try:
            url = read_secret(self._options, "url", env, check_url)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        answer = await post_json(env, self._options, url, build_mattermost_payload(clean_message(message)))
        outcome = judge_answer(answer, env.clock.now())
        if isinstance(outcome, Sent) and isinstance(answer, Reply) and answer.body.strip() != b"ok":
            return reject_foreign_answer(answer, "Mattermost")
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (render_json(build_mattermost_payload(clean_message(message))),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""


def build_mattermost_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body for a message that ``clean_message`` has cleaned."""
    outline = build_outline(message, MAX_TEXT, lambda line: count_units(_line(line)) + 2)
    paragraphs = ["\n".join(map(_line, paragraph)) for paragraph in outline.paragraphs]
    # A button would make Mattermost call alertd. Opening a page needs only a link.
    links = " · ".join(build_markdown_link(link.label, link.url, _escape) for link in outline.links)
    attachment = {
        "fallback": suppress_mentions(f"{outline.title} ({outline.id})"),
        "color": choose_palette(message).strong,
        "title": suppress_mentions(_escape(outline.title)),
        "title_link": outline.url,
        "text": "\n\n".join(part for part in (*paragraphs, links, _escape(outline.about)) if part),
        "footer": f"{outline.id} · alertd",
    }
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    return {"attachments": [attachment], "props": {"alertd": {"id": message.id, **about}}}


def _line(line: OutlineLine) -> str:
    return render_markdown_line(line, _escape)


def _escape(text: str) -> str:
    # Like Slack, Mattermost reads `<` as the start of a link or a mention, even after a backslash.
    return _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
