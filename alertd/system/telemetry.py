"""List every log event of alertd and configure how events are rendered."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from enum import StrEnum
from functools import partialmethod
from typing import Any, TextIO

from alertd.system.systemd import is_journal

# If these packages are installed, structlog imports them for tracebacks and contexts, which alertd does not
# use. They take 5 MB of the daemon's memory. An import of a module that is None in sys.modules fails.
_UNUSED = {"rich", "greenlet"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]
import structlog  # noqa: E402
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger  # noqa: E402

for _name in _UNUSED:
    del sys.modules[_name]


class Event(StrEnum):
    """The log events. A name has the form ``noun.verb_past``; docs/reference/logs.md explains each event."""

    DAEMON_STARTED = "daemon.started"
    DAEMON_READY = "daemon.ready"
    DAEMON_STOPPED = "daemon.stopped"
    DAEMON_FAILED = "daemon.failed"
    CLOCK_STEPPED = "clock.stepped"
    CLOCK_DOUBTED = "clock.doubted"
    CLOCK_CONFIRMED = "clock.confirmed"
    CLOCK_DIFFERED = "clock.differed"
    CLOCK_AGREED = "clock.agreed"
    NODE_STALLED = "node.stalled"
    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    CONFIG_KEPT = "config.kept"
    FILE_REFUSED = "file.refused"
    FILE_RECOVERED = "file.recovered"
    FILES_VANISHED = "files.vanished"
    FILES_RETURNED = "files.returned"
    FILES_HUNG = "files.hung"
    FILES_ANSWERED = "files.answered"
    MILESTONE_LOADED = "milestone.loaded"
    MILESTONE_MOVED = "milestone.moved"
    MILESTONE_WITHDRAWN = "milestone.withdrawn"
    MILESTONE_FAILED = "milestone.failed"
    ACTION_RECORDED = "action.recorded"
    PLAN_CHANGED = "plan.changed"
    OCCURRENCE_DEFERRED = "occurrence.deferred"
    OCCURRENCE_SUPERSEDED = "occurrence.superseded"
    OCCURRENCE_SUPPRESSED = "occurrence.suppressed"
    OCCURRENCE_EXPIRED = "occurrence.expired"
    OCCURRENCE_FAILED = "occurrence.failed"
    DELIVERY_BOUND = "delivery.bound"
    DELIVERY_SENT = "delivery.sent"
    DELIVERY_RETRIED = "delivery.retried"
    DELIVERY_DIED = "delivery.died"
    DELIVERY_SUPPRESSED = "delivery.suppressed"
    DELIVERY_SUPERSEDED = "delivery.superseded"
    LEASE_LOST = "lease.lost"
    DELIVERY_FENCED = "delivery.fenced"
    CHANNEL_PAUSED = "channel.paused"
    CHANNEL_RESUMED = "channel.resumed"
    LEAD_TAKEN = "lead.taken"
    LEAD_LOST = "lead.lost"
    LEAD_AWAITED = "lead.awaited"
    NODES_DIFFERED = "nodes.differed"
    NODES_AGREED = "nodes.agreed"
    AUDIT_FAILED = "audit.failed"
    AUDIT_PASSED = "audit.passed"
    HEARTBEAT_FAILED = "heartbeat.failed"
    NOTIFIER_FAILED = "notifier.failed"
    LEDGER_FAILED = "ledger.failed"
    LEDGER_HUNG = "ledger.hung"
    LEDGER_RECOVERED = "ledger.recovered"
    LEDGER_UPGRADED = "ledger.upgraded"
    LEDGER_REPAIRED = "ledger.repaired"
    LEDGER_MIGRATED = "ledger.migrated"
    LEDGER_DISPLACED = "ledger.displaced"
    LEDGER_RESCUED = "ledger.rescued"
    LEDGER_DAMAGED = "ledger.damaged"
    LEDGER_PRUNED = "ledger.pruned"
    ROW_REFUSED = "row.refused"
    ROW_RECOVERED = "row.recovered"
    LISTENER_OPENED = "listener.opened"
    LISTENER_CLOSED = "listener.closed"
    LISTENER_FAILED = "listener.failed"
    LISTENER_CROWDED = "listener.crowded"
    LOGIN_PASSED = "login.passed"
    LOGIN_REFUSED = "login.refused"
    ACCESS_REFUSED = "access.refused"
    CONTROL_FAILED = "control.failed"
    CONTROL_REFUSED = "control.refused"
    CREDENTIALS_REFUSED = "credentials.refused"
    ACCESS_FILE_KEPT = "access_file.kept"
    ACCESS_FILE_RECOVERED = "access_file.recovered"
    LINKS_UNSIGNED = "links.unsigned"
    SLACK_UNANSWERED = "slack.unanswered"
    REQUEST_FAILED = "request.failed"
    REQUEST_ABORTED = "request.aborted"
    LIBRARY_LOGGED = "library.logged"


Log = FilteringBoundLogger


def configure(form: str, level: str, out: TextIO | None = None) -> Log:
    """Configure structlog for the process and return the logger.

    Args:
        form: ``json``, ``console`` or ``auto``. ``auto`` means ``console`` if ``out`` is a terminal, else
            ``json``.
        level: the least severe level that is written.
        out: where to write. The default is standard error, because the console notifier uses standard output.
    """
    # sys.stderr is None if it was closed before the process started.
    out = out or sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  the logger keeps it open
    console = form == "console" or (form == "auto" and out.isatty())
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        processors.append(_convert_values)
        # Tracebacks show no local variables in either form, because variables contain URLs and secrets.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=out.isatty(), pad_event_to=24, exception_formatter=plain
        )
        processors.append(renderer)
    else:
        as_dicts = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors += [
            structlog.processors.ExceptionRenderer(as_dicts),
            _render_json,
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    _take_over(log)
    return log


class _Lines:
    """Writes lines and ignores errors, so that a closed log does not stop the daemon.

    In the journal, each line starts with its priority for `journalctl -p` (sd-daemon(3)).
    """

    def __init__(self, out: TextIO) -> None:
        self._print = structlog.PrintLogger(out)
        self._is_journal = is_journal(out)

    def _write(self, priority: int, line: str) -> None:
        # OSError: a closed pipe or a full disk. ValueError: the stream is closed.
        with suppress(OSError, ValueError):
            self._print.msg(f"<{priority}>{line}" if self._is_journal else line)

    critical = partialmethod(_write, 2)
    error = partialmethod(_write, 3)
    warning = partialmethod(_write, 4)
    log = msg = info = partialmethod(_write, 6)
    debug = partialmethod(_write, 7)


def _take_over(log: Log) -> None:
    """Write the logs of libraries and Python's warnings as events, so that every line has the same form."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Library)]:
        root.removeHandler(old)
    root.addHandler(_Library(log))
    logging.captureWarnings(True)
    # No level below WARNING, because httpx logs whole URLs, which can be secrets.
    for name in ("", "httpx", "httpcore", "aiohttp", "apscheduler", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Library(logging.Handler):
    """Passes records of the standard library's ``logging`` to structlog."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = min(record.levelno, logging.CRITICAL)
        self._log.log(
            level,
            Event.LIBRARY_LOGGED,
            logger=record.name,
            text=record.getMessage(),
            exc_info=record.exc_info or None,
        )


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _JSON.encode(event)


def _convert_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Convert enum members and instants to text, so that both renderers show them in the same way."""
    return {key: _convert_value(value) for key, value in event.items()}


def _convert_value(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value


def _format_value(value: Any) -> str:
    """Return the text of a value that JSON has no form for. JSON shows a member of an enum by its value."""
    return str(_convert_value(value))


_JSON = json.JSONEncoder(sort_keys=True, default=_format_value)
"""Made once, since making an encoder takes as long as encoding a line."""
