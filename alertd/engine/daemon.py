"""The only loop: wake, look, wait; signals, and the drain.

The ledger is the schedule. The alarm wakes the loop at the next due instant and for the periodic chores;
no milestone is one of its timers. Whatever it does or misses, the loop looks again by itself after a while,
counted on the monotonic clock: so neither a stepped wall clock nor a suspended machine loses anything, and
since what was sent stands in the ledger, neither repeats anything.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime, timedelta

from alertd.engine.deps import Dependencies
from alertd.engine.timer import LOOK_AGAIN_S
from alertd.engine.works import Works
from alertd.errors import LedgerError, SchemaTooNew
from alertd.system.telemetry import Event


class Daemon(Works):
    """One node. ``start`` once, then either ``run``, or ``turn`` and ``idle`` by hand (the demo).

    Attributes:
        outgrown: it has ended because a newer alertd has migrated the ledger.
    """

    def __init__(self, world: Dependencies) -> None:
        super().__init__(world)
        self.outgrown = False
        self._stopping = False

    async def run(self) -> None:
        """Loop until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._alarm.want, "reload")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._alarm.start()
        self._alarm.want("audit")
        self._pulse.start()
        try:
            next_at = await self._look()
            self._world.systemd.ready(self._said)
            self._world.log.info(Event.DAEMON_READY, status=self._said)
            while not self._stopping:
                await self._alarm.wait(next_at, self._looked_at, self._longest_s)
                next_at = await self._look()
        except Exception as error:
            self._world.log.critical(Event.DAEMON_FAILED, exc_info=error)
            raise
        finally:
            await self._end()
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End the loop after what it is doing now."""
        self._stopping = True
        self._alarm.ring()

    async def _end(self) -> None:
        self._world.systemd.stopping()
        self._alarm.stop()
        await self._world.ending()
        unsettled = await self._flights.drain(self._world.drain_s)
        self._pulse.stop()
        await self._watch.close()
        if not self.outgrown:
            await self._herald.retire()
        await self._world.ledger.close()
        self._world.log.info(Event.DAEMON_STOPPED, node=self._world.node, unsettled=unsettled)

    async def _look(self) -> datetime | None:
        world = self._world
        self._pulse.beat()
        if self._watch.is_well():
            world.systemd.alive()
        if self._patience.left_s:
            return self._after(self._patience.left_s)
        try:
            await self._chores()
            next_at = await self.turn()
            if "audit" in self._alarm.wanted:
                # After the turn: what fell due while nobody was there has been looked at now.
                await self._audit()
                self._alarm.wanted.discard("audit")
            self._said = await self._herald.status(next_at)
        except SchemaTooNew as error:
            world.log.critical(Event.LEDGER_OUTGROWN, reason=str(error))
            self.outgrown = True
            self.stop()
            return None
        except LedgerError as error:
            self._patience.failed(str(error))
            world.systemd.status(f"the ledger cannot be used: {error}")
            return self._after(self._patience.left_s)
        self._patience.worked()
        world.systemd.status(self._said)
        return next_at

    def _after(self, seconds: float) -> datetime:
        return self._world.clock.now() + timedelta(seconds=seconds)

    @property
    def _longest_s(self) -> float:
        watchdog_s = self._world.systemd.watchdog_s
        return min(LOOK_AGAIN_S, watchdog_s / 3) if watchdog_s else LOOK_AGAIN_S
