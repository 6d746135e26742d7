"""Posts to Slack, by an incoming webhook or as a bot, or to a service that takes the same."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

import alertd
from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Kind, Message
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.decide import CHANGES
from alertd.notify.base import Env, Rendered, TlsOptions, at_most_one, revealed
from alertd.notify.http.client import TIMEOUT_S
from alertd.notify.http.tls import Tls, TlsUnusable, tls_of
from alertd.notify.http.url import check_url
from alertd.notify.json_api import check_token, rendered_json
from alertd.notify.render.clean import fit
from alertd.notify.slack.blocks import reply, whole
from alertd.notify.slack.posts import (
    LAYOUT,
    NO_EDIT,
    NO_THREAD,
    Post,
    PostAddress,
    Posted,
    PostRefused,
    place_in,
    understood,
)
from alertd.notify.slack.text import MAX_MENTIONS, Mention, mentioned
from alertd.system.secrets import SecretUnreadable

API_URL = "https://slack.com/api"
REMEMBERED = 1_000
"""Deliveries of which is remembered which posts have been made, while the others are tried again."""


class SlackOptions(TlsOptions):
    """Options of ``type: slack``."""

    webhook_url: SecretStr | None = None
    """The incoming webhook's URL; whoever knows it can post. This or ``token``."""
    webhook_url_file: str = ""
    token: SecretStr | None = None
    """A bot's token, ``xoxb-...``, with the scope ``chat:write``."""
    token_file: str = ""
    channel: str = Field(default="", max_length=100)
    """Where a bot posts to: a channel's id, or the name of a public channel."""
    api_url: str = API_URL
    """Where Slack's Web API is."""
    thread: bool = True
    """Whether a bot replies to its first message about a milestone, and keeps that one up to date."""
    broadcast: list[Cause] = Field(default_factory=lambda: list(Cause))
    """The causes whose replies are shown in the channel too."""
    mentions: list[Mention] = Field(default_factory=list, max_length=MAX_MENTIONS)
    """Who is mentioned, and for what."""
    signing_secret: SecretStr | None = None
    """The app's signing secret: with it, clicks on buttons act at once, instead of opening a page."""
    signing_secret_file: str = ""
    timeout: float = Field(default=TIMEOUT_S, gt=0, le=60)
    """Seconds, for connecting, sending and reading the answer together."""

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value.get_secret_value())
        return value

    @field_validator("api_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        check_url(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        hook, bot = at_most_one(self, "webhook_url"), at_most_one(self, "token")
        at_most_one(self, "signing_secret")
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
        """Where there is a first message that can be brought up to date."""
        return self.is_bot and self.thread

    @property
    def interactive(self) -> bool:
        """Whether clicks come to alertd, to be verified by ``notify/slack/request.py``."""
        return bool(self.signing_secret or self.signing_secret_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """Which posts of a delivery have been made: the first ``made`` of those of this ``shape``.

    Attributes:
        shape: how many milestones each post names.
    """

    shape: tuple[int, ...]
    made: int = 0
    first: PostAddress | None = None
    notes: tuple[str, ...] = ()


class SlackNotifier:
    """One channel. A repeat can be told by the id in the last line, and as a bot's in the metadata.

    An incoming webhook does not say where it posted, so there nothing is threaded or edited. Nothing makes
    Slack drop a repeat: its ``client_msg_id`` is for its own clients.
    """

    Options = SlackOptions
    rate = Rate(messages=1, per_s=1.0)
    """What Slack allows a channel (docs.slack.dev, "Rate limits")."""

    def __init__(self, options: SlackOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._begun: OrderedDict[str, _Progress] = OrderedDict()

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        try:
            line = self._line()
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        except ValueError as error:
            return Retry(reason=f"what the secret file holds {error}")
        fitted = fit(message)
        if not self._threads(message):
            outcome, _ = await self._post_all(line, fitted, self._whole(fitted))
            return outcome
        milestone = message.items[0].milestone
        outcome, state = await self._in_thread(line, fitted, prior.get(milestone, {}))
        if isinstance(outcome, Sent) and state:
            return replace(outcome, state={milestone: state})
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        """What is posted when there is no thread yet; the parts after the first are a bot's replies to it."""
        fitted = fit(message)
        where = {"channel": self._options.channel} if self._options.is_bot else {}
        bodies = [
            {**post.payload(), **self._extra(fitted, where)}
            for post in self._whole(fitted, lasting=self._threads(message))
        ]
        return tuple(rendered_json(body) for body in bodies)

    async def aclose(self) -> None:
        """The client belongs to the process."""

    def _threads(self, message: Message) -> bool:
        return self._options.is_bot and self._options.thread and message.kind is Kind.SINGLE

    def _line(self) -> SlackApi:
        options, env = self._options, self._env
        tls = tls_of(options, env.path)
        url = revealed(options.webhook_url, options.webhook_url_file, env).strip()
        token = revealed(options.token, options.token_file, env).strip()
        check_url(url or options.api_url)
        if not url:
            check_token(token)
        until = env.clock.monotonic() + SEND_TIMEOUT_S
        return SlackApi(
            url=url or options.api_url, token=token, tls=tls, env=env, timeout_s=options.timeout, until=until
        )

    def _whole(self, fitted: Message, *, lasting: bool = False, mention: bool = True) -> tuple[Post, ...]:
        who = mentioned(self._options.mentions, fitted) if mention else ""
        return whole(fitted, mention=who, interactive=self._options.interactive, lasting=lasting)

    async def _in_thread(
        self, line: SlackApi, message: Message, state: Mapping[str, str]
    ) -> tuple[Outcome, Mapping[str, str]]:
        """A reply to the milestone's message, which is brought up to date first; else a new one of its own.

        The edit comes first: it alone says for sure that the message is gone, and it can be made any number
        of times. So nothing that fails after the reply could ask for the reply to be posted again.

        Returns:
            How it ended, and what to hand to the next send for the same milestone.
        """
        options = self._options
        parent = place_in(state) if state.get("asked") == options.channel else None
        if message.items[0].cause in CHANGES:
            return await self._brought_up_to_date(line, message, parent), state
        if parent is not None and message.id not in self._begun:
            outcome = await self._reply(line, message, parent)
            if outcome is not None:
                return outcome, state
        outcome, first = await self._post_all(line, message, self._whole(message, lasting=True))
        if first is None:
            return outcome, {}
        return outcome, {"ts": first.ts, "channel": first.channel, "asked": options.channel}

    async def _brought_up_to_date(
        self, line: SlackApi, message: Message, parent: PostAddress | None
    ) -> Outcome:
        """The milestone's message is edited and nothing is posted: who said so wakes nobody."""
        if parent is None:
            return Sent(note="it has no message that could be brought up to date")
        edited = await self._edit(line, parent, self._whole(message, lasting=True, mention=False)[0])
        if isinstance(edited, Posted):
            return Sent(note=edited.note)
        if edited.error in NO_EDIT:
            return Sent(note=f"its message cannot be brought up to date: {edited.error}")
        return edited.outcome

    async def _reply(self, line: SlackApi, message: Message, parent: PostAddress) -> Outcome | None:
        """None when there is no such message any more, and nothing has been posted."""
        options = self._options
        edited = await self._edit(line, parent, self._whole(message, lasting=True, mention=False)[0])
        if isinstance(edited, PostRefused) and edited.error in NO_THREAD:
            return None
        under: dict[str, Any] = {"channel": parent.channel, "thread_ts": parent.ts}
        if message.items[0].cause in options.broadcast:
            under["reply_broadcast"] = True
        who = mentioned(options.mentions, message)
        said = await self._post(
            line, message, reply(message, mention=who, interactive=options.interactive), under
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
        """All posts of a message; a bot's later ones stand in the thread of the first.

        What has been posted is not posted again when the rest is tried again, as long as this process lives
        and the message has the same parts.
        """
        shape = tuple(len(post.names) for post in posts)
        done = self._begun.pop(message.id, None)
        if done is None or done.shape != shape:
            done = _Progress(shape=shape)
        for post in posts[done.made :]:
            under: dict[str, Any] = {"channel": self._options.channel} if line.token else {}
            if done.first is not None:
                under |= {"thread_ts": done.first.ts, "channel": done.first.channel}
            said = await self._post(line, message, post, under)
            if isinstance(said, PostRefused):
                if done.made:
                    self._remember(message.id, done)
                return _partly(said.outcome, done.made, len(posts)), done.first
            done = replace(
                done, made=done.made + 1, first=done.first or said.place, notes=(*done.notes, said.note)
            )
        return Sent(note="; ".join(dict.fromkeys(done.notes))), done.first

    def _remember(self, delivery: str, done: _Progress) -> None:
        self._begun[delivery] = done
        if len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)

    async def _post(
        self, line: SlackApi, message: Message, post: Post, under: Mapping[str, Any]
    ) -> Posted | PostRefused:
        """One post; as plain text when its layout is refused: no reminder fails by its layout."""
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
    """What a program can find the message by; every member of the workspace can read it."""
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    return {"event_type": "alertd_message", "event_payload": {"id": message.id, **about}}


def _partly(outcome: Outcome, made: int, of: int) -> Outcome:
    if not made or isinstance(outcome, Sent):
        return outcome
    reason = f"{made} of {of} parts are posted; {outcome.reason}"
    if isinstance(outcome, Retry):
        # Who asks for time wants the whole channel to wait.
        return replace(outcome, reason=reason, partly=outcome.after is None)
    return replace(outcome, reason=reason)


EDIT_TIMEOUT_S = 10.0
"""An edit comes before what matters, so it must not use up its time."""

SEND_TIMEOUT_S = 90.0
"""For all calls of one send; what was not posted by then is left for the next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackApi:
    """Calls an incoming webhook, which has but one method, or the Web API.

    Attributes:
        url: the webhook's, or the Web API's without a method.
        token: "" for a webhook.
        timeout_s: for one call.
        until: for all of them, by the monotonic clock.
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
            "accept-encoding": "identity",
            "user-agent": f"alertd/{alertd.__version__}",
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
        return understood(answer, env.clock.now())
