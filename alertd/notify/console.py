"""Prints messages to standard output: with colours and boxes on a terminal, else as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alertd.notify import (
    Env,
    Message,
    NotifierOptions,
    Outcome,
    Rendered,
    Retry,
    Sent,
    clean_message,
    render_text,
)

if TYPE_CHECKING:
    from typing import TextIO


class ConsoleOptions(NotifierOptions):
    """Options of ``type: console``. There are none besides the common ones."""


class ConsoleNotifier:
    """Prints to standard output. The id at the bottom identifies a duplicate."""

    Options = ConsoleOptions

    def __init__(self, options: ConsoleOptions, env: Env) -> None:  # noqa: ARG002
        self._out = env.out

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        try:
            _write(self._out, _render(clean_message(message), self._out))
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            why = error.strerror if isinstance(error, OSError) else "it is closed"
            return Retry(reason=f"cannot write to the console: {why}")
        return Sent()

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (Rendered(media_type="text/plain", text=_render(clean_message(message), self._out)),)

    async def aclose(self) -> None:
        """Do nothing: the stream belongs to the process."""


def _render(message: Message, out: TextIO) -> str:
    if not out.isatty():
        return render_text(message) + "\n"
    from alertd.notify.render.terminal import render_terminal

    return render_terminal(message, out)


def _write(out: TextIO, text: str) -> None:
    """Write the text in one call, so that two messages never mix.

    Characters that the stream's encoding does not have become question marks.
    """
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "replace").decode(encoding))
    out.flush()
