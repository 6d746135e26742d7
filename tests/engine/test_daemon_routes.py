"""The real daemon on real files, under a virtual clock: escalation, acknowledgement, digests, quiet hours."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from alertd import app
from alertd.core.config import Config
from alertd.core.message.message import Kind
from alertd.core.milestones.status import Action, ActionKind
from alertd.definitions.files import read_signature
from alertd.engine.actions import act
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.ports import Ledger, Notifier
from alertd.store import open_ledger
from tests.docs_pages import ROOT, blocks
from tests.scene import Recorder, StepClock, Telling, a_log, when

HOWTO = ROOT / "docs" / "howto"
TIMELINE = """\
timeline: t
title: T
timezone: Asia/Baghdad
milestones:
  - {id: a, title: It comes about, deadline: 2026-09-30}
"""
MOST_STEPS = 500


@dataclass(slots=True, kw_only=True)
class House:
    """A folder, a SQLite file, and daemons that come and go on them."""

    folder: Path
    clock: StepClock
    told: list[Telling] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/ledger.sqlite3"

    def write(self, config: str, timeline: str = TIMELINE) -> None:
        (self.folder / "milestones").mkdir(exist_ok=True)
        (self.folder / "alertd.yaml").write_text(config, encoding="utf-8")
        (self.folder / "milestones" / "t.yaml").write_text(timeline, encoding="utf-8")

    def build(self, config: Config) -> Mapping[str, Notifier]:
        return {
            f"{receiver.name}/{spec.name}": Recorder(
                clock=self.clock.now, channel=f"{receiver.name}/{spec.name}", log=self.told
            )
            for receiver in config.receivers.values()
            for spec in receiver.notifiers
        }

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[tuple[Daemon, Ledger]]:
        """One process: it starts, and ends without a word."""
        ledger = await open_ledger(self.url)
        log, _ = a_log()
        made = Daemon(
            Dependencies(
                ledger=ledger,
                clock=self.clock,
                log=log,
                load=app.make_loader(self.folder),
                signature=lambda: read_signature(self.folder),
                build=self.build,
                node="node-1",
            )
        )
        await made.start()
        try:
            yield made, ledger
        finally:
            await ledger.close()

    async def play(self, daemon: Daemon, until: str) -> None:
        """Go from instant to instant at which there is something to do."""
        end = when(until)
        for _ in range(MOST_STEPS):
            await daemon.turn()
            await daemon.idle()
            next_at = await daemon.next_at(self.clock.now())
            if next_at is None or next_at > end:
                self.clock.advance(end)
                return
            self.clock.advance(max(next_at, self.clock.now() + timedelta(microseconds=1)))
        raise AssertionError("it never ends")

    async def act(self, ledger: Ledger, kind: ActionKind, until: str = "", done_on: str = "") -> None:
        config = app.make_loader(self.folder)().config
        assert config is not None
        action = Action(
            kind=kind,
            milestone="t/a",
            at=self.clock.now(),
            by="ann",
            until=when(until) if until else None,
            done_on=date.fromisoformat(done_on) if done_on else None,
        )
        await act(ledger, config, action)

    def lines(self, since: str = "2000-01-01") -> list[str]:
        return sorted(line for one in self.told if one.at >= when(since) for line in one.lines())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(folder=tmp_path, clock=StepClock(when("2026-06-29")))


def block(page: str, number: int) -> str:
    return blocks(HOWTO / page, "yaml")[number].body


async def test_escalation_acknowledgement_and_nag(house: House) -> None:
    """From the channel to the owner to the boss; silence while it is acknowledged; then again."""
    house.write(block("escalate.md", 0))
    async with house.daemon() as (daemon, ledger):
        await house.play(daemon, "2026-10-08T12:00")
        await house.act(ledger, ActionKind.ACK, "2026-10-25T12:00")
        await house.play(daemon, "2026-10-16")
    before = house.lines()
    async with house.daemon() as (daemon, ledger):
        await house.play(daemon, "2026-11-03")

    assert before == [
        "2026-07-02T06:00 channel t/a -90d",
        "2026-08-31T06:00 channel t/a -30d",
        "2026-09-23T06:00 owner t/a -7d",
        "2026-09-29T06:00 owner t/a -1d",
        "2026-09-30T06:00 owner t/a 0d",
        "2026-10-01T06:00 owner t/a +1d",
        "2026-10-07T06:00 boss t/a +7d",
        "2026-10-07T06:00 owner t/a +7d",
    ]
    # What fell due on 14 and 21 October was held back, of it the last is said, and the nag goes on.
    assert house.lines(since="2026-10-16") == [
        "2026-10-25T12:00 boss t/a +21d",
        "2026-10-25T12:00 owner t/a +21d",
        "2026-10-28T06:00 boss t/a +28d",
        "2026-10-28T06:00 owner t/a +28d",
    ]
    assert all(
        one.message.items[0].late.endswith("4 days late: acknowledged by ann.") for one in house.told[-4:-2]
    )


async def test_an_incident_follows_without_a_route_for_it(house: House) -> None:
    """Opened by what is overdue, acknowledged, told of the rest when that ends, resolved; not so the desk."""
    page = [one.body for one in blocks(HOWTO / "other-services.md", "yaml")]
    (config,) = (one for one in page if "pagerduty" in one)
    house.write(config)
    async with house.daemon() as (daemon, ledger):
        await house.play(daemon, "2026-10-02")
        await house.act(ledger, ActionKind.ACK, "2026-10-12")
        await house.play(daemon, "2026-10-03")
        await house.play(daemon, "2026-10-15T12:00")
        await house.act(ledger, ActionKind.DONE, done_on="2026-10-15")
        await house.play(daemon, "2026-10-16")

    told = [line.split(" ", 1) for line in house.lines(since="2026-10-01")]
    assert [line for at, line in told if line.startswith("on-call")] == [
        "on-call t/a +1d",
        "on-call t/a acknowledged",
        "on-call t/a +7d",
        "on-call t/a +14d",
        "on-call t/a done",
    ]
    assert not [line for _, line in told if line.startswith("desk") and "acknowledged" in line]


async def test_digests_of_a_daemon_that_was_off(house: House) -> None:
    """Mondays at eight in Berlin, what is due at once; five Mondays without a daemon are one digest."""
    house.write(block("digests.md", 1))
    async with house.daemon() as (daemon, _):
        await house.play(daemon, "2026-09-22")
    told = [f"{one.at:%a %m-%dT%H:%M} {one.message.kind}" for one in house.told]
    house.told.clear()
    house.clock.advance(when("2026-10-29T10:00"))
    async with house.daemon() as (daemon, _):
        await house.play(daemon, "2026-11-03")

    assert told == ["Mon 07-06T09:00 digest", "Mon 08-31T09:00 digest", "Mon 09-21T09:00 digest"]
    assert {f"{one.at:%a %m-%dT%H:%M} {one.message.receiver} {one.message.kind}" for one in house.told} == {
        "Thu 10-29T10:00 boss single",
        "Thu 10-29T10:00 desk digest",
        "Mon 11-02T09:00 desk digest",
    }
    first = next(one.message for one in house.told if one.message.kind is Kind.DIGEST)
    assert [(item.section, item.offset) for item in first.items] == [("Overdue", "+28d")]
    assert first.intro.endswith("due on 28 September 2026, 09:00 (UTC) and comes 31 days late.")


async def test_quiet_hours_of_a_receiver(house: House) -> None:
    """At night and on the weekend nothing comes; what falls due then comes after, the exempt at once."""
    timeline = TIMELINE.replace(
        "deadline: 2026-09-30", 'deadline: "2026-10-05T02:00", policy: {before: [7d, 1h], after: [1h, 1d]}'
    )
    house.write(block("quiet-hours.md", 0), timeline)
    async with house.daemon() as (daemon, _):
        await house.play(daemon, "2026-10-08")

    # -7d is Monday, 01:00 in Berlin; an hour before and the day itself fall into Sunday night.
    assert house.lines() == [
        "2026-09-28T05:00 ann t/a -7d",
        "2026-10-04T23:00 ann t/a 0d",
        "2026-10-05T00:00 ann t/a +1h",
        "2026-10-05T23:00 ann t/a +1d",
    ]
    assert house.told[0].message.kind is Kind.SINGLE
    late = house.told[0].message.items[0].late
    assert "in the quiet hours, 22:00 to 07:00 and all Saturday and Sunday (Europe/Berlin)" in late
