"""Sends messages through a Telegram bot.

Source: https://core.telegram.org/bots/api, "sendMessage", "HTML style", "ResponseParameters" and "Making
requests". For the rate: https://core.telegram.org/bots/faq, "My bot is hitting limits".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from alertd.notify import (
    Answer,
    BaseUrl,
    Env,
    Kind,
    Message,
    Outcome,
    Outline,
    Rate,
    Rejected,
    Rendered,
    Retry,
    SecretUnreadable,
    Sent,
    TokenOptions,
    apply_wait,
    build_frame,
    build_html_link,
    build_outline,
    clean_message,
    count_units,
    escape_html,
    get_text,
    judge_answer,
    parse_object,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_html_line,
    render_json,
    render_plain_line,
    render_plain_text,
    render_visible_text,
    suppress_mentions,
    validate_secret,
)

API_URL = "https://api.telegram.org"
MAX_TEXT = 4_096
"""Limit in UTF-16 code units, counted after Telegram has parsed the markup."""
BUTTONS_IN_ROW = 2

_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}")
# Errors that a text without markup and buttons would not cause.
_LAYOUT = re.compile(r"can't parse entities|button|reply.?markup", re.IGNORECASE)


def check_bot_token(token: str) -> None:
    """Raise ValueError for text that is not a bot's token, which becomes a part of the URL's path.

    The error's text does not quote the token.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("is not a bot's token")


def _check_chat(text: str) -> str:
    if not _CHAT.fullmatch(text):
        raise ValueError("is not a chat's id such as -1001234567890, and not the @name of a public one")
    return text


class TelegramOptions(TokenOptions):
    """Options of ``type: telegram``."""

    token: Annotated[SecretStr, validate_secret(check_bot_token)] | None = None
    """The bot's token from BotFather."""
    chat: Annotated[str, AfterValidator(_check_chat)]
    """The chat's id, or the ``@name`` of a public channel or group."""
    topic: int | None = Field(default=None, gt=0)
    """The id of a topic, if the group has topics."""
    reply: bool = True
    """Whether later messages about a milestone are replies to the first message."""
    api_url: BaseUrl = API_URL
    """The URL of the Bot API."""


class TelegramNotifier:
    """Sends to one chat. The id in the last line identifies a duplicate."""

    Options = TelegramOptions
    rate = Rate(messages=20, per_s=60.0)
    """The rate that Telegram allows a bot in a group. In a single chat, it allows one message a second."""

    def __init__(self, options: TelegramOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        options = self._options
        try:
            token = read_secret(options, "token", self._env, check_bot_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        fitted = clean_message(message)
        single = options.reply and message.kind is Kind.SINGLE
        milestone = message.items[0].milestone if single else ""
        before = prior.get(milestone, {})
        where = self._where(before.get("message", "") if before.get("chat") == options.chat else "")
        outcome, answer = await self._post(token, {**where, **build_telegram_payload(fitted)})
        body = parse_object(answer)
        if isinstance(outcome, Rejected) and _LAYOUT.search(get_text(body, "description")):
            # Telegram refuses a message with a button to a host in a private network, and sends nothing.
            why = get_text(body, "description")
            outcome, answer = await self._post(token, {**where, **_bare_payload(fitted)})
            if isinstance(outcome, Sent):
                outcome = replace(outcome, note=f"{outcome.note}; as plain text: {why[:100]}")
        if isinstance(outcome, Sent) and single:
            state = {"chat": options.chat, "message": _find_first(answer)}
            return replace(outcome, state={milestone: state})
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (render_json({**self._where(""), **build_telegram_payload(clean_message(message))}),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    def _where(self, first: str) -> dict[str, Any]:
        where: dict[str, Any] = {"chat_id": self._options.chat}
        if self._options.topic is not None:
            where["message_thread_id"] = self._options.topic
        if first:
            where["reply_parameters"] = {"message_id": int(first), "allow_sending_without_reply": True}
        return where

    async def _post(self, token: str, payload: Mapping[str, Any]) -> tuple[Outcome, Answer]:
        env = self._env
        url = f"{self._options.api_url}/bot{token}/sendMessage"
        answer = await post_json(env, self._options, url, payload, hidden=(token, token.partition(":")[2]))
        return _judge(answer, judge_answer(answer, env.clock.now())), answer


def build_telegram_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body without the chat, for a message from ``clean_message``."""
    frame = build_frame(message)
    room = MAX_TEXT - count_units(suppress_mentions("\n\n".join([frame.title, *_end(frame)])))
    outline = build_outline(message, room, lambda line: count_units(render_visible_text(line)) + 2)
    title = build_html_link(outline.title, outline.url) if outline.url else escape_html(outline.title)
    parts = [
        f"<b>{title}</b>",
        *("\n".join(map(render_html_line, paragraph)) for paragraph in outline.paragraphs),
    ]
    payload: dict[str, Any] = {
        "text": "\n\n".join([*parts, *map(escape_html, _end(outline))]),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    if outline.links:
        buttons = [{"text": link.label, "url": link.url} for link in outline.links]
        rows = [buttons[at : at + BUTTONS_IN_ROW] for at in range(0, len(buttons), BUTTONS_IN_ROW)]
        payload["reply_markup"] = {"inline_keyboard": rows}
    return payload


def _bare_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body without the chat, markup and buttons."""
    frame = build_frame(message)
    room = MAX_TEXT - count_units(suppress_mentions(f"{frame.title}\n\n{render_plain_text(frame)}"))
    outline = build_outline(
        message, room, lambda line: count_units(suppress_mentions(render_plain_line(line))) + 2
    )
    text = f"{outline.title}\n\n{render_plain_text(outline)}"
    return {"text": suppress_mentions(text), "link_preview_options": {"is_disabled": True}}


def _end(outline: Outline) -> list[str]:
    return ["\n".join(part for part in (outline.about, f"{outline.id} · alertd") if part)]


def _judge(answer: Answer, outcome: Outcome) -> Outcome:
    body = parse_object(answer)
    about = body.get("parameters")
    parameters = about if isinstance(about, dict) else {}
    if isinstance(outcome, Sent) and not (body.get("ok") is True and _result(answer)):
        return reject_foreign_answer(answer, "Telegram")
    if isinstance(outcome, Rejected) and (moved := get_text(parameters, "migrate_to_chat_id")):
        return replace(
            outcome, reason=f"{outcome.reason}; the group has become a supergroup, its id is {moved}"
        )
    return apply_wait(outcome, parameters.get("retry_after"))


def _result(answer: Answer) -> Mapping[str, Any]:
    result = parse_object(answer).get("result")
    return result if isinstance(result, dict) else {}


def _find_first(answer: Answer) -> str:
    """Return the id of the message that later messages reply to.

    If this message is a reply, that is the message it replies to; else it is this message.
    """
    result = _result(answer)
    replied = result.get("reply_to_message")
    return get_text(replied if isinstance(replied, dict) else result, "message_id")
