"""A self-audit over a ledger in memory, under a clock that the test moves."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from alertd.core.config import Config, Definitions, Heartbeat, Timeline
from alertd.core.ledger.records import ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.audit import Audit
from alertd.core.reason import PlainReason
from alertd.engine.deps import Dependencies
from alertd.engine.self_audit import SelfAudit
from alertd.notify.heartbeat import beat
from alertd.notify.http.client import HttpClient
from alertd.ports import Changes
from alertd.testing.memory_ledger import MemoryLedger
from tests.contract.samples import NOW, a_record
from tests.scene import StepClock, a_config, a_log

LIMIT_S = 10


class Stage:
    """``look`` audits; ``events`` is what was logged."""

    def __init__(self, *milestones: Milestone, heartbeat: Heartbeat | None = None) -> None:
        self.clock = StepClock(NOW)
        self.ledger = MemoryLedger()
        self.log, self.events = a_log()
        self.config: Config = a_config("desk", heartbeat=heartbeat)
        self.definitions = Definitions(
            config=self.config,
            timelines=(Timeline(id="t", title="T", file="milestones/t.yaml", milestones=milestones),),
        )
        self.asking = asyncio.Event()
        self._http = HttpClient()
        self.asked = 0
        self.deps = self._make_deps()
        self.audit = SelfAudit(self.deps)

    def _make_deps(self) -> Dependencies:
        return Dependencies(
            ledger=self.ledger,
            clock=self.clock,
            log=self.log,
            load=lambda: self.definitions,
            signature=lambda: None,
            build=lambda _config: {},
            node="node",
            beat=self._beat,
        )

    async def _beat(self, config: Config, audit: Audit) -> str:
        assert config.heartbeat is not None
        self.asked += 1
        self.asking.set()
        return await beat(self._http, self.clock, str, config.heartbeat, audit)

    async def look(self) -> None:
        shut: frozenset[str] = frozenset()
        await self.audit.run(self.config, self.definitions, {}, planned_at=self.clock.now(), shut=shut)

    async def told(self) -> None:
        """Until the switch has answered, or has not."""
        async with asyncio.timeout(LIMIT_S):
            await self.audit.wait_told()

    async def owe(self, *owed: ScheduledReminder) -> None:
        await self.ledger.apply(Changes(records=(a_record(),), owed=owed))

    async def cancel(self, key: str) -> None:
        await self.ledger.apply(Changes(cancelled=((key, PlainReason.NOT_OWED),)))

    def later(self, by: timedelta) -> None:
        self.clock.advance(self.clock.now() + by)

    async def close(self) -> None:
        await self.audit.close()
        await self._http.aclose()
