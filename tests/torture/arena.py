"""One scenario's surroundings: its files, its ledger, its nodes, its sinks; and what is done to them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from alertd.testing import SmtpSink
from tests.torture import promised
from tests.torture.audit import Evidence, Verdict, verdict
from tests.torture.bell import Bell
from tests.torture.faults import Fault, Kind
from tests.torture.http_sink import HttpSink
from tests.torture.ledger import books, open_rows
from tests.torture.mail_sink import mail_sink
from tests.torture.nodes import Node
from tests.torture.receipts import Receipt, Receipts, now_s

LEASE_S = 4.0
LONG_LEASE_S = 20.0
"""Where no node is killed: leases are not what is tried there."""

HOOK_TIMEOUT_S = 2.0
OPERATOR, FALLBACK = "ops", "spare"
NOTHING_COMES_S = 4.0
HOLDS_S = 0.03
"""How long the sinks of killed nodes think about their answers, so that there is something in flight."""

FAIR_S = 2.0
"""How late a receiver may be told while another one fails, in the middle."""

FAIR_OF = 20
MANY_EDITS = 10

RETRIED_S = 9.0
"""How late at the most: a machine under load may keep it from answering in time, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it: rounds of faults, milestones, and how long a receiver fails."""

    rounds: int
    milestones: int
    fails_s: float = 4.0


@dataclass(slots=True, kw_only=True)
class Arena:
    """See the module; made by :func:`an_arena`.

    Attributes:
        started: all nodes, also those that a scenario has taken away.
        faults: what was done; a scenario adds to it.
        ahead: when the nodes' clock was set how far ahead, in seconds.
        loses_commits: the scenario's ledger may lose what was committed.
        lease_s: how long nodes that are started take a delivery for.
        hook_timeout_s: how long a receiver has to answer.
        may_edit: the files are edited beside the scenario. It is turned off while an edit would undo a fault.
        counted: what the scenario counts for its row, by name.
        demands: what a scenario found wrong by itself.
    """

    folder: Path
    rng: random.Random
    receipts: Receipts
    bell: Bell
    http: HttpSink
    smtp: SmtpSink
    database: str
    environment: dict[str, str]
    nodes: list[Node] = field(default_factory=list)
    started: list[Node] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    timelines: list[promised.Timeline] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    ahead: list[tuple[float, float]] = field(default_factory=list)
    loses_commits: bool = False
    lease_s: float = LEASE_S
    hook_timeout_s: float = HOOK_TIMEOUT_S
    may_edit: bool = True
    counted: dict[str, int] = field(default_factory=dict)
    demands: list[str] = field(default_factory=list)
    cleanups: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    # -- what is promised

    def configure(self, receivers: dict[str, str] | None = None, fallback: str = "") -> None:
        """Write ``alertd.yaml``: each receiver gets everything.

        Args:
            receivers: the notifier of each, by name; by default ``desk``, a message a milestone, and
                ``leads``, a message for whatever of a timeline is due at once.
            fallback: the notifier of the fallback receiver, which is called ``spare``.
        """
        given = receivers or {"desk": self.hook("desk"), "leads": self.hook("leads")}
        self.receivers = list(given)
        routes = "".join(
            f"    - {{receiver: {name}, group_by: [{'timeline' if name == 'leads' else 'milestone'}], "
            "continue: true}\n"
            for name in given
        )
        more = f"fallback_receiver: {FALLBACK}\n" if fallback else ""
        own = {OPERATOR: self.hook(OPERATOR), **({FALLBACK: fallback} if fallback else {})}
        every = {**given, **own}
        listed = "".join(f"  - name: {name}\n    notifiers: [{text}]\n" for name, text in every.items())
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "alertd.yaml").write_text(
            f"route:\n  receiver: {OPERATOR}\n  routes:\n{routes}receivers:\n{listed}"
            f"operator: {OPERATOR}\n{more}"
            f"smtp: {{host: 127.0.0.1, port: {self.smtp.port}, from: alertd@example.org, starttls: false}}\n",
            encoding="utf-8",
        )

    def hook(self, path: str, origin: str = "") -> str:
        return f"{{type: webhook, url: '{origin or self.http.url}/{path}', timeout: {self.hook_timeout_s:g}}}"

    def promise(self, count: int, span_s: float, begin: datetime | None = None, name: str = "t") -> None:
        """Write definitions of which ``count`` reminders fall due for each receiver, within ``span_s``."""
        begin = begin or promised.soon(4)
        made = promised.timelines(self.rng, count=count, begin=begin, span_s=span_s, name=name)
        promised.write(self.config, made)
        self.timelines.extend(made)

    def owed(self) -> dict[tuple[str, str], float]:
        return {key: at.timestamp() for key, at in promised.owed(self.timelines, self.receivers).items()}

    # -- nodes

    def node(self, name: str, **environment: str) -> Node:
        arguments = ("--config", str(self.config), "--database", self.database)
        made = Node(
            name,
            arguments,
            {**self.environment, "TORTURE_LEASE_S": str(self.lease_s), **environment},
            self.bell,
        )
        self.nodes.append(made)
        self.started.append(made)
        made.start()
        return made

    def pids(self) -> list[int]:
        return [node.pid for node in self.nodes if node.pid]

    def node_of(self, pid: int) -> Node | None:
        return next((node for node in self.nodes if pid and node.pid == pid), None)

    async def kill(self, node: Node) -> None:
        """SIGKILL, and wait for its end. Nothing when it has no process at the moment."""
        begins = now_s()
        pid = node.signal(signal.SIGKILL)
        if pid:
            self.faults.append(Fault(kind=Kind.KILLED, begins=begins, ends=now_s(), pid=pid))
            self.count("kills")
            await node.ended(pid)

    async def trapped(self, phase: str, after: int, limit_s: float) -> Receipt | None:
        """The ``after``-th request from now on, when it is in that phase; None: there was none in time.

        Called from within, so that whoever asks is told before anything else happens.
        """
        caught: list[Receipt] = []
        seen = 0

        def trap(receipt: Receipt, now: str) -> None:
            nonlocal seen
            seen += now == phase
            if seen == after and not caught:
                caught.append(receipt)
                self.bell.ring()

        self.http.trap = trap
        try:
            await self.bell.happens(limit_s, lambda: bool(caught))
        finally:
            self.http.trap = None
        return caught[0] if caught else None

    async def moment(self, longest_s: float) -> Receipt | None:
        """A random one: at any time, or just before or after the answer to some request, which it returns."""
        if self.rng.random() < 0.4:
            await self.passes(self.rng.uniform(0.0, longest_s))
            return None
        phase = self.rng.choice(("read", "answered"))
        caught = await self.trapped(phase, self.rng.randint(1, 10), NOTHING_COMES_S)
        if self.rng.random() < 0.5:
            await self.passes(self.rng.uniform(0.0, 0.03))
        return caught

    async def passes(self, seconds: float) -> None:
        """How long a fault lasts, or until when it is put off: never what a result waits for."""
        await asyncio.sleep(seconds)

    # -- the end

    async def finish(self, limit_s: float = 120.0) -> None:
        """Wait until all that was owed is accepted, or given up and in the ledger as such.

        Whether that came in time or not, the verdict says what is missing.
        """
        ahead = self.ahead[-1][1] if self.ahead else 0.0
        due_in_s = max(self.owed().values()) - ahead - now_s()
        await self.bell.happens(max(due_in_s, 0.0) + limit_s, self._is_all_seen_to)

    def _is_all_seen_to(self) -> bool:
        # The sinks first: that costs less than asking the ledger each time.
        if self.owed().keys() - self.receipts.accepted - self._given_up():
            return False
        return open_rows(self.database) == 0

    def _given_up(self) -> set[tuple[str, str]]:
        return {
            (event["channel"].partition("/")[0], name)
            for node in self.nodes
            for event in node.events("delivery.died")
            for name in event["milestones"]
        }

    async def stop(self) -> None:
        """All nodes end by themselves, well."""
        for node, status in zip(
            self.nodes, await asyncio.gather(*(node.stop() for node in self.nodes)), strict=True
        ):
            self.demand(status == 0, f"node {node.name} ended with status {status}: {node.garbage()[-3:]}")
        failed = [event for node in self.nodes for event in node.events("daemon.failed")]
        self.demand(not failed, f"daemon.failed: {failed[:1]}")
        broken = [event for node in self.nodes for event in node.events("notifier.failed")]
        self.demand(not broken, f"notifier.failed: {broken[:1]}")

    def verdict(self) -> Verdict:
        found = verdict(
            Evidence(
                owed=self.owed(),
                receipts=[one for one in self.receipts.read() if one.receiver != OPERATOR or one.text],
                faults=self.faults,
                books=books(self.database),
                lease_s=self.lease_s,
                ahead=self.ahead,
                loses_commits=self.loses_commits,
                fallback=FALLBACK,
            )
        )
        found.failures.extend(self.demands)
        return found

    def demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.demands.append(otherwise)

    def count(self, name: str, by: int = 1) -> None:
        self.counted[name] = self.counted.get(name, 0) + by

    def count_reloads(self) -> None:
        """Count the reloads beside the scenario; a long one in which there was none is no test of them."""
        reloads = sum(node.count_reloads() for node in self.started)
        self.count("reloads", reloads)
        edits = self.counted.pop("edits", 0)
        self.demand(reloads > 0 or edits < MANY_EDITS, f"{edits} edits, and nothing was reloaded")

    def fair(self, receiver: str) -> None:
        """Nobody else's failure has delayed this receiver."""
        firsts: dict[str, float] = {}
        for one in self.receipts.read():
            for name in one.milestones if one.receiver == receiver and one.accepted else ():
                firsts.setdefault(name, one.at)
        began = max(
            datetime.fromisoformat(str(event["timestamp"])).timestamp()
            for event in self.events("daemon.ready")
        )
        owed = self.owed()
        lates = sorted(at - max(began, owed[receiver, name]) for name, at in firsts.items())
        middle, worst = lates[len(lates) // 2], lates[-1]
        fair = middle <= FAIR_S and worst <= RETRIED_S
        # Of a few, the middle says more about the machine.
        self.demand(
            fair or len(lates) < FAIR_OF,
            f"{receiver} was told {middle:.1f} to {worst:.1f} s late while another one failed",
        )

    def keep(self, folder: Path) -> None:
        """Copy what there is to look at: the files, receipts, what the nodes said, what was done to them."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.config, folder / "config", dirs_exist_ok=True)
        shutil.copy(self.folder / "receipts.jsonl", folder)
        (folder / "faults").write_text("".join(f"{fault}\n" for fault in self.faults))
        for node in self.nodes:
            lines = [*node.garbage(), *(json.dumps(event) + "\n" for event in node.events())]
            (folder / f"node-{node.name}").write_text("".join(lines))

    def events(self, name: str) -> Sequence[dict[str, object]]:
        return [event for node in self.nodes for event in node.events(name)]


@asynccontextmanager
async def an_arena(seed: str, within: Path | None = None) -> AsyncIterator[Arena]:
    """A new one in a folder of its own, of which nothing is left."""
    folder = Path(tempfile.mkdtemp(prefix="alertd-torture-", dir=within))
    # PostgreSQL runs as somebody else, in a folder below.
    folder.chmod(0o711)  # noqa: ASYNC240  at the beginning, when nothing else goes on
    bell = Bell()
    receipts = Receipts(folder / "receipts.jsonl", bell)
    smtp = mail_sink(receipts)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "USER": "torture", "ALERTD_LOG_FORMAT": "json",
        "ALERTD_LISTEN": "off",
    }  # fmt: skip
    http = HttpSink(receipts)
    try:
        async with http, smtp, AsyncExitStack() as cleanups:
            arena = Arena(
                folder=folder,
                rng=random.Random(seed),
                receipts=receipts,
                bell=bell,
                http=http,
                smtp=smtp,
                database=f"sqlite:///{folder}/ledger.sqlite3",
                environment=environment,
                cleanups=cleanups,
            )
            http.watch(arena.pids)
            try:
                yield arena
            finally:
                for node in arena.nodes:
                    await node.clear()
    finally:
        receipts.close()
        shutil.rmtree(folder, ignore_errors=True)
