"""Runs a command for each message and writes the JSON of a webhook to the command's standard input.

Rules that hold here:
- no shell is involved, and no text of a milestone is among the command's arguments;
- the command is killed at its time limit, and its child processes are killed when it ends;
- the command gets only the environment variables that it needs to run, because alertd's own may contain a
  password.
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

from alertd.notify import (
    Env,
    Kind,
    Message,
    NotifierOptions,
    Outcome,
    Rejected,
    Rendered,
    Retry,
    Sent,
    clean_message,
    encode_body,
    quote,
)

KEPT_OUTPUT = 4_096
"""How many bytes of the command's output are kept. The command may print more, which is discarded."""

DRAIN_S = 1.0
"""How long alertd waits for remaining output after the command has ended, in seconds."""

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")

EX_TEMPFAIL = 75
VERDICTS = range(64, 79)
"""The exit statuses with a meaning in sysexits.h. Other statuses are no verdict on the message."""


class ExecOptions(NotifierOptions):
    """Options of ``type: exec``."""

    command: list[Annotated[str, Field(max_length=4_000)]] = Field(min_length=1, max_length=100)
    """The program and its arguments. A program without a slash is searched for in ``PATH``."""
    timeout: float = Field(default=30.0, gt=0, le=120)
    """Time limit in seconds, after which alertd kills the command and its child processes."""

    @field_validator("command")
    @classmethod
    def _is_command(cls, value: list[str]) -> list[str]:
        if not value[0].strip() or any("\0" in word for word in value):
            raise ValueError("is not a program with its arguments")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How a command ended.

    Attributes:
        status: the exit status; negative for the signal that ended the command; None when its time was up.
        output: the beginning of what the command printed.
    """

    status: int | None
    output: bytes


class ExecNotifier:
    """Runs one command. ``ALERTD_ID``, which equals ``data.id`` in the JSON, identifies a duplicate."""

    Options = ExecOptions

    def __init__(self, options: ExecOptions, env: Env) -> None:  # noqa: ARG002
        self._options = options

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        fitted = clean_message(message)
        command = self._options.command
        try:
            ended = await _run(command, encode_body(fitted), _environment(fitted), self._options.timeout)
        except OSError as error:
            return Retry(reason=f"cannot run {command[0]}: {error.strerror or 'it failed'}")
        return _outcome(command[0], ended, self._options.timeout)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (Rendered(media_type="application/json", text=encode_body(clean_message(message)).decode()),)

    async def aclose(self) -> None:
        """Do nothing: ``send`` leaves no process running."""


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
    """Run the command and return how it ended. Raises OSError when the command cannot be started."""
    # asyncio's own pipes would make alertd wait for every process that holds a pipe, not only for the
    # command.
    stdin, write_end = os.pipe()
    read_end, stdout = os.pipe()
    talk = await _open_pipes(body, write_end, read_end)
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
    """Wait for the command, kill its process group, and return its exit status; None when its time was up."""
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
    """alertd's end of a pipe.

    Keeps the beginning of the data; ``ended`` resolves when every process has closed its end.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data[: KEPT_OUTPUT - len(self.received)]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.ended.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    writer: asyncio.WriteTransport
    writer_end: _End
    reader: asyncio.ReadTransport
    reader_end: _End

    async def finish(self) -> bytes:
        """Return the output once the pipe is closed, or after :data:`DRAIN_S` at the latest.

        A process that has left the process group may hold the pipe open for ever.
        """
        await asyncio.wait([self.reader_end.ended], timeout=DRAIN_S)
        if not self.writer_end.ended.done():
            self.writer.abort()
        self.reader.close()
        return bytes(self.reader_end.received)


async def _open_pipes(body: bytes, write_end: int, read_end: int) -> _Talk:
    """Begin to write ``body`` and to read the output. The command may ignore its input."""
    loop = asyncio.get_running_loop()
    writer, writer_end = await loop.connect_write_pipe(_End, os.fdopen(write_end, "wb", buffering=0))
    reader, reader_end = await loop.connect_read_pipe(_End, os.fdopen(read_end, "rb", buffering=0))
    writer.write(body)
    writer.write_eof()
    return _Talk(writer=writer, writer_end=writer_end, reader=reader, reader_end=reader_end)


def _outcome(program: str, ended: _Ended, timeout_s: float) -> Outcome:
    excerpt = quote(ended.output)
    words = f": {excerpt}" if excerpt else ""
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
