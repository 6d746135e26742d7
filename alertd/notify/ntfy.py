"""Publishes to an ntfy topic.

Source: https://docs.ntfy.sh/publish/, "Publish as JSON", "Message priority", "Tags & emojis", "Action
buttons", "Updating + deleting notifications", "Authentication" and "Limitations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import SecretStr, model_validator

from alertd.notify import (
    HIDDEN,
    BaseUrl,
    BasicOptions,
    Env,
    Message,
    Outcome,
    OutlineLine,
    PostOptions,
    Rate,
    Rendered,
    Retry,
    SecretUnreadable,
    Sent,
    Token,
    Tone,
    build_frame,
    build_outline,
    check_token,
    clean_message,
    encode_basic_login,
    get_text,
    judge_answer,
    parse_object,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_json,
    render_plain_line,
    require_at_most_one,
    require_exactly_one,
    reveal,
    validate_secret,
)

SERVER = "https://ntfy.sh"
MAX_MESSAGE = 4_096
"""Limit in bytes. ntfy turns a longer message into an attached file."""
MAX_ACTIONS = 3

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_PRIORITIES = {Tone.CALM: 3, Tone.SOON: 4, Tone.LATE: 5, Tone.MOVED: 4, Tone.DONE: 2}
# Emoji short codes. ntfy shows the emoji before the title.
_EMOJI = {
    Tone.CALM: "large_blue_circle",
    Tone.SOON: "orange_circle",
    Tone.LATE: "red_circle",
    Tone.MOVED: "purple_circle",
    Tone.DONE: "green_circle",
}


def check_topic(topic: str) -> None:
    """Raise ValueError for an invalid topic.

    The error's text does not quote the topic: on an open server, everyone who knows the topic can read it.
    """
    if not _TOPIC.fullmatch(topic):
        raise ValueError("is not a topic of up to 64 letters, digits, - and _")


class NtfyOptions(PostOptions):
    """Options of ``type: ntfy``."""

    server: BaseUrl = SERVER
    """The URL of the ntfy server."""
    topic: Annotated[SecretStr, validate_secret(check_topic)] | None = None
    """The topic to publish to."""
    topic_file: str = ""
    token: Token | None = None
    """An access token, ``tk_...``."""
    token_file: str = ""
    basic: BasicOptions | None = None
    """A user name and a password, instead of a token."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        require_exactly_one(self, "topic")
        if require_at_most_one(self, "token") and self.basic is not None:
            raise ValueError("token and basic exclude each other")
        return self


class NtfyNotifier:
    """Publishes to one topic.

    A duplicate replaces the first message, because both have the same sequence id.
    """

    Options = NtfyOptions
    rate = Rate(messages=12, per_s=60.0)
    """The sustained rate that ntfy allows an address by default."""

    def __init__(self, options: NtfyOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        options, env = self._options, self._env
        try:
            topic = read_secret(options, "topic", env, check_topic)
            headers, hidden = self._login()
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        # JSON goes to the server's root URL, so that no text has to be put into headers.
        payload = {"topic": topic, **build_ntfy_payload(clean_message(message))}
        answer = await post_json(
            env, options, options.server, payload, headers=headers, hidden=(topic, *hidden)
        )
        outcome = judge_answer(answer, env.clock.now())
        if isinstance(outcome, Sent) and not get_text(parse_object(answer), "id"):
            return reject_foreign_answer(answer, "ntfy")
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (render_json({"topic": HIDDEN, **build_ntfy_payload(clean_message(message))}),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    def _login(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the headers for authentication, and the secrets in them."""
        options, env = self._options, self._env
        if basic := options.basic:
            password = reveal(basic.password, basic.password_file, env)
            login = encode_basic_login(basic.username, password)
            return {"authorization": login}, (password, *login.split())
        if options.token is None and not options.token_file:
            return {}, ()
        token = read_secret(options, "token", env, check_token)
        return {"authorization": f"Bearer {token}"}, (token,)


def build_ntfy_payload(message: Message) -> dict[str, Any]:
    """Return the JSON body without the topic, for a message from ``clean_message``."""
    frame = build_frame(message)
    end = "\n".join(part for part in (frame.about, f"{frame.id} · alertd") if part)
    outline = build_outline(message, MAX_MESSAGE - len(end.encode()), _cost)
    paragraphs = ["\n".join(map(render_plain_line, paragraph)) for paragraph in outline.paragraphs]
    tone = message.items[0].tone if message.items else None
    causes = dict.fromkeys(item.cause.value for item in message.items)
    payload: dict[str, Any] = {
        "title": message.subject or outline.title,
        "message": "\n\n".join([*paragraphs, end]),
        "priority": _PRIORITIES[tone] if tone else 3,
        "tags": [*([_EMOJI[tone]] if tone else []), *(causes or [message.kind.value])],
        "sequence_id": message.id,
    }
    if outline.url:
        payload["click"] = outline.url
    # A tap on the notification opens the page already, so the three buttons are for actions.
    actions = [
        {"action": "view", "label": link.label, "url": link.url, "clear": False}
        for link in outline.links
        if link.url != outline.url
    ]
    return payload | ({"actions": actions[:MAX_ACTIONS]} if actions else {})


def _cost(line: OutlineLine) -> int:
    return len(render_plain_line(line).encode()) + 2
