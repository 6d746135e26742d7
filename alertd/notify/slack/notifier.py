"""Posts to Slack or a compatible service, through an incoming webhook or as a bot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Kind, Message
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.decide import CHANGES
from alertd.notify.base import Env, Rendered, require_at_most_one, reveal
from alertd.notify.http.client import STANDARD_HEADERS
from alertd.notify.http.tls import Tls, TlsUnusable, find_tls
from alertd.notify.http.url import check_url
from alertd.notify.json_api import BaseUrl, PostOptions, SecretUrl, check_token, render_json
from alertd.notify.render.clean import clean_message
from alertd.notify.slack.blocks import render_posts, render_reply
from alertd.notify.slack.posts import (
    LAYOUT,
    NO_EDIT,
    NO_THREAD,
    Post,
    PostAddress,
    Posted,
    PostRefused,
    interpret,
    read_post_address,
)
from alertd.notify.slack.text import MAX_MENTIONS, Mention, find_mentions
from alertd.notify.unfinished import Unfinished
from alertd.system.secrets import SecretUnreadable

API_URL = "https://slack.com/api"


class SlackOptions(PostOptions):
    """Options of ``type: slack``."""

    webhook_url: SecretUrl | None = None
    """The incoming webhook's URL, instead of ``token``. Everyone who knows the URL can post."""
    webhook_url_file: str = ""
    token: SecretStr | None = None
    """A bot's token, ``xoxb-...``, with the scope ``chat:write``."""
    token_file: str = ""
    channel: str = Field(default="", max_length=100)
    """The channel that a bot posts to: a channel's id, or the name of a public channel."""
    api_url: BaseUrl = API_URL
    """The URL of Slack's Web API."""
    thread: bool = True
    """Whether a bot replies to its first message about a milestone, and keeps that message current."""
    broadcast: list[Cause] = Field(default_factory=lambda: list(Cause))
    """The causes whose replies appear in the channel as well as in the thread."""
    mentions: list[Mention] = Field(default_factory=list, max_length=MAX_MENTIONS)
    """Who is mentioned, and for which milestones."""
    signing_secret: SecretStr | None = None
    """The app's signing secret. If set, a click on a button acts at once instead of opening a page."""
    signing_secret_file: str = ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        hook, bot = require_at_most_one(self, "webhook_url"), require_at_most_one(self, "token")
        require_at_most_one(self, "signing_secret")
        if hook == bot:
            raise ValueError("webhook_url and token exclude each other" if hook else
                             "webhook_url, webhook_url_file, token or token_file is required")  # fmt: skip
        if bot and not self.channel.strip():
            raise ValueError("a token needs a channel to post to")
        if hook and self.channel:
            raise ValueError("channel is nothing without a token: a webhook belongs to one channel")
        return self

    @property
    def is_bot(self) -> bool:
        return bool(self.token or self.token_file)

    @property
    def follows(self) -> bool:
        """Whether there is a first message that alertd keeps current."""
        return self.is_bot and self.thread

    @property
    def interactive(self) -> bool:
        """Whether Slack posts clicks to alertd, which ``notify/slack/request.py`` verifies."""
        return bool(self.signing_secret or self.signing_secret_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """Which posts of a delivery have succeeded.

    Attributes:
        shape: how many milestones each post names. If a retry splits the message otherwise, it starts anew.
        made: how many posts have succeeded, counted from the first.
        first: where the first post is.
        notes: the notes of the posts that succeeded.
    """

    shape: tuple[int, ...]
    made: int = 0
    first: PostAddress | None = None
    notes: tuple[str, ...] = ()


class SlackNotifier:
    """Posts to one channel. The id in the last line, and in a bot's metadata, identifies a duplicate.

    The answer of an incoming webhook does not contain the post's id, so only a bot can reply and edit. Slack
    cannot ignore duplicates: ``client_msg_id`` is for Slack's own clients.
    """

    Options = SlackOptions
    rate = Rate(messages=1, per_s=1.0)
    """The rate that Slack allows for a channel (docs.slack.dev, "Rate limits")."""

    def __init__(self, options: SlackOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._begun: Unfinished[_Progress] = Unfinished()

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        try:
            line = self._open_line()
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        except ValueError as error:
            return Retry(reason=f"what the secret file holds {error}")
        fitted = clean_message(message)
        if not self._threads(message):
            outcome, _ = await self._post_all(line, fitted, self._build_posts(fitted))
            return outcome
        milestone = message.items[0].milestone
        outcome, state = await self._post_in_thread(line, fitted, prior.get(milestone, {}))
        if isinstance(outcome, Sent) and state:
            return replace(outcome, state={milestone: state})
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        """Return the posts for a milestone without a thread.

        A bot posts the first one in the channel and the rest as replies.
        """
        fitted = clean_message(message)
        where = {"channel": self._options.channel} if self._options.is_bot else {}
        bodies = [
            {**post.payload(), **self._extra(fitted, where)}
            for post in self._build_posts(fitted, lasting=self._threads(message))
        ]
        return tuple(render_json(body) for body in bodies)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    def _threads(self, message: Message) -> bool:
        return self._options.is_bot and self._options.thread and message.kind is Kind.SINGLE

    def _open_line(self) -> SlackApi:
        options, env = self._options, self._env
        tls = find_tls(options, env.path)
        url = reveal(options.webhook_url, options.webhook_url_file, env).strip()
        token = reveal(options.token, options.token_file, env).strip()
        check_url(url or options.api_url)
        if not url:
            check_token(token)
        until = env.clock.monotonic() + SEND_TIMEOUT_S
        return SlackApi(
            url=url or options.api_url, token=token, tls=tls, env=env, timeout_s=options.timeout, until=until
        )

    def _build_posts(
        self, fitted: Message, *, lasting: bool = False, mention: bool = True
    ) -> tuple[Post, ...]:
        who = find_mentions(self._options.mentions, fitted) if mention else ""
        return render_posts(fitted, mention=who, interactive=self._options.interactive, lasting=lasting)

    async def _post_in_thread(
        self, line: SlackApi, message: Message, state: Mapping[str, str]
    ) -> tuple[Outcome, Mapping[str, str]]:
        """Edit the milestone's first message and reply in its thread; without one, post a new message.

        The edit comes before the reply for two reasons. Only the edit reliably reports that the message is
        gone. And an edit can be repeated, so no step that may fail comes after the reply: nothing makes
        alertd post the reply twice.

        Returns:
            The outcome, and the state for the next send about the same milestone.
        """
        options = self._options
        parent = read_post_address(state) if state.get("asked") == options.channel else None
        if message.items[0].cause in CHANGES:
            return await self._update(line, message, parent), state
        if parent is not None and message.id not in self._begun:
            outcome = await self._reply(line, message, parent)
            if outcome is not None:
                return outcome, state
        outcome, first = await self._post_all(line, message, self._build_posts(message, lasting=True))
        if first is None:
            return outcome, {}
        return outcome, {"ts": first.ts, "channel": first.channel, "asked": options.channel}

    async def _update(self, line: SlackApi, message: Message, parent: PostAddress | None) -> Outcome:
        """Edit the milestone's message without posting. An acknowledgement must not notify anybody."""
        if parent is None:
            return Sent(note="it has no message that could be brought up to date")
        edited = await self._edit(line, parent, self._build_posts(message, lasting=True, mention=False)[0])
        if isinstance(edited, Posted):
            return Sent(note=edited.note)
        if edited.error in NO_EDIT:
            return Sent(note=f"its message cannot be brought up to date: {edited.error}")
        return edited.outcome

    async def _reply(self, line: SlackApi, message: Message, parent: PostAddress) -> Outcome | None:
        """Edit the first message and reply in its thread.

        Return None if the first message is gone. In that case nothing was posted.
        """
        options = self._options
        edited = await self._edit(line, parent, self._build_posts(message, lasting=True, mention=False)[0])
        if isinstance(edited, PostRefused) and edited.error in NO_THREAD:
            return None
        under: dict[str, Any] = {"channel": parent.channel, "thread_ts": parent.ts}
        if message.items[0].cause in options.broadcast:
            under["reply_broadcast"] = True
        who = find_mentions(options.mentions, message)
        said = await self._post(
            line, message, render_reply(message, mention=who, interactive=options.interactive), under
        )
        if isinstance(said, PostRefused):
            return None if said.error in NO_THREAD else said.outcome
        if isinstance(edited, PostRefused):
            why = edited.error or getattr(edited.outcome, "reason", "")
            return Sent(note=f"{said.note}; the first message is not up to date: {why}")
        return Sent(note=said.note)

    async def _post_all(
        self, line: SlackApi, message: Message, posts: Sequence[Post]
    ) -> tuple[Outcome, PostAddress | None]:
        """Post all parts of a message. A bot posts all but the first as replies to the first.

        A retry posts only the parts that have not succeeded, if the same process makes the retry and the
        message still has the same parts.

        Returns:
            The outcome, and where the first part is.
        """
        shape = tuple(len(post.names) for post in posts)
        done = self._begun.get(message.id)
        self._begun.forget(message.id)
        if done is None or done.shape != shape:
            done = _Progress(shape=shape)
        for post in posts[done.made :]:
            under: dict[str, Any] = {"channel": self._options.channel} if line.token else {}
            if done.first is not None:
                under |= {"thread_ts": done.first.ts, "channel": done.first.channel}
            said = await self._post(line, message, post, under)
            if isinstance(said, PostRefused):
                if done.made:
                    self._begun.keep(message.id, done)
                return _mark_partial(said.outcome, made=done.made, total=len(posts)), done.first
            done = replace(
                done, made=done.made + 1, first=done.first or said.place, notes=(*done.notes, said.note)
            )
        return Sent(note="; ".join(dict.fromkeys(done.notes))), done.first

    async def _post(
        self, line: SlackApi, message: Message, post: Post, under: Mapping[str, Any]
    ) -> Posted | PostRefused:
        """Post one part.

        If Slack rejects the layout, post plain text, so that no reminder fails by its layout.
        """
        extra = self._extra(message, under)
        said = await line.call("chat.postMessage", {**post.payload(), **extra})
        if isinstance(said, PostRefused) and said.error in LAYOUT:
            plain = await line.call("chat.postMessage", {**post.plain(), **extra})
            if isinstance(plain, Posted):
                return replace(plain, note=f"{plain.note}; as plain text: {said.error}")
        return said

    def _extra(self, message: Message, under: Mapping[str, Any]) -> dict[str, Any]:
        return {**under, "metadata": _metadata(message)} if self._options.is_bot else dict(under)

    async def _edit(self, line: SlackApi, parent: PostAddress, post: Post) -> Posted | PostRefused:
        content = {name: post.payload()[name] for name in ("text", "blocks", "attachments")}
        where = {"channel": parent.channel, "ts": parent.ts}
        return await line.call("chat.update", {**where, **content}, most_s=EDIT_TIMEOUT_S)


def _metadata(message: Message) -> dict[str, Any]:
    """Return the metadata by which a program can find the message. Every workspace member can read it."""
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    return {"event_type": "alertd_message", "event_payload": {"id": message.id, **about}}


def _mark_partial(outcome: Outcome, made: int, total: int) -> Outcome:
    if not made or isinstance(outcome, Sent):
        return outcome
    reason = f"{made} of {total} parts are posted; {outcome.reason}"
    if isinstance(outcome, Retry):
        # If Slack asks alertd to wait, the whole channel must wait, not only this message.
        return replace(outcome, reason=reason, partly=outcome.after is None)
    return replace(outcome, reason=reason)


EDIT_TIMEOUT_S = 10.0
"""Time limit of an edit in seconds.

The reply after the edit matters more, so the edit must leave time for the reply.
"""

SEND_TIMEOUT_S = 90.0
"""Time limit for all calls of one send, in seconds. The next attempt posts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackApi:
    """Calls an incoming webhook, which has a single method, or the Web API.

    Attributes:
        url: the webhook's URL, or the Web API's without a method.
        token: "" for a webhook.
        timeout_s: time limit for one call, in seconds.
        until: deadline for all calls, by the monotonic clock, in seconds.
    """

    url: str = field(repr=False)
    token: str = field(repr=False)
    tls: Tls
    env: Env
    timeout_s: float
    until: float

    async def call(
        self, method: str, payload: Mapping[str, Any], *, most_s: float = SEND_TIMEOUT_S
    ) -> Posted | PostRefused:
        env = self.env
        left_s = min(self.timeout_s, most_s, self.until - env.clock.monotonic())
        if left_s <= 0:
            return PostRefused(error="", outcome=Retry(reason="there was no time left to post all of it"))
        headers = {
            "content-type": "application/json; charset=utf-8",
            **STANDARD_HEADERS,
        }
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        answer = await env.http.post(
            f"{self.url}/{method}" if self.token else self.url,
            json.dumps(payload, separators=(",", ":")).encode("ascii"),
            headers,
            timeout_s=left_s,
            hidden=[self.token] if self.token else [],
            tls=self.tls,
        )
        return interpret(answer, env.clock.now())
