"""Tries receivers for a person: sends a test message with a transcript, or shows a reminder without sending.

It needs neither a daemon nor a ledger.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr

from alertd import app
from alertd.core.config import Config
from alertd.core.explain.rehearsal import Rehearsal
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.base import Rendered, Renders, iterate_texts
from alertd.notify.http.client import HttpClient
from alertd.notify.http.transcript import Transcript, TranscriptLine, conceal
from alertd.notify.trial import try_notifiers
from alertd.system.clock import SystemClock
from alertd.system.secrets import SecretUnreadable, secret_files


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """The result of a test message to one notifier.

    Attributes:
        said: the transcript of the dialogue with the receiver, without secrets; empty if there is none.
    """

    channel: str
    outcome: Outcome
    said: tuple[TranscriptLine, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether all recipients accepted the message."""
        return isinstance(self.outcome, Sent) and not self.outcome.partly


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPreview:
    """The bodies that one notifier would send. A notifier that cannot render its messages has none."""

    channel: str
    type: str
    bodies: tuple[Rendered, ...]


async def send_test(config: Config, folder: Path, receiver: str) -> list[TrialResult]:
    """Send a test message to each notifier of a receiver, once, and record the dialogue.

    Args:
        folder: the configuration folder.
    """
    clock, http = SystemClock(), HttpClient()
    transcript = http.transcript = Transcript()
    for secret in list_secrets(config, folder, receiver):
        transcript.hide(secret)
    made = app.make_notifiers(config, folder, http, clock, sys.stdout)
    at = clock.now()
    found = []
    try:
        async for channel, outcome in try_notifiers(made, config.receivers[receiver], at):
            found.append(TrialResult(channel=channel, outcome=outcome, said=transcript.take()))
    finally:
        for notifier in made.values():
            await notifier.aclose()
        await http.aclose()
    return [replace(result, outcome=_conceal_outcome(result.outcome, transcript)) for result in found]


async def preview(config: Config, folder: Path, rehearsal: Rehearsal, out: TextIO) -> list[RenderedPreview]:
    """Return what each notifier of a receiver would send for a reminder. Nothing is sent.

    Args:
        out: the console that a console notifier would write to.
    """
    receiver, http = rehearsal.receiver, HttpClient()
    made = app.make_notifiers(config, folder, http, _StoppedClock(rehearsal.at), out)
    secrets = tuple(list_secrets(config, folder, receiver))
    shown = []
    try:
        for spec in config.receivers[receiver].notifiers:
            notifier = made[f"{receiver}/{spec.name}"]
            bodies = (
                notifier.render(rehearsal.compose_message(spec.name)) if isinstance(notifier, Renders) else ()
            )
            hidden = tuple(replace(body, text=conceal(body.text, secrets)) for body in bodies)
            shown.append(RenderedPreview(channel=f"{receiver}/{spec.name}", type=spec.type, bodies=hidden))
    finally:
        for notifier in made.values():
            await notifier.aclose()
        await http.aclose()
    return shown


def list_secrets(config: Config, folder: Path, receiver: str) -> Iterator[str]:
    """Yield the secrets of a receiver's notifiers, including those in files. Skips an unreadable file."""
    read = secret_files(folder, os.environ)
    for spec in config.receivers[receiver].notifiers:
        for option, text in iterate_texts(spec.options):
            if isinstance(text, SecretStr):
                yield text.get_secret_value()
            elif option.endswith("_file") and text:
                yield from _read_file(text, read)
    if config.smtp.password_file:
        yield from _read_file(config.smtp.password_file, read)


def _read_file(file: str, read: Callable[[str], str]) -> Iterator[str]:
    with contextlib.suppress(SecretUnreadable):
        yield read(file).strip()


def _conceal_outcome(outcome: Outcome, transcript: Transcript) -> Outcome:
    match outcome:
        case Sent():
            return replace(
                outcome, note=transcript.conceal(outcome.note), partly=transcript.conceal(outcome.partly)
            )
        case Retry() | Rejected():
            return replace(outcome, reason=transcript.conceal(outcome.reason))


class _StoppedClock:
    """A clock that always shows the instant for which the message is composed."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return 0.0
