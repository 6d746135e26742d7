"""The real daemon under an attack: reminders fall due for a good receiver, and its health is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from alertd.core.access import SCOPES
from alertd.testing import HttpSink
from alertd.web.server.credentials import add, new_token, new_user
from tests.e2e.stage import ONE_MINUTE, Bell, Process, Ringing, Stage, a_stage
from tests.torture.nodes import ROOT
from tests.web.stage import NO_TLS, PASSWORD

DESCRIPTORS = 1024
"""How many files the daemon may open: what a shell gives it, and less than what the unit gives it."""

LEASH = (sys.executable, str(ROOT / "tests/torture/leash.py"), "-")
"""Ends the daemon with this process, also when this process is killed."""

FIRST_DUE_S = 4
DUE_FOR_S = 75
"""A reminder falls due for the good receiver in each second of this time."""

LATE_S = 5.0
"""How late a reminder may be while an attack goes on, and how long a health check may take."""

HELD_FOR = 3
"""How many reminders fall due while an attack is in force."""

LOOK_EVERY_S = 0.1
LIMIT_S = 60.0
"""How long an attack may take."""


class Arrivals(Ringing):
    """The requests to the good receiver and to the operator.

    Attributes:
        times: when each of them arrived.
    """

    def __init__(self, bell: Bell) -> None:
        super().__init__(bell)
        self.times: list[float] = []

    def append(self, item: Any) -> None:
        self.times.append(time.time())
        super().append(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one attack has shown.

    Attributes:
        figures: what was measured, for the table.
        failures: what did not hold.
    """

    name: str
    figures: Sequence[str]
    failures: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an attack needs in the files before the daemon starts.

    Attributes:
        receivers: the notifier of each further receiver, which gets every reminder.
        files: the text of each further file, by its path in the configuration folder.
        sink: the server of the further receivers.
    """

    receivers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    sink: HttpSink | None = None


Prepare = Callable[[Stage, AsyncExitStack], Awaitable[Setting]]


async def prepare_nothing(stage: Stage, cleanups: AsyncExitStack) -> Setting:
    return Setting()


@dataclass(slots=True, kw_only=True)
class Scene:
    """A daemon that is under attack.

    Attributes:
        amount: how much of it: connections, requests, milestones.
        token: a token that may read.
        descriptors: the most files that the daemon had open.
        late_s: how late a reminder may be, and how long a health check may take.
        asked: how many health checks were answered.
        slowest_s: how long the slowest of them took.
    """

    stage: Stage
    arrivals: Arrivals
    daemon: Process
    port: int
    token: str
    amount: int
    setting: Setting
    due: Mapping[str, float]
    late_s: float
    figures: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    descriptors: int = 0
    asked: int = 0
    slowest_s: float = 0.0

    def demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.failures.append(otherwise)

    async def reload(self) -> int:
        """Read the files again, and return the exit status of the command."""
        inner = await self.stage._execute("reload", "--wait")
        async with asyncio.timeout(LIMIT_S):
            await inner.communicate()
        return inner.returncode or 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", verify=NO_TLS, timeout=LIMIT_S)

    async def ask(self, path: str, *, known: bool) -> int:
        """The status of an answer, for somebody who has a token or for anybody."""
        headers = {"Authorization": f"Bearer {self.token}"} if known else {}
        async with self.client() as client:
            return (await client.get(path, headers=headers)).status_code

    async def act_anonymously(self) -> int:
        async with self.client() as client:
            answer = await client.post("/milestones/t/m0/done", json={"by": "nobody", "why": "attack"})
        return answer.status_code

    async def probe(self) -> None:
        """Ask for the health again and again, as a liveness probe does, and count the open files."""
        while True:
            began = time.monotonic()
            status = await self._ask_health()
            took_s = time.monotonic() - began
            self.demand(status == 200, f"/healthz answered {status or 'nothing'} after {took_s:.1f} s")
            self.asked += 1
            self.slowest_s = max(self.slowest_s, took_s)
            with suppress(OSError):
                self.descriptors = max(self.descriptors, len(os.listdir(f"/proc/{self.daemon.inner.pid}/fd")))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask_health(self) -> int:
        """The status, on a new connection; 0 when there is no answer in time."""
        try:
            async with asyncio.timeout(self.late_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return 0
        return int(line.split()[1]) if line.count(b" ") >= 2 else 0

    async def hold(self, begun: float) -> None:
        """Wait for reminders that fall due from now on, and see how late those since the beginning were."""
        in_force = time.time()
        due = sorted((at, name) for name, at in self.due.items() if at >= begun)
        later = [name for at, name in due if at >= in_force][:HELD_FOR]
        if len(later) < HELD_FOR:
            self.failures.append("the attack took so long to begin that nothing fell due in it")
            return
        expected = [(at, name) for at, name in due if at <= self.due[later[-1]]]
        await self.happens(
            lambda: all(name in self.arrived() for _, name in expected), 2 * self.late_s + HELD_FOR
        )
        arrived = self.arrived()
        missing = [name for _, name in expected if name not in arrived]
        self.demand(not missing, f"not reminded of {missing[:3]} in time")
        late_s = max((arrived[name] - at for at, name in expected if name in arrived), default=0.0)
        self.demand(late_s <= self.late_s, f"a reminder was {late_s:.1f} s late")
        self.figures.append(f"{len(expected)} reminders, at most {late_s:.2f} s late")

    def arrived(self) -> dict[str, float]:
        """When the good receiver was first reminded of each milestone."""
        found: dict[str, float] = {}
        for at, request in zip(self.arrivals.times, self.arrivals, strict=True):
            if request.path == "/good":
                for item in json.loads(request.body)["data"]["items"]:
                    found.setdefault(item["milestone"], at)
        return found

    async def happens(self, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
        """Whether the condition holds within the time."""
        until = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True


Run = Callable[[Scene], AsyncIterator[None]]
"""Attacks up to its only ``yield``, at which the attack is in force; then looks at what became of it."""


async def attack(name: str, run: Run, amount: int, folder: Path, *, prepare: Prepare, late_s: float) -> Row:
    """Start a daemon, attack it, and return what was measured. The daemon must stop well afterwards."""
    began = time.monotonic()
    async with a_stage(folder) as stage, AsyncExitStack() as cleanups:
        stage.http.requests = arrivals = Arrivals(stage.bell)
        stage.wrapper = (*LEASH, "/bin/sh", "-c", 'ulimit -n "$0"; exec "$@"', str(DESCRIPTORS))
        setting = await prepare(stage, cleanups)
        token, due = _write(stage, setting)
        daemon = await stage.start(ALERTD_LISTEN="127.0.0.1:0")
        opened = await daemon.until("listener.opened")
        port = int(opened["addresses"][0].rpartition(":")[2])
        scene = Scene(
            stage=stage,
            arrivals=arrivals,
            daemon=daemon,
            port=port,
            token=token,
            amount=amount,
            setting=setting,
            due=due,
            late_s=late_s,
        )
        probe = asyncio.create_task(scene.probe())
        cleanups.callback(probe.cancel)
        try:
            async with asyncio.timeout(LIMIT_S):
                begun = time.time()
                async with asynccontextmanager(run)(scene):
                    await scene.hold(begun)
        except TimeoutError:
            scene.failures.append(f"not over within {LIMIT_S:g} s")
        probe.cancel()
        scene.demand(scene.asked > 0, "no health check was answered")
        scene.figures.append(f"{scene.asked} health checks, the slowest {scene.slowest_s:.2f} s")
        scene.demand(await daemon.stop() == 0, "the daemon did not stop well")
        scene.demand(not daemon.count("daemon.failed"), "the loop failed")
    return Row(
        name=name,
        figures=scene.figures,
        failures=list(dict.fromkeys(scene.failures))[:5],
        seconds=time.monotonic() - began,
    )


def _write(stage: Stage, setting: Setting) -> tuple[str, dict[str, float]]:
    """Write the files. Returns a token that may read, and when each reminder falls due."""
    token, credential = new_token("ada", SCOPES["read"])
    add(stage.config / "tokens", credential)
    add(stage.config / "users", new_user("bob", SCOPES["act"], PASSWORD))
    for path, text in setting.files.items():
        stage.write(path, text)
    routes = "".join(
        f"    - {{receiver: {name}, group_by: [milestone], continue: true}}\n"
        for name in (*setting.receivers, "good")
    )
    own = {"good": f"{{type: webhook, url: '{stage.http.url}/good'}}", "ops": stage.hook("/ops")}
    listed = "".join(
        f"  - {{name: {name}, notifiers: [{text}]}}\n" for name, text in {**setting.receivers, **own}.items()
    )
    stage.write(
        "alertd.yaml",
        f"route:\n  receiver: ops\n  routes:\n{routes}receivers:\n{listed}operator: ops\n"
        "web: {auth: {tokens_file: tokens, users_file: users}}\n",
    )
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=FIRST_DUE_S)
    instants = {f"m{second}": begin + timedelta(seconds=second) for second in range(DUE_FOR_S)}
    deadlines = {name: f"{at + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}" for name, at in instants.items()}
    stage.write_timeline(ONE_MINUTE, **deadlines)
    return token, {f"t/{name}": at.timestamp() for name, at in instants.items()}
