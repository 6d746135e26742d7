"""Triggers, acknowledges and resolves PagerDuty alerts, one for each milestone, through the Events API v2.

Source: https://developer.pagerduty.com/docs/events-api-v2-overview ("Response Codes & Retry Logic", "API
Limits"), .../docs/send-alert-event and .../docs/events-api-v2-rate-limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import model_validator

from alertd.core.milestones.occurrence import fingerprint
from alertd.notify import (
    HIDDEN,
    BaseUrl,
    Cause,
    Env,
    Item,
    Kind,
    Message,
    Outcome,
    PostOptions,
    Rate,
    Rejected,
    Rendered,
    Retry,
    SecretUnreadable,
    Sent,
    Token,
    Tone,
    build_outline,
    check_token,
    clean_message,
    cut_text,
    format_instant,
    judge_answer,
    parse_object,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_json,
    render_plain_line,
    require_exactly_one,
)

API_URL = "https://events.pagerduty.com"
MAX_KEY = 255
MAX_SUMMARY = 1_024
MAX_TEXT = 20_000
"""Limit in bytes, well below the 512 KB of a request, because people read short alerts only."""

SEND_TIMEOUT_S = 90.0
"""Time limit for all requests of one message, in seconds. The next attempt sends the rest."""

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
    """The integration key of a service or of an event orchestration."""
    routing_key_file: str = ""
    api_url: BaseUrl = API_URL
    """The URL of the Events API; in the EU ``https://events.eu.pagerduty.com``."""

    @property
    def follows(self) -> bool:
        """True: acknowledging or closing a milestone acknowledges or resolves its incident."""
        return True

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        require_exactly_one(self, "routing_key")
        return self


class PagerDutyNotifier:
    """Sends to one service. A duplicate updates the alert that is open already, because both have the same
    key.

    A message about several milestones becomes one request for each. A digest, a notice and a test each become
    an alert of their own, which only a person resolves.
    """

    Options = PagerDutyOptions
    rate = Rate(messages=120, per_s=60.0)
    """About the number of requests that PagerDuty accepts for one integration key."""

    def __init__(self, options: PagerDutyOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        clock = self._env.clock
        try:
            key = read_secret(self._options, "routing_key", self._env, check_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        until = clock.monotonic() + SEND_TIMEOUT_S
        outcomes: list[Outcome] = []
        payloads = list(build_pagerduty_payloads(clean_message(message)))
        for payload in payloads:
            if outcomes and clock.monotonic() >= until:
                outcomes.append(Retry(reason="there was no time left to tell of all milestones"))
            else:
                outcomes.append(await self._post(key, payload))
            if isinstance(outcomes[-1], Retry):
                break
        return _combine(outcomes, len(payloads))

    def render(self, message: Message) -> tuple[Rendered, ...]:
        payloads = build_pagerduty_payloads(clean_message(message))
        return tuple(render_json({"routing_key": HIDDEN, **payload}) for payload in payloads)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    async def _post(self, key: str, payload: Mapping[str, Any]) -> Outcome:
        url = f"{self._options.api_url}/v2/enqueue"
        answer = await post_json(
            self._env, self._options, url, {"routing_key": key, **payload}, hidden=(key,)
        )
        outcome = judge_answer(answer, self._env.clock.now())
        if isinstance(outcome, Sent) and parse_object(answer).get("status") != "success":
            return reject_foreign_answer(answer, "PagerDuty")
        return outcome


def build_pagerduty_payloads(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the JSON bodies without the key, for a message from ``clean_message``."""
    if message.kind not in (Kind.SINGLE, Kind.MANY):
        tone = Tone.CALM if message.kind is Kind.TEST else Tone.SOON
        alone = _build_trigger(message, message.kind.value, "alertd", tone, message.subject)
        yield {"event_action": "trigger", "dedup_key": f"alertd/{message.id}", **alone}
        return
    for item in message.items:
        about = replace(message, kind=Kind.SINGLE, items=(item,))
        summary = f"{item.badge[:1].upper()}{item.badge[1:]}: {item.title} ({item.phrase})"
        told = _build_trigger(about, item.cause.value, item.timeline, item.tone, summary)
        yield {"event_action": _action(item), "dedup_key": _key(item.milestone), **told}


def _action(item: Item) -> str:
    if item.state.is_closed:
        return "resolve"
    return "acknowledge" if item.cause is Cause.ACKNOWLEDGED else "trigger"


def _build_trigger(
    message: Message, event_class: str, group: str, tone: Tone, summary: str
) -> dict[str, Any]:
    outline = build_outline(message, MAX_TEXT, lambda line: len(render_plain_line(line).encode()) + 2)
    text = "\n\n".join("\n".join(map(render_plain_line, paragraph)) for paragraph in outline.paragraphs)
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    links = [{"href": link.url, "text": link.label} for link in outline.links]
    return {
        "client": "alertd",
        **({"client_url": outline.url} if outline.url else {}),
        **({"links": links} if links else {}),
        "payload": {
            "summary": cut_text(summary, MAX_SUMMARY) or "alertd",
            "source": about.get("milestone") or "alertd",
            "severity": _SEVERITIES[tone],
            "timestamp": format_instant(message.since),
            "group": group,
            "class": event_class,
            "custom_details": {"id": message.id, **about, "text": text},
        },
    }


def _key(milestone: str) -> str:
    key = f"alertd/{milestone}"
    return key if len(key) <= MAX_KEY else f"alertd/{fingerprint('pagerduty', milestone)}"


def _combine(outcomes: Sequence[Outcome], total: int) -> Outcome:
    """Combine the outcomes of several requests into one.

    A retry repeats all requests, including those that succeeded. That is harmless, because PagerDuty
    recognizes duplicates by their key.
    """
    if total == 1:
        return outcomes[0]
    last = outcomes[-1]
    sent = [outcome for outcome in outcomes if isinstance(outcome, Sent)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    if isinstance(last, Retry):
        reason = f"{len(outcomes) - 1} of {total} milestones are told of; {last.reason}"
        return replace(last, reason=reason, partly=bool(sent) and last.after is None)
    if not refused:
        return Sent(note=f"{total} requests: {sent[-1].note}")
    if not sent or any(outcome.gone for outcome in refused):
        return refused[-1]
    return Sent(
        note=sent[-1].note,
        partly=f"{len(refused)} of {total} milestones were refused, the last because {refused[-1].reason}.",
    )
