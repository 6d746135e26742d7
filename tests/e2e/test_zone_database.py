"""The rules of a time zone change on the disk while the daemon runs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Process, Stage, a_stage
from tests.web.stage import NO_TLS

ON_DAY = "{before: [], on_day: true, after: [], opens: false, at: '09:00'}"
QUERIES = {"owed": "SELECT at FROM owed ORDER BY at", "next_digest": "SELECT at FROM next_digest ORDER BY at"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


class Zones:
    """A zone database in a folder of its own, in which a zone gets the rules of any other zone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set_rules(self, zone: str, like: str) -> None:
        """Overwrite the file of ``zone`` in place with the rules of ``like``."""
        path = self.folder / zone
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((files("tzdata") / "zoneinfo" / like).read_bytes())


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    made = Zones(tmp_path / "zoneinfo")
    made.set_rules("Africa/Cairo", like="Etc/GMT-2")
    return made


def write_files(stage: Stage) -> None:
    """Write a milestone whose reminder is at 09:00 in Cairo, and a digest at 08:00 in Cairo."""
    stage.write(
        "alertd.yaml",
        "timezone: Africa/Cairo\n"
        "route:\n"
        "  receiver: desk\n"
        "  routes: [{receiver: paper, matchers: ['team=\"press\"'], digest: {every: day, at: '08:00'}}]\n"
        "receivers:\n"
        f"  - {{name: desk, notifiers: [{stage.hook()}]}}\n"
        f"  - {{name: paper, notifiers: [{stage.hook()}]}}\n",
    )
    deadline = datetime.now(UTC).date() + timedelta(days=60)
    stage.write(
        "milestones/t.yaml",
        f"timeline: t\ntitle: A timeline\npolicy: {ON_DAY}\nsources: {{m: {{who: A. Minister}}}}\n"
        f"milestones: [{{id: m, title: It comes about, deadline: {deadline}, source: m}}]\n",
    )


def read_instants(stage: Stage) -> dict[str, list[str]]:
    """Read the times of day (UTC) at which the ledger schedules reminders and digests."""
    with closing(sqlite3.connect(stage.ledger)) as ledger:
        return {
            table: [f"{datetime.fromtimestamp(at / 1e6, UTC):%H:%M}" for (at,) in ledger.execute(query)]
            for table, query in QUERIES.items()
        }


async def read_window(daemon: Process) -> str:
    """Ask the daemon when the window of the milestone ends, and return the time of day (UTC)."""
    opened = await daemon.until("listener.opened")
    url = f"http://{opened['addresses'][0]}"
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS) as client:
        answer = (await client.get("/api/v1/milestones/t/m")).raise_for_status()
    return str(answer.json()["claims"][0]["ends"])[11:16]


async def test_reload_uses_the_new_rules_of_a_zone(stage: Stage, zones: Zones) -> None:
    """The reminder, the digest and what the daemon shows follow, although no definition file has changed."""
    write_files(stage)
    daemon = await stage.start(PYTHONTZPATH=str(zones.folder), ALERTD_LISTEN="127.0.0.1:0")
    before = read_instants(stage), await read_window(daemon)

    zones.set_rules("Africa/Cairo", like="Etc/GMT-3")
    await stage.command("reload", "--wait")

    assert before == ({"owed": ["07:00"], "next_digest": ["06:00"]}, "22:00")
    assert (read_instants(stage), await read_window(daemon)) == (
        {"owed": ["06:00"], "next_digest": ["05:00"]},
        "21:00",
    )
    assert await daemon.stop() == 0


async def test_daemon_notices_a_new_zone_database_by_itself(stage: Stage, zones: Zones) -> None:
    """After an upgrade of the machine, the operator does not have to ask for a reload."""
    write_files(stage)
    daemon = await stage.start(PYTHONTZPATH=str(zones.folder))

    zones.set_rules("Africa/Cairo", like="Etc/GMT-3")
    await daemon.until("config.loaded", 2)

    assert read_instants(stage) == {"owed": ["06:00"], "next_digest": ["05:00"]}
    assert await daemon.stop() == 0


async def test_zone_that_the_database_gains_is_known_after_a_reload(stage: Stage, zones: Zones) -> None:
    """The daemon does not remember that it once did not know the zone."""
    write_files(stage)
    text = (stage.config / "milestones/t.yaml").read_text()
    stage.write("milestones/t.yaml", "timezone: Mars/Olympus\n" + text)
    daemon = await stage.start(PYTHONTZPATH=str(zones.folder))
    refused = await daemon.until("file.refused")

    zones.set_rules("Mars/Olympus", like="Etc/GMT-5")
    await stage.command("reload", "--wait")

    assert "'Mars/Olympus': no such time zone" in refused["problem"]
    assert read_instants(stage)["owed"] == ["04:00"]
    assert await daemon.stop() == 0
