"""The demo's world: servers, files in a temporary folder, and the daemon wired as `alertd run` wires it."""

from __future__ import annotations

import base64
import io
import logging
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from alertd import app
from alertd.core.config import Config
from alertd.definitions.files import signature
from alertd.demo.clock import VirtualClock
from alertd.demo.costs import Stopwatch, timed
from alertd.demo.inbox import Receipt, mail_received, slack_post, webhook_post
from alertd.demo.shipped import FILE, shipped_timeline
from alertd.demo.smtp import SmtpServer, smtp_server
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.notify.http.client import HttpClient
from alertd.ports import Ledger
from alertd.system.settings import settings
from alertd.system.telemetry import Log
from alertd.testing.http_sink import Answer, HttpSink

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


@dataclass(slots=True, kw_only=True)
class Stage:
    """All that the demo plays with.

    Attributes:
        ledger: the true one, on disk, behind a stopwatch.
        receipts: what arrived, in order, also what was turned away.
        log: what the daemon logged as an error; empty when all is well.
    """

    folder: Path
    clock: VirtualClock
    daemon: Daemon
    ledger: Ledger
    watch: Stopwatch
    slack: HttpSink
    webhook: HttpSink
    mail: SmtpServer
    log: io.StringIO
    receipts: list[Receipt] = field(default_factory=list)
    _refusing: bool = False
    _taken: dict[str, int] = field(default_factory=dict)

    @property
    def timeline(self) -> Path:
        return self.folder / "milestones" / FILE

    def config(self) -> Config:
        """The configuration as it stands in the folder."""
        found = app.loader(self.folder)().config
        assert found is not None  # noqa: S101  the daemon started on it
        return found

    def refuse_next_webhook(self, retry_after_s: int) -> None:
        """Answer the next webhook with 503, and those after it as always."""
        busy = Answer(status=503, headers={"retry-after": str(retry_after_s)}, body=b"closed for a moment")
        self.webhook.answers = (busy, Answer())
        self._refusing = True

    def collect(self) -> list[Receipt]:
        """What has arrived since the last call."""
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
async def stage(at: datetime) -> AsyncIterator[Stage]:
    """Everything up and the daemon started at the virtual instant ``at``; everything gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="alertd-demo-") as name:
        folder = Path(name)
        async with HttpSink() as slack, HttpSink() as webhook, smtp_server() as mail:
            _write_files(folder, slack.url, webhook.url, mail.port)
            clock, watch, log = VirtualClock(at), Stopwatch(), io.StringIO()
            database = f"sqlite:///{folder / 'alertd.sqlite3'}"
            ledger = timed(await app.ledger(settings(config=folder, database=database)), clock, watch)
            http = HttpClient()
            daemon = Daemon(
                Dependencies(
                    ledger=ledger,
                    clock=clock,
                    log=_quiet(log),
                    load=app.loader(folder),
                    signature=partial(signature, folder),
                    build=lambda config: app.notifiers(config, folder, http, clock, io.StringIO()),
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
                await http.aclose()
                await ledger.close()


def _write_files(folder: Path, slack: str, webhook: str, smtp: int) -> None:
    (folder / "milestones").mkdir()
    (folder / "milestones" / FILE).write_bytes(shipped_timeline().read_bytes())
    (folder / "alertd.yaml").write_text(CONFIG.format(slack=slack, webhook=webhook, smtp=smtp))
    secret = folder / "hook_secret"
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + base64.b64encode(SECRET).decode())


def _quiet(out: io.StringIO) -> Log:
    """A logger of its own, whatever the process has configured: only errors, and they are kept."""
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    return log
