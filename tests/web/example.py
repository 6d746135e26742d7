"""Plays two years of three timelines with the real reconciler and dispatcher, as an example for the pages.

The example has windows of every kind, a contested deadline and a deadline that moved. Some milestones are
done, acknowledged or cancelled. Some deliveries were sent, some are retrying, and some are dead.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from alertd import app
from alertd.core.config import Definitions
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.core.ledger.records import Delivery, Notice
from alertd.core.milestones.status import Action, ActionKind
from alertd.engine.actions import act
from alertd.ports import Ledger
from tests.scene import Scene, a_ledger, when
from tests.web.stage import Stage, a_stage

SHIPPED = Path(__file__).parent.parent.parent / "config" / "milestones"
NOW = datetime(2026, 11, 24, 12, 3, tzinfo=UTC)
PHASE_2 = "iraq-coalition-withdrawal/phase-2"

CONFIG = """\
timezone: Europe/Berlin
route:
  receiver: desk
  group_by: [timeline]
  routes:
    - {matchers: ['team="operations"'], receiver: operations, continue: true}
receivers:
  - name: desk
    notifiers:
      - {type: console}
  - name: operations
    notifiers:
      - {type: webhook, url: "https://hooks.example.org/operations"}
"""

MOVING = """\
timeline: data-centre
title: Leaving the old data centre
timezone: Europe/Berlin
labels: {team: operations, site: old}
sources:
  plan: {who: Project plan, short: the plan, publisher: "Board paper 12", published: 2026-02-03}
  landlord: {who: "The landlord, Steinhof GmbH", short: the landlord, published: 2025-11-18}
  lead: {who: "Jana Okafor, project lead", short: Jana Okafor, published: 2026-10-05}
  carrier: {who: The carrier, published: 2026-11-02}
milestones:
  - {id: notice, title: Notice is given to the landlord, deadline: 2026-09-30, source: landlord}
  - id: databases
    title: All databases run in the new place
    description: Two of eleven are left, both of them older than the rest.
    url: https://wiki.example.org/moving/databases
    deadline: %s
    source: %s
  - {id: shelves, title: The shelves are sold, deadline: 2026-12-01, source: plan}
  - {id: line, title: The second line is connected, deadline: "2026-12~", source: carrier}
  - {id: inspection, title: "The auditor inspects what is left", deadline: "2026-12-08T10:00", source: plan}
  - id: lease
    title: The lease ends
    claims:
      - {deadline: 2026-12-31, source: landlord}
      - {deadline: 2027-Q1, source: plan, note: with the extension that was asked for}
  - {id: disks, title: Disks are erased and certified, deadline: "[2027-01,2027-03]", source: plan}
"""

DUTIES = """\
timeline: duties
title: Duties and certificates
timezone: Europe/Berlin
labels: {team: office}
sources:
  registrar: {who: The registrar, published: 2025-12-01}
  board: {who: The board, published: 2026-01-20}
  agency: {who: The agency's newsletter, short: the agency, published: 2026-06}
milestones:
  - {id: certificate, title: "The shop's certificate is renewed", deadline: 2026-12-05, source: registrar}
  - {id: test, title: The penetration test is reported, deadline: "2026-10?", source: board}
  - {id: review, title: The travel policy is reviewed, deadline: 2026-11-15, source: board}
  - {id: register, title: Entered in the agency's register, deadline: "../2027-02", source: agency}
  - {id: helpdesk, title: A helpdesk for suppliers is open, deadline: "2026-11/..", source: board}
  - {id: report, title: The yearly report is filed, deadline: 2027, source: agency}
"""


def write(folder: Path, databases: str = "2026-10", source: str = "plan") -> Path:
    """Write the files; ``databases`` is the date of the databases' move, and ``source`` gives that date."""
    (folder / "milestones").mkdir(parents=True, exist_ok=True)
    (folder / "alertd.yaml").write_text(CONFIG)
    (folder / "milestones" / "data-centre.yaml").write_text(MOVING % (databases, source))
    (folder / "milestones" / "duties.yaml").write_text(DUTIES)
    for file in SHIPPED.glob("*.yaml"):
        shutil.copy(file, folder / "milestones")
    return folder


def read(folder: Path) -> Definitions:
    found = app.make_loader(folder)()
    assert not found.problems, found.problems
    return found


@asynccontextmanager
async def a_played_stage(played: Path, folder: Path, **options: Any) -> AsyncIterator[Stage]:
    """Run a server over a copy of the ledger in the folder ``played``."""
    shutil.copytree(played, folder, dirs_exist_ok=True)
    async with a_stage(folder, at=NOW, **options) as stage:
        found = read(folder / "config")
        # Keep the server's own section, with the scopes of anonymous requests and the host names.
        assert stage.definitions is not None
        assert stage.definitions.config is not None
        assert found.config is not None
        stage.definitions = replace(found, config=replace(found.config, web=stage.definitions.config.web))
        yield stage


async def play_in(folder: Path) -> Path:
    """Play the example in a folder, and return the folder with its ledger and its files."""
    async with a_ledger("file", folder) as ledger:
        await play(ledger, folder / "config")
    return folder


async def play(ledger: Ledger, folder: Path) -> Definitions:
    """Play the example in a ledger. Returns the definitions in force at the end."""
    found = read(write(folder))
    scene = Scene(ledger, "2026-07-01", found.config)
    scene.timelines = found.timelines
    await scene.reconcile()
    await scene.until("2026-09-17T09:30")
    await say(
        scene,
        ActionKind.DONE,
        "data-centre/notice",
        done_on=date(2026, 9, 17),
        evidence="letter of 17 September",
    )
    scene.recorder("operations/webhook").answers = [Retry(reason="HTTP 503 Service Unavailable")] * 3
    await scene.until("2026-10-05T14:10")
    found = read(write(folder, "2026-12", "lead"))
    scene.timelines = found.timelines
    await scene.reconcile()
    await scene.until("2026-10-29")
    scene.recorder("operations/webhook").answers = [Rejected(reason="HTTP 410 Gone: this hook was deleted")]
    await scene.until("2026-11-09T11:20")
    await say(scene, ActionKind.CANCEL, "duties/review", why="there is no travel any more")
    await scene.until("2026-11-20T08:15")
    await say(scene, ActionKind.ACK, "duties/certificate", until=when("2026-12-02"), why="ordered")
    await scene.until("2026-11-22")
    scene.recorder("operations/webhook").answers = [
        Retry(reason="no answer within 10 s", after=timedelta(hours=1))
    ] * 200
    await scene.until("2026-11-24T12:03")
    return found


async def say(scene: Scene, kind: ActionKind, milestone: str, **said: object) -> None:
    """Record an action on a milestone, at the scene's instant."""
    action = Action(kind=kind, milestone=milestone, at=scene.now, by="ada", **said)  # type: ignore[arg-type]
    await act(scene.ledger, scene.config, action)


def another(delivery: Delivery) -> Delivery:
    """Make a delivery of a notice that has just been sent, in addition to ``delivery``."""
    notice = Notice(slot="example", headline="A file could not be read for a while", lines=("It can again.",))
    made = replace(delivery, id="msg_another", members=(), edition=None, notice=notice)
    return replace(made, bound_at=NOW, next_at=NOW, settled_at=NOW)
