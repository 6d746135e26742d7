"""Faults planted on purpose in the daemon and the notifiers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.ledger.outcome import Outcome
from alertd.core.ledger.records import DeliveryState, Known, Lease
from alertd.core.message.message import Message
from alertd.core.routing.route import Route
from alertd.engine.delivery import ClockReading
from alertd.engine.deps import Dependencies
from alertd.ports import Notifier
from tests.sim.node import LiveDaemon


class NeverReadsAgain(LiveDaemon):
    """Files that change have no effect before the daemon is started again."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)

        async def read_only() -> bool:
            self._reloader.files.result = None
            return True

        self._reloader.finish = read_only  # type: ignore[method-assign]


class TrustsTheName(LiveDaemon):
    """A file that has changed has the fingerprint that it had before, so that it is trusted."""

    def __init__(self, deps: Dependencies) -> None:
        def load() -> Definitions:
            found = deps.load()
            blind = tuple(replace(one, content=one.file, environment="any") for one in found.timelines)
            real.update(zip(blind, found.timelines, strict=True))
            return replace(found, timelines=blind)

        real: dict[Timeline, Timeline] = {}
        super().__init__(
            replace(
                deps,
                load=load,
                read_timeline=lambda blind: replace(
                    blind, milestones=deps.read_timeline(real[blind]).milestones
                ),
            )
        )


class TrustsAnyEnvironment(LiveDaemon):
    """What was reconciled by another configuration or by other time zones is trusted."""

    def __init__(self, deps: Dependencies) -> None:
        def load() -> Definitions:
            found = deps.load()
            blind = tuple(replace(one, environment="any") for one in found.timelines)
            real.update(zip(blind, found.timelines, strict=True))
            return replace(found, timelines=blind)

        real: dict[Timeline, Timeline] = {}
        super().__init__(
            replace(
                deps,
                load=load,
                read_timeline=lambda blind: replace(
                    blind, milestones=deps.read_timeline(real[blind]).milestones
                ),
            )
        )


class FollowsNoDoneDates(LiveDaemon):
    """That something was done moves no deadline that counts from it, until all is planned again."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)

        async def read_version_only() -> bool:
            self._planner.done = await deps.ledger.read_done_dates()
            return True

        self._planner.follow_done_dates = read_version_only  # type: ignore[method-assign]


class HoldsTheLoop(LiveDaemon):
    """Nothing else is done before all is planned."""

    async def _give_way(self) -> None:
        self._compute()


class OnlyLooksAround(LiveDaemon):
    """While all is planned other tasks go on, and nothing that falls due is sent."""

    async def _give_way(self) -> None:
        self._compute()
        await asyncio.sleep(0)


class LetsHangingChannelsKeepAllPlaces(LiveDaemon):
    """While as many sends are in flight as may be, no channel may start another."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        leaser = self._sender._leaser
        lease_next = leaser.lease_next

        async def lease_if_free(
            reading: ClockReading, known: Known | None, held: Collection[str]
        ) -> tuple[Sequence[Lease], bool]:
            if leaser._busy.total() >= leaser._limits.in_flight:
                return (), False
            return await lease_next(reading, known, held)

        leaser.lease_next = lease_if_free  # type: ignore[method-assign]


class IgnoresMutes(LiveDaemon):
    """What is muted goes out all the same."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        adopt = self._reloader.adopt

        async def adopt_unmuted(definitions: Definitions, config: Config) -> None:
            await adopt(definitions, replace(config, route=_unmuted(config.route)))

        self._reloader.adopt = adopt_unmuted  # type: ignore[method-assign]


class IgnoresRates(LiveDaemon):
    """All goes out at once."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        adopt = self._reloader.adopt

        async def adopt_without_rates(definitions: Definitions, config: Config) -> None:
            await adopt(definitions, config)
            self._sender._backpressure.use(dict.fromkeys(self._reloader.active.dispatcher.notifiers))

        self._reloader.adopt = adopt_without_rates  # type: ignore[method-assign]


class FeedsTheWatchdogAnyway(LiveDaemon):
    """A loop that turns is taken for a daemon that works."""

    async def _look(self) -> datetime | None:
        self._deps.systemd.alive()
        return await super()._look()


class FollowsEveryStep(LiveDaemon):
    """Whatever the wall clock shows is believed at once."""

    def _review_clock(self) -> None:
        self._clock.trusted.confirm()


class SeemsWellAnyway(LiveDaemon):
    """What it cannot write, it does not know."""

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self._liveness.findings = tuple  # type: ignore[method-assign]


class HidesFiles(LiveDaemon):
    """What hangs when the files are read is nobody's business."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        audit = self._chores.audit

        async def audit_without_files() -> None:
            self._status.hung = ""
            await audit()

        self._chores.audit = audit_without_files  # type: ignore[method-assign]


class KeepsWhatIsAhead(LiveDaemon):
    """When it ends, what it has leased ahead waits until the leases end."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        self._sender._ahead.take_all = list  # type: ignore[method-assign]


class LeavesTasks(LiveDaemon):
    """Each look leaves something behind."""

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self._left: set[asyncio.Task[bool]] = set()

    async def _look(self) -> datetime | None:
        self._left.add(asyncio.create_task(asyncio.Event().wait()))
        return await super()._look()


class SendsAgainAtStart(LiveDaemon):
    """What was sent last is sent again by whoever starts."""

    async def start(self) -> None:
        await super().start()
        ledger: Any = self._deps.ledger
        made = ledger._ledger._deliveries
        sent = [one for one in made.values() if one.state is DeliveryState.SENT]
        for one in sorted(sent, key=lambda one: one.bound_at)[-1:]:
            made[one.id] = replace(one, state=DeliveryState.READY, next_at=self._deps.clock.now())


@dataclass(frozen=True, slots=True)
class NewIdEachTime:
    """Every attempt has an id of its own, so that no receiver can drop a repeat."""

    inner: Notifier
    numbers: count[int] = field(default_factory=count)

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        return await self.inner.send(replace(message, id=f"{message.id}x{next(self.numbers)}"), prior)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass(frozen=True, slots=True)
class MakesThingsUp:
    """A message names what was never loaded."""

    inner: Notifier

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        items = tuple(replace(item, keys=("made up",)) for item in message.items)
        return await self.inner.send(replace(message, items=items), prior)

    async def aclose(self) -> None:
        await self.inner.aclose()


def _unmuted(route: Route) -> Route:
    return replace(route, mute=(), routes=tuple(_unmuted(one) for one in route.routes))
