"""Sends to a Matrix room. The delivery's id is the transaction id, so the homeserver ignores a duplicate.

Source: https://spec.matrix.org/latest/client-server-api/, "PUT /rooms/{roomId}/send/{eventType}/{txnId}",
"m.room.message msgtypes", "Threading", "User and room mentions", "Rate limiting" and "Size limits".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote as percent_encoded

from pydantic import AfterValidator

from alertd.notify import (
    Answer,
    BaseUrl,
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
    Token,
    TokenOptions,
    apply_wait,
    build_html_link,
    build_outline,
    check_token,
    clean_message,
    encode_json,
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
)

MAX_BYTES = 40_000
"""Limit for the paragraphs as text and as HTML together, in bytes.

A signed event has at most 65,536 bytes.
"""

NO_RELATION = frozenset({400, 404})
"""The statuses of a homeserver's answer when it does not know the first message of a thread."""


_ROOM = re.compile(r"![\x21-\x7e]{1,250}")


def _check_room(text: str) -> str:
    if not _ROOM.fullmatch(text):
        raise ValueError("is not a room's id, which begins with !; an alias begins with #")
    return text


class MatrixOptions(TokenOptions):
    """Options of ``type: matrix``."""

    homeserver: BaseUrl
    """The URL of the homeserver's client API, such as ``https://matrix.example.org``."""
    room: Annotated[str, AfterValidator(_check_room)]
    """The room's id, ``!...``, not its alias."""
    token: Token | None = None
    """The access token of a user who is a member of the room."""
    msgtype: Literal["text", "notice"] = "text"
    """``notice`` is meant for messages by bots. Most clients play no sound for a notice."""
    thread: bool = True
    """Whether later messages about a milestone go into a thread under the first message."""


class MatrixNotifier:
    """Sends to one room. The homeserver ignores a duplicate; the id in the last line identifies one too."""

    Options = MatrixOptions

    def __init__(self, options: MatrixOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        options = self._options
        try:
            token = read_secret(options, "token", self._env, check_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        fitted = clean_message(message)
        content = build_matrix_content(fitted, options.msgtype)
        if not (options.thread and message.kind is Kind.SINGLE):
            outcome, _ = await self._put(message.id, token, content)
            return outcome
        milestone = fitted.items[0].milestone
        before = prior.get(milestone, {})
        if before.get("room") == options.room:
            root, last = before["root"], before["last"]
            outcome, answer = await self._put(message.id, token, content | _relation(root, last))
            # The homeserver sent nothing: a room that replaced another does not have the first message.
            if not (isinstance(answer, Reply) and answer.status in NO_RELATION):
                return _remember_thread(outcome, milestone, {**before, "last": _event_id(answer)})
        outcome, answer = await self._put(message.id, token, content)
        sent = _event_id(answer)
        return _remember_thread(outcome, milestone, {"room": options.room, "root": sent, "last": sent})

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (render_json(build_matrix_content(clean_message(message), self._options.msgtype)),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    async def _put(self, delivery: str, token: str, content: Mapping[str, Any]) -> tuple[Outcome, Answer]:
        options, env = self._options, self._env
        room = percent_encoded(options.room, safe="")
        url = f"{options.homeserver}/_matrix/client/v3/rooms/{room}/send/m.room.message/{delivery}"
        answer = await post_json(env, options, url, content, method="PUT", token=token)
        outcome = judge_answer(answer, env.clock.now())
        if isinstance(outcome, Sent) and not _event_id(answer):
            return reject_foreign_answer(answer, "a homeserver"), answer
        waits_ms = parse_object(answer).get("retry_after_ms")
        return apply_wait(outcome, waits_ms / 1000 if isinstance(waits_ms, int) else None), answer


def build_matrix_content(message: Message, msgtype: str) -> dict[str, Any]:
    """Return the event's content for a message that ``clean_message`` has cleaned."""
    outline = build_outline(message, MAX_BYTES, _cost)
    title = build_html_link(outline.title, outline.url) if outline.url else escape_html(outline.title)
    blocks = [f"<h4>{title}</h4>"]
    blocks += [f"<p>{'<br>'.join(map(render_html_line, paragraph))}</p>" for paragraph in outline.paragraphs]
    blocks += (
        [f"<p>{' · '.join(build_html_link(link.label, link.url) for link in outline.links)}</p>"]
        if outline.links
        else []
    )
    end = "<br>".join(escape_html(part) for part in (outline.about, f"{outline.id} · alertd") if part)
    return {
        "msgtype": f"m.{msgtype}",
        "body": f"{outline.title}\n\n{render_plain_text(outline)}",
        "format": "org.matrix.custom.html",
        "formatted_body": "".join([*blocks, f"<p><sub>{end}</sub></p>"]),
        # An empty object prevents mentions. Without this key, homeservers look for user names in the text.
        "m.mentions": {},
    }


def _cost(line: OutlineLine) -> int:
    return len(encode_json([render_plain_line(line), render_html_line(line)])) + len("<p></p><br>")


def _relation(root: str, last: str) -> dict[str, Any]:
    """Return the relation that puts a message into the thread.

    Clients without threads show the message as a reply to the previous one.
    """
    return {
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": last},
        }
    }


def _event_id(answer: Answer) -> str:
    """Return the event id that the homeserver gave the message; "" if the answer contains none."""
    return get_text(parse_object(answer), "event_id")


def _remember_thread(outcome: Outcome, milestone: str, state: Mapping[str, str]) -> Outcome:
    return replace(outcome, state={milestone: state}) if isinstance(outcome, Sent) else outcome
