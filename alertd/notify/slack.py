"""Posts a message to a Slack incoming webhook, or to a service that takes the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator, model_validator

import alertd
from alertd.core.flow import Rate
from alertd.core.message import Message
from alertd.core.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.clean import fit
from alertd.notify.http import TIMEOUT_S, Reply
from alertd.notify.kit import Env, TlsOptions, exactly_one, revealed
from alertd.notify.redact import quote
from alertd.notify.reply import outcome_of
from alertd.notify.secret import SecretUnreadable
from alertd.notify.slack_blocks import slack_payload
from alertd.notify.tls import TlsUnusable, tls_of
from alertd.notify.url import check_url


class SlackOptions(TlsOptions):
    """Options of ``type: slack``."""

    webhook_url: SecretStr | None = None
    """The incoming webhook's URL; whoever knows it can post."""
    webhook_url_file: str = ""
    timeout: float = Field(default=TIMEOUT_S, gt=0, le=60)
    """Seconds, for connecting, sending and reading the answer together."""

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> SlackOptions:
        exactly_one(self, "webhook_url")
        return self


class SlackNotifier:
    """One incoming webhook, which belongs to one channel. A repeat can be told by the id in the last line.

    An incoming webhook does not say under which id it posted, so there is no thread and nothing to remember.
    """

    Options = SlackOptions
    rate = Rate(messages=1, per_s=1.0)
    """What Slack allows a channel (docs.slack.dev, "Rate limits")."""

    def __init__(self, options: SlackOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        options, env = self._options, self._env
        try:
            url = revealed(options.webhook_url, options.webhook_url_file, env).strip()
            tls = tls_of(options, env.path)
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        try:
            check_url(url)
        except ValueError as error:
            return Retry(reason=f"what the file of the webhook's URL holds {error}")
        body = json.dumps(slack_payload(fit(message)), separators=(",", ":")).encode("ascii")
        headers = {
            "content-type": "application/json; charset=utf-8",
            "accept-encoding": "identity",
            "user-agent": f"alertd/{alertd.__version__}",
        }
        answer = await env.http.post(url, body, headers, timeout_s=options.timeout, tls=tls)
        outcome = outcome_of(answer, env.clock.now())
        if isinstance(outcome, Sent) and isinstance(answer, Reply):
            return _confirmed(answer, outcome)
        return outcome

    async def aclose(self) -> None:
        """The client belongs to the process."""


def _confirmed(reply: Reply, sent: Sent) -> Outcome:
    """``sent`` when the body says so too: Slack answers ``ok``, others ``{"ok": true}`` or nothing.

    Anything else with a 200 is likely somebody's log-in page. To call that delivered would lose a reminder;
    to send it again would not help, or would post it again and again.
    """
    body = reply.body.strip()
    if not reply.whole:
        return Retry(reason=f"{reply.origin} answered {reply.status} and broke off", unknown=True)
    if body.lower() in (b"ok", b"") or _agrees(body):
        return sent
    return Rejected(reason=f"{reply.origin} answered {reply.status}, but not ok: {quote(body, reply.hidden)}")


def _agrees(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and (said.get("ok") is True or said.get("success") is True)
