"""Opens, acknowledges and resolves alerts of PagerDuty, one for each milestone, by its Events API v2.

Source: https://developer.pagerduty.com/docs/events-api-v2-overview ("Response Codes & Retry Logic", "API
Limits"), .../docs/send-alert-event and .../docs/events-api-v2-rate-limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import model_validator

from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Item, Kind, Message, Tone
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.notify.base import Env, Rendered, exactly_one
from alertd.notify.http.redact import HIDDEN
from alertd.notify.http.reply import outcome_of
from alertd.notify.json_api import (
    BaseUrl,
    PostOptions,
    Token,
    check_token,
    object_in,
    post_json,
    rendered_json,
    secret_of,
    unlike,
)
from alertd.notify.render.clean import cut, fit
from alertd.notify.render.markup import plain
from alertd.notify.render.outline import outlined
from alertd.notify.webhook.payload import instant
from alertd.system.secrets import SecretUnreadable

API_URL = "https://events.pagerduty.com"
MAX_KEY = 255
MAX_SUMMARY = 1_024
MAX_TEXT = 20_000
"""Bytes, of the 512 KB that one request may have: more than anybody reads in an alert."""

SEND_TIMEOUT_S = 90.0
"""For the requests about all milestones of one message; the rest is left for the next attempt."""

_CLOSED = (State.DONE, State.CANCELLED)
_SEVERITIES = {
    Tone.CALM: "info",
    Tone.SOON: "warning",
    Tone.LATE: "critical",
    Tone.MOVED: "warning",
    Tone.DONE: "info",
}


class PagerDutyOptions(PostOptions):
    """Options of ``type: pagerduty``."""

    routing_key: Token | None = None
    """The integration key of a service, or of an orchestration."""
    routing_key_file: str = ""
    api_url: BaseUrl = API_URL
    """Where the Events API is; in the EU ``https://events.eu.pagerduty.com``."""

    @property
    def follows(self) -> bool:
        """An incident is acknowledged and resolved as its milestone is."""
        return True

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        exactly_one(self, "routing_key")
        return self


class PagerDutyNotifier:
    """One service. A repeat goes to the alert that is open already: its key is the milestone's.

    What is about several milestones becomes a request for each; a digest, a notice and a test become one
    alert of their own, which nothing but a person resolves.
    """

    Options = PagerDutyOptions
    rate = Rate(messages=120, per_s=60.0)
    """About so many requests are taken by one integration key."""

    def __init__(self, options: PagerDutyOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        clock = self._env.clock
        try:
            key = secret_of(self._options, "routing_key", self._env, check_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        until = clock.monotonic() + SEND_TIMEOUT_S
        outcomes: list[Outcome] = []
        payloads = list(pagerduty_payloads(fit(message)))
        for payload in payloads:
            if outcomes and clock.monotonic() >= until:
                outcomes.append(Retry(reason="there was no time left to tell of all milestones"))
            else:
                outcomes.append(await self._sent(key, payload))
            if isinstance(outcomes[-1], Retry):
                break
        return _summed(outcomes, len(payloads))

    def render(self, message: Message) -> tuple[Rendered, ...]:
        payloads = pagerduty_payloads(fit(message))
        return tuple(rendered_json({"routing_key": HIDDEN, **payload}) for payload in payloads)

    async def aclose(self) -> None:
        """The client belongs to the process."""

    async def _sent(self, key: str, payload: Mapping[str, Any]) -> Outcome:
        url = f"{self._options.api_url}/v2/enqueue"
        answer = await post_json(
            self._env, self._options, url, {"routing_key": key, **payload}, hidden=(key,)
        )
        outcome = outcome_of(answer, self._env.clock.now())
        if isinstance(outcome, Sent) and object_in(answer).get("status") != "success":
            return unlike(answer, "PagerDuty")
        return outcome


def pagerduty_payloads(message: Message) -> Iterator[dict[str, Any]]:
    """The bodies of the requests, but for the key; for a message that has been made fit."""
    if message.kind not in (Kind.SINGLE, Kind.MANY):
        tone = Tone.CALM if message.kind is Kind.TEST else Tone.SOON
        alone = _triggered(message, message.kind.value, "alertd", tone, message.subject)
        yield {"event_action": "trigger", "dedup_key": f"alertd/{message.id}", **alone}
        return
    for item in message.items:
        about = replace(message, kind=Kind.SINGLE, items=(item,))
        summary = f"{item.badge[:1].upper()}{item.badge[1:]}: {item.title} ({item.phrase})"
        told = _triggered(about, item.cause.value, item.timeline, item.tone, summary)
        yield {"event_action": _action(item), "dedup_key": _key(item.milestone), **told}


def _action(item: Item) -> str:
    if item.state in _CLOSED:
        return "resolve"
    return "acknowledge" if item.cause is Cause.ACKNOWLEDGED else "trigger"


def _triggered(message: Message, what: str, group: str, tone: Tone, summary: str) -> dict[str, Any]:
    outline = outlined(message, MAX_TEXT, lambda line: len(plain(line).encode()) + 2)
    text = "\n\n".join("\n".join(map(plain, paragraph)) for paragraph in outline.paragraphs)
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    links = [{"href": link.url, "text": link.label} for link in outline.links]
    return {
        "client": "alertd",
        **({"client_url": outline.url} if outline.url else {}),
        **({"links": links} if links else {}),
        "payload": {
            "summary": cut(summary, MAX_SUMMARY) or "alertd",
            "source": about.get("milestone") or "alertd",
            "severity": _SEVERITIES[tone],
            "timestamp": instant(message.since),
            "group": group,
            "class": what,
            "custom_details": {"id": message.id, **about, "text": text},
        },
    }


def _key(milestone: str) -> str:
    key = f"alertd/{milestone}"
    return key if len(key) <= MAX_KEY else f"alertd/{fingerprint('pagerduty', milestone)}"


def _summed(outcomes: Sequence[Outcome], of: int) -> Outcome:
    """One outcome for several requests: what failed for now brings all of them again, which does no harm."""
    if of == 1:
        return outcomes[0]
    last = outcomes[-1]
    sent = [one for one in outcomes if isinstance(one, Sent)]
    refused = [one for one in outcomes if isinstance(one, Rejected)]
    if isinstance(last, Retry):
        reason = f"{len(outcomes) - 1} of {of} milestones are told of; {last.reason}"
        return replace(last, reason=reason, partly=bool(sent) and last.after is None)
    if not refused:
        return Sent(note=f"{of} requests: {sent[-1].note}")
    if not sent or any(one.gone for one in refused):
        return refused[-1]
    return Sent(
        note=sent[-1].note,
        partly=f"{len(refused)} of {of} milestones were refused, the last because {refused[-1].reason}.",
    )
