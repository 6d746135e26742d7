"""The real daemon as a process of its own, a folder of files for it, and real servers that it sends to.

Everything waits for something that happens (a log line, a request, a mail), within a time limit.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, SupportsIndex

from alertd.testing import HttpSink, SmtpSink
from alertd.testing.http_sink import Received
from alertd.testing.smtp_sink import Mail

LIMIT_S = 20.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ONE_MINUTE = "{before: [1min], on_day: false, after: [], opens: false}"


class Bell:
    """Rings when something has happened, for whoever waits for a condition."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def until(self, condition: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                while not condition():
                    self._rung.clear()
                    await self._rung.wait()
        except TimeoutError:
            raise AssertionError(f"nothing of the kind within {LIMIT_S:g} s: {what()}") from None


class Ringing(list[Any]):
    """A list that rings when something is appended."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self._bell = bell

    def append(self, item: Any) -> None:
        super().append(item)
        self._bell.ring()

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return super().__getitem__(index)


@dataclass
class Process:
    """A daemon under way.

    Attributes:
        events: what it has logged, a mapping a line.
        printed: what its console receiver was told.
    """

    inner: asyncio.subprocess.Process
    bell: Bell = field(default_factory=Bell)
    events: list[dict[str, Any]] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    printed: str = ""
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    def listen(self) -> None:
        self._readers = [asyncio.create_task(self._log()), asyncio.create_task(self._print())]

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in self.events)

    async def until(self, event: str, times: int = 1) -> dict[str, Any]:
        """The event of that name, once it was logged so many times."""
        await self.bell.until(lambda: self.count(event) >= times, lambda: [*self.events, *self.garbage])
        return [one for one in self.events if one["event"] == event][times - 1]

    def signal(self, number: signal.Signals) -> None:
        self.inner.send_signal(number)

    async def ended(self) -> int:
        """Its exit status, once it has ended and all that it said was read."""
        async with asyncio.timeout(LIMIT_S):
            status = await self.inner.wait()
            await asyncio.gather(*self._readers)
        return status

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> int:
        self.signal(signal.SIGKILL)
        return await self.ended()

    async def _log(self) -> None:
        assert self.inner.stderr is not None
        async for raw in self.inner.stderr:
            try:
                self.events.append(json.loads(raw))
            except ValueError:
                self.garbage.append(raw.decode(errors="replace"))
            self.bell.ring()

    async def _print(self) -> None:
        assert self.inner.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")()  # a chunk may end within a character
        while chunk := await self.inner.stdout.read(4096):
            self.printed += decoder.decode(chunk)
            self.bell.ring()


class Stage:
    """A folder with the files of one daemon, and what it is run with.

    Attributes:
        wrapper: a program with arguments that executes the daemon, such as one that lowers a limit first.
    """

    def __init__(self, folder: Path, config: Path | None = None) -> None:
        self.wrapper: Sequence[str] = ()
        self.config = config or folder / "config"
        self.database = f"sqlite:///{folder}/ledger.sqlite3"
        self.bell = Bell()
        self.http = HttpSink()
        self.http.requests = Ringing(self.bell)
        self.smtp = SmtpSink(mails=Ringing(self.bell))
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": "ada"}
        self._environment["ALERTD_LISTEN"] = "off"
        self._running: list[Process] = []
        if config is None:
            (self.config / "milestones").mkdir(parents=True)

    @property
    def ledger(self) -> Path:
        return Path(self.database.removeprefix("sqlite:///"))

    @property
    def requests(self) -> Sequence[Received]:
        return self.http.requests

    @property
    def mails(self) -> Sequence[Mail]:
        return self.smtp.mails

    def hook(self, path: str = "/hook") -> str:
        """A webhook notifier that posts to the sink."""
        return f"{{type: webhook, url: '{self.http.url}{path}', secret: {SECRET}, timeout: 1.5}}"

    def write(self, name: str, text: str) -> None:
        """A file of the configuration, put in place whole."""
        path = self.config / name
        draft = path.with_name(f".{path.name}")
        draft.write_text(text)
        draft.rename(path)

    def write_config(self, *notifiers: str, more: str = "") -> None:
        listed = "".join(f"      - {one}\n" for one in notifiers or (self.hook(),))
        smtp = f"smtp: {{host: 127.0.0.1, port: {self.smtp.port}, from: alertd@example.org}}\n"
        self.write(
            "alertd.yaml",
            "route: {receiver: desk, group_by: [milestone]}\n"
            f"receivers:\n  - name: desk\n    notifiers:\n{listed}{more}{smtp}",
        )

    def write_timeline(self, policy: str = ONE_MINUTE, **deadlines: str) -> None:
        """Timeline ``t`` with a milestone a deadline, each reminded of a minute before it, or as is said."""
        listed = "".join(
            f"  - {{id: {name}, title: It comes about, deadline: {deadline}, source: m}}\n"
            for name, deadline in deadlines.items()
        )
        self.write(
            "milestones/t.yaml",
            "timeline: t\ntitle: A timeline\ntimezone: UTC\n"
            f"policy: {policy}\nsources: {{m: {{who: A. Minister}}}}\nmilestones:\n{listed}",
        )

    async def start(self, **environment: str) -> Process:
        """The daemon, once it is ready."""
        process = await self.spawn(**environment)
        await process.until("daemon.ready")
        return process

    async def spawn(self, **environment: str) -> Process:
        inner = await self._execute("run", **environment)
        process = Process(inner)
        process.listen()
        self._running.append(process)
        return process

    async def command(self, *arguments: str, status: int = 0) -> str:
        """What another process of ``alertd`` prints."""
        inner = await self._execute(*arguments)
        async with asyncio.timeout(LIMIT_S):
            out, err = await inner.communicate()
        assert inner.returncode == status, (out, err)
        return out.decode()

    async def said(self, *arguments: str, **environment: str) -> bytes:
        """What another process of ``alertd`` prints, in whatever way it ends."""
        inner = await self._execute(*arguments, **environment)
        async with asyncio.timeout(LIMIT_S):
            out, err = await inner.communicate()
        return out + err

    async def _execute(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        here = ("--config", str(self.config), "--database", self.database)
        return await asyncio.create_subprocess_exec(
            *self.wrapper, sys.executable, "-m", "alertd", *arguments, *here,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**self._environment, **environment},
        )  # fmt: skip

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a request or a mail makes it true."""
        await self.bell.until(condition, lambda: (self.requests, self.mails, self._said()))

    def _said(self) -> list[Mapping[str, Any]]:
        return [event for process in self._running for event in process.events]

    async def clear(self) -> None:
        for process in self._running:
            if process.inner.returncode is None:
                await process.kill()


@asynccontextmanager
async def a_stage(folder: Path, config: Path | None = None) -> AsyncIterator[Stage]:
    stage = Stage(folder, config)
    async with stage.http, stage.smtp:
        try:
            yield stage
        finally:
            await stage.clear()


def in_a_minute(and_s: float) -> str:
    """A deadline whose minute before is in ``and_s`` seconds, and up to one more."""
    return f"{datetime.now(UTC) + timedelta(seconds=61 + and_s):%Y-%m-%dT%H:%M:%S}"


def reminded_at(deadline: str) -> datetime:
    return datetime.fromisoformat(deadline).replace(tzinfo=UTC) - timedelta(minutes=1)


def text_of(mail: Mail) -> str:
    part = mail.message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def mails_about(mails: Iterable[Mail], milestone: str) -> list[Mail]:
    """Those that lead to its page."""
    return [one for one in mails if f"/milestones/{milestone}" in text_of(one)]


def body(request: Received) -> dict[str, Any]:
    return dict(json.loads(request.body))
