"""Runs real commands on real folders and a real SQLite ledger, for the tests of the command line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from typer.testing import CliRunner

from alertd import app as composition
from alertd.cli import make_app
from alertd.core.ledger.outcome import Outcome, Sent
from alertd.core.message.message import Message
from alertd.engine.binding import Binder
from alertd.engine.delivery import ClockReading, Dispatcher
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions
from alertd.ports import LEASE_FOR, Ledger
from alertd.system.settings import read_settings

GOLDEN = Path(__file__).parent.parent / "golden" / "cli"
SHIPPED = Path(__file__).parent.parent.parent / "config"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def run(*args: str | Path, columns: int = 80, **env: str) -> Ran:
    """Run the command ``alertd`` in this process, without a terminal and without colour.

    Args:
        env: environment variables for the command.
    """
    surroundings: Mapping[str, str | None] = {
        "COLUMNS": str(columns),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "ALERTD_CONFIG": None,
        "ALERTD_DATABASE": None,
        "USER": "ada",
        "SUDO_USER": None,
        "XDG_STATE_HOME": "/nonexistent",
        **env,
    }
    result = CliRunner().invoke(make_app(), [str(arg) for arg in args], env=surroundings)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(code=result.exit_code, out=result.stdout, err=result.stderr)


def write_folder(folder: Path, config: str, **timelines: str) -> Path:
    """Write a configuration folder and return it. Each timeline is the text of ``milestones/<name>.yaml``."""
    (folder / "milestones").mkdir(parents=True, exist_ok=True)
    (folder / "alertd.yaml").write_text(config, encoding="utf-8")
    for name, text in timelines.items():
        (folder / "milestones" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def assert_golden(name: str, text: str) -> None:
    """Compare the text with ``tests/golden/cli/<name>``. ALERTD_UPDATE_GOLDEN=1 rewrites the file."""
    path = GOLDEN / name
    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    assert text == path.read_text(encoding="utf-8")


@dataclass(slots=True, kw_only=True)
class Staged:
    """A ledger on which daemons run at instants that the test chooses.

    Attributes:
        outcomes: the outcome of every send, by channel. A channel without an entry accepts all messages.
    """

    folder: Path
    url: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def args(self) -> tuple[str, ...]:
        return ("--config", str(self.folder), "--database", self.url)

    def with_ledger(self, act: Callable[[Ledger], Awaitable[T]]) -> T:
        """Call ``act`` with the open ledger and return its result."""

        async def acting() -> T:
            ledger = await composition.open_ledger(read_settings(database=self.url))
            try:
                return await act(ledger)
            finally:
                await ledger.close()

        return asyncio.run(acting())

    def daemon_at(self, now: datetime) -> None:
        """Load the files and send what is due, as a daemon does whose clock shows ``now``."""

        async def working(ledger: Ledger) -> None:
            definitions = composition.load_definitions(read_settings(config=self.folder))
            assert definitions.config is not None
            await reconcile(ledger, definitions, PassOptions(now=now))
            channels = [
                f"{receiver.name}/{spec.name}"
                for receiver in definitions.config.receivers.values()
                for spec in receiver.notifiers
            ]
            clock, binder = _StoppedClock(now), Binder(ledger, definitions.config)
            dispatcher = Dispatcher(
                clock=clock,
                config=definitions.config,
                notifiers={channel: _Scripted(self.outcomes.get(channel, Sent())) for channel in channels},
            )
            while (await binder.bind(now)).more:
                pass
            for lease in await ledger.lease("test", now, duration=LEASE_FOR, limit=100, per_channel=100):
                await ledger.settle([await dispatcher.deliver(lease, ClockReading.take(clock))])

        self.with_ledger(working)


@dataclass(frozen=True, slots=True)
class _StoppedClock:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass(frozen=True, slots=True)
class _Scripted:
    outcome: Outcome

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        return self.outcome

    async def aclose(self) -> None:
        pass


def staged(tmp_path: Path, folder: Path) -> Staged:
    """Return a ledger in the test's temporary folder. No daemon has run on it yet."""
    return Staged(folder=folder, url=f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


MINUTE = timedelta(minutes=1)
