"""Runs a command for each message, with the JSON of a webhook on its standard input.

Rules that hold here:
- no shell: the words of the command are what it gets, and no text of a milestone is among them;
- what it starts does not outlive it, and it does not outlive its time;
- it gets only as much of alertd's environment as a command needs to run: a password may be in the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Kind, Message
from alertd.notify.base import Env, NotifierOptions, Rendered
from alertd.notify.http.redact import quote
from alertd.notify.render.clean import fit
from alertd.notify.webhook.payload import body_of

KEPT_OUTPUT = 4_096
"""Bytes of what it prints that are looked at; it may print any number."""

DRAIN_S = 1.0
"""How long its last words are waited for, once it has ended."""

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")

EX_TEMPFAIL = 75
VERDICTS = range(64, 79)
"""The statuses that sysexits.h gives a meaning to. Any other is an accident: no judgement of the message."""


class ExecOptions(NotifierOptions):
    """Options of ``type: exec``."""

    command: list[Annotated[str, Field(max_length=4_000)]] = Field(min_length=1, max_length=100)
    """The program, looked for in ``PATH`` unless it has a slash, and its arguments."""
    timeout: float = Field(default=30.0, gt=0, le=120)
    """Seconds, after which it is killed with all that it has started."""

    @field_validator("command")
    @classmethod
    def _is_command(cls, value: list[str]) -> list[str]:
        if not value[0].strip() or any("\0" in word for word in value):
            raise ValueError("is not a program with its arguments")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """``status``: negative for the signal that ended it; None when its time was up."""

    status: int | None
    output: bytes


class ExecNotifier:
    """One command. A repeat can be told by ``ALERTD_ID``, which is ``data.id`` of the JSON."""

    Options = ExecOptions

    def __init__(self, options: ExecOptions, env: Env) -> None:  # noqa: ARG002
        self._options = options

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        fitted = fit(message)
        command = self._options.command
        try:
            ended = await _run(command, body_of(fitted), _environment(fitted), self._options.timeout)
        except OSError as error:
            return Retry(reason=f"cannot run {command[0]}: {error.strerror or 'it failed'}")
        return _outcome(command[0], ended, self._options.timeout)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (Rendered(media_type="application/json", text=body_of(fit(message)).decode()),)

    async def aclose(self) -> None:
        """Nothing is left running."""


def _environment(message: Message) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("LC_")}
    about = {
        "ALERTD_ID": message.id,
        "ALERTD_KIND": message.kind.value,
        "ALERTD_SUBJECT": message.subject,
        "ALERTD_RECEIVER": message.receiver,
        "ALERTD_ATTEMPT": str(message.attempt),
    }
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        about |= {"ALERTD_MILESTONE": item.milestone, "ALERTD_CAUSE": item.cause.value}
    return given | about


async def _run(command: list[str], body: bytes, environment: Mapping[str, str], timeout_s: float) -> _Ended:
    """Raises OSError when it cannot be started."""
    # Pipes of our own: with asyncio's, waiting for the end would mean waiting for all who hold a pipe.
    stdin, write_end = os.pipe()
    read_end, stdout = os.pipe()
    talk = await _talking(body, write_end, read_end)
    try:
        try:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=stdin, stdout=stdout, stderr=stdout, env=environment, start_new_session=True
            )
        finally:
            os.close(stdin)
            os.close(stdout)
        status = await _status(child, timeout_s)
    finally:
        output = await talk.finish()
    return _Ended(status=status, output=output)


async def _status(child: asyncio.subprocess.Process, timeout_s: float) -> int | None:
    """Of the command, once it has ended and nothing is left of its group; None when its time was up."""
    try:
        async with asyncio.timeout(timeout_s):
            return await child.wait()
    except TimeoutError:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


class _End(asyncio.Protocol):
    """Our end of a pipe. Keeps the beginning of what is heard; ``ended`` once nobody holds the other end."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard += data[: KEPT_OUTPUT - len(self.heard)]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.ended.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    mouth: asyncio.WriteTransport
    mouth_end: _End
    ear: asyncio.ReadTransport
    ear_end: _End

    async def finish(self) -> bytes:
        """What was heard, once there is nothing more to hear.

        Or at the latest after :data:`DRAIN_S`: what has left the group may hold the pipe for ever.
        """
        await asyncio.wait([self.ear_end.ended], timeout=DRAIN_S)
        if not self.mouth_end.ended.done():
            self.mouth.abort()
        self.ear.close()
        return bytes(self.ear_end.heard)


async def _talking(body: bytes, write_end: int, read_end: int) -> _Talk:
    """Writes ``body`` as fast as it is read, should it be read at all, and listens."""
    loop = asyncio.get_running_loop()
    mouth, mouth_end = await loop.connect_write_pipe(_End, os.fdopen(write_end, "wb", buffering=0))
    ear, ear_end = await loop.connect_read_pipe(_End, os.fdopen(read_end, "rb", buffering=0))
    mouth.write(body)
    mouth.write_eof()
    return _Talk(mouth=mouth, mouth_end=mouth_end, ear=ear, ear_end=ear_end)


def _outcome(program: str, ended: _Ended, timeout_s: float) -> Outcome:
    said = quote(ended.output)
    words = f": {said}" if said else ""
    if ended.status is None:
        return Retry(reason=f"{program} did not end within {timeout_s:g} s{words}", unknown=True)
    if ended.status == 0:
        return Sent(note=f"exit status 0{words}")
    if ended.status < 0:
        return Retry(reason=f"{program} was ended by signal {-ended.status}{words}", unknown=True)
    reason = f"{program} ended with exit status {ended.status}{words}"
    if ended.status in VERDICTS and ended.status != EX_TEMPFAIL:
        return Rejected(reason=reason)
    return Retry(reason=reason)
