"""The console: plain text in a pipe, colours on a terminal, readable at 80 columns."""

import contextlib
import io
import re
from collections.abc import AsyncIterator, Mapping

import pytest

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.notify.console import ConsoleNotifier, ConsoleOptions
from alertd.testing import SAMPLES, notifier_env, sample_message
from alertd.testing.contract import Rig, Trouble
from tests.notify.contract import OwnContract

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "ascii"


async def printed(out: io.StringIO, name: str = "contested") -> tuple[Outcome, str]:
    notifier = ConsoleNotifier(ConsoleOptions(), notifier_env(out=out))
    return await notifier.send(sample_message(name), {}), out.getvalue() if not out.closed else ""


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [80, 60])
async def test_on_a_terminal_no_line_is_wider_than_it(
    monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    # Environment variables by which programs recognize a terminal's abilities.
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")

    outcome, text = await printed(Terminal(), name)

    assert outcome == Sent()
    assert "\x1b[" in text
    lines = ESCAPE.sub("", text).splitlines()
    assert max(map(len, lines)) <= width
    message = sample_message(name)
    assert message.id in text
    for item in message.items:
        assert item.badge in text


@pytest.mark.parametrize("name", SAMPLES)
async def test_piped_it_is_plain_text_without_an_escape(name: str) -> None:
    _, text = await printed(io.StringIO(), name)

    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines() if "://" not in line) <= 72
    assert text.endswith("\n\n")


async def test_colours_are_left_out_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    _, text = await printed(Terminal())

    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


async def test_what_the_encoding_lacks_does_not_keep_it_from_being_printed() -> None:
    outcome, text = await printed(Ascii())

    assert outcome == Sent()
    assert text.isascii()
    assert "by September 2026" in text


async def test_a_closed_stream_is_tried_again() -> None:
    out = io.StringIO()
    out.close()

    outcome, _ = await printed(out)

    assert outcome == Retry(reason="cannot write to the console: it is closed")


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class ConsoleRig(Rig):
    def __init__(self, out: io.StringIO) -> None:
        super().__init__("console", {}, notifier_env(out=out))
        self.out = out

    def seen(self) -> str:
        return self.out.getvalue()


class TestContract(OwnContract):
    type_name = "console"
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = {Trouble.LATER: (Retry, False)}

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        yield ConsoleRig(FullDisk() if trouble is Trouble.LATER else io.StringIO())
