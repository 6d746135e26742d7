"""A small Slack: a real HTTP server with channels, threads and messages, which gives Slack's errors."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alertd.testing import Answer, HttpSink
from tests.notify.slack_limits import faults

TOKEN = "xoxb-1-canary-5f0c9b"


@dataclass(slots=True)
class Kept:
    """One message as the channel now shows it."""

    ts: str
    channel: str
    content: dict[str, Any]
    thread_ts: str = ""
    broadcast: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    edits: int = 0


class SlackServer(HttpSink):
    """Slack as an async context manager. ``scripted`` answers are used first, each for the next call of its
    method.

    Attributes:
        channels: ids by name. A call may name a channel by its id or its name.
        kept: the messages that exist, in order.
        calls: the methods that were called, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels = {"#deadlines": "C024BE91L", "#other": "C0OTHER"}
        self.archived: set[str] = set()
        self.kept: list[Kept] = []
        self.calls: list[str] = []
        self.scripted: dict[str, list[Answer]] = {}
        self._clock = 0

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    def script(self, method: str, *answers: Answer) -> None:
        self.scripted.setdefault(method, []).extend(answers)

    def tops(self) -> list[Kept]:
        """Return the messages that are not replies."""
        return [message for message in self.kept if not message.thread_ts]

    def replies(self, ts: str) -> list[Kept]:
        return [message for message in self.kept if message.thread_ts == ts]

    def delete(self, ts: str) -> None:
        self.kept = [message for message in self.kept if message.ts != ts]

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        request = self.requests[-1]
        method = request.path.removeprefix("/api/")
        self.calls.append(method)
        waiting = self.scripted.get(method, [])
        if waiting:
            return await super()._answer(waiting.pop(0), writer)
        said = self._said(method, request.headers, json.loads(request.body))
        return await super()._answer(answered(said), writer)

    def _said(self, method: str, headers: Mapping[str, str], payload: dict[str, Any]) -> dict[str, Any]:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return refused("invalid_auth")
        if not headers["content-type"].startswith("application/json"):
            return refused("invalid_post_type")
        channel = self.channels.get(payload["channel"], payload["channel"])
        if channel not in self.channels.values():
            return refused("channel_not_found")
        if channel in self.archived:
            return refused("is_archived")
        wrong = faults(payload, update=method == "chat.update")
        if wrong:
            return refused(wrong[0].split("[")[0].split(":")[0])
        match method:
            case "chat.postMessage":
                return self._posted(channel, payload)
            case "chat.update":
                return self._updated(channel, payload)
            case _:
                return refused("unknown_method")

    def _posted(self, channel: str, payload: dict[str, Any]) -> dict[str, Any]:
        thread = payload.get("thread_ts", "")
        if thread and not any(message.ts == thread and message.channel == channel for message in self.tops()):
            return refused("thread_not_found")
        self._clock += 1
        made = Kept(
            ts=f"1790000000.{self._clock:06}", channel=channel, content=content_of(payload), thread_ts=thread,
            broadcast=payload.get("reply_broadcast", False), metadata=payload.get("metadata", {}),
        )  # fmt: skip
        self.kept.append(made)
        return {"ok": True, "channel": channel, "ts": made.ts, "message": {"text": payload["text"]}}

    def _updated(self, channel: str, payload: dict[str, Any]) -> dict[str, Any]:
        found = [
            message for message in self.kept if (message.ts, message.channel) == (payload["ts"], channel)
        ]
        if not found:
            return refused("message_not_found")
        found[0].content = content_of(payload)
        found[0].edits += 1
        return {"ok": True, "channel": channel, "ts": found[0].ts, "text": payload["text"]}


def content_of(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: payload.get(key) for key in ("text", "blocks", "attachments")}


def answered(said: dict[str, Any], **headers: str) -> Answer:
    return Answer(body=json.dumps(said).encode(), headers={"content-type": "application/json", **headers})


def refused(error: str, **more: str) -> dict[str, Any]:
    return {"ok": False, "error": error, **more}
