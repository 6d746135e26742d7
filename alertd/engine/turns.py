"""One turn after another: settle, bind, lease and send. A turn does all that can be done without waiting.

Planning must not hold up sending. There are two ways for a chore that takes long:

- A chore that computes calls :meth:`Turns.give_way` often, and a turn is made in the middle of the chore when
  something has become due.
- A chore that only waits for the ledger runs by :meth:`Turns.run_beside`, and turns are made meanwhile. The
  same holds for the long reads of a chore that computes, by :meth:`Turns.read_beside`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from alertd.core.config import Config
from alertd.core.ledger.records import Known
from alertd.engine.binding import BindResult, name_sets
from alertd.engine.deps import Dependencies
from alertd.engine.ledger_watch import PageCheck
from alertd.engine.liveness import Liveness
from alertd.engine.observer import log_bound
from alertd.engine.reload import Active, Reloader
from alertd.engine.sender import Sender
from alertd.engine.status import StatusReporter
from alertd.engine.timer import LOOK_AGAIN_S, Chore, Timer
from alertd.system.worker_threads import run_aside

GIVE_WAY_S = 0.02
"""How long a chore works before it lets other tasks run, and has what is due sent."""

TURN_AT_LEAST_S = 0.25
"""How long a chore works before the ledger is asked for what has become due, and ended sends are settled."""

PREPARE_BEFORE = timedelta(minutes=1)
"""How long before something is due the modules are imported that send it."""

DAMAGED_AGAIN = timedelta(seconds=1)
"""When to look again if the page that says what is due next is damaged."""

T = TypeVar("T")


class Turns:
    """Makes the turns of a daemon.

    Attributes:
        looked_at: when the last turn began (UTC).
        next_at: when something is due next, as the last look or the last turn in a chore found it.
    """

    def __init__(
        self,
        deps: Dependencies,
        *,
        reloader: Reloader,
        sender: Sender,
        status: StatusReporter,
        pages: PageCheck,
        liveness: Liveness,
        timer: Timer,
    ) -> None:
        self.looked_at = deps.clock.now()
        self.next_at: datetime | None = None
        self._deps = deps
        self._reloader = reloader
        self._sender = sender
        self._status = status
        self._pages = pages
        self._liveness = liveness
        self._timer = timer
        self._beside: set[asyncio.Task[Any]] = set()
        self._prepared_for: Config | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._gave_way_s = self._turned_s = self._ended_s = deps.clock.monotonic()

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting. Returns when the next thing is due, as :meth:`find_next`.

        Sends go on in the background.
        """
        active, attempt = self._reloader.active, self._pages.attempt
        await attempt(self._sender.settle_unless_soon(), None)
        now = self.looked_at = self._deps.clock.now()
        known = active.make_known(self._status.elsewhere, now)
        more = True
        while more:
            bound = await attempt(self._bind(active, now, known), None)
            more = bound is not None and bound.more
            await self._report(bound)
            if more:
                await self._bind_others(active)
            # What was decided about goes out before more is decided about.
            await attempt(self._sender.start(active.dispatcher, known), None)
        next_at = await attempt(self.find_next(now), now + DAMAGED_AGAIN)
        self._ended_s = self._deps.clock.monotonic()
        self.prepare(active.config, next_at)
        return next_at

    def prepare(self, config: Config, next_at: datetime | None) -> asyncio.Task[None] | None:
        """Import what sending needs, in a thread, if something is due soon (``next_at``, UTC).

        The first message would be late otherwise. An idle daemon does without these modules, which are large.

        Returns:
            the task that ends when everything is imported; None if nothing has been due soon until now.
        """
        prepare = self._deps.prepare
        is_soon = next_at is not None and next_at - self._deps.clock.now() <= PREPARE_BEFORE
        if prepare is not None and is_soon and config is not self._prepared_for:
            self._prepared_for = config
            self._preparing = asyncio.create_task(run_aside(lambda: prepare(config)))
        return self._preparing

    def is_needed(self) -> bool:
        """Return whether a turn may find something to do although nobody has written to the ledger."""
        clock = self._deps.clock
        is_due = self.next_at is not None and self.next_at <= clock.now()
        is_sending = bool(self._sender.count) or self._sender.find_shut()[1] is not None
        return is_due or is_sending or clock.monotonic() - self._ended_s >= LOOK_AGAIN_S

    async def _bind(self, active: Active, now: datetime, known: Known | None) -> BindResult:
        """Decide about the next part of what is due. Beside a big digest, see to the other receivers."""
        task = asyncio.create_task(active.binder.bind(now, known))
        self._beside.add(task)
        wait_s, started_s = GIVE_WAY_S, self._deps.clock.monotonic()
        try:
            while not (await asyncio.wait({task}, timeout=wait_s))[0]:
                if not active.binder.is_crowded:
                    # A ledger that hangs is not asked again and again.
                    wait_s = min(2 * wait_s, LOOK_AGAIN_S)
                    continue
                is_bound = await self._bind_others(active)
                # What becomes ready without being bound, such as a retry, need not be looked for as often.
                if is_bound or self._deps.clock.monotonic() - started_s >= TURN_AT_LEAST_S:
                    await self._pages.attempt(self._sender.start(active.dispatcher, known), None)
                    started_s = self._deps.clock.monotonic()
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._beside.discard(task)

    async def _bind_others(self, active: Active) -> bool:
        """See to the receivers beside a crowd. Returns whether a delivery was bound for any of them."""
        bound = await self._pages.attempt(active.binder.bind_others(self._deps.clock.now()), None)
        await self._report(bound)
        return bound is not None and bool(bound.deliveries)

    async def _report(self, bound: BindResult | None) -> None:
        """Log what was decided, and tell the operator what could not be decided."""
        if bound is None:
            return
        log_bound(self._deps.log, bound)
        if bound.failed:
            config = self._reloader.active.config
            told = self._status.tell_undecidable(config, name_sets(bound.failed))
            await self._pages.attempt(told, None)

    async def give_way(self) -> None:
        """Let other tasks run, and send what is due, if a chore has worked for a while.

        A chore may take minutes, and a reminder must not be late because of it. Beside a chore that runs by
        :meth:`run_beside`, turns are made already. Two turns at once would both use the places that are free.
        """
        clock = self._deps.clock
        if clock.monotonic() - self._gave_way_s < GIVE_WAY_S:
            return
        await asyncio.sleep(0)
        if self._beside:
            self._gave_way_s = clock.monotonic()
            return
        is_due = self.next_at is not None and self.looked_at < self.next_at <= clock.now()
        if self._reloader.config is not None and (
            is_due or clock.monotonic() - self._turned_s >= TURN_AT_LEAST_S
        ):
            self.next_at = await self.turn()
            self._turned_s = clock.monotonic()
            # What was to be sent is sent, so the loop is not stuck, however long the chore takes.
            self._liveness.finish_look(self.next_at)
            self._liveness.begin_look()
        self._gave_way_s = clock.monotonic()

    async def read_beside(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a read of the ledger, and make a turn meanwhile if something becomes due.

        Unlike :meth:`run_beside`, a call makes no turn, so many short reads cost little.
        """
        if self._beside or self._reloader.config is None:
            return await work
        task = asyncio.create_task(work)
        self._beside.add(task)
        try:
            while True:
                wait_s = self._timer.measure_wait(self.next_at, self.looked_at, TURN_AT_LEAST_S)
                ended, _ = await asyncio.wait({task}, timeout=wait_s)
                if ended:
                    return task.result()
                self.next_at = await self.turn()
                self._liveness.note_next(self.next_at)
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._beside.discard(task)

    async def run_beside(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``, and make a turn meanwhile whenever something has become due.

        ``work`` must not change what a turn goes by, such as the configuration in force.
        """
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(lambda _ended: self._timer.end_wait())
        try:
            while True:
                await self._timer.wait(self.next_at, self.looked_at, LOOK_AGAIN_S)
                if task.done():
                    return task.result()
                self.next_at = await self.turn()
                # The look is not finished: a chore that hangs is a fault, although nothing is late.
                self._liveness.note_next(self.next_at)
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._beside.discard(task)
            # An audit that is wanted is the work itself, or comes later in the same look.
            if self._timer.is_called or self._timer.wanted - {Chore.AUDIT}:
                # The loop has not seen what was called for while this method waited.
                self._timer.wake()

    @property
    def tasks(self) -> Sequence[asyncio.Task[Any]]:
        """The chores that run beside the turns."""
        return [*self._beside, *([self._preparing] if self._preparing is not None else [])]

    async def find_next(self, now: datetime) -> datetime | None:
        """Return when (UTC) something may be due next. It may lie in the past. None: nothing waits."""
        shut, wait = self._sender.find_shut()
        # A delivery whose lease was lost may have to wait until a send in flight ends, which wakes the loop.
        next_at = await self._deps.ledger.find_next_wake(
            now,
            shut,
            lost=not self._sender.count,
            known=self._reloader.active.make_known(self._status.elsewhere, now),
        )
        if wait is None:
            return next_at
        return min(now + wait, next_at or now + wait)
