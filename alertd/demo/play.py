"""Runs the daemon from instant to instant under the virtual clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd import app
from alertd.core.milestones.occurrence import Cause, list_occurrences
from alertd.demo.costs import Stopwatch
from alertd.demo.inbox import Receipt
from alertd.demo.occasion import ReminderOccasion, group_receipts
from alertd.demo.pace import Pace
from alertd.demo.screen import Screen
from alertd.demo.show import find_channel
from alertd.demo.stage import Stage
from alertd.demo.story import BEGINS, ENDS, RETRY_AFTER_S, STORY, Step
from alertd.system.settings import read_settings

RECONCILE_EVERY = timedelta(days=30)
"""How often the demo reconciles. The daemon reconciles four times a day, but it plans 400 days ahead."""

MAX_STOPS = 2_000
"""The most instants at which the clock stops; more are a bug."""

MAX_TURNS = 50
"""The most turns of the daemon at one instant. A few turns send everything that is ready."""

IN_FULL = frozenset(
    {
        ("signing", Cause.OPENS, "slack"),
        ("signing", Cause.APPROACHING, "webhook"),
        ("signing", Cause.OVERDUE, "email"),
        ("phase-1", Cause.DUE, "slack"),
        ("phase-1", Cause.DONE, "email"),
        ("phase-2", Cause.APPROACHING, "slack"),
        ("phase-2", Cause.OVERDUE, "email"),
        ("phase-2", Cause.MOVED, "slack"),
    }
)
"""The messages that are shown in full when they first arrive. Other messages are shown as a line."""


class DemoUnfinished(RuntimeError):
    """The demo reached a limit before its end. This is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The results of the run.

    Attributes:
        errors: the errors that the daemon logged.
        took_s: the real seconds that the run took.
    """

    occasions: tuple[ReminderOccasion, ...]
    receipts: tuple[Receipt, ...]
    watch: Stopwatch
    errors: str
    took_s: float


async def play(stage: Stage, screen: Screen, seconds: float) -> Played:
    """Run the daemon from the virtual instant :data:`BEGINS` to :data:`ENDS`.

    Args:
        seconds: the real seconds that the run takes; 0 means as fast as possible.
    """
    player = _Player(stage, screen, seconds)
    began_s = stage.clock.machine_s()
    await player.run()
    return Played(
        occasions=tuple(player.occasions),
        receipts=tuple(stage.receipts),
        watch=stage.watch,
        errors=stage.log.getvalue(),
        took_s=stage.clock.machine_s() - began_s,
    )


class _Player:
    def __init__(self, stage: Stage, screen: Screen, seconds: float) -> None:
        self.occasions: list[ReminderOccasion] = []
        self._stage = stage
        self._screen = screen
        self._pace = Pace(_expected_instants(stage), seconds, stage.clock)
        self._waiting = list(STORY)
        self._reconcile_at = BEGINS + RECONCILE_EVERY
        self._shown: set[tuple[str, Cause, str]] = set()
        self._refused: dict[str, Receipt] = {}

    async def run(self) -> None:
        clock = self._stage.clock
        for _ in range(MAX_STOPS):
            now = clock.now()
            await self._run_outside_steps(now)
            await self._deliver()
            if now >= ENDS:
                return
            then = await self._next_stop(now)
            await self._pace.pass_until(now, then, self._show_date)
            clock.set(then)
        raise DemoUnfinished(f"{MAX_STOPS} stops, and it is still {clock.now()}")

    async def _run_outside_steps(self, now: datetime) -> None:
        """Run the steps of the story that are due at ``now``, and reconcile if it is time."""
        if now >= self._reconcile_at:
            self._reconcile_at = now + RECONCILE_EVERY
            await self._stage.daemon.reload()
        while self._waiting and self._waiting[0].at <= now:
            step = self._waiting.pop(0)
            self._screen.show_step(step, await step.act(self._stage))

    async def _deliver(self) -> None:
        """Let the daemon send everything that is due at this instant, and show the messages that arrive."""
        stage = self._stage
        for _ in range(MAX_TURNS):
            await stage.daemon.turn()
            await stage.daemon.idle()
            await self._show(stage.collect())
            next_at = await stage.daemon.next_at(stage.clock.now())
            if next_at is None or next_at > stage.clock.now():
                return
        raise DemoUnfinished(f"{MAX_TURNS} turns at {stage.clock.now()}, and something is still to do")

    async def _next_stop(self, now: datetime) -> datetime:
        wake = await self._stage.daemon.next_at(now)
        steps: list[Step] = self._waiting[:1]
        candidates = [ENDS, self._reconcile_at, *(step.at for step in steps), *([wake] if wake else [])]
        return min(max(at, now) for at in candidates)

    async def _show(self, arrived: list[Receipt]) -> None:
        for occasion in await group_receipts(self._stage.ledger, arrived):
            self.occasions.append(occasion)
            self._screen.show_occasion(occasion)
            if occasion.late:
                self._screen.show_remark(occasion.late, "dim")
            for receipt in occasion.receipts:
                self._show_remark(receipt)
                self._show_in_full(occasion, receipt)

    def _show_remark(self, receipt: Receipt) -> None:
        if not receipt.accepted:
            self._refused[receipt.id] = receipt
            self._screen.show_remark(f"503, Retry-After: {RETRY_AFTER_S}: it has to be sent again", "red")
        elif receipt.id in self._refused:
            later = receipt.at - self._refused.pop(receipt.id).at
            after_s = later.total_seconds()
            self._screen.show_remark(f"sent again after {after_s:.0f} s, under the same id", "green")

    def _show_in_full(self, occasion: ReminderOccasion, receipt: Receipt) -> None:
        name = (occasion.short, occasion.cause, find_channel(receipt))
        if receipt.accepted and name in IN_FULL and name not in self._shown:
            self._shown.add(name)
            self._screen.show_in_full(receipt)

    def _show_date(self, at: datetime) -> None:
        self._screen.show_date(at, self._pace.fraction(at))


def _expected_instants(stage: Stage) -> Iterable[datetime]:
    """Yield the instants at which messages are expected at the start. Only the pace depends on them."""
    found = app.load_definitions(read_settings(config=stage.folder))
    for milestone in app.resolve_milestones(found).values():
        for occurrence in list_occurrences(milestone, BEGINS, ENDS):
            yield occurrence.at
    yield from (step.at for step in STORY)
    yield from (BEGINS, ENDS)
