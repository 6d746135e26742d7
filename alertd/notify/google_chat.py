"""Posts a card to a space of Google Chat by the space's incoming webhook.

Source: https://developers.google.com/workspace/chat/ ("Build a Google Chat app as a webhook", "Format
messages", "Usage limits", and in the REST reference "spaces.messages.create" and "Cards v2"); for the answers
https://cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from alertd.notify import (
    Env,
    Kind,
    Message,
    Outcome,
    Outline,
    OutlineLine,
    Rate,
    Rejected,
    Rendered,
    Reply,
    Retry,
    SecretUnreadable,
    Sent,
    Span,
    Style,
    UrlOptions,
    apply_wait,
    build_frame,
    build_html_link,
    build_outline,
    check_url,
    clean_message,
    count_units,
    encode_json,
    escape_html,
    escape_markdown,
    get_text,
    judge_answer,
    parse_object,
    post_json,
    quote,
    read_secret,
    reject_foreign_answer,
    render_html_line,
    render_json,
    render_plain_line,
    render_plain_text,
)

SERVICE = "Google Chat"
MAX_BYTES = 30_000
"""The most bytes of a request. Google Chat accepts 32,000, including the fields that it adds itself."""

MAX_PARAGRAPHS = 90
"""The most paragraphs of a card. Google Chat does not show a section that takes a card above 100 widgets."""

MAX_TEXT = 4_000
"""The most UTF-16 code units of a message without a card."""

REPLY = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"

RETRIED = frozenset({"ABORTED", "CANCELLED", "RESOURCE_EXHAUSTED"})
"""Error codes of Google's APIs after which alertd retries, whatever the HTTP status is."""

REFUSED_LAYOUT = "INVALID_ARGUMENT"

# The marks that Google Chat reads as markup in a text, and the bracket that starts a mention: <users/all>. An
# underscore within a word is not markup, so ids do not change.
_MARKUP = re.compile(r"([*~`<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^-(?= ))", re.MULTILINE)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")


class GoogleChatOptions(UrlOptions):
    """Options of ``type: google_chat``."""

    thread: bool = True
    """Whether all messages about a milestone are in one thread."""


class GoogleChatNotifier:
    """One space. A repeat is dropped by Google Chat, and can be told by the id at the bottom of the card."""

    Options = GoogleChatOptions
    rate = Rate(messages=1, per_s=1.0)
    """A space accepts 60 messages a minute from all apps and webhooks together ("Usage limits")."""

    def __init__(self, options: GoogleChatOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        try:
            url = read_secret(self._options, "url", self._env, check_url)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        fitted = clean_message(message)
        thread = self._thread(fitted)
        address = _address(url, message.id, replies=bool(thread))
        outcome, code = await self._post(address, build_google_chat_payload(fitted) | thread)
        if isinstance(outcome, Rejected) and code == REFUSED_LAYOUT:
            # Google Chat has posted nothing. Send plain text: the reminder arrives without its layout.
            refused = outcome.reason
            outcome, _ = await self._post(address, _text_payload(fitted) | thread)
            if isinstance(outcome, Sent):
                outcome = replace(outcome, note=f"{outcome.note}; as plain text: {refused}")
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        fitted = clean_message(message)
        return (render_json(build_google_chat_payload(fitted) | self._thread(fitted)),)

    async def aclose(self) -> None:
        """Do nothing: the process closes the HTTP client."""

    def _thread(self, message: Message) -> dict[str, Any]:
        if not self._options.thread or message.kind is not Kind.SINGLE:
            return {}
        return {"thread": {"threadKey": f"alertd/{message.items[0].milestone}"}}

    async def _post(self, url: str, payload: Mapping[str, Any]) -> tuple[Outcome, str]:
        """Return the outcome, and the error code of Google's APIs; "" if the answer contains none."""
        answer = await post_json(self._env, self._options, url, payload)
        outcome = judge_answer(answer, self._env.clock.now())
        if not isinstance(answer, Reply):
            return outcome, ""
        if isinstance(outcome, Sent):
            is_posted = get_text(parse_object(answer), "name").startswith("spaces/")
            return (outcome if is_posted else reject_foreign_answer(answer, SERVICE)), ""
        error = parse_object(answer).get("error")
        return _read_error(outcome, answer, error if isinstance(error, dict) else {})


def build_google_chat_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body without the thread, for a message that ``clean_message`` has cleaned."""
    room = MAX_BYTES - len(encode_json(_card_payload(build_frame(message))))
    return _card_payload(build_outline(message, room, _cost))


def _card_payload(outline: Outline) -> dict[str, Any]:
    title = build_html_link(outline.title, outline.url) if outline.url else escape_html(outline.title)
    paragraphs = ["<br>".join(map(_html, paragraph)) for paragraph in outline.paragraphs]
    in_widget = max(1, math.ceil(len(paragraphs) / MAX_PARAGRAPHS))
    starts = range(0, len(paragraphs), in_widget)
    widgets = [
        _paragraph(f"<b>{title}</b>"),
        *(_paragraph("<br><br>".join(paragraphs[at : at + in_widget])) for at in starts),
    ]
    if outline.links:
        buttons = [{"text": link.label, "onClick": {"openLink": {"url": link.url}}} for link in outline.links]
        widgets.append({"buttonList": {"buttons": buttons}})
    end = "<br>".join(escape_html(part) for part in (outline.about, f"{outline.id} · alertd") if part)
    sections = [{"widgets": widgets}, {"widgets": [_paragraph(end)]}]
    return {
        # Notifications and clients without cards show this text.
        "fallbackText": _unmarked(f"{outline.title} ({outline.id})"),
        "cardsV2": [{"cardId": outline.id, "card": {"sections": sections}}],
    }


def _text_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body of the same message as plain text, without a card."""
    frame = build_frame(message)
    room = MAX_TEXT - count_units(_unmarked(f"{frame.title}\n\n{render_plain_text(frame)}"))
    outline = build_outline(message, room, lambda line: count_units(_unmarked(render_plain_line(line))) + 2)
    return {"text": _unmarked(f"{outline.title}\n\n{render_plain_text(outline)}")}


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}


def _html(line: OutlineLine) -> str:
    if any(span.style is Style.CODE for span in line.spans):
        # Cards do not support the tag <code>.
        line = replace(line, spans=tuple(map(_without_code, line.spans)))
    return render_html_line(line)


def _without_code(span: Span) -> Span:
    return replace(span, style=Style.PLAIN) if span.style is Style.CODE else span


def _cost(line: OutlineLine) -> int:
    return len(encode_json(_paragraph(_html(line)))) + len("<br>,")


def _unmarked(text: str) -> str:
    """Return ``text`` with an invisible word joiner after each mark, because Chat has no escapes."""
    return escape_markdown(text, lambda part: _MARKUP.sub("\\1\u2060", part))


def _address(url: str, delivery: str, *, replies: bool) -> str:
    """Return the webhook's URL with the delivery's id. Google Chat posts only once under the same id."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | {"requestId": delivery}
    if replies:
        query["messageReplyOption"] = REPLY
    return urlunsplit(parts._replace(query=urlencode(query)))


def _read_error(outcome: Outcome, answer: Reply, error: Mapping[str, Any]) -> tuple[Outcome, str]:
    """Return the outcome that an error of Google's APIs means, and the error's code."""
    code = get_text(error, "status")
    if not code or isinstance(outcome, Sent) or answer.status in (410, *range(300, 400)):
        return outcome, ""
    excerpt = quote(f"{code}: {get_text(error, 'message')}", answer.hidden)
    reason = f"{answer.origin} answered {answer.status}: {excerpt}"
    if isinstance(outcome, Retry) or code in RETRIED:
        after = outcome.after if isinstance(outcome, Retry) else None
        return apply_wait(Retry(reason=reason, after=after), _delay_s(error)), code
    return replace(outcome, reason=reason), code


def _delay_s(error: Mapping[str, Any]) -> float | None:
    """Return the ``retryDelay`` of a ``google.rpc.RetryInfo``, such as ``30s``, in seconds; None for none."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = get_text(detail, "retryDelay") if isinstance(detail, dict) else ""
        if _SECONDS.fullmatch(delay):
            return float(delay[:-1])
    return None
