"""Sends one message through a notifier to a real server with scripted answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from alertd.core.ledger.outcome import Outcome
from alertd.core.message.message import Message
from alertd.core.milestones.fields import make_sample_values
from alertd.notify.registry import list_usable
from alertd.testing import Answer, HttpSink, Received, notifier_env, sample_message

Options = Callable[[str], Mapping[str, object]]
Prior = Mapping[str, Mapping[str, str]]

MILESTONE = "iraq-coalition-withdrawal/phase-2"


async def sent(
    type_name: str,
    options: Options,
    *answers: Answer,
    message: Message | None = None,
    prior: Prior | None = None,
    secrets: Mapping[str, str] | None = None,
) -> tuple[Outcome, list[Received]]:
    """Return the outcome, and the requests that the server got.

    Args:
        options: makes the notifier's options from the server's URL.
    """
    kind = list_usable()[type_name].load()
    async with HttpSink(*answers) as sink:
        env = notifier_env(secrets=secrets)
        notifier = kind(kind.Options.model_validate(options(sink.url)), env)
        outcome = await notifier.send(message or sample_message(), prior or {})
        await notifier.aclose()
        await env.http.aclose()
    return outcome, sink.requests


def said(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers=headers)


def body_of(request: Received) -> dict[str, Any]:
    body = json.loads(request.body)
    assert isinstance(body, dict)
    return body


def titled(text: str, **changes: Any) -> Message:
    """Return a sample whose milestone has ``text`` in every possible field."""
    message = sample_message("contested")
    item = message.items[0]
    claims = tuple(replace(claim, phrase=text, note=text) for claim in item.claims)
    item = replace(
        item,
        title=text,
        timeline_title=text,
        headline=text,
        fields={**item.fields, **make_sample_values(text)},
        phrase=text,
        claims=claims,
    )
    return replace(message, subject=text, items=(replace(item, **changes),))


def long_story() -> Message:
    """Return a message about one milestone that is longer than any service accepts."""
    return titled("Leave", details=tuple(f"Sentence {number}. " + "word " * 190 for number in range(50)))


def crowd(count: int = 200) -> Message:
    """Return a message about more milestones than any service shows."""
    message = sample_message("many")
    items = tuple(
        replace(message.items[at % 5], milestone=f"many/m-{at}", title=f"Milestone number {at} " + "x" * 100)
        for at in range(count)
    )
    return replace(message, items=items)
