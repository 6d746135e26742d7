"""Runs a server with one milestone and a receiver, for the tests of actions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from alertd.core.config import Config
from alertd.core.ledger.records import HistoryEntry
from alertd.core.message.links import PURPOSE, Link, LinkKind, make_token
from alertd.core.milestones.status import MilestoneStatus
from alertd.web.server.context import OutboundServices
from tests.scene import Scene, a_config, a_milestone
from tests.web.stage import NOW, Stage, a_stage, csrf_of

FORM = {"content-type": "application/x-www-form-urlencoded"}
NAME = "t/m"
PATH = f"/milestones/{NAME}"


class Acting:
    """The server, the scene that wrote its ledger, and a principal with the scope to act."""

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self.stage = stage
        self.scene = scene

    @property
    def site(self) -> Any:
        return self.stage.site

    def token(self, kind: LinkKind = LinkKind.ACKNOWLEDGE, **changes: Any) -> str:
        """Make the token of a link to ``desk`` that is valid for a day."""
        link = Link(kind=kind, milestone=NAME, receiver="desk", expires=self.scene.now + timedelta(days=1))
        return make_token(replace(link, **changes), self.site.signer.derive_key(PURPOSE))

    async def read_status(self) -> MilestoneStatus:
        record = await self.stage.ledger.read_record(NAME)
        assert record is not None
        return record.status

    async def said(self) -> list[HistoryEntry]:
        """Return the actions in the history of the milestone, the oldest first."""
        found = await self.stage.ledger.read_history(NAME)
        return [entry for entry in reversed(found) if entry.by]

    async def post(self, path: str, client: httpx.AsyncClient | None = None, **fields: str) -> httpx.Response:
        """Send the form of a page as a browser does, with the CSRF token of the page."""
        browser = client or self.stage.client()
        page = await browser.get(PATH, headers={"accept": "text/html"})
        fields.setdefault("csrf", csrf_of(page.text))
        return await browser.post(path, data=fields, headers={"sec-fetch-site": "same-origin"})

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow the redirect of an answer, and return the page."""
        assert answer.status_code == 303, answer.text
        return await self.stage.client().get(answer.headers["location"], headers={"accept": "text/html"})


def config_of(stage: Stage, *receivers: str) -> Config:
    """Return the configuration of the stage with receivers added."""
    assert stage.definitions is not None
    assert stage.definitions.config is not None
    made = a_config(*receivers or ("desk",))
    return replace(stage.definitions.config, route=made.route, receivers=made.receivers)


@asynccontextmanager
async def acting(
    folder: Path, web: str = "", outbound: OutboundServices | None = None
) -> AsyncIterator[Acting]:
    """Run the server at the stage's NOW, with a milestone for 30 September whose 30-day reminder was sent."""
    async with a_stage(folder, web, outbound=outbound) as stage:
        assert stage.definitions is not None
        config = config_of(stage)
        stage.definitions = replace(stage.definitions, config=config)
        scene = Scene(stage.ledger, "2026-06-01", config)
        scene.clock, stage.clock.at = stage.clock, scene.now
        scene.define(a_milestone(NAME, "2026-09-30", title="The <bridge> opens"))
        stage.definitions = replace(stage.definitions, timelines=scene.timelines)
        await scene.reconcile()
        await scene.until(f"{NOW:%Y-%m-%dT%H:%M}")
        yield Acting(stage, scene)
