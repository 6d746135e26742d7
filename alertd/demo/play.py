"""The run itself: from one instant at which something is to do to the next, under the virtual clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd import app
from alertd.core.milestones.occurrence import Cause, occurrences
from alertd.demo.costs import Stopwatch
from alertd.demo.inbox import Receipt
from alertd.demo.occasion import ReminderOccasion, occasions_of
from alertd.demo.pace import Pace
from alertd.demo.screen import Screen
from alertd.demo.show import channel_of
from alertd.demo.stage import Stage
from alertd.demo.story import BEGINS, ENDS, RETRY_AFTER_S, STORY, Beat
from alertd.system.settings import settings

RECONCILE_EVERY = timedelta(days=30)
"""The daemon itself does so four times a day. Reminders are written down 400 days ahead."""

MAX_STOPS = 2_000
MAX_TURNS = 50
"""At one instant: what is ready is sent, and then nothing is ready any more."""

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
"""What is shown whole, each when it comes for the first time; of the others there is a line."""


class DemoUnfinished(RuntimeError):
    """A bound was reached: the demo does not come to its end, which is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What is left to tell of when all is over.

    Attributes:
        errors: what the daemon logged as an error.
        took_s: real seconds.
    """

    occasions: tuple[ReminderOccasion, ...]
    receipts: tuple[Receipt, ...]
    watch: Stopwatch
    errors: str
    took_s: float


async def play(stage: Stage, screen: Screen, seconds: float) -> Played:
    """Let the virtual time run from :data:`BEGINS` to :data:`ENDS`."""
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
        self._pace = Pace(_expected(stage), seconds, stage.clock)
        self._waiting = list(STORY)
        self._reconcile_at = BEGINS + RECONCILE_EVERY
        self._shown: set[tuple[str, Cause, str]] = set()
        self._refused: dict[str, Receipt] = {}

    async def run(self) -> None:
        clock = self._stage.clock
        for _ in range(MAX_STOPS):
            now = clock.now()
            await self._happen(now)
            await self._deliver()
            if now >= ENDS:
                return
            then = await self._next_stop(now)
            await self._pace.pass_until(now, then, self._pass)
            clock.set(then)
        raise DemoUnfinished(f"{MAX_STOPS} stops, and it is still {clock.now()}")

    async def _happen(self, now: datetime) -> None:
        """What comes from outside at this instant."""
        if now >= self._reconcile_at:
            self._reconcile_at = now + RECONCILE_EVERY
            await self._stage.daemon.reload()
        while self._waiting and self._waiting[0].at <= now:
            beat = self._waiting.pop(0)
            self._screen.beat(beat, await beat.act(self._stage))

    async def _deliver(self) -> None:
        """What the daemon does at this instant, until nothing is left to do; and what arrives of it."""
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
        beats: list[Beat] = self._waiting[:1]
        candidates = [ENDS, self._reconcile_at, *(beat.at for beat in beats), *([wake] if wake else [])]
        return min(max(at, now) for at in candidates)

    async def _show(self, arrived: list[Receipt]) -> None:
        for occasion in await occasions_of(self._stage.ledger, arrived):
            self.occasions.append(occasion)
            self._screen.occasion(occasion)
            if occasion.late:
                self._screen.remark(occasion.late, "dim")
            for receipt in occasion.receipts:
                self._remark(receipt)
                self._show_in_full(occasion, receipt)

    def _remark(self, receipt: Receipt) -> None:
        if not receipt.accepted:
            self._refused[receipt.id] = receipt
            self._screen.remark(f"503, Retry-After: {RETRY_AFTER_S}: it has to be sent again", "red")
        elif receipt.id in self._refused:
            later = receipt.at - self._refused.pop(receipt.id).at
            self._screen.remark(f"sent again after {later.total_seconds():.0f} s, under the same id", "green")

    def _show_in_full(self, occasion: ReminderOccasion, receipt: Receipt) -> None:
        name = (occasion.short, occasion.cause, channel_of(receipt))
        if receipt.accepted and name in IN_FULL and name not in self._shown:
            self._shown.add(name)
            self._screen.in_full(receipt)

    def _pass(self, at: datetime) -> None:
        self._screen.passing(at, self._pace.fraction(at))


def _expected(stage: Stage) -> Iterable[datetime]:
    """The instants at which something will happen, as far as it can be known now: for the pace alone."""
    found = app.definitions(settings(config=stage.folder))
    for milestone in app.milestones(found).values():
        for occurrence in occurrences(milestone, BEGINS, ENDS):
            yield occurrence.at
    yield from (beat.at for beat in STORY)
    yield from (BEGINS, ENDS)
