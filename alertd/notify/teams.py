"""Posts an Adaptive Card to a Microsoft Teams workflow, or to an old incoming webhook.

Source: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
("Send Adaptive Cards", "Rate limiting") and https://adaptivecards.io/explorer/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alertd.notify import (
    Answer,
    Env,
    Message,
    Outcome,
    Outline,
    OutlineLine,
    Rate,
    Rendered,
    Reply,
    Retry,
    SecretUnreadable,
    Span,
    Style,
    Tone,
    UrlOptions,
    build_frame,
    build_outline,
    check_url,
    clean_message,
    encode_json,
    judge_answer,
    post_json,
    read_secret,
    render_json,
)

MAX_BYTES = 20_000
"""Limit for a whole request, in bytes. The documented limit is 28 KB, but Teams has refused cards of about
21,000 bytes (https://rubydoc.info/gems/msteams_hermes/MsTeamsHermes/Message)."""

SERVICE = "Microsoft Teams"

_STYLES = {
    Tone.CALM: "accent",
    Tone.SOON: "warning",
    Tone.LATE: "attention",
    Tone.MOVED: "accent",
    Tone.DONE: "good",
}
_LOOKS: Mapping[Style, Mapping[str, Any]] = {
    Style.BOLD: {"weight": "Bolder"},
    Style.ITALIC: {"italic": True},
    Style.STRUCK: {"strikethrough": True},
    Style.CODE: {"fontType": "Monospace"},
}

# An old incoming webhook reports an error in the body of a 200 ("Rate limiting for connectors").
_FAILED = re.compile(rb"returned HTTP error ([1-5][0-9]{2})")


class TeamsOptions(UrlOptions):
    """Options of ``type: teams``."""


class TeamsNotifier:
    """Posts to one channel or chat. The id at the bottom of the card identifies a duplicate."""

    Options = TeamsOptions
    rate = Rate(messages=4, per_s=1.0)
    """Teams throttles from the fifth request in a second."""

    def __init__(self, options: TeamsOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        env = self._env
        try:
            url = read_secret(self._options, "url", env, check_url)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        answer = await post_json(env, self._options, url, build_teams_payload(clean_message(message)))
        return judge_answer(_correct_status(answer), env.clock.now())

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (render_json(build_teams_payload(clean_message(message))),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""


def build_teams_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body for a message that ``clean_message`` has cleaned."""
    tone = message.items[0].tone if message.items else None
    room = MAX_BYTES - len(encode_json(_build_body(build_frame(message), tone)))
    return _build_body(build_outline(message, room, _cost), tone)


def _build_body(outline: Outline, tone: Tone | None) -> dict[str, Any]:
    heading = _block(OutlineLine((Span(outline.title, Style.BOLD, outline.url),)), size="Large")
    body = [{"type": "Container", "style": _STYLES.get(tone, "emphasis") if tone else "emphasis",
             "bleed": True, "items": [heading]}]  # fmt: skip
    body += [
        _block(line, spacing="None" if at else "Medium")
        for paragraph in outline.paragraphs
        for at, line in enumerate(paragraph)
    ]
    end = [text for text in (outline.about, f"{outline.id} · alertd") if text]
    body += [_block(OutlineLine((Span(text),)), is_subtle=True, spacing="None" if at else "Medium")
             for at, text in enumerate(end)]  # fmt: skip
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": f"{outline.title} ({outline.id})",
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": link.label, "url": link.url} for link in outline.links
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _block(
    line: OutlineLine, *, size: str = "", spacing: str = "", is_subtle: bool = False
) -> dict[str, Any]:
    # A RichTextBlock shows its runs as they are. A TextBlock would read Markdown.
    more = {"size": size} if size else {"isSubtle": True, "size": "Small"} if is_subtle else {}
    block: dict[str, Any] = {"type": "RichTextBlock", "inlines": [_run(span) | more for span in line.spans]}
    return block | ({"spacing": spacing} if spacing else {})


def _run(span: Span) -> dict[str, Any]:
    run: dict[str, Any] = {"type": "TextRun", "text": span.text, **_LOOKS.get(span.style, {})}
    return run | ({"selectAction": {"type": "Action.OpenUrl", "url": span.url}} if span.url else {})


def _cost(line: OutlineLine) -> int:
    return len(encode_json(_block(line, spacing="Medium"))) + 1


def _correct_status(answer: Answer) -> Answer:
    """Return the answer with the status that its body reports."""
    if isinstance(answer, Reply) and (told := _FAILED.search(answer.body)):
        return replace(answer, status=int(told[1]))
    return answer
