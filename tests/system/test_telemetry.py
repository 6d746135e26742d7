"""Logs: one JSON object a line where nobody sits, nothing secret in any, every event said by some code."""

import ast
import functools
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import alertd
from alertd.core.ledger.outcome import Retry
from alertd.system.telemetry import Event, configure
from tests.scene import when

SOURCE = Path(alertd.__file__).parent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's: give it back as it was."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(False)
    structlog.reset_defaults()


def logged(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_journal_gets_the_priority_of_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sd-daemon(3) has them, so that `journalctl -p err` finds what is an error."""
    with (tmp_path / "journal").open("w+") as out:
        seen = os.fstat(out.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}")
        log = configure("auto", "debug", out)

        for say in (log.debug, log.info, log.warning, log.error, log.critical):
            say(Event.DAEMON_READY)
        out.seek(0)
        lines = out.readlines()

    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>"]
    assert [json.loads(line[3:])["level"] for line in lines] == [
        "debug", "info", "warning", "error", "critical",
    ]  # fmt: skip


def test_json_where_there_is_no_terminal() -> None:
    """Each event is one line of JSON with its level, a UTC timestamp, and its facts as keys."""
    out = io.StringIO()

    configure("auto", "info", out).info(
        Event.DELIVERY_SENT, at=when("2026-09-30"), many=(1, 2), path=Path("/x"), odd=Retry(reason="a\nb")
    )

    line = logged(out)[0]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "delivery.sent",
        "level": "info",
        "at": "2026-09-30T00:00:00Z",
        "many": [1, 2],
        "path": "/x",
        "odd": repr(Retry(reason="a\nb")),
    }


@pytest.mark.parametrize(
    ("form", "out", "is_json"),
    [
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
)
def test_form(form: str, out: io.StringIO, *, is_json: bool) -> None:
    """For people on a terminal, JSON elsewhere, and either when it is asked for."""
    configure(form, "info", out).info(Event.DAEMON_READY, status="x")

    assert out.getvalue().startswith("{") == is_json
    assert "daemon.ready" in out.getvalue()


def test_level_is_the_least_severe_that_is_written() -> None:
    """What is below the level is not written."""
    out = io.StringIO()
    log = configure("json", "warning", out)

    log.info(Event.DAEMON_READY)
    log.warning(Event.CLOCK_STEPPED, by_s=3)

    assert [line["event"] for line in logged(out)] == ["clock.stepped"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_traceback_shows_no_local_variable(form: str) -> None:
    """A traceback says where it went wrong and what, and not what variables held: there are URLs in them."""
    out = io.StringIO()
    log = configure(form, "info", out)

    secret = "-".join(("canary", "5f0c9b"))
    try:
        _fail(secret)
    except ValueError as error:
        log.error(Event.NOTIFIER_FAILED, channel="desk/hook", exc_info=error)

    assert "it is broken" in out.getvalue()
    assert "_fail" in out.getvalue()
    assert "canary-5f0c9b" not in out.getvalue()
    if form == "json":
        assert len(logged(out)) == 1


def test_what_libraries_log_is_in_the_same_form() -> None:
    """Libraries' warnings and Python's are events like any other; what they say below that is left out."""
    out = io.StringIO()
    configure("json", "info", out)

    logging.getLogger("apscheduler.scheduler").warning("job %s was missed", "x")
    logging.getLogger("httpx").info("GET https://secret.example/token")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    first, second = logged(out)
    assert (first["event"], first["level"], first["logger"], first["text"]) == (
        "library.logged", "warning", "apscheduler.scheduler", "job x was missed",
    )  # fmt: skip
    assert second["logger"] == "py.warnings"


def test_configured_twice_logs_once() -> None:
    """Setting logging up again takes the place of what was set up before."""
    configure("json", "info", io.StringIO())
    out = io.StringIO()
    configure("json", "info", out)

    logging.getLogger("asyncio").error("once")

    assert len(logged(out)) == 1


@pytest.mark.parametrize("event", list(Event))
def test_every_event_is_said_by_some_code(event: Event) -> None:
    """No event is listed that nothing says; each is named ``noun.verb_past``."""
    assert event.name in _said()
    assert event.value.replace(".", "_").upper() == event.name
    assert event.value.count(".") == 1


def test_no_event_is_said_as_text() -> None:
    """What is logged is a constant of the list, never a text of its own."""
    spoken = [
        f"{path}:{call.lineno}"
        for path, module in modules()
        for call in ast.walk(module)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"debug", "info", "warning", "error", "critical"}
        and call.args
        and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]

    assert spoken == []


@functools.cache
def modules() -> list[tuple[Path, ast.Module]]:
    """Parse the modules of alertd. The tests share the result, because parsing takes most of their time."""
    return [(path, ast.parse(path.read_text())) for path in SOURCE.rglob("*.py")]


@functools.cache
def _said() -> frozenset[str]:
    return frozenset(
        node.attr
        for _, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Event"
    )


def _fail(secret: str) -> None:
    url = f"https://example.org/{secret}"
    if url:
        raise ValueError("it is broken")


class Gone(io.StringIO):
    """A pipe whose reader has gone, or a disk that is full, until it is mended."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device"), ValueError("closed")],
)
def test_log_that_nobody_reads_ends_nothing(error: Exception) -> None:
    """What cannot be written is lost, and what comes afterwards is written when it can be."""
    out = Gone(error)
    log = configure("json", "info", out)

    log.info(Event.DAEMON_READY)
    logging.getLogger("a.library").warning("of no importance")
    out.error = None
    log.info(Event.DAEMON_STOPPED)

    assert [one["event"] for one in logged(out)] == ["daemon.stopped"]
