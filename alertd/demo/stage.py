"""Starts the demo's servers, and a daemon on files in a temporary folder, wired as in `alertd run`."""

from __future__ import annotations

import base64
import io
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

import alertd
from alertd import app
from alertd.core.config import Config
from alertd.definitions.files import read_signature
from alertd.demo.costs import Stopwatch, time_ledger
from alertd.demo.inbox import Receipt, mail_received, slack_post, webhook_post
from alertd.demo.pace import VirtualClock
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.errors import AlertdError
from alertd.notify.http.client import HttpClient
from alertd.ports import ActionLedger, LedgerReader, Notifier
from alertd.system.settings import read_settings
from alertd.system.telemetry import Log
from alertd.testing import Answer, HttpSink, SmtpSink

T = TypeVar("T")

SECRET = b"a secret for half a minute only."

CONFIG = """\
timezone: Asia/Baghdad
time_intervals:
  - name: weekend
    time_intervals: [{{weekdays: [friday, saturday]}}]
route:
  receiver: desk
  group_by: [timeline]
  routes:
    - {{receiver: archive, continue: true}}
    - receiver: leads
      matchers: ['cause=~"due|overdue|moved|done"']
      mute_time_intervals: [weekend]
      continue: true
    - {{receiver: desk}}
receivers:
  - name: desk
    notifiers: [{{type: slack, webhook_url: "{slack}/services/demo"}}]
  - name: leads
    notifiers: [{{type: email, to: [leads@demo.example]}}]
  - name: archive
    notifiers: [{{type: webhook, url: "{webhook}/hook", secret_file: hook_secret}}]
smtp: {{host: 127.0.0.1, port: {smtp}, from: alertd <alertd@demo.example>}}
"""


FILE = "iraq-coalition-withdrawal.yaml"


class StageLedger(LedgerReader, ActionLedger, Protocol):
    """The roles of the ledger that the demo needs beside the daemon's and the site's."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """The running parts of the demo.

    Attributes:
        ledger: a real ledger on disk, whose calls ``watch`` times.
        receipts: all messages that arrived, in order, including those that a server turned away.
        log: the errors that the daemon logged.
    """

    folder: Path
    clock: VirtualClock
    daemon: Daemon
    ledger: StageLedger
    watch: Stopwatch
    slack: HttpSink
    webhook: HttpSink
    mail: SmtpSink
    log: io.StringIO
    receipts: list[Receipt] = field(default_factory=list)
    _refusing: bool = False
    _taken: dict[str, int] = field(default_factory=dict)

    @property
    def timeline(self) -> Path:
        """The timeline's file in the folder."""
        return self.folder / "milestones" / FILE

    def config(self) -> Config:
        """Load the configuration from the folder."""
        found = app.make_loader(self.folder)().config
        assert found is not None  # noqa: S101  the daemon has started with the same file
        return found

    def refuse_next_webhook(self, retry_after_s: int) -> None:
        """Answer the next webhook with 503 and a Retry-After header, and accept the later ones."""
        busy = Answer(status=503, headers={"retry-after": str(retry_after_s)}, body=b"closed for a moment")
        self.webhook.answers = (busy, Answer())
        self._refusing = True

    def collect(self) -> list[Receipt]:
        """Return the messages that have arrived since the last call."""
        now = self.clock.now()
        new: list[Receipt] = [
            slack_post(request, now, accepted=True) for request in self._fresh("slack", self.slack.requests)
        ]
        for request in self._fresh("webhook", self.webhook.requests):
            new.append(webhook_post(request, now, SECRET, accepted=not self._refusing))
            self._refusing = False
        new += [mail_received(envelope, now) for envelope in self._fresh("email", self.mail.mails)]
        self.receipts += new
        return new

    def _fresh(self, channel: str, arrived: Sequence[T]) -> Sequence[T]:
        taken = self._taken.get(channel, 0)
        self._taken[channel] = len(arrived)
        return arrived[taken:]


@asynccontextmanager
async def open_stage(at: datetime) -> AsyncIterator[Stage]:
    """Start the servers and the daemon at the virtual instant ``at``, and stop them after the block."""
    with tempfile.TemporaryDirectory(prefix="alertd-demo-") as name:
        folder = Path(name)
        async with HttpSink() as slack, HttpSink() as webhook, SmtpSink() as mail:
            _write_files(folder, slack.url, webhook.url, mail.port)
            clock, watch, log = VirtualClock(at), Stopwatch(), io.StringIO()
            database = f"sqlite:///{folder / 'alertd.sqlite3'}"
            ledger = time_ledger(
                await app.open_ledger(read_settings(config=folder, database=database)), clock, watch
            )
            http, closing = HttpClient(), AsyncExitStack()

            def build(config: Config) -> Mapping[str, Notifier]:
                made = app.make_notifiers(config, folder, http, clock, io.StringIO())
                for notifier in made.values():
                    closing.push_async_callback(notifier.aclose)
                return made

            daemon = Daemon(
                Dependencies(
                    ledger=ledger,
                    clock=clock,
                    log=_make_error_log(log),
                    load=app.make_loader(folder),
                    signature=partial(read_signature, folder),
                    build=build,
                    node="demo",
                )
            )
            try:
                await daemon.start()
                yield Stage(
                    folder=folder,
                    clock=clock,
                    daemon=daemon,
                    ledger=ledger,
                    watch=watch,
                    slack=slack,
                    webhook=webhook,
                    mail=mail,
                    log=log,
                )
            finally:
                await daemon.idle()
                await closing.aclose()
                await http.aclose()
                await ledger.close()


def _write_files(folder: Path, slack: str, webhook: str, smtp: int) -> None:
    (folder / "milestones").mkdir()
    (folder / "milestones" / FILE).write_bytes(find_shipped_timeline().read_bytes())
    (folder / "alertd.yaml").write_text(CONFIG.format(slack=slack, webhook=webhook, smtp=smtp))
    secret = folder / "hook_secret"
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + base64.b64encode(SECRET).decode())


def _make_error_log(out: io.StringIO) -> Log:
    """Return a logger that writes only errors, to ``out``, independent of the process's logging."""
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    return log


class TimelineMissing(AlertdError):
    """The package was built without its timeline."""


def find_shipped_timeline() -> Traversable:
    """Return the file of the shipped timeline.

    In a wheel, the file is in the package, because ``pyproject.toml`` includes it. In a checkout, it is in
    ``config/``.

    Raises:
        TimelineMissing: the file is in neither place.
    """
    packaged = files("alertd.demo") / "milestones" / FILE
    if packaged.is_file():
        return packaged
    beside = Path(alertd.__file__).parents[1] / "config" / "milestones" / FILE
    if beside.is_file():
        return beside
    raise TimelineMissing(f"{FILE}: neither in the package nor in {beside.parent}")
