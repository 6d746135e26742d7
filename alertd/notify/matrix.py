"""Sends to a Matrix room. The delivery's id is the transaction's: the homeserver itself drops a repeat.

Source: https://spec.matrix.org/latest/client-server-api/, "PUT /rooms/{roomId}/send/{eventType}/{txnId}",
"m.room.message msgtypes", "Threading", "User and room mentions", "Rate limiting" and "Size limits".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote as percent_encoded

from pydantic import AfterValidator, model_validator

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Kind, Message
from alertd.notify.base import Env, Rendered, exactly_one
from alertd.notify.http.client import Answer, Reply
from alertd.notify.http.reply import outcome_of
from alertd.notify.json_api import (
    BaseUrl,
    PostOptions,
    Token,
    asked_to_wait,
    check_token,
    object_in,
    post_json,
    rendered_json,
    secret_of,
    text_in,
    unlike,
)
from alertd.notify.render.clean import fit
from alertd.notify.render.markup import html, html_link, html_text, plain, plain_text
from alertd.notify.render.outline import OutlineLine, outlined
from alertd.notify.webhook.payload import json_bytes
from alertd.system.secrets import SecretUnreadable

MAX_BYTES = 40_000
"""Of the paragraphs as text and as HTML; the whole message, signed and all, has at most 65,536."""

NO_RELATION = frozenset({400, 404})
"""What a homeserver answers when it does not know the message that a thread is under."""


_ROOM = re.compile(r"![\x21-\x7e]{1,250}")


def _room(text: str) -> str:
    if not _ROOM.fullmatch(text):
        raise ValueError("is not a room's id, which begins with !; an alias begins with #")
    return text


class MatrixOptions(PostOptions):
    """Options of ``type: matrix``."""

    homeserver: BaseUrl
    """Where the homeserver's client API is, such as ``https://matrix.example.org``."""
    room: Annotated[str, AfterValidator(_room)]
    """The room's id, ``!...``; not its alias."""
    token: Token | None = None
    """The access token of a user who is in the room."""
    token_file: str = ""
    msgtype: Literal["text", "notice"] = "text"
    """``notice`` is what bots use among bots: most clients make no sound for it."""
    thread: bool = True
    """Whether later messages about a milestone go into a thread under the first."""

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        exactly_one(self, "token")
        return self


class MatrixNotifier:
    """One room. A repeat is dropped by the homeserver, and can be told by the id in the last line."""

    Options = MatrixOptions

    def __init__(self, options: MatrixOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        options = self._options
        try:
            token = secret_of(options, "token", self._env, check_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        fitted = fit(message)
        content = matrix_content(fitted, options.msgtype)
        if not (options.thread and message.kind is Kind.SINGLE):
            outcome, _ = await self._put(message.id, token, content)
            return outcome
        milestone = fitted.items[0].milestone
        before = prior.get(milestone, {})
        if before.get("room") == options.room:
            root, last = before["root"], before["last"]
            outcome, answer = await self._put(message.id, token, content | _relation(root, last))
            # Refused, nothing was sent: a room that was replaced does not know the first message.
            if not (isinstance(answer, Reply) and answer.status in NO_RELATION):
                return _remembering(outcome, milestone, {**before, "last": _sent(answer)})
        outcome, answer = await self._put(message.id, token, content)
        sent = _sent(answer)
        return _remembering(outcome, milestone, {"room": options.room, "root": sent, "last": sent})

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (rendered_json(matrix_content(fit(message), self._options.msgtype)),)

    async def aclose(self) -> None:
        """The client belongs to the process."""

    async def _put(self, delivery: str, token: str, content: Mapping[str, Any]) -> tuple[Outcome, Answer]:
        options, env = self._options, self._env
        room = percent_encoded(options.room, safe="")
        url = f"{options.homeserver}/_matrix/client/v3/rooms/{room}/send/m.room.message/{delivery}"
        answer = await post_json(env, options, url, content, method="PUT", token=token)
        outcome = outcome_of(answer, env.clock.now())
        if isinstance(outcome, Sent) and not _sent(answer):
            return unlike(answer, "a homeserver"), answer
        waits_ms = object_in(answer).get("retry_after_ms")
        return asked_to_wait(outcome, waits_ms / 1000 if isinstance(waits_ms, int) else None), answer


def matrix_content(message: Message, msgtype: str) -> dict[str, Any]:
    """The content of the room's message, for a message that has been made fit."""
    outline = outlined(message, MAX_BYTES, _cost)
    blocks = [
        f"<h4>{html_link(outline.title, outline.url) if outline.url else html_text(outline.title)}</h4>"
    ]
    blocks += [f"<p>{'<br>'.join(map(html, paragraph))}</p>" for paragraph in outline.paragraphs]
    blocks += (
        [f"<p>{' · '.join(html_link(link.label, link.url) for link in outline.links)}</p>"]
        if outline.links
        else []
    )
    end = "<br>".join(html_text(part) for part in (outline.about, f"{outline.id} · alertd") if part)
    return {
        "msgtype": f"m.{msgtype}",
        "body": f"{outline.title}\n\n{plain_text(outline)}",
        "format": "org.matrix.custom.html",
        "formatted_body": "".join([*blocks, f"<p><sub>{end}</sub></p>"]),
        # Said outright: without it a name in the text would do.
        "m.mentions": {},
    }


def _cost(line: OutlineLine) -> int:
    return len(json_bytes([plain(line), html(line)])) + len("<p></p><br>")


def _relation(root: str, last: str) -> dict[str, Any]:
    """In the thread; for clients without threads, a reply to the message before."""
    return {
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": last},
        }
    }


def _sent(answer: Answer) -> str:
    """Under which id it stands in the room."""
    return text_in(object_in(answer), "event_id")


def _remembering(outcome: Outcome, milestone: str, state: Mapping[str, str]) -> Outcome:
    return replace(outcome, state={milestone: state}) if isinstance(outcome, Sent) else outcome
