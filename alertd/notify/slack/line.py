"""The way to Slack for one send: with the secrets as they are now, and so much time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import alertd
from alertd.core.ledger.outcome import Retry
from alertd.notify.base import Env
from alertd.notify.http.tls import Tls
from alertd.notify.slack.answer import Posted, Refused, understood

EDIT_TIMEOUT_S = 10.0
"""An edit comes before what matters, so it must not use up its time."""

SEND_TIMEOUT_S = 90.0
"""For all calls of one send; what was not posted by then is left for the next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
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
    ) -> Posted | Refused:
        env = self.env
        left_s = min(self.timeout_s, most_s, self.until - env.clock.monotonic())
        if left_s <= 0:
            return Refused(error="", outcome=Retry(reason="there was no time left to post all of it"))
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
