"""Faults planted in the ledger on purpose, about time, leads, people and books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alertd.core.ledger.records import DeliveryState, Record, ReminderState, ScheduledReminder
from alertd.core.milestones.status import Action
from alertd.core.reason import Answered
from alertd.ports import Settlement
from tests.sim.ledger import SimLedger


class ComesLate(SimLedger):
    """Three minutes late."""

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        return await super().find_due(now - timedelta(minutes=3), limit, besides, skip)


class KeepsNoTime(SimLedger):
    """Every node goes by its own clock."""

    async def read_time(self) -> datetime | None:
        return None


class ForgetsWhatIsAhead(SimLedger):
    """When a clock has been set back, what was sent by the time before is owed again."""

    _now = datetime(2026, 1, 1, tzinfo=UTC)

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        if now < self._now - timedelta(minutes=5):
            for key, one in self._owed.items():
                if one.state is ReminderState.BOUND and one.at > now:
                    self._owed[key] = replace(one, state=ReminderState.PENDING)
        self._now = now
        return await super().find_due(now, limit, besides, skip)


class ForgetsPeople(SimLedger):
    """Now and then what somebody said is confirmed and not written down."""

    _said = 0

    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        self._said += 1
        if self._said % 3:
            return await super().act(action, owed)
        return self._records[action.milestone]


class BelievesRefusals(SimLedger):
    """What a receiver has refused counts as sent."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await super().settle(
            [
                replace(one, state=DeliveryState.SENT) if one.reason == Answered(text="503") else one
                for one in settlements
            ]
        )


class TriesAtOnce(SimLedger):
    """What failed is tried again without a wait."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await super().settle(
            [replace(one, next_at=one.at) if one.state is DeliveryState.READY else one for one in settlements]
        )


class LetsAllLead(SimLedger):
    """Whoever asks has the lead."""

    async def take_lead(self, node: str, now: datetime, **kwargs: Any) -> Any:
        term = await super().take_lead(node, now, **kwargs)
        return self._lead.term if term is None and self._lead else term


class Trips(SimLedger):
    """It fails in a way that nobody expects, once."""

    _tripped = False

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        found = await super().find_due(now, limit, besides, skip)
        if found and not self._tripped:
            self._tripped = True
            raise KeyError(found[0][0].key)
        return found
