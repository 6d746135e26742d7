"""A ledger in a SQLite file with a row of every kind, and what one damaged value in it does to a daemon."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import httpx

from alertd.core.access import MetricsFor
from alertd.core.config import Config, Definitions
from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.milestones.status import ActionKind
from alertd.core.routing.digest import Digest
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.engine.health import health_facts, read_health
from alertd.engine.rows_apart import RowsApart
from alertd.ports import Ledger, NodeReport, Notifier
from alertd.store import open_ledger
from alertd.web.application import make_app
from alertd.web.metrics import Metrics
from alertd.web.server.context import Site
from alertd.web.server.signing import Signer
from tests.scene import (
    UTC_ZONE,
    Recorder,
    Scene,
    StepClock,
    Telling,
    a_config,
    a_log,
    a_milestone,
    route_to,
    when,
)

DAMAGED_AT = "2026-09-23T10:00"
ENDS = "2026-10-02"
DEADLINE = "2026-09-30"
NAMES = ("t/a", "t/b", "t/c", "u/d", "u/done", "u/known")
WEEKLY = Digest(weekdays=(0, 3), at=time(8), zone=UTC_ZONE)

Told = frozenset[tuple[str, str, str]]
"""Receiver, milestone and offset of what was sent."""


def make_config() -> Config:
    """A receiver for each way in which reminders are grouped: alone, together, and in a digest."""
    route = replace(
        a_config().route,
        group_by=("milestone",),
        routes=(
            route_to("leads", go_on=True, group_by=("timeline",)),
            route_to("weekly", go_on=True, digest=WEEKLY),
            route_to("slow", go_on=True, group_by=("milestone",)),
            route_to("desk", group_by=("milestone",)),
        ),
    )
    return a_config("desk", "leads", "weekly", "slow", "ops", operator="ops", route=route)


def define(scene: Scene) -> None:
    scene.define(*(a_milestone(name, DEADLINE) for name in NAMES))


async def make_template(path: Path) -> None:
    """Make a ledger at the moment at which some reminders are sent, bound or refused, and most to come."""
    ledger = await open_ledger(f"sqlite:///{path}")
    scene = Scene(ledger, at="2026-06-01", config=make_config())
    scene.define(a_milestone("t/a", "2026-09-15"), *(a_milestone(name, DEADLINE) for name in NAMES[1:]))
    await scene.reconcile()
    await scene.until("2026-08-01")
    define(scene)
    await scene.reconcile()
    await scene.act(ActionKind.DONE, "u/done", done_on="2026-08-02")
    await scene.act(ActionKind.ACK, "u/known", until="2026-09-25")
    scene.recorder("slow/hook").answers = [
        Retry(reason="later"),
        Rejected(reason="no"),
        Retry(reason="later"),
    ]
    scene.recorder("desk/hook").answers = [Sent(state={"t/b": {"thread": "1"}})]
    await scene.until("2026-09-22T12:00")
    scene.clock.advance(when("2026-09-23T09:30"))
    while (await scene.binder().bind(scene.now)).more:
        pass
    leases = await scene.lease()
    some = [lease for lease in leases if lease.delivery.receiver in ("desk", "slow")][:2]
    scene.recorder("slow/hook").answers = [Retry(reason="later")]
    await ledger.settle([await scene.deliver(lease) for lease in some])
    await ledger.take_lead("node-0", scene.now, duration=timedelta(seconds=30))
    await ledger.report(NodeReport(node="node-0", version="1", started_at=scene.now, seen_at=scene.now))
    await ledger.close()


def list_places(path: Path) -> list[tuple[str, str, int]]:
    """List each column of each row, as table, column and rowid."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "select name from sqlite_schema where type = 'table'"
            " and name not like 'sqlite_%' and name <> 'alembic_version' order by name"
        ).fetchall()
        return [
            (table, column[1], rowid)
            for (table,) in tables
            for (rowid,) in connection.execute(f"select rowid from {table} order by rowid").fetchall()
            for column in connection.execute(f"pragma table_info({table})").fetchall()
        ]


def damage(path: Path, place: tuple[str, str, int], value: object) -> bool:
    """Write a value into one column of one row. Returns whether SQLite takes it there."""
    table, column, rowid = place
    with closing(sqlite3.connect(path)) as connection, connection:
        if value == ZONE_GONE:
            old = connection.execute(f"select {column} from {table} where rowid = ?", (rowid,)).fetchone()[0]
            if not isinstance(old, str) or '"UTC"' not in old:
                return False
            value = old.replace('"UTC"', '"Nowhere/Gone"')
        target = "cast(? as text)" if isinstance(value, bytes) and value.startswith(b"\xff") else "?"
        try:
            connection.execute(f"update {table} set {column} = {target} where rowid = ?", (value, rowid))
        except sqlite3.IntegrityError:
            return False
    return True


ZONE_GONE = object()


def find_touched(path: Path, place: tuple[str, str, int]) -> frozenset[tuple[str, str]]:
    """Find whom a row concerns, before it is damaged: pairs of receiver and milestone; "" is any."""
    table, _, rowid = place
    carried = "select distinct owed.receiver, owed.milestone from member join owed on owed.key = member.key"
    with closing(sqlite3.connect(path)) as connection:
        match table:
            case "milestone":
                query = "select '', id from milestone where rowid = ?"
            case "owed":
                query = "select receiver, milestone from owed where rowid = ?"
            case "delivery":
                query = f"{carried} where member.delivery = (select id from delivery where rowid = ?)"
            case "member":
                query = f"{carried} where member.rowid = ?"
            case _:
                return frozenset()
        return frozenset(connection.execute(query, (rowid,)).fetchall())


@dataclass
class Run:
    """A daemon, turned by hand on a copy of the ledger.

    Attributes:
        told: what was sent.
        notices: the notices that the operator got.
        failures: readers that did not answer.
    """

    folder: Path
    told: Told = frozenset()
    notices: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unreadable: tuple[str, ...] = ()
    sent: list[Telling] = field(default_factory=list)

    async def play(self, path: Path, *, mend: Any = None) -> Run:
        """Play to :data:`ENDS`."""
        ledger = await open_ledger(f"sqlite:///{path}")
        try:
            await self._play(ledger, mend)
        finally:
            await ledger.close()
        return self

    async def _play(self, ledger: Ledger, mend: Any) -> None:
        clock = StepClock(when(DAMAGED_AT))
        scene = Scene(ledger, at=DAMAGED_AT, config=make_config())
        define(scene)
        log, self.events = a_log()
        config = scene.config
        definitions = Definitions(config=config, timelines=scene.timelines, fingerprint="d")
        deps = Dependencies(
            ledger=ledger,
            clock=clock,
            log=log,
            load=lambda: definitions,
            signature=lambda: 0,
            build=lambda config: self._build(config, clock),
            node="node-1",
        )
        daemon, apart = Daemon(deps), RowsApart(deps, lambda error: self.failures.append(str(error)))
        await daemon.start()
        end, rounds = when(ENDS), 0
        while clock.at < end:
            rounds += 1
            assert rounds < 400, "it spins"
            for _ in range(20):
                next_at = await daemon.turn()
                await daemon.idle()
                if next_at is None or next_at > clock.at:
                    break
            else:
                # Some work is due and is not done: only a delivery that another node holds may be.
                next_at = clock.at + timedelta(minutes=5)
            if rounds == 1:
                await apart.look(config)
                if mend is not None:
                    await mend()
                    await apart.look(config)
                self.unreadable = tuple(map(str, apart.rows))
                await self._read(ledger, daemon, clock, log, definitions)
                await daemon._planner.reconcile_again(reconsider=False)
                continue
            clock.advance(min(end, next_at or end))
        await daemon.turn()
        await daemon.idle()
        self.told = frozenset(
            (one.message.receiver, item.milestone, item.offset)
            for one in self.sent
            for item in one.message.items
            if item.keys
        )
        self.notices = [
            "\n".join((one.message.subject, *one.message.lines))
            for one in self.sent
            if one.channel == "ops/hook"
        ]

    def _build(self, config: Config, clock: StepClock) -> Mapping[str, Notifier]:
        return {
            f"{name}/hook": Recorder(clock=clock.now, channel=f"{name}/hook", log=self.sent)
            for name in config.receivers
        }

    async def _read(
        self, ledger: Ledger, daemon: Daemon, clock: StepClock, log: Any, definitions: Definitions
    ) -> None:
        health = await read_health(ledger, clock.at)
        json.dumps(health_facts(health))
        config = make_config()
        web = replace(config.web, metrics=MetricsFor.ALL, metrics_per_milestone=True)
        config = replace(config, web=web)
        site = Site(
            ledger=ledger,
            clock=clock,
            log=log,
            node="node-1",
            started_at=clock.at,
            definitions=lambda: replace(definitions, config=config),
            daemon_status=lambda: daemon.status,
            find=lambda name: self.folder / name,
            signer=Signer(lambda: b"a secret of the tests, not of anybody else"),
            metrics=Metrics(clock.at),
        )
        transport = httpx.ASGITransport(app=make_app(site), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            pages = [
                "/",
                "/deliveries",
                "/feeds/all.ics",
                "/feeds/all.atom",
                "/api/v1/milestones",
                "/api/v1/deliveries",
                "/api/v1/status",
                "/metrics",
                "/healthz",
                *(f"/milestones/{name}" for name in NAMES),
                *(f"/api/v1/milestones/{name}" for name in NAMES),
            ]
            for page in pages:
                answer = await client.get(page)
                if answer.status_code != 200:
                    self.failures.append(f"{page}: {answer.status_code}")


def copy(template: Path, folder: Path) -> Path:
    """Copy the template into a folder."""
    path = folder / "ledger.sqlite3"
    for old in folder.glob("ledger.sqlite3*"):
        old.unlink()
    shutil.copy(template, path)
    return path
